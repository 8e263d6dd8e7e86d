// Pages that came with faults of an owner and whose address is not known: its *credit*. Pages that are found later use it up, the youngest first, as what goes is taken
// to be the oldest; what is left over at a snapshot has gone. One process's (space.h).
#pragma once

#include <stdint.h>

#include "analyze/owners.h"

typedef struct pmt_credit_s {
    uint64_t birth, pages;  // 0 pages: used up
    uint32_t owner, before; // the last one of the same owner: number + 1, 0: none
} pmt_credit_t;

typedef struct pmt_credits_s {
    pmt_table_t *owners;    // of pmt_owner_t, which name their last
    pmt_credit_t *list;     // in the order of birth
    uint32_t count, room;
    uint64_t pages;         // of all
} pmt_credits_t;

void pmt_credits_fini(pmt_credits_t *credits);
// 0 or -ENOMEM.
int pmt_credits_lend(pmt_credits_t *credits, uint32_t owner, uint64_t birth, uint64_t pages);
// Takes up to so many pages of an owner's credit that came in at one time: at *birth if there are some, else of the youngest born up to `limit`, else of the next later
// ones. When they did is put there. How many; 0: it has none.
uint64_t pmt_credits_spend(pmt_credits_t *credits, uint32_t owner, uint64_t limit, uint64_t pages, uint64_t *birth);
// The same of what came in at `birth` alone.
uint64_t pmt_credits_spend_born(pmt_credits_t *credits, uint32_t owner, uint64_t pages, uint64_t birth);
// So many of one's, which it has.
void pmt_credits_take(pmt_credits_t *credits, pmt_credit_t *credit, uint64_t pages);
// How many in the list were born up to `limit`.
uint32_t pmt_credits_until(const pmt_credits_t *credits, uint64_t limit);
// The youngest of the first `*at` in the list that is not used up, and `*at` its number + 1; NULL: all are.
pmt_credit_t *pmt_credits_youngest(const pmt_credits_t *credits, uint32_t *at);
// Forgets what was born up to `limit`.
int pmt_credits_forget(pmt_credits_t *credits, uint64_t limit);
