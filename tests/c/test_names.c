// Texts and elements that the analysis keeps once each.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "analyze/names.h"

static void
texts_are_kept_once(void **state)
{
    pmt_texts_t texts;
    pmt_texts_init(&texts);
    assert_int_equal(pmt_texts_add(&texts, "", 0), 0);
    assert_int_equal(pmt_texts_add(&texts, "a", 1), 1);
    assert_int_equal(pmt_texts_add(&texts, "a\0", 2), 2);
    assert_int_equal(pmt_texts_add(&texts, "a\0b", 3), 3);
    for (int lap = 0; lap < 2; lap++) {
        for (int i = 0; i < 50000; i++) {
            char text[32];
            int size = snprintf(text, sizeof text, "text %d", i);
            assert_int_equal(pmt_texts_add(&texts, text, (size_t)size), 4 + i);
        }
    }
    assert_int_equal(texts.count, 50004);
    assert_string_equal(texts.texts[4 + 1234], "text 1234");
    assert_int_equal(texts.sizes[3], 3);
    assert_memory_equal(texts.texts[3], "a\0b", 4);  // ended by NUL whatever is in it
    pmt_texts_fini(&texts);
    pmt_texts_fini(&texts);  // harmless
}

static void
elements_are_kept_once(void **state)
{
    typedef struct element_s {
        uint64_t key;
        uint64_t value;
    } element_t;
    pmt_table_t table;
    uint64_t key = 3;
    pmt_table_init(&table, sizeof(element_t), sizeof key);
    assert_int_equal(pmt_table_find(&table, &key), -1);
    for (int lap = 0; lap < 2; lap++) {
        for (uint64_t i = 0; i < 50000; i++) {
            element_t element = {i << 20, i + 1000 * (uint64_t)lap};
            assert_int_equal(pmt_table_add(&table, &element), i);
        }
    }
    for (uint64_t i = 0; i < 50000; i++) {
        key = i << 20;
        assert_int_equal(pmt_table_find(&table, &key), i);
        assert_int_equal(((element_t *)pmt_table_at(&table, (uint32_t)i))->value, i);  // the first one stays
    }
    key = 1;
    assert_int_equal(pmt_table_find(&table, &key), -1);
    pmt_table_fini(&table);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_kept_once),
        cmocka_unit_test(elements_are_kept_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
