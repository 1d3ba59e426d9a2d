/* websocket.c - see websocket.h. */
#include "http/websocket.h"

#include <gnutls/crypto.h>
#include <wslay/wslay.h>

#include "base/buf.h"
#include "base/mem.h"
#include "object/base64.h"

struct websocket {
    wslay_event_context_ptr wslay;
    wslay_frame_context_ptr frames;     /* data that we send */
    struct websocket_events ev;
    void *ctx;
    struct str in;                      /* not read yet, within websocket_input */
    bool text, control;                 /* the message and the frame under way */
};

static ssize_t on_recv(wslay_event_context_ptr c, uint8_t *at, size_t n, int flags, void *ctx)
{
    struct websocket *w = ctx;
    (void)flags;
    if (!w->in.len) {
        wslay_event_set_error(c, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    n = n < w->in.len ? n : w->in.len;
    memcpy(at, w->in.at, n);
    w->in = str_skip(w->in, n);
    return (ssize_t)n;
}

static ssize_t on_send(wslay_event_context_ptr c, const uint8_t *at, size_t n, int flags, void *ctx)
{
    struct websocket *w = ctx;
    (void)c;
    (void)flags;
    w->ev.out(w->ctx, str_n((const char *)at, n));
    return (ssize_t)n;
}

static void on_frame(wslay_event_context_ptr c, const struct wslay_event_on_frame_recv_start_arg *f, void *ctx)
{
    struct websocket *w = ctx;
    (void)c;
    w->control = wslay_is_ctrl_frame(f->opcode);
    if (!w->control && f->opcode != WSLAY_CONTINUATION_FRAME)
        w->text = f->opcode == WSLAY_TEXT_FRAME;
}

static void on_chunk(wslay_event_context_ptr c, const struct wslay_event_on_frame_recv_chunk_arg *f, void *ctx)
{
    struct websocket *w = ctx;
    (void)c;
    if (!w->control && f->data_length)
        w->ev.part(w->ctx, w->text, str_n((const char *)f->data, f->data_length));
}

static void on_message(wslay_event_context_ptr c, const struct wslay_event_on_msg_recv_arg *m, void *ctx)
{
    struct websocket *w = ctx;
    (void)c;
    if (!wslay_is_ctrl_frame(m->opcode))
        w->ev.end(w->ctx, w->text);
}

static ssize_t on_frame_send(const uint8_t *at, size_t n, int flags, void *ctx)
{
    struct websocket *w = ctx;
    (void)flags;
    w->ev.out(w->ctx, str_n((const char *)at, n));
    return (ssize_t)n;
}

struct websocket *websocket_new(const struct websocket_events *ev, void *ctx)
{
    static const struct wslay_event_callbacks cb = { .recv_callback = on_recv, .send_callback = on_send,
                                                     .on_frame_recv_start_callback = on_frame, .on_frame_recv_chunk_callback = on_chunk,
                                                     .on_msg_recv_callback = on_message };
    static const struct wslay_frame_callbacks frames = { .send_callback = on_frame_send };
    struct websocket *w = mem_alloc(sizeof *w);
    if (!w || wslay_event_context_server_init(&w->wslay, &cb, w) < 0 || wslay_frame_context_init(&w->frames, &frames, w) < 0) {
        websocket_free(w);
        return NULL;
    }
    wslay_event_config_set_no_buffering(w->wslay, 1);
    w->ev = *ev;
    w->ctx = ctx;
    return w;
}

void websocket_free(struct websocket *w)
{
    if (!w)
        return;
    if (w->wslay)
        wslay_event_context_free(w->wslay);
    if (w->frames)
        wslay_frame_context_free(w->frames);
    mem_free(w);
}

bool websocket_input(struct websocket *w, struct str bytes)
{
    w->in = bytes;
    bool ok = wslay_event_recv(w->wslay) == 0;
    w->in = STR_NONE;
    if (wslay_event_want_write(w->wslay))
        ok = wslay_event_send(w->wslay) == 0 && ok;
    return ok && wslay_event_get_read_enabled(w->wslay);
}

/* By the frame layer: nothing is copied on the way to `out`. */
bool websocket_send(struct websocket *w, bool text, struct str head, struct str body)
{
    struct wslay_frame_iocb f = { .fin = 1, .opcode = text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, .payload_length = head.len + body.len,
                                  .data = (const uint8_t *)head.at, .data_length = head.len };
    if (wslay_event_get_close_sent(w->wslay) || wslay_frame_send(w->frames, &f) < 0)
        return false;
    f.data = (const uint8_t *)body.at;
    f.data_length = body.len;
    return !body.len || wslay_frame_send(w->frames, &f) >= 0;
}

void websocket_pong(struct websocket *w)
{
    struct wslay_event_msg m = { WSLAY_PONG, (const uint8_t *)"", 0 };
    if (wslay_event_queue_msg(w->wslay, &m) == 0)
        wslay_event_send(w->wslay);
}

void websocket_close(struct websocket *w, unsigned code)
{
    if (!wslay_event_get_close_sent(w->wslay) && wslay_event_queue_close(w->wslay, (uint16_t)code, NULL, 0) == 0)
        wslay_event_send(w->wslay);
}

bool websocket_accept(struct str key, char ret[32])
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[20];
    struct buf b = BUF_INIT(256);
    if (key.len != 24 || !base64_valid(key) || base64_decoded(key) != 16)
        return false;
    buf_add_str(&b, key);
    buf_add(&b, magic, sizeof magic - 1);
    bool ok = !b.failed && gnutls_hash_fast(GNUTLS_DIG_SHA1, b.at, b.len, digest) == 0;
    buf_clear(&b);
    base64_encode(&b, str_n((const char *)digest, sizeof digest));
    ok = ok && !b.failed && b.len < 32;
    if (ok)
        memcpy(ret, b.at, b.len + 1);
    buf_free(&b);
    return ok;
}
