// How many faults one signal stands for: as few as the run can afford. Pure arithmetic, decided now and then by one handler at a time.
// Why these values: docs/decisions/0003.
#pragma once

#include <stdint.h>

enum {
    PMT_PERIOD_MAX = 512,
    PMT_PERIOD_MAX_SHARP = 16,            // however few faults there were
    PMT_PERIOD_SHARE = 1000,              // and one part in so many of the faults so far
    PMT_PERIOD_FREE_SIGNALS = 10000,      // recorded one by one whatever they cost
    PMT_PERIOD_BUDGET_PERMILLE = 20,      // of run time that tracing may cost before the period widens
    PMT_PERIOD_FAR = 4,                   // times the budget: it widens in one step
    PMT_PERIOD_CHECK_NS = 5 * 1000 * 1000,
    PMT_PERIOD_REST_NS = 20 * 1000 * 1000,// between two changes
};

// What tracing has done since it began.
typedef struct pmt_spending_s {
    uint64_t signals, faults;  // each signal stands for its period of faults
    uint64_t cost_ns, elapsed_ns;
} pmt_spending_t;

// The period to use from now on, given the present one.
uint32_t pmt_period_decide(uint32_t period, const pmt_spending_t *spent);
