// What the two extension modules tell the interpreters that ask for it, in their slots.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#ifdef Py_mod_multiple_interpreters  // 3.12
#define PMT_SLOT_INTERPRETERS(support) {Py_mod_multiple_interpreters, support},
#else
#define PMT_SLOT_INTERPRETERS(support)
#endif
#ifdef Py_mod_gil  // 3.13
#define PMT_SLOT_NO_GIL {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#else
#define PMT_SLOT_NO_GIL
#endif
