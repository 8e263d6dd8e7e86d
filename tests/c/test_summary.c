// What the recorder sums up when the file may not grow any more.
#include <string.h>

#include "base/varint.h"
#include "events_support.h"

enum { LIMIT = 1030000 };  // reached amid a drain

typedef struct row_s {
    uint64_t sums[PMT_SUMMARY_SUMS];
    int64_t largest;
    bool there;
} row_t;

static row_t rows[16];
static pmt_left_out_t left_out;

static void
on_row(const uint8_t *at, const uint8_t *end)
{
    uint64_t process, code, largest;
    assert_true(pmt_varint_get(&at, end, &process) && pmt_varint_get(&at, end, &code));
    assert_int_equal(process, 0);
    assert_in_range(code, 1, 15);
    row_t *row = &rows[code];
    assert_false(row->there);
    row->there = true;
    for (int i = 0; i < PMT_SUMMARY_SUMS; i++) {
        assert_true(pmt_varint_get(&at, end, &row->sums[i]));
    }
    assert_true(pmt_varint_get(&at, end, &largest));
    row->largest = pmt_unzigzag(largest);
    assert_ptr_equal(at, end);
}

// Noise that fills the file, several records at a time that begin amid a deep stack, until details are left out. How many of its calls were: the log holds the first events.
enum { DEEP = 16000 };

static uint64_t
fill(void)
{
    uint32_t noise = 1;
    uint64_t before = process->events_taken, calls = 0;
    while (!pmt_writer_left_out(trace.writer, &left_out)) {
        for (int i = 0; i < 2 * DEEP; i++) {
            noise = noise * 1664525u + 1013904223u;
            say_after(0, noise >> 12 & 0xffff, i < DEEP ? PMT_EVENT_CALL : PMT_EVENT_RETURN, 15);
        }
        calls += DEEP;
        drain_lanes();
        pmt_writer_left_out(trace.writer, &left_out);
    }
    uint64_t in_log = process->events_taken - before - left_out.events, rest = in_log % (2 * DEEP);
    assert_int_not_equal(rest, 0);  // else nothing of this is tried
    return calls - in_log / (2 * DEEP) * DEEP - (rest < DEEP ? rest : DEEP);
}

static int
set_up_limited(void **state)
{
    int err = set_up_lanes(state);
    memset(rows, 0, sizeof rows);
    pmt_writer_limit(trace.writer, LIMIT);
    atomic_store(&pmt_shared_ring(shared, 3)->writing, 1);  // no rounds: the times are made up, and long past
    return err;
}

static void
finish(void)
{
    pmt_summary_write(trace.summary, trace.writer);
    pmt_writer_trailer(trace.writer, 1u << 30);
    on_summary = on_row;
    read_log();
    on_summary = NULL;
}

static void
what_follows_the_log_is_summed_up(void **state)
{
    put_thread(0, TID, 20);
    say(0, PMT_EVENT_CALL, 1);  // open when the log ends
    say(0, PMT_EVENT_RSS, 1000);
    say(0, PMT_EVENT_C_CALL, 9);
    drain_lanes();
    uint64_t left = fill();
    put_text_record(0, PMT_RAW_CODE, 2, FIELDS(7, 4ull << 32 | 3), "filefun", 7);
    say(0, PMT_EVENT_CALL, 2);
    say_after(0, 8000, PMT_EVENT_RSS, 1500);
    say(0, PMT_EVENT_C_CALL, 3);
    put_placed_fault(0, 1600);
    say_after(0, 16000, PMT_EVENT_C_RETURN, 3);
    say(0, PMT_EVENT_RSS, 900);
    say(0, PMT_EVENT_RETURN, 2);
    say(0, PMT_EVENT_RETURN, 1);
    drain_lanes();
    finish();
    assert_int_equal(rows[15].sums[0], left);
    assert_int_equal(rows[1].sums[0], 0);  // it was called in the log
    assert_int_equal(rows[2].sums[0], 1);
    assert_int_equal(rows[3].sums[0], 1);
    assert_int_equal(rows[3].sums[1], 16000);
    assert_int_equal(rows[3].sums[3], 100);   // growth self
    assert_int_equal(rows[3].sums[7], 1);     // touched
    assert_int_equal(rows[2].sums[3], 500);
    assert_int_equal(rows[2].sums[4], 600);   // growth
    assert_int_equal(rows[2].sums[6], 700);   // release
    assert_int_equal(rows[2].sums[8], 1);
    assert_int_equal(rows[2].largest, 600);
    assert_int_equal(rows[1].sums[4], 600);
    assert_true(rows[9].there && rows[1].there);
    assert_string_equal(logged.last_code, "file:fun");
    uint64_t self = 0;
    for (int i = 0; i < 16; i++) {
        self += rows[i].sums[1];
    }
    assert_int_equal(self, rows[1].sums[2]);  // all of the time since then is the outermost's
}

static void
threads_that_follow_each_other(void **state)
{
    put_thread(0, TID, 20);
    say(0, PMT_EVENT_CALL, 1);
    say(0, PMT_EVENT_RSS, 1000);
    drain_lanes();
    fill();
    put(0, PMT_RAW_THREAD, 0, TID + 1, FIELDS(trace.t0 + 30, lane_head(0)));
    say(0, PMT_EVENT_CALL, 2);
    say(0, PMT_EVENT_RSS, 5000);  // the first that is known is no change
    say_after(0, 800, PMT_EVENT_RETURN, 2);
    drain_lanes();
    assert_int_equal(process->consumers[0].member, 1);
    finish();
    assert_int_equal(rows[2].sums[0], 1);
    assert_int_equal(rows[2].sums[1], 880);
    assert_int_equal(rows[2].sums[4], 0);
    assert_int_equal(rows[1].sums[2], rows[1].sums[1] + rows[15].sums[1]);  // it ended with its thread
}

static void
threads_side_by_side(void **state)
{
    put_thread(0, TID, 20);
    put_thread(1, TID + 1, 20);
    say(0, PMT_EVENT_CALL, 1);
    for (uint32_t code = 4; code < 7; code++) {
        say(1, PMT_EVENT_CALL, code);
    }
    drain_lanes();
    fill();
    for (uint32_t code = 6; code > 3; code--) {
        say_after(1, 8000, PMT_EVENT_RETURN, code);
    }
    drain_lanes();
    finish();
    for (uint32_t code = 4; code < 7; code++) {
        assert_int_equal(rows[code].sums[0], 0);
        assert_int_equal(rows[code].sums[1], 8000);
        assert_int_equal(rows[code].sums[2], (7 - code) * 8000);
    }
}

static void
a_log_that_is_whole_has_no_summary(void **state)
{
    put_thread(0, TID, 20);
    say(0, PMT_EVENT_CALL, 1);
    say(0, PMT_EVENT_RETURN, 1);
    drain_lanes();
    finish();
    for (int i = 0; i < 16; i++) {
        assert_false(rows[i].there);
    }
}

#define LIMITED_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_limited, tear_down_lanes)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        LIMITED_TEST(what_follows_the_log_is_summed_up),
        LIMITED_TEST(threads_that_follow_each_other),
        LIMITED_TEST(threads_side_by_side),
        LIMITED_TEST(a_log_that_is_whole_has_no_summary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
