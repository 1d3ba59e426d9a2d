/* proxy.c - a server's request sent on by a client. Plain: a call whose answer becomes the request's answer, each side slowed down by the
 * other. Upgrade: a connection of its own; after the 101 both connections are tied and carry bytes until one ends. */
#include "base/cleanup.h"
#include "client-internal.h"
#include "http/html.h"

struct proxy {
    struct http_req *req;               /* NULL: its client went away, or it was taken over */
    struct http_call *call;             /* NULL: over */
    struct conn *front, *back;          /* of a tunnel; NULL: gone */
    const char *below;                  /* prefix of redirects and of a page's links; NULL: none */
    struct html_links *links;           /* the answer is a page, and plain */
    const struct http_header *answer;   /* in front of what the other side answers */
    unsigned n_answer;
    bool upgrade, started, final;
    void (*failed)(void *ctx, int status, struct str type, struct str body);
    void *failed_ctx;
    int failing;                        /* the answer's status: it does not pass */
    struct str failing_type;            /* in the request's arena */
    struct buf body;                    /* of that answer */
};

#define FAILED_BODY_MOST 10000

static void proxy_free(struct proxy *p)
{
    html_links_free(p->links);
    buf_free(&p->body);
    mem_free(p);
}

/* Fields that belong to one connection, and what says who asks: that is the client's own certificate. */
static bool passes(struct str name, bool upgrade, bool whole)
{
    static const char *const own[] = { "host", "content-length", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization",
                                       "te", "trailer", "transfer-encoding", "expect", "authorization", "http2-settings" };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (str_is(name, own[i]))
            return whole && str_is(name, "authorization");
    return upgrade || !(str_is(name, "connection") || str_is(name, "upgrade"));
}

static unsigned copy_headers(struct http_header *to, const struct http_header *from, unsigned n, unsigned most, bool upgrade, bool whole)
{
    unsigned k = 0;
    for (unsigned i = 0; i < n && k < most; i++)
        if (passes(from[i].name, upgrade, whole))
            to[k++] = from[i];
    return k;
}

/* --- tunnels --- */

static struct conn **side(struct proxy *p, bool front)
{
    return front ? &p->front : &p->back;
}

static void tunnel_data(struct proxy *p, bool front, struct str bytes)
{
    struct conn **self = side(p, front), **other = side(p, !front);
    if (bytes.len) {
        if (!*other)
            return;
        conn_raw_write(*other, bytes);
        if (conn_raw_queued(*other) > OUT_MOST)
            conn_raw_pause(*self, true);
        return;
    }
    *self = NULL;                       /* it is gone; the other one may say what is queued */
    if (*other)
        conn_raw_close(*other);
    proxy_free(p);
}

static void tunnel_drain(struct proxy *p, bool front)
{
    struct conn *other = *side(p, !front);
    if (other && other->raw_paused && conn_raw_queued(*side(p, front)) < DRAIN_BELOW)
        conn_raw_pause(other, false);
}

static void front_data(void *ctx, struct str bytes)
{
    tunnel_data(ctx, true, bytes);
}

static void back_data(void *ctx, struct str bytes)
{
    tunnel_data(ctx, false, bytes);
}

static void front_drain(void *ctx)
{
    tunnel_drain(ctx, true);
}

static void back_drain(void *ctx)
{
    tunnel_drain(ctx, false);
}

/* The client's connection behind a 101, as bytes. The call is over without its end. */
static struct conn *take_back(struct http_call *k, struct proxy *p)
{
    struct conn *c = &k->on->conn;
    c->state = CONN_RAW;
    c->raw_data = back_data;
    c->raw_drain = back_drain;
    c->raw_ctx = p;
    http_call_cancel(k);
    return c;
}

static void tie(struct proxy *p, const struct http_header *h, unsigned n)
{
    struct http_req *r = p->req;
    _cleanup_buf_ struct buf head = BUF_INIT(2 * HEADER_BYTES_MOST), early = BUF_INIT(0);
    buf_add_z(&head, "HTTP/1.1 101 Switching Protocols\r\n");
    for (unsigned i = 0; i < n; i++)
        if (passes(h[i].name, true, false))
            buf_printf(&head, STR_FMT ": " STR_FMT "\r\n", STR_ARG(h[i].name), STR_ARG(h[i].value));
    buf_add_z(&head, "\r\n");
    struct http_call *k = p->call;
    p->call = NULL;
    p->req = NULL;
    http_on_close(r, NULL, NULL);
    buf_add_str(&early, buf_str(&r->conn->in));         /* came behind the request */
    buf_clear(&r->conn->in);
    p->back = take_back(k, p);
    p->front = conn_take(r, buf_str(&head), front_data, front_drain, p);
    if (early.len)
        conn_raw_write(p->back, buf_str(&early));
}

