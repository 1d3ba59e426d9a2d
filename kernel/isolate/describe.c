/* describe.c - a plugin's descriptor and its settings as bytes: written by the child, made anew here from what it says. */
#include "isolate-internal.h"

#define FIELDS_MOST   256u
#define SETTING_BYTES 8u

/* --- the child --- */

static void put_provider(struct wire *w, const struct kl_provider *v)
{
    const struct table_row *t = v->iface ? table_find(v->iface) : NULL;
    const struct {
        KL_STRUCT_HEAD;
        struct kl_life life;
    } *table = v->table;
    bool there = t && table && table->size >= sizeof *table;
    wire_put_str(w, v->iface);
    wire_put_str(w, v->name);
    wire_put_u32(w, (uint32_t)v->rank);
    wire_put_u32(w, there);
    if (!there)
        return;
    wire_put_u32(w, (table->life.open ? 1u : 0) | (table->life.reconfigure ? 2u : 0) | (table->life.probe ? 4u : 0));
    wire_put_u64(w, table_functions(t, table));
    wire_put_data(w, t->sig, table);
}

static void put_field(struct wire *w, const struct kl_conf_field *f)
{
    wire_put_str(w, f->key);
    wire_put_u32(w, f->type);
    wire_put_u32(w, f->flags);
    wire_put_str(w, f->fallback);
    wire_put_u64(w, (uint64_t)f->min);
    wire_put_u64(w, (uint64_t)f->max);
    wire_put_str(w, f->choices);
    wire_put_str(w, f->doc);
}

void describe_put(struct wire *w, const struct kl_plugin *p)
{
    wire_put_u32(w, p->abi_major);
    wire_put_str(w, p->id);
    wire_put_str(w, p->version);
    wire_put_str(w, p->summary);
    wire_put_str(w, p->license);
    wire_put_u32(w, p->needs.n);
    for (uint32_t i = 0; i < p->needs.n; i++) {
        wire_put_str(w, KL_AT(struct kl_need, p->needs, i)->id);
        wire_put_u32(w, KL_AT(struct kl_need, p->needs, i)->optional);
    }
    wire_put_u32(w, p->conf.n);
    for (uint32_t i = 0; i < p->conf.n; i++)
        put_field(w, KL_AT(struct kl_conf_field, p->conf, i));
    wire_put_u32(w, p->providers.n);
    for (uint32_t i = 0; i < p->providers.n; i++)
        put_provider(w, KL_AT(struct kl_provider, p->providers, i));
}

/* --- here --- */

static const char *text(struct wire *w)
{
    const char *s = wire_get_str(w);
    w->bad |= !s;                       /* what every descriptor has */
    return s;
}

static int life_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)h;
    (void)conf;
    (void)self;
    return kl_fail(c, KL_INTERNAL, "an isolated instance is opened by its cell");
}

static int errand(void *self, enum errand what, const struct buf *extra, struct kl_call *c)
{
    struct cell_instance *i = self;
    struct body *b = body_get(i->cell);
    if (!b)
        return kl_fail(c, KL_UNAVAILABLE, "plugin '%s' is not running", i->cell->name);
    int rc = body_errand(b, what, i->index, extra, c, NULL);
    body_put(b);
    return rc;
}

static int life_probe(void *self, struct kl_call *c)
{
    return errand(self, ERRAND_PROBE, NULL, c);
}

int open_put(struct cell_instance *i, const struct kl_host *h, const void *conf, struct buf *ret)
{
    const struct kl_plugin *p = i->cell->plugin;
    const char *services[32] = { NULL };
    struct wire w = { .out = ret };
    for (uint32_t k = 0, n = 0; k < p->needs.n && n < 31; k++)
        if (h->service(h, KL_AT(struct kl_need, p->needs, k)->id))
            services[n++] = KL_AT(struct kl_need, p->needs, k)->id;
    wire_put_str(&w, h->name);
    wire_put_str(&w, h->version);
    wire_put_str(&w, h->instance);
    wire_put_strs(&w, services);
    settings_put(&w, p, conf);
    return ret->failed ? -1 : 0;
}

