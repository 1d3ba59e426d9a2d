/* rq.c - what goes back over HTTP: headers, errors, trees, objects. */
#include "api-internal.h"
#include "reconcile/call.h"

#include "base/env.h"

void api_call_init(struct kl_call *c, struct arena *a, const char *user)
{
    host_call_init(c, a, user);
}

void api_rq_call(struct api_rq *rq, struct kl_call *c, const char *user)
{
    host_call_init(c, rq->arena, user);
    c->request = rq->id;
}

void api_warn(struct api_rq *rq, const char *text)
{
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return;                     /* no header could carry it */
    if (rq->n_warnings == 20 || !text[0])
        return;
    if (rq->n_warnings == rq->cap_warnings) {
        unsigned cap = rq->cap_warnings ? rq->cap_warnings * 2 : 4;
        const char **at = arena_alloc(rq->arena, cap * sizeof *at);
        if (!at)
            return;
        if (rq->n_warnings)
            memcpy(at, rq->warnings, rq->n_warnings * sizeof *at);
        rq->warnings = at;
        rq->cap_warnings = cap;
    }
    for (unsigned i = 0; i < rq->n_warnings; i++)
        if (strcmp(rq->warnings[i], text) == 0)
            return;
    rq->warnings[rq->n_warnings++] = text;
}

/* The operation's own memory may end before the request. */
static void op_warn(void *ctx, const char *text)
{
    struct api_rq *rq = ctx;
    text = arena_dup(rq->arena, str_of(text));
    if (text)
        api_warn(rq, text);
}

static void op_note(void *ctx, const char *key, const char *value)
{
    audit_note(ctx, key, value);
}

void api_op_tell(struct api_rq *rq, struct api_op *op)
{
    op->warn = op_warn;
    op->warn_ctx = rq;
    op->note = rq->audit ? op_note : NULL;
    op->note_ctx = rq;
    op->notes_objects = audit_keeps_objects(rq);
}

static struct str warning_value(struct arena *a, const char *text)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1024);
    buf_lit(&b, "299 - \"");
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            buf_add_c(&b, '\\');
        buf_add_c(&b, (unsigned char)*p < 0x20 ? ' ' : *p);
    }
    buf_add_c(&b, '"');
    return b.failed ? STR("299 - \"warning too long\"") : arena_str(a, buf_str(&b));
}

unsigned api_headers(struct api_rq *rq, struct http_header *h, const char *content_type)
{
    unsigned n = 0;
    h[n++] = (struct http_header){ STR("audit-id"), str_of(rq->audit_id) };
    h[n++] = (struct http_header){ STR("cache-control"), STR("no-cache, private") };
    if (content_type)
        h[n++] = (struct http_header){ STR("content-type"), str_of(content_type) };
    if (rq->err.nosniff || (content_type && strcmp(content_type, "text/plain; charset=utf-8") == 0))
        h[n++] = (struct http_header){ STR("x-content-type-options"), STR("nosniff") };
    n += flow_headers(rq, &h[n]);
    if (rq->err.retry_after)
        h[n++] = (struct http_header){ STR("retry-after"), str_of(arena_printf(rq->arena, "%d", rq->err.retry_after)) };
    for (unsigned i = 0; i < rq->n_warnings && n < API_HEADERS; i++)
        h[n++] = (struct http_header){ STR("warning"), warning_value(rq->arena, rq->warnings[i]) };
    return n;
}

static void release_mem(void *at)
{
    mem_free(at);
}

static const char *media_text(enum api_media m)
{
    return m == MEDIA_YAML ? "application/yaml" : m == MEDIA_PROTOBUF ? "application/vnd.kubernetes.protobuf" : "application/json";
}

static void send_buf(struct api_rq *rq, int status, const char *content_type, struct buf *b)
{
    if (!rq->http)
        return;
    struct http_header h[API_HEADERS];
    size_t len;
    char *at = buf_take(b, &len);
    if (!at) {
        rq->err = (struct api_error){ 0 };
        unsigned n = api_headers(rq, h, "text/plain");
        http_reply(rq->http, 500, h, n, (struct http_slice){ .data = STR("out of memory\n") });
        return;
    }
    audit_answer(rq, content_type, str_n(at, len));
    unsigned n = api_headers(rq, h, content_type);
    http_reply(rq->http, status, h, n, (struct http_slice){ str_n(at, len), release_mem, at });
}

unsigned api_headers_without(struct http_header *h, unsigned n, const char *name)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < n; i++)
        if (!str_is(h[i].name, name))
            h[kept++] = h[i];
    return kept;
}

void api_send_text(struct api_rq *rq, int status, const char *content_type, struct str text)
{
    struct buf b = BUF_INIT(0);
    buf_add_str(&b, text);
    send_buf(rq, status, content_type, &b);
}

static bool write_tree(struct api_rq *rq, const struct schema_type *t, struct val *v, struct buf *b)
{
    struct kl_err err;
    kl_err_init(&err);
    switch (rq->accept.media) {
    case MEDIA_PROTOBUF:
        return t && object_encode_protobuf(b, t, v, &err) == 0;
    case MEDIA_YAML:
        object_write_yaml(b, v);
        return !b->failed;
    default:
        if (rq->pretty)
            json_write_pretty(b, v);
        else
            json_write(b, v);
        if (!rq->pretty)
            buf_add_c(b, '\n');
        return !b->failed;
    }
}

