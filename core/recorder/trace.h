// What the parts of the recorder share: the trace being written and the traced processes.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "capture/interp.h"
#include "format/records.h"
#include "format/writer.h"
#include "prim/prim.h"
#include "recorder/event_clock.h"
#include "recorder/events.h"
#include "recorder/intern.h"
#include "recorder/modules.h"
#include "recorder/snapshot.h"
#include "recorder/summary.h"

// The consumer's end of one ring: the thread's present stack and what its next fault is written against.
typedef struct pmt_consumer_s {
    int64_t thread;  // number in the trace, -1: none yet
    uint32_t tid;
    uint32_t depth;
    uint32_t numbered;  // the outermost frames whose node numbers hold
    uint64_t last_time, last_address;
    uint32_t last_node, last_site;  // 0: none that may be referred to
    uint32_t period;
    uint32_t fell_to; // RSS in pages as read at the next fault, which found it lower than the one before; 0: it did not
    uint64_t caller;  // instruction that the next fault without Python belongs to; 0: unknown
    bool named;  // by the program; the kernel's name is not asked for
    uint64_t *frames;  // PMT_STACK_MAX: code id << 32 | offset
    uint32_t *nodes;   // PMT_STACK_MAX
    uint64_t lane_tail;        // words read of the slot's lane
    uint32_t member;           // the slot's number in the summary + 1; 0: it is not in it
    pmt_event_state_t events;  // of the thread
} pmt_consumer_t;

typedef struct pmt_event_fd_s {
    int fd;
    unsigned source;  // as in pmt_events_t
    uint32_t generation;
} pmt_event_fd_t;

// The name of a thread that the process had before it was traced and that has not been seen yet.
typedef struct pmt_expected_s {
    uint32_t tid, size;
    struct pmt_expected_s *next;
    char name[];
} pmt_expected_t;

enum { PMT_NOT_OPENED = -2 };

// A process of the tree, traced or only known: its memory is sampled all the same.
typedef struct pmt_process_s {
    uint32_t number;  // in the trace
    uint32_t pid, parent;
    pmt_shared_t *shared;  // NULL: not traced, or ended and drained
    pmt_consumer_t *consumers;  // PMT_RINGS, of which `slots` are in use; behind them their frames and nodes
    unsigned slots;
    pmt_lanes_t *lanes;  // NULL: no hooks
    pmt_open_t *open;    // the threads' open frames: address space that fills as stacks get deep
    pmt_event_clock_t clock;
    uint64_t events_taken;  // calls, returns and lines
    uint64_t events_unplaced;  // that came but found no place in the file: lost like those that did not come
    int watch_fd, status_fd;  // -1: none
    bool ended;  // what is in the rings is final
    uint64_t ended_at;  // absolute ns
    int told_end;       // its wait status as the kernel told it at once; -1: it has not
    uint64_t image_at;   // absolute ns: its last exec as the kernel told it; 0: it has not
    uint64_t next_look;  // absolute ns, at its memory: soon after an exec, since it may not live for long; 0: the sampler's will do
    bool replaced;  // by an exec in place: the process goes on under a later number
    bool leaving;  // it said that it is about to tear down
    pmt_event_fd_t *events;
    uint32_t event_count, event_capacity;
    bool releases_given_up;  // by the program: they cost too much
    pmt_modules_t modules;
    uint64_t argv_hash;  // of the arguments as written last; 0: not yet
    pmt_expected_t *expected;
    pmt_snapshots_t *snapshots;  // NULL: none can be taken
    int statm_fd;        // PMT_NOT_OPENED until it is needed
    uint64_t many_at;    // absolute ns, of the last fault whose signal stands for many; 0: there was none
    uint64_t sampled_at;
    int64_t highest_kib;  // of all samples
    int64_t sample[4];  // anon, file, shmem, swap: KiB
    int64_t peak_kib;  // VmHWM, and the samples between which it rose the last time
    uint64_t peak_since, peak_at;
    uint64_t risen_since, risen_pages;  // when the last snapshot began; by what rose since then, as far as told
    struct pmt_process_s *next;
} pmt_process_t;

typedef struct pmt_trace_s {
    pmt_writer_t *writer;
    uint64_t t0;
    pmt_process_t *processes;  // that have not been closed, the newest first
    pmt_process_t *ghosts;     // closed, but not waited for by their parents: the pids are still theirs
    uint32_t process_count, thread_count, module_count;
    int kin_fd;     // tells of forks, execs and ends at once; -1: refused
    bool kin_told;  // it has told anything
    bool kin_gaps;  // there may be children that it has not told of
    bool root_end_known;  // the launcher has told how the root process ended:
    uint8_t root_end;     // pmt_end_e
    uint32_t root_pid, root_value;
    pmt_nodes_t *nodes;
    pmt_sites_t *sites;
    pmt_event_columns_t *columns;
    pmt_summary_t *summary;  // NULL: none is made
    uint64_t last_site_address;
    int64_t batch;  // the thread of the last BATCH, -1: none
    uint64_t watermark;
    pmt_cgroup_t cgroup;
    uint64_t cgroup_at;
    int64_t cgroup_kib;
} pmt_trace_t;

