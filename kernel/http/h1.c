/* h1.c - HTTP/1.1: strict heads, bodies by length or in chunks, one request at a time, answers in order. What could be read in two
 * ways (length and chunks together, bare line feeds, folded lines, blanks before the colon) is refused. */
#include "http-internal.h"

static void parse_request_line(struct http_req *r, struct str line)
{
    struct str method = str_cut(&line, ' '), target = line.at ? str_cut(&line, ' ') : STR_NONE;
    r->bad |= !h1_token(method) || !target.len || target.at[0] != '/' || !line.at ||
              !(str_is(line, "HTTP/1.1") || str_is(line, "HTTP/1.0")) || !h1_text(target);
    r->method = arena_str(r->arena, method);
    if (target.len)
        req_set_target(r, target);
    r->closing = line.at && str_is(line, "HTTP/1.0");
}

static void parse_field(struct http_req *r, struct str line)
{
    char room[H1_NAME];
    struct str name, value;
    r->bad |= !h1_field(line, room, &name, &value) || req_add_header(r, name, value) < 0;
}

static void choose_body(struct http_req *r, struct h1_body *b)
{
    struct str length = http_header(r, STR("content-length")), coding = http_header(r, STR("transfer-encoding"));
    int64_t n = 0;
    *b = (struct h1_body){ .state = BODY_DONE };
    if (coding.at && length.at) {
        r->bad = true;
    } else if (coding.at) {
        r->bad |= !str_eq_nocase(coding, STR("chunked"));
        b->state = BODY_CHUNK_SIZE;
    } else if (length.at) {
        if (!str_int(length, &n) || n < 0 || length.at[0] == '-' || length.at[0] == '+')
            r->bad = true;
        b->left = (uint64_t)n;
        b->state = n ? BODY_LENGTH : BODY_DONE;
    }
    r->too_large |= b->state == BODY_LENGTH && b->left > r->conn->server->body_max;
}

