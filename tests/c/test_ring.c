// The producer's end of a ring against a consumer written here from format/records.h: what is read is what was reserved, once and in order, whatever the two do
// to each other. Also run under ThreadSanitizer.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "capture/ring.h"
#include "prim/prim.h"

enum { TYPE = 77, MILLISECOND = 1000000 };

static pmt_shared_t *shared;
static pmt_ring_t *ring;
static pmt_producer_t producer;

static int
new_ring(void **state)
{
    int fd;
    void *memory;
    if (pmt_prim_share("pmt-test", PMT_SHARED_SIZE, &fd, &memory) < 0) {
        return -1;
    }
    pmt_prim_close_sigsafe(fd);
    shared = memory;
    ring = pmt_shared_ring(shared, 5);
    pmt_producer_init(&producer, shared, 5);
    return 0;
}

static int
free_ring(void **state)
{
    pmt_prim_unmap(shared, PMT_SHARED_SIZE);
    return 0;
}

// ---- the other end ----

static uint64_t
head(void)
{
    return atomic_load_explicit(&ring->head, memory_order_acquire);
}

static uint64_t
tail(void)
{
    return atomic_load_explicit(&ring->tail, memory_order_relaxed);
}

// Takes the next published record, fillers passed over; false: there is none.
static bool
take(pmt_raw_t *raw, uint64_t record[PMT_RAW_WORDS_MAX])
{
    for (uint64_t at = tail(); at < head();) {
        const uint64_t *word = pmt_shared_words(shared, 5) + at % PMT_RING_WORDS;
        memcpy(raw, word, sizeof *raw);
        assert_in_range(raw->words, 1, PMT_RAW_WORDS_MAX);
        assert_true(raw->words <= head() - at);
        assert_true(at % PMT_RING_WORDS + raw->words <= PMT_RING_WORDS);
        memcpy(record, word, raw->words * sizeof *record);
        at += raw->words;
        atomic_store_explicit(&ring->tail, at, memory_order_release);
        if (raw->type != PMT_RAW_SKIP) {
            return true;
        }
        assert_int_equal(at % PMT_RING_WORDS, 0);  // a filler ends where the ring ends
    }
    return false;
}

static void
progressed(void)
{
    atomic_fetch_add_explicit(&shared->progress, 1, memory_order_seq_cst);
    pmt_prim_wake_sigsafe(&shared->progress);
}

// Records as long as `words` whose words follow from `sequence`.
static bool
put(uint32_t sequence, unsigned words)
{
    uint64_t *record = pmt_ring_reserve(&producer, TYPE, sequence & 0xff, sequence, words);
    for (unsigned i = 1; record && i < words; i++) {
        record[i] = (uint64_t)sequence << 16 | i;
    }
    return record != NULL;
}

static void
assert_takes(uint32_t sequence, unsigned words)
{
    pmt_raw_t raw;
    uint64_t record[PMT_RAW_WORDS_MAX];
    assert_true(take(&raw, record));
    assert_int_equal(raw.type, TYPE);
    assert_int_equal(raw.flags, sequence & 0xff);
    assert_int_equal(raw.arg, sequence);
    assert_int_equal(raw.words, words);
    for (unsigned i = 1; i < words; i++) {
        assert_int_equal(record[i], (uint64_t)sequence << 16 | i);
    }
}

static void
assert_takes_nothing(void)
{
    pmt_raw_t raw;
    uint64_t record[PMT_RAW_WORDS_MAX];
    assert_false(take(&raw, record));
}

// Puts and takes one record that brings the ring's position to `words` before its end.
static void
go_to_end_less(unsigned words)
{
    uint32_t sequence = 0;
    while (PMT_RING_WORDS - head() % PMT_RING_WORDS > words) {
        uint64_t left = PMT_RING_WORDS - head() % PMT_RING_WORDS - words;
        unsigned size = left < PMT_RAW_WORDS_MAX ? (unsigned)left : PMT_RAW_WORDS_MAX;
        assert_true(put(sequence, size));
        pmt_ring_commit(&producer);
        assert_takes(sequence++, size);
    }
}

// ---- one thread ----

static void
committed_is_visible(void **state)
{
    assert_true(put(1, 3));
    assert_true(put(2, 1));
    assert_int_equal(head(), 0);
    assert_takes_nothing();
    pmt_ring_commit(&producer);
    assert_int_equal(head(), 4);
    assert_takes(1, 3);
    assert_takes(2, 1);
    assert_takes_nothing();
    pmt_ring_commit(&producer);  // nothing new
    assert_int_equal(head(), 4);
    assert_takes_nothing();
}

