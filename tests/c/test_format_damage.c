// The reader against files that cannot be opened, are cut, or are damaged.
#include "format_support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- files that cannot be opened ----

static int
open_bytes(const void *data, size_t size, char error[PMT_ERROR_MAX])
{
    char path[PMT_TEST_PATH];
    pmt_reader_t *reader = (pmt_reader_t *)path;
    int fd = pmt_test_file_of(data, size), err;
    memset(error, 0, PMT_ERROR_MAX);
    err = pmt_reader_open(pmt_test_path(fd, path), &reader, error);
    close(fd);
    if (err) {
        assert_null(reader);
    } else {
        pmt_reader_close(reader);
    }
    return err;
}

static void
no_such_file(void **state)
{
    char error[PMT_ERROR_MAX];
    pmt_reader_t *reader = (pmt_reader_t *)error;
    assert_int_equal(pmt_reader_open("/no/such/file", &reader, error), -ENOENT);
    assert_null(reader);
    assert_int_equal(pmt_reader_open("/proc", &reader, error), -EISDIR);
    assert_null(reader);
    pmt_reader_close(NULL);
}

// Changes some bytes of a good header and makes its checksum right again, if it is to be.
static int
open_changed(size_t at, const void *bytes, size_t size, bool seal, char error[PMT_ERROR_MAX])
{
    size_t file_size;
    uint8_t *file = pmt_test_wrap("", 0, &file_size);
    memcpy(file + at, bytes, size);
    if (seal) {
        pmt_test_seal(file, file_size);
    }
    int err = open_bytes(file, file_size, error);
    free(file);
    return err;
}

static void
headers_refused(void **state)
{
    char error[PMT_ERROR_MAX];
    assert_int_equal(open_bytes("", 0, error), -EBADMSG);
    assert_non_null(strstr(error, "empty"));
    assert_int_equal(open_bytes("#!/bin/sh\n", 10, error), -EBADMSG);
    assert_non_null(strstr(error, "magic"));
    assert_int_equal(open_bytes(PMT_WIRE_MAGIC, 5, error), -EBADMSG);
    assert_non_null(strstr(error, "cut"));
    assert_int_equal(open_changed(0, "", 0, false, error), 0);
    assert_int_equal(open_changed(45, "x", 1, false, error), -EBADMSG);
    assert_non_null(strstr(error, "checksum"));
    assert_int_equal(open_changed(12, "\1\2\3\4", 4, true, error), -EBADMSG);  // the other byte order
    assert_int_equal(open_changed(8, "\2\0", 2, true, error), -EBADMSG);
    assert_non_null(strstr(error, "newer"));
    assert_int_equal(open_changed(16, "\1\0\0\0", 4, true, error), -EBADMSG);
    assert_non_null(strstr(error, "newer"));
    assert_int_equal(open_changed(16, "\0\0\0\x80", 4, true, error), -EBADMSG);
    assert_int_equal(open_changed(40, "\0\0\0\0", 4, true, error), -EBADMSG);
    assert_int_equal(open_changed(40, "\0\1\0\0", 4, true, error), -EBADMSG);
    assert_int_equal(open_changed(40, "\1\x10\0\0", 4, true, error), -EBADMSG);
    assert_int_equal(open_changed(40, "\0\0\0\x80", 4, true, error), -EBADMSG);
    for (size_t at = 0; error[at]; at++) {
        assert_in_range(error[at], 32, 126);  // one line
    }
    assert_int_equal(open_changed(10, "\xff\xff", 2, true, error), 0);          // a later minor version
    assert_int_equal(open_changed(20, "\xff\xff\xff\xff", 4, true, error), 0);  // informative features
    assert_int_equal(open_changed(44, "informative bits", 16, true, error), 0);
}

// ---- files that are cut or damaged ----

