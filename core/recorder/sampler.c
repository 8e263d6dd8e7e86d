// RSS by kind of each traced process and the cgroup's usage, from outside (trace.h): 12 us a process, every 10 ms.
#include <errno.h>

#include "recorder/trace.h"

static const uint64_t PEAK_NS = 1000000u;       // between two looks for a peak: 2 us a process
static const uint64_t LATELY_NS = 20 * 1000000u;  // so long after a signal of many faults there may be one
static const int64_t HIGHER_PART = 400;         // of the highest known: a peak that is not higher by that is told well enough by the reading at a fault, at which more pages have owners

// A child of vfork() runs on its parent's memory until its exec: that is not its own, nor are the arguments there.
static bool
is_borrowing(const pmt_process_t *process)
{
    return !process->shared && !process->image_at && process->number > 0 && pmt_prim_process_same_memory(process->pid, process->parent);
}

int
pmt_sample_read(const pmt_process_t *process, pmt_process_status_t *out, uint64_t *absolute)
{
    enum { AT_ONCE_NS = 200 * 1000, READINGS = 4 };
    int err = process->status_fd < 0 ? -ESRCH : 0;
    uint64_t took = AT_ONCE_NS;
    for (int i = 0; i < READINGS && !err && took >= AT_ONCE_NS; i++) {
        *absolute = pmt_prim_now_ns_sigsafe();
        err = pmt_prim_process_status_read(process->status_fd, out);
        took = pmt_prim_now_ns_sigsafe() - *absolute;
    }
    return err;
}

void
pmt_sample_process(pmt_trace_t *trace, pmt_process_t *process)
{
    pmt_process_status_t status;
    uint64_t absolute;
    if (process->ended || is_borrowing(process) || pmt_sample_read(process, &status, &absolute) < 0) {
        return;
    }
    uint64_t now = pmt_trace_time(trace, absolute);
    int64_t value[4] = {status.anon, status.file, status.shmem, status.swap > 0 ? status.swap : 0}, delta[4];
    for (int i = 0; i < 4; i++) {
        delta[i] = value[i] - process->sample[i];
        process->sample[i] = value[i];
    }
    int64_t kib = value[0] + value[1] + value[2];
    process->highest_kib = kib > process->highest_kib ? kib : process->highest_kib;
    pmt_snapshots_saw_rss(process, absolute, kib);
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

// The highest RSS that is known of, by a sample or a fault's reading.
static int64_t
highest_kib(const pmt_process_t *process)
{
    int64_t pages = (int64_t)atomic_load_explicit(&process->shared->rss_peak_pages, memory_order_relaxed);
    int64_t read = pages * (int64_t)(pmt_prim_page_size_sigsafe() / 1024);
    return read > process->highest_kib ? read : process->highest_kib;
}

static void
look_for_peak(pmt_trace_t *trace, pmt_process_t *process)
{
    pmt_rss_t rss;
    if (process->statm_fd == PMT_NOT_OPENED) {
        process->statm_fd = pmt_prim_process_statm_open(process->pid);
    }
    if (process->statm_fd < 0 || pmt_prim_rss_read_sigsafe(process->statm_fd, &rss) < 0) {
        return;
    }
    int64_t kib = ((int64_t)rss.anon + rss.shared) * (int64_t)(pmt_prim_page_size_sigsafe() / 1024), highest = highest_kib(process);
    if (kib > highest + highest / HIGHER_PART) {
        pmt_sample_process(trace, process);
    }
}

uint64_t
pmt_sample_peaks(pmt_trace_t *trace)
{
    uint64_t now = pmt_prim_now_ns_sigsafe();
    bool any = false;
    for (pmt_process_t *process = trace->processes; process; process = process->next) {
        if (process->shared && !process->ended && process->many_at && now - process->many_at < LATELY_NS) {
            look_for_peak(trace, process);
            any = true;
        }
    }
    return any ? now + PEAK_NS : UINT64_MAX;
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
        pmt_sample_process(trace, process);
    }
    sample_cgroup(trace, pmt_trace_time(trace, now));
}
