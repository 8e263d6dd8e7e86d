// Which pages are there, of this process's own memory, in both ways of asking.
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/wire.h"
#include "prim/prim.h"

enum { PAGES = 64 };
static size_t page;

// The states of PAGES pages, looked at in as many steps as it takes.
static void
look(uint64_t start, bool by_numbers, unsigned states[PAGES])
{
    static pmt_pages_t pages;
    int pagemap = pmt_prim_own_file("pagemap");
    assert_true(pagemap >= 0);
    memset(states, 0, PAGES * sizeof *states);
    pages.by_numbers = by_numbers;
    for (pages.from = start, pages.end = start + PAGES * page; pages.from < pages.end; pages.from = pages.to) {
        assert_int_equal(pmt_prim_pages_look(pagemap, &pages), 0);
        assert_true(pages.to > pages.from && pages.to <= pages.end);
        for (unsigned i = 0; i < pages.count; i++) {
            for (uint64_t j = 0; j < pages.runs[i].pages; j++) {
                states[(pages.runs[i].start - start) / page + j] = pages.runs[i].state;
            }
        }
    }
    close(pagemap);
}

static char *
map(int flags)
{
    char *memory = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    madvise(memory, PAGES * page, MADV_NOHUGEPAGE);
    return memory;
}

static void
assert_states(const char *memory, bool by_numbers, unsigned zero)
{
    unsigned states[PAGES];
    look((uint64_t)(uintptr_t)memory, by_numbers, states);
    for (unsigned i = 0; i < PAGES; i++) {
        unsigned expected = i < 10 ? PMT_RESIDENT_ANON : i >= 20 && i < 30 ? zero : i == PAGES - 1 ? PMT_RESIDENT_ANON : PMT_RESIDENT_NONE;
        assert_int_equal(states[i], expected);
    }
}

static void
anonymous(void **state)
{
    char *memory = map(MAP_PRIVATE);
    volatile char sum = 0;
    for (unsigned i = 0; i < 12; i++) {
        memory[i * page] = 1;
    }
    for (unsigned i = 20; i < 30; i++) {
        sum = (char)(sum + memory[i * page]);
    }
    memory[(PAGES - 1) * page] = 1;
    madvise(memory + 10 * page, 2 * page, MADV_DONTNEED);
    assert_states(memory, false, PMT_RESIDENT_NONE);
    assert_states(memory, true, PMT_RESIDENT_ANON);  // the page of zeros cannot be told there
    munmap(memory, PAGES * page);
}

static void
shared(void **state)
{
    unsigned states[PAGES];
    char *memory = map(MAP_SHARED);
    memory[3 * page] = 1;
    for (int by_numbers = 0; by_numbers < 2; by_numbers++) {
        look((uint64_t)(uintptr_t)memory, by_numbers, states);
        for (unsigned i = 0; i < PAGES; i++) {
            assert_int_equal(states[i], i == 3 ? PMT_RESIDENT_FILE : PMT_RESIDENT_NONE);
        }
    }
    munmap(memory, PAGES * page);
}

// More runs than one look has room for.
static void
scattered(void **state)
{
    enum { RUNS = 3 * PMT_PAGES_RUNS };
    static pmt_pages_t pages;
    size_t size = 2 * RUNS * page;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(memory, size, MADV_NOHUGEPAGE);
    for (unsigned i = 0; i < RUNS; i++) {
        memory[2 * i * page] = 1;
    }
    int pagemap = pmt_prim_own_file("pagemap");
    for (int by_numbers = 0; by_numbers < 2; by_numbers++) {
        unsigned runs = 0, looks = 0;
        pages.by_numbers = by_numbers;
        uint64_t start = (uint64_t)(uintptr_t)memory;
        for (pages.from = start, pages.end = start + size; pages.from < pages.end; pages.from = pages.to, looks++) {
            assert_int_equal(pmt_prim_pages_look(pagemap, &pages), 0);
            for (unsigned i = 0; i < pages.count; i++, runs++) {
                assert_int_equal(pages.runs[i].start, start + 2 * runs * page);
                assert_int_equal(pages.runs[i].pages, 1);
            }
        }
        assert_int_equal(runs, RUNS);
        assert_true(looks >= 3);
    }
    close(pagemap);
    munmap(memory, size);
}

// No more pages in one look than it may keep the process waiting for.
static void
bounded(void **state)
{
    static pmt_pages_t pages;
    size_t size = (size_t)(PMT_PAGES_MOST + 1000) * page;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(memory, size, MADV_NOHUGEPAGE);
    memset(memory, 1, size);
    int pagemap = pmt_prim_own_file("pagemap");
    for (int by_numbers = 0; by_numbers < 2; by_numbers++) {
        pages = (pmt_pages_t){.from = (uint64_t)(uintptr_t)memory, .end = (uint64_t)(uintptr_t)memory + size, .by_numbers = by_numbers};
        assert_int_equal(pmt_prim_pages_look(pagemap, &pages), 0);
        assert_int_equal((pages.to - pages.from) / page, PMT_PAGES_MOST);
    }
    close(pagemap);
    munmap(memory, size);
}

static void
count(const pmt_mapping_t *mapping, void *context)
{
    *(unsigned *)context += strcmp(mapping->path, "[stack]") == 0;
}

// A process that has ended shows an address space without pages: that must not pass for pages that have gone.
static void
gone(void **state)
{
    static pmt_pages_t pages = {.from = 1 << 20, .end = UINT64_C(1) << 46};
    int ends[2], files[2];
    char name[64];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "/proc/%d/%s", (int)child, i ? "maps" : "pagemap");
        uint64_t size;
        files[i] = pmt_prim_file_open(name, &size);
        assert_true(files[i] >= 0);
    }
    unsigned stacks = 0;
    assert_int_equal(pmt_prim_pages_look(files[0], &pages), 0);
    assert_int_equal(pmt_prim_each_mapping_of(files[1], count, &stacks), 0);
    assert_int_equal(stacks, 1);
    close(ends[1]);
    waitpid(child, NULL, 0);
    for (int by_numbers = 0; by_numbers < 2; by_numbers++) {
        pages.by_numbers = by_numbers;
        assert_int_equal(pmt_prim_pages_look(files[0], &pages), -ESRCH);
    }
    assert_int_equal(pmt_prim_each_mapping_of(files[1], count, &stacks), -ESRCH);
    close(files[0]);
    close(files[1]);
}

static void
rollup(void **state)
{
    int fd = pmt_prim_own_file("smaps_rollup");
    assert_true(fd >= 0);
    int64_t kib = pmt_prim_rollup_kib(fd);
    assert_true(kib > 500 && kib < 1 << 20);
    close(fd);
}

int
main(void)
{
    page = pmt_prim_page_size_sigsafe();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anonymous),
        cmocka_unit_test(shared),
        cmocka_unit_test(scattered),
        cmocka_unit_test(bounded),
        cmocka_unit_test(gone),
        cmocka_unit_test(rollup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
