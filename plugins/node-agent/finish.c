/* finish.c - the end of pods: stopping, giving back what they held, and leftovers that no object wants any more. */
#include "claims.h"
#include "evict.h"

#include <dirent.h>

#define RESYNC_NS (60 * NS_PER_S)

static bool main_running(const struct pod_view *v)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->ctrs[i].kind == CTR_MAIN && v->ctrs[i].state == RUN_RUNNING)
            return true;
    return false;
}

/* One that was started after k: it goes before. */
static bool later_sidecar_running(const struct pod_view *v, const struct ctr *k)
{
    for (const struct ctr *l = k + 1; l < v->ctrs + v->n; l++)
        if (l->kind == CTR_SIDECAR && l->state == RUN_RUNNING)
            return true;
    return false;
}

/* Sidecars go last, the last of them first; a stop under way is repeated only to end sooner. */
static void stop_one(struct agent *a, struct kl_call *c, struct pod_view *v, struct ctr *k, int64_t grace_s)
{
    bool under_way = k->mem->stop_id[0] && str_is(ctr_id(k), k->mem->stop_id);
    if (k->state != RUN_RUNNING || (k->kind == CTR_SIDECAR && (main_running(v) || later_sidecar_running(v, k))))
        return;
    if (under_way && k->mem->stop_by_ns <= agent_mono(a) + (grace_s + 1) * NS_PER_S)
        return;
    if (!under_way)
        event_pod(a, v, k, "Killing", "Stopping container " STR_FMT, STR_ARG(k->name));
    job_stop(a, c, v, k, grace_s);
}

int finish_stop_all(struct agent *a, struct kl_call *c, struct pod_view *v, int64_t grace_s, bool *ret_done)
{
    size_t sidecars = 0;
    for (size_t i = 0; i < v->n; i++)
        sidecars += v->ctrs[i].kind == CTR_SIDECAR && v->ctrs[i].state == RUN_RUNNING;
    for (size_t round = 0; round < 1 + (sidecars ? sidecars : 1); round++) {    /* stops that need no time make room for the sidecars' */
        for (size_t i = 0; i < v->n; i++)
            stop_one(a, c, v, &v->ctrs[i], grace_s);
        int rc = view_load(a, c, v);
        if (rc < 0)
            return rc;
    }
    *ret_done = true;
    for (size_t i = 0; i < v->n; i++)
        if (v->ctrs[i].state == RUN_RUNNING)
            *ret_done = false;
    return 0;
}

