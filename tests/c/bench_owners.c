// What the replay of ownership costs: 10 million faults in a thousand lines, and 1,000 snapshots of what they left.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "analyze/owners.h"
#include "base/varint.h"
#include "format/wire.h"
#include "support.h"

enum { FAULTS = 10 * 1000 * 1000, SNAPSHOTS = 1000, NODES = 1000, PAGES = 1 << 20, BASE = 1 << 20 };

static void
put_snapshot(pmt_writer_t *writer, uint64_t time, uint64_t released)
{
    uint8_t runs[64], *at = runs;
    at = pmt_varint_put(at, released << PMT_RESIDENT_BITS | PMT_RESIDENT_ANON);
    at = pmt_varint_put(at, UINT64_C(1000) << PMT_RESIDENT_BITS | PMT_RESIDENT_NONE);
    at = pmt_varint_put(at, (PAGES - released) << PMT_RESIDENT_BITS | PMT_RESIDENT_ANON);
    pmt_writer_snapshot(writer, 0, time, PMT_SNAPSHOT_FELL, time, "", 0);
    pmt_writer_region(writer, 0, BASE, PAGES + 1000, PMT_REGION_ANON, "");
    pmt_writer_resident(writer, 0, time, BASE, runs, (size_t)(at - runs));
    pmt_writer_snapshot_end(writer, 0, time, 0, (const uint64_t[4]){0}, 0);
}

static int
write_trace(void)
{
    int fd;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    uint64_t page = BASE;
    pmt_writer_process(writer, 1, 0, 0);
    pmt_writer_thread(writer, 0, 1, 0, "main", 4);
    pmt_writer_batch(writer, 0);
    pmt_writer_node(writer, 1, PMT_CODE_ROOT, 0);
    for (uint64_t i = 0; i < NODES; i++) {
        pmt_writer_node(writer, i + 1, i + 1, 0);
    }
    for (uint64_t i = 0; i < FAULTS; i++) {
        uint64_t next = BASE + i % PAGES;
        int64_t address = ((int64_t)next - (int64_t)(i ? page : 0)) * PMT_TEST_PAGE;
        pmt_writer_fault(writer, &(pmt_fault_fields_t){.time = 100, .address = address, .rise = 1, .node = 2 + i / 100 % NODES, .period = 1});
        page = next;
        if (i % (FAULTS / SNAPSHOTS) == 0) {
            put_snapshot(writer, 100 * (i + 1), i % PAGES);
            pmt_writer_round(writer, i ? 100 * (FAULTS / SNAPSHOTS) : 100);
        }
    }
    if (pmt_writer_flush(writer) < 0) {
        abort();
    }
    pmt_writer_free(writer);
    return fd;
}

int
main(void)
{
    char path[PMT_TEST_PATH], error[PMT_ERROR_MAX] = "";
    struct timespec from, to;
    struct rusage usage;
    pmt_profile_t profile;
    pmt_owners_t owners;
    const uint64_t moment = UINT64_C(100) * FAULTS;
    int fd = write_trace();
    clock_gettime(CLOCK_MONOTONIC, &from);
    int err = pmt_profile_read(&profile, pmt_test_path(fd, path), 0, error);
    err = err ? err : pmt_owners_read(&owners, &profile, pmt_test_path(fd, path), &moment, 1, error);
    clock_gettime(CLOCK_MONOTONIC, &to);
    getrusage(RUSAGE_SELF, &usage);
    if (err) {
        fprintf(stderr, "%d %s\n", err, error);
        return 1;
    }
    const pmt_held_t *held = pmt_owners_held(&owners, 0, 0);
    double seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    printf("%d faults, %d snapshots, %d pages: %.2f s, %ld MiB; exact %lld, fill %lld pages\n", FAULTS, SNAPSHOTS, PAGES, seconds, usage.ru_maxrss >> 10,
           (long long)held->pages[PMT_HELD_EXACT], (long long)held->pages[PMT_HELD_FILL]);
    pmt_owners_fini(&owners);
    pmt_profile_fini(&profile);
    return 0;
}
