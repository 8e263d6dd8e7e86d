// The memory that a traced process shares with its recorder, and the raw records in it. Not a file format: both sides come from one build, PMT_SHARED_VERSION
// guards against a mix.
//
//   pmt_shared_t            one page: the process's counters and the doorbell
//   pmt_ring_t [RINGS]      a ring's indices, one per thread slot
//   words      [RINGS][RING_WORDS]
//
// A ring has one producer (the thread that owns the slot; its signal handler) and one consumer (the recorder). `head` and `tail` count words since the
// start and never wrap; head - tail <= PMT_RING_WORDS always. A record never wraps: PMT_RAW_SKIP fills the end of the ring. Records become visible by the
// release store of `head`, so whatever was published survives the death of the process.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

enum {
    PMT_SHARED_VERSION = 4,
    PMT_RINGS = 1024,        // threads alive at once that can be recorded
    PMT_RING_WORDS = 4096,   // 32 KiB a thread
    PMT_RAW_WORDS_MAX = 512, // the longest record
    PMT_THREAD_NAME_MAX = 240, // bytes, in a message
    PMT_SNAPSHOT_NAME_MAX = 64,
    PMT_SHARED_PAGE = 4096,
};

// A record's first word: type, flags, length in words (this one included), and an argument.
typedef struct pmt_raw_s {
    uint8_t type;    // pmt_raw_e
    uint8_t flags;
    uint16_t words;
    uint32_t arg;
} pmt_raw_t;
_Static_assert(sizeof(pmt_raw_t) == 8, "one word");

enum pmt_raw_e {
    PMT_RAW_SKIP = 1,    // filler up to the end of the ring
    PMT_RAW_THREAD,      // arg: tid; [time]: the slot has a new owner, its stack is empty. While hooks are on three words more: the head of the slot's
                         // lane (lanes.h); events that its last owner lost at its end, and the ticks of the last
    PMT_RAW_FRAMES,      // arg: frames kept, counted from the outermost; then one word a frame pushed on them: code id << 32 | offset
    PMT_RAW_FAULT,       // arg: rise in pages; flags: pmt_raw_fault_e; [time, address, instruction]; the stack is the thread's present one
    PMT_RAW_CODE,        // arg: code id; [first line, file bytes << 32 | name bytes]; the texts, padded to words
    PMT_RAW_CODE_LINES,  // arg: code id; [bytes]; a piece of the packed line table (lines.h), padded
    PMT_RAW_MARK,        // arg: pmt_mark_e; [time, RSS in pages]
    PMT_RAW_PERIOD,      // arg: period; [time]
    PMT_RAW_LOST,        // arg: faults lost; [time]
    PMT_RAW_THREAD_NAME, // arg: bytes; flags 1: only the kernel's; the name, padded
    PMT_RAW_NATIVE,      // the words on top of the native stack, for the next FAULT: return addresses are among them
    PMT_RAW_MOVE,        // arg: 0; [time, old address, new address, bytes]: mremap moved them
    PMT_RAW_RELEASE,     // arg: pages by which RSS fell; flags: pmt_release_e; [time, address, bytes]; the stack is the thread's present one
    PMT_RAW_CODE_MODULE, // arg: code id; [bytes]; the name of the module that it runs in, padded
    PMT_RAW_FELL,        // arg: RSS in pages as read at the next FAULT, lower than at the one before
};

// The low bits of a fault's flags are the binary logarithm of its period. TICK: no fault, but a tick of the timer engine; its address is 0.
// PLACED: two words more, the head of the thread's lane at that moment (lanes.h) and RSS in pages; while hooks are on.
enum pmt_raw_fault_e { PMT_RAW_FAULT_PERIOD = 0x0f, PMT_RAW_FAULT_BY_TIME = 0x10, PMT_RAW_FAULT_ASYNC = 0x20, PMT_RAW_FAULT_TICK = 0x40, PMT_RAW_FAULT_PLACED = 0x80 };

