/* index.c - roles by name, bindings by name and by subject. */
#include "rbac.h"

static const char *const none[] = { NULL };

static const char *const *texts(struct arena *a, const struct val *list)
{
    if (!val_is(list, VAL_ARR) || !list->n)
        return none;
    const char **out = arena_alloc(a, (list->n + 1) * sizeof *out);
    unsigned n = 0;
    val_each(v, list) {
        if (out && val_is(v, VAL_STR))
            out[n++] = arena_dup(a, val_str(v));
    }
    return out;
}

struct rule *rules_read(struct arena *a, const struct val *list, unsigned *ret_n)
{
    unsigned n = val_is(list, VAL_ARR) ? list->n : 0, i = 0;
    struct rule *rules = arena_alloc(a, (n + 1) * sizeof *rules);
    *ret_n = n;
    if (!rules)
        return NULL;
    for (const struct val *v = n ? list->first : NULL; v && i < n; v = v->next, i++)
        rules[i] = (struct rule){ texts(a, json_get(v, STR("verbs"))), texts(a, json_get(v, STR("apiGroups"))),
                                  texts(a, json_get(v, STR("resources"))), texts(a, json_get(v, STR("resourceNames"))),
                                  texts(a, json_get(v, STR("nonResourceURLs"))) };
    return arena_exhausted(a) ? NULL : rules;
}

/* --- roles --- */

static void role_free(struct role *r)
{
    if (!r)
        return;
    arena_free(r->arena);
    mem_free(r->key);
    mem_free(r);
}

bool index_set_role(struct index *x, struct str key, const struct val *v)
{
    role_free(map_del(&x->roles, key));
    if (!v)
        return true;
    struct role *r = mem_alloc(sizeof *r);
    if (r && (r->key = mem_dup(key.at, key.len)) && (r->arena = arena_new(8 << 20)) &&
        (r->rules = rules_read(r->arena, json_get(v, STR("rules")), &r->n)) && map_put(&x->roles, str_of(r->key), r))
        return true;
    role_free(r);
    return false;
}

/* --- bindings --- */

static void subject_drop(struct index *x, struct subject *s)
{
    if (!list_empty(&s->bonds))
        return;
    map_del(&x->subjects, str_of(s->key));
    mem_free(s->key);
    mem_free(s);
}

static struct subject *subject_get(struct index *x, struct str key)
{
    struct subject *s = map_get(&x->subjects, key);
    if (s)
        return s;
    s = mem_alloc(sizeof *s);
    if (!s || !(s->key = mem_dup(key.at, key.len)) || !map_put(&x->subjects, str_of(s->key), s)) {
        if (s)
            mem_free(s->key);
        mem_free(s);
        return NULL;
    }
    list_init(&s->bonds);
    return s;
}

static void binding_free(struct index *x, struct binding *b)
{
    if (!b)
        return;
    for (unsigned i = 0; i < b->n; i++) {
        list_remove(&b->bonds[i].in_subject);
        subject_drop(x, b->bonds[i].subject);
    }
    mem_free(b->bonds);
    mem_free(b->key);
    mem_free(b->role);
    mem_free(b);
}

static bool bind_one(struct index *x, struct binding *b, const struct val *v)
{
    struct str kind = json_str(v, "kind"), name = json_str(v, "name"), ns = json_str(v, "namespace");
    _cleanup_buf_ struct buf key = BUF_INIT(4096);
    if (str_is(kind, "ServiceAccount"))
        buf_printf(&key, "Usystem:serviceaccount:" STR_FMT ":" STR_FMT, STR_ARG(ns.len ? ns : b->ns), STR_ARG(name));
    else
        buf_printf(&key, "%c" STR_FMT, str_is(kind, "Group") ? 'G' : 'U', STR_ARG(name));
    struct subject *s = key.failed ? NULL : subject_get(x, buf_str(&key));
    if (!s)
        return false;
    struct bond *bond = &b->bonds[b->n++];
    bond->subject = s;
    bond->binding = b;
    list_push(&s->bonds, &bond->in_subject);
    return true;
}

static bool bind_all(struct index *x, struct binding *b, const struct val *v)
{
    const struct val *subjects = json_get(v, STR("subjects"));
    struct str role = json_str(v, "roleRef.name");
    bool cluster = str_is(json_str(v, "roleRef.kind"), "ClusterRole");
    _cleanup_buf_ struct buf key = BUF_INIT(4096);
    buf_printf(&key, STR_FMT "/" STR_FMT, STR_ARG(cluster ? STR("") : b->ns), STR_ARG(role));
    b->role = key.failed ? NULL : mem_dup(key.at, key.len);
    b->bonds = mem_alloc(((val_is(subjects, VAL_ARR) ? subjects->n : 0) + 1) * sizeof *b->bonds);
    if (!b->role || !b->bonds)
        return false;
    if (val_is(subjects, VAL_ARR))
        val_each(s, subjects)
            if (!bind_one(x, b, s))
                return false;
    return true;
}

bool index_set_binding(struct index *x, struct str key, const struct val *v)
{
    binding_free(x, map_del(&x->bindings, key));
    if (!v)
        return true;
    struct binding *b = mem_alloc(sizeof *b);
    if (b && (b->key = mem_dup(key.at, key.len))) {
        b->ns = str_n(b->key, (size_t)str_find(key, '/'));
        if (bind_all(x, b, v) && map_put(&x->bindings, str_of(b->key), b))
            return true;
    }
    binding_free(x, b);
    return false;
}

void index_free(struct index *x)
{
    struct str key;
    void *value;
    for (size_t at = 0; map_next(&x->bindings, &at, &key, &value);)
        binding_free(x, value);
    for (size_t at = 0; map_next(&x->roles, &at, &key, &value);)
        role_free(value);
    map_free(&x->roles);
    map_free(&x->bindings);
    map_free(&x->subjects);
}

/* --- what somebody holds --- */

static bool visit_subject(const struct index *x, char type, const char *name, struct str ns, rule_visit visit, void *ctx)
{
    char key[512];
    int n = snprintf(key, sizeof key, "%c%s", type, name);
    const struct subject *s = n > 0 && (size_t)n < sizeof key ? map_get(&x->subjects, str_n(key, (size_t)n)) : NULL;
    if (!s)
        return false;
    list_each(node, &s->bonds)
    {
        const struct binding *b = list_item(node, struct bond, in_subject)->binding;
        if (b->ns.len && !str_eq(b->ns, ns))
            continue;
        const struct role *r = map_get(&x->roles, str_of(b->role));
        for (unsigned i = 0; r && i < r->n; i++)
            if (visit(ctx, &r->rules[i], b))
                return true;
    }
    return false;
}

bool index_each(const struct index *x, const struct kl_user *u, struct str ns, rule_visit visit, void *ctx)
{
    if (visit_subject(x, 'U', u->name, ns, visit, ctx))
        return true;
    for (const char *const *g = u->groups; g && *g; g++)
        if (visit_subject(x, 'G', *g, ns, visit, ctx))
            return true;
    return false;
}
