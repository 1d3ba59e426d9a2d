/* exchange.c - AdmissionReview v1: what is asked, and what an answer says. Pure. */
#include "webhook.h"

#include "base/base64url.h"

/* --- the question --- */

static void text(struct buf *b, const char *before, const char *s)
{
    buf_add_z(b, before);
    json_write_str(b, str_of(s));
}

static void triple(struct buf *b, const char *name, const char *group, const char *version, const char *last, const char *value)
{
    buf_printf(b, ",\"%s\":{", name);
    text(b, "\"group\":", group);
    text(b, ",\"version\":", version);
    buf_printf(b, ",\"%s\":", last);
    json_write_str(b, str_of(value));
    buf_add_c(b, '}');
}

static void extra(struct buf *b, const char *const *list)
{
    buf_lit(b, ",\"extra\":{");
    for (const char *const *x = list; x[0] && x[1]; x += 2) {
        bool before = false;            /* a key that came already */
        for (const char *const *y = list; y < x; y += 2)
            before |= strcmp(*y, *x) == 0;
        if (before)
            continue;
        text(b, x == list ? "" : ",", x[0]);
        const char *open = ":[";
        for (const char *const *y = x; y[0] && y[1]; y += 2)
            if (strcmp(*y, *x) == 0) {
                text(b, open, y[1]);
                open = ",";
            }
        buf_add_c(b, ']');
    }
    buf_add_c(b, '}');
}

static void user(struct buf *b, const struct kl_user *u)
{
    buf_lit(b, ",\"userInfo\":{");
    if (u) {
        text(b, "\"username\":", u->name ? u->name : "");
        if (u->uid && u->uid[0])
            text(b, ",\"uid\":", u->uid);
        for (const char *const *g = u->groups; g && *g; g++)
            text(b, g == u->groups ? ",\"groups\":[" : ",", *g);
        if (u->groups && u->groups[0])
            buf_add_c(b, ']');
        if (KL_HAS(u, extra) && u->extra[0])
            extra(b, u->extra);
    }
    buf_add_c(b, '}');
}

static void raw(struct buf *b, const char *name, struct kl_bytes at)
{
    buf_printf(b, ",\"%s\":", name);
    if (at.len)
        buf_add(b, at.at, at.len);
    else
        buf_lit(b, "null");
}

static void objects(struct buf *b, const struct subject *s)
{
    raw(b, "object", s->as ? s->object_as : s->review->object);
    raw(b, "oldObject", s->as ? s->old_as : s->review->old_object);
}

static void members(struct buf *b, const struct subject *s, bool dry_run, bool whole)
{
    const struct kl_request *r = s->r;
    const struct kl_admission_review *v = s->review;
    const char *group = KL_HAS(v, kind_group) ? v->kind_group : r->group, *version = KL_HAS(v, kind_version) ? v->kind_version : r->version;
    bool part = strcmp(group, r->group) != 0 || strcmp(version, r->version) != 0;       /* a Scale: the same under all names */
    if (s->as && !part)
        triple(b, "kind", s->as[0], s->as[1], "kind", v->kind);
    else
        triple(b, "kind", group, version, "kind", v->kind);
    if (s->as)
        triple(b, "resource", s->as[0], s->as[1], "resource", s->as[2]);
    else
        triple(b, "resource", r->group, r->version, "resource", r->resource);
    if (r->subresource[0])
        text(b, ",\"subResource\":", r->subresource);
    triple(b, "requestKind", group, version, "kind", v->kind);
    triple(b, "requestResource", r->group, r->version, "resource", r->resource);
    if (r->subresource[0])
        text(b, ",\"requestSubResource\":", r->subresource);
    if (r->name[0])
        text(b, ",\"name\":", r->name);
    if (s->ns[0])
        text(b, ",\"namespace\":", s->ns);
    text(b, ",\"operation\":", s->operation);
    user(b, v->user);
    if (whole)
        objects(b, s);
    buf_add_z(b, dry_run ? ",\"dryRun\":true" : ",\"dryRun\":false");
    raw(b, "options", v->options);
    buf_add_c(b, '}');
}

