// Decodes EVENTS records: the events of each thread with their absolute times, the process's RSS, and the frame that each is about. Whoever reads a trace with events
// hands it every THREAD, EVENTS and FAULT record in the file's order. It keeps each thread's open frames; their nesting is verified here, as traces are untrusted.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "format/reader.h"

enum {
    PMT_DECODER_DEPTH_MAX = 1 << 20,   // open frames of a thread,
    PMT_DECODER_FRAMES_MAX = 1 << 23,  // and room for those of all threads: more than this is no trace
    PMT_DECODER_LINE_MAX = 1 << 28,
};

typedef struct pmt_trace_event_s {
    uint64_t time;   // ns since t0
    int64_t rss;     // pages, the process's; 0: not known yet
    uint32_t code;   // of the frame that begins, ends, or has a line; 0: not known
    uint32_t value;  // LINE: the line; an event that ends a Python frame: the frame's last line, 0: none; DROP: how many frames
    uint32_t exception;  // UNWIND: code id of its type
    uint32_t depth;  // frames begun in the log (not those OPENed) that are outside of this one
    uint8_t kind;    // pmt_wire_event_e
} pmt_trace_event_t;

typedef struct pmt_decoder_frame_s {
    uint32_t code;
    uint32_t line : 29, c : 1, called : 1;  // called: it began in the log
} pmt_decoder_frame_t;

typedef struct pmt_decoder_thread_s {
    uint64_t time;  // in units of PMT_WIRE_EVENT_NS
    int64_t rss;
    pmt_decoder_frame_t *frames;
    uint32_t count, room;
    uint32_t called;
} pmt_decoder_thread_t;

typedef struct pmt_decoder_s {
    pmt_decoder_thread_t *threads;
    uint32_t thread_count, thread_room;
    uint64_t frames_room;  // of all threads
    // the record being decoded
    uint32_t thread;
    const uint8_t *kind, *time, *value;  // the next event's
    const uint8_t *kinds_end, *times_end, *values_end;
    const char *problem;
} pmt_decoder_t;

void pmt_decoder_init(pmt_decoder_t *events);
void pmt_decoder_fini(pmt_decoder_t *events);

int pmt_decoder_add_thread(pmt_decoder_t *events);  // a THREAD was read. 0 or -ENOMEM

// An EVENTS record was read: the next calls of pmt_decoder_next decode it.
void pmt_decoder_begin(pmt_decoder_t *events, const pmt_record_t *record);
// At most `room` events of it, in order. Their number, 0: there are no more; -EBADMSG: the record is corrupt (pmt_decoder_problem says how); -ENOMEM.
int pmt_decoder_next(pmt_decoder_t *events, pmt_trace_event_t *out, uint32_t room);
const char *pmt_decoder_problem(const pmt_decoder_t *events);

// A FAULT was read: the RSS that its thread knows after it, of which its next events are a difference. 0: not known.
int64_t pmt_decoder_fault(pmt_decoder_t *events, const pmt_record_t *record);

// The depth of the thread's innermost open frame, as in pmt_trace_event_t; 0 if there is none.
uint32_t pmt_decoder_depth(const pmt_decoder_t *events, uint32_t thread);
