// The trace file's encoder (writer.h): header, blocks, and whether a record has room in them. Every record is built at the end of the raw buffer, which always has room for the largest one.
#include "format/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/compiler.h"
#include "base/utf8.h"
#include "format/writer_inline.h"
#include "prim/prim.h"

enum {
    TEXT = 40 << 10,      // the longest text in a record (a CODE has two, a META three parts)
    LEVEL = 6,            // zstd's
    EVENTS_LEVEL = 1,     // of a block that is events for the most part: tens of millions come in a second; 3 takes twice the time for 4 % of the bytes
    ZSTD_WINDOW_LOG = 17, // no larger than a block: keeps the context small
    END_ROOM = 512,       // bytes of a limited file that are kept for the last two records
    FACTS_ROOM_MIN = 8 << 10, FACTS_ROOM_MAX = 256 << 10,  // and for facts: an eighth of the limit between these
};

_Static_assert(EVENTS_BLOCK + RECORD <= PMT_WIRE_RAW_MAX, "a block fits the format's limit");
_Static_assert(sizeof(pmt_event_columns_t) + 32 <= RECORD, "a record of events fits");

static void
put_le(uint8_t *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static int
write_header(int fd, uint64_t t0, uint64_t wall, uint32_t page_size)
{
    uint8_t header[PMT_WIRE_HEADER] = {0};
    memcpy(header, PMT_WIRE_MAGIC, 8);
    put_le(header + 8, PMT_WIRE_MAJOR, 2);
    put_le(header + 10, PMT_WIRE_MINOR, 2);
    put_le(header + 12, PMT_WIRE_BYTE_ORDER, 4);
    put_le(header + 24, t0, 8);
    put_le(header + 32, wall, 8);
    put_le(header + 40, page_size, 4);
    put_le(header + 60, crc32(0, header, 60), 4);
    return pmt_prim_file_write(fd, header, sizeof header);
}

int
pmt_writer_new(int fd, uint64_t t0, uint64_t wall, uint32_t page_size, pmt_writer_t **out)
{
    int err = -ENOMEM;
    pmt_writer_t *writer = calloc(1, sizeof *writer);
    if (!writer) {
        return err;
    }
    writer->fd = fd;
    writer->size = PMT_WIRE_HEADER;
    writer->limit = UINT64_MAX;
    writer->at = writer->record = writer->raw;
    writer->stored_capacity = ZSTD_compressBound(sizeof writer->raw);
    writer->stored = malloc(PMT_WIRE_BLOCK_HEADER + writer->stored_capacity);
    writer->zstd = ZSTD_createCCtx();
    if (!writer->stored || !writer->zstd) {
        goto out;
    }
    ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_windowLog, ZSTD_WINDOW_LOG);
    err = write_header(fd, t0, wall, page_size);
out:
    if (err) {
        pmt_writer_free(writer);
        writer = NULL;
    }
    *out = writer;
    return err;
}

void
pmt_writer_free(pmt_writer_t *writer)
{
    if (writer) {
        ZSTD_freeCCtx(writer->zstd);
        free(writer->stored);
        free(writer);
    }
}

int
pmt_writer_error(const pmt_writer_t *writer)
{
    return writer->error;
}

void
pmt_writer_limit(pmt_writer_t *writer, uint64_t limit)
{
    PMT_ASSERT(limit == 0 || limit >= PMT_WRITER_LIMIT_MIN);
    writer->limit = limit ? limit : UINT64_MAX;
}

bool
pmt_writer_left_out(const pmt_writer_t *writer, pmt_left_out_t *out)
{
    *out = (pmt_left_out_t){writer->kept.round, writer->left_out.faults, writer->left_out.pages, writer->left_out.events};
    return writer->closed;
}

bool
pmt_writer_almost_full(const pmt_writer_t *writer)
{
    enum { ALMOST = 4 * (EVENTS_BLOCK + RECORD) };
    return writer->closed || (writer->limit != UINT64_MAX && writer->limit - writer->size < ALMOST);
}

size_t
pmt_writer_pending(const pmt_writer_t *writer)
{
    return (size_t)(writer->at - writer->raw);
}

static bool
is_of_events(const pmt_writer_t *writer)
{
    return writer->event_bytes > pmt_writer_pending(writer) / 2;
}

// What was to be written is lost, what stands in the file is not.
static int
give_up(pmt_writer_t *writer, int err)
{
    writer->error = writer->error ? writer->error : err;
    writer->closed = true;
    writer->left_out.faults += writer->held.faults - writer->kept.faults;
    writer->left_out.pages += writer->held.pages - writer->kept.pages;
    writer->left_out.events += writer->held.events - writer->kept.events;
    writer->held = writer->kept;
    writer->broken = pmt_prim_file_cut(writer->fd, writer->size) < 0;
    return writer->error;
}

