// What the tests of events share: a lane filled by hand, and the events of the file spelled out. The file is decoded here, from docs/format.md alone; that the events nest and
// that their times never fall is checked on the way.
#pragma once

#include "drain_support.h"
#include "format/lanes.h"

enum { LOG_EVENTS = 20000, LOG_FAULTS = 20000 };

typedef struct log_s {
    char text[1 << 20];           // "call 1, line 5, return, fault 100, note 6 3", of all threads in file order
    uint64_t times[LOG_EVENTS];   // of the events, units
    uint32_t threads[LOG_EVENTS];
    unsigned count;               // events
    unsigned by_thread[4];        // events
    unsigned records;             // EVENTS
    unsigned faults;              // that tell RSS; of each
    uint64_t fault_rss[LOG_FAULTS];
    unsigned fault_after[LOG_FAULTS];  // events of its thread
    char last_code[256];          // file:name of the last CODE
    unsigned open[4];             // frames open at the end, by thread
    unsigned deepest;
} log_t;

extern log_t logged;

#define LANE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_lanes, tear_down_lanes)

extern pmt_lanes_t *lanes;  // the program's own mapping; its clock is CLOCK_MONOTONIC, so that one tick is 1 ns

int set_up_lanes(void **state);
int tear_down_lanes(void **state);

// A word; `ticks` after the one before.
void say(unsigned slot, unsigned kind, uint32_t payload);
void say_after(unsigned slot, uint32_t ticks, unsigned kind, uint32_t payload);
void say_raw(unsigned slot, uint64_t word);
// A record of several words.
void say_more(unsigned slot, unsigned what, const uint64_t *fields, unsigned count);
// What the ring gets at this moment of the lane.
void put_placed_fault(unsigned slot, uint64_t rss);
uint64_t lane_head(unsigned slot);
// Drains: lanes must be empty then.
void drain_lanes(void);
// SUMMARY records go here, if anywhere.
extern void (*on_summary)(const uint8_t *at, const uint8_t *end);
// Reads the file.
void read_log(void);
#define ASSERT_LOG(text_) (drain_lanes(), read_log(), assert_string_equal(logged.text, text_))
