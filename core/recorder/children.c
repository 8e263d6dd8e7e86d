// Finds the children that nobody announced (trace.h): programs that are not Python, and Python without our bootstrap. The kernel's process connector tells of each
// at once. Where it is refused, or has lost something, they are looked for in /proc, and one that lives for less than the 10 ms between two looks may be missed.
#include "base/hash.h"
#include "recorder/trace.h"

enum { ARGUMENTS_MAX = 4096 };
enum { HEAR_MAX = 4096 };  // news at a time: a flood of them must not keep us from the rings
static const uint64_t LOOK_NS = 100 * 1000u;     // between two looks after an exec; later a quarter of the time since
static const uint64_t YOUTH_NS = 10 * 1000000u;  // then the sampler has come by

typedef struct look_s {
    pmt_trace_t *trace;
    uint32_t parent;
    bool any;
} look_t;

static bool
is_ghost(const pmt_trace_t *trace, uint32_t pid)
{
    const pmt_process_t *ghost = trace->ghosts;
    while (ghost && ghost->pid != pid) {
        ghost = ghost->next;
    }
    return ghost != NULL;
}

static void
visit(uint32_t pid, void *context)
{
    look_t *look = context;
    if (pid != pmt_prim_pid_sigsafe() && !pmt_process_find(look->trace, pid) && !is_ghost(look->trace, pid) && pmt_process_new(look->trace, pid, look->parent, pmt_prim_now_ns_sigsafe())) {
        look->any = true;
    }
}

void
pmt_children_look(pmt_trace_t *trace, bool thorough)
{
    look_t look = {.trace = trace};
    pmt_process_lay_ghosts(trace);
    if (trace->kin_told && !trace->kin_gaps && !thorough) {
        return;
    }
    trace->kin_gaps = false;
    do {  // a child found now may have children itself: new processes stand in front
        const pmt_process_t *newest = trace->processes;
        look.any = false;
        for (const pmt_process_t *process = newest; process; process = process->next) {
            look.parent = process->pid;
            if (!process->ended) {
                pmt_prim_each_child(process->pid, !thorough, visit, &look);
            }
        }
    } while (look.any);
}

// ---- what the kernel tells ----

// The last process with this pid that has not been closed.
static pmt_process_t *
last_with(const pmt_trace_t *trace, uint32_t pid)
{
    pmt_process_t *process = trace->processes;
    while (process && process->pid != pid) {
        process = process->next;
    }
    return process;
}

// It may have greeted, or been found, before we hear of its birth, and even have ended; another process that had its number has been told of to the end.
static void
on_fork(pmt_trace_t *trace, const pmt_kin_event_t *event)
{
    const pmt_process_t *known = last_with(trace, event->pid);
    if ((!known || known->told_end >= 0) && event->pid != pmt_prim_pid_sigsafe()) {
        pmt_process_new(trace, event->pid, event->parent, event->time);
    }
}

// A new program: what its arguments were before is not its command, even if it ends before it can be looked at.
static void
on_exec(pmt_trace_t *trace, pmt_process_t *process, uint64_t time)
{
    if (!process->shared) {  // else it may greet again, as a process of its own
        process->image_at = time;
        if (process->argv_hash) {
            pmt_writer_meta(trace->writer, process->number + 1, "argv", "", 0);
            process->argv_hash = 0;
        }
        process->next_look = time + LOOK_NS;
        pmt_sample_process(trace, process);
    }
}

uint32_t
pmt_children_hear(pmt_trace_t *trace)
{
    uint32_t strangers = 0;
    pmt_kin_event_t event;
    for (int i = 0, got; i < HEAR_MAX && trace->kin_fd >= 0 && (got = pmt_prim_kin_next(trace->kin_fd, &event)) != 0; i++) {
        if (got < 0) {
            trace->kin_gaps = true;  // some are lost: /proc has those that live on
            continue;
        }
        trace->kin_told = true;
        pmt_process_t *process = last_with(trace, event.kind == PMT_KIN_FORK ? event.parent : event.pid);
        if (!process) {
            strangers++;
        } else if (event.kind == PMT_KIN_FORK) {
            on_fork(trace, &event);
        } else if (event.kind == PMT_KIN_EXEC) {
            on_exec(trace, process, event.time);
        } else {
            process->told_end = event.status;
        }
    }
    return strangers;
}

uint64_t
pmt_children_look_again(pmt_trace_t *trace)
{
    uint64_t now = pmt_prim_now_ns_sigsafe(), due = UINT64_MAX;
    for (pmt_process_t *process = trace->processes; process; process = process->next) {
        if (process->next_look && process->next_look <= now) {
            pmt_sample_process(trace, process);
            uint64_t age = now - process->image_at;
            uint64_t interval = age / 4 > LOOK_NS ? age / 4 : LOOK_NS;
            process->next_look = age < YOUTH_NS && !process->shared && !process->ended ? now + interval : 0;
        }
        if (process->next_look) {
            due = process->next_look < due ? process->next_look : due;
        }
    }
    return due;
}

void
pmt_children_describe(pmt_trace_t *trace, pmt_process_t *process)
{
    char arguments[ARGUMENTS_MAX];
    size_t size = pmt_prim_process_arguments(process->pid, arguments, sizeof arguments);
    uint64_t hash = pmt_hash_bytes(0, arguments, size);
    if (size && hash != process->argv_hash) {
        pmt_writer_meta(trace->writer, process->number + 1, "argv", arguments, size - (arguments[size - 1] == '\0'));
        process->argv_hash = hash;
    }
}
