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

// Takes all rows that are left. Needs no interpreter lock. 0 or -errno, with the reason.
int columns_fill(columns_t *columns, pmt_log_t *log, char error[PMT_ERROR_MAX]);
PyObject *columns_dict(const columns_t *columns);  // a new reference, or NULL with an exception
void columns_fini(columns_t *columns);
