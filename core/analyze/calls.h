// What the log says of each function: how often it was called, its time, what RSS did in it. It is fed one thread's events after the other, in the order of the file or as they
// are recorded; its memory is bounded by functions and open frames, not by events. Used by the analysis, and by the recorder when the log is full.
//
// RSS is the process's: what other threads did meanwhile is in it. It is compared from one event of a thread to the next, and a change belongs to the frame that was the
// innermost in between. "self": while the function was the innermost; the others: while it was anywhere on the stack, counted once where it recurs. A generator or coroutine
// that is suspended is on no stack.
#pragma once

#include "analyze/names.h"
#include "analyze/stacks.h"
#include "format/events.h"

typedef struct pmt_calls_row_s {
    uint32_t process, code;
    uint64_t calls;  // without resumptions, and without calls that began before the log
    uint64_t time_self, time;        // ns
    uint64_t growth_self, growth;    // pages by which RSS rose
    uint64_t release_self, release;  // pages by which it fell
    uint64_t touched_self, touched;  // pages of the thread's own faults
    int64_t largest;  // pages: the highest RSS within a call (a generator's: from one suspension to the next), less the RSS at its beginning
} pmt_calls_row_t;
enum { PMT_CALLS_KEY = 8 };

#define PMT_CALLS_REST 0u  // the row of functions beyond those there is room for; its process is UINT32_MAX

typedef struct pmt_calls_cached_s {
    uint32_t process, code, row;  // row PMT_CALLS_REST: free
} pmt_calls_cached_t;
enum { PMT_CALLS_CACHE = 1 << 13 };

typedef struct pmt_calls_s {
    pmt_table_t rows;  // pmt_calls_row_t
    uint32_t rows_max;
    pmt_stacks_t stacks;
    pmt_calls_cached_t *cache;  // row of a code id
} pmt_calls_t;

// rows_max: functions told apart. 0 or -ENOMEM.
int pmt_calls_init(pmt_calls_t *calls, uint32_t rows_max);
void pmt_calls_fini(pmt_calls_t *calls);

// The next thread (they number 0, 1, 2 ...). idle: its events will be passed over. 0 or -ENOMEM.
int pmt_calls_add_thread(pmt_calls_t *calls, uint32_t process, bool idle);

// A thread's next events. They nest (pmt_decoder_next sees to it). 0 or -ENOMEM, after which no more events must come.
int pmt_calls_events(pmt_calls_t *calls, uint32_t thread, const pmt_trace_event_t *events, uint32_t count);
// A page fault of the thread, after those events: pages it brought in, and RSS after it (0: not known).
void pmt_calls_fault(pmt_calls_t *calls, uint32_t thread, uint64_t pages, int64_t rss);

// Adds what is known otherwise of the function that the row names. 0 or -ENOMEM.
int pmt_calls_add(pmt_calls_t *calls, const pmt_calls_row_t *row);
void pmt_calls_sum(pmt_calls_row_t *to, const pmt_calls_row_t *row);

// There are no more events: frames that are open end with their thread's last event.
void pmt_calls_end(pmt_calls_t *calls);

static inline const pmt_calls_row_t *
pmt_calls_row(const pmt_calls_t *calls, uint32_t number)
{
    return pmt_table_at(&calls->rows, number);
}
