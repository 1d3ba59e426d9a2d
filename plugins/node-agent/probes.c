/* probes.c - startup, liveness and readiness: when each is asked, and what its answers add up to. */
#include "probes.h"

#include "counts.h"

#define NEVER INT64_MAX

static const struct {
    const char *field, *title;
} kinds[PROBE_KINDS] = { { "startupProbe", "Startup" }, { "livenessProbe", "Liveness" }, { "readinessProbe", "Readiness" } };

static const struct val *spec_of(const struct ctr *k, enum probe_kind kind)
{
    return json_get(k->spec, str_of(kinds[kind].field));
}

static bool about(const struct ctr *k)
{
    return k->state == RUN_RUNNING && !k->stale && str_is(ctr_id(k), k->mem->id);
}

/* --- keys: PROBE_PREFIX "KIND:CONTAINER:NAMESPACE/NAME" --- */

static void make_key(char *ret, size_t cap, enum probe_kind kind, const struct ctr *k, const struct pod_view *v)
{
    snprintf(ret, cap, PROBE_PREFIX "%d:" STR_FMT ":%s", (int)kind, STR_ARG(k->name), v->mem->key);
}

/* Probes that wait for nothing are asked for; the others come back by themselves. */
void probes_wake(struct agent *a, const struct pod_view *v)
{
    char key[800];
    for (size_t i = 0; i < v->n; i++)
        for (int kind = 0; about(&v->ctrs[i]) && kind < PROBE_KINDS; kind++) {
            const struct ctr *k = &v->ctrs[i];
            if (!spec_of(k, kind) || k->mem->probe[kind].next_ns || (kind != PROBE_STARTUP && !ctr_started(k)))
                continue;
            make_key(key, sizeof key, kind, k, v);
            a->queue->add(a->host, key, 0);
        }
}

/* --- results --- */

bool probe_count(struct probe_mem *m, bool ok, const struct val *spec)
{
    enum probe_result now = ok ? PROBE_OK : PROBE_BAD;
    int64_t enough = ok ? json_int(spec, "successThreshold", 1) : json_int(spec, "failureThreshold", 3);
    m->ok = ok ? m->ok + 1 : 0;
    m->bad = ok ? 0 : m->bad + 1;
    if ((ok ? m->ok : m->bad) < enough || m->result == now)
        return false;
    m->result = now;
    return true;
}

static const struct val *status_named(const struct val *list, struct str name)
{
    if (val_is(list, VAL_ARR))
        val_each(s, list)
            if (str_eq(json_str(s, "name"), name))
                return s;
    return NULL;
}

/* What the API says of a container that this process did not start. A back-off goes on where it was. */
static void adopt(struct ctr *k, const struct val *status)
{
    struct ctr_mem *m = k->mem;
    bool same = ctr_id(k).len && str_ends(json_str(status, "containerID"), ctr_id(k));
    if (k->state == RUN_RUNNING && !k->stale) {
        snprintf(m->id, sizeof m->id, STR_FMT, STR_ARG(ctr_id(k)));
        m->hook_done = true;
        m->probe[PROBE_STARTUP].result = same && json_bool(status, "started", false) ? PROBE_OK : PROBE_UNKNOWN;
        m->probe[PROBE_READINESS].result = same && json_bool(status, "ready", false) ? PROBE_OK : PROBE_UNKNOWN;
    }
    if (k->attempt < 1 || (k->state == RUN_EXITED && !same))
        return;
    m->backoff_ns = BACKOFF_FIRST_NS;
    for (int64_t i = 1; i < k->attempt && m->backoff_ns < BACKOFF_MOST_NS; i++)
        m->backoff_ns = plan_backoff(m->backoff_ns, 0);
}

void probes_adopt(struct pod_view *v)
{
    const struct val *mains = json_path(v->pod, "status.containerStatuses"), *inits = json_path(v->pod, "status.initContainerStatuses");
    for (size_t i = 0; i < v->n; i++)
        adopt(&v->ctrs[i], status_named(v->ctrs[i].kind == CTR_MAIN ? mains : inits, v->ctrs[i].name));
    count_ends(v, false);
}

/* --- one probe --- */

struct asking {
    struct agent *agent;
    struct kl_call *call;
    struct pod_view *view;
    struct ctr *ctr;
    enum probe_kind kind;
    const struct val *spec;
    char id[160];
};

/* Sets the time of the next one if the container is still the same; false: it is not. */
static bool plan_next(struct asking *q, int64_t at_ns)
{
    pthread_mutex_lock(&q->agent->lock);
    bool same = strcmp(q->ctr->mem->id, q->id) == 0;
    if (same)
        q->ctr->mem->probe[q->kind].next_ns = at_ns;
    pthread_mutex_unlock(&q->agent->lock);
    return same;
}

static bool deleted(const struct pod_view *v)
{
    return json_str(v->meta, "deletionTimestamp").len > 0;
}

