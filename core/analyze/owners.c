// The replay of ownership (owners.h): brings a trace's records about memory in the order of time and sums what comes of them. What they mean is in space.c.
#include "analyze/owners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/lag.h"
#include "analyze/space.h"
#include "base/array.h"
#include "format/wire.h"

enum { OWNERS_MAX = 1 << 30 };   // a life has two bits for other things
enum { PENDING_MAX = 1 << 20 };  // events kept for sorting: a file without rounds has no order

enum kind_e { TOUCH, MOVE, SNAPSHOT, MAPPING, FOUND, LOOKED, SNAPSHOT_END, PROCESS_END, RSS };

// What a record says, until it is known that nothing earlier follows.
typedef struct event_s {
    uint64_t time, order;
    enum kind_e kind;
    uint32_t process;
    uint32_t value;   // owner, kind of a snapshot or mapping, state of pages
    uint32_t flags;
    uint64_t a, b, c;
} event_t;
enum { PLACED = 1, ALONE = 2 };  // and of a snapshot: WHOLE
enum { WHOLE = 1 };

typedef struct replay_s {
    pmt_owners_t *owners;
    pmt_profile_t *profile;
    pmt_space_t *spaces;
    event_t *pending;
    uint32_t count, room;
    uint64_t order;
    uint32_t last_owner;
    uint32_t snapshot;       // the next, in the profile's
    pmt_cgroup_t cgroup;     // as last read
    uint32_t cgroup_moment;  // the first later than that
} replay_t;

// By owner and moment: what its pages, by how they were found, differ by from those at the moment before.
typedef struct change_s {
    uint32_t owner, moment;
    int64_t pages[3];  // exact (or all of an owner without a stack), fill, by time
    uint64_t touched;  // since the moment before
} change_t;
enum { CHANGE_KEY = 8 };

// ---- sums ----

static bool
is_moment_of(const pmt_owners_t *owners, uint32_t moment, uint64_t time)
{
    return (moment == owners->time_count || time <= owners->times[moment]) && (moment == 0 || owners->times[moment - 1] < time);
}

// The first moment at or after `time`.
static uint32_t
moment_at(const pmt_owners_t *owners, uint64_t time, pmt_lately_t *lately)
{
    uint32_t low = 0, high = owners->time_count;
    if (is_moment_of(owners, lately->moment, time)) {
        return lately->moment;
    }
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (owners->times[middle] < time) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return lately->moment = low;
}

static change_t *
change_of(pmt_owners_t *owners, uint32_t owner, uint32_t moment, pmt_lately_t *lately)
{
    change_t change = {.owner = owner, .moment = moment};
    change_t *last = lately->change < owners->changes.count ? pmt_table_at(&owners->changes, lately->change) : NULL;
    if (last && last->owner == owner && last->moment == moment) {
        return last;
    }
    int64_t number = pmt_table_add(&owners->changes, &change);
    if (number < 0) {
        return NULL;
    }
    lately->change = (uint32_t)number;
    return pmt_table_at(&owners->changes, lately->change);
}

static int
add_change(change_t *change, unsigned held, int64_t pages)
{
    if (!change) {
        return -ENOMEM;
    }
    int64_t *sum = &change->pages[held < PMT_HELD_EXACT ? 0 : held - PMT_HELD_EXACT];
    *sum = (int64_t)((uint64_t)*sum + (uint64_t)pages);
    return 0;
}

// Of one moment alone nobody asks since when.
static int
add_touched(pmt_owners_t *owners, uint32_t owner, uint64_t time, uint64_t pages)
{
    uint32_t moment = moment_at(owners, time, &owners->touches);
    if (owners->time_count < 2 || moment == owners->time_count || pages == 0) {
        return 0;
    }
    change_t *change = change_of(owners, owner, moment, &owners->touches);
    if (!change) {
        return -ENOMEM;
    }
    change->touched += pages;
    return 0;
}

