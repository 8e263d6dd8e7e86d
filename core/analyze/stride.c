// Memory that is given back and touched again between two snapshots (space.h): where each fault is told the last one counts. Where one signal, or (RSS lags) one rise, stands for several faults
// the pages of the others still look like their earlier owner's. A thread that goes through memory page by page gives itself away: from one of its signals to the
// next it goes about as far as RSS rises. Where it does not (it goes on in another mapping), credit that a snapshot leaves over tells.
#include "analyze/space_inside.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"

// Pages that change hands: nobody's, and
typedef struct taken_s {
    uint64_t before;  // lives that began earlier
    uint32_t except;  // and are not this owner's
    pmt_found_t *list;
    uint32_t count, room;
} taken_t;

static bool
may_be_taken(const pmt_space_t *space, const pmt_life_t *life, const taken_t *taken)
{
    const pmt_owner_t *owner = pmt_space_owner(space, life->owner);
    bool tracer = owner->node == UINT32_MAX && owner->place == PMT_HELD_TRACER;
    if (pmt_space_is_nobodys(space, life)) {
        return true;
    }
    return life->birth < taken->before && pmt_untag(life->owner) != taken->except && pmt_life_how(life) != PMT_LIFE_ASKED && !tracer;
}

static int
take(taken_t *taken, uint64_t first, uint64_t end)
{
    if (taken->count && taken->list[taken->count - 1].end == first) {
        taken->list[taken->count - 1].end = end;
        return 0;
    }
    int err = pmt_array_room(&taken->list, taken->count, &taken->room, sizeof *taken->list);
    if (!err) {
        taken->list[taken->count++] = (pmt_found_t){.first = first, .end = end};
    }
    return err;
}

static int
take_older(pmt_space_t *space, pmt_chunk_t *chunk, uint32_t first, uint32_t pages, void *context)
{
    taken_t *taken = context;
    uint64_t base = chunk->number << PMT_CHUNK_BITS;
    int err = 0;
    for (uint32_t i = pmt_chunk_search(chunk, first); i < chunk->count && chunk->lives[i].first < first + pages && !err; i++) {
        const pmt_life_t *life = &chunk->lives[i];
        uint32_t from = life->first > first ? life->first : first, end = (uint32_t)life->first + life->pages;
        end = end < first + pages ? end : first + pages;
        err = may_be_taken(space, life, taken) ? take(taken, base + from, base + end) : 0;
    }
    return err;
}

// Not nearer than half as far as RSS rose: then most of the faults were elsewhere.
static bool
goes_through(const pmt_last_fault_t *last, const pmt_touch_t *touch)
{
    uint64_t far = touch->page > last->page ? touch->page - last->page : last->page - touch->page;
    return (touch->faults > 1 || last->quiet) && last->time && far <= touch->rise && 2 * far >= touch->rise;
}

void
pmt_space_stride_quietly(pmt_space_t *space, const pmt_touch_t *touch)
{
    pmt_owner_t *owner = pmt_table_at(&space->all->owners, touch->owner);
    space->all->last_faults[owner->thread].quiet = true;
}

int64_t
pmt_space_stride(pmt_space_t *space, const pmt_touch_t *touch)
{
    pmt_owner_t *owner = pmt_table_at(&space->all->owners, touch->owner);
    pmt_last_fault_t last = space->all->last_faults[owner->thread];
    uint64_t low = touch->page < last.page ? touch->page : last.page, high = touch->page < last.page ? last.page : touch->page;
    taken_t taken = {.before = last.time, .except = UINT32_MAX};
    int64_t pages = 0;
    int err = 0;
    if ((touch->faults > 1 || last.quiet) && touch->rise > owner->reach) {
        space->has_reach = true;
        owner->reach = touch->rise < PMT_FOUND_MAX ? (uint32_t)touch->rise : (uint32_t)PMT_FOUND_MAX;
    }
    space->all->last_faults[owner->thread] = (pmt_last_fault_t){.page = touch->page, .time = touch->time};
    if (goes_through(&last, touch) && high - low > 1) {
        err = pmt_space_each_chunk(space, low + 1, high - low - 1, take_older, &taken);
    }
    for (uint32_t i = 0; i < taken.count && !err; i++) {
        uint64_t count = taken.list[i].end - taken.list[i].first;
        err = pmt_space_come_in(space, touch->time, taken.list[i].first, count, pmt_tag(touch->owner, PMT_LIFE_FILL));
        pages += (int64_t)count;
    }
    free(taken.list);
    return err ? err : pages;
}

