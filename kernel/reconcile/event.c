/* event.c - see event.h. Upstream's numbers: an equal event within its cache counts up one object; of those that differ in nothing but their
 * messages, nine are told and the others of ten minutes share one; each source has 25 events of a type about an object at once and then one in
 * 5 minutes. */
#include "reconcile/event.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/env.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/map.h"
#include "reconcile/call.h"

#define CACHE_MOST 4096
#define BURST 25
#define REFILL_NS (300 * NS_PER_S)
#define SIMILAR_MOST 9                  /* messages */
#define SIMILAR_NS (600 * NS_PER_S)     /* without one, and it begins anew */
#define COMBINED "(combined from similar events): "
#define MESSAGE_MOST 1024               /* bytes, as upstream's validation has it */

/* One entry serves as counter of equal events (key: everything), as set of similar ones (key: all but the message), or as bucket of a source
 * and an object. */
struct entry {
    struct list link;                   /* least recently used first */
    int64_t count;
    int64_t tokens, refilled_ns;
    int64_t last_ns;
    uint64_t messages[SIMILAR_MOST];    /* digests */
    unsigned n_messages;
    char first[CLOCK_TEXT], name[280], ns[80];
    size_t key_len;
    char key[];
};

struct cache {
    struct map map;
    struct list used;
    unsigned n;
};

struct event_recorder {
    struct loop *loop;
    struct objects *objects;
    struct cache equal, similar, buckets;
};

struct record {
    struct event_recorder *recorder;
    struct arena *arena;
    const char *who, *type, *reason, *message;
    struct str about;
    bool combined;
};

/* --- caches --- */

static void drop(struct cache *c, struct entry *e)
{
    map_del(&c->map, str_n(e->key, e->key_len));
    list_remove(&e->link);
    c->n--;
    mem_free(e);
}

static struct entry *lookup(struct cache *c, struct str key)
{
    struct entry *e = map_get(&c->map, key);
    if (e) {
        list_remove(&e->link);
        list_push(&c->used, &e->link);
        return e;
    }
    if (c->n == CACHE_MOST)
        drop(c, list_item(c->used.next, struct entry, link));
    e = mem_alloc(sizeof *e + key.len + 1);
    if (!e)
        return NULL;
    memcpy(e->key, key.at, key.len);
    e->key_len = key.len;
    e->tokens = BURST;
    list_push(&c->used, &e->link);
    c->n++;
    if (!map_put(&c->map, str_n(e->key, key.len), e)) {
        drop(c, e);
        return NULL;
    }
    return e;
}

static bool take_token(struct event_recorder *r, struct str key)
{
    struct entry *b = lookup(&r->buckets, key);
    int64_t now = env_mono_ns();
    if (!b)
        return false;
    if (!b->refilled_ns)
        b->refilled_ns = now;
    int64_t more = (now - b->refilled_ns) / REFILL_NS;
    b->refilled_ns += more * REFILL_NS;
    b->tokens = b->tokens + more > BURST ? BURST : b->tokens + more;
    if (!b->tokens)
        return false;
    b->tokens--;
    return true;
}

/* Is it one of more similar ones than are told each by itself? */
static bool is_combined(struct entry *s, const char *message)
{
    static const uint64_t key[2] = { 0x6b65656c, 0x736f6e };
    uint64_t digest = hash_sip(key, message, strlen(message));
    int64_t now = env_mono_ns();
    if (now - s->last_ns > SIMILAR_NS)
        s->n_messages = 0;
    s->last_ns = now;
    for (unsigned i = 0; i < s->n_messages; i++)
        if (s->messages[i] == digest)
            return false;
    if (s->n_messages == SIMILAR_MOST)
        return true;
    s->messages[s->n_messages++] = digest;
    return false;
}

/* --- writing --- */

static struct str message_of(const struct record *x)
{
    char *m = x->combined ? arena_printf(x->arena, COMBINED "%s", x->message) : NULL;
    struct str s = str_of(m ? m : x->message);
    return s.len > MESSAGE_MOST ? str_n(s.at, MESSAGE_MOST) : s;
}

static int count_up(struct record *x, struct entry *e, const char *now)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    struct kl_call c;
    host_call_init(&c, x->arena, x->who);
    struct kl_object_key k = { sizeof k, "/events", e->ns, e->name, NULL };
    struct val *v = val_new(x->arena, VAL_OBJ);
    json_set_int(x->arena, v, STR("count"), e->count);
    json_set_str(x->arena, v, STR("lastTimestamp"), str_of(now));
    if (x->combined)
        json_set_str(x->arena, v, STR("message"), message_of(x));
    json_write(&b, v);
    struct objects *o = x->recorder->objects;
    return o->ops->patch(o, x->who, &c, &k, KL_PATCH_MERGE, (struct kl_bytes){ b.at, b.len }, NULL);
}

