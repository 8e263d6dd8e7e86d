// What the engines' signal handlers share: the thread's slot and its guard, one record for an event with the Python stack at it, what is lost. A handler does
//
//   thread = pmt_event_begin_sigsafe(session) .. pmt_event_write_sigsafe() .. pmt_event_rest_sigsafe() .. pmt_event_end_sigsafe(thread)
//
// Invariants: a thread's `busy` is set from begin to end, so an event of the handler's own code returns at once; nothing is allocated or locked. What is not
// named _sigsafe runs on the program's threads outside of handlers.
#pragma once

#include "capture/session.h"

typedef struct pmt_event_s {
    uint64_t time, address, instruction;
    uint64_t stack;  // the stack pointer
    uint32_t rise;   // pages
    uint32_t fell_to;  // pages: RSS, which is lower than at the reading before; 0: it is not
    unsigned flags;  // pmt_raw_fault_e
} pmt_event_t;

// First and last of all in a handler: between them the session's memory stays. False: no session is active (pmt_event_leave_sigsafe is called all the same).
bool pmt_event_enter_sigsafe(pmt_session_t *session);
void pmt_event_leave_sigsafe(void);

// The calling thread, ready to record, with the present time in *now. NULL: it is at work in an event already, or no slot was left.
pmt_thread_t *pmt_event_begin_sigsafe(pmt_session_t *session, uint64_t *now);
// False: lost, and counted.
bool pmt_event_write_sigsafe(pmt_session_t *session, pmt_thread_t *thread, const pmt_event_t *event);
// A record that is no event of an engine: the time is its first word.
typedef struct pmt_change_s {
    unsigned type;  // pmt_raw_e
    unsigned flags;
    uint32_t arg;
    uint64_t words[4];
    unsigned count;  // of words
    enum pmt_change_stack_e { PMT_STACK_NOT_NEEDED, PMT_STACK_PRESENT, PMT_STACK_UNKNOWN } stack;  // that it goes with; unknown: as if no Python ran
} pmt_change_t;
// False: lost, and counted as an event.
bool pmt_event_change_sigsafe(pmt_session_t *session, pmt_thread_t *thread, const pmt_change_t *change);
// All is recorded; what it cost is booked elsewhere.
void pmt_event_settle_sigsafe(pmt_thread_t *thread);
// All is recorded; books what the event cost since `begin`. Returns the time.
uint64_t pmt_event_rest_sigsafe(pmt_session_t *session, pmt_thread_t *thread, uint64_t begin);
void pmt_event_end_sigsafe(pmt_thread_t *thread);

// Somebody has read RSS (pages 0: could not): the present number, the peak, and whether it has fallen so far that a residency snapshot is due. `now`: when; 0: the clock is
// asked if that matters.
void pmt_event_saw_rss_sigsafe(pmt_session_t *session, uint64_t pages, uint64_t now);
// How RSS changed since the last reading by any thread. `time`: when the event began; if the thread lost its CPU between that and a reading that matters, it becomes the
// reading's time.
pmt_rss_step_t pmt_event_rss_step_sigsafe(pmt_session_t *session, uint64_t *time);

// Claims a slot for the calling thread ahead of its first event, if it has none.
void pmt_event_adopt_thread(void);
// The calling thread's slot. `busy` is set for good where there is none.
pmt_thread_t *pmt_event_thread(void);

// The id of a thing that events name, which `describe(thing)` describes to the recorder at first sight; found again by key and check. With the flags of code_table.h. 0: lost.
typedef void (*pmt_describe_t)(uint64_t thing, pmt_code_info_t *out);
uint32_t pmt_event_define(uint64_t key, uint32_t check, pmt_describe_t describe, uint64_t thing);

// Tells the recorder in which module the code object of this id runs. False: it is not told. As pmt_event_define.
bool pmt_event_place_code(uint32_t id, const char *module, size_t size);

// Tells the recorder the calling thread's name. Nothing happens while no trace runs.
void pmt_event_name_thread(const char *name, size_t size);

// Writes a record of three words into the calling thread's ring: arg, the present time, a value.
void pmt_event_note(unsigned type, uint32_t arg, uint64_t value);

// In a fork child: no handler of this process records any more.
void pmt_event_disown_sigsafe(void);

// No thread's slot is its own any more: each is adopted anew by its next event.
void pmt_event_forget_threads(void);

// Waits until no handler is at work in the session, which is no longer active. False: the time is over.
bool pmt_event_quiet(uint64_t timeout_ns);
