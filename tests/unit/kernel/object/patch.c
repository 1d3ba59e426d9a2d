/* JSON, merge and strategic merge patches: what they make, what they refuse, and that they leave the old object alone. */
#include "base/cleanup.h"
#include "object/object.h"

#include <criterion/criterion.h>

#define POD "io.k8s.api.core.v1.Pod"

enum how { JSON = 1, MERGE, STRATEGIC };

static const char *patched(struct arena *a, enum how how, const char *type, const char *old, const char *patch, struct kl_err *err)
{
    struct buf before = BUF_INIT(0), after = BUF_INIT(0);
    kl_err_init(err);
    struct val *o = json_parse(a, str_of(old), err), *p = json_parse(a, str_of(patch), err);
    cr_assert(o && p, "%s", err->msg);
    json_write(&before, o);
    struct val *v = how == JSON ? object_patch_json(a, o, p, err) : how == MERGE ? object_patch_merge(a, o, p, err) :
                    object_patch_strategic(a, schema_type_by_name(str_of(type ? type : POD)), o, p, err);
    json_write(&after, o);
    cr_expect_str_eq(before.at, after.at, "the old object changed: %s", patch);
    buf_clear(&after);
    if (v)
        json_write(&after, v);
    const char *text = v ? arena_dup(a, buf_str(&after)) : NULL;
    buf_free(&before);
    buf_free(&after);
    return text;
}

struct row {
    enum how how;
    const char *type, *old, *patch, *result;    /* result NULL: refused, with error in its text */
    const char *error;
};

static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct arena *a = arena_new(0);
        struct kl_err err;
        const char *text = patched(a, rows[i].how, rows[i].type, rows[i].old, rows[i].patch, &err);
        if (rows[i].result) {
            cr_expect(text, "%s: %s", rows[i].patch, err.msg);
            if (text)
                cr_expect_str_eq(text, rows[i].result, "%s gives %s", rows[i].patch, text);
        } else {
            cr_expect_null(text, "%s gives %s", rows[i].patch, text);
            cr_expect(err.code && strstr(err.msg, rows[i].error), "%s: '%s' lacks '%s'", rows[i].patch, err.msg, rows[i].error);
        }
        arena_free(a);
    }
}
#define CHECK(rows) check(rows, sizeof rows / sizeof *rows)

Test(patch, json_operations)
{
    static const struct row rows[] = {
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/b\",\"value\":2}]", "{\"a\":1,\"b\":2}", NULL },
        { JSON, NULL, "{\"a\":[1,3]}", "[{\"op\":\"add\",\"path\":\"/a/1\",\"value\":2},{\"op\":\"add\",\"path\":\"/a/-\",\"value\":4}]", "{\"a\":[1,2,3,4]}", NULL },
        { JSON, NULL, "{\"a\":{\"x/y\":1,\"~\":2}}", "[{\"op\":\"remove\",\"path\":\"/a/x~1y\"},{\"op\":\"replace\",\"path\":\"/a/~0\",\"value\":3}]", "{\"a\":{\"~\":3}}", NULL },
        { JSON, NULL, "{\"a\":[1,2,3]}", "[{\"op\":\"move\",\"from\":\"/a/0\",\"path\":\"/a/2\"}]", "{\"a\":[2,3,1]}", NULL },
        { JSON, NULL, "{\"a\":{\"b\":1}}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/c\"}]", "{\"a\":{\"b\":1,\"c\":{\"b\":1}}}", NULL },
        { JSON, NULL, "{\"a\":[1]}", "[{\"op\":\"replace\",\"path\":\"/a/0\",\"value\":{\"k\":[]}}]", "{\"a\":[{\"k\":[]}]}", NULL },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":1},{\"op\":\"replace\",\"path\":\"\",\"value\":{\"z\":1}}]", "{\"z\":1}", NULL },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":2}]", NULL, "test failed" },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"/b\"}]", NULL, "error in remove for path: '/b': Unable to remove nonexistent key: b: missing value" },
        { JSON, NULL, "{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/2\",\"value\":1}]", NULL, "missing path" },
        { JSON, NULL, "{\"a\":{}}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b\"}]", NULL, "into itself" },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"jump\",\"path\":\"/a\"}]", NULL, "Unexpected kind: jump" },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"\"}]", NULL, "missing path" },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"\",\"value\":3}]", NULL, "must be object or array" },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"\",\"value\":[3]}]", NULL, "leaves no object" },
        { JSON, NULL, "{\"a\":1}", "{\"a\":2}", NULL, "cannot unmarshal object" },
    };
    CHECK(rows);
}

