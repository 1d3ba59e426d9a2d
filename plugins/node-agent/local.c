/* local.c - limits of what a pod may hold on this node's disk: its emptyDirs, its logs, what its containers wrote beside. Only pods with such limits are
 * looked at, and nothing stops them from writing: they are evicted when it is seen, as upstream does. */
#include "evict.h"

#include <dirent.h>

#include "base/quantity.h"
#include "counts.h"

#define LIMIT "ephemeral-storage"

static int64_t limit_of(const struct val *container)
{
    return quantity_text_value(val_str(json_get(json_path(container, "resources.limits"), STR(LIMIT))), 0);
}

bool local_limited(const struct val *pod)
{
    const struct val *containers = json_path(pod, "spec.containers"), *volumes = json_path(pod, "spec.volumes");
    if (val_is(containers, VAL_ARR))
        val_each(k, containers)
            if (limit_of(k) > 0)
                return true;
    if (val_is(volumes, VAL_ARR))
        val_each(v, volumes)
            if (quantity_text_value(json_str(v, "emptyDir.sizeLimit"), 0) > 0)
                return true;
    return false;
}

struct looking {
    struct agent *agent;
    struct arena *arena;
    const struct val *pod, *figures, *list; /* of the runtime, for this pod */
    struct buf why;
};

/* --- volumes --- */

static int64_t volumes_of(struct looking *l, bool *ret_over)
{
    const struct val *volumes = json_path(l->pod, "spec.volumes");
    int64_t sum = 0;
    if (!val_is(volumes, VAL_ARR))
        return 0;
    val_each(v, volumes)
    {
        if (!json_get(v, STR("emptyDir")))
            continue;
        struct str size = json_str(v, "emptyDir.sizeLimit");
        char *tail = arena_printf(l->arena, "/volumes/" STR_FMT, STR_ARG(json_str(v, "name")));
        char *path = tail ? pod_path(l->agent, l->arena, json_str(l->pod, "metadata.uid"), tail) : NULL;
        int64_t most = quantity_text_value(size, 0), used = path ? disk_use(path, NULL) : 0;
        if (!str_is(json_str(v, "emptyDir.medium"), "Memory"))
            sum += used;
        if (most <= 0 || used <= most || *ret_over)
            continue;
        *ret_over = true;
        buf_printf(&l->why, "Usage of EmptyDir volume \"" STR_FMT "\" exceeds the limit \"" STR_FMT "\". ", STR_ARG(json_str(v, "name")), STR_ARG(size));
    }
    return sum;
}

/* --- containers --- */

static const struct val *figures_of(const struct looking *l, struct str id)
{
    const struct val *all = json_get(l->figures, STR("containers"));
    if (val_is(all, VAL_ARR))
        val_each(f, all)
            if (str_eq(json_str(f, "id"), id))
                return f;
    return NULL;
}

static int64_t logs_of(struct looking *l, struct str container)
{
    char *dir = log_dir_of(l->agent, l->arena, json_str(l->pod, "metadata.namespace"), json_str(l->pod, "metadata.name"), json_str(l->pod, "metadata.uid"));
    char *path = dir ? arena_printf(l->arena, "%s/" STR_FMT, dir, STR_ARG(container)) : NULL;
    return path ? disk_use(path, NULL) : 0;
}

static int64_t layer_of(struct looking *l, struct str container)
{
    const struct val *all = json_get(l->list, STR("containers"));
    if (val_is(all, VAL_ARR))
        val_each(k, all)
            if (str_eq(json_str(k, "metadata.name"), container) && str_ends(json_str(k, "state"), STR("RUNNING")))
                return json_int(figures_of(l, json_str(k, "id")), "rootfsBytes", 0);
    return 0;
}

/* The pod's own limit is the sum, when every container has one. */
static void check(struct looking *l)
{
    const struct val *containers = json_path(l->pod, "spec.containers");
    bool over = false, all = true;
    int64_t used = volumes_of(l, &over), most = 0;
    struct quantity sum = quantity_of(0, QUANTITY_BINARY);
    char text[QUANTITY_TEXT];
    if (over || !val_is(containers, VAL_ARR))
        return;
    _cleanup_buf_ struct buf containers_why = BUF_INIT(4096);
    val_each(k, containers)
    {
        struct str name = json_str(k, "name"), limit = val_str(json_get(json_path(k, "resources.limits"), STR(LIMIT)));
        int64_t own = logs_of(l, name) + layer_of(l, name);
        struct quantity q;
        used += own;
        all = all && quantity_parse(limit, &q);
        if (!limit.len || !quantity_parse(limit, &q))
            continue;
        most += quantity_value(q);
        sum = sum.nano ? quantity_add(sum, q) : q;
        if (own > quantity_value(q) && !containers_why.len)
            buf_printf(&containers_why, "Container " STR_FMT " exceeded its local ephemeral storage limit \"" STR_FMT "\". ", STR_ARG(name), STR_ARG(limit));
    }
    quantity_format(sum, text);
    if (all && most > 0 && used > most)
        buf_printf(&l->why, "Pod ephemeral local storage usage exceeds the total limit of containers %s. ", text);
    else
        buf_add_str(&l->why, buf_str(&containers_why));
}

static void look(struct agent *a, struct kl_call *c, const char *key)
{
    _cleanup_arena_ struct arena *ar = arena_new(AGENT_ARENA_BYTES);
    struct str name = str_of(key), ns = str_cut(&name, '/');
    char *ns_z = ar ? arena_dup(ar, ns) : NULL, *name_z = ar ? arena_dup(ar, name) : NULL;
    struct kl_bytes figures = { NULL, 0 }, list = { NULL, 0 };
    struct kl_call sub = *c;
    struct val *pod = NULL;
    kl_err_init(&sub.err);
    if (!ns_z || !name_z || agent_get_pod(a, &sub, ar, ns_z, name_z, &pod) < 0 || json_str(pod, "metadata.deletionTimestamp").len)
        return;
    char *uid = arena_dup(ar, json_str(pod, "metadata.uid"));
    if (!uid || a->rt->stats(a->rt_self, &sub, uid, &figures) < 0 || a->rt->list(a->rt_self, &sub, uid, &list) < 0)
        return;
    struct looking l = { a, ar, pod, agent_parse(ar, &sub, figures), agent_parse(ar, &sub, list), BUF_INIT(4096) };
    check(&l);
    if (l.why.len && !l.why.failed) {
        evict_pod(a, pod, 1, l.why.at);
        count_eviction("ephemeralstorage");
    }
    buf_free(&l.why);
}

void local_check(struct agent *a, struct kl_call *c)
{
    _cleanup_arena_ struct arena *ar = arena_new(AGENT_ARENA_BYTES);
    struct val *keys = ar ? val_new(ar, VAL_ARR) : NULL;
    size_t at = 0;
    void *v;
    pthread_mutex_lock(&a->lock);
    while (keys && map_next(&a->pods, &at, NULL, &v)) {
        const struct pod_mem *m = v;
        if (m->disk_limited && !m->fail_reason[0] && !m->torn_down)
            val_push(keys, val_of_str(ar, arena_str(ar, str_of(m->key))));
    }
    pthread_mutex_unlock(&a->lock);
    if (keys && !arena_exhausted(ar))
        val_each(k, keys)
            look(a, c, arena_dup(ar, val_str(k)));
}
