// Reads a trace file front to back, one record at a time, in memory that does not depend on its length: one block's stored and raw bytes. Trace files are untrusted:
// every length, index and checksum is verified here, so that what is handed out refers only to what was defined. The mirror image is writer.h.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pmt_reader_s pmt_reader_t;

typedef struct pmt_text_s {
    const char *data;  // borrowed until the next record
    size_t size;
} pmt_text_t;

// A decoded record: absolute values, the deltas are undone. `type` is a pmt_wire_type_e; a FAULT's is PMT_WIRE_FAULT whatever its flags.
typedef struct pmt_record_s {
    unsigned type;
    uint64_t time;  // ns since t0, where the record has one
    union {
        struct { uint64_t scope; pmt_text_t key, value; } meta;
        struct { uint64_t pid, parent; } process;
        struct { uint64_t process, kind, value; } process_end;
        struct { uint64_t process, tid; pmt_text_t name; } thread;
        struct { uint64_t thread; pmt_text_t name; } thread_name;
        struct { uint64_t process, id, first_line; pmt_text_t file, name; } code;
        struct { uint64_t process, id; pmt_text_t piece; } code_lines;
        struct { uint64_t process, id; pmt_text_t module; } code_module;
        struct { uint64_t process, start, size, offset; pmt_text_t path; } module;
        struct { uint64_t process, kind, rss; } mark;
        struct { uint64_t process, period; } period;
        struct { uint64_t thread, count; } lost;
        struct { uint64_t process; pmt_text_t name; uint64_t value; } counter;
        struct { uint64_t faults, pages, error, events; } left_out;
        struct { uint32_t number, parent, code, offset; } node;
        struct { uint32_t number; uint64_t address; uint32_t module; } site;
        struct { uint64_t process; int64_t kib[4]; } sample;  // anon, file, shmem, swap
        struct { int64_t usage_kib, limit_kib; } cgroup;      // limit -1: none
        struct {
            uint32_t thread, node, site;
            uint32_t caller;  // site; 0: none
            uint64_t address, rise, weight;  // rise in pages, weight in faults
            bool by_time, async, tick, has_rss, fell;
            int64_t rss;  // pages, as the difference to the thread's last RSS; pmt_decoder_fault makes it absolute
            uint64_t fell_to;  // pages: RSS, if it fell
        } fault;
        struct {
            uint32_t thread, count;
            const uint8_t *kinds, *times, *values, *end;  // borrowed like texts: the columns, each up to the next; events.h decodes them
        } events;
        struct { uint64_t thread, what, number; pmt_text_t text; } note;
        struct { uint64_t process, kind, since; pmt_text_t name; } snapshot;  // kind: pmt_snapshot_e
        struct { uint64_t process, first, pages, kind; pmt_text_t path; } region;  // kind: pmt_region_e
        struct { uint64_t process, first; const uint8_t *runs, *end; } resident;  // borrowed; pmt_resident_next decodes them
        struct { uint64_t process, error; int64_t kib[4], rollup_kib; } snapshot_end;  // anon, file, shmem, swap; rollup -1: not asked
        struct { uint64_t thread, from, to, pages; } move;
        struct { uint64_t thread; uint32_t node; uint64_t what, first, pages, fell; } release;  // what: pmt_release_e; fell in pages
        struct { uint64_t process; pmt_text_t name; uint64_t value; } allocator;
        struct { uint64_t process, id, values[9]; int64_t largest; } summary;  // values: calls, then self and total of time, growth, release, touched
    } u;
} pmt_record_t;

typedef struct pmt_file_info_s {
    unsigned major, minor;
    uint64_t t0, wall;  // ns
    uint32_t page_size;
    uint64_t file_size;
} pmt_file_info_t;

enum { PMT_ERROR_MAX = 160 };

// Opens a trace. 0; -errno if the file cannot be read; -EBADMSG with one line in `error` if it is not such a file.
int pmt_reader_open(const char *path, pmt_reader_t **out, char error[PMT_ERROR_MAX]);
void pmt_reader_close(pmt_reader_t *reader);
// Reads no block from this byte of the file on: for who reads a file for the second time that may be growing.
void pmt_reader_limit(pmt_reader_t *reader, uint64_t bytes);
const pmt_file_info_t *pmt_reader_info(const pmt_reader_t *reader);

// 1: *record is the next one; 0: the end of what is readable; -EBADMSG: the file is corrupt (pmt_reader_problem says how); other negative: -errno.
int pmt_reader_next(pmt_reader_t *reader, pmt_record_t *record);
const char *pmt_reader_problem(const pmt_reader_t *reader);
// Puts that problem, and where it is, into `error` if `err` is -EBADMSG.
void pmt_reader_explain(const pmt_reader_t *reader, int err, char error[PMT_ERROR_MAX]);

// The next run of a RESIDENT; false at its end. The reader has checked that the runs decode and where they end.
bool pmt_resident_next(const uint8_t **at, const uint8_t *end, uint64_t *pages, unsigned *state);

// After the end: the trailer was there; else the file was cut after so many good bytes.
bool pmt_reader_complete(const pmt_reader_t *reader);
uint64_t pmt_reader_good_bytes(const pmt_reader_t *reader);
