// Residency snapshots, seen from inside (residency.h).
#include "capture/residency.h"

#include <errno.h>
#include <string.h>

#include "capture/room.h"
#include "prim/prim.h"

enum { TRIES = 25 };  // of PMT_MESSAGE_WAIT_MS

static void
own(pmt_maps_t *message, unsigned number, const void *start, size_t size)
{
    message->own[number].start = (uint64_t)(uintptr_t)start;
    message->own[number].end = (uint64_t)(uintptr_t)start + size;
}

int
pmt_residency_send_maps(const pmt_session_t *session, int socket)
{
    static const struct { const char *name; uint8_t bit; bool needed; } files[] = {
        {"pagemap", PMT_MAPS_PAGEMAP, true}, {"maps", PMT_MAPS_MAPS, true}, {"smaps_rollup", PMT_MAPS_ROLLUP, false},
    };
    pmt_maps_t message = {.kind = PMT_MESSAGE_MAPS, .pid = session->pid};
    int fds[3];
    unsigned count = 0;
    own(&message, 0, session->threads.areas, (size_t)PMT_RINGS * PMT_THREAD_AREA);
    own(&message, 1, session->codes.entries, session->codes.size * sizeof(pmt_code_entry_t));
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
        int fd = pmt_prim_own_file(files[i].name);
        if (fd >= 0) {
            message.has |= files[i].bit;
            fds[count++] = fd;
        } else if (files[i].needed && !message.error) {
            message.error = fd;
        }
    }
    int err = pmt_prim_send_sigsafe(socket, &message, sizeof message, fds, count);
    for (unsigned i = 0; i < count; i++) {
        pmt_prim_close_sigsafe(fds[i]);
    }
    return err;
}

void
pmt_residency_figures(const pmt_session_t *session, uint64_t out[PMT_FIGURES])
{
    pmt_malloc_totals_t totals;
    for (unsigned i = 0; i < PMT_FIGURES; i++) {
        out[i] = PMT_FIGURE_UNKNOWN;
    }
    if (!session->shared) {
        return;
    }
    if (session->interp->allocator && !session->interp->allocator(&out[PMT_FIGURE_PYMALLOC_ARENAS], &out[PMT_FIGURE_PYMALLOC_USED])) {
        out[PMT_FIGURE_PYMALLOC_ARENAS] = out[PMT_FIGURE_PYMALLOC_USED] = PMT_FIGURE_UNKNOWN;
    }
    if (pmt_prim_malloc_totals(&totals)) {
        out[PMT_FIGURE_MALLOC_HELD] = totals.held;
        out[PMT_FIGURE_MALLOC_MMAPPED] = totals.mmapped;
        out[PMT_FIGURE_MALLOC_USED] = totals.used;
        out[PMT_FIGURE_MALLOC_FREE] = totals.free;
        out[PMT_FIGURE_MALLOC_TRIMMABLE] = totals.trimmable;
    }
}

int
pmt_residency_snapshot(const char *name, const uint64_t figures[PMT_FIGURES])
{
    pmt_session_t *session = &pmt_session;
    pmt_snapshot_t message = {.kind = PMT_MESSAGE_SNAPSHOT, .pid = session->pid};
    if (!pmt_session_is_running(session)) {
        return -ESRCH;
    }
    if (strlen(name) >= sizeof message.name) {
        return -ENAMETOOLONG;
    }
    strcpy(message.name, name);
    memcpy(message.figures, figures, sizeof message.figures);
    int socket = pmt_prim_connect_sigsafe(session->address);
    int err = socket < 0 ? socket : pmt_prim_send_sigsafe(socket, &message, sizeof message, NULL, 0);
    if (err == 0) {
        pmt_recorder_wake_sigsafe(session->shared);
        int answer = pmt_session_await_answer(socket, TRIES);
        err = answer > 0 ? -answer : answer;
    }
    pmt_prim_close_sigsafe(socket);
    return err;
}
