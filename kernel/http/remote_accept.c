/* remote_accept.c - which protocol an upgrade request and we have in common. */
#include "remote-internal.h"

#include <gnutls/gnutls.h>

#define BEARER "base64url.bearer.authorization.k8s.io."

static const struct row {
    const char *name;
    unsigned kinds;                     /* bits of enum remote_kind */
    unsigned version;
    bool base64, tunnel;
} websocket_rows[] = {
    { "v5.channel.k8s.io", 1 << REMOTE_EXEC, 5, false, false },
    { "v4.channel.k8s.io", 1 << REMOTE_EXEC | 1 << REMOTE_PORTFORWARD, 4, false, false },
    { "v4.base64.channel.k8s.io", 1 << REMOTE_EXEC | 1 << REMOTE_PORTFORWARD, 4, true, false },
    { "channel.k8s.io", 1 << REMOTE_EXEC, 1, false, false },
    { "base64.channel.k8s.io", 1 << REMOTE_EXEC, 1, true, false },
    { "SPDY/3.1+portforward.k8s.io", 1 << REMOTE_PORTFORWARD, 4, false, true },
    { "binary.k8s.io", 1 << REMOTE_STREAM, 1, false, false },
    { "base64.binary.k8s.io", 1 << REMOTE_STREAM, 1, true, false },
}, spdy_rows[] = {
    { "v4.channel.k8s.io", 1 << REMOTE_EXEC, 4, false, false },
    { "v3.channel.k8s.io", 1 << REMOTE_EXEC, 3, false, false },
    { "v2.channel.k8s.io", 1 << REMOTE_EXEC, 2, false, false },
    { "channel.k8s.io", 1 << REMOTE_EXEC, 1, false, false },
    { "portforward.k8s.io", 1 << REMOTE_PORTFORWARD, 4, false, false },
};

static bool has_token(struct str list, const char *token)
{
    while (list.at)
        if (str_eq_nocase(str_trim(str_cut(&list, ',')), str_of(token)))
            return true;
    return false;
}

bool remote_wanted(const struct http_req *r)
{
    return http_version(r) == 1 && has_token(http_header(r, STR("connection")), "upgrade") && http_header(r, STR("upgrade")).len;
}

struct str remote_bearer(const struct http_req *r)
{
    struct str list = remote_wanted(r) ? http_header(r, STR("sec-websocket-protocol")) : STR_NONE;
    while (list.at) {
        struct str p = str_trim(str_cut(&list, ','));
        if (str_starts(p, STR(BEARER)))
            return str_skip(p, sizeof BEARER - 1);
    }
    return STR_NONE;
}

/* The client's first that we know, as upstream's server chooses for WebSocket; `names` of them are tokens of no interest. */
static const struct row *choose(struct str offered, const struct row *rows, size_t n, enum remote_kind kind, bool *ret_none)
{
    *ret_none = true;
    while (offered.at) {
        struct str p = str_trim(str_cut(&offered, ','));
        if (!p.len || str_starts(p, STR(BEARER)))
            continue;
        *ret_none = false;
        for (size_t i = 0; i < n; i++)
            if (str_is(p, rows[i].name) && rows[i].kinds >> kind & 1)
                return &rows[i];
    }
    return NULL;
}

static int websocket_terms(struct http_req *req, struct remote *r, struct buf *head, struct kl_err *err)
{
    char accept[32];
    bool none;
    struct str offered = http_header(req, STR("sec-websocket-protocol"));
    if (!str_is(http_method(req), "GET"))
        return kl_err_set(err, KL_METHOD_NOT_ALLOWED, "a WebSocket begins with GET");
    if (!str_is(http_header(req, STR("sec-websocket-version")), "13"))
        return kl_err_set(err, KL_BAD_REQUEST, "missing or bad WebSocket Version");
    if (!websocket_accept(http_header(req, STR("sec-websocket-key")), accept))
        return kl_err_set(err, KL_BAD_REQUEST, "missing or bad WebSocket key");
    const struct row *row = choose(offered, websocket_rows, sizeof websocket_rows / sizeof *websocket_rows, r->conf.kind, &none);
    bool watch = r->conf.kind == REMOTE_WATCH;
    if (watch && str_find(offered, ',') >= 0)
        return kl_err_set(err, KL_BAD_REQUEST, "a watch is offered one protocol at most");
    if (!row && !none && !watch)
        return kl_err_set(err, KL_FORBIDDEN, "unable to upgrade: unable to negotiate protocol: client supports [" STR_FMT "]", STR_ARG(offered));
    if (r->conf.kind == REMOTE_PORTFORWARD && !(row && row->tunnel) && !r->conf.n_ports)
        return kl_err_set(err, KL_BAD_REQUEST, "query parameter \"ports\" is required");
    r->version = row ? row->version : r->conf.kind == REMOTE_PORTFORWARD ? 4 : 1;
    r->base64 = row && row->base64;
    buf_printf(head, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n", accept);
    if (row)
        buf_printf(head, "Sec-WebSocket-Protocol: %s\r\n", row->name);
    else if (watch && offered.len)      /* whatever it is called: upstream does not look, and sends the same */
        buf_printf(head, "Sec-WebSocket-Protocol: " STR_FMT "\r\n", STR_ARG(offered));
    return row && row->tunnel;
}

static int spdy_terms(struct http_req *req, struct remote *r, struct buf *head, struct kl_err *err)
{
    bool none;
    struct str offered = http_header(req, STR("x-stream-protocol-version"));
    if (r->conf.kind >= REMOTE_STREAM)
        return kl_err_set(err, KL_BAD_REQUEST, "only a WebSocket carries this");
    const struct row *row = choose(offered, spdy_rows, sizeof spdy_rows / sizeof *spdy_rows, r->conf.kind, &none);
    if (!row && !none)
        return kl_err_set(err, KL_FORBIDDEN, "unable to upgrade: unable to negotiate protocol: client supports [" STR_FMT "]", STR_ARG(offered));
    r->version = row ? row->version : 1;
    buf_add_z(head, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n");
    if (row)
        buf_printf(head, "X-Stream-Protocol-Version: %s\r\n", row->name);
    return 1;
}

/* 1: SPDY frames follow, 0: messages with channels. */
int remote_negotiate(struct http_req *req, struct remote *r, struct buf *head, struct kl_err *err)
{
    struct str to = http_header(req, STR("upgrade"));
    if (!remote_wanted(req))
        return kl_err_set(err, KL_BAD_REQUEST, "Upgrade request required");
    if (str_eq_nocase(to, STR("websocket")))
        return websocket_terms(req, r, head, err);
    if (str_eq_nocase(to, STR("SPDY/3.1")))
        return spdy_terms(req, r, head, err);
    return kl_err_set(err, KL_BAD_REQUEST, "unable to upgrade: '" STR_FMT "' is not spoken here", STR_ARG(to));
}
