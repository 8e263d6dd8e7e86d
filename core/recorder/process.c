// A traced process as the recorder holds it (trace.h).
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "format/wire.h"
#include "recorder/trace.h"

enum { FRAMES_SIZE = PMT_STACK_MAX * (int)sizeof(uint64_t), STACK_SIZE = FRAMES_SIZE + PMT_STACK_MAX * (int)sizeof(uint32_t) };

static const size_t CONSUMERS_SIZE = PMT_RINGS * sizeof(pmt_consumer_t);
static const size_t BASE_SIZE = PMT_RINGS * (sizeof(pmt_consumer_t) + STACK_SIZE);

pmt_process_t *
pmt_process_find(const pmt_trace_t *trace, uint32_t pid)
{
    pmt_process_t *process = trace->processes;
    while (process && (process->pid != pid || process->ended)) {
        process = process->next;
    }
    return process;
}

// What is mapped for a traced process: its rings, and its consumers, address space that fills as slots come into use.
typedef struct maps_s {
    void *shared, *consumers;
} maps_t;

static int
map(int shared_fd, maps_t *out)
{
    int err = pmt_prim_map_shared(shared_fd, PMT_SHARED_SIZE, &out->shared);
    if (err < 0) {
        return err;
    }
    err = pmt_prim_reserve(BASE_SIZE, &out->consumers);
    if (err < 0) {
        pmt_prim_unmap(out->shared, PMT_SHARED_SIZE);
    }
    return err;
}

static void
unmap(const maps_t *maps)
{
    pmt_prim_unmap(maps->shared, PMT_SHARED_SIZE);
    pmt_prim_unmap(maps->consumers, BASE_SIZE);
}

pmt_consumer_t *
pmt_process_consumer(pmt_process_t *process, unsigned slot)
{
    for (; process->slots <= slot; process->slots++) {
        char *stack = (char *)process->consumers + CONSUMERS_SIZE + (size_t)process->slots * STACK_SIZE;
        process->consumers[process->slots] = (pmt_consumer_t){.thread = -1, .frames = (uint64_t *)stack, .nodes = (uint32_t *)(stack + FRAMES_SIZE)};
    }
    return &process->consumers[slot];
}

pmt_process_t *
pmt_process_new(pmt_trace_t *trace, uint32_t pid, uint32_t parent, uint64_t time)
{
    pmt_process_t *process = calloc(1, sizeof *process);
    if (!process) {
        return NULL;
    }
    process->pid = pid;
    process->parent = parent;
    process->told_end = -1;
    process->number = trace->process_count++;
    process->watch_fd = pmt_prim_process_watch(pid);
    process->status_fd = pmt_prim_process_status_open(pid);
    process->statm_fd = PMT_NOT_OPENED;
    process->sampled_at = pmt_trace_time(trace, time);
    pmt_writer_process(trace->writer, pid, parent, process->sampled_at);
    if (process->number == 0) {
        trace->root_pid = pid;
        char cpus[16];
        pmt_writer_meta(trace->writer, 1, "cpus", cpus, (size_t)snprintf(cpus, sizeof cpus, "%u", pmt_prim_cpus()));
        if (pmt_prim_cgroup_open(pid, &trace->cgroup) < 0) {
            trace->cgroup.usage_fd = -1;
        }
    }
    process->next = trace->processes;
    return trace->processes = process;
}

pmt_process_t *
pmt_process_greeted(pmt_trace_t *trace, const pmt_hello_t *hello, int shared_fd)
{
    maps_t maps;
    if (map(shared_fd, &maps) < 0) {
        return NULL;
    }
    pmt_process_t *process = pmt_process_find(trace, hello->pid);
    if (process && process->shared) {
        process->ended = process->replaced = true;
        pmt_process_close_events(process, NULL);  // of the program before the exec: the next one needs their breakpoint registers
        process = NULL;
    }
    if (!process && !(process = pmt_process_new(trace, hello->pid, hello->parent, hello->time))) {
        unmap(&maps);
        return NULL;
    }
    process->shared = maps.shared;
    process->consumers = maps.consumers;
    trace->kin_gaps = true;  // what it started before we knew it
    pmt_modules_refresh(&process->modules, trace->writer, process->number, process->pid, &trace->module_count);
    return process;
}

