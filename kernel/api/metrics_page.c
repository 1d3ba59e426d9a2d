/* metrics_page.c - the page of numbers: names and labels are upstream's, so that dashboards and alerts made for it work. What only this
 * server has begins with keelson_. */
#include "api/metrics.h"

#include "conversion.h"
#include "base/env.h"
#include "base/json_scan.h"

/* --- requests: one family after the other over all slots --- */

struct each {
    struct metrics *m;
    struct prom *p;
};

#define LABELS_MOST 10

/* The labels that nearly all have; n: how many are in l already. */
static void slot_labels(const struct metric_slot *s, struct prom_label *l, unsigned n)
{
    const struct prom_label common[] = { { "group", s->group }, { "version", s->version }, { "resource", s->resource },
                                         { "subresource", s->subresource }, { "scope", s->scope_text }, { "verb", s->verb_text } };
    memcpy(l + n, common, sizeof common);
    l[n + sizeof common / sizeof *common] = (struct prom_label){ NULL, NULL };
}

static void requests(const struct metric_slot *s, struct prom *p)
{
    char code[8];
    for (unsigned i = 0; i < METRIC_CODES && s->codes[i].n; i++) {
        struct prom_label l[LABELS_MOST] = { { "code", code }, { "component", "apiserver" }, { "dry_run", s->dry_run ? "All" : "" } };
        snprintf(code, sizeof code, "%u", i == METRIC_CODES - 1 ? 0 : s->codes[i].status);
        slot_labels(s, l, 3);
        prom_count(p, l, s->codes[i].n);
    }
}

static void durations(const struct metric_slot *s, struct prom *p)
{
    struct prom_label l[LABELS_MOST] = { { "component", "apiserver" }, { "dry_run", s->dry_run ? "All" : "" } };
    slot_labels(s, l, 2);
    if (s->codes[0].n)
        prom_buckets(p, l, &s->duration);
}

static void sizes(const struct metric_slot *s, struct prom *p)
{
    struct prom_label l[LABELS_MOST] = { { "component", "apiserver" } };
    slot_labels(s, l, 1);
    if (s->sizes && s->codes[0].n)
        prom_buckets(p, l, s->sizes);
}

static void running(const struct metric_slot *s, struct prom *p)
{
    struct prom_label l[LABELS_MOST] = { { "component", "apiserver" } };
    slot_labels(s, l, 1);
    if (s->long_running)
        prom_count(p, l, s->running);
}

static void aborts(const struct metric_slot *s, struct prom *p)
{
    struct prom_label l[LABELS_MOST];
    slot_labels(s, l, 0);
    if (s->aborts)
        prom_count(p, l, s->aborts);
}

static const struct {
    const char *name;
    enum prom_type type;
    void (*write)(const struct metric_slot *s, struct prom *p);
    const char *help;
} families[] = {
    { "apiserver_request_total", PROM_COUNTER, requests,
      "[STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code." },
    { "apiserver_request_duration_seconds", PROM_HISTOGRAM, durations,
      "[STABLE] Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component." },
    { "apiserver_response_sizes", PROM_HISTOGRAM, sizes,
      "[STABLE] Response size distribution in bytes for each group, version, verb, resource, subresource, scope and component." },
    { "apiserver_longrunning_requests", PROM_GAUGE, running,
      "[STABLE] Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component." },
    { "apiserver_request_aborts_total", PROM_COUNTER, aborts, "Number of requests whose client went away before they were answered." },
};

