/* scheduler.h - keelson.scheduler/0: which node takes a pod.
 *
 * A Pod's spec.schedulerName names an instance. Plugins own no node state: the host keeps one ledger of what every node has
 * left and does the compare-and-set when it binds, so that two schedulers cannot book the same room twice. For each
 * pod the host calls begin, then fit for each node of interest, score for those that fit, and end, always, exactly once.
 * The host itself checks before asking: node is Ready and schedulable, tolerations, nodeSelector and required node affinity,
 * host ports, that the requests fit, required affinity and anti-affinity between pods (of both sides) and topology spread constraints.
 */
#ifndef KEELSON_IFACE_SCHEDULER_H
#define KEELSON_IFACE_SCHEDULER_H

#include "../plugin.h"

#define KL_SCHEDULER_0 "keelson.scheduler/0"

enum kl_fit { KL_FIT_NO = 0, KL_FIT_YES = 1, KL_FIT_NEVER = 2 };       /* NEVER: preemption would not help */

#define KL_SCORE_MOST 1000000

/* A node as the ledger sees it. mcpu = thousandths of a core. */
struct kl_node_view {
    KL_STRUCT_HEAD;
    const char *name;
    struct kl_bytes node;               /* the Node object */
    int64_t mcpu, memory, pods;         /* allocatable */
    int64_t used_mcpu, used_memory, used_pods;       /* sum of requests of the pods bound or being bound there */
    uint32_t matching_pods;             /* pods there with the same controlling owner as the pod in question */
    /* What the pod would rather have, for score: 0..100 over the nodes that fit, as upstream's plugins of that purpose score. */
    uint32_t taints;                    /* few PreferNoSchedule taints that it does not tolerate */
    uint32_t affinity;                  /* its preferred node affinity */
    uint32_t spread;                    /* few of its kind in the same domains: its ScheduleAnyway constraints */
    uint32_t unasked_spread;            /* the same of a pod without constraints that belongs to a Service or controller: by host (3) and zone (5) */
    uint32_t neighbours;                /* preferred affinity and anti-affinity between pods, of both sides */
    uint32_t images;                    /* images of its containers that are there */
    int64_t guess_mcpu, guess_memory;   /* used, and 100m and 200 MiB for each container that says nothing: how full it seems */
};

struct kl_pod_view {
    KL_STRUCT_HEAD;
    struct kl_bytes pod;                /* the Pod object */
    int64_t mcpu, memory;               /* requests */
    int64_t guess_mcpu, guess_memory;   /* the same, and 100m and 200 MiB for each container that says nothing */
};

struct kl_scheduler {
    KL_STRUCT_HEAD;
    struct kl_life life;
    /* All [loop]. begin, fit and end may be NULL (fit: yes). cycle is the plugin's, for this pod. */
    int (*begin)(void *self, struct kl_call *c, const struct kl_pod_view *pod, void **cycle);
    int (*fit)(void *self, struct kl_call *c, void *cycle, const struct kl_pod_view *pod, const struct kl_node_view *node);
    /* 0..KL_SCORE_MOST, higher is better; compared with what this instance says of other nodes only. Of a single node that fits nothing is asked. */
    int (*score)(void *self, struct kl_call *c, void *cycle, const struct kl_pod_view *pod, const struct kl_node_view *node);
    void (*end)(void *self, void *cycle);
    /* Percent of all nodes: so many that fit are enough to choose among, beginning where the search for the pod before ended. 100: all that fit. NULL or 0: as many as upstream
     * takes: all of up to 100 nodes, of more 50 percent less one for each 125 nodes, but not less than 5 percent and 100 nodes. */
    int (*percent_of_nodes)(void *self, struct kl_call *c);
};

/* --- signatures: see signature.h --- */
#define KL_NODE_VIEW_MEMBERS(M, S) \
    M(S, STR, name, _) \
    M(S, BYTES, node, _) \
    M(S, I64, mcpu, _) \
    M(S, I64, memory, _) \
    M(S, I64, pods, _) \
    M(S, I64, used_mcpu, _) \
    M(S, I64, used_memory, _) \
    M(S, I64, used_pods, _) \
    M(S, U32, matching_pods, _) \
    M(S, U32, taints, _) \
    M(S, U32, affinity, _) \
    M(S, U32, spread, _) \
    M(S, U32, unasked_spread, _) \
    M(S, U32, neighbours, _) \
    M(S, U32, images, _) \
    M(S, I64, guess_mcpu, _) \
    M(S, I64, guess_memory, _)
#define KL_POD_VIEW_MEMBERS(M, S) \
    M(S, BYTES, pod, _) \
    M(S, I64, mcpu, _) \
    M(S, I64, memory, _) \
    M(S, I64, guess_mcpu, _) \
    M(S, I64, guess_memory, _)
#define KL_SCHEDULER_CALLS(F, S) \
    F(S, begin, INT, LOOP, KL_SIG_OPTIONAL, (CALL, c, _), (STRUCT, pod, kl_pod_view), (OUT_HANDLE, cycle, _)) \
    F(S, fit, INT, LOOP, KL_SIG_OPTIONAL, (CALL, c, _), (HANDLE, cycle, _), (STRUCT, pod, kl_pod_view), (STRUCT, node, kl_node_view)) \
    F(S, score, INT, LOOP, 0, (CALL, c, _), (HANDLE, cycle, _), (STRUCT, pod, kl_pod_view), (STRUCT, node, kl_node_view)) \
    F(S, end, VOID, LOOP, KL_SIG_OPTIONAL, (HANDLE, cycle, _)) \
    F(S, percent_of_nodes, INT, LOOP, KL_SIG_OPTIONAL, (CALL, c, _))

#endif
