// The producer's end of a lane against a consumer written here from format/lanes.h: what is read is what was put, in order, with its time; losses are told where they are.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/event.h"
#include "capture/lane_inline.h"

enum { MILLISECOND = 1000000, ROOM = 1 << 22, FRAMES = 3 };

static int listener;
static uint32_t open_frames = FRAMES;

static uint32_t
open_codes(uint32_t *out, uint32_t max, bool opens)
{
    uint32_t count = open_frames < max ? open_frames : max;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = 100 + i;
    }
    return count - (opens && count ? 1 : 0);
}

static bool begun;

static bool
has_begun(void)
{
    return begun;
}

static const pmt_interp_t interp = {.open_codes = open_codes, .has_begun = has_begun};

static void
listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path + 1, name);
    listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))), 0);
    assert_int_equal(listen(listener, 8), 0);
}

static int
begin_session(void **state)
{
    int fd;
    void *shared, *areas, *codes;
    pmt_session_t *session = &pmt_session;
    *session = (pmt_session_t){.interp = &interp, .pid = pmt_prim_pid_sigsafe(), .page_size = pmt_prim_page_size_sigsafe()};
    if (pmt_prim_share("pmt-test", PMT_SHARED_SIZE, &fd, &shared) < 0 || pmt_prim_reserve((size_t)PMT_RINGS * PMT_THREAD_AREA, &areas) < 0 ||
        pmt_prim_reserve(PMT_CODE_TABLE_SIZE * sizeof(pmt_code_entry_t), &codes) < 0 || pmt_rss_clock_init(&session->rss, 0) < 0) {
        return -1;
    }
    pmt_prim_close_sigsafe(fd);
    session->shared = shared;
    session->threads = (pmt_threads_t){.shared = shared, .areas = areas, .pid = session->pid};
    session->codes.entries = codes;
    session->codes.size = PMT_CODE_TABLE_SIZE;
    snprintf(session->address, sizeof session->address, "pmt-test-lane-%u", session->pid);
    listen_at(session->address);
    open_frames = FRAMES;
    begun = true;
    return 0;
}

static int
end_session(void **state)
{
    pmt_session_t *session = &pmt_session;
    close(listener);
    pmt_lanes_drop(session);
    pmt_event_forget_threads();
    pmt_prim_unmap(session->codes.entries, PMT_CODE_TABLE_SIZE * sizeof(pmt_code_entry_t));
    pmt_prim_unmap(session->threads.areas, (size_t)PMT_RINGS * PMT_THREAD_AREA);
    pmt_prim_unmap(session->shared, PMT_SHARED_SIZE);
    pmt_rss_clock_fini(&session->rss);
    return 0;
}

static void
open_lanes(pmt_lanes_options_t options)
{
    int socket;
    assert_int_equal(pmt_lanes_open(&options, &socket), 0);
    pmt_prim_close_sigsafe(socket);
}

// ---- the other end: everything that was read, without fillers and RSS ----

typedef struct read_s {
    unsigned kind, what;  // what: pmt_event_more_e
    uint32_t payload;
    uint64_t ticks;
    uint64_t more[4];  // the first words of a longer record
    unsigned words;
} read_t;

static read_t *got;
static size_t got_count;
static uint64_t now;  // of the reader
static _Atomic bool over;
static uint64_t delay_ns;  // before each look

static void
read_more(read_t *event, const uint64_t *words)
{
    event->what = event->payload & 0xff;
    event->words = event->payload >> 8;
    for (unsigned i = 0; i < event->words && i < 4; i++) {
        event->more[i] = words[i];
    }
    if (event->what == PMT_MORE_TIME || event->what == PMT_MORE_LOST) {
        now = event->ticks = words[0];
    }
}

