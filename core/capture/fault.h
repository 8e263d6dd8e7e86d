// The page-fault engine: the signal handler, its self-test, and the perf events behind it.
#pragma once

#include "capture/session.h"

// Installs the handler and opens events for the calling thread, period 1. 0, or -errno with the reason. *fd: the event's descriptor.
int pmt_fault_arm(pmt_session_t *session, int *fd, char reason[PMT_REASON_MAX]);

// Whether pmt_fault_arm would succeed, without a session: 0, or -errno with the reason. Nothing of it stays.
int pmt_fault_probe(char reason[PMT_REASON_MAX]);

// Gives the handler of the calling thread its slot ahead of the first fault.
void pmt_fault_adopt_thread(void);

// Tells the recorder the calling thread's name. Nothing happens while no trace runs.
void pmt_fault_name_thread(const char *name, size_t size);

// In a fork child: no handler of this process records any more.
void pmt_fault_disown_sigsafe(void);

// Writes a record of three words into the calling thread's ring: arg, the present time, a value.
void pmt_fault_note(unsigned type, uint32_t arg, uint64_t value);
