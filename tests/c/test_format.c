// Writer and reader against each other, and the reader against files that are cut or damaged. Long, for it is one list of cases.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "format/wire.h"
#include "support.h"

enum { TEXT_MAX = 40 << 10, BLOCK_BEGINS = 128 << 10 };  // the writer's cut of a text, and where it ends a block

static const uint64_t MAX = UINT64_MAX;

// ---- reading back ----

static pmt_reader_t *
open_fd(int fd)
{
    char path[PMT_TEST_PATH], error[PMT_ERROR_MAX] = "";
    pmt_reader_t *reader = NULL;
    int err = pmt_reader_open(pmt_test_path(fd, path), &reader, error);
    if (err) {
        fail_msg("open: %d %s", err, error);
    }
    return reader;
}

// Ends the file, closes the writer, opens a reader.
static pmt_reader_t *
turn_over(pmt_writer_t *writer, int fd)
{
    assert_int_equal(pmt_writer_flush(writer), 0);
    pmt_writer_free(writer);
    pmt_reader_t *reader = open_fd(fd);
    close(fd);
    return reader;
}

static pmt_record_t
next(pmt_reader_t *reader, unsigned type)
{
    pmt_record_t record;
    int got = pmt_reader_next(reader, &record);
    if (got != 1 || record.type != type) {
        fail_msg("%d, type %#x instead of %#x: %s", got, got == 1 ? record.type : 0, type, pmt_reader_problem(reader));
    }
    return record;
}

static void
assert_end(pmt_reader_t *reader, bool complete)
{
    pmt_record_t record;
    assert_int_equal(pmt_reader_next(reader, &record), 0);
    assert_int_equal(pmt_reader_next(reader, &record), 0);  // and stays
    assert_int_equal(pmt_reader_complete(reader), complete);
    if (complete) {
        assert_int_equal(pmt_reader_good_bytes(reader), pmt_reader_info(reader)->file_size);
    }
    assert_string_equal(pmt_reader_problem(reader), "");
    pmt_reader_close(reader);
}

static void
assert_text(pmt_text_t text, const char *expected)
{
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.data, expected, text.size);
}

// ---- every record ----

static void
header(void **state)
{
    pmt_writer_t *writer;
    size_t size;
    int fd = pmt_test_file();
    assert_int_equal(pmt_writer_new(fd, MAX, MAX - 1, 65536, &writer), 0);
    assert_int_equal(pmt_writer_pending(writer), 0);
    assert_int_equal(pmt_writer_flush(writer), 0);  // an empty block is not written
    uint8_t *bytes = pmt_test_bytes(fd, &size);
    assert_int_equal(size, PMT_WIRE_HEADER);
    assert_memory_equal(bytes, "\x89PMT\r\n\x1a\n\1\0\0\0\4\3\2\1\0\0\0\0\0\0\0\0", 24);
    free(bytes);
    pmt_reader_t *reader = turn_over(writer, fd);
    const pmt_file_info_t *info = pmt_reader_info(reader);
    assert_int_equal(info->major, 1);
    assert_int_equal(info->minor, 0);
    assert_int_equal(info->t0, MAX);
    assert_int_equal(info->wall, MAX - 1);
    assert_int_equal(info->page_size, 65536);
    assert_int_equal(info->file_size, PMT_WIRE_HEADER);
    assert_end(reader, false);
}

