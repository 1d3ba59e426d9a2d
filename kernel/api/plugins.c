/* plugins.c - POST /debug/plugins/INSTANCE/ACTION: instances are changed while the server runs. Who may do that is said as for any path that is no resource
 * (nonResourceURLs, verb post); by the default policy: administrators. */
#include "api-internal.h"

#include "base/mem.h"

/* It outlives a client that goes away: what was begun is done all the same. */
struct ask {
    struct api_rq *rq;                  /* NULL: it has gone */
};

static void on_gone(void *ctx)
{
    ((struct ask *)ctx)->rq = NULL;
}

static void send_success(struct api_rq *rq, const char *text)
{
    struct arena *a = rq->arena;
    struct val *v = val_new(a, VAL_OBJ);
    json_set_str(a, v, STR("kind"), STR("Status"));
    json_set_str(a, v, STR("apiVersion"), STR("v1"));
    json_obj(a, v, STR("metadata"));
    json_set_str(a, v, STR("status"), STR("Success"));
    json_set_str(a, v, STR("message"), arena_str(a, str_of(text)));
    rq->accept.media = MEDIA_JSON;
    api_send_tree(rq, 200, NULL, v);
}

static void done(void *ctx, const struct kl_err *err, const char *text)
{
    struct ask *q = ctx;
    struct api_rq *rq = q->rq;
    mem_free(q);
    if (!rq)
        return;
    http_on_close(rq->http, NULL, NULL);
    if (!err) {
        send_success(rq, text);
        return;
    }
    api_fail_err(&rq->err, rq->arena, err);
    rq->err.retry_after = 0;
    api_send_error(rq);
}

static int read_body(struct api_rq *rq, struct val **ret)
{
    struct str text = http_body(rq->http);
    struct kl_err err;
    kl_err_init(&err);
    *ret = text.len ? json_parse(rq->arena, text, &err) : NULL;
    if (text.len && !val_is(*ret, VAL_OBJ))
        return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "the body must be a JSON object: %s", err.msg);
    return 0;
}

bool api_plugins(struct api_rq *rq, struct str path)
{
    struct str instance = str_cut(&path, '/');
    struct val *body;
    if (!rq->api->hooks.change || !str_is(http_method(rq->http), "POST") || !instance.len || !path.len || str_find(path, '/') >= 0)
        return false;
    const char *action = arena_dup(rq->arena, path);
    struct ask *q = read_body(rq, &body) == 0 ? mem_alloc(sizeof *q) : NULL;
    if (!q || !action) {
        if (!rq->err.code)
            api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory");
        mem_free(q);
        api_send_error(rq);
        return true;
    }
    q->rq = rq;
    http_on_close(rq->http, on_gone, q);
    rq->api->hooks.change(rq->api->hooks.ctx, http_decode(rq->arena, instance, false), action, body, rq->user.name ? rq->user.name : "", done, q);
    return true;
}
