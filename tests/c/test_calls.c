// The aggregates over events, fed by hand: what counts once, what is bounded, and what a decoder refuses.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "analyze/call_tree.h"
#include "analyze/calls.h"
#include "format/wire.h"

static pmt_calls_t calls;
static uint64_t now;

static int
set_up(void **state)
{
    now = 0;
    return pmt_calls_init(&calls, 100) || pmt_calls_add_thread(&calls, 0, false) || pmt_calls_add_thread(&calls, 0, false);
}

static int
tear_down(void **state)
{
    pmt_calls_fini(&calls);
    return 0;
}

// An event 10 ns after the one before; value: code id or number of frames.
static void
happens(uint32_t thread, unsigned kind, uint32_t value, int64_t rss)
{
    pmt_trace_event_t event = {.time = now += 10, .rss = rss, .code = value, .value = value, .kind = (uint8_t)kind};
    assert_int_equal(pmt_calls_events(&calls, thread, &event, 1), 0);
}

static const pmt_calls_row_t *
row_of(uint32_t code)
{
    for (uint32_t i = 1; i < calls.rows.count; i++) {
        if (pmt_calls_row(&calls, i)->code == code) {
            return pmt_calls_row(&calls, i);
        }
    }
    fail();
    return NULL;
}

static void
recursion_counts_once(void **state)
{
    happens(0, PMT_WIRE_CALL, 1, 100);
    happens(0, PMT_WIRE_CALL, 1, 100);
    happens(0, PMT_WIRE_CALL, 2, 105);
    happens(0, PMT_WIRE_RETURN, 0, 112);
    happens(0, PMT_WIRE_RETURN, 0, 109);
    happens(0, PMT_WIRE_RETURN, 0, 109);
    const pmt_calls_row_t *row = row_of(1);
    assert_int_equal(row->calls, 2);
    assert_int_equal(row->time, 50);
    assert_int_equal(row->time_self, 40);
    assert_int_equal(row->growth, 12);
    assert_int_equal(row->growth_self, 5);
    assert_int_equal(row->release, 3);
    assert_int_equal(row->release_self, 3);
    assert_int_equal(row->largest, 12);
    assert_int_equal(row_of(2)->largest, 7);
}

static void
the_largest_rise_is_within_one_call(void **state)
{
    happens(0, PMT_WIRE_CALL, 1, 100);
    for (int i = 0; i < 3; i++) {  // up and down again: end minus start is nothing
        happens(0, PMT_WIRE_CALL, 2, 100);
        happens(0, PMT_WIRE_RSS, 0, 150);
        happens(0, PMT_WIRE_RETURN, 0, 100);
    }
    happens(0, PMT_WIRE_RETURN, 0, 90);
    assert_int_equal(row_of(2)->growth, 150);
    assert_int_equal(row_of(2)->release, 150);
    assert_int_equal(row_of(2)->largest, 50);
    assert_int_equal(row_of(1)->largest, 50);
}

static void
a_suspended_generator_holds_no_time(void **state)
{
    happens(0, PMT_WIRE_CALL, 1, 100);
    happens(0, PMT_WIRE_CALL, 2, 100);
    happens(0, PMT_WIRE_YIELD, 0, 101);
    now += 1000;
    happens(0, PMT_WIRE_RESUME, 2, 200);
    happens(0, PMT_WIRE_UNWIND, 0, 202);
    happens(0, PMT_WIRE_RETURN, 0, 202);
    assert_int_equal(row_of(2)->calls, 1);
    assert_int_equal(row_of(2)->time, 20);
    assert_int_equal(row_of(2)->growth, 3);
    assert_int_equal(row_of(1)->time, 1050);
    assert_int_equal(row_of(1)->growth_self, 99);
}

static void
faults_belong_to_their_thread(void **state)
{
    happens(0, PMT_WIRE_CALL, 1, 100);
    happens(1, PMT_WIRE_CALL, 2, 100);
    happens(0, PMT_WIRE_C_CALL, 3, 100);
    pmt_calls_fault(&calls, 0, 8, 108);
    happens(1, PMT_WIRE_RETURN, 0, 108);
    happens(0, PMT_WIRE_DROP, 2, 108);
    pmt_calls_fault(&calls, 0, 4, 112);  // no frame is open
    assert_int_equal(row_of(3)->touched_self, 8);
    assert_int_equal(row_of(1)->touched, 8);
    assert_int_equal(row_of(1)->touched_self, 0);
    assert_int_equal(row_of(2)->touched, 0);
    assert_int_equal(row_of(2)->growth, 8);  // RSS is the process's
    assert_null(calls.stacks.threads[0].stack);
}