static void
definitions(void **state)
{
    int fd;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    pmt_writer_meta(writer, 0, "command", "python\0app.py", 13);
    pmt_writer_process(writer, MAX, MAX - 1, MAX - 2);
    pmt_writer_process(writer, 0, 0, 0);
    pmt_writer_meta(writer, 2, "", "", 0);
    pmt_writer_process_end(writer, 1, PMT_END_UNKNOWN, MAX, MAX);
    pmt_writer_process_end(writer, 0, PMT_END_EXIT, 0, 0);
    pmt_writer_thread(writer, 1, MAX, MAX - 1, "main\0thread", 11);
    pmt_writer_thread_name(writer, 0, "renamed", 7);
    pmt_writer_code(writer, 1, UINT32_MAX - 1, MAX, "/a/b.py", 7, "A.f.<locals>.g", 14);
    pmt_writer_code(writer, 0, 1, 0, "", 0, "", 0);
    pmt_writer_code_lines(writer, 1, UINT32_MAX - 1, "\xff\x00\x80", 3);
    pmt_writer_code_lines(writer, 0, 1, "", 0);
    pmt_writer_module(writer, 1, MAX, MAX - 1, MAX - 2, "/lib/libc.so.6");
    pmt_writer_mark(writer, 1, MAX, PMT_MARK_END, MAX - 1);
    pmt_writer_period(writer, 1, MAX, MAX - 1);
    pmt_writer_lost(writer, 0, MAX, MAX - 1);
    pmt_writer_counter(writer, 1, "wait_ns", MAX);
    pmt_writer_trailer(writer, MAX);
    pmt_reader_t *reader = turn_over(writer, fd);

    pmt_record_t r = next(reader, PMT_WIRE_META);
    assert_int_equal(r.u.meta.scope, 0);
    assert_text(r.u.meta.key, "command");
    assert_int_equal(r.u.meta.value.size, 13);
    assert_memory_equal(r.u.meta.value.data, "python\0app.py", 13);
    r = next(reader, PMT_WIRE_PROCESS);
    assert_int_equal(r.u.process.pid, MAX);
    assert_int_equal(r.u.process.parent, MAX - 1);
    assert_int_equal(r.time, MAX - 2);
    next(reader, PMT_WIRE_PROCESS);
    r = next(reader, PMT_WIRE_META);
    assert_int_equal(r.u.meta.scope, 2);
    assert_text(r.u.meta.key, "");
    assert_text(r.u.meta.value, "");
    r = next(reader, PMT_WIRE_PROCESS_END);
    assert_int_equal(r.u.process_end.process, 1);
    assert_int_equal(r.u.process_end.kind, PMT_END_UNKNOWN);
    assert_int_equal(r.u.process_end.value, MAX);
    assert_int_equal(r.time, MAX);
    next(reader, PMT_WIRE_PROCESS_END);
    r = next(reader, PMT_WIRE_THREAD);
    assert_int_equal(r.u.thread.process, 1);
    assert_int_equal(r.u.thread.tid, MAX);
    assert_int_equal(r.time, MAX - 1);
    assert_int_equal(r.u.thread.name.size, 11);
    assert_memory_equal(r.u.thread.name.data, "main\0thread", 11);
    r = next(reader, PMT_WIRE_THREAD_NAME);
    assert_int_equal(r.u.thread_name.thread, 0);
    assert_text(r.u.thread_name.name, "renamed");
    r = next(reader, PMT_WIRE_CODE);
    assert_int_equal(r.u.code.process, 1);
    assert_int_equal(r.u.code.id, UINT32_MAX - 1);
    assert_int_equal(r.u.code.first_line, MAX);
    assert_text(r.u.code.file, "/a/b.py");
    assert_text(r.u.code.name, "A.f.<locals>.g");
    next(reader, PMT_WIRE_CODE);
    r = next(reader, PMT_WIRE_CODE_LINES);
    assert_int_equal(r.u.code_lines.process, 1);
    assert_int_equal(r.u.code_lines.id, UINT32_MAX - 1);
    assert_int_equal(r.u.code_lines.piece.size, 3);
    assert_memory_equal(r.u.code_lines.piece.data, "\xff\x00\x80", 3);  // bytes, not text
    r = next(reader, PMT_WIRE_CODE_LINES);
    assert_int_equal(r.u.code_lines.piece.size, 0);
    r = next(reader, PMT_WIRE_MODULE);
    assert_int_equal(r.u.module.process, 1);
    assert_int_equal(r.u.module.start, MAX);
    assert_int_equal(r.u.module.size, MAX - 1);
    assert_int_equal(r.u.module.offset, MAX - 2);
    assert_text(r.u.module.path, "/lib/libc.so.6");
    r = next(reader, PMT_WIRE_MARK);
    assert_int_equal(r.u.mark.process, 1);
    assert_int_equal(r.u.mark.kind, PMT_MARK_END);
    assert_int_equal(r.u.mark.rss, MAX - 1);
    assert_int_equal(r.time, MAX);
    r = next(reader, PMT_WIRE_PERIOD);
    assert_int_equal(r.u.period.process, 1);
    assert_int_equal(r.u.period.period, MAX - 1);
    assert_int_equal(r.time, MAX);
    r = next(reader, PMT_WIRE_LOST);
    assert_int_equal(r.u.lost.thread, 0);
    assert_int_equal(r.u.lost.count, MAX - 1);
    assert_int_equal(r.time, MAX);
    r = next(reader, PMT_WIRE_COUNTER);
    assert_int_equal(r.u.counter.process, 1);
    assert_text(r.u.counter.name, "wait_ns");
    assert_int_equal(r.u.counter.value, MAX);
    r = next(reader, PMT_WIRE_TRAILER);
    assert_int_equal(r.time, MAX);
    assert_end(reader, true);
}

