// The page-fault engine (fault.h). A SIGTRAP arrives at each (period-th) page fault, synchronously, on the thread that faulted, with or without the
// interpreter's lock. Budget of the handler at period 1: RSS read 1.4 us, frame walk 2 ns a frame, the rest 0.2 us.
//
// Invariants: those of event.h; a SIGTRAP of anyone else is passed on.
#include "capture/fault.h"

#include <errno.h>
#include <stdio.h>

#include "base/compiler.h"
#include "capture/census.h"
#include "capture/event.h"
#include "capture/moves.h"
#include "capture/period.h"
#include "prim/prim.h"

// A perf event's cookie: our mark, and below it the binary logarithm of its period. While events are renewed the old ones go on for a moment; a signal of one hides
// that of the other at the same fault, so each is recorded for what it stands for.
static const uint64_t COOKIE = 0x706d656d74720000ull, COOKIE_PERIOD = 0xf;
enum { HUGE_BLOCK = 2 << 20, HUGE_PAGES = 512, SELF_TEST_PAGES = 32, SELF_TEST_TIMED = SELF_TEST_PAGES / 2 };

static struct {
    _Atomic bool running;
    _Atomic uint32_t hits;
    uint64_t base, end;
} self_test;

// ---- the parts of one event ----

// A huge page of anonymous memory has come in at `address`: the thread did not fault in that block just before, and the kernel says so.
static bool
huge_page_at(const pmt_thread_t *thread, uint64_t address)
{
    if ((address & ~(uint64_t)(HUGE_BLOCK - 1)) == thread->block) {
        return false;
    }
    int page = pmt_prim_page_sigsafe(address);
    return page > 0 && page & PMT_PAGE_HUGE && !(page & (PMT_PAGE_FILE | PMT_PAGE_ZERO));
}

static bool
anonymous_at(uint64_t address)
{
    int page = pmt_prim_page_sigsafe(address);
    return page > 0 && page & PMT_PAGE_PRESENT && !(page & (PMT_PAGE_FILE | PMT_PAGE_ZERO));
}

// The same for memory that is brought in and released all the time. The kernel's answer waits for the lock of the address space, for which threads that map and
// release memory queue: a yes holds for the neighbourhood and for some signals more.
static bool
anonymous_around(pmt_thread_t *thread, uint64_t address)
{
    enum { NEIGHBOURHOOD = 1 << 30, ANSWERS = 64 };
    uint64_t around = address & ~(uint64_t)(NEIGHBOURHOOD - 1);
    if (around != thread->asked_around || thread->answers == 0) {
        thread->asked_around = around;
        thread->answers = anonymous_at(address) ? ANSWERS : 0;
        return thread->answers > 0;
    }
    thread->answers--;
    return true;
}

typedef struct rise_s {
    uint32_t pages;
    bool by_time;
    uint32_t fell_to;  // as in pmt_event_t
} rise_t;

static uint32_t
rise_of(pmt_rss_step_t step)
{
    return (uint32_t)((step.anon > 0 ? step.anon : 0) + (step.shared > 0 ? step.shared : 0));
}

// Two threads fault at the same moment, one reads both pages: it leaves the other's here, and the other, which sees no rise, takes it.
static uint32_t
share_rise(pmt_session_t *session, pmt_thread_t *thread, int64_t anon)
{
    uint32_t found = atomic_load_explicit(&session->found_pages, memory_order_relaxed);
    if (anon > 1) {
        atomic_fetch_add_explicit(&session->found_pages, (uint32_t)anon - 1, memory_order_relaxed);
        thread->left_pages += (uint32_t)anon - 1;
        return 1;
    }
    while (found > 0) {
        if (atomic_compare_exchange_weak_explicit(&session->found_pages, &found, found - 1, memory_order_relaxed, memory_order_relaxed)) {
            return 1;
        }
    }
    return 0;
}

// What nobody came for was the finder's after all.
static uint32_t
take_back(pmt_session_t *session, pmt_thread_t *thread)
{
    uint32_t found = atomic_load_explicit(&session->found_pages, memory_order_relaxed), take;
    do {
        take = thread->left_pages < found ? thread->left_pages : found;
    } while (take && !atomic_compare_exchange_weak_explicit(&session->found_pages, &found, found - take, memory_order_relaxed, memory_order_relaxed));
    thread->left_pages = 0;
    return take;
}

