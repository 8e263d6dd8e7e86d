// When pages went that are no longer there, by readings of RSS.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "analyze/gone.h"

enum { OWNERS = 4, TIMES = 200, NEVER = 0 };

static uint64_t died[OWNERS][TIMES];  // pages

static int
on_end(void *context, uint32_t owner, uint64_t birth, uint64_t death, uint64_t pages)
{
    assert_ptr_equal(context, died);
    assert_true(birth <= death);
    assert_in_range(death, 0, TIMES - 1);
    died[owner][death] += pages;
    return 0;
}

static void
settle(pmt_gone_t *gone, uint64_t since, uint64_t time)
{
    memset(died, 0, sizeof died);
    assert_int_equal(pmt_gone_settle(gone, since, time, on_end, died), 0);
    assert_int_equal(gone->count, 0);
    assert_int_equal(gone->pages, 0);
}

static void
add(pmt_gone_t *gone, uint32_t owner, uint64_t birth, uint64_t looked, uint64_t pages)
{
    assert_int_equal(pmt_gone_add(gone, &(pmt_gone_life_t){birth, pages, looked, 0, owner, false}), 0);
}

static void
without_readings(void **state)
{
    pmt_gone_t gone = {0};
    add(&gone, 0, 10, 100, 3);
    add(&gone, 1, 60, 100, 2);  // later than the fall
    add(&gone, 2, 10, 40, 1);   // seen to be gone before it
    settle(&gone, 50, 90);
    assert_int_equal(died[0][50], 3);
    assert_int_equal(died[1][100], 2);
    assert_int_equal(died[2][40], 1);
    pmt_gone_fini(&gone);
}

static void
the_oldest_first(void **state)
{
    pmt_gone_t gone = {0};
    pmt_gone_ebb(&gone, 20, 0);
    pmt_gone_ebb(&gone, 30, 4);
    pmt_gone_ebb(&gone, 40, 6);
    add(&gone, 1, 15, 100, 4);
    add(&gone, 0, 10, 100, 3);
    add(&gone, 2, 35, 100, 9);
    settle(&gone, 25, 90);  // seen to have fallen between the first two readings
    assert_int_equal(died[0][25], 3);
    assert_int_equal(died[1][25], 1);
    assert_int_equal(died[1][40], 2);
    assert_int_equal(died[1][100], 1);
    assert_int_equal(died[2][100], 9);
    pmt_gone_fini(&gone);
}

// Of two that came in the same ns the one whose turn it is goes first, in whichever order they were found to be gone.
static void
of_one_birth(void **state)
{
    for (uint64_t first = 1; first <= 2; first++) {
        pmt_gone_t gone = {0};
        pmt_gone_ebb(&gone, 30, 3);
        assert_int_equal(pmt_gone_add(&gone, &(pmt_gone_life_t){10, 2, 100, first, (uint32_t)first, false}), 0);
        assert_int_equal(pmt_gone_add(&gone, &(pmt_gone_life_t){10, 2, 100, 3 - first, (uint32_t)(3 - first), false}), 0);
        settle(&gone, NEVER, 90);
        assert_int_equal(died[1][30], 2);
        assert_int_equal(died[2][30], 1);
        assert_int_equal(died[2][100], 1);
        pmt_gone_fini(&gone);
    }
}

// What a fault brought in again had gone before, so it is among what had gone by the reading: else more would have gone by the next one than this says.
static void
those_that_came_again_first(void **state)
{
    pmt_gone_t gone = {0};
    pmt_gone_ebb(&gone, 30, 5);
    add(&gone, 0, 10, 100, 9);
    pmt_gone_add(&gone, &(pmt_gone_life_t){15, 3, 35, 0, 1, true});
    pmt_gone_ebb(&gone, 40, -7);  // 9 and 3 are in the list
    settle(&gone, 5, 90);
    assert_int_equal(died[1][30], 3);
    assert_int_equal(died[0][30], 2);
    assert_int_equal(died[0][100], 7);
    pmt_gone_fini(&gone);
}

// What came in again made room for a moment: not more had gone by the earlier reading than by the later one.
static void
the_later_reading_bounds(void **state)
{
    pmt_gone_t gone = {0};
    pmt_gone_ebb(&gone, 30, 9);
    pmt_gone_ebb(&gone, 40, 2);
    pmt_gone_ebb(&gone, 50, 5);
    add(&gone, 0, 10, 100, 8);
    settle(&gone, NEVER, 90);
    assert_int_equal(died[0][30], 2);
    assert_int_equal(died[0][50], 3);
    assert_int_equal(died[0][100], 3);
    pmt_gone_fini(&gone);
}

