/* validate_apps.c - kinds that keep pods running: controllers of the apps group, and the one of core. */
#include "object/validate.h"

#define SPEC IN(NULL, "spec")

/* A template under a controller: its labels are selected, its pods are restarted for ever. what: "ReplicaSet", for the words. */
static void check_run_template(causes c, const struct path *p, const struct val *t, const struct val *selector, const char *what)
{
    static const char *const always[] = { "Always", NULL };
    struct val *labels = json_path(t, "metadata.labels");
    struct str restart = json_str(t, "spec.restartPolicy");
    if (!selector || (!selector_is_empty(selector) && !selects(c, selector, labels)))
        say_invalid_val(c, IN(IN(p, "metadata"), "labels"), labels, "`selector` does not match template `labels`");
    check_template(c, p, t);
    if (!str_is(restart, "Always"))
        say_unsupported(c, IN(IN(p, "spec"), "restartPolicy"), restart, always);
    if (json_path(t, "spec.activeDeadlineSeconds"))
        say_forbidden(c, IN(IN(p, "spec"), "activeDeadlineSeconds"), words(c, "activeDeadlineSeconds in %s is not Supported", what));
}

static void check_run_selector(causes c, const struct path *p, const struct val *selector, const char *what)
{
    if (!selector) {
        say_required(c, p, NULL);
        return;
    }
    check_selector(c, p, selector);
    if (selector_is_empty(selector))
        say_invalid_val(c, p, selector_shown(c, selector), words(c, "empty selector is invalid for %s", what));
}

/* --- numbers or percents --- */

static int64_t amount(const struct val *v, bool *ret_percent)
{
    struct str s = val_str(v);
    int64_t n = 0;
    *ret_percent = s.len != 0;
    if (!s.len)
        return v && v->type == VAL_INT ? v->i : 0;
    return s.at[s.len - 1] == '%' && str_int(str_n(s.at, s.len - 1), &n) ? n : 0;
}

static void check_amount(causes c, const struct path *p, const struct val *v, bool most_all)
{
    bool percent;
    if (!v)
        return;
    int64_t n = amount(v, &percent);
    if (percent)
        check_name(c, p, val_str(v), G_PERCENT);
    else
        check_at_least(c, p, n, 0);
    if (most_all && percent && n > 100)
        say_invalid_val(c, p, v, "must not be greater than 100%");
}

/* --- the kinds --- */

KIND_RULES(kind_replication_controller)
{
    const struct path *p = SPEC;
    struct val *spec = json_get(v, STR("spec")), *selector = json_get(spec, STR("selector")), *template = json_get(spec, STR("template"));
    (void)old;
    check_nonnegative(c, p, spec, "minReadySeconds");
    if (!selector || !selector->n)
        say_required(c, IN(p, "selector"), NULL);
    if (!json_get(spec, STR("replicas")))
        say_required(c, IN(p, "replicas"), NULL);
    check_nonnegative(c, p, spec, "replicas");
    if (!template) {
        say_required(c, IN(p, "template"), NULL);
        return;
    }
    struct val *wrap = val_new(c->arena, VAL_OBJ);
    if (selector)
        json_set(c->arena, wrap, STR("matchLabels"), val_copy(c->arena, selector));
    check_run_template(c, IN(p, "template"), template, wrap, "ReplicationController");
}

static void check_selector_kept(causes c, const struct val *v, const struct val *old)
{
    const struct val *now = selector_shown(c, json_path(v, "spec.selector")), *was = selector_shown(c, json_path(old, "spec.selector"));
    if (old && !val_equal(now, was))
        say_immutable(c, IN(SPEC, "selector"), now);
}

static void check_replicas(causes c, const struct path *p, const struct val *spec)
{
    struct val *selector = json_get(spec, STR("selector"));
    check_nonnegative(c, p, spec, "replicas");
    check_nonnegative(c, p, spec, "minReadySeconds");
    check_run_selector(c, IN(p, "selector"), selector, "deployment");
    if (selector && !selector_is_good(c, selector))
        say_invalid_val(c, IN(p, "selector"), selector_shown(c, selector), "invalid label selector");
    else
        check_run_template(c, IN(p, "template"), json_get(spec, STR("template")), selector, "ReplicaSet");
}

