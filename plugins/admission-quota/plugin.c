/* plugin.c - admission-quota: the descriptor. */
#include "quota.h"

static const struct kl_provider provides[] = {
    { KL_ADMISSION_0, "limit-ranger", 0, &limits_admission },
    { KL_ADMISSION_0, "resource-quota", 0, &quota_admission },
    { KL_CONTROLLER_0, "resourcequota", 0, &quota_controller },
};
static const struct kl_need needs[] = { { KL_HOST_OBJECTS_0, 0 }, { KL_HOST_ENV_0, 0 }, { KL_HOST_QUEUE_0, 0 }, { KL_HOST_PLUGINS_0, 0 } };

static const struct kl_conf_field conf[] = {
    { .key = "limited_resources", .type = KL_CONF_GROUPS, .offset = offsetof(struct quota_conf, limited),
      .doc = "groups of api_group, resource, match_contains and match_scopes (scope, operator, values): what needs a quota that covers it" },
};

KL_PLUGIN_DEFINE("dev.keelson.admission-quota", "0.1.0", "keelson.admission/0:limit-ranger keelson.admission/0:resource-quota keelson.controller/0:resourcequota",
                 "keelson.host.objects/0 keelson.host.env/0 keelson.host.queue/0 keelson.host.plugins/0", .summary = "LimitRange and ResourceQuota",
                 .license = "Apache-2.0", .needs = KL_ARRAY_OF(needs), .providers = KL_ARRAY_OF(provides),
                 .conf = KL_ARRAY_OF(conf), .conf_size = sizeof(struct quota_conf));