static void
stream(void **state)
{
    int fd;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    pmt_writer_round(writer, 5);
    pmt_writer_round(writer, MAX - 5);
    pmt_writer_process(writer, 1, 0, 100);
    pmt_writer_module(writer, 0, 0, 1, 0, "m");
    pmt_writer_site(writer, INT64_MAX, 0);
    pmt_writer_site(writer, INT64_MIN, 1);
    pmt_writer_node(writer, 1, PMT_CODE_ROOT, 0);
    pmt_writer_node(writer, 1, UINT32_MAX - 1, UINT32_MAX);
    pmt_writer_node(writer, 2, PMT_CODE_ELIDED, 7);
    pmt_writer_node_reset(writer);
    pmt_writer_node(writer, 1, PMT_CODE_ROOT, 0);
    pmt_writer_sample(writer, 0, 11, (const int64_t[]){INT64_MAX, INT64_MIN, -1, 1});
    pmt_writer_sample(writer, 0, MAX, (const int64_t[]){INT64_MIN, INT64_MAX, 1, 0});
    pmt_writer_cgroup(writer, 7, INT64_MIN, 0);
    pmt_writer_cgroup(writer, 8, INT64_MAX, (uint64_t)INT64_MAX);
    pmt_reader_t *reader = turn_over(writer, fd);

    assert_int_equal(next(reader, PMT_WIRE_ROUND).time, 5);
    assert_int_equal(next(reader, PMT_WIRE_ROUND).time, MAX);
    next(reader, PMT_WIRE_PROCESS);
    next(reader, PMT_WIRE_MODULE);
    pmt_record_t r = next(reader, PMT_WIRE_SITE);
    assert_int_equal(r.u.site.number, 1);
    assert_int_equal(r.u.site.address, INT64_MAX);
    assert_int_equal(r.u.site.module, 0);
    r = next(reader, PMT_WIRE_SITE);
    assert_int_equal(r.u.site.number, 2);
    assert_int_equal(r.u.site.address, MAX);  // INT64_MAX + INT64_MIN
    assert_int_equal(r.u.site.module, 1);
    r = next(reader, PMT_WIRE_NODE);
    assert_int_equal(r.u.node.number, 1);
    assert_int_equal(r.u.node.parent, 0);
    r = next(reader, PMT_WIRE_NODE);
    assert_int_equal(r.u.node.number, 2);
    assert_int_equal(r.u.node.parent, 1);
    assert_int_equal(r.u.node.code, UINT32_MAX - 1);
    assert_int_equal(r.u.node.offset, UINT32_MAX);
    r = next(reader, PMT_WIRE_NODE);
    assert_int_equal(r.u.node.parent, 1);
    assert_int_equal(r.u.node.code, PMT_CODE_ELIDED);
    next(reader, PMT_WIRE_NODE_RESET);
    assert_int_equal(next(reader, PMT_WIRE_NODE).u.node.number, 1);
    r = next(reader, PMT_WIRE_SAMPLE);
    assert_int_equal(r.time, 111);
    assert_memory_equal(r.u.sample.kib, ((const int64_t[]){INT64_MAX, INT64_MIN, -1, 1}), 32);
    r = next(reader, PMT_WIRE_SAMPLE);
    assert_int_equal(r.time, 110);  // wraps
    assert_memory_equal(r.u.sample.kib, ((const int64_t[]){-1, -1, 0, 1}), 32);
    r = next(reader, PMT_WIRE_CGROUP);
    assert_int_equal(r.time, 7);
    assert_true(r.u.cgroup.usage_kib == INT64_MIN);
    assert_true(r.u.cgroup.limit_kib == -1);
    r = next(reader, PMT_WIRE_CGROUP);
    assert_int_equal(r.time, 15);
    assert_true(r.u.cgroup.usage_kib == -1);
    assert_true(r.u.cgroup.limit_kib == INT64_MAX - 1);
    assert_end(reader, false);
}

static void
assert_fault(const pmt_record_t *r, uint32_t thread, uint64_t time, uint64_t address, uint64_t rise, uint32_t node, uint32_t site, uint64_t weight)
{
    assert_int_equal(r->u.fault.thread, thread);
    assert_int_equal(r->time, time);
    assert_int_equal(r->u.fault.address, address);
    assert_int_equal(r->u.fault.rise, rise);
    assert_int_equal(r->u.fault.node, node);
    assert_int_equal(r->u.fault.site, site);
    assert_int_equal(r->u.fault.weight, weight);
}

