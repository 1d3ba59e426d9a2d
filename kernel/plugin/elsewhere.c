/* elsewhere.c - storage drivers of other nodes: "NAME@NODE" is found like any instance, and its functions are called over that node's own port
 * (api/node_port.h), which only the API server may use. One message each way, encoded by the signatures as for isolated plugins (isolate/wire.h); both sides
 * compare what a call is made of first, as they may be of different releases.
 *
 *   request  "keelson call 1", interface, name, function ("": describe), print of its signature, ns until its deadline (0: none), arguments
 *   answer   result, code, reason; then results, or of a description: the functions that are there, and the table's data
 */
#include "http/client.h"
#include "isolate/tables.h"
#include "isolate/wire.h"

#include <keelson/iface/node.h>
#include <keelson/iface/volume.h>

#include "base/env.h"
#include "host-internal.h"
#include "plugin/signature.h"
#include "reconcile/call.h"

#define HELLO      "keelson call 1"
#define MOST       (4u << 20)
#define PATIENCE   (150 * NS_PER_S)     /* more than a driver's call gets */
#define LOOK_NS    (200 * NS_PER_MS)

/* An instance on another node. Kept until the host ends: who found it may use it as long. */
struct elsewhere {
    struct peer peer;                   /* first */
    struct elsewhere *next;
    struct plugin_host *host;
    const struct table_row *row;
    char *name, *node;
    uint64_t functions;
    struct kl_volume table;
};

/* --- one question to a node: asked on a thread, carried by the loop; whoever is last frees it --- */

struct asking {
    pthread_mutex_t lock;
    pthread_cond_t over;
    int holders;
    bool done;
    struct plugin_host *host;
    char *node;
    struct buf request, answer;
    int64_t timeout_ns;
    int status;
    struct kl_err err;
};

static void asking_put(struct asking *x)
{
    pthread_mutex_lock(&x->lock);
    bool last = --x->holders == 0;
    pthread_mutex_unlock(&x->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&x->lock);
    pthread_cond_destroy(&x->over);
    buf_free(&x->request);
    buf_free(&x->answer);
    mem_free(x->node);
    mem_free(x);
}

static void finish(struct asking *x)
{
    pthread_mutex_lock(&x->lock);
    x->done = true;
    pthread_cond_signal(&x->over);
    pthread_mutex_unlock(&x->lock);
    asking_put(x);
}

static void on_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    (void)h;
    (void)n;
    ((struct asking *)ctx)->status = status;
}

static void on_data(void *ctx, struct str bytes)
{
    buf_add_str(&((struct asking *)ctx)->answer, bytes);
}

static void on_end(void *ctx, const struct kl_err *err)
{
    struct asking *x = ctx;
    if (err)
        x->err = *err;
    finish(x);
}

static void begin(void *ctx)
{
    static const struct http_result_events ev = { on_head, on_data, on_end };
    struct asking *x = ctx;
    _cleanup_arena_ struct arena *a = arena_new(1 << 20);
    struct http_client *c = a ? api_node_client(x->host->api, a, str_of(x->node), &x->err) : NULL;
    if (c && http_call_new(c, "POST", "/keelson/call", NULL, 0, buf_str(&x->request), x->timeout_ns, &ev, x))
        return;
    if (!x->err.code)
        kl_err_set(&x->err, KL_NO_MEMORY, "out of memory");
    finish(x);
}

static bool wait_over(struct asking *x, const struct kl_call *c)
{
    struct timespec t;
    pthread_mutex_lock(&x->lock);
    while (!x->done && !kl_cancelled(c)) {
        int64_t until = env_wall_ns() + LOOK_NS;
        t = (struct timespec){ until / NS_PER_S, until % NS_PER_S };
        pthread_cond_timedwait(&x->over, &x->lock, &t);
    }
    bool done = x->done;
    pthread_mutex_unlock(&x->lock);
    return done;
}

