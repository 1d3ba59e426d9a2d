/* counts_pods.c - what is counted for each probe of a container, and of the starts and ends of containers. */
#include <string.h>

#include "agent.h"
#include "counts.h"

#define ENDS_MOST 200                       /* kinds of ends; what comes beyond is not told apart any more, and not counted */

static const char *const titles[PROBE_KINDS] = { "Startup", "Liveness", "Readiness" };
static const char *const results[] = { "successful", "failed", "unknown" };
static const struct prom_bounds duration_bounds = { 11, { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 } };

struct counted_probe {
    struct counted_probe *next;
    char *ns, *pod, *uid, *container;
    unsigned kind;
    uint64_t n[3];
    struct prom_histogram took;
};

struct counted_end {
    unsigned type;
    int64_t code;
    char reason[32];
    uint64_t n;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;       /* of all that follows */
static struct counted_probe *probes;
static struct counted_end ends[ENDS_MOST];
static size_t n_ends;

/* --- probes --- */

static void free_probe(struct counted_probe *p)
{
    mem_free(p->ns);
    mem_free(p->pod);
    mem_free(p->uid);
    mem_free(p->container);
    mem_free(p);
}

static char *copy(struct str s)
{
    return mem_dup(s.at ? s.at : "", s.len);
}

static struct counted_probe *probe_of(struct str uid, struct str ns, struct str pod, struct str container, unsigned kind)
{
    for (struct counted_probe *p = probes; p; p = p->next)
        if (p->kind == kind && str_is(uid, p->uid) && str_is(container, p->container))
            return p;
    struct counted_probe *p = mem_alloc(sizeof *p);
    if (!p)
        return NULL;
    *p = (struct counted_probe){ .next = probes, .ns = copy(ns), .pod = copy(pod), .uid = copy(uid), .container = copy(container), .kind = kind,
                                 .took = { .bounds = &duration_bounds } };
    if (!p->ns || !p->pod || !p->uid || !p->container) {
        free_probe(p);
        return NULL;
    }
    probes = p;
    return p;
}

void count_probe(const struct pod_view *v, const struct ctr *k, unsigned kind, int result, int64_t took_ns)
{
    pthread_mutex_lock(&lock);
    struct counted_probe *p = probe_of(v->uid, v->ns, v->name, k->name, kind);
    if (p) {
        p->n[result]++;
        prom_observe(&p->took, (double)took_ns / 1e9);
    }
    pthread_mutex_unlock(&lock);
}

void counts_forget(const char *uid)
{
    pthread_mutex_lock(&lock);
    for (struct counted_probe **at = &probes; *at;) {
        struct counted_probe *p = *at;
        if (strcmp(p->uid, uid) != 0) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        free_probe(p);
    }
    pthread_mutex_unlock(&lock);
}

void counts_tell_probes(struct prom *p)
{
    pthread_mutex_lock(&lock);
    prom_family(p, "prober_probe_duration_seconds", PROM_HISTOGRAM, "Duration in seconds for a probe response.");
    for (const struct counted_probe *c = probes; c; c = c->next)
        prom_buckets(p, (struct prom_label[]){ { "container", c->container }, { "namespace", c->ns }, { "pod", c->pod }, { "probe_type", titles[c->kind] }, { NULL, NULL } },
                     &c->took);
    prom_family(p, "prober_probe_total", PROM_COUNTER, "Cumulative number of a liveness, readiness or startup probe for a container by result.");
    for (const struct counted_probe *c = probes; c; c = c->next)
        for (size_t i = 0; i < 3; i++)
            if (c->n[i])
                prom_count(p, (struct prom_label[]){ { "container", c->container }, { "namespace", c->ns }, { "pod", c->pod }, { "pod_uid", c->uid },
                                                     { "probe_type", titles[c->kind] }, { "result", results[i] }, { NULL, NULL } }, c->n[i]);
    pthread_mutex_unlock(&lock);
}

/* --- starts --- */

enum { TYPES = 3, ERRORS = 2 };
static const char *const types[TYPES] = { "container", "init_container", "ephemeral_container" };
static const char *const errors[ERRORS] = { "CreateContainerError", "RunContainerError" };
static uint64_t started[TYPES], failed[TYPES][ERRORS];

static unsigned type_of(unsigned kind)
{
    return kind == CTR_INIT || kind == CTR_SIDECAR ? 1 : kind == CTR_EPHEMERAL ? 2 : 0;
}

void count_start(unsigned kind, const char *error)
{
    pthread_mutex_lock(&lock);
    if (error)
        failed[type_of(kind)][strcmp(error, errors[0]) != 0]++;
    else
        started[type_of(kind)]++;
    pthread_mutex_unlock(&lock);
}

void counts_tell_starts(struct prom *p)
{
    pthread_mutex_lock(&lock);
    prom_family(p, "kubelet_started_containers_total", PROM_COUNTER, "Cumulative number of containers started");
    for (size_t i = 0; i < TYPES; i++)
        if (started[i])
            prom_count(p, (struct prom_label[]){ { "container_type", types[i] }, { NULL, NULL } }, started[i]);
    prom_family(p, "kubelet_started_containers_errors_total", PROM_COUNTER, "Cumulative number of errors when starting containers");
    for (size_t i = 0; i < TYPES; i++)
        for (size_t k = 0; k < ERRORS; k++)
            if (failed[i][k])
                prom_count(p, (struct prom_label[]){ { "code", errors[k] }, { "container_type", types[i] }, { NULL, NULL } }, failed[i][k]);
    pthread_mutex_unlock(&lock);
}

/* --- ends --- */

static void count_end(unsigned type, int64_t code, struct str reason)
{
    size_t i = 0;
    pthread_mutex_lock(&lock);
    while (i < n_ends && (ends[i].type != type || ends[i].code != code || !str_is(reason, ends[i].reason)))
        i++;
    if (i < ENDS_MOST) {
        if (i == n_ends)
            n_ends++;
        ends[i].type = type;
        ends[i].code = code;
        ends[i].n++;
        snprintf(ends[i].reason, sizeof ends[i].reason, STR_FMT, STR_ARG(reason));
    }
    pthread_mutex_unlock(&lock);
}

/* Each end once: mem->ended is the last one that was seen. */
void count_ends(const struct pod_view *v, bool tell)
{
    for (size_t i = 0; i < v->n; i++) {
        const struct ctr *k = &v->ctrs[i];
        if (k->state != RUN_EXITED || !k->mem || str_is(ctr_id(k), k->mem->ended))
            continue;
        snprintf(k->mem->ended, sizeof k->mem->ended, STR_FMT, STR_ARG(ctr_id(k)));
        struct str reason = json_str(k->now, "reason");
        if (tell)
            count_end(type_of(k->kind), k->exit_code, reason.len ? reason : k->exit_code ? STR("Error") : STR("Completed"));
    }
}

void counts_tell_ends(struct prom *p)
{
    pthread_mutex_lock(&lock);
    prom_family(p, "kubelet_terminated_containers_total", PROM_COUNTER, "Cumulative number of containers terminated, by type, exit code and reason");
    for (size_t i = 0; i < n_ends; i++) {
        char code[24];
        snprintf(code, sizeof code, "%lld", (long long)ends[i].code);
        prom_count(p, (struct prom_label[]){ { "container_type", types[ends[i].type] }, { "exit_code", code }, { "reason", ends[i].reason }, { NULL, NULL } }, ends[i].n);
    }
    pthread_mutex_unlock(&lock);
}