/* When it is due, 0: now; NEVER: not for this container any more; -1: when something else has happened. */
static int64_t due(struct asking *q)
{
    const struct ctr_mem *m = q->ctr->mem;
    const struct probe_mem *p = &m->probe[q->kind];
    struct agent *a = q->agent;
    bool kills = q->kind != PROBE_READINESS;
    if (!about(q->ctr) || !q->spec)
        return -1;
    if ((q->kind == PROBE_STARTUP && p->result == PROBE_OK) || (kills && (p->result == PROBE_BAD || deleted(q->view))))
        return NEVER;
    if (q->kind != PROBE_STARTUP && !ctr_started(q->ctr))
        return -1;
    int64_t left = q->ctr->started_ns + json_int(q->spec, "initialDelaySeconds", 0) * NS_PER_S - agent_wall(a);
    int64_t at = left > 0 ? agent_mono(a) + left : p->next_ns;
    return at > agent_mono(a) ? at : 0;
}

static void ask(struct asking *q)
{
    struct agent *a = q->agent;
    struct kl_call sub = call_within(a, q->call, json_int(q->spec, "timeoutSeconds", 1) * NS_PER_S);
    int64_t from = agent_mono(a);
    int rc = handler_run(a, &sub, q->view, q->ctr, q->spec, false);
    const char *title = kinds[q->kind].title;
    if (kl_cancelled(q->call))
        return;
    count_probe(q->view, q->ctr, q->kind, rc < 0 ? 2 : rc != 0, agent_mono(a) - from);
    if (rc < 0) {                           /* says nothing about the container */
        event_pod(a, q->view, q->ctr, "Unhealthy", "%s probe errored and resulted in unknown state: %s", title, sub.err.msg);
        return;
    }
    pthread_mutex_lock(&a->lock);
    bool same = strcmp(q->ctr->mem->id, q->id) == 0;
    bool changed = same && probe_count(&q->ctr->mem->probe[q->kind], rc == 0, q->spec);
    pthread_mutex_unlock(&a->lock);
    if (same && rc != 0)
        event_pod(a, q->view, q->ctr, "Unhealthy", "%s probe failed: %s", title, sub.err.msg);
    if (same && rc == 0 && sub.err.msg[0])
        event_pod(a, q->view, q->ctr, "ProbeWarning", "%s probe warning: %s", title, sub.err.msg);
    if (changed)
        a->queue->add(a->host, q->view->mem->key, 0);
}

static int run(struct asking *q, int64_t *again_ns)
{
    struct agent *a = q->agent;
    snprintf(q->id, sizeof q->id, STR_FMT, STR_ARG(ctr_id(q->ctr)));
    int64_t from = agent_mono(a), at = due(q), period = json_int(q->spec, "periodSeconds", 10) * NS_PER_S;
    if (at == -1 || at == NEVER) {
        plan_next(q, at == NEVER ? NEVER : 0);
        return 0;
    }
    if (at == 0) {
        at = from + period;
        if (!plan_next(q, at))
            return 0;
        ask(q);
    } else {
        plan_next(q, at);
    }
    plan_sooner(again_ns, at - agent_mono(a));
    return 0;
}

static int load(struct agent *a, struct kl_call *c, struct pod_view *v, struct str key)
{
    struct str name = key, ns = str_cut(&name, '/');
    char *ns_z = arena_dup(v->arena, ns), *name_z = name.at ? arena_dup(v->arena, name) : NULL;
    struct val *pod = NULL;
    if (!ns_z || !name_z)
        return kl_fail(c, KL_NO_MEMORY, "no memory");
    int rc = agent_get_pod(a, c, v->arena, ns_z, name_z, &pod);
    if (rc < 0)
        return rc;
    v->mem = mem_get(a, json_str(pod, "metadata.uid"));
    if (!v->mem)
        return -KL_NOT_FOUND;               /* not ours (any more) */
    v->pod = pod;
    return view_make(v, v->arena, pod, NULL, v->mem) ? view_load(a, c, v) : kl_fail(c, KL_NO_MEMORY, "no memory");
}

int probes_run(struct agent *a, struct kl_call *c, struct str key, int64_t *again_ns)
{
    _cleanup_arena_ struct arena *ar = arena_new(AGENT_ARENA_BYTES);
    struct str pod = key, kind = str_cut(&pod, ':'), container = pod.at ? str_cut(&pod, ':') : STR_NONE;
    struct pod_view v = { .arena = ar };
    int64_t n = -1;
    if (!ar)
        return kl_fail(c, KL_NO_MEMORY, "no memory");
    if (!str_int(kind, &n) || n < 0 || n >= PROBE_KINDS || !pod.at)
        return 0;
    int rc = load(a, c, &v, pod);
    struct ctr *k = rc == 0 ? view_ctr(&v, container) : NULL;
    if (k) {
        struct asking q = { .agent = a, .call = c, .view = &v, .ctr = k, .kind = (enum probe_kind)n, .spec = spec_of(k, (enum probe_kind)n) };
        rc = run(&q, again_ns);
    }
    if (v.mem)
        mem_put(a, v.mem);
    return rc == -KL_NOT_FOUND ? 0 : rc;
}
