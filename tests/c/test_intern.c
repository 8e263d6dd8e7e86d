// Numbers of stacks and of native instructions.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "recorder/intern.h"

enum { NODES_MAX = (1 << 18) / 4 * 3, SITES_MAX = (1 << 14) / 4 * 3 };  // what the tables hold, as intern.c has it

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
    bool fresh;
    for (uint32_t i = 1; i <= NODES_MAX; i++) {
        assert_int_equal(pmt_nodes_number(nodes, i - 1, i, 2 * i, &fresh), i);
        assert_true(fresh);
    }
    assert_int_equal(pmt_nodes_number(nodes, 7, 7, 7, &fresh), 0);
    assert_false(fresh);
    assert_int_equal(pmt_nodes_number(nodes, 7, 7, 7, &fresh), 0);  // it stays so
    for (uint32_t i = 1; i <= NODES_MAX; i += 101) {  // and what is in it is still found
        assert_int_equal(pmt_nodes_number(nodes, i - 1, i, 2 * i, &fresh), i);
        assert_false(fresh);
    }
    pmt_nodes_reset(nodes);
    assert_int_equal(pmt_nodes_number(nodes, 100, 101, 202, &fresh), 1);
    assert_true(fresh);
    assert_int_equal(pmt_nodes_number(nodes, 7, 7, 7, &fresh), 2);
    assert_true(fresh);
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
    for (uint32_t i = 1; i <= SITES_MAX; i++) {
        assert_int_equal(pmt_sites_add(sites, 0, i, true), i);
    }
    assert_int_equal(pmt_sites_find(sites, 0, 1), 1);
    assert_int_equal(pmt_sites_add(sites, 0, SITES_MAX + 1, false), SITES_MAX + 1);  // not kept: nothing is thrown away for it
    assert_int_equal(pmt_sites_find(sites, 0, SITES_MAX), SITES_MAX);
    assert_int_equal(pmt_sites_add(sites, 0, SITES_MAX + 2, true), SITES_MAX + 2);  // numbers go on
    assert_int_equal(pmt_sites_find(sites, 0, SITES_MAX + 2), SITES_MAX + 2);
    for (uint32_t i = 1; i <= SITES_MAX; i++) {
        assert_int_equal(pmt_sites_find(sites, 0, i), 0);
    }
    for (uint32_t i = 1; i < SITES_MAX; i++) {  // it holds as many as before
        assert_int_equal(pmt_sites_add(sites, 1, i, true), SITES_MAX + 2 + i);
    }
    assert_int_equal(pmt_sites_find(sites, 0, SITES_MAX + 2), SITES_MAX + 2);
    assert_int_equal(pmt_sites_find(sites, 1, 1), SITES_MAX + 3);
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
