/* target.c - where a hook is called: its URL, or a ready endpoint of its Service. */
#include "webhook.h"

#include "base/base64url.h"
#include "base/http_words.h"

static struct kl_bytes ca_of(struct arena *a, struct str base64)
{
    char *at = arena_dup(a, base64);
    size_t n = base64.len;
    while (n && at[n - 1] == '=')
        n--;
    for (size_t i = 0; at && i < n; i++)
        at[i] = at[i] == '+' ? '-' : at[i] == '/' ? '_' : at[i];
    struct str pem = at && n ? base64url_decode(a, str_n(at, n)) : STR_NONE;
    return (struct kl_bytes){ pem.at, pem.len };
}

static int no_memory(struct kl_call *c)
{
    return kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int url_target(struct kl_call *c, struct arena *a, struct str url, const struct hook *h, struct target *ret)
{
    struct str head = STR("https://");
    if (!str_starts(url, head))
        return kl_fail(c, KL_INVALID, "the url must begin with https://");
    struct str rest = str_skip(url, head.len), host = str_cut(&rest, '/');
    ret->http.url = arena_printf(a, "https://" STR_FMT, STR_ARG(host));
    ret->path = http_hook_path(a, rest, h->timeout_s);
    ret->shown = arena_printf(a, "%s%s", ret->http.url ? ret->http.url : "", ret->path ? ret->path : "");
    return ret->shown ? 0 : no_memory(c);
}

/* The name of the Service's port. */
static int port_name(struct kl_call *c, const struct val *service, int64_t number, struct str *ret)
{
    const struct val *ports = json_path(service, "spec.ports");
    if (val_is(ports, VAL_ARR))
        val_each(p, ports)
            if (json_int(p, "port", 0) == number) {
                *ret = json_str(p, "name");
                return 0;
            }
    return kl_fail(c, KL_UNAVAILABLE, "no service port %lld found for service \"" STR_FMT "\"", (long long)number, STR_ARG(json_str(service, "metadata.name")));
}

/* The n-th ready address of a slice that has that port. */
static struct str ready_address(const struct val *slice, struct str port, unsigned *n, int64_t *ret_port)
{
    const struct val *ports = json_get(slice, STR("ports")), *endpoints = json_get(slice, STR("endpoints"));
    int64_t number = 0;
    if (val_is(ports, VAL_ARR))
        val_each(p, ports)
            if (str_eq(json_str(p, "name"), port))
                number = json_int(p, "port", 0);
    if (number && val_is(endpoints, VAL_ARR))
        val_each(e, endpoints) {
            const struct val *addresses = json_get(e, STR("addresses"));
            if (!json_bool(e, "conditions.ready", true) || !val_is(addresses, VAL_ARR) || !addresses->n || (*n)-- > 0)
                continue;
            *ret_port = number;
            return val_str(addresses->first);
        }
    return STR_NONE;
}

static int find_endpoint(const struct kl_host *h, const struct kl_host_objects *objects, struct kl_call *c, struct arena *a, const char *ns,
                         const char *name, struct str port, struct str *ret_ip, int64_t *ret_port)
{
    struct kl_list_options o = { .size = sizeof o, .resource = "discovery.k8s.io/endpointslices", .ns = ns,
                                 .label_selector = arena_printf(a, "kubernetes.io/service-name=%s", name) };
    struct kl_object_list slices = { .size = sizeof slices };
    unsigned first = 0;
    int rc = objects->list(h, c, &o, &slices);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < slices.n; i++) {
        struct val *v = json_parse(a, str_n(slices.at[i].at, slices.at[i].len), &c->err);
        struct str ip = ready_address(v, port, &first, ret_port);
        if (!ip.len)
            continue;
        *ret_ip = ip;
        return 0;
    }
    return kl_fail(c, KL_UNAVAILABLE, "no endpoints available for service \"%s\"", name);
}

static int service_target(const struct kl_host *h, const struct kl_host_objects *objects, struct kl_call *c, struct arena *a, const struct val *s,
                          const struct hook *hook, struct target *ret)
{
    const char *ns = arena_dup(a, json_str(s, "namespace")), *name = arena_dup(a, json_str(s, "name"));
    int64_t port = json_int(s, "port", 443), number = 0;
    struct str port_is = STR_NONE, ip = STR_NONE;
    struct kl_object_key k = { sizeof k, "/services", ns, name, NULL };
    struct kl_bytes text;
    if (!ns || !name)
        return no_memory(c);
    ret->path = http_hook_path(a, json_str(s, "path"), hook->timeout_s);
    ret->shown = arena_printf(a, "https://%s.%s.svc:%lld%s", name, ns, (long long)port, ret->path ? ret->path : "");
    ret->http.server_name = arena_printf(a, "%s.%s.svc", name, ns);
    int rc = objects->get(h, c, &k, &text);
    if (rc == -KL_NOT_FOUND)
        return kl_fail(c, KL_UNAVAILABLE, "service \"%s\" not found", name);
    struct val *service = rc == 0 ? json_parse(a, str_n(text.at, text.len), &c->err) : NULL;
    if (!service)
        return rc < 0 ? rc : -c->err.code;
    if (port_name(c, service, port, &port_is) < 0 || find_endpoint(h, objects, c, a, ns, name, port_is, &ip, &number) < 0)
        return -c->err.code;
    ret->http.url = arena_printf(a, "https://" STR_FMT ":%lld", STR_ARG(ip), (long long)number);
    return ret->http.url && ret->shown && ret->http.server_name ? 0 : no_memory(c);
}

int target_of(const struct kl_host *h, const struct kl_host_objects *objects, struct kl_call *c, struct arena *a, const struct hook *hook,
              struct target *ret)
{
    const struct val *conf = json_get(hook->v, STR("clientConfig")), *service = json_get(conf, STR("service"));
    struct str url = json_str(conf, "url");
    *ret = (struct target){ .http = { .size = sizeof ret->http, .ca = ca_of(a, json_str(conf, "caBundle")) }, .shown = "" };
    return service ? service_target(h, objects, c, a, service, hook, ret) : url_target(c, a, url, hook, ret);
}
