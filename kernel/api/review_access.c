/* review_access.c - access reviews: may somebody do something? The question becomes the tuple that a request of that kind would be. */
#include "api-internal.h"

static const char *text(struct arena *a, const struct val *v, const char *path)
{
    struct str s = json_str(v, path);
    return s.len ? arena_dup(a, s) : "";
}

const char *const *api_text_list(struct arena *a, const struct val *list)
{
    unsigned n = 0;
    const char **out = arena_alloc(a, ((val_is(list, VAL_ARR) ? list->n : 0) + 1) * sizeof *out);
    if (out && val_is(list, VAL_ARR))
        val_each(i, list)
            out[n++] = arena_dup(a, val_str(i));
    return out;
}

/* {"key": ["a", "b"]} as key, value, key, value. */
const char *const *api_extra_list(struct arena *a, const struct val *extra)
{
    unsigned n = 0, most = 0;
    if (val_is(extra, VAL_OBJ))
        val_each(m, extra)
            most += val_is(m, VAL_ARR) ? m->n : 0;
    const char **out = most ? arena_alloc(a, (2 * (size_t)most + 1) * sizeof *out) : NULL;
    for (const struct val *m = out ? extra->first : NULL; m; m = m->next)
        for (const struct val *v = val_is(m, VAL_ARR) ? m->first : NULL; v; v = v->next) {
            out[n++] = arena_dup(a, val_key(m));
            out[n++] = arena_dup(a, val_str(v));
        }
    return out;
}

/* --- selectors --- */

enum { FIELDS, LABELS };

/* One requirement as it stands in a selector's text. False: what cannot be said there; it is left out, which asks about more. */
static bool add_requirement(struct buf *b, const struct val *q, int kind)
{
    struct str key = json_str(q, "key"), op = json_str(q, "operator");
    const struct val *values = json_get(q, STR("values"));
    unsigned n = val_is(values, VAL_ARR) ? values->n : 0;
    bool in = str_is(op, "In"), not_in = str_is(op, "NotIn"), exists = str_is(op, "Exists"), absent = str_is(op, "DoesNotExist");
    if (!key.len || (kind == FIELDS ? !(in || not_in) || n != 1 : (in || not_in) ? !n : !(exists || absent) || n))
        return false;
    buf_printf(b, "%s%s" STR_FMT, b->len ? "," : "", absent ? "!" : "", STR_ARG(key));
    if (kind == FIELDS) {
        buf_printf(b, "%s" STR_FMT, in ? "=" : "!=", STR_ARG(val_str(values->first)));
    } else if (in || not_in) {
        buf_add_z(b, in ? " in (" : " notin (");
        val_each(v, values)
            buf_printf(b, "%s" STR_FMT, v == values->first ? "" : ",", STR_ARG(val_str(v)));
        buf_add_c(b, ')');
    }
    return true;
}

/* "a=b,c!=d": the fields of a kind that nobody here need know. */
static bool fields_ok(struct str raw)
{
    while (raw.at) {
        struct str term = str_cut(&raw, ',');
        if (str_find(term, '=') <= 0)
            return false;
    }
    return true;
}

/* The selector's text; *ret_bad: some of it (1) or all of it (2) could not be understood. */
static const char *selector(struct arena *a, const struct val *attributes, const char *which, int kind, int *ret_bad)
{
    const struct val *s = json_get(attributes, str_of(which)), *list = json_get(s, STR("requirements"));
    struct str raw = json_str(s, "rawSelector");
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    unsigned bad = 0;
    *ret_bad = 0;
    if (raw.len) {
        struct kl_err err;
        kl_err_init(&err);
        *ret_bad = (kind == LABELS ? selector_parse_labels(a, raw, &err, NULL) != NULL : fields_ok(raw)) ? 0 : 2;
        return *ret_bad ? "" : arena_dup(a, raw);
    }
    if (val_is(list, VAL_ARR))
        val_each(q, list)
            bad += !add_requirement(&b, q, kind);
    *ret_bad = !bad ? 0 : b.len ? 1 : 2;
    return b.len ? arena_dup(a, buf_str(&b)) : "";
}

