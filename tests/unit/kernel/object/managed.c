/* managedFields over writes and applies, step by step. The texts are what upstream's library (structured-merge-diff) says for the same steps. */
#include "object/managed.h"
#include "object/object.h"
#include "quote.h"

#define CONFIG "io.k8s.api.core.v1.ConfigMap", "v1"
#define POD "io.k8s.api.core.v1.Pod", "v1"
#define DEPLOYMENT "io.k8s.api.apps.v1.Deployment", "apps/v1"

enum what { UPDATE = 1, APPLY, FORCE };

struct step {
    enum what what;
    const char *manager, *sub, *object;
    const char *owners;                 /* "manager operation[/subresource] fieldsV1" and so on, joined by "; ". NULL: not looked at */
    const char *result;                 /* the object, or with an exclamation mark in front the conflict. NULL: not looked at */
};

struct world {
    struct arena *arena;
    const struct schema_type *type;
    const char *version;
    struct val *live, *list;
    int seconds;
};

static struct val *encoded(struct world *w, const struct val *v)
{
    static const struct val nothing = { .type = VAL_OBJ };
    struct buf b = BUF_INIT(0);
    object_encode_json(&b, w->type, v ? v : &nothing);
    struct val *out = json_parse(w->arena, arena_str(w->arena, buf_str(&b)), NULL);
    buf_free(&b);
    cr_assert(out);
    return out;
}

static const char *owners(struct world *w)
{
    struct buf b = BUF_INIT(0);
    for (const struct val *e = val_is(w->list, VAL_ARR) ? w->list->first : NULL; e; e = e->next) {
        struct str sub = json_str(e, "subresource");
        buf_printf(&b, "%s" STR_FMT " " STR_FMT "%s" STR_FMT " ", b.len ? "; " : "", STR_ARG(json_str(e, "manager")), STR_ARG(json_str(e, "operation")),
                   sub.len ? "/" : "", STR_ARG(sub));
        json_write(&b, json_get(e, STR("fieldsV1")));
    }
    const char *text = arena_dup(w->arena, buf_str(&b));
    buf_free(&b);
    return text;
}

static const char *take(struct world *w, const struct step *s)
{
    struct kl_err err;
    struct managed m;
    struct managed_conflicts c;
    struct val *v = quoted_tree(w->arena, s->object), *next = v;
    bool status = s->sub && strcmp(s->sub, "status") == 0;
    struct managed_write write = { .arena = w->arena, .type = merge_type_of(w->type), .manager = str_of(s->manager), .api_version = str_of(w->version),
                                   .subresource = str_of(s->sub ? s->sub : ""), .ignored = fields_path(w->arena, status ? "spec" : "status"),
                                   .now = str_of(arena_printf(w->arena, "2026-01-01T00:00:%02dZ", w->seconds++)) };
    kl_err_init(&err);
    cr_assert(managed_decode(w->arena, w->list, &m, &err) == 0, "%s", err.msg);
    if (s->what == UPDATE) {
        cr_assert(object_conform(w->arena, w->type, v, NULL, &err) == 0, "%s", err.msg);
        managed_update(&write, &m, w->live, v);
    } else if (managed_apply(&write, &m, encoded(w, w->live), v, s->what == FORCE, &next, &c) == -KL_CONFLICT) {
        struct object_causes causes = { .arena = w->arena };
        return managed_conflict_text(w->arena, &c, &causes);
    }
    cr_assert(object_conform(w->arena, w->type, next, NULL, &err) == 0, "%s", err.msg);
    struct buf b = BUF_INIT(0);
    struct val *list = managed_encode(w->arena, &m);
    if (list)
        json_write(&b, list);
    w->list = list ? json_parse(w->arena, arena_str(w->arena, buf_str(&b)), NULL) : NULL;
    buf_free(&b);
    w->live = next;
    return NULL;
}

