// Encodes the residency records (docs/format.md, section 5): who holds the memory. The mirror image is reader_residency.c.
#include "format/writer_inline.h"

void
pmt_writer_snapshot(pmt_writer_t *writer, uint64_t process, uint64_t time, unsigned kind, uint64_t since, const char *name, size_t length)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_SNAPSHOT);
    put_all(writer, process, time, kind, since);
    pmt_put_text(writer, name, length);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_region(pmt_writer_t *writer, uint64_t process, uint64_t first, uint64_t pages, unsigned kind, const char *path)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_REGION);
    put_all(writer, process, first, pages, kind);
    pmt_put_text(writer, path, strlen(path));
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_resident(pmt_writer_t *writer, uint64_t process, uint64_t time, uint64_t first, const uint8_t *runs, size_t size)
{
    PMT_ASSERT(size <= PMT_WIRE_RUNS_MAX);
    uint8_t *start = begin_definition(writer, PMT_WIRE_RESIDENT);
    put_all(writer, process, time, first);
    put_column(writer, runs, size);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_snapshot_end(pmt_writer_t *writer, uint64_t process, uint64_t time, unsigned error, const uint64_t kib[4], uint64_t rollup_kib_plus_1)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_SNAPSHOT_END);
    put_all(writer, process, time, error);
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
    put_all(writer, thread, time, from, to, pages);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_release(pmt_writer_t *writer, uint64_t thread, const pmt_release_fields_t *release)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_RELEASE);
    put_all(writer, thread, release->time, release->node, release->what, release->first, release->pages, release->fell);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_allocator(pmt_writer_t *writer, uint64_t process, uint64_t time, const char *name, uint64_t value)
{
    if (!is_known(writer, process)) {
        return;
    }
    uint8_t *start = begin_definition(writer, PMT_WIRE_ALLOCATOR);
    put_all(writer, process, time);
    pmt_put_text(writer, name, strlen(name));
    put_u(writer, value);
    end_definition(writer, start, FACT);
}
