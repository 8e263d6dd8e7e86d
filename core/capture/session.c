// Start and stop of a session (session.h).
#include "capture/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "capture/event.h"
#include "capture/fault.h"
#include "capture/lane.h"
#include "capture/moves.h"
#include "capture/residency.h"
#include "capture/timer.h"
#include "format/wire.h"
#include "prim/prim.h"

static const uint64_t HANDLER_NS = 1200 * 1000000ull;  // longer than a handler waits for a recorder that does not move
enum { START_TRIES = 5 };  // the recorder is just being started, perhaps on a busy machine
enum { LOOSE_READS = 2000 };  // of RSS in a child before a descriptor stays open: a short-lived one shows none to those who count

pmt_session_t pmt_session = {.rss.fd = -1};

static int
make_memory(pmt_session_t *session, bool events, int *shared_fd)
{
    void *shared, *areas, *codes;
    session->codes.size = events ? PMT_CODE_TABLE_SIZE_LARGE : PMT_CODE_TABLE_SIZE;
    size_t codes_size = session->codes.size * sizeof(pmt_code_entry_t);
    if (!pmt_prim_address_space_is_ample(PMT_SHARED_SIZE + (size_t)PMT_RINGS * PMT_THREAD_AREA + codes_size)) {
        return -ENOMEM;  // the program could miss it
    }
    int err = pmt_prim_share("pymemtrace", PMT_SHARED_SIZE, shared_fd, &shared);
    if (err < 0) {
        return err;
    }
    if ((err = pmt_prim_reserve((size_t)PMT_RINGS * PMT_THREAD_AREA, &areas)) < 0) {
        goto no_areas;
    }
    if ((err = pmt_prim_reserve(codes_size, &codes)) < 0) {
        goto no_codes;
    }
    pmt_prim_populate_sigsafe(shared, PMT_SHARED_PAGE);
    pmt_prim_populate_sigsafe(codes, codes_size);
    session->shared = shared;
    session->shared->version = PMT_SHARED_VERSION;
    session->shared->pid = session->pid;
    atomic_store_explicit(&session->shared->tracer_pages, (PMT_SHARED_PAGE + codes_size) / session->page_size, memory_order_relaxed);
    session->threads = (pmt_threads_t){.shared = shared, .areas = areas, .pid = session->pid};
    session->codes.entries = codes;
    return 0;

no_codes:
    pmt_prim_unmap(areas, (size_t)PMT_RINGS * PMT_THREAD_AREA);
no_areas:
    pmt_prim_unmap(shared, PMT_SHARED_SIZE);
    pmt_prim_close_sigsafe(*shared_fd);
    return err;
}

static void
drop_memory(pmt_session_t *session)
{
    pmt_lanes_drop(session);
    pmt_prim_unmap(session->codes.entries, session->codes.size * sizeof(pmt_code_entry_t));
    pmt_prim_unmap(session->threads.areas, (size_t)PMT_RINGS * PMT_THREAD_AREA);
    pmt_prim_unmap(session->shared, PMT_SHARED_SIZE);
    session->shared = NULL;
}

int
pmt_session_send_meta(int socket, const char *key, const char *value, size_t size)
{
    static char message[PMT_MESSAGE_MAX];  // start is called once, under the interpreter's lock
    size_t key_size = strlen(key) + 1;
    if (1 + key_size + size > sizeof message) {
        return 0;  // a courtesy that is not worth failing for
    }
    message[0] = PMT_MESSAGE_META;
    memcpy(message + 1, key, key_size);
    memcpy(message + 1 + key_size, value, size);
    return pmt_prim_send_sigsafe(socket, message, 1 + key_size + size, NULL, 0);
}

static int
send_name(int socket, uint32_t pid, const pmt_thread_name_t *name)
{
    pmt_name_message_t message = {.kind = PMT_MESSAGE_NAME, .pid = pid, .tid = name->tid};
    message.size = name->size < sizeof message.name ? (uint32_t)name->size : (uint32_t)sizeof message.name;
    memcpy(message.name, name->name, message.size);
    return pmt_prim_send_sigsafe(socket, &message, sizeof message, NULL, 0);
}

