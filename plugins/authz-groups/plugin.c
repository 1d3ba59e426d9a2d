/* plugin.c - authz-groups: the members of one group may do everything, everybody may ask for health and version, whoever is known may ask
 * what is served. All else is left to others in the chain. */
#include <keelson/iface/auth.h>

#include <stdio.h>

struct conf {
    const char *admins;
};

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)h;
    (void)c;
    *self = (void *)conf;
    return 0;
}

static int in_group(const struct kl_user *u, const char *group)
{
    for (const char *const *g = u->groups; g && *g; g++)
        if (strcmp(*g, group) == 0)
            return 1;
    return 0;
}

static int below(const char *path, const char *head)
{
    size_t n = strlen(head);
    return strncmp(path, head, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* In the words of the binding that says the same in every cluster that begins. */
static int allow(struct kl_call *c, const char *role, int known)
{
    snprintf(c->err.msg, sizeof c->err.msg, "RBAC: allowed by ClusterRoleBinding \"%s\" of ClusterRole \"%s\" to Group \"system:%s\"", role, role,
             known ? "authenticated" : "unauthenticated");
    return 1;
}

static int authorize(void *self, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    static const char *const open_paths[] = { "/healthz", "/livez", "/readyz", "/version", "/version/" };
    static const char *const known_paths[] = { "/api", "/apis", "/openapi" };
    const struct conf *conf = self;
    if (in_group(user, conf->admins))
        return 1;
    int known = in_group(user, "system:authenticated");
    if (r->is_resource || strcmp(r->verb, "get") != 0)
        return r->is_resource && known && strcmp(r->resource, "selfsubjectreviews") == 0 ? allow(c, "system:basic-user", 1) : 0;
    for (int i = 0; i < 5; i++)
        if (strcmp(r->path, open_paths[i]) == 0)
            return known || in_group(user, "system:unauthenticated") ? allow(c, "system:public-info-viewer", known) : 0;
    for (int i = 0; i < 3; i++)
        if (known && below(r->path, known_paths[i]))
            return allow(c, "system:discovery", 1);
    return 0;
}

/* What is listed are the same three sentences, as rules; in the words of the roles that every cluster begins with, so that they are listed once. */
static int rules(void *self, struct kl_call *c, const struct kl_user *user, const char *ns, struct kl_bytes *ret)
{
    static const char everything[] = "{\"resourceRules\":[{\"verbs\":[\"*\"],\"apiGroups\":[\"*\"],\"resources\":[\"*\"]}],"
                                     "\"nonResourceRules\":[{\"verbs\":[\"*\"],\"nonResourceURLs\":[\"*\"]}]}";
    static const char known[] = "{\"resourceRules\":[{\"verbs\":[\"create\"],\"apiGroups\":[\"authentication.k8s.io\"],\"resources\":"
                                "[\"selfsubjectreviews\"]}],\"nonResourceRules\":[{\"verbs\":[\"get\"],\"nonResourceURLs\":[\"/api\",\"/api/*\","
                                "\"/apis\",\"/apis/*\",\"/healthz\",\"/livez\",\"/openapi\",\"/openapi/*\",\"/readyz\",\"/version\",\"/version/\"]}]}";
    const struct conf *conf = self;
    const char *text = in_group(user, conf->admins) ? everything : known;
    (void)ns;
    *ret = (struct kl_bytes){ kl_dup(c, text, strlen(text)), strlen(text) };
    return ret->at ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static const struct kl_authz table = { .size = sizeof table, .life = { .open = open_ }, .authorize = authorize, .rules = rules };
static const struct kl_provider provides[] = { { KL_AUTHZ_0, "groups", 0, &table } };
static const struct kl_conf_field fields[] = {
    { .key = "admins", .type = KL_CONF_STR, .offset = offsetof(struct conf, admins), .fallback = "system:masters",
      .doc = "group whose members may do everything" },
};

KL_PLUGIN_DEFINE("dev.keelson.authz-groups", "0.1.0", "keelson.authz/0:groups", "", .summary = "everything for one group",
                 .license = "Apache-2.0", .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