int
pmt_owners_live(pmt_owners_t *owners, uint32_t owner, unsigned held, uint64_t birth, uint64_t death, int64_t pages)
{
    uint32_t from = moment_at(owners, birth, &owners->births), to = moment_at(owners, death, &owners->deaths);
    if (from >= to || pages == 0) {
        return 0;
    }
    int err = add_change(change_of(owners, owner, from, &owners->births), held, pages);
    if (err || to == owners->time_count) {
        return err;
    }
    return add_change(change_of(owners, owner, to, &owners->deaths), held, (int64_t)(0 - (uint64_t)pages));
}

static uint32_t
process_of(const pmt_profile_t *profile, const pmt_owner_t *owner)
{
    return owner->node == UINT32_MAX ? owner->thread : profile->threads[owner->thread].process;
}

// From differences to what each process held.
static void
sum_up(pmt_owners_t *owners, const pmt_profile_t *profile)
{
    for (uint32_t i = 0; i < owners->changes.count; i++) {
        const change_t *change = pmt_table_at(&owners->changes, i);
        const pmt_owner_t *owner = pmt_table_at(&owners->owners, change->owner);
        int64_t *pages = pmt_owners_held(owners, change->moment, process_of(profile, owner))->pages;
        for (int k = 0; k < 3; k++) {
            int64_t *sum = &pages[owner->node == UINT32_MAX ? owner->place : (uint32_t)(PMT_HELD_EXACT + k)];
            *sum = (int64_t)((uint64_t)*sum + (uint64_t)change->pages[k]);
        }
    }
    for (uint32_t t = 1; t < owners->time_count; t++) {
        for (uint32_t p = 0; p < owners->process_count; p++) {
            for (int k = 0; k < PMT_HELD_COUNT; k++) {
                int64_t *sum = &pmt_owners_held(owners, t, p)->pages[k];
                *sum = (int64_t)((uint64_t)*sum + (uint64_t)pmt_owners_held(owners, t - 1, p)->pages[k]);
            }
        }
    }
}

// What is known of a process without snapshots: the pages it began with, and the tracer's, are taken to have stayed.
static void
assume(pmt_owners_t *owners, const pmt_profile_t *profile)
{
    for (uint32_t p = 0; p < owners->process_count; p++) {
        const pmt_process_row_t *row = &profile->processes[p];
        uint64_t end = row->has_end ? row->end_time : UINT64_MAX;
        for (uint32_t t = 0; t < owners->time_count && !owners->has_snapshots[p]; t++) {
            pmt_held_t *held = pmt_owners_held(owners, t, p);
            if (owners->times[t] >= row->start && owners->times[t] <= end) {
                held->pages[PMT_HELD_BEFORE] = row->has_rss_start ? row->rss_start / (int64_t)profile->info.page_size : 0;
                held->pages[PMT_HELD_TRACER] = (int64_t)pmt_profile_counter(profile, row, "tracer_pages");
            }
        }
    }
}

// ---- the order of time ----

// Of one time faults and moves come first, then what the file has first.
static int
by_time(const void *a, const void *b)
{
    const event_t *x = a, *y = b;
    bool x_late = x->kind > MOVE, y_late = y->kind > MOVE;
    if (x->time != y->time) {
        return x->time < y->time ? -1 : 1;
    }
    if (x_late != y_late) {
        return x_late ? 1 : -1;
    }
    return x->order < y->order ? -1 : x->order > y->order;
}

static int
end_process(pmt_space_t *space, uint64_t time)
{
    int err = pmt_space_end(space, time);
    return err ? err : pmt_space_rss(space, time, 0);
}

static int
apply(replay_t *replay, const event_t *e)
{
    pmt_space_t *space = &replay->spaces[e->process];
    int err;
    switch (e->kind) {
    case TOUCH:
        err = add_touched(replay->owners, e->value, e->time, e->b);
        return err ? err : pmt_space_touch(space, &(pmt_touch_t){e->time, e->a, e->b, e->value, e->flags & PLACED, e->flags & ALONE, e->c});
    case MOVE:
        return pmt_space_move(space, e->time, e->a, e->b, e->c);
    case SNAPSHOT:
        pmt_space_snapshot(space, e->time, e->value, e->a, e->flags & WHOLE);
        return 0;
    case MAPPING:
        return pmt_space_mapping(space, e->a, e->b, e->value);
    case FOUND:
        return pmt_space_found(space, e->time, e->a, e->b, e->value);
    case LOOKED:
        return pmt_space_looked(space);
    case SNAPSHOT_END:
        return pmt_space_snapshot_end(space, e->time);
    case PROCESS_END:  // at its end it still has them
        return end_process(space, e->time + (e->time < UINT64_MAX));
    case RSS:
        return pmt_space_rss(space, e->time, (int64_t)e->a);
    }
    return 0;
}

