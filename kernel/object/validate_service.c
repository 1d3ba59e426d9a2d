/* validate_service.c - Services, and where they lead: Endpoints and EndpointSlices. */
#include "object/validate.h"

#include <arpa/inet.h>

static const char *const protocols[] = { "SCTP", "TCP", "UDP", NULL };

static bool headless(const struct val *spec)
{
    struct val *ips = json_get(spec, STR("clusterIPs"));
    return str_is(json_str(spec, "clusterIP"), "None") || (val_is(ips, VAL_ARR) && ips->n == 1 && str_is(val_str(ips->first), "None"));
}

static bool is_type(const struct val *spec, const char *type)
{
    return str_is(json_str(spec, "type"), type);
}

static void check_protocol(causes c, const struct path *p, struct str protocol)
{
    if (check_required_str(c, p, protocol))
        check_choice(c, p, protocol, protocols);
}

static void check_service_port(causes c, const struct path *p, const struct val *ports, const struct val *port, struct met *names)
{
    struct str name = json_str(port, "name");
    struct val *target = json_get(port, STR("targetPort")), *app = json_get(port, STR("appProtocol"));
    if (!name.len && ports->n > 1)
        say_required(c, IN(p, "name"), NULL);
    if (name.len) {
        check_name(c, IN(p, "name"), name, G_LABEL);
        if (met_again(names, name))
            say_duplicate(c, IN(p, "name"), name);
    }
    check_port(c, IN(p, "port"), json_int(port, "port", 0));
    check_protocol(c, IN(p, "protocol"), json_str(port, "protocol"));
    if (val_is(target, VAL_STR))
        check_name(c, IN(p, "targetPort"), val_str(target), G_PORT_NAME);
    else if (target)
        check_port(c, IN(p, "targetPort"), target->i);
    if (app)
        check_name(c, IN(p, "appProtocol"), val_str(app), G_QUALIFIED);
}

static void check_port_clashes(causes c, const struct path *p, const struct val *spec)
{
    struct val *ports = json_get(spec, STR("ports"));
    _cleanup_met_ struct met nodes = { 0 }, seen = { 0 };
    LIST_EACH (x, at, ports) {
        int64_t node = json_int(x, "nodePort", 0), n = json_int(x, "port", 0);
        if (node && is_type(spec, "ClusterIP"))
            say_forbidden(c, IN(ITEM(p, at.i), "nodePort"), "may not be used when `type` is 'ClusterIP'");
        struct str protocol = json_str(x, "protocol");
        bool node_twice = node && met_again(&nodes, str_of(words(c, "%lld/" STR_FMT, (long long)node, STR_ARG(protocol))));
        bool twice = met_again(&seen, str_of(words(c, "%lld/" STR_FMT, (long long)n, STR_ARG(protocol))));
        if (node_twice)
            say_duplicate_val(c, IN(ITEM(p, at.i), "nodePort"), json_get(x, STR("nodePort")), NULL);
        if (twice) {
            struct val *key = val_new(c->arena, VAL_OBJ);
            json_set_str(c->arena, key, STR("Name"), STR(""));
            json_set_str(c->arena, key, STR("Protocol"), json_str(x, "protocol"));
            json_set(c->arena, key, STR("AppProtocol"), val_new(c->arena, VAL_NULL));
            json_set_int(c->arena, key, STR("Port"), n);
            json_set_int(c->arena, key, STR("TargetPort"), 0);
            json_set_int(c->arena, key, STR("NodePort"), 0);
            say_duplicate_val(c, ITEM(p, at.i), key, NULL);
        }
    }
}

static void check_session_affinity(causes c, const struct path *p, const struct val *spec)
{
    static const char *const kinds[] = { "ClientIP", "None", NULL };
    struct str a = json_str(spec, "sessionAffinity");
    struct val *conf = json_get(spec, STR("sessionAffinityConfig")), *client = json_get(conf, STR("clientIP"));
    const struct path *here = IN(p, "sessionAffinityConfig");
    if (check_required_str(c, IN(p, "sessionAffinity"), a))
        check_choice(c, IN(p, "sessionAffinity"), a, kinds);
    if (str_is(a, "None") && conf)
        say_forbidden(c, here, "must not be set when session affinity is None");
    if (!str_is(a, "ClientIP"))
        return;
    struct val *seconds = json_get(client, STR("timeoutSeconds"));
    if (!conf || !client || !seconds)
        say_required(c, !conf ? here : !client ? IN(here, "clientIP") : IN(IN(here, "clientIP"), "timeoutSeconds"), "when session affinity type is ClientIP");
    else if (seconds->i <= 0 || seconds->i > 86400)
        say_invalid_int(c, IN(IN(here, "clientIP"), "timeoutSeconds"), seconds->i, "must be greater than 0 and less than 86400");
}

