// What system calls that move memory or give it back did, from what they were given and what they answered; and that the C library's are found.
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "prim/prim.h"

enum { PAGE = 4096, FROM = 0x10000000, TO = 0x20000000 };

static pmt_call_effect_t
effect_of(enum pmt_call_e call, uint64_t first, uint64_t second, uint64_t third, int64_t result)
{
    pmt_call_seen_t seen = {.arguments = {first, second, third}, .result = result};
    pmt_call_effect_t effect;
    bool any = pmt_prim_call_effect_sigsafe(call, &seen, &effect);
    assert_int_equal(any, effect.moved || effect.size);
    return effect;
}

static void
assert_nothing(pmt_call_effect_t effect)
{
    assert_int_equal(effect.moved, 0);
    assert_int_equal(effect.size, 0);
}

static void
assert_moved(pmt_call_effect_t effect, uint64_t bytes)
{
    assert_int_equal(effect.from, FROM);
    assert_int_equal(effect.to, TO);
    assert_int_equal(effect.moved, bytes);
}

static void
assert_released(pmt_call_effect_t effect, uint64_t start, uint64_t bytes)
{
    assert_int_equal(effect.released, start);
    assert_int_equal(effect.size, bytes);
}

static void
mremap_moves(void **state)
{
    pmt_call_effect_t grown = effect_of(PMT_CALL_MREMAP, FROM, 3 * PAGE, 8 * PAGE, TO);
    assert_moved(grown, 3 * PAGE);
    assert_int_equal(grown.size, 0);
    assert_moved(effect_of(PMT_CALL_MREMAP, FROM, 2 * PAGE + 1, 8 * PAGE, TO), 3 * PAGE);
    assert_nothing(effect_of(PMT_CALL_MREMAP, FROM, 3 * PAGE, 8 * PAGE, FROM));
    assert_nothing(effect_of(PMT_CALL_MREMAP, FROM, 0, 8 * PAGE, TO));  // a second view of shared memory
    assert_nothing(effect_of(PMT_CALL_MREMAP, FROM, 3 * PAGE, 8 * PAGE, -ENOMEM));
}

static void
mremap_shrinks(void **state)
{
    pmt_call_effect_t here = effect_of(PMT_CALL_MREMAP, FROM, 8 * PAGE, 3 * PAGE, FROM);
    assert_int_equal(here.moved, 0);
    assert_released(here, FROM + 3 * PAGE, 5 * PAGE);
    pmt_call_effect_t elsewhere = effect_of(PMT_CALL_MREMAP, FROM, 8 * PAGE, 3 * PAGE, TO);
    assert_moved(elsewhere, 3 * PAGE);
    assert_released(elsewhere, FROM + 3 * PAGE, 5 * PAGE);
}

static void
munmap_and_madvise(void **state)
{
    assert_released(effect_of(PMT_CALL_MUNMAP, FROM, 5 * PAGE - 1, 0, 0), FROM, 5 * PAGE);
    assert_nothing(effect_of(PMT_CALL_MUNMAP, FROM, 5 * PAGE, 0, -EINVAL));
    assert_released(effect_of(PMT_CALL_MADVISE, FROM, 5 * PAGE, MADV_DONTNEED, 0), FROM, 5 * PAGE);
    assert_released(effect_of(PMT_CALL_MADVISE, FROM, 5 * PAGE, MADV_REMOVE, 0), FROM, 5 * PAGE);
    static const int kept[] = {MADV_NORMAL, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_FREE, MADV_WILLNEED};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        assert_nothing(effect_of(PMT_CALL_MADVISE, FROM, 5 * PAGE, (uint64_t)kept[i], 0));
    }
    assert_nothing(effect_of(PMT_CALL_MADVISE, FROM, 5 * PAGE, MADV_DONTNEED, -EINVAL));
}

static void
brk_from_end_to_end(void **state)
{
    effect_of(PMT_CALL_BRK, 0, 0, 0, FROM + 10 * PAGE);
    assert_nothing(effect_of(PMT_CALL_BRK, 0, 0, 0, FROM + 12 * PAGE));
    assert_released(effect_of(PMT_CALL_BRK, 0, 0, 0, FROM + 7 * PAGE), FROM + 7 * PAGE, 5 * PAGE);
    assert_nothing(effect_of(PMT_CALL_BRK, 0, 0, 0, FROM + 7 * PAGE));
    assert_released(effect_of(PMT_CALL_BRK, 0, 0, 0, FROM + 2 * PAGE + 1), FROM + 3 * PAGE, 4 * PAGE);  // the page is still there
}

static void
found(void **state)
{
    for (unsigned call = 1; call < PMT_CALLS; call++) {
        uint64_t instruction = pmt_prim_call_find((enum pmt_call_e)call);
#if defined(__x86_64__) && defined(__GLIBC__)
        assert_int_not_equal(instruction, 0);
        const uint8_t *code = (const uint8_t *)(uintptr_t)instruction;
        assert_int_equal(code[-2], 0x0f);
        assert_int_equal(code[-1], 0x05);
        assert_int_equal(pmt_prim_call_find((enum pmt_call_e)call), instruction);
#else
        assert_int_equal(instruction, 0);
#endif
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mremap_moves),        cmocka_unit_test(mremap_shrinks), cmocka_unit_test(munmap_and_madvise),
        cmocka_unit_test(brk_from_end_to_end), cmocka_unit_test(found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
