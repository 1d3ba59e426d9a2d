/* fields_new.c - the fields of a new object straight to text: what fields_compare finds between an empty object and it, in one pass. Every
 * create goes through here, but for types that do not name all their fields. */
#include "fields-internal.h"

struct writer {
    struct arena *arena;
    struct buf *b, scratch;
    bool keyless;                       /* an item of a list has no key: the object has no fields that could be told apart */
};

/* Each function writes "{...}", or nothing and says false: the empty object has it as well. `live`: the empty object has what is looked at. */
static bool put_value(struct writer *w, const struct schema_field *f, const struct val *v, bool live);

static bool put_leaf(struct writer *w, bool same)
{
    if (!same)
        buf_lit(w->b, "{}");
    return !same;
}

static void put_self(struct writer *w, bool live)
{
    buf_add_z(w->b, live ? "{" : "{\".\":{}");
}

/* A comma where there is something before. */
static void next(struct writer *w)
{
    if (w->b->len && w->b->at[w->b->len - 1] != '{')
        buf_add_c(w->b, ',');
}

/* `,"f:name":` of a row, whose name needs no escape. */
static void put_name(struct writer *w, const struct schema_field *f)
{
    char *p = buf_at(w->b, f->json_len + 8u), *o = p;
    if (!p)
        return;
    if (w->b->len && p[-1] != '{')
        *o++ = ',';
    memcpy(o, "\"f:", 3);
    memcpy(o + 3, f->json, f->json_len);
    memcpy(o + 3 + f->json_len, "\":", 3);
    o += 5 + f->json_len;
    *o = '\0';
    w->b->len += (size_t)(o - p);
}

/* Members in the order of their names, but for those that `without` has. */
static bool put_members(struct writer *w, const struct schema_type *t, const struct val *v, bool live, const struct fields *without)
{
    struct val *members[OBJECT_FIELDS];
    bool any = false;
    struct field_set set = object_present(t, v, live ? 0 : t->shown, members);
    for (unsigned i = 0; i < t->n_flat; i++) {
        if (!field_set_has(&set, t->sorted[i]))
            continue;
        const struct schema_field *f = t->flat[t->sorted[i]];
        const struct val *m = fields_present(f, members[t->sorted[i]]);
        if (!m)
            continue;
        const struct fields *skip = without ? fields_name(without, str_n(f->json, f->json_len)) : NULL;
        if (skip && skip->member && !skip->kids)
            continue;
        size_t mark = w->b->len;
        put_name(w, f);
        bool done;
        if (skip && skip->kids && f->type->kind == T_STRUCT) {
            buf_add_c(w->b, '{');       /* metadata: never owned as such */
            done = put_members(w, f->type, m, true, skip->kids);
            buf_add_c(w->b, '}');
        } else {
            done = put_value(w, f, m, live && object_shows_empty(f));
        }
        if (!done)
            w->b->len = mark;
        any |= done;
    }
    return any;
}

/* self: the empty object shows the field; live: with what is in it (a pointer: no). */
static bool put_struct(struct writer *w, const struct schema_type *t, const struct val *v, bool self, bool live)
{
    size_t mark = w->b->len;
    put_self(w, self);
    if (v->type == VAL_OBJ && put_members(w, t, v, live, NULL)) {
        buf_add_c(w->b, '}');
        return true;
    }
    w->b->len = mark;                   /* it shows nothing: a leaf */
    return put_leaf(w, live);
}

static bool put_item(struct writer *w, const struct schema_type *t, const struct val *v)
{
    if (t->kind == T_STRUCT && !(t->flags & F_STRUCT_ATOMIC))
        return put_struct(w, t, v, false, false);
    if (t->kind == T_STRUCT || t->kind < T_JSON)
        return put_leaf(w, false);
    struct merge_type m = merge_type_of(t);
    const struct fields *changed, *removed;
    fields_compare(w->arena, &m, NULL, v, &changed, &removed);
    fields_encode_below(w->b, &w->scratch, changed, true);
    return true;
}

static bool put_list(struct writer *w, const struct schema_field *f, const struct val *v, bool live)
{
    struct merge_type list = merge_type_field(f);
    unsigned n, same;
    if (list.atomic || v->type != VAL_ARR || !v->n)
        return put_leaf(w, live && v->type != VAL_ARR);
    struct fields_item *at = fields_items(w->arena, &list, v, &n);
    w->keyless |= n < v->n;
    if (!n)
        return put_leaf(w, live);
    put_self(w, live);
    for (unsigned i = 0; i < n; i += same) {
        for (same = 1; i + same < n && fields_cmp(&at[i].key, &at[i + same].key) == 0;)
            same++;
        next(w);
        fields_encode_element(w->b, &w->scratch, &at[i].key);
        buf_add_c(w->b, ':');
        if (same > 1)
            put_leaf(w, false);
        else
            put_item(w, f->type, at[i].item);
    }
    buf_add_c(w->b, '}');
    return true;
}

static bool put_map(struct writer *w, const struct schema_field *f, const struct val *v, bool live)
{
    unsigned n;
    if (f->flags & F_STRUCT_ATOMIC || v->type != VAL_OBJ || !v->n)
        return put_leaf(w, live && v->type != VAL_OBJ);
    const struct val **at = fields_members(w->arena, v, &n);
    put_self(w, live);
    for (unsigned i = 0; i < n; i++) {
        struct fields e = { .element = FIELDS_NAME, .name = val_key(at[i]) };
        next(w);
        fields_encode_element(w->b, &w->scratch, &e);
        buf_add_c(w->b, ':');
        put_item(w, f->type, at[i]);
    }
    buf_add_c(w->b, '}');
    return true;
}

static bool put_value(struct writer *w, const struct schema_field *f, const struct val *v, bool live)
{
    if (live && fields_is_zero(f, v) && v->type != VAL_OBJ)
        return false;
    if (f->shape == SHAPE_LIST)
        return put_list(w, f, v, live);
    if (f->shape == SHAPE_MAP)
        return put_map(w, f, v, live);
    if (f->type->kind != T_STRUCT)
        return live ? put_leaf(w, fields_is_zero(f, v)) : put_item(w, f->type, v);
    bool inside = live && !(f->flags & F_POINTER);
    if (merge_type_field(f).atomic)
        return put_leaf(w, inside && fields_struct_zero(f->type, v));
    return put_struct(w, f->type, v, live, inside);
}

void fields_write_new(struct arena *a, struct buf *b, const struct schema_type *t, const struct val *v, const struct fields *without)
{
    struct writer w = { .arena = a, .b = b };
    buf_add_c(b, '{');
    put_members(&w, t, v, !t->custom, without);
    buf_add_c(b, '}');
    b->failed |= w.scratch.failed || w.keyless;
    buf_free(&w.scratch);
}
