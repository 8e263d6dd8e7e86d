// array.h, varint.h, utf8.h, hash.h, and the asserts of check.h.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "base/varint.h"

#define TEXT(literal) (literal), (sizeof(literal) - 1)

// ---- array ----

static void
array_grows_and_keeps_what_is_in_it(void **state)
{
    uint32_t *array = NULL, room = 0;
    for (uint32_t count = 0; count < 10000; count++) {
        assert_int_equal(pmt_array_room(&array, count, &room, sizeof *array), 0);
        assert_true(room > count);
        array[count] = 3 * count;
    }
    for (uint32_t i = 0; i < 10000; i++) {
        assert_int_equal(array[i], 3 * i);
    }
    free(array);
}

static void
array_has_a_limit(void **state)
{
    char byte, *array = &byte;
    uint32_t room = PMT_ARRAY_MAX;
    assert_int_equal(pmt_array_room(&array, PMT_ARRAY_MAX, &room, sizeof *array), -ENOMEM);
    assert_ptr_equal(array, &byte);
    assert_int_equal(room, PMT_ARRAY_MAX);
}

// ---- varint ----

static const struct {
    uint64_t value;
    size_t size;
    uint8_t bytes[PMT_VARINT_MAX];
} known[] = {
    {0, 1, {0x00}},
    {1, 1, {0x01}},
    {127, 1, {0x7f}},
    {128, 2, {0x80, 0x01}},
    {300, 2, {0xac, 0x02}},
    {16383, 2, {0xff, 0x7f}},
    {16384, 3, {0x80, 0x80, 0x01}},
    {UINT32_MAX, 5, {0xff, 0xff, 0xff, 0xff, 0x0f}},
    {INT64_MAX, 9, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}},
    {1ull << 63, 10, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}},
    {UINT64_MAX, 10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
};

static void
varint_known_values(void **state)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint8_t out[PMT_VARINT_MAX];
        uint64_t value = ~known[i].value;
        const uint8_t *at = known[i].bytes;
        assert_ptr_equal(pmt_varint_put(out, known[i].value), out + known[i].size);
        assert_memory_equal(out, known[i].bytes, known[i].size);
        assert_true(pmt_varint_get(&at, known[i].bytes + known[i].size, &value));
        assert_int_equal(value, known[i].value);
        assert_ptr_equal(at, known[i].bytes + known[i].size);
    }
}

static void
varint_round_trip_around_each_power(void **state)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int off = -1; off <= 1; off++) {
            uint64_t value = (1ull << bit) + (uint64_t)off, back = 0;
            uint8_t out[PMT_VARINT_MAX];
            const uint8_t *at = out, *end = pmt_varint_put(out, value);
            assert_true(pmt_varint_get(&at, end, &back));
            assert_int_equal(back, value);
            assert_ptr_equal(at, end);
        }
    }
}

static void
varint_cut_anywhere(void **state)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        for (size_t size = 0; size < known[i].size; size++) {
            uint64_t value = 42;
            const uint8_t *at = known[i].bytes;
            assert_false(pmt_varint_get(&at, known[i].bytes + size, &value));
            assert_ptr_equal(at, known[i].bytes);  // nothing was taken
            assert_int_equal(value, 42);
        }
    }
}

static void
varint_too_long(void **state)
{
    uint64_t value = 42;
    uint8_t bytes[12];
    memset(bytes, 0x80, sizeof bytes);
    const uint8_t *at = bytes;
    bytes[10] = 0;  // eleven bytes
    assert_false(pmt_varint_get(&at, bytes + 11, &value));
    bytes[9] = 2;  // bit 64
    assert_false(pmt_varint_get(&at, bytes + 10, &value));
    bytes[9] = 0x81;  // bit 63, but the tenth byte says that one follows
    assert_false(pmt_varint_get(&at, bytes + 11, &value));
    assert_ptr_equal(at, bytes);
    assert_int_equal(value, 42);
}

