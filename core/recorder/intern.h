// Numbers for things that repeat: stacks (a frame below its parent) and native instructions. Fixed memory: a full table starts over, and so do the numbers of
// nodes (NODE_RESET); sites are merely defined again.
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct pmt_nodes_s pmt_nodes_t;

pmt_nodes_t *pmt_nodes_new(void);  // NULL: no memory. 2 MiB, all of it brought in
void pmt_nodes_free(pmt_nodes_t *nodes);
// The number of the frame (code, offset) below `parent` (0: none). *fresh: it is new. 0: the table is full; call pmt_nodes_reset and number the stack again.
uint32_t pmt_nodes_number(pmt_nodes_t *nodes, uint32_t parent, uint32_t code, uint32_t offset, bool *fresh);
void pmt_nodes_reset(pmt_nodes_t *nodes);

typedef struct pmt_sites_s pmt_sites_t;

pmt_sites_t *pmt_sites_new(void);
void pmt_sites_free(pmt_sites_t *sites);
// The number of an instruction of a process, or 0: unknown.
uint32_t pmt_sites_find(const pmt_sites_t *sites, uint32_t process, uint64_t address);
// Takes the next number for it. Not remembered if `keep` is false: it will be asked for again.
uint32_t pmt_sites_add(pmt_sites_t *sites, uint32_t process, uint64_t address, bool keep);
