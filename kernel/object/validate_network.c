/* validate_network.c - Ingresses, their classes, NetworkPolicies. */
#include "object/validate.h"

#include <arpa/inet.h>

/* --- ingresses --- */

static void check_host(causes c, const struct path *p, struct str host)
{
    check_name(c, p, host, str_find(host, '*') >= 0 ? G_WILDCARD_SUBDOMAIN : G_SUBDOMAIN);
}

static void check_service(causes c, const struct path *p, const struct val *s)
{
    struct str name = json_str(s, "name"), port = json_str(s, "port.name");
    int64_t number = json_int(s, "port.number", 0);
    const struct path *service = IN(p, "service"), *ports = IN(service, "port");
    if (check_required_str(c, IN(service, "name"), name))
        check_name(c, IN(service, "name"), name, G_LABEL);
    if (port.len && number)
        say_invalid(c, p, STR(""), "cannot set both port name & port number");
    else if (port.len)
        check_name(c, IN(ports, "name"), port, G_PORT_NAME);
    else if (number)
        check_port(c, IN(ports, "number"), number);
    else
        say_required(c, p, "port name or number is required");
}

static void check_resource(causes c, const struct path *p, const struct val *r)
{
    struct str group = json_str(r, "apiGroup");
    if (json_get(r, STR("apiGroup")))
        check_name(c, IN(p, "apiGroup"), group, G_SUBDOMAIN);
    if (check_required_str(c, IN(p, "kind"), json_str(r, "kind")))
        check_name(c, IN(p, "kind"), json_str(r, "kind"), G_PATH_SEGMENT);
    if (check_required_str(c, IN(p, "name"), json_str(r, "name")))
        check_name(c, IN(p, "name"), json_str(r, "name"), G_PATH_SEGMENT);
}

static void check_backend(causes c, const struct path *p, const struct val *b)
{
    struct val *service = json_get(b, STR("service")), *resource = json_get(b, STR("resource"));
    if (service && resource)
        say_invalid(c, p, STR(""), "cannot set both resource and service backends");
    else if (resource)
        check_resource(c, IN(p, "resource"), resource);
    else if (service)
        check_service(c, p, service);
    else
        say_invalid(c, p, STR(""), "resource or service backend is required");
}

static void check_path(causes c, const struct path *p, const struct val *x)
{
    static const char *const types[] = { "Exact", "ImplementationSpecific", "Prefix", NULL };
    static const char *const inside[] = { "//", "/./", "/../", "%2f", "%2F" }, *const ends[] = { "/..", "/." };
    struct str type = json_str(x, "pathType"), path = json_str(x, "path");
    const struct path *here = IN(p, "path");
    if (!json_get(x, STR("pathType"))) {
        say_required(c, IN(p, "pathType"), "pathType must be specified");
        return;
    }
    bool exact = str_is(type, "Exact") || str_is(type, "Prefix"), known = check_choice(c, IN(p, "pathType"), type, types);
    if (known && (exact || path.len) && !str_starts(path, STR("/")))
        say_invalid(c, here, path, "must be an absolute path");
    for (int i = 0; exact && i < 5; i++)
        if (path.len && memmem(path.at, path.len, inside[i], strlen(inside[i])))
            say_invalid(c, here, path, words(c, "must not contain '%s'", inside[i]));
    for (int i = 0; exact && i < 2; i++)
        if (str_ends(path, str_of(ends[i])))
            say_invalid(c, here, path, words(c, "cannot end with '%s'", ends[i]));
    check_backend(c, IN(p, "backend"), json_get(x, STR("backend")));
}

static void check_rule(causes c, const struct path *p, const struct val *r)
{
    struct str host = json_str(r, "host");
    struct val *http = json_get(r, STR("http")), *paths = json_get(http, STR("paths"));
    if (host.len && is_ip(host, NULL))
        say_invalid(c, IN(p, "host"), host, "must be a DNS name, not an IP address");
    if (host.len)
        check_host(c, IN(p, "host"), host);
    if (!http)
        return;
    const struct path *here = IN(IN(p, "http"), "paths");
    if (!paths || !paths->n)
        say_required(c, here, NULL);
    LIST_EACH (x, at, paths)
        check_path(c, ITEM(here, at.i), x);
}

