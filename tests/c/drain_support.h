// What the tests of draining share: a recorder with a program of our making, raw records put into its rings by hand, and the trace that comes out, read back with its
// stacks spelled out.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "format/reader.h"
#include "format/wire.h"
#include "recorder/trace.h"

enum { TID = 4711, NOWHERE = 16 };

// ---- a recorder with a program of our making ----

extern pmt_trace_t trace;
extern int trace_file;
extern pmt_process_t *process;
extern pmt_shared_t *shared;  // the program's own mapping

int set_up(void **state);
int tear_down(void **state);
// Another process of the same recorder. *out: its mapping.
pmt_process_t *new_process(uint32_t pid, pmt_shared_t **out);

#define DRAIN_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

// ---- the producer, by hand ----

#define FIELDS(...) (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)
#define FRAME(code, offset) ((uint64_t)(code) << 32 | (offset))

uint64_t head_of(unsigned slot);
// A record with these words behind its first one.
void put(unsigned slot, unsigned type, unsigned flags, uint32_t arg, const uint64_t *fields, unsigned count);
// The same. `words`: the length it claims.
void put_claiming(unsigned slot, unsigned type, unsigned flags, uint32_t arg, const uint64_t *fields, unsigned count, unsigned words);
void put_thread(unsigned slot, uint32_t tid, uint64_t time);
void put_fault(unsigned slot, unsigned flags, uint32_t rise, uint64_t time, uint64_t address, uint64_t instruction);
// A fault that only its stack matters of.
void put_mere_fault(unsigned slot);
void put_text_record(unsigned slot, unsigned type, uint32_t arg, const uint64_t *fields, unsigned count, const char *text, size_t size);
// Drains the rings, which must take all that was put.
void drain(void);

// ---- the file read back, stacks spelled out ----

enum { FAULTS_MAX = 5000, STACK_KEPT = 8, NAMES = 4, MODULES = 128 };

typedef struct fault_s {
    uint32_t thread, process;
    uint64_t time, address, rise, weight, instruction, caller;  // caller 0: none
    uint32_t module;
    bool by_time, async, tick, fell;
    uint64_t fell_to;
    uint32_t depth;
    uint64_t frames[STACK_KEPT];  // the innermost, from the innermost outwards
    uint64_t stack_hash;          // of all
} fault_t;

typedef struct got_s {
    fault_t faults[FAULTS_MAX];
    unsigned fault_count;
    unsigned counts[256];                   // records by type
    pmt_record_t last[256];                 // the last of each type, texts as below
    char names[NAMES][64];                  // that threads were given
    char text[2][4096];                     // of the last CODE: file, name
    char module[256];                       // of the last CODE_MODULE
    size_t text_size[2];
    uint8_t lines[4096];                    // of all CODE_LINES
    size_t lines_size;
    char modules[MODULES][256];             // paths by number
} got_t;

extern got_t got;

uint64_t hash_frame(uint64_t hash, uint64_t frame);
// Fills `got`; fails if the reader refuses the trace.
void read_back(void);

#define ASSERT_STACK(fault, ...) assert_stack(&got.faults[fault], FIELDS(__VA_ARGS__))

// `frames`: the whole stack, from the innermost outwards.
void assert_stack(const fault_t *fault, const uint64_t *frames, unsigned depth);
