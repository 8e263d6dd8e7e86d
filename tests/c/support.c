// Trace files in memory (support.h).
#define _GNU_SOURCE
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "format/wire.h"

static void
require(int condition, const char *what)
{
    if (!condition) {
        perror(what);
        abort();
    }
}

static void
put_le(uint8_t *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint32_t
get_le32(const uint8_t *in)
{
    return in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

int
pmt_test_file(void)
{
    int fd = memfd_create("pmt-test", MFD_CLOEXEC);
    require(fd >= 0, "memfd_create");
    return fd;
}

int
pmt_test_file_of(const void *data, size_t size)
{
    int fd = pmt_test_file();
    require(size == 0 || pwrite(fd, data, size, 0) == (ssize_t)size, "pwrite");
    return fd;
}

const char *
pmt_test_path(int fd, char path[PMT_TEST_PATH])
{
    snprintf(path, PMT_TEST_PATH, "/proc/self/fd/%d", fd);
    return path;
}

uint8_t *
pmt_test_bytes(int fd, size_t *size)
{
    struct stat status;
    require(fstat(fd, &status) == 0, "fstat");
    *size = (size_t)status.st_size;
    uint8_t *bytes = malloc(*size + 1);
    require(bytes && pread(fd, bytes, *size, 0) == (ssize_t)*size, "pread");
    return bytes;
}

pmt_writer_t *
pmt_test_writer(int *fd)
{
    pmt_writer_t *writer;
    *fd = pmt_test_file();
    require(pmt_writer_new(*fd, PMT_TEST_T0, 0, PMT_TEST_PAGE, &writer) == 0, "pmt_writer_new");
    return writer;
}

static void
seal_block(uint8_t *block, size_t stored)
{
    uint32_t crc = (uint32_t)crc32(crc32(0, block, 16), block + PMT_WIRE_BLOCK_HEADER, (uInt)stored);
    put_le(block + 16, crc, 4);
}

uint8_t *
pmt_test_wrap(const void *records, size_t records_size, size_t *size)
{
    size_t room = ZSTD_compressBound(records_size);
    uint8_t *file = calloc(1, PMT_WIRE_HEADER + PMT_WIRE_BLOCK_HEADER + room);
    require(file != NULL, "calloc");
    memcpy(file, PMT_WIRE_MAGIC, 8);
    put_le(file + 8, PMT_WIRE_MAJOR, 2);
    put_le(file + 12, PMT_WIRE_BYTE_ORDER, 4);
    put_le(file + 24, PMT_TEST_T0, 8);
    put_le(file + 40, PMT_TEST_PAGE, 4);
    put_le(file + 60, crc32(0, file, 60), 4);
    *size = PMT_WIRE_HEADER;
    if (records_size) {
        uint8_t *block = file + PMT_WIRE_HEADER;
        size_t stored = ZSTD_compress(block + PMT_WIRE_BLOCK_HEADER, room, records, records_size, 1);
        require(!ZSTD_isError(stored), "ZSTD_compress");
        memcpy(block, PMT_WIRE_BLOCK_MAGIC, 4);
        put_le(block + 8, stored, 4);
        put_le(block + 12, records_size, 4);
        seal_block(block, stored);
        *size += PMT_WIRE_BLOCK_HEADER + stored;
    }
    return file;
}

void
pmt_test_seal(uint8_t *file, size_t size)
{
    if (size < PMT_WIRE_HEADER) {
        return;
    }
    put_le(file + 60, crc32(0, file, 60), 4);
    for (size_t at = PMT_WIRE_HEADER; size - at >= PMT_WIRE_BLOCK_HEADER;) {
        size_t stored = get_le32(file + at + 8);
        if (stored > size - at - PMT_WIRE_BLOCK_HEADER) {
            return;
        }
        seal_block(file + at, stored);
        at += PMT_WIRE_BLOCK_HEADER + stored;
    }
}
