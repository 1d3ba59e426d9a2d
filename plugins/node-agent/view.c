/* view.c - one pod as the API wants it beside what the runtime has of it. No calls but the runtime's list. */
#include "agent.h"

static bool ran_in(const struct val *record, const struct val *sandbox)
{
    return sandbox && str_eq(json_str(record, "podSandboxId"), json_str(sandbox, "id"));
}

static enum ctr_state state_of(const struct val *record)
{
    struct str s = json_str(record, "state");
    if (str_ends(s, STR("RUNNING")))
        return RUN_RUNNING;
    return str_ends(s, STR("EXITED")) ? RUN_EXITED : str_ends(s, STR("CREATED")) ? RUN_CREATED : RUN_NONE;
}

static void find_records(struct ctr *k, const struct val *containers)
{
    k->attempt = -1;
    if (!val_is(containers, VAL_ARR))
        return;
    int64_t before = -1;
    val_each(v, containers)
    {
        int64_t n = json_int(v, "metadata.attempt", 0);
        if (!str_eq(json_str(v, "metadata.name"), k->name))
            continue;
        if (n > k->attempt) {
            k->before = k->now;
            before = k->attempt;
            k->now = v;
            k->attempt = n;
        } else if (n > before) {
            k->before = v;
            before = n;
        }
    }
}

/* Has the API's status a life of it to tell of? */
static bool lived(const struct pod_view *v, struct str name)
{
    const struct val *all = json_path(v->pod, "status.ephemeralContainerStatuses");
    if (val_is(all, VAL_ARR))
        val_each(s, all)
            if (str_eq(json_str(s, "name"), name))
                return json_path(s, "state.running") || json_path(s, "state.terminated");
    return false;
}

static void add(struct pod_view *v, const struct val *spec, const struct val *list, enum ctr_kind kind)
{
    struct ctr *k = &v->ctrs[v->n++];
    k->spec = spec;
    k->name = json_str(spec, "name");
    k->kind = kind == CTR_INIT && str_is(json_str(spec, "restartPolicy"), "Always") ? CTR_SIDECAR : kind;
    k->resources = json_get(spec, STR("resources"));
    k->mem = mem_ctr(v->mem, k->name);
    find_records(k, json_get(list, STR("containers")));
    if (!k->now) {
        k->forgotten = kind == CTR_EPHEMERAL && lived(v, k->name);
        return;
    }
    const struct val *notes = json_get(k->now, STR("annotations"));
    struct str actual = val_str(json_get(notes, STR(RESIZE_NOTE)));
    if (actual.len && kind != CTR_EPHEMERAL)
        k->actual = json_parse(v->arena, actual, NULL);
    if (k->actual && resize_pending(v->mem))
        k->resources = k->actual;
    k->state = state_of(k->now);
    k->ran_here = v->sandbox_ready && ran_in(k->now, v->sandbox);
    k->stale = !k->ran_here;
    k->exit_code = json_int(k->now, "exitCode", 0);
    k->started_ns = json_int(k->now, "startedAt", 0);
    k->finished_ns = json_int(k->now, "finishedAt", 0);
}

static void find_sandbox(struct pod_view *v, const struct val *sandboxes)
{
    v->sandbox_attempt = -1;
    if (!val_is(sandboxes, VAL_ARR))
        return;
    val_each(s, sandboxes)
    {
        int64_t n = json_int(s, "metadata.attempt", 0);
        if (n <= v->sandbox_attempt)
            continue;
        v->sandbox = s;
        v->sandbox_attempt = n;
        v->sandbox_ready = str_ends(json_str(s, "state"), STR("_READY"));
    }
}

