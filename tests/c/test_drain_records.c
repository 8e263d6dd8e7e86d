// From the rings to the trace: each kind of record, right as our handler writes it.
#define _GNU_SOURCE
#include "drain_support.h"

#include <string.h>
#include <unistd.h>

#include "prim/prim.h"

static void
one_fault(void **state)
{
    put_thread(0, TID, 20);
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 10), FRAME(2, 20)));
    put_fault(0, PMT_RAW_FAULT_BY_TIME | 3, 7, 40, 0x7fff0000, NOWHERE);
    drain();
    read_back();
    assert_int_equal(got.counts[PMT_WIRE_PROCESS], 1);
    assert_int_equal(got.last[PMT_WIRE_PROCESS].u.process.pid, getpid());
    assert_int_equal(got.last[PMT_WIRE_PROCESS].u.process.parent, 1);
    assert_int_equal(got.last[PMT_WIRE_PROCESS].time, 5);
    assert_true(got.counts[PMT_WIRE_MODULE] > 0);
    assert_int_equal(got.counts[PMT_WIRE_THREAD], 1);
    assert_int_equal(got.last[PMT_WIRE_THREAD].u.thread.tid, TID);
    assert_int_equal(got.last[PMT_WIRE_THREAD].time, 20);
    assert_int_equal(got.fault_count, 1);
    const fault_t *fault = &got.faults[0];
    assert_int_equal(fault->thread, 0);
    assert_int_equal(fault->process, 0);
    assert_int_equal(fault->time, 40);
    assert_int_equal(fault->address, 0x7fff0000);
    assert_int_equal(fault->rise, 7);
    assert_int_equal(fault->weight, 8);
    assert_int_equal(fault->instruction, NOWHERE);
    assert_int_equal(fault->module, 0);
    assert_true(fault->by_time);
    assert_false(fault->async);
    ASSERT_STACK(0, FRAME(2, 20), FRAME(1, 10));
    assert_int_equal(got.counts[PMT_WIRE_ROUND], 1);
    assert_true(got.last[PMT_WIRE_ROUND].time > 1000000);
    assert_int_equal(atomic_load(&shared->progress), 1);
}

static void
nothing_to_drain(void **state)
{
    assert_false(pmt_drain(&trace));
    assert_int_equal(atomic_load(&shared->progress), 0);
    read_back();
    assert_int_equal(got.counts[PMT_WIRE_ROUND], 0);
}

static void
flags_and_weights(void **state)
{
    static const unsigned flags[] = {0, 0, 1, PMT_RAW_FAULT_ASYNC | 1, PMT_RAW_FAULT_BY_TIME | PMT_RAW_FAULT_ASYNC | 15, 0x80 | 6, PMT_RAW_FAULT_TICK, 0};
    put_thread(0, TID, 20);
    for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++) {
        put_fault(0, flags[i], i, 60 - i, 0x1000 * i, 0x10 * i);  // times may go back
    }
    drain();
    read_back();
    assert_int_equal(got.fault_count, sizeof flags / sizeof *flags);
    for (unsigned i = 0; i < got.fault_count; i++) {
        const fault_t *fault = &got.faults[i];
        assert_int_equal(fault->rise, i);
        assert_int_equal(fault->time, 60 - i);
        assert_int_equal(fault->address, 0x1000 * i);
        assert_int_equal(fault->instruction, 0x10 * i);
        assert_int_equal(fault->weight, 1u << (flags[i] & 15));
        assert_int_equal(fault->by_time, (flags[i] & PMT_RAW_FAULT_BY_TIME) != 0);
        assert_int_equal(fault->async, (flags[i] & PMT_RAW_FAULT_ASYNC) != 0);
        assert_int_equal(fault->tick, (flags[i] & PMT_RAW_FAULT_TICK) != 0);
    }
    assert_int_equal(got.counts[PMT_WIRE_WEIGHT], 4);  // only where it changes
}

