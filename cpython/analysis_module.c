// pymemtrace._analysis: the C reader and analysis as plain Python objects. What analyze() returns is described in _analysis.pyi.
#include "analysis.h"
#include "analysis_held.h"

#include <errno.h>

#include "analyze/lag.h"
#include "format/lines.h"
#include "format/wire.h"

static PyObject *
pairs_dict(result_t *result, const pmt_pairs_t *pairs, bool texts)
{
    PyObject *dict = PyDict_New();
    for (uint32_t i = 0; dict && i < pairs->count; i++) {
        PyObject *key = text(result, pairs->list[i].key);
        PyObject *value = texts ? text(result, pairs->list[i].text) : PyLong_FromUnsignedLongLong(pairs->list[i].value);
        if (!key || !value || PyDict_SetItem(dict, key, value) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return dict;
}

// ---- rows ----

// (kind, value, time), or None: the process was not seen to end.
static PyObject *
end_item(const pmt_process_row_t *p)
{
    if (!p->has_end) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue("(KKK)", (unsigned long long)p->end_kind, (unsigned long long)p->end_value, (unsigned long long)p->end_time);
}

static PyObject *
process_item(result_t *result, uint32_t number)
{
    const pmt_process_row_t *p = &result->profile.processes[number];
    PyObject *dict = PyDict_New();
    bool ok = dict && put_number(dict, "pid", p->pid) &&
              put_number(dict, "parent", p->parent) &&
              put_number(dict, "start_ns", p->start) &&
              put(dict, "meta", pairs_dict(result, &p->meta, true)) &&
              put(dict, "counters", pairs_dict(result, &p->counters, false)) &&
              put(dict, "end", end_item(p)) &&
              put(dict, "rss_start", number_or_none(p->has_rss_start, p->rss_start)) &&
              put(dict, "rss_end", number_or_none(p->has_rss_end, p->rss_end)) &&
              put(dict, "rss_peak", PyLong_FromLongLong(p->rss_peak)) && put_number(dict, "rss_peak_ns", p->peak_time) &&
              put_number(dict, "touched", bytes(result, p->touched.pages)) &&
              put_number(dict, "faults", p->touched.faults) &&
              put_number(dict, "period", p->period) &&
              put_number(dict, "period_changes", p->period_changes);
    if (!ok) {
        Py_CLEAR(dict);
    }
    return dict;
}

static PyObject *
thread_item(result_t *result, uint32_t number)
{
    const pmt_thread_row_t *t = &result->profile.threads[number];
    return Py_BuildValue("(IKNKKKK)", t->process, (unsigned long long)t->tid, text(result, t->name), bytes(result, t->touched.pages),
                         (unsigned long long)t->touched.faults, bytes(result, t->touched.by_time), bytes(result, t->touched.fill));
}

static const pmt_row_t *
row(const pmt_table_t *table, uint32_t number)
{
    return pmt_table_at(table, number);
}

PyObject *
frame_item(result_t *result, uint32_t number)
{
    const pmt_frame_name_t *name = &row(&result->tables.lines, number)->key;
    return Py_BuildValue("(NINI)", text(result, name->file), name->line, text(result, name->name), name->first_line);
}

static PyObject *
line_item(result_t *result, uint32_t number)
{
    const pmt_row_t *r = row(&result->tables.lines, number);
    return Py_BuildValue("(IKKKKK)", number, bytes(result, r->self.pages), bytes(result, r->total), (unsigned long long)r->self.faults,
                         bytes(result, r->self.by_time), bytes(result, r->self.fill));
}

static PyObject *
function_item(result_t *result, uint32_t number)
{
    const pmt_row_t *r = row(&result->tables.functions, number);
    return Py_BuildValue("(NINKKKKK)", text(result, r->key.file), r->key.first_line, text(result, r->key.name), bytes(result, r->self.pages),
                         bytes(result, r->total), (unsigned long long)r->self.faults, bytes(result, r->self.by_time), bytes(result, r->self.fill));
}

static PyObject *
file_item(result_t *result, uint32_t number)
{
    const pmt_row_t *r = row(&result->tables.files, number);
    return Py_BuildValue("(NKKKKK)", text(result, r->key.file), bytes(result, r->self.pages), bytes(result, r->total), (unsigned long long)r->self.faults,
                         bytes(result, r->self.by_time), bytes(result, r->self.fill));
}

static PyObject *
tree_item(result_t *result, uint32_t number)
{
    const pmt_tree_node_t *node = pmt_table_at(&result->tables.tree, number);
    return Py_BuildValue("(iiKKK)", number ? (int)node->parent : -1, number ? (int)node->frame : -1, bytes(result, node->self.pages),
                         bytes(result, node->total), (unsigned long long)node->self.faults);
}

// The path and offset of a place, and `weight` of it in `format`; None if nothing was touched there.
static PyObject *
place_item(result_t *result, const pmt_place_t *place, const pmt_weight_t *weight, const char *format)
{
    if (!weight->faults && !weight->pages) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue(format, text(result, place->path), (unsigned long long)place->offset, bytes(result, weight->pages),
                         (unsigned long long)weight->faults, bytes(result, weight->by_time), bytes(result, weight->fill));
}

static PyObject *
native_item(result_t *result, uint32_t number)
{
    const pmt_place_t *place = pmt_table_at(&result->profile.places, number);
    return place_item(result, place, &place->native, "(NKKKKK)");
}

static PyObject *
site_item(result_t *result, uint32_t number)
{
    const pmt_place_t *place = pmt_table_at(&result->profile.places, number);
    return place_item(result, place, &place->all, "(NKKK)");  // without by_time and fill
}

// Sorts a list of tuples by the number at `column`, descending; equal ones keep their order.
static bool
sort_rows(PyObject *list, Py_ssize_t column)
{
    PyObject *operator_module = PyImport_ImportModule("operator");
    PyObject *key = operator_module ? PyObject_CallMethod(operator_module, "itemgetter", "n", column) : NULL;
    PyObject *sort = PyObject_GetAttrString(list, "sort"), *none = PyTuple_New(0), *options = PyDict_New();
    bool ok = key && sort && none && options && PyDict_SetItemString(options, "key", key) == 0 && PyDict_SetItemString(options, "reverse", Py_True) == 0;
    PyObject *done = ok ? PyObject_Call(sort, none, options) : NULL;
    ok = done != NULL;
    Py_XDECREF(operator_module);
    Py_XDECREF(key);
    Py_XDECREF(sort);
    Py_XDECREF(none);
    Py_XDECREF(options);
    Py_XDECREF(done);
    return ok;
}

static bool
put_rows(PyObject *dict, const char *key, result_t *result, uint32_t count, make_item_t make, Py_ssize_t sort_column)
{
    PyObject *list = list_of(result, count, make);
    if (list && sort_column >= 0 && !sort_rows(list, sort_column)) {
        Py_CLEAR(list);
    }
    return put(dict, key, list);
}

// ---- the result ----

static bool
put_tables(PyObject *dict, result_t *result)
{
    const pmt_profile_t *profile = &result->profile;
    const pmt_tables_t *tables = &result->tables;
    return put_rows(dict, "processes", result, profile->process_count, process_item, -1) &&
           put_rows(dict, "threads", result, profile->thread_count, thread_item, -1) &&
           put_rows(dict, "frames", result, tables->lines.count, frame_item, -1) && put_rows(dict, "lines", result, tables->lines.count, line_item, 1) &&
           put_rows(dict, "functions", result, tables->functions.count, function_item, 3) &&
           put_rows(dict, "files", result, tables->files.count, file_item, 1) && put_rows(dict, "tree", result, tables->tree.count, tree_item, -1) &&
           put_rows(dict, "native", result, profile->places.count, native_item, 2) && put_rows(dict, "sites", result, profile->places.count, site_item, 2);
}

typedef struct sums_s {
    uint64_t touched, by_time, kernel, tracer;  // pages
} sums_t;

static sums_t
sum_up(const result_t *result, uint64_t pid)
{
    const pmt_profile_t *profile = &result->profile;
    sums_t sums = {0};
    for (uint32_t i = 0; i < profile->process_count; i++) {
        const pmt_process_row_t *process = &profile->processes[i];
        if (pid && process->pid != pid) {
            continue;
        }
        sums.touched += process->touched.pages;
        sums.by_time += process->touched.by_time;
        sums.kernel += pmt_profile_counter(profile, process, "unowned_pages");
        sums.tracer += pmt_profile_counter(profile, process, "tracer_pages");
    }
    return sums;
}

// (time, faults, bytes, errno, events) of what the file lacks, or None.
static PyObject *
left_out(const result_t *result)
{
    const pmt_profile_t *profile = &result->profile;
    if (!profile->left_out) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue("(KKKKK)", (unsigned long long)profile->left_out_at, (unsigned long long)profile->left_out_faults,
                         (unsigned long long)bytes(result, profile->left_out_pages), (unsigned long long)profile->left_out_error,
                         (unsigned long long)profile->left_out_events);
}

static bool
put_facts(PyObject *dict, result_t *result, uint64_t pid)
{
    const pmt_profile_t *profile = &result->profile;
    sums_t sums = sum_up(result, pid);
    uint64_t left_out_pages = pid ? 0 : profile->left_out_pages;  // not known by process
    return put(dict, "version", Py_BuildValue("(II)", profile->info.major, profile->info.minor)) &&
           put_number(dict, "page_size", profile->info.page_size) &&
           put_number(dict, "rss_lag", bytes(result, pmt_lag_pages(profile))) &&
           put_number(dict, "wall_ns", profile->info.wall) &&
           put(dict, "complete", PyBool_FromLong(profile->complete)) &&
           put_number(dict, "good_bytes", profile->good_bytes) &&
           put_number(dict, "file_bytes", profile->info.file_size) &&
           put_number(dict, "duration_ns", profile->duration) &&
           put_number(dict, "signals", profile->signals) &&
           put(dict, "has_events", PyBool_FromLong(profile->event_records != 0)) &&
           put_number(dict, "fault_bytes", profile->good_bytes - PMT_WIRE_HEADER) &&
           put(dict, "meta", pairs_dict(result, &profile->meta, true)) &&
           put_number(dict, "touched_total", bytes(result, sums.touched + sums.kernel + sums.tracer + left_out_pages)) &&
           put_number(dict, "touched_kernel", bytes(result, sums.kernel)) &&
           put_number(dict, "touched_tracer", bytes(result, sums.tracer)) &&
           put_number(dict, "touched_by_time", bytes(result, sums.by_time)) &&
           put_number(dict, "lost", profile->lost) &&
           put(dict, "left_out", left_out(result)) &&
           put(dict, "limit_kib", number_or_none(profile->limit_kib >= 0, profile->limit_kib)) &&
           put(dict, "cgroup_peak_kib", number_or_none(profile->has_cgroup, profile->cgroup_peak_kib));
}

typedef struct view_s {
    uint64_t pid;
    held_t held;
} view_t;

static bool
put_all(PyObject *dict, result_t *result, void *context)
{
    const view_t *view = context;
    return put_facts(dict, result, view->pid) && put_tables(dict, result) && put_held(dict, result, &view->held);
}

// The dict with the result in it, which it keeps for history(). Without a dict: NULL, and the result is freed.
static PyObject *
with_read(PyObject *dict, result_t *result)
{
    PyObject *kept = dict ? keep_result(result) : NULL;
    if (!kept) {
        free_result(result);
    }
    if (dict && !put(dict, "read", kept)) {
        Py_CLEAR(dict);
    }
    return dict;
}

PyDoc_STRVAR(analyze_doc, "analyze(path, pid=None, at=None) -> dict\n\nRead a whole trace; see _analysis.pyi for the result.");

static PyObject *
analyze(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"path", "pid", "at", NULL};
    PyObject *path, *pid_object = Py_None, *at = Py_None, *fs_path = NULL;  // borrowed but for the last
    PyObject *dict = NULL;
    char error[PMT_ERROR_MAX] = "";
    view_t view = {0};
    pmt_moment_t moment;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OO:analyze", names, &path, &pid_object, &at) || !moment_of(at, &moment)) {
        return NULL;
    }
    if (!pid_of(module, path, pid_object, &view.pid)) {
        return NULL;
    }
    result_t *result = new_result();
    if (!result) {
        return PyErr_NoMemory();
    }
    if (!PyUnicode_FSConverter(path, &fs_path)) {
        free_result(result);
        return NULL;
    }
    int err;
    Py_BEGIN_ALLOW_THREADS
    err = pmt_profile_read(&result->profile, PyBytes_AS_STRING(fs_path), view.pid, error);
    err = err ? err : hold(result, &view.held, PyBytes_AS_STRING(fs_path), view.pid, &moment, error);
    err = err ? err : pmt_tables_build(&result->tables, &result->profile);
    Py_END_ALLOW_THREADS
    if (err) {
        raise_read_error(module, path, err, error);
    } else {
        dict = make_dict(result, put_all, &view);
    }
    pmt_owners_fini(&view.held.owners);
    Py_DECREF(fs_path);
    return with_read(dict, result);
}

