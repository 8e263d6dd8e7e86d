// pymemtrace._analysis.Log: the rows of a trace's event log, in batches: as tuples, or as lines of text. See _analysis.pyi.
#include "analysis.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "analyze/log.h"
#include "analyze/log_text.h"
#include "analysis_columns.h"

typedef struct log_object_s {
    PyObject_HEAD
    PyObject *module, *path;  // owned, like what follows
    PyObject *texts;          // a list of all texts
    PyObject *names_mask, *threads_mask, *section;
    PyObject *names, *files;  // lists of bytes: the words of format()
    pmt_log_words_t words;    // borrowed from those
    pmt_log_t *log;
    bool begun, busy;
} log_object_t;

// ---- making one ----

static PyObject *
all_texts(const pmt_profile_t *profile)
{
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list && i < profile->texts.count; i++) {
        if (!append(list, PyUnicode_DecodeUTF8(profile->texts.texts[i], (Py_ssize_t)profile->texts.sizes[i], "surrogatepass"))) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static int
open_log(log_object_t *self, PyObject *fs_path)
{
    char error[PMT_ERROR_MAX] = "";
    int err;
    Py_BEGIN_ALLOW_THREADS
    err = pmt_log_open(&self->log, PyBytes_AS_STRING(fs_path), error);
    Py_END_ALLOW_THREADS
    if (err) {
        raise_read_error(self->module, self->path, err, error);
        return -1;
    }
    self->texts = all_texts(pmt_log_profile(self->log));
    return self->texts ? 0 : -1;
}

static PyObject *
log_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"path", NULL};
    PyObject *path, *fs_path = NULL;  // path: borrowed
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Log", names, &path) || !PyUnicode_FSConverter(path, &fs_path)) {
        return NULL;
    }
    log_object_t *self = (log_object_t *)type->tp_alloc(type, 0);
    if (self) {
        self->module = Py_NewRef(PyType_GetModule(type));
        self->path = Py_NewRef(path);
        if (open_log(self, fs_path) < 0) {
            Py_CLEAR(self);
        }
    }
    Py_DECREF(fs_path);
    return (PyObject *)self;
}

static int
log_traverse(log_object_t *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->module);
    Py_VISIT(self->path);
    Py_VISIT(self->texts);
    Py_VISIT(self->names);
    Py_VISIT(self->files);
    return 0;
}

static void
drop_words(log_object_t *self)
{
    PyMem_Free((void *)self->words.names);
    PyMem_Free((void *)self->words.files);
    PyMem_Free((void *)self->words.name_sizes);
    PyMem_Free((void *)self->words.file_sizes);
    self->words = (pmt_log_words_t){0};
    Py_CLEAR(self->names);
    Py_CLEAR(self->files);
}

static int
log_clear(log_object_t *self)
{
    drop_words(self);
    Py_CLEAR(self->module);
    Py_CLEAR(self->path);
    Py_CLEAR(self->texts);
    return 0;
}

static void
log_dealloc(log_object_t *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    log_clear(self);
    Py_XDECREF(self->names_mask);
    Py_XDECREF(self->threads_mask);
    Py_XDECREF(self->section);
    pmt_log_close(self->log);
    type->tp_free(self);
    Py_DECREF(type);
}

// ---- filters and words ----

static bool
take_mask(PyObject *object, PyObject **owner, const uint8_t **mask, uint32_t *count)
{
    if (object == Py_None) {
        return true;
    }
    if (!PyBytes_Check(object)) {
        PyErr_SetString(PyExc_TypeError, "a mask must be bytes or None");
        return false;
    }
    Py_XSETREF(*owner, Py_NewRef(object));
    *mask = (const uint8_t *)PyBytes_AS_STRING(object);
    *count = (uint32_t)PyBytes_GET_SIZE(object);
    return true;
}

static uint64_t
pages_of(uint64_t bytes, uint64_t page)
{
    return bytes / page + (bytes % page != 0);
}

