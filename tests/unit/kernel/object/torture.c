/* Every allocation fails once, and every arena is too small by every amount: parsers and patchers then say so, or do all of their work. Half a result
 * is never handed out. */
#include "base/cleanup.h"
#include "object/object.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const char pod[] =
    "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\\u00e9\",\"namespace\":\"n\",\"labels\":{\"app\":\"web\"},\"creationTimestamp\":\"2026-01-02T03:04:05+01:00\","
    "\"finalizers\":[\"a/b\",\"c/d\"]},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\\n\",\"ports\":[{\"containerPort\":80}],\"resources\":{\"limits\":{\"cpu\":\"1000m\",\"memory\":\"1024Mi\"}},"
    "\"env\":[{\"name\":\"A\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":\"status.podIP\"}}}],\"livenessProbe\":{\"httpGet\":{\"port\":\"http\"}}},{\"name\":\"d\",\"image\":\"j\"}],"
    "\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}],\"tolerations\":[{\"key\":\"k\",\"operator\":\"Exists\"}]}}";
static const char secret[] = "{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"s\"},\"data\":{\"k\":\"aGVsbG8gd29ybGQ=\"}}";
static const char yaml[] = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata:\n  k: |\n    one\n    two\n  l: \"x\\ty\"\nbinaryData:\n  b: AAEC\nlist: [1, 2.5, true, ~]\n";
static const char strategic[] =
    "{\"metadata\":{\"$deleteFromPrimitiveList/finalizers\":[\"a/b\"],\"finalizers\":[\"e/f\"],\"labels\":{\"app\":null,\"x\":\"y\"}},\"spec\":{\"$setElementOrder/containers\":[{\"name\":\"e\"},{\"name\":\"d\"}],"
    "\"containers\":[{\"name\":\"c\",\"$patch\":\"delete\"},{\"name\":\"e\",\"image\":\"new\",\"env\":[{\"name\":\"B\",\"value\":\"1\"}]},{\"name\":\"d\",\"image\":\"k\"}],\"tolerations\":[{\"key\":\"z\"}]}}";
static const char merge[] = "{\"metadata\":{\"labels\":{\"app\":null,\"x\":{\"y\":[1,{\"z\":2}]}}},\"spec\":{\"nodeName\":\"n1\"}}";
static const char ops[] = "[{\"op\":\"add\",\"path\":\"/metadata/labels/a~1b\",\"value\":\"1\"},{\"op\":\"copy\",\"from\":\"/spec/containers/0\",\"path\":\"/spec/containers/-\"},"
                          "{\"op\":\"move\",\"from\":\"/metadata/finalizers\",\"path\":\"/list\"},{\"op\":\"replace\",\"path\":\"/spec/containers/1\",\"value\":{\"name\":\"q\"}}]";

/* A case works in the arena and leaves its whole result in out. 0, or < 0 with err. */
typedef int (*case_fn)(struct arena *a, struct buf *out, struct kl_err *err);

static const struct schema_type *pod_type(void)
{
    return schema_type_by_name(STR("io.k8s.api.core.v1.Pod"));
}

static int show(struct buf *out, const struct val *v)
{
    if (!v)
        return -1;
    json_write(out, v);
    return 0;
}

static int parse_json(struct arena *a, struct buf *out, struct kl_err *err)
{
    return show(out, json_parse(a, STR(""), err) ? NULL : json_parse(a, str_of(pod), err));
}

static int decode(struct arena *a, struct buf *out, struct kl_err *err)
{
    struct object_strict strict = { .arena = a };
    return show(out, object_decode_json(a, NULL, str_of(pod), &strict, err));
}

static int decode_defaulted(struct arena *a, struct buf *out, struct kl_err *err)
{
    struct val *v = object_decode_json(a, NULL, str_of(pod), NULL, err);
    const struct schema_kind *k = schema_kind_find(STR(""), STR("v1"), STR("Pod"));
    if (!v)
        return -1;
    if (object_default(a, k, v) < 0 || arena_exhausted(a))
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    object_encode_json(out, pod_type(), v);
    return 0;
}

