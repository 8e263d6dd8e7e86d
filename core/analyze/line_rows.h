// What the log says of each line: how often it ran, its time, what RSS did while it ran. A line runs from its event to the next line of the same frame or the frame's end, with
// all that it calls; where it is on the stack more than once it counts once. Fed like calls.h; needs the finished profile, since lines are told apart by file.
#pragma once

#include "analyze/profile.h"
#include "analyze/stacks.h"
#include "format/events.h"

typedef struct pmt_line_row_s {
    uint32_t file, line;  // file: text
    uint64_t hits;
    uint64_t time;             // ns
    uint64_t growth, release;  // pages
    int64_t largest;           // pages: the highest RSS while it ran once, less the RSS at its beginning
} pmt_line_row_t;
enum { PMT_LINE_ROW_KEY = 8 };

typedef struct pmt_line_rows_s {
    pmt_table_t rows;  // pmt_line_row_t
    uint32_t rows_max;
    uint64_t left_out;  // hits of further lines
    pmt_stacks_t stacks;
    const pmt_profile_t *profile;
} pmt_line_rows_t;

void pmt_line_rows_init(pmt_line_rows_t *lines, const pmt_profile_t *profile, uint32_t rows_max);
void pmt_line_rows_fini(pmt_line_rows_t *lines);
int pmt_line_rows_add_thread(pmt_line_rows_t *lines, uint32_t process, bool idle);
int pmt_line_rows_events(pmt_line_rows_t *lines, uint32_t thread, const pmt_trace_event_t *events, uint32_t count);
void pmt_line_rows_fault(pmt_line_rows_t *lines, uint32_t thread, int64_t rss);
void pmt_line_rows_end(pmt_line_rows_t *lines);
