// Following system calls that move memory or give it back (moves.h). A SIGTRAP arrives as the call returns, on the thread that made it. It costs some 15 us, nearly all of it the
// kernel's: what comes to more than its share of the run time is no longer followed (budget.h).
//
// Invariants: those of event.h. `follows` is changed outside of handlers while no session is active, but for its atomic fields.
#include "capture/moves.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "capture/budget.h"
#include "capture/census.h"
#include "capture/event.h"
#include "capture/room.h"
#include "format/wire.h"
#include "prim/prim.h"

_Static_assert(PMT_CALL_MUNMAP == (int)PMT_RELEASE_MUNMAP && PMT_CALL_MADVISE == (int)PMT_RELEASE_MADVISE && PMT_CALL_BRK == (int)PMT_RELEASE_BRK &&
                   PMT_CALL_MREMAP == (int)PMT_RELEASE_MREMAP,
               "calls are numbered as the file numbers them");

static const uint64_t COOKIE = 0x706d656d74720100ull, COOKIE_CALL = 0xf;
enum {
    TRIES = 4,               // of a self-test
    SIGNALS_MAX = 64,        // in a self-test: a machine that does not get past the instruction must not hang the program
};

typedef struct follow_s {
    uint64_t instruction;  // after the system call
    int fd;                // of the calling thread's event, between arming and letting go; -1: none
    bool tested;           // here or in the process that this one was forked from
    uint64_t delivery_ns;  // what a signal costs outside the handler
    _Atomic bool on;
} follow_t;

typedef struct spent_s {
    _Atomic uint64_t hits, cost_ns;
} spent_t;

static follow_t follows[PMT_CALLS] = {[PMT_CALL_MUNMAP] = {.fd = -1}, [PMT_CALL_MADVISE] = {.fd = -1}, [PMT_CALL_BRK] = {.fd = -1}, [PMT_CALL_MREMAP] = {.fd = -1}};
static bool releases_asked;
static spent_t spent_on_moves, spent_on_all;
static char moves_reason[PMT_REASON_MAX], releases_reason[PMT_REASON_MAX];
static struct {
    _Atomic bool running;
    _Atomic uint32_t hits, signals;
    int fd;
} self_test;

// ---- one call ----

static void
record_move(pmt_session_t *session, pmt_thread_t *thread, const pmt_call_effect_t *effect, uint64_t now)
{
    pmt_change_t change = {.type = PMT_RAW_MOVE, .words = {now, effect->from, effect->to, effect->moved}, .count = 4};
    if (pmt_event_change_sigsafe(session, thread, &change)) {
        atomic_fetch_add_explicit(&session->shared->moves, 1, memory_order_relaxed);
    }
}

// The fall is that since RSS was read last: what came in since then without a signal hides a part of it. The last reading that faults take their rises from stays.
// The interpreter gives back memory of its own, too: of frames and code objects that it still points at.
static void
record_release(pmt_session_t *session, pmt_thread_t *thread, enum pmt_call_e call, const pmt_call_effect_t *effect, uint64_t now)
{
    uint64_t before = atomic_load_explicit(&session->rss_now, memory_order_relaxed);
    uint64_t after = pmt_rss_clock_look_sigsafe(&session->rss);
    uint64_t fell = after && before > after ? before - after : 0, most = effect->size / session->page_size;
    pmt_event_saw_rss_sigsafe(session, after, now);
    fell = fell < most ? fell : most;
    pmt_change_t change = {
        .type = PMT_RAW_RELEASE,
        .flags = call,
        .arg = fell < UINT32_MAX ? (uint32_t)fell : UINT32_MAX,
        .words = {now, effect->released, effect->size},
        .count = 3,
        .stack = session->interp->steady_sigsafe(thread->last_stack) ? PMT_STACK_PRESENT : PMT_STACK_UNKNOWN,
    };
    if (pmt_event_change_sigsafe(session, thread, &change)) {
        atomic_fetch_add_explicit(&session->shared->releases, 1, memory_order_relaxed);
    }
}

