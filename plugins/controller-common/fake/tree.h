/* tree.h - for the tests of controllers: an arena for each test, and objects written as JSON. TestSuite(NAME, .init = tree_begin, .fini = tree_end); */
#ifndef CONTROLLER_COMMON_FAKE_TREE_H
#define CONTROLLER_COMMON_FAKE_TREE_H

#include <criterion/criterion.h>

#include "base/json.h"

static struct arena *a;

static void tree_begin(void)
{
    a = arena_new(0);
}

static void tree_end(void)
{
    a = arena_free(a);
}

static struct val *tree(const char *text)
{
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = json_parse(a, str_of(arena_dup(a, str_of(text))), &err);
    cr_assert_not_null(v, "%s", err.msg);
    return v;
}

#endif
