/* convert.c - what is served in another form than it is stored: events (core and events.k8s.io share storage), horizontal pod autoscalers
 * (v1 over v2: convert_hpa.c), custom resources in another version or of an earlier schema: by name alone, or by a webhook (conversion.c). */
#include "conversion.h"
#include "crd.h"

bool api_converts(const struct schema_kind *k)
{
    return k && (k->storage != k || k->flags & K_REVISED);
}

static void move(struct val *v, const char *from, const char *to)
{
    struct val *m = json_get(v, str_of(from));
    if (!m)
        return;
    json_del(v, str_of(to));
    val_rename(v, m, str_of(to));
}

static const char *const event_names[][2] = {        /* core, events.k8s.io */
    { "involvedObject", "regarding" }, { "message", "note" }, { "reportingComponent", "reportingController" },
    { "source", "deprecatedSource" }, { "firstTimestamp", "deprecatedFirstTimestamp" },
    { "lastTimestamp", "deprecatedLastTimestamp" }, { "count", "deprecatedCount" },
};

static struct val *convert_event(struct arena *a, struct val *v, bool to_core)
{
    struct val *out = val_copy(a, v);
    for (size_t i = 0; out && i < sizeof event_names / sizeof *event_names; i++)
        move(out, event_names[i][!to_core ? 0 : 1], event_names[i][to_core ? 0 : 1]);
    return out;
}

/* --- custom resources --- */

const struct schema_kind *api_custom_version(const struct schema_kind *any, struct str api_version)
{
    const struct crd_kinds *d = any->definition;
    struct str version = api_version, group = str_cut(&version, '/');
    for (unsigned i = 0; d && i < d->n; i++)
        if (str_is(group, any->group) && str_is(version, d->at[i].kind.version))
            return &d->at[i].kind;
    return NULL;
}

static struct val *failed(const struct api_asker *q, int code, const char *why)
{
    api_fail(q->err, q->arena, code, "%s", why ? why : "out of memory");
    q->err->reason = NULL;              /* upstream's 500 has none */
    return NULL;
}

/* What the version does not know goes. */
static struct val *conform(const struct api_asker *q, const struct schema_kind *k, struct val *v)
{
    struct kl_err err;
    kl_err_init(&err);
    if (object_conform(q->arena, k->type, v, NULL, &err) < 0)
        return failed(q, KL_INTERNAL, arena_dup(q->arena, str_of(err.msg)));
    return arena_exhausted(q->arena) ? failed(q, KL_NO_MEMORY, NULL) : v;
}

/* As it is sent: without what only the store and the server's bookkeeping know, so that one object is one text. */
static void write_question(struct buf *b, const struct val *v)
{
    static const char *const left_out[] = { "resourceVersion", "managedFields" };
    val_each(m, v) {
        buf_add_c(b, m == v->first ? '{' : ',');
        json_write_str(b, val_key(m));
        buf_add_c(b, ':');
        if (!str_is(val_key(m), "metadata") || !val_is(m, VAL_OBJ)) {
            json_write(b, m);
            continue;
        }
        const char *before = "{";
        val_each(x, m) {
            if (str_is(val_key(x), left_out[0]) || str_is(val_key(x), left_out[1]))
                continue;
            buf_add_z(b, before);
            json_write_str(b, val_key(x));
            buf_add_c(b, ':');
            json_write(b, x);
            before = ",";
        }
        buf_add_z(b, before[0] == '{' ? "{}" : "}");
    }
    buf_add_z(b, v->n ? "}" : "{}");
}

/* The object's own metadata, with the labels and annotations that the webhook gave it. */
static void restore_metadata(struct arena *a, struct val *out, const struct val *from)
{
    static const char *const names[] = { "labels", "annotations" };
    const struct val *given = json_get(out, STR("metadata"));
    struct val *meta = val_copy(a, json_get(from, STR("metadata")));
    for (size_t i = 0; meta && i < sizeof names / sizeof *names; i++) {
        const struct val *marks = json_get(given, str_of(names[i]));
        if (val_is(marks, VAL_OBJ))
            json_set(a, meta, str_of(names[i]), val_copy(a, marks));
        else
            json_del(meta, str_of(names[i]));
    }
    if (meta)
        json_set(a, out, STR("metadata"), meta);
}

