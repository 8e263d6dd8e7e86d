// What the parts of the writer share: its state, and how a record is put together at the end of the raw buffer. Included by writer*.c only: writer.c makes the file
// of blocks and decides whether a record has room in it, the others know what a record holds.
#pragma once

#include "base/check.h"
#include "base/varint.h"
#include "format/wire.h"
#include "format/writer.h"

#include <string.h>
#include <zstd.h>

enum {
    BLOCK = 128 << 10,         // a block is written when it holds this much
    EVENTS_BLOCK = 256 << 10,  // if it is events for the most part: an eighth less time
    RECORD = 136 << 10,        // the longest record; longer texts are cut
    LENGTH_BYTES = 3,          // of a definition's length
};

// Of records: what they give way to when there is little room (writer.h).
enum kind { DETAIL, FACT, END };

// What the records so far hold.
typedef struct holds_s {
    uint64_t processes;
    uint64_t round;  // time of the last ROUND
    uint64_t faults, pages, events;
} holds_t;

struct pmt_writer_s {
    int fd;
    int error;    // 0 or -errno, sticky
    bool broken;  // a failed write could not be undone: nothing can follow it
    bool closed;  // details are only counted
    uint32_t sequence;
    uint64_t size, limit;  // of the file, in bytes; no limit: UINT64_MAX
    holds_t held;          // in the file and in raw
    holds_t kept;          // in the file
    holds_t left_out;      // in neither
    holds_t adding;        // in the record being built
    uint64_t processes;    // in all: their numbers run on
    size_t event_bytes;  // of raw: in EVENTS records
    uint8_t *at;      // next free byte of raw
    uint8_t *record;  // where the record being built begins
    ZSTD_CCtx *zstd;
    size_t stored_capacity;
    uint8_t *stored;
    uint8_t raw[EVENTS_BLOCK + RECORD];
};

// Ends the record that was begun: it stays, or is counted as left out.
void pmt_writer_end(pmt_writer_t *writer, enum kind kind);
void pmt_put_bytes(pmt_writer_t *writer, const void *data, size_t length);
void pmt_put_text(pmt_writer_t *writer, const void *text, size_t length);  // file names and thread names may be any bytes; the format has text

// A fact about a process that the file does not have must not be written.
static inline bool
is_known(const pmt_writer_t *writer, uint64_t process)
{
    return !writer->closed || process < writer->held.processes;
}

static inline void
put_u(pmt_writer_t *writer, uint64_t n)
{
    writer->at = pmt_varint_put(writer->at, n);
}

static inline void
put_s(pmt_writer_t *writer, int64_t n)
{
    put_u(writer, pmt_zigzag(n));
}

// Several unsigned numbers.
#define put_all(writer, ...) put_each(writer, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static inline void
put_each(pmt_writer_t *writer, const uint64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put_u(writer, numbers[i]);
    }
}

static inline void
put_column(pmt_writer_t *writer, const uint8_t *column, size_t size)
{
    memcpy(writer->at, column, size);
    writer->at += size;
}

// A length that is known only after what it counts: a varint padded to LENGTH_BYTES.
static inline void
put_padded(uint8_t *out, size_t n)
{
    out[0] = (uint8_t)(n | 0x80);
    out[1] = (uint8_t)(n >> 7 | 0x80);
    out[2] = (uint8_t)(n >> 14);
}

static inline void
begin(pmt_writer_t *writer, unsigned type)
{
    PMT_ASSERT(pmt_writer_pending(writer) < EVENTS_BLOCK);
    writer->record = writer->at;
    writer->adding = (holds_t){0};
    *writer->at++ = (uint8_t)type;
}

static inline uint8_t *
begin_definition(pmt_writer_t *writer, unsigned type)
{
    begin(writer, type);
    uint8_t *length = writer->at;
    writer->at += LENGTH_BYTES;
    return length;
}

static inline void
end_definition(pmt_writer_t *writer, uint8_t *length, enum kind kind)
{
    put_padded(length, (size_t)(writer->at - length - LENGTH_BYTES));
    pmt_writer_end(writer, kind);
}
