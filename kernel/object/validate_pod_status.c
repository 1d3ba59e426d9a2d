/* validate_pod_status.c - what a write of a pod's status may say: containers that ended for good stay ended, its class stays, addresses are addresses. */
#include "object/validate.h"

#define HEALTH_MESSAGE_MOST 1024
#define ID_MOST             2147483647LL
#define NON_NEGATIVE        "must be a non-negative integer"

/* Statuses, the containers they are of, and whether those may have resources of their own. */
static const struct container_list {
    const char *statuses, *containers;
    bool ephemeral;
} lists[] = { { "containerStatuses", "containers", false }, { "initContainerStatuses", "initContainers", false }, { "ephemeralContainerStatuses", "ephemeralContainers", true } };
#define N_LISTS (sizeof lists / sizeof *lists)

/* A list whose items are asked for by name: a long one gets a map when it first is. */
struct named {
    const struct val *list;
    struct map m;
};
#define FEW 16

static void named_end(struct named *n)
{
    map_free(&n->m);
}
#define _cleanup_named_ __attribute__((cleanup(named_end)))

static struct named named(const struct val *v, const char *member)
{
    return (struct named){ .list = json_get(v, str_of(member)) };
}

static const struct val *by_name(struct named *n, struct str name)
{
    bool few = !val_is(n->list, VAL_ARR) || n->list->n <= FEW;
    LIST_EACH (x, at, few || !n->m.n ? n->list : NULL) {
        struct str its = json_str(x, "name");
        if (few && str_eq(its, name))
            return x;
        if (!few && its.len && !map_get(&n->m, its))
            map_put(&n->m, its, (void *)x);
    }
    return few ? NULL : map_get(&n->m, name);
}

static bool resets_all(const struct val *spec)
{
    for (size_t l = 0; l < N_LISTS; l++)
        LIST_EACH (x, at, json_get(spec, str_of(lists[l].containers)))
            LIST_EACH (rule, rt, lists[l].ephemeral ? NULL : json_get(x, STR("restartPolicyRules")))
                if (str_is(json_str(rule, "action"), "RestartAllContainers"))
                    return true;
    return false;
}

static bool rule_matches(const struct val *rule, int64_t code)
{
    struct str op = json_str(rule, "exitCodes.operator");
    bool in = false;
    LIST_EACH (x, at, json_path(rule, "exitCodes.values"))
        in |= x->i == code;
    return str_is(op, "In") ? in : str_is(op, "NotIn") && !in;
}

static bool should_restart(const struct val *container, const struct val *spec, int64_t code)
{
    struct str own = json_str(container, "restartPolicy"), policy = own.len ? own : json_str(spec, "restartPolicy");
    LIST_EACH (rule, at, own.len ? json_get(container, STR("restartPolicyRules")) : NULL)
        if (rule_matches(rule, code))
            return true;
    return str_is(policy, "OnFailure") ? code != 0 : !str_is(policy, "Never");
}

static void check_ended(causes c, const struct path *p, const struct container_list *l, const struct val *status, const struct val *was, const struct val *spec)
{
    _cleanup_named_ struct named statuses = named(status, l->statuses), containers = named(spec, l->containers);
    LIST_EACH (x, at, json_get(was, str_of(l->statuses))) {
        const struct val *ended = json_path(x, "state.terminated"), *now = ended ? by_name(&statuses, json_str(x, "name")) : NULL;
        if (!now || json_path(now, "state.terminated"))
            continue;
        const struct val *container = l->ephemeral ? NULL : by_name(&containers, json_str(x, "name"));
        if (!container || !should_restart(container, spec, json_int(ended, "exitCode", 0)))
            say_forbidden(c, IN(ITEM(IN(p, l->statuses), at.i), "state"), "may not be transitioned to non-terminated state");
    }
}

static void check_conditions(causes c, const struct path *p, const struct val *list)
{
    static const char *const ours[] = { "PodScheduled", "Ready", "Initialized", NULL };
    LIST_EACH (x, at, list) {
        struct str type = json_str(x, "type");
        bool known = false;
        if (json_int(x, "observedGeneration", 0) < 0)
            say_invalid_int(c, IN(ITEM(p, at.i), "observedGeneration"), json_int(x, "observedGeneration", 0), NON_NEGATIVE);
        for (int i = 0; ours[i]; i++)
            known |= str_is(type, ours[i]);
        if (!known)
            check_name(c, IN(ITEM(p, at.i), "Type"), type, G_QUALIFIED);
    }
}

static void check_nominated(causes c, const struct path *p, const struct val *v, const struct val *old)
{
    struct str now = json_str(v, "status.nominatedNodeName");
    if (!now.len || str_eq(now, json_str(old, "status.nominatedNodeName")))
        return;
    check_name(c, p, now, G_SUBDOMAIN);
    if (json_str(old, "spec.nodeName").len)
        say_forbidden(c, p, "may not be set on pods that are already bound to a node");
}