// Faults of the thread inside system calls, without a signal, since this was asked last.
static bool
faulted_silently(pmt_thread_t *thread)
{
    uint64_t faults = pmt_prim_thread_faults_sigsafe() - thread->faults_before;
    uint64_t unsignalled = faults > thread->signals ? faults - thread->signals : 0;
    bool silent = unsignalled > thread->unsignalled;
    thread->unsignalled = unsignalled;
    return silent;
}

// What this fault added to RSS, where that is not simply one page. Normally the step since the last reading; but memory released in between hides the fault's own
// page or pages, and other threads' pages and those of system calls come on top.
static PMT_COLD rise_t
rise_slow(pmt_session_t *session, pmt_thread_t *thread, uint64_t address, pmt_rss_step_t step)
{
    enum { SHARED_MAX = 8, JUST_NOW_NS = 200000 };
    uint32_t up = rise_of(step);
    bool lost = thread->producer.lost > 0;  // faults whose rise is in this step
    uint64_t now = pmt_prim_now_ns_sigsafe();
    uint64_t released_at = atomic_load_explicit(&session->released_at, memory_order_relaxed);
    if (step.anon < 0) {
        atomic_store_explicit(&session->released_at, now, memory_order_relaxed);
    }
    bool silent = faulted_silently(thread);
    bool threads = atomic_load_explicit(&session->shared->rings_used, memory_order_relaxed) > 1;
    if (step.shared == 0 && step.anon <= 0 && huge_page_at(thread, address)) {
        return (rise_t){.pages = HUGE_PAGES};
    }
    if (threads && !silent && !lost && step.shared == 0 && step.anon >= 0 && step.anon <= SHARED_MAX) {
        uint32_t pages = share_rise(session, thread, step.anon);
        if (pages == 0 && now - released_at < JUST_NOW_NS) {  // another thread's release hid it
            pages = anonymous_at(address);
        }
        return (rise_t){.pages = pages};
    }
    if (up == 0) {
        return (rise_t){.pages = step.anon < 0 || step.shared < 0};
    }
    bool others = threads && step.anon > 1 && step.anon != HUGE_PAGES;
    return (rise_t){.pages = up, .by_time = silent || others || lost || up > HUGE_PAGES};
}

// Of threads that touch memory at once each has up to a period's pages in RSS that it has not signalled yet. The reading of one thread that finds more than its own
// period leaves them, and one that finds less takes them: without releases there are always enough.
static uint32_t
even_out(pmt_session_t *session, uint32_t up, uint32_t period)
{
    uint32_t room = (atomic_load_explicit(&session->shared->rings_used, memory_order_relaxed) - 1) * period;
    uint32_t found = atomic_load_explicit(&session->found_pages, memory_order_relaxed), left;
    do {
        uint32_t sum = up + found;
        left = sum > period ? sum - period : 0;
        left = left < room ? left : room;
    } while (!atomic_compare_exchange_weak_explicit(&session->found_pages, &found, left, memory_order_relaxed, memory_order_relaxed));
    return up + found - left;
}

// Faults of the thread since this was asked last.
static uint64_t
new_faults(pmt_thread_t *thread)
{
    uint64_t faults = pmt_prim_thread_faults_sigsafe(), before = thread->faults_told;
    thread->faults_told = faults;
    return faults - before;
}

// The same for a signal that stands for many faults. Memory that is brought in and released between two signals is in no step; but where RSS has fallen lately, or
// the page of the last signal comes in again, and this one is the thread's own, so were the other faults'. Not after a fork, when faults replace pages.
// Until the recorder has closed them the events of the last period signal too, beside the new ones or in their place: so no more than the thread's own faults.
static PMT_COLD rise_t
rise_of_many(pmt_session_t *session, pmt_thread_t *thread, uint64_t address, pmt_rss_step_t step, uint32_t period)
{
    static const uint64_t LATELY_NS = 20000000;
    uint32_t up = rise_of(step);
    uint64_t now = pmt_prim_now_ns_sigsafe();
    bool fell = step.anon < 0 || step.shared < 0;
    if (fell || address == thread->last_address) {
        atomic_store_explicit(&session->released_at, now, memory_order_relaxed);
    }
    if (step.shared <= 0) {
        up = even_out(session, up, period);
    }
    bool lately = now - atomic_load_explicit(&session->released_at, memory_order_relaxed) < LATELY_NS;
    bool telling = !atomic_load_explicit(&session->forked, memory_order_relaxed);
    uint64_t faults = lately ? new_faults(thread) : 0;
    uint32_t own = faults < period ? (uint32_t)faults : period;
    if (up < own && ((fell && up == 0) || (telling && anonymous_around(thread, address)))) {
        up = own;
    }
    return (rise_t){.pages = up, .by_time = thread->producer.lost > 0 && up > 0};
}

