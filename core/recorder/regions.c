// Mappings to regions and spans (regions.h).
#include "recorder/regions.h"

#include <stdio.h>
#include <string.h>

#include "format/wire.h"
#include "prim/prim.h"

enum { PATH_ROOM = 4096 };
static const uint64_t GAP = UINT64_C(64) << 20;  // bytes between two mappings that are looked at in one span

typedef struct reading_s {
    pmt_writer_t *writer;
    uint64_t process;
    const pmt_span_t *own;
    pmt_spans_t *spans;
    uint64_t page;
    struct {
        uint64_t start, end;
        unsigned kind;
        char path[PATH_ROOM];
    } region;  // not yet written; end 0: none
} reading_t;

static bool
begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

// What the kernel does not count as the process's memory: pages of its own and of devices, and those of the huge page pool.
static bool
is_uncounted(const char *path)
{
    bool device = begins_with(path, "/dev/") && !begins_with(path, "/dev/shm/") && !begins_with(path, "/dev/zero");
    return device || begins_with(path, "[vvar") || begins_with(path, "[vsyscall]") || begins_with(path, "/anon_hugepage");
}

// The kernel makes one mapping of neighbours: it may consist of several of ours.
static bool
is_own(const pmt_span_t own[PMT_MAPS_OWN], const pmt_mapping_t *mapping)
{
    uint64_t at = mapping->start;
    for (unsigned i = 0; i < PMT_MAPS_OWN * PMT_MAPS_OWN && at < mapping->end; i++) {
        const pmt_span_t *span = &own[i % PMT_MAPS_OWN];
        at = at >= span->start && at < span->end ? span->end : at;
    }
    return at >= mapping->end || begins_with(mapping->path, "/memfd:pymemtrace") || strstr(mapping->path, "/pymemtrace/_capture.");
}

static unsigned
kind_of(const pmt_span_t own[PMT_MAPS_OWN], const pmt_mapping_t *mapping)
{
    static const char *const shared[] = {"/dev/shm/", "/dev/zero", "/memfd:", "/SYSV", "[anon_shmem:"};
    if (is_own(own, mapping)) {
        return PMT_REGION_TRACER;
    }
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        if (begins_with(mapping->path, shared[i])) {
            return PMT_REGION_SHARED;
        }
    }
    if (strcmp(mapping->path, "[heap]") == 0) {
        return PMT_REGION_HEAP;
    }
    if (begins_with(mapping->path, "[stack")) {
        return PMT_REGION_STACK;
    }
    return mapping->path[0] == '\0' || begins_with(mapping->path, "[anon:") ? PMT_REGION_ANON : PMT_REGION_FILE;
}

static void
write_region(reading_t *reading)
{
    if (reading->region.end) {
        uint64_t first = reading->region.start / reading->page, pages = (reading->region.end - reading->region.start) / reading->page;
        pmt_writer_region(reading->writer, reading->process, first, pages, reading->region.kind, reading->region.path);
    }
    reading->region.end = 0;
}

static void
add_span(pmt_spans_t *spans, uint64_t start, uint64_t end)
{
    pmt_span_t *last = spans->count ? &spans->list[spans->count - 1] : NULL;
    if (last && ((!spans->broken && start - last->end <= GAP) || spans->count == PMT_SPANS_MAX)) {
        last->end = end;
    } else {
        spans->list[spans->count++] = (pmt_span_t){start, end};
    }
    spans->broken = false;
}

static void
visit(const pmt_mapping_t *mapping, void *context)
{
    reading_t *reading = context;
    uint64_t last_page = UINT64_C(1) << PMT_WIRE_ADDRESS_BITS;
    if (is_uncounted(mapping->path) || mapping->end / reading->page > last_page || mapping->start >= mapping->end) {
        reading->spans->broken = true;
        return;
    }
    add_span(reading->spans, mapping->start, mapping->end);
    unsigned kind = kind_of(reading->own, mapping);
    if (reading->region.end == mapping->start && reading->region.kind == kind && strcmp(reading->region.path, mapping->path) == 0) {
        reading->region.end = mapping->end;
        return;
    }
    write_region(reading);
    reading->region.start = mapping->start;
    reading->region.end = mapping->end;
    reading->region.kind = kind;
    snprintf(reading->region.path, sizeof reading->region.path, "%s", mapping->path);
}

int
pmt_regions_write(pmt_writer_t *writer, uint64_t process, int maps, const pmt_span_t own[PMT_MAPS_OWN], pmt_spans_t *spans)
{
    static reading_t reading;
    reading = (reading_t){.writer = writer, .process = process, .own = own, .spans = spans, .page = pmt_prim_page_size_sigsafe()};
    spans->count = 0;
    spans->broken = false;
    int err = pmt_prim_each_mapping_of(maps, visit, &reading);
    write_region(&reading);
    return err;
}
