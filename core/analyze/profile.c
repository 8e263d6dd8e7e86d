// Streaming a trace into aggregates (profile.h). One file, because it is one list: a handler for each record, all small and on the same aggregates.
#include "analyze/profile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/lag.h"
#include "base/array.h"
#include "format/lanes.h"
#include "format/wire.h"

enum { PAIRS_MAX = 1024 };  // keys of one scope; a trace has two dozen. They are searched one by one

static int
add_text(pmt_profile_t *profile, pmt_text_t text, uint32_t *out)
{
    int64_t number = pmt_texts_add(&profile->texts, text.data, text.size);
    *out = number < 0 ? 0 : (uint32_t)number;
    return number < 0 ? (int)number : 0;
}

// Sets `key` in a list of pairs; a later value replaces an earlier one.
static int
set_pair(pmt_profile_t *profile, pmt_pairs_t *pairs, pmt_text_t key, pmt_text_t text, uint64_t value)
{
    pmt_pair_t pair = {.value = value};
    int err = add_text(profile, key, &pair.key);
    err = err ? err : add_text(profile, text, &pair.text);
    for (uint32_t i = 0; i < pairs->count && !err; i++) {
        if (pairs->list[i].key == pair.key) {
            pairs->list[i] = pair;
            return 0;
        }
    }
    err = err ? err : pmt_array_room(&pairs->list, pairs->count, &pairs->room, sizeof *pairs->list);
    if (!err && pairs->count < PAIRS_MAX) {
        pairs->list[pairs->count++] = pair;
    }
    return err;
}

static void
add_weight(pmt_weight_t *to, const pmt_record_t *fault)
{
    uint64_t rise = fault->u.fault.rise;
    to->pages += rise;
    if (fault->u.fault.tick) {  // no fault: all of it is by time
        to->by_time += rise;
        return;
    }
    to->faults += fault->u.fault.weight;
    to->by_time += fault->u.fault.by_time && rise ? rise - 1 : 0;
}

// A reading.
static void
saw_rss(pmt_profile_t *profile, uint64_t number, uint64_t time, int64_t bytes)
{
    pmt_process_row_t *process = &profile->processes[number];
    if (number == 0) {
        profile->highs.base = bytes;
        profile->highs.risen = 0;
        pmt_highs_saw(&profile->highs, time);
    }
    if (bytes > process->rss_peak) {
        process->rss_peak = bytes;
        process->peak_time = time;
    }
}

// ---- definitions ----

static int
on_process(pmt_profile_t *profile, const pmt_record_t *r)
{
    int err = pmt_array_room(&profile->processes, profile->process_count, &profile->process_room, sizeof *profile->processes);
    if (!err) {
        profile->processes[profile->process_count++] = (pmt_process_row_t){.pid = r->u.process.pid, .parent = r->u.process.parent, .start = r->time};
    }
    return err;
}

static int
on_thread(pmt_profile_t *profile, const pmt_record_t *r)
{
    pmt_thread_row_t row = {.process = (uint32_t)r->u.thread.process, .tid = r->u.thread.tid};
    int err = add_text(profile, r->u.thread.name, &row.name);
    err = err ? err : pmt_array_room(&profile->threads, profile->thread_count, &profile->thread_room, sizeof row);
    if (!err) {
        profile->threads[profile->thread_count++] = row;
    }
    return err;
}

// The entry of a code object, made if there is none. NULL: no memory.
static pmt_code_t *
code_of(pmt_profile_t *profile, uint64_t process, uint64_t id)
{
    pmt_code_t code = {.process = (uint32_t)process, .id = (uint32_t)id};
    int64_t number = pmt_table_add(&profile->codes, &code);
    return number < 0 ? NULL : pmt_table_at(&profile->codes, (uint32_t)number);
}

static int
on_code(pmt_profile_t *profile, const pmt_record_t *r)
{
    uint32_t file, name;
    int err = add_text(profile, r->u.code.file, &file);
    err = err ? err : add_text(profile, r->u.code.name, &name);
    pmt_code_t *code = err ? NULL : code_of(profile, r->u.code.process, r->u.code.id);
    if (!code) {
        return -ENOMEM;
    }
    code->named = true;
    code->first_line = (uint32_t)r->u.code.first_line;
    code->file = file;
    code->name = name;
    return 0;
}

