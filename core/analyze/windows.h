// Where the pages lie that came in together: a fault that raises RSS by several pages maps the naturally aligned block around its own, the smallest power of two that
// holds so many. Kept as long as the fault's own page is there. One process's (space.h).
#pragma once

#include "analyze/names.h"

enum { PMT_WINDOW_BITS = 9 };  // the largest: 2 MiB

typedef struct pmt_window_s {
    uint64_t key;    // first page << 4 | bits
    uint64_t page;   // of the last fault that wide
    uint64_t birth;
    uint32_t owner, unused;
} pmt_window_t;

typedef struct pmt_windows_s {
    pmt_table_t table;                       // of pmt_window_t
    uint32_t of_size[PMT_WINDOW_BITS + 1];   // how many, by bits
    uint32_t kept;                           // after the last sweep
} pmt_windows_t;

void pmt_windows_init(pmt_windows_t *windows);
void pmt_windows_fini(pmt_windows_t *windows);
// A fault at `page` that brought in `rise` pages, more than one. 0 or -ENOMEM.
int pmt_windows_add(pmt_windows_t *windows, uint64_t page, uint64_t rise, uint32_t owner, uint64_t birth);
// The window of 1 << bits pages that begins at `first`, or NULL.
const pmt_window_t *pmt_windows_find(const pmt_windows_t *windows, uint64_t first, unsigned bits);
// Forgets those that `alive` denies, once there are many more than there were. 0 or -ENOMEM.
int pmt_windows_sweep(pmt_windows_t *windows, bool (*alive)(const void *context, const pmt_window_t *window), const void *context);

// Of the window of a fault that raised RSS by so many pages.
static inline unsigned
pmt_window_bits(uint64_t rise)
{
    unsigned bits = 1;
    while (bits < PMT_WINDOW_BITS && UINT64_C(1) << bits < rise) {
        bits++;
    }
    return bits;
}

static inline uint64_t
pmt_window_first(const pmt_window_t *window)
{
    return window->key >> 4;
}
