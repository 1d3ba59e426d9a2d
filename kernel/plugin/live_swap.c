/* live_swap.c - one turn of the loop in which what comes takes the place of what goes, and what is left to do with what goes. [loop] except where said. */
#include <keelson/iface/layer.h>

#include "conf/load.h"
#include "live.h"

static bool comes(const struct pair *p)
{
    return p->fresh && p->fresh != p->old;
}

static bool goes(const struct pair *p)
{
    return p->old && p->fresh != p->old && p->old->state == PLUGIN_READY;
}

static bool is_ours(const struct change *x, const struct plugin_instance *i)
{
    for (unsigned k = 0; k < x->n; k++)
        if (x->at[k].fresh == i)
            return true;
    return false;
}

/* --- quiet --- */

bool live_is_quiet(const struct change *x)
{
    for (unsigned k = 0; k < x->n; k++) {
        const struct plugin_instance *i = x->at[k].old;
        if (i && i->gate && i->stack && (gate_users(i->gate, &i->stack->outer) > gate_streams(i->gate, &i->stack->outer) || host_reload_busy(i)))
            return false;
    }
    return true;
}

void live_hold(struct change *x, bool held)
{
    x->held = held;
    for (unsigned k = 0; k < x->n; k++)
        if (x->at[k].old && x->at[k].old->gate)
            gate_hold(x->at[k].old->gate, held);
}

/* --- before --- */

/* Controllers that others of their file ask while requests are decided (an index of roles) have to know all there is before those are asked. One that
 * blocks never works beside the one before it. */
static bool is_warm(const struct change *x)
{
    bool others = false, blocks = false, controls = false;
    for (unsigned k = 0; k < x->n; k++) {
        const struct plugin_instance *i = x->at[k].fresh;
        if (!comes(&x->at[k]) || !i->bare)
            continue;
        bool c = host_is_controller(i);
        others |= !c;
        controls |= c;
        blocks |= c && ((const struct kl_controller *)i->bare->table)->flags & KL_CONTROLLER_BLOCKING;
    }
    return others && controls && !blocks;
}

static int check_name(struct change *x, const struct plugin_instance *i)
{
    const struct plugin_host *h = x->host;
    for (unsigned k = 0; k < h->n; k++)
        if (x->action == LIVE_LOAD && h->at[k]->provider && strcmp(h->at[k]->name, i->name) == 0 &&
            strcmp(h->at[k]->provider->iface, i->provider->iface) == 0)
            return kl_err_set(&x->err, KL_INVALID, "an instance '%s' of %s is there already: reload or replace it, or give another name with --as", i->name,
                              i->provider->iface);
    return 0;
}

int live_meet(struct change *x)
{
    int rc = 0;
    x->warm = is_warm(x);
    for (unsigned k = 0; k < x->n && rc == 0; k++) {
        struct plugin_instance *i = x->at[k].fresh;
        if (!comes(&x->at[k]))
            continue;
        rc = check_name(x, i);
        i->stack = x->at[k].stack;
        if (rc == 0 && host_is_controller(i))
            rc = host_start_runner(i, !x->warm, &x->err);
        if (rc == 0 && !host_gate(x->host, i))
            rc = kl_err_set(&x->err, KL_NO_MEMORY, "there are too many instances");
    }
    return rc;
}

bool live_met(const struct change *x)
{
    bool all = true;
    for (unsigned k = 0; k < x->n && x->warm; k++)
        if (comes(&x->at[k]) && x->at[k].fresh->runner)
            all &= runner_caught_up(x->at[k].fresh->runner);
    return all;
}

static void nothing(void *ctx)
{
    (void)ctx;
}

void live_unmeet(struct change *x)
{
    for (unsigned k = 0; k < x->n; k++)
        if (comes(&x->at[k]) && x->at[k].fresh->runner)
            runner_stop(x->at[k].fresh->runner, nothing, NULL);         /* it works on the loop, or not yet: it is gone at once */
}

