// Signals at a thread's CPU time: POSIX timers on per-thread CPU clocks (prim.h). The kernel rounds intervals up to its own tick (1 to 4 ms).
//
// They expire in the tick of a thread that runs, on that thread, and are sent as it returns to user code: a system call that sleeps is not interrupted. (Kernels
// that do not send them from task work, arm64 before 6.16, may hit a call that has used CPU and then sleeps.) exec and fork leave them behind.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "prim/linux/handler.h"
#include "prim/prim.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

// The outermost real-time signals are those that programs and libraries take first.
enum { LEFT_TO_PROGRAMS = 5 };

static const char cookie;  // its address marks our timers
static void (*tick_handler)(const pmt_tick_signal_t *signal);
static struct sigaction tick_previous;
static int tick_signal;

static bool
is_ours(const siginfo_t *info)
{
    return info->si_code == SI_TIMER && info->si_value.sival_ptr == (const void *)&cookie;
}

static void
on_tick(int signo, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    if (PMT_LIKELY(is_ours(info))) {
        pmt_tick_signal_t signal;
        pmt_handler_interrupted_at(context, &signal.instruction, &signal.stack);
        tick_handler(&signal);
    } else {
        pmt_handler_chain(&tick_previous, signo, info, context);
    }
    errno = saved_errno;
}

static void
take_over(int signo)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_tick;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;  // as for page faults (fault_event.c), but a tick in a tick is of no use
    sigaction(signo, &action, NULL);
}

// Its present disposition in *out: true if it is our handler.
static bool
is_taken(int signo, struct sigaction *out)
{
    return sigaction(signo, NULL, out) == 0 && out->sa_flags & SA_SIGINFO && out->sa_sigaction == on_tick;
}

int
pmt_prim_tick_install(void (*handler)(const pmt_tick_signal_t *signal))
{
    struct sigaction present;
    sigset_t blocked;
    tick_handler = handler;
    if (tick_signal && is_taken(tick_signal, &present)) {
        return 0;
    }
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    for (int signo = SIGRTMAX - LEFT_TO_PROGRAMS; signo >= SIGRTMIN + LEFT_TO_PROGRAMS; signo--) {
        if (pmt_handler_is_free(signo) && !sigismember(&blocked, signo)) {
            tick_signal = signo;
            tick_previous = (struct sigaction){.sa_handler = SIG_DFL};
            take_over(signo);
            return 0;
        }
    }
    return -EBUSY;
}

int
pmt_prim_tick_signal(void)
{
    return tick_signal;
}

void
pmt_prim_tick_reclaim(void)
{
    struct sigaction present;
    if (tick_signal && !is_taken(tick_signal, &present)) {
        tick_previous = present;
        take_over(tick_signal);
    }
}

int
pmt_prim_tick_create_sigsafe(uint32_t tid)
{
    enum { CLOCK_BITS = 3, PER_THREAD = 4, CPU_TIME = 2 };  // of a clock made of a thread's number
    struct sigevent event;
    int timer;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = tick_signal;
    event.sigev_value.sival_ptr = (void *)(uintptr_t)&cookie;
    event.sigev_notify_thread_id = (pid_t)tid;
    clockid_t clock = (clockid_t)(~tid << CLOCK_BITS | PER_THREAD | CPU_TIME);
    return syscall(SYS_timer_create, clock, &event, &timer) < 0 ? -errno : timer;
}

void
pmt_prim_tick_set_sigsafe(int timer, uint64_t interval_ns)
{
    struct timespec interval = {(time_t)(interval_ns / 1000000000u), (long)(interval_ns % 1000000000u)};
    struct itimerspec setting = {interval, interval};
    syscall(SYS_timer_settime, timer, 0, &setting, NULL);
}

void
pmt_prim_tick_delete_sigsafe(int timer)
{
    syscall(SYS_timer_delete, timer);
}

bool
pmt_prim_tick_blocked_sigsafe(void)
{
    sigset_t blocked;
    return sigprocmask(SIG_BLOCK, NULL, &blocked) == 0 && sigismember(&blocked, tick_signal) == 1;
}

void
pmt_prim_tick_flush(void)
{
    const struct timespec now = {0, 0};
    siginfo_t info;
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, tick_signal);
    while (sigtimedwait(&ours, &info, &now) == tick_signal) {
        if (!is_ours(&info)) {
            raise(tick_signal);  // the program's: it stays blocked, and waits again
            break;
        }
    }
}
