// Recording an event of any engine (event.h).
#include "capture/event.h"

#include <string.h>

#include "base/compiler.h"
#include "format/lines.h"
#include "prim/prim.h"

// Threads in a state of their own point at one of these; their guard is always set.
static pmt_thread_t claiming_thread = {.busy = 1};
static pmt_thread_t homeless_thread = {.busy = 1};  // no slot was left

// Sessions of a process follow one another and are numbered. A thread's pointer is looked at only in the session it was made in: the memory of earlier ones is gone.
static _Atomic uint32_t session_number = 1;
static PMT_TLS_INITIAL_EXEC pmt_thread_t *current;
static PMT_TLS_INITIAL_EXEC uint32_t current_session;

static _Atomic uint32_t inside;  // handlers at work in the session: its memory must stay

// NULL: it has not been seen in this session.
static pmt_thread_t *
present_thread(void)
{
    return PMT_LIKELY(current_session == atomic_load_explicit(&session_number, memory_order_relaxed)) ? current : NULL;
}

// How far the events of the thread's slot have come.
static uint64_t
lane_head(pmt_lanes_t *lanes, const pmt_thread_t *thread)
{
    return atomic_load_explicit(&pmt_lanes_ring(lanes, pmt_thread_slot(thread))->head, memory_order_relaxed);
}

// Where the slot's last owner stopped, and what it lost behind that.
static void
take_over_lane(pmt_lane_ring_t *ring, uint64_t *out)
{
    out[0] = atomic_load_explicit(&ring->head, memory_order_relaxed);
    out[1] = atomic_exchange_explicit(&ring->lost, 0, memory_order_acq_rel);
    out[2] = atomic_load_explicit(&ring->lost_at, memory_order_relaxed);
}

static PMT_COLD pmt_thread_t *
adopt_slow_sigsafe(pmt_session_t *session)
{
    pmt_claim_t claim;
    current = &claiming_thread;
    atomic_signal_fence(memory_order_seq_cst);
    current_session = atomic_load_explicit(&session_number, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    pmt_thread_t *thread = pmt_thread_claim_sigsafe(&session->threads, pmt_prim_tid_sigsafe(), &claim);
    if (!thread) {
        return current = &homeless_thread;
    }
    pmt_rss_clock_exclude_sigsafe(&session->rss, claim.anon, claim.shared);
    atomic_fetch_add_explicit(&session->shared->tracer_pages, claim.anon + claim.shared, memory_order_relaxed);
    pmt_lanes_t *lanes = session->lanes;
    uint64_t *record = pmt_ring_reserve(&thread->producer, PMT_RAW_THREAD, 0, thread->tid, lanes ? 5 : 2);
    if (record) {
        record[1] = pmt_prim_now_ns_sigsafe();
        if (lanes) {
            take_over_lane(pmt_lanes_ring(lanes, pmt_thread_slot(thread)), record + 2);
        }
        pmt_ring_commit(&thread->producer);
    }
    atomic_signal_fence(memory_order_seq_cst);
    return current = thread;
}

// ---- one event ----

static void
count_untold(pmt_shared_t *shared, bool slotless)
{
    atomic_fetch_add_explicit(slotless ? &shared->lost : &shared->nested, 1, memory_order_relaxed);
    if (slotless) {
        atomic_fetch_add_explicit(&shared->lost_slotless, 1, memory_order_relaxed);
    }
}

pmt_thread_t *
pmt_event_begin_sigsafe(pmt_session_t *session, uint64_t *now)
{
    pmt_thread_t *thread = present_thread();
    if (PMT_UNLIKELY(!thread)) {
        thread = adopt_slow_sigsafe(session);
    }
    if (PMT_UNLIKELY(thread->busy)) {
        count_untold(session->shared, thread == &homeless_thread);
        return NULL;
    }
    thread->busy = 1;
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&thread->producer.ring->writing, 1, memory_order_seq_cst);
    *now = pmt_prim_now_ns_sigsafe();
    return thread;
}

void
pmt_event_settle_sigsafe(pmt_thread_t *thread)
{
    atomic_store_explicit(&thread->producer.ring->writing, 0, memory_order_release);
}

uint64_t
pmt_event_rest_sigsafe(pmt_session_t *session, pmt_thread_t *thread, uint64_t begin)
{
    pmt_event_settle_sigsafe(thread);
    uint64_t end = pmt_prim_now_ns_sigsafe();
    atomic_fetch_add_explicit(&session->signals, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&session->cost_ns, end - begin + session->delivery_ns, memory_order_relaxed);
    return end;
}

