/* handover_ask.c - how a restart without a gap is asked for: POST /restart on the control socket, or a signal; and requests that wait meanwhile. */
#include "base/env.h"
#include "base/log.h"
#include "cli/daemon-internal.h"
#include "cli/handover.h"

void handover_reply(struct http_req *r, int status, const char *text)
{
    const struct http_header type = { STR("content-type"), STR("text/plain; charset=utf-8") };
    struct str body = str_of(arena_printf(http_arena(r), "%s\n", text));
    http_reply(r, status, &type, 1, (struct http_slice){ .data = body });
}

void handover_signal(void *ctx)
{
    struct kl_err err;
    kl_err_init(&err);
    if (handover_begin(ctx, NULL, NULL, 0, &err) < 0)
        log_error("server", "%s", err.msg);
}

void handover_control(void *ctx, struct http_req *r)
{
    struct str query = http_query(r), key, value;
    const char *binary = NULL;
    int64_t seconds = 0;
    struct kl_err err;
    kl_err_init(&err);
    if (!str_is(http_path(r), "/restart") || !str_is(http_method(r), "POST")) {
        handover_reply(r, 404, "there is POST /restart?binary=FILE&linger=SECONDS");
        return;
    }
    while (http_query_next(http_arena(r), &query, &key, &value))
        if (str_is(key, "binary"))
            binary = arena_dup(http_arena(r), value);
        else if (str_is(key, "linger") && (!str_int(value, &seconds) || seconds < 1 || seconds > 30 * 86400)) {
            handover_reply(r, 400, "linger is a number of seconds, at most thirty days");
            return;
        }
    int rc = handover_begin(ctx, r, binary, seconds * NS_PER_S, &err);
    if (rc < 0)
        handover_reply(r, rc == -KL_CONFLICT ? 409 : 500, err.msg);
}

/* --- requests that wait --- */

static void held_gone(void *ctx)
{
    struct held *x = ctx;
    list_remove(&x->link);
    x->daemon->n_held--;
}

void handover_hold(struct daemon *d, struct http_req *r, void (*handle)(void *daemon, struct http_req *r))
{
    struct held *x = arena_alloc(http_arena(r), sizeof *x);
    if (!x) {
        handover_reply(r, 503, "out of memory");
        return;
    }
    *x = (struct held){ .daemon = d, .req = r, .handle = handle };
    list_push(&d->held, &x->link);
    d->n_held++;
    http_on_close(r, held_gone, x);
}
