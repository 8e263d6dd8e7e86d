// Residency snapshots from Python, and what the interpreter's allocator says of itself.
#pragma once

#include "compat.h"

#include <stdbool.h>
#include <stdint.h>

// pmt_interp_t's allocator.
bool pmt_python_allocator(uint64_t *held, uint64_t *used);
// "pymalloc over glibc 2.36": where memory for objects comes from, and what is below. How many bytes.
size_t pmt_python_allocator_name(char *out, size_t size);
// Brings in what that needs of the C library: before tracing starts those pages are the tracer's, at its end they would be nobody's.
void pmt_python_allocator_warm(void);

extern const char pmt_python_snapshot_doc[];
PyObject *pmt_python_snapshot(PyObject *module, PyObject *name);
