// Which life each resident page of a process belongs to: runs of pages with one owner and one birth, in chunks of 2 MiB. Used by the replay of ownership
// (owners.h), one thread. A chunk that one owner touched at once is one run; runs of a chunk are sorted and do not overlap.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { PMT_CHUNK_BITS = 9, PMT_CHUNK_PAGES = 1 << PMT_CHUNK_BITS };
enum { PMT_CHUNKS_MAX = 1 << 20 };  // of one map: 2 TiB; a hostile file names more

// How a page came to its owner. One that is only asked for has no life: a fault was there that raised nothing; if it is found later, it is that one's.
enum pmt_life_how_e { PMT_LIFE_EXACT, PMT_LIFE_FILL, PMT_LIFE_BY_TIME, PMT_LIFE_ASKED, PMT_LIFE_HOW_BITS = 2 };

typedef struct pmt_life_s {
    uint64_t birth;        // ns
    uint32_t owner;        // its number << PMT_LIFE_HOW_BITS | pmt_life_how_e
    uint16_t first, pages; // in its chunk
} pmt_life_t;

typedef struct pmt_chunk_s {
    uint64_t number;       // page >> PMT_CHUNK_BITS
    pmt_life_t *lives;
    uint16_t count, room;
    uint64_t there[PMT_CHUNK_PAGES / 64];  // a bit a page that has a life
} pmt_chunk_t;

static inline enum pmt_life_how_e
pmt_life_how(const pmt_life_t *life)
{
    return (enum pmt_life_how_e)(life->owner & ((1 << PMT_LIFE_HOW_BITS) - 1));
}

typedef struct pmt_page_map_s {
    pmt_chunk_t *chunks;
    uint32_t count, room;
    uint32_t *slots;       // hash of numbers: place in `chunks` + 1, 0: free
    uint32_t slot_count;
} pmt_page_map_t;

void pmt_page_map_init(pmt_page_map_t *map);
void pmt_page_map_fini(pmt_page_map_t *map);

// The chunk, NULL if there is none. Valid until the next `make`.
pmt_chunk_t *pmt_page_map_find(const pmt_page_map_t *map, uint64_t number);
// The same, made if there is none; NULL: no memory, or too many.
pmt_chunk_t *pmt_page_map_make(pmt_page_map_t *map, uint64_t number);

// All chunks in the order of their numbers, to be freed; NULL: no memory. Valid until the next `make`.
pmt_chunk_t **pmt_page_map_sorted(const pmt_page_map_t *map);

// What becomes of the lives that make room, each cut to what is taken from it.
typedef int (*pmt_page_map_taken_t)(void *context, const pmt_chunk_t *chunk, const pmt_life_t *life);

// Puts `life` (all of it in the chunk) in the place of what is there; without one (NULL) clears [first, first + pages). 0, -ENOMEM, or what `taken` returns.
int pmt_page_map_put(pmt_chunk_t *chunk, const pmt_life_t *life, pmt_page_map_taken_t taken, void *context);
int pmt_page_map_clear(pmt_chunk_t *chunk, uint32_t first, uint32_t pages, pmt_page_map_taken_t taken, void *context);

// Makes lives of what is asked for in [first, first + pages). `found` is told of each.
void pmt_page_map_answer(pmt_chunk_t *chunk, uint32_t first, uint32_t pages, void (*found)(void *context, const pmt_life_t *life), void *context);

// The first page from `page` on (of the chunk) whose bit in `there` is `there`, PMT_CHUNK_PAGES if there is none.
uint32_t pmt_chunk_next(const pmt_chunk_t *chunk, uint32_t page, bool there);

// The place in `lives` of the first life that ends behind `page` (of the chunk), `count` if there is none.
uint32_t pmt_chunk_search(const pmt_chunk_t *chunk, uint32_t page);