static void play(const char *type, const char *version, const struct step *steps, size_t n)
{
    struct world w = { .arena = arena_new(0), .type = schema_type_by_name(str_of(type)), .version = version };
    cr_assert(w.type, "%s", type);
    for (size_t i = 0; i < n; i++) {
        const char *conflict = take(&w, &steps[i]), *want = steps[i].result ? quoted(w.arena, steps[i].result).at : NULL;
        if (want && want[0] == '!')
            cr_expect(conflict && strcmp(conflict, want + 1) == 0, "step %zu: %s", i, conflict ? conflict : "no conflict");
        else
            cr_expect_null(conflict, "step %zu: %s", i, conflict);
        if (steps[i].owners) {
            const char *now = owners(&w), *wanted = quoted(w.arena, steps[i].owners).at;
            cr_expect_str_eq(now, wanted, "step %zu: %s, not %s", i, now, wanted);
        }
        if (want && want[0] != '!') {
            struct buf b = BUF_INIT(0);
            object_encode_json(&b, w.type, w.live);
            cr_expect(val_equal(json_parse(w.arena, buf_str(&b), NULL), quoted_tree(w.arena, steps[i].result)), "step %zu: %s", i, b.at);
            buf_free(&b);
        }
    }
    arena_free(w.arena);
}

Test(managed, last_write_wins)
{
    static const struct step steps[] = {
        { UPDATE, "a", NULL, "{'metadata':{'name':'n'},'data':{'k':'1','l':'1'}}", "a Update {'f:data':{'.':{},'f:k':{},'f:l':{}}}", NULL },
        { UPDATE, "b", NULL, "{'metadata':{'name':'n'},'data':{'k':'2','l':'1'}}", "a Update {'f:data':{'.':{},'f:l':{}}}; b Update {'f:data':{'f:k':{}}}", NULL },
        { UPDATE, "c", NULL, "{'metadata':{'name':'n'},'data':{'k':'2','l':'1'}}", "a Update {'f:data':{'.':{},'f:l':{}}}; b Update {'f:data':{'f:k':{}}}", NULL },
        { UPDATE, "a", NULL, "{'metadata':{'name':'n'},'data':{'l':'1'}}", "a Update {'f:data':{'.':{},'f:l':{}}}", NULL },
        { UPDATE, "b", NULL, "{'metadata':{'name':'n'}}", "", NULL },
    };
    play(CONFIG, steps, sizeof steps / sizeof *steps);
}

Test(managed, metadata_that_nobody_owns)
{
    static const struct step steps[] = {
        { UPDATE, "a", NULL, "{'metadata':{'name':'n','namespace':'x','uid':'u','resourceVersion':'1','generation':1,'creationTimestamp':'2026-01-01T00:00:00Z','generateName':'n-'}}",
          "a Update {'f:metadata':{'f:generateName':{}}}", NULL },
        { UPDATE, "b", NULL, "{'metadata':{'name':'n','resourceVersion':'2','generation':2,'generateName':'n-'}}", "a Update {'f:metadata':{'f:generateName':{}}}", NULL },
    };
    play(CONFIG, steps, sizeof steps / sizeof *steps);
}

Test(managed, subresources_have_entries_of_their_own)
{
    static const struct step steps[] = {
        { UPDATE, "a", NULL, "{'spec':{'replicas':1},'status':{'replicas':9}}", "a Update {'f:spec':{'f:replicas':{}}}", NULL },
        { UPDATE, "a", "status", "{'spec':{'replicas':2},'status':{'replicas':1}}", "a Update {'f:spec':{'f:replicas':{}}}; a Update/status {'f:status':{'f:replicas':{}}}", NULL },
    };
    play(DEPLOYMENT, steps, sizeof steps / sizeof *steps);
}

