/* health.c - documents that are no resources: /version, /healthz, /livez, /readyz, /metrics, /debug, /. */
#include "api-internal.h"
#include "base/log.h"

static void send_version(struct api_rq *rq)
{
    struct arena *a = rq->arena;
    struct val *v = val_new(a, VAL_OBJ);
    static const char *const rows[][2] = { { "major", "1" }, { "minor", "36" }, { "emulationMajor", "1" }, { "emulationMinor", "36" },
                                           { "minCompatibilityMajor", "1" }, { "minCompatibilityMinor", "35" }, { "gitVersion", NULL }, { "gitCommit", "" },
                                           { "gitTreeState", "clean" }, { "buildDate", "1970-01-01T00:00:00Z" }, { "goVersion", "none" },
                                           { "compiler", "gcc" }, { "platform", "linux/amd64" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        json_set_str(a, v, str_of(rows[i][0]), str_of(rows[i][1] ? rows[i][1] : rq->api->conf.version));
    rq->accept.media = MEDIA_JSON;
    rq->pretty = true;
    api_send_tree(rq, 200, NULL, v);
}

/* --- health --- */

static const char *const names[] = { "healthz", "livez", "readyz" };    /* as CHECKS_... */

/* ?exclude=NAME, any number of them. Those that name nothing are told. */
static void read_excluded(struct api_rq *rq, const struct api_checked *at, unsigned n, bool skip[CHECKS_MOST], struct buf *unknown)
{
    struct str query = http_query(rq->http), key, value;
    while (http_query_next(rq->arena, &query, &key, &value)) {
        bool known = false;
        for (unsigned i = 0; i < n && str_is(key, "exclude"); i++)
            if (str_is(value, at[i].name))
                known = skip[i] = true;
        if (str_is(key, "exclude") && value.len && !known)
            buf_printf(unknown, "%s\"" STR_FMT "\"", unknown->len ? "," : "", STR_ARG(value));
    }
}

/* Why a check fails is the log's: whoever may look at /readyz need not know it. */
static void tell_failures(const char *name, const struct api_checked *at, unsigned n, const bool skip[CHECKS_MOST])
{
    for (unsigned i = 0; i < n; i++)
        if (at[i].why && !skip[i])
            log_info("api", "%s: check '%s' failed: %s", name, at[i].name, at[i].why);
}

static void send_health(struct api_rq *rq, const char *name, const struct api_checked *at, unsigned n)
{
    _cleanup_buf_ struct buf b = BUF_INIT(16 << 10), unknown = BUF_INIT(16 << 10);
    bool well = true, skip[CHECKS_MOST] = { false };
    read_excluded(rq, at, n, skip, &unknown);
    for (unsigned i = 0; i < n; i++) {
        if (skip[i])
            buf_printf(&b, "[+]%s excluded: ok\n", at[i].name);
        else if (at[i].why)
            buf_printf(&b, "[-]%s failed: reason withheld%s\n", at[i].name, at[i].spared ? ", and not counted" : "");
        else
            buf_printf(&b, "[+]%s ok\n", at[i].name);
        well &= skip[i] || at[i].spared || !at[i].why;
    }
    if (unknown.len)
        buf_printf(&b, "warn: some health checks cannot be excluded: no matches for " STR_FMT "\n", STR_ARG(buf_str(&unknown)));
    buf_printf(&b, "%s check %s\n", name, well ? "passed" : "failed");
    tell_failures(name, at, n, skip);
    if (well && !http_query_find(rq->arena, http_query(rq->http), "verbose").at)
        api_send_text(rq, 200, "text/plain; charset=utf-8", STR("ok"));
    else
        api_send_text(rq, well ? 200 : 500, "text/plain; charset=utf-8", buf_str(&b));
}

/* One check alone. */
static void send_check(struct api_rq *rq, const struct api_checked *c)
{
    if (!c->why) {
        struct http_header h[API_HEADERS];
        unsigned n = api_headers_without(h, api_headers(rq, h, "text/plain; charset=utf-8"), "x-content-type-options");
        http_reply(rq->http, 200, h, n, (struct http_slice){ .data = STR("ok") });
        return;
    }
    const char *text = arena_printf(rq->arena, "internal server error: %s\n", c->why);
    api_send_text(rq, 500, "text/plain; charset=utf-8", str_of(text ? text : ""));
}

/* "/readyz", "/livez/ping": true when it is one of them. */
static bool health(struct api_rq *rq, struct str path)
{
    struct api_checked at[CHECKS_MOST];
    struct str rest = str_skip(path, 1), name = str_cut(&rest, '/');
    for (int i = 0; i < 3; i++) {
        if (!str_is(name, names[i]))
            continue;
        unsigned n = api_checks(rq->api, 1u << i, at);
        if (!rest.at) {
            send_health(rq, names[i], at, n);
            return true;
        }
        for (unsigned k = 0; k < n; k++)
            if (str_is(rest, at[k].name)) {
                send_check(rq, &at[k]);
                return true;
            }
    }
    return false;
}

static void send_metrics(struct api_rq *rq, void (*write)(struct api *api, struct prom *p))
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 20);
    struct prom p = { .out = &b };
    const char *type = prom_negotiate(&p, http_header(rq->http, STR("accept")));
    write(rq->api, &p);
    api_send_text(rq, b.failed ? 500 : 200, type, buf_str(&b));
}

