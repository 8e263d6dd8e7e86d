// The consumer's end of a process's lanes (format/lanes.h). A slot's lane is drained together with its ring: what the ring holds is put at its exact place among the
// events. The lane's head is read before the ring's, so that all faults before the last of the events are in the ring then.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "recorder/trace.h"

// A slot's lane while it is drained.
typedef struct pmt_lane_s {
    pmt_process_t *process;
    pmt_consumer_t *consumer;
    pmt_lane_ring_t *ring;  // NULL: the process has no lanes, and all of this does nothing
    const uint64_t *words;
    const pmt_ring_t *faults;  // the slot's other ring: tells of new owners
    uint64_t head;  // known to be readable
    uint64_t began, last;  // what is to be drained
    pmt_encoder_t encoder;
} pmt_lane_t;

// Reads the head. To be called before the ring's head is read.
void pmt_lane_begin(pmt_lane_t *lane, pmt_trace_t *trace, pmt_process_t *process, unsigned slot);
// Writes the events before this place in the lane.
void pmt_lane_advance(pmt_lane_t *lane, uint64_t place);
// The slot's owner has lost so many events, the last at `ticks`, behind what has been written.
void pmt_lane_lost(pmt_lane_t *lane, uint64_t events, uint64_t ticks);
// Before anything else of this thread is written.
void pmt_lane_flush(pmt_lane_t *lane);
// The slot has a new owner: pmt_consumer_t.thread is another from here on.
void pmt_lane_reset(pmt_lane_t *lane);
// Writes what was in the lane at the beginning and has not been written yet, and what was lost behind it. True if there was anything at all.
bool pmt_lane_end(pmt_lane_t *lane);
