/* collect.c - lists and maps, whether they were built here or stand in a JSON tree. What is built grows in place: a value is a prefix of
 * what its items hold, so whoever pushes to the longest one moves nothing. */
#include "cel/cel-internal.h"

#include "base/hash.h"

#define FEW 8                           /* entries without an index */
#define MANY 32                         /* members of an object that get one */

/* --- lists --- */

struct cel_val list_new(struct cel_ctx *c, uint32_t room)
{
    struct cel_items *items = arena_alloc(c->arena, sizeof *items);
    if (!items)
        return no_memory();
    items->at = room ? arena_raw(c->arena, room * sizeof *items->at) : NULL;
    items->cap = items->at ? room : 0;
    return (struct cel_val){ .kind = CEL_LIST, .items = items };
}

static struct cel_items *items_grown(struct cel_ctx *c, const struct cel_items *of, uint32_t n)
{
    struct cel_items *items = arena_alloc(c->arena, sizeof *items);
    if (!items || n > UINT32_MAX / 4)
        return NULL;
    items->cap = n < 4 ? 8 : 2 * n;
    items->at = arena_raw(c->arena, items->cap * sizeof *items->at);
    if (!items->at)
        return NULL;
    if (n)
        memcpy(items->at, of->at, n * sizeof *items->at);
    items->n = n;
    return items;
}

bool list_push(struct cel_ctx *c, struct cel_val *list, struct cel_val v)
{
    struct cel_items *items = list->items;
    if (items->n != list->n_items || items->n == items->cap) {
        items = items_grown(c, items, list->n_items);
        if (!items)
            return false;
    }
    items->at[items->n++] = v;
    list->items = items;
    list->n_items = items->n;
    return true;
}

static const struct cel_type *item_type(const struct cel_type *t)
{
    return t && t->kind == CEL_LIST ? t->a : NULL;
}

/* Long lists of a tree get their items' addresses side by side, once per evaluation. */
static const struct val *item(struct cel_ctx *c, const struct val *list, int64_t i)
{
    const struct val *v = list->first, **at, ***place;
    if (list->n < MANY) {
        for (; v && i > 0; i--)
            v = v->next;
        return v;
    }
    at = map_get(&c->big, str_n((const char *)&list, sizeof list));
    if (at)
        return at[1 + i];
    at = arena_raw(c->arena, (list->n + 1) * sizeof *at);
    place = (const struct val ***)at;
    if (!at)
        return NULL;
    at[0] = list;                       /* the key of the entry */
    for (uint32_t k = 1; v; v = v->next)
        at[k++] = v;
    map_put(&c->big, str_n((const char *)place, sizeof list), at);
    return at[1 + i];
}

bool list_get(struct cel_ctx *c, const struct cel_val *list, int64_t i, struct cel_val *ret)
{
    if (i < 0 || i >= cel_size(list))
        return false;
    if (list->form == CEL_BUILT) {
        *ret = list->items->at[i];
        return true;
    }
    const struct val *v = item(c, list->json, i);
    *ret = v ? val_ripe(c, cel_of_json(v, item_type(list->json_type))) : no_memory();
    return true;
}

/* --- walking --- */

/* The field of a schema's object that the member is; NULL: there is none (or it has no schema). */
static const struct cel_field *field_of(const struct cel_type *t, struct str member)
{
    for (unsigned i = 0; i < t->n_fields; i++)
        if (str_is(member, t->fields[i].member))
            return &t->fields[i];
    return NULL;
}

static bool json_step(const struct cel_val *of, struct walk *w, struct cel_val *ret_key, struct cel_val *ret)
{
    const struct cel_type *t = of->json_type;
    w->json = w->begun ? w->json->next : of->json->first;
    w->begun = true;
    if (of->kind == CEL_LIST) {
        if (w->json)
            *ret = cel_of_json(w->json, item_type(t));
        if (ret_key)
            *ret_key = val_int(w->i);
        w->i++;
        return w->json != NULL;
    }
    bool fields = t && t->kind == CEL_STRUCT && !t->rows;
    const struct cel_field *f = NULL;
    while (w->json && fields && (!(f = field_of(t, val_key(w->json))) || w->json->type == VAL_NULL))
        w->json = w->json->next;
    if (!w->json)
        return false;
    if (ret_key)
        *ret_key = val_text(f ? str_of(f->name) : val_key(w->json));
    *ret = cel_of_json(w->json, f ? f->type : t && t->kind == CEL_MAP ? t->b : NULL);
    return true;
}

bool walk_next(struct cel_ctx *c, const struct cel_val *of, struct walk *w, struct cel_val *ret_key, struct cel_val *ret)
{
    if (of->form == CEL_JSON) {
        if ((w->begun && !w->json) || !json_step(of, w, ret_key, ret))
            return false;
        *ret = val_ripe(c, *ret);
        return true;
    }
    if (of->form == CEL_LAZY || w->i >= (of->kind == CEL_LIST ? of->n_items : of->n_entries))
        return false;
    if (ret_key)
        *ret_key = of->kind == CEL_LIST ? val_int(w->i) : of->entries->at[w->i].key;
    *ret = of->kind == CEL_LIST ? of->items->at[w->i] : of->entries->at[w->i].value;
    w->i++;
    return true;
}

/* --- maps that are built --- */

static bool key_equal(struct cel_val a, struct cel_val b)
{
    return cel_compare(a, b) == 0;
}

