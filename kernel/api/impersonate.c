/* impersonate.c - the request counts as another's, when the asker may be each part of who that is.
 *
 * Constrained impersonation first: a mode of its own for nodes, service accounts and everybody else, that has to be allowed for what is
 * done (impersonate-on:MODE:VERB) and for who one becomes (impersonate:MODE). Then, as since ever, the verb impersonate. The first mode that
 * allows it decides; when none does, the first refusal is what is told. */
#include "api-internal.h"

struct wanted {
    struct arena *arena;
    const char *name, *uid;
    const char **groups, **extra;       /* NULL-terminated; extra: key, value, ... */
    unsigned n_groups, n_extra;
    bool has_extra;
};

/* --- headers --- */

static bool count(void *ctx, struct str name, struct str value)
{
    (void)value;
    if (str_starts(name, STR("impersonate-")))
        ++*(unsigned *)ctx;
    return true;
}

static const char *extra_key(struct arena *a, struct str name)
{
    struct str raw = str_skip(name, strlen("impersonate-extra-")), key = http_decode(a, raw, false);
    return arena_dup(a, key.at ? key : raw);
}

static bool take(void *ctx, struct str name, struct str value)
{
    struct wanted *w = ctx;
    struct arena *a = w->arena;
    if (!str_starts(name, STR("impersonate-")))
        return true;
    if (str_is(name, "impersonate-user") && !w->name)
        w->name = arena_dup(a, value);
    else if (str_is(name, "impersonate-uid") && !w->uid)
        w->uid = arena_dup(a, value);
    else if (str_is(name, "impersonate-group"))
        w->groups[w->n_groups++] = arena_dup(a, value);
    else if (str_starts(name, STR("impersonate-extra-"))) {
        w->has_extra = true;
        w->extra[w->n_extra++] = extra_key(a, name);
        w->extra[w->n_extra++] = arena_dup(a, value);
    }
    return true;
}

/* As Go prints the structure. */
static int without_name(struct api_rq *rq, const struct wanted *w)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    buf_printf(&b, "requested &user.DefaultInfo{Name:\"\", UID:\"%s\", Groups:[]string", w->uid);
    if (!w->n_groups)
        buf_lit(&b, "(nil)");
    for (unsigned i = 0; i < w->n_groups; i++)
        buf_printf(&b, "%s\"%s\"%s", i ? ", " : "{", w->groups[i], i + 1 == w->n_groups ? "}" : "");
    buf_lit(&b, ", Extra:map[string][]string");
    if (!w->n_extra)
        buf_lit(&b, "(nil)");
    for (unsigned i = 0; i < w->n_extra; i += 2)
        buf_printf(&b, "%s\"%s\":[]string{\"%s\"}%s", i ? ", " : "{", w->extra[i], w->extra[i + 1], i + 2 == w->n_extra ? "}" : "");
    buf_lit(&b, "} without impersonating a user name");
    api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, STR_FMT, STR_ARG(buf_str(&b)));
    rq->err.nosniff = true;
    return -KL_BAD_REQUEST;
}

/* --- names that mean more --- */

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.at[i] >= 'a' && s.at[i] <= 'z') || (s.at[i] >= '0' && s.at[i] <= '9') || ((s.at[i] == '-' || s.at[i] == '.') && i && i + 1 < s.len)))
            return false;
    return s.len > 0 && s.len <= 253;
}

static bool is_node(const char *name, struct str *ret_node)
{
    struct str s = str_of(name), head = STR("system:node:");
    *ret_node = str_skip(s, head.len);
    return str_starts(s, head) && is_name(*ret_node);
}

static bool is_account(const char *name, struct str *ret_ns, struct str *ret_name)
{
    struct str s = str_of(name), head = STR("system:serviceaccount:");
    if (!str_starts(s, head))
        return false;
    *ret_name = str_skip(s, head.len);
    *ret_ns = str_cut(ret_name, ':');
    return is_name(*ret_ns) && str_find(*ret_ns, '.') < 0 && ret_name->at && is_name(*ret_name);
}

static bool only_name(const struct wanted *w)
{
    return !w->uid[0] && !w->n_groups && !w->n_extra;
}

/* --- modes --- */

static const char *extra_of(const struct kl_user *u, const char *key)
{
    const char *found = NULL;
    for (const char *const *x = u->extra; x && x[0]; x += 2)
        if (strcmp(x[0], key) == 0) {
            if (found)
                return "";
            found = x[1];
        }
    return found ? found : "";
}

static bool fits_associated(const struct wanted *w, const struct kl_user *asker)
{
    struct str node, ns, name;
    return only_name(w) && is_node(w->name, &node) && is_account(asker->name, &ns, &name) &&
           str_is(node, extra_of(asker, "authentication.kubernetes.io/node-name"));
}

static bool fits_node(const struct wanted *w, const struct kl_user *asker)
{
    struct str node;
    (void)asker;
    return only_name(w) && is_node(w->name, &node);
}

