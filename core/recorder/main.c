// pymemtrace-recorder: the program that writes the trace. One per traced process tree, no child of it, started by the launcher with
//   descriptor 0: the control connection to the launcher (sequenced packets)
//   descriptor 1: the trace file, open for writing and empty
//   descriptor 2: the listening socket that the traced process connects to
//   argument, if any: the bytes that the file may have at most
// It ends when the launcher has told it how the program ended, or has gone and the traced processes too; a program that traces itself has no launcher, and may stop its trace.
// Exit status: 0 the trace is complete, 1 it could not be written (the reason went to the launcher), 2 wrong use.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/wire.h"
#include "recorder/recorder.h"

static const uint64_t TICK_NS = 10 * 1000000u;    // between samples
static const uint64_t FLUSH_NS = 100 * 1000000u;  // a block is written at least this often: the recorder may die with its container
static const uint64_t PATIENCE_NS = 1000 * 1000000ull;  // for the launcher's word after the program has ended
static const uint64_t GRACE_NS = 100 * 1000000u;        // for the program's children, when it has ended
static const uint64_t SLICE_NS = 400 * 1000u;  // of the CPU at a time: a little more than a look at pages takes (snapshot.c)
enum { THOROUGH_TICKS = 10 };  // between two looks at the children that other than main threads started
enum { STRANGERS_MAX = 32 };   // news about processes that are not ours that may wake us between two ticks

void
pmt_recorder_tick(pmt_recorder_t *recorder, uint64_t now)
{
    pmt_children_look(&recorder->trace, recorder->ticks++ % THOROUGH_TICKS == 0);
    pmt_sample(&recorder->trace);
    recorder->strangers = 0;
    recorder->next_tick = now + TICK_NS;
}

// ---- the loop ----

static void
look_for_ends(pmt_recorder_t *recorder)
{
    for (pmt_process_t *process = recorder->trace.processes; process; process = process->next) {
        if (!process->ended && (process->watch_fd < 0 || pmt_prim_poll(&process->watch_fd, 1, 0))) {
            process->ended = true;
            process->ended_at = pmt_prim_now_ns_sigsafe();
        }
    }
}

// The root's end is the launcher's to tell; a launcher that is gone or silent is not waited for. The kernel tells ends a moment after they can be seen.
static bool
end_awaited(const pmt_recorder_t *recorder, const pmt_process_t *process)
{
    if (recorder->trace.kin_told && process->told_end < 0 && !process->replaced && pmt_prim_now_ns_sigsafe() - process->ended_at < TICK_NS) {
        return true;
    }
    return process->pid == recorder->trace.root_pid && !process->replaced && recorder->control_open && !recorder->told_at &&
           pmt_prim_now_ns_sigsafe() - process->ended_at < PATIENCE_NS;
}

// What ended processes left in their rings is written, and they are forgotten.
static void
close_ended(pmt_recorder_t *recorder)
{
    pmt_trace_t *trace = &recorder->trace;
    bool any = false;
    for (const pmt_process_t *process = trace->processes; process && !any; process = process->next) {
        any = process->ended && !end_awaited(recorder, process);
    }
    if (!any) {
        return;
    }
    pmt_drain(trace);
    for (pmt_process_t *process = trace->processes, *next; process; process = next) {
        next = process->next;
        if (process->ended && !end_awaited(recorder, process)) {
            pmt_process_close(trace, process);
        }
    }
}

// The words that ring when a ring is half full.
static unsigned
collect_doorbells(const pmt_recorder_t *recorder, _Atomic uint32_t **doorbells, _Atomic uint32_t **asleep, unsigned room)
{
    unsigned count = 0;
    for (const pmt_process_t *process = recorder->trace.processes; process && count < room; process = process->next) {
        if (process->shared && !process->ended && !process->leaving) {
            doorbells[count] = &process->shared->doorbell;
            asleep[count++] = &process->shared->asleep;
        }
    }
    return count;
}

// A lane rings once, when it is half full, and not at all while we are awake.
static bool
any_urgent(const pmt_recorder_t *recorder)
{
    const pmt_process_t *process = recorder->trace.processes;
    while (process && !pmt_lanes_urgent(process)) {
        process = process->next;
    }
    return process;
}