// Some of everything in a few hundred bytes and three blocks. block_ends: where the header and the blocks end.
static uint8_t *
small_file(size_t *size, size_t block_ends[4])
{
    int fd;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    block_ends[0] = PMT_WIRE_HEADER;
    pmt_writer_process(writer, 100, 1, 5);
    pmt_writer_thread(writer, 0, 101, 6, "main", 4);
    pmt_writer_meta(writer, 1, "engine", "faults", 6);
    pmt_writer_module(writer, 0, 0x1000, 0x2000, 0, "/lib/x.so");
    pmt_writer_code(writer, 0, 1, 10, "a.py", 4, "f", 1);
    pmt_writer_code_lines(writer, 0, 1, "\2\1", 2);
    pmt_writer_flush(writer);
    free(pmt_test_bytes(fd, &block_ends[1]));
    pmt_writer_round(writer, 50);
    pmt_writer_batch(writer, 0);
    pmt_writer_node(writer, 1, PMT_CODE_ROOT, 0);
    pmt_writer_node(writer, 1, 1, 2);
    pmt_writer_site(writer, 0x1100, 1);
    pmt_writer_weight(writer, 2);
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.time = 5, .address = 0x7000, .rise = 3, .node = 2, .site = 1});
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.flags = PMT_FAULT_SAME_NODE | PMT_FAULT_SAME_SITE, .more = 1, .time = 9, .rise = 1});
    pmt_writer_sample(writer, 0, 60, (const int64_t[]){1, 2, 3, 4});
    pmt_writer_cgroup(writer, 61, 1000, 2001);
    pmt_writer_node_reset(writer);
    pmt_writer_flush(writer);
    free(pmt_test_bytes(fd, &block_ends[2]));
    pmt_writer_mark(writer, 0, 70, PMT_MARK_END, 30);
    pmt_writer_period(writer, 0, 71, 2);
    pmt_writer_lost(writer, 0, 72, 3);
    pmt_writer_counter(writer, 0, "lost", 3);
    pmt_writer_process_end(writer, 0, PMT_END_EXIT, 0, 80);
    pmt_writer_trailer(writer, 90);
    pmt_writer_flush(writer);
    pmt_writer_free(writer);
    uint8_t *bytes = pmt_test_bytes(fd, size);
    block_ends[3] = *size;
    close(fd);
    return bytes;
}

enum { SMALL_RECORDS = 23 };

static void
every_truncation(void **state)
{
    size_t size, ends[4];
    uint8_t *bytes = small_file(&size, ends);
    unsigned records[4] = {0};
    for (int i = 1; i < 4; i++) {
        records[i] = read_all(bytes, ends[i]).records;
    }
    assert_int_equal(records[3], SMALL_RECORDS);
    for (size_t n = 0, block = 0; n <= size; n++) {
        outcome_t outcome = read_all(bytes, n);
        if (n < PMT_WIRE_HEADER) {
            assert_int_equal(outcome.opened, -EBADMSG);
            continue;
        }
        block += block < 3 && ends[block + 1] == n;
        assert_int_equal(outcome.opened, 0);
        assert_int_equal(outcome.last, 0);
        assert_int_equal(outcome.good, ends[block]);
        assert_int_equal(outcome.records, records[block]);
        assert_int_equal(outcome.complete, n == size);
    }
    free(bytes);
}

static void
every_bit(void **state)
{
    size_t size, ends[4];
    uint8_t *bytes = small_file(&size, ends);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        size_t block = 0;
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        outcome_t outcome = read_all(bytes, size);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (bit / 8 < PMT_WIRE_HEADER) {
            assert_int_equal(outcome.opened, -EBADMSG);
            continue;
        }
        while (ends[block + 1] <= bit / 8) {
            block++;
        }
        assert_int_equal(outcome.opened, 0);
        assert_int_equal(outcome.good, ends[block]);  // the blocks before are good, this one is not
        assert_false(outcome.complete);
        if (outcome.last == 0) {
            assert_in_range(bit / 8 - ends[block], 8, 11);  // a stored length beyond the end looks like a cut
        } else {
            assert_int_equal(outcome.last, -EBADMSG);
        }
    }
    free(bytes);
}

