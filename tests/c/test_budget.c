// The budget of following calls: a table of cases.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/budget.h"

enum { FREE = PMT_BUDGET_FREE_HITS, SECOND = 1000000000, SHARE = SECOND / 1000 * PMT_BUDGET_CALLS_PERMILLE };

static const struct {
    uint64_t hits, cost_ns, elapsed_ns;
    bool over;
} cases[] = {
    // a burst, whatever it costs
    {0, 0, 0, false},
    {1, SECOND, SECOND, false},
    {FREE, SECOND, SECOND, false},
    {FREE, UINT64_MAX, 0, false},
    // after it a share of the time
    {FREE + 1, 0, 0, false},
    {FREE + 1, 1, 0, true},
    {FREE + 1, SHARE, SECOND, false},
    {FREE + 1, SHARE + 1, SECOND, true},
    {FREE + 1, SHARE + 1, 2ull * SECOND, false},
    {UINT64_MAX, 100ull * SHARE, 100ull * SECOND, false},
    {UINT64_MAX, 100ull * SHARE + 1, 100ull * SECOND, true},
    // a week's run does not overflow
    {UINT64_MAX, 600000ull * SHARE, 600000ull * SECOND, false},
    {UINT64_MAX, 600000ull * SHARE + 1, 600000ull * SECOND, true},
};

static void
test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool over = pmt_budget_is_over(cases[i].hits, cases[i].cost_ns, cases[i].elapsed_ns, PMT_BUDGET_CALLS_PERMILLE);
        if (over != cases[i].over) {
            fail_msg("case %zu", i);
        }
    }
}

// What was promised: 2 % in all, of which moves may take the half.
static void
test_shares(void **state)
{
    (void)state;
    assert_int_equal(PMT_BUDGET_CALLS_PERMILLE, 20);
    assert_int_equal(PMT_BUDGET_MOVES_PERMILLE, 10);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_shares)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
