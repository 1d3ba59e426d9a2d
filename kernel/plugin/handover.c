/* handover.c - instances of a process that another one follows: what it will use is let go first, and taken again when it does not come; in the end only
 * what streams of standing connections need stays open. */
#include <keelson/iface/node.h>

#include "host-internal.h"

static bool is(const struct plugin_instance *i, const char *iface)
{
    return strcmp(i->provider->iface, iface) == 0;
}

static bool serves_nodes(const struct plugin_instance *i)
{
    for (uint32_t k = 0; k < i->plugin->providers.n; k++)
        if (strcmp(KL_AT(struct kl_provider, i->plugin->providers, k)->iface, KL_NODE_0) == 0)
            return true;
    return false;
}

static void forget(struct plugin_host *h, unsigned at)
{
    for (h->n_opened--; at < h->n_opened; at++)
        h->opened[at] = h->opened[at + 1];
}

void plugin_host_let_go(struct plugin_host *h, const char *iface)
{
    for (unsigned k = h->n_opened; k-- > 0;)
        if (is(h->opened[k], iface)) {
            host_close_one(h->opened[k]);
            forget(h, k);
        }
}

int plugin_host_take_again(struct plugin_host *h, const char *iface, struct kl_err *err)
{
    for (unsigned k = 0; k < h->n; k++)
        if (h->at[k]->state == PLUGIN_CLOSED && is(h->at[k], iface))
            h->at[k]->state = PLUGIN_LOADED;
    plugin_host_continues(h, true);
    int rc = plugin_host_open(h, iface, err);
    plugin_host_continues(h, false);
    return rc;
}

void plugin_host_retire(struct plugin_host *h)
{
    for (unsigned k = h->n_opened; k-- > 0;) {
        struct plugin_instance *i = h->opened[k];
        if (!is(i, KL_CONTROLLER_0) || serves_nodes(i))
            continue;
        runner_free(i->runner);
        i->runner = NULL;
        host_close_one(i);
        forget(h, k);
    }
}

void plugin_host_continues(struct plugin_host *h, bool yes)
{
    h->open_flags = yes ? KL_CALL_CONTINUES : 0;
}
