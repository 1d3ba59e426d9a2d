/* validate_status.c - what a write of the status may say. Most kinds' is taken as it is; upstream judges conditions of some, and the whole of a claim on
 * devices (validate_claim_status.c). */
#include <ctype.h>

#include "object/validate.h"

#define REASON_MOST  1024
#define MESSAGE_MOST (32 << 10)

/* [A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])? */
static bool is_reason(struct str s)
{
    if (!isalpha((unsigned char)s.at[0]))
        return false;
    for (size_t i = 1; i < s.len; i++) {
        unsigned char x = (unsigned char)s.at[i];
        if (!isalnum(x) && x != '_' && ((x != ',' && x != ':') || i + 1 == s.len))
            return false;
    }
    return true;
}

static void check_reason(causes c, const struct path *p, struct str reason)
{
    if (!check_required_str(c, p, reason))
        return;
    if (!is_reason(reason))
        say_invalid(c, p, reason, "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', "
                    "and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', "
                    "regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')");
    if (reason.len > REASON_MOST)
        say_too_long(c, p, REASON_MOST, "bytes");
}

void check_meta_conditions(causes c, const struct path *p, const struct val *list)
{
    static const char *const statuses[] = { "False", "True", "Unknown", NULL };
    _cleanup_met_ struct met types = { 0 };
    LIST_EACH (x, at, list) {
        const struct path *here = ITEM(p, at.i);
        struct str type = json_str(x, "type");
        if (met_again(&types, type))
            say_duplicate(c, IN(here, "type"), type);
        check_name(c, IN(here, "type"), type, G_QUALIFIED);
        check_choice(c, IN(here, "status"), json_str(x, "status"), statuses);
        if (json_int(x, "observedGeneration", 0) < 0)
            say_invalid_int(c, IN(here, "observedGeneration"), json_int(x, "observedGeneration", 0), "must be greater than or equal to zero");
        check_required_str(c, IN(here, "lastTransitionTime"), json_str(x, "lastTransitionTime"));
        check_reason(c, IN(here, "reason"), json_str(x, "reason"));
        if (json_str(x, "message").len > MESSAGE_MOST)
            say_too_long(c, IN(here, "message"), MESSAGE_MOST, "bytes");
    }
}

static KIND_RULES(status_budget)
{
    static const char *const counts[] = { "disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods" };
    const struct path *p = IN(NULL, "status");
    const struct val *status = json_get(v, STR("status"));
    (void)old;
    check_meta_conditions(c, IN(p, "conditions"), json_get(status, STR("conditions")));
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        check_nonnegative(c, p, status, counts[i]);
}

static KIND_RULES(status_policy)
{
    const struct path *p = IN(NULL, "status"), *warnings = IN(IN(p, "typeChecking"), "expressionWarnings");
    (void)old;
    LIST_EACH (w, at, json_path(v, "status.typeChecking.expressionWarnings")) {
        check_required_str(c, IN(ITEM(warnings, at.i), "warning"), json_str(w, "warning"));
        check_required_str(c, IN(ITEM(warnings, at.i), "fieldRef"), str_trim(json_str(w, "fieldRef")));
    }
    check_meta_conditions(c, IN(p, "conditions"), json_path(v, "status.conditions"));
}

static KIND_RULES(status_namespace)
{
    bool going = json_path(v, "metadata.deletionTimestamp") != NULL;
    (void)old;
    if (!str_is(json_str(v, "status.phase"), going ? "Terminating" : "Active"))
        say_invalid(c, IN(IN(NULL, "status"), "Phase"), json_str(v, "status.phase"),
                    going ? "may only be 'Terminating' if `deletionTimestamp` is not empty" : "may only be 'Active' if `deletionTimestamp` is empty");
}

/* Mine, or Mine/ofThat/andThis. */
static bool is_feature(struct str s)
{
    bool first = true;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char x = (unsigned char)s.at[i];
        if (first ? !(i ? isalpha(x) : isupper(x)) : !isalnum(x) && x != '/')
            return false;
        first = x == '/';
    }
    return s.len && !first;
}

static KIND_RULES(status_node)
{
    const struct path *p = IN(IN(NULL, "status"), "declaredFeatures");
    struct str last = STR_NONE;
    (void)old;
    LIST_EACH (x, at, json_path(v, "status.declaredFeatures")) {
        struct str s = val_str(x);
        if (last.at && str_eq(s, last))
            say_duplicate(c, ITEM(p, at.i), s);
        else if (last.at && str_cmp(s, last) < 0)
            say_invalid(c, ITEM(p, at.i), s, "list must be sorted alphabetically");
        if (!is_feature(s))
            say_invalid(c, ITEM(p, at.i), s, words(c, "invalid feature name \"" STR_FMT "\": must start with an UpperCamelCase segment, with subsequent segments separated by '/' "
                                                   "(e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes", STR_ARG(s)));
        last = s;
    }
}

