/* quote.h - JSON in tests without backslashes: ' stands for ", ` for \", ^ for an apostrophe. */
#ifndef TESTS_OBJECT_QUOTE_H
#define TESTS_OBJECT_QUOTE_H

#include "base/cleanup.h"
#include "base/json.h"

#include <criterion/criterion.h>

static inline struct str quoted(struct arena *a, const char *text)
{
    struct buf b = BUF_INIT(0);
    for (; *text; text++)
        if (*text == '`')
            buf_lit(&b, "\\\"");
        else
            buf_add_c(&b, *text == '\'' ? '"' : *text == '^' ? '\'' : *text);
    struct str s = arena_str(a, buf_str(&b));
    buf_free(&b);
    return s;
}

static inline struct val *quoted_tree(struct arena *a, const char *text)
{
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = json_parse(a, quoted(a, text), &err);
    cr_assert(v, "%s: %s", text, err.msg);
    return v;
}

#endif