void
pmt_event_end_sigsafe(pmt_thread_t *thread)
{
    atomic_signal_fence(memory_order_seq_cst);
    thread->busy = 0;
}

enum { FALL_PART = 100, FALL_PAGES = 256 };  // of the highest RSS since the last snapshot: less is not worth another

// The first to notice leaves word; the recorder takes it up, and back when the snapshot begins.
static PMT_COLD void
saw_fall(pmt_shared_t *shared, uint64_t fell, uint64_t high, uint64_t now)
{
    uint64_t none = 0;
    if (fell < high / FALL_PART || atomic_load_explicit(&shared->fell_at, memory_order_relaxed)) {
        return;
    }
    now = now ? now : pmt_prim_now_ns_sigsafe();
    if (atomic_compare_exchange_strong_explicit(&shared->fell_at, &none, now, memory_order_seq_cst, memory_order_relaxed)) {
        pmt_recorder_wake_sigsafe(shared);
    }
}

// Races keep values that are off by one thread's page: the sampler stands beside them.
void
pmt_event_saw_rss_sigsafe(pmt_session_t *session, uint64_t pages, uint64_t now)
{
    pmt_shared_t *shared = session->shared;
    if (PMT_UNLIKELY(!pages)) {
        return;
    }
    atomic_store_explicit(&session->rss_now, (uint32_t)pages, memory_order_relaxed);
    uint64_t high = atomic_load_explicit(&shared->rss_high, memory_order_relaxed);
    if (pages > high) {
        atomic_store_explicit(&shared->rss_high, pages, memory_order_relaxed);
    } else if (PMT_UNLIKELY(high - pages >= FALL_PAGES)) {
        saw_fall(shared, high - pages, high, now);
    }
    if (pages > atomic_load_explicit(&shared->rss_peak_pages, memory_order_relaxed)) {
        atomic_store_explicit(&shared->rss_peak_pages, pages, memory_order_relaxed);
        atomic_store_explicit(&shared->rss_peak_ns, now ? now : pmt_prim_now_ns_sigsafe(), memory_order_relaxed);
    }
}

// The thread may have lost its CPU since the event began: before the reading if RSS is still about that, else behind it.
static void
find_when(pmt_session_t *session, uint64_t read, uint64_t *time)
{
    enum { NEAR_NS = 50000, NEAR_PAGES = 64 };
    uint64_t now = pmt_prim_now_ns_sigsafe();
    if (PMT_LIKELY(now - *time < NEAR_NS)) {
        return;
    }
    uint64_t pages = pmt_rss_clock_look_sigsafe(&session->rss);
    if (pages < read + NEAR_PAGES && read < pages + NEAR_PAGES) {
        *time = now;
    }
}

pmt_rss_step_t
pmt_event_rss_step_sigsafe(pmt_session_t *session, uint64_t *time)
{
    pmt_rss_step_t step = pmt_rss_clock_step_sigsafe(&session->rss);
    bool fell = step.anon + step.shared < 0, peak = step.rss > atomic_load_explicit(&session->shared->rss_peak_pages, memory_order_relaxed);
    if ((fell || peak) && atomic_load_explicit(&session->shared->rings_used, memory_order_relaxed) > 1) {
        find_when(session, step.rss, time);
    }
    pmt_event_saw_rss_sigsafe(session, step.rss, *time);
    return step;
}

// ---- its record ----

static bool
write_code_lines(pmt_producer_t *producer, uint32_t id, const pmt_code_info_t *info)
{
    pmt_lines_packer_t packer;
    uint8_t piece[256];
    size_t size;
    pmt_lines_pack_begin(&packer, info->lines, info->lines_size);
    while ((size = pmt_lines_pack_sigsafe(&packer, piece, sizeof piece)) > 0) {
        uint64_t *record = pmt_ring_reserve(producer, PMT_RAW_CODE_LINES, 0, id, 2 + (unsigned)(size + 7) / 8);
        if (!record) {
            return false;
        }
        record[1] = size;
        memcpy(record + 2, piece, size);
    }
    return true;
}

