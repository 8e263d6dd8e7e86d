// Profiles and tables of traces whose truth is known, because they are written here.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "analyze/tables.h"
#include "base/compiler.h"
#include "base/varint.h"
#include "format/wire.h"
#include "support.h"

enum { NONE = -1 };

static int file;
static pmt_writer_t *writer;
static pmt_profile_t profile;
static pmt_tables_t tables;
static char error[PMT_ERROR_MAX];

static int
new_trace(void **state)
{
    writer = pmt_test_writer(&file);
    return 0;
}

static int
free_trace(void **state)
{
    pmt_writer_free(writer);
    close(file);
    return 0;
}

static int
read_profile(uint64_t pid)
{
    char path[PMT_TEST_PATH];
    assert_int_equal(pmt_writer_flush(writer), 0);
    memset(error, 0, sizeof error);
    return pmt_profile_read(&profile, pmt_test_path(file, path), pid, error);
}

// Reads what was written and makes the tables.
static void
analyze(uint64_t pid)
{
    assert_int_equal(read_profile(pid), 0);
    assert_int_equal(pmt_tables_build(&tables, &profile), 0);
}

static void
done(void)
{
    pmt_tables_fini(&tables);
    pmt_profile_fini(&profile);
}

// ---- writing ----

static uint32_t node_count;

// A process, its thread, its root node, batch set; the node's number.
static uint32_t
put_process(uint64_t process, uint64_t pid)
{
    pmt_writer_process(writer, pid, 1, 0);
    pmt_writer_thread(writer, process, pid, 0, "main", 4);
    pmt_writer_batch(writer, process);
    node_count = process == 0 ? 1 : node_count + 1;
    pmt_writer_node(writer, node_count, PMT_CODE_ROOT, process);
    return node_count;
}

static uint32_t
put_node(uint32_t parent, uint32_t code, uint32_t offset)
{
    node_count++;
    pmt_writer_node(writer, node_count - parent, code, offset);
    return node_count;
}

static void
put_fault(uint32_t node, uint64_t rise)
{
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.time = 1, .rise = rise, .node = node});
}

static void
put_code(uint64_t process, uint64_t id, uint64_t first_line, const char *name_of_file, const char *name)
{
    pmt_writer_code(writer, process, id, first_line, name_of_file, strlen(name_of_file), name, strlen(name));
}

// Two code units a line, from the first line on: offset 4 * n is n lines further down.
static void
put_lines(uint64_t process, uint64_t id, unsigned lines)
{
    uint8_t packed[256], *at = packed;
    for (unsigned i = 0; i < lines; i++) {
        at = pmt_varint_put(at, 2);
        at = pmt_varint_put(at, i ? 3 : 1);
    }
    pmt_writer_code_lines(writer, process, id, packed, (size_t)(at - packed));
}

// ---- looking ----

static bool
is_text(uint32_t number, const char *expected)
{
    return number < profile.texts.count && profile.texts.sizes[number] == strlen(expected) && strcmp(profile.texts.texts[number], expected) == 0;
}

// The row of a table by what it is of; NULL, -1 and the like leave a part out.
static const pmt_row_t *
find_row(const pmt_table_t *table, const char *name_of_file, const char *name, int line)
{
    const pmt_row_t *found = NULL;
    for (uint32_t i = 0; i < table->count; i++) {
        const pmt_row_t *row = pmt_table_at(table, i);
        if (is_text(row->key.file, name_of_file) && (!name || is_text(row->key.name, name)) && (line == NONE || row->key.line == (uint32_t)line)) {
            assert_null(found);  // no key stands twice
            found = row;
        }
    }
    return found;
}

static void
assert_row(const pmt_table_t *table, const char *name_of_file, const char *name, int line, uint64_t self, uint64_t total)
{
    const pmt_row_t *row = find_row(table, name_of_file, name, line);
    if (!row) {
        fail_msg("no row %s %s %d", name_of_file, name ? name : "", line);
        return;
    }
    assert_int_equal(row->self.pages, self);
    assert_int_equal(row->total, total);
    assert_int_equal(row->active, 0);
}

static const pmt_tree_node_t *
root(void)
{
    return pmt_table_at(&tables.tree, 0);
}

