/* openapi.c - /openapi/v3: an index, and one document per group and version made from the rows. */
#include "base/hash.h"

#include "api-internal.h"
#include "base/map.h"

struct doc {
    struct arena *a;
    struct val *schemas;
    struct map done;
};

static void put(struct arena *a, struct val *obj, const char *key, const char *text)
{
    json_set_str(a, obj, str_of(key), str_of(text));
}

static void add_type(struct doc *d, const struct schema_type *t);

static struct val *scalar_schema(struct doc *d, const struct schema_type *t)
{
    static const struct {
        uint8_t kind;
        const char *type, *format;
    } rows[] = { { T_STRING, "string", NULL }, { T_BOOL, "boolean", NULL }, { T_INT32, "integer", "int32" }, { T_INT64, "integer", "int64" },
                 { T_DOUBLE, "number", "double" }, { T_BYTES, "string", "byte" }, { T_TIME, "string", "date-time" },
                 { T_MICROTIME, "string", "date-time" }, { T_DURATION, "string", NULL }, { T_RAW, "object", NULL },
                 { T_INT_OR_STRING, NULL, "int-or-string" } };
    struct val *v = val_new(d->a, VAL_OBJ);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].kind == t->kind) {
            if (rows[i].type)
                put(d->a, v, "type", rows[i].type);
            if (rows[i].format)
                put(d->a, v, "format", rows[i].format);
        }
    if (t->kind == T_INT_OR_STRING || t->kind == T_QUANTITY) {
        struct val *one = json_arr(d->a, v, STR("oneOf"));
        put(d->a, val_push(one, val_new(d->a, VAL_OBJ)), "type", "string");
        put(d->a, val_push(one, val_new(d->a, VAL_OBJ)), "type", t->kind == T_QUANTITY ? "number" : "integer");
    }
    if (t->kind == T_STRINGS) {
        put(d->a, v, "type", "array");
        put(d->a, json_obj(d->a, v, STR("items")), "type", "string");
    }
    return v;
}

static bool named(const struct schema_type *t)
{
    return str_starts(str_of(t->name), STR("io.k8s."));
}

static struct val *type_ref(struct doc *d, const struct schema_type *t, bool in_list)
{
    if (!named(t))
        return scalar_schema(d, t);
    add_type(d, t);
    struct val *v = val_new(d->a, VAL_OBJ), *ref = val_new(d->a, VAL_OBJ);
    put(d->a, ref, "$ref", arena_printf(d->a, "#/components/schemas/%s", t->name));
    (void)in_list;
    val_push(json_arr(d->a, v, STR("allOf")), ref);
    return v;
}

static void extensions(struct doc *d, const struct schema_field *f, struct val *v)
{
    struct arena *a = d->a;
    if (f->flags & (F_LIST_SET | F_LIST_MAP | F_LIST_ATOMIC) && f->shape == SHAPE_LIST)
        put(a, v, "x-kubernetes-list-type", f->flags & F_LIST_SET ? "set" : f->flags & F_LIST_MAP ? "map" : "atomic");
    for (const char *const *k = f->list_keys; k && *k; k++)
        val_push(json_arr(a, v, STR("x-kubernetes-list-map-keys")), val_of_str(a, str_of(*k)));
    if (f->patch_key)
        put(a, v, "x-kubernetes-patch-merge-key", f->patch_key);
    const char *strategy = f->flags & F_PATCH_MERGE && f->flags & F_PATCH_RETAINKEYS ? "merge,retainKeys" : f->flags & F_PATCH_MERGE ? "merge" :
                           f->flags & F_PATCH_RETAINKEYS ? "retainKeys" : f->flags & F_PATCH_REPLACE ? "replace" : NULL;
    if (strategy)
        put(a, v, "x-kubernetes-patch-strategy", strategy);
}

