/* live_make.c - what comes: its file is verified, tried and loaded, its settings are bound, it is opened and gets its layers. [worker] */
#include <unistd.h>

#include <keelson/iface/store.h>

#include "base/log.h"
#include "conf/bind.h"
#include "conf/load.h"
#include "live.h"
#include "plugin/builtin.h"

/* A command line that was wrong is told apart from a plugin that cannot be used. */
static int unusable(struct change *x, const char *name, const char *why)
{
    char text[sizeof x->err.msg];
    snprintf(text, sizeof text, "%s", why);
    return kl_err_set(&x->err, KL_CONFLICT, "%s%s%s", name, name[0] ? ": " : "", text);
}

/* Of a file with several providers: the one that has the instance's interface, by its note. */
static int choose_provider(struct change *x)
{
    struct batch *b = x->batch;
    struct val *entry = json_get(b->made.conf.config, STR("instances"))->first;
    struct str plugin = json_str(entry, "plugin");
    const struct plugin_instance *old = x->at[0].old;
    if (x->provider.len)
        return 0;
    const char *path = host_file_of(&b->made, plugin);
    struct plugin_note note;
    struct kl_err ignored;
    kl_err_init(&ignored);
    if (!path || !old->provider || plugin_note_read(path, &note, &ignored) < 0)
        return 0;                       /* reading the entry says why */
    struct str best = STR_NONE;
    for (struct str rest = str_of(note.provides); rest.at && rest.len;) {
        struct str name = str_cut(&rest, ' '), iface = str_cut(&name, ':');
        if (str_is(iface, old->provider->iface) && (!best.at || str_is(name, old->name)))
            best = name;
    }
    if (!best.at)
        return kl_err_set(&x->err, KL_CONFLICT, "'%s' is of %s; '%.60s' provides %.100s", old->name, old->provider->iface, note.id, note.provides);
    json_set_str(b->made.arena, entry, STR("provider"), arena_str(b->made.arena, best));
    return 0;
}

/* The instance that was made for a pair. */
static struct plugin_instance *made_for(const struct change *x, const struct pair *p)
{
    const struct plugin_host *m = &x->batch->made;
    for (unsigned k = 0; k < m->n; k++) {
        struct plugin_instance *i = m->at[k];
        if (!p->old || (strcmp(i->name, p->old->name) == 0 &&
                        (!i->provider || !p->old->provider || strcmp(i->provider->iface, p->old->provider->iface) == 0)))
            return i;
    }
    return NULL;
}

static int match(struct change *x)
{
    struct plugin_host *m = &x->batch->made;
    if (m->n && m->at[0]->state == PLUGIN_REFUSED)
        return unusable(x, "", m->at[0]->reason);
    if (x->action == LIVE_LOAD && m->n > 1)
        return kl_err_set(&x->err, KL_INVALID, "'" STR_FMT "' has %u providers: name one with --provider", STR_ARG(x->file), m->n);
    for (unsigned k = 0; k < x->n; k++) {
        struct pair *p = &x->at[k];
        if (p->fresh)
            continue;
        struct plugin_instance *i = made_for(x, p);
        if (!i)
            return kl_err_set(&x->err, KL_CONFLICT, "the file has nothing for '%s' (any more)", p->old ? p->old->name : "it");
        if (i->state != PLUGIN_LOADED)
            return unusable(x, "", "it does not run in this process");
        p->fresh = i;
    }
    return 0;
}

static bool offered(const struct plugin_host *h, const char *iface)
{
    for (unsigned k = 0; k < h->n; k++)
        if (h->at[k]->provider && strcmp(h->at[k]->provider->iface, iface) == 0 && (h->batch || h->at[k]->state == PLUGIN_READY))
            return true;
    return false;
}

static int check_needs(struct change *x)
{
    int rc = 0;
    pthread_mutex_lock(&x->host->lock);
    for (unsigned k = 0; k < x->n && rc == 0; k++) {
        const struct plugin_instance *i = x->at[k].fresh;
        for (uint32_t n = 0; n < i->plugin->needs.n && rc == 0; n++) {
            const struct kl_need *need = KL_AT(struct kl_need, i->plugin->needs, n);
            if (!need->optional && !host_offers(x->host, need->id) && !offered(x->host, need->id) && !offered(&x->batch->made, need->id))
                rc = kl_err_set(&x->err, KL_CONFLICT, "'%s' needs '%s', which nobody here provides", i->name, need->id);
        }
    }
    pthread_mutex_unlock(&x->host->lock);
    return rc;
}

static int check_settings(struct change *x)
{
    int rc = 0;
    for (unsigned k = 0; k < x->n && rc == 0; k++) {
        struct plugin_instance *i = x->at[k].fresh;
        void *conf;
        _cleanup_arena_ struct arena *a = i != x->at[k].old ? arena_new(0) : NULL;
        if (a)
            rc = conf_bind(a, i->plugin, i->settings, i->name, &conf, &x->err);
    }
    return rc;
}

