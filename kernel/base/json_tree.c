/* json_tree.c - reading, building and comparing trees. */
#include "base/json.h"

#include <stdlib.h>

struct val *json_look(const struct val *obj, const char *name, size_t len, uint32_t bit)
{
    struct val *found = NULL;
    if (!obj || obj->type != VAL_OBJ)
        return NULL;
#ifndef __SANITIZE_ADDRESS__            /* whose builds find a member that was put in past val_push */
    if (!(obj->names & bit))
        return NULL;
#else
    (void)bit;
#endif
    val_each(v, obj)                    /* most names differ in length */
        if (v->key_len == len && (v->key == name || str_same(v->key, name, len)))
            found = v;
    return found;
}

struct val *json_path(const struct val *v, const char *path)
{
    while (v && *path) {
        const char *end = strchrnul(path, '.');
        v = json_get(v, str_n(path, (size_t)(end - path)));
        path = *end ? end + 1 : end;
    }
    return (struct val *)v;
}

struct str val_str(const struct val *v)
{
    return val_is(v, VAL_STR) ? str_n(v->s, v->n) : STR_NONE;
}

struct str json_str_look(const struct val *obj, const char *name, size_t len, uint32_t bit)
{
    return val_str(json_look(obj, name, len, bit));
}

struct str json_str_walk(const struct val *v, const char *path)
{
    return val_str(json_path(v, path));
}

int64_t json_int(const struct val *v, const char *path, int64_t fallback)
{
    v = json_path(v, path);
    return val_is(v, VAL_INT) ? v->i : fallback;
}

bool json_bool(const struct val *v, const char *path, bool fallback)
{
    v = json_path(v, path);
    return val_is(v, VAL_BOOL) ? v->i != 0 : fallback;
}

static bool members_equal(const struct val *a, const struct val *b)
{
    /* Mostly both are in the same order, so look at the same place first. */
    const struct val *guess = b->first;
    val_each(x, a)
    {
        const struct val *y = guess && str_eq(val_key(guess), val_key(x)) ? guess : json_get(b, val_key(x));
        if (!y || !val_equal(x, y))
            return false;
        guess = y->next;
    }
    return true;
}

bool val_equal(const struct val *a, const struct val *b)
{
    if (!a || !b)
        return a == b;
    if (a->type != b->type)
        return false;
    const struct val *y;
    switch (a->type) {
    case VAL_NULL:
        return true;
    case VAL_BOOL:
    case VAL_INT:
        return a->i == b->i;
    case VAL_NUM:
    case VAL_STR:
        return str_eq(str_n(a->s, a->n), str_n(b->s, b->n));
    case VAL_OBJ:
        return a->n == b->n && members_equal(a, b);
    default:
        if (a->n != b->n)
            return false;
        y = b->first;
        val_each(x, a)
        {
            if (!val_equal(x, y))
                return false;
            y = y->next;
        }
        return true;
    }
}

struct val *val_new(struct arena *a, enum val_type t)
{
    struct val *v = arena_alloc(a, sizeof *v);
    if (v)
        v->type = (uint8_t)t;
    return v;
}

struct val *val_of_str(struct arena *a, struct str s)
{
    struct val *v = val_new(a, VAL_STR);
    if (v) {
        v->s = s.at ? s.at : "";
        v->n = (uint32_t)s.len;
    }
    return v;
}

struct val *val_of_int(struct arena *a, int64_t i)
{
    struct val *v = val_new(a, VAL_INT);
    if (v)
        v->i = i;
    return v;
}

struct val *val_of_bool(struct arena *a, bool b)
{
    struct val *v = val_new(a, VAL_BOOL);
    if (v)
        v->i = b;
    return v;
}

struct val *val_copy(struct arena *a, const struct val *v)
{
    struct val *out = v ? arena_raw(a, sizeof *out) : NULL;
    if (!out)
        return NULL;
    *out = *v;
    out->next = NULL;
    if (v->type < VAL_ARR)
        return out;
    out->first = out->last = NULL;
    out->n = 0;
    val_each(kid, v)
        if (!val_push(out, val_copy(a, kid)))
            return NULL;
    return out;
}

struct val *val_push(struct val *parent, struct val *v)
{
    if (!parent || !v)
        return NULL;
    v->next = NULL;
    if (parent->last)
        parent->last->next = v;
    else
        parent->first = v;
    parent->last = v;
    parent->n++;
    if (parent->type == VAL_OBJ)
        parent->names |= val_bit(val_key(v));
    return v;
}