static void
drain(void)
{
    pmt_lane_ring_t *ring = pmt_lanes_ring(pmt_session.lanes, 0);
    const uint64_t *words = pmt_lanes_words(pmt_session.lanes, 0);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire), tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    assert_true(head - tail <= PMT_LANE_WORDS);
    while (tail < head) {
        uint64_t at = tail % PMT_LANE_WORDS, word = words[at];
        read_t event = {.kind = word & 15, .payload = (uint32_t)(word >> 4) & PMT_LANE_PAYLOAD_MAX};
        now += word >> 32;
        event.ticks = now;
        if (event.kind == PMT_EVENT_MORE) {
            assert_true(at + 1 + (event.payload >> 8) <= PMT_LANE_WORDS);  // it does not wrap
            read_more(&event, words + at + 1);
        }
        tail += 1 + event.words;
        if (word != 0 && event.kind != PMT_EVENT_RSS) {
            assert_true(got_count < ROOM);
            got[got_count++] = event;
        }
    }
    assert_true(tail == head);
    if (tail != atomic_load_explicit(&ring->tail, memory_order_relaxed)) {
        atomic_store_explicit(&ring->tail, tail, memory_order_release);
        atomic_fetch_add_explicit(&pmt_session.shared->progress, 1, memory_order_release);
        pmt_prim_wake_sigsafe(&pmt_session.shared->progress);
    }
}

static void *
consume(void *context)
{
    static _Atomic uint32_t never;
    while (!atomic_load_explicit(&over, memory_order_acquire)) {
        pmt_prim_wait_sigsafe(&never, 0, delay_ns);
        drain();
    }
    drain();
    return NULL;
}

static pthread_t
start_consumer(uint64_t delay)
{
    pthread_t thread;
    delay_ns = delay;
    atomic_store(&over, false);
    assert_int_equal(pthread_create(&thread, NULL, consume, NULL), 0);
    return thread;
}

static void
stop_consumer(pthread_t thread)
{
    atomic_store_explicit(&over, true, memory_order_release);
    pthread_join(thread, NULL);
}

static void
forget(void)
{
    static read_t room[ROOM];
    got = room;
    got_count = 0;
    now = pmt_session.lanes ? pmt_session.lanes->ticks : 0;
}

static bool
put(uint32_t payload, bool opens)
{
    uint64_t at;
    pmt_lane_t *lane = pmt_lane_begin(&at, opens);
    if (lane) {
        pmt_lane_put(lane, at, opens ? PMT_EVENT_CALL : PMT_EVENT_RETURN, payload);
        pmt_lane_publish(lane);
    }
    return lane != NULL;
}

static uint64_t
lost(void)
{
    return atomic_load(&pmt_session.lanes->lost);
}

// ---- the tests ----

static void
begins_with_time_and_open_frames(void **state)
{
    open_lanes((pmt_lanes_options_t){0});
    forget();
    uint64_t before = pmt_lane_now();
    assert_true(put(7, true));
    assert_true(put(7, false));
    uint64_t after = pmt_lane_now();
    drain();
    assert_int_equal(got_count, 4);
    assert_int_equal(got[0].what, PMT_MORE_TIME);
    assert_int_equal(got[1].what, PMT_MORE_STACK);
    assert_int_equal(got[1].words, FRAMES - 1);  // not the one that just opens
    assert_int_equal(got[1].more[1], 101);
    assert_int_equal(got[2].kind, PMT_EVENT_CALL);
    assert_int_equal(got[2].payload, 7);
    assert_int_equal(got[3].kind, PMT_EVENT_RETURN);
    assert_true(got[0].ticks >= before && got[3].ticks <= after && got[2].ticks <= got[3].ticks);
}

static void
nothing_is_put_before_it_has_begun(void **state)
{
    open_lanes((pmt_lanes_options_t){0});
    forget();
    begun = false;
    assert_false(put(1, true));
    begun = true;
    assert_true(put(2, true));
    drain();
    assert_int_equal(got_count, 3);
    assert_int_equal(lost(), 0);
}

static void
rss_is_told_when_it_changes(void **state)
{
    open_lanes((pmt_lanes_options_t){.rss_never = true});
    forget();
    put(1, true);
    uint64_t head = pmt_lane_mine->head;
    put(1, false);
    assert_int_equal(pmt_lane_mine->head, head + 1);
    pmt_event_saw_rss_sigsafe(&pmt_session, 4711, 0);  // as a fault would
    put(1, true);
    assert_int_equal(pmt_lane_mine->head, head + 3);
    uint64_t word = pmt_lane_mine->words[head + 1];
    assert_int_equal(word & 15, PMT_EVENT_RSS);
    assert_int_equal(word >> 4 & PMT_LANE_PAYLOAD_MAX, 4711);
}

