// Errors and small objects of pymemtrace._analysis (analysis.h).
#include "analysis.h"

#include <errno.h>
#include <stdlib.h>

PyObject *
raise_read_error(PyObject *module, PyObject *path, int err, const char *error)
{
    module_state_t *state = PyModule_GetState(module);
    if (err == -EBADMSG) {
        PyErr_SetString(state->format_error, error);
    } else if (err == -ESRCH) {
        PyErr_SetString(PyExc_ValueError, "the trace has no process of that pid");
    } else if (err == -ENOMEM) {
        PyErr_NoMemory();
    } else {
        errno = -err;
        PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
    }
    return NULL;
}

// ---- small objects ----

PyObject *
text(result_t *result, uint32_t number)
{
    if (number == UINT32_MAX) {
        return PyUnicode_FromStringAndSize("", 0);
    }
    PyObject **cached = &result->texts[number];
    if (!*cached) {
        const pmt_texts_t *texts = &result->profile.texts;
        *cached = PyUnicode_DecodeUTF8(texts->texts[number], (Py_ssize_t)texts->sizes[number], "surrogatepass");
    }
    return Py_XNewRef(*cached);
}

unsigned long long
bytes(const result_t *result, uint64_t pages)
{
    return pages * result->profile.info.page_size;
}

bool
put(PyObject *dict, const char *key, PyObject *value)
{
    int err = value ? PyDict_SetItemString(dict, key, value) : -1;
    Py_XDECREF(value);
    return err == 0;
}

bool
put_number(PyObject *dict, const char *key, uint64_t value)
{
    return put(dict, key, PyLong_FromUnsignedLongLong(value));
}

bool
append(PyObject *list, PyObject *item)
{
    int err = item ? PyList_Append(list, item) : -1;
    Py_XDECREF(item);
    return err == 0;
}

PyObject *
number_or_none(bool known, int64_t value)
{
    return known ? PyLong_FromLongLong(value) : Py_NewRef(Py_None);
}

PyObject *
list_of(result_t *result, uint32_t count, make_item_t make)
{
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list && i < count; i++) {
        PyObject *item = make(result, i);
        if (item == Py_None) {
            Py_DECREF(item);
        } else if (!append(list, item)) {
            Py_CLEAR(list);
        }
    }
    return list;
}

bool
pid_of(PyObject *module, PyObject *path, PyObject *object, uint64_t *pid)
{
    *pid = 0;
    if (object == Py_None) {
        return true;
    }
    *pid = PyLong_AsUnsignedLongLong(object);
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_OverflowError)) {
        return false;
    }
    if (PyErr_Occurred() || *pid == 0) {
        PyErr_Clear();
        raise_read_error(module, path, -ESRCH, "");
        return false;
    }
    return true;
}

static size_t
nuls_in(const char *texts, Py_ssize_t size)
{
    size_t count = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        count += texts[i] == '\0';
    }
    return count;
}

bool
take_choice(PyObject *tuple, pmt_choice_t *choice)
{
    int lines, c_calls;
    const char *texts;
    Py_ssize_t size, includes, excludes;
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "a choice must be a tuple");
        return false;
    }
    if (!PyArg_ParseTuple(tuple, "ppy#nn:choice", &lines, &c_calls, &texts, &size, &includes, &excludes)) {
        return false;
    }
    if (includes < 0 || excludes < 0 || nuls_in(texts, size) < (size_t)includes + (size_t)excludes) {
        PyErr_SetString(PyExc_ValueError, "there are not so many patterns");
        return false;
    }
    // read only, though a filter of its own would be freed
    *choice = (pmt_choice_t){lines, c_calls, {.texts = (char *)texts, .includes = (size_t)includes, .excludes = (size_t)excludes}};
    return true;
}

// ---- a result that is kept ----

static const char KEPT[] = "pymemtrace._analysis.read";

result_t *
new_result(void)
{
    return calloc(1, sizeof(result_t));
}

void
free_result(result_t *result)
{
    pmt_tables_fini(&result->tables);
    pmt_profile_fini(&result->profile);
    free(result);
}

static void
free_kept(PyObject *capsule)
{
    free_result(PyCapsule_GetPointer(capsule, KEPT));
}

PyObject *
keep_result(result_t *result)
{
    return PyCapsule_New(result, KEPT, free_kept);
}

result_t *
kept_result(PyObject *capsule)
{
    return PyCapsule_GetPointer(capsule, KEPT);
}

PyObject *
make_dict(result_t *result, bool (*fill)(PyObject *dict, result_t *result, void *context), void *context)
{
    uint32_t count = result->profile.texts.count;
    PyObject *dict = PyDict_New();
    result->texts = PyMem_Calloc(count + 1, sizeof *result->texts);
    if (!result->texts) {
        PyErr_NoMemory();
    }
    if (!dict || !result->texts || !fill(dict, result, context)) {
        Py_CLEAR(dict);
    }
    for (uint32_t i = 0; result->texts && i < count; i++) {
        Py_XDECREF(result->texts[i]);
    }
    PyMem_Free(result->texts);
    return dict;
}

PyObject *
edge_item(result_t *result, uint32_t number)
{
    const pmt_tree_node_t *node = pmt_table_at(&result->tables.tree, number);
    return Py_BuildValue("(ii)", number ? (int)node->parent : -1, number ? (int)node->frame : -1);
}

PyObject *
name_item(result_t *result, uint32_t number)
{
    const pmt_thread_row_t *thread = &result->profile.threads[number];
    return Py_BuildValue("(IKN)", thread->process, (unsigned long long)thread->tid, text(result, thread->name));
}
