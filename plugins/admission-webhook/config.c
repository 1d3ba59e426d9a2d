/* config.c - keelson.controller/0: one configuration is one key, "m:NAME" or "v:NAME"; the lists of hooks follow. */
#include "webhook.h"

static const struct {
    const char *resource, *letter;
} kinds[] = {
    [MUTATING] = { WEBHOOK_GROUP "/mutatingwebhookconfigurations", "m" },
    [VALIDATING] = { WEBHOOK_GROUP "/validatingwebhookconfigurations", "v" },
};

struct keeper {
    const struct kl_host *host;
    const struct kl_host_objects *objects;
    struct configs configs;
};

/* --- the lists --- */

void configs_init(struct configs *x, const struct kl_host *h, const struct kl_host_cel *cel)
{
    x->host = h;
    x->cel = cel;
    list_init(&x->at[MUTATING]);
    list_init(&x->at[VALIDATING]);
}

static void end_config(struct configs *x, struct config *k)
{
    for (unsigned i = 0; k->hooks && i < k->n; i++)
        if (k->hooks[i].conditions)
            x->cel->drop(x->host, k->hooks[i].conditions);
    arena_free(k->arena);               /* k lives in it */
}

static void drop(struct configs *x, int kind, struct config *k)
{
    list_remove(&k->link);
    x->n[kind] -= k->n;
    end_config(x, k);
}

void configs_free(struct configs *x)
{
    for (int kind = 0; kind < 2; kind++)
        list_each(l, &x->at[kind])
            drop(x, kind, list_item(l, struct config, link));
}

static void read_hook(struct hook *h, struct arena *a, int kind, const struct config *k, const struct val *entry, const struct val *config, unsigned i)
{
    struct str effects = json_str(entry, "sideEffects");
    *h = (struct hook){ .config = k, .v = entry, .name = json_str(entry, "name"), .ignore = str_is(json_str(entry, "failurePolicy"), "Ignore"),
                        .exact = str_is(json_str(entry, "matchPolicy"), "Exact"),
                        .reinvoke = str_is(json_str(entry, "reinvocationPolicy"), "IfNeeded"),
                        .dry_run = str_is(effects, "None") || str_is(effects, "NoneOnDryRun"), .timeout_s = json_int(entry, "timeoutSeconds", 10) };
    h->id = arena_printf(a, "%s/" STR_FMT "/" STR_FMT "/" STR_FMT "/%u", kinds[kind].letter, STR_ARG(k->name), STR_ARG(json_str(config, "metadata.uid")),
                         STR_ARG(json_str(config, "metadata.resourceVersion")), i);
}

/* False: out of memory. */
static bool read_conditions(struct configs *x, struct hook *h, struct arena *a, struct kl_call *c)
{
    const struct val *list = json_get(h->v, STR("matchConditions"));
    unsigned n = val_is(list, VAL_ARR) ? list->n : 0;
    const char **texts = n ? arena_alloc(a, (n + 1) * sizeof *texts) : NULL;
    if (!n)
        return true;
    n = 0;
    val_each(v, list)
        if (texts)
            texts[n++] = arena_dup(a, json_str(v, "expression"));
    return !arena_exhausted(a) && x->cel->conditions(x->host, c, texts, &h->conditions) == 0;
}

static struct config *read_config(struct configs *x, int kind, struct str name, const struct val *v, struct kl_call *c)
{
    struct arena *a = arena_new(0);
    struct config *k = a ? arena_alloc(a, sizeof *k) : NULL;
    _cleanup_buf_ struct buf text = BUF_INIT(0);
    json_write(&text, v);
    struct str kept = k ? arena_str(a, buf_str(&text)) : STR_NONE;
    struct val *own = kept.at ? json_parse(a, kept, NULL) : NULL, *list = json_get(own, STR("webhooks"));
    if (k)
        k->arena = a;
    if (own) {
        k->name = arena_str(a, name);
        k->n = val_is(list, VAL_ARR) ? list->n : 0;
        k->hooks = arena_alloc(a, (k->n + 1) * sizeof *k->hooks);
    }
    unsigned i = 0;
    bool well = own && k->hooks && !text.failed;
    if (well && k->n)
        val_each(entry, list) {
            read_hook(&k->hooks[i], a, kind, k, entry, own, i);
            well &= read_conditions(x, &k->hooks[i], a, c);
            i++;
        }
    if (well && !arena_exhausted(a))
        return k;
    if (k)
        end_config(x, k);
    else
        arena_free(a);
    return NULL;
}

