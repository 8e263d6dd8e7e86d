// What the project needs of the operating system: the contract. One folder an OS implements it (linux/).
//
// Unless said otherwise: 0 or a non-negative result is success, -errno is failure; errno itself is not preserved. Functions whose name ends in _sigsafe
// allocate nothing, take no lock and may run in a signal handler on any thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---- clock.c ----
uint64_t pmt_prim_now_ns_sigsafe(void);  // CLOCK_MONOTONIC
uint64_t pmt_prim_cpu_ns(void);           // that the calling thread has had
uint64_t pmt_prim_wall_ns(void);         // since 1970-01-01 UTC
// Whether the kernel keeps its own time by the CPU's counter: then it is the same on all CPUs, and the cheapest clock (ticks.h).
enum pmt_ticks_kind_e { PMT_TICKS_NONE, PMT_TICKS_COUNTER };
enum pmt_ticks_kind_e pmt_prim_ticks_kind(void);

// ---- memory.c ----
size_t pmt_prim_page_size_sigsafe(void);
unsigned pmt_prim_cpus(void);  // that the kernel runs on, whoever may use them
// Whether so much address space can be taken without being missed: the limit on it, if any, is many times that.
bool pmt_prim_address_space_is_ample(size_t size);
// Address space without memory behind it, private, not copied into fork children.
int pmt_prim_reserve(size_t size, void **out);
// The same, shared through a new anonymous file of that (sparse) size.
int pmt_prim_share(const char *name, size_t size, int *fd, void **out);
int pmt_prim_map_shared(int fd, size_t size, void **out);  // -EINVAL: the file is shorter, or none
void pmt_prim_unmap(void *base, size_t size);
// Brings in the pages of [base, base + size), writable, without a fault in user code.
int pmt_prim_populate_sigsafe(void *base, size_t size);
// What the page at `address` is: a set of pmt_page_e. -ENOTTY: this kernel (before 6.7) does not tell.
enum pmt_page_e { PMT_PAGE_PRESENT = 1, PMT_PAGE_FILE = 2, PMT_PAGE_ZERO = 4, PMT_PAGE_HUGE = 8 };
int pmt_prim_page_sigsafe(uint64_t address);
// Copies memory of this process that may not be there: bytes copied, 0 if none.
size_t pmt_prim_peek_sigsafe(uint64_t address, void *out, size_t size);
// What the C library's allocator says of itself, in bytes. False: it does not. Takes its locks.
typedef struct pmt_malloc_totals_s {
    uint64_t held;       // by its heaps
    uint64_t mmapped;    // by blocks with a mapping of their own
    uint64_t used, free; // in the heaps
    uint64_t trimmable;  // free at the main heap's top
} pmt_malloc_totals_t;
bool pmt_prim_malloc_totals(pmt_malloc_totals_t *out);
// Whose malloc() this process has: the C library with its version, or the file that stands in for it.
void pmt_prim_malloc_name(char *out, size_t size);
// Where the C library's code lies; *end 0: unknown.
void pmt_prim_c_library(uint64_t *start, uint64_t *end);

// ---- file.c ----
int pmt_prim_file_open(const char *path, uint64_t *size);  // for reading; not a folder. The descriptor or -errno
int64_t pmt_prim_file_read(int fd, void *out, size_t size, uint64_t offset);  // bytes read, fewer only at the end of the file
int pmt_prim_file_write(int fd, const void *data, size_t size);  // all of it
int pmt_prim_file_cut(int fd, uint64_t size);  // to this size, where the next write goes
// Reads a small text file of the kernel's whole: bytes read, 0 if it cannot be read; `out` ends with a NUL.
size_t pmt_prim_file_text(const char *path, char *out, size_t size);
size_t pmt_prim_file_name(int fd, char *out, size_t size);  // the absolute name that the file has now, without a NUL; its size, 0: unknown, or too long
int pmt_prim_own_file(const char *name);  // of this process, among what the kernel tells of it: pagemap, maps. The descriptor, which keeps showing this image, or -errno
bool pmt_prim_descriptors_left(int fd, unsigned count);  // about so many more can be opened; `fd`: any that is open
void pmt_prim_close_sigsafe(int fd);  // any descriptor; a negative one is none