static int
on_code_module(pmt_profile_t *profile, const pmt_record_t *r)
{
    uint32_t module;
    int err = add_text(profile, r->u.code_module.module, &module);
    pmt_code_t *code = err ? NULL : code_of(profile, r->u.code_module.process, r->u.code_module.id);
    if (!code) {
        return -ENOMEM;
    }
    code->placed = true;
    code->module = module;
    return 0;
}

static int
on_code_lines(pmt_profile_t *profile, const pmt_record_t *r)
{
    size_t size = r->u.code_lines.piece.size;
    pmt_code_t *code = code_of(profile, r->u.code_lines.process, r->u.code_lines.id);
    uint8_t *lines = code && size ? realloc(code->lines, code->lines_size + size) : NULL;
    if (code && size == 0) {
        return 0;
    }
    if (!lines) {
        return -ENOMEM;
    }
    memcpy(lines + code->lines_size, r->u.code_lines.piece.data, size);
    code->lines = lines;
    code->lines_size += size;
    return 0;
}

static int
on_module(pmt_profile_t *profile, const pmt_record_t *r)
{
    pmt_module_row_t row = {.start = r->u.module.start, .offset = r->u.module.offset};
    int err = add_text(profile, r->u.module.path, &row.path);
    err = err ? err : pmt_array_room(&profile->modules, profile->module_count, &profile->module_room, sizeof row);
    if (!err) {
        profile->modules[profile->module_count++] = row;
    }
    return err;
}

static void
on_mark(pmt_profile_t *profile, const pmt_record_t *r)
{
    pmt_process_row_t *process = &profile->processes[r->u.mark.process];
    int64_t bytes = (int64_t)(r->u.mark.rss * profile->info.page_size);
    saw_rss(profile, r->u.mark.process, r->time, bytes);
    if (r->u.mark.kind == PMT_MARK_START) {
        process->has_rss_start = true;
        process->rss_start = bytes;
    } else if (r->u.mark.kind == PMT_MARK_END) {
        process->has_rss_end = true;
        process->rss_end = bytes;
        process->exit_time = r->time;
    }
}

static void
on_period(pmt_profile_t *profile, const pmt_record_t *r)
{
    pmt_process_row_t *process = &profile->processes[r->u.period.process];
    process->period_changes += process->period != 0;  // the first is the one it began with
    process->period = r->u.period.period > process->period ? r->u.period.period : process->period;
}

static void
on_end(pmt_profile_t *profile, const pmt_record_t *r)
{
    pmt_process_row_t *process = &profile->processes[r->u.process_end.process];
    process->has_end = true;
    process->end_kind = r->u.process_end.kind;
    process->end_value = r->u.process_end.value;
    process->end_time = r->time;
}

static void
on_left_out(pmt_profile_t *profile, const pmt_record_t *r)
{
    profile->left_out = true;
    profile->left_out_at = r->time;
    profile->left_out_faults = r->u.left_out.faults;
    profile->left_out_pages = r->u.left_out.pages;
    profile->left_out_events = r->u.left_out.events;
    profile->left_out_error = r->u.left_out.error;
}

static int
on_snapshot(pmt_profile_t *profile, const pmt_record_t *r)
{
    pmt_snapshot_row_t row = {.process = (uint32_t)r->u.snapshot.process, .kind = (uint32_t)r->u.snapshot.kind, .time = r->time};
    int err = add_text(profile, r->u.snapshot.name, &row.name);
    err = err ? err : pmt_array_room(&profile->snapshots, profile->snapshot_count, &profile->snapshot_room, sizeof row);
    if (!err) {
        profile->snapshots[profile->snapshot_count++] = row;
    }
    return err;
}

