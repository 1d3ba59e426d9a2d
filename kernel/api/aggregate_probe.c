/* aggregate_probe.c - where a remote group's server is, and whether it answers: asked when something changed, and every half minute. What it answers
 * is what discovery shows. */
#include "aggregate.h"

#include "base/clock.h"
#include "base/env.h"
#include "base/log.h"

#define PROBE_NS   (30 * NS_PER_S)
#define TIMEOUT_NS (6 * NS_PER_S)
#define FIRST_NS   (1 * NS_PER_S)       /* after a failure; doubled up to PROBE_NS */
#define OPENAPI_EVERY 10                /* probes */

struct old_client {
    struct list link;
    struct http_client *client;
};

/* --- writing as the server itself --- */

static const char *const groups[] = { "system:masters", NULL };
static const struct kl_user user = { .size = sizeof user, .name = "system:kube-aggregator", .uid = "", .groups = groups };

int aggregate_write(struct api *api, struct arena *a, struct val *object, const char *verb, const char *subresource)
{
    struct kl_err err;
    struct api_op op = { .api = api, .arena = a, .user = &user, .kind = schema_resource_by_name(STR(APISERVICES)), .subresource = subresource,
                         .name = json_str(object, "metadata.name"), .grace_s = -1 };
    kl_err_init(&err);
    int rc;
    if (strcmp(verb, "delete") == 0)
        rc = api_op_delete(&op);
    else if (strcmp(verb, "create") == 0)
        rc = object_conform(a, op.kind->type, object, NULL, &err) < 0 ? -1 : api_op_create(&op, object);
    else
        rc = api_op_update(&op, object);
    if (rc < 0 && op.err.code != KL_CONFLICT && op.err.code != KL_NOT_FOUND && op.err.code != KL_ALREADY_EXISTS)
        log_warn("api", "APIService '" STR_FMT "': %s", STR_ARG(op.name), op.err.message ? op.err.message : err.msg);
    return rc;
}

static struct val *available_of(const struct val *v)
{
    struct val *list = json_path(v, "status.conditions");
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_is(json_str(c, "type"), "Available"))
                return c;
    return NULL;
}

void aggregate_say(struct api *api, struct str name, bool available, const char *reason, const char *message)
{
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    struct store_object *o = store_head(api->store, STR(APISERVICES), STR(""), name);
    struct val *v = a && o ? json_parse(a, store_object_json(o), NULL) : NULL, *c = available_of(v);
    struct str status = available ? STR("True") : STR("False");
    char now[CLOCK_TEXT];
    if (!v)
        return;
    bool turned = !str_eq(json_str(c, "status"), status);
    if (!turned && str_is(json_str(c, "reason"), reason) && str_is(json_str(c, "message"), message))
        return;
    if (!c) {
        c = val_push(json_arr(a, json_obj(a, v, STR("status")), STR("conditions")), val_new(a, VAL_OBJ));
        json_set_str(a, c, STR("type"), STR("Available"));
    }
    clock_format(env_wall_ns(), now);
    json_set_str(a, c, STR("status"), status);
    if (turned)
        json_set_str(a, c, STR("lastTransitionTime"), str_of(now));
    json_set_str(a, c, STR("reason"), str_of(reason));
    json_set_str(a, c, STR("message"), str_of(message));
    if (!arena_exhausted(a))
        aggregate_write(api, a, v, "update", "status");
}

static void say(struct aggregated *g, bool available, const char *reason, const char *message)
{
    if (g->available != available)
        log_info("api", "APIService '%s' is %s: %s", g->name, available ? "available" : "not available", message);
    g->available = available;
    g->known = true;
    aggregate_say(g->of->api, str_of(g->name), available, reason, message);
}

/* --- clients of before --- */

void aggregate_retire(struct aggregates *x, struct http_client *c)
{
    struct old_client *o = c ? mem_alloc(sizeof *o) : NULL;
    if (!o) {
        http_client_free(c);
        return;
    }
    o->client = c;
    list_push(&x->retired, &o->link);
}

void aggregate_sweep(struct aggregates *x, bool all)
{
    list_each(n, &x->retired)
    {
        struct old_client *o = list_item(n, struct old_client, link);
        if (!all && !http_client_idle(o->client))
            continue;
        list_remove(&o->link);
        http_client_free(o->client);
        mem_free(o);
    }
}

/* --- the endpoint --- */

/* The URL, or NULL with why. */
static const char *find_endpoint(struct aggregated *g, struct arena *a, const char **reason, const char **message)
{
    struct api_service_port p = { str_of(g->ns), str_of(g->service), g->port, g->url };
    struct str port;
    const char *url;
    switch (api_endpoint_find(g->of->api, a, &p, &url, &port)) {
    case ENDPOINT_FOUND: break;
    case ENDPOINT_NO_SERVICE:
        *reason = "ServiceNotFound";
        *message = arena_printf(a, "service/%s in \"%s\" is not present", g->service, g->ns);
        break;
    case ENDPOINT_NO_PORT:
        *reason = "ServicePortError";
        *message = arena_printf(a, "service/%s in \"%s\" is not listening on port %lld", g->service, g->ns, (long long)g->port);
        break;
    case ENDPOINT_NO_SLICES:
        *reason = "EndpointsNotFound";
        *message = arena_printf(a, "cannot find endpointslices for service/%s in \"%s\"", g->service, g->ns);
        break;
    case ENDPOINT_NO_ADDRESS:
        *reason = "MissingEndpoints";
        *message = arena_printf(a, "endpoints for service/%s in \"%s\" have no addresses with port name \"" STR_FMT "\"", g->service, g->ns,
                                STR_ARG(port));
        break;
    }
    return url;
}

