/* openapi_paths.c - the paths of a kind: a row per operation, a row per query parameter. */
#include <stdlib.h>

#include "openapi-internal.h"

#define put openapi_put

#define ON_LIST  0x01u                  /* list, watch */
#define ON_WRITE 0x02u                  /* create, replace, patch */
#define ON_PATCH 0x04u
#define ON_DELETE 0x08u
#define ON_MANY  0x10u                  /* deletecollection */
#define ON_READ  0x20u                  /* get, of custom resources */

static const struct {
    const char *name, *type;
    unsigned on;
    const char *says;
} query[] = {
    { "allowWatchBookmarks", "boolean", ON_LIST, "Send bookmarks, from which a watch can go on." },
    { "continue", "string", ON_LIST | ON_MANY, "Where the page before ended: its metadata.continue." },
    { "dryRun", "string", ON_WRITE | ON_DELETE | ON_MANY, "All: answer as if it were done, and keep nothing." },
    { "fieldManager", "string", ON_WRITE, "Who writes: the fields are this manager's from then on." },
    { "fieldSelector", "string", ON_LIST | ON_MANY, "Only objects with these fields." },
    { "fieldValidation", "string", ON_WRITE, "What to do about fields that are not known or come twice: Ignore, Warn or Strict." },
    { "force", "boolean", ON_PATCH, "Take fields from other managers. For server-side apply alone." },
    { "gracePeriodSeconds", "integer", ON_DELETE | ON_MANY, "How long it may take to end; 0 is at once." },
    { "labelSelector", "string", ON_LIST | ON_MANY, "Only objects with these labels." },
    { "limit", "integer", ON_LIST | ON_MANY, "At most that many objects in a page." },
    { "orphanDependents", "boolean", ON_DELETE | ON_MANY, "Former form of propagationPolicy." },
    { "propagationPolicy", "string", ON_DELETE | ON_MANY, "What becomes of dependents: Orphan, Background or Foreground." },
    { "resourceVersion", "string", ON_LIST | ON_MANY | ON_READ, "The revision to show or to begin behind; 0 is any." },
    { "resourceVersionMatch", "string", ON_LIST | ON_MANY, "Exact or NotOlderThan that revision." },
    { "sendInitialEvents", "boolean", ON_LIST | ON_MANY, "A watch begins with what is there, and a bookmark behind it." },
    { "timeoutSeconds", "integer", ON_LIST | ON_MANY, "How long it may last." },
    { "watch", "boolean", ON_LIST, "Go on telling what changes." },
};

#define N_QUERY (sizeof query / sizeof *query)
#define PRETTY "true: JSON that people can read. Browsers and curl get it anyway."

enum place { COLLECTION = 1, ITEM, EVERYWHERE, WATCH_ITEM, WATCH_COLLECTION, WATCH_EVERYWHERE };

#define INSTEAD " deprecated: use the 'watch' parameter with a list operation instead"

static const struct operation {
    const char *verb, *method, *action, *id;    /* id: what its operationId begins with, and "|" where the kind stands */
    const char *says;                           /* "|" for the kind, "@" for it with its article */
    enum place place;
    unsigned on;
    bool body, list;
} operations[] = {
    { "list", "get", "list", "list|", "list or watch objects of kind |", COLLECTION, ON_LIST, false, true },
    { "create", "post", "post", "create|", "create @", COLLECTION, ON_WRITE, true, false },
    { "deletecollection", "delete", "deletecollection", "delete|", "delete collection of |", COLLECTION, ON_MANY, true, false },
    { "get", "get", "get", "read|", "read the specified |", ITEM, 0, false, false },
    { "update", "put", "put", "replace|", "replace the specified |", ITEM, ON_WRITE, true, false },
    { "delete", "delete", "delete", "delete|", "delete @", ITEM, ON_DELETE, true, false },
    { "patch", "patch", "patch", "patch|", "partially update the specified |", ITEM, ON_WRITE | ON_PATCH, true, false },
    { "list", "get", "list", "list|ForAllNamespaces", "list or watch objects of kind |", EVERYWHERE, ON_LIST, false, true },
    { "watch", "get", "watch", "watch|", "watch changes to an object of kind |." INSTEAD ", filtered to a single item with the 'fieldSelector' parameter.", WATCH_ITEM, ON_LIST, false, true },
    { "watch", "get", "watchlist", "watch|List", "watch individual changes to a list of |." INSTEAD ".", WATCH_COLLECTION, ON_LIST, false, true },
    { "watch", "get", "watchlist", "watch|ListForAllNamespaces", "watch individual changes to a list of |." INSTEAD ".", WATCH_EVERYWHERE, ON_LIST, false, true },
};

