// Line tables: packing what CPython's compiler writes (Objects/locations.md), by hand here, and finding lines in the result.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/varint.h"
#include "format/lines.h"

enum { TABLE_MAX = 1 << 16, UNITS_MAX = 1 << 15, FIRST_LINE = 1000, NONE = INT32_MIN };

// ---- a co_linetable being made, and the truth about it ----

typedef struct table_s {
    uint8_t bytes[TABLE_MAX];
    size_t size;
    int64_t line;  // relative to the first
    int64_t lines[UNITS_MAX];  // of each code unit; NONE
    size_t units;
    size_t entry_ends[UNITS_MAX], entry_units[UNITS_MAX];  // bytes and units when so many entries are whole
    size_t entries;
} table_t;

static table_t table;
static uint8_t packed[TABLE_MAX], again[TABLE_MAX];

static int
new_table(void **state)
{
    table.size = table.units = table.entries = 0;
    table.line = 0;
    return 0;
}

static void
put_varint(uint32_t value)
{
    for (; value >= 64; value >>= 6) {
        table.bytes[table.size++] = (uint8_t)(64 | (value & 63));
    }
    table.bytes[table.size++] = (uint8_t)value;
}

static void
put_signed(int32_t value)
{
    put_varint(value < 0 ? ((0u - (uint32_t)value) << 1) | 1 : (uint32_t)value << 1);
}

static void
put_head(unsigned kind, unsigned units)
{
    table.bytes[table.size++] = (uint8_t)(0x80 | kind << 3 | (units - 1));
}

static void
ends(unsigned units, bool none)
{
    for (unsigned i = 0; i < units; i++) {
        table.lines[table.units++] = none ? NONE : table.line;
    }
    table.entry_ends[table.entries] = table.size;
    table.entry_units[table.entries++] = table.units;
}

static void
put_short(unsigned kind, unsigned units)  // 0..9: the line stays
{
    put_head(kind, units);
    table.bytes[table.size++] = 0x7f;
    ends(units, false);
}

static void
put_one_line(unsigned delta, unsigned units)  // kinds 10..12
{
    put_head(10 + delta, units);
    table.bytes[table.size++] = 0xff;
    table.bytes[table.size++] = 0x80;
    table.line += delta;
    ends(units, false);
}

static void
put_no_columns(int32_t delta, unsigned units)
{
    put_head(13, units);
    put_signed(delta);
    table.line += delta;
    ends(units, false);
}

static void
put_long(int32_t delta, unsigned units)
{
    put_head(14, units);
    put_signed(delta);
    put_varint(3);     // end line, further down
    put_varint(1000);  // columns
    put_varint(0);
    table.line += delta;
    ends(units, false);
}

static void
put_none(unsigned units)
{
    put_head(15, units);
    ends(units, true);
}

static size_t
pack(size_t size, size_t room, uint8_t *out)
{
    pmt_lines_packer_t packer;
    size_t done = 0, n;
    uint8_t piece[TABLE_MAX];
    pmt_lines_pack_begin(&packer, table.bytes, size);
    while ((n = pmt_lines_pack_sigsafe(&packer, piece, room)) > 0) {
        assert_in_range(n, 1, room);
        memcpy(out + done, piece, n);
        done += n;
    }
    assert_int_equal(pmt_lines_pack_sigsafe(&packer, piece, room), 0);  // done stays done
    return done;
}

static uint32_t
line_at(const uint8_t *runs, size_t size, uint32_t first_line, uint32_t offset)
{
    pmt_lines_cursor_t cursor;
    pmt_lines_begin(&cursor, runs, size, first_line);
    uint32_t line = pmt_lines_seek(&cursor, offset);
    assert_int_equal(pmt_lines_seek(&cursor, offset), line);  // it stays where it is
    return line;
}

// Each instruction's line is that of its unit, the first ones by either of their bytes, and behind the table there is none.
static void
assert_lines(size_t size, size_t units)
{
    pmt_lines_cursor_t forward;
    pmt_lines_begin(&forward, packed, size, FIRST_LINE);
    for (uint32_t offset = 0; offset < 2 * units; offset++) {
        int64_t line = table.lines[offset / 2];
        uint32_t expected = line == NONE ? 0 : (uint32_t)(FIRST_LINE + line);
        assert_int_equal(line_at(packed, size, FIRST_LINE, offset), expected);
        assert_int_equal(pmt_lines_seek(&forward, offset), expected);
    }
    assert_int_equal(line_at(packed, size, FIRST_LINE, (uint32_t)(2 * units)), 0);
    assert_int_equal(line_at(packed, size, FIRST_LINE, UINT32_MAX), 0);
}

static void
assert_packs_to(const uint8_t *expected, size_t size)
{
    assert_int_equal(pack(table.size, TABLE_MAX, packed), size);
    assert_memory_equal(packed, expected, size);
    assert_lines(size, table.units);
}

#define ASSERT_PACKS_TO(...) assert_packs_to((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

// ---- packing ----

static void
empty(void **state)
{
    assert_int_equal(pack(0, TABLE_MAX, packed), 0);
    assert_lines(0, 0);
}