void exchange_write(struct buf *b, const char *uid, const struct subject *s, bool dry_run)
{
    buf_add_z(b, REVIEW_HEAD);
    buf_add_z(b, uid);
    buf_add_c(b, '"');
    members(b, s, dry_run, true);
    buf_lit(b, "}\n");
}

void exchange_request(struct buf *b, const struct subject *s, bool dry_run)
{
    buf_lit(b, "{\"uid\":\"\"");
    members(b, s, dry_run, false);
}

/* --- the answer --- */

/* Before an answer is judged it has to be of the types that upstream reads it as. */
static const struct {
    const char *path, *go;              /* in the response, as Go names it and its type */
    uint8_t type, items;                /* items: of what a list or a map holds; 0: no such */
} types[] = {
    { "uid", "AdmissionResponse.response.uid of type types.UID", VAL_STR, 0 },
    { "allowed", "AdmissionResponse.response.allowed of type bool", VAL_BOOL, 0 },
    { "status", "AdmissionResponse.response.status of type v1.Status", VAL_OBJ, 0 },
    { "status.status", "Status.response.status.status of type string", VAL_STR, 0 },
    { "status.message", "Status.response.status.message of type string", VAL_STR, 0 },
    { "status.reason", "Status.response.status.reason of type v1.StatusReason", VAL_STR, 0 },
    { "status.code", "Status.response.status.code of type int32", VAL_INT, 0 },
    { "patch", "AdmissionResponse.response.patch of type []uint8", VAL_STR, 0 },
    { "patchType", "AdmissionResponse.response.patchType of type v1.PatchType", VAL_STR, 0 },
    { "auditAnnotations", "AdmissionResponse.response.auditAnnotations of type map[string]string", VAL_OBJ, VAL_STR },
    { "warnings", "AdmissionResponse.response.warnings of type []string", VAL_ARR, VAL_STR },
};

static const char *type_word(const struct val *v)
{
    return !v || v->type == VAL_STR ? "string" : v->type == VAL_OBJ ? "object" : v->type == VAL_ARR ? "array" : v->type == VAL_BOOL ? "bool" : "number";
}

static const char *wrong_type(struct arena *a, const struct val *response)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const struct val *v = json_path(response, types[i].path);
        if (!v || v->type == VAL_NULL)
            continue;
        if (v->type != types[i].type)
            return arena_printf(a, "failed to call webhook: json: cannot unmarshal %s into Go struct field %s", type_word(v), types[i].go);
        for (const struct val *x = types[i].items ? v->first : NULL; x; x = x->next)
            if (x->type != types[i].items && x->type != VAL_NULL)
                return arena_printf(a, "failed to call webhook: json: cannot unmarshal %s into Go struct field %.*s of type string", type_word(x),
                                    (int)strcspn(types[i].go, " "), types[i].go);
    }
    return NULL;
}

/* What is no AdmissionReview at all. NULL: it may be one. */
static const char *no_review(struct arena *a, struct str body, const struct val *v)
{
    struct str gv = json_str(v, "apiVersion"), kind = json_str(v, "kind");
    if (!body.len)
        return "failed to call webhook: 0-length response with status code: 200 and content type: application/json";
    if (!val_is(v, VAL_OBJ))
        return val_is(v, VAL_NULL) ? NULL : arena_printf(a, "failed to call webhook: couldn't get version/kind; json parse error: json: cannot unmarshal %s into Go value of "
                                                         "type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }", type_word(v));
    if (str_is(gv, "admission.k8s.io/v1beta1") && str_is(kind, "AdmissionReview"))
        return "failed to call webhook: converting (v1beta1.AdmissionReview) to (v1.AdmissionReview): unknown conversion";
    if (gv.len && kind.len && !(str_is(gv, "admission.k8s.io/v1") && str_is(kind, "AdmissionReview")))
        return arena_printf(a, "failed to call webhook: no kind \"" STR_FMT "\" is registered for version \"" STR_FMT "\" in scheme \"pkg/runtime/scheme.go:111\"",
                            STR_ARG(kind), STR_ARG(gv));
    return wrong_type(a, json_get(v, STR("response")));
}

#define BASE64 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
#define INVALID "received invalid webhook response: "

