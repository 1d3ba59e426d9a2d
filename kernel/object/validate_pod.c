/* validate_pod.c - pod specs, in pods and in templates: what is neither container nor volume nor placement nor security. */
#include "object/validate.h"

static const char *const dns_policies[] = { "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None", NULL };
static const char *const restart_policies[] = { "Always", "OnFailure", "Never", NULL };

/* --- names and addresses --- */

static void check_dns(causes c, const struct path *p, const struct val *spec)
{
    struct val *conf = json_get(spec, STR("dnsConfig")), *servers = json_get(conf, STR("nameservers")), *searches = json_get(conf, STR("searches"));
    size_t chars = 0;
    if (str_is(json_str(spec, "dnsPolicy"), "None") && (!servers || !servers->n)) {
        say_required(c, conf ? IN(p, "nameservers") : p, conf ? "must provide at least one DNS nameserver when `dnsPolicy` is None" :
                                                                "must provide `dnsConfig` when `dnsPolicy` is None");
        return;
    }
    if (servers && servers->n > 3)
        say_invalid_val(c, IN(p, "nameservers"), servers, "must not have more than 3 nameservers");
    LIST_EACH (s, at, servers)
        check_ip(c, ITEM(IN(p, "nameservers"), at.i), val_str(s));
    if (searches && searches->n > 32)
        say_invalid_val(c, IN(p, "searches"), searches, "must not have more than 32 search paths");
    LIST_EACH (s, at, searches)
        chars += val_str(s).len + (at.i > 0);
    if (chars > 2048)
        say_invalid_val(c, IN(p, "searches"), searches, "must not have more than 2048 characters (including spaces) in the search list");
    LIST_EACH (s, at, searches) {
        struct str domain = val_str(s);
        if (str_is(domain, "."))
            continue;
        if (str_ends(domain, STR(".")))
            domain.len--;
        check_name(c, ITEM(IN(p, "searches"), at.i), domain, G_SUBDOMAIN_UNDERSCORE);
    }
    LIST_EACH (o, at, json_get(conf, STR("options")))
        if (!json_str(o, "name").len)
            say_required(c, ITEM(IN(p, "options"), at.i), "must not be empty");
}

static void check_aliases(causes c, const struct path *p, const struct val *list)
{
    LIST_EACH (a, at, list) {
        check_ip(c, IN(ITEM(p, at.i), "ip"), json_str(a, "ip"));
        const struct path *names = IN(ITEM(p, at.i), "hostnames");
        LIST_EACH (h, ht, json_get(a, STR("hostnames")))
            check_name(c, ITEM(names, ht.i), val_str(h), G_SUBDOMAIN);
    }
}

static void check_host_name(causes c, const struct path *p, const struct val *spec)
{
    struct val *name = json_get(spec, STR("hostnameOverride"));
    if (!name)
        return;
    if (json_bool(spec, "setHostnameAsFQDN", false))
        say_forbidden(c, IN(p, "hostnameOverride"), "may not be specified when setHostnameAsFQDN is true");
    if (json_bool(spec, "hostNetwork", false))
        say_forbidden(c, IN(p, "hostnameOverride"), "may not be specified when hostNetwork is true");
    if (name->n > 64)
        say_too_long(c, IN(p, "hostnameOverride"), 64, "bytes");
    check_name(c, IN(p, "hostnameOverride"), val_str(name), G_SUBDOMAIN);
}

/* A member that is a name when it is there. */
static void check_member_name(causes c, const struct path *p, const struct val *spec, const char *member, enum grammar g)
{
    struct str name = json_str(spec, member);
    if (name.len)
        check_name(c, IN(p, member), name, g);
}

/* --- gates --- */

static void check_gates(causes c, const struct path *p, const struct val *spec)
{
    struct val *scheduling = json_get(spec, STR("schedulingGates"));
    LIST_EACH (g, at, json_get(spec, STR("readinessGates")))
        check_name(c, IN(ITEM(IN(p, "readinessGates"), at.i), "conditionType"), json_str(g, "conditionType"), G_QUALIFIED);
    _cleanup_met_ struct met seen = { 0 };
    LIST_EACH (g, at, scheduling) {
        const struct path *here = ITEM(IN(p, "schedulingGates"), at.i);
        check_name(c, here, json_str(g, "name"), G_QUALIFIED);
        if (met_again(&seen, json_str(g, "name")))
            say_duplicate(c, here, json_str(g, "name"));
    }
}

