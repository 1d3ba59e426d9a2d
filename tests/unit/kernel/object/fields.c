/* Sets of fields: text and back, algebra, what an object has, where two differ, merging and removing. */
#include "object/fields.h"
#include "object/object.h"
#include "quote.h"

#define POD "io.k8s.api.core.v1.Pod"
#define DEPLOYMENT "io.k8s.api.apps.v1.Deployment"
#define SERVICE "io.k8s.api.core.v1.Service"
#define CONFIG "io.k8s.api.core.v1.ConfigMap"

static const struct fields *set_of(struct arena *a, const char *text)
{
    const struct fields *set = NULL;
    struct kl_err err;
    kl_err_init(&err);
    cr_assert(fields_decode(a, quoted_tree(a, text), &set, &err) == 0, "%s: %s", text, err.msg);
    return set;
}

static void expect_set(struct arena *a, const struct fields *set, const char *want, const char *what)
{
    struct buf b = BUF_INIT(0);
    fields_encode(&b, set);
    cr_expect_str_eq(b.at, quoted(a, want).at, "%s: %s, not %s", what, b.at, quoted(a, want).at);
    buf_free(&b);
}

static struct merge_type type_of(const char *name, bool bare)
{
    const struct schema_type *t = schema_type_by_name(str_of(name));
    cr_assert(t, "%s", name);
    struct merge_type m = merge_type_of(t);
    m.bare = bare;
    return m;
}

Test(fields, text_is_canonical)
{
    static const struct {
        const char *text, *canonical;
    } rows[] = {
        { "{}", "{}" },
        { "{'f:b':{},'f:a':{}}", "{'f:a':{},'f:b':{}}" },
        { "{'f:a':{'f:c':{},'.':{}}}", "{'f:a':{'.':{},'f:c':{}}}" },
        { "{'f:a':{'.':{}}}", "{'f:a':{}}" },
        { "{'f:a':null}", "{'f:a':{}}" },
        /* names before keys, keys before values, values before indexes; numbers by value */
        { "{'i:10':{},'i:9':{},'v:`x`':{},'v:3':{},'v:true':{},'k:{`n`:`a`}':{},'f:z':{}}",
          "{'f:z':{},'k:{`n`:`a`}':{},'v:3':{},'v:`x`':{},'v:true':{},'i:9':{},'i:10':{}}" },
        { "{'k:{`port`:443}':{},'k:{`port`:80}':{}}", "{'k:{`port`:80}':{},'k:{`port`:443}':{}}" },
        { "{'k:{`protocol`:`TCP`,`port`:80}':{}}", "{'k:{`port`:80,`protocol`:`TCP`}':{}}" },
        { "{'k:{`a`:1,`b`:2}':{},'k:{`a`:1}':{}}", "{'k:{`a`:1}':{},'k:{`a`:1,`b`:2}':{}}" },
        { "{'f:':{},'f:a.b/c':{}}", "{'f:':{},'f:a.b/c':{}}" },
        /* what later versions may know is dropped */
        { "{'x:new':{},'f:a':{}}", "{'f:a':{}}" },
        { "{'f:a':{'f:b':{}},'f:c':{},'f:a':{'f:d':{}}}", "{'f:a':{'f:b':{},'f:d':{}},'f:c':{}}" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        expect_set(a, set_of(a, rows[i].text), rows[i].canonical, rows[i].text);
        arena_free(a);
    }
}

Test(fields, what_is_no_set)
{
    static const char *const rows[] = { "{'f':{}}", "{'fa':{}}", "{'v:':{}}", "{'v:x':{}}", "{'k:3':{}}", "{'k:{':{}}", "{'i:x':{}}", "{'f:a':1}", "[]", "{'f:a':{'f:b':[]}}" };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        const struct fields *set;
        struct kl_err err;
        kl_err_init(&err);
        cr_expect(fields_decode(a, quoted_tree(a, rows[i]), &set, &err) == -KL_INVALID && err.msg[0], "%s", rows[i]);
        arena_free(a);
    }
}

