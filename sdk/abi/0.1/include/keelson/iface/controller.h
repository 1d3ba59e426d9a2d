/* controller.h - keelson.controller/0: level-triggered reconciliation.
 *
 * The host watches what `watches` names, turns each change into keys, puts them into the instance's queue (a key waits
 * at most once and is never worked on twice at a time), calls reconcile for each, and tries again with back-off (5 ms
 * doubling to 1000 s) when it fails with a code that is worth a retry. A controller keeps no object across calls: it
 * works from the key alone and reads what it needs through keelson.host.objects/0.
 */
#ifndef KEELSON_IFACE_CONTROLLER_H
#define KEELSON_IFACE_CONTROLLER_H

#include "../plugin.h"

#define KL_CONTROLLER_0 "keelson.controller/0"

struct kl_watch {
    KL_STRUCT_HEAD;
    const char *resource;               /* "apps/deployments"; "*": every resource, also ones added later */
    const char *field_selector;         /* NULL: all; "$(instance)"-like expansion is the host's: "spec.nodeName=$(node)" */
    /* How a change becomes a key:
     *   NULL          "ns/name" of the object itself ("name" for cluster scope)
     *   "owner:Kind"  "ns/name" of its controlling owner of that kind ("owner:ReplicaSet")
     *   "map"         the controller's map function is asked */
    const char *key;
};

#define KL_CONTROLLER_BLOCKING 1u       /* reconcile may block: the host runs it on workers, else on the loop */

struct kl_controller {
    KL_STRUCT_HEAD;
    struct kl_life life;
    uint32_t flags;                     /* KL_CONTROLLER_* */
    uint32_t workers;                   /* blocking: how many keys at once; 0: 1 */
    KL_ARRAY(struct kl_watch) watches;
    /* [loop] Keys that a change of an object under a "map" watch concerns: newline-separated in the call's arena, "" none.
     * old is empty for ADDED, obj is the last state for DELETED (KL_CALL_DELETED is set then). NULL when no watch says "map". */
    int (*map)(void *self, struct kl_call *c, const char *resource, struct kl_bytes old, struct kl_bytes obj, struct kl_bytes *ret);
    /* [loop], or [worker] with KL_CONTROLLER_BLOCKING. *again_ns: come back after that time (0: no). */
    int (*reconcile)(void *self, struct kl_call *c, const char *key, int64_t *again_ns);
};

/* --- signatures: see signature.h --- */
#define KL_WATCH_MEMBERS(M, S) \
    M(S, STR, resource, _) \
    M(S, STR, field_selector, _) \
    M(S, STR, key, _)
#define KL_CONTROLLER_DATA(M, S) \
    M(S, U32, flags, _) \
    M(S, U32, workers, _) \
    M(S, ARRAY, watches, kl_watch)
#define KL_CONTROLLER_CALLS(F, S) \
    F(S, map, INT, LOOP, KL_SIG_OPTIONAL, (CALL, c, _), (STR, resource, _), (BYTES, old, _), (BYTES, obj, _), (OUT_BYTES, ret, _)) \
    F(S, reconcile, INT, EITHER, KL_SIG_MANY, (CALL, c, _), (STR, key, _), (OUT_I64, again_ns, _))

#endif
