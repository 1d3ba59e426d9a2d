/* spdy.c - see spdy.h. */
#include "http/spdy.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"

enum frame_type { SYN_STREAM = 1, SYN_REPLY, RST_STREAM, SETTINGS, PING = 6, GOAWAY, HEADERS, WINDOW_UPDATE };

#define FLAG_FIN      1
#define FLAG_ONE_WAY  2
#define VERSION       3
#define HEAD          8                 /* bytes of every frame's head */
#define CONTROL_MOST  (SPDY_HEADER_BYTES + 64)

struct stream {
    struct list link;
    uint32_t id;
    bool in_ended, out_ended;
};

struct spdy {
    struct spdy_events ev;
    void *ctx;
    struct list streams;
    unsigned n_streams;
    uint32_t last_id, next_ping;
    struct buf control;                 /* a head, or a control frame, that is not whole yet */
    uint32_t data_left, data_id;        /* the data frame under way */
    bool in_data, data_fin, broken, gone;
    struct spdy_unpack *unpack;
    struct spdy_pack *pack;
};

struct spdy *spdy_new(const struct spdy_events *ev, void *ctx)
{
    struct spdy *s = mem_alloc(sizeof *s);
    if (!s)
        return NULL;
    list_init(&s->streams);
    s->ev = *ev;
    s->ctx = ctx;
    s->next_ping = 2;
    s->control.max = HEAD + CONTROL_MOST;
    s->unpack = spdy_unpack_new();
    s->pack = spdy_pack_new();
    if (!s->unpack || !s->pack) {
        spdy_free(s);
        return NULL;
    }
    return s;
}

static void drop(struct spdy *s, struct stream *t)
{
    list_remove(&t->link);
    s->n_streams--;
    mem_free(t);
}

void spdy_free(struct spdy *s)
{
    if (!s)
        return;
    list_each(n, &s->streams)
        drop(s, list_item(n, struct stream, link));
    spdy_unpack_free(s->unpack);
    spdy_pack_free(s->pack);
    buf_free(&s->control);
    mem_free(s);
}

static struct stream *find(struct spdy *s, uint32_t id)
{
    list_each(n, &s->streams)
        if (list_item(n, struct stream, link)->id == id)
            return list_item(n, struct stream, link);
    return NULL;
}

/* --- sending --- */

static void put_u32(unsigned char *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(v >> (24 - 8 * i));
}

