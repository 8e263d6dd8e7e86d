// Sums over events that are left out (summary.h).
#include "recorder/summary.h"

#include <stdlib.h>
#include <string.h>

#include "analyze/calls.h"
#include "base/array.h"
#include "base/varint.h"

enum {
    ROWS_MAX = 1 << 13,       // functions: 100 bytes each
    NAMES_MAX = 2 << 20,      // bytes
    PIECE = 256,              // events at a time
};

// Where a thread's next record of events goes on.
typedef struct member_s {
    uint64_t time;  // units
    uint64_t rss;
} member_t;

typedef struct name_s {
    uint32_t process, id;
    uint64_t first_line;
    uint32_t file_size, name_size;
    char *text;  // both
} name_t;

struct pmt_summary_s {
    pmt_calls_t calls;
    bool failed;  // no memory: what there is is written
    member_t *members;
    uint32_t member_count, member_room;
    name_t *names;
    uint32_t name_count, name_room;
    size_t names_size;
    bool marked;
    uint32_t depth;  // of the mark
    member_t mark;
    pmt_open_t open[PMT_OPEN_MAX + 1];
};

pmt_summary_t *
pmt_summary_new(void)
{
    pmt_summary_t *summary = calloc(1, sizeof *summary);
    if (summary && pmt_calls_init(&summary->calls, ROWS_MAX) < 0) {
        pmt_summary_free(summary);
        return NULL;
    }
    return summary;
}

void
pmt_summary_free(pmt_summary_t *summary)
{
    if (summary) {
        pmt_calls_fini(&summary->calls);
        for (uint32_t i = 0; i < summary->name_count; i++) {
            free(summary->names[i].text);
        }
        free(summary->names);
        free(summary->members);
        free(summary);
    }
}

void
pmt_summary_mark(pmt_summary_t *summary, const pmt_event_state_t *state)
{
    summary->marked = true;
    summary->depth = state->depth;
    summary->mark = (member_t){state->time, state->rss};
    memcpy(summary->open + 1, state->open + 1, state->depth * sizeof *state->open);
}

static void
feed(pmt_summary_t *summary, uint32_t thread, const pmt_trace_event_t *events, uint32_t count)
{
    summary->failed = summary->failed || pmt_calls_events(&summary->calls, thread, events, count) < 0;
}

// The thread as it was marked. False: there is none, or no memory.
static bool
enter(pmt_summary_t *summary, uint32_t *member, uint32_t process)
{
    if (!summary->marked || summary->failed || pmt_array_room(&summary->members, summary->member_count, &summary->member_room, sizeof *summary->members) < 0 ||
        pmt_calls_add_thread(&summary->calls, process, false) < 0) {
        return false;
    }
    uint32_t thread = summary->member_count++;
    summary->members[thread] = summary->mark;
    for (uint32_t depth = 1; depth <= summary->depth; depth++) {
        pmt_trace_event_t event = {.time = summary->mark.time * PMT_WIRE_EVENT_NS, .rss = (int64_t)summary->mark.rss, .kind = PMT_WIRE_OPEN,
                             .code = summary->open[depth].code & ~(uint32_t)PMT_OPEN_C};
        feed(summary, thread, &event, 1);
    }
    *member = thread + 1;
    return true;
}

// A record of ours: it need not be checked.
typedef struct columns_reader_s {
    const pmt_event_columns_t *columns;
    uint32_t at;
    const uint8_t *time, *value;
} columns_reader_t;

static uint64_t
next_number(const uint8_t **from, const uint8_t *end)
{
    uint64_t n = 0;
    pmt_varint_get(from, end, &n);
    return n;
}

// False: it was a change of RSS, which the following events tell.
static bool
next_event(columns_reader_t *reader, member_t *member, pmt_trace_event_t *out)
{
    const pmt_event_columns_t *columns = reader->columns;
    const uint8_t *values_end = columns->values + columns->values_size;
    unsigned kind = columns->kinds[reader->at++];
    member->time += next_number(&reader->time, columns->times + columns->times_size);
    bool valued = kind == PMT_WIRE_CALL || (kind >= PMT_WIRE_RESUME && kind <= PMT_WIRE_C_CALL) || kind >= PMT_WIRE_LINE;
    uint64_t value = valued ? next_number(&reader->value, values_end) : 0;
    if (kind == PMT_WIRE_RSS) {
        member->rss += (uint64_t)pmt_unzigzag(value);
        return false;
    }
    *out = (pmt_trace_event_t){.time = member->time * PMT_WIRE_EVENT_NS, .rss = (int64_t)member->rss, .kind = (uint8_t)kind, .code = (uint32_t)value, .value = (uint32_t)value};
    return true;
}

