/* changes.c - fed on the loop by each change, emptied by the thread that applies. Only names are kept, no objects. */
#include <pthread.h>

#include "base/list.h"
#include "proxy.h"

struct slice_name {
    struct list link;
    char at[];
};

struct service {
    struct list slices, dirty;          /* dirty: in changes.dirty or alone */
    uint32_t n_slices;
    char at[];                          /* "namespace/name" */
};

struct changes {
    pthread_mutex_t lock;
    struct map services;
    struct list dirty;
};

struct changes *changes_new(void)
{
    struct changes *c = mem_alloc(sizeof *c);
    if (c) {
        pthread_mutex_init(&c->lock, NULL);
        list_init(&c->dirty);
    }
    return c;
}

static void service_free(struct service *s)
{
    list_each(n, &s->slices)
    {
        list_remove(n);
        mem_free(list_item(n, struct slice_name, link));
    }
    list_remove(&s->dirty);
    mem_free(s);
}

void changes_free(struct changes *c)
{
    size_t at = 0;
    struct str key;
    void *value;
    if (!c)
        return;
    while (map_next(&c->services, &at, &key, &value))
        service_free(value);
    map_free(&c->services);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

static struct service *find_or_add(struct changes *c, struct str ns, struct str name)
{
    char key[600];
    int n = snprintf(key, sizeof key, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
    if (n < 0 || (size_t)n >= sizeof key)
        return NULL;
    struct service *s = map_get(&c->services, str_n(key, (size_t)n));
    if (s || !(s = mem_alloc(sizeof *s + (size_t)n + 1)))
        return s;
    list_init(&s->slices);
    list_init(&s->dirty);
    memcpy(s->at, key, (size_t)n);
    if (map_put(&c->services, str_of(s->at), s))
        return s;
    mem_free(s);
    return NULL;
}

static bool note(struct changes *c, struct str ns, struct str service, struct service **ret)
{
    struct service *s = find_or_add(c, ns, service);
    if (s && list_empty(&s->dirty))
        list_push(&c->dirty, &s->dirty);
    *ret = s;
    return s != NULL;
}

bool changes_note_service(struct changes *c, struct str ns, struct str name)
{
    struct service *s;
    pthread_mutex_lock(&c->lock);
    bool ok = note(c, ns, name, &s);
    pthread_mutex_unlock(&c->lock);
    return ok;
}

static struct slice_name *find_slice(const struct service *s, struct str slice)
{
    list_each(n, &s->slices)
        if (str_is(slice, list_item(n, struct slice_name, link)->at))
            return list_item(n, struct slice_name, link);
    return NULL;
}

static bool add_slice(struct service *s, struct str slice)
{
    struct slice_name *x = mem_alloc(sizeof *x + slice.len + 1);
    if (!x)
        return false;
    memcpy(x->at, slice.at, slice.len);
    list_push(&s->slices, &x->link);
    s->n_slices++;
    return true;
}

bool changes_note_slice(struct changes *c, struct str ns, struct str slice, struct str service, bool gone)
{
    struct service *s;
    pthread_mutex_lock(&c->lock);
    bool ok = note(c, ns, service, &s);
    struct slice_name *x = ok ? find_slice(s, slice) : NULL;
    if (ok && !x && !gone)
        ok = add_slice(s, slice);
    if (x && gone) {
        list_remove(&x->link);
        mem_free(x);
        s->n_slices--;
    }
    pthread_mutex_unlock(&c->lock);
    return ok;
}

static struct changed *copy(struct arena *a, const struct service *s)
{
    struct changed *x = arena_alloc(a, sizeof *x);
    struct str rest = arena_str(a, str_of(s->at));
    if (!x || !rest.at || !(x->slices = arena_alloc(a, (s->n_slices + 1) * sizeof *x->slices)))
        return NULL;
    x->ns = str_cut(&rest, '/');
    x->name = rest;
    list_each(n, &s->slices) x->slices[x->n_slices++] = arena_str(a, str_of(list_item(n, struct slice_name, link)->at));
    return x;
}

bool changes_take(struct changes *c, struct arena *a, struct changed **ret)
{
    struct changed *first = NULL;
    bool ok = true;
    pthread_mutex_lock(&c->lock);
    list_each(n, &c->dirty)
    {
        struct changed *x = copy(a, list_item(n, struct service, dirty));
        if (!x) {
            ok = false;
            break;
        }
        x->next = first;
        first = x;
    }
    ok = ok && !arena_exhausted(a);
    list_each(n, &c->dirty)
    {
        struct service *s = list_item(n, struct service, dirty);
        if (!ok)
            break;
        list_remove(n);
        if (!s->n_slices) {             /* it comes back with its next change */
            map_del(&c->services, str_of(s->at));
            service_free(s);
        }
    }
    pthread_mutex_unlock(&c->lock);
    *ret = ok ? first : NULL;
    return ok;
}

void changes_drop(struct changes *c)
{
    pthread_mutex_lock(&c->lock);
    list_each(n, &c->dirty) list_remove(n);
    pthread_mutex_unlock(&c->lock);
}
