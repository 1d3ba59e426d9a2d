/* sync.c - one pod: look, plan, act, show. Called with a key; whatever happened before does not matter. */
#include "counts.h"
#include "probes.h"
#include "status.h"

int sync_status(struct agent *a, struct kl_call *c, struct pod_view *v)
{
    struct status_in in = { a, agent_wall(a), json_str(v->meta, "deletionTimestamp").len > 0 };
    return status_write(a, c, v, status_make(v, &in));
}

static bool past_deadline(struct agent *a, struct pod_view *v, int64_t *again_ns)
{
    int64_t most = json_int(v->spec, "activeDeadlineSeconds", 0), from;
    if (most <= 0 || !clock_parse(json_str(v->pod, "status.startTime"), &from))
        return false;
    int64_t left = from + most * NS_PER_S - agent_wall(a);
    if (left > 0) {
        plan_sooner(again_ns, left);
        return false;
    }
    if (!v->mem->fail_reason[0])
        event_pod(a, v, NULL, "DeadlineExceeded", "Pod was active on the node longer than the specified deadline");
    snprintf(v->mem->fail_reason, sizeof v->mem->fail_reason, "DeadlineExceeded");
    snprintf(v->mem->fail_message, sizeof v->mem->fail_message, "Pod was active on the node longer than the specified deadline");
    return true;
}

/* The pod will not run again: what still runs is stopped, what it held is given back, its containers stay for their logs. */
static int sync_finished(struct agent *a, struct kl_call *c, struct pod_view *v, int64_t *again_ns)
{
    bool done = false;
    int64_t own = json_int(v->spec, "terminationGracePeriodSeconds", 30);
    int rc = finish_stop_all(a, c, v, v->mem->killed_early ? v->mem->kill_grace_s : own, &done);
    if (rc == 0)
        rc = sync_status(a, c, v);
    if (rc < 0)
        return rc;
    if (!done)
        plan_sooner(again_ns, 30 * NS_PER_S);
    return done && !v->mem->torn_down ? finish_tear_down(a, c, v) : 0;
}

static int64_t grace_left(struct agent *a, const struct pod_view *v)
{
    int64_t by, grace = json_int(v->meta, "deletionGracePeriodSeconds", json_int(v->spec, "terminationGracePeriodSeconds", 30));
    if (!clock_parse(json_str(v->meta, "deletionTimestamp"), &by))
        return grace;
    int64_t left = (by - agent_wall(a) + NS_PER_S - 1) / NS_PER_S;
    if (left > grace)
        left = grace;
    return left < 1 && grace > 0 ? 1 : left < 0 ? 0 : left;
}

/* Nothing is left here of a pod that somebody's finalizer keeps: its status tells its end. */
static bool only_kept(const struct pod_view *v)
{
    struct str phase = json_str(v->pod, "status.phase");
    return !v->sandbox && json_int(v->meta, "deletionGracePeriodSeconds", 1) == 0 && (str_is(phase, "Succeeded") || str_is(phase, "Failed"));
}

static int sync_deleted(struct agent *a, struct kl_call *c, struct pod_view *v, int64_t *again_ns)
{
    bool done = false;
    int64_t grace = grace_left(a, v);
    int rc = finish_stop_all(a, c, v, grace, &done);
    if (rc == 0 && !only_kept(v))
        rc = sync_status(a, c, v);
    if (rc < 0 && rc != -KL_NOT_FOUND)
        return rc;
    if (!done) {
        plan_sooner(again_ns, (grace + 5) * NS_PER_S);
        return 0;
    }
    char *ns = arena_dup(v->arena, v->ns), *name = arena_dup(v->arena, v->name), *uid = arena_dup(v->arena, v->uid);
    if (!ns || !name || !uid)
        return kl_fail(c, KL_NO_MEMORY, "no memory");
    rc = finish_remove(a, c, v->uid, v->ns, v->name);
    if (rc < 0)
        return rc;
    struct kl_object_key k = agent_key("/pods", ns, name, NULL);
    struct kl_delete_options o = { .size = sizeof o, .uid = uid, .grace_seconds = 0 };
    rc = a->objects->remove(a->host, c, &k, &o);
    return rc == -KL_NOT_FOUND || rc == -KL_CONFLICT ? 0 : rc;
}

