// Lanes and rings drained together: order, wrapping, owners, and memory that a hostile program wrote.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "events_support.h"
#include "recorder/lanes.h"

// After anything at all, a new thread in the same slot is recorded as ever.
static void
assert_goes_on(const char *before)
{
    char expected[512];
    drain_lanes();
    put(0, PMT_RAW_THREAD, 0, TID + 9, FIELDS(trace.t0 + 500, lane_head(0)));
    say(0, PMT_EVENT_CALL, 77);
    put_placed_fault(0, 7);
    say(0, PMT_EVENT_RETURN, 77);
    drain_lanes();
    read_log();
    snprintf(expected, sizeof expected, "%s%scall 77, fault 7, return", before, *before ? ", " : "");
    assert_string_equal(logged.text, expected);
}

// ---- order ----

static void
faults_stand_where_they_happened(void **state)
{
    put_thread(0, TID, 20);
    put_placed_fault(0, 10);
    say(0, PMT_EVENT_CALL, 1);
    put_placed_fault(0, 20);
    put_placed_fault(0, 30);
    say(0, PMT_EVENT_CALL, 2);
    put_text_record(0, PMT_RAW_CODE, 2, FIELDS(1, 1ull << 32 | 1), "ab", 2);
    say(0, PMT_EVENT_RETURN, 2);
    put_placed_fault(0, 25);
    say(0, PMT_EVENT_RETURN, 1);
    put_placed_fault(0, 35);
    ASSERT_LOG("fault 10, call 1, fault 20, fault 30, call 2, return, fault 25, return, fault 35");
}

// The thread goes on after its lane's head was read: a fault tells a place behind it. What comes after that place must wait: not all of its faults may be known.
static void
a_fault_behind_the_head_that_was_read(void **state)
{
    pmt_lane_t lane;
    put_thread(0, TID, 20);
    drain_lanes();
    say(0, PMT_EVENT_CALL, 1);
    say(0, PMT_EVENT_CALL, 2);
    pmt_lane_begin(&lane, &trace, process, 0);
    say(0, PMT_EVENT_CALL, 3);
    say(0, PMT_EVENT_CALL, 4);
    pmt_lane_advance(&lane, 3);
    assert_int_equal(atomic_load(&pmt_lanes_ring(lanes, 0)->tail), 3);
    assert_true(pmt_lane_end(&lane));
    assert_int_equal(atomic_load(&pmt_lanes_ring(lanes, 0)->tail), 3);
    pmt_lane_begin(&lane, &trace, process, 0);
    say(0, PMT_EVENT_CALL, 5);
    assert_true(pmt_lane_end(&lane));
    assert_int_equal(atomic_load(&pmt_lanes_ring(lanes, 0)->tail), 4);
    ASSERT_LOG("call 1, call 2, call 3, call 4, call 5");
}

static void
faults_without_a_place_come_when_they_come(void **state)
{
    put_thread(0, TID, 20);
    say(0, PMT_EVENT_CALL, 1);
    put_mere_fault(0);
    put(0, PMT_RAW_FAULT, PMT_RAW_FAULT_PLACED, 1, FIELDS(trace.t0 + 50, 0x1000, NOWHERE, 1));  // cut short
    ASSERT_LOG("fault, fault, call 1");
}

static void
threads_have_frames_and_numbers_of_their_own(void **state)
{
    for (unsigned slot = 0; slot < 2; slot++) {
        put_thread(slot, TID + slot, 20);
        say(slot, PMT_EVENT_CALL, 1 + slot);
        say(slot, PMT_EVENT_RSS, 100 + slot);
    }
    drain_lanes();
    for (unsigned slot = 0; slot < 2; slot++) {
        say(slot, PMT_EVENT_RETURN, 1 + slot);
        say(slot, PMT_EVENT_RSS, 200 + slot);
    }
    ASSERT_LOG("call 1, rss 100, call 2, rss 101, return, rss 200, return, rss 201");
    assert_int_equal(logged.threads[3], 1);
    assert_int_equal(logged.threads[5], 0);
}