// Applies what happened up to `time`.
static int
catch_up(replay_t *replay, uint64_t time)
{
    uint32_t done = 0;
    int err = 0;
    pmt_array_sort(replay->pending, replay->count, sizeof *replay->pending, by_time);
    for (; done < replay->count && replay->pending[done].time <= time && !err; done++) {
        err = apply(replay, &replay->pending[done]);
    }
    if (done) {
        memmove(replay->pending, replay->pending + done, (replay->count - done) * sizeof *replay->pending);
    }
    replay->count -= done;
    return err;
}

static int
put(replay_t *replay, event_t event)
{
    int err = replay->count < PENDING_MAX ? 0 : catch_up(replay, UINT64_MAX);
    err = err ? err : pmt_array_room(&replay->pending, replay->count, &replay->room, sizeof event);
    if (!err) {
        event.order = replay->order++;
        replay->pending[replay->count++] = event;
    }
    return err;
}

// ---- records ----

static int64_t
place_of(replay_t *replay, const pmt_record_t *r)
{
    uint32_t site = r->u.fault.caller ? r->u.fault.caller : r->u.fault.site;
    pmt_place_t unknown = {.path = UINT32_MAX};
    return site ? replay->profile->place_of[site] : pmt_table_find(&replay->profile->places, &unknown);
}

static int
put_rss(replay_t *replay, uint64_t time, uint64_t process, int64_t bytes)
{
    return put(replay, (event_t){.time = time, .kind = RSS, .process = (uint32_t)process, .a = (uint64_t)bytes});
}

static int64_t
bytes_of(const pmt_profile_t *profile, uint64_t pages)
{
    return (int64_t)(pages * profile->info.page_size);
}

// The last one's next fault is the most likely.
static int64_t
owner_number(replay_t *replay, const pmt_owner_t *owner)
{
    const pmt_table_t *owners = &replay->owners->owners;
    if (replay->last_owner < owners->count && memcmp(pmt_table_at(owners, replay->last_owner), owner, PMT_OWNER_KEY) == 0) {
        return replay->last_owner;
    }
    int64_t number = pmt_table_add(&replay->owners->owners, owner);
    if (number < 0 || number >= OWNERS_MAX) {
        return -ENOMEM;
    }
    replay->last_owner = (uint32_t)number;
    return number;
}

static int
on_fault(replay_t *replay, const pmt_record_t *r)
{
    pmt_profile_t *profile = replay->profile;
    pmt_owner_t owner = {.node = profile->node_of[r->u.fault.node], .thread = r->u.fault.thread, .place = UINT32_MAX};
    if (((pmt_raw_node_t *)pmt_table_at(&profile->nodes, owner.node))->code == PMT_CODE_ROOT) {
        owner.place = (uint32_t)place_of(replay, r);
    }
    int64_t number = owner_number(replay, &owner);
    if (number < 0) {
        return -ENOMEM;
    }
    pmt_owner_t *known = pmt_table_at(&replay->owners->owners, (uint32_t)number);
    known->touched += r->u.fault.rise;
    known->faults += r->u.fault.tick ? 0 : r->u.fault.weight;
    bool placed = !r->u.fault.tick && r->u.fault.address != 0;
    bool alone = r->u.fault.by_time || r->u.fault.weight > 1;
    uint64_t page = r->u.fault.address / profile->info.page_size;
    int err = put(replay, (event_t){.time = r->time, .kind = TOUCH, .process = profile->threads[r->u.fault.thread].process, .value = (uint32_t)number,
                                 .flags = (placed ? PLACED : 0) | (alone ? ALONE : 0), .a = page, .b = r->u.fault.rise, .c = r->u.fault.weight});
    return err || !r->u.fault.fell ? err : put_rss(replay, r->time, profile->threads[r->u.fault.thread].process, bytes_of(profile, r->u.fault.fell_to));
}

