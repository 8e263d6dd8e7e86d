// From the rings to the trace: raw records put into shared memory by hand, drained, and read back with the reader. The records are right, wrong or hostile; the
// file that comes out must always be one that the reader takes. Long, for it is one list of cases.
#define _GNU_SOURCE
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "format/wire.h"
#include "recorder/trace.h"
#include "support.h"

enum { TID = 4711, NOWHERE = 16, MODULES_AGAIN_US = 25000 };

// ---- a recorder with a program of our making ----

static pmt_trace_t trace;
static pmt_process_t *process;
static pmt_shared_t *shared;  // the program's own mapping
static int file;

static pmt_process_t *
new_process(uint32_t pid, pmt_shared_t **out)
{
    void *memory;
    int fd;
    assert_int_equal(pmt_prim_share("pmt-test", PMT_SHARED_SIZE, &fd, &memory), 0);
    *out = memory;
    atomic_store(&(*out)->rings_used, 4);
    pmt_hello_t hello = {.kind = PMT_MESSAGE_HELLO, .version = PMT_SHARED_VERSION, .pid = pid, .parent = 1, .time = trace.t0 + 5};
    pmt_process_t *made = pmt_process_greeted(&trace, &hello, fd);
    pmt_prim_close_sigsafe(fd);
    assert_non_null(made);
    return made;
}

static int
set_up(void **state)
{
    trace = (pmt_trace_t){.t0 = 1000, .batch = -1, .cgroup.usage_fd = -1};
    trace.nodes = pmt_nodes_new();
    trace.sites = pmt_sites_new();
    file = pmt_test_file();
    if (!trace.nodes || !trace.sites || pmt_writer_new(file, trace.t0, 0, PMT_TEST_PAGE, &trace.writer) < 0) {
        return -1;
    }
    process = new_process((uint32_t)getpid(), &shared);
    return 0;
}

static int
tear_down(void **state)
{
    while (trace.processes) {
        trace.processes->replaced = true;  // else it would be a ghost as long as this test runs
        pmt_process_close(&trace, trace.processes);
    }
    pmt_process_lay_ghosts(&trace);
    pmt_prim_unmap(shared, PMT_SHARED_SIZE);
    pmt_nodes_free(trace.nodes);
    pmt_sites_free(trace.sites);
    pmt_writer_free(trace.writer);
    close(trace.cgroup.usage_fd);
    close(file);
    return 0;
}

// ---- the producer, by hand ----

static uint64_t
head_of(unsigned slot)
{
    return atomic_load(&pmt_shared_ring(shared, slot)->head);
}

// A record with these words behind its first one. `words`: the length it claims.
static void
put_claiming(unsigned slot, unsigned type, unsigned flags, uint32_t arg, const uint64_t *fields, unsigned count, unsigned words)
{
    pmt_ring_t *ring = pmt_shared_ring(shared, slot);
    uint64_t head = head_of(slot), left = PMT_RING_WORDS - head % PMT_RING_WORDS;
    if (left < 1 + count) {
        pmt_raw_t filler = {.type = PMT_RAW_SKIP, .words = (uint16_t)left};
        memcpy(pmt_shared_words(shared, slot) + head % PMT_RING_WORDS, &filler, sizeof filler);
        head += left;
    }
    uint64_t *at = pmt_shared_words(shared, slot) + head % PMT_RING_WORDS;
    pmt_raw_t raw = {.type = (uint8_t)type, .flags = (uint8_t)flags, .words = (uint16_t)words, .arg = arg};
    memcpy(at, &raw, sizeof raw);
    if (count) {
        memcpy(at + 1, fields, count * sizeof *fields);
    }
    atomic_store(&ring->head, head + 1 + count);
    assert_true(atomic_load(&ring->head) - atomic_load(&ring->tail) <= PMT_RING_WORDS);
}

static void
put(unsigned slot, unsigned type, unsigned flags, uint32_t arg, const uint64_t *fields, unsigned count)
{
    put_claiming(slot, type, flags, arg, fields, count, 1 + count);
}

#define FIELDS(...) (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)
#define FRAME(code, offset) ((uint64_t)(code) << 32 | (offset))

static void
put_thread(unsigned slot, uint32_t tid, uint64_t time)
{
    put(slot, PMT_RAW_THREAD, 0, tid, FIELDS(trace.t0 + time));
}

static void
put_fault(unsigned slot, unsigned flags, uint32_t rise, uint64_t time, uint64_t address, uint64_t instruction)
{
    put(slot, PMT_RAW_FAULT, flags, rise, FIELDS(trace.t0 + time, address, instruction));
}

// A fault that only its stack matters of.
static void
put_mere_fault(unsigned slot)
{
    put_fault(slot, 0, 1, 50, 0x1000, NOWHERE);
}

static void
put_text_record(unsigned slot, unsigned type, uint32_t arg, const uint64_t *fields, unsigned count, const char *text, size_t size)
{
    uint64_t words[PMT_RAW_WORDS_MAX] = {0};
    if (count) {
        memcpy(words, fields, count * sizeof *words);
    }
    memcpy(words + count, text, size);
    put(slot, type, 0, arg, words, count + (unsigned)(size + 7) / 8);
}

static void
drain(void)
{
    assert_true(pmt_drain(&trace));
    for (unsigned slot = 0; slot < 4; slot++) {
        const pmt_ring_t *ring = pmt_shared_ring(shared, slot);
        assert_int_equal(atomic_load(&ring->tail), atomic_load(&ring->head));  // all was taken
    }
    assert_false(pmt_drain(&trace));
}

// ---- the file read back, stacks spelled out ----

enum { FAULTS_MAX = 5000, STACK_KEPT = 8, NAMES = 4, MODULES = 128 };

typedef struct fault_s {
    uint32_t thread, process;
    uint64_t time, address, rise, weight, instruction, caller;  // caller 0: none
    uint32_t module;
    bool by_time, async, tick;
    uint32_t depth;
    uint64_t frames[STACK_KEPT];  // the innermost, from the innermost outwards
    uint64_t stack_hash;          // of all
} fault_t;

