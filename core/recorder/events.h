// The events of one thread: words of a lane (format/lanes.h) to EVENTS records (docs/format.md) in which they nest, whatever the words say. The frames that are open
// are known here, so that one that ends without an event is closed (DROP) and one that was never seen to begin is opened (OPEN).
// The words are memory that another process writes: each is read once, and whatever they say the file can be read.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "format/lanes.h"
#include "format/wire.h"
#include "format/writer.h"
#include "recorder/event_clock.h"

enum {
    PMT_OPEN_MAX = 1 << 16,  // frames of a thread that are followed; what happens inside of them is counted as lost
    PMT_OPEN_C = 1 << 28,    // in pmt_open_t.code: a C function's frame
};

typedef struct pmt_open_s {
    uint32_t code;
    uint32_t line;  // of its last LINE
} pmt_open_t;

typedef struct pmt_event_state_s {
    pmt_open_t *open;    // [0] stands below the outermost; PMT_OPEN_MAX + 1 of address space; NULL: the process has no lanes
    uint32_t depth;
    uint32_t line_code;  // the code that LINEs are in
    uint32_t exception;  // of the next UNWIND
    uint64_t ticks;      // of the last word
    uint64_t time;       // of the last event, units
    uint64_t rss;        // the last that was written, pages
    uint64_t deeper;     // frames open inside of PMT_OPEN_MAX
    uint64_t unseen;     // events in them
    bool lossy;          // events were lost: ends may come of C functions that are not known to be open
} pmt_event_state_t;

// What words are encoded with.
typedef struct pmt_encoder_s {
    pmt_writer_t *writer;
    pmt_event_columns_t *columns;  // the record being filled
    pmt_event_state_t *state;
    const pmt_event_clock_t *clock;
    uint64_t thread;            // number in the trace
    uint64_t earliest, latest;  // units: no event is older, or younger
    struct pmt_summary_s *summary;  // of what is left out; NULL: none is made
    uint32_t *member;               // the thread in it
    uint32_t process;               // number in the trace
    uint64_t *events, *unplaced;  // calls, returns and lines are counted here: those that are written, those that cannot be
} pmt_encoder_t;

// A thread begins: `ticks`: pmt_lanes_t.ticks.
void pmt_event_state_reset(pmt_event_state_t *state, uint64_t ticks);
// Encodes the records of a lane that begin at `at` or later, before `stop`; none goes beyond `end`, and what cannot be a record is skipped to there. Returns where to go on.
uint64_t pmt_encoder_encode(pmt_encoder_t *encoder, const uint64_t *words, uint64_t at, uint64_t stop, uint64_t end);
// So many events were lost by now, the last at `ticks`; how the lane goes on is not known yet, if it does.
void pmt_encoder_lost(pmt_encoder_t *encoder, uint64_t events, uint64_t ticks);
// No event of the record being filled has been encoded: the thread's state is what the next record begins with.
void pmt_encoder_mark(pmt_encoder_t *encoder);
// Writes what has been encoded: before anything else of this thread is written, and before another thread's events.
void pmt_encoder_flush(pmt_encoder_t *encoder);
