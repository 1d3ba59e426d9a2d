/* plugin.c - controller-core: what every cluster needs beside its workloads. */
#include <keelson/plugin.h>

#include "core.h"

#define PROVIDER(ID) { KL_CONTROLLER_0, #ID, 0, &ID##_controller },
static const struct kl_provider provides[] = { CORE_CONTROLLERS(PROVIDER) };

static const struct kl_need needs[] = { { KL_HOST_ENV_0, 0 }, { KL_HOST_OBJECTS_0, 0 }, { KL_HOST_QUEUE_0, 0 } };

KL_PLUGIN_DEFINE("dev.keelson.controller-core", "0.1.0",
                 "keelson.controller/0:endpointslice keelson.controller/0:endpoints keelson.controller/0:endpointslicemirroring",
                 "keelson.host.env/0 keelson.host.objects/0 keelson.host.queue/0",
                 .summary = "namespaces, endpoints, garbage, accounts, nodes", .license = "Apache-2.0", .needs = KL_ARRAY_OF(needs),
                 .providers = KL_ARRAY_OF(provides));
