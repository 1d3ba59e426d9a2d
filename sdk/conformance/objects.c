/* objects.c - keelson.host.objects/0 over a list in memory: revisions, uids, conflicts, selectors, patches and finalizers as the API has them; no
 * validation, no defaults. */
#include "base/cleanup.h"
#include "host-internal.h"
#include "object/object.h"
#include "reconcile/objects.h"

static struct test_host *of(const struct kl_host *h)
{
    return h->ctx;
}

static struct host_object *find(struct test_host *h, const struct kl_object_key *k)
{
    for (unsigned i = 0; i < h->n; i++)
        if (h->at[i].v && strcmp(h->at[i].resource, k->resource) == 0 && str_is(json_str(h->at[i].v, "metadata.name"), k->name ? k->name : "") &&
            str_is(json_str(h->at[i].v, "metadata.namespace"), k->ns ? k->ns : ""))
            return &h->at[i];
    return NULL;
}

static int not_found(struct kl_call *c, const struct kl_object_key *k)
{
    struct str rest = str_of(k->resource), group = str_cut(&rest, '/');
    return kl_fail(c, KL_NOT_FOUND, STR_FMT "%s" STR_FMT " \"%s\" not found", STR_ARG(rest), group.len ? "." : "", STR_ARG(group), k->name ? k->name : "");
}

static int hand_out(struct kl_call *c, const struct val *v, struct kl_bytes *ret)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    if (!ret)
        return 0;
    json_write(&b, v);
    *ret = (struct kl_bytes){ b.failed ? NULL : kl_dup(c, b.at, b.len), b.len };
    return ret->at ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static void stamp(struct test_host *h, struct val *v)
{
    struct val *meta = json_obj(h->arena, v, STR("metadata"));
    json_set_str(h->arena, meta, STR("resourceVersion"), str_of(arena_uint(h->arena, ++h->revision)));
    if (!json_str(meta, "uid").len)
        json_set_str(h->arena, meta, STR("uid"), str_of(arena_printf(h->arena, "uid-%llu", (unsigned long long)h->revision)));
    if (!json_str(meta, "creationTimestamp").len)
        json_set_str(h->arena, meta, STR("creationTimestamp"), STR("2026-01-01T00:00:00Z"));
}

static bool add(struct test_host *h, const char *resource, struct val *v)
{
    if (h->n == h->cap) {
        unsigned cap = h->cap ? h->cap * 2 : 32;
        struct host_object *at = mem_resize(h->at, cap * sizeof *at);
        if (!at)
            return false;
        h->at = at;
        h->cap = cap;
    }
    stamp(h, v);
    h->at[h->n++] = (struct host_object){ resource, v };
    return true;
}

bool test_objects_put(struct test_host *h, const char *resource, const char *json)
{
    struct val *v = json_parse(h->arena, str_of(json), NULL);
    return v && add(h, resource, v);
}

static struct val *parse(struct test_host *h, struct kl_call *c, struct kl_bytes b)
{
    struct str copy = arena_str(h->arena, str_n(b.at, b.len));
    struct val *v = copy.at ? json_parse(h->arena, copy, &c->err) : NULL;
    if (v && v->type != VAL_OBJ && v->type != VAL_ARR) {
        kl_fail(c, KL_BAD_REQUEST, "an object is no object");
        return NULL;
    }
    return v;
}

/* --- reads --- */

static int get(const struct kl_host *host, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes *ret)
{
    struct test_host *h = of(host);
    if (test_host_fails(host, c))
        return -KL_UNAVAILABLE;
    pthread_mutex_lock(&h->lock);
    struct host_object *o = find(h, k);
    int rc = o ? hand_out(c, o->v, ret) : not_found(c, k);
    pthread_mutex_unlock(&h->lock);
    return rc;
}

