// The constants of the trace file, by the names of docs/format.md (normative). Shared by writer, reader and fuzzer.
#pragma once

#include <stdint.h>

#define PMT_WIRE_MAGIC "\x89PMT\r\n\x1a\n"
#define PMT_WIRE_BLOCK_MAGIC "PBLK"

enum {
    PMT_WIRE_MAJOR = 1,
    PMT_WIRE_MINOR = 0,
    PMT_WIRE_BYTE_ORDER = 0x01020304,
    PMT_WIRE_HEADER = 64,         // bytes
    PMT_WIRE_BLOCK_HEADER = 20,   // bytes
    PMT_WIRE_RAW_MAX = 1 << 20,   // bytes of a block after decompression
    PMT_WIRE_STORED_MAX = 2 << 20,
};

enum pmt_wire_type_e {
    PMT_WIRE_FILLER = 0x00,
    PMT_WIRE_ROUND = 0x01,
    PMT_WIRE_BATCH = 0x02,
    PMT_WIRE_NODE = 0x03,
    PMT_WIRE_NODE_RESET = 0x04,
    PMT_WIRE_SITE = 0x05,
    PMT_WIRE_SAMPLE = 0x06,
    PMT_WIRE_CGROUP = 0x07,
    PMT_WIRE_WEIGHT = 0x08,
    PMT_WIRE_FAULT = 0x20,  // .. 0x3f: the flags below
    PMT_WIRE_DEFINITIONS = 0x40,  // from here on a record carries its length
    PMT_WIRE_META = 0x40,
    PMT_WIRE_PROCESS = 0x41,
    PMT_WIRE_PROCESS_END = 0x42,
    PMT_WIRE_THREAD = 0x43,
    PMT_WIRE_THREAD_NAME = 0x44,
    PMT_WIRE_CODE = 0x45,
    PMT_WIRE_CODE_LINES = 0x46,
    PMT_WIRE_MODULE = 0x47,
    PMT_WIRE_MARK = 0x48,
    PMT_WIRE_PERIOD = 0x49,
    PMT_WIRE_LOST = 0x4a,
    PMT_WIRE_COUNTER = 0x4b,
    PMT_WIRE_TRAILER = 0x4c,
    PMT_WIRE_LEFT_OUT = 0x4d,
    PMT_WIRE_EVENTS = 0x4e,
    PMT_WIRE_NOTE = 0x4f,
    PMT_WIRE_SUMMARY = 0x50,
    PMT_WIRE_SNAPSHOT = 0x51,
    PMT_WIRE_REGION = 0x52,
    PMT_WIRE_RESIDENT = 0x53,
    PMT_WIRE_SNAPSHOT_END = 0x54,
    PMT_WIRE_MOVE = 0x55,
    PMT_WIRE_RELEASE = 0x56,
    PMT_WIRE_ALLOCATOR = 0x57,
    PMT_WIRE_CODE_MODULE = 0x58,
    PMT_WIRE_LAST = PMT_WIRE_CODE_MODULE,
};

enum pmt_wire_fault_e {
    PMT_FAULT_ONE = 1,        // the rise is one page
    PMT_FAULT_SAME_NODE = 2,
    PMT_FAULT_SAME_SITE = 4,
    PMT_FAULT_BY_TIME = 8,
    PMT_FAULT_MORE = 16,      // a byte of further flags follows
};
enum pmt_wire_fault_more_e { PMT_FAULT_ASYNC = 1, PMT_FAULT_CALLER = 2, PMT_FAULT_TICK = 4, PMT_FAULT_RSS = 8, PMT_FAULT_FELL = 16 };

// Kinds of events in an EVENTS record.
enum pmt_wire_event_e {
    PMT_WIRE_CALL = 1,
    PMT_WIRE_RETURN = 2,
    PMT_WIRE_YIELD = 3,
    PMT_WIRE_RESUME = 4,
    PMT_WIRE_THROW = 5,
    PMT_WIRE_UNWIND = 6,
    PMT_WIRE_C_CALL = 7,
    PMT_WIRE_C_RETURN = 8,
    PMT_WIRE_C_RAISE = 9,
    PMT_WIRE_LINE = 10,
    PMT_WIRE_RSS = 11,
    PMT_WIRE_OPEN = 12,
    PMT_WIRE_DROP = 13,
};
enum { PMT_WIRE_EVENTS_MAX = 8192, PMT_WIRE_EVENT_NS = 8 };  // events in a record; the unit of their times

enum pmt_end_e { PMT_END_EXIT = 0, PMT_END_SIGNAL = 1, PMT_END_UNKNOWN = 2, PMT_END_EXEC = 3 };
// Why a residency snapshot was taken.
enum pmt_snapshot_e { PMT_SNAPSHOT_START = 1, PMT_SNAPSHOT_FELL = 2, PMT_SNAPSHOT_ASKED = 3, PMT_SNAPSHOT_AT_END = 4 };
enum pmt_region_e {
    PMT_REGION_ANON = 0,
    PMT_REGION_HEAP = 1,
    PMT_REGION_STACK = 2,
    PMT_REGION_FILE = 3,
    PMT_REGION_SHARED = 4,
    PMT_REGION_TRACER = 5,
};
// A run in a RESIDENT record is its pages << PMT_RESIDENT_BITS | one of these.
enum pmt_resident_e {
    PMT_RESIDENT_NONE = 0,
    PMT_RESIDENT_ANON = 1,
    PMT_RESIDENT_HUGE = 2,
    PMT_RESIDENT_FILE = 3,
    PMT_RESIDENT_SWAP = 4,
};
enum { PMT_RESIDENT_BITS = 3, PMT_WIRE_RUNS_MAX = 32 << 10 };  // the latter: bytes of the runs in a record
enum { PMT_WIRE_ADDRESS_BITS = 52 };  // of a page's number
enum pmt_release_e { PMT_RELEASE_MUNMAP = 1, PMT_RELEASE_MADVISE = 2, PMT_RELEASE_BRK = 3, PMT_RELEASE_MREMAP = 4 };
enum pmt_mark_e { PMT_MARK_START = 1, PMT_MARK_END = 2 };

// Code ids with a meaning of their own.
#define PMT_CODE_ROOT 0u            // a process root; the offset is the process's number
#define PMT_CODE_ELIDED 0xffffffffu // frames left out of a deep stack; the offset is their number
