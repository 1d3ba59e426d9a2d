/* validate_kinds.c - rules of single kinds of core, apps and batch, in a table by kind. */
#include "object/validate.h"

typedef void (*validate_fn)(struct object_causes *c, const struct val *v, const struct val *old);

static void negative(struct object_causes *c, const struct val *v, const char *path)
{
    int64_t n = json_int(v, path, 0);
    if (n < 0)
        check_invalid_int(c, path, n, "must be greater than or equal to 0");
}

static void immutable(struct object_causes *c, const struct val *v, const struct val *old, const char *path)
{
    const struct val *now = json_path(v, path), *was = json_path(old, path);
    if (!old || val_equal(now, was))
        return;
    _cleanup_buf_ struct buf b = BUF_INIT(700);
    if (now)
        json_write(&b, now);
    object_cause_add(c, "FieldValueInvalid", path, "Invalid value: %s: field is immutable", b.len ? b.at : "null");
}

/* --- core --- */

static void pod(struct object_causes *c, const struct val *v, const struct val *old)
{
    validate_pod_spec(c, json_get(v, STR("spec")), "spec");
    if (old)
        validate_pod_update(c, v, old);
}

static void check_keys(struct object_causes *c, const struct val *data, const char *field, size_t *total)
{
    if (!val_is(data, VAL_OBJ))
        return;
    val_each(d, data) {
        struct str key = val_key(d);
        bool ok = key.len && key.len <= 253 && !str_is(key, ".") && !str_is(key, "..") && !str_starts(key, STR(".."));
        char at[300];
        for (size_t i = 0; i < key.len && ok; i++)
            ok = (key.at[i] >= 'a' && key.at[i] <= 'z') || (key.at[i] >= 'A' && key.at[i] <= 'Z') || (key.at[i] >= '0' && key.at[i] <= '9') ||
                 key.at[i] == '-' || key.at[i] == '_' || key.at[i] == '.';
        snprintf(at, sizeof at, "%s[" STR_FMT "]", field, STR_ARG(key));
        if (!ok)
            check_invalid(c, at, key, "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
                          "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')");
        *total += d->n;
    }
}

static void data_object(struct object_causes *c, const struct val *v, const struct val *old)
{
    size_t total = 0;
    check_keys(c, json_get(v, STR("data")), "data", &total);
    check_keys(c, json_get(v, STR("binaryData")), "binaryData", &total);
    if (total > 1 << 20)
        object_cause_add(c, "FieldValueTooLong", "data", "Too long: may not be more than 1048576 bytes");
    if (!json_bool(old, "immutable", false))
        return;
    static const char *const members[] = { "data", "binaryData" };
    if (!json_bool(v, "immutable", false))
        object_cause_add(c, "FieldValueForbidden", "immutable", "Forbidden: field is immutable when `immutable` is set");
    for (int i = 0; i < 2; i++)
        if (!val_equal(json_get(v, str_of(members[i])), json_get(old, str_of(members[i]))))
            object_cause_add(c, "FieldValueForbidden", members[i], "Forbidden: field is immutable when `immutable` is set");
}

static void secret(struct object_causes *c, const struct val *v, const struct val *old)
{
    data_object(c, v, old);
    immutable(c, v, old, "type");
}

static void check_service_port(struct object_causes *c, const struct val *ports, const struct val *p, int i)
{
    char at[96];
    int64_t n = json_int(p, "port", 0);
    struct str name = json_str(p, "name");
    snprintf(at, sizeof at, "spec.ports[%d].port", i);
    if (n < 1 || n > 65535)
        check_invalid_int(c, at, n, "must be between 1 and 65535, inclusive");
    snprintf(at, sizeof at, "spec.ports[%d].name", i);
    if (!name.len && ports->n > 1)
        check_required(c, at, NULL);
    if (name.len && !is_dns_label(name))
        check_invalid(c, at, name, label_detail);
    val_each(q, ports) {
        if (q == p)
            return;
        if (name.len && str_eq(json_str(q, "name"), name))
            object_cause_add(c, "FieldValueDuplicate", at, "Duplicate value: \"" STR_FMT "\"", STR_ARG(name));
    }
}

