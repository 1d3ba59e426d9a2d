/* layers.c - what stands before an instance by the configuration's word: `layers = [ "trace", "fault" ]`, instances of keelson.layer/0, the outermost first. */
#include <keelson/iface/layer.h>

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

int host_check_layers(struct plugin_host *h, struct kl_err *err)
{
    for (unsigned k = 0; k < h->n; k++) {
        const struct plugin_instance *i = h->at[k];
        const struct val *list = i->provider && i->roles & h->conf.roles ? layers_of(i) : NULL;
        if (!list)
            continue;
        if (strcmp(i->provider->iface, KL_LAYER_0) == 0)
            return kl_err_set(err, KL_INVALID, "%s: '%s' is a layer itself and cannot have layers", conf_where(h->arena, list), i->name);
        val_each(v, list) {
            const struct plugin_instance *l = layer_named(h, val_str(v));
            if (!l)
                return host_missing_link(h, "layers", KL_LAYER_0, v, err);
            if (!(l->roles & h->conf.roles))
                return kl_err_set(err, KL_INVALID, "%s: the layer '%s' runs in another process than '%s'", conf_where(h->arena, v), l->name, i->name);
        }
    }
    return 0;
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

static int wrap(struct plugin_instance *i, struct plugin_instance *layer, struct kl_err *err)
{
    const struct kl_layer *t = layer->provider->table;
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_provider *p = arena_alloc(i->arena, sizeof *p);
    struct kl_layered inner = { sizeof inner, i->provider->iface, i->name, i->provider->table, i->self }, ret = { .size = sizeof ret };
    struct kl_call c;
    if (layer->state != PLUGIN_READY)
        return kl_err_set(err, KL_UNAVAILABLE, "its layer '%s' is %s: %.160s", layer->name, plugin_state_text(layer->state), layer->reason);
    if (!a || !p)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    host_call_init(&c, a, i->name);
    if (t->wrap(layer->self, &c, &inner, &ret) < 0)
        return kl_err_set(err, c.err.code, "its layer '%s': %.180s", layer->name, c.err.msg);
    *p = *i->provider;
    p->table = ret.table;
    if (!i->bare) {
        i->bare = i->provider;
        i->bare_self = i->self;
    }
    i->provider = p;
    i->self = ret.self;
    return 0;
}

static int wrap_from(struct plugin_host *h, struct plugin_instance *i, const struct val *v, struct kl_err *err)
{
    if (!v)
        return 0;
    int rc = wrap_from(h, i, v->next, err);     /* the innermost stands last */
    struct plugin_instance *layer = layer_named(h, val_str(v));
    return rc < 0 ? rc : layer ? wrap(i, layer, err) : 0;
}

int host_wrap(struct plugin_host *h, struct plugin_instance *i, struct kl_err *err)
{
    const struct val *list = layers_of(i);
    int rc = list ? wrap_from(h, i, list->first, err) : 0;
    if (rc < 0) {
        const struct plugin_table *t = i->provider->table;
        if (t->life.close)
            t->life.close(i->self);     /* through those that stand already */
        if (i->bare)
            i->provider = i->bare;
        i->bare = NULL;
    }
    return rc;
}

void host_layers_debug(const struct plugin_instance *i, struct arena *a, struct val *one)
{
    const struct val *list = layers_of(i);
    if (!list || !i->bare)
        return;
    struct val *names = json_arr(a, one, STR("layers"));
    val_each(v, list)
        val_push(names, val_of_str(a, val_str(v)));
}
