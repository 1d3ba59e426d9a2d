/* ctl.c - see ctl.h. */
#include "ctl.h"

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "crowd.h"

#define RUN_BYTES ((size_t)256 << 20)   /* most that one reconcile may hold */
#define OBJECT_BYTES (4u << 20)

int ctl_no_memory(struct ctl_run *r)
{
    return kl_fail(r->call, KL_NO_MEMORY, "out of memory");
}

int ctl_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct ctl *x = mem_alloc(sizeof *x);
    if (!x)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    x->host = h;
    x->conf = conf;
    x->objects = h->service(h, KL_HOST_OBJECTS_0);
    x->env = h->service(h, KL_HOST_ENV_0);
    x->queue = h->service(h, KL_HOST_QUEUE_0);
    x->opened_ns = x->env->wall_ns(h);
    arena_keep(2);                      /* of this plugin, for its runs and maps on the loop */
    *self = x;
    return 0;
}

void ctl_forget(struct ctl *x)
{
    size_t at = 0;
    void *v;
    while (map_next(&x->memory, &at, NULL, &v))
        mem_free(v);
    map_free(&x->memory);
    crowd_forget_all(x);
}

void ctl_close(void *self)
{
    arena_keep(0);
    ctl_forget(self);
    mem_free(self);
}

/* --- runs --- */

static void run_init(struct ctl_run *r, struct ctl *x, struct kl_call *c, struct arena *a)
{
    *r = (struct ctl_run){ .ctl = x, .call = c, .arena = a, .now_ns = x->env->wall_ns(x->host) };
}

int ctl_reconcile(void *self, struct kl_call *c, const char *key, int64_t *again_ns, ctl_run_fn run)
{
    _cleanup_arena_ struct arena *a = arena_new(RUN_BYTES);
    struct ctl_run r;
    if (!a)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    run_init(&r, self, c, a);
    struct str name = str_of(key), ns = STR("");
    if (str_find(name, '/') >= 0)
        ns = str_cut(&name, '/');
    int rc = run(&r, ns, name);
    if (rc >= 0 && arena_exhausted(a))
        rc = ctl_no_memory(&r);
    *again_ns = r.again_ns;
    return rc;
}

/* An older host knows fewer. */
static bool knows_all(const struct kl_places *p)
{
    return p->size > offsetof(struct kl_places, managed);
}

struct str ctl_part(const struct ctl_run *r, enum ctl_part part)
{
    static const char *const paths[] = { "metadata.labels", "metadata.ownerReferences", "spec", "status", "spec.nodeName" };
    const struct kl_places *p = KL_HAS(r->call, places) ? r->call->places : NULL;
    if (!p || (part == CTL_NODE && !knows_all(p)))
        return json_scan_open(r->obj, paths[part]);
    const uint32_t at[] = { p->labels, p->owners, p->spec, p->status, part == CTL_NODE ? p->node : 0 };
    return at[part] ? str_skip(r->obj, at[part]) : STR_NONE;
}

struct str ctl_node(const struct ctl_run *r)
{
    return json_scan_text(json_scan_value(ctl_part(r, CTL_NODE)));
}

struct str ctl_meta(const struct ctl_run *r)
{
    const struct kl_places *p = KL_HAS(r->call, places) ? r->call->places : NULL;
    struct str obj = r->obj;
    if (p && knows_all(p) && p->managed)
        obj.len = p->managed;
    return json_scan_open(obj, "metadata");
}

int ctl_map(void *self, struct kl_call *c, const char *resource, struct kl_bytes old, struct kl_bytes obj, struct kl_bytes *ret, ctl_map_fn map)
{
    _cleanup_arena_ struct arena *a = arena_new(RUN_BYTES);
    _cleanup_buf_ struct buf keys = BUF_INIT(OBJECT_BYTES);
    struct ctl_run r;
    if (!a)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    run_init(&r, self, c, a);
    if (c->flags & KL_CALL_MISSED)
        crowd_doubt_all(r.ctl);
    r.obj = str_n(obj.at, obj.len);
    int rc = map(&r, resource, str_n(old.at, old.len), str_n(obj.at, obj.len), &keys);
    if (rc < 0 || !keys.len)
        return rc;
    char *text = keys.failed ? NULL : kl_dup(c, keys.at, keys.len);
    *ret = (struct kl_bytes){ text, keys.len };
    return text ? 0 : ctl_no_memory(&r);
}

void ctl_again(struct ctl_run *r, int64_t ns)
{
    if (ns < 1)
        ns = 1;
    if (!r->again_ns || ns < r->again_ns)
        r->again_ns = ns;
}

void ctl_key_add(struct buf *keys, struct str ns, struct str name)
{
    if (keys->len)
        buf_add_c(keys, '\n');
    if (ns.len) {
        buf_add_str(keys, ns);
        buf_add_c(keys, '/');
    }
    buf_add_str(keys, name);
}

struct str ctl_now(struct ctl_run *r)
{
    if (!r->now[0])
        clock_format(r->now_ns, r->now);
    return arena_str(r->arena, str_of(r->now));
}

/* --- objects --- */

static struct val *parse(struct ctl_run *r, struct kl_bytes b)
{
    return json_parse(r->arena, str_n(b.at, b.len), &r->call->err);
}

