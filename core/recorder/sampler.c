// RSS by kind of each traced process and the cgroup's usage, from outside (trace.h): 12 us a process, every 10 ms.
#include "recorder/trace.h"

// A child of vfork() runs on its parent's memory until its exec: that is not its own, nor are the arguments there.
static bool
is_borrowing(const pmt_process_t *process)
{
    return !process->shared && !process->image_at && process->number > 0 && pmt_prim_process_same_memory(process->pid, process->parent);
}

void
pmt_sample_process(pmt_trace_t *trace, pmt_process_t *process, uint64_t absolute)
{
    pmt_process_status_t status;
    uint64_t now = pmt_trace_time(trace, absolute);
    if (process->ended || process->status_fd < 0 || is_borrowing(process) || pmt_prim_process_status_read(process->status_fd, &status) < 0) {
        return;
    }
    int64_t value[4] = {status.anon, status.file, status.shmem, status.swap > 0 ? status.swap : 0}, delta[4];
    for (int i = 0; i < 4; i++) {
        delta[i] = value[i] - process->sample[i];
        process->sample[i] = value[i];
    }
    pmt_snapshots_saw_rss(process, absolute, value[0] + value[1] + value[2]);
    if (status.peak > process->peak_kib) {
        process->peak_since = process->peak_kib ? process->sampled_at : now;  // what is there already may be from before
        process->peak_at = now;
        process->peak_kib = status.peak;
    }
    pmt_writer_sample(trace->writer, process->number, now - process->sampled_at, delta);
    process->sampled_at = now;
    if (process->number > 0 && (!process->shared || !process->argv_hash)) {  // the root's command is the launcher's to tell
        pmt_children_describe(trace, process);
    }
    if (status.tracer && process->event_count) {
        pmt_process_close_events(process, NULL);  // a debugger has come: it would stop at every fault
        static const char reason[] = "a debugger attached while the program ran: faults after that are missing";
        pmt_writer_meta(trace->writer, process->number + 1, "engine_reason", reason, sizeof reason - 1);
        pmt_writer_meta(trace->writer, process->number + 1, "moves_reason", reason, sizeof reason - 1);
    }
}

static void
sample_cgroup(pmt_trace_t *trace, uint64_t now)
{
    int64_t usage;
    if (trace->cgroup.usage_fd < 0 || pmt_prim_cgroup_read(&trace->cgroup, &usage) < 0) {
        return;
    }
    pmt_writer_cgroup(trace->writer, now - trace->cgroup_at, usage - trace->cgroup_kib, (uint64_t)(trace->cgroup.limit_kib + 1));
    trace->cgroup_at = now;
    trace->cgroup_kib = usage;
}

void
pmt_sample(pmt_trace_t *trace)
{
    uint64_t now = pmt_prim_now_ns_sigsafe();
    for (pmt_process_t *process = trace->processes; process; process = process->next) {
        pmt_sample_process(trace, process, now);
    }
    sample_cgroup(trace, pmt_trace_time(trace, now));
}
