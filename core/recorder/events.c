// Words to events that nest (events.h).
#include "recorder/events.h"

#include <string.h>

#include "base/check.h"
#include "base/compiler.h"
#include "base/varint.h"
#include "recorder/summary.h"

enum { KIND = 15, ID_MAX = PMT_OPEN_C - 1, BELOW = 2 * PMT_OPEN_C };

#define BIT(kind) (1u << (kind))
static const uint32_t OPENS = BIT(PMT_EVENT_CALL) | BIT(PMT_EVENT_RESUME) | BIT(PMT_EVENT_THROW) | BIT(PMT_EVENT_C_CALL);
static const uint32_t CLOSES = BIT(PMT_EVENT_RETURN) | BIT(PMT_EVENT_YIELD) | BIT(PMT_EVENT_UNWIND) | BIT(PMT_EVENT_C_RETURN) | BIT(PMT_EVENT_C_RAISE);
static const uint32_t OF_C = BIT(PMT_EVENT_C_CALL) | BIT(PMT_EVENT_C_RETURN) | BIT(PMT_EVENT_C_RAISE);

static inline uint64_t
word_at(const uint64_t *words, uint64_t at)
{
    return __atomic_load_n(&words[at % PMT_LANE_WORDS], __ATOMIC_RELAXED);  // once: what was checked is what is used
}

static inline uint32_t
id_of(uint64_t word)
{
    return word <= ID_MAX ? (uint32_t)word : 0;
}

// The frame that an event of this kind is about.
static inline uint32_t
frame_of(unsigned kind, uint32_t id)
{
    return OF_C >> kind & 1 ? id | PMT_OPEN_C : id;
}

static inline bool
is_c(const pmt_open_t *frame)
{
    return frame->code & PMT_OPEN_C;
}

void
pmt_event_state_reset(pmt_event_state_t *state, uint64_t ticks)
{
    *state = (pmt_event_state_t){.open = state->open, .ticks = ticks};
    if (state->open) {
        state->open[0].code = BELOW;
    }
}

// ---- the record being filled ----

void
pmt_encoder_mark(pmt_encoder_t *encoder)
{
    if (PMT_UNLIKELY(encoder->summary && pmt_writer_almost_full(encoder->writer))) {
        pmt_summary_mark(encoder->summary, encoder->state);
    }
}

void
pmt_encoder_flush(pmt_encoder_t *encoder)
{
    pmt_event_columns_t *columns = encoder->columns;
    pmt_left_out_t left_out;
    if (columns->count) {
        *encoder->events += pmt_writer_events(encoder->writer, encoder->thread, columns);
        if (encoder->summary && pmt_writer_left_out(encoder->writer, &left_out)) {
            pmt_summary_events(encoder->summary, encoder->member, encoder->process, columns);
        }
        columns->count = columns->times_size = columns->values_size = 0;
        pmt_encoder_mark(encoder);
    }
}

static inline uint64_t
time_of(const pmt_encoder_t *encoder, uint64_t ticks, uint64_t last)
{
    uint64_t time = pmt_event_clock_units(encoder->clock, ticks);
    time = time < encoder->latest ? time : encoder->latest;
    time = time > encoder->earliest ? time : encoder->earliest;
    return time > last ? time : last;
}

// The fewest branches for what is usual: a number below 2^14.
static inline uint8_t *
put_number(uint8_t *at, uint64_t n)
{
    if (PMT_LIKELY(n < 0x80)) {
        *at = (uint8_t)n;
        return at + 1;
    }
    return pmt_varint_put(at, n);
}

// Any event, one at a time.
static void
put_event(pmt_encoder_t *encoder, unsigned kind, bool has_value, uint64_t value)
{
    pmt_event_columns_t *columns = encoder->columns;
    if (columns->count == PMT_WIRE_EVENTS_MAX) {
        pmt_encoder_flush(encoder);
    }
    uint64_t time = time_of(encoder, encoder->state->ticks, encoder->state->time);
    columns->kinds[columns->count++] = (uint8_t)kind;
    columns->times_size = (uint32_t)(put_number(columns->times + columns->times_size, time - encoder->state->time) - columns->times);
    if (has_value) {
        columns->values_size = (uint32_t)(put_number(columns->values + columns->values_size, value) - columns->values);
    }
    encoder->state->time = time;
}