/* --- addresses --- */

static bool family_of(const char *family, struct str ip)
{
    bool six = false;
    is_ip(ip, &six);
    return strcmp(family, six ? "IPv6" : "IPv4") == 0;
}

static void check_families(causes c, const struct path *p, const struct val *spec)
{
    static const char *const families[] = { "IPv4", "IPv6", NULL }, *const policies[] = { "PreferDualStack", "RequireDualStack", "SingleStack", NULL };
    struct val *list = json_get(spec, STR("ipFamilies"));
    _cleanup_met_ struct met seen = { 0 };
    LIST_EACH (f, at, list) {
        check_choice(c, ITEM(IN(p, "ipFamilies"), at.i), val_str(f), families);
        if (met_again(&seen, val_str(f)))
            say_duplicate(c, ITEM(IN(p, "ipFamilies"), at.i), val_str(f));
    }
    if (json_get(spec, STR("ipFamilyPolicy")))
        check_choice(c, IN(p, "ipFamilyPolicy"), json_str(spec, "ipFamilyPolicy"), policies);
}

static void check_cluster_ips(causes c, const struct path *p, const struct val *spec)
{
    struct val *ips = json_get(spec, STR("clusterIPs")), *families = json_get(spec, STR("ipFamilies"));
    struct str ip = json_str(spec, "clusterIP");
    const struct path *here = IN(p, "clusterIPs");
    unsigned n = ips ? ips->n : 0;
    bool bad = false;
    if (ip.len && n && !str_eq(val_str(ips->first), ip))
        say_invalid_val(c, here, ips, "first value must match `clusterIP`");
    if (!ip.len && n)
        say_invalid_val(c, here, ips, "must be empty when `clusterIP` is not specified");
    check_families(c, p, spec);
    if (!n && ip.len && !str_is(ip, "None"))
        bad |= !check_ip(c, ITEM(here, 0), ip);
    LIST_EACH (x, at, ips) {
        if (at.i == 0 && str_is(val_str(x), "None")) {
            if (n > 1) {
                bad = true;
                say_invalid_val(c, here, ips, "'None' must be the first and only value");
            }
            continue;
        }
        bad |= !check_ip(c, ITEM(here, at.i), val_str(x));
    }
    if (n > 2)
        say_invalid_val(c, here, ips, "may only hold up to 2 values");
    if (bad || headless(spec))
        return;
    LIST_EACH (x, at, ips) {
        const struct val *f = val_is(families, VAL_ARR) ? families->first : NULL;
        for (long i = 0; f && i < at.i; i++)
            f = f->next;
        if (f && !family_of(arena_dup(c->arena, val_str(f)), val_str(x)))
            say_invalid(c, ITEM(here, at.i), val_str(x),
                        words(c, "expected an " STR_FMT " value as indicated by `ipFamilies[%ld]`", STR_ARG(val_str(f)), at.i));
    }
}

