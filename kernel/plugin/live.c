/* live.c - the course of a change: one after the other, each in its steps (live.h). [loop] except where said. */
#include "base/env.h"
#include "base/log.h"
#include "conf/load.h"
#include "live.h"

#define FIRST_LOOK_NS NS_PER_MS
#define LOOK_MOST_NS  (50 * NS_PER_MS)
#define MEET_NS       (20 * NS_PER_S)   /* longest that a controller takes to catch up */
#define TELL_NS       (5 * NS_PER_S)    /* longest that who asked waits for what goes */
#define QUIET_NS      (60 * NS_PER_S)   /* longest wait for a moment without a call; in the last part of it later calls wait too */
#define HOLD_NS       (50 * NS_PER_S)

static const char *const verbs[] = { "", "load", "reload", "set", "replace", "remove" };
static const char *const pasts[] = { "", "loaded", "reloaded", "set", "replaced", "removed" };

/* Work that plugin_host_stop waits for. */
static void work(struct change *x, loop_fn run, loop_fn done)
{
    x->works = true;
    loop_work(x->host->conf.loop, run, done, x);
}

/* False: everything ends, and this one here. */
static bool worked(struct change *x)
{
    x->works = false;
    if (x->host->ended)
        host_one_gone(x->host);
    return !x->host->ended;
}

/* --- what is told --- */

static const struct plugin_instance *first(const struct change *x)
{
    return x->at[0].fresh ? x->at[0].fresh : x->at[0].old;
}

static void event(const struct change *x, const struct pair *p)
{
    const struct plugin_instance *i = p->fresh ? p->fresh : p->old;
    struct objects *o = x->host->objects;
    char about[300], message[300];
    if (!o)
        return;
    int n = snprintf(about, sizeof about, "{\"apiVersion\":\"keelson.dev/v1\",\"kind\":\"Plugin\",\"namespace\":\"default\",\"name\":\"%.63s\"}", i->name);
    snprintf(message, sizeof message, "The instance was %s by '%.100s': %.60s %.20s.", pasts[x->action], x->user, i->plugin->id, i->plugin->version);
    o->ops->event(o, "keelson", (struct kl_bytes){ about, (size_t)n }, "Normal", "PluginChanged", message);
}

static void note(const struct change *x)
{
    for (unsigned k = 0; k < x->n; k++) {
        const struct pair *p = &x->at[k];
        const struct plugin_instance *i = p->fresh ? p->fresh : p->old;
        if (p->old == p->fresh || !i->plugin)
            continue;                   /* its layer was changed, or it never was */
        log_info("plugin", "%s '%s' (%s %s) by '%s'", pasts[x->action], i->name, i->plugin->id, i->plugin->version, x->user);
        event(x, p);
    }
}

/* While all of them are there. */
static const char *text_of(struct change *x)
{
    _cleanup_buf_ struct buf b = BUF_INIT(16384);
    const struct plugin_instance *i = first(x);
    unsigned more = 0;
    if (i->plugin)
        buf_printf(&b, "%s '%s' (%s %s)", pasts[x->action], i->name, i->plugin->id, i->plugin->version);
    else
        buf_printf(&b, "%s '%s'", pasts[x->action], i->name);
    for (unsigned k = 1; k < x->n; k++)
        if (x->at[k].old != x->at[k].fresh && strcmp((x->at[k].fresh ? x->at[k].fresh : x->at[k].old)->name, i->name) != 0)
            buf_printf(&b, "%s '%s'", more++ ? "," : ", with it", (x->at[k].fresh ? x->at[k].fresh : x->at[k].old)->name);
    const struct val *origin = x->at[0].old ? x->at[0].old->origin : NULL;
    if (x->action != LIVE_RELOAD)
        buf_printf(&b, "\nThis lasts until the server is restarted. What is to stay belongs into the configuration%s%s%s", origin ? " (" : "",
                   origin ? conf_where(x->arena, origin) : "", origin ? ")" : "");
    const char *text = b.failed ? NULL : arena_dup(x->arena, buf_str(&b));
    return text ? text : pasts[x->action];
}

