// Writes a trace file: records into a block buffer, blocks through zstd and CRC to a descriptor. The mirror image is reader.h.
// Used by the recorder only; one thread. Memory: one raw and one stored buffer and a zstd context (about 3 MiB), allocated once.
// A file that may not or cannot grow loses its details, not its end. Records are of three kinds: details (most), facts about processes, and the end; each leaves
// room for those after it. From the first detail on that does not fit the limit, or from a failed write on, details are only counted (LEFT_OUT says so). A failed
// write is undone, so that the file stays readable, and facts and the end are still tried.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/wire.h"

typedef struct pmt_writer_s pmt_writer_t;

// Writes the file header to `fd` (borrowed). 0 or -errno.
int pmt_writer_new(int fd, uint64_t t0, uint64_t wall, uint32_t page_size, pmt_writer_t **out);
void pmt_writer_free(pmt_writer_t *writer);

// Ends the block being filled and writes it. 0 or -errno (the sticky error).
int pmt_writer_flush(pmt_writer_t *writer);
int pmt_writer_error(const pmt_writer_t *writer);  // of the first write that failed; 0: none
// The file is not to grow beyond `limit` bytes (0: no limit), at least PMT_WRITER_LIMIT_MIN. To be called before the first record.
enum { PMT_WRITER_LIMIT_MIN = 64 << 10 };
void pmt_writer_limit(pmt_writer_t *writer, uint64_t limit);
// What is only counted so far; no faults and time 0: nothing.
typedef struct pmt_left_out_s {
    uint64_t time;    // up to this time everything is in the file
    uint64_t faults;  // after it, as are these
    uint64_t pages;   // by which they raised RSS
    uint64_t events;  // calls, returns and lines
} pmt_left_out_t;
bool pmt_writer_left_out(const pmt_writer_t *writer, pmt_left_out_t *out);  // false: nothing is left out
bool pmt_writer_almost_full(const pmt_writer_t *writer);  // or nothing is written any more: the next record may be the first that is left out
size_t pmt_writer_pending(const pmt_writer_t *writer);  // bytes not yet in a block

void pmt_writer_meta(pmt_writer_t *writer, uint64_t scope, const char *key, const char *value, size_t length);
void pmt_writer_process(pmt_writer_t *writer, uint64_t pid, uint64_t parent, uint64_t time);
void pmt_writer_process_end(pmt_writer_t *writer, uint64_t process, unsigned kind, uint64_t value, uint64_t time);
void pmt_writer_thread(pmt_writer_t *writer, uint64_t process, uint64_t tid, uint64_t time, const char *name, size_t length);
void pmt_writer_thread_name(pmt_writer_t *writer, uint64_t thread, const char *name, size_t length);
void pmt_writer_code(pmt_writer_t *writer, uint64_t process, uint64_t id, uint64_t first_line, const char *file, size_t file_length,
                     const char *name, size_t name_length);
void pmt_writer_code_lines(pmt_writer_t *writer, uint64_t process, uint64_t id, const void *piece, size_t length);
void pmt_writer_code_module(pmt_writer_t *writer, uint64_t process, uint64_t id, const char *module, size_t length);
void pmt_writer_module(pmt_writer_t *writer, uint64_t process, uint64_t start, uint64_t size, uint64_t offset, const char *path);
void pmt_writer_mark(pmt_writer_t *writer, uint64_t process, uint64_t time, unsigned kind, uint64_t rss);
void pmt_writer_period(pmt_writer_t *writer, uint64_t process, uint64_t time, uint64_t period);
void pmt_writer_lost(pmt_writer_t *writer, uint64_t thread, uint64_t time, uint64_t count);
void pmt_writer_counter(pmt_writer_t *writer, uint64_t process, const char *name, uint64_t value);
void pmt_writer_trailer(pmt_writer_t *writer, uint64_t time);  // after what is left out, if anything is

