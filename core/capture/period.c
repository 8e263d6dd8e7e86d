// The adaptive period (period.h).
#include "capture/period.h"

uint32_t
pmt_period_decide(uint32_t period, uint64_t signals, uint64_t cost_ns, uint64_t elapsed_ns)
{
    uint64_t budget = elapsed_ns / 1000 * PMT_PERIOD_BUDGET_PERMILLE;
    if (signals < PMT_PERIOD_FREE_SIGNALS) {
        return period;
    }
    if (cost_ns > budget) {
        return period < PMT_PERIOD_MAX ? period * 2 : period;
    }
    // Narrow only well below the budget: each change costs system calls, and a run at the edge must not swing.
    if (cost_ns < budget / 4 * 3 && period > 1) {
        return period / 2;
    }
    return period;
}
