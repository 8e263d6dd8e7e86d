// Being called from another process by a real-time signal (prim.h).
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "prim/linux/handler.h"
#include "prim/prim.h"

enum { INSIST = 1 };  // the lowest bit of the signal's value

static struct {
    int signo;
    uint64_t cookie;
    void (*answer)(int signo);
    struct sigaction previous;
} summons;

static void on_summons(int signo, siginfo_t *info, void *context);

static int
take_over(int signo, bool restart, struct sigaction *previous)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_summons;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | (restart ? SA_RESTART : 0);
    return sigaction(signo, &action, previous) < 0 ? -errno : 0;
}

static void
on_summons(int signo, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    uint64_t value = (uint64_t)(uintptr_t)info->si_value.sival_ptr;
    bool known = info->si_code == SI_QUEUE && (value & ~(uint64_t)INSIST) == summons.cookie;
    if (!known || (info->si_uid != geteuid() && info->si_uid != 0)) {
        pmt_handler_chain(&summons.previous, signo, info, context);
    } else if (value & INSIST) {
        take_over(signo, false, NULL);  // the next one ends a system call that waits
    } else {
        summons.answer(signo);
    }
    errno = saved_errno;
}

int
pmt_prim_summons_free_signal(void)
{
    for (int signo = SIGRTMAX - 1; signo >= SIGRTMIN; signo--) {
        if (pmt_handler_is_free(signo)) {
            return signo;
        }
    }
    return -EBUSY;
}

int
pmt_prim_summons_install(int signo, uint64_t cookie, void (*answer_sigsafe)(int signo))
{
    summons.signo = signo;
    summons.cookie = cookie & ~(uint64_t)INSIST;
    summons.answer = answer_sigsafe;
    summons.previous = (struct sigaction){.sa_handler = SIG_DFL};  // it was free
    return take_over(signo, true, NULL);
}

void
pmt_prim_summons_answered(void)
{
    take_over(summons.signo, true, NULL);
}

int
pmt_prim_summons_send(uint32_t pid, int signo, uint64_t cookie, bool insist)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = geteuid();
    info.si_value.sival_ptr = (void *)(uintptr_t)(insist ? cookie | INSIST : cookie & ~(uint64_t)INSIST);
    // To the main thread, which runs Python's handlers: no other thread's system call is disturbed.
    return syscall(SYS_rt_tgsigqueueinfo, (pid_t)pid, (pid_t)pid, signo, &info) < 0 ? -errno : 0;
}
