/* calls.c - direct calls: a request of the API per question, its answer back to whoever waits; what was written goes into the mirror before
 * that. */
#include "base/env.h"
#include "base/json_scan.h"
#include "objects-internal.h"
#include "reconcile/call.h"

static const struct {
    const char *method, *type;
} verbs[] = {
    [ASK_GET] = { "GET", NULL },
    [ASK_LIST] = { "GET", NULL },
    [ASK_CREATE] = { "POST", "application/json" },
    [ASK_UPDATE] = { "PUT", "application/json" },
    [ASK_PATCH] = { "PATCH", NULL },
    [ASK_REMOVE] = { "DELETE", "application/json" },
};

static const char *const patch_types[] = {
    [KL_PATCH_MERGE] = "application/merge-patch+json",
    [KL_PATCH_STRATEGIC] = "application/strategic-merge-patch+json",
    [KL_PATCH_JSON] = "application/json-patch+json",
};

/* --- requests --- */

static struct str from_body(const struct ask *q, const char *path)
{
    struct str s = json_scan_text(json_scan_path(str_n(q->body.at, q->body.len), path));
    return s.at ? s : STR("");
}

static void add_path(struct ask *q, struct buf *b)
{
    const struct kl_object_key *k = q->key;
    struct str ns = str_of(q->what == ASK_LIST ? q->list->ns : k->ns), name = k ? str_of(k->name) : STR_NONE;
    bool has_body = q->what == ASK_CREATE || q->what == ASK_UPDATE;
    if (!ns.len && has_body)
        ns = from_body(q, "metadata.namespace");
    if (!name.len && has_body)
        name = from_body(q, "metadata.name");
    if (q->what == ASK_CREATE && !k->subresource)
        name = STR("");
    path_of(b, q->kind, ns, name, k ? k->subresource : NULL);
}

static void add_query(struct ask *q, struct buf *b)
{
    char before = '?';
    if (q->what == ASK_LIST) {
        buf_printf(b, "?limit=%d", PAGE);
        before = '&';
        if (q->list->label_selector)
            path_query(b, before, "labelSelector", str_of(q->list->label_selector));
        if (q->list->field_selector)
            path_query(b, before, "fieldSelector", str_of(q->list->field_selector));
        if (q->next[0])
            path_query(b, before, "continue", str_of(q->next));
    }
    if (q->call->flags & KL_CALL_DRY_RUN && q->what != ASK_GET && q->what != ASK_LIST)
        path_query(b, before, "dryRun", STR("All"));
}

static void add_delete_options(const struct kl_delete_options *o, struct buf *b)
{
    buf_add_z(b, "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\"");
    if (o && o->grace_seconds >= 0)
        buf_printf(b, ",\"gracePeriodSeconds\":%lld", (long long)o->grace_seconds);
    if (o && o->propagation) {
        buf_add_z(b, ",\"propagationPolicy\":");
        json_write_str(b, str_of(o->propagation));
    }
    if (o && (o->uid || o->revision)) {
        buf_add_z(b, ",\"preconditions\":{");
        if (o->uid) {
            buf_add_z(b, "\"uid\":");
            json_write_str(b, str_of(o->uid));
        }
        if (o->revision)
            buf_printf(b, "%s\"resourceVersion\":\"%llu\"", o->uid ? "," : "", (unsigned long long)o->revision);
        buf_add_c(b, '}');
    }
    buf_add_c(b, '}');
}

static void add_body(struct ask *q, struct buf *b)
{
    struct str body = str_n(q->body.at, q->body.len);
    const char *sub = q->key ? q->key->subresource : NULL;
    if (q->what == ASK_REMOVE)
        add_delete_options(q->del, b);
    else if ((q->what == ASK_CREATE || q->what == ASK_UPDATE) && (!sub || strcmp(sub, "status") == 0))
        path_add_type(b, q->kind, body);
    else
        buf_add_str(b, body);
}

static void on_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    struct ask *q = ctx;
    (void)h;
    (void)n;
    q->status = status;
}

static void on_data(void *ctx, struct str bytes)
{
    buf_add_str(&((struct ask *)ctx)->answer, bytes);
}

static void on_end(void *ctx, const struct kl_err *err);

int ask_start(struct ask *q)
{
    static const struct http_result_events ev = { on_head, on_data, on_end };
    _cleanup_buf_ struct buf path = BUF_INIT(16384), body = BUF_INIT(FRAME_MOST);
    char agent[160];
    const char *type = verbs[q->what].type;
    if (q->what == ASK_PATCH) {
        if (q->patch_type < KL_PATCH_MERGE || q->patch_type > KL_PATCH_JSON)
            return q->rc = kl_fail(q->call, KL_INVALID, "patch type %d is not known", q->patch_type);
        type = patch_types[q->patch_type];
    }
    add_path(q, &path);
    add_query(q, &path);
    add_body(q, &body);
    snprintf(agent, sizeof agent, "%s/" KEELSON_VERSION " (%s)", q->who, q->mirror->conf.agent);
    struct http_header h[] = { { STR("accept"), STR("application/json") }, { STR("user-agent"), str_of(agent) }, { STR("content-type"), str_of(type) } };
    int64_t left = q->call->deadline_ns ? q->call->deadline_ns - env_mono_ns() : CALL_NS;
    if (left <= 0)
        return q->rc = kl_fail(q->call, KL_TIMEOUT, "the call's time is over");
    q->answer.max = ANSWER_MOST;
    if (!path.failed && !body.failed)
        q->http = http_call_new(q->mirror->conf.http, verbs[q->what].method, path.at, h, type ? 3 : 2, buf_str(&body), left < CALL_NS ? left : CALL_NS,
                                &ev, q);
    return q->http ? 0 : (q->rc = kl_fail(q->call, KL_TOO_LARGE, "the request is too large"));
}