static void check_host_users(causes c, const struct path *p, const struct val *spec)
{
    if (json_bool(spec, "hostUsers", true))
        return;
    if (json_bool(spec, "hostNetwork", false))
        say_forbidden(c, IN(p, "hostNetwork"), "when `hostUsers` is false");
    if (json_bool(spec, "hostPID", false))
        say_forbidden(c, IN(p, "HostPID"), "when `hostUsers` is false");
    if (json_bool(spec, "hostIPC", false))
        say_forbidden(c, IN(p, "HostIPC"), "when `hostUsers` is false");
}

static void check_host_network(causes c, const struct path *p, const struct val *spec, bool is_template)
{
    if (!json_bool(spec, "hostNetwork", false))
        return;
    LIST_EACH (x, at, json_get(spec, STR("containers"))) {
        const struct path *ports = IN(ITEM(IN(p, "containers"), at.i), "ports");
        LIST_EACH (port, pt, json_get(x, STR("ports"))) {
            int64_t host = json_int(port, "hostPort", 0);
            if ((!is_template || host) && host != json_int(port, "containerPort", 0))
                say_invalid_int(c, IN(ITEM(ports, pt.i), "hostPort"), host, "must match `containerPort` when `hostNetwork` is true");
        }
    }
}

static void check_os(causes c, const struct path *p, const struct val *spec)
{
    static const char *const systems[] = { "linux", "windows", NULL };
    struct val *os = json_get(spec, STR("os"));
    if (os && check_required_str(c, IN(IN(p, "os"), "name"), json_str(os, "name")) && check_choice(c, IN(p, "os"), json_str(os, "name"), systems))
        check_pod_system(c, p, spec, json_str(os, "name"));
}

