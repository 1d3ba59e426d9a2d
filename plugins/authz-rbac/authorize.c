/* authorize.c - keelson.authz/0: yes when a rule of the user's bindings allows the request, else no opinion. */
#include "rbac.h"

struct authz {
    const struct kl_host *host;
    const struct index *index;          /* found at the first request; the controller lives as long as we do */
};

static const struct index *index_of(struct authz *x, struct kl_call *c)
{
    if (!x->index)
        x->index = rbac_index(x->host, c);
    return x->index;
}

static int authz_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct authz *x = mem_alloc(sizeof *x);
    (void)conf;
    if (!x)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    x->host = h;
    *self = x;
    return 0;
}

static void authz_close(void *self)
{
    mem_free(self);
}

struct question {
    const struct kl_request *request;
    const struct binding *by;
};

static bool allows(void *ctx, const struct rule *r, const struct binding *b)
{
    struct question *q = ctx;
    if (!rule_allows(r, q->request))
        return false;
    q->by = b;
    return true;
}

/* The binding's first subject that the user is, as upstream prints it: an account is a user whose name says so. */
static void put_subject(char *at, size_t n, const struct binding *b, const struct kl_user *u)
{
    const char *key = "U";
    for (unsigned i = 0; i < b->n && !key[1]; i++) {
        const char *k = b->bonds[i].subject->key;
        bool is = k[0] == 'U' && strcmp(k + 1, u->name) == 0;
        for (const char *const *g = u->groups; k[0] == 'G' && g && *g && !is; g++)
            is = strcmp(k + 1, *g) == 0;
        key = is ? k : key;
    }
    struct str rest = str_of(key + 1), head = STR("system:serviceaccount:");
    if (key[0] == 'G' || !str_starts(rest, head)) {
        snprintf(at, n, "%s \"%s\"", key[0] == 'G' ? "Group" : "User", key + 1);
        return;
    }
    rest = str_skip(rest, head.len);
    struct str ns = str_cut(&rest, ':');
    snprintf(at, n, "ServiceAccount \"" STR_FMT "/" STR_FMT "\"", STR_ARG(rest), STR_ARG(ns));
}

static int authorize(void *self, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    struct question q = { r, NULL };
    char subject[600];
    const struct index *x = index_of(self, c);
    if (!x || !index_each(x, user, str_of(r->is_resource ? r->ns : ""), allows, &q))
        return 0;
    const char *role = strrchr(q.by->role, '/') + 1, *name = strrchr(q.by->key, '/') + 1;
    put_subject(subject, sizeof subject, q.by, user);
    snprintf(c->err.msg, sizeof c->err.msg, "RBAC: allowed by %s \"%s%s" STR_FMT "\" of %s \"%s\" to %s",
             q.by->ns.len ? "RoleBinding" : "ClusterRoleBinding", name, q.by->ns.len ? "/" : "", STR_ARG(q.by->ns),
             q.by->role[0] == '/' ? "ClusterRole" : "Role", role, subject);
    return 1;
}

/* --- what somebody may do, for `kubectl auth can-i --list` --- */

struct listing {
    struct arena *arena;
    struct val *resource, *other;
};

static void add_texts(struct arena *a, struct val *v, const char *key, const char *const *list)
{
    if (!*list)
        return;
    struct val *out = json_arr(a, v, str_of(key));
    for (; *list; list++)
        val_push(out, val_of_str(a, str_of(*list)));
}

static bool list_rule(void *ctx, const struct rule *r, const struct binding *b)
{
    struct listing *l = ctx;
    struct val *v = val_push(*r->urls ? l->other : l->resource, val_new(l->arena, VAL_OBJ));
    (void)b;
    add_texts(l->arena, v, "verbs", r->verbs);
    add_texts(l->arena, v, "apiGroups", r->groups);
    add_texts(l->arena, v, "resources", r->resources);
    add_texts(l->arena, v, "resourceNames", r->names);
    add_texts(l->arena, v, "nonResourceURLs", r->urls);
    return false;
}

static int rules(void *self, struct kl_call *c, const struct kl_user *user, const char *ns, struct kl_bytes *ret)
{
    const struct index *x = index_of(self, c);
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    _cleanup_buf_ struct buf b = BUF_INIT(16 << 20);
    struct val *v = a ? val_new(a, VAL_OBJ) : NULL;
    struct listing l = { a, json_arr(a, v, STR("resourceRules")), json_arr(a, v, STR("nonResourceRules")) };
    if (!v || !x)
        return v ? -c->err.code : kl_fail(c, KL_NO_MEMORY, "out of memory");
    index_each(x, user, str_of(ns), list_rule, &l);
    json_write(&b, v);
    *ret = (struct kl_bytes){ b.failed || arena_exhausted(a) ? NULL : kl_dup(c, b.at, b.len), b.len };
    return ret->at ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

const struct kl_authz rbac_authz = { .size = sizeof rbac_authz, .life = { .open = authz_open, .close = authz_close }, .authorize = authorize,
                                     .rules = rules };
