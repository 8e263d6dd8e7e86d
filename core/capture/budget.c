// The budget of following calls (budget.h).
#include "capture/budget.h"

bool
pmt_budget_is_over(uint64_t hits, uint64_t cost_ns, uint64_t elapsed_ns, unsigned permille)
{
    return hits > PMT_BUDGET_FREE_HITS && cost_ns > elapsed_ns / 1000 * permille;
}
