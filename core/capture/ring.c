// The producer's end of a ring (ring.h).
#include "capture/ring.h"

#include <stddef.h>

#include "base/check.h"
#include "base/compiler.h"

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

static bool
has_room(void *context, uint64_t words)
{
    pmt_producer_t *producer = context;
    if (producer->head + words - producer->tail <= PMT_RING_WORDS) {
        return true;
    }
    producer->tail = atomic_load_explicit(&producer->ring->tail, memory_order_acquire);
    PMT_INVARIANT(producer->head - producer->tail <= PMT_RING_WORDS);
    return producer->head + words - producer->tail <= PMT_RING_WORDS;
}

// What is reserved is published first, or a long event could wait for itself.
static PMT_COLD bool
wait_for_room(pmt_producer_t *producer, uint64_t words)
{
    pmt_shared_t *shared = producer->shared;
    pmt_ring_commit(producer);
    return pmt_room_await_sigsafe(&(pmt_room_t){shared, has_room, producer, &shared->waits, &shared->wait_ns}, words);
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
            pmt_recorder_wake_sigsafe(producer->shared);
        }
    }
}