static void
varint_padded(void **state)
{
    // A length that is known late is written padded: zero bits above are no error, up to ten bytes.
    uint64_t value = 42;
    const uint8_t padded[] = {0x85, 0x80, 0x00}, *at = padded;
    assert_true(pmt_varint_get(&at, padded + sizeof padded, &value));
    assert_int_equal(value, 5);
    assert_ptr_equal(at, padded + 3);
    const uint8_t longest[] = {0x85, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    at = longest;
    assert_true(pmt_varint_get(&at, longest + sizeof longest, &value));
    assert_int_equal(value, 5);
}

static void
zigzag(void **state)
{
    static const struct {
        int64_t value;
        uint64_t code;
    } pairs[] = {{0, 0}, {-1, 1}, {1, 2}, {-2, 3}, {2500, 5000}, {INT64_MAX, UINT64_MAX - 1}, {INT64_MIN, UINT64_MAX}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_int_equal(pmt_zigzag(pairs[i].value), pairs[i].code);
        assert_true(pmt_unzigzag(pairs[i].code) == pairs[i].value);
    }
}

// ---- utf8 ----

static void
utf8_valid(void **state)
{
    assert_true(pmt_utf8_valid(TEXT("")));
    assert_true(pmt_utf8_valid(TEXT("plain\0with nul")));
    assert_true(pmt_utf8_valid(TEXT("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")));  // the ends of each length
    assert_true(pmt_utf8_valid(TEXT("\xed\xa0\x80")));  // U+D800: surrogates pass
    assert_true(pmt_utf8_valid(TEXT("\xed\xbf\xbf")));  // U+DFFF
    assert_int_equal(pmt_utf8_sequence((const uint8_t *)"\xe2\x82\xac", 3), 3);
    assert_int_equal(pmt_utf8_sequence((const uint8_t *)"\xf0\x9f\x90\x8d...", 7), 4);
}

static void
utf8_not_valid(void **state)
{
    static const struct {
        const char *text;
        size_t size;
    } cases[] = {
        {TEXT("\x80")},              // continuation alone
        {TEXT("\xbf")},
        {TEXT("\xc0\x80")},          // overlong
        {TEXT("\xc1\xbf")},
        {TEXT("\xe0\x9f\xbf")},
        {TEXT("\xf0\x8f\xbf\xbf")},
        {TEXT("\xf4\x90\x80\x80")},  // above U+10FFFF
        {TEXT("\xf5\x80\x80\x80")},
        {TEXT("\xfe")},
        {TEXT("\xff")},
        {TEXT("\xc2")},              // cut
        {TEXT("\xe2\x82")},
        {TEXT("\xf0\x9f\x90")},
        {TEXT("\xe0")},
        {TEXT("\xf4")},
        {TEXT("\xc2\x41")},          // continuation missing
        {TEXT("\xe2\x41\xac")},
        {TEXT("\xe2\x82\x41")},
        {TEXT("\xf0\x9f\x90\x41")},
        {TEXT("good \xff")},
        {TEXT("\xff good")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_false(pmt_utf8_valid(cases[i].text, cases[i].size));
    }
}

// Undoes the escape: surrogates U+DC80..U+DCFF become bytes again.
static size_t
unescape(const uint8_t *text, size_t size, uint8_t *out)
{
    size_t done = 0;
    for (size_t i = 0; i < size;) {
        if (size - i >= 3 && text[i] == 0xed && (text[i + 1] == 0xb2 || text[i + 1] == 0xb3)) {
            out[done++] = (uint8_t)(text[i + 1] << 6 | (text[i + 2] & 0x3f));
            i += 3;
        } else {
            out[done++] = text[i++];
        }
    }
    return done;
}

static void
utf8_escape_round_trip(void **state)
{
    uint8_t all[256], escaped[3 * sizeof all], back[sizeof all];
    for (unsigned i = 0; i < sizeof all; i++) {
        all[i] = (uint8_t)(255 - i);
    }
    size_t size = pmt_utf8_escape(all, sizeof all, escaped, sizeof escaped);
    assert_int_equal(size, 128 + 3 * 128);
    assert_true(pmt_utf8_valid(escaped, size));
    assert_int_equal(unescape(escaped, size, back), sizeof all);
    assert_memory_equal(back, all, sizeof all);
    size = pmt_utf8_escape(TEXT("\x80\xff"), escaped, sizeof escaped);
    assert_int_equal(size, 6);
    assert_memory_equal(escaped, "\xed\xb2\x80\xed\xb3\xbf", 6);  // U+DC80, U+DCFF
    size = pmt_utf8_escape(TEXT("gr\xc3\xb6\xc3\x9f" "e"), escaped, sizeof escaped);
    assert_int_equal(size, 7);
    assert_memory_equal(escaped, "gr\xc3\xb6\xc3\x9f" "e", 7);
}

static void
utf8_escape_never_cuts_a_character(void **state)
{
    static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x8d\xff z";
    static const size_t ends[] = {0, 1, 3, 6, 10, 13, 14, 15};  // where characters end in the escaped text
    uint8_t out[64];
    for (size_t room = 0; room <= 20; room++) {
        size_t expected = 0;
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
            expected = ends[i] <= room ? ends[i] : expected;
        }
        memset(out, 0xee, sizeof out);
        assert_int_equal(pmt_utf8_escape(text, sizeof text - 1, out, room), expected);
        assert_true(pmt_utf8_valid(out, expected));
        assert_int_equal(out[expected], 0xee);
    }
}

// ---- hash ----

static void
hash_tells_apart(void **state)
{
    // Close keys must not share low bits, with which tables are indexed: 4096 of them into 4096 slots leave about 1/e of these empty.
    static uint8_t hit[3][4096];
    unsigned used[3] = {0};
    for (uint64_t i = 0; i < 4096; i++) {
        hit[0][pmt_hash_mix(i << 12) & 4095] = 1;
        hit[1][pmt_hash_add(i << 32, 7) & 4095] = 1;
        hit[2][pmt_hash_bytes(0, &i, sizeof i) & 4095] = 1;
    }
    for (int h = 0; h < 3; h++) {
        for (unsigned i = 0; i < 4096; i++) {
            used[h] += hit[h][i];
        }
        assert_in_range(used[h], 2400, 2800);  // expected 2589, standard deviation 30
    }
}

static void
hash_of_bytes(void **state)
{
    static const char text[] = "0123456789abcdef";
    char moved[32];
    for (size_t size = 0; size < sizeof text; size++) {
        memcpy(moved + 1, text, size);  // not aligned, and other bytes around
        assert_int_equal(pmt_hash_bytes(3, text, size), pmt_hash_bytes(3, moved + 1, size));
        assert_int_not_equal(pmt_hash_bytes(3, text, size), pmt_hash_bytes(4, text, size));
        for (size_t other = 0; other < size; other++) {
            assert_int_not_equal(pmt_hash_bytes(3, text, size), pmt_hash_bytes(3, text, other));
        }
    }
    assert_int_not_equal(pmt_hash_bytes(0, "\0", 1), pmt_hash_bytes(0, "\0\0", 2));  // a tail is padded with zeros, but its size counts
    assert_int_equal(pmt_hash_bytes(0, NULL, 0), pmt_hash_bytes(0, "", 0));
    assert_int_not_equal(pmt_hash_add(pmt_hash_add(0, 1), 2), pmt_hash_add(pmt_hash_add(0, 2), 1));
}

// ---- check ----

static void
failed_check_says_where_and_aborts(void **state)
{
    int ends[2], status;
    char text[256] = "";
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        pmt_check_failed("a == b", "file.c", 120);
    }
    close(ends[1]);
    assert_true(child > 0);
    for (size_t done = 0; done < sizeof text - 1;) {
        ssize_t n = read(ends[0], text + done, sizeof text - 1 - done);
        if (n <= 0) {
            break;
        }
        done += (size_t)n;
    }
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);  // a sanitizer may make an exit of SIGABRT
    assert_non_null(strstr(text, "pymemtrace: check failed: a == b at file.c:120\n"));
}

static void
checks_are_on(void **state)
{
    int evaluated = 0;
    PMT_ASSERT(++evaluated);
    PMT_INVARIANT(++evaluated);
    PMT_EXPENSIVE(++evaluated);
    assert_int_equal(evaluated, PMT_CHECK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(array_grows_and_keeps_what_is_in_it),
        cmocka_unit_test(array_has_a_limit),
        cmocka_unit_test(varint_known_values),
        cmocka_unit_test(varint_round_trip_around_each_power),
        cmocka_unit_test(varint_cut_anywhere),
        cmocka_unit_test(varint_too_long),
        cmocka_unit_test(varint_padded),
        cmocka_unit_test(zigzag),
        cmocka_unit_test(utf8_valid),
        cmocka_unit_test(utf8_not_valid),
        cmocka_unit_test(utf8_escape_round_trip),
        cmocka_unit_test(utf8_escape_never_cuts_a_character),
        cmocka_unit_test(hash_tells_apart),
        cmocka_unit_test(hash_of_bytes),
        cmocka_unit_test(failed_check_says_where_and_aborts),
        cmocka_unit_test(checks_are_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
