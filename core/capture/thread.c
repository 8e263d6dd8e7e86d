// Claiming a slot (thread.h).
#include "capture/thread.h"

#include <string.h>

#include "base/check.h"
#include "prim/prim.h"

enum { RINGS_A_PAGE = PMT_SHARED_PAGE / (int)sizeof(pmt_ring_t), NO_SLOT = PMT_RINGS };

static uint32_t
pages(size_t size)
{
    size_t page = pmt_prim_page_size_sigsafe();
    return (uint32_t)((size + page - 1) / page);
}

// A slot of a thread that has ended, else a fresh one, else NO_SLOT.
static unsigned
take_slot(const pmt_threads_t *threads, uint32_t tid, bool *fresh)
{
    pmt_shared_t *shared = threads->shared;
    unsigned used = atomic_load_explicit(&shared->rings_used, memory_order_acquire);
    *fresh = false;
    for (unsigned slot = 0; slot < used && slot < PMT_RINGS; slot++) {
        pmt_ring_t *ring = pmt_shared_ring(shared, slot);
        uint32_t owner = atomic_load_explicit(&ring->owner, memory_order_relaxed);
        // The owner's own number means that a new thread has it now. 0: claimed this moment by another thread.
        bool ended = owner == tid || (owner != 0 && !pmt_prim_thread_alive_sigsafe(threads->pid, owner));
        if (ended && atomic_compare_exchange_strong_explicit(&ring->owner, &owner, tid, memory_order_acq_rel, memory_order_relaxed)) {
            return slot;
        }
    }
    used = atomic_load_explicit(&shared->rings_used, memory_order_relaxed);
    do {
        if (used >= PMT_RINGS) {
            return NO_SLOT;
        }
    } while (!atomic_compare_exchange_weak_explicit(&shared->rings_used, &used, used + 1, memory_order_acq_rel, memory_order_relaxed));
    *fresh = true;
    return used;
}

// The handler must not fault on memory of its own: everything it writes is brought in here.
static pmt_claim_t
populate(const pmt_threads_t *threads, unsigned slot)
{
    size_t page = pmt_prim_page_size_sigsafe();
    size_t words = PMT_RING_WORDS * sizeof(uint64_t), area = PMT_THREAD_HEAD + page;
    pmt_claim_t claim = {.anon = pages(area), .shared = pages(words)};
    pmt_prim_populate_sigsafe(pmt_shared_words(threads->shared, slot), words);
    pmt_prim_populate_sigsafe(threads->areas + (size_t)slot * PMT_THREAD_AREA, area);
    if (slot % RINGS_A_PAGE == 0) {
        pmt_prim_populate_sigsafe(pmt_shared_ring(threads->shared, slot), PMT_SHARED_PAGE);
        claim.shared++;
    }
    return claim;
}

pmt_thread_t *
pmt_thread_claim_sigsafe(const pmt_threads_t *threads, uint32_t tid, pmt_claim_t *claim)
{
    bool fresh;
    unsigned slot = take_slot(threads, tid, &fresh);
    *claim = (pmt_claim_t){0};
    if (slot == NO_SLOT) {
        return NULL;
    }
    if (fresh) {
        *claim = populate(threads, slot);
        atomic_store_explicit(&pmt_shared_ring(threads->shared, slot)->owner, tid, memory_order_release);
    }
    char *area = threads->areas + (size_t)slot * PMT_THREAD_AREA;
    pmt_thread_t *thread = (pmt_thread_t *)area;
    uint32_t populated = fresh ? (uint32_t)(pmt_prim_page_size_sigsafe() / sizeof(pmt_frame_t)) : thread->stack.populated;
    memset(thread, 0, offsetof(pmt_thread_t, info));
    thread->tid = tid;
    thread->stack = (pmt_stack_t){.frames = (pmt_frame_t *)(area + PMT_THREAD_HEAD), .populated = populated};
    thread->faults_before = pmt_prim_thread_faults_sigsafe();
    pmt_producer_init(&thread->producer, threads->shared, slot);
    return thread;
}

uint32_t
pmt_stack_populate_sigsafe(pmt_stack_t *stack, uint32_t depth)
{
    PMT_ASSERT(depth <= PMT_STACK_MAX);
    if (depth <= stack->populated) {
        return 0;
    }
    uint32_t a_page = (uint32_t)(pmt_prim_page_size_sigsafe() / sizeof(pmt_frame_t));
    uint32_t room = (depth + a_page - 1) / a_page * a_page;
    uint32_t added = room - stack->populated;
    pmt_prim_populate_sigsafe(stack->frames + stack->populated, added * sizeof(pmt_frame_t));
    stack->populated = room;
    return added / a_page;
}