static void
faults(void **state)
{
    const unsigned same = PMT_FAULT_SAME_NODE | PMT_FAULT_SAME_SITE;
    int fd;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    pmt_writer_process(writer, 1, 0, 0);
    pmt_writer_thread(writer, 0, 1, 1000, "a", 1);
    pmt_writer_thread(writer, 0, 2, 2000, "b", 1);
    pmt_writer_node(writer, 1, PMT_CODE_ROOT, 0);
    pmt_writer_site(writer, 4096, 0);
    pmt_writer_batch(writer, 0);
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.time = 5, .address = -1, .rise = MAX, .node = 1, .site = 1});
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.flags = same, .time = INT64_MAX, .address = INT64_MIN, .rise = 1});
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.flags = same, .more = PMT_FAULT_ASYNC, .time = INT64_MIN, .rise = 0});
    pmt_writer_batch(writer, 1);
    pmt_writer_weight(writer, MAX);
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.flags = PMT_FAULT_BY_TIME, .time = -2000, .rise = 2, .node = 1, .site = 0});
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.flags = PMT_FAULT_SAME_NODE, .rise = 1, .site = 1});
    pmt_writer_batch(writer, 0);
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.flags = PMT_FAULT_SAME_SITE, .rise = 1, .node = 1});
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.flags = same, .more = PMT_FAULT_ASYNC | PMT_FAULT_CALLER, .rise = 1, .caller = 1});
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.more = PMT_FAULT_CALLER, .rise = MAX, .node = 1, .caller = 0});
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.flags = same, .more = PMT_FAULT_TICK, .rise = 7});
    pmt_reader_t *reader = turn_over(writer, fd);

    for (int i = 0; i < 3; i++) {
        pmt_record_t skipped;
        assert_int_equal(pmt_reader_next(reader, &skipped), 1);
    }
    next(reader, PMT_WIRE_NODE);
    next(reader, PMT_WIRE_SITE);
    next(reader, PMT_WIRE_BATCH);
    pmt_record_t r = next(reader, PMT_WIRE_FAULT);
    assert_fault(&r, 0, 1005, MAX, MAX, 1, 1, 1);
    assert_false(r.u.fault.by_time || r.u.fault.async);
    r = next(reader, PMT_WIRE_FAULT);
    assert_fault(&r, 0, 1005 + (uint64_t)INT64_MAX, (uint64_t)INT64_MAX, 1, 1, 1, 1);
    r = next(reader, PMT_WIRE_FAULT);
    assert_fault(&r, 0, 1004, (uint64_t)INT64_MAX, 0, 1, 1, 1);
    assert_true(r.u.fault.async && !r.u.fault.by_time);
    next(reader, PMT_WIRE_BATCH);
    next(reader, PMT_WIRE_WEIGHT);
    r = next(reader, PMT_WIRE_FAULT);
    assert_fault(&r, 1, 0, 0, 2, 1, 0, MAX);
    assert_true(r.u.fault.by_time && !r.u.fault.async);
    r = next(reader, PMT_WIRE_FAULT);
    assert_fault(&r, 1, 0, 0, 1, 1, 1, MAX);
    next(reader, PMT_WIRE_BATCH);
    r = next(reader, PMT_WIRE_FAULT);  // the first thread goes on where it was, with its own weight
    assert_fault(&r, 0, 1004, (uint64_t)INT64_MAX, 1, 1, 1, 1);
    assert_int_equal(r.u.fault.caller, 0);
    r = next(reader, PMT_WIRE_FAULT);
    assert_fault(&r, 0, 1004, (uint64_t)INT64_MAX, 1, 1, 1, 1);
    assert_int_equal(r.u.fault.caller, 1);
    assert_true(r.u.fault.async);
    r = next(reader, PMT_WIRE_FAULT);
    assert_fault(&r, 0, 1004, (uint64_t)INT64_MAX, MAX, 1, 0, 1);
    assert_int_equal(r.u.fault.caller, 0);
    assert_false(r.u.fault.async || r.u.fault.tick);
    r = next(reader, PMT_WIRE_FAULT);
    assert_fault(&r, 0, 1004, (uint64_t)INT64_MAX, 7, 1, 0, 1);
    assert_true(r.u.fault.tick && !r.u.fault.async && !r.u.fault.by_time);
    assert_end(reader, false);
}

// The bytes of docs/format.md's worked example.
static void
worked_example(void **state)
{
    int fd;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.flags = PMT_FAULT_SAME_NODE | PMT_FAULT_SAME_SITE, .time = 5000, .address = 4096, .rise = 2});
    assert_int_equal(pmt_writer_pending(writer), 6);
    pmt_writer_free(writer);
    close(fd);
    static const uint8_t records[] = {0x41, 3, 1, 0, 0, 0x43, 4, 0, 1, 0, 0, 0x02, 0, 0x03, 1, 0, 0, 0x21, 0, 0, 1, 0, 0x26, 0x90, 0x4e, 0x80, 0x40, 0x02};
    size_t size;
    uint8_t *file = pmt_test_wrap(records, sizeof records, &size);
    fd = pmt_test_file_of(file, size);
    pmt_reader_t *reader = open_fd(fd);
    pmt_record_t r;
    for (int i = 0; i < 6; i++) {
        assert_int_equal(pmt_reader_next(reader, &r), 1);
    }
    assert_int_equal(r.type, PMT_WIRE_FAULT);
    assert_fault(&r, 0, 5000, 4096, 2, 1, 0, 1);
    assert_end(reader, false);
    close(fd);
    free(file);
}

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

// ---- write errors ----

static void
write_much(pmt_writer_t *writer)
{
    for (int i = 0; i < 100000; i++) {
        pmt_writer_code(writer, 0, (uint64_t)i + 1, 1, "/some/file.py", 13, "function", 8);
    }
}

static void
header_cannot_be_written(void **state)
{
    pmt_writer_t *writer = (pmt_writer_t *)state;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    assert_int_equal(pmt_writer_new(full, 0, 0, 4096, &writer), -ENOSPC);
    assert_null(writer);
    close(full);
    assert_int_equal(pmt_writer_new(full, 0, 0, 4096, &writer), -EBADF);
    assert_null(writer);
    assert_int_equal(pmt_writer_new(-1, 0, 0, 4096, &writer), -EBADF);
    int reading = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(pmt_writer_new(reading, 0, 0, 4096, &writer), -EBADF);
    close(reading);
    pmt_writer_free(NULL);
}

