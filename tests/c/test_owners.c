// Ownership of pages in traces whose truth is known, because they are written here: one test a rule.
#include "owners_support.h"

#include "format/wire.h"

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
    pmt_writer_snapshot_end(writer, 0, 120, 0, (const uint64_t[]){16, 0, 0, 0}, 0);
    put_flagged(SECOND, 115, BASE + 2000, 3, PMT_FAULT_BY_TIME);
    assert_held(114, 5, 0, 1, 0, 4);
    assert_held(120, 1, 3, 2, 0, 2);
}

// What lies in no mapping any more may still be on its way out: it is there as long as RSS has room for it, at most until the next snapshot.
static void
being_taken_back(void **state)
{
    put_flagged(FIRST, 10, BASE + 5000, 6, PMT_FAULT_BY_TIME);
    put_snapshot(20, PMT_SNAPSHOT_FELL, 5);
    RESIDENT(21, BASE, {64, PMT_RESIDENT_NONE});
    pmt_writer_snapshot_end(writer, 0, 25, 0, (const uint64_t[]){24, 0, 0, 0}, 0);
    pmt_writer_mark(writer, 0, 30, PMT_MARK_END, 2);
    put_snapshot(40, PMT_SNAPSHOT_FELL, 35);
    RESIDENT(41, BASE, {64, PMT_RESIDENT_NONE});
    pmt_writer_snapshot_end(writer, 0, 45, 0, (const uint64_t[]){24, 0, 0, 0}, 0);
    assert_held(29, 6, 0, 1, 0, 5);
    assert_held(30, 2, 0, 0, 0, 2);
    assert_held(34, 2, 0, 0, 0, 2);
    assert_held(35, 0, 0, 0, 0, 0);
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
    end_snapshot_with(120, 4);
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

// Anonymous pages that lie alone are the next owners', as far as these have credit.
static void
alone(void **state)
{
    put_flagged(FIRST, 10, BASE, 4, PMT_FAULT_BY_TIME);
    put_flagged(SECOND, 20, BASE + 512, 6, PMT_FAULT_BY_TIME);
    put_snapshot(100, PMT_SNAPSHOT_ASKED, 100);
    RESIDENT(110, BASE, {1, PMT_RESIDENT_ANON}, {9, PMT_RESIDENT_NONE}, {3, PMT_RESIDENT_FILE}, {1, PMT_RESIDENT_NONE}, {9, PMT_RESIDENT_ANON});
    RESIDENT(110, BASE + 512, {1, PMT_RESIDENT_ANON}, {1, PMT_RESIDENT_NONE});
    end_snapshot(120);
    assert_held(99, 4, 6, 2, 8, 0);
    assert_held(200, 4, 6, 2, 8, 0);
    assert_kind(200, PMT_HELD_KERNEL, 1);
    assert_kind(200, PMT_HELD_FILE, 3);
    put_snapshot(300, PMT_SNAPSHOT_FELL, 250);
    RESIDENT(310, BASE, {64, PMT_RESIDENT_NONE});
    end_snapshot(320);
    assert_held(200, 4, 6, 2, 8, 0);
    assert_held(400, 0, 1, 1, 0, 0);
}

// Each first what came in with its own fault, at its end; who came later before the other. Then what credit its owner has besides.
static void
alone_in_turn(void **state)
{
    put_signal(FIRST, 5, BASE + 3000, 4, 4);
    put_signal(FIRST, 10, BASE, 3, 3);
    put_signal(SECOND, 20, BASE + 100, 3, 3);
    put_snapshot(100, PMT_SNAPSHOT_ASKED, 100);
    RESIDENT(110, BASE, {1, PMT_RESIDENT_ANON}, {49, PMT_RESIDENT_NONE}, {7, PMT_RESIDENT_ANON}, {43, PMT_RESIDENT_NONE}, {1, PMT_RESIDENT_ANON}, {99, PMT_RESIDENT_NONE}, {1, PMT_RESIDENT_ANON});
    RESIDENT(110, BASE + 3000, {1, PMT_RESIDENT_ANON});
    end_snapshot_with(120, 11);
    assert_held(9, 4, 0, 1, 3, 0);
    assert_held(19, 7, 0, 2, 5, 0);
    assert_held(120, 7, 4, 3, 7, 1);  // one more than they brought in: it came after the last of them
}

// Another mapping's are not: there are whose credit nothing else has used up.
static void
far_away(void **state)
{
    put_flagged(FIRST, 10, BASE, 4, PMT_FAULT_BY_TIME);
    put_flagged(SECOND, 20, BASE + 512, 6, PMT_FAULT_BY_TIME);
    put_snapshot(100, PMT_SNAPSHOT_ASKED, 100);
    pmt_writer_region(writer, 0, BASE + 9000, 64, PMT_REGION_ANON, "");
    RESIDENT(110, BASE, {1, PMT_RESIDENT_ANON}, {9, PMT_RESIDENT_NONE});
    RESIDENT(110, BASE + 512, {1, PMT_RESIDENT_ANON}, {1, PMT_RESIDENT_NONE});
    RESIDENT(110, BASE + 9000, {9, PMT_RESIDENT_ANON});
    end_snapshot(120);
    assert_held(99, 4, 6, 2, 0, 8);
    assert_held(200, 4, 6, 2, 0, 8);
    assert_kind(200, PMT_HELD_KERNEL, 1);
}

// A snapshot finds more than faults have told of so far: the next signal that stands for several tells of it, as far as these can have brought in so much.
static void
told_after_a_snapshot(void **state)
{
    put_signal(FIRST, 10, BASE, 2, 4);
    put_snapshot(100, PMT_SNAPSHOT_ASKED, 100);
    pmt_writer_region(writer, 0, BASE + 9000, 8192, PMT_REGION_ANON, "");
    RESIDENT(110, BASE, {2, PMT_RESIDENT_ANON}, {9, PMT_RESIDENT_NONE});
    RESIDENT(110, BASE + 9000, {1200, PMT_RESIDENT_HUGE});
    end_snapshot(120);
    put_signal(SECOND, 200, BASE + 20000, 3, 2);
    assert_held(119, 2, 0, 1, 1, 0);
    assert_held(120, 2, 1024, 1, 1, 1024);
    assert_kind(120, PMT_HELD_KERNEL, 176);
    assert_held(200, 2, 1025, 2, 1, 1024);
}

// Also after another snapshot, which finds more, and without some of it.
static void
told_after_two_snapshots(void **state)
{
    put_signal(FIRST, 10, BASE, 2, 4);
    put_snapshot(100, PMT_SNAPSHOT_ASKED, 100);
    RESIDENT(110, BASE, {2, PMT_RESIDENT_ANON}, {3000, PMT_RESIDENT_NONE}, {9, PMT_RESIDENT_ANON});
    end_snapshot_with(120, 11);
    put_snapshot(130, PMT_SNAPSHOT_ASKED, 130);
    RESIDENT(140, BASE, {2, PMT_RESIDENT_ANON}, {998, PMT_RESIDENT_NONE}, {5, PMT_RESIDENT_ANON}, {1997, PMT_RESIDENT_NONE}, {7, PMT_RESIDENT_ANON}, {2, PMT_RESIDENT_NONE});
    end_snapshot_with(150, 14);
    put_signal(SECOND, 200, BASE + 4000, 3, 2);
    assert_held(120, 2, 7, 1, 1, 7);  // two have gone before anybody told of them
    assert_held(160, 2, 12, 1, 1, 12);
    assert_held(200, 2, 13, 2, 1, 12);
    assert_kind(200, PMT_HELD_KERNEL, 0);
}

// A file's page, and one of shared memory, that a snapshot finds between two signals.
static void
find_shared_and_file(uint32_t faults)
{
    put_signal(FIRST, 10, BASE, 2, faults);
    put_snapshot(100, PMT_SNAPSHOT_ASKED, 90);
    pmt_writer_region(writer, 0, BASE + 9000, 64, PMT_REGION_FILE, "/f");
    pmt_writer_region(writer, 0, BASE + 10000, 64, PMT_REGION_SHARED, "/dev/shm/s");
    RESIDENT(110, BASE, {2, PMT_RESIDENT_ANON}, {9, PMT_RESIDENT_NONE});
    RESIDENT(110, BASE + 9000, {16, PMT_RESIDENT_FILE});
    RESIDENT(110, BASE + 10000, {8, PMT_RESIDENT_FILE});
    end_snapshot_with(120, 26);
    put_signal(SECOND, 200, BASE + 20000, 1, 2);
}

// So are a file's pages, but not those of shared memory.
static void
told_of_a_file(void **state)
{
    find_shared_and_file(2);
    assert_kind(119, PMT_HELD_FILE, 0);
    assert_held(120, 2, 16, 1, 1, 16);
    assert_held(200, 2, 17, 2, 1, 16);
    assert_kind(200, PMT_HELD_FILE, 0);
    assert_kind(200, PMT_HELD_SHARED, 8);
}

// Where each fault has its signal no fault of the program's brought them in.
static void
nobodys_file(void **state)
{
    find_shared_and_file(1);
    assert_kind(90, PMT_HELD_FILE, 16);
    assert_held(200, 2, 1, 3, 0, 0);
    assert_kind(200, PMT_HELD_FILE, 16);
    assert_kind(200, PMT_HELD_SHARED, 8);
}

// What came in and went again between two signals that stand for several is the later one's as long as readings of RSS have it; of one fault nobody knows.
static void
told_by_readings(void **state)
{
    put_signal(FIRST, 10, BASE, 2, 4);
    put_snapshot(20, PMT_SNAPSHOT_ASKED, 20);
    RESIDENT(22, BASE, {2, PMT_RESIDENT_ANON});
    pmt_writer_snapshot_end(writer, 0, 24, 0, (const uint64_t[]){2 * 4, 0, 0, 0}, 0);
    pmt_writer_sample(writer, 0, 50, (const int64_t[]){10 * 4, 0, 0, 0});
    pmt_writer_sample(writer, 0, 10, (const int64_t[]){-8 * 4, 0, 0, 0});
    put_signal(SECOND, 100, BASE + 100, 1, 4);
    pmt_writer_sample(writer, 0, 50, (const int64_t[]){7 * 4, 0, 0, 0});
    put_fault(FIRST, 120, BASE + 200, 1);
    assert_held(49, 2, 0, 1, 1, 0);
    assert_held(50, 2, 8, 1, 1, 8);
    assert_held(60, 2, 0, 1, 1, 0);
    assert_held(110, 2, 1, 2, 1, 0);
}

// A reading while a snapshot is taken: what is in no mapping any more is not there.
static void
read_meanwhile(void **state)
{
    put_signal(FIRST, 10, BASE, 2, 4);
    put_signal(FIRST, 12, BASE + 9000, 1, 4);
    put_snapshot(20, PMT_SNAPSHOT_ASKED, 20);
    pmt_writer_region(writer, 0, BASE + 9000, 64, PMT_REGION_ANON, "");
    RESIDENT(22, BASE, {2, PMT_RESIDENT_ANON});
    RESIDENT(22, BASE + 9000, {1, PMT_RESIDENT_ANON});
    end_snapshot_with(24, 3);
    put_signal(SECOND, 30, BASE + 100, 1, 4);
    put_snapshot(40, PMT_SNAPSHOT_AT_END, 40);
    pmt_writer_sample(writer, 0, 45, (const int64_t[]){9 * 4, 0, 0, 0});
    RESIDENT(50, BASE, {2, PMT_RESIDENT_ANON}, {98, PMT_RESIDENT_NONE}, {1, PMT_RESIDENT_ANON});
    end_snapshot_with(60, 3);
    assert_held(47, 2, 7, 2, 1, 6);
}

// What came after the last signal is its owner's, also what a snapshot found then: no later one tells of it.
static void
told_at_the_end(void **state)
{
    put_signal(FIRST, 10, BASE, 2, 4);
    put_snapshot(20, PMT_SNAPSHOT_ASKED, 20);
    RESIDENT(22, BASE, {2, PMT_RESIDENT_ANON});
    end_snapshot_with(24, 2);
    put_signal(SECOND, 30, BASE + 100, 1, 4);
    pmt_writer_sample(writer, 0, 50, (const int64_t[]){9 * 4, 0, 0, 0});
    put_snapshot(60, PMT_SNAPSHOT_AT_END, 60);
    pmt_writer_region(writer, 0, BASE + 9000, 64, PMT_REGION_ANON, "");
    RESIDENT(62, BASE, {2, PMT_RESIDENT_ANON}, {98, PMT_RESIDENT_NONE}, {1, PMT_RESIDENT_ANON});
    RESIDENT(62, BASE + 9000, {5, PMT_RESIDENT_ANON});
    end_snapshot_with(64, 8);
    assert_held(49, 2, 1, 2, 1, 0);
    assert_held(55, 2, 7, 2, 1, 6);
    assert_held(64, 2, 6, 2, 1, 5);
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

// The same of a page of a file, which nothing copies without a rise; it was there.
static void
written_to_a_file(void **state)
{
    put_fault(FIRST, 4, BASE + 2, 0);
    pmt_writer_snapshot(writer, 0, 5, PMT_SNAPSHOT_START, 5, "", 0);
    pmt_writer_region(writer, 0, BASE, 64, PMT_REGION_FILE, "f");
    RESIDENT(6, BASE, {3, PMT_RESIDENT_FILE}, {1, PMT_RESIDENT_ANON});
    end_snapshot(7);
    put_fault(FIRST, 10, BASE + 1, 0);
    put_fault(FIRST, 11, BASE + 3, 0);
    assert_held(8, 0, 0, 0, 0, 0);
    assert_held(20, 1, 0, 1, 0, 0);
    assert_kind(20, PMT_HELD_BEFORE, 3);
}

// What RSS has no room for is gone, the oldest first.
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
older_but_found(void **state)
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

// Pages that a snapshot found without a neighbour, between two signals of a thread that came through them: nobody's until the second tells of them.
static void
told_later(void **state)
{
    put_signal(FIRST, 10, BASE, 1, 8);
    put_snapshot(20, PMT_SNAPSHOT_ASKED, 20);
    RESIDENT(30, BASE, {1, PMT_RESIDENT_ANON}, {2, PMT_RESIDENT_NONE}, {4, PMT_RESIDENT_ANON}, {9, PMT_RESIDENT_NONE});
    end_snapshot(40);
    put_signal(FIRST, 50, BASE + 8, 8, 8);
    assert_held(39, 1, 0, 1, 0, 0);
    assert_kind(39, PMT_HELD_KERNEL, 0);
    assert_kind(40, PMT_HELD_KERNEL, 4);
    assert_kind(50, PMT_HELD_KERNEL, 0);
    assert_held(50, 9, 0, 2, 4, 3);
}

// The same while the snapshot is being taken.
static void
told_meanwhile(void **state)
{
    put_signal(FIRST, 10, BASE, 1, 8);
    put_snapshot(20, PMT_SNAPSHOT_ASKED, 20);
    RESIDENT(30, BASE, {1, PMT_RESIDENT_ANON}, {2, PMT_RESIDENT_NONE}, {4, PMT_RESIDENT_ANON}, {9, PMT_RESIDENT_NONE});
    put_signal(FIRST, 35, BASE + 8, 8, 8);
    RESIDENT(36, BASE + 4000, {1, PMT_RESIDENT_ANON});
    end_snapshot(40);
    assert_kind(34, PMT_HELD_KERNEL, 0);
    assert_held(35, 9, 0, 2, 5, 2);
    assert_kind(40, PMT_HELD_KERNEL, 0);
}

// A page filled from a neighbour was there since the credit that it uses up; without its owner's, since another's.
static void
born_with_its_credit(void **state)
{
    put_flagged(FIRST, 10, BASE + 2000, 3, PMT_FAULT_BY_TIME);
    put_flagged(FIRST, 20, BASE, 1, PMT_FAULT_BY_TIME);
    put_flagged(SECOND, 30, BASE + 3000, 2, PMT_FAULT_BY_TIME);
    put_snapshot(100, PMT_SNAPSHOT_FELL, 90);
    RESIDENT(110, BASE, {4, PMT_RESIDENT_ANON}, {1996, PMT_RESIDENT_NONE});
    end_snapshot(120);
    assert_held(19, 3, 0, 1, 2, 0);
    assert_held(29, 4, 0, 2, 2, 0);
    assert_held(30, 5, 1, 3, 3, 0);
    assert_held(120, 5, 1, 3, 3, 0);
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

// Where RSS lags, on a machine with one CPU by 64 pages, it may not have risen for them yet, nor have fallen.
static void
filled_where_rss_lags(void **state)
{
    pmt_writer_meta(writer, 0, "kernel", "Linux 6.8.0-41-generic", 22);
    put_fault(FIRST, 10, BASE, 1);
    put_flagged(SECOND, 20, BASE + 2000, 4, PMT_FAULT_BY_TIME);
    pmt_writer_sample(writer, 0, 30, (const int64_t[]){16, 0, 0, 0});
    put_snapshot(100, PMT_SNAPSHOT_ASKED, 100);
    RESIDENT(110, BASE, {66, PMT_RESIDENT_ANON}, {9, PMT_RESIDENT_NONE});
    end_snapshot(120);
    assert_held(50, 66, 3, 2, 65, 2);
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
    const struct CMUnitTest tests[] = {
        OWNERS_TEST(last_touch), OWNERS_TEST(huge_page), OWNERS_TEST(released), OWNERS_TEST(released_between), OWNERS_TEST(outside_all_mappings), OWNERS_TEST(moved), OWNERS_TEST(moved_during_a_snapshot),
        OWNERS_TEST(around_a_fault), OWNERS_TEST(filled), OWNERS_TEST(credit_left_over), OWNERS_TEST(credit_of_between),
        OWNERS_TEST(between_two), OWNERS_TEST(touched_downwards), OWNERS_TEST(no_window_of_many), OWNERS_TEST(windows), OWNERS_TEST(alone), OWNERS_TEST(alone_in_turn), OWNERS_TEST(told_after_a_snapshot), OWNERS_TEST(told_after_two_snapshots), OWNERS_TEST(told_of_a_file), OWNERS_TEST(nobodys_file), OWNERS_TEST(told_by_readings), OWNERS_TEST(told_at_the_end), OWNERS_TEST(read_meanwhile), OWNERS_TEST(far_away), OWNERS_TEST(without_a_rise), OWNERS_TEST(copied_at_once), OWNERS_TEST(written_to_a_file), OWNERS_TEST(looked_at_in_part), OWNERS_TEST(filled_without_credit), OWNERS_TEST(filled_where_rss_lags), OWNERS_TEST(given_back_in_small_pieces), OWNERS_TEST(older_but_found), OWNERS_TEST(found_before_it_gave_way), OWNERS_TEST(told_later), OWNERS_TEST(being_taken_back), OWNERS_TEST(told_meanwhile), OWNERS_TEST(born_with_its_credit),
        OWNERS_TEST(without_a_stack), OWNERS_TEST(threads_in_the_order_of_time), OWNERS_TEST(ends), OWNERS_TEST(rss_at_a_moment), OWNERS_TEST(no_rss_is_known),
        OWNERS_TEST(hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