static struct val *by_webhook(const struct api_asker *q, const struct schema_kind *to, const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    struct str text;
    write_question(&b, v);
    if (b.failed)
        return failed(q, KL_NO_MEMORY, NULL);
    if (conversion_get(q, to, buf_str(&b), &text) < 0)
        return NULL;
    struct val *out = json_parse(q->arena, text, NULL);
    if (!out)
        return failed(q, KL_NO_MEMORY, NULL);
    restore_metadata(q->arena, out, v);
    return conform(q, to, out);
}

/* Strategy None: only the version's name changes. */
static struct val *by_name(const struct api_asker *q, const struct schema_kind *to, const struct val *v)
{
    struct val *out = val_copy(q->arena, v);
    json_set_str(q->arena, out, STR("apiVersion"), str_of(api_group_version(q->arena, to)));
    return out ? conform(q, to, out) : failed(q, KL_NO_MEMORY, NULL);
}

static struct val *convert_custom(const struct api_asker *q, const struct schema_kind *from, const struct schema_kind *to, struct val *v)
{
    if (strcmp(from->version, to->version) == 0)
        return v;
    return to->definition && to->definition->webhook ? by_webhook(q, to, v) : by_name(q, to, v);
}

/* What is stored may be of any version that the definition has ever had. Its own version's schema prunes it and fills in its defaults. */
static struct val *custom_stored(const struct api_asker *q, const struct schema_kind *to, struct val *v)
{
    struct str version = json_str(v, "apiVersion");
    const struct schema_kind *from = api_custom_version(to, version);
    if (!from)
        return failed(q, KL_INTERNAL, arena_printf(q->arena, "request to convert CR from an invalid group/version: " STR_FMT, STR_ARG(version)));
    if (!conform(q, from, v))
        return NULL;
    if (object_default(q->arena, from, v) < 0)
        return failed(q, KL_NO_MEMORY, NULL);
    return convert_custom(q, from, to, v);
}

bool api_converts_by_webhook(const struct schema_kind *k)
{
    return api_converts(k) && k->definition && k->definition->webhook;
}

/* --- any kind --- */

struct val *api_convert(const struct api_asker *q, const struct schema_kind *from, const struct schema_kind *to, struct val *v)
{
    struct kl_err err;
    kl_err_init(&err);
    if (to->flags & K_CUSTOM)
        return convert_custom(q, from, to, v);
    if (from == to)
        return v;
    struct val *out = strcmp(from->kind, "Event") == 0 ? convert_event(q->arena, v, !to->group[0])
                                                       : api_convert_hpa(q->arena, v, strcmp(to->version, "v2") == 0);
    json_set_str(q->arena, out, STR("kind"), str_of(to->kind));
    json_set_str(q->arena, out, STR("apiVersion"), str_of(api_group_version(q->arena, to)));
    if (out && object_conform(q->arena, to->type, out, NULL, &err) == 0)
        return out;
    if (err.code)
        api_fail_err(q->err, q->arena, &err);
    else
        api_fail(q->err, q->arena, KL_NO_MEMORY, "out of memory");
    return NULL;
}

struct val *api_from_storage(const struct api_asker *q, const struct schema_kind *k, struct val *v)
{
    if (!api_converts(k))
        return v;
    if (k->flags & K_CUSTOM)            /* what defaults added stands behind */
        return (v = custom_stored(q, k, v)) && !json_sort_all(q->arena, v) ? failed(q, KL_NO_MEMORY, NULL) : v;
    if (!(v = api_convert(q, k->storage, k, v)))
        return NULL;
    v = object_encoded(q->arena, k->type, v);       /* with the empty members that a stored object of the kind has */
    return v ? v : failed(q, KL_NO_MEMORY, NULL);
}

struct val *api_stored_tree(const struct api_asker *q, const struct schema_kind *k, struct store_object *o)
{
    struct val *v = api_tree(q->arena, o, q->err);
    return v ? api_from_storage(q, k, v) : NULL;
}

struct api_asker api_op_asker(struct api_op *op)
{
    return (struct api_asker){ op->api, op->arena, op->request, &op->err };
}

struct api_asker api_rq_asker(struct api_rq *rq)
{
    return (struct api_asker){ rq->api, rq->arena, rq->id, &rq->err };
}