/* New settings count from the next start on only when the plugin has taken them. */
static int life_reconfigure(void *self, const void *conf, struct kl_call *c)
{
    struct cell_instance *i = self;
    struct buf settings = BUF_INIT(1 << 20), open = BUF_INIT(1 << 20);
    struct wire w = { .out = &settings };
    settings_put(&w, i->cell->plugin, conf);
    bool whole = i->host && open_put(i, i->host, conf, &open) == 0 && !settings.failed;
    int rc = whole ? errand(self, ERRAND_RECONFIGURE, &settings, c) : kl_fail(c, KL_NO_MEMORY, "out of memory");
    pthread_mutex_lock(&i->cell->lock);
    struct buf other = i->settings;
    if (rc >= 0)
        i->settings = open;
    pthread_mutex_unlock(&i->cell->lock);
    buf_free(rc >= 0 ? &other : &open);
    buf_free(&settings);
    return rc;
}

static void life_close(void *self)
{
    struct cell_instance *i = self;
    struct arena *a = arena_new(0);
    struct kl_call c = { .size = sizeof c };
    kl_err_init(&c.err);
    i->open = false;
    if (a)
        errand(self, ERRAND_CLOSE, NULL, &c);
    arena_free(a);
}

static void get_provider(struct wire *w, struct cell *c, struct kl_provider *v, struct cell_instance *i, unsigned index)
{
    struct kl_life life = { .open = life_open, .close = life_close };
    v->iface = text(w);
    v->name = text(w);
    v->rank = (int32_t)wire_get_u32(w);
    if (!wire_get_u32(w) || w->bad)
        return;
    const struct table_row *t = table_find(v->iface);
    char *table = t ? wire_alloc(w, t->sig->bytes) : NULL;
    uint32_t lives = wire_get_u32(w);
    uint64_t functions = wire_get_u64(w);
    if (!table) {
        w->bad = true;
        return;
    }
    table_proxy(t, functions, table);
    wire_get_data(w, t->sig, table);
    life.open = lives & 1 ? life.open : NULL;
    life.reconfigure = lives & 2 ? life_reconfigure : NULL;
    life.probe = lives & 4 ? life_probe : NULL;
    memcpy(table + offsetof(struct { KL_STRUCT_HEAD; struct kl_life life; }, life), &life, sizeof life);
    v->table = table;
    *i = (struct cell_instance){ .peer = { cell_ask, cell_instead }, .cell = c, .index = index, .row = t, .settings = BUF_INIT(1 << 20) };
}

/* Settings are bound to a struct of our own: the child's offsets are its own affair. */
static void get_fields(struct wire *w, struct kl_plugin *p)
{
    uint32_t n = wire_get_count(w, 8);
    struct kl_conf_field *f = wire_alloc(w, (size_t)n * sizeof *f + 1);
    w->bad |= n > FIELDS_MOST;
    for (uint32_t i = 0; i < n && !w->bad; i++) {
        f[i].key = text(w);
        f[i].type = wire_get_u32(w);
        f[i].flags = wire_get_u32(w);
        f[i].fallback = wire_get_str(w);
        f[i].min = (int64_t)wire_get_u64(w);
        f[i].max = (int64_t)wire_get_u64(w);
        f[i].choices = wire_get_str(w);
        f[i].doc = wire_get_str(w);
        f[i].offset = i * SETTING_BYTES;
        w->bad |= f[i].type < KL_CONF_STR || f[i].type > KL_CONF_SECRET;
    }
    p->conf.at = f;
    p->conf.n = n;
    p->conf.stride = sizeof *f;
    p->conf_size = (size_t)n * SETTING_BYTES;
}

static void get_needs(struct wire *w, struct kl_plugin *p)
{
    uint32_t n = wire_get_count(w, 8);
    struct kl_need *at = wire_alloc(w, (size_t)n * sizeof *at + 1);
    for (uint32_t i = 0; i < n && !w->bad; i++) {
        at[i].id = text(w);
        at[i].optional = wire_get_u32(w);
    }
    p->needs.at = at;
    p->needs.n = n;
    p->needs.stride = sizeof *at;
}

static void *from_arena(void *ctx, size_t n)
{
    return arena_alloc(ctx, n);
}

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* A child that is started again must be what the first one was: nothing here changes with it. */
static bool is_same(const struct kl_plugin *p, const struct kl_plugin *q)
{
    bool ret = same(p->id, q->id) && same(p->version, q->version) && p->providers.n == q->providers.n && p->conf.n == q->conf.n;
    for (uint32_t i = 0; ret && i < p->providers.n; i++)
        ret = same(p->providers.at[i].iface, q->providers.at[i].iface) && same(p->providers.at[i].name, q->providers.at[i].name);
    for (uint32_t i = 0; ret && i < p->conf.n; i++)
        ret = same(p->conf.at[i].key, q->conf.at[i].key) && p->conf.at[i].type == q->conf.at[i].type;
    return ret;
}

