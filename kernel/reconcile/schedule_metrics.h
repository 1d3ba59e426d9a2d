/* schedule_metrics.h - what is counted about scheduling, by the scheduler that the pod names. [loop] */
#ifndef RECONCILE_SCHEDULE_METRICS_H
#define RECONCILE_SCHEDULE_METRICS_H

#include "base/prom.h"

enum schedule_result { SCHEDULE_NONE = 0, SCHEDULE_SCHEDULED, SCHEDULE_UNSCHEDULABLE, SCHEDULE_ERROR };

#define SCHEDULE_PROFILES 16

struct schedule_counts {
    struct {
        char name[64];
        uint64_t n[SCHEDULE_ERROR + 1];
        struct prom_histogram took[SCHEDULE_ERROR + 1];
    } at[SCHEDULE_PROFILES];            /* more schedulers than these are not told */
    unsigned n;
};

void schedule_count(struct schedule_counts *c, const char *profile, enum schedule_result result, int64_t ns);
void schedule_counts_write(const struct schedule_counts *c, size_t ready, size_t parked, struct prom *p);

#endif