static int each_sandbox(struct agent *a, struct kl_call *c, const struct val *list, struct arena *ar, bool remove)
{
    const struct val *all = json_get(list, STR("sandboxes"));
    if (!val_is(all, VAL_ARR))
        return 0;
    val_each(s, all)
    {
        char *id = arena_dup(ar, json_str(s, "id"));
        int rc = id ? a->rt->sandbox_stop(a->rt_self, c, id) : kl_fail(c, KL_NO_MEMORY, "no memory");
        if (rc == 0 && remove)
            rc = a->rt->sandbox_remove(a->rt_self, c, id);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int give_back(struct agent *a, struct kl_call *c, struct str uid, bool remove)
{
    _cleanup_arena_ struct arena *ar = arena_new(AGENT_ARENA_BYTES);
    struct kl_bytes got = { NULL, 0 };
    char *z = ar ? arena_dup(ar, uid) : NULL;
    int rc = z ? a->rt->list(a->rt_self, c, z, &got) : kl_fail(c, KL_NO_MEMORY, "no memory");
    struct val *list = rc == 0 ? agent_parse(ar, c, got) : NULL;
    if (!list)
        return rc < 0 ? rc : -c->err.code;
    rc = each_sandbox(a, c, list, ar, remove);
    if (rc == 0 && KL_HAS(a->net, detach))
        rc = a->net->detach(a->net_self, c, z);
    if (rc == 0)
        volumes_tear_down(a, uid);
    return rc == 0 ? claims_release(a, c, uid) : rc;
}

int finish_tear_down(struct agent *a, struct kl_call *c, struct pod_view *v)
{
    int rc = give_back(a, c, v->uid, false);
    v->mem->torn_down = rc == 0;
    if (rc == 0)
        hostports_release(a, v->mem);
    if (rc == 0)
        resize_wake(a);
    if (rc == 0)
        v->mem->attached = false;
    return rc;
}

int finish_remove(struct agent *a, struct kl_call *c, struct str uid, struct str ns, struct str name)
{
    _cleanup_arena_ struct arena *ar = arena_new(0);
    int rc = ar ? give_back(a, c, uid, true) : kl_fail(c, KL_NO_MEMORY, "no memory");
    if (rc < 0)
        return kl_err_wrap(&c->err, "pod '" STR_FMT "/" STR_FMT "'", STR_ARG(ns), STR_ARG(name));
    char *dir = pod_path(a, ar, uid, ""), *logs = ns.len && name.len ? log_dir_of(a, ar, ns, name, uid) : NULL;
    if (dir)
        fs_remove_tree(dir);
    if (logs)
        fs_remove_tree(logs);
    mem_forget(a, uid);
    resize_wake(a);
    return 0;
}

/* The object is gone without our doing (force): no grace is left. */
int finish_gone(struct agent *a, struct kl_call *c, struct str uid, struct str ns, struct str name, int64_t *again_ns)
{
    (void)again_ns;
    return finish_remove(a, c, uid, ns, name);
}

static bool wanted(struct agent *a, struct kl_call *c, struct str uid, struct str ns, struct str name)
{
    _cleanup_arena_ struct arena *ar = arena_new(AGENT_ARENA_BYTES);
    char *ns_z = ar ? arena_dup(ar, ns) : NULL, *name_z = ar ? arena_dup(ar, name) : NULL;
    if (!ns_z || !name_z)
        return true;
    struct val *pod = NULL;
    int rc = agent_get_pod(a, c, ar, ns_z, name_z, &pod);
    if (rc < 0)
        return rc != -KL_NOT_FOUND;
    return str_eq(json_str(pod, "metadata.uid"), uid) && str_is(json_str(pod, "spec.nodeName"), a->node);
}

static void sweep_sandbox(struct agent *a, struct kl_call *c, const struct val *s)
{
    struct str uid = json_str(s, "metadata.uid"), ns = json_str(s, "metadata.namespace"), name = json_str(s, "metadata.name");
    if (!uid.len || wanted(a, c, uid, ns, name))
        return;
    struct pod_mem *m = mem_get(a, uid);
    if (m) {                                /* its own key sees to it: never two at a time */
        a->queue->add(a->host, m->key, 0);
        mem_put(a, m);
        return;
    }
    kl_log(a->host, KL_INFO, "removing what is left of pod '" STR_FMT "/" STR_FMT "' (" STR_FMT ")", STR_ARG(ns), STR_ARG(name),
           STR_ARG(uid));
    if (finish_remove(a, c, uid, ns, name) < 0)
        kl_log(a->host, KL_WARN, "%s", c->err.msg);
}

/* Folders and network attachments of pods that neither the runtime nor this agent knows. */
static void sweep_unknown(struct agent *a, struct kl_call *c, const struct val *sandboxes, struct str uid, struct str ns, struct str name)
{
    struct pod_mem *m = mem_get(a, uid);
    if (m) {
        mem_put(a, m);
        return;
    }
    if (val_is(sandboxes, VAL_ARR))
        val_each(s, sandboxes)
            if (str_eq(json_str(s, "metadata.uid"), uid))
                return;
    finish_remove(a, c, uid, ns, name);
}

static void sweep_folders(struct agent *a, struct kl_call *c, struct arena *ar, const struct val *sandboxes)
{
    char *path = pod_path(a, ar, STR_NONE, "");
    DIR *d = path ? opendir(path) : NULL;
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.')
            sweep_unknown(a, c, sandboxes, str_of(e->d_name), STR_NONE, STR_NONE);
    if (d)
        closedir(d);
}

/* NAMESPACE_NAME_UID: none of the three has a '_' in it. */
static void sweep_logs(struct agent *a, struct kl_call *c, const struct val *sandboxes)
{
    DIR *d = opendir(a->conf->log_dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct str uid = str_of(e->d_name), ns = str_cut(&uid, '_'), name = uid.at ? str_cut(&uid, '_') : STR_NONE;
        if (uid.len && str_find(uid, '_') < 0)
            sweep_unknown(a, c, sandboxes, uid, ns, name);
    }
    if (d)
        closedir(d);
}

static void sweep_network(struct agent *a, struct kl_call *c, struct arena *ar, const struct val *sandboxes)
{
    struct kl_bytes got = { NULL, 0 };
    if (agent_network(a, c) < 0 || !KL_HAS(a->net, list) || a->net->list(a->net_self, c, &got) < 0)
        return;
    struct val *v = agent_parse(ar, c, got), *pods = json_get(v, STR("pods"));
    if (val_is(pods, VAL_ARR))
        val_each(p, pods)
            sweep_unknown(a, c, sandboxes, json_str(p, "uid"), STR_NONE, STR_NONE);
}

/* Are there pods of ours in the API that this process has not seen? They are on their way; unknown things may be theirs. */
static bool all_seen(struct agent *a, struct kl_call *c, struct arena *ar)
{
    struct kl_object_list got;
    if (agent_own_pods(a, c, ar, &got) < 0)
        return false;
    for (uint32_t i = 0; i < got.n; i++) {
        struct val *pod = agent_parse(ar, c, got.at[i]);
        struct pod_mem *m = mem_get(a, json_str(pod, "metadata.uid"));
        if (!m)
            return false;
        mem_put(a, m);
    }
    return true;
}

/* Now and then every pod is looked at, in case that something ended without a word. */
static void resync(struct agent *a)
{
    size_t at = 0;
    void *m;
    if (agent_mono(a) < a->resync_ns)
        return;
    a->resync_ns = agent_mono(a) + RESYNC_NS;
    pthread_mutex_lock(&a->lock);
    while (map_next(&a->pods, &at, NULL, &m))
        a->queue->add(a->host, ((const struct pod_mem *)m)->key, 0);
    pthread_mutex_unlock(&a->lock);
}

void sweep(struct agent *a, struct kl_call *c)
{
    _cleanup_arena_ struct arena *ar = arena_new(AGENT_ARENA_BYTES);
    struct kl_bytes got = { NULL, 0 };
    if (!ar || a->rt->list(a->rt_self, c, NULL, &got) < 0)
        return;
    struct val *list = agent_parse(ar, c, got), *sandboxes = json_get(list, STR("sandboxes"));
    if (val_is(sandboxes, VAL_ARR))
        val_each(s, sandboxes)
            sweep_sandbox(a, c, s);
    if (list && all_seen(a, c, ar)) {
        sweep_folders(a, c, ar, sandboxes);
        sweep_logs(a, c, sandboxes);
        sweep_network(a, c, ar, sandboxes);
    }
    if (list)
        rotate_logs(a, c, list);
    local_check(a, c);
    resync(a);
}
