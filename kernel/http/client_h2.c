/* client_h2.c - the client's HTTP/2: a stream per call. Windows are opened as callers take the data, so a paused call slows its sender. */
#include "client-internal.h"

#define STREAMS_AT_ONCE 250

/* --- reading --- */

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *ctx)
{
    struct http_call *k = nghttp2_session_get_stream_user_data(s, f->hd.stream_id);
    struct str n = str_n((const char *)name, name_len), v = str_n((const char *)value, value_len);
    int64_t status = 0;
    (void)flags;
    (void)ctx;
    if (!k || k->got_head)              /* trailers say nothing to us */
        return 0;
    if (str_is(n, ":status")) {
        str_int(v, &status);
        k->head.status = (int)status;
        return 0;
    }
    return head_add(&k->head, n, v) < 0 ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *ctx)
{
    struct link *l = ctx;
    if (f->hd.type == NGHTTP2_GOAWAY)
        l->leaving = true;
    if (f->hd.type != NGHTTP2_HEADERS)
        return 0;
    struct http_call *k = nghttp2_session_get_stream_user_data(s, f->hd.stream_id);
    if (!k || k->got_head)
        return 0;
    if (k->head.status < 200)
        head_free(&k->head);            /* 100 Continue and its like */
    else
        call_head(k);
    return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *at, size_t n, void *ctx)
{
    struct http_call *k = nghttp2_session_get_stream_user_data(s, id);
    (void)flags;
    (void)ctx;
    nghttp2_session_consume_connection(s, n);
    if (!k) {
        nghttp2_session_consume_stream(s, id, n);
        return 0;
    }
    k->unread += n;
    if (call_data(k, str_n((const char *)at, n)) && !k->paused)
        client_h2_credit(k->on, k);
    return 0;
}

static int on_frame_send(nghttp2_session *s, const nghttp2_frame *f, void *ctx)
{
    struct http_call *k = f->hd.type == NGHTTP2_HEADERS ? nghttp2_session_get_stream_user_data(s, f->hd.stream_id) : NULL;
    (void)ctx;
    if (k)
        k->written = true;
    return 0;
}

static int on_stream_close(nghttp2_session *s, int32_t id, uint32_t code, void *ctx)
{
    struct http_call *k = nghttp2_session_get_stream_user_data(s, id);
    struct link *l = ctx;
    char why[64];
    if (!k)
        return 0;
    nghttp2_session_set_stream_user_data(s, id, NULL);
    k->stream_id = 0;
    if (code == NGHTTP2_NO_ERROR && k->got_head) {
        link_leave(l, k, true);
        call_end(k, NULL);
        return 0;
    }
    snprintf(why, sizeof why, "the stream was reset: %s", nghttp2_http2_strerror(code));
    call_lost(k, code == NGHTTP2_REFUSED_STREAM, why);
    return 0;
}

/* --- writing --- */

static ssize_t on_send(nghttp2_session *s, const uint8_t *at, size_t n, int flags, void *ctx)
{
    struct conn *c = ctx;
    (void)s;
    (void)flags;
    if (c->out.len - c->out_at > OUT_MOST)
        return NGHTTP2_ERR_WOULDBLOCK;
    buf_add(&c->out, at, n);
    return c->out.failed ? NGHTTP2_ERR_CALLBACK_FAILURE : (ssize_t)n;
}

