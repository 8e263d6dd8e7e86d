// From a lane to the file: events nest there, whatever the program's words leave out.
#include <string.h>

#include "events_support.h"

static void
start_thread(void)
{
    put_thread(0, TID, 20);
}

static void
usual_events(void **state)
{
    start_thread();
    say(0, PMT_EVENT_CALL, 1);
    say(0, PMT_EVENT_CODE, 1);
    say(0, PMT_EVENT_LINE, 10);
    say(0, PMT_EVENT_LINE, 9);
    say(0, PMT_EVENT_RSS, 500);
    say(0, PMT_EVENT_C_CALL, 7);
    say(0, PMT_EVENT_C_RETURN, 7);
    say(0, PMT_EVENT_C_CALL, 300);
    say(0, PMT_EVENT_CALL, 2);
    say(0, PMT_EVENT_CODE, 2);
    say(0, PMT_EVENT_LINE, 70);
    say(0, PMT_EVENT_YIELD, 2);
    say(0, PMT_EVENT_C_RAISE, 300);
    say(0, PMT_EVENT_CODE, 1);
    say(0, PMT_EVENT_LINE, 11);
    say(0, PMT_EVENT_RSS, 400);
    say(0, PMT_EVENT_RESUME, 2);
    say(0, PMT_EVENT_CODE, 2);
    say(0, PMT_EVENT_LINE, 71);
    say(0, PMT_EVENT_RETURN, 2);
    say(0, PMT_EVENT_THROW, 3);
    say(0, PMT_EVENT_EXCEPTION, 88);
    say(0, PMT_EVENT_UNWIND, 3);
    say(0, PMT_EVENT_RETURN, 1);
    ASSERT_LOG("call 1, line 10, line 9, rss 500, c_call 7, c_return, c_call 300, call 2, line 70, yield, c_raise, line 11, rss 400, resume 2, line 71, return, throw 3, "
               "unwind 88, return");
    assert_int_equal(logged.open[0], 0);
    assert_int_equal(process->events_taken, 17);
    for (unsigned i = 1; i < logged.count; i++) {  // words that are no events count for the time all the same
        assert_true(logged.times[i] > logged.times[i - 1]);
    }
    assert_int_equal(logged.times[0], 10);
    assert_int_equal(logged.times[18], 240);
}

static void
an_exception_is_of_one_unwind(void **state)
{
    start_thread();
    say(0, PMT_EVENT_CALL, 1);
    say(0, PMT_EVENT_CALL, 2);
    say(0, PMT_EVENT_EXCEPTION, 5);
    say(0, PMT_EVENT_UNWIND, 2);
    say(0, PMT_EVENT_UNWIND, 1);
    ASSERT_LOG("call 1, call 2, unwind 5, unwind 0");
}

static void
an_exception_of_a_frame_not_innermost(void **state)
{
    start_thread();
    say(0, PMT_EVENT_CALL, 1);
    say(0, PMT_EVENT_CALL, 2);
    say(0, PMT_EVENT_EXCEPTION, 5);
    say(0, PMT_EVENT_UNWIND, 1);
    ASSERT_LOG("call 1, call 2, drop 1, unwind 5");
}

// A generator closed while suspended: it is thrown into and never heard of again.
static void
frames_that_end_in_silence(void **state)
{
    start_thread();
    say(0, PMT_EVENT_CALL, 1);
    say(0, PMT_EVENT_C_CALL, 40);
    say(0, PMT_EVENT_THROW, 2);
    say(0, PMT_EVENT_C_RETURN, 40);
    say(0, PMT_EVENT_THROW, 2);
    say(0, PMT_EVENT_THROW, 3);
    say(0, PMT_EVENT_RETURN, 1);
    ASSERT_LOG("call 1, c_call 40, throw 2, drop 1, c_return, throw 2, throw 3, drop 2, return");
}

