// One process's memory during the replay of ownership (owners.h): its page map, the credit of its owners, and the snapshot being taken. The rules of
// docs/format.md's residency records are here; owners.c brings the events in order.
#pragma once

#include "analyze/owners.h"
#include "analyze/page_map.h"

// Pages that came with a fault at `page`, besides that one.
typedef struct pmt_credit_s {
    uint64_t page, birth;
    uint32_t owner, rise;
    uint64_t pages;  // left of them
} pmt_credit_t;

typedef struct pmt_mapping_s {
    uint64_t first, end;
    uint32_t kind;  // pmt_region_e
} pmt_mapping_t;

typedef struct pmt_space_s {
    pmt_owners_t *all;
    uint32_t process;
    pmt_page_map_t map;
    pmt_credit_t *credits;
    uint32_t credit_count, credit_room;
    uint32_t sorted;          // of them, by place, for the snapshot being taken
    pmt_mapping_t *mappings;  // of the snapshot being taken
    uint32_t mapping_count, mapping_room;
    bool looking;             // all of them are known and sorted, as is the credit
    unsigned kind;            // of the snapshot, 0: none is being taken
    uint64_t time, since;     // of the snapshot
    uint64_t last;            // time of the one before
    uint64_t announced;       // time of the last SNAPSHOT read: REGIONs have none of their own
    uint32_t moment;          // the first that is later than the last reading of RSS
    pmt_held_t rss;           // that reading
} pmt_space_t;

typedef struct pmt_touch_s {
    uint64_t time, page, rise;
    uint32_t owner;
    bool placed;  // the address is one, and the fault brought in its own page
    bool whole;   // and all that it brought in is one block of that many pages
} pmt_touch_t;

void pmt_space_init(pmt_space_t *space, pmt_owners_t *all, uint32_t process);
void pmt_space_fini(pmt_space_t *space);
int pmt_space_touch(pmt_space_t *space, const pmt_touch_t *touch);
int pmt_space_move(pmt_space_t *space, uint64_t time, uint64_t from, uint64_t to, uint64_t pages);
void pmt_space_rss(pmt_space_t *space, uint64_t time, int64_t bytes);
void pmt_space_snapshot(pmt_space_t *space, uint64_t time, unsigned kind, uint64_t since);
int pmt_space_mapping(pmt_space_t *space, uint64_t first, uint64_t pages, unsigned kind);
// A run of pages looked at at `time`.
int pmt_space_found(pmt_space_t *space, uint64_t time, uint64_t first, uint64_t pages, unsigned state);
int pmt_space_snapshot_end(pmt_space_t *space, bool whole);
// The process is gone, or the trace ends (`time` UINT64_MAX): all lives end.
int pmt_space_end(pmt_space_t *space, uint64_t time);

// Pages of an owner from birth up to (not with) death.
int pmt_owners_live(pmt_owners_t *owners, uint32_t owner, unsigned held, uint64_t birth, uint64_t death, int64_t pages);
