/* isolation.c - instances in processes of their own (isolate/isolate.h): which, what is told when one ends, who answers meanwhile. */
#include <limits.h>
#include <stdlib.h>

#include "base/log.h"
#include "conf/bind.h"
#include "conf/load.h"
#include "host-internal.h"
#include "plugin/signature.h"

#define ALLOW_MOST 64

/* "read=/etc/x" of { read = [ "/etc/x" ]; }. */
static int allow_list(struct plugin_host *h, const struct val *group, const char *key, const char *word, const char **ret, unsigned *n, struct kl_err *err)
{
    const struct val *list = json_get(group, str_of(key));
    if (val_is(list, VAL_ARR))
        val_each(v, list) {
            if (!val_is(v, VAL_STR) || *n == ALLOW_MOST)
                return kl_err_set(err, KL_INVALID, "%s: sandbox: '%s' must be a list of at most %d texts", conf_where(h->arena, v), key, ALLOW_MOST);
            ret[(*n)++] = arena_printf(h->arena, "%s=" STR_FMT, word, STR_ARG(val_str(v)));
        }
    return 0;
}

static int read_allow(struct plugin_host *h, const struct val *entry, struct isolation *ret, struct kl_err *err)
{
    static const struct conf_row rows[] = { { "read", VAL_ARR, 0, 0, NULL }, { "write", VAL_ARR, 0, 0, NULL }, { "capabilities", VAL_ARR, 0, 0, NULL },
                                            { "network", VAL_BOOL, 0, 0, NULL } };
    const struct val *group = json_get(entry, STR("sandbox"));
    unsigned n = 0;
    if (!group)
        return 0;
    if (ret->level != ISOLATE_SANDBOX)
        return kl_err_set(err, KL_INVALID, "%s: 'sandbox' is for instances with isolate = \"sandbox\"", conf_where(h->arena, group));
    int rc = conf_check(h->arena, group, rows, sizeof rows / sizeof *rows, err);
    ret->allow = arena_alloc(h->arena, (ALLOW_MOST + 2) * sizeof *ret->allow);
    if (rc == 0 && !ret->allow)
        rc = kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc == 0)
        rc = allow_list(h, group, "read", "read", ret->allow, &n, err);
    if (rc == 0)
        rc = allow_list(h, group, "write", "write", ret->allow, &n, err);
    if (rc == 0)
        rc = allow_list(h, group, "capabilities", "capability", ret->allow, &n, err);
    if (rc == 0 && json_bool(group, "network", false))
        ret->allow[n] = "network";
    return rc;
}

int host_isolation_of(struct plugin_host *h, const struct val *entry, struct isolation *ret, struct kl_err *err)
{
    struct str level = json_str(entry, "isolate"), deadline = json_str(entry, "deadline");
    *ret = (struct isolation){ .level = str_is(level, "sandbox") ? ISOLATE_SANDBOX : str_is(level, "process") ? ISOLATE_PROCESS : ISOLATE_NONE };
    if (deadline.len && !conf_duration(deadline, &ret->deadline_ns))
        return kl_err_set(err, KL_INVALID, "%s: 'deadline' is '" STR_FMT "', must be a duration such as 30s or 250ms", conf_where(h->arena, entry),
                          STR_ARG(deadline));
    if (ret->level == ISOLATE_NONE && (deadline.len || json_str(entry, "fallback").len))
        return kl_err_set(err, KL_INVALID, "%s: '%s' is for instances with isolate = \"process\" or \"sandbox\"", conf_where(h->arena, entry),
                          deadline.len ? "deadline" : "fallback");
    return read_allow(h, entry, ret, err);
}

/* --- news --- */

struct news {
    struct host_cell *cell;
    enum cell_state now;
    char why[300];
};

static const struct {
    enum cell_state now;
    const char *type, *reason, *text;
} texts[] = {
    { CELL_RESTARTING, "Warning", "PluginCrashed", "The plugin's process %s; it is started again." },
    { CELL_QUARANTINED, "Warning", "PluginQuarantined", "The plugin's process %s; it has ended too often and is not started again." },
    { CELL_RUNNING, "Normal", "PluginRestarted", "The plugin is back; its process before this one %s." },
};

