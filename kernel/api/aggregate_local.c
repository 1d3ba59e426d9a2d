/* aggregate_local.c - APIServices of what this server answers for itself: built-in groups at the start, custom ones as they come and go. */
#include "aggregate.h"

#include "base/log.h"

#define MANAGED "kube-aggregator.kubernetes.io/automanaged"

/* Upstream's order of groups: what clients prefer when a name is in several. */
static const struct {
    const char *group, *version;        /* version NULL: any */
    int group_priority, version_priority;
} rows[] = {
    { "", NULL, 18000, 1 }, { "events.k8s.io", NULL, 17750, 15 }, { "apps", NULL, 17800, 15 }, { "authentication.k8s.io", NULL, 17700, 15 },
    { "authorization.k8s.io", NULL, 17600, 15 }, { "autoscaling", "v2", 17500, 30 }, { "autoscaling", NULL, 17500, 15 },
    { "batch", NULL, 17400, 15 }, { "certificates.k8s.io", NULL, 17300, 15 }, { "networking.k8s.io", NULL, 17200, 15 },
    { "policy", NULL, 17100, 15 }, { "rbac.authorization.k8s.io", NULL, 17000, 15 }, { "storage.k8s.io", NULL, 16800, 15 },
    { "apiextensions.k8s.io", NULL, 16700, 15 }, { "admissionregistration.k8s.io", NULL, 16700, 15 }, { "scheduling.k8s.io", NULL, 16600, 15 },
    { "coordination.k8s.io", NULL, 16500, 15 }, { "node.k8s.io", NULL, 16300, 15 }, { "discovery.k8s.io", NULL, 16200, 15 },
    { "flowcontrol.apiserver.k8s.io", NULL, 16100, 21 }, { "resource.k8s.io", NULL, 16200, 21 },
};

static void priorities(const struct schema_kind *k, int *group, int *version)
{
    *group = 1000;                      /* custom ones */
    *version = 100;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && !(k->flags & K_CUSTOM); i++)
        if (strcmp(rows[i].group, k->group) == 0 && (!rows[i].version || strcmp(rows[i].version, k->version) == 0)) {
            *group = rows[i].group_priority;
            *version = rows[i].version_priority;
            return;
        }
}

static int make(struct api *api, const struct schema_kind *k, struct str name)
{
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    struct val *v = val_new(a, VAL_OBJ), *spec = json_obj(a, v, STR("spec")), *meta = json_obj(a, v, STR("metadata"));
    int group, version;
    json_set_str(a, v, STR("kind"), STR("APIService"));
    json_set_str(a, v, STR("apiVersion"), STR("apiregistration.k8s.io/v1"));
    priorities(k, &group, &version);
    json_set_str(a, meta, STR("name"), name);
    json_set_str(a, json_obj(a, meta, STR("labels")), STR(MANAGED), k->flags & K_CUSTOM ? STR("true") : STR("onstart"));
    json_set_str(a, spec, STR("version"), str_of(k->version));
    json_set_str(a, spec, STR("group"), str_of(k->group));
    json_set_int(a, spec, STR("groupPriorityMinimum"), group);
    json_set_int(a, spec, STR("versionPriority"), version);
    if (arena_exhausted(a))
        return -KL_NO_MEMORY;
    int rc = aggregate_write(api, a, v, "create", NULL);
    if (rc == 0)
        aggregate_say(api, name, true, "Local", "Local APIServices are always available");
    return rc;
}

static bool is_served(struct str group, struct str version)
{
    for (size_t i = 0; i < schema_n_kinds(); i++)
        if (str_is(group, schema_kind_at(i)->group) && str_is(version, schema_kind_at(i)->version))
            return true;
    return false;
}

struct stale {
    struct api *api;
    struct arena *arena;
    const char *names[64];
    unsigned n;
};

static bool find_stale(void *ctx, struct store_object *o)
{
    struct stale *s = ctx;
    struct val *v = json_parse(s->arena, store_object_json(o), NULL), *labels = json_path(v, "metadata.labels");
    if (str_is(val_str(json_get(labels, STR(MANAGED))), "true") && !json_path(v, "spec.service") &&
        !is_served(json_str(v, "spec.group"), json_str(v, "spec.version")))
        s->names[s->n++] = arena_dup(s->arena, store_object_name(o));
    return s->n < sizeof s->names / sizeof *s->names;
}

static void drop_stale(struct api *api)
{
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    struct stale s = { .api = api, .arena = a };
    struct store_range all = { .resource = STR(APISERVICES), .head = true };
    if (a)
        store_list(api->store, &all, find_stale, &s);
    for (unsigned i = 0; i < s.n; i++) {
        struct val *v = val_new(a, VAL_OBJ);
        json_set_str(a, json_obj(a, v, STR("metadata")), STR("name"), str_of(s.names[i]));
        aggregate_write(api, a, v, "delete", NULL);
    }
    if (s.n == sizeof s.names / sizeof *s.names)
        api_aggregates_kinds_changed(api);
}

int aggregate_register(struct api *api, bool start)
{
    const char *group = "", *version = "";
    char name[600];
    int rc = 0;
    for (size_t i = 0; i < schema_n_kinds() && rc == 0; i++) {
        const struct schema_kind *k = schema_kind_at(i);
        bool again = strcmp(k->group, group) == 0 && strcmp(k->version, version) == 0;
        /* Whoever brings a server of metrics brings its APIService too: the name must be free. */
        if (again || k->flags & K_MEASURED || (!start && !(k->flags & K_CUSTOM)) || strcmp(k->group, "apiregistration.k8s.io") == 0)
            continue;
        group = k->group;
        version = k->version;
        snprintf(name, sizeof name, "%s.%s", version, group);
        if (!store_head(api->store, STR(APISERVICES), STR(""), str_of(name)))
            rc = make(api, k, str_of(name));
    }
    if (rc < 0)
        log_error("api", "APIService '%s' cannot be made", name);
    drop_stale(api);
    return start ? rc : 0;
}
