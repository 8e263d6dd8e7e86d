// From the rings to the trace: several rings, threads and processes, and many laps of a ring.
#define _GNU_SOURCE
#include "drain_support.h"

#include <unistd.h>

static void
several_rings(void **state)
{
    for (unsigned slot = 0; slot < 4; slot++) {
        put_thread(slot, TID + slot, 20 + slot);
        put(slot, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 0), FRAME(10 + slot, 0)));
        put_fault(slot, slot, slot, 100 + slot, 0x1000 * slot, NOWHERE);
    }
    drain();
    for (unsigned slot = 4; slot-- > 0;) {  // a second round: each goes on where it was
        put_fault(slot, slot, 1, 200 + slot, 0x1000 * slot + 0x100000, NOWHERE);
        put(slot, PMT_RAW_FRAMES, 0, 1, NULL, 0);
        put_fault(slot, slot, 1, 300 + slot, 0x1000 * slot + 0x200000, NOWHERE);
    }
    drain();
    read_back();
    assert_int_equal(got.fault_count, 12);
    assert_int_equal(got.counts[PMT_WIRE_THREAD], 4);
    assert_int_equal(got.counts[PMT_WIRE_BATCH], 8);
    assert_int_equal(got.counts[PMT_WIRE_ROUND], 2);
    for (unsigned slot = 0; slot < 4; slot++) {
        const fault_t *first = &got.faults[slot], *second = &got.faults[4 + 2 * slot], *third = second + 1;
        assert_int_equal(first->thread, slot);
        assert_int_equal(first->time, 100 + slot);
        assert_int_equal(first->weight, 1u << slot);
        assert_int_equal(second->thread, slot);
        assert_int_equal(second->time, 200 + slot);
        assert_int_equal(second->address, 0x1000 * slot + 0x100000);
        assert_int_equal(second->weight, 1u << slot);
        ASSERT_STACK(slot, FRAME(10 + slot, 0), FRAME(1, 0));
        ASSERT_STACK(4 + 2 * slot, FRAME(10 + slot, 0), FRAME(1, 0));
        ASSERT_STACK(4 + 2 * slot + 1, FRAME(1, 0));
        assert_int_equal(third->address, 0x1000 * slot + 0x200000);
    }
}

static void
slot_changes_hands(void **state)
{
    put_thread(0, TID, 20);
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 0)));
    put_fault(0, 4, 1, 100, 0x5000, NOWHERE);
    put_text_record(0, PMT_RAW_THREAD_NAME, 3, NULL, 0, "old", 3);
    put_thread(0, TID + 1, 200);
    put_fault(0, 0, 1, 210, 0x6000, NOWHERE);
    drain();
    read_back();
    assert_int_equal(got.counts[PMT_WIRE_THREAD], 2);
    assert_int_equal(got.faults[1].thread, 1);
    assert_int_equal(got.faults[1].depth, 0);  // its stack is empty, its weight 1
    assert_int_equal(got.faults[1].weight, 1);
    assert_int_equal(got.faults[1].time, 210);
    assert_int_equal(got.faults[1].address, 0x6000);
    assert_string_equal(got.names[0], "old");
    assert_false(process->consumers[0].named);
}

static void
two_processes(void **state)
{
    pmt_shared_t *first = shared, *second;
    pmt_process_t *other = new_process((uint32_t)getpid(), &second);
    assert_int_equal(other->number, 1);
    for (int i = 0; i < 2; i++, shared = second) {
        put_thread(0, TID + (uint32_t)i, 20);
        put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 0)));
        put_mere_fault(0);
    }
    drain();
    shared = first;
    pmt_prim_unmap(second, PMT_SHARED_SIZE);
    read_back();
    assert_int_equal(got.fault_count, 2);
    for (int i = 0; i < 2; i++) {  // the same frame of two processes is not the same
        assert_int_equal(got.faults[i].process, got.faults[i].thread == 0 ? got.faults[0].process : got.faults[1].process);
        ASSERT_STACK(i, FRAME(1, 0));
    }
    assert_int_not_equal(got.faults[0].process, got.faults[1].process);
    assert_int_equal(got.counts[PMT_WIRE_NODE], 4);
}

static void
round_waits_for_events_being_recorded(void **state)
{
    put_thread(0, TID, 20);
    atomic_store(&pmt_shared_ring(shared, 3)->writing, 1);
    put_mere_fault(0);
    drain();
    uint64_t watermark = trace.watermark;
    atomic_store(&pmt_shared_ring(shared, 3)->writing, 0);
    put_mere_fault(0);
    drain();
    assert_true(trace.watermark > watermark);
    read_back();
    assert_int_equal(got.counts[PMT_WIRE_ROUND], 1);
    assert_int_equal(got.last[PMT_WIRE_ROUND].time, trace.watermark);
}

static void
many_laps(void **state)
{
    // 100 laps of the ring: fillers, ends and wraps, drained at odd moments.
    uint64_t expected[3] = {0};
    unsigned faults = 0;
    put_thread(0, TID, 20);
    for (uint32_t i = 0; faults < 4000; i++) {
        uint64_t frames[300];
        unsigned count = i * 37 % 300;
        for (unsigned f = 0; f < count; f++) {
            frames[f] = FRAME(1 + f % 50, 2 * f);
        }
        put(0, PMT_RAW_FRAMES, 0, 0, frames, count);
        put_fault(0, 0, i % 5, 100 + i, 0x1000 * i, 64 * (i % 100));
        expected[0] += i % 5;
        expected[1] += 0x1000ull * i;
        expected[2] += count;
        faults++;
        if (i % 11 == 0) {
            drain();
        }
    }
    drain();
    assert_true(head_of(0) > 100ull * PMT_RING_WORDS);
    read_back();
    assert_int_equal(got.fault_count, faults);
    for (unsigned i = 0; i < faults; i++) {
        expected[0] -= got.faults[i].rise;
        expected[1] -= got.faults[i].address;
        expected[2] -= got.faults[i].depth;
        assert_int_equal(got.faults[i].instruction, 64 * (i % 100));
    }
    assert_int_equal(expected[0], 0);
    assert_int_equal(expected[1], 0);
    assert_int_equal(expected[2], 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DRAIN_TEST(several_rings),
        DRAIN_TEST(slot_changes_hands),
        DRAIN_TEST(two_processes),
        DRAIN_TEST(round_waits_for_events_being_recorded),
        DRAIN_TEST(many_laps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
