/* plan.c - what to start and what to stop, as a function of the pod, the runtime's state and the time. Nothing is done here. */
#include "agent.h"

int64_t plan_backoff(int64_t before_ns, int64_t ran_ns)
{
    if (before_ns == 0 || ran_ns >= BACKOFF_RESET_NS)
        return BACKOFF_FIRST_NS;
    return before_ns * 2 > BACKOFF_MOST_NS ? BACKOFF_MOST_NS : before_ns * 2;
}

void plan_sooner(int64_t *again_ns, int64_t in_ns)
{
    if (in_ns <= 0)
        in_ns = 1;
    if (*again_ns == 0 || in_ns < *again_ns)
        *again_ns = in_ns;
}

/* Is an ended container to run again? Its rules come first, then its own policy, then the pod's. */
bool plan_restarts(const struct pod_view *v, const struct ctr *k)
{
    struct str policy = json_str(v->spec, "restartPolicy"), own = json_str(k->spec, "restartPolicy");
    if (k->reset || ctr_again(k))
        return true;
    if (k->kind == CTR_SIDECAR || k->kind == CTR_EPHEMERAL)
        return k->kind == CTR_SIDECAR;
    bool failed = k->exit_code != 0;
    if (own.len && restart_rule(k->spec, k->exit_code).len)
        return true;                        /* itself alone, or all of them */
    policy = own.len ? own : policy;
    if (str_is(policy, "Never"))
        return false;
    if (str_is(policy, "OnFailure") || k->kind == CTR_INIT)
        return failed;
    return true;
}

static void act(struct plan *p, enum action_type type, struct ctr *k, const char *message)
{
    p->act[p->n++] = (struct action){ type, k, message };
}

static bool over(const struct pod_view *v, const struct ctr *k)
{
    return k->state == RUN_EXITED && !plan_restarts(v, k);
}

static bool mains_over(const struct pod_view *v)
{
    size_t mains = 0;
    for (size_t i = 0; i < v->n; i++) {
        if (v->ctrs[i].kind != CTR_MAIN)
            continue;
        if (!over(v, &v->ctrs[i]))
            return false;
        mains++;
    }
    return mains > 0;
}

static bool init_failed(const struct pod_view *v)
{
    for (size_t i = 0; i < v->n; i++) {
        const struct ctr *k = &v->ctrs[i];
        if (k->kind == CTR_INIT && over(v, k) && k->exit_code != 0)
            return true;
    }
    return false;
}

static bool main_begun(const struct pod_view *v)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->ctrs[i].kind == CTR_MAIN && v->ctrs[i].now && !v->ctrs[i].stale)
            return true;
    return false;
}

struct clocks {
    int64_t wall_ns, mono_ns;
};

static void start(struct plan *p, struct ctr *k, const struct clocks *t)
{
    if (k->mem->retry_ns > t->mono_ns)
        plan_sooner(&p->again_ns, k->mem->retry_ns - t->mono_ns);
    else
        act(p, ACT_START, k, NULL);
}

/* Long runs make the next restart immediate again. */
static int64_t held_ns(const struct ctr *k, int64_t wall_ns)
{
    if (!k->mem->backoff_ns || (k->started_ns && k->finished_ns - k->started_ns >= BACKOFF_RESET_NS))
        return 0;
    int64_t until = k->finished_ns + k->mem->backoff_ns;
    return until > wall_ns ? until - wall_ns : 0;
}

static void restart(struct plan *p, struct ctr *k, const struct clocks *t)
{
    int64_t wait = (k->stale && !k->trigger) || ctr_again(k) ? 0 : held_ns(k, t->wall_ns);
    if (wait > 0) {
        k->wait_ns = wait;
        plan_sooner(&p->again_ns, wait);
        return;
    }
    start(p, k, t);
}

static const char *stop_reason(const struct ctr *k)
{
    if (!str_is(ctr_id(k), k->mem->id))
        return NULL;
    if (k->mem->probe[PROBE_STARTUP].result == PROBE_BAD)
        return "failed startup probe";
    return k->mem->probe[PROBE_LIVENESS].result == PROBE_BAD ? "failed liveness probe" : NULL;
}

