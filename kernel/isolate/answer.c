/* answer.c - what a child asks of the host: its log, the host's services, other instances that it was given. Everything it sends is checked: which
 * instance it speaks for, which service that instance needs, which of its handles it means.
 */
#include "isolate-internal.h"

#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "reconcile/call.h"

#define LINES_MOST   200u               /* of its log, each second */
#define HANDLES_MOST 65536u
#define MESSAGE_NS   (2 * NS_PER_S)      /* to copy a message's parts: nobody thinks meanwhile */

/* --- handles --- */

static char nobody;                     /* a found instance's self that is NULL */

struct holder {
    struct body *body;
    const struct table_row *row;
};

static uint64_t keep_handle(struct body *b, void *at, const struct table_row *row, const void *table)
{
    unsigned i = 0;
    pthread_mutex_lock(&b->lock);
    while (i < b->n_handles && b->handles[i].at)
        i++;
    struct handle *h = i < b->n_handles ? b->handles : i < HANDLES_MOST ? mem_resize(b->handles, (i + 1) * sizeof *h) : NULL;
    if (h && at) {
        b->handles = h;
        b->n_handles = i < b->n_handles ? b->n_handles : i + 1;
        h[i] = (struct handle){ at, row, table };
    }
    pthread_mutex_unlock(&b->lock);
    return h && at ? i + 1 : 0;
}

static uint64_t give_handle(void *ctx, void *at)
{
    struct holder *h = ctx;
    return keep_handle(h->body, at, h->row, NULL);
}

static struct handle handle_at(struct body *b, uint64_t number)
{
    struct handle ret = { NULL, NULL, NULL };
    pthread_mutex_lock(&b->lock);
    if (number && number <= b->n_handles)
        ret = b->handles[number - 1];
    pthread_mutex_unlock(&b->lock);
    return ret;
}

static void *take_handle(void *ctx, uint64_t number, bool *bad)
{
    struct holder *h = ctx;
    struct handle at = handle_at(h->body, number);
    bool right = at.at && at.row == h->row && !at.table;
    *bad |= number && !right;
    return right ? at.at : NULL;
}

static void forget_handle(struct body *b, const void *at)
{
    pthread_mutex_lock(&b->lock);
    for (unsigned i = 0; i < b->n_handles; i++)
        if (b->handles[i].at == at)
            b->handles[i].at = NULL;
    pthread_mutex_unlock(&b->lock);
}

/* By the signature: what takes back a handle is called `drop`. */
static const struct kl_sig_call *drop_of(const struct table_row *t)
{
    for (uint32_t i = 0; i < t->sig->n_calls; i++)
        if (strcmp(t->sig->calls[i].name, "drop") == 0 && t->sig->calls[i].n == 1 && t->sig->calls[i].arguments[0].kind == KL_SIG_HANDLE)
            return &t->sig->calls[i];
    return NULL;
}

static const void *service_of(const struct cell_instance *i, const struct table_row *t)
{
    return i->host && strncmp(t->id, "keelson.host.", 13) == 0 ? i->host->service(i->host, t->id) : NULL;
}

/* What a dead child has not given back. */
void body_handles_end(struct body *b)
{
    for (unsigned k = 0; k < b->n_handles; k++) {
        struct handle *h = &b->handles[k];
        const struct kl_sig_call *drop = h->at && !h->table ? drop_of(h->row) : NULL;
        for (unsigned i = 0; drop && i < b->cell->n; i++) {
            const void *table = service_of(&b->cell->instances[i], h->row);
            struct wire_frame f;
            memcpy(f.arg[0], &h->at, sizeof h->at);
            if (table) {
                h->row->answer[drop - h->row->sig->calls](table, (void *)(uintptr_t)b->cell->instances[i].host, f.arg);
                break;
            }
        }
    }
    mem_free(b->handles);
    b->handles = NULL;
    b->n_handles = 0;
}

/* --- one question --- */

struct question {
    struct body *body;
    struct cell_instance *from;
    const struct table_row *row;
    uint32_t index;
    const void *table;
    void *self;
    struct kl_call call;
    struct wire_frame frame;
    int64_t result;
};

