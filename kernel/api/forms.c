/* forms.c - one object as YAML, protobuf, Table or PartialObjectMetadata. Protobuf is made once per revision and kept. */
#include "api-internal.h"

#include "base/env.h"
#include "base/varint.h"
#include "conversion.h"

const char *api_group_version(struct arena *a, const struct schema_kind *k)
{
    return k->group[0] ? arena_printf(a, "%s/%s", k->group, k->version) : k->version;
}

const char *api_list_kind(struct arena *a, const struct schema_kind *k)
{
    return k->list_kind ? k->list_kind : arena_printf(a, "%sList", k->kind);
}

struct str api_strip_type(struct str json)
{
    /* Stored bytes begin {"kind":"X","apiVersion":"Y", (object_encode_json); neither value holds a quote or escape. */
    struct str s = json;
    for (int i = 0; i < 2; i++) {
        long comma = str_find(s, ',');
        if (comma < 0)
            return json;
        s = str_skip(s, (size_t)comma + 1);
    }
    return s;
}

void api_list_head(struct buf *b, struct arena *a, const struct schema_kind *k, const struct val *meta)
{
    if (k->flags & K_CUSTOM) {
        buf_printf(b, "{\"apiVersion\":\"%s\",\"items\":[", api_group_version(a, k));
        return;
    }
    buf_printf(b, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":", api_list_kind(a, k), api_group_version(a, k));
    json_write(b, meta);
    buf_lit(b, ",\"items\":[");
}

void api_list_tail(struct buf *b, struct arena *a, const struct schema_kind *k, const struct val *meta)
{
    if (k->flags & K_CUSTOM) {
        buf_printf(b, "],\"kind\":\"%s\",\"metadata\":", api_list_kind(a, k));
        json_write(b, meta);
        buf_lit(b, "}\n");
    } else {
        buf_lit(b, "]}\n");
    }
}

/* Upstream makes tables of what is stored. Events have the same cells in both forms. */
static const struct val *in_storage_form(struct arena *a, const struct schema_kind *k, const struct val *object)
{
    if (k->storage == k || k->flags & K_CUSTOM || strcmp(k->kind, "HorizontalPodAutoscaler") != 0)
        return object;
    const struct val *stored = api_convert_hpa(a, val_copy(a, object), true);
    return stored ? stored : object;
}

/* Annotations by which a version tells what its own form has no member for: the object itself has them, its metadata alone has not. */
static void drop_notes(struct arena *a, const struct schema_kind *k, struct val *meta)
{
    static const char daemons[] = "deprecated.daemonset.template.generation", autoscaling[] = "autoscaling.alpha.kubernetes.io/";
    bool autoscaler = strcmp(k->resource, "autoscaling/horizontalpodautoscalers") == 0;
    struct val *notes = json_get(meta, STR("annotations")), *kept;
    if (!val_is(notes, VAL_OBJ) || !(autoscaler || strcmp(k->resource, "apps/daemonsets") == 0))
        return;
    kept = val_new(a, VAL_OBJ);
    val_each(n, notes) if (!(autoscaler ? str_starts(val_key(n), str_of(autoscaling)) : str_is(val_key(n), daemons))) json_set(a, kept, val_key(n), val_copy(a, n));
    if (kept->n)
        json_set(a, meta, STR("annotations"), kept);
    else
        json_del(meta, STR("annotations"));
}

struct val *api_partial(struct arena *a, const struct schema_kind *k, const struct val *object, bool list_item, struct str version)
{
    struct val *v = val_new(a, VAL_OBJ);
    if (!list_item) {
        json_set_str(a, v, STR("kind"), STR("PartialObjectMetadata"));
        json_set_str(a, v, STR("apiVersion"), str_is(version, "v1beta1") ? STR("meta.k8s.io/v1beta1") : STR("meta.k8s.io/v1"));
    }
    const struct val *meta = json_get(object, STR("metadata"));
    bool by_name = val_is(meta, VAL_OBJ) && meta->first && !str_is(val_key(meta->first), "name") && !str_is(val_key(meta->first), "generateName");
    json_set(a, v, STR("metadata"), !by_name ? val_copy(a, meta) : object_encoded(a, schema_type_by_name(STR("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")), meta));
    drop_notes(a, k, json_get(v, STR("metadata")));
    return v;
}

struct val *api_table(struct arena *a, const struct schema_kind *k, bool columns, struct str version)
{
    struct val *t = val_new(a, VAL_OBJ);
    json_set_str(a, t, STR("kind"), STR("Table"));
    json_set_str(a, t, STR("apiVersion"), str_is(version, "v1beta1") ? STR("meta.k8s.io/v1beta1") : STR("meta.k8s.io/v1"));
    json_obj(a, t, STR("metadata"));
    if (columns)
        json_set(a, t, STR("columnDefinitions"), object_table_columns(a, k));
    else
        json_set(a, t, STR("columnDefinitions"), val_new(a, VAL_NULL));
    json_arr(a, t, STR("rows"));
    return t;
}

