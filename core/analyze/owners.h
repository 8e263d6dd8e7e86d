// Who holds the memory: a second pass over a trace, with its finished profile, gives every resident page to an owner (a stack, a thread, a native place) and says
// what each held at chosen moments. Faults, moves and residency snapshots are replayed in the order of time; a *life* is some pages of one owner from a birth to
// a death, and what is resident at T are the lives with birth <= T < death. Memory is bounded by the pages resident at once and by owners times moments.
#pragma once

#include "analyze/profile.h"

// What holds memory, in the order of the closing line. The last three are parts of "owned".
enum pmt_held_e {
    PMT_HELD_BEFORE,   // there when tracing began
    PMT_HELD_FILE,     // found, without a stack: of a file,
    PMT_HELD_SHARED,   // of shared memory,
    PMT_HELD_KERNEL,   // anonymous
    PMT_HELD_TRACER,
    PMT_HELD_EXACT,    // owned: the fault was at this page
    PMT_HELD_FILL,     // found beside pages of its owner
    PMT_HELD_BY_TIME,  // came between two faults of its owner; where it lies is not known
    PMT_HELD_COUNT,
};

typedef struct pmt_held_s {
    bool has_rss;
    int64_t rss;                      // bytes: the OS's number as last read up to the moment, with what faults told of since; before the first reading that one
    int64_t pages[PMT_HELD_COUNT];
} pmt_held_t;

typedef struct pmt_cgroup_s {
    int64_t usage_kib, limit_kib;  // -1: not read, no limit
} pmt_cgroup_t;

typedef struct pmt_owner_s {
    uint32_t node;    // in profile->nodes; UINT32_MAX: no stack, `place` is then a pmt_held_e and `thread` a process
    uint32_t thread;
    uint32_t place;   // in profile->places, of a stack without Python frames; else UINT32_MAX
    uint32_t mapped;  // 1: pages of files and shared memory, which a fault without a rise does not copy
    uint64_t credit;       // pages, see credit.h
    uint32_t credit_last;  // the last in the list, number + 1; 0: none
    uint32_t reach;   // the largest rise of a fault that stood for several
    uint64_t touched, faults;  // pages; in the whole trace
} pmt_owner_t;
enum { PMT_OWNER_KEY = 16 };

typedef struct pmt_last_fault_s {
    uint64_t page, time;  // time 0: there was none
    bool quiet;           // others without a rise came after it: RSS may lag, and show theirs with the next
} pmt_last_fault_t;

// What was last looked up: mostly the next is the same.
typedef struct pmt_lately_s {
    uint32_t moment, change;
} pmt_lately_t;

typedef struct pmt_owners_s {
    const uint64_t *times;  // ns, ascending; borrowed
    uint32_t time_count;
    uint32_t process_count;
    uint32_t page_size;
    pmt_table_t owners;     // pmt_owner_t
    pmt_table_t changes;    // of an owner's pages at a moment
    pmt_held_t *held;       // [time * process_count + process]
    pmt_cgroup_t *cgroup;   // of each moment, as last read
    pmt_last_fault_t *last_faults;  // of each thread, of those that raised RSS
    bool *has_snapshots;    // of each process: what was found there is known, not only what came
    pmt_lately_t births, deaths, touches;
} pmt_owners_t;

enum { PMT_MOMENTS_MAX = 4096 };

// What an owner with a stack held at a moment more than at the one before (fewer: negative), and what it touched since then: pages.
typedef struct pmt_step_s {
    uint32_t owner, moment;
    int64_t resident;
    uint64_t touched;
} pmt_step_t;

// 0, -errno, -EBADMSG with one line in `error`, -EINVAL: too many moments. Needs fini, whatever came of it.
int pmt_owners_read(pmt_owners_t *owners, pmt_profile_t *profile, const char *path, const uint64_t *times, uint32_t count, char error[PMT_ERROR_MAX]);
void pmt_owners_fini(pmt_owners_t *owners);

static inline pmt_held_t *
pmt_owners_held(const pmt_owners_t *owners, uint32_t moment, uint32_t process)
{
    return &owners->held[(size_t)moment * owners->process_count + process];
}

// Puts what was resident at a moment in the place of what was touched, into the weights that pmt_tables_build works on (stacks, threads, native places; fault
// counts stay). pid 0: of all processes.
void pmt_owners_fill(const pmt_owners_t *owners, pmt_profile_t *profile, uint32_t moment, uint64_t pid);

// All steps in the order of moments and owners, to be freed; NULL: no memory. pid 0: of all processes.
pmt_step_t *pmt_owners_steps(const pmt_owners_t *owners, const pmt_profile_t *profile, uint64_t pid, uint32_t *count);
// Adds to `pages`, which has one for each owner, what it held at a moment.
void pmt_owners_pages(const pmt_owners_t *owners, uint32_t moment, int64_t *pages);
