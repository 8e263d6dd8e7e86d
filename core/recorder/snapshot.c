// Residency snapshots (snapshot.h). A snapshot reads the mappings, then looks at spans of address space piece by piece.
#include "recorder/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/varint.h"
#include "format/wire.h"
#include "recorder/regions.h"
#include "recorder/trace.h"

static const uint64_t REACH = UINT64_C(512) << 20;  // bytes of address space in one piece, however empty: the page of zeros is looked at page by page
static const uint64_t SHARE = 30;                 // a snapshot after a fall of RSS waits until the one before was so small a part of the time
static const int64_t FALL_KIB = 1024, FALL_PART = 100;  // a fall: by that much, or that part of the highest
static const int64_t GONE_KIB = 256, GONE_PART = 200;   // the same of what is given back in pieces, between which RSS rises
static const uint64_t ROLLUP_MAX_KIB = 256 << 10; // smaps_rollup of more keeps the program's memory calls waiting for too long; at the end it does not matter
static const uint64_t STEP_NS = 200 * 1000u;      // pieces are looked at for so long at a time
static const uint64_t PAUSE_NS = 100 * 1000u;     // between two steps, or as long as the step took

// One that is being taken.
typedef struct job_s {
    unsigned kind;
    uint64_t since;       // absolute, as the next
    uint64_t next_piece;
    unsigned present;         // the span at which we are
    uint64_t at;              // in it
    uint64_t empty_from, empty_time;  // nothing was found from there to `at`, which is not yet written; empty_time 0: all is
    bool mapped;              // the mappings have been read
    pmt_spans_t spans;
} job_t;

struct pmt_snapshots_s {
    int pagemap, maps, rollup;
    pmt_span_t own[PMT_MAPS_OWN];
    bool first_due, by_numbers, put_off, running;
    uint64_t next_fall;  // absolute: before that no snapshot follows a fall
    uint64_t spent_ns;   // by the CPU for the snapshot that is being taken: other load must not put the next one off
    int64_t high_kib;    // highest RSS that the sampler read since the last snapshot
    int64_t start_kib;   // RSS when it began
    uint64_t taken, skipped, ns;
    job_t job;
};

static int
read_mappings(pmt_trace_t *trace, pmt_process_t *process)
{
    pmt_snapshots_t *snapshots = process->snapshots;
    return pmt_regions_write(trace->writer, process->number, snapshots->maps, snapshots->own, &snapshots->job.spans);
}

// ---- pieces ----

static uint8_t *
put_run(uint8_t *out, uint64_t pages, unsigned state)
{
    return pages ? pmt_varint_put(out, pages << PMT_RESIDENT_BITS | state) : out;
}

static void
write_piece(pmt_trace_t *trace, const pmt_process_t *process, uint64_t time, const pmt_pages_t *pages)
{
    static uint8_t runs[PMT_WIRE_RUNS_MAX];
    _Static_assert(sizeof runs >= (2 * PMT_PAGES_RUNS + 1) * PMT_VARINT_MAX, "the runs fit");
    uint64_t page = pmt_prim_page_size_sigsafe(), at = pages->from;
    uint8_t *out = runs;
    for (unsigned i = 0; i < pages->count; i++) {
        const pmt_page_run_t *run = &pages->runs[i];
        out = put_run(out, (run->start - at) / page, PMT_RESIDENT_NONE);
        out = put_run(out, run->pages, run->state);
        at = run->start + run->pages * page;
    }
    out = put_run(out, (pages->to - at) / page, PMT_RESIDENT_NONE);
    pmt_writer_resident(trace->writer, process->number, time, pages->from / page, runs, (size_t)(out - runs));
}

// Emptiness is written with what follows it in its span, under its own time: it may be terabytes.
static void
put_piece(pmt_trace_t *trace, const pmt_process_t *process, uint64_t time, pmt_pages_t *pages, bool last)
{
    job_t *job = &process->snapshots->job;
    if (job->empty_time) {
        pages->from = job->empty_from;
        time = job->empty_time;
    }
    if (pages->count == 0 && !last) {
        job->empty_from = pages->from;
        job->empty_time = time ? time : 1;
        return;
    }
    job->empty_time = 0;
    write_piece(trace, process, time, pages);
}

