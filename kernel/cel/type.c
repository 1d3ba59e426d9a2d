/* type.c - types: their names, what may stand for what, and what type variables turn out to be. */
#include "cel/cel-internal.h"

#define PLAIN(k) [k] = { .kind = k }
static const struct cel_type plain[CEL_KINDS] = {
    PLAIN(CEL_ERROR), PLAIN(CEL_DYN), PLAIN(CEL_NULL), PLAIN(CEL_BOOL), PLAIN(CEL_INT), PLAIN(CEL_UINT), PLAIN(CEL_DOUBLE), PLAIN(CEL_STRING),
    PLAIN(CEL_BYTES), PLAIN(CEL_TIMESTAMP), PLAIN(CEL_DURATION), PLAIN(CEL_TYPE), PLAIN(CEL_URL), PLAIN(CEL_IP), PLAIN(CEL_CIDR),
    PLAIN(CEL_QUANTITY), PLAIN(CEL_SEMVER), PLAIN(CEL_FORMAT), PLAIN(CEL_AUTHORIZER), PLAIN(CEL_PATH_CHECK), PLAIN(CEL_GROUP_CHECK),
    PLAIN(CEL_RESOURCE_CHECK), PLAIN(CEL_DECISION),
    [CEL_LIST] = { .kind = CEL_LIST, .a = &plain[CEL_DYN] },
    [CEL_MAP] = { .kind = CEL_MAP, .a = &plain[CEL_DYN], .b = &plain[CEL_DYN] },
    [CEL_OPTIONAL] = { .kind = CEL_OPTIONAL, .a = &plain[CEL_DYN] },
};

static const char *const names[CEL_KINDS] = {
    [CEL_ERROR] = "!error!", [CEL_DYN] = "dyn", [CEL_NULL] = "null_type", [CEL_BOOL] = "bool", [CEL_INT] = "int", [CEL_UINT] = "uint",
    [CEL_DOUBLE] = "double", [CEL_STRING] = "string", [CEL_BYTES] = "bytes", [CEL_TIMESTAMP] = "google.protobuf.Timestamp",
    [CEL_DURATION] = "google.protobuf.Duration", [CEL_TYPE] = "type", [CEL_URL] = "kubernetes.URL", [CEL_IP] = "net.IP",
    [CEL_CIDR] = "net.CIDR", [CEL_QUANTITY] = "kubernetes.Quantity", [CEL_SEMVER] = "kubernetes.Semver", [CEL_FORMAT] = "kubernetes.NamedFormat",
    [CEL_AUTHORIZER] = "kubernetes.authorization.Authorizer", [CEL_PATH_CHECK] = "kubernetes.authorization.PathCheck",
    [CEL_GROUP_CHECK] = "kubernetes.authorization.GroupCheck", [CEL_RESOURCE_CHECK] = "kubernetes.authorization.ResourceCheck",
    [CEL_DECISION] = "kubernetes.authorization.Decision", [CEL_LIST] = "list", [CEL_MAP] = "map", [CEL_OPTIONAL] = "optional_type",
    [CEL_STRUCT] = "object", [CEL_PARAM] = "param",
};

const struct cel_type *cel_type(enum cel_kind kind)
{
    return &plain[kind];
}

static struct cel_type *made(struct arena *a, enum cel_kind kind)
{
    struct cel_type *t = arena_alloc(a, sizeof *t);
    if (t)
        t->kind = (uint8_t)kind;
    return t;
}

const struct cel_type *cel_list_of(struct arena *a, const struct cel_type *of)
{
    struct cel_type *t = made(a, CEL_LIST);
    if (t)
        t->a = of;
    return t ? t : &plain[CEL_LIST];
}

const struct cel_type *cel_map_of(struct arena *a, const struct cel_type *key, const struct cel_type *value)
{
    struct cel_type *t = made(a, CEL_MAP);
    if (t) {
        t->a = key;
        t->b = value;
    }
    return t ? t : &plain[CEL_MAP];
}

const struct cel_type *cel_optional_of(struct arena *a, const struct cel_type *of)
{
    struct cel_type *t = made(a, CEL_OPTIONAL);
    if (t)
        t->a = of;
    return t ? t : &plain[CEL_OPTIONAL];
}

const struct cel_type *type_type(struct arena *a, const struct cel_type *of)
{
    struct cel_type *t = made(a, CEL_TYPE);
    if (t)
        t->a = of;
    return t ? t : &plain[CEL_TYPE];
}

const struct cel_type *type_param(struct arena *a, unsigned n)
{
    struct cel_type *t = made(a, CEL_PARAM);
    if (t)
        t->param = n;
    return t ? t : &plain[CEL_DYN];
}

