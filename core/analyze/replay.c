// Feeding the aggregates (replay.h).
#include "analyze/replay.h"

#include <errno.h>
#include <stdio.h>

#include "format/wire.h"

enum { AT_A_TIME = 256 };  // events: they fit the CPU's first cache

static int
on_thread(pmt_replay_t *replay, const pmt_record_t *r)
{
    uint32_t process = (uint32_t)r->u.thread.process;
    bool idle = replay->pid && replay->profile->processes[process].pid != replay->pid;
    int err = pmt_decoder_add_thread(&replay->events);
    err = err || !replay->section ? err : pmt_section_add_thread(replay->section, process);
    err = err || !replay->calls ? err : pmt_calls_add_thread(replay->calls, process, idle);
    err = err || !replay->tree ? err : pmt_call_tree_add_thread(replay->tree, process, idle);
    return err || !replay->lines ? err : pmt_line_rows_add_thread(replay->lines, process, idle);
}

static int
hand_out(pmt_replay_t *replay, uint32_t thread, const pmt_trace_event_t *events, uint32_t count)
{
    int err = 0;
    for (uint32_t i = 0; replay->section && i < count && !err; i++) {
        err = pmt_section_event(replay->section, replay->calls, thread, &events[i]);
    }
    if (replay->section) {
        return err;
    }
    err = replay->calls ? pmt_calls_events(replay->calls, thread, events, count) : 0;
    err = err || !replay->tree ? err : pmt_call_tree_events(replay->tree, thread, events, count);
    return err || !replay->lines ? err : pmt_line_rows_events(replay->lines, thread, events, count);
}

static int
on_events(pmt_replay_t *replay, const pmt_record_t *r)
{
    pmt_trace_event_t events[AT_A_TIME];
    int count, err = 0;
    pmt_decoder_begin(&replay->events, r);
    while (!err && (count = pmt_decoder_next(&replay->events, events, AT_A_TIME)) != 0) {
        if (count < 0) {
            return count;
        }
        for (int i = 0; i < count; i++) {
            replay->count += events[i].kind != PMT_WIRE_RSS;
        }
        err = hand_out(replay, r->u.events.thread, events, (uint32_t)count);
    }
    return err;
}

static int
on_fault(pmt_replay_t *replay, const pmt_record_t *r)
{
    int64_t rss = pmt_decoder_fault(&replay->events, r);
    if (replay->section) {
        return pmt_section_fault(replay->section, replay->calls, r->u.fault.thread, r->time, r->u.fault.rise, rss);
    }
    if (replay->calls) {
        pmt_calls_fault(replay->calls, r->u.fault.thread, r->u.fault.rise, rss);
    }
    if (replay->tree) {
        pmt_call_tree_fault(replay->tree, r->u.fault.thread, r->u.fault.rise, rss);
    }
    if (replay->lines) {
        pmt_line_rows_fault(replay->lines, r->u.fault.thread, rss);
    }
    return 0;
}

static int
on_summary(pmt_replay_t *replay, const pmt_record_t *r)
{
    const uint64_t *v = r->u.summary.values;
    pmt_calls_row_t row = {(uint32_t)r->u.summary.process, (uint32_t)r->u.summary.id, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], r->u.summary.largest};
    bool idle = replay->pid && replay->profile->processes[row.process].pid != replay->pid;
    return replay->calls && !idle && !replay->section ? pmt_calls_add(replay->calls, &row) : 0;
}

static int
on_record(pmt_replay_t *replay, const pmt_record_t *r)
{
    switch (r->type) {
    case PMT_WIRE_THREAD:
        return on_thread(replay, r);
    case PMT_WIRE_EVENTS:
        return on_events(replay, r);
    case PMT_WIRE_SUMMARY:
        return on_summary(replay, r);
    case PMT_WIRE_FAULT:
        return on_fault(replay, r);
    case PMT_WIRE_NOTE:
        return replay->section ? pmt_section_note(replay->section, replay->calls, r, replay->events.threads[r->u.note.thread].rss) : 0;
    default:
        return 0;
    }
}

static int
end(pmt_replay_t *replay)
{
    int err = replay->section ? pmt_section_end(replay->section, replay->calls) : 0;
    if (replay->calls) {
        pmt_calls_end(replay->calls);
    }
    if (replay->tree) {
        pmt_call_tree_end(replay->tree);
    }
    if (replay->lines) {
        pmt_line_rows_end(replay->lines);
    }
    return err;
}

void
pmt_replay_explain(const pmt_reader_t *reader, const pmt_decoder_t *events, int err, char error[PMT_ERROR_MAX])
{
    if (err == -EBADMSG && events->problem) {
        snprintf(error, PMT_ERROR_MAX, "%s after byte %llu", events->problem, (unsigned long long)pmt_reader_good_bytes(reader));
    } else {
        pmt_reader_explain(reader, err, error);
    }
}

// `building`: the profile, if it is made on the way. NULL: it is finished.
static int
read_all(pmt_replay_t *replay, pmt_reader_t *reader, pmt_profile_t *building, char error[PMT_ERROR_MAX])
{
    pmt_record_t record;
    int err;
    pmt_decoder_init(&replay->events);
    while ((err = pmt_reader_next(reader, &record)) > 0) {
        err = building ? pmt_profile_add(building, &record, replay->pid) : 0;
        err = err ? err : on_record(replay, &record);
        if (err < 0) {
            break;
        }
    }
    pmt_replay_explain(reader, &replay->events, err, error);
    err = err ? err : end(replay);
    pmt_decoder_fini(&replay->events);
    return err;
}

int
pmt_replay_read(pmt_replay_t *replay, pmt_profile_t *profile, const char *path, char error[PMT_ERROR_MAX])
{
    pmt_reader_t *reader;
    int err = pmt_profile_begin(profile, path, &reader, error);
    if (err < 0) {
        return err;
    }
    replay->profile = profile;
    err = read_all(replay, reader, profile, error);
    err = err ? err : pmt_profile_end(profile, reader, replay->pid);
    pmt_reader_close(reader);
    return err;
}

int
pmt_replay_again(pmt_replay_t *replay, const pmt_profile_t *profile, const char *path, char error[PMT_ERROR_MAX])
{
    pmt_reader_t *reader;
    int err = pmt_profile_reopen(profile, path, &reader, error);
    if (err < 0) {
        return err;
    }
    replay->profile = profile;
    err = read_all(replay, reader, NULL, error);
    pmt_reader_close(reader);
    return err;
}
