// Which code objects the recorder has heard of: address and fingerprint -> id. One for the process, used by all threads' handlers at once without a lock:
// a race defines a code object twice under two ids, which readers merge. A table that fills up starts over; ids go on and are never reused.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

enum { PMT_CODE_TABLE_SIZE = 1 << 13 };  // entries of 16 bytes: 128 KiB

typedef struct pmt_code_entry_s {
    _Atomic uint64_t code;      // 0: free
    _Atomic uint64_t check_id;  // check << 32 | id; 0: being defined
} pmt_code_entry_t;

typedef struct pmt_code_table_s {
    pmt_code_entry_t *entries;  // PMT_CODE_TABLE_SIZE, populated
    _Atomic uint32_t used;
    _Atomic uint32_t last_id;
} pmt_code_table_t;

// The id, or 0: unknown.
uint32_t pmt_code_table_find_sigsafe(const pmt_code_table_t *table, uint64_t code, uint32_t check);
uint32_t pmt_code_table_new_id_sigsafe(pmt_code_table_t *table);
// Makes `id` known, after its definition has been written to a ring.
void pmt_code_table_add_sigsafe(pmt_code_table_t *table, uint64_t code, uint32_t check, uint32_t id);
