/* strategic.c - strategic merge patch: lists of objects merge by the key in their row, directives say what to replace, delete, order. */
#include "object-internal.h"

#include <stdlib.h>

struct merge {
    struct arena *arena;
    struct kl_err *err;
};

static int merge_struct(struct merge *m, const struct schema_type *t, struct val *old, const struct val *patch);

static bool has_prefix(struct str key, const char *prefix, struct str *ret_name)
{
    struct str p = str_of(prefix);
    if (!str_starts(key, p))
        return false;
    *ret_name = str_skip(key, p.len);
    return true;
}

static bool is_directive(struct str key)
{
    struct str name;
    return key.len && key.at[0] == '$' && (str_is(key, "$patch") || str_is(key, "$retainKeys") || has_prefix(key, "$setElementOrder/", &name) ||
                                           has_prefix(key, "$deleteFromPrimitiveList/", &name));
}

static int bad_type(struct merge *m, const struct val *directive, const struct val *patch)
{
    _cleanup_buf_ struct buf b = BUF_INIT(160), is = BUF_INIT(64);
    object_write_go(&b, patch);
    object_write_go(&is, directive);
    if (directive->type == VAL_INT || directive->type == VAL_BOOL)
        return kl_err_set(m->err, KL_INTERNAL, "unknown patch type: %%!s(%s=" STR_FMT ") in map: " STR_FMT, directive->type == VAL_INT ? "int64" : "bool", STR_ARG(buf_str(&is)),
                          STR_ARG(buf_str(&b)));
    return kl_err_set(m->err, KL_INTERNAL, "unknown patch type: " STR_FMT " in map: " STR_FMT, STR_ARG(buf_str(&is)), STR_ARG(buf_str(&b)));
}

static int no_key(struct merge *m, const struct val *item, const char *key)
{
    _cleanup_buf_ struct buf b = BUF_INIT(160);
    object_write_go(&b, item);
    return kl_err_set(m->err, KL_INTERNAL, "map: " STR_FMT " does not contain declared merge key: %s", STR_ARG(buf_str(&b)), key);
}

static int mixed(struct merge *m, const struct val *list, const struct val *patch)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    object_write_go(&b, list);
    buf_add_c(&b, ' ');
    object_write_go(&b, patch);
    return kl_err_set(m->err, KL_INTERNAL, "list element types are not identical: [" STR_FMT "]", STR_ARG(buf_str(&b)));
}

/* What went wrong, or there was no memory. */
static int failed(struct merge *m)
{
    return m->err->code ? -m->err->code : kl_err_set(m->err, KL_NO_MEMORY, "out of memory");
}

static const struct val *directive_of(const struct val *v)
{
    return val_is(v, VAL_OBJ) ? json_get(v, STR("$patch")) : NULL;
}

/* What takes the place of something that was not there: a copy without nulls, and without objects that are directives. */
static struct val *clean(struct merge *m, const struct val *patch)
{
    if (patch->type < VAL_ARR)
        return val_copy(m->arena, patch);
    struct val *out = val_new(m->arena, patch->type);
    for (struct val *p = patch->first; p && out; p = p->next) {
        if (directive_of(p) || (patch->type == VAL_OBJ && p->type == VAL_NULL))
            continue;
        struct val *v = clean(m, p);
        if (!v)
            return NULL;
        v->key = p->key;
        v->key_len = p->key_len;
        val_push(out, v);
    }
    return out;
}

static struct val *find_item(struct val *list, const char *key, const struct val *value)
{
    if (value)
        val_each(item, list)
            if (val_equal(json_get(item, str_of(key)), value))
                return item;
    return NULL;
}

/* Items are found one by one: lists that no object has in earnest are not merged. */
#define MOST_COMPARED (16u << 20)

/* --- order: what a patch names stands in its order, the rest between as it stood before --- */

/* A list as it was: its items' places tell what came first. */
struct before {
    struct val **at;
    unsigned n;
};

static struct before remember(struct merge *m, const struct val *list)
{
    struct before b = { arena_alloc(m->arena, (list->n + 1u) * sizeof *b.at), 0 };
    if (b.at)
        val_each(item, list)
            b.at[b.n++] = item;
    return b;
}

static bool same_item(const struct val *x, const struct val *y, const char *key)
{
    if (!key)
        return val_equal(x, y);
    const struct val *p = json_get(x, str_of(key)), *q = json_get(y, str_of(key));
    return p && q && val_equal(p, q);
}

struct placed {
    struct val *item;
    long order, before;                 /* -1: not there */
};

