/* stamp.c - admission: new ConfigMaps get a label, and those that hold a forbidden key are refused. */
#include <keelson/iface/auth.h>

#include <jansson.h>
#include <stdlib.h>

struct conf {
    const char *value;
    const char *const *forbidden;
};

static int stamp_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)h;
    (void)c;
    *self = (void *)conf;               /* valid until close: there is nothing else to keep */
    return 0;
}

static int hand_out(struct kl_call *c, json_t *ops, struct kl_admission_verdict *ret)
{
    char *text = ops ? json_dumps(ops, JSON_COMPACT) : NULL;
    size_t n = text ? strlen(text) : 0;
    char *copy = kl_dup(c, text, n);
    free(text);
    json_decref(ops);
    if (!copy)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    ret->patch = (struct kl_bytes){ copy, n };
    return 0;
}

static int stamp_review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    const struct conf *conf = self;
    json_t *object = json_loadb(r->object.at, r->object.len, 0, NULL), *data = json_object_get(object, "data");
    for (const char *const *f = conf->forbidden; f && *f; f++)
        if (json_object_get(data, *f)) {
            json_decref(object);
            return kl_fail(c, KL_FORBIDDEN, "data may not hold '%s'", *f);
        }
    bool labels = json_object_get(json_object_get(object, "metadata"), "labels") != NULL;
    json_decref(object);
    return hand_out(c, labels ? json_pack("[{s:s,s:s,s:s}]", "op", "add", "path", "/metadata/labels/stamp", "value", conf->value) :
                       json_pack("[{s:s,s:s,s:{s:s}}]", "op", "add", "path", "/metadata/labels", "value", "stamp", conf->value), ret);
}

static const char *const resources[] = { "/configmaps", NULL };

static const struct kl_admission table = {
    .size = sizeof table,
    .life = { .open = stamp_open },
    .resources = resources,
    .operations = "CREATE",
    .mutates = 1,
    .review = stamp_review,
};

static const struct kl_provider provides[] = { { KL_ADMISSION_0, "stamp", 0, &table } };

static const struct kl_conf_field fields[] = {
    { .key = "value", .type = KL_CONF_STR, .offset = offsetof(struct conf, value), .fallback = "acme", .doc = "the label's value" },
    { .key = "forbidden", .type = KL_CONF_LIST, .offset = offsetof(struct conf, forbidden), .doc = "keys that no ConfigMap may have" },
};

KL_PLUGIN_DEFINE("com.acme.stamp", "1.0.0", "keelson.admission/0:stamp", "", .summary = "stamps ConfigMaps", .license = "MIT",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
