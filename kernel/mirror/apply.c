/* apply.c - what the server told, into the store. Of two states of one object the one with the higher resourceVersion is right; they come from the
 * watch and from answers to our own writes, in any order. */
#include "base/json_scan.h"
#include "base/log.h"
#include "mirror-internal.h"

struct facts {
    struct str ns, name, uid;
    uint64_t revision;
};

static uint64_t number(struct str s)
{
    int64_t n = 0;
    return str_int(s, &n) && n > 0 ? (uint64_t)n : 0;
}

static struct str text_at(struct str object, const char *path)
{
    struct str s = json_scan_text(json_scan_path(object, path));
    return s.at ? s : STR("");
}

uint64_t apply_revision(struct str object)
{
    return number(text_at(object, "metadata.resourceVersion"));
}

static bool read_facts(const struct reflector *r, struct str object, struct facts *f)
{
    struct str meta = json_scan_member(object, STR("metadata"));
    *f = (struct facts){ .name = text_at(meta, "name"), .uid = text_at(meta, "uid"), .revision = number(text_at(meta, "resourceVersion")) };
    f->ns = r->kind->flags & K_NAMESPACED ? text_at(meta, "namespace") : STR("");
    return f->name.len && f->revision && (f->ns.len || !(r->kind->flags & K_NAMESPACED));
}