/* --- the call's side --- */

static void refuse(struct proxy *p, int status, const char *reason, const char *message)
{
    struct http_req *r = p->req;
    p->req = NULL;
    req_reply_status(r, status, reason, message);
}

/* "/a" and "http://this-server/a" are below our prefix; other places are where they are. */
static struct str relocated(struct proxy *p, struct str to)
{
    static const char *const schemes[] = { "http://", "https://" };
    struct str host = http_client_authority(p->call->client), path = to;
    for (int i = 0; i < 2; i++)
        if (str_starts(to, str_of(schemes[i])) && str_starts(str_skip(to, strlen(schemes[i])), host))
            path = str_skip(to, strlen(schemes[i]) + host.len);
    if (!p->below || !path.len || path.at[0] != '/' || (path.len > 1 && path.at[1] == '/'))
        return to;
    const char *text = arena_printf(p->req->arena, "%s" STR_FMT, p->below, STR_ARG(path));
    return text ? str_of(text) : to;
}

/* Whoever is asked in this server's name may send nobody elsewhere. */
static void refuse_redirect(struct proxy *p)
{
    struct http_header h[HEADERS_MOST];
    struct http_call *k = p->call;
    struct http_req *r = p->req;
    unsigned n = p->n_answer;
    if (n)
        memcpy(h, p->answer, n * sizeof *h);
    h[n++] = (struct http_header){ STR("content-type"), STR("text/plain; charset=utf-8") };
    p->call = NULL;
    p->req = NULL;
    http_reply(r, 502, h, n, (struct http_slice){ .data = STR("the backend attempted to redirect this request, which is not permitted") });
    http_call_cancel(k);
    proxy_free(p);
}

static void on_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    struct proxy *p = ctx;
    struct http_header out[HEADERS_MOST];
    if (status == 101) {
        tie(p, h, n);
        return;
    }
    if (p->upgrade && status >= 300 && status < 400) {
        struct http_call *k = p->call;
        p->call = NULL;
        refuse(p, 502, "InternalError", "the other side answered an upgrade with a redirect");
        http_call_cancel(k);
        proxy_free(p);
        return;
    }
    if (p->final && status >= 300 && status < 400 && http_header_of(h, n, STR("location")).len) {
        refuse_redirect(p);
        return;
    }
    if (p->failed && (status < 200 || status > 299)) {
        p->failing = status;
        p->failing_type = str_of(arena_dup(p->req->arena, http_header_of(h, n, STR("content-type"))));
        return;
    }
    p->started = true;
    if (p->below && str_starts(http_header_of(h, n, STR("content-type")), STR("text/html")) && !http_header_of(h, n, STR("content-encoding")).len)
        p->links = html_links_new(p->below);
    unsigned own = p->n_answer, k = own + copy_headers(out + own, h, n, HEADERS_MOST - 8 - own, false, false);
    if (own)
        memcpy(out, p->answer, own * sizeof *out);
    for (unsigned i = own; i < k; i++)  /* the server says it itself */
        if (str_is(out[i].name, "date"))
            out[i--] = out[--k];
        else if (str_is(out[i].name, "location"))
            out[i].value = relocated(p, out[i].value);
    http_stream_begin(p->req, status, out, k);
}

static void on_data(void *ctx, struct str bytes)
{
    struct proxy *p = ctx;
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    if (p->failing) {
        buf_add_str(&p->body, str_n(bytes.at, bytes.len < FAILED_BODY_MOST - p->body.len ? bytes.len : FAILED_BODY_MOST - p->body.len));
        return;
    }
    if (p->links)
        html_links_feed(p->links, bytes, &b);
    size_t len = bytes.len;
    char *copy = b.failed ? NULL : p->links ? buf_take(&b, &len) : mem_dup(bytes.at, bytes.len);
    if (!copy && len) {
        http_stream_abort(p->req);      /* on_close is not called behind it */
        http_call_cancel(p->call);
        proxy_free(p);
        return;
    }
    if (len)
        http_stream_write(p->req, (struct http_slice){ str_n(copy, len), mem_free, copy });
    else
        mem_free(copy);
    if (http_stream_queued(p->req) > OUT_MOST)
        http_call_pause(p->call, true);
}

/* Behind what looked like the beginning of a tag. */
static void finish(struct proxy *p)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    size_t len = 0;
    if (p->links)
        html_links_end(p->links, &b);
    char *rest = b.len ? buf_take(&b, &len) : NULL;
    if (rest)
        http_stream_write(p->req, (struct http_slice){ str_n(rest, len), mem_free, rest });
    http_stream_end(p->req);
}

static void on_drain(void *ctx)
{
    http_call_pause(((struct proxy *)ctx)->call, false);
}

