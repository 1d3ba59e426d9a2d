/* client_h1.c - the client's HTTP/1.1: one request at a time, its answer by length, in chunks or until the end. */
#include "client-internal.h"

/* --- requests --- */

static bool clean(const struct http_call *k)
{
    if (!h1_token(k->method) || !h1_text(k->path) || memchr(k->path.at, ' ', k->path.len) || !k->path.len || k->path.at[0] != '/')
        return false;
    for (unsigned i = 0; i < k->n_headers; i++)
        if (!h1_token(k->headers[i].name) || !h1_text(k->headers[i].value))
            return false;
    return true;
}

int client_h1_send(struct link *l, struct http_call *k)
{
    struct buf *b = &l->conn.out;
    bool agent = false, has_body = k->body.len || !(call_idempotent(k) || str_is(k->method, "DELETE"));
    if (!clean(k))
        return -1;
    l->h1->head_request = str_is(k->method, "HEAD");
    buf_printf(b, STR_FMT " " STR_FMT " HTTP/1.1\r\nhost: %s\r\n", STR_ARG(k->method), STR_ARG(k->path), k->client->authority);
    for (unsigned i = 0; i < k->n_headers; i++) {
        buf_printf(b, STR_FMT ": " STR_FMT "\r\n", STR_ARG(k->headers[i].name), STR_ARG(k->headers[i].value));
        agent |= str_eq_nocase(k->headers[i].name, STR("user-agent"));
    }
    if (!agent)
        buf_add_z(b, "user-agent: keelson/" KEELSON_VERSION "\r\n");
    if (has_body)
        buf_printf(b, "content-length: %zu\r\n", k->body.len);
    buf_add_z(b, "\r\n");
    buf_add_str(b, k->body);
    k->written = true;
    return b->failed ? -1 : 0;
}

/* --- answers --- */

static bool status_line(struct str line, struct result_head *h)
{
    struct str version = str_cut(&line, ' '), code = line.at ? str_cut(&line, ' ') : STR_NONE;
    int64_t n = 0;
    h->http10 = str_is(version, "HTTP/1.0");
    if ((!h->http10 && !str_is(version, "HTTP/1.1")) || code.len != 3 || !str_int(code, &n) || n < 100 || n > 599)
        return false;
    h->status = (int)n;
    return true;
}

static int read_one(struct str head, struct result_head *h)
{
    struct str line, name, value;
    char room[H1_NAME];
    bool bad = false;
    if (!h1_line(&head, &line, &bad) || bad || !status_line(line, h))
        return -1;
    while (h1_line(&head, &line, &bad))
        if (bad || !h1_field(line, room, &name, &value) || head_add(h, name, value) < 0)
            return -1;
    return bad ? -1 : 1;
}

int h1_read_status(struct str *s, struct result_head *h)
{
    for (;;) {
        const char *end = s->len ? memmem(s->at, s->len, "\r\n\r\n", 4) : NULL;
        if (!end)
            return s->len > HEADER_BYTES_MOST || (s->len && memmem(s->at, s->len, "\n\n", 2)) ? -1 : 0;
        struct str head = str_n(s->at, (size_t)(end - s->at) + 2);
        *s = str_skip(*s, head.len + 2);
        if (head.len > HEADER_BYTES_MOST || read_one(head, h) < 0)
            return -1;
        if (h->status >= 200 || h->status == 101)
            return 1;
        head_free(h);                   /* 100 Continue and its like */
    }
}

static struct str header(const struct result_head *h, struct str name, unsigned *ret_times)
{
    struct str found = STR_NONE;
    *ret_times = 0;
    for (unsigned i = 0; i < h->n; i++)
        if (str_eq(h->at[i].name, name)) {
            found = h->at[i].value;
            ++*ret_times;
        }
    return found;
}

static bool has_word(struct str list, const char *word)
{
    while (list.at)
        if (str_eq_nocase(str_trim(str_cut(&list, ',')), str_of(word)))
            return true;
    return false;
}

