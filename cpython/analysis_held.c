// Who holds the memory, for Python: one moment for the tables of a report. (Many: analysis_history.c.)
#include "analysis.h"

#include <errno.h>
#include <string.h>

#include "analyze/moment.h"
#include "analyze/owners.h"
#include "analyze/releases.h"
#include "analysis_held.h"

// ---- the moment asked for ----

bool
moment_of(PyObject *object, pmt_moment_t *moment)
{
    static const char *const kinds[] = {[PMT_MOMENT_PEAK] = "peak", [PMT_MOMENT_END] = "end", [PMT_MOMENT_TIME] = "time", [PMT_MOMENT_NAME] = "name"};
    const char *kind;
    PyObject *value = Py_None;
    *moment = (pmt_moment_t){.kind = PMT_MOMENT_TOUCHED};
    if (object == Py_None) {
        return true;
    }
    if (!PyTuple_Check(object)) {
        PyErr_SetString(PyExc_TypeError, "at must be a tuple or None");
        return false;
    }
    if (!PyArg_ParseTuple(object, "s|O", &kind, &value)) {
        return false;
    }
    for (unsigned i = PMT_MOMENT_PEAK; i <= PMT_MOMENT_NAME; i++) {
        moment->kind = strcmp(kind, kinds[i]) == 0 ? (enum pmt_moment_e)i : moment->kind;
    }
    if (moment->kind == PMT_MOMENT_TIME) {
        moment->time = PyLong_AsUnsignedLongLong(value);
    } else if (moment->kind == PMT_MOMENT_NAME) {
        moment->name = PyUnicode_AsUTF8(value);
    } else if (moment->kind == PMT_MOMENT_TOUCHED) {
        PyErr_SetString(PyExc_ValueError, "at must be peak, end, time or name");
    }
    return !PyErr_Occurred();
}

uint32_t
process_with(const pmt_profile_t *profile, uint64_t pid)
{
    for (uint32_t i = 0; pid && i < profile->process_count; i++) {
        if (profile->processes[i].pid == pid) {
            return i;
        }
    }
    return 0;
}

int
hold(result_t *result, held_t *held, const char *path, uint64_t pid, const pmt_moment_t *moment, char error[PMT_ERROR_MAX])
{
    held->process = process_with(&result->profile, pid);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t process = held->process;
        pmt_moment_find(&result->profile, &process, &(pmt_moment_t){.kind = i ? PMT_MOMENT_END : PMT_MOMENT_PEAK}, i ? &held->end : &held->peak);
    }
    held->known = moment->kind != PMT_MOMENT_TOUCHED && pmt_moment_find(&result->profile, &held->process, moment, &held->time);
    if (!held->known) {
        return 0;
    }
    int err = pmt_owners_read(&held->owners, &result->profile, path, &held->time, 1, error);
    if (err) {
        return err;
    }
    pmt_owners_fill(&held->owners, &result->profile, 0, pid);
    const pmt_process_row_t *row = &result->profile.processes[held->process];
    if (moment->kind == PMT_MOMENT_PEAK && row->rss_peak) {  // the reading that made it the peak
        pmt_held_t *books = pmt_owners_held(&held->owners, 0, held->process);
        books->has_rss = true;
        books->rss = row->rss_peak;
    }
    return 0;
}

// ---- the books ----

static PyObject *
held_item(const result_t *result, const pmt_held_t *held)
{
    long long size[PMT_HELD_COUNT];
    for (int i = 0; i < PMT_HELD_COUNT; i++) {
        size[i] = (long long)((uint64_t)held->pages[i] * result->profile.info.page_size);
    }
    return Py_BuildValue("(NLLLLLLLL)", number_or_none(held->has_rss, held->rss), size[PMT_HELD_BEFORE], size[PMT_HELD_FILE], size[PMT_HELD_SHARED],
                         size[PMT_HELD_KERNEL], size[PMT_HELD_TRACER], size[PMT_HELD_EXACT], size[PMT_HELD_FILL], size[PMT_HELD_BY_TIME]);
}

