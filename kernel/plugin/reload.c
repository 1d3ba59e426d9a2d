/* reload.c - files that instances read (settings with KL_CONF_FILE): looked at each minute, and at once on SIGHUP. One that has changed is read by the
 * instance on a worker; what is wrong leaves what was before, and says so. [loop] */
#include <sys/stat.h>

#include "base/env.h"
#include "base/log.h"
#include "host-internal.h"
#include "reconcile/call.h"

#define LOOK_NS    (60 * NS_PER_S)
#define FILES_MOST 4

struct plugin_reload {
    struct plugin_instance *of;
    const char *file[FILES_MOST];
    uint64_t seen[FILES_MOST][3];       /* inode, size, time of change; zeroes: it is not there */
    unsigned n;
    bool busy;
    int rc;                             /* of the last time */
    struct kl_err err;
    uint64_t good, bad;
    double good_s, bad_s;               /* when last, since 1970 */
};

static bool changed(struct plugin_reload *x)
{
    bool any = false;
    for (unsigned i = 0; i < x->n; i++) {
        struct stat st = { 0 };
        uint64_t now[3] = { 0 };
        if (stat(x->file[i], &st) == 0) {
            now[0] = st.st_ino;
            now[1] = (uint64_t)st.st_size;
            now[2] = (uint64_t)st.st_mtim.tv_sec * 1000000000ull + (uint64_t)st.st_mtim.tv_nsec;
        }
        any |= memcmp(now, x->seen[i], sizeof now) != 0;
        memcpy(x->seen[i], now, sizeof now);
    }
    return any;
}

void host_reload_new(struct plugin_instance *i)
{
    const struct plugin_table *t = i->provider->table;
    struct plugin_reload *x = NULL;
    for (uint32_t k = 0; t->life.reconfigure && k < i->plugin->conf.n; k++) {
        const struct kl_conf_field *f = KL_AT(struct kl_conf_field, i->plugin->conf, k);
        const char *file = f->flags & KL_CONF_FILE ? *(const char *const *)(const void *)((const char *)i->conf + f->offset) : NULL;
        if (!file || (!x && !(x = arena_alloc(i->arena, sizeof *x))) || x->n == FILES_MOST)
            continue;
        x->of = i;
        x->file[x->n++] = file;
    }
    i->reload = x;
    if (x)
        changed(x);
}

/* --- reading anew --- */

static void run(void *ctx)
{
    struct plugin_reload *x = ctx;
    const struct plugin_table *t = x->of->stack->outer.table;   /* this one, whatever its gate leads to by then */
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_call c;
    kl_err_init(&x->err);
    if (!a) {
        x->rc = kl_err_set(&x->err, KL_NO_MEMORY, "out of memory");
        return;
    }
    host_call_init(&c, a, x->of->name);
    x->rc = t->life.reconfigure(x->of->stack->outer.self, x->of->conf, &c);
    x->err = c.err;
}

static void done(void *ctx)
{
    struct plugin_reload *x = ctx;
    double now = (double)env_wall_ns() / (double)NS_PER_S;
    x->busy = false;
    if (x->rc < 0) {
        x->bad++;
        x->bad_s = now;
        log_error("plugin", "%s: what was configured before stays: %s", x->of->name, x->err.msg);
    } else {
        x->good++;
        x->good_s = now;
        log_info("plugin", "%s: '%s' read again", x->of->name, x->file[0]);
    }
}

void plugin_host_reload(struct plugin_host *h)
{
    for (unsigned k = 0; k < h->n_opened; k++) {
        struct plugin_reload *x = h->opened[k]->reload;
        if (!x || x->busy || h->opened[k]->state != PLUGIN_READY || !changed(x))
            continue;
        x->busy = true;
        loop_work(h->conf.loop, run, done, x);
    }
}

static void look(void *ctx)
{
    struct plugin_host *h = ctx;
    loop_timer_start(h->conf.loop, &h->reload, LOOK_NS, look, h);
    plugin_host_reload(h);
}

void host_reload_start(struct plugin_host *h)
{
    for (unsigned k = 0; k < h->n_opened; k++)
        if (h->opened[k]->reload) {
            loop_timer_start(h->conf.loop, &h->reload, LOOK_NS, look, h);
            return;
        }
}

bool host_reload_busy(const struct plugin_instance *i)
{
    return i->reload && i->reload->busy;
}

void host_reload_end(struct plugin_instance *i)
{
    if (i->reload && i->reload->busy)
        loop_work_join(i->owner->conf.loop, i->reload);
    i->reload = NULL;
}

/* --- metrics --- */

static void family(const struct plugin_host *h, struct prom *p, const char *iface, const char *prefix, bool when)
{
    char name[120];
    snprintf(name, sizeof name, "%s_automatic_reload%s", prefix, when ? "_last_timestamp_seconds" : "s_total");
    prom_family(p, name, when ? PROM_GAUGE : PROM_COUNTER,
                when ? "Timestamp of the last automatic reload of the configuration split by status." :
                       "Total number of automatic reloads of the configuration split by status.");
    for (unsigned k = 0; k < h->n_opened; k++) {
        const struct plugin_instance *i = h->opened[k];
        const struct plugin_reload *x = i->reload;
        if (!x || strcmp(i->provider->iface, iface) != 0)
            continue;
        const struct prom_label good[] = { { "name", i->name }, { "status", "success" }, { NULL, NULL } };
        const struct prom_label bad[] = { { "name", i->name }, { "status", "failure" }, { NULL, NULL } };
        if (x->bad)
            prom_number(p, bad, when ? x->bad_s : (double)x->bad);
        if (x->good)
            prom_number(p, good, when ? x->good_s : (double)x->good);
    }
}

void host_reload_metrics(const struct plugin_host *h, struct prom *p)
{
    static const struct {
        const char *iface, *prefix;
    } rows[] = { { KL_AUTHN_0, "apiserver_authentication_config_controller" }, { KL_AUTHZ_0, "apiserver_authorization_config_controller" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool any = false;
        for (unsigned k = 0; k < h->n_opened; k++)
            any |= h->opened[k]->reload && strcmp(h->opened[k]->provider->iface, rows[i].iface) == 0;
        for (int when = 0; any && when < 2; when++)
            family(h, p, rows[i].iface, rows[i].prefix, when);
    }
}
