// Memory that is touched again while not each fault is told.
#include "owners_support.h"

#include "format/wire.h"

// Given back and touched again, with no snapshot between: one signal for four faults, upwards, then downwards.
static void
touched_again(void **state)
{
    for (uint64_t i = 0; i < 16; i++) {
        put_fault(FIRST, 10 + i, BASE + i, 1);
    }
    put_signal(SECOND, 50, BASE + 1, 4, 4);
    put_signal(SECOND, 60, BASE + 5, 4, 4);
    assert_held(49, 16, 0, 16, 0, 0);
    assert_held(59, 15, 4, 16, 0, 3);  // nobody knows yet which way it goes
    assert_held(60, 11, 8, 13, 3, 3);
    put_signal(SECOND, 70, BASE + 15, 4, 4);
    put_signal(SECOND, 80, BASE + 11, 4, 4);
    assert_held(70, 10, 12, 13, 3, 6);
    assert_held(80, 6, 16, 10, 6, 6);
}

// Most of its faults were elsewhere.
static void
not_touched_again(void **state)
{
    for (uint64_t i = 0; i < 16; i++) {
        put_fault(FIRST, 10 + i, BASE + i, 1);
    }
    put_signal(SECOND, 50, BASE + 1, 4, 4);
    put_signal(SECOND, 60, BASE + 6, 4, 4);
    assert_held(60, 14, 8, 16, 0, 6);
    put_signal(SECOND, 70, BASE + 7, 4, 4);
    assert_held(70, 13, 12, 16, 0, 9);
    put_signal(SECOND, 80, BASE + 10, 3, 1);
    assert_held(80, 12, 15, 16, 0, 11);
}

// What another thread touched since the last signal is its own.
static void
touched_by_another(void **state)
{
    pmt_writer_thread(writer, 0, 2, 0, "other", 5);
    put_fault(FIRST, 10, BASE + 2, 1);
    put_signal(SECOND, 50, BASE, 4, 4);
    put_signal(SECOND, 60, BASE + 4, 4, 4);
    pmt_writer_batch(writer, 1);
    last_time = last_page = 0;
    put_fault(FIRST, 55, BASE + 3, 1);
    assert_held(55, 2, 4, 3, 0, 3);
    assert_held(60, 1, 8, 3, 1, 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        OWNERS_TEST(touched_again), OWNERS_TEST(not_touched_again), OWNERS_TEST(touched_by_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