// ---- samples ----

static PyObject *
sample_item(const pmt_record_t *r)
{
    long long kib[4];
    for (int i = 0; i < 4; i++) {
        kib[i] = (long long)((uint64_t)r->u.sample.kib[i] << 10);
    }
    return Py_BuildValue("{sKsKsLsLsLsL}", "process", (unsigned long long)r->u.sample.process, "time_ns", (unsigned long long)r->time, "anon", kib[0],
                         "file", kib[1], "shmem", kib[2], "swap", kib[3]);
}

PyDoc_STRVAR(samples_doc, "samples(path) -> list[dict]\n\nThe recorder's samples of RSS by kind, in file order.");

static PyObject *
samples(PyObject *module, PyObject *path)
{
    char error[PMT_ERROR_MAX] = "";
    PyObject *fs_path = NULL, *list = NULL;
    pmt_reader_t *reader;
    pmt_record_t record;
    if (!PyUnicode_FSConverter(path, &fs_path)) {
        return NULL;
    }
    int err = pmt_reader_open(PyBytes_AS_STRING(fs_path), &reader, error);
    Py_DECREF(fs_path);
    if (err) {
        return raise_read_error(module, path, err, error);
    }
    list = PyList_New(0);
    while (list && (err = pmt_reader_next(reader, &record)) > 0) {
        if (record.type == PMT_WIRE_SAMPLE && !append(list, sample_item(&record))) {
            Py_CLEAR(list);
        }
    }
    if (err < 0) {
        Py_CLEAR(list);
        raise_read_error(module, path, err, pmt_reader_problem(reader));
    }
    pmt_reader_close(reader);
    return list;
}

