/* validate_flow.c - priority and fairness: FlowSchema and PriorityLevelConfiguration. */
#include "object/validate.h"

#define QUEUES_MOST 10000000
#define HASH_BITS   60                  /* of a flow's hash, to deal a hand with */

static unsigned count(const struct val *v, const char *member)
{
    struct val *x = json_get(v, str_of(member));
    return val_is(x, VAL_ARR) ? x->n : 0;
}

static bool has_star(const struct val *list)
{
    if (val_is(list, VAL_ARR))
        val_each(x, list)
            if (str_is(val_str(x), "*"))
                return true;
    return false;
}

/* --- schemas --- */

static void check_name_given(causes c, const struct path *p, const struct val *v)
{
    check_required_str(c, IN(p, "name"), json_str(v, "name"));
}

static void check_account(causes c, const struct path *p, const struct val *v)
{
    struct str name = json_str(v, "name"), ns = json_str(v, "namespace");
    check_name_given(c, p, v);
    if (name.len && !str_is(name, "*"))
        check_name(c, IN(p, "name"), name, G_SUBDOMAIN);
    if (ns.len)
        check_name(c, IN(p, "namespace"), ns, G_LABEL);
    else
        say_required(c, IN(p, "namespace"), "must specify namespace for service account");
}

static void check_subject(causes c, const struct path *p, const struct val *s)
{
    static const char *const kinds[] = { "Group", "ServiceAccount", "User", NULL };
    static const struct {
        const char *kind, *member;
    } rows[] = { { "ServiceAccount", "serviceAccount" }, { "User", "user" }, { "Group", "group" } };
    struct str kind = json_str(s, "kind");
    unsigned own = 0;
    while (own < 3 && !str_is(kind, rows[own].kind))
        own++;
    if (own == 3) {
        say_unsupported(c, IN(p, "kind"), kind, kinds);
        return;
    }
    const struct val *v = json_path(s, rows[own].member);
    const struct path *here = IN(p, rows[own].member);
    if (!v)
        say_required(c, here, words(c, "%s is required when subject kind is '%s'", rows[own].member, rows[own].kind));
    else if (own == 0)
        check_account(c, here, v);
    else
        check_name_given(c, here, v);
    for (unsigned i = 0; i < 3; i++)
        if (i != own && json_path(s, rows[i].member))
            say_forbidden(c, IN(p, rows[i].member), words(c, "%s is forbidden when subject kind is not '%s'", rows[i].member, rows[i].kind));
}

/* A list of which "*" is all: at least one value, and "*" alone. */
static bool check_star(causes c, const struct path *p, const struct val *of, const char *member, const char *none, const char *what)
{
    const struct val *list = json_get(of, str_of(member));
    if (!count(of, member)) {
        say_required(c, IN(p, member), none);
        return false;
    }
    if (!has_star(list))
        return true;
    if (list->n > 1)
        say_invalid_val(c, IN(p, member), list, words(c, "if '*' is present, must not specify other %s", what));
    return false;
}

static void check_verbs(causes c, const struct path *p, const struct val *r)
{
    static const char *const verbs[] = { "create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch", NULL };
    const struct val *list = json_get(r, STR("verbs"));
    if (!check_star(c, p, r, "verbs", "verbs must contain at least one value", "verbs"))
        return;
    val_each(v, list) {
        bool known = false;
        for (int i = 0; verbs[i]; i++)
            known |= str_is(val_str(v), verbs[i]);
        if (known)
            continue;
        say_unsupported_val(c, IN(p, "verbs"), list, verbs);
        return;
    }
}

static void check_resource_rule(causes c, const struct path *p, const struct val *r)
{
    check_verbs(c, p, r);
    check_star(c, p, r, "apiGroups", "resource rules must supply at least one api group", "api groups");
    check_star(c, p, r, "resources", "resource rules must supply at least one resource", "resources");
    if (!count(r, "namespaces") && json_bool(r, "clusterScope", false))
        return;
    if (check_star(c, p, r, "namespaces", "resource rules that are not cluster scoped must supply at least one namespace", "namespaces"))
        LIST_EACH (ns, at, json_get(r, STR("namespaces")))
            if (!is_name(val_str(ns), G_LABEL))
                say_invalid(c, ITEM(IN(p, "namespaces"), at.i), val_str(ns), "each member of this list must be '*' or a DNS-1123 label");
}

