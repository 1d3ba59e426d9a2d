/* op.c - what create, update, patch and delete share: decoding, admission, validation, commit. */
#include "api-internal.h"

#include "base/env.h"

struct val *api_tree(struct arena *a, struct store_object *o, struct api_error *e)
{
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = json_parse(a, store_object_json(o), &err);
    if (!v)
        api_fail(e, a, KL_CORRUPT, "the stored bytes of '" STR_FMT "' are damaged: %s", STR_ARG(store_object_name(o)), err.msg);
    return v;
}

static const char *strict_text(struct arena *a, const struct object_strict *s)
{
    _cleanup_buf_ struct buf b = BUF_INIT(16 << 10);
    for (unsigned i = 0; i < s->n; i++) {
        buf_add_z(&b, i ? ", " : "");
        buf_add_z(&b, s->at[i]);
    }
    return b.failed ? "too many strict decoding errors" : arena_dup(a, buf_str(&b));
}

static int check_type(struct api_op *op, const struct schema_type *t, struct val *v, const struct schema_kind *k)
{
    struct str kind = json_str(v, "kind"), gv = json_str(v, "apiVersion");
    const char *want = api_group_version(op->arena, k);
    const char *want_kind = t == k->type ? k->kind : t->go;
    if (kind.len && !str_is(kind, want_kind))
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST, "" STR_FMT " in version \"" STR_FMT "\" cannot be handled as a %s: "
                        "the kind in the data does not match", STR_ARG(kind), STR_ARG(gv), want_kind);
    if (t == k->type && gv.len && !str_is(gv, want))
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST,
                        "the API version in the data (" STR_FMT ") does not match the expected API version (%s)", STR_ARG(gv), want);
    if (t->has_typemeta && t == k->type) {
        json_del(v, STR("kind"));
        json_del(v, STR("apiVersion"));
        struct val *gvv = val_of_str(op->arena, str_of(want)), *kv = val_of_str(op->arena, str_of(k->kind));
        if (!gvv || !kv)
            return api_fail(&op->err, op->arena, KL_NO_MEMORY, "out of memory");
        gvv->key = "apiVersion";
        gvv->key_len = 10;
        kv->key = "kind";
        kv->key_len = 4;
        gvv->next = v->first;
        kv->next = gvv;
        v->first = kv;
        if (!v->last)
            v->last = gvv;
        v->n += 2;
    }
    return 0;
}

int api_op_decode(struct api_op *op, const struct schema_type *t, enum api_media media, struct str body, struct val **ret)
{
    struct kl_err err;
    kl_err_init(&err);
    struct object_strict strict = { .arena = op->arena };
    struct val *v;
    if (media == MEDIA_PROTOBUF) {
        v = object_decode_protobuf(op->arena, t, body, NULL, &err);
    } else if (media == MEDIA_YAML) {
        v = object_parse_yaml(op->arena, body, &err);
        if (v && object_conform(op->arena, t, v, &strict, &err) < 0)
            v = NULL;
    } else {
        v = object_decode_json(op->arena, t, body, &strict, &err);
    }
    if (!v)
        return api_fail(&op->err, op->arena, err.code == KL_TOO_LARGE ? KL_TOO_LARGE : KL_BAD_REQUEST,
                        "%s in version \"%s\" cannot be handled as a %s: %s", t->go, op->kind->version, t->go, err.msg);
    if (strict.n && op->field_validation == VALIDATE_STRICT)
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST, "%s in version \"%s\" cannot be handled as a %s: strict decoding error: %s",
                        t->go, op->kind->version, t->go, strict_text(op->arena, &strict));
    for (unsigned i = 0; i < strict.n && op->field_validation == VALIDATE_WARN && op->warn; i++)
        op->warn(op->warn_ctx, strict.at[i]);
    if (check_type(op, t, v, op->kind) < 0)
        return -op->err.code;
    *ret = v;
    return 0;
}

