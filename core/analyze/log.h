// The rows of a trace's event log in the order of time, over all threads and processes, one after the other: what `pymemtrace log` shows. Threads are merged between two ROUNDs,
// so memory is that of a round's rows, and bounded.
//
// RSS is the process's. A row's change is that to the process's row before it, whether or not that is shown, so the changes of all rows add up to the last RSS less the first.
#pragma once

#include <stdbool.h>

#include "analyze/offsets.h"
#include "analyze/profile.h"
#include "analyze/sieve.h"
#include "format/events.h"

enum pmt_log_kind_e {  // up to PMT_LOG_LINE those of the file (wire.h)
    PMT_LOG_LINE = 10,
    PMT_LOG_FAULT = 11,
    PMT_LOG_MARK = 12,  // of the program, of a section, and the process's start and end
    PMT_LOG_LOST = 13,
    PMT_LOG_KINDS,
};

#define PMT_LOG_NONE UINT32_MAX  // no text, no thread

typedef struct pmt_log_row_s {
    uint64_t time;        // ns since t0
    int64_t rss, change;  // pages
    uint64_t count;       // FAULT: pages it brought in; LOST: events; MARK: number of the section
    uint32_t process, thread;
    uint32_t depth;       // open frames that began in the log, outside of the row's frame
    uint32_t code;
    uint32_t file, name;  // texts of the profile
    uint32_t line;        // 0: none
    uint32_t text;        // MARK: its text; UNWIND: the exception's name
    uint8_t kind;
    uint8_t note;         // MARK: pmt_note_e, 0: of the process
    bool hidden;          // the section does not show it; what it says of RSS counts all the same
} pmt_log_row_t;

// The rows of one section, from its beginning to its end, without what happened while it was suspended. A row's change is that to the section's row before.
typedef struct pmt_log_section_s {
    uint64_t number;  // 0: none is asked for. Sections are a process's: with it goes a pid
    pmt_choice_t choice;  // what it shows. Faults, marks and losses always are
    uint64_t trigger;     // pages: rows whose RSS differs by so much from that of the row before, the first and the last, marks and losses. 0: all
} pmt_log_section_t;

typedef struct pmt_log_filter_s {
    uint64_t pid;           // 0: all
    uint64_t since, until;  // ns
    uint64_t min_change;    // pages: rows that changed RSS by so much, and the row before each. 0: all rows
    const uint8_t *names;   // by text: functions of this name are shown; NULL: all. Behind names_count: not
    const uint8_t *threads; // by number, likewise
    uint32_t names_count, threads_count;
    uint32_t kinds;         // a bit each: 1 << pmt_log_kind_e; 0: all
    pmt_log_section_t section;
} pmt_log_filter_t;

typedef struct pmt_log_s pmt_log_t;

// Opens the log of a trace; reads the whole file once for its names. As pmt_profile_read.
int pmt_log_open(pmt_log_t **log, const char *path, char error[PMT_ERROR_MAX]);
void pmt_log_close(pmt_log_t *log);
const pmt_profile_t *pmt_log_profile(const pmt_log_t *log);
// Before the first row. What it points to must stay. 0 or -ENOMEM.
int pmt_log_filter(pmt_log_t *log, const pmt_log_filter_t *filter);

// 1: *row is the next row; 0: the end; -EAGAIN: none yet, after many rows that are not shown: ask again; other negative: an error.
int pmt_log_next(pmt_log_t *log, pmt_log_row_t *row, char error[PMT_ERROR_MAX]);
