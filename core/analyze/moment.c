// Moments (moment.h).
#include "analyze/moment.h"

#include <string.h>

#include "format/wire.h"

// When a snapshot is over RSS is read: what it says then is what it is held against.
static bool
last_snapshot(const pmt_profile_t *profile, uint32_t process, uint32_t kind, const char *name, uint64_t *time)
{
    for (uint32_t i = profile->snapshot_count; i-- > 0;) {
        const pmt_snapshot_row_t *row = &profile->snapshots[i];
        if (row->process == process && row->kind == kind && (!name || strcmp(profile->texts.texts[row->name], name) == 0)) {
            *time = row->end ? row->end : row->time;
            return true;
        }
    }
    return false;
}

static bool
is_traced(const pmt_profile_t *profile, const pmt_process_row_t *row)
{
    for (uint32_t i = 0; i < row->meta.count; i++) {
        if (strcmp(profile->texts.texts[row->meta.list[i].key], "engine") == 0) {
            return true;
        }
    }
    return false;
}

// The image by which a process replaced itself, if it is traced too; else UINT32_MAX.
static uint32_t
next_image(const pmt_profile_t *profile, uint32_t process)
{
    const pmt_process_row_t *row = &profile->processes[process];
    for (uint32_t i = process + 1; row->has_end && row->end_kind == PMT_END_EXEC && i < profile->process_count; i++) {
        if (profile->processes[i].pid == row->pid) {
            return is_traced(profile, &profile->processes[i]) ? i : UINT32_MAX;
        }
    }
    return UINT32_MAX;
}

// Whether the later image is rather the one that is meant.
static bool
is_rather(const pmt_profile_t *profile, uint32_t image, uint32_t next, const pmt_moment_t *moment)
{
    const pmt_process_row_t *rows = profile->processes;
    uint64_t time;
    switch (moment->kind) {
    case PMT_MOMENT_PEAK:
        return rows[next].rss_peak > rows[image].rss_peak;
    case PMT_MOMENT_NAME:
        return last_snapshot(profile, next, PMT_SNAPSHOT_ASKED, moment->name, &time);
    case PMT_MOMENT_TIME:
        return moment->time >= rows[next].start;
    default:
        return true;
    }
}

static uint32_t
image_of(const pmt_profile_t *profile, uint32_t process, const pmt_moment_t *moment)
{
    uint32_t image = process;
    while ((process = next_image(profile, process)) != UINT32_MAX) {
        image = is_rather(profile, image, process, moment) ? process : image;
    }
    return image;
}

bool
pmt_moment_find(const pmt_profile_t *profile, uint32_t *process, const pmt_moment_t *moment, uint64_t *time)
{
    if (*process >= profile->process_count) {
        return false;
    }
    *process = image_of(profile, *process, moment);
    const pmt_process_row_t *row = &profile->processes[*process];
    switch (moment->kind) {
    case PMT_MOMENT_PEAK:
        *time = row->peak_time;
        return true;
    case PMT_MOMENT_END:
        if (!last_snapshot(profile, *process, PMT_SNAPSHOT_AT_END, NULL, time)) {
            *time = row->exit_time ? row->exit_time : row->has_end ? row->end_time : profile->duration;
        }
        return true;
    case PMT_MOMENT_NAME:
        return last_snapshot(profile, *process, PMT_SNAPSHOT_ASKED, moment->name, time);
    default:
        *time = moment->time;
        return true;
    }
}
