/* What is told of an HTTP status that is no success, and where a webhook is called, as upstream's clients have both. */
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

Test(http_words, of_connections)
{
    struct arena *a = arena_new(0);
    cr_expect_str_eq(http_dial_words(a, "127.0.0.1:1: Connection refused"), "dial tcp 127.0.0.1:1: connect: connection refused");
    cr_expect_str_eq(http_dial_words(a, "a:1: the connection broke"), "a:1: the connection broke");
    arena_free(a);
}

Test(http_words, as_upstreams_clients)
{
    static const struct {
        uint32_t status;
        const char *body, *words;       /* NULL: a success */
    } rows[] = {
        { 200, "x", NULL },
        { 206, "x", NULL },
        { 207, "", "the server responded with the status code 207 but did not return more information" },
        { 400, "{\"error\":\"bad\"}", "the server rejected our request for an unknown reason" },
        { 403, "no entry\n", "no entry" },
        { 403, "{\"kind\":\"Status\",\"message\":\"not you\"}", "not you" },
        { 404, "404 page not found", "the server could not find the requested resource" },
        { 418, "short and stout", "the server responded with the status code 418 but did not return more information" },
        { 500, " broken inside\n", "an error on the server (\"broken inside\") has prevented the request from succeeding" },
        { 500, "{\"kind\":\"Status\",\"message\":\"told\"}", "told" },
        { 500, "{\"kind\":\"Pod\",\"message\":\"told\"}", "an error on the server (\"unknown\") has prevented the request from succeeding" },
        { 503, "", "the server is currently unable to handle the request" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        const char *is = http_words(a, rows[i].status, str_of(rows[i].body));
        cr_expect(rows[i].words ? is && strcmp(is, rows[i].words) == 0 : !is, "row %zu: %s", i, is ? is : "success");
        arena_free(a);
    }
}
