// pymemtrace._capture: the extension that is loaded into the traced program. Only what tracing needs; the analysis is a module of its own.
#include "compat.h"

#include <errno.h>
#include <limits.h>

#include "base/compiler.h"
#include "capture/event.h"
#include "capture/fault.h"
#include "capture/rss_probe.h"
#include "capture/timer.h"
#include "frames.h"
#include "hooks.h"
#include "hooks_module.h"
#include "prim/prim.h"
#include "residency_module.h"
#include "run_main.h"
#include "slots.h"
#include "trap.h"

enum { META_MAX = 16, ALLOCATOR_MAX = 256 };

// Raises OSError for a -errno.
static PyObject *
os_error(int err)
{
    errno = -err;
    return PyErr_SetFromErrno(PyExc_OSError);
}

PyDoc_STRVAR(start_doc, "start(address, exact, confirm, rss_before, meta, engine, names=None, events=False, releases=False, unseen=False) -> (engine, reason)\n\n"
                        "Trace this process: `address` of the recorder's socket, `exact` keeps the fault period at 1, `confirm` waits for the recorder's answer, `rss_before`: pages before the\n"
                        "tracer was loaded (0: it was there before), `meta` is a dict[str, str] for the trace,\n"
                        "`names` a dict[int, str] or None of the threads that run already, by native id; `events`: hooks_on will follow;\n"
                        "`releases`: record each call that gives memory back; `unseen`: take no residency snapshots. In a fork child of a traced process it starts a session of the child's own.\n"
                        "`engine`: to use: faults, timer, none or best. Returns the one that runs (with none memory is sampled all the same) and None, or the reason why it is not faults.\n"
                        "Raises OSError if nothing can be recorded.");

static const char *const engines[] = {[PMT_ENGINE_NONE] = "none", [PMT_ENGINE_FAULTS] = "faults", [PMT_ENGINE_TIMER] = "timer", [PMT_ENGINE_BEST] = "best"};

// -1: no such engine, with an exception.
static int
engine_of(const char *name)
{
    for (int i = 0; i < (int)PMT_COUNT(engines); i++) {
        if (strcmp(engines[i], name) == 0) {
            return i;
        }
    }
    PyErr_Format(PyExc_ValueError, "no such engine: %s", name);
    return -1;
}

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

// Borrowed texts of `dict`, which may be NULL, in a new array: NULL with an exception set. One element at least is there.
static pmt_thread_name_t *
read_names(PyObject *dict, size_t *count)
{
    PyObject *key, *value;  // borrowed
    Py_ssize_t at = 0, room = dict ? PyDict_GET_SIZE(dict) : 0;
    pmt_thread_name_t *names = PyMem_New(pmt_thread_name_t, room + 1);
    *count = 0;
    if (!names) {
        PyErr_NoMemory();
        return NULL;
    }
    while (dict && PyDict_Next(dict, &at, &key, &value)) {
        Py_ssize_t size;
        unsigned long tid = PyLong_AsUnsignedLong(key);
        const char *text = PyErr_Occurred() ? NULL : PyUnicode_AsUTF8AndSize(value, &size);
        if (!text) {
            PyMem_Free(names);
            return NULL;
        }
        names[(*count)++] = (pmt_thread_name_t){(uint32_t)tid, text, (size_t)size};
    }
    return names;
}

static PyObject *
capture_start(PyObject *module, PyObject *args)
{
    (void)module;
    const char *address, *engine_name;
    int exact, confirm, engine, events = 0, releases = 0, unseen = 0;
    unsigned long long rss_before;
    PyObject *dict, *name_dict = Py_None;  // borrowed
    pmt_meta_t meta[META_MAX + 1];
    char allocator[ALLOCATOR_MAX], reason[PMT_REASON_MAX];
    if (!PyArg_ParseTuple(args, "sppKO!s|Oppp:start", &address, &exact, &confirm, &rss_before, &PyDict_Type, &dict, &engine_name, &name_dict, &events, &releases, &unseen) ||
        (engine = engine_of(engine_name)) < 0) {
        return NULL;
    }
    Py_ssize_t count = read_meta(dict, meta);
    if (count >= 0) {
        meta[count++] = (pmt_meta_t){"allocator", allocator, pmt_python_allocator_name(allocator, sizeof allocator)};
    }
    pmt_options_t options = {.address = address, .rss_before = rss_before, .exact = exact, .confirm = confirm, .interp = &pmt_python_interp, .meta = meta, .meta_count = (size_t)count};
    pmt_thread_name_t *names = count < 0 ? NULL : read_names(PyDict_Check(name_dict) ? name_dict : NULL, &options.name_count);
    if (!names) {
        return NULL;
    }
    options.engine = (pmt_engine_t)engine;
    options.events = events;
    options.releases = releases;
    options.unseen = unseen;
    options.names = names;
    pmt_python_allocator_warm();
    int err = pmt_session_start(&options, reason);
    PyMem_Free(names);
    if (err < 0) {
        PyObject *details = Py_BuildValue("(is)", -err, reason[0] ? reason : strerror(-err));
        PyErr_SetObject(PyExc_OSError, details);
        Py_XDECREF(details);
        return NULL;
    }
    return Py_BuildValue("sz", engines[pmt_session.engine], reason[0] ? reason : NULL);
}

