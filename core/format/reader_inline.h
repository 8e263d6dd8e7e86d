// What the parts of the reader share: its state, and a cursor over a record's fields. Included by reader*.c only: reader.c reads blocks and finds the records in them,
// the others decode what a record holds.
#pragma once

#include "base/array.h"
#include "base/utf8.h"
#include "base/varint.h"
#include "format/reader.h"
#include "format/wire.h"

#include <zstd.h>

// A file defines what it refers to, but nothing bounds the numbers: more than this is no trace.
enum { COUNT_MAX = PMT_ARRAY_MAX };

// What the next record of a thread is relative to.
typedef struct thread_state_s {
    uint64_t time, address, weight;
    uint32_t node, site;
    bool has_node, has_site;
} thread_state_t;

typedef struct process_state_s {
    uint64_t sampled;
    int64_t sample[4];
} process_state_t;

struct pmt_reader_s {
    int fd;
    pmt_file_info_t info;
    ZSTD_DCtx *zstd;
    uint8_t *stored, *raw;
    size_t stored_size, raw_size;  // capacities
    const uint8_t *at, *end;       // of the block being read
    uint64_t offset;               // in the file, of the next block
    uint64_t good, limit;
    uint32_t sequence;
    bool complete, ended;
    const char *problem;
    // the format's running state
    thread_state_t *threads;
    process_state_t *processes;
    uint32_t thread_count, process_count, module_count, node_count, site_count;
    uint32_t thread_room, process_room;
    int64_t batch;
    uint64_t round, cgroup_time, site_address;
    int64_t cgroup_kib;
};

// The decoders of a record's fields. What is not there or makes no sense clears fields->ok.
typedef struct fields_s {
    const uint8_t *at, *end;
    bool ok;
} fields_t;

int pmt_read_definition(pmt_reader_t *reader, fields_t *f, pmt_record_t *r);  // 0 or -ENOMEM
void pmt_read_residency(pmt_reader_t *reader, fields_t *f, pmt_record_t *r);
void pmt_read_events(pmt_reader_t *reader, fields_t *f, pmt_record_t *r);
void pmt_read_fault(pmt_reader_t *reader, unsigned flags, fields_t *f, pmt_record_t *r);
void pmt_read_stream(pmt_reader_t *reader, fields_t *f, pmt_record_t *r);

static inline uint64_t
take_u(fields_t *fields)
{
    uint64_t n = 0;
    fields->ok = fields->ok && pmt_varint_get(&fields->at, fields->end, &n);
    return n;
}

static inline int64_t
take_s(fields_t *fields)
{
    return pmt_unzigzag(take_u(fields));
}

static inline pmt_text_t
take_bytes(fields_t *fields)
{
    uint64_t size = take_u(fields);
    if (!fields->ok || size > (uint64_t)(fields->end - fields->at)) {
        fields->ok = false;
        return (pmt_text_t){"", 0};
    }
    pmt_text_t text = {(const char *)fields->at, size};
    fields->at += size;
    return text;
}

static inline pmt_text_t
take_text(fields_t *fields)
{
    pmt_text_t text = take_bytes(fields);
    fields->ok = fields->ok && pmt_utf8_valid(text.data, text.size);
    return text;
}

// An index below `count`.
static inline uint64_t
take_index(fields_t *fields, uint64_t count)
{
    uint64_t n = take_u(fields);
    fields->ok = fields->ok && n < count;
    return n;
}

// Sums wrap without undefined behaviour: a hostile file gets nonsense, not a trap.
static inline int64_t
add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}
