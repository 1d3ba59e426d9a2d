/* objects.c - reads of keelson.host.objects/0 over a store. Bytes are shared with the store where the call's arena is the host's (it keeps
 * a reference until it ends), else copied. */
#include "reconcile/objects.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "object/object.h"
#include "reconcile/call.h"

static int hand_out(struct kl_call *c, struct store_object *o, struct kl_bytes *ret)
{
    struct arena *a = host_call_arena(c);
    struct str s = store_object_json(o);
    if (a) {
        store_object_ref(o);
        if (!arena_cleanup(a, store_object_release, o)) {
            store_object_unref(o);
            return kl_fail(c, KL_NO_MEMORY, "out of memory");
        }
        *ret = (struct kl_bytes){ s.at, s.len };
        return 0;
    }
    char *copy = kl_dup(c, s.at, s.len);
    *ret = (struct kl_bytes){ copy, s.len };
    return copy ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int no_kind(struct kl_call *c, const char *resource)
{
    return kl_fail(c, KL_NOT_FOUND, "'%s' is not a resource; its name is \"group/plural\"", resource ? resource : "");
}

int objects_read(struct store *s, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes *ret)
{
    const struct schema_kind *kind = schema_resource_by_name(str_of(k->resource));
    if (!kind)
        return no_kind(c, k->resource);
    struct str ns = kind->flags & K_NAMESPACED ? str_of(k->ns ? k->ns : "") : STR("");
    struct store_object *o = store_head(s, str_of(kind->storage->resource), ns, str_of(k->name));
    if (!o)
        return kl_fail(c, KL_NOT_FOUND, "%s%s%s \"%s\" not found", kind->plural, kind->group[0] ? "." : "", kind->group, k->name);
    return hand_out(c, o, ret);
}

/* --- lists --- */

struct gathering {
    struct kl_call *call;
    struct selector *labels, *fields;
    struct str resource, ns;            /* of an owner's dependents; at NULL: all */
    struct store_object **at;
    uint32_t n, cap;
    bool failed;
};

static bool gather(void *ctx, struct store_object *o)
{
    struct gathering *g = ctx;
    if ((g->labels && !selector_matches_text(g->labels, store_object_json(o))) ||
        (g->fields && !selector_matches_text(g->fields, store_object_json(o))))
        return true;
    if (g->n == g->cap) {
        uint32_t cap = g->cap ? g->cap * 2 : 32;
        struct store_object **at = mem_resize(g->at, cap * sizeof *at);
        if (!at) {
            g->failed = true;
            return false;
        }
        g->at = at;
        g->cap = cap;
    }
    g->at[g->n++] = o;
    return true;
}

static bool gather_owned(void *ctx, struct str resource, struct store_object *o)
{
    struct gathering *g = ctx;
    if ((g->resource.at && !str_eq(resource, g->resource)) || (g->ns.at && !str_eq(g->ns, store_object_ns(o))))
        return true;
    return gather(ctx, o);
}

static int by_key(const void *a, const void *b)
{
    struct store_object *x = *(struct store_object *const *)a, *y = *(struct store_object *const *)b;
    int n = str_cmp(store_object_ns(x), store_object_ns(y));
    return n ? n : str_cmp(store_object_name(x), store_object_name(y));
}

static int selectors(struct arena *a, struct kl_call *c, const struct schema_kind *k, const struct kl_list_options *o, struct gathering *g)
{
    if (o->label_selector && !(g->labels = selector_parse_labels(a, str_of(o->label_selector), &c->err, NULL)))
        return -c->err.code;
    if (o->field_selector && !(g->fields = selector_parse_fields(a, k, str_of(o->field_selector), &c->err)))
        return -c->err.code;
    return 0;
}

static int hand_out_all(struct kl_call *c, struct gathering *g, struct kl_object_list *ret)
{
    struct kl_bytes *at = kl_alloc(c, (g->n + 1) * sizeof *at);
    if (!at || g->failed)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    for (uint32_t i = 0; i < g->n; i++) {
        int rc = hand_out(c, g->at[i], &at[i]);
        if (rc < 0)
            return rc;
    }
    ret->n = g->n;
    ret->at = at;
    return 0;
}

static int list_dependents(struct store *s, struct kl_call *c, const struct kl_list_options *o, struct kl_object_list *ret)
{
    struct gathering g = { .call = c, .ns = o->ns ? str_of(o->ns) : STR_NONE };
    if (!o->owner_uid || o->label_selector || o->field_selector)
        return kl_fail(c, KL_BAD_REQUEST, "a list of all resources is by owner_uid, and by nothing else");
    store_owned(s, str_of(o->owner_uid), gather_owned, &g);
    if (g.n)
        qsort(g.at, g.n, sizeof *g.at, by_key);
    ret->revision = store_revision(s);
    int rc = hand_out_all(c, &g, ret);
    mem_free(g.at);
    return rc;
}

int objects_list(struct store *s, struct kl_call *c, const struct kl_list_options *o, struct kl_object_list *ret)
{
    if (!o->resource)
        return list_dependents(s, c, o, ret);
    _cleanup_arena_ struct arena *a = arena_new(1 << 20);
    const struct schema_kind *k = schema_resource_by_name(str_of(o->resource));
    struct gathering g = { .call = c };
    if (!a)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (!k)
        return no_kind(c, o->resource);
    int rc = selectors(a, c, k, o, &g);
    if (rc < 0)
        return rc;
    g.resource = str_of(k->storage->resource);
    g.ns = o->ns && k->flags & K_NAMESPACED ? str_of(o->ns) : STR_NONE;
    if (o->owner_uid) {
        store_owned(s, str_of(o->owner_uid), gather_owned, &g);
        if (g.n)
            qsort(g.at, g.n, sizeof *g.at, by_key);
    } else {
        struct store_range r = { .resource = g.resource, .ns = g.ns, .head = true };
        store_list(s, &r, gather, &g);
    }
    ret->revision = store_revision(s);
    rc = hand_out_all(c, &g, ret);
    mem_free(g.at);
    return rc;
}

int objects_resources(struct kl_call *c, const char *const **ret)
{
    size_t n = schema_n_kinds(), used = 0;
    const char **at = kl_alloc(c, (n + 1) * sizeof *at);
    if (!at)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++) {
        const struct schema_kind *k = schema_kind_at(i);
        if (k->flags & K_STORED && k->storage == k)
            at[used++] = k->resource;
    }
    *ret = at;
    return 0;
}

/* References may name a version that is served no more: the group counts. */
static const struct schema_kind *kind_of(const char *api_version, const char *kind)
{
    struct str version = str_of(api_version), group = STR("");
    if (str_find(version, '/') >= 0)
        group = str_cut(&version, '/');
    const struct schema_kind *k = schema_kind_find(group, version, str_of(kind));
    for (size_t i = 0; !k && i < schema_n_kinds(); i++)
        if (str_is(group, schema_kind_at(i)->group) && strcmp(kind, schema_kind_at(i)->kind) == 0)
            k = schema_kind_at(i);
    return k;
}

int objects_kind(struct kl_call *c, const char *resource, const char *api_version, const char *kind, struct kl_kind *ret)
{
    const struct schema_kind *k = resource ? schema_resource_by_name(str_of(resource)) : kind_of(api_version, kind);
    if (!k || !k->storage || !(k->storage->flags & K_STORED))
        return resource ? no_kind(c, resource) : kl_fail(c, KL_NOT_FOUND, "there is no kind \"%s\" in \"%s\"", kind, api_version);
    *ret = (struct kl_kind){ sizeof *ret, k->storage->resource, k->storage->flags & K_NAMESPACED ? KL_KIND_NAMESPACED : 0 };
    return 0;
}
