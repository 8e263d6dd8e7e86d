// All that differs between CPython versions (3.11, 3.12, 3.13). Nothing else in the project looks at PY_VERSION_HEX.
// Everything named _sigsafe runs in a signal handler, with or without the interpreter's lock: it only reads the calling thread's own structures.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

// The frames' layout is internal; these headers ship with every interpreter.
#ifndef Py_BUILD_CORE
#define Py_BUILD_CORE 1
#endif
#include <internal/pycore_frame.h>
#include <opcode.h>
#include <structmember.h>

typedef struct _PyInterpreterFrame pmt_pyframe_t;

#if PY_VERSION_HEX < 0x030b0000 || PY_VERSION_HEX >= 0x030e0000
#error "frames of this Python version have not been looked at: extend compat.h"
#endif

// The frame of a thread that runs Python code innermost, or NULL.
static inline pmt_pyframe_t *
pmt_compat_top_frame_sigsafe(PyThreadState *tstate)
{
#if PY_VERSION_HEX >= 0x030d0000
    return tstate->current_frame;
#else
    return tstate->cframe->current_frame;
#endif
}

static inline void
pmt_compat_set_top_frame(PyThreadState *tstate, pmt_pyframe_t *frame)
{
#if PY_VERSION_HEX >= 0x030d0000
    tstate->current_frame = frame;
#else
    tstate->cframe->current_frame = frame;
#endif
}

// At what instruction of the bytecode the frame is, as it stands in the frame.
static inline const _Py_CODEUNIT *
pmt_compat_instruction_sigsafe(const pmt_pyframe_t *frame)
{
#if PY_VERSION_HEX >= 0x030d0000
    return frame->instr_ptr;
#else
    return frame->prev_instr;
#endif
}

// What stands in the frame as its code object; not looked at.
static inline uintptr_t
pmt_compat_executable_sigsafe(const pmt_pyframe_t *frame)
{
#if PY_VERSION_HEX >= 0x030d0000
    return (uintptr_t)frame->f_executable;
#else
    return (uintptr_t)frame->f_code;
#endif
}

// The frame is the interpreter's own, at the entry of its evaluation loop: it lies on the C stack.
static inline bool
pmt_compat_is_entry_sigsafe(const pmt_pyframe_t *frame)
{
#if PY_VERSION_HEX >= 0x030c0000
    return frame->owner == FRAME_OWNED_BY_CSTACK;
#else
    (void)frame;
    return false;
#endif
}

// The frame's code object; NULL for a frame that is not (yet) a Python function's: the interpreter's own entry frames, and frames that have not reached
// their first traceable instruction.
static inline PyCodeObject *
pmt_compat_code_sigsafe(const pmt_pyframe_t *frame)
{
    if (pmt_compat_is_entry_sigsafe(frame)) {
        return NULL;
    }
    PyObject *object = (PyObject *)pmt_compat_executable_sigsafe(frame);
    const _Py_CODEUNIT *at = pmt_compat_instruction_sigsafe(frame);
    if (!object || Py_TYPE(object) != &PyCode_Type) {
        return NULL;
    }
    PyCodeObject *code = (PyCodeObject *)object;
    bool incomplete = frame->owner != FRAME_OWNED_BY_GENERATOR && at < _PyCode_CODE(code) + code->_co_firsttraceable;
    return incomplete ? NULL : code;
}

// The offset in bytes of the frame's present instruction.
static inline uint32_t
pmt_compat_offset_sigsafe(const pmt_pyframe_t *frame, PyCodeObject *code)
{
    const _Py_CODEUNIT *at = pmt_compat_instruction_sigsafe(frame);
    return (uint32_t)((const char *)at - (const char *)_PyCode_CODE(code));
}

// 3.11 leaves a frame on top while it takes it down, and gives back its code object meanwhile. Its stack of values is then stored in the frame.
static inline bool
pmt_compat_is_dying_sigsafe(const pmt_pyframe_t *frame)
{
#if PY_VERSION_HEX >= 0x030c0000
    (void)frame;
    return false;
#else
    return frame->stacktop >= 0;
#endif
}

// A number that no two code objects share, or 0: this version has none.
static inline uint32_t
pmt_compat_code_version_sigsafe(const PyCodeObject *code)
{
#if PY_VERSION_HEX >= 0x030c0000
    return code->co_version;
#else
    (void)code;
    return 0;
#endif
}

// How hooks find a code object again in a moment (core/capture/code_table.h): by its address and number; where it has none, by what stands in it, under a key of its own,
// because the fingerprint of what it stands for takes longer.
typedef struct pmt_compat_identity_s {
    uint64_t key;
    uint32_t check;
} pmt_compat_identity_t;

static inline pmt_compat_identity_t
pmt_compat_code_identity(const PyCodeObject *code)
{
#if PY_VERSION_HEX >= 0x030c0000
    return (pmt_compat_identity_t){(uintptr_t)code, code->co_version};
#else
    uint64_t mixed = (uint64_t)(uintptr_t)code->co_linetable ^ (uint64_t)(uintptr_t)code->co_qualname << 17 ^ (uint64_t)(uintptr_t)code->co_filename << 31;
    return (pmt_compat_identity_t){(uintptr_t)code | 1, (uint32_t)(mixed >> 32) ^ (uint32_t)mixed ^ (uint32_t)code->co_firstlineno};
#endif
}

