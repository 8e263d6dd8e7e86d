// What the log lacks, in sums: once the file may not grow any more, the calls that follow are counted by function here (analyze/calls.h), and written as SUMMARY records at the
// end. Memory is bounded: functions beyond ROWS_MAX share a row, names beyond NAMES_MAX bytes are left out.
//
// A thread enters with its first event that is left out. The frames that were open before the record of that event are those that were marked: marks are set when a record
// of events may begin and the file is full, or almost.
#pragma once

#include <stdint.h>

#include "recorder/events.h"

typedef struct pmt_summary_s pmt_summary_t;

pmt_summary_t *pmt_summary_new(void);  // NULL: no memory
void pmt_summary_free(pmt_summary_t *summary);

// This is the state of the thread whose events come next, none of which are in a record yet.
void pmt_summary_mark(pmt_summary_t *summary, const pmt_event_state_t *state);
// The record was left out. *member: the thread's number here + 1, 0: none yet.
void pmt_summary_events(pmt_summary_t *summary, uint32_t *member, uint32_t process, const pmt_event_columns_t *columns);
void pmt_summary_fault(pmt_summary_t *summary, uint32_t member, uint64_t pages, uint64_t rss);
// The thread has ended, another takes its place; `depth`: its open frames.
void pmt_summary_end_thread(pmt_summary_t *summary, uint32_t member, uint32_t depth);
// A definition was left out.
void pmt_summary_code(pmt_summary_t *summary, uint32_t process, uint32_t id, uint64_t first_line, const char *file, size_t file_size, const char *name, size_t name_size);
// Writes all of it. To be called once.
void pmt_summary_write(pmt_summary_t *summary, pmt_writer_t *writer);
