#include "base/cleanup.h"
#include "base/json.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const char *round_trip(struct arena *a, const char *text)
{
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = json_parse(a, str_of(text), &err);
    if (!v)
        return arena_dup(a, str_of(err.msg));
    struct buf b = BUF_INIT(0);
    json_write(&b, v);
    const char *out = arena_dup(a, buf_str(&b));
    buf_free(&b);
    return out;
}

Test(json, round_trips)
{
    struct arena *a = arena_new(0);
    static const char *const same[] = {
        "{}", "[]", "null", "true", "-1", "9223372036854775807", "9223372036854775808", "1.50", "1e9", "-0",
        "{\"a\":[1,{\"b\":\"x\\ny\"},[]],\"c\":null}", "\"\\u003ca\\u0026\\u003e\"", "\"\xc3\xa9\"", "\"\\u2028\"",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        cr_assert_str_eq(round_trip(a, same[i]), same[i]);
    cr_assert_str_eq(round_trip(a, " { \"a\" : \"\\u00e9\\ud83d\\ude00\" } "), "{\"a\":\"\xc3\xa9\xf0\x9f\x98\x80\"}");
    cr_assert_str_eq(round_trip(a, "\"a\xff\""), "\"a\xef\xbf\xbd\"");
    cr_assert_str_eq(round_trip(a, "\"\\ud800x\""), "\"\xef\xbf\xbdx\"");
    arena_free(a);
}

Test(json, refuses_what_is_not_json)
{
    struct arena *a = arena_new(0);
    static const char *const bad[] = { "", "{", "[1,]", "{\"a\"}", "{\"a\":}", "01", "1.", "1e", "-", "tru", "\"a", "\"\\x\"",
                                       "\"\\u12\"", "[1 2]", "{a:1}", "1 1", "\"\n\"", "{\"a\":1,}", "[", "]" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct kl_err err;
        kl_err_init(&err);
        cr_assert_null(json_parse(a, str_of(bad[i]), &err), "%s", bad[i]);
        cr_assert_eq(err.code, KL_BAD_REQUEST, "%s", bad[i]);
        cr_assert_neq(err.msg[0], '\0');
    }
    arena_free(a);
}

Test(json, limits_depth_and_memory)
{
    struct arena *a = arena_new(1 << 20);
    char deep[400];
    memset(deep, '[', sizeof deep);
    struct kl_err err;
    kl_err_init(&err);
    cr_assert_null(json_parse(a, str_n(deep, sizeof deep), &err));
    cr_assert_eq(err.code, KL_TOO_LARGE);
    struct buf b = BUF_INIT(0);
    for (int i = 0; i < 100000; i++)
        buf_add_z(&b, i ? ",1" : "[1");
    buf_add_c(&b, ']');
    cr_assert_null(json_parse(a, buf_str(&b), &err));
    cr_assert_eq(err.code, KL_NO_MEMORY);
    buf_free(&b);
    arena_free(a);
}

Test(json, without_a_member)
{
    static const char *const rows[][3] = {      /* text, path, what is left */
        { "{\"a\":1,\"m\":{\"x\":1,\"f\":[{\"k\":\"},\"}]}}", "m.f", "{\"a\":1,\"m\":{\"x\":1}}" },
        { "{\"m\":{\"x\":1,\"f\":{},\"z\":2},\"s\":{\"f\":3}}", "m.f", "{\"m\":{\"x\":1,\"z\":2},\"s\":{\"f\":3}}" },
        { "{\"m\":{\"f\":1,\"z\":2}}", "m.f", "{\"m\":{\"f\":1,\"z\":2}}" },     /* the first one stays: nothing needs it to go */
        { "{\"m\":{\"x\":1}}", "m.f", "{\"m\":{\"x\":1}}" },
        { "{}", "m.f", "{}" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        struct val *v = json_parse_without(a, str_of(rows[i][0]), rows[i][1], NULL);
        cr_assert(v && val_equal(v, json_parse(a, str_of(rows[i][2]), NULL)), "row %zu", i);
    }
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_err err;
    kl_err_init(&err);
    cr_expect_null(json_parse_without(a, STR("{\"m\":"), "m.f", &err));
    cr_expect_eq(err.code, KL_BAD_REQUEST);
}

/* Texts are taken many bytes at a time: what needs care is seen wherever it stands. */
Test(json, care_at_every_place)
{
    static const struct {
        const char *json, *text, *written;      /* written NULL: as json */
    } rows[] = {
        { "\\n", "\n", NULL }, { "\\\\", "\\", NULL }, { "\\\"", "\"", NULL }, { "\\/", "/", "/" }, { "\\u0001", "\1", NULL }, { "\\u003c", "<", NULL },
        { "\\u00e9", "\xc3\xa9", "\xc3\xa9" }, { "\xc3\xa9", "\xc3\xa9", NULL }, { "\xe2\x82\xac", "\xe2\x82\xac", NULL },
        { "\\u2028", "\xe2\x80\xa8", NULL }, { "\xe2\x80\xa9", "\xe2\x80\xa9", "\\u2029" }, { "\xff", "\xef\xbf\xbd", "\xef\xbf\xbd" },
        { "\xe2\x80", "\xef\xbf\xbd\xef\xbf\xbd", "\xef\xbf\xbd\xef\xbf\xbd" }, { "\\ud83d\\ude00", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
        { "\\n\\t", "\n\t", NULL },
    };
    struct arena *a = arena_new(0);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (int before = 0; before < 70; before++)
            for (int after = 0; after < 40; after += 13) {
                static const char plain[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
                char *in = arena_printf(a, "\"%.*s%s%.*s%s\"", before, plain, rows[r].json, after, plain, rows[r].json);
                char *text = arena_printf(a, "%.*s%s%.*s%s", before, plain, rows[r].text, after, plain, rows[r].text);
                const char *w = rows[r].written ? rows[r].written : rows[r].json;
                char *out = arena_printf(a, "\"%.*s%s%.*s%s\"", before, plain, w, after, plain, w);
                struct val *v = json_parse(a, str_of(in), NULL);
                struct buf b = BUF_INIT(0);
                cr_assert(str_is(val_str(v), text), "%s", in);
                json_write(&b, v);
                cr_assert(str_is(buf_str(&b), out), "%s gives %s", in, b.at);
                buf_free(&b);
            }
    arena_free(a);
}

/* Texts come from protobuf and from paths too: what is no character is not passed on as one. */
Test(json, only_characters_are_written)
{
    static const struct {
        const char *text, *written;
    } rows[] = {
        { "\xff", "\\ufffd" }, { "a\xc3", "a\\ufffd" }, { "\xc3(", "\\ufffd(" }, { "\xe2\x80", "\\ufffd\\ufffd" }, { "\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd" },
        { "\xc0\xaf", "\\ufffd\\ufffd" }, { "\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd" }, { "\xc3\xa9\xff\xc3\xa9", "\xc3\xa9\\ufffd\xc3\xa9" },
        { "\xe2\x80\xa8", "\\u2028" }, { "\xe2\x82\xac", "\xe2\x82\xac" }, { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int before = 0; before < 40; before++) {
            _cleanup_buf_ struct buf text = BUF_INIT(0), want = BUF_INIT(0), b = BUF_INIT(0);
            buf_printf(&text, "%.*s%s", before, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", rows[i].text);
            buf_printf(&want, "\"%.*s%s\"", before, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", rows[i].written);
            json_write_str(&b, buf_str(&text));
            cr_assert_str_eq(b.at, want.at, "row %zu behind %d", i, before);
        }
}

Test(json, tree_edits)
{
    struct arena *a = arena_new(0);
    struct val *v = json_parse(a, STR("{\"a\":1,\"b\":2,\"c\":3}"), NULL);
    json_set_str(a, v, STR("b"), STR("x"));
    json_set_int(a, json_obj(a, v, STR("d")), STR("e"), 5);
    cr_assert(json_del(v, STR("a")));
    cr_assert(json_del(v, STR("c")));
    cr_assert_not(json_del(v, STR("c")));
    val_push(json_arr(a, v, STR("f")), val_of_bool(a, true));
    struct buf b = BUF_INIT(0);
    json_write(&b, v);
    cr_assert_str_eq(b.at, "{\"b\":\"x\",\"d\":{\"e\":5},\"f\":[true]}");
    cr_assert_eq(json_int(v, "d.e", 0), 5);
    cr_assert(val_equal(v, val_copy(a, v)));
    buf_free(&b);
    arena_free(a);
}

Test(json, an_array_holds_texts)
{
    struct arena *a = arena_new(0);
    struct val *v = json_parse(a, STR("[1, \"a\", [\"b\"], null, \"\"]"), NULL);
    cr_expect(json_lists(v, STR("a")));
    cr_expect(json_lists(v, STR("")));
    cr_expect(!json_lists(v, STR("b")));
    cr_expect(!json_lists(v, STR("1")));
    cr_expect(!json_lists(v->first, STR("")), "what is no array holds nothing");
    cr_expect(!json_lists(json_parse(a, STR("[1]"), NULL), STR("")), "a number is no empty text");
    cr_expect(!json_lists(NULL, STR("a")));
    arena_free(a);
}

/* A name is found however it came there: look-ups ask a set of bits first. */
Test(json, members_are_found_however_they_came)
{
    struct arena *a = arena_new(0);
    struct val *v = json_parse(a, STR("{\"one\":1}"), NULL), *two = val_of_int(a, 2), *three = val_of_int(a, 3);
    char name[16];
    two->key = "two", two->key_len = 3;
    three->key = "three", three->key_len = 5;
    val_push(v, two);
    val_unshift(v, three);
    cr_expect_eq(json_int(v, "two", 0), 2);
    cr_expect_eq(v->first, three);
    val_rename(v, two, STR("second"));
    cr_expect_null(json_get(v, STR("two")));
    cr_expect_eq(json_get(v, STR("second")), two);
    cr_expect_eq(json_int(val_copy(a, v), "three", 0), 3);
    val_unlink(v, three);
    cr_expect_null(json_get(v, STR("three")));
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "name-%d", i);
        json_set_int(a, v, arena_str(a, str_of(name)), i);
    }
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "name-%d", i);
        cr_expect_eq(json_int(v, name, -1), i);
    }
    arena_free(a);
}

Test(json, sorts_members)
{
    struct arena *a = arena_new(0);
    struct val *v = json_parse(a, STR("{\"b\":1,\"a\":2,\"c\":3,\"\":4,\"ab\":5}"), NULL), *none = val_new(a, VAL_OBJ);
    struct buf b = BUF_INIT(0);
    cr_expect_not(json_is_sorted(v));
    cr_assert(json_sort(a, v) && json_is_sorted(v));
    json_write(&b, v);
    cr_expect_str_eq(b.at, "{\"\":4,\"a\":2,\"ab\":5,\"b\":1,\"c\":3}");
    cr_expect_eq(v->n, 5);
    val_push(v, json_set_int(a, none, STR("d"), 6));
    cr_expect_eq(json_int(v, "d", 0), 6, "the end is where it was put");
    cr_expect(json_sort(a, val_new(a, VAL_OBJ)));
    cr_expect_not(json_is_sorted(json_parse(a, STR("{\"a\":1,\"a\":2}"), NULL)), "a name that comes twice");
    buf_free(&b);
    arena_free(a);
}

/* Empty texts may have no bytes at all to point at. */
Test(json, writes_members_by_name)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    const struct val *v = json_parse(a, STR("{\"b\":[{\"y\":1,\"x\":[]},\"<\"],\"a\":{\"d\":null,\"c\":{}},\"B\":1.50}"), NULL);
    json_write_sorted(&b, v);
    cr_assert(str_is(buf_str(&b), "{\"B\":1.50,\"a\":{\"c\":{},\"d\":null},\"b\":[{\"x\":[],\"y\":1},\"\\u003c\"]}"), "%.*s", STR_ARG(buf_str(&b)));
    cr_assert(str_is(val_key(v->first), "b"), "the tree stays as it is");
    buf_clear(&b);
    json_write_sorted(&b, NULL);
    cr_assert(b.failed);
}

Test(json, empty_texts_are_equal)
{
    struct arena *a = arena_new(0);
    struct val *none = val_new(a, VAL_STR), *empty = val_of_str(a, STR("")), *obj = val_new(a, VAL_OBJ);
    cr_expect(val_equal(none, empty));
    cr_expect(val_equal(none, none));
    json_set(a, obj, STR_NONE, none);
    cr_expect_eq(json_get(obj, STR("")), none);
    struct buf b = BUF_INIT(0);
    json_write(&b, obj);
    cr_expect_str_eq(b.at, "{\"\":\"\"}");
    buf_free(&b);
    arena_free(a);
}
