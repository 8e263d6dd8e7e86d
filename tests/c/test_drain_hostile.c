// From the rings to the trace: records that are wrong or hostile. The file that comes out must always be one that the reader takes.
#define _GNU_SOURCE
#include "drain_support.h"

#include <fcntl.h>
#include <unistd.h>

#include "support.h"

// After anything at all, a new thread in the same slot is recorded as ever.
static void
assert_goes_on(unsigned faults_before)
{
    drain();
    put_thread(0, TID + 9, 500);
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(8, 8)));
    put_fault(0, 0, 3, 510, 0x9000, NOWHERE);
    drain();
    read_back();
    assert_int_equal(got.fault_count, faults_before + 1);
    assert_int_equal(got.faults[faults_before].rise, 3);
    assert_int_equal(got.faults[faults_before].time, 510);
    ASSERT_STACK(faults_before, FRAME(8, 8));
}

static void
length_zero_skips_the_ring(void **state)
{
    put_thread(0, TID, 20);
    put_mere_fault(0);
    put_claiming(0, PMT_RAW_MARK, 0, 1, FIELDS(1, 2), 0);
    put_mere_fault(0);  // lost with it
    assert_goes_on(1);
    assert_int_equal(got.counts[PMT_WIRE_MARK], 0);
}

static void
length_too_long_skips_the_ring(void **state)
{
    put_thread(0, TID, 20);
    put_mere_fault(0);
    for (unsigned i = 0; i < 10; i++) {
        put(0, PMT_RAW_SKIP, 0, 0, FIELDS(0, 0, 0));
    }
    put_claiming(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 0)), PMT_RAW_WORDS_MAX + 1);
    assert_goes_on(1);
}

static void
length_beyond_the_head_skips_the_ring(void **state)
{
    put_thread(0, TID, 20);
    put_mere_fault(0);
    put_claiming(0, PMT_RAW_FAULT, 0, 1, FIELDS(1, 2, 3), 5);
    assert_goes_on(1);
}

static void
length_beyond_the_end_skips_the_ring(void **state)
{
    put_thread(0, TID, 20);
    put_mere_fault(0);
    drain();
    while (PMT_RING_WORDS - head_of(0) % PMT_RING_WORDS > 4) {
        put(0, PMT_RAW_SKIP, 0, 0, NULL, 0);
        if (head_of(0) % 1024 == 0) {
            drain();
        }
    }
    put_claiming(0, PMT_RAW_FAULT, 0, 1, FIELDS(1, 2, 3), 300);
    for (unsigned i = 0; i < 300; i++) {
        put(0, PMT_RAW_SKIP, 0, 0, NULL, 0);
    }
    assert_goes_on(1);
}

static void
unknown_types_are_passed_over(void **state)
{
    static const unsigned types[] = {0, 64, 128, 255, PMT_RAW_SKIP};
    put_thread(0, TID, 20);
    for (unsigned i = 0; i < sizeof types / sizeof *types; i++) {
        put(0, types[i], 0xff, UINT32_MAX, FIELDS(1, 2, 3));
        put_mere_fault(0);
    }
    assert_goes_on(sizeof types / sizeof *types);
}

static void
records_too_short_for_their_type(void **state)
{
    static const struct {
        unsigned type, words;
    } cases[] = {
        {PMT_RAW_FAULT, 1}, {PMT_RAW_FAULT, 2}, {PMT_RAW_FAULT, 3}, {PMT_RAW_CODE, 1}, {PMT_RAW_CODE, 2}, {PMT_RAW_CODE_LINES, 1},
        {PMT_RAW_MARK, 1},  {PMT_RAW_MARK, 2},  {PMT_RAW_PERIOD, 1}, {PMT_RAW_LOST, 1}, {PMT_RAW_THREAD, 1},
    };
    static const uint64_t zeros[4];
    put_thread(0, TID, 20);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(0, cases[i].type, 0, 1, zeros, cases[i].words - 1);
    }
    assert_goes_on(0);
    assert_int_equal(got.counts[PMT_WIRE_THREAD], 2);
    assert_int_equal(got.counts[PMT_WIRE_CODE] + got.counts[PMT_WIRE_CODE_LINES] + got.counts[PMT_WIRE_MARK] + got.counts[PMT_WIRE_PERIOD] +
                         got.counts[PMT_WIRE_LOST], 0);
}

