/* aggregate_proxy.c - requests of a remote group go on to its server: with this server's front-proxy certificate, and who asks in X-Remote headers. The
 * client's own ones of that name never pass. */
#include "aggregate.h"

#include "base/env.h"

#define EXTRA_MOST 40

static const char *const withheld[] = { "x-remote-", "impersonate-", "x-forwarded-host", "x-forwarded-proto", NULL };

static bool name_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || memchr("!#$&'*+-.^_`|~", c, 14);
}

/* What cannot stand in a header's name is written as %XX; names have no case. */
static struct str extra_name(struct arena *a, const char *key)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    buf_add_z(&b, "x-remote-extra-");
    for (const char *p = key; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (name_char(c))
            buf_add_c(&b, c >= 'A' && c <= 'Z' ? (char)(c + 32) : (char)c);
        else
            buf_printf(&b, "%%%02x", c);
    }
    return arena_str(a, buf_str(&b));
}

static bool fits(const char *value)
{
    for (const char *p = value; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return false;
    return true;
}

static void add(struct http_header *h, unsigned *n, struct str name, const char *value)
{
    if (*n < EXTRA_MOST && value && fits(value))
        h[(*n)++] = (struct http_header){ name, str_of(value) };
}

static unsigned who(struct api_rq *rq, struct http_header *h)
{
    unsigned n = 0;
    add(h, &n, STR("x-remote-user"), rq->user.name);
    if (rq->user.uid && rq->user.uid[0])
        add(h, &n, STR("x-remote-uid"), rq->user.uid);
    for (const char *const *g = rq->user.groups; g && *g; g++)
        add(h, &n, STR("x-remote-group"), *g);
    for (const char *const *e = rq->user.extra; e && e[0] && e[1]; e += 2)
        add(h, &n, extra_name(rq->arena, e[0]), e[1]);
    return n;
}

static bool unavailable(struct api_rq *rq)
{
    api_send_text(rq, 503, "text/plain; charset=utf-8", STR("service unavailable\n"));
    return true;
}

/* --- right after a start nobody has been asked yet --- */

#define KNOWN_NS      (3 * NS_PER_S)
#define KNOWN_STEP_NS (20 * NS_PER_MS)

struct await {
    struct api_rq *rq;
    struct loop_timer timer;
    int64_t until_ns;
};

static struct aggregated *find(struct api_rq *rq);

static void on_gone(void *ctx)
{
    loop_timer_stop(&((struct await *)ctx)->timer);
}

static void look(void *ctx)
{
    struct await *w = ctx;
    struct loop *l = w->rq->api->loop;
    const struct aggregated *g = find(w->rq);
    if (g && !g->known && loop_now(l) < w->until_ns) {
        loop_timer_start(l, &w->timer, KNOWN_STEP_NS, look, w);
        return;
    }
    http_on_close(w->rq->http, NULL, NULL);
    if (!api_aggregated(w->rq))
        unavailable(w->rq);
}

static bool await_known(struct api_rq *rq)
{
    struct await *w = rq->awaited ? NULL : arena_alloc(rq->arena, sizeof *w);
    if (!w)
        return false;
    rq->awaited = true;
    *w = (struct await){ .rq = rq, .until_ns = loop_now(rq->api->loop) + KNOWN_NS };
    http_on_close(rq->http, on_gone, w);
    loop_timer_start(rq->api->loop, &w->timer, KNOWN_STEP_NS, look, w);
    return true;
}

static bool go(struct api_rq *rq, struct aggregated *g, const char *path)
{
    struct http_header h[EXTRA_MOST];
    if (!g->known && path && await_known(rq))
        return true;
    if (!g->available || !g->client || !path)
        return unavailable(rq);
    struct http_header *answer = arena_alloc(rq->arena, API_HEADERS * sizeof *answer);
    struct http_proxy_conf conf = { .path_and_query = path, .headers = h, .n_headers = who(rq, h), .without = withheld, .answer = answer, .final = true,
                                    .n_answer = answer ? api_headers(rq, answer, NULL) : 0 };
    if (conf.n_headers + 2 <= EXTRA_MOST) {
        h[conf.n_headers++] = (struct http_header){ STR("x-forwarded-host"), http_client_authority(g->client) };
        h[conf.n_headers++] = (struct http_header){ STR("x-forwarded-proto"), STR("https") };
    }
    http_proxy_as(rq->http, g->client, &conf);
    return true;
}

/* "/apis/GROUP/VERSION" and what is below it. */
static struct aggregated *find(struct api_rq *rq)
{
    struct str path = http_path(rq->http);
    if (!str_starts(path, STR("/apis/")))
        return NULL;
    struct str rest = str_skip(path, 6), group = str_cut(&rest, '/');
    return rest.at ? aggregate_find(rq->api, group, str_cut(&rest, '/')) : NULL;
}

bool api_aggregated(struct api_rq *rq)
{
    struct aggregates *x = rq->api->aggregates;
    struct aggregated *g = x && x->remote.n ? find(rq) : NULL;
    struct str query = http_query(rq->http);
    return g && go(rq, g, arena_printf(rq->arena, STR_FMT "%s" STR_FMT, STR_ARG(http_path(rq->http)), query.len ? "?" : "", STR_ARG(query)));
}

bool api_aggregated_openapi(struct api_rq *rq, struct str group, struct str version)
{
    struct aggregated *g = aggregate_find(rq->api, group, version);
    if (!g)
        return false;
    if (!g->openapi) {
        api_fail(&rq->err, rq->arena, KL_NOT_FOUND, "the server could not find the requested resource");
        api_send_error(rq);
        return true;
    }
    return go(rq, g, g->openapi);
}