static void
all_arrives_in_order_around_the_end(void **state)
{
    enum { EVENTS = 500000, EVERY = 1000 };
    static char text[3000];
    open_lanes((pmt_lanes_options_t){0});
    forget();
    pthread_t consumer = start_consumer(MILLISECOND);
    uint32_t notes = 0;
    for (uint32_t i = 0; i < EVENTS; i++) {
        assert_true(put(i, false));
        if (i % EVERY == 0) {
            assert_int_equal(pmt_lane_note(PMT_NOTE_MARK, i, text, i / EVERY * 7 % sizeof text), 0);
            notes++;
        }
    }
    stop_consumer(consumer);
    assert_int_equal(lost(), 0);
    uint32_t next = 0;
    for (size_t i = 2; i < got_count; i++) {
        if (got[i].kind == PMT_EVENT_MORE) {
            assert_int_equal(got[i].what, PMT_MORE_NOTE);
            assert_int_equal(got[i].more[0] >> 32, next - 1);
            assert_int_equal(got[i].more[1], (next - 1) / EVERY * 7 % sizeof text);
            notes--;
        } else {
            assert_int_equal(got[i].payload, next++);
        }
        assert_true(got[i].ticks >= got[i - 1].ticks);
    }
    assert_int_equal(next, EVENTS);
    assert_int_equal(notes, 0);
}

// A record that ends where the lane ends, and those one word longer or shorter.
static void
longer_records_at_the_very_end(void **state)
{
    enum { NOTE_WORDS = 3 };  // with its first
    open_lanes((pmt_lanes_options_t){.rss_never = true});
    forget();
    for (uint64_t left = 1; left <= NOTE_WORDS + 1; left++) {
        uint32_t number = 0;
        do {
            put(number++, false);
            drain();
        } while (PMT_LANE_WORDS - pmt_lane_mine->head % PMT_LANE_WORDS != left);
        assert_int_equal(pmt_lane_note(PMT_NOTE_MARK, 77, "", 0), 0);
        put(number, false);
        drain();
        assert_int_equal(got[got_count - 2].what, PMT_MORE_NOTE);
        assert_int_equal(got[got_count - 2].more[0] >> 32, 77);
        assert_int_equal(got[got_count - 1].payload, number);
    }
}

static void
a_slow_consumer_is_waited_for(void **state)
{
    enum { EVENTS = 4 * PMT_LANE_WORDS };
    open_lanes((pmt_lanes_options_t){0});
    forget();
    pthread_t consumer = start_consumer(50 * MILLISECOND);
    for (uint32_t i = 0; i < EVENTS; i++) {
        assert_true(put(i, false));
    }
    stop_consumer(consumer);
    assert_int_equal(lost(), 0);
    assert_int_equal(got_count, 2 + EVENTS);
    assert_true(atomic_load(&pmt_session.lanes->waits) > 0 && atomic_load(&pmt_session.lanes->wait_ns) > MILLISECOND);
}

static void
losses_are_told_where_they_are(void **state)
{
    enum { EVERY = 1000 };
    open_lanes((pmt_lanes_options_t){.drop = true, .rss_never = true});
    forget();
    uint32_t kept = 0, number = 0;
    uint64_t began = pmt_prim_now_ns_sigsafe();
    while (number < 2 * PMT_LANE_WORDS) {
        kept += put(number++, false);
    }
    assert_true(kept > PMT_LANE_WORDS - 64 && kept < PMT_LANE_WORDS);
    assert_int_equal(lost(), number - kept);
    assert_int_equal(atomic_load(&pmt_session.lanes->waits), 0);
    assert_true(pmt_prim_now_ns_sigsafe() - began < 900 * (uint64_t)MILLISECOND);  // did not wait
    drain();
    size_t before = got_count;
    assert_true(put(number, true));
    drain();
    assert_int_equal(got_count, before + 3);
    assert_int_equal(got[before].what, PMT_MORE_LOST);
    assert_int_equal(got[before].more[1], number - kept);
    assert_int_equal(got[before + 1].what, PMT_MORE_STACK);
    assert_int_equal(got[before + 1].words, FRAMES - 1);
    assert_int_equal(got[before + 2].payload, number);
    assert_true(got[before].ticks > got[before - 1].ticks && got[before].ticks <= got[before + 2].ticks && got[before + 2].ticks <= pmt_lane_now());
    assert_int_equal(lost(), number - kept);
    for (uint32_t i = 0; i < 2 * PMT_LANE_WORDS; i++) {
        assert_true(put(i, false));
        if (i % EVERY == 0) {
            drain();
        }
    }
    for (size_t i = before + 2; i < got_count; i++) {
        assert_int_not_equal(got[i].kind, PMT_EVENT_MORE);  // nothing is told again
    }
}