static int compare(struct str a, struct str b)
{
    int order = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);
    return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

bool configs_set(struct configs *x, int kind, struct str name, const struct val *v, struct kl_call *c)
{
    struct config *fresh = v ? read_config(x, kind, name, v, c) : NULL;
    if (v && !fresh)
        return false;
    list_each(l, &x->at[kind])
        if (str_eq(list_item(l, struct config, link)->name, name))
            drop(x, kind, list_item(l, struct config, link));
    if (!fresh)
        return true;
    struct list *before = &x->at[kind];
    list_each(l, &x->at[kind])
        if (before == &x->at[kind] && compare(list_item(l, struct config, link)->name, name) > 0)
            before = l;
    list_add_before(before, &fresh->link);
    x->n[kind] += fresh->n;
    return true;
}

/* --- the controller --- */

static int keeper_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct keeper *x = mem_alloc(sizeof *x);
    (void)conf;
    if (!x)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    x->host = h;
    x->objects = h->service(h, KL_HOST_OBJECTS_0);
    configs_init(&x->configs, h, h->service(h, KL_HOST_CEL_0));
    *self = x;
    return 0;
}

static void keeper_close(void *self)
{
    struct keeper *x = self;
    configs_free(&x->configs);
    mem_free(x);
}

static int map(void *self, struct kl_call *c, const char *resource, struct kl_bytes old, struct kl_bytes obj, struct kl_bytes *ret)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    const struct kl_bytes *text = obj.len ? &obj : &old;
    struct val *v = a ? json_parse(a, str_n(text->at, text->len), &c->err) : NULL;
    const char *letter = kinds[strcmp(resource, kinds[MUTATING].resource) == 0 ? MUTATING : VALIDATING].letter;
    char *key = v ? arena_printf(a, "%s:" STR_FMT, letter, STR_ARG(json_str(v, "metadata.name"))) : NULL;
    (void)self;
    if (!key || !(key = kl_dup(c, key, strlen(key))))
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    *ret = (struct kl_bytes){ key, strlen(key) };
    return 0;
}

static int reconcile(void *self, struct kl_call *c, const char *key, int64_t *again_ns)
{
    struct keeper *x = self;
    int kind = key[0] == 'm' ? MUTATING : VALIDATING;
    struct kl_object_key k = { sizeof k, kinds[kind].resource, "", key + 2, NULL };
    struct kl_bytes text;
    struct val *v = NULL;
    _cleanup_arena_ struct arena *a = arena_new(0);
    (void)again_ns;
    int rc = x->objects->get(x->host, c, &k, &text);
    if (rc < 0 && rc != -KL_NOT_FOUND)
        return rc;
    if (!a || (rc == 0 && !(v = json_parse(a, str_n(text.at, text.len), &c->err))))
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    return configs_set(&x->configs, kind, str_of(key + 2), v, c) ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

const struct configs *webhook_configs(const struct kl_host *h, struct kl_call *c)
{
    const struct kl_host_plugins *p = h->service(h, KL_HOST_PLUGINS_0);
    struct kl_instance i = { .size = sizeof i };
    if (p->find(h, c, KL_CONTROLLER_0, "webhook-configurations", &i) < 0 || i.table != &webhook_controller)
        return NULL;
    return &((struct keeper *)i.self)->configs;
}

static const struct kl_watch watches[] = {
    { .size = sizeof(struct kl_watch), .resource = WEBHOOK_GROUP "/mutatingwebhookconfigurations", .key = "map" },
    { .size = sizeof(struct kl_watch), .resource = WEBHOOK_GROUP "/validatingwebhookconfigurations", .key = "map" },
};

const struct kl_controller webhook_controller = { .size = sizeof webhook_controller, .life = { .open = keeper_open, .close = keeper_close },
                                                  .watches = KL_ARRAY_OF(watches), .map = map, .reconcile = reconcile };
