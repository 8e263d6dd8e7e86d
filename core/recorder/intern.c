// Interning (intern.h): open addressing, linear probing, no deletion.
#include "recorder/intern.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum {
    NODE_SLOTS = 1 << 17,
    NODE_FULL = NODE_SLOTS / 4 * 3,
    SITE_SLOTS = 1 << 14,
    SITE_FULL = SITE_SLOTS / 4 * 3,
};

typedef struct node_s {
    uint32_t parent, code, offset;
    uint32_t number;  // 0: free
} node_t;

struct pmt_nodes_s {
    uint32_t count;
    node_t slots[NODE_SLOTS];
};

typedef struct site_s {
    uint64_t address;
    uint32_t process;
    uint32_t number;  // 0: free
} site_t;

struct pmt_sites_s {
    uint32_t last;  // number given
    uint32_t used;
    site_t slots[SITE_SLOTS];
};

pmt_nodes_t *
pmt_nodes_new(void)
{
    pmt_nodes_t *nodes = malloc(sizeof *nodes);
    if (nodes) {
        pmt_nodes_reset(nodes);  // brings all of it in: the recorder's memory does not grow with the run
    }
    return nodes;
}

void
pmt_nodes_free(pmt_nodes_t *nodes)
{
    free(nodes);
}

uint32_t
pmt_nodes_number(pmt_nodes_t *nodes, uint32_t parent, uint32_t code, uint32_t offset, bool *fresh)
{
    uint64_t hash = pmt_hash_add((uint64_t)parent << 32 | code, offset);
    *fresh = false;
    for (;; hash++) {
        node_t *node = &nodes->slots[hash % NODE_SLOTS];
        if (node->number == 0) {
            if (nodes->count == NODE_FULL) {
                return 0;
            }
            *node = (node_t){parent, code, offset, ++nodes->count};
            *fresh = true;
            return node->number;
        }
        if (node->parent == parent && node->code == code && node->offset == offset) {
            return node->number;
        }
    }
}

void
pmt_nodes_reset(pmt_nodes_t *nodes)
{
    memset(nodes, 0, sizeof *nodes);
}

pmt_sites_t *
pmt_sites_new(void)
{
    return calloc(1, sizeof(pmt_sites_t));
}

void
pmt_sites_free(pmt_sites_t *sites)
{
    free(sites);
}

static site_t *
site_probe(const pmt_sites_t *sites, uint32_t process, uint64_t address)
{
    for (uint64_t hash = pmt_hash_add(address, process);; hash++) {
        const site_t *site = &sites->slots[hash % SITE_SLOTS];
        if (site->number == 0 || (site->address == address && site->process == process)) {
            return (site_t *)site;
        }
    }
}

uint32_t
pmt_sites_find(const pmt_sites_t *sites, uint32_t process, uint64_t address)
{
    return site_probe(sites, process, address)->number;
}

uint32_t
pmt_sites_add(pmt_sites_t *sites, uint32_t process, uint64_t address, bool keep)
{
    uint32_t number = ++sites->last;
    if (keep) {
        if (sites->used == SITE_FULL) {
            memset(sites->slots, 0, sizeof sites->slots);
            sites->used = 0;
        }
        *site_probe(sites, process, address) = (site_t){address, process, number};
        sites->used++;
    }
    return number;
}
