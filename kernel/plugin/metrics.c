/* metrics.c - the controllers' queues as upstream's client-go tells them: workqueue_*, by the instance's name. */
#include "host-internal.h"

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
    { "workqueue_depth", PROM_GAUGE, depth, "Current depth of workqueue" },
    { "workqueue_adds_total", PROM_COUNTER, adds, "Total number of adds handled by workqueue" },
    { "workqueue_retries_total", PROM_COUNTER, retries, "Total number of retries handled by workqueue" },
    { "workqueue_queue_duration_seconds", PROM_HISTOGRAM, waited, "How long in seconds an item stays in workqueue before being requested." },
    { "workqueue_work_duration_seconds", PROM_HISTOGRAM, worked, "How long in seconds processing an item from workqueue takes." },
    { "workqueue_unfinished_work_seconds", PROM_GAUGE, unfinished,
      "How many seconds of work has done that is in progress and hasn't been observed by work_duration." },
    { "workqueue_longest_running_processor_seconds", PROM_GAUGE, longest,
      "How many seconds has the longest running processor for workqueue been running." },
};

void plugin_host_metrics(void *ctx, struct prom *p)
{
    const struct plugin_host *h = ctx;
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        prom_family(p, families[f].name, families[f].type, families[f].help);
        for (unsigned i = 0; i < h->n; i++) {
            const struct prom_label l[] = { { "name", h->at[i]->name }, { NULL, NULL } };
            if (h->at[i]->runner)
                families[f].write(p, l, runner_queue(h->at[i]->runner));
        }
    }
}