/* Several slots (of a name and of all) share a resource: one line for it. */
static void watch_family(struct metrics *m, struct prom *p, bool bytes)
{
    for (unsigned i = 0; i < m->cap; i++) {
        const struct metric_slot *s = m->at[i];
        uint64_t n = 0;
        bool first = true;
        for (unsigned k = 0; s && s->kind && s->verb_text[0] == 'W' && k < m->cap; k++) {
            const struct metric_slot *o = m->at[k];
            if (!o || o->verb_text[0] != 'W' || strcmp(o->resource, s->resource) != 0 || strcmp(o->group, s->group) != 0 ||
                strcmp(o->version, s->version) != 0)
                continue;
            first &= k >= i;
            n += bytes ? o->watch_bytes : o->watch_events;
        }
        struct prom_label l[] = { { "group", s ? s->group : "" }, { "version", s ? s->version : "" }, { "resource", s ? s->resource : "" }, { NULL, NULL } };
        if (first && n)
            prom_count(p, l, n);
    }
}

static void all_requests(struct metrics *m, struct prom *p)
{
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        prom_family(p, families[f].name, families[f].type, families[f].help);
        for (unsigned i = 0; i < m->cap; i++)
            if (m->at[i])
                families[f].write(m->at[i], p);
    }
    prom_family(p, "apiserver_watch_events_total", PROM_COUNTER, "[ALPHA] Number of events sent in watch clients");
    watch_family(m, p, false);
    prom_family(p, "keelson_watch_bytes_total", PROM_COUNTER, "Bytes of events sent in watch clients");
    watch_family(m, p, true);
}

static uint32_t peak(const struct metric_peak *k, int64_t now)
{
    int64_t second = now / NS_PER_S;
    if (second > k->second + 1)
        return k->now;
    return second == k->second && k->most_before > k->most ? k->most_before : k->most;
}

static void inflight(struct api *api, struct prom *p)
{
    int64_t now = loop_now(api->loop);
    prom_family(p, "apiserver_current_inflight_requests", PROM_GAUGE,
                "[STABLE] Maximal number of currently used inflight request limit of this apiserver per request kind in last second.");
    prom_count(p, (struct prom_label[]){ { "request_kind", "mutating" }, { NULL, NULL } }, peak(&api->metrics.writes, now));
    prom_count(p, (struct prom_label[]){ { "request_kind", "readOnly" }, { NULL, NULL } }, peak(&api->metrics.reads, now));
}

static void admission(struct metrics *m, struct prom *p)
{
    static const char *const types[] = { "validate", "admit" }, *const ops[] = { "CREATE", "CONNECT", "UPDATE", "DELETE" };
    prom_family(p, "apiserver_admission_step_admission_duration_seconds", PROM_HISTOGRAM,
                "[STABLE] Admission sub-step latency histogram in seconds, broken out for each operation and API resource and step type (validate or admit).");
    for (unsigned i = 0; i < 16; i++) {
        const struct prom_histogram *h = &m->steps[i >> 3][i >> 1 & 3][i & 1];
        const struct prom_label l[] = { { "operation", ops[i >> 1 & 3] }, { "rejected", i & 1 ? "true" : "false" },
                                        { "type", types[i >> 3] }, { NULL, NULL } };
        uint64_t n = 0;
        for (unsigned k = 0; k <= h->bounds->n; k++)
            n += h->n[k];
        if (n)
            prom_buckets(p, l, h);
    }
}

/* --- the store --- */