// What a reading counts that is not in the list went otherwise: it takes nothing younger, neither then nor later.
static void
younger_than_the_reading(void **state)
{
    pmt_gone_t gone = {0};
    pmt_gone_ebb(&gone, 30, 4);
    pmt_gone_ebb(&gone, 50, 6);
    add(&gone, 0, 40, 100, 9);
    settle(&gone, NEVER, 90);
    assert_int_equal(died[0][50], 2);
    assert_int_equal(died[0][100], 7);
    pmt_gone_fini(&gone);
}

// Those that were seen to be gone are among those that a reading counts, however young.
static void
seen_to_be_gone(void **state)
{
    pmt_gone_t gone = {0};
    add(&gone, 1, 20, 25, 2);
    pmt_gone_ebb(&gone, 30, 1);
    add(&gone, 0, 10, 100, 3);
    settle(&gone, NEVER, 90);
    assert_int_equal(died[1][25], 2);
    assert_int_equal(died[0][30], 1);
    assert_int_equal(died[0][100], 2);
    pmt_gone_fini(&gone);
}

// A reading from behind the snapshot's beginning also speaks of what the next snapshot will miss.
static void
readings_that_stay(void **state)
{
    pmt_gone_t gone = {0};
    pmt_gone_ebb(&gone, 30, 2);
    pmt_gone_ebb(&gone, 50, 7);
    add(&gone, 0, 10, 60, 3);
    settle(&gone, NEVER, 40);
    assert_int_equal(died[0][30], 2);
    assert_int_equal(died[0][50], 1);
    add(&gone, 1, 45, 100, 5);
    add(&gone, 2, 55, 100, 5);
    settle(&gone, NEVER, 90);
    assert_int_equal(died[1][50], 4);
    assert_int_equal(died[1][100], 1);
    assert_int_equal(died[2][100], 5);
    pmt_gone_fini(&gone);
}

// What nobody saw go stays for one settling more, unless a reading tells; a reading with more room than was known says that not all has gone.
static void
unseen(void **state)
{
    pmt_gone_t gone = {0};
    pmt_gone_ebb(&gone, 20, -9);
    add(&gone, 0, 10, PMT_GONE_UNSEEN, 5);
    add(&gone, 1, 15, PMT_GONE_UNSEEN, 5);
    pmt_gone_ebb(&gone, 30, -7);
    memset(died, 0, sizeof died);
    assert_int_equal(pmt_gone_settle(&gone, NEVER, 90, on_end, died), 0);
    assert_int_equal(gone.pages, 7);
    assert_int_equal(died[0][30], 3);
    pmt_gone_ebb(&gone, 100, -6);
    settle(&gone, NEVER, 110);
    assert_int_equal(died[0][100], 1);
    assert_int_equal(died[0][110], 1);
    assert_int_equal(died[1][110], 5);
    pmt_gone_fini(&gone);
}

// A reading that saw the fall says how much had gone by then (munmap may go on), unless it may be off.
static void
a_fall_that_was_read(void **state)
{
    for (int lags = 0; lags < 2; lags++) {
        pmt_gone_t gone = {.lags = lags};
        pmt_gone_ebb(&gone, 50, 2);
        add(&gone, 0, 10, PMT_GONE_UNSEEN, 5);
        memset(died, 0, sizeof died);
        assert_int_equal(pmt_gone_settle(&gone, 50, 60, on_end, died), 0);
        assert_int_equal(died[0][50], lags ? 5 : 2);
        pmt_gone_ebb(&gone, 70, 0);
        settle(&gone, NEVER, 90);
        assert_int_equal(died[0][70], lags ? 0 : 3);
        pmt_gone_fini(&gone);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_readings), cmocka_unit_test(the_oldest_first), cmocka_unit_test(of_one_birth), cmocka_unit_test(those_that_came_again_first),   cmocka_unit_test(the_later_reading_bounds),
        cmocka_unit_test(seen_to_be_gone),  cmocka_unit_test(readings_that_stay), cmocka_unit_test(younger_than_the_reading), cmocka_unit_test(unseen), cmocka_unit_test(a_fall_that_was_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
