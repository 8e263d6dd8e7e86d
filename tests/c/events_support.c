// Lanes filled by hand, and the file's events (events_support.h).
#define _GNU_SOURCE
#include "events_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/varint.h"
#include "format/events.h"
#include "support.h"

log_t logged;
pmt_lanes_t *lanes;

int
set_up_lanes(void **state)
{
    int fd;
    void *memory;
    if (set_up(state) || pmt_prim_share("pmt-lanes", PMT_LANES_SIZE, &fd, &memory) < 0) {
        return -1;
    }
    lanes = memory;
    *lanes = (pmt_lanes_t){.version = PMT_LANES_VERSION, .clock = PMT_LANE_CLOCK_NS, .ticks = trace.t0, .time_ns = trace.t0};
    int err = pmt_lanes_attach(&trace, process, fd);
    pmt_prim_close_sigsafe(fd);
    return err;
}

int
tear_down_lanes(void **state)
{
    pmt_prim_unmap(lanes, PMT_LANES_SIZE);
    return tear_down(state);
}

// ---- the producer, by hand ----

uint64_t
lane_head(unsigned slot)
{
    return atomic_load(&pmt_lanes_ring(lanes, slot)->head);
}

void
say_raw(unsigned slot, uint64_t word)
{
    uint64_t head = lane_head(slot);
    pmt_lanes_words(lanes, slot)[head % PMT_LANE_WORDS] = word;
    atomic_store(&pmt_lanes_ring(lanes, slot)->head, head + 1);
}

void
say_after(unsigned slot, uint32_t ticks, unsigned kind, uint32_t payload)
{
    say_raw(slot, (uint64_t)ticks << 32 | (uint64_t)payload << 4 | kind);
}

void
say(unsigned slot, unsigned kind, uint32_t payload)
{
    say_after(slot, 80, kind, payload);
}

void
say_more(unsigned slot, unsigned what, const uint64_t *fields, unsigned count)
{
    while (PMT_LANE_WORDS - lane_head(slot) % PMT_LANE_WORDS < count + 1) {
        say_raw(slot, 0);
    }
    say(slot, PMT_EVENT_MORE, what | count << 8);
    for (unsigned i = 0; i < count; i++) {
        say_raw(slot, fields[i]);
    }
}

void
put_placed_fault(unsigned slot, uint64_t rss)
{
    put(slot, PMT_RAW_FAULT, PMT_RAW_FAULT_PLACED, 1, FIELDS(trace.t0 + 50, 0x1000, NOWHERE, lane_head(slot), rss));
}

void
drain_lanes(void)
{
    pmt_drain(&trace);
    for (unsigned slot = 0; slot < 4; slot++) {
        assert_int_equal(atomic_load(&pmt_lanes_ring(lanes, slot)->tail), lane_head(slot));
    }
    assert_false(pmt_drain(&trace));
}

// ---- the file ----

typedef struct thread_s {
    uint64_t time, rss;
    uint32_t depth;
    bool c[PMT_OPEN_MAX + 8];
    int64_t line[PMT_OPEN_MAX + 8];
} thread_t;

static thread_t threads[4];
static uint64_t round_time, batch;
static size_t text_size;
static const uint8_t *at, *end;

static uint64_t
get_u(const uint8_t **from, const uint8_t *limit)
{
    uint64_t n = 0;
    assert_true(pmt_varint_get(from, limit, &n));
    return n;
}

static uint64_t
u(void)
{
    return get_u(&at, end);
}

static int64_t
s(void)
{
    return pmt_unzigzag(u());
}

static void __attribute__((format(printf, 1, 2)))
tell(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (text_size < sizeof logged.text - 64) {
        text_size += (size_t)sprintf(logged.text + text_size, "%s", text_size ? ", " : "");
        text_size += (size_t)vsprintf(logged.text + text_size, format, arguments);
    }
    va_end(arguments);
}

static void
opens(thread_t *thread, bool c)
{
    assert_in_range(++thread->depth, 1, PMT_OPEN_MAX);
    thread->c[thread->depth] = c;
    thread->line[thread->depth] = 0;
    logged.deepest = thread->depth > logged.deepest ? thread->depth : logged.deepest;
}

