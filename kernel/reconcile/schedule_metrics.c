/* schedule_metrics.c - see schedule_metrics.h. */
#include "reconcile/schedule_metrics.h"

#include <stdio.h>

#include "base/env.h"

static const struct prom_bounds bounds = { 15, { 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384 } };
static const char *const results[] = { "", "scheduled", "unschedulable", "error" };

void schedule_count(struct schedule_counts *c, const char *profile, enum schedule_result result, int64_t ns)
{
    unsigned i = 0;
    if (!profile || !result)
        return;
    while (i < c->n && strncmp(c->at[i].name, profile, sizeof c->at[i].name - 1) != 0)
        i++;
    if (i == SCHEDULE_PROFILES)
        return;
    if (i == c->n) {
        snprintf(c->at[i].name, sizeof c->at[i].name, "%s", profile);
        c->n++;
    }
    c->at[i].n[result]++;
    c->at[i].took[result].bounds = &bounds;
    prom_observe(&c->at[i].took[result], (double)ns / (double)NS_PER_S);
}

void schedule_counts_write(const struct schedule_counts *c, size_t ready, size_t parked, struct prom *p)
{
    prom_family(p, "scheduler_pending_pods", PROM_GAUGE, "Number of pending pods, by the queue type.");
    prom_count(p, (struct prom_label[]){ { "queue", "active" }, { NULL, NULL } }, ready);
    prom_count(p, (struct prom_label[]){ { "queue", "unschedulable" }, { NULL, NULL } }, parked);
    prom_family(p, "scheduler_schedule_attempts_total", PROM_COUNTER,
                "Number of attempts to schedule pods, by the result. 'unschedulable' means a pod could not be scheduled, while 'error' means an internal "
                "scheduler problem.");
    for (unsigned k = 0; k < c->n * 3; k++) {
        unsigned i = k / 3, r = k % 3 + 1;
        prom_count(p, (struct prom_label[]){ { "profile", c->at[i].name }, { "result", results[r] }, { NULL, NULL } }, c->at[i].n[r]);
    }
    prom_family(p, "scheduler_scheduling_attempt_duration_seconds", PROM_HISTOGRAM, "Scheduling attempt latency in seconds (scheduling algorithm + binding)");
    for (unsigned k = 0; k < c->n * 3; k++) {
        unsigned i = k / 3, r = k % 3 + 1;
        if (c->at[i].n[r])
            prom_buckets(p, (struct prom_label[]){ { "profile", c->at[i].name }, { "result", results[r] }, { NULL, NULL } }, &c->at[i].took[r]);
    }
}
