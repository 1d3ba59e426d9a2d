/* ctl.h - one call of a controller: reads and writes of objects as trees, events, time. Everything made lives in the run's arena.
 *
 * A function that fails returns -KL_<CODE> with the reason in run->call->err. Trees that were read are the run's own: change a copy
 * (val_copy) and hand both to ctl_update, which writes only what differs.
 */
#ifndef CONTROLLER_CTL_H
#define CONTROLLER_CTL_H

#include <keelson/iface/controller.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/map.h"

#define NS_S 1000000000LL

struct ctl {                            /* one instance */
    const struct kl_host *host;
    const struct kl_host_objects *objects;
    const struct kl_host_env *env;
    const struct kl_host_queue *queue;
    const void *conf;
    int64_t opened_ns;                  /* wall clock: nothing can have been noticed before */
    struct map memory;                  /* what it keeps between runs: blocks of mem_alloc, each with its key. Of controllers on the loop alone */
    struct map crowds;                  /* crowd.h */
};

struct ctl_run {                        /* one reconcile or map */
    struct ctl *ctl;
    struct kl_call *call;
    struct arena *arena;
    int64_t now_ns;                     /* wall clock, the same for the whole run */
    char now[CLOCK_TEXT];               /* once ctl_now was asked */
    int64_t again_ns;                   /* earliest wish to come back; 0: none */
    struct str obj;                     /* map: what changed */
    uint64_t *written;                  /* when set: resourceVersion of what is created or updated next */
};

struct ctl_list {
    struct val **at;
    uint32_t n;
};

/* life.open and life.close of every controller here: services that it needs, nothing else. */
int ctl_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c);
void ctl_close(void *self);
void ctl_forget(struct ctl *x);         /* all that it keeps between runs */

typedef int (*ctl_run_fn)(struct ctl_run *r, struct str ns, struct str name);
typedef int (*ctl_map_fn)(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys);
int ctl_reconcile(void *self, struct kl_call *c, const char *key, int64_t *again_ns, ctl_run_fn run);
int ctl_map(void *self, struct kl_call *c, const char *resource, struct kl_bytes old, struct kl_bytes obj, struct kl_bytes *ret, ctl_map_fn map);

/* In a map: what begins at that member's value of obj, and whatever follows, for json_scan_next, _item and _member. STR_NONE: not there. */
enum ctl_part { CTL_LABELS, CTL_OWNERS, CTL_SPEC, CTL_STATUS, CTL_NODE };
struct str ctl_part(const struct ctl_run *r, enum ctl_part part);
struct str ctl_node(const struct ctl_run *r);                   /* spec.nodeName */
/* The beginning of its metadata, for json_scan_member: all but managedFields. */
struct str ctl_meta(const struct ctl_run *r);

/* A provider's table around a run and a map function (or NULL). */
#define CTL_RUN(ID, RUN) \
    static int ID##_reconcile(void *self, struct kl_call *c, const char *key, int64_t *again_ns) \
    { \
        return ctl_reconcile(self, c, key, again_ns, RUN); \
    }
#define CTL_MAP(ID, MAP) \
    static int ID##_map(void *self, struct kl_call *c, const char *resource, struct kl_bytes old, struct kl_bytes obj, struct kl_bytes *ret) \
    { \
        return ctl_map(self, c, resource, old, obj, ret, MAP); \
    }
#define CTL_TABLE(ID, WATCHES, MAP) \
    const struct kl_controller ID##_controller = { .size = sizeof(struct kl_controller), .life = { .open = ctl_open, .close = ctl_close }, \
                                                   .watches = KL_ARRAY_OF(WATCHES), .map = MAP, .reconcile = ID##_reconcile }

/* Come back after that time at the latest. */
void ctl_again(struct ctl_run *r, int64_t ns);
void ctl_key_add(struct buf *keys, struct str ns, struct str name);
struct str ctl_now(struct ctl_run *r);  /* RFC 3339 */
int ctl_no_memory(struct ctl_run *r);

/* Not there: 0 with *ret NULL. */
int ctl_get(struct ctl_run *r, const char *resource, struct str ns, struct str name, struct val **ret);
/* o->size may be left out. Objects come without managedFields; a write that says none leaves them as they are. */
int ctl_list(struct ctl_run *r, struct kl_list_options o, struct ctl_list *ret);
int ctl_create(struct ctl_run *r, const char *resource, struct str ns, const struct val *v, struct val **ret);
/* subresource may be NULL. Nothing is written when now equals old. *ret (may be NULL): the object as it is then. */
int ctl_update(struct ctl_run *r, const char *resource, const char *subresource, const struct val *old, const struct val *now, struct val **ret);
/* With the object's uid as precondition; gone already is no failure. */
int ctl_delete(struct ctl_run *r, const char *resource, const struct val *v, const char *propagation);
__attribute__((format(printf, 5, 6))) void ctl_event(struct ctl_run *r, const struct val *about, const char *type, const char *reason,
                                                     const char *fmt, ...);
uint64_t ctl_revision(struct str text); /* a resourceVersion as a number; 0: none */
/* Text of a tree in the run's arena. */
struct str ctl_text(struct ctl_run *r, const struct val *v);

#endif
