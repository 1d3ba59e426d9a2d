/* openapi_paths.c - the paths of a kind: a row per operation, a row per query parameter. */
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
    { "ignoreStoreReadErrorWithClusterBreakingPotential", "boolean", ON_DELETE | ON_MANY, "Not looked at: what cannot be read is not deleted." },
    { "labelSelector", "string", ON_LIST | ON_MANY, "Only objects with these labels." },
    { "limit", "integer", ON_LIST | ON_MANY, "At most that many objects in a page." },
    { "orphanDependents", "boolean", ON_DELETE | ON_MANY, "Former form of propagationPolicy." },
    { "propagationPolicy", "string", ON_DELETE | ON_MANY, "What becomes of dependents: Orphan, Background or Foreground." },
    { "resourceVersion", "string", ON_LIST | ON_MANY | ON_READ, "The revision to show or to begin behind; 0 is any." },
    { "resourceVersionMatch", "string", ON_LIST | ON_MANY, "Exact or NotOlderThan that revision." },
    { "sendInitialEvents", "boolean", ON_LIST | ON_MANY, "A watch begins with what is there, and a bookmark behind it." },
    { "shardSelector", "string", ON_LIST | ON_MANY, "Not looked at: every shard is shown." },
    { "timeoutSeconds", "integer", ON_LIST | ON_MANY, "How long it may last." },
    { "watch", "boolean", ON_LIST, "Go on telling what changes." },
};

#define N_QUERY (sizeof query / sizeof *query)

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

/* Custom resources have no strategic merge: clients choose by what is listed here. */
static const char *const patch_media[] = { "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml",
                                           NULL };
static const char *const custom_patch_media[] = { "application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml", NULL };
static const char *const custom_media[] = { "application/json", "application/yaml", NULL };
static const char *const list_media[] = { "application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/json;stream=watch",
                                          "application/vnd.kubernetes.protobuf;stream=watch", NULL };

/* A patch has no type of its own among the rows: any object. */
static struct val *patch_ref(struct openapi *d)
{
    static const char name[] = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
    struct val *patch = json_obj(d->a, d->schemas, STR("io.k8s.apimachinery.pkg.apis.meta.v1.Patch"));
    put(d->a, patch, "description", "A change of an object; of what form, the content type says.");
    put(d->a, patch, "type", "object");
    return openapi_ref_to(d, name);
}

/* "RbacAuthorization" */
const char *openapi_group_title(struct arena *a, const char *group)
{
    struct str g = str_of(group[0] ? group : "core"), tail = STR(".k8s.io");
    _cleanup_buf_ struct buf b = BUF_INIT(256);
    if (str_ends(g, tail))
        g.len -= tail.len;
    while (g.at) {
        struct str part = str_cut(&g, '.');
        buf_add_c(&b, (char)(part.len ? part.at[0] >= 'a' ? part.at[0] - 32 : part.at[0] : 'X'));
        buf_add_str(&b, str_skip(part, 1));
    }
    return arena_dup(a, buf_str(&b));
}

const char *openapi_tag(struct arena *a, const char *group, const char *version)
{
    const char *title = openapi_group_title(a, group);
    if (!title)
        return NULL;
    char first = (char)(title[0] >= 'A' && title[0] <= 'Z' ? title[0] + 32 : title[0]);
    return arena_printf(a, "%c%s%s%s", first, title + 1, version ? "_" : "", version ? version : "");
}