static bool fits_account(const struct wanted *w, const struct kl_user *asker)
{
    struct str ns, name;
    (void)asker;
    return only_name(w) && is_account(w->name, &ns, &name);
}

static bool fits_others(const struct wanted *w, const struct kl_user *asker)
{
    struct str a, b;
    (void)asker;
    return !is_node(w->name, &a) && !is_account(w->name, &a, &b);
}

static const struct mode {
    const char *name, *verb;            /* name NULL: the verb impersonate of old */
    bool (*fits)(const struct wanted *w, const struct kl_user *asker);
} modes[] = {
    { "associated-node", "impersonate:associated-node", fits_associated },
    { "arbitrary-node", "impersonate:arbitrary-node", fits_node },
    { "serviceaccount", "impersonate:serviceaccount", fits_account },
    { "user-info", "impersonate:user-info", fits_others },
    { NULL, "impersonate", NULL },
};

struct course {
    struct api_rq *rq;
    const struct mode *mode;
    const struct wanted *wanted;
    const struct kl_user *asker;
    struct kl_request ask;
};

static int may_be(struct course *c, const char *group, const char *resource, const char *sub, const char *name)
{
    c->ask.group = group;
    c->ask.version = group[0] ? "v1" : "";
    c->ask.resource = resource;
    c->ask.subresource = sub;
    c->ask.name = name;
    return api_authorize_as(c->rq, c->asker, &c->ask);
}

#define AUTHENTICATION "authentication.k8s.io"
#define MANY 4                          /* so many questions, and one about all of them is tried first */

static int refuse(struct course *c, const char *resource, const char *name, const char *why)
{
    struct kl_request t = c->ask;
    t.group = c->mode->name ? AUTHENTICATION : "";
    t.resource = resource;
    t.name = name;
    return api_forbidden(c->rq, c->asker, &t, why);
}

static int check_name(struct course *c, struct kl_user *ret)
{
    const struct wanted *w = c->wanted;
    struct arena *a = c->rq->arena;
    struct str ns, name;
    const char *group = c->mode->name ? AUTHENTICATION : "";
    if (c->mode->name && is_node(w->name, &name)) {
        static const char *const nodes[] = { "system:nodes", NULL };
        ret->groups = nodes;
        bool any = strcmp(c->mode->name, "associated-node") == 0;        /* what is allowed counts for the nodes of all its pods */
        return may_be(c, group, "nodes", "", any ? "*" : arena_dup(a, name));
    }
    if (!is_account(w->name, &ns, &name))
        return may_be(c, group, "users", "", w->name);
    if (!w->n_groups) {
        const char **groups = arena_alloc(a, 4 * sizeof *groups);
        if (!groups)
            return api_fail(&c->rq->err, a, KL_NO_MEMORY, "out of memory");
        groups[0] = "system:serviceaccounts";
        groups[1] = arena_printf(a, "system:serviceaccounts:" STR_FMT, STR_ARG(ns));
        ret->groups = groups;
    }
    c->ask.ns = arena_dup(a, ns);
    int rc = may_be(c, group, "serviceaccounts", "", arena_dup(a, name));
    c->ask.ns = "";
    return rc;
}

