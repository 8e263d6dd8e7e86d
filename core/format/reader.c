// The trace file's decoder (reader.h): header, blocks, and the records in them. docs/format.md is normative.
#include "format/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "format/reader_inline.h"
#include "prim/prim.h"

static uint64_t
get_le(const uint8_t *in, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint64_t)in[i] << (8 * i);
    }
    return value;
}

// ---- header ----

static int
bad_file(char error[PMT_ERROR_MAX], const char *text)
{
    snprintf(error, PMT_ERROR_MAX, "%s", text);
    return -EBADMSG;
}

static int
read_header(pmt_reader_t *reader, char error[PMT_ERROR_MAX])
{
    uint8_t header[PMT_WIRE_HEADER];
    int64_t n = pmt_prim_file_read(reader->fd, header, sizeof header, 0);
    if (n < 0) {
        return (int)n;
    }
    if (n == 0) {
        return bad_file(error, "the file is empty: no trace was written; trace the program again");
    }
    if (memcmp(header, PMT_WIRE_MAGIC, (size_t)n < 8 ? (size_t)n : 8) != 0) {
        return bad_file(error, "not a pymemtrace trace (wrong magic): give a file that `pymemtrace run` wrote");
    }
    if (n < PMT_WIRE_HEADER) {
        return bad_file(error, "the file was cut off inside its header: nothing in it is readable; trace the program again");
    }
    if (get_le(header + 12, 4) != PMT_WIRE_BYTE_ORDER || crc32(0, header, 60) != get_le(header + 60, 4)) {
        return bad_file(error, "the header is corrupt (wrong checksum): nothing in it is readable; copy the file anew, or trace the program again");
    }
    reader->info = (pmt_file_info_t){
        .major = (unsigned)get_le(header + 8, 2),
        .minor = (unsigned)get_le(header + 10, 2),
        .t0 = get_le(header + 24, 8),
        .wall = get_le(header + 32, 8),
        .page_size = (uint32_t)get_le(header + 40, 4),
    };
    uint32_t features = (uint32_t)get_le(header + 16, 4), page = reader->info.page_size;
    if (reader->info.major != PMT_WIRE_MAJOR || features != 0) {
        snprintf(error, PMT_ERROR_MAX, "written by a newer pymemtrace (format version %u.%u, features %#x; this one reads version %u): upgrade to read it", reader->info.major,
                 reader->info.minor, features, (unsigned)PMT_WIRE_MAJOR);
        return -EBADMSG;
    }
    if (page < 512 || page > 1 << 20 || (page & (page - 1))) {
        return bad_file(error, "the header is corrupt (impossible page size)");
    }
    return 0;
}

int
pmt_reader_open(const char *path, pmt_reader_t **out, char error[PMT_ERROR_MAX])
{
    uint64_t size;
    int err = -ENOMEM;
    *out = NULL;
    pmt_reader_t *reader = calloc(1, sizeof *reader);
    if (!reader) {
        return err;
    }
    reader->batch = -1;
    reader->fd = pmt_prim_file_open(path, &size);
    if (reader->fd < 0) {
        err = reader->fd;
        goto out;
    }
    reader->zstd = ZSTD_createDCtx();
    if (!reader->zstd) {
        goto out;
    }
    err = read_header(reader, error);
    reader->info.file_size = size;
    reader->limit = UINT64_MAX;
    reader->offset = reader->good = PMT_WIRE_HEADER;
out:
    if (err) {
        pmt_reader_close(reader);
        return err;
    }
    *out = reader;
    return 0;
}

void
pmt_reader_close(pmt_reader_t *reader)
{
    if (reader) {
        pmt_prim_close_sigsafe(reader->fd);
        ZSTD_freeDCtx(reader->zstd);
        free(reader->stored);
        free(reader->raw);
        free(reader->threads);
        free(reader->processes);
        free(reader);
    }
}

void
pmt_reader_limit(pmt_reader_t *reader, uint64_t bytes)
{
    reader->limit = bytes;
}

const pmt_file_info_t *
pmt_reader_info(const pmt_reader_t *reader)
{
    return &reader->info;
}

const char *
pmt_reader_problem(const pmt_reader_t *reader)
{
    return reader->problem ? reader->problem : "";
}

void
pmt_reader_explain(const pmt_reader_t *reader, int err, char error[PMT_ERROR_MAX])
{
    if (err == -EBADMSG) {
        snprintf(error, PMT_ERROR_MAX, "%s after byte %llu; copy the file anew, or trace the program again", pmt_reader_problem(reader), (unsigned long long)reader->good);
    }
}

bool
pmt_reader_complete(const pmt_reader_t *reader)
{
    return reader->complete;
}

uint64_t
pmt_reader_good_bytes(const pmt_reader_t *reader)
{
    return reader->good;
}

// ---- blocks ----

static int
corrupt(pmt_reader_t *reader, const char *problem)
{
    reader->problem = problem;
    reader->ended = true;
    return -EBADMSG;
}

static int
grow(uint8_t **buffer, size_t *capacity, size_t size)
{
    if (size > *capacity) {
        uint8_t *larger = realloc(*buffer, size);
        if (!larger) {
            return -ENOMEM;
        }
        *buffer = larger;
        *capacity = size;
    }
    return 0;
}

static bool
all_zero(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i]) {
            return false;
        }
    }
    return true;
}

