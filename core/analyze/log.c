// The log's rows (log.h): records become rows in queues, a thread each, and those that the filter lets through go out.
#include "analyze/log.h"

#include <errno.h>
#include <stdlib.h>

#include "analyze/log_queues_inline.h"
#include "analyze/replay.h"
#include "format/lanes.h"
#include "format/wire.h"

enum {
    AT_A_TIME = 256,
    ROWS_MAX = 1 << 20,      // rows in all queues: beyond it the oldest go, in what order is known
    SKIPPED_MAX = 1 << 20,   // rows passed over in one call
    CODES = 1 << 12,         // names remembered
};

typedef struct process_s {
    int64_t rss;  // of its last row
    bool has_rss, has_before;
    pmt_log_row_t before;  // its last row, if that was not shown
} process_t;

typedef struct named_s {
    uint32_t process, code;  // code 0: free
    uint32_t file, name, first_line;
} named_t;

struct pmt_log_s {
    pmt_profile_t profile;
    pmt_table_t offsets;
    pmt_reader_t *reader;
    pmt_decoder_t events;
    pmt_sieve_t sieve;  // of the section that is asked for
    pmt_log_filter_t filter;
    pmt_queues_t queues;  // one for each process's marks, then one for each thread
    // Rows up to the last ROUND but one are complete: what a new process did before the recorder took it up may be a round late.
    uint64_t safe, round;
    bool full, ended;
    struct {
        bool begun, suspended, over;
        int64_t rss;  // of its last row
    } section;
    process_t *processes;
    bool has_next;
    pmt_log_row_t next;  // to be handed out first
    named_t *named;
    uint32_t start_text, end_text;
};

// ---- records to rows ----

static bool
unwanted(const pmt_log_t *log, uint32_t process)
{
    return log->filter.pid && log->profile.processes[process].pid != log->filter.pid;
}

// Rows of a thread.
static int
put_row(pmt_log_t *log, uint32_t thread, pmt_log_row_t row)
{
    return pmt_queues_put(&log->queues, log->profile.process_count + thread, row);
}

static pmt_log_row_t
thread_row(const pmt_log_t *log, uint32_t thread, uint64_t time, unsigned kind)
{
    return (pmt_log_row_t){
        .time = time,
        .process = log->profile.threads[thread].process,
        .thread = thread,
        .depth = log->filter.section.number ? pmt_sieve_depth(&log->sieve, thread) : pmt_decoder_depth(&log->events, thread),
        .file = PMT_LOG_NONE,
        .name = PMT_LOG_NONE,
        .text = PMT_LOG_NONE,
        .kind = (uint8_t)kind,
    };
}

static int
put_event(pmt_log_t *log, uint32_t thread, const pmt_trace_event_t *event, bool hidden)
{
    if (event->kind > PMT_WIRE_LINE) {
        return 0;
    }
    pmt_log_row_t row = {
        .time = event->time,
        .rss = event->rss,
        .process = log->profile.threads[thread].process,
        .thread = thread,
        .depth = event->depth,
        .code = event->code,
        .line = event->value,
        .text = event->exception ? event->exception : PMT_LOG_NONE,  // a code id until the row goes out
        .kind = event->kind,
        .hidden = hidden,
    };
    return put_row(log, thread, row);
}

static int
on_events(pmt_log_t *log, const pmt_record_t *r)
{
    pmt_trace_event_t events[AT_A_TIME];
    int count, err = 0;
    pmt_decoder_begin(&log->events, r);
    while (!err && (count = pmt_decoder_next(&log->events, events, AT_A_TIME)) != 0) {
        err = count < 0 ? count : 0;
        for (int i = 0; i < count && !err; i++) {
            int shown = log->filter.section.number ? pmt_sieve_event(&log->sieve, r->u.events.thread, &events[i]) : 1;
            err = shown < 0 ? shown : put_event(log, r->u.events.thread, &events[i], !shown);
        }
    }
    return err;
}

