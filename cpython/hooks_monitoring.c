// Hooks by sys.monitoring (3.12 and later): callables of a type of our own, which the interpreter calls by vectorcall. Any thread, with the interpreter's lock, in the frame
// that the event is about. They return None, or DISABLE for code whose events are not wanted: it is not heard of again from that place.
#include "hooks.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "base/compiler.h"
#include "hooks_inline.h"

typedef struct hook_s {
    PyObject_HEAD
    vectorcallfunc call;
} hook_t;

// ---- owned references, while attached ----
static PyObject *disable;     // sys.monitoring.DISABLE
static PyObject *monitoring;  // sys.monitoring

static long tool;
static bool any_disabled;  // since the process began

// ---- the hooks: code object, then what the event has besides ----

#define HOOK(name) static PyObject *name(PyObject *self, PyObject *const *args, size_t count, PyObject *names)
#define CODE ((PyCodeObject *)args[0])

static inline PyObject *
answer(bool wanted)
{
    if (PMT_LIKELY(wanted)) {
        return Py_NewRef(Py_None);
    }
    any_disabled = true;
    return Py_NewRef(disable);
}

HOOK(on_start)
{
    return answer(pmt_hooks_python(CODE, PMT_EVENT_CALL, true));
}

HOOK(on_return)
{
    return answer(pmt_hooks_python(CODE, PMT_EVENT_RETURN, false));
}

HOOK(on_yield)
{
    return answer(pmt_hooks_python(CODE, PMT_EVENT_YIELD, false));
}

HOOK(on_resume)
{
    return answer(pmt_hooks_python(CODE, PMT_EVENT_RESUME, true));
}

// This event and the next cannot be disabled.
HOOK(on_throw)
{
    pmt_hooks_python(CODE, PMT_EVENT_THROW, true);
    Py_RETURN_NONE;
}

HOOK(on_unwind)
{
    pmt_hooks_unwind(CODE, Py_TYPE(args[2]));
    Py_RETURN_NONE;
}

HOOK(on_call)
{
    return answer(pmt_hooks_c(CODE, args[2], PMT_EVENT_C_CALL));
}

// These two end with the call that was heard of.
HOOK(on_c_return)
{
    pmt_hooks_c(CODE, args[2], PMT_EVENT_C_RETURN);
    Py_RETURN_NONE;
}

HOOK(on_c_raise)
{
    pmt_hooks_c(CODE, args[2], PMT_EVENT_C_RAISE);
    Py_RETURN_NONE;
}

HOOK(on_line)
{
    return answer(pmt_hooks_line(CODE, pmt_compat_line(args[1])));
}

// ---- for measurements ----

HOOK(on_nothing)
{
    Py_RETURN_NONE;
}

HOOK(on_clock)
{
    return answer(pmt_lane_now() != 0);
}

HOOK(on_least)
{
    pmt_least_event((unsigned)count);
    Py_RETURN_NONE;
}

// ---- attaching ----

typedef enum hook_group_e { CALLS, C_CALLS, LINES } hook_group_t;
static const struct {
    const char *event;  // in sys.monitoring.events
    vectorcallfunc call;
    hook_group_t group;
} hooks[] = {
    {"PY_START", on_start, CALLS},   {"PY_RETURN", on_return, CALLS}, {"PY_YIELD", on_yield, CALLS},     {"PY_RESUME", on_resume, CALLS},    {"PY_THROW", on_throw, CALLS},
    {"PY_UNWIND", on_unwind, CALLS}, {"CALL", on_call, C_CALLS},      {"C_RETURN", on_c_return, C_CALLS}, {"C_RAISE", on_c_raise, C_CALLS}, {"LINE", on_line, LINES},
};

static vectorcallfunc
function_of(size_t i, pmt_hooks_step_t step)
{
    static const vectorcallfunc measured[PMT_HOOKS_STEPS] = {[PMT_HOOKS_EMPTY] = on_nothing, [PMT_HOOKS_CLOCK] = on_clock, [PMT_HOOKS_LEAST] = on_least};
    return measured[step] ? measured[step] : hooks[i].call;
}

static void
free_hook(PyObject *hook)
{
    PyTypeObject *type = Py_TYPE(hook);
    PyObject_Free(hook);
    Py_DECREF(type);
}

// The type of hooks: a new reference.
static PyObject *
make_type(void)
{
    static PyMemberDef members[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(hook_t, call), READONLY, NULL}, {0}};
    static PyType_Slot slots[] = {{Py_tp_call, PyVectorcall_Call}, {Py_tp_members, members}, {Py_tp_dealloc, free_hook}, {0, NULL}};
    static PyType_Spec spec = {
        .name = "pymemtrace._capture.Hook",
        .basicsize = sizeof(hook_t),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = slots,
    };
    return PyType_FromSpec(&spec);
}

