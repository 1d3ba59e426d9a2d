/* read.c - GET of one object, LIST of many. JSON lists are made of the stored bytes; nothing is parsed unless a Table, YAML or
 * another version is asked for. */
#include "base/varint.h"
#include "conversion.h"

#include <stdlib.h>

void api_read_get(struct api_rq *rq)
{
    const struct schema_kind *k = rq->info.kind;
    struct str ns = k->flags & K_NAMESPACED ? str_of(rq->info.tuple.ns) : STR("");
    struct str name = str_of(rq->info.tuple.name);
    if (api_await_version(rq, api_read_get))
        return;
    if (api_check_version(rq) < 0) {
        api_send_error(rq);
        return;
    }
    struct store_object *o = store_get(rq->api->store, str_of(k->storage->resource), ns, name);
    if (!o) {
        api_fail_not_found(&rq->err, rq->arena, k, name);
        api_send_error(rq);
        return;
    }
    if (api_check_partial(rq) < 0)
        api_send_error(rq);
    else
        api_send_object(rq, 200, o);
}

int api_compile_selectors(struct api_rq *rq, struct selector **labels, struct selector **fields)
{
    struct kl_err err;
    kl_err_init(&err);
    *labels = *fields = NULL;
    if (rq->info.q.label_selector.len) {
        const char *why = NULL;
        *labels = selector_parse_labels(rq->arena, rq->info.q.label_selector, &err, &why);
        if (!*labels)
            return why ? api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "%s", why) : api_fail_err(&rq->err, rq->arena, &err);
    }
    if (rq->info.q.field_selector.len) {
        *fields = selector_parse_fields(rq->arena, rq->info.kind, rq->info.q.field_selector, &err);
        if (!*fields)
            return api_fail_err(&rq->err, rq->arena, &err);
    }
    return 0;
}

#define STREAM_FROM (128u << 10)        /* bytes of objects: smaller lists go out in one piece, with their length */

struct lister {
    struct api_rq *rq;
    const struct schema_kind *k;
    struct selector *labels, *fields;
    int64_t limit, n;
    uint64_t at;                        /* the revision that is shown: pages show what their first page did */
    struct store_object *last;
    bool more;
    int64_t remaining;
    int (*add)(struct lister *l, struct store_object *o);
    struct buf body;
    struct store_object **objects;      /* counted; instead of body when their bytes can go out as they are */
    size_t n_objects, cap_objects, object_bytes;
    struct val *table;
    struct str include;
    struct arena *scratch;              /* of one object; NULL: not needed so far */
    bool by_webhook;                    /* objects are what a webhook makes of them, also for the selectors */
    int rc;
};

static int add_tree(struct lister *l, struct store_object *o);

/* The object as it is served: in the request's arena when the answer is made of trees, else until the next one is asked for. */
static struct val *served(struct lister *l, struct store_object *o, bool stays)
{
    if (!stays && l->scratch)
        arena_reset(l->scratch);
    if (!stays && !l->scratch && !(l->scratch = arena_new(API_ARENA_MAX))) {
        api_fail(&l->rq->err, l->rq->arena, KL_NO_MEMORY, "out of memory for a list");
        return NULL;
    }
    struct api_asker q = { l->rq->api, stays ? l->rq->arena : l->scratch, l->rq->id, &l->rq->err };
    struct val *v = api_stored_tree(&q, l->k, o);
    if (!v && l->rq->err.message)
        l->rq->err.message = arena_dup(l->rq->arena, str_of(l->rq->err.message));
    return v;
}

static bool wanted_as_served(struct lister *l, struct store_object *o)
{
    struct val *v = served(l, o, false);
    if (!v)
        l->rc = -1;
    return v && (!l->labels || selector_matches_labels(l->labels, json_path(v, "metadata.labels"))) &&
           (!l->fields || selector_matches_fields(l->fields, v));
}

