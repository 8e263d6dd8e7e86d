// What RSS rose by, shared out among the threads that made it: the rise is read for all threads at once, and how many page faults each thread took says how much of it
// is its own. Pure arithmetic; the caller holds a lock. Sums stay exact: what is added is taken once, or left.
#pragma once

#include <stdint.h>

static const uint64_t PMT_POT_AGE_NS = 250000000;

typedef struct pmt_pot_s {
    uint64_t pages, faults;          // not taken yet
    uint64_t low_pages, low_faults;  // the least of each since `turned_at`: nobody came for these
    uint64_t turned_at;
} pmt_pot_t;

void pmt_pot_add(pmt_pot_t *pot, uint64_t pages, uint64_t faults);

// The pages of a thread that took `faults` page faults since it was here last. What nobody has come for in PMT_POT_AGE_NS (its thread has ended, or sleeps) goes to the
// thread that comes then.
uint64_t pmt_pot_take(pmt_pot_t *pot, uint64_t faults, uint64_t now);