static void
wait_for_doorbells(const pmt_recorder_t *recorder, _Atomic uint32_t **doorbells, _Atomic uint32_t **asleep, unsigned count, uint64_t timeout, bool listen)
{
    static _Atomic uint32_t nobody;
    uint32_t seen[PMT_WAIT_MAX];
    if (listen) {
        doorbells[count] = pmt_prim_kin_doorbell();
        asleep[count++] = &nobody;
    }
    for (unsigned i = 0; i < count; i++) {
        seen[i] = atomic_load_explicit(doorbells[i], memory_order_seq_cst);
        atomic_store_explicit(asleep[i], 1, memory_order_seq_cst);
    }
    pmt_prim_kin_listen(listen);
    if (!any_urgent(recorder)) {
        pmt_prim_wait_any(doorbells, seen, count, timeout);
    }
    pmt_prim_kin_listen(false);
    for (unsigned i = 0; i < count; i++) {
        atomic_store_explicit(asleep[i], 0, memory_order_seq_cst);
    }
}

// Sleeps until there may be something to do. Rings are drained on their doorbells or the next tick; sockets are looked at whenever we are awake. What the
// kernel tells of processes wakes us, unless too much of it was about others.
static void
rest(pmt_recorder_t *recorder)
{
    uint64_t now = pmt_prim_now_ns_sigsafe();
    uint64_t until = recorder->next_look < recorder->next_tick ? recorder->next_look : recorder->next_tick;
    until = recorder->next_peak < until ? recorder->next_peak : until;
    until = recorder->next_piece < until ? recorder->next_piece : until;
    uint64_t left = until > now ? until - now : 0;
    bool listen = recorder->trace.kin_fd >= 0 && recorder->strangers < STRANGERS_MAX;
    _Atomic uint32_t *doorbells[PMT_WAIT_MAX], *asleep[PMT_WAIT_MAX];
    unsigned count = collect_doorbells(recorder, doorbells, asleep, PMT_WAIT_MAX - 1);
    if (count == 0) {
        const pmt_process_t *first = recorder->trace.processes;
        int fds[] = {recorder->control_open ? CONTROL : -1, LISTENER, first && !first->ended ? first->watch_fd : -1, listen ? recorder->trace.kin_fd : -1};
        pmt_prim_poll(fds, 4, (int)(left / 1000000u) + 1);
    } else if (left) {
        wait_for_doorbells(recorder, doorbells, asleep, count, left, listen);
    }
}

static void
accept_one(pmt_recorder_t *recorder)
{
    int fd = pmt_prim_accept(LISTENER);
    if (fd >= 0) {
        pmt_serve(recorder, fd);
    }
}

static void
look_at_sockets(pmt_recorder_t *recorder)
{
    int fds[] = {recorder->control_open ? CONTROL : -1, LISTENER};
    unsigned ready;
    while (recorder->farewell < 0 && (ready = pmt_prim_poll(fds, 2, 0)) != 0) {
        if (ready & 1) {
            pmt_read_control(recorder);
        }
        if (ready & 2) {
            accept_one(recorder);
        }
        if (!recorder->control_open) {
            fds[0] = -1;
        }
    }
}

// The launcher need not wait for children that outlive the program: the trace goes on without it.
static void
let_launcher_go(pmt_recorder_t *recorder)
{
    pmt_going_on_t message = {.kind = PMT_MESSAGE_GOING_ON};
    for (const pmt_process_t *process = recorder->trace.processes; process; process = process->next) {
        message.processes++;
    }
    pmt_writer_flush(recorder->trace.writer);
    pmt_prim_send_sigsafe(CONTROL, &message, sizeof message, NULL, 0);
    recorder->control_open = false;
}

static bool
finished(pmt_recorder_t *recorder, uint64_t now)
{
    if (recorder->farewell >= 0) {
        return true;
    }
    if (recorder->trace.processes) {
        if (recorder->told_at && recorder->control_open && now - recorder->told_at > GRACE_NS) {
            let_launcher_go(recorder);
        }
        return false;
    }
    return recorder->trace.process_count || !recorder->control_open || recorder->told_at;
}

