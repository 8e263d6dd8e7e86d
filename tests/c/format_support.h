// What the tests of writer and reader share: reading back what was written.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "format/wire.h"
#include "support.h"

// A reader of the descriptor's file; the test fails if there is none to be had.
pmt_reader_t *open_fd(int fd);
// Ends the file, closes the writer, opens a reader.
pmt_reader_t *turn_over(pmt_writer_t *writer, int fd);
// The next record, which must be of this type.
pmt_record_t next(pmt_reader_t *reader, unsigned type);
// Nothing follows. Closes the reader.
void assert_end(pmt_reader_t *reader, bool complete);
void assert_fault(const pmt_record_t *r, uint32_t thread, uint64_t time, uint64_t address, uint64_t rise, uint32_t node, uint32_t site, uint64_t weight);

typedef struct outcome_s {
    int opened, last;  // results of open and of the last next
    unsigned records;
    bool complete;
    uint64_t good;
} outcome_t;

// Reads a file of these bytes to its end, good or not.
outcome_t read_all(const void *bytes, size_t size);