static void
many_laps(void **state)
{
    for (uint32_t sequence = 0, words = 1; sequence < 20000; sequence++) {
        assert_true(put(sequence, words));
        pmt_ring_commit(&producer);
        assert_takes(sequence, words);
        words = words * 7 % 509 + 1;
    }
    assert_true(head() > 100 * PMT_RING_WORDS);
    assert_int_equal(atomic_load(&shared->waits), 0);
}

static void
filler_up_to_the_end(void **state)
{
    go_to_end_less(3);
    assert_true(put(1, 4));
    pmt_ring_commit(&producer);
    assert_int_equal(head(), PMT_RING_WORDS + 4);
    const pmt_raw_t *filler = (const pmt_raw_t *)(pmt_shared_words(shared, 5) + PMT_RING_WORDS - 3);
    assert_int_equal(filler->type, PMT_RAW_SKIP);
    assert_int_equal(filler->words, 3);
    assert_takes(1, 4);
    assert_takes_nothing();
    go_to_end_less(PMT_RAW_WORDS_MAX - 1);  // the longest filler
    assert_true(put(2, PMT_RAW_WORDS_MAX));
    pmt_ring_commit(&producer);
    assert_takes(2, PMT_RAW_WORDS_MAX);
    go_to_end_less(1);  // the shortest
    assert_true(put(3, 2));
    pmt_ring_commit(&producer);
    assert_takes(3, 2);
}

static void
record_that_ends_with_the_ring(void **state)
{
    go_to_end_less(4);
    assert_true(put(1, 4));
    assert_true(put(2, 4));
    pmt_ring_commit(&producer);
    assert_int_equal(head(), PMT_RING_WORDS + 4);  // no filler
    assert_takes(1, 4);
    assert_takes(2, 4);
}

static void
exactly_full(void **state)
{
    for (uint32_t i = 0; i < PMT_RING_WORDS / PMT_RAW_WORDS_MAX; i++) {
        assert_true(put(i, PMT_RAW_WORDS_MAX));
    }
    assert_int_equal(head(), 0);  // it fit without a wait, so nothing had to be published
    assert_int_equal(atomic_load(&shared->waits), 0);
    pmt_ring_commit(&producer);
    assert_int_equal(head() - tail(), PMT_RING_WORDS);
    for (uint32_t i = 0; i < PMT_RING_WORDS / PMT_RAW_WORDS_MAX; i++) {
        assert_takes(i, PMT_RAW_WORDS_MAX);
    }
    assert_takes_nothing();
    assert_true(put(9, 1));  // the producer looks at the tail again by itself
    pmt_ring_commit(&producer);
    assert_takes(9, 1);
    assert_int_equal(atomic_load(&shared->waits), 0);
}

static void
next_owner_goes_on(void **state)
{
    assert_true(put(1, 2));
    pmt_ring_commit(&producer);
    assert_true(put(2, 2));  // its thread died before the commit
    pmt_producer_init(&producer, shared, 5);
    assert_true(put(3, 5));
    pmt_ring_commit(&producer);
    assert_takes(1, 2);
    assert_takes(3, 5);
    assert_takes_nothing();
}

static void
doorbell_wakes_only_a_sleeper(void **state)
{
    pmt_recorder_wake_sigsafe(shared);
    assert_int_equal(atomic_load(&shared->doorbell), 0);
    atomic_store(&shared->asleep, 1);
    pmt_recorder_wake_sigsafe(shared);
    assert_int_equal(atomic_load(&shared->doorbell), 1);
}

static void
half_full_rings_the_doorbell(void **state)
{
    atomic_store(&shared->asleep, 1);
    for (uint32_t i = 0; i < PMT_RING_WORDS / 2 / 4; i++) {
        assert_true(put(i, 4));
        pmt_ring_commit(&producer);
    }
    assert_int_equal(atomic_load(&shared->doorbell), 0);
    assert_true(put(0, 1));
    pmt_ring_commit(&producer);
    assert_int_equal(atomic_load(&shared->doorbell), 1);
}

static void
rings_do_not_touch_each_other(void **state)
{
    pmt_producer_t before, after;
    pmt_producer_init(&before, shared, 4);
    pmt_producer_init(&after, shared, PMT_RINGS - 1);
    memset(pmt_ring_reserve(&before, TYPE, 0, 0, PMT_RAW_WORDS_MAX), 0xee, PMT_RAW_WORDS_MAX * sizeof(uint64_t));
    memset(pmt_ring_reserve(&after, TYPE, 0, 0, PMT_RAW_WORDS_MAX), 0xee, PMT_RAW_WORDS_MAX * sizeof(uint64_t));
    pmt_ring_commit(&before);
    pmt_ring_commit(&after);
    assert_int_equal(head(), 0);
    for (unsigned i = 0; i < PMT_RING_WORDS; i++) {
        assert_int_equal(pmt_shared_words(shared, 5)[i], 0);
    }
    // the last word of the last ring is the memory's last
    assert_ptr_equal(pmt_shared_words(shared, PMT_RINGS - 1) + PMT_RING_WORDS, (char *)shared + PMT_SHARED_SIZE);
}