typedef struct got_s {
    fault_t faults[FAULTS_MAX];
    unsigned fault_count;
    unsigned counts[256];                   // records by type
    pmt_record_t last[256];                 // the last of each type, texts as below
    char names[NAMES][64];                  // that threads were given
    char text[2][4096];                     // of the last CODE: file, name
    size_t text_size[2];
    uint8_t lines[4096];                    // of all CODE_LINES
    size_t lines_size;
    char modules[MODULES][256];             // paths by number
} got_t;

static got_t got;

typedef struct node_s {
    uint32_t parent;
    uint64_t frame;
} node_t;

static node_t nodes[1 << 20];
static uint64_t site_address[1 << 16];
static uint32_t site_module[1 << 16];

static uint64_t
hash_frame(uint64_t hash, uint64_t frame)
{
    return (hash ^ frame) * 0x100000001b3ull + (hash >> 29);
}

static void
got_fault(const pmt_record_t *r)
{
    assert_in_range(got.fault_count, 0, FAULTS_MAX - 1);
    fault_t *fault = &got.faults[got.fault_count++];
    *fault = (fault_t){.thread = r->u.fault.thread, .time = r->time, .address = r->u.fault.address, .rise = r->u.fault.rise, .weight = r->u.fault.weight,
                       .by_time = r->u.fault.by_time, .async = r->u.fault.async, .tick = r->u.fault.tick};
    assert_true(r->u.fault.site != 0);
    fault->instruction = site_address[r->u.fault.site];
    fault->module = site_module[r->u.fault.site];
    fault->caller = site_address[r->u.fault.caller];
    uint32_t at = r->u.fault.node;
    for (; nodes[at].parent; at = nodes[at].parent) {
        if (fault->depth < STACK_KEPT) {
            fault->frames[fault->depth] = nodes[at].frame;
        }
        fault->depth++;
        fault->stack_hash = hash_frame(fault->stack_hash, nodes[at].frame);
    }
    assert_int_equal(nodes[at].frame >> 32, PMT_CODE_ROOT);
    fault->process = (uint32_t)nodes[at].frame;
}

static void
copy_text(char *out, size_t room, pmt_text_t text)
{
    assert_true(text.size < room);
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
}

static void
got_record(const pmt_record_t *r)
{
    got.counts[r->type]++;
    got.last[r->type] = *r;
    switch (r->type) {
    case PMT_WIRE_NODE:
        assert_in_range(r->u.node.number, 1, (1 << 20) - 1);
        nodes[r->u.node.number] = (node_t){r->u.node.parent, FRAME(r->u.node.code, r->u.node.offset)};
        break;
    case PMT_WIRE_SITE:
        site_address[r->u.site.number] = r->u.site.address;
        site_module[r->u.site.number] = r->u.site.module;
        break;
    case PMT_WIRE_THREAD_NAME:
        copy_text(got.names[r->u.thread_name.thread % NAMES], sizeof *got.names, r->u.thread_name.name);
        break;
    case PMT_WIRE_CODE:
        copy_text(got.text[0], sizeof *got.text, r->u.code.file);
        copy_text(got.text[1], sizeof *got.text, r->u.code.name);
        break;
    case PMT_WIRE_CODE_LINES:
        memcpy(got.lines + got.lines_size, r->u.code_lines.piece.data, r->u.code_lines.piece.size);
        got.lines_size += r->u.code_lines.piece.size;
        break;
    case PMT_WIRE_MODULE:
        copy_text(got.modules[got.counts[PMT_WIRE_MODULE] % MODULES], sizeof *got.modules, r->u.module.path);
        break;
    case PMT_WIRE_FAULT:
        got_fault(r);
        break;
    default:
        break;
    }
}

static void
read_back(void)
{
    char path[PMT_TEST_PATH], error[PMT_ERROR_MAX] = "";
    pmt_reader_t *reader;
    pmt_record_t record;
    int result;
    assert_int_equal(pmt_writer_flush(trace.writer), 0);
    assert_int_equal(pmt_reader_open(pmt_test_path(file, path), &reader, error), 0);
    memset(&got, 0, sizeof got);
    while ((result = pmt_reader_next(reader, &record)) > 0) {
        got_record(&record);
    }
    const char *problem = pmt_reader_problem(reader);  // static text
    pmt_reader_close(reader);
    if (result < 0) {
        fail_msg("the reader refuses the trace: %s", problem);
    }
}

#define ASSERT_STACK(fault, ...) assert_stack(&got.faults[fault], FIELDS(__VA_ARGS__))

// `frames`: the whole stack, from the innermost outwards.
static void
assert_stack(const fault_t *fault, const uint64_t *frames, unsigned depth)
{
    assert_int_equal(fault->depth, depth);
    for (unsigned i = 0; i < depth; i++) {
        assert_int_equal(fault->frames[i], frames[i]);
    }
}

// ---- right records ----

static void
one_fault(void **state)
{
    put_thread(0, TID, 20);
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 10), FRAME(2, 20)));
    put_fault(0, PMT_RAW_FAULT_BY_TIME | 3, 7, 40, 0x7fff0000, NOWHERE);
    drain();
    read_back();
    assert_int_equal(got.counts[PMT_WIRE_PROCESS], 1);
    assert_int_equal(got.last[PMT_WIRE_PROCESS].u.process.pid, getpid());
    assert_int_equal(got.last[PMT_WIRE_PROCESS].u.process.parent, 1);
    assert_int_equal(got.last[PMT_WIRE_PROCESS].time, 5);
    assert_true(got.counts[PMT_WIRE_MODULE] > 0);
    assert_int_equal(got.counts[PMT_WIRE_THREAD], 1);
    assert_int_equal(got.last[PMT_WIRE_THREAD].u.thread.tid, TID);
    assert_int_equal(got.last[PMT_WIRE_THREAD].time, 20);
    assert_int_equal(got.fault_count, 1);
    const fault_t *fault = &got.faults[0];
    assert_int_equal(fault->thread, 0);
    assert_int_equal(fault->process, 0);
    assert_int_equal(fault->time, 40);
    assert_int_equal(fault->address, 0x7fff0000);
    assert_int_equal(fault->rise, 7);
    assert_int_equal(fault->weight, 8);
    assert_int_equal(fault->instruction, NOWHERE);
    assert_int_equal(fault->module, 0);
    assert_true(fault->by_time);
    assert_false(fault->async);
    ASSERT_STACK(0, FRAME(2, 20), FRAME(1, 10));
    assert_int_equal(got.counts[PMT_WIRE_ROUND], 1);
    assert_true(got.last[PMT_WIRE_ROUND].time > 1000000);
    assert_int_equal(atomic_load(&shared->progress), 1);
}