void pmt_writer_round(pmt_writer_t *writer, uint64_t delta);
void pmt_writer_batch(pmt_writer_t *writer, uint64_t thread);
void pmt_writer_node(pmt_writer_t *writer, uint64_t back, uint64_t code, uint64_t offset);
void pmt_writer_node_reset(pmt_writer_t *writer);
void pmt_writer_site(pmt_writer_t *writer, int64_t delta, uint64_t module);
void pmt_writer_sample(pmt_writer_t *writer, uint64_t process, uint64_t delta, const int64_t kib[4]);
void pmt_writer_cgroup(pmt_writer_t *writer, uint64_t delta, int64_t usage_kib, uint64_t limit_kib_plus_1);
void pmt_writer_weight(pmt_writer_t *writer, uint64_t period);

// A fault against the previous one of its thread. flags: PMT_FAULT_SAME_NODE, PMT_FAULT_SAME_SITE, PMT_FAULT_BY_TIME; ONE and MORE are set here.
typedef struct pmt_fault_fields_s {
    unsigned flags;
    unsigned more;   // pmt_wire_fault_more_e
    int64_t time;    // ns, difference
    int64_t address; // bytes, difference
    uint64_t rise;   // pages
    uint64_t node;
    uint64_t site;
    uint64_t caller; // site; written with PMT_FAULT_CALLER in `more`
    int64_t rss;     // pages, difference; written with PMT_FAULT_RSS
    uint64_t fell_to; // pages; written with PMT_FAULT_FELL
    uint32_t period; // faults that it stands for
} pmt_fault_fields_t;
void pmt_writer_fault(pmt_writer_t *writer, const pmt_fault_fields_t *fault);

// An EVENTS record's columns, encoded as the format says. The caller sees to it that the events nest.
enum { PMT_EVENT_TIME_MAX = 10, PMT_EVENT_VALUE_MAX = 5 };  // bytes of one event
typedef struct pmt_event_columns_s {
    uint32_t count;
    uint32_t times_size, values_size;
    uint8_t kinds[PMT_WIRE_EVENTS_MAX];
    uint8_t times[PMT_WIRE_EVENTS_MAX * PMT_EVENT_TIME_MAX];
    uint8_t values[PMT_WIRE_EVENTS_MAX * PMT_EVENT_VALUE_MAX];
} pmt_event_columns_t;
// How many of them are calls, returns and lines.
uint32_t pmt_writer_events(pmt_writer_t *writer, uint64_t thread, const pmt_event_columns_t *columns);
void pmt_writer_note(pmt_writer_t *writer, uint64_t thread, uint64_t time, unsigned what, uint64_t number, const char *text, size_t length);

// Residency: a snapshot, its regions and what is in them, its end. `runs`: at most PMT_WIRE_RUNS_MAX bytes, encoded as the format says. kib: anon, file, shmem, swap.
void pmt_writer_snapshot(pmt_writer_t *writer, uint64_t process, uint64_t time, unsigned kind, uint64_t since, const char *name, size_t length);
void pmt_writer_region(pmt_writer_t *writer, uint64_t process, uint64_t first, uint64_t pages, unsigned kind, const char *path);
void pmt_writer_resident(pmt_writer_t *writer, uint64_t process, uint64_t time, uint64_t first, const uint8_t *runs, size_t size);
void pmt_writer_snapshot_end(pmt_writer_t *writer, uint64_t process, uint64_t time, unsigned error, const uint64_t kib[4], uint64_t rollup_kib_plus_1);
void pmt_writer_move(pmt_writer_t *writer, uint64_t thread, uint64_t time, uint64_t from, uint64_t to, uint64_t pages);
typedef struct pmt_release_fields_s {
    uint64_t time, node;
    unsigned what;  // pmt_release_e
    uint64_t first, pages, fell;
} pmt_release_fields_t;
void pmt_writer_release(pmt_writer_t *writer, uint64_t thread, const pmt_release_fields_t *release);
void pmt_writer_allocator(pmt_writer_t *writer, uint64_t process, uint64_t time, const char *name, uint64_t value);

// What is left out of the events, by function. sums: in the order of the format. Written as far as there is room, as is the function's CODE if that was left out too.
enum { PMT_SUMMARY_SUMS = 9 };
void pmt_writer_summary(pmt_writer_t *writer, uint64_t process, uint64_t code, const uint64_t sums[PMT_SUMMARY_SUMS], int64_t largest);
void pmt_writer_summary_code(pmt_writer_t *writer, uint64_t process, uint64_t id, uint64_t first_line, const char *file, size_t file_length, const char *name,
                             size_t name_length);
