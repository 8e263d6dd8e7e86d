// Threads of a process (prim.h). No opendir or stdio: the listing runs in a signal handler.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "prim/prim.h"

struct linux_dirent64 {  // the kernel's, see getdents64(2)
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

uint32_t
pmt_prim_pid_sigsafe(void)
{
    return (uint32_t)getpid();
}

uint32_t
pmt_prim_parent_sigsafe(void)
{
    return (uint32_t)getppid();
}

uint32_t
pmt_prim_tid_sigsafe(void)
{
    return (uint32_t)syscall(SYS_gettid);
}

bool
pmt_prim_thread_alive_sigsafe(uint32_t pid, uint32_t tid)
{
    return syscall(SYS_tgkill, pid, tid, 0) == 0 || errno != ESRCH;
}

static uint64_t
faults_of(int who)
{
    struct rusage usage;
    getrusage(who, &usage);
    return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

uint64_t
pmt_prim_thread_faults_sigsafe(void)
{
    return faults_of(RUSAGE_THREAD);
}

uint64_t
pmt_prim_process_faults_sigsafe(void)
{
    return faults_of(RUSAGE_SELF);
}

uint32_t
pmt_prim_thread_count_sigsafe(void)
{
    enum { OWN_LINKS = 2 };  // every folder's: its name and its "."
    struct stat folder;
    return stat("/proc/self/task", &folder) == 0 && folder.st_nlink > OWN_LINKS ? (uint32_t)folder.st_nlink - OWN_LINKS : 0;
}

static int
visit_names(const char *buffer, long size, int (*visit)(uint32_t, void *), void *context)
{
    for (long at = 0; at < size;) {
        const struct linux_dirent64 *entry = (const void *)(buffer + at);
        uint32_t tid = 0;
        for (const char *p = entry->name; *p >= '0' && *p <= '9'; p++) {
            tid = tid * 10 + (uint32_t)(*p - '0');
        }
        int err = tid ? visit(tid, context) : 0;
        if (err < 0) {
            return err;
        }
        at += entry->length;
    }
    return 0;
}

int
pmt_prim_each_thread_sigsafe(int (*visit)(uint32_t tid, void *context), void *context)
{
    _Alignas(8) char buffer[2048];
    int err = 0;
    int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    for (;;) {
        long n = syscall(SYS_getdents64, fd, buffer, sizeof buffer);
        if (n <= 0) {
            err = n < 0 ? -errno : 0;
            break;
        }
        err = visit_names(buffer, n, visit, context);
        if (err < 0) {
            break;
        }
    }
    close(fd);
    return err;
}

int
pmt_prim_tracer_pid(void)
{
    char text[4096];
    pmt_prim_file_text("/proc/self/status", text, sizeof text);
    const char *line = strstr(text, "\nTracerPid:");
    return line ? atoi(line + strlen("\nTracerPid:")) : 0;
}

void
pmt_prim_own_name_sigsafe(char out[PMT_THREAD_NAME_KERNEL])
{
    memset(out, 0, PMT_THREAD_NAME_KERNEL);
    syscall(SYS_prctl, PR_GET_NAME, out, 0, 0, 0);
}

void
pmt_prim_thread_name(uint32_t pid, uint32_t tid, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/task/%u/comm", pid, tid);
    size_t n = pmt_prim_file_text(path, out, size);
    while (n > 0 && out[n - 1] == '\n') {
        out[--n] = '\0';
    }
}

void
pmt_prim_at_fork(void (*parent)(void), void (*child)(void))
{
    pthread_atfork(NULL, parent, child);
}
