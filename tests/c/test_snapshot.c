// When residency snapshots are taken, and how they end: a recorder whose program is this process.
#define _DEFAULT_SOURCE
#include "drain_support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "format_support.h"

enum { SNAPSHOTS_MAX = 512 };

static void
attach(uint8_t has, int32_t error)
{
    static const char *const names[] = {"pagemap", "maps", "smaps_rollup"};
    pmt_maps_t maps = {.kind = PMT_MESSAGE_MAPS, .has = has, .pid = process->pid, .error = error};
    int fds[3];
    unsigned count = 0;
    for (int i = 0; i < 3; i++) {
        if (has & 1 << i) {
            fds[count++] = pmt_prim_own_file(names[i]);
        }
    }
    if (!pmt_request_maps(&trace, &maps, sizeof maps, fds, count)) {
        for (unsigned i = 0; i < count; i++) {
            pmt_prim_close_sigsafe(fds[i]);
        }
    }
}

static void
nothing(void *context)
{
    *(unsigned *)context += 1;
}

static int
ask(const char *name)
{
    pmt_snapshot_t asked = {.kind = PMT_MESSAGE_SNAPSHOT, .pid = process->pid};
    unsigned pieces = 0;
    for (int i = 0; i < PMT_FIGURES; i++) {
        asked.figures[i] = i == PMT_FIGURE_MALLOC_FREE ? 77 : PMT_FIGURE_UNKNOWN;
    }
    memcpy(asked.name, name, strlen(name) < sizeof asked.name ? strlen(name) : sizeof asked.name);
    return pmt_request_snapshot(&trace, &asked, sizeof asked, nothing, &pieces);
}

// Steps until nothing is due before `until`.
static void
go_on(uint64_t until)
{
    uint64_t due;
    while ((due = pmt_snapshots_step(&trace)) < until) {
        uint64_t now = pmt_prim_now_ns_sigsafe();
        usleep(due > now ? (useconds_t)((due - now) / 1000) + 1 : 0);
    }
}

typedef struct seen_s {
    uint64_t kind, time, since, error, pages;
    int64_t rollup;
    bool ended;
} seen_t;

static seen_t seen[SNAPSHOTS_MAX];
static unsigned regions, figures;
static char reason[256];

static void
on_resident(seen_t *snapshot, const pmt_record_t *r)
{
    uint64_t pages;
    unsigned kind;
    for (const uint8_t *at = r->u.resident.runs; pmt_resident_next(&at, r->u.resident.end, &pages, &kind);) {
        snapshot->pages += kind == PMT_RESIDENT_NONE ? 0 : pages;
    }
}

// The snapshots in the file; their number.
static unsigned
read_snapshots(void)
{
    unsigned count = 0;
    pmt_record_t r;
    assert_int_equal(pmt_writer_flush(trace.writer), 0);
    memset(seen, 0, sizeof seen);
    regions = figures = 0;
    pmt_reader_t *reader = open_fd(trace_file);
    while (pmt_reader_next(reader, &r) == 1) {
        if (r.type == PMT_WIRE_SNAPSHOT) {
            assert_true(count < SNAPSHOTS_MAX);
            seen[count++] = (seen_t){.kind = r.u.snapshot.kind, .time = r.time, .since = r.u.snapshot.since};
        } else if (r.type == PMT_WIRE_SNAPSHOT_END) {
            seen[count - 1].ended = true;
            seen[count - 1].error = r.u.snapshot_end.error;
            seen[count - 1].rollup = r.u.snapshot_end.rollup_kib;
        } else if (r.type == PMT_WIRE_RESIDENT) {
            on_resident(&seen[count - 1], &r);
        } else if (r.type == PMT_WIRE_META && r.u.meta.key.size == strlen("snapshots_reason")) {
            snprintf(reason, sizeof reason, "%.*s", (int)r.u.meta.value.size, r.u.meta.value.data);
        }
        regions += r.type == PMT_WIRE_REGION;
        figures += r.type == PMT_WIRE_ALLOCATOR;
    }
    pmt_reader_close(reader);
    return count;
}

static void
assert_whole(const seen_t *snapshot, uint64_t kind)
{
    assert_int_equal(snapshot->kind, kind);
    assert_true(snapshot->ended);
    assert_int_equal(snapshot->error, 0);
    assert_true(snapshot->pages > 300);
}

