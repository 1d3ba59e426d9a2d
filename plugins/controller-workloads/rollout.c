/* rollout.c - the arithmetic of rolling updates. */
#include "rollout.h"

#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"

struct limits rollout_limits(const struct val *d)
{
    struct limits l = { 0, 0 };
    int64_t n = json_int(d, "spec.replicas", 1);
    struct val *rolling = json_path(d, "spec.strategy.rollingUpdate");
    if (!str_is(json_str(d, "spec.strategy.type"), "RollingUpdate"))
        return l;
    l.surge = int_or_percent(json_get(rolling, STR("maxSurge")), n, true, 0);
    l.unavailable = int_or_percent(json_get(rolling, STR("maxUnavailable")), n, false, 0);
    if (!l.surge && !l.unavailable)     /* nothing could ever move */
        l.unavailable = 1;
    if (l.unavailable > n)
        l.unavailable = n;
    return l;
}

int64_t set_wanted(const struct val *set)
{
    return json_int(set, "spec.replicas", 1);
}

int64_t set_count(const struct val *set, const char *member)
{
    return json_int(json_get(set, STR("status")), member, 0);
}

int64_t set_available(const struct val *set)
{
    int64_t n = set_count(set, "availableReplicas"), wanted = set_wanted(set);
    return n < wanted ? n : wanted;
}

int64_t set_revision(const struct val *set)
{
    int64_t n;
    return str_int(meta_annotation(set, REVISION), &n) ? n : 0;
}

/* Pods that there may be: what is asked for or, while a set is on its way down, what it still has. */
static int64_t pods_of(const struct val *set)
{
    int64_t wanted = set_wanted(set), have = set_count(set, "replicas");
    return have > wanted ? have : wanted;
}

int64_t rollout_grow(const struct rollout *x)
{
    int64_t wanted = json_int(x->d, "spec.replicas", 1), now = x->newest < 0 ? 0 : set_wanted(x->sets.at[x->newest]), all = 0;
    if (!str_is(json_str(x->d, "spec.strategy.type"), "RollingUpdate"))
        return wanted;
    for (uint32_t i = 0; i < x->sets.n; i++)
        all += pods_of(x->sets.at[i]);
    int64_t room = wanted + rollout_limits(x->d).surge - all;
    if (room > wanted - now)
        room = wanted - now;
    return room > 0 ? now + room : now;
}

int64_t rollout_room_unhealthy(const struct rollout *x)
{
    int64_t all = 0, unready = 0, floor = json_int(x->d, "spec.replicas", 1) - rollout_limits(x->d).unavailable;
    for (uint32_t i = 0; i < x->sets.n; i++)
        all += set_wanted(x->sets.at[i]);
    if (x->newest >= 0)
        unready = set_wanted(x->sets.at[x->newest]) - set_available(x->sets.at[x->newest]);
    return all - floor - unready > 0 ? all - floor - unready : 0;
}

int64_t rollout_room(const struct rollout *x)
{
    int64_t available = 0, floor = json_int(x->d, "spec.replicas", 1) - rollout_limits(x->d).unavailable;
    for (uint32_t i = 0; i < x->sets.n; i++)
        available += set_available(x->sets.at[i]);
    return available > floor ? available - floor : 0;
}

/* --- scaling several sets at once --- */

static int64_t share(const struct rollout *x, const struct val *set)
{
    int64_t size = set_wanted(set), most, after = json_int(x->d, "spec.replicas", 1);
    if (!after)
        return -size;
    after += rollout_limits(x->d).surge;
    if (!str_int(meta_annotation(set, "deployment.kubernetes.io/max-replicas"), &most) || !most)
        most = json_int(x->d, "status.replicas", 0);
    return most ? (int64_t)floor((double)(size * after) / (double)most + 0.5) - size : 0;
}

struct place {
    const struct val *set;
    uint32_t index;
};

/* Larger first. Of one size the younger when there is something to give, the older when something is taken. */
static int by_size(const void *a, const void *b, void *growing)
{
    const struct val *x = ((const struct place *)a)->set, *y = ((const struct place *)b)->set;
    int64_t n = set_wanted(y) - set_wanted(x);
    int age = meta_cmp_created(x, y);
    return n ? (n < 0 ? -1 : 1) : *(bool *)growing ? -age : age;
}

void rollout_proportional(const struct rollout *x, int64_t *ret)
{
    struct place *at = calloc(x->sets.n + 1, sizeof *at);
    int64_t all = 0, allowed = json_int(x->d, "spec.replicas", 1), added = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->sets.n; i++) {
        ret[i] = set_wanted(x->sets.at[i]);
        all += ret[i];
        if (at && ret[i])
            at[n++] = (struct place){ x->sets.at[i], i };
    }
    if (allowed)
        allowed += rollout_limits(x->d).surge;
    int64_t change = allowed - all;
    bool growing = change > 0;
    if (at)
        qsort_r(at, n, sizeof *at, by_size, &growing);
    for (uint32_t i = 0; i < n && change; i++) {
        int64_t part = share(x, at[i].set), left = change - added;
        part = growing ? (part < left ? part : left) : (part > left ? part : left);
        added += part;
        ret[at[i].index] += part;
    }
    if (n && change) {                  /* what rounding left goes to the largest */
        ret[at[0].index] += change - added;
        if (ret[at[0].index] < 0)
            ret[at[0].index] = 0;
    }
    free(at);
}

bool rollout_complete(const struct val *d, const struct val *status)
{
    int64_t n = json_int(d, "spec.replicas", 1);
    return json_int(status, "updatedReplicas", 0) == n && json_int(status, "replicas", 0) == n && json_int(status, "availableReplicas", 0) == n &&
           json_int(status, "observedGeneration", 0) >= json_int(d, "metadata.generation", 0);
}

/* --- templates --- */

static struct val *without_hash(struct arena *a, const struct val *t)
{
    struct val *v = val_copy(a, t), *meta = json_get(v, STR("metadata")), *labels = json_get(meta, STR("labels"));
    if (labels && json_del(labels, STR(HASH_LABEL)) && !labels->n)
        json_del(meta, STR("labels"));
    return v;
}

bool same_template(struct arena *a, const struct val *x, const struct val *y)
{
    return val_equal(without_hash(a, x), without_hash(a, y));
}

const char *template_hash(struct ctl_run *r, const struct val *pod_template, int64_t collisions)
{
    static const char safe[] = "bcdfghjklmnpqrstvwxz2456789";
    _cleanup_buf_ struct buf b = BUF_INIT(4 << 20);
    json_write(&b, pod_template);
    if (collisions)
        buf_add_int(&b, collisions);
    char *digits = b.failed ? NULL : arena_printf(r->arena, "%u", hash_fnv32a(buf_str(&b)));
    for (char *p = digits; p && *p; p++)        /* letters that make no words, as in all generated names */
        *p = safe[(unsigned char)*p % (sizeof safe - 1)];
    return digits;
}