static bool
releases_on(void)
{
    return atomic_load_explicit(&follows[PMT_CALL_MUNMAP].on, memory_order_relaxed);
}

// The calls from `first` to `last`. The recorder closes the events, and writes that it did.
static PMT_COLD void
give_up(const pmt_session_t *session, unsigned first, unsigned last)
{
    if (!atomic_exchange_explicit(&follows[first].on, false, memory_order_relaxed)) {
        return;  // another thread does
    }
    int socket = pmt_prim_connect_sigsafe(session->address);
    for (unsigned call = first; call <= last; call++) {
        pmt_events_t message = {.kind = PMT_MESSAGE_EVENTS, .source = (uint8_t)call, .pid = session->pid, .generation = 1};
        atomic_store_explicit(&follows[call].on, false, memory_order_relaxed);
        if (socket >= 0) {
            pmt_prim_send_sigsafe(socket, &message, sizeof message, NULL, 0);
        }
    }
    pmt_prim_close_sigsafe(socket);
    if (socket >= 0) {
        pmt_recorder_wake_sigsafe(session->shared);
    }
}

static bool
spend(spent_t *spent, uint64_t cost, uint64_t elapsed, unsigned permille)
{
    uint64_t hits = atomic_fetch_add_explicit(&spent->hits, 1, memory_order_relaxed) + 1;
    cost += atomic_fetch_add_explicit(&spent->cost_ns, cost, memory_order_relaxed);
    return pmt_budget_is_over(hits, cost, elapsed, permille);
}

static void
review_cost(const pmt_session_t *session, enum pmt_call_e call, uint64_t begin)
{
    uint64_t now = pmt_prim_now_ns_sigsafe(), cost = now - begin + follows[call].delivery_ns, elapsed = now - session->started;
    if (call == PMT_CALL_MREMAP && PMT_UNLIKELY(spend(&spent_on_moves, cost, elapsed, PMT_BUDGET_MOVES_PERMILLE))) {
        give_up(session, PMT_CALL_MREMAP, PMT_CALL_MREMAP);
    }
    if (releases_on() && PMT_UNLIKELY(spend(&spent_on_all, cost, elapsed, PMT_BUDGET_CALLS_PERMILLE))) {
        give_up(session, PMT_CALL_MUNMAP, PMT_CALL_BRK);
    }
}

static void
handle_call(pmt_session_t *session, enum pmt_call_e call, const pmt_fault_signal_t *signal)
{
    pmt_call_seen_t seen;
    pmt_call_effect_t effect;
    uint64_t begin;
    pmt_prim_call_seen_sigsafe(signal, &seen);
    bool any = pmt_prim_call_effect_sigsafe(call, &seen, &effect);
    pmt_thread_t *thread = pmt_event_begin_sigsafe(session, &begin);
    if (PMT_UNLIKELY(!thread)) {
        return;
    }
    thread->last_instruction = signal->instruction;  // a fault of this handler's own code is known by them
    thread->last_stack = signal->stack;
    if (any && effect.moved) {
        record_move(session, thread, &effect, begin);
    }
    if (any && effect.size && releases_on()) {
        record_release(session, thread, call, &effect, begin);
    }
    pmt_event_settle_sigsafe(thread);
    review_cost(session, call, begin);
    pmt_event_end_sigsafe(thread);
}

static void
count_test(const pmt_fault_signal_t *signal)
{
    pmt_call_seen_t seen;
    pmt_prim_call_seen_sigsafe(signal, &seen);
    if (seen.arguments[0] == PMT_CALL_NOWHERE && seen.result < 0) {
        atomic_fetch_add_explicit(&self_test.hits, 1, memory_order_relaxed);
    }
    if (atomic_fetch_add_explicit(&self_test.signals, 1, memory_order_relaxed) == SIGNALS_MAX) {
        pmt_prim_fault_event_disable(self_test.fd);
    }
}

