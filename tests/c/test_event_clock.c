// Ticks to times.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "prim/prim.h"
#include "prim/ticks.h"
#include "recorder/event_clock.h"

enum { T0 = 1000000 };

static pmt_event_clock_t
tsc(uint64_t ticks, uint64_t ns)
{
    pmt_event_clock_t clock;
    pmt_lanes_t lanes = {.version = PMT_LANES_VERSION, .clock = PMT_LANE_CLOCK_TSC, .ticks = ticks, .time_ns = ns};
    assert_int_equal(pmt_event_clock_init(&clock, &lanes, T0), 0);
    return clock;
}

static void
nanoseconds(void **state)
{
    pmt_event_clock_t clock;
    pmt_lanes_t lanes = {.version = PMT_LANES_VERSION, .clock = PMT_LANE_CLOCK_NS, .ticks = T0 + 5000, .time_ns = T0 + 5000};
    assert_int_equal(pmt_event_clock_init(&clock, &lanes, T0), 0);
    pmt_event_clock_read(&clock);
    assert_int_equal(pmt_event_clock_units(&clock, T0), 0);
    assert_int_equal(pmt_event_clock_units(&clock, T0 + 7), 0);
    assert_int_equal(pmt_event_clock_units(&clock, T0 + 8), 1);
    assert_int_equal(pmt_event_clock_units(&clock, T0 + 8000000000000ull), 1000000000000ull);
    assert_int_equal(pmt_event_clock_units(&clock, T0 - 1), 0);
}

static void
between_two_readings(void **state)
{
    pmt_event_clock_t clock = tsc(0, T0);
    pmt_event_clock_anchor(&clock, 5000000, T0 + 2000000);  // 2.5 ticks a ns
    assert_in_range(pmt_event_clock_units(&clock, 2500000), 1000000 / 8 - 1, 1000000 / 8);
    assert_in_range(pmt_event_clock_units(&clock, 7500000), 3000000 / 8 - 1, 3000000 / 8);  // goes on like that
    pmt_event_clock_anchor(&clock, 11000000, T0 + 5000000);  // 2 ticks a ns
    assert_in_range(pmt_event_clock_units(&clock, 5000000), 2000000 / 8 - 1, 2000000 / 8);
    assert_in_range(pmt_event_clock_units(&clock, 7000000), 3000000 / 8 - 1, 3000000 / 8);
    assert_in_range(pmt_event_clock_units(&clock, 4000000), 2000000 / 8 - 1, 2000000 / 8);  // late
}

static void
a_clock_whose_speed_changes_is_followed(void **state)
{
    pmt_event_clock_t clock = tsc(0, T0);
    uint64_t ticks = 0, ns = T0;
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t more = 10000000 + i % 777;
        uint64_t speed = 2600000 + i % 1000;  // ticks a ms
        uint64_t middle = ticks + more * speed / 1000000 / 2;
        ticks += more * speed / 1000000;
        ns += more;
        pmt_event_clock_anchor(&clock, ticks, ns);
        int64_t off = (int64_t)pmt_event_clock_units(&clock, middle) - (int64_t)((ns - more / 2 - T0) / 8);
        assert_in_range(off + 2, 0, 4);
    }
}

static void
readings_that_tell_nothing(void **state)
{
    pmt_event_clock_t clock = tsc(0, T0);
    pmt_event_clock_anchor(&clock, 5000000, T0 + 2000000);
    pmt_event_clock_t before = clock;
    pmt_event_clock_anchor(&clock, 5000001, T0 + 2000900);  // too close
    pmt_event_clock_anchor(&clock, 5000000, T0 + 9000000);  // the counter stands
    pmt_event_clock_anchor(&clock, 4000000, T0 + 9000000);
    pmt_event_clock_anchor(&clock, 9000000, T0 + 1);
    assert_memory_equal(&clock, &before, sizeof clock);
}

static void
readings_of_a_hostile_program(void **state)
{
    pmt_event_clock_t clock = tsc(UINT64_MAX, UINT64_MAX);
    uint64_t now = pmt_prim_now_ns_sigsafe();
    assert_in_range(clock.ns, now - 1000000000u, now);
    clock = tsc(0, 0);
    pmt_event_clock_anchor(&clock, 1, UINT64_MAX / 2);
    assert_true(pmt_event_clock_units(&clock, 100) <= UINT64_MAX / 2);
    assert_int_equal(pmt_event_clock_units(&clock, 0), clock.base);
}

static void
the_first_moment(void **state)
{
    if (pmt_prim_ticks() == 0) {
        return;
    }
    uint64_t ticks = pmt_prim_ticks(), ns = pmt_prim_now_ns_sigsafe();
    pmt_prim_wait_sigsafe(&(_Atomic uint32_t){0}, 0, 200000);
    pmt_event_clock_t clock = tsc(ticks, ns);
    pmt_prim_wait_sigsafe(&(_Atomic uint32_t){0}, 0, 200000);
    int64_t off = (int64_t)pmt_event_clock_units(&clock, pmt_prim_ticks()) * 8 - (int64_t)(pmt_prim_now_ns_sigsafe() - T0);
    assert_in_range(off + 100000, 0, 200000);
}

static void
real_time(void **state)
{
    pmt_event_clock_t clock = tsc(pmt_prim_ticks(), pmt_prim_now_ns_sigsafe());
    if (pmt_prim_ticks() == 0) {
        return;  // no such counter here: the clock is never asked for
    }
    for (int i = 0; i < 20; i++) {
        pmt_prim_wait_sigsafe(&(_Atomic uint32_t){0}, 0, 2000000);
        uint64_t ticks = pmt_prim_ticks(), ns = pmt_prim_now_ns_sigsafe();
        pmt_event_clock_read(&clock);
        int64_t off = (int64_t)pmt_event_clock_units(&clock, ticks) * 8 - (int64_t)(ns - T0);
        assert_in_range(off + 1000000, 0, 2000000);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nanoseconds),
        cmocka_unit_test(between_two_readings),
        cmocka_unit_test(a_clock_whose_speed_changes_is_followed),
        cmocka_unit_test(readings_that_tell_nothing),
        cmocka_unit_test(readings_of_a_hostile_program),
        cmocka_unit_test(the_first_moment),
        cmocka_unit_test(real_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
