// When pages went (gone.h).
#include "analyze/gone.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

void
pmt_gone_fini(pmt_gone_t *gone)
{
    free(gone->ebbs);
    free(gone->list);
    *gone = (pmt_gone_t){0};
}

static int
put_ebb(pmt_gone_t *gone, pmt_ebb_t ebb)
{
    while (gone->ebb_count && gone->ebbs[gone->ebb_count - 1].pages >= ebb.pages) {
        const pmt_ebb_t *more = &gone->ebbs[--gone->ebb_count];
        ebb = (pmt_ebb_t){more->before, more->time, ebb.pages};
    }
    int err = ebb.pages ? pmt_array_room(&gone->ebbs, gone->ebb_count, &gone->ebb_room, sizeof ebb) : 0;
    if (!err && ebb.pages) {
        gone->ebbs[gone->ebb_count++] = ebb;
    }
    return err;
}

int
pmt_gone_ebb(pmt_gone_t *gone, uint64_t time, int64_t pages)
{
    bool none = pages < 0 && gone->pages < 0 - (uint64_t)pages;
    int err = put_ebb(gone, (pmt_ebb_t){gone->read, time, none ? 0 : gone->pages + (uint64_t)pages});
    gone->read = time;
    return err;
}

int
pmt_gone_add(pmt_gone_t *gone, const pmt_gone_life_t *life)
{
    int err = pmt_array_room(&gone->list, gone->count, &gone->room, sizeof *gone->list);
    if (!err) {
        gone->list[gone->count++] = *life;
        gone->pages += life->pages;
    }
    return err;
}

static int
in_turn(const void *a, const void *b)
{
    const pmt_gone_life_t *x = a, *y = b;
    if (x->again != y->again) {
        return x->again ? -1 : 1;
    }
    if (x->birth != y->birth) {
        return x->birth < y->birth ? -1 : 1;
    }
    return x->order == y->order ? 0 : x->order < y->order ? -1 : 1;
}

static int
by_looked(const void *a, const void *b)
{
    const pmt_gone_life_t *x = *(pmt_gone_life_t *const *)a, *y = *(pmt_gone_life_t *const *)b;
    return x->looked == y->looked ? 0 : x->looked < y->looked ? -1 : 1;
}

// Where we are in the list and in its order by `looked`, and how many pages have ended: of the list, and beside it.
typedef struct walk_s {
    pmt_gone_t *gone;
    pmt_gone_life_t **seen;
    uint32_t next_again, next_old, next_seen;  // in the list's two parts, and in `seen`
    uint32_t first_old;  // where the list's second part begins
    uint64_t since, time, ended, others;
    pmt_on_end_t on_end;
    void *context;
} walk_t;

static int
end_part(walk_t *walk, pmt_gone_life_t *life, uint64_t death, uint64_t pages)
{
    life->pages -= pages;
    walk->ended += pages;
    return pages ? walk->on_end(walk->context, life->owner, life->birth, death, pages) : 0;
}

// The oldest of a part of the list that have not ended, as far as the reading goes: with the fall, if that was seen since the reading before.
static int
end_oldest(walk_t *walk, const pmt_ebb_t *ebb, uint32_t *next, uint32_t end)
{
    int err = 0;
    while (*next < end && walk->gone->list[*next].birth <= ebb->time && walk->ended + walk->others < ebb->pages && !err) {
        pmt_gone_life_t *life = &walk->gone->list[*next];
        uint64_t most = ebb->pages - walk->ended - walk->others, pages = life->pages < most ? life->pages : most;
        bool fell = walk->since > ebb->before && walk->since < ebb->time && life->birth <= walk->since;
        *next += pages == life->pages;
        err = end_part(walk, life, fell ? walk->since : ebb->time, pages);
    }
    return err;
}

