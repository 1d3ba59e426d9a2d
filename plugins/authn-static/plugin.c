/* plugin.c - authn-static: who has which token stands in a file. */
#include <keelson/iface/auth.h>

#include "base/cleanup.h"
#include "table.h"

struct conf {
    const char *file;                   /* its text */
};

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    const struct conf *f = conf;
    struct table *t = mem_alloc(sizeof *t);
    (void)h;
    if (!t)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    int rc = table_read(t, str_of(f->file ? f->file : ""), &c->err);
    if (rc < 0) {
        table_free(t);
        mem_free(t);
        return kl_err_wrap(&c->err, "file");
    }
    *self = t;
    return 0;
}

static void close_(void *self)
{
    table_free(self);
    mem_free(self);
}

static int authenticate(void *self, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret)
{
    const struct table *t = self;
    const struct entry *e = cred->bearer && *cred->bearer ? map_get(&t->by_token, str_of(cred->bearer)) : NULL;
    (void)c;
    if (!e)
        return 0;
    *ret = (struct kl_user){ .size = sizeof *ret, .name = e->user, .uid = e->uid, .groups = e->groups };
    return 1;
}

static const struct kl_authn table = { .size = sizeof table, .life = { .open = open_, .close = close_ }, .authenticate = authenticate };
static const struct kl_provider provides[] = { { KL_AUTHN_0, "static", 0, &table } };
static const struct kl_conf_field fields[] = {
    { .key = "file", .type = KL_CONF_SECRET, .offset = offsetof(struct conf, file), .flags = KL_CONF_REQUIRED,
      .doc = "lines of token, user name, uid and groups" },
};

KL_PLUGIN_DEFINE("dev.keelson.authn-static", "0.1.0", "keelson.authn/0:static", "", .summary = "users by tokens in a file", .license = "Apache-2.0",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
