// The moments that reports are about, as times of one process.
#pragma once

#include "analyze/profile.h"

enum pmt_moment_e { PMT_MOMENT_TOUCHED, PMT_MOMENT_PEAK, PMT_MOMENT_END, PMT_MOMENT_TIME, PMT_MOMENT_NAME };

typedef struct pmt_moment_s {
    enum pmt_moment_e kind;
    uint64_t time;     // of PMT_MOMENT_TIME, ns since t0
    const char *name;  // of PMT_MOMENT_NAME: a snapshot's
} pmt_moment_t;

// When that was, and of which process: one that replaced itself by an exec is several (images) under one pid, of which the moment's is put in the place of the first.
// False: there is no snapshot of this name (of several the last counts), or no process.
bool pmt_moment_find(const pmt_profile_t *profile, uint32_t *process, const pmt_moment_t *moment, uint64_t *time);