// The last of a process, whose snapshots do not overlap; NULL: there is none.
static pmt_snapshot_row_t *
last_snapshot(const pmt_profile_t *profile, uint64_t process)
{
    enum { AT_ONCE = 4096 };  // how far back it is looked for: snapshots of several processes may overlap
    for (uint32_t i = profile->snapshot_count, n = 0; i-- > 0 && n < AT_ONCE; n++) {
        if (profile->snapshots[i].process == process) {
            return &profile->snapshots[i];
        }
    }
    return NULL;
}

static void
on_snapshot_end(const pmt_profile_t *profile, const pmt_record_t *r)
{
    pmt_snapshot_row_t *row = last_snapshot(profile, r->u.snapshot_end.process);
    if (row) {
        row->end = r->time;
        row->error = r->u.snapshot_end.error;
    }
}

// Its text is known before the log is read.
static int
on_note(pmt_profile_t *profile, const pmt_record_t *r)
{
    int64_t text = pmt_profile_note(profile, r);
    if (text < 0 || r->u.note.what != PMT_NOTE_MARK || profile->note_count == PMT_NOTES_MAX) {
        return text < 0 ? (int)text : 0;
    }
    int err = pmt_array_room(&profile->notes, profile->note_count, &profile->note_room, sizeof *profile->notes);
    if (!err) {
        profile->notes[profile->note_count++] = (pmt_note_row_t){.thread = (uint32_t)r->u.note.thread, .text = (uint32_t)text, .time = r->time};
    }
    return err;
}

static int
on_allocator(pmt_profile_t *profile, const pmt_record_t *r)
{
    pmt_allocator_row_t row = {.process = (uint32_t)r->u.allocator.process, .time = r->time, .value = r->u.allocator.value};
    int err = add_text(profile, r->u.allocator.name, &row.name);
    err = err ? err : pmt_array_room(&profile->allocators, profile->allocator_count, &profile->allocator_room, sizeof row);
    if (!err) {
        profile->allocators[profile->allocator_count++] = row;
    }
    return err;
}

// ---- the stream ----

int
pmt_profile_node(pmt_profile_t *profile, const pmt_record_t *r)
{
    pmt_raw_node_t node = {.parent = UINT32_MAX, .code = r->u.node.code, .offset = r->u.node.offset};
    if (r->u.node.code == PMT_CODE_ROOT) {
        node.process = r->u.node.offset;
    } else {
        node.parent = profile->node_of[r->u.node.parent];
        node.process = ((pmt_raw_node_t *)pmt_table_at(&profile->nodes, node.parent))->process;
    }
    int64_t number = pmt_table_add(&profile->nodes, &node);
    int err = number < 0 ? (int)number : pmt_array_room(&profile->node_of, r->u.node.number, &profile->node_of_room, sizeof *profile->node_of);
    if (!err) {
        profile->node_of[r->u.node.number] = (uint32_t)number;
    }
    return err;
}

static int
on_site(pmt_profile_t *profile, const pmt_record_t *r)
{
    pmt_place_t place = {.offset = r->u.site.address, .path = UINT32_MAX};
    if (r->u.site.module) {
        const pmt_module_row_t *module = &profile->modules[r->u.site.module - 1];
        place.path = module->path;
        place.offset = r->u.site.address - module->start + module->offset;
    }
    int64_t number = pmt_table_add(&profile->places, &place);
    int err = number < 0 ? (int)number : pmt_array_room(&profile->place_of, r->u.site.number, &profile->place_of_room, sizeof *profile->place_of);
    if (!err) {
        profile->place_of[r->u.site.number] = (uint32_t)number;
    }
    return err;
}

// The place of a site; site 0 is a place of its own.
static int64_t
place_number(pmt_profile_t *profile, uint32_t site)
{
    pmt_place_t unknown = {.path = UINT32_MAX};
    return site ? profile->place_of[site] : pmt_table_add(&profile->places, &unknown);
}

// What a fault says of RSS; in the file it may stand behind later readings, for a chart near enough.
static void
saw_rise(pmt_highs_t *highs, const pmt_record_t *r, uint32_t page_size)
{
    if (r->u.fault.fell) {
        highs->base = (int64_t)(r->u.fault.fell_to * page_size);
        highs->risen = 0;
    } else {
        highs->risen = (int64_t)((uint64_t)highs->risen + r->u.fault.rise * page_size);
    }
    pmt_highs_saw(highs, r->time);
}