static uint32_t get_u32(const char *at)
{
    const unsigned char *p = (const unsigned char *)at;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_control(struct spdy *s, enum frame_type type, unsigned flags, const uint32_t *words, unsigned n, struct str more)
{
    unsigned char at[HEAD + 8];
    put_u32(at, 0x80000000u | VERSION << 16 | (uint32_t)type);
    put_u32(at + 4, flags << 24 | (uint32_t)(4 * n + more.len));
    for (unsigned i = 0; i < n; i++)
        put_u32(at + HEAD + 4 * i, words[i]);
    s->ev.out(s->ctx, str_n((const char *)at, HEAD + 4 * n));
    if (more.len)
        s->ev.out(s->ctx, more);
}

void spdy_send(struct spdy *s, uint32_t id, struct str bytes, bool end)
{
    struct stream *t = find(s, id);
    if (!t || t->out_ended || s->gone)
        return;
    while (bytes.len || end) {
        unsigned char at[HEAD];
        struct str part = bytes.len > 0xffffff ? str_n(bytes.at, 0xffffff) : bytes;
        bytes = str_skip(bytes, part.len);
        bool fin = end && !bytes.len;
        put_u32(at, id);
        put_u32(at + 4, (fin ? FLAG_FIN << 24 : 0) | (uint32_t)part.len);
        s->ev.out(s->ctx, str_n((const char *)at, HEAD));
        if (part.len)
            s->ev.out(s->ctx, part);
        if (fin)
            break;
    }
    t->out_ended = end;
    if (t->out_ended && t->in_ended)
        drop(s, t);
}

static void put_reset(struct spdy *s, uint32_t id, enum spdy_status status)
{
    put_control(s, RST_STREAM, 0, (uint32_t[]){ id, (uint32_t)status }, 2, STR_NONE);
}

void spdy_reset(struct spdy *s, uint32_t id, enum spdy_status status)
{
    struct stream *t = find(s, id);
    if (!t)
        return;
    put_reset(s, id, status);
    drop(s, t);
}

void spdy_ping(struct spdy *s)
{
    put_control(s, PING, 0, &s->next_ping, 1, STR_NONE);
    s->next_ping += 2;
}

static void leave(struct spdy *s, uint32_t status)
{
    if (!s->gone)
        put_control(s, GOAWAY, 0, (uint32_t[]){ s->last_id, status }, 2, STR_NONE);
    s->gone = true;
}

void spdy_goaway(struct spdy *s)
{
    leave(s, 0);
}

/* --- reading --- */

static void ended(struct spdy *s, uint32_t id)
{
    struct stream *t = find(s, id);
    if (!t || t->in_ended)
        return;
    t->in_ended = true;
    if (t->out_ended)
        drop(s, t);
    s->ev.eof(s->ctx, id);
}

static void reply(struct spdy *s, uint32_t id)
{
    struct str block = spdy_pack(s->pack, NULL, 0);
    if (block.at)
        put_control(s, SYN_REPLY, 0, &id, 1, block);
}

static bool syn_stream(struct spdy *s, unsigned flags, struct str body)
{
    struct http_header h[SPDY_HEADERS_MOST];
    uint32_t id = body.len >= 10 ? get_u32(body.at) & 0x7fffffff : 0;
    int n = id ? spdy_unpack(s->unpack, str_skip(body, 10), h) : -1;
    if (n < 0 || !(id & 1) || id <= s->last_id)
        return false;
    s->last_id = id;
    struct stream *t = s->n_streams < SPDY_STREAMS_MOST && !s->gone ? mem_alloc(sizeof *t) : NULL;
    if (!t) {
        put_reset(s, id, SPDY_REFUSED_STREAM);
        return true;
    }
    t->id = id;
    t->out_ended = flags & FLAG_ONE_WAY;
    list_push_front(&s->streams, &t->link);
    s->n_streams++;
    if (!s->ev.open(s->ctx, id, h, (unsigned)n)) {
        spdy_reset(s, id, SPDY_REFUSED_STREAM);
        return true;
    }
    if (!(flags & FLAG_ONE_WAY))
        reply(s, id);
    if (flags & FLAG_FIN)
        ended(s, id);
    return true;
}

static bool rst_stream(struct spdy *s, struct str body)
{
    if (body.len != 8)
        return false;
    uint32_t id = get_u32(body.at) & 0x7fffffff;
    struct stream *t = find(s, id);
    if (t) {
        drop(s, t);
        s->ev.reset(s->ctx, id);
    }
    return true;
}

/* Headers that come later change the packing's history; there is nothing to learn from them. */
static bool more_headers(struct spdy *s, unsigned flags, struct str body)
{
    struct http_header h[SPDY_HEADERS_MOST];
    if (body.len < 4 || spdy_unpack(s->unpack, str_skip(body, 4), h) < 0)
        return false;
    if (flags & FLAG_FIN)
        ended(s, get_u32(body.at) & 0x7fffffff);
    return true;
}

static bool control(struct spdy *s, struct str frame)
{
    uint32_t head = get_u32(frame.at);
    unsigned flags = (unsigned char)frame.at[4];
    struct str body = str_skip(frame, HEAD);
    if ((head >> 16 & 0x7fff) != VERSION)
        return false;
    switch (head & 0xffff) {
    case SYN_STREAM: return syn_stream(s, flags, body);
    case SYN_REPLY:                     /* we open none */
    case HEADERS: return more_headers(s, flags, body);
    case RST_STREAM: return rst_stream(s, body);
    case PING:
        if (body.len != 4)
            return false;
        if (get_u32(body.at) & 1)       /* the client's own, not an answer */
            put_control(s, PING, 0, (uint32_t[]){ get_u32(body.at) }, 1, STR_NONE);
        return true;
    default: return true;               /* SETTINGS, GOAWAY, WINDOW_UPDATE, what we do not know */
    }
}

static void data_part(struct spdy *s, struct str *in)
{
    struct str part = in->len < s->data_left ? *in : str_n(in->at, s->data_left);
    *in = str_skip(*in, part.len);
    s->data_left -= (uint32_t)part.len;
    s->in_data = s->data_left > 0;
    struct stream *t = find(s, s->data_id);
    if (t && !t->in_ended && part.len)
        s->ev.data(s->ctx, s->data_id, part);
    if (!s->in_data && s->data_fin)
        ended(s, s->data_id);
}

static void data_begin(struct spdy *s)
{
    s->data_id = get_u32(s->control.at) & 0x7fffffff;
    s->data_fin = (unsigned char)s->control.at[4] & FLAG_FIN;
    s->data_left = get_u32(s->control.at + 4) & 0xffffff;
    s->in_data = true;
    buf_clear(&s->control);
    if (!find(s, s->data_id))
        put_reset(s, s->data_id, SPDY_INVALID_STREAM);
}

static void gather(struct spdy *s, struct str *in, size_t want)
{
    size_t n = want - s->control.len;
    n = n < in->len ? n : in->len;
    buf_add(&s->control, in->at, n);
    *in = str_skip(*in, n);
}

/* One step: some of a head, a frame, or data. False: broken. */
static bool step(struct spdy *s, struct str *in)
{
    if (s->in_data) {
        data_part(s, in);
        return true;
    }
    if (s->control.len < HEAD)
        gather(s, in, HEAD);
    if (s->control.len < HEAD)
        return !s->control.failed;
    size_t len = get_u32(s->control.at + 4) & 0xffffff;
    if (!(get_u32(s->control.at) & 0x80000000u)) {
        data_begin(s);
        if (!s->data_left)
            data_part(s, in);           /* an empty one, to end the stream */
        return true;
    }
    if (len > CONTROL_MOST)
        return false;
    gather(s, in, HEAD + len);
    if (s->control.len < HEAD + len)
        return !s->control.failed;
    bool ok = control(s, buf_str(&s->control));
    buf_clear(&s->control);
    return ok;
}

bool spdy_input(struct spdy *s, struct str bytes)
{
    while (bytes.len && !s->broken)
        if (!step(s, &bytes)) {
            s->broken = true;
            leave(s, 1);
        }
    return !s->broken;
}
