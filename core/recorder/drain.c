// From the rings to the trace: decodes raw records (format/records.h), numbers stacks and instructions, writes them against each thread's last fault.
// The rings are memory that another process writes: lengths are checked, a ring that does not decode is skipped to its head.
#include <stdlib.h>
#include <string.h>

#include "format/wire.h"
#include "recorder/lanes.h"

static const uint64_t MAPS_AGAIN_NS = 20000000u;  // instructions in no module (code made at run time) must not cost a look at the mappings each

// What one record is handled with.
typedef struct drain_s {
    pmt_trace_t *trace;
    pmt_process_t *process;
    pmt_consumer_t *consumer;
    pmt_lane_t lane;
} drain_t;

static void
select_thread(drain_t *drain)
{
    if (drain->trace->batch != drain->consumer->thread) {
        drain->trace->batch = drain->consumer->thread;
        pmt_writer_batch(drain->trace->writer, (uint64_t)drain->consumer->thread);
    }
}

// ---- stacks ----

static void
reset_nodes(pmt_trace_t *trace)
{
    pmt_nodes_reset(trace->nodes);
    pmt_writer_node_reset(trace->writer);
    for (pmt_process_t *process = trace->processes; process; process = process->next) {
        for (unsigned slot = 0; slot < process->slots; slot++) {
            process->consumers[slot].numbered = 0;
            process->consumers[slot].last_node = 0;
        }
    }
}

static uint32_t
number_frame(pmt_trace_t *trace, uint32_t parent, uint32_t code, uint32_t offset)
{
    bool fresh;
    uint32_t node = pmt_nodes_number(trace->nodes, parent, code, offset, &fresh);
    if (fresh) {
        pmt_writer_node(trace->writer, node - parent, code, offset);
    }
    return node;
}

// The node of the thread's present stack; 0: the table is full.
static uint32_t
number_stack(drain_t *drain)
{
    pmt_consumer_t *consumer = drain->consumer;
    uint32_t node = number_frame(drain->trace, 0, PMT_CODE_ROOT, drain->process->number);
    if (consumer->numbered) {
        node = consumer->nodes[consumer->numbered - 1];
    }
    for (uint32_t i = consumer->numbered; i < consumer->depth && node; i++) {
        node = number_frame(drain->trace, node, (uint32_t)(consumer->frames[i] >> 32), (uint32_t)consumer->frames[i]);
        consumer->nodes[i] = node;
        consumer->numbered = node ? i + 1 : i;
    }
    return node;
}

static uint32_t
stack_node(drain_t *drain)
{
    uint32_t node = number_stack(drain);
    if (!node) {
        reset_nodes(drain->trace);
        node = number_stack(drain);
    }
    return node;
}

// ---- native instructions ----

static uint32_t
site_number(drain_t *drain, uint64_t address, uint64_t time)
{
    pmt_trace_t *trace = drain->trace;
    pmt_process_t *process = drain->process;
    uint32_t site = pmt_sites_find(trace->sites, process->number, address);
    if (site) {
        return site;
    }
    const pmt_module_t *module = pmt_modules_find(&process->modules, address);
    if (!module && !process->ended && process->modules.read_at < time && pmt_prim_now_ns_sigsafe() - process->modules.read_at > MAPS_AGAIN_NS) {
        pmt_modules_refresh(&process->modules, trace->writer, process->number, process->pid, &trace->module_count);
        module = pmt_modules_find(&process->modules, address);
    }
    pmt_writer_site(trace->writer, (int64_t)(address - trace->last_site_address), module ? module->number : 0);
    trace->last_site_address = address;
    return pmt_sites_add(trace->sites, process->number, address, module != NULL);
}

// ---- records ----

static void
on_thread(drain_t *drain, const pmt_raw_t *raw, const uint64_t *words)
{
    pmt_consumer_t *consumer = drain->consumer;
    char name[32];
    uint64_t time = pmt_trace_time(drain->trace, words[1]);
    if (raw->words > 2) {
        pmt_lane_advance(&drain->lane, words[2]);
    }
    if (raw->words > 4) {
        pmt_lane_lost(&drain->lane, words[3], words[4]);
    }
    pmt_lane_reset(&drain->lane);
    *consumer = (pmt_consumer_t){
        .thread = drain->trace->thread_count++,
        .tid = raw->arg,
        .last_time = time,
        .period = 1,
        .frames = consumer->frames,
        .nodes = consumer->nodes,
        .lane_tail = consumer->lane_tail,
        .member = consumer->member,
        .events = consumer->events,
    };
    pmt_expected_t *expected = pmt_process_take_expected(drain->process, raw->arg);
    if (expected) {
        consumer->named = true;
        pmt_writer_thread(drain->trace->writer, drain->process->number, raw->arg, time, expected->name, expected->size);
        free(expected);
        return;
    }
    pmt_prim_thread_name(drain->process->pid, raw->arg, name, sizeof name);
    pmt_writer_thread(drain->trace->writer, drain->process->number, raw->arg, time, name, strlen(name));
}