static void
a_slot_changes_hands_amid_its_lane(void **state)
{
    put_thread(0, TID, 20);
    say(0, PMT_EVENT_CALL, 1);
    say(0, PMT_EVENT_RSS, 50);
    put(0, PMT_RAW_THREAD, 0, TID + 1, FIELDS(trace.t0 + 30, lane_head(0)));
    say(0, PMT_EVENT_CALL, 2);
    say(0, PMT_EVENT_RSS, 50);
    put_placed_fault(0, 60);
    say(0, PMT_EVENT_RETURN, 2);
    ASSERT_LOG("call 1, rss 50, call 2, rss 50, fault 60, return");
    assert_int_equal(logged.threads[1], 0);
    assert_int_equal(logged.threads[2], 1);
    assert_int_equal(logged.times[2], 10);  // since the lanes' own moment again
    assert_int_equal(logged.open[0], 1);
    assert_int_equal(logged.open[1], 0);
}

static void
lose(unsigned slot, uint64_t events, uint64_t at)
{
    atomic_store(&pmt_lanes_ring(lanes, slot)->lost_at, at);
    atomic_store(&pmt_lanes_ring(lanes, slot)->lost, events);
}

// Nobody else tells what a thread loses at its very end.
static void
the_last_losses_of_a_thread(void **state)
{
    put_thread(0, TID, 20);
    say(0, PMT_EVENT_CALL, 1);
    lose(0, 7, trace.t0 + 800);
    ASSERT_LOG("call 1, note 6 7");
    assert_int_equal(atomic_load(&pmt_lanes_ring(lanes, 0)->lost), 0);
    // It was not the end: differences go on from the last word.
    assert_int_equal(process->consumers[0].events.ticks, trace.t0 + 80);
    say(0, PMT_EVENT_RETURN, 1);
    ASSERT_LOG("call 1, note 6 7, return");
}

static void
losses_that_are_told_already(void **state)
{
    put_thread(0, TID, 20);
    say(0, PMT_EVENT_CALL, 1);
    lose(0, 7, trace.t0 + 800);
    drain_lanes();
    say_more(0, PMT_MORE_LOST, FIELDS(trace.t0 + 900, 0));
    say_more(0, PMT_MORE_STACK, NULL, 0);
    ASSERT_LOG("call 1, note 6 7, drop 1");
}

// What the slot's next owner tells is the last one's; what the lane tells then is of the next, if we have heard of it.
static void
losses_of_a_thread_whose_slot_is_taken(void **state)
{
    put_thread(0, TID, 20);
    say(0, PMT_EVENT_CALL, 1);
    put(0, PMT_RAW_THREAD, 0, TID + 1, FIELDS(trace.t0 + 900, lane_head(0), 5, trace.t0 + 800));
    say(0, PMT_EVENT_CALL, 2);
    lose(0, 3, trace.t0 + 1000);
    ASSERT_LOG("call 1, note 6 5, call 2, note 6 3");
    assert_int_equal(logged.open[0], 1);
    assert_int_equal(logged.threads[1], 1);
}

// The slot's next owner comes while the lane is drained: what is lost then may be its own.
static void
losses_wait_for_what_the_other_ring_tells(void **state)
{
    pmt_lane_t lane;
    put_thread(0, TID, 20);
    say(0, PMT_EVENT_CALL, 1);
    drain_lanes();
    pmt_lane_begin(&lane, &trace, process, 0);
    put(0, PMT_RAW_THREAD, 0, TID + 1, FIELDS(trace.t0 + 900, lane_head(0), 0, 0));
    lose(0, 3, trace.t0 + 1000);
    assert_false(pmt_lane_end(&lane));
    say(0, PMT_EVENT_CALL, 2);
    ASSERT_LOG("call 1, call 2, note 6 3");
}

static void
events_without_a_thread_are_skipped(void **state)
{
    say(0, PMT_EVENT_CALL, 1);
    ASSERT_LOG("");
    assert_goes_on("");
}

// ---- wrapping ----

static void
many_laps(void **state)
{
    put_thread(0, TID, 20);
    unsigned calls = 0;
    for (unsigned i = 0; lane_head(0) < 5ull * PMT_LANE_WORDS; i++) {
        say(0, PMT_EVENT_CALL, 1);
        say_more(0, PMT_MORE_STACK, FIELDS(1, 2, 3, 4, 5, 6, 7));
        say_more(0, PMT_MORE_STACK, NULL, 0);
        calls++;
        if (i % 1000 == 0) {
            drain_lanes();
        }
    }
    drain_lanes();
    read_log();
    assert_int_equal(logged.open[0], 0);
    assert_int_equal(process->events_taken, calls);
    assert_int_equal(logged.count, calls * (1 + 6 + 1));
    read_back();
}

