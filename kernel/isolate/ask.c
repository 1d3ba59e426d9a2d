/* ask.c - calls of the daemon to a child: how long they may last, what becomes of them when it dies, what comes back.
 *
 * A call on the loop has the loop's lane, which nobody else uses; what the plugin asks meanwhile is answered there and then, by the thread that waits.
 * Handles that come from a child carry its generation in their upper bits: another child never sees them.
 */
#include "isolate-internal.h"

#define LOOP_NS     (2 * NS_PER_S)      /* a healthy plugin on a busy machine has it; one that hangs holds up the loop for no longer */
#define WORKER_NS   (600 * NS_PER_S)
#define GRACE_NS    (2 * NS_PER_S)      /* behind the caller's own deadline: it is the plugin's to keep */
#define TAG_SHIFT   48
#define TAG_MASK    ((1ull << TAG_SHIFT) - 1)
#define SMALL       1024u

static uint64_t tag(const struct body *b)
{
    return (uint64_t)((b->generation & 0x7fff) | 0x8000) << TAG_SHIFT;
}

static uint64_t untag(void *ctx, void *handle)
{
    (void)ctx;
    return (uint64_t)(uintptr_t)handle & TAG_MASK;
}

static void *tagged(void *ctx, uint64_t number, bool *bad)
{
    *bad |= number > TAG_MASK;
    return (void *)(uintptr_t)(number | tag(ctx));
}

/* NULL belongs to everybody. */
static bool foreign(const struct body *b, const struct kl_sig_call *c, const void *const *at)
{
    for (uint32_t i = 0; i < c->n; i++) {
        uint64_t v;
        if (c->arguments[i].kind != KL_SIG_HANDLE)
            continue;
        memcpy(&v, at[i], sizeof v);
        if (v && (v & ~TAG_MASK) != (b ? tag(b) : 0))
            return true;
    }
    return false;
}

/* --- what fails --- */

static int64_t failure(const struct kl_sig_call *c, int code)
{
    return c->result == KL_SIG_R_INT ? -code : 0;
}

/* With the cell locked. Has that request seen a crash before? Then it is not asked again: it may be the cause. */
static bool first_time(struct cell *x, uint64_t request)
{
    for (unsigned i = 0; i < TRIED; i++)
        if (x->tried[i] == request)
            return false;
    x->tried[x->n_tried++ % TRIED] = request;
    return true;
}

/* There is nobody to ask. A request that can wait does, until the plugin is back. */
static int64_t nobody(struct cell_instance *i, const struct kl_sig_call *c, struct kl_call *call, bool crashed)
{
    struct cell *x = i->cell;
    char why[sizeof x->reason];
    bool waits = false;
    atomic_fetch_add_explicit(&i->errors, 1, memory_order_relaxed);
    pthread_mutex_lock(&x->lock);
    if (call && call->request && c->thread == KL_SIG_LOOP && c->result == KL_SIG_R_INT && x->conf.wake && x->n_waiting < WAITING_MOST &&
        !x->ending && x->state != CELL_QUARANTINED && x->state != CELL_ENDED && (!crashed || first_time(x, call->request))) {
        x->waiting[x->n_waiting++] = call->request;
        waits = true;
    }
    /* It was started again before the request was noted. */
    uint64_t at_once = waits && x->state == CELL_RUNNING && x->body && !atomic_load(&x->body->dead) ? call->request : 0;
    snprintf(why, sizeof why, "%s", x->reason);
    enum cell_state state = x->state;
    pthread_mutex_unlock(&x->lock);
    if (at_once)
        x->conf.wake(x->conf.ctx, at_once);
    if (waits)
        return failure(c, -kl_fail(call, KL_PENDING, "plugin '%s' is started again", x->name));
    if (call)
        kl_fail(call, KL_UNAVAILABLE, "plugin '%s' is %s%s%s", x->name, state == CELL_QUARANTINED ? "in quarantine" : "not running", why[0] ? ": it " : "", why);
    return failure(c, KL_UNAVAILABLE);
}