static bool image_changed(const struct ctr *k)
{
    struct str was = STR_NONE;
    const struct val *notes = json_get(k->now, STR("annotations"));
    if (notes)
        was = val_str(json_get(notes, STR("keelson.dev/image")));
    return was.len && !str_eq(was, json_str(k->spec, "image"));
}

static void keep_running(struct plan *p, struct ctr *k)
{
    if (k->mem->stop_id[0] && str_is(ctr_id(k), k->mem->stop_id))
        return;
    const char *why = stop_reason(k);
    if (why)
        act(p, ACT_STOP, k, why);
    else if (image_changed(k))
        act(p, ACT_STOP, k, DEFINITION_CHANGED);
    else if (resize_differs(k) && resize_restarts(k))
        act(p, ACT_STOP, k, RESIZE_RESTART);
}

/* A container that should run: start, restart or leave alone. */
static void want_running(const struct pod_view *v, struct plan *p, struct ctr *k, const struct clocks *t)
{
    if (k->state == RUN_RUNNING && !k->stale)
        keep_running(p, k);
    else if (k->state == RUN_NONE || k->state == RUN_CREATED || (k->stale && !k->trigger))
        start(p, k, t);
    else if (plan_restarts(v, k))
        restart(p, k, t);
}

/* True: the next one may start. */
static bool plan_init(const struct pod_view *v, struct plan *p, struct ctr *k, const struct clocks *t)
{
    if (k->kind == CTR_SIDECAR) {
        want_running(v, p, k, t);
        return ctr_started(k);
    }
    if (k->state == RUN_EXITED && !k->stale && k->exit_code == 0)
        return true;
    want_running(v, p, k, t);
    return false;
}

/* Once, as soon as there is a sandbox, whatever the others do. */
static void want_ephemerals(const struct pod_view *v, struct plan *p, const struct clocks *t)
{
    for (size_t i = 0; i < v->n; i++) {
        struct ctr *k = &v->ctrs[i];
        if (k->kind == CTR_EPHEMERAL && !k->forgotten && (!k->now || (k->state == RUN_CREATED && !k->stale)))
            start(p, k, t);
    }
}

static void stop_sidecars(struct pod_view *v, struct plan *p)
{
    for (size_t i = v->n; i-- > 0;) {
        struct ctr *k = &v->ctrs[i];
        if (k->state == RUN_RUNNING && !str_is(ctr_id(k), k->mem->stop_id))
            act(p, ACT_STOP, k, NULL);
    }
}

/* Before they all begin anew, the last ones first. */
static void stop_all(struct pod_view *v, struct plan *p)
{
    for (size_t i = v->n; i-- > 0;) {
        struct ctr *k = &v->ctrs[i];
        if (k->reset && k->state == RUN_RUNNING && !str_is(ctr_id(k), k->mem->stop_id))
            act(p, ACT_STOP, k, RESTART_ALL);
    }
}

bool plan_make(struct pod_view *v, int64_t wall_ns, int64_t mono_ns, struct plan *ret)
{
    struct clocks t = { wall_ns, mono_ns };
    *ret = (struct plan){ .act = arena_alloc(v->arena, (v->n + 1) * sizeof *ret->act) };
    if (!ret->act)
        return false;
    if (reset_goes_on(v)) {
        stop_all(v, ret);
        return true;
    }
    if (mains_over(v) || init_failed(v)) {
        ret->finished = true;
        stop_sidecars(v, ret);
        return true;
    }
    ret->need_sandbox = !v->sandbox_ready;
    bool begun = main_begun(v);
    want_ephemerals(v, ret, &t);
    for (size_t i = 0; i < v->n; i++) {
        struct ctr *k = &v->ctrs[i];
        if (k->kind == CTR_MAIN)
            want_running(v, ret, k, &t);
        else if (begun && k->kind == CTR_SIDECAR)
            want_running(v, ret, k, &t);
        else if (!begun && !plan_init(v, ret, k, &t))
            break;
    }
    return true;
}