// ---- rss.c: this process's resident set ----
typedef struct pmt_rss_s {
    uint32_t anon;    // pages of anonymous memory
    uint32_t shared;  // pages of files and shared memory
} pmt_rss_t;
// A descriptor that stays open, moved out of the way of the program's own (high number). -errno on failure.
int pmt_prim_rss_open_sigsafe(void);
// -ESTALE: the descriptor is not what it was (the program closed it).
int pmt_prim_rss_read_sigsafe(int fd, pmt_rss_t *out);
// Opens, reads and closes: five times as slow as reading.
int pmt_prim_rss_read_once_sigsafe(pmt_rss_t *out);
// Closes it, in a fork child too, where it shows the parent; unless it is the program's by now.
void pmt_prim_rss_close_sigsafe(int fd);
// The highest resident set of this process, in KiB. The first costs 0.3 us, but counts what the process was before an exec too; the second (VmHWM) 12 us. 0: unknown.
uint64_t pmt_prim_rss_peak_fast(void);
uint64_t pmt_prim_rss_peak(void);

// ---- thread.c ----
uint32_t pmt_prim_pid_sigsafe(void);
uint32_t pmt_prim_parent_sigsafe(void);
uint32_t pmt_prim_tid_sigsafe(void);
bool pmt_prim_thread_alive_sigsafe(uint32_t pid, uint32_t tid);
uint64_t pmt_prim_thread_faults_sigsafe(void);  // page faults of the calling thread so far, in user code and in the kernel
uint64_t pmt_prim_process_faults_sigsafe(void);  // the same of all its threads, those that have ended included
uint32_t pmt_prim_thread_count_sigsafe(void);  // threads alive, in one cheap call; 0: not told
// Calls visit(tid, context) for each thread of this process; stops at its first negative result and returns it.
int pmt_prim_each_thread_sigsafe(int (*visit)(uint32_t tid, void *context), void *context);
// 0, or the pid of the debugger that traces this process.
int pmt_prim_tracer_pid(void);
// Runs `child_sigsafe` in each fork child of this process before anything else of ours, and `parent_sigsafe`, unless it is NULL, in this process after each fork.
void pmt_prim_at_fork(void (*parent_sigsafe)(void), void (*child_sigsafe)(void));
enum { PMT_THREAD_NAME_KERNEL = 16 };  // bytes, with the 0
void pmt_prim_own_name_sigsafe(char out[PMT_THREAD_NAME_KERNEL]);  // of the calling thread
void pmt_prim_thread_name(uint32_t pid, uint32_t tid, char *out, size_t size);  // "" if unknown

// ---- wait.c: futexes on memory shared between processes ----
void pmt_prim_wait_sigsafe(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns);
void pmt_prim_wake_sigsafe(_Atomic uint32_t *word);
void pmt_prim_sleep(uint64_t ns);
// Waits until one of the words is not as expected. Kernels before 5.16 wait for the first one alone.
enum { PMT_WAIT_MAX = 128 };
void pmt_prim_wait_any(_Atomic uint32_t *const *words, const uint32_t *expected, unsigned count, uint64_t timeout_ns);

// ---- spawn.c ----
// Starts `program` as nobody's child, so that neither a SIGCHLD nor waitpid() tells of it, unless this process adopts orphans (pid 1, a subreaper). It gets
// fds[0..2] as its descriptors 0, 1 and 2 and no others, one argument or none (NULL), no environment, a session of its own, and signals as they are by default.
int pmt_prim_spawn_apart(const char *program, const char *argument, const int fds[3]);
// Such a program has ended: takes its status if this process had to adopt it.
void pmt_prim_reap_adopted(uint32_t pid);

