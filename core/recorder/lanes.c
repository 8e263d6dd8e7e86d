// Draining lanes (lanes.h). The indices and words are written by another process: lengths are checked, a lane that makes no sense is skipped to its head.
#include "recorder/lanes.h"

#include <errno.h>

#include "base/compiler.h"

enum { PIECE = 1 << 14 };  // words after which the producer is told, who may wait for room

static const size_t OPEN_SIZE = (PMT_OPEN_MAX + 1) * sizeof(pmt_open_t);

int
pmt_lanes_attach(pmt_trace_t *trace, pmt_process_t *process, int fd)
{
    void *lanes, *open;
    if (!process->shared || process->lanes) {
        return -EINVAL;
    }
    int err = pmt_prim_map_shared(fd, PMT_LANES_SIZE, &lanes);
    if (err < 0) {
        return err;
    }
    err = ((const pmt_lanes_t *)lanes)->version == PMT_LANES_VERSION ? pmt_event_clock_init(&process->clock, lanes, trace->t0) : -EINVAL;
    if (!err) {
        err = pmt_prim_reserve(PMT_RINGS * OPEN_SIZE, &open);
    }
    if (err < 0) {
        pmt_prim_unmap(lanes, PMT_LANES_SIZE);
        return err;
    }
    if (!trace->summary) {
        trace->summary = pmt_summary_new();  // without it the log ends where it ends
    }
    process->lanes = lanes;
    process->open = open;
    return 0;
}

void
pmt_lanes_detach(pmt_process_t *process)
{
    if (process->lanes) {
        pmt_prim_unmap(process->lanes, PMT_LANES_SIZE);
        pmt_prim_unmap(process->open, PMT_RINGS * OPEN_SIZE);
        process->lanes = NULL;
    }
}

bool
pmt_lanes_urgent(const pmt_process_t *process)
{
    for (unsigned slot = 0; process->lanes && slot < process->slots; slot++) {
        uint64_t head = atomic_load_explicit(&pmt_lanes_ring(process->lanes, slot)->head, memory_order_seq_cst);
        if (head - process->consumers[slot].lane_tail > PMT_LANE_WORDS / 2) {
            return true;
        }
    }
    return false;
}

void
pmt_lane_begin(pmt_lane_t *lane, pmt_trace_t *trace, pmt_process_t *process, unsigned slot)
{
    pmt_consumer_t *consumer = pmt_process_consumer(process, slot);
    *lane = (pmt_lane_t){.process = process, .consumer = consumer};
    if (!process->lanes) {
        return;
    }
    if (!consumer->events.open) {
        consumer->events.open = process->open + (size_t)slot * (PMT_OPEN_MAX + 1);
        pmt_event_state_reset(&consumer->events, process->lanes->ticks);
    }
    lane->ring = pmt_lanes_ring(process->lanes, slot);
    lane->words = pmt_lanes_words(process->lanes, slot);
    lane->faults = pmt_shared_ring(process->shared, slot);
    lane->began = consumer->lane_tail;
    lane->head = lane->last = atomic_load_explicit(&lane->ring->head, memory_order_acquire);
    lane->encoder = (pmt_encoder_t){
        .writer = trace->writer,
        .columns = trace->columns,
        .state = &consumer->events,
        .clock = &process->clock,
        .earliest = (trace->watermark + PMT_WIRE_EVENT_NS - 1) / PMT_WIRE_EVENT_NS,
        .events = &process->events_taken,
        .unplaced = &process->events_unplaced,
        .summary = trace->summary,
        .member = &consumer->member,
        .process = process->number,
    };
    pmt_encoder_mark(&lane->encoder);
}

static void
publish(pmt_lane_t *lane, uint64_t tail)
{
    lane->consumer->lane_tail = tail;
    atomic_store_explicit(&lane->ring->tail, tail, memory_order_release);
}

