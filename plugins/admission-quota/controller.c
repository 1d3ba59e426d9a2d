/* controller.c - the quota controller: a quota's status is counted anew when its spec changes, when objects that it counts go or change, and
 * every five minutes. */
#include "base/json_scan.h"
#include "quota.h"

#define RESYNC_NS (300 * 1000000000LL)
#define DYING_NS  (1000000000LL)        /* objects that are going: when they are gone nobody says so */

static bool same(struct str old, struct str obj, const char *path)
{
    return str_eq(json_scan_path(old, path), json_scan_path(obj, path));
}

/* Did the change give something back, or take more than was charged? */
static bool matters(const char *resource, struct str old, struct str obj, bool deleted)
{
    if (strcmp(resource, QUOTAS) == 0)
        return !deleted && (!old.len || !same(old, obj, "spec"));
    if (deleted || !old.len)            /* what is new was charged */
        return deleted;
    if (strcmp(resource, "/pods") == 0)
        return !same(old, obj, "status.phase") || !same(old, obj, "metadata.deletionTimestamp");
    return !same(old, obj, "spec") || !same(old, obj, "status.allocatedResources");
}

static int map(void *self, struct kl_call *c, const char *resource, struct kl_bytes old, struct kl_bytes obj, struct kl_bytes *ret)
{
    const struct core *x = self;
    struct str now = str_n(obj.at, obj.len), was = str_n(old.at, old.len);
    struct kl_list_options o = { .size = sizeof o, .resource = QUOTAS };
    struct kl_object_list list = { .size = sizeof list };
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    struct str ns = json_scan_text(json_scan_path(now, "metadata.namespace"));
    bool quota = strcmp(resource, QUOTAS) == 0;
    if (!quota) {                       /* most namespaces have none, and then nothing is looked at */
        o.ns = kl_dup(c, ns.at, ns.len);
        int rc = x->objects->list(x->host, c, &o, &list);
        if (rc < 0 || !list.n)
            return rc;
    }
    if (!matters(resource, was, now, c->flags & KL_CALL_DELETED))
        return 0;
    if (quota)
        buf_printf(&b, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(json_scan_text(json_scan_path(now, "metadata.name"))));
    for (uint32_t i = 0; i < list.n; i++) {
        struct str q = str_n(list.at[i].at, list.at[i].len);
        buf_printf(&b, "%s" STR_FMT "/" STR_FMT, b.len ? "\n" : "", STR_ARG(ns), STR_ARG(json_scan_text(json_scan_path(q, "metadata.name"))));
    }
    *ret = (struct kl_bytes){ kl_dup(c, b.at ? b.at : "", b.len), b.len };
    return ret->at ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int reconcile(void *self, struct kl_call *c, const char *key, int64_t *again_ns)
{
    const struct core *x = self;
    const char *slash = strchr(key, '/');
    _cleanup_arena_ struct arena *a = arena_new((size_t)256 << 20);
    struct kl_object_key k = { sizeof k, QUOTAS, NULL, slash ? slash + 1 : "", NULL };
    struct kl_bytes text;
    struct val *quota, *now;
    bool dying = false;
    if (!slash)
        return 0;
    if (!a || !(k.ns = arena_dup(a, str_n(key, (size_t)(slash - key)))))
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    int rc = x->objects->get(x->host, c, &k, &text);
    if (rc == -KL_NOT_FOUND)
        return 0;
    if (rc < 0 || !(quota = json_parse(a, str_n(text.at, text.len), &c->err)))
        return rc < 0 ? rc : -c->err.code;
    rc = count_status(x, c, a, quota, &now, &dying);
    if (rc == 0 && now != quota)
        rc = quota_write_status(x, c, a, now);
    *again_ns = dying ? DYING_NS : RESYNC_NS;
    return rc;
}

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), QUOTAS, NULL, "map" },
    { sizeof(struct kl_watch), "/pods", NULL, "map" },
    { sizeof(struct kl_watch), "/services", NULL, "map" },
    { sizeof(struct kl_watch), "/persistentvolumeclaims", NULL, "map" },
};

const struct kl_controller quota_controller = { .size = sizeof quota_controller, .life = { .open = core_open, .close = core_close },
                                                .watches = KL_ARRAY_OF(watches), .map = map, .reconcile = reconcile };
