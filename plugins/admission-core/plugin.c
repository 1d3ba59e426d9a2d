/* plugin.c - admission-core: the descriptor. */
#include "core.h"

#define PROVIDER(ID, NAME) { KL_ADMISSION_0, NAME, 0, &ID##_admission },
static const struct kl_provider provides[] = { CORE_PROVIDERS(PROVIDER) };

static const struct kl_need needs[] = { { KL_HOST_OBJECTS_0, 0 }, { KL_HOST_ENV_0, 0 }, { KL_HOST_AUTHZ_0, 1 } };
static const struct kl_conf_field conf[] = { { .key = "node_selector", .type = KL_CONF_STR, .offset = offsetof(struct core_conf, node_selector),
                                               .doc = "pod-node-selector: labels (a=b,c=d) of the nodes for pods of namespaces that name none" } };

/* The note's list, from the same table, with spaces between. */
#define NOTED(ID, NAME) KL_ADMISSION_0 ":" NAME
#define NOTED_BEHIND(ID, NAME) " " NOTED(ID, NAME)
KL_PLUGIN_DEFINE("dev.keelson.admission-core", "0.1.0", CORE_FIRST(NOTED) CORE_MORE(NOTED_BEHIND), "keelson.host.objects/0 keelson.host.env/0 keelson.host.authz/0",
                 .summary = "what new objects are given, and what they must not be", .license = "Apache-2.0", .needs = KL_ARRAY_OF(needs),
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(conf), .conf_size = sizeof(struct core_conf));
