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
    if (!mutating)
        return patch.len ? "validating webhook may not return response.patch" : type ? "validating webhook may not return response.patchType" : NULL;
    if (patch.len && !type)
        return "webhook returned response.patch but not response.patchType";
    if (!patch.len && type)
        return "webhook returned response.patchType but not response.patch";
    if (!type)
        return NULL;
    if (!kind.len)
        return "webhook returned invalid response.patchType of \"\"";
    if (!str_is(kind, "JSONPatch"))
        return arena_printf(a, "unsupported patch type \"" STR_FMT "\"", STR_ARG(kind));
    return decode_base64(a, patch, &ret->patch) ? NULL : "webhook returned response.patch that is not base64";
}

const char *exchange_read(struct arena *a, struct str body, const char *uid, bool mutating, struct answer *ret)
{
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = json_parse(a, body, &err);
    const struct val *response = json_get(v, STR("response"));
    struct str gv = json_str(v, "apiVersion"), kind = json_str(v, "kind"), version = gv;
    *ret = (struct answer){ 0 };
    if (!v)
        return arena_printf(a, "%s", err.msg);
    if (!val_is(response, VAL_OBJ))
        return "webhook response was absent";
    if (!str_is(json_str(response, "uid"), uid))
        return arena_printf(a, "expected response.uid=\"%s\", got \"" STR_FMT "\"", uid, STR_ARG(json_str(response, "uid")));
    if (!str_is(gv, "admission.k8s.io/v1") || !str_is(kind, "AdmissionReview")) {
        struct str group = str_find(gv, '/') >= 0 ? str_cut(&version, '/') : STR("");
        return arena_printf(a, "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got " STR_FMT "/" STR_FMT ", Kind=" STR_FMT,
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
    json_set_int(a, v, STR("code"), code >= 400 && code < 600 ? code : 400);
    return v;
}
