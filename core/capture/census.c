// Finding threads while others begin (census.h).
#include "capture/census.h"

#include <stdbool.h>
#include <stddef.h>

#include "prim/prim.h"

typedef struct census_s {
    int (*visit)(uint32_t tid, void *context);
    void *context;
    uint32_t *tids;
    uint32_t count, at;  // `at`: where the listing should be, for it keeps its order
    bool fresh;
    unsigned refused;
    int why;
} census_t;
enum { CENSUS_MAX = 1 << 16, CENSUS_ROUNDS = 16 };

static bool
in_census(const census_t *census, uint32_t tid)
{
    for (uint32_t i = 0; i < census->count; i++) {
        uint32_t at = (census->at + i) % census->count;
        if (census->tids[at] == tid) {
            return true;
        }
    }
    return false;
}

static int
count_thread(uint32_t tid, void *context)
{
    census_t *census = context;
    bool known = in_census(census, tid);
    census->at++;
    if (known || census->count == CENSUS_MAX) {
        return 0;
    }
    census->tids[census->count++] = tid;
    census->fresh = true;
    int err = tid == pmt_prim_tid_sigsafe() ? 0 : census->visit(tid, census->context);
    if (err < 0) {
        census->refused++;
        census->why = err;
    }
    return 0;
}

unsigned
pmt_census(int (*visit)(uint32_t tid, void *context), void *context, int *why)
{
    census_t census = {.visit = visit, .context = context, .fresh = true};
    void *tids;
    *why = pmt_prim_reserve(CENSUS_MAX * sizeof *census.tids, &tids);
    if (*why < 0) {
        return 1;
    }
    census.tids = tids;
    // A thread that one without an event starts meanwhile has none either: until nobody new is found. Two events of a thread do no harm.
    for (int i = 0; i < CENSUS_ROUNDS && census.fresh; i++) {
        census.fresh = false;
        census.at = 0;
        pmt_prim_each_thread_sigsafe(count_thread, &census);
    }
    pmt_prim_unmap(tids, CENSUS_MAX * sizeof *census.tids);
    *why = census.why;
    return census.refused;
}
