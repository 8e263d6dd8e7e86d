// When pages went that a snapshot no longer finds. RSS as read in the meantime says how many had gone by when: as many as were known and had no room in it; of
// these first what came in again later, then the rest, the oldest first. What had gone may come in again, so of two readings the later one bounds the earlier one too. One process's (space.h).
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { PMT_GONE_MAX = 1 << 18 };  // lives that wait for a snapshot: memory
// Nobody looked: they are in no mapping any more, but the kernel may still be taking them back. A reading tells, at the latest the next snapshot.
#define PMT_GONE_UNSEEN UINT64_MAX

// So many pages had gone by `time`, and fewer by the reading before it. Later ones are later, and more.
typedef struct pmt_ebb_s {
    uint64_t before, time, pages;
} pmt_ebb_t;

typedef struct pmt_gone_life_s {
    uint64_t birth, pages;
    uint64_t looked;  // when they were no longer there, or PMT_GONE_UNSEEN
    uint64_t order;   // among those of one birth
    uint32_t owner;   // as of a pmt_life_t
    bool again;       // a fault brought their pages in again at `looked`: they had gone before, for certain
} pmt_gone_life_t;

typedef struct pmt_gone_s {
    pmt_ebb_t *ebbs;        // since the last snapshot
    uint32_t ebb_count, ebb_room;
    uint64_t read;          // the last reading
    bool lags;              // a reading may be off: one of a fall's own time does not tell how much had gone by then
    pmt_gone_life_t *list;
    uint32_t count, room;
    uint64_t pages;         // in the list
} pmt_gone_t;

typedef int (*pmt_on_end_t)(void *context, uint32_t owner, uint64_t birth, uint64_t death, uint64_t pages);

void pmt_gone_fini(pmt_gone_t *gone);
// A reading of RSS at `time`: so many pages more were known than it has room for (negative: fewer), beside those in the list. 0 or -ENOMEM.
int pmt_gone_ebb(pmt_gone_t *gone, uint64_t time, int64_t pages);
int pmt_gone_add(pmt_gone_t *gone, const pmt_gone_life_t *life);
// Calls on_end for parts of all in the list, but what is unseen for the first time, and forgets them and the readings up to `time`. `since`: when RSS was first seen to have fallen.
int pmt_gone_settle(pmt_gone_t *gone, uint64_t since, uint64_t time, pmt_on_end_t on_end, void *context);