PyDoc_STRVAR(pack_lines_doc, "pack_lines(co_linetable) -> bytes\n\nThe packed line table that a trace keeps of a code object's co_linetable (docs/format.md section 7). For tests and tools.");

static PyObject *
pack_lines(PyObject *module, PyObject *table)
{
    (void)module;
    pmt_lines_packer_t packer;
    uint8_t piece[256];
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(table, &data, &size) < 0) {
        return NULL;
    }
    PyObject *packed = PyBytes_FromStringAndSize(NULL, 0);
    pmt_lines_pack_begin(&packer, (const uint8_t *)data, (size_t)size);
    for (size_t n; packed && (n = pmt_lines_pack_sigsafe(&packer, piece, sizeof piece)) > 0;) {
        PyBytes_ConcatAndDel(&packed, PyBytes_FromStringAndSize((const char *)piece, (Py_ssize_t)n));
    }
    return packed;
}

// ---- the module ----

static PyMethodDef methods[] = {
    {"analyze", (PyCFunction)(void (*)(void))analyze, METH_VARARGS | METH_KEYWORDS, analyze_doc},
    {"section_calls", (PyCFunction)(void (*)(void))section_calls, METH_VARARGS | METH_KEYWORDS, section_calls_doc},
    {"call_tree", (PyCFunction)(void (*)(void))call_tree, METH_VARARGS | METH_KEYWORDS, call_tree_doc},
    {"calls", (PyCFunction)(void (*)(void))calls, METH_VARARGS | METH_KEYWORDS, calls_doc},
    {"line_rows", (PyCFunction)(void (*)(void))line_rows, METH_VARARGS | METH_KEYWORDS, line_rows_doc},
    {"releases", releases, METH_VARARGS, releases_doc},
    {"history", history, METH_VARARGS, history_doc},
    {"pack_lines", pack_lines, METH_O, pack_lines_doc},
    {"samples", samples, METH_O, samples_doc},
    {"stacks", stacks, METH_VARARGS, stacks_doc},
    {NULL, NULL, 0, NULL},
};

