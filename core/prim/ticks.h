// The CPU's counter: the cheapest clock, the same on all CPUs where the kernel keeps its own time by it (Linux: current_clocksource is tsc or arch_sys_counter). Reads
// no memory, calls nothing; any context. 0 where there is none: then CLOCK_MONOTONIC has to do.
#pragma once

#include <stdint.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

static inline uint64_t
pmt_prim_ticks(void)
{
#if defined(__x86_64__)
    return __rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return 0;
#endif
}
