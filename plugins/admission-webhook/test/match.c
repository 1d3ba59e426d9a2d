/* Which requests a webhook is asked about. */
#include <criterion/criterion.h>

#include "webhook.h"

static struct val *parse(struct arena *a, const char *text)
{
    struct val *v = json_parse(a, str_of(text), NULL);
    cr_assert(v, "%s", text);
    return v;
}

#define RULE(ops, groups, versions, resources, scope) \
    "[{\"operations\":[" ops "],\"apiGroups\":[" groups "],\"apiVersions\":[" versions "],\"resources\":[" resources "],\"scope\":\"" scope "\"}]"
#define ANY RULE("\"*\"", "\"*\"", "\"*\"", "\"*\"", "*")

Test(match, rules)
{
    static const struct {
        const char *rules, *operation, *group, *version, *resource, *sub, *ns;
        bool match;
    } rows[] = {
        { ANY, "CREATE", "", "v1", "pods", "", "a", true },
        { ANY, "CREATE", "", "v1", "pods", "status", "a", false },
        { RULE("\"CREATE\"", "\"\"", "\"v1\"", "\"pods\"", "*"), "CREATE", "", "v1", "pods", "", "a", true },
        { RULE("\"CREATE\"", "\"\"", "\"v1\"", "\"pods\"", "*"), "UPDATE", "", "v1", "pods", "", "a", false },
        { RULE("\"*\"", "\"apps\"", "\"v1\"", "\"pods\"", "*"), "CREATE", "", "v1", "pods", "", "a", false },
        { RULE("\"*\"", "\"\"", "\"v2\"", "\"pods\"", "*"), "CREATE", "", "v1", "pods", "", "a", false },
        { RULE("\"*\"", "\"\"", "\"v1\"", "\"pods/status\"", "*"), "UPDATE", "", "v1", "pods", "status", "a", true },
        { RULE("\"*\"", "\"\"", "\"v1\"", "\"pods/*\"", "*"), "UPDATE", "", "v1", "pods", "status", "a", true },
        { RULE("\"*\"", "\"\"", "\"v1\"", "\"pods/*\"", "*"), "UPDATE", "", "v1", "pods", "", "a", true },
        { RULE("\"*\"", "\"\"", "\"v1\"", "\"*/scale\"", "*"), "UPDATE", "", "v1", "replicationcontrollers", "scale", "a", true },
        { RULE("\"*\"", "\"\"", "\"v1\"", "\"*/*\"", "*"), "CONNECT", "", "v1", "pods", "exec", "a", true },
        { RULE("\"*\"", "\"*\"", "\"*\"", "\"*\"", "Cluster"), "CREATE", "", "v1", "nodes", "", "", true },
        { RULE("\"*\"", "\"*\"", "\"*\"", "\"*\"", "Cluster"), "CREATE", "", "v1", "namespaces", "", "a", true },
        { RULE("\"*\"", "\"*\"", "\"*\"", "\"*\"", "Cluster"), "CREATE", "", "v1", "pods", "", "a", false },
        { RULE("\"*\"", "\"*\"", "\"*\"", "\"*\"", "Namespaced"), "CREATE", "", "v1", "pods", "", "a", true },
        { RULE("\"*\"", "\"*\"", "\"*\"", "\"*\"", "Namespaced"), "CREATE", "", "v1", "namespaces", "", "a", false },
        { "[]", "CREATE", "", "v1", "pods", "", "a", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        struct kl_request r = { .size = sizeof r, .group = rows[i].group, .version = rows[i].version, .resource = rows[i].resource,
                                .subresource = rows[i].sub };
        cr_expect_eq(match_rules(parse(a, rows[i].rules), rows[i].operation, &r, rows[i].ns), rows[i].match, "row %zu", i);
    }
}

Test(match, selectors)
{
    static const struct {
        const char *selector, *labels;
        bool match;
    } rows[] = {
        { "{}", "{}", true },
        { "{\"matchLabels\":{\"a\":\"1\"}}", "{\"a\":\"1\",\"b\":\"2\"}", true },
        { "{\"matchLabels\":{\"a\":\"1\"}}", "{\"a\":\"2\"}", false },
        { "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\",\"values\":[\"1\",\"2\"]}]}", "{\"a\":\"2\"}", true },
        { "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\",\"values\":[\"1\"]}]}", "{}", false },
        { "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"NotIn\",\"values\":[\"1\"]}]}", "{}", true },
        { "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"NotIn\",\"values\":[\"1\"]}]}", "{\"a\":\"1\"}", false },
        { "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Exists\"}]}", "{\"a\":\"\"}", true },
        { "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"DoesNotExist\"}]}", "{\"a\":\"\"}", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        cr_expect_eq(match_labels(parse(a, rows[i].selector), parse(a, rows[i].labels)), rows[i].match, "row %zu", i);
    }
}

Test(match, an_object_selector_looks_at_both_states)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct val *s = parse(a, "{\"matchLabels\":{\"a\":\"1\"}}"), *with = parse(a, "{\"metadata\":{\"labels\":{\"a\":\"1\"}}}");
    struct val *without = parse(a, "{\"metadata\":{}}"), *options = parse(a, "{\"kind\":\"PodExecOptions\"}");
    cr_expect(match_object(s, with, NULL));
    cr_expect(match_object(s, without, with));
    cr_expect(!match_object(s, without, NULL));
    cr_expect(!match_object(s, options, NULL), "what has no labels is not selected");
    cr_expect(match_object(NULL, options, NULL));
}

Test(match, configurations_are_exempt)
{
    struct kl_request r = { .size = sizeof r, .group = WEBHOOK_GROUP, .resource = "validatingwebhookconfigurations" };
    cr_expect(match_exempt(&r));
    r.group = "apps";
    cr_expect(!match_exempt(&r));
}

Test(configs, are_kept_in_the_order_of_their_names)
{
    struct configs x = { 0 };
    _cleanup_arena_ struct arena *a = arena_new(0);
    configs_init(&x, NULL, NULL);
    struct val *v = parse(a, "{\"metadata\":{\"uid\":\"u\"},\"webhooks\":[{\"name\":\"one\",\"failurePolicy\":\"Ignore\",\"timeoutSeconds\":3},{\"name\":\"two\"}]}");
    cr_assert(configs_set(&x, MUTATING, STR("b"), v, NULL) && configs_set(&x, MUTATING, STR("c"), v, NULL) && configs_set(&x, MUTATING, STR("a"), v, NULL));
    cr_expect_eq(x.n[MUTATING], 6);
    cr_expect_eq(x.n[VALIDATING], 0);
    const struct config *first = list_item(x.at[MUTATING].next, struct config, link);
    cr_expect(str_is(first->name, "a"));
    cr_expect(first->hooks[0].ignore && first->hooks[0].timeout_s == 3 && !first->hooks[1].ignore && first->hooks[1].timeout_s == 10);
    cr_assert(configs_set(&x, MUTATING, STR("a"), NULL, NULL) && configs_set(&x, MUTATING, STR("nobody"), NULL, NULL));
    cr_expect_eq(x.n[MUTATING], 4);
    cr_expect(str_is(list_item(x.at[MUTATING].next, struct config, link)->name, "b"));
    configs_free(&x);
}
