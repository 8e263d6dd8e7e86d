// The process's RSS as the fault handlers see it: one last reading for all threads, from which each fault takes the difference. Differences telescope: their
// sum is the change of RSS whatever the threads' order, and also where the kernel's number lags.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "prim/prim.h"

typedef struct pmt_rss_clock_s {
    _Atomic int fd;          // statm, kept open; reopened when the program closed it
    _Atomic uint32_t loose_reads;  // still to be made by opening and closing it, before it stays open
    _Atomic uint64_t last;   // shared pages << 32 | anonymous pages
} pmt_rss_clock_t;

typedef struct pmt_rss_step_s {
    int64_t anon, shared;  // pages since the last reading, signed
    uint64_t rss;          // pages now; 0: could not be read
} pmt_rss_step_t;

// The first `loose_reads` readings leave no descriptor behind.
int pmt_rss_clock_init(pmt_rss_clock_t *clock, uint32_t loose_reads);
void pmt_rss_clock_fini(pmt_rss_clock_t *clock);
// Reads RSS and makes it the last reading. When it cannot be read the step is one anonymous page.
pmt_rss_step_t pmt_rss_clock_step_sigsafe(pmt_rss_clock_t *clock);
// Reads RSS beside it: pages, 0 where it cannot be read. The last reading stays: the rise since then belongs to the next fault.
uint64_t pmt_rss_clock_look_sigsafe(pmt_rss_clock_t *clock);
// Takes pages that the tracer itself just brought in out of the next difference.
void pmt_rss_clock_exclude_sigsafe(pmt_rss_clock_t *clock, uint32_t anon, uint32_t shared);
// The rise of a fault that could not be recorded: the next reading shows it again.
void pmt_rss_clock_give_back_sigsafe(pmt_rss_clock_t *clock, uint32_t pages);
