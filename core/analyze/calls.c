// The aggregates by function (calls.h). Time and the changes of RSS go to the innermost frame's row at once; what a whole call took tells its frame (stacks.h) when it ends.
#include "analyze/calls.h"

#include <stdlib.h>

#include "format/wire.h"

int
pmt_calls_init(pmt_calls_t *calls, uint32_t rows_max)
{
    pmt_calls_row_t rest = {.process = UINT32_MAX};
    *calls = (pmt_calls_t){.rows_max = rows_max};
    pmt_table_init(&calls->rows, sizeof rest, PMT_CALLS_KEY);
    calls->cache = calloc(PMT_CALLS_CACHE, sizeof *calls->cache);
    return calls->cache && pmt_table_add(&calls->rows, &rest) == PMT_CALLS_REST ? 0 : -ENOMEM;
}

void
pmt_calls_fini(pmt_calls_t *calls)
{
    pmt_stacks_fini(&calls->stacks);
    pmt_table_fini(&calls->rows);
    free(calls->cache);
    *calls = (pmt_calls_t){0};
}

int
pmt_calls_add_thread(pmt_calls_t *calls, uint32_t process, bool idle)
{
    return pmt_stacks_add_thread(&calls->stacks, process, idle);
}

static inline pmt_calls_row_t *
row_at(pmt_calls_t *calls, uint32_t number)
{
    return (pmt_calls_row_t *)calls->rows.elements + number;
}

static PMT_COLD int64_t
find_row(pmt_calls_t *calls, uint32_t process, uint32_t code, pmt_calls_cached_t *cached)
{
    pmt_calls_row_t row = {.process = process, .code = code};
    int64_t number = calls->rows.count < calls->rows_max ? pmt_table_add(&calls->rows, &row) : pmt_table_find(&calls->rows, &row);
    if (number == -ENOMEM) {
        return number;
    }
    number = number < 0 ? PMT_CALLS_REST : number;
    *cached = (pmt_calls_cached_t){.process = process, .code = code, .row = (uint32_t)number};
    return number;
}

static inline int64_t
row_of(pmt_calls_t *calls, uint32_t process, uint32_t code)
{
    pmt_calls_cached_t *cached = &calls->cache[(code + process * 0x9e3779b9u) & (PMT_CALLS_CACHE - 1)];
    if (PMT_LIKELY(cached->code == code && cached->process == process && cached->row != PMT_CALLS_REST)) {
        return cached->row;
    }
    return find_row(calls, process, code, cached);
}

static PMT_COLD void
saw_rss(pmt_calls_t *calls, pmt_stacks_thread_t *thread, int64_t rss)
{
    pmt_meter_t before = thread->now;
    pmt_stacks_rss(thread, rss);
    if (thread->stack) {
        pmt_calls_row_t *row = row_at(calls, pmt_stacks_top(thread)->row);
        row->growth_self += thread->now.rises - before.rises;
        row->release_self += thread->now.falls - before.falls;
    }
}

static int
begin(pmt_calls_t *calls, pmt_stacks_thread_t *thread, const pmt_trace_event_t *event)
{
    int64_t number = row_of(calls, thread->process, event->code);
    if (PMT_UNLIKELY(number < 0)) {
        return -ENOMEM;
    }
    row_at(calls, (uint32_t)number)->calls += event->kind == PMT_WIRE_CALL || event->kind == PMT_WIRE_C_CALL;
    return pmt_stacks_push(&calls->stacks, thread, (uint32_t)number);
}

static void
end(pmt_calls_t *calls, pmt_stacks_thread_t *thread)
{
    pmt_calls_row_t *row = row_at(calls, pmt_stacks_top(thread)->row);
    pmt_span_t span = pmt_stacks_stop(thread);
    row->largest = span.largest > row->largest ? span.largest : row->largest;
    if (span.outermost) {
        row->time += span.time;
        row->growth += span.rises;
        row->release += span.falls;
        row->touched += span.touched;
    }
    pmt_stacks_pop(&calls->stacks, thread);
}

static inline int
one_event(pmt_calls_t *calls, pmt_stacks_thread_t *thread, const pmt_trace_event_t *event)
{
    if (PMT_UNLIKELY(event->rss != thread->rss)) {
        saw_rss(calls, thread, event->rss);
    }
    if (thread->stack) {
        row_at(calls, pmt_stacks_top(thread)->row)->time_self += event->time - thread->now.time;
    }
    thread->now.time = event->time;
    switch (event->kind) {
    case PMT_WIRE_LINE:
    case PMT_WIRE_RSS:
        return 0;
    case PMT_WIRE_CALL:
    case PMT_WIRE_RESUME:
    case PMT_WIRE_THROW:
    case PMT_WIRE_C_CALL:
    case PMT_WIRE_OPEN:
        return begin(calls, thread, event);
    case PMT_WIRE_DROP:
        for (uint32_t i = 0; i < event->value; i++) {
            end(calls, thread);
        }
        return 0;
    default:
        end(calls, thread);
        return 0;
    }
}

int
pmt_calls_events(pmt_calls_t *calls, uint32_t number, const pmt_trace_event_t *events, uint32_t count)
{
    pmt_stacks_thread_t *thread = &calls->stacks.threads[number];
    for (uint32_t i = 0; i < count && !thread->idle; i++) {
        int err = one_event(calls, thread, &events[i]);
        if (PMT_UNLIKELY(err)) {
            return err;
        }
    }
    return 0;
}

void
pmt_calls_fault(pmt_calls_t *calls, uint32_t number, uint64_t pages, int64_t rss)
{
    pmt_stacks_thread_t *thread = &calls->stacks.threads[number];
    if (thread->idle) {
        return;
    }
    if (rss && rss != thread->rss) {
        saw_rss(calls, thread, rss);
    }
    thread->now.touched += pages;
    if (thread->stack) {
        row_at(calls, pmt_stacks_top(thread)->row)->touched_self += pages;
    }
}

void
pmt_calls_sum(pmt_calls_row_t *to, const pmt_calls_row_t *row)
{
    to->calls += row->calls;
    to->time_self += row->time_self;
    to->time += row->time;
    to->growth_self += row->growth_self;
    to->growth += row->growth;
    to->release_self += row->release_self;
    to->release += row->release;
    to->touched_self += row->touched_self;
    to->touched += row->touched;
    to->largest = row->largest > to->largest ? row->largest : to->largest;
}

int
pmt_calls_add(pmt_calls_t *calls, const pmt_calls_row_t *row)
{
    int64_t number = row_of(calls, row->process, row->code);
    if (number < 0) {
        return -ENOMEM;
    }
    pmt_calls_sum(row_at(calls, (uint32_t)number), row);
    return 0;
}

void
pmt_calls_end(pmt_calls_t *calls)
{
    for (uint32_t i = 0; i < calls->stacks.count; i++) {
        while (calls->stacks.threads[i].stack) {
            end(calls, &calls->stacks.threads[i]);
        }
    }
}
