// What a section shows (sieve.h).
#include "analyze/sieve.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "format/wire.h"

// Of a frame. INNER: it, or the innermost one around it that is shown, began in the log.
enum { HIDDEN = 1, CALLED = 2, INNER = 4 };

int
pmt_sieve_init(pmt_sieve_t *sieve, const pmt_choice_t *choice, const pmt_profile_t *profile)
{
    *sieve = (pmt_sieve_t){.choice = *choice, .profile = profile, .known = calloc(PMT_SIEVE_KNOWN, sizeof *sieve->known)};
    return sieve->known ? 0 : -ENOMEM;
}

void
pmt_sieve_fini(pmt_sieve_t *sieve)
{
    for (uint32_t i = 0; i < sieve->thread_count; i++) {
        free(sieve->threads[i].frames);
    }
    free(sieve->threads);
    free(sieve->known);
    *sieve = (pmt_sieve_t){0};
}

int
pmt_sieve_add_thread(pmt_sieve_t *sieve, uint32_t process)
{
    int err = pmt_array_room(&sieve->threads, sieve->thread_count, &sieve->thread_room, sizeof *sieve->threads);
    if (!err) {
        sieve->threads[sieve->thread_count++] = (pmt_sieve_thread_t){.process = process};
    }
    return err;
}

// ---- which code ----

static bool
matches(const pmt_sieve_t *sieve, uint32_t process, uint32_t code)
{
    const pmt_code_t *known = pmt_profile_code(sieve->profile, process, code);
    char *const *texts = sieve->profile->texts.texts;
    if (!known || !known->named) {
        return true;  // it was wanted by those who know its names
    }
    return pmt_filter_wants(&sieve->choice.patterns, &(pmt_filter_names_t){texts[known->file], known->placed ? texts[known->module] : "", texts[known->name]});
}

static bool
is_wanted(pmt_sieve_t *sieve, uint32_t process, uint32_t code)
{
    pmt_sieve_known_t *known = &sieve->known[(code + process * 0x9e3779b9u) % PMT_SIEVE_KNOWN];
    if (sieve->choice.patterns.includes + sieve->choice.patterns.excludes == 0) {
        return true;
    }
    if (known->code != code || known->process != process || code == 0) {
        *known = (pmt_sieve_known_t){process, code, matches(sieve, process, code)};
    }
    return known->wanted;
}

// ---- frames ----

static uint8_t
top_of(const pmt_sieve_thread_t *thread)
{
    return thread->count ? thread->frames[thread->count - 1] : 0;
}

static bool
is_left_out(pmt_sieve_t *sieve, const pmt_sieve_thread_t *thread, const pmt_trace_event_t *event)
{
    if (event->kind == PMT_WIRE_C_CALL) {  // of the code that calls it
        return !sieve->choice.c_calls || top_of(thread) & HIDDEN;
    }
    return !is_wanted(sieve, thread->process, event->code);
}

static int
open_frame(pmt_sieve_t *sieve, pmt_sieve_thread_t *thread, pmt_trace_event_t *event)
{
    bool hidden = is_left_out(sieve, thread, event), called = event->kind != PMT_WIRE_OPEN;
    uint8_t inner = hidden ? top_of(thread) & INNER : called ? INNER : 0;
    if (pmt_array_room(&thread->frames, thread->count, &thread->room, sizeof *thread->frames) < 0) {
        return -ENOMEM;
    }
    thread->frames[thread->count++] = (uint8_t)((hidden ? HIDDEN : 0) | (called ? CALLED : 0) | inner);
    event->depth = thread->called;
    thread->called += !hidden && called;
    return !hidden;
}

// The innermost frame goes. Whether it was shown.
static int
close_frame(pmt_sieve_thread_t *thread)
{
    uint8_t frame = thread->frames[--thread->count];
    thread->called -= !(frame & HIDDEN) && frame & CALLED;
    return !(frame & HIDDEN);
}

static int
drop_frames(pmt_sieve_thread_t *thread, pmt_trace_event_t *event)
{
    uint32_t shown = 0;
    for (uint32_t i = 0; i < event->value; i++) {
        shown += (uint32_t)close_frame(thread);
    }
    event->value = shown;
    event->depth = thread->called;
    return shown > 0;
}

uint32_t
pmt_sieve_depth(const pmt_sieve_t *sieve, uint32_t number)
{
    const pmt_sieve_thread_t *thread = &sieve->threads[number];
    return thread->called - (top_of(thread) & INNER ? 1 : 0);
}

int
pmt_sieve_event(pmt_sieve_t *sieve, uint32_t number, pmt_trace_event_t *event)
{
    pmt_sieve_thread_t *thread = &sieve->threads[number];
    int shown;
    switch (event->kind) {
    case PMT_WIRE_CALL:
    case PMT_WIRE_RESUME:
    case PMT_WIRE_THROW:
    case PMT_WIRE_C_CALL:
    case PMT_WIRE_OPEN:
        return open_frame(sieve, thread, event);
    case PMT_WIRE_LINE:
        event->depth = pmt_sieve_depth(sieve, number);
        return sieve->choice.lines && !(top_of(thread) & HIDDEN);
    case PMT_WIRE_RSS:
        return 1;
    case PMT_WIRE_DROP:
        return drop_frames(thread, event);
    default:
        shown = close_frame(thread);
        event->depth = thread->called;
        return shown;
    }
}
