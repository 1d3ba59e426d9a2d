/* layers.c - what stands before an instance by the configuration's word: `layers = [ "trace", "fault" ]`, instances of keelson.layer/0, the outermost first.
 *
 * A stack is what an instance's gate leads to: the plugin's own table, or the outermost of its layers. The layers stand on a gate of their own, so that
 * they can be closed and others be put in their place while the plugin behind them stays open. */
#include <keelson/iface/layer.h>

#include "base/env.h"
#include "conf/load.h"
#include "host-internal.h"
#include "reconcile/call.h"

static struct plugin_instance *layer_named(struct plugin_host *h, struct str name)
{
    for (unsigned k = 0; k < h->n; k++)
        if (h->at[k]->provider && strcmp(h->at[k]->provider->iface, KL_LAYER_0) == 0 && str_is(name, h->at[k]->name))
            return h->at[k];
    return NULL;
}

static const struct val *layers_of(const struct plugin_instance *i)
{
    const struct val *list = json_get(i->entry, STR("layers"));
    return val_is(list, VAL_ARR) ? list : NULL;
}

int host_check_layers_of(struct plugin_host *h, const struct plugin_instance *i, struct kl_err *err)
{
    const struct val *list = i->provider && i->roles & h->conf.roles ? layers_of(i) : NULL;
    struct arena *a = i->batch ? i->batch->made.arena : h->arena;
    if (!list)
        return 0;
    if (strcmp(i->provider->iface, KL_LAYER_0) == 0)
        return kl_err_set(err, KL_INVALID, "%s: '%s' is a layer itself and cannot have layers", conf_where(a, list), i->name);
    if (list->n > LAYERS_MOST)
        return kl_err_set(err, KL_INVALID, "%s: '%s' has more than %d layers", conf_where(a, list), i->name, LAYERS_MOST);
    val_each(v, list) {
        const struct plugin_instance *l = layer_named(h, val_str(v));
        if (!l)
            return host_missing_link(h, "layers", KL_LAYER_0, v, err);
        if (!(l->roles & h->conf.roles))
            return kl_err_set(err, KL_INVALID, "%s: the layer '%s' runs in another process than '%s'", conf_where(a, v), l->name, i->name);
    }
    return 0;
}

int host_check_layers(struct plugin_host *h, struct kl_err *err)
{
    int rc = 0;
    for (unsigned k = 0; k < h->n && rc == 0; k++)
        rc = host_check_layers_of(h, h->at[k], err);
    return rc;
}

/* ret_layer: one that must be opened first. */
bool host_layers_ready(struct plugin_host *h, const struct plugin_instance *i, struct plugin_instance **ret_layer)
{
    const struct val *list = layers_of(i);
    if (list)
        val_each(v, list) {
            struct plugin_instance *l = layer_named(h, val_str(v));
            if (l && l->state == PLUGIN_LOADED) {
                *ret_layer = l;
                return false;
            }
        }
    return true;
}

unsigned host_layers_of(struct plugin_host *h, const struct plugin_instance *i, struct plugin_instance *ret[LAYERS_MOST])
{
    const struct val *list = layers_of(i);
    unsigned n = 0;
    if (list)
        val_each(v, list) {
            struct plugin_instance *l = layer_named(h, val_str(v));
            if (l && n < LAYERS_MOST)
                ret[n++] = l;
        }
    return n;
}

/* --- stacks --- */

static void add_codes(struct gate_target *t, const struct plugin_instance *of)
{
    struct code_range r;
    if (t->n_codes < GATE_CODES && of->module && module_range(of->module, &r))
        t->codes[t->n_codes++] = r;
}

static int wrap(struct plugin_instance *i, struct stack *s, struct plugin_instance *layer, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_layered inner = { sizeof inner, i->provider->iface, i->name, s->outer.table, s->outer.self }, ret = { .size = sizeof ret };
    struct kl_call c;
    if (layer->state != PLUGIN_READY)
        return kl_err_set(err, KL_UNAVAILABLE, "its layer '%s' is %s: %.160s", layer->name, plugin_state_text(layer->state), layer->reason);
    if (!a)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    const struct kl_layer *t = layer->provider->table;
    host_call_init(&c, a, i->name);
    if (t->wrap(layer->self, &c, &inner, &ret) < 0)
        return kl_err_set(err, c.err.code, "its layer '%s': %.180s", layer->name, c.err.msg);
    s->outer.table = ret.table;
    s->outer.self = ret.self;
    s->layered = true;
    add_codes(&s->outer, layer);
    return 0;
}

int host_stack_new(struct plugin_instance *i, struct plugin_instance *const *layers, unsigned n, struct stack **ret, struct kl_err *err)
{
    const struct kl_provider *bare = i->bare ? i->bare : i->provider;
    void *self = i->bare ? i->bare_self : i->self;
    struct stack *s = mem_alloc(sizeof *s);
    int rc = 0;
    if (!s)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    s->inner = (struct gate_target){ .table = bare->table, .self = self };
    add_codes(&s->inner, i);
    s->outer = s->inner;
    if (n && gate_knows(bare->iface)) {
        s->bottom = gate_new(bare->iface, i->name, bare->rank, i->owner->conf.loop);
        if (!s->bottom)
            rc = kl_err_set(err, KL_NO_MEMORY, "out of memory");
        else
            gate_set(s->bottom, &s->inner, bare->rank);
        s->outer = (struct gate_target){ .table = s->bottom ? gate_provider(s->bottom)->table : NULL, .self = s->bottom };
    }
    while (rc == 0 && n > 0)            /* the innermost stands last */
        rc = wrap(i, s, layers[--n], err);
    if (rc < 0) {
        host_stack_free(s);
        return rc;
    }
    *ret = s;
    return 0;
}

void host_stack_free(struct stack *s)
{
    if (!s)
        return;
    const struct plugin_table *t = s->outer.table;
    if (s->layered && t->life.close)
        t->life.close(s->outer.self);   /* through all layers, to the gate below them, or to the plugin */
    gate_free(s->bottom);
    mem_free(s);
}

bool host_stack_closes(const struct stack *s)
{
    return s->layered && !s->bottom;
}

unsigned host_stack_users(const struct plugin_instance *i, const struct stack *s)
{
    return (i->gate ? gate_users(i->gate, &s->outer) : 0) + (s->bottom ? gate_users(s->bottom, &s->inner) : 0);
}

void host_layers_debug(const struct plugin_instance *i, struct arena *a, struct val *one)
{
    const struct val *list = layers_of(i);
    if (!list || !i->stack || !i->stack->layered)
        return;
    struct val *names = json_arr(a, one, STR("layers"));
    val_each(v, list)
        val_push(names, val_of_str(a, val_str(v)));
}
