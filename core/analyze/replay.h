// Feeds the events and faults of a trace to the aggregates over events.
#pragma once

#include "analyze/call_tree.h"
#include "analyze/calls.h"
#include "analyze/line_rows.h"
#include "analyze/profile.h"
#include "analyze/section.h"
#include "format/events.h"

enum { PMT_REPLAY_FUNCTIONS = 1 << 20, PMT_REPLAY_LINES = 1 << 22, PMT_REPLAY_NODES = 1 << 20 };  // told apart at most

typedef struct pmt_replay_s {
    uint64_t pid;            // 0: all processes
    pmt_calls_t *calls;      // NULL: not wanted, as the others
    pmt_call_tree_t *tree;
    pmt_line_rows_t *lines;
    pmt_section_t *section;  // NULL: all events, else those of a section, for `calls` alone, by pmt_replay_again
    // out
    uint64_t count;  // events, without those that tell RSS
    // its own
    pmt_decoder_t events;
    const pmt_profile_t *profile;
} pmt_replay_t;

// Reads the file into the profile and the aggregates at once (not for lines): as pmt_profile_read, which it stands for.
int pmt_replay_read(pmt_replay_t *replay, pmt_profile_t *profile, const char *path, char error[PMT_ERROR_MAX]);
// Reads the file again, of which the profile tells.
int pmt_replay_again(pmt_replay_t *replay, const pmt_profile_t *profile, const char *path, char error[PMT_ERROR_MAX]);

// Puts into `error` what was corrupt if `err` is -EBADMSG: in the file or in its events.
void pmt_replay_explain(const pmt_reader_t *reader, const pmt_decoder_t *events, int err, char error[PMT_ERROR_MAX]);