/* Not of this host, not of this link. */
static void check_endpoint_ip(causes c, const struct path *p, struct str ip)
{
    unsigned char b[16] = { 0 };
    char text[64];
    bool six = false;
    if (!is_ip(ip, &six))
        return;
    snprintf(text, sizeof text, STR_FMT, STR_ARG(ip));
    inet_pton(six ? AF_INET6 : AF_INET, text, b);
    static const unsigned char none[16] = { 0 }, self[16] = { [15] = 1 };
    if (memcmp(b, none, six ? 16 : 4) == 0)
        say_invalid(c, p, ip, words(c, "may not be unspecified (" STR_FMT ")", STR_ARG(ip)));
    if (six ? memcmp(b, self, 16) == 0 : b[0] == 127)
        say_invalid(c, p, ip, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    if (six ? b[0] == 0xfe && (b[1] & 0xc0) == 0x80 : b[0] == 169 && b[1] == 254)
        say_invalid(c, p, ip, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    if (six ? b[0] == 0xff && (b[1] & 0x0f) == 2 : b[0] == 224 && b[1] == 0 && b[2] == 0)
        say_invalid(c, p, ip, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}

/* --- traffic --- */

bool object_service_external(const struct val *spec)
{
    const struct val *ips = json_get(spec, STR("externalIPs"));
    return is_type(spec, "LoadBalancer") || is_type(spec, "NodePort") || (is_type(spec, "ClusterIP") && val_is(ips, VAL_ARR) && ips->n);
}

bool object_service_health_port(const struct val *spec)
{
    return is_type(spec, "LoadBalancer") && str_is(json_str(spec, "externalTrafficPolicy"), "Local");
}

static void check_external(causes c, const struct path *p, const struct val *spec)
{
    static const char *const policies[] = { "Cluster", "Local", NULL };
    struct str policy = json_str(spec, "externalTrafficPolicy");
    int64_t health = json_int(spec, "healthCheckNodePort", 0);
    bool outside = object_service_external(spec), needs_health = object_service_health_port(spec);
    if (!outside && policy.len)
        say_invalid(c, IN(p, "externalTrafficPolicy"), policy, "may only be set for externally-accessible services");
    if (outside && check_required_str(c, IN(p, "externalTrafficPolicy"), policy))
        check_choice(c, IN(p, "externalTrafficPolicy"), policy, policies);
    if (!needs_health && health)
        say_invalid_int(c, IN(p, "healthCheckNodePort"), health, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
    if (needs_health && health)
        check_port(c, IN(p, "healthCheckNodePort"), health);
}

static void check_balancer(causes c, const struct path *p, const struct val *spec)
{
    struct val *ranges = json_get(spec, STR("loadBalancerSourceRanges")), *class = json_get(spec, STR("loadBalancerClass"));
    const struct path *here = IN(p, "LoadBalancerSourceRanges");
    bool is = is_type(spec, "LoadBalancer");
    if (ranges && ranges->n && !is)
        say_forbidden(c, here, "may only be used when `type` is 'LoadBalancer'");
    LIST_EACH (r, at, ranges)
        check_cidr(c, ITEM(here, at.i), str_trim(val_str(r)));
    if (json_get(spec, STR("allocateLoadBalancerNodePorts")) && !is)
        say_forbidden(c, IN(p, "allocateLoadBalancerNodePorts"), "may only be used when `type` is 'LoadBalancer'");
    if (class && is)
        check_name(c, IN(p, "loadBalancerClass"), val_str(class), G_QUALIFIED);
    else if (class)
        say_forbidden(c, IN(p, "loadBalancerClass"), "may only be used when `type` is 'LoadBalancer'");
}

static void check_traffic(causes c, const struct path *p, const struct val *spec)
{
    static const char *const policies[] = { "Cluster", "Local", NULL };
    static const char *const spread[] = { "PreferClose", "PreferSameZone", "PreferSameNode", NULL };
    struct val *policy = json_get(spec, STR("internalTrafficPolicy"));
    if (policy)
        check_choice(c, IN(p, "internalTrafficPolicy"), val_str(policy), policies);
    else if (!is_type(spec, "ExternalName") && json_str(spec, "type").len && (is_type(spec, "ClusterIP") || is_type(spec, "NodePort") || is_type(spec, "LoadBalancer")))
        say_required(c, IN(p, "internalTrafficPolicy"), NULL);
    if (json_get(spec, STR("trafficDistribution")))
        check_choice(c, IN(p, "trafficDistribution"), json_str(spec, "trafficDistribution"), spread);
}

static void check_by_type(causes c, const struct path *p, const struct val *spec)
{
    static const char *const forbidden[] = { "clusterIPs", "ipFamilies", "ipFamilyPolicy" };
    struct val *ips = json_get(spec, STR("clusterIPs"));
    struct str name = json_str(spec, "externalName");
    bool balancer = is_type(spec, "LoadBalancer");
    if ((balancer || is_type(spec, "NodePort")) && headless(spec))
        say_invalid(c, ITEM(IN(p, "clusterIPs"), 0), ips ? val_str(ips->first) : STR("None"),
                    words(c, "may not be set to 'None' for %s services", balancer ? "LoadBalancer" : "NodePort"));
    if (!is_type(spec, "ExternalName"))
        return;
    for (int i = 0; i < 3; i++) {
        struct val *x = json_get(spec, str_of(forbidden[i]));
        if (x && (x->type != VAL_ARR || x->n))
            say_forbidden(c, IN(p, forbidden[i]), "may not be set for ExternalName services");
    }
    if (str_ends(name, STR(".")))
        name.len--;
    if (check_required_str(c, IN(p, "externalName"), name))
        check_name(c, IN(p, "externalName"), name, G_SUBDOMAIN);
}

static void check_kept(causes c, const struct path *p, const struct val *spec, const struct val *was)
{
    struct val *now = json_get(spec, STR("clusterIPs")), *old = json_get(was, STR("clusterIPs"));
    const struct path *first = ITEM(IN(p, "clusterIPs"), 0);
    if (is_type(spec, "LoadBalancer") && is_type(was, "LoadBalancer") &&
        !val_equal(json_get(spec, STR("loadBalancerClass")), json_get(was, STR("loadBalancerClass"))) &&
        (json_get(spec, STR("loadBalancerClass")) || json_get(was, STR("loadBalancerClass"))))
        say_invalid_val(c, IN(p, "loadBalancerClass"), json_get(spec, STR("loadBalancerClass")), "may not change once set");
    if (object_service_health_port(spec) && object_service_health_port(was) && json_int(spec, "healthCheckNodePort", 0) != json_int(was, "healthCheckNodePort", 0))
        say_forbidden(c, IN(p, "healthCheckNodePort"), "field is immutable");
    if (is_type(spec, "ExternalName") || is_type(was, "ExternalName") || (headless(spec) && headless(was)) || !old || !old->n)
        return;
    if (!now || !now->n)
        say_invalid_val(c, first, now ? now : val_new(c->arena, VAL_ARR), "primary clusterIP can not be unset");
    else if (!val_equal(now->first, old->first))
        say_invalid_val(c, first, now, "may not change once set");
}

KIND_RULES(kind_service)
{
    static const char *const types[] = { "ClusterIP", "ExternalName", "LoadBalancer", "NodePort", NULL };
    const struct path *p = IN(NULL, "spec");
    struct val *spec = json_get(v, STR("spec")), *ports = json_get(spec, STR("ports"));
    struct str type = json_str(spec, "type");
    unsigned before = c->n;
    if (!old && !is_type(spec, "ExternalName"))
        check_cluster_ips(c, p, spec);  /* upstream gives a Service its addresses before it looks at the rest */
    if (c->n > before)
        return;
    if ((!ports || !ports->n) && !headless(spec) && !is_type(spec, "ExternalName"))
        say_required(c, IN(p, "ports"), NULL);
    if (old)
        check_kept(c, p, spec, json_get(old, STR("spec")));
    check_by_type(c, p, spec);
    _cleanup_met_ struct met names = { 0 };
    LIST_EACH (port, at, ports)
        check_service_port(c, ITEM(IN(p, "ports"), at.i), ports, port, &names);
    check_labels(c, IN(p, "selector"), json_get(spec, STR("selector")));
    check_session_affinity(c, p, spec);
    if (old && !is_type(spec, "ExternalName"))
        check_cluster_ips(c, p, spec);
    LIST_EACH (ip, at, json_get(spec, STR("externalIPs")))
        if (check_ip(c, ITEM(IN(p, "externalIPs"), at.i), val_str(ip)))
            check_endpoint_ip(c, ITEM(IN(p, "externalIPs"), at.i), val_str(ip));
    if (check_required_str(c, IN(p, "type"), type))
        check_choice(c, IN(p, "type"), type, types);
    check_port_clashes(c, IN(p, "ports"), spec);
    check_balancer(c, p, spec);
    check_external(c, p, spec);
    check_traffic(c, p, spec);
}

/* --- endpoints --- */

static void check_address(causes c, const struct path *p, const struct val *a)
{
    struct str ip = json_str(a, "ip"), host = json_str(a, "hostname");
    if (check_ip(c, IN(p, "ip"), ip))
        check_endpoint_ip(c, IN(p, "ip"), ip);
    else
        say_invalid(c, IN(p, "ip"), ip, "must be a valid IP address");
    if (host.len)
        check_name(c, IN(p, "hostname"), host, G_LABEL);
    if (json_get(a, STR("nodeName")))
        check_name(c, IN(p, "nodeName"), json_str(a, "nodeName"), G_SUBDOMAIN);
}

KIND_RULES(kind_endpoints)
{
    static const char *const lists[] = { "addresses", "notReadyAddresses" };
    struct val *subsets = json_get(v, STR("subsets"));
    if (old && val_equal(subsets, json_get(old, STR("subsets"))))
        return;
    LIST_EACH (s, at, subsets) {
        const struct path *p = ITEM(IN(NULL, "subsets"), at.i);
        struct val *ports = json_get(s, STR("ports"));
        unsigned n = 0;
        for (int i = 0; i < 2; i++) {
            LIST_EACH (a, a_at, json_get(s, str_of(lists[i])))
                check_address(c, ITEM(IN(p, lists[i]), a_at.i), a);
            n += json_get(s, str_of(lists[i])) ? json_get(s, str_of(lists[i]))->n : 0;
        }
        if (!n)
            say_required(c, p, "must specify `addresses` or `notReadyAddresses`");
        LIST_EACH (port, pt, ports) {
            const struct path *here = ITEM(IN(p, "ports"), pt.i);
            struct str name = json_str(port, "name");
            if (!name.len && ports->n > 1)
                say_required(c, IN(here, "name"), NULL);
            if (name.len)
                check_name(c, IN(here, "name"), name, G_LABEL);
            check_port(c, IN(here, "port"), json_int(port, "port", 0));
            check_protocol(c, IN(here, "protocol"), json_str(port, "protocol"));
            if (json_get(port, STR("appProtocol")))
                check_name(c, IN(here, "appProtocol"), json_str(port, "appProtocol"), G_QUALIFIED);
        }
    }
}

/* --- slices --- */

static void check_slice_address(causes c, const struct path *p, struct str type, struct str s)
{
    bool six = false;
    if (str_is(type, "FQDN")) {
        check_name(c, p, s, G_SUBDOMAIN);
        return;
    }
    if (!check_ip(c, p, s) || !is_ip(s, &six))
        return;
    if (six != str_is(type, "IPv6"))        /* of the list, says upstream */
        say_invalid(c, p->up, s, str_is(type, "IPv6") ? "must be an IPv6 address" : "must be an IPv4 address");
    else
        check_endpoint_ip(c, p, s);
}

static void check_endpoint(causes c, const struct path *p, struct str type, const struct val *e)
{
    struct val *addresses = json_get(e, STR("addresses")), *zones = json_path(e, "hints.forZones");
    if (!addresses || !addresses->n)
        say_required(c, IN(p, "addresses"), "must contain at least 1 address");
    else if (addresses->n > 100)
        say_too_many(c, IN(p, "addresses"), addresses->n, 100, "s");
    LIST_EACH (a, at, addresses)
        check_slice_address(c, ITEM(IN(p, "addresses"), at.i), type, val_str(a));
    if (json_get(e, STR("nodeName")))
        check_name(c, IN(p, "nodeName"), json_str(e, "nodeName"), G_SUBDOMAIN);
    if (json_get(e, STR("hostname")))
        check_name(c, IN(p, "hostname"), json_str(e, "hostname"), G_LABEL);
    check_labels(c, IN(p, "deprecatedTopology"), json_get(e, STR("deprecatedTopology")));
    const struct path *here = IN(IN(p, "hints"), "forZones");
    _cleanup_met_ struct met seen = { 0 };
    LIST_EACH (z, at, zones) {
        struct str name = json_str(z, "name");
        if (met_again(&seen, name))
            say_duplicate(c, IN(ITEM(here, at.i), "name"), name);
        check_name(c, IN(ITEM(here, at.i), "name"), name, G_LABEL_VALUE);
    }
}

KIND_RULES(kind_endpoint_slice)
{
    static const char *const types[] = { "FQDN", "IPv4", "IPv6", NULL };
    struct val *ports = json_get(v, STR("ports")), *endpoints = json_get(v, STR("endpoints"));
    struct str type = json_str(v, "addressType");
    _cleanup_met_ struct met names = { 0 };
    LIST_EACH (port, at, ports) {
        const struct path *here = ITEM(IN(NULL, "ports"), at.i);
        struct str name = json_str(port, "name");
        if (name.len)
            check_name(c, IN(here, "name"), name, G_LABEL);
        if (met_again(&names, name))
            say_duplicate(c, IN(here, "name"), name);
        check_choice(c, IN(here, "protocol"), json_str(port, "protocol"), protocols);
        if (json_get(port, STR("appProtocol")))
            check_name(c, IN(here, "appProtocol"), json_str(port, "appProtocol"), G_QUALIFIED);
    }
    if (endpoints && endpoints->n > 1000)
        say_too_many(c, IN(NULL, "endpoints"), endpoints->n, 1000, "s");
    LIST_EACH (e, at, endpoints)
        check_endpoint(c, ITEM(IN(NULL, "endpoints"), at.i), type, e);
    if (check_required_str(c, IN(NULL, "addressType"), type))
        check_choice(c, IN(NULL, "addressType"), type, types);
    if (old && !str_eq(type, json_str(old, "addressType")))
        say_invalid(c, IN(NULL, "addressType"), type, "field is immutable");
}