// What holds of every set of tables.
static void
assert_sums(void)
{
    uint64_t self[4] = {root()->self.pages, root()->self.pages, root()->self.pages, root()->self.pages}, touched = 0;
    const pmt_table_t *rows[] = {&tables.lines, &tables.functions, &tables.files};
    for (int t = 0; t < 3; t++) {
        for (uint32_t i = 0; i < rows[t]->count; i++) {
            const pmt_row_t *row = pmt_table_at(rows[t], i);
            self[t] += row->self.pages;
            assert_true(row->self.pages <= row->total);
            assert_true(row->total <= root()->total);
        }
    }
    for (uint32_t i = 1; i < tables.tree.count; i++) {
        const pmt_tree_node_t *node = pmt_table_at(&tables.tree, i);
        assert_true(node->parent < i);
        assert_true(node->frame < tables.lines.count);
        self[3] += node->self.pages;
    }
    for (uint32_t i = 0; i < profile.process_count; i++) {
        touched += profile.processes[i].touched.pages;
    }
    for (int t = 0; t < 4; t++) {
        assert_int_equal(self[t], touched);
    }
    assert_int_equal(root()->total, touched);
    assert_int_equal(root()->parent, UINT32_MAX);
    assert_int_equal(root()->frame, UINT32_MAX);
}

// ---- self and total ----

static void
empty_trace(void **state)
{
    analyze(0);
    assert_int_equal(profile.process_count, 0);
    assert_false(profile.complete);
    assert_int_equal(profile.duration, 0);
    assert_true(profile.limit_kib == -1);
    assert_int_equal(tables.lines.count, 0);
    assert_int_equal(tables.tree.count, 1);
    assert_int_equal(root()->total, 0);
    done();
    assert_int_equal(read_profile(7), -ESRCH);
    pmt_profile_fini(&profile);
}

static void
calls(void **state)
{
    uint32_t process = put_process(0, 100);
    put_code(0, 1, 10, "a.py", "main");
    put_lines(0, 1, 3);
    put_code(0, 2, 20, "b.py", "f");
    put_lines(0, 2, 3);
    uint32_t main_10 = put_node(process, 1, 0), main_11 = put_node(process, 1, 4);
    uint32_t f_20 = put_node(main_10, 2, 0), f_21 = put_node(main_11, 2, 6);
    put_fault(main_10, 1);
    put_fault(f_20, 10);
    put_fault(main_11, 100);
    put_fault(f_21, 1000);
    put_fault(process, 10000);  // native: of no frame
    analyze(0);
    assert_row(&tables.lines, "a.py", "main", 10, 1, 11);
    assert_row(&tables.lines, "a.py", "main", 11, 100, 1100);
    assert_row(&tables.lines, "b.py", "f", 20, 10, 10);
    assert_row(&tables.lines, "b.py", "f", 21, 1000, 1000);
    assert_row(&tables.functions, "a.py", "main", 0, 101, 1111);
    assert_row(&tables.functions, "b.py", "f", 0, 1010, 1010);
    assert_row(&tables.files, "a.py", NULL, 0, 101, 1111);
    assert_row(&tables.files, "b.py", NULL, 0, 1010, 1010);
    assert_int_equal(tables.lines.count, 4);
    assert_int_equal(tables.functions.count, 2);
    assert_int_equal(tables.files.count, 2);
    assert_int_equal(tables.tree.count, 5);
    assert_int_equal(root()->self.pages, 10000);
    assert_int_equal(root()->total, 11111);
    assert_int_equal(root()->self.faults, 1);
    assert_int_equal(find_row(&tables.functions, "b.py", "f", 0)->key.first_line, 20);
    assert_sums();
    done();
}

static void
recursion_counts_once(void **state)
{
    // main -> f -> g -> f -> f, with faults at each: f's total is all below its outermost frame, once.
    uint32_t at = put_process(0, 100);
    put_code(0, 1, 1, "a.py", "main");
    put_code(0, 2, 2, "a.py", "f");
    put_code(0, 3, 3, "b.py", "g");
    static const uint32_t codes[] = {1, 2, 3, 2, 2};
    uint64_t rise = 1;
    for (unsigned i = 0; i < 5; i++, rise *= 10) {
        at = put_node(at, codes[i], 0);
        put_fault(at, rise);
    }
    analyze(0);
    assert_row(&tables.functions, "a.py", "main", 0, 1, 11111);
    assert_row(&tables.functions, "a.py", "f", 0, 11010, 11110);
    assert_row(&tables.functions, "b.py", "g", 0, 100, 11100);
    assert_row(&tables.files, "a.py", NULL, 0, 11011, 11111);
    assert_row(&tables.files, "b.py", NULL, 0, 100, 11100);
    assert_row(&tables.lines, "a.py", "f", 0, 11010, 11110);  // no line table: line 0
    assert_sums();
    done();
}

