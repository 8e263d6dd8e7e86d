// The trace file's encoder (writer.h). Every record is built at the end of the raw buffer, which always has room for the largest one.
#include "format/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/check.h"
#include "base/compiler.h"
#include "base/utf8.h"
#include "base/varint.h"
#include "format/wire.h"
#include "prim/prim.h"

enum {
    BLOCK = 128 << 10,    // a block is written when it holds this much
    EVENTS_BLOCK = 256 << 10,  // if it is events for the most part: an eighth less time
    RECORD = 136 << 10,   // the longest record; longer texts are cut
    TEXT = 40 << 10,      // the longest text in a record (a CODE has two, a META three parts)
    FACT_TEXT = 256,      // a longer META is a detail
    LEVEL = 6,            // zstd's
    EVENTS_LEVEL = 1,     // of a block that is events for the most part: tens of millions come in a second; 3 takes twice the time for 4 % of the bytes
    ZSTD_WINDOW_LOG = 17, // no larger than a block: keeps the context small
    END_ROOM = 512,       // bytes of a limited file that are kept for the last two records
    FACTS_ROOM_MIN = 8 << 10, FACTS_ROOM_MAX = 256 << 10,  // and for facts: an eighth of the limit between these
};

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

// A fact about a process that the file does not have must not be written.
static bool
is_known(const pmt_writer_t *writer, uint64_t process)
{
    return !writer->closed || process < writer->held.processes;
}

// ---- building blocks ----

static void
put_u(pmt_writer_t *writer, uint64_t n)
{
    writer->at = pmt_varint_put(writer->at, n);
}

enum { LENGTH_BYTES = 3 };

// A length that is known only after what it counts: a varint padded to LENGTH_BYTES.
static void
put_padded(uint8_t *out, size_t n)
{
    out[0] = (uint8_t)(n | 0x80);
    out[1] = (uint8_t)(n >> 7 | 0x80);
    out[2] = (uint8_t)(n >> 14);
}

static void
put_s(pmt_writer_t *writer, int64_t n)
{
    put_u(writer, pmt_zigzag(n));
}

static void
put_bytes(pmt_writer_t *writer, const void *data, size_t length)
{
    length = length > TEXT ? TEXT : length;
    put_u(writer, length);
    memcpy(writer->at, data, length);
    writer->at += length;
}

// File names and thread names may be any bytes; the format has text.
static void
put_text(pmt_writer_t *writer, const void *text, size_t length)
{
    if (length <= TEXT && pmt_utf8_valid(text, length)) {
        put_bytes(writer, text, length);
        return;
    }
    uint8_t *size = writer->at;
    writer->at += LENGTH_BYTES;
    size_t n = pmt_utf8_escape(text, length, writer->at, TEXT);
    writer->at += n;
    put_padded(size, n);
}

static void
begin(pmt_writer_t *writer, unsigned type)
{
    PMT_ASSERT(pmt_writer_pending(writer) < EVENTS_BLOCK);
    writer->record = writer->at;
    writer->adding = (holds_t){0};
    *writer->at++ = (uint8_t)type;
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

static void
end(pmt_writer_t *writer, enum kind kind)
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

static uint8_t *
begin_definition(pmt_writer_t *writer, unsigned type)
{
    begin(writer, type);
    uint8_t *length = writer->at;
    writer->at += LENGTH_BYTES;
    return length;
}

static void
end_definition(pmt_writer_t *writer, uint8_t *length, enum kind kind)
{
    put_padded(length, (size_t)(writer->at - length - LENGTH_BYTES));
    end(writer, kind);
}

// ---- definitions ----

void
pmt_writer_meta(pmt_writer_t *writer, uint64_t scope, const char *key, const char *value, size_t length)
{
    if (scope && !is_known(writer, scope - 1)) {
        return;
    }
    uint8_t *start = begin_definition(writer, PMT_WIRE_META);
    put_u(writer, scope);
    put_text(writer, key, strlen(key));
    put_text(writer, value, length);
    end_definition(writer, start, length <= FACT_TEXT ? FACT : DETAIL);
}

void
pmt_writer_process(pmt_writer_t *writer, uint64_t pid, uint64_t parent, uint64_t time)
{
    if (writer->processes++ != writer->held.processes) {
        return;  // one before it was dropped: it would get that one's number
    }
    uint8_t *start = begin_definition(writer, PMT_WIRE_PROCESS);
    writer->adding.processes = 1;
    put_u(writer, pid);
    put_u(writer, parent);
    put_u(writer, time);
    end_definition(writer, start, FACT);
}

void
pmt_writer_process_end(pmt_writer_t *writer, uint64_t process, unsigned kind, uint64_t value, uint64_t time)
{
    if (!is_known(writer, process)) {
        return;
    }
    uint8_t *start = begin_definition(writer, PMT_WIRE_PROCESS_END);
    put_u(writer, process);
    put_u(writer, kind);
    put_u(writer, value);
    put_u(writer, time);
    end_definition(writer, start, FACT);
}

void
pmt_writer_thread(pmt_writer_t *writer, uint64_t process, uint64_t tid, uint64_t time, const char *name, size_t length)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_THREAD);
    put_u(writer, process);
    put_u(writer, tid);
    put_u(writer, time);
    put_text(writer, name, length);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_thread_name(pmt_writer_t *writer, uint64_t thread, const char *name, size_t length)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_THREAD_NAME);
    put_u(writer, thread);
    put_text(writer, name, length);
    end_definition(writer, start, DETAIL);
}

