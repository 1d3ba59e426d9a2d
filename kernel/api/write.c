/* write.c - POST, PUT, PATCH and DELETE over HTTP: the body becomes a tree, op.c and its siblings do the work, and the answer goes out
 * when the commit lasts. */
#include "conversion.h"

struct pending {
    struct api_rq *rq;                  /* http NULL: the client has gone; the write goes on */
    struct store_object *object;
    struct api_op *op;
    int status;
};

static int validation_mode(const struct api_rq *rq)
{
    struct str v = rq->info.q.field_validation;
    return str_is(v, "Strict") ? VALIDATE_STRICT : str_is(v, "Ignore") ? VALIDATE_IGNORE : VALIDATE_WARN;
}

/* The fieldManager, else what the client's name begins with. */
static struct str manager_of(struct api_rq *rq)
{
    if (rq->info.q.field_manager.len)
        return rq->info.q.field_manager;
    struct str agent = http_header(rq->http, STR("user-agent")), name = str_cut(&agent, '/');
    _cleanup_buf_ struct buf b = BUF_INIT(128);
    bool plain = true;
    for (size_t i = 0; i < name.len; i++)
        plain = plain && name.at[i] >= ' ' && name.at[i] != 0x7f;
    if (plain && name.len <= 128)
        return name.len ? name : STR("unknown");
    for (size_t i = 0; i < name.len && b.len < 128; i++)
        if ((unsigned char)name.at[i] >= ' ' && name.at[i] != 0x7f)
            buf_add_c(&b, name.at[i]);
    while (b.len && (b.at[b.len - 1] & 0xc0) == 0x80)   /* no half character */
        b.len--;
    return b.len ? arena_str(rq->arena, buf_str(&b)) : STR("unknown");
}

void api_op_strict(struct api_rq *rq, struct api_op *op)
{
    op->field_validation = validation_mode(rq);
    op->manager = manager_of(rq);
    api_op_tell(rq, op);
}

static void op_init(struct api_rq *rq, struct arena *a, struct api_op *op)
{
    const struct kl_request *t = &rq->info.tuple;
    *op = (struct api_op){ .api = rq->api, .arena = a, .user = &rq->user, .kind = rq->info.kind, .ns = str_of(t->ns),
                           .name = str_of(t->name), .subresource = t->subresource[0] ? t->subresource : NULL,
                           .dry_run = rq->info.q.dry_run.len > 0, .grace_s = rq->info.q.grace_s, .propagation = rq->info.q.propagation,
                           .request = rq->id, .kept = &rq->kept, .query = &rq->info.q,
                           .patches = strcmp(t->verb, "patch") == 0 };
    if (!(op->kind->flags & K_NAMESPACED))
        op->ns = STR("");
    api_op_strict(rq, op);
    op->force = rq->info.q.force;
}

/* --- answers --- */

static void send_result(struct api_rq *rq, const struct api_op *op, int status)
{
    if (op->shown.at) {
        api_send_json(rq, status, rq->info.kind, op->shown);
        return;
    }
    if (op->object && op->result_kind == rq->info.kind->storage) {
        api_send_object(rq, status, op->object);
        return;
    }
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = json_parse(rq->arena, op->json, &err);
    struct api_asker q = api_rq_asker(rq);
    if (!v)
        api_fail_err(&rq->err, rq->arena, &err);
    else if (op->result_kind)
        v = api_from_storage(&q, rq->info.kind, v);
    if (!v) {
        api_send_error(rq);
        return;
    }
    struct str gv = json_str(v, "apiVersion"), group = STR("");
    if (str_find(gv, '/') >= 0)
        group = str_cut(&gv, '/');
    api_send_tree(rq, status, schema_type_find(group, gv, json_str(v, "kind")), v);
}

