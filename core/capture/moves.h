// Following mremap, which moves pages without faults, and if asked the calls that give memory back (munmap, madvise, brk), each at the instruction after its system call.
// Part of the page-fault engine: the signals come through its handler.
#pragma once

#include "capture/session.h"

// Opens events for the calling thread and all others of the process and sends them to the recorder, which has been greeted, and what is refused. `engine_reason`: if page faults are
// not followed; then nothing is. 0 or -errno of the connection.
int pmt_moves_greet(const pmt_session_t *session, int socket, bool releases, const char *engine_reason);

// Gives up this process's descriptors after the greeting. `failed`: the events are not to go on.
void pmt_moves_let_go(bool failed);

// False: the signal is none of these.
bool pmt_moves_on_signal_sigsafe(const pmt_fault_signal_t *signal);
