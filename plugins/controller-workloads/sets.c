/* sets.c - a Deployment's ReplicaSets: finding, making, scaling, forgetting; revisions and annotations. */
#include "rollout.h"

#include <stdlib.h>

#define HISTORY "deployment.kubernetes.io/revision-history"
#define DESIRED "deployment.kubernetes.io/desired-replicas"
#define MOST    "deployment.kubernetes.io/max-replicas"
#define HISTORY_MOST 2000               /* bytes */

static int by_created(const void *a, const void *b)
{
    return meta_cmp_created(*(struct val *const *)a, *(struct val *const *)b);
}

int sets_read(struct rollout *x)
{
    int rc = claim(x->r, x->d, json_path(x->d, "spec.selector"), REPLICASETS, &x->sets);
    if (rc == 0 && x->sets.n)
        qsort(x->sets.at, x->sets.n, sizeof *x->sets.at, by_created);
    x->newest = -1;
    for (uint32_t i = 0; rc == 0 && i < x->sets.n && x->newest < 0; i++)
        if (same_template(x->r->arena, json_path(x->sets.at[i], "spec.template"), json_path(x->d, "spec.template")))
            x->newest = (int)i;
    return rc;
}

/* --- annotations --- */

static bool own_annotation(struct str key)
{
    static const char *const own[] = { "kubectl.kubernetes.io/last-applied-configuration", REVISION, HISTORY, DESIRED, MOST,
                                       "deprecated.deployment.rollback.to" };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (str_is(key, own[i]))
            return true;
    return false;
}

static struct str number(struct rollout *x, int64_t n)
{
    return str_of(arena_printf(x->r->arena, "%lld", (long long)n));
}

static void set_sizes(struct rollout *x, struct val *set)
{
    int64_t n = json_int(x->d, "spec.replicas", 1);
    meta_set_annotation(x->r->arena, set, DESIRED, number(x, n));
    meta_set_annotation(x->r->arena, set, MOST, number(x, n + rollout_limits(x->d).surge));
}

/* A set that serves again keeps the revisions it had. */
static void remember(struct rollout *x, struct val *set, struct str old)
{
    struct str history = meta_annotation(set, HISTORY);
    struct arena *a = x->r->arena;
    while (history.len && history.len + 1 + old.len > HISTORY_MOST)
        str_cut(&history, ',');
    struct str now = !history.len ? old : str_of(arena_printf(a, STR_FMT "," STR_FMT, STR_ARG(history), STR_ARG(old)));
    meta_set_annotation(a, set, HISTORY, now);
}

static void set_annotations(struct rollout *x, struct val *set, int64_t revision)
{
    struct val *from = json_path(x->d, "metadata.annotations");
    if (from)
        val_each(m, from)
            if (!own_annotation(val_key(m)))
                json_set_str(x->r->arena, json_obj(x->r->arena, json_obj(x->r->arena, set, STR("metadata")), STR("annotations")), val_key(m),
                             val_str(m));
    struct str old = meta_annotation(set, REVISION);
    if (set_revision(set) >= revision)
        return;
    meta_set_annotation(x->r->arena, set, REVISION, number(x, revision));
    if (old.len)
        remember(x, set, old);
}

/* --- the newest set --- */

/* The Deployment carries the newest set's revision; what was found or made is told as progress. */
static int tell(struct rollout *x, const char *reason, const char *fmt)
{
    struct val *set = x->sets.at[x->newest], *now = val_copy(x->r->arena, x->d);
    struct arena *a = x->r->arena;
    meta_set_annotation(a, now, REVISION, meta_annotation(set, REVISION));
    bool known = cond_find(json_path(x->d, "status.conditions"), "Progressing") != NULL;
    if (has_deadline(x->d) && (strcmp(reason, "FoundNewReplicaSet") != 0 || !known)) {
        char *text = arena_printf(a, "%s \"" STR_FMT "\"", fmt, STR_ARG(meta_name(set)));
        progress_set(a, json_obj(a, now, STR("status")), progress_new(x, "Progressing", "True", reason, text));
    }
    return ctl_update(x->r, DEPLOYMENTS, "status", x->d, now, &x->d);
}