static int protobuf(struct arena *a, struct buf *out, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    const char *texts[] = { pod, secret };
    for (int i = 0; i < 2; i++) {
        const struct schema_type *t = NULL;
        struct val *v = object_decode_json(a, NULL, str_of(texts[i]), NULL, err);
        if (!v)
            return -1;
        t = i ? schema_type_by_name(STR("io.k8s.api.core.v1.Secret")) : pod_type();
        buf_clear(&b);
        if (object_encode_protobuf(&b, t, v, err) < 0)
            return -1;
        struct val *back = object_decode_protobuf(a, NULL, buf_str(&b), NULL, err);
        if (!back)
            return -1;
        object_encode_json(out, t, back);
    }
    return 0;
}

static int read_yaml(struct arena *a, struct buf *out, struct kl_err *err)
{
    return show(out, object_parse_yaml(a, str_of(yaml), err));
}

static int write_yaml(struct arena *a, struct buf *out, struct kl_err *err)
{
    struct val *v = json_parse(a, str_of(pod), err);
    if (!v)
        return -1;
    object_write_yaml(out, v);
    return 0;
}

static int patch(struct arena *a, struct buf *out, struct kl_err *err, int how)
{
    struct val *old = json_parse(a, str_of(pod), err), *p = json_parse(a, str_of(how == 0 ? ops : how == 1 ? merge : strategic), err);
    if (!old || !p)
        return -1;
    return show(out, how == 0 ? object_patch_json(a, old, p, err) : how == 1 ? object_patch_merge(a, old, p, err) : object_patch_strategic(a, pod_type(), old, p, err));
}

static int patch_json(struct arena *a, struct buf *out, struct kl_err *err)
{
    return patch(a, out, err, 0);
}

static int patch_merge(struct arena *a, struct buf *out, struct kl_err *err)
{
    return patch(a, out, err, 1);
}

static int patch_strategic(struct arena *a, struct buf *out, struct kl_err *err)
{
    return patch(a, out, err, 2);
}

static int selectors(struct arena *a, struct buf *out, struct kl_err *err)
{
    struct selector *l = selector_parse_labels(a, STR("a=b,c in (d,e,f),!g,h notin (i)"), err, NULL);
    struct selector *f = l ? selector_parse_fields(a, schema_kind_find(STR(""), STR("v1"), STR("Pod")), STR("metadata.name=x,status.phase!=Running"), err) : NULL;
    struct val *tree = f ? json_parse(a, STR("{\"matchLabels\":{\"a\":\"b\"},\"matchExpressions\":[{\"key\":\"c\",\"operator\":\"In\",\"values\":[\"d\",\"e\"]}]}"), err) : NULL;
    struct selector *t = tree ? selector_of_tree(a, tree, err) : NULL;
    if (!t)
        return -1;
    selector_write(out, l);
    selector_write(out, t);
    buf_add_str(out, selector_exact(f, "metadata.name"));
    return 0;
}

static int table(struct arena *a, struct buf *out, struct kl_err *err)
{
    const struct schema_kind *k = schema_kind_find(STR(""), STR("v1"), STR("Pod"));
    struct val *v = object_decode_json(a, NULL, str_of(pod), NULL, err);
    struct val *columns = v ? object_table_columns(a, k) : NULL, *cells = columns ? object_table_cells(a, k, v, 1800000000000000000LL) : NULL;
    if (!cells || arena_exhausted(a))
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    return show(out, columns) | show(out, cells);
}

static int validate(struct arena *a, struct buf *out, struct kl_err *err)
{
    static const char bad[] = "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"Bad_Name\",\"labels\":{\"-\":\"x y\"}},\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"a\",\"image\":\"i\"}],\"restartPolicy\":\"Often\"}}";
    struct object_causes c = { .arena = a };
    struct val *v = object_decode_json(a, NULL, str_of(bad), NULL, err);
    if (!v)
        return -1;
    object_validate(schema_kind_find(STR(""), STR("v1"), STR("Pod")), NULL, v, NULL, &c);
    if (arena_exhausted(a))
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    for (unsigned i = 0; i < c.n; i++)
        buf_printf(out, "%s %s\n", c.at[i].field, c.at[i].message);
    return 0;
}

