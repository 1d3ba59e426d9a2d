/* What generators of clients read of the documents: streams, roots, shared parameters, enums, defaults, options' kinds. */
#include <criterion/criterion.h>

#include "api/openapi-internal.h"

static struct openapi document(struct arena *a, int form, const char *group)
{
    struct openapi d = { .a = a, .form = form, .group = str_of(group), .version = STR("v1"), .paths = val_new(a, VAL_OBJ), .schemas = val_new(a, VAL_OBJ) };
    for (size_t i = 0; i < schema_n_kinds(); i++)
        if (strcmp(schema_kind_at(i)->group, group) == 0 && strcmp(schema_kind_at(i)->version, "v1") == 0)
            openapi_add_kind(&d, schema_kind_at(i));
    map_free(&d.done);
    return d;
}

static struct str text(struct arena *a, const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    if (v)
        json_write(&b, v);
    return arena_str(a, buf_str(&b));
}

static struct val *at(struct val *v, const char *key)
{
    return v ? json_get(v, str_of(key)) : NULL;
}

static struct val *property(struct openapi *d, const char *type, const char *name)
{
    return at(at(at(d->schemas, type), "properties"), name);
}

static void says(struct arena *a, struct val *v, const char *want)
{
    cr_expect(str_is(text(a, v), want), STR_FMT " for %s", STR_ARG(text(a, v)), want);
}

Test(openapi_documents, streams_take_their_options_from_the_query)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct openapi d = document(a, 3, "");
    struct val *exec = at(d.paths, "/api/v1/namespaces/{namespace}/pods/{name}/exec"), *proxy = at(d.paths, "/api/v1/nodes/{name}/proxy/{path}");
    says(a, at(at(exec, "post"), "operationId"), "\"connectCoreV1PostNamespacedPodExec\"");
    says(a, at(at(exec, "get"), "x-kubernetes-action"), "\"connect\"");
    cr_expect(!at(at(exec, "post"), "requestBody") && !at(exec, "put"));
    static const char *const names[] = { "command", "container", "name", "namespace", "stderr", "stdin", "stdout", "tty" };
    size_t n = 0;
    val_each(p, at(exec, "parameters")) {
        cr_expect(n < 8 && str_is(json_str(p, "name"), names[n]), STR_FMT, STR_ARG(json_str(p, "name")));
        n++;
    }
    cr_expect_eq(n, 8);
    says(a, at(at(proxy, "head"), "operationId"), "\"connectCoreV1HeadNodeProxyWithPath\"");
    says(a, at(at(proxy, "options"), "x-kubernetes-group-version-kind"), "{\"group\":\"\",\"kind\":\"NodeProxyOptions\",\"version\":\"v1\"}");
    struct val *log = at(at(at(at(d.paths, "/api/v1/namespaces/{namespace}/pods/{name}/log"), "get"), "responses"), "200");
    says(a, at(at(at(log, "content"), "text/plain"), "schema"), "{\"type\":\"string\"}");
}

Test(openapi_documents, schemas_say_what_is_true)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct openapi d = document(a, 3, "");
    says(a, at(property(&d, "io.k8s.api.core.v1.PodSpec", "restartPolicy"), "default"), "");        /* set by code, not by the type */
    says(a, at(property(&d, "io.k8s.api.core.v1.AzureDiskVolumeSource", "fsType"), "default"), "\"ext4\"");
    says(a, at(property(&d, "io.k8s.api.core.v1.NodeCondition", "type"), "enum"), "");              /* others may come */
    says(a, at(at(property(&d, "io.k8s.api.core.v1.PersistentVolumeClaimSpec", "accessModes"), "items"), "enum"),
         "[\"ReadOnlyMany\",\"ReadWriteMany\",\"ReadWriteOnce\",\"ReadWriteOncePod\"]");
    says(a, at(at(d.schemas, "io.k8s.api.core.v1.SeccompProfile"), "x-kubernetes-unions"),
         "[{\"discriminator\":\"type\",\"fields-to-discriminateBy\":{\"localhostProfile\":\"LocalhostProfile\"}}]");
    says(a, at(at(d.schemas, "io.k8s.apimachinery.pkg.apis.meta.v1.Status"), "x-kubernetes-group-version-kind"), "[{\"group\":\"\",\"kind\":\"Status\",\"version\":\"v1\"}]");
    struct openapi other = document(a, 3, "policy");
    says(a, at(at(other.schemas, "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"), "x-kubernetes-group-version-kind"),
         "[{\"group\":\"\",\"kind\":\"DeleteOptions\",\"version\":\"v1\"},{\"group\":\"policy\",\"kind\":\"DeleteOptions\",\"version\":\"v1\"}]");
}