static void on_end(void *ctx, const struct kl_err *err)
{
    struct proxy *p = ctx;
    if (p->started && err)
        http_stream_abort(p->req);
    else if (p->started)
        finish(p);
    else if (p->failing && !err) {
        p->req = NULL;
        p->failed(p->failed_ctx, p->failing, p->failing_type, buf_str(&p->body));
    } else
        refuse(p, err && err->code == KL_TIMEOUT ? 504 : 503, err && err->code == KL_TIMEOUT ? "Timeout" : "ServiceUnavailable",
               err ? err->msg : "there was no answer");
    proxy_free(p);
}

static void on_close(void *ctx)
{
    struct proxy *p = ctx;
    http_call_cancel(p->call);
    proxy_free(p);
}

void http_proxy(struct http_req *r, struct http_client *c, const char *path)
{
    http_proxy_as(r, c, &(struct http_proxy_conf){ .path_and_query = path });
}

static bool is_withheld(const char *const *without, struct str name)
{
    for (; without && *without; without++)
        if (str_starts(name, str_of(*without)))
            return true;
    return false;
}

/* It belongs to the client's connection, or is told anew. */
static bool is_replaced(const struct http_req *r, struct str name, bool upgrade)
{
    struct str hops = http_header(r, STR("connection"));
    while (hops.at && hops.len)
        if (str_eq_nocase(str_trim(str_cut(&hops, ',')), name) && !(upgrade && str_is(name, "upgrade")))
            return true;
    return str_is(name, "x-forwarded-for") || (!upgrade && str_is(name, "x-forwarded-uri"));
}

/* Whom it came through, and from whom at last. */
static struct str forwarded_for(struct http_req *r)
{
    _cleanup_buf_ struct buf b = BUF_INIT(HEADER_BYTES_MOST);
    struct str peer = str_of(r->conn->address);
    for (unsigned i = 0; i < r->n_headers; i++)
        if (str_is(r->headers[i].name, "x-forwarded-for"))
            buf_printf(&b, STR_FMT ", ", STR_ARG(r->headers[i].value));
    while (peer.len && peer.at[peer.len - 1] != ':')
        peer.len--;
    buf_add_str(&b, str_n(peer.at, peer.len ? peer.len - 1 : 0));
    struct str all = b.failed ? STR_NONE : arena_str(r->arena, buf_str(&b));
    return all.at ? all : STR("");
}

/* What came, but for what is withheld; then what is added. */
static unsigned gather(struct http_header *out, const struct http_req *r, const struct http_proxy_conf *conf, bool upgrade)
{
    unsigned room = HEADERS_MOST - 10 > conf->n_headers ? HEADERS_MOST - 10 - conf->n_headers : 0;
    unsigned n = copy_headers(out, r->headers, r->n_headers, room, upgrade, conf->whole), k = 0;
    for (unsigned i = 0; i < n; i++)
        if (!is_withheld(conf->without, out[i].name) && (conf->whole || !is_replaced(r, out[i].name, upgrade)))
            out[k++] = out[i];
    for (unsigned i = 0; i < conf->n_headers && k < HEADERS_MOST - 10; i++)
        out[k++] = conf->headers[i];
    return k;
}

void http_proxy_as(struct http_req *r, struct http_client *c, const struct http_proxy_conf *conf)
{
    static const struct http_result_events ev = { on_head, on_data, on_end };
    struct http_header out[HEADERS_MOST];
    struct proxy *p = mem_alloc(sizeof *p);
    if (!p) {
        req_reply_status(r, 500, "InternalError", "out of memory");
        return;
    }
    p->req = r;
    p->answer = conf->answer;
    p->n_answer = conf->n_answer;
    p->final = conf->final;
    p->failed = conf->failed;
    p->failed_ctx = conf->ctx;
    p->body = (struct buf)BUF_INIT(FAILED_BODY_MOST);
    p->below = conf->below ? arena_dup(r->arena, str_of(conf->below)) : NULL;
    p->upgrade = http_header(r, STR("upgrade")).len > 0 && !r->conn->h2;
    unsigned n = gather(out, r, conf, p->upgrade);
    if (!conf->whole)
        out[n++] = (struct http_header){ STR("x-forwarded-for"), forwarded_for(r) };
    if (!conf->whole && !p->upgrade)
        out[n++] = (struct http_header){ STR("x-forwarded-uri"), r->path };
    p->call = call_new(c, r->method, str_of(conf->path_and_query), out, n, http_body(r), 0, &ev, p, p->upgrade);
    if (!p->call) {
        proxy_free(p);
        req_reply_status(r, 500, "InternalError", "out of memory");
        return;
    }
    r->elsewhere = true;
    http_on_close(r, on_close, p);
    http_stream_on_drain(r, on_drain, p);
}