static bool
take_section(PyObject *object, PyObject **owner, uint64_t page, pmt_log_section_t *section)
{
    unsigned long long number, trigger;
    PyObject *choice;  // borrowed
    if (object == Py_None) {
        return true;
    }
    if (!PyTuple_Check(object)) {
        PyErr_SetString(PyExc_TypeError, "a section must be a tuple or None");
        return false;
    }
    if (!PyArg_ParseTuple(object, "KKO:select", &number, &trigger, &choice) || !take_choice(choice, &section->choice)) {
        return false;
    }
    Py_XSETREF(*owner, Py_NewRef(object));
    section->number = number;
    section->trigger = pages_of(trigger, page);
    return true;
}

PyDoc_STRVAR(select_doc, "select(pid=None, since=0, until=None, min_change=0, names=None, threads=None, section=None, kinds=0)\n\nChooses rows, before the first. section: (number, trigger in bytes, choice).");

static PyObject *
log_select(log_object_t *self, PyObject *args, PyObject *kwargs)
{
    static char *keys[] = {"pid", "since", "until", "min_change", "names", "threads", "section", "kinds", NULL};
    PyObject *pid = Py_None, *until = Py_None, *names = Py_None, *threads = Py_None, *section = Py_None;  // borrowed
    unsigned long long since = 0, min_change = 0;
    pmt_log_filter_t filter = {.until = UINT64_MAX};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OKOKOOOI:select", keys, &pid, &since, &until, &min_change, &names, &threads, &section, &filter.kinds) ||
        !pid_of(self->module, self->path, pid, &filter.pid) || !take_section(section, &self->section, pmt_log_profile(self->log)->info.page_size, &filter.section)) {
        return NULL;
    }
    if (self->begun) {
        PyErr_SetString(PyExc_RuntimeError, "rows have been read already");
        return NULL;
    }
    uint64_t page = pmt_log_profile(self->log)->info.page_size;
    filter.since = since;
    filter.min_change = pages_of(min_change, page);
    if (until != Py_None) {
        filter.until = PyLong_AsUnsignedLongLong(until);
    }
    if (PyErr_Occurred() || !take_mask(names, &self->names_mask, &filter.names, &filter.names_count) ||
        !take_mask(threads, &self->threads_mask, &filter.threads, &filter.threads_count)) {
        return NULL;
    }
    if (pmt_log_filter(self->log, &filter) < 0) {
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

// Pointers to the bytes of a list of bytes, which must have one for each text.
static bool
take_words(PyObject *list, uint32_t count, const char *const **words, const size_t **sizes)
{
    const char **data = PyMem_Calloc((size_t)count + 1, sizeof *data);
    size_t *lengths = PyMem_Calloc((size_t)count + 1, sizeof *lengths);
    *words = data;
    *sizes = lengths;
    if (!data || !lengths) {
        PyErr_NoMemory();
        return false;
    }
    if (!PyList_Check(list) || PyList_GET_SIZE(list) != (Py_ssize_t)count) {
        PyErr_SetString(PyExc_ValueError, "words must be a list with an item for each text");
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        PyObject *item = PyList_GET_ITEM(list, i);
        if (!PyBytes_Check(item)) {
            PyErr_SetString(PyExc_TypeError, "words must be bytes");
            return false;
        }
        data[i] = PyBytes_AS_STRING(item);
        lengths[i] = (size_t)PyBytes_GET_SIZE(item);
    }
    return true;
}

PyDoc_STRVAR(spell_doc, "spell(names, files)\n\nHow format() writes each of the texts, as a function and as a file: lists of bytes.");

static PyObject *
log_spell(log_object_t *self, PyObject *args)
{
    PyObject *names, *files;  // borrowed
    uint32_t count = (uint32_t)PyList_GET_SIZE(self->texts);
    if (!PyArg_ParseTuple(args, "O!O!:spell", &PyList_Type, &names, &PyList_Type, &files)) {
        return NULL;
    }
    drop_words(self);
    self->names = PyList_GetSlice(names, 0, PyList_GET_SIZE(names));  // copies: nobody else changes them
    self->files = PyList_GetSlice(files, 0, PyList_GET_SIZE(files));
    if (!self->names || !self->files || !take_words(self->names, count, &self->words.names, &self->words.name_sizes) ||
        !take_words(self->files, count, &self->words.files, &self->words.file_sizes)) {
        drop_words(self);
        return NULL;
    }
    self->words.count = count;
    Py_RETURN_NONE;
}

// ---- rows ----

// The object is read by one thread at a time: it may wait for the file without the interpreter's lock.
static bool
enter(log_object_t *self)
{
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "another thread reads these rows");
        return false;
    }
    self->begun = true;
    return true;
}

