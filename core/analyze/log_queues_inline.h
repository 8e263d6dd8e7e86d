// Queues of log rows, and the rows of all of them in the order of time: a heap holds the queues by their first row's. Included by log.c alone; inline, since every row of
// a log goes through.
#pragma once

#include <errno.h>
#include <stdlib.h>

#include "analyze/log.h"
#include "base/array.h"

typedef struct pmt_queue_s {
    pmt_log_row_t *rows;  // a ring
    uint32_t first, count, room;
    uint64_t latest;  // of its rows
    bool idle;        // what is put into it is dropped
} pmt_queue_t;

typedef struct pmt_queues_s {
    pmt_queue_t *list;
    uint32_t count, room;
    uint32_t *heap;  // queues that have rows
    uint32_t heap_count, heap_room;
    uint64_t rows;  // in all queues
} pmt_queues_t;  // zeros: empty

static inline bool
pmt_queues_earlier(const pmt_queues_t *queues, uint32_t a, uint32_t b)
{
    uint64_t time_a = queues->list[a].rows[queues->list[a].first].time, time_b = queues->list[b].rows[queues->list[b].first].time;
    return time_a < time_b || (time_a == time_b && a < b);
}

static inline void
pmt_queues_swap(pmt_queues_t *queues, uint32_t a, uint32_t b)
{
    uint32_t queue = queues->heap[a];
    queues->heap[a] = queues->heap[b];
    queues->heap[b] = queue;
}

static inline void
pmt_queues_sift_up(pmt_queues_t *queues, uint32_t at)
{
    for (; at > 0 && pmt_queues_earlier(queues, queues->heap[at], queues->heap[(at - 1) / 2]); at = (at - 1) / 2) {
        pmt_queues_swap(queues, at, (at - 1) / 2);
    }
}

static inline void
pmt_queues_sift_down(pmt_queues_t *queues)
{
    for (uint32_t at = 0, child; (child = 2 * at + 1) < queues->heap_count; at = child) {
        child += child + 1 < queues->heap_count && pmt_queues_earlier(queues, queues->heap[child + 1], queues->heap[child]);
        if (!pmt_queues_earlier(queues, queues->heap[child], queues->heap[at])) {
            break;
        }
        pmt_queues_swap(queues, at, child);
    }
}

static inline void
pmt_queues_fini(pmt_queues_t *queues)
{
    for (uint32_t i = 0; i < queues->count; i++) {
        free(queues->list[i].rows);
    }
    free(queues->list);
    free(queues->heap);
}

static inline int
pmt_queues_add(pmt_queues_t *queues, bool idle)
{
    int err = pmt_array_room(&queues->list, queues->count, &queues->room, sizeof *queues->list);
    err = err ? err : pmt_array_room(&queues->heap, queues->count, &queues->heap_room, sizeof *queues->heap);
    if (!err) {
        queues->list[queues->count++] = (pmt_queue_t){.idle = idle};
    }
    return err;
}

static inline int
pmt_queues_more_room(pmt_queue_t *queue)
{
    uint32_t room = queue->room ? 2 * queue->room : 64;
    pmt_log_row_t *rows = malloc(room * sizeof *rows);
    if (!rows) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < queue->count; i++) {
        rows[i] = queue->rows[(queue->first + i) & (queue->room - 1)];
    }
    free(queue->rows);
    queue->rows = rows;
    queue->first = 0;
    queue->room = room;
    return 0;
}

// The rows of a queue are in order: none is before the one in front of it.
static inline int
pmt_queues_put(pmt_queues_t *queues, uint32_t number, pmt_log_row_t row)
{
    pmt_queue_t *queue = &queues->list[number];
    if (queue->idle) {
        return 0;
    }
    if (queue->count == queue->room && pmt_queues_more_room(queue) < 0) {
        return -ENOMEM;
    }
    queue->latest = row.time = row.time > queue->latest ? row.time : queue->latest;
    queue->rows[(queue->first + queue->count++) & (queue->room - 1)] = row;
    queues->rows++;
    if (queue->count == 1) {
        queues->heap[queues->heap_count++] = number;
        pmt_queues_sift_up(queues, queues->heap_count - 1);
    }
    return 0;
}

// There must be one.
static inline pmt_log_row_t
pmt_queues_take(pmt_queues_t *queues)
{
    pmt_queue_t *queue = &queues->list[queues->heap[0]];
    pmt_log_row_t row = queue->rows[queue->first];
    queue->first = (queue->first + 1) & (queue->room - 1);
    queues->rows--;
    if (--queue->count == 0) {
        queues->heap[0] = queues->heap[--queues->heap_count];
    }
    pmt_queues_sift_down(queues);
    return row;
}

// The earliest row; NULL: there is none.
static inline const pmt_log_row_t *
pmt_queues_first(const pmt_queues_t *queues)
{
    const pmt_queue_t *queue = queues->heap_count ? &queues->list[queues->heap[0]] : NULL;
    return queue ? &queue->rows[queue->first] : NULL;
}