static void
recursion_on_two_branches(void **state)
{
    // Siblings each count; a key left behind on one branch is not active on the next.
    uint32_t process = put_process(0, 100), branches[3];
    put_code(0, 1, 1, "a.py", "f");
    put_code(0, 2, 2, "a.py", "g");
    for (uint32_t i = 0; i < 3; i++) {
        branches[i] = put_node(put_node(process, 2, 2 * i), 1, 0);
        put_fault(put_node(branches[i], 1, 2), 10);
    }
    put_fault(branches[1], 1);
    analyze(0);
    assert_row(&tables.functions, "a.py", "f", 0, 31, 31);
    assert_row(&tables.functions, "a.py", "g", 0, 0, 31);
    assert_row(&tables.files, "a.py", NULL, 0, 31, 31);
    assert_sums();
    done();
}

static void
same_name_elsewhere_is_another(void **state)
{
    uint32_t process = put_process(0, 100);
    put_code(0, 1, 1, "a.py", "f");
    put_code(0, 2, 1, "b.py", "f");
    put_code(0, 3, 9, "a.py", "f");   // another def in the same file
    put_code(0, 4, 1, "a.py", "f");   // the same function, described twice
    for (uint32_t code = 1; code <= 4; code++) {
        put_fault(put_node(process, code, 0), code);
    }
    analyze(0);
    assert_int_equal(tables.functions.count, 3);
    assert_int_equal(tables.files.count, 2);
    assert_row(&tables.functions, "b.py", "f", 0, 2, 2);
    assert_row(&tables.files, "a.py", NULL, 0, 8, 8);
    assert_int_equal(tables.tree.count, 4);  // codes 1 and 4 are one frame
    assert_sums();
    done();
}

static void
deep_chain(void **state)
{
    enum { DEPTH = 100000 };
    uint32_t at = put_process(0, 100), middle = 0;
    put_code(0, 1, 1, "deep.py", "even");
    put_code(0, 2, 2, "deep.py", "odd");
    for (uint32_t i = 0; i < DEPTH; i++) {
        at = put_node(at, 1 + i % 2, 0);
        middle = i == DEPTH / 2 ? at : middle;
    }
    put_fault(at, 3);
    put_fault(middle, 5);
    analyze(0);
    assert_int_equal(tables.tree.count, DEPTH + 1);
    assert_int_equal(root()->total, 8);
    assert_row(&tables.functions, "deep.py", "even", 0, 5, 8);
    assert_row(&tables.functions, "deep.py", "odd", 0, 3, 8);
    assert_row(&tables.files, "deep.py", NULL, 0, 8, 8);
    assert_sums();
    done();
}

static void
wide_tree(void **state)
{
    enum { WIDTH = 50000 };
    uint32_t process = put_process(0, 100), top;
    put_code(0, 1, 1, "a.py", "main");
    top = put_node(process, 1, 0);
    for (uint32_t i = 0; i < WIDTH; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%u", i);
        put_code(0, 2 + i, i, "gen.py", name);
        put_fault(put_node(top, 2 + i, 0), 2);
    }
    analyze(0);
    assert_int_equal(tables.functions.count, WIDTH + 1);
    assert_row(&tables.functions, "a.py", "main", 0, 0, 2 * WIDTH);
    assert_row(&tables.functions, "gen.py", "f49999", 0, 2, 2);
    assert_row(&tables.files, "gen.py", NULL, 0, 2 * WIDTH, 2 * WIDTH);
    assert_sums();
    done();
}

static void
stacks_meet_again_after_node_reset(void **state)
{
    put_process(0, 100);
    put_code(0, 1, 1, "a.py", "f");
    for (int i = 0; i < 3; i++) {
        if (i) {
            pmt_writer_node_reset(writer);
            node_count = 0;
            pmt_writer_node(writer, ++node_count, PMT_CODE_ROOT, 0);
        }
        put_fault(put_node(1, 1, 0), 7);
    }
    analyze(0);
    assert_int_equal(profile.nodes.count, 2);
    assert_row(&tables.functions, "a.py", "f", 0, 21, 21);
    assert_sums();
    done();
}

