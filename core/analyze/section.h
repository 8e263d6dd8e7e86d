// The events of one section, for the aggregates over events: from the events of whole threads those that happened while it was on. A thread's frames that are open when the
// section begins or goes on are OPENed for it, and DROPped where it ends or is suspended, so that what is left nests.
//
// The section's own thread knows from the NOTEs among its events where the section is on; the others by their times.
#pragma once

#include "analyze/calls.h"
#include "analyze/profile.h"
#include "analyze/sieve.h"
#include "format/events.h"

typedef struct pmt_span_on_s {
    uint64_t from, to;  // ns
} pmt_span_on_t;

typedef struct pmt_section_thread_s {
    uint32_t *codes;  // of its open frames
    uint32_t count, room;
    uint32_t span;  // the first that has not ended for it
    bool on;
    uint64_t time;  // of its last event
    int64_t rss;
} pmt_section_thread_t;

typedef struct pmt_section_s {
    uint64_t pid, number, since, until;  // ns: where it is looked for
    pmt_span_on_t *spans;  // in which it is on
    uint32_t span_count, span_room;
    uint32_t owner;  // thread
    pmt_sieve_t sieve;  // what it shows
    pmt_section_thread_t *threads;
    uint32_t thread_count, thread_room;
} pmt_section_t;

// Looks for the section in the file, of which the profile tells, and which stays. 0 (there may be none) or -errno.
int pmt_section_find(pmt_section_t *section, const pmt_choice_t *choice, const pmt_profile_t *profile, const char *path, char error[PMT_ERROR_MAX]);
void pmt_section_fini(pmt_section_t *section);

// Stands between a replay and the aggregate. 0 or -ENOMEM.
int pmt_section_add_thread(pmt_section_t *section, uint32_t process);
int pmt_section_event(pmt_section_t *section, pmt_calls_t *calls, uint32_t thread, const pmt_trace_event_t *event);
int pmt_section_fault(pmt_section_t *section, pmt_calls_t *calls, uint32_t thread, uint64_t time, uint64_t pages, int64_t rss);
int pmt_section_note(pmt_section_t *section, pmt_calls_t *calls, const pmt_record_t *note, int64_t rss);
int pmt_section_end(pmt_section_t *section, pmt_calls_t *calls);
