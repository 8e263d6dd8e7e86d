// From the rings to the trace: stacks, sent as what changed and numbered.
#include "drain_support.h"

static void
keep_and_push(void **state)
{
    put_thread(0, TID, 20);
    put_mere_fault(0);  // no Python frame
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 0), FRAME(2, 0), FRAME(3, 0)));
    put_mere_fault(0);
    put(0, PMT_RAW_FRAMES, 0, 2, FIELDS(FRAME(3, 8)));  // the innermost moved on
    put_mere_fault(0);
    put(0, PMT_RAW_FRAMES, 0, 3, FIELDS(FRAME(4, 0), FRAME(5, 0)));  // calls
    put_mere_fault(0);
    put(0, PMT_RAW_FRAMES, 0, 1, NULL, 0);  // returns
    put_mere_fault(0);
    put_mere_fault(0);  // the same stack
    put(0, PMT_RAW_FRAMES, 0, 1, FIELDS(FRAME(2, 0), FRAME(3, 0)));  // one seen before
    put_mere_fault(0);
    put(0, PMT_RAW_FRAMES, 0, 0, NULL, 0);
    put_mere_fault(0);
    drain();
    read_back();
    assert_int_equal(got.fault_count, 8);
    assert_int_equal(got.faults[0].depth, 0);
    ASSERT_STACK(1, FRAME(3, 0), FRAME(2, 0), FRAME(1, 0));
    ASSERT_STACK(2, FRAME(3, 8), FRAME(2, 0), FRAME(1, 0));
    ASSERT_STACK(3, FRAME(5, 0), FRAME(4, 0), FRAME(3, 8), FRAME(2, 0), FRAME(1, 0));
    ASSERT_STACK(4, FRAME(1, 0));
    ASSERT_STACK(5, FRAME(1, 0));
    ASSERT_STACK(6, FRAME(3, 0), FRAME(2, 0), FRAME(1, 0));
    assert_int_equal(got.faults[7].depth, 0);
    assert_int_equal(got.counts[PMT_WIRE_NODE], 1 + 3 + 1 + 2);  // each stack is defined once
}

static void
frames_without_faults_in_between(void **state)
{
    // The stack is followed at every FRAMES, but named only when there is a fault.
    put_thread(0, TID, 20);
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 0), FRAME(2, 0)));
    put_mere_fault(0);
    put(0, PMT_RAW_FRAMES, 0, 2, FIELDS(FRAME(3, 0), FRAME(4, 0)));
    put(0, PMT_RAW_FRAMES, 0, 1, FIELDS(FRAME(5, 0)));
    put(0, PMT_RAW_FRAMES, 0, 2, FIELDS(FRAME(6, 0), FRAME(7, 0)));
    put_mere_fault(0);
    drain();
    read_back();
    ASSERT_STACK(1, FRAME(7, 0), FRAME(6, 0), FRAME(5, 0), FRAME(1, 0));
}

static void
deepest_stack(void **state)
{
    put_thread(0, TID, 20);
    for (uint32_t depth = 0; depth < PMT_STACK_MAX;) {  // in pieces, as a record cannot hold it
        uint64_t frames[500];
        uint32_t count = PMT_STACK_MAX - depth < 500 ? PMT_STACK_MAX - depth : 500;
        for (uint32_t i = 0; i < count; i++) {
            frames[i] = depth + i == PMT_STACK_OUTER ? FRAME(PMT_CODE_ELIDED, 12345) : FRAME(1 + depth + i, 2 * i);
        }
        put(0, PMT_RAW_FRAMES, 0, depth, frames, count);
        depth += count;
        drain();
    }
    put_mere_fault(0);
    put(0, PMT_RAW_FRAMES, 0, PMT_STACK_MAX, FIELDS(FRAME(9, 9)));  // one too many: left alone
    put_mere_fault(0);
    drain();
    read_back();
    assert_int_equal(got.faults[0].depth, PMT_STACK_MAX);
    assert_int_equal(got.faults[1].depth, PMT_STACK_MAX);
    assert_int_equal(got.faults[0].stack_hash, got.faults[1].stack_hash);
    assert_int_equal(got.faults[0].frames[0] >> 32, PMT_STACK_MAX);
}

// ---- the node table full ----

static void
nodes_start_over(void **state)
{
    // Two threads whose stacks never repeat until the numbers of nodes have started over at least twice. No stack may be mixed up on the way.
    enum { PUSHED = 400, MAX_EVENTS = 2000 };
    static uint64_t expected[2 * MAX_EVENTS];
    uint32_t code = 1, events = 0;
    put_thread(0, TID, 20);
    put_thread(1, TID + 1, 20);
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 1)));  // the outermost frame of each stays for ever
    put(1, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 2), FRAME(1, 3)));
    for (; events < MAX_EVENTS; events++) {
        uint64_t frames[PUSHED], hash = 0;
        unsigned slot = events % 2;
        for (unsigned i = 0; i < PUSHED; i++) {
            frames[i] = FRAME(++code, i);
        }
        put(slot, PMT_RAW_FRAMES, 0, 1 + slot, frames, PUSHED);
        put_mere_fault(slot);
        put_mere_fault(slot);  // SAME_NODE must not reach over a reset
        for (unsigned i = PUSHED; i-- > 0;) {
            hash = hash_frame(hash, frames[i]);
        }
        hash = slot ? hash_frame(hash_frame(hash, FRAME(1, 3)), FRAME(1, 2)) : hash_frame(hash, FRAME(1, 1));
        expected[2 * events] = expected[2 * events + 1] = hash;
        drain();
    }
    assert_true(code > 3 * (1u << 17));
    read_back();
    assert_true(got.counts[PMT_WIRE_NODE_RESET] >= 2);
    assert_int_equal(got.fault_count, 2 * MAX_EVENTS);
    for (uint32_t i = 0; i < 2 * MAX_EVENTS; i++) {
        assert_int_equal(got.faults[i].thread, i / 2 % 2);
        assert_int_equal(got.faults[i].depth, PUSHED + 1 + i / 2 % 2);
        assert_int_equal(got.faults[i].stack_hash, expected[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DRAIN_TEST(keep_and_push),
        DRAIN_TEST(frames_without_faults_in_between),
        DRAIN_TEST(deepest_stack),
        DRAIN_TEST(nodes_start_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
