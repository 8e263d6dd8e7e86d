// What an event costs the recorder, and the disk: `meson test --benchmark` in the C tests' build, or by hand. Lanes are filled with made-up programs and drained; only the
// draining is timed, compression and file included. Arguments: million events of each (default 20).
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "recorder/lanes.h"

enum { TICK = 45, DEPTH = 60, FUNCTIONS = 400, C_FUNCTIONS = 80 };

static pmt_trace_t trace;
static pmt_lanes_t *lanes;
static pmt_shared_t *shared;
static uint64_t head;

static uint64_t random_state = 88172645463325252ull;

static uint32_t
pick(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % n;
}

static void
put(unsigned kind, uint32_t payload)
{
    uint64_t ns = TICK + pick(30) + (pick(20) == 0 ? pick(1500) : 0);
    pmt_lanes_words(lanes, 0)[head++ % PMT_LANE_WORDS] = ns << 32 | (uint64_t)payload << 4 | kind;
}

// ---- programs: each call puts some events ----

static uint32_t stack[DEPTH + 2], line_of[DEPTH + 2], place[DEPTH + 2], depth;

static void
fib(void)
{
    static uint32_t left[64], top;
    if (top == 0) {
        left[top++] = 25;
        put(PMT_EVENT_CALL, 7);
    } else if (left[top - 1] < 2 || left[top - 1] & 1024) {
        put(PMT_EVENT_RETURN, 7);
        top--;
    } else {
        uint32_t n = left[top - 1] & 63, second = left[top - 1] & 512;
        left[top - 1] = second ? n | 1024 : n | 512;
        left[top++] = n - (second ? 2 : 1);
        put(PMT_EVENT_CALL, 7);
    }
}

// A program walks a call graph: what a function calls next depends on the function, mostly.
static uint32_t
callee(uint32_t function)
{
    uint32_t choice = pick(8) ? place[depth]++ % 4 : pick(8);
    return 1 + (function * 2654435761u + choice * 40503u) % FUNCTIONS;
}

static void
step(bool c_calls, bool lines)
{
    if (depth == 0) {
        stack[++depth] = 1;
        put(PMT_EVENT_CALL, 1);
        return;
    }
    uint32_t what = pick(10);
    if (lines && what < 7) {
        uint32_t first = stack[depth] * 13 % 900, length = 4 + stack[depth] % 12;
        uint32_t line = first + (line_of[depth] = pick(6) ? (line_of[depth] + 1) % length : pick(length));
        static uint32_t code;
        if (code != stack[depth]) {
            put(PMT_EVENT_CODE, code = stack[depth]);
        }
        put(PMT_EVENT_LINE, line);
    } else if (c_calls && what % 3 == 0) {
        uint32_t id = 1000 + (stack[depth] * 31 + place[depth]++ % 3) % C_FUNCTIONS;
        put(PMT_EVENT_C_CALL, id);
        put(PMT_EVENT_C_RETURN, id);
    } else if (what < 9 - (depth > 12) * 3 && depth < DEPTH && pick(2)) {
        uint32_t next = callee(stack[depth]);
        stack[++depth] = next;
        line_of[depth] = place[depth] = 0;
        put(PMT_EVENT_CALL, next);
    } else {
        put(PMT_EVENT_RETURN, stack[depth--]);
    }
    if (pick(600) == 0) {
        put(PMT_EVENT_RSS, 50000 + pick(3000));
    }
}

static void
calls(void)
{
    step(false, false);
}

static void
c_calls(void)
{
    step(true, false);
}

static void
with_lines(void)
{
    step(true, true);
}

// ---- the recorder ----

static int
start(int file)
{
    int fd, lanes_fd;
    void *memory;
    uint64_t now = pmt_prim_now_ns_sigsafe();
    trace = (pmt_trace_t){.t0 = now - 100000000000u, .batch = -1, .cgroup.usage_fd = -1, .nodes = pmt_nodes_new(), .sites = pmt_sites_new(), .columns = calloc(1, sizeof *trace.columns)};
    if (pmt_prim_share("bench", PMT_SHARED_SIZE, &fd, &memory) < 0 || pmt_writer_new(file, trace.t0, 0, 4096, &trace.writer) < 0) {
        return -1;
    }
    shared = memory;
    atomic_store(&shared->rings_used, 1);
    pmt_hello_t hello = {.version = PMT_SHARED_VERSION, .pid = (uint32_t)getpid(), .time = trace.t0};
    pmt_process_t *process = pmt_process_greeted(&trace, &hello, fd);
    if (!process || pmt_prim_share("bench", PMT_LANES_SIZE, &lanes_fd, &memory) < 0) {
        return -1;
    }
    pmt_prim_close_sigsafe(fd);
    lanes = memory;
    *lanes = (pmt_lanes_t){.version = PMT_LANES_VERSION, .clock = PMT_LANE_CLOCK_NS, .ticks = trace.t0, .time_ns = trace.t0};
    pmt_raw_t raw = {.type = PMT_RAW_THREAD, .words = 2, .arg = 1};
    memcpy(pmt_shared_words(shared, 0), &raw, sizeof raw);
    pmt_shared_words(shared, 0)[1] = trace.t0;
    atomic_store(&pmt_shared_ring(shared, 0)->head, 2);
    head = depth = 0;
    int err = pmt_lanes_attach(&trace, process, lanes_fd);
    pmt_prim_close_sigsafe(lanes_fd);
    return err;
}

static uint64_t
cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);  // the machine may be busy
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void
stop(int file)
{
    trace.processes->replaced = true;  // else it would be a ghost as long as this runs
    pmt_process_close(&trace, trace.processes);
    pmt_process_lay_ghosts(&trace);
    pmt_writer_free(trace.writer);
    pmt_nodes_free(trace.nodes);
    pmt_sites_free(trace.sites);
    free(trace.columns);
    pmt_summary_free(trace.summary);
    pmt_prim_unmap(shared, PMT_SHARED_SIZE);
    pmt_prim_unmap(lanes, PMT_LANES_SIZE);
    close(file);
}

static int
measure(const char *name, void (*program)(void), uint64_t events)
{
    int file = memfd_create("bench", 0);
    if (start(file) < 0) {
        return -1;
    }
    uint64_t spent = 0, words = 0;
    while (trace.processes->events_taken < events) {
        while (head - words < PMT_LANE_WORDS - 8) {
            program();
        }
        words = head;
        atomic_store(&pmt_lanes_ring(lanes, 0)->head, head);
        uint64_t begin = cpu_ns();
        pmt_drain(&trace);
        spent += cpu_ns() - begin;
        trace.watermark = 0;  // made-up times are long past
    }
    uint64_t taken = trace.processes->events_taken;
    pmt_writer_flush(trace.writer);
    double bytes = (double)lseek(file, 0, SEEK_CUR);
    printf("%-12s %6.1f M events/s %6.1f ns an event %6.2f bytes an event\n", name, (double)taken * 1e3 / (double)spent, (double)spent / (double)taken, bytes / (double)taken);
    stop(file);
    return 0;
}

int
main(int argc, char **argv)
{
    uint64_t events = (argc > 1 ? strtoull(argv[1], NULL, 10) : 20) * 1000000;
    return measure("fib", fib, events) || measure("calls", calls, events) || measure("C calls", c_calls, events) || measure("lines", with_lines, events);
}