static void
on_frames(drain_t *drain, const pmt_raw_t *raw, const uint64_t *words)
{
    pmt_consumer_t *consumer = drain->consumer;
    uint32_t keep = raw->arg, count = raw->words - 1u;
    if (keep > consumer->depth || count > PMT_STACK_MAX - keep) {
        return;  // only after losses; the next stack is sent whole
    }
    for (uint32_t i = 0; i < count; i++) {
        if (words[1 + i] >> 32 == PMT_CODE_ROOT) {
            return;  // not written by our handler: the number is a process root's
        }
    }
    memcpy(consumer->frames + keep, words + 1, count * sizeof *words);
    consumer->depth = keep + count;
    consumer->numbered = consumer->numbered < keep ? consumer->numbered : keep;
}

static void
on_fault(drain_t *drain, const pmt_raw_t *raw, const uint64_t *words)
{
    pmt_consumer_t *consumer = drain->consumer;
    uint64_t time = pmt_trace_time(drain->trace, words[1]);
    uint32_t period = 1u << (raw->flags & PMT_RAW_FAULT_PERIOD);
    uint32_t node = stack_node(drain), site = site_number(drain, words[3], words[1]);
    uint32_t caller = consumer->caller ? site_number(drain, consumer->caller, words[1]) : 0;
    bool placed = raw->flags & PMT_RAW_FAULT_PLACED && raw->words > 5 && drain->process->lanes;
    if (placed) {
        pmt_lane_advance(&drain->lane, words[4]);
    }
    pmt_lane_flush(&drain->lane);
    select_thread(drain);
    // A rise may have begun at the thread's record before, and be of a time before the snapshot.
    drain->process->risen_pages += consumer->last_time >= drain->process->risen_since ? raw->arg : 0;
    drain->process->many_at = period > 1 ? words[1] : drain->process->many_at;
    if (period != consumer->period) {
        consumer->period = period;
        pmt_writer_weight(drain->trace->writer, period);
    }
    pmt_fault_fields_t fault = {
        .flags = (node == consumer->last_node ? PMT_FAULT_SAME_NODE : 0u) | (site == consumer->last_site ? PMT_FAULT_SAME_SITE : 0u) |
                 (raw->flags & PMT_RAW_FAULT_BY_TIME ? PMT_FAULT_BY_TIME : 0u),
        .more = (raw->flags & PMT_RAW_FAULT_ASYNC ? PMT_FAULT_ASYNC : 0u) | (raw->flags & PMT_RAW_FAULT_TICK ? PMT_FAULT_TICK : 0u),
        .time = (int64_t)(time - consumer->last_time),
        .address = (int64_t)(words[2] - consumer->last_address),
        .rise = raw->arg,
        .node = node,
        .site = site,
        .period = period,
    };
    if (consumer->caller) {
        fault.more |= PMT_FAULT_CALLER;
        fault.caller = caller;
        consumer->caller = 0;
    }
    if (consumer->fell_to) {
        fault.more |= PMT_FAULT_FELL;
        fault.fell_to = consumer->fell_to;
        consumer->fell_to = 0;
    }
    if (placed) {
        uint64_t rss = words[5] < UINT32_MAX ? words[5] : UINT32_MAX;
        fault.more |= PMT_FAULT_RSS;
        fault.rss = (int64_t)rss - (int64_t)consumer->events.rss;
        consumer->events.rss = rss;
    }
    pmt_writer_fault(drain->trace->writer, &fault);
    if (placed && drain->trace->summary) {
        pmt_summary_fault(drain->trace->summary, consumer->member, raw->arg, consumer->events.rss);
        pmt_encoder_mark(&drain->lane.encoder);
    }
    consumer->last_time = time;
    consumer->last_address = words[2];
    consumer->last_node = node;
    consumer->last_site = site;
}

// Pages up to the highest that the file can name; none of a range beyond it.
static uint64_t
pages_of(uint64_t address, uint64_t bytes)
{
    uint64_t page = pmt_prim_page_size_sigsafe(), pages = bytes / page;
    return address / page + pages <= UINT64_C(1) << PMT_WIRE_ADDRESS_BITS ? pages : 0;
}