static int64_t broken(struct body *b, struct cell_instance *i, const struct kl_sig_call *c, const char *name, struct kl_call *call, int end)
{
    if (end == LANE_LATE) {
        atomic_fetch_add_explicit(&i->late, 1, memory_order_relaxed);
        body_end(b, "did not answer %s in time", name);
    } else if (end == LANE_BROKEN) {
        body_end(b, "answered %s with what is no answer", name);
    }
    pthread_mutex_lock(&b->cell->lock);
    if (b->cell->body == b) {           /* else it has been started again already */
        b->cell->body = NULL;           /* the keeper learns of it too; nobody else need meet the dying */
        b->cell->state = CELL_RESTARTING;
    }
    pthread_mutex_unlock(&b->cell->lock);
    return nobody(i, c, call, true);
}

/* --- one conversation --- */

static int64_t until_ns(const struct cell *x, const struct kl_sig_call *c, const struct kl_call *call, bool on_loop)
{
    int64_t now = env_mono_ns(), most = x->conf.deadline_ns ? x->conf.deadline_ns : on_loop ? LOOP_NS : WORKER_NS;
    int64_t own = call && call->deadline_ns ? call->deadline_ns + (on_loop ? LOOP_NS : GRACE_NS) : 0;
    if (c->flags & KL_SIG_STREAMING)
        return own;                     /* 0: as long as what it carries */
    if (own && own < now)
        own = now + GRACE_NS;
    return own && (!x->conf.deadline_ns || own < now + most) ? own : now + most;
}

static int converse(struct body *b, struct lane *l, struct lane_message *m, const struct lane_patience *p)
{
    for (;;) {
        int rc = lane_receive(l, m, p);
        if (rc < 0 || m->type == MESSAGE_REPLY)
            return rc;
        if ((rc = body_answer(b, l, m)) < 0)
            return rc;
        if (p->until_ns && env_mono_ns() > p->until_ns)
            return LANE_LATE;           /* who asks and asks never answers */
    }
}

struct memory {                         /* of what comes back */
    struct kl_call *call;
    char *block;
};

static void *take_memory(void *ctx, size_t n)
{
    struct memory *m = ctx;
    return m->call && m->call->alloc ? m->call->alloc(m->call->arena, n) : NULL;
}

static bool read_error(struct wire *w, struct kl_call *call, int64_t result)
{
    uint32_t code = wire_get_u32(w);
    const char *text = wire_get_str(w);
    if (w->bad || !text || code >= KL_CODE_END)
        return false;
    if (call) {
        call->err.code = (int32_t)code;
        snprintf(call->err.msg, sizeof call->err.msg, "%s", text);
        if (result < 0 && !code)
            call->err.code = (int32_t)-result;
    }
    return true;
}

/* The one text that a call without arguments gives lives as long as its instance. */
static int64_t keep_text(struct cell_instance *i, const char *text)
{
    const char *old = NULL;
    char *copy = text ? mem_dup(text, strlen(text)) : NULL;
    if (copy && !atomic_compare_exchange_strong(&i->text, &old, copy))
        mem_free(copy);
    return (int64_t)(uintptr_t)atomic_load(&i->text);
}

static bool plausible(const struct kl_sig_call *c, int64_t result)
{
    return c->result != KL_SIG_R_INT || (result > -KL_CODE_END && result <= INT32_MAX);
}

/* Texts and bytes point into the message: then it stays. */
static bool points(const struct kl_sig_call *c)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (c->arguments[i].kind >= KL_SIG_OUT_STR)
            return true;
    return false;
}