bool
pmt_moves_on_signal_sigsafe(const pmt_fault_signal_t *signal)
{
    pmt_session_t *session = &pmt_session;
    unsigned call = signal->cookie & COOKIE_CALL;
    if ((signal->cookie & ~COOKIE_CALL) != COOKIE || call == 0 || call >= PMT_CALLS) {
        return false;
    }
    bool active = pmt_event_enter_sigsafe(session);
    if (!signal->async && signal->instruction == follows[call].instruction) {  // else the registers are no longer the call's
        if (active && atomic_load_explicit(&follows[call].on, memory_order_relaxed)) {
            handle_call(session, (enum pmt_call_e)call, signal);
        } else if (atomic_load_explicit(&self_test.running, memory_order_relaxed)) {
            count_test(signal);
        }
    }
    pmt_event_leave_sigsafe();
    return true;
}

// ---- start ----

static uint64_t
time_tries(enum pmt_call_e call)
{
    uint64_t begin = pmt_prim_now_ns_sigsafe();
    for (int i = 0; i < TRIES; i++) {
        pmt_prim_call_try(call);
    }
    return pmt_prim_now_ns_sigsafe() - begin;
}

// Makes calls and looks whether each was signalled with what it was given. There is no harmless brk: its signals come as those of the others do.
static bool
passes_test(follow_t *follow, enum pmt_call_e call, uint64_t bare)
{
    if (call == PMT_CALL_BRK) {
        follow->delivery_ns = follows[PMT_CALL_MUNMAP].delivery_ns;
        return follows[PMT_CALL_MUNMAP].tested;
    }
    self_test.fd = follow->fd;
    atomic_store_explicit(&self_test.hits, 0, memory_order_relaxed);
    atomic_store_explicit(&self_test.signals, 0, memory_order_relaxed);
    atomic_store_explicit(&self_test.running, true, memory_order_seq_cst);
    uint64_t signalled = time_tries(call);
    atomic_store_explicit(&self_test.running, false, memory_order_seq_cst);
    follow->delivery_ns = (signalled > bare ? signalled - bare : 0) / TRIES;
    return atomic_load_explicit(&self_test.hits, memory_order_relaxed) == TRIES;
}

// After an exec the program before still has the registers, until the recorder, which has been greeted, lets go of its events.
static int
open_own_event(enum pmt_call_e call, unsigned *patience)
{
    static const uint64_t MOMENT_NS = 2000000;
    int fd = pmt_prim_call_event_open_sigsafe(0, follows[call].instruction, COOKIE | call);
    for (; fd == -ENOSPC && *patience > 0; --*patience) {
        pmt_prim_sleep(MOMENT_NS);
        fd = pmt_prim_call_event_open_sigsafe(0, follows[call].instruction, COOKIE | call);
    }
    return fd;
}

static bool
arm_call(enum pmt_call_e call, unsigned *patience, char reason[PMT_REASON_MAX])
{
    follow_t *follow = &follows[call];
    follow->instruction = pmt_prim_call_find(call);
    if (!follow->instruction) {
        snprintf(reason, PMT_REASON_MAX, "the system call in the C library's %s() is not where it can be followed (x86-64 with glibc is known)", pmt_prim_call_name(call));
        return false;
    }
    uint64_t bare = follow->tested ? 0 : time_tries(call);
    follow->fd = open_own_event(call, patience);
    if (follow->fd < 0) {
        pmt_prim_call_event_reason(follow->fd, reason, PMT_REASON_MAX);
        return false;
    }
    follow->tested = follow->tested || passes_test(follow, call, bare);
    if (!follow->tested) {
        snprintf(reason, PMT_REASON_MAX, "the self-test saw no signal for its own %s()", pmt_prim_call_name(call));
    }
    return follow->tested;
}

static void
let_go(enum pmt_call_e call, bool failed)
{
    if (follows[call].fd >= 0 && failed) {
        pmt_prim_fault_event_disable(follows[call].fd);
    }
    pmt_prim_close_sigsafe(follows[call].fd);
    follows[call].fd = -1;
}

