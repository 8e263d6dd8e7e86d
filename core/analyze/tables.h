// The tables of a report, made from a profile: frames with names and lines, the call tree, and self and total by line, function and file.
#pragma once

#include "analyze/profile.h"

// A frame as reports show it. Also the key of "by function" (line 0) and "by file" (only the file).
typedef struct pmt_frame_name_s {
    uint32_t file, name;  // texts
    uint32_t first_line, line;
} pmt_frame_name_t;

typedef struct pmt_row_s {
    pmt_frame_name_t key;
    pmt_weight_t self;
    uint64_t total;  // pages; a key counts once a stack however often it recurs
    uint32_t active; // of the walk
} pmt_row_t;

typedef struct pmt_tree_node_s {
    uint32_t parent;  // UINT32_MAX: the root
    uint32_t frame;   // row of `lines`; UINT32_MAX: the root
    pmt_weight_t self;
    uint64_t total;   // pages
} pmt_tree_node_t;
enum { PMT_TREE_KEY = 8 };

typedef struct pmt_tables_s {
    pmt_table_t lines, functions, files;  // pmt_row_t
    pmt_table_t tree;                     // pmt_tree_node_t; parents stand before children, 0 is the root
    uint32_t *tree_of;                    // number in the profile's nodes -> in `tree`
} pmt_tables_t;

int pmt_tables_build(pmt_tables_t *tables, pmt_profile_t *profile);  // 0 or -ENOMEM
void pmt_tables_fini(pmt_tables_t *tables);