static int convert(struct arena *a, struct buf *out, struct kl_err *err)
{
    (void)a;
    return object_convert("yaml", "json", str_of(yaml), out, err) < 0 ? -1 : object_convert("json", "protobuf", str_of(secret), out, err);
}

static const struct {
    const char *name;
    case_fn run;
    bool words;                         /* the words of a refusal may be fewer, but it is one */
} cases[] = {
    { "json", parse_json, 0 },
    { "decode", decode, 0 },
    { "default", decode_defaulted, 0 },
    { "protobuf", protobuf, 0 },
    { "yaml", read_yaml, 0 },
    { "yaml writer", write_yaml, 0 },
    { "JSON patch", patch_json, 0 },
    { "merge patch", patch_merge, 0 },
    { "strategic patch", patch_strategic, 0 },
    { "selectors", selectors, 0 },
    { "table", table, 0 },
    { "validation", validate, true },
    { "convert", convert, 0 },
};
#define N_CASES (sizeof cases / sizeof *cases)

/* The reference: with all the memory it wants. */
static char *whole(size_t i, size_t *ret_used)
{
    struct arena *a = arena_new(0);
    struct buf out = BUF_INIT(0);
    struct kl_err err;
    kl_err_init(&err);
    cr_assert_eq(cases[i].run(a, &out, &err), 0, "%s: %s", cases[i].name, err.msg);
    char *text = mem_dup(out.at, out.len);
    *ret_used = arena_used(a);
    buf_free(&out);
    arena_free(a);
    return text;
}

static void check(size_t i, struct arena *a, const char *want, const char *how, size_t n)
{
    struct buf out = BUF_INIT(0);
    struct kl_err err;
    kl_err_init(&err);
    int rc = cases[i].run(a, &out, &err);
    if (rc < 0)
        cr_expect(err.code > 0 && err.msg[0], "%s, %s %zu: refused without a reason", cases[i].name, how, n);
    else if (cases[i].words)
        cr_expect(out.len || out.failed, "%s, %s %zu: what is wrong is let through", cases[i].name, how, n);
    else if (!out.failed)
        cr_expect_str_eq(out.at, want, "%s, %s %zu: half a result:\n%.600s", cases[i].name, how, n, out.at);
    buf_free(&out);
}

Test(torture, every_arena_is_too_small)
{
    for (size_t i = 0; i < N_CASES; i++) {
        size_t used;
        char *want = whole(i, &used);
        for (size_t cap = 8; cap < used + 512; cap += 24) {
            struct arena *a = arena_new(cap);
            if (a)
                check(i, a, want, "arena of", cap);
            arena_free(a);
        }
        mem_free(want);
    }
}

struct failing {
    size_t left;
    bool for_good, failed;
};

static void *resize(void *ctx, void *at, size_t n)
{
    struct failing *f = ctx;
    if (n && (f->left == 0 || (f->failed && f->for_good))) {
        f->failed = true;
        f->left = SIZE_MAX;
        return NULL;
    }
    if (n)
        f->left--;
    if (n)
        return realloc(at, n);
    free(at);
    return NULL;
}

Test(torture, every_allocation_fails)
{
    for (size_t i = 0; i < N_CASES; i++) {
        size_t used;
        char *want = whole(i, &used);
        for (int for_good = 0; for_good < 2; for_good++) {
            struct failing f = { .failed = true };
            struct mem_allocator m = { resize, &f };
            for (size_t n = 0; f.failed && n < 5000; n++) {
                f = (struct failing){ .left = n, .for_good = for_good };
                mem_set_allocator(&m);
                struct arena *a = arena_new(0);
                if (a)
                    check(i, a, want, "allocation", n);
                arena_free(a);
                mem_set_allocator(NULL);
            }
            cr_expect_not(f.failed, "%s: more than 5000 allocations", cases[i].name);
        }
        mem_free(want);
    }
}