PyDoc_STRVAR(stop_doc, "stop()\n\nEnd the trace of this process. Harmless when it is not traced, and in a fork child.");

static PyObject *
capture_stop(PyObject *module, PyObject *ignored)
{
    (void)module, (void)ignored;
    pmt_hooks_off();
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

PyDoc_STRVAR(leave_doc, "leave() -> str | None\n\nStop tracing in a process that goes on, and wait about a second at most for the file. None: it is complete, else what is wrong with it.\n"
                        "Harmless when this process is not traced.");

static PyObject *
capture_leave(PyObject *module, PyObject *ignored)
{
    (void)module, (void)ignored;
    char reason[PMT_REASON_MAX];
    pmt_hooks_off();
    int connection = pmt_session_leave(), err = 0;
    if (connection != -ESRCH) {
        Py_BEGIN_ALLOW_THREADS
        err = pmt_session_await_file(connection, reason);
        Py_END_ALLOW_THREADS
    }
    if (err < 0) {
        return PyUnicode_DecodeLocale(reason, "surrogateescape");
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(flush_doc, "flush() -> str\n\nWait, half a second at most, until the trace's file holds what has been recorded so far: its name, empty if the recorder cannot tell.\n"
                        "Raises OSError if this process is not traced or the recorder does not answer.");

static PyObject *
capture_flush(PyObject *module, PyObject *ignored)
{
    (void)module, (void)ignored;
    char name[PATH_MAX + 1];
    int size = pmt_session_flush(name, sizeof name);
    return size < 0 ? os_error(size) : PyUnicode_DecodeFSDefaultAndSize(name, size);
}

PyDoc_STRVAR(engine_doc, "engine() -> str | None\n\nThe engine that traces this very process; None: it is not traced, or the recorder has gone.");

static PyObject *
capture_engine(PyObject *module, PyObject *ignored)
{
    (void)module, (void)ignored;
    const char *engine = pmt_session_engine();
    if (!engine) {
        Py_RETURN_NONE;
    }
    return PyUnicode_FromString(engine);
}

PyDoc_STRVAR(spawn_doc, "spawn(program, argument, descriptors)\n\n"
                        "Start `program` (bytes) as nobody's child, with an argument (str or None) and three descriptors as its 0, 1 and 2.");

static PyObject *
capture_spawn(PyObject *module, PyObject *args)
{
    (void)module;
    const char *program, *argument;
    int fds[3];
    if (!PyArg_ParseTuple(args, "yz(iii):spawn", &program, &argument, &fds[0], &fds[1], &fds[2])) {
        return NULL;
    }
    int err = pmt_prim_spawn_apart(program, argument, fds);
    if (err < 0) {
        errno = -err;
        return PyErr_SetFromErrnoWithFilename(PyExc_OSError, program);
    }
    Py_RETURN_NONE;
}

static PyObject *
rss_result(int err, uint64_t bytes)
{
    if (err < 0) {
        errno = -err;
        return PyErr_SetFromErrnoWithFilename(PyExc_OSError, "/proc/self");
    }
    return PyLong_FromUnsignedLongLong(bytes);
}

PyDoc_STRVAR(rss_doc, "rss() -> int\n\nThe resident set size of this process now, in bytes. Raises OSError where /proc cannot be read.");

static PyObject *
capture_rss(PyObject *module, PyObject *ignored)
{
    (void)module, (void)ignored;
    uint64_t bytes = 0;
    int err = pmt_rss_probe(&bytes);
    return rss_result(err, bytes);
}

PyDoc_STRVAR(rss_peak_doc, "rss_peak() -> int\n\nThe highest resident set size of this process so far, in bytes. Raises OSError where /proc cannot be read.");

static PyObject *
capture_rss_peak(PyObject *module, PyObject *ignored)
{
    (void)module, (void)ignored;
    uint64_t bytes = 0, now = 0;
    int err = pmt_rss_probe_peak(&bytes);
    if (err == 0 && pmt_rss_probe(&now) == 0 && now > bytes) {
        bytes = now;  // the kernel's mark is up to date only when RSS falls, and lags behind the exact number
    }
    return rss_result(err, bytes);
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
    pmt_event_name_thread(text, (size_t)size);
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
                            "its name, and to give it ticks.");

static PyObject *
capture_get_native_id(PyObject *module, PyObject *ignored)
{
    (void)module, (void)ignored;
    PyFrameObject *frame = PyEval_GetFrame();  // borrowed
    PyObject *name = frame ? thread_name_of(frame) : NULL;
    Py_ssize_t size;
    const char *text = name ? PyUnicode_AsUTF8AndSize(name, &size) : NULL;
    if (text) {
        pmt_event_name_thread(text, (size_t)size);
    }
    PyErr_Clear();
    Py_XDECREF(name);
    pmt_timer_add_thread();
    pmt_hooks_add_thread();
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

// ---- functions of _signal that stand for the interpreter's own (their `self`) while the timer engine runs ----

// Its handler for our signal stands behind ours.
static PyObject *
stand_in_signal(PyObject *original, PyObject *args)
{
    long number = PyTuple_GET_SIZE(args) > 0 && PyLong_Check(PyTuple_GET_ITEM(args, 0)) ? PyLong_AsLong(PyTuple_GET_ITEM(args, 0)) : 0;
    PyErr_Clear();
    bool ours = number > 0 && number == pmt_prim_tick_signal();
    if (ours) {
        pmt_timer_pause();
    }
    PyObject *result = PyObject_CallObject(original, args);
    if (ours) {
        pmt_timer_resume();
    }
    return result;
}

// A thread that blocks our signal gets none.
static PyObject *
stand_in_pthread_sigmask(PyObject *original, PyObject *args)
{
    PyObject *result = PyObject_CallObject(original, args);
    pmt_timer_follow_mask();
    return result;
}

PyDoc_STRVAR(stand_in_doc, "stand_in(function) -> function\n\nWhat to put in the place of a function of the module _signal, by its name, while ticks are sent; it looks like the original.");

static PyObject *
capture_stand_in(PyObject *module, PyObject *original)
{
    static PyMethodDef defs[] = {{"signal", stand_in_signal, METH_VARARGS, NULL}, {"pthread_sigmask", stand_in_pthread_sigmask, METH_VARARGS, NULL}};
    if (!PyCFunction_Check(original)) {
        return Py_NewRef(original);
    }
    const PyMethodDef *known = ((PyCFunctionObject *)original)->m_ml;
    for (size_t i = 0; i < PMT_COUNT(defs); i++) {
        if (strcmp(defs[i].ml_name, known->ml_name) == 0) {
            defs[i].ml_doc = known->ml_doc;
            return PyCFunction_NewEx(&defs[i], original, ((PyCFunctionObject *)original)->m_module);
        }
    }
    return Py_NewRef(original);
}

PyDoc_STRVAR(listen_doc, "listen(signo, cookie)\n\nLet summon() of another process run the Python handler that `signo` has; from here on the signal is ours.");

static void
run_python_handler_sigsafe(int signo)
{
    PyErr_SetInterruptEx(signo);
}

static PyObject *
capture_listen(PyObject *module, PyObject *args)
{
    (void)module;
    int signo;
    unsigned long long cookie;
    if (!PyArg_ParseTuple(args, "iK:listen", &signo, &cookie)) {
        return NULL;
    }
    int err = pmt_prim_summons_install(signo, cookie, run_python_handler_sigsafe);
    if (err < 0) {
        return os_error(err);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(answered_doc, "answered()\n\nThe handler has been run: the next signal restarts system calls again.");

static PyObject *
capture_answered(PyObject *module, PyObject *ignored)
{
    (void)module, (void)ignored;
    pmt_prim_summons_answered();
    Py_RETURN_NONE;
}

PyDoc_STRVAR(free_signal_doc, "free_signal() -> int\n\nA real-time signal that nobody uses. Raises OSError if there is none.");

static PyObject *
capture_free_signal(PyObject *module, PyObject *ignored)
{
    (void)module, (void)ignored;
    int signo = pmt_prim_summons_free_signal();
    if (signo < 0) {
        return os_error(signo);
    }
    return PyLong_FromLong(signo);
}

PyDoc_STRVAR(summon_doc, "summon(pid, signo, cookie, insist)\n\nCall a process that listens. `insist`: the next call will end a system call in which its main thread waits.");

static PyObject *
capture_summon(PyObject *module, PyObject *args)
{
    (void)module;
    unsigned int pid;
    int signo, insist;
    unsigned long long cookie;
    if (!PyArg_ParseTuple(args, "IiKp:summon", &pid, &signo, &cookie, &insist)) {
        return NULL;
    }
    int err = pmt_prim_summons_send(pid, signo, cookie, insist);
    if (err < 0) {
        return os_error(err);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(importer_doc, "importer(path) -> object\n\nWhat sys.path_hooks make of `path`: None for a plain script, an importer for a folder or archive.");

static PyObject *
capture_importer(PyObject *module, PyObject *path)
{
    (void)module;
    return PyImport_GetImporter(path);
}

PyDoc_STRVAR(run_main_doc, "run_main(kind, target, events, notice)\n\nRun the program as __main__, with no frame below it. kind: script, path, module or code. `events`: the arguments of hooks_on,\n"
                           "which comes last of all before it, or None; notice(reason) is called if that cannot be had.");

static PyObject *
capture_run_main(PyObject *module, PyObject *args)
{
    (void)module;
    const char *kind;
    PyObject *target, *events, *notice;  // borrowed
    return PyArg_ParseTuple(args, "sUOO:run_main", &kind, &target, &events, &notice) ? pmt_run_main(kind, target, events, notice) : NULL;
}

static PyMethodDef methods[] = {
    {"start", capture_start, METH_VARARGS, start_doc},
    {"stop", capture_stop, METH_NOARGS, stop_doc},
    {"probe", capture_probe, METH_NOARGS, probe_doc},
    {"leave", capture_leave, METH_NOARGS, leave_doc},
    {"engine", capture_engine, METH_NOARGS, engine_doc},
    {"spawn", capture_spawn, METH_VARARGS, spawn_doc},
    {"rss", capture_rss, METH_NOARGS, rss_doc},
    {"rss_peak", capture_rss_peak, METH_NOARGS, rss_peak_doc},
    {"name_thread", capture_name_thread, METH_O, name_thread_doc},
    {"native_id_stand_in", capture_native_id_stand_in, METH_NOARGS, "native_id_stand_in()\n\nThe function to put in the place of _thread.get_native_id."},
    {"guard_trap", pmt_guard_trap, METH_NOARGS, "guard_trap()\n\nKeep the program's handler of SIGTRAP apart; before start."},
    {"release_trap", pmt_release_trap, METH_NOARGS, "release_trap()\n\nUndo guard_trap, when the page-fault engine does not run."},
    {"stand_in", capture_stand_in, METH_O, stand_in_doc},
    {"listen", capture_listen, METH_VARARGS, listen_doc},
    {"answered", capture_answered, METH_NOARGS, answered_doc},
    {"free_signal", capture_free_signal, METH_NOARGS, free_signal_doc},
    {"summon", capture_summon, METH_VARARGS, summon_doc},
    {"flush", capture_flush, METH_NOARGS, flush_doc},
    {"snapshot", pmt_python_snapshot, METH_O, pmt_python_snapshot_doc},
    {"hooks", pmt_python_hooks, METH_NOARGS, pmt_python_hooks_doc},
    {"hooks_on", pmt_python_hooks_on, METH_VARARGS, pmt_python_hooks_on_doc},
    {"hooks_off", pmt_python_hooks_off, METH_NOARGS, "hooks_off()\n\nNo event is recorded from here on. Harmless when none is."},
    {"note", pmt_python_note, METH_VARARGS, pmt_python_note_doc},
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
