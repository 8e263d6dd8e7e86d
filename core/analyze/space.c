// One process's memory (space.h): lives, faults, moves.
#include "analyze/space_inside.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "format/wire.h"

void
pmt_space_init(pmt_space_t *space, pmt_owners_t *all, uint32_t process, uint64_t start, int64_t peak, uint64_t lag)
{
    *space = (pmt_space_t){.all = all, .process = process, .start = start, .peak = peak, .lag = lag, .gone.lags = lag > 0, .credits.owners = &all->owners};
    pmt_page_map_init(&space->map);
    pmt_windows_init(&space->windows);
}

void
pmt_space_fini(pmt_space_t *space)
{
    pmt_page_map_fini(&space->map);
    pmt_windows_fini(&space->windows);
    pmt_credits_fini(&space->credits);
    pmt_gone_fini(&space->gone);
    free(space->mappings);
    free(space->piece.list);
    free(space->unpaid);
    free(space->nobodys);
    free(space->overs);
    free(space->untold);
}

// ---- lives ----

int
pmt_space_live(void *context, uint32_t tagged, uint64_t birth, uint64_t death, uint64_t pages)
{
    static const unsigned held_by[] = {[PMT_LIFE_EXACT] = PMT_HELD_EXACT, [PMT_LIFE_FILL] = PMT_HELD_FILL, [PMT_LIFE_BY_TIME] = PMT_HELD_BY_TIME};
    const pmt_space_t *space = context;
    const pmt_owner_t *owner = pmt_space_owner(space, tagged);
    enum pmt_life_how_e how = pmt_life_how(&(pmt_life_t){.owner = tagged});
    if (how == PMT_LIFE_ASKED) {
        return 0;
    }
    return pmt_owners_live(space->all, pmt_untag(tagged), owner->node == UINT32_MAX ? owner->place : held_by[how], birth, death, (int64_t)pages);
}

static int
live(pmt_space_t *space, const pmt_life_t *life, uint64_t death)
{
    return pmt_space_live(space, life->owner, life->birth, death, life->pages);
}

int
pmt_space_miss(pmt_space_t *space, const pmt_life_t *life, uint64_t looked, bool again)
{
    uint64_t turn = pmt_space_turn(pmt_space_owner(space, life->owner), pmt_life_how(life));
    if (pmt_life_how(life) == PMT_LIFE_ASKED) {
        return 0;
    }
    int err = pmt_gone_add(&space->gone, &(pmt_gone_life_t){life->birth, life->pages, looked, turn, life->owner, again});
    return err || space->gone.count < PMT_GONE_MAX ? err : pmt_gone_settle(&space->gone, 0, 0, pmt_space_live, space);
}

int
pmt_space_end_life(void *context, const pmt_chunk_t *chunk, const pmt_life_t *life)
{
    const pmt_ending_t *ending = context;
    pmt_space_t *space = ending->space;
    (void)chunk;
    pmt_space_count(space, life, false);
    if (ending->how == PMT_CAME_AGAIN && pmt_space_is_nobodys(space, life)) {  // it came in with that fault
        bool unpaid = space->kind && life->birth == space->time;
        space->orphans -= unpaid ? life->pages : 0;
        return unpaid ? 0 : live(space, life, ending->time);
    }
    return ending->how == PMT_ENDS_THEN ? live(space, life, ending->time) : pmt_space_miss(space, life, ending->time, ending->how == PMT_CAME_AGAIN);
}