static void
a_line_ends_what_is_inside_of_its_frame(void **state)
{
    start_thread();
    say(0, PMT_EVENT_CALL, 1);
    say(0, PMT_EVENT_CODE, 1);
    say(0, PMT_EVENT_LINE, 3);
    say(0, PMT_EVENT_C_CALL, 40);
    say(0, PMT_EVENT_THROW, 2);
    say(0, PMT_EVENT_LINE, 5);
    say(0, PMT_EVENT_C_CALL, 41);
    say(0, PMT_EVENT_LINE, 6);
    ASSERT_LOG("call 1, line 3, c_call 40, throw 2, drop 2, line 5, c_call 41, drop 1, line 6");
}

static void
a_c_function_left_open(void **state)
{
    start_thread();
    say(0, PMT_EVENT_CALL, 1);
    say(0, PMT_EVENT_C_CALL, 40);
    say(0, PMT_EVENT_C_CALL, 41);  // C functions call none that are told of: the first has ended
    say(0, PMT_EVENT_RETURN, 1);
    ASSERT_LOG("call 1, c_call 40, drop 1, c_call 41, drop 1, return");
}

// The ids of C functions are of the same numbering: a frame is of one sort all the same.
static void
python_and_c_are_told_apart(void **state)
{
    start_thread();
    say(0, PMT_EVENT_CALL, 9);
    say(0, PMT_EVENT_C_CALL, 9);
    say(0, PMT_EVENT_RETURN, 9);
    say(0, PMT_EVENT_C_RETURN, 9);
    ASSERT_LOG("call 9, c_call 9, drop 1, return");
}

static void
unknown_frames(void **state)
{
    start_thread();
    say(0, PMT_EVENT_RETURN, 5);
    say(0, PMT_EVENT_C_RETURN, 6);
    say(0, PMT_EVENT_CALL, 9);
    say(0, PMT_EVENT_YIELD, 7);
    say(0, PMT_EVENT_CODE, 8);
    say(0, PMT_EVENT_LINE, 80);
    say(0, PMT_EVENT_RETURN, 9);
    ASSERT_LOG("open 5, return, call 9, open 7, yield, open 8, line 80, drop 1, return");
    assert_int_equal(process->events_taken, 5);
}

// The table of ids starts over while frames are open: they come back under later ids.
static void
frames_that_are_renamed(void **state)
{
    start_thread();
    say(0, PMT_EVENT_CALL, 1);
    say(0, PMT_EVENT_CALL, 2);
    say(0, PMT_EVENT_C_CALL, 3);
    say(0, PMT_EVENT_CALL, 2);
    say(0, PMT_EVENT_RETURN, 11);
    say(0, PMT_EVENT_C_RETURN, 12);
    say(0, PMT_EVENT_CODE, 11);
    say(0, PMT_EVENT_LINE, 5);
    say(0, PMT_EVENT_C_CALL, 4);
    say(0, PMT_EVENT_YIELD, 11);
    say(0, PMT_EVENT_C_RETURN, 13);  // of no C function: the innermost frame is another's
    say(0, PMT_EVENT_UNWIND, 10);
    ASSERT_LOG("call 1, call 2, c_call 3, call 2, return, c_return, line 5, c_call 4, drop 1, yield, unwind 0");
    assert_int_equal(logged.open[0], 0);
}

// Where there was no room for a definition the event has 0.
static void
frames_without_a_name(void **state)
{
    start_thread();
    say(0, PMT_EVENT_CALL, 0);
    say(0, PMT_EVENT_CALL, 2);
    say(0, PMT_EVENT_RETURN, 0);
    say(0, PMT_EVENT_RETURN, 1);
    ASSERT_LOG("call 0, call 2, drop 1, return, open 1, return");
}

static void
the_stack_at_the_start(void **state)
{
    start_thread();
    say_more(0, PMT_MORE_STACK, FIELDS(1, 2, 3));
    say(0, PMT_EVENT_RETURN, 3);
    say_more(0, PMT_MORE_FRAMES, FIELDS(4, 1ull << 40));  // an id that no event can have
    ASSERT_LOG("open 1, open 2, open 3, return, open 4, open 0");
}

