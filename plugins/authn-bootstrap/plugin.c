/* plugin.c - authn-bootstrap: machines that join, by the Secrets that say they may. */
#include <keelson/iface/auth.h>

#include "base/cleanup.h"
#include "token.h"

struct self {
    const struct kl_host *host;
    const struct kl_host_objects *objects;
    const struct kl_host_env *env;
};

static int open_(const struct kl_host *h, const void *conf, void **ret, struct kl_call *c)
{
    struct self *s = mem_alloc(sizeof *s);
    (void)conf;
    if (!s)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    *s = (struct self){ h, h->service(h, KL_HOST_OBJECTS_0), h->service(h, KL_HOST_ENV_0) };
    *ret = s;
    return 0;
}

static void close_(void *self)
{
    mem_free(self);
}

static int fill(struct kl_call *c, struct str id, const char *const *groups, struct kl_user *ret)
{
    static const char head[] = "system:bootstrap:";
    unsigned n = 0;
    while (groups[n])
        n++;
    char *name = kl_alloc(c, sizeof head + id.len);
    const char **mine = kl_alloc(c, (n + 1) * sizeof *mine);
    if (!name || !mine)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    snprintf(name, sizeof head + id.len, "%s" STR_FMT, head, STR_ARG(id));
    for (unsigned i = 0; i < n; i++)
        if (!(mine[i] = kl_dup(c, groups[i], strlen(groups[i]))))
            return kl_fail(c, KL_NO_MEMORY, "out of memory");
    *ret = (struct kl_user){ .size = sizeof *ret, .name = name, .uid = "", .groups = mine };
    return 1;
}

static int authenticate(void *self, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret)
{
    const struct self *s = self;
    struct str id, key;
    if (!cred->bearer || !token_split(str_of(cred->bearer), &id, &key))
        return 0;
    _cleanup_arena_ struct arena *a = arena_new(8 << 20);
    char name[40];
    snprintf(name, sizeof name, "bootstrap-token-" STR_FMT, STR_ARG(id));
    struct kl_object_key k = { .size = sizeof k, .resource = "/secrets", .ns = "kube-system", .name = name };
    struct kl_bytes text;
    if (!a || s->objects->get(s->host, c, &k, &text) < 0)
        return 0;
    struct val *secret = json_parse(a, str_n(text.at, text.len), NULL);
    const char *const *groups = secret ? token_groups(a, secret, id, key, s->env->wall_ns(s->host)) : NULL;
    return groups ? fill(c, id, groups, ret) : 0;
}

static const struct kl_authn table = { .size = sizeof table, .life = { .open = open_, .close = close_ }, .authenticate = authenticate };
static const struct kl_provider provides[] = { { KL_AUTHN_0, "bootstrap", 0, &table } };
static const struct kl_need needs[] = { { KL_HOST_OBJECTS_0, false }, { KL_HOST_ENV_0, false } };

KL_PLUGIN_DEFINE("dev.keelson.authn-bootstrap", "0.1.0", "keelson.authn/0:bootstrap", "keelson.host.objects/0 keelson.host.env/0",
                 .summary = "joining machines by bootstrap tokens", .license = "Apache-2.0", .providers = KL_ARRAY_OF(provides),
                 .needs = KL_ARRAY_OF(needs));