static int
on_resident(replay_t *replay, const pmt_record_t *r)
{
    const uint8_t *at = r->u.resident.runs;
    uint64_t page = r->u.resident.first, pages;
    unsigned state;
    int err = 0;
    while (!err && pmt_resident_next(&at, r->u.resident.end, &pages, &state)) {
        err = put(replay, (event_t){.time = r->time, .kind = FOUND, .process = (uint32_t)r->u.resident.process, .value = state, .a = page, .b = pages});
        page += pages;
    }
    return err ? err : put(replay, (event_t){.time = r->time, .kind = LOOKED, .process = (uint32_t)r->u.resident.process});
}

// Whether all of it was looked at is known from the first pass.
static int
on_snapshot(replay_t *replay, const pmt_record_t *r)
{
    const pmt_profile_t *profile = replay->profile;
    const pmt_snapshot_row_t *row = replay->snapshot < profile->snapshot_count ? &profile->snapshots[replay->snapshot++] : NULL;
    bool whole = row && row->end && !row->error;
    replay->spaces[r->u.snapshot.process].announced = r->time;
    return put(replay, (event_t){.time = r->time, .kind = SNAPSHOT, .process = (uint32_t)r->u.snapshot.process, .value = (uint32_t)r->u.snapshot.kind,
                                 .flags = whole ? WHOLE : 0, .a = r->u.snapshot.since});
}

static int64_t
resident_bytes(const int64_t kib[4])
{
    return (int64_t)(((uint64_t)kib[0] + (uint64_t)kib[1] + (uint64_t)kib[2]) << 10);
}

static int
on_snapshot_end(replay_t *replay, const pmt_record_t *r)
{
    int64_t rollup = r->u.snapshot_end.rollup_kib;
    int err = put(replay, (event_t){.time = r->time, .kind = SNAPSHOT_END, .process = (uint32_t)r->u.snapshot_end.process});
    return err ? err : put_rss(replay, r->time, r->u.snapshot_end.process, rollup >= 0 ? (int64_t)((uint64_t)rollup << 10) : resident_bytes(r->u.snapshot_end.kib));
}

static int
on_move(replay_t *replay, const pmt_record_t *r)
{
    return put(replay, (event_t){.time = r->time, .kind = MOVE, .process = replay->profile->threads[r->u.move.thread].process, .a = r->u.move.from,
                                 .b = r->u.move.to, .c = r->u.move.pages});
}

// The moments before `time` have the last reading.
static void
tell_cgroup(replay_t *replay, uint64_t time)
{
    pmt_owners_t *owners = replay->owners;
    for (; replay->cgroup_moment < owners->time_count && owners->times[replay->cgroup_moment] < time; replay->cgroup_moment++) {
        owners->cgroup[replay->cgroup_moment] = replay->cgroup;
    }
}

static int
add(replay_t *replay, const pmt_record_t *r)
{
    switch (r->type) {
    case PMT_WIRE_CGROUP:
        tell_cgroup(replay, r->time);
        replay->cgroup = (pmt_cgroup_t){r->u.cgroup.usage_kib, r->u.cgroup.limit_kib};
        return 0;
    case PMT_WIRE_ROUND:
        return catch_up(replay, r->time);
    case PMT_WIRE_NODE:
        return pmt_profile_node(replay->profile, r);
    case PMT_WIRE_FAULT:
        return on_fault(replay, r);
    case PMT_WIRE_MOVE:
        return on_move(replay, r);
    case PMT_WIRE_SNAPSHOT:
        return on_snapshot(replay, r);
    case PMT_WIRE_REGION:
        return put(replay, (event_t){.time = replay->spaces[r->u.region.process].announced, .kind = MAPPING, .process = (uint32_t)r->u.region.process,
                                     .value = (uint32_t)r->u.region.kind, .a = r->u.region.first, .b = r->u.region.pages});
    case PMT_WIRE_RESIDENT:
        return on_resident(replay, r);
    case PMT_WIRE_SNAPSHOT_END:
        return on_snapshot_end(replay, r);
    case PMT_WIRE_SAMPLE:
        return put_rss(replay, r->time, r->u.sample.process, resident_bytes(r->u.sample.kib));
    case PMT_WIRE_MARK:
        return put_rss(replay, r->time, r->u.mark.process, bytes_of(replay->profile, r->u.mark.rss));
    case PMT_WIRE_PROCESS_END:
        return put(replay, (event_t){.time = r->time, .kind = PROCESS_END, .process = (uint32_t)r->u.process_end.process});
    default:
        return 0;
    }
}

