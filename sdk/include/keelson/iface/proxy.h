/* proxy.h - keelson.proxy/0: Services on one node. State, not deltas. [worker], one at a time. */
#ifndef KEELSON_IFACE_PROXY_H
#define KEELSON_IFACE_PROXY_H

#include "../plugin.h"

#define KL_PROXY_0 "keelson.proxy/0"

struct kl_proxy {
    KL_STRUCT_HEAD;
    struct kl_life life;
    /* generation grows; an older one than the last applied is ignored (success). state:
     * {"node","nodeIPs":[],"podCIDRs":[],"services":[{"namespace","name","clusterIPs":[],"externalIPs":[],"sessionAffinitySeconds":0,
     *   "externalLocal":false,"internalLocal":false,"ports":[{"name","protocol":"TCP|UDP|SCTP","port","nodePort",
     *   "endpoints":[{"ip","port","local":true,"cluster":true}]}]}]}
     * Of endpoints, policy Local has those that are "local" (absent: false), all other traffic those that are "cluster" (absent: true).
     * A port without endpoints rejects at once. Atomic: a kill at any time leaves the old or the new rules. */
    int (*apply)(void *self, struct kl_call *c, uint64_t generation, struct kl_bytes state);
    int (*teardown)(void *self, struct kl_call *c);
    /* NULL: apply is all there is. What changed since generation - 1: {"services":[...],"removed":[{"namespace","name"}]}, each Service whole, as in
     * apply; both may be empty or absent (the proxy then only looks whether its rules are still there). Node and ranges stay. As atomic as
     * apply. KL_CONFLICT: generation does not follow the last applied one; the caller applies the whole state. */
    int (*update)(void *self, struct kl_call *c, uint64_t generation, struct kl_bytes changes);
};

/* --- signatures: see signature.h --- */
#define KL_PROXY_CALLS(F, S) \
    F(S, apply, INT, WORKER, 0, (CALL, c, _), (U64, generation, _), (BYTES, state, _)) \
    F(S, teardown, INT, WORKER, 0, (CALL, c, _)) \
    F(S, update, INT, WORKER, KL_SIG_OPTIONAL, (CALL, c, _), (U64, generation, _), (BYTES, changes, _))

#endif
