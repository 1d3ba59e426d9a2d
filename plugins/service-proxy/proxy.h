/* proxy.h - what the two files of service-proxy share. */
#ifndef SERVICE_PROXY_H
#define SERVICE_PROXY_H

#include <keelson/iface/controller.h>
#include <keelson/iface/proxy.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/map.h"

struct conf {
    const char *node, *proxy, *cluster_cidr;
    int64_t min_interval;
};

/* The wanted state as iface/proxy.h has it, from lists of Services and EndpointSlices and (may be NULL) the Node. */
struct val *state_build(struct arena *a, const struct conf *conf, const struct kl_object_list *services, const struct kl_object_list *slices,
                        const struct val *node, struct kl_err *err);

#endif