// Waits for at most `tries` times PMT_MESSAGE_WAIT_MS. The answering byte or -errno.
int
pmt_session_await_answer(int socket, int tries)
{
    uint8_t answer;
    int n = -EAGAIN;
    for (int i = 0; i < tries && n == -EAGAIN; i++) {
        unsigned no_fds = 0;
        n = pmt_prim_receive_sigsafe(socket, &answer, 1, NULL, &no_fds);
    }
    return n < 0 ? n : n == 0 ? -EPIPE : answer;
}

// Threads that run already get their events; what happens in one that gets none is missing, and said so.
static int
trace_others(pmt_session_t *session, int socket)
{
    char text[PMT_REASON_MAX];
    int why;
    unsigned refused = pmt_fault_open_others(session, socket, &why);
    if (!refused) {
        return 0;
    }
    int size = snprintf(text, sizeof text, "%u threads that ran before tracing started are not traced: %s", refused, strerror(-why));
    return pmt_session_send_meta(socket, "engine_reason", text, (size_t)size);
}

static const char *
engine_name(pmt_engine_t engine)
{
    return engine == PMT_ENGINE_FAULTS ? "faults" : engine == PMT_ENGINE_TIMER ? "timer" : "none";
}

// Hands the recorder the shared memory, what it should know, and the perf event if there is one.
static int
greet(pmt_session_t *session, const pmt_options_t *options, int shared_fd, int event_fd, const char *reason)
{
    static const char unseen[] = "switched off by --no-snapshots";
    int socket = pmt_prim_connect_sigsafe(session->address);
    if (socket < 0) {
        return socket;
    }
    pmt_hello_t hello = {.kind = PMT_MESSAGE_HELLO, .version = PMT_SHARED_VERSION, .pid = session->pid,
                         .parent = pmt_prim_parent_sigsafe(), .time = pmt_prim_now_ns_sigsafe()};
    int err = pmt_prim_send_sigsafe(socket, &hello, sizeof hello, &shared_fd, 1);
    const char *engine = engine_name(session->engine);
    err = err ? err : pmt_session_send_meta(socket, "engine", engine, strlen(engine));
    err = err ? err : pmt_session_send_meta(socket, "engine_reason", reason, strlen(reason));
    for (size_t i = 0; i < options->meta_count && !err; i++) {
        err = pmt_session_send_meta(socket, options->meta[i].key, options->meta[i].value, options->meta[i].size);
    }
    if (!err && event_fd >= 0) {
        pmt_events_t events = {.kind = PMT_MESSAGE_EVENTS, .pid = session->pid};
        err = pmt_prim_send_sigsafe(socket, &events, sizeof events, &event_fd, 1);
        err = err ? err : trace_others(session, socket);
    }
    err = err ? err : pmt_moves_greet(session, socket, options->releases, reason);
    for (size_t i = 0; i < options->name_count && !err; i++) {
        err = send_name(socket, session->pid, &options->names[i]);
    }
    err = err ? err : options->unseen ? pmt_session_send_meta(socket, "snapshots_reason", unseen, sizeof unseen - 1) : pmt_residency_send_maps(session, socket);
    const char ready = PMT_MESSAGE_READY;
    if (options->confirm) {
        err = err ? err : pmt_prim_send_sigsafe(socket, &ready, 1, NULL, 0);
        err = err ? err : pmt_session_await_answer(socket, START_TRIES);
    }
    pmt_prim_close_sigsafe(socket);
    return err;
}

// Lets the recorder take its last look at the mappings and close the events. The connection, or -errno.
static int
say_bye(const pmt_session_t *session, bool living)
{
    pmt_bye_t bye = {.kind = PMT_MESSAGE_BYE, .pid = session->pid, .living = living};
    pmt_residency_figures(session, bye.figures);
    int socket = pmt_prim_connect_sigsafe(session->address);
    if (socket < 0) {
        return socket;
    }
    int err = pmt_prim_send_sigsafe(socket, &bye, sizeof bye, NULL, 0);
    if (err < 0) {
        pmt_prim_close_sigsafe(socket);
        return err;
    }
    if (session->shared) {
        pmt_recorder_wake_sigsafe(session->shared);
    }
    pmt_session_await_answer(socket, 1);
    return socket;
}