static int
on_fault(pmt_profile_t *profile, const pmt_record_t *r, uint64_t pid)
{
    pmt_thread_row_t *thread = &profile->threads[r->u.fault.thread];
    pmt_raw_node_t *node = pmt_table_at(&profile->nodes, profile->node_of[r->u.fault.node]);
    profile->signals++;
    if (pid && profile->processes[thread->process].pid != pid) {
        return 0;
    }
    if (thread->process == 0) {
        saw_rise(&profile->highs, r, profile->info.page_size);
    }
    add_weight(&profile->processes[thread->process].touched, r);
    add_weight(&thread->touched, r);
    add_weight(&node->self, r);
    bool native = node->code == PMT_CODE_ROOT;
    int64_t place = place_number(profile, r->u.fault.site);
    int64_t owner = r->u.fault.caller ? place_number(profile, r->u.fault.caller) : place;
    if (place < 0 || owner < 0) {
        return -ENOMEM;
    }
    add_weight(&((pmt_place_t *)pmt_table_at(&profile->places, (uint32_t)place))->all, r);
    if (native) {
        add_weight(&((pmt_place_t *)pmt_table_at(&profile->places, (uint32_t)owner))->native, r);
    }
    return 0;
}

static void
on_sample(pmt_profile_t *profile, const pmt_record_t *r)
{
    pmt_process_row_t *process = &profile->processes[r->u.sample.process];
    uint64_t kib = (uint64_t)r->u.sample.kib[0] + (uint64_t)r->u.sample.kib[1] + (uint64_t)r->u.sample.kib[2];
    int64_t bytes = (int64_t)(kib << 10);
    saw_rss(profile, r->u.sample.process, r->time, bytes);
    process->sampled = true;
    if (!process->has_rss_end) {
        process->rss_end = bytes;
    }
}

static void
on_cgroup(pmt_profile_t *profile, const pmt_record_t *r)
{
    profile->limit_kib = r->u.cgroup.limit_kib >= 0 ? r->u.cgroup.limit_kib : profile->limit_kib;
    if (!profile->has_cgroup || r->u.cgroup.usage_kib > profile->cgroup_peak_kib) {
        profile->cgroup_peak_kib = r->u.cgroup.usage_kib;
    }
    profile->has_cgroup = true;
}

int
pmt_profile_add(pmt_profile_t *profile, const pmt_record_t *r, uint64_t pid)
{
    profile->duration = r->time > profile->duration ? r->time : profile->duration;
    switch (r->type) {
    case PMT_WIRE_TRAILER:
        profile->trailer = r->time;
        return 0;
    case PMT_WIRE_META: {
        uint64_t scope = r->u.meta.scope;
        return set_pair(profile, scope ? &profile->processes[scope - 1].meta : &profile->meta, r->u.meta.key, r->u.meta.value, 0);
    }
    case PMT_WIRE_COUNTER:
        return set_pair(profile, &profile->processes[r->u.counter.process].counters, r->u.counter.name, (pmt_text_t){"", 0}, r->u.counter.value);
    case PMT_WIRE_PROCESS:
        return on_process(profile, r);
    case PMT_WIRE_PROCESS_END:
        on_end(profile, r);
        return 0;
    case PMT_WIRE_THREAD:
        return on_thread(profile, r);
    case PMT_WIRE_THREAD_NAME:
        return add_text(profile, r->u.thread_name.name, &profile->threads[r->u.thread_name.thread].name);
    case PMT_WIRE_CODE:
        return on_code(profile, r);
    case PMT_WIRE_CODE_LINES:
        return on_code_lines(profile, r);
    case PMT_WIRE_CODE_MODULE:
        return on_code_module(profile, r);
    case PMT_WIRE_MODULE:
        return on_module(profile, r);
    case PMT_WIRE_MARK:
        on_mark(profile, r);
        return 0;
    case PMT_WIRE_PERIOD:
        on_period(profile, r);
        return 0;
    case PMT_WIRE_LOST:
        profile->lost += r->u.lost.count;
        return 0;
    case PMT_WIRE_LEFT_OUT:
        on_left_out(profile, r);
        return 0;
    case PMT_WIRE_NODE:
        return pmt_profile_node(profile, r);
    case PMT_WIRE_SITE:
        return on_site(profile, r);
    case PMT_WIRE_SAMPLE:
        on_sample(profile, r);
        return 0;
    case PMT_WIRE_CGROUP:
        on_cgroup(profile, r);
        return 0;
    case PMT_WIRE_FAULT:
        return on_fault(profile, r, pid);
    case PMT_WIRE_EVENTS:
    case PMT_WIRE_SUMMARY:
        profile->event_records++;
        return 0;
    case PMT_WIRE_SNAPSHOT:
        return on_snapshot(profile, r);
    case PMT_WIRE_SNAPSHOT_END:
        on_snapshot_end(profile, r);
        return 0;
    case PMT_WIRE_ALLOCATOR:
        return on_allocator(profile, r);
    case PMT_WIRE_NOTE:
        return on_note(profile, r);
    default:
        return 0;
    }
}

