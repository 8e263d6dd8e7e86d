// What processes ask of the recorder about their residency (trace.h): messages to snapshot.h.
#include <errno.h>
#include <string.h>

#include "format/wire.h"
#include "recorder/trace.h"

static const uint64_t ASKED_NS = 4000 * 1000000ull;  // for a snapshot that was asked for: the program waits a second longer
static const uint64_t END_NS = 150 * 1000000u;       // for the last one: the program waits for PMT_MESSAGE_WAIT_MS

bool
pmt_request_maps(pmt_trace_t *trace, const void *message, size_t size, const int *fds, unsigned fd_count)
{
    pmt_maps_t maps;
    if (size != sizeof maps) {
        return false;
    }
    memcpy(&maps, message, sizeof maps);
    pmt_process_t *process = pmt_process_find(trace, maps.pid);
    return process && process->shared && pmt_snapshots_attach(trace, process, &maps, fds, fd_count);
}

int
pmt_request_snapshot(pmt_trace_t *trace, const void *message, size_t size, void (*between)(void *context), void *context)
{
    pmt_snapshot_t asked;
    if (size != sizeof asked) {
        return EINVAL;
    }
    memcpy(&asked, message, sizeof asked);
    pmt_process_t *process = pmt_process_find(trace, asked.pid);
    if (!process || !process->shared || process->leaving || asked.name[sizeof asked.name - 1] != '\0') {
        return ESRCH;
    }
    pmt_snapshot_wish_t wish = {.kind = PMT_SNAPSHOT_ASKED, .name = asked.name, .figures = asked.figures, .deadline = pmt_prim_now_ns_sigsafe() + ASKED_NS};
    return pmt_snapshots_take(trace, process, &wish, between, context);
}

void
pmt_request_last_snapshot(pmt_trace_t *trace, pmt_process_t *process, const pmt_bye_t *bye, void (*between)(void *context), void *context)
{
    pmt_snapshot_wish_t wish = {.kind = PMT_SNAPSHOT_AT_END, .name = "", .figures = bye->figures, .deadline = pmt_prim_now_ns_sigsafe() + END_NS};
    if (process->shared) {
        pmt_snapshots_take(trace, process, &wish, between, context);
    }
}
