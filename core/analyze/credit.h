// Pages that came with faults of an owner and whose address is not known: its *credit*, a queue by the time of birth. Pages that are found later use it up, the
// oldest first; what is left over at a snapshot has gone. One process's (space.h).
#pragma once

#include <stdint.h>

#include "analyze/owners.h"

typedef struct pmt_credit_s {
    uint64_t birth, pages;  // 0 pages: used up
    uint32_t owner, next;   // of the same owner: number + 1, 0: none
} pmt_credit_t;

typedef struct pmt_credits_s {
    pmt_table_t *owners;    // of pmt_owner_t, which hold the ends of their queues
    pmt_credit_t *list;     // in the order of birth
    uint32_t count, room;
    uint32_t first;         // before it all are used up
    uint64_t pages;         // of all
} pmt_credits_t;

void pmt_credits_fini(pmt_credits_t *credits);
// 0 or -ENOMEM.
int pmt_credits_lend(pmt_credits_t *credits, uint32_t owner, uint64_t birth, uint64_t pages);
// How many there were of so many pages.
uint64_t pmt_credits_spend(pmt_credits_t *credits, uint32_t owner, uint64_t pages);
// The oldest that is not used up, from `*at` on (a number in the list, moved up to it); NULL: none is as old as `limit`.
pmt_credit_t *pmt_credits_oldest(pmt_credits_t *credits, uint32_t *at, uint64_t limit);
// Forgets what was born up to `limit`.
int pmt_credits_forget(pmt_credits_t *credits, uint64_t limit);