static void
run(pmt_recorder_t *recorder)
{
    for (;;) {
        rest(recorder);
        uint64_t now = pmt_prim_now_ns_sigsafe();
        bool rung = now < recorder->next_tick;
        look_at_sockets(recorder);  // first: lanes are told of before there is anything in them, and times before a drain are over
        pmt_drain(&recorder->trace);
        look_for_ends(recorder);
        recorder->strangers += pmt_children_hear(&recorder->trace);  // before the ended are forgotten: all that they did has been told
        close_ended(recorder);
        recorder->next_look = pmt_children_look_again(&recorder->trace);
        if (!rung) {
            pmt_recorder_tick(recorder, now);
        }
        recorder->next_peak = pmt_sample_peaks(&recorder->trace);
        recorder->next_piece = pmt_snapshots_step(&recorder->trace);  // of a fall that the tick has just seen too
        if (now >= recorder->next_flush) {
            pmt_writer_flush(recorder->trace.writer);
            recorder->next_flush = now + FLUSH_NS;
        }
        if (finished(recorder, pmt_prim_now_ns_sigsafe())) {
            break;
        }
    }
}

// ---- start and end ----

static int
start(pmt_recorder_t *recorder)
{
    pmt_trace_t *trace = &recorder->trace;
    trace->t0 = pmt_prim_now_ns_sigsafe();
    trace->batch = -1;
    trace->cgroup.usage_fd = -1;
    trace->kin_fd = pmt_prim_kin_open();
    recorder->control_open = true;
    recorder->farewell = -1;
    recorder->next_tick = trace->t0 + TICK_NS;
    recorder->next_look = recorder->next_peak = recorder->next_piece = UINT64_MAX;
    recorder->next_flush = trace->t0 + FLUSH_NS;
    trace->nodes = pmt_nodes_new();
    trace->sites = pmt_sites_new();
    trace->columns = calloc(1, sizeof *trace->columns);
    if (!trace->nodes || !trace->sites || !trace->columns) {
        return -ENOMEM;
    }
    return pmt_writer_new(OUTPUT, trace->t0, pmt_prim_wall_ns(), (uint32_t)pmt_prim_page_size_sigsafe(), &trace->writer);
}

static int
finish(pmt_recorder_t *recorder)
{
    pmt_trace_t *trace = &recorder->trace;
    pmt_drain(trace);
    while (trace->processes) {  // they go on, without us
        pmt_process_close(trace, trace->processes);
    }
    pmt_prim_kin_close(trace->kin_fd);
    pmt_left_out_t left_out;
    if (trace->summary && pmt_writer_left_out(trace->writer, &left_out) && left_out.events) {
        pmt_summary_write(trace->summary, trace->writer);
    }
    uint64_t now = pmt_trace_time(trace, pmt_prim_now_ns_sigsafe());
    pmt_writer_trailer(trace->writer, now);
    return pmt_writer_flush(trace->writer);
}

// Tells the launcher why the file is not whole, and what is not in it.
static int
fail(const pmt_writer_t *writer, int err)
{
    char text[256];
    pmt_left_out_t left_out;
    if (writer && pmt_writer_left_out(writer, &left_out)) {
        double mib = (double)(left_out.pages * pmt_prim_page_size_sigsafe()) / (1 << 20);
        snprintf(text, sizeof text, "%s; of the time after %.2f s it lacks %llu faults (%.1f MiB) and %llu calls, returns and lines", strerror(-err),
                 (double)left_out.time / 1e9, (unsigned long long)left_out.faults, mib, (unsigned long long)left_out.events);
    } else {
        snprintf(text, sizeof text, "%s", strerror(-err));
    }
    pmt_prim_send_sigsafe(CONTROL, text, strlen(text), NULL, 0);
    return 1;
}

int
main(int argc, char **argv)
{
    static pmt_recorder_t recorder;
    uint64_t limit = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
    if (argc > 2 || (argc == 2 && limit < PMT_WRITER_LIMIT_MIN)) {
        fprintf(stderr, "%s: started by pymemtrace, not by hand\n", argv[0]);
        return 2;
    }
    pmt_prim_detach(DESCRIPTORS);
    pmt_prim_be_prompt(SLICE_NS);
    int err = start(&recorder);
    if (!err) {
        pmt_writer_limit(recorder.trace.writer, limit);
        run(&recorder);
        err = finish(&recorder);
    }
    int status = err ? fail(recorder.trace.writer, err) : 0;
    pmt_writer_free(recorder.trace.writer);
    if (recorder.farewell >= 0) {
        pmt_say_farewell(recorder.farewell, pmt_prim_pid_sigsafe(), err);
    }
    return status;
}
