// The producer's end of a ring (ring.h).
#include "capture/ring.h"

#include "base/check.h"
#include "base/compiler.h"
#include "prim/prim.h"

static const uint64_t WAIT_MAX_NS = 1000000000u;  // without any progress of the recorder
static const uint64_t WAIT_STEP_NS = 10000000u;

void
pmt_producer_init(pmt_producer_t *producer, pmt_shared_t *shared, unsigned slot)
{
    *producer = (pmt_producer_t){
        .shared = shared,
        .ring = pmt_shared_ring(shared, slot),
        .words = pmt_shared_words(shared, slot),
    };
    producer->head = atomic_load_explicit(&producer->ring->head, memory_order_acquire);
    producer->tail = atomic_load_explicit(&producer->ring->tail, memory_order_acquire);
}

void
pmt_ring_doorbell_sigsafe(pmt_shared_t *shared)
{
    if (atomic_load_explicit(&shared->asleep, memory_order_seq_cst)) {
        atomic_fetch_add_explicit(&shared->doorbell, 1, memory_order_seq_cst);
        pmt_prim_wake_sigsafe(&shared->doorbell);
    }
}

static bool
has_room(pmt_producer_t *producer, uint64_t words)
{
    if (producer->head + words - producer->tail <= PMT_RING_WORDS) {
        return true;
    }
    producer->tail = atomic_load_explicit(&producer->ring->tail, memory_order_acquire);
    PMT_INVARIANT(producer->head - producer->tail <= PMT_RING_WORDS);
    return producer->head + words - producer->tail <= PMT_RING_WORDS;
}

// Waits until `words` fit. What is reserved is published first, or a long event could wait for itself.
static PMT_COLD bool
wait_for_room(pmt_producer_t *producer, uint64_t words)
{
    pmt_shared_t *shared = producer->shared;
    uint32_t progress = atomic_load_explicit(&shared->progress, memory_order_acquire);
    if (atomic_load_explicit(&shared->stalled_at, memory_order_relaxed) == (uint64_t)progress + 1) {
        return false;  // one thread has waited in vain for all: threads that take turns would add up their waits
    }
    pmt_ring_commit(producer);
    uint64_t begin = pmt_prim_now_ns_sigsafe(), since = begin, now = begin;
    bool room;
    while (!(room = has_room(producer, words)) && now - since < WAIT_MAX_NS) {
        pmt_ring_doorbell_sigsafe(shared);
        pmt_prim_wait_sigsafe(&shared->progress, progress, WAIT_STEP_NS);
        now = pmt_prim_now_ns_sigsafe();
        uint32_t seen = atomic_load_explicit(&shared->progress, memory_order_acquire);
        if (seen != progress) {
            progress = seen;
            since = now;
        }
    }
    atomic_fetch_add_explicit(&shared->waits, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&shared->wait_ns, now - begin, memory_order_relaxed);
    if (!room) {
        atomic_store_explicit(&shared->stalled_at, (uint64_t)progress + 1, memory_order_relaxed);
    }
    return room;
}

uint64_t *
pmt_ring_reserve(pmt_producer_t *producer, unsigned type, unsigned flags, uint32_t arg, unsigned words)
{
    PMT_ASSERT(words > 0 && words <= PMT_RAW_WORDS_MAX);
    uint64_t to_end = PMT_RING_WORDS - producer->head % PMT_RING_WORDS;
    uint64_t skip = to_end < words ? to_end : 0;
    if (PMT_UNLIKELY(!has_room(producer, skip + words)) && !wait_for_room(producer, skip + words)) {
        return NULL;
    }
    if (skip) {
        pmt_raw_t filler = {.type = PMT_RAW_SKIP, .words = (uint16_t)skip};
        *(pmt_raw_t *)&producer->words[producer->head % PMT_RING_WORDS] = filler;
        producer->head += skip;
    }
    uint64_t *at = &producer->words[producer->head % PMT_RING_WORDS];
    *(pmt_raw_t *)at = (pmt_raw_t){.type = (uint8_t)type, .flags = (uint8_t)flags, .words = (uint16_t)words, .arg = arg};
    producer->head += words;
    return at;
}

void
pmt_ring_commit(pmt_producer_t *producer)
{
    atomic_store_explicit(&producer->ring->head, producer->head, memory_order_release);
    if (PMT_UNLIKELY(producer->head - producer->tail > PMT_RING_WORDS / 2)) {
        producer->tail = atomic_load_explicit(&producer->ring->tail, memory_order_acquire);
        if (producer->head - producer->tail > PMT_RING_WORDS / 2) {
            pmt_ring_doorbell_sigsafe(producer->shared);
        }
    }
}