static void record(struct host_cell *x, const struct plugin_instance *i, const struct news *n)
{
    char about[300], message[400];
    struct objects *o = x->host->objects;
    for (size_t k = 0; k < sizeof texts / sizeof *texts && o; k++) {
        if (texts[k].now != n->now)
            continue;
        int len = snprintf(about, sizeof about, "{\"apiVersion\":\"keelson.dev/v1\",\"kind\":\"Plugin\",\"namespace\":\"default\",\"name\":\"%.63s\"}", i->name);
        const char *mark = strstr(texts[k].text, "%s");
        snprintf(message, sizeof message, "%.*s%.250s%s", (int)(mark - texts[k].text), texts[k].text, n->why, mark + 2);
        o->ops->event(o, "keelson", (struct kl_bytes){ about, (size_t)len }, texts[k].type, texts[k].reason, message);
    }
}

/* [loop] */
static void take_news(void *ctx)
{
    struct news *n = ctx;
    struct plugin_host *h = n->cell->host;
    for (unsigned k = 0; k < h->n; k++) {
        struct plugin_instance *i = h->at[k];
        if (i->cell != n->cell->cell || i->state != PLUGIN_READY)
            continue;
        if (n->now != CELL_RUNNING)
            host_calls_drop(h, i);      /* tickets of a process that is no more */
        record(n->cell, i, n);
    }
    mem_free(n);
}

static void on_news(void *ctx, enum cell_state now, const char *why)
{
    struct host_cell *x = ctx;
    struct news *n = x->host->conf.loop ? mem_alloc(sizeof *n) : NULL;
    if (!n)
        return;
    *n = (struct news){ .cell = x, .now = now };
    snprintf(n->why, sizeof n->why, "%s", why);
    loop_post(x->host->conf.loop, take_news, n);
}

static void on_wake(void *ctx, uint64_t request)
{
    struct host_cell *x = ctx;
    if (x->host->api)
        api_wake(x->host->api, request);
}

/* --- cells --- */

