// The aggregates over events by name: a function has a code object in each process, and a new one whenever its `def` runs in fresh code; reports show it once.
#pragma once

#include "analyze/calls.h"
#include "analyze/tables.h"

typedef struct pmt_function_s {
    pmt_frame_name_t key;  // line 0
    pmt_calls_row_t sum;   // largest: the largest of them
} pmt_function_t;

// The name of a code object, added to `profile`'s texts if it is not known: empty.
int pmt_function_name(pmt_frame_name_t *name, pmt_profile_t *profile, uint32_t process, uint32_t code);  // 0 or -ENOMEM
// Fills `functions` (an empty table of pmt_function_t with the key's size) from the rows. 0 or -ENOMEM.
int pmt_functions_build(pmt_table_t *functions, const pmt_calls_t *calls, pmt_profile_t *profile);
