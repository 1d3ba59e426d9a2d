/* child-internal.h - what child.c (answers) and child_host.c (the host as the plugin sees it) share. */
#ifndef ISOLATE_CHILD_INTERNAL_H
#define ISOLATE_CHILD_INTERNAL_H

#include <poll.h>

#include "isolate-internal.h"

struct child_table {
    KL_STRUCT_HEAD;
    struct kl_life life;
};

struct child_instance {
    struct peer peer;                   /* its host's services; kl_host.ctx */
    unsigned index;
    const struct kl_provider *provider;
    const struct table_row *row;        /* NULL: of an interface that is not known here */
    struct kl_host host;
    const char *const *services;        /* that it is given */
    struct arena *arena;                /* of host and settings */
    void *conf, *self;
};

struct child {
    struct lane_shared *shared;
    struct lane_post post;
    struct lane lanes[LANES];
    pthread_mutex_t lock;               /* lanes' busy */
    pthread_cond_t free;
    const struct kl_plugin *plugin;     /* NULL: why */
    char why[400];
    unsigned n;
    struct child_instance instances[PROVIDERS_MOST];
};

extern struct child child;
extern __thread struct lane *child_lane;

int child_converse(struct lane *l, struct lane_message *m, const struct lane_patience *p);
struct lane *child_lane_take(void);
void child_lane_done(struct lane *l);
void child_host_init(struct child_instance *i, const char *name, const char *version, const char *instance, const char *const *services);

#endif