int api_admit(struct api_op *op, bool mutating, const char *verb, struct val **v, struct store_object *old)
{
    struct api *api = op->api;
    if (!api->hooks.admit)
        return 0;
    struct kl_request r = { .size = sizeof r, .verb = verb, .path = "", .is_resource = 1, .group = op->kind->group,
                            .version = op->kind->version, .resource = op->kind->plural,
                            .subresource = op->subresource ? op->subresource : "", .ns = arena_dup(op->arena, op->ns),
                            .name = arena_dup(op->arena, op->name) };
    struct kl_admission_review review = { .size = sizeof review, .request = &r, .user = op->user, .kind = op->kind->kind };
    if (old)
        review.old_object = (struct kl_bytes){ store_object_json(old).at, store_object_json(old).len };
    struct kl_admission_verdict verdict = { .size = sizeof verdict };
    struct kl_call c;
    api_call_init(&c, op->arena, op->user ? op->user->name : NULL);
    if (op->dry_run)
        c.flags |= KL_CALL_DRY_RUN;
    if (api->hooks.admit(api->hooks.ctx, &c, mutating, &review, op->arena, op->kind, v, &verdict) < 0) {
        const char *text = arena_printf(op->arena, "%s \"" STR_FMT "\" is forbidden: %s", api_resource_text(op->arena, op->kind),
                                        STR_ARG(op->name), c.err.msg);
        if (c.err.code != KL_FORBIDDEN)
            return api_fail_err(&op->err, op->arena, &c.err);
        api_fail(&op->err, op->arena, KL_FORBIDDEN, "%s", text ? text : "forbidden");
        op->err.name = arena_dup(op->arena, op->name);
        op->err.group = op->kind->group;
        op->err.kind = op->kind->plural;
        return -KL_FORBIDDEN;
    }
    for (const char *const *w = verdict.warnings; w && *w && op->warn; w++)
        op->warn(op->warn_ctx, *w);
    return 0;
}

int api_validate(struct api_op *op, struct val *v, const struct val *old)
{
    struct object_causes causes = { .arena = op->arena };
    object_validate(op->kind, op->subresource, v, old, &causes);
    if (arena_exhausted(op->arena))
        return api_fail(&op->err, op->arena, KL_TOO_LARGE, "the request needs more memory than one request may use");
    if (!causes.n)
        return 0;
    struct str name = json_str(v, "metadata.name");
    return api_fail_invalid(&op->err, op->arena, op->kind, name.len ? name : json_str(v, "metadata.generateName"), &causes);
}

/* --- commit --- */

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

static struct val *storage_tree(struct api_op *op, struct val *v)
{
    return api_converts(op->kind) ? api_convert(op->arena, op->kind, op->kind->storage, v) : v;
}

static int encode(struct api_op *op, struct val *v, struct buf *b)
{
    struct val *meta = json_obj(op->arena, v, STR("metadata"));
    struct val *stored;
    uint64_t rev = store_next_revision(op->api->store);
    json_set_str(op->arena, meta, STR("resourceVersion"), str_of(arena_printf(op->arena, "%llu", (unsigned long long)rev)));
    stored = storage_tree(op, v);
    if (stored)
        object_encode_json(b, op->kind->storage->type, stored);
    if (!stored || b->failed || arena_exhausted(op->arena))
        return api_fail(&op->err, op->arena, KL_NO_MEMORY, "out of memory");
    if (b->len > (3u << 19))            /* what a Kubernetes store takes: 1.5 MiB */
        return api_fail(&op->err, op->arena, KL_TOO_LARGE, "the object is %zu bytes; at most %u can be stored", b->len, 3u << 19);
    return 0;
}

static void set_result(struct api_op *op, struct store_object *o, struct str json)
{
    op->object = o;
    op->json = o ? store_object_json(o) : arena_str(op->arena, json);
    op->result_kind = op->kind->storage;
}

static int commit(struct api_op *op, enum store_op_type type, struct val *v, struct store_object *old)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    struct kl_err err;
    kl_err_init(&err);
    if (encode(op, v, &b) < 0)
        return -op->err.code;
    if (op->dry_run) {
        set_result(op, NULL, buf_str(&b));
        return 0;
    }
    struct store_op sop = { .type = type, .resource = str_of(op->kind->storage->resource), .ns = op->ns, .name = op->name,
                            .json = buf_str(&b),
                            .expected = old ? store_object_revision(old) : 0 };
    struct store_object *o = NULL;
    int rc = store_commit(op->api->store, &sop, 1, op->durable, op->durable_ctx, &o, &err);
    if (rc < 0)
        return commit_failed(op, rc, &err);
    op->waits = op->durable != NULL;
    set_result(op, type == STORE_DELETE ? NULL : o, buf_str(&b));
    return 0;
}

int api_commit_put(struct api_op *op, struct val *v, struct store_object *old)
{
    return commit(op, old ? STORE_UPDATE : STORE_CREATE, v, old);
}

int api_commit_delete(struct api_op *op, struct val *v, struct store_object *old)
{
    int rc = commit(op, STORE_DELETE, v, old);
    if (rc == 0) {
        op->deleted = true;
        if (!op->dry_run)
            api_after_delete(op, v);
    }
    return rc;
}
