/* plugin.c - controller-workloads: what keeps pods at the number and template that were asked for. */
#include <keelson/plugin.h>

#include "workloads.h"

#define PROVIDER(ID, NAME) { KL_CONTROLLER_0, NAME, 0, &ID##_controller },
static const struct kl_provider provides[] = { WORKLOADS(PROVIDER) };

static const struct kl_need needs[] = { { KL_HOST_ENV_0, 0 }, { KL_HOST_OBJECTS_0, 0 }, { KL_HOST_QUEUE_0, 0 } };

/* The note's list, from the same table, with spaces between. */
#define NOTED(ID, NAME) KL_CONTROLLER_0 ":" NAME
#define NOTED_BEHIND(ID, NAME) " " NOTED(ID, NAME)
KL_PLUGIN_DEFINE("dev.keelson.controller-workloads", "0.1.0", WORKLOADS_FIRST(NOTED) WORKLOADS_MORE(NOTED_BEHIND),
                 "keelson.host.env/0 keelson.host.objects/0 keelson.host.queue/0", .summary = "ReplicaSets, Deployments, Jobs and their kin",
                 .license = "Apache-2.0", .needs = KL_ARRAY_OF(needs), .providers = KL_ARRAY_OF(provides));
