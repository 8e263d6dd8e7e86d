// One process's memory (space.h): lives, faults, moves.
#include "analyze/space_inside.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"

void
pmt_space_init(pmt_space_t *space, pmt_owners_t *all, uint32_t process, uint64_t start)
{
    *space = (pmt_space_t){.all = all, .process = process, .start = start, .credits.owners = &all->owners};
    pmt_page_map_init(&space->map);
    pmt_windows_init(&space->windows);
}

void
pmt_space_fini(pmt_space_t *space)
{
    pmt_page_map_fini(&space->map);
    pmt_windows_fini(&space->windows);
    pmt_credits_fini(&space->credits);
    free(space->mappings);
    free(space->piece.list);
    free(space->orphans.list);
}

// ---- lives ----

static int
live(pmt_space_t *space, const pmt_life_t *life, uint64_t death)
{
    static const unsigned held_by[] = {[PMT_LIFE_EXACT] = PMT_HELD_EXACT, [PMT_LIFE_FILL] = PMT_HELD_FILL, [PMT_LIFE_BY_TIME] = PMT_HELD_BY_TIME};
    const pmt_owner_t *owner = pmt_space_owner(space, life->owner);
    if (pmt_life_how(life) == PMT_LIFE_ASKED) {
        return 0;
    }
    unsigned held = owner->node == UINT32_MAX ? owner->place : held_by[pmt_life_how(life)];
    return pmt_owners_live(space->all, pmt_untag(life->owner), held, life->birth, death, life->pages);
}

int
pmt_space_end_life(void *context, const pmt_chunk_t *chunk, const pmt_life_t *life)
{
    const pmt_ending_t *ending = context;
    (void)chunk;
    pmt_space_count(ending->space, life, false);
    return live(ending->space, life, life->birth <= ending->since ? ending->since : ending->time);
}

int
pmt_space_settle(pmt_space_t *space, uint64_t time, uint64_t first, uint64_t pages, uint32_t owner, uint64_t birth)
{
    pmt_ending_t ending = {space, time, time};
    for (uint64_t page = first, end = first + pages; page < end;) {
        uint64_t number = page >> PMT_CHUNK_BITS, next = (number + 1) << PMT_CHUNK_BITS;
        uint64_t to = next < end ? next : end;
        pmt_chunk_t *chunk = pmt_page_map_make(&space->map, number);
        if (!chunk) {
            return space->map.count >= PMT_CHUNKS_MAX ? 0 : -ENOMEM;
        }
        pmt_life_t life = {birth, owner, (uint16_t)(page & (PMT_CHUNK_PAGES - 1)), (uint16_t)(to - page)};
        int err = pmt_page_map_put(chunk, &life, pmt_space_end_life, &ending);
        if (err) {
            return err;
        }
        pmt_space_count(space, &life, true);
        page = to;
    }
    return 0;
}

const pmt_life_t *
pmt_space_life(const pmt_space_t *space, uint64_t page)
{
    const pmt_chunk_t *chunk = pmt_page_map_find(&space->map, page >> PMT_CHUNK_BITS);
    uint32_t in_chunk = (uint32_t)(page & (PMT_CHUNK_PAGES - 1)), at = chunk ? pmt_chunk_search(chunk, in_chunk) : 0;
    return chunk && at < chunk->count && chunk->lives[at].first <= in_chunk ? &chunk->lives[at] : NULL;
}

static int
visit(pmt_space_t *space, pmt_chunk_t *chunk, uint64_t from, uint64_t to, pmt_on_chunk_t on_chunk, void *context)
{
    uint64_t begin = chunk->number << PMT_CHUNK_BITS, end = begin + PMT_CHUNK_PAGES;
    from = from > begin ? from : begin;
    to = to < end ? to : end;
    return from < to && chunk->count ? on_chunk(space, chunk, (uint32_t)(from - begin), (uint32_t)(to - from), context) : 0;
}

