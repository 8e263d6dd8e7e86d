// The rows of a log as columns: one array each, for memory views. Zeros are empty columns.
#pragma once

#include "analysis.h"

#include "analyze/log.h"

enum columns_e { COLUMN_PID, COLUMN_TID, COLUMN_DEPTH, COLUMN_FUNCTION, COLUMN_FILE, COLUMN_LINE, COLUMN_RSS, COLUMN_CHANGE, COLUMN_TEXT, COLUMN_COUNT, COLUMNS };

typedef struct columns_s {
    double *t;
    uint8_t *kind;
    int64_t *numbers[COLUMNS];
    size_t count, room;
} columns_t;

// Takes the rows that are left, `most` at most. Needs no interpreter lock. 1: there may be more; 0, or -errno with the reason.
int columns_fill(columns_t *columns, pmt_log_t *log, size_t most, char error[PMT_ERROR_MAX]);
PyObject *columns_dict(const columns_t *columns);  // a new reference, or NULL with an exception
void columns_fini(columns_t *columns);