static void
records_before_their_thread(void **state)
{
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 0)));
    put_mere_fault(0);
    put(0, PMT_RAW_LOST, 0, 5, FIELDS(1));
    put_text_record(0, PMT_RAW_THREAD_NAME, 1, NULL, 0, "x", 1);
    assert_goes_on(0);
    assert_int_equal(got.counts[PMT_WIRE_LOST], 0);
}

static void
keep_beyond_the_depth(void **state)
{
    put_thread(0, TID, 20);
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 0), FRAME(2, 0)));
    put(0, PMT_RAW_FRAMES, 0, 3, FIELDS(FRAME(4, 0)));  // not possible: left alone
    put_mere_fault(0);
    put(0, PMT_RAW_FRAMES, 0, UINT32_MAX, FIELDS(FRAME(4, 0)));
    put(0, PMT_RAW_FRAMES, 0, UINT32_MAX, NULL, 0);
    put(0, PMT_RAW_FRAMES, 0, PMT_STACK_MAX, NULL, 0);
    put_mere_fault(0);
    assert_goes_on(2);
    ASSERT_STACK(0, FRAME(2, 0), FRAME(1, 0));
    ASSERT_STACK(1, FRAME(2, 0), FRAME(1, 0));
}

static void
texts_beyond_their_record(void **state)
{
    put_thread(0, TID, 20);
    put_text_record(0, PMT_RAW_CODE, 7, FIELDS(1, (uint64_t)9 << 32), "filename", 8);
    put_text_record(0, PMT_RAW_CODE, 7, FIELDS(1, 9), "filename", 8);
    put_text_record(0, PMT_RAW_CODE, 7, FIELDS(1, (uint64_t)8 << 32 | 1), "filename", 8);
    put_text_record(0, PMT_RAW_CODE, 7, FIELDS(1, UINT64_MAX), "filename", 8);
    put_text_record(0, PMT_RAW_CODE_LINES, 7, FIELDS(9), "filename", 8);
    put_text_record(0, PMT_RAW_CODE_MODULE, 7, FIELDS(9), "filename", 8);
    put_text_record(0, PMT_RAW_CODE_LINES, 7, FIELDS(UINT64_MAX), "filename", 8);
    put_text_record(0, PMT_RAW_THREAD_NAME, 9, NULL, 0, "a name  ", 8);
    put_text_record(0, PMT_RAW_THREAD_NAME, UINT32_MAX, NULL, 0, "a name  ", 8);
    assert_goes_on(0);
    assert_int_equal(got.counts[PMT_WIRE_CODE] + got.counts[PMT_WIRE_CODE_LINES] + got.counts[PMT_WIRE_CODE_MODULE] + got.counts[PMT_WIRE_THREAD_NAME], 0);
}

// Code ids 0 and 0xffffffff mean something of their own in the file; a record must not bring them in where the reader would refuse them.
static void
reserved_code_id_of_a_frame(void **state)
{
    put_thread(0, TID, 20);
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 0), FRAME(PMT_CODE_ROOT, 77), FRAME(2, 0)));
    put_mere_fault(0);
    drain();
    put(0, PMT_RAW_FRAMES, 0, 0, NULL, 0);
    put_mere_fault(0);
    drain();
    read_back();
}

static void
reserved_code_id_of_a_code(void **state)
{
    put_thread(0, TID, 20);
    put_text_record(0, PMT_RAW_CODE, PMT_CODE_ROOT, FIELDS(1, (uint64_t)4 << 32 | 4), "filename", 8);
    put_text_record(0, PMT_RAW_CODE, PMT_CODE_ELIDED, FIELDS(1, (uint64_t)4 << 32 | 4), "filename", 8);
    put_text_record(0, PMT_RAW_CODE_LINES, PMT_CODE_ROOT, FIELDS(4), "\1\1\1\1", 4);
    put_text_record(0, PMT_RAW_CODE_MODULE, PMT_CODE_ROOT, FIELDS(4), "main", 4);
    put_text_record(0, PMT_RAW_CODE_LINES, PMT_CODE_ELIDED, FIELDS(4), "\1\1\1\1", 4);
    assert_goes_on(0);
}

static void
more_rings_used_than_there_are(void **state)
{
    atomic_store(&shared->rings_used, UINT32_MAX);
    put_thread(PMT_RINGS - 1, TID, 20);
    put_mere_fault(PMT_RINGS - 1);
    drain();
    read_back();
    assert_int_equal(got.fault_count, 1);
}