KIND_RULES(kind_replica_set)
{
    check_replicas(c, SPEC, json_get(v, STR("spec")));
    check_selector_kept(c, v, old);
}

/* As upstream shows one. */
static struct val *shown_strategy(causes c, const struct val *s)
{
    static const char *const members[][2] = { { "MaxUnavailable", "maxUnavailable" }, { "MaxSurge", "maxSurge" } };
    struct val *v = val_new(c->arena, VAL_OBJ), *r = json_get(s, STR("rollingUpdate"));
    json_set_str(c->arena, v, STR("Type"), json_str(s, "type"));
    if (!r) {
        json_set(c->arena, v, STR("RollingUpdate"), val_new(c->arena, VAL_NULL));
        return v;
    }
    struct val *put = json_obj(c->arena, v, STR("RollingUpdate"));
    for (int i = 0; i < 2; i++) {
        struct val *x = json_get(r, str_of(members[i][1]));
        json_set(c->arena, put, str_of(members[i][0]), x ? val_copy(c->arena, x) : val_of_int(c->arena, 0));
    }
    return v;
}

static void check_strategy(causes c, const struct path *p, const struct val *s)
{
    static const char *const types[] = { "Recreate", "RollingUpdate", NULL };
    struct str type = json_str(s, "type");
    struct val *r = json_get(s, STR("rollingUpdate")), *less = json_get(r, STR("maxUnavailable")), *more = json_get(r, STR("maxSurge"));
    const struct path *here = IN(p, "rollingUpdate");
    bool percent;
    if (str_is(type, "Recreate")) {
        if (r)
            say_forbidden(c, here, "may not be specified when strategy `type` is 'Recreate'");
    } else if (!str_is(type, "RollingUpdate")) {
        say_unsupported_val(c, p, shown_strategy(c, s), types);
    } else if (!r) {
        say_required(c, here, "this should be defaulted and never be nil");
    } else {
        check_amount(c, IN(here, "maxUnavailable"), less, true);
        check_amount(c, IN(here, "maxSurge"), more, false);
        if (amount(less, &percent) == 0 && amount(more, &percent) == 0)
            say_invalid_val(c, IN(here, "maxUnavailable"), less, "may not be 0 when `maxSurge` is 0");
    }
}

KIND_RULES(kind_deployment)
{
    const struct path *p = SPEC;
    struct val *spec = json_get(v, STR("spec")), *deadline = json_get(spec, STR("progressDeadlineSeconds"));
    check_replicas(c, p, spec);
    check_strategy(c, IN(p, "strategy"), json_get(spec, STR("strategy")));
    check_nonnegative(c, p, spec, "revisionHistoryLimit");
    if (deadline) {
        check_at_least(c, IN(p, "progressDeadlineSeconds"), deadline->i, 0);
        if (deadline->i <= json_int(spec, "minReadySeconds", 0))
            say_invalid_int(c, IN(p, "progressDeadlineSeconds"), deadline->i, "must be greater than minReadySeconds");
    }
    check_selector_kept(c, v, old);
}

static void check_daemon_strategy(causes c, const struct path *p, const struct val *s)
{
    static const char *const types[] = { "RollingUpdate", "OnDelete", NULL };
    struct str type = json_str(s, "type");
    struct val *r = json_get(s, STR("rollingUpdate")), *less = json_get(r, STR("maxUnavailable")), *more = json_get(r, STR("maxSurge"));
    const struct path *here = IN(p, "rollingUpdate");
    bool percent;
    if (str_is(type, "OnDelete"))
        return;
    if (!str_is(type, "RollingUpdate")) {
        say_unsupported_val(c, p, shown_strategy(c, s), types);
        return;
    }
    if (!r) {
        say_required(c, here, NULL);
        return;
    }
    check_amount(c, IN(here, "maxUnavailable"), less, true);
    check_amount(c, IN(here, "maxSurge"), more, true);
    bool some_less = amount(less, &percent) != 0, some_more = amount(more, &percent) != 0;
    if (some_less && some_more)
        say_invalid_val(c, IN(here, "maxSurge"), more, "may not be set when maxUnavailable is non-zero");
    else if (!some_less && !some_more)
        say_required(c, IN(here, "maxUnavailable"), "cannot be 0 when maxSurge is 0");
}

