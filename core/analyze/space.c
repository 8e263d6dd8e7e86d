// One process's memory (space.h).
#include "analyze/space.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "format/wire.h"

enum { CREDITS_MAX = 1 << 21 };  // between two snapshots; what comes beyond them is unexplained
#define FOUND_MAX ((uint64_t)PMT_CHUNKS_MAX << PMT_CHUNK_BITS)  // pages of a run: a map has no more
#define ALIVE UINT64_MAX
#define NOWHERE UINT64_MAX

// An owner in a life: its number, and whether its page was found by fill.
static uint32_t
tag(uint32_t owner, bool filled)
{
    return owner << 1 | filled;
}

static pmt_owner_t *
owner_of(const pmt_space_t *space, uint32_t tagged)
{
    return pmt_table_at(&space->all->owners, tagged >> 1);
}

void
pmt_space_init(pmt_space_t *space, pmt_owners_t *all, uint32_t process)
{
    *space = (pmt_space_t){.all = all, .process = process};
    pmt_page_map_init(&space->map);
}

void
pmt_space_fini(pmt_space_t *space)
{
    pmt_page_map_fini(&space->map);
    free(space->credits);
    free(space->mappings);
}

// ---- lives ----

static int
live(pmt_space_t *space, const pmt_life_t *life, uint64_t death)
{
    const pmt_owner_t *owner = owner_of(space, life->owner);
    unsigned held = owner->node == UINT32_MAX ? owner->place : life->owner & 1 ? PMT_HELD_FILL : PMT_HELD_EXACT;
    return pmt_owners_live(space->all, life->owner >> 1, held, life->birth, death, life->pages);
}

typedef struct ending_s {
    pmt_space_t *space;
    uint64_t since;  // it ended then,
    uint64_t time;   // or, if it was born later, at this time
} ending_t;

static int
end_life(void *context, const pmt_chunk_t *chunk, const pmt_life_t *life)
{
    const ending_t *ending = context;
    return live(ending->space, life, life->birth <= ending->since ? ending->since : ending->time);
}

// Gives [first, first + pages) to an owner from `birth` on; what was there ended at `time`. Beyond what a map may have nothing is kept.
static int
settle(pmt_space_t *space, uint64_t time, uint64_t first, uint64_t pages, uint32_t owner, uint64_t birth)
{
    ending_t ending = {space, time, time};
    for (uint64_t page = first, end = first + pages; page < end;) {
        uint64_t number = page >> PMT_CHUNK_BITS, next = (number + 1) << PMT_CHUNK_BITS;
        uint64_t to = next < end ? next : end;
        pmt_chunk_t *chunk = pmt_page_map_make(&space->map, number);
        if (!chunk) {
            return space->map.count >= PMT_CHUNKS_MAX ? 0 : -ENOMEM;
        }
        pmt_life_t life = {birth, owner, (uint16_t)(page & (PMT_CHUNK_PAGES - 1)), (uint16_t)(to - page)};
        int err = pmt_page_map_put(chunk, &life, end_life, &ending);
        if (err) {
            return err;
        }
        page = to;
    }
    return 0;
}

typedef int (*on_chunk_t)(pmt_space_t *space, pmt_chunk_t *chunk, uint32_t first, uint32_t pages, void *context);

static int
visit(pmt_space_t *space, pmt_chunk_t *chunk, uint64_t from, uint64_t to, on_chunk_t on_chunk, void *context)
{
    uint64_t begin = chunk->number << PMT_CHUNK_BITS, end = begin + PMT_CHUNK_PAGES;
    from = from > begin ? from : begin;
    to = to < end ? to : end;
    return from < to && chunk->count ? on_chunk(space, chunk, (uint32_t)(from - begin), (uint32_t)(to - from), context) : 0;
}

// The chunks that have pages in [first, first + pages): by their numbers, or all that there are if these are fewer.
static int
each_chunk(pmt_space_t *space, uint64_t first, uint64_t pages, on_chunk_t on_chunk, void *context)
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

// ---- the mappings of a snapshot ----

