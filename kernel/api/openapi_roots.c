/* openapi_roots.c - documents of what is not of a group's version: where discovery begins, groups, the version, whose tokens are taken. */
#include "openapi-internal.h"

static const char *const key_set[] = { "application/jwk-set+json", NULL };

static const struct {
    const char *key, *tag, *says, *id, *type;           /* type at NULL: text */
    const char *const *consumes, *const *produces;
    bool issues;
} roots[] = {
    { ".well-known/openid-configuration", "WellKnown", "Who issues tokens of service accounts, as OpenID Connect tells it.", "getServiceAccountIssuerOpenIDConfiguration", NULL,
      NULL, openapi_json, true },
    { "api", "core", "Which versions of the core group there are.", "getCoreAPIVersions", "io.k8s.apimachinery.pkg.apis.meta.v1.APIVersions", openapi_built_in, openapi_built_in,
      false },
    { "apis", "apis", "Which groups there are.", "getAPIVersions", "io.k8s.apimachinery.pkg.apis.meta.v1.APIGroupList", openapi_built_in, openapi_built_in, false },
    { "openid/v1/jwks", "openid", "The public keys that tokens of service accounts are verified with.", "getServiceAccountIssuerOpenIDKeyset", NULL, NULL, key_set, true },
    { "version", "version", "Which version this server is of.", "getCodeVersion", "io.k8s.apimachinery.pkg.version.Info", openapi_json, openapi_json, false },
};

static void add_path(struct openapi *d, const char *key, const struct openapi_operation *o, const char *type)
{
    struct openapi_answer answer = { .type = type ? schema_type_by_name(str_of(type)) : NULL };
    struct val *op = openapi_operation_new(d, json_obj(d->a, d->paths, str_of(arena_printf(d->a, "/%s/", key))), o);
    openapi_response(d, op, o, "200", &answer);
    openapi_response(d, op, o, "401", NULL);
}

/* The kind is the first of a built-in group, which has a path of its own. */
static bool begins_group(size_t i)
{
    const struct schema_kind *k = schema_kind_at(i);
    return k->group[0] && !(k->flags & K_CUSTOM) && (i == 0 || strcmp(schema_kind_at(i - 1)->group, k->group) != 0);
}

static const char *group_key(struct arena *a, const struct schema_kind *k)
{
    return arena_printf(a, "apis/%s", k->group);
}

bool openapi_add_roots(struct openapi *d, struct str key, bool issues)
{
    struct arena *a = d->a;
    bool any = false;
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        if ((d->form == 3 && !str_is(key, roots[i].key)) || (roots[i].issues && !issues))
            continue;
        struct openapi_operation o = { "get", roots[i].tag, roots[i].says, roots[i].id, roots[i].consumes, roots[i].produces };
        add_path(d, roots[i].key, &o, roots[i].type);
        any = true;
    }
    for (size_t i = 0; i < schema_n_kinds(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        const char *at = begins_group(i) ? group_key(a, k) : NULL;
        if (!at || (d->form == 3 && !str_is(key, at)))
            continue;
        struct openapi_operation o = { "get", openapi_tag(a, k->group, NULL), "Which versions of the group there are.",
                                       arena_printf(a, "get%sAPIGroup", openapi_group_title(a, k->group)), openapi_built_in, openapi_built_in };
        add_path(d, at, &o, "io.k8s.apimachinery.pkg.apis.meta.v1.APIGroup");
        any = true;
    }
    return any;
}

void openapi_index_roots(struct arena *a, bool issues, void (*add)(void *ctx, const char *key), void *ctx)
{
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++)
        if (!roots[i].issues || issues)
            add(ctx, roots[i].key);
    for (size_t i = 0; i < schema_n_kinds(); i++)
        if (begins_group(i))
            add(ctx, group_key(a, schema_kind_at(i)));
}
