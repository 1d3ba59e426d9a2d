/* error.c - failures as the API tells them: Status objects with upstream's words. */
#include <stdarg.h>

#include "api-internal.h"

static void set_code(struct api_error *e, int code)
{
    const struct kl_code_row *row = kl_code_row(code);
    *e = (struct api_error){ .code = code, .http = row->http, .reason = row->reason };
    if (code == KL_TOO_MANY_REQUESTS || code == KL_UNAVAILABLE || code == KL_TIMEOUT)
        e->retry_after = 1;
}

int api_fail(struct api_error *e, struct arena *a, int code, const char *fmt, ...)
{
    set_code(e, code);
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    e->message = arena_dup(a, str_of(text));
    if (!e->message)
        e->message = "out of memory";
    return -code;
}

int api_fail_err(struct api_error *e, struct arena *a, const struct kl_err *err)
{
    return api_fail(e, a, err->code ? err->code : KL_INTERNAL, "%s", err->msg);
}

static int generic(struct api_error *e, struct arena *a, int code, const char *text)
{
    api_fail(e, a, code, "%s", text);
    e->empty_details = true;
    return -code;
}

int api_fail_path(struct api_error *e, struct arena *a)
{
    return generic(e, a, KL_NOT_FOUND, "the server could not find the requested resource");
}

int api_fail_method(struct api_error *e, struct arena *a)
{
    return generic(e, a, KL_METHOD_NOT_ALLOWED, "the server does not allow this method on the requested resource");
}

const char *api_resource_text(struct arena *a, const struct schema_kind *k)
{
    return k->group[0] ? arena_printf(a, "%s.%s", k->plural, k->group) : k->plural;
}

static void set_details(struct api_error *e, struct arena *a, const struct schema_kind *k, struct str name, const char *kind)
{
    e->name = arena_dup(a, name);
    e->group = k->group;
    e->kind = kind;
}

int api_fail_not_found(struct api_error *e, struct arena *a, const struct schema_kind *k, struct str name)
{
    api_fail(e, a, KL_NOT_FOUND, "%s \"" STR_FMT "\" not found", api_resource_text(a, k), STR_ARG(name));
    set_details(e, a, k, name, k->plural);
    return -KL_NOT_FOUND;
}

int api_fail_exists(struct api_error *e, struct arena *a, const struct schema_kind *k, struct str name)
{
    api_fail(e, a, KL_ALREADY_EXISTS, "%s \"" STR_FMT "\" already exists", api_resource_text(a, k), STR_ARG(name));
    set_details(e, a, k, name, k->plural);
    return -KL_ALREADY_EXISTS;
}

int api_fail_conflict(struct api_error *e, struct arena *a, const struct schema_kind *k, struct str name, const char *why)
{
    api_fail(e, a, KL_CONFLICT, "Operation cannot be fulfilled on %s \"" STR_FMT "\": %s", api_resource_text(a, k),
             STR_ARG(name), why);
    set_details(e, a, k, name, k->plural);
    return -KL_CONFLICT;
}

/* The message has what is complained of twice once; the causes have it twice. */
static bool said(const struct object_causes *c, unsigned i)
{
    for (unsigned k = 0; k < i; k++)
        if (strcmp(c->at[k].field, c->at[i].field) == 0 && strcmp(c->at[k].message, c->at[i].message) == 0)
            return true;
    return false;
}

int api_fail_invalid(struct api_error *e, struct arena *a, const struct schema_kind *k, struct str name,
                     const struct object_causes *c)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    buf_printf(&b, "%s%s%s \"" STR_FMT "\" is invalid: ", k->kind, k->group[0] ? "." : "", k->group, STR_ARG(name));
    unsigned shown = 0;
    for (unsigned i = 0; i < c->n; i++)
        shown += !said(c, i);
    if (shown > 1)
        buf_add_c(&b, '[');
    for (unsigned i = 0; i < c->n; i++)
        if (!said(c, i))
            buf_printf(&b, "%s%s: %s", i ? ", " : "", c->at[i].field, c->at[i].message);
    if (shown > 1)
        buf_add_c(&b, ']');
    set_code(e, KL_INVALID);
    e->message = arena_dup(a, buf_str(&b));
    set_details(e, a, k, name, k->kind);
    e->causes = c->at;
    e->n_causes = c->n;
    return -KL_INVALID;
}

static void sort_below(struct arena *a, struct val *v)
{
    if (val_is(v, VAL_OBJ))
        json_sort(a, v);
    for (struct val *m = v->type >= VAL_ARR ? v->first : NULL; m; m = m->next)
        sort_below(a, m);
}

