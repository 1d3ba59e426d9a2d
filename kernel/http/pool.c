/* pool.c - see pool.h. */
#include "http/pool.h"

#include "base/cleanup.h"
#include "base/env.h"
#include "base/map.h"

#define CLIENTS_MOST 512u
#define KEPT_NS      (120 * NS_PER_S)   /* an unused client */
#define SWEEP_NS     (30 * NS_PER_S)

struct shared {
    struct list link;                   /* longest unused first */
    struct http_client *http;
    struct str key;
    int64_t used_ns;
};

struct http_pool {
    struct loop *loop;
    struct map by_key;
    struct list clients, fetches;
    unsigned n;
    struct loop_timer sweep;
};

struct http_fetch {
    struct list link;
    struct http_call *call;
    http_answered done;
    void *ctx;
    struct arena *arena;                /* of the headers */
    struct http_answer answer;
    struct buf body;
    size_t body_most;
};

/* --- clients --- */

static void drop(struct http_pool *p, struct shared *c)
{
    list_remove(&c->link);
    map_del(&p->by_key, c->key);
    p->n--;
    http_client_free(c->http);
    mem_free((char *)(uintptr_t)c->key.at);
    mem_free(c);
}

static void sweep(void *ctx)
{
    struct http_pool *p = ctx;
    int64_t before = loop_now(p->loop) - KEPT_NS;
    list_each(l, &p->clients) {
        struct shared *c = list_item(l, struct shared, link);
        if (c->used_ns < before && http_client_idle(c->http))
            drop(p, c);
    }
    if (p->n)
        loop_timer_start(p->loop, &p->sweep, SWEEP_NS, sweep, p);
}

struct http_pool *http_pool_new(struct loop *l)
{
    struct http_pool *p = mem_alloc(sizeof *p);
    if (!p)
        return NULL;
    p->loop = l;
    list_init(&p->clients);
    list_init(&p->fetches);
    return p;
}

void http_pool_free(struct http_pool *p)
{
    if (!p)
        return;
    loop_timer_stop(&p->sweep);
    list_each(l, &p->fetches)
        http_fetch_cancel(list_item(l, struct http_fetch, link));
    list_each(l, &p->clients)
        drop(p, list_item(l, struct shared, link));
    map_free(&p->by_key);
    mem_free(p);
}

static void put(struct buf *b, struct str s)
{
    buf_add_str(b, s);
    buf_add_c(b, '\0');
}

/* All that makes one client another than the next. */
static void write_key(struct buf *b, const struct http_client_conf *c)
{
    put(b, str_of(c->url));
    put(b, str_of(c->server_name ? c->server_name : ""));
    put(b, c->ca);
    put(b, c->cert);
    put(b, c->key);
    buf_printf(b, "%d%d%d", c->insecure, c->http1, c->prior_h2);
}

static void make_room(struct http_pool *p)
{
    list_each(l, &p->clients) {
        struct shared *c = list_item(l, struct shared, link);
        if (p->n < CLIENTS_MOST)
            return;
        if (http_client_idle(c->http))
            drop(p, c);
    }
}

static struct shared *add(struct http_pool *p, struct str key, const struct http_client_conf *conf, struct kl_err *err)
{
    make_room(p);
    struct shared *c = p->n < CLIENTS_MOST ? mem_alloc(sizeof *c) : NULL;
    if (!c) {
        kl_err_set(err, KL_TOO_MANY_REQUESTS, "too many addresses are called at once");
        return NULL;
    }
    c->key = str_n(mem_dup(key.at, key.len), key.len);
    int rc = c->key.at ? http_client_new(p->loop, conf, &c->http, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc == 0 && !map_put(&p->by_key, c->key, c))
        rc = kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc < 0) {
        http_client_free(c->http);
        mem_free((char *)(uintptr_t)c->key.at);
        mem_free(c);
        return NULL;
    }
    list_push(&p->clients, &c->link);
    if (p->n++ == 0)
        loop_timer_start(p->loop, &p->sweep, SWEEP_NS, sweep, p);
    return c;
}

static struct http_client *client_for(struct http_pool *p, const struct http_client_conf *conf, struct kl_err *err)
{
    _cleanup_buf_ struct buf key = BUF_INIT(0);
    write_key(&key, conf);
    if (key.failed) {
        kl_err_set(err, KL_NO_MEMORY, "out of memory");
        return NULL;
    }
    struct shared *c = map_get(&p->by_key, buf_str(&key));
    if (!c && !(c = add(p, buf_str(&key), conf, err)))
        return NULL;
    c->used_ns = loop_now(p->loop);
    list_remove(&c->link);
    list_push(&p->clients, &c->link);
    return c->http;
}

/* --- calls --- */

static void fetch_free(struct http_fetch *f)
{
    list_remove(&f->link);
    buf_free(&f->body);
    arena_free(f->arena);
    mem_free(f);
}

static void on_head(void *ctx, int status, const struct http_header *headers, unsigned n)
{
    struct http_fetch *f = ctx;
    struct http_header *kept = arena_alloc(f->arena, (n + 1) * sizeof *kept);
    f->answer.status = status;
    for (unsigned i = 0; kept && i < n; i++)
        kept[i] = (struct http_header){ arena_str(f->arena, headers[i].name), arena_str(f->arena, headers[i].value) };
    f->answer.headers = kept;
    f->answer.n_headers = arena_exhausted(f->arena) ? 0 : n;
}

static void finish(struct http_fetch *f, const struct kl_err *err)
{
    f->answer.body = f->body.at ? buf_str(&f->body) : STR("");
    f->done(f->ctx, err ? NULL : &f->answer, err);
    fetch_free(f);
}

static void on_data(void *ctx, struct str bytes)
{
    struct http_fetch *f = ctx;
    struct kl_err err;
    kl_err_init(&err);
    if (f->body.len + bytes.len <= f->body_most)
        buf_add_str(&f->body, bytes);
    else
        kl_err_set(&err, KL_TOO_LARGE, "the answer is larger than %zu bytes", f->body_most);
    if (f->body.failed)
        kl_err_set(&err, KL_NO_MEMORY, "out of memory");
    if (!err.code)
        return;
    http_call_cancel(f->call);
    finish(f, &err);
}

static void on_end(void *ctx, const struct kl_err *err)
{
    finish(ctx, err);
}

static const struct http_result_events events = { on_head, on_data, on_end };

struct http_fetch *http_fetch_new(struct http_pool *p, const struct http_client_conf *conf, const struct http_ask *ask, http_answered done,
                                  void *ctx, struct kl_err *err)
{
    struct http_client *c = client_for(p, conf, err);
    struct http_fetch *f = c ? mem_alloc(sizeof *f) : NULL;
    if (!c)
        return NULL;
    if (f) {
        *f = (struct http_fetch){ .done = done, .ctx = ctx, .arena = arena_new(0), .body = BUF_INIT(0), .body_most = ask->body_most };
        list_init(&f->link);
        f->call = f->arena ? http_call_new(c, ask->method, ask->path, ask->headers, ask->n_headers, ask->body, ask->timeout_ns, &events, f) : NULL;
    }
    if (!f || !f->call) {
        if (f)
            fetch_free(f);
        kl_err_set(err, KL_NO_MEMORY, "out of memory");
        return NULL;
    }
    list_push(&p->fetches, &f->link);
    return f;
}

void http_fetch_cancel(struct http_fetch *f)
{
    http_call_cancel(f->call);
    fetch_free(f);
}