// The first snapshot is taken before user code runs, the last when it has run: they need not keep out of its way.
static bool
program_runs(const job_t *job)
{
    return job->kind == PMT_SNAPSHOT_FELL || job->kind == PMT_SNAPSHOT_ASKED;
}

// Where the recorder loses its CPU meanwhile, the program's memory calls wait for it: a look begins with a new turn. And pages are seen whose faults came long after `time`:
// then once more. The last look counts.
static int
look_at_once(int pagemap, bool runs, pmt_pages_t *pages, uint64_t *time)
{
    enum { AT_ONCE_NS = 500 * 1000, LOOKS = 4 };
    int err = 0;
    uint64_t took = AT_ONCE_NS;
    for (int i = 0; i < LOOKS && !err && took >= AT_ONCE_NS; i++) {
        if (runs) {
            pmt_prim_give_way();
        }
        *time = pmt_prim_now_ns_sigsafe();
        err = pmt_prim_pages_look(pagemap, pages);
        took = pmt_prim_now_ns_sigsafe() - *time;
    }
    return err;
}

// 1: all spans have been looked at; 0: there is more; negative: it cannot go on. A page that comes in after the piece's time may be seen or not.
static int
look(pmt_trace_t *trace, pmt_process_t *process)
{
    static pmt_pages_t pages;
    pmt_snapshots_t *snapshots = process->snapshots;
    job_t *job = &snapshots->job;
    if (job->present == job->spans.count) {
        return 1;
    }
    const pmt_span_t *span = &job->spans.list[job->present];
    job->at = job->at < span->start ? span->start : job->at;
    pages.from = job->at;
    pages.end = span->end - job->at > REACH ? job->at + REACH : span->end;
    pages.by_numbers = snapshots->by_numbers;
    uint64_t time;
    int err = look_at_once(snapshots->pagemap, program_runs(job), &pages, &time);
    if (err) {
        return err;
    }
    if (pages.by_numbers && !snapshots->by_numbers) {
        static const char reason[] = "Linux before 6.7: untouched pages of zeros that were only read count as memory, and huge pages are not told apart";
        pmt_writer_meta(trace->writer, process->number + 1, "snapshots_reason", reason, sizeof reason - 1);
        snapshots->by_numbers = true;
    }
    pages.to = pages.to > pages.from ? pages.to : pages.end;
    job->at = pages.to;
    job->present += job->at >= span->end;
    put_piece(trace, process, pmt_trace_time(trace, time), &pages, job->at >= span->end);
    return job->present == job->spans.count;
}

// ---- one snapshot ----

// RssAnon, RssFile, RssShmem and VmSwap, and when; the sum of the first three. Zeros for a process that is gone.
static uint64_t
read_kib(const pmt_process_t *process, uint64_t kib[4], uint64_t *absolute)
{
    pmt_process_status_t status = {0};
    *absolute = pmt_prim_now_ns_sigsafe();
    if (pmt_sample_read(process, &status, absolute) < 0) {
        status = (pmt_process_status_t){0};
    }
    kib[0] = (uint64_t)status.anon;
    kib[1] = (uint64_t)status.file;
    kib[2] = (uint64_t)status.shmem;
    kib[3] = status.swap > 0 ? (uint64_t)status.swap : 0;
    return kib[0] + kib[1] + kib[2];
}

static void
begin(pmt_trace_t *trace, pmt_process_t *process, unsigned kind, const char *name, uint64_t now)
{
    pmt_snapshots_t *snapshots = process->snapshots;
    uint64_t fell_at = atomic_exchange_explicit(&process->shared->fell_at, 0, memory_order_relaxed);
    uint64_t since = fell_at && fell_at < now && kind != PMT_SNAPSHOT_START ? fell_at : now;
    // What is released from now on is a fall from here, though nobody reads RSS before it is.
    uint64_t kib[4], read_at, high_kib = read_kib(process, kib, &read_at);
    atomic_store_explicit(&process->shared->rss_high, high_kib * 1024 / pmt_prim_page_size_sigsafe(), memory_order_relaxed);
    snapshots->job.kind = kind;
    snapshots->job.since = since;
    snapshots->job.spans.count = snapshots->job.present = 0;
    snapshots->job.at = snapshots->job.next_piece = snapshots->job.empty_time = 0;
    snapshots->job.mapped = false;
    snapshots->high_kib = (int64_t)high_kib;
    snapshots->start_kib = (int64_t)high_kib;
    process->risen_since = pmt_trace_time(trace, read_at);
    process->risen_pages = 0;
    snapshots->running = true;
    snapshots->put_off = snapshots->first_due = false;
    snapshots->spent_ns = 0;
    pmt_writer_snapshot(trace->writer, process->number, pmt_trace_time(trace, now), kind, pmt_trace_time(trace, since), name, strlen(name));
}