int64_t
pmt_profile_note(pmt_profile_t *profile, const pmt_record_t *r)
{
    static const char *const words[] = {
        [PMT_NOTE_SECTION_BEGIN] = "begins", [PMT_NOTE_SECTION_END] = "ends", [PMT_NOTE_SECTION_SUSPEND] = "is suspended", [PMT_NOTE_SECTION_RESUME] = "goes on"};
    const pmt_text_t *message = &r->u.note.text;
    if (r->u.note.what < PMT_NOTE_SECTION_BEGIN || r->u.note.what > PMT_NOTE_SECTION_RESUME) {
        return pmt_texts_add(&profile->texts, message->data, message->size);
    }
    enum { WORDS_MAX = 64 };
    char *text = malloc(WORDS_MAX + message->size);
    if (!text) {
        return -ENOMEM;
    }
    int size = snprintf(text, WORDS_MAX, "section %llu %s%s", (unsigned long long)r->u.note.number, words[r->u.note.what], message->size ? ": " : "");
    memcpy(text + size, message->data, message->size);
    int64_t number = pmt_texts_add(&profile->texts, text, (size_t)size + message->size);
    free(text);
    return number;
}

// ---- the whole file ----

const pmt_code_t *
pmt_profile_code(const pmt_profile_t *profile, uint32_t process, uint32_t id)
{
    pmt_code_t code = {.process = process, .id = id};
    int64_t number = pmt_table_find(&profile->codes, &code);
    return number < 0 ? NULL : pmt_table_at(&profile->codes, (uint32_t)number);
}

uint64_t
pmt_profile_counter(const pmt_profile_t *profile, const pmt_process_row_t *process, const char *name)
{
    for (uint32_t i = 0; i < process->counters.count; i++) {
        if (strcmp(profile->texts.texts[process->counters.list[i].key], name) == 0) {
            return process->counters.list[i].value;
        }
    }
    return 0;
}

// A peak between two samples that only the kernel saw. If a fault's reading was the highest until then, and among them, the peak was about then.
static void
saw_kernels_peak(pmt_profile_t *profile, uint32_t number)
{
    const pmt_process_row_t *process = &profile->processes[number];
    uint64_t kib = pmt_profile_counter(profile, process, "rss_hwm_kib"), at = pmt_profile_counter(profile, process, "rss_hwm_ns");
    uint64_t since = pmt_profile_counter(profile, process, "rss_hwm_since_ns"), own = process->peak_time;
    int64_t bytes = kib <= INT64_MAX >> 10 ? (int64_t)(kib << 10) : 0;
    if (at > since && bytes / profile->info.page_size - process->rss_peak / profile->info.page_size > (int64_t)pmt_lag_peak_pages(profile)) {
        saw_rss(profile, number, own > since && own < at ? own : since + (at - since) / 2, bytes);
    }
}

