// pymemtrace._analysis: the aggregates over events (calls, the call tree, lines) as plain Python objects. Each reads the file in one pass; what they return is in _analysis.pyi.
#include "analysis.h"

#include <errno.h>

#include "analyze/functions.h"
#include "analyze/replay.h"

// What the three have in common: arguments, the file's path, the pass.
typedef struct reading_s {
    result_t result;
    pmt_replay_t replay;
    pmt_calls_t calls;
    pmt_call_tree_t tree;
    pmt_line_rows_t lines;
    pmt_section_t section;  // number 0: none
    pmt_choice_t choice;    // what it shows
    int by_thread;          // of the tree
    pmt_table_t functions;
} reading_t;

typedef int (*read_t)(reading_t *reading, const char *path, char error[PMT_ERROR_MAX]);
typedef bool (*fill_t)(PyObject *dict, result_t *result, void *reading);

static int read_section(reading_t *reading, const char *path, char error[PMT_ERROR_MAX]);
static int read_tree(reading_t *reading, const char *path, char error[PMT_ERROR_MAX]);

static void
fini(reading_t *reading)
{
    pmt_calls_fini(&reading->calls);
    pmt_call_tree_fini(&reading->tree);
    pmt_line_rows_fini(&reading->lines);
    pmt_section_fini(&reading->section);
    pmt_table_fini(&reading->functions);
    pmt_profile_fini(&reading->result.profile);
}

static PyObject *
read_and_make(PyObject *module, PyObject *args, PyObject *kwargs, const char *format, read_t read, fill_t fill)
{
    static char *names[] = {"path", "pid", NULL}, *tree_names[] = {"path", "pid", "by_thread", NULL}, *section_names[] = {"path", "pid", "section", "since", "until", "choice", NULL};
    PyObject *path, *pid_object = Py_None, *choice = NULL, *fs_path = NULL, *dict = NULL;  // path, pid_object, choice: borrowed
    char error[PMT_ERROR_MAX] = "";
    reading_t reading = {0};
    unsigned long long number = 0, since = 0, until = 0;
    bool parsed = read == read_section ? PyArg_ParseTupleAndKeywords(args, kwargs, format, section_names, &path, &pid_object, &number, &since, &until, &choice)
                                       : PyArg_ParseTupleAndKeywords(args, kwargs, format, read == read_tree ? tree_names : names, &path, &pid_object, &reading.by_thread);
    if (!parsed || !pid_of(module, path, pid_object, &reading.replay.pid) || (choice && !take_choice(choice, &reading.choice)) ||
        !PyUnicode_FSConverter(path, &fs_path)) {
        return NULL;
    }
    reading.section = (pmt_section_t){.pid = reading.replay.pid, .number = number, .since = since, .until = until};
    int err;
    Py_BEGIN_ALLOW_THREADS
    err = read(&reading, PyBytes_AS_STRING(fs_path), error);
    Py_END_ALLOW_THREADS
    if (err) {
        raise_read_error(module, path, err, error);
    } else {
        dict = make_dict(&reading.result, fill, &reading);
    }
    fini(&reading);
    Py_DECREF(fs_path);
    return dict;
}

// ---- calls ----

static int
read_calls(reading_t *reading, const char *path, char error[PMT_ERROR_MAX])
{
    reading->replay.calls = &reading->calls;
    pmt_table_init(&reading->functions, sizeof(pmt_function_t), sizeof(pmt_frame_name_t));
    int err = pmt_calls_init(&reading->calls, PMT_REPLAY_FUNCTIONS);
    err = err ? err : pmt_replay_read(&reading->replay, &reading->result.profile, path, error);
    return err ? err : pmt_functions_build(&reading->functions, &reading->calls, &reading->result.profile);
}

static int
read_section(reading_t *reading, const char *path, char error[PMT_ERROR_MAX])
{
    pmt_replay_t *replay = &reading->replay;
    pmt_profile_t *profile = &reading->result.profile;
    replay->calls = &reading->calls;
    replay->section = &reading->section;
    pmt_table_init(&reading->functions, sizeof(pmt_function_t), sizeof(pmt_frame_name_t));
    int err = pmt_calls_init(&reading->calls, PMT_REPLAY_FUNCTIONS);
    err = err ? err : pmt_profile_read(profile, path, 0, error);
    err = err ? err : pmt_section_find(&reading->section, &reading->choice, profile, path, error);
    err = err ? err : pmt_replay_again(replay, profile, path, error);
    return err ? err : pmt_functions_build(&reading->functions, &reading->calls, profile);
}

static PyObject *
function_item(result_t *result, const pmt_function_t *function)
{
    const pmt_calls_row_t *sum = &function->sum;
    return Py_BuildValue("(NINKKKKKKKKKL)", text(result, function->key.file), function->key.first_line, text(result, function->key.name),
                         (unsigned long long)sum->calls, (unsigned long long)sum->time_self, (unsigned long long)sum->time, bytes(result, sum->growth_self),
                         bytes(result, sum->growth), bytes(result, sum->release_self), bytes(result, sum->release), bytes(result, sum->touched_self),
                         bytes(result, sum->touched), (long long)bytes(result, (uint64_t)sum->largest));
}

