/* convert.c - what is served in another form than it is stored: events (core and events.k8s.io share storage), horizontal pod autoscalers
 * (v1 over v2), custom resources in another version or of an earlier schema. */
#include "api-internal.h"

bool api_converts(const struct schema_kind *k)
{
    return k && (k->storage != k || k->flags & K_REVISED);
}

static void move(struct val *v, const char *from, const char *to)
{
    struct val *m = json_get(v, str_of(from));
    if (!m)
        return;
    json_del(v, str_of(to));
    m->key = to;
    m->key_len = (uint32_t)strlen(to);
}

static const char *const event_names[][2] = {        /* core, events.k8s.io */
    { "involvedObject", "regarding" }, { "message", "note" }, { "reportingComponent", "reportingController" },
    { "source", "deprecatedSource" }, { "firstTimestamp", "deprecatedFirstTimestamp" },
    { "lastTimestamp", "deprecatedLastTimestamp" }, { "count", "deprecatedCount" },
};

static struct val *convert_event(struct arena *a, struct val *v, bool to_core)
{
    struct val *out = val_copy(a, v);
    for (size_t i = 0; out && i < sizeof event_names / sizeof *event_names; i++)
        move(out, event_names[i][!to_core ? 0 : 1], event_names[i][to_core ? 0 : 1]);
    return out;
}

/* v2 has a list of metrics; v1 knows the CPU target alone and carries the rest in annotations. */
static struct val *convert_hpa(struct arena *a, struct val *v, bool to_v2)
{
    struct val *out = val_copy(a, v), *spec = json_obj(a, out, STR("spec"));
    if (to_v2) {
        int64_t target = json_int(spec, "targetCPUUtilizationPercentage", 0);
        json_del(spec, STR("targetCPUUtilizationPercentage"));
        if (!target)
            return out;
        struct val *m = val_push(json_arr(a, spec, STR("metrics")), val_new(a, VAL_OBJ));
        json_set_str(a, m, STR("type"), STR("Resource"));
        struct val *r = json_obj(a, m, STR("resource"));
        json_set_str(a, r, STR("name"), STR("cpu"));
        struct val *t = json_obj(a, r, STR("target"));
        json_set_str(a, t, STR("type"), STR("Utilization"));
        json_set_int(a, t, STR("averageUtilization"), target);
        return out;
    }
    struct val *metrics = json_get(spec, STR("metrics"));
    if (val_is(metrics, VAL_ARR))
        val_each(m, metrics)
            if (str_is(json_str(m, "resource.name"), "cpu") && json_int(m, "resource.target.averageUtilization", 0))
                json_set_int(a, spec, STR("targetCPUUtilizationPercentage"), json_int(m, "resource.target.averageUtilization", 0));
    json_del(spec, STR("metrics"));
    json_del(spec, STR("behavior"));
    struct val *st = json_get(out, STR("status"));
    if (st) {
        json_del(st, STR("currentMetrics"));
        json_del(st, STR("conditions"));
    }
    return out;
}

/* Strategy None: only the version's name changes; then what that version does not know goes, and its defaults come. */
static struct val *convert_custom(struct arena *a, const struct schema_kind *to, struct val *v)
{
    struct val *out = val_copy(a, v);
    json_set_str(a, out, STR("apiVersion"), str_of(api_group_version(a, to)));
    if (!out || object_conform(a, to->type, out, NULL, NULL) < 0 || object_default(a, to, out) < 0)
        return NULL;
    return out;
}

struct val *api_convert(struct arena *a, const struct schema_kind *from, const struct schema_kind *to, struct val *v)
{
    struct kl_err err;
    kl_err_init(&err);
    if (to->flags & K_CUSTOM)
        return convert_custom(a, to, v);
    if (from == to)
        return v;
    struct val *out = strcmp(from->kind, "Event") == 0 ? convert_event(a, v, !to->group[0])
                                                       : convert_hpa(a, v, strcmp(to->version, "v2") == 0);
    json_set_str(a, out, STR("kind"), str_of(to->kind));
    json_set_str(a, out, STR("apiVersion"), str_of(api_group_version(a, to)));
    return out && object_conform(a, to->type, out, NULL, &err) == 0 ? out : NULL;
}
