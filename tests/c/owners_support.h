// What the tests of ownership share: a trace of one process with two stacks that is written record by record, and what the analysis makes of it.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analyze/owners.h"
#include "analyze/tables.h"
#include "format/writer.h"

enum { ROOT = 1, FIRST = 2, SECOND = 3, BASE = 1024 };  // nodes; a page at the beginning of a chunk

extern pmt_writer_t *writer;
extern pmt_profile_t profile;
extern pmt_owners_t owners;
extern uint64_t last_time, last_page;  // of the last fault: a new batch begins with none

#define OWNERS_TEST(name) cmocka_unit_test_setup_teardown(name, new_trace, free_trace)

int new_trace(void **state);
int free_trace(void **state);
void put_flagged(uint32_t node, uint64_t time, uint64_t page, uint64_t rise, unsigned flags);
void put_signal(uint32_t node, uint64_t time, uint64_t page, uint64_t rise, uint32_t faults);
void put_fault(uint32_t node, uint64_t time, uint64_t page, uint64_t rise);
void put_snapshot(uint64_t time, unsigned kind, uint64_t since);
void put_resident(uint64_t time, uint64_t first, const uint64_t (*runs)[2], size_t count);
void end_snapshot_with(uint64_t time, uint64_t pages);
void end_snapshot(uint64_t time);
void look(uint64_t time);
void done(void);
uint64_t pages_of(uint32_t node);
void assert_held(uint64_t time, uint64_t first, uint64_t second, int64_t exact, int64_t fill, int64_t by_time);
void assert_kind(uint64_t time, enum pmt_held_e kind, int64_t pages);

#define RESIDENT(time, first, ...) put_resident(time, first, (const uint64_t[][2]){__VA_ARGS__}, sizeof((const uint64_t[][2]){__VA_ARGS__}) / sizeof(uint64_t[2]))