// ---- summons.c: being called from another process of the same user, by a real-time signal that carries a cookie ----
int pmt_prim_summons_free_signal(void);  // one that has its default effect; -EBUSY: none
// answer(signo) runs in signal context on the main thread. The signal restarts system calls, unless it was announced by one that insists: then it ends them.
int pmt_prim_summons_install(int signo, uint64_t cookie, void (*answer_sigsafe)(int signo));
void pmt_prim_summons_answered(void);  // system calls are restarted again
// `cookie`: an even number. `insist`: announces, and is itself not answered.
int pmt_prim_summons_send(uint32_t pid, int signo, uint64_t cookie, bool insist);

// ---- fault_event.c: signals at page faults ----
typedef struct pmt_fault_signal_s {
    uint64_t address;  // that faulted
    uint64_t cookie;
    bool async;  // delivered late
    uint64_t instruction;  // interrupted
    uint64_t stack;        // the stack pointer then
    const void *context;   // of the thread then, for pmt_prim_call_seen_sigsafe
} pmt_fault_signal_t;
// Takes SIGTRAP over: handler(signal) runs for each one that a perf event sent, on the thread that faulted, in signal context, with errno saved around it. When it
// returns false, and for any other SIGTRAP, the signal goes where it would have gone without us.
void pmt_prim_trap_install(bool (*handler_sigsafe)(const pmt_fault_signal_t *signal));
void pmt_prim_trap_restore(void);
// Between these two somebody else may set SIGTRAP's disposition: the calling thread's signals wait, and then it is ours again. `chain`: what is not ours goes to
// what was set there from now on.
void pmt_prim_trap_hold(void);
void pmt_prim_trap_resume(bool chain);
// What is to happen at a SIGTRAP of anyone else: what the system was told before us, or, where that is a dispatcher's matter, ended or ignored without it.
enum pmt_trap_e { PMT_TRAP_HANDLED, PMT_TRAP_DEFAULT, PMT_TRAP_IGNORED };
void pmt_prim_trap_foreign(enum pmt_trap_e what);
// A SIGTRAP with `cookie` at every `period`-th page fault in user code of thread `tid` (0: the calling one) and of the threads it starts. `off`: from
// pmt_prim_fault_event_enable on. The descriptor or -errno.
int pmt_prim_fault_event_open_sigsafe(uint32_t tid, uint64_t period, uint64_t cookie, bool off);
void pmt_prim_fault_event_enable(int fd);
void pmt_prim_fault_event_disable(int fd);
// NULL if this kernel's events can be used, else the reason (static text).
const char *pmt_prim_fault_event_refusal(void);
// What stands in the way after pmt_prim_fault_event_open failed with `err` (negative): one line that names the knob.
void pmt_prim_fault_event_reason(int err, char *out, size_t size);

// ---- call_event.c: signals after the C library's system calls that move memory or give it back ----
enum pmt_call_e { PMT_CALL_MUNMAP = 1, PMT_CALL_MADVISE, PMT_CALL_BRK, PMT_CALL_MREMAP, PMT_CALLS };
const char *pmt_prim_call_name(enum pmt_call_e call);
// The instruction after the system call in the C library's function, which free(), realloc() and malloc_trim() call too. 0: not found, or this machine does not keep what
// a system call was given.
uint64_t pmt_prim_call_find(enum pmt_call_e call);
// A SIGTRAP with `cookie` (pmt_prim_trap_install) each time that thread `tid` (0: the calling one), or one that it starts, comes to that instruction. The descriptor or -errno;
// pmt_prim_fault_event_disable stops it.
int pmt_prim_call_event_open_sigsafe(uint32_t tid, uint64_t instruction, uint64_t cookie);
void pmt_prim_call_event_reason(int err, char *out, size_t size);  // what stands in the way, as pmt_prim_fault_event_reason
// Makes a call that fails and changes nothing, at the address PMT_CALL_NOWHERE. False: there is none such (brk).
enum { PMT_CALL_NOWHERE = 1 };
bool pmt_prim_call_try(enum pmt_call_e call);
typedef struct pmt_call_seen_s {
    uint64_t arguments[3];
    int64_t result;  // -errno: it failed
} pmt_call_seen_t;
// In the handler of its signal, which must not be async.
void pmt_prim_call_seen_sigsafe(const pmt_fault_signal_t *signal, pmt_call_seen_t *out);
// What a call did, whole pages in bytes. `moved`: the contents of [from, from + moved) are at `to` now. `size`: what was in [released, released + size) is gone.
typedef struct pmt_call_effect_s {
    uint64_t from, to, moved;
    uint64_t released, size;
} pmt_call_effect_t;
// False: neither. To be asked at each brk, which says only where the heap ends now.
bool pmt_prim_call_effect_sigsafe(enum pmt_call_e call, const pmt_call_seen_t *seen, pmt_call_effect_t *out);

