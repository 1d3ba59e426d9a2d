/* validate_claims.c - claims on devices, templates of them, classes of devices. What a selector says is judged by whoever compiles it. */
#include "object/validate.h"

#define REQUESTS_MOST         32
#define CHOICES_MOST          8         /* of one request, in order of preference */
#define PARAMETERS_MOST       (10 << 10)

static const char *const effects[] = { "NoExecute", "NoSchedule", "None", NULL };

bool check_too_many(causes c, const struct path *p, const struct val *list, unsigned most)
{
    if (!list || list->n <= most)
        return true;
    say_too_many(c, p, (long)list->n, (long)most, most == 1 ? "" : "s");
    return false;
}

static void check_device_tolerations(causes c, const struct path *p, const struct val *list)
{
    static const char *const operators[] = { "Equal", "Exists", NULL };
    LIST_EACH (t, at, list) {
        const struct path *here = ITEM(p, at.i);
        struct str op = json_str(t, "operator"), value = json_str(t, "value"), key = json_str(t, "key"), effect = json_str(t, "effect");
        if (key.len)
            check_name(c, IN(here, "key"), key, G_QUALIFIED);
        if (str_is(op, "Exists")) {
            if (value.len)
                say_invalid(c, IN(here, "value"), value, "must be empty for operator `Exists`");
        } else if (str_is(op, "Equal")) {
            check_name(c, IN(here, "value"), value, G_LABEL_VALUE);
        } else if (check_required_str(c, IN(here, "operator"), op)) {
            say_unsupported(c, IN(here, "operator"), op, operators);
        }
        if (effect.len)
            check_choice(c, IN(here, "effect"), effect, effects);
    }
}

static void check_device_selectors(causes c, const struct path *p, const struct val *list)
{
    if (!check_too_many(c, p, list, REQUESTS_MOST))
        return;
    LIST_EACH (s, at, list)
        if (!json_get(s, STR("cel")))
            say_required(c, IN(ITEM(p, at.i), "cel"), NULL);
}

/* What is asked for: the request itself, or one of several that would do. */
static void check_wanted(causes c, const struct path *p, const struct val *r)
{
    static const char *const modes[] = { "All", "ExactCount", NULL };
    struct str class = json_str(r, "deviceClassName"), mode = json_str(r, "allocationMode");
    int64_t n = json_int(r, "count", 0);
    if (check_required_str(c, IN(p, "deviceClassName"), class))
        check_name(c, IN(p, "deviceClassName"), class, G_SUBDOMAIN);
    check_device_selectors(c, IN(p, "selectors"), json_get(r, STR("selectors")));
    if (str_is(mode, "All")) {
        if (n != 0)
            say_invalid_int(c, IN(p, "count"), n, "must not be specified when allocationMode is 'All'");
    } else if (str_is(mode, "ExactCount")) {
        if (n <= 0)
            say_invalid_int(c, IN(p, "count"), n, "must be greater than zero");
    } else {
        say_unsupported(c, IN(p, "allocationMode"), mode, modes);
    }
    check_device_tolerations(c, IN(p, "tolerations"), json_get(r, STR("tolerations")));
}

static void check_choices(causes c, const struct path *p, const struct val *list)
{
    _cleanup_met_ struct met names = { 0 };
    if (!check_too_many(c, p, list, CHOICES_MOST))
        return;
    LIST_EACH (s, at, list) {
        check_name(c, IN(ITEM(p, at.i), "name"), json_str(s, "name"), G_LABEL);
        check_wanted(c, ITEM(p, at.i), s);
    }
    LIST_EACH (s, at, list)
        if (met_again(&names, json_str(s, "name")))
            say_duplicate(c, ITEM(p, at.i), json_str(s, "name"));
}

static void check_requests(causes c, const struct path *p, const struct val *list)
{
    _cleanup_met_ struct met names = { 0 };
    if (!check_too_many(c, p, list, REQUESTS_MOST))
        return;
    LIST_EACH (r, at, list) {
        const struct path *here = ITEM(p, at.i);
        struct val *exactly = json_get(r, STR("exactly")), *choices = json_get(r, STR("firstAvailable"));
        bool some = choices && choices->n;
        check_name(c, IN(here, "name"), json_str(r, "name"), G_LABEL);
        if (exactly && some)
            say_invalid_val(c, here, NULL, "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set");
        else if (exactly)
            check_wanted(c, IN(here, "exactly"), exactly);
        else if (some)
            check_choices(c, IN(here, "firstAvailable"), choices);
        else
            say_required(c, here, "exactly one of `exactly` or `firstAvailable` is required");
    }
    LIST_EACH (r, at, list)
        if (met_again(&names, json_str(r, "name")))
            say_duplicate(c, ITEM(p, at.i), json_str(r, "name"));
}

/* The names that constraints and configurations may use: of requests, and request/subrequest. */
static bool is_requested(const struct val *requests, struct str name)
{
    struct str sub = name, head = str_cut(&sub, '/');
    LIST_EACH (r, at, requests) {
        if (!str_eq(json_str(r, "name"), head))
            continue;
        if (!sub.at)
            return true;
        LIST_EACH (s, st, json_get(r, STR("firstAvailable")))
            if (str_eq(json_str(s, "name"), sub))
                return true;
    }
    return false;
}