static void
nothing_to_drain(void **state)
{
    assert_false(pmt_drain(&trace));
    assert_int_equal(atomic_load(&shared->progress), 0);
    read_back();
    assert_int_equal(got.counts[PMT_WIRE_ROUND], 0);
}

static void
keep_and_push(void **state)
{
    put_thread(0, TID, 20);
    put_mere_fault(0);  // no Python frame
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 0), FRAME(2, 0), FRAME(3, 0)));
    put_mere_fault(0);
    put(0, PMT_RAW_FRAMES, 0, 2, FIELDS(FRAME(3, 8)));  // the innermost moved on
    put_mere_fault(0);
    put(0, PMT_RAW_FRAMES, 0, 3, FIELDS(FRAME(4, 0), FRAME(5, 0)));  // calls
    put_mere_fault(0);
    put(0, PMT_RAW_FRAMES, 0, 1, NULL, 0);  // returns
    put_mere_fault(0);
    put_mere_fault(0);  // the same stack
    put(0, PMT_RAW_FRAMES, 0, 1, FIELDS(FRAME(2, 0), FRAME(3, 0)));  // one seen before
    put_mere_fault(0);
    put(0, PMT_RAW_FRAMES, 0, 0, NULL, 0);
    put_mere_fault(0);
    drain();
    read_back();
    assert_int_equal(got.fault_count, 8);
    assert_int_equal(got.faults[0].depth, 0);
    ASSERT_STACK(1, FRAME(3, 0), FRAME(2, 0), FRAME(1, 0));
    ASSERT_STACK(2, FRAME(3, 8), FRAME(2, 0), FRAME(1, 0));
    ASSERT_STACK(3, FRAME(5, 0), FRAME(4, 0), FRAME(3, 8), FRAME(2, 0), FRAME(1, 0));
    ASSERT_STACK(4, FRAME(1, 0));
    ASSERT_STACK(5, FRAME(1, 0));
    ASSERT_STACK(6, FRAME(3, 0), FRAME(2, 0), FRAME(1, 0));
    assert_int_equal(got.faults[7].depth, 0);
    assert_int_equal(got.counts[PMT_WIRE_NODE], 1 + 3 + 1 + 2);  // each stack is defined once
}

static void
frames_without_faults_in_between(void **state)
{
    // The stack is followed at every FRAMES, but named only when there is a fault.
    put_thread(0, TID, 20);
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 0), FRAME(2, 0)));
    put_mere_fault(0);
    put(0, PMT_RAW_FRAMES, 0, 2, FIELDS(FRAME(3, 0), FRAME(4, 0)));
    put(0, PMT_RAW_FRAMES, 0, 1, FIELDS(FRAME(5, 0)));
    put(0, PMT_RAW_FRAMES, 0, 2, FIELDS(FRAME(6, 0), FRAME(7, 0)));
    put_mere_fault(0);
    drain();
    read_back();
    ASSERT_STACK(1, FRAME(7, 0), FRAME(6, 0), FRAME(5, 0), FRAME(1, 0));
}

static void
deepest_stack(void **state)
{
    put_thread(0, TID, 20);
    for (uint32_t depth = 0; depth < PMT_STACK_MAX;) {  // in pieces, as a record cannot hold it
        uint64_t frames[500];
        uint32_t count = PMT_STACK_MAX - depth < 500 ? PMT_STACK_MAX - depth : 500;
        for (uint32_t i = 0; i < count; i++) {
            frames[i] = depth + i == PMT_STACK_OUTER ? FRAME(PMT_CODE_ELIDED, 12345) : FRAME(1 + depth + i, 2 * i);
        }
        put(0, PMT_RAW_FRAMES, 0, depth, frames, count);
        depth += count;
        drain();
    }
    put_mere_fault(0);
    put(0, PMT_RAW_FRAMES, 0, PMT_STACK_MAX, FIELDS(FRAME(9, 9)));  // one too many: left alone
    put_mere_fault(0);
    drain();
    read_back();
    assert_int_equal(got.faults[0].depth, PMT_STACK_MAX);
    assert_int_equal(got.faults[1].depth, PMT_STACK_MAX);
    assert_int_equal(got.faults[0].stack_hash, got.faults[1].stack_hash);
    assert_int_equal(got.faults[0].frames[0] >> 32, PMT_STACK_MAX);
}

static void
flags_and_weights(void **state)
{
    static const unsigned flags[] = {0, 0, 1, PMT_RAW_FAULT_ASYNC | 1, PMT_RAW_FAULT_BY_TIME | PMT_RAW_FAULT_ASYNC | 15, 0x80 | 6, PMT_RAW_FAULT_TICK, 0};
    put_thread(0, TID, 20);
    for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++) {
        put_fault(0, flags[i], i, 60 - i, 0x1000 * i, 0x10 * i);  // times may go back
    }
    drain();
    read_back();
    assert_int_equal(got.fault_count, sizeof flags / sizeof *flags);
    for (unsigned i = 0; i < got.fault_count; i++) {
        const fault_t *fault = &got.faults[i];
        assert_int_equal(fault->rise, i);
        assert_int_equal(fault->time, 60 - i);
        assert_int_equal(fault->address, 0x1000 * i);
        assert_int_equal(fault->instruction, 0x10 * i);
        assert_int_equal(fault->weight, 1u << (flags[i] & 15));
        assert_int_equal(fault->by_time, (flags[i] & PMT_RAW_FAULT_BY_TIME) != 0);
        assert_int_equal(fault->async, (flags[i] & PMT_RAW_FAULT_ASYNC) != 0);
        assert_int_equal(fault->tick, (flags[i] & PMT_RAW_FAULT_TICK) != 0);
    }
    assert_int_equal(got.counts[PMT_WIRE_WEIGHT], 4);  // only where it changes
}

