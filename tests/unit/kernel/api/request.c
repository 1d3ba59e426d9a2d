/* Method, path and query of a request as the one tuple that authorization, storage and audit share. */
#include <criterion/criterion.h>

#include "api/api-internal.h"

struct row {
    const char *method, *path, *query;
    const char *verb, *group, *resource, *sub, *ns, *name;
};

#define POD "", "pods", ""
static const struct row rows[] = {
    { "GET", "/api/v1/namespaces/a/pods/b", "", "get", POD, "a", "b" },
    { "GET", "/api/v1/namespaces/a/pods", "", "list", POD, "a", "" },
    { "GET", "/api/v1/pods", "watch=1", "watch", POD, "", "" },
    { "GET", "/api/v1/watch/pods", "", "watch", POD, "", "" },
    /* An object alone is read, and a watch of it by its path sees no other. */
    { "GET", "/api/v1/namespaces/a/pods/b", "watch=1", "get", POD, "a", "b" },
    { "GET", "/api/v1/namespaces/a/pods/b/status", "watch=true", "get", "", "pods", "status", "a", "b" },
    { "GET", "/api/v1/watch/namespaces/a/pods/b", "", "watch", POD, "a", "b" },
    { "DELETE", "/api/v1/namespaces/a/pods", "", "deletecollection", POD, "a", "" },
    { "PUT", "/api/v1/namespaces/a/pods/b/status", "", "update", "", "pods", "status", "a", "b" },
    { "GET", "/api/v1/namespaces/a", "", "get", "", "namespaces", "", "a", "a" },
    { "PUT", "/api/v1/namespaces/a/finalize", "", "update", "", "namespaces", "finalize", "a", "a" },
    { "GET", "/apis/apps/v1/deployments", "", "list", "apps", "deployments", "", "", "" },
    /* A selector for one name asks for that object, for whatever could be a name at all. */
    { "GET", "/api/v1/namespaces/a/pods", "fieldSelector=metadata.name%3Db", "list", POD, "a", "b" },
    { "GET", "/api/v1/namespaces/a/pods", "fieldSelector=metadata.name%3D%3Db", "list", POD, "a", "b" },
    { "GET", "/api/v1/namespaces/a/pods", "fieldSelector=spec.nodeName%3Dn,metadata.name%3Db", "list", POD, "a", "b" },
    { "GET", "/api/v1/namespaces/a/pods", "fieldSelector=metadata.name!%3Db", "list", POD, "a", "" },
    { "GET", "/api/v1/namespaces/a/pods", "fieldSelector=metadata.name%3D.", "list", POD, "a", "" },
    { "GET", "/api/v1/namespaces/a/pods", "fieldSelector=metadata.name%3D..", "list", POD, "a", "" },
    { "GET", "/api/v1/namespaces/a/pods", "fieldSelector=metadata.name%3D.%00b", "list", POD, "a", "" },
    { "GET", "/api/v1/namespaces/a/pods", "fieldSelector=metadata.name%3Db%00c", "list", POD, "a", "" },
    { "GET", "/api/v1/namespaces/a/pods", "fieldSelector=metadata.name%3Db/c", "list", POD, "a", "" },
    /* What is sent in another coding is the same path; between two slashes stands nothing, at the ends of a path slashes are none. */
    { "GET", "/api%2Fv1/namespaces%2Fa%2fpods/%62", "", "get", POD, "a", "b" },
    { "GET", "/api/v1/namespaces//pods", "", "list", POD, "", "" },
    { "GET", "//api/v1/pods//", "", "list", POD, "", "" },
    { "GET", "/api/v1//pods", "", "get", "", "", "", "", "pods" },
    { "GET", "/api/v1/namespaces/../pods/..", "", "get", POD, "..", ".." },
    { "GET", "/api/v1/pods", "watch=1&watch=false", "watch", POD, "", "" },
};

Test(request, tuples)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];
        _cleanup_arena_ struct arena *a = arena_new(0);
        struct api_error e = { 0 };
        struct api_info info;
        cr_assert(api_parse_request(a, str_of(r->method), str_of(r->path), str_of(r->query), &info, &e) == 0, "row %zu", i);
        const struct kl_request *t = &info.tuple;
        const char *const want[] = { r->verb, r->group, r->resource, r->sub, r->ns, r->name };
        const char *const got[] = { t->verb, t->group, t->resource, t->subresource, t->ns, t->name };
        for (size_t m = 0; m < sizeof want / sizeof *want; m++)
            cr_expect_str_eq(got[m], want[m], "row %zu, member %zu: '%s' where '%s' was due", i, m, got[m], want[m]);
    }
}