static bool connect_to(struct aggregated *g, const char *url, struct kl_err *err)
{
    const struct api_conf *conf = &g->of->api->conf;
    struct http_client_conf hc = { .url = url, .server_name = g->server_name, .ca = g->ca, .insecure = g->insecure,
                                   .cert_file = conf->front_proxy_cert_file, .key_file = conf->front_proxy_key_file };
    struct http_client *c = NULL;
    char *copy = mem_dup(url, strlen(url));
    if (!copy || http_client_new(g->of->api->loop, &hc, &c, err) < 0) {
        mem_free(copy);
        return false;
    }
    g->client = c;
    g->url = copy;
    return true;
}

static void leave(struct aggregated *g)
{
    aggregate_probe_end(g);
    aggregate_retire(g->of, g->client);
    mem_free(g->url);
    g->client = NULL;
    g->url = NULL;
}

bool aggregate_resolve(struct aggregated *g)
{
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    struct kl_err err;
    const char *reason = "FailedDiscoveryCheck", *message = "out of memory";
    const char *url = a ? find_endpoint(g, a, &reason, &message) : NULL;
    kl_err_init(&err);
    if (url && g->url && strcmp(g->url, url) == 0)
        return false;
    leave(g);
    if (!url) {
        say(g, false, reason, message ? message : "out of memory");
        return false;
    }
    if (connect_to(g, url, &err))
        return true;
    say(g, false, "FailedDiscoveryCheck", err.msg);
    return false;
}

/* --- asking --- */

static void ask(struct aggregated *g, const char *path, bool openapi);

static void on_timer(void *ctx)
{
    aggregate_probe(ctx);
}

static void ask_again(struct aggregated *g, bool well)
{
    int64_t wait = FIRST_NS << (g->failures < 5 ? g->failures : 5);
    g->failures = well ? 0 : g->failures + 1;
    if (well || wait > PROBE_NS)
        wait = PROBE_NS;
    loop_timer_start(g->of->api->loop, &g->timer, wait, on_timer, g);
}

static void keep_text(char **at, struct str s)
{
    mem_free(*at);
    *at = s.len ? mem_dup(s.at, s.len) : NULL;
}

/* The index of its OpenAPI v3 documents says where its own is; a server without one is well nevertheless. */
static void take_index(struct aggregated *g)
{
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    struct val *v = a && g->status == 200 ? json_parse(a, buf_str(&g->body), NULL) : NULL;
    char key[600];
    snprintf(key, sizeof key, "apis/%s", g->key);
    struct str url = json_str(json_get(json_get(v, STR("paths")), str_of(key)), "serverRelativeURL");
    keep_text(&g->openapi, url.len && url.at[0] == '/' ? url : STR_NONE);
    g->until_openapi = OPENAPI_EVERY;
}

static void take_resources(struct aggregated *g)
{
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    struct val *v = a ? json_parse(a, buf_str(&g->body), NULL) : NULL;
    if (val_is(json_get(v, STR("resources")), VAL_ARR))
        keep_text(&g->resources, buf_str(&g->body));
}

static void on_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    (void)h;
    (void)n;
    ((struct aggregated *)ctx)->status = status;
}

static void on_data(void *ctx, struct str bytes)
{
    buf_add_str(&((struct aggregated *)ctx)->body, bytes);
}

static void on_end(void *ctx, const struct kl_err *err)
{
    struct aggregated *g = ctx;
    char message[600];
    g->probe = NULL;
    if (g->probing_openapi) {
        take_index(g);
        ask_again(g, true);
        return;
    }
    if (!err && g->status >= 200 && g->status < 300 && !g->body.failed) {
        take_resources(g);
        say(g, true, "Passed", "all checks passed");
        if (g->until_openapi-- == 0)
            ask(g, "/openapi/v3", true);
        else
            ask_again(g, true);
        return;
    }
    if (err)
        snprintf(message, sizeof message, "failing or missing response from %s/apis/%s: Get \"%s/apis/%s\": %s", g->url, g->key, g->url, g->key, err->msg);
    else
        snprintf(message, sizeof message, "failing or missing response from %s/apis/%s: bad status from %s/apis/%s: %d", g->url, g->key, g->url, g->key,
                 g->status);
    g->until_openapi = 0;
    say(g, false, "FailedDiscoveryCheck", message);
    ask_again(g, false);
}

static void ask(struct aggregated *g, const char *path, bool openapi)
{
    static const struct http_result_events ev = { on_head, on_data, on_end };
    const struct http_header h[] = { { STR("accept"), STR("application/json") }, { STR("x-remote-user"), STR("system:kube-aggregator") },
                                     { STR("x-remote-group"), STR("system:masters") } };
    buf_clear(&g->body);
    g->status = 0;
    g->probing_openapi = openapi;
    g->probe = http_call_new(g->client, "GET", path, h, 3, STR(""), TIMEOUT_NS, &ev, g);
    if (!g->probe)
        ask_again(g, false);
}

void aggregate_probe(struct aggregated *g)
{
    char path[620];
    loop_timer_stop(&g->timer);
    if (!g->client)
        aggregate_resolve(g);
    if (!g->client || g->probe)
        return;                         /* events of its Service and slices bring us back */
    snprintf(path, sizeof path, "/apis/%s", g->key);
    ask(g, path, false);
}

void aggregate_probe_end(struct aggregated *g)
{
    if (g->probe)
        http_call_cancel(g->probe);
    g->probe = NULL;
    buf_free(&g->body);
    g->body = (struct buf)BUF_INIT(4u << 20);
}
