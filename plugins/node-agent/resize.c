/* resize.c - other resources for containers that run. What the spec wants is given when the node has it: until then the pod keeps what it has and shows why
 * (PodResizePending). Then the pod's control group is widened to both, each container's is changed, and the pod's is drawn to what it is to be. Which numbers a
 * container runs with is a note in the runtime's record of it, so that nothing is lost when this process ends in between.
 */
#include "agent.h"

#include "base/quantity.h"

#define RETRY_NS (10 * NS_PER_S)

static const char *const lists[] = { "requests", "limits" }, *const names[] = { "cpu", "memory" };

struct val *resize_note(struct arena *ar, const struct ctr *k)
{
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    if (k->resources)
        json_write(&b, k->resources);
    return val_of_str(ar, b.len ? arena_str(ar, buf_str(&b)) : STR("{}"));
}

static bool differs_in(const struct ctr *k, int name)
{
    for (int l = 0; l < 2; l++)
        if (resources_amount(k->resources, lists[l], names[name], name == 0) != resources_amount(k->actual, lists[l], names[name], name == 0))
            return true;
    return false;
}

bool resize_differs(const struct ctr *k)
{
    return k->actual && k->state == RUN_RUNNING && !k->stale && (k->kind == CTR_MAIN || k->kind == CTR_SIDECAR) && (differs_in(k, 0) || differs_in(k, 1));
}

bool resize_restarts(const struct ctr *k)
{
    const struct val *policies = json_get(k->spec, STR("resizePolicy"));
    if (!val_is(policies, VAL_ARR))
        return false;
    for (int i = 0; i < 2; i++)
        val_each(p, policies)
            if (str_is(json_str(p, "resourceName"), names[i]) && str_is(json_str(p, "restartPolicy"), "RestartContainer") && differs_in(k, i))
                return true;
    return false;
}

bool resize_pending(const struct pod_mem *m)
{
    return strcmp(m->resize_reason, "Deferred") == 0 || strcmp(m->resize_reason, "Infeasible") == 0;
}

static bool any_differs(const struct pod_view *v)
{
    for (size_t i = 0; i < v->n; i++)
        if (resize_differs(&v->ctrs[i]))
            return true;
    return false;
}

bool resize_going_on(const struct pod_view *v)
{
    return v->mem->resize_gen != 0 && !resize_pending(v->mem);
}

static void say(struct pod_mem *m, const char *reason, const char *message)
{
    snprintf(m->resize_reason, sizeof m->resize_reason, "%s", reason);
    snprintf(m->resize_message, sizeof m->resize_message, "%s", message);
}

/* --- is there room? --- */

struct room {
    int64_t at[2];                          /* thousandths of CPUs, bytes */
};

static int64_t request(const struct val *list, int name)
{
    struct str s = val_str(json_get(list, str_of(names[name])));
    int64_t n = name == 0 ? quantity_text_milli(s, 0) : quantity_text_value(s, 0);
    return n > 0 ? n : 0;
}

/* What the containers of a list want (given: were given, where that is known). */
static void add_list(struct room *sum, const struct val *pod, const char *spec, const char *status, bool given)
{
    const struct val *all = json_path(pod, spec), *has = given ? json_path(pod, status) : NULL;
    if (!val_is(all, VAL_ARR))
        return;
    val_each(c, all)
    {
        const struct val *s = has ? json_get(json_named(has, json_str(c, "name")), STR("allocatedResources")) : NULL;
        if (strcmp(spec, "spec.initContainers") == 0 && !str_is(json_str(c, "restartPolicy"), "Always"))
            continue;
        for (int i = 0; i < 2; i++)
            sum->at[i] += request(s ? s : json_path(c, "resources.requests"), i);
    }
}

static struct room wanted(const struct val *pod, bool given)
{
    struct room r = { { 0, 0 } };
    add_list(&r, pod, "spec.containers", "status.containerStatuses", given);
    add_list(&r, pod, "spec.initContainers", "status.initContainerStatuses", given);
    for (int i = 0; i < 2; i++)
        r.at[i] += request(json_path(pod, "spec.overhead"), i);
    return r;
}

/* Who was taken in a moment ago counts, before its status says so. Under the lock of admission. */
static bool taken(struct agent *a, const struct val *pod)
{
    struct pod_mem *m = mem_get(a, json_str(pod, "metadata.uid"));
    bool yes = (m && m->taken) || json_str(pod, "status.startTime").len;
    if (m)
        mem_put(a, m);
    return yes;
}

