/* custom.c - schemas of custom resources: parsing when needed, pruning, defaults. */
#include <stdlib.h>

#include "object/custom-internal.h"

#define TREE_BYTES (64u << 20)
#define META "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

struct custom_schema *custom_schema_new(struct str text)
{
    struct custom_schema *s = mem_alloc(sizeof *s);
    if (s)
        s->text = text;
    return s;
}

void custom_schema_free(struct custom_schema *s)
{
    if (!s)
        return;
    custom_patterns_free(s);
    arena_free(s->arena);
    mem_free(s);
}

struct custom_schema *custom_schema_part(struct arena *a, struct custom_schema *root, struct str name)
{
    struct custom_schema *s = arena_alloc(a, sizeof *s);
    if (s) {
        s->root = root;
        s->name = arena_str(a, name);
    }
    return s;
}

bool custom_schema_parsed(const struct custom_schema *s)
{
    return s->arena != NULL;
}

bool custom_schema_move(struct custom_schema *s, struct str text)
{
    if (s->arena)
        return false;
    s->text = text;
    return true;
}

struct val *custom_schema_copy(struct arena *a, const struct custom_schema *s)
{
    const struct custom_schema *root = s->root ? s->root : s;
    if (s->root || root->tree || !root->text.len) {
        const struct val *tree = custom_schema_tree(s);
        return tree ? val_copy(a, tree) : NULL;
    }
    return json_parse(a, root->text, NULL);
}

const struct val *custom_schema_tree(const struct custom_schema *s)
{
    struct custom_schema *root = (struct custom_schema *)(s->root ? s->root : s);
    if (!root->tree && root->text.len) {
        root->arena = arena_new(TREE_BYTES);
        root->tree = root->arena ? json_parse(root->arena, root->text, NULL) : NULL;
    }
    return s->root ? json_get(json_get(root->tree, STR("properties")), s->name) : root->tree;
}

void **custom_schema_slot(const struct custom_schema *s, struct arena **ret_arena)
{
    struct custom_schema *root = (struct custom_schema *)(s->root ? s->root : s);
    if (!custom_schema_tree(root))
        return NULL;
    *ret_arena = root->arena;
    return &root->slot;
}

/* --- pruning --- */

static bool is_type_member(struct str key)
{
    return str_is(key, "apiVersion") || str_is(key, "kind");
}

struct member {
    struct val *v;
    struct str name;
    unsigned at;
};

static int by_place(const void *x, const void *y)
{
    const struct member *a = x, *b = y;
    return (a->at > b->at) - (a->at < b->at);
}

static int by_name(const void *x, const void *y)
{
    const struct member *a = x, *b = y;
    if (a->name.len != b->name.len)
        return a->name.len < b->name.len ? -1 : 1;
    int c = memcmp(a->name.at, b->name.at, a->name.len);
    return c ? c : (a->at > b->at) - (a->at < b->at);
}

/* Takes those marked by a name that is NULL out of their object. */
static void drop_marked(struct val *v)
{
    struct val *m = v->first, *next;
    v->first = v->last = NULL;
    v->n = 0;
    for (; m; m = next) {
        next = m->next;
        if (m->key)
            val_push(v, m);
    }
}

void custom_unique(struct val *v, const struct path *p, struct object_strict *strict)
{
    struct member few[16], *at = v->n <= 16 ? few : mem_alloc(v->n * sizeof *at);
    unsigned n = 0, dropped = 0;
    if (!at)
        return;
    val_each(m, v) {
        at[n] = (struct member){ m, val_key(m), n };
        n++;
    }
    qsort(at, n, sizeof *at, by_name);
    for (unsigned i = 1; i < n; i++) {
        if (!str_eq(at[i - 1].name, at[i].name))
            continue;
        at[i - 1].v->key = NULL;
        at[dropped++] = at[i];          /* that come again, as they come: i has passed their places */
    }
    if (dropped > 1)
        qsort(at, dropped, sizeof *at, by_place);
    for (unsigned i = 0; i < dropped && strict; i++) {
        struct path here = { p, at[i].name, 0 };
        strict_add(strict, "duplicate field", &here);
    }
    if (dropped)
        drop_marked(v);
    if (at != few)
        mem_free(at);
}