/* --- answers --- */

static struct str without_newline(struct str s)
{
    while (s.len && s.at[s.len - 1] == '\n')
        s.len--;
    return s;
}

static int hand_out(struct ask *q, struct str text, struct kl_bytes *ret)
{
    char *copy = kl_dup(q->call, text.at, text.len);
    *ret = (struct kl_bytes){ copy, text.len };
    return copy ? 0 : kl_fail(q->call, KL_NO_MEMORY, "out of memory");
}

static bool owned_by(struct str object, const char *uid)
{
    struct str refs = json_scan_path(object, "metadata.ownerReferences"), ref;
    while (refs.at && json_scan_item(&refs, &ref))
        if (str_is(json_scan_text(json_scan_member(ref, STR("uid"))), uid))
            return true;
    return false;
}

static int add_item(struct ask *q, struct str item)
{
    _cleanup_buf_ struct buf b = BUF_INIT(FRAME_MOST);
    if (q->n_items == q->cap_items) {
        uint32_t cap = q->cap_items ? q->cap_items * 2 : 64;
        struct kl_bytes *at = mem_resize(q->items, cap * sizeof *at);
        if (!at)
            return kl_fail(q->call, KL_NO_MEMORY, "out of memory");
        q->items = at;
        q->cap_items = cap;
    }
    path_add_type(&b, q->kind, item);
    int rc = b.failed ? kl_fail(q->call, KL_NO_MEMORY, "out of memory") : hand_out(q, buf_str(&b), &q->items[q->n_items]);
    q->n_items += rc == 0;
    return rc;
}

/* 1: there is another page, which has been asked for. */
static int take_page(struct ask *q, struct str body)
{
    struct str items = json_scan_member(body, STR("items")), item;
    int rc = 0;
    while (rc == 0 && items.at && json_scan_item(&items, &item))
        if (!q->list->owner_uid || owned_by(item, q->list->owner_uid))
            rc = add_item(q, item);
    struct str next = json_scan_text(json_scan_path(body, "metadata.continue"));
    snprintf(q->next, sizeof q->next, STR_FMT, STR_ARG(next));
    if (rc < 0 || q->next[0]) {
        buf_clear(&q->answer);
        return rc < 0 ? rc : ask_start(q) < 0 ? q->rc : 1;
    }
    struct kl_bytes *at = kl_alloc(q->call, (q->n_items + 1) * sizeof *at);
    if (!at)
        return kl_fail(q->call, KL_NO_MEMORY, "out of memory");
    if (q->n_items)
        memcpy(at, q->items, q->n_items * sizeof *at);
    q->ret_list->revision = apply_revision(body);
    q->ret_list->n = q->n_items;
    q->ret_list->at = at;
    return 0;
}

/* Our own write is seen by our own reads from here on. */
static void note_write(struct ask *q, struct str body)
{
    struct str name = q->key->name ? str_of(q->key->name) : json_scan_text(json_scan_path(body, "metadata.name"));
    struct reflector *r = mirror_find_for(q->mirror, q->kind, key_ns(q), name);
    struct str kind = json_scan_text(json_scan_member(body, STR("kind")));
    if (!r || q->call->flags & KL_CALL_DRY_RUN)
        return;
    bool object = str_is(kind, q->kind->kind);
    if (q->what == ASK_REMOVE) {
        struct str finalizers = json_scan_path(body, "metadata.finalizers");
        bool at_once = q->del && q->del->grace_seconds == 0 && (!finalizers.at || str_is(finalizers, "[]"));
        if (!object || at_once || !json_scan_path(body, "metadata.deletionTimestamp").at) {
            apply_deleted(r, key_ns(q), str_of(q->key->name));
            return;
        }
    }
    if (object)
        apply_written(r, body);
}

static int take(struct ask *q)
{
    struct str body = without_newline(buf_str(&q->answer));
    if (q->answer.failed)
        return kl_fail(q->call, KL_TOO_LARGE, "the server's answer is too large");
    if (q->what == ASK_GET && !q->key->subresource && (q->status == 200 || q->status == 404))
        mirror_hold_one(q->mirror, q->kind, key_ns(q), str_of(q->key->name));
    if (q->status < 200 || q->status > 299)
        return status_error(q->status, body, &q->call->err);
    if (q->what == ASK_LIST)
        return take_page(q, body);
    if (q->what != ASK_GET)
        note_write(q, body);
    return q->ret ? hand_out(q, body, q->ret) : 0;
}

static void end(struct ask *q)
{
    buf_free(&q->answer);
    mem_free(q->items);
    ask_finish(q);
}

static void on_end(void *ctx, const struct kl_err *err)
{
    struct ask *q = ctx;
    q->http = NULL;
    q->rc = err ? kl_fail(q->call, err->code, "%s", err->msg) : take(q);
    if (q->rc != 1)
        end(q);
}

void ask_cancel(struct ask *q)
{
    if (q->http)
        http_call_cancel(q->http);
    q->rc = kl_fail(q->call, KL_CANCELLED, "the node's process is stopping");
    end(q);
}