typedef struct pmt_shared_s {
    uint32_t version;                // PMT_SHARED_VERSION
    uint32_t pid;
    _Atomic uint32_t doorbell;       // rung (incremented, woken) by producers; the recorder sleeps on it
    _Atomic uint32_t asleep;         // 1 while the recorder sleeps
    _Atomic uint32_t progress;       // incremented and woken by the recorder when it has drained something
    _Atomic uint32_t rings_used;     // slots [0, rings_used) have been used
    _Atomic uint64_t stalled_at;     // progress + 1 at which a wait gave up, 0: none did; while it is the present one no ring is waited for
    // counters, shown in the trace under these names
    _Atomic uint64_t tracer_pages;   // pages that the tracer itself brought into the process
    _Atomic uint64_t lost;           // signalled faults not recorded
    _Atomic uint64_t waits;          // times a full ring was waited for
    _Atomic uint64_t wait_ns;
    _Atomic uint64_t nested;         // faults of the handler's own code
    _Atomic uint64_t unowned_pages;  // rise at the end that no fault explains
    _Atomic uint64_t fault_cost_ns;  // of one signalled fault or tick on average, delivery included as far as it was measured
    _Atomic uint64_t ticks;          // of the timer engine, with and without a rise
    _Atomic uint64_t rss_peak_pages; // the highest RSS read at a fault
    _Atomic uint64_t rss_peak_ns;    // when, absolute
    _Atomic uint64_t moves, releases;  // records of each that were written
    _Atomic uint64_t lost_slotless;  // of the lost, those of threads for which no slot was left
    // when a residency snapshot is due
    _Atomic uint64_t fell_at;        // absolute ns at which RSS was seen to have fallen well below rss_high; 0: it has not. The recorder clears it with a snapshot
    _Atomic uint64_t rss_high;       // pages: the highest RSS since the last snapshot, set back by the recorder
} pmt_shared_t;
_Static_assert(sizeof(pmt_shared_t) <= PMT_SHARED_PAGE, "one page");

typedef struct pmt_ring_s {
    _Alignas(64) _Atomic uint64_t head;  // producer: words written
    _Atomic uint32_t writing;            // producer: 1 while an event is being recorded (its time may be older than the present)
    _Atomic uint32_t owner;              // tid of the thread that owns the slot; 0: never owned
    _Alignas(64) _Atomic uint64_t tail;  // consumer: words read
} pmt_ring_t;
_Static_assert(sizeof(pmt_ring_t) == 128, "two cache lines: no false sharing");

#define PMT_SHARED_RINGS_AT PMT_SHARED_PAGE
#define PMT_SHARED_WORDS_AT (PMT_SHARED_RINGS_AT + PMT_RINGS * sizeof(pmt_ring_t))
#define PMT_SHARED_SIZE (PMT_SHARED_WORDS_AT + (uint64_t)PMT_RINGS * PMT_RING_WORDS * sizeof(uint64_t))

static inline pmt_ring_t *
pmt_shared_ring(pmt_shared_t *shared, unsigned slot)
{
    return (pmt_ring_t *)((char *)shared + PMT_SHARED_RINGS_AT) + slot;
}

static inline uint64_t *
pmt_shared_words(pmt_shared_t *shared, unsigned slot)
{
    return (uint64_t *)((char *)shared + PMT_SHARED_WORDS_AT) + (uint64_t)slot * PMT_RING_WORDS;
}