const struct cel_type *cel_struct_of(struct arena *a, const char *name, const struct cel_field *fields, unsigned n)
{
    struct cel_type *t = made(a, CEL_STRUCT);
    if (t) {
        t->name = name;
        t->fields = fields;
        t->n_fields = n;
    }
    return t ? t : &plain[CEL_DYN];
}

/* --- names --- */

const char *type_name(const struct cel_type *t)
{
    return t->name ? t->name : names[t->kind];
}

/* checked: as the checker speaks of types. */
static void write_type(struct buf *b, const struct cel_type *t, bool checked)
{
    if (t->kind == CEL_PARAM) {
        buf_printf(b, "_var%u", t->param);
        return;
    }
    /* Upstream writes null, and the types of protobuf's wrappers, in a way of their own. */
    bool when = checked && (t->kind == CEL_TIMESTAMP || t->kind == CEL_DURATION);
    buf_add_z(b, t->kind == CEL_NULL ? "null" : !when ? type_name(t) : t->kind == CEL_DURATION ? "duration" : "timestamp");
    if (!t->a)
        return;
    buf_add_c(b, '(');
    write_type(b, t->a, checked);
    if (t->kind == CEL_MAP) {
        buf_lit(b, ", ");
        write_type(b, t->b, checked);
    }
    buf_add_c(b, ')');
}

static const char *text_of(struct arena *a, const struct cel_type *t, bool checked)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    write_type(&b, t, checked);
    const char *text = b.failed ? NULL : arena_dup(a, buf_str(&b));
    return text ? text : "";
}

const char *cel_type_text(struct arena *a, const struct cel_type *t)
{
    return text_of(a, t, false);
}

const char *type_checked_text(struct arena *a, const struct cel_type *t)
{
    return text_of(a, t, true);
}

const struct cel_type *type_named(struct str name)
{
    for (int k = CEL_NULL; k <= CEL_OPTIONAL; k++)
        if (names[k] && str_is(name, names[k]))
            return &plain[k];
    return NULL;
}

/* --- comparing --- */

bool type_is_dyn(const struct cel_type *t)
{
    return t->kind == CEL_DYN || t->kind == CEL_ERROR;
}

bool type_equal(const struct cel_type *a, const struct cel_type *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind)
        return false;
    if (a->kind == CEL_PARAM)
        return a->param == b->param;
    if (a->kind == CEL_STRUCT)
        return a->rows && a->rows == b->rows;
    if (!a->a != !b->a || (a->a && !type_equal(a->a, b->a)))
        return false;
    return a->kind != CEL_MAP || type_equal(a->b, b->b);
}

/* --- type variables --- */

const struct cel_type *subst_fresh(struct subst *s)
{
    if (s->n == s->cap) {
        unsigned cap = s->cap ? 2 * s->cap : 32;
        const struct cel_type **at = arena_alloc(s->arena, cap * sizeof *at);
        if (!at)
            return &plain[CEL_DYN];
        if (s->n)
            memcpy(at, s->at, s->n * sizeof *at);
        s->at = at;
        s->cap = cap;
    }
    s->at[s->n] = NULL;
    return type_param(s->arena, s->n++);
}

static void set(struct subst *s, unsigned param, const struct cel_type *to)
{
    if (s->n_trail == s->cap_trail) {
        unsigned cap = s->cap_trail ? 2 * s->cap_trail : 32;
        unsigned *trail = arena_alloc(s->arena, cap * sizeof *trail);
        const struct cel_type **was = arena_alloc(s->arena, cap * sizeof *was);
        if (!trail || !was)
            return;
        if (s->n_trail) {
            memcpy(trail, s->trail, s->n_trail * sizeof *trail);
            memcpy(was, s->was, s->n_trail * sizeof *was);
        }
        s->trail = trail;
        s->was = was;
        s->cap_trail = cap;
    }
    s->trail[s->n_trail] = param;
    s->was[s->n_trail++] = s->at[param];
    s->at[param] = to;
}

static void undo(struct subst *s, unsigned to)
{
    while (s->n_trail > to) {
        s->n_trail--;
        s->at[s->trail[s->n_trail]] = s->was[s->n_trail];
    }
}

static const struct cel_type *rebuild(struct arena *a, const struct cel_type *t, const struct cel_type *x, const struct cel_type *y)
{
    struct cel_type *c;
    if (x == t->a && y == t->b)
        return t;
    c = arena_alloc(a, sizeof *c);
    if (!c)
        return &plain[CEL_DYN];         /* whoever compiles looks at the arena in the end */
    *c = *t;
    c->a = x;
    c->b = y;
    return c;
}