PyObject *
held_list(const result_t *result, const pmt_owners_t *owners, uint32_t moment)
{
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list && i < owners->process_count; i++) {
        if (!append(list, held_item(result, pmt_owners_held(owners, moment, i)))) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyObject *
snapshot_item(result_t *result, uint32_t i)
{
    const pmt_snapshot_row_t *row = &result->profile.snapshots[i];
    return Py_BuildValue("(IIKNKN)", row->process, row->kind, (unsigned long long)row->time, number_or_none(row->end != 0, (int64_t)row->end),
                         (unsigned long long)row->error, text(result, row->name));
}

static PyObject *
mark_item(result_t *result, uint32_t i)
{
    const pmt_note_row_t *row = &result->profile.notes[i];
    return Py_BuildValue("(IKN)", result->profile.threads[row->thread].process, (unsigned long long)row->time, text(result, row->text));
}

static PyObject *
allocator_item(result_t *result, uint32_t i)
{
    const pmt_allocator_row_t *row = &result->profile.allocators[i];
    return Py_BuildValue("(IKNK)", row->process, (unsigned long long)row->time, text(result, row->name), (unsigned long long)row->value);
}

// When RSS was highest within parts of the run.
static PyObject *
highs_list(const pmt_highs_t *highs)
{
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list && i < PMT_HIGHS; i++) {
        if (highs->rss[i] > 0 && !append(list, PyLong_FromUnsignedLongLong(highs->times[i]))) {
            Py_CLEAR(list);
        }
    }
    return list;
}

bool
put_held(PyObject *dict, result_t *result, const held_t *held)
{
    PyObject *books = held->known ? held_list(result, &held->owners, 0) : Py_NewRef(Py_None);
    return put(dict, "held", books) && put(dict, "at_ns", number_or_none(held->known, (int64_t)held->time)) &&
           put_number(dict, "at_process", held->process) && put_number(dict, "peak_ns", held->peak) && put_number(dict, "end_ns", held->end) &&
           put(dict, "snapshots", list_of(result, result->profile.snapshot_count, snapshot_item)) &&
           put(dict, "highs", highs_list(&result->profile.highs)) && put(dict, "marks", list_of(result, result->profile.note_count, mark_item)) &&
           put(dict, "allocators", list_of(result, result->profile.allocator_count, allocator_item));
}

// ---- lines alone ----

static PyObject *
line_item(result_t *result, const pmt_row_t *row)
{
    return Py_BuildValue("(NINIKK)", text(result, row->key.file), row->key.line, text(result, row->key.name), row->key.first_line, bytes(result, row->self.pages),
                         (unsigned long long)row->self.faults);
}

// Makes tables once, for the texts that they add: a result's texts are counted before its dict is made.
static int
add_texts(result_t *result)
{
    int err = pmt_tables_build(&result->tables, &result->profile);
    pmt_tables_fini(&result->tables);
    return err;
}

// The lines to which the stacks' weights give something.
static PyObject *
line_list(result_t *result)
{
    pmt_tables_t tables;
    PyObject *lines = PyList_New(0);
    if (pmt_tables_build(&tables, &result->profile) < 0) {
        Py_CLEAR(lines);
        PyErr_NoMemory();
    }
    for (uint32_t i = 0; lines && i < tables.lines.count; i++) {
        const pmt_row_t *row = pmt_table_at(&tables.lines, i);
        if (row->self.pages && !append(lines, line_item(result, row))) {
            Py_CLEAR(lines);
        }
    }
    pmt_tables_fini(&tables);
    return lines;
}

// ---- releases ----

static bool
put_releases(PyObject *dict, result_t *result, void *all)
{
    const pmt_weight_t *sum = all;
    return put(dict, "lines", line_list(result)) && put_number(dict, "bytes", bytes(result, sum->pages)) && put_number(dict, "count", sum->faults);
}

const char releases_doc[] = "releases(path, pid=None) -> dict\n\nWhich lines gave memory back; see _analysis.pyi.";

PyObject *
releases(PyObject *module, PyObject *args)
{
    PyObject *path, *pid_object = Py_None, *fs_path = NULL, *dict = NULL;  // path, pid_object: borrowed
    uint64_t pid;
    char error[PMT_ERROR_MAX] = "";
    result_t result = {0};
    pmt_weight_t all = {0};
    if (!PyArg_ParseTuple(args, "O|O:releases", &path, &pid_object) || !pid_of(module, path, pid_object, &pid) || !PyUnicode_FSConverter(path, &fs_path)) {
        return NULL;
    }
    int err;
    Py_BEGIN_ALLOW_THREADS
    err = pmt_profile_read(&result.profile, PyBytes_AS_STRING(fs_path), pid, error);
    err = err ? err : pmt_releases_read(&result.profile, PyBytes_AS_STRING(fs_path), pid, &all, error);
    err = err ? err : add_texts(&result);
    Py_END_ALLOW_THREADS
    if (err) {
        raise_read_error(module, path, err, error);
    } else {
        dict = make_dict(&result, put_releases, &all);
    }
    pmt_profile_fini(&result.profile);
    Py_DECREF(fs_path);
    return dict;
}
