// The table of known code objects, alone and with many threads at once. Also run under ThreadSanitizer.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/code_table.h"

enum { FULL = PMT_CODE_TABLE_SIZE / 4 * 3 };  // it starts over when it would hold so many, as code_table.c has it

static pmt_code_table_t table;

static int
new_table(void **state)
{
    table = (pmt_code_table_t){.entries = calloc(PMT_CODE_TABLE_SIZE, sizeof *table.entries), .size = PMT_CODE_TABLE_SIZE};
    return table.entries ? 0 : -1;
}

static int
free_table(void **state)
{
    free(table.entries);
    return 0;
}

// Addresses of code objects as they come: 16 bytes apart at least.
static uint64_t
address(uint32_t i)
{
    return 0x7f0000000000ull + 16ull * i;
}

static void
found_after_add(void **state)
{
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(1), 11), 0);
    uint32_t id = pmt_code_table_new_id_sigsafe(&table);
    assert_int_equal(id, 1);
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(1), 11), 0);  // an id alone makes nothing known
    pmt_code_table_add_sigsafe(&table, address(1), 11, id);
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(1), 11), 1);
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(2), 11), 0);
    assert_int_equal(pmt_code_table_new_id_sigsafe(&table), 2);
    pmt_code_table_add_sigsafe(&table, UINT64_MAX, UINT32_MAX, UINT32_MAX);
    assert_int_equal(pmt_code_table_find_sigsafe(&table, UINT64_MAX, UINT32_MAX), UINT32_MAX);
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(1), 11), 1);
}

static void
address_used_again(void **state)
{
    pmt_code_table_add_sigsafe(&table, address(1), 11, 1);
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(1), 12), 0);  // another code object lies there now
    pmt_code_table_add_sigsafe(&table, address(1), 12, 2);
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(1), 12), 2);
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(1), 11), 0);
    assert_int_equal(atomic_load(&table.used), 1);  // the place was taken over
}

static void
check_zero_is_a_check(void **state)
{
    pmt_code_table_add_sigsafe(&table, address(1), 0, 7);
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(1), 0), 7);
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(1), 1), 0);
    atomic_store(&table.entries[0].check_id, 0);
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(2), 0), 0);
}

static void
half_defined_is_unknown(void **state)
{
    // Another thread has taken the place and not yet said the id.
    pmt_code_table_add_sigsafe(&table, address(1), 11, 1);
    for (unsigned i = 0; i < PMT_CODE_TABLE_SIZE; i++) {
        atomic_store(&table.entries[i].check_id, 0);
    }
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(1), 11), 0);
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(1), 0), 0);
}

static void
starts_over_when_full(void **state)
{
    for (uint32_t i = 1; i < FULL; i++) {
        pmt_code_table_add_sigsafe(&table, address(i), i, i);
    }
    for (uint32_t i = 1; i < FULL; i++) {
        assert_int_equal(pmt_code_table_find_sigsafe(&table, address(i), i), i);
    }
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(FULL), FULL), 0);  // ends, though most places are taken
    pmt_code_table_add_sigsafe(&table, address(FULL), FULL, FULL);
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(FULL), FULL), FULL);
    for (uint32_t i = 1; i < FULL; i++) {
        assert_int_equal(pmt_code_table_find_sigsafe(&table, address(i), i), 0);
    }
    for (uint32_t i = 1; i < FULL - 1; i++) {  // as many fit as before
        pmt_code_table_add_sigsafe(&table, address(i), i, 2 * FULL + i);
    }
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(FULL), FULL), FULL);
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(1), 1), 2 * FULL + 1);
}

static void
many_lives(void **state)
{
    for (uint32_t i = 1; i < 20 * FULL; i++) {
        uint32_t id = pmt_code_table_new_id_sigsafe(&table);
        pmt_code_table_add_sigsafe(&table, address(i), i, id);
        assert_int_equal(pmt_code_table_find_sigsafe(&table, address(i), i), i);
    }
}

