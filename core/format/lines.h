// Line tables: CPython's co_linetable (3.11 and later) packed to what the trace keeps of it, and the line of an instruction in a packed table.
// A packed table is a sequence of runs: `u` code units (2 bytes each) that share a line, then `u` 0 for no line or 1 + zigzag(line - the line of the last run that
// had one; first: the code's first line). Columns are dropped and neighbours merged: about a seventh of the size.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Packing goes piece by piece into buffers of any size of at least PMT_LINES_RUN_MAX bytes; it may run in a signal handler.
enum { PMT_LINES_RUN_MAX = 20 };
typedef struct pmt_lines_packer_s {
    const uint8_t *at, *end;  // what is left of the co_linetable (borrowed)
    int64_t line;             // of the next entry, relative to the first line
    int64_t run_line, last_line;  // of the run being built and of the last run written that had one
    uint64_t run_units;       // 0: no run begun
    bool run_none;            // the run has no line
} pmt_lines_packer_t;

void pmt_lines_pack_begin(pmt_lines_packer_t *packer, const uint8_t *table, size_t size);
// Writes the next runs to `out`; returns the bytes written, 0 when the table is done. An entry that is cut or malformed ends the table.
size_t pmt_lines_pack_sigsafe(pmt_lines_packer_t *packer, uint8_t *out, size_t room);

// A place in a packed table (untrusted). It only goes forward: the lines of many offsets, asked for in ascending order, take one pass over the table.
typedef struct pmt_lines_cursor_s {
    const uint8_t *at, *end;  // the runs behind the present one (borrowed)
    uint64_t covered;         // bytes of bytecode up to the end of the present run
    uint64_t line;            // of the last run that had one
    bool none;                // the present run has no line
} pmt_lines_cursor_t;

void pmt_lines_begin(pmt_lines_cursor_t *cursor, const uint8_t *packed, size_t size, uint32_t first_line);
// The line of the instruction at `offset` bytes, no lower than the one asked for before, or 0: none.
uint32_t pmt_lines_seek(pmt_lines_cursor_t *cursor, uint32_t offset);
