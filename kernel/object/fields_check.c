/* fields_check.c - does a configuration fit its type? With upstream's words. */
#include "fields-internal.h"

struct check {
    struct arena *arena;
    bool twice_ok;
    struct buf text;                    /* complaints, a line each */
    unsigned n;
};

struct place {
    const struct place *up;
    const struct fields *element;       /* NULL: the root */
};

static void check(struct check *c, const struct merge_type *t, const struct val *v, const struct place *p);

static void put_place(struct buf *b, const struct place *p)
{
    if (!p || !p->element)
        return;
    put_place(b, p->up);
    fields_element_text(b, p->element);
}

/* A value as Go prints it: sharp, with types. */
static void put_go(struct buf *b, const struct val *v, bool sharp)
{
    switch (v->type) {
    case VAL_NULL: buf_add_z(b, "<nil>"); return;
    case VAL_STR:
        if (sharp)
            json_write(b, v);
        else
            buf_add_str(b, val_str(v));
        return;
    case VAL_ARR: buf_add_z(b, sharp ? "[]interface {}{" : "["); break;
    case VAL_OBJ: buf_add_z(b, sharp ? "map[string]interface {}{" : "map["); break;
    default: json_write(b, v); return;
    }
    val_each(kid, v) {
        if (kid != v->first)
            buf_add_z(b, sharp ? ", " : " ");
        if (v->type == VAL_OBJ && sharp)
            json_write_str(b, val_key(kid));
        else if (v->type == VAL_OBJ)
            buf_add_str(b, val_key(kid));
        if (v->type == VAL_OBJ)
            buf_add_c(b, ':');
        put_go(b, kid, sharp);
    }
    buf_add_c(b, sharp ? '}' : ']');
}

static void begin(struct check *c, const struct place *p)
{
    buf_add_z(&c->text, c->n++ ? "\n  " : "  ");
    size_t line = c->text.len;
    put_place(&c->text, p);
    if (c->text.len > line)
        buf_lit(&c->text, ": ");
}

static void complain(struct check *c, const struct place *p, const char *what, const char *more)
{
    begin(c, p);
    buf_add_z(&c->text, what);
    buf_add_z(&c->text, more);
}

static void expected(struct check *c, const struct place *p, const char *what, const struct val *v, bool sharp)
{
    begin(c, p);
    buf_printf(&c->text, "expected %s, got %s", what, sharp ? "&value.valueUnstructured{Value:" : "&{");
    put_go(&c->text, v, sharp);
    buf_add_c(&c->text, '}');
}

static void check_scalar(struct check *c, const struct merge_type *t, const struct val *v, const struct place *p)
{
    static const char *const go[] = { [VAL_NULL] = "<nil>", [VAL_BOOL] = "bool", [VAL_STR] = "string", [VAL_ARR] = "[]interface {}",
                                      [VAL_OBJ] = "map[string]interface {}" };
    bool number = v->type == VAL_INT || v->type == VAL_NUM;
    if (v->type == VAL_NULL)
        return;
    if (t->scalar == SCALAR_NUMBER && !number)
        complain(c, p, "expected numeric (int or float), got ", go[v->type]);
    else if (t->scalar == SCALAR_STRING && v->type != VAL_STR)
        expected(c, p, "string", v, true);
    else if (t->scalar == SCALAR_BOOL && v->type != VAL_BOOL)
        expected(c, p, "boolean", v, false);
    else if (t->scalar == SCALAR_ANY && v->type >= VAL_ARR)
        expected(c, p, "any scalar", v, false);
}

static void check_twice(struct check *c, const struct merge_type *t, const struct val *v, const struct place *p)
{
    unsigned n;
    struct fields_item *at = fields_items(c->arena, t, v, &n);
    for (unsigned i = 1; i < n; i++)
        if (fields_cmp(&at[i - 1].key, &at[i].key) == 0) {
            begin(c, p);
            buf_lit(&c->text, "duplicate entries for key ");
            fields_element_text(&c->text, &at[i].key);
        }
}

static void check_list(struct check *c, const struct merge_type *t, const struct val *v, const struct place *p)
{
    struct merge_type item = merge_type_item(t);
    long i = 0;
    if (v->type == VAL_NULL)
        return;
    if (v->type != VAL_ARR) {
        expected(c, p, "list", v, false);
        return;
    }
    for (const struct val *x = v->first; x; x = x->next, i++) {
        struct kl_err err;
        kl_err_init(&err);
        struct fields key = { .element = FIELDS_INDEX, .index = i };
        struct place here = { p, &key };
        if (!t->atomic && merge_item_element(c->arena, t, x, &key, &err) < 0) {
            begin(c, p);
            buf_printf(&c->text, "element %ld: %s", i, err.msg);
            return;
        }
        check(c, &item, x, &here);
    }
    if (!t->atomic && !c->twice_ok)
        check_twice(c, t, v, p);
}

static void check_map(struct check *c, const struct merge_type *t, const struct val *v, const struct place *p)
{
    if (v->type == VAL_NULL)
        return;
    if (v->type != VAL_OBJ) {
        expected(c, p, "map", v, false);
        return;
    }
    val_each(x, v) {
        struct fields key = { .element = FIELDS_NAME, .name = val_key(x) };
        struct place here = { p, &key };
        struct merge_type m;
        bool named;
        if (!merge_type_member(t, key.name, &m, &named)) {
            complain(c, &here, "field not declared in schema", "");
            return;
        }
        check(c, &m, x, &here);
    }
}

static void check(struct check *c, const struct merge_type *t, const struct val *v, const struct place *p)
{
    struct merge_type d = merge_type_deduce(t, v);
    switch (d.kind) {
    case MERGE_SCALAR: check_scalar(c, &d, v, p); break;
    case MERGE_LIST: check_list(c, &d, v, p); break;
    case MERGE_STRUCT:
    case MERGE_MAP: check_map(c, &d, v, p); break;
    default: break;
    }
}

const char *merge_check(struct arena *a, const struct merge_type *t, const struct val *v, bool twice_ok)
{
    struct check c = { .arena = a, .twice_ok = twice_ok, .text = BUF_INIT(64 << 10) };
    const char *text = NULL;
    check(&c, t, v, NULL);
    if (c.n == 1)
        text = arena_dup(a, str_skip(buf_str(&c.text), 2));
    else if (c.n)
        text = arena_printf(a, "errors:\n" STR_FMT, STR_ARG(buf_str(&c.text)));
    buf_free(&c.text);
    return c.n && !text ? "out of memory" : text;
}