static struct str key_of(char *room, size_t size, struct str ns, struct str name)
{
    int n = snprintf(room, size, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
    return str_n(room, n > 0 && (size_t)n < size ? (size_t)n : 0);
}

static struct store_object *head(const struct reflector *r, struct str ns, struct str name)
{
    return store_head(r->mirror->store, str_of(r->kind->resource), ns, name);
}

static int commit(struct reflector *r, enum store_op_type type, struct str ns, struct str name, struct str json)
{
    struct store_op op = { .type = type, .resource = str_of(r->kind->resource), .ns = ns, .name = name, .json = json };
    struct kl_err err;
    kl_err_init(&err);
    int rc = store_commit(r->mirror->store, &op, 1, NULL, NULL, NULL, &err);
    if (rc < 0)
        log_error("mirror", "%s '" STR_FMT "': %s", r->kind->resource, STR_ARG(name), err.msg);
    return rc;
}

/* --- what we have deleted ourselves: a uid never comes back --- */

struct tomb {
    size_t key_len;
    char uid[64];
    char key[];
};

static void tomb_remove(struct reflector *r, struct str key)
{
    mem_free(map_del(&r->tombs, key));
}

static bool is_buried(struct reflector *r, struct str key, struct str uid)
{
    struct tomb *t = map_get(&r->tombs, key);
    if (!t)
        return false;
    if (str_is(uid, t->uid))
        return true;
    tomb_remove(r, key);
    return false;
}

static void bury(struct reflector *r, struct str key, struct str uid)
{
    struct tomb *t = mem_alloc(sizeof *t + key.len + 1);
    if (!t)
        return;
    tomb_remove(r, key);
    snprintf(t->uid, sizeof t->uid, STR_FMT, STR_ARG(uid));
    memcpy(t->key, key.at, key.len);
    t->key_len = key.len;
    if (!map_put(&r->tombs, str_n(t->key, t->key_len), t))
        mem_free(t);
}

static void tombs_clear(struct reflector *r)
{
    size_t at = 0;
    void *v;
    while (map_next(&r->tombs, &at, NULL, &v))
        mem_free(v);
    map_free(&r->tombs);
    r->tombs = (struct map){ 0 };
}

/* --- changes --- */

static void note_seen(struct reflector *r, struct str key)
{
    struct str kept = r->seen_arena ? arena_str(r->seen_arena, key) : STR_NONE;
    if (r->seen_arena)
        r->seen_lost |= !kept.at || !map_put(&r->seen, kept, r);
}

static int put(struct reflector *r, struct str object, const struct facts *f)
{
    struct store_object *old = head(r, f->ns, f->name);
    uint64_t before = old ? apply_revision(store_object_json(old)) : 0;
    if (old && (f->revision == before || (f->revision < before && !r->anew)))
        return 0;
    return commit(r, old ? STORE_UPDATE : STORE_CREATE, f->ns, f->name, object);
}

int apply_put(struct reflector *r, struct str object)
{
    struct facts f;
    char room[600];
    if (!read_facts(r, object, &f))
        return -KL_INVALID;
    struct str key = key_of(room, sizeof room, f.ns, f.name);
    note_seen(r, key);
    return is_buried(r, key, f.uid) ? 0 : put(r, object, &f);
}

int apply_delete(struct reflector *r, struct str object)
{
    struct facts f;
    char room[600];
    if (!read_facts(r, object, &f))
        return -KL_INVALID;
    tomb_remove(r, key_of(room, sizeof room, f.ns, f.name));
    struct store_object *old = head(r, f.ns, f.name);
    if (!old || apply_revision(store_object_json(old)) > f.revision)
        return 0;                       /* made again by us meanwhile */
    return commit(r, STORE_DELETE, f.ns, f.name, object);
}

void apply_list_begin(struct reflector *r)
{
    map_free(&r->seen);
    r->seen = (struct map){ 0 };
    arena_free(r->seen_arena);
    r->seen_arena = arena_new(0);
    r->seen_lost = !r->seen_arena;
}

struct sweep {
    struct reflector *r;
    uint64_t revision;
    struct store_object **at;
    size_t n, room;
};

static bool count(void *ctx, struct store_object *o)
{
    (void)o;
    ((struct sweep *)ctx)->room++;
    return true;
}

static bool pick(void *ctx, struct store_object *o)
{
    struct sweep *s = ctx;
    char room[600];
    struct str key = key_of(room, sizeof room, store_object_ns(o), store_object_name(o));
    if (s->r->name && !(str_is(store_object_name(o), s->r->name) && str_is(store_object_ns(o), s->r->ns)))
        return true;
    if (map_get(&s->r->seen, key) || (apply_revision(store_object_json(o)) > s->revision && !s->r->anew))
        return true;
    s->at[s->n++] = store_object_ref(o);
    return true;
}

void apply_list_end(struct reflector *r, uint64_t revision)
{
    struct str resource = str_of(r->kind->resource);
    struct store_range range = { .resource = resource, .head = true };
    struct sweep s = { .r = r, .revision = revision };
    store_list(r->mirror->store, &range, count, &s);
    s.at = !r->seen_lost ? mem_alloc((s.room + 1) * sizeof *s.at) : NULL;
    if (s.at)
        store_list(r->mirror->store, &range, pick, &s);
    for (size_t i = 0; i < s.n; i++) {
        commit(r, STORE_DELETE, store_object_ns(s.at[i]), store_object_name(s.at[i]), store_object_json(s.at[i]));
        store_object_unref(s.at[i]);
    }
    mem_free(s.at);
    map_free(&r->seen);
    r->seen = (struct map){ 0 };
    r->seen_arena = arena_free(r->seen_arena);
    tombs_clear(r);
    r->anew = false;
}

/* --- our own writes --- */

void apply_written(struct reflector *r, struct str object)
{
    struct facts f;
    char room[600];
    if (!r->synced || !read_facts(r, object, &f) || f.revision <= r->revision)      /* the watch has told it already */
        return;
    if (r->selector && !selector_matches_text(r->selector, object))
        return;
    if (!is_buried(r, key_of(room, sizeof room, f.ns, f.name), f.uid))
        put(r, object, &f);
}

void apply_deleted(struct reflector *r, struct str ns, struct str name)
{
    struct store_object *old = head(r, ns, name);
    char room[600];
    if (!old)
        return;
    store_object_ref(old);
    bury(r, key_of(room, sizeof room, ns, name), store_object_uid(old));
    commit(r, STORE_DELETE, ns, name, store_object_json(old));
    store_object_unref(old);
}

void apply_forget(struct reflector *r)
{
    struct store_object *old = head(r, str_of(r->ns), str_of(r->name));
    if (!old)
        return;
    store_object_ref(old);
    commit(r, STORE_DELETE, store_object_ns(old), store_object_name(old), store_object_json(old));
    store_object_unref(old);
}