/* Where the library that upstream uses goes beyond RFC 6902: clients have come to need it. */
Test(patch, json_as_upstream)
{
    static const struct row rows[] = {
        /* what is not there can be replaced */
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"/b\",\"value\":{\"x\":1}}]", "{\"a\":1,\"b\":{\"x\":1}}", NULL },
        { JSON, NULL, "{\"a\":{}}", "[{\"op\":\"replace\",\"path\":\"/a/k~0~1\",\"value\":2}]", "{\"a\":{\"k~/\":2}}", NULL },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"/b/c\",\"value\":1}]", NULL, "missing path" },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"/a/c\",\"value\":1}]", NULL, "missing path" },
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"replace\",\"path\":\"/l/3\",\"value\":9}]", NULL, "missing path" },
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"replace\",\"path\":\"/l/-\",\"value\":9}]", NULL, "missing path" },
        /* places from the end, and as Go reads numbers */
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"replace\",\"path\":\"/l/-1\",\"value\":9}]", "{\"l\":[1,2,9]}", NULL },
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"replace\",\"path\":\"/l/-4\",\"value\":9}]", NULL, "missing path" },
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"replace\",\"path\":\"/l/+1\",\"value\":9}]", "{\"l\":[1,9,3]}", NULL },
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"replace\",\"path\":\"/l/+-1\",\"value\":9}]", NULL, "missing path" },
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"add\",\"path\":\"/l/-1\",\"value\":9}]", "{\"l\":[1,2,3,9]}", NULL },
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"add\",\"path\":\"/l/-4\",\"value\":9}]", "{\"l\":[9,1,2,3]}", NULL },
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"add\",\"path\":\"/l/-5\",\"value\":9}]", NULL, "missing path" },
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"add\",\"path\":\"/l/x\",\"value\":9}]", NULL, "missing path" },
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"remove\",\"path\":\"/l/-1\"}]", "{\"l\":[1,2]}", NULL },
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"remove\",\"path\":\"/l/00\"}]", "{\"l\":[2,3]}", NULL },
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"remove\",\"path\":\"/l/-9223372036854775808\"}]", NULL, "missing path" },
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"move\",\"path\":\"/l/0\",\"from\":\"/l/-1\"}]", "{\"l\":[3,1,2]}", NULL },
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"copy\",\"path\":\"/l/-\",\"from\":\"/l/-1\"}]", "{\"l\":[1,2,3,3]}", NULL },
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"copy\",\"path\":\"/m\",\"from\":\"/l/9\"}]", NULL, "missing path" },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"copy\",\"path\":\"/m\",\"from\":\"/n\"}]", "{\"a\":1,\"m\":null}", NULL },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"copy\",\"path\":\"/m\",\"from\":\"\"}]", NULL, "missing path" },
        /* no value is null, and what is not there is null too */
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/b\"}]", "{\"a\":1,\"b\":null}", NULL },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"/a\"}]", "{\"a\":null}", NULL },
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"replace\",\"path\":\"/l/1\"}]", "{\"l\":[1,null,3]}", NULL },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/b\"}]", "{\"a\":1}", NULL },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/b\",\"value\":null}]", "{\"a\":1}", NULL },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/b\",\"value\":1}]", NULL, "test failed" },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\"}]", NULL, "test failed" },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":null}]", NULL, "test failed" },
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"test\",\"path\":\"/l/5\",\"value\":null}]", NULL, "missing path" },
        { JSON, NULL, "{\"l\":[1,2,3]}", "[{\"op\":\"test\",\"path\":\"/l/-1\",\"value\":3}]", "{\"l\":[1,2,3]}", NULL },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/b/c\",\"value\":null}]", NULL, "missing path" },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"\",\"value\":{\"a\":1}}]", "{\"a\":1}", NULL },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"\",\"value\":{}}]", NULL, "test failed" },
        { JSON, NULL, "{\"a\":1}", "null", "{\"a\":1}", NULL },
        /* nobody looks at what stands before the first slash */
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"x/b\",\"value\":1}]", "{\"a\":1,\"b\":1}", NULL },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"b\",\"value\":1}]", NULL, "missing path" },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"\",\"value\":{}}]", NULL, "missing path" },
        /* no operations at all */
        { JSON, NULL, "{\"a\":1}", "[1]", NULL, "cannot unmarshal number into Go value of type handlers.jsonPatchOp" },
        { JSON, NULL, "{\"a\":1}", "[null]", NULL, "Unexpected kind: unknown" },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":\"add\",\"path\":5,\"value\":1}]", NULL, "cannot unmarshal number into Go struct field jsonPatchOp.path of type string" },
        { JSON, NULL, "{\"a\":1}", "[{\"op\":{},\"path\":\"/a\"}]", NULL, "unmarshal object into Go struct field jsonPatchOp.op" },
    };
    CHECK(rows);
}