static struct val *field_schema(struct doc *d, const struct schema_field *f)
{
    struct val *v, *item = type_ref(d, f->type, f->shape != SHAPE_ONE);
    if (f->shape == SHAPE_ONE) {
        v = item;
    } else {
        v = val_new(d->a, VAL_OBJ);
        put(d->a, v, "type", f->shape == SHAPE_LIST ? "array" : "object");
        json_set(d->a, v, f->shape == SHAPE_LIST ? STR("items") : STR("additionalProperties"), item);
    }
    put(d->a, v, "description", f->doc ? f->doc : "");
    if (f->fallback && f->fallback[0]) {
        struct val *def = json_parse(d->a, str_of(f->fallback), NULL);
        if (def)
            json_set(d->a, v, STR("default"), def);
    }
    for (const char *const *c = f->choices; c && *c && f->shape == SHAPE_ONE; c++)
        val_push(json_arr(d->a, v, STR("enum")), val_of_str(d->a, str_of(*c)));
    extensions(d, f, v);
    return v;
}

static struct val *gvk(struct arena *a, const struct schema_kind *k, const char *suffix)
{
    struct val *v = val_new(a, VAL_OBJ);
    put(a, v, "group", k->group);
    put(a, v, "version", k->version);
    put(a, v, "kind", arena_printf(a, "%s%s", k->kind, suffix));
    return v;
}