Test(managed, conflicts_and_force)
{
    static const struct step steps[] = {
        { APPLY, "x", NULL, "{'data':{'k':'1','l':'1'}}", "x Apply {'f:data':{'f:k':{},'f:l':{}}}", "{'metadata':{},'data':{'k':'1','l':'1'}}" },
        { APPLY, "y", NULL, "{'data':{'k':'2'}}", "x Apply {'f:data':{'f:k':{},'f:l':{}}}", "!Apply failed with 1 conflict: conflict with 'x': .data.k" },
        { APPLY, "y", NULL, "{'data':{'k':'2','l':'2'}}", NULL, "!Apply failed with 2 conflicts: conflicts with 'x':\n- .data.k\n- .data.l" },
        { FORCE, "y", NULL, "{'data':{'k':'2'}}", "x Apply {'f:data':{'f:l':{}}}; y Apply {'f:data':{'f:k':{}}}", "{'metadata':{},'data':{'k':'2','l':'1'}}" },
        { UPDATE, "z", NULL, "{'data':{'k':'3','l':'1'}}", "x Apply {'f:data':{'f:l':{}}}; z Update {'f:data':{'f:k':{}}}", NULL },
        { APPLY, "y", NULL, "{'data':{'k':'2'}}", NULL, "!Apply failed with 1 conflict: conflict with 'z' using v1: .data.k" },
        { UPDATE, "z", "status", "{'data':{'k':'4','l':'3'}}", NULL, NULL },
        { APPLY, "y", NULL, "{'data':{'k':'2','l':'2'}}", NULL,
          "!Apply failed with 2 conflicts: conflicts with 'z' with subresource 'status' using v1:\n- .data.k\n- .data.l" },
        /* the same value is no conflict: both own it */
        { APPLY, "y", NULL, "{'data':{'k':'4'}}", "y Apply {'f:data':{'f:k':{}}}; z Update/status {'f:data':{'f:k':{},'f:l':{}}}", NULL },
    };
    play(CONFIG, steps, sizeof steps / sizeof *steps);
}

Test(managed, what_is_no_longer_applied_goes)
{
    static const struct step steps[] = {
        { APPLY, "x", NULL, "{'metadata':{'labels':{'a':'b'}},'data':{'k':'1','l':'1','m':'1'}}", NULL, NULL },
        { APPLY, "y", NULL, "{'data':{'l':'1'}}", NULL, NULL },
        { UPDATE, "z", NULL, "{'metadata':{'labels':{'a':'b'}},'data':{'k':'1','l':'1','m':'2','n':'1'}}", NULL, NULL },
        { APPLY, "x", NULL, "{'data':{}}", "y Apply {'f:data':{'f:l':{}}}; x Apply {'f:data':{}}; z Update {'f:data':{'f:m':{},'f:n':{}}}",
          "{'metadata':{},'data':{'l':'1','m':'2','n':'1'}}" },
        { APPLY, "x", NULL, "{}", "y Apply {'f:data':{'f:l':{}}}; z Update {'f:data':{'f:m':{},'f:n':{}}}", "{'metadata':{},'data':{'l':'1','m':'2','n':'1'}}" },
        { APPLY, "y", NULL, "{}", "z Update {'f:data':{'f:m':{},'f:n':{}}}", "{'metadata':{},'data':{'m':'2','n':'1'}}" },
    };
    play(CONFIG, steps, sizeof steps / sizeof *steps);
}

Test(managed, lists_with_keys)
{
#define SPEC(c) "{'spec':{'containers':[" c "]}}"
    static const struct step steps[] = {
        { APPLY, "x", NULL, SPEC("{'name':'a','image':'1','ports':[{'containerPort':80}]}"),
          "x Apply {'f:spec':{'f:containers':{'k:{`name`:`a`}':{'.':{},'f:image':{},'f:name':{},'f:ports':{'k:{`containerPort`:80,`protocol`:`TCP`}':{'.':{},'f:containerPort':{}}}}}}}", NULL },
        { APPLY, "y", NULL, SPEC("{'name':'b','image':'2'}"), NULL, NULL },
        { APPLY, "y", NULL, SPEC("{'name':'a','ports':[{'containerPort':80,'protocol':'UDP'}]},{'name':'b','image':'2'}"), NULL,
          "{'metadata':{},'spec':{'containers':[{'name':'a','image':'1','ports':[{'containerPort':80},{'containerPort':80,'protocol':'UDP'}],'resources':{}},"
          "{'name':'b','image':'2','resources':{}}]},'status':{}}" },
        /* y still has the item, so x takes only what is its own */
        { APPLY, "x", NULL, "{'spec':{'containers':null}}", NULL,
          "{'metadata':{},'spec':{'containers':[{'name':'a','ports':[{'containerPort':80,'protocol':'UDP'}],'resources':{}},{'name':'b','image':'2','resources':{}}]},'status':{}}" },
        { APPLY, "y", NULL, SPEC("{'name':'b','image':'2'}"), NULL, "{'metadata':{},'spec':{'containers':[{'name':'b','image':'2','resources':{}}]},'status':{}}" },
    };
    play(POD, steps, sizeof steps / sizeof *steps);
}

