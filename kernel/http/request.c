/* request.c - the request as handlers see it, and the queue of what answers it. */
#include <time.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "http-internal.h"

struct http_req *req_new(struct conn *c)
{
    struct arena *a = arena_new_small((size_t)96 << 20);
    struct http_req *r = a ? arena_alloc(a, sizeof *r) : NULL;
    if (!r) {
        arena_free(a);
        return NULL;
    }
    r->arena = a;
    r->conn = c;
    r->began_ns = loop_now(c->owner->loop);
    r->body.max = c->server->body_max;
    list_init(&r->ready_link);
    list_push(&c->reqs, &r->link);
    c->n_reqs++;
    return r;
}

static void drop_queue(struct http_req *r)
{
    while (r->first) {
        struct queued *q = r->first;
        r->first = q->next;
        if (q->slice.release)
            q->slice.release(q->slice.owner);
        mem_free(q);
    }
    r->last = NULL;
    r->queued = 0;
}

static void over(struct http_req *r)
{
    void (*fn)(void *ctx, struct http_req *r) = r->on_end;
    r->on_end = NULL;
    if (fn)
        fn(r->end_ctx, r);
}

void req_free(struct http_req *r)
{
    if (!r)
        return;
    over(r);
    drop_queue(r);
    list_remove(&r->link);
    list_remove(&r->ready_link);
    r->conn->n_reqs--;
    r->conn->n_full -= r->was_full;
    if (r->handled && r->answer == REQ_OPEN)
        r->conn->n_handlers--;
    if (r->conn->h1_req == r)
        r->conn->h1_req = NULL;
    buf_free(&r->body);
    arena_free(r->arena);
}

void req_gone(struct http_req *r)
{
    loop_fn fn = r->answer == REQ_ENDED ? NULL : r->on_close;
    r->on_close = NULL;
    if (fn)
        fn(r->close_ctx);
    req_free(r);
}

static bool more_headers(struct http_req *r)
{
    unsigned cap = r->cap_headers ? r->cap_headers * 2 : 8;
    struct http_header *at = arena_raw(r->arena, cap * sizeof *at);
    if (!at)
        return false;
    if (r->n_headers)
        memcpy(at, r->headers, r->n_headers * sizeof *at);
    r->headers = at;
    r->cap_headers = cap;
    return true;
}

int req_add_header(struct http_req *r, struct str name, struct str value)
{
    r->header_bytes += name.len + value.len + 32;
    if (r->n_headers == HEADERS_MOST || r->header_bytes > HEADER_BYTES_MOST)
        return -KL_TOO_LARGE;
    if (r->n_headers == r->cap_headers && !more_headers(r))
        return -KL_NO_MEMORY;
    struct http_header *h = &r->headers[r->n_headers++];
    h->name = arena_str(r->arena, name);
    h->value = arena_str(r->arena, value);
    return h->name.at && h->value.at ? 0 : -KL_NO_MEMORY;
}

void req_set_target(struct http_req *r, struct str target)
{
    r->path = arena_str(r->arena, target);
    long q = str_find(r->path, '?');
    if (q >= 0) {
        r->query = str_skip(r->path, (size_t)q + 1);
        r->path.len = (size_t)q;
    }
}

void req_reply_status(struct http_req *r, int status, const char *reason, const char *message)
{
    struct http_header h[] = { { STR("content-type"), STR("application/json") }, { STR("cache-control"), STR("no-cache, private") } };
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    buf_add_z(&b, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":");
    json_write_str(&b, str_of(message));
    buf_printf(&b, ",\"reason\":\"%s\",\"code\":%d}\n", reason, status);
    http_reply(r, status, h, 2, (struct http_slice){ .data = arena_str(r->arena, buf_str(&b)) });
}

