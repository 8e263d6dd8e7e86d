// Waiting for the recorder (room.h).
#include "capture/room.h"

#include "prim/prim.h"

static const uint64_t WAIT_MAX_NS = 1000000000u;  // without any progress of the recorder
static const uint64_t WAIT_STEP_NS = 10000000u;

void
pmt_recorder_wake_sigsafe(pmt_shared_t *shared)
{
    if (atomic_load_explicit(&shared->asleep, memory_order_seq_cst)) {
        atomic_fetch_add_explicit(&shared->doorbell, 1, memory_order_seq_cst);
        pmt_prim_wake_sigsafe(&shared->doorbell);
    }
}

bool
pmt_room_await_sigsafe(const pmt_room_t *room, uint64_t words)
{
    pmt_shared_t *shared = room->shared;
    uint32_t progress = atomic_load_explicit(&shared->progress, memory_order_acquire);
    if (atomic_load_explicit(&shared->stalled_at, memory_order_relaxed) == (uint64_t)progress + 1) {
        return false;  // one thread has waited in vain for all: threads that take turns would add up their waits
    }
    uint64_t begin = pmt_prim_now_ns_sigsafe(), since = begin, now = begin;
    bool there;
    while (!(there = room->is_there(room->producer, words)) && now - since < WAIT_MAX_NS) {
        pmt_recorder_wake_sigsafe(shared);
        pmt_prim_wait_sigsafe(&shared->progress, progress, WAIT_STEP_NS);
        now = pmt_prim_now_ns_sigsafe();
        uint32_t seen = atomic_load_explicit(&shared->progress, memory_order_acquire);
        if (seen != progress) {
            progress = seen;
            since = now;
        }
    }
    atomic_fetch_add_explicit(room->waits, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(room->wait_ns, now - begin, memory_order_relaxed);
    if (!there) {
        atomic_store_explicit(&shared->stalled_at, (uint64_t)progress + 1, memory_order_relaxed);
    }
    return there;
}
