/* selector.c - label and field selectors: parsed once, matched over trees or straight over stored text. */
#include <stdlib.h>

#include "base/json_scan.h"
#include "selector-internal.h"

struct requirement *selector_add(struct arena *a, struct selector *s, struct str key, enum operator op, unsigned room)
{
    struct requirement *r = arena_alloc(a, sizeof *r);
    if (!r || !(r->values = arena_alloc(a, (room + 1) * sizeof *r->values)))
        return NULL;
    r->key = key;
    r->op = op;
    *(s->last ? &s->last->next : &s->first) = r;
    s->last = r;
    return r;
}

/* --- fields --- */

/* Kinds with field labels of their own: upstream has a function for each. Others share one. */
static bool names_own(const struct schema_kind *k)
{
    static const char *const rows[] = { "Pod", "ReplicationController", "Service", "Secret", "Namespace", "Node", "Event", "CertificateSigningRequest" };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (k->flags & K_CUSTOM || strcmp(k->kind, rows[i]) == 0)
            return true;
    return false;
}

static bool field_known(const struct schema_kind *k, struct str key)
{
    struct str rest = str_of(k->selectable ? k->selectable : "");
    if (str_is(key, "metadata.name") || (str_is(key, "metadata.namespace") && (k->flags & K_NAMESPACED || !(names_own(k) || strcmp(k->kind, "ResourceSlice") == 0))))
        return true;
    while (rest.at)
        if (str_eq(str_cut(&rest, ','), key))
            return true;
    return false;
}

/* Kinds that are stored under other names (events.k8s.io) are selected by the stored ones. */
static const char *stored_path(struct arena *a, const struct schema_kind *k, struct str key)
{
    if (k->storage != k && str_starts(key, STR("regarding.")))
        return arena_printf(a, "involvedObject." STR_FMT, STR_ARG(str_skip(key, 10)));
    if (k->storage != k && str_is(key, "reportingController"))
        return "reportingComponent";
    if (str_is(key, "source") && strcmp(k->kind, "Event") == 0)
        return "source.component";
    if (str_is(key, "status.successful") && strcmp(k->kind, "Job") == 0)
        return "status.succeeded";
    return arena_dup(a, key);
}

/* A built-in type's zero, which is not stored; custom resources have none. */
static struct str zero_text(const struct schema_kind *k, const char *path)
{
    const struct schema_type *t = k->storage->type;
    if (k->flags & K_CUSTOM)
        return STR("");
    for (struct str rest = str_of(path); rest.at && t;) {
        const struct schema_field *f = schema_field_find(t, str_cut(&rest, '.'));
        t = f ? f->type : NULL;
    }
    if (!t)
        return STR("");
    return t->kind == T_BOOL ? STR("false") : t->kind == T_INT32 || t->kind == T_INT64 ? STR("0") : STR("");
}

static int not_a_label(const struct schema_kind *k, struct str key, struct kl_err *err)
{
    if (names_own(k))
        return kl_err_set(err, KL_BAD_REQUEST, "field label not supported: " STR_FMT, STR_ARG(key));
    if (strcmp(k->kind, "Job") == 0)
        return kl_err_set(err, KL_BAD_REQUEST, "field label \"" STR_FMT "\" not supported for Job", STR_ARG(key));
    if (strcmp(k->kind, "ResourceSlice") == 0)
        return kl_err_set(err, KL_BAD_REQUEST, "field label not supported for %s/%s, Kind=%s: " STR_FMT, k->group, k->version, k->kind, STR_ARG(key));
    return kl_err_set(err, KL_BAD_REQUEST, "\"" STR_FMT "\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"", STR_ARG(key));
}

/* What stands before the next comma that no backslash precedes. */
static struct str cut_term(struct str *rest)
{
    size_t n = 0;
    while (n < rest->len && rest->at[n] != ',')
        n += rest->at[n] == '\\' && n + 1 < rest->len ? 2 : 1;
    struct str term = str_n(rest->at, n);
    *rest = n < rest->len ? str_skip(*rest, n + 1) : STR_NONE;
    return term;
}

/* Backslashes go; -1 and why where one should not be, or is missing. */
static int unescape(struct arena *a, struct str value, struct str *ret, struct kl_err *err)
{
    char *out = arena_dup(a, value);
    size_t n = 0;
    if (!out)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        if (c == ',' || c == '=')
            return kl_err_set(err, KL_BAD_REQUEST, "invalid field selector: unescaped character in value: %d", c);
        if (c == '\\' && i + 1 < value.len && strchr("\\,=", value.at[i + 1]) && value.at[i + 1])
            c = value.at[++i];
        else if (c == '\\')
            return kl_err_set(err, KL_BAD_REQUEST, "invalid field selector: invalid escape sequence: \\%.*s", i + 1 < value.len, &value.at[i + 1]);
        out[n++] = c;
    }
    *ret = str_n(out, n);
    return 0;
}