static void check_claims(causes c, const struct path *p, const struct val *status, const struct val *spec)
{
    _cleanup_met_ struct met names = { 0 };
    _cleanup_named_ struct named claims = named(spec, "resourceClaims");
    LIST_EACH (x, at, json_get(status, STR("resourceClaimStatuses"))) {
        const struct path *here = ITEM(IN(p, "resourceClaimStatuses"), at.i);
        struct str name = json_str(x, "name");
        if (!by_name(&claims, name))
            say_invalid(c, IN(here, "name"), name, "must match the name of an entry in `spec.resourceClaims`");
        if (met_again(&names, name))
            say_duplicate(c, IN(here, "name"), name);
        if (json_get(x, STR("resourceClaimName")))
            check_name(c, IN(here, "resourceClaimName"), json_str(x, "resourceClaimName"), G_SUBDOMAIN);
    }
}

/* The claim that extended resources are served by. */
static void check_extended(causes c, const struct path *p, const struct val *claim, const struct val *spec)
{
    static const char *const parts[] = { "containerName", "resourceName", "requestName" };
    const struct val *maps = json_get(claim, STR("requestMappings"));
    _cleanup_met_ struct met seen = { 0 };
    _cleanup_named_ struct named containers = named(spec, "containers"), inits = named(spec, "initContainers");
    if (!claim)
        return;
    if (!maps || !maps->n)
        say_required(c, IN(p, "requestMappings"), "at least one request mapping is required");
    LIST_EACH (x, at, maps) {
        const struct path *here = ITEM(IN(p, "requestMappings"), at.i);
        struct str container = json_str(x, parts[0]), resource = json_str(x, parts[1]), request = json_str(x, parts[2]);
        const struct val *main = by_name(&containers, container), *of = main ? main : by_name(&inits, container);
        if (!of)
            say_invalid(c, IN(here, "containerName"), container, "must match the name of an entry in spec.initContainers.name or spec.containers.name");
        else if (!json_get(json_path(of, "resources.requests"), resource))
            say_invalid(c, IN(here, "resourceName"), resource,
                        "must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests");
        check_name(c, IN(p, "requestName"), request, G_LABEL);
        bool again = met_again(&seen, str_of(words(c, STR_FMT "\n" STR_FMT "\n" STR_FMT, STR_ARG(container), STR_ARG(resource), STR_ARG(request))));
        for (size_t i = 0; again && i < sizeof parts / sizeof *parts; i++)
            say_duplicate(c, IN(here, parts[i]), json_str(x, parts[i]));
    }
    if (check_required_str(c, IN(p, "resourceClaimName"), json_str(claim, "resourceClaimName")))
        check_name(c, IN(p, "resourceClaimName"), json_str(claim, "resourceClaimName"), G_SUBDOMAIN);
}

/* New addresses must be addresses; two of them one of each family. */
static void check_ips(causes c, const struct path *p, const char *type, const struct val *list, const struct val *was)
{
    bool six, found[2] = { false, false };
    LIST_EACH (x, at, list) {
        bool kept = false;
        LIST_EACH (o, ot, was)
            kept |= str_eq(json_str(o, "ip"), json_str(x, "ip"));
        if (!kept)
            check_ip(c, ITEM(p, at.i), json_str(x, "ip"));
    }
    if (!list || list->n < 2)
        return;
    LIST_EACH (x, at, list) {
        struct str ip = json_str(x, "ip");
        if (!is_ip_of_old(ip, &six)) {
            say_with(c, "InternalError", p, "Internal error", words(c, "failed to check for dual stack with error:invalid IP[%ld]: " STR_FMT, at.i, STR_ARG(ip)));
            found[0] = found[1] = false;
            break;
        }
        found[six] = true;
    }
    if (!(found[0] && found[1]) || list->n > 2)
        say_invalid_as(c, p, type, list, "may specify no more than one IP for each IP family");
}

static void check_linux_user(causes c, const struct path *p, const struct val *user)
{
    check_between(c, IN(p, "uid"), json_int(user, "uid", 0), 0, ID_MOST);
    check_between(c, IN(p, "gid"), json_int(user, "gid", 0), 0, ID_MOST);
    LIST_EACH (x, at, json_get(user, STR("supplementalGroups")))
        check_between(c, ITEM(IN(p, "supplementalGroups"), at.i), x->i, 0, ID_MOST);
}

static void check_user(causes c, const struct path *p, const struct val *user, struct str os)
{
    const struct val *linux_user = json_get(user, STR("linux"));
    if (!linux_user)
        return;
    if (str_is(os, "windows"))
        say_forbidden(c, IN(p, "linux"), "cannot be set for a windows pod");
    else
        check_linux_user(c, IN(p, "linux"), linux_user);
}

