/* device_taints.c - pods leave devices whose NoExecute taints (in ResourceSlices) the requests that these were allocated for do not tolerate, or no longer. */
#include "base/json_scan.h"
#include "base/mem.h"
#include "claims.h"
#include "nodes.h"

#define RESOURCE_SLICES "resource.k8s.io/resourceslices"
#define NO_EXECUTE "NoExecute"
#define REASON "DeviceTaintManagerEviction"

/* --- until when --- */

static bool tolerates(const struct val *t, const struct val *taint)
{
    struct str op = json_str(t, "operator"), key = json_str(t, "key");
    if (!str_is(json_str(t, "effect"), NO_EXECUTE) || (key.len && !str_eq(key, json_str(taint, "key"))))
        return false;
    return str_is(op, "Exists") || ((!op.len || str_is(op, "Equal")) && str_eq(json_str(t, "value"), json_str(taint, "value")));
}

/* INT64_MAX: for ever. */
static int64_t bears_taint(const struct val *result, const struct val *taint)
{
    const struct val *list = json_get(result, STR("tolerations"));
    int64_t seconds = INT64_MAX, since = meta_time(taint, "timeAdded");
    if (val_is(list, VAL_ARR))
        val_each(t, list) {
            if (!tolerates(t, taint))
                continue;
            const struct val *limit = json_get(t, STR("tolerationSeconds"));
            if (!limit)
                return INT64_MAX;
            int64_t one = limit->i > 0 ? limit->i : 0;
            seconds = one < seconds ? one : seconds;
        }
    if (seconds == INT64_MAX)
        return since;
    return seconds > (INT64_MAX - 1 - since) / NS_S ? INT64_MAX - 1 : since + seconds * NS_S;
}

int64_t device_bears_until(const struct val *result, const struct val *device)
{
    const struct val *taints = json_get(device, STR("taints"));
    int64_t until = INT64_MAX;
    if (val_is(taints, VAL_ARR))
        val_each(t, taints) {
            int64_t one = str_is(json_str(t, "effect"), NO_EXECUTE) ? bears_taint(result, t) : INT64_MAX;
            until = one < until ? one : until;
        }
    return until;
}

const struct val *device_of(const struct ctl_list *slices, const struct val *result)
{
    const struct val *found = NULL;
    int64_t newest = INT64_MIN;
    for (uint32_t i = 0; i < slices->n; i++) {
        const struct val *spec = json_get(slices->at[i], STR("spec")), *devices = json_get(spec, STR("devices"));
        int64_t generation = json_int(spec, "pool.generation", 0);
        if (!str_eq(json_str(spec, "driver"), json_str(result, "driver")) || !str_eq(json_str(spec, "pool.name"), json_str(result, "pool")) || generation < newest)
            continue;
        found = generation > newest ? NULL : found;
        newest = generation;
        if (val_is(devices, VAL_ARR))
            val_each(d, devices)
                if (str_eq(json_str(d, "name"), json_str(result, "device")))
                    found = d;
    }
    return found;
}

/* A claim that the pod has and uses; NULL: it is not there, or somebody else's. */
static int claim_in_use(struct ctl_run *r, const struct val *pod, const struct val *entry, struct val **ret)
{
    struct str name = claim_of(pod, entry);
    *ret = NULL;
    int rc = name.len ? ctl_get(r, CLAIMS, meta_ns(pod), name, ret) : 0;
    bool made = json_str(entry, "resourceClaimTemplateName").len;
    if (rc == 0 && *ret && (!claim_user(*ret, meta_uid(pod)) || (made && !meta_controlled_by(*ret, meta_uid(pod)))))
        *ret = NULL;
    return rc;
}

static int bears_until(struct ctl_run *r, const struct val *pod, int64_t *ret)
{
    struct ctl_list slices = { 0 };
    bool listed = false;
    const struct val *entries = json_path(pod, "spec.resourceClaims");
    *ret = INT64_MAX;
    if (!val_is(entries, VAL_ARR) || !json_str(pod, "spec.nodeName").len)
        return 0;
    val_each(e, entries) {
        struct val *claim;
        int rc = claim_in_use(r, pod, e, &claim);
        const struct val *results = json_path(claim, "status.allocation.devices.results");
        if (rc == 0 && !listed && val_is(results, VAL_ARR) && results->n)
            rc = ctl_list(r, (struct kl_list_options){ .resource = RESOURCE_SLICES }, &slices), listed = true;
        if (rc < 0)
            return rc;
        if (val_is(results, VAL_ARR))
            val_each(x, results) {
                int64_t one = device_bears_until(x, device_of(&slices, x));
                *ret = one < *ret ? one : *ret;
            }
    }
    return 0;
}

/* --- and then it goes --- */

/* Who waits to be evicted is remembered: that it is not is worth a word. */
static void remember(struct ctl_run *r, const struct val *pod, struct str key, bool waits)
{
    char *known = map_get(&r->ctl->memory, key);
    if (known && !waits) {
        mem_free(map_del(&r->ctl->memory, key));
        if (pod)
            ctl_event(r, pod, "Normal", REASON, "Cancelling deletion");
    } else if (!known && waits && (known = mem_dup(key.at, key.len)) && !map_put(&r->ctl->memory, str_n(known, key.len), known))
        mem_free(known);
}

