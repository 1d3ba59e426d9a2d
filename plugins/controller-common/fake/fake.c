/* fake.c - see fake.h. List selectors are "key=value" parts only; that is all the tests need. */
#include "fake.h"

#include "base/cleanup.h"
#include "crowd.h"
#include "meta.h"

static struct fake *fake_of(const struct kl_host *h)
{
    return h->ctx;
}

static struct fake_object *find(struct fake *f, const char *resource, struct str ns, struct str name)
{
    for (uint32_t i = 0; i < f->n; i++)
        if (f->at[i].v && strcmp(f->at[i].resource, resource) == 0 && str_eq(meta_ns(f->at[i].v), ns) && str_eq(meta_name(f->at[i].v), name))
            return &f->at[i];
    return NULL;
}

static struct kl_bytes bytes_of(struct fake *f, const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    json_write(&b, v);
    struct str s = arena_str(f->arena, buf_str(&b));
    return (struct kl_bytes){ s.at, s.len };
}

static void stamp(struct fake *f, struct val *v)
{
    json_set_str(f->arena, json_obj(f->arena, v, STR("metadata")), STR("resourceVersion"),
                 str_of(arena_printf(f->arena, "%llu", (unsigned long long)++f->revision)));
}

static int get(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes *ret)
{
    struct fake_object *o = find(fake_of(h), k->resource, str_of(k->ns), str_of(k->name));
    if (!o)
        return kl_fail(c, KL_NOT_FOUND, "%s \"%s\" not found", k->resource, k->name);
    struct val *replicas = json_path(o->v, "spec.replicas");
    if (k->subresource && strcmp(k->subresource, "scale") == 0 && !replicas)
        return kl_fail(c, KL_NOT_FOUND, "the server could not find the requested resource");
    *ret = bytes_of(fake_of(h), o->v);          /* a Scale has its replicas where the object has them */
    return 0;
}

static bool labels_match(const char *selector, const struct val *v)
{
    struct str rest = str_of(selector);
    while (rest.at && rest.len) {
        struct str value = str_cut(&rest, ','), key = str_cut(&value, '=');
        if (!str_eq(val_str(json_get(json_path(v, "metadata.labels"), key)), value))
            return false;
    }
    return true;
}

static bool owned_by(const struct val *v, const char *uid)
{
    struct val *refs = json_path(v, "metadata.ownerReferences");
    if (val_is(refs, VAL_ARR))
        val_each(ref, refs)
            if (str_is(json_str(ref, "uid"), uid))
                return true;
    return false;
}

static int list(const struct kl_host *h, struct kl_call *c, const struct kl_list_options *o, struct kl_object_list *ret)
{
    struct fake *f = fake_of(h);
    struct kl_bytes *at = arena_alloc(f->arena, (f->n + 1) * sizeof *at);
    (void)c;
    ret->n = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        struct val *v = f->at[i].v;
        if (!v || (o->resource && strcmp(o->resource, f->at[i].resource) != 0) || (o->ns && !str_is(meta_ns(v), o->ns)) ||
            (o->owner_uid && !owned_by(v, o->owner_uid)) || (o->label_selector && !labels_match(o->label_selector, v)))
            continue;
        at[ret->n++] = bytes_of(f, v);
        f->listed++;
    }
    ret->at = at;
    return 0;
}

static struct val *parse(struct fake *f, struct kl_bytes b)
{
    struct str s = arena_str(f->arena, str_n(b.at, b.len));
    return json_parse(f->arena, s, NULL);
}

static struct val *add(struct fake *f, const char *resource, struct val *v)
{
    struct val *meta = json_obj(f->arena, v, STR("metadata"));
    if (!json_get(meta, STR("uid")))
        json_set_str(f->arena, meta, STR("uid"), str_of(arena_printf(f->arena, "uid-%u", f->n)));
    if (!json_get(meta, STR("name")))
        json_set_str(f->arena, meta, STR("name"), str_of(arena_printf(f->arena, STR_FMT "%u", STR_ARG(json_str(meta, "generateName")), f->n)));
    stamp(f, v);
    f->at[f->n++] = (struct fake_object){ .resource = resource, .v = v };
    return v;
}

static int create(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes obj, struct kl_bytes *ret)
{
    struct fake *f = fake_of(h);
    struct val *v = parse(f, obj);
    if (f->refuse)
        return kl_fail(c, KL_FORBIDDEN, "%s", f->refuse);
    if (json_str(v, "metadata.name").len && find(f, k->resource, str_of(k->ns), meta_name(v)))
        return kl_fail(c, KL_ALREADY_EXISTS, "already exists");
    json_set_str(f->arena, json_obj(f->arena, v, STR("metadata")), STR("namespace"), arena_str(f->arena, str_of(k->ns)));
    f->creates++;
    v = add(f, arena_dup(f->arena, str_of(k->resource)), v);
    if (ret)
        *ret = bytes_of(f, v);
    return 0;
}

