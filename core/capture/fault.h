// The page-fault engine: the signal handler, its self-test, and the perf events behind it.
#pragma once

#include "capture/session.h"

// Installs the handler and opens events for the calling thread, period 1. 0, or -errno with the reason. *fd: the event's descriptor.
int pmt_fault_arm(pmt_session_t *session, int *fd, char reason[PMT_REASON_MAX]);

// Whether pmt_fault_arm would succeed, without a session: 0, or -errno with the reason. Nothing of it stays.
int pmt_fault_probe(char reason[PMT_REASON_MAX]);

// Opens events of period 1 for all other threads of the process and sends them to the recorder. How many threads are left without one, and -errno why.
unsigned pmt_fault_open_others(pmt_session_t *session, int socket, int *why);
