/* watch.c - WATCH: what is there now (when asked for), then what happens, with selectors turned into ADDED and DELETED. All watchers that are sent the
 * same of an event, in the same form, share one frame. */
#include "watch.h"

#include "base/json_scan.h"
#include "base/varint.h"
#include "http/client.h"

void watch_free(struct watcher *w)
{
    struct arena *life = w->life;
    loop_timer_stop(&w->timeout);
    loop_timer_stop(&w->bookmark);
    list_remove(&w->link);
    if (w->call)
        http_call_cancel(w->call);
    buf_free(&w->rest);
    watch_ahead_free(w->ahead);
    store_watch_free(w->watch);
    arena_free(w->scratch);
    w->ahead = NULL;
    w->watch = NULL;
    w->call = NULL;
    w->scratch = NULL;
    arena_free(life);
}

static void on_close(void *ctx)
{
    watch_free(ctx);
}

void watch_end(struct watcher *w)
{
    struct http_req *http = w->http;
    struct remote *remote = w->remote;
    watch_free(w);
    if (remote)
        remote_close(remote);
    else
        http_stream_end(http);
}

size_t watch_queued(const struct watcher *w)
{
    return w->remote ? remote_queued(w->remote) : http_stream_queued(w->http);
}

void watch_put(struct watcher *w, struct http_slice s)
{
    if (w->remote)
        watch_socket_write(w, s);
    else
        http_stream_write(w->http, s);
}

static void count(struct watcher *w, size_t bytes)
{
    if (!w->rq->slot)
        return;
    w->rq->slot->watch_events++;
    w->rq->slot->watch_bytes += bytes;
}

static void send(struct watcher *w, struct buf *b)
{
    size_t len;
    char *at = buf_take(b, &len);
    if (at) {
        count(w, len);
        watch_put(w, (struct http_slice){ str_n(at, len), mem_free, at });
    }
}

/* 4 bytes of length, then WatchEvent{1 type, 2 RawExtension{1 raw}}. */
static void frame_protobuf(struct buf *b, const char *type, struct str enveloped)
{
    _cleanup_buf_ struct buf raw = BUF_INIT(0), ev = BUF_INIT(0);
    buf_add_c(&raw, 1 << 3 | 2);
    varint_put(&raw, enveloped.len);
    buf_add_str(&raw, enveloped);
    buf_add_c(&ev, 1 << 3 | 2);
    varint_put(&ev, strlen(type));
    buf_add_z(&ev, type);
    buf_add_c(&ev, 2 << 3 | 2);
    varint_put(&ev, raw.len);
    buf_add_str(&ev, buf_str(&raw));
    buf_add(b, (char[]){ (char)(ev.len >> 24), (char)(ev.len >> 16), (char)(ev.len >> 8), (char)ev.len }, 4);
    buf_add_str(b, buf_str(&ev));
    b->failed |= raw.failed || ev.failed;
}

static void frame_json(struct buf *b, const char *type, struct str object)
{
    buf_printf(b, "{\"type\":\"%s\",\"object\":", type);
    buf_add_str(b, object);
    buf_lit(b, "}\n");
}

static void add_tree(struct watcher *w, struct buf *b, const char *type, const struct schema_type *t, struct val *v)
{
    _cleanup_buf_ struct buf one = BUF_INIT(0);
    struct kl_err err;
    kl_err_init(&err);
    if (w->rq->accept.media == MEDIA_PROTOBUF && t) {
        object_encode_protobuf(&one, t, v, &err);
        frame_protobuf(b, type, buf_str(&one));
    } else {
        json_write(&one, v);
        frame_json(b, type, buf_str(&one));
    }
    b->failed |= one.failed;
}

static void send_tree(struct watcher *w, const char *type, const struct schema_type *t, struct val *v)
{
    struct buf b = BUF_INIT(0);
    add_tree(w, &b, type, t, v);
    send(w, &b);
}

/* Table and PartialObjectMetadata of one object. */
static void add_as(struct watcher *w, struct buf *b, const char *type, struct val *v)
{
    struct arena *a = w->scratch;
    struct api_rq *rq = w->rq;
    if (rq->accept.as == AS_TABLE) {
        struct val *table = api_table(a, w->kind, !w->columns_sent, rq->accept.as_version);
        w->columns_sent = true;
        json_set_str(a, json_obj(a, table, STR("metadata")), STR("resourceVersion"), json_str(v, "metadata.resourceVersion"));
        api_table_row(a, table, w->kind, v, strcmp(type, "BOOKMARK") == 0 ? STR("Metadata") : http_query_find(a, w->query, "includeObject"));
        add_tree(w, b, type, NULL, table);
        return;
    }
    add_tree(w, b, type, schema_type_by_name(STR("io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata")),
             api_partial(a, w->kind, v, false, rq->accept.as_version));
}

