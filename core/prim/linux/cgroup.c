// The memory controller of a process's cgroup, v1 and v2 (prim.h). In a container the path in /proc may be the host's: then the mount's root is ours.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "prim/prim.h"

enum { PATH_SIZE = 1024 };
static const int64_t NO_LIMIT = (int64_t)1 << 60;  // v1 writes "none" as a number near 2^63

typedef struct controller_s {
    const char *root, *usage, *limit;
} controller_t;

static const controller_t v1 = {"/sys/fs/cgroup/memory", "memory.usage_in_bytes", "memory.limit_in_bytes"};
static const controller_t v2 = {"/sys/fs/cgroup", "memory.current", "memory.max"};

static int64_t
read_number(int fd)
{
    char text[32];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n <= 0) {
        return -1;
    }
    text[n] = '\0';
    return text[0] >= '0' && text[0] <= '9' ? strtoll(text, NULL, 10) : NO_LIMIT;  // v2: "max"
}

// Finds the line of the memory controller ("N:memory:/path") or of v2 ("0::/path"); v1 wins where both are mounted.
static const controller_t *
find_path(uint32_t pid, char path[PATH_SIZE])
{
    char file[40], line[PATH_SIZE];
    const controller_t *found = NULL;
    snprintf(file, sizeof file, "/proc/%u/cgroup", pid);
    FILE *f = fopen(file, "re");
    while (f && fgets(line, sizeof line, f)) {
        char *controllers = strchr(line, ':'), *at = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!at) {
            continue;
        }
        *at++ = '\0';
        at[strcspn(at, "\n")] = '\0';
        bool is_v1 = strcmp(controllers + 1, "memory") == 0;
        if (is_v1 || (controllers[1] == '\0' && !found)) {
            found = is_v1 ? &v1 : &v2;
            snprintf(path, PATH_SIZE, "%s", at);
        }
    }
    if (f) {
        fclose(f);
    }
    return found;
}

static int
open_file(const controller_t *controller, const char *path, const char *name)
{
    char file[2 * PATH_SIZE];
    snprintf(file, sizeof file, "%s%s/%s", controller->root, path, name);
    return open(file, O_RDONLY | O_CLOEXEC);
}

static int64_t
lowest_limit(const controller_t *controller, char path[PATH_SIZE])
{
    int64_t lowest = NO_LIMIT;
    for (;;) {
        int fd = open_file(controller, path, controller->limit);
        int64_t limit = fd < 0 ? -1 : read_number(fd);
        pmt_prim_close_sigsafe(fd);
        lowest = limit >= 0 && limit < lowest ? limit : lowest;
        char *slash = strrchr(path, '/');
        if (!slash) {
            break;
        }
        *slash = '\0';
    }
    return lowest < NO_LIMIT ? lowest >> 10 : -1;
}

int
pmt_prim_cgroup_open(uint32_t pid, pmt_cgroup_t *out)
{
    char path[PATH_SIZE];
    const controller_t *controller = find_path(pid, path);
    *out = (pmt_cgroup_t){.usage_fd = -1, .limit_kib = -1};
    if (!controller) {
        return -ENOENT;
    }
    if (strcmp(path, "/") == 0) {
        path[0] = '\0';
    }
    out->usage_fd = open_file(controller, path, controller->usage);
    if (out->usage_fd < 0) {
        path[0] = '\0';
        out->usage_fd = open_file(controller, path, controller->usage);
    }
    out->limit_kib = lowest_limit(controller, path);
    return out->usage_fd < 0 ? -errno : 0;
}

int
pmt_prim_cgroup_read(const pmt_cgroup_t *cgroup, int64_t *usage_kib)
{
    int64_t usage = read_number(cgroup->usage_fd);
    *usage_kib = usage >> 10;
    return usage < 0 ? -EIO : 0;
}