// After one good block `broken` takes the file's place; later the file is back, but the error stays.
static void
assert_sticky(int broken, int expected)
{
    int fd, aside;
    size_t size, later;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    pmt_writer_process(writer, 1, 0, 0);
    assert_int_equal(pmt_writer_flush(writer), 0);
    free(pmt_test_bytes(fd, &size));
    aside = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (broken >= 0) {
        dup3(broken, fd, O_CLOEXEC);
    } else {
        close(fd);
    }
    assert_int_equal(pmt_writer_error(writer), 0);
    write_much(writer);
    assert_int_equal(pmt_writer_error(writer), expected);
    dup3(aside, fd, O_CLOEXEC);
    write_much(writer);  // discarded
    pmt_writer_trailer(writer, 1);
    assert_int_equal(pmt_writer_flush(writer), expected);
    assert_int_equal(pmt_writer_error(writer), expected);
    assert_int_equal(pmt_writer_pending(writer), 0);
    free(pmt_test_bytes(fd, &later));
    assert_int_equal(later, size);
    close(aside);
    pmt_reader_t *reader;
    pmt_writer_free(writer);
    reader = open_fd(fd);
    next(reader, PMT_WIRE_PROCESS);
    assert_end(reader, false);
    close(fd);
}

static void
full_device_is_sticky(void **state)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_sticky(full, -ENOSPC);
    close(full);
}

static void
closed_descriptor_is_sticky(void **state)
{
    assert_sticky(-1, -EBADF);
}

static void
file_size_limit_cuts_a_block(void **state)
{
    struct rlimit old, limit;
    int fd;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    pmt_writer_process(writer, 1, 0, 0);
    assert_int_equal(pmt_writer_flush(writer), 0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    write_much(writer);  // the first write is a short one
    int err = pmt_writer_error(writer);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(err, -EFBIG);
    assert_int_equal(pmt_writer_flush(writer), -EFBIG);
    pmt_writer_free(writer);
    pmt_reader_t *reader = open_fd(fd);
    assert_int_equal(pmt_reader_info(reader)->file_size, 1000);
    next(reader, PMT_WIRE_PROCESS);
    assert_end(reader, false);
    close(fd);
}

static void
short_writes_are_completed(void **state)
{
    // A pipe takes 64 KiB at once at most; a reader at the other end that is slow makes every write of a block a short one.
    int ends[2], fd = pmt_test_file(), status;
    pmt_writer_t *writer;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    pid_t child = fork();
    if (child == 0) {
        char piece[1000];
        ssize_t n;
        close(ends[1]);
        while ((n = read(ends[0], piece, sizeof piece)) > 0) {
            if (write(fd, piece, (size_t)n) != n) {
                _exit(1);
            }
        }
        _exit(0);
    }
    close(ends[0]);
    assert_int_equal(pmt_writer_new(ends[1], 0, 0, 4096, &writer), 0);
    pmt_writer_process(writer, 1, 0, 0);
    write_much(writer);
    assert_int_equal(pmt_writer_flush(writer), 0);
    pmt_writer_free(writer);
    close(ends[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    pmt_reader_t *reader = open_fd(fd);
    next(reader, PMT_WIRE_PROCESS);
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(next(reader, PMT_WIRE_CODE).u.code.id, i + 1);
    }
    assert_end(reader, false);
    close(fd);
}

// ---- files that cannot be opened ----

static int
open_bytes(const void *data, size_t size, char error[PMT_ERROR_MAX])
{
    char path[PMT_TEST_PATH];
    pmt_reader_t *reader = (pmt_reader_t *)path;
    int fd = pmt_test_file_of(data, size), err;
    memset(error, 0, PMT_ERROR_MAX);
    err = pmt_reader_open(pmt_test_path(fd, path), &reader, error);
    close(fd);
    if (err) {
        assert_null(reader);
    } else {
        pmt_reader_close(reader);
    }
    return err;
}

static void
no_such_file(void **state)
{
    char error[PMT_ERROR_MAX];
    pmt_reader_t *reader = (pmt_reader_t *)error;
    assert_int_equal(pmt_reader_open("/no/such/file", &reader, error), -ENOENT);
    assert_null(reader);
    assert_int_equal(pmt_reader_open("/proc", &reader, error), -EISDIR);
    assert_null(reader);
    pmt_reader_close(NULL);
}

// Changes some bytes of a good header and makes its checksum right again, if it is to be.
static int
open_changed(size_t at, const void *bytes, size_t size, bool seal, char error[PMT_ERROR_MAX])
{
    size_t file_size;
    uint8_t *file = pmt_test_wrap("", 0, &file_size);
    memcpy(file + at, bytes, size);
    if (seal) {
        pmt_test_seal(file, file_size);
    }
    int err = open_bytes(file, file_size, error);
    free(file);
    return err;
}

static void
headers_refused(void **state)
{
    char error[PMT_ERROR_MAX];
    assert_int_equal(open_bytes("", 0, error), -EBADMSG);
    assert_non_null(strstr(error, "empty"));
    assert_int_equal(open_bytes("#!/bin/sh\n", 10, error), -EBADMSG);
    assert_non_null(strstr(error, "magic"));
    assert_int_equal(open_bytes(PMT_WIRE_MAGIC, 5, error), -EBADMSG);
    assert_non_null(strstr(error, "cut"));
    assert_int_equal(open_changed(0, "", 0, false, error), 0);
    assert_int_equal(open_changed(45, "x", 1, false, error), -EBADMSG);
    assert_non_null(strstr(error, "checksum"));
    assert_int_equal(open_changed(12, "\1\2\3\4", 4, true, error), -EBADMSG);  // the other byte order
    assert_int_equal(open_changed(8, "\2\0", 2, true, error), -EBADMSG);
    assert_non_null(strstr(error, "newer"));
    assert_int_equal(open_changed(16, "\1\0\0\0", 4, true, error), -EBADMSG);
    assert_non_null(strstr(error, "newer"));
    assert_int_equal(open_changed(16, "\0\0\0\x80", 4, true, error), -EBADMSG);
    assert_int_equal(open_changed(40, "\0\0\0\0", 4, true, error), -EBADMSG);
    assert_int_equal(open_changed(40, "\0\1\0\0", 4, true, error), -EBADMSG);
    assert_int_equal(open_changed(40, "\1\x10\0\0", 4, true, error), -EBADMSG);
    assert_int_equal(open_changed(40, "\0\0\0\x80", 4, true, error), -EBADMSG);
    for (size_t at = 0; error[at]; at++) {
        assert_in_range(error[at], 32, 126);  // one line
    }
    assert_int_equal(open_changed(10, "\xff\xff", 2, true, error), 0);          // a later minor version
    assert_int_equal(open_changed(20, "\xff\xff\xff\xff", 4, true, error), 0);  // informative features
    assert_int_equal(open_changed(44, "informative bits", 16, true, error), 0);
}

// ---- files that are cut or damaged ----

// Some of everything in a few hundred bytes and three blocks. block_ends: where the header and the blocks end.
static uint8_t *
small_file(size_t *size, size_t block_ends[4])
{
    int fd;
    pmt_writer_t *writer = pmt_test_writer(&fd);
    block_ends[0] = PMT_WIRE_HEADER;
    pmt_writer_process(writer, 100, 1, 5);
    pmt_writer_thread(writer, 0, 101, 6, "main", 4);
    pmt_writer_meta(writer, 1, "engine", "faults", 6);
    pmt_writer_module(writer, 0, 0x1000, 0x2000, 0, "/lib/x.so");
    pmt_writer_code(writer, 0, 1, 10, "a.py", 4, "f", 1);
    pmt_writer_code_lines(writer, 0, 1, "\2\1", 2);
    pmt_writer_flush(writer);
    free(pmt_test_bytes(fd, &block_ends[1]));
    pmt_writer_round(writer, 50);
    pmt_writer_batch(writer, 0);
    pmt_writer_node(writer, 1, PMT_CODE_ROOT, 0);
    pmt_writer_node(writer, 1, 1, 2);
    pmt_writer_site(writer, 0x1100, 1);
    pmt_writer_weight(writer, 2);
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.time = 5, .address = 0x7000, .rise = 3, .node = 2, .site = 1});
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.flags = PMT_FAULT_SAME_NODE | PMT_FAULT_SAME_SITE, .more = 1, .time = 9, .rise = 1});
    pmt_writer_sample(writer, 0, 60, (const int64_t[]){1, 2, 3, 4});
    pmt_writer_cgroup(writer, 61, 1000, 2001);
    pmt_writer_node_reset(writer);
    pmt_writer_flush(writer);
    free(pmt_test_bytes(fd, &block_ends[2]));
    pmt_writer_mark(writer, 0, 70, PMT_MARK_END, 30);
    pmt_writer_period(writer, 0, 71, 2);
    pmt_writer_lost(writer, 0, 72, 3);
    pmt_writer_counter(writer, 0, "lost", 3);
    pmt_writer_process_end(writer, 0, PMT_END_EXIT, 0, 80);
    pmt_writer_trailer(writer, 90);
    pmt_writer_flush(writer);
    pmt_writer_free(writer);
    uint8_t *bytes = pmt_test_bytes(fd, size);
    block_ends[3] = *size;
    close(fd);
    return bytes;
}

