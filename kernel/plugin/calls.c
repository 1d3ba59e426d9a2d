/* calls.c - keelson.host.http/0: calls of plugins to other servers, by tickets. */
#include "base/env.h"
#include "base/log.h"
#include "host-internal.h"
#include "http/pool.h"

#define BUCKETS       64u
#define TIMEOUT_NS    (30 * NS_PER_S)
#define BODY_MOST     (3u << 20)

struct calls {
    struct http_pool *pool;
    uint64_t last;
    struct list at[BUCKETS];            /* struct ticket, by number */
};

struct ticket {
    struct list link;
    uint64_t number;
    struct plugin_host *host;
    const struct plugin_instance *owner;
    struct http_fetch *fetch;           /* NULL: it is over */
    struct arena *arena;                /* of the answer */
    struct kl_http_answer answer;
    struct kl_err err;
    uint64_t *waiting;                  /* requests */
    unsigned n_waiting, cap;
};

static struct plugin_instance *me(const struct kl_host *h)
{
    return h->ctx;
}

static struct ticket *find(const struct kl_host *h, uint64_t number)
{
    struct calls *x = me(h)->owner->calls;
    if (!x)
        return NULL;
    list_each(l, &x->at[number % BUCKETS]) {
        struct ticket *t = list_item(l, struct ticket, link);
        if (t->number == number && t->owner == me(h))
            return t;
    }
    return NULL;
}

static void ticket_free(struct ticket *t)
{
    list_remove(&t->link);
    if (t->fetch)
        http_fetch_cancel(t->fetch);
    arena_free(t->arena);
    mem_free(t->waiting);
    mem_free(t);
}

static struct calls *calls_of(struct plugin_host *h)
{
    if (h->calls)
        return h->calls;
    struct calls *x = mem_alloc(sizeof *x);
    if (!x || !(x->pool = http_pool_new(h->conf.loop))) {
        mem_free(x);
        return NULL;
    }
    for (unsigned i = 0; i < BUCKETS; i++)
        list_init(&x->at[i]);
    return h->calls = x;
}

void host_calls_drop(struct plugin_host *h, const struct plugin_instance *owner)
{
    struct calls *x = h->calls;
    for (unsigned i = 0; x && i < BUCKETS; i++)
        list_each(l, &x->at[i])
            if (!owner || list_item(l, struct ticket, link)->owner == owner)
                ticket_free(list_item(l, struct ticket, link));
    if (owner || !x)
        return;
    http_pool_free(x->pool);
    mem_free(x);
    h->calls = NULL;
}

static void keep_answer(struct ticket *t, const struct http_answer *a)
{
    struct str body = arena_str(t->arena, a->body);
    const char **headers = arena_alloc(t->arena, (2 * (size_t)a->n_headers + 1) * sizeof *headers);
    for (unsigned i = 0; headers && i < a->n_headers; i++) {
        headers[2 * i] = arena_dup(t->arena, a->headers[i].name);
        headers[2 * i + 1] = arena_dup(t->arena, a->headers[i].value);
    }
    t->answer = (struct kl_http_answer){ .size = sizeof t->answer, .status = (uint32_t)a->status, .headers = headers, .body = { body.at, body.len } };
    if (arena_exhausted(t->arena))
        kl_err_set(&t->err, KL_NO_MEMORY, "out of memory");
}

static void answered(void *ctx, const struct http_answer *answer, const struct kl_err *err)
{
    struct ticket *t = ctx;
    t->fetch = NULL;
    if (answer)
        keep_answer(t, answer);
    else
        t->err = *err;
    for (unsigned i = 0; i < t->n_waiting; i++)
        api_wake(t->host->api, t->waiting[i]);
    t->n_waiting = 0;
}

/* --- the table --- */

static struct http_header *headers_of(struct arena *a, const char *const *list, unsigned *n)
{
    for (*n = 0; list && list[2 * *n]; ++*n)
        ;
    struct http_header *h = arena_alloc(a, (*n + 1) * sizeof *h);
    for (unsigned i = 0; h && i < *n; i++)
        h[i] = (struct http_header){ str_of(list[2 * i]), str_of(list[2 * i + 1]) };
    return h;
}

static struct str text_of(struct kl_bytes b)
{
    return b.len ? str_n(b.at, b.len) : STR_NONE;
}

static uint64_t start(const struct kl_host *h, struct kl_call *c, const struct kl_http_target *to, const struct kl_http_request *r)
{
    struct plugin_host *host = me(h)->owner;
    struct calls *x = calls_of(host);
    struct ticket *t = x ? mem_alloc(sizeof *t) : NULL;
    struct arena *a = t ? t->arena = arena_new(0) : NULL;
    struct http_client_conf conf = { .url = to->url, .server_name = to->server_name, .ca = text_of(to->ca), .cert = text_of(to->cert),
                                     .key = text_of(to->key), .insecure = to->insecure != 0 };
    struct http_ask ask = { .method = r->method, .path = r->path, .body = str_n(r->body.at, r->body.len),
                            .timeout_ns = r->timeout_ns > 0 ? r->timeout_ns : TIMEOUT_NS, .body_most = r->body_most ? r->body_most : BODY_MOST };
    if (!a || !(ask.headers = headers_of(a, r->headers, &ask.n_headers))) {
        if (t)
            arena_free(t->arena);
        mem_free(t);
        kl_fail(c, KL_NO_MEMORY, "out of memory");
        return 0;
    }
    list_init(&t->link);
    kl_err_init(&t->err);
    t->host = host;
    t->owner = me(h);
    if (!(t->fetch = http_fetch_new(x->pool, &conf, &ask, answered, t, &c->err))) {
        ticket_free(t);
        return 0;
    }
    t->number = ++x->last;
    list_push(&x->at[t->number % BUCKETS], &t->link);
    return t->number;
}

static void wait_for(const struct kl_host *h, uint64_t ticket, uint64_t request)
{
    struct ticket *t = find(h, ticket);
    bool noted = t && t->fetch != NULL;
    if (noted && t->n_waiting == t->cap) {
        unsigned cap = t->cap ? t->cap * 2 : 4;
        uint64_t *at = mem_resize(t->waiting, cap * sizeof *at);
        noted = at != NULL;
        t->waiting = at ? at : t->waiting;
        t->cap = at ? cap : t->cap;
    }
    if (noted)
        t->waiting[t->n_waiting++] = request;
    else
        api_wake(me(h)->owner->api, request);
}

static int result(const struct kl_host *h, struct kl_call *c, uint64_t ticket, struct kl_http_answer *ret)
{
    struct ticket *t = find(h, ticket);
    if (!t)
        return kl_fail(c, KL_NOT_FOUND, "no such call");
    if (t->fetch)
        return kl_fail(c, KL_PENDING, "the call is under way");
    if (t->err.code)
        return kl_fail(c, t->err.code, "%s", t->err.msg);
    uint32_t size = ret->size < sizeof t->answer ? ret->size : (uint32_t)sizeof t->answer;
    memcpy(ret, &t->answer, size);
    ret->size = size;
    return 0;
}

static void drop(const struct kl_host *h, uint64_t ticket)
{
    struct ticket *t = find(h, ticket);
    if (!t)
        return;
    for (unsigned i = 0; i < t->n_waiting; i++)
        api_wake(t->host->api, t->waiting[i]);
    ticket_free(t);
}

const struct kl_host_http host_http_table = { sizeof host_http_table, start, wait_for, result, drop };
