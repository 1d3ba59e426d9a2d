/* Label and field selectors: text in, canonical text out; trees and stored bytes get the same answer. */
#include "base/cleanup.h"
#include "object/object.h"

#include <criterion/criterion.h>

static const char pod_text[] = "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\",\"namespace\":\"n\",\"labels\":{\"app\":\"web\",\"n\":\"4\",\"tier\":\"\",\"x.io/y\":\"z\"}},"
                               "\"spec\":{\"nodeName\":\"n1\",\"restartPolicy\":\"Always\"},\"status\":{\"phase\":\"Running\"}}";

static bool matches(struct arena *a, const struct selector *s, bool fields)
{
    struct kl_err err;
    struct val *v = json_parse(a, str_of(pod_text), &err);
    bool tree = fields ? selector_matches_fields(s, v) : selector_matches_labels(s, json_path(v, "metadata.labels"));
    cr_expect_eq(selector_matches_text(s, str_of(pod_text)), tree);
    return tree;
}

Test(selector, labels)
{
    static const struct {
        const char *text, *canonical;
        bool match;
    } rows[] = {
        { "app=web", "app=web", true }, { "app==web", "app=web", true }, { " app = web ", "app=web", true }, { "app!=web", "app notin (web)", false },
        { "app in (a, web)", "app in (a,web)", true }, { "app notin (a,b)", "app notin (a,b)", true }, { "app", "app", true }, { "!app", "!app", false },
        { "!other", "!other", true }, { "tier=", "tier=", true }, { "other=", "other=", false }, { "other!=x", "other notin (x)", true },
        { "x.io/y=z,app", "app,x.io/y=z", true }, { "", "", true }, { "app in (web),tier", "app=web,tier", true }, { "app in ()", "app in ()", false }, { "app notin ()", "app notin ()", true },
        { "n>3", "n>3", true }, { "n<5", "n<5", true }, { "n>4", "n>4", false }, { "app>1", "app>1", false }, { "absent<9", "absent<9", false }, { "app in (,)", "app=", false },
        { "app in (x,,y)", "app in (,x,y)", false }, { "app=in", "app=in", false }, { "in in (notin)", "in=notin", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        struct buf b = BUF_INIT(0);
        struct kl_err err;
        kl_err_init(&err);
        struct selector *s = selector_parse_labels(a, str_of(rows[i].text), &err, NULL);
        cr_assert(s, "%s: %s", rows[i].text, err.msg);
        selector_write(&b, s);
        cr_expect(str_is(buf_str(&b), rows[i].canonical), "%s gives %s", rows[i].text, b.at);
        cr_expect_eq(matches(a, s, false), rows[i].match, "%s", rows[i].text);
        cr_expect_eq(selector_empty(s), rows[i].text[0] == '\0');
        buf_free(&b);
        arena_free(a);
    }
}

Test(selector, bad_labels)
{
    char sixty_four[128] = "a in (";
    memset(sixty_four + 6, 'x', 64);
    memcpy(sixty_four + 70, ")", 2);
    const char *const rows[] = { "a in", "a in (b", "=b", "a b", "a=b c", "-a=b", "a=-b", "!a=b", "a in (b))", "a,,b", "a=b=c", "x/y/z", "a=b/c", "a in (b/c)", sixty_four };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        struct kl_err err;
        kl_err_init(&err);
        cr_expect_null(selector_parse_labels(a, str_of(rows[i]), &err, NULL), "%s", rows[i]);
        cr_expect(err.code == KL_BAD_REQUEST && err.msg[0], "%s", rows[i]);
        arena_free(a);
    }
}

