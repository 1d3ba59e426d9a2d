/* images.c - images that no container uses: removed when their file system is fuller than the settings allow, when they are too old, or when it is short of
 * space. When an image was last used is known since this process began. */
#include "counts.h"
#include "evict.h"

#include <stdlib.h>
#include <sys/statvfs.h>

struct image_use {
    char *id;                               /* the map's key */
    int64_t first_ns, last_ns;              /* mono: seen here, used; 0: not used since */
};

struct unused {
    const struct val *image;
    struct image_use *use;
    int64_t size;
};

struct collecting {
    struct agent *agent;
    struct kl_call *call;
    struct arena *arena;
    int64_t now_ns;
};

static void use_free(struct image_use *u)
{
    if (u)
        mem_free(u->id);
    mem_free(u);
}

void images_forget(struct evict *e)
{
    size_t at = 0;
    void *v;
    while (map_next(&e->images, &at, NULL, &v))
        use_free(v);
    map_free(&e->images);
}

static struct image_use *use_of(struct collecting *k, struct str id)
{
    struct map *m = &k->agent->evict->images;
    struct image_use *u = map_get(m, id);
    if (u)
        return u;
    u = mem_alloc(sizeof *u);
    if (!u || !(u->id = mem_dup(id.at, id.len)) || !map_put(m, str_of(u->id), u)) {
        use_free(u);
        return NULL;
    }
    u->first_ns = k->now_ns;
    return u;
}

static bool in_use(const struct val *containers, struct str id)
{
    if (val_is(containers, VAL_ARR))
        val_each(c, containers)
            if (str_eq(json_str(c, "imageRef"), id))
                return true;
    return false;
}

static int oldest_first(const void *x, const void *y)
{
    const struct unused *a = x, *b = y;
    if (a->use->last_ns != b->use->last_ns)
        return a->use->last_ns < b->use->last_ns ? -1 : 1;
    return a->use->first_ns < b->use->first_ns ? -1 : a->use->first_ns > b->use->first_ns;
}

static size_t find_unused(struct collecting *k, struct unused **ret)
{
    struct agent *a = k->agent;
    struct kl_bytes images = { NULL, 0 }, list = { NULL, 0 };
    size_t n = 0;
    if (a->rt->image_list(a->rt_self, k->call, &images) < 0 || a->rt->list(a->rt_self, k->call, NULL, &list) < 0)
        return 0;
    const struct val *all = json_get(agent_parse(k->arena, k->call, images), STR("images"));
    const struct val *containers = json_get(agent_parse(k->arena, k->call, list), STR("containers"));
    *ret = val_is(all, VAL_ARR) ? arena_alloc(k->arena, (all->n + 1) * sizeof **ret) : NULL;
    if (!*ret || !containers)
        return 0;
    val_each(i, all)
    {
        struct str id = json_str(i, "id");
        struct image_use *u = id.len ? use_of(k, id) : NULL;
        if (!u)
            continue;
        if (in_use(containers, id))
            u->last_ns = k->now_ns;
        else
            (*ret)[n++] = (struct unused){ i, u, json_int(i, "size", 0) };
    }
    qsort(*ret, n, sizeof **ret, oldest_first);
    return n;
}

static bool remove_image(struct collecting *k, const struct unused *u)
{
    struct agent *a = k->agent;
    const struct val *tags = json_get(u->image, STR("repoTags"));
    char *id = arena_dup(k->arena, json_str(u->image, "id"));
    struct kl_call sub = *k->call;
    kl_err_init(&sub.err);
    int rc = id ? 0 : -KL_NO_MEMORY;
    if (rc == 0 && val_is(tags, VAL_ARR))
        val_each(t, tags)
        {
            char *ref = arena_dup(k->arena, val_str(t));
            if (ref && rc == 0)
                rc = a->rt->image_remove(a->rt_self, &sub, ref);
        }
    if (rc == 0 && !(val_is(tags, VAL_ARR) && tags->n))
        rc = a->rt->image_remove(a->rt_self, &sub, id);
    if (rc < 0) {
        kl_log(a->host, KL_WARN, "removing the unused image '%s': %s", id ? id : "", sub.err.msg);
        return false;
    }
    kl_log(a->host, KL_INFO, "removed the unused image '%s' (%lld bytes)", id, (long long)u->size);
    count_add(COUNT_IMAGES_REMOVED);
    map_del(&a->evict->images, str_of(u->use->id));
    use_free(u->use);
    return true;
}

/* Bytes to free so that the file system is below the low mark; 0: it is not above the high one. */
static int64_t wanted(const struct agent *a, int64_t *ret_capacity, int64_t *ret_used)
{
    struct observed o[SIGNALS];
    evict_observe((struct agent *)(uintptr_t)a, o);
    *ret_capacity = o[SIGNAL_IMAGEFS].capacity;
    *ret_used = *ret_capacity - o[SIGNAL_IMAGEFS].available;
    if (*ret_capacity <= 0 || *ret_used * 100 < a->conf->image_gc_high * *ret_capacity)
        return 0;
    return *ret_used - a->conf->image_gc_low * *ret_capacity / 100;
}

void images_collect(struct agent *a, struct kl_call *c, bool all)
{
    _cleanup_arena_ struct arena *ar = arena_new(AGENT_ARENA_BYTES);
    struct collecting k = { a, c, ar, agent_mono(a) };
    struct unused *at = NULL;
    int64_t capacity, used, free_bytes = wanted(a, &capacity, &used), freed = 0;
    size_t n = ar ? find_unused(&k, &at) : 0;
    for (size_t i = 0; i < n; i++) {
        int64_t age = k.now_ns - at[i].use->first_ns, idle = k.now_ns - (at[i].use->last_ns ? at[i].use->last_ns : at[i].use->first_ns);
        bool old = a->conf->image_max_age > 0 && idle > a->conf->image_max_age;
        bool full = freed < free_bytes && age >= a->conf->image_min_age;
        if ((all || old || full) && remove_image(&k, &at[i]))
            freed += at[i].size;
    }
    if (!all && freed < free_bytes)
        event_node(a, "FreeDiskSpaceFailed", "Failed to garbage collect required amount of images. Attempted to free %lld bytes, but only found %lld bytes eligible to free.",
                   (long long)free_bytes, (long long)freed);
}