static void
a_full_lane(void **state)
{
    put_thread(0, TID, 20);
    say(0, PMT_EVENT_CALL, 1);
    drain_lanes();
    for (unsigned i = 0; i < PMT_LANE_WORDS; i++) {
        say(0, i % 2 ? PMT_EVENT_RETURN : PMT_EVENT_CALL, 2);
        assert_int_equal(pmt_lanes_urgent(process), i + 1 > PMT_LANE_WORDS / 2);
    }
    drain_lanes();
    assert_false(pmt_lanes_urgent(process));
    assert_int_equal(process->events_taken, 1 + PMT_LANE_WORDS);
}

// ---- hostile programs ----

static void
a_head_too_far(void **state)
{
    pmt_lane_ring_t *ring = pmt_lanes_ring(lanes, 0);
    put_thread(0, TID, 20);
    say(0, PMT_EVENT_CALL, 1);
    drain_lanes();
    atomic_store(&ring->head, 1 + PMT_LANE_WORDS + 1);
    assert_goes_on("call 1");
}

static void
a_head_that_goes_back(void **state)
{
    put_thread(0, TID, 20);
    say(0, PMT_EVENT_CALL, 1);
    say(0, PMT_EVENT_CALL, 2);
    drain_lanes();
    atomic_store(&pmt_lanes_ring(lanes, 0)->head, 1);
    assert_goes_on("call 1, call 2");
}

static void
places_that_do_not_exist(void **state)
{
    static const uint64_t places[] = {0, 1, 5, UINT64_MAX, PMT_LANE_WORDS * 2ull, 1ull << 63};
    put_thread(0, TID, 20);
    say(0, PMT_EVENT_CALL, 1);
    say(0, PMT_EVENT_CALL, 2);
    drain_lanes();
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
        put(0, PMT_RAW_FAULT, PMT_RAW_FAULT_PLACED, 1, FIELDS(trace.t0 + 50, 0x1000, NOWHERE, places[i], UINT64_MAX));
    }
    assert_goes_on("call 1, call 2, fault 4294967295, fault 4294967295, fault 4294967295, fault 4294967295, fault 4294967295, fault 4294967295");
}

static void
lengths_that_cannot_be(void **state)
{
    static const uint32_t lengths[] = {3, PMT_LANE_MORE_MAX + 1, (1 << 20) - 1};
    put_thread(0, TID, 20);
    for (unsigned i = 0; i < 3; i++) {
        say(0, PMT_EVENT_CALL, 1);
        say(0, PMT_EVENT_MORE, PMT_MORE_STACK | lengths[i] << 8);
        say(0, PMT_EVENT_CALL, 2);  // skipped with it
        say(0, PMT_EVENT_CALL, 2);
        drain_lanes();
    }
    assert_goes_on("call 1, call 1, call 1");
}

static void
a_record_across_the_end(void **state)
{
    put_thread(0, TID, 20);
    while (lane_head(0) < PMT_LANE_WORDS - 2) {
        say_raw(0, 0);
    }
    say(0, PMT_EVENT_MORE, PMT_MORE_STACK | 2 << 8);
    say_raw(0, 5);
    say_raw(0, 6);
    assert_goes_on("");
}

static void
records_too_short_or_unknown(void **state)
{
    put_thread(0, TID, 20);
    for (unsigned what = 0; what < 300; what++) {
        say_more(0, what & 0xff, NULL, 0);
    }
    say_more(0, PMT_MORE_LOST, FIELDS(5));
    say_more(0, PMT_MORE_NOTE, FIELDS(PMT_NOTE_MARK));
    say_more(0, PMT_MORE_NOTE, FIELDS(0, 0));
    say_more(0, PMT_MORE_NOTE, FIELDS(PMT_NOTE_LOST, 0));
    say_more(0, PMT_MORE_NOTE, FIELDS(PMT_NOTE_MARK, 9, 0));
    say_more(0, PMT_MORE_NOTE, FIELDS(PMT_NOTE_MARK, UINT64_MAX, 0));
    say(0, 14, 5);
    say(0, 0, 5);
    assert_goes_on("");
}

static void
a_note_of_any_bytes(void **state)
{
    put_thread(0, TID, 20);
    say_more(0, PMT_MORE_NOTE, FIELDS(PMT_NOTE_MARK, 2, 0xfffe));
    drain_lanes();
    read_log();
    assert_int_equal(strncmp(logged.text, "note 1 0, '", 11), 0);
    read_back();
}

