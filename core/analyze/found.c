// What a snapshot finds (space.h): which lives have ended, and whose the pages are that nobody was known to have.
#include "analyze/space_inside.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "format/wire.h"

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

bool
pmt_space_next_part(const pmt_space_t *space, pmt_gap_t *rest, pmt_gap_t *part, const pmt_mapping_t **mapping)
{
    uint32_t behind = mapping_behind(space, rest->first);
    *part = *rest;
    if (rest->first >= rest->end) {
        return false;
    }
    *mapping = behind && rest->first < space->mappings[behind - 1].end ? &space->mappings[behind - 1] : NULL;
    if (*mapping && (*mapping)->end < part->end) {
        part->end = (*mapping)->end;
    }
    if (behind < space->mapping_count && space->mappings[behind].first < part->end) {
        part->end = space->mappings[behind].first;
    }
    rest->first = part->end;
    return true;
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
    space->mapping_count = space->piece.count = space->unpaid_count = 0;
    space->orphans = space->debt = 0;
    space->fell = kind == PMT_SNAPSHOT_FELL && space->since > space->fell ? space->since : space->fell;
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
    pmt_ending_t ending = {space, PMT_GONE_UNSEEN, PMT_ENDED_BEFORE};
    if (!space->kind || space->looking) {
        return 0;
    }
    space->looking = true;
    if (space->mapping_count == 0) {
        return 0;  // they could not be read
    }
    pmt_array_sort(space->mappings, space->mapping_count, sizeof *space->mappings, by_first);
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
next_gap(const pmt_space_t *space, uint64_t from, uint64_t to, pmt_gap_t *gap)
{
    gap->first = next_page(space, from, to, false);
    gap->end = next_page(space, gap->first, to, true);
    return gap->first < to;
}

// ---- exact: asked for, or around a fault ----

uint64_t
pmt_space_spend(pmt_space_t *space, uint32_t owner, uint64_t birth, uint64_t pages)
{
    uint64_t left = pages, spent, born = birth;
    while ((spent = pmt_credits_spend(&space->credits, owner, space->time, left, &born))) {
        left -= spent;
        born = birth;
    }
    return pages - left;
}

// They came with the fault, whenever RSS told of them.
static void
spend(pmt_space_t *space, uint32_t owner, uint64_t birth, uint64_t pages)
{
    space->debt += pages - pmt_space_spend(space, owner, birth, pages);
}

static void
spend_one(void *context, const pmt_life_t *life)
{
    pmt_space_t *space = context;
    pmt_space_count(space, life, true);
    spend(space, pmt_untag(life->owner), life->birth, life->pages);
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
fill_window(pmt_space_t *space, pmt_gap_t found, pmt_window_t window)
{
    uint64_t first = pmt_window_first(&window), end = first + (UINT64_C(1) << (window.key & 15));
    uint64_t from = first > found.first ? first : found.first, to = end < found.end ? end : found.end;
    pmt_gap_t gap;
    int err = 0;
    for (; !err && from < to && next_gap(space, from, to, &gap); from = gap.end) {
        err = pmt_space_settle(space, window.birth, gap.first, gap.end - gap.first, pmt_tag(window.owner, PMT_LIFE_EXACT), window.birth);
        spend(space, window.owner, window.birth, gap.end - gap.first);
    }
    return err;
}

// The windows of one size that have pages of the gap: each place that one may have, or all that there are if these are fewer. They do not overlap.
static int
fill_windows_of(pmt_space_t *space, pmt_gap_t gap, unsigned bits)
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
give_unpaid(pmt_space_t *space, uint64_t first, uint64_t pages, uint32_t owner, uint64_t birth)
{
    int err = pmt_array_room(&space->unpaid, space->unpaid_count, &space->unpaid_room, sizeof *space->unpaid);
    if (err) {
        return err;
    }
    space->unpaid[space->unpaid_count++] = (pmt_unpaid_t){first, first + pages, birth, owner};
    return pmt_space_settle(space, birth, first, pages, owner, birth);
}

// They came in when the owner's credit did that they use up: then RSS had them.
static int
fill_pages(pmt_space_t *space, uint64_t first, uint64_t pages, pmt_life_t of)
{
    uint32_t owner = pmt_tag(pmt_untag(of.owner), PMT_LIFE_FILL);
    uint64_t birth = of.birth, spent;
    int err = 0;
    while (!err && (spent = pmt_credits_spend(&space->credits, pmt_untag(of.owner), space->time, pages, &birth))) {
        err = pmt_space_settle(space, birth, first, spent, owner, birth);
        first += spent;
        pages -= spent;
        birth = of.birth;
    }
    space->debt += pages;
    return err || !pages ? err : give_unpaid(space, first, pages, owner, of.birth);
}

// At most as many pages as the owner of the life has credit for, at its end of the gap, which is shortened.
static int
fill_end(pmt_space_t *space, pmt_gap_t *gap, pmt_life_t of, bool upper)
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
fill_between(pmt_space_t *space, pmt_gap_t gap, pmt_life_t below, pmt_life_t above)
{
    bool upper = above.birth > below.birth;
    pmt_life_t later = upper ? above : below, earlier = upper ? below : above;
    int err = fill_end(space, &gap, later, upper);
    err = err ? err : fill_end(space, &gap, earlier, !upper);
    return err ? err : fill_pages(space, gap.first, gap.end - gap.first, later);
}

// ---- without a stack ----

// Its owner, tagged, or -ENOMEM.
static int64_t
stackless(pmt_space_t *space, unsigned held, bool mapped)
{
    pmt_owner_t owner = {.node = UINT32_MAX, .thread = space->process, .place = held, .mapped = mapped};
    int64_t number = pmt_table_add(&space->all->owners, &owner);
    return number < 0 ? number : pmt_tag((uint32_t)number, PMT_LIFE_EXACT);
}

static int
settle_stackless(pmt_space_t *space, uint64_t first, uint64_t pages, unsigned held, bool mapped, uint64_t birth)
{
    int64_t owner = stackless(space, held, mapped);
    return owner < 0 ? (int)owner : pmt_space_settle(space, birth, first, pages, (uint32_t)owner, birth);
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

// The pages of one state; those of the start were there before it.
static int
fill_found(pmt_space_t *space, pmt_gap_t gap, unsigned state, const pmt_mapping_t *mapping)
{
    bool mapped = state == PMT_RESIDENT_FILE;
    if (space->kind == PMT_SNAPSHOT_START) {
        return settle_stackless(space, gap.first, gap.end - gap.first, PMT_HELD_BEFORE, mapped, space->start);
    }
    if (mapping && mapping->kind == PMT_REGION_SHARED) {
        return settle_stackless(space, gap.first, gap.end - gap.first, PMT_HELD_SHARED, false, space->since);
    }
    int64_t owner = stackless(space, mapped ? PMT_HELD_FILE : PMT_HELD_KERNEL, false);
    space->orphans += mapped ? 0 : gap.end - gap.first;
    return owner < 0 ? (int)owner : give_unpaid(space, gap.first, gap.end - gap.first, (uint32_t)owner, mapped ? space->since : space->time);
}

typedef int (*on_found_t)(pmt_space_t *space, pmt_gap_t gap, unsigned state, const pmt_mapping_t *mapping);

// Each state of the gap's pages for itself.
static int
each_state(pmt_space_t *space, pmt_gap_t gap, const pmt_mapping_t *mapping, on_found_t on_found)
{
    int err = 0;
    for (uint32_t i = found_at(&space->piece, gap.first); i < space->piece.count && space->piece.list[i].first < gap.end && !err; i++) {
        const pmt_found_t *found = &space->piece.list[i];
        pmt_gap_t part = {found->first > gap.first ? found->first : gap.first, found->end < gap.end ? found->end : gap.end};
        err = on_found(space, part, found->state, mapping);
    }
    return err;
}

// Whose fault asked for them. One of before the start copied only what is anonymous: pages of files it found.
static int
answer_found(pmt_space_t *space, pmt_gap_t gap, unsigned state, const pmt_mapping_t *mapping)
{
    (void)mapping;
    bool was_there = space->kind == PMT_SNAPSHOT_START && state == PMT_RESIDENT_FILE;
    return was_there ? 0 : pmt_space_each_chunk(space, gap.first, gap.end - gap.first, answer, NULL);
}

// ---- a piece ----

static int
fill_rest(pmt_space_t *space, pmt_gap_t gap, const pmt_mapping_t *mapping)
{
    const pmt_life_t *below = gap.first ? neighbour(space, gap.first - 1, mapping) : NULL, *above = neighbour(space, gap.end, mapping);
    if (below && above) {
        return fill_between(space, gap, *below, *above);
    }
    if (below || above) {
        return fill_pages(space, gap.first, gap.end - gap.first, below ? *below : *above);
    }
    return each_state(space, gap, mapping, fill_found);
}

// Found pages side by side in one mapping. Also at the start a page that was asked for before it was looked at is whose fault that was.
static int
fill(pmt_space_t *space, pmt_gap_t gap, const pmt_mapping_t *mapping)
{
    pmt_gap_t rest;
    bool tracer = mapping && mapping->kind == PMT_REGION_TRACER, start = space->kind == PMT_SNAPSHOT_START;
    int err = tracer ? 0 : each_state(space, gap, mapping, answer_found);
    for (unsigned bits = 1; bits <= PMT_WINDOW_BITS && !err && !tracer; bits++) {
        err = fill_windows_of(space, gap, bits);
    }
    for (uint64_t from = gap.first; !err && next_gap(space, from, gap.end, &rest); from = rest.end) {
        uint64_t pages = rest.end - rest.first;
        err = tracer  ? settle_stackless(space, rest.first, pages, PMT_HELD_TRACER, false, start ? space->start : space->since)
              : start ? each_state(space, rest, mapping, fill_found)
                      : fill_rest(space, rest, mapping);
    }
    return err;
}

// The same of pages in several mappings, one after the other.
static int
fill_mappings(pmt_space_t *space, pmt_gap_t gap)
{
    const pmt_mapping_t *mapping;
    pmt_gap_t part;
    int err = 0;
    while (!err && pmt_space_next_part(space, &gap, &part, &mapping)) {
        err = fill(space, part, mapping);
    }
    return err;
}

int
pmt_space_found(pmt_space_t *space, uint64_t time, uint64_t first, uint64_t pages, unsigned state)
{
    pmt_ending_t ending = {space, time, PMT_ENDED_BEFORE};
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
    pmt_gap_t gap;
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

// The next of these pages, from `from` on, that are still whose they were then. False: there are none.
static bool
next_unpaid(const pmt_space_t *space, const pmt_unpaid_t *unpaid, uint64_t from, pmt_gap_t *pages)
{
    for (uint64_t page = next_page(space, from, unpaid->end, true), to; page < unpaid->end; page = next_page(space, to, unpaid->end, true)) {
        const pmt_life_t *life = pmt_space_life(space, page);
        to = (page & ~(uint64_t)(PMT_CHUNK_PAGES - 1)) + life->first + life->pages;
        if (life->birth == unpaid->birth && life->owner == unpaid->owner) {
            *pages = (pmt_gap_t){page, to < unpaid->end ? to : unpaid->end};
            return true;
        }
    }
    return false;
}

static bool
has_stack(const pmt_space_t *space, const pmt_unpaid_t *unpaid)
{
    return pmt_space_owner(space, unpaid->owner)->node != UINT32_MAX;
}

// Anonymous and nobody's.
static bool
is_orphan(const pmt_space_t *space, const pmt_unpaid_t *unpaid)
{
    return !has_stack(space, unpaid) && pmt_space_owner(space, unpaid->owner)->place == PMT_HELD_KERNEL;
}

// They take the youngest credit that no other pages used up, and its birth; what was nobody's, its owner too.
static int
pay_for(pmt_space_t *space, const pmt_unpaid_t *unpaid, uint32_t *at, uint64_t *most)
{
    pmt_credit_t *credit;
    pmt_gap_t part = {.end = unpaid->first};
    int err = 0;
    while (*most && !err && (credit = pmt_credits_youngest(&space->credits, at)) && next_unpaid(space, unpaid, part.end, &part)) {
        uint64_t least = credit->pages < *most ? credit->pages : *most, pages = part.end - part.first < least ? part.end - part.first : least;
        uint32_t owner = is_orphan(space, unpaid) ? pmt_tag(credit->owner, PMT_LIFE_BY_TIME) : unpaid->owner;
        part.end = part.first + pages;
        err = pmt_space_settle(space, unpaid->birth, part.first, pages, owner, credit->birth);
        pmt_credits_take(&space->credits, credit, pages);
        *most -= pages;
    }
    return err;
}

// Pages of owners without credit that no others' paid for: until the snapshot they are in what RSS had more than was known (tell_of_readings in space.c).
static int
keep_unpaid(pmt_space_t *space)
{
    int err = 0;
    for (uint32_t i = 0; space->faults > 1 && !space->lag && i < space->unpaid_count && !err; i++) {
        const pmt_unpaid_t *unpaid = &space->unpaid[i];
        pmt_gap_t part = {.end = unpaid->first};
        while (has_stack(space, unpaid) && unpaid->birth < space->time && !err && next_unpaid(space, unpaid, part.end, &part)) {
            err = pmt_space_settle(space, unpaid->birth, part.first, part.end - part.first, unpaid->owner, space->time);
        }
    }
    return err;
}

// They are there from now on: nobody knows since when.
static int
keep_one(pmt_space_t *space, const pmt_unpaid_t *unpaid, pmt_gap_t part, uint64_t time)
{
    int err = pmt_array_room(&space->nobodys, space->nobody_count, &space->nobody_room, sizeof *space->nobodys);
    if (err) {
        return err;
    }
    space->nobodys[space->nobody_count++] = (pmt_unpaid_t){part.first, part.end, time, unpaid->owner};
    return pmt_space_settle(space, unpaid->birth, part.first, part.end - part.first, unpaid->owner, time);
}

// A file's page that came with a fault has had that fault's signal, unless one stands for several: then the next may tell of it.
static int
keep_nobodys(pmt_space_t *space, uint64_t time)
{
    int err = 0;
    for (uint32_t i = 0; i < space->unpaid_count && !err; i++) {
        const pmt_unpaid_t *unpaid = &space->unpaid[i];
        bool kept = !has_stack(space, unpaid) && (is_orphan(space, unpaid) || space->faults > 1);
        pmt_gap_t part = {.end = unpaid->first};
        while (kept && !err && next_unpaid(space, unpaid, part.end, &part)) {
            err = keep_one(space, unpaid, part, time);
        }
    }
    return err;
}

// The last of these pages that are still whose they were then. False: there are none.
static bool
last_unpaid(const pmt_space_t *space, const pmt_unpaid_t *unpaid, pmt_gap_t *pages)
{
    bool found = false;
    for (pmt_gap_t part = {.end = unpaid->first}; next_unpaid(space, unpaid, part.end, &part);) {
        *pages = part;
        found = true;
    }
    return found;
}

int
pmt_space_tell(pmt_space_t *space)
{
    uint64_t most = space->faults * PMT_CHUNK_PAGES;
    int err = 0;
    while (space->nobody_count && space->told < most && !err) {
        pmt_unpaid_t *last = &space->nobodys[space->nobody_count - 1];
        pmt_gap_t part;
        if (!last_unpaid(space, last, &part)) {
            space->nobody_count--;
            continue;
        }
        uint64_t pages = part.end - part.first < most - space->told ? part.end - part.first : most - space->told;
        last->end = part.end - pages;
        err = pmt_space_settle(space, last->birth, last->end, pages, pmt_tag(space->last, PMT_LIFE_BY_TIME), last->birth);
        space->told += pages;
    }
    return err;
}

// The orphans, or the others. At most so many pages.
static int
pay_all(pmt_space_t *space, bool orphans, uint64_t *most)
{
    uint32_t at = pmt_credits_until(&space->credits, orphans ? UINT64_MAX : space->time);  // one of several faults tells of what came in before it
    int err = 0;
    for (uint32_t i = 0; i < space->unpaid_count && !err; i++) {
        const pmt_unpaid_t *unpaid = &space->unpaid[i];
        bool meant = orphans ? is_orphan(space, unpaid) : has_stack(space, unpaid);
        err = meant ? pay_for(space, unpaid, &at, most) : 0;
    }
    return err;
}

// Pages that came with a fault, without credit of its owner: other faults brought them in, the youngest, and that credit was never anything else.
static void
pay_rest(pmt_space_t *space, uint64_t most)
{
    pmt_credit_t *credit;
    for (uint32_t at = pmt_credits_until(&space->credits, space->time); most && (credit = pmt_credits_youngest(&space->credits, &at));) {
        uint64_t paid = credit->pages < most ? credit->pages : most;
        pmt_credits_take(&space->credits, credit, paid);
        most -= paid;
    }
}

// Found pages use up credit, also if not all was looked at. As many as RSS lags it may not have risen for yet.
static int
settle_found(pmt_space_t *space, uint64_t time)
{
    uint64_t orphans = space->orphans, debt = space->debt;
    int err = pmt_space_between(space);
    debt -= debt < space->lag ? debt : space->lag;
    err = err ? err : pmt_space_nearest(space);
    err = err ? err : pay_all(space, true, &orphans);
    err = err ? err : pay_all(space, false, &debt);
    err = err ? err : keep_unpaid(space);
    if (!err) {
        pay_rest(space, debt);
    }
    return err ? err : keep_nobodys(space, time);
}

int
pmt_space_end_credits(pmt_space_t *space, uint64_t limit, uint64_t looked)
{
    pmt_credit_t *credit;
    int err = 0;
    for (uint32_t at = pmt_credits_until(&space->credits, limit); !err && (credit = pmt_credits_youngest(&space->credits, &at)); at--) {
        uint32_t owner = pmt_tag(credit->owner, PMT_LIFE_BY_TIME);
        uint64_t turn = pmt_space_turn(pmt_space_owner(space, owner), PMT_LIFE_BY_TIME);
        err = pmt_gone_add(&space->gone, &(pmt_gone_life_t){credit->birth, credit->pages, looked, turn, owner, false});
    }
    return err ? err : pmt_credits_forget(&space->credits, limit);
}

int
pmt_space_snapshot_end(pmt_space_t *space, uint64_t time)
{
    int err = pmt_space_begin_looking(space);
    bool later = space->kind && space->kind != PMT_SNAPSHOT_START;
    space->nobody_count = space->faults > 1 ? space->nobody_count : 0;  // between two signals there may be several snapshots
    err = err || !later ? err : settle_found(space, time);
    err = err || !later || !space->whole ? err : pmt_space_end_credits(space, space->time, PMT_GONE_UNSEEN);
    err = err ? err : pmt_gone_settle(&space->gone, space->since, space->time, pmt_space_live, space);
    space->counted = true;
    space->kind = 0;
    space->unpaid_count = 0;
    space->orphans = space->debt = 0;
    return err ? err : pmt_windows_sweep(&space->windows, window_alive, space);
}