static bool is_watch(const struct operation *o)
{
    return o->place >= WATCH_ITEM;
}

/* "a ConfigMap", "an Event", "Endpoints". */
static const char *with_article(struct arena *a, const char *noun)
{
    size_t n = strlen(noun);
    if (n > 1 && noun[n - 1] == 's' && noun[n - 2] != 's')
        return noun;
    return arena_printf(a, "%s %s", strchr("AEIOUaeiou", noun[0]) ? "an" : "a", noun);
}

/* The pattern with its marks filled in: "|" by plain, "@" by marked. */
static const char *filled(struct arena *a, const char *pattern, const char *plain, const char *marked)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1024);
    for (const char *p = pattern; *p; p++)
        if (*p == '|' || *p == '@')
            buf_add_z(&b, *p == '|' ? plain : marked);
        else
            buf_add_c(&b, *p);
    return arena_dup(a, buf_str(&b));
}

static struct val *parameter_new(struct openapi *d, const char *in, const char *name, const char *type, const char *says)
{
    struct val *p = val_new(d->a, VAL_OBJ);
    put(d->a, p, "name", name);
    put(d->a, p, "in", in);
    if (says)
        put(d->a, p, "description", says);
    if (strcmp(in, "path") == 0)
        json_set_bool(d->a, p, STR("required"), true);
    if (d->form == 3) {
        put(d->a, json_obj(d->a, p, STR("schema")), "type", type);
        json_set_bool(d->a, json_obj(d->a, p, STR("schema")), STR("uniqueItems"), true);
    } else {
        put(d->a, p, "type", type);
        json_set_bool(d->a, p, STR("uniqueItems"), true);
    }
    return p;
}

/* Custom resources have no strategic merge: clients choose by what is listed here. */
static const char *const patch_media[] = { "application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json" };

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

/* A body takes any type that is known, and says so in its own way for custom resources. */
static void body(struct openapi *d, struct val *op, const struct operation *o, const struct schema_type *t)
{
    static const char *const any[] = { "*/*" }, *const custom[] = { "application/json", "application/yaml" };
    const char *const *media = o->on & ON_PATCH ? patch_media : t->custom ? custom : any;
    int n = o->on & ON_PATCH ? t->custom ? 3 : 4 : t->custom ? 2 : 1;
    bool required = !(o->on & (ON_DELETE | ON_MANY));
    struct arena *a = d->a;
    if (d->form == 3) {
        struct val *request = json_obj(a, op, STR("requestBody")), *content = json_obj(a, request, STR("content"));
        for (int i = 0; i < n; i++)
            json_set(a, json_obj(a, content, str_of(media[i])), STR("schema"), body_ref(d, o, t));
        if (required)
            json_set_bool(a, request, STR("required"), true);
        return;
    }
    struct val *p = val_new(a, VAL_OBJ);
    val_unshift(json_arr(a, op, STR("parameters")), p);
    put(a, p, "name", "body");
    put(a, p, "in", "body");
    json_set(a, p, STR("schema"), body_ref(d, o, t));
    if (required)
        json_set_bool(a, p, STR("required"), true);
    for (int i = 0; i < n; i++)
        val_push(json_arr(a, op, STR("consumes")), val_of_str(a, str_of(media[i])));
}

static void response(struct openapi *d, struct val *op, const char *code, const struct schema_type *t, const struct operation *o)
{
    static const char *const words[][2] = { { "200", "OK" }, { "201", "Created" }, { "202", "Accepted" }, { "401", "Unauthorized" } };
    static const struct {
        const char *type;
        bool stream, built_in;
    } media[] = { { "application/json", false, false }, { "application/json;stream=watch", true, true }, { "application/vnd.kubernetes.protobuf", false, true },
                  { "application/vnd.kubernetes.protobuf;stream=watch", true, true }, { "application/yaml", false, false } };
    struct arena *a = d->a;
    struct val *r = json_obj(a, json_obj(a, op, STR("responses")), str_of(code));
    bool custom = o && o->place && t && t->custom;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i][0], code) == 0)
            put(a, r, "description", words[i][1]);
    if (t && d->form == 2)
        json_set(a, r, STR("schema"), openapi_ref(d, t));
    for (size_t i = 0; i < sizeof media / sizeof *media && t && d->form == 3; i++)
        if ((!media[i].stream || (o && o->list)) && !(media[i].built_in && custom))
            json_set(a, json_obj(a, json_obj(a, r, STR("content")), str_of(media[i].type)), STR("schema"), openapi_ref(d, t));
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
    if ((o->place == EVERYWHERE || o->place == WATCH_EVERYWHERE) && !(flags & K_NAMESPACED))
        return false;
    if (is_watch(o))
        return flags & K_STORED && !(flags & K_CUSTOM);
    if (is_shown_only(t->k))
        return strcmp(o->verb, "get") == 0 || strcmp(o->verb, "list") == 0;
    if (!(flags & K_STORED))
        return strcmp(o->verb, "create") == 0;
    return strcmp(o->verb, "deletecollection") != 0 || !(flags & K_NO_DELETECOLLECTION);
}

