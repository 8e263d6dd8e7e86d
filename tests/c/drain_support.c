// A recorder fed by hand, and its trace (drain_support.h).
#define _GNU_SOURCE
#include "drain_support.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

// ---- a recorder with a program of our making ----

pmt_trace_t trace;
pmt_process_t *process;
pmt_shared_t *shared;
int trace_file;

pmt_process_t *
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

int
set_up(void **state)
{
    trace = (pmt_trace_t){.t0 = 1000, .batch = -1, .kin_fd = -1, .cgroup.usage_fd = -1};
    trace.nodes = pmt_nodes_new();
    trace.sites = pmt_sites_new();
    trace.columns = calloc(1, sizeof *trace.columns);
    trace_file = pmt_test_file();
    if (!trace.nodes || !trace.sites || !trace.columns || pmt_writer_new(trace_file, trace.t0, 0, PMT_TEST_PAGE, &trace.writer) < 0) {
        return -1;
    }
    process = new_process((uint32_t)getpid(), &shared);
    return 0;
}

int
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
    free(trace.columns);
    pmt_summary_free(trace.summary);
    pmt_writer_free(trace.writer);
    close(trace.cgroup.usage_fd);
    close(trace_file);
    return 0;
}

// ---- the producer, by hand ----

uint64_t
head_of(unsigned slot)
{
    return atomic_load(&pmt_shared_ring(shared, slot)->head);
}

void
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

void
put(unsigned slot, unsigned type, unsigned flags, uint32_t arg, const uint64_t *fields, unsigned count)
{
    put_claiming(slot, type, flags, arg, fields, count, 1 + count);
}

void
put_thread(unsigned slot, uint32_t tid, uint64_t time)
{
    put(slot, PMT_RAW_THREAD, 0, tid, FIELDS(trace.t0 + time));
}

void
put_fault(unsigned slot, unsigned flags, uint32_t rise, uint64_t time, uint64_t address, uint64_t instruction)
{
    put(slot, PMT_RAW_FAULT, flags, rise, FIELDS(trace.t0 + time, address, instruction));
}

void
put_mere_fault(unsigned slot)
{
    put_fault(slot, 0, 1, 50, 0x1000, NOWHERE);
}

void
put_text_record(unsigned slot, unsigned type, uint32_t arg, const uint64_t *fields, unsigned count, const char *text, size_t size)
{
    uint64_t words[PMT_RAW_WORDS_MAX] = {0};
    if (count) {
        memcpy(words, fields, count * sizeof *words);
    }
    memcpy(words + count, text, size);
    put(slot, type, 0, arg, words, count + (unsigned)(size + 7) / 8);
}

void
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

got_t got;

typedef struct node_s {
    uint32_t parent;
    uint64_t frame;
} node_t;

static node_t nodes[1 << 20];
static uint64_t site_address[1 << 16];
static uint32_t site_module[1 << 16];

uint64_t
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
                       .by_time = r->u.fault.by_time, .async = r->u.fault.async, .tick = r->u.fault.tick, .fell = r->u.fault.fell, .fell_to = r->u.fault.fell_to};
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
    case PMT_WIRE_CODE_MODULE:
        copy_text(got.module, sizeof got.module, r->u.code_module.module);
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

void
read_back(void)
{
    char path[PMT_TEST_PATH], error[PMT_ERROR_MAX] = "";
    pmt_reader_t *reader;
    pmt_record_t record;
    int result;
    assert_int_equal(pmt_writer_flush(trace.writer), 0);
    assert_int_equal(pmt_reader_open(pmt_test_path(trace_file, path), &reader, error), 0);
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

void
assert_stack(const fault_t *fault, const uint64_t *frames, unsigned depth)
{
    assert_int_equal(fault->depth, depth);
    for (unsigned i = 0; i < depth; i++) {
        assert_int_equal(fault->frames[i], frames[i]);
    }
}