static int check_groups(struct course *c)
{
    const struct wanted *w = c->wanted;
    const char *group = c->mode->name ? AUTHENTICATION : "";
    for (unsigned i = 0; i < w->n_groups && c->mode->name; i++) {
        if (!w->groups[i][0])
            return refuse(c, "groups", "", "impersonating the empty string group is not allowed");
        if (strcmp(w->groups[i], "system:masters") == 0)
            return refuse(c, "groups", "system:masters", "impersonating the system:masters group is not allowed");
    }
    if (c->mode->name && w->n_groups >= MANY) {
        int all = may_be(c, group, "groups", "", "*");
        if (all != -KL_FORBIDDEN)
            return all;
    }
    for (unsigned i = 0; i < w->n_groups; i++) {
        int rc = may_be(c, group, "groups", "", w->groups[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Of a new kind of impersonation more is asked than of the old one. */
static const char *bad_extra(struct arena *a, const char *key, const char *value)
{
    struct str path = str_of(key), domain = str_cut(&path, '/');
    if (!key[0])
        return "impersonating the empty string key in extra is not allowed";
    if (!is_name(domain) || !path.len)
        return arena_printf(a, "impersonating an invalid key in extra is not allowed: extra.key: Invalid value: \"%s\": must be a domain-prefixed path "
                            "(such as \"acme.io/foo\")", key);
    return value[0] ? NULL : "impersonating the empty string value in extra is not allowed";
}

static int check_extra(struct course *c)
{
    const struct wanted *w = c->wanted;
    for (unsigned i = 0; i < w->n_extra && c->mode->name; i += 2) {
        const char *why = bad_extra(c->rq->arena, w->extra[i], w->extra[i + 1]);
        if (why)
            return refuse(c, "userextras", "", why);
    }
    if (c->mode->name && w->n_extra >= 2 * MANY) {
        int all = may_be(c, AUTHENTICATION, "userextras", "*", "*");
        if (all != -KL_FORBIDDEN)
            return all;
    }
    for (unsigned i = 0; i < w->n_extra; i += 2) {
        int rc = may_be(c, AUTHENTICATION, "userextras", w->extra[i], w->extra[i + 1]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int check_action(struct course *c)
{
    struct kl_request t = c->rq->info.tuple;
    t.verb = arena_printf(c->rq->arena, "impersonate-on:%s:%s", c->mode->name, t.verb);
    return t.verb ? api_authorize_as(c->rq, c->asker, &t) : api_fail(&c->rq->err, c->rq->arena, KL_NO_MEMORY, "out of memory");
}

/* To the associated-node mode all pods of one account look alike: of what their tokens say only the names of it are shown. */
static const char **key_names(struct arena *a, const struct kl_user *u)
{
    unsigned n = 0, m = 0;
    for (const char *const *x = u->extra; x && x[0]; x += 2)
        n++;
    const char **ret = arena_alloc(a, (2 * n + 1) * sizeof *ret);
    for (const char *const *x = u->extra; ret && x && x[0]; x += 2) {
        ret[m++] = "authentication.kubernetes.io/associated-node-keys";
        ret[m++] = x[0];
    }
    return ret;
}

static int try_mode(struct course *c, struct kl_user *ret)
{
    struct kl_user plain = c->rq->user;
    c->asker = &c->rq->user;
    if (c->mode->name && strcmp(c->mode->name, "associated-node") == 0) {
        plain.extra = key_names(c->rq->arena, &c->rq->user);
        c->asker = &plain;
    }
    *ret = (struct kl_user){ .size = sizeof *ret, .name = c->wanted->name, .uid = c->wanted->uid, .groups = c->wanted->groups,
                             .extra = c->wanted->n_extra ? c->wanted->extra : NULL };
    c->ask = (struct kl_request){ .size = sizeof c->ask, .verb = c->mode->verb, .path = "", .is_resource = 1, .ns = "" };
    int rc = c->mode->name ? check_action(c) : 0;
    if (rc == 0)
        rc = check_name(c, ret);
    if (rc == 0 && c->wanted->uid[0])
        rc = may_be(c, AUTHENTICATION, "uids", "", c->wanted->uid);
    if (rc == 0)
        rc = check_groups(c);
    return rc == 0 ? check_extra(c) : rc;
}

/* Everybody is in one of the two groups. */
static int add_known(struct arena *a, struct kl_user *u)
{
    const char *add = strcmp(u->name, "system:anonymous") == 0 ? "system:unauthenticated" : "system:authenticated";
    unsigned n = 0;
    for (; u->groups[n]; n++)
        if (strcmp(u->groups[n], add) == 0 || strcmp(u->groups[n], "system:unauthenticated") == 0)
            return 0;
    const char **all = arena_alloc(a, (n + 2) * sizeof *all);
    if (!all)
        return -KL_NO_MEMORY;
    memcpy(all, u->groups, n * sizeof *all);
    all[n] = add;
    u->groups = all;
    return 0;
}

static int become(struct api_rq *rq, const struct wanted *w)
{
    struct api_error first = { 0 };
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct course c = { .rq = rq, .mode = &modes[i], .wanted = w };
        struct kl_user u;
        if (modes[i].fits && !modes[i].fits(w, &rq->user))
            continue;
        rq->err = (struct api_error){ 0 };
        int rc = try_mode(&c, &u);
        if (rc == 0) {
            struct kl_user *asker = arena_alloc(rq->arena, sizeof *asker);
            if (!asker)
                return api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory");
            *asker = rq->user;
            rq->asker = asker;
            rq->user = u;
            rq->constraint = modes[i].name ? modes[i].verb : NULL;
            return add_known(rq->arena, &rq->user) < 0 ? api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory") : 0;
        }
        if (rc != -KL_FORBIDDEN)
            return rc;
        if (!first.code)
            first = rq->err;
    }
    rq->err = first;
    return -KL_FORBIDDEN;
}

int api_impersonate(struct api_rq *rq)
{
    unsigned n = 0;
    http_each_header(rq->http, count, &n);
    if (!n)
        return 0;
    struct arena *a = rq->arena;
    struct wanted w = { .arena = a, .groups = arena_alloc(a, (n + 1) * sizeof *w.groups), .extra = arena_alloc(a, (2 * n + 1) * sizeof *w.extra) };
    if (!w.groups || !w.extra || !http_each_header(rq->http, take, &w) || arena_exhausted(a))
        return api_fail(&rq->err, a, KL_NO_MEMORY, "out of memory");
    w.name = w.name ? w.name : "";
    w.uid = w.uid ? w.uid : "";
    if (w.name[0])
        return become(rq, &w);
    return w.uid[0] || w.n_groups || w.has_extra ? without_name(rq, &w) : 0;
}
