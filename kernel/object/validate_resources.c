/* validate_resources.c - names and amounts of resources: containers, quotas, limit ranges, nodes. */
#include "base/quantity.h"
#include "object/validate.h"

static bool in(const char *const *list, struct str s)
{
    for (; *list; list++)
        if (str_is(s, *list))
            return true;
    return false;
}

static bool is_huge(struct str s)
{
    return str_starts(s, STR("hugepages-"));
}

bool is_native_resource(struct str s)
{
    return str_find(s, '/') < 0 || memmem(s.at, s.len, "kubernetes.io/", 14) != NULL;
}

bool is_extended_resource(struct str s)
{
    return !is_native_resource(s) && !str_starts(s, STR("requests."));
}

static bool is_standard(struct str s)
{
    static const char *const names[] = { "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.ephemeral-storage", "limits.cpu",
        "limits.memory", "limits.ephemeral-storage", "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "persistentvolumeclaims",
        "configmaps", "services.nodeports", "services.loadbalancers", "storage", NULL };
    return in(names, s) || is_huge(s);
}

static bool is_container_resource(struct str s)
{
    static const char *const names[] = { "cpu", "memory", "ephemeral-storage", NULL };
    return in(names, s) || is_huge(s);
}

bool is_integer_resource(struct str s)
{
    static const char *const names[] = { "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps", "persistentvolumeclaims",
        "services.nodeports", "services.loadbalancers", NULL };
    return in(names, s) || is_extended_resource(s);
}

void check_resource_name(causes c, const struct path *p, struct str name)
{
    if (check_name(c, p, name, G_QUALIFIED) && str_find(name, '/') < 0 && !is_standard(name))
        say_invalid(c, p, name, "must be a standard resource type or fully qualified");
}

void check_container_resource_name(causes c, const struct path *p, struct str name)
{
    check_resource_name(c, p, name);
    if (str_find(name, '/') < 0) {
        if (!is_container_resource(name))
            say_invalid(c, p, name, "must be a standard resource for containers");
    } else if (!is_native_resource(name) && !is_extended_resource(name)) {
        say_invalid(c, p, name, "doesn't follow extended resource name standard");
    }
}

bool check_quantity(causes c, const struct path *p, struct str name, struct str value)
{
    struct quantity q;
    if (!quantity_parse(value, &q))
        return true;
    if (q.nano < 0)
        say_invalid(c, p, value, "must be greater than or equal to 0");
    if (is_integer_resource(name) && q.nano % 1000000000 != 0)
        say_invalid(c, p, value, "must be an integer");
    return q.nano >= 0;
}

static void check_huge(causes c, const struct path *p, struct str name, struct str value)
{
    struct quantity page, q;
    if (!is_huge(name) || !quantity_parse(str_skip(name, 10), &page) || !quantity_parse(value, &q))
        return;
    if (page.nano <= 0 || q.nano % page.nano != 0)
        say_invalid(c, p, value, words(c, STR_FMT " is not positive integer multiple of " STR_FMT, STR_ARG(value), STR_ARG(name)));
}

/* May a request be smaller than its limit? */
static bool overcommits(struct str name)
{
    return is_native_resource(name) && !is_huge(name);
}

static void check_claims(causes c, const struct path *p, const struct val *list, const struct met *of_pod)
{
    _cleanup_met_ struct met names = { 0 }, whole = { 0 }, parts = { 0 };
    LIST_EACH (x, at, list) {
        struct str name = json_str(x, "name"), request = json_str(x, "request");
        if (!check_required_str(c, ITEM(p, at.i), name))
            continue;
        /* All of a claim and a part of it are the same twice. */
        bool again = met_again(&names, name), twice = request.len ? met(&whole, name) : again;
        if (request.len)
            twice |= met_again(&parts, str_of(words(c, STR_FMT "/" STR_FMT, STR_ARG(name), STR_ARG(request))));
        else
            met_again(&whole, name);
        if (twice)
            say_duplicate(c, ITEM(p, at.i), name);
        if (request.len)
            check_name(c, IN(ITEM(p, at.i), "request"), request, G_LABEL);
        if (!of_pod || !met(of_pod, name))
            say_not_found(c, ITEM(p, at.i), name);
    }
}

static void check_requests(causes c, const struct path *p, const struct val *limits, const struct val *requests)
{
    if (!val_is(requests, VAL_OBJ))
        return;
    val_each(r, requests) {
        struct str name = val_key(r), value = val_str(r);
        const struct path *here = KEY(IN(p, "requests"), name);
        struct val *limit = json_get(limits, name);
        struct quantity have, most;
        check_container_resource_name(c, here, name);
        check_quantity(c, here, name, value);
        if (limit && quantity_parse(value, &have) && quantity_parse(val_str(limit), &most)) {
            int cmp = quantity_cmp(have, most);
            if (cmp != 0 && !overcommits(name))
                say_invalid(c, IN(p, "requests"), value, words(c, "must be equal to " STR_FMT " limit of " STR_FMT, STR_ARG(name), STR_ARG(val_str(limit))));
            else if (cmp > 0)
                say_invalid(c, IN(p, "requests"), value,
                            words(c, "must be less than or equal to " STR_FMT " limit of " STR_FMT, STR_ARG(name), STR_ARG(val_str(limit))));
        } else if (!limit && !overcommits(name)) {
            say_required(c, IN(p, "limits"), "Limit must be set for non overcommitable resources");
        }
        check_huge(c, here, name, value);
    }
}

void check_resources(causes c, const struct path *p, const struct val *res, const struct met *claims)
{
    struct val *limits = json_get(res, STR("limits")), *requests = json_get(res, STR("requests"));
    const struct val *const lists[] = { limits, requests };
    bool huge = false, compute = false;
    if (!res)
        return;
    if (val_is(limits, VAL_OBJ))
        val_each(l, limits) {
            const struct path *here = KEY(IN(p, "limits"), val_key(l));
            check_container_resource_name(c, here, val_key(l));
            check_quantity(c, here, val_key(l), val_str(l));
            check_huge(c, here, val_key(l), val_str(l));
        }
    check_requests(c, p, limits, requests);
    for (int i = 0; i < 2; i++)
        if (val_is(lists[i], VAL_OBJ))
            val_each(x, lists[i]) {
                huge |= is_huge(val_key(x));
                compute |= str_is(val_key(x), "cpu") || str_is(val_key(x), "memory");
            }
    if (huge && !compute)
        say_forbidden(c, p, "HugePages require cpu or memory");
    check_claims(c, IN(p, "claims"), json_get(res, STR("claims")), claims);
}