KIND_RULES(kind_ingress)
{
    const struct path *p = IN(NULL, "spec");
    struct val *spec = json_get(v, STR("spec")), *rules = json_get(spec, STR("rules")), *backend = json_get(spec, STR("defaultBackend"));
    struct val *annotation = json_get(json_path(v, "metadata.annotations"), STR("kubernetes.io/ingress.class")), *class = json_get(spec, STR("ingressClassName"));
    if ((!rules || !rules->n) && !backend)
        say_invalid_val(c, p, rules, "either `defaultBackend` or `rules` must be specified");
    if (backend)
        check_backend(c, IN(p, "defaultBackend"), backend);
    LIST_EACH (r, at, rules)
        check_rule(c, ITEM(IN(p, "rules"), at.i), r);
    LIST_EACH (t, at, json_get(spec, STR("tls"))) {
        const struct path *here = ITEM(IN(p, "tls"), at.i);
        LIST_EACH (h, ht, json_get(t, STR("hosts")))
            check_host(c, ITEM(IN(here, "hosts"), ht.i), val_str(h));
        if (json_str(t, "secretName").len)
            check_name(c, IN(here, "secretName"), json_str(t, "secretName"), G_SUBDOMAIN);
    }
    if (class)
        check_name(c, IN(p, "ingressClassName"), val_str(class), G_SUBDOMAIN);
    if (!old && annotation && class && !val_equal(annotation, class))
        say_invalid(c, IN(IN(NULL, "annotations"), "kubernetes.io/ingress.class"), val_str(annotation), "must match `ingressClassName` when both are specified");
}

static void check_parameters(causes c, const struct path *p, const struct val *x)
{
    static const char *const scopes[] = { "Cluster", "Namespace", NULL };
    struct val *scope = json_get(x, STR("scope")), *ns = json_get(x, STR("namespace"));
    check_resource(c, p, x);
    if (!scope) {
        say_required(c, IN(p, "scope"), NULL);
        return;
    }
    if (!check_choice(c, IN(p, "scope"), val_str(scope), scopes))
        return;
    bool in_namespace = str_is(val_str(scope), "Namespace");
    if (in_namespace && !ns)
        say_required(c, IN(p, "namespace"), "`parameters.scope` is set to 'Namespace'");
    else if (in_namespace)
        check_name(c, IN(p, "namespace"), val_str(ns), G_LABEL);
    else if (ns)
        say_forbidden(c, IN(p, "namespace"), "`parameters.scope` is set to 'Cluster'");
}

KIND_RULES(kind_ingress_class)
{
    const struct path *p = IN(NULL, "spec");
    struct val *spec = json_get(v, STR("spec")), *parameters = json_get(spec, STR("parameters"));
    struct str controller = json_str(spec, "controller");
    if (old && !str_eq(controller, json_str(old, "spec.controller")))
        say_invalid(c, IN(p, "controller"), controller, "field is immutable");
    if (controller.len > 250)
        say_too_long(c, IN(p, "controller"), 250, "bytes");
    if (check_required_str(c, IN(p, "controller"), controller))
        check_name(c, IN(p, "controller"), controller, G_DOMAIN_PREFIXED_PATH);
    if (parameters)
        check_parameters(c, IN(p, "parameters"), parameters);
}

/* --- policies --- */

static void check_policy_port(causes c, const struct path *p, const struct val *x)
{
    static const char *const protocols[] = { "TCP", "UDP", "SCTP", NULL };
    struct val *port = json_get(x, STR("port")), *end = json_get(x, STR("endPort"));
    if (json_get(x, STR("protocol")))
        check_choice(c, IN(p, "protocol"), json_str(x, "protocol"), protocols);
    if (!port) {
        if (end)
            say_invalid_int(c, IN(p, "endPort"), end->i, "may not be specified when `port` is not specified");
    } else if (port->type == VAL_STR) {
        if (end)
            say_invalid_int(c, IN(p, "endPort"), end->i, "may not be specified when `port` is non-numeric");
        check_name(c, IN(p, "port"), val_str(port), G_PORT_NAME);
    } else {
        check_port(c, IN(p, "port"), port->i);
        if (end && end->i < port->i)
            say_invalid_int(c, IN(p, "endPort"), port->i, "must be greater than or equal to `port`");
        if (end)
            check_port(c, IN(p, "endPort"), end->i);
    }
}

