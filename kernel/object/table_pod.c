/* table_pod.c - a pod's cells: what its containers do, summed up in a word and two numbers as upstream does. */
#include "base/clock.h"
#include "object/table.h"

struct summary {
    const char *reason;
    unsigned ready, total;
    int64_t restarts, restarted_ns;     /* restarted_ns 0: not known */
};

static bool has_condition(const struct val *v, const char *type, const char *status)
{
    struct val *list = json_path(v, "status.conditions");
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_is(json_str(c, "type"), type))
                return str_is(json_str(c, "status"), status);
    return false;
}

static void count_restarts(struct summary *s, const struct val *status)
{
    int64_t ns;
    struct str when = json_str(status, "lastState.terminated.finishedAt");
    s->restarts += json_int(status, "restartCount", 0);
    if (when.len && clock_parse(when, &ns) && ns > s->restarted_ns)
        s->restarted_ns = ns;
}

static const char *end_reason(struct arena *a, const struct val *t)
{
    struct str why = json_str(t, "reason");
    int64_t sig = json_int(t, "signal", 0);
    if (why.len)
        return arena_dup(a, why);
    return sig ? arena_printf(a, "Signal:%lld", (long long)sig) : arena_printf(a, "ExitCode:%lld", (long long)json_int(t, "exitCode", 0));
}

/* A sidecar: an init container that goes on. */
static bool is_sidecar(const struct val *v, struct str name)
{
    struct val *list = json_path(v, "spec.initContainers");
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_eq(json_str(c, "name"), name))
                return str_is(json_str(c, "restartPolicy"), "Always");
    return false;
}

/* True: still at it, and s->reason says where. sidecars: restarts of those only. */
static bool sum_init(struct arena *a, const struct val *v, struct summary *s, struct summary *sidecars)
{
    struct val *list = json_path(v, "status.initContainerStatuses"), *spec = json_path(v, "spec.initContainers");
    int i = -1;
    if (!val_is(list, VAL_ARR))
        return false;
    val_each(c, list) {
        struct val *t = json_path(c, "state.terminated");
        struct str waiting = json_str(c, "state.waiting.reason");
        bool sidecar = is_sidecar(v, json_str(c, "name"));
        i++;
        count_restarts(s, c);
        if (sidecar)
            count_restarts(sidecars, c);
        if (t && json_int(t, "exitCode", 0) == 0)
            continue;
        if (sidecar && json_bool(c, "started", false)) {
            s->ready += json_bool(c, "ready", false);
            continue;
        }
        if (t)
            s->reason = arena_printf(a, "Init:%s", end_reason(a, t));
        else if (waiting.len && !str_is(waiting, "PodInitializing"))
            s->reason = arena_printf(a, "Init:" STR_FMT, STR_ARG(waiting));
        else
            s->reason = arena_printf(a, "Init:%d/%u", i, val_is(spec, VAL_ARR) ? spec->n : 0);
        return true;
    }
    return false;
}

/* The first container's word counts. */
static void sum_containers(struct arena *a, const struct val *v, struct summary *s)
{
    struct val *list = json_path(v, "status.containerStatuses");
    const char *first = NULL, *error = NULL;
    bool running = false;
    if (!val_is(list, VAL_ARR))
        return;
    val_each(c, list) {
        struct val *t = json_path(c, "state.terminated");
        struct str waiting = json_str(c, "state.waiting.reason");
        const char *why = NULL;
        count_restarts(s, c);
        if (waiting.len) {
            why = arena_dup(a, waiting);
        } else if (t) {
            why = end_reason(a, t);
            if (json_int(t, "exitCode", 0) && !error)
                error = why;
        } else if (json_bool(c, "ready", false) && json_path(c, "state.running")) {
            running = true;
            s->ready++;
        }
        if (why && !first)
            first = why;
    }
    if (first)
        s->reason = first;
    if (!s->reason || strcmp(s->reason, "Completed") != 0)
        return;
    if (running && has_condition(v, "Ready", "True"))
        s->reason = "Running";
    else if (error)
        s->reason = error;
    else if (running)
        s->reason = "NotReady";
}

static void sum_up(const struct cell_in *in, struct summary *s)
{
    const struct val *v = in->v;
    struct val *list = json_path(v, "spec.containers"), *init = json_path(v, "spec.initContainers"), *cs = json_path(v, "status.conditions");
    struct str phase = json_str(v, "status.phase"), why = json_str(v, "status.reason");
    struct summary sidecars = { 0 };
    *s = (struct summary){ .reason = arena_dup(in->arena, why.len ? why : phase), .total = val_is(list, VAL_ARR) ? list->n : 0 };
    if (val_is(cs, VAL_ARR))
        val_each(c, cs)
            if (str_is(json_str(c, "type"), "PodScheduled") && str_is(json_str(c, "reason"), "SchedulingGated"))
                s->reason = "SchedulingGated";
    if (val_is(init, VAL_ARR))
        val_each(c, init)
            s->total += str_is(json_str(c, "restartPolicy"), "Always");
    if (!sum_init(in->arena, v, s, &sidecars) || has_condition(v, "Initialized", "True")) {
        s->restarts = sidecars.restarts;
        s->restarted_ns = sidecars.restarted_ns;
        sum_containers(in->arena, v, s);
    }
    if (!json_path(v, "metadata.deletionTimestamp"))
        return;
    if (str_is(why, "NodeLost"))
        s->reason = "Unknown";
    else if (!str_is(phase, "Succeeded") && !str_is(phase, "Failed"))
        s->reason = "Terminating";
}

struct val *cell_pod_ready(const struct cell_in *in, const char *arg)
{
    struct summary s;
    (void)arg;
    sum_up(in, &s);
    return cell_text(in, arena_printf(in->arena, "%u/%u", s.ready, s.total));
}

struct val *cell_pod_status(const struct cell_in *in, const char *arg)
{
    struct summary s;
    (void)arg;
    sum_up(in, &s);
    return cell_text(in, s.reason);
}

struct val *cell_pod_restarts(const struct cell_in *in, const char *arg)
{
    struct summary s;
    (void)arg;
    sum_up(in, &s);
    if (s.restarts && s.restarted_ns)
        return cell_text(in, arena_printf(in->arena, "%lld (%s ago)", (long long)s.restarts,
                                          table_human(in->arena, (in->now_ns - s.restarted_ns) / 1000000000LL)));
    return cell_text(in, arena_printf(in->arena, "%lld", (long long)s.restarts));
}

struct val *cell_pod_gates(const struct cell_in *in, const char *arg)
{
    struct val *gates = json_path(in->v, "spec.readinessGates");
    int ok = 0;
    (void)arg;
    if (!val_is(gates, VAL_ARR) || !gates->n)
        return cell_text(in, "<none>");
    val_each(g, gates) {
        char *type = arena_dup(in->arena, json_str(g, "conditionType"));
        ok += type && has_condition(in->v, type, "True");
    }
    return cell_text(in, arena_printf(in->arena, "%d/%u", ok, gates->n));
}