// ---- the whole file ----

static int
begin(replay_t *replay)
{
    pmt_owners_t *owners = replay->owners;
    uint32_t processes = owners->process_count;
    owners->held = calloc((size_t)processes * owners->time_count + 1, sizeof *owners->held);
    owners->cgroup = calloc(owners->time_count + 1, sizeof *owners->cgroup);
    owners->last_faults = calloc(replay->profile->thread_count + 1, sizeof *owners->last_faults);
    owners->has_snapshots = calloc(processes + 1, sizeof *owners->has_snapshots);
    replay->spaces = calloc(processes + 1, sizeof *replay->spaces);
    for (uint32_t i = 0; replay->spaces && i < processes; i++) {
        uint64_t start = i ? replay->profile->processes[i].start : 0;  // the first is there when the trace begins
        pmt_space_init(&replay->spaces[i], owners, i, start, replay->profile->processes[i].rss_peak, pmt_lag_pages(replay->profile));
    }
    int err = owners->held && owners->cgroup && owners->last_faults && owners->has_snapshots && replay->spaces ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < processes && !err; i++) {  // the highest reading may be a signal handler's, of which no record tells
        const pmt_process_row_t *row = &replay->profile->processes[i];
        err = row->rss_peak ? put_rss(replay, row->peak_time, i, row->rss_peak) : 0;
    }
    return err;
}

static int
end(replay_t *replay)
{
    int err = catch_up(replay, UINT64_MAX);
    tell_cgroup(replay, UINT64_MAX);
    for (uint32_t i = 0; i < replay->owners->process_count && !err; i++) {
        err = pmt_space_end(&replay->spaces[i], UINT64_MAX);
    }
    if (!err) {
        sum_up(replay->owners, replay->profile);
        assume(replay->owners, replay->profile);
    }
    return err;
}

static int
read_all(replay_t *replay, const char *path, char error[PMT_ERROR_MAX])
{
    pmt_reader_t *reader;
    pmt_record_t record;
    int err = pmt_profile_reopen(replay->profile, path, &reader, error);
    if (err < 0) {
        return err;
    }
    while ((err = pmt_reader_next(reader, &record)) > 0) {
        if ((err = add(replay, &record)) < 0) {
            break;
        }
    }
    pmt_reader_explain(reader, err, error);
    pmt_reader_close(reader);
    return err;
}

int
pmt_owners_read(pmt_owners_t *owners, pmt_profile_t *profile, const char *path, const uint64_t *times, uint32_t count, char error[PMT_ERROR_MAX])
{
    *owners = (pmt_owners_t){.times = times, .time_count = count, .process_count = profile->process_count, .page_size = profile->info.page_size};
    pmt_table_init(&owners->owners, sizeof(pmt_owner_t), PMT_OWNER_KEY);
    pmt_table_init(&owners->changes, sizeof(change_t), CHANGE_KEY);
    replay_t replay = {.owners = owners, .profile = profile, .cgroup = {-1, -1}};
    if (count > PMT_MOMENTS_MAX) {
        return -EINVAL;
    }
    int err = begin(&replay);
    err = err ? err : read_all(&replay, path, error);
    err = err ? err : end(&replay);
    for (uint32_t i = 0; replay.spaces && i < owners->process_count; i++) {
        pmt_space_fini(&replay.spaces[i]);
    }
    free(replay.spaces);
    free(replay.pending);
    return err;
}

