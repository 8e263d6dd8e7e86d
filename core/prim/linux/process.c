// Another process seen through /proc (prim.h). Used by the recorder.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "prim/prim.h"

enum { POLL_MAX = 16 };

static int
open_of(uint32_t pid, const char *name)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%u/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int
pmt_prim_process_status_open(uint32_t pid)
{
    return open_of(pid, "status");
}

int
pmt_prim_process_statm_open(uint32_t pid)
{
    return open_of(pid, "statm");
}

static int64_t
field(const char *text, const char *name)
{
    const char *line = strstr(text, name);
    return line ? strtoll(line + strlen(name), NULL, 10) : -1;
}

int
pmt_prim_process_status_read(int fd, pmt_process_status_t *out)
{
    char text[8192];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n <= 0) {
        return n < 0 ? -errno : -ESRCH;
    }
    text[n] = '\0';
    out->anon = field(text, "\nRssAnon:");
    out->file = field(text, "\nRssFile:");
    out->shmem = field(text, "\nRssShmem:");
    out->swap = field(text, "\nVmSwap:");
    out->peak = field(text, "\nVmHWM:");
    out->tracer = (int)field(text, "\nTracerPid:");
    return out->anon < 0 ? -ESRCH : 0;  // a process that has ended keeps its status, without memory
}

int
pmt_prim_process_watch(uint32_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    return fd < 0 ? -errno : fd;
}

bool
pmt_prim_process_gone(int watch)
{
    return watch < 0 || (syscall(SYS_pidfd_send_signal, watch, 0, NULL, 0) < 0 && errno == ESRCH);
}

bool
pmt_prim_process_same_memory(uint32_t pid, uint32_t other)
{
    enum { MEMORY = 1 };  // KCMP_VM
    return syscall(SYS_kcmp, (pid_t)pid, (pid_t)other, MEMORY, 0, 0) == 0;
}

// The kernel's, see include/uapi/linux/pidfd.h; asked for the exit status from Linux 6.15 on.
typedef struct pidfd_info_s {
    uint64_t mask, cgroup;
    uint32_t ids[11];
    int32_t exit_status;
} pidfd_info_t;
#define PIDFD_INFO_REQUEST _IOWR(0xff, 11, pidfd_info_t)
enum { PIDFD_INFO_ASK_EXIT = 1 << 3 };

// From /proc/PID/stat, while nobody has waited for it: the state stands behind the name's closing bracket, the status is the last number.
static int
zombie_end(uint32_t pid)
{
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    pmt_prim_file_text(path, text, sizeof text);
    const char *state = strrchr(text, ')'), *last = strrchr(text, ' ');
    return state && state[1] == ' ' && state[2] == 'Z' && last ? atoi(last) : -ESRCH;
}

int
pmt_prim_process_end(uint32_t pid, int watch)
{
    pidfd_info_t info = {.mask = PIDFD_INFO_ASK_EXIT};
    if (watch >= 0 && ioctl(watch, PIDFD_INFO_REQUEST, &info) == 0 && info.mask & PIDFD_INFO_ASK_EXIT) {
        return info.exit_status;
    }
    return zombie_end(pid);
}

// The children a thread started stand in one line, with spaces.
static void
visit_children(const char *path, void (*visit)(uint32_t, void *), void *context)
{
    FILE *children = fopen(path, "re");
    unsigned pid;
    if (!children) {
        return;
    }
    while (fscanf(children, "%u", &pid) == 1) {
        visit(pid, context);
    }
    fclose(children);
}

void
pmt_prim_each_child(uint32_t pid, bool main_thread_only, void (*visit)(uint32_t child, void *context), void *context)
{
    char path[64];
    if (main_thread_only) {
        snprintf(path, sizeof path, "/proc/%u/task/%u/children", pid, pid);
        visit_children(path, visit, context);
        return;
    }
    snprintf(path, sizeof path, "/proc/%u/task", pid);
    DIR *tasks = opendir(path);
    const struct dirent *task;
    while (tasks && (task = readdir(tasks))) {
        if (task->d_name[0] != '.') {
            snprintf(path, sizeof path, "/proc/%u/task/%.16s/children", pid, task->d_name);
            visit_children(path, visit, context);
        }
    }
    if (tasks) {
        closedir(tasks);
    }
}

size_t
pmt_prim_process_arguments(uint32_t pid, char *out, size_t size)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%u/cmdline", pid);
    return pmt_prim_file_text(path, out, size);
}

int
pmt_prim_each_mapping(uint32_t pid, void (*visit)(const pmt_mapping_t *mapping, void *context), void *context)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%u/maps", pid);
    int maps = open(path, O_RDONLY | O_CLOEXEC);
    if (maps < 0) {
        return -errno;
    }
    int err = pmt_prim_each_mapping_of(maps, visit, context);
    close(maps);
    return err;
}

unsigned
pmt_prim_poll(const int *fds, unsigned count, int timeout_ms)
{
    struct pollfd polled[POLL_MAX];
    unsigned ready = 0;
    for (unsigned i = 0; i < count && i < POLL_MAX; i++) {
        polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    }
    if (poll(polled, count, timeout_ms) > 0) {
        for (unsigned i = 0; i < count; i++) {
            ready |= polled[i].revents ? 1u << i : 0;
        }
    }
    return ready;
}

// The program's limits are not ours.
static void
lift_limit(int resource)
{
    struct rlimit limit, unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(resource, &unlimited) < 0 && getrlimit(resource, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(resource, &limit);
    }
}

// The kernel's, see sched_setattr(2).
typedef struct scheduling_s {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t slice_ns, deadline_ns, period_ns;
    uint32_t clamp_low, clamp_high;
} scheduling_t;

void
pmt_prim_be_prompt(uint64_t slice_ns)
{
    scheduling_t scheduling = {.size = sizeof scheduling};
    if (syscall(SYS_sched_getattr, 0, &scheduling, sizeof scheduling, 0) == 0 && scheduling.policy == SCHED_OTHER) {
        scheduling.slice_ns = slice_ns;
        syscall(SYS_sched_setattr, 0, &scheduling, 0);
    }
}

void
pmt_prim_give_way(void)
{
    sched_yield();
}

void
pmt_prim_detach(int keep)
{
    setsid();
    static const int deaf[] = {SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGTTOU, SIGPIPE, SIGXFSZ};
    for (size_t i = 0; i < sizeof deaf / sizeof *deaf; i++) {
        signal(deaf[i], SIG_IGN);
    }
    syscall(SYS_close_range, (unsigned)keep, ~0u, 0);
    static const int limits[] = {RLIMIT_NOFILE, RLIMIT_AS, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_CPU};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        lift_limit(limits[i]);
    }
}
