/* fields_set.c - sets of paths: text and back, order, algebra. */
#include "fields-internal.h"

#include <stdlib.h>

/* --- order --- */

static double number(const struct val *v)
{
    char text[64];
    if (v->type == VAL_INT)
        return (double)v->i;
    snprintf(text, sizeof text, "%.*s", (int)v->n, v->s);
    return strtod(text, NULL);
}

/* Numbers, texts, booleans, lists, maps, nothing. */
static int rank(const struct val *v)
{
    static const uint8_t ranks[] = { [VAL_NUM] = 1, [VAL_INT] = 1, [VAL_STR] = 2, [VAL_BOOL] = 3, [VAL_ARR] = 4, [VAL_OBJ] = 5, [VAL_NULL] = 6 };
    return ranks[v->type];
}

static int members_cmp(const struct val *x, const struct val *y)
{
    const struct val *p = x->first, *q = y->first;
    for (; p && q; p = p->next, q = q->next) {
        int c = x->type == VAL_OBJ ? str_cmp(val_key(p), val_key(q)) : 0;
        if (c == 0)
            c = fields_value_cmp(p, q);
        if (c)
            return c;
    }
    return (p != NULL) - (q != NULL);
}

int fields_value_cmp(const struct val *x, const struct val *y)
{
    int r = rank(x), s = rank(y);
    if (r != s)
        return r < s ? -1 : 1;
    if (x->type == VAL_NUM || y->type == VAL_NUM)
        return (number(x) > number(y)) - (number(x) < number(y));
    switch (x->type) {
    case VAL_INT:
    case VAL_BOOL: return (x->i > y->i) - (x->i < y->i);
    case VAL_STR: return str_cmp(val_str(x), val_str(y));
    case VAL_ARR:
    case VAL_OBJ: return members_cmp(x, y);
    default: return 0;
    }
}

int fields_cmp(const struct fields *x, const struct fields *y)
{
    if (x->element != y->element)
        return x->element < y->element ? -1 : 1;
    switch (x->element) {
    case FIELDS_NAME: return str_cmp(x->name, y->name);
    case FIELDS_INDEX: return (x->index > y->index) - (x->index < y->index);
    default: return fields_value_cmp(x->v, y->v);
    }
}

bool fields_equal(const struct fields *x, const struct fields *y)
{
    for (; x && y; x = x->next, y = y->next)
        if (x->member != y->member || fields_cmp(x, y) != 0 || !fields_equal(x->kids, y->kids))
            return false;
    return x == y;
}

const struct fields *fields_find(const struct fields *set, const struct fields *element)
{
    for (; set; set = set->next) {
        int c = fields_cmp(set, element);
        if (c >= 0)
            return c == 0 ? set : NULL;
    }
    return NULL;
}

const struct fields *fields_name(const struct fields *set, struct str name)
{
    for (; set && set->element == FIELDS_NAME; set = set->next)
        if (str_eq(set->name, name))
            return set;
    return NULL;
}

/* --- algebra: sorted lists, merged --- */

void fields_add(struct fields_list *l, const struct fields *like, bool member, const struct fields *kids)
{
    if (!member && !kids)
        return;
    struct fields *f = arena_raw(l->arena, sizeof *f);
    if (!f)
        return;
    *f = *like;
    f->next = NULL;
    f->member = member;
    f->kids = kids;
    if (l->last)
        l->last->next = f;
    else
        l->first = f;
    l->last = f;
}

const struct fields *fields_union(struct arena *a, const struct fields *x, const struct fields *y)
{
    struct fields_list l = { a, NULL, NULL };
    if (!x || !y)
        return x ? x : y;
    while (x || y) {
        int c = !x ? 1 : !y ? -1 : fields_cmp(x, y);
        if (c == 0)
            fields_add(&l, x, x->member || y->member, fields_union(a, x->kids, y->kids));
        else
            fields_add(&l, c < 0 ? x : y, (c < 0 ? x : y)->member, (c < 0 ? x : y)->kids);
        x = c <= 0 ? x->next : x;
        y = c >= 0 ? y->next : y;
    }
    return l.first;
}

const struct fields *fields_both(struct arena *a, const struct fields *x, const struct fields *y)
{
    struct fields_list l = { a, NULL, NULL };
    while (x && y) {
        int c = fields_cmp(x, y);
        if (c == 0)
            fields_add(&l, x, x->member && y->member, fields_both(a, x->kids, y->kids));
        x = c <= 0 ? x->next : x;
        y = c >= 0 ? y->next : y;
    }
    return l.first;
}

