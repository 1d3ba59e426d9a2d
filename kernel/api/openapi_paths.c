/* openapi_paths.c - the paths of a kind: a row per operation, a row per query parameter. */
#include "openapi-internal.h"

#define put openapi_put

#define ON_LIST  0x01u                  /* list, watch */
#define ON_WRITE 0x02u                  /* create, replace, patch */
#define ON_PATCH 0x04u
#define ON_DELETE 0x08u
#define ON_MANY  0x10u                  /* deletecollection */

static const struct {
    const char *name, *type;
    unsigned on;
} query[] = {
    { "allowWatchBookmarks", "boolean", ON_LIST },       { "continue", "string", ON_LIST | ON_MANY },
    { "dryRun", "string", ON_WRITE | ON_DELETE | ON_MANY }, { "fieldManager", "string", ON_WRITE },
    { "fieldSelector", "string", ON_LIST | ON_MANY },    { "fieldValidation", "string", ON_WRITE },
    { "force", "boolean", ON_PATCH },                    { "gracePeriodSeconds", "integer", ON_DELETE | ON_MANY },
    { "labelSelector", "string", ON_LIST | ON_MANY },    { "limit", "integer", ON_LIST | ON_MANY },
    { "orphanDependents", "boolean", ON_DELETE | ON_MANY }, { "propagationPolicy", "string", ON_DELETE | ON_MANY },
    { "resourceVersion", "string", ON_LIST | ON_MANY },  { "resourceVersionMatch", "string", ON_LIST | ON_MANY },
    { "sendInitialEvents", "boolean", ON_LIST | ON_MANY }, { "timeoutSeconds", "integer", ON_LIST | ON_MANY },
    { "watch", "boolean", ON_LIST },
};

enum place { COLLECTION = 1, ITEM, EVERYWHERE };

static const struct operation {
    const char *verb, *method, *action, *id;
    enum place place;
    unsigned on;
    bool body, list;
} operations[] = {
    { "list", "get", "list", "list%s%s", COLLECTION, ON_LIST, false, true },
    { "create", "post", "post", "create%s%s", COLLECTION, ON_WRITE, true, false },
    { "deletecollection", "delete", "deletecollection", "delete%sCollection%s", COLLECTION, ON_MANY, true, false },
    { "get", "get", "get", "read%s%s", ITEM, 0, false, false },
    { "update", "put", "put", "replace%s%s", ITEM, ON_WRITE, true, false },
    { "patch", "patch", "patch", "patch%s%s", ITEM, ON_WRITE | ON_PATCH, true, false },
    { "delete", "delete", "delete", "delete%s%s", ITEM, ON_DELETE, true, false },
    { "list", "get", "list", "list%s%sForAllNamespaces", EVERYWHERE, ON_LIST, false, true },
};

static void parameter(struct openapi *d, struct val *holder, const char *in, const char *name, const char *type)
{
    struct val *p = val_push(json_arr(d->a, holder, STR("parameters")), val_new(d->a, VAL_OBJ));
    put(d->a, p, "name", name);
    put(d->a, p, "in", in);
    if (strcmp(in, "path") == 0)
        json_set_bool(d->a, p, STR("required"), true);
    if (d->form == 3) {
        put(d->a, json_obj(d->a, p, STR("schema")), "type", type);
        json_set_bool(d->a, json_obj(d->a, p, STR("schema")), STR("uniqueItems"), true);
    } else {
        put(d->a, p, "type", type);
        json_set_bool(d->a, p, STR("uniqueItems"), true);
    }
}

/* Custom resources have no strategic merge: clients choose by what is listed here. */
static void patch_types(struct openapi *d, struct val *arr, bool custom)
{
    static const char *const types[] = { "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json",
                                         "application/apply-patch+yaml" };
    for (int i = 0; i < (custom ? 2 : 4); i++)
        val_push(arr, val_of_str(d->a, str_of(types[i])));
}

/* A patch has no type of its own among the rows: any object. */
static struct val *patch_ref(struct openapi *d)
{
    static const char name[] = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
    struct val *v = val_new(d->a, VAL_OBJ);
    put(d->a, json_obj(d->a, d->schemas, STR("io.k8s.apimachinery.pkg.apis.meta.v1.Patch")), "type", "object");
    put(d->a, v, "$ref", arena_printf(d->a, "%s%s", d->form == 2 ? "#/definitions/" : "#/components/schemas/", name));
    return v;
}

