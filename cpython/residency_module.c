// Residency snapshots from Python (residency_module.h).
#include "residency_module.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/residency.h"
#include "prim/prim.h"

// ---- pymalloc ----

// The number behind the '=' of the first line that has `words`; it is written with commas. False: there is none.
static bool
find_number(const char *text, const char *words, uint64_t *out)
{
    const char *line = strstr(text, words), *digit = line ? strchr(line, '=') : NULL;
    if (!digit) {
        return false;
    }
    digit += strspn(digit, "= ");
    const char *start = digit;
    for (*out = 0; (*digit >= '0' && *digit <= '9') || *digit == ','; digit++) {
        *out = *digit == ',' ? *out : *out * 10 + (uint64_t)(*digit - '0');
    }
    return digit > start;
}

// The interpreter's own report, which goes into memory instead of to stderr. It looks at the header of each pool.
bool
pmt_python_allocator(uint64_t *held, uint64_t *used)
{
    enum { ROOM = 32 << 10 };
    static char text[ROOM];  // under the interpreter's lock
    FILE *report = pmt_compat_has_malloc_stats() ? fmemopen(text, sizeof text, "w") : NULL;
    if (!report) {
        return false;
    }
    text[0] = '\0';
    bool told = pmt_compat_malloc_stats(report);
    bool whole = fclose(report) == 0;
    text[ROOM - 1] = '\0';
    return told && whole && find_number(text, "bytes/arena", held) && find_number(text, "bytes in allocated blocks", used);
}

size_t
pmt_python_allocator_name(char *out, size_t size)
{
    char below[128];
    const char *objects = pmt_compat_allocator_name();
    pmt_prim_malloc_name(below, sizeof below);
    int length = snprintf(out, size, "%s over %s", objects ? objects : "an allocator of its own", below);
    return length < 0 ? 0 : (size_t)length < size ? (size_t)length : size - 1;
}

void
pmt_python_allocator_warm(void)
{
    char text[64] = "";
    FILE *report = fmemopen(text, sizeof text, "w");
    if (report) {
        fprintf(report, "%s = %5u, %zu\n", "warm", 1u, sizeof text);
        fclose(report);
    }
    uint64_t number;
    find_number(text, "warm", &number);
}

// ---- snapshots ----

const char pmt_python_snapshot_doc[] =
    "snapshot(name) -> int\n\nHave the recorder look which of this process's pages are there, and wait some seconds at most for it. 0, or why there is none: an errno; ESRCH: no session runs here.";

PyObject *
pmt_python_snapshot(PyObject *module, PyObject *name)
{
    (void)module;
    uint64_t figures[PMT_FIGURES];
    const char *text = PyUnicode_AsUTF8(name);
    int err;
    if (!text) {
        return NULL;
    }
    pmt_residency_figures(&pmt_session, figures);
    Py_BEGIN_ALLOW_THREADS
    err = pmt_residency_snapshot(text, figures);
    Py_END_ALLOW_THREADS
    return PyLong_FromLong(-err);
}
