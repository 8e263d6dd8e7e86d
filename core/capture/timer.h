// The timer engine, for where the kernel refuses signals at page faults: at each tick of a thread's CPU time the rise of RSS goes to the stack that runs. A tick comes
// every 1 to 4 ms (the kernel's own) of CPU time, so a thread that sleeps is left alone.
#pragma once

#include "capture/session.h"

// Installs the handler and starts the ticks of all threads there are. 0, or -errno with the reason.
int pmt_timer_arm(pmt_session_t *session, char reason[PMT_REASON_MAX]);

// Ends all ticks; the pages that no thread has come for.
uint64_t pmt_timer_disarm(void);

// The calling thread has just begun: gives it ticks at once. (Other threads are found by the ticks of those that are known.) Nothing happens without this engine.
void pmt_timer_add_thread(void);

// Around a call that replaces the handler of the tick's signal: no tick comes between, and ours stands in front again after it.
void pmt_timer_pause(void);
void pmt_timer_resume(void);

// The calling thread may have changed its signal mask: while it blocks ticks it gets none, so that none waits where it looks for signals of its own.
void pmt_timer_follow_mask(void);

// In a fork child, which has no timers.
void pmt_timer_disown_sigsafe(void);