static struct val *body_ref(struct openapi *d, const struct operation *o, const struct schema_type *t)
{
    if (o->on & ON_PATCH)
        return patch_ref(d);
    return openapi_ref(d, o->on & (ON_DELETE | ON_MANY) ? schema_type_find(STR(""), STR("v1"), STR("DeleteOptions")) : t);
}

static void body(struct openapi *d, struct val *op, const struct operation *o, const struct schema_type *t)
{
    struct arena *a = d->a;
    if (d->form == 3) {
        struct val *content = json_obj(a, json_obj(a, op, STR("requestBody")), STR("content"));
        json_set(a, json_obj(a, content, str_of(!(o->on & ON_PATCH) ? "*/*" : t->custom ? "application/merge-patch+json" :
                                                "application/strategic-merge-patch+json")), STR("schema"), body_ref(d, o, t));
        return;
    }
    struct val *p = val_push(json_arr(a, op, STR("parameters")), val_new(a, VAL_OBJ));
    put(a, p, "name", "body");
    put(a, p, "in", "body");
    json_set(a, p, STR("schema"), body_ref(d, o, t));
    if (!(o->on & (ON_DELETE | ON_MANY)))
        json_set_bool(a, p, STR("required"), true);
    if (o->on & ON_PATCH)
        patch_types(d, json_arr(a, op, STR("consumes")), t->custom != NULL);
    else
        val_push(json_arr(a, op, STR("consumes")), val_of_str(a, STR("*/*")));
}

static void response(struct openapi *d, struct val *op, const char *code, const struct schema_type *t)
{
    static const char *const media[] = { "application/json", "application/yaml", "application/vnd.kubernetes.protobuf" };
    struct arena *a = d->a;
    struct val *r = json_obj(a, json_obj(a, op, STR("responses")), str_of(code));
    put(a, r, "description", strcmp(code, "201") == 0 ? "Created" : "OK");
    if (d->form == 2) {
        json_set(a, r, STR("schema"), openapi_ref(d, t));
        return;
    }
    struct val *content = json_obj(a, r, STR("content"));
    for (int i = 0; i < 3; i++)
        json_set(a, json_obj(a, content, str_of(media[i])), STR("schema"), openapi_ref(d, t));
}

/* "AppsV1": the group without its domain, and the version. */
static const char *group_title(struct arena *a, const struct schema_kind *k)
{
    struct str g = str_of(k->group[0] ? k->group : "core"), tail = STR(".k8s.io");
    _cleanup_buf_ struct buf b = BUF_INIT(128);
    if (str_ends(g, tail))
        g.len -= tail.len;
    while (g.at) {
        struct str part = str_cut(&g, '.');
        buf_add_c(&b, (char)(part.len ? part.at[0] - 32 : 'X'));
        buf_add_str(&b, str_skip(part, 1));
    }
    buf_add_c(&b, 'V');
    buf_add_z(&b, k->version + 1);
    return arena_dup(a, buf_str(&b));
}

struct target {
    const struct schema_kind *k;
    const struct schema_subresource *sub;
    const char *verbs;                  /* of the subresource; NULL: the kind's */
    const struct schema_type *type;     /* body and answer */
};

static const struct schema_type *sub_type(const struct schema_subresource *s)
{
    const struct schema_kind *k = schema_kind_find(str_of(s->group), str_of(s->version), str_of(s->kind));
    return k ? k->type : schema_type_find(str_of(s->group), str_of(s->version), str_of(s->kind));
}

/* Never written, but not by being reviews. */
static bool is_shown_only(const struct schema_kind *k)
{
    return k->flags & K_MEASURED;
}

static bool has_verb(const struct target *t, const struct operation *o)
{
    uint32_t flags = t->k->flags;
    if (t->sub) {
        /* POST on a subresource has the item's path. */
        bool post = strcmp(o->verb, "create") == 0;
        return (o->place == ITEM || post) && strstr(t->verbs, o->verb) && strcmp(o->verb, "deletecollection") != 0;
    }
    if (o->place == EVERYWHERE && !(flags & K_NAMESPACED))
        return false;
    if (is_shown_only(t->k))
        return strcmp(o->verb, "get") == 0 || strcmp(o->verb, "list") == 0;
    if (!(flags & K_STORED))
        return strcmp(o->verb, "create") == 0;
    return strcmp(o->verb, "deletecollection") != 0 || !(flags & K_NO_DELETECOLLECTION);
}