static int
on_fault(pmt_log_t *log, const pmt_record_t *r)
{
    const pmt_raw_node_t *node = pmt_table_at(&log->profile.nodes, log->profile.node_of[r->u.fault.node]);
    pmt_log_row_t row = thread_row(log, r->u.fault.thread, r->time, PMT_LOG_FAULT);
    int64_t rss = pmt_decoder_fault(&log->events, r);
    row.rss = r->u.fault.has_rss ? rss : 0;
    row.count = r->u.fault.rise;
    row.code = node->code == PMT_CODE_ELIDED ? 0 : node->code;
    row.line = pmt_offsets_line(&log->offsets, node);
    return r->u.fault.tick ? 0 : put_row(log, r->u.fault.thread, row);
}

static int
on_note(pmt_log_t *log, const pmt_record_t *r)
{
    uint32_t thread = (uint32_t)r->u.note.thread;
    pmt_log_row_t row = thread_row(log, thread, r->time, r->u.note.what == PMT_NOTE_LOST ? PMT_LOG_LOST : PMT_LOG_MARK);
    if (row.kind == PMT_LOG_LOST) {
        row.count = r->u.note.number;
    } else {
        int64_t text = pmt_profile_note(&log->profile, r);
        if (text < 0) {
            return -ENOMEM;
        }
        row.text = (uint32_t)text;
        row.note = r->u.note.what <= PMT_NOTE_LOST ? (uint8_t)r->u.note.what : 0;
        row.count = r->u.note.number;
        row.rss = log->events.threads[thread].rss;
    }
    return put_row(log, thread, row);
}

static int
on_mark(pmt_log_t *log, const pmt_record_t *r)
{
    if (r->u.mark.kind != PMT_MARK_START && r->u.mark.kind != PMT_MARK_END) {
        return 0;
    }
    if (unwanted(log, (uint32_t)r->u.mark.process)) {
        return 0;
    }
    pmt_log_row_t row = {
        .time = r->time,
        .rss = (int64_t)r->u.mark.rss,
        .process = (uint32_t)r->u.mark.process,
        .thread = PMT_LOG_NONE,
        .file = PMT_LOG_NONE,
        .name = PMT_LOG_NONE,
        .text = r->u.mark.kind == PMT_MARK_START ? log->start_text : log->end_text,
        .kind = PMT_LOG_MARK,
    };
    return pmt_queues_put(&log->queues, row.process, row);
}

static int
on_record(pmt_log_t *log, const pmt_record_t *r)
{
    int err;
    switch (r->type) {
    case PMT_WIRE_ROUND:
        log->safe = log->round;
        log->round = r->time > PMT_WIRE_EVENT_NS ? r->time - PMT_WIRE_EVENT_NS : 0;  // times of events are rounded down
        return 0;
    case PMT_WIRE_THREAD:
        err = pmt_decoder_add_thread(&log->events);
        err = err ? err : pmt_sieve_add_thread(&log->sieve, (uint32_t)r->u.thread.process);
        return err ? err : pmt_queues_add(&log->queues, unwanted(log, (uint32_t)r->u.thread.process));
    case PMT_WIRE_NODE:
        return pmt_profile_node(&log->profile, r);
    case PMT_WIRE_EVENTS:
        return on_events(log, r);
    case PMT_WIRE_FAULT:
        return on_fault(log, r);
    case PMT_WIRE_NOTE:
        return on_note(log, r);
    case PMT_WIRE_MARK:
        return on_mark(log, r);
    default:
        return 0;
    }
}

// Reads until rows are complete, or the end, or there are too many of them.
static int
read_more(pmt_log_t *log, char error[PMT_ERROR_MAX])
{
    pmt_record_t record;
    int err;
    while ((err = pmt_reader_next(log->reader, &record)) > 0) {
        err = on_record(log, &record);
        if (err < 0) {
            break;
        }
        log->full = log->queues.rows >= ROWS_MAX;
        if (log->full || record.type == PMT_WIRE_ROUND) {
            return 0;
        }
    }
    log->ended = true;
    pmt_replay_explain(log->reader, &log->events, err, error);
    return err;
}

