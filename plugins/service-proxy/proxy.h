/* proxy.h - what the files of service-proxy share. */
#ifndef SERVICE_PROXY_H
#define SERVICE_PROXY_H

#include <keelson/iface/controller.h>
#include <keelson/iface/proxy.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/map.h"
#include "health.h"

struct conf {
    const char *node, *proxy, *cluster_cidr;
    int64_t min_interval, check_period, sync_period;
    struct health_ports ports;
};

#define SERVICE_NAME "kubernetes.io/service-name"
#define OTHER_PROXY  "service.kubernetes.io/service-proxy-name"
#define HEADLESS     "service.kubernetes.io/headless"
#define ZONE         "topology.kubernetes.io/zone"

/* --- state.c --- */
struct slices {
    struct val *slice;
    struct slices *next;
};
/* This node, as Services see it. */
struct here {
    struct str node, zone;
    struct val *ips;                    /* its InternalIPs */
};
struct here state_here(struct arena *a, const char *name, const struct val *node);              /* node: may be NULL */
bool state_is_others(const struct val *v);      /* another proxy's, or nobody's though there is an address */
/* One Service as iface/proxy.h has it, and {"healthCheck":{"port","endpoints"}} where it has a port for that; NULL: it has no address, or is another
 * proxy's (or memory ran out: arena_exhausted). */
struct val *state_service(struct arena *a, const struct here *here, const struct val *svc, const struct slices *slices);
/* The whole state, from lists of Services and EndpointSlices. */
struct val *state_build(struct arena *a, const struct here *here, const char *cluster_cidr, const struct kl_object_list *services,
                        const struct kl_object_list *slices, struct kl_err *err);

/* --- endpoints.c --- */
/* Those of a port (as the proxy is told of it) that this node uses. some_local: the Service has policy Local for some of its traffic. */
void endpoints_add(struct arena *a, const struct here *here, const struct slices *slices, const struct val *port, bool some_local, struct val *out);
/* How many pods of this node are ready, over all those ports. */
int64_t endpoints_ready_here(struct arena *a, const struct here *here, const struct slices *slices, const struct val *ports);

/* --- changes.c: which Services changed, and the names of each one's slices. [any] --- */
struct changes;
struct changed {
    struct str ns, name;
    struct str *slices;                 /* names in ns */
    uint32_t n_slices;
    struct changed *next;
};
struct changes *changes_new(void);
void changes_free(struct changes *c);
/* False: out of memory; the caller lets the whole state be built. */
bool changes_note_service(struct changes *c, struct str ns, struct str name);
bool changes_note_slice(struct changes *c, struct str ns, struct str slice, struct str service, bool gone);
/* Takes what changed out, into the arena. False: out of memory; nothing was taken. */
bool changes_take(struct changes *c, struct arena *a, struct changed **ret);
void changes_drop(struct changes *c);   /* everything is looked at anyway */

#endif
