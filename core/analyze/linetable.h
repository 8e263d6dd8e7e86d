// The line of an instruction, from a code object's co_linetable (docs/format.md section 7; CPython 3.11 and later).
#pragma once

#include <stddef.h>
#include <stdint.h>

// The line of the instruction at `offset` bytes, or 0: none.
uint32_t pmt_linetable_line(const uint8_t *table, size_t size, uint32_t first_line, uint32_t offset);
