/* plugin.c - authn-x509: who a verified client certificate names. The common name is the user, organizations are the groups; subject.c: the uid. */
#include <keelson/iface/auth.h>

#include <string.h>

#include "subject.h"

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)conf;
    (void)c;
    *self = (void *)h;
    return 0;
}

static int authenticate(void *self, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret)
{
    uint32_t n = 0;
    (void)self;
    if (!cred->cert_cn || !cred->cert_cn[0])
        return 0;
    while (cred->cert_orgs && cred->cert_orgs[n])
        n++;
    const char **groups = kl_alloc(c, (n + 2) * sizeof *groups);
    if (!groups)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    for (uint32_t i = 0; i < n; i++)
        groups[i] = cred->cert_orgs[i];
    groups[n] = "system:authenticated";
    char uid[SUBJECT_UID_MOST];
    const char *why, *kept = "";
    int rc = subject_uid(cred->cert_der.at, cred->cert_der.len, uid, &why);
    if (rc < 0)
        return kl_fail(c, KL_UNAUTHORIZED, "client certificate: %s", why);
    if (rc > 0 && !(kept = kl_dup(c, uid, strlen(uid))))
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    *ret = (struct kl_user){ .size = sizeof *ret, .name = cred->cert_cn, .uid = kept, .groups = groups };
    return 1;
}

static const struct kl_authn table = { .size = sizeof table, .life = { .open = open_ }, .authenticate = authenticate };
static const struct kl_provider provides[] = { { KL_AUTHN_0, "x509", 0, &table } };

KL_PLUGIN_DEFINE("dev.keelson.authn-x509", "0.1.0", "keelson.authn/0:x509", "", .summary = "users by client certificate",
                 .license = "Apache-2.0", .providers = KL_ARRAY_OF(provides));