/* The reply at l: LANE_OK or why not. *ret: what the function returns. */
static int read_reply(struct body *b, struct lane *l, struct lane_message *m, struct cell_instance *i, const struct kl_sig_call *c,
                      const void *const *at, struct kl_call *call, const struct lane_patience *p, int64_t *ret)
{
    char small[SMALL];
    struct memory memory = { call, NULL };
    bool kept = call && call->alloc && points(c);
    char *text = kept ? call->alloc(call->arena, m->len + 1) : m->len < sizeof small ? small : (memory.block = mem_alloc(m->len + 1));
    struct wire w = { .at = text, .end = text + m->len, .alloc = take_memory, .alloc_ctx = &memory, .take = tagged, .ctx = b };
    int rc = text ? lane_take(l, m, text, p) : LANE_BROKEN;
    if (rc == LANE_OK) {
        memcpy(w.fds, m->fds, sizeof w.fds);
        w.n_fds = m->n_fds;
        *ret = (int64_t)wire_get_u64(&w);
        bool sound = plausible(c, *ret) && read_error(&w, call, *ret);
        if (sound && c->result == KL_SIG_R_STR)
            *ret = keep_text(i, wire_get_str(&w));
        else if (sound)
            wire_get_results(&w, c, at, *ret);
        rc = sound && !w.bad ? LANE_OK : LANE_BROKEN;
    }
    if (rc != LANE_OK || (c->result == KL_SIG_R_INT && *ret < 0))
        lane_close_fds(m);
    mem_free(memory.block);
    return rc;
}

static int64_t ask_on(struct body *b, struct lane *l, struct cell_instance *i, uint32_t index, const void *const *at, struct kl_call *call, bool on_loop)
{
    const struct kl_sig_call *c = &i->row->sig->calls[index];
    struct lane_patience p = { .call = call };
    struct lane_message m;
    int64_t ret = 0;
    struct wire w = { .out = &l->out, .give = untag };
    const char *before = b->doing[l->index];
    buf_clear(&l->out);
    l->out.failed = false;
    wire_put_u32(&w, ERRAND_CALL);
    wire_put_u32(&w, i->index);
    wire_put_u32(&w, index);
    wire_put_arguments(&w, c, at);
    if (l->out.failed) {
        buf_free(&l->out);
        if (call)
            kl_fail(call, KL_TOO_LARGE, "plugin '%s' cannot be told so much", i->cell->name);
        return failure(c, KL_TOO_LARGE);
    }
    b->doing[l->index] = c->name;
    l->shared->cancel[SIDE_DAEMON] = 0;
    p.until_ns = until_ns(i->cell, c, call, on_loop);
    int rc = lane_send(l, MESSAGE_CALL, w.fds, w.n_fds, &p);
    if (rc == LANE_OK)
        rc = converse(b, l, &m, &p);
    if (rc == LANE_OK)
        rc = read_reply(b, l, &m, i, c, at, call, &p, &ret);
    if (rc != LANE_OK)
        return broken(b, i, c, c->name, call, rc);      /* doing stays: it tells where the end came */
    b->doing[l->index] = before;
    if (c->result == KL_SIG_R_INT && ret < 0)
        atomic_fetch_add_explicit(&i->errors, 1, memory_order_relaxed);
    return ret;
}

int64_t cell_ask(struct peer *p, const struct table_row *t, uint32_t index, const void *const *at)
{
    struct cell_instance *i = (struct cell_instance *)p;
    const struct kl_sig_call *c = &t->sig->calls[index];
    struct kl_call *call = wire_call(c, at);
    const char *text = c->result == KL_SIG_R_STR ? atomic_load(&i->text) : NULL;
    if (text)
        return (int64_t)(uintptr_t)text;
    atomic_fetch_add_explicit(&i->calls, 1, memory_order_relaxed);
    struct body *b = body_get(i->cell);
    if (!b)
        return nobody(i, c, call, false);
    if (foreign(b, c, at)) {
        body_put(b);
        if (call)
            kl_fail(call, KL_UNAVAILABLE, "plugin '%s' was started again meanwhile", i->cell->name);
        return failure(c, KL_UNAVAILABLE);
    }
    bool on_loop = i->cell->conf.loop && loop_here(i->cell->conf.loop);
    struct lane *l = on_loop ? &b->lanes[0] : body_lane(b);
    int64_t ret;
    if (l) {
        ret = ask_on(b, l, i, index, at, call, on_loop || c->thread == KL_SIG_LOOP);
        if (!on_loop)
            body_lane_done(b, l);
    } else {
        ret = failure(c, call ? -kl_fail(call, KL_TOO_MANY_REQUESTS, "plugin '%s' has too many calls at once", i->cell->name) : KL_TOO_MANY_REQUESTS);
    }
    body_put(b);
    return ret;
}

