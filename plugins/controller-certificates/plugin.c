/* plugin.c - controller-certificates: the descriptor. */
#include "certificates.h"

#define CONTROLLER(ID, NAME) { KL_CONTROLLER_0, NAME, 0, &ID##_controller },
#define ADMISSION(ID, NAME) { KL_ADMISSION_0, NAME, 0, &ID##_admission },
static const struct kl_provider provides[] = { CERT_CONTROLLERS(CONTROLLER) CERT_ADMISSIONS(ADMISSION) };

static const struct kl_need needs[] = { { KL_HOST_ENV_0, 0 }, { KL_HOST_OBJECTS_0, 0 }, { KL_HOST_QUEUE_0, 0 }, { KL_HOST_AUTHZ_0, 0 } };

#define FIELD(NAME, TYPE, ...) { .key = #NAME, .type = TYPE, .offset = offsetof(struct cert_conf, NAME), __VA_ARGS__ }
static const struct kl_conf_field conf[] = {
    FIELD(ca_cert, KL_CONF_STR, .flags = KL_CONF_REQUIRED, .doc = "file with the CA's certificate that requests are signed with"),
    FIELD(ca_key, KL_CONF_STR, .flags = KL_CONF_REQUIRED, .doc = "file with its key"),
    FIELD(token_key, KL_CONF_STR, .fallback = "", .doc = "file with the key that tokens of service accounts are signed with, for Secrets that ask for one"),
    FIELD(duration, KL_CONF_DURATION, .fallback = "8760h", .min = 10 * NS_S, .max = INT64_MAX, .doc = "how long a certificate lasts at most"),
    FIELD(approve_serving, KL_CONF_BOOL, .fallback = "false", .doc = "approve what a node asks for its own name and addresses (kubelet-serving)"),
};

/* The note's list, from the same tables; each but the first with a space in front. */
#define NOTED(ID, NAME) KL_CONTROLLER_0 ":" NAME
#define NOTED_C(ID, NAME) " " NOTED(ID, NAME)
#define NOTED_A(ID, NAME) " " KL_ADMISSION_0 ":" NAME
KL_PLUGIN_DEFINE("dev.keelson.controller-certificates", "0.1.0", CERT_FIRST(NOTED) CERT_MORE(NOTED_C) CERT_ADMISSIONS(NOTED_A),
                 "keelson.host.env/0 keelson.host.objects/0 keelson.host.queue/0 keelson.host.authz/0", .summary = "certificate requests and bootstrap tokens",
                 .license = "Apache-2.0", .needs = KL_ARRAY_OF(needs), .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(conf),
                 .conf_size = sizeof(struct cert_conf));