enum { SMALL_RECORDS = 23 };

typedef struct outcome_s {
    int opened, last;  // results of open and of the last next
    unsigned records;
    bool complete;
    uint64_t good;
} outcome_t;

static outcome_t
read_all(const void *bytes, size_t size)
{
    char path[PMT_TEST_PATH], error[PMT_ERROR_MAX];
    outcome_t outcome = {0};
    pmt_reader_t *reader;
    pmt_record_t record;
    int fd = pmt_test_file_of(bytes, size);
    outcome.opened = pmt_reader_open(pmt_test_path(fd, path), &reader, error);
    if (outcome.opened == 0) {
        while ((outcome.last = pmt_reader_next(reader, &record)) > 0) {
            assert_int_equal(outcome.last, 1);
            assert_true(++outcome.records < 1 << 20);
        }
        assert_int_equal(pmt_reader_next(reader, &record), 0);  // after an error, too, nothing comes any more
        assert_int_equal(outcome.last == -EBADMSG, pmt_reader_problem(reader)[0] != '\0');
        outcome.complete = pmt_reader_complete(reader);
        outcome.good = pmt_reader_good_bytes(reader);
        pmt_reader_close(reader);
    }
    close(fd);
    return outcome;
}

static void
every_truncation(void **state)
{
    size_t size, ends[4];
    uint8_t *bytes = small_file(&size, ends);
    unsigned records[4] = {0};
    for (int i = 1; i < 4; i++) {
        records[i] = read_all(bytes, ends[i]).records;
    }
    assert_int_equal(records[3], SMALL_RECORDS);
    for (size_t n = 0, block = 0; n <= size; n++) {
        outcome_t outcome = read_all(bytes, n);
        if (n < PMT_WIRE_HEADER) {
            assert_int_equal(outcome.opened, -EBADMSG);
            continue;
        }
        block += block < 3 && ends[block + 1] == n;
        assert_int_equal(outcome.opened, 0);
        assert_int_equal(outcome.last, 0);
        assert_int_equal(outcome.good, ends[block]);
        assert_int_equal(outcome.records, records[block]);
        assert_int_equal(outcome.complete, n == size);
    }
    free(bytes);
}