bool view_make(struct pod_view *v, struct arena *a, const struct val *pod, const struct val *list, struct pod_mem *m)
{
    *v = (struct pod_view){ .arena = a, .pod = pod, .mem = m };
    v->spec = json_get(pod, STR("spec"));
    v->meta = json_get(pod, STR("metadata"));
    v->ns = json_str(v->meta, "namespace");
    v->name = json_str(v->meta, "name");
    v->uid = json_str(v->meta, "uid");
    static const struct {
        const char *member;
        enum ctr_kind kind;
    } lists[] = { { "initContainers", CTR_INIT }, { "containers", CTR_MAIN }, { "ephemeralContainers", CTR_EPHEMERAL } };
    const struct val *all[3];
    size_t n = 0;
    for (int i = 0; i < 3; i++) {
        all[i] = json_get(v->spec, str_of(lists[i].member));
        n += val_is(all[i], VAL_ARR) ? all[i]->n : 0;
    }
    v->ctrs = arena_alloc(a, (n + 1) * sizeof *v->ctrs);
    if (!v->ctrs)
        return false;
    find_sandbox(v, json_get(list, STR("sandboxes")));
    for (int i = 0; i < 3; i++)
        for (const struct val *s = val_is(all[i], VAL_ARR) ? all[i]->first : NULL; s; s = s->next)
            add(v, s, list, lists[i].kind);
    for (size_t i = 0; i < v->n; i++)
        if (!v->ctrs[i].mem)
            return false;
    reset_mark(v);
    return true;
}

int view_load(struct agent *a, struct kl_call *c, struct pod_view *v)
{
    struct kl_bytes got = { NULL, 0 };
    char *uid = arena_dup(v->arena, v->uid);
    if (!uid)
        return kl_fail(c, KL_NO_MEMORY, "no memory for pod '" STR_FMT "'", STR_ARG(v->name));
    int rc = a->rt->list(a->rt_self, c, uid, &got);
    if (rc < 0)
        return kl_err_wrap(&c->err, "runtime's list");
    struct val *list = agent_parse(v->arena, c, got);
    if (!list)
        return kl_err_wrap(&c->err, "runtime's list");
    if (!view_make(v, v->arena, v->pod, list, v->mem))
        return kl_fail(c, KL_INTERNAL, "pod '" STR_FMT "' does not match what is remembered of it", STR_ARG(v->name));
    reset_notice(a, v);
    return 0;
}

struct ctr *view_ctr(struct pod_view *v, struct str name)
{
    for (size_t i = 0; i < v->n; i++)
        if (str_eq(v->ctrs[i].name, name))
            return &v->ctrs[i];
    return NULL;
}

bool view_host_network(const struct pod_view *v)
{
    return json_bool(v->spec, "hostNetwork", false);
}

struct str view_sysctl(const struct pod_view *v, const struct val *sysctl)
{
    struct str name = json_str(sysctl, "name");
    long slash = str_find(name, '/'), dot = str_find(name, '.');
    char *swapped = slash < 0 || (dot >= 0 && dot < slash) ? NULL : arena_dup(v->arena, name);
    for (char *p = swapped; p && *p; p++)
        *p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
    return swapped ? str_of(swapped) : name;
}

struct str ctr_id(const struct ctr *k)
{
    return json_str(k->now, "id");
}

bool ctr_again(const struct ctr *k)
{
    return k->mem->again && k->state == RUN_EXITED && str_is(ctr_id(k), k->mem->stop_id);
}

static bool about_this(const struct ctr *k)
{
    return str_is(ctr_id(k), k->mem->id);
}

bool ctr_started(const struct ctr *k)
{
    if (k->state != RUN_RUNNING || k->stale)
        return false;
    if (json_path(k->spec, "lifecycle.postStart") && about_this(k) && !k->mem->hook_done)
        return false;
    return !json_get(k->spec, STR("startupProbe")) || (about_this(k) && k->mem->probe[PROBE_STARTUP].result == PROBE_OK);
}

bool ctr_ready(const struct ctr *k)
{
    if (k->kind == CTR_EPHEMERAL)
        return false;                       /* nobody waits for it */
    if (k->kind == CTR_INIT)
        return k->state == RUN_EXITED && k->exit_code == 0 && !k->reset;
    if (!ctr_started(k))
        return false;
    return !json_get(k->spec, STR("readinessProbe")) || (about_this(k) && k->mem->probe[PROBE_READINESS].result == PROBE_OK);
}

bool pod_ended(const struct val *pod)
{
    struct str phase = json_str(pod, "status.phase");
    return str_is(phase, "Succeeded") || str_is(phase, "Failed");
}