int ctl_get(struct ctl_run *r, const char *resource, struct str ns, struct str name, struct val **ret)
{
    struct kl_object_key k = { sizeof k, resource, arena_dup(r->arena, ns), arena_dup(r->arena, name), NULL };
    struct kl_bytes b;
    *ret = NULL;
    if (!k.ns || !k.name)
        return ctl_no_memory(r);
    int rc = r->ctl->objects->get(r->ctl->host, r->call, &k, &b);
    if (rc == -KL_NOT_FOUND) {
        kl_err_init(&r->call->err);
        return 0;
    }
    if (rc < 0)
        return rc;
    *ret = parse(r, b);
    return *ret ? 0 : -r->call->err.code;
}

int ctl_list(struct ctl_run *r, struct kl_list_options o, struct ctl_list *ret)
{
    struct kl_object_list l = { .size = sizeof l };
    o.size = sizeof o;
    *ret = (struct ctl_list){ 0 };
    int rc = r->ctl->objects->list(r->ctl->host, r->call, &o, &l);
    if (rc < 0)
        return rc;
    ret->at = arena_alloc(r->arena, (l.n + 1) * sizeof *ret->at);
    if (!ret->at)
        return ctl_no_memory(r);
    for (uint32_t i = 0; i < l.n; i++) {
        ret->at[i] = json_parse_without(r->arena, str_n(l.at[i].at, l.at[i].len), "metadata.managedFields", &r->call->err);
        if (!ret->at[i])
            return -r->call->err.code;
    }
    ret->n = l.n;
    return 0;
}

struct str ctl_text(struct ctl_run *r, const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(OBJECT_BYTES);
    json_write(&b, v);
    return b.failed ? STR_NONE : arena_str(r->arena, buf_str(&b));
}

uint64_t ctl_revision(struct str text)
{
    int64_t n = 0;
    return str_int(text, &n) ? (uint64_t)n : 0;
}

/* May what was written be asked for? */
static struct kl_bytes *asked(const struct ctl_run *r, struct val **ret, struct kl_bytes *b)
{
    return ret || r->written ? b : NULL;
}

static int taken(struct ctl_run *r, struct kl_bytes b, struct val **ret)
{
    if (r->written)
        *r->written = ctl_revision(json_scan_text(json_scan_path(str_n(b.at, b.len), "metadata.resourceVersion")));
    if (!ret)
        return 0;
    *ret = parse(r, b);
    return *ret ? 0 : -r->call->err.code;
}

int ctl_create(struct ctl_run *r, const char *resource, struct str ns, const struct val *v, struct val **ret)
{
    struct str text = ctl_text(r, v);
    struct kl_object_key k = { sizeof k, resource, arena_dup(r->arena, ns), NULL, NULL };
    struct kl_bytes b;
    if (!text.at || !k.ns)
        return ctl_no_memory(r);
    int rc = r->ctl->objects->create(r->ctl->host, r->call, &k, (struct kl_bytes){ text.at, text.len }, asked(r, ret, &b));
    return rc < 0 ? rc : taken(r, b, ret);
}

int ctl_update(struct ctl_run *r, const char *resource, const char *subresource, const struct val *old, const struct val *now, struct val **ret)
{
    struct kl_bytes b;
    if (val_equal(old, now)) {
        if (ret)
            *ret = (struct val *)now;
        return 0;
    }
    struct str text = ctl_text(r, now);
    struct kl_object_key k = { sizeof k, resource, arena_dup(r->arena, json_str(old, "metadata.namespace")),
                               arena_dup(r->arena, json_str(old, "metadata.name")), subresource };
    if (!text.at || !k.ns || !k.name)
        return ctl_no_memory(r);
    int rc = r->ctl->objects->update(r->ctl->host, r->call, &k, (struct kl_bytes){ text.at, text.len }, asked(r, ret, &b));
    return rc < 0 ? rc : taken(r, b, ret);
}

int ctl_delete(struct ctl_run *r, const char *resource, const struct val *v, const char *propagation)
{
    struct kl_object_key k = { sizeof k, resource, arena_dup(r->arena, json_str(v, "metadata.namespace")),
                               arena_dup(r->arena, json_str(v, "metadata.name")), NULL };
    struct kl_delete_options o = { sizeof o, arena_dup(r->arena, json_str(v, "metadata.uid")), propagation, -1, 0 };
    if (!k.ns || !k.name || !o.uid)
        return ctl_no_memory(r);
    int rc = r->ctl->objects->remove(r->ctl->host, r->call, &k, &o);
    if (rc == -KL_NOT_FOUND) {
        kl_err_init(&r->call->err);
        return 0;
    }
    return rc;
}

/* --- events --- */

void ctl_event(struct ctl_run *r, const struct val *about, const char *type, const char *reason, const char *fmt, ...)
{
    static const char *const kept[] = { "namespace", "name", "uid", "resourceVersion" };
    char message[1100];
    va_list ap;
    if (r->call->err.code == KL_PENDING && strcmp(type, "Warning") == 0)
        return;                         /* a write that waits for its admission has not failed */
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    struct arena *a = r->arena;
    struct val *ref = val_new(a, VAL_OBJ), *meta = json_get(about, STR("metadata"));
    json_set_str(a, ref, STR("kind"), json_str(about, "kind"));
    json_set_str(a, ref, STR("apiVersion"), json_str(about, "apiVersion"));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (json_str(meta, kept[i]).len)
            json_set_str(a, ref, str_of(kept[i]), json_str(meta, kept[i]));
    struct str text = ctl_text(r, ref);
    if (text.at)
        r->ctl->objects->event(r->ctl->host, (struct kl_bytes){ text.at, text.len }, type, reason, message);
}