// How far the lane may be read towards `place`.
static uint64_t
readable(pmt_lane_t *lane, uint64_t place)
{
    uint64_t tail = lane->consumer->lane_tail;
    if (place > lane->head) {
        lane->head = atomic_load_explicit(&lane->ring->head, memory_order_acquire);
    }
    if (lane->head - tail > PMT_LANE_WORDS) {  // no producer of ours goes that far, or back
        publish(lane, lane->head);
        return lane->head;
    }
    return place < lane->head ? place : lane->head;
}

// The encoder is to write of the slot's owner, up to now.
static void
aim(pmt_lane_t *lane)
{
    lane->encoder.thread = (uint64_t)lane->consumer->thread;
    lane->encoder.latest = pmt_event_clock_units(&lane->process->clock, pmt_event_clock_ticks(&lane->process->clock));
    if (lane->encoder.latest < lane->encoder.earliest) {
        lane->encoder.latest = lane->encoder.earliest;
    }
}

void
pmt_lane_advance(pmt_lane_t *lane, uint64_t place)
{
    if (!lane->ring) {
        return;
    }
    place = readable(lane, place);
    uint64_t tail = lane->consumer->lane_tail;
    if (place <= tail) {
        return;
    }
    if (lane->consumer->thread < 0) {  // of nobody
        publish(lane, place);
        return;
    }
    aim(lane);
    while (tail < place) {
        uint64_t stop = place - tail > PIECE ? tail + PIECE : place;
        tail = pmt_encoder_encode(&lane->encoder, lane->words, tail, stop, place);
        publish(lane, tail);
        if (tail < place) {
            pmt_process_progress(lane->process);
        }
    }
}

void
pmt_lane_flush(pmt_lane_t *lane)
{
    if (lane->ring) {
        pmt_encoder_flush(&lane->encoder);
    }
}

void
pmt_lane_reset(pmt_lane_t *lane)
{
    pmt_event_state_t *state = &lane->consumer->events;
    pmt_lane_flush(lane);
    if (lane->encoder.summary) {
        pmt_summary_end_thread(lane->encoder.summary, lane->consumer->member, state->depth);
    }
    pmt_event_state_reset(state, lane->ring ? lane->process->lanes->ticks : 0);
    if (lane->ring) {
        pmt_encoder_mark(&lane->encoder);
    }
}

void
pmt_lane_lost(pmt_lane_t *lane, uint64_t events, uint64_t ticks)
{
    if (lane->ring && lane->consumer->thread >= 0 && events) {
        aim(lane);
        pmt_encoder_lost(&lane->encoder, events, ticks);
    }
}

// Losses behind all that was read, which their thread may never come to tell. They are of the owner that we know: a new one speaks in the other ring before it can lose
// anything, and whoever tells of losses before us changes their number.
static bool
take_losses(pmt_lane_t *lane)
{
    uint64_t lost = atomic_load_explicit(&lane->ring->lost, memory_order_acquire);
    if (PMT_LIKELY(lost == 0) || lane->consumer->thread < 0) {
        return false;
    }
    bool all_read = atomic_load_explicit(&lane->ring->head, memory_order_acquire) == lane->consumer->lane_tail &&
                    atomic_load_explicit(&lane->faults->head, memory_order_acquire) == atomic_load_explicit(&lane->faults->tail, memory_order_relaxed);
    uint64_t at = atomic_load_explicit(&lane->ring->lost_at, memory_order_relaxed);
    if (!all_read || !atomic_compare_exchange_strong_explicit(&lane->ring->lost, &lost, 0, memory_order_acq_rel, memory_order_relaxed)) {
        return false;
    }
    pmt_lane_lost(lane, lost, at);
    return true;
}

bool
pmt_lane_end(pmt_lane_t *lane)
{
    if (!lane->ring) {
        return false;
    }
    pmt_lane_advance(lane, lane->last);
    bool any = take_losses(lane) || lane->consumer->lane_tail != lane->began;
    pmt_encoder_flush(&lane->encoder);
    return any;
}
