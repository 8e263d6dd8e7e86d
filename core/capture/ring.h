// The producer's end of a ring (format/records.h has the layout). Called by the thread that owns the slot, with its signal handler's guard held, so
// there is never a second producer. Nothing here allocates or locks.
#pragma once

#include <stdbool.h>

#include "capture/room.h"

typedef struct pmt_producer_s {
    pmt_shared_t *shared;
    pmt_ring_t *ring;
    uint64_t *words;
    uint64_t head;      // = ring->head, plus what is reserved and not yet committed
    uint64_t tail;      // the consumer's position when it was last looked at: head - tail <= PMT_RING_WORDS
    uint32_t lost;      // faults lost since the last LOST record
} pmt_producer_t;

void pmt_producer_init(pmt_producer_t *producer, pmt_shared_t *shared, unsigned slot);

// Room for a record of `words` words (at most PMT_RAW_WORDS_MAX) with its first word filled in, or NULL: the recorder made no progress for a second, the record is lost.
// A full ring is waited for. Earlier reservations of the same event stay uncommitted until pmt_ring_commit.
uint64_t *pmt_ring_reserve(pmt_producer_t *producer, unsigned type, unsigned flags, uint32_t arg, unsigned words);

// Publishes everything reserved so far.
void pmt_ring_commit(pmt_producer_t *producer);