static void
end(pmt_trace_t *trace, pmt_process_t *process, int err)
{
    pmt_snapshots_t *snapshots = process->snapshots;
    uint64_t cpu = pmt_prim_cpu_ns(), kib[4], now, rss = read_kib(process, kib, &now), rollup = 0;
    bool cheap = snapshots->job.kind == PMT_SNAPSHOT_ASKED && rss <= ROLLUP_MAX_KIB;
    if (err == 0 && snapshots->rollup >= 0 && (cheap || snapshots->job.kind == PMT_SNAPSHOT_AT_END)) {
        int64_t exact = pmt_prim_rollup_kib(snapshots->rollup);
        rollup = exact < 0 ? 0 : (uint64_t)exact + 1;
    }
    pmt_writer_snapshot_end(trace->writer, process->number, pmt_trace_time(trace, now), (unsigned)-err, kib, rollup);
    snapshots->running = false;
    snapshots->taken++;
    snapshots->spent_ns += pmt_prim_cpu_ns() - cpu;
    snapshots->ns += snapshots->spent_ns;
    if (snapshots->job.kind == PMT_SNAPSHOT_FELL) {  // others are wanted whatever they cost
        snapshots->next_fall = now + SHARE * snapshots->spent_ns;
    }
}

// The next one says what it would have said, also of the fall.
static void
give_way(pmt_trace_t *trace, pmt_process_t *process)
{
    const job_t *job = &process->snapshots->job;
    end(trace, process, -ECANCELED);
    if (job->kind == PMT_SNAPSHOT_FELL) {
        atomic_store_explicit(&process->shared->fell_at, job->since, memory_order_relaxed);
    }
}

static int
look_for_a_while(pmt_trace_t *trace, pmt_process_t *process, uint64_t until)
{
    int result;
    while ((result = look(trace, process)) == 0 && pmt_prim_now_ns_sigsafe() < until) {
    }
    return result;
}

// The next step of one that has begun: true if it was the last.
static bool
step(pmt_trace_t *trace, pmt_process_t *process)
{
    pmt_snapshots_t *snapshots = process->snapshots;
    uint64_t before = pmt_prim_now_ns_sigsafe(), cpu = pmt_prim_cpu_ns();
    int result = process->ended ? -ESRCH : snapshots->job.mapped ? look_for_a_while(trace, process, before + STEP_NS) : read_mappings(trace, process);
    snapshots->job.mapped = true;
    uint64_t now = pmt_prim_now_ns_sigsafe(), took = now - before;
    snapshots->spent_ns += pmt_prim_cpu_ns() - cpu;
    snapshots->job.next_piece = now + (took > PAUSE_NS ? took : PAUSE_NS);
    if (result) {
        end(trace, process, result < 0 ? result : 0);
    }
    return result != 0;
}

static void
write_figures(pmt_trace_t *trace, const pmt_process_t *process, const uint64_t *figures, uint64_t now)
{
    static const char *const names[PMT_FIGURES] = {
        [PMT_FIGURE_PYMALLOC_ARENAS] = "pymalloc_arenas", [PMT_FIGURE_PYMALLOC_USED] = "pymalloc_used",  [PMT_FIGURE_MALLOC_HELD] = "malloc_held",
        [PMT_FIGURE_MALLOC_MMAPPED] = "malloc_mmapped",   [PMT_FIGURE_MALLOC_USED] = "malloc_used",      [PMT_FIGURE_MALLOC_FREE] = "malloc_free",
        [PMT_FIGURE_MALLOC_TRIMMABLE] = "malloc_trimmable",
    };
    for (unsigned i = 0; figures && i < PMT_FIGURES; i++) {
        if (figures[i] != PMT_FIGURE_UNKNOWN) {
            pmt_writer_allocator(trace->writer, process->number, pmt_trace_time(trace, now), names[i], figures[i]);
        }
    }
}