// ---- full rings ----

static void
fill(void)
{
    for (uint32_t i = 0; i < PMT_RING_WORDS / 4; i++) {
        assert_true(put(i, 4));
    }
    pmt_ring_commit(&producer);
}

static void
gives_up_after_a_second_then_at_once_then_recovers(void **state)
{
    fill();
    uint64_t begin = pmt_prim_now_ns_sigsafe();
    assert_false(put(1, 1));
    uint64_t waited = pmt_prim_now_ns_sigsafe() - begin;
    assert_in_range(waited, 1000 * MILLISECOND, 5000ull * MILLISECOND);
    assert_int_equal(atomic_load(&shared->waits), 1);
    assert_in_range(atomic_load(&shared->wait_ns), 1000 * MILLISECOND, waited);
    assert_int_equal(head(), PMT_RING_WORDS);
    begin = pmt_prim_now_ns_sigsafe();
    for (int i = 0; i < 100; i++) {
        assert_false(put(2, 1));  // the recorder has made no progress since: no second wait
    }
    assert_in_range(pmt_prim_now_ns_sigsafe() - begin, 0, 500 * MILLISECOND);
    assert_int_equal(atomic_load(&shared->waits), 1);
    assert_takes(0, 4);  // room alone is enough
    assert_true(put(3, 4));
    pmt_ring_commit(&producer);
    assert_int_equal(atomic_load(&shared->waits), 1);
    for (uint32_t i = 1; i < PMT_RING_WORDS / 4; i++) {
        assert_takes(i, 4);
    }
    assert_takes(3, 4);
    assert_takes_nothing();
}

// Drains the ring a while after it was told to, as the recorder does. cmocka ends the program when an assert fails in such a thread.
typedef struct drainer_s {
    pthread_t thread;
    uint64_t delay_ns, between_ns;
    unsigned records;
} drainer_t;

static void
sleep_ns(uint64_t ns)
{
    static _Atomic uint32_t never;
    for (uint64_t until = pmt_prim_now_ns_sigsafe() + ns, now; (now = pmt_prim_now_ns_sigsafe()) < until;) {
        pmt_prim_wait_sigsafe(&never, 0, until - now);
    }
}

static void *
drain(void *argument)
{
    const drainer_t *drainer = argument;
    sleep_ns(drainer->delay_ns);
    for (unsigned i = 0; i < drainer->records; i++) {
        while (head() == tail()) {
            sleep_ns(MILLISECOND / 10);
        }
        assert_takes(i, 4);
        progressed();
        sleep_ns(drainer->between_ns);
    }
    return NULL;
}

static void
start_drain(drainer_t *drainer)
{
    assert_int_equal(pthread_create(&drainer->thread, NULL, drain, drainer), 0);
}

static void
waits_for_room(void **state)
{
    drainer_t drainer = {.delay_ns = 50 * MILLISECOND, .records = 1};
    fill();
    start_drain(&drainer);
    uint64_t begin = pmt_prim_now_ns_sigsafe();
    assert_true(put(PMT_RING_WORDS / 4, 4));
    assert_true(pmt_prim_now_ns_sigsafe() - begin >= 40 * MILLISECOND);
    pthread_join(drainer.thread, NULL);
    pmt_ring_commit(&producer);
    assert_int_equal(atomic_load(&shared->waits), 1);
    assert_true(atomic_load(&shared->wait_ns) >= 40 * MILLISECOND);
    for (uint32_t i = 1; i <= PMT_RING_WORDS / 4; i++) {
        assert_takes(i, 4);
    }
}

static void
slow_progress_is_waited_for(void **state)
{
    // 1.5 s until there is room for 512 words, but never a second without progress. A record goes every 11 ms on the way.
    drainer_t drainer = {.between_ns = 11 * MILLISECOND, .records = PMT_RAW_WORDS_MAX / 4};
    fill();
    start_drain(&drainer);
    uint64_t begin = pmt_prim_now_ns_sigsafe();
    assert_true(put(PMT_RING_WORDS / 4, PMT_RAW_WORDS_MAX));
    assert_true(pmt_prim_now_ns_sigsafe() - begin > 1200ull * MILLISECOND);
    pthread_join(drainer.thread, NULL);
    assert_int_equal(atomic_load(&shared->waits), 1);
}

