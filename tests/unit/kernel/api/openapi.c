/* A swagger document as openapi.v2.Document: known bytes of a small one, and every definition of a large one found again. */
#include <criterion/criterion.h>

#include "api/openapi-internal.h"

static void gnostic(struct buf *b, const char *json)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct val *v = json_parse(a, str_of(json), NULL);
    cr_assert(v);
    openapi_write_gnostic(b, 2, v);
    cr_assert(!b->failed);
}

Test(openapi, gnostic_bytes)
{
    static const struct {
        const char *json, *bytes;
        size_t n;
    } rows[] = {
#define ROW(json, bytes) { json, bytes, sizeof(bytes) - 1 }
        ROW("{\"swagger\":\"2.0\"}", "\x0a\x03" "2.0"),
        ROW("{\"info\":{\"title\":\"K\",\"version\":\"v\"}}", "\x12\x06\x0a\x01K\x12\x01v"),
        /* definitions 9 { additional_properties 1 { name 1, value 2 { type 22 { value 1 } } } } */
        ROW("{\"definitions\":{\"X\":{\"type\":\"o\"}}}", "\x4a\x0d\x0a\x0b\x0a\x01X\x12\x06\xb2\x01\x03\x0a\x01o"),
        /* items 23 { schema 1 { _ref 1 } } */
        ROW("{\"definitions\":{\"X\":{\"items\":{\"$ref\":\"r\"}}}}", "\x4a\x0f\x0a\x0d\x0a\x01X\x12\x08\xba\x01\x05\x0a\x03\x0a\x01r"),
        /* vendor_extension 31 { name 1, value 2 { yaml 2 } } */
        ROW("{\"definitions\":{\"X\":{\"x-k\":\"m\"}}}", "\x4a\x16\x0a\x14\x0a\x01X\x12\x0f\xfa\x01\x0c\x0a\x03x-k\x12\x05\x12\x03\"m\""),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(0);
        gnostic(&b, rows[i].json);
        cr_expect(b.len == rows[i].n && memcmp(b.at, rows[i].bytes, b.len) == 0, "row %zu: %zu bytes", i, b.len);
    }
}

Test(openapi, parameters_by_place)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    gnostic(&b, "{\"paths\":{\"/a\":{\"patch\":{\"parameters\":[{\"name\":\"dryRun\",\"in\":\"query\"}]}}}}");
    /* parameters 8 { parameter 1 { non_body 2 { query 3 { in 2, name 4 } } } } */
    static const char want[] = "\x42\x15\x0a\x13\x12\x11\x1a\x0f\x22\x06" "dryRun" "\x12\x05query";
    cr_expect(memmem(b.at, b.len, want, sizeof want - 1) != NULL);
}

Test(openapi, both_forms_hold_every_kind)
{
    for (int form = 2; form <= 3; form++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        struct openapi d = { .a = a, .form = form, .paths = val_new(a, VAL_OBJ), .schemas = val_new(a, VAL_OBJ) };
        for (size_t i = 0; i < schema_n_kinds(); i++)
            openapi_add_kind(&d, schema_kind_at(i));
        for (size_t i = 0; i < schema_n_kinds(); i++) {
            const struct schema_kind *k = schema_kind_at(i);
            struct val *s = json_get(d.schemas, str_of(k->type->name));
            cr_expect(s && val_is(json_get(s, STR("x-kubernetes-group-version-kind")), VAL_ARR), "%s", k->type->name);
            struct val *path = json_get(d.paths, str_of(arena_printf(a, "/apis/%s/%s/%s", k->group, k->version, k->plural)));
            cr_expect(path || !k->group[0] || !(k->flags & K_STORED), "%s has no path", k->plural);
        }
        val_each(s, d.schemas) cr_expect(!json_get(s, STR("properties")) || json_get(s, STR("properties"))->n, STR_FMT ": empty properties", STR_ARG(val_key(s)));
        map_free(&d.done);
    }
}

/* What client generators read: an operation's words, what every answer may be, parameters that a path's operations share, watches of their own. */
Test(openapi, paths_as_upstream)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct openapi d = { .a = a, .form = 3, .paths = val_new(a, VAL_OBJ), .schemas = val_new(a, VAL_OBJ) };
    openapi_add_kind(&d, schema_kind_find(STR(""), STR("v1"), STR("ConfigMap")));
    openapi_add_kind(&d, schema_kind_find(STR("rbac.authorization.k8s.io"), STR("v1"), STR("ClusterRole")));
    static const char *const ids[][4] = {
        { "/api/v1/namespaces/{namespace}/configmaps", "get", "listCoreV1NamespacedConfigMap", "list or watch objects of kind ConfigMap" },
        { "/api/v1/namespaces/{namespace}/configmaps", "delete", "deleteCoreV1CollectionNamespacedConfigMap", "delete collection of ConfigMap" },
        { "/api/v1/namespaces/{namespace}/configmaps", "post", "createCoreV1NamespacedConfigMap", "create a ConfigMap" },
        { "/api/v1/configmaps", "get", "listCoreV1ConfigMapForAllNamespaces", "list or watch objects of kind ConfigMap" },
        { "/api/v1/watch/configmaps", "get", "watchCoreV1ConfigMapListForAllNamespaces",
          "watch individual changes to a list of ConfigMap. deprecated: use the 'watch' parameter with a list operation instead." },
        { "/apis/rbac.authorization.k8s.io/v1/watch/clusterroles/{name}", "get", "watchRbacAuthorizationV1ClusterRole",
          "watch changes to an object of kind ClusterRole. deprecated: use the 'watch' parameter with a list operation instead, filtered to a single item with the 'fieldSelector' parameter." },
        { "/api/v1/", "get", "getCoreV1APIResources", "get available resources" },
    };
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct val *op = json_get(json_get(d.paths, str_of(ids[i][0])), str_of(ids[i][1]));
        cr_expect(str_is(json_str(op, "operationId"), ids[i][2]), "%s: " STR_FMT, ids[i][0], STR_ARG(json_str(op, "operationId")));
        cr_expect(str_is(json_str(op, "description"), ids[i][3]), "%s: " STR_FMT, ids[i][0], STR_ARG(json_str(op, "description")));
        cr_expect(json_get(json_get(op, STR("responses")), STR("401")), "%s", ids[i][0]);
    }
    struct val *all = json_get(d.paths, STR("/api/v1/configmaps"));
    cr_expect_null(json_path(all, "get.parameters"));
    cr_expect(str_is(json_str(json_get(all, STR("parameters"))->first, "name"), "allowWatchBookmarks"));
    struct val *role = json_get(json_get(d.paths, STR("/apis/rbac.authorization.k8s.io/v1/clusterroles")), STR("get"));
    cr_expect(str_is(val_str(json_get(role, STR("tags"))->first), "rbacAuthorization_v1"));
    map_free(&d.done);
}