static void
closes(thread_t *thread, bool c)
{
    assert_true(thread->depth > 0);
    assert_true(thread->c[thread->depth--] == c);
}

static void
event(thread_t *thread, unsigned kind)
{
    static const char *const names[] = {"", "call", "return", "yield", "resume", "throw", "unwind", "c_call", "c_return", "c_raise", "line", "rss", "open", "drop"};
    assert_in_range(kind, 1, 13);
    switch (kind) {
    case PMT_WIRE_CALL:
    case PMT_WIRE_RESUME:
    case PMT_WIRE_THROW:
    case PMT_WIRE_OPEN:
    case PMT_WIRE_C_CALL:
        opens(thread, kind == PMT_WIRE_C_CALL);
        tell("%s %u", names[kind], (unsigned)u());
        break;
    case PMT_WIRE_LINE:
        assert_true(thread->depth > 0 && !thread->c[thread->depth]);
        tell("line %d", (int)(thread->line[thread->depth] += s()));
        break;
    case PMT_WIRE_RSS:
        tell("rss %u", (unsigned)(thread->rss += (uint64_t)s()));
        break;
    case PMT_WIRE_DROP: {
        uint64_t count = u();
        assert_in_range(count, 1, thread->depth);
        thread->depth -= (uint32_t)count;
        tell("drop %u", (unsigned)count);
        break;
    }
    case PMT_WIRE_UNWIND:
        closes(thread, false);
        tell("unwind %u", (unsigned)u());
        break;
    default:
        closes(thread, kind == PMT_WIRE_C_RETURN || kind == PMT_WIRE_C_RAISE);
        tell("%s", names[kind]);
    }
}

static void
events(void)
{
    uint64_t number = u(), count = u();
    assert_in_range(number, 0, 3);
    assert_in_range(count, 1, PMT_WIRE_EVENTS_MAX);
    const uint8_t *kinds = at;
    at += count;
    uint64_t size = u();
    const uint8_t *times = at, *times_end = at += size;
    logged.records++;
    for (uint64_t i = 0; i < count; i++) {
        thread_t *thread = &threads[number];
        thread->time += get_u(&times, times_end);
        assert_true(thread->time * PMT_WIRE_EVENT_NS >= round_time);
        logged.times[logged.count % LOG_EVENTS] = thread->time;
        logged.threads[logged.count++ % LOG_EVENTS] = (uint32_t)number;
        event(thread, kinds[i]);
        logged.by_thread[number]++;
    }
    assert_ptr_equal(times, times_end);
}

static void
note(void)
{
    uint64_t thread = u(), time = u(), what = u(), number = u(), size = u();
    assert_in_range(thread, 0, 3);
    assert_true(time >= threads[thread].time * PMT_WIRE_EVENT_NS);
    tell("note %u %u", (unsigned)what, (unsigned)number);
    if (size) {
        tell("'%.*s'", (int)size, (const char *)at);
        at += size;
    }
}

static uint64_t
peek(void)
{
    const uint8_t *from = at;
    return get_u(&from, end);
}

static void
fault(unsigned flags)
{
    unsigned more = flags & PMT_FAULT_MORE ? *at++ : 0;
    s();
    s();
    int fields = !(flags & PMT_FAULT_ONE) + !(flags & PMT_FAULT_SAME_NODE) + !(flags & PMT_FAULT_SAME_SITE) + !!(more & PMT_FAULT_CALLER);
    while (fields--) {
        u();
    }
    if (more & PMT_FAULT_RSS) {
        logged.fault_after[logged.faults % LOG_FAULTS] = logged.by_thread[batch];
        logged.fault_rss[logged.faults++ % LOG_FAULTS] = threads[batch].rss + (uint64_t)pmt_unzigzag(peek());
        tell("fault %u", (unsigned)(threads[batch].rss += (uint64_t)s()));
    } else {
        tell("fault");
    }
}

void (*on_summary)(const uint8_t *at, const uint8_t *end);