// ---- names ----

static void
missing_code(void **state)
{
    uint32_t process = put_process(0, 100);
    put_lines(0, 2, 3);  // its CODE was lost
    put_fault(put_node(process, 1, 0), 1);
    put_fault(put_node(process, 2, 4), 2);
    put_fault(put_node(put_node(process, PMT_CODE_ELIDED, 500), 3, 0), 4);
    put_code(0, 3, 1, "a.py", "f");
    analyze(0);
    assert_row(&tables.functions, "", "", 0, 3, 3);
    assert_row(&tables.functions, "", "[frames left out]", 0, 0, 4);
    assert_row(&tables.functions, "a.py", "f", 0, 4, 4);
    assert_row(&tables.files, "", NULL, 0, 3, 7);
    assert_int_equal(tables.lines.count, 3);
    assert_sums();
    done();
}

static void
code_comes_late_in_pieces_and_twice(void **state)
{
    uint32_t process = put_process(0, 100);
    put_fault(put_node(process, 1, 4), 1);
    put_code(0, 1, 10, "old.py", "old");
    pmt_writer_code_lines(writer, 0, 1, "\2", 1);
    pmt_writer_code_lines(writer, 0, 1, "", 0);
    pmt_writer_code_lines(writer, 0, 1, "\1\2\x0b", 3);
    put_code(0, 1, 30, "new.py", "new");
    analyze(0);
    assert_int_equal(tables.lines.count, 1);
    assert_row(&tables.lines, "new.py", "new", 35, 1, 1);
    assert_sums();
    done();
}

static void
ids_are_of_a_process(void **state)
{
    uint32_t first = put_process(0, 100);
    put_fault(put_node(first, 1, 0), 1);
    uint32_t second = put_process(1, 200);
    put_fault(put_node(second, 1, 0), 2);
    put_code(1, 1, 1, "b.py", "g");
    put_code(0, 1, 1, "a.py", "f");
    analyze(0);
    assert_row(&tables.functions, "a.py", "f", 0, 1, 1);
    assert_row(&tables.functions, "b.py", "g", 0, 2, 2);
    assert_sums();
    done();
}

// ---- processes ----

static void
one_process_of_two(void **state)
{
    uint32_t first = put_process(0, 100), own = put_node(first, 1, 0);
    put_code(0, 1, 1, "a.py", "f");
    put_fault(own, 1);
    uint32_t second = put_process(1, 200), other = put_node(second, 1, 0);
    put_code(1, 1, 1, "a.py", "f");
    put_fault(other, 10);
    put_fault(second, 100);
    static const struct {
        uint64_t pid, function, root;
    } cases[] = {{0, 11, 111}, {100, 1, 1}, {200, 10, 110}};
    for (unsigned i = 0; i < 3; i++) {
        analyze(cases[i].pid);
        assert_row(&tables.functions, "a.py", "f", 0, cases[i].function, cases[i].function);
        assert_int_equal(root()->total, cases[i].root);
        assert_int_equal(profile.signals, 3);
        assert_int_equal(profile.threads[0].touched.pages, cases[i].pid == 200 ? 0 : 1);
        assert_int_equal(profile.threads[1].touched.pages, cases[i].pid == 100 ? 0 : 110);
        assert_sums();
        done();
    }
    assert_int_equal(read_profile(300), -ESRCH);
    pmt_profile_fini(&profile);
}

