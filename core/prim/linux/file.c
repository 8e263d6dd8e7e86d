// Files (prim.h): the whole of what was asked for, whatever signals come between.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prim/prim.h"

int
pmt_prim_file_open(const char *path, uint64_t *size)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    int err = fstat(fd, &status) < 0 ? -errno : S_ISDIR(status.st_mode) ? -EISDIR : 0;
    if (err) {
        close(fd);
        return err;
    }
    *size = (uint64_t)status.st_size;
    return fd;
}

int64_t
pmt_prim_file_read(int fd, void *out, size_t size, uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(fd, (char *)out + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    return (int64_t)done;
}

int
pmt_prim_file_write(int fd, const void *data, size_t size)
{
    for (const char *at = data; size > 0;) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

int
pmt_prim_file_cut(int fd, uint64_t size)
{
    return ftruncate(fd, (off_t)size) < 0 || lseek(fd, (off_t)size, SEEK_SET) < 0 ? -errno : 0;
}

size_t
pmt_prim_file_name(int fd, char *out, size_t size)
{
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, out, size);
    return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

int
pmt_prim_own_file(const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

bool
pmt_prim_descriptors_left(int fd, unsigned count)
{
    struct rlimit limit;
    int lowest = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    pmt_prim_close_sigsafe(lowest);
    return lowest >= 0 && (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= (rlim_t)lowest + count);
}

void
pmt_prim_close_sigsafe(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

size_t
pmt_prim_file_text(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);
    pmt_prim_close_sigsafe(fd);
    size_t got = n > 0 ? (size_t)n : 0;
    out[got] = '\0';
    return got;
}