static void run(void *ctx)
{
    struct question *q = ctx;
    q->result = q->row->answer[q->index](q->table, q->self, q->frame.arg);
}

static __thread struct body *asking;    /* what `cancelled` looks at */
static __thread struct lane *asking_over;

static bool cancelled(const struct kl_call *c)
{
    (void)c;
    return asking && (atomic_load(&asking->dead) || atomic_load(&asking_over->shared->cancel[SIDE_PLUGIN]));
}

/* On the thread that its signature demands. */
static void run_there(struct question *q, struct lane *l)
{
    struct loop *loop = q->body->cell->conf.loop;
    struct body *before = asking;
    struct lane *over_before = asking_over;
    asking = q->body;
    asking_over = l;
    if (q->row->sig->calls[q->index].thread == KL_SIG_LOOP && loop && !loop_here(loop))
        loop_call(loop, run, q);
    else
        run(q);
    asking = before;
    asking_over = over_before;
}

static bool has_function(const struct table_row *t, const void *table, uint32_t index)
{
    return index < t->sig->n_calls && table_functions(t, table) >> index & 1;
}

/* Finds table and self of what is asked; false: there is none such. */
static bool find_table(struct question *q, uint32_t instance, uint64_t found, uint32_t row)
{
    struct cell *x = q->body->cell;
    q->row = table_at(row);
    if (!q->row || instance >= x->n || !x->instances[instance].host)
        return false;
    q->from = &x->instances[instance];
    if (found) {
        struct handle h = handle_at(q->body, found);
        if (!h.at || !h.table || h.row != q->row)
            return false;
        q->table = h.table;
        q->self = h.at == &nobody ? NULL : h.at;
    } else {
        q->table = service_of(q->from, q->row);
        q->self = (void *)(uintptr_t)q->from->host;
    }
    return q->table && has_function(q->row, q->table, q->index);
}

/* The instance's number in the asker's own process, from one; 0: it is elsewhere. */
static uint32_t number_here(const struct cell *x, const void *self)
{
    for (unsigned i = 0; i < x->n; i++)
        if (self == &x->instances[i])
            return i + 1;
    return 0;
}

/* An instance that was found: of the same process its number, for those of one file know each other by their tables and what is behind them; else its
 * table's functions, a handle, its name, its data. */
static void put_found(struct question *q, struct wire *w)
{
    const struct kl_instance *i;
    const char *iface;
    memcpy(&iface, q->frame.arg[1], sizeof iface);
    memcpy(&i, q->frame.arg[3], sizeof i);
    uint32_t here = number_here(q->body->cell, i->self);
    wire_put_u32(w, here);
    if (here)
        return;
    const struct table_row *t = iface ? table_find(iface) : NULL;
    uint64_t number = t ? keep_handle(q->body, i->self ? i->self : &nobody, t, i->table) : 0;
    wire_put_u64(w, number);
    wire_put_u64(w, t ? table_functions(t, i->table) : 0);
    wire_put_str(w, i->name);
    if (t)
        wire_put_data(w, t->sig, i->table);
}

static void put_answer(struct question *q, struct wire *w)
{
    const struct kl_sig_call *c = &q->row->sig->calls[q->index];
    bool found = strcmp(q->row->id, KL_HOST_PLUGINS_0) == 0;
    wire_put_u64(w, (uint64_t)q->result);
    wire_put_u32(w, q->call.err.code >= 0 && q->call.err.code < KL_CODE_END ? (uint32_t)q->call.err.code : KL_INTERNAL);
    wire_put_str(w, q->call.err.msg);
    if (c->result == KL_SIG_R_STR)
        wire_put_str(w, (const char *)(uintptr_t)q->result);
    else if (found && q->result >= 0)
        put_found(q, w);
    else if (!found)
        wire_put_results(w, c, &q->frame, q->result);
}

/* Of instances that were found: descriptors that they give are the asker's. */
static void close_given(const struct wire *w)
{
    for (unsigned i = 0; i < w->n_fds; i++)
        close(w->fds[i]);
}

static void *from_arena(void *ctx, size_t n)
{
    return arena_alloc(ctx, n);
}