/* Members in order, down to where the patch goes: what it does not touch upstream's library shows as it was. A list is the patch's own. */
static void sort_touched(struct arena *a, struct val *v, const struct val *patch)
{
    if (!val_is(v, VAL_OBJ) || !json_sort(a, v))
        return;
    for (struct val *m = val_is(patch, VAL_OBJ) ? patch->first : NULL, *at; m; m = m->next) {
        if (!(at = json_get(v, val_key(m))))
            continue;
        if (m->type == VAL_OBJ)
            sort_touched(a, at, m);
        else if (m->type == VAL_ARR)
            sort_below(a, at);
    }
}

/* The object that a JSON patch goes into at each of its steps, too. */
static void sort_steps(struct arena *a, struct val *v, struct str path)
{
    sort_touched(a, v, NULL);
    if (!path.len || path.at[0] != '/')
        return;
    struct str rest = str_skip(path, 1), step = str_cut(&rest, '/');
    struct val *m = json_get(v, step);
    if (rest.at && val_is(m, VAL_OBJ))
        sort_steps(a, m, str_n(rest.at - 1, rest.len + 1));
}

/* text: what the patch made, or the patch. */
static int fail_shown(struct api_error *e, struct arena *a, struct str text, const char *why)
{
    _cleanup_buf_ struct buf quoted = BUF_INIT(0);
    struct object_cause *c = arena_alloc(a, sizeof *c);
    object_write_quoted(&quoted, text);
    set_code(e, KL_INVALID);
    if (!c || quoted.failed)
        return api_fail(e, a, KL_NO_MEMORY, "out of memory");
    *c = (struct object_cause){ "FieldValueInvalid", "patch", arena_printf(a, "Invalid value: %s: %s", quoted.at, why) };
    e->message = arena_printf(a, " \"\" is invalid: patch: %s", c->message);
    e->causes = c;
    e->n_causes = 1;
    return -KL_INVALID;
}

int api_fail_patched(struct api_error *e, struct arena *a, struct val *patched, const struct val *patch, const char *why)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    if (val_is(patch, VAL_ARR)) {
        val_each(op, patch)
            sort_steps(a, patched, json_str(op, "path"));
    } else {
        sort_touched(a, patched, patch);
    }
    json_write(&b, patched);
    return b.failed ? api_fail(e, a, KL_NO_MEMORY, "out of memory") : fail_shown(e, a, buf_str(&b), why);
}

int api_fail_strategic(struct api_error *e, struct arena *a, const struct val *patch, const char *why)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    object_write_go(&b, patch);
    return b.failed ? api_fail(e, a, KL_NO_MEMORY, "out of memory") : fail_shown(e, a, buf_str(&b), why);
}

int api_fail_patch(struct api_error *e, struct arena *a, const struct kl_err *err)
{
    if (err->code != KL_INVALID) {
        api_fail_err(e, a, err);
        e->reason = err->code == KL_INTERNAL ? NULL : e->reason;        /* upstream's 500 has none */
        return -e->code;
    }
    api_fail(e, a, KL_INVALID, "the server rejected our request due to an error in our request");
    e->empty_details = true;
    return -KL_INVALID;
}

static void put(struct arena *a, struct val *obj, const char *key, const char *text)
{
    if (text && text[0])
        json_set_str(a, obj, str_of(key), str_of(text));
}

static struct val *details_tree(struct arena *a, const struct api_error *e)
{
    struct val *d = val_new(a, VAL_OBJ);
    put(a, d, "name", e->name);
    put(a, d, "group", e->group);
    put(a, d, "kind", e->kind);
    put(a, d, "uid", e->uid);
    for (unsigned i = 0; i < e->n_causes; i++) {
        struct val *c = val_push(json_arr(a, d, STR("causes")), val_new(a, VAL_OBJ));
        put(a, c, "reason", e->causes[i].reason);
        put(a, c, "message", e->causes[i].message);
        put(a, c, "field", e->causes[i].field);
    }
    if (e->retry_after)
        json_set_int(a, d, STR("retryAfterSeconds"), e->retry_after);
    return d;
}

struct val *api_error_tree(struct arena *a, const struct api_error *e)
{
    if (e->status)
        return val_copy(a, e->status);
    struct val *v = val_new(a, VAL_OBJ);
    put(a, v, "kind", "Status");
    put(a, v, "apiVersion", "v1");
    struct val *meta = json_obj(a, v, STR("metadata"));
    put(a, meta, "continue", e->continue_token);
    put(a, v, "status", "Failure");
    put(a, v, "message", e->message);
    put(a, v, "reason", e->reason);
    struct val *d = details_tree(a, e);
    if (d && (d->first || e->empty_details))
        json_set(a, v, STR("details"), d);
    json_set_int(a, v, STR("code"), e->http);
    return v;
}
