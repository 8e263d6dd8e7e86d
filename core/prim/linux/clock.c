// Clocks (prim.h). clock_gettime goes through the vDSO: about 30 ns, no system call.
#define _GNU_SOURCE
#include <time.h>

#include "prim/prim.h"

static uint64_t
read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t
pmt_prim_now_ns_sigsafe(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t
pmt_prim_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}