static int by_order(const void *x, const void *y)
{
    const struct placed *p = x, *q = y;
    long a = p->order >= 0 ? p->order : p->before, b = q->order >= 0 ? q->order : q->before;
    if ((p->order >= 0) != (q->order >= 0))
        return p->order >= 0 ? -1 : 1;
    return (a > b) - (a < b);
}

static struct placed place(struct val *item, const struct val *order, const struct before *was, const char *key)
{
    struct placed p = { item, -1, -1 };
    long i = 0;
    for (const struct val *o = order->first; o && p.order < 0; o = o->next, i++)
        if (same_item(item, o, key))
            p.order = i;
    for (unsigned k = 0; k < was->n && p.before < 0; k++)
        if (same_item(item, was->at[k], key))
            p.before = (long)k;
    return p;
}

static void reorder(struct merge *m, struct val *list, const struct val *order, const struct before *was, const char *key)
{
    struct placed *at = arena_alloc(m->arena, (list->n + 1u) * sizeof *at);
    unsigned n = 0, first_rest = 0;
    if (!at || (uint64_t)list->n * ((uint64_t)order->n + was->n) > MOST_COMPARED)
        return;
    val_each(item, list)
        at[n++] = place(item, order, was, key);
    qsort(at, n, sizeof *at, by_order);
    while (first_rest < n && at[first_rest].order >= 0)
        first_rest++;
    list->first = list->last = NULL;
    list->n = 0;
    for (unsigned i = first_rest, j = 0; i < n || j < first_rest;) {
        bool rest = j >= first_rest || (i < n && at[j].before >= 0 && at[i].before < at[j].before);
        val_push(list, rest ? at[i++].item : at[j++].item);
    }
}

static int merge_items(struct merge *m, const struct schema_field *f, struct val *list, const struct val *patch)
{
    struct before was = remember(m, list);
    if (!was.at)
        return kl_err_set(m->err, KL_NO_MEMORY, "out of memory");
    if ((uint64_t)list->n * patch->n > MOST_COMPARED)
        return kl_err_set(m->err, KL_TOO_LARGE, "a patch of %u items for a list of %u is too large to merge", patch->n, list->n);
    val_each(p, patch) {
        const struct val *directive = directive_of(p);
        struct str word = val_str(directive);
        if (p->type != VAL_OBJ)
            return mixed(m, list, patch);
        if (str_is(word, "replace"))
            continue;                   /* handled by the caller */
        if (directive && !str_is(word, "delete"))
            return str_is(word, "merge") ? kl_err_set(m->err, KL_INTERNAL, "merging lists cannot yet be specified in the patch") : bad_type(m, directive, p);
        const struct val *key = json_get(p, str_of(f->patch_key));
        if (!key)
            return no_key(m, p, f->patch_key);
        struct val *there = find_item(list, f->patch_key, key), *item;
        if (directive) {
            for (; there; there = find_item(list, f->patch_key, key))
                val_unlink(list, there);
        } else if (there) {
            if (merge_struct(m, f->type, there, p) < 0)
                return -m->err->code;
        } else if (!(item = val_copy(m->arena, p)) || !val_push(list, item)) {
            return failed(m);
        }
    }
    val_each(item, list)                /* what is there has to be told apart too */
        if (item->type == VAL_OBJ && !json_get(item, str_of(f->patch_key)) && patch->n)
            return no_key(m, item, f->patch_key);
    reorder(m, list, patch, &was, f->patch_key);
    return 0;
}

static bool replaces_list(const struct val *patch)
{
    val_each(p, patch)
        if (str_is(val_str(directive_of(p)), "replace"))
            return true;
    return false;
}

static bool is_mixed(const struct val *list, const struct val *patch)
{
    const struct val *first = list->first ? list->first : patch->first;
    val_each(v, list)
        if (v->type != first->type)
            return true;
    val_each(v, patch)
        if (v->type != first->type)
            return true;
    return false;
}

