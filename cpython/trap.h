// SIGTRAP belongs to the page-fault engine while it runs, and still to the program as far as Python can tell: _signal.signal and _signal.getsignal keep the
// program's handler for it without touching the system's, which must never be SIG_DFL or SIG_IGN when a page fault is signalled.
#pragma once

#include "compat.h"

// guard_trap(): to be called in the main thread before the engine takes SIGTRAP over. release_trap(): after it has given it back. Both return None.
PyObject *pmt_guard_trap(PyObject *module, PyObject *ignored);
PyObject *pmt_release_trap(PyObject *module, PyObject *ignored);
