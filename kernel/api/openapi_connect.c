/* openapi_connect.c - the paths of streams: what they take stands in the query, as their options' fields. */
#include "openapi-internal.h"

static const char *const methods[] = { "get", "put", "post", "delete", "options", "head", "patch" };

static const char *json_type(const struct schema_type *t)
{
    return t->kind == T_BOOL ? "boolean" : t->kind == T_INT32 || t->kind == T_INT64 ? "integer" : "string";
}

static void add_parameters(struct openapi *d, const struct schema_kind *k, const char *kind, const struct schema_type *options, struct val *path, bool log, bool below)
{
    struct val *list = json_arr(d->a, path, STR("parameters"));
    val_push(list, openapi_parameter_new(d, "path", "name", "string", arena_printf(d->a, "name of the %s", kind)));
    if (k->flags & K_NAMESPACED)
        val_push(list, openapi_parameter_new(d, "path", "namespace", "string", "The namespace that it is in."));
    if (below)
        val_push(list, openapi_parameter_new(d, "path", "path", "string", "The path to ask for."));
    if (log)
        val_push(list, openapi_parameter_new(d, "query", "pretty", "string", OPENAPI_PRETTY));
    for (unsigned i = 0; options && i < options->n_flat; i++) {
        const struct schema_field *f = options->flat[i];
        bool simple = f->type->kind >= T_STRING && f->type->kind <= T_INT64;   /* upstream tells no others */
        if (simple)
            val_push(list, openapi_parameter_new(d, "query", f->json, json_type(f->type), f->doc ? f->doc : ""));
    }
    openapi_sort_parameters(list);
}

static void add_log(struct openapi *d, const struct schema_kind *k, const char *url)
{
    static const char *const media[] = { "text/plain", "application/json", "application/yaml", "application/vnd.kubernetes.protobuf", NULL };
    const char *title = arena_printf(d->a, "%sV%s", openapi_group_title(d->a, k->group), k->version + 1);
    struct openapi_operation o = { "get", openapi_tag(d->a, k->group, k->version), arena_printf(d->a, "read log of the specified %s", k->kind),
                                   arena_printf(d->a, "read%sNamespaced%sLog", title, k->kind), openapi_any, media };
    struct val *path = json_obj(d->a, d->paths, str_of(url)), *op = openapi_operation_new(d, path, &o);
    openapi_response(d, op, &o, "200", &(struct openapi_answer){ 0 });
    openapi_response(d, op, &o, "401", NULL);
    openapi_put(d->a, op, "x-kubernetes-action", "get");
    json_set(d->a, op, STR("x-kubernetes-group-version-kind"), openapi_gvk(d->a, k->group, k->version, k->kind));
    add_parameters(d, k, k->kind, schema_type_find(STR(""), STR("v1"), STR("PodLogOptions")), path, true, false);
}

/* A proxy forwards every method; what else there is begins with GET or POST. */
static bool connects(const struct schema_subresource *s, const char *method)
{
    return strcmp(s->name, "proxy") == 0 || strcmp(method, "get") == 0 || strcmp(method, "post") == 0;
}

static void add_connects(struct openapi *d, const struct schema_kind *k, const struct schema_subresource *s, const char *url, bool below)
{
    struct arena *a = d->a;
    struct val *path = json_obj(a, d->paths, str_of(url));
    const char *title = arena_printf(a, "%sV%s", openapi_group_title(a, k->group), k->version + 1), *within = k->flags & K_NAMESPACED ? "Namespaced" : "";
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const char *m = methods[i], *kind = arena_printf(a, "%s%c%s", k->kind, s->name[0] - 32, s->name + 1), *upper = arena_dup(a, str_of(m));
        if (!connects(s, m) || !upper)
            continue;
        for (char *c = (char *)(uintptr_t)upper; *c; c++)
            *c = (char)(*c - 32);
        const char *id = arena_printf(a, "connect%s%c%s%s%s%s", title, upper[0], m + 1, within, kind, below ? "WithPath" : "");
        struct openapi_operation o = { m, openapi_tag(a, k->group, k->version), arena_printf(a, "connect %s requests to %s of %s", upper, s->name, k->kind), id,
                                       openapi_any, openapi_any };
        struct val *op = openapi_operation_new(d, path, &o);
        openapi_response(d, op, &o, "200", &(struct openapi_answer){ 0 });
        openapi_response(d, op, &o, "401", NULL);
        openapi_put(a, op, "x-kubernetes-action", "connect");
        json_set(a, op, STR("x-kubernetes-group-version-kind"), openapi_gvk(a, s->group, s->version, s->kind));
    }
    add_parameters(d, k, s->kind, schema_type_find(str_of(s->group), str_of(s->version), str_of(s->kind)), path, false, below);
}

void openapi_add_stream(struct openapi *d, const struct schema_kind *k, const struct schema_subresource *s, const char *url)
{
    if (strcmp(s->name, "log") == 0) {
        add_log(d, k, url);
        return;
    }
    add_connects(d, k, s, url, false);
    if (strcmp(s->name, "proxy") == 0)
        add_connects(d, k, s, arena_printf(d->a, "%s/{path}", url), true);
}
