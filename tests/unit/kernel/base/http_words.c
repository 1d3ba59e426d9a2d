/* Where a webhook is called: as upstream's client joins the parts of a path. */
#include <criterion/criterion.h>

#include "base/http_words.h"

Test(http_words, paths_of_hooks)
{
    static const struct {
        const char *path, *want;
    } rows[] = { { "", "/" }, { "/", "/" }, { "a", "/a" }, { "/a/b", "/a/b" }, { "//failing", "/failing" }, { "a//b/", "/a/b" },
                 { "./a/./b", "/a/b" }, { "a/../b", "/b" }, { "a/b/..", "/a" }, { "../..", "/" }, { "/../a", "/a" }, { "a/..b/...", "/a/..b/..." } };
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_str_eq(http_hook_path(a, str_of(rows[i].path), 7), arena_printf(a, "%s?timeout=7s", rows[i].want), "'%s'", rows[i].path);
    arena_free(a);
}
