// What the replay of ownership costs: 10 million faults in a thousand lines and 1,000 snapshots, of memory touched in order, touched everywhere, and brought in by several pages a fault.
#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "analyze/owners.h"
#include "base/varint.h"
#include "format/wire.h"
#include "support.h"

enum { FAULTS = 10 * 1000 * 1000, SNAPSHOTS = 1000, NODES = 1000, PAGES = 1 << 20, BASE = 1 << 20, EVERY = FAULTS / SNAPSHOTS };
enum { HOLES = 1000, HOLE = 8 };  // of a snapshot
static const uint64_t scatter = 514229;  // odd: each page has its turn

enum order_e { IN_ORDER, EVERYWHERE, SEVERAL };
static const char *const orders[] = {"in order", "everywhere", "several"};

// What was released lies all over the memory.
static void
put_snapshot(pmt_writer_t *writer, uint64_t time)
{
    static uint8_t runs[PMT_WIRE_RUNS_MAX];
    uint8_t *at = runs;
    for (int i = 0; i < HOLES; i++) {
        at = pmt_varint_put(at, (uint64_t)(PAGES / HOLES - HOLE) << PMT_RESIDENT_BITS | PMT_RESIDENT_ANON);
        at = pmt_varint_put(at, (uint64_t)HOLE << PMT_RESIDENT_BITS | PMT_RESIDENT_NONE);
    }
    pmt_writer_snapshot(writer, 0, time, PMT_SNAPSHOT_FELL, time, "", 0);
    pmt_writer_region(writer, 0, BASE, PAGES, PMT_REGION_ANON, "");
    pmt_writer_resident(writer, 0, time, BASE + time / 100 % HOLE, runs, (size_t)(at - runs));
    pmt_writer_snapshot_end(writer, 0, time, 0, (const uint64_t[4]){0}, 0);
}

static uint64_t
page_of(uint64_t i, enum order_e order)
{
    return BASE + (order == IN_ORDER ? i : i * scatter) % PAGES;
}

static int
write_trace(enum order_e order)
{
    int fd;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    pmt_writer_process(writer, 1, 0, 0);
    pmt_writer_thread(writer, 0, 1, 0, "main", 4);
    pmt_writer_batch(writer, 0);
    pmt_writer_node(writer, 1, PMT_CODE_ROOT, 0);
    for (uint64_t i = 0; i < NODES; i++) {
        pmt_writer_node(writer, i + 1, i + 1, 0);
    }
    for (uint64_t i = 0; i < FAULTS; i++) {
        int64_t address = (int64_t)(page_of(i, order) - (i ? page_of(i - 1, order) : 0)) * PMT_TEST_PAGE;
        pmt_writer_fault(writer, &(pmt_fault_fields_t){.time = 100, .address = address, .rise = order == SEVERAL ? 4 : 1, .node = 2 + i / 100 % NODES, .period = 1});
        if (i % EVERY == EVERY - 1) {
            put_snapshot(writer, 100 * (i + 1));
            pmt_writer_round(writer, 100 * EVERY);
        }
    }
    if (pmt_writer_flush(writer) < 0) {
        abort();
    }
    pmt_writer_free(writer);
    return fd;
}

static double
seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int
measure(enum order_e order)
{
    char path[PMT_TEST_PATH], error[PMT_ERROR_MAX] = "";
    struct rusage usage;
    pmt_profile_t profile;
    pmt_owners_t owners;
    const uint64_t moment = UINT64_C(100) * FAULTS;
    int fd = write_trace(order);
    double from = seconds();
    int err = pmt_profile_read(&profile, pmt_test_path(fd, path), 0, error);
    err = err ? err : pmt_owners_read(&owners, &profile, pmt_test_path(fd, path), &moment, 1, error);
    double took = seconds() - from;
    getrusage(RUSAGE_SELF, &usage);
    if (err) {
        fprintf(stderr, "%d %s\n", err, error);
        return 1;
    }
    const int64_t *pages = pmt_owners_held(&owners, 0, 0)->pages;
    printf("%s: %d faults, %d snapshots, %d pages: %.2f s, %ld MiB; exact %lld, fill %lld, by time %lld\n", orders[order], FAULTS, SNAPSHOTS, PAGES, took,
           usage.ru_maxrss >> 10, (long long)pages[PMT_HELD_EXACT], (long long)pages[PMT_HELD_FILL], (long long)pages[PMT_HELD_BY_TIME]);
    pmt_owners_fini(&owners);
    pmt_profile_fini(&profile);
    return 0;
}

// One case a run, so that its memory is its own; without an argument the first.
int
main(int argc, char **argv)
{
    for (int i = 0; i <= SEVERAL; i++) {
        if (argc > 1 && strcmp(argv[1], orders[i]) == 0) {
            return measure((enum order_e)i);
        }
    }
    return measure(IN_ORDER);
}