/* The object in the version that is watched. NULL: it cannot be shown. */
static struct val *served(struct watcher *w, struct store_object *o)
{
    struct api_error ignored = { 0 };
    struct api_asker q = { w->api, w->scratch, 0, &ignored };
    return api_stored_tree(&q, w->kind, o);
}

static void add_object(struct watcher *w, struct buf *b, const char *type, struct store_object *o)
{
    struct kl_err err;
    kl_err_init(&err);
    if (w->rq->accept.as || api_converts(w->kind)) {
        struct val *v = served(w, o);
        if (v && w->rq->accept.as)
            add_as(w, b, type, v);
        else if (v)
            add_tree(w, b, type, w->kind->type, v);
        return;
    }
    if (w->rq->accept.media == MEDIA_PROTOBUF) {
        _cleanup_buf_ struct buf one = BUF_INIT(0);
        struct str raw = api_protobuf_raw(o, w->kind, &err);
        api_protobuf_wrap(&one, str_of(api_group_version(w->scratch, w->kind)), str_of(w->kind->kind), raw);
        frame_protobuf(b, type, buf_str(&one));
        b->failed |= one.failed;
    } else {
        frame_json(b, type, store_object_json(o));
    }
}

static void send_object(struct watcher *w, const char *type, struct store_object *o)
{
    struct buf b = BUF_INIT(0);
    add_object(w, &b, type, o);
    send(w, &b);
}

static bool matches(struct watcher *w, struct store_object *o)
{
    if (o && w->ahead && (w->labels || w->fields)) {
        struct val *v = served(w, o);
        return v && (!w->labels || selector_matches_labels(w->labels, json_path(v, "metadata.labels"))) &&
               (!w->fields || selector_matches_fields(w->fields, v));
    }
    return o && (!w->labels || selector_matches_text(w->labels, store_object_json(o))) &&
           (!w->fields || selector_matches_text(w->fields, store_object_json(o)));
}

/* An object that leaves the selection is shown as it was, with the revision of the change. */
static void add_left(struct watcher *w, struct buf *b, const struct store_event *e)
{
    struct val *v = served(w, e->old);
    if (!v)
        return;
    json_set_str(w->scratch, json_obj(w->scratch, v, STR("metadata")), STR("resourceVersion"),
                 str_of(arena_uint(w->scratch, e->revision)));
    if (w->rq->accept.as)
        add_as(w, b, "DELETED", v);
    else
        add_tree(w, b, "DELETED", w->kind->type, v);
}

/* What spec.nodeName was and is. A thousand kubelets ask that of each pod's event: it is looked for once. */
static struct str nodes_of(struct watcher *w, const struct store_event *e, void **ret_owner)
{
    static const char of_nodes;
    struct str both = store_watch_frame(w->watch, &of_nodes, 0, ret_owner);
    if (both.at)
        return both;
    struct buf b = BUF_INIT(0);
    struct store_object *seen[] = { e->old, e->object };
    size_t len = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct str v = seen[i] ? json_scan_path(store_object_json(seen[i]), "spec.nodeName") : STR_NONE;
        buf_add_str(&b, v.len ? json_scan_text(v) : v);
        buf_add_c(&b, '\n');
    }
    char *at = buf_take(&b, &len);
    return at ? store_watch_keep_frame(w->watch, &of_nodes, 0, at, len, ret_owner) : STR_NONE;
}

/* Seen at a glance: it is about another object, or on other nodes before and after. False: look closer. */
static bool is_elsewhere(struct watcher *w, const struct store_event *e)
{
    if (w->name.at && !str_eq(w->name, store_object_name(e->object)))
        return true;
    if (!w->node.at || w->ahead)
        return false;
    void *owner;
    struct str both = nodes_of(w, e, &owner);
    if (!both.at)
        return false;
    struct str was = str_cut(&both, '\n'), is = str_cut(&both, '\n');
    bool other = !str_eq(was, w->node) && !str_eq(is, w->node);
    store_frame_release(owner);
    return other;
}

/* What a watcher makes of an event. */
enum sight { UNSEEN = 0, SEEN_ADDED, SEEN_MODIFIED, SEEN_DELETED, SEEN_LEFT };

