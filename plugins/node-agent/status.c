/* status.c - the status a pod should show, and the part of it that the API does not know yet. */
#include "status.h"

struct counts {
    int running, waiting, stopped, succeeded;   /* of the main containers */
    int pending, failed;                        /* init containers; sidecars that have not started */
    bool any_running, begun, again;             /* again: one that has ended will be started anew */
};

static void count(const struct pod_view *v, struct counts *n)
{
    *n = (struct counts){ 0 };
    for (size_t i = 0; i < v->n; i++) {
        const struct ctr *k = &v->ctrs[i];
        n->any_running |= k->state == RUN_RUNNING;
        if (k->kind == CTR_EPHEMERAL)
            continue;
        if (k->kind == CTR_SIDECAR) {
            n->pending += !ctr_started(k);
        } else if (k->kind == CTR_INIT) {
            bool ended = k->state == RUN_EXITED;
            n->failed += ended && k->exit_code != 0 && !plan_restarts(v, k);
            n->pending += !ended || k->exit_code != 0;
        } else {
            bool ended = k->state == RUN_EXITED || (k->state == RUN_CREATED && k->before);
            n->again |= k->state == RUN_EXITED && plan_restarts(v, k);
            n->begun |= k->now != NULL;
            n->running += k->state == RUN_RUNNING;
            n->stopped += ended;
            n->waiting += k->state != RUN_RUNNING && !ended;
            n->succeeded += k->state == RUN_EXITED && k->exit_code == 0;
        }
    }
}

static const char *final_phase(const struct pod_view *v, const struct counts *n, bool terminating)
{
    if (v->mem->fail_reason[0] || n->failed)
        return "Failed";
    if (n->running || n->waiting || !n->stopped || (n->pending && !n->begun))
        return NULL;
    if (n->again && !terminating)
        return NULL;
    return n->stopped == n->succeeded ? "Succeeded" : "Failed";
}

/* Succeeded and Failed last for ever, so they are said only when nothing runs any more. */
const char *status_phase(const struct pod_view *v, bool terminating)
{
    struct str was = json_str(v->pod, "status.phase");
    struct counts n;
    count(v, &n);
    if (str_is(was, "Succeeded"))
        return "Succeeded";
    if (str_is(was, "Failed"))
        return "Failed";
    const char *final = n.any_running ? NULL : final_phase(v, &n, terminating);
    if (final)
        return final;
    return (n.pending && !n.begun) || n.waiting ? "Pending" : "Running";
}

/* --- making --- */

static void set_addresses(const struct pod_view *v, const struct status_in *in, struct val *s)
{
    struct arena *ar = v->arena;
    struct val *hosts = val_new(ar, VAL_ARR), *ips = val_new(ar, VAL_ARR);
    set_z(ar, s, "hostIP", in->agent->ip);
    set_z(ar, val_push(hosts, val_new(ar, VAL_OBJ)), "ip", in->agent->ip);
    set_v(ar, s, "hostIPs", hosts);
    if (!v->mem->n_ips || v->mem->torn_down)
        return;                             /* a finished pod keeps showing what it had */
    for (int i = 0; i < v->mem->n_ips; i++)
        set_z(ar, val_push(ips, val_new(ar, VAL_OBJ)), "ip", v->mem->ips[i]);
    set_z(ar, s, "podIP", v->mem->ips[0]);
    set_v(ar, s, "podIPs", ips);
}

static void set_containers(const struct pod_view *v, const struct status_in *in, struct val *s)
{
    struct val *inits = val_new(v->arena, VAL_ARR), *mains = val_new(v->arena, VAL_ARR), *late = val_new(v->arena, VAL_ARR);
    for (size_t i = 0; i < v->n; i++) {
        const struct ctr *k = &v->ctrs[i];
        const struct val *was = k->forgotten ? json_named(json_get(s, STR("ephemeralContainerStatuses")), k->name) : NULL;
        val_push(k->kind == CTR_MAIN ? mains : k->kind == CTR_EPHEMERAL ? late : inits,
                 was ? val_copy(v->arena, was) : status_container(v, k, in));
    }
    json_del(s, STR("initContainerStatuses"));
    json_del(s, STR("ephemeralContainerStatuses"));
    if (inits && inits->n)
        set_v(v->arena, s, "initContainerStatuses", inits);
    set_v(v->arena, s, "containerStatuses", mains);
    if (late && late->n)
        set_v(v->arena, s, "ephemeralContainerStatuses", late);
}

static void set_failure(const struct pod_view *v, const char *phase, struct val *s)
{
    if (strcmp(phase, "Failed") == 0 && v->mem->fail_reason[0]) {
        set_z(v->arena, s, "reason", v->mem->fail_reason);
        set_z(v->arena, s, "message", v->mem->fail_message);
    } else if (strcmp(phase, "Failed") != 0) {
        json_del(s, STR("reason"));
        json_del(s, STR("message"));
    }
}

struct val *status_make(const struct pod_view *v, const struct status_in *in)
{
    struct arena *ar = v->arena;
    const struct val *old = json_get(v->pod, STR("status"));
    struct val *s = val_is(old, VAL_OBJ) ? val_copy(ar, old) : val_new(ar, VAL_OBJ);
    const char *phase = status_phase(v, in->terminating);
    int64_t generation = json_int(v->meta, "generation", 0);
    set_z(ar, s, "phase", phase);
    if (generation)
        set_i(ar, s, "observedGeneration", generation);
    set_v(ar, s, "conditions", conditions_make(v, in, phase));
    set_addresses(v, in, s);
    if (!json_str(s, "startTime").len)
        set_s(ar, s, "startTime", time_text(ar, in->wall_ns));
    set_containers(v, in, s);
    set_z(ar, s, "qosClass", resources_qos(v->pod));
    set_failure(v, phase, s);
    return arena_exhausted(ar) ? NULL : s;
}

