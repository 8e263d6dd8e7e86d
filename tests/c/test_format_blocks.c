// Through the writer and back: long texts, large blocks, and what runs on from block to block.
#include "format_support.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

enum { TEXT_MAX = 40 << 10, BLOCK_BEGINS = 128 << 10 };  // the writer's cut of a text, and where it ends a block

static const uint64_t MAX = UINT64_MAX;

// ---- texts ----

static void
fill(char *out, size_t size, const char *pattern)
{
    for (size_t i = 0, n = strlen(pattern); i < size; i++) {
        out[i] = pattern[i % n];
    }
}

// Each is cut at a whole character, escaped where it is no UTF-8, and what comes after it is still in place.
static void
texts_too_long_or_not_utf8(void **state)
{
    static const struct {
        const char *pattern;
        size_t size, expected;
    } cases[] = {
        {"a", TEXT_MAX, TEXT_MAX},
        {"a", TEXT_MAX + 1, TEXT_MAX},
        {"a", 10 * TEXT_MAX, TEXT_MAX},
        {"\xc3\xa9", 2 * TEXT_MAX, TEXT_MAX},
        {"\xe2\x82\xac", 3 * TEXT_MAX, TEXT_MAX - TEXT_MAX % 3},
        {"\xf0\x9f\x90\x8d.", 5 * TEXT_MAX, TEXT_MAX - TEXT_MAX % 5},
        {"\xff", 100, 300},
        {"\xff", TEXT_MAX, TEXT_MAX - TEXT_MAX % 3},
        {"\x80z", TEXT_MAX, TEXT_MAX},
        {"\xe2\x82", 10, 30},
        {"\xed\xa0\x80", 9, 9},
    };
    char *text = malloc(10 * TEXT_MAX);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd;
        pmt_writer_t *writer = pmt_test_writer(&fd);
        fill(text, cases[i].size, cases[i].pattern);
        pmt_writer_process(writer, 1, 0, 0);
        pmt_writer_code(writer, 0, 1, 2, text, cases[i].size, text, cases[i].size);
        pmt_writer_meta(writer, 0, "key", text, cases[i].size);
        pmt_writer_trailer(writer, 3);
        pmt_reader_t *reader = turn_over(writer, fd);
        next(reader, PMT_WIRE_PROCESS);
        pmt_record_t r = next(reader, PMT_WIRE_CODE);
        size_t size = r.u.code.file.size;
        assert_true(size <= TEXT_MAX && size + 5 > cases[i].expected && size <= cases[i].expected);
        assert_true(pmt_utf8_valid(r.u.code.file.data, size));
        assert_int_equal(r.u.code.name.size, size);
        if (pmt_utf8_valid(text, cases[i].size)) {
            assert_memory_equal(r.u.code.file.data, text, size);
        } else {
            uint8_t *escaped = malloc(TEXT_MAX);
            assert_int_equal(pmt_utf8_escape(text, cases[i].size, escaped, TEXT_MAX), size);
            assert_memory_equal(r.u.code.name.data, escaped, size);
            free(escaped);
        }
        assert_int_equal(next(reader, PMT_WIRE_META).u.meta.value.size, size);
        next(reader, PMT_WIRE_TRAILER);
        assert_end(reader, true);
    }
    free(text);
}

static void
every_text_of_a_record_too_long(void **state)
{
    char *text = malloc(3 * TEXT_MAX + 1);
    int fd;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    memset(text, 0xfe, 3 * TEXT_MAX);
    text[3 * TEXT_MAX] = '\0';
    pmt_writer_process(writer, 1, 0, 0);
    pmt_writer_thread(writer, 0, 1, 0, text, 3 * TEXT_MAX);
    for (int i = 0; i < 20; i++) {
        pmt_writer_meta(writer, 1, text, text, 3 * TEXT_MAX);
        pmt_writer_thread_name(writer, 0, text, 3 * TEXT_MAX);
        pmt_writer_code(writer, 0, 1, MAX, text, 3 * TEXT_MAX, text, 3 * TEXT_MAX);
        pmt_writer_code_lines(writer, 0, 1, text, 3 * TEXT_MAX);
        pmt_writer_module(writer, 0, MAX, MAX, MAX, text);
        pmt_writer_counter(writer, 0, text, MAX);
        assert_true(pmt_writer_pending(writer) < BLOCK_BEGINS);
    }
    pmt_reader_t *reader = turn_over(writer, fd);
    next(reader, PMT_WIRE_PROCESS);
    next(reader, PMT_WIRE_THREAD);
    for (int i = 0; i < 20; i++) {
        pmt_record_t r = next(reader, PMT_WIRE_META);
        assert_int_equal(r.u.meta.key.size, TEXT_MAX - TEXT_MAX % 3);
        next(reader, PMT_WIRE_THREAD_NAME);
        next(reader, PMT_WIRE_CODE);
        assert_int_equal(next(reader, PMT_WIRE_CODE_LINES).u.code_lines.piece.size, TEXT_MAX);
        next(reader, PMT_WIRE_MODULE);
        assert_int_equal(next(reader, PMT_WIRE_COUNTER).u.counter.value, MAX);
    }
    assert_end(reader, false);
    free(text);
}