// The one that has begun, to its end. A thread that waits for the mappings' lock gets it in a pause, and only there.
static int
finish(pmt_trace_t *trace, pmt_process_t *process, uint64_t deadline, void (*between)(void *context), void *context)
{
    const pmt_snapshots_t *snapshots = process->snapshots;
    bool pauses = program_runs(&snapshots->job);
    while (!step(trace, process)) {
        between(context);
        if (pauses) {
            pmt_prim_sleep(PAUSE_NS);
        }
        if (process->snapshots != snapshots || !snapshots->running) {
            return ESRCH;
        }
        if (pmt_prim_now_ns_sigsafe() > deadline) {
            end(trace, process, -ETIME);
            return ETIME;
        }
    }
    return 0;
}

// The first says what was there before: another waits for it, be it late.
static int
take_first(pmt_trace_t *trace, pmt_process_t *process, uint64_t deadline, void (*between)(void *context), void *context)
{
    pmt_snapshots_t *snapshots = process->snapshots;
    if (snapshots->first_due) {
        begin(trace, process, PMT_SNAPSHOT_START, "", pmt_prim_now_ns_sigsafe());
    }
    return snapshots->running && snapshots->job.kind == PMT_SNAPSHOT_START ? finish(trace, process, deadline, between, context) : 0;
}

void
pmt_snapshots_take_first(pmt_trace_t *trace, pmt_process_t *process, void (*between)(void *context), void *context)
{
    if (process->snapshots) {
        take_first(trace, process, UINT64_MAX, between, context);
    }
}

int
pmt_snapshots_take(pmt_trace_t *trace, pmt_process_t *process, const pmt_snapshot_wish_t *wish, void (*between)(void *context), void *context)
{
    pmt_snapshots_t *snapshots = process->snapshots;
    int err = snapshots ? take_first(trace, process, wish->deadline, between, context) : 0;
    if (snapshots && !err && snapshots->running) {
        give_way(trace, process);
    }
    uint64_t now = pmt_prim_now_ns_sigsafe();  // not before the end of the one that gave way: they do not overlap
    write_figures(trace, process, wish->figures, now);
    if (!snapshots || err) {
        return snapshots ? err : ENOTSUP;
    }
    begin(trace, process, wish->kind, wish->name, now);
    return finish(trace, process, wish->deadline, between, context);
}

// ---- in the recorder's loop ----

// Begins one that is due. Otherwise the time at which one will be.
static uint64_t
look_for_reason(pmt_trace_t *trace, pmt_process_t *process, uint64_t now)
{
    pmt_snapshots_t *snapshots = process->snapshots;
    if (snapshots->first_due) {
        begin(trace, process, PMT_SNAPSHOT_START, "", now);
        return now;
    }
    if (!atomic_load_explicit(&process->shared->fell_at, memory_order_relaxed)) {
        return UINT64_MAX;
    }
    if (now < snapshots->next_fall) {
        snapshots->skipped += !snapshots->put_off;
        snapshots->put_off = true;
        return snapshots->next_fall;
    }
    begin(trace, process, PMT_SNAPSHOT_FELL, "", now);
    return now;
}

uint64_t
pmt_snapshots_step(pmt_trace_t *trace)
{
    uint64_t due = UINT64_MAX;
    for (pmt_process_t *process = trace->processes; process; process = process->next) {
        pmt_snapshots_t *snapshots = process->snapshots;
        if (!snapshots || ((process->ended || process->leaving) && !snapshots->running)) {
            continue;
        }
        uint64_t now = pmt_prim_now_ns_sigsafe();
        uint64_t next = snapshots->running ? snapshots->job.next_piece : look_for_reason(trace, process, now);
        if (snapshots->running && next <= now) {
            next = step(trace, process) ? now : snapshots->job.next_piece;
        }
        due = next < due ? next : due;
    }
    return due;
}

static bool
is_part(int64_t kib, int64_t least, int64_t of, int64_t part)
{
    return kib >= least && kib >= of / part;
}

// What was given back since the last snapshot though RSS never fell far: what faults have brought in since then that is not in RSS.
static bool
gone_in_pieces(const pmt_process_t *process, int64_t kib)
{
    const pmt_snapshots_t *snapshots = process->snapshots;
    int64_t risen = (int64_t)(process->risen_pages * pmt_prim_page_size_sigsafe() / 1024);
    return is_part(snapshots->start_kib + risen - kib, GONE_KIB, kib, GONE_PART);
}

