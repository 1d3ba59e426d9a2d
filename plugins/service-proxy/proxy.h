/* proxy.h - what the files of service-proxy share. */
#ifndef SERVICE_PROXY_H
#define SERVICE_PROXY_H

#include <keelson/iface/controller.h>
#include <keelson/iface/proxy.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/map.h"

struct conf {
    const char *node, *proxy, *cluster_cidr;
    int64_t min_interval, check_period, sync_period;
};

#define SERVICE_NAME "kubernetes.io/service-name"
#define OTHER_PROXY  "service.kubernetes.io/service-proxy-name"
#define HEADLESS     "service.kubernetes.io/headless"

/* --- state.c --- */
struct slices {
    struct val *slice;
    struct slices *next;
};
/* One Service as iface/proxy.h has it; NULL: it has no address, or is another proxy's (or memory ran out: arena_exhausted). */
struct val *state_service(struct arena *a, const struct conf *conf, const struct val *svc, const struct slices *slices);
/* The whole state, from lists of Services and EndpointSlices and (may be NULL) the Node. */
struct val *state_build(struct arena *a, const struct conf *conf, const struct kl_object_list *services, const struct kl_object_list *slices,
                        const struct val *node, struct kl_err *err);
/* The InternalIPs of a Node, as an array. */
struct val *state_node_ips(struct arena *a, const struct val *node);

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
