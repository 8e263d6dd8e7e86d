// A process's mappings: written as regions, for a residency snapshot, and joined to the spans of address space that it looks at.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "format/records.h"
#include "format/writer.h"

typedef struct pmt_span_s {
    uint64_t start, end;
} pmt_span_t;

enum { PMT_SPANS_MAX = 4096 };

typedef struct pmt_spans_s {
    unsigned count;
    bool broken;  // what comes next does not belong to the last one
    pmt_span_t list[PMT_SPANS_MAX];
} pmt_spans_t;

// maps: a descriptor of the process's; own: the tracer's mappings in it. 0 or -errno.
int pmt_regions_write(pmt_writer_t *writer, uint64_t process, int maps, const pmt_span_t own[PMT_MAPS_OWN], pmt_spans_t *spans);