static bool owned_by(const struct val *v, const char *uid)
{
    struct val *refs = json_path(v, "metadata.ownerReferences");
    if (val_is(refs, VAL_ARR))
        val_each(r, refs)
            if (str_is(json_str(r, "uid"), uid))
                return true;
    return false;
}

static bool wanted(const struct host_object *x, const struct kl_list_options *o, const struct selector *labels, const struct selector *fields)
{
    return x->v && (!o->resource || strcmp(o->resource, x->resource) == 0) && (!o->ns || str_is(json_str(x->v, "metadata.namespace"), o->ns)) &&
           (!o->owner_uid || owned_by(x->v, o->owner_uid)) && (!labels || selector_matches_labels(labels, json_path(x->v, "metadata.labels"))) &&
           (!fields || selector_matches_fields(fields, x->v));
}

static int list(const struct kl_host *host, struct kl_call *c, const struct kl_list_options *o, struct kl_object_list *ret)
{
    struct test_host *h = of(host);
    _cleanup_arena_ struct arena *a = arena_new(0);
    const struct schema_kind *k = o->resource ? schema_resource_by_name(str_of(o->resource)) : NULL;
    struct selector *labels = NULL, *fields = NULL;
    if (test_host_fails(host, c))
        return -KL_UNAVAILABLE;
    if (!a || (o->label_selector && !(labels = selector_parse_labels(a, str_of(o->label_selector), &c->err, NULL))) ||
        (k && o->field_selector && !(fields = selector_parse_fields(a, k, str_of(o->field_selector), &c->err))))
        return a ? -c->err.code : kl_fail(c, KL_NO_MEMORY, "out of memory");
    pthread_mutex_lock(&h->lock);
    struct kl_bytes *at = kl_alloc(c, (h->n + 1) * sizeof *at);
    int rc = at ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
    ret->n = 0;
    for (unsigned i = 0; i < h->n && rc == 0; i++)
        if (wanted(&h->at[i], o, labels, fields) && (rc = hand_out(c, h->at[i].v, &at[ret->n])) == 0)
            ret->n++;
    ret->at = at;
    ret->revision = h->revision;
    pthread_mutex_unlock(&h->lock);
    return rc;
}

/* --- writes --- */

static int create_locked(struct test_host *h, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes obj, struct kl_bytes *ret)
{
    struct val *v = parse(h, c, obj), *meta = v ? json_obj(h->arena, v, STR("metadata")) : NULL;
    struct kl_object_key key = *k;
    if (!meta)
        return -c->err.code;
    if (k->subresource && *k->subresource)
        return hand_out(c, v, ret);     /* a binding, an eviction, a token */
    if (!json_str(meta, "name").len)
        json_set_str(h->arena, meta, STR("name"),
                     str_of(arena_printf(h->arena, STR_FMT "%llu", STR_ARG(json_str(meta, "generateName")), (unsigned long long)h->revision)));
    if (k->ns && *k->ns)
        json_set_str(h->arena, meta, STR("namespace"), arena_str(h->arena, str_of(k->ns)));
    key.name = arena_dup(h->arena, json_str(meta, "name"));
    if (find(h, &key))
        return kl_fail(c, KL_ALREADY_EXISTS, "%s \"%s\" already exists", k->resource, key.name);
    if (!add(h, arena_dup(h->arena, str_of(k->resource)), v))
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    return hand_out(c, v, ret);
}

/* Without its last finalizer an object that is being deleted goes. */
static int put_back(struct test_host *h, struct kl_call *c, struct host_object *o, struct val *v, struct kl_bytes *ret)
{
    const struct val *finalizers = json_path(v, "metadata.finalizers");
    stamp(h, v);
    o->v = v;
    int rc = hand_out(c, v, ret);
    if (json_path(v, "metadata.deletionTimestamp") && (!finalizers || !finalizers->n))
        o->v = NULL;
    return rc;
}

