// Sharing out the rise of RSS (pot.h).
#include "capture/pot.h"

static uint64_t
least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void
pmt_pot_add(pmt_pot_t *pot, uint64_t pages, uint64_t faults)
{
    pot->pages += pages;
    pot->faults += faults;
}

uint64_t
pmt_pot_take(pmt_pot_t *pot, uint64_t faults, uint64_t now)
{
    uint64_t pages = pot->pages;
    if (faults < pot->faults) {
        pages = (uint64_t)((double)pages * ((double)faults / (double)pot->faults));
    }
    pot->pages -= pages;
    pot->faults -= least(faults, pot->faults);
    pot->low_pages = least(pot->low_pages, pot->pages);
    pot->low_faults = least(pot->low_faults, pot->faults);
    if (now - pot->turned_at >= PMT_POT_AGE_NS) {
        pages += pot->low_pages;
        pot->pages -= pot->low_pages;
        pot->faults -= pot->low_faults;
        pot->low_pages = pot->pages;
        pot->low_faults = pot->faults;
        pot->turned_at = now;
    }
    return pages;
}