// What was seen to have gone by the reading, then what came in again, then of the rest.
static int
end_by_reading(walk_t *walk, pmt_ebb_t *ebb)
{
    pmt_gone_t *gone = walk->gone;
    int err = 0;
    for (; walk->next_seen < gone->count && walk->seen[walk->next_seen]->looked <= ebb->time && !err; walk->next_seen++) {
        pmt_gone_life_t *life = walk->seen[walk->next_seen];
        err = end_part(walk, life, life->looked, life->pages);
    }
    err = err ? err : end_oldest(walk, ebb, &walk->next_again, walk->first_old);
    err = err ? err : end_oldest(walk, ebb, &walk->next_old, gone->count);
    uint64_t known = walk->ended + walk->others;
    walk->others += ebb->pages > known ? ebb->pages - known : 0;
    ebb->pages -= ebb->pages > walk->ended ? walk->ended : ebb->pages;
    return err;
}

static const uint64_t UNSEEN_AGAIN = PMT_GONE_UNSEEN - 1;

// Later than all readings, or with the fall if that was. The unseen stay until the next time.
static int
end_rest(walk_t *walk)
{
    pmt_gone_t *gone = walk->gone;
    uint32_t kept = 0;
    int err = 0;
    for (uint32_t i = 0; i < gone->count && !err; i++) {
        pmt_gone_life_t *life = &gone->list[i];
        bool fell = gone->read < walk->since + gone->lags && life->birth <= walk->since && life->looked >= walk->since;
        if (life->looked == PMT_GONE_UNSEEN && life->pages && !fell) {
            gone->list[kept] = *life;
            gone->list[kept++].looked = UNSEEN_AGAIN;
            continue;
        }
        uint64_t looked = life->looked == UNSEEN_AGAIN ? walk->time : life->looked;
        err = end_part(walk, life, fell ? walk->since : looked, life->pages);
    }
    gone->count = kept;
    gone->pages = 0;
    for (uint32_t i = 0; i < kept; i++) {
        gone->pages += gone->list[i].pages;
    }
    return err;
}

// Those that came again, then the others. As a rule either came in their turn.
static int
put_in_turn(walk_t *walk)
{
    pmt_gone_t *gone = walk->gone;
    pmt_gone_life_t *others = malloc((gone->count + 1) * sizeof *others);
    uint32_t again = 0, old = 0;
    if (!others) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < gone->count; i++) {
        if (gone->list[i].again) {
            gone->list[again++] = gone->list[i];
        } else {
            others[old++] = gone->list[i];
        }
    }
    if (old) {
        memcpy(gone->list + again, others, old * sizeof *others);
    }
    free(others);
    walk->first_old = again;
    pmt_array_sort(gone->list, gone->count, sizeof *gone->list, in_turn);
    return 0;
}

static void
put_by_looked(walk_t *walk)
{
    pmt_gone_life_t *list = walk->gone->list;
    uint32_t again = 0, old = walk->first_old, count = walk->gone->count;
    for (uint32_t i = 0; i < count; i++) {
        bool first = old == count || (again < walk->first_old && list[again].looked <= list[old].looked);
        walk->seen[i] = first ? &list[again++] : &list[old++];
    }
    pmt_array_sort(walk->seen, count, sizeof *walk->seen, by_looked);
}

static void
keep_ebbs(pmt_gone_t *gone, uint64_t time)
{
    const uint32_t count = gone->ebb_count;
    gone->ebb_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (gone->ebbs[i].time > time) {
            put_ebb(gone, gone->ebbs[i]);  // there is room for as many as there were
        }
    }
}

int
pmt_gone_settle(pmt_gone_t *gone, uint64_t since, uint64_t time, pmt_on_end_t on_end, void *context)
{
    walk_t walk = {.gone = gone, .since = since, .time = time, .on_end = on_end, .context = context, .seen = malloc((gone->count + 1) * sizeof(pmt_gone_life_t *))};
    int err = walk.seen ? put_in_turn(&walk) : -ENOMEM;
    if (!err) {
        put_by_looked(&walk);
    }
    walk.next_old = walk.first_old;
    for (uint32_t i = 0; i < gone->ebb_count && !err; i++) {
        err = end_by_reading(&walk, &gone->ebbs[i]);
    }
    err = err ? err : end_rest(&walk);
    keep_ebbs(gone, time);
    free(walk.seen);
    return err;
}
