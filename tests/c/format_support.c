// Reading back (format_support.h).
#include "format_support.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

pmt_reader_t *
open_fd(int fd)
{
    char path[PMT_TEST_PATH], error[PMT_ERROR_MAX] = "";
    pmt_reader_t *reader = NULL;
    int err = pmt_reader_open(pmt_test_path(fd, path), &reader, error);
    if (err) {
        fail_msg("open: %d %s", err, error);
    }
    return reader;
}

pmt_reader_t *
turn_over(pmt_writer_t *writer, int fd)
{
    assert_int_equal(pmt_writer_flush(writer), 0);
    pmt_writer_free(writer);
    pmt_reader_t *reader = open_fd(fd);
    close(fd);
    return reader;
}

pmt_record_t
next(pmt_reader_t *reader, unsigned type)
{
    pmt_record_t record;
    int got = pmt_reader_next(reader, &record);
    if (got != 1 || record.type != type) {
        fail_msg("%d, type %#x instead of %#x: %s", got, got == 1 ? record.type : 0, type, pmt_reader_problem(reader));
    }
    return record;
}

void
assert_end(pmt_reader_t *reader, bool complete)
{
    pmt_record_t record;
    assert_int_equal(pmt_reader_next(reader, &record), 0);
    assert_int_equal(pmt_reader_next(reader, &record), 0);  // and stays
    assert_int_equal(pmt_reader_complete(reader), complete);
    if (complete) {
        assert_int_equal(pmt_reader_good_bytes(reader), pmt_reader_info(reader)->file_size);
    }
    assert_string_equal(pmt_reader_problem(reader), "");
    pmt_reader_close(reader);
}

void
assert_fault(const pmt_record_t *r, uint32_t thread, uint64_t time, uint64_t address, uint64_t rise, uint32_t node, uint32_t site, uint64_t weight)
{
    assert_int_equal(r->u.fault.thread, thread);
    assert_int_equal(r->time, time);
    assert_int_equal(r->u.fault.address, address);
    assert_int_equal(r->u.fault.rise, rise);
    assert_int_equal(r->u.fault.node, node);
    assert_int_equal(r->u.fault.site, site);
    assert_int_equal(r->u.fault.weight, weight);
}

outcome_t
read_all(const void *bytes, size_t size)
{
    char path[PMT_TEST_PATH], error[PMT_ERROR_MAX];
    outcome_t outcome = {0};
    pmt_reader_t *reader;
    pmt_record_t record;
    int fd = pmt_test_file_of(bytes, size);
    outcome.opened = pmt_reader_open(pmt_test_path(fd, path), &reader, error);
    if (outcome.opened == 0) {
        while ((outcome.last = pmt_reader_next(reader, &record)) > 0) {
            assert_int_equal(outcome.last, 1);
            assert_true(++outcome.records < 1 << 20);
        }
        assert_int_equal(pmt_reader_next(reader, &record), 0);  // after an error, too, nothing comes any more
        assert_int_equal(outcome.last == -EBADMSG, pmt_reader_problem(reader)[0] != '\0');
        outcome.complete = pmt_reader_complete(reader);
        outcome.good = pmt_reader_good_bytes(reader);
        pmt_reader_close(reader);
    }
    close(fd);
    return outcome;
}
