/* escalation.c - keelson.admission/0: nobody hands out what they do not hold, in upstream's words. Exempt are system:masters and whoever
 * may `escalate` the role, or `bind` it. */
#include "rbac.h"

#define ARENA_BYTES (64u << 20)

struct check {
    const struct index *index;
    const struct kl_admission_review *r;
    struct kl_admission_verdict *ret;
    struct arena *arena;
    const struct val *object, *old;
};

static int check_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)conf;
    (void)c;
    *self = (void *)h;
    return 0;
}

static bool is_master(const struct kl_user *u)
{
    for (const char *const *g = u->groups; g && *g; g++)
        if (strcmp(*g, "system:masters") == 0)
            return true;
    return false;
}

static bool rule_says(void *ctx, const struct rule *r, const struct binding *b)
{
    (void)b;
    return rule_allows(r, ctx);
}

/* May the user do that to a role, by the rules known here? */
static bool may(const struct check *k, const char *verb, const char *resource, const char *ns, const char *name)
{
    struct kl_request q = { .size = sizeof q, .verb = verb, .is_resource = 1, .group = RBAC_GROUP, .version = "v1", .resource = resource,
                            .subresource = "", .ns = ns, .name = name, .path = "" };
    return index_each(k->index, k->r->user, str_of(ns), rule_says, &q);
}

static const char *user_text(const struct check *k)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    buf_printf(&b, "\"%s\" (groups=[", k->r->user->name);
    for (const char *const *g = k->r->user->groups; g && *g; g++)
        buf_printf(&b, "%s\"%s\"", g == k->r->user->groups ? "" : " ", *g);
    buf_add_z(&b, "])");
    return arena_dup(k->arena, buf_str(&b));
}

/* The host puts the object's name in front. What is missing may be longer than an error. */
static int forbid(const struct check *k, struct kl_call *c, const char *missing)
{
    const char *text = arena_printf(k->arena, "user %s is attempting to grant RBAC permissions not currently held:\n%s", user_text(k), missing);
    k->ret->refusal = text ? kl_dup(c, text, strlen(text)) : NULL;
    return kl_fail(c, KL_FORBIDDEN, "%s", text ? text : "attempting to grant RBAC permissions not currently held");
}

static int check_rules(const struct check *k, struct kl_call *c, const struct rule *rules, unsigned n)
{
    const char *missing;
    return rules_covered(k->index, k->r->user, str_of(k->r->request->ns), rules, n, k->arena, &missing) ? 0 : forbid(k, c, missing);
}

static int check_role(const struct check *k, struct kl_call *c)
{
    const struct kl_request *q = k->r->request;
    const struct val *list = json_get(k->object, STR("rules")), *aggregation = json_get(k->object, STR("aggregationRule"));
    unsigned n;
    if (k->old && val_equal(list, json_get(k->old, STR("rules"))) && val_equal(aggregation, json_get(k->old, STR("aggregationRule"))))
        return 0;
    if (may(k, "escalate", q->resource, q->ns, q->name))
        return 0;
    struct rule *rules = rules_read(k->arena, list, &n);
    if (!rules)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (val_is(aggregation, VAL_OBJ)) {
        static const char *const all[] = { "*", NULL }, *const no[] = { NULL };
        static const struct rule every[] = { { all, all, all, no, no }, { all, no, no, no, all } };
        const char *missing;
        if (!rules_covered(k->index, k->r->user, STR(""), every, 2, k->arena, &missing))
            return kl_fail(c, KL_FORBIDDEN, "must have cluster-admin privileges to use an aggregationRule");
    }
    return check_rules(k, c, rules, n);
}

/* A role that is not there is the answer, not a mistake in the binding: clients read in the details whose absence it is. */
static int role_missing(const struct check *k, struct kl_call *c, const char *resource, const char *name)
{
    _cleanup_buf_ struct buf b = BUF_INIT(8 << 10);
    int rc = kl_fail(c, KL_NOT_FOUND, "%s.%s \"%s\" not found", resource, RBAC_GROUP, name);
    buf_lit(&b, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":");
    json_write_str(&b, str_of(c->err.msg));
    buf_lit(&b, ",\"reason\":\"NotFound\",\"details\":{\"name\":");
    json_write_str(&b, str_of(name));
    buf_printf(&b, ",\"group\":\"%s\",\"kind\":\"%s\"},\"code\":404}", RBAC_GROUP, resource);
    char *text = b.failed ? NULL : kl_dup(c, b.at, b.len);
    if (text)
        k->ret->status = (struct kl_bytes){ text, b.len };
    return rc;
}

static int check_binding(const struct check *k, struct kl_call *c)
{
    const struct kl_request *q = k->r->request;
    bool cluster = str_is(json_str(k->object, "roleRef.kind"), "ClusterRole");
    const char *name = arena_dup(k->arena, json_str(k->object, "roleRef.name")), *ns = cluster ? "" : q->ns;
    const char *resource = cluster ? "clusterroles" : "roles", *key = arena_printf(k->arena, "%s/%s", ns, name ? name : "");
    if (!name || !key)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (k->old && val_equal(json_get(k->object, STR("roleRef")), json_get(k->old, STR("roleRef"))) &&
        val_equal(json_get(k->object, STR("subjects")), json_get(k->old, STR("subjects"))))
        return 0;
    if (may(k, "bind", resource, q->ns, name))
        return 0;
    const struct role *role = map_get(&k->index->roles, str_of(key));
    if (!role)
        return role_missing(k, c, resource, name);
    return check_rules(k, c, role->rules, role->n);
}

static int review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    struct check k = { .r = r, .ret = ret };
    if (is_master(r->user))
        return 0;
    k.index = rbac_index(self, c);
    if (!k.index)
        return -c->err.code;
    _cleanup_arena_ struct arena *a = k.arena = arena_new(ARENA_BYTES);
    k.object = a ? json_parse(a, str_n(r->object.at, r->object.len), &c->err) : NULL;
    k.old = a && r->old_object.len ? json_parse(a, str_n(r->old_object.at, r->old_object.len), &c->err) : NULL;
    if (!k.object)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    return strstr(r->request->resource, "bindings") ? check_binding(&k, c) : check_role(&k, c);
}

static const char *const resources[] = { RBAC_GROUP "/roles", RBAC_GROUP "/clusterroles", RBAC_GROUP "/rolebindings",
                                         RBAC_GROUP "/clusterrolebindings", NULL };

const struct kl_admission rbac_admission = { .size = sizeof rbac_admission, .life = { .open = check_open }, .resources = resources,
                                             .operations = "CREATE,UPDATE", .review = review };
