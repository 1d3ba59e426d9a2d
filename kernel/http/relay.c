/* relay.c - see relay.h. Who asks travels as one header, texts in base64url with dots between: address, t or c (TLS, clear text), the :authority,
 * cert_shown, cert_der, cert_cn, organizations. Only servers made for it believe it. */
#include "http/relay.h"

#include "base/base64url.h"
#include "base/cleanup.h"
#include "client-internal.h"
#include "http/remote.h"

#define FIXED 6                         /* texts before the organizations */

struct http_relay {
    struct http_client *client;
};

struct http_copy {
    struct str method, path, peer;
    struct http_header *headers;
    unsigned n;
};

int http_relay_new(struct loop *l, const char *path, struct http_relay **ret, struct kl_err *err)
{
    _cleanup_buf_ struct buf url = BUF_INIT(0);
    struct http_relay *x = mem_alloc(sizeof *x);
    buf_printf(&url, "unix:%s", path);
    const struct http_client_conf conf = { .url = url.at, .prior_h2 = true };
    int rc = x && conf.url ? http_client_new(l, &conf, &x->client, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc < 0) {
        mem_free(x);
        return rc;
    }
    *ret = x;
    return 0;
}

void http_relay_free(struct http_relay *x)
{
    if (!x)
        return;
    http_client_free(x->client);
    mem_free(x);
}

/* --- who asks --- */

static struct str peer_text(const struct http_req *r, struct arena *a)
{
    const struct http_peer *p = http_peer(r);
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    const struct str first[FIXED] = { p->address, p->tls ? STR("t") : STR("c"), r->authority, p->cert_shown, p->cert_der, p->cert_cn };
    for (unsigned i = 0; i < FIXED + p->n_cert_orgs; i++) {
        struct str s = i < FIXED ? first[i] : p->cert_orgs[i - FIXED];
        if (i)
            buf_add_c(&b, '.');
        base64url_encode(&b, s.at, s.len);
    }
    return b.failed ? STR_NONE : arena_str(a, buf_str(&b));
}

static int read_texts(struct http_req *r, struct http_peer *p, struct str from)
{
    struct str text[FIXED] = { 0 }, *orgs = arena_alloc(r->arena, (from.len + 1) * sizeof *orgs);
    unsigned n = 0;
    if (!orgs)
        return -KL_NO_MEMORY;
    for (bool more = true; more; n++) {
        more = str_find(from, '.') >= 0;
        struct str part = more ? str_cut(&from, '.') : from, s = part.len ? base64url_decode(r->arena, part) : STR("");
        if (!s.at)
            return -KL_INVALID;
        if (n < FIXED)
            text[n] = s;
        else
            orgs[n - FIXED] = s;
    }
    if (n < FIXED)
        return -KL_INVALID;
    *p = (struct http_peer){ .address = text[0], .tls = str_is(text[1], "t"), .cert_shown = text[3], .cert_der = text[4], .cert_cn = text[5],
                             .cert_orgs = orgs, .n_cert_orgs = n - FIXED };
    r->authority = text[2];
    return 0;
}

int relay_read_peer(struct http_req *r)
{
    struct http_peer *p = arena_alloc(r->arena, sizeof *p);
    struct str from = STR_NONE;
    unsigned k = 0, found = 0;
    for (unsigned i = 0; i < r->n_headers; i++)
        if (!str_is(r->headers[i].name, RELAY_PEER))
            r->headers[k++] = r->headers[i];
        else if (found++ == 0)
            from = r->headers[i].value;
    r->n_headers = k;
    if (found != 1 || !p || read_texts(r, p, from) < 0)
        return -KL_INVALID;
    r->peer = p;
    return 0;
}

/* --- sending on --- */

static const char *const withheld[] = { RELAY_PEER, NULL };

void http_relay_pass(struct http_relay *x, struct http_req *r)
{
    struct str target = r->path;
    if (r->query.at)
        target.len += 1 + r->query.len;         /* they are one text */
    const struct http_header peer = { STR(RELAY_PEER), peer_text(r, r->arena) };
    const char *path = arena_dup(r->arena, target);
    const struct http_proxy_conf conf = { .path_and_query = path, .headers = &peer, .n_headers = 1, .without = withheld, .whole = true };
    if (!path || !peer.value.at)
        req_reply_status(r, 500, "InternalError", "out of memory");
    else if (r->n_headers > HEADERS_MOST - 12)
        req_reply_status(r, 431, "RequestHeaderFieldsTooLarge", "the request has too many headers");
    else
        http_proxy_as(r, x->client, &conf);
}

static bool stays_behind(struct str name)
{
    static const char *const own[] = { RELAY_PEER, "host", "content-length", "connection", "upgrade", "keep-alive", "te", "trailer", "transfer-encoding",
                                       "expect", "http2-settings" };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (str_is(name, own[i]))
            return true;
    return str_starts(name, STR("sec-websocket-"));
}

struct http_copy *http_copy(const struct http_req *r, struct arena *a)
{
    struct http_copy *c = arena_alloc(a, sizeof *c);
    if (!c || !(c->headers = arena_alloc(a, (r->n_headers + 1) * sizeof *c->headers)))
        return NULL;
    c->method = arena_str(a, r->method);
    c->path = arena_str(a, r->path);
    c->peer = peer_text(r, a);
    for (unsigned i = 0; i < r->n_headers && c->n < HEADERS_MOST - 12; i++)
        if (!stays_behind(r->headers[i].name))
            c->headers[c->n++] = (struct http_header){ arena_str(a, r->headers[i].name), arena_str(a, r->headers[i].value) };
    struct str bearer = remote_bearer(r), token = bearer.len ? base64url_decode(a, bearer) : STR_NONE;  /* a browser's, which can set no header */
    if (token.at)
        c->headers[c->n++] = (struct http_header){ STR("authorization"), str_of(arena_printf(a, "Bearer " STR_FMT, STR_ARG(token))) };
    c->headers[c->n++] = (struct http_header){ STR(RELAY_PEER), c->peer };
    return arena_exhausted(a) || !c->peer.at ? NULL : c;
}

struct http_call *http_relay_ask(struct http_relay *x, const struct http_copy *c, struct str query, const struct http_result_events *ev, void *ctx)
{
    _cleanup_buf_ struct buf target = BUF_INIT(0);
    buf_add_str(&target, c->path);
    buf_add_c(&target, '?');
    buf_add_str(&target, query);
    return target.failed ? NULL : call_new(x->client, c->method, buf_str(&target), c->headers, c->n, STR(""), 0, ev, ctx, false);
}
