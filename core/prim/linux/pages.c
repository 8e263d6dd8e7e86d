// Which pages of a process are there (prim.h): PAGEMAP_SCAN, and on kernels before 6.7 the numbers in /proc/PID/pagemap.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "format/wire.h"
#include "prim/linux/pagemap.h"
#include "prim/prim.h"

// Of a page in pagemap: Documentation/admin-guide/mm/pagemap.rst.
#define BIT_PRESENT (UINT64_C(1) << 63)
#define BIT_SWAP (UINT64_C(1) << 62)
#define BIT_FILE (UINT64_C(1) << 61)

static unsigned
state_of(uint64_t categories)
{
    if (categories & PMT_SCAN_PRESENT) {
        return categories & PMT_SCAN_FILE ? PMT_RESIDENT_FILE : categories & PMT_SCAN_HUGE ? PMT_RESIDENT_HUGE : PMT_RESIDENT_ANON;
    }
    return PMT_RESIDENT_SWAP;
}

// A process that has ended, or replaced itself by an exec, shows an address space without pages. -ESRCH then.
static int
check_alive(int pagemap)
{
    uint64_t page;
    return pread(pagemap, &page, sizeof page, 0) == (ssize_t)sizeof page ? 0 : -ESRCH;
}

static int
scan(int pagemap, pmt_pages_t *pages)
{
    enum { ROOM = PMT_PAGES_RUNS };  // with more than there are entries in a page table the kernel's walk_end may be that of a part of it
    static pmt_page_region_t regions[ROOM];  // one thread asks
    uint64_t page = pmt_prim_page_size_sigsafe();
    pmt_scan_request_t request = {
        .size = sizeof request,
        .start = pages->from,
        .end = pages->end,
        .regions = (uint64_t)(uintptr_t)regions,
        .region_count = ROOM,
        .max_pages = PMT_PAGES_MOST,
        .inverted = PMT_SCAN_ZERO,
        .all_of = PMT_SCAN_ZERO,
        .any_of = PMT_SCAN_PRESENT | PMT_SCAN_SWAPPED,
        .wanted = PMT_SCAN_PRESENT | PMT_SCAN_SWAPPED | PMT_SCAN_FILE | PMT_SCAN_HUGE,
    };
    int count = ioctl(pagemap, PMT_SCAN_REQUEST, &request);
    if (count < 0) {
        return -errno;
    }
    for (int i = 0; i < count; i++) {
        pages->runs[i] = (pmt_page_run_t){regions[i].start, (regions[i].end - regions[i].start) / page, state_of(regions[i].categories)};
    }
    pages->count = (unsigned)count;
    pages->to = request.walk_end;
    return 0;
}

static unsigned
state_of_number(uint64_t number)
{
    return number & BIT_PRESENT ? number & BIT_FILE ? PMT_RESIDENT_FILE : PMT_RESIDENT_ANON : number & BIT_SWAP ? PMT_RESIDENT_SWAP : PMT_RESIDENT_NONE;
}

// False: there is no room for another run.
static bool
add_page(pmt_pages_t *pages, uint64_t address, uint64_t page, unsigned state)
{
    pmt_page_run_t *last = pages->count ? &pages->runs[pages->count - 1] : NULL;
    if (last && last->state == state && last->start + last->pages * page == address) {
        last->pages++;
        return true;
    }
    if (pages->count == PMT_PAGES_RUNS) {
        return false;
    }
    pages->runs[pages->count++] = (pmt_page_run_t){address, 1, state};
    return true;
}

// A page of zeros cannot be told from others here, nor a huge page from small ones.
static int
read_numbers(int pagemap, pmt_pages_t *pages)
{
    enum { ROOM = 8192 };
    static uint64_t numbers[ROOM];
    uint64_t page = pmt_prim_page_size_sigsafe(), left = (pages->end - pages->from) / page, most = PMT_PAGES_MOST;
    pages->count = 0;
    for (pages->to = pages->from; left > 0 && most > 0;) {
        uint64_t wanted = left < ROOM ? left : ROOM;
        wanted = wanted < most ? wanted : most;
        ssize_t n = pread(pagemap, numbers, wanted * sizeof *numbers, (off_t)(pages->to / page * sizeof *numbers));
        if (n < (ssize_t)sizeof *numbers) {
            return n < 0 ? -errno : -ESRCH;
        }
        for (ssize_t i = 0; i < n / (ssize_t)sizeof *numbers; i++, pages->to += page, left--, most--) {
            unsigned state = state_of_number(numbers[i]);
            if (state != PMT_RESIDENT_NONE && !add_page(pages, pages->to, page, state)) {
                return 0;
            }
        }
    }
    return 0;
}

int
pmt_prim_pages_look(int pagemap, pmt_pages_t *pages)
{
    int err = pages->by_numbers ? -ENOTTY : scan(pagemap, pages);
    if (err == -ENOTTY || err == -EINVAL) {
        pages->by_numbers = true;
        err = read_numbers(pagemap, pages);
    }
    return err ? err : check_alive(pagemap);
}

// ---- mappings ----

// start-end perms offset device inode   path
static bool
parse(char *line, pmt_mapping_t *out)
{
    char perms[5];
    int path_at = 0;
    if (sscanf(line, "%lx-%lx %4s %lx %*s %*s %n", &out->start, &out->end, perms, &out->offset, &path_at) < 4 || path_at == 0) {
        return false;
    }
    out->executable = perms[2] == 'x';
    out->path = line + path_at;
    return true;
}

int
pmt_prim_each_mapping_of(int maps, void (*visit)(const pmt_mapping_t *mapping, void *context), void *context)
{
    enum { ROOM = 64 << 10 };
    static char text[ROOM + 1];  // one thread asks
    size_t held = 0;
    ssize_t n;
    bool any = false;
    for (off_t at = 0; (n = pread(maps, text + held, ROOM - held, at)) > 0; at += n) {
        held += (size_t)n;
        char *line = text, *end;
        while ((end = memchr(line, '\n', held - (size_t)(line - text)))) {
            pmt_mapping_t mapping;
            *end = '\0';
            if (parse(line, &mapping)) {
                visit(&mapping, context);
                any = true;
            }
            line = end + 1;
        }
        held -= (size_t)(line - text);
        memmove(text, line, held);
        if (held == ROOM) {
            return -EOVERFLOW;  // no line is that long
        }
    }
    return n < 0 ? -errno : any ? 0 : -ESRCH;
}

int64_t
pmt_prim_rollup_kib(int rollup)
{
    char text[2048];
    ssize_t n = pread(rollup, text, sizeof text - 1, 0);
    if (n <= 0) {
        return n < 0 ? -errno : -ESRCH;
    }
    text[n] = '\0';
    const char *line = strstr(text, "\nRss:");
    return line ? strtoll(line + 5, NULL, 10) : -ENOENT;
}
