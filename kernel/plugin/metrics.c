/* metrics.c - the controllers' queues as upstream's client-go tells them (workqueue_*), and how long admission takes, by the instance's name. */
#include "base/env.h"
#include "host-internal.h"

static const struct prom_bounds review_bounds = { 6, { 0.005, 0.025, 0.1, 0.5, 1, 2.5 } };

struct plugin_reviews {
    struct prom_histogram at[2][4][2];  /* validate or admit; operation; rejected */
    uint64_t n[2][4][2];
};

void host_count_review(struct plugin_instance *p, bool mutating, const char *verb, bool rejected, int64_t ns)
{
    unsigned op = verb[0] == 'c' ? verb[1] == 'o' : verb[0] == 'd' ? 3 : 2;       /* create connect update delete */
    if (!p->reviews && !(p->reviews = mem_alloc(sizeof *p->reviews)))
        return;
    struct prom_histogram *h = &p->reviews->at[mutating][op][rejected];
    h->bounds = &review_bounds;
    p->reviews->n[mutating][op][rejected]++;
    prom_observe(h, (double)ns / (double)NS_PER_S);
}

static void reviews(const struct plugin_host *h, struct prom *p)
{
    static const char *const types[] = { "validate", "admit" }, *const ops[] = { "CREATE", "CONNECT", "UPDATE", "DELETE" };
    prom_family(p, "apiserver_admission_controller_admission_duration_seconds", PROM_HISTOGRAM,
                "[STABLE] Admission controller latency histogram in seconds, identified by name and broken out for each operation and API resource and type "
                "(validate or admit).");
    for (unsigned i = 0; i < h->n; i++)
        for (unsigned k = 0; h->at[i]->reviews && k < 16; k++) {
            unsigned type = k >> 3, op = k >> 1 & 3, rejected = k & 1;
            const struct prom_label l[] = { { "name", h->at[i]->name }, { "operation", ops[op] }, { "rejected", rejected ? "true" : "false" },
                                            { "type", types[type] }, { NULL, NULL } };
            if (h->at[i]->reviews->n[type][op][rejected])
                prom_buckets(p, l, &h->at[i]->reviews->at[type][op][rejected]);
        }
}

static void depth(struct prom *p, const struct prom_label *l, const struct queue *q)
{
    prom_count(p, l, queue_stats(q)->ready);
}

static void adds(struct prom *p, const struct prom_label *l, const struct queue *q)
{
    prom_count(p, l, queue_stats(q)->added);
}

static void retries(struct prom *p, const struct prom_label *l, const struct queue *q)
{
    prom_count(p, l, queue_stats(q)->failed);
}

static void waited(struct prom *p, const struct prom_label *l, const struct queue *q)
{
    prom_buckets(p, l, &queue_stats(q)->waited);
}

static void worked(struct prom *p, const struct prom_label *l, const struct queue *q)
{
    prom_buckets(p, l, &queue_stats(q)->worked);
}

static void unfinished(struct prom *p, const struct prom_label *l, const struct queue *q)
{
    double sum, longest;
    queue_unfinished(q, &sum, &longest);
    prom_number(p, l, sum);
}

static void longest(struct prom *p, const struct prom_label *l, const struct queue *q)
{
    double sum, most;
    queue_unfinished(q, &sum, &most);
    prom_number(p, l, most);
}

static const struct {
    const char *name;
    enum prom_type type;
    void (*write)(struct prom *p, const struct prom_label *l, const struct queue *q);
    const char *help;
} families[] = {
    { "workqueue_depth", PROM_GAUGE, depth, "[BETA] Current depth of workqueue" },
    { "workqueue_adds_total", PROM_COUNTER, adds, "[BETA] Total number of adds handled by workqueue" },
    { "workqueue_retries_total", PROM_COUNTER, retries, "[BETA] Total number of retries handled by workqueue" },
    { "workqueue_queue_duration_seconds", PROM_HISTOGRAM, waited, "[BETA] How long in seconds an item stays in workqueue before being requested." },
    { "workqueue_work_duration_seconds", PROM_HISTOGRAM, worked, "[BETA] How long in seconds processing an item from workqueue takes." },
    { "workqueue_unfinished_work_seconds", PROM_GAUGE, unfinished,
      "[BETA] How many seconds of work has done that is in progress and hasn't been observed by work_duration." },
    { "workqueue_longest_running_processor_seconds", PROM_GAUGE, longest,
      "[BETA] How many seconds has the longest running processor for workqueue been running." },
};

void plugin_host_metrics(void *ctx, struct prom *p)
{
    const struct plugin_host *h = ctx;
    reviews(h, p);
    host_isolation_metrics(h, p);
    host_reload_metrics(h, p);
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        prom_family(p, families[f].name, families[f].type, families[f].help);
        for (unsigned i = 0; i < h->n; i++) {
            const struct prom_label l[] = { { "name", h->at[i]->name }, { NULL, NULL } };
            if (h->at[i]->runner)
                families[f].write(p, l, runner_queue(h->at[i]->runner));
        }
    }
}