Test(openapi_documents, what_is_deleted_may_be_shown)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct openapi d = document(a, 2, "");
    static const char *const rows[][2] = { { "pods", "{\"$ref\":\"#/definitions/io.k8s.api.core.v1.Pod\"}" },
                                           { "configmaps", "{\"$ref\":\"#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.Status\"}" } };
    for (size_t i = 0; i < 2; i++) {
        struct val *path = at(d.paths, arena_printf(a, "/api/v1/namespaces/{namespace}/%s/{name}", rows[i][0]));
        says(a, at(at(at(at(path, "delete"), "responses"), "200"), "schema"), rows[i][1]);
        says(a, at(at(path, "delete"), "consumes"), "[\"*/*\"]");
        says(a, at(at(path, "get"), "schemes"), "[\"https\"]");
    }
}

Test(openapi_documents, form_2_has_a_parameter_once)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct openapi d = document(a, 2, "");
    struct val *v = val_new(a, VAL_OBJ), *all;
    openapi_share_parameters(&d, v);
    all = at(v, "parameters");
    cr_assert(all && all->n > 10);
    val_each(p, all) {
        struct str key = val_key(p), name = json_str(p, "name");
        cr_expect(str_starts(key, name) && key.len == name.len + 9 && key.at[name.len] == '-', STR_FMT, STR_ARG(key));
        cr_expect(!str_is(name, "dryRun") && !str_is(name, "fieldValidation") && !str_is(name, "name"));
    }
    size_t refs = 0;
    val_each(p, at(at(at(d.paths, "/api/v1/namespaces/{namespace}/configmaps/{name}"), "patch"), "parameters")) {
        struct str ref = json_str(p, "$ref");
        if (!ref.len) {
            cr_expect(str_is(json_str(p, "name"), "dryRun") || str_is(json_str(p, "name"), "fieldValidation"));
            continue;
        }
        refs++;
        cr_expect(json_get(all, str_skip(ref, strlen("#/parameters/"))), STR_FMT " leads nowhere", STR_ARG(ref));
    }
    cr_expect_eq(refs, 3);                                                          /* the patch, fieldManager, force */
}

Test(openapi_documents, roots)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    static const struct {
        const char *key, *id;
    } rows[] = { { "api", "getCoreAPIVersions" },     { "apis", "getAPIVersions" },
                 { "apis/apps", "getAppsAPIGroup" },  { "apis/rbac.authorization.k8s.io", "getRbacAuthorizationAPIGroup" },
                 { "version", "getCodeVersion" },     { ".well-known/openid-configuration", "getServiceAccountIssuerOpenIDConfiguration" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct openapi d = { .a = a, .form = 3, .paths = val_new(a, VAL_OBJ), .schemas = val_new(a, VAL_OBJ) };
        cr_expect(openapi_add_roots(&d, str_of(rows[i].key), true), "%s", rows[i].key);
        says(a, at(at(at(d.paths, arena_printf(a, "/%s/", rows[i].key)), "get"), "operationId"), arena_printf(a, "\"%s\"", rows[i].id));
        cr_expect_eq(d.paths->n, 1);
        map_free(&d.done);
    }
    struct openapi none = { .a = a, .form = 3, .paths = val_new(a, VAL_OBJ), .schemas = val_new(a, VAL_OBJ) };
    cr_expect(!openapi_add_roots(&none, STR("apis/nothing"), true));
    cr_expect(!openapi_add_roots(&none, STR("openid/v1/jwks"), false), "nobody issues tokens");
}