static void add_gvk(struct doc *d, const struct schema_type *t, struct val *v)
{
    for (size_t i = 0; i < schema_n_kinds(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        if (k->type == t || k->list_type == t)
            val_push(json_arr(d->a, v, STR("x-kubernetes-group-version-kind")), gvk(d->a, k, k->type == t ? "" : "List"));
    }
}

static void add_type(struct doc *d, const struct schema_type *t)
{
    struct val *v, *props;
    if (map_get(&d->done, str_of(t->name)))
        return;
    map_put(&d->done, str_of(t->name), d);
    if (t->kind != T_STRUCT) {
        json_set(d->a, d->schemas, str_of(t->name), scalar_schema(d, t));
        return;
    }
    v = json_set(d->a, d->schemas, str_of(t->name), val_new(d->a, VAL_OBJ));
    put(d->a, v, "description", t->doc ? t->doc : "");
    put(d->a, v, "type", "object");
    props = json_obj(d->a, v, STR("properties"));
    for (int i = 0; t->has_typemeta && i < 2; i++) {
        struct val *m = json_obj(d->a, props, i ? STR("kind") : STR("apiVersion"));
        put(d->a, m, "type", "string");
        put(d->a, m, "description", i ? "What this object is." : "Group and version of this form of the object.");
    }
    for (unsigned i = 0; i < t->n_flat; i++) {
        const struct schema_field *f = t->flat[i];
        json_set(d->a, props, str_n(f->json, f->json_len), field_schema(d, f));
        if (f->flags & F_REQUIRED)
            val_push(json_arr(d->a, v, STR("required")), val_of_str(d->a, str_of(f->json)));
    }
    add_gvk(d, t, v);
}

/* --- paths --- */

static void parameter(struct arena *a, struct val *op, const char *name, const char *type)
{
    struct val *p = val_push(json_arr(a, op, STR("parameters")), val_new(a, VAL_OBJ));
    put(a, p, "name", name);
    put(a, p, "in", "query");
    put(a, json_obj(a, p, STR("schema")), "type", type);
}

static void operation(struct doc *d, const struct schema_kind *k, struct val *path, const char *method, const char *action)
{
    static const char *const write_params[] = { "dryRun", "fieldManager", "fieldValidation" };
    struct arena *a = d->a;
    struct val *op = json_obj(a, path, str_of(method)), *ok, *schema;
    put(a, op, "operationId", arena_printf(a, "%s%s%s%s", action, k->version, k->flags & K_NAMESPACED ? "Namespaced" : "", k->kind));
    put(a, op, "x-kubernetes-action", action);
    json_set(a, op, STR("x-kubernetes-group-version-kind"), gvk(a, k, ""));
    if (strcmp(method, "get") != 0)
        for (int i = 0; i < 3; i++)
            parameter(a, op, write_params[i], "string");
    if (strcmp(action, "patch") == 0)
        parameter(a, op, "force", "boolean");
    ok = json_obj(a, json_obj(a, op, STR("responses")), STR("200"));
    put(a, ok, "description", "OK");
    schema = json_obj(a, json_obj(a, json_obj(a, ok, STR("content")), STR("application/json")), STR("schema"));
    const struct schema_type *t = strcmp(action, "list") == 0 && k->list_type ? k->list_type : k->type;
    add_type(d, t);
    put(a, schema, "$ref", arena_printf(a, "#/components/schemas/%s", t->name));
}

static void add_kind(struct doc *d, const struct schema_kind *k, struct val *paths)
{
    struct arena *a = d->a;
    const char *base = k->group[0] ? arena_printf(a, "/apis/%s/%s", k->group, k->version) : "/api/v1";
    const char *all = arena_printf(a, "%s/%s%s", base, k->flags & K_NAMESPACED ? "namespaces/{namespace}/" : "", k->plural);
    struct val *path = json_obj(a, paths, str_of(all));
    if (k->flags & K_STORED) {
        operation(d, k, path, "get", "list");
        operation(d, k, path, "delete", "deletecollection");
    }
    operation(d, k, path, "post", "post");
    if (!(k->flags & K_STORED))
        return;
    path = json_obj(a, paths, str_of(arena_printf(a, "%s/{name}", all)));
    operation(d, k, path, "get", "get");
    operation(d, k, path, "put", "put");
    operation(d, k, path, "delete", "delete");
    operation(d, k, path, "patch", "patch");
}

static struct val *document(struct arena *a, struct str group, struct str version)
{
    struct doc d = { .a = a };
    struct val *v = val_new(a, VAL_OBJ), *paths;
    bool any = false;
    put(a, v, "openapi", "3.0.0");
    put(a, json_obj(a, v, STR("info")), "title", "Kubernetes");
    put(a, json_obj(a, v, STR("info")), "version", "v1.36.0");
    paths = json_obj(a, v, STR("paths"));
    d.schemas = json_obj(a, json_obj(a, v, STR("components")), STR("schemas"));
    for (size_t i = 0; i < schema_n_kinds(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        if (!str_is(group, k->group) || !str_is(version, k->version))
            continue;
        add_kind(&d, k, paths);
        any = true;
    }
    map_free(&d.done);
    return any ? v : NULL;
}

/* The rows never change while the process runs: the hash tells the build apart. */
static const char *build_hash(struct arena *a, const struct api *api)
{
    return arena_printf(a, "%08X%08X", hash_fnv32a(str_of(api->conf.version)), (unsigned)schema_n_types());
}

static struct val *index_tree(struct arena *a, const struct api *api)
{
    struct val *v = val_new(a, VAL_OBJ), *paths = json_obj(a, v, STR("paths"));
    for (size_t i = 0; i < schema_n_kinds(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        const char *gv = k->group[0] ? arena_printf(a, "apis/%s/%s", k->group, k->version) : "api/v1";
        put(a, json_obj(a, paths, str_of(gv)), "serverRelativeURL", arena_printf(a, "/openapi/v3/%s?hash=%s", gv, build_hash(a, api)));
    }
    return v;
}

bool api_openapi(struct api_rq *rq)
{
    struct str path = str_of(rq->info.tuple.path);
    struct val *v;
    if (!str_starts(path, STR("/openapi/v3")))
        return false;
    path = str_skip(path, 11);
    if (!path.len || str_is(path, "/")) {
        v = index_tree(rq->arena, rq->api);
    } else {
        struct str rest = str_skip(path, 1), head = str_cut(&rest, '/'), group = STR("");
        if (str_is(head, "apis") && rest.at)
            group = str_cut(&rest, '/');
        v = rest.at ? document(rq->arena, group, rest) : NULL;
    }
    if (!v)
        return false;
    rq->accept.media = MEDIA_JSON;
    api_send_tree(rq, 200, NULL, v);
    return true;
}