// The pages of both sides of a fork are copied when they are written next.
static void
share_pages_sigsafe(void)
{
    atomic_store_explicit(&pmt_session.forked, true, memory_order_relaxed);
}

static void
disown_sigsafe(void)
{
    share_pages_sigsafe();
    pmt_event_disown_sigsafe();
    pmt_lanes_disown_sigsafe();
    pmt_timer_disown_sigsafe();
}

// Fork handlers cannot be taken back.
static void
watch_forks(void)
{
    static bool watching;
    if (!watching) {
        pmt_prim_at_fork(share_pages_sigsafe, disown_sigsafe);
        watching = true;
    }
}

// Gives back what a session that is over still holds, unless a handler is still at work in it.
static int
release(pmt_session_t *session)
{
    if (!pmt_event_quiet(HANDLER_NS)) {
        return -EBUSY;
    }
    pmt_event_forget_threads();
    drop_memory(session);
    pmt_rss_clock_fini(&session->rss);
    *session = (pmt_session_t){.rss.fd = -1, .forked = session->forked};
    return 0;
}

// In a fork child: the parent's session is not ours. Its memory was not copied; its signal handler and what its self-test measured hold here too.
static void
forget_parent(pmt_session_t *session)
{
    pmt_prim_rss_close_sigsafe(atomic_load_explicit(&session->rss.fd, memory_order_relaxed));
    *session = (pmt_session_t){.rss.fd = -1, .forked = true, .delivery_ns = session->delivery_ns, .tested = session->tested};
}

bool
pmt_session_is_running(const pmt_session_t *session)
{
    return session->shared && !session->left && session->pid == pmt_prim_pid_sigsafe();
}

const char *
pmt_session_engine(void)
{
    const pmt_session_t *session = &pmt_session;
    int connection = pmt_session_is_running(session) ? pmt_prim_connect_sigsafe(session->address) : -ESRCH;
    pmt_prim_close_sigsafe(connection);
    return connection < 0 ? NULL : engine_name(session->engine);
}

// One that runs already stays, unless its recorder has died.
static int
make_way(pmt_session_t *session)
{
    if (session->shared && session->pid != pmt_prim_pid_sigsafe()) {
        forget_parent(session);
    }
    if (pmt_session_engine()) {
        return -EALREADY;
    }
    atomic_store_explicit(&session->active, false, memory_order_seq_cst);
    return session->shared ? release(session) : 0;
}

// Why nothing is recorded, for the program's user.
static void
explain(int err, char reason[PMT_REASON_MAX])
{
    size_t mib = (PMT_SHARED_SIZE + (size_t)PMT_RINGS * PMT_THREAD_AREA) >> 20;
    if (err == -ENOMEM) {
        snprintf(reason, PMT_REASON_MAX, "the tracer takes %zu MiB of address space, which the program could miss: raise RLIMIT_AS (ulimit -v)", mib);
    } else if (err == -EFBIG) {
        snprintf(reason, PMT_REASON_MAX, "the tracer's buffers are larger than files may be: raise RLIMIT_FSIZE (ulimit -f)");
    } else if (err == -EMFILE) {
        snprintf(reason, PMT_REASON_MAX, "too few descriptors are allowed: raise RLIMIT_NOFILE (ulimit -n)");
    } else {
        snprintf(reason, PMT_REASON_MAX, "the recorder does not answer (%s)", strerror(-err));
    }
}

// Why there is no reading of RSS, which everything hangs on.
static void
explain_rss(int err, char reason[PMT_REASON_MAX])
{
    if (err == -ENOENT) {
        snprintf(reason, PMT_REASON_MAX, "/proc is not mounted: RSS cannot be read; mount -t proc proc /proc");
    } else if (err == -EMFILE) {
        explain(err, reason);
    } else {
        snprintf(reason, PMT_REASON_MAX, "RSS cannot be read (/proc/self/statm: %s)", strerror(-err));
    }
}

// Tells the trace, if there is a recorder, why nothing is recorded.
static void
tell_problem(const pmt_session_t *session, const char *reason)
{
    int socket = pmt_prim_connect_sigsafe(session->address);
    if (socket >= 0) {
        pmt_session_send_meta(socket, "problem", reason, strlen(reason));
        pmt_prim_close_sigsafe(socket);
    }
}

