// The adaptive period (period.h).
#include "capture/period.h"

uint32_t
pmt_period_decide(uint32_t period, const pmt_spending_t *spent)
{
    uint64_t budget = spent->elapsed_ns / 1000 * PMT_PERIOD_BUDGET_PERMILLE;
    uint32_t widest = spent->faults < PMT_PERIOD_SHARP_FAULTS ? PMT_PERIOD_MAX_SHARP : PMT_PERIOD_MAX;
    if (spent->signals < PMT_PERIOD_FREE_SIGNALS) {
        return period;
    }
    if (spent->cost_ns > budget) {
        return period < widest ? period * 2 : period;
    }
    // Narrow only well below the budget: each change costs system calls, and a run at the edge must not swing.
    if (spent->cost_ns < budget / 4 * 3 && period > 1) {
        return period / 2;
    }
    return period;
}
