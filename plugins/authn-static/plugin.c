/* plugin.c - authn-static: who has which token stands in a file. */
#include <keelson/iface/auth.h>
#include <stdatomic.h>

#include "base/cleanup.h"
#include "table.h"

#define FILE_MOST (32u << 20)

struct conf {
    const char *file;
};

struct tokens {
    struct table *now;                  /* the loop's */
    _Atomic(struct table *) next;       /* read anew, on a worker; NULL: nothing */
};

static void end_table(struct table *t)
{
    if (!t)
        return;
    table_free(t);
    mem_free(t);
}

static int load(const struct conf *f, struct table **ret, struct kl_call *c)
{
    _cleanup_buf_ struct buf b = BUF_INIT(FILE_MOST);
    _cleanup_file_ FILE *in = fopen(f->file, "re");
    struct table *t = in ? mem_alloc(sizeof *t) : NULL;
    char part[4096];
    if (!t)
        return in ? kl_fail(c, KL_NO_MEMORY, "out of memory") : kl_fail(c, KL_INVALID, "file: '%s' cannot be read", f->file);
    for (size_t n; (n = fread(part, 1, sizeof part, in)) > 0;)
        buf_add(&b, part, n);
    int rc = b.failed ? kl_fail(c, KL_INVALID, "larger than %u bytes", FILE_MOST) : table_read(t, b.len ? buf_str(&b) : STR(""), &c->err);
    explicit_bzero(part, sizeof part);
    if (b.len)
        explicit_bzero(b.at, b.len);
    if (rc < 0) {
        end_table(t);
        return kl_err_wrap(&c->err, "file");
    }
    *ret = t;
    return 0;
}

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct tokens *x = mem_alloc(sizeof *x);
    (void)h;
    if (!x)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    int rc = load(conf, &x->now, c);
    if (rc < 0) {
        mem_free(x);
        return rc;
    }
    *self = x;
    return 0;
}

static int reconfigure(void *self, const void *conf, struct kl_call *c)
{
    struct tokens *x = self;
    struct table *fresh;
    int rc = load(conf, &fresh, c);
    if (rc == 0)
        end_table(atomic_exchange(&x->next, fresh));
    return rc;
}

static void close_(void *self)
{
    struct tokens *x = self;
    end_table(x->next);
    end_table(x->now);
    mem_free(x);
}

/* A table that was read anew takes the place of the one before. */
static const struct table *current(struct tokens *x)
{
    struct table *next = atomic_load_explicit(&x->next, memory_order_relaxed) ? atomic_exchange(&x->next, NULL) : NULL;
    if (next) {
        end_table(x->now);
        x->now = next;
    }
    return x->now;
}

/* Into the call's arena: the table may go while the request is still there. */
static const char *const *copy_groups(struct kl_call *c, const char *const *list)
{
    unsigned n = 0;
    while (list[n])
        n++;
    const char **ret = kl_alloc(c, (n + 1) * sizeof *ret);
    for (unsigned i = 0; ret && i < n; i++)
        if (!(ret[i] = kl_dup(c, list[i], strlen(list[i]))))
            return NULL;
    return ret;
}

static int authenticate(void *self, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret)
{
    const struct table *t = cred->bearer && *cred->bearer ? current(self) : NULL;
    const struct entry *e = t ? map_get(&t->by_token, str_of(cred->bearer)) : NULL;
    if (!e)
        return 0;
    *ret = (struct kl_user){ .size = sizeof *ret, .name = kl_dup(c, e->user, strlen(e->user)), .uid = kl_dup(c, e->uid, strlen(e->uid)),
                             .groups = copy_groups(c, e->groups) };
    return ret->name && ret->uid && ret->groups ? 1 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static const struct kl_authn table = { .size = sizeof table, .life = { .open = open_, .reconfigure = reconfigure, .close = close_ }, .authenticate = authenticate };
static const struct kl_provider provides[] = { { KL_AUTHN_0, "static", 0, &table } };
static const struct kl_conf_field fields[] = {
    { .key = "file", .type = KL_CONF_STR, .offset = offsetof(struct conf, file), .flags = KL_CONF_REQUIRED | KL_CONF_FILE,
      .doc = "lines of token, user name, uid and groups" },
};

KL_PLUGIN_DEFINE("dev.keelson.authn-static", "0.1.0", "keelson.authn/0:static", "", .summary = "users by tokens in a file", .license = "Apache-2.0",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
