// Whose pages are that a snapshot finds alone (space.h). Where one signal stands for several faults, and memory is not touched page by page, the pages of the others lie
// between those of signals. They are the next owner's below or above in their mapping: first as many as came in with just that fault, then as many as it has credit for.
#include "analyze/space_inside.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"

// What lies alone between two pages of owners in one mapping.
typedef struct group_s {
    uint32_t first, end;      // runs
    pmt_life_t below, above;  // pages 0: none
} group_t;

typedef struct groups_s {
    pmt_gap_t *runs;
    uint32_t run_count, run_room;
    group_t *list;
    uint32_t count, room;
    // In the order of addresses, where we are:
    const pmt_mapping_t *mapping;
    pmt_life_t below;
} groups_t;

// ---- finding them ----

static int
close_group(groups_t *groups, pmt_life_t above)
{
    group_t group = {.first = groups->count ? groups->list[groups->count - 1].end : 0, .end = groups->run_count, .below = groups->below, .above = above};
    if (group.first == group.end || !(group.below.pages || above.pages)) {
        groups->run_count = group.first;
        return 0;
    }
    int err = pmt_array_room(&groups->list, groups->count, &groups->room, sizeof *groups->list);
    if (!err) {
        groups->list[groups->count++] = group;
    }
    return err;
}

static int
add_run(groups_t *groups, pmt_gap_t run)
{
    int err = pmt_array_room(&groups->runs, groups->run_count, &groups->run_room, sizeof *groups->runs);
    if (!err) {
        groups->runs[groups->run_count++] = run;
    }
    return err;
}

// A part of a life in one mapping, or in none.
static int
pass(const pmt_space_t *space, groups_t *groups, pmt_gap_t part, const pmt_mapping_t *mapping, const pmt_life_t *life)
{
    int err = 0;
    if (mapping != groups->mapping) {
        err = close_group(groups, (pmt_life_t){0});
        groups->mapping = mapping;
        groups->below.pages = 0;
    }
    if (err || !mapping || pmt_life_how(life) == PMT_LIFE_ASKED) {
        return err;
    }
    if (pmt_space_is_nobodys(space, life) && life->birth == space->time) {
        return add_run(groups, part);
    }
    if (pmt_space_owner(space, life->owner)->node != UINT32_MAX) {
        err = close_group(groups, *life);
        groups->below = *life;
    }
    return err;
}

static int
pass_chunk(const pmt_space_t *space, groups_t *groups, const pmt_chunk_t *chunk)
{
    int err = 0;
    for (uint32_t i = 0; i < chunk->count && !err; i++) {
        uint64_t first = (chunk->number << PMT_CHUNK_BITS) + chunk->lives[i].first;
        pmt_gap_t rest = {first, first + chunk->lives[i].pages}, part;
        const pmt_mapping_t *mapping;
        while (!err && pmt_space_next_part(space, &rest, &part, &mapping)) {
            err = pass(space, groups, part, mapping, &chunk->lives[i]);
        }
    }
    return err;
}

static int
find_groups(const pmt_space_t *space, groups_t *groups)
{
    pmt_chunk_t **chunks = pmt_page_map_sorted(&space->map);
    int err = chunks ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < space->map.count && !err; i++) {
        err = pass_chunk(space, groups, chunks[i]);
    }
    free(chunks);
    return err ? err : close_group(groups, (pmt_life_t){0});
}

// ---- giving them away ----

// At its end of the group, as many as there is credit for.
static int
take(pmt_space_t *space, groups_t *groups, group_t *group, pmt_life_t of, bool upper, bool exact)
{
    uint32_t owner = pmt_untag(of.owner);
    int err = 0;
    while (group->first < group->end && !err) {
        pmt_gap_t *run = &groups->runs[upper ? group->end - 1 : group->first];
        uint64_t birth = of.birth, room = run->end - run->first;
        uint64_t pages = exact ? pmt_credits_spend_born(&space->credits, owner, room, birth) : pmt_credits_spend(&space->credits, owner, space->time, room, &birth);
        if (pages == 0) {
            break;
        }
        uint64_t first = upper ? run->end - pages : run->first;
        err = pmt_space_settle(space, space->time, first, pages, pmt_tag(owner, PMT_LIFE_FILL), birth);
        run->first += upper ? 0 : pages;
        run->end -= upper ? pages : 0;
        group->end -= upper && run->first == run->end;
        group->first += !upper && run->first == run->end;
    }
    return err;
}

// Who came later takes first.
static int
share(pmt_space_t *space, groups_t *groups, group_t *group, bool exact)
{
    bool upper = group->above.pages && (!group->below.pages || group->above.birth > group->below.birth);
    pmt_life_t later = upper ? group->above : group->below, earlier = upper ? group->below : group->above;
    int err = take(space, groups, group, later, upper, exact);
    return err || !earlier.pages ? err : take(space, groups, group, earlier, !upper, exact);
}

int
pmt_space_nearest(pmt_space_t *space)
{
    groups_t groups = {0};
    int err = space->orphans && space->credits.pages ? find_groups(space, &groups) : 0;
    for (unsigned exact = 2; exact-- && !err;) {
        for (uint32_t i = 0; i < groups.count && !err; i++) {
            err = share(space, &groups, &groups.list[i], exact);
        }
    }
    free(groups.runs);
    free(groups.list);
    return err;
}