static void
the_last_losses_are_told_at_the_end(void **state)
{
    open_lanes((pmt_lanes_options_t){.drop = true, .rss_never = true});
    forget();
    for (uint32_t i = 0; i < PMT_LANE_WORDS + 100; i++) {
        put(i, false);
    }
    pmt_lanes_close();
    drain();
    assert_int_equal(got[got_count - 2].what, PMT_MORE_LOST);
    assert_int_equal(got[got_count - 2].more[1], lost());
    assert_int_equal(got[got_count - 1].what, PMT_MORE_STACK);
    assert_int_equal(got[got_count - 1].words, 0);
}

// A consumer that has read all takes what was lost behind it, as the thread may never come back; if it does it tells the rest.
static void
losses_are_told_once(void **state)
{
    open_lanes((pmt_lanes_options_t){.drop = true, .rss_never = true});
    forget();
    while (put(0, false)) {
    }
    for (uint32_t i = 1; i < 10; i++) {
        assert_false(put(i, false));
    }
    pmt_lane_ring_t *ring = pmt_lane_mine->ring;
    uint64_t at = atomic_load(&ring->lost_at);
    assert_true(at >= pmt_lane_mine->last && at <= pmt_lane_now());
    assert_int_equal(atomic_exchange(&ring->lost, 0), 10);
    assert_false(put(10, false));
    drain();
    size_t before = got_count;
    assert_true(put(11, false));
    drain();
    assert_int_equal(got[before].what, PMT_MORE_LOST);
    assert_int_equal(got[before].more[1], 1);
    assert_int_equal(got[before + 1].what, PMT_MORE_STACK);
    assert_int_equal(got[before + 2].payload, 11);
    assert_int_equal(lost(), 11);
}

static void *
lose_some(void *context)
{
    while (put(0, false)) {
    }
    assert_false(put(1, false));
    return NULL;
}

// Its slot's next owner tells what a thread lost at its very end.
static void
a_thread_that_has_ended_leaves_its_losses(void **state)
{
    pthread_t thread;
    open_lanes((pmt_lanes_options_t){.drop = true, .rss_never = true});
    assert_int_equal(pthread_create(&thread, NULL, lose_some, NULL), 0);
    pthread_join(thread, NULL);
    pmt_lane_ring_t *lane = pmt_lanes_ring(pmt_session.lanes, 0);
    pmt_ring_t *ring = pmt_shared_ring(pmt_session.shared, 0);
    const uint64_t *words = pmt_shared_words(pmt_session.shared, 0);
    uint64_t from = atomic_load(&ring->head);
    pmt_event_adopt_thread();
    assert_int_equal(words[from] & 0xff, PMT_RAW_THREAD);
    assert_int_equal(words[from] >> 16 & 0xffff, 5);
    assert_int_equal(words[from + 2], atomic_load(&lane->head));
    assert_int_equal(words[from + 3], 2);
    assert_int_equal(words[from + 4], atomic_load(&lane->lost_at));
    assert_int_equal(atomic_load(&lane->lost), 0);
}

// The lane does not tell of a loss for every event while it is nearly full.
static void
goes_on_when_half_empty(void **state)
{
    open_lanes((pmt_lanes_options_t){.drop = true});
    forget();
    while (put(0, false)) {
    }
    pmt_lane_ring_t *ring = pmt_lane_mine->ring;
    atomic_fetch_add(&ring->tail, PMT_LANE_WORDS / 4);
    assert_false(put(1, false));
    atomic_fetch_add(&ring->tail, PMT_LANE_WORDS / 4 + 8);
    assert_true(put(2, false));
}