static void
put_note(pmt_encoder_t *encoder, unsigned what, uint64_t number, const char *text, size_t size)
{
    uint64_t time = time_of(encoder, encoder->state->ticks, encoder->state->time);
    pmt_encoder_flush(encoder);
    pmt_writer_note(encoder->writer, encoder->thread, time * PMT_WIRE_EVENT_NS, what, number, text, size);
}

// ---- the usual words ----

// Encodes words up to the first that takes more than one event, or none: where that is.
static uint64_t
encode_usual(pmt_encoder_t *encoder, const uint64_t *words, uint64_t at, uint64_t end)
{
    pmt_event_state_t *state = encoder->state;
    pmt_event_columns_t *columns = encoder->columns;
    uint8_t *kinds = columns->kinds + columns->count, *kinds_end = columns->kinds + PMT_WIRE_EVENTS_MAX;
    uint8_t *times = columns->times + columns->times_size, *values = columns->values + columns->values_size;
    pmt_open_t *top = state->open + state->depth, *limit = state->open + PMT_OPEN_MAX;
    uint64_t ticks = state->ticks, last = state->time;
    for (; at < end && kinds < kinds_end; at++) {
        uint64_t word = word_at(words, at);
        uint32_t kind = word & KIND, id = (uint32_t)word >> 4, bit = BIT(kind);
        uint32_t frame = frame_of(kind, id);
        if (bit & OPENS) {
            if (PMT_UNLIKELY(top == limit || (kind == PMT_EVENT_C_CALL && is_c(top)))) {
                break;
            }
            *++top = (pmt_open_t){frame, 0};
            values = put_number(values, id);
        } else if (bit & CLOSES) {
            if (PMT_UNLIKELY(top->code != frame)) {
                break;
            }
            top--;
            if (kind == PMT_EVENT_UNWIND) {
                values = put_number(values, state->exception);
                state->exception = 0;
            }
        } else if (kind == PMT_EVENT_LINE) {
            if (PMT_UNLIKELY(top->code != state->line_code)) {
                break;
            }
            values = put_number(values, pmt_zigzag((int64_t)id - top->line));
            top->line = id;
        } else if (kind == PMT_EVENT_RSS && id != state->rss) {
            values = put_number(values, pmt_zigzag((int64_t)id - (int64_t)state->rss));
            state->rss = id;
        } else if (kind == PMT_EVENT_CODE) {
            state->line_code = id;
            ticks += word >> 32;
            continue;
        } else if (kind == PMT_EVENT_EXCEPTION) {
            state->exception = id;
            ticks += word >> 32;
            continue;
        } else {
            break;
        }
        ticks += word >> 32;
        uint64_t time = time_of(encoder, ticks, last);
        *kinds++ = (uint8_t)kind;
        times = put_number(times, time - last);
        last = time;
    }
    columns->count = (uint32_t)(kinds - columns->kinds);
    columns->times_size = (uint32_t)(times - columns->times);
    columns->values_size = (uint32_t)(values - columns->values);
    state->depth = (uint32_t)(top - state->open);
    state->ticks = ticks;
    state->time = last;
    return at;
}

// ---- frames ----

static void
open_frame(pmt_encoder_t *encoder, unsigned kind, uint32_t id)
{
    pmt_event_state_t *state = encoder->state;
    state->open[++state->depth] = (pmt_open_t){frame_of(kind, id), 0};
    put_event(encoder, kind, true, id);
}

static void
drop_frames(pmt_encoder_t *encoder, uint32_t depth)
{
    pmt_event_state_t *state = encoder->state;
    if (state->depth > depth) {
        put_event(encoder, PMT_WIRE_DROP, true, state->depth - depth);
        state->depth = depth;
    }
}

// Frames that were too deep to be followed have gone, or are given up.
static void
leave_the_deep(pmt_encoder_t *encoder)
{
    pmt_event_state_t *state = encoder->state;
    state->deeper = 0;
    if (state->unseen) {
        put_note(encoder, PMT_NOTE_LOST, state->unseen, "", 0);
        *encoder->unplaced += state->unseen;
        state->unseen = 0;
    }
}