// A line number as sys.monitoring gives it.
static inline uint32_t
pmt_compat_line(PyObject *number)
{
#if PY_VERSION_HEX >= 0x030c0000
    return PyUnstable_Long_IsCompact((PyLongObject *)number) ? (uint32_t)PyUnstable_Long_CompactValue((PyLongObject *)number) : 0;
#else
    return (uint32_t)PyLong_AsLong(number);
#endif
}

// A slot bound to an object, [].__len__. The type is not declared everywhere, but no other static one has its name.
static inline bool
pmt_compat_is_method_wrapper(PyObject *callable)
{
    const PyTypeObject *type = Py_TYPE(callable);
    return !(type->tp_flags & Py_TPFLAGS_HEAPTYPE) && strcmp(type->tp_name, "method-wrapper") == 0;
}

// What a method-wrapper was made of: its layout is descrobject.c's own.
static inline PyObject *
pmt_compat_method_wrapper_descriptor(PyObject *wrapper)
{
    return *(PyObject **)(wrapper + 1);
}

// Whether each thread has profile and trace functions of its own, and needs them. Later versions have sys.monitoring.
#if PY_VERSION_HEX >= 0x030c0000
#define PMT_COMPAT_PROFILES 0
#else
#define PMT_COMPAT_PROFILES 1
#endif

static inline void
pmt_compat_set_profile(PyThreadState *thread, Py_tracefunc function)
{
#if PMT_COMPAT_PROFILES
    if (_PyEval_SetProfile(thread, function, NULL) < 0) {
        PyErr_Clear();  // an audit hook refused
    }
#else
    (void)thread, (void)function;
#endif
}

static inline void
pmt_compat_set_trace(PyThreadState *thread, Py_tracefunc function)
{
#if PMT_COMPAT_PROFILES
    if (_PyEval_SetTrace(thread, function, NULL) < 0) {
        PyErr_Clear();
    }
#else
    (void)thread, (void)function;
#endif
}

// Where a frame is that a profile function is told of.
typedef enum pmt_compat_where_e { PMT_AT_OTHER, PMT_AT_START, PMT_AT_RESUME, PMT_AT_YIELD } pmt_compat_where_t;

static inline pmt_compat_where_t
pmt_compat_where(const pmt_pyframe_t *frame)
{
#if PMT_COMPAT_PROFILES
    _Py_CODEUNIT at = *frame->prev_instr;
    switch (_Py_OPCODE(at)) {
    case RESUME:
    case RESUME_QUICK:
        return _Py_OPARG(at) & 3 ? PMT_AT_RESUME : PMT_AT_START;
    case YIELD_VALUE:
        return PMT_AT_YIELD;
    default:
        return PMT_AT_OTHER;
    }
#else
    (void)frame;
    return PMT_AT_OTHER;
#endif
}

// The report of the interpreter's allocator, as sys._debugmallocstats() makes it; exported by all versions with pymalloc, declared by some. False: pymalloc is not in use.
extern int _PyObject_DebugMallocStats(FILE *out) __attribute__((weak));

static inline bool
pmt_compat_has_malloc_stats(void)
{
    return _PyObject_DebugMallocStats != NULL;
}

static inline bool
pmt_compat_malloc_stats(FILE *out)
{
    return _PyObject_DebugMallocStats(out) != 0;
}

// Where memory for objects comes from, as PYTHONMALLOC calls it; NULL: the interpreter does not know, or does not say.
extern const char *_PyMem_GetCurrentAllocatorName(void) __attribute__((weak));

static inline const char *
pmt_compat_allocator_name(void)
{
    return _PyMem_GetCurrentAllocatorName ? _PyMem_GetCurrentAllocatorName() : NULL;
}

// What is left of the recursion limits.
typedef struct pmt_recursion_s {
    int python, c;
} pmt_recursion_t;

enum { PMT_BOOTSTRAP_C_CALLS = 2 };  // below the program: the evaluation of our bootstrap, and its call of run_main

// Gives the thread the limits it would have without our bootstrap; returns what it had.
static inline pmt_recursion_t
pmt_compat_fresh_recursion(PyThreadState *tstate)
{
#if PY_VERSION_HEX >= 0x030c0000
    pmt_recursion_t before = {tstate->py_recursion_remaining, tstate->c_recursion_remaining};
    tstate->py_recursion_remaining = tstate->py_recursion_limit;
    tstate->c_recursion_remaining += PMT_BOOTSTRAP_C_CALLS;
#else
    pmt_recursion_t before = {tstate->recursion_remaining, 0};
    tstate->recursion_remaining = tstate->recursion_limit;
#endif
    return before;
}

static inline void
pmt_compat_restore_recursion(PyThreadState *tstate, pmt_recursion_t before)
{
#if PY_VERSION_HEX >= 0x030c0000
    tstate->py_recursion_remaining = before.python;
    tstate->c_recursion_remaining = before.c;
#else
    tstate->recursion_remaining = before.python;
#endif
}