// A tail of zeros was never written: the file ends there. 0, or -EBADMSG if something stands behind them.
static int
zero_tail(pmt_reader_t *reader)
{
    uint8_t piece[4096];
    int64_t n;
    for (uint64_t at = reader->offset; (n = pmt_prim_file_read(reader->fd, piece, sizeof piece, at)) > 0; at += (uint64_t)n) {
        if (!all_zero(piece, (size_t)n)) {
            return corrupt(reader, "a block is corrupt (wrong magic)");
        }
    }
    return (int)n;
}

static int
unpack_block(pmt_reader_t *reader, const uint8_t *header, size_t stored, size_t raw)
{
    uint32_t crc = (uint32_t)crc32(crc32(0, header, 16), reader->stored, (uInt)stored);
    if (crc != get_le(header + 16, 4)) {
        return corrupt(reader, "a block is corrupt (wrong checksum)");
    }
    int err = grow(&reader->raw, &reader->raw_size, raw);
    if (err) {
        return err;
    }
    if (ZSTD_findFrameCompressedSize(reader->stored, stored) != stored) {
        return corrupt(reader, "a block is corrupt (not one zstd frame)");
    }
    size_t n = ZSTD_decompressDCtx(reader->zstd, reader->raw, raw, reader->stored, stored);
    if (ZSTD_isError(n) || n != raw) {
        return corrupt(reader, "a block is corrupt (it does not decompress to its length)");
    }
    reader->at = reader->raw;
    reader->end = reader->raw + raw;
    return 1;
}

// 1: a block is ready; 0: the file ends here, at a block boundary or inside a block.
static int
next_block(pmt_reader_t *reader)
{
    uint8_t header[PMT_WIRE_BLOCK_HEADER];
    int64_t n = reader->offset < reader->limit ? pmt_prim_file_read(reader->fd, header, sizeof header, reader->offset) : 0;
    if (n < 0) {
        return (int)n;
    }
    if (n == 0) {
        return 0;
    }
    reader->complete = false;  // something follows the trailer
    if (n < PMT_WIRE_BLOCK_HEADER) {
        return 0;
    }
    if (all_zero(header, sizeof header)) {
        return zero_tail(reader);
    }
    if (memcmp(header, PMT_WIRE_BLOCK_MAGIC, 4) != 0) {
        return corrupt(reader, "a block is corrupt (wrong magic)");
    }
    size_t stored = get_le(header + 8, 4), raw = get_le(header + 12, 4);
    if (get_le(header + 4, 4) != reader->sequence) {
        return corrupt(reader, "a block is corrupt (out of sequence)");
    }
    if (stored == 0 || stored > PMT_WIRE_STORED_MAX || raw == 0 || raw > PMT_WIRE_RAW_MAX) {
        return corrupt(reader, "a block is corrupt (impossible length)");
    }
    int err = grow(&reader->stored, &reader->stored_size, stored);
    if (err) {
        return err;
    }
    n = pmt_prim_file_read(reader->fd, reader->stored, stored, reader->offset + sizeof header);
    if (n < 0) {
        return (int)n;
    }
    if ((size_t)n < stored) {
        return 0;
    }
    int ready = unpack_block(reader, header, stored, raw);
    if (ready == 1) {
        reader->sequence++;
        reader->offset += sizeof header + stored;
    }
    return ready;
}

// ---- records ----

// What lies behind it is next. As read_record.
static int
end_record(pmt_reader_t *reader, const fields_t *f, unsigned type)
{
    if (!f->ok) {
        return corrupt(reader, "a block is corrupt (a record does not decode)");
    }
    reader->at = f->at;
    reader->complete = type == PMT_WIRE_TRAILER;
    return type > PMT_WIRE_LAST ? 0 : 1;
}

// 1: a record; 0: nothing to hand out (filler, an unknown definition); negative: an error.
static int
read_record(pmt_reader_t *reader, pmt_record_t *r)
{
    fields_t f = {reader->at + 1, reader->end, true};
    unsigned type = *reader->at;
    int err = 0;
    if (type >= PMT_WIRE_FAULT && type < PMT_WIRE_DEFINITIONS) {  // most are: all of their fields are set
        r->type = PMT_WIRE_FAULT;
        pmt_read_fault(reader, type & 0x1f, &f, r);
        return end_record(reader, &f, type);
    }
    *r = (pmt_record_t){.type = type};
    if (type == PMT_WIRE_FILLER) {
        reader->at = f.at;
        return 0;
    }
    if (type >= PMT_WIRE_DEFINITIONS) {
        pmt_text_t body = take_bytes(&f);
        fields_t inside = {(const uint8_t *)body.data, (const uint8_t *)body.data + body.size, f.ok};
        err = f.ok ? pmt_read_definition(reader, &inside, r) : 0;
        f.ok = f.ok && inside.ok;
    } else {
        pmt_read_stream(reader, &f, r);
    }
    return err ? err : end_record(reader, &f, type);
}

int
pmt_reader_next(pmt_reader_t *reader, pmt_record_t *record)
{
    while (!reader->ended) {
        if (reader->at == reader->end) {
            reader->good = reader->offset;
            int ready = next_block(reader);
            if (ready <= 0) {
                reader->ended = true;
                return ready;
            }
            continue;
        }
        int result = read_record(reader, record);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}
