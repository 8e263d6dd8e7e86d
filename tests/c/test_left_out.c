// A file that may not or cannot grow: what the writer leaves out, what it keeps room for, and that the file can be read whatever happens.
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "format/wire.h"
#include "support.h"

enum { FAULTS = 60000, RISE = 3, PERIOD = 2 };

// What a file holds.
typedef struct found_s {
    bool complete;
    uint64_t size, faults, pages, processes, counters, marks, ends;
    bool left_out;
    pmt_record_t last;  // LEFT_OUT
} found_t;

static found_t
look(int fd)
{
    char path[PMT_TEST_PATH], error[PMT_ERROR_MAX] = "";
    pmt_reader_t *reader;
    pmt_record_t r;
    found_t found = {0};
    int got = pmt_reader_open(pmt_test_path(fd, path), &reader, error);
    assert_int_equal(got, 0);
    while ((got = pmt_reader_next(reader, &r)) > 0) {
        found.faults += r.type == PMT_WIRE_FAULT ? PERIOD : 0;
        found.pages += r.type == PMT_WIRE_FAULT ? r.u.fault.rise : 0;
        found.processes += r.type == PMT_WIRE_PROCESS;
        found.counters += r.type == PMT_WIRE_COUNTER;
        found.marks += r.type == PMT_WIRE_MARK;
        found.ends += r.type == PMT_WIRE_PROCESS_END;
        if (r.type == PMT_WIRE_LEFT_OUT) {
            found.left_out = true;
            found.last = r;
        }
    }
    assert_string_equal(pmt_reader_problem(reader), "");
    assert_int_equal(got, 0);
    found.complete = pmt_reader_complete(reader);
    found.size = pmt_reader_info(reader)->file_size;
    pmt_reader_close(reader);
    return found;
}

static void
write_start(pmt_writer_t *writer)
{
    pmt_writer_process(writer, 1, 0, 0);
    pmt_writer_mark(writer, 0, 1, PMT_MARK_START, 100);
    pmt_writer_thread(writer, 0, 1, 0, "main", 4);
    pmt_writer_node(writer, 1, PMT_CODE_ROOT, 0);
    pmt_writer_batch(writer, 0);
}

// Faults that do not compress: 8 random bytes each. A block every `a_block` of them.
static void
write_faults(pmt_writer_t *writer, int count, int a_block)
{
    for (int i = 0; i < count; i++) {
        pmt_fault_fields_t fault = {.time = 100, .address = (int64_t)random() << 32 | random(), .rise = RISE, .node = 1, .period = PERIOD};
        pmt_writer_fault(writer, &fault);
        if (i % a_block == a_block - 1) {
            pmt_writer_round(writer, 10);
            pmt_writer_flush(writer);
        }
    }
}

static void
write_end(pmt_writer_t *writer)
{
    pmt_writer_flush(writer);
    pmt_writer_mark(writer, 0, 2, PMT_MARK_END, 200);
    pmt_writer_counter(writer, 0, "lost", 7);
    pmt_writer_process_end(writer, 0, PMT_END_EXIT, 3, 1000);
    pmt_writer_trailer(writer, 1000);
}

static void
a_limited_file_keeps_its_end(void **state)
{
    static const uint64_t limits[] = {PMT_WRITER_LIMIT_MIN, PMT_WRITER_LIMIT_MIN + 1, 100000, 300000};
    static const int blocks[] = {1, 10, 1000, FAULTS};
    for (int i = 0; i < 16; i++) {
        int fd;
        uint64_t limit = limits[i % 4];
        pmt_writer_t *writer = pmt_test_writer(&fd);
        pmt_writer_limit(writer, limit);
        write_start(writer);
        write_faults(writer, FAULTS, blocks[i / 4]);
        write_end(writer);
        assert_int_equal(pmt_writer_flush(writer), 0);
        pmt_writer_free(writer);
        found_t found = look(fd);
        assert_true(found.complete);
        assert_in_range(found.size, limit / 2, limit);
        assert_true(found.left_out);
        assert_int_equal(found.last.u.left_out.error, 0);
        assert_int_equal(found.faults + found.last.u.left_out.faults, (uint64_t)FAULTS * PERIOD);
        assert_int_equal(found.pages + found.last.u.left_out.pages, (uint64_t)FAULTS * RISE);
        assert_int_equal(found.marks, 2);
        assert_int_equal(found.counters, 1);
        assert_int_equal(found.ends, 1);
        close(fd);
    }
}