// ---- threads ----

enum { THREADS = 8, ROUNDS = 40000, CODES = 3000, MAX_ID = THREADS * ROUNDS };

typedef struct worker_s {
    pthread_t thread;
    uint32_t number, codes;
    unsigned wrong, unknown, found;
} worker_t;

static _Atomic uint32_t defined_as[MAX_ID + 1];  // id -> code it was given to

// As the handler does: find, else take an id, define it, make it known.
static void *
work(void *argument)
{
    worker_t *worker = argument;
    uint32_t random = worker->number;
    for (int i = 0; i < ROUNDS; i++) {
        random = random * 1664525u + 1013904223u;
        uint32_t code = 1 + (uint32_t)((uint64_t)random * worker->codes >> 32);
        uint32_t id = pmt_code_table_find_sigsafe(&table, address(code), ~code);
        if (id == 0) {
            worker->unknown++;
            id = pmt_code_table_new_id_sigsafe(&table);
            worker->wrong += id > MAX_ID || atomic_exchange_explicit(&defined_as[id], code, memory_order_relaxed) != 0;  // an id given twice
            pmt_code_table_add_sigsafe(&table, address(code), ~code, id);
        } else {
            worker->found++;
            worker->wrong += id > MAX_ID || atomic_load_explicit(&defined_as[id], memory_order_relaxed) != code;
        }
    }
    return NULL;
}

static void
run_workers(worker_t workers[THREADS], uint32_t codes)
{
    for (uint32_t i = 0; i <= MAX_ID; i++) {
        atomic_store(&defined_as[i], 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (worker_t){.number = i, .codes = codes};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
}

static void
threads_never_confuse_ids(void **state)
{
    worker_t workers[THREADS];
    unsigned unknown = 0;
    run_workers(workers, CODES);
    for (uint32_t i = 0; i < THREADS; i++) {
        unknown += workers[i].unknown;
    }
    // A code object may be defined twice in a race, not again and again.
    assert_in_range(unknown, CODES, THREADS * CODES);
    for (uint32_t code = 1; code <= CODES; code++) {
        uint32_t id = pmt_code_table_find_sigsafe(&table, address(code), ~code);
        assert_in_range(id, 1, unknown);
        assert_int_equal(atomic_load(&defined_as[id]), code);
    }
}

static void
threads_start_over_together(void **state)
{
    // More code objects than places: it starts over all the time, under everyone's hands.
    worker_t workers[THREADS];
    run_workers(workers, 3 * PMT_CODE_TABLE_SIZE);
}

static void
choices_are_forgotten(void **state)
{
    pmt_code_table_add_sigsafe(&table, address(1), 11, 1 | PMT_CODE_WANTED);
    pmt_code_table_add_sigsafe(&table, address(2), 12, 2 | PMT_CODE_LEFT_OUT);
    pmt_code_table_add_sigsafe(&table, address(3), 13, PMT_CODE_LEFT_OUT);
    pmt_code_table_add_sigsafe(&table, address(4), 14, 4);
    pmt_code_table_forget_choices(&table);
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(1), 11), 1);
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(2), 12), 2);
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(3), 13), 0);
    assert_int_equal(pmt_code_table_find_sigsafe(&table, address(4), 14), 4);
}

#define TABLE_TEST(name) cmocka_unit_test_setup_teardown(name, new_table, free_table)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(found_after_add),
        TABLE_TEST(address_used_again),
        TABLE_TEST(check_zero_is_a_check),
        TABLE_TEST(half_defined_is_unknown),
        TABLE_TEST(starts_over_when_full),
        TABLE_TEST(many_lives),
        TABLE_TEST(choices_are_forgotten),
        TABLE_TEST(threads_never_confuse_ids),
        TABLE_TEST(threads_start_over_together),
    };
    alarm(60);  // a table without a free place would be searched for ever
    return cmocka_run_group_tests(tests, NULL, NULL);
}
