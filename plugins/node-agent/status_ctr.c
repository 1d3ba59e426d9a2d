/* status_ctr.c - containerStatuses: what one container does and did, in the API's words. */
#include "status.h"

static struct val *state_of_kind(struct arena *ar, const char *kind, struct val **ret_body)
{
    struct val *o = val_new(ar, VAL_OBJ);
    *ret_body = json_obj(ar, o, str_of(kind));
    return o;
}

static void set_time(struct arena *ar, struct val *o, const char *key, int64_t wall_ns)
{
    if (wall_ns > 0)
        json_set_str(ar, o, str_of(key), time_text(ar, wall_ns));
}

static struct str full_id(const struct agent *a, struct arena *ar, const struct val *record)
{
    struct str id = json_str(record, "id");
    const char *name = a->runtime_name[0] ? a->runtime_name : "unknown";
    return id.len ? str_of(arena_printf(ar, "%s://" STR_FMT, name, STR_ARG(id))) : STR_NONE;
}

static struct val *running(const struct pod_view *v, const struct ctr *k)
{
    struct val *body, *o = state_of_kind(v->arena, "running", &body);
    set_time(v->arena, body, "startedAt", k->started_ns);
    return o;
}

struct val *status_terminated(const struct pod_view *v, const struct ctr *k, const struct val *record, const struct status_in *in)
{
    struct arena *ar = v->arena;
    struct val *body, *o = state_of_kind(ar, "terminated", &body);
    int64_t code = json_int(record, "exitCode", 0);
    struct str reason = json_str(record, "reason"), message = message_of(in->agent, v, k, record);
    set_i(ar, body, "exitCode", code);
    set_s(ar, body, "reason", reason.len ? reason : code ? STR("Error") : STR("Completed"));
    if (message.len)
        set_s(ar, body, "message", message);
    set_time(ar, body, "startedAt", json_int(record, "startedAt", 0));
    set_time(ar, body, "finishedAt", json_int(record, "finishedAt", 0));
    set_s(ar, body, "containerID", full_id(in->agent, ar, record));
    return o;
}

/* As Go prints a duration of whole seconds. */
static char *duration(struct arena *ar, int64_t ns)
{
    long long s = (long long)(ns / NS_PER_S);
    return s < 60 ? arena_printf(ar, "%llds", s) : arena_printf(ar, "%lldm%llds", s / 60, s % 60);
}

static struct val *waiting(const struct pod_view *v, const struct ctr *k)
{
    struct arena *ar = v->arena;
    struct val *body, *o = state_of_kind(ar, "waiting", &body);
    const char *reason = k->mem->reason, *message = k->mem->message;
    if (!reason[0] && k->reset) {
        reason = "RestartingAllContainers";
        message = "The container is removed because RestartAllContainers in place";
    }
    if (!reason[0])
        reason = v->n && v->ctrs[0].kind != CTR_MAIN ? "PodInitializing" : "ContainerCreating";
    if (strcmp(reason, "CrashLoopBackOff") == 0)
        message = arena_printf(ar, "back-off %s restarting failed container=" STR_FMT " pod=" STR_FMT "_" STR_FMT "(" STR_FMT ")",
                               duration(ar, k->mem->backoff_ns), STR_ARG(k->name), STR_ARG(v->name), STR_ARG(v->ns), STR_ARG(v->uid));
    set_z(ar, body, "reason", reason);
    if (message && message[0])
        set_z(ar, body, "message", message);
    return o;
}

/* An ended container that will run again waits as soon as something holds it, and shows its end as its last state. */
static void set_states(const struct pod_view *v, const struct ctr *k, const struct status_in *in, struct val *o)
{
    struct arena *ar = v->arena;
    const struct val *last = k->before;
    struct val *state;
    bool over = in->terminating || v->mem->fail_reason[0] || !plan_restarts(v, k);
    if (k->state == RUN_RUNNING) {
        state = running(v, k);
    } else if (k->state == RUN_EXITED && (over || (!k->mem->reason[0] && !k->reset))) {
        state = status_terminated(v, k, k->now, in);
    } else {
        state = waiting(v, k);
        last = k->state == RUN_EXITED ? k->now : last;
    }
    set_v(ar, o, "state", state);
    set_v(ar, o, "lastState", last ? status_terminated(v, k, last, in) : val_new(ar, VAL_OBJ));
}

static void set_mounts(const struct pod_view *v, const struct ctr *k, struct val *o)
{
    const struct val *all = json_get(k->spec, STR("volumeMounts"));
    struct arena *ar = v->arena;
    if (!val_is(all, VAL_ARR) || !all->n)
        return;
    struct val *list = json_arr(ar, o, STR("volumeMounts"));
    val_each(m, all)
    {
        struct val *one = val_push(list, val_new(ar, VAL_OBJ));
        set_s(ar, one, "name", json_str(m, "name"));
        set_s(ar, one, "mountPath", json_str(m, "mountPath"));
        if (json_bool(m, "readOnly", false)) {
            struct str deep = json_str(m, "recursiveReadOnly");
            set_b(ar, one, "readOnly", true);
            set_z(ar, one, "recursiveReadOnly", str_is(deep, "Enabled") || str_is(deep, "IfPossible") ? "Enabled" : "Disabled");
        }
    }
}

struct val *status_container(const struct pod_view *v, const struct ctr *k, const struct status_in *in)
{
    struct arena *ar = v->arena;
    struct val *o = val_new(ar, VAL_OBJ);
    const struct val *shown = k->state == RUN_NONE || k->state == RUN_CREATED ? k->before : k->now;
    const struct val *resources = k->actual ? k->actual : k->resources, *requests = json_get(k->resources, STR("requests"));
    struct str image = json_str(k->now, "image.image");
    set_s(ar, o, "name", k->name);
    set_states(v, k, in, o);
    set_b(ar, o, "ready", ctr_ready(k));
    if (k->kind != CTR_EPHEMERAL)
        set_b(ar, o, "started", ctr_started(k));
    int64_t restarts = k->attempt + (k->reset && k->state == RUN_EXITED);       /* the next one is due */
    set_i(ar, o, "restartCount", restarts > 0 ? restarts : 0);
    set_s(ar, o, "image", image.len ? image : json_str(k->spec, "image"));
    set_s(ar, o, "imageID", k->now ? json_str(k->now, "imageRef") : STR(""));
    if (shown)
        set_s(ar, o, "containerID", full_id(in->agent, ar, shown));
    if (shown && k->kind != CTR_EPHEMERAL)
        set_v(ar, o, "resources", resources ? val_copy(ar, resources) : val_new(ar, VAL_OBJ));
    if (shown && requests && requests->n)
        set_v(ar, o, "allocatedResources", val_copy(ar, requests));
    if (json_str(k->spec, "lifecycle.stopSignal").len)
        set_s(ar, o, "stopSignal", json_str(k->spec, "lifecycle.stopSignal"));
    set_mounts(v, k, o);
    return o;
}
