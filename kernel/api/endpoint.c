/* endpoint.c - which address answers for a port of a Service: a ready one of its EndpointSlices, any of them. */
#include "api-internal.h"

#include "base/env.h"

struct search {
    struct arena *arena;
    struct str service, port_name;
    const char *before, *url;           /* the URL that was used so far, if any; the one found so far */
    uint32_t n;                         /* ready ones met */
    bool slices, kept;                  /* some slice is there; url is the one of before */
};

static void take(struct search *s, struct str address, int64_t port)
{
    uint32_t r;
    bool v6 = str_find(address, ':') >= 0;
    const char *url = arena_printf(s->arena, "https://%s" STR_FMT "%s:%lld", v6 ? "[" : "", STR_ARG(address), v6 ? "]" : "", (long long)port);
    s->n++;
    env_random(&r, sizeof r);
    if (!url || s->kept)
        return;
    s->kept = s->before && strcmp(s->before, url) == 0;
    if (s->kept || r % s->n == 0)
        s->url = url;
}

static bool look_at_slice(void *ctx, struct store_object *o)
{
    struct search *s = ctx;
    struct val *v = json_parse(s->arena, store_object_json(o), NULL), *ports = json_get(v, STR("ports")), *list = json_get(v, STR("endpoints"));
    int64_t port = 0;
    if (!str_eq(val_str(json_get(json_path(v, "metadata.labels"), STR("kubernetes.io/service-name"))), s->service))
        return true;
    s->slices = true;
    if (!val_is(ports, VAL_ARR) || !val_is(list, VAL_ARR) || str_is(json_str(v, "addressType"), "FQDN"))
        return true;
    val_each(p, ports)
        if (str_eq(json_str(p, "name").at ? json_str(p, "name") : STR(""), s->port_name))
            port = json_int(p, "port", 0);
    val_each(e, list)
    {
        struct val *addresses = json_get(e, STR("addresses"));
        if (port && json_bool(e, "conditions.ready", true) && val_is(addresses, VAL_ARR) && addresses->n)
            take(s, val_str(addresses->first), port);
    }
    return true;
}

enum api_endpoint api_endpoint_find(struct api *api, struct arena *a, const struct api_service_port *p, const char **ret_url, struct str *ret_port)
{
    struct store_object *o = store_get(api->store, STR("/services"), p->ns, p->service);
    struct val *v = o ? json_parse(a, store_object_json(o), NULL) : NULL, *ports = json_path(v, "spec.ports"), *found = NULL;
    struct search s = { .arena = a, .service = p->service, .before = p->before };
    struct store_range slices = { .resource = STR("discovery.k8s.io/endpointslices"), .ns = p->ns };
    *ret_url = NULL;
    *ret_port = STR("");
    if (!v)
        return ENDPOINT_NO_SERVICE;
    if (str_is(json_str(v, "spec.type"), "ExternalName")) {
        *ret_url = arena_printf(a, "https://" STR_FMT ":%lld", STR_ARG(json_str(v, "spec.externalName")), (long long)p->port);
        return ENDPOINT_FOUND;
    }
    if (val_is(ports, VAL_ARR))
        val_each(x, ports)
            if (json_int(x, "port", 0) == p->port)
                found = x;
    if (!found)
        return ENDPOINT_NO_PORT;
    *ret_port = s.port_name = json_str(found, "name").at ? json_str(found, "name") : STR("");
    store_list(api->store, &slices, look_at_slice, &s);
    *ret_url = s.url;
    return s.url ? ENDPOINT_FOUND : s.slices ? ENDPOINT_NO_ADDRESS : ENDPOINT_NO_SLICES;
}
