/* Who owns what after a custom schema has made a list or a map atomic or granular. */
#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "object/custom.h"
#include "object/managed.h"

struct row {
    const char *spec;                   /* the schema of spec, with ' for quotes */
    const char *live, *before, *after;  /* after NULL: nothing changes */
};

#define GRANULAR "{'type':'object','properties':{'a':{'type':'integer'},'b':{'type':'object','properties':{'c':{'type':'integer'}}}}}"
#define ATOMIC   "{'type':'object','x-kubernetes-map-type':'atomic','properties':{'a':{'type':'integer'},'b':{'type':'object','properties':{'c':{'type':'integer'}}}}}"
#define LIST(kind) "{'type':'object','properties':{'l':{'type':'array','x-kubernetes-list-type':'" kind "','x-kubernetes-list-map-keys':['n']," \
                   "'items':{'type':'object','properties':{'n':{'type':'string'},'v':{'type':'integer'}}}}}}"
#define SET(kind) "{'type':'object','properties':{'l':{'type':'array','x-kubernetes-list-type':'" kind "','items':{'type':'string'}}}}"
#define FREE "{'type':'object','additionalProperties':{'type':'string'}}"
#define OPEN "{'type':'object','x-kubernetes-preserve-unknown-fields':true}"

static const struct row rows[] = {
    { GRANULAR, "{'spec':{'a':1}}", "{'f:spec':{'f:a':{}}}", NULL },
    { ATOMIC, "{'spec':{'a':1}}", "{'f:spec':{'f:a':{}}}", "{'f:spec':{}}" },
    { ATOMIC, "{'spec':{'a':1}}", "{'f:spec':{'.':{},'f:a':{},'f:b':{'f:c':{}}}}", "{'f:spec':{}}" },
    { ATOMIC, "{'spec':{'a':1}}", "{'f:spec':{}}", NULL },
    { GRANULAR, "{'spec':{'a':1,'b':{'c':2}}}", "{'f:spec':{}}", "{'f:spec':{'.':{},'f:a':{},'f:b':{'f:c':{}}}}" },
    { GRANULAR, "{'spec':{}}", "{'f:spec':{}}", NULL },
    { GRANULAR, "{'spec':{'a':1}}", "{'f:status':{}}", NULL },
    { LIST("map"), "{'spec':{'l':[{'n':'x','v':1}]}}", "{'f:spec':{'f:l':{}}}",
      "{'f:spec':{'f:l':{'.':{},'k:{\"n\":\"x\"}':{'.':{},'f:n':{},'f:v':{}}}}}" },
    { LIST("atomic"), "{'spec':{'l':[{'n':'x','v':1}]}}", "{'f:spec':{'f:l':{'k:{\"n\":\"x\"}':{'.':{},'f:v':{}}}}}", "{'f:spec':{'f:l':{}}}" },
    { LIST("map"), "{'spec':{'l':[{'n':'x','v':1}]}}", "{'f:spec':{'f:l':{'k:{\"n\":\"x\"}':{'.':{},'f:v':{}}}}}", NULL },
    { SET("set"), "{'spec':{'l':['p','q']}}", "{'f:spec':{'f:l':{}}}", "{'f:spec':{'f:l':{'.':{},'v:\"p\"':{},'v:\"q\"':{}}}}" },
    { SET("atomic"), "{'spec':{'l':['p','q']}}", "{'f:spec':{'f:l':{'v:\"p\"':{}}}}", "{'f:spec':{'f:l':{}}}" },
    { FREE, "{'spec':{'k':'v'}}", "{'f:spec':{}}", "{'f:spec':{'.':{},'f:k':{}}}" },
    { OPEN, "{'spec':{'k':'v'}}", "{'f:spec':{}}", NULL },
};

/* ' for quotes; those of keys within names stand as they are, escaped. */
static struct val *tree(struct arena *a, const char *text)
{
    char *s = arena_dup(a, str_of(text)), *to = arena_alloc(a, 2 * strlen(text) + 1), *o = to;
    for (; *s; s++) {
        if (*s == '"')
            *o++ = '\\';
        *o++ = *s == '\'' ? '"' : *s;
    }
    struct val *v = json_parse(a, str_n(to, (size_t)(o - to)), NULL);
    cr_assert(v, "%s", to);
    return v;
}

Test(managed_reconcile, rows)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        _cleanup_buf_ struct buf b = BUF_INIT(0);
        struct val *schema = tree(a, arena_printf(a, "{'type':'object','properties':{'spec':%s}}", rows[i].spec));
        json_write(&b, schema);
        struct custom_schema *s = custom_schema_new(buf_str(&b));
        const struct schema_type type = { .kind = T_CUSTOM, .custom = s };
        struct managed_write w = { .arena = a, .type = merge_type_of(&type), .api_version = STR("a.b/v1"), .reconciles = true };
        struct val *entry = tree(a, "{'manager':'m','operation':'Update','apiVersion':'a.b/v1','fieldsType':'FieldsV1'}"), *list = val_new(a, VAL_ARR);
        struct managed m;
        json_set(a, entry, STR("fieldsV1"), tree(a, rows[i].before));
        val_push(list, entry);
        cr_assert(managed_decode(a, list, &m, NULL) == 0, "row %zu", i);
        bool changed = managed_reconcile(&w, &m, tree(a, rows[i].live));
        struct val *now = managed_encode(a, &m), *want = tree(a, rows[i].after ? rows[i].after : rows[i].before);
        cr_expect_eq(changed, rows[i].after != NULL, "row %zu", i);
        buf_clear(&b);
        struct val *got = json_get(now->first, STR("fieldsV1"));
        _cleanup_buf_ struct buf shown = BUF_INIT(0);
        json_write(&shown, got);
        _cleanup_buf_ struct buf due = BUF_INIT(0);
        json_write(&due, want);
        cr_expect(str_eq(buf_str(&shown), buf_str(&due)), "row %zu: %s where %s was due", i, shown.at, due.at);
        custom_schema_free(s);
    }
}
