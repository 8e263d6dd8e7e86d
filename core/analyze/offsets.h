// The lines of the instruction offsets at which frames stand. A code object's line table may be huge and have many offsets looked up in it (traces are untrusted): each
// offset is resolved once, and all of a code object's in one pass over its table.
#pragma once

#include "analyze/profile.h"

typedef struct pmt_offset_s {
    uint32_t process, code, offset;
    uint32_t line;  // 0: none known
} pmt_offset_t;
enum { PMT_OFFSET_KEY = 12 };

// Fills `offsets` (an empty table of pmt_offset_t) with those of the profile's nodes. 0 or -ENOMEM.
int pmt_offsets_resolve(pmt_table_t *offsets, const pmt_profile_t *profile);
// The line at which a node's frame stands.
uint32_t pmt_offsets_line(const pmt_table_t *offsets, const pmt_raw_node_t *node);
