// Running the program (run_main.h). It follows what Modules/main.c does, through the public PyRun functions.
#include "run_main.h"

#include "hooks_module.h"

#include <stdio.h>
#include <string.h>

// Leaves __main__ as the interpreter makes it, without the names of our bootstrap.
static int
reset_main(void)
{
    static const char *const kept[] = {"__name__", "__builtins__", "__loader__", "__doc__", "__spec__", "__package__"};
    PyObject *main_module = PyImport_AddModule("__main__");  // borrowed
    PyObject *dict = main_module ? PyModule_GetDict(main_module) : NULL;  // borrowed
    PyObject *keys = dict ? PyDict_Keys(dict) : NULL;
    PyObject *importer = NULL, *annotations = NULL;
    int result = -1;
    if (!keys) {
        goto out;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(keys); i++) {
        PyObject *key = PyList_GET_ITEM(keys, i);  // borrowed
        bool keep = false;
        for (size_t j = 0; j < sizeof kept / sizeof *kept; j++) {
            keep |= PyUnicode_Check(key) && PyUnicode_CompareWithASCIIString(key, kept[j]) == 0;
        }
        if (!keep && PyDict_DelItem(dict, key) < 0) {
            goto out;
        }
    }
    annotations = PyDict_New();
    importer = PyImport_ImportModule("_frozen_importlib");
    if (!annotations || !importer || PyDict_SetItemString(dict, "__annotations__", annotations) < 0) {
        goto out;
    }
    Py_SETREF(importer, PyObject_GetAttrString(importer, "BuiltinImporter"));
    result = importer ? PyDict_SetItemString(dict, "__loader__", importer) : -1;
out:
    Py_XDECREF(keys);
    Py_XDECREF(importer);
    Py_XDECREF(annotations);
    return result;
}

// Events begin with the user's code, behind what the interpreter itself does before it.
typedef struct beginning_s {
    PyObject *events, *notice;  // borrowed
} beginning_t;

// 0, or -1 with an exception. Why there are no events is told and no reason to stop. `awaited`: the globals of the code with which they begin, or NULL.
static int
begin(const beginning_t *beginning, PyObject *awaited)
{
    PyObject *reason = pmt_hooks_on_as(beginning->events, awaited);
    PyObject *told = reason && reason != Py_None ? PyObject_CallOneArg(beginning->notice, reason) : NULL;
    bool failed = !reason || (reason != Py_None && !told);
    Py_XDECREF(reason);
    Py_XDECREF(told);
    return failed ? -1 : 0;
}

// 0, or -1 after the exception has been printed (a SystemExit has ended the process by then).
static int
run_script(PyObject *path, const beginning_t *beginning)
{
    PyCompilerFlags flags = _PyCompilerFlags_INIT;
    PyObject *bytes = NULL;
    if (!PyUnicode_FSConverter(path, &bytes)) {
        PyErr_Print();
        return -1;
    }
    FILE *file = fopen(PyBytes_AS_STRING(bytes), "rbe");
    int result = -1;
    if (file && begin(beginning, PyModule_GetDict(PyImport_AddModule("__main__"))) < 0) {
        fclose(file);
        PyErr_Print();
    } else if (file) {
        result = PyRun_AnyFileExFlags(file, PyBytes_AS_STRING(bytes), 1, &flags);
    } else {
        PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
        PyErr_Print();
    }
    Py_DECREF(bytes);
    return result;
}

// Steals `result`. 0, or -1 after the exception has been printed if it is NULL.
static int
print_failure(PyObject *result)
{
    if (!result) {
        PyErr_Print();
        return -1;
    }
    Py_DECREF(result);
    return 0;
}

static int
run_module(PyObject *name, int set_argv0, const beginning_t *beginning)
{
    PyObject *runpy = PyImport_ImportModule("runpy");
    PyObject *result = runpy && begin(beginning, NULL) == 0 ? PyObject_CallMethod(runpy, "_run_module_as_main", "Oi", name, set_argv0) : NULL;
    Py_XDECREF(runpy);
    return print_failure(result);
}