static bool is_claimed(const struct val *container, struct str name)
{
    LIST_EACH (x, at, json_path(container, "resources.claims")) {
        struct str rest = name;
        struct str claim = str_cut(&rest, '/');
        if (str_eq(claim, json_str(x, "name")) && str_eq(rest, json_str(x, "request")))
            return true;
    }
    return false;
}

static void check_health(causes c, const struct path *p, const struct val *list)
{
    static const char *const states[] = { "Healthy", "Unhealthy", "Unknown", NULL };
    _cleanup_met_ struct met ids = { 0 };
    LIST_EACH (x, at, list) {
        const struct path *here = ITEM(p, at.i);
        struct str message = json_str(x, "message"), id = json_str(x, "resourceID");
        check_choice(c, IN(here, "health"), json_str(x, "health"), states);
        if (json_get(x, STR("message")) && !message.len)
            say_required(c, IN(here, "message"), "must be non-empty if specified");
        else if (message.len > HEALTH_MESSAGE_MOST)
            say_too_long(c, IN(here, "message"), HEALTH_MESSAGE_MOST, "bytes");
        if (met_again(&ids, id))
            say_duplicate(c, IN(here, "resourceID"), id);
    }
}

static void check_allocated(causes c, const struct path *p, const struct val *list, const struct val *container)
{
    LIST_EACH (x, at, list) {
        struct str name = json_str(x, "name");
        bool claim = str_starts(name, STR("claim:"));
        if (container && !(claim ? is_claimed(container, str_skip(name, 6)) : json_get(json_path(container, "resources.requests"), name) != NULL))
            say_invalid(c, IN(ITEM(p, at.i), "name"), name,
                        claim ? "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty"
                              : "must match one of the container's resource requests");
        check_health(c, IN(ITEM(p, at.i), "resources"), json_get(x, STR("resources")));
    }
}

static void check_resources_of(causes c, const struct path *p, const struct container_list *l, const struct val *status, const struct val *spec)
{
    _cleanup_named_ struct named containers = named(spec, l->containers);
    LIST_EACH (x, at, json_get(status, str_of(l->statuses))) {
        const struct path *here = IN(ITEM(IN(p, l->statuses), at.i), "allocatedResourcesStatus");
        const struct val *list = json_get(x, STR("allocatedResourcesStatus"));
        if (!l->ephemeral)
            check_allocated(c, here, list, list ? by_name(&containers, json_str(x, "name")) : NULL);
        else if (list && list->n)
            say_forbidden(c, here, "must not be specified in container status");
    }
}

KIND_RULES(status_pod)
{
    const struct path *p = IN(NULL, "status");
    const struct val *status = json_get(v, STR("status")), *was = json_get(old, STR("status")), *spec = json_get(v, STR("spec"));
    check_conditions(c, IN(p, "conditions"), json_get(status, STR("conditions")));
    check_nominated(c, IN(p, "nominatedNodeName"), v, old);
    if (json_int(status, "observedGeneration", 0) < 0)
        say_invalid_int(c, IN(p, "observedGeneration"), json_int(status, "observedGeneration", 0), NON_NEGATIVE);
    check_immutable_str(c, p, status, was, "qosClass");
    bool reset = resets_all(spec);
    for (size_t l = 0; l < N_LISTS; l++)
        if (lists[l].ephemeral || !reset)
            check_ended(c, p, &lists[l], status, was, spec);
    check_claims(c, p, status, spec);
    check_extended(c, IN(p, "extendedResourceClaimStatus"), json_get(status, STR("extendedResourceClaimStatus")), spec);
    check_ips(c, IN(p, "podIPs"), "io.k8s.api.core.v1.PodIP", json_get(status, STR("podIPs")), json_get(was, STR("podIPs")));
    const struct val *hosts = json_get(status, STR("hostIPs"));
    if (hosts && hosts->n && !str_eq(json_str(hosts->first, "ip"), json_str(status, "hostIP")))
        say_invalid(c, IN(ITEM(IN(p, "hostIPs"), 0), "ip"), json_str(hosts->first, "ip"), "must be equal to `hostIP`");
    check_ips(c, IN(p, "hostIPs"), "io.k8s.api.core.v1.HostIP", hosts, json_get(was, STR("hostIPs")));
    for (size_t l = 0; l < N_LISTS; l++)
        LIST_EACH (x, at, json_get(status, str_of(lists[l].statuses)))
            check_user(c, IN(ITEM(IN(p, lists[l].statuses), at.i), "user"), json_get(x, STR("user")), json_str(spec, "os.name"));
    for (size_t l = 0; l < N_LISTS; l++)
        check_resources_of(c, p, &lists[l], status, spec);
}
