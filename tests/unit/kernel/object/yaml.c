/* YAML: what is read, what is refused, and that every text comes back as it was. */
#include "base/cleanup.h"
#include "object/object.h"

#include <criterion/criterion.h>

#include "base/yaml.h"

Test(yaml, reads)
{
    static const char *const rows[][2] = {
        { "a: 1\nb: [x, 2.5, true, ~, \"1\"]\n", "{\"a\":1,\"b\":[\"x\",2.5,true,null,\"1\"]}" },
        { "a:\n- b: |\n    one\n    two\n- >-\n  folded\n  text\n", "{\"a\":[{\"b\":\"one\\ntwo\\n\"},\"folded text\"]}" },
        { "{\"a\": {\"b\": []}}", "{\"a\":{\"b\":[]}}" },
        { "a: 0x1F\nb: 0o17\nc: 017\ne: 1e3\nf: 1.5.2\n", "{\"a\":31,\"b\":15,\"c\":15,\"e\":1e3,\"f\":\"1.5.2\"}" },
        { "a: yes\nb: \"yes\"\nc: 'no'\nd: off\n", "{\"a\":true,\"b\":\"yes\",\"c\":\"no\",\"d\":false}" },
        { "---\nx: 12:30:45\nz: 2026-01-01\n", "{\"x\":\"12:30:45\",\"z\":\"2026-01-01\"}" },
        { "3: x\ntrue: y\n0x10: z\nn: \"y\"\n", "{\"3\":\"x\",\"true\":true,\"16\":\"z\",\"false\":\"y\"}" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        struct buf b = BUF_INIT(0);
        struct kl_err err;
        kl_err_init(&err);
        struct val *v = object_parse_yaml(a, str_of(rows[i][0]), &err);
        cr_assert(v, "%s: %s", rows[i][0], err.msg);
        json_write(&b, v);
        cr_expect_str_eq(b.at, rows[i][1], "%s gives %s", rows[i][0], b.at);
        buf_free(&b);
        arena_free(a);
    }
}

Test(yaml, refuses)
{
    static const char *const rows[][2] = {
        { "a: *b\n", "aliases" }, { "a: &x 1\nb: *x\n", "aliases" }, { "a: 1\na: 2\n", "already set" }, { "? [a]\n: b\n", "key is not text" },
        { "a: [1\n", "line" }, { "\ta: 1\n", "cannot start" }, { "", "empty" }, { "# only words\n", "empty" }, { "a: \"\\q\"\n", "escape" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        struct kl_err err;
        kl_err_init(&err);
        cr_expect_null(object_parse_yaml(a, str_of(rows[i][0]), &err), "%s", rows[i][0]);
        cr_expect(err.code == KL_BAD_REQUEST && strstr(err.msg, rows[i][1]), "%s: %s", rows[i][0], err.msg);
        arena_free(a);
    }
}

static void note(void *ctx, const char *text)
{
    buf_printf(ctx, "%s;", text);
}

Test(yaml, keys_that_come_again)
{
    struct arena *a = arena_new(0);
    struct buf said = BUF_INIT(0), text = BUF_INIT(0), out = BUF_INIT(0);
    struct kl_err err;
    kl_err_init(&err);
    json_write(&out, yaml_read_twice(a, STR("a: 1\nb: {c: 1, c: 2}\na:\n  d: 3\n"), note, &said, &err));
    cr_expect_str_eq(out.at, "{\"a\":{\"d\":3},\"b\":{\"c\":2}}");
    cr_expect_str_eq(said.at, "line 2: key \"c\" already set in map;line 4: key \"a\" already set in map;");
    for (int i = 0; i < 300; i++)       /* more than are looked through one by one */
        buf_printf(&text, "k%d: %d\n", i % 200, i);
    buf_clear(&said);
    struct val *v = yaml_read_twice(a, buf_str(&text), note, &said, &err);
    cr_expect_eq(v ? v->n : 0, 200);
    cr_expect_eq(json_int(v, "k0", 0), 200);
    cr_expect_eq(json_int(v, "k199", 0), 199);
    cr_expect(strstr(said.at, "line 201: key \"k0\" already set in map;") && strstr(said.at, "line 300: key \"k99\""));
    kl_err_init(&err);
    cr_expect_null(yaml_read(a, buf_str(&text), &err));
    cr_expect_str_eq(err.msg, "error converting YAML to JSON: yaml: line 201: key \"k0\" already set in map");
    buf_free(&said);
    buf_free(&text);
    buf_free(&out);
    arena_free(a);
}

Test(yaml, nests_no_deeper_than_json)
{
    struct arena *a = arena_new(0);
    struct buf b = BUF_INIT(0);
    struct kl_err err;
    for (int i = 0; i < JSON_DEPTH + 1; i++)
        buf_lit(&b, "[");
    for (int i = 0; i < JSON_DEPTH + 1; i++)
        buf_lit(&b, "]");
    cr_expect_null(object_parse_yaml(a, buf_str(&b), &err));
    cr_expect_eq(err.code, KL_TOO_LARGE);
    buf_free(&b);
    arena_free(a);
}

Test(yaml, every_text_comes_back)
{
    static const char *const texts[] = {
        "", " ", "a", " a", "a ", "a: b", "a:", ":a", "a #b", "#a", "- a", "-", "-a", "--- a", "...", "... a", "?", "? a", "?a", "true", "null", "~", "1", "-1", "1.5",
        "0x10", "1e3", ".5", "12:30", "1:2:3", "yes", "a\nb", "a\n", "a\n\n", "\na", "\n", " \n", "a \nb", " a\nb", "a\n b\n", "a\tb", "'", "it's", "\"", "a\"b", "\\", "\\n",
        "{", "[a]", "&a", "*a", "!a", "|", ">", "%a", "@a", "`a", "a,b", "a\rb", "\x7f", "\xc2\x85", "\xc2\x80", "\xe2\x80\xa8", "\xef\xbb\xbf", "\xc3\xa9", "\xf0\x9f\x98\x80",
        "=", "<<", "2026-01-01", "#!/bin/sh\necho \"a: b\"\n\n  x\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct arena *a = arena_new(0);
        struct buf b = BUF_INIT(0);
        struct kl_err err;
        kl_err_init(&err);
        struct val *v = val_new(a, VAL_OBJ), *list = json_arr(a, v, STR("list"));
        json_set_str(a, v, str_of(texts[i]), str_of(texts[i]));
        val_push(list, val_of_str(a, str_of(texts[i])));
        object_write_yaml(&b, v);
        struct val *back = object_parse_yaml(a, buf_str(&b), &err);
        cr_expect(back && val_equal(v, back), "text %zu is written as\n%s", i, b.at);
        buf_free(&b);
        arena_free(a);
    }
}

Test(yaml, writes_as_upstream)
{
    struct arena *a = arena_new(0);
    struct buf b = BUF_INIT(0);
    struct kl_err err;
    struct val *v = json_parse(a, STR("{\"b\":[{\"x\":1,\"y\":[2]},\"s\"],\"a\":{},\"c\":\"1\",\"d\":\"x\\ny\\n\",\"e\":[],\"f\":null,\"g\":\"on\",\"h\":\"a: b\"}"), &err);
    object_write_yaml(&b, v);
    cr_expect_str_eq(b.at, "a: {}\nb:\n- x: 1\n  \"y\":\n  - 2\n- s\nc: \"1\"\nd: |\n  x\n  y\ne: []\nf: null\ng: \"on\"\nh: 'a: b'\n");
    buf_free(&b);
    arena_free(a);
}

/* Styles, escapes and the order of names, each as upstream's library writes it. */
Test(yaml, texts_as_upstream)
{
    static const struct {
        const char *json, *yaml;
    } rows[] = {
        { "{\"a\":\"\"}", "a: \"\"\n" }, { "{\"a\":\"10.0.0.1:3260\"}", "a: 10.0.0.1:3260\n" }, { "{\"a\":\"12:30\"}", "a: \"12:30\"\n" }, { "{\"a\":\"1:99\"}", "a: 1:99\n" },
        { "{\"a\":\"2026-01-02\"}", "a: \"2026-01-02\"\n" }, { "{\"a\":\"2026-01-02T03:04:05Z\"}", "a: \"2026-01-02T03:04:05Z\"\n" }, { "{\"a\":\"2026-01-02x\"}", "a: 2026-01-02x\n" },
        { "{\"a\":\"x\xe2\x80\xa8y\"}", "a: \"x\\Ly\"\n" }, { "{\"a\":\"x\\u0007\"}", "a: \"x\\a\"\n" }, { "{\"i10\":1,\"i9\":2,\"i\":3}", "i: 3\ni9: 2\ni10: 1\n" },
        { "{\"a1b\":1,\"a-b\":2,\"ab\":3}", "a-b: 2\na1b: 1\nab: 3\n" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        struct buf b = BUF_INIT(0);
        struct kl_err err;
        object_write_yaml(&b, json_parse(a, str_of(rows[i].json), &err));
        cr_expect_str_eq(b.at, rows[i].yaml);
        buf_free(&b);
        arena_free(a);
    }
}

/* Long texts go on in the next line at the first single space behind the 80th column, and read back as they were. */
Test(yaml, folds)
{
    static const char *const forms[][2] = { { "", "" }, { "it's: ", "" }, { "x\t", "" }, { "", "  word" }, { "", " \xc3\xa9 \"" }, { " ", "" } };
    struct kl_err err;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct arena *a = arena_new(0);
        struct buf b = BUF_INIT(0);
        char words[400] = "";
        for (int k = 0; k < 30; k++)
            strncat(words, k ? " word word" : "word", sizeof words - strlen(words) - 1);
        struct val *v = val_new(a, VAL_OBJ), *in = json_obj(a, v, STR("deep"));
        json_set_str(a, in, STR("text"), str_of(arena_printf(a, "%s%s%s", forms[i][0], words, forms[i][1])));
        object_write_yaml(&b, v);
        cr_expect(strstr(b.at, "\n    word"), "is folded: %s", b.at);
        for (const char *line = b.at; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
            cr_expect_leq(strcspn(line, "\n"), 92u, "%s", line);
        struct val *back = object_parse_yaml(a, buf_str(&b), &err);
        cr_expect(back && val_equal(v, back), "%s", b.at);
        buf_free(&b);
        arena_free(a);
    }
}
