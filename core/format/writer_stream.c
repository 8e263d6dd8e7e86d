// Encodes the stream (docs/format.md, section 6): rounds, stacks, samples, faults and events. The mirror image is reader_stream.c.
#include "format/writer_inline.h"

void
pmt_writer_round(pmt_writer_t *writer, uint64_t delta)
{
    begin(writer, PMT_WIRE_ROUND);
    writer->adding.round = delta;
    put_u(writer, delta);
    pmt_writer_end(writer, DETAIL);
}

void
pmt_writer_batch(pmt_writer_t *writer, uint64_t thread)
{
    begin(writer, PMT_WIRE_BATCH);
    put_u(writer, thread);
    pmt_writer_end(writer, DETAIL);
}

void
pmt_writer_node(pmt_writer_t *writer, uint64_t back, uint64_t code, uint64_t offset)
{
    begin(writer, PMT_WIRE_NODE);
    put_u(writer, back);
    put_u(writer, code);
    put_u(writer, offset);
    pmt_writer_end(writer, DETAIL);
}

void
pmt_writer_node_reset(pmt_writer_t *writer)
{
    begin(writer, PMT_WIRE_NODE_RESET);
    pmt_writer_end(writer, DETAIL);
}

void
pmt_writer_site(pmt_writer_t *writer, int64_t delta, uint64_t module)
{
    begin(writer, PMT_WIRE_SITE);
    put_s(writer, delta);
    put_u(writer, module);
    pmt_writer_end(writer, DETAIL);
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
    pmt_writer_end(writer, DETAIL);
}

void
pmt_writer_cgroup(pmt_writer_t *writer, uint64_t delta, int64_t usage_kib, uint64_t limit_kib_plus_1)
{
    begin(writer, PMT_WIRE_CGROUP);
    put_u(writer, delta);
    put_s(writer, usage_kib);
    put_u(writer, limit_kib_plus_1);
    pmt_writer_end(writer, DETAIL);
}

void
pmt_writer_weight(pmt_writer_t *writer, uint64_t period)
{
    begin(writer, PMT_WIRE_WEIGHT);
    put_u(writer, period);
    pmt_writer_end(writer, DETAIL);
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
    if (fault->more & PMT_FAULT_FELL) {
        put_u(writer, fault->fell_to);
    }
    pmt_writer_end(writer, DETAIL);
}

// ---- events ----

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