// The innermost frame of a sort, 0: none. Of C functions the last one alone: Python frames inside of others are theirs to end.
static uint32_t
innermost(const pmt_event_state_t *state, bool of_c)
{
    uint32_t depth = state->depth;
    while (!of_c && depth > 0 && is_c(&state->open[depth])) {
        depth--;
    }
    return depth > 0 && is_c(&state->open[depth]) == of_c ? depth : 0;
}

// Whether an open frame can have got this name meanwhile: ids are never reused, a program of more functions than its table holds (capture/code_table.h) gives them later
// ones, and a definition that was lost leaves 0.
static bool
is_renamed(const pmt_open_t *open, uint32_t frame)
{
    uint32_t before = open->code & ID_MAX, now = frame & ID_MAX;
    return before == 0 || now == 0 || now > before;
}

// Makes the frame the innermost: those inside of it have ended without an event. False: it is not open, and nothing can open it.
static bool
uncover(pmt_encoder_t *encoder, uint32_t frame)
{
    pmt_event_state_t *state = encoder->state;
    for (uint32_t depth = state->depth; depth > 0; depth--) {
        if (state->open[depth].code == frame) {
            drop_frames(encoder, depth);
            return true;
        }
    }
    uint32_t depth = innermost(state, frame & PMT_OPEN_C);
    if (depth > 0 && is_renamed(&state->open[depth], frame)) {
        drop_frames(encoder, depth);
        state->open[depth].code = frame;
        return true;
    }
    if (frame & PMT_OPEN_C || state->depth == PMT_OPEN_MAX) {
        return false;
    }
    open_frame(encoder, PMT_WIRE_OPEN, frame);
    return true;
}

// Python frames that are open and as named stay so, with the C functions between them.
static void
restack(pmt_encoder_t *encoder, const uint64_t *words, uint64_t at, uint32_t count, bool inside)
{
    pmt_event_state_t *state = encoder->state;
    uint32_t i = 0, kept = 0;
    leave_the_deep(encoder);
    for (uint32_t depth = 1; !inside && depth <= state->depth && i < count; depth++) {
        if (!is_c(&state->open[depth])) {
            if (state->open[depth].code != id_of(word_at(words, at + i))) {
                break;
            }
            kept = depth;
            i++;
        }
    }
    if (!inside) {
        drop_frames(encoder, kept);
    }
    for (; i < count && state->depth < PMT_OPEN_MAX; i++) {
        open_frame(encoder, PMT_WIRE_OPEN, id_of(word_at(words, at + i)));
    }
}

// ---- the other words ----

void
pmt_encoder_lost(pmt_encoder_t *encoder, uint64_t events, uint64_t ticks)
{
    uint64_t before = encoder->state->ticks;
    encoder->state->lossy = true;
    encoder->state->ticks = ticks;
    if (events) {
        put_note(encoder, PMT_NOTE_LOST, events, "", 0);
    }
    encoder->state->ticks = before;  // what follows is told from there
}

static void
note_words(pmt_encoder_t *encoder, const uint64_t *words, uint64_t at, uint32_t count)
{
    uint64_t text[PMT_LANE_MORE_MAX];
    if (count < 2) {
        return;
    }
    uint64_t head = word_at(words, at), size = word_at(words, at + 1);
    uint32_t what = (uint32_t)head;
    if (what >= PMT_NOTE_MARK && what < PMT_NOTE_LOST && size <= (count - 2) * sizeof *text) {
        for (uint32_t i = 2; i < count; i++) {
            text[i - 2] = word_at(words, at + i);
        }
        put_note(encoder, what, head >> 32, (const char *)text, size);
    }
}