static struct val *event_tree(struct record *x, const struct entry *e, const struct val *about, const char *now)
{
    struct arena *a = x->arena;
    struct val *v = val_new(a, VAL_OBJ), *m, *ref;
    json_set_str(a, v, STR("kind"), STR("Event"));
    json_set_str(a, v, STR("apiVersion"), STR("v1"));
    m = json_obj(a, v, STR("metadata"));
    json_set_str(a, m, STR("name"), str_of(e->name));
    json_set_str(a, m, STR("namespace"), str_of(e->ns));
    ref = json_set(a, v, STR("involvedObject"), val_copy(a, about));
    if (!ref)
        return NULL;
    json_set_str(a, v, STR("reason"), str_of(x->reason));
    json_set_str(a, v, STR("message"), message_of(x));
    json_set_str(a, json_obj(a, v, STR("source")), STR("component"), str_of(x->who));
    json_set_str(a, v, STR("firstTimestamp"), str_of(e->first));
    json_set_str(a, v, STR("lastTimestamp"), str_of(now));
    json_set_int(a, v, STR("count"), e->count);
    json_set_str(a, v, STR("type"), str_of(x->type));
    if (!x->combined)
        json_set_str(a, v, STR("reportingComponent"), str_of(x->who));
    return v;
}

static void name_event(struct entry *e, const struct val *about, const char *now)
{
    struct str ns = json_str(about, "namespace"), name = json_str(about, "name");
    memcpy(e->first, now, sizeof e->first);
    snprintf(e->ns, sizeof e->ns, STR_FMT, STR_ARG(ns.len ? ns : STR("default")));
    snprintf(e->name, sizeof e->name, "%.*s.%llx", (int)(name.len > 230 ? 230 : name.len), name.at ? name.at : "",
             (unsigned long long)env_wall_ns());
}

static void create(struct record *x, struct entry *e, const struct val *about, const char *now)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    struct kl_call c;
    host_call_init(&c, x->arena, x->who);
    struct val *v = event_tree(x, e, about, now);
    if (!v)
        return;
    json_write(&b, v);
    struct objects *o = x->recorder->objects;
    struct kl_object_key k = { sizeof k, "/events", e->ns, e->name, NULL };
    o->ops->create(o, x->who, &c, &k, (struct kl_bytes){ b.at, b.len }, NULL);
}

static void write_event(struct record *x)
{
    char now[CLOCK_TEXT];
    struct kl_err err;
    kl_err_init(&err);
    struct arena *a = x->arena;
    struct val *about = json_parse(a, x->about, &err);
    char *source = arena_printf(a, "%s|%s|" STR_FMT "|" STR_FMT "|" STR_FMT, x->who, x->type, STR_ARG(json_str(about, "uid")),
                                STR_ARG(json_str(about, "namespace")), STR_ARG(json_str(about, "name")));
    char *all = arena_printf(a, "%s|%s", source, x->reason);
    char *each = arena_printf(a, "%s|" STR_FMT "|%s", all, STR_ARG(json_str(about, "fieldPath")), x->message);
    struct entry *s = about && source && all && each ? lookup(&x->recorder->similar, str_of(all)) : NULL;
    if (!s)
        return;
    x->combined = is_combined(s, x->message);
    struct entry *e = lookup(&x->recorder->equal, str_of(x->combined ? all : each));
    if (!e)
        return;
    clock_format(env_wall_ns(), now);
    if (!e->count++)
        name_event(e, about, now);
    if (!take_token(x->recorder, str_of(source)))
        return;
    if (e->count == 1 || count_up(x, e, now) < 0)       /* new, or the earlier object has expired */
        create(x, e, about, now);
}

static void write_and_free(void *ctx)
{
    struct record *x = ctx;
    write_event(x);
    arena_free(x->arena);
}

struct event_recorder *event_recorder_new(struct loop *l, struct objects *o)
{
    struct event_recorder *r = mem_alloc(sizeof *r);
    if (!r)
        return NULL;
    r->loop = l;
    r->objects = o;
    list_init(&r->equal.used);
    list_init(&r->similar.used);
    list_init(&r->buckets.used);
    return r;
}

static void cache_free(struct cache *c)
{
    while (c->n)
        drop(c, list_item(c->used.next, struct entry, link));
    map_free(&c->map);
}

void event_recorder_free(struct event_recorder *r)
{
    if (!r)
        return;
    cache_free(&r->equal);
    cache_free(&r->similar);
    cache_free(&r->buckets);
    mem_free(r);
}

static struct record *record_new(struct event_recorder *r, const char *who, struct str about, const char *type, const char *reason,
                                 const char *message)
{
    struct arena *a = arena_new(1 << 20);
    struct record *x = a ? arena_alloc(a, sizeof *x) : NULL;
    if (x)
        *x = (struct record){ .recorder = r, .arena = a, .who = arena_dup(a, str_of(who)), .type = arena_dup(a, str_of(type)),
                              .reason = arena_dup(a, str_of(reason)), .message = arena_dup(a, str_of(message)), .about = arena_str(a, about) };
    if (x && !arena_exhausted(a))
        return x;
    arena_free(a);
    return NULL;
}

void event_record(struct event_recorder *r, const char *who, struct str about, const char *type, const char *reason, const char *message)
{
    struct record *x = record_new(r, who, about, type, reason, message);
    if (x)
        loop_post(r->loop, write_and_free, x);
}

void event_write(struct event_recorder *r, const char *who, struct str about, const char *type, const char *reason, const char *message)
{
    struct record *x = record_new(r, who, about, type, reason, message);
    if (x)
        write_and_free(x);
}
