/* commit.c - the end of create, update, patch and delete: the tree becomes bytes with a revision, and the store has them. */
#include "api-internal.h"

#include "base/json_scan.h"

static int commit_failed(struct api_op *op, int rc, const struct kl_err *err)
{
    if (rc == -KL_CONFLICT)
        return api_fail_conflict(&op->err, op->arena, op->kind, op->name,
                                 "the object has been modified; please apply your changes to the latest version and try again");
    if (rc == -KL_ALREADY_EXISTS)
        return api_fail_exists(&op->err, op->arena, op->kind, op->name);
    if (rc == -KL_NOT_FOUND)
        return api_fail_not_found(&op->err, op->arena, op->kind, op->name);
    return api_fail_err(&op->err, op->arena, err);
}

/* A status that is written in another version leaves the rest as it is stored. */
static struct val *storage_tree(struct api_op *op, struct val *v, struct store_object *old)
{
    struct api_asker q = api_op_asker(op);
    if (!api_converts(op->kind) || op->as_stored)
        return v;
    struct val *stored = api_convert(&q, op->kind, op->kind->storage, v), *before = NULL, *spec;
    bool status = op->subresource && strcmp(op->subresource, "status") == 0 && !(op->kind->flags & K_CUSTOM);
    if (stored && status && old && (before = json_parse(op->arena, store_object_json(old), NULL)) && (spec = json_get(before, STR("spec"))))
        json_set(op->arena, stored, STR("spec"), val_copy(op->arena, spec));
    return stored;
}

static const struct schema_type *stored_type(const struct api_op *op, const struct val *stored)
{
    const struct schema_kind *k = op->as_stored ? api_custom_version(op->kind, json_str(stored, "apiVersion")) : NULL;
    return k ? k->type : op->kind->storage->type;
}

/* A dry run makes no revision: a new object has none, a changed one keeps its own. */
static void set_revision(struct api_op *op, struct val *v, struct store_object *old)
{
    struct val *meta = json_obj(op->arena, v, STR("metadata"));
    uint64_t rev = !op->dry_run ? store_next_revision(op->api->store) : old ? store_object_revision(old) : 0;
    if (rev)
        json_set_str(op->arena, meta, STR("resourceVersion"), str_of(arena_uint(op->arena, rev)));
    else
        json_del(meta, STR("resourceVersion"));
}

static int encode(struct api_op *op, struct val *v, struct store_object *old, struct buf *b)
{
    struct val *stored = storage_tree(op, v, old);
    if (!stored)
        return -op->err.code;
    buf_room(b, 4096);                  /* most objects: one allocation */
    object_encode_json(b, stored_type(op, stored), stored);
    if (b->failed || arena_exhausted(op->arena))
        return api_fail(&op->err, op->arena, KL_NO_MEMORY, "out of memory");
    if (b->len > (3u << 19))            /* what a Kubernetes store takes: 1.5 MiB */
        return api_fail(&op->err, op->arena, KL_TOO_LARGE, "the object is %zu bytes; at most %u can be stored", b->len, 3u << 19);
    return 0;
}

int api_show(struct api_op *op, struct str json)
{
    struct kl_err err;
    kl_err_init(&err);
    struct api_asker q = api_op_asker(op);
    if (!op->request || !api_converts_by_webhook(op->kind))
        return 0;
    struct str copy = arena_str(op->arena, json);
    struct val *v = copy.at ? json_parse(op->arena, copy, &err) : NULL;
    if (!v)
        return api_fail_err(&op->err, op->arena, &err);
    if (!(v = api_from_storage(&q, op->kind, v)))
        return -op->err.code;
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    object_encode_json(&b, op->kind->type, v);
    op->shown = b.failed ? STR_NONE : arena_str(op->arena, buf_str(&b));
    return op->shown.at ? 0 : api_fail(&op->err, op->arena, KL_NO_MEMORY, "out of memory");
}

static void set_result(struct api_op *op, struct store_object *o, struct str json)
{
    op->object = o;
    op->json = o ? store_object_json(o) : arena_str(op->arena, json);
    op->result_kind = op->kind->storage;
}

/* What goes with it, behind it. */
static int fill_also(struct api_op *op, struct store_op *ops)
{
    char *revision = arena_uint(op->arena, store_next_revision(op->api->store));
    for (unsigned i = 0; i < op->n_also; i++) {
        const struct api_also *x = &op->also[i];
        _cleanup_buf_ struct buf b = BUF_INIT(0);
        json_set_str(op->arena, json_obj(op->arena, x->object, STR("metadata")), STR("resourceVersion"), str_of(revision));
        object_encode_json(&b, x->kind->type, x->object);
        if (b.failed || arena_exhausted(op->arena))
            return api_fail(&op->err, op->arena, KL_NO_MEMORY, "out of memory");
        ops[i] = (struct store_op){ .type = x->type, .resource = str_of(x->kind->resource), .ns = x->ns, .name = x->name,
                                    .json = arena_str(op->arena, buf_str(&b)) };
    }
    return 0;
}