static const char *url_wrong(struct str s)
{
    long star = str_find(s, '*');
    if (!s.len)
        return "must not be empty";
    if (s.at[0] != '/')
        return "must start with slash";
    if (memchr(s.at, ' ', s.len))
        return "must not contain white-space";
    if (memmem(s.at, s.len, "//", 2))
        return "must not contain double slash";
    return star >= 0 && ((size_t)star != s.len - 1 || s.at[s.len - 2] != '/') ? "wildcard can only do suffix matching" : NULL;
}

static void check_url_rule(causes c, const struct path *p, const struct val *r)
{
    check_verbs(c, p, r);
    if (check_star(c, p, r, "nonResourceURLs", "nonResourceURLs must contain at least one value", "non-resource URLs"))
        LIST_EACH (u, at, json_get(r, STR("nonResourceURLs")))
            if (url_wrong(val_str(u)))
                say_invalid(c, ITEM(IN(p, "nonResourceURLs"), at.i), val_str(u), url_wrong(val_str(u)));
}

static void check_conditions(causes c, const struct val *v)
{
    _cleanup_met_ struct met met = { 0 };
    const struct path *p = IN(IN(NULL, "status"), "conditions");
    LIST_EACH (x, at, json_path(v, "status.conditions")) {
        struct str type = json_str(x, "type");
        if (met_again(&met, type))
            say_duplicate(c, IN(ITEM(p, at.i), "type"), type);
        if (!type.len)
            say_required(c, IN(ITEM(p, at.i), "type"), "must not be empty");
    }
}

/* Upstream shows the whole of it. */
static void check_method(causes c, const struct path *p, const struct val *method)
{
    static const char *const methods[] = { "ByNamespace", "ByUser", NULL };
    struct val *shown = val_new(c->arena, VAL_OBJ);
    json_set_str(c->arena, shown, STR("Type"), json_str(method, "type"));
    for (int i = 0; methods[i]; i++)
        if (str_is(json_str(method, "type"), methods[i]))
            return;
    say_unsupported_val(c, IN(p, "type"), shown, methods);
}

KIND_RULES(kind_flow_schema)
{
    const struct path *p = IN(NULL, "spec"), *level = IN(IN(p, "priorityLevelConfiguration"), "name");
    const struct val *spec = json_get(v, STR("spec")), *method = json_get(spec, STR("distinguisherMethod"));
    int64_t precedence = json_int(spec, "matchingPrecedence", 0);
    struct str name = json_str(spec, "priorityLevelConfiguration.name");
    (void)old;
    if (precedence <= 0)
        say_invalid_int(c, IN(p, "matchingPrecedence"), precedence, "must be a positive value");
    if (precedence > 10000)
        say_invalid_int(c, IN(p, "matchingPrecedence"), precedence, "must not be greater than 10000");
    if (precedence == 1 && !str_is(json_str(v, "metadata.name"), "exempt"))
        say_invalid_int(c, IN(p, "matchingPrecedence"), precedence, "only the schema named 'exempt' may have matchingPrecedence 1");
    if (method)
        check_method(c, IN(p, "distinguisherMethod"), method);
    if (name.len)
        check_name(c, level, name, G_SUBDOMAIN);
    else
        say_required(c, level, "must reference a priority level");
    LIST_EACH (r, at, json_get(spec, STR("rules"))) {
        const struct path *rule = ITEM(IN(p, "rules"), at.i);
        if (!count(r, "subjects"))
            say_required(c, IN(rule, "subjects"), "subjects must contain at least one value");
        LIST_EACH (s, k, json_get(r, STR("subjects")))
            check_subject(c, ITEM(IN(rule, "subjects"), k.i), s);
        if (!count(r, "resourceRules") && !count(r, "nonResourceRules"))
            say_required(c, rule, "at least one of resourceRules and nonResourceRules has to be non-empty");
        LIST_EACH (x, k, json_get(r, STR("resourceRules")))
            check_resource_rule(c, ITEM(IN(rule, "resourceRules"), k.i), x);
        LIST_EACH (x, k, json_get(r, STR("nonResourceRules")))
            check_url_rule(c, ITEM(IN(rule, "nonResourceRules"), k.i), x);
    }
    check_conditions(c, v);
}

/* --- levels --- */

