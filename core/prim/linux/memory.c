// Mappings (prim.h).
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "prim/prim.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14
#endif

enum { RESIDENT_MAX = 512 };

size_t
pmt_prim_page_size_sigsafe(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static int
map(size_t size, int flags, int fd, void **out)
{
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, fd, 0);
    if (base == MAP_FAILED) {
        return -errno;
    }
    // Huge pages would make 2 MiB of each touched ring; a fork child must not write into its parent's rings.
    madvise(base, size, MADV_NOHUGEPAGE);
    madvise(base, size, MADV_DONTFORK);
    *out = base;
    return 0;
}

int
pmt_prim_reserve(size_t size, void **out)
{
    return map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1, out);
}

int
pmt_prim_map_shared(int fd, size_t size, void **out)
{
    return map(size, MAP_SHARED, fd, out);
}

int
pmt_prim_share(const char *name, size_t size, int *fd, void **out)
{
    int err = 0;
    int file = memfd_create(name, MFD_CLOEXEC);
    if (file < 0) {
        return -errno;
    }
    if (ftruncate(file, (off_t)size) < 0) {
        err = -errno;
        goto out;
    }
    err = pmt_prim_map_shared(file, size, out);
out:
    if (err) {
        close(file);
        file = -1;
    }
    *fd = file;
    return err;
}

void
pmt_prim_unmap(void *base, size_t size)
{
    munmap(base, size);
}

int
pmt_prim_populate_sigsafe(void *base, size_t size)
{
    return madvise(base, size, MADV_POPULATE_WRITE) < 0 ? -errno : 0;
}

int
pmt_prim_resident_pages_sigsafe(uint64_t base, size_t size)
{
    unsigned char present[RESIDENT_MAX];
    size_t pages = size / pmt_prim_page_size_sigsafe();
    int count = 0;
    if (pages > RESIDENT_MAX) {
        return -EINVAL;
    }
    if (mincore((void *)base, size, present) < 0) {
        return -errno;
    }
    for (size_t i = 0; i < pages; i++) {
        count += present[i] & 1;
    }
    return count;
}