static const char *selector_errors(struct arena *a, int fields, int labels)
{
    static const char *const how[] = { "", "partially ignored", "ignored" };
    if (!fields && !labels)
        return NULL;
    return arena_printf(a, "%s%s%s%s%s%s%s", fields ? "spec.resourceAttributes.fieldSelector " : "", how[fields], fields ? " due to parse error" : "",
                        fields && labels ? "; " : "", labels ? "spec.resourceAttributes.labelSelector " : "", how[labels], labels ? " due to parse error" : "");
}

/* --- the question --- */

/* What is wrong is told of no kind at all, as upstream does. */
static int check(struct api_rq *rq, const struct val *v)
{
    const struct schema_kind nameless = { .group = rq->info.kind->group, .kind = "", .plural = "" };
    struct object_causes c = { .arena = rq->arena };
    object_validate_review(rq->info.kind, v, &c);
    return c.n ? api_fail_invalid(&rq->err, rq->arena, &nameless, STR(""), &c) : 0;
}

static struct kl_request tuple_of(struct arena *a, const struct val *spec, const char **ret_error)
{
    const struct val *res = json_get(spec, STR("resourceAttributes")), *non = json_get(spec, STR("nonResourceAttributes"));
    int fields, labels;
    struct kl_request r = { .size = sizeof r, .is_resource = res != NULL, .group = text(a, res, "group"), .version = text(a, res, "version"),
                            .resource = text(a, res, "resource"), .subresource = text(a, res, "subresource"), .ns = text(a, res, "namespace"),
                            .name = text(a, res, "name"), .verb = text(a, res ? res : non, "verb"), .path = text(a, non, "path"),
                            .field_selector = selector(a, res, "fieldSelector", FIELDS, &fields), .label_selector = selector(a, res, "labelSelector", LABELS, &labels) };
    if (res && !r.version[0])
        r.version = "*";
    *ret_error = selector_errors(a, fields, labels);
    return r;
}

static int decide(struct api_rq *rq, const struct kl_user *user, const struct kl_request *r, const char *error, struct val *st)
{
    struct arena *a = rq->arena;
    struct kl_call c;
    api_rq_call(rq, &c, user->name);
    int rc = rq->api->hooks.authorize ? rq->api->hooks.authorize(rq->api->hooks.ctx, &c, user, r) : 0;
    if (rc == -KL_PENDING)
        return api_fail(&rq->err, a, KL_PENDING, "the decision is pending");
    json_set_bool(a, st, STR("allowed"), rc == 1);
    if (rc < 0)
        json_set_bool(a, st, STR("denied"), true);
    if (rc == 0 && c.err.code == KL_INTERNAL)
        error = arena_dup(a, str_of(c.err.msg));        /* nobody allows it, and somebody could not be asked */
    else if (c.err.msg[0])
        json_set_str(a, st, STR("reason"), arena_str(a, str_of(c.err.msg)));
    if (error)
        json_set_str(a, st, STR("evaluationError"), str_of(error));
    return 0;
}

void api_access_review(struct api_rq *rq, struct val *v)
{
    struct arena *a = rq->arena;
    struct val *spec = json_get(v, STR("spec")), *st = val_new(a, VAL_OBJ);
    bool self = strcmp(rq->info.kind->kind, "SelfSubjectAccessReview") == 0;
    struct kl_user user = rq->user;
    const char *error;
    if (!self)
        user = (struct kl_user){ .size = sizeof user, .name = text(a, spec, "user"), .uid = text(a, spec, "uid"),
                                 .groups = api_text_list(a, json_get(spec, STR("groups"))), .extra = api_extra_list(a, json_get(spec, STR("extra"))) };
    int rc = check(rq, v);
    if (rc == 0) {
        struct kl_request r = tuple_of(a, spec, &error);
        rc = arena_exhausted(a) ? api_fail(&rq->err, a, KL_NO_MEMORY, "out of memory") : decide(rq, &user, &r, error, st);
    }
    if (rc < 0) {
        api_send_error(rq);
        return;
    }
    json_set(a, v, STR("status"), st);
    api_send_tree(rq, 201, rq->info.kind->type, object_encoded(rq->arena, rq->info.kind->type, v));
}
