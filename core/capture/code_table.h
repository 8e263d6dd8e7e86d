// What the recorder has heard of, and under which id: code objects, and where calls are recorded the C functions and types in them. Address and fingerprint -> id. One for
// the process, used by all threads' handlers at once without a lock: a race defines a thing twice under two ids, which readers merge. A table that fills up starts over; ids
// go on and are never reused.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/compiler.h"

enum {
    PMT_CODE_TABLE_SIZE = 1 << 13,         // entries of 16 bytes: 128 KiB
    PMT_CODE_TABLE_SIZE_LARGE = 1 << 16,   // where every call looks into it: 1 MiB
};

// In an entry above the id: whether its calls are wanted (neither: nobody has asked yet), and that the recorder knows its module.
#define PMT_CODE_WANTED 0x80000000u
#define PMT_CODE_LEFT_OUT 0x40000000u
#define PMT_CODE_PLACED 0x20000000u
#define PMT_CODE_ID 0x1fffffffu

typedef struct pmt_code_entry_s {
    _Atomic uint64_t code;      // 0: free
    _Atomic uint64_t check_id;  // check << 32 | flags | id; 0: being defined
} pmt_code_entry_t;

typedef struct pmt_code_table_s {
    pmt_code_entry_t *entries;  // populated
    uint32_t size;              // a power of two
    _Atomic uint32_t used;
    _Atomic uint32_t last_id;
} pmt_code_table_t;

// Where the search for an address begins. One multiplication: it is in the way of every call.
static inline uint64_t
pmt_code_table_place(uint64_t code)
{
    return code * 0x9e3779b97f4a7c15ull >> 32;
}

// The id with its flags, or 0: unknown.
uint32_t pmt_code_table_find_slow_sigsafe(const pmt_code_table_t *table, uint64_t code, uint32_t check);

static inline uint32_t
pmt_code_table_find_sigsafe(const pmt_code_table_t *table, uint64_t code, uint32_t check)
{
    const pmt_code_entry_t *entry = &table->entries[pmt_code_table_place(code) & (table->size - 1)];
    if (PMT_LIKELY(atomic_load_explicit(&entry->code, memory_order_acquire) == code)) {
        uint64_t check_id = atomic_load_explicit(&entry->check_id, memory_order_acquire);
        return check_id >> 32 == check ? (uint32_t)check_id : 0;
    }
    return pmt_code_table_find_slow_sigsafe(table, code, check);
}

// The same for a code object that stands where it belongs, else 0: for the way of each event, which calls nothing.
static inline uint32_t
pmt_code_table_peek(const pmt_code_table_t *table, uint64_t code, uint32_t check)
{
    const pmt_code_entry_t *entry = &table->entries[pmt_code_table_place(code) & (table->size - 1)];
    uint64_t check_id = atomic_load_explicit(&entry->code, memory_order_acquire) == code ? atomic_load_explicit(&entry->check_id, memory_order_acquire) : 0;
    return check_id >> 32 == check ? (uint32_t)check_id : 0;
}

// What was decided about calls is to be decided anew.
void pmt_code_table_forget_choices(pmt_code_table_t *table);
uint32_t pmt_code_table_new_id_sigsafe(pmt_code_table_t *table);
// Makes `id`, with flags or without, known, after its definition has been written to a ring. One that is known gets other flags.
void pmt_code_table_add_sigsafe(pmt_code_table_t *table, uint64_t code, uint32_t check, uint32_t id);