// As pmt_event_define, for one that is not known.
static PMT_COLD uint32_t
define(pmt_session_t *session, pmt_thread_t *thread, uint64_t key, uint32_t check, pmt_describe_t describe_sigsafe, uint64_t thing)
{
    pmt_code_info_t *info = &thread->info;
    describe_sigsafe(thing, info);
    uint32_t id = pmt_code_table_new_id_sigsafe(&session->codes);
    unsigned words = 2 + (info->file_size + info->name_size + 7) / 8 + 1;
    uint64_t *record = pmt_ring_reserve(&thread->producer, PMT_RAW_CODE, 0, id, words);
    if (!record) {
        return 0;
    }
    record[1] = info->first_line;
    record[2] = (uint64_t)info->file_size << 32 | info->name_size;
    memcpy(record + 3, info->file, info->file_size);
    memcpy((char *)(record + 3) + info->file_size, info->name, info->name_size);
    if (!write_code_lines(&thread->producer, id, info)) {
        return 0;
    }
    pmt_ring_commit(&thread->producer);  // published before any other thread can name it
    pmt_code_table_add_sigsafe(&session->codes, key, check, id);
    return id;
}

// The id under which the recorder knows the frame's code object. 0: lost.
static uint32_t
code_id(pmt_session_t *session, pmt_thread_t *thread, const pmt_frame_t *frame)
{
    uint32_t id = pmt_code_table_find_sigsafe(&session->codes, frame->code, frame->check);
    if (PMT_LIKELY((id & PMT_CODE_ID) != 0)) {
        return id & PMT_CODE_ID;
    }
    return define(session, thread, frame->code, frame->check, session->interp->describe_sigsafe, frame->code);
}

// Tells the recorder which frames of the stack are new since the thread's last event.
static bool
write_stack(pmt_session_t *session, pmt_thread_t *thread)
{
    enum { PIECE = PMT_RAW_WORDS_MAX / 4 };
    pmt_stack_t *stack = &thread->stack;
    uint32_t before = stack->depth;
    uint32_t depth = session->interp->depth_sigsafe();
    uint32_t brought = pmt_stack_populate_sigsafe(stack, depth < PMT_STACK_MAX ? depth : PMT_STACK_MAX);
    if (PMT_UNLIKELY(brought)) {
        pmt_rss_clock_exclude_sigsafe(&session->rss, brought, 0);
        atomic_fetch_add_explicit(&session->shared->tracer_pages, brought, memory_order_relaxed);
    }
    uint32_t keep = session->interp->walk_sigsafe(stack, depth);
    if (keep == before && keep == stack->depth) {
        return true;
    }
    do {
        uint32_t ids[PIECE];
        unsigned count = stack->depth - keep < PIECE ? stack->depth - keep : PIECE;
        for (unsigned i = 0; i < count; i++) {  // first: describing a code object writes records too
            const pmt_frame_t *frame = &stack->frames[keep + i];
            ids[i] = frame->code ? code_id(session, thread, frame) : UINT32_MAX;
            if (ids[i] == 0) {
                return false;
            }
        }
        uint64_t *record = pmt_ring_reserve(&thread->producer, PMT_RAW_FRAMES, 0, keep, 1 + count);
        if (!record) {
            return false;
        }
        for (unsigned i = 0; i < count; i++) {
            record[1 + i] = (uint64_t)ids[i] << 32 | stack->frames[keep + i].offset;
        }
        keep += count;
    } while (keep < stack->depth);
    return true;
}

// A stack without Python, interrupted in the C library: its top says on whose behalf.
static PMT_COLD void
write_native(pmt_session_t *session, pmt_thread_t *thread, const pmt_event_t *event)
{
    enum { WORDS = 48 };
    uint64_t words[WORDS];
    if (event->instruction < session->c_library || event->instruction >= session->c_library_end) {
        return;
    }
    unsigned count = (unsigned)(pmt_prim_peek_sigsafe(event->stack, words, sizeof words) / sizeof *words);
    uint64_t *record = count ? pmt_ring_reserve(&thread->producer, PMT_RAW_NATIVE, 0, 0, 1 + count) : NULL;
    if (record) {
        memcpy(record + 1, words, count * sizeof *words);
    }
}

static PMT_COLD void
count_lost(pmt_session_t *session, pmt_thread_t *thread)
{
    thread->stack.depth = 0;  // the recorder's idea of the stack is stale: send it whole next time
    thread->producer.lost++;
    atomic_fetch_add_explicit(&session->shared->lost, 1, memory_order_relaxed);
}