static void
each_kind(void **state)
{
    for (unsigned kind = 0; kind < 10; kind++) {
        new_table(state);
        put_short(kind, 3);
        ASSERT_PACKS_TO(3, 1);
    }
    for (unsigned delta = 0; delta < 3; delta++) {
        new_table(state);
        put_one_line(delta, 8);
        ASSERT_PACKS_TO(8, (uint8_t)(1 + 2 * delta));
    }
    new_table(state);
    put_no_columns(-5, 1);
    ASSERT_PACKS_TO(1, 10);
    new_table(state);
    put_no_columns(5, 2);
    ASSERT_PACKS_TO(2, 11);
    new_table(state);
    put_long(100, 4);
    ASSERT_PACKS_TO(4, 0xc9, 0x01);
    new_table(state);
    put_long(-100, 4);
    ASSERT_PACKS_TO(4, 0xc8, 0x01);
    new_table(state);
    put_none(7);
    ASSERT_PACKS_TO(7, 0);
}

static void
neighbours_merge(void **state)
{
    put_one_line(1, 8);
    put_short(4, 8);
    put_no_columns(0, 2);
    put_long(0, 1);
    put_one_line(0, 1);
    ASSERT_PACKS_TO(20, 3);
    new_table(state);
    put_none(3);
    put_none(8);
    ASSERT_PACKS_TO(11, 0);
}

static void
no_line_between(void **state)
{
    put_one_line(1, 2);
    put_none(1);
    put_short(0, 2);  // the same line as before the gap, but not merged over it
    put_none(1);
    put_one_line(2, 1);  // relative to the last run with a line
    ASSERT_PACKS_TO(2, 3, 1, 0, 2, 1, 1, 0, 1, 5);
}

static void
there_and_back(void **state)
{
    // A loop's head, body and head again.
    put_one_line(1, 2);
    put_no_columns(1, 3);
    put_long(-1, 1);
    put_no_columns(-1, 1);
    ASSERT_PACKS_TO(2, 3, 3, 3, 1, 2, 1, 2);
}

static void
far_lines(void **state)
{
    put_no_columns(1 << 30, 1);
    put_no_columns(-(1 << 30), 1);
    put_long(INT32_MAX >> 1, 1);
    size_t size = pack(table.size, TABLE_MAX, packed);
    assert_lines(size, 3);
}

static void
longest_run(void **state)
{
    // 2^16 units of one line: the run is written once, at the end of the table.
    memset(table.bytes, 0x87, sizeof table.bytes);
    for (size_t i = 1; i < sizeof table.bytes; i += 2) {
        table.bytes[i] = 0;
    }
    assert_int_equal(pack(TABLE_MAX, PMT_LINES_RUN_MAX, packed), 4);
    assert_memory_equal(packed, "\x80\x80\x10\x01", 4);  // 32768 entries of 8
    assert_int_equal(line_at(packed, 4, 7, 2 * 262144 - 1), 7);
    assert_int_equal(line_at(packed, 4, 7, 2 * 262144), 0);
}

static uint32_t random_state;

static uint32_t
random_below(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)random_state * n >> 32);
}

static void
put_random(unsigned entries)
{
    for (unsigned i = 0; i < entries; i++) {
        unsigned units = 1 + random_below(8);
        int32_t delta = (int32_t)random_below(2001) - 1000;
        delta = delta < -table.line ? 0 : delta;
        switch (random_below(5)) {
        case 0:
            put_short(random_below(10), units);
            break;
        case 1:
            put_one_line(random_below(3), units);
            break;
        case 2:
            put_no_columns(delta, units);
            break;
        case 3:
            put_long(delta, units);
            break;
        default:
            put_none(units);
        }
    }
}

static void
all_buffer_sizes_agree(void **state)
{
    random_state = 1;
    put_random(300);
    size_t size = pack(table.size, TABLE_MAX, packed);
    assert_true(size > 400);
    assert_lines(size, table.units);
    for (size_t room = PMT_LINES_RUN_MAX; room < size + 2 * PMT_LINES_RUN_MAX; room++) {
        assert_int_equal(pack(table.size, room, again), size);
        assert_memory_equal(again, packed, size);
    }
}

static void
random_tables(void **state)
{
    for (random_state = 2; random_state < 100; random_state += 7) {
        uint32_t seed = random_state;
        new_table(state);
        put_random(1 + random_below(200));
        size_t size = pack(table.size, TABLE_MAX, packed);
        assert_lines(size, table.units);
        assert_true(size <= table.size * 3);
        random_state = seed;
    }
}

static void
cut_table_keeps_whole_entries(void **state)
{
    random_state = 3;
    put_random(60);
    size_t whole = 0;
    for (size_t size = 0; size <= table.size; size++) {
        while (whole < table.entries && table.entry_ends[whole] <= size) {
            whole++;
        }
        size_t n = pack(size, PMT_LINES_RUN_MAX, packed);
        assert_lines(n, whole ? table.entry_units[whole - 1] : 0);
    }
    assert_int_equal(whole, table.entries);
}

