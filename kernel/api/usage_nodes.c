/* usage_nodes.c - asking nodes what they use: the node of this process through its table, others over their port. One question to a node at a time,
 * however many want to know. */
#include "usage.h"

#include "base/env.h"
#include "http/client.h"
#include "stream-internal.h"

#define FRESH_NS    (5 * NS_PER_S)      /* an answer is good for that long */
#define FAILED_NS   (20 * NS_PER_S)     /* and a node that did not answer is left alone */
#define TIMEOUT_NS  (10 * NS_PER_S)
#define KEPT_NS     (60 * NS_PER_S)     /* answers that nobody wants are forgotten */
#define ANSWER_MOST (32u << 20)

struct asked {
    struct api_usage *of;
    char *name;
    struct arena *arena;                /* of summary; NULL: no answer yet, or it failed */
    const struct val *summary;
    int64_t at_ns;                      /* mono: of the last answer or failure; 0: never */
    uint64_t *waiting;                  /* requests */
    size_t n_waiting, cap;
    bool busy;
    struct http_call *call;             /* the question to another process */
    struct buf body;
    int status;
    struct local {
        struct stream_call call;        /* first: the question to this process */
        struct asked *asked;
        struct kl_bytes text;
    } local;
};

struct api_usage {
    struct api *api;
    struct map nodes;                   /* name -> struct asked */
    struct loop_timer sweep;
    bool sweeping, stopping;
};

static void drop(struct asked *x)
{
    arena_free(x->arena);
    buf_free(&x->body);
    mem_free(x->waiting);
    mem_free(x->name);
    mem_free(x);
}

static void sweep(void *ctx)
{
    struct api_usage *u = ctx;
    int64_t before = env_mono_ns() - KEPT_NS;
    size_t at = 0;
    void *v;
    while (map_next(&u->nodes, &at, NULL, &v)) {
        struct asked *x = v;
        if (x->busy || x->at_ns > before)
            continue;
        map_del(&u->nodes, str_of(x->name));
        drop(x);
        at = 0;
    }
    u->sweeping = u->nodes.n > 0;
    if (u->sweeping)
        loop_timer_start(u->api->loop, &u->sweep, KEPT_NS, sweep, u);
}

/* text at NULL: there is no answer. */
static void settle(struct asked *x, struct str text)
{
    struct arena *a = text.at ? arena_new(ANSWER_MOST * 4) : NULL;
    struct str own = a ? arena_str(a, text) : STR_NONE;
    x->busy = false;
    arena_free(x->arena);
    x->summary = own.at ? json_parse(a, own, NULL) : NULL;
    x->arena = x->summary ? a : arena_free(a);
    x->at_ns = env_mono_ns();
    for (size_t i = 0; i < x->n_waiting; i++)
        api_wake(x->of->api, x->waiting[i]);
    x->n_waiting = 0;
}

/* --- the node of this process --- */

static int local_run(struct stream_call *c)
{
    struct local *l = (struct local *)c;
    return c->at.node->stats(c->at.self, &c->call, &l->text);
}

static void local_done(struct stream_call *c)
{
    struct local *l = (struct local *)c;
    settle(l->asked, c->rc < 0 ? STR_NONE : str_n(l->text.at, l->text.len));
    stream_call_free(c);
}

static bool ask_local(struct asked *x, const struct kl_node *node, void *self)
{
    struct kl_err err;
    struct stream_target t = { .node = node, .self = self, .ns = "", .pod = "", .container = "" };
    kl_err_init(&err);
    x->local = (struct local){ .asked = x };
    if (stream_call_init(&x->local.call, x->of->api->streams, &t, &err) < 0)
        return false;
    x->local.call.run = local_run;
    x->local.call.done = local_done;
    if (stream_call_start(&x->local.call, &err) == 0)
        return true;
    stream_call_free(&x->local.call);
    return false;
}

/* --- nodes elsewhere --- */

static void on_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    (void)h;
    (void)n;
    ((struct asked *)ctx)->status = status;
}