void
pmt_owners_fini(pmt_owners_t *owners)
{
    pmt_table_fini(&owners->owners);
    pmt_table_fini(&owners->changes);
    free(owners->held);
    free(owners->cgroup);
    free(owners->last_faults);
    free(owners->has_snapshots);
    *owners = (pmt_owners_t){0};
}

// ---- into the weights ----

static void
clear(pmt_weight_t *weight)
{
    weight->pages = weight->by_time = weight->fill = 0;
}

static void
add_pages(pmt_weight_t *weight, const change_t *change)
{
    weight->pages += (uint64_t)change->pages[0] + (uint64_t)change->pages[1] + (uint64_t)change->pages[2];
    weight->fill += (uint64_t)change->pages[1];
    weight->by_time += (uint64_t)change->pages[2];
}

void
pmt_owners_fill(const pmt_owners_t *owners, pmt_profile_t *profile, uint32_t moment, uint64_t pid)
{
    for (uint32_t i = 0; i < profile->nodes.count; i++) {
        clear(&((pmt_raw_node_t *)pmt_table_at(&profile->nodes, i))->self);
    }
    for (uint32_t i = 0; i < profile->places.count; i++) {
        clear(&((pmt_place_t *)pmt_table_at(&profile->places, i))->native);
    }
    for (uint32_t i = 0; i < profile->thread_count; i++) {
        clear(&profile->threads[i].touched);
    }
    for (uint32_t i = 0; i < owners->changes.count; i++) {
        const change_t *change = pmt_table_at(&owners->changes, i);
        const pmt_owner_t *owner = pmt_table_at(&owners->owners, change->owner);
        if (change->moment > moment || owner->node == UINT32_MAX || (pid && profile->processes[process_of(profile, owner)].pid != pid)) {
            continue;
        }
        add_pages(&((pmt_raw_node_t *)pmt_table_at(&profile->nodes, owner->node))->self, change);
        add_pages(&profile->threads[owner->thread].touched, change);
        if (owner->place != UINT32_MAX) {
            add_pages(&((pmt_place_t *)pmt_table_at(&profile->places, owner->place))->native, change);
        }
    }
}

// ---- steps ----

static int
by_moment(const void *a, const void *b)
{
    const pmt_step_t *x = a, *y = b;
    if (x->moment != y->moment) {
        return x->moment < y->moment ? -1 : 1;
    }
    return x->owner < y->owner ? -1 : x->owner > y->owner;
}

pmt_step_t *
pmt_owners_steps(const pmt_owners_t *owners, const pmt_profile_t *profile, uint64_t pid, uint32_t *count)
{
    pmt_step_t *steps = calloc((size_t)owners->changes.count + 1, sizeof *steps);
    *count = 0;
    for (uint32_t i = 0; steps && i < owners->changes.count; i++) {
        const change_t *change = pmt_table_at(&owners->changes, i);
        const pmt_owner_t *owner = pmt_table_at(&owners->owners, change->owner);
        if (owner->node != UINT32_MAX && (!pid || profile->processes[process_of(profile, owner)].pid == pid)) {
            int64_t pages = (int64_t)((uint64_t)change->pages[0] + (uint64_t)change->pages[1] + (uint64_t)change->pages[2]);
            steps[(*count)++] = (pmt_step_t){change->owner, change->moment, pages, change->touched};
        }
    }
    if (steps) {
        qsort(steps, *count, sizeof *steps, by_moment);
    }
    return steps;
}

void
pmt_owners_pages(const pmt_owners_t *owners, uint32_t moment, int64_t *pages)
{
    for (uint32_t i = 0; i < owners->changes.count; i++) {
        const change_t *change = pmt_table_at(&owners->changes, i);
        pmt_weight_t sum = {0};
        if (change->moment <= moment) {
            add_pages(&sum, change);
            pages[change->owner] = (int64_t)((uint64_t)pages[change->owner] + sum.pages);
        }
    }
}