KIND_RULES(kind_daemon_set)
{
    const struct path *p = SPEC;
    struct val *spec = json_get(v, STR("spec")), *selector = json_get(spec, STR("selector")), *template = json_get(spec, STR("template"));
    struct val *labels = json_path(template, "metadata.labels");
    static const char *const always[] = { "Always", NULL };
    struct str restart = json_str(template, "spec.restartPolicy");
    check_selector(c, IN(p, "selector"), selector);
    if (selector_is_good(c, selector) && !selects(c, selector, labels))
        say_invalid_val(c, IN(IN(IN(p, "template"), "metadata"), "labels"), labels,
                        "`selector` does not match template `labels`");
    if (selector && selector_is_empty(selector))
        say_invalid_val(c, IN(p, "selector"), selector_shown(c, selector), "empty selector is invalid for daemonset");
    check_template(c, IN(p, "template"), template);
    if (!str_is(restart, "Always"))
        say_unsupported(c, IN(IN(IN(p, "template"), "spec"), "restartPolicy"), restart, always);
    if (json_path(template, "spec.activeDeadlineSeconds"))
        say_forbidden(c, IN(IN(IN(p, "template"), "spec"), "activeDeadlineSeconds"), "activeDeadlineSeconds in DaemonSet is not Supported");
    check_nonnegative(c, p, spec, "minReadySeconds");
    check_nonnegative(c, p, spec, "revisionHistoryLimit");
    check_daemon_strategy(c, IN(p, "updateStrategy"), json_get(spec, STR("updateStrategy")));
    check_selector_kept(c, v, old);
}

/* --- stateful sets --- */

static void check_stateful_strategy(causes c, const struct path *p, const struct val *s)
{
    struct str type = json_str(s, "type");
    struct val *r = json_get(s, STR("rollingUpdate"));
    const struct path *here = IN(p, "rollingUpdate");
    if (!type.len) {
        say_required(c, p, NULL);
    } else if (str_is(type, "OnDelete")) {
        if (r)
            say_invalid_val(c, here, r, "only allowed for updateStrategy 'RollingUpdate'");
    } else if (!str_is(type, "RollingUpdate")) {
        say_invalid_val(c, p, s, "must be 'RollingUpdate' or 'OnDelete'");
    } else if (r) {
        check_nonnegative(c, here, r, "partition");
    }
}

static void check_retention(causes c, const struct path *p, const struct val *r)
{
    static const char *const types[] = { "Retain", "Delete", NULL }, *const members[] = { "whenDeleted", "whenScaled" };
    for (int i = 0; r && i < 2; i++)
        check_choice(c, IN(p, members[i]), json_str(r, members[i]), types);
}

/* The template as its pods will be: with a volume for each claim template. */
static struct val *with_claims(causes c, const struct val *spec)
{
    struct val *claims = json_get(spec, STR("volumeClaimTemplates")), *t = val_copy(c->arena, json_get(spec, STR("template")));
    struct val *inner = json_get(t, STR("spec"));
    if (!inner)
        return t;
    json_del(inner, STR("hostname"));
    json_del(inner, STR("subdomain"));
    if (!claims || !claims->n)
        return t;
    _cleanup_met_ struct met names = { 0 };
    struct val *volumes = val_new(c->arena, VAL_ARR), *given = json_get(inner, STR("volumes"));
    LIST_EACH (x, at, claims) {
        if (met_again(&names, json_str(x, "metadata.name")))
            continue;
        struct val *v = val_push(volumes, val_new(c->arena, VAL_OBJ));
        json_set_str(c->arena, v, STR("name"), json_str(x, "metadata.name"));
        json_set_str(c->arena, json_obj(c->arena, v, STR("persistentVolumeClaim")), STR("claimName"), json_str(x, "metadata.name"));
    }
    LIST_EACH (g, at, given) {
        if (!met(&names, json_str(g, "name")))
            val_push(volumes, val_copy(c->arena, g));
    }
    json_set(c->arena, inner, STR("volumes"), volumes);
    return t;
}

