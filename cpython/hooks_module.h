// The functions of pymemtrace._capture that are about events (capture_module.c has the table).
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

// Switches hooks on as a tuple of hooks_on's arguments says, or not at all (None): a new reference, the reason why they cannot be had or None. NULL: an exception.
// `awaited`: the globals of the code with which events begin; NULL: at once.
PyObject *pmt_hooks_on_as(PyObject *arguments, PyObject *awaited);

PyObject *pmt_python_hooks_on(PyObject *module, PyObject *args);
PyObject *pmt_python_hooks_off(PyObject *module, PyObject *ignored);
PyObject *pmt_python_hooks(PyObject *module, PyObject *ignored);
PyObject *pmt_python_note(PyObject *module, PyObject *args);

extern const char pmt_python_hooks_doc[], pmt_python_hooks_on_doc[], pmt_python_note_doc[];
