// Hooks: being told by the interpreter of each call, return and line, and putting that into the thread's lane (core/capture/lane.h). There are backends for different
// versions of it. With the interpreter's lock, except in what is called back, which has it anyway.
#pragma once

#include "compat.h"

#include "base/filter.h"
#include "capture/lane.h"

// To measure with: how much of a hook's work is done. HOOKS_ALL but for benchmarks, and for the test of RSS, which wants more than all.
typedef enum pmt_hooks_step_e {
    PMT_HOOKS_ALL,
    PMT_HOOKS_EMPTY,
    PMT_HOOKS_CLOCK,
    PMT_HOOKS_RECORD,
    PMT_HOOKS_RSS,
    PMT_HOOKS_CHECK,
    PMT_HOOKS_LEAST,
    PMT_HOOKS_STEPS
} pmt_hooks_step_t;

typedef struct pmt_hooks_options_s {
    bool lines, c_calls;
    pmt_lanes_options_t lanes;
    pmt_filter_t filter;  // its last exclude is the tracer's own folder; pmt_hooks_on takes its texts, from PyMem_Malloc
    pmt_hooks_step_t step;
    PyObject *awaited;  // borrowed, or NULL: the globals of the code with which events begin
    bool anew;  // set by pmt_hooks_on: other code is wanted than before, also of what was left out then
} pmt_hooks_options_t;

typedef struct pmt_hooks_backend_s {
    const char *name;
    // 0, or -errno with the reason why not. Nothing of it stays then.
    int (*attach)(const pmt_hooks_options_t *options, char reason[PMT_REASON_MAX]);
    // The number of threads that were not heard of to the end: somebody else's function had taken the place of ours, or it never had one.
    unsigned (*detach)(void);
    // The calling thread is new. NULL: the backend sees all threads.
    void (*add_thread)(void);
} pmt_hooks_backend_t;

extern const pmt_hooks_backend_t pmt_hooks_monitoring;  // 3.12 and later
extern const pmt_hooks_backend_t pmt_hooks_profile;     // 3.11

// Events are recorded from here on, in the session that runs. 0, or -errno with the reason, of which the trace knows too. In a fork child, where hooks are still attached,
// it begins anew.
int pmt_hooks_on(const pmt_hooks_options_t *options, char reason[PMT_REASON_MAX]);
void pmt_hooks_off(void);
bool pmt_hooks_are_on(void);
void pmt_hooks_add_thread(void);

// The ids of the calling thread's open frames: pmt_interp_t.open_codes.
uint32_t pmt_hooks_open_codes(uint32_t *out, uint32_t max, bool opens);
bool pmt_hooks_has_begun(void);

// A function or method whose calls are told as those of Python code.
static inline bool
pmt_callee_is_python(PyObject *callable)
{
    return PyFunction_Check(callable) || (PyMethod_Check(callable) && PyFunction_Check(PyMethod_GET_FUNCTION(callable)));
}

// least.c: what any log with a time, 8 bytes and RSS no older than `stale` ticks must do at an event, and nothing else: the floor of ours, for benchmarks.
int pmt_least_begin(uint64_t stale);
void pmt_least_event(unsigned kind);

// callees.c: the id of a C function or type that is called, of an exception's type. 0: lost.
uint32_t pmt_callee_id(PyObject *callable);
uint32_t pmt_type_id(PyTypeObject *type);
