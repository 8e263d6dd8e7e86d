// Stacks: their memory (stacks.h).
#include "analyze/stacks.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

enum { FIRST_FRAMES = 32 };
#define ACTIVE_MAX (1ull << 26)  // counts in all stacks together: more than this only a file made for it needs

static void
free_stack(pmt_stack_t *stack)
{
    if (stack) {
        free(stack->frames);
        free(stack->active);
        free(stack);
    }
}

void
pmt_stacks_fini(pmt_stacks_t *stacks)
{
    for (pmt_stack_t *stack = stacks->spare, *next; stack; stack = next) {
        next = stack->next;
        free_stack(stack);
    }
    for (uint32_t i = 0; i < stacks->count; i++) {
        free_stack(stacks->threads[i].stack);
    }
    free(stacks->threads);
    *stacks = (pmt_stacks_t){0};
}

int
pmt_stacks_add_thread(pmt_stacks_t *stacks, uint32_t process, bool idle)
{
    int err = pmt_array_room(&stacks->threads, stacks->count, &stacks->room, sizeof *stacks->threads);
    if (!err) {
        stacks->threads[stacks->count++] = (pmt_stacks_thread_t){.process = process, .idle = idle};
    }
    return err;
}

static int
more_frames(pmt_stack_t *stack)
{
    uint32_t room = stack->room ? 2 * stack->room : FIRST_FRAMES;
    pmt_stacks_frame_t *frames = realloc(stack->frames, room * sizeof *frames);
    if (!frames) {
        return -ENOMEM;
    }
    stack->frames = frames;
    stack->room = room;
    return 0;
}

// Room for one more frame on the thread's stack, which it gets if it has none.
int
pmt_stacks_room_slow(pmt_stacks_t *stacks, pmt_stacks_thread_t *thread)
{
    pmt_stack_t *stack = thread->stack ? thread->stack : stacks->spare;
    if (!stack) {
        stack = calloc(1, sizeof *stack);
        if (!stack) {
            return -ENOMEM;
        }
        stack->next = stacks->spare;
        stacks->spare = stack;
    }
    if (stack->count == stack->room && more_frames(stack) < 0) {
        return -ENOMEM;
    }
    if (!thread->stack) {
        stacks->spare = stack->next;
        thread->stack = stack;
    }
    return 0;
}

int
pmt_stacks_active_slow(pmt_stacks_t *stacks, pmt_stack_t *stack, uint32_t row)
{
    uint32_t room = row + row / 2 + FIRST_FRAMES;
    uint32_t *active = stacks->active_room + room - stack->active_room <= ACTIVE_MAX ? calloc(room, sizeof *active) : NULL;
    if (!active) {
        return -ENOMEM;
    }
    if (stack->active_room) {
        memcpy(active, stack->active, stack->active_room * sizeof *active);
    }
    free(stack->active);
    stacks->active_room += room - stack->active_room;
    stack->active = active;
    stack->active_room = room;
    return 0;
}
