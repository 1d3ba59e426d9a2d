/* plugin.c - auth-webhook: decisions of servers elsewhere. */
#include "webhook.h"

static const struct kl_provider provides[] = {
    { KL_AUTHN_0, "webhook", 0, &webhook_authn },
    { KL_AUTHZ_0, "configured", 20, &webhook_authz },
};
static const struct kl_need needs[] = { { KL_HOST_ENV_0, false }, { KL_HOST_HTTP_0, false }, { KL_HOST_PLUGINS_0, false }, { KL_HOST_CEL_0, false } };
static const struct kl_conf_field fields[] = {
    { .key = "kubeconfig", .type = KL_CONF_STR, .offset = offsetof(struct conf, kubeconfig), .doc = "authn: file in kubectl's format that says whom to ask about tokens" },
    { .key = "version", .type = KL_CONF_ENUM, .offset = offsetof(struct conf, version), .fallback = "v1", .choices = "v1|v1beta1", .doc = "authn: of the TokenReview" },
    { .key = "issuer", .type = KL_CONF_STR, .offset = offsetof(struct conf, issuer), .fallback = "https://kubernetes.default.svc.cluster.local",
      .doc = "authn: the audience that tokens for this server are for" },
    { .key = "cache_ttl", .type = KL_CONF_DURATION, .offset = offsetof(struct conf, cache_ttl_ns), .fallback = "2m", .doc = "authn: how long an answer counts" },
    { .key = "timeout", .type = KL_CONF_DURATION, .offset = offsetof(struct conf, timeout_ns), .fallback = "30s", .doc = "authn: how long an answer may take" },
    { .key = "file", .type = KL_CONF_STR, .offset = offsetof(struct conf, file), .flags = KL_CONF_FILE,
      .doc = "authz: YAML of the kind AuthorizationConfiguration (apiserver.config.k8s.io/v1)" },
};

KL_PLUGIN_DEFINE("dev.keelson.auth-webhook", "0.1.0", "keelson.authn/0:webhook keelson.authz/0:configured",
                 "keelson.host.env/0 keelson.host.http/0 keelson.host.plugins/0 keelson.host.cel/0", .summary = "who asks and what they may, by servers elsewhere",
                 .license = "Apache-2.0", .providers = KL_ARRAY_OF(provides), .needs = KL_ARRAY_OF(needs), .conf = KL_ARRAY_OF(fields),
                 .conf_size = sizeof(struct conf));