static void
a_stack_that_is_known_changes_nothing(void **state)
{
    start_thread();
    say(0, PMT_EVENT_CALL, 1);
    say(0, PMT_EVENT_C_CALL, 40);
    say(0, PMT_EVENT_CALL, 2);
    say_more(0, PMT_MORE_STACK, FIELDS(1, 2));
    say(0, PMT_EVENT_C_CALL, 41);
    say_more(0, PMT_MORE_STACK, FIELDS(1, 2));  // nothing tells that the C function runs on
    say_more(0, PMT_MORE_STACK, FIELDS(1, 3));
    say_more(0, PMT_MORE_STACK, FIELDS(9));
    say_more(0, PMT_MORE_STACK, NULL, 0);
    ASSERT_LOG("call 1, c_call 40, call 2, c_call 41, drop 1, drop 2, open 3, drop 2, open 9, drop 1");
}

static void
losses_are_placed(void **state)
{
    start_thread();
    say(0, PMT_EVENT_CALL, 1);
    say_more(0, PMT_MORE_LOST, FIELDS(trace.t0 + 8000, 77));
    say_more(0, PMT_MORE_STACK, FIELDS(1, 6));
    say(0, PMT_EVENT_C_RETURN, 40);  // of a call that is among them
    say(0, PMT_EVENT_RETURN, 6);
    ASSERT_LOG("call 1, note 6 77, open 6, return");
    assert_int_equal(logged.times[2], 1030);  // from the absolute time on
    assert_int_equal(process->events_taken, 2);
    assert_int_equal(process->events_unplaced, 1);
}

static void
notes_stand_in_their_place(void **state)
{
    start_thread();
    say(0, PMT_EVENT_CALL, 1);
    say_more(0, PMT_MORE_NOTE, FIELDS(PMT_NOTE_SECTION_BEGIN | 3ull << 32, 2, 'h' | 'i' << 8));
    say(0, PMT_EVENT_RETURN, 1);
    say_more(0, PMT_MORE_NOTE, FIELDS(PMT_NOTE_SECTION_END | 3ull << 32, 0));
    ASSERT_LOG("call 1, note 2 3, 'hi', return, note 3 3");
}

static void
rss_is_written_where_it_changes(void **state)
{
    start_thread();
    say(0, PMT_EVENT_RSS, 100);
    say(0, PMT_EVENT_RSS, 100);
    say(0, PMT_EVENT_CALL, 1);
    put_placed_fault(0, 101);
    say(0, PMT_EVENT_RSS, 101);  // the fault has told
    say(0, PMT_EVENT_RETURN, 1);
    say(0, PMT_EVENT_RSS, 90);
    ASSERT_LOG("rss 100, call 1, fault 101, return, rss 90");
}

static void
absolute_times(void **state)
{
    start_thread();
    say_more(0, PMT_MORE_TIME, FIELDS(trace.t0 + 8ull * 1000000));
    say_after(0, 8, PMT_EVENT_CALL, 1);
    say_after(0, UINT32_MAX, PMT_EVENT_RETURN, 1);
    say_more(0, PMT_MORE_TIME, FIELDS(trace.t0));  // back: no event is older than the one before
    say(0, PMT_EVENT_CALL, 2);
    say_more(0, PMT_MORE_TIME, FIELDS(UINT64_MAX / 4));  // not in the future either
    say(0, PMT_EVENT_RETURN, 2);
    ASSERT_LOG("call 1, return, call 2, return");
    assert_int_equal(logged.times[0], 1000001);
    assert_int_equal(logged.times[1], 1000001 + UINT32_MAX / 8);
    assert_int_equal(logged.times[2], logged.times[1]);
    assert_in_range(logged.times[3], logged.times[2], (pmt_prim_now_ns_sigsafe() - trace.t0) / 8);
}

