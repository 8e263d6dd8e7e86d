// The page map (page_map.h).
#include "analyze/page_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

static uint32_t
slot_of(const pmt_page_map_t *map, uint64_t number)
{
    uint32_t at = (uint32_t)((number * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (map->slot_count - 1);
    while (map->slots[at] && map->chunks[map->slots[at] - 1].number != number) {
        at = (at + 1) & (map->slot_count - 1);
    }
    return at;
}

// Keeps the slots at most half full.
static int
grow_slots(pmt_page_map_t *map)
{
    if (2 * (map->count + 1) <= map->slot_count) {
        return 0;
    }
    uint32_t count = map->slot_count ? 2 * map->slot_count : 64;
    uint32_t *slots = calloc(count, sizeof *slots);
    if (!slots) {
        return -ENOMEM;
    }
    free(map->slots);
    map->slots = slots;
    map->slot_count = count;
    for (uint32_t i = 0; i < map->count; i++) {
        map->slots[slot_of(map, map->chunks[i].number)] = i + 1;
    }
    return 0;
}

void
pmt_page_map_init(pmt_page_map_t *map)
{
    *map = (pmt_page_map_t){0};
}

void
pmt_page_map_fini(pmt_page_map_t *map)
{
    for (uint32_t i = 0; i < map->count; i++) {
        free(map->chunks[i].lives);
    }
    free(map->chunks);
    free(map->slots);
    *map = (pmt_page_map_t){0};
}

static int
by_number(const void *a, const void *b)
{
    const pmt_chunk_t *x = *(const pmt_chunk_t *const *)a, *y = *(const pmt_chunk_t *const *)b;
    return x->number < y->number ? -1 : x->number > y->number;
}

pmt_chunk_t **
pmt_page_map_sorted(const pmt_page_map_t *map)
{
    pmt_chunk_t **chunks = calloc(map->count + 1, sizeof(pmt_chunk_t *));
    if (chunks) {
        for (uint32_t i = 0; i < map->count; i++) {
            chunks[i] = &map->chunks[i];
        }
        qsort(chunks, map->count, sizeof *chunks, by_number);
    }
    return chunks;
}

pmt_chunk_t *
pmt_page_map_find(const pmt_page_map_t *map, uint64_t number)
{
    uint32_t place = map->slot_count ? map->slots[slot_of(map, number)] : 0;
    return place ? &map->chunks[place - 1] : NULL;
}

pmt_chunk_t *
pmt_page_map_make(pmt_page_map_t *map, uint64_t number)
{
    pmt_chunk_t *found = pmt_page_map_find(map, number);
    if (found) {
        return found;
    }
    if (map->count >= PMT_CHUNKS_MAX || grow_slots(map) < 0 || pmt_array_room(&map->chunks, map->count, &map->room, sizeof *map->chunks) < 0) {
        return NULL;
    }
    map->chunks[map->count] = (pmt_chunk_t){.number = number};
    map->slots[slot_of(map, number)] = ++map->count;
    return &map->chunks[map->count - 1];
}

uint32_t
pmt_chunk_search(const pmt_chunk_t *chunk, uint32_t page)
{
    // A life has a page at least: no more than `page` lie before, no more than there are pages left from there on.
    uint32_t left = page < PMT_CHUNK_PAGES ? PMT_CHUNK_PAGES - page : 0, low = chunk->count > left ? chunk->count - left : 0;
    uint32_t high = page < chunk->count ? page : chunk->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const pmt_life_t *life = &chunk->lives[middle];
        if ((uint32_t)life->first + life->pages <= page) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int
room_for(pmt_chunk_t *chunk, uint32_t count)
{
    uint32_t room = chunk->room;
    while (room < count) {
        room = room ? 2 * room : 1;
    }
    if (room == chunk->room) {
        return 0;
    }
    pmt_life_t *lives = realloc(chunk->lives, room * sizeof *lives);
    if (!lives) {
        return -ENOMEM;
    }
    chunk->lives = lives;
    chunk->room = (uint16_t)room;
    return 0;
}

// The part of a life within [from, to).
static pmt_life_t
part(const pmt_life_t *life, uint32_t from, uint32_t to)
{
    uint32_t first = life->first > from ? life->first : from, end = (uint32_t)life->first + life->pages;
    end = end < to ? end : to;
    return (pmt_life_t){life->birth, life->owner, (uint16_t)first, (uint16_t)(end > first ? end - first : 0)};
}

// Sets or clears the bits of [from, to).
static void
mark(pmt_chunk_t *chunk, uint32_t from, uint32_t to, bool there)
{
    while (from < to) {
        uint32_t word = from / 64, end = (word + 1) * 64 < to ? (word + 1) * 64 : to;
        uint64_t bits = end - from == 64 ? UINT64_MAX : ((UINT64_C(1) << (end - from)) - 1) << from % 64;
        chunk->there[word] = there ? chunk->there[word] | bits : chunk->there[word] & ~bits;
        from = end;
    }
}

uint32_t
pmt_chunk_next(const pmt_chunk_t *chunk, uint32_t page, bool there)
{
    for (uint32_t word = page / 64; word < PMT_CHUNK_PAGES / 64; word++) {
        uint64_t bits = there ? chunk->there[word] : ~chunk->there[word];
        bits &= word == page / 64 ? UINT64_MAX << page % 64 : UINT64_MAX;
        if (bits) {
            return word * 64 + (uint32_t)__builtin_ctzll(bits);
        }
    }
    return PMT_CHUNK_PAGES;
}

// Memory is mostly touched upwards: behind all that is there.
static int
put_last(pmt_chunk_t *chunk, const pmt_life_t *life)
{
    if (room_for(chunk, chunk->count + 1u) < 0) {
        return -ENOMEM;
    }
    chunk->lives[chunk->count++] = *life;
    mark(chunk, life->first, (uint32_t)life->first + life->pages, pmt_life_how(life) != PMT_LIFE_ASKED);
    return 0;
}

// Takes [from, to) from the lives there and puts `life` into it, if there is one.
static int
replace(pmt_chunk_t *chunk, uint32_t from, uint32_t to, const pmt_life_t *life, pmt_page_map_taken_t taken, void *context)
{
    uint32_t low = pmt_chunk_search(chunk, from), high = low, count = 0;
    pmt_life_t pieces[3];
    for (; high < chunk->count && chunk->lives[high].first < to; high++) {
        pmt_life_t gone = part(&chunk->lives[high], from, to);
        int err = taken(context, chunk, &gone);
        if (err) {
            return err;
        }
    }
    if (high > low) {
        pieces[0] = part(&chunk->lives[low], 0, from);
        count += pieces[0].pages > 0;
    }
    if (life) {
        pieces[count++] = *life;
    }
    if (high > low) {
        pieces[count] = part(&chunk->lives[high - 1], to, PMT_CHUNK_PAGES);
        count += pieces[count].pages > 0;
    }
    if (room_for(chunk, chunk->count - (high - low) + count) < 0) {
        return -ENOMEM;  // the caller gives up
    }
    if (chunk->count > high) {
        memmove(chunk->lives + low + count, chunk->lives + high, (chunk->count - high) * sizeof *chunk->lives);
    }
    if (count) {
        memcpy(chunk->lives + low, pieces, count * sizeof *pieces);
    }
    chunk->count = (uint16_t)(chunk->count - (high - low) + count);
    mark(chunk, from, to, life && pmt_life_how(life) != PMT_LIFE_ASKED);
    return 0;
}

int
pmt_page_map_put(pmt_chunk_t *chunk, const pmt_life_t *life, pmt_page_map_taken_t taken, void *context)
{
    const pmt_life_t *last = chunk->count ? &chunk->lives[chunk->count - 1] : NULL;
    if (!last || (uint32_t)last->first + last->pages <= life->first) {
        return put_last(chunk, life);
    }
    return replace(chunk, life->first, (uint32_t)life->first + life->pages, life, taken, context);
}

int
pmt_page_map_clear(pmt_chunk_t *chunk, uint32_t first, uint32_t pages, pmt_page_map_taken_t taken, void *context)
{
    return replace(chunk, first, first + pages, NULL, taken, context);
}

void
pmt_page_map_answer(pmt_chunk_t *chunk, uint32_t first, uint32_t pages, void (*found)(void *context, const pmt_life_t *life), void *context)
{
    for (uint32_t i = pmt_chunk_search(chunk, first); i < chunk->count && chunk->lives[i].first < first + pages; i++) {
        pmt_life_t *life = &chunk->lives[i];
        if (pmt_life_how(life) == PMT_LIFE_ASKED) {
            life->owner = life->owner >> PMT_LIFE_HOW_BITS << PMT_LIFE_HOW_BITS | PMT_LIFE_EXACT;
            mark(chunk, life->first, (uint32_t)life->first + life->pages, true);
            found(context, life);
        }
    }
}