// The engine that was asked for, or the best that the kernel allows. `reason`: why it is not the fault engine.
static pmt_engine_t
arm(pmt_session_t *session, pmt_engine_t wanted, int *event_fd, char reason[PMT_REASON_MAX])
{
    bool faults = wanted == PMT_ENGINE_FAULTS || wanted == PMT_ENGINE_BEST, timer = wanted == PMT_ENGINE_TIMER || wanted == PMT_ENGINE_BEST;
    char refusal[PMT_REASON_MAX];
    snprintf(reason, PMT_REASON_MAX, "asked for");
    if (faults && pmt_fault_arm(session, event_fd, reason) == 0) {
        return PMT_ENGINE_FAULTS;
    }
    if (!timer) {
        return PMT_ENGINE_NONE;
    }
    if (pmt_timer_arm(session, refusal) == 0) {
        return PMT_ENGINE_TIMER;
    }
    size_t size = faults ? strlen(reason) : 0;
    snprintf(reason + size, PMT_REASON_MAX - size, "%s%s", faults ? "; and timer ticks: " : "", refusal);
    return PMT_ENGINE_NONE;
}

int
pmt_session_start(const pmt_options_t *options, char reason[PMT_REASON_MAX])
{
    pmt_session_t *session = &pmt_session;
    int shared_fd = -1, event_fd = -1;
    reason[0] = '\0';
    int err = make_way(session);
    if (err < 0) {
        return err;
    }
    if (strlen(options->address) >= sizeof session->address) {
        return -ENAMETOOLONG;
    }
    strcpy(session->address, options->address);
    session->interp = options->interp;
    session->exact = options->exact;
    session->pid = pmt_prim_pid_sigsafe();
    session->page_size = pmt_prim_page_size_sigsafe();
    pmt_prim_c_library(&session->c_library, &session->c_library_end);
    err = pmt_rss_clock_init(&session->rss, options->confirm ? 0 : LOOSE_READS);
    if (err < 0) {
        explain_rss(err, reason);
        goto no_rss;
    }
    pmt_rss_clock_step_sigsafe(&session->rss);  // adopting a thread corrects it
    if ((err = make_memory(session, options->events, &shared_fd)) < 0) {
        goto no_memory;
    }
    session->engine = arm(session, options->engine, &event_fd, reason);
    pmt_event_adopt_thread();
    if ((err = greet(session, options, shared_fd, event_fd, reason)) < 0) {
        goto no_recorder;
    }
    pmt_prim_close_sigsafe(shared_fd);
    watch_forks();

    // What was brought in until here is the tracer's, unless the program runs already: then its threads may have brought in more than we.
    pmt_rss_step_t own = pmt_rss_clock_step_sigsafe(&session->rss);
    if (options->rss_before) {
        uint64_t tracer = own.rss > options->rss_before ? own.rss - options->rss_before : 0;
        atomic_store_explicit(&session->shared->tracer_pages, tracer, memory_order_relaxed);
    }
    pmt_event_saw_rss_sigsafe(session, own.rss, 0);
    pmt_event_note(PMT_RAW_MARK, PMT_MARK_START, own.rss);
    if (session->engine == PMT_ENGINE_FAULTS) {
        pmt_event_note(PMT_RAW_PERIOD, 1, 0);
    }
    session->started = pmt_prim_now_ns_sigsafe();
    atomic_store_explicit(&session->active, session->engine != PMT_ENGINE_NONE, memory_order_release);
    if (event_fd >= 0) {
        pmt_prim_fault_event_enable(event_fd);
        pmt_prim_close_sigsafe(event_fd);
    }
    pmt_moves_let_go(false);
    return 0;

no_recorder:
    pmt_prim_fault_event_disable(event_fd);  // the recorder may have it, or get it later
    pmt_prim_close_sigsafe(event_fd);
    pmt_moves_let_go(true);
    pmt_prim_close_sigsafe(shared_fd);
    pmt_timer_disarm();
    pmt_event_forget_threads();
    drop_memory(session);
no_memory:
    explain(err, reason);
no_rss:
    pmt_rss_clock_fini(&session->rss);
    tell_problem(session, reason);
    if (options->confirm && !options->rss_before) {
        pmt_prim_close_sigsafe(say_bye(session, true));  // the recorder is this program's alone: it need not wait for more
    }
    return err;
}

