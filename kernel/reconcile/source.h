/* source.h - one watch of a controller over the store: each change becomes keys. [loop] */
#ifndef RECONCILE_SOURCE_H
#define RECONCILE_SOURCE_H

#include <keelson/iface/controller.h>

#include "base/buf.h"
#include "store/store.h"

struct source;

struct source_conf {
    struct loop *loop;
    bool whole;                         /* what is there is looked at within source_start, however much it is */
    const struct kl_watch *watch;
    const struct kl_controller *table;  /* its map is asked when the watch says "map" */
    void *self;
    const char *name;
    const char *(*variable)(void *ctx, struct str name);
    void *variable_ctx;
    void (*key)(void *ctx, struct str key);
    void *ctx;
};

/* Every object there is counts as added, then changes as they become durable. */
int source_start(struct store *s, const struct source_conf *c, struct source **ret, struct kl_err *err);
const char *source_resource(const struct source *x);                      /* "group/plural" */
void source_free(struct source *x);
/* A field selector ("spec.nodeName=$(node)") with the variables' values. KL_INVALID: one is not known. */
int source_expand(const char *text, const char *(*variable)(void *ctx, struct str name), void *ctx, struct buf *ret, struct kl_err *err);

#endif
