/* chain.c - authentication, authorization and admission: ordered chains of instances, walked here. [loop] */
#include <assert.h>
#include <keelson/iface/node.h>

#include "base/env.h"
#include "base/log.h"
#include "conf/load.h"
#include "host-internal.h"
#include "object/object.h"

static struct plugin_instance *by_name(struct plugin_host *h, const char *iface, struct str name)
{
    for (unsigned i = 0; i < h->n; i++)
        if (h->at[i]->provider && strcmp(h->at[i]->provider->iface, iface) == 0 && str_is(name, h->at[i]->name))
            return h->at[i];
    return NULL;
}

/* Order as configured under chains; without it: all instances of the interface, in the configuration's order. */
static int read_chain(struct plugin_host *h, const char *key, const char *iface, struct chain *c, struct kl_err *err)
{
    const struct val *list = json_get(json_get(h->conf.config, STR("chains")), str_of(key));
    if (!list) {
        for (unsigned i = 0; i < h->n; i++)
            if (h->at[i]->provider && strcmp(h->at[i]->provider->iface, iface) == 0)
                c->at[c->n++] = h->at[i];
        return 0;
    }
    val_each(v, list) {
        struct plugin_instance *i = by_name(h, iface, val_str(v));
        if (!i)
            return host_missing_link(h, key, iface, v, err);
        for (unsigned k = 0; k < c->n; k++)
            if (c->at[k] == i)
                return kl_err_set(err, KL_INVALID, "%s: chain '%s' names '%s' twice", conf_where(h->arena, v), key, i->name);
        if (c->n < HOST_INSTANCES_MAX)
            c->at[c->n++] = i;
    }
    return 0;
}

struct chain *host_chain_of(struct plugin_host *h, const char *iface)
{
    return strcmp(iface, KL_AUTHN_0) == 0 ? &h->authn : strcmp(iface, KL_AUTHZ_0) == 0 ? &h->authz : strcmp(iface, KL_ADMISSION_0) == 0 ? &h->admission : NULL;
}

int host_read_chains(struct plugin_host *h, struct kl_err *err)
{
    static const struct conf_row rows[] = { { "authn", VAL_ARR, 0, 0, NULL }, { "authz", VAL_ARR, 0, 0, NULL }, { "admission", VAL_ARR, 0, 0, NULL } };
    const struct val *chains = json_get(h->conf.config, STR("chains"));
    int rc = chains ? conf_check(h->arena, chains, rows, 3, err) : 0;
    if (rc == 0)
        rc = read_chain(h, "authn", KL_AUTHN_0, &h->authn, err);
    if (rc == 0)
        rc = read_chain(h, "authz", KL_AUTHZ_0, &h->authz, err);
    if (rc == 0)
        rc = read_chain(h, "admission", KL_ADMISSION_0, &h->admission, err);
    return rc;
}

/* The signature tables say [loop] of all three: a caller on another thread would race with every plugin. */
static struct plugin_host *loop_only(struct plugin_host *h)
{
    assert(!h->conf.loop || loop_here(h->conf.loop));
    return h;
}

/* The first that knows who it is decides; bad credentials count only when nobody does. */
static int authenticate(void *ctx, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret)
{
    struct plugin_host *h = loop_only(ctx);
    int bad = 0;
    for (unsigned i = 0; i < h->authn.n; i++) {
        struct plugin_instance *p = h->authn.at[i];
        if (p->state != PLUGIN_READY)
            continue;
        int rc = ((const struct kl_authn *)p->provider->table)->authenticate(p->self, c, cred, ret);
        if (rc > 0 || rc == -KL_PENDING)
            return rc;
        bad = rc < 0 ? rc : bad;
    }
    return bad;
}

