/* remote.c - an upgraded connection at work: bytes become data on channels, and back. See remote.h. */
#include "remote-internal.h"

#include "object/base64.h"

static void maybe_free(struct remote *r)
{
    if (r->depth || !r->over)
        return;
    loop_timer_stop(&r->start);
    loop_timer_stop(&r->beat);
    remote_pairs_free(r);
    spdy_free(r->spdy);
    websocket_free(r->ws);
    mem_free(r);
}

/* The connection went away, or has to. */
static void lost(struct remote *r)
{
    if (r->over)
        return;
    r->over = true;
    if (r->ev.closed)
        r->ev.closed(r->ctx);
}

/* --- output --- */

static void to_conn(void *ctx, struct str bytes)
{
    struct remote *r = ctx;
    if (r->conn)
        conn_raw_write(r->conn, bytes);
}

static void to_websocket(void *ctx, struct str bytes)
{
    struct remote *r = ctx;
    websocket_send(r->ws, false, STR_NONE, bytes);
}

static void send_base64(struct remote *r, struct str head, struct str bytes)
{
    struct buf b = BUF_INIT(0);
    base64_encode(&b, bytes);
    websocket_send(r->ws, true, head, buf_str(&b));
    buf_free(&b);
}

static void send_message(struct remote *r, unsigned channel, struct str bytes)
{
    char first = (char)(r->base64 ? '0' + channel : channel);
    struct str head = r->conf.kind >= REMOTE_STREAM ? STR("") : str_n(&first, 1);
    if (r->base64)
        send_base64(r, head, bytes);
    else
        websocket_send(r->ws, r->conf.text, head, bytes);
}

static uint32_t stream_of(struct remote *r, unsigned channel)
{
    if (r->conf.kind == REMOTE_EXEC)
        return channel < REMOTE_CHANNELS ? r->streams[channel] : 0;
    struct remote_pair *p = remote_pair_find(r, channel / 2);
    return !p ? 0 : channel & 1 ? p->error : p->data;
}

/* What the client leaves unread holds our memory: then it is not read either. */
static void balance(struct remote *r)
{
    if (!r->conn || r->over)
        return;
    size_t queued = conn_raw_queued(r->conn);
    if (queued >= DRAIN_BELOW)
        r->was_full = true;
    bool hold = r->paused || queued > UNREAD_MOST;
    if (hold != r->held)
        conn_raw_pause(r->conn, hold);
    r->held = hold;
}

void remote_write(struct remote *r, unsigned channel, struct str bytes)
{
    if (r->over)
        return;
    if (r->spdy)
        spdy_send(r->spdy, stream_of(r, channel), bytes, false);
    else
        send_message(r, channel, bytes);
    balance(r);
}

size_t remote_queued(const struct remote *r)
{
    return r->conn ? conn_raw_queued(r->conn) : 0;
}

bool remote_fixed(const struct remote *r)
{
    return r->conf.kind == REMOTE_PORTFORWARD && !r->spdy;
}

void remote_close_channel(struct remote *r, unsigned channel)
{
    if (r->over || !r->spdy)
        return;
    spdy_send(r->spdy, stream_of(r, channel), STR(""), true);
    struct remote_pair *p = r->conf.kind == REMOTE_PORTFORWARD && channel & 1 ? remote_pair_find(r, channel / 2) : NULL;
    if (!p)
        return;
    if (p->data)
        spdy_send(r->spdy, p->data, STR(""), true);
    remote_pair_free(r, p);
}

/* A clean end, after what is queued. */
static void leave(struct remote *r)
{
    r->over = true;
    if (r->spdy)
        spdy_goaway(r->spdy);
    if (r->ws)
        websocket_close(r->ws, 1000);
    if (r->conn)
        conn_raw_close(r->conn);
    r->conn = NULL;
    maybe_free(r);
}

void remote_close(struct remote *r)
{
    if (!r->over)
        leave(r);
}

