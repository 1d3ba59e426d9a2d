/* Every GA kind, full of values: JSON and protobuf must turn into each other. The objects are in ../shared/golden or where
 * KEELSON_GOLDEN says; without them a few objects of our own are used. */
#include "base/cleanup.h"
#include "object/object.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>

static struct str read_file(struct arena *a, const char *path)
{
    _cleanup_file_ FILE *f = fopen(path, "rb");
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    size_t n;
    if (!f)
        return STR_NONE;
    do {
        char *room = buf_room(&b, 65536);
        n = fread(room, 1, 65536, f);
        b.len += n;
    } while (n);
    return arena_str(a, buf_str(&b));
}

static void check(struct arena *a, const char *name, struct str json, struct str pb)
{
    struct kl_err err;
    kl_err_init(&err);
    /* A WatchEvent travels without apiVersion and kind. */
    const struct schema_type *t = strstr(name, "WatchEvent") ?
        schema_type_by_name(STR("io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent")) : NULL;
    struct object_strict strict = { .arena = a };
    struct val *from_pb = object_decode_protobuf(a, t, pb, &t, &err);
    cr_assert(from_pb, "%s: %s", name, err.msg);
    struct val *from_json = object_decode_json(a, t, json, &strict, &err);
    cr_assert(from_json, "%s: %s", name, err.msg);
    cr_expect_eq(strict.n, 0, "%s: %s", name, strict.n ? strict.at[0] : "");

    struct buf b = BUF_INIT(0), b2 = BUF_INIT(0);
    cr_assert_eq(object_encode_protobuf(&b, t, from_json, &err), 0, "%s: %s", name, err.msg);
    cr_expect(str_eq(buf_str(&b), pb), "%s: JSON to protobuf gives other bytes (%zu, wanted %zu)", name, b.len, pb.len);
    buf_clear(&b);
    object_encode_json(&b, t, from_pb);
    object_encode_json(&b2, t, from_json);
    cr_expect(str_eq(buf_str(&b), buf_str(&b2)), "%s: protobuf to JSON gives another object\n%.3000s\n%.3000s", name, b.at, b2.at);
    struct val *orig = json_parse(a, json, &err), *again = json_parse(a, buf_str(&b2), &err);
    cr_expect(val_equal(orig, again), "%s: JSON to JSON changes the object\n%.3000s", name, b2.at);
    buf_free(&b);
    buf_free(&b2);
}

Test(golden, every_kind_both_ways)
{
    const char *folder = getenv("KEELSON_GOLDEN") ? getenv("KEELSON_GOLDEN") : "../shared/golden";
    DIR *d = opendir(folder);
    unsigned n = 0;
    if (!d)
        cr_skip_test("no golden objects beside the checkout");
    for (struct dirent *e; (e = readdir(d));) {
        struct arena *a = arena_new(0);
        char path[1024];
        size_t len = strlen(e->d_name);
        if (len > 5 && strcmp(e->d_name + len - 5, ".json") == 0) {
            snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
            struct str json = read_file(a, path);
            snprintf(path, sizeof path, "%s/%.*s.pb", folder, (int)len - 5, e->d_name);
            check(a, e->d_name, json, read_file(a, path));
            n++;
        }
        arena_free(a);
    }
    closedir(d);
    cr_assert_gt(n, 50);
}

Test(golden, own_objects)
{
    static const char *const objects[] = {
        "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"v\"},\"binaryData\":{\"b\":\"AAEC\"}}",
        "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"s\"},\"spec\":{\"ports\":[{\"port\":80,\"targetPort\":\"http\"}]},\"status\":{\"loadBalancer\":{}}}",
    };
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        struct arena *a = arena_new(0);
        struct kl_err err;
        kl_err_init(&err);
        const struct schema_type *t = NULL;
        struct val *v = object_decode_json(a, NULL, str_of(objects[i]), NULL, &err);
        cr_assert(v, "%s", err.msg);
        t = schema_type_find(STR(""), STR("v1"), json_str(v, "kind"));
        struct buf pb = BUF_INIT(0), json = BUF_INIT(0);
        cr_assert_eq(object_encode_protobuf(&pb, t, v, &err), 0);
        struct val *back = object_decode_protobuf(a, NULL, buf_str(&pb), NULL, &err);
        cr_assert(back, "%s", err.msg);
        object_encode_json(&json, t, back);
        cr_expect_str_eq(json.at, objects[i]);
        buf_free(&pb);
        buf_free(&json);
        arena_free(a);
    }
}
