// pymemtrace._capture: the extension that is loaded into the traced program. Only what tracing needs; the analysis is a module of its own.
#include "compat.h"

#include <errno.h>

#include "capture/fault.h"
#include "frames.h"
#include "run_main.h"
#include "slots.h"
#include "trap.h"

enum { META_MAX = 16 };

PyDoc_STRVAR(start_doc, "start(address, exact, confirm, rss_before, meta) -> str | None\n\n"
                        "Trace this process: `address` of the recorder's socket, `exact` keeps the fault period at 1, `confirm` waits for the recorder's answer, `rss_before`: pages before the\n"
                        "tracer was loaded (0: it was there before), `meta` is a dict[str, str] for the trace. In a fork child of a traced process it starts a session of the child's own.\n"
                        "Returns None if the page-fault engine runs, else the reason why not (memory is sampled all the same). Raises OSError if nothing can be recorded.");

// Fills `out` with borrowed texts of `dict`; their number, or -1 with an exception.
static Py_ssize_t
read_meta(PyObject *dict, pmt_meta_t out[META_MAX])
{
    PyObject *key, *value;  // borrowed
    Py_ssize_t at = 0, count = 0;
    while (PyDict_Next(dict, &at, &key, &value) && count < META_MAX) {
        Py_ssize_t size;
        out[count].key = PyUnicode_AsUTF8(key);
        out[count].value = PyUnicode_AsUTF8AndSize(value, &size);
        if (!out[count].key || !out[count].value) {
            return -1;
        }
        out[count++].size = (size_t)size;
    }
    return count;
}

