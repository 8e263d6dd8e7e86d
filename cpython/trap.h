// SIGTRAP belongs to the page-fault engine while it runs, and still to the program as far as Python can tell: _signal.signal and _signal.getsignal keep the
// program's handler for it without touching the system's, which must never be SIG_DFL or SIG_IGN when a page fault is signalled.
#pragma once

#include "compat.h"

// guard_trap(): to be called before the engine takes SIGTRAP over, in any thread. release_trap(): after it has given it back; keeps the guard if only the main
// thread could take it away and this is another. Both return None.
PyObject *pmt_guard_trap(PyObject *module, PyObject *ignored);
PyObject *pmt_release_trap(PyObject *module, PyObject *ignored);

// At the end of tracing, in the main thread: SIGTRAP stays the engine's to the very end of the process. The interpreter would reset it when it ends, for the
// handler it knows is a Python one; but a recorder that does not answer may have left events open, and the next fault would be the program's last.
void pmt_keep_trap(void);