static rise_t
measure_rise(pmt_session_t *session, pmt_thread_t *thread, uint64_t address, uint32_t period, uint64_t *now)
{
    pmt_rss_step_t step = pmt_event_rss_step_sigsafe(session, now);
    rise_t rise = {.pages = 1};
    if (PMT_UNLIKELY(period == 1 && atomic_load_explicit(&session->period, memory_order_relaxed) > 1)) {
        new_faults(thread);  // the new event's signal must not tell of this fault again
    }
    if (PMT_UNLIKELY(period > 1)) {
        rise = rise_of_many(session, thread, address, step, period);
    } else if (PMT_UNLIKELY(step.anon != 1 || step.shared != 0)) {
        rise = rise_slow(session, thread, address, step);
    } else if (PMT_UNLIKELY(thread->left_pages)) {
        rise.pages += take_back(session, thread);
    }
    rise.fell_to = step.anon + step.shared < 0 ? (uint32_t)step.rss : 0;
    return rise;
}

static void
record_fault(pmt_session_t *session, pmt_thread_t *thread, const pmt_fault_signal_t *signal, uint64_t now)
{
    unsigned period_log = signal->cookie & COOKIE_PERIOD;
    uint32_t period = 1u << period_log;
    rise_t rise = measure_rise(session, thread, signal->address, period, &now);
    if (PMT_UNLIKELY(rise.pages == 0 && signal->address == thread->last_address && signal->instruction == thread->last_instruction)) {
        return;  // a thread that began while events were renewed has two of them
    }
    thread->last_address = signal->address;
    thread->last_instruction = signal->instruction;
    thread->last_stack = signal->stack;
    thread->block = signal->address & ~(uint64_t)(HUGE_BLOCK - 1);
    pmt_event_t event = {
        .time = now,
        .address = signal->address,
        .instruction = signal->instruction,
        .stack = signal->stack,
        .rise = rise.pages,
        .fell_to = rise.fell_to,
        .flags = period_log | (rise.by_time ? PMT_RAW_FAULT_BY_TIME : 0) | (signal->async ? PMT_RAW_FAULT_ASYNC : 0),
    };
    pmt_event_write_sigsafe(session, thread, &event);
}

// ---- the adaptive period ----

typedef struct renewal_s {
    pmt_session_t *session;
    int socket;
    uint32_t generation, period;
} renewal_t;

static int
renew_thread(uint32_t tid, void *context)
{
    const renewal_t *renewal = context;
    pmt_session_t *session = renewal->session;
    uint64_t cookie = COOKIE | (uint64_t)__builtin_ctz(renewal->period);
    int fd = pmt_prim_fault_event_open_sigsafe(tid, renewal->period, cookie, false);
    if (fd < 0) {
        return fd == -ESRCH ? 0 : fd;  // the thread has just ended
    }
    pmt_events_t message = {.kind = PMT_MESSAGE_EVENTS, .pid = session->pid, .generation = renewal->generation};
    int err = pmt_prim_send_sigsafe(renewal->socket, &message, sizeof message, &fd, 1);
    pmt_prim_close_sigsafe(fd);
    return err;
}

// Opens events of the new period on every thread and lets the recorder close the old ones: PERF_EVENT_IOC_PERIOD would not reach inherited events.
static PMT_COLD void
renew_events_sigsafe(pmt_session_t *session, pmt_thread_t *thread, uint32_t period)
{
    renewal_t renewal = {session, pmt_prim_connect_sigsafe(session->address), session->generation + 1, period};
    if (renewal.socket < 0) {
        return;
    }
    if (pmt_prim_each_thread_sigsafe(renew_thread, &renewal) == 0) {
        session->generation++;
        atomic_store_explicit(&session->period, period, memory_order_relaxed);
        uint64_t *record = pmt_ring_reserve(&thread->producer, PMT_RAW_PERIOD, 0, period, 2);
        if (record) {
            record[1] = pmt_prim_now_ns_sigsafe();
            pmt_ring_commit(&thread->producer);
        }
    }
    // Without descriptors: generations other than this one are over. After a failure that is the new one.
    pmt_events_t done = {.kind = PMT_MESSAGE_EVENTS, .pid = session->pid, .generation = session->generation};
    pmt_prim_send_sigsafe(renewal.socket, &done, sizeof done, NULL, 0);
    pmt_prim_close_sigsafe(renewal.socket);
    pmt_recorder_wake_sigsafe(session->shared);
}