int host_authorize(void *ctx, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    struct plugin_host *h = loop_only(ctx);
    for (unsigned i = 0; i < h->authz.n; i++) {
        struct plugin_instance *p = h->authz.at[i];
        if (p->state != PLUGIN_READY)
            continue;
        int rc = ((const struct kl_authz *)p->provider->table)->authorize(p->self, c, user, r);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static bool listed(const struct val *list, const struct val *v)
{
    val_each(r, list)
        if (val_equal(r, v))
            return true;
    return false;
}

/* What several instances say is said once. */
static void take_rules(struct arena *a, const struct val *v, const char *key, struct val *out)
{
    const struct val *list = json_get(v, str_of(key));
    if (val_is(list, VAL_ARR))
        val_each(r, list)
            if (!listed(out, r))
                val_push(out, val_copy(a, r));
}

static bool rules(void *ctx, struct kl_call *c, const struct kl_user *user, const char *ns, struct arena *a, struct val *resource,
                  struct val *other)
{
    struct plugin_host *h = ctx;
    bool all = true;
    for (unsigned i = 0; i < h->authz.n; i++) {
        struct plugin_instance *p = h->authz.at[i];
        const struct kl_authz *t = p->provider->table;
        struct kl_bytes text;
        if (p->state != PLUGIN_READY)
            continue;
        struct val *v = KL_HAS(t, rules) && t->rules(p->self, c, user, ns, &text) == 0 ? json_parse(a, str_n(text.at, text.len), &c->err) : NULL;
        all &= v != NULL;
        take_rules(a, v, "resourceRules", resource);
        take_rules(a, v, "nonResourceRules", other);
    }
    return all;
}

/* A request that was pending somewhere is over. */
#define TELL(CHAIN, T) \
    for (unsigned i = 0; i < (CHAIN)->n; i++) { \
        const struct T *t = (CHAIN)->at[i]->provider->table; \
        if ((CHAIN)->at[i]->state == PLUGIN_READY && KL_HAS(t, over)) \
            t->over((CHAIN)->at[i]->self, request); \
    }

static void over(void *ctx, uint64_t request)
{
    struct plugin_host *h = loop_only(ctx);
    TELL(&h->authn, kl_authn)
    TELL(&h->authz, kl_authz)
    TELL(&h->admission, kl_admission)
}

/* --- admission --- */

static bool has_operation(const char *operations, const char *verb)
{
    const char *op = strcmp(verb, "create") == 0 ? "CREATE" : strcmp(verb, "delete") == 0 ? "DELETE" : strcmp(verb, "connect") == 0 ? "CONNECT" : "UPDATE";
    struct str ops = str_of(operations);
    while (ops.at)
        if (str_is(str_trim(str_cut(&ops, ',')), op))
            return true;
    return false;
}

/* "group/resource" or "group/resource/subresource"; "*" is any. */
static bool names(struct str pattern, const struct kl_request *r)
{
    if (str_is(pattern, "*"))
        return true;
    return str_is(str_cut(&pattern, '/'), r->group) && str_is(str_cut(&pattern, '/'), r->resource) &&
           str_is(pattern.at ? pattern : STR(""), r->subresource);
}

static bool has_group(const char *const *groups, const struct kl_user *user)
{
    for (const char *const *g = user ? user->groups : NULL; g && *g; g++)
        for (const char *const *w = groups; *w; w++)
            if (strcmp(*g, *w) == 0)
                return true;
    return false;
}

static bool concerns(const struct kl_admission *t, const struct kl_admission_review *r)
{
    for (const char *const *n = t->resources; n && *n; n++)
        if (names(str_of(*n), r->request))
            return has_operation(t->operations, r->request->verb) && (!t->groups || has_group(t->groups, r->user));
    return false;
}

/* One half of the chain at work. */
struct course {
    struct arena *arena;
    const struct schema_kind *kind;
    struct val **object;                /* *object NULL: a deletion */
    struct buf shown;                   /* what r->object points to */
    bool is_shown, settled;             /* the whole, as it is now; settled: *object has its defaults */
    bool mutating, reinvoke;
    struct api_stage *stage;
};

static bool put_member(struct arena *a, struct val *to, const struct val *member)
{
    struct val *copy = member ? arena_raw(a, sizeof *copy) : NULL;
    if (copy)
        *copy = *member;
    return !member || json_set(a, to, val_key(member), copy);
}

/* What a plugin reads of an object, by the first two names of each pointer. NULL: out of memory. */
static const struct val *part_of(struct arena *a, const struct val *object, const char *const *reads)
{
    struct val *ret = val_new(a, VAL_OBJ);
    bool good = put_member(a, ret, json_get(object, STR("kind"))) && put_member(a, ret, json_get(object, STR("apiVersion")));
    for (; *reads && good; reads++) {
        struct str rest = str_of(*reads), group, name;
        if (!rest.len || strchr(*reads, '~'))
            return object;              /* all of it, or a name that is not written as it is */
        str_cut(&rest, '/');
        group = str_cut(&rest, '/');
        name = rest.at ? str_cut(&rest, '/') : STR_NONE;
        const struct val *from = json_get(object, group);
        struct val *to = json_get(ret, group);
        if (!from || (to && to->first == from->first))
            continue;                   /* the whole group is there */
        if (name.at && from->type == VAL_OBJ)
            good = (to = json_obj(a, ret, val_key(from))) && put_member(a, to, json_get(from, name));
        else
            good = put_member(a, ret, from);
    }
    return good ? ret : NULL;
}

/* The object as the next plugin sees it. */
static int show(struct course *w, const struct kl_admission *t, struct kl_admission_review *r)
{
    if (!*w->object || w->is_shown)
        return 0;
    const struct val *object = t->reads ? part_of(w->arena, *w->object, t->reads) : *w->object;
    if (!object)
        return -KL_NO_MEMORY;
    buf_clear(&w->shown);
    buf_room(&w->shown, 4096);
    object_encode_json(&w->shown, w->kind->type, object);
    r->object = (struct kl_bytes){ w->shown.at, w->shown.len };
    w->is_shown = object == *w->object;
    return w->shown.failed ? -KL_NO_MEMORY : 0;
}

static int follow(struct course *w, struct kl_bytes patch, struct kl_err *err)
{
    struct val *list = json_parse(w->arena, str_n(patch.at, patch.len), err);
    const char *kind = arena_dup(w->arena, json_str(*w->object, "kind")), *version = arena_dup(w->arena, json_str(*w->object, "apiVersion"));
    struct val *now = list && kind && version ? object_patch_json_here(w->arena, *w->object, list, err) : NULL;
    if (!now)
        return kl_err_wrap(err, "the patch does not apply");
    struct str is = json_str(now, "kind"), of = json_str(now, "apiVersion");
    if (!str_is(is, kind) || !str_is(of, version))      /* nothing becomes another kind of thing on its way in */
        return kl_err_set(err, KL_INTERNAL, "no kind \"" STR_FMT "\" is registered for version \"" STR_FMT "\" in scheme \"pkg/runtime/scheme.go:111\"",
                          STR_ARG(is), STR_ARG(of));
    *w->object = now;
    w->is_shown = w->settled = false;
    return 0;
}

/* What plugins put in gets the same forms and defaults as what clients send. */
static int settle(struct course *w, struct kl_err *err)
{
    if (w->settled || !*w->object)
        return 0;
    w->settled = true;
    w->is_shown = false;
    if (object_conform(w->arena, w->kind->type, *w->object, NULL, err) < 0)
        return kl_err_wrap(err, "an admission plugin's patch does not apply");
    return object_default(w->arena, w->kind, *w->object) < 0 ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : 0;
}

/* Every plugin's warnings count, and annotations. */
static const char *const *both(struct kl_call *c, const char *const *first, const char *const *more)
{
    size_t n = 0, m = 0;
    while (first && first[n])
        n++;
    while (more[m])
        m++;
    const char **all = kl_alloc(c, (n + m + 1) * sizeof *all);
    if (all && n)
        memcpy(all, first, n * sizeof *all);
    if (all && m)
        memcpy(all + n, more, m * sizeof *all);
    return all;
}

static bool has_one(const struct val *object, const char *const *pointers)
{
    for (; *pointers; pointers++) {
        const struct val *v = object;
        for (struct str rest = str_skip(str_of(*pointers), 1); v && rest.at;)
            v = json_get(v, str_cut(&rest, '/'));
        if (v)
            return true;
    }
    return false;
}

/* What somebody elsewhere had this server do to an object cannot be done: an internal error, as upstream words it. */
static int outside_fault(struct course *w, struct kl_call *c, struct kl_admission_verdict *ret)
{
    static const char *const ours[] = { "the patch does not apply: ", "an admission plugin's patch does not apply: ", "json patch: " };
    struct arena *a = w->arena;
    const char *why = c->err.msg;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strncmp(why, ours[i], strlen(ours[i])) == 0)
            why += strlen(ours[i]);
    why = arena_dup(a, str_of(why));
    struct val *v = val_new(a, VAL_OBJ), *cause = val_new(a, VAL_OBJ);
    if (!why || !cause)
        return -KL_NO_MEMORY;
    const char *message = arena_printf(a, "Internal error occurred: %s", why);
    json_set_str(a, v, STR("kind"), STR("Status"));
    json_set_str(a, v, STR("apiVersion"), STR("v1"));
    json_obj(a, v, STR("metadata"));
    json_set_str(a, v, STR("status"), STR("Failure"));
    json_set_str(a, v, STR("message"), str_of(message ? message : ""));
    json_set_str(a, v, STR("reason"), STR("InternalError"));
    json_set_str(a, cause, STR("message"), str_of(why));
    val_push(json_arr(a, json_obj(a, v, STR("details")), STR("causes")), cause);
    json_set_int(a, v, STR("code"), 500);
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    json_write(&b, v);
    char *text = b.failed ? NULL : arena_dup(a, buf_str(&b));
    ret->status = (struct kl_bytes){ text, text ? b.len : 0 };
    return kl_fail(c, KL_INTERNAL, "%s", why);
}

#define AGAIN_MOST 1000                 /* reviews of one plugin in one walk */

/* < 0: refused; 1: the plugin wants to see what became of its patch. Who asks elsewhere (it has `over`) is shown what would be stored. */
static int ask(struct course *w, struct plugin_instance *p, struct kl_call *c, struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    const struct kl_admission *t = p->provider->table;
    struct kl_admission_verdict one = { .size = sizeof one };
    if (KL_HAS(t, when) && *w->object && !has_one(*w->object, t->when))
        return 0;
    int wanted = KL_HAS(t, wants) ? t->wants(p->self, c, r->request, r->user) : 1;
    if (wanted <= 0)
        return wanted;
    if (!w->settled && KL_HAS(t, over) && settle(w, &c->err) < 0)
        return -c->err.code;
    if (show(w, t, r) < 0)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    int64_t began = env_mono_ns();
    int rc = t->review(p->self, c, r, &one);
    if (rc != -KL_PENDING)
        host_count_review(p, w->mutating, r->request->verb, rc < 0, env_mono_ns() - began);
    if (one.annotations && rc != -KL_PENDING)
        ret->annotations = both(c, ret->annotations, one.annotations);
    if (rc < 0) {
        ret->refusal = one.refusal;
        ret->causes = one.causes;
        ret->status = one.status;
        if (one.warnings)
            ret->warnings = both(c, ret->warnings, one.warnings);
        return rc;
    }
    if (one.warnings && !(ret->warnings = both(c, ret->warnings, one.warnings)))
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (!w->mutating)
        return 0;
    w->reinvoke |= (one.flags & KL_VERDICT_REINVOKE) != 0;
    bool settled = w->settled;
    bool outside = KL_HAS(t, over);
    if (one.patch.len && *w->object && follow(w, one.patch, &c->err) < 0)
        return outside ? outside_fault(w, c, ret) : kl_err_wrap(&c->err, "admission plugin '%s'", p->name);
    if (one.flags & KL_VERDICT_SETTLED)
        w->settled = settled;
    if (!(one.flags & KL_VERDICT_AGAIN))
        return 0;
    if (settle(w, &c->err) == 0)
        return 1;
    return outside ? outside_fault(w, c, ret) : -c->err.code;
}

/* The server's own stage sees what would be stored. */
static int stage(struct course *w, struct kl_call *c, bool again)
{
    if (!w->stage)
        return 0;
    if (settle(w, &c->err) < 0)
        return -c->err.code;
    int rc = w->stage->run(w->stage, w->object, again);
    if (rc > 0) {
        w->is_shown = false;
        w->reinvoke = true;
    }
    return rc < 0 ? rc : 0;
}

static int walk(struct plugin_host *h, struct course *w, struct kl_call *c, struct kl_admission_review *r, struct kl_admission_verdict *ret, bool again)
{
    bool staged = false;
    int rc = 0;
    for (unsigned i = 0; i < h->admission.n && rc == 0; i++) {
        struct plugin_instance *p = h->admission.at[i];
        const struct kl_admission *t = p->provider->table;
        if (p->state != PLUGIN_READY || (w->mutating ? t->mutates == 0 : t->mutates == 1))
            continue;
        if (!staged && KL_HAS(t, over)) {
            staged = true;
            if ((rc = stage(w, c, again)) < 0)
                break;
        }
        if (!concerns(t, r))
            continue;
        rc = 1;
        for (int n = 0; rc == 1 && n < AGAIN_MOST; n++)
            rc = ask(w, p, c, r, ret);
        rc = rc == 1 ? 0 : rc;
    }
    return rc == 0 && !staged ? stage(w, c, again) : rc;
}

static int admit(void *ctx, struct kl_call *c, bool mutating, struct kl_admission_review *r, struct arena *a, const struct schema_kind *kind,
                 struct val **object, struct api_stage *own, struct kl_admission_verdict *ret)
{
    struct plugin_host *h = loop_only(ctx);
    struct course w = { .arena = a, .kind = kind, .object = object, .shown = BUF_INIT(64 << 20), .settled = true, .mutating = mutating, .stage = own };
    c->flags |= mutating ? 0 : KL_CALL_VALIDATING;
    int rc = walk(h, &w, c, r, ret, false);
    if (rc == 0 && w.reinvoke && mutating) {
        c->flags |= KL_CALL_REINVOKED;
        rc = walk(h, &w, c, r, ret, true);
    }
    buf_free(&w.shown);
    return rc == 0 ? settle(&w, &c->err) : rc;
}

/* --- the other hooks --- */

static const struct kl_node *node(void *ctx, struct str name, void **ret_self)
{
    struct plugin_host *h = ctx;
    for (unsigned i = 0; i < h->n_opened; i++) {
        struct plugin_instance *p = h->opened[i];
        const struct kl_node *t = p->provider->table;
        if (strcmp(p->provider->iface, KL_NODE_0) != 0 || p->state != PLUGIN_READY || !str_is(name, t->name(p->self)))
            continue;
        *ret_self = p->self;
        return t;
    }
    return NULL;
}

static struct val *debug(void *ctx, struct arena *a, struct str what)
{
    return str_is(what, "plugins") ? plugin_host_debug(ctx, a) : NULL;
}

static void change(void *ctx, struct str instance, const char *action, const struct val *body, const char *user, plugin_changed_fn done, void *done_ctx)
{
    const struct val *settings = json_get(body, STR("settings"));
    struct plugin_change c = { .action = action, .instance = str_is(instance, "-") ? STR("") : instance, .file = json_str(body, "file"),
                               .before = json_str(body, "before"), .provider = json_str(body, "provider"), .isolate = json_str(body, "isolate"),
                               .settings = val_is(settings, VAL_OBJ) ? settings : NULL, .user = user };
    plugin_host_change(ctx, &c, done, done_ctx);
}

void plugin_host_hooks(struct plugin_host *h, struct api_hooks *ret)
{
    *ret = (struct api_hooks){ .ctx = h, .authenticate = authenticate, .authorize = host_authorize, .rules = rules, .admit = admit, .over = over,
                               .node = node, .debug = debug, .change = change };
}