Test(request, a_watch_of_a_name_selects_it)
{
    static const char *const watches[][4] = {
        { "/api/v1/watch/namespaces/a/pods/b", "", "metadata.name=b", NULL },
        { "/api/v1/watch/namespaces/a/pods/b", "fieldSelector=metadata.name%3Db", "metadata.name=b", NULL },
        { "/api/v1/watch/namespaces/a/pods/b", "fieldSelector=metadata.name%3Dc", NULL, "fieldSelector metadata.name doesn't match requested name" },
        { "/api/v1/watch/namespaces/a/pods/b", "fieldSelector=spec.nodeName%3Dn", NULL, "fieldSelector metadata.name doesn't match requested name" },
        { "/api/v1/watch/namespaces/a/pods/b,c", "", "metadata.name=b\\,c", NULL },
    };
    for (size_t i = 0; i < sizeof watches / sizeof *watches; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        struct api_error e = { 0 };
        struct api_info info;
        int rc = api_parse_request(a, STR("GET"), str_of(watches[i][0]), str_of(watches[i][1]), &info, &e);
        cr_expect_eq(rc < 0, watches[i][2] == NULL, "row %zu", i);
        if (rc == 0)
            cr_expect(str_is(info.q.field_selector, watches[i][2]) && strcmp(info.tuple.field_selector, watches[i][2]) == 0, "row %zu: %s", i, info.tuple.field_selector);
        else
            cr_expect_str_eq(e.message, watches[i][3]);
    }
}

Test(request, no_path_makes_a_key_mean_another)
{
    static const char *const bad[] = { "/api/v1/namespaces/a/pods/..", "/api/v1/namespaces/%2e%2e/pods", "/api/v1/namespaces/a%2fb/pods",
                                       "/api/v1/pods/a%00b", "/api/v1/pods/a%2500b", "/api/v1/namespaces/a/nodes" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        struct api_error e = { 0 };
        struct api_info info;
        int rc = api_parse_request(a, STR("GET"), str_of(bad[i]), STR(""), &info, &e);
        bool refused = rc < 0 || !info.kind || api_bad_segment(str_of(info.tuple.name)) || api_bad_segment(str_of(info.tuple.ns));
        cr_expect(refused, "%s was taken", bad[i]);
    }
}

Test(request, numbers_count_where_they_are_looked_at)
{
    static const struct {
        const char *method, *path, *query;
        bool taken;
    } asked[] = {
        { "GET", "/api/v1/pods", "gracePeriodSeconds=x", true },      { "GET", "/api/v1/pods", "limit=x", false },
        { "DELETE", "/api/v1/namespaces/a/pods/b", "limit=x", true }, { "DELETE", "/api/v1/namespaces/a/pods/b", "gracePeriodSeconds=x", false },
        { "DELETE", "/api/v1/namespaces/a/pods", "limit=x", false },  { "POST", "/api/v1/namespaces/a/pods", "limit=x", true },
    };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        struct api_error e = { 0 };
        struct api_info info;
        cr_expect_eq(api_parse_request(a, str_of(asked[i].method), str_of(asked[i].path), str_of(asked[i].query), &info, &e) == 0, asked[i].taken, "row %zu", i);
    }
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct api_error e = { 0 };
    struct api_query q;
    cr_expect(api_parse_query(a, STR("limit=1&limit=2&gracePeriodSeconds=-5"), &q, &e) == 0 && q.limit == 1 && q.grace_s == 1);
}

Test(request, what_follows_a_subresource)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct api_error e = { 0 };
    struct api_info info;
    cr_expect(api_parse_request(a, STR("GET"), STR("/api/v1/namespaces/a/pods/b/status/"), STR(""), &info, &e) == 0 && !info.deep);
    cr_expect(api_parse_request(a, STR("GET"), STR("/api/v1/namespaces/a/pods/b/status/c"), STR(""), &info, &e) == 0 && info.deep);
    cr_expect(api_parse_request(a, STR("GET"), STR("/api/v1/namespaces/a/pods/b/proxy/%2e%2e//c"), STR(""), &info, &e) == 0 && str_is(info.rest, "%2e%2e//c"));
    cr_expect(api_parse_request(a, STR("GET"), STR("/api/v1/nodes/b/proxy%2fc"), STR(""), &info, &e) < 0, "another path than was sent");
    cr_expect(api_parse_request(a, STR("GET"), STR("/healthz%00"), STR(""), &info, &e) == 0 && strcmp(info.tuple.path, "/healthz") != 0);
}