static void objects(struct api *api, struct prom *p, bool old)
{
    char resource[256];
    for (size_t i = 0; i < schema_n_kinds(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        if (!(k->flags & K_STORED) || k->storage != k)
            continue;
        snprintf(resource, sizeof resource, old && k->group[0] ? "%s.%s" : "%s", k->plural, k->group);
        const struct prom_label both[] = { { "group", k->group }, { "resource", resource }, { NULL, NULL } };
        prom_count(p, both + old, store_count(api->store, str_of(k->resource)));
    }
}

/* What the provider counts: each number of its stats is a metric; what only grows is a counter. */
static void provider(struct api *api, struct prom *p)
{
    static const char *const gauges[] = { "snapshot", "bytes" };
    _cleanup_arena_ struct arena *a = arena_new(1 << 20);
    void *self;
    const struct kl_store *t = store_provider(api->store, &self);
    struct kl_call c;
    struct kl_bytes text;
    struct str key, value;
    if (!a || !t)
        return;
    api_call_init(&c, a, NULL);
    if (!KL_HAS(t, stats) || t->stats(self, &c, &text) < 0)
        return;
    for (struct str at = str_n(text.at, text.len); json_scan_next(&at, &key, &value);) {
        int64_t n;
        bool gauge = str_is(key, gauges[0]) || str_is(key, gauges[1]);
        const char *name = arena_printf(a, "keelson_store_" STR_FMT "%s", STR_ARG(key), gauge ? "" : "_total");
        if (!str_int(value, &n) || str_is(key, "revision") || !name)
            continue;
        prom_one(p, name, gauge ? PROM_GAUGE : PROM_COUNTER, "What the store's provider counts.", (double)n);
        if (str_is(key, "bytes")) {
            prom_family(p, "apiserver_storage_size_bytes", PROM_GAUGE, "[STABLE] Size of the storage database file physically allocated in bytes.");
            prom_count(p, (struct prom_label[]){ { "storage_cluster_id", "store" }, { NULL, NULL } }, (uint64_t)n);
        }
    }
}

static void storage(struct api *api, struct prom *p)
{
    prom_family(p, "apiserver_storage_objects", PROM_GAUGE, "[STABLE] Number of stored objects at the time of last check split by kind.");
    objects(api, p, true);
    prom_family(p, "apiserver_resource_objects", PROM_GAUGE, "[ALPHA] Number of stored objects at the time of last check split by kind.");
    objects(api, p, false);
    prom_one(p, "keelson_store_revision", PROM_GAUGE, "Newest durable revision.", (double)store_revision(api->store));
    prom_one(p, "keelson_store_oldest_revision", PROM_GAUGE, "Oldest revision that watches and consistent lists may start from.",
             (double)store_oldest(api->store));
    provider(api, p);
}

static void build_info(struct api *api, struct prom *p)
{
    const struct prom_label l[] = { { "build_date", "1970-01-01T00:00:00Z" }, { "compiler", "gcc" }, { "git_commit", "" },
                                    { "git_tree_state", "clean" }, { "git_version", api->conf.version }, { "go_version", "none" },
                                    { "major", "1" }, { "minor", "36" }, { "platform", "linux/amd64" }, { NULL, NULL } };
    prom_family(p, "kubernetes_build_info", PROM_GAUGE,
                "[BETA] A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, "
                "and compiler from which Kubernetes was built, and platform on which it is running.");
    prom_count(p, l, 1);
}

static void health(struct api *api, struct prom *p)
{
    prom_family(p, "kubernetes_healthcheck", PROM_GAUGE, "[STABLE] This metric records the result of a single healthcheck.");
    static const char *const types[] = { "healthz", "livez", "readyz" };
    struct api_checked at[CHECKS_MOST];
    for (unsigned t = 0; t < 3; t++) {
        unsigned n = api_checks(api, 1u << t, at);
        for (unsigned i = 0; i < n; i++) {
            const struct prom_label l[] = { { "name", at[i].name }, { "type", types[t] }, { NULL, NULL } };
            prom_count(p, l, !at[i].why);
        }
    }
}

void metrics_write_slis(struct api *api, struct prom *p)
{
    health(api, p);
    prom_end(p);
}

void metrics_write(struct api *api, struct prom *p)
{
    struct metrics *m = &api->metrics;
    all_requests(m, p);
    inflight(api, p);
    admission(m, p);
    storage(api, p);
    health(api, p);
    audit_metrics(api->audit, p);
    flow_metrics(api->flow, p);
    if (api->conversions)
        conversions_metrics(api->conversions, p);
    for (unsigned i = 0; i < m->n_sources; i++)
        m->sources[i].write(m->sources[i].ctx, p);
    build_info(api, p);
    prom_process(p, api->started_wall_ns);
    prom_end(p);
}