static void
the_first(void **state)
{
    attach(PMT_MAPS_PAGEMAP | PMT_MAPS_MAPS, 0);
    go_on(UINT64_MAX);
    assert_int_equal(read_snapshots(), 1);
    assert_whole(&seen[0], PMT_SNAPSHOT_START);
    assert_int_equal(seen[0].since, seen[0].time);
    assert_true(seen[0].rollup == -1);
    assert_true(regions > 10);
    assert_string_equal(reason, "");
}

static void
after_a_fall(void **state)
{
    attach(PMT_MAPS_PAGEMAP | PMT_MAPS_MAPS | PMT_MAPS_ROLLUP, 0);
    go_on(UINT64_MAX);
    uint64_t fell = pmt_prim_now_ns_sigsafe();
    atomic_store(&shared->fell_at, fell);
    atomic_store(&shared->rss_high, UINT64_MAX);
    go_on(UINT64_MAX);
    assert_int_equal(atomic_load(&shared->fell_at), 0);
    assert_in_range(atomic_load(&shared->rss_high), 256, 1 << 20);  // what it is now
    assert_int_equal(read_snapshots(), 2);
    assert_whole(&seen[1], PMT_SNAPSHOT_FELL);
    assert_int_equal(seen[1].since, fell - trace.t0);
    assert_true(seen[1].time >= seen[1].since);
    assert_true(seen[1].rollup == -1);
}

// Falls that come close together share one snapshot, which is put off.
static void
put_off(void **state)
{
    attach(PMT_MAPS_PAGEMAP | PMT_MAPS_MAPS, 0);
    go_on(UINT64_MAX);
    uint64_t begin = pmt_prim_now_ns_sigsafe(), last = begin;
    for (unsigned begun = 0; begun < 3 || last < begin + 300 * 1000000u; last = pmt_prim_now_ns_sigsafe()) {
        atomic_store(&shared->fell_at, pmt_prim_now_ns_sigsafe());
        pmt_snapshots_step(&trace);
        begun += atomic_load(&shared->fell_at) == 0;
    }
    pmt_snapshots_counters(&trace, process);
    unsigned count = read_snapshots();
    assert_true(count >= 4);
    pmt_reader_t *reader = open_fd(trace_file);
    pmt_record_t r;
    uint64_t counters[3] = {0};
    while (pmt_reader_next(reader, &r) == 1) {
        if (r.type == PMT_WIRE_COUNTER) {
            counters[r.u.counter.name.size == strlen("snapshots") ? 0 : r.u.counter.name.size == strlen("snapshots_skipped") ? 1 : 2] = r.u.counter.value;
        }
    }
    pmt_reader_close(reader);
    assert_in_range(counters[1], 1, counters[0] + 1);
    assert_true(counters[2] < (last - begin) / 10);
}

static void
on_request(void **state)
{
    attach(PMT_MAPS_PAGEMAP | PMT_MAPS_MAPS | PMT_MAPS_ROLLUP, 0);
    assert_int_equal(ask("one"), 0);
    assert_int_equal(read_snapshots(), 2);
    assert_whole(&seen[0], PMT_SNAPSHOT_START);  // it was still due
    assert_whole(&seen[1], PMT_SNAPSHOT_ASKED);
    assert_true(seen[1].rollup > 500);
    assert_int_equal(figures, 1);
    char endless[PMT_SNAPSHOT_NAME_MAX + 1];
    memset(endless, 'a', sizeof endless);
    endless[PMT_SNAPSHOT_NAME_MAX] = '\0';
    assert_int_equal(ask(endless), ESRCH);
}

// One that is being taken gives way to one that somebody waits for.
static void
gives_way(void **state)
{
    attach(PMT_MAPS_PAGEMAP | PMT_MAPS_MAPS, 0);
    pmt_snapshots_step(&trace);
    assert_int_equal(ask("one"), 0);
    assert_int_equal(read_snapshots(), 2);
    assert_whole(&seen[0], PMT_SNAPSHOT_START);  // this does not
    assert_whole(&seen[1], PMT_SNAPSHOT_ASKED);
    atomic_store(&shared->fell_at, pmt_prim_now_ns_sigsafe() - 1);
    for (int i = 0; i < 2; i++) {  // it begins, perhaps after a while
        uint64_t due = pmt_snapshots_step(&trace), now = pmt_prim_now_ns_sigsafe();
        usleep(due != UINT64_MAX && due > now ? (useconds_t)((due - now) / 1000) + 1 : 0);
    }
    pmt_snapshots_step(&trace);
    assert_int_equal(ask("two"), 0);
    assert_int_equal(read_snapshots(), 4);
    assert_int_equal(seen[2].kind, PMT_SNAPSHOT_FELL);
    assert_int_equal(seen[2].error, ECANCELED);
    assert_whole(&seen[3], PMT_SNAPSHOT_ASKED);
}