static bool
write_losses(pmt_thread_t *thread, uint64_t now)
{
    uint64_t *record = pmt_ring_reserve(&thread->producer, PMT_RAW_LOST, 0, thread->producer.lost, 2);
    if (record) {
        record[1] = now;
        thread->producer.lost = 0;
    }
    return record != NULL;
}

static uint64_t *
reserve_fault(const pmt_session_t *session, pmt_thread_t *thread, const pmt_event_t *event)
{
    pmt_lanes_t *lanes = session->lanes;
    if (PMT_LIKELY(!lanes)) {
        return pmt_ring_reserve(&thread->producer, PMT_RAW_FAULT, event->flags, event->rise, 4);
    }
    uint64_t *record = pmt_ring_reserve(&thread->producer, PMT_RAW_FAULT, event->flags | PMT_RAW_FAULT_PLACED, event->rise, 6);
    if (record) {
        record[4] = lane_head(lanes, thread);
        record[5] = atomic_load_explicit(&session->rss_now, memory_order_relaxed);
    }
    return record;
}

static PMT_COLD void
write_fall(pmt_thread_t *thread, uint32_t pages)
{
    pmt_ring_reserve(&thread->producer, PMT_RAW_FELL, 0, pages, 1);
}

static void
write_name(pmt_thread_t *thread, bool of_kernel, const char *name, size_t size)
{
    uint64_t *record = pmt_ring_reserve(&thread->producer, PMT_RAW_THREAD_NAME, of_kernel, (uint32_t)size, 1 + (unsigned)(size + 7) / 8);
    if (record) {
        memcpy(record + 1, name, size);
        pmt_ring_commit(&thread->producer);
    }
}

// Seldom, and less and less: a thread takes its name at its start, often after its first fault.
static PMT_COLD void
tell_name(pmt_thread_t *thread)
{
    char name[PMT_THREAD_NAME_KERNEL];
    pmt_prim_own_name_sigsafe(name);
    if (memcmp(name, thread->name, sizeof name) != 0) {
        memcpy(thread->name, name, sizeof name);
        write_name(thread, true, name, strlen(name));
    }
}

bool
pmt_event_write_sigsafe(pmt_session_t *session, pmt_thread_t *thread, const pmt_event_t *event)
{
    uint64_t *record = NULL;
    if ((!thread->producer.lost || write_losses(thread, event->time)) && write_stack(session, thread)) {
        if (PMT_UNLIKELY(thread->stack.depth == 0)) {
            write_native(session, thread, event);
        }
        if (PMT_UNLIKELY(event->fell_to)) {
            write_fall(thread, event->fell_to);
        }
        record = reserve_fault(session, thread, event);
    }
    if (!record) {
        count_lost(session, thread);
        pmt_rss_clock_give_back_sigsafe(&session->rss, event->rise);
        return false;
    }
    record[1] = event->time;
    record[2] = event->address;
    record[3] = event->instruction;
    pmt_ring_commit(&thread->producer);
    thread->written++;
    if (PMT_UNLIKELY((thread->written & (thread->written - 1)) == 0)) {
        tell_name(thread);
    }
    return true;
}

static bool
write_no_stack(pmt_thread_t *thread)
{
    thread->stack.depth = 0;
    return pmt_ring_reserve(&thread->producer, PMT_RAW_FRAMES, 0, 0, 1) != NULL;
}

static bool
write_stack_of(pmt_session_t *session, pmt_thread_t *thread, const pmt_change_t *change)
{
    switch (change->stack) {
    case PMT_STACK_PRESENT:
        return write_stack(session, thread);
    case PMT_STACK_UNKNOWN:
        return write_no_stack(thread);
    default:
        return true;
    }
}

bool
pmt_event_change_sigsafe(pmt_session_t *session, pmt_thread_t *thread, const pmt_change_t *change)
{
    uint64_t *record = NULL;
    if ((!thread->producer.lost || write_losses(thread, change->words[0])) && write_stack_of(session, thread, change)) {
        record = pmt_ring_reserve(&thread->producer, change->type, change->flags, change->arg, 1 + change->count);
    }
    if (!record) {
        count_lost(session, thread);
        return false;
    }
    memcpy(record + 1, change->words, change->count * sizeof *record);
    pmt_ring_commit(&thread->producer);
    return true;
}