/* --- comparing and writing --- */

static bool hollow(const struct val *v)
{
    if (!v || v->type == VAL_NULL)
        return true;
    if (v->type == VAL_OBJ)
        val_each(m, v)
            if (!hollow(m))
                return false;
    return v->type == VAL_OBJ || (v->type == VAL_ARR && !v->n);
}

static bool members_in(const struct val *a, const struct val *b)
{
    val_each(m, a)
        if (!status_same(m, json_get(b, val_key(m))))
            return false;
    return true;
}

bool status_same(const struct val *a, const struct val *b)
{
    if (hollow(a) || hollow(b))
        return hollow(a) && hollow(b);
    if (a->type != b->type)
        return false;
    if (a->type == VAL_OBJ)
        return members_in(a, b) && members_in(b, a);
    if (a->type != VAL_ARR)
        return val_equal(a, b);
    const struct val *y = b->first;
    for (const struct val *x = a->first; x && y; x = x->next, y = y->next)
        if (!status_same(x, y))
            return false;
    return a->n == b->n;
}

/* A list that the patch would otherwise merge into the old one. */
static void replace_list(struct arena *ar, struct val *s, const char *name)
{
    struct val *list = json_get(s, str_of(name));
    if (val_is(list, VAL_ARR))
        set_z(ar, val_push(list, val_new(ar, VAL_OBJ)), "$patch", "replace");
}

/* A strategic merge patch, so that conditions of others survive a write that crosses theirs. */
static struct val *patch_of(const struct pod_view *v, const struct val *old, const struct val *fresh)
{
    struct arena *ar = v->arena;
    static const char *const said[] = { "reason", "message" };
    struct val *patch = val_new(ar, VAL_OBJ), *s = json_obj(ar, patch, STR("status"));
    set_s(ar, json_obj(ar, patch, STR("metadata")), "uid", v->uid);
    val_each(m, fresh)
        if (!status_same(m, json_get(old, val_key(m))))
            json_set(ar, s, val_key(m), val_copy(ar, m));
    if (val_is(old, VAL_OBJ))
        val_each(m, old)
            if (!json_get(fresh, val_key(m)))
                json_set(ar, s, val_key(m), val_new(ar, VAL_NULL));
    struct val *conditions = json_get(s, STR("conditions"));
    for (struct val *c = conditions ? conditions->first : NULL, *next; c; c = next) {
        next = c->next;
        const struct val *was = condition_find(json_get(old, STR("conditions")), json_str(c, "type"));
        bool told = str_is(json_str(c, "type"), "DisruptionTarget") && str_is(json_str(c, "reason"), "TerminationByKubelet");
        if (!condition_is_ours(json_str(c, "type")) && !told) {
            val_unlink(conditions, c);
            continue;
        }
        for (size_t i = 0; i < 2; i++)      /* a merge leaves what it is not told of */
            if (json_get(was, str_of(said[i])) && !json_get(c, str_of(said[i])))
                json_set(ar, c, str_of(said[i]), val_new(ar, VAL_NULL));
    }
    const struct val *all = json_get(old, STR("conditions"));
    for (const struct val *c = val_is(all, VAL_ARR) ? all->first : NULL; c; c = c->next) {
        struct str type = json_str(c, "type");
        if (!condition_is_ours(type) || condition_find(json_get(fresh, STR("conditions")), type))
            continue;
        struct val *gone = val_push(json_arr(ar, s, STR("conditions")), val_new(ar, VAL_OBJ));
        set_z(ar, gone, "$patch", "delete");
        set_s(ar, gone, "type", type);
    }
    replace_list(ar, s, "podIPs");
    replace_list(ar, s, "hostIPs");
    return patch;
}

int status_write(struct agent *a, struct kl_call *c, struct pod_view *v, struct val *status)
{
    const struct val *old = json_get(v->pod, STR("status"));
    if (!status)
        return kl_fail(c, KL_NO_MEMORY, "no memory for the status of pod '%s'", v->mem->key);
    if (status_same(old, status))
        return 0;
    char *ns = arena_dup(v->arena, v->ns), *name = arena_dup(v->arena, v->name);
    struct kl_bytes text = agent_text(v->arena, patch_of(v, old, status)), got = { NULL, 0 };
    if (!ns || !name || !text.at)
        return kl_fail(c, KL_NO_MEMORY, "no memory for the status of pod '%s'", v->mem->key);
    struct kl_object_key k = agent_key("/pods", ns, name, "status");
    int rc = a->objects->patch(a->host, c, &k, KL_PATCH_STRATEGIC, text, &got);
    if (rc == -KL_NOT_FOUND)
        return 0;                           /* its removal is on the way to us */
    if (rc < 0)
        return kl_err_wrap(&c->err, "status of pod '%s'", v->mem->key);
    struct val *pod = agent_parse(v->arena, c, got);
    if (!pod)
        return -c->err.code;
    v->pod = pod;
    v->spec = json_get(pod, STR("spec"));
    v->meta = json_get(pod, STR("metadata"));
    return 0;
}