static void
write_code(pmt_writer_t *writer, uint64_t process, uint64_t id, uint64_t first_line, const char *file, size_t file_length, const char *name, size_t name_length,
           enum kind kind)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_CODE);
    put_u(writer, process);
    put_u(writer, id);
    put_u(writer, first_line);
    put_text(writer, file, file_length);
    put_text(writer, name, name_length);
    end_definition(writer, start, kind);
}

void
pmt_writer_code(pmt_writer_t *writer, uint64_t process, uint64_t id, uint64_t first_line, const char *file, size_t file_length,
                const char *name, size_t name_length)
{
    write_code(writer, process, id, first_line, file, file_length, name, name_length, DETAIL);
}

void
pmt_writer_code_lines(pmt_writer_t *writer, uint64_t process, uint64_t id, const void *piece, size_t length)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_CODE_LINES);
    put_u(writer, process);
    put_u(writer, id);
    put_bytes(writer, piece, length);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_module(pmt_writer_t *writer, uint64_t process, uint64_t start, uint64_t size, uint64_t offset, const char *path)
{
    uint8_t *length = begin_definition(writer, PMT_WIRE_MODULE);
    put_u(writer, process);
    put_u(writer, start);
    put_u(writer, size);
    put_u(writer, offset);
    put_text(writer, path, strlen(path));
    end_definition(writer, length, DETAIL);
}

void
pmt_writer_mark(pmt_writer_t *writer, uint64_t process, uint64_t time, unsigned kind, uint64_t rss)
{
    if (!is_known(writer, process)) {
        return;
    }
    uint8_t *start = begin_definition(writer, PMT_WIRE_MARK);
    put_u(writer, process);
    put_u(writer, time);
    put_u(writer, kind);
    put_u(writer, rss);
    end_definition(writer, start, FACT);
}

void
pmt_writer_period(pmt_writer_t *writer, uint64_t process, uint64_t time, uint64_t period)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_PERIOD);
    put_u(writer, process);
    put_u(writer, time);
    put_u(writer, period);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_lost(pmt_writer_t *writer, uint64_t thread, uint64_t time, uint64_t count)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_LOST);
    put_u(writer, thread);
    put_u(writer, time);
    put_u(writer, count);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_counter(pmt_writer_t *writer, uint64_t process, const char *name, uint64_t value)
{
    if (!is_known(writer, process)) {
        return;
    }
    uint8_t *start = begin_definition(writer, PMT_WIRE_COUNTER);
    put_u(writer, process);
    put_text(writer, name, strlen(name));
    put_u(writer, value);
    end_definition(writer, start, FACT);
}

static void
write_left_out(pmt_writer_t *writer)
{
    pmt_left_out_t left_out;
    if (pmt_writer_left_out(writer, &left_out)) {
        uint8_t *start = begin_definition(writer, PMT_WIRE_LEFT_OUT);
        put_u(writer, left_out.time);
        put_u(writer, left_out.faults);
        put_u(writer, left_out.pages);
        put_u(writer, (uint64_t)-writer->error);
        put_u(writer, left_out.events);
        end_definition(writer, start, END);
    }
}