void
pmt_snapshots_saw_rss(pmt_process_t *process, uint64_t absolute, int64_t kib)
{
    pmt_snapshots_t *snapshots = process->snapshots;
    uint64_t none = 0;
    if (!snapshots || !process->shared) {
        return;
    }
    snapshots->high_kib = kib > snapshots->high_kib ? kib : snapshots->high_kib;
    bool gone = gone_in_pieces(process, kib);
    if (gone || is_part(snapshots->high_kib - kib, FALL_KIB, snapshots->high_kib, FALL_PART)) {
        atomic_compare_exchange_strong_explicit(&process->shared->fell_at, &none, absolute, memory_order_relaxed, memory_order_relaxed);
    }
}

// ---- a process's ----

static void
explain(pmt_trace_t *trace, const pmt_process_t *process, const char *reason)
{
    pmt_writer_meta(trace->writer, process->number + 1, "snapshots_reason", reason, strlen(reason));
}

void
pmt_snapshots_refuse(pmt_trace_t *trace, const pmt_process_t *process)
{
    explain(trace, process, "the recorder may not open enough files (ulimit -n)");
}

// The descriptors that are needed are there, and there is room for others.
static bool
accept(pmt_trace_t *trace, const pmt_process_t *process, const pmt_maps_t *maps, const int *fds)
{
    enum { SPARE = 20 };  // for threads and children
    char reason[160] = "";
    const char *missing = !(maps->has & PMT_MAPS_PAGEMAP) ? "pagemap" : !(maps->has & PMT_MAPS_MAPS) ? "maps" : NULL;
    if (!missing && !pmt_prim_descriptors_left(fds[0], SPARE)) {
        pmt_snapshots_refuse(trace, process);
        return false;
    }
    if (missing) {
        snprintf(reason, sizeof reason, "/proc/self/%s cannot be read (%s)", missing, strerror(maps->error < 0 ? -maps->error : EIO));
    }
    explain(trace, process, reason);
    return !missing;
}

bool
pmt_snapshots_attach(pmt_trace_t *trace, pmt_process_t *process, const pmt_maps_t *maps, const int *fds, unsigned fd_count)
{
    unsigned has = maps->has & (PMT_MAPS_PAGEMAP | PMT_MAPS_MAPS | PMT_MAPS_ROLLUP);
    if (process->snapshots || fd_count != (unsigned)__builtin_popcount(has)) {
        return false;
    }
    pmt_snapshots_t *snapshots = accept(trace, process, maps, fds) ? calloc(1, sizeof *snapshots) : NULL;
    if (!snapshots) {
        return false;
    }
    snapshots->pagemap = fds[0];
    snapshots->maps = fds[1];
    snapshots->rollup = has & PMT_MAPS_ROLLUP ? fds[2] : -1;
    snapshots->first_due = true;
    for (unsigned i = 0; i < PMT_MAPS_OWN; i++) {
        snapshots->own[i] = (pmt_span_t){maps->own[i].start, maps->own[i].end};
    }
    process->snapshots = snapshots;
    return true;
}

void
pmt_snapshots_detach(pmt_trace_t *trace, pmt_process_t *process)
{
    pmt_snapshots_t *snapshots = process->snapshots;
    if (!snapshots) {
        return;
    }
    if (snapshots->running) {
        end(trace, process, -ESRCH);
    }
    pmt_prim_close_sigsafe(snapshots->pagemap);
    pmt_prim_close_sigsafe(snapshots->maps);
    pmt_prim_close_sigsafe(snapshots->rollup);
    free(snapshots);
    process->snapshots = NULL;
}

void
pmt_snapshots_counters(pmt_trace_t *trace, const pmt_process_t *process)
{
    const pmt_snapshots_t *snapshots = process->snapshots;
    if (snapshots) {
        pmt_writer_counter(trace->writer, process->number, "snapshots", snapshots->taken);
        pmt_writer_counter(trace->writer, process->number, "snapshots_skipped", snapshots->skipped);
        pmt_writer_counter(trace->writer, process->number, "snapshot_ns", snapshots->ns);
    }
}