static void
head_further_than_a_ring_is_long(void **state)
{
    // One lap of records is there; a head that claims thousands must not make the recorder read them again and again.
    put_thread(0, TID, 20);
    while (head_of(0) + 3 <= PMT_RING_WORDS) {
        put(0, PMT_RAW_MARK, 0, 1, FIELDS(1, 2));
    }
    while (head_of(0) < PMT_RING_WORDS) {
        put(0, PMT_RAW_SKIP, 0, 0, NULL, 0);
    }
    uint64_t marks = PMT_RING_WORDS / 3;
    atomic_store(&pmt_shared_ring(shared, 0)->head, 1000ull * PMT_RING_WORDS);
    pmt_drain(&trace);
    assert_int_equal(atomic_load(&pmt_shared_ring(shared, 0)->tail), 1000ull * PMT_RING_WORDS);
    read_back();
    assert_true(got.counts[PMT_WIRE_MARK] <= marks);
}

static void
head_that_went_back(void **state)
{
    put_thread(0, TID, 20);
    put_mere_fault(0);
    drain();
    uint64_t head = head_of(0);
    atomic_store(&pmt_shared_ring(shared, 0)->head, head - 1);
    pmt_drain(&trace);
    atomic_store(&pmt_shared_ring(shared, 0)->head, head);
    put_mere_fault(0);
    pmt_drain(&trace);
    read_back();
    assert_in_range(got.fault_count, 1, 2);
}

static void
noise(void **state)
{
    // Words at random with plausible lengths, laps of them: whatever they make, the reader takes it.
    uint64_t random = 1;
    put_thread(0, TID, 20);
    for (int i = 0; i < 3000; i++) {
        uint64_t fields[12];
        for (unsigned f = 0; f < 12; f++) {
            random = random * 6364136223846793005ull + 1442695040888963407ull;
            fields[f] = (random >> 32) % 3 ? random >> (random >> 58) : FRAME(1 + random % 9, random >> 60);
            fields[f] |= FRAME(1, 0);  // but code ids are not 0: that is another test
        }
        unsigned count = (unsigned)(random >> 40) % 12, type = (unsigned)(random >> 50) % 13;
        put(0, type, (unsigned)(random >> 20) & 0xff, 1 + (uint32_t)(random >> 30) % 40, fields, count);
        if (i % 100 == 0) {
            drain();
        }
    }
    drain();
    read_back();
    assert_true(got.fault_count > 100);
}

static void
not_such_memory(void **state)
{
    // A descriptor of something shorter would be mapped, and end the recorder with SIGBUS at the first look.
    pmt_hello_t hello = {.kind = PMT_MESSAGE_HELLO, .version = PMT_SHARED_VERSION, .pid = (uint32_t)getpid(), .time = trace.t0};
    int short_file = pmt_test_file_of("short", 5), ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_null(pmt_process_greeted(&trace, &hello, -1));
    assert_null(pmt_process_greeted(&trace, &hello, ends[0]));
    close(ends[0]);
    close(ends[1]);
    pmt_process_t *made = pmt_process_greeted(&trace, &hello, short_file);
    close(short_file);
    assert_null(made);
    assert_ptr_equal(trace.processes, process);
    assert_int_equal(trace.process_count, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DRAIN_TEST(length_zero_skips_the_ring),
        DRAIN_TEST(length_too_long_skips_the_ring),
        DRAIN_TEST(length_beyond_the_head_skips_the_ring),
        DRAIN_TEST(length_beyond_the_end_skips_the_ring),
        DRAIN_TEST(unknown_types_are_passed_over),
        DRAIN_TEST(records_too_short_for_their_type),
        DRAIN_TEST(records_before_their_thread),
        DRAIN_TEST(keep_beyond_the_depth),
        DRAIN_TEST(texts_beyond_their_record),
        DRAIN_TEST(reserved_code_id_of_a_frame),
        DRAIN_TEST(reserved_code_id_of_a_code),
        DRAIN_TEST(more_rings_used_than_there_are),
        DRAIN_TEST(head_further_than_a_ring_is_long),
        DRAIN_TEST(head_that_went_back),
        DRAIN_TEST(noise),
        DRAIN_TEST(not_such_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
