/* validate_limits.c - ResourceQuota and LimitRange. */
#include "base/quantity.h"
#include "object/validate.h"

static bool in(const char *const *list, struct str s)
{
    for (; *list; list++)
        if (str_is(s, *list))
            return true;
    return false;
}

/* --- quotas --- */

static bool is_quota_name(struct str s)
{
    static const char *const names[] = { "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage",
        "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage", "persistentvolumeclaims", "pods", "resourcequotas",
        "services", "replicationcontrollers", "secrets", "configmaps", "services.nodeports", "services.loadbalancers", NULL };
    return in(names, s) || str_starts(s, STR("hugepages-")) || str_starts(s, STR("requests.hugepages-"));
}

static void check_quota_name(causes c, const struct path *p, struct str name)
{
    bool good = check_name(c, p, name, G_QUALIFIED);
    if (str_find(name, '/') >= 0)
        return;
    if (good && !is_quota_name(name) && !str_is(name, "storage"))
        say_invalid(c, p, name, "must be a standard resource type or fully qualified");
    if (!is_quota_name(name))
        say_invalid(c, p, name, "must be a standard resource for quota");
}

static bool is_scope(struct str s)
{
    static const char *const scopes[] = { "Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity",
                                          "VolumeAttributesClass", NULL };
    return in(scopes, s);
}

static bool scope_fits(struct str scope, struct str name)
{
    static const char *const compute[] = { "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.ephemeral-storage",
                                           "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods", NULL };
    static const char *const claims[] = { "persistentvolumeclaims", "requests.storage", NULL };
    if (str_is(scope, "BestEffort"))
        return str_is(name, "pods");
    if (str_is(scope, "VolumeAttributesClass"))
        return in(claims, name);
    return !is_scope(scope) || in(compute, name) || str_starts(name, STR("hugepages-")) || str_starts(name, STR("requests.hugepages-"));
}

struct scopes {
    bool best, not_best, ending, not_ending;
};

static void note_scope(struct scopes *s, struct str scope)
{
    s->best |= str_is(scope, "BestEffort");
    s->not_best |= str_is(scope, "NotBestEffort");
    s->ending |= str_is(scope, "Terminating");
    s->not_ending |= str_is(scope, "NotTerminating");
}

static void check_pairs(causes c, const struct path *p, const struct scopes *s, const struct val *shown)
{
    if (s->best && s->not_best)
        say_invalid_val(c, p, shown, "conflicting scopes");
    if (s->ending && s->not_ending)
        say_invalid_val(c, p, shown, "conflicting scopes");
}

static void check_scope_fits(causes c, const struct path *p, struct str scope, const struct val *hard, const struct val *shown)
{
    if (val_is(hard, VAL_OBJ))
        val_each(h, hard)
            if (is_quota_name(val_key(h)) && !scope_fits(scope, val_key(h)))
                say_invalid_val(c, p, shown, "unsupported scope applied to resource");
}

/* As upstream shows a selector. */
static struct val *shown_selector(causes c, const struct val *selector)
{
    struct val *v = val_new(c->arena, VAL_OBJ), *list = json_arr(c->arena, v, STR("MatchExpressions"));
    LIST_EACH (r, at, json_get(selector, STR("matchExpressions"))) {
        struct val *x = val_push(list, val_new(c->arena, VAL_OBJ)), *values = json_get(r, STR("values"));
        json_set_str(c->arena, x, STR("ScopeName"), json_str(r, "scopeName"));
        json_set_str(c->arena, x, STR("Operator"), json_str(r, "operator"));
        json_set(c->arena, x, STR("Values"), values ? val_copy(c->arena, values) : val_new(c->arena, VAL_NULL));
    }
    return v;
}