static int
exec_module(PyObject *module)
{
    module_state_t *state = PyModule_GetState(module);
    state->format_error = PyErr_NewExceptionWithDoc("pymemtrace._analysis.FormatError", "The file is not a readable trace.", PyExc_ValueError, NULL);
    if (!state->format_error || PyModule_AddObjectRef(module, "FormatError", state->format_error) < 0) {
        return -1;
    }
    state->log_type = make_log_type(module);
    return state->log_type ? PyModule_AddObjectRef(module, "Log", state->log_type) : -1;
}

static int
traverse_module(PyObject *module, visitproc visit, void *arg)
{
    module_state_t *state = PyModule_GetState(module);
    Py_VISIT(state->format_error);
    Py_VISIT(state->log_type);
    return 0;
}

static int
clear_module(PyObject *module)
{
    module_state_t *state = PyModule_GetState(module);
    Py_CLEAR(state->format_error);
    Py_CLEAR(state->log_type);
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, exec_module},
    PMT_SLOT_INTERPRETERS(Py_MOD_PER_INTERPRETER_GIL_SUPPORTED)
    PMT_SLOT_NO_GIL
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pymemtrace._analysis",
    .m_doc = "Reads trace files.",
    .m_size = sizeof(module_state_t),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = traverse_module,
    .m_clear = clear_module,
};

PyMODINIT_FUNC
PyInit__analysis(void)
{
    return PyModuleDef_Init(&definition);
}