static void add_operation(struct openapi *d, const struct target *t, const struct operation *o, struct val *path)
{
    struct arena *a = d->a;
    const char *title = group_title(a, t->k);
    const char *object = arena_printf(a, "%s%s%s", t->k->flags & K_NAMESPACED && o->place != EVERYWHERE ? "Namespaced" : "", t->k->kind,
                                      t->sub ? arena_printf(a, "%c%s", t->sub->name[0] - 32, t->sub->name + 1) : "");
    struct val *op = json_obj(a, path, str_of(o->method));
    char id[200];
    if (strcmp(o->id, "delete%sCollection%s") == 0)
        snprintf(id, sizeof id, "delete%sCollection%s", title, object);
    else
        snprintf(id, sizeof id, "%.*s%s%s%s", (int)(strchr(o->id, '%') - o->id), o->id, title, object, strrchr(o->id, 's') + 1);
    put(a, op, "description", "");
    put(a, op, "operationId", arena_dup(a, str_of(id)));
    val_push(json_arr(a, op, STR("tags")), val_of_str(a, str_of(arena_printf(a, "%s_%s", t->k->group[0] ? t->k->group : "core", t->k->version))));
    for (size_t i = 0; i < sizeof query / sizeof *query; i++)
        if (query[i].on & o->on)
            parameter(d, op, "query", query[i].name, query[i].type);
    if (o->body)
        body(d, op, o, t->type);
    const struct schema_type *status = schema_type_find(STR(""), STR("v1"), STR("Status"));
    const struct schema_type *answer = o->on & (ON_DELETE | ON_MANY) ? status : o->list && t->k->list_type ? t->k->list_type : t->type;
    response(d, op, "200", answer);
    if (strcmp(o->verb, "create") == 0 || strcmp(o->verb, "update") == 0 || strcmp(o->verb, "patch") == 0)
        response(d, op, "201", answer);
    put(a, op, "x-kubernetes-action", o->action);
    const struct schema_subresource *s = t->sub;
    json_set(a, op, STR("x-kubernetes-group-version-kind"),
             s ? openapi_gvk(a, s->group, s->version, s->kind) : openapi_gvk(a, t->k->group, t->k->version, t->k->kind));
}

static void add_path(struct openapi *d, const struct target *t, enum place place, const char *url)
{
    struct val *path = NULL;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        const struct operation *o = &operations[i];
        bool here = t->sub ? place == ITEM : o->place == place;
        if (!here || !has_verb(t, o))
            continue;
        if (!path)
            path = json_obj(d->a, d->paths, str_of(url));
        add_operation(d, t, o, path);
    }
    if (!path)
        return;
    if (place == ITEM)
        parameter(d, path, "path", "name", "string");
    if (t->k->flags & K_NAMESPACED && place != EVERYWHERE)
        parameter(d, path, "path", "namespace", "string");
}

void openapi_add_kind(struct openapi *d, const struct schema_kind *k)
{
    struct arena *a = d->a;
    struct target t = { .k = k, .type = k->type };
    const char *base = k->group[0] ? arena_printf(a, "/apis/%s/%s", k->group, k->version) : "/api/v1";
    const char *all = arena_printf(a, "%s/%s%s", base, k->flags & K_NAMESPACED ? "namespaces/{namespace}/" : "", k->plural);
    openapi_add_type(d, k->type);
    add_path(d, &t, COLLECTION, all);
    if (k->flags & K_STORED || is_shown_only(k)) {
        add_path(d, &t, ITEM, arena_printf(a, "%s/{name}", all));
        add_path(d, &t, EVERYWHERE, arena_printf(a, "%s/%s", base, k->plural));
    }
    for (unsigned i = 0; i < k->n_sub; i++) {
        t.sub = &k->sub[i];
        t.verbs = t.sub->verbs;
        t.type = sub_type(t.sub);
        if (t.type)
            add_path(d, &t, ITEM, arena_printf(a, "%s/{name}/%s", all, t.sub->name));
    }
}