static void
malformed_entry_ends_table(void **state)
{
    put_one_line(1, 2);
    size_t at = table.size;
    put_one_line(2, 3);
    table.bytes[at] &= 0x7f;  // not the beginning of an entry
    size_t size = pack(table.size, TABLE_MAX, packed);
    assert_int_equal(size, 2);
    assert_lines(size, 2);
    new_table(state);
    put_head(13, 1);  // a varint without an end
    memset(table.bytes + 1, 0xff, 100);
    assert_int_equal(pack(101, TABLE_MAX, packed), 0);
    table.bytes[101] = 0;  // one of 606 bits: those above 32 do not count
    assert_int_equal(pack(102, TABLE_MAX, packed), 1 + 5);
    new_table(state);
    for (unsigned i = 0; i < 4; i++) {  // every byte of a long entry is needed
        new_table(state);
        put_long(-3, 1);
        assert_int_equal(pack(table.size - 1 - i, TABLE_MAX, packed), 0);
    }
}

// ---- finding in tables that nobody packed ----

static size_t
runs(const uint64_t *fields, size_t count)
{
    uint8_t *end = packed;
    for (size_t i = 0; i < count; i++) {
        end = pmt_varint_put(end, fields[i]);
    }
    return (size_t)(end - packed);
}

#define RUNS(...) runs((const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static void
find_by_the_documents_example(void **state)
{
    // docs/format.md section 7: runs of units and 1 + s(difference), relative to the last run that had a line.
    size_t size = RUNS(2, 1, 3, 1 + 2, 4, 0, 1, 1 + 1);
    static const uint32_t expected[] = {10, 10, 11, 11, 11, 0, 0, 0, 0, 10, 0};
    const uint32_t count = sizeof expected / sizeof *expected;
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(line_at(packed, size, 10, 2 * i), expected[i]);
    }
    for (uint32_t step = 1; step <= count; step++) {  // forward over some or all of the runs
        pmt_lines_cursor_t cursor;
        pmt_lines_begin(&cursor, packed, size, 10);
        for (uint32_t i = 0; i < count; i += step) {
            assert_int_equal(pmt_lines_seek(&cursor, 2 * i), expected[i]);
        }
    }
}

static void
find_in_cut_table(void **state)
{
    size_t size = RUNS(2, 1, 300, 1 + 2, 4, 1 + 600), second = 2 + 3;
    for (size_t n = 0; n < size; n++) {
        assert_int_equal(line_at(packed, n, 10, 0), n >= 2 ? 10 : 0);
        assert_int_equal(line_at(packed, n, 10, 4), n >= second ? 11 : 0);
        assert_int_equal(line_at(packed, n, 10, 604), 0);
    }
    assert_int_equal(line_at(packed, size, 10, 604), 311);
}

static void
find_in_hostile_table(void **state)
{
    size_t size = RUNS(0, 1 + 2, 0, 0, 1, 1);  // empty runs move the line
    assert_int_equal(line_at(packed, size, 10, 0), 11);
    size = RUNS(UINT64_MAX, 1);  // covers everything
    assert_int_equal(line_at(packed, size, 10, UINT32_MAX), 10);
    size = RUNS(UINT32_MAX, 1, 1, 3);
    assert_int_equal(line_at(packed, size, 10, UINT32_MAX), 10);
    size = RUNS(1, 1 + pmt_zigzag(-11));  // lines below 0 and above 32 bits are none
    assert_int_equal(line_at(packed, size, 10, 0), 0);
    size = RUNS(1, 1 + pmt_zigzag(-10));
    assert_int_equal(line_at(packed, size, 10, 0), 0);
    size = RUNS(1, 1 + pmt_zigzag((int64_t)UINT32_MAX - 9));
    assert_int_equal(line_at(packed, size, 10, 0), 0);
    size = RUNS(1, 1 + pmt_zigzag((int64_t)UINT32_MAX - 10));
    assert_int_equal(line_at(packed, size, 10, 0), UINT32_MAX);
    size = RUNS(1, UINT64_MAX, 1, UINT64_MAX, 1, 2);
    assert_int_equal(line_at(packed, size, 10, 4), 7);  // 10 + twice (2^63 - 1) - 1: the sum wraps
    memset(packed, 0xff, 64);
    assert_int_equal(line_at(packed, 64, 10, 0), 0);
    assert_int_equal(line_at(packed, 0, 10, 0), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(empty, new_table),
        cmocka_unit_test_setup(each_kind, new_table),
        cmocka_unit_test_setup(neighbours_merge, new_table),
        cmocka_unit_test_setup(no_line_between, new_table),
        cmocka_unit_test_setup(there_and_back, new_table),
        cmocka_unit_test_setup(far_lines, new_table),
        cmocka_unit_test_setup(longest_run, new_table),
        cmocka_unit_test_setup(all_buffer_sizes_agree, new_table),
        cmocka_unit_test_setup(random_tables, new_table),
        cmocka_unit_test_setup(cut_table_keeps_whole_entries, new_table),
        cmocka_unit_test_setup(malformed_entry_ends_table, new_table),
        cmocka_unit_test(find_by_the_documents_example),
        cmocka_unit_test(find_in_cut_table),
        cmocka_unit_test(find_in_hostile_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
