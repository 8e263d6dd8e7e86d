// pymemtrace._analysis.stacks: which stack of which thread holds how much at a moment, and touched how much. For exports, which keep threads apart.
#include "analysis.h"

#include <errno.h>
#include <stdlib.h>

#include "analysis_held.h"

typedef struct reading_s {
    held_t held;
    uint64_t pid;    // 0: all
    int64_t *pages;  // of each owner at the moment
} reading_t;

static int
read_stacks(result_t *result, reading_t *reading, const char *path, const pmt_moment_t *asked, char error[PMT_ERROR_MAX])
{
    pmt_moment_t moment = asked->kind == PMT_MOMENT_TOUCHED ? (pmt_moment_t){.kind = PMT_MOMENT_PEAK} : *asked;
    int err = pmt_profile_read(&result->profile, path, reading->pid, error);
    err = err ? err : hold(result, &reading->held, path, reading->pid, &moment, error);
    err = err ? err : pmt_tables_build(&result->tables, &result->profile);
    if (err) {
        return err;
    }
    reading->pages = calloc((size_t)reading->held.owners.owners.count + 1, sizeof *reading->pages);
    if (!reading->pages) {
        return -ENOMEM;
    }
    pmt_owners_pages(&reading->held.owners, 0, reading->pages);
    return 0;
}

static PyObject *
owner_item(result_t *result, const pmt_owner_t *owner, int64_t pages)
{
    const pmt_place_t *place = owner->place == UINT32_MAX ? NULL : pmt_table_at(&result->profile.places, owner->place);
    return Py_BuildValue("(IINKLKK)", result->tables.tree_of[owner->node], owner->thread, text(result, place ? place->path : UINT32_MAX),
                         (unsigned long long)(place ? place->offset : 0), (long long)bytes(result, (uint64_t)pages), bytes(result, owner->touched),
                         (unsigned long long)owner->faults);
}

// Those that have a stack, of the process asked for.
static PyObject *
owner_list(result_t *result, const reading_t *reading)
{
    const pmt_profile_t *profile = &result->profile;
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list && i < reading->held.owners.owners.count; i++) {
        const pmt_owner_t *owner = pmt_table_at(&reading->held.owners.owners, i);
        if (owner->node == UINT32_MAX || (reading->pid && profile->processes[profile->threads[owner->thread].process].pid != reading->pid)) {
            continue;
        }
        if (!append(list, owner_item(result, owner, reading->pages[i]))) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static bool
fill(PyObject *dict, result_t *result, void *context)
{
    return put(dict, "frames", list_of(result, result->tables.lines.count, frame_item)) && put(dict, "nodes", list_of(result, result->tables.tree.count, edge_item)) &&
           put(dict, "threads", list_of(result, result->profile.thread_count, name_item)) && put(dict, "owners", owner_list(result, context));
}

const char stacks_doc[] = "stacks(path, pid, at) -> dict\n\nWhich stack of which thread holds and touched how much; see _analysis.pyi.";

PyObject *
stacks(PyObject *module, PyObject *args)
{
    PyObject *path, *pid_object, *at, *fs_path = NULL, *dict = NULL;  // the first three: borrowed
    char error[PMT_ERROR_MAX] = "";
    result_t result = {0};
    reading_t reading = {0};
    pmt_moment_t moment;
    if (!PyArg_ParseTuple(args, "OOO:stacks", &path, &pid_object, &at) || !moment_of(at, &moment) || !pid_of(module, path, pid_object, &reading.pid) ||
        !PyUnicode_FSConverter(path, &fs_path)) {
        return NULL;
    }
    int err;
    Py_BEGIN_ALLOW_THREADS
    err = read_stacks(&result, &reading, PyBytes_AS_STRING(fs_path), &moment, error);
    Py_END_ALLOW_THREADS
    if (err) {
        raise_read_error(module, path, err, error);
    } else {
        dict = make_dict(&result, fill, &reading);
    }
    free(reading.pages);
    pmt_owners_fini(&reading.held.owners);
    pmt_tables_fini(&result.tables);
    pmt_profile_fini(&result.profile);
    Py_DECREF(fs_path);
    return dict;
}