static void
on_move(drain_t *drain, const uint64_t *words)
{
    uint64_t page = pmt_prim_page_size_sigsafe(), pages = pages_of(words[2], words[4]);
    if (pages && pages_of(words[3], words[4])) {
        uint64_t time = pmt_trace_time(drain->trace, words[1]);
        pmt_writer_move(drain->trace->writer, (uint64_t)drain->consumer->thread, time, words[2] / page, words[3] / page, pages);
    }
}

static void
on_release(drain_t *drain, const pmt_raw_t *raw, const uint64_t *words)
{
    uint64_t pages = pages_of(words[2], words[3]);
    if (!pages || raw->flags < PMT_RELEASE_MUNMAP || raw->flags > PMT_RELEASE_MREMAP) {
        return;
    }
    pmt_release_fields_t release = {
        .time = pmt_trace_time(drain->trace, words[1]),
        .node = stack_node(drain),
        .what = raw->flags,
        .first = words[2] / pmt_prim_page_size_sigsafe(),
        .pages = pages,
        .fell = raw->arg,
    };
    pmt_writer_release(drain->trace->writer, (uint64_t)drain->consumer->thread, &release);
}

static bool
is_code_id(uint32_t id)
{
    return id != PMT_CODE_ROOT && id != PMT_CODE_ELIDED;
}

static void
on_code(drain_t *drain, const pmt_raw_t *raw, const uint64_t *words)
{
    uint64_t file_size = words[2] >> 32, name_size = (uint32_t)words[2];
    const char *file = (const char *)(words + 3);
    if (is_code_id(raw->arg) && file_size <= raw->words * sizeof *words && file_size + name_size <= (raw->words - 3u) * sizeof *words) {
        pmt_writer_code(drain->trace->writer, drain->process->number, raw->arg, words[1], file, file_size, file + file_size, name_size);
        pmt_left_out_t left_out;
        if (drain->trace->summary && pmt_writer_left_out(drain->trace->writer, &left_out)) {
            pmt_summary_code(drain->trace->summary, drain->process->number, raw->arg, words[1], file, file_size, file + file_size, name_size);
        }
    }
}

static void
on_code_lines(drain_t *drain, const pmt_raw_t *raw, const uint64_t *words)
{
    if (is_code_id(raw->arg) && words[1] <= (raw->words - 2u) * sizeof *words) {
        pmt_writer_code_lines(drain->trace->writer, drain->process->number, raw->arg, words + 2, words[1]);
    }
}

static void
on_code_module(drain_t *drain, const pmt_raw_t *raw, const uint64_t *words)
{
    if (is_code_id(raw->arg) && words[1] <= (raw->words - 2u) * sizeof *words) {
        pmt_writer_code_module(drain->trace->writer, drain->process->number, raw->arg, (const char *)(words + 2), words[1]);
    }
}

// The first word on the stack that lies in code of anyone but the C library is taken for the return address into its caller.
static void
on_native(drain_t *drain, const pmt_raw_t *raw, const uint64_t *words)
{
    drain->consumer->caller = 0;
    for (unsigned i = 1; i < raw->words; i++) {
        const pmt_module_t *module = pmt_modules_find(&drain->process->modules, words[i]);
        if (module && !module->system) {
            drain->consumer->caller = words[i];
            break;
        }
    }
}

