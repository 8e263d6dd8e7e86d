// The events of one section (section.h).
#include "analyze/section.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "format/lanes.h"
#include "format/wire.h"

#define OPEN_END UINT64_MAX
#define NOBODY UINT32_MAX

// ---- where it is on ----

static bool
is_its_note(const pmt_section_t *section, const pmt_record_t *r)
{
    return r->type == PMT_WIRE_NOTE && r->u.note.what >= PMT_NOTE_SECTION_BEGIN && r->u.note.what <= PMT_NOTE_SECTION_RESUME && r->u.note.number == section->number &&
           r->time >= section->since && r->time <= section->until;
}

static bool
switches_on(const pmt_record_t *note)
{
    return note->u.note.what == PMT_NOTE_SECTION_BEGIN || note->u.note.what == PMT_NOTE_SECTION_RESUME;
}

static bool
is_over(const pmt_section_t *section)
{
    return section->span_count == 0 || section->spans[section->span_count - 1].to != OPEN_END;
}

static int
on_note(pmt_section_t *section, const pmt_record_t *r)
{
    if (!switches_on(r)) {
        if (!is_over(section)) {
            section->spans[section->span_count - 1].to = r->time;
        }
        return 0;
    }
    if (!is_over(section) || pmt_array_room(&section->spans, section->span_count, &section->span_room, sizeof *section->spans) < 0) {
        return is_over(section) ? -ENOMEM : 0;
    }
    section->owner = (uint32_t)r->u.note.thread;
    section->spans[section->span_count++] = (pmt_span_on_t){r->time, OPEN_END};
    return 0;
}

int
pmt_section_find(pmt_section_t *section, const pmt_choice_t *choice, const pmt_profile_t *profile, const char *path, char error[PMT_ERROR_MAX])
{
    pmt_reader_t *reader;
    pmt_record_t record;
    int err = pmt_sieve_init(&section->sieve, choice, profile);
    err = err ? err : pmt_profile_reopen(profile, path, &reader, error);
    if (err < 0) {
        return err;
    }
    section->owner = NOBODY;
    while ((err = pmt_reader_next(reader, &record)) > 0) {
        if (is_its_note(section, &record) && record.u.note.thread < profile->thread_count &&
            profile->processes[profile->threads[record.u.note.thread].process].pid == section->pid && (err = on_note(section, &record)) < 0) {
            break;
        }
    }
    pmt_reader_explain(reader, err, error);
    pmt_reader_close(reader);
    return err;
}

void
pmt_section_fini(pmt_section_t *section)
{
    for (uint32_t i = 0; i < section->thread_count; i++) {
        free(section->threads[i].codes);
    }
    free(section->threads);
    free(section->spans);
    pmt_sieve_fini(&section->sieve);
    *section = (pmt_section_t){0};
}

// ---- what passes ----

int
pmt_section_add_thread(pmt_section_t *section, uint32_t process)
{
    int err = pmt_sieve_add_thread(&section->sieve, process);
    err = err ? err : pmt_array_room(&section->threads, section->thread_count, &section->thread_room, sizeof *section->threads);
    if (!err) {
        section->threads[section->thread_count++] = (pmt_section_thread_t){0};
    }
    return err;
}

static int
switch_on(pmt_section_t *section, pmt_calls_t *calls, uint32_t number, uint64_t time, int64_t rss)
{
    pmt_section_thread_t *thread = &section->threads[number];
    int err = 0;
    thread->on = true;
    thread->time = time;
    for (uint32_t i = 0; i < thread->count && !err; i++) {
        pmt_trace_event_t open = {.time = time, .rss = rss, .code = thread->codes[i], .kind = PMT_WIRE_OPEN};
        err = pmt_calls_events(calls, number, &open, 1);
    }
    return err;
}

static int
switch_off(pmt_section_t *section, pmt_calls_t *calls, uint32_t number, uint64_t time, int64_t rss)
{
    pmt_section_thread_t *thread = &section->threads[number];
    pmt_trace_event_t drop = {.time = time > thread->time ? time : thread->time, .rss = rss, .value = thread->count, .kind = PMT_WIRE_DROP};
    thread->on = false;
    return pmt_calls_events(calls, number, &drop, 1);
}