static struct asking *asking_new(const struct elsewhere *e, const struct kl_call *c)
{
    struct asking *x = mem_alloc(sizeof *x);
    int64_t left = c->deadline_ns ? c->deadline_ns - env_mono_ns() : PATIENCE;
    if (!x || !(x->node = mem_dup(e->node, strlen(e->node)))) {
        mem_free(x);
        return NULL;
    }
    pthread_mutex_init(&x->lock, NULL);
    pthread_cond_init(&x->over, NULL);
    x->holders = 1;
    x->host = e->host;
    x->request.max = x->answer.max = MOST;
    x->timeout_ns = left < NS_PER_S ? NS_PER_S : left < PATIENCE ? left : PATIENCE;
    kl_err_init(&x->err);
    return x;
}

/* 0: its answer is there. */
static int carry(struct asking *x, const struct elsewhere *e, struct kl_call *c)
{
    if (x->request.failed)
        return kl_fail(c, KL_TOO_LARGE, "node '%s' cannot be told so much", e->node);
    x->holders++;
    loop_post(e->host->conf.loop, begin, x);
    if (!wait_over(x, c))
        return kl_fail(c, KL_CANCELLED, "cancelled");
    if (x->err.code)
        return kl_fail(c, x->err.code, "node '%s': %s", e->node, x->err.msg);
    if (x->status != 200 || x->answer.failed)
        return kl_fail(c, KL_UNAVAILABLE, "node '%s' answers with status %d", e->node, x->status);
    return 0;
}

/* --- messages --- */

static uint64_t mix(uint64_t h, const char *text, uint64_t n)
{
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return (h ^ n) * 1099511628211u;
}

static uint64_t print_items(uint64_t h, const struct kl_sig_item *at, uint32_t n, int depth)
{
    for (uint32_t i = 0; i < n; i++) {
        h = mix(h, at[i].name, at[i].kind);
        if (at[i].of && depth < 4)
            h = print_items(mix(h, at[i].of->name, at[i].of->bytes), at[i].of->members, at[i].of->n, depth + 1);
    }
    return h;
}

/* What a call is made of (or, without one, a table's data): different here and there, nothing can be said. */
static uint64_t print_of(const struct kl_sig_table *t, const struct kl_sig_call *c)
{
    return c ? print_items(mix(14695981039346656037u, c->name, c->flags), c->arguments, c->n, 0) : print_items(14695981039346656037u, t->data, t->n_data, 0);
}

static void put_head(struct wire *w, const struct elsewhere *e, const struct kl_sig_call *c, const struct kl_call *call)
{
    int64_t left = call->deadline_ns ? call->deadline_ns - env_mono_ns() : 0;
    wire_put_str(w, HELLO);
    wire_put_str(w, e->row->id);
    wire_put_str(w, e->name);
    wire_put_str(w, c ? c->name : "");
    wire_put_u64(w, print_of(e->row->sig, c));
    wire_put_u64(w, call->deadline_ns && left < 1 ? 1 : (uint64_t)left);
}

static void *from_call(void *ctx, size_t n)
{
    return kl_alloc(ctx, n);
}

/* The answer's head; its rest is in *w. The message is copied: results point into it. */
static int take_head(struct wire *w, struct asking *x, const struct elsewhere *e, struct kl_call *c, int64_t *ret)
{
    char *text = kl_dup(c, x->answer.at ? x->answer.at : "", x->answer.len);
    *w = (struct wire){ .at = text, .end = text ? text + x->answer.len : NULL, .alloc = from_call, .alloc_ctx = c, .bad = !text };
    *ret = (int64_t)wire_get_u64(w);
    uint32_t code = wire_get_u32(w);
    const char *why = wire_get_str(w);
    if (w->bad || code >= KL_CODE_END || (*ret < 0 && -*ret != code))
        return kl_fail(c, KL_UNAVAILABLE, "node '%s' gives no answer that makes sense", e->node);
    return *ret < 0 ? kl_fail(c, (int)code, "%s", why ? why : "") : 0;
}

