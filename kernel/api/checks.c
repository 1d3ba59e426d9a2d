/* checks.c - what /healthz, /livez and /readyz look at: by the names that upstream's checks have where they tell of the same thing, and our own behind them.
 * What a start makes ("poststarthook/...") is looked for in the store until it was there once: who deletes it later does not undo the start. */
#include "api-internal.h"
#include "base/log.h"

enum what { ALWAYS, LOG, STORE, STARTED, STOPPING, CRDS, GROUPS, REGISTERED, FLOWS, MADE };

static const struct row {
    const char *name;
    enum what what;
    unsigned at;                        /* CHECKS_... */
    const char *resource, *ns, *object; /* MADE, FLOWS */
} rows[] = {
    { "ping", ALWAYS, CHECKS_ALL, NULL, NULL, NULL },
    { "log", LOG, CHECKS_ALL, NULL, NULL, NULL },
    { "etcd", STORE, CHECKS_ALL, NULL, NULL, NULL },
    { "etcd-readiness", STORE, CHECKS_READYZ, NULL, NULL, NULL },
    { "informer-sync", STARTED, CHECKS_READYZ, NULL, NULL, NULL },
    { "poststarthook/generic-apiserver-start-informers", STARTED, CHECKS_ALL, NULL, NULL, NULL },
    { "poststarthook/priority-and-fairness-config-consumer", FLOWS, CHECKS_ALL, "flowcontrol.apiserver.k8s.io/flowschemas", "", "catch-all" },
    { "poststarthook/priority-and-fairness-filter", FLOWS, CHECKS_ALL, "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations", "", "catch-all" },
    { "poststarthook/start-apiextensions-informers", CRDS, CHECKS_ALL, NULL, NULL, NULL },
    { "poststarthook/start-apiextensions-controllers", CRDS, CHECKS_ALL, NULL, NULL, NULL },
    { "poststarthook/crd-informer-synced", CRDS, CHECKS_ALL, NULL, NULL, NULL },
    { "poststarthook/start-system-namespaces-controller", MADE, CHECKS_ALL, "/namespaces", "", "kube-system" },
    { "poststarthook/start-cluster-authentication-info-controller", MADE, CHECKS_ALL, "/configmaps", "kube-system", "extension-apiserver-authentication" },
    { "poststarthook/storage-readiness", STORE, CHECKS_ALL, NULL, NULL, NULL },
    { "poststarthook/start-service-ip-repair-controllers", MADE, CHECKS_ALL, "networking.k8s.io/servicecidrs", "", "kubernetes" },
    { "poststarthook/scheduling/bootstrap-system-priority-classes", MADE, CHECKS_ALL, "scheduling.k8s.io/priorityclasses", "", "system-node-critical" },
    { "poststarthook/priority-and-fairness-config-producer", FLOWS, CHECKS_ALL, "flowcontrol.apiserver.k8s.io/flowschemas", "", "exempt" },
    { "poststarthook/bootstrap-controller", MADE, CHECKS_ALL, "/services", "default", "kubernetes" },
    { "poststarthook/start-kubernetes-service-cidr-controller", MADE, CHECKS_ALL, "networking.k8s.io/servicecidrs", "", "kubernetes" },
    { "poststarthook/start-kube-aggregator-informers", GROUPS, CHECKS_ALL, NULL, NULL, NULL },
    { "poststarthook/apiservice-status-local-available-controller", GROUPS, CHECKS_ALL, NULL, NULL, NULL },
    { "poststarthook/apiservice-status-remote-available-controller", GROUPS, CHECKS_ALL, NULL, NULL, NULL },
    { "poststarthook/apiservice-registration-controller", GROUPS, CHECKS_ALL, NULL, NULL, NULL },
    { "poststarthook/apiservice-discovery-controller", GROUPS, CHECKS_ALL, NULL, NULL, NULL },
    { "poststarthook/kube-apiserver-autoregistration", REGISTERED, CHECKS_ALL, NULL, NULL, NULL },
    { "autoregister-completion", REGISTERED, CHECKS_ALL, NULL, NULL, NULL },
    { "poststarthook/apiservice-openapi-controller", GROUPS, CHECKS_ALL, NULL, NULL, NULL },
    { "poststarthook/apiservice-openapiv3-controller", GROUPS, CHECKS_ALL, NULL, NULL, NULL },
    { "shutdown", STOPPING, CHECKS_READYZ, NULL, NULL, NULL },
};
#define N_ROWS (sizeof rows / sizeof *rows)
_Static_assert(N_ROWS <= 64, "api.hooks_done has a bit for each");

/* What the daemon says of it: "store". */
static const char *of_daemon(const struct api *api, const char *name)
{
    for (unsigned i = 0; i < api->n_checks; i++)
        if (strcmp(api->checks[i].name, name) == 0)
            return api->checks[i].reason(api->checks[i].ctx);
    return NULL;
}

/* Every group of this server is registered. */
static const char *registered(const struct api *api)
{
    char name[600];
    for (size_t i = 0; i < schema_n_kinds(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        if (k->flags & (K_MEASURED | K_CUSTOM) || strcmp(k->group, "apiregistration.k8s.io") == 0)
            continue;
        snprintf(name, sizeof name, "%s.%s", k->version, k->group);
        if (!store_head(api->store, STR("apiregistration.k8s.io/apiservices"), STR(""), str_of(name)))
            return "missing APIService";
    }
    return NULL;
}

static const char *once(struct api *api, size_t i, const char *why)
{
    if (!why)
        api->hooks_done |= 1ull << i;
    return api->hooks_done & 1ull << i ? NULL : why;
}

static const char *reason(struct api *api, size_t i)
{
    const struct row *r = &rows[i];
    switch (r->what) {
    case ALWAYS: return NULL;
    case LOG: return log_fails() ? "the log cannot be written" : NULL;
    case STORE: return of_daemon(api, "store");
    case STARTED: return api->ready ? NULL : "not finished";
    case STOPPING: return api->stopping ? "process is shutting down" : NULL;
    case CRDS: return api->crds ? NULL : "not finished";
    case GROUPS: return api->aggregates ? NULL : "not finished";
    case REGISTERED: return once(api, i, api->hooks_done & 1ull << i ? NULL : registered(api));
    case FLOWS:
    case MADE: return once(api, i, store_head(api->store, str_of(r->resource), str_of(r->ns), str_of(r->object)) ? NULL : "not finished");
    }
    return NULL;
}

static unsigned add(struct api_checked *ret, unsigned n, const char *name, const char *why, bool spared)
{
    if (n < CHECKS_MOST)
        ret[n++] = (struct api_checked){ name, why, spared };
    return n;
}

/* Whoever is killed for a full disk cannot free it: in what is only alive the store's trouble is told, and not counted. */
unsigned api_checks(struct api *api, unsigned at, struct api_checked ret[CHECKS_MOST])
{
    bool living = at == CHECKS_LIVEZ;
    unsigned n = 0;
    for (size_t i = 0; i < N_ROWS; i++) {
        bool given = rows[i].at & at && (rows[i].what != FLOWS || api->flow);
        if (given)
            n = add(ret, n, rows[i].name, reason(api, i), living && rows[i].what == STORE);
    }
    for (unsigned i = 0; i < api->n_checks; i++)
        n = add(ret, n, api->checks[i].name, api->checks[i].reason(api->checks[i].ctx), living);
    return at == CHECKS_READYZ ? add(ret, n, "start", api->ready ? NULL : "not finished", false) : n;
}
