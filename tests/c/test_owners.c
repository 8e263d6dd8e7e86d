// Ownership of pages in traces whose truth is known, because they are written here: one test a rule.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "analyze/moment.h"
#include "analyze/owners.h"
#include "analyze/tables.h"
#include "base/varint.h"
#include "format/wire.h"
#include "support.h"

enum { ROOT = 1, FIRST = 2, SECOND = 3, BASE = 1024 };  // nodes; a page at the beginning of a chunk

static int file;
static pmt_writer_t *writer;
static pmt_profile_t profile;
static pmt_owners_t owners;
static uint64_t last_time, last_page;

static int
new_trace(void **state)
{
    writer = pmt_test_writer(&file);
    last_time = last_page = 0;
    pmt_writer_process(writer, 1, 0, 0);
    pmt_writer_thread(writer, 0, 1, 0, "main", 4);
    pmt_writer_batch(writer, 0);
    pmt_writer_node(writer, 1, PMT_CODE_ROOT, 0);
    pmt_writer_node(writer, 1, 1, 0);
    pmt_writer_node(writer, 2, 2, 0);
    return 0;
}

static int
free_trace(void **state)
{
    pmt_writer_free(writer);
    close(file);
    return 0;
}

// ---- writing ----

static void
put_flagged(uint32_t node, uint64_t time, uint64_t page, uint64_t rise, unsigned flags)
{
    int64_t address = ((int64_t)page - (int64_t)last_page) * PMT_TEST_PAGE;
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.flags = flags, .time = (int64_t)(time - last_time), .address = address, .rise = rise, .node = node, .period = 1});
    last_time = time;
    last_page = page;
}

static void
put_fault(uint32_t node, uint64_t time, uint64_t page, uint64_t rise)
{
    put_flagged(node, time, page, rise, 0);
}

static void
put_snapshot(uint64_t time, unsigned kind, uint64_t since)
{
    pmt_writer_snapshot(writer, 0, time, kind, since, "", 0);
    pmt_writer_region(writer, 0, BASE, 4096, PMT_REGION_ANON, "");
}

// Runs as pairs of pages and state, looked at at once.
static void
put_resident(uint64_t time, uint64_t first, const uint64_t (*runs)[2], size_t count)
{
    uint8_t bytes[256], *at = bytes;
    for (size_t i = 0; i < count; i++) {
        at = pmt_varint_put(at, runs[i][0] << PMT_RESIDENT_BITS | runs[i][1]);
    }
    pmt_writer_resident(writer, 0, time, first, bytes, (size_t)(at - bytes));
}
#define RESIDENT(time, first, ...) put_resident(time, first, (const uint64_t[][2]){__VA_ARGS__}, sizeof((const uint64_t[][2]){__VA_ARGS__}) / sizeof(uint64_t[2]))

static void
end_snapshot(uint64_t time)
{
    pmt_writer_snapshot_end(writer, 0, time, 0, (const uint64_t[]){400, 0, 0, 0}, 0);
}

// ---- looking ----

static void
look(uint64_t time)
{
    static uint64_t moment;
    char path[PMT_TEST_PATH], error[PMT_ERROR_MAX];
    moment = time;
    assert_int_equal(pmt_writer_flush(writer), 0);
    assert_int_equal(pmt_profile_read(&profile, pmt_test_path(file, path), 0, error), 0);
    assert_int_equal(pmt_owners_read(&owners, &profile, pmt_test_path(file, path), &moment, 1, error), 0);
    pmt_owners_fill(&owners, &profile, 0, 0);
}

static void
done(void)
{
    pmt_owners_fini(&owners);
    pmt_profile_fini(&profile);
}

// What a stack holds, in all and by time; the node's number in the file.
static uint64_t
pages_of(uint32_t node)
{
    return ((pmt_raw_node_t *)pmt_table_at(&profile.nodes, profile.node_of[node]))->self.pages;
}

static void
assert_held(uint64_t time, uint64_t first, uint64_t second, int64_t exact, int64_t fill, int64_t by_time)
{
    look(time);
    const pmt_held_t *held = pmt_owners_held(&owners, 0, 0);
    assert_int_equal(pages_of(FIRST), first);
    assert_int_equal(pages_of(SECOND), second);
    assert_int_equal(held->pages[PMT_HELD_EXACT], exact);
    assert_int_equal(held->pages[PMT_HELD_FILL], fill);
    assert_int_equal(held->pages[PMT_HELD_BY_TIME], by_time);
    done();
}

