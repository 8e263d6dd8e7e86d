// The timer engine (timer.h). A tick costs a few us; one without page faults of its thread since the last only a system call.
//
// Invariants: those of event.h. `lock` guards all of `engine` but the atomics; a handler only tries it, and leaves its share of the rise for its next tick.
#include "capture/timer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "capture/event.h"
#include "capture/pot.h"
#include "prim/prim.h"

static const uint64_t INTERVAL_NS = 2000000;  // of a thread's CPU time
static const uint64_t COUNT_NS = 20000000;    // between looks at the number of threads
static const uint64_t LIST_NS = 250000000;    // between looks at which they are
static const uint64_t LOCK_WAIT_NS = 1000000;

enum { ENDED_MAX = 32 };  // threads that may have ended before they are looked for

// A thread that has ticks.
typedef struct timed_s {
    uint32_t tid;
    int timer;
    uint32_t round;  // of the listing that saw it last
    bool muted;      // it blocks the signal
} timed_t;

static struct {
    _Atomic uint32_t lock;
    _Atomic uint64_t count_at;
    uint64_t list_at;
    uint32_t threads;  // alive at the last listing
    uint32_t round;
    uint32_t paused;
    uint32_t used, cursor;
    uint64_t faults;  // of the process, at the last reading
    pmt_pot_t pot;
    timed_t timed[PMT_RINGS];
} engine;

static bool
lock_try_sigsafe(void)
{
    return atomic_exchange_explicit(&engine.lock, 1, memory_order_acquire) == 0;
}

// Never in a handler. The thread's own handler must not find the lock held by its thread: it only tries.
static void
lock(void)
{
    while (!lock_try_sigsafe()) {
        pmt_prim_wait_sigsafe(&engine.lock, 1, LOCK_WAIT_NS);
    }
}

static void
unlock_sigsafe(void)
{
    atomic_store_explicit(&engine.lock, 0, memory_order_release);
}

// ---- the threads that have ticks ----

// The listing comes in the order in which threads began, and so does the table, nearly: the search goes on where the last one ended.
static timed_t *
find_locked(uint32_t tid)
{
    for (uint32_t i = 0; i < engine.used; i++) {
        uint32_t at = (engine.cursor + i) % engine.used;
        if (engine.timed[at].tid == tid) {
            engine.cursor = at + 1;
            return &engine.timed[at];
        }
    }
    return NULL;
}

static void
start_locked(const timed_t *timed)
{
    if (!engine.paused && !timed->muted) {
        pmt_prim_tick_set_sigsafe(timed->timer, INTERVAL_NS);
    }
}

// NULL: no room, no timer left, or the thread has just ended.
static timed_t *
add_locked(uint32_t tid)
{
    int timer = engine.used < PMT_RINGS ? pmt_prim_tick_create_sigsafe(tid) : -ENOMEM;
    if (timer < 0) {
        return NULL;
    }
    timed_t *timed = &engine.timed[engine.used++];
    *timed = (timed_t){.tid = tid, .timer = timer, .round = engine.round};
    return timed;
}

static void
remove_locked(timed_t *timed)
{
    pmt_prim_tick_delete_sigsafe(timed->timer);
    *timed = engine.timed[--engine.used];
}

static int
see_thread(uint32_t tid, void *context)
{
    timed_t *timed = find_locked(tid);
    engine.threads++;
    if (timed) {
        timed->round = engine.round;
    } else if ((timed = add_locked(tid))) {
        start_locked(timed);
    }
    return 0;
}

static int
list_threads_locked(const pmt_session_t *session)
{
    engine.round++;
    engine.threads = 0;
    int err = pmt_prim_each_thread_sigsafe(see_thread, NULL);
    for (uint32_t i = 0; i < engine.used;) {
        timed_t *timed = &engine.timed[i];
        // A listing may miss a thread while others end.
        if (timed->round != engine.round && !pmt_prim_thread_alive_sigsafe(session->pid, timed->tid)) {
            remove_locked(timed);
        } else {
            i++;
        }
    }
    return err;
}

static void
review_threads(const pmt_session_t *session, uint64_t now)
{
    if (PMT_LIKELY(now < atomic_load_explicit(&engine.count_at, memory_order_relaxed)) || !lock_try_sigsafe()) {
        return;
    }
    atomic_store_explicit(&engine.count_at, now + COUNT_NS, memory_order_relaxed);
    if (now >= engine.list_at || pmt_prim_thread_count_sigsafe() != engine.threads) {
        engine.list_at = now + LIST_NS;
        list_threads_locked(session);
    }
    unlock_sigsafe();
}

// ---- the handler ----

static void
read_rise_locked(pmt_session_t *session, uint64_t now)
{
    pmt_rss_step_t step = pmt_event_rss_step_sigsafe(session, &now);
    uint64_t faults = pmt_prim_process_faults_sigsafe();
    uint64_t up = (uint64_t)(step.anon > 0 ? step.anon : 0) + (uint64_t)(step.shared > 0 ? step.shared : 0);
    if (step.rss) {
        pmt_pot_add(&engine.pot, up, faults - engine.faults);
        engine.faults = faults;
    }
}

// The pages that the thread brought in since its last tick, by the page faults it took since.
static uint32_t
claim_rise(pmt_session_t *session, pmt_thread_t *thread, uint64_t faults, uint64_t now)
{
    uint64_t pages = 0;
    if (lock_try_sigsafe()) {
        read_rise_locked(session, now);
        pages = pmt_pot_take(&engine.pot, faults, now);
        unlock_sigsafe();
        thread->faults_before += faults;
    }
    return pages < UINT32_MAX ? (uint32_t)pages : UINT32_MAX;
}