static void
extreme_fields(void **state)
{
    put(0, PMT_RAW_THREAD, 0, UINT32_MAX, FIELDS(0));  // before the trace began: its beginning
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(UINT32_MAX - 1, UINT32_MAX)));
    put(0, PMT_RAW_FAULT, 0, UINT32_MAX, FIELDS(UINT64_MAX, UINT64_MAX, UINT64_MAX));
    put(0, PMT_RAW_FAULT, 0, 0, FIELDS(0, 0, 0));
    put(0, PMT_RAW_MARK, 0, PMT_MARK_END, FIELDS(UINT64_MAX, UINT64_MAX));
    put(0, PMT_RAW_PERIOD, 0, UINT32_MAX, FIELDS(UINT64_MAX));
    put(0, PMT_RAW_LOST, 0, UINT32_MAX, FIELDS(UINT64_MAX));
    drain();
    read_back();
    assert_int_equal(got.last[PMT_WIRE_THREAD].time, 0);
    assert_int_equal(got.last[PMT_WIRE_THREAD].u.thread.tid, UINT32_MAX);
    assert_int_equal(got.faults[0].rise, UINT32_MAX);
    assert_int_equal(got.faults[0].time, UINT64_MAX - trace.t0);
    assert_int_equal(got.faults[0].address, UINT64_MAX);
    assert_int_equal(got.faults[0].instruction, UINT64_MAX);
    ASSERT_STACK(0, FRAME(UINT32_MAX - 1, UINT32_MAX));
    assert_int_equal(got.faults[1].time, 0);
    assert_int_equal(got.faults[1].address, 0);
    assert_int_equal(got.faults[1].instruction, 0);
    assert_int_equal(got.last[PMT_WIRE_MARK].u.mark.rss, UINT64_MAX);
    assert_int_equal(got.last[PMT_WIRE_MARK].u.mark.kind, PMT_MARK_END);
    assert_int_equal(got.last[PMT_WIRE_PERIOD].u.period.period, UINT32_MAX);
    assert_int_equal(got.last[PMT_WIRE_LOST].u.lost.count, UINT32_MAX);
    assert_int_equal(got.last[PMT_WIRE_LOST].time, UINT64_MAX - trace.t0);
}

static void
texts(void **state)
{
    static const char names[] = "/a/caf\xe9.pyA.f";  // the file name is no UTF-8
    put_thread(0, TID, 20);
    put_text_record(0, PMT_RAW_CODE, 7, FIELDS(33, (uint64_t)10 << 32 | 3), names, 13);
    put_text_record(0, PMT_RAW_CODE_LINES, 7, FIELDS(3), "\1\2\3", 3);
    put_text_record(0, PMT_RAW_CODE_LINES, 7, FIELDS(9), "\4\5\6\7\x80\xff\0\1\2", 9);
    put_text_record(0, PMT_RAW_THREAD_NAME, 6, NULL, 0, "worker", 6);
    drain();
    read_back();
    assert_int_equal(got.last[PMT_WIRE_CODE].u.code.id, 7);
    assert_int_equal(got.last[PMT_WIRE_CODE].u.code.first_line, 33);
    assert_string_equal(got.text[0], "/a/caf\xed\xb3\xa9.py");
    assert_string_equal(got.text[1], "A.f");
    assert_int_equal(got.lines_size, 12);
    assert_memory_equal(got.lines, "\1\2\3\4\5\6\7\x80\xff\0\1\2", 12);
    assert_string_equal(got.names[0], "worker");
    assert_true(process->consumers[0].named);
}

static void
texts_that_fill_their_record(void **state)
{
    static char text[8 * PMT_RAW_WORDS_MAX];
    memset(text, 'x', sizeof text);
    put_thread(0, TID, 20);
    put_text_record(0, PMT_RAW_CODE, 7, FIELDS(1, (uint64_t)4000 << 32 | 72), text, 4072);
    put_text_record(0, PMT_RAW_CODE, 7, FIELDS(1, 0), "", 0);
    put_text_record(0, PMT_RAW_CODE_LINES, 7, FIELDS(4080), text, 4080);
    put_text_record(0, PMT_RAW_CODE_LINES, 7, FIELDS(0), "", 0);
    put_text_record(0, PMT_RAW_THREAD_NAME, 0, NULL, 0, "", 0);
    drain();
    read_back();
    assert_int_equal(got.counts[PMT_WIRE_CODE], 2);
    assert_string_equal(got.text[0], "");
    assert_int_equal(got.lines_size, 4080);
    assert_string_equal(got.names[0], "");
}

// ---- several rings, threads and processes ----

