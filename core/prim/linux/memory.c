// Mappings (prim.h).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/compiler.h"
#include "prim/linux/pagemap.h"
#include "prim/prim.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14
#endif

size_t
pmt_prim_page_size_sigsafe(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

unsigned
pmt_prim_cpus(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus > 0 ? (unsigned)cpus : 1;
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

bool
pmt_prim_address_space_is_ample(size_t size)
{
    enum { TIMES = 16 };
    struct rlimit limit;
    return getrlimit(RLIMIT_AS, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur / TIMES >= size;
}

int
pmt_prim_reserve(size_t size, void **out)
{
    return map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1, out);
}

int
pmt_prim_map_shared(int fd, size_t size, void **out)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size < size) {
        return -EINVAL;  // its pages behind the end would be a SIGBUS
    }
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
pmt_prim_page_sigsafe(uint64_t address)
{
    uint64_t page = pmt_prim_page_size_sigsafe(), start = address & ~(page - 1);
    pmt_page_region_t region = {0};
    pmt_scan_request_t request = {
        .size = sizeof request,
        .start = start,
        .end = start + page,
        .regions = (uint64_t)(uintptr_t)&region,
        .region_count = 1,
        .any_of = PMT_SCAN_PRESENT,
        .wanted = PMT_SCAN_PRESENT | PMT_SCAN_FILE | PMT_SCAN_ZERO | PMT_SCAN_HUGE,
    };
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int n = ioctl(fd, PMT_SCAN_REQUEST, &request);
    int err = n < 0 ? -errno : 0;
    close(fd);
    if (err) {
        return err;
    }
    return (region.categories & PMT_SCAN_PRESENT ? PMT_PAGE_PRESENT : 0) | (region.categories & PMT_SCAN_FILE ? PMT_PAGE_FILE : 0) |
           (region.categories & PMT_SCAN_ZERO ? PMT_PAGE_ZERO : 0) | (region.categories & PMT_SCAN_HUGE ? PMT_PAGE_HUGE : 0);
}

// The kernel reads the new mask before it looks at what is to be done with it, which is nonsense here: EFAULT if the word cannot be read, else EINVAL.
static bool
is_readable(uint64_t address)
{
    enum { NONSENSE = -1, MASK_SIZE = 8 };
    return syscall(SYS_rt_sigprocmask, NONSENSE, address & ~(uint64_t)(MASK_SIZE - 1), NULL, MASK_SIZE) == 0 || errno != EFAULT;
}

// Not process_vm_readv: it waits for the lock of the address space, for which threads that map and release memory queue. Between the look and the copy
// another thread could unmap the page; what is peeked at is nearly always the thread's own.
size_t
pmt_prim_peek_sigsafe(uint64_t address, void *out, size_t size)
{
    size_t page = pmt_prim_page_size_sigsafe(), done = 0;
    while (done < size && is_readable(address + done)) {
        size_t left = page - (address + done) % page, piece = left < size - done ? left : size - done;
        memcpy((char *)out + done, (const void *)(uintptr_t)(address + done), piece);
        done += piece;
    }
    return done;
}

typedef struct object_s {
    uint64_t inside, start, end;
} object_t;

static int
find_object(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    object_t *object = context;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uint64_t start = info->dlpi_addr + header->p_vaddr, end = start + header->p_memsz;
        if (header->p_type == PT_LOAD && header->p_flags & PF_X && object->inside >= start && object->inside < end) {
            object->start = start;
            object->end = end;
            return 1;
        }
    }
    return 0;
}

void
pmt_prim_c_library(uint64_t *start, uint64_t *end)
{
    object_t object = {.inside = (uint64_t)(uintptr_t)gnu_get_libc_version};
    dl_iterate_phdr(find_object, &object);
    *start = object.start;
    *end = object.end;
}
