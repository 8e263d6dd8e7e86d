// What the parts of pymemtrace._analysis share: errors, small objects, and the dict of a result.
#pragma once

#include "slots.h"

#include <stdbool.h>

#include "analyze/sieve.h"
#include "analyze/tables.h"

typedef struct module_state_s {
    PyObject *format_error;
    PyObject *log_type;
} module_state_t;

// Everything that a result is made of. texts: one Python string each, made when first needed (owned).
typedef struct result_s {
    pmt_profile_t profile;
    pmt_tables_t tables;
    PyObject **texts;
} result_t;

// Sets the exception that stands for a reader's error; NULL.
PyObject *raise_read_error(PyObject *module, PyObject *path, int err, const char *error);
// The number of a pid argument, None: 0. False with an exception; a number that no process can have raises like one that the trace has not.
bool pid_of(PyObject *module, PyObject *path, PyObject *object, uint64_t *pid);

// A new reference to text `number`; UINT32_MAX: the empty one.
PyObject *text(result_t *result, uint32_t number);
unsigned long long bytes(const result_t *result, uint64_t pages);

// Steals `value`; false with an exception if it is NULL or cannot be stored.
bool put(PyObject *dict, const char *key, PyObject *value);
bool put_number(PyObject *dict, const char *key, uint64_t value);
bool append(PyObject *list, PyObject *item);  // steals `item`
PyObject *number_or_none(bool known, int64_t value);

// What a section shows: (lines, C calls, patterns that end with a NUL each, how many of them to include, and then to exclude). It points into the tuple. False with an exception.
bool take_choice(PyObject *tuple, pmt_choice_t *choice);

typedef PyObject *(*make_item_t)(result_t *result, uint32_t number);
// A list of make(0), make(1), ...; items that are Py_None are left out.
PyObject *list_of(result_t *result, uint32_t count, make_item_t make);

// (file, line, name, first line) of a row of the tables' lines.
PyObject *frame_item(result_t *result, uint32_t number);
// (parent, frame) of a node of the call tree; the root is (-1, -1). (process, tid, name) of a thread.
PyObject *edge_item(result_t *result, uint32_t number);
PyObject *name_item(result_t *result, uint32_t number);

// A result that outlives its dict, in which it stands as a capsule: what needs it too need not read the file again. NULL: no memory.
result_t *new_result(void);
void free_result(result_t *result);
PyObject *keep_result(result_t *result);  // the capsule owns it, if there is one
result_t *kept_result(PyObject *capsule);  // borrowed; NULL with an exception

// A dict made by `fill`, with the texts that this needs. NULL with an exception.
PyObject *make_dict(result_t *result, bool (*fill)(PyObject *dict, result_t *result, void *context), void *context);

// analysis_calls.c
PyObject *calls(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *call_tree(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *line_rows(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *section_calls(PyObject *module, PyObject *args, PyObject *kwargs);
extern const char section_calls_doc[], calls_doc[], call_tree_doc[], line_rows_doc[];

// analysis_stacks.c
PyObject *stacks(PyObject *module, PyObject *args);
extern const char stacks_doc[];

// analysis_log.c
PyObject *make_log_type(PyObject *module);
