// Decodes definitions and facts (docs/format.md, section 5). The mirror image is writer_definitions.c.
#include "format/reader_inline.h"

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

// What was found out about what is defined.
static void
read_fact(pmt_reader_t *reader, fields_t *f, pmt_record_t *r)
{
    switch (r->type) {
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
        pmt_read_events(reader, f, r);
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
        pmt_read_residency(reader, f, r);
    }
}

// The number of a code object: neither a process's root nor left out.
static uint64_t
take_code(fields_t *fields)
{
    uint64_t id = take_index(fields, PMT_CODE_ELIDED);
    fields->ok = fields->ok && id != PMT_CODE_ROOT;
    return id;
}

int
pmt_read_definition(pmt_reader_t *reader, fields_t *f, pmt_record_t *r)
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
        r->u.code.id = take_code(f);
        r->u.code.first_line = take_u(f);
        r->u.code.file = take_text(f);
        r->u.code.name = take_text(f);
        break;
    case PMT_WIRE_CODE_LINES:
        r->u.code_lines.process = take_index(f, reader->process_count);
        r->u.code_lines.id = take_code(f);
        r->u.code_lines.piece = take_bytes(f);
        break;
    case PMT_WIRE_CODE_MODULE:
        r->u.code_module.process = take_index(f, reader->process_count);
        r->u.code_module.id = take_code(f);
        r->u.code_module.module = take_text(f);
        break;
    case PMT_WIRE_MODULE:
        r->u.module.process = take_index(f, reader->process_count);
        r->u.module.start = take_u(f);
        r->u.module.size = take_u(f);
        r->u.module.offset = take_u(f);
        r->u.module.path = take_text(f);
        f->ok = f->ok && ++reader->module_count < COUNT_MAX;
        break;
    default:
        read_fact(reader, f, r);
    }
    return err;
}
