// Times of events: a process's ticks (format/lanes.h) to times in the trace, in units of PMT_WIRE_EVENT_NS. The counter's speed is what lies between two readings of
// it and of CLOCK_MONOTONIC, which the recorder takes as it drains, so that the result follows the clock by which everything else in the trace is timed.
#pragma once

#include <stdint.h>

#include "format/lanes.h"

typedef struct pmt_event_clock_s {
    uint32_t kind;       // pmt_lane_clock_e
    uint64_t t0;         // of the trace, absolute ns
    uint64_t ticks, ns;  // the newest reading
    uint64_t base_ticks, base;  // the one before it; units
    uint64_t rate;       // units a tick since then, in 2^-32
} pmt_event_clock_t;

// 0, or -EINVAL: not a clock of ours. The lanes' own reading counts as the first if it can be one.
int pmt_event_clock_init(pmt_event_clock_t *clock, const pmt_lanes_t *lanes, uint64_t t0);
// Reads both clocks; to be called before lanes are drained.
void pmt_event_clock_read(pmt_event_clock_t *clock);
// Takes a reading. One that is close to the last, or before it, changes nothing.
void pmt_event_clock_anchor(pmt_event_clock_t *clock, uint64_t ticks, uint64_t ns);
// Now.
uint64_t pmt_event_clock_ticks(const pmt_event_clock_t *clock);

// Ticks before the base are those of a late event: it counts as of then.
static inline uint64_t
pmt_event_clock_units(const pmt_event_clock_t *clock, uint64_t ticks)
{
    uint64_t since = ticks > clock->base_ticks ? ticks - clock->base_ticks : 0;
    return clock->base + (uint64_t)((unsigned __int128)since * clock->rate >> 32);
}