static bool wanted(struct lister *l, struct store_object *o)
{
    if (l->by_webhook && (l->labels || l->fields))
        return wanted_as_served(l, o);
    return (!l->labels || selector_matches_text(l->labels, store_object_json(o))) &&
           (!l->fields || selector_matches_text(l->fields, store_object_json(o)));
}

static bool each_object(void *ctx, struct store_object *o)
{
    struct lister *l = ctx;
    if (!wanted(l, o))
        return l->rc == 0;
    if (l->limit > 0 && l->n == l->limit) {
        l->more = true;
        l->remaining++;
        return !(l->labels || l->fields);       /* count the rest only when it can be told */
    }
    l->n++;
    l->last = o;
    l->rc = l->add(l, o);
    return l->rc == 0;
}

static struct val *parse_for(struct lister *l, struct store_object *o)
{
    return served(l, o, l->add == add_tree);
}

static int add_json(struct lister *l, struct store_object *o)
{
    if (l->n_objects == l->cap_objects) {
        size_t cap = l->cap_objects ? l->cap_objects * 2 : 64;
        struct store_object **at = mem_resize(l->objects, cap * sizeof *at);
        if (!at)
            return -KL_NO_MEMORY;
        l->objects = at;
        l->cap_objects = cap;
    }
    l->objects[l->n_objects++] = store_object_ref(o);
    l->object_bytes += store_object_json(o).len;
    return 0;
}

static int add_json_converted(struct lister *l, struct store_object *o)
{
    struct val *v = parse_for(l, o);
    if (!v)
        return -1;
    if (!(l->k->flags & K_CUSTOM)) {
        json_del(v, STR("kind"));
        json_del(v, STR("apiVersion"));
    }
    if (l->n > 1)
        buf_add_c(&l->body, ',');
    json_write(&l->body, v);
    return l->body.failed ? -KL_NO_MEMORY : 0;
}

static int add_protobuf(struct lister *l, struct store_object *o)
{
    struct kl_err err;
    kl_err_init(&err);
    struct str raw;
    _cleanup_buf_ struct buf own = BUF_INIT(0);
    if (api_converts(l->k)) {
        struct val *v = parse_for(l, o);
        if (!v || object_encode_message(&own, l->k->type, v, &err) < 0)
            return -1;
        raw = buf_str(&own);
    } else {
        raw = api_protobuf_raw(o, l->k, &err);
        if (!raw.at)
            return api_fail_err(&l->rq->err, l->rq->arena, &err);
    }
    varint_put(&l->body, 2 << 3 | 2);
    varint_put(&l->body, raw.len);
    buf_add_str(&l->body, raw);
    return l->body.failed ? -KL_NO_MEMORY : 0;
}

/* Table, partial list and YAML go through a tree. */
static int add_tree(struct lister *l, struct store_object *o)
{
    struct arena *a = l->rq->arena;
    struct val *v = parse_for(l, o);
    if (!v)
        return -1;
    if (l->rq->accept.as == AS_TABLE)
        return api_table_row(a, l->table, l->k, v, l->include);
    if (l->rq->accept.as)
        v = api_partial(a, l->k, v, l->rq->accept.media == MEDIA_PROTOBUF, l->rq->accept.as_version);
    else if (!(l->k->flags & K_CUSTOM)) {
        json_del(v, STR("kind"));
        json_del(v, STR("apiVersion"));
    }
    return val_push(json_arr(a, l->table, STR("items")), v) ? 0 : -KL_NO_MEMORY;
}

struct str api_include_object(struct api_rq *rq)
{
    return http_query_find(rq->arena, http_query(rq->http), "includeObject");
}

int api_check_include(struct api_rq *rq, struct str include)
{
    if (!include.len || str_is(include, "Metadata") || str_is(include, "Object") || str_is(include, "None"))
        return 0;
    return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "Unable to convert to Table as requested: includeObject: Invalid value: \"" STR_FMT
                    "\": must be 'Metadata', 'Object', 'None', or empty", STR_ARG(include));
}

