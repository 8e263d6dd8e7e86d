// Lanes, the producer's end (format/lanes.h has the layout): where a thread puts the events of its Python code. Everything here runs in hooks, on the lane's own thread with
// the interpreter's lock, never in a signal handler, unless it is named _sigsafe. The way of each event is in lane_inline.h.
//
// A lane's struct belongs to a thread from its first event until the thread has ended, whatever sessions come and go, so a pointer to it never goes stale. Where there is
// nothing to write into (no session, hooks off, a fork child), its limit is where its head is.
#pragma once

#include "capture/session.h"

typedef struct pmt_lane_s {
    uint64_t head;   // words written
    uint64_t limit;  // from this head on an event looks around first: the lane is full, or half full, or none
    uint64_t *words;
    pmt_lane_ring_t *ring;  // NULL: the lane is none at present
    uint64_t last;     // ticks of the last word
    uint64_t rss_due;  // ticks at which RSS is read again
    uint32_t rss;      // pages, as the lane tells
    uint32_t code;     // whose lines the lane tells; 0: nobody's
    // What the last event was about, so that it need not be looked up again. NULL: unknown
    const void *at;      // a code object whose events are wanted
    const void *callee;  // a C function
    uint32_t at_id, callee_id;
    // not in the way of an event
    _Alignas(64) _Atomic uint32_t owner;  // tid; 0: never owned
    bool lossy;        // events have been lost since the last one that was recorded
} pmt_lane_t;

typedef struct pmt_lanes_options_s {
    bool rss_every;  // read RSS at each event
    bool drop;       // lose events rather than wait
    bool rss_check;  // for tests: what RSS is stands before each event (PMT_EVENT_FRESH), whatever the kept value says
    // to measure with: no recorder hears of the lanes, which are written over and over
    bool alone, rss_never;
} pmt_lanes_options_t;

// Makes the calling process's lanes, or finds those of its session, and tells its recorder. `socket`: the connection that said so, for pmt_session_send_meta; the caller
// closes it. 0 or -errno.
int pmt_lanes_open(const pmt_lanes_options_t *options, int *socket);
// Which clock events have; opening does it too. The ticks after which RSS is read again.
uint64_t pmt_lanes_choose_clock(void);
// A connection that has told the recorder of them; without a descriptor (-1) that the following is about the calling process's events. -errno.
int pmt_lanes_connect(int fd);
// No event is written from here on. The memory stays the session's.
void pmt_lanes_close(void);
// In a fork child.
void pmt_lanes_disown_sigsafe(void);
// The session's memory goes, with the lanes.
void pmt_lanes_drop(pmt_session_t *session);

// Puts a note into the calling thread's lane. -ESRCH: there is none; -ENOSPC: it is lost.
int pmt_lane_note(unsigned what, uint32_t number, const char *text, size_t size);
