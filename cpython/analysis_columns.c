// Columns of the log (analysis_columns.h).
#include "analysis_columns.h"

#include <errno.h>
#include <stdlib.h>

static const char *const names[COLUMNS] = {"pid", "tid", "depth", "function", "file", "line", "rss", "change", "text", "count"};

static bool
grow(void *array, size_t room, size_t size)
{
    void *moved = realloc(*(void **)array, room * size);
    if (moved) {
        *(void **)array = moved;
    }
    return moved;
}

static int
make_room(columns_t *columns)
{
    enum { FIRST = 1024 };
    size_t room = columns->room ? 2 * columns->room : FIRST;
    bool grown = grow(&columns->t, room, sizeof *columns->t) && grow(&columns->kind, room, sizeof *columns->kind);
    for (int i = 0; i < COLUMNS && grown; i++) {
        grown = grow(&columns->numbers[i], room, sizeof *columns->numbers[i]);
    }
    columns->room = grown ? room : columns->room;
    return grown ? 0 : -ENOMEM;
}

static int64_t
text_or_none(uint32_t text)
{
    return text == PMT_LOG_NONE ? -1 : (int64_t)text;
}

static void
add(columns_t *columns, const pmt_log_row_t *row, const pmt_profile_t *profile)
{
    uint64_t page = profile->info.page_size;
    int64_t pid = (int64_t)profile->processes[row->process].pid;
    const int64_t values[COLUMNS] = {
        [COLUMN_PID] = pid,
        [COLUMN_TID] = row->thread == PMT_LOG_NONE ? pid : (int64_t)profile->threads[row->thread].tid,
        [COLUMN_DEPTH] = row->depth,
        [COLUMN_FUNCTION] = text_or_none(row->name),
        [COLUMN_FILE] = text_or_none(row->file),
        [COLUMN_LINE] = row->line,
        [COLUMN_RSS] = (int64_t)((uint64_t)row->rss * page),
        [COLUMN_CHANGE] = (int64_t)((uint64_t)row->change * page),
        [COLUMN_TEXT] = text_or_none(row->text),
        [COLUMN_COUNT] = row->kind == PMT_LOG_FAULT ? (int64_t)(row->count * page) : row->kind == PMT_LOG_LOST ? (int64_t)row->count : 0,
    };
    columns->t[columns->count] = (double)row->time / 1e9;
    columns->kind[columns->count] = row->kind;
    for (int i = 0; i < COLUMNS; i++) {
        columns->numbers[i][columns->count] = values[i];
    }
    columns->count++;
}

int
columns_fill(columns_t *columns, pmt_log_t *log, size_t most, char error[PMT_ERROR_MAX])
{
    pmt_log_row_t row;
    int more = 1;
    while (columns->count < most && ((more = pmt_log_next(log, &row, error)) == 1 || more == -EAGAIN)) {
        if (more != 1) {
            continue;
        }
        if (columns->count == columns->room && make_room(columns) < 0) {
            return -ENOMEM;
        }
        add(columns, &row, pmt_log_profile(log));
    }
    return more == -EAGAIN ? 1 : more;
}

PyObject *
columns_dict(const columns_t *columns)
{
    Py_ssize_t count = (Py_ssize_t)columns->count;
    PyObject *dict = PyDict_New();
    bool done = dict && put(dict, "t", PyBytes_FromStringAndSize((const char *)columns->t, count * (Py_ssize_t)sizeof *columns->t)) &&
                put(dict, "kind", PyBytes_FromStringAndSize((const char *)columns->kind, count));
    for (int i = 0; i < COLUMNS && done; i++) {
        done = put(dict, names[i], PyBytes_FromStringAndSize((const char *)columns->numbers[i], count * (Py_ssize_t)sizeof *columns->numbers[i]));
    }
    if (!done) {
        Py_CLEAR(dict);
    }
    return dict;
}

void
columns_fini(columns_t *columns)
{
    free(columns->t);
    free(columns->kind);
    for (int i = 0; i < COLUMNS; i++) {
        free(columns->numbers[i]);
    }
    *columns = (columns_t){0};
}