static int
by_place(const void *a, const void *b)
{
    const pmt_credit_t *x = a, *y = b;
    if (x->page != y->page) {
        return x->page < y->page ? -1 : 1;
    }
    return x->birth == y->birth ? 0 : x->birth > y->birth ? -1 : 1;  // of one page the last fault comes first
}

static int
by_first(const void *a, const void *b)
{
    const pmt_mapping_t *x = a, *y = b;
    return x->first == y->first ? 0 : x->first < y->first ? -1 : 1;
}

// The first mapping that begins behind `page`; the one before may have it.
static uint32_t
mapping_behind(const pmt_space_t *space, uint64_t page)
{
    uint32_t low = 0, high = space->mapping_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (space->mappings[middle].first <= page) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static const pmt_mapping_t *
mapping_of(const pmt_space_t *space, uint64_t page)
{
    uint32_t behind = mapping_behind(space, page);
    return behind && page < space->mappings[behind - 1].end ? &space->mappings[behind - 1] : NULL;
}

// Ends what lies outside all mappings of the snapshot.
static int
end_outside(pmt_space_t *space, pmt_chunk_t *chunk, uint32_t first, uint32_t pages, void *ending)
{
    uint64_t base = chunk->number << PMT_CHUNK_BITS, at = base, end = base + PMT_CHUNK_PAGES;
    uint32_t next = mapping_behind(space, base);
    int err = 0;
    (void)first;
    (void)pages;
    for (next -= next > 0; at < end && !err; next++) {
        bool more = next < space->mapping_count;
        uint64_t to = more && space->mappings[next].first < end ? space->mappings[next].first : end;
        if (to > at) {
            err = pmt_page_map_clear(chunk, (uint32_t)(at - base), (uint32_t)(to - at), end_life, ending);
        }
        at = to > at ? to : at;
        at = more && space->mappings[next].end > at ? space->mappings[next].end : at;
    }
    return err;
}

// Once all mappings of the snapshot are known, and before anything later happens: nothing is there outside them.
static int
begin_looking(pmt_space_t *space)
{
    ending_t ending = {space, space->since, space->time};
    if (!space->kind || space->looking) {
        return 0;
    }
    space->looking = true;
    space->sorted = space->credit_count;
    if (space->credit_count) {
        qsort(space->credits, space->credit_count, sizeof *space->credits, by_place);
    }
    if (space->mapping_count == 0) {
        return 0;  // they could not be read
    }
    qsort(space->mappings, space->mapping_count, sizeof *space->mappings, by_first);
    return each_chunk(space, 0, UINT64_C(1) << PMT_WIRE_ADDRESS_BITS, end_outside, &ending);
}

// ---- faults and moves ----

static int
add_credit(pmt_space_t *space, const pmt_touch_t *touch, uint64_t pages)
{
    if (pages == 0) {
        return 0;
    }
    owner_of(space, tag(touch->owner, false))->credit += pages;
    if (space->credit_count >= CREDITS_MAX) {
        return 0;
    }
    if (pmt_array_room(&space->credits, space->credit_count, &space->credit_room, sizeof *space->credits) < 0) {
        return -ENOMEM;
    }
    uint32_t rise = touch->rise > PMT_CHUNK_PAGES ? PMT_CHUNK_PAGES : (uint32_t)touch->rise;
    space->credits[space->credit_count++] = (pmt_credit_t){touch->placed ? touch->page : NOWHERE, touch->time, touch->owner, rise, pages};
    return 0;
}

int
pmt_space_touch(pmt_space_t *space, const pmt_touch_t *touch)
{
    uint32_t owner = tag(touch->owner, false);
    int err = begin_looking(space);
    if (touch->rise == 0 || err) {
        return err;
    }
    if (!touch->placed) {
        return add_credit(space, touch, touch->rise);
    }
    if (touch->whole) {
        return settle(space, touch->time, touch->page & ~(touch->rise - 1), touch->rise, owner, touch->time);
    }
    err = settle(space, touch->time, touch->page, 1, owner, touch->time);
    return err ? err : add_credit(space, touch, touch->rise - 1);
}

typedef struct lot_s {  // of pages being moved
    uint64_t page;
    pmt_life_t life;
} lot_t;

typedef struct lots_s {
    lot_t *list;
    uint32_t count, room;
} lots_t;

static int
take_lot(void *context, const pmt_chunk_t *chunk, const pmt_life_t *life)
{
    lots_t *lots = context;
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

static int
end_pages(pmt_space_t *space, pmt_chunk_t *chunk, uint32_t first, uint32_t pages, void *ending)
{
    (void)space;
    return pmt_page_map_clear(chunk, first, pages, end_life, ending);
}

int
pmt_space_move(pmt_space_t *space, uint64_t time, uint64_t from, uint64_t to, uint64_t pages)
{
    lots_t lots = {0};
    ending_t ending = {space, time, time};
    int err = begin_looking(space);
    err = err ? err : each_chunk(space, from, pages, take_lots, &lots);
    err = err ? err : each_chunk(space, to, pages, end_pages, &ending);
    for (uint32_t i = 0; i < lots.count && !err; i++) {
        const lot_t *lot = &lots.list[i];
        err = settle(space, time, lot->page - from + to, lot->life.pages, lot->life.owner, lot->life.birth);
    }
    free(lots.list);
    return err;
}

// ---- RSS ----

// The moments before `time` have the last reading.
static void
tell_rss(pmt_space_t *space, uint64_t time)
{
    for (; space->moment < space->all->time_count && space->all->times[space->moment] < time; space->moment++) {
        pmt_held_t *held = pmt_owners_held(space->all, space->moment, space->process);
        held->has_rss = space->rss.has_rss;
        held->rss = space->rss.rss;
        held->rss_time = space->rss.rss_time;
    }
}

void
pmt_space_rss(pmt_space_t *space, uint64_t time, int64_t bytes)
{
    tell_rss(space, time);
    space->rss = (pmt_held_t){.has_rss = true, .rss = bytes, .rss_time = time};
}

// ---- snapshots ----

void
pmt_space_snapshot(pmt_space_t *space, uint64_t time, unsigned kind, uint64_t since)
{
    space->kind = kind;
    space->time = time;
    space->since = since < time ? since : time;
    space->mapping_count = 0;
    space->looking = false;
    space->all->has_snapshots[space->process] = true;
}

int
pmt_space_mapping(pmt_space_t *space, uint64_t first, uint64_t pages, unsigned kind)
{
    int err = pmt_array_room(&space->mappings, space->mapping_count, &space->mapping_room, sizeof *space->mappings);
    if (!err) {
        space->mappings[space->mapping_count++] = (pmt_mapping_t){first, first + pages, kind};
    }
    return err;
}

typedef struct gap_s {
    uint64_t first, end;
} gap_t;

// The first pages in [from, to) that nobody owns. False: all are owned.
static bool
next_gap(const pmt_space_t *space, uint64_t from, uint64_t to, gap_t *gap)
{
    *gap = (gap_t){NOWHERE, to};
    for (uint64_t page = from; page < to;) {
        const pmt_chunk_t *chunk = pmt_page_map_find(&space->map, page >> PMT_CHUNK_BITS);
        uint64_t base = page & ~(uint64_t)(PMT_CHUNK_PAGES - 1), next = base + PMT_CHUNK_PAGES;
        uint32_t at = chunk ? pmt_chunk_search(chunk, (uint32_t)(page - base)) : 0;
        const pmt_life_t *life = chunk && at < chunk->count ? &chunk->lives[at] : NULL;
        bool owned = life && base + life->first <= page;
        if (owned && gap->first != NOWHERE) {
            gap->end = page;
            return true;
        }
        if (!owned && gap->first == NOWHERE) {
            gap->first = page;
        }
        if (!chunk && space->map.count >= PMT_CHUNKS_MAX) {
            break;  // there is no more room in the map
        }
        page = chunk && chunk->resident == PMT_CHUNK_PAGES ? next : owned ? base + life->first + life->pages : life ? base + life->first : next;
    }
    return gap->first != NOWHERE && gap->first < to;
}

static void
use_credit(pmt_space_t *space, uint32_t number, uint64_t pages)
{
    pmt_owner_t *owner = owner_of(space, tag(number, false));
    owner->credit -= owner->credit < pages ? owner->credit : pages;
}

// Found pages in the window of a fault that brought in several: the smallest aligned power of two that holds so many.
static int
fill_window(pmt_space_t *space, uint64_t time, gap_t found, pmt_credit_t *credit)
{
    uint64_t window = 1;
    while (window < credit->rise) {
        window <<= 1;
    }
    uint64_t from = credit->page & ~(window - 1), to = from + window;
    from = from > found.first ? from : found.first;
    to = to < found.end ? to : found.end;
    gap_t gap;
    while (credit->pages && from < to && next_gap(space, from, to, &gap)) {
        uint64_t pages = gap.end - gap.first < credit->pages ? gap.end - gap.first : credit->pages;
        int err = settle(space, time, gap.first, pages, tag(credit->owner, false), credit->birth);
        if (err) {
            return err;
        }
        credit->pages -= pages;
        use_credit(space, credit->owner, pages);
        from = gap.first + pages;
    }
    return 0;
}

static int
fill_windows(pmt_space_t *space, uint64_t time, gap_t gap)
{
    uint64_t from = gap.first & ~(uint64_t)(PMT_CHUNK_PAGES - 1), to = (gap.end + PMT_CHUNK_PAGES - 1) & ~(uint64_t)(PMT_CHUNK_PAGES - 1);
    uint32_t low = 0, high = space->sorted;
    int err = 0;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (space->credits[middle].page < from) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < space->sorted && space->credits[low].page < to && !err; low++) {
        err = fill_window(space, time, gap, &space->credits[low]);
    }
    return err;
}

// The life of a page that has a stack, and lies in this mapping.
static const pmt_life_t *
neighbour(const pmt_space_t *space, uint64_t page, const pmt_mapping_t *mapping)
{
    const pmt_chunk_t *chunk = pmt_page_map_find(&space->map, page >> PMT_CHUNK_BITS);
    uint32_t in_chunk = (uint32_t)(page & (PMT_CHUNK_PAGES - 1)), at = chunk ? pmt_chunk_search(chunk, in_chunk) : 0;
    if (!chunk || at == chunk->count || chunk->lives[at].first > in_chunk || !mapping || page < mapping->first || page >= mapping->end) {
        return NULL;
    }
    return owner_of(space, chunk->lives[at].owner)->node == UINT32_MAX ? NULL : &chunk->lives[at];
}

// Who of the two neighbours of found pages has them: who still has credit, else who came later.
static const pmt_life_t *
nearer(const pmt_space_t *space, const pmt_life_t *below, const pmt_life_t *above)
{
    if (!below || !above) {
        return below ? below : above;
    }
    bool credit_below = owner_of(space, below->owner)->credit > 0, credit_above = owner_of(space, above->owner)->credit > 0;
    if (credit_below != credit_above) {
        return credit_below ? below : above;
    }
    return below->birth > above->birth ? below : above;
}

static unsigned
stackless(const pmt_space_t *space, const pmt_mapping_t *mapping, unsigned state)
{
    if (mapping && mapping->kind == PMT_REGION_TRACER) {
        return PMT_HELD_TRACER;
    }
    if (space->kind == PMT_SNAPSHOT_START) {
        return PMT_HELD_BEFORE;
    }
    if (state != PMT_RESIDENT_FILE) {
        return PMT_HELD_KERNEL;
    }
    return mapping && mapping->kind == PMT_REGION_SHARED ? PMT_HELD_SHARED : PMT_HELD_FILE;
}

// Gives pages of one mapping that were found, and that no fault explains.
static int
fill_rest(pmt_space_t *space, uint64_t time, gap_t gap, const pmt_mapping_t *mapping, unsigned state)
{
    unsigned held = stackless(space, mapping, state);
    const pmt_life_t *near = NULL;
    if (held != PMT_HELD_TRACER && space->kind != PMT_SNAPSHOT_START) {
        near = nearer(space, gap.first ? neighbour(space, gap.first - 1, mapping) : NULL, neighbour(space, gap.end, mapping));
    }
    if (near) {
        pmt_life_t life = *near;  // settling may move it
        use_credit(space, life.owner >> 1, gap.end - gap.first);
        return settle(space, time, gap.first, gap.end - gap.first, life.owner | 1, life.birth);
    }
    pmt_owner_t owner = {.node = UINT32_MAX, .thread = space->process, .place = held};
    int64_t number = pmt_table_add(&space->all->owners, &owner);
    return number < 0 ? (int)number : settle(space, time, gap.first, gap.end - gap.first, tag((uint32_t)number, false), space->last);
}

// The same of pages in several mappings, one after the other.
static int
fill_mappings(pmt_space_t *space, uint64_t time, gap_t gap, unsigned state)
{
    int err = 0;
    while (gap.first < gap.end && !err) {
        uint32_t behind = mapping_behind(space, gap.first);
        const pmt_mapping_t *mapping = mapping_of(space, gap.first);
        gap_t piece = gap;
        if (mapping && mapping->end < piece.end) {
            piece.end = mapping->end;
        }
        if (behind < space->mapping_count && space->mappings[behind].first < piece.end) {
            piece.end = space->mappings[behind].first;
        }
        err = fill_rest(space, time, piece, mapping, state);
        gap.first = piece.end;
    }
    return err;
}

int
pmt_space_found(pmt_space_t *space, uint64_t time, uint64_t first, uint64_t pages, unsigned state)
{
    ending_t ending = {space, space->since, time};
    gap_t gap, rest;
    int err = begin_looking(space);
    if (!space->kind || err) {
        return err;
    }
    if (state == PMT_RESIDENT_NONE || state == PMT_RESIDENT_SWAP) {
        return each_chunk(space, first, pages, end_pages, &ending);
    }
    pages = pages < FOUND_MAX ? pages : FOUND_MAX;
    for (uint64_t from = first, end = first + pages; from < end && !err && next_gap(space, from, end, &gap); from = gap.end) {
        err = fill_windows(space, time, gap);
        for (uint64_t at = gap.first; at < gap.end && !err && next_gap(space, at, gap.end, &rest); at = rest.end) {
            err = fill_mappings(space, time, rest, state);
        }
        if (space->map.count >= PMT_CHUNKS_MAX) {
            break;
        }
    }
    return err;
}

// Credit that was there up to `limit`, and that no found pages have used up, is gone at `death`. Later credit stays.
static int
end_credits(pmt_space_t *space, uint64_t death, uint64_t limit)
{
    uint32_t kept = 0;
    int err = 0;
    for (uint32_t i = 0; i < space->credit_count; i++) {
        const pmt_credit_t *credit = &space->credits[i];
        use_credit(space, credit->owner, credit->birth > limit ? credit->pages : 0);
    }
    for (uint32_t i = 0; i < space->credit_count && !err; i++) {
        pmt_credit_t credit = space->credits[i];
        uint64_t left = owner_of(space, tag(credit.owner, false))->credit;
        if (credit.birth > limit) {
            space->credits[kept++] = credit;
            continue;
        }
        left = left < credit.pages ? left : credit.pages;
        use_credit(space, credit.owner, left);
        err = pmt_owners_live(space->all, credit.owner, PMT_HELD_BY_TIME, credit.birth, death > credit.birth ? death : limit, (int64_t)left);
    }
    for (uint32_t i = 0; i < kept; i++) {
        owner_of(space, tag(space->credits[i].owner, false))->credit += space->credits[i].pages;
    }
    space->credit_count = kept;
    return err;
}

int
pmt_space_snapshot_end(pmt_space_t *space, bool whole)
{
    int err = begin_looking(space);
    if (space->kind && whole && !err) {
        err = end_credits(space, space->since, space->time);
    }
    space->last = space->kind ? space->time : space->last;
    space->kind = 0;
    return err;
}

int
pmt_space_end(pmt_space_t *space, uint64_t time)
{
    int err = 0;
    for (uint32_t i = 0; i < space->map.count && !err; i++) {
        const pmt_chunk_t *chunk = &space->map.chunks[i];
        for (uint32_t k = 0; k < chunk->count && !err; k++) {
            err = live(space, &chunk->lives[k], time);
        }
    }
    err = err ? err : end_credits(space, time, time);
    pmt_page_map_fini(&space->map);
    if (time == ALIVE) {
        tell_rss(space, ALIVE);
    }
    return err;
}
