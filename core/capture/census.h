// The threads that a process has already when tracing starts.
#pragma once

#include <stdint.h>

// Calls visit(tid, context) once for each thread but the calling one: 0, or -errno. Threads that begin meanwhile too, until no new one is found. How many were refused; *why: -errno of
// the last, or of the whole.
unsigned pmt_census(int (*visit)(uint32_t tid, void *context), void *context, int *why);