Test(managed, atomic_values_have_one_owner)
{
    static const struct step steps[] = {
        { APPLY, "x", NULL, "{'spec':{'selector':{'matchLabels':{'a':'b'}}}}", "x Apply {'f:spec':{'f:selector':{}}}", NULL },
        { APPLY, "y", NULL, "{'spec':{'selector':{'matchLabels':{'c':'d'}}}}", NULL, "!Apply failed with 1 conflict: conflict with 'x': .spec.selector" },
        { FORCE, "y", NULL, "{'spec':{'selector':{'matchLabels':{'c':'d'}}}}", "y Apply {'f:spec':{'f:selector':{}}}", NULL },
    };
    play(DEPLOYMENT, steps, sizeof steps / sizeof *steps);
}

Test(managed, an_apply_that_changes_nothing_keeps_its_time)
{
    struct world w = { .arena = arena_new(0), .type = schema_type_by_name(STR("io.k8s.api.core.v1.ConfigMap")), .version = "v1" };
    static const struct step same = { APPLY, "x", NULL, "{'data':{'k':'1'}}", NULL, NULL }, other = { APPLY, "x", NULL, "{'data':{'k':'2'}}", NULL, NULL };
    take(&w, &same);
    take(&w, &same);
    cr_expect(str_is(json_str(w.list->first, "time"), "2026-01-01T00:00:00Z"));
    take(&w, &other);
    cr_expect(str_is(json_str(w.list->first, "time"), "2026-01-01T00:00:02Z"));
    arena_free(w.arena);
}

Test(managed, ten_updaters_at_most)
{
    struct world w = { .arena = arena_new(0), .type = schema_type_by_name(STR("io.k8s.api.core.v1.ConfigMap")), .version = "v1" };
    struct buf data = BUF_INIT(0);
    for (int i = 10; i < 24; i++) {
        buf_printf(&data, "%s'k%d':'1'", data.len ? "," : "", i);
        struct step s = { UPDATE, arena_printf(w.arena, "m%d", i), NULL, arena_printf(w.arena, "{'data':{%s}}", data.at), NULL, NULL };
        take(&w, &s);
    }
    buf_free(&data);
    cr_expect(w.list->n == 10, "%u entries", w.list->n);
    cr_expect(str_is(json_str(w.list->first, "manager"), "ancient-changes"));
    struct buf b = BUF_INIT(0);
    json_write(&b, json_get(w.list->first, STR("fieldsV1")));
    cr_expect_str_eq(b.at, "{\"f:data\":{\".\":{},\"f:k10\":{},\"f:k11\":{},\"f:k12\":{},\"f:k13\":{},\"f:k14\":{}}}");
    buf_free(&b);
    arena_free(w.arena);
}

Test(managed, entries_that_are_none)
{
    static const struct {
        const char *list, *words;
    } rows[] = {
        { "[{'manager':'m','operation':'Replace','apiVersion':'v1','fieldsType':'FieldsV1'}]", "operation must be `Apply` or `Update`" },
        { "[{'manager':'m','operation':'Update','fieldsType':'FieldsV1'}]", "apiVersion must not be empty" },
        { "[{'manager':'m','operation':'Update','apiVersion':'v1'}]", "missing fieldsType in managed fields entry 0" },
        { "[{'manager':'m','operation':'Update','apiVersion':'v1','fieldsType':'V2'}]", "invalid fieldsType \"V2\" in managed fields entry 0" },
        { "[{'manager':'m','operation':'Update','apiVersion':'v1','fieldsType':'FieldsV1','fieldsV1':{'x':{}}}]", "key must be 2 characters long" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        struct managed m;
        struct kl_err err;
        kl_err_init(&err);
        cr_expect(managed_decode(a, quoted_tree(a, rows[i].list), &m, &err) == -KL_INVALID && strstr(err.msg, rows[i].words), "%s: %s", rows[i].list, err.msg);
        arena_free(a);
    }
    struct arena *a = arena_new(0);
    cr_expect(managed_resets(quoted_tree(a, "[]")) && managed_resets(quoted_tree(a, "[{}]")) && !managed_resets(NULL) && !managed_resets(quoted_tree(a, "[{},{}]")));
    arena_free(a);
}