static void
extreme_fields(void **state)
{
    put(0, PMT_RAW_THREAD, 0, UINT32_MAX, FIELDS(0));  // before the trace began: its beginning
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(UINT32_MAX - 1, UINT32_MAX)));
    put(0, PMT_RAW_FAULT, 0, UINT32_MAX, FIELDS(UINT64_MAX, UINT64_MAX, UINT64_MAX));
    put(0, PMT_RAW_FAULT, 0, 0, FIELDS(0, 0, 0));
    put(0, PMT_RAW_MARK, 0, PMT_MARK_END, FIELDS(UINT64_MAX, UINT64_MAX));
    put(0, PMT_RAW_PERIOD, 0, UINT32_MAX, FIELDS(UINT64_MAX));
    put(0, PMT_RAW_LOST, 0, UINT32_MAX, FIELDS(UINT64_MAX));
    drain();
    read_back();
    assert_int_equal(got.last[PMT_WIRE_THREAD].time, 0);
    assert_int_equal(got.last[PMT_WIRE_THREAD].u.thread.tid, UINT32_MAX);
    assert_int_equal(got.faults[0].rise, UINT32_MAX);
    assert_int_equal(got.faults[0].time, UINT64_MAX - trace.t0);
    assert_int_equal(got.faults[0].address, UINT64_MAX);
    assert_int_equal(got.faults[0].instruction, UINT64_MAX);
    ASSERT_STACK(0, FRAME(UINT32_MAX - 1, UINT32_MAX));
    assert_int_equal(got.faults[1].time, 0);
    assert_int_equal(got.faults[1].address, 0);
    assert_int_equal(got.faults[1].instruction, 0);
    assert_int_equal(got.last[PMT_WIRE_MARK].u.mark.rss, UINT64_MAX);
    assert_int_equal(got.last[PMT_WIRE_MARK].u.mark.kind, PMT_MARK_END);
    assert_int_equal(got.last[PMT_WIRE_PERIOD].u.period.period, UINT32_MAX);
    assert_int_equal(got.last[PMT_WIRE_LOST].u.lost.count, UINT32_MAX);
    assert_int_equal(got.last[PMT_WIRE_LOST].time, UINT64_MAX - trace.t0);
}

static void
texts(void **state)
{
    static const char names[] = "/a/caf\xe9.pyA.f";  // the file name is no UTF-8
    put_thread(0, TID, 20);
    put_text_record(0, PMT_RAW_CODE, 7, FIELDS(33, (uint64_t)10 << 32 | 3), names, 13);
    put_text_record(0, PMT_RAW_CODE_LINES, 7, FIELDS(3), "\1\2\3", 3);
    put_text_record(0, PMT_RAW_CODE_LINES, 7, FIELDS(9), "\4\5\6\7\x80\xff\0\1\2", 9);
    put_text_record(0, PMT_RAW_CODE_MODULE, 7, FIELDS(9), "package.m", 9);
    put_text_record(0, PMT_RAW_THREAD_NAME, 6, NULL, 0, "worker", 6);
    drain();
    read_back();
    assert_int_equal(got.last[PMT_WIRE_CODE].u.code.id, 7);
    assert_int_equal(got.last[PMT_WIRE_CODE].u.code.first_line, 33);
    assert_string_equal(got.text[0], "/a/caf\xed\xb3\xa9.py");
    assert_string_equal(got.text[1], "A.f");
    assert_string_equal(got.module, "package.m");
    assert_int_equal(got.lines_size, 12);
    assert_memory_equal(got.lines, "\1\2\3\4\5\6\7\x80\xff\0\1\2", 12);
    assert_string_equal(got.names[0], "worker");
    assert_true(process->consumers[0].named);
}

// The kernel's name stands until Python's is known.
static void
two_names(void **state)
{
    static const uint64_t kernels[2] = {0x6c656e72656b};  // "kernel"
    put_thread(0, TID, 20);
    put(0, PMT_RAW_THREAD_NAME, 1, 6, kernels, 1);
    drain();
    assert_false(process->consumers[0].named);
    put_thread(1, TID + 1, 21);
    put_text_record(1, PMT_RAW_THREAD_NAME, 6, NULL, 0, "Python", 6);
    put(1, PMT_RAW_THREAD_NAME, 1, 6, kernels, 1);
    drain();
    read_back();
    assert_string_equal(got.names[0], "kernel");
    assert_string_equal(got.names[1], "Python");
}

static void
texts_that_fill_their_record(void **state)
{
    static char text[8 * PMT_RAW_WORDS_MAX];
    memset(text, 'x', sizeof text);
    put_thread(0, TID, 20);
    put_text_record(0, PMT_RAW_CODE, 7, FIELDS(1, (uint64_t)4000 << 32 | 72), text, 4072);
    put_text_record(0, PMT_RAW_CODE, 7, FIELDS(1, 0), "", 0);
    put_text_record(0, PMT_RAW_CODE_LINES, 7, FIELDS(4080), text, 4080);
    put_text_record(0, PMT_RAW_CODE_LINES, 7, FIELDS(0), "", 0);
    put_text_record(0, PMT_RAW_THREAD_NAME, 0, NULL, 0, "", 0);
    drain();
    read_back();
    assert_int_equal(got.counts[PMT_WIRE_CODE], 2);
    assert_string_equal(got.text[0], "");
    assert_int_equal(got.lines_size, 4080);
    assert_string_equal(got.names[0], "");
}