int describe_get(struct cell *c, struct kl_bytes in, struct kl_err *err)
{
    struct arena *a = arena_new(4 << 20);
    char *copy = a ? arena_raw(a, in.len + 1) : NULL;
    struct wire w = { .at = copy, .end = copy + in.len, .alloc = from_arena, .alloc_ctx = a };
    if (!copy) {
        arena_free(a);
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    memcpy(copy, in.at, in.len);
    copy[in.len] = '\0';
    struct kl_plugin *p = wire_alloc(&w, sizeof *p);
    uint32_t abi = wire_get_u32(&w);
    const char *id = text(&w), *version = text(&w), *summary = wire_get_str(&w), *license = wire_get_str(&w);
    if (p)
        *p = (struct kl_plugin){ .size = sizeof *p, .abi_major = abi, .id = id, .version = version, .summary = summary, .license = license };
    if (!w.bad)
        get_needs(&w, p);
    if (!w.bad)
        get_fields(&w, p);
    uint32_t n = wire_get_count(&w, 16);
    struct kl_provider *v = wire_alloc(&w, (size_t)n * sizeof *v + 1);
    struct cell_instance *all = wire_alloc(&w, (size_t)n * sizeof *all + 1);
    w.bad |= n > PROVIDERS_MOST;
    for (uint32_t i = 0; i < n && !w.bad; i++)
        get_provider(&w, c, &v[i], &all[i], i);
    if (!w.bad) {
        p->providers.at = v;
        p->providers.n = n;
        p->providers.stride = sizeof *v;
    }
    if (w.bad || (c->plugin && !is_same(c->plugin, p))) {
        arena_free(a);
        return kl_err_set(err, KL_INVALID, w.bad ? "what '%s' says of itself is not understood" : "'%s' is another plugin than it was", c->file);
    }
    if (c->plugin) {
        arena_free(a);
        return 0;
    }
    c->arena = a;
    c->plugin = p;
    c->instances = all;
    c->n = n;
    return 0;
}

/* --- settings --- */

void settings_put(struct wire *w, const struct kl_plugin *p, const void *conf)
{
    wire_put_u32(w, p->conf.n);
    for (uint32_t i = 0; i < p->conf.n; i++) {
        const struct kl_conf_field *f = KL_AT(struct kl_conf_field, p->conf, i);
        const void *at = (const char *)conf + f->offset, *pointer;
        int64_t number = 0;
        int32_t flag;
        wire_put_u32(w, f->type);
        memcpy(&pointer, at, sizeof pointer);
        memcpy(&number, at, sizeof number);
        memcpy(&flag, at, sizeof flag);
        if (f->type == KL_CONF_LIST)
            wire_put_strs(w, pointer);
        else if (f->type == KL_CONF_BOOL)
            wire_put_u32(w, (uint32_t)flag);
        else if (f->type == KL_CONF_INT || f->type == KL_CONF_DURATION || f->type == KL_CONF_QUANTITY)
            wire_put_u64(w, (uint64_t)number);
        else
            wire_put_str(w, pointer);
    }
}

/* In the child, by its own descriptor. */
void *settings_get(struct wire *w, const struct kl_plugin *p)
{
    uint32_t n = wire_get_count(w, 4);
    char *conf = wire_alloc(w, p->conf_size + 16);
    w->bad |= n != p->conf.n;
    for (uint32_t i = 0; i < n && !w->bad; i++) {
        const struct kl_conf_field *f = KL_AT(struct kl_conf_field, p->conf, i);
        const void *pointer;
        int64_t number;
        w->bad |= wire_get_u32(w) != f->type || f->offset + SETTING_BYTES > p->conf_size + 8;
        if (w->bad)
            break;
        if (f->type == KL_CONF_BOOL) {
            int32_t flag = (int32_t)wire_get_u32(w);
            memcpy(conf + f->offset, &flag, sizeof flag);
        } else if (f->type == KL_CONF_INT || f->type == KL_CONF_DURATION || f->type == KL_CONF_QUANTITY) {
            number = (int64_t)wire_get_u64(w);
            memcpy(conf + f->offset, &number, sizeof number);
        } else {
            pointer = f->type == KL_CONF_LIST ? (const void *)wire_get_strs(w) : (const void *)wire_get_str(w);
            memcpy(conf + f->offset, &pointer, sizeof pointer);
        }
    }
    return w->bad ? NULL : conf;
}