static void service(struct object_causes *c, const struct val *v, const struct val *old)
{
    static const char *const types[] = { "ClusterIP", "ExternalName", "LoadBalancer", "NodePort", NULL };
    static const char *const affinities[] = { "ClientIP", "None", NULL };
    struct val *spec = json_get(v, STR("spec")), *ports = json_get(spec, STR("ports"));
    struct str type = json_str(spec, "type"), ip = json_str(spec, "clusterIP"), was = json_str(old, "spec.clusterIP");
    int i = 0;
    bool external = str_is(type, "ExternalName"), headless = str_is(ip, "None");
    if (type.len)
        check_choices(c, "spec.type", type, types);
    if (json_str(spec, "sessionAffinity").len)
        check_choices(c, "spec.sessionAffinity", json_str(spec, "sessionAffinity"), affinities);
    if ((!val_is(ports, VAL_ARR) || !ports->n) && !external && !headless)
        check_required(c, "spec.ports", NULL);
    if (val_is(ports, VAL_ARR))
        val_each(p, ports)
            check_service_port(c, ports, p, i++);
    if (external && !json_str(spec, "externalName").len)
        check_required(c, "spec.externalName", NULL);
    if (was.len && ip.len && !str_eq(ip, was) && !external && !str_is(json_str(old, "spec.type"), "ExternalName"))
        check_invalid(c, "spec.clusterIPs[0]", ip, "may not change once set");
    check_labels(c, json_get(spec, STR("selector")), "spec.selector");
}

/* --- apps and batch --- */

static bool selects(struct object_causes *c, const struct val *selector, const struct val *labels)
{
    struct kl_err err;
    kl_err_init(&err);
    struct selector *s = selector_of_tree(c->arena, selector, &err);
    return s && selector_matches_labels(s, labels);
}

static void template(struct object_causes *c, const struct val *v, const char *restart)
{
    struct val *t = json_path(v, "spec.template");
    struct str policy = json_str(t, "spec.restartPolicy");
    check_labels(c, json_path(t, "metadata.labels"), "spec.template.metadata.labels");
    validate_pod_spec(c, json_get(t, STR("spec")), "spec.template.spec");
    if (restart && policy.len && !str_is(policy, restart))
        object_cause_add(c, "FieldValueNotSupported", "spec.template.spec.restartPolicy",
                         "Unsupported value: \"" STR_FMT "\": supported values: \"%s\"", STR_ARG(policy), restart);
}

static void workload(struct object_causes *c, const struct val *v, const struct val *old)
{
    struct val *sel = json_path(v, "spec.selector"), *labels = json_path(v, "spec.template.metadata.labels");
    negative(c, v, "spec.replicas");
    negative(c, v, "spec.minReadySeconds");
    negative(c, v, "spec.revisionHistoryLimit");
    if (!sel)
        check_required(c, "spec.selector", NULL);
    else if (!sel->n)
        object_cause_add(c, "FieldValueInvalid", "spec.selector", "Invalid value: {}: empty selector is invalid for deployment");
    else if (!selects(c, sel, labels)) {
        _cleanup_buf_ struct buf b = BUF_INIT(700);
        if (labels)
            json_write(&b, labels);
        object_cause_add(c, "FieldValueInvalid", "spec.template.metadata.labels",
                         "Invalid value: %s: `selector` does not match template `labels`", b.len ? b.at : "null");
    }
    immutable(c, v, old, "spec.selector");
    template(c, v, "Always");
}

static bool percent(const struct val *v, int64_t *ret)
{
    struct str s = val_str(v);
    if (val_is(v, VAL_INT)) {
        *ret = v->i;
        return v->i >= 0;
    }
    return s.len > 1 && s.at[s.len - 1] == '%' && str_int(str_n(s.at, s.len - 1), ret) && *ret >= 0;
}