// ---- rows that go out ----

static const named_t *
name_of(pmt_log_t *log, uint32_t process, uint32_t code)
{
    named_t *named = &log->named[(code + process * 0x9e3779b9u) & (CODES - 1)];
    if (named->code != code || named->process != process || code == 0) {
        const pmt_code_t *known = pmt_profile_code(&log->profile, process, code);
        *named = (named_t){.process = process, .code = code, .file = PMT_LOG_NONE, .name = PMT_LOG_NONE};
        if (known && known->named) {
            *named = (named_t){process, code, known->file, known->name, known->first_line};
        }
    }
    return named;
}

// A frame's row shows where the frame is: at its last line, or where it begins; a C function has no line.
static void
put_names(pmt_log_t *log, pmt_log_row_t *row)
{
    if (row->kind == PMT_LOG_MARK || row->kind == PMT_LOG_LOST) {
        return;
    }
    if (row->text != PMT_LOG_NONE) {
        row->text = name_of(log, row->process, row->text)->name;
    }
    const named_t *named = name_of(log, row->process, row->code);
    row->file = named->file;
    row->name = named->name;
    if (row->line == 0 && row->kind != PMT_LOG_FAULT) {
        row->line = named->first_line;
    }
}

static void
put_change(pmt_log_t *log, pmt_log_row_t *row)
{
    process_t *process = &log->processes[row->process];
    if (row->rss == 0) {  // not known to its thread
        row->rss = process->rss;
    }
    row->change = process->has_rss ? (int64_t)((uint64_t)row->rss - (uint64_t)process->rss) : 0;
    process->rss = row->rss;
    process->has_rss |= row->rss != 0;
}

static bool
chosen(const uint8_t *mask, uint32_t count, uint32_t number)
{
    return !mask || (number < count && mask[number]);
}

static bool
wanted(const pmt_log_filter_t *filter, const pmt_log_row_t *row)
{
    return row->time >= filter->since && row->time <= filter->until && (filter->kinds == 0 || filter->kinds >> row->kind & 1) &&
           chosen(filter->names, filter->names_count, row->name) && chosen(filter->threads, filter->threads_count, row->thread);
}

static bool
moved(const pmt_log_filter_t *filter, const pmt_log_row_t *row)
{
    return (row->change < 0 ? -(uint64_t)row->change : (uint64_t)row->change) >= filter->min_change;
}

// Whether *row goes out now; the row before it may take its place, and it comes next.
static bool
show(pmt_log_t *log, pmt_log_row_t *row)
{
    process_t *process = &log->processes[row->process];
    if (!wanted(&log->filter, row)) {
        return false;
    }
    if (!moved(&log->filter, row)) {
        process->before = *row;
        process->has_before = true;
        return false;
    }
    if (process->has_before) {
        log->next = *row;
        log->has_next = true;
        *row = process->before;
        process->has_before = false;
    }
    return true;
}

// Whether the section that is asked for has this row, as far as its limits go.
static bool
in_section(pmt_log_t *log, const pmt_log_row_t *row)
{
    bool is_note = row->note >= PMT_NOTE_SECTION_BEGIN && row->note <= PMT_NOTE_SECTION_RESUME;
    if (!is_note) {
        return log->section.begun && !log->section.suspended;
    }
    if (row->count != log->filter.section.number) {
        return false;
    }
    log->section.begun |= row->note == PMT_NOTE_SECTION_BEGIN;
    log->section.suspended = row->note == PMT_NOTE_SECTION_SUSPEND;
    log->section.over = log->section.begun && row->note == PMT_NOTE_SECTION_END;
    return log->section.begun;
}

