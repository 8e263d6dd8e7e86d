// Ticks to times (event_clock.h).
#include "recorder/event_clock.h"

#include <errno.h>

#include "format/wire.h"
#include "prim/prim.h"
#include "prim/ticks.h"

static const uint64_t APART_NS = 1000000u;  // a pair of readings is some 50 ns off: closer ones would tell no speed
static const uint64_t NS_RATE = (1ull << 32) / PMT_WIRE_EVENT_NS;  // a tick is 1 ns
static const uint64_t RATE_MAX = (1ull << 32) * 1000;  // 125 kHz: slower counters do not exist

static uint64_t
rate_of(uint64_t ns, uint64_t ticks)
{
    uint64_t rate = (uint64_t)(((unsigned __int128)ns << 32) / PMT_WIRE_EVENT_NS / ticks);
    return rate < RATE_MAX ? rate : RATE_MAX;
}

int
pmt_event_clock_init(pmt_event_clock_t *clock, const pmt_lanes_t *lanes, uint64_t t0)
{
    uint32_t kind = lanes->clock;
    uint64_t ticks = lanes->ticks, ns = lanes->time_ns;
    if (kind != PMT_LANE_CLOCK_NS && kind != PMT_LANE_CLOCK_TSC) {
        return -EINVAL;
    }
    *clock = (pmt_event_clock_t){.kind = kind, .t0 = t0, .rate = NS_RATE, .base_ticks = t0};
    if (kind == PMT_LANE_CLOCK_TSC) {
        uint64_t now = pmt_prim_now_ns_sigsafe(), now_ticks = pmt_prim_ticks();
        bool possible = ns <= now && ticks <= now_ticks;
        clock->ns = possible ? ns : now;
        clock->base_ticks = clock->ticks = possible ? ticks : now_ticks;
        clock->base = clock->ns > t0 ? (clock->ns - t0) / PMT_WIRE_EVENT_NS : 0;
        if (now > clock->ns && now_ticks > clock->ticks) {
            clock->rate = rate_of(now - clock->ns, now_ticks - clock->ticks);  // until a better one is known
        }
    }
    return 0;
}

void
pmt_event_clock_anchor(pmt_event_clock_t *clock, uint64_t ticks, uint64_t ns)
{
    if (clock->kind == PMT_LANE_CLOCK_NS || ticks <= clock->ticks || ns < clock->ns + APART_NS) {
        return;
    }
    clock->rate = rate_of(ns - clock->ns, ticks - clock->ticks);
    clock->base_ticks = clock->ticks;
    clock->base = clock->ns > clock->t0 ? (clock->ns - clock->t0) / PMT_WIRE_EVENT_NS : 0;
    clock->ticks = ticks;
    clock->ns = ns;
}

uint64_t
pmt_event_clock_ticks(const pmt_event_clock_t *clock)
{
    return clock->kind == PMT_LANE_CLOCK_NS ? pmt_prim_now_ns_sigsafe() : pmt_prim_ticks();
}

void
pmt_event_clock_read(pmt_event_clock_t *clock)
{
    pmt_event_clock_anchor(clock, pmt_event_clock_ticks(clock), pmt_prim_now_ns_sigsafe());
}