static struct val *list_meta(struct lister *l)
{
    struct arena *a = l->rq->arena;
    struct val *m = val_new(a, VAL_OBJ);
    bool as_map = l->k->flags & K_CUSTOM && !l->rq->accept.as;
    json_set_str(a, m, STR("resourceVersion"), str_of(arena_uint(a, l->at)));
    if (as_map)
        json_set_str(a, m, STR("continue"), STR(""));
    if (l->more) {
        const char *t = api_page_token(a, (int64_t)l->at, store_object_ns(l->last), store_object_name(l->last));
        json_set_str(a, m, STR("continue"), str_of(t));
        if (!l->labels && !l->fields)
            json_set_int(a, m, STR("remainingItemCount"), l->remaining);
    }
    if (as_map && m)
        json_sort(a, m);
    return m;
}

static void send_raw(struct api_rq *rq, const char *content_type, struct buf *b)
{
    struct http_header h[API_HEADERS];
    unsigned n = api_headers(rq, h, content_type);
    size_t len;
    char *at = buf_take(b, &len);
    if (!at) {
        api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory for a list");
        api_send_error(rq);
        return;
    }
    audit_answer(rq, content_type, str_n(at, len));
    http_reply(rq->http, 200, h, n, (struct http_slice){ str_n(at, len), mem_free, at });
}

static void finish_json(struct lister *l)
{
    struct buf b = BUF_INIT(0);
    _cleanup_buf_ struct buf tail = BUF_INIT(0);
    struct arena *a = l->rq->arena;
    struct val *meta = list_meta(l);
    if (meta) {
        api_list_head(&b, a, l->k, meta);
        api_list_tail(&tail, a, l->k, meta);
    }
    b.failed |= !meta || tail.failed;
    bool whole = l->object_bytes < STREAM_FROM || audit_wants_answer(l->rq) || str_is(http_method(l->rq->http), "HEAD");
    if (!whole && api_stream_list(l->rq, &b, &tail, l->objects, l->n_objects) == 0) {
        l->objects = NULL;
        l->n_objects = 0;
        return;
    }
    for (size_t i = 0; i < l->n_objects; i++) {
        if (i)
            buf_add_c(&b, ',');
        if (!(l->k->flags & K_CUSTOM))
            buf_add_c(&b, '{');
        buf_add_str(&b, l->k->flags & K_CUSTOM ? store_object_json(l->objects[i]) : api_strip_type(store_object_json(l->objects[i])));
    }
    buf_add_str(&b, buf_str(&l->body));
    buf_add_str(&b, buf_str(&tail));
    send_raw(l->rq, "application/json", &b);
}

static const char *meta_version(const struct api_rq *rq)
{
    return str_is(rq->accept.as_version, "v1beta1") ? "meta.k8s.io/v1beta1" : "meta.k8s.io/v1";
}

static void finish_protobuf(struct lister *l)
{
    struct kl_err err;
    kl_err_init(&err);
    struct arena *a = l->rq->arena;
    _cleanup_buf_ struct buf list = BUF_INIT(0), meta = BUF_INIT(0);
    struct buf b = BUF_INIT(0);
    const struct schema_type *t = schema_type_by_name(STR("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"));
    struct val *m = list_meta(l);
    if (!m || object_encode_message(&meta, t, m, &err) < 0)
        list.failed = true;
    varint_put(&list, 1 << 3 | 2);
    varint_put(&list, meta.len);
    buf_add_str(&list, buf_str(&meta));
    buf_add_str(&list, buf_str(&l->body));
    const char *kind = l->rq->accept.as ? "PartialObjectMetadataList" : api_list_kind(a, l->k);
    const char *gv = l->rq->accept.as ? meta_version(l->rq) : api_group_version(a, l->k);
    api_protobuf_wrap(&b, str_of(gv), str_of(kind), buf_str(&list));
    b.failed |= list.failed;
    send_raw(l->rq, "application/vnd.kubernetes.protobuf", &b);
}

