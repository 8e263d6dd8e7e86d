// A traced thread: its slot of the shared rings and its private state. Slots are claimed by a thread's first fault, inside its signal handler, and taken over
// from threads that have ended.
#pragma once

#include "capture/interp.h"
#include "capture/ring.h"
#include "prim/prim.h"

typedef struct pmt_thread_s {
    uint32_t busy;  // recursion guard: set while the handler runs, and for good in the states of fault.c that belong to no thread
    uint32_t tid;
    pmt_producer_t producer;
    pmt_stack_t stack;
    uint64_t last_address, last_instruction, last_stack;  // of the previous fault: an event delivered twice, or of the handler itself, is dropped
    uint64_t block;    // the huge-page-sized block of the previous fault
    uint64_t asked_around;  // where the kernel was asked last what a page is
    uint32_t answers;       // signals for which its answer still holds
    uint32_t left_pages;  // of this thread's in the session's found_pages
    uint64_t signals;  // since the thread was claimed
    uint64_t unsignalled;  // faults of the thread that made no signal, as far as they have been accounted for
    uint64_t faults_before;  // the thread's fault count when it was claimed; with the timer engine: at its last tick
    uint64_t faults_told;  // the same at its last signal while memory was being released (rise_of_many in fault.c)
    uint32_t written;  // events
    char name[PMT_THREAD_NAME_KERNEL];  // the kernel's, as last told
    bool timed;  // it has asked for ticks (timer.c)
    pmt_code_info_t info;  // scratch of the handler
} pmt_thread_t;

typedef struct pmt_threads_s {
    pmt_shared_t *shared;
    char *areas;  // PMT_RINGS x PMT_THREAD_AREA bytes of address space: pmt_thread_t, then the frames of its stack
    uint32_t pid;
} pmt_threads_t;

enum { PMT_THREAD_HEAD = 8192, PMT_THREAD_AREA = PMT_THREAD_HEAD + PMT_STACK_MAX * (int)sizeof(pmt_frame_t) };
_Static_assert(sizeof(pmt_thread_t) <= PMT_THREAD_HEAD, "the frames stand behind the struct");

// Pages of anonymous and shared memory a claim brought in.
typedef struct pmt_claim_s {
    uint32_t anon, shared;
} pmt_claim_t;

// Claims a slot for the calling thread. NULL: all slots belong to live threads.
pmt_thread_t *pmt_thread_claim_sigsafe(const pmt_threads_t *threads, uint32_t tid, pmt_claim_t *claim);

static inline unsigned
pmt_thread_slot(const pmt_thread_t *thread)
{
    return (unsigned)(thread->producer.ring - pmt_shared_ring(thread->producer.shared, 0));
}

// Makes room for a stack of `depth` frames (at most PMT_STACK_MAX); returns the pages that brought in.
uint32_t pmt_stack_populate_sigsafe(pmt_stack_t *stack, uint32_t depth);