static void
write_end(pmt_trace_t *trace, const pmt_process_t *process, uint64_t now)
{
    unsigned kind = PMT_END_UNKNOWN;
    uint32_t value = 0;
    int status = pmt_prim_process_end(process->pid, process->watch_fd);
    status = status < 0 ? process->told_end : status;
    if (process->replaced) {
        kind = PMT_END_EXEC;
    } else if (process->pid == trace->root_pid && trace->root_end_known) {
        kind = trace->root_end;
        value = trace->root_value;
    } else if (status >= 0) {
        kind = status & 0x7f ? PMT_END_SIGNAL : PMT_END_EXIT;
        value = status & 0x7f ? status & 0x7f : status >> 8 & 0xff;
    }
    pmt_writer_process_end(trace->writer, process->number, kind, value, now);
}

void
pmt_process_progress(pmt_process_t *process)
{
    atomic_fetch_add_explicit(&process->shared->progress, 1, memory_order_seq_cst);
    pmt_prim_wake_sigsafe(&process->shared->progress);
}

void
pmt_process_close(pmt_trace_t *trace, pmt_process_t *process)
{
    if (process->pid == trace->root_pid) {
        pmt_writer_flush(trace->writer);  // if that fails the end, in a block of its own, may still find room
    }
    pmt_process_counters(trace, process);
    pmt_snapshots_detach(trace, process);
    if (process->shared) {
        pmt_process_close_events(process, NULL);
        free(process->events);
        pmt_modules_fini(&process->modules);
        pmt_lanes_detach(process);
        unmap(&(maps_t){process->shared, process->consumers});
    }
    while (process->expected) {
        free(pmt_process_take_expected(process, process->expected->tid));
    }
    if (process->ended) {
        write_end(trace, process, pmt_trace_time(trace, pmt_prim_now_ns_sigsafe()));
    }
    pmt_prim_close_sigsafe(process->status_fd);
    pmt_prim_close_sigsafe(process->statm_fd);
    pmt_process_t **link = &trace->processes;
    while (*link != process) {
        link = &(*link)->next;
    }
    *link = process->next;
    process->next = trace->ghosts;
    trace->ghosts = process;
}

void
pmt_process_lay_ghosts(pmt_trace_t *trace)
{
    for (pmt_process_t **link = &trace->ghosts, *ghost; (ghost = *link);) {
        if (ghost->replaced || pmt_prim_process_gone(ghost->watch_fd)) {
            *link = ghost->next;
            pmt_prim_close_sigsafe(ghost->watch_fd);
            free(ghost);
        } else {
            link = &ghost->next;
        }
    }
}

void
pmt_process_add_event(pmt_process_t *process, int fd, const pmt_events_t *of)
{
    if (process->event_count == process->event_capacity) {
        uint32_t capacity = process->event_capacity ? 2 * process->event_capacity : 8;
        pmt_event_fd_t *events = realloc(process->events, capacity * sizeof *events);
        if (!events) {
            pmt_prim_close_sigsafe(fd);  // its thread goes on unrecorded
            return;
        }
        process->events = events;
        process->event_capacity = capacity;
    }
    process->events[process->event_count++] = (pmt_event_fd_t){fd, of->source, of->generation};
}

void
pmt_process_close_events(pmt_process_t *process, const pmt_events_t *but)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < process->event_count; i++) {
        pmt_event_fd_t event = process->events[i];
        if (but && (event.source != but->source || event.generation == but->generation)) {
            process->events[kept++] = event;
        } else {
            pmt_prim_fault_event_disable(event.fd);
            pmt_prim_close_sigsafe(event.fd);
        }
    }
    process->event_count = kept;
}

void
pmt_process_give_up(pmt_trace_t *trace, pmt_process_t *process, const pmt_events_t *events)
{
    static const char moves[] = "mremap not followed to the end: its signals cost more than 1 % of the run time";
    static const char releases[] = "given up because following the calls cost more than 2 % of the run time";
    char until[24];
    pmt_process_close_events(process, events);
    if (events->source > PMT_RELEASE_MREMAP) {
        return;
    }
    bool moved = events->source == PMT_RELEASE_MREMAP;
    if (!moved && process->releases_given_up) {
        return;  // the three calls go together, with a message each
    }
    process->releases_given_up |= !moved;
    uint64_t size = (uint64_t)snprintf(until, sizeof until, "%llu", (unsigned long long)pmt_trace_time(trace, pmt_prim_now_ns_sigsafe()));
    pmt_writer_meta(trace->writer, process->number + 1, moved ? "moves_until" : "releases_until", until, size);
    pmt_writer_meta(trace->writer, process->number + 1, moved ? "moves_reason" : "releases_reason", moved ? moves : releases,
                    moved ? sizeof moves - 1 : sizeof releases - 1);
}

typedef struct counter_s {
    const char *name;
    uint64_t value;
} counter_t;

