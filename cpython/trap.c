// The program's view of SIGTRAP (trap.h). Python's own C handler is installed once, with `dispatch` as its Python handler; from then on the program's changes
// are only noted here. Only the main thread can install it: if tracing begins in another, the program's first change does. Until then SIGTRAP does what it did.
#include "trap.h"

#include <signal.h>

#include "prim/prim.h"

static struct {
    PyObject *signal, *getsignal;  // the interpreter's own; NULL: not guarded
    PyObject *handler;             // the program's: callable, SIG_DFL or SIG_IGN
    unsigned long main_thread;     // 0: `dispatch` is not yet the interpreter's handler
} guard;

static void
set_handler(PyObject *handler)
{
    long standard = PyLong_Check(handler) ? PyLong_AsLong(handler) : -1;
    Py_XSETREF(guard.handler, Py_NewRef(handler));
    pmt_prim_trap_foreign(standard == (long)SIG_DFL ? PMT_TRAP_DEFAULT : standard == (long)SIG_IGN ? PMT_TRAP_IGNORED : PMT_TRAP_HANDLED);
}

static PyObject *
dispatch(PyObject *module, PyObject *args)
{
    (void)module;
    return PyCallable_Check(guard.handler) ? PyObject_Call(guard.handler, args, NULL) : Py_NewRef(Py_None);
}

static bool
is_trap(PyObject *number)
{
    return PyLong_Check(number) && PyLong_AsLong(number) == SIGTRAP;
}

static bool
is_handler(PyObject *handler)
{
    return PyCallable_Check(handler) || (PyLong_Check(handler) && (PyLong_AsLong(handler) == (long)SIG_DFL || PyLong_AsLong(handler) == (long)SIG_IGN));
}

static PyMethodDef dispatch_method = {"dispatch", dispatch, METH_VARARGS, NULL};

// Makes `dispatch` the interpreter's handler, with its own function `signal`: 0, or -1 with its exception, a ValueError if this is not the main thread.
static int
install(PyObject *signal)
{
    PyObject *dispatcher = PyCFunction_New(&dispatch_method, NULL);
    PyObject *before = dispatcher ? PyObject_CallFunction(signal, "iO", SIGTRAP, dispatcher) : NULL;
    if (before) {
        guard.main_thread = PyThread_get_thread_ident();
        set_handler(before);
    }
    Py_XDECREF(dispatcher);
    Py_XDECREF(before);
    return before ? 0 : -1;
}

// The same while the engine has SIGTRAP. In the moment that it has not, a fault of another thread is lost: the interpreter takes its signal, which is not the
// next handler's to see.
static int
install_late(void)
{
    pmt_prim_trap_hold();
    int err = install(guard.signal);
    pmt_prim_trap_resume(err == 0);
    return err < 0 ? -1 : PyErr_CheckSignals();
}

// What the interpreter would refuse goes to it, for its own exception.
static PyObject *
guarded_signal(PyObject *module, PyObject *args)
{
    (void)module;
    bool ours = PyTuple_GET_SIZE(args) == 2 && is_trap(PyTuple_GET_ITEM(args, 0)) && is_handler(PyTuple_GET_ITEM(args, 1)) &&
                (!guard.main_thread || PyThread_get_thread_ident() == guard.main_thread);
    PyErr_Clear();
    if (!ours) {
        return PyObject_Call(guard.signal, args, NULL);
    }
    if (!guard.main_thread && install_late() < 0) {
        return NULL;
    }
    PyObject *before = Py_NewRef(guard.handler);
    set_handler(PyTuple_GET_ITEM(args, 1));
    return before;
}

static PyObject *
guarded_getsignal(PyObject *module, PyObject *number)
{
    (void)module;
    bool ours = is_trap(number);
    PyErr_Clear();
    return ours ? Py_NewRef(guard.handler) : PyObject_CallOneArg(guard.getsignal, number);
}

static PyMethodDef signal_method = {"signal", guarded_signal, METH_VARARGS, NULL};
static PyMethodDef getsignal_method = {"getsignal", guarded_getsignal, METH_O, NULL};

// Puts a function of ours into `module` with the documentation of the one it stands in for; that one is returned, a new reference.
static PyObject *
stand_in(PyObject *module, PyMethodDef *method)
{
    PyObject *original = PyObject_GetAttrString(module, method->ml_name);
    const char *doc = original && PyCFunction_Check(original) ? ((PyCFunctionObject *)original)->m_ml->ml_doc : NULL;
    method->ml_doc = doc;
    PyObject *name = PyUnicode_FromString("_signal");
    PyObject *ours = original && name ? PyCFunction_NewEx(method, NULL, name) : NULL;
    if (!ours || PyObject_SetAttrString(module, method->ml_name, ours) < 0) {
        Py_CLEAR(original);
    }
    Py_XDECREF(name);
    Py_XDECREF(ours);
    return original;
}

PyObject *
pmt_guard_trap(PyObject *self, PyObject *ignored)
{
    (void)self, (void)ignored;
    if (guard.signal) {
        Py_RETURN_NONE;
    }
    PyObject *module = PyImport_ImportModule("_signal");
    PyObject *known = module ? PyObject_CallMethod(module, "getsignal", "i", SIGTRAP) : NULL;
    PyObject *signal = known && known != Py_None ? PyObject_GetAttrString(module, "signal") : NULL;  // None: a handler that is not Python's
    if (signal) {
        if (install(signal) < 0 && PyErr_ExceptionMatches(PyExc_ValueError)) {
            PyErr_Clear();
            set_handler(known);
        }
        if (!PyErr_Occurred()) {
            guard.signal = stand_in(module, &signal_method);
            guard.getsignal = stand_in(module, &getsignal_method);
        }
    }
    Py_XDECREF(known);
    Py_XDECREF(signal);
    Py_XDECREF(module);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
pmt_release_trap(PyObject *self, PyObject *ignored)
{
    (void)self, (void)ignored;
    PyObject *module = guard.signal ? PyImport_ImportModule("_signal") : NULL;
    PyObject *before = module && guard.main_thread ? PyObject_CallFunction(guard.signal, "iO", SIGTRAP, guard.handler) : NULL;
    if (PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Clear();  // not the main thread: the guard stays, which does no harm
    } else if (module) {
        PyObject_SetAttrString(module, "signal", guard.signal);
        PyObject_SetAttrString(module, "getsignal", guard.getsignal);
        Py_CLEAR(guard.signal);
        Py_CLEAR(guard.getsignal);
        Py_CLEAR(guard.handler);
        guard.main_thread = 0;
    }
    Py_XDECREF(before);
    Py_XDECREF(module);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

void
pmt_keep_trap(void)
{
    if (!guard.signal) {
        return;
    }
    pmt_prim_trap_hold();
    PyObject *before = PyObject_CallFunction(guard.signal, "ii", SIGTRAP, 0);  // SIG_DFL: nothing for it to reset
    pmt_prim_trap_resume(false);
    Py_XDECREF(before);
    PyErr_Clear();  // not the main thread: nothing has changed
}
