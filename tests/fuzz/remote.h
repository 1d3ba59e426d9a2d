/* remote.h - an upgraded connection without a socket: the input's bytes come from the client, what the user of kernel/http/remote.h does about
 * them comes from the input as well. */
#ifndef TESTS_FUZZ_REMOTE_H
#define TESTS_FUZZ_REMOTE_H

#include "fuzz.h"
#include "http/http-internal.h"
#include "http/remote.h"

static struct loop *remote_loop;
static struct http_server remote_server;
static struct remote *remote_now;
static enum remote_kind remote_kind;
static unsigned remote_mood;            /* decides what the user does */
static bool remote_ready;

static void remote_act(unsigned channel)
{
    remote_mood = remote_mood * 1664525u + 1013904223u;
    switch (remote_mood >> 24 & 15) {
    case 0: remote_pause(remote_now, true); break;
    case 1: remote_pause(remote_now, false); break;
    case 2: remote_close_channel(remote_now, channel); break;
    case 3: remote_write(remote_now, channel, STR("some output")); break;
    case 4: remote_write(remote_now, REMOTE_STDERR, STR("x")); break;
    case 5:
        remote_finish(remote_now, STR("{\"status\":\"Success\"}"), STR(""));
        remote_now = NULL;
        break;
    case 6:
        remote_close(remote_now);
        remote_now = NULL;
        break;
    default: break;
    }
}

static void remote_on_ready(void *ctx)
{
    (void)ctx;
    must(!remote_ready && remote_now);
    remote_ready = true;
    remote_act(REMOTE_STDOUT);
}

static void remote_on_port(void *ctx, unsigned id, uint16_t port)
{
    (void)ctx;
    must(remote_now && remote_kind == REMOTE_PORTFORWARD && port > 0);
    remote_act(2 * id + 1);
}

static void remote_on_data(void *ctx, unsigned channel, struct str bytes)
{
    (void)ctx;
    must(remote_now && remote_ready && bytes.len && bytes.at);
    must(remote_kind == REMOTE_PORTFORWARD || channel < REMOTE_CHANNELS);
    must(remote_kind != REMOTE_STREAM);
    remote_act(channel);
}

static void remote_on_channel(void *ctx, unsigned channel)
{
    (void)ctx;
    must(remote_now);
    remote_act(channel);
}

static void remote_on_closed(void *ctx)
{
    (void)ctx;
    must(remote_now);
    remote_now = NULL;
}

static void remote_nothing(struct conn *c)
{
    (void)c;
}

/* headers: pairs of name and value, NULL at the end. */
static void remote_fuzz(const char *method, const char *const headers[][2], const struct remote_conf *conf, struct str bytes)
{
    static const struct remote_events ev = { remote_on_ready, remote_on_port, remote_on_data, remote_on_channel, remote_on_channel, NULL,
                                             remote_on_closed };
    static const struct conn_protocol none = { .gone = remote_nothing, .timer = remote_nothing };
    struct kl_err err;
    kl_err_init(&err);
    if (!remote_loop) {
        remote_loop = loop_new_sim(0, 0);
        owner_init(&remote_server.owner, remote_loop, &none);
        remote_server.body_max = 1000;
    }
    struct conn *c = mem_alloc(sizeof *c);
    *c = (struct conn){ .owner = &remote_server.owner, .server = &remote_server, .state = CONN_OPEN, .fd = -1 };
    list_init(&c->reqs);
    list_init(&c->dirty_link);
    struct http_req *r = req_new(c);
    r->method = str_of(method);
    for (unsigned i = 0; headers[i][0]; i++)
        must(req_add_header(r, str_of(headers[i][0]), str_of(headers[i][1])) == 0);
    remote_kind = conf->kind;
    remote_ready = false;
    remote_mood = 7 + fuzz_pick(&bytes, 256);
    remote_now = remote_accept(r, conf, &ev, NULL, &err);
    must(remote_now);
    while (bytes.len && c->raw_data && c->state != CONN_DEAD) {
        size_t n = (unsigned char)bytes.at[bytes.len / 2] % 61 + 1;
        n = n < bytes.len ? n : bytes.len;
        c->raw_data(c->raw_ctx, str_n(bytes.at, n));
        bytes = str_skip(bytes, n);
        if (c->out.len > 8192) {        /* the client reads now and then */
            buf_clear(&c->out);
            if (c->raw_drain)
                c->raw_drain(c->raw_ctx);
        }
    }
    loop_run_until(remote_loop, loop_now(remote_loop) + 40 * NS_PER_S);
    if (c->raw_data)
        c->raw_data(c->raw_ctx, STR_NONE);
    must(!remote_now);
    loop_timer_stop(&c->timer);
    list_remove(&c->dirty_link);
    buf_free(&c->out);
    mem_free(c);
}

#endif