static void
open_frames_end_with_the_trace(void **state)
{
    happens(0, PMT_WIRE_OPEN, 1, 100);
    happens(0, PMT_WIRE_CALL, 2, 100);
    happens(0, PMT_WIRE_RSS, 0, 107);
    pmt_calls_end(&calls);
    assert_int_equal(row_of(1)->calls, 0);
    assert_int_equal(row_of(1)->time, 20);
    assert_int_equal(row_of(2)->time, 10);
    assert_int_equal(row_of(1)->growth, 7);
}

// All time is somebody's, however few functions are told apart.
static void
functions_beyond_the_room_share_a_row(void **state)
{
    for (uint32_t code = 1; code <= 500; code++) {
        happens(0, PMT_WIRE_CALL, code, 100);
        happens(0, PMT_WIRE_RETURN, 0, 100);
    }
    uint64_t sum = 0, number = 0;
    for (uint32_t i = 0; i < calls.rows.count; i++) {
        sum += pmt_calls_row(&calls, i)->time_self;
        number += pmt_calls_row(&calls, i)->calls;
    }
    assert_int_equal(calls.rows.count, 100);
    assert_int_equal(sum, 500 * 10);
    assert_int_equal(number, 500);
    assert_int_equal(pmt_calls_row(&calls, PMT_CALLS_REST)->calls, 401);
}

static void
calls_beyond_the_tree_count_for_their_callers(void **state)
{
    pmt_call_tree_t tree;
    pmt_trace_event_t event = {.rss = 100};
    assert_int_equal(pmt_call_tree_init(&tree, 4), 0);
    assert_int_equal(pmt_call_tree_add_thread(&tree, 0, false), 0);
    for (uint32_t code = 1; code <= 10; code++) {
        event.time += 10;
        event.rss++;
        event.kind = PMT_WIRE_CALL;
        event.code = code;
        assert_int_equal(pmt_call_tree_events(&tree, 0, &event, 1), 0);
    }
    pmt_call_tree_end(&tree);
    const pmt_call_node_t *node = pmt_table_at(&tree.nodes, 3);
    assert_int_equal(tree.nodes.count, 4);
    assert_int_equal(tree.left_out, 7);
    assert_int_equal(node->time, 70);
    assert_int_equal(node->growth, 7);
    pmt_call_tree_fini(&tree);
}

static void
a_thread_cannot_be_deeper_than_a_bound(void **state)
{
    static uint8_t kinds[PMT_WIRE_EVENTS_MAX], times[PMT_WIRE_EVENTS_MAX], values[PMT_WIRE_EVENTS_MAX + 1];
    static pmt_trace_event_t out[PMT_WIRE_EVENTS_MAX];
    pmt_record_t record = {.type = PMT_WIRE_EVENTS};
    pmt_decoder_t decoder;
    memset(kinds, PMT_WIRE_OPEN, sizeof kinds);
    record.u.events.count = PMT_WIRE_EVENTS_MAX;
    record.u.events.kinds = kinds;
    record.u.events.times = times;
    record.u.events.values = times + sizeof times;
    pmt_decoder_init(&decoder);
    assert_int_equal(pmt_decoder_add_thread(&decoder), 0);
    for (int i = 0; i < PMT_DECODER_DEPTH_MAX / PMT_WIRE_EVENTS_MAX; i++) {
        pmt_decoder_begin(&decoder, &record);
        decoder.value = values;  // the columns need not be neighbours here
        decoder.values_end = values + PMT_WIRE_EVENTS_MAX;
        assert_int_equal(pmt_decoder_next(&decoder, out, PMT_WIRE_EVENTS_MAX), PMT_WIRE_EVENTS_MAX);
    }
    pmt_decoder_begin(&decoder, &record);
    decoder.value = values;
    decoder.values_end = values + PMT_WIRE_EVENTS_MAX;
    assert_int_equal(pmt_decoder_next(&decoder, out, 1), -EBADMSG);
    assert_string_not_equal(pmt_decoder_problem(&decoder), "");
    pmt_decoder_fini(&decoder);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(recursion_counts_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_largest_rise_is_within_one_call, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_suspended_generator_holds_no_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(faults_belong_to_their_thread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(open_frames_end_with_the_trace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(functions_beyond_the_room_share_a_row, set_up, tear_down),
        cmocka_unit_test(calls_beyond_the_tree_count_for_their_callers),
        cmocka_unit_test(a_thread_cannot_be_deeper_than_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
