// How many faults one signal stands for: as few as the run can afford. Pure arithmetic, decided now and then by one handler at a time.
// Why these values: docs/decisions/0003.
#pragma once

#include <stdint.h>

enum {
    PMT_PERIOD_MAX = 16,
    PMT_PERIOD_FREE_SIGNALS = 10000,      // recorded one by one whatever they cost
    PMT_PERIOD_BUDGET_PERMILLE = 20,      // of run time that tracing may cost before the period widens
    PMT_PERIOD_CHECK_NS = 5 * 1000 * 1000,
    PMT_PERIOD_REST_NS = 20 * 1000 * 1000,// between two changes
};

// The period to use from now on, given the present one, the signals taken so far, what they cost and how long the run has lasted (ns).
uint32_t pmt_period_decide(uint32_t period, uint64_t signals, uint64_t cost_ns, uint64_t elapsed_ns);
