/* rules.c - rules of schemas: what they have against objects (rules.txt), what they cost at most (costs.txt), and definitions that are refused. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cel/rules-internal.h"

#define FOLDER "tests/unit/kernel/cel/"

static struct str read_file(struct buf *b, const char *name)
{
    _cleanup_file_ FILE *f = fopen(name, "re");
    cr_assert(f, "no %s", name);
    for (char *at; (at = buf_room(b, 4096));) {
        size_t n = fread(at, 1, 4096, f);
        if (!n)
            break;
        b->len += n;
    }
    return buf_str(b);
}

/* "word rest": true, and *s is the rest. */
static bool word(struct str *s, const char *w)
{
    if (!str_starts(*s, str_of(w)))
        return false;
    *s = str_skip(*s, strlen(w) + 1);
    return true;
}

static struct val *tree(struct arena *a, struct str text)
{
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = json_parse(a, text, &err);
    cr_assert(v, STR_FMT ": %s", STR_ARG(text), err.msg);
    return v;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All causes, sorted, a line each. */
static void outcome(struct arena *a, struct buf *b, struct str schema, struct str object, struct str text)
{
    const struct val *c = tree(a, text), *base = tree(a, object), *rules = json_get(c, STR("rules")), *old = json_get(c, STR("old"));
    struct val *s = tree(a, schema);
    struct kl_err err;
    kl_err_init(&err);
    struct object_causes causes = { .arena = a };
    const char *lines[64];
    if (rules->n)
        json_set(a, s, STR("x-kubernetes-validations"), val_copy(a, rules));
    cel_rules_validate(cel_rules_new(a, s), &causes, object_patch_merge(a, base, json_get(c, STR("obj")), &err),
                       old ? object_patch_merge(a, base, old, &err) : NULL, NULL, NULL);
    cr_assert_leq(causes.n, 64);
    for (unsigned i = 0; i < causes.n; i++)
        lines[i] = arena_printf(a, "  %s: %s\n", causes.at[i].field, causes.at[i].message);
    qsort(lines, causes.n, sizeof *lines, by_text);
    for (unsigned i = 0; i < causes.n; i++)
        buf_add_z(b, lines[i]);
}

Test(rules, cases)
{
    _cleanup_buf_ struct buf file = BUF_INIT(0);
    struct str rest = read_file(&file, FOLDER "rules.txt"), schema = STR_NONE, object = STR_NONE;
    unsigned n = 0, bad = 0;
    while (rest.len) {
        struct str line = str_cut(&rest, '\n');
        if (line.len && line.at[0] == '#')
            continue;
        if (word(&line, "schema"))
            schema = line;
        else if (word(&line, "object"))
            object = line;
        else if (word(&line, "case")) {
            _cleanup_arena_ struct arena *a = arena_new(0);
            _cleanup_buf_ struct buf is = BUF_INIT(0);
            struct str want = str_n(rest.at, 0);
            while (rest.len && str_starts(rest, STR("  "))) {
                struct str cause = str_cut(&rest, '\n');
                want.len = (size_t)(cause.at + cause.len + 1 - want.at);
            }
            outcome(a, &is, schema, object, line);
            n++;
            if (str_eq(buf_str(&is), want))
                continue;
            bad++;
            fprintf(stderr, STR_FMT "\n wanted:\n" STR_FMT " is:\n%s", STR_ARG(line), STR_ARG(want), is.at ? is.at : "");
        }
    }
    cr_assert_eq(bad, 0, "%u of %u", bad, n);
    cr_assert_geq(n, 80);
}

Test(rules, costs)
{
    _cleanup_buf_ struct buf file = BUF_INIT(0);
    struct str rest = read_file(&file, FOLDER "costs.txt");
    _cleanup_arena_ struct arena *a = arena_new(0);
    const struct cel_type *type = NULL;
    struct cel_var vars[2];
    unsigned n = 0;
    while (rest.len) {
        struct str line = str_cut(&rest, '\n');
        const char *why = NULL;
        if (line.at[0] == '#')
            continue;
        if (word(&line, "schema")) {
            type = cel_type_of_schema(a, tree(a, line), true);
            vars[0] = (struct cel_var){ "self", type };
            vars[1] = (struct cel_var){ "oldSelf", type };
            continue;
        }
        struct str cost = str_cut(&line, ' ');
        struct cel_program *p = cel_compile(a, line, vars, 2, 0, &why);
        cr_assert(p, "%s", why);
        const char *is = arena_printf(a, "%llu", (unsigned long long)cel_estimate(p).max);
        cr_expect(str_is(cost, is), STR_FMT ": %s and not " STR_FMT, STR_ARG(line), is, STR_ARG(cost));
        n++;
    }
    cr_assert_geq(n, 100);
}

/* --- budgets --- */

static const char lists[] = "{\"type\":\"object\",\"properties\":{\"l\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}},\"x-kubernetes-validations\":[%s]}";

static unsigned run_long(struct arena *a, const char *rules, struct object_causes *causes)
{
    struct val *v = val_new(a, VAL_OBJ), *list = json_arr(a, v, STR("l"));
    for (int i = 0; i < 3000; i++)
        val_push(list, val_of_str(a, str_of(arena_printf(a, "x%d", i))));
    cel_rules_validate(cel_rules_new(a, tree(a, str_of(rules))), causes, v, NULL, NULL, NULL);
    return causes->n;
}

Test(rules, over_budget)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct object_causes causes = { .arena = a };
    char text[1024];
    snprintf(text, sizeof text, lists, "{\"rule\":\"self.l.all(x, self.l.exists(y, y == x))\"},{\"rule\":\"false\"}");
    cr_assert_eq(run_long(a, text, &causes), 1);
    cr_assert_str_eq(causes.at[0].message, "Invalid value: \"object\": 'operation cancelled: actual cost limit exceeded': no further validation rules will "
                                           "be run due to call cost exceeds limit for rule: self.l.all(x, self.l.exists(y, y == x))");
}

