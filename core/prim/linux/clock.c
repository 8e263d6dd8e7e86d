// Clocks (prim.h). clock_gettime goes through the vDSO: about 30 ns, no system call.
#define _GNU_SOURCE
#include <string.h>
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
pmt_prim_cpu_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t
pmt_prim_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

enum pmt_ticks_kind_e
pmt_prim_ticks_kind(void)
{
#if defined(__x86_64__)
    static const char counter[] = "tsc\n";
#elif defined(__aarch64__)
    static const char counter[] = "arch_sys_counter\n";
#else
    static const char counter[] = "";
#endif
    char source[64];
    pmt_prim_file_text("/sys/devices/system/clocksource/clocksource0/current_clocksource", source, sizeof source);
    return counter[0] && strcmp(source, counter) == 0 ? PMT_TICKS_COUNTER : PMT_TICKS_NONE;
}
