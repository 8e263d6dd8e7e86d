// Who held the memory over time, for Python: the owners, and by how much each differs from one moment to the next.
#include <errno.h>
#include <stdlib.h>

#include "analysis.h"
#include "analysis_held.h"

typedef struct history_s {
    pmt_owners_t owners;
    pmt_step_t *steps;
    uint32_t count;
    uint64_t times[PMT_MOMENTS_MAX];
    uint32_t time_count;
} history_t;

static PyObject *
cgroup_item(const pmt_cgroup_t *cgroup)
{
    return Py_BuildValue("(NN)", number_or_none(cgroup->usage_kib >= 0, cgroup->usage_kib), number_or_none(cgroup->limit_kib >= 0, cgroup->limit_kib));
}

static bool
put_books(PyObject *dict, const result_t *result, const pmt_owners_t *owners)
{
    PyObject *held = PyList_New(0), *cgroup = PyList_New(0);
    bool done = held && cgroup;
    for (uint32_t i = 0; done && i < owners->time_count; i++) {
        done = append(held, held_list(result, owners, i)) && append(cgroup, cgroup_item(&owners->cgroup[i]));
    }
    if (!done) {
        Py_CLEAR(held);
        Py_CLEAR(cgroup);
    }
    return put(dict, "held", held) & put(dict, "cgroup", cgroup);  // both are stolen
}

static PyObject *
place_item(result_t *result, uint32_t number)
{
    const pmt_place_t *place = pmt_table_at(&result->profile.places, number);
    return Py_BuildValue("(NK)", text(result, place->path), (unsigned long long)place->offset);
}

// All owners, by their numbers; those without a stack are None, whom no step names.
static PyObject *
owner_list(const result_t *result, const pmt_owners_t *owners)
{
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list && i < owners->owners.count; i++) {
        const pmt_owner_t *owner = pmt_table_at(&owners->owners, i);
        PyObject *item = owner->node == UINT32_MAX ? Py_NewRef(Py_None)
                                                   : Py_BuildValue("(IIi)", result->tables.tree_of[owner->node], owner->thread, (int)owner->place);
        if (!append(list, item)) {
            Py_CLEAR(list);
        }
    }
    return list;
}

typedef int64_t (*column_t)(const result_t *result, const pmt_step_t *step);

static int64_t
owner_of(const result_t *result, const pmt_step_t *step)
{
    (void)result;
    return step->owner;
}

static int64_t
moment_of_step(const result_t *result, const pmt_step_t *step)
{
    (void)result;
    return step->moment;
}

static int64_t
resident_of(const result_t *result, const pmt_step_t *step)
{
    return (int64_t)((uint64_t)step->resident * result->profile.info.page_size);
}

static int64_t
touched_of(const result_t *result, const pmt_step_t *step)
{
    return (int64_t)bytes(result, step->touched);
}

// 64-bit numbers in the machine's order.
static PyObject *
column(const result_t *result, const history_t *history, column_t value)
{
    PyObject *column = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(history->count * sizeof(int64_t)));
    int64_t *at = column ? (int64_t *)(void *)PyBytes_AS_STRING(column) : NULL;
    for (uint32_t i = 0; column && i < history->count; i++) {
        at[i] = value(result, &history->steps[i]);
    }
    return column;
}

static bool
put_history(PyObject *dict, result_t *result, void *context)
{
    const history_t *history = context;
    const pmt_tables_t *tables = &result->tables;
    return put_books(dict, result, &history->owners) && put(dict, "frames", list_of(result, tables->lines.count, frame_item)) &&
           put(dict, "tree", list_of(result, tables->tree.count, edge_item)) && put(dict, "threads", list_of(result, result->profile.thread_count, name_item)) &&
           put(dict, "places", list_of(result, result->profile.places.count, place_item)) && put(dict, "owners", owner_list(result, &history->owners)) &&
           put(dict, "owner", column(result, history, owner_of)) && put(dict, "moment", column(result, history, moment_of_step)) &&
           put(dict, "resident", column(result, history, resident_of)) && put(dict, "touched", column(result, history, touched_of));
}

// False with an exception.
static bool
take_times(history_t *history, PyObject *list)
{
    Py_ssize_t count = PyList_GET_SIZE(list);
    if (count < 1 || count > PMT_MOMENTS_MAX) {
        PyErr_Format(PyExc_ValueError, "there must be 1 to %d times", PMT_MOMENTS_MAX);
        return false;
    }
    for (history->time_count = 0; history->time_count < count; history->time_count++) {
        uint32_t i = history->time_count;
        history->times[i] = PyLong_AsUnsignedLongLong(PyList_GET_ITEM(list, i));
        if (PyErr_Occurred()) {
            return false;
        }
        if (i && history->times[i] < history->times[i - 1]) {
            PyErr_SetString(PyExc_ValueError, "times must ascend");
            return false;
        }
    }
    return true;
}

static int
read_history(history_t *history, result_t *result, const char *path, uint64_t pid, char error[PMT_ERROR_MAX])
{
    int err = pmt_owners_read(&history->owners, &result->profile, path, history->times, history->time_count, error);
    if (!err) {
        history->steps = pmt_owners_steps(&history->owners, &result->profile, pid, &history->count);
        err = history->steps ? 0 : -ENOMEM;
    }
    return err;
}

static int
read_file(result_t *result, const char *path, uint64_t pid, char error[PMT_ERROR_MAX])
{
    int err = pmt_profile_read(&result->profile, path, pid, error);
    return err ? err : pmt_tables_build(&result->tables, &result->profile);
}

// unread: the result is still empty.
static PyObject *
history_dict(PyObject *module, PyObject *path, uint64_t pid, history_t *history, result_t *result, bool unread)
{
    PyObject *fs_path, *dict = NULL;
    char error[PMT_ERROR_MAX] = "";
    if (!PyUnicode_FSConverter(path, &fs_path)) {
        return NULL;
    }
    int err;
    Py_BEGIN_ALLOW_THREADS
    err = unread ? read_file(result, PyBytes_AS_STRING(fs_path), pid, error) : 0;
    err = err ? err : read_history(history, result, PyBytes_AS_STRING(fs_path), pid, error);
    Py_END_ALLOW_THREADS
    if (err) {
        raise_read_error(module, path, err, error);
    } else {
        dict = make_dict(result, put_history, history);
    }
    pmt_owners_fini(&history->owners);
    free(history->steps);
    Py_DECREF(fs_path);
    return dict;
}

const char history_doc[] = "history(path, pid, times, read=None) -> dict\n\nWho held the memory at these times; see _analysis.pyi.";

PyObject *
history(PyObject *module, PyObject *args)
{
    PyObject *path, *pid_object, *times, *read = Py_None, *dict = NULL;  // the first four: borrowed
    uint64_t pid;
    if (!PyArg_ParseTuple(args, "OOO!|O:history", &path, &pid_object, &PyList_Type, &times, &read) || !pid_of(module, path, pid_object, &pid)) {
        return NULL;
    }
    result_t *own = read == Py_None ? new_result() : NULL, *result = read == Py_None ? own : kept_result(read);
    history_t *history = result ? calloc(1, sizeof *history) : NULL;
    if (history && take_times(history, times)) {
        dict = history_dict(module, path, pid, history, result, own);
    } else if (!PyErr_Occurred()) {
        PyErr_NoMemory();
    }
    if (own) {
        free_result(own);
    }
    free(history);
    return dict;
}