static void check_scope_selector(causes c, const struct path *p, const struct val *spec)
{
    static const char *const plain[] = { "BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity", NULL };
    struct val *selector = json_get(spec, STR("scopeSelector")), *hard = json_get(spec, STR("hard"));
    struct scopes seen = { 0 };
    LIST_EACH (r, at, json_get(selector, STR("matchExpressions"))) {
        struct str scope = json_str(r, "scopeName"), op = json_str(r, "operator");
        struct val *values = json_get(r, STR("values"));
        unsigned n = values ? values->n : 0;
        if (!is_scope(scope))
            say_invalid(c, IN(p, "scopeName"), scope, "unsupported scope");
        check_scope_fits(c, p, scope, hard, shown_selector(c, selector));
        if (in(plain, scope) && !str_is(op, "Exists"))
            say_invalid(c, IN(p, "operator"), op, "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
                        "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity");
        if (str_is(op, "In") || str_is(op, "NotIn")) {
            if (!n)
                say_required(c, IN(p, "values"), "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector");
        } else if (str_is(op, "Exists") || str_is(op, "DoesNotExist")) {
            if (n)
                say_invalid_val(c, IN(p, "values"), values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector");
        } else {
            say_invalid(c, IN(p, "operator"), op, "not a valid selector operator");
        }
        note_scope(&seen, scope);
    }
    check_pairs(c, p, &seen, json_get(spec, STR("scopes")));
}

static bool same_set(const struct val *a, const struct val *b)
{
    LIST_EACH (x, at, a) {
        bool found = false;
        LIST_EACH (y, yt, b)
            found |= val_equal(x, y);
        if (!found)
            return false;
    }
    return true;
}

static void check_quota_amounts(causes c, const struct path *p, const struct val *amounts)
{
    if (val_is(amounts, VAL_OBJ))
        val_each(h, amounts) {
            check_quota_name(c, KEY(p, val_key(h)), val_key(h));
            check_quantity(c, KEY(p, val_key(h)), val_key(h), val_str(h));
        }
}

KIND_RULES(status_quota)
{
    const struct path *p = IN(NULL, "status");
    (void)old;
    check_quota_amounts(c, IN(p, "hard"), json_path(v, "status.hard"));
    check_quota_amounts(c, IN(p, "used"), json_path(v, "status.used"));
}

KIND_RULES(kind_quota)
{
    const struct path *p = IN(NULL, "spec");
    struct val *spec = json_get(v, STR("spec")), *hard = json_get(spec, STR("hard")), *scopes = json_get(spec, STR("scopes"));
    struct scopes seen = { 0 };
    check_quota_amounts(c, IN(p, "hard"), hard);
    LIST_EACH (s, at, scopes) {
        if (!is_scope(val_str(s)))
            say_invalid_val(c, IN(p, "scopes"), scopes, "unsupported scope");
        check_scope_fits(c, IN(p, "scopes"), val_str(s), hard, scopes);
        note_scope(&seen, val_str(s));
    }
    check_pairs(c, IN(p, "scopes"), &seen, scopes);
    check_scope_selector(c, IN(IN(p, "scopeSelector"), "matchExpressions"), spec);
    struct val *was = json_path(old, "spec.scopes");
    if (old && (!same_set(scopes, was) || !same_set(was, scopes)))
        say_immutable(c, IN(p, "scopes"), scopes);
}

/* --- limit ranges --- */

static const char *const maps[] = { "max", "min", "default", "defaultRequest", "maxLimitRequestRatio" };
enum { MAX, MIN, DEFAULT, REQUEST, RATIO };

struct limit {
    bool there[5];
    struct quantity q[5];
    struct str text[5];
};

static bool more(const struct limit *l, int a, int b)
{
    return l->there[a] && l->there[b] && quantity_cmp(l->q[a], l->q[b]) > 0;
}

static void check_limit(causes c, const struct path *p, struct str name, const struct limit *l)
{
    static const struct {
        int big, small;                 /* big > small is wrong */
        const char *map;                /* complained about */
        int shown;
        const char *words;
    } rows[] = {
        { MIN, MAX, "min", MIN, "min value " STR_FMT " is greater than max value " STR_FMT },
        { MIN, REQUEST, "defaultRequest", REQUEST, "min value " STR_FMT " is greater than default request value " STR_FMT },
        { REQUEST, MAX, "defaultRequest", REQUEST, "default request value " STR_FMT " is greater than max value " STR_FMT },
        { REQUEST, DEFAULT, "defaultRequest", REQUEST, "default request value " STR_FMT " is greater than default limit value " STR_FMT },
        { MIN, DEFAULT, "default", MIN, "min value " STR_FMT " is greater than default value " STR_FMT },
        { DEFAULT, MAX, "default", MAX, "default value " STR_FMT " is greater than max value " STR_FMT },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (more(l, rows[i].big, rows[i].small)) {
            char text[300];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(text, sizeof text, rows[i].words, STR_ARG(l->text[rows[i].big]), STR_ARG(l->text[rows[i].small]));
#pragma GCC diagnostic pop
            say_invalid(c, KEY(IN(p, rows[i].map), name), l->text[rows[i].shown], words(c, "%s", text));
        }
    const struct path *ratio = KEY(IN(p, "maxLimitRequestRatio"), name);
    if (!l->there[RATIO])
        return;
    if (quantity_cmp(l->q[RATIO], quantity_of(1, QUANTITY_DECIMAL)) < 0)
        say_invalid(c, ratio, l->text[RATIO], words(c, "ratio " STR_FMT " is less than 1", STR_ARG(l->text[RATIO])));
    if (!l->there[MIN] || !l->there[MAX] || l->q[MIN].nano == 0)
        return;
    double most = (double)l->q[MAX].nano / (double)l->q[MIN].nano;
    if ((double)l->q[RATIO].nano / 1e9 > most)
        say_invalid(c, ratio, l->text[RATIO], words(c, "ratio " STR_FMT " is greater than max/min = %f", STR_ARG(l->text[RATIO]), most));
}

static void check_one(causes c, const struct path *p, const struct val *l, bool pod, bool container)
{
    struct str seen[64];
    unsigned n = 0;
    for (int i = 0; i < 5; i++) {
        struct val *map = json_get(l, str_of(maps[i]));
        if (pod && map && map->n && (i == DEFAULT || i == REQUEST)) {
            say_forbidden(c, IN(p, maps[i]), "may not be specified when `type` is 'Pod'");
            continue;
        }
        if (!val_is(map, VAL_OBJ))
            continue;
        val_each(x, map) {
            bool again = false;
            if (pod || container)
                check_container_resource_name(c, KEY(IN(p, maps[i]), val_key(x)), val_key(x));
            else
                check_resource_name(c, KEY(IN(p, maps[i]), val_key(x)), val_key(x));
            for (unsigned k = 0; k < n; k++)
                again |= str_eq(seen[k], val_key(x));
            if (!again && n < 64)
                seen[n++] = val_key(x);
        }
    }
    for (unsigned k = 0; k < n; k++) {
        struct limit one = { 0 };
        for (int i = 0; i < 5; i++) {
            struct val *x = json_get(json_get(l, str_of(maps[i])), seen[k]);
            one.text[i] = val_str(x);
            one.there[i] = x && !(pod && (i == DEFAULT || i == REQUEST)) && quantity_parse(val_str(x), &one.q[i]);
        }
        check_limit(c, p, seen[k], &one);
    }
}

KIND_RULES(kind_limit_range)
{
    static const char *const types[] = { "Pod", "Container", "PersistentVolumeClaim", NULL };
    struct val *list = json_path(v, "spec.limits");
    _cleanup_met_ struct met types_met = { 0 };
    (void)old;
    LIST_EACH (l, at, list) {
        const struct path *p = ITEM(IN(IN(NULL, "spec"), "limits"), at.i);
        struct str type = json_str(l, "type");
        if (check_name(c, IN(p, "type"), type, G_QUALIFIED) && str_find(type, '/') < 0 && !in(types, type))
            say_invalid(c, IN(p, "type"), type, "must be a standard limit type or fully qualified");
        if (met_again(&types_met, type))
            say_duplicate(c, IN(p, "type"), type);
        if (str_is(type, "PersistentVolumeClaim") && !json_path(l, "min.storage") && !json_path(l, "max.storage"))
            say_required(c, IN(p, "limits"), "either minimum or maximum storage value is required, but neither was provided");
        check_one(c, p, l, str_is(type, "Pod"), str_is(type, "Container"));
    }
}