void
pmt_writer_trailer(pmt_writer_t *writer, uint64_t time)
{
    write_left_out(writer);
    uint8_t *start = begin_definition(writer, PMT_WIRE_TRAILER);
    put_u(writer, time);
    end_definition(writer, start, END);
}

// ---- the stream ----

void
pmt_writer_round(pmt_writer_t *writer, uint64_t delta)
{
    begin(writer, PMT_WIRE_ROUND);
    writer->adding.round = delta;
    put_u(writer, delta);
    end(writer, DETAIL);
}

void
pmt_writer_batch(pmt_writer_t *writer, uint64_t thread)
{
    begin(writer, PMT_WIRE_BATCH);
    put_u(writer, thread);
    end(writer, DETAIL);
}

void
pmt_writer_node(pmt_writer_t *writer, uint64_t back, uint64_t code, uint64_t offset)
{
    begin(writer, PMT_WIRE_NODE);
    put_u(writer, back);
    put_u(writer, code);
    put_u(writer, offset);
    end(writer, DETAIL);
}

void
pmt_writer_node_reset(pmt_writer_t *writer)
{
    begin(writer, PMT_WIRE_NODE_RESET);
    end(writer, DETAIL);
}

void
pmt_writer_site(pmt_writer_t *writer, int64_t delta, uint64_t module)
{
    begin(writer, PMT_WIRE_SITE);
    put_s(writer, delta);
    put_u(writer, module);
    end(writer, DETAIL);
}

void
pmt_writer_sample(pmt_writer_t *writer, uint64_t process, uint64_t delta, const int64_t kib[4])
{
    begin(writer, PMT_WIRE_SAMPLE);
    put_u(writer, process);
    put_u(writer, delta);
    for (int i = 0; i < 4; i++) {
        put_s(writer, kib[i]);
    }
    end(writer, DETAIL);
}

void
pmt_writer_cgroup(pmt_writer_t *writer, uint64_t delta, int64_t usage_kib, uint64_t limit_kib_plus_1)
{
    begin(writer, PMT_WIRE_CGROUP);
    put_u(writer, delta);
    put_s(writer, usage_kib);
    put_u(writer, limit_kib_plus_1);
    end(writer, DETAIL);
}

void
pmt_writer_weight(pmt_writer_t *writer, uint64_t period)
{
    begin(writer, PMT_WIRE_WEIGHT);
    put_u(writer, period);
    end(writer, DETAIL);
}

void
pmt_writer_fault(pmt_writer_t *writer, const pmt_fault_fields_t *fault)
{
    unsigned flags = fault->flags | (fault->rise == 1 ? PMT_FAULT_ONE : 0) | (fault->more ? PMT_FAULT_MORE : 0);
    begin(writer, PMT_WIRE_FAULT | flags);
    writer->adding.faults = fault->period;
    writer->adding.pages = fault->rise;
    if (fault->more) {
        *writer->at++ = (uint8_t)fault->more;
    }
    put_s(writer, fault->time);
    put_s(writer, fault->address);
    if (fault->rise != 1) {
        put_u(writer, fault->rise);
    }
    if (!(flags & PMT_FAULT_SAME_NODE)) {
        put_u(writer, fault->node);
    }
    if (!(flags & PMT_FAULT_SAME_SITE)) {
        put_u(writer, fault->site);
    }
    if (fault->more & PMT_FAULT_CALLER) {
        put_u(writer, fault->caller);
    }
    if (fault->more & PMT_FAULT_RSS) {
        put_s(writer, fault->rss);
    }
    end(writer, DETAIL);
}

// ---- events ----

static void
put_column(pmt_writer_t *writer, const uint8_t *column, size_t size)
{
    memcpy(writer->at, column, size);
    writer->at += size;
}