static void
moves(void **state)
{
    uint64_t page = pmt_prim_page_size_sigsafe(), beyond = (UINT64_C(1) << PMT_WIRE_ADDRESS_BITS) * page;
    put_thread(0, TID, 20);
    put(0, PMT_RAW_MOVE, 0, 0, FIELDS(trace.t0 + 30, 5 * page, 900 * page, 7 * page));
    put(0, PMT_RAW_MOVE, 0, 0, FIELDS(trace.t0 + 40, beyond - page, page, 2 * page));  // these are not written by our handler
    put(0, PMT_RAW_MOVE, 0, 0, FIELDS(trace.t0 + 40, page, beyond - page, 2 * page));
    put(0, PMT_RAW_MOVE, 0, 0, FIELDS(trace.t0 + 40, page, 9 * page, 0));
    drain();
    read_back();
    assert_int_equal(got.counts[PMT_WIRE_MOVE], 1);
    const pmt_record_t *move = &got.last[PMT_WIRE_MOVE];
    assert_int_equal(move->time, 30);
    assert_int_equal(move->u.move.thread, 0);
    assert_int_equal(move->u.move.from, 5);
    assert_int_equal(move->u.move.to, 900);
    assert_int_equal(move->u.move.pages, 7);
}

static void
releases(void **state)
{
    uint64_t page = pmt_prim_page_size_sigsafe();
    put_thread(0, TID, 20);
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 10), FRAME(2, 20)));
    put(0, PMT_RAW_RELEASE, PMT_RELEASE_BRK, 6, FIELDS(trace.t0 + 30, 5 * page, 7 * page));
    put(0, PMT_RAW_RELEASE, 0, 6, FIELDS(trace.t0 + 40, 5 * page, 7 * page));  // these are not written by our handler
    put(0, PMT_RAW_RELEASE, PMT_RELEASE_MREMAP + 1, 6, FIELDS(trace.t0 + 40, 5 * page, 7 * page));
    put(0, PMT_RAW_RELEASE, PMT_RELEASE_BRK, 6, FIELDS(trace.t0 + 40, 5 * page, 0));
    put(0, PMT_RAW_FAULT, 0, 1, FIELDS(trace.t0 + 50, 0x1000, NOWHERE));
    drain();
    read_back();
    assert_int_equal(got.counts[PMT_WIRE_RELEASE], 1);
    const pmt_record_t *release = &got.last[PMT_WIRE_RELEASE];
    assert_int_equal(release->time, 30);
    assert_int_equal(release->u.release.thread, 0);
    assert_int_equal(release->u.release.what, PMT_RELEASE_BRK);
    assert_int_equal(release->u.release.first, 5);
    assert_int_equal(release->u.release.pages, 7);
    assert_int_equal(release->u.release.fell, 6);
    assert_true(release->u.release.node > 0);
    ASSERT_STACK(0, FRAME(2, 20), FRAME(1, 10));
}

static void
what_rss_fell_to(void **state)
{
    put_thread(0, TID, 20);
    put(0, PMT_RAW_FELL, 0, 700, NULL, 0);
    put_fault(0, 0, 1, 50, 0x1000, 0);
    put_fault(0, 0, 1, 51, 0x2000, 0);  // it is of one fault
    put(0, PMT_RAW_FELL, 0, 600, NULL, 0);  // of a fault that found no room
    put(0, PMT_RAW_LOST, 0, 1, FIELDS(52));
    put_fault(0, 0, 1, 53, 0x3000, 0);
    drain();
    read_back();
    assert_int_equal(got.fault_count, 3);
    assert_true(got.faults[0].fell);
    assert_int_equal(got.faults[0].fell_to, 700);
    assert_false(got.faults[1].fell);
    assert_false(got.faults[2].fell);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DRAIN_TEST(one_fault),
        DRAIN_TEST(nothing_to_drain),
        DRAIN_TEST(flags_and_weights),
        DRAIN_TEST(extreme_fields),
        DRAIN_TEST(texts),
        DRAIN_TEST(two_names),
        DRAIN_TEST(texts_that_fill_their_record),
        DRAIN_TEST(moves),
        DRAIN_TEST(releases),
        DRAIN_TEST(what_rss_fell_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