static int update_locked(struct test_host *h, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes obj, struct kl_bytes *ret)
{
    struct host_object *o = find(h, k);
    struct val *v = o ? parse(h, c, obj) : NULL;
    if (!o)
        return not_found(c, k);
    if (!v)
        return -c->err.code;
    struct str rv = json_str(v, "metadata.resourceVersion");
    if (rv.len && !str_eq(rv, json_str(o->v, "metadata.resourceVersion")))
        return kl_fail(c, KL_CONFLICT, "the object has been modified; please apply your changes to the latest version and try again");
    return put_back(h, c, o, v, ret);
}

static int patch_locked(struct test_host *h, struct kl_call *c, const struct kl_object_key *k, int32_t type, struct kl_bytes patch, struct kl_bytes *ret)
{
    struct host_object *o = find(h, k);
    struct val *p = o ? parse(h, c, patch) : NULL, *v = NULL;
    const struct schema_kind *kind = schema_resource_by_name(str_of(k->resource));
    if (!o)
        return not_found(c, k);
    if (p && type == KL_PATCH_JSON)
        v = object_patch_json(h->arena, o->v, p, &c->err);
    else if (p && type == KL_PATCH_STRATEGIC && kind)
        v = object_patch_strategic(h->arena, kind->type, o->v, p, &c->err);
    else if (p)
        v = object_patch_merge(h->arena, o->v, p, &c->err);
    return v ? put_back(h, c, o, v, ret) : -c->err.code;
}

static int remove_locked(struct test_host *h, struct kl_call *c, const struct kl_object_key *k, const struct kl_delete_options *opt)
{
    struct host_object *o = find(h, k);
    if (!o)
        return not_found(c, k);
    if (opt && opt->uid && !str_is(json_str(o->v, "metadata.uid"), opt->uid))
        return kl_fail(c, KL_CONFLICT, "another object has that name");
    const struct val *finalizers = json_path(o->v, "metadata.finalizers");
    if (finalizers && finalizers->n) {
        json_set_str(h->arena, json_obj(h->arena, o->v, STR("metadata")), STR("deletionTimestamp"), STR("2026-01-01T00:00:00Z"));
        stamp(h, o->v);
    } else {
        o->v = NULL;
    }
    return 0;
}

#define WRITE(name, more, given) \
    static int name##_(const struct kl_host *host, struct kl_call *c, const struct kl_object_key *k more) \
    { \
        struct test_host *h = of(host); \
        if (test_host_fails(host, c)) \
            return -KL_UNAVAILABLE; \
        pthread_mutex_lock(&h->lock); \
        h->writes++; \
        int rc = name##_locked(h, c, k given); \
        pthread_mutex_unlock(&h->lock); \
        return rc; \
    }
#define AND ,
WRITE(create, AND struct kl_bytes obj AND struct kl_bytes *ret, AND obj AND ret)
WRITE(update, AND struct kl_bytes obj AND struct kl_bytes *ret, AND obj AND ret)
WRITE(patch, AND int32_t type AND struct kl_bytes p AND struct kl_bytes *ret, AND type AND p AND ret)
WRITE(remove, AND const struct kl_delete_options *o, AND o)

static void event(const struct kl_host *h, struct kl_bytes about, const char *type, const char *reason, const char *message)
{
    (void)h;
    (void)about;
    (void)type;
    (void)reason;
    (void)message;
}

static int resources(const struct kl_host *h, struct kl_call *c, const char *const **ret)
{
    return test_host_fails(h, c) ? -KL_UNAVAILABLE : objects_resources(c, ret);
}

static int kind(const struct kl_host *h, struct kl_call *c, const char *resource, const char *api_version, const char *name, struct kl_kind *ret)
{
    return test_host_fails(h, c) ? -KL_UNAVAILABLE : objects_kind(c, resource, api_version, name, ret);
}

const struct kl_host_objects test_objects_table = { sizeof test_objects_table, get, list, create_, update_, patch_, remove_, event, resources, kind };