static void
assert_kind(uint64_t time, enum pmt_held_e kind, int64_t pages)
{
    look(time);
    assert_int_equal(pmt_owners_held(&owners, 0, 0)->pages[kind], pages);
    done();
}

// ---- the rules ----

static void
last_touch(void **state)
{
    put_fault(FIRST, 10, BASE, 1);
    put_fault(FIRST, 11, BASE + 1, 1);
    put_fault(SECOND, 20, BASE, 1);
    put_fault(FIRST, 30, BASE + 1, 0);  // no rise: nothing
    assert_held(9, 0, 0, 0, 0, 0);
    assert_held(10, 1, 0, 1, 0, 0);
    assert_held(19, 2, 0, 2, 0, 0);
    assert_held(20, 1, 1, 2, 0, 0);
    assert_held(99, 1, 1, 2, 0, 0);
}

static void
huge_page(void **state)
{
    put_fault(FIRST, 10, BASE + 100, 512);
    put_fault(SECOND, 20, BASE + 511, 1);
    put_flagged(SECOND, 30, BASE + 1024, 512, PMT_FAULT_BY_TIME);  // no huge page: they came one by one
    assert_held(10, 512, 0, 512, 0, 0);
    assert_held(20, 511, 1, 512, 0, 0);
    assert_held(30, 511, 513, 513, 0, 511);
}

static void
released(void **state)
{
    for (uint64_t i = 0; i < 4; i++) {
        put_fault(FIRST, 10 + i, BASE + i, 1);
    }
    put_snapshot(100, PMT_SNAPSHOT_FELL, 50);
    RESIDENT(110, BASE, {1, PMT_RESIDENT_ANON}, {1, PMT_RESIDENT_NONE}, {1, PMT_RESIDENT_SWAP}, {1, PMT_RESIDENT_ANON});
    end_snapshot(120);
    put_fault(SECOND, 200, BASE + 1, 1);
    assert_held(49, 4, 0, 4, 0, 0);
    assert_held(50, 2, 0, 2, 0, 0);
    assert_held(200, 2, 1, 3, 0, 0);
}

// Born after the fall was seen, gone when it was looked at; and a fault that stands behind the snapshot, but came before.
static void
released_between(void **state)
{
    put_fault(FIRST, 60, BASE, 1);
    put_snapshot(100, PMT_SNAPSHOT_FELL, 50);
    RESIDENT(110, BASE, {2, PMT_RESIDENT_NONE});
    end_snapshot(120);
    put_fault(SECOND, 105, BASE + 1, 1);
    put_fault(SECOND, 115, BASE, 1);
    assert_held(109, 1, 1, 2, 0, 0);
    assert_held(110, 0, 0, 0, 0, 0);
    assert_held(115, 0, 1, 1, 0, 0);
}

static void
outside_all_mappings(void **state)
{
    put_fault(FIRST, 10, BASE + 4096, 1);
    put_fault(FIRST, 11, BASE - 1, 1);
    put_fault(FIRST, 12, BASE, 1);
    put_snapshot(100, PMT_SNAPSHOT_FELL, 50);
    end_snapshot(120);
    put_fault(SECOND, 105, BASE + 4096, 1);  // mapped after the mappings were read
    assert_held(49, 3, 0, 3, 0, 0);
    assert_held(50, 1, 0, 1, 0, 0);
    assert_held(105, 1, 1, 2, 0, 0);
}

static void
moved(void **state)
{
    put_fault(FIRST, 10, BASE, 1);
    put_fault(SECOND, 11, BASE + 700, 1);
    pmt_writer_move(writer, 0, 20, BASE, BASE + 700, 1);
    put_snapshot(100, PMT_SNAPSHOT_FELL, 50);
    RESIDENT(110, BASE, {699, PMT_RESIDENT_NONE}, {2, PMT_RESIDENT_ANON});
    end_snapshot(120);
    assert_held(19, 2, 1, 2, 1, 0);  // with the page below it, found beside it
    assert_held(20, 2, 0, 1, 1, 0);
    assert_held(200, 2, 0, 1, 1, 0);
}