static void
every_bit(void **state)
{
    size_t size, ends[4];
    uint8_t *bytes = small_file(&size, ends);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        size_t block = 0;
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        outcome_t outcome = read_all(bytes, size);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (bit / 8 < PMT_WIRE_HEADER) {
            assert_int_equal(outcome.opened, -EBADMSG);
            continue;
        }
        while (ends[block + 1] <= bit / 8) {
            block++;
        }
        assert_int_equal(outcome.opened, 0);
        assert_int_equal(outcome.good, ends[block]);  // the blocks before are good, this one is not
        assert_false(outcome.complete);
        if (outcome.last == 0) {
            assert_in_range(bit / 8 - ends[block], 8, 11);  // a stored length beyond the end looks like a cut
        } else {
            assert_int_equal(outcome.last, -EBADMSG);
        }
    }
    free(bytes);
}

// The same bits, but in records whose block is sealed again: the decoder sees them. What it makes of them is its affair, as long as it stays in bounds.
static void
every_bit_of_the_records(void **state)
{
    static const uint8_t records[] = {
        0x41, 3, 1, 0, 0, 0x43, 5, 0, 1, 0, 1, 'a', 0x47, 6, 0, 1, 9, 0, 1, 'm', 0x40, 5, 1, 1, 'k', 1, 'v', 0x45, 7, 0, 1, 5, 1, 'f', 1, 'n', 0x46, 5, 0, 1, 2,
        2, 1, 0x01, 9, 0x02, 0, 0x03, 1, 0, 0, 0x03, 1, 1, 2, 0x05, 4, 1, 0x08, 2, 0x20, 2, 4, 7, 2, 1, 0x37, 3, 2, 2, 1, 0x06, 0, 1, 2, 2, 2, 2, 0x07, 1, 2, 3,
        0x48, 4, 0, 1, 1, 9, 0x49, 3, 0, 1, 2, 0x4a, 3, 0, 1, 2, 0x4b, 4, 0, 1, 'c', 5, 0x42, 4, 0, 0, 0, 1, 0x44, 3, 0, 1, 'b', 0x04, 0, 0x4c, 1, 9,
    };
    uint8_t changed[sizeof records];
    unsigned refused = 0;
    for (size_t bit = 0; bit <= 8 * sizeof records; bit++) {
        size_t size;
        memcpy(changed, records, sizeof records);
        if (bit < 8 * sizeof records) {
            changed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        uint8_t *file = pmt_test_wrap(changed, sizeof changed, &size);
        outcome_t outcome = read_all(file, size);
        assert_int_equal(outcome.opened, 0);
        assert_true(outcome.last == 0 || outcome.last == -EBADMSG);
        refused += outcome.last != 0;
        free(file);
        if (bit == 8 * sizeof records) {  // all as it was
            assert_int_equal(outcome.last, 0);
            assert_true(outcome.complete);
        }
    }
    assert_true(refused > sizeof records);
}

static void
records_cut_anywhere(void **state)
{
    // A block that ends inside a record is corrupt, though its checksum holds.
    static const uint8_t records[] = {0x41, 3, 1, 0, 0, 0x43, 5, 0, 1, 0, 1, 'a', 0x03, 1, 0, 0, 0x02, 0, 0x30, 1, 0x90, 0x4e, 0x80, 0x40, 2, 1, 0, 0x4c, 1, 9};
    static const size_t ends[] = {5, 12, 16, 18, 27, 30};
    for (size_t n = 1; n <= sizeof records; n++) {
        size_t size;
        bool whole = false;
        uint8_t *file = pmt_test_wrap(records, n, &size);
        outcome_t outcome = read_all(file, size);
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
            whole |= ends[i] == n;
        }
        assert_int_equal(outcome.last, whole ? 0 : -EBADMSG);
        assert_int_equal(outcome.good, whole ? size : PMT_WIRE_HEADER);
        assert_int_equal(outcome.complete, n == sizeof records);
        free(file);
    }
}