static void on_data(void *ctx, struct str bytes)
{
    buf_add_str(&((struct asked *)ctx)->body, bytes);
}

static void on_end(void *ctx, const struct kl_err *err)
{
    struct asked *x = ctx;
    x->call = NULL;
    settle(x, err || x->status != 200 || x->body.failed ? STR_NONE : buf_str(&x->body));
    buf_free(&x->body);
}

static bool ask_remote(struct asked *x)
{
    static const struct http_result_events ev = { on_head, on_data, on_end };
    const struct http_header h[] = { { STR("accept"), STR("application/json") } };
    struct kl_err err;
    kl_err_init(&err);
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    struct http_client *c = a ? api_node_client(x->of->api, a, str_of(x->name), &err) : NULL;
    x->status = 0;
    x->body = (struct buf)BUF_INIT(ANSWER_MOST);
    x->call = c ? http_call_new(c, "GET", "/stats/summary", h, 1, STR(""), TIMEOUT_NS, &ev, x) : NULL;
    return x->call != NULL;
}

/* --- asking --- */

static struct asked *find(struct api_usage *u, struct str node)
{
    struct asked *x = map_get(&u->nodes, node);
    if (x)
        return x;
    x = mem_alloc(sizeof *x);
    if (!x)
        return NULL;
    x->of = u;
    x->name = mem_dup(node.at, node.len);
    if (!x->name || !map_put(&u->nodes, str_of(x->name), x)) {
        drop(x);
        return NULL;
    }
    if (!u->sweeping)
        loop_timer_start(u->api->loop, &u->sweep, KEPT_NS, sweep, u);
    u->sweeping = true;
    return x;
}

static bool wait_for(struct asked *x, uint64_t request)
{
    for (size_t i = 0; i < x->n_waiting; i++)
        if (x->waiting[i] == request)
            return true;
    if (x->n_waiting == x->cap) {
        size_t cap = x->cap ? x->cap * 2 : 8;
        uint64_t *at = mem_resize(x->waiting, cap * sizeof *at);
        if (!at)
            return false;
        x->waiting = at;
        x->cap = cap;
    }
    x->waiting[x->n_waiting++] = request;
    return true;
}

const struct val *api_usage_of(struct api *api, struct str node, uint64_t request, bool *ret_pending)
{
    struct api_usage *u = api->usage;
    struct asked *x = u->stopping ? NULL : find(u, node);
    int64_t age = x && x->at_ns ? env_mono_ns() - x->at_ns : INT64_MAX;
    void *self;
    *ret_pending = false;
    if (!x)
        return NULL;
    if (!x->busy && age <= (x->summary ? FRESH_NS : FAILED_NS))
        return x->summary;
    if (!x->busy) {
        const struct kl_node *table = api->hooks.node ? api->hooks.node(api->hooks.ctx, node, &self) : NULL;
        x->busy = table ? ask_local(x, table, self) : ask_remote(x);
        if (!x->busy) {
            settle(x, STR_NONE);
            return NULL;
        }
    }
    *ret_pending = wait_for(x, request);
    return NULL;
}

/* --- life --- */

struct api_usage *api_usage_new(struct api *api)
{
    struct api_usage *u = mem_alloc(sizeof *u);
    if (u)
        u->api = api;
    return u;
}

void api_usage_stop(struct api_usage *u)
{
    size_t at = 0;
    void *v;
    u->stopping = true;
    loop_timer_stop(&u->sweep);
    while (map_next(&u->nodes, &at, NULL, &v)) {
        struct asked *x = v;
        if (!x->call)
            continue;
        http_call_cancel(x->call);
        x->call = NULL;
        x->busy = false;
    }
}

void api_usage_free(struct api_usage *u)
{
    size_t at = 0;
    void *v;
    if (!u)
        return;
    if (!u->stopping)
        api_usage_stop(u);
    while (map_next(&u->nodes, &at, NULL, &v))
        drop(v);
    map_free(&u->nodes);
    mem_free(u);
}
