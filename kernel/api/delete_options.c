/* delete_options.c - DeleteOptions: of a body, or where there is none of the query. One that has a body is asked for nothing by its query. */
#include "api-internal.h"

struct asked {
    struct str propagation;
    bool has_orphan, orphan;
    const struct val *dry_run;          /* texts */
};

static int refuse(struct api_rq *rq, const char *why)
{
    return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "%s", why);
}

/* Any group's DeleteOptions will do; whatever else it says that it is will not. */
static int check_kind(struct api_rq *rq, struct str version, struct str kind)
{
    struct str rest = version;
    if (str_find(rest, '/') >= 0)
        str_cut(&rest, '/');
    if (rest.at && str_find(rest, '/') >= 0)
        return refuse(rq, arena_printf(rq->arena, "unexpected GroupVersion string: " STR_FMT, STR_ARG(version)));
    if (kind.len && !str_is(kind, "DeleteOptions"))
        return refuse(rq, api_not_registered(rq->arena, version.len ? version : STR("meta.k8s.io/v1"), kind));
    return 0;
}

static struct val *read_protobuf(struct api_rq *rq, const struct schema_type *t, struct str body)
{
    struct kl_err err;
    struct str version, kind;
    kl_err_init(&err);
    const char *fault = api_envelope(rq->arena, body, &version, &kind);
    if (fault) {
        refuse(rq, fault);
        return NULL;
    }
    if (check_kind(rq, version, kind) < 0)
        return NULL;
    struct val *v = object_decode_protobuf(rq->arena, t, body, NULL, &err);
    if (!v)
        refuse(rq, err.msg);
    return v;
}

static struct val *read_text(struct api_rq *rq, const struct schema_type *t, struct str body, bool yaml)
{
    struct kl_err err;
    kl_err_init(&err);
    struct val *raw = yaml ? object_parse_yaml(rq->arena, body, &err) : json_parse(rq->arena, body, &err);
    const char *fault = api_json_fault(rq->arena, raw, &err);
    if (fault) {
        refuse(rq, fault);
        return NULL;
    }
    if (check_kind(rq, json_str(raw, "apiVersion"), json_str(raw, "kind")) < 0)
        return NULL;
    if (raw->type == VAL_NULL)
        return val_new(rq->arena, VAL_OBJ);
    if (object_conform(rq->arena, t, raw, NULL, &err) >= 0)
        return raw;
    refuse(rq, err.msg);
    return NULL;
}

static int judge(struct api_rq *rq, struct api_op *op, const struct asked *q)
{
    _cleanup_buf_ struct buf dry = BUF_INIT(4096);
    bool all = true;
    if (val_is(q->dry_run, VAL_ARR))
        val_each(x, q->dry_run) {
            buf_printf(&dry, "%s" STR_FMT, dry.len ? "\",\"" : "", STR_ARG(val_str(x)));
            all &= str_is(val_str(x), "All");
        }
    op->propagation = q->has_orphan ? q->orphan ? STR("Orphan") : STR("Background") : q->propagation;
    op->dry_run = dry.len > 0;
    return api_check_delete_options(rq, q->propagation, q->has_orphan, all ? STR("") : arena_str(rq->arena, buf_str(&dry)));
}

static int by_query(struct api_rq *rq, struct api_op *op)
{
    const struct api_query *q = &rq->info.q;
    struct asked asked = { .propagation = q->propagation, .has_orphan = q->has_orphan, .orphan = q->orphan };
    if (q->dry_run.len) {
        struct val *list = val_new(rq->arena, VAL_ARR);
        val_push(list, val_of_str(rq->arena, q->dry_run));
        asked.dry_run = list;
    }
    op->want_uid = q->uid;
    op->want_version = q->resource_version;
    return judge(rq, op, &asked);
}

int api_read_delete_options(struct api_rq *rq, struct api_op *op)
{
    struct str body = http_body(rq->http);
    enum api_media media;
    if (!body.len)
        return by_query(rq, op);
    if (api_body_media(rq, &media) < 0)
        return -1;
    const struct schema_type *t = schema_type_find(STR(""), STR("v1"), STR("DeleteOptions"));
    struct val *v = media == MEDIA_PROTOBUF ? read_protobuf(rq, t, body) : read_text(rq, t, body, media == MEDIA_YAML);
    if (!v)
        return -1;
    audit_asked(rq, "meta.k8s.io/__internal", "DeleteOptions", t, v);   /* upstream tells its own form of them */
    const struct val *orphan = json_get(v, STR("orphanDependents"));
    struct asked asked = { .propagation = json_str(v, "propagationPolicy"), .has_orphan = orphan != NULL, .orphan = orphan && orphan->i, .dry_run = json_get(v, STR("dryRun")) };
    op->grace_s = json_int(v, "gracePeriodSeconds", -1);
    if (op->grace_s < 0 && json_get(v, STR("gracePeriodSeconds")))
        op->grace_s = 1;                /* as in the query */
    op->accepts = orphan && !orphan->i;
    op->want_uid = json_str(v, "preconditions.uid");
    op->want_version = json_str(v, "preconditions.resourceVersion");
    return judge(rq, op, &asked);
}
