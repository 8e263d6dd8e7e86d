// The trace file's encoder (writer.h). Every record is built at the end of the raw buffer, which always has room for the largest one.
#include "format/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/check.h"
#include "base/utf8.h"
#include "base/varint.h"
#include "format/wire.h"
#include "prim/prim.h"

enum {
    BLOCK = 128 << 10,    // a block is written when it holds this much
    RECORD = 128 << 10,   // the longest record; longer texts are cut
    TEXT = 40 << 10,      // the longest text in a record (a CODE has two, a META three parts)
    ZSTD_LEVEL = 6,
    ZSTD_WINDOW_LOG = 17, // no larger than a block: keeps the context small
};

struct pmt_writer_s {
    int fd;
    int error;  // 0 or -errno, sticky
    uint32_t sequence;
    uint8_t *at;  // next free byte of raw
    ZSTD_CCtx *zstd;
    size_t stored_capacity;
    uint8_t *stored;
    uint8_t raw[BLOCK + RECORD];
};

_Static_assert(BLOCK + RECORD <= PMT_WIRE_RAW_MAX, "a block fits the format's limit");

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
    writer->at = writer->raw;
    writer->stored_capacity = ZSTD_compressBound(sizeof writer->raw);
    writer->stored = malloc(PMT_WIRE_BLOCK_HEADER + writer->stored_capacity);
    writer->zstd = ZSTD_createCCtx();
    if (!writer->stored || !writer->zstd) {
        goto out;
    }
    ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
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

size_t
pmt_writer_pending(const pmt_writer_t *writer)
{
    return (size_t)(writer->at - writer->raw);
}

int
pmt_writer_flush(pmt_writer_t *writer)
{
    size_t raw = pmt_writer_pending(writer);
    writer->at = writer->raw;
    if (raw == 0 || writer->error) {
        return writer->error;
    }
    uint8_t *header = writer->stored, *frame = header + PMT_WIRE_BLOCK_HEADER;
    size_t stored = ZSTD_compress2(writer->zstd, frame, writer->stored_capacity, writer->raw, raw);
    if (ZSTD_isError(stored)) {
        return writer->error = -EIO;
    }
    memcpy(header, PMT_WIRE_BLOCK_MAGIC, 4);
    put_le(header + 4, writer->sequence++, 4);
    put_le(header + 8, stored, 4);
    put_le(header + 12, raw, 4);
    uint32_t crc = (uint32_t)crc32(crc32(0, header, 16), frame, (uInt)stored);
    put_le(header + 16, crc, 4);
    return writer->error = pmt_prim_file_write(writer->fd, header, PMT_WIRE_BLOCK_HEADER + stored);
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
    PMT_ASSERT(pmt_writer_pending(writer) < BLOCK);
    *writer->at++ = (uint8_t)type;
}

static void
end(pmt_writer_t *writer)
{
    if (pmt_writer_pending(writer) >= BLOCK) {
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
end_definition(pmt_writer_t *writer, uint8_t *length)
{
    put_padded(length, (size_t)(writer->at - length - LENGTH_BYTES));
    end(writer);
}

// ---- definitions ----

void
pmt_writer_meta(pmt_writer_t *writer, uint64_t scope, const char *key, const char *value, size_t length)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_META);
    put_u(writer, scope);
    put_text(writer, key, strlen(key));
    put_text(writer, value, length);
    end_definition(writer, start);
}

void
pmt_writer_process(pmt_writer_t *writer, uint64_t pid, uint64_t parent, uint64_t time)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_PROCESS);
    put_u(writer, pid);
    put_u(writer, parent);
    put_u(writer, time);
    end_definition(writer, start);
}

void
pmt_writer_process_end(pmt_writer_t *writer, uint64_t process, unsigned kind, uint64_t value, uint64_t time)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_PROCESS_END);
    put_u(writer, process);
    put_u(writer, kind);
    put_u(writer, value);
    put_u(writer, time);
    end_definition(writer, start);
}

void
pmt_writer_thread(pmt_writer_t *writer, uint64_t process, uint64_t tid, uint64_t time, const char *name, size_t length)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_THREAD);
    put_u(writer, process);
    put_u(writer, tid);
    put_u(writer, time);
    put_text(writer, name, length);
    end_definition(writer, start);
}

