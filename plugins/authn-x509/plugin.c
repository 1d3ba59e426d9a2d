/* plugin.c - authn-x509: who a verified client certificate names. The common name is the user, organizations are the groups; subject.c: the uid;
 * known.c: that, and by which name the certificate itself is known. */
#include <keelson/iface/auth.h>

#include <string.h>

#include "base/mem.h"
#include "known.h"

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)h;
    (void)conf;
    *self = mem_alloc(sizeof(struct known_all));
    return *self ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static void close_it(void *self)
{
    known_free(self);
    mem_free(self);
}

static const char *const *groups_of(struct kl_call *c, const struct kl_credentials *cred)
{
    uint32_t n = 0;
    while (cred->cert_orgs && cred->cert_orgs[n])
        n++;
    const char **groups = kl_alloc(c, (n + 2) * sizeof *groups);
    if (!groups)
        return NULL;
    for (uint32_t i = 0; i < n; i++)
        groups[i] = cred->cert_orgs[i];
    groups[n] = "system:authenticated";
    return groups;
}

static const char *const *extra_of(struct kl_call *c, const char *id)
{
    const char **extra = kl_alloc(c, 3 * sizeof *extra);
    if (!extra)
        return NULL;
    extra[0] = "authentication.kubernetes.io/credential-id";
    extra[1] = kl_dup(c, id, strlen(id));
    return extra[1] ? extra : NULL;
}

static int authenticate(void *self, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret)
{
    if (!cred->cert_cn || !cred->cert_cn[0])
        return 0;
    const struct known *k = known_of(self, cred->cert_der.at, cred->cert_der.len);
    if (k && k->why)
        return kl_fail(c, KL_UNAUTHORIZED, "client certificate: %s", k->why);
    const char *const *groups = groups_of(c, cred), *const *extra = k ? extra_of(c, k->id) : NULL;
    const char *uid = !k || !k->uid[0] ? "" : kl_dup(c, k->uid, strlen(k->uid));
    if (!groups || !extra || !uid)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    *ret = (struct kl_user){ .size = sizeof *ret, .name = cred->cert_cn, .uid = uid, .groups = groups, .extra = extra };
    return 1;
}

static const struct kl_authn table = { .size = sizeof table, .life = { .open = open_, .close = close_it }, .authenticate = authenticate };
static const struct kl_provider provides[] = { { KL_AUTHN_0, "x509", 0, &table } };

KL_PLUGIN_DEFINE("dev.keelson.authn-x509", "0.1.0", "keelson.authn/0:x509", "", .summary = "users by client certificate",
                 .license = "Apache-2.0", .providers = KL_ARRAY_OF(provides));