static int keep_newest(struct rollout *x, int64_t revision)
{
    struct val **set = &x->sets.at[x->newest], *now = val_copy(x->r->arena, *set), *spec = json_get(now, STR("spec"));
    set_annotations(x, now, revision);
    int64_t min_ready = json_int(x->d, "spec.minReadySeconds", 0);
    if (json_int(spec, "minReadySeconds", 0) != min_ready)
        json_set_int(x->r->arena, spec, STR("minReadySeconds"), min_ready);
    int rc = ctl_update(x->r, REPLICASETS, NULL, *set, now, set);
    return rc < 0 ? rc : tell(x, "FoundNewReplicaSet", "Found new replica set");
}

static struct val *new_set(struct rollout *x, int64_t revision)
{
    struct arena *a = x->r->arena;
    struct val *t = val_copy(a, json_path(x->d, "spec.template"));
    const char *hash = template_hash(x->r, t, json_int(x->d, "status.collisionCount", 0));
    struct val *set = val_new(a, VAL_OBJ), *meta = json_obj(a, set, STR("metadata")), *spec = json_obj(a, set, STR("spec"));
    struct val *labels = json_obj(a, json_obj(a, t, STR("metadata")), STR("labels"));
    char *name = arena_printf(a, STR_FMT "-%s", STR_ARG(meta_name(x->d)), hash ? hash : "");
    json_set_str(a, labels, STR(HASH_LABEL), str_of(hash));
    json_set_str(a, meta, STR("name"), str_of(name));
    json_set_str(a, meta, STR("namespace"), meta_ns(x->d));
    json_set(a, meta, STR("labels"), val_copy(a, labels));
    val_push(json_arr(a, meta, STR("ownerReferences")), meta_owner_ref(a, x->d));
    struct val *selector = json_set(a, spec, STR("selector"), val_copy(a, json_path(x->d, "spec.selector")));
    json_set_str(a, json_obj(a, selector, STR("matchLabels")), STR(HASH_LABEL), str_of(hash));
    json_set(a, spec, STR("template"), t);
    json_set_int(a, spec, STR("replicas"), rollout_grow(x));
    json_set_int(a, spec, STR("minReadySeconds"), json_int(x->d, "spec.minReadySeconds", 0));
    set_annotations(x, set, revision);
    set_sizes(x, set);
    return set;
}

/* The name is taken: by ours after all, or by another template with the same hash, which costs a try. */
static int name_taken(struct rollout *x, struct str name)
{
    struct val *there, *now;
    struct arena *a = x->r->arena;
    kl_err_init(&x->r->call->err);
    int rc = ctl_get(x->r, REPLICASETS, meta_ns(x->d), name, &there);
    if (rc < 0)
        return rc;
    ctl_again(x->r, 1);
    if (!there || (meta_controlled_by(there, meta_uid(x->d)) && same_template(a, json_path(there, "spec.template"), json_path(x->d, "spec.template"))))
        return 1;
    now = val_copy(a, x->d);
    json_set_int(a, json_obj(a, now, STR("status")), STR("collisionCount"), json_int(x->d, "status.collisionCount", 0) + 1);
    rc = ctl_update(x->r, DEPLOYMENTS, "status", x->d, now, &x->d);
    return rc < 0 ? rc : 1;
}

static int creation_failed(struct rollout *x, struct str name, int rc)
{
    struct ctl_run *r = x->r;
    if (rc == -KL_FORBIDDEN && strstr(r->call->err.msg, "because it is being terminated")) {
        kl_err_init(&r->call->err);
        return 1;
    }
    char *why = arena_dup(r->arena, str_of(r->call->err.msg));
    char *text = arena_printf(r->arena, "Failed to create new replica set \"" STR_FMT "\": %s", STR_ARG(name), why ? why : "");
    if (has_deadline(x->d))
        progress_condition(x, "False", "ReplicaSetCreateError", text);
    ctl_event(r, x->d, "Warning", "ReplicaSetCreateError", "%s", text);
    return kl_fail(r->call, -rc, "%s", why ? why : "out of memory");
}