// What is known only at the end: counters stand last in the file.
static int
settle(pmt_profile_t *profile, uint64_t pid)
{
    bool found = pid == 0;
    for (uint32_t i = 0; i < profile->process_count; i++) {
        pmt_process_row_t *process = &profile->processes[i];
        uint64_t lost = pmt_profile_counter(profile, process, "lost");
        uint64_t when = pmt_profile_counter(profile, process, "rss_peak_ns");
        saw_rss(profile, i, when ? when : process->peak_time, (int64_t)(pmt_profile_counter(profile, process, "rss_peak_pages") * profile->info.page_size));
        saw_kernels_peak(profile, i);
        profile->lost = i == 0 && lost > profile->lost ? lost : profile->lost;
        profile->lost += i > 0 ? pmt_profile_counter(profile, process, "lost_slotless") : 0;  // of these no record tells
        process->has_rss_end |= process->sampled;
        found |= process->pid == pid;
    }
    return found ? 0 : -ESRCH;
}

int
pmt_profile_begin(pmt_profile_t *profile, const char *path, pmt_reader_t **reader, char error[PMT_ERROR_MAX])
{
    *profile = (pmt_profile_t){.limit_kib = -1};
    pmt_texts_init(&profile->texts);
    pmt_table_init(&profile->codes, sizeof(pmt_code_t), PMT_CODE_KEY);
    pmt_table_init(&profile->nodes, sizeof(pmt_raw_node_t), PMT_RAW_NODE_KEY);
    pmt_table_init(&profile->places, sizeof(pmt_place_t), PMT_PLACE_KEY);
    int err = pmt_reader_open(path, reader, error);
    if (!err) {
        profile->info = *pmt_reader_info(*reader);
    }
    return err;
}

int
pmt_profile_reopen(const pmt_profile_t *profile, const char *path, pmt_reader_t **reader, char error[PMT_ERROR_MAX])
{
    int err = pmt_reader_open(path, reader, error);
    if (err < 0) {
        return err;
    }
    const pmt_file_info_t *now = pmt_reader_info(*reader), *then = &profile->info;
    if (now->wall != then->wall || now->t0 != then->t0 || now->page_size != then->page_size) {
        pmt_reader_close(*reader);
        *reader = NULL;
        snprintf(error, PMT_ERROR_MAX, "another trace was written there meanwhile; read it anew");
        return -EBADMSG;
    }
    pmt_reader_limit(*reader, profile->good_bytes);
    return 0;
}

int
pmt_profile_end(pmt_profile_t *profile, pmt_reader_t *reader, uint64_t pid)
{
    profile->complete = pmt_reader_complete(reader);
    profile->duration = profile->complete ? profile->trailer : profile->duration;
    profile->good_bytes = pmt_reader_good_bytes(reader);
    return settle(profile, pid);
}

int
pmt_profile_read(pmt_profile_t *profile, const char *path, uint64_t pid, char error[PMT_ERROR_MAX])
{
    pmt_reader_t *reader;
    pmt_record_t record;
    int err = pmt_profile_begin(profile, path, &reader, error);
    if (err < 0) {
        return err;
    }
    while ((err = pmt_reader_next(reader, &record)) > 0) {
        if ((err = pmt_profile_add(profile, &record, pid)) < 0) {
            break;
        }
    }
    pmt_reader_explain(reader, err, error);
    err = err < 0 ? err : pmt_profile_end(profile, reader, pid);
    pmt_reader_close(reader);
    return err;
}

void
pmt_profile_fini(pmt_profile_t *profile)
{
    for (uint32_t i = 0; i < profile->codes.count; i++) {
        free(((pmt_code_t *)pmt_table_at(&profile->codes, i))->lines);
    }
    for (uint32_t i = 0; i < profile->process_count; i++) {
        free(profile->processes[i].meta.list);
        free(profile->processes[i].counters.list);
    }
    free(profile->meta.list);
    free(profile->processes);
    free(profile->threads);
    free(profile->modules);
    free(profile->snapshots);
    free(profile->notes);
    free(profile->allocators);
    free(profile->node_of);
    free(profile->place_of);
    pmt_table_fini(&profile->codes);
    pmt_table_fini(&profile->nodes);
    pmt_table_fini(&profile->places);
    pmt_texts_fini(&profile->texts);
}
