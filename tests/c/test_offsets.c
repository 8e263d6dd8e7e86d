// From instruction offsets to lines: a code object's offsets in one pass, however many they are and however long its line table is.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "analyze/offsets.h"
#include "format/wire.h"
#include "support.h"

enum { FIRST_LINE = 10 };

static pmt_profile_t profile;
static pmt_table_t offsets;
static pmt_writer_t *writer;
static int file;

static int
set_up(void **state)
{
    writer = pmt_test_writer(&file);
    pmt_writer_process(writer, 100, 1, 0);
    pmt_writer_process(writer, 200, 1, 0);
    pmt_writer_node(writer, 1, PMT_CODE_ROOT, 0);
    pmt_writer_node(writer, 2, PMT_CODE_ROOT, 1);
    pmt_table_init(&offsets, sizeof(pmt_offset_t), PMT_OFFSET_KEY);
    return 0;
}

static int
tear_down(void **state)
{
    pmt_writer_free(writer);
    pmt_table_fini(&offsets);
    pmt_profile_fini(&profile);
    close(file);
    return 0;
}

static void
resolve(void)
{
    char path[PMT_TEST_PATH], error[PMT_ERROR_MAX];
    assert_int_equal(pmt_writer_flush(writer), 0);
    assert_int_equal(pmt_profile_read(&profile, pmt_test_path(file, path), 0, error), 0);
    assert_int_equal(pmt_offsets_resolve(&offsets, &profile), 0);
}

static uint32_t
line_of(uint32_t process, uint32_t code, uint32_t offset)
{
    return pmt_offsets_line(&offsets, &(pmt_raw_node_t){.process = process, .code = code, .offset = offset});
}

static void
put_code(uint64_t process, uint64_t id, uint64_t first_line)
{
    pmt_writer_code(writer, process, id, first_line, "a.py", 4, "f", 1);
}

// Nodes of one process and code: offsets 2 * (order[i] - 'a').
static void
put_nodes(uint32_t *count, uint32_t root, uint32_t code, const char *order)
{
    for (; *order; order++) {
        pmt_writer_node(writer, ++*count - root, code, 2 * (uint32_t)(*order - 'a'));
    }
}

static void
offsets_in_any_order(void **state)
{
    uint32_t count = 2;
    put_nodes(&count, 1, 1, "dbacadfz");
    put_nodes(&count, 2, 1, "ba");
    put_nodes(&count, 1, 2, "cb");
    put_nodes(&count, 1, 3, "a");
    put_nodes(&count, 1, 1, "ea");
    put_code(0, 1, FIRST_LINE);
    put_code(1, 1, 50);
    put_code(0, 2, 70);
    pmt_writer_code_lines(writer, 0, 1, "\1\1\1\3\2\0\2\3", 8);  // a line, the next, two units of none, the one after
    pmt_writer_code_lines(writer, 1, 1, "\1\3\1\3", 4);
    resolve();
    static const uint32_t expected[] = {10, 11, 0, 0, 12, 12};
    for (uint32_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_int_equal(line_of(0, 1, 2 * i), expected[i]);
    }
    assert_int_equal(line_of(0, 1, 2 * 25), 0);  // behind the table
    assert_int_equal(line_of(1, 1, 0), 51);
    assert_int_equal(line_of(1, 1, 2), 52);
    assert_int_equal(line_of(0, 2, 4), 0);  // has no table
    assert_int_equal(line_of(0, 3, 0), 0);  // is not known at all
    assert_int_equal(line_of(1, 2, 0), 0);  // was not asked for
}

static void
many_offsets_in_one_huge_table(void **state)
{
    // Looking each of them up from the start of the table would read 10 GB.
    enum { RUNS = 256 << 10, NODES = 20000, PIECE = 32 << 10, SECONDS_MAX = 20 };
    static uint8_t piece[PIECE];
    uint32_t count = 2;
    put_code(0, 1, FIRST_LINE);
    for (unsigned i = 0; i < PIECE; i += 2) {
        piece[i] = 1;
        piece[i + 1] = 3;  // one line further
    }
    for (unsigned i = 0; i < 2 * RUNS / PIECE; i++) {
        pmt_writer_code_lines(writer, 0, 1, piece, PIECE);
    }
    for (uint32_t i = 0; i < NODES; i++) {
        pmt_writer_node(writer, count++, 1, 2 * (RUNS - 1 - i));  // the last ones first
    }
    clock_t begin = clock();
    resolve();
    assert_true(clock() - begin < (clock_t)SECONDS_MAX * CLOCKS_PER_SEC);
    for (uint32_t i = 0; i < NODES; i++) {
        assert_int_equal(line_of(0, 1, 2 * (RUNS - 1 - i)), FIRST_LINE + RUNS - i);
    }
}

#define OFFSETS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        OFFSETS_TEST(offsets_in_any_order),
        OFFSETS_TEST(many_offsets_in_one_huge_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