const void *cell_instead(struct peer *p, const struct table_row *t, uint32_t index, const void *const *at, void **ret_self)
{
    struct cell_instance *i = (struct cell_instance *)p;
    if (!i->find)
        return NULL;
    pthread_mutex_lock(&i->cell->lock);
    bool away = !i->cell->body && i->open;
    pthread_mutex_unlock(&i->cell->lock);
    return away && !foreign(NULL, &t->sig->calls[index], at) ? i->find(i->find_ctx, ret_self) : NULL;
}

/* --- errands: what is no call of a table --- */

static const char *errand_text(enum errand e)
{
    static const char *const texts[] = { "", "a call", "its loading", "open", "reconfigure", "probe", "close", "", "its settings" };
    return texts[e];
}

static int read_errand(struct lane *l, struct lane_message *m, struct kl_call *c, struct kl_bytes *answer, const struct lane_patience *p)
{
    char small[SMALL], *block = NULL;
    bool kept = answer && c->alloc;
    char *text = kept ? c->alloc(c->arena, m->len + 1) : m->len < sizeof small ? small : (block = mem_alloc(m->len + 1));
    int64_t result = -KL_INTERNAL;
    struct wire w = { .at = text, .end = text + m->len };
    int rc = text ? lane_take(l, m, text, p) : LANE_BROKEN;
    lane_close_fds(m);
    if (rc == LANE_OK) {
        result = (int64_t)wire_get_u64(&w);
        bool sound = result > -KL_CODE_END && result <= INT32_MAX && read_error(&w, c, result);
        if (sound && kept)
            *answer = wire_get_bytes(&w);
        rc = sound && !w.bad ? LANE_OK : LANE_BROKEN;
    }
    mem_free(block);
    return rc == LANE_OK ? (int)result : rc == LANE_BROKEN ? -KL_CODE_END - 1 : -KL_CODE_END;
}

int body_errand(struct body *b, enum errand what, unsigned instance, const struct buf *extra, struct kl_call *c, struct kl_bytes *answer)
{
    struct cell *x = b->cell;
    bool on_loop = x->conf.loop && loop_here(x->conf.loop);
    struct lane *l = on_loop ? &b->lanes[0] : body_lane(b);
    struct lane_message m;
    int64_t most = x->conf.deadline_ns ? x->conf.deadline_ns : 30 * NS_PER_S;
    struct lane_patience p = { .until_ns = c->deadline_ns ? c->deadline_ns + GRACE_NS : env_mono_ns() + most };
    if (!l)
        return kl_fail(c, KL_TOO_MANY_REQUESTS, "plugin '%s' has too many calls at once", x->name);
    struct wire w = { .out = &l->out };
    const char *before = b->doing[l->index];
    buf_clear(&l->out);
    l->out.failed = false;
    wire_put_u32(&w, what);
    wire_put_u32(&w, instance);
    wire_put_u64(&w, (uint64_t)c->deadline_ns);
    if (extra)
        buf_add(&l->out, extra->at, extra->len);
    b->doing[l->index] = errand_text(what);
    l->shared->cancel[SIDE_DAEMON] = 0;
    int rc = lane_send(l, MESSAGE_CALL, NULL, 0, &p);
    if (rc == LANE_OK)
        rc = converse(b, l, &m, &p);
    int result = rc == LANE_OK ? read_errand(l, &m, c, answer, &p) : rc == LANE_BROKEN ? -KL_CODE_END - 1 : -KL_CODE_END;
    if (rc == LANE_LATE)
        body_end(b, "did not answer %s in time", errand_text(what));
    else if (result == -KL_CODE_END - 1)
        body_end(b, "answered %s with what is no answer", errand_text(what));
    bool gone = result <= -KL_CODE_END;
    if (!gone)
        b->doing[l->index] = before;
    if (!on_loop)
        body_lane_done(b, l);
    return gone ? kl_fail(c, KL_UNAVAILABLE, "plugin '%s' ended in %s", x->name, errand_text(what)) : result;
}