// By their numbers, or all that there are if these are fewer.
int
pmt_space_each_chunk(pmt_space_t *space, uint64_t first, uint64_t pages, pmt_on_chunk_t on_chunk, void *context)
{
    uint64_t end = first + pages, last = pages ? (end - 1) >> PMT_CHUNK_BITS : 0;
    int err = 0;
    if (pages && last - (first >> PMT_CHUNK_BITS) < space->map.count) {
        for (uint64_t number = first >> PMT_CHUNK_BITS; number <= last && !err; number++) {
            pmt_chunk_t *chunk = pmt_page_map_find(&space->map, number);
            err = chunk ? visit(space, chunk, first, end, on_chunk, context) : 0;
        }
        return err;
    }
    for (uint32_t i = 0; pages && i < space->map.count && !err; i++) {
        err = visit(space, &space->map.chunks[i], first, end, on_chunk, context);
    }
    return err;
}

int
pmt_space_end_pages(pmt_space_t *space, pmt_chunk_t *chunk, uint32_t first, uint32_t pages, void *ending)
{
    (void)space;
    return pmt_page_map_clear(chunk, first, pages, pmt_space_end_life, ending);
}

// ---- faults and moves ----

// A fault that raised nothing: it mapped the zero page, or copied a page that was there. A page from before the start is its own from now on; one that nobody has may
// be found to be there.
static int
touch_quietly(pmt_space_t *space, const pmt_touch_t *touch)
{
    const pmt_life_t *life = pmt_space_life(space, touch->page);
    enum pmt_life_how_e how = PMT_LIFE_ASKED;
    if (life && pmt_life_how(life) != PMT_LIFE_ASKED) {
        const pmt_owner_t *owner = pmt_space_owner(space, life->owner);
        if (owner->node != UINT32_MAX || owner->place != PMT_HELD_BEFORE) {
            return 0;
        }
        how = PMT_LIFE_EXACT;
    }
    return pmt_space_settle(space, touch->time, touch->page, 1, pmt_tag(touch->owner, how), touch->time);
}

int
pmt_space_touch(pmt_space_t *space, const pmt_touch_t *touch)
{
    uint32_t owner = pmt_tag(touch->owner, PMT_LIFE_EXACT);
    int err = pmt_space_begin_looking(space);
    if (err) {
        return err;
    }
    if (!touch->placed) {
        return pmt_credits_lend(&space->credits, touch->owner, touch->time, touch->rise);
    }
    if (touch->rise == 0) {
        return touch_quietly(space, touch);
    }
    if (!touch->alone && touch->rise >= PMT_CHUNK_PAGES) {
        uint64_t first = touch->page & ~(uint64_t)(PMT_CHUNK_PAGES - 1);
        err = pmt_space_settle(space, touch->time, first, PMT_CHUNK_PAGES, owner, touch->time);
        return err ? err : pmt_credits_lend(&space->credits, touch->owner, touch->time, touch->rise - PMT_CHUNK_PAGES);
    }
    err = pmt_space_settle(space, touch->time, touch->page, 1, owner, touch->time);
    if (!err && !touch->alone && touch->rise > 1) {
        err = pmt_windows_add(&space->windows, touch->page, touch->rise, touch->owner, touch->time);
    }
    return err ? err : pmt_credits_lend(&space->credits, touch->owner, touch->time, touch->rise - 1);
}

typedef struct lot_s {  // of pages being moved
    uint64_t page;
    pmt_life_t life;
} lot_t;

typedef struct lots_s {
    pmt_space_t *space;
    lot_t *list;
    uint32_t count, room;
} lots_t;

static int
take_lot(void *context, const pmt_chunk_t *chunk, const pmt_life_t *life)
{
    lots_t *lots = context;
    pmt_space_count(lots->space, life, false);
    int err = pmt_array_room(&lots->list, lots->count, &lots->room, sizeof *lots->list);
    if (!err) {
        lots->list[lots->count++] = (lot_t){(chunk->number << PMT_CHUNK_BITS) + life->first, *life};
    }
    return err;
}