static void tell(struct change *x, unsigned under_way)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    plugin_changed_fn done = x->done;
    x->done = NULL;
    if (!done)
        return;
    if (x->rc < 0) {
        done(x->ctx, &x->err, NULL);
        return;
    }
    buf_add_z(&b, x->text);
    if (under_way)
        buf_printf(&b, "; the earlier one goes on until %u call%s under way in it %s over", under_way, under_way == 1 ? "" : "s", under_way == 1 ? "is" : "are");
    buf_add_c(&b, '\0');
    done(x->ctx, NULL, b.failed ? pasts[x->action] : b.at);
}

/* --- one at a time --- */

static void begin(struct plugin_host *h);

static void change_free(struct change *x)
{
    loop_timer_stop(&x->timer);
    list_remove(&x->link);
    arena_free(x->arena);
    mem_free(x);
}

/* The next may begin. */
static void make_way(struct change *x)
{
    struct live *l = x->host->live;
    if (list_empty(&l->changes) || list_item(l->changes.next, struct change, link) != x)
        return;
    list_remove(&x->link);
    list_push(&l->leaving, &x->link);
    l->busy = false;
    begin(x->host);
}

static void over(struct change *x)
{
    tell(x, 0);
    make_way(x);
    change_free(x);
}

static void fail(struct change *x)
{
    if (x->batch)
        host_batch_put(x->batch);
    x->rc = -x->err.code;
    log_warn("plugin", "'%s' cannot %s '" STR_FMT "': %s", x->user, verbs[x->action], STR_ARG(x->name), x->err.msg);
    over(x);
}

static void look_again(struct change *x, loop_fn fn)
{
    loop_timer_start(x->host->conf.loop, &x->timer, x->step_ns, fn, x);
    x->step_ns = x->step_ns * 2 < LOOK_MOST_NS ? x->step_ns * 2 : LOOK_MOST_NS;
}

/* --- the end of what goes --- */

static void unload(void *ctx)
{
    live_unload(ctx);
}

static void drain(void *ctx);

static void finish(struct change *x)
{
    x->closed = x->unloaded = false;
    live_gone(x);
    drain(x);
}

static void unloaded(void *ctx)
{
    struct change *x = ctx;
    x->unloaded = true;
    if (worked(x))
        finish(x);
}

/* A turn later than what was posted by what is closed now. */
static void release(void *ctx)
{
    struct change *x = ctx;
    if (x->host->ended)
        return;
    live_release(x);
    work(x, unload, unloaded);
}

static void close_it(void *ctx)
{
    live_close(ctx);
}

static void closed(void *ctx)
{
    struct change *x = ctx;
    x->closed = true;
    if (!worked(x))
        return;
    live_closed(x);
    loop_post(x->host->conf.loop, release, x);
}

static bool has_runner(const struct change *x)
{
    for (unsigned k = 0; k < x->n; k++)
        if (x->at[k].runner)
            return true;
    return false;
}

static void drain(void *ctx)
{
    struct change *x = ctx;
    if (x->host->ended)
        return;
    if (live_is_over(x)) {
        over(x);
        return;
    }
    if (live_pick(x)) {
        work(x, close_it, closed);
        return;
    }
    unsigned streams = live_under_way(x, true);         /* they may take for ever */
    if (streams || loop_now(x->host->conf.loop) > x->until_ns) {
        tell(x, streams ? streams : live_under_way(x, false));
        if (!has_runner(x))             /* of a controller there is never another one before the earlier is closed */
            make_way(x);
    }
    look_again(x, drain);
}

static void swap_now(struct change *x)
{
    live_swap(x);
    x->swapped = true;
    note(x);
    x->text = text_of(x);
    x->step_ns = FIRST_LOOK_NS;
    x->until_ns = loop_now(x->host->conf.loop) + TELL_NS;
}

static void swap(struct change *x)
{
    swap_now(x);
    drain(x);
}

/* --- what comes --- */

static void unmake(void *ctx)
{
    live_unmake(ctx);
}

static void unmade_later(void *ctx)
{
    struct change *x = ctx;
    if (x->host->ended)
        return;
    live_unmade(x);
    fail(x);
}

static void unmade(void *ctx)
{
    struct change *x = ctx;
    if (worked(x))
        loop_post(x->host->conf.loop, unmade_later, x);
}