static int
settle(pmt_ending_t ending, uint64_t first, uint64_t pages, uint32_t owner, uint64_t birth)
{
    pmt_space_t *space = ending.space;
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

int
pmt_space_settle(pmt_space_t *space, uint64_t time, uint64_t first, uint64_t pages, uint32_t owner, uint64_t birth)
{
    return settle((pmt_ending_t){space, time, PMT_ENDS_THEN}, first, pages, owner, birth);
}

int
pmt_space_come_in(pmt_space_t *space, uint64_t time, uint64_t first, uint64_t pages, uint32_t owner)
{
    return settle((pmt_ending_t){space, time, PMT_CAME_AGAIN}, first, pages, owner, time);
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

// ---- RSS at moments ----

// A fault tells of a rise by the number itself, read then: it is later than the last reading, and may be in that already.
static int64_t
rss_now(const pmt_space_t *space)
{
    uint64_t pages = space->risen > space->early ? space->risen - space->early : 0;
    uint64_t room = space->peak > space->rss.rss ? (uint64_t)space->peak - (uint64_t)space->rss.rss : 0, size = space->all->page_size;
    return (int64_t)((uint64_t)space->rss.rss + (pages < room / size ? pages * size : room));
}

// The moments before `time` have what is known by now, if the process was there.
static void
tell_rss(pmt_space_t *space, uint64_t time)
{
    for (; space->moment < space->all->time_count && space->all->times[space->moment] < time; space->moment++) {
        pmt_held_t *held = pmt_owners_held(space->all, space->moment, space->process);
        held->has_rss = space->rss.has_rss && space->all->times[space->moment] >= space->start;
        held->rss = rss_now(space);
    }
}

// ---- faults and moves ----

// A fault that raised nothing: it mapped the zero page, or copied a page that was there. An anonymous page from before the start is its own from now on; one that nobody has may
// be found to be there.
static int
touch_quietly(pmt_space_t *space, const pmt_touch_t *touch)
{
    const pmt_life_t *life = pmt_space_life(space, touch->page);
    enum pmt_life_how_e how = PMT_LIFE_ASKED;
    if (life && pmt_life_how(life) != PMT_LIFE_ASKED) {
        const pmt_owner_t *owner = pmt_space_owner(space, life->owner);
        if (owner->node != UINT32_MAX || owner->place != PMT_HELD_BEFORE || owner->mapped) {
            return 0;
        }
        how = PMT_LIFE_EXACT;
    }
    return pmt_space_settle(space, touch->time, touch->page, 1, pmt_tag(touch->owner, how), touch->time);
}

// A process may run before it has been looked at for the first time: what that finds around a fault may have come in with it. How many pages is added to `given`.
static int
found_too_early(pmt_space_t *space, const pmt_touch_t *touch, int64_t *given)
{
    unsigned bits = pmt_window_bits(touch->rise);
    uint64_t first = touch->page & ~((UINT64_C(1) << bits) - 1), end = first + (UINT64_C(1) << bits), most = touch->rise - 1 - (uint64_t)*given;
    int err = 0;
    for (uint64_t page = first; page < end && most && !err; page++) {
        const pmt_life_t *life = pmt_space_life(space, page);
        const pmt_owner_t *owner = life && pmt_life_how(life) != PMT_LIFE_ASKED ? pmt_space_owner(space, life->owner) : NULL;
        if (owner && owner->node == UINT32_MAX && owner->place == PMT_HELD_BEFORE) {
            err = pmt_space_settle(space, touch->time, page, 1, pmt_tag(touch->owner, PMT_LIFE_EXACT), touch->time);
            most--;
            ++*given;
        }
    }
    return err;
}

// What RSS had more than was known is this one's, also what has gone again.
static int
tell_of_readings(pmt_space_t *space, uint32_t owner, uint64_t time)
{
    int err = 0;
    for (uint32_t i = 0; i < space->untold_count && !err; i++) {
        uint64_t until = i + 1 < space->untold_count ? space->untold[i + 1].time : time;
        err = pmt_space_live(space, pmt_tag(owner, PMT_LIFE_BY_TIME), space->untold[i].time, until, space->untold[i].pages);
    }
    space->untold_count = 0;
    return err;
}

static int
bring_in(pmt_space_t *space, const pmt_touch_t *touch)
{
    uint32_t owner = pmt_tag(touch->owner, PMT_LIFE_EXACT);
    int err;
    if (!touch->placed) {
        return pmt_credits_lend(&space->credits, touch->owner, touch->time, touch->rise);
    }
    if (touch->rise == 0) {
        pmt_space_stride_quietly(space, touch);
        return touch_quietly(space, touch);
    }
    if (!touch->alone && touch->rise >= PMT_CHUNK_PAGES) {
        uint64_t first = touch->page & ~(uint64_t)(PMT_CHUNK_PAGES - 1);
        err = pmt_space_come_in(space, touch->time, first, PMT_CHUNK_PAGES, owner);
        return err ? err : pmt_credits_lend(&space->credits, touch->owner, touch->time, touch->rise - PMT_CHUNK_PAGES);
    }
    int64_t given = pmt_space_stride(space, touch);
    err = given < 0 ? (int)given : pmt_space_come_in(space, touch->time, touch->page, 1, owner);
    err = err || touch->faults < 2 ? err : pmt_space_tell(space);
    if (!err && !touch->alone && touch->rise > 1) {
        err = pmt_windows_add(&space->windows, touch->page, touch->rise, touch->owner, touch->time);
        err = err || space->kind != PMT_SNAPSHOT_START ? err : found_too_early(space, touch, &given);
    }
    uint64_t rest = touch->rise - 1 - (uint64_t)given;
    return err ? err : pmt_credits_lend(&space->credits, touch->owner, touch->time, rest > space->told ? rest - space->told : 0);
}

int
pmt_space_touch(pmt_space_t *space, const pmt_touch_t *touch)
{
    int err = pmt_space_begin_looking(space);
    tell_rss(space, touch->time);
    space->risen += touch->rise;
    if (!err && touch->faults > 1) {  // it came in before this one of several faults
        err = tell_of_readings(space, touch->owner, touch->time);
    }
    space->untold_count = 0;
    space->faults = touch->faults;
    space->told = 0;
    space->last = touch->owner;
    return err ? err : bring_in(space, touch);
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
    pmt_ending_t ending = {space, time, PMT_ENDS_THEN};
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

static int
add_over(pmt_over_t **list, uint32_t *count, uint32_t *room, pmt_over_t over)
{
    if (*count == PMT_OVERS_MAX) {
        (*list)[0] = (*list)[PMT_OVERS_MAX - 1];
        *count = 1;
    }
    int err = pmt_array_room(list, *count, room, sizeof **list);
    if (!err) {
        (*list)[(*count)++] = over;
    }
    return err;
}

// What is known to be there without room in RSS has gone, though nobody saw what.
static int
note_ebb(pmt_space_t *space, uint64_t time, uint64_t pages)
{
    uint64_t all = space->pages + space->credits.pages, most = pages + space->lag;
    uint64_t twice = space->orphans + space->debt, known = all > twice ? all - twice : 0;
    uint64_t more = pages > known ? pages - known : 0, hidden = space->counted && space->faults > 1 && !space->lag ? more : 0;
    space->early = more;
    int err = add_over(&space->overs, &space->over_count, &space->over_room, (pmt_over_t){time, known > pages ? known - pages : 0});
    if (!err && hidden != (space->untold_count ? space->untold[space->untold_count - 1].pages : 0)) {
        err = add_over(&space->untold, &space->untold_count, &space->untold_room, (pmt_over_t){time, hidden});
    }
    if (err) {
        return err;
    }
    return pmt_gone_ebb(&space->gone, time, (int64_t)(known + hidden - most));
}

int
pmt_space_rss(pmt_space_t *space, uint64_t time, int64_t bytes)
{
    pmt_held_t reading = {.has_rss = true, .rss = bytes};
    int err = pmt_space_begin_looking(space);
    if (!space->rss.has_rss) {
        space->rss = reading;  // nothing earlier is known
    }
    tell_rss(space, time);
    space->fell = bytes < space->rss.rss ? time : space->fell;
    space->rss = reading;
    space->early = space->risen = 0;
    return err || bytes < 0 ? err : note_ebb(space, time, (uint64_t)bytes / space->all->page_size);
}

// ---- the end ----

// What came in after the last signal, one of several faults, is its owner's: no later one tells of it.
static int
tell_of_rest(pmt_space_t *space, uint64_t time)
{
    int err = space->faults > 1 ? tell_of_readings(space, space->last, time) : 0;
    err = err || space->faults < 2 ? err : pmt_space_tell(space);
    space->faults = 0;
    return err;
}

int
pmt_space_end(pmt_space_t *space, uint64_t time)
{
    int err = space->kind ? pmt_gone_settle(&space->gone, space->since, space->time, pmt_space_live, space) : 0;
    err = err ? err : tell_of_rest(space, time);
    err = err ? err : pmt_space_end_credits(space, UINT64_MAX, time);
    err = err ? err : pmt_gone_settle(&space->gone, time, time, pmt_space_live, space);
    for (uint32_t i = 0; i < space->map.count && !err; i++) {
        const pmt_chunk_t *chunk = &space->map.chunks[i];
        for (uint32_t k = 0; k < chunk->count && !err; k++) {
            err = live(space, &chunk->lives[k], time);
        }
    }
    pmt_page_map_fini(&space->map);
    space->pages = 0;
    if (time == UINT64_MAX) {
        tell_rss(space, UINT64_MAX);
    }
    return err;
}