// ---- outside of handlers ----

void
pmt_event_adopt_thread(void)
{
    pmt_event_thread();
}

pmt_thread_t *
pmt_event_thread(void)
{
    pmt_thread_t *thread = present_thread();
    return thread ? thread : adopt_slow_sigsafe(&pmt_session);
}

uint32_t
pmt_event_define(uint64_t key, uint32_t check, pmt_describe_t describe, uint64_t thing)
{
    pmt_session_t *session = &pmt_session;
    uint32_t id = pmt_code_table_find_sigsafe(&session->codes, key, check);
    pmt_thread_t *thread = id & PMT_CODE_ID ? NULL : pmt_event_thread();
    if (!thread || thread->busy) {
        return id;
    }
    thread->busy = 1;
    atomic_signal_fence(memory_order_seq_cst);
    id = define(session, thread, key, check, describe, thing);
    atomic_signal_fence(memory_order_seq_cst);
    thread->busy = 0;
    return id;
}

bool
pmt_event_place_code(uint32_t id, const char *module, size_t size)
{
    pmt_thread_t *thread = pmt_event_thread();
    if (thread->busy) {
        return false;
    }
    thread->busy = 1;
    atomic_signal_fence(memory_order_seq_cst);
    uint64_t *record = pmt_ring_reserve(&thread->producer, PMT_RAW_CODE_MODULE, 0, id, 2 + (unsigned)(size + 7) / 8);
    if (record) {
        record[1] = size;
        memcpy(record + 2, module, size);
        pmt_ring_commit(&thread->producer);
    }
    atomic_signal_fence(memory_order_seq_cst);
    thread->busy = 0;
    return record != NULL;
}

void
pmt_event_name_thread(const char *name, size_t size)
{
    enum { ROOM = (PMT_RAW_WORDS_MAX - 1) * 8 };
    pmt_session_t *session = &pmt_session;
    if (!atomic_load_explicit(&session->active, memory_order_acquire)) {
        return;
    }
    pmt_thread_t *thread = pmt_event_thread();
    if (thread->busy) {
        return;
    }
    size = size < ROOM ? size : ROOM;
    thread->busy = 1;
    atomic_signal_fence(memory_order_seq_cst);
    write_name(thread, false, name, size);
    atomic_signal_fence(memory_order_seq_cst);
    thread->busy = 0;
}

void
pmt_event_note(unsigned type, uint32_t arg, uint64_t value)
{
    pmt_thread_t *thread = present_thread();
    if (!thread || thread->busy) {
        return;
    }
    thread->busy = 1;
    atomic_signal_fence(memory_order_seq_cst);
    uint64_t *record = pmt_ring_reserve(&thread->producer, type, 0, arg, 3);
    if (record) {
        record[1] = pmt_prim_now_ns_sigsafe();
        record[2] = value;
        pmt_ring_commit(&thread->producer);
    }
    atomic_signal_fence(memory_order_seq_cst);
    thread->busy = 0;
}

void
pmt_event_disown_sigsafe(void)
{
    atomic_store_explicit(&pmt_session.active, false, memory_order_release);
    atomic_store_explicit(&inside, 0, memory_order_relaxed);  // the other threads' handlers were not copied
    pmt_event_forget_threads();
}

void
pmt_event_forget_threads(void)
{
    atomic_fetch_add_explicit(&session_number, 1, memory_order_relaxed);
}

bool
pmt_event_enter_sigsafe(pmt_session_t *session)
{
    atomic_fetch_add_explicit(&inside, 1, memory_order_seq_cst);  // before `active` is asked: pmt_event_quiet reads them the other way round
    return atomic_load_explicit(&session->active, memory_order_seq_cst);
}

void
pmt_event_leave_sigsafe(void)
{
    atomic_fetch_sub_explicit(&inside, 1, memory_order_release);
}

bool
pmt_event_quiet(uint64_t timeout_ns)
{
    static const uint64_t LOOK_AGAIN_NS = 200000;
    uint64_t deadline = pmt_prim_now_ns_sigsafe() + timeout_ns;
    uint32_t handlers;
    while ((handlers = atomic_load_explicit(&inside, memory_order_seq_cst)) != 0 && pmt_prim_now_ns_sigsafe() < deadline) {
        pmt_prim_wait_sigsafe(&inside, handlers, LOOK_AGAIN_NS);
    }
    return handlers == 0;
}
