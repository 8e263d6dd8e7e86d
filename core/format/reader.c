// The trace file's decoder (reader.h). docs/format.md is normative.
#include "format/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/array.h"
#include "base/utf8.h"
#include "base/varint.h"
#include "format/wire.h"
#include "prim/prim.h"

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
        return bad_file(error, "the file is empty: no trace was written");
    }
    if (memcmp(header, PMT_WIRE_MAGIC, (size_t)n < 8 ? (size_t)n : 8) != 0) {
        return bad_file(error, "not a pymemtrace trace (wrong magic)");
    }
    if (n < PMT_WIRE_HEADER) {
        return bad_file(error, "the file was cut off inside its header: nothing in it is readable");
    }
    if (get_le(header + 12, 4) != PMT_WIRE_BYTE_ORDER || crc32(0, header, 60) != get_le(header + 60, 4)) {
        return bad_file(error, "the header is corrupt (wrong checksum)");
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
        snprintf(error, PMT_ERROR_MAX, "%s after byte %llu", pmt_reader_problem(reader), (unsigned long long)reader->good);
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

// ---- fields: a cursor that remembers whether everything was there ----

typedef struct fields_s {
    const uint8_t *at, *end;
    bool ok;
} fields_t;

static uint64_t
take_u(fields_t *fields)
{
    uint64_t n = 0;
    fields->ok = fields->ok && pmt_varint_get(&fields->at, fields->end, &n);
    return n;
}

static int64_t
take_s(fields_t *fields)
{
    return pmt_unzigzag(take_u(fields));
}

static pmt_text_t
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

static pmt_text_t
take_text(fields_t *fields)
{
    pmt_text_t text = take_bytes(fields);
    fields->ok = fields->ok && pmt_utf8_valid(text.data, text.size);
    return text;
}

// An index below `count`.
static uint64_t
take_index(fields_t *fields, uint64_t count)
{
    uint64_t n = take_u(fields);
    fields->ok = fields->ok && n < count;
    return n;
}

// Sums wrap without undefined behaviour: a hostile file gets nonsense, not a trap.
static int64_t
add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

// ---- threads, processes, events ----

static int
add_thread(pmt_reader_t *reader, uint64_t time)
{
    int err = pmt_array_room(&reader->threads, reader->thread_count, &reader->thread_room, sizeof *reader->threads);
    if (!err) {
        reader->threads[reader->thread_count++] = (thread_state_t){.time = time, .weight = 1};
    }
    return err;
}

static int
add_process(pmt_reader_t *reader, uint64_t time)
{
    int err = pmt_array_room(&reader->processes, reader->process_count, &reader->process_room, sizeof *reader->processes);
    if (!err) {
        reader->processes[reader->process_count++] = (process_state_t){.sampled = time};
    }
    return err;
}

static const uint8_t *
take_column(fields_t *fields, uint64_t size)
{
    const uint8_t *column = fields->at;
    fields->ok = fields->ok && size <= (uint64_t)(fields->end - fields->at);
    fields->at += fields->ok ? size : 0;
    return column;
}

// The columns' sizes and the kinds are right; whether the times and values are, events.c finds out.
static void
read_events(pmt_reader_t *reader, fields_t *f, pmt_record_t *r)
{
    r->u.events.thread = (uint32_t)take_index(f, reader->thread_count);
    uint64_t count = take_u(f);
    f->ok = f->ok && count >= 1 && count <= PMT_WIRE_EVENTS_MAX;
    r->u.events.count = f->ok ? (uint32_t)count : 0;
    r->u.events.kinds = take_column(f, count);
    r->u.events.times = take_column(f, take_u(f));
    r->u.events.values = f->at;
    r->u.events.end = f->end;
    uint8_t wrong = 0;
    for (uint32_t i = 0; f->ok && i < count; i++) {
        wrong |= (uint8_t)(r->u.events.kinds[i] - 1) >= PMT_WIRE_DROP;
    }
    f->ok = f->ok && !wrong;
}

// ---- residency ----

static const uint64_t PAGES_MAX = UINT64_C(1) << PMT_WIRE_ADDRESS_BITS;

// Pages from `first` on are in an address space.
static bool
in_space(uint64_t first, uint64_t pages)
{
    return first <= PAGES_MAX && pages <= PAGES_MAX - first;
}

// A number from `least` to `most`.
static uint64_t
take_kind(fields_t *fields, uint64_t least, uint64_t most)
{
    uint64_t n = take_u(fields);
    fields->ok = fields->ok && n >= least && n <= most;
    return n;
}

bool
pmt_resident_next(const uint8_t **at, const uint8_t *end, uint64_t *pages, unsigned *state)
{
    uint64_t run;
    if (*at >= end || !pmt_varint_get(at, end, &run)) {
        return false;
    }
    *pages = run >> PMT_RESIDENT_BITS;
    *state = (unsigned)run & ((1u << PMT_RESIDENT_BITS) - 1);
    return true;
}

static void
read_resident(pmt_reader_t *reader, fields_t *f, pmt_record_t *r)
{
    uint64_t pages, all = 0;
    unsigned state;
    r->u.resident.process = take_index(f, reader->process_count);
    r->time = take_u(f);
    r->u.resident.first = take_u(f);
    r->u.resident.runs = f->at;
    r->u.resident.end = f->end;
    f->ok = f->ok && in_space(r->u.resident.first, 0);
    while (f->ok && f->at < f->end) {
        f->ok = pmt_resident_next(&f->at, f->end, &pages, &state) && pages > 0 && state <= PMT_RESIDENT_SWAP && in_space(r->u.resident.first + all, pages);
        all += f->ok ? pages : 0;
    }
}

static void
read_snapshot_end(pmt_reader_t *reader, fields_t *f, pmt_record_t *r)
{
    r->u.snapshot_end.process = take_index(f, reader->process_count);
    r->time = take_u(f);
    r->u.snapshot_end.error = take_u(f);
    for (int i = 0; i < 4; i++) {
        r->u.snapshot_end.kib[i] = (int64_t)take_u(f);
    }
    r->u.snapshot_end.rollup_kib = add((int64_t)take_u(f), -1);
}

static void
read_release(pmt_reader_t *reader, fields_t *f, pmt_record_t *r)
{
    r->u.release.thread = take_index(f, reader->thread_count);
    r->time = take_u(f);
    r->u.release.node = (uint32_t)take_index(f, (uint64_t)reader->node_count + 1);
    r->u.release.what = take_kind(f, PMT_RELEASE_MUNMAP, PMT_RELEASE_MREMAP);
    r->u.release.first = take_u(f);
    r->u.release.pages = take_u(f);
    r->u.release.fell = take_u(f);
    f->ok = f->ok && r->u.release.node != 0 && in_space(r->u.release.first, r->u.release.pages);
}

// Who holds the memory: which pages are there, and where they go.
static void
read_residency(pmt_reader_t *reader, fields_t *f, pmt_record_t *r)
{
    switch (r->type) {
    case PMT_WIRE_SNAPSHOT:
        r->u.snapshot.process = take_index(f, reader->process_count);
        r->time = take_u(f);
        r->u.snapshot.kind = take_kind(f, PMT_SNAPSHOT_START, PMT_SNAPSHOT_AT_END);
        r->u.snapshot.since = take_u(f);
        r->u.snapshot.name = take_text(f);
        break;
    case PMT_WIRE_REGION:
        r->u.region.process = take_index(f, reader->process_count);
        r->u.region.first = take_u(f);
        r->u.region.pages = take_u(f);
        r->u.region.kind = take_kind(f, PMT_REGION_ANON, PMT_REGION_TRACER);
        r->u.region.path = take_text(f);
        f->ok = f->ok && in_space(r->u.region.first, r->u.region.pages);
        break;
    case PMT_WIRE_RESIDENT:
        read_resident(reader, f, r);
        break;
    case PMT_WIRE_SNAPSHOT_END:
        read_snapshot_end(reader, f, r);
        break;
    case PMT_WIRE_MOVE:
        r->u.move.thread = take_index(f, reader->thread_count);
        r->time = take_u(f);
        r->u.move.from = take_u(f);
        r->u.move.to = take_u(f);
        r->u.move.pages = take_u(f);
        f->ok = f->ok && in_space(r->u.move.from, r->u.move.pages) && in_space(r->u.move.to, r->u.move.pages);
        break;
    case PMT_WIRE_RELEASE:
        read_release(reader, f, r);
        break;
    case PMT_WIRE_ALLOCATOR:
        r->u.allocator.process = take_index(f, reader->process_count);
        r->time = take_u(f);
        r->u.allocator.name = take_text(f);
        r->u.allocator.value = take_u(f);
        break;
    default:
        break;  // of a later minor version: the caller skips it
    }
}

// ---- definitions ----

static int
read_definition(pmt_reader_t *reader, fields_t *f, pmt_record_t *r)
{
    int err = 0;
    switch (r->type) {
    case PMT_WIRE_META:
        r->u.meta.scope = take_index(f, (uint64_t)reader->process_count + 1);
        r->u.meta.key = take_text(f);
        r->u.meta.value = take_text(f);
        break;
    case PMT_WIRE_PROCESS:
        r->u.process.pid = take_u(f);
        r->u.process.parent = take_u(f);
        r->time = take_u(f);
        err = f->ok ? add_process(reader, r->time) : 0;
        break;
    case PMT_WIRE_PROCESS_END:
        r->u.process_end.process = take_index(f, reader->process_count);
        r->u.process_end.kind = take_index(f, PMT_END_EXEC + 1);
        r->u.process_end.value = take_u(f);
        r->time = take_u(f);
        break;
    case PMT_WIRE_THREAD:
        r->u.thread.process = take_index(f, reader->process_count);
        r->u.thread.tid = take_u(f);
        r->time = take_u(f);
        r->u.thread.name = take_text(f);
        err = f->ok ? add_thread(reader, r->time) : 0;
        break;
    case PMT_WIRE_THREAD_NAME:
        r->u.thread_name.thread = take_index(f, reader->thread_count);
        r->u.thread_name.name = take_text(f);
        break;
    case PMT_WIRE_CODE:
        r->u.code.process = take_index(f, reader->process_count);
        r->u.code.id = take_index(f, PMT_CODE_ELIDED);
        r->u.code.first_line = take_u(f);
        r->u.code.file = take_text(f);
        r->u.code.name = take_text(f);
        f->ok = f->ok && r->u.code.id != PMT_CODE_ROOT;
        break;
    case PMT_WIRE_CODE_LINES:
        r->u.code_lines.process = take_index(f, reader->process_count);
        r->u.code_lines.id = take_index(f, PMT_CODE_ELIDED);
        r->u.code_lines.piece = take_bytes(f);
        f->ok = f->ok && r->u.code_lines.id != PMT_CODE_ROOT;
        break;
    case PMT_WIRE_MODULE:
        r->u.module.process = take_index(f, reader->process_count);
        r->u.module.start = take_u(f);
        r->u.module.size = take_u(f);
        r->u.module.offset = take_u(f);
        r->u.module.path = take_text(f);
        f->ok = f->ok && ++reader->module_count < COUNT_MAX;
        break;
    case PMT_WIRE_MARK:
        r->u.mark.process = take_index(f, reader->process_count);
        r->time = take_u(f);
        r->u.mark.kind = take_u(f);
        r->u.mark.rss = take_u(f);
        break;
    case PMT_WIRE_PERIOD:
        r->u.period.process = take_index(f, reader->process_count);
        r->time = take_u(f);
        r->u.period.period = take_u(f);
        break;
    case PMT_WIRE_LOST:
        r->u.lost.thread = take_index(f, reader->thread_count);
        r->time = take_u(f);
        r->u.lost.count = take_u(f);
        break;
    case PMT_WIRE_COUNTER:
        r->u.counter.process = take_index(f, reader->process_count);
        r->u.counter.name = take_text(f);
        r->u.counter.value = take_u(f);
        break;
    case PMT_WIRE_TRAILER:
        r->time = take_u(f);
        break;
    case PMT_WIRE_LEFT_OUT:
        r->time = take_u(f);
        r->u.left_out.faults = take_u(f);
        r->u.left_out.pages = take_u(f);
        r->u.left_out.error = take_u(f);
        r->u.left_out.events = f->at < f->end ? take_u(f) : 0;
        break;
    case PMT_WIRE_EVENTS:
        read_events(reader, f, r);
        break;
    case PMT_WIRE_NOTE:
        r->u.note.thread = take_index(f, reader->thread_count);
        r->time = take_u(f);
        r->u.note.what = take_u(f);
        r->u.note.number = take_u(f);
        r->u.note.text = take_text(f);
        break;
    case PMT_WIRE_SUMMARY:
        r->u.summary.process = take_index(f, reader->process_count);
        r->u.summary.id = take_index(f, PMT_CODE_ELIDED);
        for (int i = 0; i < 9; i++) {
            r->u.summary.values[i] = take_u(f);
        }
        r->u.summary.largest = take_s(f);
        break;
    default:
        read_residency(reader, f, r);
    }
    return err;
}

// ---- the stream ----

static void
read_fault(pmt_reader_t *reader, unsigned flags, fields_t *f, pmt_record_t *r)
{
    if (reader->batch < 0) {
        f->ok = false;
        return;
    }
    thread_state_t *thread = &reader->threads[reader->batch];
    unsigned more = 0;
    if (flags & PMT_FAULT_MORE) {
        f->ok = f->ok && f->at < f->end;
        more = f->ok ? *f->at++ : 0;
    }
    thread->time += (uint64_t)take_s(f);
    thread->address += (uint64_t)take_s(f);
    r->u.fault.rise = flags & PMT_FAULT_ONE ? 1 : take_u(f);
    if (flags & PMT_FAULT_SAME_NODE) {
        f->ok = f->ok && thread->has_node;
    } else {
        thread->node = (uint32_t)take_index(f, (uint64_t)reader->node_count + 1);
        thread->has_node = true;
    }
    if (flags & PMT_FAULT_SAME_SITE) {
        f->ok = f->ok && thread->has_site;
    } else {
        thread->site = (uint32_t)take_index(f, (uint64_t)reader->site_count + 1);
        thread->has_site = true;
    }
    if (more & PMT_FAULT_CALLER) {
        r->u.fault.caller = (uint32_t)take_index(f, (uint64_t)reader->site_count + 1);
    }
    r->u.fault.has_rss = more & PMT_FAULT_RSS;
    r->u.fault.rss = r->u.fault.has_rss ? take_s(f) : 0;
    f->ok = f->ok && thread->node != 0;
    r->time = thread->time;
    r->u.fault.thread = (uint32_t)reader->batch;
    r->u.fault.node = thread->node;
    r->u.fault.site = thread->site;
    r->u.fault.address = thread->address;
    r->u.fault.weight = thread->weight;
    r->u.fault.by_time = flags & PMT_FAULT_BY_TIME;
    r->u.fault.async = more & PMT_FAULT_ASYNC;
    r->u.fault.tick = more & PMT_FAULT_TICK;
}

static void
read_node(pmt_reader_t *reader, fields_t *f, pmt_record_t *r)
{
    uint64_t back = take_u(f), code = take_u(f), offset = take_u(f);
    uint32_t number = reader->node_count + 1;
    f->ok = f->ok && back >= 1 && back <= number && code <= UINT32_MAX && offset <= UINT32_MAX && number < COUNT_MAX;
    uint32_t parent = f->ok ? number - (uint32_t)back : 0;
    // roots, and only they, stand below node 0
    f->ok = f->ok && (parent == 0) == (code == PMT_CODE_ROOT) && (code != PMT_CODE_ROOT || offset < reader->process_count);
    if (f->ok) {
        reader->node_count = number;
    }
    r->u.node.number = number;
    r->u.node.parent = parent;
    r->u.node.code = (uint32_t)code;
    r->u.node.offset = (uint32_t)offset;
}

static void
reset_nodes(pmt_reader_t *reader)
{
    reader->node_count = 0;
    for (uint32_t i = 0; i < reader->thread_count; i++) {
        reader->threads[i].has_node = false;
    }
}

static void
read_sample(pmt_reader_t *reader, fields_t *f, pmt_record_t *r)
{
    uint64_t index = take_index(f, reader->process_count), delta = take_u(f);
    int64_t kib[4];
    for (int i = 0; i < 4; i++) {
        kib[i] = take_s(f);
    }
    if (!f->ok) {
        return;
    }
    process_state_t *process = &reader->processes[index];
    process->sampled += delta;
    for (int i = 0; i < 4; i++) {
        r->u.sample.kib[i] = process->sample[i] = add(process->sample[i], kib[i]);
    }
    r->u.sample.process = index;
    r->time = process->sampled;
}

static void
read_stream(pmt_reader_t *reader, fields_t *f, pmt_record_t *r)
{
    uint64_t limit;
    switch (r->type) {
    case PMT_WIRE_ROUND:
        reader->round += take_u(f);
        r->time = reader->round;
        break;
    case PMT_WIRE_BATCH:
        reader->batch = (int64_t)take_index(f, reader->thread_count);
        break;
    case PMT_WIRE_NODE:
        read_node(reader, f, r);
        break;
    case PMT_WIRE_NODE_RESET:
        reset_nodes(reader);
        break;
    case PMT_WIRE_SITE:
        reader->site_address += (uint64_t)take_s(f);
        r->u.site.address = reader->site_address;
        r->u.site.module = (uint32_t)take_index(f, (uint64_t)reader->module_count + 1);
        r->u.site.number = ++reader->site_count;
        f->ok = f->ok && reader->site_count < COUNT_MAX;
        break;
    case PMT_WIRE_SAMPLE:
        read_sample(reader, f, r);
        break;
    case PMT_WIRE_CGROUP:
        reader->cgroup_time += take_u(f);
        reader->cgroup_kib = add(reader->cgroup_kib, take_s(f));
        limit = take_u(f);
        r->time = reader->cgroup_time;
        r->u.cgroup.usage_kib = reader->cgroup_kib;
        r->u.cgroup.limit_kib = add((int64_t)limit, -1);
        break;
    case PMT_WIRE_WEIGHT:
        f->ok = f->ok && reader->batch >= 0;
        limit = take_u(f);
        if (f->ok) {
            reader->threads[reader->batch].weight = limit;
        }
        break;
    default:
        f->ok = false;
    }
}

// ---- records ----

// 1: a record; 0: nothing to hand out (filler, an unknown definition); negative: an error.
static int
read_record(pmt_reader_t *reader, pmt_record_t *r)
{
    fields_t f = {reader->at + 1, reader->end, true};
    unsigned type = *reader->at;
    int err = 0;
    *r = (pmt_record_t){.type = type};
    if (type == PMT_WIRE_FILLER) {
        reader->at = f.at;
        return 0;
    }
    if (type >= PMT_WIRE_DEFINITIONS) {
        pmt_text_t body = take_bytes(&f);
        fields_t inside = {(const uint8_t *)body.data, (const uint8_t *)body.data + body.size, f.ok};
        err = f.ok ? read_definition(reader, &inside, r) : 0;
        f.ok = f.ok && inside.ok;
    } else if (type >= PMT_WIRE_FAULT) {
        r->type = PMT_WIRE_FAULT;
        read_fault(reader, type & 0x1f, &f, r);
    } else {
        read_stream(reader, &f, r);
    }
    if (err) {
        return err;
    }
    if (!f.ok) {
        return corrupt(reader, "a block is corrupt (a record does not decode)");
    }
    reader->at = f.at;
    reader->complete = type == PMT_WIRE_TRAILER;
    return type > PMT_WIRE_LAST ? 0 : 1;
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