struct net {
    unsigned char b[16];
    int64_t bits;
    bool six;
};

static bool net_of(struct str s, struct net *ret)
{
    struct str rest = s, ip;
    char text[64];
    if (!is_cidr(s, &ret->six))
        return false;
    ip = str_cut(&rest, '/');
    snprintf(text, sizeof text, STR_FMT, STR_ARG(ip));
    return inet_pton(ret->six ? AF_INET6 : AF_INET, text, ret->b) == 1 && str_int(rest, &ret->bits);
}

static bool contains(const struct net *big, const struct net *small)
{
    if (big->six != small->six || big->bits >= small->bits)
        return false;
    for (int64_t i = 0; i < big->bits; i++)
        if ((big->b[i / 8] ^ small->b[i / 8]) & (0x80 >> i % 8))
            return false;
    return true;
}

static void check_block(causes c, const struct path *p, const struct val *b)
{
    struct str cidr = json_str(b, "cidr");
    struct net all, part;
    if (!check_required_str(c, IN(p, "cidr"), cidr) || !check_cidr(c, IN(p, "cidr"), cidr) || !net_of(cidr, &all))
        return;
    LIST_EACH (x, at, json_get(b, STR("except"))) {
        const struct path *here = ITEM(IN(p, "except"), at.i);
        if (check_cidr(c, here, val_str(x)) && net_of(val_str(x), &part) && !contains(&all, &part))
            say_invalid(c, here, val_str(x), "must be a strict subset of `cidr`");
    }
}

static void check_peer(causes c, const struct path *p, const struct val *x)
{
    static const char *const selectors[] = { "podSelector", "namespaceSelector" };
    struct val *block = json_get(x, STR("ipBlock"));
    unsigned n = block != NULL;
    for (int i = 0; i < 2; i++) {
        struct val *s = json_get(x, str_of(selectors[i]));
        n += s != NULL;
        check_selector(c, IN(p, selectors[i]), s);
    }
    if (block)
        check_block(c, IN(p, "ipBlock"), block);
    if (n == 0)
        say_required(c, p, "must specify a peer");
    else if (n > 1 && block)
        say_forbidden(c, p, "may not specify both ipBlock and another peer");
}

KIND_RULES(kind_network_policy)
{
    static const char *const ways[][2] = { { "ingress", "from" }, { "egress", "to" } };
    static const char *const types[] = { "Ingress", "Egress", NULL };
    const struct path *p = IN(NULL, "spec");
    struct val *spec = json_get(v, STR("spec")), *list = json_get(spec, STR("policyTypes"));
    (void)old;
    check_selector(c, IN(p, "podSelector"), json_get(spec, STR("podSelector")));
    for (int i = 0; i < 2; i++)
        LIST_EACH (r, at, json_get(spec, str_of(ways[i][0]))) {
            const struct path *here = ITEM(IN(p, ways[i][0]), at.i);
            LIST_EACH (x, xt, json_get(r, STR("ports")))
                check_policy_port(c, ITEM(IN(here, "ports"), xt.i), x);
            LIST_EACH (x, xt, json_get(r, str_of(ways[i][1])))
                check_peer(c, ITEM(IN(here, ways[i][1]), xt.i), x);
        }
    if (list && list->n > 2) {
        say_invalid_val(c, IN(p, "policyTypes"), list, "may not specify more than two policyTypes");
        return;
    }
    LIST_EACH (t, at, list)
        check_choice(c, ITEM(IN(p, "policyTypes"), at.i), val_str(t), types);
}