static void deployment(struct object_causes *c, const struct val *v, const struct val *old)
{
    static const char *const names[] = { "maxSurge", "maxUnavailable" };
    int64_t n[2] = { 0, 0 };
    struct val *r = json_path(v, "spec.strategy.rollingUpdate");
    bool recreate = str_is(json_str(v, "spec.strategy.type"), "Recreate");
    workload(c, v, old);
    if (recreate && r)
        object_cause_add(c, "FieldValueForbidden", "spec.strategy.rollingUpdate",
                         "Forbidden: may not be specified when strategy `type` is 'Recreate'");
    for (int i = 0; i < 2 && !recreate && r; i++) {
        struct val *x = json_get(r, str_of(names[i]));
        char at[80];
        snprintf(at, sizeof at, "spec.strategy.rollingUpdate.%s", names[i]);
        if (x && !percent(x, &n[i]))
            check_invalid(c, at, val_str(x), "a valid percent string must be a numeric string followed by an ending '%' "
                          "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')");
    }
    if (!recreate && r && !n[0] && !n[1])
        object_cause_add(c, "FieldValueInvalid", "spec.strategy.rollingUpdate.maxUnavailable",
                         "Invalid value: 0: may not be 0 when `maxSurge` is 0");
    if (json_int(v, "spec.progressDeadlineSeconds", 600) <= json_int(v, "spec.minReadySeconds", 0))
        check_invalid_int(c, "spec.progressDeadlineSeconds", json_int(v, "spec.progressDeadlineSeconds", 600),
                          "must be greater than minReadySeconds");
}

static void job(struct object_causes *c, const struct val *v, const struct val *old)
{
    static const char *const counts[] = { "spec.parallelism", "spec.completions", "spec.backoffLimit", "spec.activeDeadlineSeconds",
                                          "spec.ttlSecondsAfterFinished" };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        negative(c, v, counts[i]);
    struct str policy = json_str(v, "spec.template.spec.restartPolicy");
    if (!str_is(policy, "Never") && !str_is(policy, "OnFailure"))
        object_cause_add(c, "FieldValueRequired", "spec.template.spec.restartPolicy",
                         "Required value: valid values: \"OnFailure\", \"Never\"");
    immutable(c, v, old, "spec.selector");
    template(c, v, NULL);
}

static void replication_controller(struct object_causes *c, const struct val *v, const struct val *old)
{
    (void)old;
    negative(c, v, "spec.replicas");
    if (!json_path(v, "spec.selector"))
        check_required(c, "spec.selector", NULL);
    template(c, v, "Always");
}

static void cron_job(struct object_causes *c, const struct val *v, const struct val *old)
{
    struct str s = json_str(v, "spec.schedule"), rest = s;
    int fields = 0;
    (void)old;
    if (!s.len) {
        check_required(c, "spec.schedule", NULL);
        return;
    }
    while (rest.at)
        fields += str_trim(str_cut(&rest, ' ')).len != 0;
    if (s.at[0] != '@' && fields != 5)
        object_cause_add(c, "FieldValueInvalid", "spec.schedule", "Invalid value: \"" STR_FMT "\": expected exactly 5 fields, found %d: [" STR_FMT "]",
                         STR_ARG(s), fields, STR_ARG(s));
}

static const struct {
    const char *group, *kind;
    validate_fn fn;
} rows[] = {
    { "", "Pod", pod },
    { "", "ConfigMap", data_object },
    { "", "Secret", secret },
    { "", "Service", service },
    { "", "ReplicationController", replication_controller },
    { "apps", "Deployment", deployment },
    { "apps", "ReplicaSet", workload },
    { "apps", "StatefulSet", workload },
    { "apps", "DaemonSet", workload },
    { "batch", "Job", job },
    { "batch", "CronJob", cron_job },
};

void validate_kind(const struct schema_kind *k, const struct val *v, const struct val *old, struct object_causes *c)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].kind, k->kind) == 0 && strcmp(rows[i].group, k->group) == 0)
            rows[i].fn(c, v, old);
}
