/* authz.c - as of release 0.1: one group may read everything. What it has no opinion about is the next one's of the chain. */
#include <keelson/iface/auth.h>

struct conf {
    const char *group;
};

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)h;
    (void)c;
    *self = (void *)conf;
    return 0;
}

static int in_group(const struct kl_user *user, const char *group)
{
    for (const char *const *g = user->groups; g && *g; g++)
        if (strcmp(*g, group) == 0)
            return 1;
    return 0;
}

/* 1 yes, 0 no opinion, < 0 no. */
static int authorize(void *self, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    const struct conf *conf = self;
    int reads = strcmp(r->verb, "get") == 0 || strcmp(r->verb, "list") == 0 || strcmp(r->verb, "watch") == 0;
    (void)c;
    return reads && in_group(user, conf->group);
}

/* The same as `kubectl auth can-i --list` shows it. */
static int rules(void *self, struct kl_call *c, const struct kl_user *user, const char *ns, struct kl_bytes *ret)
{
    static const char none[] = "{\"resourceRules\":[],\"nonResourceRules\":[]}";
    static const char all[] = "{\"resourceRules\":[{\"verbs\":[\"get\",\"list\",\"watch\"],\"apiGroups\":[\"*\"],\"resources\":[\"*\"]}],\"nonResourceRules\":[]}";
    const char *text = in_group(user, ((const struct conf *)self)->group) ? all : none;
    (void)ns;
    *ret = (struct kl_bytes){ kl_dup(c, text, strlen(text)), strlen(text) };
    return ret->at ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static const struct kl_authz table = { .size = sizeof table, .life = { .open = open_ }, .authorize = authorize, .rules = rules };
static const struct kl_provider provides[] = { { KL_AUTHZ_0, "old-authz", 0, &table } };
static const struct kl_conf_field fields[] = {
    { .key = "group", .type = KL_CONF_STR, .offset = offsetof(struct conf, group), .fallback = "auditors", .doc = "who may read" },
};

KL_PLUGIN_DEFINE("org.example.old-authz", "0.1.0", "keelson.authz/0:old-authz", "", .summary = "one group may read", .license = "Apache-2.0",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
