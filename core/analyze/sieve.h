// What a section shows of its process's events: not the code that its patterns leave out, with the C functions called there, nor the lines and C functions that it has not asked
// for. Others may have recorded them. Functions that are left out are no frames either: what is left nests, and depths are counted without them.
//
// It stands behind the decoder (format/events.h) and is given every event of every thread, in the order of the file. Used by the log and by the sums of a section.
#pragma once

#include <stdbool.h>

#include "analyze/profile.h"
#include "base/filter.h"
#include "format/events.h"

typedef struct pmt_choice_s {
    bool lines, c_calls;
    pmt_filter_t patterns;  // of code; its texts are somebody else's
} pmt_choice_t;

typedef struct pmt_sieve_thread_s {
    uint8_t *frames;  // flags of its open frames
    uint32_t count, room;
    uint32_t called;  // frames begun in the log that are shown
    uint32_t process;
} pmt_sieve_thread_t;

typedef struct pmt_sieve_known_s {
    uint32_t process, code;  // code 0: free
    bool wanted;
} pmt_sieve_known_t;
enum { PMT_SIEVE_KNOWN = 1 << 12 };

typedef struct pmt_sieve_s {
    pmt_choice_t choice;
    const pmt_profile_t *profile;  // all of the file's names
    pmt_sieve_thread_t *threads;
    uint32_t thread_count, thread_room;
    pmt_sieve_known_t *known;
} pmt_sieve_t;

// 0 or -ENOMEM.
int pmt_sieve_init(pmt_sieve_t *sieve, const pmt_choice_t *choice, const pmt_profile_t *profile);
void pmt_sieve_fini(pmt_sieve_t *sieve);  // zeros are an empty one
int pmt_sieve_add_thread(pmt_sieve_t *sieve, uint32_t process);  // the next. 0 or -ENOMEM

// 1: *event is shown, as it is now; 0: it is left out; -ENOMEM.
int pmt_sieve_event(pmt_sieve_t *sieve, uint32_t thread, pmt_trace_event_t *event);
// As pmt_decoder_depth.
uint32_t pmt_sieve_depth(const pmt_sieve_t *sieve, uint32_t thread);
