// The open frames of each thread, each with what its thread had been through when it began: the base of the aggregates over events (calls.h, lines.h, call_tree.h). What a frame took
// is the difference to now, so an event costs the same at any depth. A frame stands for a row of whoever uses this; PMT_STACKS_NO_ROW: for none.
//
// Threads without open frames have no stack of their own, so memory is bounded by the threads that run code at a time. In the header: what runs at each event.
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#define PMT_STACKS_NO_ROW UINT32_MAX

// What a thread has been through: sums since its first event.
typedef struct pmt_meter_s {
    uint64_t time;  // ns, of its latest event
    uint64_t rises, falls;  // pages, of the process's RSS from one event of the thread to the next
    uint64_t touched;       // pages, by the thread's own faults
} pmt_meter_t;

typedef struct pmt_stacks_frame_s {
    uint32_t row;
    uint32_t mark;  // its user's
    pmt_meter_t start;
    int64_t highest;  // rises - falls, at most since the start
} pmt_stacks_frame_t;

typedef struct pmt_stack_s {
    pmt_stacks_frame_t *frames;
    uint32_t *active;  // by row: frames of it on this stack; all 0 while it is empty
    uint32_t count, room, active_room;
    struct pmt_stack_s *next;  // spare
} pmt_stack_t;

typedef struct pmt_stacks_thread_s {
    pmt_stack_t *stack;  // NULL: no frame is open
    uint32_t process;
    bool idle;  // nothing of it is wanted
    int64_t rss;  // pages; 0: not known yet
    pmt_meter_t now;
} pmt_stacks_thread_t;

typedef struct pmt_stacks_s {
    pmt_stacks_thread_t *threads;
    uint32_t count, room;
    pmt_stack_t *spare;
    uint64_t active_room;  // of all stacks
} pmt_stacks_t;

// What a frame took, from its start to now.
typedef struct pmt_span_s {
    uint64_t time, rises, falls, touched;
    int64_t largest;  // the highest rises - falls
    bool outermost;   // its row has no other frame on the stack
} pmt_span_t;

void pmt_stacks_fini(pmt_stacks_t *stacks);  // zeros are an empty one
int pmt_stacks_add_thread(pmt_stacks_t *stacks, uint32_t process, bool idle);  // the next thread. 0 or -ENOMEM
int pmt_stacks_room_slow(pmt_stacks_t *stacks, pmt_stacks_thread_t *thread);
int pmt_stacks_active_slow(pmt_stacks_t *stacks, pmt_stack_t *stack, uint32_t row);

// NULL: no frame is open.
static inline pmt_stacks_frame_t *
pmt_stacks_top(const pmt_stacks_thread_t *thread)
{
    return thread->stack ? &thread->stack->frames[thread->stack->count - 1] : NULL;
}

static inline int64_t
pmt_stacks_height(const pmt_meter_t *meter)
{
    return (int64_t)(meter->rises - meter->falls);
}

// RSS is another than at the thread's last event; the first known is no change.
static inline void
pmt_stacks_rss(pmt_stacks_thread_t *thread, int64_t rss)
{
    uint64_t change = thread->rss ? (uint64_t)rss - (uint64_t)thread->rss : 0;
    bool fell = rss < thread->rss;
    pmt_stacks_frame_t *top = pmt_stacks_top(thread);
    thread->rss = rss;
    thread->now.rises += fell ? 0 : change;
    thread->now.falls += fell ? -change : 0;
    if (top && pmt_stacks_height(&thread->now) > top->highest) {
        top->highest = pmt_stacks_height(&thread->now);
    }
}

// The top frame stands for `row` from now on (it stood for none). 0 or -ENOMEM.
static inline int
pmt_stacks_start(pmt_stacks_t *stacks, pmt_stacks_thread_t *thread, uint32_t row)
{
    pmt_stack_t *stack = thread->stack;
    pmt_stacks_frame_t *top = &stack->frames[stack->count - 1];
    top->start = thread->now;
    top->highest = pmt_stacks_height(&thread->now);
    if (row == PMT_STACKS_NO_ROW) {
        return 0;
    }
    if (PMT_UNLIKELY(row >= stack->active_room) && pmt_stacks_active_slow(stacks, stack, row) < 0) {
        return -ENOMEM;
    }
    stack->active[row]++;
    top->row = row;
    return 0;
}

// Opens a frame; on -ENOMEM it may stand there without a row.
static inline int
pmt_stacks_push(pmt_stacks_t *stacks, pmt_stacks_thread_t *thread, uint32_t row)
{
    if (PMT_UNLIKELY(!thread->stack || thread->stack->count == thread->stack->room) && pmt_stacks_room_slow(stacks, thread) < 0) {
        return -ENOMEM;
    }
    pmt_stacks_frame_t *top = &thread->stack->frames[thread->stack->count++];
    top->row = PMT_STACKS_NO_ROW;
    top->mark = 0;
    return pmt_stacks_start(stacks, thread, row);
}

// Ends what the top frame stands for, which is no row then.
static inline pmt_span_t
pmt_stacks_stop(pmt_stacks_thread_t *thread)
{
    pmt_stack_t *stack = thread->stack;
    pmt_stacks_frame_t *top = &stack->frames[stack->count - 1];
    pmt_span_t span = {
        .time = thread->now.time - top->start.time,
        .rises = thread->now.rises - top->start.rises,
        .falls = thread->now.falls - top->start.falls,
        .touched = thread->now.touched - top->start.touched,
        .largest = (int64_t)((uint64_t)top->highest - (uint64_t)pmt_stacks_height(&top->start)),
        .outermost = top->row != PMT_STACKS_NO_ROW && --stack->active[top->row] == 0,
    };
    if (stack->count > 1 && top->highest > top[-1].highest) {
        top[-1].highest = top->highest;
    }
    top->row = PMT_STACKS_NO_ROW;
    return span;
}

// Closes the top frame, which has been stopped.
static inline void
pmt_stacks_pop(pmt_stacks_t *stacks, pmt_stacks_thread_t *thread)
{
    pmt_stack_t *stack = thread->stack;
    if (--stack->count == 0) {
        stack->next = stacks->spare;
        stacks->spare = stack;
        thread->stack = NULL;
    }
}