static const struct fields *minus(struct arena *a, const struct fields *x, const struct fields *y, bool deep)
{
    struct fields_list l = { a, NULL, NULL };
    if (!y)
        return x;
    while (x) {
        int c = y ? fields_cmp(x, y) : -1;
        if (c > 0) {
            y = y->next;
            continue;
        }
        if (c < 0)
            fields_add(&l, x, x->member, x->kids);
        else if (!deep || !y->member)
            fields_add(&l, x, x->member && !y->member, minus(a, x->kids, y->kids, deep));
        x = x->next;
    }
    return l.first;
}

const struct fields *fields_minus(struct arena *a, const struct fields *x, const struct fields *y)
{
    return minus(a, x, y, false);
}

const struct fields *fields_minus_deep(struct arena *a, const struct fields *x, const struct fields *y)
{
    return minus(a, x, y, true);
}

const struct fields *fields_within(struct arena *a, const struct fields *x, const struct fields *patterns)
{
    struct fields_list l = { a, NULL, NULL };
    for (; x; x = x->next)
        for (const struct fields *p = patterns; p; p = p->next) {
            if (!str_is(p->name, "*") && fields_cmp(p, x) != 0)
                continue;
            fields_add(&l, x, x->member, p->member ? x->kids : fields_within(a, x->kids, p->kids));
            break;
        }
    return l.first;
}

const struct fields *fields_path(struct arena *a, const char *path)
{
    struct str rest = str_of(path), name = str_cut(&rest, '.');
    const struct fields *kids = rest.at ? fields_path(a, rest.at) : NULL;
    struct fields *f = arena_alloc(a, sizeof *f);
    if (f)
        *f = (struct fields){ .element = FIELDS_NAME, .name = name, .member = !rest.at, .kids = kids };
    return f;
}

/* --- text --- */

static int bad(struct kl_err *err, const char *what, struct str text)
{
    return kl_err_set(err, KL_INVALID, "%s: " STR_FMT, what, STR_ARG(text));
}

/* 1: an element; 0: one of a kind that only later versions know. */
static int decode_element(struct arena *a, struct str text, struct fields *ret, struct kl_err *err)
{
    if (text.len < 2)
        return bad(err, "key must be 2 characters long:", text);
    if (text.at[1] != ':')
        return bad(err, "missing colon", text);
    struct str rest = str_skip(text, 2);
    switch (text.at[0]) {
    case 'f':
        *ret = (struct fields){ .element = FIELDS_NAME, .name = rest };
        return 1;
    case 'i':
        *ret = (struct fields){ .element = FIELDS_INDEX };
        return str_int(rest, &ret->index) ? 1 : bad(err, "no index", text);
    case 'k':
    case 'v': break;
    default: return 0;
    }
    struct val *v = json_parse(a, rest, err);
    bool key = text.at[0] == 'k';
    if (!v || (key && v->type != VAL_OBJ))
        return bad(err, "parsing key as path element", text);
    if (key)
        json_sort(a, v);                /* as keys are compared */
    *ret = (struct fields){ .element = key ? FIELDS_KEY : FIELDS_VALUE, .v = v };
    return 1;
}

/* Mostly they come in order. */
static void insert(struct fields_list *l, const struct fields *f)
{
    if (!l->last || fields_cmp(l->last, f) < 0) {
        fields_add(l, f, f->member, f->kids);
        return;
    }
    l->first = fields_union(l->arena, l->first, f);
    for (l->last = (struct fields *)l->first; l->last->next;)
        l->last = (struct fields *)l->last->next;
}

static int decode(struct arena *a, const struct val *v, const struct fields **ret, bool *ret_member, int depth, struct kl_err *err)
{
    struct fields_list l = { a, NULL, NULL };
    *ret_member = false;
    *ret = NULL;
    if (v && v->type != VAL_OBJ && v->type != VAL_NULL)
        return kl_err_set(err, KL_INVALID, "expect { or n");
    if (depth > JSON_DEPTH)
        return kl_err_set(err, KL_INVALID, "nested too deep");
    for (const struct val *m = val_is(v, VAL_OBJ) ? v->first : NULL; m; m = m->next) {
        struct fields f;
        bool member;
        if (str_is(val_key(m), ".")) {
            *ret_member = true;
            continue;
        }
        int rc = decode_element(a, val_key(m), &f, err);
        if (rc == 0)
            continue;
        if (rc < 0 || decode(a, m, &f.kids, &member, depth + 1, err) < 0)
            return -KL_INVALID;
        f.member = member;
        insert(&l, &f);
    }
    *ret = l.first;
    *ret_member |= !l.first;
    return 0;
}