int
pmt_writer_flush(pmt_writer_t *writer)
{
    size_t raw = pmt_writer_pending(writer);
    bool of_events = is_of_events(writer);
    writer->at = writer->raw;
    writer->event_bytes = 0;
    if (raw == 0 || writer->broken) {
        return writer->error;
    }
    uint8_t *header = writer->stored, *frame = header + PMT_WIRE_BLOCK_HEADER;
    ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_compressionLevel, of_events ? EVENTS_LEVEL : LEVEL);
    size_t stored = ZSTD_compress2(writer->zstd, frame, writer->stored_capacity, writer->raw, raw);
    if (ZSTD_isError(stored)) {
        return give_up(writer, -EIO);
    }
    memcpy(header, PMT_WIRE_BLOCK_MAGIC, 4);
    put_le(header + 4, writer->sequence, 4);
    put_le(header + 8, stored, 4);
    put_le(header + 12, raw, 4);
    uint32_t crc = (uint32_t)crc32(crc32(0, header, 16), frame, (uInt)stored);
    put_le(header + 16, crc, 4);
    int err = pmt_prim_file_write(writer->fd, header, PMT_WIRE_BLOCK_HEADER + stored);
    if (err) {
        return give_up(writer, err);
    }
    writer->sequence++;
    writer->size += PMT_WIRE_BLOCK_HEADER + stored;
    writer->kept = writer->held;
    return writer->error;
}

// ---- room in the file ----

// Whether a block of so many raw bytes leaves room for the records of later kinds.
static bool
fits(const pmt_writer_t *writer, size_t raw, enum kind kind)
{
    uint64_t facts = writer->limit / 8;
    facts = facts < FACTS_ROOM_MIN ? FACTS_ROOM_MIN : facts > FACTS_ROOM_MAX ? FACTS_ROOM_MAX : facts;
    uint64_t reserved = kind == DETAIL ? facts : kind == FACT ? END_ROOM : 0;
    return writer->size + PMT_WIRE_BLOCK_HEADER + ZSTD_compressBound(raw) + reserved <= writer->limit;
}

// The record just built may not fit: what stands before it is written first, since it will take less room than it might have. False: the record is dropped.
static PMT_COLD bool
make_room(pmt_writer_t *writer, enum kind kind)
{
    size_t length = (size_t)(writer->at - writer->record);
    if (!writer->closed || kind != DETAIL) {
        writer->at = writer->record;
        pmt_writer_flush(writer);
        memmove(writer->raw, writer->record, length);
        writer->record = writer->raw;
        writer->at = writer->raw + length;
        if ((!writer->closed || kind != DETAIL) && fits(writer, length, kind)) {
            return true;
        }
        writer->closed = true;  // numbers and differences run on: without this record no later one could be read
    }
    writer->at = writer->record;
    return false;
}

// ---- records ----

void
pmt_put_bytes(pmt_writer_t *writer, const void *data, size_t length)
{
    length = length > TEXT ? TEXT : length;
    put_u(writer, length);
    memcpy(writer->at, data, length);
    writer->at += length;
}

void
pmt_put_text(pmt_writer_t *writer, const void *text, size_t length)
{
    if (length <= TEXT && pmt_utf8_valid(text, length)) {
        pmt_put_bytes(writer, text, length);
        return;
    }
    uint8_t *size = writer->at;
    writer->at += LENGTH_BYTES;
    size_t n = pmt_utf8_escape(text, length, writer->at, TEXT);
    writer->at += n;
    put_padded(size, n);
}

static void
add(holds_t *to, const holds_t *more)
{
    to->processes += more->processes;
    to->round += more->round;
    to->faults += more->faults;
    to->pages += more->pages;
    to->events += more->events;
}

void
pmt_writer_end(pmt_writer_t *writer, enum kind kind)
{
    bool tight = (writer->closed && kind == DETAIL) || (writer->limit != UINT64_MAX && !fits(writer, pmt_writer_pending(writer), kind));
    if (PMT_UNLIKELY(tight) && !make_room(writer, kind)) {
        add(&writer->left_out, &writer->adding);
        return;
    }
    add(&writer->held, &writer->adding);
    if (pmt_writer_pending(writer) >= (size_t)(is_of_events(writer) ? EVENTS_BLOCK : BLOCK)) {
        pmt_writer_flush(writer);
    }
}