static void
several_rings(void **state)
{
    for (unsigned slot = 0; slot < 4; slot++) {
        put_thread(slot, TID + slot, 20 + slot);
        put(slot, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 0), FRAME(10 + slot, 0)));
        put_fault(slot, slot, slot, 100 + slot, 0x1000 * slot, NOWHERE);
    }
    drain();
    for (unsigned slot = 4; slot-- > 0;) {  // a second round: each goes on where it was
        put_fault(slot, slot, 1, 200 + slot, 0x1000 * slot + 0x100000, NOWHERE);
        put(slot, PMT_RAW_FRAMES, 0, 1, NULL, 0);
        put_fault(slot, slot, 1, 300 + slot, 0x1000 * slot + 0x200000, NOWHERE);
    }
    drain();
    read_back();
    assert_int_equal(got.fault_count, 12);
    assert_int_equal(got.counts[PMT_WIRE_THREAD], 4);
    assert_int_equal(got.counts[PMT_WIRE_BATCH], 8);
    assert_int_equal(got.counts[PMT_WIRE_ROUND], 2);
    for (unsigned slot = 0; slot < 4; slot++) {
        const fault_t *first = &got.faults[slot], *second = &got.faults[4 + 2 * slot], *third = second + 1;
        assert_int_equal(first->thread, slot);
        assert_int_equal(first->time, 100 + slot);
        assert_int_equal(first->weight, 1u << slot);
        assert_int_equal(second->thread, slot);
        assert_int_equal(second->time, 200 + slot);
        assert_int_equal(second->address, 0x1000 * slot + 0x100000);
        assert_int_equal(second->weight, 1u << slot);
        ASSERT_STACK(slot, FRAME(10 + slot, 0), FRAME(1, 0));
        ASSERT_STACK(4 + 2 * slot, FRAME(10 + slot, 0), FRAME(1, 0));
        ASSERT_STACK(4 + 2 * slot + 1, FRAME(1, 0));
        assert_int_equal(third->address, 0x1000 * slot + 0x200000);
    }
}

static void
slot_changes_hands(void **state)
{
    put_thread(0, TID, 20);
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 0)));
    put_fault(0, 4, 1, 100, 0x5000, NOWHERE);
    put_text_record(0, PMT_RAW_THREAD_NAME, 3, NULL, 0, "old", 3);
    put_thread(0, TID + 1, 200);
    put_fault(0, 0, 1, 210, 0x6000, NOWHERE);
    drain();
    read_back();
    assert_int_equal(got.counts[PMT_WIRE_THREAD], 2);
    assert_int_equal(got.faults[1].thread, 1);
    assert_int_equal(got.faults[1].depth, 0);  // its stack is empty, its weight 1
    assert_int_equal(got.faults[1].weight, 1);
    assert_int_equal(got.faults[1].time, 210);
    assert_int_equal(got.faults[1].address, 0x6000);
    assert_string_equal(got.names[0], "old");
    assert_false(process->consumers[0].named);
}

static void
two_processes(void **state)
{
    pmt_shared_t *first = shared, *second;
    pmt_process_t *other = new_process((uint32_t)getpid(), &second);
    assert_int_equal(other->number, 1);
    for (int i = 0; i < 2; i++, shared = second) {
        put_thread(0, TID + (uint32_t)i, 20);
        put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 0)));
        put_mere_fault(0);
    }
    drain();
    shared = first;
    pmt_prim_unmap(second, PMT_SHARED_SIZE);
    read_back();
    assert_int_equal(got.fault_count, 2);
    for (int i = 0; i < 2; i++) {  // the same frame of two processes is not the same
        assert_int_equal(got.faults[i].process, got.faults[i].thread == 0 ? got.faults[0].process : got.faults[1].process);
        ASSERT_STACK(i, FRAME(1, 0));
    }
    assert_int_not_equal(got.faults[0].process, got.faults[1].process);
    assert_int_equal(got.counts[PMT_WIRE_NODE], 4);
}

static void
round_waits_for_events_being_recorded(void **state)
{
    put_thread(0, TID, 20);
    atomic_store(&pmt_shared_ring(shared, 3)->writing, 1);
    put_mere_fault(0);
    drain();
    uint64_t watermark = trace.watermark;
    atomic_store(&pmt_shared_ring(shared, 3)->writing, 0);
    put_mere_fault(0);
    drain();
    assert_true(trace.watermark > watermark);
    read_back();
    assert_int_equal(got.counts[PMT_WIRE_ROUND], 1);
    assert_int_equal(got.last[PMT_WIRE_ROUND].time, trace.watermark);
}

static void
many_laps(void **state)
{
    // 100 laps of the ring: fillers, ends and wraps, drained at odd moments.
    uint64_t expected[3] = {0};
    unsigned faults = 0;
    put_thread(0, TID, 20);
    for (uint32_t i = 0; faults < 4000; i++) {
        uint64_t frames[300];
        unsigned count = i * 37 % 300;
        for (unsigned f = 0; f < count; f++) {
            frames[f] = FRAME(1 + f % 50, 2 * f);
        }
        put(0, PMT_RAW_FRAMES, 0, 0, frames, count);
        put_fault(0, 0, i % 5, 100 + i, 0x1000 * i, 64 * (i % 100));
        expected[0] += i % 5;
        expected[1] += 0x1000ull * i;
        expected[2] += count;
        faults++;
        if (i % 11 == 0) {
            drain();
        }
    }
    drain();
    assert_true(head_of(0) > 100ull * PMT_RING_WORDS);
    read_back();
    assert_int_equal(got.fault_count, faults);
    for (unsigned i = 0; i < faults; i++) {
        expected[0] -= got.faults[i].rise;
        expected[1] -= got.faults[i].address;
        expected[2] -= got.faults[i].depth;
        assert_int_equal(got.faults[i].instruction, 64 * (i % 100));
    }
    assert_int_equal(expected[0], 0);
    assert_int_equal(expected[1], 0);
    assert_int_equal(expected[2], 0);
}

// ---- native instructions ----

static void
instruction_in_our_own_program(void **state)
{
    char self[256];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    uint64_t here = (uint64_t)(uintptr_t)&instruction_in_our_own_program;
    put_thread(0, TID, 20);
    put_fault(0, 0, 1, 50, 0x1000, here);
    put_fault(0, 0, 1, 51, 0x1000, NOWHERE);
    put_fault(0, 0, 1, 52, 0x1000, here);
    drain();
    read_back();
    assert_int_equal(got.counts[PMT_WIRE_SITE], 2);  // known again
    assert_int_equal(got.faults[0].instruction, here);
    assert_int_equal(got.faults[2].instruction, here);
    assert_int_not_equal(got.faults[0].module, 0);
    assert_int_equal(got.faults[0].module, got.faults[2].module);
    assert_string_equal(got.modules[got.faults[0].module], self);
}

