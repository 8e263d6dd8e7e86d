// Names of the analysis, each kept once: texts, and frames (file, line, function, first line). Numbers count from 0 in order of first sight.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A growing array of fixed-size elements behind a hash table of their keys. The base of every "each kept once" here.
typedef struct pmt_table_s {
    size_t element;  // bytes; the key is its first `key` bytes
    size_t key;
    char *elements;
    uint32_t count, room;
    uint32_t *slots;  // number + 1, 0: free
    uint32_t slot_count;
} pmt_table_t;

void pmt_table_init(pmt_table_t *table, size_t element, size_t key);
void pmt_table_fini(pmt_table_t *table);
// The number of the element with the key of `element`, which is copied in if there is none. Negative: -ENOMEM.
int64_t pmt_table_add(pmt_table_t *table, const void *element);
// The number, or -1.
int64_t pmt_table_find(const pmt_table_t *table, const void *key);

static inline void *
pmt_table_at(const pmt_table_t *table, uint32_t number)
{
    return table->elements + (size_t)number * table->element;
}

typedef struct pmt_texts_s {
    char **texts;
    size_t *sizes;
    uint32_t count, room;
    uint32_t *slots;
    uint32_t slot_count;
} pmt_texts_t;

void pmt_texts_init(pmt_texts_t *texts);
void pmt_texts_fini(pmt_texts_t *texts);
int64_t pmt_texts_add(pmt_texts_t *texts, const char *data, size_t size);  // its number, or -ENOMEM
