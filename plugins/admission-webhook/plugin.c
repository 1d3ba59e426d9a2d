/* plugin.c - admission-webhook: servers outside that change or refuse what is written. */
#include "webhook.h"

static const struct kl_provider provides[] = {
    { KL_ADMISSION_0, "mutating-webhook", 0, &mutating_webhook },
    { KL_ADMISSION_0, "validating-webhook", 0, &validating_webhook },
    { KL_CONTROLLER_0, "webhook-configurations", 0, &webhook_controller },
};
static const struct kl_need needs[] = { { KL_HOST_OBJECTS_0, 0 }, { KL_HOST_ENV_0, 0 }, { KL_HOST_PLUGINS_0, 0 }, { KL_HOST_HTTP_0, 0 },
                                         { KL_HOST_CEL_0, 0 }, { KL_HOST_VERSIONS_0, 0 } };

KL_PLUGIN_DEFINE("dev.keelson.admission-webhook", "0.1.0",
                 "keelson.admission/0:mutating-webhook keelson.admission/0:validating-webhook keelson.controller/0:webhook-configurations",
                 KL_HOST_OBJECTS_0 " " KL_HOST_ENV_0 " " KL_HOST_PLUGINS_0 " " KL_HOST_HTTP_0 " " KL_HOST_CEL_0 " " KL_HOST_VERSIONS_0,
                 .summary = "admission webhooks", .license = "Apache-2.0", .needs = KL_ARRAY_OF(needs), .providers = KL_ARRAY_OF(provides));