static int update(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes obj, struct kl_bytes *ret)
{
    struct fake *f = fake_of(h);
    struct fake_object *o = find(f, k->resource, str_of(k->ns), str_of(k->name));
    struct val *v = parse(f, obj);
    if (!o)
        return kl_fail(c, KL_NOT_FOUND, "not found");
    if (!str_eq(json_str(v, "metadata.resourceVersion"), json_str(o->v, "metadata.resourceVersion")))
        return kl_fail(c, KL_CONFLICT, "the object has been modified");
    f->updates++;
    stamp(f, v);
    o->v = v;
    if (ret)
        *ret = bytes_of(f, v);
    return 0;
}

static int remove_object(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, const struct kl_delete_options *opt)
{
    struct fake *f = fake_of(h);
    struct fake_object *o = find(f, k->resource, str_of(k->ns), str_of(k->name));
    if (!o)
        return kl_fail(c, KL_NOT_FOUND, "not found");
    if (opt->uid && !str_is(meta_uid(o->v), opt->uid))
        return kl_fail(c, KL_CONFLICT, "another object of that name");
    f->removes++;
    snprintf(f->last_propagation, sizeof f->last_propagation, "%s", opt->propagation ? opt->propagation : "");
    o->v = NULL;
    return 0;
}

/* "ConfigMap" of "v1" is "/configmaps"; everything is namespaced but Nodes. */
static int kind(const struct kl_host *h, struct kl_call *c, const char *resource, const char *api_version, const char *name, struct kl_kind *ret)
{
    struct fake *f = fake_of(h);
    struct str group = str_of(api_version);
    (void)c;
    group = str_find(group, '/') >= 0 ? str_cut(&group, '/') : STR("");
    char *made = resource ? arena_dup(f->arena, str_of(resource)) : arena_printf(f->arena, STR_FMT "/%ss", STR_ARG(group), name);
    for (char *p = made; p && *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
    *ret = (struct kl_kind){ sizeof *ret, made, made && strcmp(made, "/nodes") == 0 ? 0 : KL_KIND_NAMESPACED };
    return 0;
}

static void event(const struct kl_host *h, struct kl_bytes about, const char *type, const char *reason, const char *message)
{
    (void)about;
    (void)type;
    fake_of(h)->events++;
    snprintf(fake_of(h)->last_event, sizeof fake_of(h)->last_event, "%s: %s", reason, message);
}

static int64_t clock_ns(const struct kl_host *h)
{
    return fake_of(h)->now_ns;
}

static void key_add(const struct kl_host *h, const char *key, int64_t delay_ns)
{
    (void)key;
    (void)delay_ns;
    fake_of(h)->keys++;
}

static void random_bytes(const struct kl_host *h, void *at, size_t n)
{
    (void)h;
    memset(at, 7, n);
}

static void *call_alloc(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

static const struct kl_host_objects objects = { .size = sizeof objects, .get = get, .list = list, .create = create, .update = update,
                                                .remove = remove_object, .event = event, .kind = kind };
static const struct kl_host_env env = { .size = sizeof env, .mono_ns = clock_ns, .wall_ns = clock_ns, .random = random_bytes };
static const struct kl_host_queue queue = { .size = sizeof queue, .add = key_add };

static void log_line(const struct kl_host *h, int32_t level, const char *line)
{
    (void)h;
    (void)level;
    (void)line;
}

static int authorize(const struct kl_host *h, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    struct fake *f = fake_of(h);
    char *what = arena_printf(f->arena, "%s %s%s%s %s|", r->verb, r->resource, r->subresource[0] ? "/" : "", r->subresource, r->name);
    if (!f->may || strstr(f->may, what))
        return 1;
    kl_fail(c, KL_FORBIDDEN, "%s may not", user->name);
    return 0;
}

static const struct kl_host_authz authz = { .size = sizeof authz, .authorize = authorize };

static const void *service(const struct kl_host *h, const char *id)
{
    (void)h;
    return strcmp(id, KL_HOST_OBJECTS_0) == 0 ? (const void *)&objects : strcmp(id, KL_HOST_ENV_0) == 0 ? (const void *)&env :
           strcmp(id, KL_HOST_QUEUE_0) == 0 ? (const void *)&queue : strcmp(id, KL_HOST_AUTHZ_0) == 0 ? (const void *)&authz : NULL;
}

void fake_init(struct fake *f)
{
    *f = (struct fake){ .arena = arena_new(0), .now_ns = 1800000000 * NS_S };
    f->host = (struct kl_host){ .size = sizeof f->host, .instance = "fake", .ctx = f, .log = log_line, .service = service };
    f->call = (struct kl_call){ .size = sizeof f->call, .arena = f->arena, .alloc = call_alloc };
    f->ctl = (struct ctl){ .host = &f->host, .objects = &objects, .env = &env, .queue = &queue };
    kl_err_init(&f->call.err);
}

void fake_done(struct fake *f)
{
    ctl_forget(&f->ctl);
    arena_free(f->arena);
}

struct val *fake_put(struct fake *f, const char *resource, const char *json)
{
    return add(f, resource, parse(f, (struct kl_bytes){ json, strlen(json) }));
}

struct val *fake_get(struct fake *f, const char *resource, const char *ns, const char *name)
{
    struct fake_object *o = find(f, resource, str_of(ns), str_of(name));
    return o ? o->v : NULL;
}

uint32_t fake_count(struct fake *f, const char *resource)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->n; i++)
        n += f->at[i].v && strcmp(f->at[i].resource, resource) == 0;
    return n;
}