void remote_finish(struct remote *r, struct str status, struct str failure)
{
    struct str text = r->version >= 4 ? status : failure;
    if (r->over)
        return;
    r->depth++;
    if (text.len)
        remote_write(r, REMOTE_ERROR, text);
    for (unsigned i = REMOTE_STDOUT; i < REMOTE_CHANNELS; i++)
        remote_close_channel(r, i);
    remote_close_channel(r, REMOTE_STDIN);
    r->depth--;
    remote_close(r);
}

/* --- signs of life while the client is not read, so that it does not give us up; and a dead one is found out --- */

static void on_beat(void *ctx)
{
    struct remote *r = ctx;
    r->beats = r->paused || r->was_paused;
    r->was_paused = r->paused;
    if (!r->beats)
        return;
    if (r->ws)
        websocket_pong(r->ws);
    else if (r->spdy)
        spdy_ping(r->spdy);
    loop_timer_start(r->loop, &r->beat, BEAT_NS, on_beat, r);
}

/* Who is read in little bits is paused most of the time, if never for long: one beat for all of it. */
void remote_pause(struct remote *r, bool paused)
{
    if (r->over || r->paused == paused)
        return;
    r->paused = paused;
    r->was_paused = true;
    if (!r->beats)
        loop_timer_start(r->loop, &r->beat, BEAT_NS, on_beat, r);
    r->beats = true;
    balance(r);
}

/* --- the start --- */

static void tell_port(struct remote *r, unsigned id, uint16_t port)
{
    if (!r->over && r->ev.port)
        r->ev.port(r->ctx, id, port);
}

/* Each channel of a port begins with the port's number. */
static void open_ports(struct remote *r)
{
    for (unsigned i = 0; i < r->conf.n_ports && !r->over; i++) {
        char le[2] = { (char)(r->conf.ports[i] & 0xff), (char)(r->conf.ports[i] >> 8) };
        send_message(r, 2 * i, str_n(le, 2));
        send_message(r, 2 * i + 1, str_n(le, 2));
        tell_port(r, i, r->conf.ports[i]);
    }
}

static void greet(struct remote *r)
{
    static const enum remote_channel order[] = { REMOTE_STDOUT, REMOTE_STDERR, REMOTE_ERROR };
    if (r->conf.kind == REMOTE_STREAM)
        send_message(r, 0, STR(""));
    for (unsigned i = 0; i < 3 && r->conf.kind == REMOTE_EXEC && r->version < 5; i++)
        if (r->conf.channels >> order[i] & 1 || order[i] == REMOTE_ERROR) {
            send_message(r, order[i], STR(""));     /* tells that we are there, before there is output */
            break;
        }
}

static void on_ready(void *ctx)
{
    struct remote *r = ctx;
    r->depth++;
    r->ready = true;
    if (r->ev.ready)
        r->ev.ready(r->ctx);
    if (r->ws && !r->spdy && r->conf.kind == REMOTE_PORTFORWARD)
        open_ports(r);
    r->depth--;
    maybe_free(r);
}

static void on_late(void *ctx)
{
    struct remote *r = ctx;
    r->depth++;
    lost(r);
    r->depth--;
    leave(r);
}

/* --- input: messages with channels --- */

static void give(struct remote *r, unsigned channel, struct str bytes)
{
    if (!r->over && r->ready && bytes.len && r->ev.data && r->conf.kind < REMOTE_STREAM)
        r->ev.data(r->ctx, channel, bytes);
}

static bool writable_by_client(const struct remote *r, unsigned channel)
{
    if (r->conf.kind == REMOTE_PORTFORWARD)
        return channel < 2 * r->conf.n_ports && !(channel & 1);
    return (channel == REMOTE_STDIN || channel == REMOTE_RESIZE) && r->conf.channels >> channel & 1;
}