// ---- between two pages of an owner ----

typedef struct between_s {
    uint64_t first, end;  // pages
    uint64_t low, high;   // births of the owner's pages below and above, the earlier one first
    uint32_t owner;
} between_t;

typedef struct betweens_s {
    between_t *list;
    uint32_t count, room;
    pmt_last_fault_t *last;  // of each owner, its last page in the order of addresses: where it ends, and its birth
} betweens_t;

static int
note_between(const pmt_space_t *space, betweens_t *betweens, const pmt_chunk_t *chunk, const pmt_life_t *life)
{
    const pmt_owner_t *owner = pmt_space_owner(space, life->owner);
    uint64_t first = (chunk->number << PMT_CHUNK_BITS) + life->first;
    if (owner->reach == 0 || pmt_life_how(life) != PMT_LIFE_EXACT || owner->credit == 0) {
        return 0;
    }
    pmt_last_fault_t *last = &betweens->last[pmt_untag(life->owner)], below = *last;
    *last = (pmt_last_fault_t){.page = first + life->pages, .time = life->birth};
    if (below.page == 0 || below.page == first || first - below.page >= owner->reach) {
        return 0;
    }
    if (pmt_array_room(&betweens->list, betweens->count, &betweens->room, sizeof *betweens->list) < 0) {
        return -ENOMEM;
    }
    uint64_t low = below.time < life->birth ? below.time : life->birth, high = below.time < life->birth ? life->birth : below.time;
    betweens->list[betweens->count++] = (between_t){below.page, first, low, high, pmt_untag(life->owner)};
    return 0;
}

// In the order of addresses.
static int
find_betweens(pmt_space_t *space, betweens_t *betweens)
{
    pmt_chunk_t **chunks = pmt_page_map_sorted(&space->map);
    betweens->last = calloc(space->all->owners.count + 1, sizeof *betweens->last);
    int err = chunks && betweens->last ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < space->map.count && !err; i++) {
        for (uint32_t k = 0; k < chunks[i]->count && !err; k++) {
            err = note_between(space, betweens, chunks[i], &chunks[i]->lives[k]);
        }
    }
    free(chunks);
    free(betweens->last);
    return err;
}

// How many pages may have been given back and touched again: of what was there before RSS fell no more than had no room in it; of what came in later nobody knows.
static uint64_t
most_between(const pmt_space_t *space)
{
    uint32_t before = space->over_count;
    uint64_t most = space->lag;
    while (before && space->overs[before - 1].time >= space->since) {
        before--;
    }
    if (!before) {
        return UINT64_MAX;
    }
    most += space->overs[before - 1].pages;
    for (uint32_t i = pmt_credits_until(&space->credits, space->since); i < space->credits.count; i++) {
        most += space->credits.list[i].pages;
    }
    return most;
}

// Readings that the next snapshot need not know of.
static void
forget_overs(pmt_space_t *space)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < space->over_count; i++) {
        if (space->overs[i].time > space->time) {
            space->overs[kept++] = space->overs[i];
        }
    }
    space->over_count = kept;
}

// As many as the owner has credit for, and no more than `most`.
static int
take_between(pmt_space_t *space, const between_t *between, uint64_t *most)
{
    taken_t taken = {.before = between->low < space->fell ? between->low : space->fell, .except = between->owner};
    int err = pmt_space_each_chunk(space, between->first, between->end - between->first, take_older, &taken);
    for (uint32_t i = 0; i < taken.count && !err; i++) {
        uint64_t room = taken.list[i].end - taken.list[i].first;
        uint64_t pages = pmt_space_spend(space, between->owner, between->high, room < *most ? room : *most);
        *most -= pages;
        err = pages ? pmt_space_come_in(space, between->high, taken.list[i].first, pages, pmt_tag(between->owner, PMT_LIFE_FILL)) : 0;
    }
    free(taken.list);
    return err;
}

int
pmt_space_between(pmt_space_t *space)
{
    betweens_t betweens = {0};
    uint64_t most = most_between(space);
    int err = space->has_reach && space->fell && space->credits.pages ? find_betweens(space, &betweens) : 0;
    for (uint32_t i = 0; i < betweens.count && !err; i++) {
        err = take_between(space, &betweens.list[i], &most);
    }
    forget_overs(space);
    free(betweens.list);
    return err;
}
