// Waiting until the recorder has made room in what a thread shares with it: a ring or a lane. Any context.
#pragma once

#include <stdbool.h>

#include "format/records.h"

typedef struct pmt_room_s {
    pmt_shared_t *shared;
    bool (*is_there)(void *producer, uint64_t words);
    void *producer;
    _Atomic uint64_t *waits, *wait_ns;  // counted there
} pmt_room_t;

// Whether there is room for `words` words. At once, false, where the recorder has been waited for in vain and has not moved since; else it may take as long as the recorder
// moves, and a second without that.
bool pmt_room_await_sigsafe(const pmt_room_t *room, uint64_t words);

// If it sleeps.
void pmt_recorder_wake_sigsafe(pmt_shared_t *shared);