static int add_term(struct arena *a, struct selector *sel, const struct schema_kind *k, struct str term, struct str all, struct kl_err *err)
{
    long eq = str_find(term, '='), bang = eq;
    for (long i = 0; i + 1 < (long)term.len && bang == eq; i++)
        if (term.at[i] == '!' && term.at[i + 1] == '=')
            bang = i;
    if (eq < 0)
        return kl_err_set(err, KL_BAD_REQUEST, "invalid selector: '" STR_FMT "'; can't understand '" STR_FMT "'", STR_ARG(all), STR_ARG(term));
    bool ne = bang < eq;
    struct str key = str_n(term.at, (size_t)(ne ? bang : eq)), value = str_skip(term, (size_t)(ne ? bang + 2 : eq + 1));
    if (!ne && value.len && value.at[0] == '=')
        value = str_skip(value, 1);
    if (unescape(a, value, &value, err) < 0)
        return -1;
    if (!key.len && !value.len)
        return 0;                       /* "=" asks for nothing */
    if (!field_known(k, key))
        return not_a_label(k, key, err);
    struct requirement *r = selector_add(a, sel, key, ne ? OP_NOT_IN : OP_IN, 1);
    if (!r)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if ((r->path = stored_path(a, k, key)))
        r->absent = zero_text(k, r->path);
    if (r->path && strcmp(r->path, "source.component") == 0)
        r->or_path = "reportingComponent";      /* what events.k8s.io wrote has only that */
    r->values[r->n++] = value;
    return 0;
}

struct selector *selector_parse_fields(struct arena *a, const struct schema_kind *k, struct str text, struct kl_err *err)
{
    struct selector *sel = arena_alloc(a, sizeof *sel);
    for (struct str rest = text; sel && rest.at;) {
        struct str term = cut_term(&rest);
        if (term.len && add_term(a, sel, k, term, text, err) < 0)
            return NULL;
    }
    if (arena_exhausted(a) || !sel) {
        kl_err_set(err, KL_NO_MEMORY, "out of memory");
        return NULL;
    }
    return sel;
}

/* --- trees --- */

static int add_expression(struct arena *a, struct selector *s, const struct val *e, struct kl_err *err)
{
    static const struct {
        const char *name;
        enum operator op;
    } rows[] = { { "In", OP_IN }, { "NotIn", OP_NOT_IN }, { "Exists", OP_EXISTS }, { "DoesNotExist", OP_ABSENT } };
    struct str op = json_str(e, "operator");
    struct val *values = json_get(e, STR("values"));
    for (size_t i = 0; i < 4; i++) {
        if (!str_is(op, rows[i].name))
            continue;
        struct requirement *r = selector_add(a, s, json_str(e, "key"), rows[i].op, val_is(values, VAL_ARR) ? values->n : 0);
        if (!r)
            return kl_err_set(err, KL_NO_MEMORY, "out of memory");
        if (val_is(values, VAL_ARR))
            val_each(v, values)
                r->values[r->n++] = val_str(v);
        return 0;
    }
    return kl_err_set(err, KL_INVALID, "\"" STR_FMT "\" is not a valid label selector operator", STR_ARG(op));
}

struct selector *selector_of_tree(struct arena *a, const struct val *v, struct kl_err *err)
{
    struct selector *s = arena_alloc(a, sizeof *s);
    struct val *labels = json_get(v, STR("matchLabels")), *expr = json_get(v, STR("matchExpressions"));
    if (!s) {
        kl_err_set(err, KL_NO_MEMORY, "out of memory");
        return NULL;
    }
    s->nothing = v == NULL;
    if (val_is(labels, VAL_OBJ))
        val_each(l, labels) {
            struct requirement *r = selector_add(a, s, val_key(l), OP_IN, 1);
            if (!r) {
                kl_err_set(err, KL_NO_MEMORY, "out of memory");
                return NULL;
            }
            r->values[r->n++] = val_str(l);
        }
    if (val_is(expr, VAL_ARR))
        val_each(e, expr)
            if (add_expression(a, s, e, err) < 0)
                return NULL;
    return s;
}

void selector_add_keys(struct arena *a, struct val *label_selector, const struct val *keys, const char *operator, const struct val *labels)
{
    if (!val_is(keys, VAL_ARR))
        return;
    val_each(k, keys) {
        struct str value = val_str(json_get(labels, val_str(k)));
        if (!value.at)
            continue;
        struct val *one = val_push(json_arr(a, label_selector, STR("matchExpressions")), val_new(a, VAL_OBJ));
        json_set_str(a, one, STR("key"), val_str(k));
        json_set_str(a, one, STR("operator"), str_of(operator));
        val_push(json_arr(a, one, STR("values")), val_of_str(a, value));
    }
}

bool selector_empty(const struct selector *s)
{
    return !s->first && !s->nothing;
}