static bool decode_base64(struct arena *a, struct str s, struct str *ret)
{
    char *at = arena_dup(a, s);
    size_t n = s.len;
    while (n && at[n - 1] == '=')
        n--;
    for (size_t i = 0; at && i < n; i++)
        at[i] = at[i] == '+' ? '-' : at[i] == '/' ? '_' : at[i];
    *ret = at ? base64url_decode(a, str_n(at, n)) : STR_NONE;
    return ret->at != NULL;
}

static const char *read_patch(struct arena *a, const struct val *response, bool mutating, struct answer *ret)
{
    const struct val *type = json_get(response, STR("patchType"));
    struct str patch = json_str(response, "patch"), kind = val_str(type);
    if (val_is(type, VAL_NULL))
        type = NULL;
    if (patch.len && !decode_base64(a, patch, &ret->patch))
        return arena_printf(a, "failed to call webhook: illegal base64 data at input byte %zu", strspn(arena_dup(a, patch), BASE64));
    if (!mutating)
        return patch.len ? INVALID "validating webhook may not return response.patch" : type ? INVALID "validating webhook may not return response.patchType" : NULL;
    if (patch.len && !type)
        return INVALID "webhook returned response.patch but not response.patchType";
    if (!patch.len && type)
        return INVALID "webhook returned response.patchType but not response.patch";
    if (!type)
        return NULL;
    if (!kind.len)
        return INVALID "webhook returned invalid response.patchType of \"\"";
    if (!str_is(kind, "JSONPatch"))
        return arena_printf(a, INVALID "unsupported patch type \"" STR_FMT "\"", STR_ARG(kind));
    return NULL;
}

const char *exchange_read(struct arena *a, struct str body, const char *uid, bool mutating, struct answer *ret)
{
    struct val *v = json_parse(a, body, NULL);
    const struct val *response = json_get(v, STR("response"));
    struct str gv = json_str(v, "apiVersion"), kind = json_str(v, "kind"), version = gv;
    *ret = (struct answer){ 0 };
    const char *why = no_review(a, body, v);
    if (why)
        return why;
    if (!val_is(response, VAL_OBJ))
        return INVALID "webhook response was absent";
    if (!str_is(json_str(response, "uid"), uid))
        return arena_printf(a, INVALID "expected response.uid=\"%s\", got \"" STR_FMT "\"", uid, STR_ARG(json_str(response, "uid")));
    if (!str_is(gv, "admission.k8s.io/v1") || !str_is(kind, "AdmissionReview")) {
        struct str group = str_find(gv, '/') >= 0 ? str_cut(&version, '/') : STR("");
        return arena_printf(a, INVALID "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got " STR_FMT "/" STR_FMT ", Kind=" STR_FMT,
                            STR_ARG(group), STR_ARG(version), STR_ARG(kind));
    }
    ret->allowed = json_bool(response, "allowed", false);
    ret->warnings = json_get(response, STR("warnings"));
    ret->status = json_get(response, STR("status"));
    ret->annotations = json_get(response, STR("auditAnnotations"));
    return read_patch(a, response, mutating, ret);
}

struct val *exchange_status(struct arena *a, const struct val *given, struct str hook)
{
    struct val *v = val_new(a, VAL_OBJ);
    struct str message = json_str(given, "message"), reason = json_str(given, "reason"), why = message.len ? message : reason;
    int64_t code = json_int(given, "code", 0);
    json_set_str(a, v, STR("kind"), STR("Status"));
    json_set_str(a, v, STR("apiVersion"), STR("v1"));
    json_obj(a, v, STR("metadata"));
    json_set_str(a, v, STR("status"), STR("Failure"));
    char *text_of = arena_printf(a, "admission webhook \"" STR_FMT "\" denied the request%s" STR_FMT, STR_ARG(hook), why.len ? ": " : " without explanation",
                                 STR_ARG(why));
    json_set_str(a, v, STR("message"), str_of(text_of ? text_of : "admission webhook denied the request"));
    if (reason.len)
        json_set_str(a, v, STR("reason"), reason);
    if (val_is(json_get(given, STR("details")), VAL_OBJ))
        json_set(a, v, STR("details"), val_copy(a, json_get(given, STR("details"))));
    json_set_int(a, v, STR("code"), code >= 400 && code < 1000 ? code : 400);
    return v;
}