const struct cel_type *subst_apply(struct subst *s, const struct cel_type *t, bool to_dyn)
{
    while (t->kind == CEL_PARAM && s->at[t->param])
        t = s->at[t->param];
    if (t->kind == CEL_PARAM)
        return to_dyn ? &plain[CEL_DYN] : t;
    return t->a ? rebuild(s->arena, t, subst_apply(s, t->a, to_dyn), t->b ? subst_apply(s, t->b, to_dyn) : NULL) : t;
}

const struct cel_type *subst_instance(struct arena *a, const struct cel_type *t, const struct cel_type **params)
{
    if (t->kind == CEL_PARAM)
        return params[t->param];
    return t->a ? rebuild(a, t, subst_instance(a, t->a, params), t->b ? subst_instance(a, t->b, params) : NULL) : t;
}

/* --- what may stand for what --- */

static bool less_specific(const struct cel_type *a, const struct cel_type *b)
{
    if (a->kind == CEL_DYN || a->kind == CEL_PARAM)
        return true;
    if (b->kind == CEL_DYN || b->kind == CEL_PARAM || a->kind != b->kind)
        return false;
    if (a->kind == CEL_LIST || a->kind == CEL_OPTIONAL)
        return less_specific(a->a, b->a);
    if (a->kind == CEL_MAP)
        return less_specific(a->a, b->a) && less_specific(a->b, b->b);
    return a->kind == CEL_TYPE || type_equal(a, b);
}

const struct cel_type *subst_general(const struct cel_type *a, const struct cel_type *b)
{
    return less_specific(a, b) ? a : b;
}

static bool refers_to(struct subst *s, unsigned param, const struct cel_type *t)
{
    if (t->kind == CEL_PARAM) {
        if (t->param == param)
            return true;
        return s->at[t->param] && refers_to(s, param, s->at[t->param]);
    }
    return (t->a && refers_to(s, param, t->a)) || (t->b && refers_to(s, param, t->b));
}

static bool assignable(struct subst *s, const struct cel_type *to, const struct cel_type *from);

/* May t stand for the variable? *ret_had: it stood for something already. */
static bool may_be(struct subst *s, const struct cel_type *t, const struct cel_type *variable, bool *ret_had)
{
    const struct cel_type *now = s->at[variable->param];
    *ret_had = true;
    if (t->kind == CEL_PARAM && t->param == variable->param)
        return true;
    if (now) {
        if (type_equal(t, now))
            return true;
        if (!assignable(s, t, now))
            return false;
        const struct cel_type *both = subst_general(t, now);
        if (!refers_to(s, variable->param, both))
            set(s, variable->param, both);
        return true;
    }
    *ret_had = false;
    if (refers_to(s, variable->param, t))
        return false;
    set(s, variable->param, t);
    return true;
}

static bool takes_null(const struct cel_type *t)
{
    return t->kind == CEL_NULL || (t->kind >= CEL_TIMESTAMP && t->kind <= CEL_DECISION && t->kind != CEL_TYPE) || t->kind == CEL_OPTIONAL ||
           t->kind == CEL_STRUCT;
}

static bool assignable(struct subst *s, const struct cel_type *to, const struct cel_type *from)
{
    bool had;
    if (from->kind == CEL_PARAM) {
        if (may_be(s, to, from, &had))
            return true;
        if (had)
            return false;
    }
    if (to->kind == CEL_PARAM)
        return may_be(s, from, to, &had);
    if (type_is_dyn(to) || type_is_dyn(from))
        return true;
    if (to->kind == CEL_NULL)
        return takes_null(from);
    if (from->kind == CEL_NULL)
        return takes_null(to);
    if (to->kind != from->kind)
        return false;
    if (to->kind == CEL_LIST || to->kind == CEL_OPTIONAL)
        return assignable(s, to->a, from->a);
    if (to->kind == CEL_MAP)
        return assignable(s, to->a, from->a) && assignable(s, to->b, from->b);
    return to->kind != CEL_STRUCT || type_equal(to, from);
}

bool subst_assignable(struct subst *s, const struct cel_type *to, const struct cel_type *from)
{
    return subst_assignable_all(s, &to, &from, 1);
}

bool subst_assignable_all(struct subst *s, const struct cel_type *const *to, const struct cel_type *const *from, unsigned n)
{
    unsigned mark = s->n_trail;
    for (unsigned i = 0; i < n; i++)
        if (!assignable(s, to[i], from[i])) {
            undo(s, mark);
            return false;
        }
    return true;
}
