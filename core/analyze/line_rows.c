// The aggregates by line (line_rows.h). A frame's mark is its file's text + 1 once that has been looked up: at its first line.
#include "analyze/line_rows.h"

#include "format/wire.h"

void
pmt_line_rows_init(pmt_line_rows_t *lines, const pmt_profile_t *profile, uint32_t rows_max)
{
    *lines = (pmt_line_rows_t){.rows_max = rows_max, .profile = profile};
    pmt_table_init(&lines->rows, sizeof(pmt_line_row_t), PMT_LINE_ROW_KEY);
}

void
pmt_line_rows_fini(pmt_line_rows_t *lines)
{
    pmt_stacks_fini(&lines->stacks);
    pmt_table_fini(&lines->rows);
}

int
pmt_line_rows_add_thread(pmt_line_rows_t *lines, uint32_t process, bool idle)
{
    return pmt_stacks_add_thread(&lines->stacks, process, idle);
}

// The line that the top frame is at, if any, has run.
static void
stop_line(pmt_line_rows_t *lines, pmt_stacks_thread_t *thread)
{
    uint32_t number = pmt_stacks_top(thread)->row;
    pmt_span_t span = pmt_stacks_stop(thread);
    if (number == PMT_STACKS_NO_ROW) {
        return;
    }
    pmt_line_row_t *row = pmt_table_at(&lines->rows, number);
    row->largest = span.largest > row->largest ? span.largest : row->largest;
    if (span.outermost) {
        row->time += span.time;
        row->growth += span.rises;
        row->release += span.falls;
    }
}

// Its row; -1: there is no room for it, or nothing is known of its file.
static int64_t
row_of(pmt_line_rows_t *lines, pmt_stacks_thread_t *thread, const pmt_trace_event_t *event)
{
    pmt_stacks_frame_t *top = pmt_stacks_top(thread);
    if (top->mark == 0) {
        const pmt_code_t *code = pmt_profile_code(lines->profile, thread->process, event->code);
        top->mark = code && code->named ? code->file + 1 : UINT32_MAX;
    }
    if (top->mark == UINT32_MAX) {
        return -1;
    }
    pmt_line_row_t row = {.file = top->mark - 1, .line = event->value};
    return lines->rows.count < lines->rows_max ? pmt_table_add(&lines->rows, &row) : pmt_table_find(&lines->rows, &row);
}

static int
start_line(pmt_line_rows_t *lines, pmt_stacks_thread_t *thread, const pmt_trace_event_t *event)
{
    stop_line(lines, thread);
    int64_t number = row_of(lines, thread, event);
    if (number == -ENOMEM) {
        return -ENOMEM;
    }
    if (number < 0) {
        lines->left_out++;
        return pmt_stacks_start(&lines->stacks, thread, PMT_STACKS_NO_ROW);
    }
    ((pmt_line_row_t *)pmt_table_at(&lines->rows, (uint32_t)number))->hits++;
    return pmt_stacks_start(&lines->stacks, thread, (uint32_t)number);
}

static int
one_event(pmt_line_rows_t *lines, pmt_stacks_thread_t *thread, const pmt_trace_event_t *event)
{
    if (event->rss != thread->rss) {
        pmt_stacks_rss(thread, event->rss);
    }
    thread->now.time = event->time;
    switch (event->kind) {
    case PMT_WIRE_RSS:
        return 0;
    case PMT_WIRE_LINE:
        return start_line(lines, thread, event);
    case PMT_WIRE_CALL:
    case PMT_WIRE_RESUME:
    case PMT_WIRE_THROW:
    case PMT_WIRE_C_CALL:
    case PMT_WIRE_OPEN:
        return pmt_stacks_push(&lines->stacks, thread, PMT_STACKS_NO_ROW);
    default:
        for (uint32_t n = event->kind == PMT_WIRE_DROP ? event->value : 1; n > 0; n--) {
            stop_line(lines, thread);
            pmt_stacks_pop(&lines->stacks, thread);
        }
        return 0;
    }
}

int
pmt_line_rows_events(pmt_line_rows_t *lines, uint32_t number, const pmt_trace_event_t *events, uint32_t count)
{
    pmt_stacks_thread_t *thread = &lines->stacks.threads[number];
    int err = 0;
    for (uint32_t i = 0; i < count && !thread->idle && !err; i++) {
        err = one_event(lines, thread, &events[i]);
    }
    return err;
}

void
pmt_line_rows_fault(pmt_line_rows_t *lines, uint32_t number, int64_t rss)
{
    pmt_stacks_thread_t *thread = &lines->stacks.threads[number];
    if (!thread->idle && rss && rss != thread->rss) {
        pmt_stacks_rss(thread, rss);
    }
}

void
pmt_line_rows_end(pmt_line_rows_t *lines)
{
    for (uint32_t i = 0; i < lines->stacks.count; i++) {
        pmt_stacks_thread_t *thread = &lines->stacks.threads[i];
        while (thread->stack) {
            stop_line(lines, thread);
            pmt_stacks_pop(&lines->stacks, thread);
        }
    }
}