/* "storage" is all that a claim may ask for. */
static bool check_claimed(causes c, const struct path *p, struct str name)
{
    static const char *const only[] = { "storage", NULL };
    if (!check_name(c, p, name, G_QUALIFIED))
        return false;
    return !is_native_resource(name) || check_choice(c, p, name, only);
}

static KIND_RULES(status_claim)
{
    static const char *const states[] = { "ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending", NULL };
    const struct path *p = IN(NULL, "status");
    const struct val *states_of = json_path(v, "status.allocatedResourceStatuses"), *sizes = json_path(v, "status.allocatedResources");
    (void)old;
    for (const struct val *m = val_is(states_of, VAL_OBJ) ? states_of->first : NULL; m; m = m->next) {
        bool known = false;
        check_claimed(c, IN(p, "allocatedResourceStatuses"), val_key(m));
        for (int i = 0; states[i]; i++)
            known |= str_is(val_str(m), states[i]);
        if (!known)
            say_unsupported(c, IN(p, "allocatedResourceStatuses"), val_key(m), states);
    }
    for (const struct val *m = val_is(sizes, VAL_OBJ) ? sizes->first : NULL; m; m = m->next)
        check_claimed(c, IN(p, "allocatedResources"), val_key(m));
}

/* Of FlowSchemas and priority levels: each type once. */
static KIND_RULES(status_flow)
{
    const struct path *p = IN(IN(NULL, "status"), "conditions");
    _cleanup_met_ struct met types = { 0 };
    (void)old;
    LIST_EACH (x, at, json_path(v, "status.conditions")) {
        struct str type = json_str(x, "type");
        if (met_again(&types, type))
            say_duplicate(c, IN(ITEM(p, at.i), "type"), type);
        check_required_str(c, IN(ITEM(p, at.i), "type"), type);
    }
}

/* Where a balancer is reached: addresses that are new must be some, names must be no addresses. */
static void check_balancer(causes c, const struct val *v, const struct val *old, bool has_modes)
{
    static const char *const modes[] = { "Proxy", "VIP", NULL }, at_list[] = "status.loadBalancer.ingress";
    const struct path *p = IN(IN(IN(NULL, "status"), "loadBalancer"), "ingress");
    _cleanup_met_ struct met had = { 0 };
    met_all(&had, json_path(old, at_list), "ip");
    LIST_EACH (x, at, json_path(v, at_list)) {
        struct str ip = json_str(x, "ip"), mode = json_str(x, "ipMode"), host = json_str(x, "hostname");
        const struct path *here = ITEM(p, at.i);
        if (ip.len && !met(&had, ip))
            check_ip(c, IN(here, "ip"), ip);
        if (has_modes && !json_get(x, STR("ipMode"))) {
            if (ip.len)
                say_required(c, IN(here, "ipMode"), "must be specified when `ip` is set");
        } else if (has_modes && !ip.len) {
            say_forbidden(c, IN(here, "ipMode"), "may not be specified when `ip` is not set");
        } else if (has_modes) {
            check_choice(c, IN(here, "ipMode"), mode, modes);
        }
        if (host.len)
            check_name(c, IN(here, "hostname"), host, G_SUBDOMAIN);
        if (host.len && is_ip_of_old(host, NULL))
            say_invalid(c, IN(here, "hostname"), host, "must be a DNS name, not an IP address");
    }
}

static KIND_RULES(status_service)
{
    const struct val *ingress = json_path(v, "status.loadBalancer.ingress");
    if (str_is(json_str(v, "spec.type"), "LoadBalancer"))
        check_balancer(c, v, old, true);
    else if (ingress && ingress->n)
        say_forbidden(c, IN(IN(IN(NULL, "status"), "loadBalancer"), "ingress"), "may only be used when `spec.type` is 'LoadBalancer'");
}

static KIND_RULES(status_ingress)
{
    check_balancer(c, v, old, false);
}

static const struct {
    const char *group, *kind;
    KIND_RULES((*check));
} rows[] = {
    { "", "Pod", status_pod },
    { "", "ResourceQuota", status_quota },
    { "batch", "Job", status_job },
    { "networking.k8s.io", "Ingress", status_ingress },
    { "", "PersistentVolumeClaim", status_claim },
    { "", "Service", status_service },
    { "certificates.k8s.io", "CertificateSigningRequest", status_signing_request },
    { "", "Namespace", status_namespace },
    { "", "Node", status_node },
    { "policy", "PodDisruptionBudget", status_budget },
    { "admissionregistration.k8s.io", "ValidatingAdmissionPolicy", status_policy },
    { "resource.k8s.io", "ResourceClaim", status_device_claim },
    { "flowcontrol.apiserver.k8s.io", "FlowSchema", status_flow },
    { "flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", status_flow },
};

void validate_status(const struct schema_kind *k, const struct val *v, const struct val *old, causes c)
{
    check_counts(k, v, old, c);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].kind, k->kind) == 0 && strcmp(rows[i].group, k->group) == 0)
            rows[i].check(c, v, old);
}
