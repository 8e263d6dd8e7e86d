// A trace read into aggregates: stacks with what was touched at them, threads, processes, native instructions. Memory is bounded by the distinct stacks, not
// by the trace's length. Two steps: pmt_profile_read streams the file; pmt_tables_build (tables.h) makes the tables of reports from it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "analyze/highs.h"
#include "analyze/names.h"
#include "format/reader.h"

typedef struct pmt_weight_s {
    uint64_t pages;    // touched
    uint64_t faults;
    uint64_t by_time;  // pages of those labelled so
    uint64_t fill;     // pages found by fill (owners.h); of what was touched none
} pmt_weight_t;

// A frame below its parent, as recorded: code object and instruction offset.
typedef struct pmt_raw_node_s {
    uint32_t parent;  // number of the parent, UINT32_MAX: none (a process root)
    uint32_t process;
    uint32_t code, offset;
    pmt_weight_t self;
} pmt_raw_node_t;
enum { PMT_RAW_NODE_KEY = 16 };

typedef struct pmt_code_s {
    uint32_t process, id;
    uint32_t first_line;
    uint32_t file, name;  // texts
    bool named;           // a CODE was read, not only its CODE_LINES
    bool placed;          // a CODE_MODULE was read
    uint32_t module;      // text
    uint8_t *lines;       // packed (format/lines.h); owned
    size_t lines_size;
} pmt_code_t;
enum { PMT_CODE_KEY = 8 };

// A place in native code: module and offset in the module's file. Without a module the address itself.
typedef struct pmt_place_s {
    uint64_t offset;
    uint32_t path;  // text; UINT32_MAX: no module
    uint32_t unused;
    pmt_weight_t all;     // every fault there
    pmt_weight_t native;  // those without a Python frame, at their caller outside the C library where that is known
} pmt_place_t;
enum { PMT_PLACE_KEY = 16 };

typedef struct pmt_thread_row_s {
    uint32_t process;
    uint64_t tid;
    uint32_t name;  // text
    pmt_weight_t touched;
} pmt_thread_row_t;

typedef struct pmt_pair_s {
    uint32_t key;  // text
    uint32_t text; // of a META
    uint64_t value;// of a COUNTER
} pmt_pair_t;

typedef struct pmt_pairs_s {
    pmt_pair_t *list;
    uint32_t count, room;
} pmt_pairs_t;

typedef struct pmt_process_row_s {
    uint64_t pid, parent, start;
    pmt_pairs_t meta, counters;
    bool has_end, has_rss_start, has_rss_end, sampled;
    uint64_t end_kind, end_value, end_time;
    int64_t rss_start, rss_end, rss_peak;  // bytes; negative only in a hostile file
    uint64_t peak_time, exit_time;         // of rss_peak; when the process said that it was about to exit, 0: it did not
    pmt_weight_t touched;
    uint64_t period, period_changes;
} pmt_process_row_t;

typedef struct pmt_module_row_s {
    uint64_t start, offset;
    uint32_t path;
} pmt_module_row_t;

// A residency snapshot: of which process, why, when.
typedef struct pmt_snapshot_row_s {
    uint32_t process, kind;    // pmt_snapshot_e
    uint64_t time, end, error; // end 0: it has none; error: errno
    uint32_t name;             // text
} pmt_snapshot_row_t;

// A mark of the program, in the event log of a thread.
typedef struct pmt_note_row_s {
    uint32_t thread, text;
    uint64_t time;
} pmt_note_row_t;
enum { PMT_NOTES_MAX = 4096 };  // so many are kept, the first; the log has all

// What a process's allocators said of themselves.
typedef struct pmt_allocator_row_s {
    uint32_t process, name;  // text
    uint64_t time, value;
} pmt_allocator_row_t;

typedef struct pmt_profile_s {
    pmt_file_info_t info;
    bool complete;
    uint64_t good_bytes;
    uint64_t duration;  // ns: the trailer's time, of a cut file the latest time in it
    uint64_t trailer;
    uint64_t signals;   // FAULT records
    uint64_t event_records;  // EVENTS and SUMMARY records
    uint64_t lost;
    bool left_out;  // the file lacks what came after left_out_at, but for these sums
    uint64_t left_out_at, left_out_faults, left_out_pages, left_out_events, left_out_error;  // error: errno; 0: a limit was reached
    int64_t limit_kib;  // -1: none seen
    int64_t cgroup_peak_kib;
    bool has_cgroup;
    pmt_texts_t texts;
    pmt_pairs_t meta;
    pmt_highs_t highs;  // of the first process
    pmt_process_row_t *processes;
    uint32_t process_count, process_room;
    pmt_thread_row_t *threads;
    uint32_t thread_count, thread_room;
    pmt_module_row_t *modules;
    uint32_t module_count, module_room;
    pmt_snapshot_row_t *snapshots;
    uint32_t snapshot_count, snapshot_room;
    pmt_note_row_t *notes;
    uint32_t note_count, note_room;
    pmt_allocator_row_t *allocators;
    uint32_t allocator_count, allocator_room;
    pmt_table_t codes;   // pmt_code_t
    pmt_table_t nodes;   // pmt_raw_node_t
    pmt_table_t places;  // pmt_place_t
    uint32_t *node_of;   // number in the file -> in `nodes`
    uint32_t node_of_room;
    uint32_t *place_of;  // site number -> in `places`
    uint32_t place_of_room;
} pmt_profile_t;

// Reads the file; pid 0: all processes, else only that one's faults count. 0, -errno, -EBADMSG with one line in `error`, -ESRCH: no such pid.
int pmt_profile_read(pmt_profile_t *profile, const char *path, uint64_t pid, char error[PMT_ERROR_MAX]);

// The same in steps, for those who look at each record too: begin opens the file; add takes each record; end follows the last. A profile that was begun needs fini, whatever failed;
// the caller closes the reader.
int pmt_profile_begin(pmt_profile_t *profile, const char *path, pmt_reader_t **reader, char error[PMT_ERROR_MAX]);
int pmt_profile_add(pmt_profile_t *profile, const pmt_record_t *record, uint64_t pid);
int pmt_profile_end(pmt_profile_t *profile, pmt_reader_t *reader, uint64_t pid);
// Opens the file once more, up to where the finished profile has read it. As pmt_reader_open; -EBADMSG too if it is another trace by now.
int pmt_profile_reopen(const pmt_profile_t *profile, const char *path, pmt_reader_t **reader, char error[PMT_ERROR_MAX]);
// A NODE alone: node_of tells its number in `nodes`. For who reads the file again.
int pmt_profile_node(pmt_profile_t *profile, const pmt_record_t *record);

void pmt_profile_fini(pmt_profile_t *profile);

// The code object of an id, NULL if nothing of it was read.
const pmt_code_t *pmt_profile_code(const pmt_profile_t *profile, uint32_t process, uint32_t id);

// The number of the text that a NOTE reads as (what it says of a section in words), or -ENOMEM.
int64_t pmt_profile_note(pmt_profile_t *profile, const pmt_record_t *r);

// The value of a counter, 0 if there is none.
uint64_t pmt_profile_counter(const pmt_profile_t *profile, const pmt_process_row_t *process, const char *name);