// Time in the trace of an absolute one.
static inline uint64_t
pmt_trace_time(const pmt_trace_t *trace, uint64_t absolute)
{
    return absolute > trace->t0 ? absolute - trace->t0 : 0;
}

// process.c
// The process with this pid that has not ended, or NULL.
pmt_process_t *pmt_process_find(const pmt_trace_t *trace, uint32_t pid);
// A process that is not traced, from now on. NULL: no memory.
pmt_process_t *pmt_process_new(pmt_trace_t *trace, uint32_t pid, uint32_t parent, uint64_t time);
// A process has greeted: it is new, known and not traced so far, or has replaced itself by an exec. NULL: no memory, or the descriptor is not such memory.
pmt_process_t *pmt_process_greeted(pmt_trace_t *trace, const pmt_hello_t *hello, int shared_fd);
// The consumer of a slot, which comes into use.
pmt_consumer_t *pmt_process_consumer(pmt_process_t *process, unsigned slot);
// Writes what is known at the end of a process whose rings have been drained, and makes it a ghost.
void pmt_process_close(pmt_trace_t *trace, pmt_process_t *process);
// Tells threads that wait for room that there is some.
void pmt_process_progress(pmt_process_t *process);
void pmt_process_add_event(pmt_process_t *process, int fd, const pmt_events_t *of);
// Disables and closes the source's events of other generations than this one; NULL: all.
void pmt_process_close_events(pmt_process_t *process, const pmt_events_t *but);
// The program no longer follows a system call, since that cost too much: its events are closed, and the trace says so.
void pmt_process_give_up(pmt_trace_t *trace, pmt_process_t *process, const pmt_events_t *events);
// Forgets the ghosts whose parents have waited for them.
void pmt_process_lay_ghosts(pmt_trace_t *trace);
// Writes its counters as they stand.
void pmt_process_counters(pmt_trace_t *trace, const pmt_process_t *process);
void pmt_process_name_threads(pmt_trace_t *trace, pmt_process_t *process);
void pmt_process_expect_thread(pmt_process_t *process, uint32_t tid, const char *name, uint32_t size);
// Its name if it was expected, which it then is no more: to be freed. Else NULL.
pmt_expected_t *pmt_process_take_expected(pmt_process_t *process, uint32_t tid);

// drain.c. Writes everything published in the rings of all processes; true if there was anything.
bool pmt_drain(pmt_trace_t *trace);

// lanes.c
// A process has switched hooks on. -EINVAL: it has lanes already, or the descriptor is not such memory.
int pmt_lanes_attach(pmt_trace_t *trace, pmt_process_t *process, int fd);
void pmt_lanes_detach(pmt_process_t *process);
// A lane is more than half full: this is no time to sleep.
bool pmt_lanes_urgent(const pmt_process_t *process);

// requests.c. A process sent its PMT_MESSAGE_MAPS; true: the descriptors are taken over.
bool pmt_request_maps(pmt_trace_t *trace, const void *message, size_t size, const int *fds, unsigned fd_count);
// A PMT_MESSAGE_SNAPSHOT; `between` is called between the pieces. What is to be answered: 0 or an errno.
int pmt_request_snapshot(pmt_trace_t *trace, const void *message, size_t size, void (*between)(void *context), void *context);
// A process is about to end, or stops its trace.
void pmt_request_last_snapshot(pmt_trace_t *trace, pmt_process_t *process, const pmt_bye_t *bye, void (*between)(void *context), void *context);

// children.c. Adds the children of the known processes to the trace. `thorough`: those of threads other than the main one too.
void pmt_children_look(pmt_trace_t *trace, bool thorough);
// Takes what the kernel has told of children since, where it does. How many of the news were about other processes than ours.
uint32_t pmt_children_hear(pmt_trace_t *trace);
// Looks at what runs since a short time. The absolute time at which that is due again; UINT64_MAX: not at all.
uint64_t pmt_children_look_again(pmt_trace_t *trace);
// Writes a process's arguments where they are not what was written last: an exec changes them.
void pmt_children_describe(pmt_trace_t *trace, pmt_process_t *process);

// sampler.c. What the kernel says of a process's memory, and when: where the recorder loses its CPU meanwhile that would be of later, and it is read once more. 0 or -errno.
int pmt_sample_read(const pmt_process_t *process, pmt_process_status_t *out, uint64_t *absolute);
// One look at a process's memory; at that of each process and at the cgroup.
void pmt_sample_process(pmt_trace_t *trace, pmt_process_t *process);
void pmt_sample(pmt_trace_t *trace);
// Between two signals of many faults RSS may rise by all of them and fall again: while there are such, it is read more often, and a new highest is sampled. The absolute time
// at which that is due again; UINT64_MAX: not before there are.
uint64_t pmt_sample_peaks(pmt_trace_t *trace);