static enum sight sight(struct watcher *w, const struct store_event *e)
{
    static const enum sight plain[] = { [STORE_ADDED] = SEEN_ADDED, [STORE_MODIFIED] = SEEN_MODIFIED, [STORE_DELETED] = SEEN_DELETED };
    if (!w->labels && !w->fields)
        return plain[e->type];
    if (is_elsewhere(w, e))
        return UNSEEN;
    bool was = matches(w, e->old);
    if (e->type == STORE_DELETED)
        return was ? SEEN_DELETED : UNSEEN;
    if (matches(w, e->object))
        return was ? SEEN_MODIFIED : SEEN_ADDED;
    return was ? SEEN_LEFT : UNSEEN;
}

static void add_event(struct watcher *w, struct buf *b, enum sight what, const struct store_event *e)
{
    static const char *const types[] = { [SEEN_ADDED] = "ADDED", [SEEN_MODIFIED] = "MODIFIED", [SEEN_DELETED] = "DELETED" };
    if (what == SEEN_LEFT)
        add_left(w, b, e);
    else
        add_object(w, b, types[what], e->object);
}

/* Not shared: the rows of a table (the first has the columns), and what is converted by a definition, whose memory another one may have later. */
static bool shares(const struct watcher *w)
{
    const struct api_accept *a = &w->rq->accept;
    return !w->ahead && !(api_converts(w->kind) && w->kind->flags & K_CUSTOM) && (!a->as || (a->as == AS_PARTIAL && str_is(a->as_version, "v1")));
}

void watch_send_event(struct watcher *w, const struct store_event *e)
{
    enum sight what = sight(w, e);
    struct buf b = BUF_INIT(0);
    w->said = e->revision;
    if (what == UNSEEN)
        return;
    if (!w->shares) {
        add_event(w, &b, what, e);
        send(w, &b);
        arena_reset(w->scratch);
        return;
    }
    const uint32_t form = (uint32_t)what | (uint32_t)w->rq->accept.as << 8 | (uint32_t)w->rq->accept.media << 16;
    void *owner;
    struct str frame = store_watch_frame(w->watch, w->kind, form, &owner);
    if (!frame.at) {
        size_t len = 0;
        add_event(w, &b, what, e);
        char *at = buf_take(&b, &len);
        frame = at ? store_watch_keep_frame(w->watch, w->kind, form, at, len, &owner) : STR_NONE;
        arena_reset(w->scratch);
    }
    if (frame.at) {
        count(w, frame.len);
        watch_put(w, (struct http_slice){ frame, store_frame_release, owner });
    }
}

void watch_send_error(struct watcher *w, const struct api_error *e)
{
    send_tree(w, "ERROR", schema_type_find(STR(""), STR("v1"), STR("Status")), api_error_tree(w->scratch, e));
    watch_end(w);
}

void watch_send_expired(struct watcher *w)
{
    struct api_error e;
    api_fail(&e, w->scratch, KL_EXPIRED, "too old resource version: %llu (%llu)", (unsigned long long)w->said,
             (unsigned long long)store_oldest(w->api->store));
    watch_send_error(w, &e);
}

static void pump(void *ctx)
{
    struct watcher *w = ctx;
    struct store_event e;
    bool expired = false;
    w->waiting = false;
    if (w->ahead) {
        watch_ahead_pump(w);
        return;
    }
    while (watch_queued(w) < WATCH_QUEUE_MOST) {
        if (!store_watch_next(w->watch, &e, &expired)) {
            if (expired)
                watch_send_expired(w);
            return;
        }
        watch_send_event(w, &e);
    }
    w->waiting = true;                  /* on_drain comes back here */
}

/* Many are woken by one event: each does its part when its connection makes output, so that a connection's are at hand together. */
static void on_wake(void *ctx)
{
    struct watcher *w = ctx;
    if (w->waiting)
        return;
    if (w->remote || w->node.at || w->name.at) {        /* which most events do not concern */
        pump(w);
        return;
    }
    w->waiting = true;
    http_stream_wake(w->http);
}

void watch_drained(struct watcher *w)
{
    if (w->call)
        http_call_pause(w->call, false);
    else if (w->waiting)
        pump(w);
}

static void on_drain(void *ctx)
{
    watch_drained(ctx);
}