static void send_deleted(struct api_rq *rq, const struct api_op *op)
{
    struct arena *a = rq->arena;
    struct kl_err err;
    kl_err_init(&err);
    if (!op->deleted || rq->info.kind->flags & K_RETURNS_OBJECT_ON_DELETE) {
        send_result(rq, op, !op->deleted && op->accepts ? 202 : 200);
        return;
    }
    struct val *old = json_parse(a, op->json, &err), *v = val_new(a, VAL_OBJ);
    json_set_str(a, v, STR("kind"), STR("Status"));
    json_set_str(a, v, STR("apiVersion"), STR("v1"));
    json_obj(a, v, STR("metadata"));
    json_set_str(a, v, STR("status"), STR("Success"));
    struct val *d = json_obj(a, v, STR("details"));
    json_set_str(a, d, STR("name"), op->name);
    if (op->kind->group[0])
        json_set_str(a, d, STR("group"), str_of(op->kind->group));
    json_set_str(a, d, STR("kind"), str_of(op->kind->plural));
    json_set_str(a, d, STR("uid"), json_str(old, "metadata.uid"));
    api_send_tree(rq, 200, schema_type_find(STR(""), STR("v1"), STR("Status")), v);
}

static void answer(struct api_rq *rq, struct api_op *op, int status)
{
    if (!rq->http)
        return;
    if (strcmp(rq->info.tuple.verb, "delete") == 0)
        send_deleted(rq, op);
    else
        send_result(rq, op, status);
}

static void on_gone(void *ctx)
{
    struct pending *p = ctx;
    p->rq = NULL;                       /* and with it the arena that holds it */
}

static void on_durable(void *ctx, int rc, const struct kl_err *err)
{
    struct pending *p = ctx;
    struct api_rq *rq = p->rq;
    if (rq) {
        http_on_close(rq->http, NULL, NULL);
        if (rc < 0) {
            api_fail_err(&rq->err, rq->arena, err);
            api_send_error(rq);
        } else {
            p->op->object = p->object;
            answer(rq, p->op, p->status);
        }
    }
    store_object_unref(p->object);
    mem_free(p);
}

/* --- bodies --- */

int api_body_media(struct api_rq *rq, enum api_media *ret)
{
    struct str type = http_header(rq->http, STR("content-type"));
    *ret = api_media_of(type);
    if (*ret)
        return 0;
    return api_fail(&rq->err, rq->arena, KL_UNSUPPORTED_MEDIA,
                    "the body of the request was in an unknown format - accepted media types include: application/json, "
                    "application/yaml, application/vnd.kubernetes.protobuf");
}

static const struct schema_type *body_type(struct api_rq *rq)
{
    const struct schema_subresource *s = rq->info.sub;
    if (!s)
        return rq->info.kind->type;
    const struct schema_kind *k = schema_kind_find(str_of(s->group), str_of(s->version), str_of(s->kind));
    return k ? k->type : schema_type_find(str_of(s->group), str_of(s->version), str_of(s->kind));
}

static int read_body(struct api_rq *rq, struct api_op *op, struct val **ret)
{
    enum api_media media;
    if (api_body_media(rq, &media) < 0)
        return -1;
    struct str body = http_body(rq->http);
    const struct schema_type *t = body_type(rq);
    if (api_op_decode(op, t, media, body, ret) < 0) {
        rq->err = op->err;
        return -1;
    }
    const struct schema_subresource *s = rq->info.sub;
    if (rq->audit)
        audit_asked(rq, s ? arena_printf(rq->arena, "%s%s%s", s->group, s->group[0] ? "/" : "", s->version) : api_group_version(rq->arena, rq->info.kind),
                    s ? s->kind : rq->info.kind->kind, t, *ret);
    return 0;
}

static int patch_type(struct api_rq *rq, int *ret)
{
    static const struct {
        const char *type;
        int value;
    } rows[] = { { "application/json-patch+json", KL_PATCH_JSON }, { "application/merge-patch+json", KL_PATCH_MERGE },
                 { "application/apply-patch+yaml", API_PATCH_APPLY }, { "application/strategic-merge-patch+json", KL_PATCH_STRATEGIC } };
    struct str type = http_header(rq->http, STR("content-type")), bare = str_trim(str_cut(&type, ';'));
    size_t n = rq->info.kind->flags & K_CUSTOM ? 3 : 4;
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(bare, str_of(rows[i].type))) {
            *ret = rows[i].value;
            return 0;
        }
    if (rq->info.kind->flags & K_CUSTOM)
        return api_fail(&rq->err, rq->arena, KL_UNSUPPORTED_MEDIA, "the body of the request was in an unknown format - accepted media types include: "
                        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml");
    api_fail(&rq->err, rq->arena, KL_UNSUPPORTED_MEDIA, "415: Unsupported Media Type");
    rq->err.empty_details = true;
    return -KL_UNSUPPORTED_MEDIA;
}

