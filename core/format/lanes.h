// The memory in which a traced process hands its recorder the events of Python code: calls, returns, lines. It is there only while hooks are on; page faults and ticks go
// through the rings of records.h. Both sides come from one build, as there.
//
//   pmt_lanes_t             one page: the clock
//   pmt_lane_ring_t [RINGS] a lane's indices; a thread's lane has the number of its slot in records.h
//   words       [RINGS][PMT_LANE_WORDS]
//
// A lane has one producer (its thread, in a hook, never in a signal handler) and one consumer. An event is one word:
//
//   63            32 31                4 3     0
//   | ticks since  | payload, 28 bits   | kind |      ticks: of the thread's previous event word (the first: since pmt_lanes_t.ticks)
//
// PMT_EVENT_MORE is followed by further words; such a record never wraps: the rest of the lane is filled with zero words, which are filler. A record that tells an absolute
// time tells nothing in its first word's ticks. Definitions of ids (code objects,
// C functions, exception types) go through the thread's ring in records.h as PMT_RAW_CODE, published before the first event that names them.
//
// Order. The events of a lane are in the order in which they happened. A PMT_RAW_FAULT with PMT_RAW_FAULT_PLACED tells the lane's head at the fault: it comes after the
// events before that word; a PMT_RAW_THREAD tells where the words of the slot's new owner begin. A consumer reads a lane's head first and the ring's head after it: then all faults before the last of those events are in the ring.
#pragma once

#include "format/records.h"

enum {
    PMT_LANES_VERSION = 2,
    PMT_LANE_WORDS = 1 << 16,  // 512 KiB a thread
    PMT_LANE_MORE_MAX = 2048,  // words behind a PMT_EVENT_MORE
};

// The numbers are those of the file (wire.h) as far as they are in it.
enum pmt_event_kind_e {
    PMT_EVENT_CALL = 1,      // payload: code id, as for the following ones
    PMT_EVENT_RETURN = 2,
    PMT_EVENT_YIELD = 3,
    PMT_EVENT_RESUME = 4,
    PMT_EVENT_THROW = 5,     // an exception is thrown into a generator or coroutine, which goes on with it
    PMT_EVENT_UNWIND = 6,    // the frame ends by an exception; PMT_EVENT_EXCEPTION stands before it
    PMT_EVENT_C_CALL = 7,    // payload: id of the C function
    PMT_EVENT_C_RETURN = 8,
    PMT_EVENT_C_RAISE = 9,
    PMT_EVENT_LINE = 10,     // payload: line
    PMT_EVENT_RSS = 11,      // payload: pages; from here on
    // not in the file
    PMT_EVENT_CODE = 12,     // payload: code id of the frame that the following LINEs are in, where it is another than the last LINE's
    PMT_EVENT_EXCEPTION = 13,// payload: id of the exception's type
    PMT_EVENT_FRESH = 14,    // payload: pages, RSS read just now, beside the value that is kept; for tests
    PMT_EVENT_MORE = 15,     // payload: pmt_event_more_e | number of words that follow << 8
};

enum pmt_event_more_e {
    PMT_MORE_TIME = 1,   // [ticks]: absolute, where a difference does not fit
    PMT_MORE_LOST = 2,   // [ticks, events]: absolute time; so many events were lost just before, besides those that the consumer has taken from pmt_lane_ring_t.lost
    PMT_MORE_STACK = 3,  // [code id]...: the Python frames that are open now, outermost first; what the consumer believed is void
    PMT_MORE_NOTE = 4,   // [pmt_note_e | number << 32, bytes of text, text padded to words]
    PMT_MORE_FRAMES = 5, // [code id]...: more frames, inside of those of the STACK or FRAMES just before
};

enum pmt_note_e {  // the file's too
    PMT_NOTE_MARK = 1,
    PMT_NOTE_SECTION_BEGIN = 2,  // number: the section's, 1, 2 ... within the process; text: its message
    PMT_NOTE_SECTION_END = 3,
    PMT_NOTE_SECTION_SUSPEND = 4,
    PMT_NOTE_SECTION_RESUME = 5,
    PMT_NOTE_LOST = 6,  // number: events
};

enum pmt_lane_clock_e { PMT_LANE_CLOCK_NS = 0, PMT_LANE_CLOCK_TSC = 1 };  // what a tick is: 1 ns of CLOCK_MONOTONIC, or the CPU's counter (pmt_prim_ticks)

typedef struct pmt_lanes_s {
    uint32_t version;  // PMT_LANES_VERSION
    uint32_t clock;    // pmt_lane_clock_e
    uint64_t ticks, time_ns;  // the same moment by both clocks, when the lanes were made
    _Atomic uint64_t waits, wait_ns;  // times a full lane was waited for
    _Atomic uint64_t lost;            // events
    _Atomic uint64_t rss_reads;
    _Atomic uint64_t lost_slotless;   // of the lost, those of threads for which no slot was left
} pmt_lanes_t;
_Static_assert(sizeof(pmt_lanes_t) <= PMT_SHARED_PAGE, "one page");

typedef struct pmt_lane_ring_s {
    _Alignas(64) _Atomic uint64_t head;  // producer: words written
    _Atomic uint64_t lost, lost_at;      // events lost behind the head that nobody has told yet, and the ticks of the last: whoever sets it to 0 tells them
    _Alignas(64) _Atomic uint64_t tail;  // consumer: words read
} pmt_lane_ring_t;
_Static_assert(sizeof(pmt_lane_ring_t) == 128, "two cache lines: no false sharing");

#define PMT_LANES_RINGS_AT PMT_SHARED_PAGE
#define PMT_LANES_WORDS_AT (PMT_LANES_RINGS_AT + PMT_RINGS * sizeof(pmt_lane_ring_t))
#define PMT_LANES_SIZE (PMT_LANES_WORDS_AT + (uint64_t)PMT_RINGS * PMT_LANE_WORDS * sizeof(uint64_t))

static inline pmt_lane_ring_t *
pmt_lanes_ring(pmt_lanes_t *lanes, unsigned slot)
{
    return (pmt_lane_ring_t *)((char *)lanes + PMT_LANES_RINGS_AT) + slot;
}

static inline uint64_t *
pmt_lanes_words(pmt_lanes_t *lanes, unsigned slot)
{
    return (uint64_t *)((char *)lanes + PMT_LANES_WORDS_AT) + (uint64_t)slot * PMT_LANE_WORDS;
}
