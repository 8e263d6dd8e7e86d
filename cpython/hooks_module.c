// What Python code tells hooks (hooks_module.h).
#include "hooks_module.h"

#include <string.h>

#include "hooks.h"

const char pmt_python_hooks_on_doc[] =
    "hooks_on(lines, c_calls, rss_every, drop, include, exclude, own, step=0) -> str | None\n\n"
    "Record each call (and line) of this process from here on, in the session that runs; None, or the reason why that cannot be had. `include`, `exclude`: lists of patterns;\n"
    "`own`: the tracer's folder, whose code is left out. `step`: for measurements, how much is done at each event: 1 nothing (no session is needed), 2 the clock is read, 3 a record is written,\n"
    "4 RSS is read besides, 0 all. 5: all, and beside the kept value of RSS stands at each event what it is then. 6: the least that any such log does (no session is needed).";
const char pmt_python_note_doc[] = "note(what, number, text) -> bool\n\nPut a note (core/format/lanes.h) between the calling thread's events. False: none are recorded, or it is lost.";

const char pmt_python_hooks_doc[] = "hooks() -> tuple | None\n\nThe arguments with which hooks were switched on; None: they are off.";

static PyObject *arguments;  // owned: hooks_on's, the last time that it did

// The size of all patterns with their NULs, and how many; -1 with an exception.
static Py_ssize_t
measure(PyObject *patterns)
{
    Py_ssize_t size = 0, length;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(patterns); i++) {
        const char *text = PyUnicode_AsUTF8AndSize(PyList_GET_ITEM(patterns, i), &length);
        if (!text) {
            return -1;
        }
        size += length + 1;
    }
    return size;
}

// Behind them.
static char *
copy(PyObject *patterns, char *out)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(patterns); i++) {
        Py_ssize_t length;
        const char *text = PyUnicode_AsUTF8AndSize(PyList_GET_ITEM(patterns, i), &length);
        memcpy(out, text, (size_t)length + 1);
        out += length + 1;
    }
    return out;
}

static int
make_filter(PyObject *include, PyObject *exclude, const char *own, pmt_filter_t *out)
{
    Py_ssize_t includes = measure(include), excludes = includes < 0 ? -1 : measure(exclude);
    if (excludes < 0) {
        return -1;
    }
    out->texts = PyMem_Malloc((size_t)(includes + excludes) + strlen(own) + 1);
    if (!out->texts) {
        PyErr_NoMemory();
        return -1;
    }
    strcpy(copy(exclude, copy(include, out->texts)), own);
    out->includes = (size_t)PyList_GET_SIZE(include);
    out->excludes = (size_t)PyList_GET_SIZE(exclude) + 1;
    return 0;
}

PyObject *
pmt_hooks_on_as(PyObject *args, PyObject *awaited)
{
    int lines, c_calls, rss_every, drop, step = PMT_HOOKS_ALL;
    PyObject *include, *exclude;  // borrowed
    const char *own;
    char reason[PMT_REASON_MAX];
    if (args == Py_None) {
        Py_RETURN_NONE;
    }
    if (!PyArg_ParseTuple(args, "ppppO!O!s|i:hooks_on", &lines, &c_calls, &rss_every, &drop, &PyList_Type, &include, &PyList_Type, &exclude, &own, &step)) {
        return NULL;
    }
    if (step < 0 || step >= PMT_HOOKS_STEPS) {
        PyErr_SetString(PyExc_ValueError, "no such step");
        return NULL;
    }
    pmt_hooks_options_t options = {.lines = lines, .c_calls = c_calls, .step = (pmt_hooks_step_t)step, .awaited = awaited};
    options.lanes = (pmt_lanes_options_t){.rss_every = rss_every, .drop = drop, .rss_check = step == PMT_HOOKS_CHECK};
    options.lanes.alone = step != PMT_HOOKS_ALL && step != PMT_HOOKS_CHECK;
    options.lanes.rss_never = step == PMT_HOOKS_RECORD;
    if (make_filter(include, exclude, own, &options.filter) < 0) {
        return NULL;
    }
    if (pmt_hooks_on(&options, reason) < 0) {
        return PyUnicode_DecodeLocale(reason, "surrogateescape");
    }
    Py_XSETREF(arguments, Py_NewRef(args));
    Py_RETURN_NONE;
}

PyObject *
pmt_python_hooks(PyObject *module, PyObject *ignored)
{
    (void)module, (void)ignored;
    return Py_NewRef(arguments && pmt_hooks_are_on() ? arguments : Py_None);
}

PyObject *
pmt_python_hooks_on(PyObject *module, PyObject *args)
{
    (void)module;
    return pmt_hooks_on_as(args, NULL);
}

PyObject *
pmt_python_hooks_off(PyObject *module, PyObject *ignored)
{
    (void)module, (void)ignored;
    pmt_hooks_off();
    Py_RETURN_NONE;
}

PyObject *
pmt_python_note(PyObject *module, PyObject *args)
{
    (void)module;
    unsigned int what, number;
    const char *text;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "IIs#:note", &what, &number, &text, &size)) {
        return NULL;
    }
    return PyBool_FromLong(pmt_lane_note(what, number, text, (size_t)size) == 0);
}