static void
process_facts(void **state)
{
    pmt_writer_meta(writer, 0, "python", "3.11", 4);
    pmt_writer_meta(writer, 0, "python", "3.12", 4);
    pmt_writer_process(writer, 100, 50, 1000);
    pmt_writer_thread(writer, 0, 100, 1000, "old", 3);
    pmt_writer_thread_name(writer, 0, "new", 3);
    pmt_writer_meta(writer, 1, "engine", "faults", 6);
    pmt_writer_mark(writer, 0, 1001, PMT_MARK_START, 10);
    pmt_writer_period(writer, 0, 1002, 1);
    pmt_writer_period(writer, 0, 1003, 4);
    pmt_writer_period(writer, 0, 1004, 2);
    pmt_writer_sample(writer, 0, 10, (const int64_t[]){400, 40, 4, 1000});
    pmt_writer_sample(writer, 0, 10, (const int64_t[]){-200, 0, 0, 0});
    pmt_writer_cgroup(writer, 10, 5000, 0);
    pmt_writer_cgroup(writer, 10, 1000, 8001);
    pmt_writer_cgroup(writer, 10, -3000, 0);
    pmt_writer_lost(writer, 0, 1005, 3);
    pmt_writer_lost(writer, 0, 1006, 4);
    pmt_writer_mark(writer, 0, 1007, PMT_MARK_END, 20);
    pmt_writer_counter(writer, 0, "lost", 5);
    pmt_writer_counter(writer, 0, "lost", 9);
    pmt_writer_counter(writer, 0, "rss_peak_pages", 200);
    pmt_writer_process_end(writer, 0, PMT_END_SIGNAL, 9, 1008);
    analyze(0);
    const pmt_process_row_t *row = &profile.processes[0];
    assert_int_equal(row->pid, 100);
    assert_int_equal(row->parent, 50);
    assert_int_equal(row->start, 1000);
    assert_true(row->has_rss_start && row->has_rss_end && row->sampled && row->has_end);
    assert_int_equal(row->rss_start, 10 * PMT_TEST_PAGE);
    assert_int_equal(row->rss_end, 20 * PMT_TEST_PAGE);
    assert_int_equal(row->rss_peak, 200 * PMT_TEST_PAGE);
    assert_int_equal(row->period, 4);
    assert_int_equal(row->period_changes, 2);
    assert_int_equal(row->end_kind, PMT_END_SIGNAL);
    assert_int_equal(row->end_value, 9);
    assert_int_equal(row->end_time, 1008);
    assert_true(is_text(profile.threads[0].name, "new"));
    assert_int_equal(profile.meta.count, 1);
    assert_true(is_text(profile.meta.list[0].text, "3.12"));
    assert_int_equal(row->meta.count, 1);
    assert_true(is_text(row->meta.list[0].key, "engine"));
    assert_int_equal(row->counters.count, 2);
    assert_int_equal(pmt_profile_counter(&profile, row, "lost"), 9);
    assert_int_equal(pmt_profile_counter(&profile, row, "waits"), 0);
    assert_int_equal(profile.lost, 9);  // the program's own count is the better one: LOST records may be lost
    assert_true(profile.has_cgroup);
    assert_int_equal(profile.cgroup_peak_kib, 6000);
    assert_int_equal(profile.limit_kib, 8000);
    done();
}

// VmHWM tells of a peak between two samples if it is above what CPUs may keep to themselves.
static void
kernels_peak(void **state)
{
    static const struct {
        uint64_t kib, since, at, handlers_at;
        int64_t peak_kib;
        uint64_t time;
    } cases[] = {
        {4000, 100, 200, 0, 4000, 150},   {4000, 100, 200, 130, 4000, 130}, {4000, 100, 200, 90, 4000, 150},
        {1640, 100, 200, 130, 1600, 130},  // 64 pages on a CPU, two of which keep 512 KiB
        {4000, 100, 100, 130, 1600, 130},  // it was so from the beginning
        {UINT64_MAX, 100, 200, 130, 1600, 130},
    };
    for (int i = 0; i < (int)PMT_COUNT(cases); i++) {
        pmt_writer_process(writer, 100 + i, 50, 0);
        pmt_writer_meta(writer, i + 1, "cpus", "2", 1);
        pmt_writer_sample(writer, i, 10, (const int64_t[]){400, 40, 4, 0});
        pmt_writer_counter(writer, i, "rss_peak_pages", cases[i].handlers_at ? 1600 * 1024 / PMT_TEST_PAGE : 0);
        pmt_writer_counter(writer, i, "rss_peak_ns", cases[i].handlers_at);
        pmt_writer_counter(writer, i, "rss_hwm_kib", cases[i].kib);
        pmt_writer_counter(writer, i, "rss_hwm_since_ns", cases[i].since);
        pmt_writer_counter(writer, i, "rss_hwm_ns", cases[i].at);
    }
    analyze(0);
    for (int i = 0; i < (int)PMT_COUNT(cases); i++) {
        assert_int_equal(profile.processes[i].rss_peak, cases[i].peak_kib << 10);
        assert_int_equal(profile.processes[i].peak_time, cases[i].time);
    }
    done();
}