Test(fields, algebra)
{
    static const struct {
        const char *x, *y, *either, *both, *minus, *minus_deep;
    } rows[] = {
        { "{}", "{'f:a':{}}", "{'f:a':{}}", "{}", "{}", "{}" },
        { "{'f:a':{}}", "{}", "{'f:a':{}}", "{}", "{'f:a':{}}", "{'f:a':{}}" },
        { "{'f:a':{},'f:c':{}}", "{'f:b':{},'f:c':{}}", "{'f:a':{},'f:b':{},'f:c':{}}", "{'f:c':{}}", "{'f:a':{}}", "{'f:a':{}}" },
        /* a parent is not its children */
        { "{'f:a':{'f:b':{}}}", "{'f:a':{}}", "{'f:a':{'.':{},'f:b':{}}}", "{}", "{'f:a':{'f:b':{}}}", "{}" },
        { "{'f:a':{}}", "{'f:a':{'f:b':{}}}", "{'f:a':{'.':{},'f:b':{}}}", "{}", "{'f:a':{}}", "{'f:a':{}}" },
        { "{'f:a':{'.':{},'f:b':{},'f:c':{}}}", "{'f:a':{'.':{},'f:b':{}}}", "{'f:a':{'.':{},'f:b':{},'f:c':{}}}", "{'f:a':{'.':{},'f:b':{}}}",
          "{'f:a':{'f:c':{}}}", "{}" },
        { "{'f:l':{'k:{`n`:1}':{'.':{},'f:n':{}},'k:{`n`:2}':{}}}", "{'f:l':{'k:{`n`:1}':{'f:n':{}}}}",
          "{'f:l':{'k:{`n`:1}':{'.':{},'f:n':{}},'k:{`n`:2}':{}}}", "{'f:l':{'k:{`n`:1}':{'f:n':{}}}}", "{'f:l':{'k:{`n`:1}':{},'k:{`n`:2}':{}}}",
          "{'f:l':{'k:{`n`:1}':{},'k:{`n`:2}':{}}}" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        const struct fields *x = set_of(a, rows[i].x), *y = set_of(a, rows[i].y);
        expect_set(a, fields_union(a, x, y), rows[i].either, rows[i].x);
        expect_set(a, fields_union(a, y, x), rows[i].either, rows[i].x);
        expect_set(a, fields_both(a, x, y), rows[i].both, rows[i].x);
        expect_set(a, fields_minus(a, x, y), rows[i].minus, rows[i].x);
        expect_set(a, fields_minus_deep(a, x, y), rows[i].minus_deep, rows[i].x);
        cr_expect(fields_equal(x, set_of(a, rows[i].x)) && fields_equal(x, y) == (strcmp(rows[i].x, rows[i].y) == 0));
        expect_set(a, x, rows[i].x, "unchanged");
        arena_free(a);
    }
}

Test(fields, within_patterns)
{
    struct arena *a = arena_new(0);
    const struct fields *only = fields_union(a, fields_path(a, "spec.containers.*.resources"), fields_path(a, "metadata"));
    const struct fields *x = set_of(a, "{'f:metadata':{'f:labels':{'f:a':{}}},'f:spec':{'f:containers':{'k:{`name`:`c`}':{'.':{},'f:image':{},'f:resources':{'f:limits':{}}}},'f:x':{}},'f:status':{}}");
    expect_set(a, fields_within(a, x, only),
               "{'f:metadata':{'f:labels':{'f:a':{}}},'f:spec':{'f:containers':{'k:{`name`:`c`}':{'.':{},'f:resources':{'f:limits':{}}}}}}", "within");
    arena_free(a);
}

/* What an apply owns. */
Test(fields, of_configurations)
{
    static const struct {
        const char *type, *config, *set;
    } rows[] = {
        { CONFIG, "{'apiVersion':'v1','kind':'ConfigMap','data':{'k':'v'}}", "{'f:apiVersion':{},'f:data':{'f:k':{}},'f:kind':{}}" },
        { CONFIG, "{'metadata':{'labels':{'a':'b'}},'data':{}}", "{'f:data':{},'f:metadata':{'f:labels':{'f:a':{}}}}" },
        { CONFIG, "{'data':null}", "{'f:data':{}}" },
        { CONFIG, "{'metadata':{'finalizers':['b','a']}}", "{'f:metadata':{'f:finalizers':{'v:`a`':{},'v:`b`':{}}}}" },
        { CONFIG, "{'metadata':{'finalizers':[]}}", "{}" },
        /* keys with defaults */
        { POD, "{'spec':{'containers':[{'name':'c','ports':[{'containerPort':80},{'containerPort':80,'protocol':'UDP'}]}]}}",
          "{'f:spec':{'f:containers':{'k:{`name`:`c`}':{'.':{},'f:name':{},'f:ports':{'k:{`containerPort`:80,`protocol`:`TCP`}':{'.':{},'f:containerPort':{}},"
          "'k:{`containerPort`:80,`protocol`:`UDP`}':{'.':{},'f:containerPort':{},'f:protocol':{}}}}}}}" },
        { SERVICE, "{'spec':{'ports':[{'port':443},{'port':80}],'selector':{'a':'b'}}}",
          "{'f:spec':{'f:ports':{'k:{`port`:80,`protocol`:`TCP`}':{'.':{},'f:port':{}},'k:{`port`:443,`protocol`:`TCP`}':{'.':{},'f:port':{}}},'f:selector':{}}}" },
        /* atomic: selectors, tolerations, references, commands */
        { DEPLOYMENT, "{'spec':{'selector':{'matchLabels':{'a':'b'}},'replicas':0}}", "{'f:spec':{'f:replicas':{},'f:selector':{}}}" },
        { POD, "{'spec':{'tolerations':[{'key':'a'}],'nodeSelector':{'a':'b'},'containers':[{'name':'c','command':['x'],'env':[{'name':'E','valueFrom':{'fieldRef':{'fieldPath':'x'}}}]}]}}",
          "{'f:spec':{'f:containers':{'k:{`name`:`c`}':{'.':{},'f:command':{},'f:env':{'k:{`name`:`E`}':{'.':{},'f:name':{},'f:valueFrom':{'f:fieldRef':{}}}},'f:name':{}}},'f:nodeSelector':{},'f:tolerations':{}}}" },
        { POD, "{'spec':{'containers':[{'name':'c','resources':{'limits':{'cpu':'1'}},'securityContext':{}}],'volumes':[{'name':'v','emptyDir':{}}]}}",
          "{'f:spec':{'f:containers':{'k:{`name`:`c`}':{'.':{},'f:name':{},'f:resources':{'f:limits':{'f:cpu':{}}},'f:securityContext':{}}},"
          "'f:volumes':{'k:{`name`:`v`}':{'.':{},'f:emptyDir':{},'f:name':{}}}}}" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        struct merge_type t = type_of(rows[i].type, true);
        expect_set(a, fields_of(a, &t, quoted_tree(a, rows[i].config)), rows[i].set, rows[i].config);
        arena_free(a);
    }
}

/* What another write changes. Zeros that Go always encodes are there on both sides. */
Test(fields, where_two_differ)
{
    static const struct {
        const char *type, *old, *now, *changed, *removed;
    } rows[] = {
        { CONFIG, "{}", "{'data':{'k':'v'}}", "{'f:data':{'.':{},'f:k':{}}}", "{}" },
        { CONFIG, "{'data':{'k':'v','l':'w'}}", "{'data':{'k':'x'}}", "{'f:data':{'f:k':{}}}", "{'f:data':{'f:l':{}}}" },
        { CONFIG, "{'data':{'k':'v'}}", "{}", "{}", "{'f:data':{'.':{},'f:k':{}}}" },
        { CONFIG, "{'data':{}}", "{}", "{}", "{}" },
        { CONFIG, "{'metadata':{'finalizers':['a']}}", "{'metadata':{'finalizers':['b']}}", "{'f:metadata':{'f:finalizers':{'v:`b`':{}}}}",
          "{'f:metadata':{'f:finalizers':{'v:`a`':{}}}}" },
        { DEPLOYMENT, "{}", "{'spec':{'replicas':3,'strategy':{'type':'Recreate'},'selector':{'matchLabels':{'a':'b'}}}}",
          "{'f:spec':{'f:replicas':{},'f:selector':{},'f:strategy':{'f:type':{}}}}", "{}" },
        { DEPLOYMENT, "{'spec':{'strategy':{'rollingUpdate':{'maxSurge':1},'type':'RollingUpdate'}}}", "{'spec':{'strategy':{'type':'Recreate'}}}",
          "{'f:spec':{'f:strategy':{'f:type':{}}}}", "{'f:spec':{'f:strategy':{'f:rollingUpdate':{'.':{},'f:maxSurge':{}}}}}" },
        { POD, "{}", "{'spec':{'containers':[{'name':'c','image':'i'}],'securityContext':{}}}",
          "{'f:spec':{'f:containers':{'k:{`name`:`c`}':{'.':{},'f:image':{},'f:name':{},'f:resources':{}}},'f:securityContext':{}}}", "{}" },
        { POD, "{'spec':{'containers':[{'name':'c'},{'name':'d'}]}}", "{'spec':{'containers':[{'name':'d'},{'name':'c'}]}}", "{}", "{}" },
        /* items that are there twice are one whole */
        { POD, "{'spec':{'containers':[{'name':'c','image':'a'}]}}", "{'spec':{'containers':[{'name':'c','image':'a'},{'name':'c','image':'b'}]}}",
          "{'f:spec':{'f:containers':{'k:{`name`:`c`}':{}}}}", "{'f:spec':{'f:containers':{'k:{`name`:`c`}':{'.':{},'f:image':{},'f:name':{},'f:resources':{}}}}}" },
        { POD, "{'spec':{'containers':[{'name':'c','image':'a'},{'name':'c'}]}}", "{'spec':{'containers':[{'name':'c','image':'a'},{'name':'c'}]}}", "{}", "{}" },
        { POD, "{'spec':{'tolerations':[{'key':'a'}]}}", "{'spec':{'tolerations':[{'key':'b'}]}}", "{'f:spec':{'f:tolerations':{}}}", "{}" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        struct merge_type t = type_of(rows[i].type, false);
        const struct fields *changed, *removed;
        struct val *old = quoted_tree(a, rows[i].old), *now = quoted_tree(a, rows[i].now);
        fields_compare(a, &t, old, now, &changed, &removed);
        expect_set(a, changed, rows[i].changed, rows[i].now);
        expect_set(a, removed, rows[i].removed, rows[i].now);
        fields_compare(a, &t, now, now, &changed, &removed);
        cr_expect(!changed && !removed, "%s differs from itself", rows[i].now);
        arena_free(a);
    }
}

/* The fast way says what the comparison with an empty object says. */
static void expect_new(struct arena *a, const struct schema_type *t, struct val *v, const struct fields *without, const char *what)
{
    struct buf fast = BUF_INIT(0), slow = BUF_INIT(0);
    struct merge_type m = merge_type_of(t);
    struct val nothing = { .type = VAL_OBJ };
    const struct fields *changed, *removed;
    fields_write_new(a, &fast, t, v, without);
    fields_compare(a, &m, &nothing, v, &changed, &removed);
    fields_encode(&slow, fields_minus_deep(a, changed, without));
    cr_expect_str_eq(fast.at, slow.at, "%s: %s, not %s", what, fast.at, slow.at);
    buf_free(&fast);
    buf_free(&slow);
}

Test(fields, of_new_objects)
{
    static const struct {
        const char *type, *object;
    } rows[] = {
        { CONFIG, "{}" },
        { CONFIG, "{'metadata':{'name':'n','labels':{'b/c':'d','a':'b'},'creationTimestamp':null},'data':{'k':'v'},'immutable':true}" },
        { CONFIG, "{'data':{}}" },
        { DEPLOYMENT, "{'spec':{'selector':{},'template':{'metadata':{'labels':{'a':'b'}},'spec':{'containers':[{'name':'x'}]}}},'status':{'replicas':1}}" },
        { DEPLOYMENT, "{'spec':{'strategy':{'rollingUpdate':{'maxSurge':'25%'}},'template':{'spec':{'containers':[]}}}}" },
        { POD, "{'spec':{'containers':[{'name':'b','ports':[{'containerPort':443},{'containerPort':80}]},{'name':'a','resources':{'requests':{'cpu':'1'}}},{'name':'b'}]}}" },
        { "io.k8s.api.rbac.v1.RoleBinding", "{'roleRef':{},'subjects':[]}" },
        { "io.k8s.api.apps.v1.ControllerRevision", "{'data':{'spec':{'a':[1,{'b':2}]}},'revision':1}" },
        { "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
          "{'spec':{'group':'g','names':{'kind':'K','plural':'ks'},'versions':[{'name':'v1','schema':{'openAPIV3Schema':{'type':'object','default':{'a':{'b':[1]}},"
          "'properties':{'x':{'items':{'type':'string'}}},'additionalProperties':true}}}]}}" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        const struct schema_type *t = schema_type_by_name(str_of(rows[i].type));
        struct kl_err err;
        kl_err_init(&err);
        struct val *v = quoted_tree(a, rows[i].object);
        cr_assert(t && object_conform(a, t, v, NULL, &err) == 0, "%s: %s", rows[i].object, err.msg);
        expect_new(a, t, v, NULL, rows[i].object);
        expect_new(a, t, v, fields_path(a, "status"), rows[i].object);
        arena_free(a);
    }
}

/* Words for configurations that do not fit. */
Test(fields, what_does_not_fit)
{
    static const struct {
        const char *type, *config, *text;
    } rows[] = {
        { POD, "{'apiVersion':'v1','kind':'Pod','spec':{'containers':[{'name':'c'}]}}", NULL },
        { POD, "{'spec':{'foo':1}}", ".spec.foo: field not declared in schema" },
        { POD, "{'spec':{'containers':[{'name':'c','imag':'x'}]}}", ".spec.containers[name='c'].imag: field not declared in schema" },
        { POD, "{'spec':{'containers':[{'name':'c'},{'name':'c'}]}}", ".spec.containers: duplicate entries for key [name='c']" },
        { POD, "{'spec':{'containers':{'name':'c'}}}", ".spec.containers: expected list, got &{map[name:c]}" },
        { POD, "{'spec':{'containers':[3]}}", ".spec.containers: element 0: associative list with keys may not have non-map elements" },
        { POD, "{'spec':{'containers':[null]}}", ".spec.containers: element 0: associative list with keys may not have a null element" },
        { POD, "{'spec':[]}", ".spec: expected map, got &{[]}" },
        { POD, "{'spec':null}", NULL },
        { DEPLOYMENT, "{'spec':{'replicas':'3'}}", ".spec.replicas: expected numeric (int or float), got string" },
        { DEPLOYMENT, "{'spec':{'paused':'yes'}}", ".spec.paused: expected boolean, got &{yes}" },
        { CONFIG, "{'data':{'a':1}}", ".data.a: expected string, got &value.valueUnstructured{Value:1}" },
        { CONFIG, "{'data':{'a':{'b':'c'}}}", ".data.a: expected string, got &value.valueUnstructured{Value:map[string]interface {}{'b':'c'}}" },
        { CONFIG, "{'metadata':{'finalizers':['a',{}]}}", ".metadata.finalizers: element 1: associative list without keys has an element that^s a map type" },
        { CONFIG, "{'metadata':{'finalizers':['a',null]}}", ".metadata.finalizers: element 1: associative list without keys has an element that^s an explicit null" },
        { CONFIG, "{'metadata':{'finalizers':['a','a']}}", ".metadata.finalizers: duplicate entries for key [='a']" },
        { CONFIG, "{'foo':1,'data':{'a':true}}", ".foo: field not declared in schema" },
        { POD, "{'spec':{'tolerations':[{'key':1}],'priority':'x'}}",
          "errors:\n  .spec.tolerations[0].key: expected string, got &value.valueUnstructured{Value:1}\n  .spec.priority: expected numeric (int or float), got string" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        struct merge_type t = type_of(rows[i].type, true);
        const char *text = merge_check(a, &t, quoted_tree(a, rows[i].config), false), *want = rows[i].text ? quoted(a, rows[i].text).at : NULL;
        cr_expect(want ? text && strcmp(text, want) == 0 : !text, "%s: '%s'", rows[i].config, text ? text : "");
        arena_free(a);
    }
}

/* The configuration's order counts; items that only the live object has keep their place. */
Test(fields, merging)
{
    static const struct {
        const char *type, *live, *config, *result;
    } rows[] = {
        { CONFIG, "{'data':{'a':'1','b':'2'}}", "{'data':{'b':'3','c':'4'}}", "{'data':{'a':'1','b':'3','c':'4'}}" },
        { CONFIG, "{'data':{'a':'1'}}", "{'data':{}}", "{'data':{'a':'1'}}" },
        { CONFIG, "{'data':{'a':'1'}}", "{'data':null}", "{'data':{'a':'1'}}" },
        { CONFIG, "{'immutable':true}", "{'immutable':null}", "{'immutable':null}" },
        { CONFIG, "{'metadata':{'finalizers':['a','b','c']}}", "{'metadata':{'finalizers':['c','a']}}", "{'metadata':{'finalizers':['b','c','a']}}" },
        { CONFIG, "{'metadata':{'finalizers':['a','b']}}", "{'metadata':{'finalizers':['x','a']}}", "{'metadata':{'finalizers':['x','a','b']}}" },
        { CONFIG, "{'metadata':{'finalizers':['a','b','c','d']}}", "{'metadata':{'finalizers':['d','x','b']}}", "{'metadata':{'finalizers':['a','c','d','x','b']}}" },
        { POD, "{'spec':{'containers':[{'name':'a','image':'1'},{'name':'b','image':'2'}]}}", "{'spec':{'containers':[{'name':'b','image':'3'}]}}",
          "{'spec':{'containers':[{'image':'1','name':'a'},{'image':'3','name':'b'}]}}" },
        { POD, "{'spec':{'tolerations':[{'key':'a'}]}}", "{'spec':{'tolerations':[{'key':'b'}]}}", "{'spec':{'tolerations':[{'key':'b'}]}}" },
        { POD, "{'spec':{'tolerations':[{'key':'a'}]}}", "{'spec':{'tolerations':[]}}", "{'spec':{'tolerations':[]}}" },
        { DEPLOYMENT, "{'spec':{'selector':{'matchLabels':{'a':'b'}}}}", "{'spec':{'selector':{'matchLabels':{'c':'d'}}}}", "{'spec':{'selector':{'matchLabels':{'c':'d'}}}}" },
        /* the live object may have one twice: it gives way */
        { POD, "{'spec':{'containers':[{'name':'a','image':'1'},{'name':'a','image':'2'}]}}", "{'spec':{'containers':[{'name':'a','image':'3'}]}}",
          "{'spec':{'containers':[{'image':'3','name':'a'}]}}" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        struct merge_type t = type_of(rows[i].type, true);
        struct val *live = quoted_tree(a, rows[i].live), *v = merge_apply(a, &t, live, quoted_tree(a, rows[i].config)), *want = quoted_tree(a, rows[i].result);
        struct buf b = BUF_INIT(0);
        json_write(&b, v);
        cr_expect(val_equal(v, want), "%s + %s: %s", rows[i].live, rows[i].config, b.at);
        cr_expect(val_equal(live, quoted_tree(a, rows[i].live)), "%s changed", rows[i].live);
        buf_free(&b);
        arena_free(a);
    }
}

Test(fields, removing)
{
    static const struct {
        const char *type, *object, *set, *result;
    } rows[] = {
        { CONFIG, "{'data':{'a':'1','b':'2'}}", "{'f:data':{'f:a':{}}}", "{'data':{'b':'2'}}" },
        { CONFIG, "{'data':{'a':'1'}}", "{'f:data':{'f:a':{}}}", "{'data':{}}" },
        { CONFIG, "{'data':{'a':'1'}}", "{'f:data':{'.':{},'f:a':{}}}", "{}" },
        { CONFIG, "{'data':{'a':'1'}}", "{'f:data':{'f:z':{}}}", "{'data':{'a':'1'}}" },
        { POD, "{'spec':{'containers':[{'name':'a','image':'1'},{'name':'b'}]}}", "{'f:spec':{'f:containers':{'k:{`name`:`a`}':{'f:image':{}},'k:{`name`:`b`}':{}}}}",
          "{'spec':{'containers':[{'name':'a'}]}}" },
        { POD, "{'spec':{'tolerations':[{'key':'a'}],'hostname':'h'}}", "{'f:spec':{'f:tolerations':{}}}", "{'spec':{'hostname':'h'}}" },
        { CONFIG, "{'metadata':{'finalizers':['a','b']}}", "{'f:metadata':{'f:finalizers':{'v:`a`':{}}}}", "{'metadata':{'finalizers':['b']}}" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        struct merge_type t = type_of(rows[i].type, true);
        struct val *v = merge_remove(a, &t, quoted_tree(a, rows[i].object), set_of(a, rows[i].set));
        struct buf b = BUF_INIT(0);
        json_write(&b, v);
        cr_expect(val_equal(v, quoted_tree(a, rows[i].result)), "%s - %s: %s", rows[i].object, rows[i].set, b.at);
        buf_free(&b);
        arena_free(a);
    }
}
