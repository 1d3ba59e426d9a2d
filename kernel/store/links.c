/* links.c - objects by uid and by the uids of their owners, in the head view. */
#include "store-internal.h"

struct link_target {
    struct resource *resource;
    struct store_object *object;        /* borrowed: the index holds it */
};

struct link_set {
    struct link_target *at;
    unsigned n, cap;
    unsigned uid_len;
    char uid[];
};

static void drop_owner(struct store *s, struct store_object *o, struct str uid)
{
    struct link_set *set = map_get(&s->by_owner, uid);
    for (unsigned i = 0; set && i < set->n; i++)
        if (set->at[i].object == o) {
            set->at[i] = set->at[--set->n];
            break;
        }
    if (set && !set->n) {
        map_del(&s->by_owner, uid);
        mem_free(set->at);
        mem_free(set);
    }
}

static int add_owner(struct store *s, struct resource *r, struct store_object *o, struct str uid)
{
    struct link_set *set = map_get(&s->by_owner, uid);
    if (!set) {
        set = mem_alloc(sizeof *set + uid.len);
        if (!set)
            return -KL_NO_MEMORY;
        memcpy(set->uid, uid.at, uid.len);
        set->uid_len = (unsigned)uid.len;
        if (!map_put(&s->by_owner, str_n(set->uid, uid.len), set)) {
            mem_free(set);
            return -KL_NO_MEMORY;
        }
    }
    if (set->n == set->cap) {
        unsigned cap = set->cap ? set->cap * 2 : 2;
        struct link_target *at = mem_resize(set->at, cap * sizeof *at);
        if (!at)
            return -KL_NO_MEMORY;
        set->at = at;
        set->cap = cap;
    }
    set->at[set->n++] = (struct link_target){ r, o };
    return 0;
}

static struct str owner_uid(const struct store_object *o, unsigned i)
{
    return str_n(store_object_json(o).at + o->owners[i].at, o->owners[i].len);
}

static void remove_links(struct store *s, struct store_object *o)
{
    struct link_target *t = map_get(&s->by_uid, store_object_uid(o));
    if (t && t->object == o) {
        map_del(&s->by_uid, store_object_uid(o));
        mem_free(t);
    }
    for (unsigned i = 0; i < o->n_owners; i++)
        drop_owner(s, o, owner_uid(o, i));
}

static int add_links(struct store *s, struct resource *r, struct store_object *o)
{
    if (o->uid_len) {
        struct link_target *t = mem_alloc(sizeof *t), *old = map_get(&s->by_uid, store_object_uid(o));
        if (!t)
            return -KL_NO_MEMORY;
        *t = (struct link_target){ r, o };
        if (!map_put(&s->by_uid, store_object_uid(o), t)) {
            mem_free(t);
            return -KL_NO_MEMORY;
        }
        mem_free(old);
    }
    for (unsigned i = 0; i < o->n_owners; i++)
        if (add_owner(s, r, o, owner_uid(o, i)) < 0)
            return -KL_NO_MEMORY;
    return 0;
}

int links_replace(struct store *s, struct resource *r, struct store_object *old, struct store_object *now)
{
    if (old)
        remove_links(s, old);
    if (!now)
        return 0;
    if (add_links(s, r, now) == 0)
        return 0;
    remove_links(s, now);
    return -KL_NO_MEMORY;
}

void store_owned(struct store *s, struct str uid, bool (*each)(void *ctx, struct str resource, struct store_object *o), void *ctx)
{
    const struct link_set *set = map_get(&s->by_owner, uid);
    for (unsigned i = 0; set && i < set->n; i++)
        if (!each(ctx, str_of(set->at[i].resource->name), set->at[i].object))
            return;
}

struct store_object *store_by_uid(struct store *s, struct str uid, struct str *ret_resource)
{
    const struct link_target *t = map_get(&s->by_uid, uid);
    if (t && ret_resource)
        *ret_resource = str_of(t->resource->name);
    return t ? t->object : NULL;
}

void links_free(struct store *s)
{
    size_t at = 0;
    void *v;
    while (map_next(&s->by_uid, &at, NULL, &v))
        mem_free(v);
    at = 0;
    while (map_next(&s->by_owner, &at, NULL, &v)) {
        mem_free(((struct link_set *)v)->at);
        mem_free(v);
    }
    map_free(&s->by_uid);
    map_free(&s->by_owner);
}
