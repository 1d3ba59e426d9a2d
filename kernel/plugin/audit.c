/* audit.c - the audit trail goes to every instance that keeps one. [loop] */
#include <keelson/iface/audit.h>

#include "base/log.h"
#include "host-internal.h"
#include "reconcile/call.h"

int plugin_host_audit(void *ctx, uint32_t n, struct str lines)
{
    struct plugin_host *h = ctx;
    _cleanup_arena_ struct arena *a = arena_new(1 << 16);
    unsigned kept = 0, lost = 0;
    for (unsigned i = 0; a && i < h->n_opened; i++) {
        struct plugin_instance *p = h->opened[i];
        struct kl_call c;
        if (strcmp(p->provider->iface, KL_AUDIT_0) != 0 || p->state != PLUGIN_READY)
            continue;
        const struct kl_audit *t = p->provider->table;
        host_call_init(&c, a, NULL);
        if (t->write(p->self, &c, n, (struct kl_bytes){ lines.at, lines.len }) == 0) {
            kept++;
            continue;
        }
        lost++;
        log_warn(p->name, "%u audit events are lost: %s", n, c.err.msg);
    }
    return kept && !lost ? 0 : -1;
}