/* --- the turn --- */

static void in_place_of(struct plugin_instance **at, unsigned n, struct plugin_instance *old, struct plugin_instance *fresh)
{
    for (unsigned k = 0; k < n; k++)
        if (at[k] == old)
            at[k] = fresh;
}

static void take_out(struct plugin_instance **at, unsigned *n, const struct plugin_instance *old)
{
    for (unsigned k = 0; k < *n; k++)
        if (at[k] == old) {
            memmove(&at[k], &at[k + 1], (--*n - k) * sizeof *at);
            return;
        }
}

static void put_in(struct plugin_instance **at, unsigned *n, unsigned where, struct plugin_instance *fresh)
{
    if (*n == HOST_INSTANCES_MAX)
        return;
    memmove(&at[where + 1], &at[where], (*n - where) * sizeof *at);
    at[where] = fresh;
    ++*n;
}

/* Behind the last one that the configuration names before it; one that it does not name comes last. */
static unsigned place(const struct change *x, const struct chain *c, const struct plugin_instance *i, const char *key)
{
    const struct val *list = json_get(json_get(x->host->conf.config, STR("chains")), str_of(key));
    unsigned at = 0;
    for (unsigned k = 0; k < c->n && x->before.len; k++)
        if (str_is(x->before, c->at[k]->name))
            return k;
    if (val_is(list, VAL_ARR))
        val_each(v, list) {
            if (str_is(val_str(v), i->name))
                return at;
            for (unsigned k = 0; k < c->n; k++)
                if (str_is(val_str(v), c->at[k]->name))
                    at = k + 1;
        }
    return c->n;
}

static void put_in_chain(struct change *x, struct plugin_instance *i)
{
    struct chain *c = host_chain_of(x->host, i->provider->iface);
    if (c)
        put_in(c->at, &c->n, place(x, c, i, c == &x->host->authn ? "authn" : c == &x->host->authz ? "authz" : "admission"), i);
}

static bool is_opened(const struct plugin_host *h, const struct plugin_instance *i)
{
    for (unsigned k = 0; k < h->n_opened; k++)
        if (h->opened[k] == i)
            return true;
    return false;
}

/* With the lock. */
static void change_lists(struct change *x, struct pair *p)
{
    struct plugin_host *h = x->host;
    struct chain *const chains[] = { &h->authn, &h->authz, &h->admission };
    for (unsigned k = 0; k < 3 && p->old; k++) {
        if (p->fresh)
            in_place_of(chains[k]->at, chains[k]->n, p->old, p->fresh);
        else
            take_out(chains[k]->at, &chains[k]->n, p->old);
    }
    if (p->old && p->fresh) {
        in_place_of(h->at, h->n, p->old, p->fresh);
        in_place_of(h->opened, h->n_opened, p->old, p->fresh);
    } else if (p->old) {
        take_out(h->at, &h->n, p->old);
        take_out(h->opened, &h->n_opened, p->old);
    } else {
        put_in(h->at, &h->n, h->n, p->fresh);
        put_in_chain(x, p->fresh);
    }
    if (p->fresh && !is_opened(h, p->fresh))
        put_in(h->opened, &h->n_opened, h->n_opened, p->fresh);
    if (p->old && p->old->batch)
        take_out(p->old->batch->made.at, &p->old->batch->made.n, p->old);
}

static void gone(void *ctx)
{
    struct pair *p = ctx;
    p->runner_gone = true;
    if (p->of->host->ended)
        host_one_gone(p->of->host);
}

static void lead(struct pair *p)
{
    struct plugin_instance *i = p->fresh;
    struct stack *before = p->old ? p->old->stack : NULL;
    if (i && i == p->old) {
        i->stack = p->stack;
        if (i->runs)
            gate_set(i->runs, &i->stack->outer, i->bare->rank);
    }
    if (i)
        host_enter(i);
    else if (p->old->gate)
        gate_set(p->old->gate, NULL, 0);
    p->stack = before;
}

