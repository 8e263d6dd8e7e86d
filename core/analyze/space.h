// One process's memory during the replay of ownership (owners.h): its page map, the credit of its owners, and the snapshot being taken. The rules of
// docs/format.md's residency records are here and, what a snapshot finds, in found.c; owners.c brings the events in order.
#pragma once

#include "analyze/credit.h"
#include "analyze/gone.h"
#include "analyze/owners.h"
#include "analyze/page_map.h"
#include "analyze/windows.h"

#define PMT_FOUND_MAX ((uint64_t)PMT_CHUNKS_MAX << PMT_CHUNK_BITS)  // pages of a run: a map has no more

typedef struct pmt_mapping_s {
    uint64_t first, end;
    uint32_t kind;  // pmt_region_e
} pmt_mapping_t;

// Pages that a snapshot found.
typedef struct pmt_found_s {
    uint64_t first, end;
    unsigned state;  // pmt_resident_e
} pmt_found_t;

typedef struct pmt_found_list_s {
    pmt_found_t *list;
    uint32_t count, room;
} pmt_found_list_t;

// Pages that a snapshot found and gave away without credit of their owner's.
typedef struct pmt_unpaid_s {
    uint64_t first, end, birth;
    uint32_t owner;  // tagged
} pmt_unpaid_t;

// A reading of RSS, and by how many pages it differs from what was known then.
typedef struct pmt_over_s {
    uint64_t time, pages;
} pmt_over_t;
enum { PMT_OVERS_MAX = 1 << 16 };  // then only the last is kept

typedef struct pmt_space_s {
    pmt_owners_t *all;
    uint32_t process;
    uint64_t start;             // of the process
    uint64_t lag;               // pages: so far RSS may be from the truth
    uint64_t pages;             // that have a life
    pmt_page_map_t map;
    pmt_credits_t credits;
    pmt_windows_t windows;
    pmt_gone_t gone;
    pmt_mapping_t *mappings;    // of the snapshot being taken
    uint32_t mapping_count, mapping_room;
    pmt_found_list_t piece;     // found in the piece being looked at
    pmt_unpaid_t *unpaid;       // found in this snapshot: without neighbours, so nobody's, or a neighbour's that has no credit
    uint32_t unpaid_count, unpaid_room;
    pmt_unpaid_t *nobodys;      // what snapshots found, and no fault has told of since
    uint32_t nobody_count, nobody_room;
    uint64_t orphans;           // the anonymous pages of these that are nobody's
    uint64_t debt;              // pages found in it for which their owners had no credit: others' brought them in
    bool counted;               // a snapshot has said what was there before
    uint64_t faults;            // for which the last fault stood
    uint64_t told;              // pages of snapshots that it told of
    uint32_t last;              // its owner
    bool has_reach;             // one did since the trace began
    pmt_over_t *untold;         // since the last fault: from a reading on RSS had so many pages more than were known
    uint32_t untold_count, untold_room;
    pmt_over_t *overs;          // since the last snapshot
    uint32_t over_count, over_room;
    int64_t peak;               // bytes: RSS was never higher
    uint64_t fell;              // when RSS was last seen to have fallen; 0: it never was
    bool looking;               // all of its mappings are known
    bool whole;                 // it looks at everything
    unsigned kind;              // of the snapshot, 0: none is being taken
    uint64_t time, since;       // of the snapshot
    uint64_t announced;         // time of the last SNAPSHOT read: REGIONs have none of their own
    uint32_t moment;            // the first that is later than the last reading of RSS
    pmt_held_t rss;             // that reading
    uint64_t early, risen;      // pages: in that reading before a fault told of them; by what faults have told of since
} pmt_space_t;

typedef struct pmt_touch_s {
    uint64_t time, page, rise;
    uint32_t owner;
    bool placed;   // the address is one
    bool alone;    // what it brought in is not all around it: it stands for several faults, or came by time
    uint64_t faults;  // for which it stands
} pmt_touch_t;

void pmt_space_init(pmt_space_t *space, pmt_owners_t *all, uint32_t process, uint64_t start, int64_t peak, uint64_t lag);
void pmt_space_fini(pmt_space_t *space);
int pmt_space_touch(pmt_space_t *space, const pmt_touch_t *touch);
int pmt_space_move(pmt_space_t *space, uint64_t time, uint64_t from, uint64_t to, uint64_t pages);
// A reading of RSS. What is known and has no room in it has gone: what was given back in small pieces leaves no other trace before the next snapshot.
int pmt_space_rss(pmt_space_t *space, uint64_t time, int64_t bytes);
// The process is gone, or the trace ends (`time` UINT64_MAX): all lives end.
int pmt_space_end(pmt_space_t *space, uint64_t time);

void pmt_space_snapshot(pmt_space_t *space, uint64_t time, unsigned kind, uint64_t since, bool whole);
int pmt_space_mapping(pmt_space_t *space, uint64_t first, uint64_t pages, unsigned kind);
// A run of pages looked at at `time`, one of a piece; then the piece is over.
int pmt_space_found(pmt_space_t *space, uint64_t time, uint64_t first, uint64_t pages, unsigned state);
int pmt_space_looked(pmt_space_t *space);
int pmt_space_snapshot_end(pmt_space_t *space, uint64_t time);

// Pages of an owner from birth up to (not with) death.
int pmt_owners_live(pmt_owners_t *owners, uint32_t owner, unsigned held, uint64_t birth, uint64_t death, int64_t pages);
