/* proxy.c - pods/proxy, services/proxy, nodes/proxy (each NAME, NAME:PORT or SCHEME:NAME:PORT): a request goes on to where the object says, below a path of its own. The address comes from
 * the object, never from the client. A client per user and address keeps its connections for a while. */
#include <arpa/inet.h>

#include "api-internal.h"
#include "base/env.h"
#include "http/client.h"

#define CLIENTS_MOST 64
#define KEPT_NS      (60 * NS_PER_S)
#define SWEEP_NS     (30 * NS_PER_S)

struct proxy_client {
    struct list link;                   /* oldest use first */
    struct http_client *http;
    char *key;
    int64_t used_ns;
};

struct proxies {
    struct loop *loop;
    struct list clients;
    unsigned n;
    struct loop_timer sweep;
};

/* --- clients --- */

static void drop(struct proxies *p, struct proxy_client *c)
{
    list_remove(&c->link);
    p->n--;
    http_client_free(c->http);
    mem_free(c->key);
    mem_free(c);
}

static void sweep(void *ctx)
{
    struct proxies *p = ctx;
    int64_t before = loop_now(p->loop) - KEPT_NS;
    list_each(n, &p->clients)
    {
        struct proxy_client *c = list_item(n, struct proxy_client, link);
        if (c->used_ns < before && http_client_idle(c->http))
            drop(p, c);
    }
    if (p->n)
        loop_timer_start(p->loop, &p->sweep, SWEEP_NS, sweep, p);
}

void api_proxies_free(struct proxies *p)
{
    if (!p)
        return;
    loop_timer_stop(&p->sweep);
    list_each(n, &p->clients)
        drop(p, list_item(n, struct proxy_client, link));
    mem_free(p);
}

static struct proxy_client *find(struct proxies *p, const char *key)
{
    list_each(n, &p->clients)
        if (strcmp(list_item(n, struct proxy_client, link)->key, key) == 0)
            return list_item(n, struct proxy_client, link);
    return NULL;
}

/* Room for one more: the longest unused that is idle goes. */
static bool make_room(struct proxies *p)
{
    list_each(n, &p->clients)
    {
        struct proxy_client *c = list_item(n, struct proxy_client, link);
        if (p->n < CLIENTS_MOST)
            return true;
        if (http_client_idle(c->http))
            drop(p, c);
    }
    return p->n < CLIENTS_MOST;
}

static struct proxy_client *add(struct proxies *p, const char *key, const char *url, struct kl_err *err)
{
    struct http_client_conf hc = { .url = url, .insecure = true, .http1 = true };
    struct proxy_client *c = make_room(p) ? mem_alloc(sizeof *c) : NULL;
    if (!c) {
        kl_err_set(err, KL_TOO_MANY_REQUESTS, "too many proxied addresses at once");
        return NULL;
    }
    c->key = mem_dup(key, strlen(key));
    int rc = c->key ? http_client_new(p->loop, &hc, &c->http, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc < 0) {
        mem_free(c->key);
        mem_free(c);
        return NULL;
    }
    list_push(&p->clients, &c->link);
    if (p->n++ == 0)
        loop_timer_start(p->loop, &p->sweep, SWEEP_NS, sweep, p);
    return c;
}

/* No connection is ever shared between users. */
static struct http_client *client_for(struct api_rq *rq, const char *url, struct kl_err *err)
{
    struct proxies *p = rq->api->proxies;
    const char *key = arena_printf(rq->arena, "%s %s", url, rq->user.name);
    if (!p && (p = rq->api->proxies = mem_alloc(sizeof *p))) {
        p->loop = rq->api->loop;
        list_init(&p->clients);
    }
    if (!p || !key) {
        kl_err_set(err, KL_NO_MEMORY, "out of memory");
        return NULL;
    }
    struct proxy_client *c = find(p, key);
    if (!c && !(c = add(p, key, url, err)))
        return NULL;
    c->used_ns = loop_now(p->loop);
    list_remove(&c->link);
    list_push(&p->clients, &c->link);
    return c->http;
}

/* --- where to --- */

struct where {
    struct str scheme, name, port;      /* of "name", "name:port" or "scheme:name:port" */
    const char *host;
    int64_t number;
};

