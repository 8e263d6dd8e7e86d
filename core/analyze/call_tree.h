// The exact call tree of a trace with events: a node is a function below the function that called it. Fed like calls.h; bounded by its number of nodes.
#pragma once

#include "analyze/names.h"
#include "analyze/stacks.h"
#include "format/events.h"

typedef struct pmt_call_node_s {
    uint32_t parent, process, code;  // parent: UINT32_MAX: none (the root, node 0). Parents stand before children
    uint32_t recent;                 // the child that was called last; 0: none
    uint64_t calls;
    uint64_t time;             // ns, with all that it called, like the others
    uint64_t growth, release;  // pages
    uint64_t touched;          // pages
} pmt_call_node_t;
enum { PMT_CALL_NODE_KEY = 12 };
#define PMT_CALL_THREAD UINT32_MAX

typedef struct pmt_call_tree_s {
    pmt_table_t nodes;  // pmt_call_node_t
    uint32_t nodes_max;
    bool by_thread;     // set before the first event: below the root is a node for each thread, its number in the place of the process, PMT_CALL_THREAD for the code
    uint64_t left_out;  // calls that have no node: they count for the innermost caller that has one
    pmt_stacks_t stacks;
} pmt_call_tree_t;

int pmt_call_tree_init(pmt_call_tree_t *tree, uint32_t nodes_max);  // 0 or -ENOMEM
void pmt_call_tree_fini(pmt_call_tree_t *tree);
int pmt_call_tree_add_thread(pmt_call_tree_t *tree, uint32_t process, bool idle);
int pmt_call_tree_events(pmt_call_tree_t *tree, uint32_t thread, const pmt_trace_event_t *events, uint32_t count);
void pmt_call_tree_fault(pmt_call_tree_t *tree, uint32_t thread, uint64_t pages, int64_t rss);
// There are no more events: what is open ends; the root gets the sums of its children.
void pmt_call_tree_end(pmt_call_tree_t *tree);