/* An apply that creates needs the right to create. */
static int may_create(struct api_rq *rq, const struct api_op *op)
{
    if (op->subresource || store_head(op->api->store, str_of(op->kind->storage->resource), op->ns, op->name))
        return 0;
    struct api_rq as_create = *rq;
    as_create.info.tuple.verb = "create";
    int rc = api_authorize(&as_create);
    rq->err = as_create.err;
    return rc;
}

static int apply(struct api_rq *rq, struct api_op *op)
{
    struct kl_err err;
    kl_err_init(&err);
    const char *twice;
    struct val *config = api_read_yaml(op, http_body(rq->http), &twice, &err);
    if (!config)
        return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "error decoding YAML: %s", err.msg);
    if (twice && op->field_validation == VALIDATE_STRICT)
        return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "error strict decoding YAML: error converting YAML to JSON: %s", twice);
    op->twice = twice;
    return may_create(rq, op) < 0 ? -1 : api_op_patch(op, API_PATCH_APPLY, config);
}

static int run(struct api_rq *rq, struct api_op *op)
{
    const char *verb = rq->info.tuple.verb;
    struct val *body = NULL;
    struct kl_err err;
    kl_err_init(&err);
    int type = 0;
    if (strcmp(verb, "delete") == 0) {
        if (api_read_delete_options(rq, op) < 0)
            return -1;
        return api_op_delete(op);
    }
    if (strcmp(verb, "patch") == 0 && patch_type(rq, &type) < 0)
        return -1;
    if (api_check_write_options(rq, type == API_PATCH_APPLY) < 0)
        return -1;
    if (strcmp(verb, "patch") == 0)
        audit_asked_patch(rq);
    if (type == API_PATCH_APPLY)
        return apply(rq, op);
    if (strcmp(verb, "patch") == 0) {
        body = json_parse(op->arena, http_body(rq->http), &err);
        if (!body)
            return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "%s%s", type == KL_PATCH_STRATEGIC ? "" : "error decoding patch: ", api_parse_fault(rq->arena, &err));
        op->strict.arena = op->arena;
        object_patch_strict(body, type == KL_PATCH_JSON, &op->strict);
        return api_op_patch(op, type, body);
    }
    if (read_body(rq, op, &body) < 0)
        return -1;
    return strcmp(verb, "create") == 0 ? api_op_create(op, body) : api_op_update(op, body);
}

/* --- collections --- */

struct collection {
    struct api_rq *rq;
    struct api_op *op;
    struct selector *labels, *fields;
    struct store_object **at;
    unsigned n, cap;
};

static bool gather(void *ctx, struct store_object *o)
{
    struct collection *c = ctx;
    if (!api_converts(c->rq->info.kind) && ((c->labels && !selector_matches_text(c->labels, store_object_json(o))) ||
                                            (c->fields && !selector_matches_text(c->fields, store_object_json(o)))))
        return true;
    if (c->n == c->cap) {
        unsigned cap = c->cap ? c->cap * 2 : 64;
        struct store_object **at = mem_resize(c->at, cap * sizeof *at);
        if (!at)
            return false;
        c->at = at;
        c->cap = cap;
    }
    c->at[c->n++] = store_object_ref(o);
    return true;
}

static bool selected(const struct collection *c, const struct val *v)
{
    return (!c->labels || selector_matches_labels(c->labels, json_path(v, "metadata.labels"))) &&
           (!c->fields || selector_matches_fields(c->fields, v));
}