/* The words of upstream's parser, whole. */
Test(selector, complaints_about_labels)
{
#define NAME_PART "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for " \
                  "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
    static const char *const rows[][2] = {
        { "a==b==c", "found '==', expected: ',' or 'end of string'" }, { "a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier" },
        { "(a=x)", "found '(', expected: !, identifier, or 'end of string'" }, { "a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt" },
        { "a=x,", "found '', expected: identifier after ','" }, { "!a=x", "found '=', expected: ',' or 'end of string'" }, { "!!a", "unable to parse requirement: found '!', expected: identifier" },
        { "a in b", "unable to parse requirement: found 'b' expected: '('" }, { "a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'" },
        { "a=(", "unable to parse requirement: found '(', expected: identifier" }, { "n>x", "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer" },
        { "-a", "unable to parse requirement: <nil>: Invalid value: \"-a\": name part " NAME_PART },
        { "a/b/c=x", "unable to parse requirement: <nil>: Invalid value: \"a/b/c\": a valid label key " NAME_PART " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        struct kl_err err;
        const char *why = NULL;
        cr_expect_null(selector_parse_labels(a, str_of(rows[i][0]), &err, &why), "%s", rows[i][0]);
        cr_expect(why && strcmp(why, rows[i][1]) == 0, "%s: %s", rows[i][0], why);
        arena_free(a);
    }
}

/* Kinds say in different words that they are not selected by that; a value's commas, equal signs and backslashes stand behind a backslash. */
Test(selector, complaints_about_fields)
{
    static const char *const rows[][4] = {
        { "", "Pod", "a=b", "field label not supported: a" }, { "", "ConfigMap", "a=b", "\"a\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"" },
        { "batch", "Job", "a=b", "field label \"a\" not supported for Job" }, { "resource.k8s.io", "ResourceSlice", "a=b", "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: a" },
        { "", "Pod", "metadata.name=a,b", "invalid selector: 'metadata.name=a,b'; can't understand 'b'" }, { "", "Pod", "metadata.name=a=b", "invalid field selector: unescaped character in value: 61" },
        { "", "Pod", "metadata.name=a\\", "invalid field selector: invalid escape sequence: \\" }, { "", "Pod", "metadata.name=a\\x", "invalid field selector: invalid escape sequence: \\x" },
        { "", "Node", "metadata.namespace=x", "field label not supported: metadata.namespace" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        struct kl_err err;
        kl_err_init(&err);
        cr_expect_null(selector_parse_fields(a, schema_kind_find(str_of(rows[i][0]), STR("v1"), str_of(rows[i][1])), str_of(rows[i][2]), &err), "%s", rows[i][2]);
        cr_expect_str_eq(err.msg, rows[i][3]);
        arena_free(a);
    }
}

/* Not one requirement is lost, however many there are. */
Test(selector, many_requirements_are_all_written)
{
    struct arena *a = arena_new(0);
    struct buf text = BUF_INIT(0), out = BUF_INIT(0);
    struct kl_err err;
    for (int i = 0; i < 1000; i++)
        buf_printf(&text, "%sk%03d=v", i ? "," : "", i);
    struct selector *s = selector_parse_labels(a, buf_str(&text), &err, NULL);
    selector_write(&out, s);
    cr_expect_str_eq(out.at, text.at);
    buf_free(&text);
    buf_free(&out);
    arena_free(a);
}

Test(selector, fields)
{
    static const struct {
        const char *text;
        int match;                      /* -1: refused */
    } rows[] = {
        { "metadata.name=p", 1 }, { "metadata.name==p", 1 }, { "metadata.name!=p", 0 }, { "spec.nodeName=n1,status.phase=Running", 1 },
        { "spec.nodeName=n1,status.phase!=Running", 0 }, { "spec.nodeName=", 0 }, { "status.podIP=", 1 }, { "status.podIP!=", 0 },
        { "spec.hostNetwork=false", 1 }, { "spec.hostNetwork=true", 0 }, { "spec.hostNetwork!=true", 1 }, { "spec.hostNetwork=", 0 },
        { "spec.foo=x", -1 }, { "metadata.name", -1 }, { "=x", -1 }, { "", 1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        struct kl_err err;
        kl_err_init(&err);
        struct selector *s = selector_parse_fields(a, schema_kind_find(STR(""), STR("v1"), STR("Pod")), str_of(rows[i].text), &err);
        cr_expect_eq(s != NULL, rows[i].match >= 0, "%s: %s", rows[i].text, err.msg);
        if (s)
            cr_expect_eq(matches(a, s, true), rows[i].match, "%s", rows[i].text);
        else
            cr_expect_eq(err.code, KL_BAD_REQUEST);
        arena_free(a);
    }
}

/* What is not stored because it is zero is selected by its text, as upstream does: false and 0. */
Test(selector, fields_that_are_zero)
{
    static const struct {
        const char *group, *kind, *text, *json;
        bool match;
    } rows[] = {
        { "", "Node", "spec.unschedulable=false", "{}", true }, { "", "Node", "spec.unschedulable=false", "{\"spec\":{\"unschedulable\":true}}", false },
        { "", "Node", "spec.unschedulable=true", "{\"spec\":{\"unschedulable\":true}}", true }, { "", "Node", "spec.unschedulable!=true", "{}", true },
        { "batch", "Job", "status.successful=0", "{\"status\":{}}", true }, { "batch", "Job", "status.successful=2", "{\"status\":{\"succeeded\":2}}", true },
        { "batch", "Job", "status.successful=0", "{\"status\":{\"succeeded\":2}}", false }, { "", "ReplicationController", "status.replicas=0", "{}", true },
        { "", "Pod", "spec.nodeName=", "{}", true },
        { "", "Event", "source=c", "{\"source\":{},\"reportingComponent\":\"c\"}", true },
        { "", "Event", "source=c", "{\"source\":{\"component\":\"b\"},\"reportingComponent\":\"c\"}", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        struct kl_err err;
        kl_err_init(&err);
        struct selector *s = selector_parse_fields(a, schema_kind_find(str_of(rows[i].group), STR("v1"), str_of(rows[i].kind)), str_of(rows[i].text), &err);
        cr_assert(s, "%s: %s", rows[i].text, err.msg);
        cr_expect_eq(selector_matches_text(s, str_of(rows[i].json)), rows[i].match, "%s of %s", rows[i].text, rows[i].json);
        cr_expect_eq(selector_matches_fields(s, json_parse(a, str_of(rows[i].json), &err)), rows[i].match, "%s of %s", rows[i].text, rows[i].json);
        arena_free(a);
    }
}

Test(selector, of_tree)
{
    static const struct {
        const char *tree;
        int match;                      /* -1: refused */
    } rows[] = {
        { "{}", 1 }, { "{\"matchLabels\":{\"app\":\"web\"}}", 1 }, { "{\"matchLabels\":{\"app\":\"x\"}}", 0 },
        { "{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"In\",\"values\":[\"web\",\"a\"]},{\"key\":\"q\",\"operator\":\"DoesNotExist\"}]}", 1 },
        { "{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"NotIn\",\"values\":[\"web\"]}]}", 0 },
        { "{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"Near\",\"values\":[\"web\"]}]}", -1 },
    };
    struct kl_err err;
    kl_err_init(&err);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        struct selector *s = selector_of_tree(a, json_parse(a, str_of(rows[i].tree), &err), &err);
        cr_expect_eq(s != NULL, rows[i].match >= 0, "%s", rows[i].tree);
        if (s)
            cr_expect_eq(matches(a, s, false), rows[i].match, "%s", rows[i].tree);
        arena_free(a);
    }
    struct arena *a = arena_new(0);
    cr_expect_not(matches(a, selector_of_tree(a, NULL, &err), false), "no selector selects nothing");
    arena_free(a);
}
