// The adaptive period (period.h).
#include "capture/period.h"

#include <stdbool.h>

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

// Far from the budget in one step: each costs the signals of 5 ms, and leaves an unfinished period of each thread behind.
static uint32_t
wider(uint32_t period, uint32_t widest, bool far)
{
    if (period >= widest) {
        return period;
    }
    return far ? widest : period * 2;
}

uint32_t
pmt_period_decide(uint32_t period, const pmt_spending_t *spent)
{
    uint64_t budget = spent->elapsed_ns / 1000 * PMT_PERIOD_BUDGET_PERMILLE;
    if (spent->signals < PMT_PERIOD_FREE_SIGNALS) {
        return period;
    }
    if (spent->cost_ns > budget) {
        return wider(period, widest_after(spent->faults), spent->cost_ns > PMT_PERIOD_FAR * budget);
    }
    // Narrow only well below the budget: each change costs system calls, and a run at the edge must not swing.
    if (spent->cost_ns < budget / 4 * 3 && period > 1) {
        return period / 2;
    }
    return period;
}
