/* nodes.c - nodes in other processes: where they listen, one client for each, and requests sent on to them. A node's answer counts only when its
 * certificate is that node's, whatever address its Node object shows. */
#include "api-internal.h"
#include "api/node_paths.h"
#include "base/http_words.h"
#include "http/client.h"

struct node_client {
    char *name, *url;
    struct http_client *http;
    struct node_client *retired;        /* next of those whose address has changed */
};

struct api_nodes {
    struct map clients;                 /* name -> struct node_client */
    struct node_client *retired;
};

static void client_free(struct node_client *c)
{
    http_client_free(c->http);
    mem_free(c->name);
    mem_free(c->url);
    mem_free(c);
}

struct api_nodes *api_nodes_new(void)
{
    return mem_alloc(sizeof(struct api_nodes));
}

void api_nodes_free(struct api_nodes *n)
{
    size_t at = 0;
    void *v;
    if (!n)
        return;
    while (map_next(&n->clients, &at, NULL, &v))
        client_free(v);
    map_free(&n->clients);
    for (struct node_client *c = n->retired, *next; c; c = next) {
        next = c->retired;
        client_free(c);
    }
    mem_free(n);
}

/* Requests under way keep their client; those without any can go. */
static void sweep(struct api_nodes *n)
{
    for (struct node_client **at = &n->retired; *at;) {
        struct node_client *c = *at;
        if (!http_client_idle(c->http)) {
            at = &c->retired;
            continue;
        }
        *at = c->retired;
        client_free(c);
    }
}

/* As kubeadm has it: internal addresses before external ones before names. */
static struct str address_of(const struct val *node)
{
    static const char *const types[] = { "InternalIP", "ExternalIP", "Hostname", "InternalDNS", "ExternalDNS" };
    const struct val *list = json_path(node, "status.addresses");
    for (size_t i = 0; i < sizeof types / sizeof *types && val_is(list, VAL_ARR); i++)
        val_each(a, list)
            if (str_is(json_str(a, "type"), types[i]) && json_str(a, "address").len)
                return json_str(a, "address");
    return STR_NONE;
}

static const char *url_of(struct api *api, struct arena *a, struct str name)
{
    struct api_error ignored = { 0 };
    struct store_object *o = store_get(api->store, STR("/nodes"), STR(""), name);
    struct val *v = o ? api_tree(a, o, &ignored) : NULL;
    struct str address = address_of(v);
    int64_t port = json_int(v, "status.daemonEndpoints.kubeletEndpoint.Port", 0);
    if (!v || !address.len || port < 1 || port > 65535)
        return NULL;
    bool v6 = str_find(address, ':') >= 0;
    return arena_printf(a, "https://%s" STR_FMT "%s:%d", v6 ? "[" : "", STR_ARG(address), v6 ? "]" : "", (int)port);
}

static struct node_client *client_new(struct api *api, struct str name, const char *url, struct kl_err *err)
{
    const struct api_conf *conf = &api->conf;
    struct node_client *c = mem_alloc(sizeof *c);
    if (c) {
        c->name = mem_dup(name.at, name.len);
        c->url = mem_dup(url, strlen(url));
    }
    struct http_client_conf hc = { .url = url, .server_name = c ? c->name : NULL, .ca_file = conf->node_ca_file, .cert_file = conf->node_cert_file,
                                   .key_file = conf->node_key_file };
    int rc = c && c->name && c->url ? http_client_new(api->loop, &hc, &c->http, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc == 0 && !map_put(&api->nodes->clients, str_of(c->name), c))
        rc = kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc < 0 && c)
        client_free(c);
    return rc < 0 ? NULL : c;
}

struct http_client *api_node_client(struct api *api, struct arena *a, struct str name, struct kl_err *err)
{
    struct api_nodes *n = api->nodes;
    const char *url = url_of(api, a, name);
    sweep(n);
    if (!url || !api->conf.node_ca_file) {
        kl_err_set(err, KL_UNAVAILABLE, "node '" STR_FMT "' cannot be reached from this server: its Node object shows no address and port",
                   STR_ARG(name));
        return NULL;
    }
    struct node_client *c = map_get(&n->clients, name);
    if (c && strcmp(c->url, url) == 0)
        return c->http;
    if (c) {
        map_del(&n->clients, name);
        c->retired = n->retired;
        n->retired = c;
    }
    c = client_new(api, name, url, err);
    return c ? c->http : NULL;
}

/* What a kubelet says is text: it becomes a Status as upstream's server makes one. A node of ours says a Status itself. */
static void tell_failure(void *ctx, int status, struct str type, struct str body)
{
    struct api_rq *rq = ctx;
    struct api_error *e = &rq->err;
    const char *text = arena_dup(rq->arena, body);
    if (str_starts(type, STR("application/json")) && (e->status = json_parse(rq->arena, body, NULL)) && str_is(json_str(e->status, "kind"), "Status"))
        ;
    else if (status == 400)
        api_fail(e, rq->arena, KL_BAD_REQUEST, "%s", text);
    else if (status == 500)
        api_fail(e, rq->arena, KL_INTERNAL, "Internal error occurred: %s", text);
    else
        api_fail(e, rq->arena, status > 500 ? KL_INTERNAL : status == 404 ? KL_NOT_FOUND : KL_BAD_REQUEST, "%s ( pods/log %s)",
                 http_words(rq->arena, (uint32_t)status, body), rq->info.tuple.name);
    e->http = status;
    api_send_error(rq);
}