static void
module_loaded_later(void **state)
{
    int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    unsigned before = process->modules.count;
    usleep(MODULES_AGAIN_US);
    char *mapped = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, exe, 0);
    assert_true(mapped != MAP_FAILED);
    close(exe);
    uint64_t now = pmt_prim_now_ns_sigsafe();
    put_thread(0, TID, 20);
    put(0, PMT_RAW_FAULT, 0, 1, FIELDS(now, 0x1000, NOWHERE));        // unknown: the mappings are looked at
    put(0, PMT_RAW_FAULT, 0, 1, FIELDS(now, 0x1000, NOWHERE + 1));    // but not for each such address
    put(0, PMT_RAW_FAULT, 0, 1, FIELDS(now, 0x1000, (uint64_t)(uintptr_t)mapped + 10));
    drain();
    munmap(mapped, 4096);
    read_back();
    assert_true(process->modules.count > before);
    assert_int_equal(got.faults[0].module, 0);
    assert_int_equal(got.faults[2].module, got.counts[PMT_WIRE_MODULE]);  // the newest
    assert_int_equal(got.last[PMT_WIRE_MODULE].u.module.start, (uintptr_t)mapped);
    assert_int_equal(got.last[PMT_WIRE_MODULE].u.module.size, 4096);
}

static void
caller_outside_the_c_library(void **state)
{
    uint64_t here = (uint64_t)(uintptr_t)&caller_outside_the_c_library, inside = (uint64_t)(uintptr_t)&gnu_get_libc_version;
    put_thread(0, TID, 20);
    put(0, PMT_RAW_NATIVE, 0, 0, FIELDS(0, NOWHERE, inside, inside + 1, here + 3, here, UINT64_MAX));
    put_fault(0, 0, 1, 50, 0x1000, inside);
    put_fault(0, 0, 1, 51, 0x1000, inside);  // it is of one fault
    put(0, PMT_RAW_NATIVE, 0, 0, FIELDS(here));
    put(0, PMT_RAW_NATIVE, 0, 0, FIELDS(inside, NOWHERE));  // nobody's but the C library's
    put_fault(0, 0, 1, 52, 0x1000, inside);
    put(0, PMT_RAW_NATIVE, 0, 0, NULL, 0);
    put_fault(0, PMT_RAW_FAULT_ASYNC, 1, 53, 0x1000, inside);
    put(0, PMT_RAW_NATIVE, 0, 0, FIELDS(here));
    put_fault(0, PMT_RAW_FAULT_ASYNC, 1, 54, 0x1000, inside);
    drain();
    read_back();
    assert_int_equal(got.fault_count, 5);
    static const bool known[] = {true, false, false, false, true}, late[] = {false, false, false, true, true};
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(got.faults[i].caller, known[i] ? (i ? here : here + 3) : 0);
        assert_int_equal(got.faults[i].instruction, inside);
        assert_int_equal(got.faults[i].async, late[i]);
    }
}

// ---- the node table full ----

static void
nodes_start_over(void **state)
{
    // Two threads whose stacks never repeat until the numbers of nodes have started over at least twice. No stack may be mixed up on the way.
    enum { PUSHED = 400, MAX_EVENTS = 2000 };
    static uint64_t expected[2 * MAX_EVENTS];
    uint32_t code = 1, events = 0;
    put_thread(0, TID, 20);
    put_thread(1, TID + 1, 20);
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 1)));  // the outermost frame of each stays for ever
    put(1, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 2), FRAME(1, 3)));
    for (; events < MAX_EVENTS; events++) {
        uint64_t frames[PUSHED], hash = 0;
        unsigned slot = events % 2;
        for (unsigned i = 0; i < PUSHED; i++) {
            frames[i] = FRAME(++code, i);
        }
        put(slot, PMT_RAW_FRAMES, 0, 1 + slot, frames, PUSHED);
        put_mere_fault(slot);
        put_mere_fault(slot);  // SAME_NODE must not reach over a reset
        for (unsigned i = PUSHED; i-- > 0;) {
            hash = hash_frame(hash, frames[i]);
        }
        hash = slot ? hash_frame(hash_frame(hash, FRAME(1, 3)), FRAME(1, 2)) : hash_frame(hash, FRAME(1, 1));
        expected[2 * events] = expected[2 * events + 1] = hash;
        drain();
    }
    assert_true(code > 3 * (1u << 17));
    read_back();
    assert_true(got.counts[PMT_WIRE_NODE_RESET] >= 2);
    assert_int_equal(got.fault_count, 2 * MAX_EVENTS);
    for (uint32_t i = 0; i < 2 * MAX_EVENTS; i++) {
        assert_int_equal(got.faults[i].thread, i / 2 % 2);
        assert_int_equal(got.faults[i].depth, PUSHED + 1 + i / 2 % 2);
        assert_int_equal(got.faults[i].stack_hash, expected[i]);
    }
}

// ---- hostile records ----

// After anything at all, a new thread in the same slot is recorded as ever.
static void
assert_goes_on(unsigned faults_before)
{
    drain();
    put_thread(0, TID + 9, 500);
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(8, 8)));
    put_fault(0, 0, 3, 510, 0x9000, NOWHERE);
    drain();
    read_back();
    assert_int_equal(got.fault_count, faults_before + 1);
    assert_int_equal(got.faults[faults_before].rise, 3);
    assert_int_equal(got.faults[faults_before].time, 510);
    ASSERT_STACK(faults_before, FRAME(8, 8));
}

static void
length_zero_skips_the_ring(void **state)
{
    put_thread(0, TID, 20);
    put_mere_fault(0);
    put_claiming(0, PMT_RAW_MARK, 0, 1, FIELDS(1, 2), 0);
    put_mere_fault(0);  // lost with it
    assert_goes_on(1);
    assert_int_equal(got.counts[PMT_WIRE_MARK], 0);
}

static void
length_too_long_skips_the_ring(void **state)
{
    put_thread(0, TID, 20);
    put_mere_fault(0);
    for (unsigned i = 0; i < 10; i++) {
        put(0, PMT_RAW_SKIP, 0, 0, FIELDS(0, 0, 0));
    }
    put_claiming(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 0)), PMT_RAW_WORDS_MAX + 1);
    assert_goes_on(1);
}

