// Lanes (lane.h): how they come to be, and all that is rare on an event's way.
#include "capture/lane.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "capture/event.h"
#include "capture/lane_inline.h"

enum {
    SPARE = 16,  // words: more than an event takes, and then what is told of losses at the end
    FULL = PMT_LANE_WORDS - SPARE,
    HALF = PMT_LANE_WORDS / 2,
    FRAMES_MAX = 4096,  // of a stack
};
static const uint64_t RSS_STALE_NS = 20000, CALIBRATION_NS = 100000;

static pmt_lane_t lanes[PMT_RINGS];
static _Atomic uint32_t lanes_used;
static pmt_lane_t no_lane = {.rss_due = UINT64_MAX};
static pmt_lane_t homeless_lane = {.rss_due = UINT64_MAX};  // of threads for which no slot was left

PMT_TLS_INITIAL_EXEC pmt_lane_t *pmt_lane_mine = &no_lane;
bool pmt_lane_by_counter;

static struct {
    bool open;
    pmt_lanes_options_t options;
    uint64_t rss_stale;  // ticks after which RSS is read again
    uint32_t attached[PMT_RINGS / 32];  // slots whose words have been brought in
} state;

// ---- room ----

static uint64_t
filling(const pmt_lane_t *lane)
{
    return lane->head - atomic_load_explicit(&lane->ring->tail, memory_order_acquire);
}

static bool
has_room(void *lane, uint64_t words)
{
    return filling(lane) + words <= FULL;
}

// How far events can go without looking.
static void
set_limit(pmt_lane_t *lane)
{
    if (state.options.alone) {
        lane->limit = UINT64_MAX;
        return;
    }
    uint64_t used = filling(lane);
    PMT_INVARIANT(used <= PMT_LANE_WORDS);
    lane->limit = lane->head - used + (used < HALF ? HALF : FULL);
    if (used >= HALF) {
        atomic_thread_fence(memory_order_seq_cst);  // the head is told before the recorder is asked whether it sleeps
        pmt_recorder_wake_sigsafe(pmt_session.shared);
    }
    if (state.options.rss_check) {
        lane->limit = lane->head;  // each event looks
    }
}

// A lane that has lost events goes on when it is half empty, else each of its next events would be told as a loss of its own.
static bool
make_room(pmt_lane_t *lane, uint64_t words)
{
    words = lane->lossy && words < HALF ? HALF : words;
    if (state.options.alone || has_room(lane, words)) {
        return true;
    }
    if (state.options.drop) {
        return false;
    }
    pmt_lanes_t *shared = pmt_session.lanes;
    return pmt_room_await_sigsafe(&(pmt_room_t){pmt_session.shared, has_room, lane, &shared->waits, &shared->wait_ns}, words);
}

