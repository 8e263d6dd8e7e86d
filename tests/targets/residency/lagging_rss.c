// Preloaded: RSS as kernels before 6.16 tell it. /proc/self/statm changes only when its truth is 64 pages away, up or down, for
// anonymous and other pages apart, and the kernel calls itself 6.8. With -DREFUSE the program's pagemap cannot be opened instead.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifdef REFUSE

static int
refused(const char *path)
{
    const char *name = strrchr(path, '/');
    return strncmp(path, "/proc/", 6) == 0 && name && strcmp(name, "/pagemap") == 0;
}

int
open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    int mode = va_arg(more, int);
    va_end(more);
    if (refused(path)) {
        errno = EACCES;
        return -1;
    }
    return openat(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

#else

enum { LAG = 64, OURS = 128 };

static _Atomic long shown[2];

static long
lag(int which, long truth)
{
    long old = atomic_load(&shown[which]);
    if (labs(truth - old) < LAG) {
        return old;
    }
    atomic_store(&shown[which], truth);
    return truth;
}

// No stdio: this runs in a signal handler.
static char *
put(char *p, long n)
{
    char digits[24];
    int count = 0;
    do {
        digits[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    while (count) {
        *p++ = digits[--count];
    }
    *p++ = ' ';
    return p;
}

static ssize_t
statm(char *text, ssize_t length)
{
    long value[7];
    char *p = text;
    for (int i = 0; i < 7; i++) {
        char *end;
        value[i] = strtol(p, &end, 10);
        if (end == p || end >= text + length) {
            return length;  // another file
        }
        p = end;
    }
    long shared = lag(1, value[2]);
    value[1] = lag(0, value[1] - value[2]) + shared;
    value[2] = shared;
    p = text;
    for (int i = 0; i < 7; i++) {
        p = put(p, value[i]);
    }
    p[-1] = '\n';
    return p - text;
}

ssize_t
pread(int fd, void *buffer, size_t size, off_t offset)
{
    static ssize_t (*real)(int, void *, size_t, off_t);
    if (!real) {
        real = (ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread");
    }
    ssize_t n = real(fd, buffer, size, offset);
    return size == OURS && n > 0 && n < OURS - 24 && ((char *)buffer)[n - 1] == '\n' ? statm(buffer, n) : n;
}

ssize_t pread64(int fd, void *buffer, size_t size, off_t offset) __attribute__((alias("pread")));

int
uname(struct utsname *name)
{
    int status = (int)syscall(SYS_uname, name);
    strcpy(name->release, "6.8.0");
    return status;
}

__attribute__((constructor)) static void
ready(void)
{
    char nothing;
    pread(-1, &nothing, 1, 0);  // looks the real one up before any signal handler runs
}

#endif