static void check_claim_templates(causes c, const struct path *p, const struct val *list)
{
    LIST_EACH (t, at, list)
        check_claim_spec(c, IN(ITEM(p, at.i), "spec"), json_get(t, STR("spec")));
}

/* But for these members a set stays as it was made. */
static bool kept(causes c, const struct val *now, const struct val *was)
{
    static const char *const free_members[] = { "replicas", "template", "updateStrategy", "minReadySeconds", "ordinals", "revisionHistoryLimit",
                                                "persistentVolumeClaimRetentionPolicy" };
    struct val *x = val_copy(c->arena, now), *y = val_copy(c->arena, was);
    for (size_t i = 0; i < sizeof free_members / sizeof *free_members; i++) {
        json_del(x, str_of(free_members[i]));
        json_del(y, str_of(free_members[i]));
    }
    struct val *claims[] = { json_get(x, STR("volumeClaimTemplates")), json_get(y, STR("volumeClaimTemplates")) };
    for (int i = 0; i < 2; i++)
        for (struct val *t = val_is(claims[i], VAL_ARR) ? claims[i]->first : NULL; t; t = t->next) {
            json_del(t, STR("kind"));       /* said of each, but not by those that were stored long ago */
            json_del(t, STR("apiVersion"));
        }
    return val_equal(x, y);
}

KIND_RULES(kind_stateful_set)
{
    const struct path *p = SPEC;
    struct val *spec = json_get(v, STR("spec")), *selector = json_get(spec, STR("selector"));
    struct str policy = json_str(spec, "podManagementPolicy"), service = json_str(spec, "serviceName");
    if (!policy.len)
        say_required(c, IN(p, "podManagementPolicy"), NULL);
    else if (!str_is(policy, "OrderedReady") && !str_is(policy, "Parallel"))
        say_invalid(c, IN(p, "podManagementPolicy"), policy, "must be 'OrderedReady' or 'Parallel'");
    check_stateful_strategy(c, IN(p, "updateStrategy"), json_get(spec, STR("updateStrategy")));
    check_retention(c, IN(p, "persistentVolumeClaimRetentionPolicy"), json_get(spec, STR("persistentVolumeClaimRetentionPolicy")));
    if (!old)
        check_claim_templates(c, IN(p, "volumeClaimTemplates"), json_get(spec, STR("volumeClaimTemplates")));
    check_nonnegative(c, p, spec, "replicas");
    check_nonnegative(c, p, spec, "minReadySeconds");
    check_at_least(c, IN(p, "ordinals.start"), json_int(spec, "ordinals.start", 0), 0);
    if (!old && service.len)
        check_name(c, IN(p, "serviceName"), service, G_LABEL);
    check_run_selector(c, IN(p, "selector"), selector, "statefulset");
    struct val *t = with_claims(c, spec);
    if (selector && !selector_is_good(c, selector))
        say_invalid_val(c, IN(p, "selector"), selector_shown(c, selector), "");
    else
        check_run_template(c, IN(p, "template"), t, selector, "StatefulSet");
    check_labels(c, IN(IN(p, "template"), "labels"), json_path(t, "metadata.labels"));
    check_annotations(c, IN(IN(p, "template"), "annotations"), json_path(t, "metadata.annotations"));
    if (old && !kept(c, spec, json_get(old, STR("spec"))))
        say_forbidden(c, p, "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
                      "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
}

KIND_RULES(kind_controller_revision)
{
    struct val *data = json_get(v, STR("data"));
    check_at_least(c, IN(NULL, "revision"), json_int(v, "revision", 0), 0);
    if (!data && !old)
        say_required(c, IN(NULL, "data"), "data is mandatory");
    else if (data && data->type != VAL_OBJ)
        say_required(c, IN(NULL, "data"), "data must be a valid JSON object");
    if (old && !val_equal(data, json_get(old, STR("data"))))
        say_immutable(c, IN(NULL, "data"), data);
}
