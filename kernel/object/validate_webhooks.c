/* validate_webhooks.c - configurations of admission webhooks. */
#include "object/validate.h"

static bool has(const struct val *list, const char *text)
{
    LIST_EACH(v, i, list)
        if (str_is(val_str(v), text))
            return true;
    return false;
}

static long count(const struct val *list)
{
    return val_is(list, VAL_ARR) ? (long)list->n : 0;
}

/* A list that must be there, of texts that must be there; a star stands alone. */
static bool check_list(causes c, const struct path *p, const struct val *list, const char *what)
{
    if (!count(list)) {
        say_required(c, p, NULL);
        return false;
    }
    if (what && has(list, "*") && count(list) > 1)
        say_invalid_val(c, p, list, words(c, "if '*' is present, must not specify other %s", what));
    LIST_EACH(v, i, list)
        if (!val_str(v).len)
            say_required(c, ITEM(p, i.i), NULL);
    return true;
}

/* "a/b" beside "a/star" or "star/b", which hold it already. */
static const char *covered(causes c, const struct val *list, struct str resource)
{
    struct str sub = resource, name = str_cut(&sub, '/');
    if (!sub.at || str_is(resource, "*/*"))
        return NULL;
    const char *all_of = words(c, STR_FMT "/*", STR_ARG(name)), *of_all = words(c, "*/" STR_FMT, STR_ARG(sub));
    if (!str_is(sub, "*") && has(list, all_of))
        return words(c, "if '%s' is present, must not specify " STR_FMT, all_of, STR_ARG(resource));
    if (!str_is(name, "*") && has(list, of_all))
        return words(c, "if '%s' is present, must not specify " STR_FMT, of_all, STR_ARG(resource));
    return NULL;
}

static void check_resources_of(causes c, const struct path *p, const struct val *list)
{
    if (!check_list(c, p, list, NULL))
        return;
    LIST_EACH(v, i, list) {
        const char *why = covered(c, list, val_str(v));
        if (why)
            say_invalid(c, ITEM(p, i.i), val_str(v), why);
    }
    if (has(list, "*/*") && count(list) > 1)
        say_invalid_val(c, p, list, "if '*/*' is present, must not specify other resources");
    bool plain = false;
    LIST_EACH(v, i, list)
        plain |= str_find(val_str(v), '/') < 0 && !str_is(val_str(v), "*");
    if (has(list, "*") && plain)
        say_invalid_val(c, p, list, "if '*' is present, must not specify other resources without subresources");
}

void check_admission_rule(causes c, const struct path *p, const struct val *rule)
{
    static const char *const operations[] = { "*", "CONNECT", "CREATE", "DELETE", "UPDATE", NULL }, *const scopes[] = { "*", "Cluster", "Namespaced", NULL };
    const struct val *ops = json_get(rule, STR("operations")), *groups = json_get(rule, STR("apiGroups")), *scope = json_get(rule, STR("scope"));
    if (!count(ops))
        say_required(c, IN(p, "operations"), NULL);
    if (has(ops, "*") && count(ops) > 1)
        say_invalid_val(c, IN(p, "operations"), ops, "if '*' is present, must not specify other operations");
    LIST_EACH(v, i, ops)
        check_choice(c, ITEM(IN(p, "operations"), i.i), val_str(v), operations);
    if (!count(groups))                 /* "" is a group */
        say_required(c, IN(p, "apiGroups"), NULL);
    if (has(groups, "*") && count(groups) > 1)
        say_invalid_val(c, IN(p, "apiGroups"), groups, "if '*' is present, must not specify other API groups");
    check_list(c, IN(p, "apiVersions"), json_get(rule, STR("apiVersions")), "API versions");
    check_resources_of(c, IN(p, "resources"), json_get(rule, STR("resources")));
    if (scope)
        check_choice(c, IN(p, "scope"), val_str(scope), scopes);
}

static void check_url(causes c, const struct path *p, struct str url)
{
    struct str head = STR("https://"), rest = url, host;
    if (!str_starts(url, head)) {
        long colon = str_find(url, ':');
        say_invalid(c, p, colon > 0 ? str_n(url.at, (size_t)colon) : STR(""), "'https' is the only allowed URL scheme; desired format: https://host[/path]");
        rest = colon > 0 ? str_skip(url, (size_t)colon + 1) : url;
        if (!str_starts(rest, STR("//")))
            rest = STR("");
        rest = str_skip(rest, rest.len ? 2 : 0);
    } else {
        rest = str_skip(url, head.len);
    }
    size_t n = 0;
    while (n < rest.len && !strchr("/?#", rest.at[n]))
        n++;
    host = str_n(rest.at, n);
    if (!host.len)
        say_invalid(c, p, STR(""), "host must be specified; desired format: https://host[/path]");
    long at = str_find(host, '@');
    if (at >= 0)
        say_invalid(c, p, str_n(host.at, (size_t)at), "user information is not permitted in the URL");
    long hash = str_find(rest, '#'), query = str_find(rest, '?');
    if (hash >= 0)
        say_invalid(c, p, str_skip(rest, (size_t)hash + 1), "fragments are not permitted in the URL");
    if (query >= 0 && (hash < 0 || query < hash))
        say_invalid(c, p, str_n(rest.at + query + 1, (hash < 0 ? rest.len : (size_t)hash) - (size_t)query - 1),
                    "query parameters are not permitted in the URL");
}