static int prepare(struct agent *a, struct kl_call *c, struct pod_view *v, int64_t *again_ns)
{
    int rc = start_attach(a, c, v);
    if (rc < 0) {
        event_pod(a, v, NULL, "FailedCreatePodSandBox", "Failed to create pod sandbox: %s", c->err.msg);
        plan_sooner(again_ns, 5 * NS_PER_S);
        return rc;
    }
    rc = volumes_set_up(a, c, v, again_ns);
    if (rc < 0) {
        if (agent_mono(a) >= v->mem->volume_event_ns) {
            event_pod(a, v, NULL, "FailedMount", "%s", c->err.msg);
            v->mem->volume_event_ns = agent_mono(a) + 60 * NS_PER_S;
        }
        plan_sooner(again_ns, v->mem->volumes_ok ? 30 * NS_PER_S : 5 * NS_PER_S);
        return v->mem->volumes_ok ? 0 : rc;
    }
    v->mem->volumes_ok = true;
    if (v->sandbox_ready)
        return 0;
    rc = start_sandbox(a, c, v);
    count_add(rc < 0 ? COUNT_POD_START_ERRORS : COUNT_PODS_STARTED);
    if (rc < 0) {
        event_pod(a, v, NULL, "FailedCreatePodSandBox", "Failed to create pod sandbox: %s", c->err.msg);
        plan_sooner(again_ns, 5 * NS_PER_S);
        return rc;
    }
    return view_load(a, c, v);
}

static bool because(const struct action *act, const char *why)
{
    return act->message && strcmp(act->message, why) == 0;
}

static int64_t stop_grace(const struct pod_view *v, const struct action *act)
{
    int64_t grace = json_int(v->spec, "terminationGracePeriodSeconds", 30);
    const struct val *probe = json_get(act->ctr->spec, STR("livenessProbe"));
    if (because(act, RESTART_ALL))
        return 0;
    if (because(act, "failed startup probe"))
        probe = json_get(act->ctr->spec, STR("startupProbe"));
    else if (!because(act, "failed liveness probe"))
        probe = NULL;
    return json_int(probe, "terminationGracePeriodSeconds", grace);
}

static bool act_on(struct agent *a, struct kl_call *c, struct pod_view *v, const struct action *act)
{
    if (act->type == ACT_START)
        return start_container(a, c, v, act->ctr) >= 0;
    bool resize = because(act, RESIZE_RESTART);
    act->ctr->mem->again = resize || because(act, DEFINITION_CHANGED);
    if (because(act, RESTART_ALL))
        event_pod(a, v, act->ctr, "Killing", "killing");        /* upstream's words */
    else if (act->message)
        event_pod(a, v, act->ctr, "Killing", "Container " STR_FMT " %s%s", STR_ARG(act->ctr->name), act->message, resize ? "" : ", will be restarted");
    else
        event_pod(a, v, act->ctr, "Killing", "Stopping container " STR_FMT, STR_ARG(act->ctr->name));
    return job_stop(a, c, v, act->ctr, stop_grace(v, act));
}

static void note_backoff(struct agent *a, const struct pod_view *v)
{
    for (size_t i = 0; i < v->n; i++) {
        const struct ctr *k = &v->ctrs[i];
        if (k->wait_ns && strcmp(k->mem->reason, "CrashLoopBackOff") != 0) {
            snprintf(k->mem->reason, sizeof k->mem->reason, "CrashLoopBackOff");
            event_pod(a, v, k, "BackOff", "Back-off restarting failed container " STR_FMT " in pod " STR_FMT "_" STR_FMT "(" STR_FMT ")",
                      STR_ARG(k->name), STR_ARG(v->name), STR_ARG(v->ns), STR_ARG(v->uid));
        } else if (strcmp(k->mem->reason, "ErrImagePull") == 0 && k->mem->retry_ns > agent_mono(a)) {
            char *why = arena_dup(v->arena, str_of(k->mem->message));
            snprintf(k->mem->reason, sizeof k->mem->reason, "ImagePullBackOff");
            snprintf(k->mem->message, sizeof k->mem->message, "Back-off pulling image \"" STR_FMT "\": ErrImagePull: %s",
                     STR_ARG(json_str(k->spec, "image")), why ? why : "");
            event_pod(a, v, k, "BackOff", "Back-off pulling image \"" STR_FMT "\"", STR_ARG(json_str(k->spec, "image")));
            event_pod(a, v, k, "Failed", "Error: ImagePullBackOff");
        }
    }
}

/* Starts and stops until nothing is left to do now; a started init container may end at once, so look again. */
static int carry_out(struct agent *a, struct kl_call *c, struct pod_view *v, struct plan *p)
{
    note_backoff(a, v);
    bool any = false;
    for (size_t i = 0; i < p->n; i++) {
        if (!act_on(a, c, v, &p->act[i]))
            plan_sooner(&p->again_ns, NS_PER_S);
        any = true;
    }
    return any ? view_load(a, c, v) : 0;
}