static bool
fill_calls(PyObject *dict, result_t *result, void *context)
{
    const reading_t *reading = context;
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list && i < reading->functions.count; i++) {
        if (!append(list, function_item(result, pmt_table_at(&reading->functions, i)))) {
            Py_CLEAR(list);
        }
    }
    return put(dict, "functions", list) && put_number(dict, "events", reading->replay.count);
}

const char calls_doc[] = "calls(path, pid=None) -> dict\n\nWhat the event log says of each function; see _analysis.pyi.";

PyObject *
calls(PyObject *module, PyObject *args, PyObject *kwargs)
{
    return read_and_make(module, args, kwargs, "O|O:calls", read_calls, fill_calls);
}

const char section_calls_doc[] = "section_calls(path, pid, section, since, until, choice) -> dict\n\nThe same of one section, which lies between these times (ns), as far as it shows it; see _analysis.pyi.";

PyObject *
section_calls(PyObject *module, PyObject *args, PyObject *kwargs)
{
    return read_and_make(module, args, kwargs, "OOKKKO:section_calls", read_section, fill_calls);
}

// ---- the call tree ----

static int
read_tree(reading_t *reading, const char *path, char error[PMT_ERROR_MAX])
{
    reading->replay.tree = &reading->tree;
    int err = pmt_call_tree_init(&reading->tree, PMT_REPLAY_NODES);
    reading->tree.by_thread = reading->by_thread;
    err = err ? err : pmt_replay_read(&reading->replay, &reading->result.profile, path, error);
    // for functions whose name is not known
    return err ? err : pmt_texts_add(&reading->result.profile.texts, "", 0) < 0 ? -ENOMEM : 0;
}

// A thread's node has its number in the place of the first line.
static PyObject *
thread_node_item(result_t *result, const pmt_call_node_t *node)
{
    return Py_BuildValue("(isIsKKKKK)", 0, "", node->process, "", 0ull, (unsigned long long)node->time, bytes(result, node->growth),
                         bytes(result, node->release), bytes(result, node->touched));
}

static PyObject *
node_item(result_t *result, const pmt_call_node_t *node)
{
    pmt_frame_name_t name;
    if (node->parent != UINT32_MAX && pmt_function_name(&name, &result->profile, node->process, node->code) < 0) {
        return PyErr_NoMemory();
    }
    long long parent = node->parent == UINT32_MAX ? -1 : (long long)node->parent;
    PyObject *file = parent < 0 ? PyUnicode_FromString("") : text(result, name.file), *function = parent < 0 ? PyUnicode_FromString("") : text(result, name.name);
    return Py_BuildValue("(LNINKKKKK)", parent, file, parent < 0 ? 0 : name.first_line, function, (unsigned long long)node->calls,
                         (unsigned long long)node->time, bytes(result, node->growth), bytes(result, node->release), bytes(result, node->touched));
}

static bool
fill_tree(PyObject *dict, result_t *result, void *context)
{
    const reading_t *reading = context;
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list && i < reading->tree.nodes.count; i++) {
        const pmt_call_node_t *node = pmt_table_at(&reading->tree.nodes, i);
        if (!append(list, reading->by_thread && node->parent == 0 ? thread_node_item(result, node) : node_item(result, node))) {
            Py_CLEAR(list);
        }
    }
    return put(dict, "nodes", list) && put_number(dict, "events", reading->replay.count) && put_number(dict, "left_out", reading->tree.left_out);
}

const char call_tree_doc[] = "call_tree(path, pid=None, by_thread=False) -> dict\n\nThe exact call tree of a trace with events, of all threads together or of each; see _analysis.pyi.";

PyObject *
call_tree(PyObject *module, PyObject *args, PyObject *kwargs)
{
    return read_and_make(module, args, kwargs, "O|Op:call_tree", read_tree, fill_tree);
}

// ---- lines ----

static int
read_lines(reading_t *reading, const char *path, char error[PMT_ERROR_MAX])
{
    reading->replay.lines = &reading->lines;
    pmt_line_rows_init(&reading->lines, &reading->result.profile, PMT_REPLAY_LINES);
    int err = pmt_profile_read(&reading->result.profile, path, reading->replay.pid, error);
    return err ? err : pmt_replay_again(&reading->replay, &reading->result.profile, path, error);
}

static bool
fill_lines(PyObject *dict, result_t *result, void *context)
{
    const reading_t *reading = context;
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list && i < reading->lines.rows.count; i++) {
        const pmt_line_row_t *row = pmt_table_at(&reading->lines.rows, i);
        PyObject *item = Py_BuildValue("(NIKKKKL)", text(result, row->file), row->line, (unsigned long long)row->hits, (unsigned long long)row->time,
                                       bytes(result, row->growth), bytes(result, row->release), (long long)bytes(result, (uint64_t)row->largest));
        if (!append(list, item)) {
            Py_CLEAR(list);
        }
    }
    return put(dict, "lines", list) && put_number(dict, "events", reading->replay.count) && put_number(dict, "left_out", reading->lines.left_out);
}

const char line_rows_doc[] = "line_rows(path, pid=None) -> dict\n\nWhat the event log says of each line; see _analysis.pyi.";

PyObject *
line_rows(PyObject *module, PyObject *args, PyObject *kwargs)
{
    return read_and_make(module, args, kwargs, "O|O:line_rows", read_lines, fill_lines);
}
