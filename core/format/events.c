// The decoder of events (events.h). docs/format.md, section 6, is normative.
#include "format/events.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/compiler.h"
#include "base/varint.h"
#include "format/wire.h"

enum { FIRST_FRAMES = 32 };

void
pmt_decoder_init(pmt_decoder_t *events)
{
    *events = (pmt_decoder_t){0};
}

void
pmt_decoder_fini(pmt_decoder_t *events)
{
    for (uint32_t i = 0; i < events->thread_count; i++) {
        free(events->threads[i].frames);
    }
    free(events->threads);
    *events = (pmt_decoder_t){0};
}

int
pmt_decoder_add_thread(pmt_decoder_t *events)
{
    int err = pmt_array_room(&events->threads, events->thread_count, &events->thread_room, sizeof *events->threads);
    if (!err) {
        events->threads[events->thread_count++] = (pmt_decoder_thread_t){0};
    }
    return err;
}

void
pmt_decoder_begin(pmt_decoder_t *events, const pmt_record_t *record)
{
    events->thread = record->u.events.thread;
    events->kind = record->u.events.kinds;
    events->kinds_end = events->kind + record->u.events.count;
    events->time = record->u.events.times;
    events->times_end = events->value = record->u.events.values;
    events->values_end = record->u.events.end;
}

static PMT_COLD int
corrupt(pmt_decoder_t *events, const char *problem)
{
    events->problem = problem;
    return -EBADMSG;
}

static PMT_COLD int
more_frames(pmt_decoder_t *events, pmt_decoder_thread_t *thread)
{
    uint32_t room = thread->room ? 2 * thread->room : FIRST_FRAMES;
    if (thread->count >= PMT_DECODER_DEPTH_MAX || events->frames_room + room - thread->room > PMT_DECODER_FRAMES_MAX) {
        return corrupt(events, "an EVENTS record is corrupt (more frames are open than can be)");
    }
    pmt_decoder_frame_t *frames = realloc(thread->frames, room * sizeof *frames);
    if (!frames) {
        return -ENOMEM;
    }
    events->frames_room += room - thread->room;
    thread->frames = frames;
    thread->room = room;
    return 0;
}

// Most numbers are one byte.
static inline bool
take(const uint8_t **at, const uint8_t *end, uint64_t *n)
{
    if (PMT_LIKELY(*at < end && **at < 0x80)) {
        *n = *(*at)++;
        return true;
    }
    return pmt_varint_get(at, end, n);
}

static int
open_frame(pmt_decoder_t *events, pmt_decoder_thread_t *thread, pmt_trace_event_t *out)
{
    uint64_t code;
    if (!take(&events->value, events->values_end, &code) || code >= PMT_CODE_ELIDED) {
        return corrupt(events, "an EVENTS record is corrupt (a value does not decode)");
    }
    if (PMT_UNLIKELY(thread->count == thread->room)) {
        int err = more_frames(events, thread);
        if (err) {
            return err;
        }
    }
    bool called = out->kind != PMT_WIRE_OPEN;
    thread->frames[thread->count++] = (pmt_decoder_frame_t){.code = (uint32_t)code, .c = out->kind == PMT_WIRE_C_CALL, .called = called};
    out->code = (uint32_t)code;
    out->value = out->exception = 0;
    out->depth = thread->called;
    thread->called += called;
    return 1;
}

static int
close_frame(pmt_decoder_t *events, pmt_decoder_thread_t *thread, pmt_trace_event_t *out)
{
    bool c = out->kind == PMT_WIRE_C_RETURN || out->kind == PMT_WIRE_C_RAISE;
    if (PMT_UNLIKELY(thread->count == 0 || thread->frames[thread->count - 1].c != c)) {
        return corrupt(events, "an EVENTS record is corrupt (an event ends a frame that is not open)");
    }
    pmt_decoder_frame_t frame = thread->frames[--thread->count];
    uint64_t exception = 0;
    if (out->kind == PMT_WIRE_UNWIND && (!take(&events->value, events->values_end, &exception) || exception >= PMT_CODE_ELIDED)) {
        return corrupt(events, "an EVENTS record is corrupt (a value does not decode)");
    }
    thread->called -= frame.called;
    out->code = frame.code;
    out->value = frame.line;
    out->exception = (uint32_t)exception;
    out->depth = thread->called;
    return 1;
}

