/* slices.h - EndpointSlices of one Service: which endpoints are wanted, and the fewest writes that get there. */
#ifndef CORE_SLICES_H
#define CORE_SLICES_H

#include "base/map.h"
#include "core.h"
#include "crowd.h"

#define SLICE_MOST   100                /* endpoints in one slice */
#define SERVICE_NAME "kubernetes.io/service-name"
#define MANAGED_BY   "endpointslice.kubernetes.io/managed-by"
#define HEADLESS     "service.kubernetes.io/headless"
#define TRIGGER_TIME "endpoints.kubernetes.io/last-change-trigger-time"

/* Endpoints of one address family and one set of ports. */
struct slice_group {
    const char *family;                 /* "IPv4" */
    struct val *ports;                  /* EndpointPort[] */
    const char *key;                    /* text of the ports in an order of its own */
    struct val **at;                    /* Endpoint[] */
    bool *placed;
    uint32_t n, cap;
    struct map ids;                     /* of an endpoint: its place in at, from 1 */
};

struct slice_plan {
    struct ctl_run *r;
    struct val *owner;                  /* whose reference the slices carry */
    struct str ns, service;
    struct val *labels, *annotations;   /* that every slice shall have; annotations may be NULL */
    struct str trigger;                 /* when what is new came to be; len 0: what is written has no such time */
    bool placeholder;                   /* an empty slice when there are no endpoints */
    /* May be NULL. Does an endpoint stay that is not among the wanted ones? And each slice that is left: old NULL is new, now NULL is gone. */
    bool (*stays)(void *ctx, const struct val *endpoint);
    void (*left)(void *ctx, const struct slice_group *g, const struct val *old, const struct val *now);
    void *ctx;
    struct slice_group groups[32];
    unsigned n_groups;
};

const char *ports_key(struct arena *a, const struct val *ports);
/* Takes endpoint. False: out of memory, or more kinds of port sets than a Service can have here. */
bool slices_want(struct slice_plan *p, const char *family, struct val *ports, struct val *endpoint);
/* What is planned is not to be done. */
void slices_drop(struct slice_plan *p);
/* existing: every slice of this manager and Service, or (with stays) those that may change. Frees the plan's maps. */
int slices_write(struct slice_plan *p, const struct ctl_list *existing);

/* endpoint.c: what a pod is to a Service */
bool pod_serves(const struct val *pod);                         /* has an address and is not finished */
struct val *pod_ports(struct arena *a, const struct val *service, const struct val *pod);       /* EndpointPort[] of a slice */
struct val *pod_endpoint(struct ctl_run *r, const struct val *service, const struct val *pod, struct str address, struct str zone);
void endpoint_hint(struct arena *a, struct val *endpoint, const char *list, struct str name);   /* the one hint of that list, forZones or forNodes */
const char *address_family(struct str address);
/* Services that select the pod, when something of it changed that matters to endpoints; what is kept of these is told. */
int keys_of_pod(struct ctl_run *r, struct str old, struct str obj, struct buf *keys);
/* Is it up to the controllers to find the Service's endpoints? */
bool service_selects(const struct val *service);
int service_pods(struct ctl_run *r, const struct val *service, struct ctl_list *ret);
/* Labels of the Service for what is made from it, without those with a meaning of their own. */
struct val *service_labels(struct arena *a, const struct val *service);
bool service_headless(const struct val *service);
/* topology.c: hints by the CPUs of zones, for Services that ask for them by an annotation */
bool topology_auto(const struct val *service);
int topology_hints(struct slice_plan *p, const struct ctl_list *existing);
/* What is kept of a pod of a Service. */
struct endpoint_pod {
    struct crowd_pod pod;
    int64_t ready_at;                   /* when it last became ready or not */
};
/* trigger.c: of each pod that is looked at; *earliest begins as 0. */
void trigger_look(struct endpoint_pod *known, const struct val *pod, int64_t *earliest);
/* When the earliest change came to be. STR_NONE: nothing has changed that has a time. */
struct str trigger_time(struct ctl_run *r, const struct val *service, const struct crowd *c, int64_t earliest);

#endif
