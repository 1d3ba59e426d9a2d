/* Every allocation fails once, and every arena is too small by many amounts: an expression then gives its value, or says that memory is out;
 * it never gives another value. */
#include "base/cleanup.h"
#include "cel/rules.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const char object[] = "{\"a\":3,\"s\":\"x,y\",\"l\":[\"p\",\"q\",\"r\"],\"m\":{\"k\":1,\"j\":2},\"o\":{\"p\":{\"q\":\"z\"}}}";

static const char *const expressions[] = {
    "self.a + 2 * 3 > 4 && self.s.startsWith('x') || self.o.p.q == 'z'",
    "self.l.map(x, x + '!').filter(x, x != 'q!').sort()",
    "self.m.transformMap(k, v, k + 'x').size() + [[1],[2,3]].flatten().size()",
    "self.s.split(',').map(x, {'n': [x], 'm': [x, x]}).all(e, e.m.size() == 2)",
    "'%s %d %.2f'.format([self.l, self.a, 1.5]) + self.s.replace(',', '--').upperAscii()",
    "self.?o.?p.?nope.orValue('none') + optional.of(self.s).optMap(x, x + 'y').value()",
    "self.l.exists(x, x.matches('^q+$')) && self.s.findAll('[a-z]').size() == 2",
    "cidr('10.0.0.0/8').containsIP('10.1.2.3') && quantity('1Gi').isGreaterThan(quantity('1M')) && url('https://a/b?c=d').getQuery().size() == 1",
    "semver('1.2.3').isLessThan(semver('1.10.0')) && format.named('dns1123Label').value().validate('A').hasValue()",
    "timestamp('2020-01-01T00:00:00Z') + duration('1h') < timestamp('2021-01-01T00:00:00Z') && string(duration('90m')) == '5400s'",
};

static const char schema[] =
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"s\":{\"type\":\"string\",\"maxLength\":9},\"l\":{\"type\":\"array\",\"maxItems\":9,\"items\":{\"type\":\"string\",\"maxLength\":9,"
    "\"x-kubernetes-validations\":[{\"rule\":\"self != 'q'\",\"messageExpression\":\"'%s is no q'.format([self])\"}]}}},"
    "\"x-kubernetes-validations\":[{\"rule\":\"self.a > 5\",\"message\":\"small\",\"fieldPath\":\".a\"}]}";

static long left;                       /* allocations until one fails */
static unsigned failures;

static void *fail_at(void *ctx, void *at, size_t n)
{
    (void)ctx;
    if (!n) {
        free(at);
        return NULL;
    }
    if (left-- == 0) {
        failures++;
        return NULL;
    }
    return realloc(at, n);
}

static const struct mem_allocator failing = { fail_at, NULL };

/* The value as JSON into out. False: memory is out. */
static bool evaluate(struct arena *a, const char *text, struct buf *out)
{
    struct cel_var vars[] = { { "self", cel_type(CEL_DYN) } };
    const struct val *v = a ? json_parse(a, str_of(object), NULL) : NULL;
    struct cel_val self = cel_of_json(v, NULL);
    const char *why;
    struct cel_program *p = v ? cel_compile(a, str_of(text), vars, 1, 0, &why) : NULL;
    struct cel_run run = { .arena = a, .vars = &self };
    if (!p) {
        cr_assert(!v || strstr(why, "out of memory") || arena_exhausted(a) || failures, "%s: %s", text, why);
        return false;
    }
    struct cel_val value = cel_eval(p, &run);
    struct val *json = value.kind == CEL_ERROR ? NULL : cel_to_json(a, value);
    if (!json || arena_exhausted(a))
        return false;
    json_write(out, json);
    return !out->failed;
}

/* What the rules have against the object. */
static bool judge(struct arena *a, const char *text, struct buf *out)
{
    const struct val *v = a ? json_parse(a, str_of(text), NULL) : NULL, *s = a ? json_parse(a, str_of(schema), NULL) : NULL;
    struct object_causes causes = { .arena = a };
    struct cel_rules *r = v && s ? cel_rules_new(a, s) : NULL;
    if (!r || arena_exhausted(a))
        return false;
    cel_rules_validate(r, &causes, v, NULL, NULL, NULL);
    for (unsigned i = 0; i < causes.n; i++)
        buf_printf(out, "%s: %s\n", causes.at[i].field, causes.at[i].message);
    return !arena_exhausted(a) && !out->failed;
}

typedef bool (*case_fn)(struct arena *a, const char *text, struct buf *out);

static void torture(case_fn run, const char *text, bool exact)
{
    _cleanup_buf_ struct buf whole = BUF_INIT(0);
    left = -1;
    _cleanup_arena_ struct arena *all = arena_new(0);
    cr_assert(run(all, text, &whole), "%s", text);
    for (long n = 0; n < 400; n++) {
        struct buf out = BUF_INIT(0);
        left = n;
        failures = 0;
        mem_set_allocator(&failing);
        struct arena *a = arena_new(0);
        bool done = run(a, text, &out);
        arena_free(a);
        left = -1;
        cr_assert(!done || (!exact && failures) || str_eq(buf_str(&out), buf_str(&whole)), "%s, allocation %ld: %s", text, n, out.at);
        buf_free(&out);
        mem_set_allocator(NULL);
        if (!failures)
            break;
    }
    for (size_t cap = 4096; cap < arena_used(all) + 8192; cap += 512) {
        struct buf out = BUF_INIT(0);
        failures = 0;
        struct arena *a = arena_new(cap);
        if (run(a, text, &out))
            cr_assert(str_eq(buf_str(&out), buf_str(&whole)), "%s in %zu bytes: %s", text, cap, out.at);
        arena_free(a);
        buf_free(&out);
    }
}

Test(torture, expressions)
{
    for (size_t i = 0; i < sizeof expressions / sizeof *expressions; i++)
        torture(evaluate, expressions[i], true);
}

/* Without memory for a rule's own evaluation nothing is refused in its name: the write itself fails. */
Test(torture, rules)
{
    torture(judge, object, false);
}
