// What analyze() needs of analysis_held.c.
#pragma once

#include "analysis.h"
#include "analyze/moment.h"
#include "analyze/owners.h"

typedef struct held_s {
    pmt_owners_t owners;
    uint64_t time;
    uint32_t process;
    bool known;  // there is such a moment
    uint64_t peak, end;  // the times of these two, whatever was asked for
} held_t;

// The moment in a tuple ("peak",), ("end",), ("time", ns), ("name", text), or None: touched. False with an exception.
bool moment_of(PyObject *object, pmt_moment_t *moment);
// The process of this pid, or the first one.
uint32_t process_with(const pmt_profile_t *profile, uint64_t pid);
// Puts what was resident at the moment in the place of what was touched. Without the GIL. 0 or as pmt_owners_read. `held` is zeroed by the caller, its owners need fini.
int hold(result_t *result, held_t *held, const char *path, uint64_t pid, const pmt_moment_t *moment, char error[PMT_ERROR_MAX]);
bool put_held(PyObject *dict, result_t *result, const held_t *held);

// A list of each process's books at a moment.
PyObject *held_list(const result_t *result, const pmt_owners_t *owners, uint32_t moment);

PyObject *releases(PyObject *module, PyObject *args);
extern const char releases_doc[];

// analysis_history.c
PyObject *history(PyObject *module, PyObject *args);
extern const char history_doc[];
