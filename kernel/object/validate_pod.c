/* validate_pod.c - pod specs, wherever they stand: containers, ports, env, volumes, mounts, resources, probes. */
#include "base/quantity.h"
#include "object/validate.h"

#define FIELD 256

struct pod_check {
    struct object_causes *c;
    const struct val *spec;
    const char *field;
};

static bool volume_known(const struct val *spec, struct str name)
{
    struct val *list = json_get(spec, STR("volumes"));
    if (val_is(list, VAL_ARR))
        val_each(v, list)
            if (str_eq(json_str(v, "name"), name))
                return true;
    return false;
}

static void check_port_number(struct object_causes *c, const char *field, const char *name, int64_t n, bool required)
{
    char at[FIELD];
    snprintf(at, sizeof at, "%s.%s", field, name);
    if (n == 0 && required)
        check_required(c, at, NULL);
    else if (n < 0 || n > 65535)
        check_invalid_int(c, at, n, "must be between 1 and 65535, inclusive");
}

static void check_ports(struct pod_check *p, const struct val *ports, const char *field)
{
    char at[FIELD];
    int i = 0;
    if (!val_is(ports, VAL_ARR))
        return;
    val_each(port, ports) {
        struct str name = json_str(port, "name");
        snprintf(at, sizeof at, "%s.ports[%d]", field, i++);
        check_port_number(p->c, at, "containerPort", json_int(port, "containerPort", 0), true);
        check_port_number(p->c, at, "hostPort", json_int(port, "hostPort", 0), false);
        if (name.len && (!is_dns_label(name) || name.len > 15)) {
            size_t n = strlen(at);
            snprintf(at + n, sizeof at - n, ".name");
            check_invalid(p->c, at, name, name.len > 15 ? "must be no more than 15 characters" :
                          "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
        }
    }
}

static void check_env(struct pod_check *p, const struct val *env, const char *field)
{
    char at[FIELD];
    int i = 0;
    if (!val_is(env, VAL_ARR))
        return;
    val_each(e, env) {
        struct str name = json_str(e, "name");
        snprintf(at, sizeof at, "%s.env[%d].name", field, i);
        if (!name.len)
            check_required(p->c, at, NULL);
        else if (memchr(name.at, '=', name.len))
            check_invalid(p->c, at, name, "a valid environment variable name must consist only of printable ASCII characters other than '='");
        snprintf(at, sizeof at, "%s.env[%d].valueFrom", field, i++);
        if (json_str(e, "value").len && json_get(e, STR("valueFrom")))
            check_invalid(p->c, at, STR(""), "may not be specified when `value` is not empty");
    }
}

static void check_mounts(struct pod_check *p, const struct val *mounts, const char *field)
{
    char at[FIELD];
    int i = 0;
    if (!val_is(mounts, VAL_ARR))
        return;
    val_each(m, mounts) {
        struct str name = json_str(m, "name");
        snprintf(at, sizeof at, "%s.volumeMounts[%d].name", field, i);
        if (!name.len)
            check_required(p->c, at, NULL);
        else if (!volume_known(p->spec, name))
            object_cause_add(p->c, "FieldValueNotFound", at, "Not found: \"" STR_FMT "\"", STR_ARG(name));
        snprintf(at, sizeof at, "%s.volumeMounts[%d].mountPath", field, i);
        if (!json_str(m, "mountPath").len)
            check_required(p->c, at, NULL);
        val_each(other, mounts) {
            if (other == m)
                break;
            if (str_eq(json_str(other, "mountPath"), json_str(m, "mountPath")))
                check_invalid(p->c, at, json_str(m, "mountPath"), "must be unique");
        }
        i++;
    }
}

static void check_resources(struct pod_check *p, const struct val *res, const char *field)
{
    static const char *const lists[] = { "limits", "requests" };
    char at[FIELD];
    for (int l = 0; l < 2; l++) {
        struct val *list = json_get(res, str_of(lists[l]));
        if (!val_is(list, VAL_OBJ))
            continue;
        val_each(q, list) {
            struct quantity have, most;
            snprintf(at, sizeof at, "%s.resources.%s[" STR_FMT "]", field, lists[l], STR_ARG(val_key(q)));
            if (!quantity_parse(val_str(q), &have))
                continue;
            if (have.nano < 0)
                check_invalid(p->c, at, val_str(q), "must be greater than or equal to 0");
            struct val *limit = l == 1 ? json_get(json_get(res, STR("limits")), val_key(q)) : NULL;
            if (limit && quantity_parse(val_str(limit), &most) && quantity_cmp(have, most) > 0) {
                snprintf(at, sizeof at, "%s.resources.requests", field);
                object_cause_add(p->c, "FieldValueInvalid", at, "Invalid value: \"" STR_FMT "\": must be less than or equal to " STR_FMT
                                 " limit of " STR_FMT, STR_ARG(val_str(q)), STR_ARG(val_key(q)), STR_ARG(val_str(limit)));
            }
        }
    }
}

static void check_probe(struct pod_check *p, const struct val *c, const char *name, const char *field)
{
    static const char *const handlers[] = { "exec", "httpGet", "tcpSocket", "grpc" };
    static const char *const numbers[] = { "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold" };
    struct val *probe = json_get(c, str_of(name));
    char at[FIELD];
    unsigned n = 0;
    if (!probe)
        return;
    for (int i = 0; i < 4; i++)
        n += json_get(probe, str_of(handlers[i])) != NULL;
    snprintf(at, sizeof at, "%s.%s", field, name);
    if (n == 0)
        check_required(p->c, at, "must specify a handler type");
    if (n > 1)
        object_cause_add(p->c, "FieldValueForbidden", at, "Forbidden: may not specify more than 1 handler type");
    for (int i = 0; i < 5; i++) {
        int64_t v = json_int(probe, numbers[i], 0);
        snprintf(at, sizeof at, "%s.%s.%s", field, name, numbers[i]);
        if (v < 0)
            check_invalid_int(p->c, at, v, "must be greater than or equal to 0");
    }
    snprintf(at, sizeof at, "%s.%s.successThreshold", field, name);
    if (strcmp(name, "readinessProbe") != 0 && json_int(probe, "successThreshold", 1) != 1)
        check_invalid_int(p->c, at, json_int(probe, "successThreshold", 1), "must be 1");
}

static void check_container(struct pod_check *p, const struct val *c, const char *field)
{
    char at[FIELD];
    struct str name = json_str(c, "name");
    snprintf(at, sizeof at, "%s.name", field);
    if (!name.len)
        check_required(p->c, at, NULL);
    else if (!is_dns_label(name))
        check_invalid(p->c, at, name, label_detail);
    snprintf(at, sizeof at, "%s.image", field);
    struct str image = json_str(c, "image");
    if (!image.len)
        check_required(p->c, at, NULL);
    else if (!str_eq(image, str_trim(image)))
        check_invalid(p->c, at, image, "must not have leading or trailing whitespace");
    check_ports(p, json_get(c, STR("ports")), field);
    check_env(p, json_get(c, STR("env")), field);
    check_mounts(p, json_get(c, STR("volumeMounts")), field);
    check_resources(p, json_get(c, STR("resources")), field);
    check_probe(p, c, "livenessProbe", field);
    check_probe(p, c, "readinessProbe", field);
    check_probe(p, c, "startupProbe", field);
}

static bool name_used_before(const struct val *spec, const char *until, const struct val *stop, struct str name)
{
    static const char *const lists[] = { "containers", "initContainers" };
    for (int i = 0; i < 2; i++) {
        struct val *list = json_get(spec, str_of(lists[i]));
        if (val_is(list, VAL_ARR))
            val_each(c, list) {
                if (c == stop)
                    return false;
                if (str_eq(json_str(c, "name"), name))
                    return true;
            }
        if (strcmp(lists[i], until) == 0)
            return false;
    }
    return false;
}

static void check_containers(struct pod_check *p, const char *list_name, bool required)
{
    struct val *list = json_get(p->spec, str_of(list_name));
    char at[FIELD];
    int i = 0;
    snprintf(at, sizeof at, "%s.%s", p->field, list_name);
    if (!val_is(list, VAL_ARR) || !list->n) {
        if (required)
            check_required(p->c, at, NULL);
        return;
    }
    val_each(c, list) {
        snprintf(at, sizeof at, "%s.%s[%d]", p->field, list_name, i);
        check_container(p, c, at);
        snprintf(at, sizeof at, "%s.%s[%d].name", p->field, list_name, i++);
        if (json_str(c, "name").len && name_used_before(p->spec, list_name, c, json_str(c, "name")))
            object_cause_add(p->c, "FieldValueDuplicate", at, "Duplicate value: \"" STR_FMT "\"", STR_ARG(json_str(c, "name")));
    }
}

static void check_volumes(struct pod_check *p)
{
    struct val *list = json_get(p->spec, STR("volumes"));
    char at[FIELD];
    int i = 0;
    if (!val_is(list, VAL_ARR))
        return;
    val_each(v, list) {
        struct str name = json_str(v, "name");
        snprintf(at, sizeof at, "%s.volumes[%d].name", p->field, i);
        if (!name.len)
            check_required(p->c, at, NULL);
        else if (!is_dns_label(name))
            check_invalid(p->c, at, name, label_detail);
        val_each(other, list) {
            if (other == v)
                break;
            if (str_eq(json_str(other, "name"), name))
                object_cause_add(p->c, "FieldValueDuplicate", at, "Duplicate value: \"" STR_FMT "\"", STR_ARG(name));
        }
        snprintf(at, sizeof at, "%s.volumes[%d]", p->field, i++);
        if (v->n > 2)
            object_cause_add(p->c, "FieldValueForbidden", at, "Forbidden: may not specify more than 1 volume type");
    }
}

void validate_pod_spec(struct object_causes *c, const struct val *spec, const char *field)
{
    struct pod_check p = { c, spec, field };
    char at[FIELD];
    check_volumes(&p);
    check_containers(&p, "containers", true);
    check_containers(&p, "initContainers", false);
    int64_t grace = json_int(spec, "terminationGracePeriodSeconds", 0), deadline = json_int(spec, "activeDeadlineSeconds", 1);
    snprintf(at, sizeof at, "%s.terminationGracePeriodSeconds", field);
    if (grace < 0)
        check_invalid_int(c, at, grace, "must be greater than or equal to 0");
    snprintf(at, sizeof at, "%s.activeDeadlineSeconds", field);
    if (deadline < 1)
        check_invalid_int(c, at, deadline, "must be between 1 and 2147483647, inclusive");
    snprintf(at, sizeof at, "%s.nodeSelector", field);
    check_labels(c, json_get(spec, STR("nodeSelector")), at);
}

/* Of a pod that is there only a few fields may change: everything else is put back and compared. */
void validate_pod_update(struct object_causes *c, const struct val *v, const struct val *old)
{
    static const char *const free_fields[] = { "activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName",
                                               "ephemeralContainers", "schedulingGates", "nodeSelector", "affinity" };
    struct arena *a = c->arena;
    struct val *now = val_copy(a, json_get(v, STR("spec"))), *was = json_get(old, STR("spec"));
    static const char *const lists[] = { "containers", "initContainers" };
    if (!now || !was)
        return;
    for (size_t i = 0; i < sizeof free_fields / sizeof *free_fields; i++) {
        struct val *keep = json_get(was, str_of(free_fields[i]));
        json_del(now, str_of(free_fields[i]));
        if (keep)
            json_set(a, now, str_of(free_fields[i]), val_copy(a, keep));
    }
    for (int i = 0; i < 2; i++) {
        struct val *x = json_get(now, str_of(lists[i])), *y = json_get(was, str_of(lists[i]));
        if (!val_is(x, VAL_ARR) || !val_is(y, VAL_ARR) || x->n != y->n)
            continue;
        for (struct val *p = x->first, *q = y->first; p && q; p = p->next, q = q->next) {
            json_set_str(a, p, STR("image"), json_str(q, "image"));
            json_del(p, STR("resources"));
            if (json_get(q, STR("resources")))
                json_set(a, p, STR("resources"), val_copy(a, json_get(q, STR("resources"))));
        }
    }
    if (!val_equal(now, was))
        object_cause_add(c, "FieldValueForbidden", "spec",
                         "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
                         "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
                         "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)");
}