static void begin_message(struct remote *r, struct str *bytes)
{
    unsigned char first = (unsigned char)bytes->at[0];
    *bytes = str_skip(*bytes, 1);
    r->begun = true;
    r->n_quad = 0;
    r->channel = r->base64 ? (unsigned)first - '0' : first;
    if (r->version == 5 && r->channel == CHANNEL_CLOSE)
        return;
    if (!writable_by_client(r, r->channel))
        r->channel = CHANNEL_UNKNOWN;
}

/* Whole groups of four digits; the rest waits for the next part. False: not base64. */
static bool give_base64(struct remote *r, struct str bytes)
{
    struct buf in = BUF_INIT(0), out = BUF_INIT(0);
    buf_add(&in, r->quad, r->n_quad);
    buf_add_str(&in, bytes);
    size_t whole = in.len / 4 * 4;
    struct str digits = str_n(in.at, whole);
    char *room = buf_room(&out, whole);
    bool ok = room && !in.failed && base64_valid(digits);
    if (ok) {
        r->n_quad = (unsigned)(in.len - whole);
        memcpy(r->quad, in.at + whole, r->n_quad);
        out.len = base64_decode(digits, room);
        give(r, r->channel, buf_str(&out));
    }
    buf_free(&in);
    buf_free(&out);
    return ok;
}

static void on_part(void *ctx, bool text, struct str bytes)
{
    struct remote *r = ctx;
    (void)text;
    if (r->spdy) {
        if (!spdy_input(r->spdy, bytes))
            websocket_close(r->ws, 1002);
        return;
    }
    if (!r->begun)
        begin_message(r, &bytes);
    if (r->channel == CHANNEL_UNKNOWN || !bytes.len)
        return;
    if (r->channel == CHANNEL_CLOSE) {
        unsigned channel = (unsigned char)bytes.at[0];
        r->channel = CHANNEL_UNKNOWN;
        if (!r->over && r->ready && r->ev.eof && writable_by_client(r, channel))
            r->ev.eof(r->ctx, channel);
    } else if (!r->base64) {
        give(r, r->channel, bytes);
    } else if (!give_base64(r, bytes)) {
        websocket_close(r->ws, 1007);
    }
}

static void on_message_end(void *ctx, bool text)
{
    struct remote *r = ctx;
    (void)text;
    r->begun = false;
}

/* --- input: streams --- */

static unsigned channel_named(struct str type)
{
    static const char *const names[REMOTE_CHANNELS] = { "stdin", "stdout", "stderr", "error", "resize" };
    for (unsigned i = 0; i < REMOTE_CHANNELS; i++)
        if (str_is(type, names[i]))
            return i;
    return CHANNEL_UNKNOWN;
}

static unsigned awaited(const struct remote *r)
{
    unsigned all = r->conf.channels | 1u << REMOTE_ERROR;
    return r->version < 3 ? all & ~(1u << REMOTE_RESIZE) : all;
}

static bool on_open(void *ctx, uint32_t id, const struct http_header *h, unsigned n)
{
    struct remote *r = ctx;
    struct remote_pair *p = NULL;
    if (r->conf.kind == REMOTE_PORTFORWARD) {
        if (!remote_pair_open(r, id, h, n))
            return false;
        remote_pair_channel(r, id, &p);
        if (p->data && p->error) {
            p->told = true;
            tell_port(r, p->id, p->port);
        }
        return true;
    }
    unsigned channel = channel_named(http_header_of(h, n, STR("streamtype")));
    if (channel == CHANNEL_UNKNOWN || !(awaited(r) >> channel & 1) || r->streams[channel])
        return false;
    r->streams[channel] = id;
    r->present |= 1u << channel;
    if (r->present == awaited(r)) {
        loop_timer_stop(&r->start);
        on_ready(r);
    }
    return true;
}

static unsigned channel_of(struct remote *r, uint32_t id)
{
    for (unsigned i = 0; i < REMOTE_CHANNELS; i++)
        if (r->streams[i] == id)
            return i;
    return remote_pair_channel(r, id, NULL);
}