static void
length_beyond_the_head_skips_the_ring(void **state)
{
    put_thread(0, TID, 20);
    put_mere_fault(0);
    put_claiming(0, PMT_RAW_FAULT, 0, 1, FIELDS(1, 2, 3), 5);
    assert_goes_on(1);
}

static void
length_beyond_the_end_skips_the_ring(void **state)
{
    put_thread(0, TID, 20);
    put_mere_fault(0);
    drain();
    while (PMT_RING_WORDS - head_of(0) % PMT_RING_WORDS > 4) {
        put(0, PMT_RAW_SKIP, 0, 0, NULL, 0);
        if (head_of(0) % 1024 == 0) {
            drain();
        }
    }
    put_claiming(0, PMT_RAW_FAULT, 0, 1, FIELDS(1, 2, 3), 300);
    for (unsigned i = 0; i < 300; i++) {
        put(0, PMT_RAW_SKIP, 0, 0, NULL, 0);
    }
    assert_goes_on(1);
}

static void
unknown_types_are_passed_over(void **state)
{
    static const unsigned types[] = {0, 64, 128, 255, PMT_RAW_SKIP};
    put_thread(0, TID, 20);
    for (unsigned i = 0; i < sizeof types / sizeof *types; i++) {
        put(0, types[i], 0xff, UINT32_MAX, FIELDS(1, 2, 3));
        put_mere_fault(0);
    }
    assert_goes_on(sizeof types / sizeof *types);
}

static void
records_too_short_for_their_type(void **state)
{
    static const struct {
        unsigned type, words;
    } cases[] = {
        {PMT_RAW_FAULT, 1}, {PMT_RAW_FAULT, 2}, {PMT_RAW_FAULT, 3}, {PMT_RAW_CODE, 1}, {PMT_RAW_CODE, 2}, {PMT_RAW_CODE_LINES, 1},
        {PMT_RAW_MARK, 1},  {PMT_RAW_MARK, 2},  {PMT_RAW_PERIOD, 1}, {PMT_RAW_LOST, 1}, {PMT_RAW_THREAD, 1},
    };
    static const uint64_t zeros[4];
    put_thread(0, TID, 20);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(0, cases[i].type, 0, 1, zeros, cases[i].words - 1);
    }
    assert_goes_on(0);
    assert_int_equal(got.counts[PMT_WIRE_THREAD], 2);
    assert_int_equal(got.counts[PMT_WIRE_CODE] + got.counts[PMT_WIRE_CODE_LINES] + got.counts[PMT_WIRE_MARK] + got.counts[PMT_WIRE_PERIOD] +
                         got.counts[PMT_WIRE_LOST], 0);
}

static void
records_before_their_thread(void **state)
{
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 0)));
    put_mere_fault(0);
    put(0, PMT_RAW_LOST, 0, 5, FIELDS(1));
    put_text_record(0, PMT_RAW_THREAD_NAME, 1, NULL, 0, "x", 1);
    assert_goes_on(0);
    assert_int_equal(got.counts[PMT_WIRE_LOST], 0);
}

static void
keep_beyond_the_depth(void **state)
{
    put_thread(0, TID, 20);
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 0), FRAME(2, 0)));
    put(0, PMT_RAW_FRAMES, 0, 3, FIELDS(FRAME(4, 0)));  // not possible: left alone
    put_mere_fault(0);
    put(0, PMT_RAW_FRAMES, 0, UINT32_MAX, FIELDS(FRAME(4, 0)));
    put(0, PMT_RAW_FRAMES, 0, UINT32_MAX, NULL, 0);
    put(0, PMT_RAW_FRAMES, 0, PMT_STACK_MAX, NULL, 0);
    put_mere_fault(0);
    assert_goes_on(2);
    ASSERT_STACK(0, FRAME(2, 0), FRAME(1, 0));
    ASSERT_STACK(1, FRAME(2, 0), FRAME(1, 0));
}

static void
texts_beyond_their_record(void **state)
{
    put_thread(0, TID, 20);
    put_text_record(0, PMT_RAW_CODE, 7, FIELDS(1, (uint64_t)9 << 32), "filename", 8);
    put_text_record(0, PMT_RAW_CODE, 7, FIELDS(1, 9), "filename", 8);
    put_text_record(0, PMT_RAW_CODE, 7, FIELDS(1, (uint64_t)8 << 32 | 1), "filename", 8);
    put_text_record(0, PMT_RAW_CODE, 7, FIELDS(1, UINT64_MAX), "filename", 8);
    put_text_record(0, PMT_RAW_CODE_LINES, 7, FIELDS(9), "filename", 8);
    put_text_record(0, PMT_RAW_CODE_LINES, 7, FIELDS(UINT64_MAX), "filename", 8);
    put_text_record(0, PMT_RAW_THREAD_NAME, 9, NULL, 0, "a name  ", 8);
    put_text_record(0, PMT_RAW_THREAD_NAME, UINT32_MAX, NULL, 0, "a name  ", 8);
    assert_goes_on(0);
    assert_int_equal(got.counts[PMT_WIRE_CODE] + got.counts[PMT_WIRE_CODE_LINES] + got.counts[PMT_WIRE_THREAD_NAME], 0);
}

// Code ids 0 and 0xffffffff mean something of their own in the file; a record must not bring them in where the reader would refuse them.
static void
reserved_code_id_of_a_frame(void **state)
{
    put_thread(0, TID, 20);
    put(0, PMT_RAW_FRAMES, 0, 0, FIELDS(FRAME(1, 0), FRAME(PMT_CODE_ROOT, 77), FRAME(2, 0)));
    put_mere_fault(0);
    drain();
    put(0, PMT_RAW_FRAMES, 0, 0, NULL, 0);
    put_mere_fault(0);
    drain();
    read_back();
}

