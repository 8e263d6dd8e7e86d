// Decodes the stream (docs/format.md, section 6): rounds, stacks, samples, faults and the frame of events. The mirror image is writer_stream.c.
#include "format/reader_inline.h"

void
pmt_read_fault(pmt_reader_t *reader, unsigned flags, fields_t *fields, pmt_record_t *r)
{
    fields_t local = *fields, *f = &local;  // in registers: most records are faults
    if (reader->batch < 0) {
        fields->ok = false;
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
    r->u.fault.caller = more & PMT_FAULT_CALLER ? (uint32_t)take_index(f, (uint64_t)reader->site_count + 1) : 0;
    r->u.fault.has_rss = more & PMT_FAULT_RSS;
    r->u.fault.rss = r->u.fault.has_rss ? take_s(f) : 0;
    r->u.fault.fell = more & PMT_FAULT_FELL;
    r->u.fault.fell_to = r->u.fault.fell ? take_u(f) : 0;
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
    *fields = local;
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

void
pmt_read_stream(pmt_reader_t *reader, fields_t *f, pmt_record_t *r)
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

// ---- events ----

static const uint8_t *
take_column(fields_t *fields, uint64_t size)
{
    const uint8_t *column = fields->at;
    fields->ok = fields->ok && size <= (uint64_t)(fields->end - fields->at);
    fields->at += fields->ok ? size : 0;
    return column;
}

// The columns' sizes and the kinds are right; whether the times and values are, events.c finds out.
void
pmt_read_events(pmt_reader_t *reader, fields_t *f, pmt_record_t *r)
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
