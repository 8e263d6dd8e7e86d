// What space.c and found.c share.
#pragma once

#include "analyze/space.h"

typedef struct pmt_ending_s {
    pmt_space_t *space;
    uint64_t since;  // a life ended then,
    uint64_t time;   // or, if it was born later, at this time
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

// Takes a life that made room. For pmt_page_map_put and _clear; the context is a pmt_ending_t.
int pmt_space_end_life(void *ending, const pmt_chunk_t *chunk, const pmt_life_t *life);

// Gives [first, first + pages) to an owner (tagged) from `birth` on; what was there ended at `time`. Beyond what a map may have nothing is kept.
int pmt_space_settle(pmt_space_t *space, uint64_t time, uint64_t first, uint64_t pages, uint32_t owner, uint64_t birth);

// The life of a page, asked for or real; NULL: none.
const pmt_life_t *pmt_space_life(const pmt_space_t *space, uint64_t page);

typedef int (*pmt_on_chunk_t)(pmt_space_t *space, pmt_chunk_t *chunk, uint32_t first, uint32_t pages, void *context);
// The chunks that have lives in [first, first + pages), each with the part of it that is meant.
int pmt_space_each_chunk(pmt_space_t *space, uint64_t first, uint64_t pages, pmt_on_chunk_t on_chunk, void *context);
// For each chunk: ends what is there. The context is a pmt_ending_t.
int pmt_space_end_pages(pmt_space_t *space, pmt_chunk_t *chunk, uint32_t first, uint32_t pages, void *ending);

// Once all mappings of the snapshot are known, and before anything later happens: nothing is there outside them.
int pmt_space_begin_looking(pmt_space_t *space);

// What was in doubt has gone.
int pmt_space_end_doubts(pmt_space_t *space);