int host_cell_new(struct plugin_host *h, const struct val *entry, const char *file, int copy, const struct isolation *how, struct cell **ret, struct kl_err *err)
{
    char name[64];
    struct str plugin = json_str(entry, "name").len ? json_str(entry, "name") : json_str(entry, "plugin");
    for (long slash; (slash = str_find(plugin, '/')) >= 0;)
        plugin = str_skip(plugin, (size_t)slash + 1);
    snprintf(name, sizeof name, STR_FMT, STR_ARG(plugin));
    struct host_cell *x = h->n_cells < HOST_INSTANCES_MAX ? arena_alloc(h->arena, sizeof *x) : NULL;
    char *real = realpath(file, NULL);
    struct cell_conf c = { .file = real ? real : file, .copy = copy, .name = name, .level = how->level, .allow = how->allow, .deadline_ns = how->deadline_ns, .loop = h->conf.loop,
                           .signature = signature_find, .news = on_news, .wake = on_wake, .ctx = x };
    int rc = x ? cell_new(&c, ret, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    free(real);
    if (rc < 0)
        return rc;
    *x = (struct host_cell){ .host = h->batch ? h->batch->host : h, .cell = *ret };
    h->cells[h->n_cells++] = x;
    return 0;
}

void host_cells_free(struct plugin_host *h)
{
    for (unsigned i = 0; i < h->n_cells; i++)
        cell_free(h->cells[i]->cell);
    h->n_cells = 0;
}

struct cell *host_cell_take(struct plugin_host *h, const struct plugin_instance *last)
{
    for (unsigned k = 0; k < h->n; k++)
        if (h->at[k] != last && h->at[k]->cell == last->cell)
            return NULL;
    for (unsigned k = 0; k < h->n_cells; k++)
        if (h->cells[k]->cell == last->cell) {
            h->cells[k] = h->cells[--h->n_cells];
            return last->cell;
        }
    return NULL;
}

/* --- the fallback: another instance of the same interface answers while this one cannot --- */

static const void *find_fallback(void *ctx, void **ret_self)
{
    struct gate *g = ctx;
    *ret_self = g;
    return gate_provider(g)->table;
}

int host_find_fallback(struct plugin_host *h, struct plugin_instance *i, struct kl_err *err)
{
    struct str name = json_str(i->entry, "fallback");
    if (!name.len || !i->provider)
        return 0;
    for (unsigned j = 0; j < h->n; j++) {
        struct plugin_instance *o = h->at[j];
        if (strcmp(o->name, i->name) != 0 && o->provider && str_is(name, o->name) && strcmp(o->provider->iface, i->provider->iface) == 0 && host_gate(h, o))
            i->fallback = o->gate;
    }
    if (!i->fallback)
        return kl_err_set(err, KL_INVALID, "%s: fallback: there is no other instance '" STR_FMT "' of %s", conf_where(i->batch ? i->batch->made.arena : h->arena, i->entry), STR_ARG(name),
                          i->provider->iface);
    cell_fallback(i->cell, i->cell_at, find_fallback, i->fallback);
    return 0;
}

int host_find_fallbacks(struct plugin_host *h, struct kl_err *err)
{
    int rc = 0;
    for (unsigned k = 0; k < h->n && rc == 0; k++)
        rc = host_find_fallback(h, h->at[k], err);
    return rc;
}

/* --- what it looks like --- */

const char *host_state_text(const struct plugin_instance *i)
{
    struct cell_status s;
    if (!i->cell || i->state != PLUGIN_READY)
        return plugin_state_text(i->state);
    cell_status(i->cell, &s);
    return cell_state_text(s.state);
}

void host_isolation_debug(const struct plugin_instance *i, struct arena *a, struct val *one)
{
    struct cell_status s;
    struct cell_counts n;
    json_set_str(a, one, STR("isolation"), str_of(isolate_level_text(i->isolate)));
    if (!i->cell) {
        uint64_t calls = 0, errors = 0;
        if (i->gate)
            gate_counts(i->gate, &calls, &errors);
        json_set_int(a, one, STR("calls"), (int64_t)calls);
        json_set_int(a, one, STR("errors"), (int64_t)errors);
        return;
    }
    cell_status(i->cell, &s);
    cell_counts(i->cell, i->cell_at, &n);
    json_set_int(a, one, STR("pid"), s.pid);
    json_set_int(a, one, STR("starts"), (int64_t)s.starts);
    json_set_int(a, one, STR("crashes"), (int64_t)s.crashes);
    json_set_int(a, one, STR("calls"), (int64_t)n.calls);
    json_set_int(a, one, STR("errors"), (int64_t)n.errors);
    if (i->fallback)
        json_set_str(a, one, STR("fallback"), str_of(gate_name(i->fallback)));
    if (s.reason[0] && !i->reason[0])
        json_set_str(a, one, STR("reason"), str_of(arena_printf(a, "its process %s", s.reason)));
}

/* --- metrics --- */

static uint64_t calls(const struct cell_status *s, const struct cell_counts *n) { (void)s; return n->calls; }
static uint64_t errors(const struct cell_status *s, const struct cell_counts *n) { (void)s; return n->errors; }
static uint64_t late(const struct cell_status *s, const struct cell_counts *n) { (void)s; return n->late; }
static uint64_t nested(const struct cell_status *s, const struct cell_counts *n) { (void)s; return n->nested; }
static uint64_t crashes(const struct cell_status *s, const struct cell_counts *n) { (void)n; return s->crashes; }
static uint64_t up(const struct cell_status *s, const struct cell_counts *n) { (void)n; return s->state == CELL_RUNNING; }
static uint64_t quarantined(const struct cell_status *s, const struct cell_counts *n) { (void)n; return s->state == CELL_QUARANTINED; }

static const struct {
    const char *name;
    enum prom_type type;
    uint64_t (*value)(const struct cell_status *s, const struct cell_counts *n);
    const char *help;
} families[] = {
    { "keelson_plugin_up", PROM_GAUGE, up, "1 while the isolated instance's process takes calls." },
    { "keelson_plugin_quarantined", PROM_GAUGE, quarantined, "1 when the isolated instance's process has ended too often to be started again." },
    { "keelson_plugin_calls_total", PROM_COUNTER, calls, "Calls of an isolated instance." },
    { "keelson_plugin_call_errors_total", PROM_COUNTER, errors, "Calls of an isolated instance that failed, or that its process was not there for." },
    { "keelson_plugin_calls_late_total", PROM_COUNTER, late, "Calls of an isolated instance that were not answered in time." },
    { "keelson_plugin_host_calls_total", PROM_COUNTER, nested, "What an isolated instance asked of the host." },
    { "keelson_plugin_crashes_total", PROM_COUNTER, crashes, "Ends of an isolated instance's process that nobody asked for." },
};

void host_isolation_metrics(const struct plugin_host *h, struct prom *p)
{
    for (size_t f = 0; f < sizeof families / sizeof *families && h->n_cells; f++) {
        prom_family(p, families[f].name, families[f].type, families[f].help);
        for (unsigned k = 0; k < h->n; k++) {
            const struct plugin_instance *i = h->at[k];
            struct cell_status s;
            struct cell_counts n;
            if (!i->cell || i->state != PLUGIN_READY)
                continue;
            const struct prom_label l[] = { { "instance", i->name }, { "interface", i->provider->iface }, { "isolation", isolate_level_text(i->isolate) },
                                            { NULL, NULL } };
            cell_status(i->cell, &s);
            cell_counts(i->cell, i->cell_at, &n);
            prom_count(p, l, families[f].value(&s, &n));
        }
    }
}
