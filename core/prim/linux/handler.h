// What the signal handlers of this folder share. Included by the files that install one.
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "base/compiler.h"

// Where the signal interrupted the thread.
static inline void
pmt_handler_interrupted_at(const void *context, uint64_t *instruction, uint64_t *stack)
{
    const ucontext_t *machine = context;
#if defined(__x86_64__)
    *instruction = (uint64_t)machine->uc_mcontext.gregs[REG_RIP];
    *stack = (uint64_t)machine->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    *instruction = machine->uc_mcontext.pc;
    *stack = machine->uc_mcontext.sp;
#else
#error "add the interrupted instruction's place in this architecture's ucontext"
#endif
}

// Nobody has asked for the signal.
static inline bool
pmt_handler_is_free(int signo)
{
    struct sigaction present;
    return sigaction(signo, NULL, &present) == 0 && !(present.sa_flags & SA_SIGINFO) && present.sa_handler == SIG_DFL;
}

// A signal that is not ours goes where it would have gone.
static inline void
pmt_handler_chain(const struct sigaction *previous, int signo, siginfo_t *info, void *context)
{
    if (previous->sa_flags & SA_SIGINFO) {
        previous->sa_sigaction(signo, info, context);
    } else if (previous->sa_handler == SIG_DFL) {
        signal(signo, SIG_DFL);
        raise(signo);  // at once, or when the handler returns, and as fatal as it would have been
    } else if (previous->sa_handler != SIG_IGN) {
        previous->sa_handler(signo);
    }
}
