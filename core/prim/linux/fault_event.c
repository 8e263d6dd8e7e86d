// Page-fault signals through perf events with sigtrap (prim.h).
// Kernels: sigtrap appeared in 5.13; before 5.19 a blocked SIGTRAP kills the process, so those are never used; 6.1 and later behave.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "prim/linux/handler.h"
#include "prim/linux/perf.h"
#include "prim/prim.h"

// The kernel's siginfo for SIGTRAP/TRAP_PERF; glibc names these fields only in newer releases.
typedef struct kernel_siginfo_s {
    int signo, error, code, pad;
    uint64_t address;
    uint64_t data;
    uint32_t type, flags;
} kernel_siginfo_t;

enum { CODE_PERF = 6, SIGNAL_FLAG_ASYNC = 1 };  // TRAP_PERF, TRAP_PERF_FLAG_ASYNC

static bool (*trap_handler)(const pmt_fault_signal_t *signal);
static struct sigaction trap_previous;
static void *main_thread;  // its thread pointer; a start elsewhere only makes the main thread stand back too
static _Atomic int trap_foreign = PMT_TRAP_HANDLED;

static void
chain(int signo, siginfo_t *info, void *context)
{
    struct sigaction to = trap_previous;
    int foreign = trap_foreign;
    if (foreign != PMT_TRAP_HANDLED) {
        to = (struct sigaction){.sa_handler = foreign == PMT_TRAP_IGNORED ? SIG_IGN : SIG_DFL};
    }
    pmt_handler_chain(&to, signo, info, context);
}

// A thread that comes out of the kernel takes what is pending for the process as well, and one that faults all the time comes first: a SIGINT would then wake no
// main thread from its sleep, which is where Python acts on it. While the handler runs such signals are blocked; if one is there that this thread would take
// on its return, it stands back, for 10 ms at most.
static void
let_main_thread_take(const ucontext_t *interrupted)
{
    enum { MOMENTS = 50 };
    static const struct timespec MOMENT = {0, 200000};
    static const uint64_t OWN = 1ull << (SIGTRAP - 1);  // a fault of this handler's
    const uint64_t *blocked = (const void *)&interrupted->uc_sigmask;  // the kernel's 64 signals
    for (int i = 0; i < MOMENTS && __builtin_thread_pointer() != main_thread; i++) {
        sigset_t pending;
        const uint64_t *waiting = (const void *)&pending;
        if (PMT_LIKELY(sigpending(&pending) < 0 || (*waiting & ~*blocked & ~OWN) == 0)) {
            break;
        }
        nanosleep(&MOMENT, NULL);
    }
}

static void
on_sigtrap(int signo, siginfo_t *siginfo, void *context)
{
    int saved_errno = errno;
    const kernel_siginfo_t *info = (const void *)siginfo;
    pmt_fault_signal_t signal = {
        .address = info->address,
        .cookie = info->data,
        .async = info->flags & SIGNAL_FLAG_ASYNC,
        .context = context,
    };
    pmt_handler_interrupted_at(context, &signal.instruction, &signal.stack);
    if (PMT_UNLIKELY(info->code != CODE_PERF) || PMT_UNLIKELY(!trap_handler(&signal))) {
        chain(signo, siginfo, context);
    }
    let_main_thread_take(context);
    errno = saved_errno;
}

static void
take_over(struct sigaction *previous)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_sigtrap;
    // Not NODEFER: faults of the handler's own code, of which there are many after a fork, would each put another signal frame on the stack, until an alternate
    // stack is full and the kernel kills. So one of them waits, and comes marked as late. RESTART: the program's system calls go on. ONSTACK: it may have a
    // small stack.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGABRT};  // of an instruction of the thread itself
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        sigdelset(&action.sa_mask, own[i]);
    }
    sigaction(SIGTRAP, &action, previous);
}

void
pmt_prim_trap_install(bool (*handler)(const pmt_fault_signal_t *signal))
{
    trap_handler = handler;
    main_thread = __builtin_thread_pointer();
    struct sigaction present;
    sigaction(SIGTRAP, NULL, &present);
    if (!(present.sa_flags & SA_SIGINFO) || present.sa_sigaction != on_sigtrap) {  // on top of itself it would chain to itself
        take_over(&trap_previous);
    }
}

static void
block_trap(int how)
{
    sigset_t trap;
    sigemptyset(&trap);
    sigaddset(&trap, SIGTRAP);
    pthread_sigmask(how, &trap, NULL);
}

void
pmt_prim_trap_hold(void)
{
    block_trap(SIG_BLOCK);
}

void
pmt_prim_trap_resume(bool chain)
{
    take_over(chain ? &trap_previous : NULL);
    block_trap(SIG_UNBLOCK);
}

void
pmt_prim_trap_foreign(enum pmt_trap_e what)
{
    trap_foreign = what;
}

void
pmt_prim_trap_restore(void)
{
    sigaction(SIGTRAP, &trap_previous, NULL);
}

int
pmt_prim_fault_event_open_sigsafe(uint32_t tid, uint64_t period, uint64_t cookie, bool off)
{
    struct perf_event_attr attr = pmt_perf_signals(period, cookie);
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = PERF_COUNT_SW_PAGE_FAULTS;
    attr.sample_type = PERF_SAMPLE_ADDR;  // else the signal carries no address
    attr.disabled = off;
    return pmt_perf_open_sigsafe(&attr, tid);
}

void
pmt_prim_fault_event_enable(int fd)
{
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
}

void
pmt_prim_fault_event_disable(int fd)
{
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
}

const char *
pmt_prim_fault_event_refusal(void)
{
    struct utsname name;
    int major = 0, minor = 0;
    if (uname(&name) < 0 || sscanf(name.release, "%d.%d", &major, &minor) != 2) {
        return "the kernel's version is unknown";
    }
    int version = major * 1000 + minor;
    if (version < 5019) {
        return "page-fault signals need Linux 6.1 or later (before 5.19 they can kill the program)";
    }
    if (version < 6001) {
        return "page-fault signals need Linux 6.1 or later";
    }
    return NULL;
}

static int
paranoid_level(void)
{
    char text[16];
    return pmt_prim_file_text("/proc/sys/kernel/perf_event_paranoid", text, sizeof text) ? atoi(text) : -1;
}

void
pmt_prim_fault_event_reason(int err, char *out, size_t size)
{
    int paranoid = paranoid_level();
    if (err == -ENOENT || err == -ENOSYS) {
        snprintf(out, size, "this kernel has no perf events (perf_event_open: %s); it needs CONFIG_PERF_EVENTS", strerror(-err));
    } else if (err == -EACCES || err == -EPERM) {
        if (paranoid > 2) {
            snprintf(out, size,
                     "perf_event_open: %s; kernel.perf_event_paranoid is %d: lower it with `sysctl kernel.perf_event_paranoid=2`, or give CAP_PERFMON",
                     strerror(-err), paranoid);
        } else {
            snprintf(out, size,
                     "perf_event_open: %s although kernel.perf_event_paranoid is %d: a seccomp filter or security module refuses it (containers: "
                     "`--cap-add PERFMON`, or a seccomp profile that allows perf_event_open)",
                     strerror(-err), paranoid);
        }
    } else {
        snprintf(out, size, "perf_event_open: %s", strerror(-err));
    }
}