static void tell_start(struct agent *a, struct pod_view *v)
{
    if (v->mem->start_told || !str_is(json_str(v->pod, "status.phase"), "Running"))
        return;
    v->mem->start_told = true;
    count_pod_start(agent_mono(a) - v->mem->seen_ns);
}

static int sync_live(struct agent *a, struct kl_call *c, struct pod_view *v, int64_t *again_ns)
{
    struct plan p;
    if (past_deadline(a, v, again_ns))
        return sync_finished(a, c, v, again_ns);
    if (!plan_make(v, agent_wall(a), agent_mono(a), &p))
        return kl_fail(c, KL_NO_MEMORY, "no memory to plan pod '%s'", v->mem->key);
    if (p.finished)
        return sync_finished(a, c, v, again_ns);
    int rc = v->sandbox_ready ? 0 : sync_status(a, c, v);       /* "ContainerCreating", for however long that takes */
    if (rc == 0)
        rc = prepare(a, c, v, again_ns);
    if (rc < 0) {
        sync_status(a, c, v);
        return 0;
    }
    rc = resize_step(a, c, v, again_ns);
    if (rc == 0 && !plan_make(v, agent_wall(a), agent_mono(a), &p))
        rc = kl_fail(c, KL_NO_MEMORY, "no memory to plan pod '%s'", v->mem->key);
    if (rc == 0)
        rc = carry_out(a, c, v, &p);
    if (rc == 0)
        rc = sync_status(a, c, v);
    tell_start(a, v);
    if (p.again_ns)
        plan_sooner(again_ns, p.again_ns);
    probes_wake(a, v);
    return rc;
}

static int sync_view(struct agent *a, struct kl_call *c, struct pod_view *v, int64_t *again_ns)
{
    if (!view_make(v, v->arena, v->pod, NULL, v->mem))
        return kl_fail(c, KL_NO_MEMORY, "no memory for pod '%s'", v->mem->key);
    int rc = view_load(a, c, v);
    if (rc < 0)
        return rc;
    if (!v->mem->admitted) {
        probes_adopt(v);
        pthread_mutex_lock(&a->admission);
        v->mem->taken = admit(a, c, v);
        pthread_mutex_unlock(&a->admission);
        v->mem->admitted = true;
        v->mem->seen_ns = agent_mono(a);
        v->mem->start_told = str_is(json_str(v->pod, "status.phase"), "Running");
    }
    count_ends(v, true);
    if (json_str(v->meta, "deletionTimestamp").len)
        return sync_deleted(a, c, v, again_ns);
    struct str phase = json_str(v->pod, "status.phase");
    if (str_is(phase, "Failed") || str_is(phase, "Succeeded") || v->mem->fail_reason[0])
        return sync_finished(a, c, v, again_ns);
    return sync_live(a, c, v, again_ns);
}

/* A pod of that name that this agent ran and that is not the present one. */
static int drop_others(struct agent *a, struct kl_call *c, struct str key, struct str uid, int64_t *again_ns)
{
    struct str name = key, ns = str_cut(&name, '/');
    struct pod_mem *m = mem_by_key(a, key);
    int rc = 0;
    if (m && !str_is(uid, m->uid))
        rc = finish_gone(a, c, str_of(m->uid), ns, name, again_ns);
    if (m)
        mem_put(a, m);
    return rc;
}

int sync_pod(struct agent *a, struct kl_call *c, struct str key, int64_t *again_ns)
{
    _cleanup_arena_ struct arena *ar = arena_new(AGENT_ARENA_BYTES);
    struct str rest = key, ns = str_cut(&rest, '/');
    char *ns_z = ar ? arena_dup(ar, ns) : NULL, *name_z = ar && rest.at ? arena_dup(ar, rest) : NULL;
    if (!ns_z || !name_z)
        return kl_fail(c, KL_NO_MEMORY, "no memory for pod '" STR_FMT "'", STR_ARG(key));
    struct val *pod = NULL;
    int rc = agent_get_pod(a, c, ar, ns_z, name_z, &pod);
    if (rc == -KL_NOT_FOUND)
        return drop_others(a, c, key, STR_NONE, again_ns);
    if (rc < 0)
        return rc;
    rc = drop_others(a, c, key, json_str(pod, "metadata.uid"), again_ns);
    if (rc < 0 || !str_is(json_str(pod, "spec.nodeName"), a->node))
        return rc;
    struct pod_view v = { .arena = ar, .pod = pod, .mem = mem_make(a, pod) };
    if (!v.mem)
        return kl_fail(c, KL_NO_MEMORY, "no memory for pod '" STR_FMT "'", STR_ARG(key));
    rc = sync_view(a, c, &v, again_ns);
    mem_put(a, v.mem);
    return rc;
}