void check_request_name(causes c, const struct path *p, struct str name, const struct val *requests)
{
    struct str sub = name, head = str_cut(&sub, '/');
    bool deep = sub.at && str_find(sub, '/') >= 0;
    if (!deep)
        check_name(c, p, head, G_LABEL);
    if (!deep && sub.at)
        check_name(c, p, sub, G_LABEL);
    if (deep || !is_requested(requests, name))
        say_invalid(c, p, name, "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'");
}

void check_request_names(causes c, const struct path *p, const struct val *list, const struct val *requests)
{
    _cleanup_met_ struct met seen = { 0 };
    if (!check_too_many(c, p, list, REQUESTS_MOST))
        return;
    LIST_EACH (n, at, list)
        check_request_name(c, ITEM(p, at.i), val_str(n), requests);
    LIST_EACH (n, at, list)
        if (met_again(&seen, val_str(n)))
            say_duplicate(c, ITEM(p, at.i), val_str(n));
}

void check_raw(causes c, const struct path *p, const struct val *v, size_t most)
{
    _cleanup_buf_ struct buf text = BUF_INIT(4 << 20);
    if (!v || v->type == VAL_NULL) {
        say_required(c, p, NULL);
        return;
    }
    json_write(&text, v);
    if (text.len > most)
        say_too_long(c, p, most, "bytes");
    else if (v->type != VAL_OBJ)
        say_invalid(c, p, STR("<value omitted>"), "must be a valid JSON object");
}

void check_opaque(causes c, const struct path *p, const struct val *config)
{
    const struct val *opaque = json_get(config, STR("opaque"));
    const struct path *here = IN(p, "opaque");
    if (!opaque) {
        say_required(c, here, NULL);
        return;
    }
    check_driver(c, IN(here, "driver"), json_str(opaque, "driver"));
    check_raw(c, IN(here, "parameters"), json_get(opaque, STR("parameters")), PARAMETERS_MOST);
}

static void check_claim(causes c, const struct path *spec, const struct val *v)
{
    const struct path *p = IN(spec, "devices");
    struct val *devices = json_get(v, STR("devices")), *constraints = json_get(devices, STR("constraints")), *config = json_get(devices, STR("config"));
    struct val *requests = json_get(devices, STR("requests"));
    check_requests(c, IN(p, "requests"), requests);
    if (check_too_many(c, IN(p, "constraints"), constraints, REQUESTS_MOST))
        LIST_EACH (x, at, constraints) {
            const struct path *here = ITEM(IN(p, "constraints"), at.i);
            struct val *match = json_get(x, STR("matchAttribute")), *distinct = json_get(x, STR("distinctAttribute"));
            check_request_names(c, IN(here, "requests"), json_get(x, STR("requests")), requests);
            if (match)
                check_attribute_name(c, IN(here, "matchAttribute"), val_str(match), true);
            else if (distinct)
                check_attribute_name(c, IN(here, "distinctAttribute"), val_str(distinct), true);
            else
                say_required(c, here, "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set");
        }
    if (check_too_many(c, IN(p, "config"), config, REQUESTS_MOST))
        LIST_EACH (x, at, config) {
            check_request_names(c, IN(ITEM(IN(p, "config"), at.i), "requests"), json_get(x, STR("requests")), requests);
            check_opaque(c, ITEM(IN(p, "config"), at.i), x);
        }
}

KIND_RULES(kind_device_claim)
{
    if (old)
        check_immutable_as(c, IN(NULL, "spec"), "io.k8s.api.resource.v1.ResourceClaimSpec", json_get(v, STR("spec")), json_get(old, STR("spec")));
    else
        check_claim(c, IN(NULL, "spec"), json_get(v, STR("spec")));
}

void check_template_meta(causes c, const struct path *p, const struct val *meta)
{
    check_annotations(c, IN(p, "annotations"), json_get(meta, STR("annotations")));
    check_labels(c, IN(p, "labels"), json_get(meta, STR("labels")));
    for (const struct val *m = val_is(meta, VAL_OBJ) ? meta->first : NULL; m; m = m->next)
        if (!str_is(val_key(m), "labels") && !str_is(val_key(m), "annotations"))
            say_forbidden(c, IN(p, arena_dup(c->arena, str_is(val_key(m), "uid") ? STR("uID") : val_key(m))), "cannot be set");
}

KIND_RULES(kind_device_claim_template)
{
    const struct path *p = IN(NULL, "spec"), *meta = IN(p, "metadata");
    check_template_meta(c, meta, json_path(v, "spec.metadata"));
    check_claim(c, IN(p, "spec"), json_path(v, "spec.spec"));
    if (old)
        check_immutable_as(c, p, "io.k8s.api.resource.v1.ResourceClaimTemplateSpec", json_get(v, STR("spec")), json_get(old, STR("spec")));
}

KIND_RULES(kind_device_class)
{
    const struct path *p = IN(NULL, "spec");
    struct val *spec = json_get(v, STR("spec")), *config = json_get(spec, STR("config")), *name = json_get(spec, STR("extendedResourceName"));
    (void)old;
    check_device_selectors(c, IN(p, "selectors"), json_get(spec, STR("selectors")));
    if (check_too_many(c, IN(p, "config"), config, REQUESTS_MOST))
        LIST_EACH (x, at, config)
            check_opaque(c, ITEM(IN(p, "config"), at.i), x);
    if (name && !is_extended_resource(val_str(name)))
        say_invalid(c, IN(p, "extendedResourceName"), val_str(name), "must be a valid extended resource name");
}