static int merge_list(struct merge *m, const struct schema_field *f, struct val *old, const struct val *patch)
{
    struct str name = str_n(f->json, f->json_len);
    struct val *there = json_get(old, name);
    bool merges = f->flags & F_PATCH_MERGE, was_list = val_is(there, VAL_ARR);
    if (!merges || !was_list || replaces_list(patch)) {
        if (merges && was_list && f->type->kind == T_STRUCT && f->patch_key)
            val_each(item, patch)
                if (item->type == VAL_OBJ && !directive_of(item) && !json_get(item, str_of(f->patch_key)))
                    return no_key(m, item, f->patch_key);
        /* One that does not merge is taken as it is, directives and all: upstream knows none there. */
        struct val *list = !merges && was_list ? val_copy(m->arena, patch) : clean(m, patch);
        return list && json_set(m->arena, old, name, list) ? 0 : failed(m);
    }
    if (f->type->kind == T_STRUCT && f->patch_key)
        return merge_items(m, f, there, patch);
    if (is_mixed(there, patch))
        return mixed(m, there, patch);
    struct before was = remember(m, there);
    if ((uint64_t)there->n * patch->n > MOST_COMPARED)
        return kl_err_set(m->err, KL_TOO_LARGE, "a patch of %u items for a list of %u is too large to merge", patch->n, there->n);
    val_each(p, patch) {                /* primitives: a set */
        bool found = false;
        val_each(o, there)
            found |= val_equal(o, p);
        if (!found)
            val_push(there, val_copy(m->arena, p));
    }
    reorder(m, there, patch, &was, NULL);
    return 0;
}

static int merge_member(struct merge *m, const struct schema_field *f, struct val *old, const struct val *p)
{
    struct str name = str_n(f->json, f->json_len);
    struct val *there = json_get(old, name);
    if (f->shape == SHAPE_LIST && p->type == VAL_ARR)
        return merge_list(m, f, old, p);
    bool nested = p->type == VAL_OBJ && (f->type->kind == T_STRUCT || f->shape == SHAPE_MAP) && !(f->flags & F_PATCH_REPLACE);
    if (!nested) {
        json_set(m->arena, old, name, val_copy(m->arena, p));
        return 0;
    }
    if (!val_is(there, VAL_OBJ))
        return directive_of(p) || ((there = clean(m, p)) && json_set(m->arena, old, name, there)) ? 0 : failed(m);
    if (f->shape == SHAPE_ONE)
        return merge_struct(m, f->type, there, p);
    if (((uint64_t)there->n + p->n) * p->n > MOST_COMPARED)
        return kl_err_set(m->err, KL_TOO_LARGE, "a patch of %u members for a map of %u is too large to merge", p->n, there->n);
    const struct val *marker = directive_of(p);
    struct str directive = val_str(marker);
    if (marker && !str_is(directive, "replace") && !str_is(directive, "delete"))
        return bad_type(m, marker, p);
    if (str_is(directive, "delete")) {
        there->first = there->last = NULL;
        there->n = 0;
        return 0;
    }
    val_each(e, p) {                    /* a map: its values merge when they are structs */
        if (e->type == VAL_NULL)
            json_del(there, val_key(e));
        else if (!str_is(val_key(e), "$patch"))
            json_set(m->arena, there, val_key(e), val_copy(m->arena, e));
    }
    if (str_is(directive, "replace")) {
        for (struct val *e = there->first, *next; e; e = next) {
            next = e->next;
            if (!json_get(p, val_key(e)))
                val_unlink(there, e);
        }
    }
    return 0;
}

/* $retainKeys: only these members stay. */
static void retain(struct val *old, const struct val *keys)
{
    for (struct val *v = old->first, *next; v; v = next) {
        bool kept = false;
        next = v->next;
        val_each(k, keys)
            kept |= str_eq(val_str(k), val_key(v));
        if (!kept)
            val_unlink(old, v);
    }
}

static void delete_primitives(struct val *list, const struct val *gone)
{
    if (!val_is(list, VAL_ARR) || !val_is(gone, VAL_ARR))
        return;
    val_each(g, gone)
        for (struct val *v = list->first, *next; v; v = next) {
            next = v->next;
            if (val_equal(v, g))
                val_unlink(list, v);
        }
}

static bool retains_all(const struct val *patch, const struct val *keys)
{
    if (keys->type != VAL_ARR)
        return false;
    val_each(p, patch) {
        bool found = is_directive(val_key(p));
        val_each(k, keys)
            found |= str_eq(val_str(k), val_key(p));
        if (!found)
            return false;
    }
    return true;
}

/* --- $setElementOrder --- */

static const char *const go_types[] = { "", "<nil>", "bool", "int64", "float64", "string", "[]interface {}", "map[string]interface {}" };

struct ordering {
    struct ordering *next;
    const struct schema_field *field;
    const struct val *order;
    struct before was;
};

static const char *item_key(const struct schema_field *f)
{
    return f->type->kind == T_STRUCT ? f->patch_key : NULL;
}