static void
rss_without_marks(void **state)
{
    pmt_writer_process(writer, 100, 50, 0);
    pmt_writer_sample(writer, 0, 10, (const int64_t[]){400, 40, 4, 1000});
    pmt_writer_sample(writer, 0, 10, (const int64_t[]){-200, 0, 0, 0});
    pmt_writer_process(writer, 101, 50, 0);
    analyze(0);
    assert_int_equal(profile.processes[0].rss_peak, 444 << 10);  // swap is not resident
    assert_int_equal(profile.processes[0].rss_end, 244 << 10);
    assert_true(profile.processes[0].has_rss_end);
    assert_false(profile.processes[0].has_rss_start);
    assert_false(profile.processes[1].has_rss_end);
    done();
}

static void
weights(void **state)
{
    uint32_t process = put_process(0, 100);
    pmt_writer_weight(writer, 4);
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.flags = PMT_FAULT_BY_TIME, .rise = 10, .node = process});
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.flags = PMT_FAULT_BY_TIME, .rise = 1, .node = process});
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.flags = PMT_FAULT_BY_TIME, .rise = 0, .node = process});
    pmt_writer_weight(writer, 1);
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.rise = 5, .node = process});
    analyze(0);
    assert_int_equal(root()->self.pages, 16);
    assert_int_equal(root()->self.faults, 13);
    assert_int_equal(root()->self.by_time, 9);  // one page of each rise is the fault's own
    assert_int_equal(profile.signals, 4);
    done();
}

static void
ticks(void **state)
{
    uint32_t process = put_process(0, 100);
    pmt_writer_weight(writer, 4);
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.more = PMT_FAULT_TICK, .rise = 10, .node = process});
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.flags = PMT_FAULT_BY_TIME, .more = PMT_FAULT_TICK, .rise = 3, .node = process});
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.rise = 2, .node = process});
    analyze(0);
    assert_int_equal(root()->self.pages, 15);
    assert_int_equal(root()->self.faults, 4);  // the one that is a fault
    assert_int_equal(root()->self.by_time, 13);  // all of a tick's rise
    assert_int_equal(profile.processes[0].touched.faults, 4);
    done();
}

// ---- native places ----

static const pmt_place_t *
find_place(const char *path, uint64_t offset)
{
    for (uint32_t i = 0; i < profile.places.count; i++) {
        const pmt_place_t *place = pmt_table_at(&profile.places, i);
        if (place->offset == offset && (path ? is_text(place->path, path) : place->path == UINT32_MAX)) {
            return place;
        }
    }
    fail_msg("no place %s+%#llx", path ? path : "", (unsigned long long)offset);
    return NULL;
}

static void
places(void **state)
{
    uint32_t process = put_process(0, 100), python = put_node(process, 1, 0);
    pmt_writer_module(writer, 0, 0x10000, 0x4000, 0x1000, "/lib/a.so");
    pmt_writer_module(writer, 0, 0x90000, 0x4000, 0x1000, "/lib/a.so");  // the same library, loaded again elsewhere
    pmt_writer_site(writer, 0x10010, 1);
    pmt_writer_site(writer, 0x80000, 2);
    pmt_writer_site(writer, 0x10, 0);  // 0x90020, where no module is known
    for (uint64_t site = 0; site < 4; site++) {
        pmt_writer_fault(writer, &(pmt_fault_fields_t){.rise = 1, .node = python, .site = site});
        pmt_writer_fault(writer, &(pmt_fault_fields_t){.rise = 10, .node = process, .site = site});
    }
    // in the C library, on behalf of site 1
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.more = PMT_FAULT_CALLER, .rise = 100, .node = process, .site = 3, .caller = 1});
    analyze(0);
    assert_int_equal(find_place("/lib/a.so", 0x1010)->all.pages, 22);
    assert_int_equal(find_place("/lib/a.so", 0x1010)->native.pages, 120);
    assert_int_equal(find_place(NULL, 0x90020)->all.pages, 111);
    assert_int_equal(find_place(NULL, 0x90020)->native.pages, 10);
    assert_int_equal(find_place(NULL, 0)->all.pages, 11);
    assert_int_equal(profile.places.count, 3);
    done();
}

// ---- whole and cut ----

static void
duration(void **state)
{
    put_process(0, 100);
    pmt_writer_mark(writer, 0, 5000, PMT_MARK_START, 1);
    pmt_writer_mark(writer, 0, 400, PMT_MARK_END, 1);
    analyze(0);
    assert_false(profile.complete);
    assert_int_equal(profile.duration, 5000);
    done();
    pmt_writer_trailer(writer, 4000);
    analyze(0);
    assert_true(profile.complete);
    assert_int_equal(profile.duration, 4000);
    assert_int_equal(profile.good_bytes, profile.info.file_size);
    done();
}