/* An object of nothing but its type and revision: where a member must stand, it stands empty. */
static struct val *bookmark(struct watcher *w, uint64_t revision, bool initial_end)
{
    struct arena *a = w->scratch;
    struct val *v = val_new(a, VAL_OBJ), *m;
    json_set_str(a, v, STR("kind"), str_of(w->kind->kind));
    json_set_str(a, v, STR("apiVersion"), str_of(api_group_version(a, w->kind)));
    m = json_obj(a, v, STR("metadata"));
    json_set_str(a, m, STR("resourceVersion"), str_of(arena_uint(a, revision)));
    if (initial_end)
        json_set_str(a, json_obj(a, m, STR("annotations")), STR("k8s.io/initial-events-end"), STR("true"));
    static const char *const counted[] = { "Deployment", "ReplicaSet", "StatefulSet" };      /* upstream's own form of them has a number, and no pointer */
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++)
        if (strcmp(w->kind->kind, counted[i]) == 0 && strcmp(w->kind->group, "apps") == 0)
            json_set_int(a, json_obj(a, v, STR("spec")), STR("replicas"), 0);
    if (!(w->kind->flags & K_CUSTOM))
        return object_encoded(a, w->kind->type, v);
    json_sort(a, m);
    json_sort(a, v);
    return v;
}

void watch_send_bookmark(struct watcher *w, uint64_t revision, bool initial_end)
{
    struct buf b = BUF_INIT(0);
    struct val *v = bookmark(w, revision, initial_end);
    if (v && w->rq->accept.as)
        add_as(w, &b, "BOOKMARK", v);
    else if (v)
        add_tree(w, &b, "BOOKMARK", w->kind->type, v);
    send(w, &b);
    arena_reset(w->scratch);
}

static void schedule_bookmark(struct watcher *w);

static void on_bookmark(void *ctx)
{
    struct watcher *w = ctx;
    uint64_t rev = store_watch_revision(w->watch);
    if (!w->waiting && !watch_ahead_busy(w->ahead) && rev >= w->said)
        watch_send_bookmark(w, rev, false);
    schedule_bookmark(w);
}

/* Each minute, and two seconds before the end. */
static void schedule_bookmark(struct watcher *w)
{
    int64_t before_end = w->ends_ns - loop_now(w->api->loop) - 2 * NS_PER_S, due = 60 * NS_PER_S;
    if (before_end > 0 && before_end < due)
        due = before_end;
    loop_timer_start(w->api->loop, &w->bookmark, due, on_bookmark, w);
}

static void on_timeout(void *ctx)
{
    watch_end(ctx);
}

static bool each_now(void *ctx, struct store_object *o)
{
    struct watcher *w = ctx;
    if (w->ahead)
        return watch_ahead_add(w, &(struct store_event){ .type = STORE_ADDED, .revision = store_object_revision(o), .object = o });
    if (!matches(w, o))
        return true;
    if (w->plain) {
        count(w, store_object_json(o).len);
        http_stream_write(w->http, (struct http_slice){ .data = STR("{\"type\":\"ADDED\",\"object\":") });
        http_stream_write(w->http, (struct http_slice){ store_object_json(o), store_object_release, store_object_ref(o) });
        http_stream_write(w->http, (struct http_slice){ .data = STR("}\n") });
    } else {
        send_object(w, "ADDED", o);
        arena_reset(w->scratch);
    }
    return true;
}

static int check_query(struct api_rq *rq, uint64_t *ret_revision, bool *ret_initial)
{
    const struct api_query *q = &rq->info.q;
    uint64_t rv;
    if (api_check_watch_options(rq) < 0)
        return -rq->err.code;
    if (api_parse_version(rq->arena, q->resource_version, &rv, &rq->err) < 0)
        return api_fail_version(rq);
    *ret_initial = q->send_initial == 1 || (q->send_initial < 0 && rv == 0);
    *ret_revision = rv == 0 || q->send_initial == 1 ? store_revision(rq->api->store) : rv;
    return 0;
}

/* Of a time that is over already nothing is seen. */
static int64_t lasting(const struct api_query *q)
{
    uint32_t r;
    if (q->timeout_s)
        return q->timeout_s < 0 ? 0 : (q->timeout_s > INT32_MAX ? INT32_MAX : q->timeout_s) * NS_PER_S;
    env_random(&r, sizeof r);
    return (1800 + r % 1800) * NS_PER_S;
}

static const char *stream_type(const struct api_rq *rq)
{
    return rq->accept.media == MEDIA_PROTOBUF ? "application/vnd.kubernetes.protobuf;stream=watch" : "application/json";
}