void
pmt_summary_events(pmt_summary_t *summary, uint32_t *member, uint32_t process, const pmt_event_columns_t *columns)
{
    if (!*member && !enter(summary, member, process)) {
        return;
    }
    pmt_trace_event_t events[PIECE];
    uint32_t count = 0;
    columns_reader_t reader = {columns, 0, columns->times, columns->values};
    while (reader.at < columns->count) {
        count += next_event(&reader, &summary->members[*member - 1], &events[count]);
        if (count == PIECE || reader.at == columns->count) {
            feed(summary, *member - 1, events, count);
            count = 0;
        }
    }
}

void
pmt_summary_fault(pmt_summary_t *summary, uint32_t member, uint64_t pages, uint64_t rss)
{
    if (member && !summary->failed) {
        pmt_calls_fault(&summary->calls, member - 1, pages, (int64_t)rss);
        summary->members[member - 1].rss = rss;
    }
}

void
pmt_summary_end_thread(pmt_summary_t *summary, uint32_t member, uint32_t depth)
{
    if (member) {
        member_t *at = &summary->members[member - 1];
        pmt_trace_event_t drop = {.time = at->time * PMT_WIRE_EVENT_NS, .rss = (int64_t)at->rss, .kind = PMT_WIRE_DROP, .value = depth};
        feed(summary, member - 1, &drop, 1);
        *at = (member_t){0, 0};
    }
}

void
pmt_summary_code(pmt_summary_t *summary, uint32_t process, uint32_t id, uint64_t first_line, const char *file, size_t file_size, const char *name, size_t name_size)
{
    size_t size = file_size + name_size;
    if (summary->names_size + size + sizeof(name_t) > NAMES_MAX || pmt_array_room(&summary->names, summary->name_count, &summary->name_room, sizeof *summary->names) < 0) {
        return;
    }
    char *text = malloc(size + 1);
    if (text) {
        memcpy(text, file, file_size);
        memcpy(text + file_size, name, name_size);
        summary->names[summary->name_count++] = (name_t){process, id, first_line, (uint32_t)file_size, (uint32_t)name_size, text};
        summary->names_size += size + sizeof(name_t);
    }
}

// ---- writing ----

static const pmt_calls_row_t *
row_of(const void *element)
{
    return *(const pmt_calls_row_t *const *)element;
}

static int
by_time(const void *a, const void *b)
{
    uint64_t left = row_of(a)->time_self, right = row_of(b)->time_self;
    return (left < right) - (left > right);
}

static void
write_name(const pmt_summary_t *summary, pmt_writer_t *writer, const pmt_calls_row_t *row)
{
    for (uint32_t i = summary->name_count; i-- > 0;) {
        const name_t *name = &summary->names[i];
        if (name->process == row->process && name->id == row->code) {
            pmt_writer_summary_code(writer, name->process, name->id, name->first_line, name->text, name->file_size, name->text + name->file_size, name->name_size);
            return;
        }
    }
}

static void
write_row(pmt_writer_t *writer, const pmt_calls_row_t *row)
{
    const uint64_t sums[PMT_SUMMARY_SUMS] = {row->calls, row->time_self, row->time, row->growth_self, row->growth, row->release_self, row->release, row->touched_self, row->touched};
    pmt_writer_summary(writer, row->process, row->code, sums, row->largest);
}

void
pmt_summary_write(pmt_summary_t *summary, pmt_writer_t *writer)
{
    uint32_t count = summary->calls.rows.count;
    pmt_calls_end(&summary->calls);
    const pmt_calls_row_t **rows = malloc(count * sizeof *rows);
    if (!rows) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = pmt_calls_row(&summary->calls, i);
    }
    qsort(rows, count, sizeof *rows, by_time);  // where room is short the most expensive ones are in
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i]->process != UINT32_MAX) {
            write_row(writer, rows[i]);
            write_name(summary, writer, rows[i]);
        }
    }
    free(rows);
}
