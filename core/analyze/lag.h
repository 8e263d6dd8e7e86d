// By how much RSS as the kernel tells it may lag. Before Linux 6.16 each CPU keeps some pages to itself until they are counted; from then on it is exact.
#pragma once

#include "analyze/profile.h"

// Pages, on the machine that the trace was made on; 0: exact, or the trace does not name its kernel.
uint64_t pmt_lag_pages(const pmt_profile_t *profile);