void api_send_tree(struct api_rq *rq, int status, const struct schema_type *t, struct val *v)
{
    struct buf b = BUF_INIT(0);
    enum api_media media = rq->accept.media;
    audit_answer_tree(rq, v);
    if (!v || !write_tree(rq, t, v, &b)) {
        buf_clear(&b);
        rq->accept.media = media = MEDIA_JSON;
        if (v)
            write_tree(rq, t, v, &b);
        else
            b.failed = true;
    }
    send_buf(rq, status, media_text(media), &b);
}

/* --- waiting: the request is run again, in an arena of its own each time --- */

static void on_gone(void *ctx)
{
    struct api_rq *rq = ctx;
    api_wait_stop(&rq->wait);
    api_request_over(rq->api, rq->id);
}

static void free_attempt(void *ctx)
{
    struct api_rq *rq = ctx;
    rq->attempt = arena_free(rq->attempt);
}

static void give_up(void *ctx, int code)
{
    struct api_rq *rq = ctx;
    http_on_close(rq->http, NULL, NULL);
    api_request_over(rq->api, rq->id);
    rq->err = (struct api_error){ 0 };
    api_fail(&rq->err, rq->arena, code, "%s", code == KL_NO_MEMORY ? "out of memory" : api_wait_text(code));
    api_send_error(rq);
}

static struct arena *new_attempt(struct api_rq *rq)
{
    bool first = !rq->attempt;
    arena_free(rq->attempt);
    struct arena *a = rq->attempt = arena_new(API_ARENA_MAX);
    if (a && first && !arena_cleanup(http_arena(rq->http), free_attempt, rq))
        free_attempt(rq);
    return rq->attempt;
}

static void again(void *ctx)
{
    struct api_rq *rq = ctx;
    struct api *api = rq->api;
    uint64_t id = rq->id;
    http_on_close(rq->http, NULL, NULL);
    if (!new_attempt(rq)) {
        give_up(rq, KL_NO_MEMORY);
        return;
    }
    struct api_rq fresh = { .api = api, .http = rq->http, .arena = rq->attempt, .id = id, .kept = rq->kept, .attempt = rq->attempt,
                            .deadline_ns = rq->deadline_ns, .awaited = rq->awaited, .audit = rq->audit,
                            .audited = rq->audited, .flow = rq->flow, .slot = rq->slot };
    memcpy(fresh.audit_id, rq->audit_id, sizeof fresh.audit_id);
    *rq = fresh;
    api_run(rq);
    if (!api_waits_for(api, id))        /* the request itself may have gone with its answer */
        api_request_over(api, id);
}

static bool wait_for_decision(struct api_rq *rq)
{
    if (rq->err.code != KL_PENDING || !rq->id)
        return false;
    if (!rq->deadline_ns)
        rq->deadline_ns = loop_now(rq->api->loop) + API_WAIT_NS;
    api_wait_start(rq->api, &rq->wait, rq->id, rq->deadline_ns, again, give_up, rq);
    http_on_close(rq->http, on_gone, rq);
    return true;
}

void api_send_error(struct api_rq *rq)
{
    if (!rq->http || wait_for_decision(rq))
        return;
    if (rq->err.plain) {
        api_send_text(rq, rq->err.http, "text/plain; charset=utf-8", str_of(rq->err.plain));
        return;
    }
    struct val *v = api_error_tree(rq->arena, &rq->err);
    rq->accept = (struct api_accept){ 0 };
    if (!api_negotiate(http_header(rq->http, STR("accept")), &(struct api_can){ 0 }, &rq->accept)) {
        rq->accept.media = MEDIA_JSON;  /* whatever it is that the client wants instead */
        rq->pretty = rq->err.unshown = true;
    }
    api_send_tree(rq, rq->err.http, schema_type_find(STR(""), STR("v1"), STR("Status")), v);
}

/* The common case: JSON, as it is stored, straight from the store's bytes. */
static void send_shared(struct api_rq *rq, int status, struct store_object *o)
{
    struct http_header h[API_HEADERS];
    unsigned n = api_headers(rq, h, "application/json");
    audit_answer(rq, "application/json", store_object_json(o));
    http_reply(rq->http, status, h, n,
               (struct http_slice){ store_object_line(o), store_object_release, store_object_ref(o) });
}

static void send_form(struct api_rq *rq, int status, const struct schema_kind *k, struct str json, struct store_object *o)
{
    struct buf b = BUF_INIT(0);
    if (api_form_object(rq, k, json, o, &b) < 0) {
        buf_free(&b);
        api_send_error(rq);
        return;
    }
    send_buf(rq, status, media_text(rq->accept.media), &b);
}

void api_send_object(struct api_rq *rq, int status, struct store_object *o)
{
    if (!rq->http)
        return;
    if (rq->accept.media == MEDIA_JSON && rq->accept.as == AS_OBJECT && !rq->pretty && !api_converts(rq->info.kind))
        send_shared(rq, status, o);
    else
        send_form(rq, status, rq->info.kind, store_object_json(o), o);
}

void api_send_json(struct api_rq *rq, int status, const struct schema_kind *k, struct str json)
{
    if (rq->http)
        send_form(rq, status, k, json, NULL);
}