static void check_service_path(causes c, const struct path *p, struct str path)
{
    struct str rest = path;
    unsigned i = 0;
    if (path.len == 1 && path.at[0] == '/')
        return;
    if (str_is(path, "//")) {
        say_invalid(c, p, path, "segment[0] may not be empty");
        return;
    }
    if (path.at[0] != '/')              /* the first letter goes all the same */
        say_invalid(c, p, path, "must start with a '/'");
    rest = str_skip(path, 1);
    if (rest.len && rest.at[rest.len - 1] == '/')
        rest.len--;
    for (; rest.at; i++) {
        struct str step = str_cut(&rest, '/');
        if (!step.len) {
            say_invalid(c, p, path, words(c, "segment[%u] may not be empty", i));
            continue;
        }
        const char *why[4];
        unsigned n = name_errors(c->arena, step, G_SUBDOMAIN, why, 4);
        for (unsigned k = 0; k < n; k++)
            say_invalid(c, p, path, words(c, "segment[%u]: %s", i, why[k]));
    }
}

void check_webhook_client(causes c, const struct path *p, const struct val *conf)
{
    const struct val *url = json_get(conf, STR("url")), *service = json_get(conf, STR("service")), *path = json_get(service, STR("path"));
    if ((url != NULL) == (service != NULL)) {
        say_required(c, p, "exactly one of url or service is required");
        return;
    }
    if (url) {
        check_url(c, IN(p, "url"), val_str(url));
        return;
    }
    const struct path *s = IN(p, "service");
    if (!json_str(service, "namespace").len)    /* upstream takes one for the other */
        say_required(c, IN(s, "name"), NULL);
    if (!json_str(service, "name").len)
        say_required(c, IN(s, "namespace"), NULL);
    if (json_get(service, STR("port")) && (json_int(service, "port", 0) < 1 || json_int(service, "port", 0) > 65535))
        say_invalid_int(c, IN(s, "port"), json_int(service, "port", 0), "port is not valid: must be between 1 and 65535, inclusive");
    if (path && val_str(path).len)
        check_service_path(c, IN(s, "path"), val_str(path));
}

/* Upstream takes what it once spoke for what it speaks. */
static void check_versions(causes c, const struct path *p, const struct val *list)
{
    _cleanup_met_ struct met seen = { 0 };
    if (!count(list)) {
        say_required(c, p, "must specify one of v1, v1beta1");
        return;
    }
    LIST_EACH(v, i, list)
        if (met_again(&seen, val_str(v)))
            say_invalid(c, ITEM(p, i.i), val_str(v), "duplicate version");
        else
            check_name(c, ITEM(p, i.i), val_str(v), G_LABEL_1035);
    if (!has(list, "v1") && !has(list, "v1beta1"))
        say_invalid_val(c, p, list, "must include at least one of v1, v1beta1");
}

static void check_webhook(causes c, const struct path *p, const struct val *h)
{
    static const char *const failure[] = { "Fail", "Ignore", NULL }, *const match[] = { "Equivalent", "Exact", NULL };
    static const char *const effects[] = { "None", "NoneOnDryRun", NULL }, *const again[] = { "IfNeeded", "Never", NULL };
    const struct val *policy = json_get(h, STR("failurePolicy")), *matches = json_get(h, STR("matchPolicy")), *side = json_get(h, STR("sideEffects"));
    const struct val *timeout = json_get(h, STR("timeoutSeconds")), *reinvocation = json_get(h, STR("reinvocationPolicy"));
    struct str name = json_str(h, "name");
    const char *why = name_wrong(c, name, G_SUBDOMAIN);
    if (!name.len)
        say_required(c, IN(p, "name"), NULL);
    else if (why)
        say_invalid(c, IN(p, "name"), name, why);
    else if (str_find(name, '.') < 0 || str_find(str_skip(name, (size_t)str_find(name, '.') + 1), '.') < 0)
        say_invalid(c, IN(p, "name"), name, "should be a domain with at least three segments separated by dots");
    LIST_EACH(rule, i, json_get(h, STR("rules")))
        check_admission_rule(c, ITEM(IN(p, "rules"), i.i), rule);
    if (policy)
        check_choice(c, IN(p, "failurePolicy"), val_str(policy), failure);
    if (matches)
        check_choice(c, IN(p, "matchPolicy"), val_str(matches), match);
    if (side)
        check_choice(c, IN(p, "sideEffects"), val_str(side), effects);
    else
        say_required(c, IN(p, "sideEffects"), "must specify one of None, NoneOnDryRun");
    if (timeout && (timeout->i < 1 || timeout->i > 30))
        say_invalid_int(c, IN(p, "timeoutSeconds"), timeout->i, "the timeout value must be between 1 and 30 seconds");
    check_selector(c, IN(p, "namespaceSelector"), json_get(h, STR("namespaceSelector")));
    check_selector(c, IN(p, "objectSelector"), json_get(h, STR("objectSelector")));
    if (reinvocation)
        check_choice(c, IN(p, "reinvocationPolicy"), val_str(reinvocation), again);
    check_webhook_client(c, IN(p, "clientConfig"), json_get(h, STR("clientConfig")));
    check_versions(c, IN(p, "admissionReviewVersions"), json_get(h, STR("admissionReviewVersions")));
}

void kind_webhooks(causes c, const struct val *v, const struct val *old)
{
    _cleanup_met_ struct met names = { 0 };
    (void)old;
    LIST_EACH(h, i, json_get(v, STR("webhooks"))) {
        const struct path *p = ITEM(IN(NULL, "webhooks"), i.i);
        check_webhook(c, p, h);
        if (json_str(h, "name").len && met_again(&names, json_str(h, "name")))
            say_duplicate(c, IN(p, "name"), json_str(h, "name"));
    }
}