/* ret_n: how many they are, of those that have been taken in. */
static int used_by_others(struct agent *a, struct kl_call *c, const struct pod_view *v, struct room *ret, int64_t *ret_n)
{
    struct kl_object_list got;
    int rc = agent_own_pods(a, c, v->arena, &got);
    *ret = (struct room){ { 0, 0 } };
    *ret_n = 0;
    for (uint32_t i = 0; rc == 0 && i < got.n; i++) {
        struct val *pod = agent_parse(v->arena, c, got.at[i]);
        if (!pod || str_eq(json_str(pod, "metadata.uid"), v->uid) || pod_ended(pod) || (!v->mem->admitted && !taken(a, pod)))
            continue;
        ++*ret_n;
        struct room r = wanted(pod, true);
        for (int k = 0; k < 2; k++)
            ret->at[k] += r.at[k];
    }
    return rc;
}

/* Who has been sent here without a scheduler that counts finds out here. */
bool resize_fits(struct agent *a, struct kl_call *c, const struct pod_view *v, const struct val *node, const char **ret_name, const char **ret_why)
{
    struct room want = wanted(v->pod, false), used;
    int64_t n, most = quantity_text_value(json_str(node, "status.allocatable.pods"), 0);
    struct kl_call sub = *c;
    kl_err_init(&sub.err);
    if (used_by_others(a, &sub, v, &used, &n) < 0)
        return true;
    if (most > 0 && n >= most) {
        *ret_name = "pods";
        *ret_why = arena_printf(v->arena, "Node didn't have enough resource: pods, requested: 1, used: %lld, capacity: %lld", (long long)n, (long long)most);
        return false;
    }
    for (int i = 0; i < 2; i++) {
        int64_t all = request(json_path(node, "status.allocatable"), i);
        if (!want.at[i] || !all || want.at[i] + used.at[i] <= all)
            continue;
        *ret_name = names[i];
        *ret_why = arena_printf(v->arena, "Node didn't have enough resource: %s, requested: %lld, used: %lld, capacity: %lld", names[i],
                                (long long)want.at[i], (long long)used.at[i], (long long)all);
        return false;
    }
    return true;
}

/* Sets the reason to wait, or none. */
static int decide(struct agent *a, struct kl_call *c, struct pod_view *v)
{
    struct room want = wanted(v->pod, false), had = wanted(v->pod, true), used, all;
    struct kl_object_key key = agent_key("/nodes", "", a->node, NULL);
    struct val *node = NULL;
    char text[256];
    int64_t n;
    int rc = agent_get(a, c, v->arena, &key, &node);
    if (rc == 0)
        rc = used_by_others(a, c, v, &used, &n);
    if (rc < 0)
        return rc;
    say(v->mem, "", "");
    for (int i = 1; i >= 0; i--) {
        all.at[i] = request(json_path(node, "status.allocatable"), i);
        if (want.at[i] <= all.at[i])
            continue;
        snprintf(text, sizeof text, "Node didn't have enough capacity: %s, requested: %lld, capacity: %lld", names[i], (long long)want.at[i], (long long)all.at[i]);
        say(v->mem, "Infeasible", text);
        return 0;
    }
    for (int i = 0; i < 2; i++) {
        if (want.at[i] <= had.at[i] || want.at[i] + used.at[i] <= all.at[i])
            continue;
        snprintf(text, sizeof text, "Node didn't have enough resource: %s, requested: %lld, used: %lld, capacity: %lld", names[i], (long long)want.at[i],
                 (long long)used.at[i], (long long)all.at[i]);
        say(v->mem, "Deferred", text);
        return 0;
    }
    return 0;
}

/* --- giving it --- */

static int limit(struct agent *a, struct kl_call *c, struct pod_view *v, const char *id, struct val *resources, const struct ctr *k)
{
    struct val *o = val_new(v->arena, VAL_OBJ);
    set_v(v->arena, json_obj(v->arena, o, STR("linux")), "resources", resources);
    if (k)
        json_set(v->arena, json_obj(v->arena, o, STR("annotations")), STR(RESIZE_NOTE), resize_note(v->arena, k));
    struct kl_bytes text = agent_text(v->arena, o);
    if (!id || !text.at)
        return kl_fail(c, KL_NO_MEMORY, "no memory");
    return k ? a->rt->container_update(a->rt_self, c, id, text) : a->rt->sandbox_update(a->rt_self, c, id, text);
}

static int limit_pod(struct agent *a, struct kl_call *c, struct pod_view *v, bool both)
{
    return v->sandbox_ready ? limit(a, c, v, arena_dup(v->arena, json_str(v->sandbox, "id")), resources_of_pod(v->arena, v, both), NULL) : 0;
}

static int limit_containers(struct agent *a, struct kl_call *c, struct pod_view *v)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < v->n; i++) {
        struct ctr *k = &v->ctrs[i];
        if (resize_differs(k) && !resize_restarts(k))
            rc = limit(a, c, v, arena_dup(v->arena, ctr_id(k)), resources_of(v->arena, v, k), k);
    }
    return rc;
}