/* Items of a list as the client sees them. Of those that are stored in another form it is seen only now whether they are selected. */
static int show_items(struct collection *c, struct buf *items)
{
    struct api_rq *rq = c->rq;
    const struct schema_kind *k = rq->info.kind;
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    struct api_asker q = { rq->api, a, rq->id, &rq->err };
    unsigned n = 0, all = c->n;
    conversions_gather(rq->api);
    for (unsigned i = 0; a && i < all; i++) {
        struct val *v = NULL;
        arena_reset(a);
        if (api_converts(k) && (v = api_stored_tree(&q, k, c->at[i])) && !selected(c, v)) {
            store_object_unref(c->at[i]);
            c->n--;
            continue;
        }
        c->at[n++] = c->at[i];
        if (api_converts(k) && !v)
            continue;
        if (v || k->flags & K_CUSTOM) {
            if (v && !(k->flags & K_CUSTOM)) {
                json_del(v, STR("kind"));
                json_del(v, STR("apiVersion"));
            }
            buf_add_z(items, n > 1 ? "," : "");
            if (v)
                json_write(items, v);
            else
                buf_add_str(items, store_object_json(c->at[i]));
        } else {
            buf_add_z(items, n > 1 ? ",{" : "{");
            buf_add_str(items, api_strip_type(store_object_json(c->at[i])));
        }
    }
    conversions_send(rq->api);
    if (rq->err.message)
        rq->err.message = arena_dup(rq->arena, str_of(rq->err.message));
    return !a || items->failed ? api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory") : rq->err.code ? -rq->err.code : 0;
}

/* The answer waits until all deletions last. */
struct batch {
    struct api_rq *rq;                  /* NULL: answered, or the client has gone */
    struct val *list;
    unsigned left;
};

static void on_batch_gone(void *ctx)
{
    struct batch *b = ctx;
    b->rq = NULL;
}

static void batch_step(struct batch *b, int rc, const struct kl_err *err)
{
    struct api_rq *rq = b->rq;
    b->left--;
    if (rq && (rc < 0 || !b->left)) {
        http_on_close(rq->http, NULL, NULL);
        b->rq = NULL;
        if (rc < 0 && err)
            api_fail_err(&rq->err, rq->arena, err);
        if (rc < 0)
            api_send_error(rq);
        else
            api_send_tree(rq, 200, rq->info.kind->list_type, b->list);
    }
    if (!b->left)
        mem_free(b);
}

static void on_batch_durable(void *ctx, int rc, const struct kl_err *err)
{
    batch_step(ctx, rc, err);
}

static struct api_op one_of(const struct collection *c, unsigned i)
{
    struct api_op one = *c->op;
    one.ns = store_object_ns(c->at[i]);
    one.name = store_object_name(c->at[i]);
    one.of_many = true;
    return one;
}

/* All are asked about before one is deleted: a decision that is pending may have no effect yet. Those up to the first that is refused are
 * deleted; why it was is in rq->err. */
static int admit_all(struct collection *c)
{
    struct api_rq *rq = c->rq;
    unsigned allowed = c->n;
    for (unsigned i = 0; i < c->n; i++) {
        struct api_op one = one_of(c, i);
        one.ask_only = true;
        int rc = api_op_delete(&one);
        if (rc == -KL_PENDING || (rc < 0 && rc != -KL_NOT_FOUND && i < allowed && rq->err.code != KL_PENDING))
            rq->err = one.err;
        if (rc < 0 && rc != -KL_NOT_FOUND && i < allowed)
            allowed = i;
    }
    if (rq->err.code == KL_PENDING)
        return -KL_PENDING;
    while (c->n > allowed)
        store_object_unref(c->at[--c->n]);
    return rq->err.code ? -rq->err.code : 0;
}