static PyObject *
text_of(const log_object_t *self, uint32_t number)
{
    bool known = number < (uint32_t)PyList_GET_SIZE(self->texts);
    return Py_NewRef(known ? PyList_GET_ITEM(self->texts, number) : Py_None);
}

static PyObject *
extra_of(const log_object_t *self, const pmt_log_row_t *row, uint64_t page)
{
    if (row->kind == PMT_LOG_LOST) {
        return PyLong_FromUnsignedLongLong(row->count);
    }
    return row->kind == PMT_LOG_FAULT ? PyLong_FromUnsignedLongLong(row->count * page) : text_of(self, row->text);
}

static PyObject *
row_item(const log_object_t *self, const pmt_log_row_t *row)
{
    const pmt_profile_t *profile = pmt_log_profile(self->log);
    uint64_t page = profile->info.page_size, pid = profile->processes[row->process].pid;
    return Py_BuildValue("(KKKIsNNNLLN)", (unsigned long long)row->time, (unsigned long long)pid,
                         (unsigned long long)(row->thread == PMT_LOG_NONE ? pid : profile->threads[row->thread].tid), row->depth, pmt_log_kind(row->kind),
                         text_of(self, row->name), text_of(self, row->file), number_or_none(row->line != 0, row->line),
                         (long long)((uint64_t)row->rss * page), (long long)((uint64_t)row->change * page), extra_of(self, row, page));
}

PyDoc_STRVAR(rows_doc, "rows(most) -> list | None\n\nThe next rows as tuples, perhaps none; None: there are no more.");

static PyObject *
log_rows(log_object_t *self, PyObject *most_object)
{
    char error[PMT_ERROR_MAX] = "";
    pmt_log_row_t row;
    Py_ssize_t most = PyLong_AsSsize_t(most_object);
    if (PyErr_Occurred() || !enter(self)) {
        return NULL;
    }
    PyObject *list = PyList_New(0);
    int more = 1;
    while (list && PyList_GET_SIZE(list) < most && (more = pmt_log_next(self->log, &row, error)) == 1) {
        if (!append(list, row_item(self, &row))) {
            Py_CLEAR(list);
        }
    }
    if (list && more == 0 && PyList_GET_SIZE(list) == 0) {
        Py_DECREF(list);
        Py_RETURN_NONE;
    }
    if (list && more < 0 && more != -EAGAIN) {
        Py_DECREF(list);
        return raise_read_error(self->module, self->path, more, error);
    }
    return list;
}

PyDoc_STRVAR(format_doc, "format(style, size) -> bytes | None\n\nThe next rows as lines, about `size` bytes, perhaps none; None: there are no more. style: 0 for people, 1 CSV, 2 JSON.");

static PyObject *
log_format(log_object_t *self, PyObject *args)
{
    char error[PMT_ERROR_MAX] = "";
    int style;
    Py_ssize_t size;
    pmt_log_row_t row;
    pmt_log_text_t out = {0};
    if (!PyArg_ParseTuple(args, "in:format", &style, &size) || !enter(self)) {
        return NULL;
    }
    if (style < PMT_LOG_PLAIN || style > PMT_LOG_JSON || size <= 0) {
        PyErr_SetString(PyExc_ValueError, "no such style, or no size");
        return NULL;
    }
    int more = 1, err = 0;
    self->busy = true;
    Py_BEGIN_ALLOW_THREADS
    while (!err && out.size < (size_t)size && (more = pmt_log_next(self->log, &row, error)) == 1) {
        err = pmt_log_text_add(&out, &row, (enum pmt_log_style_e)style, pmt_log_profile(self->log), &self->words);
    }
    Py_END_ALLOW_THREADS
    self->busy = false;
    err = err ? err : more < 0 && more != -EAGAIN ? more : 0;
    PyObject *result = NULL;
    if (err) {
        raise_read_error(self->module, self->path, err, error);
    } else if (more == 0 && out.size == 0) {
        result = Py_NewRef(Py_None);
    } else {
        result = PyBytes_FromStringAndSize(out.data, (Py_ssize_t)out.size);
    }
    free(out.data);
    return result;
}