static void move_over(struct pair *p)
{
    if (p->fresh) {
        p->fresh->origin = p->old->origin;
        p->fresh->reviews = p->old->reviews;
        p->old->reviews = NULL;
    }
    p->runner = p->old->runner;
}

static void adopt_cells(struct change *x)
{
    struct plugin_host *h = x->host, *m = x->batch ? &x->batch->made : NULL;
    for (unsigned k = 0; m && k < m->n_cells && h->n_cells < HOST_INSTANCES_MAX; k++)
        h->cells[h->n_cells++] = m->cells[k];
    if (m)
        m->n_cells = 0;
}

/* Instances that nobody wanted go at once; the others hold the batch. */
static void adopt(struct change *x)
{
    struct plugin_host *m = x->batch ? &x->batch->made : NULL;
    for (unsigned k = 0; m && k < m->n;) {
        if (is_ours(x, m->at[k])) {
            x->batch->alive++;
            k++;
            continue;
        }
        module_drop(m->at[k]->module);
        take_out(m->at, &m->n, m->at[k]);
    }
    if (m)
        host_batch_put(x->batch);       /* the change's own */
}

void live_swap(struct change *x)
{
    struct plugin_host *h = x->host;
    pthread_mutex_lock(&h->lock);
    for (unsigned k = 0; k < x->n; k++)
        if (x->at[k].fresh != x->at[k].old)
            change_lists(x, &x->at[k]);
    for (unsigned k = 0; k < x->n; k++)
        lead(&x->at[k]);
    adopt(x);
    pthread_mutex_unlock(&h->lock);
    adopt_cells(x);
    for (unsigned k = 0; k < x->n; k++) {
        struct pair *p = &x->at[k];
        if (p->old && p->fresh != p->old)
            move_over(p);
        p->releases = comes(p) && p->fresh->runner && !x->warm;
        if (p->runner)
            runner_stop(p->runner, gone, p);
        else if (p->releases && (!p->old || !goes(p))) {
            p->releases = false;        /* nobody was there before it */
            runner_release(p->fresh->runner);
        }
    }
    if (h->api)
        api_wake_everybody(h->api);     /* what waits for an answer that only what goes would have told asks again */
}

/* --- after --- */

static unsigned users_of(const struct pair *p, bool streams)
{
    const struct plugin_instance *i = p->old;
    unsigned n = 0;
    if (!p->stack)
        return 0;
    if (i->gate)
        n += streams ? gate_streams(i->gate, &p->stack->outer) : gate_users(i->gate, &p->stack->outer);
    if (i->runs)
        n += streams ? 0 : gate_users(i->runs, &p->stack->outer);
    if (p->stack->bottom && !streams)
        n += gate_users(p->stack->bottom, &p->stack->inner) - gate_streams(p->stack->bottom, &p->stack->inner);
    return n;
}

static bool is_idle(const struct pair *p)
{
    return users_of(p, false) == 0 && (!p->runner || p->runner_gone) && !(p->stack && host_reload_busy(p->old));
}

unsigned live_under_way(const struct change *x, bool streams_only)
{
    unsigned n = 0;
    for (unsigned k = 0; k < x->n; k++) {
        const struct pair *p = &x->at[k];
        unsigned users = p->old && p->stage == PAIR_WHOLE ? users_of(p, false) : 0;
        if (streams_only && p->old && p->stage != PAIR_GONE && (users == 0 || users > users_of(p, true)))
            return 0;
        n += users;
    }
    return n;
}

/* Who is held by others that go, or stands before them, goes with the last of them. */
static bool is_last(const struct plugin_instance *i)
{
    return i->lent || (i->provider && strcmp(i->provider->iface, KL_LAYER_0) == 0);
}