// Whether a row is of the section, and moved RSS.
static bool
show_in_section(pmt_log_t *log, pmt_log_row_t *row)
{
    const pmt_log_section_t *section = &log->filter.section;
    bool always = row->kind == PMT_LOG_MARK || row->kind == PMT_LOG_LOST;
    if (row->time < log->filter.since || !in_section(log, row) || row->hidden) {
        return false;
    }
    uint64_t change = (uint64_t)row->rss - (uint64_t)log->section.rss;
    change = row->rss < log->section.rss ? -change : change;
    if (!always && change < section->trigger) {
        return false;
    }
    row->change = log->section.rss ? (int64_t)((uint64_t)row->rss - (uint64_t)log->section.rss) : 0;
    log->section.rss = row->rss;
    return true;
}

int
pmt_log_next(pmt_log_t *log, pmt_log_row_t *row, char error[PMT_ERROR_MAX])
{
    int err;
    if (log->section.over) {
        return 0;
    }
    if (log->has_next) {
        *row = log->next;
        log->has_next = false;
        return 1;
    }
    for (uint32_t skipped = 0; skipped < SKIPPED_MAX;) {
        const pmt_log_row_t *first = pmt_queues_first(&log->queues);
        if (first && (log->ended || log->full || first->time <= log->safe)) {
            *row = pmt_queues_take(&log->queues);
            log->full = log->full && log->queues.rows > ROWS_MAX / 2;
            put_names(log, row);
            put_change(log, row);
            if (row->time > log->filter.until) {
                return 0;  // so are all that follow
            }
            if (log->filter.section.number ? show_in_section(log, row) : show(log, row)) {
                return 1;
            }
            skipped++;
        } else if (log->ended) {
            return 0;
        } else if ((err = read_more(log, error)) < 0) {
            return err;
        }
    }
    return -EAGAIN;
}

// ---- open and close ----

static int
prepare(pmt_log_t *log, const char *path, char error[PMT_ERROR_MAX])
{
    int err = pmt_profile_read(&log->profile, path, 0, error);
    err = err ? err : pmt_offsets_resolve(&log->offsets, &log->profile);
    err = err ? err : pmt_profile_reopen(&log->profile, path, &log->reader, error);
    for (uint32_t i = 0; i < log->profile.process_count && !err; i++) {
        err = pmt_queues_add(&log->queues, false);
    }
    if (!err) {
        log->processes = calloc((size_t)log->profile.process_count + 1, sizeof *log->processes);
        log->named = calloc(CODES, sizeof *log->named);
        int64_t start = pmt_texts_add(&log->profile.texts, "start", 5), end = pmt_texts_add(&log->profile.texts, "end", 3);
        log->start_text = (uint32_t)start;
        log->end_text = (uint32_t)end;
        err = log->processes && log->named && start >= 0 && end >= 0 ? 0 : -ENOMEM;
    }
    return err;
}

int
pmt_log_open(pmt_log_t **out, const char *path, char error[PMT_ERROR_MAX])
{
    pmt_log_t *log = calloc(1, sizeof *log);
    *out = NULL;
    if (!log) {
        return -ENOMEM;
    }
    log->filter.until = UINT64_MAX;
    pmt_decoder_init(&log->events);
    pmt_table_init(&log->offsets, sizeof(pmt_offset_t), PMT_OFFSET_KEY);
    int err = prepare(log, path, error);
    if (err) {
        pmt_log_close(log);
        return err;
    }
    *out = log;
    return 0;
}

void
pmt_log_close(pmt_log_t *log)
{
    if (!log) {
        return;
    }
    pmt_queues_fini(&log->queues);
    free(log->processes);
    free(log->named);
    pmt_decoder_fini(&log->events);
    pmt_sieve_fini(&log->sieve);
    pmt_table_fini(&log->offsets);
    pmt_reader_close(log->reader);
    pmt_profile_fini(&log->profile);
    free(log);
}

const pmt_profile_t *
pmt_log_profile(const pmt_log_t *log)
{
    return &log->profile;
}

int
pmt_log_filter(pmt_log_t *log, const pmt_log_filter_t *filter)
{
    log->filter = *filter;
    pmt_sieve_fini(&log->sieve);
    return filter->section.number ? pmt_sieve_init(&log->sieve, &filter->section.choice, &log->profile) : 0;
}
