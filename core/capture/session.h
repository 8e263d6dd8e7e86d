// Tracing this process: start, stop and the state that the handlers of all its threads share. One session at a time, any number one after another; start and stop
// are called with the interpreter's lock held, the rest runs in signal handlers.
#pragma once

#include <stdbool.h>

#include "capture/code_table.h"
#include "format/lanes.h"
#include "capture/rss_clock.h"
#include "capture/thread.h"

enum { PMT_REASON_MAX = 640, PMT_ADDRESS_MAX = 80 };

typedef enum pmt_engine_e {
    PMT_ENGINE_NONE,
    PMT_ENGINE_FAULTS,  // fault.c
    PMT_ENGINE_TIMER,   // timer.c
    PMT_ENGINE_BEST,    // as an option: the best that the kernel allows
} pmt_engine_t;

typedef struct pmt_session_s {
    _Atomic bool active;  // handlers record
    pmt_engine_t engine;  // that runs; not PMT_ENGINE_BEST
    const pmt_interp_t *interp;
    pmt_shared_t *shared;
    pmt_threads_t threads;
    pmt_code_table_t codes;
    pmt_rss_clock_t rss;
    _Atomic uint32_t rss_now;  // pages, as anyone of this process read them last; 0: nobody has
    pmt_lanes_t *lanes;        // NULL: no hooks have been switched on in this session (lane.c)
    uint32_t pid;
    size_t page_size;
    bool left;  // over, and its memory waits for the last handler
    char address[PMT_ADDRESS_MAX];  // of the recorder's socket

    uint64_t c_library, c_library_end;  // addresses of its code
    _Atomic uint64_t signals;
    _Atomic uint64_t faults;        // of the fault engine: each signal stands for its period
    _Atomic uint64_t cost_ns;       // of all signals so far
    uint64_t delivery_ns;           // what a signal costs outside the handler, as far as it was measured
    uint64_t started;

    // the fault engine (fault.c)
    bool exact;                     // the period stays 1
    bool tested;                    // the self-test has passed, here or in the process that this one was forked from
    _Atomic uint32_t period;        // of the newest perf events
    _Atomic uint32_t changing;      // 1 while a handler renews the events
    uint32_t generation;            // of the newest; changed under `changing`
    _Atomic uint32_t found_pages;   // pages that a thread's reading found on top of its own, not yet claimed by the thread they belong to
    _Atomic uint64_t released_at;   // when a thread last saw RSS fall
    _Atomic bool forked;            // this process, or it is a fork child: a fault may replace a page and add none
    _Atomic uint64_t check_at;      // when the period is looked at next
} pmt_session_t;

extern pmt_session_t pmt_session;

typedef struct pmt_meta_s {
    const char *key;
    const char *value;
    size_t size;
} pmt_meta_t;

// A thread that runs already when tracing starts.
typedef struct pmt_thread_name_s {
    uint32_t tid;
    const char *name;
    size_t size;
} pmt_thread_name_t;

typedef struct pmt_options_s {
    const char *address;  // the recorder's
    uint64_t rss_before;  // pages, before anything of the tracer was loaded; 0: unknown
    bool exact;
    bool events;   // hooks will be switched on
    bool releases; // follow what gives memory back
    bool unseen;   // no residency snapshots
    bool confirm;  // wait until the recorder answers: it may have failed to start
    pmt_engine_t engine;  // to use
    const pmt_interp_t *interp;
    const pmt_meta_t *meta;  // sent with the greeting
    size_t meta_count;
    const pmt_thread_name_t *names;
    size_t name_count;
} pmt_options_t;

// Starts tracing. 0: a recorder listens; pmt_session.engine runs; `reason` is empty if that is the fault engine, else it says why not. Negative: -errno, nothing is traced;
// `reason` says why, or is empty.
int pmt_session_start(const pmt_options_t *options, char reason[PMT_REASON_MAX]);

// Stops as the process ends: marks the end, lets the recorder close the events. Harmless when not started, and in a fork child.
void pmt_session_stop(void);

// Stops in a process that goes on: nothing of the session stays, and another may start. The recorder writes the rest meanwhile: the result is the connection to be given to
// pmt_session_await_file. -ESRCH: no session runs here; another error: there is no recorder any more.
int pmt_session_leave(void);

// Waits, about a second at most, until the trace's file is complete. 0, or -errno with the reason why it is not. Needs no session and no lock.
int pmt_session_await_file(int connection, char reason[PMT_REASON_MAX]);

// Waits, half a second at most, until the trace's file holds all that has been recorded so far. `name`: the file's; its size, 0: unknown; -errno: there is no session here,
// or its recorder does not answer.
int pmt_session_flush(char *name, size_t size);

// Tells the recorder a fact about this process: 0 or -errno.
int pmt_session_send_meta(int socket, const char *key, const char *value, size_t size);

// Waits for at most `tries` times PMT_MESSAGE_WAIT_MS. The answering byte or -errno.
int pmt_session_await_answer(int socket, int tries);

// A session of this very process runs.
bool pmt_session_is_running(const pmt_session_t *session);

// The engine of the session of this very process; NULL: there is none, or its recorder has gone.
const char *pmt_session_engine(void);