static void
mark_end(pmt_session_t *session)
{
    bool traced = atomic_exchange_explicit(&session->active, false, memory_order_seq_cst);
    pmt_event_quiet(HANDLER_NS);  // what the other threads are just recording belongs to the trace
    pmt_event_adopt_thread();  // which need not be the one that started
    pmt_rss_step_t rest = pmt_rss_clock_step_sigsafe(&session->rss);
    uint64_t signals = atomic_load_explicit(&session->signals, memory_order_relaxed);
    uint64_t cost = atomic_load_explicit(&session->cost_ns, memory_order_relaxed);
    atomic_store_explicit(&session->shared->fault_cost_ns, signals ? cost / signals : session->delivery_ns, memory_order_relaxed);
    if (traced) {
        uint64_t unowned = (uint64_t)(rest.anon > 0 ? rest.anon : 0) + (uint64_t)(rest.shared > 0 ? rest.shared : 0) + pmt_timer_disarm();
        atomic_store_explicit(&session->shared->unowned_pages, unowned, memory_order_relaxed);
        atomic_store_explicit(&session->shared->ticks, session->engine == PMT_ENGINE_TIMER ? signals : 0, memory_order_relaxed);
    }
    pmt_event_note(PMT_RAW_MARK, PMT_MARK_END, rest.rss);
}

void
pmt_session_stop(void)
{
    pmt_session_t *session = &pmt_session;
    if (!pmt_session_is_running(session)) {
        return;
    }
    mark_end(session);
    pmt_prim_close_sigsafe(say_bye(session, false));
    // The memory stays mapped: a daemon thread's handler may be at work in it. The rest of the shutdown is not recorded.
    pmt_rss_clock_fini(&session->rss);
}

int
pmt_session_leave(void)
{
    pmt_session_t *session = &pmt_session;
    if (!pmt_session_is_running(session)) {
        return -ESRCH;
    }
    mark_end(session);
    int connection = say_bye(session, true);
    session->left = true;
    release(session);  // else the next start does it
    return connection;
}

int
pmt_session_flush(char *name, size_t size)
{
    enum { TRIES = 3 };  // of PMT_MESSAGE_WAIT_MS
    const char flush = PMT_MESSAGE_FLUSH;
    int socket = pmt_session_is_running(&pmt_session) ? pmt_prim_connect_sigsafe(pmt_session.address) : -ESRCH;
    int n = socket < 0 ? socket : pmt_prim_send_sigsafe(socket, &flush, 1, NULL, 0);
    if (n == 0) {
        pmt_recorder_wake_sigsafe(pmt_session.shared);
        n = -EAGAIN;
    }
    for (int i = 0; i < TRIES && n == -EAGAIN; i++) {
        unsigned no_fds = 0;
        n = pmt_prim_receive_sigsafe(socket, name, size, NULL, &no_fds);
    }
    pmt_prim_close_sigsafe(socket);
    if (n <= 0) {
        return n < 0 ? n : -EPIPE;
    }
    memmove(name, name + 1, (size_t)n - 1);
    return n - 1;
}

int
pmt_session_await_file(int connection, char reason[PMT_REASON_MAX])
{
    enum { TRIES = 6 };  // of PMT_MESSAGE_WAIT_MS
    pmt_farewell_t farewell = {0};
    int n = connection < 0 ? connection : -EAGAIN;
    for (int i = 0; i < TRIES && (n == -EAGAIN || n == 1); i++) {  // 1: the answer that was not there in time
        unsigned no_fds = 0;
        n = pmt_prim_receive_sigsafe(connection, &farewell, sizeof farewell, NULL, &no_fds);
    }
    pmt_prim_close_sigsafe(connection);
    if (n == (int)sizeof farewell) {
        if (farewell.pid) {
            pmt_prim_reap_adopted(farewell.pid);
        }
        snprintf(reason, PMT_REASON_MAX, "%s", strerror(farewell.error));
        return -farewell.error;
    }
    snprintf(reason, PMT_REASON_MAX, "%s", n == -EAGAIN ? "the recorder has not finished writing it" : "the recorder was killed");
    return n == -EAGAIN ? n : -EPIPE;
}