unsigned
pmt_fault_open_others(pmt_session_t *session, int socket, int *why)
{
    return pmt_census(renew_thread, &(renewal_t){session, socket, 0, 1}, why);
}

// Now and then, and as soon as signals are no longer free.
static bool
review_is_due(const pmt_session_t *session, uint64_t now)
{
    return now >= atomic_load_explicit(&session->check_at, memory_order_relaxed) ||
           atomic_load_explicit(&session->signals, memory_order_relaxed) == PMT_PERIOD_FREE_SIGNALS;
}

static void
review_period(pmt_session_t *session, pmt_thread_t *thread, uint64_t now)
{
    if (PMT_LIKELY(!review_is_due(session, now)) || session->exact || atomic_exchange_explicit(&session->changing, 1, memory_order_acquire)) {
        return;
    }
    uint32_t period = atomic_load_explicit(&session->period, memory_order_relaxed);
    uint32_t wanted = pmt_period_decide(period, &(pmt_spending_t){
        .signals = atomic_load_explicit(&session->signals, memory_order_relaxed),
        .faults = atomic_load_explicit(&session->faults, memory_order_relaxed),
        .cost_ns = atomic_load_explicit(&session->cost_ns, memory_order_relaxed),
        .elapsed_ns = now - session->started,
    });
    if (wanted != period) {
        renew_events_sigsafe(session, thread, wanted);
    }
    atomic_store_explicit(&session->check_at, now + (wanted > period ? PMT_PERIOD_CHECK_NS : PMT_PERIOD_REST_NS), memory_order_relaxed);
    atomic_store_explicit(&session->changing, 0, memory_order_release);
}

// ---- the handler ----

static void
run_self_test(const pmt_fault_signal_t *signal)
{
    if (signal->address >= self_test.base && signal->address < self_test.end) {
        atomic_fetch_add_explicit(&self_test.hits, 1, memory_order_relaxed);
    }
}

// A fault of the handler's own code, as after a fork, when its pages are copied: the signal has waited for the handler's end and interrupts what that interrupted.
static bool
is_own(const pmt_thread_t *thread, const pmt_fault_signal_t *signal)
{
    return signal->async && signal->instruction == thread->last_instruction && signal->stack == thread->last_stack;
}

static void
handle_fault(pmt_session_t *session, const pmt_fault_signal_t *signal)
{
    uint64_t begin;
    pmt_thread_t *thread = pmt_event_begin_sigsafe(session, &begin);
    if (PMT_UNLIKELY(!thread)) {
        return;
    }
    if (PMT_UNLIKELY(is_own(thread, signal))) {
        atomic_fetch_add_explicit(&session->shared->nested, 1, memory_order_relaxed);
        pmt_event_rest_sigsafe(session, thread, begin);
        pmt_event_end_sigsafe(thread);
        return;
    }
    thread->signals++;
    atomic_fetch_add_explicit(&session->faults, 1u << (signal->cookie & COOKIE_PERIOD), memory_order_relaxed);
    record_fault(session, thread, signal, begin);
    review_period(session, thread, pmt_event_rest_sigsafe(session, thread, begin));
    pmt_event_end_sigsafe(thread);
}

static bool
on_fault_signal(const pmt_fault_signal_t *signal)
{
    pmt_session_t *session = &pmt_session;
    if (PMT_UNLIKELY((signal->cookie & ~COOKIE_PERIOD) != COOKIE)) {
        return pmt_moves_on_signal_sigsafe(signal);
    }
    if (PMT_UNLIKELY(!pmt_event_enter_sigsafe(session))) {
        if (atomic_load_explicit(&self_test.running, memory_order_relaxed)) {
            run_self_test(signal);
        }
    } else {
        handle_fault(session, signal);
    }
    pmt_event_leave_sigsafe();
    return true;
}

