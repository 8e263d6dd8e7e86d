// The records about residency through the writer and back through the reader.
#include "format_support.h"

#include <string.h>

#include "base/varint.h"

static const uint64_t PAGES = UINT64_C(1) << PMT_WIRE_ADDRESS_BITS, MAX = UINT64_MAX;

static void
assert_text(pmt_text_t text, const char *expected)
{
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.data, expected, text.size);
}

static void
assert_run(const uint8_t **at, const uint8_t *end, uint64_t pages, unsigned state)
{
    uint64_t got_pages;
    unsigned got_state;
    assert_true(pmt_resident_next(at, end, &got_pages, &got_state));
    assert_int_equal(got_pages, pages);
    assert_int_equal(got_state, state);
}

static pmt_writer_t *
writer_with_process(int *fd)
{
    pmt_writer_t *writer = pmt_test_writer(fd);
    pmt_writer_process(writer, 1, 0, 0);
    pmt_writer_process(writer, 2, 1, 0);
    pmt_writer_thread(writer, 0, 1, 0, "t", 1);
    pmt_writer_node(writer, 1, PMT_CODE_ROOT, 0);
    return writer;
}

static void
skip_process(pmt_reader_t *reader)
{
    next(reader, PMT_WIRE_PROCESS);
    next(reader, PMT_WIRE_PROCESS);
    next(reader, PMT_WIRE_THREAD);
    next(reader, PMT_WIRE_NODE);
}

static void
snapshots(void **state)
{
    int fd;
    uint8_t runs[64], *end = runs;
    pmt_writer_t *writer = writer_with_process(&fd);
    end = pmt_varint_put(end, 7 << PMT_RESIDENT_BITS | PMT_RESIDENT_ANON);
    end = pmt_varint_put(end, (PAGES - 8) << PMT_RESIDENT_BITS | PMT_RESIDENT_NONE);
    end = pmt_varint_put(end, 1 << PMT_RESIDENT_BITS | PMT_RESIDENT_SWAP);
    pmt_writer_snapshot(writer, 1, MAX, PMT_SNAPSHOT_ASKED, MAX - 1, "after load", 10);
    pmt_writer_region(writer, 1, PAGES - 1, 1, PMT_REGION_TRACER, "/a b");
    pmt_writer_resident(writer, 1, MAX - 2, 0, runs, (size_t)(end - runs));
    pmt_writer_resident(writer, 0, 5, PAGES, runs, 0);
    pmt_writer_snapshot_end(writer, 1, MAX, 62, (const uint64_t[]){1, 2, 3, 4}, 0);
    pmt_writer_snapshot_end(writer, 0, 7, 0, (const uint64_t[]){1, 2, 3, 4}, 11);
    pmt_reader_t *reader = turn_over(writer, fd);

    skip_process(reader);
    pmt_record_t r = next(reader, PMT_WIRE_SNAPSHOT);
    assert_int_equal(r.u.snapshot.process, 1);
    assert_int_equal(r.time, MAX);
    assert_int_equal(r.u.snapshot.kind, PMT_SNAPSHOT_ASKED);
    assert_int_equal(r.u.snapshot.since, MAX - 1);
    assert_text(r.u.snapshot.name, "after load");
    r = next(reader, PMT_WIRE_REGION);
    assert_int_equal(r.u.region.first, PAGES - 1);
    assert_int_equal(r.u.region.pages, 1);
    assert_int_equal(r.u.region.kind, PMT_REGION_TRACER);
    assert_text(r.u.region.path, "/a b");
    r = next(reader, PMT_WIRE_RESIDENT);
    assert_int_equal(r.time, MAX - 2);
    const uint8_t *at = r.u.resident.runs;
    assert_run(&at, r.u.resident.end, 7, PMT_RESIDENT_ANON);
    assert_run(&at, r.u.resident.end, PAGES - 8, PMT_RESIDENT_NONE);
    assert_run(&at, r.u.resident.end, 1, PMT_RESIDENT_SWAP);
    uint64_t pages;
    unsigned none;
    assert_false(pmt_resident_next(&at, r.u.resident.end, &pages, &none));
    r = next(reader, PMT_WIRE_RESIDENT);
    assert_int_equal(r.u.resident.first, PAGES);
    assert_true(r.u.resident.runs == r.u.resident.end);
    r = next(reader, PMT_WIRE_SNAPSHOT_END);
    assert_int_equal(r.u.snapshot_end.error, 62);
    assert_memory_equal(r.u.snapshot_end.kib, ((const int64_t[]){1, 2, 3, 4}), 32);
    assert_true(r.u.snapshot_end.rollup_kib == -1);
    r = next(reader, PMT_WIRE_SNAPSHOT_END);
    assert_int_equal(r.time, 7);
    assert_true(r.u.snapshot_end.rollup_kib == 10);
    assert_end(reader, false);
}

static void
moves_and_releases(void **state)
{
    int fd;
    pmt_writer_t *writer = writer_with_process(&fd);
    pmt_writer_move(writer, 0, 1, 2, 3, PAGES - 3);
    pmt_writer_release(writer, 0, &(pmt_release_fields_t){.time = 4, .node = 1, .what = PMT_RELEASE_MREMAP, .first = PAGES - 6, .pages = 6, .fell = MAX});
    pmt_writer_allocator(writer, 1, 9, "malloc_used", MAX);
    pmt_reader_t *reader = turn_over(writer, fd);

    skip_process(reader);
    pmt_record_t r = next(reader, PMT_WIRE_MOVE);
    assert_int_equal(r.time, 1);
    assert_int_equal(r.u.move.from, 2);
    assert_int_equal(r.u.move.to, 3);
    assert_int_equal(r.u.move.pages, PAGES - 3);
    r = next(reader, PMT_WIRE_RELEASE);
    assert_int_equal(r.time, 4);
    assert_int_equal(r.u.release.node, 1);
    assert_int_equal(r.u.release.what, PMT_RELEASE_MREMAP);
    assert_int_equal(r.u.release.first, PAGES - 6);
    assert_int_equal(r.u.release.pages, 6);
    assert_int_equal(r.u.release.fell, MAX);
    r = next(reader, PMT_WIRE_ALLOCATOR);
    assert_int_equal(r.u.allocator.process, 1);
    assert_int_equal(r.time, 9);
    assert_text(r.u.allocator.name, "malloc_used");
    assert_int_equal(r.u.allocator.value, MAX);
    assert_end(reader, false);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snapshots),
        cmocka_unit_test(moves_and_releases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