int api_table_row(struct arena *a, struct val *table, const struct schema_kind *k, struct val *object, struct str include)
{
    struct val *row = val_new(a, VAL_OBJ);
    const struct val *shown = in_storage_form(a, k, object);
    struct val *conditions = object_table_conditions(a, k, object);
    json_set(a, row, STR("cells"), object_table_cells(a, shown == object ? k : k->storage, shown, env_wall_ns()));
    if (conditions)
        json_set(a, row, STR("conditions"), conditions);
    if (str_is(include, "Object"))
        json_set(a, row, STR("object"), object);
    else if (str_is(include, "None"))
        json_set(a, row, STR("object"), val_new(a, VAL_NULL));
    else
        json_set(a, row, STR("object"), api_partial(a, k, object, false, str_skip(json_str(table, "apiVersion"), sizeof "meta.k8s.io/" - 1)));
    return val_push(json_arr(a, table, STR("rows")), row) ? 0 : -KL_NO_MEMORY;
}

static void put_bytes(struct buf *b, unsigned tag, struct str s)
{
    varint_put(b, tag << 3 | 2);
    varint_put(b, s.len);
    buf_add_str(b, s);
}

void api_protobuf_wrap(struct buf *b, struct str api_version, struct str kind, struct str raw)
{
    _cleanup_buf_ struct buf type = BUF_INIT(0);
    put_bytes(&type, 1, api_version);
    put_bytes(&type, 2, kind);
    buf_add(b, "k8s\0", 4);
    put_bytes(b, 1, buf_str(&type));
    put_bytes(b, 2, raw);
    put_bytes(b, 3, STR(""));
    put_bytes(b, 4, STR(""));
    b->failed |= type.failed;
}

struct str api_protobuf_raw(struct store_object *o, const struct schema_kind *k, struct kl_err *err)
{
    struct str form = store_object_form(o, STORE_FORM_PROTOBUF);
    if (form.at)
        return form;
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    struct val *v = a ? json_parse(a, store_object_json(o), err) : NULL;
    struct buf b = BUF_INIT(0);
    size_t len;
    char *at = v && object_encode_message(&b, k->type, v, err) == 0 ? buf_take(&b, &len) : NULL;
    if (!at) {
        buf_free(&b);
        return STR_NONE;
    }
    store_object_set_form(o, STORE_FORM_PROTOBUF, at, len);
    return str_n(at, len);
}

static int form_tree(struct api_rq *rq, const struct schema_kind *k, struct val *v, struct buf *b)
{
    struct arena *a = rq->arena;
    struct kl_err err;
    kl_err_init(&err);
    const struct schema_type *t = k->type;
    if (rq->accept.as == AS_TABLE) {
        struct val *table = api_table(a, k, true, rq->accept.as_version);
        struct str rv = json_str(v, "metadata.resourceVersion");
        if (rv.len)
            json_set_str(a, json_obj(a, table, STR("metadata")), STR("resourceVersion"), rv);
        struct str include = api_include_object(rq);
        if (api_check_include(rq, include) < 0)
            return -rq->err.code;
        api_table_row(a, table, k, v, include);
        v = table;
        t = NULL;
    } else if (rq->accept.as) {
        v = api_partial(a, k, v, false, rq->accept.as_version);
        t = schema_type_by_name(STR("io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata"));
    }
    switch (rq->accept.media) {
    case MEDIA_YAML: object_write_yaml(b, v); break;
    case MEDIA_PROTOBUF:
        if (!t)
            return api_fail(&rq->err, a, KL_NOT_ACCEPTABLE, "a Table has no protobuf form");
        if (object_encode_protobuf(b, t, v, &err) < 0)
            return api_fail_err(&rq->err, a, &err);
        break;
    default:
        if (rq->pretty) {
            json_write_pretty(b, v);
        } else {
            json_write(b, v);
            buf_add_c(b, '\n');
        }
    }
    return b->failed ? api_fail(&rq->err, a, KL_NO_MEMORY, "out of memory") : 0;
}

int api_form_object(struct api_rq *rq, const struct schema_kind *k, struct str json, struct store_object *o, struct buf *b)
{
    struct kl_err err;
    kl_err_init(&err);
    if (o && rq->accept.media == MEDIA_PROTOBUF && rq->accept.as == AS_OBJECT && !api_converts(k)) {
        struct str raw = api_protobuf_raw(o, k, &err);
        if (!raw.at)
            return api_fail_err(&rq->err, rq->arena, &err);
        api_protobuf_wrap(b, str_of(api_group_version(rq->arena, k)), str_of(k->kind), raw);
        return b->failed ? api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory") : 0;
    }
    if (rq->accept.media == MEDIA_JSON && rq->accept.as == AS_OBJECT && !rq->pretty && !(o && api_converts(k))) {
        buf_add_str(b, json);
        buf_add_c(b, '\n');
        return b->failed ? api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory") : 0;
    }
    struct val *v = json_parse(rq->arena, json, &err);
    if (!v)
        return api_fail_err(&rq->err, rq->arena, &err);
    struct api_asker q = api_rq_asker(rq);
    if (o && !(v = api_from_storage(&q, k, v)))
        return -rq->err.code;
    return form_tree(rq, k, v, b);
}