static void
late_events_count_as_of_the_round(void **state)
{
    start_thread();
    say(0, PMT_EVENT_CALL, 1);
    drain_lanes();
    assert_true(trace.watermark > 0);
    say(0, PMT_EVENT_RETURN, 1);
    uint64_t round = trace.watermark;
    ASSERT_LOG("call 1, return");
    assert_int_equal(logged.times[1], (round + 7) / 8);
}

// What is deeper than can be followed comes back as a loss of so many events.
static void
frames_too_deep(void **state)
{
    enum { EXTRA = 5 };
    start_thread();
    say(0, PMT_EVENT_CALL, 1);
    for (unsigned i = 0; i < PMT_OPEN_MAX - 1 + EXTRA; i++) {
        say(0, PMT_EVENT_CALL, 2);
        if (i % 10000 == 0) {
            drain_lanes();
        }
    }
    say(0, PMT_EVENT_RSS, 321);
    for (unsigned i = 0; i < PMT_OPEN_MAX - 1 + EXTRA; i++) {
        say(0, PMT_EVENT_RETURN, 2);
        if (i % 10000 == 0) {
            drain_lanes();
        }
    }
    say(0, PMT_EVENT_RETURN, 1);
    drain_lanes();
    read_log();
    assert_int_equal(logged.deepest, PMT_OPEN_MAX);
    assert_int_equal(logged.open[0], 0);
    assert_int_equal(logged.count, 2 * PMT_OPEN_MAX + 1);
    assert_non_null(strstr(logged.text, "call 2, rss 321, note 6 10, return"));
    assert_int_equal(process->events_taken, 2 * PMT_OPEN_MAX);
    assert_int_equal(process->events_unplaced, 10);
}

static void
a_stack_amid_frames_too_deep(void **state)
{
    start_thread();
    for (unsigned i = 0; i < PMT_OPEN_MAX + 2; i++) {
        say(0, PMT_EVENT_CALL, 2);
        if (i % 10000 == 0) {
            drain_lanes();
        }
    }
    say(0, PMT_EVENT_LINE, 7);
    say(0, PMT_EVENT_C_RETURN, 7);
    say_more(0, PMT_MORE_STACK, FIELDS(2, 4));
    say(0, PMT_EVENT_RETURN, 4);
    drain_lanes();
    read_log();
    assert_int_equal(logged.open[0], 1);
    assert_non_null(strstr(logged.text, "call 2, note 6 4, drop 65535, open 4, return"));
}

static void
long_runs_are_several_records(void **state)
{
    start_thread();
    for (unsigned i = 0; i < 15000; i++) {
        say(0, PMT_EVENT_CALL, 1 + i % 5000);
        say(0, PMT_EVENT_RETURN, 1 + i % 5000);
    }
    drain_lanes();
    read_log();
    assert_int_equal(logged.count, 30000);
    assert_int_equal(logged.records, (30000 + PMT_WIRE_EVENTS_MAX - 1) / PMT_WIRE_EVENTS_MAX);
    assert_int_equal(logged.open[0], 0);
    assert_int_equal(process->events_taken, 30000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        LANE_TEST(usual_events),
        LANE_TEST(an_exception_is_of_one_unwind),
        LANE_TEST(an_exception_of_a_frame_not_innermost),
        LANE_TEST(frames_that_end_in_silence),
        LANE_TEST(a_line_ends_what_is_inside_of_its_frame),
        LANE_TEST(a_c_function_left_open),
        LANE_TEST(python_and_c_are_told_apart),
        LANE_TEST(unknown_frames),
        LANE_TEST(frames_that_are_renamed),
        LANE_TEST(frames_without_a_name),
        LANE_TEST(the_stack_at_the_start),
        LANE_TEST(a_stack_that_is_known_changes_nothing),
        LANE_TEST(losses_are_placed),
        LANE_TEST(notes_stand_in_their_place),
        LANE_TEST(rss_is_written_where_it_changes),
        LANE_TEST(absolute_times),
        LANE_TEST(late_events_count_as_of_the_round),
        LANE_TEST(frames_too_deep),
        LANE_TEST(a_stack_amid_frames_too_deep),
        LANE_TEST(long_runs_are_several_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
