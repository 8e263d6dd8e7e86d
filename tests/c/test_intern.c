// Numbers of stacks and of native instructions.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "capture/interp.h"
#include "recorder/intern.h"

// What the tables hold is their own affair, within bounds: a stack must fit several times over, and the recorder stay small.
enum { NODES_LEAST = 8 * PMT_STACK_MAX, SITES_LEAST = 4096, MOST = 1 << 20 };

// ---- nodes ----

static int
nodes_new(void **state)
{
    return (*state = pmt_nodes_new()) ? 0 : -1;
}

static int
nodes_free(void **state)
{
    pmt_nodes_free(*state);
    return 0;
}

static void
nodes_fresh_then_found(void **state)
{
    pmt_nodes_t *nodes = *state;
    bool fresh = false;
    assert_int_equal(pmt_nodes_number(nodes, 0, 0, 0, &fresh), 1);
    assert_true(fresh);
    assert_int_equal(pmt_nodes_number(nodes, 1, 0, 0, &fresh), 2);  // each part of the key tells apart
    assert_true(fresh);
    assert_int_equal(pmt_nodes_number(nodes, 0, 1, 0, &fresh), 3);
    assert_true(fresh);
    assert_int_equal(pmt_nodes_number(nodes, 0, 0, 1, &fresh), 4);
    assert_true(fresh);
    assert_int_equal(pmt_nodes_number(nodes, UINT32_MAX, UINT32_MAX, UINT32_MAX, &fresh), 5);
    assert_true(fresh);
    assert_int_equal(pmt_nodes_number(nodes, 0, 0, 0, &fresh), 1);
    assert_false(fresh);
    assert_int_equal(pmt_nodes_number(nodes, 0, 0, 1, &fresh), 4);
    assert_false(fresh);
    assert_int_equal(pmt_nodes_number(nodes, UINT32_MAX, UINT32_MAX, UINT32_MAX, &fresh), 5);
    assert_false(fresh);
}

static void
nodes_full_then_reset(void **state)
{
    pmt_nodes_t *nodes = *state;
    uint32_t count = 0, number;
    bool fresh;
    while ((number = pmt_nodes_number(nodes, count, count + 1, 2 * count, &fresh)) != 0) {
        assert_int_equal(number, ++count);
        assert_true(fresh);
        assert_true(count < MOST);
    }
    assert_false(fresh);
    assert_true(count >= NODES_LEAST);
    assert_int_equal(pmt_nodes_number(nodes, 7, 7, 7, &fresh), 0);  // it stays so
    assert_false(fresh);
    for (uint32_t i = 0; i < count; i += 101) {  // and what is in it is still found
        assert_int_equal(pmt_nodes_number(nodes, i, i + 1, 2 * i, &fresh), i + 1);
        assert_false(fresh);
    }
    pmt_nodes_reset(nodes);
    assert_int_equal(pmt_nodes_number(nodes, 100, 101, 200, &fresh), 1);
    assert_true(fresh);
    for (uint32_t i = 2; i <= count; i++) {  // as many fit as before
        assert_int_equal(pmt_nodes_number(nodes, 7, 7, i, &fresh), i);
        assert_true(fresh);
    }
    assert_int_equal(pmt_nodes_number(nodes, 7, 7, 0, &fresh), 0);
}

// ---- sites ----

static int
sites_new(void **state)
{
    return (*state = pmt_sites_new()) ? 0 : -1;
}

static int
sites_free(void **state)
{
    pmt_sites_free(*state);
    return 0;
}

static void
sites_kept(void **state)
{
    pmt_sites_t *sites = *state;
    assert_int_equal(pmt_sites_find(sites, 0, 0), 0);
    assert_int_equal(pmt_sites_add(sites, 0, 0x1000, true), 1);
    assert_int_equal(pmt_sites_add(sites, 1, 0x1000, true), 2);  // the same address of another process
    assert_int_equal(pmt_sites_add(sites, 0, UINT64_MAX, true), 3);
    assert_int_equal(pmt_sites_add(sites, 0, 0, true), 4);
    assert_int_equal(pmt_sites_find(sites, 0, 0x1000), 1);
    assert_int_equal(pmt_sites_find(sites, 1, 0x1000), 2);
    assert_int_equal(pmt_sites_find(sites, 0, UINT64_MAX), 3);
    assert_int_equal(pmt_sites_find(sites, 0, 0), 4);
    assert_int_equal(pmt_sites_find(sites, 2, 0x1000), 0);
    assert_int_equal(pmt_sites_find(sites, 0, 0x1001), 0);
}

static void
sites_not_kept_take_a_number(void **state)
{
    pmt_sites_t *sites = *state;
    assert_int_equal(pmt_sites_add(sites, 0, 0x1000, false), 1);
    assert_int_equal(pmt_sites_find(sites, 0, 0x1000), 0);
    assert_int_equal(pmt_sites_add(sites, 0, 0x1000, false), 2);
    assert_int_equal(pmt_sites_add(sites, 0, 0x1000, true), 3);
    assert_int_equal(pmt_sites_find(sites, 0, 0x1000), 3);
}

static void
sites_start_over(void **state)
{
    pmt_sites_t *sites = *state;
    uint32_t count = 0;  // kept before it started over
    while (count == 0 || pmt_sites_find(sites, 0, 1)) {
        count++;
        assert_int_equal(pmt_sites_add(sites, 0, count, true), count);
        assert_true(count < MOST);
    }
    assert_true(--count >= SITES_LEAST);
    for (uint32_t i = 1; i <= count; i++) {  // they went all together, the newest stands alone, and numbers go on
        assert_int_equal(pmt_sites_find(sites, 0, i), 0);
    }
    assert_int_equal(pmt_sites_find(sites, 0, count + 1), count + 1);
    for (uint32_t i = 2; i <= count; i++) {  // it holds as many as before
        assert_int_equal(pmt_sites_add(sites, 1, i, true), count + i);
    }
    assert_int_equal(pmt_sites_add(sites, 1, 1, false), 2 * count + 1);  // nothing is thrown away for what is not kept
    assert_int_equal(pmt_sites_find(sites, 0, count + 1), count + 1);
    assert_int_equal(pmt_sites_find(sites, 1, count), 2 * count);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nodes_fresh_then_found, nodes_new, nodes_free),
        cmocka_unit_test_setup_teardown(nodes_full_then_reset, nodes_new, nodes_free),
        cmocka_unit_test_setup_teardown(sites_kept, sites_new, sites_free),
        cmocka_unit_test_setup_teardown(sites_not_kept_take_a_number, sites_new, sites_free),
        cmocka_unit_test_setup_teardown(sites_start_over, sites_new, sites_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