// A PMT_EVENT_MORE: the words it takes, 0: it is none.
static uint64_t
encode_more(pmt_encoder_t *encoder, const uint64_t *words, uint64_t at, uint64_t end)
{
    uint64_t first = word_at(words, at), left = PMT_LANE_WORDS - at % PMT_LANE_WORDS;
    uint32_t id = (uint32_t)first >> 4, what = id & 0xff, count = id >> 8;
    if (count > PMT_LANE_MORE_MAX || count >= end - at || count >= left) {
        return 0;
    }
    at++;
    if (what == PMT_MORE_TIME && count >= 1) {
        encoder->state->ticks = word_at(words, at);
    } else if (what == PMT_MORE_LOST && count >= 2) {
        pmt_encoder_lost(encoder, word_at(words, at + 1), word_at(words, at));
        encoder->state->ticks = word_at(words, at);
    } else {
        encoder->state->ticks += first >> 32;
    }
    if (what == PMT_MORE_STACK || what == PMT_MORE_FRAMES) {
        restack(encoder, words, at, count, what == PMT_MORE_FRAMES);
    } else if (what == PMT_MORE_NOTE) {
        note_words(encoder, words, at, count);
    }
    return 1 + count;
}

static void
encode_open(pmt_encoder_t *encoder, unsigned kind, uint32_t id)
{
    pmt_event_state_t *state = encoder->state;
    uint32_t depth = state->depth;
    while (kind == PMT_EVENT_C_CALL && !state->deeper && is_c(&state->open[depth])) {
        depth--;  // only Python code calls: the C function there has ended
    }
    drop_frames(encoder, depth);
    if (state->depth == PMT_OPEN_MAX) {
        state->deeper++;
        state->unseen++;
    } else {
        open_frame(encoder, kind, id);
    }
}

static void
encode_close(pmt_encoder_t *encoder, unsigned kind, uint32_t id)
{
    pmt_event_state_t *state = encoder->state;
    if (state->deeper) {
        state->unseen++;
        if (--state->deeper == 0) {
            leave_the_deep(encoder);
        }
    } else if (uncover(encoder, frame_of(kind, id))) {
        put_event(encoder, kind, kind == PMT_EVENT_UNWIND, state->exception);
        state->depth--;
    } else if (state->lossy) {
        *encoder->unplaced += 1;
    }
    state->exception = 0;
}

static void
encode_line(pmt_encoder_t *encoder, uint32_t line)
{
    pmt_event_state_t *state = encoder->state;
    if (state->deeper) {
        state->unseen++;
    } else if (uncover(encoder, state->line_code)) {
        pmt_open_t *top = &state->open[state->depth];
        put_event(encoder, PMT_EVENT_LINE, true, pmt_zigzag((int64_t)line - top->line));
        top->line = line;
    }
}

static void
encode_rss(pmt_encoder_t *encoder, uint64_t pages)
{
    if (pages != encoder->state->rss) {
        put_event(encoder, PMT_EVENT_RSS, true, pmt_zigzag((int64_t)pages - (int64_t)encoder->state->rss));
        encoder->state->rss = pages;
    }
}

// Any word, whatever is open: the words it takes, 0: they are no record.
static uint64_t
encode_any(pmt_encoder_t *encoder, const uint64_t *words, uint64_t at, uint64_t end)
{
    pmt_event_state_t *state = encoder->state;
    uint64_t word = word_at(words, at);
    uint32_t kind = word & KIND, id = (uint32_t)word >> 4;
    if (kind == PMT_EVENT_MORE) {
        return encode_more(encoder, words, at, end);
    }
    state->ticks += word >> 32;
    if (OPENS >> kind & 1) {
        encode_open(encoder, kind, id);
    } else if (CLOSES >> kind & 1) {
        encode_close(encoder, kind, id);
    } else if (kind == PMT_EVENT_LINE) {
        encode_line(encoder, id);
    } else if (kind == PMT_EVENT_RSS) {
        encode_rss(encoder, id);
    } else if (kind == PMT_EVENT_CODE) {
        state->line_code = id;
    } else if (kind == PMT_EVENT_EXCEPTION) {
        state->exception = id;
    }
    return 1;
}

uint64_t
pmt_encoder_encode(pmt_encoder_t *encoder, const uint64_t *words, uint64_t at, uint64_t stop, uint64_t end)
{
    while (at < stop) {
        if (encoder->columns->count == PMT_WIRE_EVENTS_MAX) {
            pmt_encoder_flush(encoder);
        }
        if (!encoder->state->deeper) {
            at = encode_usual(encoder, words, at, stop);
        }
        if (at < stop && encoder->columns->count < PMT_WIRE_EVENTS_MAX) {
            uint64_t taken = encode_any(encoder, words, at, end);
            at = taken ? at + taken : end;
        }
    }
    return at;
}
