// A traced process as the recorder holds it (trace.h).
#include <errno.h>
#include <stdlib.h>

#include "recorder/trace.h"

enum { FRAMES_SIZE = PMT_STACK_MAX * (int)sizeof(uint64_t), STACK_SIZE = FRAMES_SIZE + PMT_STACK_MAX * (int)sizeof(uint32_t) };

static int
map_memory(pmt_process_t *process, int shared_fd)
{
    void *shared;
    int err = pmt_prim_map_shared(shared_fd, PMT_SHARED_SIZE, &shared);
    if (err < 0) {
        return err;
    }
    process->shared = shared;
    process->consumers = calloc(PMT_RINGS, sizeof *process->consumers);
    err = pmt_prim_reserve((size_t)PMT_RINGS * STACK_SIZE, &process->stacks);
    if (err < 0 || !process->consumers) {
        free(process->consumers);
        pmt_prim_unmap(shared, PMT_SHARED_SIZE);
        return err < 0 ? err : -ENOMEM;  // without room for its consumers the stacks are address space only
    }
    for (unsigned slot = 0; slot < PMT_RINGS; slot++) {
        char *stack = (char *)process->stacks + (size_t)slot * STACK_SIZE;
        process->consumers[slot] = (pmt_consumer_t){.thread = -1, .frames = (uint64_t *)stack, .nodes = (uint32_t *)(stack + FRAMES_SIZE)};
    }
    return 0;
}

pmt_process_t *
pmt_process_new(pmt_trace_t *trace, const pmt_hello_t *hello, int shared_fd)
{
    pmt_process_t *process = calloc(1, sizeof *process);
    if (!process || map_memory(process, shared_fd) < 0) {
        free(process);
        return NULL;
    }
    process->pid = hello->pid;
    process->number = trace->process_count++;
    process->watch_fd = pmt_prim_process_watch(hello->pid);
    process->status_fd = pmt_prim_process_status_open(hello->pid);
    uint64_t time = pmt_trace_time(trace, hello->time);
    process->sampled_at = time;
    pmt_writer_process(trace->writer, hello->pid, hello->parent, time);
    pmt_modules_refresh(&process->modules, trace->writer, process->number, process->pid, &trace->module_count);
    if (process->number == 0 && pmt_prim_cgroup_open(hello->pid, &trace->cgroup) < 0) {
        trace->cgroup.usage_fd = -1;
    }
    process->next = trace->processes;
    return trace->processes = process;
}

void
pmt_process_add_event(pmt_process_t *process, int fd, uint32_t generation)
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
    process->events[process->event_count++] = (pmt_event_fd_t){fd, generation};
}

void
pmt_process_close_events(pmt_process_t *process, uint32_t generation)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < process->event_count; i++) {
        pmt_event_fd_t event = process->events[i];
        if (event.generation == generation) {
            process->events[kept++] = event;
        } else {
            pmt_prim_fault_event_disable(event.fd);
            pmt_prim_close_sigsafe(event.fd);
        }
    }
    process->event_count = kept;
}

void
pmt_process_counters(pmt_trace_t *trace, const pmt_process_t *process)
{
    const pmt_shared_t *shared = process->shared;
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
        {"tracer_pages", atomic_load_explicit(&shared->tracer_pages, memory_order_relaxed)},
        {"lost", atomic_load_explicit(&shared->lost, memory_order_relaxed)},
        {"waits", atomic_load_explicit(&shared->waits, memory_order_relaxed)},
        {"wait_ns", atomic_load_explicit(&shared->wait_ns, memory_order_relaxed)},
        {"nested", atomic_load_explicit(&shared->nested, memory_order_relaxed)},
        {"unowned_pages", atomic_load_explicit(&shared->unowned_pages, memory_order_relaxed)},
        {"fault_cost_ns", atomic_load_explicit(&shared->fault_cost_ns, memory_order_relaxed)},
        {"rss_peak_pages", atomic_load_explicit(&shared->rss_peak_pages, memory_order_relaxed)},
        {"rss_hwm_kib", process->peak_kib > 0 ? (uint64_t)process->peak_kib : 0},
    };
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
        pmt_writer_counter(trace->writer, process->number, counters[i].name, counters[i].value);
    }
}

void
pmt_process_name_threads(pmt_trace_t *trace, pmt_process_t *process)
{
    for (unsigned slot = 0; slot < PMT_RINGS; slot++) {
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
