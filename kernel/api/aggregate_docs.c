/* aggregate_docs.c - remote groups in the documents of discovery and OpenAPI: what their servers told when they were last asked. */
#include "aggregate.h"

static void put(struct arena *a, struct val *obj, const char *key, struct str text)
{
    json_set_str(a, obj, str_of(key), text);
}

static struct val *named(const struct val *list, const char *path, const char *name)
{
    if (val_is(list, VAL_ARR))
        val_each(x, list)
            if (str_is(json_str(x, path), name))
                return x;
    return NULL;
}

/* By name, so that a document is the same each time. */
static unsigned sorted(struct api *api, struct arena *a, struct aggregated ***ret)
{
    struct aggregates *x = api->aggregates;
    size_t at = 0;
    unsigned n = 0;
    void *v;
    *ret = x && x->remote.n ? arena_alloc(a, x->remote.n * sizeof **ret) : NULL;
    while (*ret && map_next(&x->remote, &at, NULL, &v)) {
        struct aggregated *g = v;
        unsigned i = n++;
        for (; i > 0 && strcmp((*ret)[i - 1]->key, g->key) > 0; i--)
            (*ret)[i] = (*ret)[i - 1];
        (*ret)[i] = g;
    }
    return n;
}

/* --- the older form --- */

static struct val *group_version(struct arena *a, const struct aggregated *g)
{
    struct val *v = val_new(a, VAL_OBJ);
    put(a, v, "groupVersion", str_of(g->key));
    put(a, v, "version", str_of(g->version));
    return v;
}

static void add_version(struct arena *a, struct val *group, const struct aggregated *g)
{
    struct val *versions = json_arr(a, group, STR("versions"));
    if (named(versions, "version", g->version))
        return;
    val_push(versions, group_version(a, g));
    if (!json_get(group, STR("preferredVersion")))
        json_set(a, group, STR("preferredVersion"), group_version(a, g));
}

void api_aggregate_groups(struct api *api, struct arena *a, struct val *list)
{
    struct aggregated **all;
    unsigned n = sorted(api, a, &all);
    for (unsigned i = 0; i < n; i++) {
        struct val *group = named(list, "name", all[i]->group);
        if (!group) {
            group = val_push(list, val_new(a, VAL_OBJ));
            put(a, group, "name", str_of(all[i]->group));
        }
        add_version(a, group, all[i]);
    }
}

struct val *api_aggregate_group(struct api *api, struct arena *a, struct str name, struct val *group)
{
    struct aggregated **all;
    unsigned n = sorted(api, a, &all);
    for (unsigned i = 0; i < n; i++) {
        if (!str_is(name, all[i]->group))
            continue;
        if (!group) {
            group = val_new(a, VAL_OBJ);
            put(a, group, "kind", STR("APIGroup"));
            put(a, group, "apiVersion", STR("v1"));
            put(a, group, "name", name);
        }
        add_version(a, group, all[i]);
    }
    return group;
}

/* --- aggregated: an APIResourceList told in the newer words --- */

static void keep(struct arena *a, struct val *to, const char *as, const struct val *from, const char *name)
{
    struct val *v = json_get(from, str_of(name));
    if (v && !(val_is(v, VAL_STR) && !v->n))
        json_set(a, to, str_of(as), val_copy(a, v));
}

static void set_kind(struct arena *a, struct val *to, const struct aggregated *g, const struct val *r)
{
    struct val *kind = json_obj(a, to, STR("responseKind"));
    struct str group = json_str(r, "group"), version = json_str(r, "version");
    put(a, kind, "group", version.len ? group.at ? group : STR("") : str_of(g->group));
    put(a, kind, "version", version.len ? version : str_of(g->version));
    put(a, kind, "kind", json_str(r, "kind"));
}

static void add_resources(struct arena *a, struct val *to, const struct aggregated *g)
{
    struct val *doc = g->resources ? json_parse(a, str_of(g->resources), NULL) : NULL, *list = json_get(doc, STR("resources"));
    if (!val_is(list, VAL_ARR))
        return;
    for (int sub = 0; sub < 2; sub++)
        val_each(r, list)
        {
            struct str below = json_str(r, "name"), name = str_cut(&below, '/');
            if (!name.len || (below.at != NULL) != (sub == 1))
                continue;
            struct val *v = sub ? named(to, "resource", arena_dup(a, name)) : val_push(to, val_new(a, VAL_OBJ));
            if (sub) {
                if (!v)
                    continue;
                v = val_push(json_arr(a, v, STR("subresources")), val_new(a, VAL_OBJ));
                put(a, v, "subresource", below);
            } else {
                put(a, v, "resource", name);
            }
            set_kind(a, v, g, r);
            if (!sub) {
                put(a, v, "scope", json_bool(r, "namespaced", false) ? STR("Namespaced") : STR("Cluster"));
                keep(a, v, "singularResource", r, "singularName");
            }
            keep(a, v, "verbs", r, "verbs");
            if (!sub) {
                keep(a, v, "shortNames", r, "shortNames");
                keep(a, v, "categories", r, "categories");
            }
        }
}

void api_aggregate_discovery(struct api *api, struct arena *a, struct val *items)
{
    struct aggregated **all;
    unsigned n = sorted(api, a, &all);
    for (unsigned i = 0; i < n; i++) {
        struct val *group = named(items, "metadata.name", all[i]->group), *v = NULL;
        if (!group) {
            group = val_push(items, val_new(a, VAL_OBJ));
            put(a, json_obj(a, group, STR("metadata")), "name", str_of(all[i]->group));
        }
        v = named(json_get(group, STR("versions")), "version", all[i]->version);
        if (v)
            json_del(v, STR("resources"));
        else
            v = val_push(json_arr(a, group, STR("versions")), val_new(a, VAL_OBJ));
        put(a, v, "version", str_of(all[i]->version));
        add_resources(a, json_arr(a, v, STR("resources")), all[i]);
        if (!json_get(v, STR("resources"))->first)
            json_del(v, STR("resources"));
        put(a, v, "freshness", all[i]->available ? STR("Current") : STR("Stale"));
    }
}

void api_aggregate_openapi_index(struct api *api, struct arena *a, struct val *paths)
{
    struct aggregated **all;
    unsigned n = sorted(api, a, &all);
    for (unsigned i = 0; i < n; i++)
        if (all[i]->openapi) {
            const char *key = arena_printf(a, "apis/%s", all[i]->key);
            const char *hash = strstr(all[i]->openapi, "hash=");
            put(a, json_obj(a, paths, str_of(key)), "serverRelativeURL",
                str_of(arena_printf(a, "/openapi/v3/%s%s%s", key, hash ? "?" : "", hash ? hash : "")));
        }
}
