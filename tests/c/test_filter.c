// Patterns: which names they match.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/filter.h"

static const pmt_filter_names_t method = {"/home/me/src/pack/mod.py", "pack.mod", "Class.method"};

static void
matches(const char *pattern)
{
    if (!pmt_filter_matches(pattern, &method)) {
        fail_msg("%s does not match", pattern);
    }
}

static void
does_not_match(const char *pattern)
{
    if (pmt_filter_matches(pattern, &method)) {
        fail_msg("%s matches", pattern);
    }
}

static void
plain_patterns(void **state)
{
    matches("pack");
    matches("pack.mod");
    does_not_match("pac");
    does_not_match("pack.mo");
    does_not_match("mod");
    matches("Class");
    matches("Class.method");
    does_not_match("method");
    matches("pack.mod.Class");
    matches("pack.mod.Class.method");
    does_not_match("pack.Class");
    matches("mod.py");
    matches("pack/mod.py");
    does_not_match("od.py");
    matches("/home/me/src");
    matches("/home/me/src/");
    matches("/");
    does_not_match("/home/me/sr");
    does_not_match("/home/me/src/pack/mod.py/");
}

static void
wildcards(void **state)
{
    matches("*");
    matches("pack.*");
    matches("*.method");
    matches("pack.mod.Class.meth??");
    does_not_match("pack.mod.Class.meth?");
    matches("*/src/*");
    does_not_match("src/*");
    matches("[pq]ack.mod");
    matches("[!a-o]ack.mod");
    does_not_match("[a-o]ack.mod");
    matches("*o*o*.py");
    does_not_match("*x*");
    does_not_match("[");
    does_not_match("pack.mod[");
    does_not_match("*[]");
    matches("**mod*");
}

static void
includes_and_excludes(void **state)
{
    static char texts[] = "pack\0other\0Class.other\0*.c";
    pmt_filter_t none = {"", 0, 0}, filter = {texts, 2, 2}, excluding = {texts, 0, 1};
    assert_true(pmt_filter_wants(&none, &method));
    assert_true(pmt_filter_wants(&filter, &method));
    assert_false(pmt_filter_wants(&excluding, &method));
    assert_false(pmt_filter_wants(&filter, &(pmt_filter_names_t){"/x.py", "pack", "Class.other"}));
    assert_false(pmt_filter_wants(&filter, &(pmt_filter_names_t){"/x.py", "third", "f"}));
    assert_true(pmt_filter_wants(&filter, &(pmt_filter_names_t){"/x.py", "other", "f"}));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(plain_patterns), cmocka_unit_test(wildcards), cmocka_unit_test(includes_and_excludes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