static void
lane_counters(pmt_trace_t *trace, const pmt_process_t *process)
{
    const pmt_lanes_t *lanes = process->lanes;
    const counter_t counters[] = {
        {"events", process->events_taken},
        {"events_lost", atomic_load_explicit(&lanes->lost, memory_order_relaxed) + process->events_unplaced},
        {"events_lost_slotless", atomic_load_explicit(&lanes->lost_slotless, memory_order_relaxed)},
        {"event_waits", atomic_load_explicit(&lanes->waits, memory_order_relaxed)},
        {"event_wait_ns", atomic_load_explicit(&lanes->wait_ns, memory_order_relaxed)},
        {"rss_reads", atomic_load_explicit(&lanes->rss_reads, memory_order_relaxed)},
    };
    for (size_t i = 0; i < PMT_COUNT(counters); i++) {
        pmt_writer_counter(trace->writer, process->number, counters[i].name, counters[i].value);
    }
}

static void
shared_counters(pmt_trace_t *trace, const pmt_process_t *process)
{
    const pmt_shared_t *shared = process->shared;
    const counter_t counters[] = {
        {"tracer_pages", atomic_load_explicit(&shared->tracer_pages, memory_order_relaxed)},
        {"lost", atomic_load_explicit(&shared->lost, memory_order_relaxed)},
        {"lost_slotless", atomic_load_explicit(&shared->lost_slotless, memory_order_relaxed)},
        {"waits", atomic_load_explicit(&shared->waits, memory_order_relaxed)},
        {"wait_ns", atomic_load_explicit(&shared->wait_ns, memory_order_relaxed)},
        {"nested", atomic_load_explicit(&shared->nested, memory_order_relaxed)},
        {"unowned_pages", atomic_load_explicit(&shared->unowned_pages, memory_order_relaxed)},
        {"fault_cost_ns", atomic_load_explicit(&shared->fault_cost_ns, memory_order_relaxed)},
        {"ticks", atomic_load_explicit(&shared->ticks, memory_order_relaxed)},
        {"rss_peak_pages", atomic_load_explicit(&shared->rss_peak_pages, memory_order_relaxed)},
        {"rss_peak_ns", pmt_trace_time(trace, atomic_load_explicit(&shared->rss_peak_ns, memory_order_relaxed))},
        {"moves", atomic_load_explicit(&shared->moves, memory_order_relaxed)},
        {"releases", atomic_load_explicit(&shared->releases, memory_order_relaxed)},
    };
    for (size_t i = 0; i < PMT_COUNT(counters); i++) {
        pmt_writer_counter(trace->writer, process->number, counters[i].name, counters[i].value);
    }
}

void
pmt_process_counters(pmt_trace_t *trace, const pmt_process_t *process)
{
    if (process->shared) {
        shared_counters(trace, process);
    }
    if (process->lanes) {
        lane_counters(trace, process);
    }
    pmt_snapshots_counters(trace, process);
    pmt_writer_counter(trace->writer, process->number, "rss_hwm_kib", process->peak_kib > 0 ? (uint64_t)process->peak_kib : 0);
    pmt_writer_counter(trace->writer, process->number, "rss_hwm_since_ns", process->peak_since);
    pmt_writer_counter(trace->writer, process->number, "rss_hwm_ns", process->peak_at);
}

void
pmt_process_name_threads(pmt_trace_t *trace, pmt_process_t *process)
{
    for (unsigned slot = 0; slot < process->slots; slot++) {
        const pmt_consumer_t *consumer = &process->consumers[slot];
        char name[32];
        if (consumer->thread < 0 || consumer->named) {
            continue;
        }
        pmt_prim_thread_name(process->pid, consumer->tid, name, sizeof name);
        size_t length = 0;
        while (name[length]) {
            length++;
        }
        if (length) {
            pmt_writer_thread_name(trace->writer, (uint64_t)consumer->thread, name, length);
        }
    }
}

void
pmt_process_expect_thread(pmt_process_t *process, uint32_t tid, const char *name, uint32_t size)
{
    pmt_expected_t *expected = malloc(sizeof *expected + size);
    if (expected) {  // else it keeps the kernel's name
        *expected = (pmt_expected_t){.tid = tid, .size = size, .next = process->expected};
        memcpy(expected->name, name, size);
        process->expected = expected;
    }
}

pmt_expected_t *
pmt_process_take_expected(pmt_process_t *process, uint32_t tid)
{
    pmt_expected_t **link = &process->expected;
    while (*link && (*link)->tid != tid) {
        link = &(*link)->next;
    }
    pmt_expected_t *expected = *link;
    if (expected) {
        *link = expected->next;
    }
    return expected;
}