/* The patch's own items must come in the order that it asks for. */
static bool in_order(const struct val *items, const struct val *order, const char *key)
{
    const struct val *o = order->first, *p = val_is(items, VAL_ARR) ? items->first : NULL;
    while (p && o) {
        bool directive = json_str(p, "$patch").len > 0;
        if (directive || same_item(p, o, key))
            p = p->next;
        if (!directive)
            o = o->next;
    }
    while (p && str_is(json_str(p, "$patch"), "delete"))
        p = p->next;
    return !p;
}

static int out_of_order(struct merge *m, const struct val *list, const struct val *order)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    buf_add_z(&b, "The order in patch list:\n");
    object_write_go(&b, list);
    buf_add_z(&b, "\n doesn't match $setElementOrder list:\n");
    object_write_go(&b, order);
    return kl_err_set(m->err, KL_INTERNAL, STR_FMT "\n", STR_ARG(buf_str(&b)));
}

static int find_orders(struct merge *m, const struct schema_type *t, const struct val *old, const struct val *patch, struct ordering **ret)
{
    struct str name;
    val_each(p, patch) {
        const struct schema_field *f = has_prefix(val_key(p), "$setElementOrder/", &name) ? schema_field_find(t, name) : NULL;
        if (!f)
            continue;
        if (p->type != VAL_ARR)
            return kl_err_set(m->err, KL_INTERNAL, "expected a []interface {}, but received a %s", go_types[p->type]);
        if ((uint64_t)p->n * (json_get(patch, name) ? json_get(patch, name)->n : 0) <= MOST_COMPARED && !in_order(json_get(patch, name), p, item_key(f)))
            return out_of_order(m, json_get(patch, name), p);
        const struct val *list = json_get(old, name);
        struct ordering *o = arena_alloc(m->arena, sizeof *o);
        if (!o)
            return kl_err_set(m->err, KL_NO_MEMORY, "out of memory");
        *o = (struct ordering){ *ret, f, p, val_is(list, VAL_ARR) ? remember(m, list) : (struct before){ NULL, 0 } };
        *ret = o;
    }
    return 0;
}

static int merge_struct(struct merge *m, const struct schema_type *t, struct val *old, const struct val *patch)
{
    const struct val *marker = directive_of(patch);
    struct str directive = val_str(marker), name;
    struct val *keys = json_get(patch, STR("$retainKeys"));
    if (str_is(directive, "replace") || str_is(directive, "delete")) {
        old->first = old->last = NULL;
        old->n = 0;
        if (str_is(directive, "delete"))
            return 0;
    } else if (marker) {
        return bad_type(m, marker, patch);
    }
    if (keys && !retains_all(patch, keys))
        return kl_err_set(m->err, KL_BAD_REQUEST, "invalid patch format of retainKeys");
    if (keys)
        retain(old, keys);
    struct ordering *orders = NULL;
    if (find_orders(m, t, old, patch, &orders) < 0)
        return -m->err->code;
    val_each(p, patch)
        if (has_prefix(val_key(p), "$deleteFromPrimitiveList/", &name))
            delete_primitives(json_get(old, name), p);
    val_each(p, patch) {
        if (is_directive(val_key(p)))
            continue;
        const struct schema_field *f = schema_field_find(t, val_key(p));
        if (p->type == VAL_NULL) {
            json_del(old, val_key(p));
        } else if (!f) {
            json_set(m->arena, old, val_key(p), val_copy(m->arena, p));
        } else if (merge_member(m, f, old, p) < 0) {
            return -m->err->code;
        }
    }
    for (const struct ordering *o = orders; o; o = o->next) {
        struct val *list = json_get(old, str_n(o->field->json, o->field->json_len));
        if (val_is(list, VAL_ARR))
            reorder(m, list, o->order, &o->was, item_key(o->field));
    }
    return 0;
}

struct val *object_patch_strategic(struct arena *a, const struct schema_type *type, const struct val *old, const struct val *patch,
                                   struct kl_err *err)
{
    struct merge m = { a, err };
    struct val *v = val_copy(a, old);
    if (!val_is(patch, VAL_OBJ) || !val_is(old, VAL_OBJ)) {
        kl_err_set(err, KL_BAD_REQUEST, "json: cannot unmarshal %s into Go value of type map[string]interface {}", patch_word(patch));
        return NULL;
    }
    if (!v || merge_struct(&m, type, v, patch) < 0 || arena_exhausted(a)) {
        if (!err->code)
            kl_err_set(err, KL_NO_MEMORY, "out of memory");
        return NULL;
    }
    return v;
}
