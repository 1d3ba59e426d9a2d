/* plugin.c - controller-core: what every cluster needs beside its workloads. */
#include <keelson/plugin.h>

#include "core.h"

#define PROVIDER(ID, NAME) { KL_CONTROLLER_0, NAME, 0, &ID##_controller },
static const struct kl_provider provides[] = { CORE_CONTROLLERS(PROVIDER) };

static const struct kl_need needs[] = { { KL_HOST_ENV_0, 0 }, { KL_HOST_OBJECTS_0, 0 }, { KL_HOST_QUEUE_0, 0 } };

#define FIELD(NAME, TYPE, ...) { .key = #NAME, .type = TYPE, .offset = offsetof(struct core_conf, NAME), __VA_ARGS__ }
static const struct kl_conf_field conf[] = {
    FIELD(ca, KL_CONF_STR, .flags = KL_CONF_REQUIRED, .doc = "file with the certificate that pods check the API server with"),
    FIELD(cluster_cidr, KL_CONF_STR, .doc = "pod addresses, of which each node gets a block; empty: none"),
    FIELD(api_address, KL_CONF_STR, .doc = "address that the API listens on, for the Service 'kubernetes'"),
    FIELD(api_port, KL_CONF_STR, .doc = "and its port"),
    FIELD(node_mask, KL_CONF_INT, .fallback = "24", .min = 8, .max = 30, .doc = "prefix length of a node's block"),
    FIELD(event_ttl, KL_CONF_DURATION, .fallback = "1h", .min = NS_S, .max = INT64_MAX, .doc = "how long an Event is kept"),
    FIELD(node_grace, KL_CONF_DURATION, .fallback = "50s", .min = NS_S, .max = INT64_MAX, .doc = "silence after which a node counts as unreachable"),
    FIELD(terminated_pods, KL_CONF_INT, .fallback = "12500", .min = 0, .max = INT32_MAX, .doc = "finished pods that are kept"),
};

/* The note's list, from the same table, with spaces between. */
#define NOTED(ID, NAME) KL_CONTROLLER_0 ":" NAME
#define NOTED_BEHIND(ID, NAME) " " NOTED(ID, NAME)
KL_PLUGIN_DEFINE("dev.keelson.controller-core", "0.1.0", CORE_FIRST(NOTED) CORE_MORE(NOTED_BEHIND),
                 "keelson.host.env/0 keelson.host.objects/0 keelson.host.queue/0",
                 .summary = "namespaces, endpoints, garbage, accounts, nodes", .license = "Apache-2.0", .needs = KL_ARRAY_OF(needs),
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(conf), .conf_size = sizeof(struct core_conf));
