// What a snapshot finds (space.h): which lives have ended, and whose the pages are that nobody was known to have.
#include "analyze/space_inside.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "format/wire.h"

typedef struct gap_s {
    uint64_t first, end;
} gap_t;

// ---- the mappings of a snapshot ----

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
            err = pmt_page_map_clear(chunk, (uint32_t)(at - base), (uint32_t)(to - at), pmt_space_end_life, ending);
        }
        at = to > at ? to : at;
        at = more && space->mappings[next].end > at ? space->mappings[next].end : at;
    }
    return err;
}

void
pmt_space_snapshot(pmt_space_t *space, uint64_t time, unsigned kind, uint64_t since, bool whole)
{
    space->kind = kind;
    space->time = time;
    space->since = since < time ? since : time;
    space->whole = whole;
    space->mapping_count = space->piece.count = space->orphans.count = 0;
    space->debt = 0;
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

int
pmt_space_begin_looking(pmt_space_t *space)
{
    pmt_ending_t ending = {space, space->since, space->time};
    if (!space->kind || space->looking) {
        return 0;
    }
    space->looking = true;
    if (space->mapping_count == 0) {
        return 0;  // they could not be read
    }
    qsort(space->mappings, space->mapping_count, sizeof *space->mappings, by_first);
    return space->whole ? pmt_space_each_chunk(space, 0, UINT64_C(1) << PMT_WIRE_ADDRESS_BITS, end_outside, &ending) : 0;
}

// ---- pages without a life ----

// The first page in [from, to) whose having a life is `there`; `to` if there is none, or no room in the map for more.
static uint64_t
next_page(const pmt_space_t *space, uint64_t from, uint64_t to, bool there)
{
    while (from < to) {
        const pmt_chunk_t *chunk = pmt_page_map_find(&space->map, from >> PMT_CHUNK_BITS);
        uint32_t in_chunk = (uint32_t)(from & (PMT_CHUNK_PAGES - 1));
        if (!chunk && !there) {
            return space->map.count >= PMT_CHUNKS_MAX ? to : from;
        }
        uint32_t at = chunk ? pmt_chunk_next(chunk, in_chunk, there) : PMT_CHUNK_PAGES;
        from += at - in_chunk;
        if (at < PMT_CHUNK_PAGES) {
            break;
        }
    }
    return from < to ? from : to;
}

// The first pages in [from, to) without a life. False: all have one.
static bool
next_gap(const pmt_space_t *space, uint64_t from, uint64_t to, gap_t *gap)
{
    gap->first = next_page(space, from, to, false);
    gap->end = next_page(space, gap->first, to, true);
    return gap->first < to;
}

// ---- exact: asked for, or around a fault ----

static void
spend(pmt_space_t *space, uint32_t owner, uint64_t pages)
{
    space->debt += pages - pmt_credits_spend(&space->credits, owner, pages);
}

static void
spend_one(void *context, const pmt_life_t *life)
{
    pmt_space_t *space = context;
    pmt_space_count(space, life, true);
    spend(space, pmt_untag(life->owner), life->pages);
}

static int
answer(pmt_space_t *space, pmt_chunk_t *chunk, uint32_t first, uint32_t pages, void *unused)
{
    (void)unused;
    pmt_page_map_answer(chunk, first, pages, spend_one, space);
    return 0;
}

// Its fault's page is still that fault's.
static bool
window_alive(const void *context, const pmt_window_t *window)
{
    const pmt_life_t *life = pmt_space_life(context, window->page);
    return life && life->owner == pmt_tag(window->owner, PMT_LIFE_EXACT) && life->birth == window->birth;
}

static int
fill_window(pmt_space_t *space, gap_t found, pmt_window_t window)
{
    uint64_t first = pmt_window_first(&window), end = first + (UINT64_C(1) << (window.key & 15));
    uint64_t from = first > found.first ? first : found.first, to = end < found.end ? end : found.end;
    gap_t gap;
    int err = 0;
    for (; !err && from < to && next_gap(space, from, to, &gap); from = gap.end) {
        err = pmt_space_settle(space, window.birth, gap.first, gap.end - gap.first, pmt_tag(window.owner, PMT_LIFE_EXACT), window.birth);
        spend(space, window.owner, gap.end - gap.first);
    }
    return err;
}

// The windows of one size that have pages of the gap: each place that one may have, or all that there are if these are fewer. They do not overlap.
static int
fill_windows_of(pmt_space_t *space, gap_t gap, unsigned bits)
{
    const pmt_windows_t *windows = &space->windows;
    const uint64_t size = UINT64_C(1) << bits;
    int err = 0;
    if ((gap.end - gap.first) >> bits <= windows->table.count) {
        for (uint64_t first = gap.first & ~(size - 1); windows->of_size[bits] && first < gap.end && !err; first += size) {
            const pmt_window_t *window = pmt_windows_find(windows, first, bits);
            err = window && window_alive(space, window) ? fill_window(space, gap, *window) : 0;
        }
        return err;
    }
    for (uint32_t i = 0; i < windows->table.count && !err; i++) {
        const pmt_window_t *window = pmt_table_at(&windows->table, i);
        uint64_t first = pmt_window_first(window);
        bool meant = (window->key & 15) == bits && first < gap.end && first + size > gap.first;
        err = meant && window_alive(space, window) ? fill_window(space, gap, *window) : 0;
    }
    return err;
}

// ---- by fill ----

// The life of a page that has a stack, and lies in this mapping.
static const pmt_life_t *
neighbour(const pmt_space_t *space, uint64_t page, const pmt_mapping_t *mapping)
{
    const pmt_life_t *life = mapping && page >= mapping->first && page < mapping->end ? pmt_space_life(space, page) : NULL;
    return life && pmt_life_how(life) != PMT_LIFE_ASKED && pmt_space_owner(space, life->owner)->node != UINT32_MAX ? life : NULL;
}

static int
fill_pages(pmt_space_t *space, uint64_t first, uint64_t pages, pmt_life_t of)
{
    spend(space, pmt_untag(of.owner), pages);
    return pages ? pmt_space_settle(space, of.birth, first, pages, pmt_tag(pmt_untag(of.owner), PMT_LIFE_FILL), of.birth) : 0;
}

// At most as many pages as the owner of the life has credit for, at its end of the gap, which is shortened.
static int
fill_end(pmt_space_t *space, gap_t *gap, pmt_life_t of, bool upper)
{
    uint64_t credit = pmt_space_owner(space, of.owner)->credit, pages = gap->end - gap->first;
    pages = credit < pages ? credit : pages;
    gap->first += upper ? 0 : pages;
    gap->end -= upper ? pages : 0;
    return fill_pages(space, upper ? gap->end : gap->first - pages, pages, of);
}

// Two neighbours: who came later takes what it has credit for, then the other; the middle is the later one's. (Touched upwards, the pages between two signals belong to
// the upper one; downwards to the lower one.)
static int
fill_between(pmt_space_t *space, gap_t gap, pmt_life_t below, pmt_life_t above)
{
    bool upper = above.birth > below.birth;
    pmt_life_t later = upper ? above : below, earlier = upper ? below : above;
    int err = fill_end(space, &gap, later, upper);
    err = err ? err : fill_end(space, &gap, earlier, !upper);
    return err ? err : fill_pages(space, gap.first, gap.end - gap.first, later);
}

// ---- without a stack ----

static int
settle_stackless(pmt_space_t *space, uint64_t first, uint64_t pages, unsigned held, uint64_t birth)
{
    pmt_owner_t owner = {.node = UINT32_MAX, .thread = space->process, .place = held};
    int64_t number = pmt_table_add(&space->all->owners, &owner);
    return number < 0 ? (int)number : pmt_space_settle(space, birth, first, pages, pmt_tag((uint32_t)number, PMT_LIFE_EXACT), birth);
}

static int
append(pmt_found_list_t *to, uint64_t first, uint64_t end, unsigned state)
{
    int err = pmt_array_room(&to->list, to->count, &to->room, sizeof *to->list);
    if (!err) {
        to->list[to->count++] = (pmt_found_t){first, end, state};
    }
    return err;
}

// The first of the piece's runs that ends behind `page`.
static uint32_t
found_at(const pmt_found_list_t *piece, uint64_t page)
{
    uint32_t low = 0, high = piece->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (piece->list[middle].end <= page) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// Each state of the gap's pages for itself.
static int
fill_stackless(pmt_space_t *space, gap_t gap, const pmt_mapping_t *mapping)
{
    int err = 0;
    for (uint32_t i = found_at(&space->piece, gap.first); i < space->piece.count && space->piece.list[i].first < gap.end && !err; i++) {
        const pmt_found_t *found = &space->piece.list[i];
        uint64_t first = found->first > gap.first ? found->first : gap.first, end = found->end < gap.end ? found->end : gap.end;
        bool shared = mapping && mapping->kind == PMT_REGION_SHARED;
        unsigned held = shared ? PMT_HELD_SHARED : found->state == PMT_RESIDENT_FILE ? PMT_HELD_FILE : PMT_HELD_KERNEL;
        err = settle_stackless(space, first, end - first, held, space->since);
        err = err || held != PMT_HELD_KERNEL ? err : append(&space->orphans, first, end, found->state);
    }
    return err;
}

// ---- a piece ----

static int
fill_rest(pmt_space_t *space, gap_t gap, const pmt_mapping_t *mapping)
{
    const pmt_life_t *below = gap.first ? neighbour(space, gap.first - 1, mapping) : NULL, *above = neighbour(space, gap.end, mapping);
    if (below && above) {
        return fill_between(space, gap, *below, *above);
    }
    if (below || above) {
        return fill_pages(space, gap.first, gap.end - gap.first, below ? *below : *above);
    }
    return fill_stackless(space, gap, mapping);
}

// Found pages side by side in one mapping. Also at the start a page that was asked for before it was looked at is whose fault that was.
static int
fill(pmt_space_t *space, gap_t gap, const pmt_mapping_t *mapping)
{
    gap_t rest;
    bool tracer = mapping && mapping->kind == PMT_REGION_TRACER, start = space->kind == PMT_SNAPSHOT_START;
    int err = tracer ? 0 : pmt_space_each_chunk(space, gap.first, gap.end - gap.first, answer, NULL);
    for (unsigned bits = 1; bits <= PMT_WINDOW_BITS && !err && !tracer && !start; bits++) {
        err = fill_windows_of(space, gap, bits);
    }
    for (uint64_t from = gap.first; !err && next_gap(space, from, gap.end, &rest); from = rest.end) {
        uint64_t pages = rest.end - rest.first;
        err = tracer  ? settle_stackless(space, rest.first, pages, PMT_HELD_TRACER, start ? space->start : space->since)
              : start ? settle_stackless(space, rest.first, pages, PMT_HELD_BEFORE, space->start)
                      : fill_rest(space, rest, mapping);
    }
    return err;
}

// The same of pages in several mappings, one after the other.
static int
fill_mappings(pmt_space_t *space, gap_t gap)
{
    int err = 0;
    while (gap.first < gap.end && !err) {
        uint32_t behind = mapping_behind(space, gap.first);
        const pmt_mapping_t *mapping = mapping_of(space, gap.first);
        gap_t part = gap;
        if (mapping && mapping->end < part.end) {
            part.end = mapping->end;
        }
        if (behind < space->mapping_count && space->mappings[behind].first < part.end) {
            part.end = space->mappings[behind].first;
        }
        err = fill(space, part, mapping);
        gap.first = part.end;
    }
    return err;
}

int
pmt_space_found(pmt_space_t *space, uint64_t time, uint64_t first, uint64_t pages, unsigned state)
{
    pmt_ending_t ending = {space, space->since, time};
    pmt_found_t *last = space->piece.count ? &space->piece.list[space->piece.count - 1] : NULL;
    int err = pmt_space_begin_looking(space);
    if (!space->kind || err) {
        return err;
    }
    if (state == PMT_RESIDENT_NONE || state == PMT_RESIDENT_SWAP) {
        return pmt_space_each_chunk(space, first, pages, pmt_space_end_pages, &ending);
    }
    pages = pages < PMT_FOUND_MAX ? pages : PMT_FOUND_MAX;
    if (last && last->end == first && last->state == state) {
        last->end = first + pages;
        return 0;
    }
    return append(&space->piece, first, first + pages, state);
}

int
pmt_space_looked(pmt_space_t *space)
{
    const pmt_found_list_t *piece = &space->piece;
    gap_t gap;
    int err = 0;
    for (uint32_t i = 0, next; i < piece->count && !err; i = next) {
        for (next = i + 1; next < piece->count && piece->list[next].first == piece->list[next - 1].end; next++) {}
        uint64_t end = piece->list[next - 1].end;
        for (uint64_t from = piece->list[i].first; !err && next_gap(space, from, end, &gap); from = gap.end) {
            err = fill_mappings(space, gap);
        }
    }
    space->piece.count = 0;
    return err;
}

// ---- the end of a snapshot ----

// Credit that no found pages used up: the oldest, then what came in doubt last. False: there is none.
static bool
next_unused(pmt_space_t *space, uint32_t *at, pmt_credit_t *unused)
{
    const pmt_credit_t *credit = pmt_credits_oldest(&space->credits, at, space->time);
    const pmt_doubt_t *doubt = credit ? NULL : pmt_credits_latest_doubt(&space->credits);
    if (credit) {
        *unused = *credit;
    } else if (doubt) {
        *unused = (pmt_credit_t){.birth = doubt->birth, .pages = doubt->pages, .owner = doubt->owner};
    }
    return credit || doubt;
}

// So many pages of it, and not more than it has.
static void
use(pmt_space_t *space, uint32_t *at, const pmt_credit_t *unused, uint64_t pages)
{
    if (pmt_credits_oldest(&space->credits, at, space->time)) {
        pmt_credits_spend(&space->credits, unused->owner, pages);
    } else {
        pmt_credits_believe(&space->credits, pages);
    }
}

// Pages of [first, end) that are the kernel's since this snapshot go to who has credit that no other pages used up.
static int
adopt(pmt_space_t *space, const pmt_found_t *orphan, uint32_t *at)
{
    pmt_credit_t credit;
    int err = 0;
    for (uint64_t page = orphan->first, to; page < orphan->end && !err && next_unused(space, at, &credit); page = to) {
        const pmt_life_t *life = pmt_space_life(space, page);
        to = life ? (page & ~(uint64_t)(PMT_CHUNK_PAGES - 1)) + life->first + life->pages : page + 1;
        to = to < orphan->end ? to : orphan->end;
        if (!life || life->birth != space->since || pmt_space_owner(space, life->owner)->node != UINT32_MAX) {
            continue;
        }
        to = to - page < credit.pages ? to : page + credit.pages;
        err = pmt_space_settle(space, space->since, page, to - page, pmt_tag(credit.owner, PMT_LIFE_BY_TIME), credit.birth);
        use(space, at, &credit, to - page);
    }
    return err;
}

// Pages that were filled without credit came with other faults, the oldest: that credit was never anything else.
static void
pay_debt(pmt_space_t *space)
{
    pmt_credit_t credit;
    for (uint32_t at = 0; space->debt && next_unused(space, &at, &credit);) {
        uint64_t paid = credit.pages < space->debt ? credit.pages : space->debt;
        use(space, &at, &credit, paid);
        space->debt -= paid;
    }
}

// Found pages use up credit, also if not all was looked at.
static int
settle_found(pmt_space_t *space)
{
    uint32_t at = 0;
    int err = 0;
    for (uint32_t i = 0; i < space->orphans.count && !err; i++) {
        err = adopt(space, &space->orphans.list[i], &at);
    }
    pay_debt(space);
    return err;
}

// Credit from before the snapshot that no found pages have used up is gone.
static int
settle_credits(pmt_space_t *space)
{
    pmt_credit_t *credit;
    int err = pmt_space_end_doubts(space);
    for (uint32_t at = 0; !err && (credit = pmt_credits_oldest(&space->credits, &at, space->time)); at++) {
        uint64_t death = space->since > credit->birth ? space->since : space->time;
        err = pmt_owners_live(space->all, credit->owner, PMT_HELD_BY_TIME, credit->birth, death, (int64_t)credit->pages);
    }
    return err ? err : pmt_credits_forget(&space->credits, space->time);
}

int
pmt_space_snapshot_end(pmt_space_t *space)
{
    int err = pmt_space_begin_looking(space);
    bool later = space->kind && space->kind != PMT_SNAPSHOT_START;
    err = err || !later ? err : settle_found(space);
    err = err || !later || !space->whole ? err : settle_credits(space);
    space->kind = 0;
    space->orphans.count = 0;
    return err ? err : pmt_windows_sweep(&space->windows, window_alive, space);
}
