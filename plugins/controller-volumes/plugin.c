/* plugin.c - controller-volumes: the descriptor. */
#include "volumes.h"

#define PROVIDER(ID, NAME) { KL_CONTROLLER_0, NAME, 0, &ID##_controller },
static const struct kl_provider provides[] = { VOLUMES_CONTROLLERS(PROVIDER) };

static const struct kl_need needs[] = { { KL_HOST_ENV_0, 0 }, { KL_HOST_OBJECTS_0, 0 }, { KL_HOST_QUEUE_0, 0 }, { KL_HOST_PLUGINS_0, 0 } };

#define FIELD(NAME, TYPE, ...) { .key = #NAME, .type = TYPE, .offset = offsetof(struct volumes_conf, NAME), __VA_ARGS__ }
static const struct kl_conf_field conf[] = {
    FIELD(node, KL_CONF_STR, .doc = "the node that is preferred for local volumes that no pod waits for"),
    FIELD(default_class, KL_CONF_STR, .doc = "StorageClass that a new cluster begins with, marked as the default one; unset: none"),
    FIELD(default_provisioner, KL_CONF_STR, .fallback = "dir.keelson.dev", .doc = "its provisioner: an instance of keelson.volume"),
};

KL_PLUGIN_DEFINE("dev.keelson.controller-volumes", "0.1.0",
                 "keelson.controller/0:persistentvolume keelson.controller/0:volume-provisioner keelson.controller/0:ephemeral-volume "
                 "keelson.controller/0:storage-defaults",
                 "keelson.host.env/0 keelson.host.objects/0 keelson.host.queue/0 keelson.host.plugins/0", .summary = "claims and the volumes they are bound to",
                 .license = "Apache-2.0", .needs = KL_ARRAY_OF(needs), .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(conf),
                 .conf_size = sizeof(struct volumes_conf));
