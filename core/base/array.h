// Growing arrays: a pointer, a count and a room, in whatever struct they belong to. Nothing bounds what a hostile trace defines but memory.
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum { PMT_ARRAY_FIRST = 64, PMT_ARRAY_MAX = 1 << 28 };  // elements

// Makes room for one more element of `size` bytes behind `count`. `array`: the address of the pointer. 0, or -ENOMEM: all is as it was.
static inline int
pmt_array_room(void *array, uint32_t count, uint32_t *room, size_t size)
{
    if (count < *room) {
        return 0;
    }
    uint32_t larger = count < PMT_ARRAY_FIRST ? PMT_ARRAY_FIRST : 2 * count;
    void *moved = count < PMT_ARRAY_MAX ? realloc(*(void **)array, larger * size) : NULL;
    if (!moved) {
        return -ENOMEM;
    }
    *(void **)array = moved;
    *room = larger;
    return 0;
}

// Sorts what mostly is in order already, where qsort takes as long as for the rest.
static inline void
pmt_array_sort(void *array, uint32_t count, size_t size, int (*compare)(const void *, const void *))
{
    const char *at = array;
    uint32_t i = 1;
    while (i < count && compare(at + (i - 1) * size, at + i * size) <= 0) {
        i++;
    }
    if (i < count) {
        qsort(array, count, size, compare);
    }
}