static bool maps(const struct kl_controller *t, const char *resource)
{
    for (uint32_t i = 0; i < t->watches.n; i++) {
        const struct kl_watch *w = KL_AT(struct kl_watch, t->watches, i);
        if (w->key && strcmp(w->key, "map") == 0 && (strcmp(w->resource, resource) == 0 || strcmp(w->resource, "*") == 0))
            return true;
    }
    return false;
}

static void tell(struct fake *f, const struct kl_controller *t, struct fake_object *o)
{
    struct kl_bytes now = o->v ? bytes_of(f, o->v) : (struct kl_bytes){ NULL, 0 }, old = o->told, ret;
    if (!maps(t, o->resource) || str_eq(str_n(now.at, now.len), str_n(old.at, old.len)))
        return;
    f->call.flags = o->v ? 0 : KL_CALL_DELETED;
    t->map(&f->ctl, &f->call, o->resource, old, o->v ? now : old, &ret);
    f->call.flags = 0;
    o->told = now;
}

static void tell_all(struct fake *f, const struct kl_controller *t)
{
    bool same = f->told == t;
    f->told = t;
    if (!same)
        crowd_forget_all(&f->ctl);
    for (uint32_t i = 0; i < f->n; i++) {
        if (!same)
            f->at[i].told = (struct kl_bytes){ NULL, 0 };
        tell(f, t, &f->at[i]);
    }
}

int fake_reconcile(struct fake *f, const struct kl_controller *t, const char *key, int64_t *ret_again_ns)
{
    int64_t again = 0;
    tell_all(f, t);
    kl_err_init(&f->call.err);
    int rc = t->reconcile(&f->ctl, &f->call, key, &again);
    if (ret_again_ns)
        *ret_again_ns = again;
    return rc;
}

int fake_review(struct fake *f, const struct kl_admission *t, void *self, const struct fake_ask *q, struct kl_admission_verdict *ret)
{
    struct str rest = str_of(q->resource), group = str_cut(&rest, '/');
    struct kl_user user = { .size = sizeof user, .name = q->user ? q->user : "ann", .uid = "", .groups = q->groups };
    struct kl_request r = { .size = sizeof r, .verb = q->verb ? q->verb : "create", .path = "", .is_resource = 1, .group = arena_dup(f->arena, group),
                            .version = "v1", .resource = rest.at, .subresource = q->subresource ? q->subresource : "", .ns = q->ns ? q->ns : "default",
                            .name = q->name ? q->name : "" };
    struct kl_admission_review review = { .size = sizeof review, .request = &r, .user = &user, .kind = "" };
    struct kl_admission_verdict verdict = { .size = sizeof verdict };
    review.object = (struct kl_bytes){ q->object ? q->object : "", q->object ? strlen(q->object) : 0 };
    review.old_object = (struct kl_bytes){ q->old_object ? q->old_object : "", q->old_object ? strlen(q->old_object) : 0 };
    kl_err_init(&f->call.err);
    int rc = KL_HAS(t, wants) ? t->wants(self, &f->call, &r, &user) : 1;
    if (rc > 0)
        rc = t->review(self, &f->call, &review, &verdict);
    if (ret)
        *ret = verdict;
    return rc;
}
