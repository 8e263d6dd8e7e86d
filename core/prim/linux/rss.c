// The process's resident set from /proc/self/statm through a descriptor that stays open (prim.h): one pread, 0.6 to 1.4 us.
// statm is exact from the 6.16 kernel cycle on; before, its numbers lag in bursts of about 64 pages a CPU.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/compiler.h"
#include "prim/prim.h"

enum {
    HIGHEST = 32768,  // not higher: the kernel's descriptor table, which fork copies, grows to the highest number
    FALLBACK = 1000,
    ROOM = 16,
};

// Out of the program's way, and of its loops over all descriptors, is a number above its soft limit, which is raised for a moment. Where that is refused: a high one.
static int
move_up(int fd, const struct rlimit *limit)
{
    if (limit->rlim_cur < HIGHEST) {
        struct rlimit raised = {limit->rlim_cur + ROOM, limit->rlim_max};
        raised.rlim_max = raised.rlim_max < raised.rlim_cur ? raised.rlim_cur : raised.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
            int high = fcntl(fd, F_DUPFD_CLOEXEC, (int)limit->rlim_cur);
            setrlimit(RLIMIT_NOFILE, limit);
            return high;
        }
    }
    int lowest = FALLBACK;
    if (limit->rlim_cur < FALLBACK + ROOM) {
        lowest = limit->rlim_cur > 2 * ROOM ? (int)limit->rlim_cur - ROOM : 0;
    }
    return fcntl(fd, F_DUPFD_CLOEXEC, lowest);
}

int
pmt_prim_rss_open_sigsafe(void)
{
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    struct rlimit limit;
    int high = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? move_up(fd, &limit) : -1;
    if (high < 0) {
        return fd;  // the limit is nearly used up: better a low descriptor than none
    }
    close(fd);
    return high;
}

// Reads a number and the space or newline behind it; NULL if there is none.
static const char *
parse(const char *p, const char *end, uint64_t *out)
{
    const char *start = p;
    uint64_t n = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        n = n * 10 + (uint64_t)(*p - '0');
    }
    *out = n;
    return p > start && p < end ? p + 1 : NULL;
}

int
pmt_prim_rss_read_sigsafe(int fd, pmt_rss_t *out)
{
    char text[128];
    ssize_t n = pread(fd, text, sizeof text, 0);
    if (PMT_UNLIKELY(n <= 0)) {
        return -ESTALE;
    }
    const char *p = text, *end = text + n;
    uint64_t size, resident, shared;
    // "size resident shared text lib data dt\n": anything else is a descriptor that the program reused
    if (PMT_UNLIKELY(!(p = parse(p, end, &size)) || !(p = parse(p, end, &resident)) || !(p = parse(p, end, &shared)) || text[n - 1] != '\n' ||
                     shared > resident)) {
        return -ESTALE;
    }
    out->anon = (uint32_t)(resident - shared);
    out->shared = (uint32_t)shared;
    return 0;
}

int
pmt_prim_rss_read_once_sigsafe(pmt_rss_t *out)
{
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    int err = fd < 0 ? -errno : pmt_prim_rss_read_sigsafe(fd, out);
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

void
pmt_prim_rss_close_sigsafe(int fd)
{
    struct statfs status;
    if (fd >= 0 && fstatfs(fd, &status) == 0 && status.f_type == PROC_SUPER_MAGIC) {
        close(fd);
    }
}

uint64_t
pmt_prim_rss_peak_fast(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_maxrss;
}

uint64_t
pmt_prim_rss_peak(void)
{
    char text[4096];
    pmt_prim_file_text("/proc/self/status", text, sizeof text);
    const char *line = strstr(text, "\nVmHWM:");
    return line ? strtoull(line + strlen("\nVmHWM:"), NULL, 10) : 0;
}