static void
corrupt_file(void **state)
{
    char path[PMT_TEST_PATH], expected[64];
    size_t size, good;
    put_process(0, 100);
    put_code(0, 1, 1, "a.py", "f");
    pmt_writer_meta(writer, 1, "engine", "faults", 6);
    pmt_writer_flush(writer);
    free(pmt_test_bytes(file, &good));
    pmt_writer_batch(writer, 7);  // no such thread
    assert_int_equal(read_profile(0), -EBADMSG);
    snprintf(expected, sizeof expected, "after byte %zu", good);
    assert_non_null(strstr(error, expected));
    assert_int_equal(profile.process_count, 1);
    pmt_profile_fini(&profile);
    uint8_t *bytes = pmt_test_bytes(file, &size);
    int cut = pmt_test_file_of(bytes, 20);
    free(bytes);
    assert_int_equal(pmt_profile_read(&profile, pmt_test_path(cut, path), 0, error), -EBADMSG);
    assert_non_null(strstr(error, "header"));
    pmt_profile_fini(&profile);
    close(cut);
    assert_int_equal(pmt_profile_read(&profile, "/no/such/file", 0, error), -ENOENT);
    pmt_profile_fini(&profile);
}

// ---- without memory ----

// The linker puts these in front of the C library's (--wrap): the n-th allocation of the code under test fails, and each one after it.
static unsigned allocations, fail_from;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);

static bool
no_memory(void)
{
    return fail_from && ++allocations >= fail_from;
}

void *
__wrap_malloc(size_t size)
{
    return no_memory() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return no_memory() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *block, size_t size)
{
    return no_memory() ? NULL : __real_realloc(block, size);
}

static void
every_allocation_fails(void **state)
{
    uint32_t process = put_process(0, 100);
    pmt_writer_meta(writer, 0, "python", "3.12", 4);
    pmt_writer_meta(writer, 1, "engine", "faults", 6);
    pmt_writer_counter(writer, 0, "lost", 1);
    pmt_writer_module(writer, 0, 0x1000, 0x1000, 0, "/lib/a.so");
    for (uint32_t i = 1; i <= 100; i++) {  // enough that everything grows
        char name[16];
        snprintf(name, sizeof name, "f%u", i);
        put_code(0, i, i, name, name);
        put_lines(0, i, 2);
        pmt_writer_thread(writer, 0, i, 0, name, strlen(name));
        pmt_writer_site(writer, 16, 1);
        put_fault(put_node(process, i, 0), 1);
    }
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.rise = 1, .node = process, .site = 3});
    pmt_writer_trailer(writer, 9);
    assert_int_equal(pmt_writer_flush(writer), 0);
    int err = -ENOMEM;
    unsigned n = 0;
    while (err == -ENOMEM) {
        allocations = 0;
        fail_from = ++n;
        err = read_profile(0);
        if (err == 0) {
            err = pmt_tables_build(&tables, &profile);
            pmt_tables_fini(&tables);
        }
        fail_from = 0;
        pmt_profile_fini(&profile);
        assert_true(n < 10000);
    }
    assert_int_equal(err, 0);
    assert_true(n > 100);
    assert_int_equal(allocations, n - 1);
}

#define TRACE_TEST(name) cmocka_unit_test_setup_teardown(name, new_trace, free_trace)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TRACE_TEST(empty_trace),
        TRACE_TEST(calls),
        TRACE_TEST(recursion_counts_once),
        TRACE_TEST(recursion_on_two_branches),
        TRACE_TEST(same_name_elsewhere_is_another),
        TRACE_TEST(deep_chain),
        TRACE_TEST(wide_tree),
        TRACE_TEST(stacks_meet_again_after_node_reset),
        TRACE_TEST(missing_code),
        TRACE_TEST(code_comes_late_in_pieces_and_twice),
        TRACE_TEST(ids_are_of_a_process),
        TRACE_TEST(one_process_of_two),
        TRACE_TEST(process_facts),
        TRACE_TEST(rss_without_marks),
        TRACE_TEST(kernels_peak),
        TRACE_TEST(weights),
        TRACE_TEST(ticks),
        TRACE_TEST(places),
        TRACE_TEST(duration),
        TRACE_TEST(corrupt_file),
        TRACE_TEST(every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
