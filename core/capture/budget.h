// What following calls may cost: a burst is free, after that a share of the run time. Pure arithmetic.
// Why these values: docs/decisions/0010.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    PMT_BUDGET_FREE_HITS = 300,       // whatever they cost: some 4 ms
    PMT_BUDGET_MOVES_PERMILLE = 10,   // mremap, of the run time
    PMT_BUDGET_CALLS_PERMILLE = 20,   // all calls together, while releases are recorded
};

bool pmt_budget_is_over(uint64_t hits, uint64_t cost_ns, uint64_t elapsed_ns, unsigned permille);
