// Descriptors over a socket, where the receiver has room for few.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "prim/prim.h"

enum { SENT = 3 };

// Sends SENT copies of descriptor 0 with one byte, and receives them with so many free numbers; the result, and how many came.
static int
receive(unsigned room, unsigned *count)
{
    int ends[2], fds[PMT_MESSAGE_FDS], sent[SENT] = {0, 0, 0};
    char byte = 'x';
    struct rlimit old, limit;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(pmt_prim_send_sigsafe(ends[0], &byte, 1, sent, SENT), 0);
    int lowest = fcntl(0, F_DUPFD_CLOEXEC, 0);
    close(lowest);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    limit = old;
    limit.rlim_cur = (rlim_t)lowest + room;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    *count = PMT_MESSAGE_FDS;
    int n = pmt_prim_receive_sigsafe(ends[1], &byte, 1, fds, count);
    setrlimit(RLIMIT_NOFILE, &old);
    for (unsigned i = 0; i < *count; i++) {
        close(fds[i]);
    }
    int after = fcntl(0, F_DUPFD_CLOEXEC, 0);
    assert_int_equal(after, lowest);  // none was left open
    close(after);
    close(ends[0]);
    close(ends[1]);
    return n;
}

static void
all_descriptors_or_none(void **state)
{
    unsigned count;
    for (unsigned room = 0; room < SENT; room++) {
        assert_int_equal(receive(room, &count), -EMFILE);
        assert_int_equal(count, 0);
    }
    assert_int_equal(receive(SENT, &count), 1);
    assert_int_equal(count, SENT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_descriptors_or_none)};
    return cmocka_run_group_tests_name("socket", tests, NULL, NULL);
}