// ---- tick.c: signals at a thread's CPU time ----
typedef struct pmt_tick_signal_s {
    uint64_t instruction;  // interrupted
    uint64_t stack;        // the stack pointer then
} pmt_tick_signal_t;
// Takes over a real-time signal that nobody uses: handler(signal) runs on a thread at each tick of its timer, in signal context, with errno saved around it. Other
// signals of that number go where they would have gone. Later calls keep the signal. -EBUSY: none is free.
int pmt_prim_tick_install(void (*handler_sigsafe)(const pmt_tick_signal_t *signal));
// Its number; 0: not installed.
int pmt_prim_tick_signal(void);
// Puts our handler in front again after the program has set its own for that number.
void pmt_prim_tick_reclaim(void);
// Ticks of thread `tid` of this process, stopped for now. They are due by CPU time, so a thread that sleeps in a system call has none. The timer or -errno.
int pmt_prim_tick_create_sigsafe(uint32_t tid);
void pmt_prim_tick_set_sigsafe(int timer, uint64_t interval_ns);  // 0 stops it
void pmt_prim_tick_delete_sigsafe(int timer);
// The calling thread has blocked the signal.
bool pmt_prim_tick_blocked_sigsafe(void);
// Takes back ticks that wait for the calling thread, which has blocked them.
void pmt_prim_tick_flush(void);

// ---- socket.c: messages between the program and its recorder, with descriptors ----
enum { PMT_MESSAGE_MAX = 128 << 10, PMT_MESSAGE_FDS = 8, PMT_MESSAGE_WAIT_MS = 200 };
// Connects to the recorder listening at the abstract address `name`. All waits are bounded by PMT_MESSAGE_WAIT_MS. The descriptor or -errno.
int pmt_prim_connect_sigsafe(const char *name);
int pmt_prim_send_sigsafe(int fd, const void *message, size_t size, const int *fds, unsigned fd_count);
// The message's size, 0 at the end of the connection, or -errno; -EMFILE: the message is there, its descriptors found no place. fd_count: in, room; out, received.
int pmt_prim_receive_sigsafe(int fd, void *message, size_t size, int *fds, unsigned *fd_count);
int pmt_prim_accept(int listener);  // a connection of our own user, with the same bounds; -errno