/* What it takes from the query. */
static unsigned takes(const struct target *t, const struct operation *o)
{
    return o->on | (t->k->flags & K_CUSTOM && strcmp(o->verb, "get") == 0 && !t->sub ? ON_READ : 0);
}

static const char *described(struct arena *a, const struct target *t, const struct operation *o)
{
    const char *kind = t->k->kind, *pattern = o->says, *at = t->sub ? strstr(pattern, "the specified") : NULL;
    if (at)
        pattern = arena_printf(a, "%.*s%s of %s", (int)(at - pattern), pattern, t->sub->name, at);
    else if (t->sub)
        pattern = arena_printf(a, "create %s of @", t->sub->name);
    return filled(a, pattern ? pattern : "", kind, with_article(a, kind));
}

static const char *operation_id(struct arena *a, const struct target *t, const struct operation *o)
{
    bool within = t->k->flags & K_NAMESPACED && o->place != EVERYWHERE && o->place != WATCH_EVERYWHERE;
    const char *sub = t->sub ? arena_printf(a, "%c%s", t->sub->name[0] - 32, t->sub->name + 1) : "";
    const char *object = arena_printf(a, "%s%s%s%s%s", group_title(a, t->k), o->on & ON_MANY ? "Collection" : "", within ? "Namespaced" : "", t->k->kind, sub);
    return object ? filled(a, o->id, object, "") : "";
}

static struct val *gvk_of(struct arena *a, const struct target *t)
{
    struct val *v = val_new(a, VAL_OBJ);
    const struct schema_subresource *s = t->sub;
    put(a, v, "group", s ? s->group : t->k->group);
    put(a, v, "version", s ? s->version : t->k->version);
    put(a, v, "kind", s ? s->kind : t->k->kind);
    return v;
}

static void add_responses(struct openapi *d, const struct target *t, const struct operation *o, struct val *op)
{
    const struct schema_type *status = schema_type_find(STR(""), STR("v1"), STR("Status"));
    const struct schema_type *answer = is_watch(o) ? schema_type_by_name(STR("io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent")) : o->on & (ON_DELETE | ON_MANY) ? status :
                                       o->list && t->k->list_type ? t->k->list_type : t->type;
    bool custom = t->k->flags & K_CUSTOM;
    response(d, op, "200", answer, o);
    if (strcmp(o->verb, "create") == 0 || strcmp(o->verb, "update") == 0 || (strcmp(o->verb, "patch") == 0 && !custom))
        response(d, op, "201", answer, o);
    if (strcmp(o->verb, "create") == 0 || strcmp(o->verb, "delete") == 0)
        response(d, op, "202", answer, o);
    response(d, op, "401", NULL, o);
}

/* common: what the path says for all its operations. */
static void add_operation(struct openapi *d, const struct target *t, const struct operation *o, struct val *path, uint32_t common)
{
    struct arena *a = d->a;
    struct val *op = json_obj(a, path, str_of(o->method));
    char *tag = arena_dup(a, str_of(group_title(a, t->k)));
    size_t n = tag ? strlen(tag) - strlen(t->k->version) : 0;
    if (n)
        tag[0] = (char)(tag[0] + 32);
    val_push(json_arr(a, op, STR("tags")), val_of_str(a, str_of(arena_printf(a, "%.*s_%s", (int)n, tag ? tag : "", t->k->version))));
    put(a, op, "description", described(a, t, o));
    put(a, op, "operationId", operation_id(a, t, o));
    for (size_t i = 0; i < N_QUERY; i++)
        if (query[i].on & takes(t, o) && !(common & 1u << i))
            val_push(json_arr(a, op, STR("parameters")), parameter_new(d, "query", query[i].name, query[i].type, query[i].says));
    if (o->body)
        body(d, op, o, t->type);
    add_responses(d, t, o, op);
    put(a, op, "x-kubernetes-action", o->action);
    json_set(a, op, STR("x-kubernetes-group-version-kind"), gvk_of(a, t));
}