static void tell(struct agent *a, const struct pod_view *v, const char *reason, const char *what)
{
    struct arena *ar = v->arena;
    struct val *o = val_new(ar, VAL_OBJ), *list = json_arr(ar, o, STR("containers"));
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    for (size_t i = 0; i < v->n; i++) {
        const struct ctr *k = &v->ctrs[i];
        if (k->kind == CTR_INIT || k->kind == CTR_EPHEMERAL)
            continue;
        struct val *one = val_push(list, val_new(ar, VAL_OBJ));
        const struct val *resources = json_get(k->spec, STR("resources"));
        set_s(ar, one, "name", k->name);
        set_v(ar, one, "resources", resources ? val_copy(ar, resources) : val_new(ar, VAL_OBJ));
    }
    set_i(ar, o, "generation", json_int(v->meta, "generation", 0));
    json_write(&b, o);
    event_pod(a, v, NULL, reason, "Pod resize %s: " STR_FMT "%s%s", what, STR_ARG(buf_str(&b)), v->mem->resize_message[0] ? ". Error: " : "", v->mem->resize_message);
}

static void wait_for_room(struct agent *a, struct pod_view *v, const char *before, int64_t *again_ns)
{
    bool deferred = strcmp(v->mem->resize_reason, "Deferred") == 0;
    if (strcmp(before, v->mem->resize_reason) != 0)
        tell(a, v, deferred ? "ResizeDeferred" : "ResizeInfeasible", deferred ? "deferred" : "infeasible");
    if (deferred)
        plan_sooner(again_ns, RETRY_NS);
    for (size_t i = 0; i < v->n; i++)
        if (v->ctrs[i].actual)
            v->ctrs[i].resources = v->ctrs[i].actual;
}

static int done(struct agent *a, struct kl_call *c, struct pod_view *v)
{
    struct pod_mem *m = v->mem;
    int rc = limit_pod(a, c, v, false);
    if (rc < 0) {
        say(m, "Error", c->err.msg);
        return rc;
    }
    bool told = m->resize_gen != 0;
    m->resize_gen = 0;
    say(m, "", "");
    if (told)
        tell(a, v, "ResizeCompleted", "completed");
    return 0;
}

/* What the spec wants, whatever was decided before. */
static void want_all(struct pod_view *v)
{
    for (size_t i = 0; i < v->n; i++)
        v->ctrs[i].resources = json_get(v->ctrs[i].spec, STR("resources"));
}

int resize_step(struct agent *a, struct kl_call *c, struct pod_view *v, int64_t *again_ns)
{
    struct pod_mem *m = v->mem;
    int64_t generation = json_int(v->meta, "generation", 0);
    char before[sizeof m->resize_reason];
    snprintf(before, sizeof before, "%s", m->resize_reason);
    want_all(v);
    if (!any_differs(v))
        return m->resize_gen || m->resize_reason[0] ? done(a, c, v) : 0;
    if (!KL_HAS(a->rt, container_update) || !KL_HAS(a->rt, sandbox_update)) {
        say(m, "Infeasible", "In-place resize is not supported by this node's container runtime");
        wait_for_room(a, v, before, again_ns);
        return 0;
    }
    if (m->resize_gen != generation) {
        int rc = decide(a, c, v);
        if (rc < 0)
            return rc;
        if (resize_pending(m)) {
            m->resize_gen = 0;
            wait_for_room(a, v, before, again_ns);
            return 0;
        }
        m->resize_gen = generation;
        tell(a, v, "ResizeStarted", "started");
    }
    int rc = limit_pod(a, c, v, true);
    if (rc == 0)
        rc = limit_containers(a, c, v);
    if (rc == 0)
        say(m, "", "");
    if (rc == 0 && (rc = view_load(a, c, v)) == 0 && !any_differs(v))
        rc = done(a, c, v);
    if (rc == 0)
        return 0;
    if (strcmp(m->resize_reason, "Error") != 0)
        tell(a, v, "ResizeError", "error");
    say(m, "Error", c->err.msg);
    plan_sooner(again_ns, RETRY_NS);
    return 0;
}

void resize_wake(struct agent *a)
{
    size_t at = 0;
    void *m;
    pthread_mutex_lock(&a->lock);
    while (map_next(&a->pods, &at, NULL, &m))
        if (strcmp(((const struct pod_mem *)m)->resize_reason, "Deferred") == 0)
            a->queue->add(a->host, ((const struct pod_mem *)m)->key, 0);
    pthread_mutex_unlock(&a->lock);
}
