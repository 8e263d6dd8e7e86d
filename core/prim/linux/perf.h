// Perf events whose signals go to the thread that caused them, with a cookie. Included by the files that open one.
#pragma once

#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

// An event of threads made later too, until exec; what it counts is left to say.
// Not in the kernel, even where that is allowed: writing a signal frame can fault, after a fork it does, and each such fault would be followed by a signal of its own.
static inline struct perf_event_attr
pmt_perf_signals(uint64_t period, uint64_t cookie)
{
    return (struct perf_event_attr){
        .size = sizeof(struct perf_event_attr),
        .sample_period = period,
        .sig_data = cookie,
        .sigtrap = 1,
        .remove_on_exec = 1,
        .inherit = 1,
        .inherit_thread = 1,
        .exclude_hv = 1,
        .exclude_kernel = 1,
    };
}

// The descriptor, or -errno.
static inline int
pmt_perf_open_sigsafe(const struct perf_event_attr *attr, uint32_t tid)
{
    int fd = (int)syscall(SYS_perf_event_open, attr, (pid_t)tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}
