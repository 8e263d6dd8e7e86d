// Runs the user's program as `python` itself would run it: in __main__, with no Python frame of ours below it.
#pragma once

#include "compat.h"

// kind: "script" (target: path), "path" (a folder or archive with __main__.py, already at sys.path[0]), "module" (its name), "code" (the text).
// Returns None, or NULL with the exception that ends this process as the program's own would: SystemExit or KeyboardInterrupt.
// `events`: the arguments of hooks_on, which is called last before the user's code, or None; notice(reason) is called where that has a reason.
PyObject *pmt_run_main(const char *kind, PyObject *target, PyObject *events, PyObject *notice);