uint32_t
pmt_writer_events(pmt_writer_t *writer, uint64_t thread, const pmt_event_columns_t *columns)
{
    uint32_t events = 0;
    for (uint32_t i = 0; i < columns->count; i++) {
        events += columns->kinds[i] <= PMT_WIRE_LINE;
    }
    uint8_t *length = begin_definition(writer, PMT_WIRE_EVENTS);
    writer->adding.events = events;
    put_u(writer, thread);
    put_u(writer, columns->count);
    put_column(writer, columns->kinds, columns->count);
    put_u(writer, columns->times_size);
    put_column(writer, columns->times, columns->times_size);
    put_column(writer, columns->values, columns->values_size);
    writer->event_bytes += (size_t)(writer->at - length);
    end_definition(writer, length, DETAIL);
    return events;
}

void
pmt_writer_note(pmt_writer_t *writer, uint64_t thread, uint64_t time, unsigned what, uint64_t number, const char *text, size_t length)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_NOTE);
    put_u(writer, thread);
    put_u(writer, time);
    put_u(writer, what);
    put_u(writer, number);
    put_text(writer, text, length);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_summary(pmt_writer_t *writer, uint64_t process, uint64_t code, const uint64_t sums[PMT_SUMMARY_SUMS], int64_t largest)
{
    if (!is_known(writer, process)) {
        return;
    }
    uint8_t *start = begin_definition(writer, PMT_WIRE_SUMMARY);
    put_u(writer, process);
    put_u(writer, code);
    for (int i = 0; i < PMT_SUMMARY_SUMS; i++) {
        put_u(writer, sums[i]);
    }
    put_s(writer, largest);
    end_definition(writer, start, FACT);
}

void
pmt_writer_summary_code(pmt_writer_t *writer, uint64_t process, uint64_t id, uint64_t first_line, const char *file, size_t file_length, const char *name,
                        size_t name_length)
{
    if (is_known(writer, process)) {
        write_code(writer, process, id, first_line, file, file_length, name, name_length, FACT);
    }
}

// ---- residency ----

void
pmt_writer_snapshot(pmt_writer_t *writer, uint64_t process, uint64_t time, unsigned kind, uint64_t since, const char *name, size_t length)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_SNAPSHOT);
    put_u(writer, process);
    put_u(writer, time);
    put_u(writer, kind);
    put_u(writer, since);
    put_text(writer, name, length);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_region(pmt_writer_t *writer, uint64_t process, uint64_t first, uint64_t pages, unsigned kind, const char *path)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_REGION);
    put_u(writer, process);
    put_u(writer, first);
    put_u(writer, pages);
    put_u(writer, kind);
    put_text(writer, path, strlen(path));
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_resident(pmt_writer_t *writer, uint64_t process, uint64_t time, uint64_t first, const uint8_t *runs, size_t size)
{
    PMT_ASSERT(size <= PMT_WIRE_RUNS_MAX);
    uint8_t *start = begin_definition(writer, PMT_WIRE_RESIDENT);
    put_u(writer, process);
    put_u(writer, time);
    put_u(writer, first);
    put_column(writer, runs, size);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_snapshot_end(pmt_writer_t *writer, uint64_t process, uint64_t time, unsigned error, const uint64_t kib[4], uint64_t rollup_kib_plus_1)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_SNAPSHOT_END);
    put_u(writer, process);
    put_u(writer, time);
    put_u(writer, error);
    for (int i = 0; i < 4; i++) {
        put_u(writer, kib[i]);
    }
    put_u(writer, rollup_kib_plus_1);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_move(pmt_writer_t *writer, uint64_t thread, uint64_t time, uint64_t from, uint64_t to, uint64_t pages)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_MOVE);
    put_u(writer, thread);
    put_u(writer, time);
    put_u(writer, from);
    put_u(writer, to);
    put_u(writer, pages);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_release(pmt_writer_t *writer, uint64_t thread, const pmt_release_fields_t *release)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_RELEASE);
    put_u(writer, thread);
    put_u(writer, release->time);
    put_u(writer, release->node);
    put_u(writer, release->what);
    put_u(writer, release->first);
    put_u(writer, release->pages);
    put_u(writer, release->fell);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_allocator(pmt_writer_t *writer, uint64_t process, uint64_t time, const char *name, uint64_t value)
{
    if (!is_known(writer, process)) {
        return;
    }
    uint8_t *start = begin_definition(writer, PMT_WIRE_ALLOCATOR);
    put_u(writer, process);
    put_u(writer, time);
    put_text(writer, name, strlen(name));
    put_u(writer, value);
    end_definition(writer, start, FACT);
}
