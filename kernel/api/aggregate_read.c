/* aggregate_read.c - plugins read from remote groups: one GET, as the server itself on the plugin's behalf. */
#include "aggregate.h"

#include "base/env.h"

#define TIMEOUT_NS (30 * NS_PER_S)
#define ANSWER_MOST (64u << 20)

struct api_remote_read {
    struct list link;
    struct http_call *call;
    struct buf body;
    int status;
    void (*done)(void *ctx, int rc, struct str body, const char *message);
    void *ctx;
};

static void finish(struct api_remote_read *r, int rc, const char *message)
{
    list_remove(&r->link);
    r->done(r->ctx, rc, buf_str(&r->body), message);
    buf_free(&r->body);
    mem_free(r);
}

static void on_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    (void)h;
    (void)n;
    ((struct api_remote_read *)ctx)->status = status;
}

static void on_data(void *ctx, struct str bytes)
{
    buf_add_str(&((struct api_remote_read *)ctx)->body, bytes);
}

static int code_of(int status)
{
    static const struct {
        int status, code;
    } rows[] = { { 400, KL_BAD_REQUEST }, { 401, KL_UNAUTHORIZED }, { 403, KL_FORBIDDEN }, { 404, KL_NOT_FOUND }, { 429, KL_TOO_MANY_REQUESTS } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status)
            return rows[i].code;
    return status >= 500 ? KL_UNAVAILABLE : KL_INTERNAL;
}

static void on_end(void *ctx, const struct kl_err *err)
{
    struct api_remote_read *r = ctx;
    char text[240];
    if (err || r->body.failed) {
        finish(r, err ? -err->code : -KL_TOO_LARGE, err ? err->msg : "the answer is too large");
        return;
    }
    if (r->status < 300) {
        finish(r, 0, NULL);
        return;
    }
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    struct str said = json_str(a ? json_parse(a, buf_str(&r->body), NULL) : NULL, "message");
    if (said.len)
        snprintf(text, sizeof text, STR_FMT, STR_ARG(said));
    else
        snprintf(text, sizeof text, "the server answered with status %d", r->status);
    finish(r, -code_of(r->status), text);
}

/* The group's version that clients prefer. */
static struct aggregated *of_group(struct aggregates *x, struct str group)
{
    struct aggregated *best = NULL;
    size_t at = 0;
    void *v;
    while (map_next(&x->remote, &at, NULL, &v)) {
        struct aggregated *g = v;
        if (str_is(group, g->group) && (!best || g->version_priority > best->version_priority))
            best = g;
    }
    return best;
}

/* /apis/G/V[/namespaces/NS]/PLURAL[/NAME][/SUB][?QUERY] */
static void write_path(struct buf *b, const struct aggregated *g, const struct kl_object_key *k, struct str plural)
{
    struct str query = str_of(k->subresource ? k->subresource : ""), sub = str_cut(&query, '?');
    buf_printf(b, "/apis/%s", g->key);
    if (k->ns && k->ns[0]) {
        buf_add_z(b, "/namespaces/");
        http_encode(b, str_of(k->ns));
    }
    buf_add_c(b, '/');
    http_encode(b, plural);
    if (k->name && k->name[0]) {
        buf_add_c(b, '/');
        if (strcmp(k->name, "*") == 0)
            buf_add_c(b, '*');
        else
            http_encode(b, str_of(k->name));
    }
    if (sub.len) {
        buf_add_c(b, '/');
        http_encode(b, sub);
    }
    if (query.len) {
        buf_add_c(b, '?');
        buf_add_str(b, query);
    }
}

int api_remote_read(struct api *api, const struct kl_object_key *k, const char *who,
                    void (*done)(void *ctx, int rc, struct str body, const char *message), void *ctx, struct kl_call *c)
{
    static const struct http_result_events ev = { on_head, on_data, on_end };
    struct aggregates *x = api->aggregates;
    struct str plural = str_of(k->resource), group = str_cut(&plural, '/');
    struct aggregated *g = x && x->remote.n ? of_group(x, group) : NULL;
    _cleanup_buf_ struct buf path = BUF_INIT(16384);
    char user[200];
    if (!g)
        return 0;
    if (!g->available || !g->client)
        return kl_fail(c, KL_UNAVAILABLE, "the server is currently unable to handle the request (get " STR_FMT "." STR_FMT ")", STR_ARG(plural),
                       STR_ARG(group));
    write_path(&path, g, k, plural);
    snprintf(user, sizeof user, "system:keelson:%s", who);
    const struct http_header h[] = { { STR("accept"), STR("application/json") }, { STR("x-remote-user"), str_of(user) },
                                     { STR("x-remote-group"), STR("system:masters") }, { STR("x-remote-group"), STR("system:authenticated") } };
    struct api_remote_read *r = path.failed ? NULL : mem_alloc(sizeof *r);
    if (!r)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    *r = (struct api_remote_read){ .body = BUF_INIT(ANSWER_MOST), .done = done, .ctx = ctx };
    r->call = http_call_new(g->client, "GET", path.at, h, 4, STR(""), TIMEOUT_NS, &ev, r);
    if (!r->call) {
        mem_free(r);
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    }
    list_push(&x->reads, &r->link);
    return 1;
}

void aggregate_reads_stop(struct aggregates *x)
{
    while (!list_empty(&x->reads)) {
        struct api_remote_read *r = list_item(x->reads.next, struct api_remote_read, link);
        http_call_cancel(r->call);
        finish(r, -KL_CANCELLED, "the server is stopping");
    }
}
