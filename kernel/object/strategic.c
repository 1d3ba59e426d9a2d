/* strategic.c - strategic merge patch: lists of objects merge by the key in their row, directives say what to replace, delete, order. */
#include "object-internal.h"

struct merge {
    struct arena *arena;
    struct kl_err *err;
};

static int merge_struct(struct merge *m, const struct schema_type *t, struct val *old, const struct val *patch);

static bool is_directive(struct str key)
{
    return str_starts(key, STR("$"));
}

static bool has_prefix(struct str key, const char *prefix, struct str *ret_name)
{
    struct str p = str_of(prefix);
    if (!str_starts(key, p))
        return false;
    *ret_name = str_skip(key, p.len);
    return true;
}

/* A copy without directives: what takes the place of something that was not there. */
static struct val *clean(struct merge *m, const struct schema_type *t, const struct val *patch)
{
    if (patch->type == VAL_OBJ) {
        struct val *v = val_new(m->arena, VAL_OBJ);
        return v && merge_struct(m, t, v, patch) == 0 ? v : NULL;
    }
    return val_copy(m->arena, patch);
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

static void reorder(struct merge *m, struct val *list, const struct val *order, const char *key)
{
    if ((uint64_t)list->n * order->n > MOST_COMPARED)
        return;
    struct val *out = val_new(m->arena, VAL_ARR), *rest = val_new(m->arena, VAL_ARR);
    if (!out || !rest)
        return;
    val_each(o, order) {
        for (struct val *item = list->first; item; item = item->next) {
            const struct val *a = key ? json_get(item, str_of(key)) : item;
            const struct val *b = key && o->type == VAL_OBJ ? json_get(o, str_of(key)) : o;
            if (a && val_equal(a, b)) {
                val_unlink(list, item);
                val_push(out, item);
                break;
            }
        }
    }
    /* Items that the order does not name keep their place behind those it names. */
    for (struct val *item; (item = list->first);) {
        val_unlink(list, item);
        val_push(rest, item);
    }
    for (struct val *item; (item = rest->first);) {
        val_unlink(rest, item);
        val_push(out, item);
    }
    list->first = out->first;
    list->last = out->last;
    list->n = out->n;
}

static int merge_items(struct merge *m, const struct schema_field *f, struct val *list, const struct val *patch)
{
    struct val *added = val_new(m->arena, VAL_ARR);
    if (!added)
        return kl_err_set(m->err, KL_NO_MEMORY, "out of memory");
    if ((uint64_t)list->n * patch->n > MOST_COMPARED)
        return kl_err_set(m->err, KL_TOO_LARGE, "a patch of %u items for a list of %u is too large to merge", patch->n, list->n);
    val_each(p, patch) {
        struct str directive = json_str(p, "$patch");
        if (p->type != VAL_OBJ)
            return kl_err_set(m->err, KL_BAD_REQUEST, "an item of list '%s' in the patch is not an object", f->json);
        if (str_is(directive, "replace"))
            continue;                   /* handled by the caller */
        const struct val *key = json_get(p, str_of(f->patch_key));
        if (!key)
            return kl_err_set(m->err, KL_BAD_REQUEST, "map: does not contain declared merge key: %s", f->patch_key);
        struct val *there = find_item(list, f->patch_key, key);
        if (str_is(directive, "delete")) {
            for (; there; there = find_item(list, f->patch_key, key))
                val_unlink(list, there);
            continue;
        }
        if (directive.len && !str_is(directive, "merge"))
            return kl_err_set(m->err, KL_BAD_REQUEST, "unknown patch type: " STR_FMT, STR_ARG(directive));
        if (there) {
            if (merge_struct(m, f->type, there, p) < 0)
                return -m->err->code;
            continue;
        }
        struct val *item = clean(m, f->type, p);
        if (!item || !val_push(added, item))
            return m->err->code ? -m->err->code : kl_err_set(m->err, KL_NO_MEMORY, "out of memory");
    }
    /* Upstream puts new items in front, in the patch's order, unless an order is set. */
    val_each(old, list)
        val_push(added, val_copy(m->arena, old));
    list->first = added->first;
    list->last = added->last;
    list->n = added->n;
    return 0;
}

static bool replaces_list(const struct val *patch)
{
    val_each(p, patch)
        if (str_is(json_str(p, "$patch"), "replace"))
            return true;
    return false;
}

static struct val *without_directives(struct merge *m, const struct schema_field *f, const struct val *patch)
{
    struct val *list = val_new(m->arena, VAL_ARR);
    val_each(p, patch) {
        if (str_is(json_str(p, "$patch"), "replace") && p->n == 1)
            continue;
        if (!val_push(list, f->type->kind == T_STRUCT ? clean(m, f->type, p) : val_copy(m->arena, p))) {
            if (!m->err->code)
                kl_err_set(m->err, KL_NO_MEMORY, "out of memory");
            return NULL;
        }
    }
    return list;
}

static int merge_list(struct merge *m, const struct schema_field *f, struct val *old, const struct val *patch)
{
    struct str name = str_n(f->json, f->json_len);
    struct val *there = json_get(old, name);
    bool merges = f->flags & F_PATCH_MERGE;
    if (!merges || replaces_list(patch)) {
        struct val *list = without_directives(m, f, patch);
        return list && json_set(m->arena, old, name, list) ? 0 : -KL_NO_MEMORY;
    }
    if (!val_is(there, VAL_ARR))
        there = json_set(m->arena, old, name, val_new(m->arena, VAL_ARR));
    if (!there)
        return kl_err_set(m->err, KL_NO_MEMORY, "out of memory");
    if (f->type->kind == T_STRUCT && f->patch_key)
        return merge_items(m, f, there, patch);
    val_each(p, patch) {                /* primitives: a set */
        bool found = false;
        val_each(o, there)
            found |= val_equal(o, p);
        if (!found)
            val_push(there, val_copy(m->arena, p));
    }
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
        there = json_set(m->arena, old, name, val_new(m->arena, VAL_OBJ));
    if (!there)
        return kl_err_set(m->err, KL_NO_MEMORY, "out of memory");
    if (f->shape == SHAPE_ONE)
        return merge_struct(m, f->type, there, p);
    if (((uint64_t)there->n + p->n) * p->n > MOST_COMPARED)
        return kl_err_set(m->err, KL_TOO_LARGE, "a patch of %u members for a map of %u is too large to merge", p->n, there->n);
    val_each(e, p) {                    /* a map: its values merge when they are structs */
        if (e->type == VAL_NULL)
            json_del(there, val_key(e));
        else if (!str_is(val_key(e), "$patch"))
            json_set(m->arena, there, val_key(e), val_copy(m->arena, e));
    }
    if (str_is(json_str(p, "$patch"), "replace")) {
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

static int merge_struct(struct merge *m, const struct schema_type *t, struct val *old, const struct val *patch)
{
    struct str directive = json_str(patch, "$patch"), name;
    struct val *keys = json_get(patch, STR("$retainKeys"));
    if (str_is(directive, "replace") || str_is(directive, "delete")) {
        old->first = old->last = NULL;
        old->n = 0;
        if (str_is(directive, "delete"))
            return 0;
    } else if (directive.len && !str_is(directive, "merge")) {
        return kl_err_set(m->err, KL_BAD_REQUEST, "unknown patch type: " STR_FMT, STR_ARG(directive));
    }
    if (val_is(keys, VAL_ARR))
        retain(old, keys);
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
    val_each(p, patch) {
        if (!has_prefix(val_key(p), "$setElementOrder/", &name) || p->type != VAL_ARR)
            continue;
        const struct schema_field *f = schema_field_find(t, name);
        struct val *list = json_get(old, name);
        if (f && val_is(list, VAL_ARR))
            reorder(m, list, p, f->type->kind == T_STRUCT ? f->patch_key : NULL);
    }
    return 0;
}

struct val *object_patch_strategic(struct arena *a, const struct schema_type *type, const struct val *old, const struct val *patch,
                                   struct kl_err *err)
{
    struct merge m = { a, err };
    struct val *v = val_copy(a, old);
    if (!val_is(patch, VAL_OBJ) || !val_is(old, VAL_OBJ)) {
        kl_err_set(err, KL_BAD_REQUEST, "a strategic merge patch must be an object, and changes one");
        return NULL;
    }
    if (!v || merge_struct(&m, type, v, patch) < 0 || arena_exhausted(a)) {
        if (!err->code)
            kl_err_set(err, KL_NO_MEMORY, "out of memory");
        return NULL;
    }
    return v;
}