static PMT_COLD pmt_lane_t *
lose(pmt_lane_t *lane)
{
    lane->lossy = true;
    lane->limit = lane->head;  // the next one looks again
    if (lane->ring) {
        atomic_store_explicit(&lane->ring->lost_at, pmt_lane_now(), memory_order_relaxed);
        atomic_fetch_add_explicit(&lane->ring->lost, 1, memory_order_release);
    } else {
        atomic_fetch_add_explicit(&pmt_session.lanes->lost_slotless, 1, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&pmt_session.lanes->lost, 1, memory_order_relaxed);
    return NULL;
}

// ---- longer records ----

// Begins a record with `words` words behind its first; there is room. It never wraps.
static uint64_t *
put_more(pmt_lane_t *lane, uint64_t now, unsigned what, unsigned words)
{
    uint64_t to_end = PMT_LANE_WORDS - lane->head % PMT_LANE_WORDS;
    if (to_end <= words) {
        memset(&lane->words[lane->head % PMT_LANE_WORDS], 0, to_end * sizeof *lane->words);
        lane->head += to_end;
    }
    pmt_lane_put(lane, now, PMT_EVENT_MORE, what | words << 8);
    uint64_t *record = &lane->words[lane->head % PMT_LANE_WORDS];
    lane->head += words;
    return record;
}

static void
put_time(pmt_lane_t *lane, uint64_t now)
{
    *put_more(lane, now, PMT_MORE_TIME, 1) = now;
}

// The frames that are open at an event.
static void
put_stack(pmt_lane_t *lane, uint64_t now, bool opens)
{
    static uint32_t codes[FRAMES_MAX];  // under the interpreter's lock
    uint32_t count = pmt_session.interp->open_codes(codes, FRAMES_MAX, opens), done = 0;
    do {
        uint32_t piece = count - done < PMT_LANE_MORE_MAX ? count - done : PMT_LANE_MORE_MAX;
        uint64_t *record = put_more(lane, now, done ? PMT_MORE_FRAMES : PMT_MORE_STACK, piece);
        for (uint32_t i = 0; i < piece; i++) {
            record[i] = codes[done + i];
        }
        done += piece;
    } while (done < count);
    lane->code = 0;
    lane->at = lane->callee = NULL;
}

// The recorder may have told some of them, or all, already.
static void
put_lost(pmt_lane_t *lane, uint64_t now)
{
    uint64_t *record = put_more(lane, now, PMT_MORE_LOST, 2);
    record[0] = now;
    record[1] = atomic_exchange_explicit(&lane->ring->lost, 0, memory_order_acq_rel);
    lane->lossy = false;
}

static void
put_losses(pmt_lane_t *lane, uint64_t now, bool opens)
{
    put_lost(lane, now);
    lane->rss = 0;  // told again
    put_stack(lane, now, opens);
}

// ---- a thread's lane ----

// The struct of the calling thread: its own, else one of a thread that has ended, else a fresh one. There are as many as slots.
static pmt_lane_t *
own_lane(uint32_t tid)
{
    uint32_t used = atomic_load_explicit(&lanes_used, memory_order_acquire);
    for (uint32_t i = 0; i < used; i++) {
        uint32_t owner = atomic_load_explicit(&lanes[i].owner, memory_order_relaxed);
        bool free = owner == tid || (owner != 0 && !pmt_prim_thread_alive_sigsafe(pmt_session.pid, owner));
        if (free && atomic_compare_exchange_strong_explicit(&lanes[i].owner, &owner, tid, memory_order_acq_rel, memory_order_relaxed)) {
            return &lanes[i];
        }
    }
    if (used == PMT_RINGS) {
        return NULL;
    }
    used = atomic_fetch_add_explicit(&lanes_used, 1, memory_order_acq_rel);
    atomic_store_explicit(&lanes[used].owner, tid, memory_order_release);
    return &lanes[used];
}

static void
count_own_pages(uint32_t shared_pages)
{
    pmt_rss_clock_exclude_sigsafe(&pmt_session.rss, 0, shared_pages);
    atomic_fetch_add_explicit(&pmt_session.shared->tracer_pages, shared_pages, memory_order_relaxed);
}

static void
populate(unsigned slot)
{
    enum { WORDS_SIZE = PMT_LANE_WORDS * sizeof(uint64_t) };
    uint32_t bit = 1u << slot % 32;
    if (state.attached[slot / 32] & bit) {
        return;
    }
    state.attached[slot / 32] |= bit;
    pmt_prim_populate_sigsafe(pmt_lanes_words(pmt_session.lanes, slot), WORDS_SIZE);
    count_own_pages((uint32_t)(WORDS_SIZE / pmt_session.page_size));
}

// From the ended thread that had the slot before, if its struct has gone to nobody yet.
static void
take_ring(pmt_lane_t *lane, pmt_lane_ring_t *ring)
{
    uint32_t used = atomic_load_explicit(&lanes_used, memory_order_relaxed);
    for (uint32_t i = 0; i < used; i++) {
        if (lanes[i].ring == ring) {
            lanes[i].ring = NULL;
        }
    }
    lane->ring = ring;
}

static PMT_COLD pmt_lane_t *
attach(uint64_t now, bool opens)
{
    if (!state.open || !pmt_session.interp->has_begun()) {
        return NULL;
    }
    if (pmt_lane_mine == &homeless_lane) {
        return lose(pmt_lane_mine);
    }
    pmt_thread_t *thread = pmt_event_thread();
    pmt_lane_t *lane = thread->tid ? own_lane(thread->tid) : NULL;
    if (!lane) {
        pmt_lane_mine = &homeless_lane;
        return lose(pmt_lane_mine);
    }
    unsigned slot = pmt_thread_slot(thread);
    populate(slot);
    take_ring(lane, pmt_lanes_ring(pmt_session.lanes, slot));
    lane->words = pmt_lanes_words(pmt_session.lanes, slot);
    lane->head = lane->limit = atomic_load_explicit(&lane->ring->head, memory_order_acquire);
    lane->rss = lane->code = 0;
    lane->lossy = false;
    lane->rss_due = 0;
    lane->last = now;
    pmt_lane_mine = lane;
    if (!make_room(lane, HALF)) {
        return lose(lane);
    }
    put_time(lane, now);
    put_stack(lane, now, opens);
    return lane;
}

static void
read_rss(pmt_lane_t *lane, uint64_t now)
{
    lane->rss_due = state.options.rss_every ? 0 : state.options.rss_never ? now + UINT32_MAX / 2 : now + state.rss_stale;
    if (!state.options.rss_never) {
        pmt_event_saw_rss_sigsafe(&pmt_session, pmt_rss_clock_look_sigsafe(&pmt_session.rss), 0);
        atomic_fetch_add_explicit(&pmt_session.lanes->rss_reads, 1, memory_order_relaxed);
    }
}

pmt_lane_t *
pmt_lane_begin_slow(uint64_t *now, bool opens)
{
    pmt_lane_t *lane = pmt_lane_mine;
    if (!lane->ring && !(lane = attach(*now, opens))) {
        return NULL;
    }
    if (lane->head >= lane->limit) {
        if (!make_room(lane, SPARE)) {
            return lose(lane);
        }
        if (lane->lossy) {
            put_losses(lane, *now, opens);
        }
        set_limit(lane);
    }
    if (*now - lane->last > UINT32_MAX) {
        put_time(lane, *now);
    }
    if (*now >= lane->rss_due) {
        read_rss(lane, *now);
    }
    if (state.options.rss_check) {
        pmt_lane_put(lane, *now, PMT_EVENT_FRESH, (uint32_t)pmt_rss_clock_look_sigsafe(&pmt_session.rss) & PMT_LANE_PAYLOAD_MAX);
    }
    return lane;
}

// A text that is cut at `size` would end with a part of a character.
static bool
is_inside(const char *text, size_t size)
{
    return ((unsigned char)text[size] & 0xc0) == 0x80;
}

int
pmt_lane_note(unsigned what, uint32_t number, const char *text, size_t size)
{
    enum { TEXT_MAX = (PMT_LANE_MORE_MAX - 2) * (int)sizeof(uint64_t) };
    uint64_t now;
    if (what != PMT_NOTE_MARK && pmt_lane_mine->ring) {
        pmt_lane_mine->rss_due = 0;  // a section's ends tell RSS as it is
    }
    pmt_lane_t *lane = pmt_lane_begin(&now, false);
    if (!lane) {
        return state.open ? -ENOSPC : -ESRCH;
    }
    if (size > TEXT_MAX) {
        for (size = TEXT_MAX; size > 0 && is_inside(text, size); size--) {
        }
    }
    unsigned words = 2 + (unsigned)(size + 7) / 8;
    if (!make_room(lane, 2 * words)) {
        lose(lane);
        return -ENOSPC;
    }
    uint64_t *record = put_more(lane, now, PMT_MORE_NOTE, words);
    record[words - 1] = 0;
    record[0] = what | (uint64_t)number << 32;
    record[1] = size;
    memcpy(record + 2, text, size);
    pmt_lane_publish(lane);
    set_limit(lane);
    return 0;
}

// ---- the process's lanes ----

// No thread's lane is one any more: each looks around at its next event.
static void
empty_all(void)
{
    uint32_t used = atomic_load_explicit(&lanes_used, memory_order_relaxed);
    for (uint32_t i = 0; i < used; i++) {
        lanes[i].ring = NULL;
        lanes[i].limit = lanes[i].head = 0;
        lanes[i].rss_due = UINT64_MAX;
    }
}

// The CPU's counter against the clock, once in a process and its fork children: well enough to know when RSS is stale.
static uint64_t
stale_ticks(void)
{
    if (!pmt_lane_by_counter) {
        return RSS_STALE_NS;
    }
    if (state.rss_stale) {
        return state.rss_stale;
    }
    uint64_t ticks = pmt_prim_ticks(), begin = pmt_prim_now_ns_sigsafe(), now;
    while ((now = pmt_prim_now_ns_sigsafe()) - begin < CALIBRATION_NS) {
    }
    return (pmt_prim_ticks() - ticks) * RSS_STALE_NS / (now - begin);
}

uint64_t
pmt_lanes_choose_clock(void)
{
    pmt_lane_by_counter = pmt_prim_ticks_kind() == PMT_TICKS_COUNTER;
    state.rss_stale = stale_ticks();
    return state.rss_stale;
}

static int
make(pmt_session_t *session, int *fd)
{
    void *memory;
    if (!pmt_prim_address_space_is_ample(PMT_LANES_SIZE)) {
        return -ENOMEM;
    }
    int err = pmt_prim_share("pymemtrace-events", PMT_LANES_SIZE, fd, &memory);
    if (err < 0) {
        return err;
    }
    pmt_lanes_t *made = memory;
    pmt_prim_populate_sigsafe(made, PMT_LANES_WORDS_AT);
    count_own_pages((uint32_t)(PMT_LANES_WORDS_AT / session->page_size));
    pmt_lanes_choose_clock();
    made->version = PMT_LANES_VERSION;
    made->clock = pmt_lane_by_counter ? PMT_LANE_CLOCK_TSC : PMT_LANE_CLOCK_NS;
    made->time_ns = pmt_prim_now_ns_sigsafe();
    made->ticks = pmt_lane_now();
    memset(state.attached, 0, sizeof state.attached);
    session->lanes = made;
    return 0;
}

int
pmt_lanes_connect(int fd)
{
    pmt_lanes_message_t message = {.kind = PMT_MESSAGE_LANES, .pid = pmt_session.pid};
    int socket = pmt_prim_connect_sigsafe(pmt_session.address);
    int err = socket < 0 ? 0 : pmt_prim_send_sigsafe(socket, &message, sizeof message, &fd, fd >= 0);
    if (err < 0) {
        pmt_prim_close_sigsafe(socket);
        return err;
    }
    return socket;
}

int
pmt_lanes_open(const pmt_lanes_options_t *options, int *socket)
{
    pmt_session_t *session = &pmt_session;
    int fd = -1;
    if (!session->shared) {
        return -ESRCH;
    }
    int err = session->lanes ? 0 : make(session, &fd);
    if (err < 0) {
        return err;
    }
    *socket = options->alone ? -1 : pmt_lanes_connect(fd);
    pmt_prim_close_sigsafe(fd);
    if (*socket < 0 && !options->alone) {
        return *socket;
    }
    state.options = *options;
    pmt_lanes_choose_clock();
    state.open = true;
    return 0;
}

// What a lane has lost since its last event; which frames are open then is nobody's to know any more. There is room: SPARE.
static void
tell_last_losses(pmt_lane_t *lane, uint64_t now)
{
    put_lost(lane, now);
    put_more(lane, now, PMT_MORE_STACK, 0);
    pmt_lane_publish(lane);
}

void
pmt_lanes_close(void)
{
    uint32_t used = state.open ? atomic_load_explicit(&lanes_used, memory_order_relaxed) : 0;
    for (uint32_t i = 0; i < used; i++) {
        if (lanes[i].ring && lanes[i].lossy) {
            tell_last_losses(&lanes[i], pmt_lane_now());
        }
    }
    state.open = false;
    empty_all();
}

void
pmt_lanes_disown_sigsafe(void)
{
    state.open = false;  // not closed: its memory is the parent's
    empty_all();
    pmt_session.lanes = NULL;
    pmt_lane_mine = &no_lane;  // the thread has another number here, and it is the only one
    atomic_store_explicit(&lanes_used, 0, memory_order_relaxed);
}

void
pmt_lanes_drop(pmt_session_t *session)
{
    pmt_lanes_close();
    if (session->lanes) {
        pmt_prim_unmap(session->lanes, PMT_LANES_SIZE);
        session->lanes = NULL;
    }
}