static void
the_time_of_the_last_details(void **state)
{
    int fd;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    pmt_writer_limit(writer, PMT_WRITER_LIMIT_MIN);
    write_start(writer);
    write_faults(writer, 100, 10);  // ten rounds of 10 ns
    pmt_left_out_t left_out;
    assert_false(pmt_writer_left_out(writer, &left_out));
    write_faults(writer, 1, 2);
    write_faults(writer, FAULTS, FAULTS);
    assert_true(pmt_writer_left_out(writer, &left_out));
    assert_int_equal(left_out.time, 100);
    pmt_writer_free(writer);
    close(fd);
}

static void
a_limit_not_reached_is_not_seen(void **state)
{
    int fd;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    pmt_writer_limit(writer, 1 << 20);
    write_start(writer);
    write_faults(writer, 1000, 100);
    write_end(writer);
    assert_int_equal(pmt_writer_flush(writer), 0);
    pmt_writer_free(writer);
    found_t found = look(fd);
    assert_true(found.complete);
    assert_false(found.left_out);
    assert_int_equal(found.faults, 1000 * PERIOD);
    close(fd);
}

// More processes than there is room for: the numbers of those written stay right, and nothing names one that is missing.
static void
too_many_processes_for_the_limit(void **state)
{
    int fd;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    pmt_writer_limit(writer, PMT_WRITER_LIMIT_MIN);
    write_start(writer);
    for (uint64_t i = 1; i < 20000; i++) {
        pmt_writer_process(writer, (uint64_t)random() << 31 | (uint64_t)random(), (uint64_t)random(), i);
        pmt_writer_meta(writer, i + 1, "engine", "none", 4);
        if (i % 7 == 0) {
            pmt_writer_flush(writer);
        }
    }
    for (uint64_t i = 0; i < 20000; i++) {
        pmt_writer_counter(writer, i, "lost", i);
    }
    write_end(writer);
    assert_int_equal(pmt_writer_flush(writer), 0);
    pmt_writer_free(writer);
    found_t found = look(fd);
    assert_true(found.complete);
    assert_in_range(found.size, 1, PMT_WRITER_LIMIT_MIN);
    assert_in_range(found.processes, 100, 19999);
    close(fd);
}

// Columns that do not compress.
static void
events_beyond_the_limit_are_counted(void **state)
{
    enum { RECORDS = 200, LINES = 3000, OTHERS = 100 };
    static pmt_event_columns_t columns;
    int fd;
    pmt_left_out_t left_out;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    pmt_writer_limit(writer, 1 << 20);
    write_start(writer);
    for (int i = 0; i < RECORDS; i++) {
        columns.count = LINES + OTHERS;
        columns.times_size = columns.values_size = LINES + OTHERS;
        for (int k = 0; k < LINES + OTHERS; k++) {
            columns.kinds[k] = k < LINES ? PMT_WIRE_LINE : PMT_WIRE_RSS;
            columns.times[k] = random() & 0x7f;
            columns.values[k] = random() & 0x7f;
        }
        assert_int_equal(pmt_writer_events(writer, 0, &columns), LINES);
        pmt_writer_round(writer, 10);
    }
    pmt_writer_flush(writer);
    assert_true(pmt_writer_left_out(writer, &left_out));
    assert_int_equal(left_out.events % LINES, 0);
    assert_int_equal(left_out.time, (RECORDS - left_out.events / LINES) * 10);
    write_end(writer);
    assert_int_equal(pmt_writer_flush(writer), 0);
    pmt_writer_free(writer);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    assert_in_range(status.st_size, 1 << 18, 1 << 20);
    close(fd);
}