static void check_percent(causes c, const struct path *p, const struct val *v, const char *member, int64_t most)
{
    const struct val *x = json_get(v, str_of(member));
    if (x && (x->i < 0 || x->i > most))
        say_invalid_int(c, IN(p, member), x->i, most == 100 ? "must be between 0 and 100, inclusive" : "if specified, must be a non-negative integer");
}

static void check_shares(causes c, const struct path *p, const struct val *v)
{
    int64_t shares = json_int(v, "nominalConcurrencyShares", 0);
    if (shares < 0)
        say_invalid_int(c, IN(p, "nominalConcurrencyShares"), shares, "must be a non-negative integer");
    check_percent(c, p, v, "lendablePercent", 100);
    check_percent(c, p, v, "borrowingLimitPercent", INT64_MAX);
}

/* Bits that it takes to deal a hand: the logarithm of how many hands there are, in order. */
static int hand_bits(int64_t queues, int64_t hand)
{
    double bits = 0;
    for (int64_t i = 0; i < hand && bits <= HASH_BITS; i++)
        for (double n = (double)(queues - i); n > 1; n /= 2)
            bits += n >= 2 ? 1 : n - 1;
    return (int)(bits + 0.999);
}

static void check_queuing(causes c, const struct path *p, const struct val *q)
{
    int64_t queues = json_int(q, "queues", 0), hand = json_int(q, "handSize", 0), length = json_int(q, "queueLengthLimit", 0);
    if (length <= 0)
        say_invalid_int(c, IN(p, "queueLengthLimit"), length, "must be positive");
    if (queues <= 0)
        say_invalid_int(c, IN(p, "queues"), queues, "must be positive");
    else if (queues > QUEUES_MOST)
        say_invalid_int(c, IN(p, "queues"), queues, "must not be greater than 10000000");
    if (hand <= 0)
        say_invalid_int(c, IN(p, "handSize"), hand, "must be positive");
    else if (hand > queues)
        say_invalid_int(c, IN(p, "handSize"), hand, words(c, "should not be greater than queues (%lld)", (long long)queues));
    else if (hand_bits(queues, hand) > HASH_BITS)
        say_invalid_int(c, IN(p, "handSize"), hand, words(c, "required entropy bits of deckSize %lld and handSize %lld should not be greater than %d",
                                                          (long long)queues, (long long)hand, HASH_BITS));
}

static void check_response(causes c, const struct path *p, const struct val *r)
{
    static const char *const types[] = { "Queue", "Reject", NULL };
    const struct val *queuing = json_get(r, STR("queuing"));
    struct str type = json_str(r, "type");
    if (str_is(type, "Reject")) {
        if (queuing)
            say_forbidden(c, IN(p, "queuing"), "must be nil if limited.limitResponse.type is not Limited");
    } else if (str_is(type, "Queue")) {
        if (queuing)
            check_queuing(c, IN(p, "queuing"), queuing);
        else
            say_required(c, IN(p, "queuing"), "must not be empty if limited.limitResponse.type is Limited");
    } else {
        say_unsupported(c, IN(p, "type"), type, types);
    }
}

KIND_RULES(kind_priority_level)
{
    static const char *const types[] = { "Exempt", "Limited", NULL };
    const struct path *p = IN(NULL, "spec"), *limit = IN(p, "limited"), *free = IN(p, "exempt");
    const struct val *spec = json_get(v, STR("spec")), *limited = json_get(spec, STR("limited")), *exempt = json_get(spec, STR("exempt"));
    struct str type = json_str(spec, "type");
    (void)old;
    if (str_is(type, "Exempt") != str_is(json_str(v, "metadata.name"), "exempt"))
        say_invalid(c, IN(p, "type"), type, "must be 'Exempt' if and only if `name` is 'exempt'");
    if (str_is(type, "Exempt")) {
        if (limited)
            say_forbidden(c, limit, "must be nil if the type is not Limited");
        if (exempt)
            check_shares(c, free, exempt);
    } else if (str_is(type, "Limited")) {
        if (exempt)
            say_forbidden(c, free, "must be nil if the type is Limited");
        if (!limited) {
            say_required(c, limit, "must not be empty when type is Limited");
        } else {
            check_shares(c, limit, limited);
            check_response(c, IN(limit, "limitResponse"), json_get(limited, STR("limitResponse")));
        }
    } else {
        say_unsupported(c, IN(p, "type"), type, types);
    }
    check_conditions(c, v);
}
