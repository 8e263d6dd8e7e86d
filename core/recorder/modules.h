// The executable mappings of a traced process, read when an instruction lies outside of those known: which module a native address belongs to.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "format/writer.h"

typedef struct pmt_module_s {
    uint64_t start, end;
    uint32_t number;  // in the trace
    bool system;      // the C library or the loader: it acts for others
} pmt_module_t;

typedef struct pmt_modules_s {
    pmt_module_t *list;  // in no order: few dozens, looked up once per distinct instruction
    uint32_t count, room;
    uint64_t read_at;  // absolute ns of the last look at the process's mappings
} pmt_modules_t;

void pmt_modules_fini(pmt_modules_t *modules);

// Reads the mappings of `pid` and writes the new ones to the trace. *last: the number of the last module in the trace, counted on.
void pmt_modules_refresh(pmt_modules_t *modules, pmt_writer_t *writer, uint32_t process, uint32_t pid, uint32_t *last);

// The module at `address`, or NULL.
const pmt_module_t *pmt_modules_find(const pmt_modules_t *modules, uint64_t address);
