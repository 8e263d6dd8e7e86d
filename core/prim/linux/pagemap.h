// PAGEMAP_SCAN, Linux 6.7: see Documentation/admin-guide/mm/pagemap.rst. The C library's headers are older.
#pragma once

#include <stdint.h>
#include <sys/ioctl.h>

typedef struct pmt_page_region_s {
    uint64_t start, end, categories;
} pmt_page_region_t;

typedef struct pmt_scan_request_s {
    uint64_t size, flags, start, end, walk_end, regions, region_count, max_pages;
    uint64_t inverted, all_of, any_of, wanted;
} pmt_scan_request_t;

#define PMT_SCAN_REQUEST _IOWR('f', 16, pmt_scan_request_t)
enum { PMT_SCAN_FILE = 1 << 2, PMT_SCAN_PRESENT = 1 << 3, PMT_SCAN_SWAPPED = 1 << 4, PMT_SCAN_ZERO = 1 << 5, PMT_SCAN_HUGE = 1 << 6 };