static bool split_name(struct str id, struct where *w)
{
    struct str part[3] = { STR_NONE, STR_NONE, STR_NONE };
    unsigned n = 0;
    while (id.at && n < 3)
        part[n++] = str_cut(&id, ':');
    *w = (struct where){ .scheme = n == 3 ? part[0] : STR(""), .name = n == 3 ? part[1] : part[0], .port = n == 3 ? part[2] : n == 2 ? part[1] : STR("") };
    bool known = !w->scheme.len || str_is(w->scheme, "http") || str_is(w->scheme, "https");
    return !id.at && known && w->name.len;
}

static int unavailable(struct api_rq *rq, const char *text)
{
    api_fail(&rq->err, rq->arena, KL_UNAVAILABLE, "%s", text);
    rq->err.retry_after = 0;            /* asking again at once would not help */
    return -KL_UNAVAILABLE;
}

/* What no cluster's workload answers on: the server's own loopback, link-local (metadata services), multicast. */
static int check_address(struct api_rq *rq, struct where *w, struct str ip)
{
    struct in_addr in;
    w->host = arena_dup(rq->arena, ip);
    if (!w->host || inet_pton(AF_INET, w->host, &in) != 1)
        return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "address not allowed");
    uint32_t a = ntohl(in.s_addr);
    if (a >> 24 == 127 || a >> 24 == 0 || a >> 16 == 0xa9fe || a >> 28 >= 14)
        return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "address not allowed");
    return 0;
}

static struct val *get(struct api_rq *rq, const char *resource, struct str name)
{
    struct store_object *o = store_get(rq->api->store, str_of(resource), str_of(rq->info.tuple.ns), name);
    return o ? api_tree(rq->arena, o, &rq->err) : NULL;
}

static int pod_where(struct api_rq *rq, struct where *w)
{
    struct val *pod = get(rq, "/pods", w->name), *all = json_path(pod, "spec.containers");
    if (!pod)
        return rq->err.code ? -rq->err.code : api_fail_not_found(&rq->err, rq->arena, rq->info.kind, w->name);
    w->number = str_is(w->scheme, "https") ? 443 : 80;
    if (w->port.len && (!str_int(w->port, &w->number) || w->number < 1 || w->number > 65535))
        return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "invalid pod request \"%s\"", rq->info.tuple.name);
    for (struct val *c = !w->port.len && val_is(all, VAL_ARR) ? all->first : NULL; c; c = c->next) {
        struct val *ports = json_get(c, STR("ports"));
        if (!val_is(ports, VAL_ARR) || !ports->n)
            continue;
        w->number = json_int(ports->first, "containerPort", w->number);
        break;
    }
    return check_address(rq, w, json_str(pod, "status.podIP"));
}

/* The name of the Service's port; "" is the name of an only one. */
static int port_name(struct api_rq *rq, const struct where *w, const struct val *service, struct str *ret)
{
    const struct val *ports = json_path(service, "spec.ports");
    int64_t number;
    *ret = w->port;
    if (!str_int(w->port, &number))
        return 0;
    if (val_is(ports, VAL_ARR))
        val_each(p, ports)
            if (json_int(p, "port", 0) == number) {
                *ret = json_str(p, "name");
                return 0;
            }
    return unavailable(rq, arena_printf(rq->arena, "no service port %lld found for service \"" STR_FMT "\"", (long long)number, STR_ARG(w->name)));
}

static bool endpoint_of(const struct val *subset, struct str name, struct where *w, struct str *ret_ip)
{
    const struct val *ports = json_get(subset, STR("ports")), *addresses = json_get(subset, STR("addresses"));
    uint32_t any;
    if (!val_is(ports, VAL_ARR) || !val_is(addresses, VAL_ARR) || !addresses->n)
        return false;
    val_each(p, ports)
    {
        if (!str_eq(json_str(p, "name"), name))
            continue;
        env_random(&any, sizeof any);
        const struct val *a = addresses->first;
        for (any %= addresses->n; any; any--)
            a = a->next;
        w->number = json_int(p, "port", 0);
        *ret_ip = json_str(a, "ip");
        return w->number > 0;
    }
    return false;
}

static int service_where(struct api_rq *rq, struct where *w)
{
    struct val *service = get(rq, "/services", w->name), *subsets = json_path(get(rq, "/endpoints", w->name), "subsets");
    struct str name, ip = STR_NONE;
    if (!service)
        return rq->err.code ? -rq->err.code : api_fail_not_found(&rq->err, rq->arena, rq->info.kind, w->name);
    int rc = port_name(rq, w, service, &name);
    if (rc < 0)
        return rc;
    if (val_is(subsets, VAL_ARR))
        val_each(s, subsets)
            if (endpoint_of(s, name, w, &ip))
                return check_address(rq, w, ip);
    return unavailable(rq, arena_printf(rq->arena, "no endpoints available for service \"%s\"", rq->info.tuple.name));
}