// The same bits, but in records whose block is sealed again: the decoder sees them. What it makes of them is its affair, as long as it stays in bounds.
static void
every_bit_of_the_records(void **state)
{
    static const uint8_t records[] = {
        0x41, 3, 1, 0, 0, 0x43, 5, 0, 1, 0, 1, 'a', 0x47, 6, 0, 1, 9, 0, 1, 'm', 0x40, 5, 1, 1, 'k', 1, 'v', 0x45, 7, 0, 1, 5, 1, 'f', 1, 'n', 0x46, 5, 0, 1, 2,
        2, 1, 0x01, 9, 0x02, 0, 0x03, 1, 0, 0, 0x03, 1, 1, 2, 0x05, 4, 1, 0x08, 2, 0x20, 2, 4, 7, 2, 1, 0x37, 3, 2, 2, 1, 0x06, 0, 1, 2, 2, 2, 2, 0x07, 1, 2, 3,
        0x48, 4, 0, 1, 1, 9, 0x49, 3, 0, 1, 2, 0x4a, 3, 0, 1, 2, 0x4b, 4, 0, 1, 'c', 5, 0x42, 4, 0, 0, 0, 1, 0x44, 3, 0, 1, 'b', 0x04, 0, 0x4c, 1, 9,
    };
    uint8_t changed[sizeof records];
    unsigned refused = 0;
    for (size_t bit = 0; bit <= 8 * sizeof records; bit++) {
        size_t size;
        memcpy(changed, records, sizeof records);
        if (bit < 8 * sizeof records) {
            changed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        uint8_t *file = pmt_test_wrap(changed, sizeof changed, &size);
        outcome_t outcome = read_all(file, size);
        assert_int_equal(outcome.opened, 0);
        assert_true(outcome.last == 0 || outcome.last == -EBADMSG);
        refused += outcome.last != 0;
        free(file);
        if (bit == 8 * sizeof records) {  // all as it was
            assert_int_equal(outcome.last, 0);
            assert_true(outcome.complete);
        }
    }
    assert_true(refused > sizeof records);
}

static void
records_cut_anywhere(void **state)
{
    // A block that ends inside a record is corrupt, though its checksum holds.
    static const uint8_t records[] = {0x41, 3, 1, 0, 0, 0x43, 5, 0, 1, 0, 1, 'a', 0x03, 1, 0, 0, 0x02, 0, 0x30, 1, 0x90, 0x4e, 0x80, 0x40, 2, 1, 0, 0x4c, 1, 9};
    static const size_t ends[] = {5, 12, 16, 18, 27, 30};
    for (size_t n = 1; n <= sizeof records; n++) {
        size_t size;
        bool whole = false;
        uint8_t *file = pmt_test_wrap(records, n, &size);
        outcome_t outcome = read_all(file, size);
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
            whole |= ends[i] == n;
        }
        assert_int_equal(outcome.last, whole ? 0 : -EBADMSG);
        assert_int_equal(outcome.good, whole ? size : PMT_WIRE_HEADER);
        assert_int_equal(outcome.complete, n == sizeof records);
        free(file);
    }
}

static void
unknown_definitions_and_filler_are_passed_over(void **state)
{
    static const uint8_t records[] = {0, 0, 0x41, 5, 1, 0, 0, 'm', 'o', 0xff, 3, 1, 2, 3, 0x7d, 0, 0, 0x4c, 2, 9, 'x', 0};
    size_t size;
    uint8_t *file = pmt_test_wrap(records, sizeof records, &size);
    outcome_t outcome = read_all(file, size);
    assert_int_equal(outcome.last, 0);
    assert_int_equal(outcome.records, 2);
    assert_true(outcome.complete);
    free(file);
    static const uint8_t after[] = {0x4c, 1, 9, 0x01, 1};
    file = pmt_test_wrap(after, sizeof after, &size);
    outcome = read_all(file, size);
    assert_int_equal(outcome.last, 0);
    assert_false(outcome.complete);  // the trailer was not the last record
    free(file);
}

