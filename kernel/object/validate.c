/* validate.c - rules that hold for every kind: names, labels, annotations, what may not change, and what the rows say (required fields,
 * enums). Rules of single kinds are in validate_<group>.c. */
#include "object/validate.h"

void object_cause_add(struct object_causes *c, const char *reason, const char *field, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (c->n == c->cap) {
        unsigned cap = c->cap ? c->cap * 2 : 4;
        struct object_cause *at = cap > 256 ? NULL : arena_alloc(c->arena, cap * sizeof *at);
        if (!at)
            return;
        if (c->n)
            memcpy(at, c->at, c->n * sizeof *at);
        c->at = at;
        c->cap = cap;
    }
    c->at[c->n++] = (struct object_cause){ reason, arena_dup(c->arena, str_of(field)), arena_dup(c->arena, str_of(text)) };
}

void check_required(struct object_causes *c, const char *field, const char *detail)
{
    object_cause_add(c, "FieldValueRequired", field, detail ? "Required value: %s" : "Required value", detail);
}

void check_invalid(struct object_causes *c, const char *field, struct str value, const char *detail)
{
    object_cause_add(c, "FieldValueInvalid", field, "Invalid value: \"" STR_FMT "\": %s", STR_ARG(value), detail);
}

void check_invalid_int(struct object_causes *c, const char *field, int64_t value, const char *detail)
{
    object_cause_add(c, "FieldValueInvalid", field, "Invalid value: %lld: %s", (long long)value, detail);
}

static bool is_choice(const char *const *choices, struct str value)
{
    for (; *choices; choices++)
        if (str_is(value, *choices))
            return true;
    return false;
}

void check_choices(struct object_causes *c, const char *field, struct str value, const char *const *choices)
{
    _cleanup_buf_ struct buf b = BUF_INIT(2048);
    if (is_choice(choices, value))
        return;
    for (const char *const *x = choices; *x; x++)
        buf_printf(&b, "%s\"%s\"", x == choices ? "" : ", ", *x);
    object_cause_add(c, "FieldValueNotSupported", field, "Unsupported value: \"" STR_FMT "\": supported values: %s", STR_ARG(value),
                     b.at ? b.at : "");
}

/* --- names --- */

static bool lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_dns_label(struct str s)
{
    if (!s.len || s.len > 63 || !lower_or_digit(s.at[0]) || !lower_or_digit(s.at[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!lower_or_digit(s.at[i]) && s.at[i] != '-')
            return false;
    return true;
}

bool is_dns_subdomain(struct str s)
{
    if (!s.len || s.len > 253)
        return false;
    while (s.at) {
        struct str part = str_cut(&s, '.');
        if (!part.len || !lower_or_digit(part.at[0]) || !lower_or_digit(part.at[part.len - 1]))
            return false;
        for (size_t i = 0; i < part.len; i++)
            if (!lower_or_digit(part.at[i]) && part.at[i] != '-')
                return false;
    }
    return true;
}

static bool is_qualified_part(struct str s)
{
    if (!s.len || s.len > 63)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (i == 0 || i + 1 == s.len || !strchr("-_.", c) || !c))
            return false;
    }
    return true;
}

bool is_qualified_name(struct str s)
{
    struct str name = s;
    if (str_find(s, '/') >= 0 && !is_dns_subdomain(str_cut(&name, '/')))
        return false;
    return is_qualified_part(name);
}

const char subdomain_detail[] =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const char label_detail[] =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric "
    "character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
static const char service_detail[] =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an "
    "alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
static const char qualified_detail[] =
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

static void check_name(struct object_causes *c, const struct schema_kind *k, struct str name)
{
    bool namespaces = strcmp(k->kind, "Namespace") == 0 && !k->group[0];
    if (strcmp(k->kind, "Service") == 0 && !k->group[0]) {
        if (!is_dns_label(name) || (name.at[0] >= '0' && name.at[0] <= '9'))
            check_invalid(c, "metadata.name", name, service_detail);
    } else if (namespaces) {
        if (!is_dns_label(name))
            check_invalid(c, "metadata.name", name, label_detail);
    } else if (strstr(k->group, "rbac.") == k->group) {
        if (memchr(name.at, '/', name.len) || memchr(name.at, '%', name.len))
            check_invalid(c, "metadata.name", name, "may not contain '/' or '%'");
    } else if (!is_dns_subdomain(name)) {
        check_invalid(c, "metadata.name", name, subdomain_detail);
    }
}

/* --- metadata --- */

void check_labels(struct object_causes *c, const struct val *labels, const char *field)
{
    if (!val_is(labels, VAL_OBJ))
        return;
    val_each(l, labels) {
        struct str v = val_str(l);
        if (!is_qualified_name(val_key(l)))
            check_invalid(c, field, val_key(l), qualified_detail);
        if (v.len && !is_qualified_part(v))
            check_invalid(c, field, v, "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
                          "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
                          "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')");
    }
}

