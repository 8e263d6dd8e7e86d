// The adaptive period (period.h).
#include "capture/period.h"

// A boundary is known to within one period: that may be a small part of what has been touched.
static uint32_t
widest_after(uint64_t faults)
{
    uint32_t widest = PMT_PERIOD_MAX_SHARP;
    while (widest < PMT_PERIOD_MAX && faults / PMT_PERIOD_SHARE >= 2 * widest) {
        widest *= 2;
    }
    return widest;
}

uint32_t
pmt_period_decide(uint32_t period, const pmt_spending_t *spent)
{
    uint64_t budget = spent->elapsed_ns / 1000 * PMT_PERIOD_BUDGET_PERMILLE;
    if (spent->signals < PMT_PERIOD_FREE_SIGNALS) {
        return period;
    }
    if (spent->cost_ns > budget) {
        return period < widest_after(spent->faults) ? period * 2 : period;
    }
    // Narrow only well below the budget: each change costs system calls, and a run at the edge must not swing.
    if (spent->cost_ns < budget / 4 * 3 && period > 1) {
        return period / 2;
    }
    return period;
}