static void
zero_tail(void **state)
{
    static const size_t tails[] = {1, 19, 20, 21, 4095, 4096, 4097, 100000};
    size_t size, ends[4];
    uint8_t *bytes = small_file(&size, ends);
    uint8_t *longer = calloc(1, size + 100000);
    memcpy(longer, bytes, size);
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        outcome_t outcome = read_all(longer, size + tails[i]);
        assert_int_equal(outcome.last, 0);
        assert_int_equal(outcome.records, SMALL_RECORDS);
        assert_int_equal(outcome.good, size);
        assert_false(outcome.complete);  // something follows the trailer: not as it was left
        if (tails[i] > PMT_WIRE_BLOCK_HEADER) {  // something behind the zeros: damage
            longer[size + tails[i] - 1] = 1;
            outcome = read_all(longer, size + tails[i]);
            longer[size + tails[i] - 1] = 0;
            assert_int_equal(outcome.last, -EBADMSG);
            assert_int_equal(outcome.good, size);
        }
    }
    free(longer);
    free(bytes);
}

// ---- blocks whose checksum holds, but nothing else ----

static int
read_block(uint32_t sequence, uint32_t stored, uint32_t raw, const char *magic)
{
    static const uint8_t records[] = {0x4c, 1, 9};
    size_t size;
    uint8_t *file = pmt_test_wrap(records, sizeof records, &size), *block = file + PMT_WIRE_HEADER;
    uint32_t real = (uint32_t)(size - PMT_WIRE_HEADER - PMT_WIRE_BLOCK_HEADER);
    stored = stored == UINT32_MAX ? real : stored;
    memcpy(block, magic, 4);
    memcpy(block + 4, &sequence, 4);
    memcpy(block + 8, &stored, 4);
    memcpy(block + 12, &raw, 4);
    pmt_test_seal(file, size);
    outcome_t outcome = read_all(file, size);
    free(file);
    return outcome.last;
}

static void
block_headers_refused(void **state)
{
    assert_int_equal(read_block(0, UINT32_MAX, 3, "PBLK"), 0);
    assert_int_equal(read_block(1, UINT32_MAX, 3, "PBLK"), -EBADMSG);
    assert_int_equal(read_block(0, UINT32_MAX, 3, "PBLk"), -EBADMSG);
    assert_int_equal(read_block(0, UINT32_MAX, 2, "PBLK"), -EBADMSG);
    assert_int_equal(read_block(0, UINT32_MAX, 4, "PBLK"), -EBADMSG);
    assert_int_equal(read_block(0, UINT32_MAX, 0, "PBLK"), -EBADMSG);
    assert_int_equal(read_block(0, UINT32_MAX, PMT_WIRE_RAW_MAX, "PBLK"), -EBADMSG);
    assert_int_equal(read_block(0, UINT32_MAX, PMT_WIRE_RAW_MAX + 1, "PBLK"), -EBADMSG);
    assert_int_equal(read_block(0, 0, 3, "PBLK"), -EBADMSG);
    assert_int_equal(read_block(0, 5, 3, "PBLK"), -EBADMSG);
    assert_int_equal(read_block(0, PMT_WIRE_STORED_MAX + 1, 3, "PBLK"), -EBADMSG);
    assert_int_equal(read_block(0, PMT_WIRE_STORED_MAX, 3, "PBLK"), 0);  // looks cut
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_such_file),
        cmocka_unit_test(headers_refused),
        cmocka_unit_test(every_truncation),
        cmocka_unit_test(every_bit),
        cmocka_unit_test(every_bit_of_the_records),
        cmocka_unit_test(records_cut_anywhere),
        cmocka_unit_test(unknown_definitions_and_filler_are_passed_over),
        cmocka_unit_test(zero_tail),
        cmocka_unit_test(block_headers_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