/* The node's own port is its kubelet's (0: not known); any other is whatever listens there. */
#define KUBELET_PORT 10250              /* where clients look for a node that shows no port */

static int node_where(struct api_rq *rq, struct where *w, bool *ret_kubelet)
{
    struct val *node = get(rq, "/nodes", w->name), *all = json_path(node, "status.addresses");
    struct str ip = STR_NONE;
    if (!node)
        return rq->err.code ? -rq->err.code : api_fail_not_found(&rq->err, rq->arena, rq->info.kind, w->name);
    int64_t kubelet = json_int(node, "status.daemonEndpoints.kubeletEndpoint.Port", 0);
    kubelet = kubelet ? kubelet : KUBELET_PORT;
    *ret_kubelet = !w->port.len || (str_int(w->port, &w->number) && w->number == kubelet);
    if (*ret_kubelet)
        return 0;
    if (!str_int(w->port, &w->number) || w->number < 1 || w->number > 65535)
        return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "invalid node request \"%s\"", rq->info.tuple.name);
    if (val_is(all, VAL_ARR))
        val_each(x, all)
            if (!ip.at && str_is(json_str(x, "type"), "InternalIP"))
                ip = json_str(x, "address");
    return check_address(rq, w, ip);
}

/* --- the gate --- */

/* /proxy without a slash behind it: pages would take their relative links from the wrong place. */
static bool redirect(struct api_rq *rq)
{
    struct str method = http_method(rq->http), query = http_query(rq->http);
    if (rq->info.rest.at || (!str_is(method, "GET") && !str_is(method, "HEAD")) || remote_wanted(rq->http))
        return false;
    struct http_header h[API_HEADERS + 1];
    unsigned n = api_headers(rq, h, NULL);
    char *to = arena_printf(rq->arena, STR_FMT "/%s" STR_FMT, STR_ARG(http_path(rq->http)), query.len ? "?" : "", STR_ARG(query));
    h[n++] = (struct http_header){ STR("location"), str_of(to) };
    http_reply(rq->http, 301, h, n, (struct http_slice){ .data = STR("") });
    return true;
}

static void go(struct api_rq *rq, const struct where *w)
{
    struct kl_err err;
    kl_err_init(&err);
    struct str path = http_path(rq->http), rest = rq->info.rest, query = http_query(rq->http);
    struct str prefix = str_n(path.at, path.len - (rest.at ? rest.len + 1 : 0));
    char *url = arena_printf(rq->arena, "%s://%s:%lld", str_is(w->scheme, "https") ? "https" : "http", w->host, (long long)w->number);
    char *to = arena_printf(rq->arena, "/" STR_FMT "%s" STR_FMT, STR_ARG(rest), query.len ? "?" : "", STR_ARG(query));
    char *below = arena_dup(rq->arena, prefix);
    struct http_client *c = url && to && below ? client_for(rq, url, &err) : NULL;
    if (c) {
        struct http_header *answer = arena_alloc(rq->arena, API_HEADERS * sizeof *answer);
        http_proxy_as(rq->http, c, &(struct http_proxy_conf){ .path_and_query = to, .below = below, .answer = answer,
                                                               .n_answer = answer ? api_headers(rq, answer, NULL) : 0 });
        return;
    }
    if (!err.code)
        kl_err_set(&err, KL_NO_MEMORY, "out of memory");
    api_fail_err(&rq->err, rq->arena, &err);
    api_send_error(rq);
}

void api_proxy(struct api_rq *rq)
{
    const struct kl_request *t = &rq->info.tuple;
    struct where w;
    int rc;
    bool node = strcmp(t->resource, "nodes") == 0, pod = strcmp(t->resource, "pods") == 0, kubelet = false;
    if (!split_name(str_of(t->name), &w))
        rc = api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "invalid %s request \"%s\"", node ? "node" : pod ? "pod" : "service", t->name);
    else
        rc = node ? node_where(rq, &w, &kubelet) : pod ? pod_where(rq, &w) : service_where(rq, &w);
    if (rc < 0)
        api_send_error(rq);
    else if (redirect(rq))
        return;
    else if (kubelet)
        api_node_proxy(rq, w.name);
    else
        go(rq, &w);
}