static int64_t ask(struct peer *p, const struct table_row *t, uint32_t index, const void *const *at)
{
    struct elsewhere *e = (struct elsewhere *)p;
    const struct kl_sig_call *c = &t->sig->calls[index];
    struct kl_call *call = wire_call(c, at);
    struct asking *x = asking_new(e, call);
    struct wire in, out = { .out = x ? &x->request : NULL };
    int64_t ret = 0;
    if (!x)
        return kl_fail(call, KL_NO_MEMORY, "out of memory");
    put_head(&out, e, c, call);
    wire_put_arguments(&out, c, at);
    int rc = carry(x, e, call);
    if (rc == 0)
        rc = take_head(&in, x, e, call, &ret);
    if (rc == 0)
        wire_get_results(&in, c, at, ret);
    if (rc == 0 && in.bad)
        rc = kl_fail(call, KL_UNAVAILABLE, "node '%s' gives no answer that makes sense", e->node);
    asking_put(x);
    return rc < 0 ? rc : ret;
}

static void init_once(void)
{
    tables_init(signature_find);
}

static int describe(struct elsewhere *e, struct kl_call *c)
{
    struct asking *x = asking_new(e, c);
    struct wire in, out = { .out = x ? &x->request : NULL };
    int64_t ret;
    if (!x)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    put_head(&out, e, NULL, c);
    int rc = carry(x, e, c);
    if (rc == 0)
        rc = take_head(&in, x, e, c, &ret);
    if (rc == 0) {
        e->functions = wire_get_u64(&in);
        table_proxy(e->row, e->functions, &e->table);
        wire_get_data(&in, e->row->sig, &e->table);
        if (in.bad)
            rc = kl_fail(c, KL_UNAVAILABLE, "node '%s' gives no answer that makes sense", e->node);
    }
    asking_put(x);
    return rc;
}

/* In a process with no isolated plugin nobody else has done it. */
static void init_tables(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_once);
}

/* --- found --- */

static void elsewhere_free(struct elsewhere *e)
{
    mem_free(e->name);
    mem_free(e->node);
    mem_free(e);
}

void host_elsewhere_free(struct plugin_host *h)
{
    for (struct elsewhere *e = h->elsewhere, *next; e; e = next) {
        next = e->next;
        elsewhere_free(e);
    }
    h->elsewhere = NULL;
}

/* The same as one that was found before? Then that one: there are as many as nodes have drivers. */
static struct elsewhere *keep(struct plugin_host *h, struct elsewhere *e)
{
    pthread_mutex_lock(&h->lock);
    struct elsewhere *o = h->elsewhere;
    while (o && (strcmp(o->name, e->name) != 0 || strcmp(o->node, e->node) != 0 || memcmp(&o->table, &e->table, sizeof o->table) != 0))
        o = o->next;
    if (!o) {
        e->next = h->elsewhere;
        h->elsewhere = e;
    }
    pthread_mutex_unlock(&h->lock);
    if (o)
        elsewhere_free(e);
    return o ? o : e;
}

static bool is_here(struct plugin_host *h, const char *node)
{
    struct kl_err ignored;
    kl_err_init(&ignored);
    struct plugin_instance *i = plugin_host_find(h, KL_NODE_0, NULL, &ignored);
    const struct kl_node *t = i ? i->provider->table : NULL;
    return t && strcmp(t->name(i->self), node) == 0;
}

int host_find_elsewhere(struct plugin_host *h, struct kl_call *c, const char *iface, const char *name, struct kl_instance *ret)
{
    const char *at = strchr(name, '@');
    char *local = kl_dup(c, name, (size_t)(at - name));
    if (!local)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (is_here(h, at + 1)) {
        struct plugin_instance *i = plugin_host_find(h, iface, local, &c->err);
        if (i)
            *ret = (struct kl_instance){ sizeof *ret, i->name, i->provider->table, i->self };
        return i ? 0 : -c->err.code;
    }
    if (!h->api || strcmp(iface, KL_VOLUME_0) != 0 || loop_here(h->conf.loop))
        return kl_fail(c, KL_UNSUPPORTED, "instance '%s' cannot be asked from here", name);
    init_tables();
    struct elsewhere *e = mem_alloc(sizeof *e);
    if (e)
        *e = (struct elsewhere){ .peer = { .call = ask }, .host = h, .row = table_find(iface), .name = mem_dup(local, strlen(local)), .node = mem_dup(at + 1, strlen(at + 1)) };
    int rc = e && e->row && e->name && e->node ? describe(e, c) : kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (rc < 0) {
        if (e)
            elsewhere_free(e);
        return rc;
    }
    e = keep(h, e);
    *ret = (struct kl_instance){ sizeof *ret, e->name, &e->table, e };
    return 0;
}