static void
out_of_time(void **state)
{
    attach(PMT_MAPS_PAGEMAP | PMT_MAPS_MAPS, 0);
    unsigned pieces = 0;
    const pmt_snapshot_wish_t wish = {.kind = PMT_SNAPSHOT_AT_END, .name = "", .deadline = 1};
    assert_int_equal(pmt_snapshots_take(&trace, process, &wish, nothing, &pieces), ETIME);
    assert_int_equal(pieces, 1);
    assert_int_equal(read_snapshots(), 1);
    assert_int_equal(seen[0].kind, PMT_SNAPSHOT_START);
    assert_int_equal(seen[0].error, ETIME);
    assert_int_equal(pmt_snapshots_take(&trace, process, &wish, nothing, &pieces), ETIME);
    assert_int_equal(read_snapshots(), 2);
    assert_int_equal(seen[1].kind, PMT_SNAPSHOT_AT_END);
    assert_int_equal(seen[1].error, ETIME);
}

static void
ends_with_its_process(void **state)
{
    attach(PMT_MAPS_PAGEMAP | PMT_MAPS_MAPS, 0);
    pmt_snapshots_step(&trace);
    pmt_snapshots_detach(&trace, process);
    assert_int_equal(read_snapshots(), 1);
    assert_int_equal(seen[0].error, ESRCH);
    assert_int_equal(pmt_snapshots_step(&trace), UINT64_MAX);
}

static void
refused(void **state)
{
    attach(PMT_MAPS_MAPS, -EACCES);
    go_on(UINT64_MAX);
    assert_int_equal(ask("one"), ENOTSUP);
    assert_int_equal(read_snapshots(), 0);
    assert_int_equal(figures, 1);  // what the program said stands all the same
    assert_string_equal(reason, "/proc/self/pagemap cannot be read (Permission denied)");
}

static void
few_descriptors(void **state)
{
    struct rlimit old, few = {16, 16};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_NOFILE, &few);
    attach(PMT_MAPS_PAGEMAP | PMT_MAPS_MAPS, 0);
    setrlimit(RLIMIT_NOFILE, &old);
    go_on(UINT64_MAX);
    assert_int_equal(read_snapshots(), 0);
    assert_string_equal(reason, "the recorder may not open enough files (ulimit -n)");
}

// Messages that lie about their descriptors or their process.
static void
hostile(void **state)
{
    int fd = pmt_prim_own_file("maps");
    pmt_maps_t maps = {.kind = PMT_MESSAGE_MAPS, .has = 255, .pid = process->pid};
    assert_false(pmt_request_maps(&trace, &maps, sizeof maps - 1, &fd, 1));
    assert_false(pmt_request_maps(&trace, &maps, sizeof maps, &fd, 1));
    maps.pid = 1;
    assert_false(pmt_request_maps(&trace, &maps, sizeof maps, NULL, 0));
    maps.pid = process->pid;
    maps.has = PMT_MAPS_PAGEMAP | PMT_MAPS_MAPS;
    const int wrong[] = {dup(fd), dup(0)};
    assert_true(pmt_request_maps(&trace, &maps, sizeof maps, wrong, 2));  // neither is what it is said to be
    go_on(UINT64_MAX);
    assert_int_equal(read_snapshots(), 1);
    assert_true(seen[0].error != 0);
    close(fd);
}

static void
the_sampler_sees_a_fall(void **state)
{
    attach(PMT_MAPS_PAGEMAP | PMT_MAPS_MAPS, 0);
    go_on(UINT64_MAX);
    pmt_snapshots_saw_rss(process, 10, 200 << 10);
    pmt_snapshots_saw_rss(process, 20, (198 << 10) + 1);  // less than 1 %
    assert_int_equal(atomic_load(&shared->fell_at), 0);
    pmt_snapshots_saw_rss(process, 30, 197 << 10);
    pmt_snapshots_saw_rss(process, 40, 190 << 10);
    assert_int_equal(atomic_load(&shared->fell_at), 30);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DRAIN_TEST(the_first),
        DRAIN_TEST(after_a_fall),
        DRAIN_TEST(put_off),
        DRAIN_TEST(on_request),
        DRAIN_TEST(gives_way),
        DRAIN_TEST(out_of_time),
        DRAIN_TEST(ends_with_its_process),
        DRAIN_TEST(refused),
        DRAIN_TEST(few_descriptors),
        DRAIN_TEST(hostile),
        DRAIN_TEST(the_sampler_sees_a_fall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