static void check_annotations(struct object_causes *c, const struct val *v)
{
    size_t total = 0;
    if (!val_is(v, VAL_OBJ))
        return;
    val_each(a, v) {
        _cleanup_buf_ struct buf lower = BUF_INIT(1024);
        for (uint32_t i = 0; i < a->key_len; i++)
            buf_add_c(&lower, (char)(a->key[i] >= 'A' && a->key[i] <= 'Z' ? a->key[i] + 32 : a->key[i]));
        if (!is_qualified_name(buf_str(&lower)))
            check_invalid(c, "metadata.annotations", val_key(a), qualified_detail);
        total += a->key_len + a->n;
    }
    if (total > 256 << 10)
        object_cause_add(c, "FieldValueTooLong", "metadata.annotations", "Too long: may not be more than 262144 bytes");
}

static void check_owners(struct object_causes *c, const struct val *refs)
{
    static const char *const needed[] = { "apiVersion", "kind", "name", "uid" };
    unsigned controllers = 0, i = 0;
    char field[96];
    if (!val_is(refs, VAL_ARR))
        return;
    val_each(r, refs) {
        for (int k = 0; k < 4; k++) {
            snprintf(field, sizeof field, "metadata.ownerReferences[%u].%s", i, needed[k]);
            if (!json_str(r, needed[k]).len)
                check_invalid(c, field, STR(""), k == 0 ? "version must not be empty" : "must not be empty");
        }
        controllers += json_bool(r, "controller", false);
        i++;
    }
    if (controllers > 1)
        object_cause_add(c, "FieldValueInvalid", "metadata.ownerReferences", "Invalid value: Only one reference can have Controller set to true.");
}

static void check_finalizers(struct object_causes *c, const struct val *list)
{
    if (val_is(list, VAL_ARR))
        val_each(f, list)
            if (!is_qualified_name(val_str(f)))
                check_invalid(c, "metadata.finalizers", val_str(f), qualified_detail);
}

static void check_metadata(struct object_causes *c, const struct schema_kind *k, const struct val *v, const struct val *old)
{
    struct val *m = json_get(v, STR("metadata"));
    struct str name = json_str(m, "name");
    if (!name.len)
        check_required(c, "metadata.name", "name or generateName is required");
    else if (!old)
        check_name(c, k, name);
    check_labels(c, json_get(m, STR("labels")), "metadata.labels");
    check_annotations(c, json_get(m, STR("annotations")));
    check_owners(c, json_get(m, STR("ownerReferences")));
    check_finalizers(c, json_get(m, STR("finalizers")));
}

/* --- rows --- */

static void walk(struct object_causes *c, const struct schema_type *t, const struct val *v, const struct path *up);

static void walk_field(struct object_causes *c, const struct schema_field *f, const struct val *m, const struct path *p)
{
    long i = 0;
    if (f->shape == SHAPE_ONE) {
        if (f->choices && m->type == VAL_STR && m->n && !is_choice(f->choices, val_str(m)))
            check_choices(c, path_text(c->arena, p), val_str(m), f->choices);
        if (f->type->kind == T_STRUCT && m->type == VAL_OBJ)
            walk(c, f->type, m, p);
        return;
    }
    if (f->type->kind != T_STRUCT || m->type < VAL_ARR)
        return;
    val_each(item, m) {
        struct path here = { p, f->shape == SHAPE_MAP ? val_key(item) : STR_NONE, i++ };
        if (item->type == VAL_OBJ)
            walk(c, f->type, item, &here);
    }
}

/* Marked as required upstream, but there only as a word: empty is fine, and absent is the same to Go. */
static bool may_be_empty(const struct schema_type *t, const struct schema_field *f)
{
    return strcmp(f->json, "message") == 0 && strcmp(t->name, "io.k8s.apimachinery.pkg.apis.meta.v1.Condition") == 0;
}

static void walk(struct object_causes *c, const struct schema_type *t, const struct val *v, const struct path *up)
{
    struct val *members[OBJECT_FIELDS];
    object_members(t, v, members);
    for (unsigned i = 0; i < t->n_flat; i++) {
        const struct schema_field *f = t->flat[i];
        struct path here = { up, str_n(f->json, f->json_len), 0 };
        if (members[i])
            walk_field(c, f, members[i], &here);
        else if (f->flags & F_REQUIRED && !may_be_empty(t, f))
            check_required(c, path_text(c->arena, &here), NULL);
    }
}

void object_validate(const struct schema_kind *k, const char *subresource, const struct val *v, const struct val *old,
                     struct object_causes *ret)
{
    check_metadata(ret, k, v, old);
    for (unsigned i = 0; i < k->type->n_flat; i++) {
        const struct schema_field *f = k->type->flat[i];
        struct path here = { NULL, str_n(f->json, f->json_len), 0 };
        const struct val *m = json_get(v, here.name);
        if (m && !str_is(here.name, "metadata") && !(str_is(here.name, "status") && !subresource))
            walk_field(ret, f, m, &here);
    }
    if (!subresource || strcmp(subresource, "status") != 0)
        validate_kind(k, v, old, ret);
}
