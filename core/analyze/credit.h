// Pages that came with faults of an owner and whose address is not known: its *credit*, a queue by the time of birth. Pages that are found later use it up, the
// oldest first; what is left over at a snapshot has gone. Credit that RSS has no room for is in *doubt*: gone, unless a snapshot finds it. One process's (space.h).
#pragma once

#include <stdint.h>

#include "analyze/owners.h"

typedef struct pmt_credit_s {
    uint64_t birth, pages;  // 0 pages: used up
    uint32_t owner, next;   // of the same owner: number + 1, 0: none
} pmt_credit_t;

typedef struct pmt_doubt_s {
    uint64_t birth, death, pages;  // 0 pages: used up
    uint32_t owner, before;        // of the same owner: number + 1, 0: none
} pmt_doubt_t;

typedef struct pmt_credits_s {
    pmt_table_t *owners;    // of pmt_owner_t, which hold the ends of their queues
    pmt_credit_t *list;     // in the order of birth
    uint32_t count, room;
    uint32_t first;         // before it all are used up
    uint64_t pages;         // of all
    pmt_doubt_t *doubts;    // in the order of death
    uint32_t doubt_count, doubt_room;
} pmt_credits_t;

void pmt_credits_fini(pmt_credits_t *credits);
// 0 or -ENOMEM.
int pmt_credits_lend(pmt_credits_t *credits, uint32_t owner, uint64_t birth, uint64_t pages);
// How many there were of so many pages, those in doubt too, which come last, the latest of them first.
uint64_t pmt_credits_spend(pmt_credits_t *credits, uint32_t owner, uint64_t pages);
// The oldest that is not used up, from `*at` on (a number in the list, moved up to it); NULL: none is as old as `limit`.
pmt_credit_t *pmt_credits_oldest(pmt_credits_t *credits, uint32_t *at, uint64_t limit);
// So many pages of the oldest credit of its owner come in doubt. 0 or -ENOMEM.
int pmt_credits_doubt(pmt_credits_t *credits, const pmt_credit_t *credit, uint64_t pages, uint64_t death);
// The latest that is not used up; NULL: none.
const pmt_doubt_t *pmt_credits_latest_doubt(pmt_credits_t *credits);
// So many pages of the latest have been found.
void pmt_credits_believe(pmt_credits_t *credits, uint64_t pages);
void pmt_credits_forget_doubts(pmt_credits_t *credits);
// Forgets what was born up to `limit`.
int pmt_credits_forget(pmt_credits_t *credits, uint64_t limit);