static void
code(void)
{
    u();
    u();
    u();
    uint64_t size = u();
    const char *file = (const char *)at;
    at += size;
    uint64_t name_size = u();
    sprintf(logged.last_code, "%.*s:%.*s", (int)(size % 100), file, (int)(name_size % 100), (const char *)at);
}

static void
definition(unsigned type)
{
    uint64_t size = u();
    const uint8_t *behind = at + size, *limit = end;
    assert_true(behind <= end);
    end = behind;
    if (type == PMT_WIRE_EVENTS) {
        events();
        assert_ptr_equal(at, behind);
    } else if (type == PMT_WIRE_NOTE) {
        note();
    } else if (type == PMT_WIRE_CODE) {
        code();
    } else if (type == PMT_WIRE_SUMMARY && on_summary) {
        on_summary(at, behind);
    }
    at = behind;
    end = limit;
}

static void
record(void)
{
    static const uint8_t fields[] = {[PMT_WIRE_NODE] = 3, [PMT_WIRE_NODE_RESET] = 0, [PMT_WIRE_SITE] = 2, [PMT_WIRE_SAMPLE] = 6, [PMT_WIRE_CGROUP] = 3, [PMT_WIRE_WEIGHT] = 1};
    unsigned type = *at++;
    if (type >= PMT_WIRE_DEFINITIONS) {
        definition(type);
    } else if (type >= PMT_WIRE_FAULT) {
        fault(type);
    } else if (type == PMT_WIRE_ROUND) {
        round_time += u();
    } else if (type == PMT_WIRE_BATCH) {
        batch = u();
    } else {
        assert_in_range(type, 1, sizeof fields - 1);
        for (int i = 0; i < fields[type]; i++) {
            u();
        }
    }
}

// The reader takes the file, and its events are as many.
static void
read_by_the_reader(void)
{
    char path[PMT_TEST_PATH], error[PMT_ERROR_MAX] = "";
    static pmt_trace_event_t out[100];
    pmt_reader_t *reader;
    pmt_record_t r;
    pmt_decoder_t events;
    int got_record, got_events;
    unsigned count = 0;
    pmt_decoder_init(&events);
    assert_int_equal(pmt_reader_open(pmt_test_path(trace_file, path), &reader, error), 0);
    while ((got_record = pmt_reader_next(reader, &r)) > 0) {
        if (r.type == PMT_WIRE_THREAD) {
            assert_int_equal(pmt_decoder_add_thread(&events), 0);
        } else if (r.type == PMT_WIRE_FAULT) {
            pmt_decoder_fault(&events, &r);
        } else if (r.type == PMT_WIRE_EVENTS) {
            pmt_decoder_begin(&events, &r);
            while ((got_events = pmt_decoder_next(&events, out, 100)) > 0) {
                count += (unsigned)got_events;
            }
            assert_int_equal(got_events, 0);
        }
    }
    assert_int_equal(got_record, 0);
    assert_int_equal(count, logged.count);
    pmt_decoder_fini(&events);
    pmt_reader_close(reader);
}

void
read_log(void)
{
    static uint8_t stored[PMT_WIRE_STORED_MAX], raw[PMT_WIRE_RAW_MAX];
    uint8_t header[PMT_WIRE_BLOCK_HEADER];
    assert_int_equal(pmt_writer_flush(trace.writer), 0);
    memset(&logged, 0, sizeof logged);
    memset(threads, 0, sizeof threads);
    round_time = batch = text_size = 0;
    for (off_t offset = PMT_WIRE_HEADER; pread(trace_file, header, sizeof header, offset) == sizeof header;) {
        uint32_t size;
        memcpy(&size, header + 8, 4);
        assert_int_equal(pread(trace_file, stored, size, offset + (off_t)sizeof header), size);
        size_t got_size = ZSTD_decompress(raw, sizeof raw, stored, size);
        assert_false(ZSTD_isError(got_size));
        for (at = raw, end = raw + got_size; at < end;) {
            record();
        }
        offset += (off_t)(sizeof header + size);
    }
    for (unsigned i = 0; i < 4; i++) {
        logged.open[i] = threads[i].depth;
    }
    read_by_the_reader();
}