/* json: with its new revision. */
static int commit(struct api_op *op, enum store_op_type type, struct str json, struct store_object *old)
{
    struct kl_err err;
    kl_err_init(&err);
    if (type != STORE_DELETE && api_show(op, json) < 0)
        return -op->err.code;
    if (op->dry_run) {
        set_result(op, NULL, json);
        return 0;
    }
    struct store_op sop[1 + API_ALSO] = { { .type = type, .resource = str_of(op->kind->storage->resource), .ns = op->ns, .name = op->name,
                                            .json = json, .expected = old ? store_object_revision(old) : 0 } };
    struct store_object *o[1 + API_ALSO] = { NULL };
    if (op->n_also && fill_also(op, sop + 1) < 0)
        return -op->err.code;
    int rc = store_commit(op->api->store, sop, 1 + op->n_also, op->durable, op->durable_ctx, o, &err);
    if (rc < 0)
        return commit_failed(op, rc, &err);
    op->waits = op->durable != NULL;
    set_result(op, type == STORE_DELETE ? NULL : o[0], json);
    return 0;
}

static int commit_tree(struct api_op *op, enum store_op_type type, struct val *v, struct store_object *old)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    set_revision(op, v, old);
    return encode(op, v, old, &b) < 0 ? -op->err.code : commit(op, type, buf_str(&b), old);
}

int api_commit_put(struct api_op *op, struct val *v, struct store_object *old)
{
    return commit_tree(op, old ? STORE_UPDATE : STORE_CREATE, v, old);
}

/* The text with the store's next revision where its own stands. */
static int next_revision(struct api_op *op, struct str all, struct buf *ret)
{
    struct str at = json_scan_path(all, "metadata.resourceVersion");
    if (!at.at)
        return api_fail(&op->err, op->arena, KL_INTERNAL, "the object has no resourceVersion");
    size_t before = (size_t)(at.at - all.at);
    buf_room(ret, all.len + 24);
    buf_add(ret, all.at, before);
    buf_add_c(ret, '"');
    buf_add_uint(ret, store_next_revision(op->api->store));
    buf_add_c(ret, '"');
    buf_add(ret, at.at + at.len, all.len - before - at.len);
    return ret->failed ? api_fail(&op->err, op->arena, KL_NO_MEMORY, "out of memory") : 0;
}

/* Two texts of one length: is there a difference that managedFields do not hold? */
static bool differ_elsewhere(struct str a, struct str b)
{
    struct str x = json_scan_path(a, "metadata.managedFields"), y = json_scan_path(b, "metadata.managedFields");
    if (!x.at || !y.at || x.len != y.len || x.at - a.at != y.at - b.at)
        return true;
    size_t head = (size_t)(x.at - a.at), behind = head + x.len;
    return memcmp(a.at, b.at, head) != 0 || memcmp(a.at + behind, b.at + behind, a.len - behind) != 0;
}

/* b: v as text. */
static bool unchanged(struct api_op *op, struct val *v, struct store_object *old, struct buf *b)
{
    struct str was = store_object_json(old);
    if (b->len != was.len)
        return false;
    if (str_eq(buf_str(b), was))
        return true;
    if (differ_elsewhere(buf_str(b), was))
        return false;
    struct val *copy = val_copy(op->arena, v);
    _cleanup_buf_ struct buf again = BUF_INIT(0);
    return copy && api_times_alone(op, copy, old) && encode(op, copy, old, &again) == 0 && str_eq(buf_str(&again), was);
}

int api_commit_changed(struct api_op *op, struct val *v, struct store_object *old)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0), now = BUF_INIT(0);
    char *rv = arena_uint(op->arena, store_object_revision(old));
    json_set_str(op->arena, json_obj(op->arena, v, STR("metadata")), STR("resourceVersion"), str_of(rv));
    if (encode(op, v, old, &b) < 0)
        return -op->err.code;
    if (unchanged(op, v, old, &b) && !store_stale(op->api->store, str_of(op->kind->storage->resource), old)) {
        set_result(op, old, STR_NONE);
        return api_show(op, op->json);
    }
    if (op->dry_run)
        return commit(op, STORE_UPDATE, buf_str(&b), old);
    return next_revision(op, buf_str(&b), &now) < 0 ? -op->err.code : commit(op, STORE_UPDATE, buf_str(&now), old);
}

/* json: the last state, as watches are told of it, with the revision of the deletion. */
static int commit_gone(struct api_op *op, struct val *v, struct str json, struct store_object *old)
{
    int rc = commit(op, STORE_DELETE, json, old);
    if (rc == 0) {
        op->deleted = true;
        if (!op->dry_run)
            api_after_delete(op, v);
    }
    return rc;
}

static void release_what_it_has(struct api_op *op, struct val *v)
{
    op->n_also = 0;
    if (strcmp(op->kind->plural, "services") == 0 && !op->kind->group[0])
        api_service_ip_release(op, v);
}

int api_commit_delete(struct api_op *op, struct val *v, struct store_object *old)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    release_what_it_has(op, v);
    set_revision(op, v, old);
    return encode(op, v, old, &b) < 0 ? -op->err.code : commit_gone(op, v, buf_str(&b), old);
}

int api_commit_emptied(struct api_op *op, struct val *v, struct store_object *old)
{
    _cleanup_buf_ struct buf shown = BUF_INIT(0), last = BUF_INIT(0);
    release_what_it_has(op, v);
    json_set_str(op->arena, json_obj(op->arena, v, STR("metadata")), STR("resourceVersion"), str_of(arena_uint(op->arena, store_object_revision(old))));
    if (encode(op, v, old, &shown) < 0 || next_revision(op, store_object_json(old), &last) < 0 || commit_gone(op, v, buf_str(&last), old) < 0)
        return -op->err.code;
    set_result(op, NULL, buf_str(&shown));
    return 0;
}
