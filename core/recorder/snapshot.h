// Residency snapshots: which pages of a traced process are there, and in which mappings (docs/format.md). Taken from outside, from descriptors that the process opened on
// itself, a piece at a step: a program fills its rings within milliseconds, so they are drained between the pieces. Memory is fixed.
//
// Soon after RSS has fallen, one is taken in steps of the recorder's loop (pmt_snapshots_step), as often as takes a small share of the time. Those for which somebody waits
// (the first, those asked for, the last) are taken at once (pmt_snapshots_take).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "format/records.h"

typedef struct pmt_trace_s pmt_trace_t;
typedef struct pmt_process_s pmt_process_t;
typedef struct pmt_snapshots_s pmt_snapshots_t;

// A process has sent its descriptors, or why it has none. True: they are taken over. The first snapshot is due.
bool pmt_snapshots_attach(pmt_trace_t *trace, pmt_process_t *process, const pmt_maps_t *maps, const int *fds, unsigned fd_count);
// Its descriptors would take the place of those of its events.
void pmt_snapshots_refuse(pmt_trace_t *trace, const pmt_process_t *process);
// A snapshot that is just being taken ends unfinished.
void pmt_snapshots_detach(pmt_trace_t *trace, pmt_process_t *process);
// Somebody read the process's RSS.
void pmt_snapshots_saw_rss(pmt_process_t *process, uint64_t absolute, int64_t kib);
// One piece of each snapshot that is due. The absolute time at which this is to be called again; UINT64_MAX: when something has happened.
uint64_t pmt_snapshots_step(pmt_trace_t *trace);
// The first snapshot, if it is still due, now.
void pmt_snapshots_take_first(pmt_trace_t *trace, pmt_process_t *process, void (*between)(void *context), void *context);
typedef struct pmt_snapshot_wish_s {
    unsigned kind;  // pmt_snapshot_e
    const char *name;
    const uint64_t *figures;  // PMT_FIGURES, of the process's allocators; NULL: none
    uint64_t deadline;        // absolute: what has not been looked at then is missing
} pmt_snapshot_wish_t;
// A whole snapshot, now; between its pieces `between` is called. 0 or a positive errno.
int pmt_snapshots_take(pmt_trace_t *trace, pmt_process_t *process, const pmt_snapshot_wish_t *wish, void (*between)(void *context), void *context);
void pmt_snapshots_counters(pmt_trace_t *trace, const pmt_process_t *process);
