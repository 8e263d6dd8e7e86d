// Decodes the residency records (docs/format.md, section 5): who holds the memory. The mirror image is writer_residency.c.
#include "format/reader_inline.h"

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
void
pmt_read_residency(pmt_reader_t *reader, fields_t *f, pmt_record_t *r)
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
