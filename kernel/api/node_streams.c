/* node_streams.c - what a node is asked for as a stream, by its own paths: the query is the kubelet's, the streams are stream.h's. */
#include "base/clock.h"
#include "base/env.h"
#include "node_paths-internal.h"

#define COMMANDS 1024

/* --- the query --- */

struct port_query {
    const char **command;
    unsigned n_command, n_ports;
    uint16_t ports[STREAM_PORTS_MOST];
    struct str since_time, stream;
    bool in, out, err, tty, follow, previous, timestamps;
    int64_t since_seconds, tail_lines, limit_bytes;
};

#define O(name, type, member) { name, type, offsetof(struct port_query, member) }
static const struct {
    const char *name;
    enum { O_BOOL, O_INT, O_STR } type;
    size_t at;
} options[] = {
    O("input", O_BOOL, in), O("output", O_BOOL, out), O("error", O_BOOL, err), O("tty", O_BOOL, tty), O("follow", O_BOOL, follow),
    O("previous", O_BOOL, previous), O("timestamps", O_BOOL, timestamps), O("sinceSeconds", O_INT, since_seconds),
    O("tailLines", O_INT, tail_lines), O("limitBytes", O_INT, limit_bytes), O("sinceTime", O_STR, since_time), O("stream", O_STR, stream),
};

static bool set_option(struct port_query *o, size_t i, struct str v)
{
    char *at = (char *)o + options[i].at;
    switch (options[i].type) {
    case O_BOOL: *(bool *)at = str_is(v, "1") || str_eq_nocase(v, STR("true")); return true;
    case O_INT: return str_int(v, (int64_t *)(void *)at);
    case O_STR: *(struct str *)(void *)at = v; return true;
    }
    return false;
}

static bool read_query(struct ask *q, struct port_query *o)
{
    struct str query = http_query(q->http), key, value;
    int64_t port;
    *o = (struct port_query){ .since_seconds = INT64_MIN, .tail_lines = INT64_MIN, .limit_bytes = INT64_MIN };
    o->command = arena_alloc(q->arena, (COMMANDS + 1) * sizeof *o->command);
    while (o->command && http_query_next(q->arena, &query, &key, &value)) {
        if (str_is(key, "command")) {
            if (o->n_command == COMMANDS || !(o->command[o->n_command++] = arena_dup(q->arena, value)))
                return false;
            continue;
        }
        if (str_is(key, "port")) {
            if (!str_int(value, &port) || port < 1 || port > 65535 || o->n_ports == STREAM_PORTS_MOST)
                return false;
            o->ports[o->n_ports++] = (uint16_t)port;
            continue;
        }
        for (size_t i = 0; i < sizeof options / sizeof *options; i++)
            if (str_is(key, options[i].name) && !set_option(o, i, value))
                return false;
    }
    return o->command != NULL;
}

static void log_failed(void *ctx, const struct kl_err *err)
{
    ask_refuse(ctx, err);
}

void ask_logs(struct ask *q)
{
    static const struct http_header h[] = { { { "content-type", 12 }, { "text/plain", 10 } } };
    struct port_query o;
    struct kl_err err;
    int64_t since = 0;
    kl_err_init(&err);
    if (!read_query(q, &o) || (o.since_time.len && !clock_parse(o.since_time, &since))) {
        ask_refuse_with(q, KL_BAD_REQUEST, "the options are not understood");
        return;
    }
    if (o.since_seconds != INT64_MIN)
        since = env_wall_ns() - (o.since_seconds < INT32_MAX ? o.since_seconds : INT32_MAX) * NS_PER_S;
    struct stream_log how = { .headers = h, .n_headers = 1, .fail = log_failed, .ctx = q };
    how.options = (struct kl_log_options){ .size = sizeof how.options, .follow = o.follow, .previous = o.previous, .timestamps = o.timestamps,
                                           .since_wall_ns = since, .tail_lines = o.tail_lines, .limit_bytes = o.limit_bytes,
                                           .streams = str_is(o.stream, "Stdout") ? 1 : str_is(o.stream, "Stderr") ? 2 : 0 };
    if (stream_log(q->paths->streams, q->http, &q->at, &how, &err) < 0)
        ask_refuse(q, &err);
}

void ask_exec(struct ask *q)
{
    struct port_query o;
    struct kl_err err;
    bool attach = strcmp(q->path.seg[0], "attach") == 0;
    kl_err_init(&err);
    if (!read_query(q, &o)) {
        ask_refuse_with(q, KL_BAD_REQUEST, "the options are not understood");
        return;
    }
    struct stream_exec e = { .argv = attach ? NULL : o.command, .in = o.in, .out = o.out, .err = o.err, .tty = o.tty };
    if (!remote_wanted(q->http))
        kl_err_set(&err, KL_BAD_REQUEST, "Upgrade request required");
    else if (!attach && !o.n_command)
        kl_err_set(&err, KL_BAD_REQUEST, "you must specify at least 1 command for the container");
    else
        stream_exec(q->paths->streams, q->http, &q->at, &e, &err);
    if (err.code)
        ask_refuse(q, &err);
}

void ask_forward(struct ask *q)
{
    struct port_query o;
    struct kl_err err;
    kl_err_init(&err);
    if (!remote_wanted(q->http))
        kl_err_set(&err, KL_BAD_REQUEST, "Upgrade request required");
    else if (!read_query(q, &o))
        kl_err_set(&err, KL_BAD_REQUEST, "the ports are not understood");
    else
        stream_ports(q->paths->streams, q->http, &q->at, o.ports, o.n_ports, &err);
    if (err.code)
        ask_refuse(q, &err);
}

