// Shared by the C tests and the fuzz target: trace files in memory, whole or wrapped around raw records.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "format/reader.h"
#include "format/writer.h"

enum { PMT_TEST_T0 = 1000, PMT_TEST_PAGE = 4096, PMT_TEST_PATH = 32 };

// An empty file without a name. Aborts when there is none to be had, as all of these do: a test cannot go on without.
int pmt_test_file(void);
// A file that holds these bytes.
int pmt_test_file_of(const void *data, size_t size);
// A path that opens the descriptor's file from its start.
const char *pmt_test_path(int fd, char path[PMT_TEST_PATH]);
// The file's bytes; the caller frees them.
uint8_t *pmt_test_bytes(int fd, size_t *size);

// A writer to a new file, t0 PMT_TEST_T0, page size PMT_TEST_PAGE.
pmt_writer_t *pmt_test_writer(int *fd);

// A header and one block whose checksums hold, around records that need not be right. Nothing behind the header if there are none. The caller frees it.
uint8_t *pmt_test_wrap(const void *records, size_t records_size, size_t *size);
// Makes the checksums of a header, and of as many blocks as can be found behind it, right again.
void pmt_test_seal(uint8_t *file, size_t size);