static int add_set(struct rollout *x, struct val *set)
{
    struct val **at = arena_alloc(x->r->arena, (x->sets.n + 1) * sizeof *at);
    if (!at)
        return ctl_no_memory(x->r);
    for (uint32_t i = 0; i < x->sets.n; i++)
        at[i] = x->sets.at[i];
    x->newest = (int)x->sets.n;
    at[x->sets.n] = set;
    x->sets = (struct ctl_list){ at, x->sets.n + 1 };
    return 0;
}

static int make_newest(struct rollout *x, int64_t revision)
{
    struct val *wanted = new_set(x, revision), *set;
    struct str name = meta_name(wanted);
    int rc = ctl_create(x->r, REPLICASETS, meta_ns(x->d), wanted, &set);
    if (rc == -KL_ALREADY_EXISTS)
        return name_taken(x, name);
    if (rc < 0)
        return creation_failed(x, name, rc);
    rc = add_set(x, set);
    if (rc < 0)
        return rc;
    if (set_wanted(set) > 0)
        ctl_event(x->r, x->d, "Normal", "ScalingReplicaSet", "Scaled up replica set " STR_FMT " from 0 to %lld", STR_ARG(meta_name(set)),
                  (long long)set_wanted(set));
    return tell(x, "NewReplicaSetCreated", "Created new replica set");
}

int sets_sync_newest(struct rollout *x, bool create)
{
    int64_t most = 0;
    for (uint32_t i = 0; i < x->sets.n; i++)
        if ((int)i != x->newest && set_revision(x->sets.at[i]) > most)
            most = set_revision(x->sets.at[i]);
    if (x->newest >= 0)
        return keep_newest(x, most + 1);
    return create ? make_newest(x, most + 1) : 0;
}

/* --- sizes --- */

int set_scale(struct rollout *x, int i, int64_t size, bool *ret_scaled)
{
    struct val **set = &x->sets.at[i], *now = val_copy(x->r->arena, *set);
    int64_t was = set_wanted(*set);
    struct str name = meta_name(*set);
    json_set_int(x->r->arena, json_obj(x->r->arena, now, STR("spec")), STR("replicas"), size);
    set_sizes(x, now);
    int rc = ctl_update(x->r, REPLICASETS, NULL, *set, now, set);
    if (rc < 0 || was == size)
        return rc;
    *ret_scaled = true;
    ctl_event(x->r, x->d, "Normal", "ScalingReplicaSet", "Scaled %s replica set " STR_FMT " from %lld to %lld", size > was ? "up" : "down",
              STR_ARG(name), (long long)was, (long long)size);
    return 0;
}

/* Was spec.replicas changed since the sets got their sizes? */
bool sets_scaling_event(const struct rollout *x)
{
    int64_t desired;
    for (uint32_t i = 0; i < x->sets.n; i++)
        if (set_wanted(x->sets.at[i]) && str_int(meta_annotation(x->sets.at[i], DESIRED), &desired) &&
            desired != json_int(x->d, "spec.replicas", 1))
            return true;
    return false;
}

/* --- history --- */

static int by_revision(const void *a, const void *b)
{
    const struct val *x = *(struct val *const *)a, *y = *(struct val *const *)b;
    int64_t n = set_revision(x) - set_revision(y);
    return n ? (n < 0 ? -1 : 1) : meta_cmp_created(x, y);
}

int sets_clean_up(struct rollout *x)
{
    struct val *limit = json_path(x->d, "spec.revisionHistoryLimit"), **at = arena_alloc(x->r->arena, (x->sets.n + 1) * sizeof *at);
    uint32_t n = 0;
    int rc = 0;
    if (!limit || limit->i == INT32_MAX)
        return 0;
    if (!at)
        return ctl_no_memory(x->r);
    for (uint32_t i = 0; i < x->sets.n; i++)
        if ((int)i != x->newest && !meta_deleting(x->sets.at[i]))
            at[n++] = x->sets.at[i];
    qsort(at, n, sizeof *at, by_revision);
    for (int64_t i = 0; i < (int64_t)n - limit->i && rc == 0; i++)
        if (!set_wanted(at[i]) && !set_count(at[i], "replicas") &&
            json_int(at[i], "metadata.generation", 0) <= set_count(at[i], "observedGeneration"))
            rc = ctl_delete(x->r, REPLICASETS, at[i], NULL);
    return rc;
}