int fields_decode(struct arena *a, const struct val *v, const struct fields **ret, struct kl_err *err)
{
    bool member;
    return decode(a, v, ret, &member, 0, err);
}

/* "f:name": the prefix goes behind the first quote. */
static void encode_name(struct buf *b, struct str name)
{
    size_t at = b->len;
    json_write_str(b, name);
    if (!buf_at(b, 3))
        return;
    memmove(b->at + at + 3, b->at + at + 1, b->len - at);
    memcpy(b->at + at + 1, "f:", 2);
    b->len += 2;
}

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&')
            return false;
    }
    return true;
}

/* Keys are mostly a name or a number: `"k:{\"name\":\"x\"}"` without a detour. False: nothing was written. */
static bool encode_plain_key(struct buf *b, const struct val *key)
{
    val_each(m, key)
        if (!is_plain(val_key(m)) || (m->type != VAL_INT && (m->type != VAL_STR || !is_plain(val_str(m)))))
            return false;
    buf_lit(b, "\"k:{");
    val_each(m, key) {
        buf_add_z(b, m == key->first ? "\\\"" : ",\\\"");
        buf_add_str(b, val_key(m));
        buf_lit(b, "\\\":");
        if (m->type == VAL_INT) {
            buf_add_int(b, m->i);
            continue;
        }
        buf_lit(b, "\\\"");
        buf_add_str(b, val_str(m));
        buf_lit(b, "\\\"");
    }
    buf_lit(b, "}\"");
    return true;
}

void fields_encode_element(struct buf *b, struct buf *scratch, const struct fields *f)
{
    if (f->element == FIELDS_NAME) {
        encode_name(b, f->name);
        return;
    }
    if (f->element == FIELDS_KEY && encode_plain_key(b, f->v))
        return;
    buf_clear(scratch);
    if (f->element == FIELDS_INDEX) {
        buf_lit(scratch, "i:");
        buf_add_int(scratch, f->index);
    } else {
        buf_add_z(scratch, f->element == FIELDS_KEY ? "k:" : "v:");
        json_write(scratch, f->v);
    }
    json_write_str(b, buf_str(scratch));
    b->failed |= scratch->failed;
}

void fields_encode_below(struct buf *b, struct buf *scratch, const struct fields *set, bool self)
{
    buf_add_c(b, '{');
    if (self && set)
        buf_lit(b, "\".\":{}");
    for (const struct fields *f = set; f; f = f->next) {
        if (f != set || self)
            buf_add_c(b, ',');
        fields_encode_element(b, scratch, f);
        buf_add_c(b, ':');
        fields_encode_below(b, scratch, f->kids, f->member);
    }
    buf_add_c(b, '}');
}

void fields_encode(struct buf *b, const struct fields *set)
{
    _cleanup_buf_ struct buf scratch = BUF_INIT(0);
    fields_encode_below(b, &scratch, set, false);
}

/* --- words --- */

void fields_element_text(struct buf *b, const struct fields *f)
{
    if (f->element == FIELDS_NAME) {
        buf_add_c(b, '.');
        buf_add_str(b, f->name);
    } else if (f->element == FIELDS_INDEX) {
        buf_printf(b, "[%lld]", (long long)f->index);
    } else if (f->element == FIELDS_VALUE) {
        buf_lit(b, "[=");
        json_write(b, f->v);
        buf_add_c(b, ']');
    } else {
        buf_add_c(b, '[');
        val_each(m, f->v) {
            buf_printf(b, "%s" STR_FMT "=", m == f->v->first ? "" : ",", STR_ARG(val_key(m)));
            json_write(b, m);
        }
        buf_add_c(b, ']');
    }
}

static void each(struct arena *a, struct buf *path, const struct fields *set, void (*say)(void *ctx, const char *path), void *ctx)
{
    size_t len = path->len;
    for (int below = 0; below < 2; below++)
        for (const struct fields *f = set; f; f = f->next) {
            if (below ? !f->kids : !f->member)
                continue;
            fields_element_text(path, f);
            if (below)
                each(a, path, f->kids, say, ctx);
            else
                say(ctx, arena_dup(a, buf_str(path)));
            path->len = len;
        }
}

void fields_each(struct arena *a, const struct fields *set, void (*say)(void *ctx, const char *path), void *ctx)
{
    _cleanup_buf_ struct buf path = BUF_INIT(64 << 10);
    each(a, &path, set, say, ctx);
}