static void
waiting_publishes_what_is_reserved(void **state)
{
    // Of an event longer than the ring all parts arrive: the wait for the rest publishes the first ones.
    drainer_t drainer = {.delay_ns = 20 * MILLISECOND, .records = PMT_RING_WORDS / 4 + 10};
    start_drain(&drainer);
    for (uint32_t i = 0; i < PMT_RING_WORDS / 4; i++) {
        assert_true(put(i, 4));
    }
    assert_int_equal(head(), 0);
    for (uint32_t i = 0; i < 10; i++) {
        assert_true(put(PMT_RING_WORDS / 4 + i, 4));
        assert_true(head() >= PMT_RING_WORDS);
    }
    pmt_ring_commit(&producer);
    pthread_join(drainer.thread, NULL);
    assert_takes_nothing();
}

static void
waits_again_when_progress_resumes(void **state)
{
    fill();
    atomic_store(&shared->stalled_at, (uint64_t)atomic_load(&shared->progress) + 1);  // as after a wait that gave up, of whichever thread
    assert_false(put(0, 4));
    assert_int_equal(atomic_load(&shared->waits), 0);
    progressed();  // elsewhere: there is no room here yet, but there is hope
    drainer_t drainer = {.delay_ns = 30 * MILLISECOND, .records = 2};
    start_drain(&drainer);
    assert_true(put(PMT_RING_WORDS / 4, 4));
    pthread_join(drainer.thread, NULL);
    assert_int_equal(atomic_load(&shared->waits), 1);
}

static void
waiting_wakes_the_recorder(void **state)
{
    drainer_t drainer = {.delay_ns = 30 * MILLISECOND, .records = 1};
    fill();
    uint32_t rung = atomic_load(&shared->doorbell);
    atomic_store(&shared->asleep, 1);
    start_drain(&drainer);
    assert_true(put(PMT_RING_WORDS / 4, 4));
    pthread_join(drainer.thread, NULL);
    assert_true(atomic_load(&shared->doorbell) > rung);
}

// ---- two threads ----

enum { STRESS = 200000 };

static unsigned
stress_words(uint32_t sequence)
{
    return sequence % 97 == 0 ? PMT_RAW_WORDS_MAX - sequence % 13 : 1 + sequence * 2654435761u % 29;
}

static void *
stress_produce(void *unused)
{
    for (uint32_t sequence = 0; sequence < STRESS; sequence++) {
        while (!put(sequence, stress_words(sequence))) {
        }
        if (sequence % 3 != 0) {  // events of up to two records
            pmt_ring_commit(&producer);
        }
    }
    pmt_ring_commit(&producer);
    return NULL;
}

static void
stress_sequence(void **state)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stress_produce, NULL), 0);
    for (uint32_t sequence = 0; sequence < STRESS;) {
        uint32_t before = sequence, seen = atomic_load_explicit(&shared->doorbell, memory_order_seq_cst);
        while (sequence < STRESS && head() != tail()) {
            assert_takes(sequence, stress_words(sequence));
            sequence++;
            if (sequence % 64 == 0) {
                break;  // progress is told now and then, as a recorder with other rings would
            }
        }
        if (sequence != before) {
            progressed();
        } else {  // sleep as the recorder does
            atomic_store_explicit(&shared->asleep, 1, memory_order_seq_cst);
            pmt_prim_wait_sigsafe(&shared->doorbell, seen, MILLISECOND);
            atomic_store_explicit(&shared->asleep, 0, memory_order_seq_cst);
        }
    }
    pthread_join(thread, NULL);
    assert_takes_nothing();
    assert_int_equal(head(), tail());
}

#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, new_ring, free_ring)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        RING_TEST(committed_is_visible),
        RING_TEST(many_laps),
        RING_TEST(filler_up_to_the_end),
        RING_TEST(record_that_ends_with_the_ring),
        RING_TEST(exactly_full),
        RING_TEST(next_owner_goes_on),
        RING_TEST(doorbell_wakes_only_a_sleeper),
        RING_TEST(half_full_rings_the_doorbell),
        RING_TEST(rings_do_not_touch_each_other),
        RING_TEST(gives_up_after_a_second_then_at_once_then_recovers),
        RING_TEST(waits_for_room),
        RING_TEST(slow_progress_is_waited_for),
        RING_TEST(waiting_publishes_what_is_reserved),
        RING_TEST(waits_again_when_progress_resumes),
        RING_TEST(waiting_wakes_the_recorder),
        RING_TEST(stress_sequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