/* The answer's beginning: from here on there are events only. */
static int begin(struct watcher *w, struct api_rq *rq)
{
    struct kl_err err;
    kl_err_init(&err);
    if (w->life) {
        audit_started(rq);
        flow_begun(rq);
        return watch_socket_open(w, rq->http, &err) < 0 ? api_fail_err(&rq->err, rq->arena, &err) : 0;
    }
    struct http_header h[API_HEADERS];
    unsigned n = api_headers(rq, h, stream_type(rq));
    http_on_close(rq->http, on_close, w);
    http_stream_begin(rq->http, 200, h, n);
    audit_started(rq);
    http_stream_on_drain(rq->http, on_drain, w);
    return 0;
}

static void give_up(struct watcher *w, struct api_rq *rq)
{
    if (w)
        watch_free(w);
    api_send_error(rq);
}

static struct watcher *watcher_new(struct api_rq *rq)
{
    struct watcher *w = remote_wanted(rq->http) ? watch_socket_new(rq) : arena_alloc(rq->arena, sizeof *w);
    if (!w || !(w->scratch = arena_new(API_ARENA_MAX))) {
        if (w)
            arena_free(w->life);
        return NULL;
    }
    if (!w->life) {
        w->rq = rq;
        w->query = http_query(rq->http);
    }
    w->api = rq->api;
    w->http = rq->http;
    w->kind = rq->info.kind;
    list_push(&w->api->watchers, &w->link);
    return w;
}

void api_watch(struct api_rq *rq)
{
    struct kl_err err;
    kl_err_init(&err);
    if (rq->info.q.send_initial == 1 && api_await_version(rq, api_watch))
        return;
    struct watcher *w = watcher_new(rq);
    uint64_t revision = 0;
    bool initial = false;
    if (!w) {
        api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory");
        api_send_error(rq);
        return;
    }
    struct str resource = str_of(w->kind->storage->resource), ns = STR_NONE;
    if (w->kind->flags & K_NAMESPACED && rq->info.tuple.ns[0])
        ns = w->life ? arena_str(w->life, str_of(rq->info.tuple.ns)) : str_of(rq->info.tuple.ns);
    if (check_query(rq, &revision, &initial) < 0 || api_compile_selectors(rq, &w->labels, &w->fields) < 0) {
        give_up(w, rq);
        return;
    }
    if (w->life && api_compile_selectors(w->rq, &w->labels, &w->fields) < 0) {  /* the same, in what lives on */
        api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory");
        give_up(w, rq);
        return;
    }
    if (store_watch_new(rq->api->store, resource, ns, revision, on_wake, w, &w->watch, &err) < 0) {
        api_fail_err(&rq->err, rq->arena, &err);
        give_up(w, rq);
        return;
    }
    if (api_converts_by_webhook(w->kind) && !watch_ahead_new(w)) {
        api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory");
        give_up(w, rq);
        return;
    }
    w->said = revision;
    w->plain = !w->life && rq->accept.media == MEDIA_JSON && !rq->accept.as && !api_converts(w->kind);
    w->shares = shares(w);
    w->name = w->fields ? selector_exact(w->fields, "metadata.name") : STR_NONE;
    w->node = w->fields ? selector_exact(w->fields, "spec.nodeName") : STR_NONE;
    const struct api_query q = rq->info.q;
    struct api *api = rq->api;
    bool future = q.send_initial == 1 && api_check_version(rq) < 0;
    const struct api_error why = rq->err;
    if (future && !w->life)
        rq->err = (struct api_error){ 0 };      /* an event says it, not the answer */
    if ((future && w->life) || begin(w, rq) < 0) {
        give_up(w, rq);
        return;
    }
    int64_t lasts = lasting(&q);
    if (future || !lasts) {
        flow_begun(rq);
        future ? watch_send_error(w, &why) : watch_end(w);
        return;
    }
    if (initial) {
        struct store_range range = { .resource = resource, .ns = ns };
        store_list(api->store, &range, each_now, w);
        if (w->ahead)
            watch_ahead_begun(w, revision, q.bookmarks);
        else if (q.bookmarks)
            watch_send_bookmark(w, revision, true);
    }
    w->ends_ns = loop_now(api->loop) + lasts;
    loop_timer_start(api->loop, &w->timeout, lasts, on_timeout, w);
    if (q.bookmarks)
        schedule_bookmark(w);
    if (!w->life)
        flow_begun(rq);
    pump(w);
}
