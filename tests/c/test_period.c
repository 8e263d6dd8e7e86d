// The adaptive period's table of cases.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/period.h"

enum { MANY = PMT_PERIOD_FREE_SIGNALS, LATE = PMT_PERIOD_MAX * PMT_PERIOD_SHARE, SHARP = PMT_PERIOD_MAX_SHARP, SECOND = 1000000000 };

// Of a second of run time tracing may cost 20 ms; below three quarters of that, 15 ms, the period narrows.
static const struct {
    uint32_t period;
    pmt_spending_t spent;  // signals, faults, cost, time
    uint32_t expected;
} cases[] = {
    // recorded one by one, whatever they cost
    {1, {0, LATE, 0, 0}, 1},
    {1, {0, LATE, SECOND, SECOND}, 1},
    {1, {MANY - 1, LATE, SECOND, SECOND}, 1},
    {8, {MANY - 1, LATE, SECOND, SECOND}, 8},
    {8, {MANY - 1, LATE, 0, SECOND}, 8},  // and does not narrow either
    // over the budget: wider
    {1, {MANY, LATE, 20000001, SECOND}, 2},
    {1, {MANY, LATE, 80000000, SECOND}, 2},
    {2, {MANY, LATE, 20000001, SECOND}, 4},
    {PMT_PERIOD_MAX / 2, {MANY, LATE, 20000001, SECOND}, PMT_PERIOD_MAX},
    {PMT_PERIOD_MAX, {MANY, LATE, SECOND, SECOND}, PMT_PERIOD_MAX},
    // far over it: in one step
    {1, {MANY, LATE, 80000001, SECOND}, PMT_PERIOD_MAX},
    {2, {MANY, LATE, SECOND, SECOND}, PMT_PERIOD_MAX},
    {1, {UINT64_MAX, LATE, UINT64_MAX, SECOND}, PMT_PERIOD_MAX},
    {1, {MANY, LATE, 1, 0}, PMT_PERIOD_MAX},  // no time has passed: any cost is too much
    {1, {MANY, LATE, 1, 999}, PMT_PERIOD_MAX},
    {1, {MANY, 0, SECOND, SECOND}, SHARP},
    {SHARP / 4, {MANY, 0, SECOND, SECOND}, SHARP},
    // not so wide among the first faults
    {SHARP / 2, {MANY, 0, SECOND, SECOND}, SHARP},
    {SHARP, {MANY, 0, SECOND, SECOND}, SHARP},
    {SHARP, {MANY, 2 * SHARP * PMT_PERIOD_SHARE - 1, SECOND, SECOND}, SHARP},
    {SHARP, {MANY, 2 * SHARP * PMT_PERIOD_SHARE, SECOND, SECOND}, 2 * SHARP},
    {2 * SHARP, {MANY, 4 * SHARP * PMT_PERIOD_SHARE - 1, SECOND, SECOND}, 2 * SHARP},
    {PMT_PERIOD_MAX / 2, {MANY, LATE - 1, SECOND, SECOND}, PMT_PERIOD_MAX / 2},
    {PMT_PERIOD_MAX, {MANY, UINT64_MAX, SECOND, SECOND}, PMT_PERIOD_MAX},
    // at the budget, and down to three quarters of it: as it is
    {1, {MANY, LATE, 20000000, SECOND}, 1},
    {4, {MANY, LATE, 20000000, SECOND}, 4},
    {4, {MANY, LATE, 15000000, SECOND}, 4},
    {PMT_PERIOD_MAX, {MANY, LATE, 15000000, SECOND}, PMT_PERIOD_MAX},
    {4, {MANY, LATE, 0, 0}, 4},
    // well below: narrower
    {4, {MANY, LATE, 14999999, SECOND}, 2},
    {2, {MANY, LATE, 0, SECOND}, 1},
    {1, {MANY, LATE, 0, SECOND}, 1},
    {PMT_PERIOD_MAX, {MANY, LATE, 0, SECOND}, PMT_PERIOD_MAX / 2},
    // hundred years do not overflow
    {2, {MANY, LATE, 0, 3153600000ull * SECOND}, 1},
    {1, {MANY, LATE, 63072000ull * SECOND, 3153600000ull * SECOND}, 1},
    {1, {MANY, LATE, 63072000ull * SECOND + 1, 3153600000ull * SECOND}, 2},
};

static void
table(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t period = pmt_period_decide(cases[i].period, &cases[i].spent);
        if (period != cases[i].expected) {
            fail_msg("case %zu: %u instead of %u", i, period, cases[i].expected);
        }
    }
}

static void
period_stays_a_power_of_two_in_bounds(void **state)
{
    uint32_t period = 1;
    uint64_t random = 1;
    for (int i = 0; i < 100000; i++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        pmt_spending_t spent = {MANY + (random >> 60), LATE, random >> 38, SECOND};  // cost up to 67 ms
        period = pmt_period_decide(period, &spent);
        assert_in_range(period, 1, PMT_PERIOD_MAX);
        assert_int_equal(period & (period - 1), 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(period_stays_a_power_of_two_in_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