static void on_data(void *ctx, uint32_t id, struct str bytes)
{
    struct remote *r = ctx;
    unsigned channel = channel_of(r, id);
    if (channel != CHANNEL_UNKNOWN)
        give(r, channel, bytes);
}

static void on_eof(void *ctx, uint32_t id)
{
    struct remote *r = ctx;
    unsigned channel = channel_of(r, id);
    if (channel != CHANNEL_UNKNOWN && !r->over && r->ev.eof)
        r->ev.eof(r->ctx, channel);
}

static void on_reset(void *ctx, uint32_t id)
{
    struct remote *r = ctx;
    struct remote_pair *p = NULL;
    unsigned channel = channel_of(r, id);
    if (channel == CHANNEL_UNKNOWN || r->over)
        return;
    if (r->conf.kind == REMOTE_PORTFORWARD && (remote_pair_channel(r, id, &p), p && !p->told))
        remote_pair_free(r, p);
    else if (r->ev.reset)
        r->ev.reset(r->ctx, channel);
}

/* --- the connection --- */

static void on_bytes(void *ctx, struct str bytes)
{
    struct remote *r = ctx;
    bool ok = bytes.at != NULL;
    if (!ok)
        r->conn = NULL;
    r->depth++;
    if (ok && !r->ready && !r->waits) {         /* faster than our timer */
        loop_timer_stop(&r->start);
        on_ready(r);
    }
    if (ok)
        ok = r->ws ? websocket_input(r->ws, bytes) : spdy_input(r->spdy, bytes);
    if (!ok && !r->over) {
        lost(r);
        if (r->conn)
            conn_raw_close(r->conn);
        r->conn = NULL;
    }
    balance(r);
    r->depth--;
    maybe_free(r);
}

static void on_drain(void *ctx)
{
    struct remote *r = ctx;
    if (!r->was_full || r->over)
        return;
    r->was_full = false;
    r->depth++;
    balance(r);
    if (r->ev.drain)
        r->ev.drain(r->ctx);
    r->depth--;
    maybe_free(r);
}

static int make_parts(struct remote *r, int frames, bool websocket)
{
    static const struct websocket_events ws = { on_part, on_message_end, to_conn };
    static const struct spdy_events bare = { on_open, on_data, on_eof, on_reset, to_conn },
                                    within = { on_open, on_data, on_eof, on_reset, to_websocket };
    if (websocket && !(r->ws = websocket_new(&ws, r)))
        return -1;
    return frames && !(r->spdy = spdy_new(websocket ? &within : &bare, r)) ? -1 : 0;
}

struct remote *remote_accept(struct http_req *req, const struct remote_conf *c, const struct remote_events *ev, void *ctx,
                             struct kl_err *err)
{
    struct buf head = BUF_INIT(4096);
    struct remote *r = mem_alloc(sizeof *r);
    int rc = r ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc == 0) {
        list_init(&r->pairs);
        r->conf = *c;
        r->ev = *ev;
        r->ctx = ctx;
        r->loop = req->conn->owner->loop;
        rc = remote_negotiate(req, r, &head, err);
    }
    bool websocket = rc >= 0 && str_eq_nocase(http_header(req, STR("upgrade")), STR("websocket"));
    buf_add_z(&head, "\r\n");
    if (rc >= 0 && (head.failed || make_parts(r, rc, websocket) < 0))
        rc = kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc < 0) {
        buf_free(&head);
        if (r) {
            r->over = true;
            maybe_free(r);
        }
        return NULL;
    }
    r->conn = conn_take(req, buf_str(&head), on_bytes, on_drain, r);
    r->conn->hangup_ends = true;
    buf_free(&head);
    if (r->ws && !r->spdy)
        greet(r);
    r->waits = r->spdy && c->kind == REMOTE_EXEC;
    loop_timer_start(r->loop, &r->start, r->waits ? STREAMS_NS : r->version == 5 ? SETTLE_NS : 0, r->waits ? on_late : on_ready, r);
    return r;
}
