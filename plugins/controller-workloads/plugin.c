/* plugin.c - controller-workloads: what keeps pods at the number and template that were asked for. */
#include <keelson/plugin.h>

#include "workloads.h"

#define CONTROLLERS(X) X(replicaset) X(replicationcontroller) X(deployment)

#define PROVIDER(ID) { KL_CONTROLLER_0, #ID, 0, &ID##_controller },
static const struct kl_provider provides[] = { CONTROLLERS(PROVIDER) };

static const struct kl_need needs[] = { { KL_HOST_ENV_0, 0 }, { KL_HOST_OBJECTS_0, 0 }, { KL_HOST_QUEUE_0, 0 } };

KL_PLUGIN_DEFINE("dev.keelson.controller-workloads", "0.1.0",
                 "keelson.controller/0:replicaset keelson.controller/0:replicationcontroller keelson.controller/0:deployment",
                 "keelson.host.env/0 keelson.host.objects/0 keelson.host.queue/0", .summary = "ReplicaSets, Deployments and their kin",
                 .license = "Apache-2.0", .needs = KL_ARRAY_OF(needs), .providers = KL_ARRAY_OF(provides));