static int add_partial_protobuf(struct lister *l, struct store_object *o)
{
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = parse_for(l, o);
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    const struct schema_type *t = schema_type_by_name(STR("io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata"));
    if (!v || object_encode_message(&b, t, api_partial(l->scratch, l->k, v, true, STR("v1")), &err) < 0)
        return -1;
    varint_put(&l->body, 2 << 3 | 2);
    varint_put(&l->body, b.len);
    buf_add_str(&l->body, buf_str(&b));
    return 0;
}

static void prepare(struct lister *l)
{
    struct api_rq *rq = l->rq;
    struct arena *a = rq->arena;
    if (rq->accept.media == MEDIA_PROTOBUF) {
        l->add = rq->accept.as ? add_partial_protobuf : add_protobuf;
        return;
    }
    if (rq->accept.as == AS_OBJECT && rq->accept.media == MEDIA_JSON && !rq->pretty) {
        l->add = api_converts(l->k) ? add_json_converted : add_json;
        return;
    }
    l->add = add_tree;
    if (rq->accept.as == AS_TABLE) {
        l->include = api_include_object(rq);
        l->table = api_table(a, l->k, true, rq->accept.as_version);
        return;
    }
    l->table = val_new(a, VAL_OBJ);
    json_set_str(a, l->table, STR("kind"), str_of(rq->accept.as ? "PartialObjectMetadataList" : api_list_kind(a, l->k)));
    json_set_str(a, l->table, STR("apiVersion"), str_of(rq->accept.as ? meta_version(rq) : api_group_version(a, l->k)));
    json_obj(a, l->table, STR("metadata"));
    json_arr(a, l->table, STR("items"));
}

/* An empty list that upstream's Go has not made at all is null: of metadata, and the rows of kinds that have no printer. */
static void show_nothing(struct lister *l)
{
    static const char *const unprinted[] = { "LimitRange", "Role", "ClusterRole", "CSIStorageCapacity", "CustomResourceDefinition" };
    bool null = l->rq->accept.as == AS_PARTIAL_LIST;
    for (size_t i = 0; i < sizeof unprinted / sizeof *unprinted; i++)
        null |= l->rq->accept.as == AS_TABLE && strcmp(l->k->kind, unprinted[i]) == 0;
    if (!l->n && null)
        json_set(l->rq->arena, l->table, l->rq->accept.as == AS_TABLE ? STR("rows") : STR("items"), val_new(l->rq->arena, VAL_NULL));
}

static int by_precedence(const void *x, const void *y)
{
    const struct val *a = *(struct val *const *)x, *b = *(struct val *const *)y;
    const struct val *p = json_get(a, STR("cells"))->first->next->next, *q = json_get(b, STR("cells"))->first->next->next;
    return p->i != q->i ? (p->i > q->i) - (p->i < q->i) : str_cmp(val_str(json_get(a, STR("cells"))->first), val_str(json_get(b, STR("cells"))->first));
}

/* Flow schemas are shown in the order in which they are asked. */
static void sort_rows(struct lister *l)
{
    struct val *rows = json_get(l->table, STR("rows")), **at;
    if (l->rq->accept.as != AS_TABLE || strcmp(l->k->kind, "FlowSchema") != 0 || !val_is(rows, VAL_ARR) || !(at = arena_alloc(l->rq->arena, (rows->n + 1) * sizeof *at)))
        return;
    size_t n = 0;
    val_each(row, rows) at[n++] = row;
    qsort(at, n, sizeof *at, by_precedence);
    for (size_t i = 0; i < n; i++) {
        val_unlink(rows, at[i]);
        val_push(rows, at[i]);
    }
}

static int start(struct lister *l, struct store_range *range)
{
    struct api_rq *rq = l->rq;
    if (rq->accept.as == AS_TABLE && api_check_include(rq, api_include_object(rq)) < 0)
        return -1;
    if (api_page(rq, &l->at, range) < 0 || api_compile_selectors(rq, &l->labels, &l->fields) < 0 || api_check_partial(rq) < 0)
        return -1;
    bool any = str_is(rq->info.q.resource_version, "0") && !rq->info.q.continue_token.len;
    l->limit = any ? 0 : rq->info.q.limit;
    l->by_webhook = api_converts_by_webhook(l->k);
    return 0;
}

