// What a hook does with an event, for the backends.
#pragma once

#include "capture/lane_inline.h"
#include "hooks.h"

#define PMT_HOOKS_LEFT_OUT UINT32_MAX

extern bool pmt_hooks_filtering;  // some code of the program's is left out

uint32_t pmt_hooks_code_slow(PyCodeObject *code);

// The code object's id, or that its calls are not recorded. 0: none, since what is not Python may tell of anything as its code (PyMonitoring_FirePyStartEvent, 3.13).
static inline uint32_t
pmt_hooks_code(PyCodeObject *code)
{
    if (PMT_UNLIKELY(!PyCode_Check(code))) {
        return 0;
    }
    pmt_compat_identity_t is = pmt_compat_code_identity(code);
    uint32_t found = pmt_code_table_find_sigsafe(&pmt_session.codes, is.key, is.check);
    return PMT_LIKELY(found & PMT_CODE_WANTED) ? found & PMT_CODE_ID : pmt_hooks_code_slow(code);
}

// The same. A code object begins to run with an event of its own, which finds out: until another one's event it is known, whatever was at its address before.
static inline uint32_t
pmt_hooks_code_at(pmt_lane_t *lane, PyCodeObject *code, bool opens)
{
    if (opens || lane->at != code) {
        uint32_t id = pmt_hooks_code(code);
        lane->at = id == 0 || id == PMT_HOOKS_LEFT_OUT ? NULL : code;
        lane->at_id = id;
        return id;
    }
    return lane->at_id;
}

// The same where nothing need be looked for; 0: it need.
static inline uint32_t
pmt_hooks_code_clear(const pmt_lane_t *lane, PyCodeObject *code, bool opens)
{
    if (!opens && lane->at == code) {
        return lane->at_id;
    }
    if (PMT_UNLIKELY(!PyCode_Check(code))) {
        return 0;
    }
    pmt_compat_identity_t is = pmt_compat_code_identity(code);
    uint32_t found = pmt_code_table_peek(&pmt_session.codes, is.key, is.check);
    return PMT_LIKELY(found & PMT_CODE_WANTED) ? found & PMT_CODE_ID : 0;
}

// The three below where a clear lane is not enough: hooks.c.
bool pmt_hooks_python_slow(PyCodeObject *code, unsigned kind, bool opens);
bool pmt_hooks_c_end_slow(PyCodeObject *code, PyObject *callable, unsigned kind);
bool pmt_hooks_line_slow(PyCodeObject *code, uint32_t line);

// An event of a Python function. False: its calls are not recorded.
static inline bool
pmt_hooks_python(PyCodeObject *code, unsigned kind, bool opens)
{
    uint64_t now = 0;
    pmt_lane_t *lane = pmt_lane_clear(&now);
    uint32_t id = lane ? pmt_hooks_code_clear(lane, code, opens) : 0;
    if (PMT_UNLIKELY(id == 0)) {
        return pmt_hooks_python_slow(code, kind, opens);
    }
    lane->at = code;
    lane->at_id = id;
    pmt_lane_put(lane, now, kind, id);
    pmt_lane_publish(lane);
    return true;
}

// An exception leaves a Python function; NULL: of unknown type.
static inline void
pmt_hooks_unwind(PyCodeObject *code, PyTypeObject *type)
{
    uint64_t now;
    pmt_lane_t *lane = pmt_lane_begin(&now, false);
    uint32_t id = lane ? pmt_hooks_code_at(lane, code, false) : PMT_HOOKS_LEFT_OUT;
    if (id != PMT_HOOKS_LEFT_OUT) {
        pmt_lane_put(lane, now, PMT_EVENT_EXCEPTION, type ? pmt_type_id(type) : 0);
        pmt_lane_put(lane, now, PMT_EVENT_UNWIND, id);
        pmt_lane_publish(lane);
    }
}

// An event of a C function that `code` calls. False: calls of that code are not recorded.
static inline bool
pmt_hooks_c_any(PyCodeObject *code, PyObject *callable, unsigned kind)
{
    uint64_t now;
    if (pmt_callee_is_python(callable)) {
        bool filtering = pmt_hooks_filtering && pmt_lane_mine->ring;  // a fork child has nothing to look into until it is traced
        return PMT_LIKELY(!filtering) || pmt_hooks_code(code) != PMT_HOOKS_LEFT_OUT;
    }
    pmt_lane_t *lane = pmt_lane_begin(&now, false);
    if (PMT_UNLIKELY(!lane)) {
        return true;
    }
    if (kind == PMT_EVENT_C_CALL || lane->callee != callable || lane->at != code) {
        if (PMT_UNLIKELY(pmt_hooks_code_at(lane, code, false) == PMT_HOOKS_LEFT_OUT)) {
            return false;
        }
        lane->callee = callable;
        lane->callee_id = pmt_callee_id(callable);
    }
    pmt_lane_put(lane, now, kind, lane->callee_id);
    pmt_lane_publish(lane);
    return true;
}

static inline bool
pmt_hooks_c(PyCodeObject *code, PyObject *callable, unsigned kind)
{
    if (kind == PMT_EVENT_C_CALL) {
        return pmt_hooks_c_any(code, callable, kind);
    }
    uint64_t now = 0;
    pmt_lane_t *lane = pmt_lane_clear(&now);
    if (PMT_UNLIKELY(!lane || lane->callee != callable || lane->at != code)) {
        return pmt_hooks_c_end_slow(code, callable, kind);
    }
    pmt_lane_put(lane, now, kind, lane->callee_id);
    pmt_lane_publish(lane);
    return true;
}

static inline void
pmt_hooks_put_line(pmt_lane_t *lane, uint64_t now, uint32_t id, uint32_t line)
{
    if (id != lane->code) {
        lane->code = id;
        pmt_lane_put(lane, now, PMT_EVENT_CODE, id);
    }
    pmt_lane_put(lane, now, PMT_EVENT_LINE, line & PMT_LANE_PAYLOAD_MAX);
    pmt_lane_publish(lane);
}

// Python is about to run another line. False: its lines are not recorded.
static inline bool
pmt_hooks_line(PyCodeObject *code, uint32_t line)
{
    uint64_t now = 0;
    pmt_lane_t *lane = pmt_lane_clear(&now);
    uint32_t id = lane ? pmt_hooks_code_clear(lane, code, false) : 0;
    if (PMT_UNLIKELY(id == 0)) {
        return pmt_hooks_line_slow(code, line);
    }
    lane->at = code;
    lane->at_id = id;
    pmt_hooks_put_line(lane, now, id, line);
    return true;
}