/* What can be stored must be readable again: texts may nest JSON_DEPTH levels. */
Test(patch, json_nests_no_deeper_than_texts)
{
    struct arena *a = arena_new(0);
    struct buf ops = BUF_INIT(0), path = BUF_INIT(0);
    struct kl_err err;
    buf_lit(&ops, "[");
    for (int i = 0; i < JSON_DEPTH + 1; i++) {
        buf_lit(&path, "/a");
        buf_printf(&ops, "%s{\"op\":\"add\",\"path\":\"%s\",\"value\":{}}", i ? "," : "", path.at);
    }
    buf_lit(&ops, "]");
    cr_expect_null(patched(a, JSON, NULL, "{}", ops.at, &err));
    cr_expect(strstr(err.msg, "deep"), "%s", err.msg);
    buf_free(&ops);
    buf_free(&path);
    arena_free(a);
}

Test(patch, merge)
{
    static const struct row rows[] = {
        { MERGE, NULL, "{\"a\":{\"b\":1,\"c\":2},\"d\":[1]}", "{\"a\":{\"b\":null,\"e\":{\"f\":null,\"g\":1}},\"d\":[2]}", "{\"a\":{\"c\":2,\"e\":{\"g\":1}},\"d\":[2]}", NULL },
        { MERGE, NULL, "{\"a\":1}", "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}", NULL },
        { MERGE, NULL, "{\"a\":1}", "{}", "{\"a\":1}", NULL },
        { MERGE, NULL, "{\"a\":1}", "[1]", NULL, "into Go value of type map" },
    };
    CHECK(rows);
}