static void
moved_during_a_snapshot(void **state)
{
    put_fault(FIRST, 10, BASE, 1);
    put_snapshot(100, PMT_SNAPSHOT_FELL, 50);
    RESIDENT(110, BASE, {1, PMT_RESIDENT_NONE});
    end_snapshot(120);
    pmt_writer_move(writer, 0, 105, BASE, BASE + 8192, 1);  // to where no mapping was
    assert_held(200, 1, 0, 1, 0, 0);
}

// The pages around a fault in a file: 16 of them, in the window of 16.
static void
around_a_fault(void **state)
{
    put_fault(FIRST, 10, BASE + 20, 16);
    put_snapshot(100, PMT_SNAPSHOT_ASKED, 100);
    RESIDENT(110, BASE, {64, PMT_RESIDENT_FILE});
    end_snapshot(120);
    assert_held(9, 0, 0, 0, 0, 0);
    assert_held(99, 64, 0, 16, 48, 0);  // the others were found beside them
}

// Touched upwards, the pages between two faults belong to the later one.
static void
filled(void **state)
{
    put_fault(FIRST, 10, BASE, 1);
    put_flagged(SECOND, 20, BASE + 8, 8, PMT_FAULT_BY_TIME);
    assert_held(99, 1, 8, 2, 0, 7);
    put_snapshot(100, PMT_SNAPSHOT_ASKED, 100);
    RESIDENT(110, BASE, {9, PMT_RESIDENT_ANON});
    end_snapshot(120);
    assert_held(200, 1, 8, 2, 7, 0);
    assert_held(15, 1, 0, 1, 0, 0);
}

static void
credit_left_over(void **state)
{
    put_flagged(FIRST, 10, BASE, 10, PMT_FAULT_BY_TIME);
    put_snapshot(100, PMT_SNAPSHOT_FELL, 50);
    RESIDENT(110, BASE, {4, PMT_RESIDENT_ANON}, {60, PMT_RESIDENT_NONE});
    end_snapshot(120);
    assert_held(49, 10, 0, 1, 3, 6);
    assert_held(50, 4, 0, 1, 3, 0);
}

// Born after the fall was seen, it is gone when all has been looked at; born after that it is still there.
static void
credit_of_between(void **state)
{
    put_flagged(FIRST, 60, BASE, 5, PMT_FAULT_BY_TIME);
    put_snapshot(100, PMT_SNAPSHOT_FELL, 50);
    RESIDENT(110, BASE, {1, PMT_RESIDENT_ANON}, {9, PMT_RESIDENT_NONE});
    end_snapshot(120);
    put_flagged(SECOND, 115, BASE + 2000, 3, PMT_FAULT_BY_TIME);
    assert_held(99, 5, 0, 1, 0, 4);
    assert_held(100, 1, 0, 1, 0, 0);
    assert_held(200, 1, 3, 2, 0, 2);
}

// Between two neighbours: who came later has as much as its faults brought in, then the other; the middle is the later one's.
static void
between_two(void **state)
{
    put_flagged(SECOND, 10, BASE, 3, PMT_FAULT_BY_TIME);
    put_flagged(FIRST, 20, BASE + 20, 5, PMT_FAULT_BY_TIME);
    put_fault(SECOND, 30, BASE + 15, 1);  // later, but what its owner had credit for lies elsewhere
    put_snapshot(100, PMT_SNAPSHOT_ASKED, 100);
    RESIDENT(110, BASE, {10, PMT_RESIDENT_ANON}, {5, PMT_RESIDENT_NONE}, {6, PMT_RESIDENT_ANON});
    end_snapshot(120);
    assert_held(200, 5, 11, 3, 13, 0);
}

static void
touched_downwards(void **state)
{
    put_flagged(FIRST, 10, BASE + 8, 4, PMT_FAULT_BY_TIME);
    put_flagged(SECOND, 20, BASE, 3, PMT_FAULT_BY_TIME);
    put_snapshot(100, PMT_SNAPSHOT_ASKED, 100);
    RESIDENT(110, BASE, {4, PMT_RESIDENT_ANON}, {4, PMT_RESIDENT_HUGE}, {1, PMT_RESIDENT_ANON});
    end_snapshot(120);
    assert_held(200, 4, 5, 2, 7, 0);  // three below are one's, three above the other's, and the one between the later one's
}

