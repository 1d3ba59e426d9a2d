/* trigger.c - when what is new about a Service's endpoints came to be: the annotation that latencies are measured by. What was known at the last
 * look lives in this instance alone, as upstream's does; what is not known yet is as new as the Service. */
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "slices.h"

struct known_pod {
    uint64_t name;                      /* digest */
    int64_t at;                         /* when it last became ready or not */
};

struct known {                          /* of "namespace/service", which stands behind the pods */
    uint32_t n;
    struct known_pod pods[];            /* by name */
};

static int by_name(const void *a, const void *b)
{
    uint64_t x = ((const struct known_pod *)a)->name, y = ((const struct known_pod *)b)->name;
    return x < y ? -1 : x > y;
}

static struct known *look(struct str key, const struct ctl_list *pods, struct str *ret_key)
{
    static const uint64_t seed[2] = { 0x74726967, 0x676572 };
    struct known *k = mem_alloc(sizeof *k + pods->n * sizeof *k->pods + key.len);
    if (!k)
        return NULL;
    *ret_key = str_n(memcpy(&k->pods[pods->n], key.at, key.len), key.len);
    for (uint32_t i = 0; i < pods->n; i++) {
        struct val *c = cond_find(json_path(pods->at[i], "status.conditions"), "Ready");
        struct str name = meta_name(pods->at[i]);
        int64_t at = c ? meta_time(c, "lastTransitionTime") : 0;
        if (at)
            k->pods[k->n++] = (struct known_pod){ hash_sip(seed, name.at, name.len), at };
    }
    if (k->n)
        qsort(k->pods, k->n, sizeof *k->pods, by_name);
    return k;
}

/* The earliest of what has changed; 0: nothing has. */
static int64_t earliest(const struct known *old, const struct known *now)
{
    int64_t least = 0;
    for (uint32_t i = 0; i < now->n; i++) {
        struct known_pod *was = old->n ? bsearch(&now->pods[i], old->pods, old->n, sizeof *old->pods, by_name) : NULL;
        if ((!was || was->at < now->pods[i].at) && (!least || now->pods[i].at < least))
            least = now->pods[i].at;
    }
    return least;
}

struct str trigger_time(struct ctl_run *r, const struct val *service, const struct ctl_list *pods)
{
    char text[CLOCK_TEXT], *name = arena_printf(r->arena, STR_FMT "/" STR_FMT, STR_ARG(meta_ns(service)), STR_ARG(meta_name(service)));
    struct str key;
    struct known *now = name ? look(str_of(name), pods, &key) : NULL;
    if (!now)
        return STR_NONE;
    struct known *old = map_del(&r->ctl->memory, key);
    int64_t at = old ? earliest(old, now) : meta_time(service, "metadata.creationTimestamp");
    if (!map_put(&r->ctl->memory, key, now))
        mem_free(now);
    mem_free(old);
    if (!at)
        return STR_NONE;
    clock_format(at, text);
    return arena_str(r->arena, str_of(text));
}

void trigger_forget(struct ctl_run *r, struct str ns, struct str name)
{
    char *key = arena_printf(r->arena, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
    if (key)
        mem_free(map_del(&r->ctl->memory, str_of(key)));
}