static void delete_collection(struct api_rq *rq)
{
    struct api_op op;
    struct collection c = { .rq = rq, .op = &op };
    op_init(rq, rq->arena, &op);
    uint64_t ignored;
    if (api_compile_selectors(rq, &c.labels, &c.fields) < 0 || api_list_version(rq, &ignored) < 0 || api_read_delete_options(rq, &op) < 0) {
        api_send_error(rq);
        return;
    }
    struct store_range r = { .resource = str_of(rq->info.kind->storage->resource), .head = true };
    if (rq->info.kind->flags & K_NAMESPACED && rq->info.tuple.ns[0])
        r.ns = str_of(rq->info.tuple.ns);
    store_list(rq->api->store, &r, gather, &c);
    _cleanup_buf_ struct buf items = BUF_INIT(0);
    int shown = show_items(&c, &items), refused = shown < 0 ? shown : admit_all(&c), rc = 0;
    struct batch *batch = shown < 0 || refused == -KL_PENDING ? NULL : mem_alloc(sizeof *batch);
    if (batch)
        *batch = (struct batch){ .rq = rq, .left = 1 };
    else if (shown == 0 && refused != -KL_PENDING)
        rc = api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory");
    for (unsigned i = 0; i < c.n && rc == 0 && batch; i++) {
        struct api_op one = one_of(&c, i);
        one.admitted = true;
        one.request = 0;                /* nothing may wait any more */
        one.durable = on_batch_durable;
        one.durable_ctx = batch;
        batch->left++;
        rc = api_op_delete(&one);
        if (!one.waits)
            batch->left--;
        if (rc == -KL_NOT_FOUND)
            rc = 0;
        if (rc < 0)
            rq->err = one.err;
    }
    for (unsigned i = 0; i < c.n; i++)
        store_object_unref(c.at[i]);
    mem_free(c.at);
    if (!batch) {
        api_send_error(rq);
        return;
    }
    bool custom = rq->info.kind->flags & K_CUSTOM;
    char *text = arena_printf(rq->arena, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":{%s\"resourceVersion\":\"%llu\"},\"items\":[" STR_FMT "]}",
                              api_list_kind(rq->arena, rq->info.kind), api_group_version(rq->arena, rq->info.kind), custom ? "\"continue\":\"\"," : "",
                              (unsigned long long)store_revision(rq->api->store), STR_ARG(buf_str(&items)));
    batch->list = text ? json_parse(rq->arena, str_of(text), NULL) : NULL;
    if (batch->list && custom)
        json_sort(rq->arena, batch->list);
    http_on_close(rq->http, on_batch_gone, batch);
    batch_step(batch, rc < 0 ? rc : refused, NULL);
}

/* The trees of a write are many times its object. Once it is committed nobody needs them, and the next request finds their memory warm: hundreds may wait
 * for the disk at a time. Whatever else comes of a write may show pieces of them, so they last as long as the request. */
struct work {
    struct api_op op;
    struct arena *arena;
};

static void end_work(void *ctx)
{
    struct work *w = ctx;
    w->arena = arena_free(w->arena);
}

static struct work *work_new(struct api_rq *rq)
{
    struct work *w = arena_alloc(rq->arena, sizeof *w);
    if (!w || !arena_cleanup(rq->arena, end_work, w) || !(w->arena = arena_new(API_ARENA_MAX)))
        return NULL;
    op_init(rq, w->arena, &w->op);
    return w;
}

static void wait_for_commit(struct api_rq *rq, struct work *w, struct pending *p)
{
    struct api_op *op = &w->op;
    p->object = op->object ? store_object_ref(op->object) : NULL;
    http_on_close(rq->http, on_gone, p);
    if (op->object && op->result_kind == rq->info.kind->storage && !op->shown.at)       /* the answer is the object's text */
        end_work(w);
}

void api_write(struct api_rq *rq)
{
    if (strcmp(rq->info.tuple.verb, "deletecollection") == 0) {
        delete_collection(rq);
        return;
    }
    struct work *w = work_new(rq);
    struct pending *p = w ? mem_alloc(sizeof *p) : NULL;
    if (!p) {
        api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory");
        api_send_error(rq);
        return;
    }
    struct api_op *op = &w->op;
    *p = (struct pending){ .rq = rq, .op = op };
    op->durable = on_durable;
    op->durable_ctx = p;
    if (run(rq, op) < 0) {
        if (op->err.code)
            rq->err = op->err;
        mem_free(p);
        api_send_error(rq);
        return;
    }
    p->status = op->created ? 201 : 200;
    if (op->waits) {
        wait_for_commit(rq, w, p);
        return;
    }
    mem_free(p);
    answer(rq, op, op->created ? 201 : 200);
}
