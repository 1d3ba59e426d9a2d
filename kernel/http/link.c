/* link.c - a connection as the client sees it: it dials, is shared by calls, idles, is asked for signs of life, and goes. */
#include "client-internal.h"

static struct link *of(const struct conn *c)
{
    return (struct link *)(uintptr_t)c;
}

struct link *link_new(struct http_client *c, int fd)
{
    struct link *l = (struct link *)(void *)conn_new(&c->owner, fd, sizeof *l);
    if (!l)
        return NULL;
    l->client = c;
    l->conn.state = CONN_DIALING;
    l->conn.heard_ns = l->idle_since_ns = loop_now(c->owner.loop);
    list_init(&l->calls);
    c->n_dialing++;
    loop_fd_set(l->conn.watch, LOOP_WRITE);
    conn_set_timer(&l->conn, DIAL_NS);
    return l;
}

static int start(struct conn *c, bool h2)
{
    struct link *l = of(c);
    struct http_client *client = l->client;
    h2 = h2 || (client->prior_h2 && !l->only_h1);
    client->n_dialing--;
    l->ready = true;
    if (!l->only_h1)
        client->speaks = h2 ? SPEAKS_H2 : SPEAKS_H1;
    if (!h2 && !(l->h1 = mem_alloc(sizeof *l->h1)))
        return -1;
    if (h2 && client_h2_start(l) < 0)
        return -1;
    for (unsigned n = l->n_calls; n && !list_empty(&l->calls); n--) {      /* an upgrade, whose connection this is */
        struct http_call *k = list_item(l->calls.next, struct http_call, link);
        l->n_calls--;
        call_on(k, l);
    }
    conn_set_timer(c, h2 ? PING_AFTER_NS : KEEP_NS);
    client_stir(client);
    return 0;
}

static int input(struct conn *c, struct str bytes)
{
    if (!c->h2)
        return client_h1_input(of(c), bytes);
    ssize_t n = nghttp2_session_mem_recv(c->h2, (const uint8_t *)bytes.at, bytes.len);
    conn_dirty(c);
    if (n < 0)
        snprintf(c->why, sizeof c->why, "%s", nghttp2_strerror((int)n));
    return n < 0 ? -1 : 0;
}

static int fill(struct conn *c)
{
    if (!c->h2)
        return c->out.failed ? -1 : 0;
    if (nghttp2_session_send(c->h2) < 0)
        return -1;
    if (!nghttp2_session_want_read(c->h2) && !nghttp2_session_want_write(c->h2))
        c->close_after = true;
    return 0;
}

static bool more(const struct conn *c)
{
    return c->h2 && nghttp2_session_want_write(c->h2);
}

static void say_silent(struct conn *c, const char *what)
{
    snprintf(c->why, sizeof c->why, "%s", what);
    conn_kill(c);
}

static void timer(struct conn *c)
{
    struct link *l = of(c);
    int64_t now = loop_now(c->owner->loop);
    if (c->state == CONN_RAW || c->state == CONN_DEAD)
        return;
    if (!l->ready) {
        say_silent(c, c->state == CONN_DIALING ? "no connection within 10 s" : "no TLS handshake within 10 s");
        return;
    }
    if (!l->n_calls && now - l->idle_since_ns >= KEEP_NS) {
        conn_kill(c);
        return;
    }
    if (c->h2 && l->n_calls) {
        if (c->heard_ns > l->ping_since_ns)
            l->ping_since_ns = 0;
        if (l->ping_since_ns && now - l->ping_since_ns >= PING_ANSWER_NS) {
            say_silent(c, "no sign of life");
            return;
        }
        if (!l->ping_since_ns && now - c->heard_ns >= PING_AFTER_NS) {
            nghttp2_submit_ping(c->h2, NGHTTP2_FLAG_NONE, NULL);
            l->ping_since_ns = now;
            conn_dirty(c);
        }
    }
    int64_t left = c->heard_ns + PING_AFTER_NS - now;
    bool listening = c->h2 && l->n_calls;
    conn_set_timer(c, l->ping_since_ns ? PING_ANSWER_NS : !listening ? KEEP_NS / 3 : left > NS_PER_S ? left : NS_PER_S);
}

static void gone(struct conn *c)
{
    struct link *l = of(c);
    struct http_client *client = l->client;
    bool unreached = !l->ready;
    if (unreached)
        client->n_dialing--;
    if (unreached && !l->given_up && client_dial_next(l))
        unreached = false;
    if (l->h1 && !c->raw_data)
        client_h1_eof(l);
    while (!list_empty(&l->calls)) {
        struct http_call *k = list_item(l->calls.next, struct http_call, link);
        if (unreached)
            k->tries++;                 /* there is nothing else to try */
        call_lost(k, false, c->why);
    }
    if (unreached && !l->given_up) {
        snprintf(client->why, sizeof client->why, "%s", c->why[0] ? c->why : "the connection was closed before it was of use");
        if (!l->only_h1)
            client_fail_waiting(client);
    }
    nghttp2_session_del(c->h2);
    c->h2 = NULL;
    if (l->h1)
        buf_free(&l->h1->in);
    mem_free(l->h1);
    l->h1 = NULL;
    client_stir(client);
}

const struct conn_protocol link_protocol = { start, input, fill, more, timer, gone };

bool link_takes(const struct link *l, const struct http_call *k)
{
    const struct conn *c = &l->conn;
    if (c->state != CONN_OPEN || !l->ready || l->leaving || l->only_h1 || c->close_after)
        return false;
    /* What must not be sent twice is not given to a connection that may be about to be closed by the other side. */
    if (!c->h2 && l->used && !call_idempotent(k) && loop_now(c->owner->loop) - l->idle_since_ns > 5 * NS_PER_S)
        return false;
    return c->h2 ? client_h2_room(l) > 0 : l->n_calls == 0;
}

void link_leave(struct link *l, struct http_call *k, bool whole)
{
    struct conn *c = &l->conn;
    list_remove(&k->link);
    if (k->paused && !c->h2)
        conn_raw_pause(c, false);
    k->on = NULL;
    if (--l->n_calls == 0)
        l->idle_since_ns = loop_now(c->owner->loop);
    l->used |= whole;
    client_stir(l->client);
    if (c->state == CONN_DEAD || !l->ready || c->state == CONN_RAW) {
        if (!l->ready && l->only_h1 && c->state != CONN_DEAD) {
            l->given_up = true;
            conn_kill(c);
        }
        return;
    }
    if (c->h2)
        client_h2_cancel(l, k);
    else if (!whole || l->only_h1)
        conn_kill(c);
}