void api_node_send(struct api_rq *rq, struct str name, const char *path, bool told)
{
    struct kl_err err;
    kl_err_init(&err);
    struct http_client *c = api_node_client(rq->api, rq->arena, name, &err);
    if (c) {
        static const char *const own[] = { "accept", NULL };    /* the answer's form is between this server and its client */
        struct http_header *answer = arena_alloc(rq->arena, API_HEADERS * sizeof *answer);
        struct str at = http_path(rq->http), rest = rq->info.rest;
        bool proxied = strcmp(rq->info.tuple.subresource, "proxy") == 0;    /* what the node says of its own paths is below ours */
        http_proxy_as(rq->http, c, &(struct http_proxy_conf){ .path_and_query = path, .without = told ? own : NULL, .failed = told ? tell_failure : NULL, .ctx = rq,
                                                               .answer = answer, .n_answer = answer ? api_headers(rq, answer, NULL) : 0,
                                                               .below = proxied ? arena_dup(rq->arena, str_n(at.at, at.len - (rest.at ? rest.len + 1 : 0))) : NULL });
        return;
    }
    api_fail_err(&rq->err, rq->arena, &err);
    api_send_error(rq);
}

/* --- a node of this process --- */

struct local {
    struct node_paths paths;
    struct api *api;
    struct arena *arena;
    struct str name;
};

static const struct kl_node *local_node(void *ctx, void **ret_self)
{
    const struct local *l = ctx;
    const struct api_hooks *h = &l->api->hooks;
    return h->node ? h->node(h->ctx, l->name, ret_self) : NULL;
}

struct podding {
    struct buf *out;
    struct selector *mine;
    bool any;
};

static bool add_pod(void *ctx, struct store_object *o)
{
    struct podding *p = ctx;
    if (!selector_matches_text(p->mine, store_object_json(o)))
        return true;
    if (p->any)
        buf_add_c(p->out, ',');
    p->any = true;
    buf_add_str(p->out, store_object_json(o));
    return true;
}

static void local_pods(void *ctx, struct buf *b)
{
    const struct local *l = ctx;
    struct store_range r = { .resource = STR("/pods") };
    struct kl_err err;
    kl_err_init(&err);
    char *text = arena_printf(l->arena, "spec.nodeName=" STR_FMT, STR_ARG(l->name));
    struct podding p = { b, text ? selector_parse_fields(l->arena, schema_resource_by_name(STR("/pods")), str_of(text), &err) : NULL, false };
    buf_add_z(b, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[");
    if (p.mine)
        store_list(l->api->store, &r, add_pod, &p);
    buf_add_z(b, "]}\n");
}

bool api_node_here(struct api *api, struct http_req *r, struct str name, struct str path)
{
    struct arena *a = http_arena(r);
    struct local *l = arena_alloc(a, sizeof *l);
    struct str copy = arena_str(a, name);
    if (!l || !copy.at)
        return false;
    *l = (struct local){ { .streams = api->streams, .ctx = l, .node = local_node, .pods = local_pods }, api, a, copy };
    node_paths_serve(&l->paths, r, path);
    return true;
}

/* A command in a container is as much as the node itself: who only may `get` the proxy does not get there by a method that a WebSocket has. Calls of plugins are the
 * server's own. */
static int check_path(struct api_rq *rq, struct str path)
{
    struct kl_request t = rq->info.tuple;
    struct node_path p;
    if (!node_path_split(rq->arena, path, &p) || (p.n && strcmp(p.seg[0], "keelson") == 0))
        return api_fail(&rq->err, rq->arena, KL_NOT_FOUND, "404 page not found");
    t.verb = "create";
    return node_path_runs(&p) ? api_authorize_as(rq, &rq->user, &t) : 0;
}

/* nodes/NAME/proxy/REST: whatever the node's port answers to. */
void api_node_proxy(struct api_rq *rq, struct str name)
{
    struct str rest = rq->info.rest, query = http_query(rq->http);
    while (rest.len && rest.at[0] == '/')
        rest = str_skip(rest, 1);
    void *self;
    char *path = arena_printf(rq->arena, "/" STR_FMT, STR_ARG(rest));
    int rc = path ? check_path(rq, str_of(path)) : api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory");
    if (rc == 0 && rq->api->hooks.node && rq->api->hooks.node(rq->api->hooks.ctx, name, &self)) {
        if (api_node_here(rq->api, rq->http, name, str_of(path)))
            return;
        rc = api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory");
    }
    if (rc == 0)
        api_node_send(rq, name, arena_printf(rq->arena, "%s%s" STR_FMT, path, query.len ? "?" : "", STR_ARG(query)), false);
    else
        api_send_error(rq);
}
