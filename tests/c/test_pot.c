// Sharing out the rise of RSS.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/pot.h"

static void
a_thread_alone_takes_all(void **state)
{
    pmt_pot_t pot = {0};
    pmt_pot_add(&pot, 1000, 10);
    assert_int_equal(pmt_pot_take(&pot, 10, 1), 1000);
    pmt_pot_add(&pot, 7, 0);  // a rise without a fault: whoever comes
    assert_int_equal(pmt_pot_take(&pot, 1, 2), 7);
    assert_int_equal(pot.pages, 0);
    assert_int_equal(pot.faults, 0);
}

static void
threads_take_by_their_faults(void **state)
{
    pmt_pot_t pot = {0};
    pmt_pot_add(&pot, 900, 300);
    assert_int_equal(pmt_pot_take(&pot, 100, 1), 300);
    pmt_pot_add(&pot, 600, 100);  // of one, before the other has come
    assert_int_equal(pmt_pot_take(&pot, 100, 2), 400);
    assert_int_equal(pmt_pot_take(&pot, 200, 3), 800);
    assert_int_equal(pot.pages, 0);
}

static void
more_faults_than_were_counted(void **state)
{
    pmt_pot_t pot = {0};
    pmt_pot_add(&pot, 5, 3);
    assert_int_equal(pmt_pot_take(&pot, 400, 1), 5);
    assert_int_equal(pot.faults, 0);
    assert_int_equal(pmt_pot_take(&pot, 400, 2), 0);
}

static void
what_nobody_comes_for_is_given_away(void **state)
{
    pmt_pot_t pot = {0};
    uint64_t now = 1, taken = 0;
    pmt_pot_add(&pot, 1000, 100);  // of a thread that ends without a tick
    for (int i = 0; i < 5; i++) {
        now += PMT_POT_AGE_NS / 4;
        pmt_pot_add(&pot, 10, 1);
        taken = pmt_pot_take(&pot, 1, now);
        if (i < 3) {
            assert_in_range(taken, 9, 11);  // not before it is old
        }
    }
    for (int i = 0; i < 4; i++) {
        now += PMT_POT_AGE_NS / 4;
        pmt_pot_add(&pot, 10, 1);
        taken += pmt_pot_take(&pot, 1, now);
    }
    assert_true(taken >= 1000);
    assert_true(pot.pages <= 10 && pot.faults <= 1);
}

static void
nothing_is_made_or_lost(void **state)
{
    pmt_pot_t pot = {0};
    uint64_t random = 1, added = 0, taken = 0, now = 0;
    for (int i = 0; i < 100000; i++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        uint64_t pages = random >> 33 & 0xffff, faults = random >> 50 & 0xff;
        if (random >> 63) {
            pmt_pot_add(&pot, pages, faults);
            added += pages;
        } else {
            now += pages * 1000;
            taken += pmt_pot_take(&pot, faults + 1, now);
        }
        assert_int_equal(added, taken + pot.pages);
        assert_true(pot.low_pages <= pot.pages && pot.low_faults <= pot.faults);
    }
    assert_true(taken > added / 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_alone_takes_all),
        cmocka_unit_test(threads_take_by_their_faults),
        cmocka_unit_test(more_faults_than_were_counted),
        cmocka_unit_test(what_nobody_comes_for_is_given_away),
        cmocka_unit_test(nothing_is_made_or_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
