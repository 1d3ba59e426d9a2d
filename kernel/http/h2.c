/* h2.c - HTTP/2 by nghttp2 (1.52 names). Floods are answered with GOAWAY: nghttp2's own limits where it has them, counters of ours for
 * frames that cost us and carry nothing. */
#include "http-internal.h"

#define FLOOD_WINDOW_NS (10 * NS_PER_S)
#define UPDATE_LEAST 4096               /* bytes for which Go's client gives credit */
#define IGNORED_MOST 10000              /* pings, empty frames, priority, window updates beyond what is owed: per window */

static void flood(struct conn *c)
{
    nghttp2_session_terminate_session(c->h2, NGHTTP2_ENHANCE_YOUR_CALM);
    c->close_after = true;
    conn_dirty(c);
}

static void count(struct conn *c, uint64_t *what, uint64_t most)
{
    if (c->server->relayed)
        return;                         /* many clients behind one connection, counted where they are */
    int64_t now = loop_now(c->owner->loop);
    if (now - c->flood_since_ns > FLOOD_WINDOW_NS) {
        c->flood_since_ns = now;
        c->resets = c->ignored = 0;
    }
    if (++*what > most)
        flood(c);
}

/* --- reading --- */

static int on_begin_headers(nghttp2_session *s, const nghttp2_frame *f, void *ctx)
{
    struct conn *c = ctx;
    if (f->hd.type != NGHTTP2_HEADERS || f->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    /* A reset stream is charged until its handler has answered. */
    if (!c->server->relayed && c->n_handlers > 2 * STREAMS_MOST) {
        flood(c);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    struct http_req *r = req_new(c);
    if (!r)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    r->stream_id = f->hd.stream_id;
    nghttp2_session_set_stream_user_data(s, f->hd.stream_id, r);
    return 0;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *ctx)
{
    struct http_req *r = nghttp2_session_get_stream_user_data(s, f->hd.stream_id);
    struct str n = str_n((const char *)name, name_len), v = str_n((const char *)value, value_len);
    (void)flags;
    (void)ctx;
    if (!r || r->handled)
        return 0;
    if (n.len && n.at[0] == ':') {
        r->header_bytes += n.len + v.len + 32;
        if (str_is(n, ":method"))
            r->method = arena_str(r->arena, v);
        else if (str_is(n, ":path"))
            req_set_target(r, v);
        else if (str_is(n, ":authority"))
            r->authority = arena_str(r->arena, v);
        return r->header_bytes > HEADER_BYTES_MOST ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
    }
    if (req_add_header(r, n, v) < 0)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *at, size_t n, void *ctx)
{
    struct http_req *r = nghttp2_session_get_stream_user_data(s, id);
    (void)flags;
    (void)ctx;
    if (!r || r->handled)
        return 0;
    buf_add(&r->body, at, n);
    if (r->body.failed) {
        r->too_large = true;
        req_handle(r);                  /* 413 now; the rest of the body is thrown away */
    }
    return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *ctx)
{
    struct conn *c = ctx;
    bool cheap = f->hd.type == NGHTTP2_PING || f->hd.type == NGHTTP2_PRIORITY || f->hd.type == NGHTTP2_SETTINGS ||
                 ((f->hd.type == NGHTTP2_DATA || f->hd.type == NGHTTP2_HEADERS) && f->hd.length == 0);
    /* Window updates are owed for what we send, of the stream and of the connection. */
    if (f->hd.type == NGHTTP2_WINDOW_UPDATE && c->updates_owed)
        c->updates_owed--;
    else if (cheap || f->hd.type == NGHTTP2_WINDOW_UPDATE)
        count(c, &c->ignored, IGNORED_MOST);
    if (f->hd.type == NGHTTP2_RST_STREAM)
        count(c, &c->resets, 1000);
    if ((f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA) || !(f->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    struct http_req *r = nghttp2_session_get_stream_user_data(s, f->hd.stream_id);
    if (r && !r->handled) {
        r->body_done = true;
        req_handle(r);
    }
    return 0;
}

static int on_frame_send(nghttp2_session *s, const nghttp2_frame *f, void *ctx)
{
    struct conn *c = ctx;
    (void)s;
    if (f->hd.type == NGHTTP2_RST_STREAM && f->rst_stream.error_code != NGHTTP2_NO_ERROR)
        count(c, &c->resets, 1000);     /* made to reset: counts like being reset */
    return 0;
}

static int on_stream_close(nghttp2_session *s, int32_t id, uint32_t code, void *ctx)
{
    struct http_req *r = nghttp2_session_get_stream_user_data(s, id);
    (void)code;
    (void)ctx;
    if (!r)
        return 0;
    nghttp2_session_set_stream_user_data(s, id, NULL);
    req_gone(r);
    return 0;
}

/* --- writing --- */

static int check(struct conn *c)
{
    return c->out.failed || (c->tls && tls_write(c, true) < 0) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static ssize_t on_send(nghttp2_session *s, const uint8_t *at, size_t n, int flags, void *ctx)
{
    struct conn *c = ctx;
    (void)s;
    (void)flags;
    if (conn_is_full(c))
        return NGHTTP2_ERR_WOULDBLOCK;
    buf_add(&c->out, at, n);
    return check(c) < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : (ssize_t)n;
}

static ssize_t provide(nghttp2_session *s, int32_t id, uint8_t *at, size_t n, uint32_t *flags, nghttp2_data_source *src, void *ctx)
{
    struct http_req *r = src->ptr;
    (void)s;
    (void)id;
    (void)at;
    (void)ctx;
    if (r->closing)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (r->queued == 0 && r->answer != REQ_ENDED) {
        r->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t take = r->queued < n ? r->queued : n;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (take == r->queued && r->answer == REQ_ENDED)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)take;
}

static int on_send_data(nghttp2_session *s, nghttp2_frame *f, const uint8_t *head, size_t n, nghttp2_data_source *src, void *ctx)
{
    struct conn *c = ctx;
    struct http_req *r = src->ptr;
    (void)s;
    (void)f;
    if (conn_is_full(c))
        return NGHTTP2_ERR_WOULDBLOCK;
    buf_add(&c->out, head, 9);
    c->updates_owed += 2 * (1 + n / UPDATE_LEAST);
    for (size_t left = n; left;) {
        struct queued *q = r->first;
        size_t part = q->slice.data.len - q->at < left ? q->slice.data.len - q->at : left;
        buf_add(&c->out, q->slice.data.at + q->at, part);
        req_pop(r, part);
        left -= part;
    }
    return check(c);
}

static nghttp2_option *option(bool relayed)
{
    nghttp2_option *opt;
    if (nghttp2_option_new(&opt))
        return NULL;
    nghttp2_option_set_no_closed_streams(opt, 1);
    nghttp2_option_set_max_outbound_ack(opt, 1000);
    nghttp2_option_set_max_settings(opt, 32);
    if (!relayed)
        nghttp2_option_set_stream_reset_rate_limit(opt, 100, 10);
    else
        nghttp2_option_set_stream_reset_rate_limit(opt, 1u << 30, 1u << 30);
    nghttp2_option_set_max_continuations(opt, 8);
    nghttp2_option_set_max_deflate_dynamic_table_size(opt, 4096);
    return opt;
}

int h2_start(struct conn *c)
{
    static nghttp2_session_callbacks *cb;
    static nghttp2_option *options[2];
    static const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MOST },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 256 << 10 },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_BYTES_MOST },
    };
    if (!cb) {
        if (!(options[0] = option(false)) || !(options[1] = option(true)) || nghttp2_session_callbacks_new(&cb))
            return -1;
        nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
        nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
        nghttp2_session_callbacks_set_send_callback(cb, on_send);
        nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
    }
    if (nghttp2_session_server_new2(&c->h2, cb, c, options[c->server->relayed]))
        return -1;
    nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings);
    nghttp2_session_set_local_window_size(c->h2, NGHTTP2_FLAG_NONE, 0, 4 << 20);
    if (c->server->closing)
        h2_warn(c);
    conn_dirty(c);
    return 0;
}

