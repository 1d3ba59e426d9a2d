/* chain.c - authentication, authorization and admission: ordered chains of instances, walked here. [loop] */
#include <keelson/iface/node.h>

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
            return kl_err_set(err, KL_INVALID, "%s: chain '%s' names '" STR_FMT "', which is no instance of %s", conf_where(h->arena, v), key,
                              STR_ARG(val_str(v)), iface);
        if (c->n < HOST_INSTANCES_MAX)
            c->at[c->n++] = i;
    }
    return 0;
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

/* The first that knows who it is decides; bad credentials count only when nobody does. */
static int authenticate(void *ctx, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret)
{
    struct plugin_host *h = ctx;
    int bad = 0;
    for (unsigned i = 0; i < h->authn.n; i++) {
        struct plugin_instance *p = h->authn.at[i];
        if (p->state != PLUGIN_READY)
            continue;
        int rc = ((const struct kl_authn *)p->provider->table)->authenticate(p->self, c, cred, ret);
        if (rc > 0)
            return rc;
        bad = rc < 0 ? rc : bad;
    }
    return bad;
}

static int authorize(void *ctx, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    struct plugin_host *h = ctx;
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

static void take_rules(struct arena *a, const struct val *v, const char *key, struct val *out)
{
    const struct val *list = json_get(v, str_of(key));
    if (val_is(list, VAL_ARR))
        val_each(r, list)
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

/* --- admission --- */

static bool concerns(const struct kl_admission *t, const struct kl_request *r)
{
    const char *op = strcmp(r->verb, "create") == 0 ? "CREATE" : strcmp(r->verb, "delete") == 0 ? "DELETE" :
                     strcmp(r->verb, "connect") == 0 ? "CONNECT" : "UPDATE";
    struct str ops = str_of(t->operations);
    char resource[256];
    bool has_op = false;
    while (ops.at)
        has_op |= str_is(str_trim(str_cut(&ops, ',')), op);
    snprintf(resource, sizeof resource, "%s/%s%s%s", r->group, r->resource, r->subresource[0] ? "/" : "", r->subresource);
    for (const char *const *n = t->resources; has_op && n && *n; n++)
        if (strcmp(*n, "*") == 0 || strcmp(*n, resource) == 0)
            return true;
    return false;
}

/* Applies one plugin's patch to what the next one sees, and keeps its operations for the caller. */
static int follow(struct arena *a, struct kl_admission_review *seen, struct kl_bytes patch, struct buf *ops, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 20);
    struct val *list = json_parse(a, str_n(patch.at, patch.len), err);
    struct val *object = list ? json_parse(a, str_n(seen->object.at, seen->object.len), err) : NULL;
    struct val *now = object ? object_patch_json(a, object, list, err) : NULL;
    if (!now || !val_is(list, VAL_ARR))
        return kl_err_wrap(err, "the patch does not apply");
    json_write(&b, now);
    struct str text = arena_str(a, buf_str(&b));
    val_each(op, list) {
        buf_add_c(ops, ops->len > 1 ? ',' : ' ');
        json_write(ops, op);
    }
    seen->object = (struct kl_bytes){ text.at, text.len };
    return text.at && !b.failed && !ops->failed ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

static int admit(void *ctx, struct kl_call *c, bool mutating, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    struct plugin_host *h = ctx;
    _cleanup_arena_ struct arena *a = NULL;
    _cleanup_buf_ struct buf ops = BUF_INIT(64 << 20);
    struct kl_admission_review seen = *r;
    for (unsigned i = 0; i < h->admission.n; i++) {
        struct plugin_instance *p = h->admission.at[i];
        const struct kl_admission *t = p->provider->table;
        if (p->state != PLUGIN_READY || (t->mutates != 0) != mutating || !concerns(t, r->request))
            continue;
        struct kl_admission_verdict one = { .size = sizeof one };
        int rc = t->review(p->self, c, &seen, &one);
        if (rc < 0)
            return rc;
        if (one.warnings)
            ret->warnings = one.warnings;
        if (!mutating || !one.patch.len)
            continue;
        if (!a && !(a = arena_new(64 << 20)))
            return kl_fail(c, KL_NO_MEMORY, "out of memory");
        if (!ops.len)
            buf_add_c(&ops, '[');
        rc = follow(a, &seen, one.patch, &ops, &c->err);
        if (rc < 0)
            return kl_err_wrap(&c->err, "admission plugin '%s'", p->name);
    }
    if (!ops.len)
        return 0;
    buf_add_c(&ops, ']');
    char *text = kl_dup(c, ops.at, ops.len);
    ret->patch = (struct kl_bytes){ text, ops.len };
    return text && !ops.failed ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

/* --- the other hooks --- */

static const struct kl_node *node(void *ctx, struct str name, void **ret_self)
{
    struct plugin_host *h = ctx;
    for (unsigned i = 0; i < h->n_opened; i++) {
        struct plugin_instance *p = h->opened[i];
        const struct kl_node *t = p->provider->table;
        if (strcmp(p->provider->iface, KL_NODE_0) != 0 || !str_is(name, t->name(p->self)))
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

void plugin_host_hooks(struct plugin_host *h, struct api_hooks *ret)
{
    *ret = (struct api_hooks){ .ctx = h, .authenticate = authenticate, .authorize = authorize, .rules = rules, .admit = admit, .node = node, .debug = debug };
}
