/* controller.c - as of release 0.1: a controller. Every namespace gets a ConfigMap of a configured name; one that is removed comes back. */
#define _GNU_SOURCE                     /* memmem */
#include <keelson/iface/controller.h>
#include <stdlib.h>

struct conf {
    const char *name;
};

struct controller {
    const struct kl_host *host;
    const struct kl_host_objects *objects;
    const struct conf *conf;
};

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct controller *x = calloc(1, sizeof *x);
    if (!x)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    x->host = h;
    x->objects = h->service(h, KL_HOST_OBJECTS_0);
    x->conf = conf;
    *self = x;
    return 0;
}

static void close_(void *self)
{
    free(self);
}

/* A change of a ConfigMap concerns its namespace: the key is the namespace's name. "namespace":"..." of metadata is all that is read. */
static int map(void *self, struct kl_call *c, const char *resource, struct kl_bytes old, struct kl_bytes obj, struct kl_bytes *ret)
{
    static const char member[] = "\"namespace\":\"";
    const char *at = (const char *)memmem(obj.at, obj.len, member, sizeof member - 1), *end;
    (void)self;
    (void)resource;
    (void)old;
    *ret = (struct kl_bytes){ "", 0 };
    if (!at)
        return 0;
    at += sizeof member - 1;
    end = (const char *)memchr(at, '"', (size_t)(obj.at + obj.len - at));
    if (!end)
        return 0;
    *ret = (struct kl_bytes){ kl_dup(c, at, (size_t)(end - at)), (size_t)(end - at) };
    return ret->at ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

/* Level-triggered: what is wanted follows from the key and from what is there now, however often it is called. */
static int reconcile(void *self, struct kl_call *c, const char *key, int64_t *again_ns)
{
    const struct controller *x = self;
    struct kl_object_key ns = { sizeof ns, "/namespaces", "", key, NULL };
    struct kl_object_key mine = { sizeof mine, "/configmaps", key, x->conf->name, NULL };
    struct kl_bytes have;
    char text[512];
    *again_ns = 0;
    int rc = x->objects->get(x->host, c, &ns, &have);
    if (rc == -KL_NOT_FOUND)
        return 0;                       /* the namespace is gone: nothing is wanted */
    if (rc < 0)
        return rc;
    rc = x->objects->get(x->host, c, &mine, &have);
    if (rc != -KL_NOT_FOUND)
        return rc < 0 ? rc : 0;
    int n = snprintf(text, sizeof text, "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%s\",\"namespace\":\"%s\"},"
                     "\"data\":{\"owner\":\"old-controller\"}}", x->conf->name, key);
    if (n < 0 || (size_t)n >= sizeof text)
        return kl_fail(c, KL_INVALID, "the name '%s' is too long", x->conf->name);
    rc = x->objects->create(x->host, c, &mine, (struct kl_bytes){ text, (size_t)n }, NULL);
    return rc == -KL_ALREADY_EXISTS ? 0 : rc;
}

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), "/namespaces", NULL, NULL },
    { sizeof(struct kl_watch), "/configmaps", NULL, "map" },
};

static const struct kl_controller table = {
    .size = sizeof table,
    .life = { .open = open_, .close = close_ },
    .watches = KL_ARRAY_OF(watches),
    .map = map,
    .reconcile = reconcile,
};
static const struct kl_provider provides[] = { { KL_CONTROLLER_0, "old-controller", 0, &table } };
static const struct kl_need needs[] = { { KL_HOST_OBJECTS_0, 0 } };
static const struct kl_conf_field fields[] = {
    { .key = "configmap", .type = KL_CONF_STR, .offset = offsetof(struct conf, name), .fallback = "old-controller", .doc = "name of each namespace's ConfigMap" },
};

KL_PLUGIN_DEFINE("org.example.old-controller", "0.1.0", "keelson.controller/0:old-controller", "keelson.host.objects/0", .summary = "a ConfigMap for every namespace",
                 .license = "Apache-2.0", .needs = KL_ARRAY_OF(needs), .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields),
                 .conf_size = sizeof(struct conf));