static void
unknown_definitions_and_filler_are_passed_over(void **state)
{
    static const uint8_t records[] = {0, 0, 0x41, 5, 1, 0, 0, 'm', 'o', 0xff, 3, 1, 2, 3, 0x4d, 0, 0, 0x4c, 2, 9, 'x', 0};
    size_t size;
    uint8_t *file = pmt_test_wrap(records, sizeof records, &size);
    outcome_t outcome = read_all(file, size);
    assert_int_equal(outcome.last, 0);
    assert_int_equal(outcome.records, 2);
    assert_true(outcome.complete);
    free(file);
    static const uint8_t after[] = {0x4c, 1, 9, 0x01, 1};
    file = pmt_test_wrap(after, sizeof after, &size);
    outcome = read_all(file, size);
    assert_int_equal(outcome.last, 0);
    assert_false(outcome.complete);  // the trailer was not the last record
    free(file);
}

static void
zero_tail(void **state)
{
    static const size_t tails[] = {1, 19, 20, 21, 4095, 4096, 4097, 100000};
    size_t size, ends[4];
    uint8_t *bytes = small_file(&size, ends);
    uint8_t *longer = calloc(1, size + 100000);
    memcpy(longer, bytes, size);
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        outcome_t outcome = read_all(longer, size + tails[i]);
        assert_int_equal(outcome.last, 0);
        assert_int_equal(outcome.records, SMALL_RECORDS);
        assert_int_equal(outcome.good, size);
        assert_false(outcome.complete);  // something follows the trailer: not as it was left
        if (tails[i] > PMT_WIRE_BLOCK_HEADER) {  // something behind the zeros: damage
            longer[size + tails[i] - 1] = 1;
            outcome = read_all(longer, size + tails[i]);
            longer[size + tails[i] - 1] = 0;
            assert_int_equal(outcome.last, -EBADMSG);
            assert_int_equal(outcome.good, size);
        }
    }
    free(longer);
    free(bytes);
}

// ---- blocks whose checksum holds, but nothing else ----

static int
read_block(uint32_t sequence, uint32_t stored, uint32_t raw, const char *magic)
{
    static const uint8_t records[] = {0x4c, 1, 9};
    size_t size;
    uint8_t *file = pmt_test_wrap(records, sizeof records, &size), *block = file + PMT_WIRE_HEADER;
    uint32_t real = (uint32_t)(size - PMT_WIRE_HEADER - PMT_WIRE_BLOCK_HEADER);
    stored = stored == UINT32_MAX ? real : stored;
    memcpy(block, magic, 4);
    memcpy(block + 4, &sequence, 4);
    memcpy(block + 8, &stored, 4);
    memcpy(block + 12, &raw, 4);
    pmt_test_seal(file, size);
    outcome_t outcome = read_all(file, size);
    free(file);
    return outcome.last;
}

static void
block_headers_refused(void **state)
{
    assert_int_equal(read_block(0, UINT32_MAX, 3, "PBLK"), 0);
    assert_int_equal(read_block(1, UINT32_MAX, 3, "PBLK"), -EBADMSG);
    assert_int_equal(read_block(0, UINT32_MAX, 3, "PBLk"), -EBADMSG);
    assert_int_equal(read_block(0, UINT32_MAX, 2, "PBLK"), -EBADMSG);
    assert_int_equal(read_block(0, UINT32_MAX, 4, "PBLK"), -EBADMSG);
    assert_int_equal(read_block(0, UINT32_MAX, 0, "PBLK"), -EBADMSG);
    assert_int_equal(read_block(0, UINT32_MAX, PMT_WIRE_RAW_MAX, "PBLK"), -EBADMSG);
    assert_int_equal(read_block(0, UINT32_MAX, PMT_WIRE_RAW_MAX + 1, "PBLK"), -EBADMSG);
    assert_int_equal(read_block(0, 0, 3, "PBLK"), -EBADMSG);
    assert_int_equal(read_block(0, 5, 3, "PBLK"), -EBADMSG);
    assert_int_equal(read_block(0, PMT_WIRE_STORED_MAX + 1, 3, "PBLK"), -EBADMSG);
    assert_int_equal(read_block(0, PMT_WIRE_STORED_MAX, 3, "PBLK"), 0);  // looks cut
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header),
        cmocka_unit_test(definitions),
        cmocka_unit_test(stream),
        cmocka_unit_test(faults),
        cmocka_unit_test(worked_example),
        cmocka_unit_test(texts_too_long_or_not_utf8),
        cmocka_unit_test(every_text_of_a_record_too_long),
        cmocka_unit_test(large_blocks),
        cmocka_unit_test(deltas_run_on_over_blocks),
        cmocka_unit_test(header_cannot_be_written),
        cmocka_unit_test(full_device_is_sticky),
        cmocka_unit_test(closed_descriptor_is_sticky),
        cmocka_unit_test(file_size_limit_cuts_a_block),
        cmocka_unit_test(short_writes_are_completed),
        cmocka_unit_test(no_such_file),
        cmocka_unit_test(headers_refused),
        cmocka_unit_test(every_truncation),
        cmocka_unit_test(every_bit),
        cmocka_unit_test(every_bit_of_the_records),
        cmocka_unit_test(records_cut_anywhere),
        cmocka_unit_test(unknown_definitions_and_filler_are_passed_over),
        cmocka_unit_test(zero_tail),
        cmocka_unit_test(block_headers_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