static void give_up(struct change *x)
{
    live_unmeet(x);
    work(x, unmake, unmade);
}

/* --- what is opened while nothing goes on --- */

static void open_it(void *ctx)
{
    struct change *x = ctx;
    x->rc = live_open(x);
}

static void opened(void *ctx)
{
    struct change *x = ctx;
    if (x->rc == 0)
        x->rc = live_meet(x);
    if (x->rc == 0) {                   /* at the end of the process too: who waits at the gate is waited for */
        x->held = false;
        swap_now(x);
    } else {
        if (x->exclusive && x->at[0].old->stack)
            host_enter(x->at[0].old);
        live_hold(x, false);
    }
    if (!worked(x))
        return;
    if (x->swapped)
        drain(x);
    else
        give_up(x);
}

/* A moment without a call is waited for. When there is none by itself, those that come wait. */
static void quiet(void *ctx)
{
    struct change *x = ctx;
    int64_t now = loop_now(x->host->conf.loop);
    if (x->host->ended)
        return;
    bool all = live_is_quiet(x);
    if (all && x->held) {
        if (x->exclusive)
            gate_forget(x->at[0].old->gate);
        work(x, open_it, opened);
        return;
    }
    if (now > x->until_ns) {
        live_hold(x, false);
        kl_err_set(&x->err, KL_CONFLICT, "'%s' has calls under way that last longer than a minute; try again when they are over", first(x)->name);
        give_up(x);
        return;
    }
    if (!x->held && (all || now > x->until_ns - HOLD_NS)) {
        live_hold(x, true);
        x->step_ns = FIRST_LOOK_NS;
        quiet(x);                       /* one may have begun before */
        return;
    }
    look_again(x, quiet);
}

static void meet(void *ctx)
{
    struct change *x = ctx;
    if (x->host->ended)
        return;
    if (live_met(x)) {
        swap(x);
    } else if (loop_now(x->host->conf.loop) > x->until_ns) {
        kl_err_set(&x->err, KL_TIMEOUT, "'%s' does not catch up with what there is", first(x)->name);
        give_up(x);
    } else {
        look_again(x, meet);
    }
}

static void made(void *ctx)
{
    struct change *x = ctx;
    if (!worked(x))
        return;
    if (x->rc < 0) {
        give_up(x);
        return;
    }
    x->step_ns = FIRST_LOOK_NS;
    if (x->quiet) {
        x->until_ns = loop_now(x->host->conf.loop) + QUIET_NS;
        quiet(x);
    } else if (live_meet(x) < 0) {
        give_up(x);
    } else {
        x->until_ns = loop_now(x->host->conf.loop) + MEET_NS;
        meet(x);
    }
}

static void make(void *ctx)
{
    struct change *x = ctx;
    x->rc = live_make(x);
}

static void begin(struct plugin_host *h)
{
    struct live *l = h->live;
    if (l->busy || list_empty(&l->changes) || h->ended)
        return;
    struct change *x = list_item(l->changes.next, struct change, link);
    l->busy = true;
    if (live_plan(x) < 0)
        fail(x);                        /* makes way */
    else
        work(x, make, made);
}

/* --- batches --- */

static void batch_free(void *ctx)
{
    struct batch *b = ctx;
    arena_free(b->made.arena);
    mem_free(b);
}

/* A turn later: a process of it may have posted that it ended. */
void host_batch_put(struct batch *b)
{
    if (--b->alive)
        return;
    if (b->host->ended || !b->host->conf.loop)
        batch_free(b);
    else
        loop_post(b->host->conf.loop, batch_free, b);
}

/* --- from outside --- */

static struct live *live_of(struct plugin_host *h)
{
    if (!h->live && (h->live = mem_alloc(sizeof *h->live))) {
        list_init(&h->live->changes);
        list_init(&h->live->leaving);
    }
    return h->live;
}

struct val *live_copy(struct arena *a, const struct val *v)
{
    struct val *out = v ? val_new(a, v->type) : NULL;
    if (!out)
        return NULL;
    if (v->type == VAL_STR || v->type == VAL_NUM) {
        out->s = arena_dup(a, str_n(v->s, v->n));
        out->n = v->n;
    } else if (v->type == VAL_OBJ) {
        val_each(m, v)
            json_set(a, out, arena_str(a, val_key(m)), live_copy(a, m));
    } else if (v->type == VAL_ARR) {
        val_each(m, v)
            val_push(out, live_copy(a, m));
    } else {
        out->i = v->i;
    }
    return out;
}

