/* conversion_answer.c - what a conversion webhook answered: is it an answer to the question, and are these the same objects? A webhook may change
 * labels and annotations, and nothing else of the metadata. Upstream's words. Pure. */
#include "conversion.h"

#include "object/validate.h"

struct reading {
    struct arena *arena;
    const struct conversion_asked *asked;
};

/* As Go prints a GroupVersionKind. */
static const char *gvk(struct arena *a, const struct val *v)
{
    struct str version = json_str(v, "apiVersion"), group = STR("");
    if (str_find(version, '/') >= 0)
        group = str_cut(&version, '/');
    return arena_printf(a, STR_FMT "/" STR_FMT ", Kind=" STR_FMT, STR_ARG(group), STR_ARG(version), STR_ARG(json_str(v, "kind")));
}

const char *conversion_failed(struct arena *a, const struct conversion_asked *asked, const char *what)
{
    const struct val *first = asked->n ? json_parse(a, asked->objects[0], NULL) : NULL;
    const char *text = arena_printf(a, "conversion webhook for %s %s", gvk(a, first), what ? what : "failed: out of memory");
    return text ? text : "conversion webhook failed: out of memory";
}

/* A value's type in Go's eyes. */
static const char *go_type(const struct val *v)
{
    static const char *const names[] = { [VAL_NULL] = "<nil>", [VAL_BOOL] = "bool", [VAL_INT] = "int64", [VAL_NUM] = "float64",
                                         [VAL_STR] = "string", [VAL_ARR] = "[]interface {}", [VAL_OBJ] = "map[string]interface {}" };
    return v ? names[v->type] : "<nil>";
}

/* --- the envelope --- */

static const char *check_envelope(const struct reading *r, const struct val *v, const struct val **ret_list)
{
    struct arena *a = r->arena;
    const struct val *response = json_get(v, STR("response")), *result = json_get(response, STR("result"));
    bool strict = strcmp(r->asked->review, "v1") == 0;          /* v1beta1 looked at neither kind nor uid */
    struct str status = json_str(result, "status"), message = json_str(result, "message");
    if (!val_is(v, VAL_OBJ) || !json_str(v, "kind").len)
        return "Object 'Kind' is missing in the answer";
    if (!json_str(v, "apiVersion").len)
        return "Object 'apiVersion' is missing in the answer";
    if (strict && (!str_is(json_str(v, "apiVersion"), "apiextensions.k8s.io/v1") || !str_is(json_str(v, "kind"), "ConversionReview")))
        return arena_printf(a, "expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got %s", gvk(a, v));
    if (!val_is(response, VAL_OBJ))
        return "no response provided";
    if (strict && !str_is(json_str(response, "uid"), r->asked->uid))
        return arena_printf(a, "expected response.uid=\"%s\", got \"" STR_FMT "\"", r->asked->uid, STR_ARG(json_str(response, "uid")));
    if (!str_is(status, "Success"))
        return message.len ? arena_dup(a, message) :
                             arena_printf(a, "response.result.status was '" STR_FMT "', not 'Success'", STR_ARG(status));
    *ret_list = json_get(response, STR("convertedObjects"));
    return NULL;
}

/* --- one object --- */

static const char *differs(const struct reading *r, const char *what, const struct val *was, const struct val *now, const char *path)
{
    struct str a = json_str(was, path), b = json_str(now, path);
    return str_eq(a, b) ? NULL : arena_printf(r->arena, "must have the same %s: " STR_FMT " != " STR_FMT, what, STR_ARG(a), STR_ARG(b));
}

static bool same_map(const struct val *was, const struct val *now)
{
    if ((val_is(was, VAL_OBJ) ? was->n : 0) != now->n)
        return false;
    val_each(m, now) {
        const struct val *there = json_get(was, val_key(m));
        if (!there || !str_eq(val_str(there), val_str(m)))
            return false;
    }
    return true;
}

/* Causes as one text, as Go's aggregates have it. */
static const char *joined(struct arena *a, const struct object_causes *c)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    for (unsigned i = 0; i < c->n; i++)
        buf_printf(&b, "%s%s%s: %s", i ? ", " : "", i == 0 && c->n > 1 ? "[" : "", c->at[i].field, c->at[i].message);
    if (c->n > 1)
        buf_add_c(&b, ']');
    return b.failed ? "too many errors" : arena_dup(a, buf_str(&b));
}

