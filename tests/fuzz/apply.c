/* apply.c - a live object, a NUL, a configuration, a NUL, managedFields: fieldsV1 read and written, the configuration applied, then applied again. What
 * is applied twice changes nothing the second time, and nobody owns what is not there. */
#include "fuzz.h"
#include "object/managed.h"
#include "object/object.h"

static const char *const types[] = { "io.k8s.api.core.v1.Pod", "io.k8s.api.apps.v1.Deployment", "io.k8s.api.core.v1.Service", "io.k8s.api.core.v1.ConfigMap" };

static struct val *typed(struct arena *a, const struct schema_type *t, const struct val *v)
{
    struct kl_err err;
    kl_err_init(&err);
    struct val *copy = val_copy(a, v);
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    if (!copy || object_conform(a, t, copy, NULL, &err) < 0)
        return NULL;
    object_encode_json(&b, t, copy);
    struct str text = arena_str(a, buf_str(&b));
    return text.at ? json_parse(a, text, &err) : NULL;
}

/* Text of a set reads back as the same set, and its algebra holds. */
static void check_set(struct arena *a, const struct fields *set, const struct fields *other)
{
    struct kl_err err;
    kl_err_init(&err);
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    fields_encode(&b, set);
    struct val *v = json_parse(a, arena_str(a, buf_str(&b)), &err);
    const struct fields *again = NULL;
    if (arena_exhausted(a))
        return;
    must(v && fields_decode(a, v, &again, &err) == 0 && fields_equal(set, again));
    const struct fields *both = fields_both(a, set, other), *minus = fields_minus(a, set, other), *all = fields_union(a, set, other);
    if (arena_exhausted(a))
        return;
    must(fields_equal(fields_union(a, both, minus), set));
    must(!fields_minus(a, set, all) && fields_equal(fields_both(a, all, set), set));
}

static struct managed_entry *entry_of(struct managed *m, struct str manager)
{
    for (struct managed_entry *e = m->first; e; e = e->next)
        if (e->applied && str_eq(e->manager, manager))
            return e;
    return NULL;
}

FUZZ(data)
{
    _cleanup_arena_ struct arena *a = arena_new(FUZZ_ARENA);
    struct kl_err err;
    kl_err_init(&err);
    const struct schema_type *t = schema_type_by_name(str_of(types[fuzz_pick(&data, sizeof types / sizeof *types)]));
    struct str live_text = str_cut(&data, '\0'), config_text = data.at ? str_cut(&data, '\0') : STR("");
    struct val *live = json_parse(a, live_text, &err), *config = live ? json_parse(a, config_text, &err) : NULL;
    struct val *list = config && data.at ? json_parse(a, data, NULL) : NULL, *now = NULL, *twice = NULL;
    must(t);
    if (!val_is(live, VAL_OBJ) || !val_is(config, VAL_OBJ) || !(live = typed(a, t, live)))
        return;
    struct merge_type bare = merge_type_of(t);
    struct managed m;
    struct managed_conflicts c;
    struct managed_write w = { .arena = a, .type = bare, .manager = STR("fuzz"), .api_version = STR("v1"), .now = STR("2026-01-01T00:00:00Z") };
    bare.bare = true;
    const char *why = merge_check(a, &bare, config, false);
    if (why)
        must(why[0]);
    if (why || (list && managed_decode(a, list, &m, &err) < 0))
        return;
    if (!list)
        m.first = NULL;
    for (struct managed_entry *e = m.first; e; e = e->next)
        check_set(a, e->set, fields_of(a, &bare, config));
    managed_update(&w, &m, NULL, live);
    if (managed_apply(&w, &m, live, config, true, &now, &c) < 0 || arena_exhausted(a) || !(now = typed(a, t, now)))
        return;
    const struct managed_entry *e = entry_of(&m, w.manager);
    const struct fields *set = e ? e->set : NULL;
    managed_encode(a, &m);
    if (managed_apply(&w, &m, now, config, false, &twice, &c) < 0 || arena_exhausted(a))
        return;
    e = entry_of(&m, w.manager);
    must(fields_equal(set, e ? e->set : NULL));
    check_set(a, set, fields_of(a, &bare, now));
}