#define SPEC(s) "{\"spec\":{" s "}}"
Test(patch, strategic_lists)
{
    static const struct row rows[] = {
        /* a list of structs merges by its key; what the patch names stands in its order, the rest between as it stood */
        { STRATEGIC, NULL, SPEC("\"containers\":[{\"name\":\"a\",\"image\":\"1\"},{\"name\":\"b\",\"image\":\"2\"}]"),
          SPEC("\"containers\":[{\"name\":\"b\",\"image\":\"3\"},{\"name\":\"c\",\"image\":\"4\"}]"),
          SPEC("\"containers\":[{\"name\":\"a\",\"image\":\"1\"},{\"name\":\"b\",\"image\":\"3\"},{\"name\":\"c\",\"image\":\"4\"}]"), NULL },
        { STRATEGIC, NULL, SPEC("\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]"), SPEC("\"containers\":[{\"name\":\"z\"}]"),
          SPEC("\"containers\":[{\"name\":\"z\"},{\"name\":\"a\"},{\"name\":\"b\"}]"), NULL },
        { STRATEGIC, NULL, SPEC("\"containers\":[{\"name\":\"a\"},{\"name\":\"s\"},{\"name\":\"b\"}]"),
          SPEC("\"$setElementOrder/containers\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"c\"}],\"containers\":[{\"name\":\"c\"}]"),
          SPEC("\"containers\":[{\"name\":\"a\"},{\"name\":\"s\"},{\"name\":\"b\"},{\"name\":\"c\"}]"), NULL },
        { STRATEGIC, NULL, SPEC("\"containers\":[]"),
          SPEC("\"$setElementOrder/containers\":[{\"name\":\"a\"},{\"name\":\"b\"}],\"containers\":[{\"name\":\"b\"},{\"name\":\"a\"}]"), NULL,
          "doesn't match $setElementOrder list" },
        { STRATEGIC, NULL, SPEC("\"containers\":[{\"name\":\"a\"}]"), SPEC("\"containers\":[{\"name\":\"a\",\"$patch\":\"merge\"}]"), NULL,
          "merging lists cannot yet be specified in the patch" },
        { STRATEGIC, NULL, SPEC("\"nodeSelector\":{\"a\":\"b\"}"), SPEC("\"nodeSelector\":{\"$patch\":\"delete\"}"), SPEC("\"nodeSelector\":{}"), NULL },
        { STRATEGIC, NULL, SPEC("\"volumes\":[{\"name\":\"a\"}]"), SPEC("\"volumes\":[{\"name\":\"a\",\"emptyDir\":{},\"$retainKeys\":[\"name\"]}]"), NULL,
          "invalid patch format of retainKeys" },
        { STRATEGIC, NULL, "{\"metadata\":{\"finalizers\":[\"a\"]}}", "{\"metadata\":{\"$deleteFromPrimitiveList/finalizers\":\"a\"}}",
          "{\"metadata\":{\"finalizers\":[\"a\"]}}", NULL },
        { STRATEGIC, NULL, "{\"metadata\":{\"finalizers\":[\"a\"]}}", "{\"metadata\":{\"finalizers\":[7]}}", NULL, "list element types are not identical: [[a] [7]]" },
        { STRATEGIC, NULL, SPEC("\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]"), SPEC("\"containers\":[{\"name\":\"a\",\"$patch\":\"delete\"}]"),
          SPEC("\"containers\":[{\"name\":\"b\"}]"), NULL },
        { STRATEGIC, NULL, SPEC("\"containers\":[{\"name\":\"a\"}]"), SPEC("\"containers\":[{\"$patch\":\"replace\"},{\"name\":\"z\",\"image\":\"i\"}]"),
          SPEC("\"containers\":[{\"name\":\"z\",\"image\":\"i\"}]"), NULL },
        { STRATEGIC, NULL, SPEC("\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]"),
          SPEC("\"$setElementOrder/containers\":[{\"name\":\"b\"},{\"name\":\"a\"}],\"containers\":[{\"name\":\"a\",\"image\":\"i\"}]"),
          SPEC("\"containers\":[{\"name\":\"b\"},{\"name\":\"a\",\"image\":\"i\"}]"), NULL },
        /* an atomic list is replaced */
        { STRATEGIC, NULL, SPEC("\"tolerations\":[{\"key\":\"a\"}]"), SPEC("\"tolerations\":[{\"key\":\"b\"}]"), SPEC("\"tolerations\":[{\"key\":\"b\"}]"), NULL },
        /* a set of texts */
        { STRATEGIC, NULL, "{\"metadata\":{\"finalizers\":[\"a\",\"b\"]}}", "{\"metadata\":{\"$deleteFromPrimitiveList/finalizers\":[\"a\"],\"finalizers\":[\"c\",\"b\"]}}",
          "{\"metadata\":{\"finalizers\":[\"c\",\"b\"]}}", NULL },
        { STRATEGIC, NULL, SPEC("\"containers\":[{\"name\":\"a\"}]"), SPEC("\"containers\":[{\"image\":\"x\"}]"), NULL, "does not contain declared merge key: name" },
        { STRATEGIC, NULL, SPEC("\"containers\":[]"), SPEC("\"containers\":[{\"name\":\"a\",\"$patch\":\"burn\"}]"), NULL, "unknown patch type: burn in map: map[$patch:burn name:a]" },
        /* What is new is taken as it is in a list, without directives in a map. */
        { STRATEGIC, NULL, SPEC("\"containers\":[]"), SPEC("\"containers\":[{\"name\":\"a\",\"resources\":{\"$patch\":\"burn\"}}]"),
          SPEC("\"containers\":[{\"name\":\"a\",\"resources\":{\"$patch\":\"burn\"}}]"), NULL },
        { STRATEGIC, NULL, SPEC("\"containers\":[]"), SPEC("\"tolerations\":[{\"$patch\":\"burn\"}]"), SPEC("\"containers\":[],\"tolerations\":[]"), NULL },
        { STRATEGIC, NULL, SPEC("\"tolerations\":[]"), SPEC("\"tolerations\":[{\"$patch\":\"burn\"}]"), SPEC("\"tolerations\":[{\"$patch\":\"burn\"}]"), NULL },
        { STRATEGIC, NULL, SPEC("\"containers\":[]"), SPEC("\"containers\":[3]"), NULL, "list element types are not identical: [[] [3]]" },
        { STRATEGIC, NULL, "\"text\"", "{\"$patch\":\"replace\"}", NULL, "into Go value of type map" },
        { STRATEGIC, NULL, "{}", "[]", NULL, "into Go value of type map" },
    };
    CHECK(rows);
}

