/* admission.c - as of release 0.1: an admission rule. New ConfigMaps may not be larger than a limit, and are told so in a sentence. */
#include <keelson/iface/auth.h>
#include <stdlib.h>

struct conf {
    int64_t max_bytes;
};

struct rule {
    const struct conf *conf;
};

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct rule *r = calloc(1, sizeof *r);
    (void)h;
    if (!r)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    r->conf = conf;
    *self = r;
    return 0;
}

static void close_(void *self)
{
    free(self);
}

/* On the loop: no waiting, no files. The object is JSON without a zero at its end. */
static int review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    const struct rule *x = self;
    (void)ret;                          /* a patch, warnings: see iface/auth.h */
    if ((int64_t)r->object.len > x->conf->max_bytes)
        return kl_fail(c, KL_FORBIDDEN, "the %s has %zu bytes, more than the %lld that are allowed", r->kind, r->object.len, (long long)x->conf->max_bytes);
    return 0;
}

static const char *const resources[] = { "/configmaps", NULL };

static const struct kl_admission table = {
    .size = sizeof table,
    .life = { .open = open_, .close = close_ },
    .resources = resources,
    .operations = "CREATE,UPDATE",
    .review = review,
};
static const struct kl_provider provides[] = { { KL_ADMISSION_0, "old-admission", 0, &table } };
static const struct kl_conf_field fields[] = {
    { .key = "max_bytes", .type = KL_CONF_QUANTITY, .offset = offsetof(struct conf, max_bytes), .fallback = "64Ki", .min = 1, .max = 3 << 20, .doc = "largest ConfigMap" },
};

KL_PLUGIN_DEFINE("org.example.old-admission", "0.1.0", "keelson.admission/0:old-admission", "", .summary = "limits the size of ConfigMaps", .license = "Apache-2.0",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