// ---- blocks ----

// Checks the headers of all blocks of a file; how many there are, the largest raw length among them.
static unsigned
look_at_blocks(int fd, size_t *largest)
{
    size_t size, at = PMT_WIRE_HEADER;
    uint8_t *bytes = pmt_test_bytes(fd, &size);
    unsigned count = 0;
    *largest = 0;
    while (at < size) {
        uint32_t fields[4];  // sequence, stored, raw, CRC
        assert_memory_equal(bytes + at, "PBLK", 4);
        memcpy(fields, bytes + at + 4, sizeof fields);
        assert_int_equal(fields[0], count++);
        assert_in_range(fields[2], 1, PMT_WIRE_RAW_MAX);
        *largest = fields[2] > *largest ? fields[2] : *largest;
        at += PMT_WIRE_BLOCK_HEADER + fields[1];
    }
    assert_int_equal(at, size);
    free(bytes);
    return count;
}

static void
large_blocks(void **state)
{
    // Bytes that do not compress, in records that make blocks of up to 168 KiB.
    enum { COUNT = 100 };
    static uint8_t noise[TEXT_MAX];
    uint64_t random = 1;
    size_t largest;
    int fd;
    for (size_t i = 0; i < sizeof noise; i++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        noise[i] = (uint8_t)(random >> 56);
    }
    pmt_writer_t *writer = pmt_test_writer(&fd);
    pmt_writer_process(writer, 1, 0, 0);
    for (int i = 0; i < COUNT; i++) {
        pmt_writer_code_lines(writer, 0, (uint64_t)i + 1, noise, sizeof noise - (size_t)i);
    }
    assert_int_equal(pmt_writer_flush(writer), 0);
    assert_int_equal(pmt_writer_pending(writer), 0);
    assert_true(look_at_blocks(fd, &largest) >= COUNT / 5);
    assert_in_range(largest, BLOCK_BEGINS + 1, 2 * BLOCK_BEGINS);
    pmt_reader_t *reader = turn_over(writer, fd);
    next(reader, PMT_WIRE_PROCESS);
    for (int i = 0; i < COUNT; i++) {
        pmt_record_t r = next(reader, PMT_WIRE_CODE_LINES);
        assert_int_equal(r.u.code_lines.id, i + 1);
        assert_int_equal(r.u.code_lines.piece.size, sizeof noise - (size_t)i);
        assert_memory_equal(r.u.code_lines.piece.data, noise, sizeof noise - (size_t)i);
    }
    assert_end(reader, false);
}

static void
deltas_run_on_over_blocks(void **state)
{
    enum { COUNT = 100000 };
    size_t largest;
    int fd;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    pmt_writer_process(writer, 1, 0, 0);
    pmt_writer_thread(writer, 0, 1, 0, "", 0);
    pmt_writer_node(writer, 1, PMT_CODE_ROOT, 0);
    pmt_writer_batch(writer, 0);
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.rise = 1, .node = 1});
    for (int i = 0; i < COUNT; i++) {
        pmt_writer_fault(writer, &(pmt_fault_fields_t){.flags = PMT_FAULT_SAME_NODE | PMT_FAULT_SAME_SITE, .time = i, .address = 4096, .rise = 1});
        if (i % 10000 == 0) {
            assert_int_equal(pmt_writer_flush(writer), 0);
        }
    }
    pmt_writer_trailer(writer, MAX);
    assert_int_equal(pmt_writer_flush(writer), 0);
    assert_true(look_at_blocks(fd, &largest) >= 11);
    pmt_reader_t *reader = turn_over(writer, fd);
    next(reader, PMT_WIRE_PROCESS);
    next(reader, PMT_WIRE_THREAD);
    next(reader, PMT_WIRE_NODE);
    next(reader, PMT_WIRE_BATCH);
    next(reader, PMT_WIRE_FAULT);
    uint64_t time = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        pmt_record_t r = next(reader, PMT_WIRE_FAULT);
        time += i;
        assert_fault(&r, 0, time, 4096 * (i + 1), 1, 1, 0, 1);
    }
    next(reader, PMT_WIRE_TRAILER);
    assert_end(reader, true);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_too_long_or_not_utf8),
        cmocka_unit_test(every_text_of_a_record_too_long),
        cmocka_unit_test(large_blocks),
        cmocka_unit_test(deltas_run_on_over_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
