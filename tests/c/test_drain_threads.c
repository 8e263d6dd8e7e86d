// Threads that put events and faults as fast as they can, and the recorder that drains them meanwhile: nothing is lost, and every fault stands where it happened. For the
// thread sanitizer too.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>

#include "events_support.h"

enum { THREADS = 2, EVENTS = 4 * PMT_LANE_WORDS, FAULT_EVERY = 61 };

static void
wait_for_room(unsigned slot)
{
    while (lane_head(slot) - atomic_load(&pmt_lanes_ring(lanes, slot)->tail) >= PMT_LANE_WORDS ||
           head_of(slot) - atomic_load(&pmt_shared_ring(shared, slot)->tail) > PMT_RING_WORDS - 64) {
        sched_yield();
    }
}

static void *
produce(void *argument)
{
    unsigned slot = (unsigned)(uintptr_t)argument;
    for (unsigned i = 0; i < EVENTS; i++) {
        wait_for_room(slot);
        if (i % FAULT_EVERY == 0) {
            put_placed_fault(slot, 1 + i);
        }
        say(slot, i % 2 ? PMT_EVENT_RETURN : PMT_EVENT_CALL, 5 + slot);
    }
    return NULL;
}

static void
nothing_is_lost_or_misplaced(void **state)
{
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        put_thread(i, TID + i, 20);
    }
    pmt_drain(&trace);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, produce, (void *)(uintptr_t)i), 0);
    }
    while (process->events_taken < (uint64_t)THREADS * EVENTS) {
        pmt_drain(&trace);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pmt_drain(&trace);
    read_log();
    assert_int_equal(logged.count, THREADS * EVENTS);
    assert_int_equal(logged.faults, THREADS * ((EVENTS + FAULT_EVERY - 1) / FAULT_EVERY));
    for (unsigned i = 0; i < logged.faults; i++) {
        assert_int_equal(logged.fault_rss[i], 1 + logged.fault_after[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {LANE_TEST(nothing_is_lost_or_misplaced)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
