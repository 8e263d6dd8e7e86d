// The recorder itself: its descriptors, and what its loop (main.c) and the messages that reach it (messages.c) share.
#pragma once

#include "recorder/trace.h"

enum { CONTROL = 0, OUTPUT = 1, LISTENER = 2, DESCRIPTORS = 3 };

typedef struct pmt_recorder_s {
    pmt_trace_t trace;
    bool control_open;
    uint64_t told_at;   // when the launcher told the program's end; 0: not yet
    uint64_t ticks, next_tick, next_flush;
    uint64_t next_look;   // at processes that have just begun
    uint64_t next_peak;   // look for one
    uint64_t next_piece;  // of a residency snapshot
    uint32_t strangers;   // heard of since the last tick
    int farewell;  // the connection of a program that has stopped its trace and waits for the file; -1: none
    char message[PMT_MESSAGE_MAX + 1];
} pmt_recorder_t;

void pmt_recorder_tick(pmt_recorder_t *recorder, uint64_t now);  // a sample, and a look at children

// messages.c: one connection of a traced process, from first message to last. Waits are bounded by the sockets' time limits.
void pmt_serve(pmt_recorder_t *recorder, int fd);
void pmt_read_control(pmt_recorder_t *recorder);  // one message of the launcher's
// To a program that has stopped its trace, or its part of it. `pid`: of a recorder that ends, else 0.
void pmt_say_farewell(int fd, uint32_t pid, int err);
