// Waiting, most of it on a word of shared memory (prim.h). Not FUTEX_PRIVATE: program and recorder are two processes.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "prim/prim.h"

void
pmt_prim_wait_sigsafe(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    struct timespec timeout = {(time_t)(timeout_ns / 1000000000u), (long)(timeout_ns % 1000000000u)};
    syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, NULL, 0);
}

void
pmt_prim_wake_sigsafe(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0);
}

void
pmt_prim_sleep(uint64_t ns)
{
    struct timespec time = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    nanosleep(&time, NULL);
}

// Linux 5.16; the C library's headers may be older.
enum { SYSCALL_FUTEX_WAITV = 449, FUTEX_WORD_32 = 2 };
typedef struct futex_waiter_s {
    uint64_t value, address;
    uint32_t flags, reserved;
} futex_waiter_t;

void
pmt_prim_wait_any(_Atomic uint32_t *const *words, const uint32_t *expected, unsigned count, uint64_t timeout_ns)
{
    futex_waiter_t waiters[PMT_WAIT_MAX];
    if (count == 1) {
        pmt_prim_wait_sigsafe(words[0], expected[0], timeout_ns);
        return;
    }
    for (unsigned i = 0; i < count && i < PMT_WAIT_MAX; i++) {
        waiters[i] = (futex_waiter_t){expected[i], (uint64_t)(uintptr_t)words[i], FUTEX_WORD_32, 0};
    }
    uint64_t until = pmt_prim_now_ns_sigsafe() + timeout_ns;
    struct timespec deadline = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};
    if (syscall(SYSCALL_FUTEX_WAITV, waiters, count, 0, &deadline, CLOCK_MONOTONIC) < 0 && errno == ENOSYS) {
        pmt_prim_wait_sigsafe(words[0], expected[0], timeout_ns);
    }
}