// ---- start and stop ----

// Touches SELF_TEST_PAGES fresh pages; how long the second half of them took, when caches and page tables are warm.
static uint64_t
touch_pages_ns(char *base, size_t page_size)
{
    uint64_t begin = 0;
    for (int i = 0; i < SELF_TEST_PAGES; i++) {
        if (i == SELF_TEST_TIMED) {
            begin = pmt_prim_now_ns_sigsafe();
        }
        *(volatile char *)(base + (size_t)i * page_size) = 1;
    }
    return pmt_prim_now_ns_sigsafe() - begin;
}

// Touches fresh memory and looks whether each touch was signalled. Bare faults are timed first, with the events not yet open.
static int
self_test_run(pmt_session_t *session, uint64_t cookie, int *fd)
{
    size_t half = SELF_TEST_PAGES * session->page_size;
    void *memory;
    int err = pmt_prim_reserve(2 * half, &memory);
    if (err < 0) {
        return err;
    }
    uint64_t bare = touch_pages_ns(memory, session->page_size);
    self_test.base = (uint64_t)(uintptr_t)memory + half;
    self_test.end = self_test.base + half;
    atomic_store_explicit(&self_test.hits, 0, memory_order_relaxed);
    atomic_store_explicit(&self_test.running, true, memory_order_seq_cst);
    *fd = pmt_prim_fault_event_open_sigsafe(0, 1, cookie, false);
    if (*fd < 0) {
        err = *fd;
        goto out;
    }
    uint64_t signalled = touch_pages_ns((char *)memory + half, session->page_size);
    if (atomic_load_explicit(&self_test.hits, memory_order_relaxed) < SELF_TEST_PAGES) {
        pmt_prim_close_sigsafe(*fd);
        *fd = -1;
        err = -ENOTSUP;
        goto out;
    }
    session->delivery_ns = (signalled > bare ? signalled - bare : 0) / SELF_TEST_TIMED;
out:
    atomic_store_explicit(&self_test.running, false, memory_order_seq_cst);
    pmt_prim_unmap(memory, 2 * half);
    return err;
}

int
pmt_fault_arm(pmt_session_t *session, int *fd, char reason[PMT_REASON_MAX])
{
    *fd = -1;
    const char *refusal = pmt_prim_fault_event_refusal();
    int tracer = pmt_prim_tracer_pid();
    if (refusal) {
        snprintf(reason, PMT_REASON_MAX, "%s", refusal);
        return -ENOTSUP;
    }
    if (tracer) {
        snprintf(reason, PMT_REASON_MAX, "process %d traces this one (a debugger or strace): page-fault signals would stop in it", tracer);
        return -EBUSY;
    }
    int err;
    if (session->tested) {  // in a fork child, which has the handler too
        err = *fd = pmt_prim_fault_event_open_sigsafe(0, 1, COOKIE, true);
    } else {
        pmt_prim_trap_install(on_fault_signal);
        err = self_test_run(session, COOKIE, fd);
        session->tested = err >= 0;
    }
    if (err < 0) {
        if (!session->tested) {
            pmt_prim_trap_restore();
        }
        if (err == -ENOTSUP) {
            snprintf(reason, PMT_REASON_MAX, "the self-test saw no signal for its own page faults (is SIGTRAP blocked?)");
        } else {
            pmt_prim_fault_event_reason(err, reason, PMT_REASON_MAX);
        }
        return err;
    }
    atomic_store_explicit(&session->period, 1, memory_order_relaxed);
    reason[0] = '\0';
    return 0;
}

int
pmt_fault_probe(char reason[PMT_REASON_MAX])
{
    pmt_session_t trial = {.page_size = pmt_prim_page_size_sigsafe()};
    int fd;
    if (pmt_session.shared) {  // its handler is installed: ours on top would chain to itself
        snprintf(reason, PMT_REASON_MAX, "this process is being traced by pymemtrace");
        return -EALREADY;
    }
    int err = pmt_fault_arm(&trial, &fd, reason);
    if (err < 0) {
        return err;
    }
    pmt_prim_close_sigsafe(fd);  // before the handler goes: without one a signal would be fatal
    pmt_prim_trap_restore();
    return 0;
}
