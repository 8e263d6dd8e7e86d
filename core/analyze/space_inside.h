// What space.c and found.c share.
#pragma once

#include "analyze/space.h"

typedef struct pmt_gap_s {
    uint64_t first, end;  // pages
} pmt_gap_t;

typedef struct pmt_ending_s {
    pmt_space_t *space;
    uint64_t time;
    // Then; or before, so that it is put to the others of space->gone; or before, as a fault is told that brought in the same page.
    enum pmt_ending_e { PMT_ENDS_THEN, PMT_ENDED_BEFORE, PMT_CAME_AGAIN } how;
} pmt_ending_t;

static inline uint32_t
pmt_tag(uint32_t owner, enum pmt_life_how_e how)
{
    return owner << PMT_LIFE_HOW_BITS | how;
}

static inline uint32_t
pmt_untag(uint32_t tagged)
{
    return tagged >> PMT_LIFE_HOW_BITS;
}

static inline void
pmt_space_count(pmt_space_t *space, const pmt_life_t *life, bool comes)
{
    uint64_t pages = pmt_life_how(life) == PMT_LIFE_ASKED ? 0 : life->pages;
    space->pages += comes ? pages : 0 - pages;
}

static inline pmt_owner_t *
pmt_space_owner(const pmt_space_t *space, uint32_t tagged)
{
    return pmt_table_at(&space->all->owners, pmt_untag(tagged));
}

// A snapshot found the page, and there was no stack for it.
static inline bool
pmt_space_is_nobodys(const pmt_space_t *space, const pmt_life_t *life)
{
    const pmt_owner_t *owner = pmt_space_owner(space, life->owner);
    return owner->node == UINT32_MAX && owner->place == PMT_HELD_KERNEL;
}

// Pages of an owner (tagged) lived. The context is a pmt_space_t.
int pmt_space_live(void *space, uint32_t owner, uint64_t birth, uint64_t death, uint64_t pages);
// Takes a life that made room. For pmt_page_map_put and _clear; the context is a pmt_ending_t.
int pmt_space_end_life(void *ending, const pmt_chunk_t *chunk, const pmt_life_t *life);

// Gives [first, first + pages) to an owner (tagged) from `birth` on; what was there ended at `time`. Beyond what a map may have nothing is kept.
int pmt_space_settle(pmt_space_t *space, uint64_t time, uint64_t first, uint64_t pages, uint32_t owner, uint64_t birth);
// The same of pages that came in at `time`: what was there had been given back by then.
int pmt_space_come_in(pmt_space_t *space, uint64_t time, uint64_t first, uint64_t pages, uint32_t owner);

// The life of a page, asked for or real; NULL: none.
const pmt_life_t *pmt_space_life(const pmt_space_t *space, uint64_t page);

typedef int (*pmt_on_chunk_t)(pmt_space_t *space, pmt_chunk_t *chunk, uint32_t first, uint32_t pages, void *context);
// The chunks that have lives in [first, first + pages), each with the part of it that is meant.
int pmt_space_each_chunk(pmt_space_t *space, uint64_t first, uint64_t pages, pmt_on_chunk_t on_chunk, void *context);

// The turn of an owner's lives among those of one birth: threads on two CPUs may fault in the same ns.
static inline uint64_t
pmt_space_turn(const pmt_owner_t *owner, unsigned how)
{
    return owner->node == UINT32_MAX ? owner->place : (uint64_t)(PMT_HELD_COUNT + how) << 32 | owner->thread;
}

// For each chunk: ends what is there. The context is a pmt_ending_t.
int pmt_space_end_pages(pmt_space_t *space, pmt_chunk_t *chunk, uint32_t first, uint32_t pages, void *ending);

// Gives a fault that stands for several the pages of the others, where these can be told (stride.c); how many were given.
int64_t pmt_space_stride(pmt_space_t *space, const pmt_touch_t *touch);
// Gives the last fault, which stands for several, what snapshots found and nobody told of, the last first: it tells of what came in before, as far as so many can have.
int pmt_space_tell(pmt_space_t *space);
// A fault without a rise.
void pmt_space_stride_quietly(pmt_space_t *space, const pmt_touch_t *touch);
// Uses up an owner's credit for pages that came in at `birth`, whenever RSS told of them. For how many there was some.
uint64_t pmt_space_spend(pmt_space_t *space, uint32_t owner, uint64_t birth, uint64_t pages);
// At the end of a snapshot: owners with credit left over take what lies between two of their pages and has been there for longer than both.
int pmt_space_between(pmt_space_t *space);

// At the end of a snapshot: what it found alone goes to the owners next to it, as far as they have credit (nearest.c).
int pmt_space_nearest(pmt_space_t *space);

// A life that was over at `looked`, and is not counted any more: among the others of space->gone.
int pmt_space_miss(pmt_space_t *space, const pmt_life_t *life, uint64_t looked, bool again);
// Credit born up to `limit` that no found pages have used up is gone, the same.
int pmt_space_end_credits(pmt_space_t *space, uint64_t limit, uint64_t looked);

// Takes from the front of `rest` what lies in one mapping of the snapshot, or in none (NULL). False: nothing is left.
bool pmt_space_next_part(const pmt_space_t *space, pmt_gap_t *rest, pmt_gap_t *part, const pmt_mapping_t **mapping);

// Once all mappings of the snapshot are known, and before anything later happens: nothing is there outside them.
int pmt_space_begin_looking(pmt_space_t *space);