void req_handle(struct http_req *r)
{
    r->handled = true;
    r->conn->n_handlers++;
    r->conn->header_since_ns = 0;
    if (r->too_large) {
        req_reply_status(r, 413, "RequestEntityTooLarge",
                         arena_printf(r->arena, "Request entity too large: limit is %zu", r->conn->server->body_max));
        return;
    }
    if (r->bad || !r->method.len || !r->path.len || r->path.at[0] != '/') {
        req_reply_status(r, 400, "BadRequest", "the request is malformed");
        return;
    }
    if (r->conn->server->relayed && relay_read_peer(r) < 0) {
        req_reply_status(r, 400, "BadRequest", "it is not said who asks");
        return;
    }
    r->conn->server->handler(r->conn->server->ctx, r);
}

void req_take_back(struct http_req *r)
{
    loop_fn fn = r->on_close;
    r->on_close = r->on_drain = NULL;
    if (fn)
        fn(r->close_ctx);
    over(r);
}

/* --- accessors --- */

struct str http_method(const struct http_req *r)
{
    return r->method;
}

struct str http_path(const struct http_req *r)
{
    return r->path;
}

struct str http_query(const struct http_req *r)
{
    return r->query;
}

struct str http_header_of(const struct http_header *h, unsigned n, struct str name)
{
    for (unsigned i = 0; i < n; i++)
        if (str_eq_nocase(h[i].name, name))
            return h[i].value;
    return STR_NONE;
}

struct str http_header(const struct http_req *r, struct str name)
{
    struct str found = STR_NONE;
    for (unsigned i = 0; i < r->n_headers; i++) {
        if (!str_eq(r->headers[i].name, name))
            continue;
        if (!found.at)
            found = r->headers[i].value;
        else
            found = str_of(arena_printf(r->arena, STR_FMT ", " STR_FMT, STR_ARG(found), STR_ARG(r->headers[i].value)));
    }
    return found;
}

bool http_each_header(const struct http_req *r, bool (*each)(void *ctx, struct str name, struct str value), void *ctx)
{
    for (unsigned i = 0; i < r->n_headers; i++)
        if (!each(ctx, r->headers[i].name, r->headers[i].value))
            return false;
    return true;
}

struct str http_body(const struct http_req *r)
{
    return buf_str(&r->body);
}

struct arena *http_arena(struct http_req *r)
{
    return r->arena;
}

const struct http_peer *http_peer(const struct http_req *r)
{
    return r->peer ? r->peer : &r->conn->peer;
}

int http_version(const struct http_req *r)
{
    return r->conn->h2 ? 2 : 1;
}

void http_on_close(struct http_req *r, loop_fn fn, void *ctx)
{
    r->on_close = fn;
    r->close_ctx = ctx;
}

void http_on_end(struct http_req *r, void (*fn)(void *ctx, struct http_req *r), void *ctx)
{
    r->on_end = fn;
    r->end_ctx = ctx;
}

void http_end_account(struct http_req *r)
{
    over(r);
}

int64_t http_began(const struct http_req *r)
{
    return r->began_ns;
}

int http_status(const struct http_req *r)
{
    return r->status;
}

uint64_t http_sent(const struct http_req *r)
{
    return r->sent;
}

/* --- answers --- */

static void push(struct http_req *r, struct http_slice s)
{
    struct queued *q = s.data.len ? mem_alloc(sizeof *q) : NULL;
    if (!q) {
        if (s.release)
            s.release(s.owner);
        if (s.data.len)
            r->closing = true;          /* out of memory: the stream is broken rather than wrong */
        return;
    }
    q->slice = s;
    if (r->last)
        r->last->next = q;
    else
        r->first = q;
    r->last = q;
    r->queued += s.data.len;
    r->sent += s.data.len;
    if (r->queued >= DRAIN_BELOW && !r->was_full) {
        r->was_full = true;
        r->conn->n_full++;
    }
}

static void answered(struct http_req *r, int status, enum req_answer how)
{
    if (r->handled && r->answer == REQ_OPEN)
        r->conn->n_handlers--;
    r->status = status;
    r->answer = how;
    if (how == REQ_ENDED)
        r->on_close = NULL;
}

void http_reply(struct http_req *r, int status, const struct http_header *headers, unsigned n, struct http_slice body)
{
    answered(r, status, REQ_ENDED);
    push(r, body);
    (r->conn->h2 ? h2_answer : h1_answer)(r, headers, n, true);
    conn_dirty(r->conn);
    over(r);
}

