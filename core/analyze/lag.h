// By how much RSS as the kernel tells it may be off: each CPU keeps some pages to itself until they are counted. From Linux 6.16 on all are counted for whoever asks, but not in VmHWM.
#pragma once

#include "analyze/profile.h"

// Pages, on the machine that the trace was made on: of RSS (0: exact, or the trace does not name its kernel), and of VmHWM.
uint64_t pmt_lag_pages(const pmt_profile_t *profile);
uint64_t pmt_lag_peak_pages(const pmt_profile_t *profile);
