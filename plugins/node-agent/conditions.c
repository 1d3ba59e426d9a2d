/* conditions.c - PodReadyToStartContainers, Initialized, ContainersReady, Ready and PodScheduled, in upstream's words. */
#include "status.h"

static const char *const ours[] = { "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled",
                                    "PodResizePending", "PodResizeInProgress", "AllContainersRestarting" };

bool condition_is_ours(struct str type)
{
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (str_is(type, ours[i]))
            return true;
    return false;
}

const struct val *condition_find(const struct val *list, struct str type)
{
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_eq(json_str(c, "type"), type))
                return c;
    return NULL;
}

struct val *condition_add(struct arena *ar, struct val *list, const struct val *old, const char *type, bool is, int64_t wall_ns)
{
    struct val *o = val_push(list, val_new(ar, VAL_OBJ));
    const struct val *was = condition_find(old, str_of(type));
    const char *status = is ? "True" : "False";
    struct str since = json_str(was, "lastTransitionTime");
    set_z(ar, o, "type", type);
    set_z(ar, o, "status", status);
    set_s(ar, o, "lastTransitionTime", since.len && str_is(json_str(was, "status"), status) ? since : time_text(ar, wall_ns));
    return o;
}

struct making {
    const struct pod_view *v;
    const struct status_in *in;
    struct val *list;
    const struct val *old;
};

static void add(struct making *m, const char *type, bool is, const char *reason, const char *message)
{
    struct arena *ar = m->v->arena;
    struct val *o = condition_add(ar, m->list, m->old, type, is, m->in->wall_ns);
    int64_t generation = json_int(m->v->meta, "generation", 0);
    if (reason)
        set_z(ar, o, "reason", reason);
    if (message)
        set_z(ar, o, "message", message);
    if (generation)
        set_i(ar, o, "observedGeneration", generation);
}

/* "containers with unready status: [a b]" of those that ok() does not like; NULL: none. */
static const char *names_of(const struct pod_view *v, const char *head, bool inits, bool (*ok)(const struct ctr *k))
{
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    size_t n = 0;
    for (size_t i = 0; i < v->n; i++) {
        const struct ctr *k = &v->ctrs[i];
        if (k->kind == CTR_EPHEMERAL || (inits ? k->kind == CTR_MAIN : k->kind == CTR_INIT) || ok(k))
            continue;
        buf_printf(&b, "%s" STR_FMT, n++ ? " " : head, STR_ARG(k->name));
    }
    buf_add_c(&b, ']');
    return n && !b.failed ? arena_dup(v->arena, buf_str(&b)) : NULL;
}

static bool initialized(const struct ctr *k)
{
    return k->kind == CTR_SIDECAR ? ctr_started(k) : ctr_ready(k);
}

static bool begun(const struct pod_view *v)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->ctrs[i].kind == CTR_MAIN && v->ctrs[i].now)
            return true;
    return false;
}

/* Once it is, it stays so, whatever begins anew. */
static void add_initialized(struct making *m, const char *phase)
{
    bool was = str_is(json_str(condition_find(m->old, STR("Initialized")), "status"), "True");
    const char *missing = was || begun(m->v) ? NULL : names_of(m->v, "containers with incomplete status: [", true, initialized);
    if (strcmp(phase, "Succeeded") == 0)
        add(m, "Initialized", true, "PodCompleted", NULL);
    else
        add(m, "Initialized", !missing, missing ? "ContainersNotInitialized" : NULL, missing);
}

static const char *gates_missing(const struct pod_view *v, const struct val *old)
{
    const struct val *gates = json_get(v->spec, STR("readinessGates"));
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    if (!val_is(gates, VAL_ARR))
        return NULL;
    val_each(g, gates)
    {
        struct str type = json_str(g, "conditionType");
        const struct val *c = condition_find(old, type);
        const char *comma = b.len ? ", " : "";
        if (!c)
            buf_printf(&b, "%scorresponding condition of pod readiness gate \"" STR_FMT "\" does not exist.", comma, STR_ARG(type));
        else if (!str_is(json_str(c, "status"), "True"))
            buf_printf(&b, "%sthe status of pod readiness gate \"" STR_FMT "\" is not \"True\", but " STR_FMT, comma, STR_ARG(type),
                       STR_ARG(json_str(c, "status")));
    }
    return b.len && !b.failed ? arena_dup(v->arena, buf_str(&b)) : NULL;
}

static void add_ready(struct making *m, const char *phase)
{
    const char *unready = names_of(m->v, "containers with unready status: [", false, ctr_ready);
    const char *over = strcmp(phase, "Succeeded") == 0 ? "PodCompleted" : strcmp(phase, "Failed") == 0 ? "PodFailed" : NULL;
    const char *gates = gates_missing(m->v, m->old);
    if (over) {
        add(m, "Ready", false, over, NULL);
        add(m, "ContainersReady", false, over, NULL);
        return;
    }
    if (unready)
        add(m, "Ready", false, "ContainersNotReady", unready);
    else
        add(m, "Ready", !gates, gates ? "ReadinessGatesNotReady" : NULL, gates);
    add(m, "ContainersReady", !unready, unready ? "ContainersNotReady" : NULL, unready);
}

/* Only while there is something to say. */
static void add_resize(struct making *m)
{
    const struct pod_mem *mem = m->v->mem;
    if (resize_pending(mem))
        add(m, "PodResizePending", true, mem->resize_reason, mem->resize_message);
    else if (resize_going_on(m->v))
        add(m, "PodResizeInProgress", true, mem->resize_reason[0] ? mem->resize_reason : NULL, mem->resize_message[0] ? mem->resize_message : NULL);
}

/* Of pods whose rules can tell all containers to begin anew: until the last of them has stopped. */
static void add_restarting(struct making *m, const char *phase)
{
    const char *over = strcmp(phase, "Succeeded") == 0 ? "PodCompleted" : strcmp(phase, "Failed") == 0 ? "PodFailed" : NULL;
    bool goes_on = !over && reset_goes_on(m->v);
    if (reset_possible(m->v))
        add(m, "AllContainersRestarting", goes_on, goes_on ? "RestartAllContainersStarted" : over, goes_on ? "container exited with restart policy rule" : NULL);
}

struct val *conditions_make(const struct pod_view *v, const struct status_in *in, const char *phase)
{
    struct making m = { v, in, val_new(v->arena, VAL_ARR), json_path(v->pod, "status.conditions") };
    add(&m, "PodReadyToStartContainers", v->sandbox_ready && v->mem->attached, NULL, NULL);
    add_initialized(&m, phase);
    add_ready(&m, phase);
    add(&m, "PodScheduled", true, NULL, NULL);
    add_restarting(&m, phase);
    if (!in->terminating)
        add_resize(&m);
    bool evicted = strcmp(v->mem->fail_reason, "Evicted") == 0 && v->mem->killed_early;
    if (evicted)
        add(&m, "DisruptionTarget", true, "TerminationByKubelet", v->mem->fail_message);
    if (val_is(m.old, VAL_ARR))
        val_each(c, m.old)
            if (!condition_is_ours(json_str(c, "type")) && !(evicted && str_is(json_str(c, "type"), "DisruptionTarget")))
                val_push(m.list, val_copy(v->arena, c));
    return m.list;
}