/* --- the other side --- */

struct asked {
    struct kl_call *call;
    struct wire *in, *out;
    struct wire_frame frame;
    const struct table_row *row;
    const void *table;
    void *self;
};

static int find_table(struct plugin_host *h, struct asked *q, const char *iface, const char *name)
{
    struct plugin_instance *i = iface && name && strcmp(iface, KL_VOLUME_0) == 0 ? plugin_host_find(h, iface, name, &q->call->err) : NULL;
    q->row = i ? table_find(iface) : NULL;
    if (!q->row)
        return q->call->err.code ? -q->call->err.code : kl_fail(q->call, KL_NOT_FOUND, "there is no such instance");
    q->table = i->provider->table;
    q->self = i->self;
    return 0;
}

static int64_t run(struct asked *q, const char *function, uint64_t print)
{
    const struct kl_sig_table *t = q->row->sig;
    uint32_t i = 0;
    while (i < t->n_calls && strcmp(t->calls[i].name, function) != 0)
        i++;
    if (*function && (i == t->n_calls || !(table_functions(q->row, q->table) >> i & 1)))
        return kl_fail(q->call, KL_UNSUPPORTED, "the driver has no function '%s'", function);
    if (print != print_of(t, *function ? &t->calls[i] : NULL))
        return kl_fail(q->call, KL_UNSUPPORTED, "this node is of another release, which has another '%s'", function);
    if (!*function)
        return 0;
    struct kl_call own = *q->call;      /* its deadline is this machine's, what it says else is the caller's */
    wire_get_arguments(q->in, &t->calls[i], &q->frame);
    q->call->deadline_ns = own.deadline_ns;
    q->call->user = own.user;
    if (q->in->bad)
        return kl_fail(q->call, KL_BAD_REQUEST, "the call makes no sense");
    return q->row->answer[i](q->table, q->self, q->frame.arg);
}

static void put_rest(struct asked *q, const char *function, int64_t result)
{
    const struct kl_sig_table *t = q->row->sig;
    if (!*function && result >= 0) {
        wire_put_u64(q->out, table_functions(q->row, q->table));
        wire_put_data(q->out, t, q->table);
    }
    for (uint32_t i = 0; i < t->n_calls; i++)
        if (strcmp(t->calls[i].name, function) == 0)
            wire_put_results(q->out, &t->calls[i], &q->frame, result);
}

int plugin_host_answer(struct plugin_host *h, struct kl_call *c, struct kl_bytes request, struct kl_bytes *ret)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MOST);
    struct wire in = { .at = request.at, .end = request.at + request.len, .alloc = from_call, .alloc_ctx = c }, out = { .out = &b };
    struct asked q = { .call = c, .in = &in, .out = &out };
    const char *hello = wire_get_str(&in), *iface = wire_get_str(&in), *name = wire_get_str(&in), *function = wire_get_str(&in);
    uint64_t print = wire_get_u64(&in), left = wire_get_u64(&in);
    q.frame.call = c;
    init_tables();
    if (in.bad || !hello || strcmp(hello, HELLO) != 0 || !function)
        return kl_fail(c, KL_BAD_REQUEST, "this is no call");
    if (left)
        c->deadline_ns = env_mono_ns() + (int64_t)(left < (uint64_t)PATIENCE ? left : (uint64_t)PATIENCE);
    int64_t result = find_table(h, &q, iface, name);
    if (result == 0)
        result = run(&q, function, print);
    wire_put_u64(&out, (uint64_t)result);
    wire_put_u32(&out, result < 0 ? (uint32_t)-result : 0);
    wire_put_str(&out, c->err.msg);
    if (q.row)
        put_rest(&q, function, result);
    char *text = b.failed ? NULL : kl_dup(c, b.at, b.len);
    *ret = (struct kl_bytes){ text, b.len };
    return text ? 0 : kl_fail(c, KL_TOO_LARGE, "the answer is too large");
}