// A fault that stands for several knows its own page only.
static void
no_window_of_many(void **state)
{
    pmt_writer_weight(writer, 4);
    put_fault(FIRST, 10, BASE + 4, 4);
    put_snapshot(100, PMT_SNAPSHOT_ASKED, 100);
    RESIDENT(110, BASE + 4, {4, PMT_RESIDENT_ANON});
    end_snapshot(120);
    assert_held(200, 4, 0, 1, 3, 0);
}

// A window is its fault's as long as the fault's own page is; the smallest counts.
static void
windows(void **state)
{
    put_fault(FIRST, 10, BASE + 20, 16);
    put_fault(SECOND, 20, BASE + 28, 4);
    put_snapshot(100, PMT_SNAPSHOT_ASKED, 100);
    RESIDENT(110, BASE + 16, {16, PMT_RESIDENT_FILE});
    end_snapshot(120);
    assert_held(200, 12, 4, 16, 0, 0);
    put_snapshot(300, PMT_SNAPSHOT_FELL, 250);
    RESIDENT(310, BASE, {64, PMT_RESIDENT_NONE});
    end_snapshot(320);
    put_snapshot(400, PMT_SNAPSHOT_ASKED, 400);
    RESIDENT(410, BASE + 16, {16, PMT_RESIDENT_FILE});
    end_snapshot(420);
    assert_held(249, 12, 4, 16, 0, 0);
    assert_held(500, 0, 0, 0, 0, 0);
    assert_kind(500, PMT_HELD_FILE, 16);
}

// Anonymous pages without neighbours are whose credit nothing else has used up.
static void
far_away(void **state)
{
    put_flagged(FIRST, 10, BASE, 4, PMT_FAULT_BY_TIME);
    put_flagged(SECOND, 20, BASE + 512, 6, PMT_FAULT_BY_TIME);
    put_snapshot(100, PMT_SNAPSHOT_ASKED, 100);
    RESIDENT(110, BASE, {1, PMT_RESIDENT_ANON}, {9, PMT_RESIDENT_NONE}, {3, PMT_RESIDENT_FILE}, {1, PMT_RESIDENT_NONE}, {9, PMT_RESIDENT_ANON});
    RESIDENT(110, BASE + 512, {1, PMT_RESIDENT_ANON}, {1, PMT_RESIDENT_NONE});
    end_snapshot(120);
    assert_held(99, 4, 6, 2, 0, 8);
    assert_held(200, 4, 6, 2, 0, 8);
    assert_kind(200, PMT_HELD_KERNEL, 1);
    assert_kind(200, PMT_HELD_FILE, 3);
    put_snapshot(300, PMT_SNAPSHOT_FELL, 250);
    RESIDENT(310, BASE, {64, PMT_RESIDENT_NONE});
    end_snapshot(320);
    assert_held(200, 4, 6, 2, 0, 8);
    assert_held(400, 0, 1, 1, 0, 0);
}

// Faults that raise nothing: the zero page is nobody's; what is found to be there is theirs; a copy of a page from before the start too.
static void
without_a_rise(void **state)
{
    pmt_writer_snapshot(writer, 0, 5, PMT_SNAPSHOT_START, 5, "", 0);
    pmt_writer_region(writer, 0, BASE, 64, PMT_REGION_ANON, "");
    RESIDENT(6, BASE, {4, PMT_RESIDENT_ANON});
    end_snapshot(7);
    put_fault(FIRST, 10, BASE + 1, 0);
    put_fault(SECOND, 20, BASE + 1, 0);  // it is somebody's already
    put_fault(FIRST, 30, BASE + 10, 0);
    put_fault(SECOND, 40, BASE + 11, 0);
    put_snapshot(100, PMT_SNAPSHOT_ASKED, 100);
    RESIDENT(110, BASE, {4, PMT_RESIDENT_ANON}, {6, PMT_RESIDENT_NONE}, {1, PMT_RESIDENT_ANON}, {1, PMT_RESIDENT_NONE});
    end_snapshot(120);
    assert_held(9, 0, 0, 0, 0, 0);
    assert_kind(9, PMT_HELD_BEFORE, 4);
    assert_held(30, 2, 0, 2, 0, 0);
    assert_held(200, 2, 0, 2, 0, 0);
    assert_kind(200, PMT_HELD_BEFORE, 3);
}

