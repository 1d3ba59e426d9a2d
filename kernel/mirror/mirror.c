/* mirror.c - see mirror.h: what is held, and its beginning and end. */
#include "mirror-internal.h"

#define HISTORY 4096                    /* sources read every turn; who falls behind looks at everything again */
#define HISTORY_BYTES ((size_t)1 << 20)

int mirror_new(const struct mirror_conf *c, struct mirror **ret, struct kl_err *err)
{
    struct mirror *m = mem_alloc(sizeof *m);
    struct store_conf sc = { .history = HISTORY, .history_bytes = HISTORY_BYTES };
    if (!m)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    m->conf = *c;
    list_init(&m->reflectors);
    list_init(&m->asking);
    int rc = store_open(c->loop, &sc, &m->store, err);
    if (rc == 0)
        rc = mirror_objects_new(m, &m->objects, err);
    if (rc < 0) {
        mirror_free(m);
        return rc;
    }
    *ret = m;
    return 0;
}

struct reflector *mirror_find(struct mirror *m, const struct schema_kind *k)
{
    list_each(node, &m->reflectors)
    {
        struct reflector *r = list_item(node, struct reflector, link);
        if (r->kind == k && !r->name)
            return r;
    }
    return NULL;
}

static struct reflector *find_one(struct mirror *m, const struct schema_kind *k, struct str ns, struct str name)
{
    list_each(node, &m->reflectors)
    {
        struct reflector *r = list_item(node, struct reflector, link);
        if (r->kind == k && r->name && str_is(name, r->name) && str_is(ns, r->ns))
            return r;
    }
    return NULL;
}

struct reflector *mirror_find_for(struct mirror *m, const struct schema_kind *k, struct str ns, struct str name)
{
    struct reflector *r = mirror_find(m, k);
    if (r && !r->synced)
        r = m->n_ones ? find_one(m, k, ns, name) : NULL;
    return r && r->synced ? r : NULL;
}

static struct reflector *reflector_new(struct mirror *m, const struct schema_kind *k)
{
    struct reflector *r = mem_alloc(sizeof *r);
    if (!r)
        return NULL;
    r->mirror = m;
    r->kind = k;
    r->line.max = FRAME_MOST;
    list_push(&m->reflectors, &r->link);
    return r;
}

/* Without memory it goes on being asked for directly. */
void mirror_hold_one(struct mirror *m, const struct schema_kind *k, struct str ns, struct str name)
{
    struct reflector *whole = mirror_find(m, k);
    char selector[300];
    if (!whole || whole->state != REFLECTOR_REFUSED || m->stopping || m->n_ones >= ONES_MOST || !name.len || name.len > 253 || find_one(m, k, ns, name))
        return;
    struct reflector *r = reflector_new(m, k);
    if (!r)
        return;
    m->n_ones++;
    snprintf(selector, sizeof selector, "metadata.name=" STR_FMT, STR_ARG(name));
    r->settled = true;
    r->name = mem_dup(name.at, name.len);
    r->ns = mem_dup(ns.at ? ns.at : "", ns.len);
    r->selector_text = mem_dup(selector, strlen(selector));
    if (r->name && r->ns && r->selector_text)
        reflector_start(r);
    else
        reflector_free(r);
}

void mirror_drop_ones(struct mirror *m, const struct schema_kind *k)
{
    list_each(node, &m->reflectors)
    {
        struct reflector *r = list_item(node, struct reflector, link);
        if (r->kind == k && r->name)
            reflector_free(r);
    }
}

static int set_selector(struct reflector *r, const char *text, struct kl_err *err)
{
    if (!text)
        return 0;
    r->selector_text = mem_dup(text, strlen(text));
    r->arena = arena_new(1 << 20);
    if (!r->selector_text || !r->arena)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    r->selector = selector_parse_fields(r->arena, r->kind, str_of(r->selector_text), err);
    return r->selector ? 0 : -err->code;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Two want different parts of it: then all of it is held, and listed once more. */
static void widen(struct reflector *r)
{
    mem_free(r->selector_text);
    r->selector_text = NULL;
    r->selector = NULL;
    r->arena = arena_free(r->arena);
    r->synced = r->settled = false;
    r->revision = 0;
    reflector_start(r);
}

int mirror_hold(struct mirror *m, const char *resource, const char *field_selector, struct kl_err *err)
{
    const struct schema_kind *k = schema_resource_by_name(str_of(resource));
    if (!k)
        return kl_err_set(err, KL_NOT_FOUND, "'%s' is not a resource; its name is \"group/plural\"", resource);
    if (k->storage != k)
        return kl_err_set(err, KL_UNSUPPORTED, "'%s' cannot be held: it is another form of '%s'", resource, k->storage->resource);
    struct reflector *r = mirror_find(m, k);
    if (r) {
        if (r->selector_text && !same_text(r->selector_text, field_selector))
            widen(r);
        return 0;
    }
    r = reflector_new(m, k);
    if (!r)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    int rc = set_selector(r, field_selector, err);
    if (rc < 0) {
        reflector_free(r);
        return rc;
    }
    reflector_start(r);
    return 0;
}

void mirror_settled(struct mirror *m)
{
    loop_fn fn = m->synced;
    list_each(node, &m->reflectors)
    {
        if (!list_item(node, struct reflector, link)->settled)
            return;
    }
    if (!fn)
        return;
    m->synced = NULL;
    loop_post(m->conf.loop, fn, m->synced_ctx);         /* behind the turn in which the store shows what was listed */
}

void mirror_on_synced(struct mirror *m, loop_fn fn, void *ctx)
{
    m->synced = fn;
    m->synced_ctx = ctx;
    mirror_settled(m);
}

struct store *mirror_store(struct mirror *m)
{
    return m->store;
}

struct objects *mirror_objects(struct mirror *m)
{
    return mirror_objects_public(m->objects);
}

void mirror_stop(struct mirror *m, loop_fn gone, void *ctx)
{
    m->stopping = true;
    m->synced = NULL;
    mirror_objects_stop(m, gone, ctx);
}

void mirror_free(struct mirror *m)
{
    if (!m)
        return;
    while (!list_empty(&m->reflectors))
        reflector_free(list_item(m->reflectors.next, struct reflector, link));
    mirror_objects_free(m->objects);
    store_close(m->store);
    mem_free(m);
}

struct val *mirror_debug(struct mirror *m, struct arena *a)
{
    struct val *v = val_new(a, VAL_OBJ), *list = json_arr(a, v, STR("resources"));
    list_each(node, &m->reflectors)
    {
        struct reflector *r = list_item(node, struct reflector, link);
        struct val *one = val_push(list, val_new(a, VAL_OBJ));
        json_set_str(a, one, STR("resource"), str_of(r->kind->resource));
        json_set_str(a, one, STR("selector"), str_of(r->selector_text ? r->selector_text : ""));
        json_set_str(a, one, STR("state"), str_of(reflector_state_text(r)));
        json_set_str(a, one, STR("revision"), str_of(arena_uint(a, r->revision)));
        json_set_int(a, one, STR("objects"), (int64_t)store_count(m->store, str_of(r->kind->resource)));
        json_set_int(a, one, STR("lists"), (int64_t)r->n_lists);
        json_set_int(a, one, STR("watches"), (int64_t)r->n_watches);
        json_set_int(a, one, STR("failures"), (int64_t)r->n_failures);
        if (r->last_error[0])
            json_set_str(a, one, STR("lastError"), arena_str(a, str_of(r->last_error)));
    }
    return v;
}
