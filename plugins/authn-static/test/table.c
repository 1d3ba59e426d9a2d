/* table.c - files of tokens, good and bad. */
#include <criterion/criterion.h>

#include "table.h"

static int read_text(struct table *t, const char *text, struct kl_err *err)
{
    kl_err_init(err);
    return table_read(t, str_of(text), err);
}

Test(table, users_and_groups)
{
    struct table t;
    struct kl_err err;
    cr_assert_eq(read_text(&t, "a1,ann,7,\"x,y\"\r\n\nb2,bob,8\nc3,\"c,\"\"d\"\"\",,z\n,nobody,9\n", &err), 0, "%s", err.msg);
    const struct entry *ann = map_get(&t.by_token, STR("a1")), *bob = map_get(&t.by_token, STR("b2")), *c = map_get(&t.by_token, STR("c3"));
    cr_assert(ann && bob && c);
    cr_assert_str_eq(ann->user, "ann");
    cr_assert_str_eq(ann->uid, "7");
    cr_assert_str_eq(ann->groups[0], "x");
    cr_assert_str_eq(ann->groups[1], "y");
    cr_assert_str_eq(ann->groups[2], "system:authenticated");
    cr_assert_null(ann->groups[3]);
    cr_assert_str_eq(bob->groups[0], "system:authenticated");
    cr_assert_str_eq(c->user, "c,\"d\"");
    cr_assert_null(map_get(&t.by_token, STR("")), "no token is no token");
    cr_assert_null(map_get(&t.by_token, STR("a")));
    table_free(&t);
}

Test(table, mistakes_name_their_line)
{
    static const char *const bad[] = { "a,b\n", "a,b,c\nd\n", "a,\"b,c\n" };
    static const char *const where[] = { "line 1", "line 2", "line 1" };
    for (int i = 0; i < 3; i++) {
        struct table t;
        struct kl_err err;
        cr_assert_eq(read_text(&t, bad[i], &err), -KL_INVALID);
        cr_assert(strstr(err.msg, where[i]), "%s", err.msg);
        table_free(&t);
    }
}
