/* auth.c - who asks (or is impersonated), and may they. */
#include "api-internal.h"
#include "object/base64.h"

/* A browser can set no header on a WebSocket: its token is one of the protocols it offers, in base64url without padding. */
static const char *protocol_bearer(struct api_rq *rq)
{
    struct str s = remote_bearer(rq->http);
    char *digits = s.len ? arena_alloc(rq->arena, s.len + 4) : NULL, *out = digits ? arena_alloc(rq->arena, s.len + 1) : NULL;
    if (!out)
        return NULL;
    for (size_t i = 0; i < s.len; i++)
        digits[i] = s.at[i] == '-' ? '+' : s.at[i] == '_' ? '/' : s.at[i];
    size_t n = s.len;
    while (n % 4)
        digits[n++] = '=';
    if (!base64_valid(str_n(digits, n)))
        return NULL;
    size_t len = base64_decode(str_n(digits, n), out);
    return len && !memchr(out, '\0', len) ? out : NULL;
}

static const char *bearer(struct api_rq *rq)
{
    struct str h = http_header(rq->http, STR("authorization"));
    if (h.len > 7 && str_eq_nocase(str_n(h.at, 7), STR("bearer ")))
        return arena_dup(rq->arena, str_trim(str_skip(h, 7)));
    return protocol_bearer(rq);
}

static int who_asks(struct api_rq *rq)
{
    static const char *const anonymous[] = { "system:unauthenticated", NULL };
    const struct http_peer *peer = http_peer(rq->http);
    const char **orgs = arena_alloc(rq->arena, (peer->n_cert_orgs + 1) * sizeof *orgs);
    struct kl_call c;
    if (!orgs)
        return api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory");
    for (unsigned i = 0; i < peer->n_cert_orgs; i++)
        orgs[i] = arena_dup(rq->arena, peer->cert_orgs[i]);
    struct kl_credentials cred = { .size = sizeof cred, .cert_der = { peer->cert_der.at, peer->cert_der.len },
                                   .cert_cn = peer->cert_cn.len ? arena_dup(rq->arena, peer->cert_cn) : NULL, .cert_orgs = orgs,
                                   .bearer = bearer(rq), .peer = arena_dup(rq->arena, peer->address) };
    api_rq_call(rq, &c, NULL);
    rq->user = (struct kl_user){ .size = sizeof rq->user };
    int rc = rq->api->hooks.authenticate ? rq->api->hooks.authenticate(rq->api->hooks.ctx, &c, &cred, &rq->user) : 0;
    if (rc == -KL_PENDING)
        return api_fail(&rq->err, rq->arena, KL_PENDING, "the decision is pending");
    if (rc < 0 || (rc == 0 && cred.bearer))
        return api_fail(&rq->err, rq->arena, KL_UNAUTHORIZED, "Unauthorized");
    if (rc == 0)
        rq->user = (struct kl_user){ .size = sizeof rq->user, .name = "system:anonymous", .uid = "", .groups = anonymous };
    return 0;
}

static int forbidden(struct api_rq *rq, const struct kl_user *user, const struct kl_request *t, const char *why)
{
    struct arena *a = rq->arena;
    if (!t->is_resource)
        return api_fail(&rq->err, a, KL_FORBIDDEN, "forbidden: User \"%s\" cannot %s path \"%s\"%s%s", user->name, t->verb, t->path,
                        why[0] ? ": " : "", why);
    const char *res = arena_printf(a, "%s%s%s", t->resource, t->subresource[0] ? "/" : "", t->subresource);
    const char *qualified = t->group[0] ? arena_printf(a, "%s.%s", t->resource, t->group) : t->resource;
    api_fail(&rq->err, a, KL_FORBIDDEN, "%s%s%s%s is forbidden: User \"%s\" cannot %s resource \"%s\" in API group \"%s\" %s%s%s%s%s", qualified,
             t->name[0] ? " \"" : "", t->name, t->name[0] ? "\"" : "", user->name, t->verb, res, t->group,
             t->ns[0] ? "in the namespace \"" : "at the cluster scope", t->ns, t->ns[0] ? "\"" : "", why[0] ? ": " : "", why);
    rq->err.name = t->name;
    rq->err.group = t->group;
    rq->err.kind = t->resource;
    return -KL_FORBIDDEN;
}

static int authorize_as(struct api_rq *rq, const struct kl_user *user, const struct kl_request *t)
{
    struct kl_call c;
    api_rq_call(rq, &c, user->name);
    int rc = rq->api->hooks.authorize ? rq->api->hooks.authorize(rq->api->hooks.ctx, &c, user, t) : 0;
    if (rc == -KL_PENDING)
        return api_fail(&rq->err, rq->arena, KL_PENDING, "the decision is pending");
    return rc == 1 ? 0 : forbidden(rq, user, t, c.err.msg);
}