static int walk(struct lister *l, const struct store_range *range, bool (*fn)(void *ctx, struct store_object *o), void *ctx)
{
    struct store *s = l->rq->api->store;
    if (l->at != store_revision(s))
        return store_list_at(s, range, l->at, fn, ctx);
    store_list(s, range, fn, ctx);
    return 0;
}

static void gather(struct lister *l, const struct store_range *range)
{
    int rc = walk(l, range, each_object, l);
    if (rc == -KL_EXPIRED)
        api_page_expired(l->rq, range);
    if (rc < 0)
        l->rc = rc;
}

/* --- a page that a webhook converts: all of it is asked for before anything is written --- */

struct ahead {
    struct lister *l;
    int64_t n;
    bool pending;
};

static bool ask_for(void *ctx, struct store_object *o)
{
    struct ahead *x = ctx;
    struct lister *l = x->l;
    if (l->limit > 0 && x->n == l->limit && !l->labels && !l->fields)
        return false;
    x->n++;
    if (served(l, o, false))
        return true;
    x->pending |= l->rq->err.code == KL_PENDING;
    return l->rq->err.code == KL_PENDING;
}

/* A replay shows what the first run did: else a busy collection would never be converted as a whole. */
static int convert_ahead(struct lister *l, const struct store_range *range)
{
    struct api_rq *rq = l->rq;
    struct ahead x = { .l = l };
    uint64_t asked = l->at;
    if (rq->kept.revision)
        l->at = rq->kept.revision;
    rq->kept.revision = l->at;
    conversions_gather(rq->api);
    int rc = walk(l, range, ask_for, &x);
    if (rc == -KL_EXPIRED && l->at != asked) {
        rq->kept.revision = l->at = asked;
        rc = walk(l, range, ask_for, &x);
    }
    conversions_send(rq->api);
    if (rc == -KL_EXPIRED)
        api_page_expired(rq, range);
    if (x.pending && rq->err.code != KL_PENDING)
        return -rq->err.code;           /* one of them failed, whatever the others will be */
    return rc < 0 ? rc : rq->err.code ? -rq->err.code : 0;
}

void api_read_list(struct api_rq *rq)
{
    const struct schema_kind *k = rq->info.kind;
    struct lister l = { .rq = rq, .k = k, .body = BUF_INIT(0) };
    struct store_range range = { .resource = str_of(k->storage->resource) };
    if (api_await_version(rq, api_read_list))
        return;
    if (k->flags & K_NAMESPACED && rq->info.tuple.ns[0])
        range.ns = str_of(rq->info.tuple.ns);
    if (start(&l, &range) < 0) {
        api_send_error(rq);
        return;
    }
    prepare(&l);
    if (l.by_webhook)
        l.rc = convert_ahead(&l, &range);
    if (l.rc == 0)
        gather(&l, &range);
    if (l.rc < 0) {
        if (!rq->err.code)
            api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory for a list");
        api_send_error(rq);
    } else if (l.add == add_json || l.add == add_json_converted) {
        finish_json(&l);
    } else if (rq->accept.media == MEDIA_PROTOBUF) {
        finish_protobuf(&l);
    } else {
        show_nothing(&l);
        sort_rows(&l);
        json_set(rq->arena, l.table, STR("metadata"), list_meta(&l));
        if (k->flags & K_CUSTOM && !rq->accept.as)
            json_sort(rq->arena, l.table);
        api_send_tree(rq, 200, NULL, l.table);
    }
    arena_free(l.scratch);
    buf_free(&l.body);
    for (size_t i = 0; i < l.n_objects; i++)
        store_object_unref(l.objects[i]);
    mem_free(l.objects);
}
