// Interning (names.h): open addressing, doubled at one half.
#include "analyze/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/hash.h"

enum { FIRST_SLOTS = 64 };

// Twice as many slots, all of them free.
static int
double_slots(uint32_t **slots, uint32_t *count)
{
    uint32_t larger = *count ? 2 * *count : FIRST_SLOTS;
    uint32_t *fresh = calloc(larger, sizeof *fresh);
    if (!fresh) {
        return -ENOMEM;
    }
    free(*slots);
    *slots = fresh;
    *count = larger;
    return 0;
}

// ---- tables of fixed-size elements ----

void
pmt_table_init(pmt_table_t *table, size_t element, size_t key)
{
    *table = (pmt_table_t){.element = element, .key = key};
}

void
pmt_table_fini(pmt_table_t *table)
{
    free(table->elements);
    free(table->slots);
    *table = (pmt_table_t){0};
}

static uint32_t *
table_slot(const pmt_table_t *table, const void *key)
{
    for (uint64_t hash = pmt_hash_bytes(0, key, table->key);; hash++) {
        uint32_t *slot = &table->slots[hash & (table->slot_count - 1)];
        if (*slot == 0 || memcmp(pmt_table_at(table, *slot - 1), key, table->key) == 0) {
            return slot;
        }
    }
}

static int
table_rehash(pmt_table_t *table)
{
    if (double_slots(&table->slots, &table->slot_count) < 0) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < table->count; i++) {
        *table_slot(table, pmt_table_at(table, i)) = i + 1;
    }
    return 0;
}

int64_t
pmt_table_add(pmt_table_t *table, const void *element)
{
    if (table->count >= table->slot_count / 2 && table_rehash(table) < 0) {
        return -ENOMEM;
    }
    uint32_t *slot = table_slot(table, element);
    if (*slot) {
        return *slot - 1;
    }
    if (pmt_array_room(&table->elements, table->count, &table->room, table->element) < 0) {
        return -ENOMEM;
    }
    memcpy(pmt_table_at(table, table->count), element, table->element);
    *slot = ++table->count;
    return *slot - 1;
}

int64_t
pmt_table_find(const pmt_table_t *table, const void *key)
{
    return table->slot_count ? (int64_t)*table_slot(table, key) - 1 : -1;
}

// ---- texts ----

void
pmt_texts_init(pmt_texts_t *texts)
{
    *texts = (pmt_texts_t){0};
}

void
pmt_texts_fini(pmt_texts_t *texts)
{
    for (uint32_t i = 0; i < texts->count; i++) {
        free(texts->texts[i]);
    }
    free(texts->texts);
    free(texts->sizes);
    free(texts->slots);
    pmt_texts_init(texts);
}

static uint32_t *
text_slot(const pmt_texts_t *texts, const char *data, size_t size)
{
    for (uint64_t hash = pmt_hash_bytes(0, data, size);; hash++) {
        uint32_t *slot = &texts->slots[hash & (texts->slot_count - 1)];
        if (*slot == 0 || (texts->sizes[*slot - 1] == size && memcmp(texts->texts[*slot - 1], data, size) == 0)) {
            return slot;
        }
    }
}

static int
texts_rehash(pmt_texts_t *texts)
{
    if (double_slots(&texts->slots, &texts->slot_count) < 0) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < texts->count; i++) {
        *text_slot(texts, texts->texts[i], texts->sizes[i]) = i + 1;
    }
    return 0;
}

static int
texts_enlarge(pmt_texts_t *texts)
{
    uint32_t room = texts->room;
    int err = pmt_array_room(&texts->texts, texts->count, &room, sizeof *texts->texts);
    return err ? err : pmt_array_room(&texts->sizes, texts->count, &texts->room, sizeof *texts->sizes);
}

int64_t
pmt_texts_add(pmt_texts_t *texts, const char *data, size_t size)
{
    if (texts->count >= texts->slot_count / 2 && texts_rehash(texts) < 0) {
        return -ENOMEM;
    }
    uint32_t *slot = text_slot(texts, data, size);
    if (*slot) {
        return *slot - 1;
    }
    if (texts_enlarge(texts) < 0) {
        return -ENOMEM;
    }
    char *copy = malloc(size + 1);
    if (!copy) {
        return -ENOMEM;
    }
    memcpy(copy, data, size);
    copy[size] = '\0';
    texts->texts[texts->count] = copy;
    texts->sizes[texts->count] = size;
    *slot = ++texts->count;
    return *slot - 1;
}
