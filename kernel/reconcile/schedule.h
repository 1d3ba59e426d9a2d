/* schedule.h - the scheduler host: finds a node for every pod without one, by the instance that its schedulerName names. [loop] */
#ifndef RECONCILE_SCHEDULE_H
#define RECONCILE_SCHEDULE_H

#include "reconcile/objects.h"

struct schedule;
struct prom;
struct kl_scheduler;

struct schedule_conf {
    struct loop *loop;
    struct store *store;
    struct objects *objects;
    /* The instance of that name; "default-scheduler": the default one. NULL: there is none. */
    const struct kl_scheduler *(*find)(void *ctx, const char *name, void **ret_self);
    void *ctx;
};

int schedule_start(const struct schedule_conf *c, struct schedule **ret, struct kl_err *err);
void schedule_pause(struct schedule *s, bool paused);    /* what comes meanwhile waits */
void schedule_free(struct schedule *s);
/* scheduler_*, for api_metrics_add (ctx: the schedule). */
void schedule_metrics(void *ctx, struct prom *p);

#endif
