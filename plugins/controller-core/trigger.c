/* trigger.c - when what is new about a Service's endpoints came to be: the annotation that latencies are measured by. What was known at the last
 * look lives in this process alone, as upstream's does; what is not known yet is as new as the Service. */
#include <pthread.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "slices.h"

struct known_pod {
    uint64_t name;                      /* digest */
    int64_t at;                         /* when it last became ready or not */
};

struct known {
    struct known_pod *pods;             /* by name */
    uint32_t n;
    char key[];
};

static struct {
    pthread_mutex_t lock;
    struct map map;                     /* "namespace/service" to struct known */
} trackers[TRIGGERS] = { { .lock = PTHREAD_MUTEX_INITIALIZER }, { .lock = PTHREAD_MUTEX_INITIALIZER } };

static void known_free(struct known *k)
{
    if (k)
        mem_free(k->pods);
    mem_free(k);
}

static int by_name(const void *a, const void *b)
{
    uint64_t x = ((const struct known_pod *)a)->name, y = ((const struct known_pod *)b)->name;
    return x < y ? -1 : x > y;
}

static struct known *look(struct str key, const struct ctl_list *pods)
{
    static const uint64_t seed[2] = { 0x74726967, 0x676572 };
    struct known *k = mem_alloc(sizeof *k + key.len + 1);
    if (k && pods->n && !(k->pods = mem_alloc(pods->n * sizeof *k->pods))) {
        mem_free(k);
        return NULL;
    }
    if (k)
        memcpy(k->key, key.at, key.len);
    for (uint32_t i = 0; k && i < pods->n; i++) {
        struct val *c = cond_find(json_path(pods->at[i], "status.conditions"), "Ready");
        struct str name = meta_name(pods->at[i]);
        int64_t at = c ? meta_time(c, "lastTransitionTime") : 0;
        if (at)
            k->pods[k->n++] = (struct known_pod){ hash_sip(seed, name.at, name.len), at };
    }
    if (k && k->n)
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

struct str trigger_time(struct ctl_run *r, enum trigger_of who, const struct val *service, const struct ctl_list *pods)
{
    char text[CLOCK_TEXT], *key = arena_printf(r->arena, STR_FMT "/" STR_FMT, STR_ARG(meta_ns(service)), STR_ARG(meta_name(service)));
    struct known *now = key ? look(str_of(key), pods) : NULL;
    if (!now)
        return STR_NONE;
    pthread_mutex_lock(&trackers[who].lock);
    struct known *old = map_del(&trackers[who].map, str_of(key));
    int64_t at = old ? earliest(old, now) : meta_time(service, "metadata.creationTimestamp");
    if (!map_put(&trackers[who].map, str_of(now->key), now))
        known_free(now);
    pthread_mutex_unlock(&trackers[who].lock);
    known_free(old);
    if (!at)
        return STR_NONE;
    clock_format(at, text);
    return arena_str(r->arena, str_of(text));
}

void trigger_forget(struct ctl_run *r, enum trigger_of who, struct str ns, struct str name)
{
    char *key = arena_printf(r->arena, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
    if (!key)
        return;
    pthread_mutex_lock(&trackers[who].lock);
    known_free(map_del(&trackers[who].map, str_of(key)));
    pthread_mutex_unlock(&trackers[who].lock);
}