Test(patch, strategic_structs)
{
    static const struct row rows[] = {
        { STRATEGIC, NULL, "{\"metadata\":{\"labels\":{\"a\":\"1\",\"b\":\"2\"}}}", "{\"metadata\":{\"labels\":{\"a\":null,\"c\":\"3\"}}}", "{\"metadata\":{\"labels\":{\"b\":\"2\",\"c\":\"3\"}}}", NULL },
        { STRATEGIC, NULL, "{\"metadata\":{\"labels\":{\"a\":\"1\"}}}", "{\"metadata\":{\"labels\":{\"$patch\":\"replace\",\"c\":\"3\"}}}", "{\"metadata\":{\"labels\":{\"c\":\"3\"}}}", NULL },
        { STRATEGIC, NULL, SPEC("\"nodeName\":\"n\",\"hostname\":\"h\""), SPEC("\"$patch\":\"replace\",\"nodeName\":\"m\""), SPEC("\"nodeName\":\"m\""), NULL },
        { STRATEGIC, "io.k8s.api.apps.v1.Deployment", SPEC("\"strategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxSurge\":1}}"),
          SPEC("\"strategy\":{\"$retainKeys\":[\"type\"],\"type\":\"Recreate\"}"), SPEC("\"strategy\":{\"type\":\"Recreate\"}"), NULL },
        { STRATEGIC, NULL, "{\"a\":1}", "{\"$patch\":\"delete\"}", "{}", NULL },
    };
    CHECK(rows);
}

Test(patch, merges_into_wide_objects)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf old = BUF_INIT(0), patch = BUF_INIT(0);
    struct kl_err err;
    kl_err_init(&err);
    for (int i = 0; i < 2000; i++)
        buf_printf(&old, "%s\"k%d\":{\"x\":%d,\"y\":1}", i ? "," : "{", i, i);
    buf_add_z(&old, "}");
    for (int i = 0; i < 1000; i++)
        buf_printf(&patch, i % 2 ? "%s\"k%d\":{\"x\":-1}" : "%s\"k%d\":null", i ? "," : "{", i);
    for (int i = 0; i < 200; i++)
        buf_printf(&patch, ",\"n%d\":%d", i, i);
    buf_add_z(&patch, ",\"n7\":70,\"n8\":null,\"none\":null}");
    struct val *v = object_patch_merge(a, json_parse(a, buf_str(&old), &err), json_parse(a, buf_str(&patch), &err), &err);
    cr_assert(v, "%s", err.msg);
    cr_expect_eq(v->n, 2000 - 500 + 199);
    cr_expect_not(json_get(v, STR("k0")));
    cr_expect_not(json_get(v, STR("n8")));
    cr_expect_eq(json_int(v, "n7", 0), 70);
    cr_expect_eq(json_int(v, "k1.x", 0), -1);
    cr_expect_eq(json_int(v, "k1.y", 0), 1);
    cr_expect_eq(json_int(v, "k1999.x", 0), 1999);
    unsigned n = 0;
    val_each(x, v) n++;
    cr_expect_eq(n, v->n);
}