// ---- writes that fail ----

static struct rlimit limit_before;

static void
limit_files(uint64_t size)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit_before), 0);
    limit = limit_before;
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
unlimit_files(void)
{
    setrlimit(RLIMIT_FSIZE, &limit_before);
    signal(SIGXFSZ, SIG_DFL);
}

// The write that failed is undone, its room is enough for the end.
static void
a_file_that_cannot_grow_keeps_its_end(void **state)
{
    int fd;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    write_start(writer);
    limit_files(30000);
    write_faults(writer, FAULTS, 500);
    write_end(writer);
    int err = pmt_writer_flush(writer);
    unlimit_files();
    assert_int_equal(err, -EFBIG);
    pmt_writer_free(writer);
    found_t found = look(fd);
    assert_true(found.complete);
    assert_in_range(found.size, 20000, 30000);
    assert_int_equal(found.last.u.left_out.error, EFBIG);
    assert_int_equal(found.faults + found.last.u.left_out.faults, (uint64_t)FAULTS * PERIOD);
    assert_int_equal(found.pages + found.last.u.left_out.pages, (uint64_t)FAULTS * RISE);
    assert_int_equal(found.counters, 1);
    assert_int_equal(found.ends, 1);
    close(fd);
}

// Not even the end fits: the file is cut after its last block.
static void
a_file_that_cannot_grow_at_all_is_cut(void **state)
{
    int fd;
    struct stat before;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    write_start(writer);
    write_faults(writer, 1000, 500);
    assert_int_equal(fstat(fd, &before), 0);
    limit_files((uint64_t)before.st_size + 10);
    write_faults(writer, 1000, 500);
    write_end(writer);
    int err = pmt_writer_flush(writer);
    unlimit_files();
    assert_int_equal(err, -EFBIG);
    pmt_left_out_t left_out;
    assert_true(pmt_writer_left_out(writer, &left_out));
    assert_int_equal(left_out.faults, 1000 * PERIOD);
    pmt_writer_free(writer);
    found_t found = look(fd);
    assert_false(found.complete);
    assert_int_equal(found.size, before.st_size);
    assert_int_equal(found.faults, 1000 * PERIOD);
    close(fd);
}

// The first block is lost and with it the process: no fact may name it.
static void
facts_of_a_lost_process_are_dropped(void **state)
{
    int fd;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    write_start(writer);
    limit_files(PMT_WIRE_HEADER + 30);
    pmt_writer_flush(writer);
    unlimit_files();
    write_faults(writer, 10, 5);
    pmt_writer_process(writer, 2, 1, 5);
    write_end(writer);
    assert_int_equal(pmt_writer_flush(writer), -EFBIG);
    pmt_writer_free(writer);
    found_t found = look(fd);
    assert_true(found.complete);
    assert_int_equal(found.processes + found.counters + found.marks + found.ends, 0);
    assert_int_equal(found.last.u.left_out.faults, 10 * PERIOD);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limited_file_keeps_its_end),
        cmocka_unit_test(the_time_of_the_last_details),
        cmocka_unit_test(a_limit_not_reached_is_not_seen),
        cmocka_unit_test(too_many_processes_for_the_limit),
        cmocka_unit_test(events_beyond_the_limit_are_counted),
        cmocka_unit_test(a_file_that_cannot_grow_keeps_its_end),
        cmocka_unit_test(a_file_that_cannot_grow_at_all_is_cut),
        cmocka_unit_test(facts_of_a_lost_process_are_dropped),
    };
    return cmocka_run_group_tests_name("left_out", tests, NULL, NULL);
}
