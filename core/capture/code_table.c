// Known code objects (code_table.h): open addressing, linear probing.
#include "capture/code_table.h"

#include <stddef.h>

// The entry of `code`, or the free one where it would stand. NULL: none is free. The table is emptied when three quarters are used, but a thread that is held up
// while it empties lets the others fill it.
static pmt_code_entry_t *
probe(const pmt_code_table_t *table, uint64_t code)
{
    uint64_t at = pmt_code_table_place(code);
    for (unsigned i = 0; i < table->size; i++) {
        pmt_code_entry_t *entry = &table->entries[(at + i) & (table->size - 1)];
        uint64_t seen = atomic_load_explicit(&entry->code, memory_order_acquire);
        if (seen == code || seen == 0) {
            return entry;
        }
    }
    return NULL;
}

uint32_t
pmt_code_table_find_slow_sigsafe(const pmt_code_table_t *table, uint64_t code, uint32_t check)
{
    const pmt_code_entry_t *entry = probe(table, code);
    if (!entry || atomic_load_explicit(&entry->code, memory_order_relaxed) != code) {
        return 0;
    }
    uint64_t check_id = atomic_load_explicit(&entry->check_id, memory_order_acquire);
    return check_id >> 32 == check ? (uint32_t)check_id : 0;
}

uint32_t
pmt_code_table_new_id_sigsafe(pmt_code_table_t *table)
{
    return atomic_fetch_add_explicit(&table->last_id, 1, memory_order_relaxed) + 1;
}

void
pmt_code_table_forget_choices(pmt_code_table_t *table)
{
    for (unsigned i = 0; i < table->size; i++) {
        uint64_t check_id = atomic_load_explicit(&table->entries[i].check_id, memory_order_acquire);
        // A handler that defines it again meanwhile does so without flags.
        if (check_id & (PMT_CODE_WANTED | PMT_CODE_LEFT_OUT)) {
            uint64_t plain = check_id & ~(uint64_t)(PMT_CODE_WANTED | PMT_CODE_LEFT_OUT);
            atomic_compare_exchange_strong_explicit(&table->entries[i].check_id, &check_id, plain, memory_order_acq_rel, memory_order_relaxed);
        }
    }
}

static void
start_over(pmt_code_table_t *table)
{
    for (unsigned i = 0; i < table->size; i++) {
        atomic_store_explicit(&table->entries[i].check_id, 0, memory_order_relaxed);
        atomic_store_explicit(&table->entries[i].code, 0, memory_order_relaxed);
    }
}

void
pmt_code_table_add_sigsafe(pmt_code_table_t *table, uint64_t code, uint32_t check, uint32_t id)
{
    pmt_code_entry_t *entry = probe(table, code);
    uint64_t expected = 0;
    if (!entry || atomic_load_explicit(&entry->code, memory_order_relaxed) != code) {
        if (atomic_fetch_add_explicit(&table->used, 1, memory_order_relaxed) + 1 == table->size / 4 * 3 || !entry) {
            start_over(table);
            atomic_store_explicit(&table->used, 1, memory_order_relaxed);
            entry = probe(table, code);
        }
        if (!entry || !atomic_compare_exchange_strong_explicit(&entry->code, &expected, code, memory_order_acq_rel, memory_order_relaxed)) {
            return;  // another thread took the place; the code object will be defined once more, later
        }
    }
    atomic_store_explicit(&entry->check_id, (uint64_t)check << 32 | id, memory_order_release);
}
