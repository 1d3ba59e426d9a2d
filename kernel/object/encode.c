/* encode.c - typed tree to compact JSON with the omissions that upstream's encoder makes. */
#include "object-internal.h"

#include <stdlib.h>

static void encode_struct(struct buf *b, const struct schema_type *t, const struct val *v);

/* Is a present value one that omitempty leaves out? */
static bool is_empty(const struct schema_field *f, const struct val *v)
{
    if (f->shape != SHAPE_ONE || f->type->kind == T_BYTES || f->type->kind == T_STRINGS)
        return v->n == 0;
    if (f->flags & F_POINTER)
        return false;
    return is_plain_zero(f->type, v) || (f->type->kind == T_DOUBLE && v->type == VAL_INT && v->i == 0);
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

static void encode_entry(struct buf *b, const struct schema_type *t, bool first, const struct val *v)
{
    if (!first)
        buf_add_c(b, ',');
    json_write_str(b, val_key(v));
    buf_add_c(b, ':');
    encode_one(b, t, v);
}

/* The keys of a map are sorted, as upstream's encoder has them; mostly they are already. */
static void encode_map(struct buf *b, const struct schema_type *t, const struct val *v)
{
    const struct val **all = json_is_sorted(v) ? NULL : mem_alloc(v->n * sizeof *all);
    if (!all) {
        val_each(kid, v) encode_entry(b, t, kid == v->first, kid);
        return;
    }
    unsigned n = 0;
    val_each(kid, v) all[n++] = kid;
    qsort(all, n, sizeof *all, val_by_key);
    for (unsigned i = 0; i < n; i++)
        encode_entry(b, t, i == 0, all[i]);
    mem_free(all);
}

static void encode_field(struct buf *b, const struct schema_field *f, const struct val *v)
{
    if (f->shape == SHAPE_ONE) {
        encode_one(b, f->type, v);
        return;
    }
    bool map = f->shape == SHAPE_MAP;
    buf_add_c(b, map ? '{' : '[');
    if (map)
        encode_map(b, f->type, v);
    else
        val_each(kid, v)
        {
            if (kid != v->first)
                buf_add_c(b, ',');
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
    str_copy(o, name.at, name.len);
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

/* Where member m stands among the fields of t; guess: after the one before it. -1: nowhere. It is noted for the next who asks: an object is
 * gone through some ten times. Rows of custom kinds may go before the tree does. */
static inline int place_of(const struct schema_type *t, struct val *m, unsigned guess)
{
    if (m->place && m->place <= t->n_flat && t->flat[m->place - 1]->json == m->key)
        return m->place - 1;
    int at = schema_flat_find(t, val_key(m), guess);
    if (at >= 0 && !t->custom) {
        m->key = t->flat[at]->json;
        m->place = (uint16_t)(at + 1);
    }
    return at;
}

struct field_set object_present(const struct schema_type *t, const struct val *v, uint64_t also, struct val **ret)
{
    struct field_set set = { .word = { also } };
    int at = -1;
    BITS_EACH(i, also)
        ret[i] = NULL;
    for (struct val *m = v ? v->first : NULL; m; m = m->next) {
        if ((at = place_of(t, m, (unsigned)(at + 1))) < 0)
            continue;
        ret[at] = m;
        set.word[at / 64] |= 1ull << at % 64;
    }
    return set;
}

void object_members(const struct schema_type *t, const struct val *v, struct val **ret)
{
    int at = -1;
    memset(ret, 0, t->n_flat * sizeof *ret);
    for (struct val *m = v ? v->first : NULL; m; m = m->next)
        if ((at = place_of(t, m, (unsigned)(at + 1))) >= 0)
            ret[at] = m;
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

struct placed {
    const struct val *m;
    unsigned at;
};

/* The members by field, in the order of the rows, in which they mostly are: the last of several with one name. */
static unsigned in_order(const struct schema_type *t, const struct val *v, struct placed *ret)
{
    unsigned n = 0;
    int at = -1;
    for (struct val *m = v ? v->first : NULL; m; m = m->next) {
        unsigned i = n;
        if ((at = place_of(t, m, (unsigned)(at + 1))) < 0)
            continue;
        while (i && ret[i - 1].at > (unsigned)at)
            i--;
        if (i && ret[i - 1].at == (unsigned)at) {
            ret[i - 1].m = m;
            continue;
        }
        if (i < n)
            memmove(&ret[i + 1], &ret[i], (n - i) * sizeof *ret);
        ret[i] = (struct placed){ m, (unsigned)at };
        n++;
    }
    return n;
}

static void put_zeros(struct buf *b, const struct schema_type *t, bool *first, uint64_t which)
{
    BITS_EACH(i, which) {
        put_name(b, first, str_n(t->flat[i]->json, t->flat[i]->json_len));
        encode_zero(b, t->flat[i]);
    }
}

/* What upstream stores as protobuf is null afterwards where it was empty. */
static bool forgets_empty(const struct schema_type *t)
{
    return strncmp(t->name, "io.k8s.api.", 11) == 0;
}

/* v NULL: the zero struct. */
static void encode_struct(struct buf *b, const struct schema_type *t, const struct val *v)
{
    struct placed members[OBJECT_FIELDS];
    bool first = true;
    buf_add_c(b, '{');
    if (v && t->has_typemeta)
        put_type_meta(b, &first, v);
    unsigned n = in_order(t, v, members);
    uint64_t zeros = t->shown;
    for (unsigned i = 0; i < n; i++) {
        const struct schema_field *f = t->flat[members[i].at];
        const struct val *m = members[i].m;
        if (m->type == VAL_NULL && f->type->kind != T_JSON && f->type->kind != T_CUSTOM)
            continue;                   /* absent */
        if (zeros) {
            uint64_t here = members[i].at < 64 ? 1ull << members[i].at : 0;
            if (zeros & (here - 1))
                put_zeros(b, t, &first, zeros & (here - 1));
            zeros &= here ? ~(here | (here - 1)) : 0;
        }
        if (f->flags & F_OMITEMPTY && is_empty(f, m))
            continue;
        put_name(b, &first, str_n(f->json, f->json_len));
        if (m->n || f->shape == SHAPE_ONE || !forgets_empty(t))
            encode_field(b, f, m);
        else
            encode_zero(b, f);
    }
    if (zeros)
        put_zeros(b, t, &first, zeros);
    if (v && t->flags & F_PRESERVE)
        put_unknown(b, t, &first, v);
    buf_add_c(b, '}');
}

static struct val *encoded(struct arena *a, const struct schema_type *t, const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    encode_one(&b, t, v);
    struct str text = b.failed ? STR_NONE : arena_str(a, buf_str(&b));
    return text.at ? json_parse(a, text, NULL) : NULL;
}

/* What of a custom resource is kept, its metadata as it is written. */
static struct val *custom_members(struct arena *a, const struct schema_type *t, const struct val *v)
{
    struct val *ret = val_new(a, VAL_OBJ);
    val_each(m, v) {
        int at = schema_flat_find(t, val_key(m), 0);
        const struct schema_field *f = at >= 0 ? t->flat[at] : NULL;
        bool meta = f && f->type->kind == T_STRUCT, named = str_is(val_key(m), "kind") || str_is(val_key(m), "apiVersion");
        if (named ? !m->n : meta ? m->type == VAL_NULL : f ? object_leaves_out(f, m) : !(t->flags & F_PRESERVE))
            continue;
        struct val *one = meta ? encoded(a, f->type, m) : val_new(a, m->type);
        if (!one || !json_set(a, ret, val_key(m), one))
            return NULL;
        if (!meta)
            val_replace(one, m);
    }
    if (!json_get(ret, STR("metadata")))
        json_set(a, ret, STR("metadata"), encoded(a, t->flat[0]->type, NULL));
    return ret;
}

/* Custom resources are maps to upstream's server: all members stand by name, down to the last. */
static void encode_by_name(struct buf *b, const struct schema_type *t, const struct val *v)
{
    _cleanup_arena_ struct arena *a = arena_new(64u << 20);
    struct val *members = a ? custom_members(a, t, v) : NULL;
    if (members)
        json_write_sorted(b, members);
    else
        b->failed = true;
}

void object_encode_json(struct buf *b, const struct schema_type *t, const struct val *v)
{
    if (t->kind == T_STRUCT && t->custom)
        encode_by_name(b, t, v);
    else
        encode_one(b, t, v);
}

struct val *object_encoded(struct arena *a, const struct schema_type *t, const struct val *v)
{
    static const struct val nothing = { .type = VAL_OBJ };
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    object_encode_json(&b, t, v ? v : &nothing);
    struct str text = b.failed ? STR_NONE : arena_str(a, buf_str(&b));
    return text.at ? json_parse(a, text, NULL) : NULL;
}