/* Numbers that are equal have the same hash, whatever their kind. */
static uint32_t key_hash(struct cel_val key)
{
    if (key.kind == CEL_STRING)
        return hash_fnv32a(key.s);
    uint64_t n = key.kind == CEL_DOUBLE ? (uint64_t)(int64_t)(key.d > -9e18 && key.d < 9e18 ? key.d : 0) : key.kind == CEL_BOOL ? key.b : key.u;
    n *= 0x9e3779b97f4a7c15ULL;
    return (uint32_t)(n >> 32);
}

static long entry_find(const struct cel_val *map, struct cel_val key)
{
    const struct cel_entries *e = map->entries;
    if (!e->index) {
        for (uint32_t i = 0; i < map->n_entries; i++)
            if (key_equal(e->at[i].key, key))
                return (long)i;
        return -1;
    }
    for (uint32_t h = key_hash(key);; h++) {
        uint32_t place = e->index[h & (e->index_cap - 1)];
        if (!place)
            return -1;
        if (place <= map->n_entries && key_equal(e->at[place - 1].key, key))
            return (long)place - 1;
    }
}

static void index_add(struct cel_entries *e, uint32_t place)
{
    uint32_t h = key_hash(e->at[place].key);
    while (e->index[h & (e->index_cap - 1)])
        h++;
    e->index[h & (e->index_cap - 1)] = place + 1;
}

static struct cel_entries *entries_grown(struct cel_ctx *c, const struct cel_entries *of, uint32_t n)
{
    struct cel_entries *e = arena_alloc(c->arena, sizeof *e);
    if (!e || n > UINT32_MAX / 64)
        return NULL;
    e->cap = n < 4 ? FEW : 2 * n;
    e->at = arena_raw(c->arena, e->cap * sizeof *e->at);
    if (!e->at)
        return NULL;
    if (n)
        memcpy(e->at, of->at, n * sizeof *e->at);
    e->n = n;
    if (e->cap <= FEW)
        return e;
    for (e->index_cap = 16; e->index_cap < 2 * e->cap;)
        e->index_cap *= 2;
    e->index = arena_alloc(c->arena, e->index_cap * sizeof *e->index);
    for (uint32_t i = 0; e->index && i < n; i++)
        index_add(e, i);
    return e->index ? e : NULL;
}

struct cel_val map_new(struct cel_ctx *c)
{
    struct cel_entries *e = arena_alloc(c->arena, sizeof *e);
    return e ? (struct cel_val){ .kind = CEL_MAP, .entries = e } : no_memory();
}

bool map_add(struct cel_ctx *c, struct cel_val *map, struct cel_val key, struct cel_val value, bool *ret_there)
{
    struct cel_entries *e = map->entries;
    *ret_there = map->n_entries && entry_find(map, key) >= 0;
    if (*ret_there)
        return true;
    if (e->n != map->n_entries || e->n == e->cap) {
        e = entries_grown(c, e, map->n_entries);
        if (!e)
            return false;
    }
    e->at[e->n++] = (struct cel_entry){ key, value };
    if (e->index)
        index_add(e, e->n - 1);
    map->entries = e;
    map->n_entries = e->n;
    return true;
}

bool map_put_last(struct cel_ctx *c, struct cel_val *map, struct cel_val key, struct cel_val value)
{
    bool there;
    if (!map_add(c, map, key, value, &there))
        return false;
    if (there)
        map->entries->at[entry_find(map, key)].value = value;
    return true;
}

/* --- looking up --- */

/* Large objects get an index for the length of the evaluation: a rule may ask for each of their members. */
static const struct val *member(struct cel_ctx *c, const struct val *obj, struct str key)
{
    if (obj->n < MANY || !c)
        return json_get(obj, key);
    struct map *index = map_get(&c->big, str_n((const char *)&obj, sizeof obj));
    if (index)
        return map_get(index, key);
    const struct val **place = arena_raw(c->arena, sizeof *place);
    index = place ? arena_alloc(c->arena, sizeof *index) : NULL;
    if (!index)
        return json_get(obj, key);
    *place = obj;
    if (!map_put(&c->big, str_n((const char *)place, sizeof *place), index))
        return json_get(obj, key);
    val_each(m, obj)
        map_put(index, val_key(m), m);
    return map_get(index, key);
}

static bool json_lookup(struct cel_ctx *c, const struct cel_val *map, struct str key, struct cel_val *ret)
{
    const struct cel_type *t = map->json_type, *of = t && t->kind == CEL_MAP ? t->b : NULL;
    struct str name = key;
    if (t && t->kind == CEL_STRUCT && !t->rows) {
        const struct cel_field *f = NULL;
        for (unsigned i = 0; i < t->n_fields && !f; i++)
            if (str_is(key, t->fields[i].name))
                f = &t->fields[i];
        if (!f && cel_reserved(key))
            f = field_of(t, key);
        if (!f)
            return false;
        name = str_of(f->member);
        of = f->type;
    }
    const struct val *v = member(c, map->json, name);
    if (name.at != key.at && val_is(v, VAL_NULL))
        v = NULL;                       /* a field that is null is not there */
    if (v)
        *ret = val_ripe(c, cel_of_json(v, of));
    return v != NULL;
}

bool map_lookup(struct cel_ctx *c, const struct cel_val *map, struct cel_val key, struct cel_val *ret)
{
    if (map->form == CEL_JSON)
        return key.kind == CEL_STRING && json_lookup(c, map, key.s, ret);
    if (map->form == CEL_LAZY)
        return key.kind == CEL_STRING && map->lazy->get(map->lazy->ctx, key.s, ret);
    long i = entry_find(map, key);
    if (i >= 0)
        *ret = map->entries->at[i].value;
    return i >= 0;
}
