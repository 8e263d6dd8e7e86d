// When the recorder reads RSS more often than every tick: a recorder whose program is this process.
#include "drain_support.h"

#include <string.h>

static const size_t MEMORY = 8 << 20;

static uint64_t
samples(void)
{
    memset(&got, 0, sizeof got);
    read_back();
    return got.counts[PMT_WIRE_SAMPLE];
}

// A fault now, of a signal that stands for 1 << period_log.
static void
fault(unsigned period_log)
{
    put_thread(0, TID, trace.t0 + 1);
    put_fault(0, period_log, 1, pmt_prim_now_ns_sigsafe(), 0x7000, NOWHERE);
    drain();
}

static void
not_where_each_fault_has_its_signal(void **state)
{
    assert_int_equal(pmt_sample_peaks(&trace), UINT64_MAX);
    fault(0);
    assert_int_equal(pmt_sample_peaks(&trace), UINT64_MAX);
    assert_int_equal(process->statm_fd, PMT_NOT_OPENED);
}

static void
a_new_highest_is_sampled(void **state)
{
    fault(3);
    uint64_t before = pmt_prim_now_ns_sigsafe(), next = pmt_sample_peaks(&trace);
    assert_in_range(next, before + 1, before + 100 * 1000000u);
    pmt_sample_peaks(&trace);  // it has not risen
    assert_int_equal(samples(), 1);
    void *memory;
    int fd;
    assert_int_equal(pmt_prim_share("pmt-test", MEMORY, &fd, &memory), 0);
    memset(memory, 1, MEMORY);
    pmt_sample_peaks(&trace);
    assert_int_equal(samples(), 2);
    pmt_prim_unmap(memory, MEMORY);
    pmt_prim_close_sigsafe(fd);
    pmt_sample_peaks(&trace);  // it has fallen
    assert_int_equal(samples(), 2);
}

// Of a higher reading at a fault the trace tells by itself.
static void
not_what_a_fault_has_seen(void **state)
{
    atomic_store(&shared->rss_peak_pages, UINT64_C(1) << 30);
    fault(3);
    assert_true(pmt_sample_peaks(&trace) != UINT64_MAX);
    assert_int_equal(samples(), 0);
}

static void
no_longer_than_there_are_such_signals(void **state)
{
    fault(3);
    process->many_at -= 1000 * 1000000u;
    assert_int_equal(pmt_sample_peaks(&trace), UINT64_MAX);
    process->many_at = UINT64_MAX;  // a hostile program's
    assert_int_equal(pmt_sample_peaks(&trace), UINT64_MAX);
    assert_int_equal(samples(), 0);
}

static void
not_of_one_that_is_gone(void **state)
{
    fault(3);
    process->ended = true;
    assert_int_equal(pmt_sample_peaks(&trace), UINT64_MAX);
    process->ended = false;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DRAIN_TEST(not_where_each_fault_has_its_signal), DRAIN_TEST(a_new_highest_is_sampled),     DRAIN_TEST(not_what_a_fault_has_seen),
        DRAIN_TEST(no_longer_than_there_are_such_signals), DRAIN_TEST(not_of_one_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