// Since 3.13 tracebacks show the lines of -c code: the interpreter gives them to linecache, if that can take them.
static int
register_source(PyObject *code, PyObject *text)
{
    PyObject *linecache = PyImport_ImportModule("linecache");
    PyObject *take = linecache ? PyObject_GetAttrString(linecache, "_register_code") : NULL;
    PyObject *done = NULL;
    if (take && PyObject_HasAttrString(linecache, "_interactive_cache")) {
        done = PyObject_CallFunction(take, "OOs", code, text, "<string>");
    } else if (take) {  // 3.13.0 keeps it by the file's name
        done = PyObject_CallFunction(take, "sOs", "<string>", text, "<string>");
    }
    bool missing = linecache && !take;
    Py_XDECREF(linecache);
    Py_XDECREF(take);
    Py_XDECREF(done);
    if (missing) {
        PyErr_Clear();
    }
    return done || missing ? 0 : -1;
}

static int
run_code(PyObject *text, const beginning_t *beginning)
{
    PyCompilerFlags flags = _PyCompilerFlags_INIT;
    flags.cf_flags |= PyCF_IGNORE_COOKIE;
    const char *utf8 = PyUnicode_AsUTF8(text);
    PyObject *dict = PyModule_GetDict(PyImport_AddModule("__main__"));  // borrowed
    PyObject *code = utf8 ? Py_CompileStringFlags(utf8, "<string>", Py_file_input, &flags) : NULL;
    PyObject *result = code && register_source(code, text) == 0 && begin(beginning, NULL) == 0 ? PyEval_EvalCode(code, dict, dict) : NULL;
    Py_XDECREF(code);
    return print_failure(result);
}

static int
run_kind(const char *kind, PyObject *target, const beginning_t *beginning)
{
    if (strcmp(kind, "script") == 0) {
        return run_script(target, beginning);
    }
    if (strcmp(kind, "code") == 0) {
        return run_code(target, beginning);
    }
    return run_module(target, strcmp(kind, "module") == 0, beginning);
}

static PyObject *
silent_hook(PyObject *self, PyObject *args)
{
    (void)self, (void)args;
    Py_RETURN_NONE;
}

// The program ended with an exception that has been printed. An unhandled KeyboardInterrupt ends the interpreter by SIGINT: raise it again, unprinted.
static PyObject *
raise_failure(void)
{
    static PyMethodDef hook = {"excepthook", silent_hook, METH_VARARGS, NULL};
    PyObject *type = PySys_GetObject("last_type");  // borrowed
    if (type && PyType_Check(type) && PyType_IsSubtype((PyTypeObject *)type, (PyTypeObject *)PyExc_KeyboardInterrupt)) {
        PyObject *silent = PyCFunction_New(&hook, NULL);
        if (silent && PySys_SetObject("excepthook", silent) == 0) {
            PyErr_SetNone(PyExc_KeyboardInterrupt);
        }
        Py_XDECREF(silent);
        return NULL;
    }
    PyObject *status = PyLong_FromLong(1);
    if (status) {
        PyErr_SetObject(PyExc_SystemExit, status);
        Py_DECREF(status);
    }
    return NULL;
}

PyObject *
pmt_run_main(const char *kind, PyObject *target, PyObject *events, PyObject *notice)
{
    if (reset_main() < 0) {
        return NULL;
    }
    // Frames of ours would be seen by inspect.stack(), warnings and tracebacks: the program starts with none, as it would have.
    PyThreadState *tstate = PyThreadState_Get();
    pmt_pyframe_t *frame = pmt_compat_top_frame_sigsafe(tstate);
    pmt_recursion_t recursion = pmt_compat_fresh_recursion(tstate);
    pmt_compat_set_top_frame(tstate, NULL);
    int result = run_kind(kind, target, &(beginning_t){events, notice});
    pmt_compat_set_top_frame(tstate, frame);
    pmt_compat_restore_recursion(tstate, recursion);
    if (result < 0) {
        return raise_failure();
    }
    Py_RETURN_NONE;
}