static ssize_t provide(nghttp2_session *s, int32_t id, uint8_t *at, size_t n, uint32_t *flags, nghttp2_data_source *src, void *ctx)
{
    struct http_call *k = nghttp2_session_get_stream_user_data(s, id);
    (void)src;
    (void)ctx;
    if (!k)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    struct str left = str_skip(k->body, k->body_at);
    if (left.len < n)
        n = left.len;
    memcpy(at, left.at, n);
    k->body_at += n;
    if (k->body_at == k->body.len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static nghttp2_session_callbacks *callbacks(void)
{
    static nghttp2_session_callbacks *cb;
    if (!cb && nghttp2_session_callbacks_new(&cb) == 0) {
        nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
        nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
        nghttp2_session_callbacks_set_send_callback(cb, on_send);
    }
    return cb;
}

static nghttp2_option *options(void)
{
    static nghttp2_option *opt;
    if (!opt && nghttp2_option_new(&opt) == 0) {
        nghttp2_option_set_no_auto_window_update(opt, 1);
        nghttp2_option_set_no_closed_streams(opt, 1);
        nghttp2_option_set_max_outbound_ack(opt, 1000);
        nghttp2_option_set_max_settings(opt, 32);
        nghttp2_option_set_max_continuations(opt, 8);
        nghttp2_option_set_max_deflate_dynamic_table_size(opt, 4096);
    }
    return opt;
}

int client_h2_start(struct link *l)
{
    static const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_BYTES_MOST },
    };
    if (!callbacks() || !options() || nghttp2_session_client_new2(&l->conn.h2, callbacks(), l, options()))
        return -1;
    nghttp2_submit_settings(l->conn.h2, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings);
    nghttp2_session_set_local_window_size(l->conn.h2, NGHTTP2_FLAG_NONE, 0, 4 << 20);
    conn_dirty(&l->conn);
    return 0;
}

static nghttp2_nv nv(struct str name, struct str value)
{
    return (nghttp2_nv){ (uint8_t *)(uintptr_t)name.at, (uint8_t *)(uintptr_t)value.at, name.len, value.len, NGHTTP2_NV_FLAG_NONE };
}

int client_h2_send(struct link *l, struct http_call *k)
{
    nghttp2_nv all[HEADERS_MOST];
    char length[24];
    size_t n = 0;
    bool agent = false;
    all[n++] = nv(STR(":method"), k->method);
    all[n++] = nv(STR(":scheme"), l->conn.tls ? STR("https") : STR("http"));
    all[n++] = nv(STR(":authority"), str_of(k->client->authority));
    all[n++] = nv(STR(":path"), k->path);
    for (unsigned i = 0; i < k->n_headers; i++) {
        all[n++] = nv(k->headers[i].name, k->headers[i].value);
        agent |= str_is(k->headers[i].name, "user-agent");
    }
    if (!agent)
        all[n++] = nv(STR("user-agent"), STR("keelson/" KEELSON_VERSION));
    if (k->body.len) {
        snprintf(length, sizeof length, "%zu", k->body.len);
        all[n++] = nv(STR("content-length"), str_of(length));
    }
    nghttp2_data_provider body = { .read_callback = provide };
    int32_t id = nghttp2_submit_request(l->conn.h2, NULL, all, n, k->body.len ? &body : NULL, k);
    if (id < 0)
        return -1;
    k->stream_id = id;
    k->unread = 0;
    return 0;
}

/* No callback comes for it any more. */
void client_h2_cancel(struct link *l, struct http_call *k)
{
    if (!k->stream_id)
        return;
    nghttp2_session_set_stream_user_data(l->conn.h2, k->stream_id, NULL);
    nghttp2_submit_rst_stream(l->conn.h2, NGHTTP2_FLAG_NONE, k->stream_id, NGHTTP2_CANCEL);
    k->stream_id = 0;
    conn_dirty(&l->conn);
}

void client_h2_credit(struct link *l, struct http_call *k)
{
    if (k->paused || !k->unread || !k->stream_id)
        return;
    nghttp2_session_consume_stream(l->conn.h2, k->stream_id, k->unread);
    k->unread = 0;
    conn_dirty(&l->conn);
}

unsigned client_h2_room(const struct link *l)
{
    uint32_t most = nghttp2_session_get_remote_settings(l->conn.h2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    if (most > STREAMS_AT_ONCE)
        most = STREAMS_AT_ONCE;
    return l->leaving || l->n_calls >= most || !nghttp2_session_check_request_allowed(l->conn.h2) ? 0 : most - l->n_calls;
}
