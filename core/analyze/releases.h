// Which lines gave memory back: a second pass over a trace puts its RELEASE records into the weights of the stacks that pmt_tables_build works on, as pages by
// which RSS fell and as counts of releases (in place of faults).
#pragma once

#include "analyze/profile.h"

// `pages` and `count`: of all of them, those without a stack too. pid 0: all processes. 0, -errno, -EBADMSG with one line in `error`.
int pmt_releases_read(pmt_profile_t *profile, const char *path, uint64_t pid, pmt_weight_t *all, char error[PMT_ERROR_MAX]);