bool live_pick(struct change *x)
{
    bool all = true, any = false;
    for (unsigned k = 0; k < x->n; k++)
        all &= !x->at[k].old || x->at[k].stage != PAIR_WHOLE || is_idle(&x->at[k]);
    for (unsigned k = 0; k < x->n; k++) {
        struct pair *p = &x->at[k];
        if (!p->old || p->stage != PAIR_WHOLE || !is_idle(p) || (!all && is_last(p->old)))
            continue;
        p->stage = PAIR_CLOSES;
        any = true;
    }
    return any;
}

bool live_is_over(const struct change *x)
{
    for (unsigned k = 0; k < x->n; k++)
        if (x->at[k].old && x->at[k].stage != PAIR_GONE)
            return false;
    return true;
}

void live_close(struct change *x)
{
    for (unsigned k = x->n; k-- > 0;)
        if (x->at[k].stage == PAIR_CLOSES && x->at[k].old == x->at[k].fresh) {
            host_stack_free(x->at[k].stack);
            x->at[k].stack = NULL;
        }
    for (unsigned k = x->n; k-- > 0;)
        if (x->at[k].stage == PAIR_CLOSES && goes(&x->at[k]))
            host_close_instance(x->at[k].old);          /* its stack, too */
}

void live_closed(struct change *x)
{
    for (unsigned k = 0; k < x->n; k++) {
        struct pair *p = &x->at[k];
        if (p->stage != PAIR_CLOSES)
            continue;
        p->stack = NULL;
        if (p->old == p->fresh)
            continue;
        host_calls_drop(x->host, p->old);
        if (p->releases)
            runner_release(p->fresh->runner);
    }
}

void live_release(struct change *x)
{
    for (unsigned k = 0; k < x->n; k++) {
        struct pair *p = &x->at[k];
        struct plugin_instance *i = p->old;
        if (p->stage != PAIR_CLOSES || i == p->fresh)
            continue;
        runner_free(p->runner);
        p->runner = NULL;
        i->runner = NULL;
        gate_free(i->runs);
        i->runs = NULL;
        mem_free(i->reviews);
        i->reviews = NULL;
        i->arena = arena_free(i->arena);
        if (i->cell)
            p->cell = host_cell_take(x->host, i);
    }
}

void live_unload(struct change *x)
{
    for (unsigned k = 0; k < x->n; k++) {
        struct pair *p = &x->at[k];
        if (p->stage != PAIR_CLOSES || p->old == p->fresh)
            continue;
        cell_free(p->cell);
        p->cell = NULL;
        module_drop(p->old->module);
        p->old->module = NULL;
    }
}

void live_gone(struct change *x)
{
    for (unsigned k = 0; k < x->n; k++) {
        struct pair *p = &x->at[k];
        if (p->stage != PAIR_CLOSES)
            continue;
        p->stage = PAIR_GONE;
        if (p->old != p->fresh && p->old->batch)
            host_batch_put(p->old->batch);
    }
}

/* --- the end of the process --- */

void live_pick_all(struct change *x)
{
    for (unsigned k = 0; k < x->n; k++)
        if (x->at[k].old && x->at[k].stage == PAIR_WHOLE)
            x->at[k].stage = PAIR_CLOSES;
}

unsigned live_stop(struct change *x)
{
    unsigned n = 0;
    if (!x->swapped)
        live_unmeet(x);
    for (unsigned k = 0; k < x->n && x->swapped; k++)
        n += x->at[k].stage == PAIR_WHOLE && x->at[k].runner && !x->at[k].runner_gone;
    return n;
}

void live_end(struct change *x)
{
    if (!x->swapped) {
        live_unmade(x);
        if (x->batch)
            host_batch_put(x->batch);
        return;
    }
    live_release(x);
    for (unsigned k = 0; k < x->n; k++) {
        struct pair *p = &x->at[k];
        if (p->stage != PAIR_CLOSES || p->old == p->fresh)
            continue;
        cell_free(p->cell);
        module_forget(p->old->module);
    }
    live_gone(x);
}