static void send_continue(struct conn *c, struct http_req *r)
{
    if (!str_eq_nocase(http_header(r, STR("expect")), STR("100-continue")) || r->bad || r->too_large)
        return;
    buf_add_z(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
    conn_dirty(c);
}

/* 1 read, 0 not all there, < 0 hopeless. */
static int read_head(struct conn *c, struct str *s)
{
    struct str head = *s, line;
    const char *end = memmem(s->at, s->len, "\r\n\r\n", 4);
    while (s->len >= 2 && s->at[0] == '\r' && s->at[1] == '\n' && !c->h1_req)   /* a blank line before a request */
        *s = str_skip(*s, 2), head = *s, end = memmem(s->at, s->len, "\r\n\r\n", 4);
    if (!end && memmem(s->at, s->len, "\n\n", 2))
        end = s->at + s->len - 4;       /* refused below */
    if (!end)
        return s->len > HEADER_BYTES_MOST ? -1 : 0;
    struct http_req *r = req_new(c);
    if (!r)
        return -1;
    c->h1_req = r;
    head.len = (size_t)(end - s->at) + 2;
    *s = str_skip(*s, head.len + 2);
    if (h1_line(&head, &line, &r->bad))
        parse_request_line(r, line);
    while (!r->bad && h1_line(&head, &line, &r->bad))
        parse_field(r, line);
    struct str host = http_header(r, STR("host"));
    r->bad |= !host.at && !r->closing;
    r->authority = host;
    r->head_request = str_is(r->method, "HEAD");
    struct str connection = http_header(r, STR("connection"));
    r->closing |= connection.len && str_eq_nocase(connection, STR("close"));
    choose_body(r, c->h1_body);
    send_continue(c, r);
    return 1;
}

static void take(void *ctx, struct str part)
{
    struct http_req *r = ctx;
    if (r->too_large)
        return;
    buf_add_str(&r->body, part);
    r->too_large = r->body.failed;
}

/* 1 whole (or hopeless), 0 more is needed. */
static int read_body(struct conn *c, struct http_req *r, struct str *s)
{
    if (r->bad || r->too_large)
        return 1;
    int rc = h1_body_read(c->h1_body, s, take, r);
    r->bad |= rc < 0;
    return rc != 0 || r->too_large;
}

/* Parses what is in c->in: as many requests as can be handled now (one, until it is answered). */
static int parse(struct conn *c)
{
    struct str s = buf_str(&c->in);
    int rc = 0;
    while (c->state == CONN_OPEN && !c->close_after) {
        if (!c->h1_req && s.len) {
            if (!c->header_since_ns) {
                c->header_since_ns = loop_now(c->owner->loop);
                conn_set_timer(c, HEADER_NS);
            }
            rc = read_head(c, &s);
        }
        if (rc < 0 || !c->h1_req || c->h1_req->handled)
            break;
        struct http_req *r = c->h1_req;
        if (!read_body(c, r, &s))
            break;
        r->closing |= r->bad || r->too_large;
        c->unread |= r->too_large;
        r->body_done = true;
        /* What the parser has used goes first: the handler may take the connection over. */
        size_t used = c->in.len - s.len;
        memmove(c->in.at, c->in.at + used, s.len);
        c->in.len = s.len;
        req_handle(r);
        return 0;
    }
    if (c->state == CONN_DEAD)
        return 0;
    memmove(c->in.at ? c->in.at : "", s.at, c->in.at ? s.len : 0);
    c->in.len = s.len;
    return rc;
}

int h1_input(struct conn *c, struct str bytes)
{
    if (!c->h1_body && !(c->h1_body = mem_alloc(sizeof *c->h1_body)))
        return -1;
    c->in.max = HEADER_BYTES_MOST + c->server->body_max + (64 << 10);
    buf_add(&c->in, bytes.at, bytes.len);
    if (c->in.failed)
        return -1;
    return parse(c);
}

void h1_free(struct conn *c)
{
    mem_free(c->h1_body);
    c->h1_body = NULL;
}

void h1_answer(struct http_req *r, const struct http_header *h, unsigned n, bool end)
{
    struct conn *c = r->conn;
    char date[40];
    http_date(date, sizeof date);
    r->closing |= c->server->closing;
    buf_printf(&c->out, "HTTP/1.1 %d %s\r\n", r->status, status_text(r->status));
    for (unsigned i = 0; i < n; i++)
        buf_printf(&c->out, STR_FMT ": " STR_FMT "\r\n", STR_ARG(h[i].name), STR_ARG(h[i].value));
    r->chunked = !end;
    if (end && !http_bodiless(r->status))
        buf_printf(&c->out, "content-length: %zu\r\n", r->queued);
    else if (!end)
        buf_add_z(&c->out, "transfer-encoding: chunked\r\n");
    buf_printf(&c->out, "date: %s\r\n%s\r\n", date, r->closing ? "connection: close\r\n" : "");
}

static void put_part(struct conn *c, struct http_req *r)
{
    struct queued *q = r->first;
    struct str part = str_skip(q->slice.data, q->at);
    if (part.len > DRAIN_BELOW)
        part.len = DRAIN_BELOW;
    if (r->chunked)
        buf_printf(&c->out, "%zx\r\n", part.len);
    if (!r->head_request)
        buf_add_str(&c->out, part);
    if (r->chunked)
        buf_add_z(&c->out, "\r\n");
    req_pop(r, part.len);
}

int h1_fill(struct conn *c)
{
    for (;;) {
        struct http_req *r = c->h1_req;
        if (!r || r->answer == REQ_OPEN)
            return 0;
        while (r->first && c->out.len - c->out_at < OUT_MOST)
            put_part(c, r);
        if (r->first || c->out.failed)
            return c->out.failed ? -1 : 0;
        if (r->answer != REQ_ENDED) {
            if (c->out.len - c->out_at < DRAIN_BELOW)
                req_after_drain(r);
            return 0;
        }
        if (r->chunked)
            buf_add_z(&c->out, "0\r\n\r\n");
        c->close_after |= r->closing;
        req_free(r);
        if (c->close_after || !c->in.len)
            return 0;
        if (parse(c) < 0)               /* the next one of a pipeline */
            return -1;
    }
}