static int reply(struct lane *l, struct wire *w)
{
    const struct lane_patience p = { .until_ns = env_mono_ns() + MESSAGE_NS };
    int rc = lane_send(l, MESSAGE_REPLY, w->fds, w->n_fds, &p);
    close_given(w);
    return rc;
}

static int answer_call(struct body *b, struct lane *l, struct wire *in, struct arena *a)
{
    struct question q = { .body = b };
    struct wire out = { .out = &l->out };
    uint32_t instance = wire_get_u32(in);
    uint64_t found = wire_get_u64(in);
    uint32_t row = wire_get_u32(in);
    q.index = wire_get_u32(in);
    bool there = !in->bad && find_table(&q, instance, found, row);
    struct holder h = { b, q.row };
    host_call_init(&q.call, a, there ? q.from->host->instance : NULL);
    q.call.cancelled = cancelled;
    q.frame.call = &q.call;
    in->take = take_handle;
    out.give = give_handle;
    in->ctx = out.ctx = &h;
    if (there)
        wire_get_arguments(in, &q.row->sig->calls[q.index], &q.frame);
    if (in->bad || !there)
        return LANE_BROKEN;
    q.call.user = q.from->host->instance;       /* whoever it says it is */
    atomic_fetch_add_explicit(&q.from->nested, 1, memory_order_relaxed);
    if (&q.row->sig->calls[q.index] == drop_of(q.row)) {
        void *handle;
        memcpy(&handle, q.frame.arg[0], sizeof handle);
        forget_handle(b, handle);
    }
    run_there(&q, l);
    buf_clear(&l->out);
    l->out.failed = false;
    put_answer(&q, &out);
    if (l->out.failed) {                /* more than a message holds */
        buf_free(&l->out);
        close_given(&out);
        out = (struct wire){ .out = &l->out };
        wire_put_u64(&out, (uint64_t)-KL_TOO_LARGE);
        wire_put_u32(&out, KL_TOO_LARGE);
        wire_put_str(&out, "the answer is too large for an isolated plugin");
    }
    return reply(l, &out);
}

/* What a plugin writes to its log is its own affair, as long as it leaves room for others. */
static int answer_log(struct body *b, struct lane *l, struct wire *in)
{
    static _Atomic int64_t second;
    static _Atomic uint32_t lines;
    struct wire out = { .out = &l->out };
    uint32_t instance = wire_get_u32(in), level = wire_get_u32(in);
    const char *line = wire_get_str(in);
    if (in->bad || !line || instance >= b->cell->n || level < KL_ERROR || level > KL_DEBUG)
        return LANE_BROKEN;
    int64_t now = env_mono_ns() / NS_PER_S;
    if (atomic_exchange(&second, now) != now)
        atomic_store(&lines, 0);
    const struct kl_host *h = b->cell->instances[instance].host;
    if (h && atomic_fetch_add(&lines, 1) < LINES_MOST)
        h->log(h, (int32_t)level, line);
    buf_clear(&l->out);
    l->out.failed = false;
    wire_put_u64(&out, 0);
    wire_put_u32(&out, 0);
    wire_put_str(&out, "");
    return reply(l, &out);
}

int body_answer(struct body *b, struct lane *l, struct lane_message *m)
{
    const struct lane_patience p = { .until_ns = env_mono_ns() + MESSAGE_NS };
    struct arena *a = arena_new(HOST_CALL_BYTES);
    char *text = a && l->depth < 8 ? arena_raw(a, m->len + 1) : NULL;
    int rc = text ? lane_take(l, m, text, &p) : LANE_BROKEN;
    struct wire in = { .at = text, .end = text + m->len, .alloc = from_arena, .alloc_ctx = a, .n_fds = m->n_fds };
    memcpy(in.fds, m->fds, sizeof in.fds);
    l->depth++;
    if (rc == LANE_OK) {
        uint32_t what = wire_get_u32(&in);
        rc = what == ERRAND_CALL ? answer_call(b, l, &in, a) : what == ERRAND_LOG ? answer_log(b, l, &in) : LANE_BROKEN;
    }
    l->depth--;
    lane_close_fds(m);
    arena_free(a);
    return rc;
}