static int
new_line(pmt_decoder_t *events, pmt_decoder_thread_t *thread, pmt_trace_event_t *out)
{
    uint64_t delta;
    pmt_decoder_frame_t *frame = thread->count ? &thread->frames[thread->count - 1] : NULL;
    if (!frame || frame->c) {
        return corrupt(events, "an EVENTS record is corrupt (a line without a Python frame)");
    }
    if (!take(&events->value, events->values_end, &delta)) {
        return corrupt(events, "an EVENTS record is corrupt (a value does not decode)");
    }
    uint64_t line = frame->line + (uint64_t)pmt_unzigzag(delta);
    if (line >= PMT_DECODER_LINE_MAX) {
        return corrupt(events, "an EVENTS record is corrupt (no line has such a number)");
    }
    frame->line = (uint32_t)line;
    out->code = frame->code;
    out->value = (uint32_t)line;
    out->exception = 0;
    out->depth = thread->called - frame->called;
    return 1;
}

static int
drop_frames(pmt_decoder_t *events, pmt_decoder_thread_t *thread, pmt_trace_event_t *out)
{
    uint64_t count;
    if (!take(&events->value, events->values_end, &count) || count == 0 || count > thread->count) {
        return corrupt(events, "an EVENTS record is corrupt (an event ends a frame that is not open)");
    }
    for (uint64_t i = 0; i < count; i++) {
        thread->called -= thread->frames[--thread->count].called;
    }
    out->code = out->exception = 0;
    out->value = (uint32_t)count;
    out->depth = thread->called;
    return 1;
}

static int
new_rss(pmt_decoder_t *events, pmt_decoder_thread_t *thread, pmt_trace_event_t *out)
{
    uint64_t delta;
    if (!take(&events->value, events->values_end, &delta)) {
        return corrupt(events, "an EVENTS record is corrupt (a value does not decode)");
    }
    out->rss = thread->rss = (int64_t)((uint64_t)thread->rss + (uint64_t)pmt_unzigzag(delta));
    out->code = out->value = out->exception = out->depth = 0;
    return 1;
}

// 1: *out is the next event; negative: an error.
static int
decode(pmt_decoder_t *events, pmt_decoder_thread_t *thread, pmt_trace_event_t *out)
{
    uint64_t delta;
    if (!take(&events->time, events->times_end, &delta)) {
        return corrupt(events, "an EVENTS record is corrupt (a time does not decode)");
    }
    out->kind = *events->kind++;
    thread->time += delta;
    out->time = thread->time * PMT_WIRE_EVENT_NS;
    out->rss = thread->rss;
    switch (out->kind) {
    case PMT_WIRE_CALL:
    case PMT_WIRE_RESUME:
    case PMT_WIRE_THROW:
    case PMT_WIRE_C_CALL:
    case PMT_WIRE_OPEN:
        return open_frame(events, thread, out);
    case PMT_WIRE_RETURN:
    case PMT_WIRE_YIELD:
    case PMT_WIRE_UNWIND:
    case PMT_WIRE_C_RETURN:
    case PMT_WIRE_C_RAISE:
        return close_frame(events, thread, out);
    case PMT_WIRE_LINE:
        return new_line(events, thread, out);
    case PMT_WIRE_RSS:
        return new_rss(events, thread, out);
    default:
        return drop_frames(events, thread, out);
    }
}

int
pmt_decoder_next(pmt_decoder_t *events, pmt_trace_event_t *out, uint32_t room)
{
    pmt_decoder_thread_t *thread = &events->threads[events->thread];
    uint32_t count = 0;
    while (count < room && events->kind < events->kinds_end) {
        int one = decode(events, thread, &out[count]);
        if (PMT_UNLIKELY(one < 0)) {
            return one;
        }
        count++;
    }
    if (events->kind == events->kinds_end && (events->time != events->times_end || events->value != events->values_end)) {
        return corrupt(events, "an EVENTS record is corrupt (its columns are longer than its events)");
    }
    return (int)count;
}

const char *
pmt_decoder_problem(const pmt_decoder_t *events)
{
    return events->problem ? events->problem : "";
}

int64_t
pmt_decoder_fault(pmt_decoder_t *events, const pmt_record_t *record)
{
    pmt_decoder_thread_t *thread = &events->threads[record->u.fault.thread];
    return thread->rss = (int64_t)((uint64_t)thread->rss + (uint64_t)record->u.fault.rss);
}

uint32_t
pmt_decoder_depth(const pmt_decoder_t *events, uint32_t thread)
{
    const pmt_decoder_thread_t *t = &events->threads[thread];
    return t->called - (t->count && t->frames[t->count - 1].called);
}