static const char *check_marks(const struct reading *r, const struct val *was, const struct val *now, const char *name)
{
    const struct val *m = json_get(now, str_of(name));
    struct object_causes found = { .arena = r->arena };
    if (!m || val_is(m, VAL_NULL))
        return NULL;
    if (!val_is(m, VAL_OBJ))
        return arena_printf(r->arena, "invalid metadata.%s of type %s in converted object", name, go_type(m));
    val_each(v, m)
        if (!val_is(v, VAL_STR))
            return arena_printf(r->arena, "metadata.%s[" STR_FMT "] must be a string, but is %s in converted object", name, STR_ARG(val_key(v)),
                                go_type(v));
    if (same_map(json_get(was, str_of(name)), m))
        return NULL;
    if (strcmp(name, "labels") == 0)
        check_labels(&found, IN(IN(NULL, "metadata"), "labels"), m);
    else
        check_annotations(&found, IN(IN(NULL, "metadata"), "annotation"), m);
    return found.n ? joined(r->arena, &found) : NULL;
}

static const char *check_metadata_of(const struct reading *r, const struct val *was, const struct val *now)
{
    const struct val *meta = json_get(now, STR("metadata"));
    if (!meta)
        return "missing metadata in converted object";
    if (!val_is(meta, VAL_OBJ))
        return arena_printf(r->arena, "invalid metadata of type %s in converted object", go_type(meta));
    const char *why = check_marks(r, json_get(was, STR("metadata")), meta, "labels");
    return why ? why : check_marks(r, json_get(was, STR("metadata")), meta, "annotations");
}

/* Of one object alone and of one among many upstream speaks in two ways; among many it counts from 1. */
static const char *complain(const struct reading *r, unsigned i, const char *what, const char *at, const char *why)
{
    bool one = r->asked->n == 1;
    if (one)
        return arena_printf(r->arena, "returned invalid %s%s: %s", what, at, why);
    return arena_printf(r->arena, "returned invalid %s at index %u: %s", strcmp(what, "metadata") == 0 ? "metadata in object" : "converted object", i + 1,
                        why);
}

static const char *check_object(const struct reading *r, unsigned i, const struct val *now)
{
    struct arena *a = r->arena;
    const struct val *was = json_parse(a, r->asked->objects[i], NULL);
    struct str version = json_str(now, "apiVersion"), kind = json_str(now, "kind"), kind_was = json_str(was, "kind");
    if (!val_is(now, VAL_OBJ) || !kind.len)
        return complain(r, i, "object", " at index 0", "Object 'Kind' is missing");
    if (!str_is(version, r->asked->desired))
        return complain(r, i, "object", " at index 0",
                        arena_printf(a, "invalid groupVersion (expected %s, received " STR_FMT ")", r->asked->desired, STR_ARG(version)));
    if (!str_eq(kind, kind_was))
        return complain(r, i, "object", " at index 0",
                        arena_printf(a, "invalid kind (expected " STR_FMT ", received " STR_FMT ")", STR_ARG(kind_was), STR_ARG(kind)));
    const char *why = differs(r, "name", was, now, "metadata.name");
    why = why ? why : differs(r, "namespace", was, now, "metadata.namespace");
    why = why ? why : differs(r, "UID", was, now, "metadata.uid");
    if (why)
        return complain(r, i, "object", "", why);
    why = check_metadata_of(r, was, now);
    return why ? complain(r, i, "metadata", "", why) : NULL;
}

static const char *take_object(const struct reading *r, unsigned i, const struct val *now, struct str *ret)
{
    const char *why = check_object(r, i, now);
    if (why)
        return why;
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    json_write(&b, now);
    *ret = b.failed ? STR_NONE : arena_str(r->arena, buf_str(&b));
    return ret->at ? NULL : "failed: out of memory";
}

static const char *ends(const struct reading *r, enum conversion_outcome how, const char *what)
{
    if (r->asked->outcome)
        *r->asked->outcome = how;
    return what ? conversion_failed(r->arena, r->asked, what) : NULL;
}

const char *conversion_read(struct arena *a, const struct conversion_asked *asked, struct str body, struct str *ret)
{
    struct reading r = { a, asked };
    struct kl_err err;
    kl_err_init(&err);
    const struct val *list = NULL, *v = json_parse(a, body, &err);
    const char *why = v ? check_envelope(&r, v, &list) : arena_printf(a, "couldn't get version/kind; json parse error: %s", err.msg);
    if (why || arena_exhausted(a))
        return ends(&r, v ? CONVERSION_MALFORMED : CONVERSION_CALL_FAILED, arena_printf(a, "failed: %s", why ? why : "out of memory"));
    unsigned n = val_is(list, VAL_ARR) ? list->n : 0, i = 0;
    if (n != asked->n)
        return ends(&r, CONVERSION_PARTIAL, arena_printf(a, "returned %u objects, expected %u", n, asked->n));
    for (const struct val *o = n ? list->first : NULL; o; o = o->next, i++)
        if ((why = take_object(&r, i, o, &ret[i])))
            return ends(&r, CONVERSION_INVALID, why);
    return arena_exhausted(a) ? ends(&r, CONVERSION_INVALID, "failed: out of memory") : ends(&r, CONVERTED, NULL);
}