static int
take_lots(pmt_space_t *space, pmt_chunk_t *chunk, uint32_t first, uint32_t pages, void *lots)
{
    (void)space;
    return pmt_page_map_clear(chunk, first, pages, take_lot, lots);
}

int
pmt_space_move(pmt_space_t *space, uint64_t time, uint64_t from, uint64_t to, uint64_t pages)
{
    lots_t lots = {.space = space};
    pmt_ending_t ending = {space, time, time};
    int err = pmt_space_begin_looking(space);
    err = err ? err : pmt_space_each_chunk(space, from, pages, take_lots, &lots);
    err = err ? err : pmt_space_each_chunk(space, to, pages, pmt_space_end_pages, &ending);
    for (uint32_t i = 0; i < lots.count && !err; i++) {
        const lot_t *lot = &lots.list[i];
        err = pmt_space_settle(space, time, lot->page - from + to, lot->life.pages, lot->life.owner, lot->life.birth);
    }
    free(lots.list);
    return err;
}

// ---- RSS ----

// The moments before `time` have the last reading, if the process was there.
static void
tell_rss(pmt_space_t *space, uint64_t time)
{
    for (; space->moment < space->all->time_count && space->all->times[space->moment] < time; space->moment++) {
        pmt_held_t *held = pmt_owners_held(space->all, space->moment, space->process);
        held->has_rss = space->rss.has_rss && space->all->times[space->moment] >= space->start;
        held->rss = space->rss.rss;
        held->rss_time = space->rss.rss_time;
    }
}

static int
leave_room(pmt_space_t *space, uint64_t time, uint64_t pages)
{
    uint64_t known = space->pages + space->credits.pages, over = known > pages ? known - pages : 0;
    pmt_credit_t *credit;
    int err = 0;
    for (uint32_t at = 0; over && !err && (credit = pmt_credits_oldest(&space->credits, &at, UINT64_MAX));) {
        uint64_t gone = credit->pages < over ? credit->pages : over;
        err = pmt_credits_doubt(&space->credits, credit, gone, time);
        over -= gone;
    }
    return err;
}

int
pmt_space_end_doubts(pmt_space_t *space)
{
    const pmt_credits_t *credits = &space->credits;
    int err = 0;
    for (uint32_t i = 0; i < credits->doubt_count && !err; i++) {
        const pmt_doubt_t *doubt = &credits->doubts[i];
        err = pmt_owners_live(space->all, doubt->owner, PMT_HELD_BY_TIME, doubt->birth, doubt->death, (int64_t)doubt->pages);
    }
    pmt_credits_forget_doubts(&space->credits);
    return err;
}

int
pmt_space_rss(pmt_space_t *space, uint64_t time, int64_t bytes)
{
    pmt_held_t reading = {.has_rss = true, .rss = bytes, .rss_time = time};
    if (!space->rss.has_rss) {
        space->rss = reading;  // nothing earlier is known
    }
    tell_rss(space, time);
    space->rss = reading;
    return space->kind || bytes < 0 ? 0 : leave_room(space, time, (uint64_t)bytes / space->all->page_size);
}

// ---- the end ----

int
pmt_space_end(pmt_space_t *space, uint64_t time)
{
    pmt_credit_t *credit;
    int err = 0;
    for (uint32_t i = 0; i < space->map.count && !err; i++) {
        const pmt_chunk_t *chunk = &space->map.chunks[i];
        for (uint32_t k = 0; k < chunk->count && !err; k++) {
            err = live(space, &chunk->lives[k], time);
        }
    }
    for (uint32_t at = 0; !err && (credit = pmt_credits_oldest(&space->credits, &at, UINT64_MAX)); at++) {
        err = pmt_owners_live(space->all, credit->owner, PMT_HELD_BY_TIME, credit->birth, time, (int64_t)credit->pages);
    }
    err = err ? err : pmt_space_end_doubts(space);
    err = err ? err : pmt_credits_forget(&space->credits, UINT64_MAX);
    pmt_page_map_fini(&space->map);
    space->pages = 0;
    if (time == UINT64_MAX) {
        tell_rss(space, UINT64_MAX);
    }
    return err;
}
