// The interpreter as capture sees it (core/capture/interp.h), for this CPython.
#pragma once

#include "compat.h"

#include "capture/interp.h"

extern const pmt_interp_t pmt_python_interp;

// Tells code objects at one address apart: interp.h's `check` of a frame.
uint32_t pmt_python_check(PyCodeObject *code);
// Copies the beginning of a str as UTF-8, surrogates like any other code point, as far as it fits; returns its size: 0 for what is no str, and NULL.
uint32_t pmt_python_text(PyObject *text, char *out, size_t room);