/* Labels that are numbers. */
static bool compares(const struct requirement *r, struct str value)
{
    int64_t is, most;
    return str_int(value, &is) && str_int(r->values[0], &most) && (r->op == OP_ABOVE ? is > most : is < most);
}

/* value.at NULL: the label or field is not there. */
static bool meets(const struct requirement *r, struct str value)
{
    bool in = false;
    if (r->op == OP_ABOVE || r->op == OP_BELOW)
        return compares(r, value);
    if (r->op == OP_EXISTS || r->op == OP_ABSENT)
        return (value.at != NULL) == (r->op == OP_EXISTS);
    if (!value.at && r->path)
        value = r->absent;
    for (unsigned i = 0; value.at && i < r->n; i++)
        in |= str_eq(value, r->values[i]) || (!value.len && !r->values[i].len);
    return in == (r->op == OP_IN);
}

bool selector_matches_labels(const struct selector *s, const struct val *labels)
{
    for (const struct requirement *r = s->first; r && !s->nothing; r = r->next)
        if (!meets(r, val_str(json_get(labels, r->key))))
            return false;
    return !s->nothing;
}

static struct str scalar_text(struct str v)
{
    return v.len && v.at[0] == '"' ? json_scan_text(v) : v;
}

bool selector_matches_fields(const struct selector *s, const struct val *object)
{
    for (const struct requirement *r = s->first; r; r = r->next) {
        _cleanup_buf_ struct buf b = BUF_INIT(4096);
        struct val *v = json_path(object, r->path);
        if (r->or_path && !val_str(v).len)
            v = json_path(object, r->or_path);
        if (v)
            json_write(&b, v);
        if (!meets(r, v ? scalar_text(buf_str(&b)) : STR_NONE))
            return false;
    }
    return true;
}

bool selector_matches_text(const struct selector *s, struct str json)
{
    struct str labels = STR_NONE;
    bool have_labels = false;
    for (const struct requirement *r = s->first; r && !s->nothing; r = r->next) {
        struct str v;
        if (r->path) {
            v = scalar_text(json_scan_path(json, r->path));
            if (r->or_path && !v.len)
                v = scalar_text(json_scan_path(json, r->or_path));
        } else {
            if (!have_labels)
                labels = json_scan_path(json, "metadata.labels");
            have_labels = true;
            v = labels.at ? json_scan_text(json_scan_member(labels, r->key)) : STR_NONE;
        }
        if (!meets(r, v))
            return false;
    }
    return !s->nothing;
}

static int by_text(const void *a, const void *b)
{
    const struct requirement *const *x = a, *const *y = b;
    return str_cmp((*x)->key, (*y)->key);
}

static int by_str(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* In their order, as Go shows a set. */
static void write_values(struct buf *b, const struct requirement *r)
{
    struct str few[16], *at = r->n > 16 ? mem_alloc(r->n * sizeof *at) : few;
    if (!at) {
        b->failed = true;
        return;
    }
    if (r->n)
        memcpy(at, r->values, r->n * sizeof *at);
    qsort(at, r->n, sizeof *at, by_str);
    for (unsigned i = 0; i < r->n; i++) {
        buf_add_z(b, i ? "," : "");
        buf_add_str(b, at[i]);
    }
    if (at != few)
        mem_free(at);
}

static void write_one(struct buf *b, const struct requirement *r)
{
    if (r->op == OP_ABSENT)
        buf_add_c(b, '!');
    buf_add_str(b, r->key);
    if (r->op == OP_EXISTS || r->op == OP_ABSENT)
        return;
    if (r->op == OP_ABOVE || r->op == OP_BELOW) {
        buf_add_c(b, r->op == OP_ABOVE ? '>' : '<');
        buf_add_str(b, r->values[0]);
        return;
    }
    if (r->op == OP_IN && r->n == 1) {
        buf_add_c(b, '=');
        buf_add_str(b, r->values[0]);
        return;
    }
    buf_add_z(b, r->op == OP_IN ? " in (" : " notin (");
    write_values(b, r);
    buf_add_c(b, ')');
}

void selector_write(struct buf *b, const struct selector *s)
{
    const struct requirement *few[64], **at = few;
    unsigned n = 0;
    for (const struct requirement *r = s->first; r; r = r->next)
        n++;
    if (n > 64 && !(at = mem_alloc(n * sizeof *at))) {
        b->failed = true;
        return;
    }
    n = 0;
    for (const struct requirement *r = s->first; r; r = r->next)
        at[n++] = r;
    qsort(at, n, sizeof *at, by_text);
    for (unsigned i = 0; i < n; i++) {
        buf_add_z(b, i ? "," : "");
        write_one(b, at[i]);
    }
    if (at != few)
        mem_free(at);
}

struct str selector_exact(const struct selector *s, const char *field)
{
    for (const struct requirement *r = s->first; r; r = r->next)
        if (r->path && strcmp(r->path, field) == 0 && r->op == OP_IN)
            return r->values[0];
    return STR_NONE;
}