void
pmt_moves_let_go(bool failed)
{
    for (unsigned call = 1; call < PMT_CALLS; call++) {
        let_go((enum pmt_call_e)call, failed);
    }
}

// All three or none: what is left out would be missing without a word.
static void
arm_releases(unsigned *patience)
{
    for (unsigned call = PMT_CALL_MUNMAP; call <= PMT_CALL_BRK; call++) {
        if (!arm_call((enum pmt_call_e)call, patience, releases_reason)) {
            for (unsigned armed = PMT_CALL_MUNMAP; armed <= call; armed++) {
                let_go((enum pmt_call_e)armed, true);
            }
            return;
        }
    }
}

static void
arm(const pmt_session_t *session, const char *engine_reason)
{
    unsigned patience = 20;
    for (unsigned call = 1; call < PMT_CALLS; call++) {
        atomic_store_explicit(&follows[call].on, false, memory_order_relaxed);
    }
    spent_on_moves = spent_on_all = (spent_t){0};
    moves_reason[0] = releases_reason[0] = '\0';
    if (session->engine != PMT_ENGINE_FAULTS) {
        snprintf(moves_reason, PMT_REASON_MAX, "it takes the signals of the page-fault engine: %.500s", engine_reason);
        memcpy(releases_reason, moves_reason, sizeof releases_reason);
        return;
    }
    if (!arm_call(PMT_CALL_MREMAP, &patience, moves_reason)) {
        let_go(PMT_CALL_MREMAP, true);
    }
    if (releases_asked) {
        arm_releases(&patience);
    }
}

// ---- the greeting ----

typedef struct greeting_s {
    const pmt_session_t *session;
    int socket;
} greeting_t;

static int
send_event(const greeting_t *greeting, unsigned call, int fd)
{
    pmt_events_t message = {.kind = PMT_MESSAGE_EVENTS, .source = (uint8_t)call, .pid = greeting->session->pid};
    return pmt_prim_send_sigsafe(greeting->socket, &message, sizeof message, &fd, 1);
}

static int
follow_thread(uint32_t tid, void *context)
{
    int err = 0;
    for (unsigned call = 1; call < PMT_CALLS && err == 0; call++) {
        if (follows[call].fd < 0) {
            continue;
        }
        int fd = pmt_prim_call_event_open_sigsafe(tid, follows[call].instruction, COOKIE | call);
        err = fd < 0 ? fd : send_event(context, call, fd);
        pmt_prim_close_sigsafe(fd);
    }
    return err == -ESRCH ? 0 : err;  // the thread has just ended
}

static bool
send_own_events(const greeting_t *greeting, int *err)
{
    bool any = false;
    for (unsigned call = 1; call < PMT_CALLS && *err == 0; call++) {
        if (follows[call].fd >= 0) {
            *err = send_event(greeting, call, follows[call].fd);
            atomic_store_explicit(&follows[call].on, true, memory_order_relaxed);
            any = true;
        }
    }
    return any;
}

int
pmt_moves_greet(const pmt_session_t *session, int socket, bool releases, const char *engine_reason)
{
    greeting_t greeting = {session, socket};
    int err = 0, why = 0;
    releases_asked = releases;
    arm(session, engine_reason);
    unsigned refused = send_own_events(&greeting, &err) && err == 0 ? pmt_census(follow_thread, &greeting, &why) : 0;
    if (refused) {
        char *reason = releases_asked && !releases_reason[0] ? releases_reason : moves_reason;
        snprintf(reason, PMT_REASON_MAX, "not in %u threads that ran before tracing started: %s", refused, strerror(-why));
    }
    err = err ? err : pmt_session_send_meta(socket, "moves_reason", moves_reason, strlen(moves_reason));
    if (releases_asked) {
        err = err ? err : pmt_session_send_meta(socket, "releases_reason", releases_reason, strlen(releases_reason));
    }
    return err;
}