/* Layers that come too stand in the place of those that go. */
static struct plugin_instance *current(const struct change *x, struct plugin_instance *layer)
{
    for (unsigned k = 0; k < x->n; k++)
        if (x->at[k].old == layer && x->at[k].fresh)
            return x->at[k].fresh;
    return layer;
}

static int open_pair(struct change *x, struct pair *p)
{
    struct plugin_instance *i = p->fresh, *layers[LAYERS_MOST];
    struct kl_err why;
    kl_err_init(&why);
    if (i != p->old) {
        if (i->cell) {
            pthread_mutex_lock(&x->host->lock);
            int rc = host_find_fallback(x->host, i, &x->err);
            pthread_mutex_unlock(&x->host->lock);
            if (rc < 0)
                return rc;
        }
        if (host_open_instance(i, &why) < 0)
            return unusable(x, i->name, why.msg);
    }
    for (unsigned k = 0; k < p->n_layers; k++)
        layers[k] = current(x, p->layers[k]);
    return host_stack_new(i, layers, p->n_layers, &p->stack, &why) < 0 ? unusable(x, i->name, why.msg) : 0;
}

/* What others stand on comes first: layers, then what was opened first. */
static int open_all(struct change *x)
{
    int rc = 0;
    for (int layers = 1; layers >= 0; layers--)
        for (unsigned k = 0; k < x->n && rc == 0; k++)
            if ((x->at[k].fresh != x->at[k].old) == layers)
                rc = open_pair(x, &x->at[k]);
    return rc;
}

int live_make(struct change *x)
{
    if (!x->batch)
        return 0;
    struct kl_err why;
    kl_err_init(&why);
    int rc = x->action == LIVE_REPLACE ? choose_provider(x) : 0;
    if (rc == 0 && host_read_manifest(&x->batch->made, &why) < 0)
        rc = kl_err_set(&x->err, why.code, "%s", strncmp(why.msg, "configuration: ", 15) == 0 ? why.msg + 15 : why.msg);
    if (rc == 0)
        rc = match(x);
    if (rc == 0)
        rc = check_needs(x);
    if (rc == 0)
        rc = check_settings(x);
    return rc == 0 && !x->quiet ? open_all(x) : rc;
}

/* --- of a quiet one --- */

static uint64_t revision(const struct plugin_instance *i)
{
    return ((const struct kl_store *)i->bare->table)->revision(i->bare_self);
}

/* The earlier one takes its place again. */
static void open_again(struct pair *p)
{
    struct kl_err why;
    kl_err_init(&why);
    p->old->state = PLUGIN_LOADED;
    p->old->provider = p->old->bare;
    int rc = host_open_instance(p->old, &why);
    if (rc == 0)
        rc = host_stack_new(p->old, p->layers, p->n_layers, &p->old->stack, &why);
    if (rc < 0)
        log_error("plugin", "'%s' cannot be opened again: %s", p->old->name, why.msg);
}

static int open_alone(struct change *x, struct pair *p)
{
    uint64_t before = revision(p->old);
    host_close_instance(p->old);
    p->old->arena = arena_free(p->old->arena);
    p->old->conf = NULL;
    int rc = open_pair(x, p);
    if (rc == 0 && revision(p->fresh) < before)
        rc = kl_err_set(&x->err, KL_CONFLICT, "'%s' opened anew is at revision %llu, not at %llu: what was stored would be lost", p->old->name,
                        (unsigned long long)revision(p->fresh), (unsigned long long)before);
    if (rc < 0) {
        host_stack_free(p->stack);
        p->stack = NULL;
        if (p->fresh->state == PLUGIN_READY)
            host_close_instance(p->fresh);
        open_again(p);
    }
    return rc;
}

int live_open(struct change *x)
{
    return x->exclusive ? open_alone(x, &x->at[0]) : open_all(x);
}

void live_unmake(struct change *x)
{
    struct plugin_host *m = x->batch ? &x->batch->made : NULL;
    for (unsigned k = x->n; k-- > 0;) {
        host_stack_free(x->at[k].stack);
        x->at[k].stack = NULL;
    }
    for (unsigned k = x->n; k-- > 0;) {
        struct plugin_instance *i = x->at[k].fresh;
        if (i && i != x->at[k].old && i->state == PLUGIN_READY) {
            i->stack = NULL;            /* the one that was just freed */
            host_close_instance(i);
        }
    }
    if (m)
        host_cells_free(m);
    for (unsigned k = 0; m && k < m->n; k++) {
        module_drop(m->at[k]->module);
        m->at[k]->module = NULL;
    }
}

void live_unmade(struct change *x)
{
    for (unsigned k = 0; k < x->n; k++) {
        struct plugin_instance *i = x->at[k].fresh;
        if (!i || i == x->at[k].old)
            continue;
        host_calls_drop(x->host, i);
        runner_free(i->runner);
        i->runner = NULL;
        gate_free(i->runs);
        i->runs = NULL;
        i->arena = arena_free(i->arena);
    }
}
