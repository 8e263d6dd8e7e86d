// Each record through the writer and back through the reader.
#include "format_support.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t MAX = UINT64_MAX;

static void
assert_text(pmt_text_t text, const char *expected)
{
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.data, expected, text.size);
}

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
    pmt_writer_code_module(writer, 1, UINT32_MAX - 1, "package.module", 14);
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
    r = next(reader, PMT_WIRE_CODE_MODULE);
    assert_int_equal(r.u.code_module.process, 1);
    assert_int_equal(r.u.code_module.id, UINT32_MAX - 1);
    assert_text(r.u.code_module.module, "package.module");
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
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.flags = same, .more = PMT_FAULT_TICK | PMT_FAULT_FELL, .rise = 7, .fell_to = MAX});
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
    assert_false(r.u.fault.async || r.u.fault.tick || r.u.fault.fell);
    r = next(reader, PMT_WIRE_FAULT);
    assert_fault(&r, 0, 1004, (uint64_t)INT64_MAX, 7, 1, 0, 1);
    assert_true(r.u.fault.tick && !r.u.fault.async && !r.u.fault.by_time);
    assert_true(r.u.fault.fell && r.u.fault.fell_to == MAX);
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header),
        cmocka_unit_test(definitions),
        cmocka_unit_test(stream),
        cmocka_unit_test(faults),
        cmocka_unit_test(worked_example),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
