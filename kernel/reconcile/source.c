/* source.c - see source.h. */
#include "reconcile/source.h"

#include "base/cleanup.h"
#include "base/env.h"
#include "base/json_scan.h"
#include "base/log.h"
#include "object/object.h"
#include "reconcile/call.h"

struct source {
    struct source_conf conf;
    struct store *store;
    struct store_watch *watch;
    struct arena *arena;                /* the selector; NULL: none. A cluster of a thousand kinds has some thousands of sources */
    struct selector *fields;
    char *resource;
    struct str owner_kind;              /* at NULL: not by owner */
    bool by_map;
    /* The first look at what is there, in portions: others have their turns between them. */
    struct loop_timer timer;
    struct buf after;                   /* ns, a zero, name of the last one seen */
    size_t after_ns;
    unsigned seen;
    int64_t until_ns;
    bool missed;                        /* this look is not the first */
};

#define PORTION_NS (2 * NS_PER_MS)
#define LOOK_EACH  16u                  /* objects between looks at the clock */

/* --- a change to keys --- */

/* "ns/name", or "name" without a namespace. */
static void give_key(struct source *x, struct str ns, struct str name)
{
    char key[600];
    if (!ns.len) {
        x->conf.key(x->conf.ctx, name);
        return;
    }
    if (ns.len + 1 + name.len > sizeof key)
        return;
    memcpy(key, ns.at, ns.len);
    key[ns.len] = '/';
    memcpy(key + ns.len + 1, name.at, name.len);
    x->conf.key(x->conf.ctx, str_n(key, ns.len + 1 + name.len));
}

/* The controlling owner, when it is of the wanted kind. */
static void owner_key(struct source *x, struct store_object *o)
{
    struct str refs = store_object_from(o, store_object_places(o)->owners), ref;
    while (refs.at && json_scan_item(&refs, &ref)) {
        struct str kind = json_scan_text(json_scan_member(ref, STR("kind"))), name = json_scan_text(json_scan_member(ref, STR("name")));
        if (!str_is(json_scan_member(ref, STR("controller")), "true") || !str_eq(kind, x->owner_kind))
            continue;
        give_key(x, store_object_ns(o), name);
        return;
    }
}

static struct kl_bytes bytes_of(struct store_object *o)
{
    struct str s = o ? store_object_json(o) : STR("");
    return (struct kl_bytes){ s.at, s.len };
}

static void mapped_keys(struct source *x, struct store_object *old, struct store_object *o, bool deleted)
{
    _cleanup_arena_ struct arena *a = arena_new(HOST_CALL_BYTES);
    struct kl_bytes out = { NULL, 0 };
    struct kl_call c;
    if (!a)
        return;
    host_call_init(&c, a, x->conf.name);
    c.flags |= (deleted ? KL_CALL_DELETED : 0) | (x->missed ? KL_CALL_MISSED : 0);
    c.places = store_object_places(o);
    if (x->conf.table->map(x->conf.self, &c, x->resource, bytes_of(old), bytes_of(o), &out) < 0) {
        log_warn(x->conf.name, "map of a change of '" STR_FMT "' failed: %s", STR_ARG(store_object_name(o)), c.err.msg);
        return;
    }
    for (struct str rest = str_n(out.at, out.len); rest.at && rest.len;) {
        struct str key = str_cut(&rest, '\n');
        if (key.len)
            x->conf.key(x->conf.ctx, key);
    }
}

static bool wanted(const struct source *x, struct store_object *o)
{
    return o && (!x->fields || selector_matches_text(x->fields, store_object_json(o)));
}

static void change(struct source *x, struct store_object *old, struct store_object *o, bool deleted)
{
    if (!wanted(x, old) && !wanted(x, o))
        return;
    if (x->by_map) {
        mapped_keys(x, old, o, deleted);
    } else if (x->owner_kind.at) {
        owner_key(x, o);
        if (old)
            owner_key(x, old);
    } else {
        give_key(x, store_object_ns(o), store_object_name(o));
    }
}

/* --- life --- */

static bool listed(void *ctx, struct store_object *o)
{
    struct source *x = ctx;
    change(x, NULL, o, false);
    if (x->conf.whole || ++x->seen % LOOK_EACH || env_mono_ns() < x->until_ns)
        return true;
    struct str ns = store_object_ns(o), name = store_object_name(o);
    buf_clear(&x->after);
    buf_add_str(&x->after, ns);
    buf_add_str(&x->after, name);
    x->after_ns = ns.len;
    return x->after.failed;             /* without memory for the place it goes on at once */
}