static PyObject *
capture_start(PyObject *module, PyObject *args)
{
    (void)module;
    const char *address;
    int exact, confirm;
    unsigned long long rss_before;
    PyObject *dict;  // borrowed
    pmt_meta_t meta[META_MAX];
    char reason[PMT_REASON_MAX];
    if (!PyArg_ParseTuple(args, "sppKO!:start", &address, &exact, &confirm, &rss_before, &PyDict_Type, &dict)) {
        return NULL;
    }
    Py_ssize_t count = read_meta(dict, meta);
    if (count < 0) {
        return NULL;
    }
    pmt_options_t options = {.address = address, .rss_before = rss_before, .exact = exact, .confirm = confirm, .interp = &pmt_python_interp, .meta = meta, .meta_count = (size_t)count};
    int err = pmt_session_start(&options, reason);
    if (err < 0) {
        PyObject *details = Py_BuildValue("(is)", -err, reason[0] ? reason : strerror(-err));
        PyErr_SetObject(PyExc_OSError, details);
        Py_XDECREF(details);
        return NULL;
    }
    if (reason[0]) {
        return PyUnicode_FromString(reason);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(stop_doc, "stop()\n\nEnd the trace of this process. Harmless when it is not traced, and in a fork child.");

static PyObject *
capture_stop(PyObject *module, PyObject *ignored)
{
    (void)module, (void)ignored;
    pmt_session_stop();
    pmt_keep_trap();
    Py_RETURN_NONE;
}

PyDoc_STRVAR(probe_doc, "probe() -> tuple[int, str]\n\n"
                        "Try the page-fault engine without tracing: errno (0: it works), the reason why it does not.\n"
                        "For a process of its own: on an unforeseen kernel the test may end it.");

static PyObject *
capture_probe(PyObject *module, PyObject *ignored)
{
    (void)module, (void)ignored;
    char reason[PMT_REASON_MAX];
    int err = pmt_fault_probe(reason);
    return Py_BuildValue("(is)", -err, err ? reason : "");
}

PyDoc_STRVAR(name_thread_doc, "name_thread(name)\n\nTell the trace the calling thread's name.");

static PyObject *
capture_name_thread(PyObject *module, PyObject *name)
{
    (void)module;
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(name, &size);
    if (!text) {
        return NULL;
    }
    pmt_fault_name_thread(text, (size_t)size);
    Py_RETURN_NONE;
}

// The name of the Thread whose method `frame` runs, if it is one: a new reference, or NULL without an exception.
static PyObject *
thread_name_of(PyFrameObject *frame)
{
    PyObject *locals = PyFrame_GetLocals(frame), *name = NULL;
    PyObject *thread = locals ? PyMapping_GetItemString(locals, "self") : NULL;
    if (thread) {
        name = PyObject_GetAttrString(thread, "_name");
    }
    Py_XDECREF(locals);
    Py_XDECREF(thread);
    if (!name || !PyUnicode_Check(name)) {
        PyErr_Clear();
        Py_CLEAR(name);
    }
    return name;
}

PyDoc_STRVAR(native_id_doc, "get_native_id()\n\nStands in for _thread.get_native_id, which each Thread of the threading module asks once, in its own thread, when it starts: the moment to learn\n"
                            "its name.");

static PyObject *
capture_get_native_id(PyObject *module, PyObject *ignored)
{
    (void)module, (void)ignored;
    PyFrameObject *frame = PyEval_GetFrame();  // borrowed
    PyObject *name = frame ? thread_name_of(frame) : NULL;
    Py_ssize_t size;
    const char *text = name ? PyUnicode_AsUTF8AndSize(name, &size) : NULL;
    if (text) {
        pmt_fault_name_thread(text, (size_t)size);
    }
    PyErr_Clear();
    Py_XDECREF(name);
    return PyLong_FromUnsignedLong(PyThread_get_thread_native_id());
}

static PyMethodDef get_native_id = {"get_native_id", capture_get_native_id, METH_NOARGS, native_id_doc};

static PyObject *
capture_native_id_stand_in(PyObject *module, PyObject *ignored)
{
    (void)module, (void)ignored;
    PyObject *name = PyUnicode_FromString("_thread");  // programs ask where a function comes from
    PyObject *function = name ? PyCFunction_NewEx(&get_native_id, NULL, name) : NULL;
    Py_XDECREF(name);
    return function;
}

PyDoc_STRVAR(importer_doc, "importer(path) -> object\n\nWhat sys.path_hooks make of `path`: None for a plain script, an importer for a folder or archive.");

static PyObject *
capture_importer(PyObject *module, PyObject *path)
{
    (void)module;
    return PyImport_GetImporter(path);
}

PyDoc_STRVAR(run_main_doc, "run_main(kind, target)\n\nRun the program as __main__, with no frame below it. kind: script, path, module or code.");

static PyObject *
capture_run_main(PyObject *module, PyObject *args)
{
    (void)module;
    const char *kind;
    PyObject *target;  // borrowed
    return PyArg_ParseTuple(args, "sU:run_main", &kind, &target) ? pmt_run_main(kind, target) : NULL;
}

static PyMethodDef methods[] = {
    {"start", capture_start, METH_VARARGS, start_doc},
    {"stop", capture_stop, METH_NOARGS, stop_doc},
    {"probe", capture_probe, METH_NOARGS, probe_doc},
    {"name_thread", capture_name_thread, METH_O, name_thread_doc},
    {"native_id_stand_in", capture_native_id_stand_in, METH_NOARGS, "native_id_stand_in()\n\nThe function to put in the place of _thread.get_native_id."},
    {"guard_trap", pmt_guard_trap, METH_NOARGS, "guard_trap()\n\nKeep the program's handler of SIGTRAP apart; in the main thread, before start."},
    {"release_trap", pmt_release_trap, METH_NOARGS, "release_trap()\n\nUndo guard_trap, when the page-fault engine does not run."},
    {"importer", capture_importer, METH_O, importer_doc},
    {"run_main", capture_run_main, METH_VARARGS, run_main_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    PMT_SLOT_INTERPRETERS(Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED)
    PMT_SLOT_NO_GIL
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pymemtrace._capture",
    .m_doc = "The tracer inside the traced program.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__capture(void)
{
    return PyModuleDef_Init(&definition);
}
