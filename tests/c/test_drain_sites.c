// From the rings to the trace: native instructions, the modules they lie in, and their callers.
#define _GNU_SOURCE
#include "drain_support.h"

#include <fcntl.h>
#include <gnu/libc-version.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MODULES_AGAIN_US = 25000 };

static void
instruction_in_our_own_program(void **state)
{
    char self[256];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    uint64_t here = (uint64_t)(uintptr_t)&instruction_in_our_own_program;
    put_thread(0, TID, 20);
    put_fault(0, 0, 1, 50, 0x1000, here);
    put_fault(0, 0, 1, 51, 0x1000, NOWHERE);
    put_fault(0, 0, 1, 52, 0x1000, here);
    drain();
    read_back();
    assert_int_equal(got.counts[PMT_WIRE_SITE], 2);  // known again
    assert_int_equal(got.faults[0].instruction, here);
    assert_int_equal(got.faults[2].instruction, here);
    assert_int_not_equal(got.faults[0].module, 0);
    assert_int_equal(got.faults[0].module, got.faults[2].module);
    assert_string_equal(got.modules[got.faults[0].module], self);
}

static void
module_loaded_later(void **state)
{
    int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    unsigned before = process->modules.count;
    usleep(MODULES_AGAIN_US);
    char *mapped = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, exe, 0);
    assert_true(mapped != MAP_FAILED);
    close(exe);
    uint64_t now = pmt_prim_now_ns_sigsafe();
    put_thread(0, TID, 20);
    put(0, PMT_RAW_FAULT, 0, 1, FIELDS(now, 0x1000, NOWHERE));        // unknown: the mappings are looked at
    put(0, PMT_RAW_FAULT, 0, 1, FIELDS(now, 0x1000, NOWHERE + 1));    // but not for each such address
    put(0, PMT_RAW_FAULT, 0, 1, FIELDS(now, 0x1000, (uint64_t)(uintptr_t)mapped + 10));
    drain();
    munmap(mapped, 4096);
    read_back();
    assert_true(process->modules.count > before);
    assert_int_equal(got.faults[0].module, 0);
    assert_int_equal(got.faults[2].module, got.counts[PMT_WIRE_MODULE]);  // the newest
    assert_int_equal(got.last[PMT_WIRE_MODULE].u.module.start, (uintptr_t)mapped);
    assert_int_equal(got.last[PMT_WIRE_MODULE].u.module.size, 4096);
}

static void
caller_outside_the_c_library(void **state)
{
    uint64_t here = (uint64_t)(uintptr_t)&caller_outside_the_c_library, inside = (uint64_t)(uintptr_t)&gnu_get_libc_version;
    put_thread(0, TID, 20);
    put(0, PMT_RAW_NATIVE, 0, 0, FIELDS(0, NOWHERE, inside, inside + 1, here + 3, here, UINT64_MAX));
    put_fault(0, 0, 1, 50, 0x1000, inside);
    put_fault(0, 0, 1, 51, 0x1000, inside);  // it is of one fault
    put(0, PMT_RAW_NATIVE, 0, 0, FIELDS(here));
    put(0, PMT_RAW_NATIVE, 0, 0, FIELDS(inside, NOWHERE));  // nobody's but the C library's
    put_fault(0, 0, 1, 52, 0x1000, inside);
    put(0, PMT_RAW_NATIVE, 0, 0, NULL, 0);
    put_fault(0, PMT_RAW_FAULT_ASYNC, 1, 53, 0x1000, inside);
    put(0, PMT_RAW_NATIVE, 0, 0, FIELDS(here));
    put_fault(0, PMT_RAW_FAULT_ASYNC, 1, 54, 0x1000, inside);
    drain();
    read_back();
    assert_int_equal(got.fault_count, 5);
    static const bool known[] = {true, false, false, false, true}, late[] = {false, false, false, true, true};
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(got.faults[i].caller, known[i] ? (i ? here : here + 3) : 0);
        assert_int_equal(got.faults[i].instruction, inside);
        assert_int_equal(got.faults[i].async, late[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DRAIN_TEST(instruction_in_our_own_program),
        DRAIN_TEST(module_loaded_later),
        DRAIN_TEST(caller_outside_the_c_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