#define ROW(json, bytes) { 2, json, bytes, sizeof(bytes) - 1 }
#define ROW3(json, bytes) { 3, json, bytes, sizeof(bytes) - 1 }
Test(openapi_documents, gnostic_keeps_limits_and_odd_names)
{
    static const struct {
        int form;
        const char *json, *bytes;
        size_t n;
    } rows[] = {
        /* minimum 9 (double), maxLength 11, "x-y" as the name of a property, additionalProperties 21 { boolean 2 } */
        ROW("{\"definitions\":{\"X\":{\"minimum\":0}}}", "\x49\0\0\0\0\0\0\0\0"),
        ROW("{\"definitions\":{\"X\":{\"minimum\":1}}}", "\x49\0\0\0\0\0\0\xf0\x3f"),
        ROW("{\"definitions\":{\"X\":{\"maxLength\":300}}}", "\x58\xac\x02"),
        ROW("{\"definitions\":{\"X\":{\"properties\":{\"x-y\":{\"type\":\"o\"}}}}}", "\x0a\x0d\x0a\x03x-y\x12\x06\xb2\x01\x03\x0a\x01o"),
        ROW("{\"definitions\":{\"X\":{\"additionalProperties\":true}}}", "\xaa\x01\x02\x10\x01"),
        ROW("{\"paths\":{\"/a\":{\"parameters\":[{\"$ref\":\"#/p\"}]}}}", "\x4a\x07\x12\x05\x0a\x03#/p"),
        ROW("{\"parameters\":{\"n-h\":{\"name\":\"n\",\"in\":\"query\"}}}", "\x52\x17\x0a\x15\x0a\x03n-h\x12\x0e\x12\x0c\x1a\x0a\x22\x01n\x12\x05query"),
        ROW("{\"security\":[{\"B\":[]}]}", "\x62\x07\x0a\x05\x0a\x01" "B\x12\0"),
        /* form 3: what may be a reference is 1 the message or 2 { 1 $ref }; a default is 1 number, 2 boolean, 3 string or nothing */
        ROW3("{\"openapi\":\"3.0.0\",\"info\":{\"title\":\"K\",\"version\":\"v\"}}", "\x0a\x05" "3.0.0" "\x12\x06\x0a\x01K\x32\x01v"),
        ROW3("{\"components\":{\"schemas\":{\"X\":{\"$ref\":\"r\"}}}}", "\x2a\x0e\x0a\x0c\x0a\x0a\x0a\x01X\x12\x05\x12\x03\x0a\x01r"),
        ROW3("{\"components\":{\"schemas\":{\"X\":{\"items\":{\"type\":\"o\"}}}}}", "\xf2\x01\x08\x0a\x06\x0a\x04\xca\x01\x01o"),
        ROW3("{\"components\":{\"schemas\":{\"X\":{\"default\":{}}}}}", "\x8a\x02\0"),
        ROW3("{\"components\":{\"schemas\":{\"X\":{\"default\":\"\"}}}}", "\x8a\x02\x02\x1a\0"),
        ROW3("{\"components\":{\"schemas\":{\"X\":{\"default\":false}}}}", "\x8a\x02\x02\x10\0"),
        ROW3("{\"components\":{\"schemas\":{\"X\":{\"default\":1}}}}", "\x8a\x02\x09\x09\0\0\0\0\0\0\xf0\x3f"),
        ROW3("{\"components\":{\"schemas\":{\"X\":{\"not\":{\"type\":\"o\"}}}}}", "\xea\x01\x04\xca\x01\x01o"),
        ROW3("{\"paths\":{\"/a\":{\"get\":{\"responses\":{\"200\":{\"content\":{\"m\":{\"schema\":{\"$ref\":\"r\"}}}}}}}}}",
             "\x12\x19\x0a\x03" "200" "\x12\x12\x0a\x10\x1a\x0e\x0a\x0c\x0a\x01m\x12\x07\x0a\x05\x12\x03\x0a\x01r"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        _cleanup_buf_ struct buf b = BUF_INIT(0);
        openapi_write_gnostic(&b, rows[i].form, json_parse(a, str_of(rows[i].json), NULL));
        cr_expect(memmem(b.at, b.len, rows[i].bytes, rows[i].n) != NULL, "row %zu", i);
    }
}