// ---- messages over the socket; the first byte is the kind ----
enum pmt_message_e {
    PMT_MESSAGE_HELLO = 'H',   // program: pmt_hello_t with the shared memory's descriptor
    PMT_MESSAGE_META = 'K',    // program or launcher: key NUL value
    PMT_MESSAGE_EVENTS = 'E',  // program: pmt_events_t with perf descriptors; without: those of the same source and other generations are to be closed
    PMT_MESSAGE_LANES = 'L',   // program: pmt_lanes_message_t with the descriptor of its lanes (lanes.h), when hooks are switched on for the first time
    PMT_MESSAGE_READY = 'R',   // program: all is said; answered by one byte
    PMT_MESSAGE_BYE = 'B',     // program: pmt_bye_t: it is about to tear down; answered by one byte
    PMT_MESSAGE_FLUSH = 'W',   // program: it wants to read what it has done so far. Answered, when the file holds that, by this byte and the file's name
    PMT_MESSAGE_MAPS = 'P',    // program: pmt_maps_t with descriptors of its own pagemap, maps and smaps_rollup: those that it could open, before user code ran
    PMT_MESSAGE_SNAPSHOT = 'S',// program, or another process of its user: pmt_snapshot_t: a residency snapshot is wanted; answered, when it has been taken, by a byte: 0 or an errno
    PMT_MESSAGE_NAME = 'N',    // program: pmt_name_message_t: a thread that it had before it was traced
    PMT_MESSAGE_FAREWELL = 'F',// recorder: pmt_farewell_t: it has written the file and ends; for a program that stopped its trace and goes on
    PMT_MESSAGE_END = 'X',     // launcher: pmt_end_message_t: how the program ended
    PMT_MESSAGE_GOING_ON = 'G',// recorder to launcher: pmt_going_on_t: the program has ended, but other processes of its tree have not
};

typedef struct pmt_hello_s {
    char kind;
    uint32_t version;  // PMT_SHARED_VERSION
    uint32_t pid, parent;
    uint64_t time;     // absolute, of the mark "start"
} pmt_hello_t;

typedef struct pmt_events_s {
    char kind;
    uint8_t source;  // of the signals: 0 page faults, else a pmt_release_e of format/wire.h, the system call
    uint32_t pid;
    uint32_t generation;
} pmt_events_t;

typedef struct pmt_lanes_message_s {
    char kind;
    uint32_t pid;
} pmt_lanes_message_t;

// Which descriptors come with it, in this order.
enum pmt_maps_e { PMT_MAPS_PAGEMAP = 1, PMT_MAPS_MAPS = 2, PMT_MAPS_ROLLUP = 4 };
enum { PMT_MAPS_OWN = 4 };  // mappings of the tracer's without a name
typedef struct pmt_maps_s {
    char kind;
    uint8_t has;  // pmt_maps_e
    uint32_t pid;
    int32_t error;  // -errno of what is missing; 0: pagemap and maps are there
    struct { uint64_t start, end; } own[PMT_MAPS_OWN];  // end 0: none
} pmt_maps_t;

// What the process's allocators say of themselves, in bytes; PMT_FIGURE_UNKNOWN: they do not. Names: docs/format.md section 8.
enum pmt_figure_e {
    PMT_FIGURE_PYMALLOC_ARENAS,
    PMT_FIGURE_PYMALLOC_USED,
    PMT_FIGURE_MALLOC_HELD,
    PMT_FIGURE_MALLOC_MMAPPED,
    PMT_FIGURE_MALLOC_USED,
    PMT_FIGURE_MALLOC_FREE,
    PMT_FIGURE_MALLOC_TRIMMABLE,
    PMT_FIGURES,
};
#define PMT_FIGURE_UNKNOWN UINT64_MAX

typedef struct pmt_snapshot_s {
    char kind;
    uint32_t pid;
    char name[PMT_SNAPSHOT_NAME_MAX];  // ends with NUL
    uint64_t figures[PMT_FIGURES];
} pmt_snapshot_t;

typedef struct pmt_bye_s {
    char kind;
    uint8_t living;  // 1: the process goes on. If it is the trace's first, the trace is over
    uint32_t pid;
    uint64_t figures[PMT_FIGURES];
} pmt_bye_t;

typedef struct pmt_going_on_s {
    char kind;
    uint32_t processes;
} pmt_going_on_t;

typedef struct pmt_name_message_s {
    char kind;
    uint32_t pid, tid;
    uint32_t size;
    char name[PMT_THREAD_NAME_MAX];
} pmt_name_message_t;

typedef struct pmt_farewell_s {
    char kind;
    uint32_t pid;   // the recorder's
    int32_t error;  // errno; 0: the file is complete
} pmt_farewell_t;

typedef struct pmt_end_message_s {
    char kind;
    uint8_t end;  // pmt_end_e
    uint32_t value;
} pmt_end_message_t;