void
pmt_writer_thread_name(pmt_writer_t *writer, uint64_t thread, const char *name, size_t length)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_THREAD_NAME);
    put_u(writer, thread);
    put_text(writer, name, length);
    end_definition(writer, start);
}

void
pmt_writer_code(pmt_writer_t *writer, uint64_t process, uint64_t id, uint64_t first_line, const char *file, size_t file_length,
                const char *name, size_t name_length)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_CODE);
    put_u(writer, process);
    put_u(writer, id);
    put_u(writer, first_line);
    put_text(writer, file, file_length);
    put_text(writer, name, name_length);
    end_definition(writer, start);
}

void
pmt_writer_code_lines(pmt_writer_t *writer, uint64_t process, uint64_t id, const void *piece, size_t length)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_CODE_LINES);
    put_u(writer, process);
    put_u(writer, id);
    put_bytes(writer, piece, length);
    end_definition(writer, start);
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
    end_definition(writer, length);
}

void
pmt_writer_mark(pmt_writer_t *writer, uint64_t process, uint64_t time, unsigned kind, uint64_t rss)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_MARK);
    put_u(writer, process);
    put_u(writer, time);
    put_u(writer, kind);
    put_u(writer, rss);
    end_definition(writer, start);
}

void
pmt_writer_period(pmt_writer_t *writer, uint64_t process, uint64_t time, uint64_t period)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_PERIOD);
    put_u(writer, process);
    put_u(writer, time);
    put_u(writer, period);
    end_definition(writer, start);
}

void
pmt_writer_lost(pmt_writer_t *writer, uint64_t thread, uint64_t time, uint64_t count)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_LOST);
    put_u(writer, thread);
    put_u(writer, time);
    put_u(writer, count);
    end_definition(writer, start);
}

void
pmt_writer_counter(pmt_writer_t *writer, uint64_t process, const char *name, uint64_t value)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_COUNTER);
    put_u(writer, process);
    put_text(writer, name, strlen(name));
    put_u(writer, value);
    end_definition(writer, start);
}

void
pmt_writer_trailer(pmt_writer_t *writer, uint64_t time)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_TRAILER);
    put_u(writer, time);
    end_definition(writer, start);
}

// ---- the stream ----

void
pmt_writer_round(pmt_writer_t *writer, uint64_t delta)
{
    begin(writer, PMT_WIRE_ROUND);
    put_u(writer, delta);
    end(writer);
}

void
pmt_writer_batch(pmt_writer_t *writer, uint64_t thread)
{
    begin(writer, PMT_WIRE_BATCH);
    put_u(writer, thread);
    end(writer);
}

void
pmt_writer_node(pmt_writer_t *writer, uint64_t back, uint64_t code, uint64_t offset)
{
    begin(writer, PMT_WIRE_NODE);
    put_u(writer, back);
    put_u(writer, code);
    put_u(writer, offset);
    end(writer);
}

void
pmt_writer_node_reset(pmt_writer_t *writer)
{
    begin(writer, PMT_WIRE_NODE_RESET);
    end(writer);
}

void
pmt_writer_site(pmt_writer_t *writer, int64_t delta, uint64_t module)
{
    begin(writer, PMT_WIRE_SITE);
    put_s(writer, delta);
    put_u(writer, module);
    end(writer);
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
    end(writer);
}

void
pmt_writer_cgroup(pmt_writer_t *writer, uint64_t delta, int64_t usage_kib, uint64_t limit_kib_plus_1)
{
    begin(writer, PMT_WIRE_CGROUP);
    put_u(writer, delta);
    put_s(writer, usage_kib);
    put_u(writer, limit_kib_plus_1);
    end(writer);
}

void
pmt_writer_weight(pmt_writer_t *writer, uint64_t period)
{
    begin(writer, PMT_WIRE_WEIGHT);
    put_u(writer, period);
    end(writer);
}

void
pmt_writer_fault(pmt_writer_t *writer, const pmt_fault_fields_t *fault)
{
    unsigned flags = fault->flags | (fault->rise == 1 ? PMT_FAULT_ONE : 0) | (fault->more ? PMT_FAULT_MORE : 0);
    begin(writer, PMT_WIRE_FAULT | flags);
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
    end(writer);
}