static int by_name(const void *x, const void *y)
{
    return str_cmp(json_str(*(const struct val *const *)x, "name"), json_str(*(const struct val *const *)y, "name"));
}

/* What stands in the path, and what all its operations take. */
static void path_parameters(struct openapi *d, const struct target *t, enum place place, struct val *path, uint32_t common)
{
    struct arena *a = d->a;
    struct val *at[N_QUERY + 3], *list = json_arr(a, path, STR("parameters"));
    size_t n = 0;
    if (place == ITEM || place == WATCH_ITEM)
        at[n++] = parameter_new(d, "path", "name", "string", arena_printf(a, "name of the %s", t->sub ? t->sub->kind : t->k->kind));
    if (t->k->flags & K_NAMESPACED && place != EVERYWHERE && place != WATCH_EVERYWHERE)
        at[n++] = parameter_new(d, "path", "namespace", "string", "The namespace that it is in.");
    at[n++] = parameter_new(d, "query", "pretty", "string", PRETTY);
    for (size_t i = 0; i < N_QUERY; i++)
        if (common & 1u << i)
            at[n++] = parameter_new(d, "query", query[i].name, query[i].type, query[i].says);
    qsort(at, n, sizeof *at, by_name);
    for (size_t i = 0; i < n; i++)
        val_push(list, at[i]);
}

static bool has_place(const struct target *t, const struct operation *o, enum place place)
{
    return (t->sub ? place == ITEM && !is_watch(o) : o->place == place) && has_verb(t, o);
}

static void add_path(struct openapi *d, const struct target *t, enum place place, const char *url)
{
    uint32_t common = ~0u;
    bool any = false;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        const struct operation *o = &operations[i];
        if (!has_place(t, o, place))
            continue;
        any = true;
        for (size_t k = 0; k < N_QUERY; k++)
            if (!(query[k].on & takes(t, o)))
                common &= ~(1u << k);
    }
    if (!any)
        return;
    struct val *path = json_obj(d->a, d->paths, str_of(url));
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (has_place(t, &operations[i], place))
            add_operation(d, t, &operations[i], path, common);
    path_parameters(d, t, place, path, common);
}

/* The resources of a group's version, at its own path. */
static void add_root(struct openapi *d, const struct schema_kind *k, const char *base)
{
    struct arena *a = d->a;
    const char *url = arena_printf(a, "%s/", base), *title = group_title(a, k);
    if (k->flags & K_CUSTOM || !url || json_get(d->paths, str_of(url)))
        return;
    struct val *op = json_obj(a, json_obj(a, d->paths, str_of(url)), STR("get"));
    val_push(json_arr(a, op, STR("tags")), val_of_str(a, str_of(arena_printf(a, "%c%.*s_%s", title[0] + 32, (int)(strlen(title) - strlen(k->version)) - 1, title + 1, k->version))));
    put(a, op, "description", "get available resources");
    put(a, op, "operationId", arena_printf(a, "get%sAPIResources", title));
    response(d, op, "200", schema_type_find(STR(""), STR("v1"), STR("APIResourceList")), NULL);
    response(d, op, "401", NULL, NULL);
}

void openapi_add_kind(struct openapi *d, const struct schema_kind *k)
{
    struct arena *a = d->a;
    struct target t = { .k = k, .type = k->type };
    const char *base = k->group[0] ? arena_printf(a, "/apis/%s/%s", k->group, k->version) : "/api/v1", *within = k->flags & K_NAMESPACED ? "namespaces/{namespace}/" : "";
    const char *all = arena_printf(a, "%s/%s%s", base, within, k->plural);
    openapi_add_type(d, k->type);
    add_root(d, k, base);
    add_path(d, &t, COLLECTION, all);
    if (k->flags & K_STORED || is_shown_only(k)) {
        add_path(d, &t, ITEM, arena_printf(a, "%s/{name}", all));
        add_path(d, &t, EVERYWHERE, arena_printf(a, "%s/%s", base, k->plural));
        add_path(d, &t, WATCH_ITEM, arena_printf(a, "%s/watch/%s%s/{name}", base, within, k->plural));
        add_path(d, &t, WATCH_COLLECTION, arena_printf(a, "%s/watch/%s%s", base, within, k->plural));
        add_path(d, &t, WATCH_EVERYWHERE, arena_printf(a, "%s/watch/%s", base, k->plural));
    }
    for (unsigned i = 0; i < k->n_sub; i++) {
        t.sub = &k->sub[i];
        t.verbs = t.sub->verbs;
        t.type = sub_type(t.sub);
        if (t.type)
            add_path(d, &t, ITEM, arena_printf(a, "%s/{name}/%s", all, t.sub->name));
    }
}
