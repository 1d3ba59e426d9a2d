/* network.h - keelson.network/0: a network namespace with an address for each pod of one node. All [worker], idempotent. */
#ifndef KEELSON_IFACE_NETWORK_H
#define KEELSON_IFACE_NETWORK_H

#include "../plugin.h"

#define KL_NETWORK_0 "keelson.network/0"

struct kl_network {
    KL_STRUCT_HEAD;
    struct kl_life life;
    /* Called once when the node knows its ranges, and when they change: {"node","podCIDRs":["10.244.0.0/24"],"serviceCIDRs":["10.96.0.0/12"],
     * "clusterCIDRs":["10.244.0.0/16"]}. Makes the bridge and routes; a restart finds and keeps them. */
    int (*configure)(void *self, struct kl_call *c, struct kl_bytes config);
    /* pod: {"namespace","name","uid","hostPorts":[{"hostPort","containerPort","protocol","hostIP"}],"sysctls":{}}. Makes the namespace (lo up, default route) if it is not there.
     * *ret: {"netns":"/run/keelson/netns/<uid>","ips":["10.244.0.7"]}. The same pod again gets the same answer. */
    int (*attach)(void *self, struct kl_call *c, struct kl_bytes pod, struct kl_bytes *ret);
    int (*detach)(void *self, struct kl_call *c, const char *pod_uid);           /* without attach: success */
    /* {"pods":[{"uid","netns","ips"}]}: what is attached, for the clean-up of leftovers. */
    int (*list)(void *self, struct kl_call *c, struct kl_bytes *ret);
    /* Removes everything this plugin made on the node (bridge, rules, namespaces). */
    int (*teardown)(void *self, struct kl_call *c);
};

/* --- signatures: see signature.h --- */
#define KL_NETWORK_CALLS(F, S) \
    F(S, configure, INT, WORKER, 0, (CALL, c, _), (BYTES, config, _)) \
    F(S, attach, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (BYTES, pod, _), (OUT_BYTES, ret, _)) \
    F(S, detach, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STR, pod_uid, _)) \
    F(S, list, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (OUT_BYTES, ret, _)) \
    F(S, teardown, INT, WORKER, 0, (CALL, c, _))

#endif