/* --- definitions --- */

static const struct {
    const char *schema, *message;
} definitions[] = {
    { "{\"type\":\"object\",\"x-kubernetes-validations\":[{\"rule\":\"self.a\"}]}",
      "x-kubernetes-validations[0].rule: Invalid value: {\"Rule\":\"self.a\",\"Message\":\"\",\"MessageExpression\":\"\",\"Reason\":null,\"FieldPath\":\"\","
      "\"OptionalOldSelf\":null}: compilation failed: ERROR: <input>:1:5: undefined field 'a'\n | self.a\n | ....^" },
    { "{\"type\":\"object\",\"x-kubernetes-validations\":[{\"rule\":\" \"}]}", "x-kubernetes-validations[0].rule: Required value: rule is not specified" },
    { "{\"type\":\"object\",\"x-kubernetes-validations\":[{\"rule\":\"1 == 1\\n\"},{\"rule\":\"1 ==\\n1\"}]}",
      "x-kubernetes-validations[1].message: Required value: message must be specified if rule contains line breaks" },
    { "{\"type\":\"object\",\"properties\":{\"l\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":5,\"x-kubernetes-validations\":"
      "[{\"rule\":\"self == oldSelf\"}]}}}}",
      "properties[l].items.x-kubernetes-validations[0].rule: Invalid value: \"self == oldSelf\": oldSelf cannot be used on the uncorrelatable portion of the "
      "schema within schema.properties[l]" },
    { "{\"type\":\"object\",\"properties\":{\"s\":{\"type\":\"string\",\"x-kubernetes-validations\":[{\"rule\":\"self.matches('^[a-z]+$') && "
      "self.matches('[a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z][a-z]')\"}]}}}",
      "properties[s].x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of 1.321207x (try simplifying the rule, or "
      "adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)" },
};

Test(rules, definitions)
{
    for (size_t i = 0; i < sizeof definitions / sizeof *definitions; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        struct object_causes causes = { .arena = a };
        cel_rules_check(&causes, tree(a, str_of(definitions[i].schema)), "schema");
        cr_assert_geq(causes.n, 1, "%s", definitions[i].schema);
        const char *is = arena_printf(a, "%s: %s", causes.at[0].field, causes.at[0].message);
        const char *want = arena_printf(a, "schema.%s", definitions[i].message);
        cr_expect_str_eq(is, want);
    }
}