static struct change *change_new(struct plugin_host *h, const struct plugin_change *c)
{
    struct change *x = mem_alloc(sizeof *x);
    if (!x || !(x->arena = arena_new(4 << 20))) {
        mem_free(x);
        return NULL;
    }
    x->host = h;
    list_init(&x->link);
    kl_err_init(&x->err);
    for (size_t i = 1; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i], c->action) == 0)
            x->action = (enum live_action)i;
    x->name = arena_str(x->arena, c->instance);
    long colon = str_find(x->name, ':');
    if (colon >= 0) {
        x->iface = str_n(x->name.at, (size_t)colon);
        x->name = str_skip(x->name, (size_t)colon + 1);
    }
    x->file = arena_str(x->arena, c->file);
    x->provider = arena_str(x->arena, c->provider);
    x->isolate = arena_str(x->arena, c->isolate);
    x->before = arena_str(x->arena, c->before);
    x->settings = live_copy(x->arena, c->settings);
    x->user = arena_dup(x->arena, str_of(c->user));
    return x;
}

void plugin_host_change(struct plugin_host *h, const struct plugin_change *c, plugin_changed_fn done, void *ctx)
{
    struct live *l = live_of(h);
    struct change *x = l ? change_new(h, c) : NULL;
    struct kl_err err;
    kl_err_init(&err);
    if (!x || arena_exhausted(x->arena))
        kl_err_set(&err, KL_NO_MEMORY, "out of memory");
    else if (!x->action)
        kl_err_set(&err, KL_NOT_FOUND, "there is no action '%s': load, reload, set, replace or remove", c->action);
    else if (h->ended)
        kl_err_set(&err, KL_UNAVAILABLE, "the server is stopping");
    if (err.code) {
        if (x)
            change_free(x);
        done(ctx, &err, NULL);
        return;
    }
    x->done = done;
    x->ctx = ctx;
    list_push(&l->changes, &x->link);
    begin(h);
}

/* --- the end of the process --- */

unsigned host_live_stop(struct plugin_host *h)
{
    unsigned n = 0;
    if (!h->live)
        return 0;
    struct list *const lists[] = { &h->live->changes, &h->live->leaving };
    for (unsigned k = 0; k < 2; k++)
        list_each(l, lists[k]) {
            struct change *x = list_item(l, struct change, link);
            loop_timer_stop(&x->timer);
            if (x->held && !x->works)
                live_hold(x, false);
            n += x->works + live_stop(x);
        }
    return n;
}

/* The end was put off: what was under way is ended, or given up where it had not come to anything. */
void host_live_resume(struct plugin_host *h)
{
    if (!h->live)
        return;
    struct list *const lists[] = { &h->live->changes, &h->live->leaving };
    for (unsigned k = 0; k < 2; k++)
        list_each(l, lists[k]) {
            struct change *x = list_item(l, struct change, link);
            if (x->unloaded) {
                finish(x);
            } else if (x->closed) {
                live_closed(x);
                loop_post(h->conf.loop, release, x);
            } else if (x->swapped) {
                drain(x);
            } else if (x->batch) {
                kl_err_set(&x->err, KL_UNAVAILABLE, "the server was about to end");
                give_up(x);
            }
        }
    begin(h);
}

void host_live_close(struct plugin_host *h)
{
    if (!h->live)
        return;
    for (struct list *l; (l = list_pop(&h->live->leaving)) || (l = list_pop(&h->live->changes));) {
        struct change *x = list_item(l, struct change, link);
        kl_err_set(&x->err, KL_UNAVAILABLE, "the server is stopping");
        x->rc = -KL_UNAVAILABLE;
        tell(x, 0);
        if (!x->swapped) {
            live_unmake(x);
        } else if (!x->closed) {
            live_pick_all(x);
            live_close(x);
        }
        live_end(x);
        change_free(x);
    }
    mem_free(h->live);
    h->live = NULL;
}
