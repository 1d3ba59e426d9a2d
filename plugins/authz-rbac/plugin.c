/* plugin.c - authz-rbac: role based access control. */
#include "rbac.h"

static const struct kl_provider provides[] = {
    { KL_AUTHZ_0, "rbac", 10, &rbac_authz },
    { KL_CONTROLLER_0, "rbac", 0, &rbac_controller },
    { KL_ADMISSION_0, "rbac-escalation", 0, &rbac_admission },
};
static const struct kl_need needs[] = { { KL_HOST_OBJECTS_0, 0 }, { KL_HOST_PLUGINS_0, 0 } };

KL_PLUGIN_DEFINE("dev.keelson.authz-rbac", "0.1.0", "keelson.authz/0:rbac keelson.controller/0:rbac keelson.admission/0:rbac-escalation",
                 KL_HOST_OBJECTS_0 " " KL_HOST_PLUGINS_0, .summary = "role based access control", .license = "Apache-2.0",
                 .needs = KL_ARRAY_OF(needs), .providers = KL_ARRAY_OF(provides));