/* What an embedded object says of itself is what any object may say, whatever its schema names. */
static void prune_rows(const struct schema_type *t, struct val *v, const struct path *p, struct object_strict *strict)
{
    if (t->kind != T_STRUCT)
        return;
    if (v->type == VAL_ARR) {
        long i = 0;
        val_each(item, v) {
            struct path here = { p, STR_NONE, i++ };
            prune_rows(t, item, &here, strict);
        }
    }
    if (v->type != VAL_OBJ)
        return;
    custom_unique(v, p, strict);
    for (struct val *m = v->first, *next; m; m = next) {
        next = m->next;
        struct path here = { p, val_key(m), 0 };
        int at = schema_flat_find(t, val_key(m), 0);
        if (at >= 0 && t->flat[at]->shape != SHAPE_MAP)
            prune_rows(t->flat[at]->type, m, &here, strict);
        else if (at < 0) {
            strict_add(strict, "unknown field", &here);
            val_unlink(v, m);
        }
    }
}

static void prune_object(const struct val *schema, struct val *v, const struct path *p, struct object_strict *strict)
{
    const struct val *props = json_get(schema, STR("properties")), *additional = json_get(schema, STR("additionalProperties"));
    bool preserve = !schema || json_bool(schema, "x-kubernetes-preserve-unknown-fields", false) || (val_is(additional, VAL_BOOL) && additional->i);
    bool embedded = json_bool(schema, "x-kubernetes-embedded-resource", false);
    custom_unique(v, p, strict);
    for (struct val *m = v->first, *next; m; m = next) {
        next = m->next;
        struct path here = { p, val_key(m), 0 };
        const struct val *s = json_get(props, val_key(m));
        if (!s && val_is(additional, VAL_OBJ))
            s = additional;
        if (embedded && str_is(val_key(m), "metadata"))
            prune_rows(schema_type_by_name(STR(META)), m, &here, strict);
        else if (embedded && is_type_member(val_key(m)))
            continue;
        else if (s || preserve)
            custom_prune(s, m, &here, strict);
        else {
            strict_add(strict, "unknown field", &here);
            val_unlink(v, m);
        }
    }
}

void custom_prune(const struct val *schema, struct val *v, const struct path *p, struct object_strict *strict)
{
    const struct val *items = json_get(schema, STR("items"));
    long i = 0;
    if (v->type == VAL_OBJ)
        prune_object(schema, v, p, strict);
    if (v->type != VAL_ARR || (schema && !val_is(items, VAL_OBJ)))
        return;
    val_each(item, v) {
        struct path here = { p, STR_NONE, i++ };
        custom_prune(items, item, &here, strict);
    }
}

static int by_text(const void *x, const void *y)
{
    const char *a = *(const char *const *)x, *b = *(const char *const *)y;
    return strcmp(a, b);
}

void custom_strict_order(struct object_strict *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->n; i++) {
        const char *text = s->at[i];
        if (strncmp(text, "unknown ", 8) == 0)
            continue;
        memmove(s->at + n + 1, s->at + n, (i - n) * sizeof *s->at);
        s->at[n++] = text;
    }
    if (s->n)
        qsort(s->at + n, s->n - n, sizeof *s->at, by_text);
}

/* --- defaults --- */

static void default_members(struct arena *a, const struct val *schema, struct val *v)
{
    const struct val *props = json_get(schema, STR("properties")), *additional = json_get(schema, STR("additionalProperties"));
    if (val_is(props, VAL_OBJ))
        val_each(s, props) {
            struct val *fallback = json_get(s, STR("default")), *m = json_get(v, val_key(s));
            bool null = val_is(m, VAL_NULL) && !json_bool(s, "nullable", false);
            if (fallback && (!m || null))
                json_set(a, v, val_key(s), val_copy(a, fallback));
            else if (null && m)
                json_del(v, val_key(s));
        }
    for (struct val *m = val_is(additional, VAL_OBJ) && !json_bool(additional, "nullable", false) ? v->first : NULL, *next; m; m = next) {
        next = m->next;
        if (m->type == VAL_NULL && !json_get(props, val_key(m)) && !json_get(additional, STR("default")))
            val_unlink(v, m);
    }
    val_each(m, v) {
        const struct val *s = json_get(props, val_key(m));
        custom_default(a, s ? s : val_is(additional, VAL_OBJ) ? additional : NULL, m);
    }
}

void custom_default(struct arena *a, const struct val *schema, struct val *v)
{
    const struct val *items = json_get(schema, STR("items"));
    if (!schema)
        return;
    if (v->type == VAL_OBJ)
        default_members(a, schema, v);
    if (v->type == VAL_ARR && val_is(items, VAL_OBJ))
        val_each(item, v) custom_default(a, items, item);
}
