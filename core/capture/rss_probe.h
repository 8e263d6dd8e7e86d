// The process's RSS and its peak, for the program itself to ask at any time, traced or not. Called with the interpreter's lock held.
#pragma once

#include <stdint.h>

// Bytes. Through a descriptor of its own that stays open from the first call on; opened again when the program closed it, and in a fork child, where it would
// show the parent. 0 or -errno.
int pmt_rss_probe(uint64_t *bytes);
int pmt_rss_probe_peak(uint64_t *bytes);