static const char *version_title(struct arena *a, const struct schema_kind *k)
{
    return arena_printf(a, "%sV%s", openapi_group_title(a, k->group), k->version + 1);
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

/* What it takes from the query. A collection of custom resources is deleted as it is listed: upstream says nothing else of it. */
static unsigned takes(const struct target *t, const struct operation *o)
{
    if (!(t->k->flags & K_CUSTOM))
        return o->on;
    return o->on & ON_MANY ? ON_LIST : o->on | (strcmp(o->verb, "get") == 0 ? ON_READ : 0);
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
    const char *object = arena_printf(a, "%s%s%s%s%s", version_title(a, t->k), o->on & ON_MANY ? "Collection" : "", within ? "Namespaced" : "", t->k->kind, sub);
    return object ? filled(a, o->id, object, "") : "";
}

/* Subresources of a custom resource go by its kind. */
static struct val *gvk_of(struct arena *a, const struct target *t)
{
    const struct schema_subresource *s = t->k->flags & K_CUSTOM ? NULL : t->sub;
    return s ? openapi_gvk(a, s->group, s->version, s->kind) : openapi_gvk(a, t->k->group, t->k->version, t->k->kind);
}

static struct openapi_answer answer_of(struct openapi *d, const struct target *t, const struct operation *o)
{
    /* Namespaces are shown too, and upstream's documents say that they are not. */
    bool shown = t->k->flags & K_RETURNS_OBJECT_ON_DELETE && !(t->k->flags & K_NO_DELETECOLLECTION), deletes = o->on & ON_DELETE && !shown;
    if (is_watch(o))
        return (struct openapi_answer){ .type = schema_type_by_name(STR("io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent")) };
    if (deletes || o->on & ON_MANY)
        return (struct openapi_answer){ .type = schema_type_find(STR(""), STR("v1"), STR("Status")) };
    if (o->list && t->k->flags & K_CUSTOM)
        return (struct openapi_answer){ .named = openapi_custom_list(d, t->k) };
    return (struct openapi_answer){ .type = o->list && t->k->list_type ? t->k->list_type : t->type };
}

static void add_responses(struct openapi *d, const struct target *t, const struct operation *o, const struct openapi_operation *op, struct val *v)
{
    struct openapi_answer answer = answer_of(d, t, o);
    bool creates = strcmp(o->verb, "create") == 0, patches = o->on & ON_PATCH;
    openapi_response(d, v, op, "200", &answer);
    if (creates || strcmp(o->verb, "update") == 0 || (patches && !(t->k->flags & K_CUSTOM)))
        openapi_response(d, v, op, "201", &answer);
    if (creates || o->on & ON_DELETE)
        openapi_response(d, v, op, "202", &answer);
    openapi_response(d, v, op, "401", NULL);
}

static void add_body(struct openapi *d, const struct target *t, const struct operation *o, const struct openapi_operation *op, struct val *v)
{
    bool deletes = o->on & (ON_DELETE | ON_MANY);
    if (!o->body || (o->on & ON_MANY && t->k->flags & K_CUSTOM))
        return;
    openapi_body(d, v, op, o->on & ON_PATCH ? patch_ref(d) : openapi_ref(d, deletes ? schema_type_find(STR(""), STR("v1"), STR("DeleteOptions")) : t->type), !deletes);
}

/* common: what the path says for all its operations. */
static void add_operation(struct openapi *d, const struct target *t, const struct operation *o, struct val *path, uint32_t common)
{
    struct arena *a = d->a;
    bool custom = t->k->flags & K_CUSTOM, patch = o->on & ON_PATCH;
    struct openapi_operation op = { o->method, openapi_tag(a, t->k->group, t->k->version), described(a, t, o), operation_id(a, t, o),
                                    patch ? custom ? custom_patch_media : patch_media : custom ? custom_media : openapi_any,
                                    custom ? custom_media : o->list ? list_media : openapi_built_in };
    struct val *v = openapi_operation_new(d, path, &op);
    for (size_t i = 0; i < N_QUERY; i++)
        if (query[i].on & takes(t, o) && !(common & 1u << i))
            val_push(json_arr(a, v, STR("parameters")), openapi_parameter_new(d, "query", query[i].name, query[i].type, query[i].says));
    add_body(d, t, o, &op, v);
    add_responses(d, t, o, &op, v);
    put(a, v, "x-kubernetes-action", o->action);
    json_set(a, v, STR("x-kubernetes-group-version-kind"), gvk_of(a, t));
}

/* What stands in the path, and what all its operations take. */
static void path_parameters(struct openapi *d, const struct target *t, enum place place, struct val *path, uint32_t common)
{
    struct arena *a = d->a;
    struct val *list = json_arr(a, path, STR("parameters"));
    if (place == ITEM || place == WATCH_ITEM)
        val_push(list, openapi_parameter_new(d, "path", "name", "string", arena_printf(a, "name of the %s", t->sub ? t->sub->kind : t->k->kind)));
    if (t->k->flags & K_NAMESPACED && place != EVERYWHERE && place != WATCH_EVERYWHERE)
        val_push(list, openapi_parameter_new(d, "path", "namespace", "string", "The namespace that it is in."));
    val_push(list, openapi_parameter_new(d, "query", "pretty", "string", OPENAPI_PRETTY));
    for (size_t i = 0; i < N_QUERY; i++)
        if (common & 1u << i)
            val_push(list, openapi_parameter_new(d, "query", query[i].name, query[i].type, query[i].says));
    openapi_sort_parameters(list);
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
    const char *url = arena_printf(a, "%s/", base);
    if (k->flags & K_CUSTOM || !url || json_get(d->paths, str_of(url)))
        return;
    struct openapi_operation o = { "get", openapi_tag(a, k->group, k->version), "get available resources", arena_printf(a, "get%sAPIResources", version_title(a, k)),
                                   openapi_built_in, openapi_built_in };
    struct val *op = openapi_operation_new(d, json_obj(a, d->paths, str_of(url)), &o);
    openapi_response(d, op, &o, "200", &(struct openapi_answer){ .type = schema_type_find(STR(""), STR("v1"), STR("APIResourceList")) });
    openapi_response(d, op, &o, "401", NULL);
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
        const char *url = arena_printf(a, "%s/{name}/%s", all, k->sub[i].name);
        t.sub = &k->sub[i];
        t.verbs = t.sub->verbs;
        t.type = sub_type(t.sub);
        if (api_is_stream(t.sub->name))
            openapi_add_stream(d, k, t.sub, url);
        else if (t.type)
            add_path(d, &t, ITEM, url);
    }
}