static void
reserved_code_id_of_a_code(void **state)
{
    put_thread(0, TID, 20);
    put_text_record(0, PMT_RAW_CODE, PMT_CODE_ROOT, FIELDS(1, (uint64_t)4 << 32 | 4), "filename", 8);
    put_text_record(0, PMT_RAW_CODE, PMT_CODE_ELIDED, FIELDS(1, (uint64_t)4 << 32 | 4), "filename", 8);
    put_text_record(0, PMT_RAW_CODE_LINES, PMT_CODE_ROOT, FIELDS(4), "\1\1\1\1", 4);
    put_text_record(0, PMT_RAW_CODE_LINES, PMT_CODE_ELIDED, FIELDS(4), "\1\1\1\1", 4);
    assert_goes_on(0);
}

static void
more_rings_used_than_there_are(void **state)
{
    atomic_store(&shared->rings_used, UINT32_MAX);
    put_thread(PMT_RINGS - 1, TID, 20);
    put_mere_fault(PMT_RINGS - 1);
    drain();
    read_back();
    assert_int_equal(got.fault_count, 1);
}

static void
head_further_than_a_ring_is_long(void **state)
{
    // One lap of records is there; a head that claims thousands must not make the recorder read them again and again.
    put_thread(0, TID, 20);
    while (head_of(0) + 3 <= PMT_RING_WORDS) {
        put(0, PMT_RAW_MARK, 0, 1, FIELDS(1, 2));
    }
    while (head_of(0) < PMT_RING_WORDS) {
        put(0, PMT_RAW_SKIP, 0, 0, NULL, 0);
    }
    uint64_t marks = PMT_RING_WORDS / 3;
    atomic_store(&pmt_shared_ring(shared, 0)->head, 1000ull * PMT_RING_WORDS);
    pmt_drain(&trace);
    assert_int_equal(atomic_load(&pmt_shared_ring(shared, 0)->tail), 1000ull * PMT_RING_WORDS);
    read_back();
    assert_true(got.counts[PMT_WIRE_MARK] <= marks);
}

static void
head_that_went_back(void **state)
{
    put_thread(0, TID, 20);
    put_mere_fault(0);
    drain();
    uint64_t head = head_of(0);
    atomic_store(&pmt_shared_ring(shared, 0)->head, head - 1);
    pmt_drain(&trace);
    atomic_store(&pmt_shared_ring(shared, 0)->head, head);
    put_mere_fault(0);
    pmt_drain(&trace);
    read_back();
    assert_in_range(got.fault_count, 1, 2);
}

static void
noise(void **state)
{
    // Words at random with plausible lengths, laps of them: whatever they make, the reader takes it.
    uint64_t random = 1;
    put_thread(0, TID, 20);
    for (int i = 0; i < 3000; i++) {
        uint64_t fields[12];
        for (unsigned f = 0; f < 12; f++) {
            random = random * 6364136223846793005ull + 1442695040888963407ull;
            fields[f] = (random >> 32) % 3 ? random >> (random >> 58) : FRAME(1 + random % 9, random >> 60);
            fields[f] |= FRAME(1, 0);  // but code ids are not 0: that is another test
        }
        unsigned count = (unsigned)(random >> 40) % 12, type = (unsigned)(random >> 50) % 13;
        put(0, type, (unsigned)(random >> 20) & 0xff, 1 + (uint32_t)(random >> 30) % 40, fields, count);
        if (i % 100 == 0) {
            drain();
        }
    }
    drain();
    read_back();
    assert_true(got.fault_count > 100);
}

static void
not_such_memory(void **state)
{
    // A descriptor of something shorter would be mapped, and end the recorder with SIGBUS at the first look.
    pmt_hello_t hello = {.kind = PMT_MESSAGE_HELLO, .version = PMT_SHARED_VERSION, .pid = (uint32_t)getpid(), .time = trace.t0};
    int short_file = pmt_test_file_of("short", 5), ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_null(pmt_process_greeted(&trace, &hello, -1));
    assert_null(pmt_process_greeted(&trace, &hello, ends[0]));
    close(ends[0]);
    close(ends[1]);
    pmt_process_t *made = pmt_process_greeted(&trace, &hello, short_file);
    close(short_file);
    assert_null(made);
    assert_ptr_equal(trace.processes, process);
    assert_int_equal(trace.process_count, 1);
}

#define DRAIN_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DRAIN_TEST(one_fault),
        DRAIN_TEST(nothing_to_drain),
        DRAIN_TEST(keep_and_push),
        DRAIN_TEST(frames_without_faults_in_between),
        DRAIN_TEST(deepest_stack),
        DRAIN_TEST(flags_and_weights),
        DRAIN_TEST(extreme_fields),
        DRAIN_TEST(texts),
        DRAIN_TEST(texts_that_fill_their_record),
        DRAIN_TEST(several_rings),
        DRAIN_TEST(slot_changes_hands),
        DRAIN_TEST(two_processes),
        DRAIN_TEST(round_waits_for_events_being_recorded),
        DRAIN_TEST(many_laps),
        DRAIN_TEST(instruction_in_our_own_program),
        DRAIN_TEST(module_loaded_later),
        DRAIN_TEST(caller_outside_the_c_library),
        DRAIN_TEST(nodes_start_over),
        DRAIN_TEST(length_zero_skips_the_ring),
        DRAIN_TEST(length_too_long_skips_the_ring),
        DRAIN_TEST(length_beyond_the_head_skips_the_ring),
        DRAIN_TEST(length_beyond_the_end_skips_the_ring),
        DRAIN_TEST(unknown_types_are_passed_over),
        DRAIN_TEST(records_too_short_for_their_type),
        DRAIN_TEST(records_before_their_thread),
        DRAIN_TEST(keep_beyond_the_depth),
        DRAIN_TEST(texts_beyond_their_record),
        DRAIN_TEST(reserved_code_id_of_a_frame),
        DRAIN_TEST(reserved_code_id_of_a_code),
        DRAIN_TEST(more_rings_used_than_there_are),
        DRAIN_TEST(head_further_than_a_ring_is_long),
        DRAIN_TEST(head_that_went_back),
        DRAIN_TEST(noise),
        DRAIN_TEST(not_such_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
