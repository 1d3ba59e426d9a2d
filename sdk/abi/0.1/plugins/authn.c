/* authn.c - as of release 0.1: one user, known by one token. The token stands in a file that only root reads (KL_CONF_SECRET). */
#include <keelson/iface/auth.h>

struct conf {
    const char *token, *user;
};

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    const struct conf *x = conf;
    (void)h;
    if (strlen(x->token) < 16)
        return kl_fail(c, KL_INVALID, "the token must have 16 characters at least");
    *self = (void *)conf;               /* valid until close: there is nothing else to keep */
    return 0;
}

/* Takes as long for every token of that length. */
static int same(const char *a, const char *b)
{
    size_t n = strlen(a), differs = n ^ strlen(b);
    for (size_t i = 0; i < n && b[0] && differs == 0; i++)
        differs |= (size_t)(unsigned char)(a[i] ^ b[i]) << 8;
    return differs == 0;
}

/* 1: this is who asks; 0: none of ours; < 0: bad credentials. */
static int authenticate(void *self, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret)
{
    static const char *const groups[] = { "system:authenticated", NULL };
    const struct conf *conf = self;
    (void)c;
    if (!cred->bearer || !same(conf->token, cred->bearer))
        return 0;
    ret->name = conf->user;
    ret->uid = "";
    ret->groups = groups;
    return 1;
}

static const struct kl_authn table = { .size = sizeof table, .life = { .open = open_ }, .authenticate = authenticate };
static const struct kl_provider provides[] = { { KL_AUTHN_0, "old-authn", 0, &table } };
static const struct kl_conf_field fields[] = {
    { .key = "token", .type = KL_CONF_SECRET, .offset = offsetof(struct conf, token), .flags = KL_CONF_REQUIRED, .doc = "file that holds the token" },
    { .key = "user", .type = KL_CONF_STR, .offset = offsetof(struct conf, user), .fallback = "operator", .doc = "who that is" },
};

KL_PLUGIN_DEFINE("org.example.old-authn", "0.1.0", "keelson.authn/0:old-authn", "", .summary = "one user by one token", .license = "Apache-2.0",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
