// Starting a program that is nobody's child of ours (prim.h).
//
// A child whose exit signal is not SIGCHLD is seen by neither a SIGCHLD handler nor waitpid(-1), but an exec makes it an ordinary child again. So such a child starts
// the program as a child of its own and ends at once, before this function returns: the program belongs to init.
// Both share our memory and stop their parent until they are done with it (as vfork does): no page is copied and nothing is committed twice, however large we are.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "prim/prim.h"

enum { STACK_SIZE = 64 << 10, PASSED = 3, SIGNALS = 64, ADOPTED_TRIES = 20, ADOPTED_WAIT_NS = 1000000 };

typedef struct spawn_s {
    const char *program, *argument;
    const int *fds;
    char *inner_stack;  // its end
    volatile int err;   // 0 or -errno
} spawn_t;

// The C library's own functions leave two signals out; a handler of ours must not run in a process that shares our memory.
static void
set_mask(uint64_t mask, uint64_t *before)
{
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, before, sizeof mask);
}

static int
place_descriptors(const int *fds)
{
    int high[PASSED];
    for (int i = 0; i < PASSED; i++) {  // above all places: a dup2 must not hit one that is still to be copied
        high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, PASSED);
        if (high[i] < 0) {
            return -errno;
        }
    }
    for (int i = 0; i < PASSED; i++) {
        if (dup2(high[i], i) < 0) {
            return -errno;
        }
    }
    syscall(SYS_close_range, PASSED, ~0u, 0);  // the program's pipes must not be held open, not even until the exec
    return 0;
}

static int
become_program(void *context)
{
    spawn_t *spawn = context;
    char *const argv[] = {(char *)spawn->program, (char *)spawn->argument, NULL}, *const env[] = {NULL};
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number <= SIGNALS; number++) {
        sigaction(number, &action, NULL);
    }
    setsid();
    spawn->err = place_descriptors(spawn->fds);
    if (!spawn->err) {
        set_mask(0, NULL);
        execve(spawn->program, argv, env);
        spawn->err = -errno;
    }
    return 127;
}

static int
start_program(void *context)
{
    spawn_t *spawn = context;
    int pid = clone(become_program, spawn->inner_stack, CLONE_VM | CLONE_VFORK | SIGCHLD, spawn);
    if (pid < 0) {
        spawn->err = -errno;
    } else if (spawn->err) {
        waitpid(pid, NULL, 0);
    }
    return 0;
}

int
pmt_prim_spawn_apart(const char *program, const char *argument, const int fds[PASSED])
{
    char *stacks = mmap(NULL, 2 * STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stacks == MAP_FAILED) {
        return -errno;
    }
    spawn_t spawn = {.program = program, .argument = argument, .fds = fds, .inner_stack = stacks + STACK_SIZE};
    uint64_t before;
    set_mask(UINT64_MAX, &before);
    int pid = clone(start_program, stacks + 2 * STACK_SIZE, CLONE_VM | CLONE_VFORK, &spawn);  // no exit signal
    int err = pid < 0 ? -errno : 0;
    set_mask(before, NULL);
    if (pid >= 0) {
        while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR) {
        }
        err = spawn.err;
    }
    munmap(stacks, 2 * STACK_SIZE);
    return err;
}

void
pmt_prim_reap_adopted(uint32_t pid)
{
    const struct timespec wait = {0, ADOPTED_WAIT_NS};
    for (int i = 0; i < ADOPTED_TRIES && waitpid((pid_t)pid, NULL, WNOHANG) == 0; i++) {
        nanosleep(&wait, NULL);
    }
}
