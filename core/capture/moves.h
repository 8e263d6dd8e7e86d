// Following mremap, which moves pages without faults, and if asked the calls that give memory back (munmap, madvise, brk), each at the instruction after its system call.
// Part of the page-fault engine: the signals come through its handler.
#pragma once

#include "capture/session.h"

// Opens the calling thread's events. `reason`: of the engine, if it does not run; then nothing is followed. What is refused is kept for pmt_moves_greet.
void pmt_moves_arm(pmt_session_t *session, bool releases, const char *engine_reason);

// Opens events for all other threads of the process, sends all to the recorder, and what is refused. 0 or -errno of the connection.
int pmt_moves_greet(pmt_session_t *session, int socket);

// Gives up this process's descriptors. `failed`: the events are not to go on.
void pmt_moves_let_go(bool failed);

// False: the signal is none of these.
bool pmt_moves_on_signal_sigsafe(const pmt_fault_signal_t *signal);