// The thread's time has come to `time`. The owner is switched on by its NOTEs alone, and switched off here where another thread has ended the section.
static int
follow_spans(pmt_section_t *section, pmt_calls_t *calls, uint32_t number, uint64_t time, int64_t rss)
{
    pmt_section_thread_t *thread = &section->threads[number];
    int err = 0;
    if (number == section->owner && !thread->on) {
        return 0;
    }
    for (; thread->span < section->span_count && section->spans[thread->span].to < time && !err; thread->span++) {
        if (thread->on) {
            err = switch_off(section, calls, number, section->spans[thread->span].to, thread->rss);
        }
    }
    if (!err && !thread->on && number != section->owner && thread->span < section->span_count && time >= section->spans[thread->span].from) {
        err = switch_on(section, calls, number, section->spans[thread->span].from, rss);
    }
    return err;
}

static int
push(pmt_section_thread_t *thread, uint32_t code)
{
    int err = pmt_array_room(&thread->codes, thread->count, &thread->room, sizeof *thread->codes);
    if (!err) {
        thread->codes[thread->count++] = code;
    }
    return err;
}

// The frames, whether the section is on or not.
static int
follow_frames(pmt_section_thread_t *thread, const pmt_trace_event_t *event)
{
    switch (event->kind) {
    case PMT_WIRE_LINE:
    case PMT_WIRE_RSS:
        return 0;
    case PMT_WIRE_CALL:
    case PMT_WIRE_RESUME:
    case PMT_WIRE_THROW:
    case PMT_WIRE_C_CALL:
    case PMT_WIRE_OPEN:
        return push(thread, event->code);
    default:
        thread->count -= event->kind == PMT_WIRE_DROP ? event->value : 1;
        return 0;
    }
}

int
pmt_section_event(pmt_section_t *section, pmt_calls_t *calls, uint32_t number, const pmt_trace_event_t *event)
{
    pmt_section_thread_t *thread = &section->threads[number];
    pmt_trace_event_t seen = *event;
    int shown = pmt_sieve_event(&section->sieve, number, &seen);
    int err = shown < 0 ? shown : follow_spans(section, calls, number, seen.time, seen.rss);
    thread->rss = seen.rss;
    if (err || !shown) {
        return err;
    }
    if (thread->on) {
        err = pmt_calls_events(calls, number, &seen, 1);
        thread->time = seen.time;
    }
    return err ? err : follow_frames(thread, &seen);
}

int
pmt_section_fault(pmt_section_t *section, pmt_calls_t *calls, uint32_t number, uint64_t time, uint64_t pages, int64_t rss)
{
    pmt_section_thread_t *thread = &section->threads[number];
    int err = follow_spans(section, calls, number, time, thread->rss);
    if (thread->on && !err) {
        pmt_calls_fault(calls, number, pages, rss);
    }
    thread->rss = rss ? rss : thread->rss;
    return err;
}

int
pmt_section_note(pmt_section_t *section, pmt_calls_t *calls, const pmt_record_t *note, int64_t rss)
{
    uint32_t number = (uint32_t)note->u.note.thread;
    if (number != section->owner || !is_its_note(section, note)) {
        return 0;
    }
    pmt_section_thread_t *thread = &section->threads[number];
    if (switches_on(note) == thread->on) {
        return 0;
    }
    if (thread->on) {
        thread->span++;
        return switch_off(section, calls, number, note->time, rss);
    }
    while (thread->span < section->span_count && section->spans[thread->span].from < note->time) {
        thread->span++;
    }
    return thread->span < section->span_count ? switch_on(section, calls, number, note->time, rss) : 0;
}

int
pmt_section_end(pmt_section_t *section, pmt_calls_t *calls)
{
    int err = 0;
    for (uint32_t i = 0; i < section->thread_count && !err; i++) {
        const pmt_section_thread_t *thread = &section->threads[i];
        if (thread->on && section->spans[thread->span].to != OPEN_END) {
            err = switch_off(section, calls, i, section->spans[thread->span].to, thread->rss);
        }
    }
    return err;
}
