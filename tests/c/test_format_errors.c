// A writer whose file cannot be written, or only in pieces.
#define _GNU_SOURCE
#include "format_support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void
write_much(pmt_writer_t *writer)
{
    for (int i = 0; i < 100000; i++) {
        pmt_writer_code(writer, 0, (uint64_t)i + 1, 1, "/some/file.py", 13, "function", 8);
    }
}

static void
header_cannot_be_written(void **state)
{
    pmt_writer_t *writer = (pmt_writer_t *)state;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    assert_int_equal(pmt_writer_new(full, 0, 0, 4096, &writer), -ENOSPC);
    assert_null(writer);
    close(full);
    assert_int_equal(pmt_writer_new(full, 0, 0, 4096, &writer), -EBADF);
    assert_null(writer);
    assert_int_equal(pmt_writer_new(-1, 0, 0, 4096, &writer), -EBADF);
    int reading = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(pmt_writer_new(reading, 0, 0, 4096, &writer), -EBADF);
    close(reading);
    pmt_writer_free(NULL);
}

// After one good block `broken` takes the file's place; later the file is back, but the error stays.
static void
assert_sticky(int broken, int expected)
{
    int fd, aside;
    size_t size, later;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    pmt_writer_process(writer, 1, 0, 0);
    assert_int_equal(pmt_writer_flush(writer), 0);
    free(pmt_test_bytes(fd, &size));
    aside = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (broken >= 0) {
        dup3(broken, fd, O_CLOEXEC);
    } else {
        close(fd);
    }
    assert_int_equal(pmt_writer_error(writer), 0);
    write_much(writer);
    assert_int_equal(pmt_writer_error(writer), expected);
    dup3(aside, fd, O_CLOEXEC);
    write_much(writer);  // discarded
    pmt_writer_trailer(writer, 1);
    assert_int_equal(pmt_writer_flush(writer), expected);
    assert_int_equal(pmt_writer_error(writer), expected);
    assert_int_equal(pmt_writer_pending(writer), 0);
    free(pmt_test_bytes(fd, &later));
    assert_int_equal(later, size);
    close(aside);
    pmt_reader_t *reader;
    pmt_writer_free(writer);
    reader = open_fd(fd);
    next(reader, PMT_WIRE_PROCESS);
    assert_end(reader, false);
    close(fd);
}

static void
full_device_is_sticky(void **state)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_sticky(full, -ENOSPC);
    close(full);
}

static void
closed_descriptor_is_sticky(void **state)
{
    assert_sticky(-1, -EBADF);
}

static void
file_size_limit_cuts_a_block(void **state)
{
    struct rlimit old, limit;
    int fd;
    size_t size;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    pmt_writer_process(writer, 1, 0, 0);
    assert_int_equal(pmt_writer_flush(writer), 0);
    free(pmt_test_bytes(fd, &size));
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    write_much(writer);  // the first write is a short one
    int err = pmt_writer_error(writer);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(err, -EFBIG);
    assert_int_equal(pmt_writer_flush(writer), -EFBIG);
    pmt_writer_free(writer);
    pmt_reader_t *reader = open_fd(fd);
    assert_int_equal(pmt_reader_info(reader)->file_size, size);  // the part of a block is taken back
    next(reader, PMT_WIRE_PROCESS);
    assert_end(reader, false);
    close(fd);
}

static void
short_writes_are_completed(void **state)
{
    // A pipe takes 64 KiB at once at most; a reader at the other end that is slow makes every write of a block a short one.
    int ends[2], fd = pmt_test_file(), status;
    pmt_writer_t *writer;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    pid_t child = fork();
    if (child == 0) {
        char piece[1000];
        ssize_t n;
        close(ends[1]);
        while ((n = read(ends[0], piece, sizeof piece)) > 0) {
            if (write(fd, piece, (size_t)n) != n) {
                _exit(1);
            }
        }
        _exit(0);
    }
    close(ends[0]);
    assert_int_equal(pmt_writer_new(ends[1], 0, 0, 4096, &writer), 0);
    pmt_writer_process(writer, 1, 0, 0);
    write_much(writer);
    assert_int_equal(pmt_writer_flush(writer), 0);
    pmt_writer_free(writer);
    close(ends[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    pmt_reader_t *reader = open_fd(fd);
    next(reader, PMT_WIRE_PROCESS);
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(next(reader, PMT_WIRE_CODE).u.code.id, i + 1);
    }
    assert_end(reader, false);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_cannot_be_written),
        cmocka_unit_test(full_device_is_sticky),
        cmocka_unit_test(closed_descriptor_is_sticky),
        cmocka_unit_test(file_size_limit_cuts_a_block),
        cmocka_unit_test(short_writes_are_completed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