void http_stream_begin(struct http_req *r, int status, const struct http_header *headers, unsigned n)
{
    answered(r, status, REQ_STREAMING);
    (r->conn->h2 ? h2_answer : h1_answer)(r, headers, n, false);
    conn_dirty(r->conn);
}

static void more(struct http_req *r)
{
    if (r->conn->h2)
        h2_more(r);
    conn_dirty(r->conn);
}

void http_stream_write(struct http_req *r, struct http_slice s)
{
    push(r, s);
    more(r);
}

size_t http_stream_queued(const struct http_req *r)
{
    return r->queued + (r->conn->h2 ? 0 : r->conn->out.len - r->conn->out_at);
}

void http_stream_on_drain(struct http_req *r, loop_fn fn, void *ctx)
{
    r->on_drain = fn;
    r->drain_ctx = ctx;
}

void http_stream_wake(struct http_req *r)
{
    if (!list_empty(&r->ready_link))
        return;
    list_push(&r->conn->ready, &r->ready_link);
    conn_dirty(r->conn);
}

void http_stream_end(struct http_req *r)
{
    r->answer = REQ_ENDED;
    r->on_close = r->on_drain = NULL;
    over(r);
    more(r);
}

void http_stream_abort(struct http_req *r)
{
    r->answer = REQ_ENDED;
    r->on_close = r->on_drain = NULL;
    over(r);
    if (r->conn->h2)
        h2_abort(r);
    else
        conn_kill(r->conn);
    conn_dirty(r->conn);
}

void req_pop(struct http_req *r, size_t n)
{
    r->queued -= n;
    while (n) {
        struct queued *q = r->first;
        size_t left = q->slice.data.len - q->at;
        if (n < left) {
            q->at += n;
            return;
        }
        n -= left;
        r->first = q->next;
        if (!r->first)
            r->last = NULL;
        if (q->slice.release)
            q->slice.release(q->slice.owner);
        mem_free(q);
    }
}

void req_after_drain(struct http_req *r)
{
    if (!r->was_full || r->queued >= DRAIN_BELOW)
        return;
    r->was_full = false;
    r->conn->n_full--;
    if (r->on_drain)
        r->on_drain(r->drain_ctx);
}

void reqs_ready(struct conn *c)
{
    if (conn_is_full(c))
        return;
    struct list now = LIST_INIT(now);
    for (struct list *n; (n = list_pop(&c->ready));)
        list_push(&now, n);
    for (struct list *n; (n = list_pop(&now));) {
        struct http_req *r = list_item(n, struct http_req, ready_link);
        if (r->on_drain)
            r->on_drain(r->drain_ctx);
    }
}

const char *status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } rows[] = { { 101, "Switching Protocols" }, { 200, "OK" }, { 201, "Created" }, { 202, "Accepted" }, { 204, "No Content" },
                 { 301, "Moved Permanently" }, { 304, "Not Modified" }, { 307, "Temporary Redirect" }, { 400, "Bad Request" },
                 { 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" },
                 { 406, "Not Acceptable" }, { 408, "Request Timeout" }, { 409, "Conflict" }, { 410, "Gone" },
                 { 413, "Request Entity Too Large" }, { 415, "Unsupported Media Type" }, { 422, "Unprocessable Entity" },
                 { 429, "Too Many Requests" }, { 431, "Request Header Fields Too Large" }, { 500, "Internal Server Error" },
                 { 501, "Not Implemented" }, { 502, "Bad Gateway" }, { 503, "Service Unavailable" }, { 504, "Gateway Timeout" },
                 { 507, "Insufficient Storage" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status)
            return rows[i].text;
    return "Status";
}

/* The text is made once a second. */
size_t http_date(char *ret, size_t room)
{
    static char text[40];
    static int64_t made;
    int64_t now = env_wall_ns() / NS_PER_S;
    if (now != made) {
        time_t t = (time_t)now;
        struct tm tm;
        gmtime_r(&t, &tm);
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        made = now;
    }
    return (size_t)snprintf(ret, room, "%s", text);
}