// ---- process.c: another process, from outside ----
typedef struct pmt_process_status_s {
    int64_t anon, file, shmem, swap;  // KiB
    int64_t peak;                     // KiB, VmHWM
    int tracer;                       // pid of its debugger or 0
} pmt_process_status_t;
int pmt_prim_process_status_open(uint32_t pid);
int pmt_prim_process_statm_open(uint32_t pid);  // for pmt_prim_rss_read_sigsafe
int pmt_prim_process_status_read(int fd, pmt_process_status_t *out);  // -ESRCH: it has ended
int pmt_prim_process_watch(uint32_t pid);  // a descriptor that polls readable when the process has ended
bool pmt_prim_process_gone(int watch);  // ended and waited for: its pid may be another's
// How an ended process ended: its wait status; -errno where the kernel does not tell. `watch`: from pmt_prim_process_watch.
int pmt_prim_process_end(uint32_t pid, int watch);
bool pmt_prim_process_same_memory(uint32_t pid, uint32_t other);  // as between vfork() and exec; false where the kernel does not tell (CONFIG_KCMP)
// Calls visit(pid, context) for each child of process `pid`, or only for those that its main thread started.
void pmt_prim_each_child(uint32_t pid, bool main_thread_only, void (*visit)(uint32_t child, void *context), void *context);
// The process's arguments, each ended by a NUL byte, cut to `size`; their size, 0 if unknown.
size_t pmt_prim_process_arguments(uint32_t pid, char *out, size_t size);
typedef struct pmt_mapping_s {
    uint64_t start, end, offset;
    bool executable;
    const char *path;  // "" if none; "[vdso]" and the like
} pmt_mapping_t;
int pmt_prim_each_mapping(uint32_t pid, void (*visit)(const pmt_mapping_t *mapping, void *context), void *context);
int pmt_prim_each_mapping_of(int maps, void (*visit)(const pmt_mapping_t *mapping, void *context), void *context);  // from a descriptor; -ESRCH: that image is gone
// Waits until one of the descriptors is readable or closed (negative ones are skipped) or the time is over; bit i of the result: fds[i].
unsigned pmt_prim_poll(const int *fds, unsigned count, int timeout_ms);
// Becomes a session of its own, deaf to the terminal's signals, with every descriptor but 0..keep-1 closed and as many allowed as may be.
void pmt_prim_detach(int keep);
// Asks the kernel (Linux 6.12 on) for short turns on the CPU, which come the sooner. The share of the CPU stays the same.
void pmt_prim_be_prompt(uint64_t slice_ns);
void pmt_prim_give_way(void);  // to whoever waits for this CPU; a new turn begins

// ---- pages.c: which pages of a process are there, from descriptors that it opened on itself ----
// A piece of its address space is looked at in one go: up to so many pages that are there (or in swap), and so many runs of them. Used by one thread.
enum { PMT_PAGES_MOST = 2048, PMT_PAGES_RUNS = 512 };
typedef struct pmt_page_run_s {
    uint64_t start, pages;  // start: an address
    unsigned state;         // pmt_resident_e of format/wire.h
} pmt_page_run_t;
typedef struct pmt_pages_s {
    uint64_t from, end;  // in: what to look at, addresses
    uint64_t to;         // out: how far it was looked at
    bool by_numbers;     // the kernel is older than 6.7: states are coarser, the page of zeros counts as there. Found out; may be set
    unsigned count;
    pmt_page_run_t runs[PMT_PAGES_RUNS];
} pmt_pages_t;
int pmt_prim_pages_look(int pagemap, pmt_pages_t *pages);  // -ESRCH: that image is gone
int64_t pmt_prim_rollup_kib(int rollup);  // Rss of smaps_rollup, which walks all page tables in one go; -errno

// ---- kin.c: what happens to the system's processes, told at once by the kernel's process connector ----
enum pmt_kin_e { PMT_KIN_FORK, PMT_KIN_EXEC, PMT_KIN_END };
typedef struct pmt_kin_event_s {
    enum pmt_kin_e kind;
    uint32_t pid, parent;  // parent: of a fork
    int status;            // of an end: as wait() gives it
    uint64_t time;         // CLOCK_MONOTONIC, ns
} pmt_kin_event_t;
// A descriptor that polls readable when there is something to read; may be open once. -errno where it is refused: before Linux 6.6 to all but root, and in most
// containers. In a pid namespace of one's own it may open and never tell anything.
int pmt_prim_kin_open(void);
void pmt_prim_kin_close(int fd);
int pmt_prim_kin_next(int fd, pmt_kin_event_t *out);  // 1: an event, 0: none for now, -ENOBUFS: some were lost before the next one
// From kin_listen(true) to kin_listen(false) an event ends the thread's waits with EINTR; it also changes the word, so that a wait begun too late ends at once.
_Atomic uint32_t *pmt_prim_kin_doorbell(void);
void pmt_prim_kin_listen(bool listen);

// ---- cgroup.c: the memory controller's numbers, v1 and v2 ----
typedef struct pmt_cgroup_s {
    int usage_fd;
    int64_t limit_kib;  // the lowest on the way up; -1: none
} pmt_cgroup_t;
int pmt_prim_cgroup_open(uint32_t pid, pmt_cgroup_t *out);
int pmt_prim_cgroup_read(const pmt_cgroup_t *cgroup, int64_t *usage_kib);
