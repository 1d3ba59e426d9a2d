/* runner.h - runs one controller instance: watches become keys, keys go through its queue to reconcile. [loop] except where said. */
#ifndef RECONCILE_RUNNER_H
#define RECONCILE_RUNNER_H

#include <keelson/iface/controller.h>

#include "base/json.h"
#include "reconcile/queue.h"
#include "store/store.h"

struct runner;

struct runner_conf {
    const char *name;                   /* of the instance; lives as long as the runner */
    const struct kl_controller *table;
    void *self;
    /* Value of $(NAME) in field selectors; NULL: not known. */
    const char *(*variable)(void *ctx, struct str name);
    void *ctx;
    bool whole;                         /* as of source_conf: requests are decided by what it has seen */
    bool held;                          /* keys are gathered, and worked on only from runner_release on */
};

/* Begins at once: every object under its watches counts as added. Kinds that are not served are refused (KL_NOT_FOUND). */
int runner_start(struct loop *l, struct store *s, const struct runner_conf *c, struct runner **ret, struct kl_err *err);
void runner_release(struct runner *r);
bool runner_caught_up(const struct runner *r);          /* nothing waits that could be worked on now */
/* No new work; calls under way see `cancelled`. gone(ctx) when the last has returned (maybe at once). */
void runner_stop(struct runner *r, loop_fn gone, void *ctx);
bool runner_stopped(const struct runner *r);            /* or about to */
void runner_free(struct runner *r);                     /* after gone */

void runner_add(struct runner *r, const char *key, int64_t delay_ns);           /* [any] */
const struct queue *runner_queue(const struct runner *r);
struct val *runner_debug(struct runner *r, struct arena *a);    /* {"queue":{"ready","waiting","working"},"calls","failures","lastError"} */

#endif