PyDoc_STRVAR(columns_doc, "columns(most=None) -> dict | None\n\nThe rows that are left, or the next `most`, as columns: bytes objects of doubles, 64-bit integers and, for kinds, bytes; see _analysis.pyi.");

static PyObject *
log_columns(log_object_t *self, PyObject *args)
{
    char error[PMT_ERROR_MAX] = "";
    columns_t columns = {0};
    PyObject *most_object = Py_None;  // borrowed
    if (!PyArg_ParseTuple(args, "|O:columns", &most_object)) {
        return NULL;
    }
    size_t most = most_object == Py_None ? SIZE_MAX : PyLong_AsSize_t(most_object);
    if (PyErr_Occurred() || !enter(self)) {
        return NULL;
    }
    self->busy = true;
    int more;
    Py_BEGIN_ALLOW_THREADS
    more = columns_fill(&columns, self->log, most, error);
    Py_END_ALLOW_THREADS
    self->busy = false;
    PyObject *result = NULL;
    if (more < 0) {
        raise_read_error(self->module, self->path, more, error);
    } else if (!more && !columns.count && most_object != Py_None) {
        result = Py_NewRef(Py_None);
    } else {
        result = columns_dict(&columns);
    }
    columns_fini(&columns);
    return result;
}

static PyObject *
log_threads(log_object_t *self, void *closure)
{
    const pmt_profile_t *profile = pmt_log_profile(self->log);
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list && i < profile->thread_count; i++) {
        const pmt_thread_row_t *t = &profile->threads[i];
        if (!append(list, Py_BuildValue("(KKN)", (unsigned long long)profile->processes[t->process].pid, (unsigned long long)t->tid, text_of(self, t->name)))) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyObject *
log_codes(log_object_t *self, void *closure)
{
    const pmt_profile_t *profile = pmt_log_profile(self->log);
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list && i < profile->codes.count; i++) {
        const pmt_code_t *code = pmt_table_at(&profile->codes, i);
        if (code->named && !append(list, Py_BuildValue("(II)", code->name, code->file))) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyObject *
log_t0(log_object_t *self, void *closure)
{
    return PyLong_FromUnsignedLongLong(pmt_log_profile(self->log)->info.t0);
}

static PyObject *
log_texts(log_object_t *self, void *closure)
{
    return PyList_GetSlice(self->texts, 0, PyList_GET_SIZE(self->texts));
}

static PyMethodDef log_methods[] = {
    {"columns", (PyCFunction)log_columns, METH_VARARGS, columns_doc},
    {"format", (PyCFunction)log_format, METH_VARARGS, format_doc},
    {"rows", (PyCFunction)log_rows, METH_O, rows_doc},
    {"select", (PyCFunction)(void (*)(void))log_select, METH_VARARGS | METH_KEYWORDS, select_doc},
    {"spell", (PyCFunction)log_spell, METH_VARARGS, spell_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef log_getset[] = {
    {"codes", (getter)log_codes, NULL, "(number of its name, of its file) of each code object: no others are functions and files of rows.", NULL},
    {"t0", (getter)log_t0, NULL, "CLOCK_MONOTONIC at time 0, in ns.", NULL},
    {"texts", (getter)log_texts, NULL, "All texts of the trace, in the order of their numbers.", NULL},
    {"threads", (getter)log_threads, NULL, "(pid, tid, name) of each thread, in the order of their numbers.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot log_slots[] = {
    {Py_tp_doc, "Log(path)\n\nThe rows of a trace's event log in the order of time."},
    {Py_tp_new, log_new},
    {Py_tp_dealloc, log_dealloc},
    {Py_tp_traverse, log_traverse},
    {Py_tp_clear, log_clear},
    {Py_tp_methods, log_methods},
    {Py_tp_getset, log_getset},
    {0, NULL},
};

static PyType_Spec log_spec = {
    .name = "pymemtrace._analysis.Log",
    .basicsize = sizeof(log_object_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = log_slots,
};

PyObject *
make_log_type(PyObject *module)
{
    return PyType_FromModuleAndSpec(module, &log_spec, NULL);
}