static void
on_record(drain_t *drain, const pmt_raw_t *raw, const uint64_t *words)
{
    static const uint8_t least[] = {[PMT_RAW_SKIP] = 1, [PMT_RAW_THREAD] = 2,     [PMT_RAW_FRAMES] = 1, [PMT_RAW_FAULT] = 4, [PMT_RAW_CODE] = 3,
                                    [PMT_RAW_CODE_LINES] = 2, [PMT_RAW_MARK] = 3, [PMT_RAW_PERIOD] = 2, [PMT_RAW_LOST] = 2,
                                    [PMT_RAW_THREAD_NAME] = 1, [PMT_RAW_NATIVE] = 1,     [PMT_RAW_MOVE] = 5,   [PMT_RAW_RELEASE] = 4,
                                    [PMT_RAW_CODE_MODULE] = 2, [PMT_RAW_FELL] = 1};
    pmt_trace_t *trace = drain->trace;
    bool known = raw->type > 0 && raw->type < sizeof least && raw->words >= least[raw->type];
    if (!known || (drain->consumer->thread < 0 && raw->type != PMT_RAW_THREAD)) {
        return;
    }
    switch (raw->type) {
    case PMT_RAW_THREAD:
        on_thread(drain, raw, words);
        break;
    case PMT_RAW_FRAMES:
        on_frames(drain, raw, words);
        break;
    case PMT_RAW_FAULT:
        on_fault(drain, raw, words);
        break;
    case PMT_RAW_CODE:
        on_code(drain, raw, words);
        break;
    case PMT_RAW_CODE_LINES:
        on_code_lines(drain, raw, words);
        break;
    case PMT_RAW_CODE_MODULE:
        on_code_module(drain, raw, words);
        break;
    case PMT_RAW_MARK:
        pmt_writer_mark(trace->writer, drain->process->number, pmt_trace_time(trace, words[1]), raw->arg, words[2]);
        break;
    case PMT_RAW_PERIOD:
        pmt_writer_period(trace->writer, drain->process->number, pmt_trace_time(trace, words[1]), raw->arg);
        break;
    case PMT_RAW_LOST:
        drain->consumer->fell_to = 0;  // a lost fault's
        pmt_writer_lost(trace->writer, (uint64_t)drain->consumer->thread, pmt_trace_time(trace, words[1]), raw->arg);
        break;
    case PMT_RAW_NATIVE:
        on_native(drain, raw, words);
        break;
    case PMT_RAW_FELL:
        drain->consumer->fell_to = raw->arg;
        break;
    case PMT_RAW_MOVE:
        on_move(drain, words);
        break;
    case PMT_RAW_RELEASE:
        on_release(drain, raw, words);
        break;
    case PMT_RAW_THREAD_NAME:
        if (raw->arg <= (raw->words - 1u) * sizeof *words && !(raw->flags && drain->consumer->named)) {
            drain->consumer->named |= !raw->flags;
            pmt_writer_thread_name(trace->writer, (uint64_t)drain->consumer->thread, (const char *)(words + 1), raw->arg);
        }
        break;
    default:
        break;
    }
}

// Copies each record out before it is looked at: a hostile program could change it meanwhile.
static bool
drain_ring(drain_t *drain, unsigned slot)
{
    pmt_ring_t *ring = pmt_shared_ring(drain->process->shared, slot);
    const uint64_t *words = pmt_shared_words(drain->process->shared, slot);
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    bool any = head != tail;
    if (head - tail > PMT_RING_WORDS) {
        tail = head;  // no producer of ours goes that far, or back
    }
    while (tail < head) {
        uint64_t at = tail % PMT_RING_WORDS, record[PMT_RAW_WORDS_MAX];
        pmt_raw_t raw;
        memcpy(&raw, &words[at], sizeof raw);
        if (raw.words == 0 || raw.words > PMT_RAW_WORDS_MAX || raw.words > head - tail || at + raw.words > PMT_RING_WORDS) {
            tail = head;
            break;
        }
        memcpy(record, &words[at], raw.words * sizeof *record);
        on_record(drain, &raw, record);
        tail += raw.words;
        atomic_store_explicit(&ring->tail, tail, memory_order_release);
    }
    if (any) {
        atomic_store_explicit(&ring->tail, tail, memory_order_release);
    }
    return any;
}

static unsigned
rings_used(const pmt_process_t *process)
{
    unsigned used = process->shared ? atomic_load_explicit(&process->shared->rings_used, memory_order_acquire) : 0;
    return used < PMT_RINGS ? used : PMT_RINGS;
}

// No thread is in the middle of an event whose time it has already taken.
static bool
all_at_rest(const pmt_trace_t *trace)
{
    for (pmt_process_t *process = trace->processes; process; process = process->next) {
        unsigned used = rings_used(process);
        for (unsigned slot = 0; slot < used; slot++) {
            if (atomic_load_explicit(&pmt_shared_ring(process->shared, slot)->writing, memory_order_seq_cst)) {
                return false;
            }
        }
    }
    return true;
}

static bool
drain_process(pmt_trace_t *trace, pmt_process_t *process)
{
    bool any = false;
    unsigned used = rings_used(process);
    if (process->lanes) {
        pmt_event_clock_read(&process->clock);
    }
    for (unsigned slot = 0; slot < used; slot++) {
        drain_t drain = {trace, process, pmt_process_consumer(process, slot), {0}};
        pmt_lane_begin(&drain.lane, trace, process, slot);
        any |= drain_ring(&drain, slot);
        any |= pmt_lane_end(&drain.lane);
    }
    if (any) {
        pmt_process_progress(process);
    }
    return any;
}

bool
pmt_drain(pmt_trace_t *trace)
{
    uint64_t now = pmt_trace_time(trace, pmt_prim_now_ns_sigsafe());
    bool at_rest = all_at_rest(trace), any = false;
    for (pmt_process_t *process = trace->processes; process; process = process->next) {
        any |= drain_process(trace, process);
    }
    if (any && at_rest && now > trace->watermark) {
        pmt_writer_round(trace->writer, now - trace->watermark);
        trace->watermark = now;
    }
    return any;
}