static int evict(struct ctl_run *r, struct val *pod)
{
    ctl_event(r, pod, "Normal", REASON, "Marking for deletion");
    int rc = pod_set_condition(r, &pod, "DisruptionTarget", "True", "DeletionByDeviceTaintManager", "Device Taint manager: deleting due to NoExecute taint");
    return rc < 0 ? rc : ctl_delete(r, PODS, pod, NULL);
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    struct val *pod;
    int64_t until = INT64_MAX;
    struct str key = str_of(arena_printf(r->arena, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name)));
    int rc = ctl_get(r, PODS, ns, name, &pod);
    if (rc == 0 && pod && !meta_deleting(pod))
        rc = bears_until(r, pod, &until);
    if (rc < 0)
        return rc;
    bool waits = until != INT64_MAX && until > r->now_ns, now = until <= r->now_ns;
    if (!now)
        remember(r, pod && !meta_deleting(pod) ? pod : NULL, key, waits);
    else
        mem_free(map_del(&r->ctl->memory, key));
    if (waits)
        ctl_again(r, until - r->now_ns);
    return now ? evict(r, pod) : 0;
}

/* --- keys --- */

static void add_users(struct buf *keys, const struct val *claim)
{
    const struct val *users = json_path(claim, "status.reservedFor");
    if (val_is(users, VAL_ARR))
        val_each(u, users)
            if (str_is(json_str(u, "resource"), "pods"))
                ctl_key_add(keys, meta_ns(claim), json_str(u, "name"));
}

/* A pod that has come to a node, or was told its claims. */
static void map_pod(struct ctl_run *r, struct str old, struct str obj, struct buf *keys)
{
    static const char *const parts[] = { "spec.nodeName", "status.resourceClaimStatuses", "metadata.namespace", "metadata.name" };
    struct str is[4], was[2] = { STR_NONE, STR_NONE };
    if (!ctl_node(r).len || !json_scan_member(ctl_part(r, CTL_SPEC), STR("resourceClaims")).len)
        return;
    json_scan_paths(obj, parts, 4, is);
    if (old.len)
        json_scan_paths(old, parts, 2, was);
    if (r->call->flags & KL_CALL_DELETED || !old.len || !str_eq(was[0], is[0]) || !str_eq(was[1], is[1]))
        ctl_key_add(keys, json_scan_text(is[2]), json_scan_text(is[3]));
}

static int map_claim(struct ctl_run *r, struct str old, struct str obj, struct buf *keys)
{
    struct str texts[2] = { old, obj };
    if (old.len && str_eq(json_scan_path(old, "status"), json_scan_path(obj, "status")))
        return 0;
    for (int i = 0; i < 2; i++) {
        struct val *v = texts[i].len ? json_parse(r->arena, texts[i], &r->call->err) : NULL;
        if (texts[i].len && !v)
            return -r->call->err.code;
        add_users(keys, v);
    }
    return 0;
}

static bool mentions(struct str text, const char *word)
{
    return text.len && memmem(text.at, text.len, word, strlen(word));
}

/* All pods that have a device of the slice's pool, when a taint came or went. */
static int map_slice(struct ctl_run *r, struct str old, struct str obj, struct buf *keys)
{
    struct ctl_list claims;
    struct str driver = json_scan_text(json_scan_path(obj, "spec.driver")), pool = json_scan_text(json_scan_path(obj, "spec.pool.name"));
    if ((!mentions(old, NO_EXECUTE) && !mentions(obj, NO_EXECUTE)) || (old.len && str_eq(json_scan_path(old, "spec"), json_scan_path(obj, "spec"))))
        return 0;
    int rc = ctl_list(r, (struct kl_list_options){ .resource = CLAIMS }, &claims);
    for (uint32_t i = 0; rc == 0 && i < claims.n; i++) {
        const struct val *results = json_path(claims.at[i], "status.allocation.devices.results");
        bool uses = false;
        if (val_is(results, VAL_ARR))
            val_each(x, results)
                uses |= str_eq(json_str(x, "driver"), driver) && str_eq(json_str(x, "pool"), pool);
        if (uses)
            add_users(keys, claims.at[i]);
    }
    return rc;
}

static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    if (strcmp(resource, CLAIMS) == 0)
        return map_claim(r, old, obj, keys);
    if (strcmp(resource, RESOURCE_SLICES) == 0)
        return map_slice(r, old, obj, keys);
    map_pod(r, old, obj, keys);
    return 0;
}

CTL_RUN(device_taints, run)
CTL_MAP(device_taints, map)
static const struct kl_watch watches[] = { { sizeof(struct kl_watch), PODS, NULL, "map" }, { sizeof(struct kl_watch), CLAIMS, NULL, "map" },
                                           { sizeof(struct kl_watch), RESOURCE_SLICES, NULL, "map" } };
CTL_TABLE(device_taints, watches, device_taints_map);