static void
a_dead_recorder_costs_one_second(void **state)
{
    open_lanes((pmt_lanes_options_t){0});
    forget();
    uint64_t began = pmt_prim_now_ns_sigsafe();
    for (uint32_t i = 0; i < 2 * PMT_LANE_WORDS; i++) {
        put(i, false);
    }
    uint64_t took = pmt_prim_now_ns_sigsafe() - began;
    assert_true(took > 900 * (uint64_t)MILLISECOND && took < 3000 * (uint64_t)MILLISECOND);
    assert_true(lost() > PMT_LANE_WORDS / 2);
    assert_int_equal(atomic_load(&pmt_session.lanes->waits), 1);
}

static void
a_deep_stack_is_told_in_pieces(void **state)
{
    open_frames = 10000;
    open_lanes((pmt_lanes_options_t){0});
    forget();
    put(1, false);
    drain();
    assert_int_equal(got[1].what, PMT_MORE_STACK);
    assert_int_equal(got[1].words, PMT_LANE_MORE_MAX);
    assert_int_equal(got[2].what, PMT_MORE_FRAMES);
    assert_int_equal(got[2].more[0], 100 + PMT_LANE_MORE_MAX);
    assert_int_equal(got[1].words + got[2].words, 4096);
    assert_int_equal(got[3].kind, PMT_EVENT_RETURN);
}

static void
nothing_is_put_when_closed_and_it_begins_anew(void **state)
{
    open_lanes((pmt_lanes_options_t){0});
    forget();
    assert_true(put(1, false));
    pmt_lanes_close();
    assert_false(put(2, false));
    assert_int_equal(pmt_lane_note(PMT_NOTE_MARK, 0, "", 0), -3);  // ESRCH
    assert_int_equal(lost(), 0);
    pmt_lane_t *mine = pmt_lane_mine;
    open_lanes((pmt_lanes_options_t){0});
    assert_true(put(3, false));
    assert_ptr_equal(pmt_lane_mine, mine);
    drain();
    assert_int_equal(got_count, 6);
    assert_int_equal(got[3].what, PMT_MORE_TIME);
    assert_int_equal(got[4].what, PMT_MORE_STACK);
    assert_int_equal(got[5].payload, 3);
    pmt_lanes_disown_sigsafe();
    assert_false(put(4, false));
    assert_null(pmt_session.lanes);
}

static void *
put_in_thread(void *context)
{
    *(pmt_lane_t **)context = put(9, false) ? pmt_lane_mine : NULL;
    return NULL;
}

// A thread that has ended leaves its lane to the next; one that lives keeps its own.
static void
lanes_are_inherited_from_ended_threads(void **state)
{
    pmt_lane_t *lane[2] = {NULL, NULL};
    open_lanes((pmt_lanes_options_t){0});
    forget();
    put(1, false);
    pmt_lane_t *mine = pmt_lane_mine;
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, put_in_thread, &lane[i]);
        pthread_join(thread, NULL);
    }
    assert_non_null(lane[0]);
    assert_ptr_equal(lane[0], lane[1]);
    assert_ptr_not_equal(lane[0], mine);
    assert_ptr_equal(pmt_lane_mine, mine);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_session, end_session)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(begins_with_time_and_open_frames),
        TEST(nothing_is_put_before_it_has_begun),
        TEST(rss_is_told_when_it_changes),
        TEST(all_arrives_in_order_around_the_end),
        TEST(longer_records_at_the_very_end),
        TEST(a_slow_consumer_is_waited_for),
        TEST(losses_are_told_where_they_are),
        TEST(the_last_losses_are_told_at_the_end),
        TEST(losses_are_told_once),
        TEST(a_thread_that_has_ended_leaves_its_losses),
        TEST(goes_on_when_half_empty),
        TEST(a_dead_recorder_costs_one_second),
        TEST(a_deep_stack_is_told_in_pieces),
        TEST(nothing_is_put_when_closed_and_it_begins_anew),
        TEST(lanes_are_inherited_from_ended_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