static uint64_t state_of_random = 1;

static uint64_t
any_word(void)
{
    state_of_random = state_of_random * 6364136223846793005ull + 1442695040888963407ull;
    uint64_t n = state_of_random >> 20 ^ state_of_random << 40;
    return n % 3 ? (n & ~0xfffffffull) | (n >> 40 & 0x3ff) : n;  // mostly with small payloads, so that frames are met again
}

static void
any_words(void **state)
{
    put_thread(0, TID, 20);
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned i = 0; i < 500; i++) {
            say_raw(0, any_word());
            if (i % 50 == 0) {
                put(0, PMT_RAW_FAULT, PMT_RAW_FAULT_PLACED, 1, FIELDS(trace.t0 + 50, 0x1000, NOWHERE, lane_head(0) - any_word() % 60, any_word() % 5000));
            }
        }
        drain_lanes();
    }
    read_log();  // checks that all of it nests
    assert_true(logged.count > 20000);
}

static void
memory_that_is_no_lanes(void **state)
{
    int fd, small;
    void *memory, *other;
    pmt_lanes_t *made;
    pmt_shared_t *second;
    pmt_process_t *fresh = new_process((uint32_t)getpid(), &second);
    assert_int_equal(pmt_prim_share("small", PMT_LANES_SIZE - 4096, &small, &other), 0);
    assert_int_equal(pmt_lanes_attach(&trace, fresh, small), -EINVAL);
    assert_int_equal(pmt_prim_share("lanes", PMT_LANES_SIZE, &fd, &memory), 0);
    made = memory;
    assert_int_equal(pmt_lanes_attach(&trace, fresh, fd), -EINVAL);  // version 0
    *made = (pmt_lanes_t){.version = PMT_LANES_VERSION, .clock = 2};
    assert_int_equal(pmt_lanes_attach(&trace, fresh, fd), -EINVAL);
    made->clock = PMT_LANE_CLOCK_TSC;
    assert_null(fresh->lanes);
    assert_int_equal(pmt_lanes_attach(&trace, fresh, fd), 0);
    assert_int_equal(pmt_lanes_attach(&trace, fresh, fd), -EINVAL);  // once
    pmt_prim_close_sigsafe(fd);
    pmt_prim_close_sigsafe(small);
    pmt_prim_unmap(memory, PMT_LANES_SIZE);
    pmt_prim_unmap(other, PMT_LANES_SIZE - 4096);
    pmt_prim_unmap(second, PMT_SHARED_SIZE);
}

static void
counters(void **state)
{
    put_thread(0, TID, 20);
    say(0, PMT_EVENT_CALL, 1);
    say(0, PMT_EVENT_RSS, 1);
    say(0, PMT_EVENT_RETURN, 1);
    atomic_store(&lanes->lost, 3);
    drain_lanes();
    pmt_process_counters(&trace, process);
    read_back();
    assert_int_equal(got.counts[PMT_WIRE_COUNTER], 13 + 6 + 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        LANE_TEST(faults_stand_where_they_happened),
        LANE_TEST(a_fault_behind_the_head_that_was_read),
        LANE_TEST(faults_without_a_place_come_when_they_come),
        LANE_TEST(threads_have_frames_and_numbers_of_their_own),
        LANE_TEST(a_slot_changes_hands_amid_its_lane),
        LANE_TEST(the_last_losses_of_a_thread),
        LANE_TEST(losses_that_are_told_already),
        LANE_TEST(losses_of_a_thread_whose_slot_is_taken),
        LANE_TEST(losses_wait_for_what_the_other_ring_tells),
        LANE_TEST(events_without_a_thread_are_skipped),
        LANE_TEST(many_laps),
        LANE_TEST(a_full_lane),
        LANE_TEST(a_head_too_far),
        LANE_TEST(a_head_that_goes_back),
        LANE_TEST(places_that_do_not_exist),
        LANE_TEST(lengths_that_cannot_be),
        LANE_TEST(a_record_across_the_end),
        LANE_TEST(records_too_short_or_unknown),
        LANE_TEST(a_note_of_any_bytes),
        LANE_TEST(any_words),
        LANE_TEST(memory_that_is_no_lanes),
        LANE_TEST(counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