int h1_choose_body(const struct result_head *h, bool head_request, struct h1_body *b, bool *closing)
{
    unsigned n_length, n_coding, n;
    struct str length = header(h, STR("content-length"), &n_length), coding = header(h, STR("transfer-encoding"), &n_coding),
               connection = header(h, STR("connection"), &n);
    int64_t size = 0;
    *b = (struct h1_body){ .state = BODY_DONE };
    *closing = has_word(connection, "close") || (h->http10 && !has_word(connection, "keep-alive"));
    if (head_request || h->status == 204 || h->status == 304 || h->status == 101)
        return 0;
    if (n_coding) {
        b->state = BODY_CHUNK_SIZE;
        return n_coding == 1 && !n_length && str_eq_nocase(coding, STR("chunked")) ? 0 : -1;
    }
    if (n_length) {
        if (n_length != 1 || !length.len || length.at[0] == '-' || length.at[0] == '+' || !str_int(length, &size))
            return -1;
        b->left = (uint64_t)size;
        b->state = size ? BODY_LENGTH : BODY_DONE;
        return 0;
    }
    b->state = BODY_UNTIL_END;
    *closing = true;
    return 0;
}

static struct http_call *current(struct link *l)
{
    return list_empty(&l->calls) ? NULL : list_item(l->calls.next, struct http_call, link);
}

static void fail(struct link *l, const char *why)
{
    struct http_call *k = current(l);
    struct kl_err err;
    kl_err_init(&err);
    kl_err_set(&err, KL_UNAVAILABLE, "%s: %s", l->client->authority, why);
    conn_kill(&l->conn);
    call_end(k, &err);
}

static void part(void *ctx, struct str bytes)
{
    struct link *l = ctx;
    struct http_call *k = current(l);
    bool alive = call_data(k, bytes);
    l->h1->body.paused = !alive || k->paused;
}

/* 1: go on with the body; 0: not now. */
static int begin(struct link *l, struct str *s)
{
    struct h1_result *h = l->h1;
    struct http_call *k = current(l);
    int rc = h1_read_status(s, &k->head);
    if (rc == 0)
        return 0;
    if (rc < 0 || h1_choose_body(&k->head, h->head_request, &h->body, &h->closing) < 0 || (k->head.status == 101 && !k->upgrade)) {
        fail(l, "the answer is malformed");
        return 0;
    }
    bool upgraded = k->head.status == 101;
    if (!call_head(k)) {                /* cancelled, or it took the connection over */
        if (l->conn.state == CONN_RAW && l->conn.raw_data && s->len)
            l->conn.raw_data(l->conn.raw_ctx, *s);
        *s = STR("");
        return 0;
    }
    if (upgraded)
        fail(l, "the upgrade was not wanted");
    return !upgraded;
}

static void finish(struct link *l, bool whole)
{
    struct http_call *k = current(l);
    l->h1->body = (struct h1_body){ 0 };
    link_leave(l, k, whole);
    call_end(k, NULL);
}

static void parse(struct link *l)
{
    struct h1_result *h = l->h1;
    struct str s = buf_str(&h->in);
    int rc = 0;
    h->parsing = true;
    if (current(l) && (current(l)->got_head || begin(l, &s))) {
        h->body.paused = current(l)->paused;
        rc = h1_body_read(&h->body, &s, part, l);
    }
    h->parsing = false;
    if (h->in.at)
        memmove(h->in.at, s.at, s.len);
    h->in.len = s.len;
    if (!current(l) || l->conn.state != CONN_OPEN)
        return;
    if (rc < 0)
        fail(l, "the answer is malformed");
    else if (rc > 0)
        finish(l, !h->closing && !h->in.len);
    else if (current(l)->paused != l->conn.raw_paused)
        conn_raw_pause(&l->conn, current(l)->paused);
}

int client_h1_input(struct link *l, struct str bytes)
{
    struct h1_result *h = l->h1;
    if (!current(l))
        return -1;                      /* nobody asked */
    h->in.max = 2 * HEADER_BYTES_MOST + (128 << 10);
    buf_add(&h->in, bytes.at, bytes.len);
    if (h->in.failed)
        fail(l, "the answer is malformed");
    else
        parse(l);
    return 0;
}

void client_h1_resume(struct link *l)
{
    if (l->h1->parsing)
        l->h1->body.paused = false;
    else if (current(l))
        parse(l);
}

void client_h1_eof(struct link *l)
{
    struct http_call *k = current(l);
    if (k && k->got_head && l->h1->body.state == BODY_UNTIL_END && !l->conn.why[0])
        finish(l, false);
}
