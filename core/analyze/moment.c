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

bool
pmt_moment_find(const pmt_profile_t *profile, uint32_t process, const pmt_moment_t *moment, uint64_t *time)
{
    if (process >= profile->process_count) {
        return false;
    }
    const pmt_process_row_t *row = &profile->processes[process];
    switch (moment->kind) {
    case PMT_MOMENT_PEAK:
        *time = row->peak_time;
        return true;
    case PMT_MOMENT_END:
        if (!last_snapshot(profile, process, PMT_SNAPSHOT_AT_END, NULL, time)) {
            *time = row->has_end ? row->end_time : profile->duration;
        }
        return true;
    case PMT_MOMENT_NAME:
        return last_snapshot(profile, process, PMT_SNAPSHOT_ASKED, moment->name, time);
    default:
        *time = moment->time;
        return true;
    }
}
