/* node_gate.c - see node_gate.h. */
#include "api/node_gate.h"

#define TOKEN_MOST (16u << 10)          /* bytes; no token is longer */
#define GROUPS_MOST 256

struct passing {
    struct node_question q;             /* first */
    const struct node_gate *gate;
    struct http_req *http;
    const char *subs[2];
    unsigned n, at;
};

/* As upstream's kubelet says no: as text. */
static void refuse(struct http_req *r, int status, const char *text)
{
    static const struct http_header h[] = { { { "content-type", 12 }, { "text/plain; charset=utf-8", 25 } }, { { "x-content-type-options", 22 }, { "nosniff", 7 } } };
    http_reply(r, status, h, 2, (struct http_slice){ .data = str_of(text ? text : "out of memory") });
}

/* --- what --- */


unsigned node_gate_attributes(struct str method, const struct node_path *p, const char *ret[2], const char **ret_verb)
{
    static const char *const verbs[][2] = { { "GET", "get" }, { "POST", "create" }, { "PUT", "update" }, { "PATCH", "patch" }, { "DELETE", "delete" } };
    static const struct {
        const char *head, *sub;
        bool proxy;                     /* or nodes/proxy, as before there were finer ones */
    } rows[] = { { "pods", "pods", true },   { "runningpods", "pods", true }, { "healthz", "healthz", true }, { "configz", "configz", true },
                 { "stats", "stats", false }, { "metrics", "metrics", false }, { "logs", "log", false },      { "checkpoint", "checkpoint", false } };
    if (p->n && strcmp(p->seg[0], "keelson") == 0) {
        *ret_verb = "create";
        return 0;                       /* the server's own calls */
    }
    *ret_verb = node_path_runs(p) ? "create" : "";
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs && !**ret_verb; i++)
        if (str_is(method, verbs[i][0]))
            *ret_verb = verbs[i][1];
    for (size_t i = 0; i < sizeof rows / sizeof *rows && p->n; i++)
        if (strcmp(p->seg[0], rows[i].head) == 0) {
            ret[0] = rows[i].sub;
            ret[1] = "proxy";
            return rows[i].proxy ? 2 : 1;
        }
    ret[0] = "proxy";
    return 1;
}

/* --- the way of a request --- */

static void on_gone(void *ctx)
{
    struct passing *p = ctx;
    p->gate->reviews.drop(p->gate->reviews.ctx, &p->q);
}

static void ask(struct passing *p)
{
    http_on_close(p->http, on_gone, p);
    p->gate->reviews.ask(p->gate->reviews.ctx, &p->q);
}

static void forbid(struct passing *p)
{
    const char *name = p->q.user.name;
    refuse(p->http, 403, arena_printf(p->q.arena, "Forbidden (user=%s, verb=%s, resource=nodes, subresource(s)=[%s%s%s])\n", name, p->q.verb,
                                      p->n ? p->subs[0] : "", p->n > 1 ? " " : "", p->n > 1 ? p->subs[1] : ""));
}

static void ask_access(struct passing *p);

static void access_told(struct node_question *q, int rc)
{
    struct passing *p = (struct passing *)q;
    http_on_close(p->http, NULL, NULL);
    if (rc == 1)
        p->gate->pass(p->gate->ctx, p->http);
    else if (rc < 0)
        refuse(p->http, 500, arena_printf(q->arena, "Authorization error (user=%s, verb=%s, resource=nodes, subresource=%s)", q->user.name, q->verb, q->subresource));
    else if (++p->at < p->n)
        ask_access(p);
    else
        forbid(p);
}

static void ask_access(struct passing *p)
{
    p->q.token = NULL;
    p->q.told = access_told;
    p->q.subresource = p->subs[p->at];
    ask(p);
}

static void authorize(struct passing *p)
{
    struct node_path path;
    if (!node_path_split(p->q.arena, http_path(p->http), &path))
        path.n = 0;                     /* no such path: who may ask for all hears so */
    p->n = node_gate_attributes(http_method(p->http), &path, p->subs, &p->q.verb);
    if (p->n)
        ask_access(p);
    else
        forbid(p);
}

static void token_told(struct node_question *q, int rc)
{
    struct passing *p = (struct passing *)q;
    http_on_close(p->http, NULL, NULL);
    if (rc == 1 && q->user.name && q->user.name[0])
        authorize(p);
    else
        refuse(p->http, 401, "Unauthorized");
}

static const char *bearer(struct http_req *r)
{
    struct str h = http_header(r, STR("authorization"));
    if (h.len <= 7 || h.len > TOKEN_MOST || !str_eq_nocase(str_n(h.at, 7), STR("bearer ")))
        return NULL;
    return arena_dup(http_arena(r), str_trim(str_skip(h, 7)));
}

static bool user_of_certificate(const struct http_peer *peer, struct arena *a, struct kl_user *ret)
{
    unsigned n = peer->n_cert_orgs < GROUPS_MOST ? peer->n_cert_orgs : GROUPS_MOST;
    const char **groups = arena_alloc(a, (n + 2) * sizeof *groups);
    if (!peer->cert_der.len || !peer->cert_cn.len || !groups)
        return false;
    for (unsigned i = 0; i < n; i++)
        groups[i] = arena_dup(a, peer->cert_orgs[i]);
    groups[n] = "system:authenticated";
    *ret = (struct kl_user){ .size = sizeof *ret, .name = arena_dup(a, peer->cert_cn), .uid = "", .groups = groups };
    return !arena_exhausted(a);
}

void node_gate_enter(const struct node_gate *g, struct http_req *r)
{
    const struct http_peer *peer = http_peer(r);
    if (peer->cert_der.len && str_is(peer->cert_cn, g->server_name)) {
        g->pass(g->ctx, r);
        return;
    }
    struct passing *p = arena_alloc(http_arena(r), sizeof *p);
    if (!p) {
        refuse(r, 500, NULL);
        return;
    }
    *p = (struct passing){ .q = { .arena = http_arena(r), .node = g->node }, .gate = g, .http = r };
    if (user_of_certificate(peer, p->q.arena, &p->q.user)) {
        authorize(p);
    } else if ((p->q.token = bearer(r)) && p->q.token[0]) {
        p->q.told = token_told;
        ask(p);
    } else {
        refuse(r, 401, "Unauthorized");
    }
}