static void check_claims(causes c, const struct path *p, const struct val *list)
{
    _cleanup_met_ struct met seen = { 0 };
    LIST_EACH (x, at, list) {
        const struct path *here = ITEM(p, at.i);
        struct str name = json_str(x, "name"), direct = json_str(x, "resourceClaimName"), template = json_str(x, "resourceClaimTemplateName");
        if (check_required_str(c, IN(here, "name"), name))
            check_name(c, IN(here, "name"), name, G_LABEL);
        if (met_again(&seen, name))
            say_duplicate(c, IN(here, "name"), name);
        if (direct.len && template.len)
            say_invalid_val(c, here, x, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified");
        if (!direct.len && !template.len)
            say_invalid_val(c, here, x, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`");
        if (direct.len)
            check_name(c, IN(here, "resourceClaimName"), direct, G_SUBDOMAIN);
        if (template.len)
            check_name(c, IN(here, "resourceClaimTemplateName"), template, G_SUBDOMAIN);
    }
}

/* A variable out of a file: its volume is an empty folder of the pod. */
static void check_file_volume(causes c, const struct path *p, const struct val *spec, struct str name)
{
    LIST_EACH (x, at, json_get(spec, STR("volumes")))
        if (str_eq(json_str(x, "name"), name)) {
            if (!json_get(x, STR("emptyDir")))
                say_invalid(c, p, name, "referenced volume must be of type emptyDir");
            return;
        }
    say_not_found(c, p, name);
}

static void check_file_volumes(causes c, const struct path *p, const struct val *spec)
{
    static const char *const lists[] = { "initContainers", "containers", "ephemeralContainers" };
    for (int i = 0; i < 3; i++)
        LIST_EACH (x, at, json_get(spec, str_of(lists[i]))) {
            const struct path *env = IN(ITEM(IN(p, lists[i]), at.i), "env");
            LIST_EACH (e, et, json_get(x, STR("env"))) {
                const struct val *ref = json_get(json_get(e, STR("valueFrom")), STR("fileKeyRef"));
                if (ref)
                    check_file_volume(c, IN(IN(IN(ITEM(env, et.i), "valueFrom"), "fileKeyRef"), "volumeName"), spec, json_str(ref, "volumeName"));
            }
        }
}

void check_preemption(causes c, const struct path *p, struct str policy)
{
    static const char *const policies[] = { "PreemptLowerPriority", "Never", NULL };
    if (check_required_str(c, p, policy))
        check_choice(c, p, policy, policies);
}

void check_pod_spec(causes c, const struct path *p, struct pod_place *where)
{
    const struct val *spec = where->spec;
    struct str dns = json_str(spec, "dnsPolicy"), restart = json_str(spec, "restartPolicy");
    struct val *deadline = json_get(spec, STR("activeDeadlineSeconds")), *overhead = json_get(spec, STR("overhead"));
    check_volumes(c, IN(p, "volumes"), where);
    check_claims(c, IN(p, "resourceClaims"), json_get(spec, STR("resourceClaims")));
    met_all(&where->claims, json_get(spec, STR("resourceClaims")), "name");
    check_containers(c, p, where);
    check_host_network(c, p, spec, where->is_template);
    if (check_required_str(c, IN(p, "restartPolicy"), restart))
        check_choice(c, IN(p, "restartPolicy"), restart, restart_policies);
    if (check_required_str(c, IN(p, "dnsPolicy"), dns))
        check_choice(c, IN(p, "dnsPolicy"), dns, dns_policies);
    check_labels(c, IN(p, "nodeSelector"), json_get(spec, STR("nodeSelector")));
    check_pod_security(c, IN(p, "securityContext"), json_get(spec, STR("securityContext")), spec);
    check_affinity(c, p, spec);
    check_dns(c, IN(p, "dnsConfig"), spec);
    check_gates(c, p, spec);
    check_spreading(c, p, spec);
    check_host_users(c, p, spec);
    check_host_name(c, p, spec);
    check_member_name(c, p, spec, "serviceAccountName", G_SUBDOMAIN);
    check_member_name(c, p, spec, "nodeName", G_SUBDOMAIN);
    if (deadline)
        check_between(c, IN(p, "activeDeadlineSeconds"), deadline->i, 1, INT32_MAX);
    check_member_name(c, p, spec, "hostname", G_LABEL);
    check_member_name(c, p, spec, "subdomain", G_LABEL);
    check_tolerations(c, IN(p, "tolerations"), json_get(spec, STR("tolerations")));
    check_aliases(c, IN(p, "hostAliases"), json_get(spec, STR("hostAliases")));
    check_member_name(c, p, spec, "priorityClassName", G_SUBDOMAIN);
    check_member_name(c, p, spec, "runtimeClassName", G_SUBDOMAIN);
    if (json_get(spec, STR("preemptionPolicy")))
        check_preemption(c, IN(p, "preemptionPolicy"), json_str(spec, "preemptionPolicy"));
    if (overhead) {
        struct val *limits = val_new(c->arena, VAL_OBJ);
        json_set(c->arena, limits, STR("limits"), val_copy(c->arena, overhead));
        check_resources(c, IN(p, "overhead"), limits, NULL);
    }
    check_os(c, p, spec);
    check_file_volumes(c, p, spec);
}

static bool has_container(const struct val *spec, struct str name)
{
    static const char *const lists[] = { "initContainers", "containers", "ephemeralContainers" };
    for (int i = 0; i < 3; i++)
        LIST_EACH (x, at, json_get(spec, str_of(lists[i])))
            if (str_eq(json_str(x, "name"), name))
                return true;
    return false;
}

static void check_seccomp_note(causes c, const struct path *p, struct str profile)
{
    if (str_is(profile, "runtime/default") || str_is(profile, "docker/default") || str_is(profile, "unconfined"))
        return;
    if (str_starts(profile, STR("localhost/")))
        check_local_path(c, p, str_skip(profile, 10), false);
    else
        say_invalid(c, p, profile, "must be a valid seccomp profile");
}

/* Annotations that mean something to pods. */
static void check_pod_notes(causes c, const struct path *p, const struct val *notes, const struct val *spec)
{
    const struct str mirror = STR("kubernetes.io/config.mirror"), cost = STR("controller.kubernetes.io/pod-deletion-cost");
    const struct str seccomp = STR("container.seccomp.security.alpha.kubernetes.io/"), armor = STR("container.apparmor.security.beta.kubernetes.io/");
    for (const struct val *x = val_is(notes, VAL_OBJ) ? notes->first : NULL; x; x = x->next) {
        struct str key = val_key(x), s = val_str(x);
        int64_t n = 0;
        if (str_eq(key, mirror) && !json_str(spec, "nodeName").len)
            say_invalid(c, KEY(p, key), s, "must set spec.nodeName if mirror pod annotation is set");
        if (str_eq(key, cost) && (!str_int(s, &n) || n < INT32_MIN || n > INT32_MAX || s.at[0] == '+' || (s.len > 1 && s.at[0] == '0')))
            say_invalid(c, KEY(p, key), s, "must be a 32bit integer");
        if (str_is(key, "seccomp.security.alpha.kubernetes.io/pod") || str_starts(key, seccomp))
            check_seccomp_note(c, &(struct path){ p, key, 0 }, s);
        if (!str_starts(key, armor))
            continue;
        struct str container = str_skip(key, armor.len);
        if (!has_container(spec, container))
            say_invalid(c, KEY(p, key), container, "container not found");
        if (s.len && !str_is(s, "runtime/default") && !str_is(s, "unconfined") && !str_starts(s, STR("localhost/")))
            say_invalid(c, KEY(p, key), s, words(c, "invalid AppArmor profile name: \"" STR_FMT "\"", STR_ARG(s)));
    }
}

void check_template(causes c, const struct path *p, const struct val *t)
{
    struct pod_place where = { .meta = json_get(t, STR("metadata")), .spec = json_get(t, STR("spec")), .is_template = true };
    check_labels(c, IN(p, "labels"), json_path(t, "metadata.labels"));
    check_annotations(c, IN(p, "annotations"), json_path(t, "metadata.annotations"));
    check_pod_notes(c, IN(p, "annotations"), json_path(t, "metadata.annotations"), where.spec);
    check_pod_spec(c, IN(p, "spec"), &where);
    if (json_get(where.spec, STR("ephemeralContainers")) && json_get(where.spec, STR("ephemeralContainers"))->n)
        say_forbidden(c, IN(IN(p, "spec"), "ephemeralContainers"), "ephemeral containers not allowed in pod template");
    met_end(&where.volumes);
    met_end(&where.claims);
}

/* --- pods --- */

static void check_images(causes c, const struct path *p, const struct val *list)
{
    LIST_EACH (x, at, list) {
        struct str image = json_str(x, "image");
        if (str_trim(image).len != image.len)
            say_invalid(c, IN(ITEM(p, at.i), "image"), image, "must not have leading or trailing whitespace");
    }
}

static void check_token_volumes(causes c, const struct path *p, const struct val *spec)
{
    if (json_str(spec, "serviceAccountName").len)
        return;
    LIST_EACH (v, at, json_get(spec, STR("volumes"))) {
        const struct path *sources = IN(IN(ITEM(IN(p, "volumes"), at.i), "projected"), "sources");
        LIST_EACH (s, st, json_path(v, "projected.sources"))
            if (json_get(s, STR("serviceAccountToken")))
                say_forbidden(c, IN(ITEM(sources, st.i), "serviceAccountToken"), "must not be specified when serviceAccountName is not set");
    }
}

void check_pod(causes c, const struct val *v)
{
    struct val *spec = json_get(v, STR("spec"));
    struct pod_place where = { .meta = json_get(v, STR("metadata")), .spec = spec };
    const struct path *p = IN(NULL, "spec");
    check_pod_notes(c, IN(IN(NULL, "metadata"), "annotations"), json_get(where.meta, STR("annotations")), spec);
    check_pod_spec(c, p, &where);
    met_end(&where.volumes);
    met_end(&where.claims);
    check_token_volumes(c, p, spec);
    check_images(c, IN(p, "containers"), json_get(spec, STR("containers")));
    check_images(c, IN(p, "initContainers"), json_get(spec, STR("initContainers")));
}

KIND_RULES(kind_pod)
{
    struct val *spec = json_get(v, STR("spec")), *gates = json_get(spec, STR("schedulingGates"));
    const struct path *p = IN(NULL, "spec");
    check_pod(c, v);
    if (old) {
        check_pod_update(c, v, old);
        return;
    }
    if (json_get(spec, STR("ephemeralContainers")) && json_get(spec, STR("ephemeralContainers"))->n)
        say_forbidden(c, IN(p, "ephemeralContainers"), "cannot be set on create");
    if (json_str(spec, "nodeName").len && gates && gates->n)
        say_forbidden(c, IN(p, "nodeName"), "cannot be set until all schedulingGates have been cleared");
}

KIND_RULES(kind_pod_template)
{
    (void)old;
    check_template(c, IN(NULL, "template"), json_get(v, STR("template")));
}

static struct str toleration_text(causes c, const struct val *x)
{
    return str_of(words(c, STR_FMT "\1" STR_FMT "\1" STR_FMT "\1" STR_FMT, STR_ARG(json_str(x, "key")), STR_ARG(json_str(x, "operator")),
                        STR_ARG(json_str(x, "value")), STR_ARG(json_str(x, "effect"))));
}

static void check_kept_tolerations(causes c, const struct path *p, const struct val *now, const struct val *was)
{
    _cleanup_met_ struct met there = { 0 };
    LIST_EACH (n, at, was && was->n ? now : NULL)
        met_again(&there, toleration_text(c, n));
    LIST_EACH (o, at, was) {
        if (!met(&there, toleration_text(c, o))) {
            say_forbidden(c, p, "existing toleration can not be modified except its tolerationSeconds");
            return;
        }
    }
}

static void check_deadline(causes c, const struct path *p, const struct val *now, const struct val *was)
{
    if (!now && was)
        say_invalid_val(c, p, NULL, "must not update from a positive integer to nil value");
    if (now && was && was->i < now->i)
        say_invalid_int(c, p, now->i, "must be less than or equal to previous value");
}

/* What may change is put back: the rest must be as it was. */
static struct val *put_back(causes c, const struct val *spec, const struct val *was)
{
    static const char *const free_members[] = { "activeDeadlineSeconds", "tolerations", "schedulingGates" };
    static const char *const gated_members[] = { "nodeSelector", "affinity" }, *const lists[] = { "containers", "initContainers" };
    struct val *now = val_copy(c->arena, spec), *gates = json_get(was, STR("schedulingGates"));
    bool gated = gates && gates->n;
    for (int i = 0; i < (gated ? 5 : 3); i++) {
        const char *member = i < 3 ? free_members[i] : gated_members[i - 3];
        struct val *keep = json_get(was, str_of(member));
        json_del(now, str_of(member));
        if (keep)
            json_set(c->arena, now, str_of(member), val_copy(c->arena, keep));
    }
    for (int i = 0; i < 2; i++) {
        struct val *x = json_get(now, str_of(lists[i])), *y = json_get(was, str_of(lists[i]));
        for (struct val *a = x ? x->first : NULL, *b = y ? y->first : NULL; a && b; a = a->next, b = b->next)
            json_set_str(c->arena, a, STR("image"), json_str(b, "image"));
    }
    if (json_int(was, "terminationGracePeriodSeconds", 0) < 0 && json_int(now, "terminationGracePeriodSeconds", 0) == 1)
        json_set_int(c->arena, now, STR("terminationGracePeriodSeconds"), json_int(was, "terminationGracePeriodSeconds", 0));
    return now;
}

void check_pod_update(causes c, const struct val *v, const struct val *old)
{
    static const char *const lists[] = { "containers", "initContainers" };
    const struct path *p = IN(NULL, "spec");
    struct val *spec = json_get(v, STR("spec")), *was = json_get(old, STR("spec"));
    for (int i = 0; i < 2; i++) {
        struct val *x = json_get(spec, str_of(lists[i])), *y = json_get(was, str_of(lists[i]));
        if ((x ? x->n : 0) != (y ? y->n : 0)) {
            say_forbidden(c, IN(p, lists[i]), "pod updates may not add or remove containers");
            return;
        }
        check_images(c, IN(p, lists[i]), x);
    }
    check_deadline(c, IN(p, "activeDeadlineSeconds"), json_get(spec, STR("activeDeadlineSeconds")), json_get(was, STR("activeDeadlineSeconds")));
    check_kept_tolerations(c, IN(p, "tolerations"), json_get(spec, STR("tolerations")), json_get(was, STR("tolerations")));
    LIST_EACH (g, at, json_get(spec, STR("schedulingGates"))) {
        bool found = false;
        LIST_EACH (o, ot, json_get(was, STR("schedulingGates")))
            found |= str_eq(json_str(o, "name"), json_str(g, "name"));
        if (!found)
            say_forbidden(c, IN(ITEM(IN(p, "schedulingGates"), at.i), "name"),
                          words(c, "only deletion is allowed, but found new scheduling gate '" STR_FMT "'", STR_ARG(json_str(g, "name"))));
    }
    if (!val_equal(put_back(c, spec, was), was))
        say_forbidden(c, p, "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
                      "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
                      "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)");
}