int api_authorize(struct api_rq *rq)
{
    return authorize_as(rq, &rq->user, &rq->info.tuple);
}

/* --- impersonation: the request counts as another's, when the asker may impersonate each part of who that is --- */

struct other {
    struct api_rq *rq;
    struct kl_user user;
    const char **groups, **extra;
    unsigned n_groups, n_extra;
};
#define OTHER_MOST 64

static int may_be(struct other *o, const char *group, const char *resource, const char *sub, const char *ns, const char *name)
{
    struct kl_request t = { .size = sizeof t, .verb = "impersonate", .path = "", .is_resource = 1, .group = group, .version = group[0] ? "v1" : "",
                            .resource = resource, .subresource = sub, .ns = ns, .name = name };
    return authorize_as(o->rq, &o->rq->user, &t);
}

/* "system:serviceaccount:NS:NAME" is a service account, anything else a user. */
static int take_name(struct other *o, struct str name)
{
    struct arena *a = o->rq->arena;
    struct str rest = name, head = STR("system:serviceaccount:"), ns;
    o->user.name = arena_dup(a, name);
    if (!str_starts(name, head) || str_find(rest = str_skip(name, head.len), ':') < 0)
        return may_be(o, "", "users", "", "", o->user.name);
    ns = str_cut(&rest, ':');
    if (!o->n_groups) {
        o->groups[o->n_groups++] = "system:serviceaccounts";
        o->groups[o->n_groups++] = arena_printf(a, "system:serviceaccounts:" STR_FMT, STR_ARG(ns));
    }
    return may_be(o, "", "serviceaccounts", "", arena_dup(a, ns), arena_dup(a, rest));
}

static int take_groups(struct other *o, struct str list)
{
    while (list.at && o->n_groups < OTHER_MOST) {
        const char *g = arena_dup(o->rq->arena, str_trim(str_cut(&list, ',')));
        if (!g || !g[0])
            continue;
        if (may_be(o, "", "groups", "", "", g) < 0)
            return -1;
        o->groups[o->n_groups++] = g;
    }
    return 0;
}

static bool take_extra(void *ctx, struct str name, struct str values)
{
    struct other *o = ctx;
    struct arena *a = o->rq->arena;
    struct str head = STR("impersonate-extra-");
    if (!str_starts(name, head) || name.len == head.len)
        return true;
    struct str key = http_decode(a, str_skip(name, head.len), false);
    const char *k = key.at ? arena_dup(a, key) : "";
    while (values.at && o->n_extra + 2 < OTHER_MOST) {
        const char *v = arena_dup(a, str_trim(str_cut(&values, ',')));
        if (may_be(o, "authentication.k8s.io", "userextras", k, "", v) < 0)
            return false;
        o->extra[o->n_extra++] = k;
        o->extra[o->n_extra++] = v;
    }
    return true;
}

static void add_known(struct other *o)
{
    bool anonymous = strcmp(o->user.name, "system:anonymous") == 0;
    const char *g = anonymous ? "system:unauthenticated" : "system:authenticated";
    for (unsigned i = 0; i < o->n_groups; i++)
        if (strcmp(o->groups[i], "system:authenticated") == 0 || strcmp(o->groups[i], "system:unauthenticated") == 0)
            return;
    o->groups[o->n_groups++] = g;
}

static int impersonate(struct api_rq *rq)
{
    struct str name = http_header(rq->http, STR("impersonate-user")), groups = http_header(rq->http, STR("impersonate-group"));
    struct str uid = http_header(rq->http, STR("impersonate-uid"));
    struct other o = { .rq = rq, .user = { .size = sizeof o.user, .uid = "" } };
    if (!name.len) {
        if (groups.len || uid.len)
            return api_fail(&rq->err, rq->arena, KL_INTERNAL, "requested [{  %s  \"" STR_FMT "\"   }] without impersonating a user",
                            groups.len ? "Group" : "UID", STR_ARG(groups.len ? groups : uid));
        return 0;
    }
    o.groups = arena_alloc(rq->arena, (OTHER_MOST + 4) * sizeof *o.groups);
    o.extra = arena_alloc(rq->arena, (OTHER_MOST + 2) * sizeof *o.extra);
    if (!o.groups || !o.extra)
        return api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory");
    if (take_groups(&o, groups) < 0 || take_name(&o, name) < 0)
        return -1;
    if (uid.len) {
        o.user.uid = arena_dup(rq->arena, uid);
        if (may_be(&o, "authentication.k8s.io", "uids", "", "", o.user.uid) < 0)
            return -1;
    }
    if (!http_each_header(rq->http, take_extra, &o))
        return -1;
    add_known(&o);
    o.user.groups = o.groups;
    o.user.extra = o.n_extra ? o.extra : NULL;
    rq->user = o.user;
    return 0;
}

int api_authenticate(struct api_rq *rq)
{
    return who_asks(rq) < 0 || impersonate(rq) < 0 ? -1 : 0;
}
