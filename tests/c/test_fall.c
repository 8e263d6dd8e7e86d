// What a reading of RSS leaves behind: the peak, when it was, and that RSS has fallen.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "capture/event.h"

static pmt_session_t session;

static int
set_up(void **state)
{
    session = (pmt_session_t){.shared = calloc(1, sizeof *session.shared)};
    return session.shared ? 0 : -1;
}

static int
tear_down(void **state)
{
    free(session.shared);
    return 0;
}

static uint64_t
fell_at(void)
{
    return atomic_load_explicit(&session.shared->fell_at, memory_order_relaxed);
}

static void
the_peak_and_when(void **state)
{
    pmt_event_saw_rss_sigsafe(&session, 1000, 10);
    pmt_event_saw_rss_sigsafe(&session, 3000, 20);
    pmt_event_saw_rss_sigsafe(&session, 3000, 30);
    pmt_event_saw_rss_sigsafe(&session, 2000, 40);
    assert_int_equal(session.shared->rss_peak_pages, 3000);
    assert_int_equal(session.shared->rss_peak_ns, 20);
    assert_int_equal(session.shared->rss_high, 3000);
    assert_int_equal(session.rss_now, 2000);
}

static void
nothing_was_read(void **state)
{
    pmt_event_saw_rss_sigsafe(&session, 1000, 10);
    pmt_event_saw_rss_sigsafe(&session, 0, 20);
    assert_int_equal(session.rss_now, 1000);
    assert_int_equal(fell_at(), 0);
}

static void
a_fall_of_a_mebibyte(void **state)
{
    uint32_t rung = atomic_load(&session.shared->doorbell);
    atomic_store(&session.shared->asleep, 1);
    pmt_event_saw_rss_sigsafe(&session, 10000, 10);
    pmt_event_saw_rss_sigsafe(&session, 10000 - 255, 20);
    assert_int_equal(fell_at(), 0);
    assert_int_equal(atomic_load(&session.shared->doorbell), rung);
    pmt_event_saw_rss_sigsafe(&session, 10000 - 256, 30);
    assert_int_equal(fell_at(), 30);
    assert_int_equal(atomic_load(&session.shared->doorbell), rung + 1);
}

static void
a_fall_of_a_hundredth(void **state)
{
    pmt_event_saw_rss_sigsafe(&session, 1000000, 10);
    pmt_event_saw_rss_sigsafe(&session, 990001, 20);
    assert_int_equal(fell_at(), 0);
    pmt_event_saw_rss_sigsafe(&session, 990000, 30);
    assert_int_equal(fell_at(), 30);
}

static void
the_first_to_see_it_says_when(void **state)
{
    pmt_event_saw_rss_sigsafe(&session, 10000, 10);
    pmt_event_saw_rss_sigsafe(&session, 5000, 20);
    pmt_event_saw_rss_sigsafe(&session, 4000, 30);
    assert_int_equal(fell_at(), 20);
    atomic_store(&session.shared->fell_at, 0);  // as the recorder does with a snapshot
    atomic_store(&session.shared->rss_high, 0);
    pmt_event_saw_rss_sigsafe(&session, 4000, 40);
    assert_int_equal(fell_at(), 0);
    pmt_event_saw_rss_sigsafe(&session, 3000, 50);
    assert_int_equal(fell_at(), 50);
}

static void
the_clock_is_asked(void **state)
{
    pmt_event_saw_rss_sigsafe(&session, 10000, 0);
    assert_true(session.shared->rss_peak_ns > 0);
    pmt_event_saw_rss_sigsafe(&session, 5000, 0);
    assert_true(fell_at() >= session.shared->rss_peak_ns);
}

// The thread that reads may have lost its CPU before: the reading is one of a later time, where others may have gone on.
static void
when_it_was_read(void **state)
{
    enum { A_SECOND = 1000000000 };
    assert_int_equal(pmt_rss_clock_init(&session.rss, 0), 0);
    for (uint32_t threads = 1; threads <= 2; threads++) {
        uint64_t now = pmt_prim_now_ns_sigsafe();
        uint64_t time = now - A_SECOND;
        atomic_store(&session.shared->rings_used, threads);
        atomic_store(&session.shared->rss_peak_pages, 0);
        assert_true(pmt_event_rss_step_sigsafe(&session, &time).rss > 0);
        assert_true(threads == 1 ? time == now - A_SECOND : time > now);
        assert_true(session.shared->rss_peak_pages > 0);
        assert_int_equal(session.shared->rss_peak_ns, time);
    }
    pmt_rss_clock_fini(&session.rss);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_peak_and_when),     TEST(nothing_was_read),              TEST(a_fall_of_a_mebibyte),
        TEST(a_fall_of_a_hundredth), TEST(the_first_to_see_it_says_when), TEST(the_clock_is_asked),
        TEST(when_it_was_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