// The number of an event; -1 with an exception.
static long
event_of(const char *name)
{
    PyObject *events = PyObject_GetAttrString(monitoring, "events");
    PyObject *number = events ? PyObject_GetAttrString(events, name) : NULL;
    long event = number ? PyLong_AsLong(number) : -1;
    Py_XDECREF(number);
    Py_XDECREF(events);
    return event;
}

static int
set_events(long events)
{
    PyObject *done = PyObject_CallMethod(monitoring, "set_events", "ll", tool, events);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

// `hook` may be None.
static int
register_hook(long event, PyObject *hook)
{
    PyObject *before = PyObject_CallMethod(monitoring, "register_callback", "llO", tool, event, hook);
    Py_XDECREF(before);
    return before ? 0 : -1;
}

// The interpreter remembers for each place that its events are disabled, also when a tool leaves. Others hear of what they disabled once more.
static int
enable_again(void)
{
    PyObject *done = PyObject_CallMethod(monitoring, "restart_events", NULL);
    Py_XDECREF(done);
    any_disabled = false;
    return done ? 0 : -1;
}

static int
register_hooks(PyObject *type, const pmt_hooks_options_t *options)
{
    long events = 0;
    for (size_t i = 0; i < PMT_COUNT(hooks); i++) {
        if ((hooks[i].group == C_CALLS && !options->c_calls) || (hooks[i].group == LINES && !options->lines)) {
            continue;
        }
        long event = event_of(hooks[i].event);
        hook_t *hook = event < 0 ? NULL : PyObject_New(hook_t, (PyTypeObject *)type);
        if (!hook) {
            return -1;
        }
        hook->call = function_of(i, options->step);
        int err = register_hook(event, (PyObject *)hook);
        Py_DECREF(hook);
        if (err < 0) {
            return -1;
        }
        events |= event;
    }
    return set_events(events) < 0 || (options->anew && any_disabled && enable_again() < 0) ? -1 : 0;
}

// Takes one of the numbers that are nobody's by convention. -EBUSY: both are taken, and by whom; -1: an exception.
static int
take_tool(char reason[PMT_REASON_MAX])
{
    enum { FIRST = 3, LAST = 4 };
    int size = snprintf(reason, PMT_REASON_MAX, "sys.monitoring's free tool ids are taken:");
    for (tool = FIRST; tool <= LAST; tool++) {
        PyObject *owner = PyObject_CallMethod(monitoring, "get_tool", "l", tool);
        if (!owner) {
            return -1;
        }
        bool is_free = owner == Py_None;
        const char *name = PyUnicode_Check(owner) ? PyUnicode_AsUTF8(owner) : NULL;
        size += snprintf(reason + size, PMT_REASON_MAX - (size_t)size, "%s %ld by %.100s", tool == FIRST ? "" : ",", tool, name ? name : "?");
        Py_DECREF(owner);
        if (is_free) {
            PyObject *done = PyObject_CallMethod(monitoring, "use_tool_id", "ls", tool, "pymemtrace");
            Py_XDECREF(done);
            return done ? 0 : -1;
        }
    }
    return -EBUSY;
}

static void
release(void)
{
    Py_CLEAR(disable);
    Py_CLEAR(monitoring);
}

static unsigned
detach(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    set_events(0);
    for (size_t i = 0; i < PMT_COUNT(hooks); i++) {
        long event = event_of(hooks[i].event);
        if (event >= 0) {
            register_hook(event, Py_None);
        }
    }
    PyObject *done = PyObject_CallMethod(monitoring, "free_tool_id", "l", tool);
    Py_XDECREF(done);
    release();
    PyErr_Restore(type, value, traceback);  // what went wrong above is nobody's business
    return 0;
}

static int
attach(const pmt_hooks_options_t *options, char reason[PMT_REASON_MAX])
{
    monitoring = Py_XNewRef(PySys_GetObject("monitoring"));
    if (!monitoring) {
        snprintf(reason, PMT_REASON_MAX, "this Python has no sys.monitoring");
        return -ENOSYS;
    }
    int err = take_tool(reason);
    if (err == 0) {
        PyObject *type = make_type();
        disable = type ? PyObject_GetAttrString(monitoring, "DISABLE") : NULL;
        err = disable ? register_hooks(type, options) : -1;
        Py_XDECREF(type);  // the hooks have it
        if (err < 0) {
            detach();
        }
    }
    if (err == -1) {
        snprintf(reason, PMT_REASON_MAX, "sys.monitoring refused");
        PyErr_Clear();
        err = -EPERM;
    }
    if (err < 0) {
        release();
    }
    return err;
}

const pmt_hooks_backend_t pmt_hooks_monitoring = {"monitoring", attach, detach, NULL};
