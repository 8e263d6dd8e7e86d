// One event on its way into the calling thread's lane: what every call, return and line of the program passes through. Budget: 6 ns, the clock included.
//
//   lane = pmt_lane_clear(&now);  pmt_lane_put(...) at most twice;  pmt_lane_publish(lane)
//
// and where that is NULL pmt_lane_begin instead, out of the way: a function that calls nothing saves no registers. Two comparisons cover all that is rare: `limit` (no lane yet, full, half full) and `rss_due` (RSS is to be read; a difference of time that does not fit comes much later).
#pragma once

#include "base/compiler.h"
#include "capture/lane.h"
#include "prim/prim.h"
#include "prim/ticks.h"

enum { PMT_LANE_PAYLOAD_MAX = (1 << 28) - 1 };

extern PMT_TLS_INITIAL_EXEC pmt_lane_t *pmt_lane_mine;
extern bool pmt_lane_by_counter;  // what the clock is: the CPU's counter, or CLOCK_MONOTONIC

// `opens`: the event opens a frame, which the interpreter has as its innermost already.
pmt_lane_t *pmt_lane_begin_slow(uint64_t *now, bool opens);

static inline uint64_t
pmt_lane_now(void)
{
    return PMT_LIKELY(pmt_lane_by_counter) ? pmt_prim_ticks() : pmt_prim_now_ns_sigsafe();
}

static inline void
pmt_lane_put(pmt_lane_t *lane, uint64_t now, unsigned kind, uint32_t payload)
{
    lane->words[lane->head & (PMT_LANE_WORDS - 1)] = (now - lane->last) << 32 | (uint64_t)payload << 4 | kind;
    lane->last = now;
    lane->head++;
}

// The lane and the event's time, if an event need not look around: the CPU's counter is the clock, there is room for it and a word before it, RSS is known and told. Else NULL.
static inline pmt_lane_t *
pmt_lane_clear(uint64_t *now)
{
    pmt_lane_t *lane = pmt_lane_mine;
    if (PMT_UNLIKELY(!pmt_lane_by_counter)) {
        return NULL;
    }
    *now = pmt_prim_ticks();
    bool clear = lane->head < lane->limit && *now < lane->rss_due && lane->rss == atomic_load_explicit(&pmt_session.rss_now, memory_order_relaxed);
    return PMT_LIKELY(clear) ? lane : NULL;
}

// The lane, with room for an event and a word that goes before it, and the event's time. NULL: there is none, or the event is lost, which is counted.
static inline pmt_lane_t *
pmt_lane_begin(uint64_t *now, bool opens)
{
    pmt_lane_t *lane = pmt_lane_mine;
    *now = pmt_lane_now();
    if (PMT_UNLIKELY(lane->head >= lane->limit || *now >= lane->rss_due)) {
        lane = pmt_lane_begin_slow(now, opens);
        if (!lane) {
            return NULL;
        }
    }
    uint32_t rss = atomic_load_explicit(&pmt_session.rss_now, memory_order_relaxed);
    if (PMT_UNLIKELY(rss != lane->rss)) {
        lane->rss = rss;
        pmt_lane_put(lane, *now, PMT_EVENT_RSS, rss & PMT_LANE_PAYLOAD_MAX);
    }
    return lane;
}

static inline void
pmt_lane_publish(pmt_lane_t *lane)
{
    atomic_store_explicit(&lane->ring->head, lane->head, memory_order_release);
}