static void add_path(struct arena *a, struct val *set, const char *path)
{
    json_set_bool(a, set, str_of(path ? path : ""), true);
}

static void add_groups(struct arena *a, struct val *set)
{
    const char *group = "", *version = "";
    for (size_t i = 0; i < schema_n_kinds(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        bool same = strcmp(k->group, group) == 0;
        if (!same)
            add_path(a, set, arena_printf(a, "/apis/%s", k->group));
        if (k->group[0] && (!same || strcmp(k->version, version) != 0))
            add_path(a, set, arena_printf(a, "/apis/%s/%s", k->group, k->version));
        group = k->group;
        version = k->version;
    }
}

static void add_checks(struct api_rq *rq, int which, struct val *set)
{
    struct arena *a = rq->arena;
    struct api_checked at[CHECKS_MOST];
    unsigned n = api_checks(rq->api, 1u << which, at);
    add_path(a, set, arena_printf(a, "/%s", names[which]));
    for (unsigned i = 0; i < n; i++)
        add_path(a, set, arena_printf(a, "/%s/%s", names[which], at[i].name));
}

static void send_root(struct api_rq *rq)
{
    static const char *const fixed[] = { "/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/apis/", "/debug/plugins", "/flagz", "/metrics", "/metrics/slis",
                                         "/openapi/v2", "/openapi/v3", "/openapi/v3/", "/openid/v1/jwks", "/statusz", "/version" };
    struct arena *a = rq->arena;
    struct val *v = val_new(a, VAL_OBJ), *list = json_arr(a, v, STR("paths")), *set = val_new(a, VAL_OBJ);
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        add_path(a, set, fixed[i]);
    add_groups(a, set);
    for (int i = 0; i < 3; i++)
        add_checks(rq, i, set);
    json_sort(a, set);
    val_each(path, set) val_push(list, val_of_str(a, val_key(path)));
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
    bool version = str_is(path, "/version") || str_is(path, "/version/");
    const char *produces = version ? "application/json" : api_discovery_produces(rq, path);
    if (produces && !str_is(http_method(rq->http), "GET")) {
        api_fail_method(&rq->err, rq->arena);
        api_send_error(rq);
    } else if (produces && !api_routes(http_header(rq->http, STR("accept")), str_of(produces))) {
        api_fail_route(&rq->err, rq->arena, produces);
        api_send_error(rq);
    } else if (version)
        send_version(rq);
    else if (health(rq, path) || api_statusz(rq, path))
        return true;
    else if (str_is(path, "/metrics"))
        send_metrics(rq, metrics_write);
    else if (str_is(path, "/metrics/slis"))
        send_metrics(rq, metrics_write_slis);
    else if (str_is(path, "/") || str_is(path, "/index.html"))
        send_root(rq);
    else if (str_starts(path, STR("/debug/api_priority_and_fairness/")))
        return flow_dump(rq, str_skip(path, 33));
    else if (str_starts(path, STR("/debug/plugins/")))
        return api_plugins(rq, str_skip(path, 15));
    else if (str_starts(path, STR("/debug/")))
        return send_debug(rq, str_skip(path, 7));
    else
        return api_discovery(rq) || api_openapi(rq) || api_issuer_documents(rq);
    return true;
}
