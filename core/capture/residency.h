// The program's part in residency snapshots, which the recorder takes from outside: descriptors that only the program itself may open, the wish for one, and what
// its allocators say of themselves. Never in a signal handler.
#pragma once

#include "capture/session.h"

// Hands the recorder this process's own pagemap, maps and smaps_rollup, as far as they can be opened. 0 or -errno of the connection.
int pmt_residency_send_maps(const pmt_session_t *session, int socket);

// Needs the interpreter's lock.
void pmt_residency_figures(const pmt_session_t *session, uint64_t out[PMT_FIGURES]);

// Waits, some seconds at most, until a snapshot with this name has been taken. `figures`: from pmt_residency_figures. 0; -ESRCH: no session runs here; another -errno: none
// could be taken, or the recorder does not answer. Needs no lock.
int pmt_residency_snapshot(const char *name, const uint64_t figures[PMT_FIGURES]);