int h2_input(struct conn *c, struct str bytes)
{
    ssize_t n = nghttp2_session_mem_recv(c->h2, (const uint8_t *)bytes.at, bytes.len);
    conn_dirty(c);
    return n < 0 ? -1 : 0;
}

int h2_fill(struct conn *c)
{
    int rc = nghttp2_session_send(c->h2);
    if (c->n_full)
        list_each(node, &c->reqs)
            req_after_drain(list_item(node, struct http_req, link));
    if (rc < 0)
        return -1;
    bool over = !nghttp2_session_want_read(c->h2) && !nghttp2_session_want_write(c->h2);
    if (over)
        c->close_after = true;
    return 0;
}

static void set_nv(nghttp2_nv *nv, struct str name, struct str value, unsigned flags)
{
    *nv = (nghttp2_nv){ (uint8_t *)name.at, (uint8_t *)value.at, name.len, value.len, (uint8_t)flags };
}

/* An audit-id is never seen again: kept in HPACK's table it would push out what repeats, and be searched for each time. */
void h2_answer(struct http_req *r, const struct http_header *h, unsigned n, bool end)
{
    nghttp2_nv nv[HEADERS_MOST];
    char status[8], length[24], date[40];
    unsigned k = 0;
    snprintf(status, sizeof status, "%d", r->status);
    set_nv(&nv[k++], STR(":status"), str_of(status), NGHTTP2_NV_FLAG_NO_COPY_NAME);
    for (unsigned i = 0; i < n && k < HEADERS_MOST - 3; i++)
        set_nv(&nv[k++], h[i].name, h[i].value, str_is(h[i].name, "audit-id") ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE);
    if (end && !http_bodiless(r->status)) {
        snprintf(length, sizeof length, "%zu", r->queued);
        set_nv(&nv[k++], STR("content-length"), str_of(length), NGHTTP2_NV_FLAG_NO_COPY_NAME);
    }
    http_date(date, sizeof date);
    set_nv(&nv[k++], STR("date"), str_of(date), NGHTTP2_NV_FLAG_NO_COPY_NAME);
    nghttp2_data_provider body = { .source.ptr = r, .read_callback = provide };
    bool empty = end && r->queued == 0;
    if (nghttp2_submit_response(r->conn->h2, r->stream_id, nv, k, empty || str_is(r->method, "HEAD") ? NULL : &body) < 0)
        nghttp2_submit_rst_stream(r->conn->h2, NGHTTP2_FLAG_NONE, r->stream_id, NGHTTP2_INTERNAL_ERROR);
}

void h2_more(struct http_req *r)
{
    if (r->deferred) {
        r->deferred = false;
        nghttp2_session_resume_data(r->conn->h2, r->stream_id);
    }
}

void h2_abort(struct http_req *r)
{
    nghttp2_submit_rst_stream(r->conn->h2, NGHTTP2_FLAG_NONE, r->stream_id, NGHTTP2_INTERNAL_ERROR);
}

void h2_warn(struct conn *c)
{
    nghttp2_submit_shutdown_notice(c->h2);
    c->warned = true;
    conn_dirty(c);
}

void h2_goaway(struct conn *c)
{
    nghttp2_submit_shutdown_notice(c->h2);
    nghttp2_submit_goaway(c->h2, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(c->h2), NGHTTP2_NO_ERROR, NULL, 0);
    conn_dirty(c);
}
