/* services.c - see services.h. Services are found by the first label that they select by. */
#include "reconcile/services.h"

#include <stdio.h>

#include "base/json_scan.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "reconcile/filter.h"

#define KEY 1024

struct service {
    struct list link;                   /* of its bucket */
    struct bucket *bucket;
    struct arena *arena;
    const struct val *selector;
    char key[];                         /* "ns/name" */
};

struct bucket {                         /* "ns/label=value" */
    struct list services;
    char text[];
};

struct services {
    struct store *store;
    struct store_watch *watch;
    struct map by_key, buckets;
};

static void end(struct services *x, struct service *s)
{
    if (!s)
        return;
    map_del(&x->by_key, str_of(s->key));
    list_remove(&s->link);
    if (s->bucket && list_empty(&s->bucket->services)) {
        map_del(&x->buckets, str_of(s->bucket->text));
        mem_free(s->bucket);
    }
    arena_free(s->arena);
    mem_free(s);
}

static struct bucket *bucket_of(struct services *x, struct str text)
{
    struct bucket *b = map_get(&x->buckets, text);
    if (b || !(b = mem_alloc(sizeof *b + text.len + 1)))
        return b;
    str_copy(b->text, text.at, text.len);
    list_init(&b->services);
    if (map_put(&x->buckets, str_n(b->text, text.len), b))
        return b;
    mem_free(b);
    return NULL;
}

static struct str pair(char *at, struct str ns, const struct val *label)
{
    int n = snprintf(at, KEY, STR_FMT "/" STR_FMT "=" STR_FMT, STR_ARG(ns), STR_ARG(val_key(label)), STR_ARG(val_str(label)));
    return n > 0 && n < KEY ? str_n(at, (size_t)n) : STR_NONE;
}

/* Spreading is a preference: a Service that there is no memory for is missed. */
static void set(struct services *x, struct store_object *o, bool there)
{
    char key[KEY], text[KEY];
    int n = snprintf(key, sizeof key, STR_FMT "/" STR_FMT, STR_ARG(store_object_ns(o)), STR_ARG(store_object_name(o)));
    if (n <= 0 || n >= KEY)
        return;
    end(x, map_get(&x->by_key, str_n(key, (size_t)n)));
    struct str selector = there ? json_scan_path(store_object_json(o), "spec.selector") : STR_NONE;
    struct service *s = selector.at ? mem_alloc(sizeof *s + (size_t)n + 1) : NULL;
    if (!s)
        return;
    memcpy(s->key, key, (size_t)n);
    list_init(&s->link);
    s->arena = arena_new_small(1 << 20);
    struct str copy = s->arena ? arena_str(s->arena, selector) : STR_NONE;
    s->selector = copy.at ? json_parse(s->arena, copy, NULL) : NULL;
    const struct val *first = val_is(s->selector, VAL_OBJ) ? s->selector->first : NULL;
    struct str bucket = first ? pair(text, store_object_ns(o), first) : STR_NONE;
    if (bucket.len && map_put(&x->by_key, str_n(s->key, (size_t)n), s) && (s->bucket = bucket_of(x, bucket)))
        list_push(&s->bucket->services, &s->link);
    else
        end(x, s);
}

static bool first_service(void *ctx, struct store_object *o)
{
    set(ctx, o, true);
    return true;
}

static void on_services(void *ctx)
{
    struct services *x = ctx;
    struct store_event e;
    bool expired = false;
    while (store_watch_next(x->watch, &e, &expired))
        set(x, e.object, e.type != STORE_DELETED);
}

int services_new(struct store *s, struct services **ret, struct kl_err *err)
{
    struct services *x = mem_alloc(sizeof *x);
    struct store_range all = { .resource = STR("/services") };
    if (!x)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    x->store = s;
    int rc = store_watch_new(s, STR("/services"), STR_NONE, store_revision(s), on_services, x, &x->watch, err);
    if (rc < 0) {
        services_free(x);
        return rc;
    }
    store_list(s, &all, first_service, x);
    *ret = x;
    return 0;
}

void services_free(struct services *x)
{
    size_t at = 0;
    struct str key;
    void *value;
    if (!x)
        return;
    if (x->watch)
        store_watch_free(x->watch);
    for (; map_next(&x->by_key, &at, &key, &value); at = 0)
        end(x, value);
    map_free(&x->by_key);
    map_free(&x->buckets);
    mem_free(x);
}

/* --- of a pod --- */

static void add_labels(struct arena *a, struct val *to, const struct val *from)
{
    struct val *labels = json_obj(a, to, STR("matchLabels"));
    if (val_is(from, VAL_OBJ))
        val_each(v, from) json_set_str(a, labels, val_key(v), arena_str(a, val_str(v)));
}

static void add_services(struct services *x, struct arena *a, struct val *to, struct str ns, const struct val *labels)
{
    char text[KEY];
    if (!x->buckets.n || !val_is(labels, VAL_OBJ))
        return;
    val_each(l, labels) {
        struct str key = pair(text, ns, l);
        struct bucket *b = key.len ? map_get(&x->buckets, key) : NULL;
        if (b)
            list_each(at, &b->services)
            {
                const struct service *s = list_item(at, struct service, link);
                if (filter_labels_match(s->selector, labels))
                    add_labels(a, to, s->selector);
            }
    }
}

static void add_owner(struct services *x, struct arena *a, struct val *to, struct str ns, const struct val *owner)
{
    static const struct {
        const char *api, *kind, *resource;
    } rows[] = { { "apps/v1", "ReplicaSet", "apps/replicasets" }, { "apps/v1", "StatefulSet", "apps/statefulsets" }, { "v1", "ReplicationController", "/replicationcontrollers" } };
    for (unsigned i = 0; owner && i < sizeof rows / sizeof *rows; i++) {
        if (!str_is(json_str(owner, "kind"), rows[i].kind) || !str_is(json_str(owner, "apiVersion"), rows[i].api))
            continue;
        struct store_object *o = store_get(x->store, str_of(rows[i].resource), ns, json_str(owner, "name"));
        struct str text = o ? arena_str(a, json_scan_path(store_object_json(o), "spec.selector")) : STR_NONE;
        const struct val *selector = text.len ? json_parse(a, text, NULL) : NULL, *list = json_get(selector, STR("matchExpressions"));
        add_labels(a, to, i == 2 ? selector : json_get(selector, STR("matchLabels")));
        if (val_is(list, VAL_ARR))
            val_each(v, list) val_push(json_arr(a, to, STR("matchExpressions")), val_copy(a, v));
    }
}

const struct val *services_selector(struct services *x, struct arena *a, const struct val *pod)
{
    const struct val *owner = pod_controller(pod);
    struct str ns = json_str(pod, "metadata.namespace");
    if (!owner && !x->buckets.n)
        return NULL;
    struct val *all = val_new(a, VAL_OBJ);
    add_services(x, a, all, ns, json_path(pod, "metadata.labels"));
    add_owner(x, a, all, ns, owner);
    const struct val *labels = json_get(all, STR("matchLabels")), *list = json_get(all, STR("matchExpressions"));
    return (val_is(labels, VAL_OBJ) && labels->n) || (val_is(list, VAL_ARR) && list->n) ? all : NULL;
}
