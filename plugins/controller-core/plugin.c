/* plugin.c - controller-core: what every cluster needs beside its workloads. */
#include <keelson/plugin.h>

#include "core.h"

#define PROVIDER(ID, NAME) { KL_CONTROLLER_0, NAME, 0, &ID##_controller },
static const struct kl_provider provides[] = { CORE_CONTROLLERS(PROVIDER) };

static const struct kl_need needs[] = { { KL_HOST_ENV_0, 0 }, { KL_HOST_OBJECTS_0, 0 }, { KL_HOST_QUEUE_0, 0 } };

#define FIELD(NAME, TYPE, ...) { .key = #NAME, .type = TYPE, .offset = offsetof(struct core_conf, NAME), __VA_ARGS__ }
static const struct kl_conf_field conf[] = {
    FIELD(ca, KL_CONF_STR, .flags = KL_CONF_REQUIRED, .doc = "file with the certificate that pods check the API server with"),
};

/* The note's list, from the same table, with spaces between. */
#define NOTED(ID, NAME) KL_CONTROLLER_0 ":" NAME
#define NOTED_BEHIND(ID, NAME) " " NOTED(ID, NAME)
KL_PLUGIN_DEFINE("dev.keelson.controller-core", "0.1.0", CORE_FIRST(NOTED) CORE_MORE(NOTED_BEHIND),
                 "keelson.host.env/0 keelson.host.objects/0 keelson.host.queue/0",
                 .summary = "namespaces, endpoints, garbage, accounts, nodes", .license = "Apache-2.0", .needs = KL_ARRAY_OF(needs),
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(conf), .conf_size = sizeof(struct core_conf));