static void look(void *ctx)
{
    struct source *x = ctx;
    struct str at = buf_str(&x->after);
    struct store_range r = { .resource = str_of(x->resource) };
    char place[1024];
    if (at.len && at.len < sizeof place) {      /* the buffer is written to meanwhile */
        memcpy(place, at.at, at.len);
        r.after_ns = str_n(place, x->after_ns);
        r.after_name = str_n(place + x->after_ns, at.len - x->after_ns);
    }
    buf_clear(&x->after);
    x->until_ns = env_mono_ns() + PORTION_NS;
    store_list(x->store, &r, listed, x);
    if (x->after.len)
        loop_timer_start(x->conf.loop, &x->timer, 0, look, x);
    else
        x->missed = false;
}

static int begin(struct source *x, struct kl_err *err);

static void wake(void *ctx)
{
    struct source *x = ctx;
    struct store_event e;
    bool expired = false;
    struct kl_err err;
    kl_err_init(&err);
    while (store_watch_next(x->watch, &e, &expired))
        change(x, e.old, e.object, e.type == STORE_DELETED);
    if (!expired)
        return;
    log_warn(x->conf.name, "its watch of %s fell behind the history; everything is looked at again", x->resource);
    store_watch_free(x->watch);
    x->watch = NULL;
    x->missed = true;
    begin(x, &err);
}

static int begin(struct source *x, struct kl_err *err)
{
    int rc = store_watch_new(x->store, str_of(x->resource), STR_NONE, store_revision(x->store), wake, x, &x->watch, err);
    buf_clear(&x->after);
    if (rc == 0)
        look(x);
    return rc;
}

int source_expand(const char *text, const char *(*variable)(void *ctx, struct str name), void *ctx, struct buf *ret, struct kl_err *err)
{
    for (struct str rest = str_of(text); rest.len;) {
        long at = str_find(rest, '$');
        if (at < 0 || (size_t)at + 1 >= rest.len || rest.at[at + 1] != '(') {
            buf_add_str(ret, rest);
            return 0;
        }
        buf_add(ret, rest.at, (size_t)at);
        rest = str_skip(rest, (size_t)at + 2);
        struct str name = str_cut(&rest, ')');
        const char *value = variable ? variable(ctx, name) : NULL;
        if (!value)
            return kl_err_set(err, KL_INVALID, "the variable '" STR_FMT "' is not known", STR_ARG(name));
        buf_add_z(ret, value);
    }
    return 0;
}

static int compile(struct source *x, const struct schema_kind *k, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    if (!x->conf.watch->field_selector)
        return 0;
    if (!(x->arena = arena_new(1 << 20)))
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    int rc = source_expand(x->conf.watch->field_selector, x->conf.variable, x->conf.variable_ctx, &b, err);
    if (rc < 0)
        return kl_err_wrap(err, "controller '%s' watches %s", x->conf.name, x->resource);
    x->fields = selector_parse_fields(x->arena, k, arena_str(x->arena, buf_str(&b)), err);
    return x->fields ? 0 : -err->code;
}

int source_start(struct store *s, const struct source_conf *c, struct source **ret, struct kl_err *err)
{
    const struct schema_kind *k = schema_resource_by_name(str_of(c->watch->resource));
    if (!k)
        return kl_err_set(err, KL_NOT_FOUND, "controller '%s' watches '%s', which is not a resource", c->name, c->watch->resource);
    struct source *x = mem_alloc(sizeof *x);
    if (!x || !(x->resource = mem_dup(k->resource, strlen(k->resource)))) {     /* a custom resource's kind may go */
        mem_free(x);
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    x->conf = *c;
    x->store = s;
    x->by_map = c->watch->key && strcmp(c->watch->key, "map") == 0;
    if (c->watch->key && strncmp(c->watch->key, "owner:", 6) == 0)
        x->owner_kind = str_of(c->watch->key + 6);
    int rc = x->by_map && !c->table->map ? kl_err_set(err, KL_INVALID, "controller '%s' has no map function", c->name) : compile(x, k, err);
    if (rc == 0)
        rc = begin(x, err);
    if (rc < 0) {
        source_free(x);
        return rc;
    }
    *ret = x;
    return 0;
}

const char *source_resource(const struct source *x)
{
    return x->resource;
}

void source_free(struct source *x)
{
    if (!x)
        return;
    loop_timer_stop(&x->timer);
    buf_free(&x->after);
    if (x->watch)
        store_watch_free(x->watch);
    arena_free(x->arena);
    mem_free(x->resource);
    mem_free(x);
}
