/* auth.c - who asks, and may they. */
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
    if (h.len > 7 && str_eq_nocase(str_n(h.at, 7), STR("bearer "))) {
        h = str_skip(h, 7);
        struct str token = str_cut(&h, ' ');    /* what follows a second space is none of it */
        return token.len ? arena_dup(rq->arena, token) : NULL;
    }
    return protocol_bearer(rq);
}

static bool count_header(void *ctx, struct str name, struct str value)
{
    (void)name;
    (void)value;
    ++*(unsigned *)ctx;
    return true;
}

struct texts {
    struct arena *arena;
    const char **at;
    unsigned n;
};

static bool add_header(void *ctx, struct str name, struct str value)
{
    struct texts *t = ctx;
    t->at[t->n++] = arena_dup(t->arena, name);
    t->at[t->n++] = arena_dup(t->arena, value);
    return t->at[t->n - 2] && t->at[t->n - 1];
}

/* Headers are shown to plugins only beside a certificate that somebody else may vouch for: a proxy's, which says there who asks. */
static const char *const *headers(struct api_rq *rq)
{
    unsigned n = 0;
    http_each_header(rq->http, count_header, &n);
    struct texts t = { rq->arena, arena_alloc(rq->arena, (2 * n + 1) * sizeof *t.at), 0 };
    return t.at && http_each_header(rq->http, add_header, &t) ? t.at : NULL;
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
                                   .bearer = bearer(rq), .peer = arena_dup(rq->arena, peer->address), .path = rq->info.tuple.path };
    if (peer->cert_shown.len) {
        cred.cert_shown = (struct kl_bytes){ peer->cert_shown.at, peer->cert_shown.len };
        cred.headers = headers(rq);
    }
    api_rq_call(rq, &c, NULL);
    rq->user = (struct kl_user){ .size = sizeof rq->user };
    int rc = rq->api->hooks.authenticate ? rq->api->hooks.authenticate(rq->api->hooks.ctx, &c, &cred, &rq->user) : 0;
    if (rc == -KL_PENDING)
        return api_fail(&rq->err, rq->arena, KL_PENDING, "the decision is pending");
    if (rc < 0 || (rc == 0 && (cred.bearer || cred.cert_shown.len)))
        return api_fail(&rq->err, rq->arena, KL_UNAUTHORIZED, "Unauthorized");
    if (rc == 0)
        rq->user = (struct kl_user){ .size = sizeof rq->user, .name = "system:anonymous", .uid = "", .groups = anonymous };
    return 0;
}

const char *api_forbidden_text(struct arena *a, const struct kl_user *user, const struct kl_request *t, const char *why)
{
    const char *res = arena_printf(a, "%s%s%s", t->resource, t->subresource[0] ? "/" : "", t->subresource);
    const char *qualified = t->group[0] ? arena_printf(a, "%s.%s", t->resource, t->group) : t->resource;
    return arena_printf(a, "%s%s%s%s is forbidden: User \"%s\" cannot %s resource \"%s\" in API group \"%s\" %s%s%s%s%s", qualified,
                        t->name[0] ? " \"" : "", t->name, t->name[0] ? "\"" : "", user->name, t->verb, res, t->group,
                        t->ns[0] ? "in the namespace \"" : "at the cluster scope", t->ns, t->ns[0] ? "\"" : "", why[0] ? ": " : "", why);
}

int api_forbidden(struct api_rq *rq, const struct kl_user *user, const struct kl_request *t, const char *why)
{
    struct arena *a = rq->arena;
    if (!t->is_resource) {
        api_fail(&rq->err, a, KL_FORBIDDEN, "forbidden: User \"%s\" cannot %s path \"%s\"%s%s", user->name, t->verb, t->path, why[0] ? ": " : "", why);
        rq->err.empty_details = rq->err.nosniff = true;
        return -KL_FORBIDDEN;
    }
    const char *text = api_forbidden_text(a, user, t, why);
    api_fail(&rq->err, a, KL_FORBIDDEN, "%s", text ? text : "out of memory");
    rq->err.nosniff = true;
    rq->err.name = t->name;
    rq->err.group = t->group;
    rq->err.kind = t->resource;
    return -KL_FORBIDDEN;
}

/* Nobody allows it, and somebody could not be asked. */
static int untold(struct api_rq *rq, const char *why)
{
    struct str query = http_query(rq->http);
    const char *path = arena_printf(rq->arena, STR_FMT "%s" STR_FMT, STR_ARG(http_path(rq->http)), query.at ? "?" : "", STR_ARG(query));
    audit_note(rq, "authorization.k8s.io/reason", "internal error");
    api_fail(&rq->err, rq->arena, KL_INTERNAL, "%s", why);
    rq->err.plain = arena_printf(rq->arena, "Internal Server Error: \"%s\": %s\n", path ? path : "", why);
    return -KL_INTERNAL;
}

int api_authorize_as(struct api_rq *rq, const struct kl_user *user, const struct kl_request *t)
{
    struct kl_call c;
    api_rq_call(rq, &c, user->name);
    int rc = rq->api->hooks.authorize ? rq->api->hooks.authorize(rq->api->hooks.ctx, &c, user, t) : 0;
    if (rc == -KL_PENDING)
        return api_fail(&rq->err, rq->arena, KL_PENDING, "the decision is pending");
    if (rc == 0 && c.err.code == KL_INTERNAL)
        return untold(rq, c.err.msg);
    if (t == &rq->info.tuple)
        audit_decided(rq, rc == 1, c.err.msg);
    return rc == 1 ? 0 : api_forbidden(rq, user, t, c.err.msg);
}

int api_authorize(struct api_rq *rq)
{
    return api_authorize_as(rq, &rq->user, &rq->info.tuple);
}

int api_authenticate(struct api_rq *rq)
{
    return who_asks(rq) < 0 || api_impersonate(rq) < 0 ? -1 : 0;
}
