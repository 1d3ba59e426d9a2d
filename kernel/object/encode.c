/* encode.c - typed tree to compact JSON with the omissions that upstream's encoder makes. */
#include "object-internal.h"

static void encode_struct(struct buf *b, const struct schema_type *t, const struct val *v);

/* Is a present value one that omitempty leaves out? */
static bool is_empty(const struct schema_field *f, const struct val *v)
{
    if (f->shape != SHAPE_ONE || f->type->kind == T_BYTES || f->type->kind == T_STRINGS)
        return v->n == 0;
    if (f->flags & F_POINTER)
        return false;
    switch (f->type->kind) {
    case T_STRING: return v->n == 0;
    case T_BOOL:
    case T_INT32:
    case T_INT64: return v->i == 0;
    case T_DOUBLE: return v->type == VAL_INT && v->i == 0;
    default: return false;
    }
}

bool object_shows_empty(const struct schema_field *f)
{
    if (f->shape == SHAPE_ONE && f->type->kind == T_STRUCT && !(f->flags & F_POINTER))
        return !(f->flags & F_OMITZERO);
    if (f->shape == SHAPE_ONE && !(f->flags & F_POINTER)) {
        switch (f->type->kind) {        /* structs upstream: never empty for Go's encoder */
        case T_TIME: case T_MICROTIME: case T_DURATION: case T_QUANTITY: case T_INT_OR_STRING: case T_RAW: case T_JSON:
            return !(f->flags & F_OMITZERO);
        default: break;
        }
    }
    return !(f->flags & F_OMITEMPTY);
}

static void encode_zero(struct buf *b, const struct schema_field *f)
{
    if (f->shape != SHAPE_ONE || f->flags & F_POINTER) {
        buf_lit(b, "null");
        return;
    }
    switch (f->type->kind) {
    case T_STRUCT: encode_struct(b, f->type, NULL); break;
    case T_STRING: buf_lit(b, "\"\""); break;
    case T_BOOL: buf_lit(b, "false"); break;
    case T_INT32: case T_INT64: case T_DOUBLE: case T_INT_OR_STRING: buf_lit(b, "0"); break;
    case T_QUANTITY: buf_lit(b, "\"0\""); break;
    case T_DURATION: buf_lit(b, "\"0s\""); break;
    default: buf_lit(b, "null");
    }
}

static void encode_one(struct buf *b, const struct schema_type *t, const struct val *v)
{
    if (t->kind == T_STRUCT)
        encode_struct(b, t, v);
    else
        json_write(b, v);
}

static void encode_field(struct buf *b, const struct schema_field *f, const struct val *v)
{
    if (f->shape == SHAPE_ONE) {
        encode_one(b, f->type, v);
        return;
    }
    bool map = f->shape == SHAPE_MAP;
    buf_add_c(b, map ? '{' : '[');
    val_each(kid, v)
    {
        if (kid != v->first)
            buf_add_c(b, ',');
        if (map) {
            json_write_str(b, val_key(kid));
            buf_add_c(b, ':');
        }
        encode_one(b, f->type, kid);
    }
    buf_add_c(b, map ? '}' : ']');
}

static void put_name(struct buf *b, bool *first, struct str name)
{
    char *p = buf_at(b, name.len + 4), *o = p;
    if (!p)
        return;
    if (!*first)
        *o++ = ',';
    *first = false;
    *o++ = '"';
    memcpy(o, name.at, name.len);
    o += name.len;
    *o++ = '"';
    *o++ = ':';
    b->len += (size_t)(o - p);
}

static void put_type_meta(struct buf *b, bool *first, const struct val *v)
{
    static const char *const names[] = { "kind", "apiVersion" };
    for (int i = 0; i < 2; i++) {
        struct val *m = json_get(v, str_of(names[i]));
        if (!m || !m->n)
            continue;
        put_name(b, first, str_of(names[i]));
        json_write(b, m);
    }
}

void object_members(const struct schema_type *t, const struct val *v, struct val **ret)
{
    unsigned guess = 0;
    memset(ret, 0, t->n_flat * sizeof *ret);
    for (struct val *m = v ? v->first : NULL; m; m = m->next) {
        unsigned at = guess;
        while (at < t->n_flat && t->flat[at]->json != m->key)
            at++;
        int found = at < t->n_flat ? (int)at : schema_flat_find(t, val_key(m), 0);
        if (found < 0)
            continue;
        ret[found] = m;
        guess = (unsigned)found + 1;
    }
}

/* Members of a root that keeps what it does not know. */
static void put_unknown(struct buf *b, const struct schema_type *t, bool *first, const struct val *v)
{
    val_each(m, v) {
        if (schema_flat_find(t, val_key(m), 0) >= 0 || str_is(val_key(m), "kind") || str_is(val_key(m), "apiVersion"))
            continue;
        put_name(b, first, val_key(m));
        json_write(b, m);
    }
}

/* Most fields are absent, and most of those by these three looks. */
static inline bool hides(const struct schema_field *f)
{
    return f->flags & F_OMITEMPTY && (f->flags & F_POINTER || f->shape != SHAPE_ONE || f->type->kind == T_STRING);
}

bool object_leaves_out(const struct schema_field *f, const struct val *v)
{
    return f->flags & F_OMITEMPTY && is_empty(f, v);
}

void object_trim(const struct schema_type *t, struct val *v)
{
    if (t->kind != T_STRUCT || !val_is(v, VAL_OBJ))
        return;
    for (struct val *m = v->first, *next; m; m = next) {
        next = m->next;
        int at = schema_flat_find(t, val_key(m), 0);
        const struct schema_field *f = at < 0 ? NULL : t->flat[at];
        if (f && m->type != VAL_NULL && object_leaves_out(f, m)) {
            val_unlink(v, m);
            continue;
        }
        if (!f || f->type->kind != T_STRUCT)
            continue;
        if (f->shape == SHAPE_ONE)
            object_trim(f->type, m);
        else
            val_each(x, m)
                object_trim(f->type, x);
    }
}

/* v NULL: the zero struct. */
static void encode_struct(struct buf *b, const struct schema_type *t, const struct val *v)
{
    struct val *members[OBJECT_FIELDS];
    bool first = true;
    buf_add_c(b, '{');
    if (v && t->has_typemeta)
        put_type_meta(b, &first, v);
    object_members(t, v, members);
    for (unsigned i = 0; i < t->n_flat; i++) {
        const struct schema_field *f = t->flat[i];
        const struct val *m = members[i];
        if (!m && hides(f))
            continue;
        if (m && m->type == VAL_NULL && f->type->kind != T_JSON && f->type->kind != T_CUSTOM)
            m = NULL;
        if (m ? f->flags & F_OMITEMPTY && is_empty(f, m) : !object_shows_empty(f))
            continue;
        put_name(b, &first, str_n(f->json, f->json_len));
        if (m)
            encode_field(b, f, m);
        else
            encode_zero(b, f);
    }
    if (v && t->flags & F_PRESERVE)
        put_unknown(b, t, &first, v);
    buf_add_c(b, '}');
}

void object_encode_json(struct buf *b, const struct schema_type *t, const struct val *v)
{
    encode_one(b, t, v);
}