// A child that copies a page before it was looked at for the first time.
static void
copied_at_once(void **state)
{
    put_fault(FIRST, 4, BASE + 1, 0);
    pmt_writer_snapshot(writer, 0, 5, PMT_SNAPSHOT_START, 5, "", 0);
    pmt_writer_region(writer, 0, BASE, 64, PMT_REGION_ANON, "");
    RESIDENT(6, BASE, {4, PMT_RESIDENT_ANON});
    end_snapshot(7);
    assert_held(8, 1, 0, 1, 0, 0);
    assert_kind(8, PMT_HELD_BEFORE, 3);
}

// Credit that RSS has no room for is gone, the oldest first, as long as no snapshot finds it.
static void
given_back_in_small_pieces(void **state)
{
    put_flagged(FIRST, 10, BASE, 5, PMT_FAULT_BY_TIME);
    put_flagged(SECOND, 20, BASE + 2000, 5, PMT_FAULT_BY_TIME);
    pmt_writer_sample(writer, 0, 30, (const int64_t[]){16, 0, 8, 0});
    assert_held(29, 5, 5, 2, 0, 8);
    assert_held(30, 1, 5, 2, 0, 4);
}

// It was the first's pages that went, as the snapshot says: the second's lived all the time.
static void
doubted_and_found(void **state)
{
    put_flagged(FIRST, 10, BASE, 4, 0);
    put_flagged(SECOND, 20, BASE + 2000, 5, PMT_FAULT_BY_TIME);
    pmt_writer_sample(writer, 0, 30, (const int64_t[]){16, 0, 4, 0});
    put_snapshot(40, PMT_SNAPSHOT_FELL, 29);
    RESIDENT(41, BASE, {2000, PMT_RESIDENT_NONE}, {5, PMT_RESIDENT_ANON}, {2091, PMT_RESIDENT_NONE});
    end_snapshot(50);
    assert_held(28, 4, 5, 2, 4, 3);
    assert_held(60, 0, 5, 1, 4, 0);
}

// Pages without a neighbour use up credit even if the snapshot gave way to another before it had looked at all.
static void
found_before_it_gave_way(void **state)
{
    put_flagged(FIRST, 10, BASE + 5000, 5, PMT_FAULT_BY_TIME);
    put_snapshot(20, PMT_SNAPSHOT_FELL, 15);
    RESIDENT(21, BASE, {4, PMT_RESIDENT_ANON});
    pmt_writer_snapshot_end(writer, 0, 30, 125, (const uint64_t[]){20, 0, 0, 0}, 0);
    assert_held(40, 5, 0, 1, 0, 4);
    assert_kind(40, PMT_HELD_KERNEL, 0);
}

// A page that was filled without credit came with another fault, whose credit is then nothing else.
static void
filled_without_credit(void **state)
{
    put_fault(FIRST, 10, BASE, 1);
    put_flagged(SECOND, 20, BASE + 2000, 4, PMT_FAULT_BY_TIME);
    put_snapshot(100, PMT_SNAPSHOT_ASKED, 100);
    RESIDENT(110, BASE, {3, PMT_RESIDENT_ANON}, {9, PMT_RESIDENT_NONE});
    end_snapshot(120);
    assert_held(50, 3, 2, 2, 2, 1);
    assert_held(200, 3, 1, 2, 2, 0);
}

// Where not everything was looked at, what was not seen lives on.
static void
looked_at_in_part(void **state)
{
    put_fault(FIRST, 10, BASE, 1);
    put_fault(FIRST, 11, BASE + 4096, 1);
    put_flagged(FIRST, 12, BASE + 2, 3, PMT_FAULT_BY_TIME);
    put_snapshot(100, PMT_SNAPSHOT_FELL, 50);
    RESIDENT(110, BASE, {1, PMT_RESIDENT_NONE});
    pmt_writer_snapshot_end(writer, 0, 120, 13, (const uint64_t[]){400, 0, 0, 0}, 0);
    assert_held(200, 4, 0, 2, 0, 2);
}