void val_unshift(struct val *parent, struct val *v)
{
    v->next = parent->first;
    parent->first = v;
    if (!parent->last)
        parent->last = v;
    parent->n++;
    if (parent->type == VAL_OBJ)
        parent->names |= val_bit(val_key(v));
}

void val_rename(struct val *obj, struct val *member, struct str key)
{
    member->key = key.at;
    member->key_len = (uint32_t)key.len;
    obj->names |= val_bit(key);
}

void val_replace(struct val *v, const struct val *src)
{
    struct val place = *v;
    *v = *src;
    v->next = place.next;
    v->key = place.key;
    v->key_len = place.key_len;
    v->place = place.place;
}

struct val *json_set(struct arena *a, struct val *obj, struct str key, struct val *v)
{
    (void)a;
    if (!val_is(obj, VAL_OBJ) || !v)
        return NULL;
    v->key = key.at;
    v->key_len = (uint32_t)key.len;
    struct val *old = json_get(obj, key);
    if (!old)
        return val_push(obj, v);
    struct val *before = NULL;
    val_each(x, obj)
    {
        if (x == old)
            break;
        before = x;
    }
    v->next = old->next;
    if (before)
        before->next = v;
    else
        obj->first = v;
    if (obj->last == old)
        obj->last = v;
    return v;
}

struct val *json_set_str(struct arena *a, struct val *obj, struct str key, struct str s)
{
    return json_set(a, obj, key, val_of_str(a, s));
}

struct val *json_set_int(struct arena *a, struct val *obj, struct str key, int64_t i)
{
    return json_set(a, obj, key, val_of_int(a, i));
}

struct val *json_set_bool(struct arena *a, struct val *obj, struct str key, bool b)
{
    return json_set(a, obj, key, val_of_bool(a, b));
}

static struct val *container(struct arena *a, struct val *obj, struct str key, enum val_type t)
{
    struct val *v = json_get(obj, key);
    if (v && v->type == t)
        return v;
    return obj ? json_set(a, obj, key, val_new(a, t)) : NULL;
}

struct val *json_obj(struct arena *a, struct val *obj, struct str key)
{
    return container(a, obj, key, VAL_OBJ);
}

struct val *json_arr(struct arena *a, struct val *obj, struct str key)
{
    return container(a, obj, key, VAL_ARR);
}

bool json_lists(const struct val *list, struct str text)
{
    if (val_is(list, VAL_ARR))
        val_each(v, list)
            if (v->type == VAL_STR && str_eq(val_str(v), text))
                return true;
    return false;
}

struct val *json_named(const struct val *list, struct str name)
{
    if (val_is(list, VAL_ARR))
        val_each(v, list)
            if (str_eq(json_str(v, "name"), name))
                return v;
    return NULL;
}

int val_by_key(const void *x, const void *y)
{
    return str_cmp(val_key(*(const struct val *const *)x), val_key(*(const struct val *const *)y));
}

bool json_is_sorted(const struct val *obj)
{
    for (const struct val *m = obj->first; m && m->next; m = m->next)
        if (str_cmp(val_key(m), val_key(m->next)) >= 0)
            return false;
    return true;
}

bool json_sort(struct arena *a, struct val *obj)
{
    if (json_is_sorted(obj))
        return true;
    struct val **at = arena_raw(a, obj->n * sizeof *at);
    unsigned n = 0;
    if (!at)
        return false;
    val_each(m, obj)
        at[n++] = m;
    qsort(at, n, sizeof *at, val_by_key);
    obj->first = obj->last = NULL;
    obj->n = 0;
    for (unsigned i = 0; i < n; i++)
        val_push(obj, at[i]);
    return true;
}

bool json_sort_all(struct arena *a, struct val *v)
{
    if (v->type < VAL_ARR)
        return true;
    val_each(m, v)
        if (!json_sort_all(a, m))
            return false;
    return v->type != VAL_OBJ || json_sort(a, v);
}

void val_unlink(struct val *parent, struct val *v)
{
    struct val *before = NULL;
    val_each(x, parent)
    {
        if (x != v) {
            before = x;
            continue;
        }
        if (before)
            before->next = v->next;
        else
            parent->first = v->next;
        if (parent->last == v)
            parent->last = before;
        parent->n--;
        return;
    }
}

bool json_del(struct val *obj, struct str key)
{
    bool found = false;
    for (struct val *v; (v = json_get(obj, key)); found = true)
        val_unlink(obj, v);
    return found;
}
