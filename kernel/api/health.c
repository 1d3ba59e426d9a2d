/* health.c - documents that are no resources: /version, /healthz, /livez, /readyz, /metrics, /debug, /. */
#include "api-internal.h"

static void send_version(struct api_rq *rq)
{
    struct arena *a = rq->arena;
    struct val *v = val_new(a, VAL_OBJ);
    static const char *const rows[][2] = { { "major", "1" }, { "minor", "36" }, { "gitVersion", NULL }, { "gitCommit", "" },
                                           { "gitTreeState", "clean" }, { "buildDate", "1970-01-01T00:00:00Z" }, { "goVersion", "none" },
                                           { "compiler", "gcc" }, { "platform", "linux/amd64" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        json_set_str(a, v, str_of(rows[i][0]), str_of(rows[i][1] ? rows[i][1] : rq->api->conf.version));
    rq->accept.media = MEDIA_JSON;
    rq->pretty = true;
    api_send_tree(rq, 200, NULL, v);
}

static bool excluded(struct api_rq *rq, const char *name)
{
    struct str query = http_query(rq->http), key, value;
    while (http_query_next(rq->arena, &query, &key, &value))
        if (str_is(key, "exclude") && str_is(value, name))
            return true;
    return false;
}

static bool has_param(struct api_rq *rq, const char *name)
{
    struct str query = http_query(rq->http), key, value;
    while (http_query_next(rq->arena, &query, &key, &value))
        if (str_is(key, name))
            return true;
    return false;
}

static void send_health(struct api_rq *rq, const char *path, bool readiness)
{
    _cleanup_buf_ struct buf b = BUF_INIT(16 << 10);
    /* Whoever is killed for a full disk cannot free it: what is in trouble lives all the same. */
    bool well = true, living = str_is(str_of(path), "/livez");
    buf_lit(&b, "[+]ping ok\n");
    for (unsigned i = 0; i < rq->api->n_checks; i++) {
        const struct api_check *c = &rq->api->checks[i];
        const char *why = c->reason(c->ctx);
        if (excluded(rq, c->name))
            buf_printf(&b, "[+]%s excluded: ok\n", c->name);
        else if (why)
            buf_printf(&b, "[-]%s failed: %s%s\n", c->name, why, living ? " (does not count here)" : "");
        else
            buf_printf(&b, "[+]%s ok\n", c->name);
        well &= !why || living || excluded(rq, c->name);
    }
    if (readiness && !rq->api->ready) {
        buf_lit(&b, "[-]start failed: not finished\n");
        well = false;
    }
    buf_printf(&b, "%s check %s\n", path + 1, well ? "passed" : "failed");
    if (well && !has_param(rq, "verbose"))
        api_send_text(rq, 200, "text/plain; charset=utf-8", STR("ok"));
    else
        api_send_text(rq, well ? 200 : 500, "text/plain; charset=utf-8", buf_str(&b));
}

static void send_metrics(struct api_rq *rq)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 20);
    struct prom p = { .out = &b };
    const char *type = prom_negotiate(&p, http_header(rq->http, STR("accept")));
    metrics_write(rq->api, &p);
    api_send_text(rq, b.failed ? 500 : 200, type, buf_str(&b));
}

static void send_root(struct api_rq *rq)
{
    static const char *const fixed[] = { "/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/debug/plugins", "/healthz",
                                         "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version" };
    struct arena *a = rq->arena;
    struct val *v = val_new(a, VAL_OBJ), *list = json_arr(a, v, STR("paths"));
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        val_push(list, val_of_str(a, str_of(fixed[i])));
    rq->accept.media = MEDIA_JSON;
    rq->pretty = true;
    api_send_tree(rq, 200, NULL, v);
}

static bool send_debug(struct api_rq *rq, struct str what)
{
    struct val *v = rq->api->hooks.debug ? rq->api->hooks.debug(rq->api->hooks.ctx, rq->arena, what) : NULL;
    if (!v)
        return false;
    rq->accept.media = MEDIA_JSON;
    rq->pretty = true;
    api_send_tree(rq, 200, NULL, v);
    return true;
}

bool api_documents(struct api_rq *rq)
{
    struct str path = str_of(rq->info.tuple.path);
    if (str_is(path, "/version") || str_is(path, "/version/"))
        send_version(rq);
    else if (str_is(path, "/healthz") || str_is(path, "/livez") || str_is(path, "/readyz"))
        send_health(rq, rq->info.tuple.path, path.at[1] == 'r');
    else if (str_is(path, "/livez/ping") || str_is(path, "/healthz/ping") || str_is(path, "/readyz/ping"))
        api_send_text(rq, 200, "text/plain; charset=utf-8", STR("ok"));
    else if (str_is(path, "/metrics"))
        send_metrics(rq);
    else if (str_is(path, "/"))
        send_root(rq);
    else if (str_starts(path, STR("/debug/api_priority_and_fairness/")))
        return flow_dump(rq, str_skip(path, 33));
    else if (str_starts(path, STR("/debug/")))
        return send_debug(rq, str_skip(path, 7));
    else
        return api_discovery(rq) || api_openapi(rq) || api_issuer_documents(rq);
    return true;
}
