// Hooks by the C profile function (calls) and the C trace function (lines) of each thread: 3.11, which has no sys.monitoring. A thread has one of each, so it is refused
// where somebody has set one, and the program's own sys.setprofile ends the log of the thread that calls it. Called with the interpreter's lock, in the frame of the event.
#include "hooks.h"

#include <errno.h>
#include <stdio.h>

#include "hooks_inline.h"

static bool with_c_calls, with_lines;

// The exception that a thread's frame was told of last: the type that leaves the frame, if it does.
static struct {
    const PyThreadState *thread;
    PyTypeObject *type;  // borrowed: alive as long as its exception is under way
} raised;

static void
on_call(PyCodeObject *code, const pmt_pyframe_t *frame)
{
    static const unsigned kinds[] = {[PMT_AT_START] = PMT_EVENT_CALL, [PMT_AT_RESUME] = PMT_EVENT_RESUME, [PMT_AT_YIELD] = PMT_EVENT_THROW, [PMT_AT_OTHER] = PMT_EVENT_THROW};
    pmt_hooks_python(code, kinds[pmt_compat_where(frame)], true);
}

static void
on_return(PyCodeObject *code, const pmt_pyframe_t *frame, bool unwinds)
{
    if (unwinds) {
        pmt_hooks_unwind(code, raised.thread == PyThreadState_Get() ? raised.type : NULL);
    } else {
        pmt_hooks_python(code, pmt_compat_where(frame) == PMT_AT_YIELD ? PMT_EVENT_YIELD : PMT_EVENT_RETURN, false);
    }
}

static int
profile(PyObject *self, PyFrameObject *object, int what, PyObject *arg)
{
    const pmt_pyframe_t *frame = object->f_frame;
    PyCodeObject *code = (PyCodeObject *)pmt_compat_executable_sigsafe(frame);
    switch (what) {
    case PyTrace_CALL:
        on_call(code, frame);
        break;
    case PyTrace_RETURN:
        on_return(code, frame, arg == NULL);
        break;
    case PyTrace_C_CALL:
    case PyTrace_C_RETURN:
    case PyTrace_C_EXCEPTION:
        if (with_c_calls) {
            pmt_hooks_c(code, arg, what == PyTrace_C_CALL ? PMT_EVENT_C_CALL : what == PyTrace_C_RETURN ? PMT_EVENT_C_RETURN : PMT_EVENT_C_RAISE);
        }
        break;
    default:
        break;
    }
    return 0;
}

static int
trace(PyObject *self, PyFrameObject *object, int what, PyObject *arg)
{
    if (what == PyTrace_LINE) {
        pmt_hooks_line((PyCodeObject *)pmt_compat_executable_sigsafe(object->f_frame), (uint32_t)PyFrame_GetLineNumber(object));
    } else if (what == PyTrace_EXCEPTION && PyTuple_Check(arg) && PyType_Check(PyTuple_GET_ITEM(arg, 0))) {
        raised.thread = PyThreadState_Get();
        raised.type = (PyTypeObject *)PyTuple_GET_ITEM(arg, 0);
    }
    return 0;
}

// ---- for measurements ----

static int
do_nothing(PyObject *self, PyFrameObject *object, int what, PyObject *arg)
{
    return 0;
}

static int
read_clock(PyObject *self, PyFrameObject *object, int what, PyObject *arg)
{
    return pmt_lane_now() == 0;
}

static int
do_least(PyObject *self, PyFrameObject *object, int what, PyObject *arg)
{
    pmt_least_event((unsigned)what);
    return 0;
}

// ---- attaching ----

static Py_tracefunc profiling, tracing;  // what is set

static void
choose(pmt_hooks_step_t step)
{
    static const Py_tracefunc measured[PMT_HOOKS_STEPS] = {[PMT_HOOKS_EMPTY] = do_nothing, [PMT_HOOKS_CLOCK] = read_clock, [PMT_HOOKS_LEAST] = do_least};
    profiling = measured[step] ? measured[step] : profile;
    tracing = measured[step] ? measured[step] : trace;
}

static void
set_on(PyThreadState *thread)
{
    pmt_compat_set_profile(thread, profiling);
    if (with_lines) {
        pmt_compat_set_trace(thread, tracing);
    }
}

static unsigned displaced;

static void
take_off(PyThreadState *thread)
{
    displaced += thread->c_profilefunc != profiling || (with_lines && thread->c_tracefunc != tracing);
    if (thread->c_profilefunc == profiling) {
        pmt_compat_set_profile(thread, NULL);
    }
    if (thread->c_tracefunc == tracing) {
        pmt_compat_set_trace(thread, NULL);
    }
}

static void
each_thread(void (*visit)(PyThreadState *thread))
{
    for (PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Main()); thread; thread = PyThreadState_Next(thread)) {
        visit(thread);
    }
}

static unsigned
detach(void)
{
    displaced = 0;
    each_thread(take_off);
    return displaced;
}

static int
attach(const pmt_hooks_options_t *options, char reason[PMT_REASON_MAX])
{
    if (!PMT_COMPAT_PROFILES) {
        snprintf(reason, PMT_REASON_MAX, "this Python's threads share their profile functions");
        return -ENOSYS;
    }
    for (PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Main()); thread; thread = PyThreadState_Next(thread)) {
        if (thread->c_profilefunc || (options->lines && thread->c_tracefunc)) {
            snprintf(reason, PMT_REASON_MAX, "the program has a %s function already (a debugger, coverage or a profiler)", thread->c_profilefunc ? "profile" : "trace");
            return -EBUSY;
        }
    }
    with_c_calls = options->c_calls;
    with_lines = options->lines;
    choose(options->step);
    each_thread(set_on);
    return 0;
}

static void
add_thread(void)
{
    PyThreadState *thread = PyThreadState_Get();
    if (!thread->c_profilefunc && !thread->c_tracefunc) {
        set_on(thread);
    }
}

const pmt_hooks_backend_t pmt_hooks_profile = {"profile", attach, detach, add_thread};
