/* host.c - see host.h: instances, the order in which they open, controllers. */
#include "plugin/host.h"

#include <keelson/iface/auth.h>
#include <keelson/iface/layer.h>

#include "base/env.h"
#include "base/log.h"
#include "conf/bind.h"
#include "conf/load.h"
#include "host-internal.h"
#include "reconcile/call.h"

#define OPEN_NS (30 * NS_PER_S)

/* Every setting is right before anything is opened. */
static int check_settings(struct plugin_host *h, struct kl_err *err)
{
    int rc = 0;
    for (unsigned k = 0; k < h->n && rc == 0; k++) {
        struct plugin_instance *i = h->at[k];
        _cleanup_arena_ struct arena *a = arena_new(0);
        void *conf;
        if (!a)
            return kl_err_set(err, KL_NO_MEMORY, "out of memory");
        if (i->plugin && i->roles & h->conf.roles)
            rc = conf_bind(a, i->plugin, i->settings, conf_where(h->arena, i->entry), &conf, err);
    }
    return rc;
}

int plugin_host_new(const struct plugin_host_conf *c, struct plugin_host **ret, struct kl_err *err)
{
    struct plugin_host *h = mem_alloc(sizeof *h);
    if (!h || !(h->arena = arena_new(0))) {
        mem_free(h);
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    h->conf = *c;
    int rc = host_read_manifest(h, err);
    if (rc == 0)
        rc = host_check_cycles(h, err);
    if (rc == 0)
        rc = host_find_fallbacks(h, err);
    if (rc == 0)
        rc = host_check_layers(h, err);
    if (rc == 0)
        rc = check_settings(h, err);
    if (rc == 0 && c->roles & ROLE_SERVER)
        rc = host_read_chains(h, err);
    if (rc < 0) {
        plugin_host_free(h);
        return rc;
    }
    *ret = h;
    return 0;
}

int plugin_host_check(struct plugin_host *h, struct kl_err *err)
{
    for (unsigned k = 0; k < h->n; k++) {
        const struct plugin_instance *i = h->at[k];
        if (i->state == PLUGIN_REFUSED)
            return kl_err_set(err, KL_INVALID, "%s: %s", conf_where(h->arena, i->entry), i->reason);
    }
    return host_check_needs(h, err);
}

void plugin_host_set_objects(struct plugin_host *h, struct store *s, struct objects *o)
{
    h->store = s;
    h->objects = o;
}

void plugin_host_set_api(struct plugin_host *h, struct api *a)
{
    h->api = a;
}

/* --- opening --- */

static bool wanted(const struct plugin_host *h, const struct plugin_instance *i, const char *iface)
{
    return i->state == PLUGIN_LOADED && i->roles & h->conf.roles && (!iface || strcmp(iface, i->provider->iface) == 0);
}

/* 1: met, 0: another instance that may still open would meet it, -1: nobody does. *ret: the id. */
static int need_met(struct plugin_host *h, const struct plugin_instance *i, const char **ret)
{
    int all = 1;
    for (uint32_t k = 0; k < i->plugin->needs.n; k++) {
        const struct kl_need *n = KL_AT(struct kl_need, i->plugin->needs, k);
        int met = host_offers(h, n->id) ? 1 : -1;
        for (unsigned j = 0; j < h->n && met != 1; j++) {
            const struct plugin_instance *o = h->at[j];
            if (!o->provider || strcmp(o->provider->iface, n->id) != 0)
                continue;
            if (o->state == PLUGIN_READY)
                met = 1;
            else if (o->state == PLUGIN_LOADED && o->roles & h->conf.roles)
                met = 0;
        }
        if (met == 1 || (met < 0 && n->optional))
            continue;
        *ret = n->id;
        if (met < 0)
            return -1;
        all = 0;
    }
    return all;
}

int host_open_instance(struct plugin_instance *i, struct kl_err *err)
{
    struct kl_call c;
    void *conf = NULL;
    i->arena = arena_new(0);
    if (!i->arena)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    host_call_init(&c, i->arena, i->name);
    c.deadline_ns = env_mono_ns() + OPEN_NS;
    c.flags = i->owner->open_flags;
    int rc = conf_bind(i->arena, i->plugin, i->settings, i->name, &conf, err);
    if (rc == 0) {
        const struct plugin_table *t = i->provider->table;
        i->conf = conf;
        host_reload_new(i);
        rc = i->cell ? cell_open(i->cell, i->cell_at, &i->host, conf, &i->self, &c) : t->life.open(&i->host, conf, &i->self, &c);
        if (rc < 0)
            *err = c.err;
    }
    if (rc < 0) {
        i->conf = NULL;
        i->reload = NULL;
        i->arena = arena_free(i->arena);
        return rc;
    }
    i->bare = i->provider;
    i->bare_self = i->self;
    i->state = PLUGIN_READY;
    return 0;
}

void host_close_instance(struct plugin_instance *i)
{
    bool closed = i->stack && host_stack_closes(i->stack);
    const struct plugin_table *t = i->bare->table;
    host_stack_free(i->stack);
    i->stack = NULL;
    if (t->life.close && !closed)
        t->life.close(i->bare_self);
    i->state = PLUGIN_CLOSED;
}

/* Gates stay: whoever found an instance may ask long after it is gone, and who takes its name takes its gate. */
bool host_gate(struct plugin_host *h, struct plugin_instance *i)
{
    for (unsigned k = 0; k < h->n_gates && !i->gate; k++)
        if (strcmp(gate_name(h->gates[k]), i->name) == 0 && strcmp(gate_iface(h->gates[k]), i->provider->iface) == 0)
            i->gate = h->gates[k];
    if (i->gate || !gate_knows(i->provider->iface))
        return true;
    if (h->n_gates == GATES_MOST || !(i->gate = gate_new(i->provider->iface, i->name, i->provider->rank, h->conf.loop)))
        return false;
    h->gates[h->n_gates++] = i->gate;
    return true;
}

struct gate_target *host_enter(struct plugin_instance *i)
{
    struct gate_target *t = &i->stack->outer, *before = i->gate ? gate_set(i->gate, t, i->bare->rank) : NULL;
    if (i->gate) {
        i->provider = gate_provider(i->gate);
        i->self = i->gate;
    } else if (i->stack->layered) {
        struct kl_provider *p = arena_alloc(i->arena, sizeof *p);
        if (p) {
            *p = *i->bare;
            p->table = t->table;
            i->provider = p;
            i->self = t->self;
        }
    }
    return before;
}

static int open_one(struct plugin_host *h, struct plugin_instance *i)
{
    struct kl_err err;
    struct plugin_instance *layers[LAYERS_MOST], *layer;
    while (!host_layers_ready(h, i, &layer))
        open_one(h, layer);
    kl_err_init(&err);
    int rc = host_open_instance(i, &err);
    if (rc == 0) {
        unsigned n = host_layers_of(h, i, layers);
        rc = host_gate(h, i) ? host_stack_new(i, layers, n, &i->stack, &err) : kl_err_set(&err, KL_NO_MEMORY, "out of memory");
        if (rc < 0) {
            host_close_instance(i);
            i->bare = NULL;
            i->arena = arena_free(i->arena);
        }
    }
    if (rc < 0) {
        i->state = PLUGIN_FAILED;
        snprintf(i->reason, sizeof i->reason, "%s", err.msg);
        return rc;
    }
    host_enter(i);
    h->opened[h->n_opened++] = i;
    return 0;
}

static void fail(struct plugin_instance *i, const char *id, const char *what)
{
    i->state = PLUGIN_FAILED;
    snprintf(i->reason, sizeof i->reason, "it needs '%s', %s", id, what);
}

static void report(const struct plugin_host *h)
{
    for (unsigned k = 0; k < h->n; k++)
        if (h->at[k]->state == PLUGIN_FAILED || h->at[k]->state == PLUGIN_REFUSED)
            log_error("plugin", "%s %s: %s", h->at[k]->name, plugin_state_text(h->at[k]->state), h->at[k]->reason);
}

static int check_required(const struct plugin_host *h, struct kl_err *err)
{
    for (unsigned k = 0; k < h->n; k++) {
        const struct plugin_instance *i = h->at[k];
        if (i->required && i->roles & h->conf.roles && (i->state == PLUGIN_FAILED || i->state == PLUGIN_REFUSED))
            return kl_err_set(err, KL_UNAVAILABLE, "plugin instance '%s' is required but %s: %s", i->name, plugin_state_text(i->state), i->reason);
    }
    return 0;
}

int plugin_host_open(struct plugin_host *h, const char *iface, struct kl_err *err)
{
    bool moved = true;
    const char *id = "";
    while (moved) {
        moved = false;
        for (unsigned k = 0; k < h->n; k++) {
            if (!wanted(h, h->at[k], iface))
                continue;
            int met = need_met(h, h->at[k], &id);
            if (met == 0)
                continue;
            if (met < 0)
                fail(h->at[k], id, "which nobody here provides");
            else
                open_one(h, h->at[k]);
            moved = true;
        }
    }
    for (unsigned k = 0; k < h->n; k++)
        if (wanted(h, h->at[k], iface)) {
            need_met(h, h->at[k], &id);
            fail(h->at[k], id, "which waits for this one in turn");
        }
    if (!iface)
        report(h);
    return check_required(h, err);
}

/* --- controllers --- */

bool host_is_controller(const struct plugin_instance *i)
{
    return i->provider && strcmp(i->provider->iface, KL_CONTROLLER_0) == 0;
}

/* Requests are decided by what its controller has seen. */
static bool decides(const struct plugin_instance *i)
{
    static const char *const ids[] = { KL_AUTHN_0, KL_AUTHZ_0, KL_ADMISSION_0 };
    for (uint32_t k = 0; k < i->plugin->providers.n; k++)
        for (size_t j = 0; j < sizeof ids / sizeof *ids; j++)
            if (strcmp(KL_AT(struct kl_provider, i->plugin->providers, k)->iface, ids[j]) == 0)
                return true;
    return false;
}

/* Its runner goes through a gate of this one instance: the one with its name leads to the next before that has anything to do. */
int host_start_runner(struct plugin_instance *i, bool held, struct kl_err *err)
{
    struct plugin_host *h = i->owner;
    if (!i->runs && !(i->runs = gate_new(KL_CONTROLLER_0, i->name, i->bare->rank, h->conf.loop)))
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    gate_set(i->runs, &i->stack->outer, i->bare->rank);
    struct runner_conf rc = { .name = i->name, .table = gate_provider(i->runs)->table, .self = i->runs, .variable = h->conf.variable,
                              .ctx = h->conf.ctx, .held = held, .whole = decides(i) };
    return runner_start(h->conf.loop, h->store, &rc, &i->runner, err);
}

static int run(struct plugin_host *h, bool deciders_only, struct kl_err *err)
{
    if (h->ended) {
        h->ended = false;
        host_live_resume(h);
    }
    for (unsigned k = 0; k < h->n_opened; k++) {
        struct plugin_instance *i = h->opened[k];
        if (!host_is_controller(i) || (i->runner && !runner_stopped(i->runner)) || (deciders_only && !decides(i)))
            continue;
        runner_free(i->runner);
        i->runner = NULL;
        struct kl_err why;
        kl_err_init(&why);
        if (host_start_runner(i, false, &why) < 0) {
            i->state = PLUGIN_FAILED;
            snprintf(i->reason, sizeof i->reason, "%s", why.msg);
            log_error("plugin", "%s FAILED: %s", i->name, i->reason);
        }
    }
    if (!deciders_only)
        host_reload_start(h);
    return check_required(h, err);
}

int plugin_host_run(struct plugin_host *h, struct kl_err *err)
{
    return run(h, false, err);
}

int plugin_host_run_deciders(struct plugin_host *h, struct kl_err *err)
{
    return run(h, true, err);
}

bool plugin_host_decides(const struct plugin_host *h)
{
    for (unsigned k = 0; k < h->n_opened; k++)
        if (h->opened[k]->runner && decides(h->opened[k]) && !runner_caught_up(h->opened[k]->runner))
            return false;
    return true;
}

void host_one_gone(void *ctx)
{
    struct plugin_host *h = ctx;
    if (--h->running == 0 && h->gone) {
        loop_fn gone = h->gone;
        h->gone = NULL;
        gone(h->gone_ctx);
    }
}

static void stop(struct plugin_host *h, bool but_deciders, loop_fn gone, void *ctx)
{
    h->gone = gone;
    h->gone_ctx = ctx;
    h->ended = true;
    loop_timer_stop(&h->reload);
    h->running = 1 + host_live_stop(h);
    for (unsigned k = h->n_opened; k-- > 0;)
        if (h->opened[k]->runner && !(but_deciders && decides(h->opened[k]))) {
            h->running++;
            runner_stop(h->opened[k]->runner, host_one_gone, h);
        }
    host_one_gone(h);
}

void plugin_host_stop(struct plugin_host *h, loop_fn gone, void *ctx)
{
    stop(h, false, gone, ctx);
}

void plugin_host_stop_others(struct plugin_host *h, loop_fn gone, void *ctx)
{
    stop(h, true, gone, ctx);
}

void host_close_one(struct plugin_instance *i)
{
    if (i->state != PLUGIN_READY)
        return;
    host_reload_end(i);
    if (i->gate)
        gate_set(i->gate, NULL, 0);
    host_close_instance(i);
    host_calls_drop(i->owner, i);
    mem_free(i->reviews);
    i->reviews = NULL;
    i->provider = i->bare;              /* what stood for it lies in the arena */
    i->bare = NULL;
    gate_free(i->runs);
    i->runs = NULL;
    i->arena = arena_free(i->arena);
}

void plugin_host_close(struct plugin_host *h, const char *but_iface)
{
    host_live_close(h);
    for (unsigned k = h->n_opened; k-- > 0;) {
        runner_free(h->opened[k]->runner);
        h->opened[k]->runner = NULL;
    }
    for (unsigned k = h->n_opened; k-- > 0;)
        /* A layer may stand before what stays open: it stays too. */
        if (!but_iface || (strcmp(h->opened[k]->provider->iface, but_iface) != 0 && strcmp(h->opened[k]->provider->iface, KL_LAYER_0) != 0))
            host_close_one(h->opened[k]);
}

void plugin_host_free(struct plugin_host *h)
{
    if (!h)
        return;
    plugin_host_close(h, NULL);
    host_cells_free(h);
    host_calls_drop(h, NULL);
    host_elsewhere_free(h);
    for (unsigned k = 0; k < h->n_gates; k++)
        gate_free(h->gates[k]);
    for (unsigned k = 0; k < h->n; k++)
        module_forget(h->at[k]->module);
    for (unsigned k = 0; k < h->n; k++)
        if (h->at[k]->batch)
            host_batch_put(h->at[k]->batch);
    arena_free(h->arena);
    mem_free(h);
}

/* --- asking --- */

struct plugin_instance *host_find_locked(struct plugin_host *h, const char *iface, const char *name, struct kl_err *err)
{
    struct plugin_instance *best = NULL, *unready = NULL, *refused = NULL;
    for (unsigned k = 0; k < h->n; k++) {
        struct plugin_instance *i = h->at[k];
        if (!i->provider && !refused)
            refused = i;                /* it may be what is missed */
        if (!i->provider || strcmp(i->provider->iface, iface) != 0 || (name && strcmp(i->name, name) != 0))
            continue;
        if (i->state != PLUGIN_READY)
            unready = i;
        else if (!best || i->provider->rank > best->provider->rank)
            best = i;
    }
    if (!best && unready)
        kl_err_set(err, KL_UNAVAILABLE, "instance '%s' of %s is %s: %s", unready->name, iface, plugin_state_text(unready->state), unready->reason);
    else if (!best)
        kl_err_set(err, KL_NOT_FOUND, "there is no instance %s%s%sof %s%s%s%s%s", name ? "'" : "", name ? name : "", name ? "' " : "", iface,
                   refused ? "; '" : "", refused ? refused->name : "", refused ? "' is REFUSED: " : "", refused ? refused->reason : "");
    return best;
}

struct plugin_instance *plugin_host_find(struct plugin_host *h, const char *iface, const char *name, struct kl_err *err)
{
    pthread_mutex_lock(&h->lock);
    struct plugin_instance *i = host_find_locked(h, iface, name, err);
    pthread_mutex_unlock(&h->lock);
    return i;
}

unsigned plugin_host_count(const struct plugin_host *h)
{
    return h->n;
}

struct plugin_instance *plugin_host_at(const struct plugin_host *h, unsigned i)
{
    return h->at[i];
}

struct val *plugin_host_debug(struct plugin_host *h, struct arena *a)
{
    struct val *v = val_new(a, VAL_OBJ), *list = json_arr(a, v, STR("instances"));
    for (unsigned k = 0; k < h->n; k++) {
        struct plugin_instance *i = h->at[k];
        struct val *one = val_push(list, val_new(a, VAL_OBJ));
        json_set_str(a, one, STR("name"), str_of(i->name));
        json_set_str(a, one, STR("plugin"), str_of(i->plugin ? i->plugin->id : i->file));
        json_set_str(a, one, STR("version"), str_of(i->plugin ? i->plugin->version : ""));
        json_set_str(a, one, STR("interface"), str_of(i->provider ? i->provider->iface : ""));
        host_isolation_debug(i, a, one);
        json_set_str(a, one, STR("state"), str_of(i->roles & h->conf.roles ? host_state_text(i) : "ELSEWHERE"));
        host_layers_debug(i, a, one);
        if (i->reason[0])
            json_set_str(a, one, STR("reason"), str_of(i->reason));
        if (i->runner)
            json_set(a, one, STR("controller"), runner_debug(i->runner, a));
    }
    return v;
}