static void
record_tick(pmt_session_t *session, pmt_thread_t *thread, const pmt_tick_signal_t *signal, uint64_t now)
{
    uint64_t faults = pmt_prim_thread_faults_sigsafe() - thread->faults_before;
    // A thread without page faults has brought nothing in. And unlike a fault a tick can come while the interpreter pushes a frame: then the next one tells.
    if (faults == 0 || !session->interp->steady_sigsafe(signal->stack)) {
        return;
    }
    uint32_t rise = claim_rise(session, thread, faults, now);
    if (rise == 0) {
        return;
    }
    pmt_event_t event = {.time = now, .instruction = signal->instruction, .stack = signal->stack, .rise = rise, .flags = PMT_RAW_FAULT_TICK};
    pmt_event_write_sigsafe(session, thread, &event);
}

static void
handle_tick(pmt_session_t *session, const pmt_tick_signal_t *signal)
{
    uint64_t begin;
    pmt_thread_t *thread = pmt_event_begin_sigsafe(session, &begin);
    if (PMT_UNLIKELY(!thread)) {
        return;
    }
    record_tick(session, thread, signal, begin);
    review_threads(session, pmt_event_rest_sigsafe(session, thread, begin));
    pmt_event_end_sigsafe(thread);
}

static void
on_tick(const pmt_tick_signal_t *signal)
{
    pmt_session_t *session = &pmt_session;
    if (PMT_LIKELY(pmt_event_enter_sigsafe(session))) {
        handle_tick(session, signal);
    }
    pmt_event_leave_sigsafe();
}

// ---- start and stop ----

int
pmt_timer_arm(pmt_session_t *session, char reason[PMT_REASON_MAX])
{
    int tracer = pmt_prim_tracer_pid();
    if (tracer) {
        snprintf(reason, PMT_REASON_MAX, "process %d traces this one (a debugger or strace): ticks would stop in it", tracer);
        return -EBUSY;
    }
    int err = pmt_prim_tick_install(on_tick);
    if (err < 0) {
        snprintf(reason, PMT_REASON_MAX, "no real-time signal is left for the timer: the program's parent blocks or uses them all");
        return err;
    }
    lock();
    engine.pot = (pmt_pot_t){.turned_at = pmt_prim_now_ns_sigsafe()};
    engine.faults = pmt_prim_process_faults_sigsafe();
    list_threads_locked(session);
    uint32_t used = engine.used;
    unlock_sigsafe();
    if (used == 0) {
        err = pmt_prim_tick_create_sigsafe(pmt_prim_tid_sigsafe());
        snprintf(reason, PMT_REASON_MAX, "timer_create: %s", strerror(err < 0 ? -err : EAGAIN));
        return err < 0 ? err : -EAGAIN;
    }
    return 0;
}

uint64_t
pmt_timer_disarm(void)
{
    lock();
    while (engine.used > 0) {
        remove_locked(&engine.timed[engine.used - 1]);
    }
    uint64_t pages = engine.pot.pages;
    engine.pot = (pmt_pot_t){0};
    unlock_sigsafe();
    return pages;
}

// ---- what the program does ----

static bool
is_running(void)
{
    const pmt_session_t *session = &pmt_session;
    return session->engine == PMT_ENGINE_TIMER && atomic_load_explicit(&session->active, memory_order_acquire);
}

void
pmt_timer_add_thread(void)
{
    pmt_thread_t *thread = is_running() ? pmt_event_thread() : NULL;
    if (!thread || thread->busy || thread->timed) {
        return;
    }
    thread->timed = true;
    lock();
    if (engine.used > 2 * engine.threads + ENDED_MAX) {  // nobody has had a tick for long
        list_threads_locked(&pmt_session);
    }
    timed_t *timed = find_locked(thread->tid);
    if (timed) {  // perhaps of an ended thread that had this number
        remove_locked(timed);
    }
    if ((timed = add_locked(thread->tid))) {
        timed->muted = pmt_prim_tick_blocked_sigsafe();
        start_locked(timed);
    }
    unlock_sigsafe();
}

void
pmt_timer_pause(void)
{
    lock();
    engine.paused++;
    for (uint32_t i = 0; i < engine.used; i++) {
        pmt_prim_tick_set_sigsafe(engine.timed[i].timer, 0);
    }
    unlock_sigsafe();
}

void
pmt_timer_resume(void)
{
    lock();
    engine.paused--;
    pmt_prim_tick_reclaim();
    for (uint32_t i = 0; i < engine.used; i++) {
        start_locked(&engine.timed[i]);
    }
    unlock_sigsafe();
}

void
pmt_timer_follow_mask(void)
{
    bool blocked = pmt_prim_tick_blocked_sigsafe();
    lock();
    uint32_t tid = pmt_prim_tid_sigsafe();
    timed_t *timed = find_locked(tid);
    if (blocked && !timed) {
        timed = add_locked(tid);  // or a listing would give it ticks
    }
    if (timed && timed->muted != blocked) {
        timed->muted = blocked;
        if (blocked) {
            pmt_prim_tick_set_sigsafe(timed->timer, 0);
            pmt_prim_tick_flush();
        } else {
            start_locked(timed);
        }
    }
    unlock_sigsafe();
}

void
pmt_timer_disown_sigsafe(void)
{
    engine.used = engine.paused = 0;
    unlock_sigsafe();
}