static void
without_a_stack(void **state)
{
    pmt_writer_snapshot(writer, 0, 5, PMT_SNAPSHOT_START, 5, "", 0);
    pmt_writer_region(writer, 0, BASE, 8, PMT_REGION_ANON, "");
    pmt_writer_region(writer, 0, BASE + 8, 8, PMT_REGION_TRACER, "");
    RESIDENT(6, BASE, {2, PMT_RESIDENT_ANON});
    RESIDENT(6, BASE + 8, {3, PMT_RESIDENT_ANON});
    end_snapshot(7);
    pmt_writer_snapshot(writer, 0, 100, PMT_SNAPSHOT_ASKED, 100, "x", 1);
    pmt_writer_region(writer, 0, BASE, 8, PMT_REGION_ANON, "");
    pmt_writer_region(writer, 0, BASE + 16, 8, PMT_REGION_FILE, "/f");
    pmt_writer_region(writer, 0, BASE + 24, 8, PMT_REGION_SHARED, "");
    RESIDENT(110, BASE, {5, PMT_RESIDENT_ANON});
    RESIDENT(110, BASE + 16, {4, PMT_RESIDENT_FILE}, {4, PMT_RESIDENT_NONE}, {6, PMT_RESIDENT_FILE});
    end_snapshot(120);
    assert_kind(50, PMT_HELD_TRACER, 3);
    assert_kind(100, PMT_HELD_TRACER, 0);  // no mapping any more
    assert_kind(200, PMT_HELD_BEFORE, 2);
    assert_kind(200, PMT_HELD_KERNEL, 3);
    assert_kind(200, PMT_HELD_FILE, 4);
    assert_kind(200, PMT_HELD_SHARED, 6);
}

static void
threads_in_the_order_of_time(void **state)
{
    pmt_writer_thread(writer, 0, 2, 0, "other", 5);
    put_fault(FIRST, 30, BASE, 1);
    pmt_writer_batch(writer, 1);
    last_time = last_page = 0;
    put_fault(SECOND, 20, BASE, 1);
    assert_held(25, 0, 1, 1, 0, 0);
    assert_held(30, 1, 0, 1, 0, 0);
}

static void
ends(void **state)
{
    put_fault(FIRST, 10, BASE, 1);
    pmt_writer_process_end(writer, 0, PMT_END_EXIT, 0, 40);
    assert_held(40, 1, 0, 1, 0, 0);
    assert_held(41, 0, 0, 0, 0, 0);
}

static void
rss_at_a_moment(void **state)
{
    pmt_writer_sample(writer, 0, 10, (const int64_t[]){4, 4, 4, 100});
    pmt_writer_sample(writer, 0, 10, (const int64_t[]){8, 0, 0, 0});
    look(19);
    assert_int_equal(pmt_owners_held(&owners, 0, 0)->rss, 12 << 10);
    done();
    look(20);
    assert_int_equal(pmt_owners_held(&owners, 0, 0)->rss, 20 << 10);
    done();
    look(9);  // the first reading is the nearest
    assert_int_equal(pmt_owners_held(&owners, 0, 0)->rss, 12 << 10);
    done();
}

static void
no_rss_is_known(void **state)
{
    put_fault(FIRST, 10, BASE, 1);
    look(20);
    assert_false(pmt_owners_held(&owners, 0, 0)->has_rss);
    done();
}

// No page of a hostile file costs more than its record.
static void
hostile(void **state)
{
    const uint64_t all = UINT64_C(1) << PMT_WIRE_ADDRESS_BITS;
    put_fault(FIRST, 10, BASE, UINT64_MAX);
    pmt_writer_move(writer, 0, 11, 0, 1, all - 1);
    pmt_writer_snapshot(writer, 0, 20, PMT_SNAPSHOT_FELL, UINT64_MAX, "", 0);
    pmt_writer_region(writer, 0, 0, all, PMT_REGION_ANON, "");
    RESIDENT(30, 0, {all, PMT_RESIDENT_NONE});
    RESIDENT(31, 0, {all, PMT_RESIDENT_ANON});
    end_snapshot(5);
    look(100);
    done();
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, new_trace, free_trace)
    const struct CMUnitTest tests[] = {
        TEST(last_touch), TEST(huge_page), TEST(released), TEST(released_between), TEST(outside_all_mappings), TEST(moved), TEST(moved_during_a_snapshot),
        TEST(around_a_fault), TEST(filled), TEST(credit_left_over), TEST(credit_of_between),
        TEST(between_two), TEST(touched_downwards), TEST(no_window_of_many), TEST(windows), TEST(far_away), TEST(without_a_rise), TEST(copied_at_once), TEST(looked_at_in_part), TEST(filled_without_credit), TEST(given_back_in_small_pieces), TEST(doubted_and_found), TEST(found_before_it_gave_way),
        TEST(without_a_stack), TEST(threads_in_the_order_of_time), TEST(ends), TEST(rss_at_a_moment), TEST(no_rss_is_known),
        TEST(hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
