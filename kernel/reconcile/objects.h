/* objects.h - what is behind keelson.host.objects/0 in this process: the store of a server, or a node's mirror of the API. The functions
 * are those of struct kl_host_objects (sdk/include/keelson/host.h) with `who` (the instance's name) for its host. [any]
 */
#ifndef RECONCILE_OBJECTS_H
#define RECONCILE_OBJECTS_H

#include <keelson/host.h>

#include "store/store.h"

struct objects {
    const struct objects_ops *ops;
};

struct objects_ops {
    int (*get)(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes *ret);
    int (*list)(struct objects *o, const char *who, struct kl_call *c, const struct kl_list_options *opt, struct kl_object_list *ret);
    int (*create)(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes obj,
                  struct kl_bytes *ret);
    int (*update)(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes obj,
                  struct kl_bytes *ret);
    int (*patch)(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k, int32_t type,
                 struct kl_bytes patch, struct kl_bytes *ret);
    int (*remove)(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k, const struct kl_delete_options *opt);
    void (*event)(struct objects *o, const char *who, struct kl_bytes about, const char *type, const char *reason, const char *message);
    int (*resources)(struct objects *o, const char *who, struct kl_call *c, const char *const **ret);
};

/* What the two kinds share (objects.c). [loop] */
int objects_read(struct store *s, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes *ret);
int objects_list(struct store *s, struct kl_call *c, const struct kl_list_options *o, struct kl_object_list *ret);
int objects_resources(struct kl_call *c, const char *const **ret);      /* [any] */
int objects_kind(struct kl_call *c, const char *resource, const char *api_version, const char *kind, struct kl_kind *ret);      /* [any] */

#endif
