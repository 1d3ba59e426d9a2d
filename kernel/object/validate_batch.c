/* validate_batch.c - Jobs, CronJobs, and the schedules of these. */
#include "object/validate.h"

#include <unistd.h>

static bool has_name(const struct val *spec, struct str name)
{
    static const char *const lists[] = { "containers", "initContainers" };
    for (int i = 0; i < 2; i++)
        LIST_EACH (x, at, json_get(spec, str_of(lists[i])))
            if (str_eq(json_str(x, "name"), name))
                return true;
    return false;
}

/* --- failure policy --- */

static void check_exit_codes(causes c, const struct path *p, const struct val *r, const struct val *pod)
{
    static const char *const operators[] = { "In", "NotIn", NULL };
    struct val *values = json_get(r, STR("values")), *name = json_get(r, STR("containerName"));
    struct str op = json_str(r, "operator");
    bool ordered = true;
    if (!op.len)
        say_required(c, IN(p, "operator"), "valid values: [\"In\" \"NotIn\"]");
    else
        check_choice(c, IN(p, "operator"), op, operators);
    if (name && !has_name(pod, val_str(name)))
        say_invalid(c, IN(p, "containerName"), val_str(name), "must be one of the container or initContainer names in the pod template");
    if (!values || !values->n)
        say_invalid_val(c, IN(p, "values"), values, "at least one value is required");
    else if (values->n > 255)
        say_too_many(c, IN(p, "values"), values->n, 255, "s");
    _cleanup_met_ struct met seen = { 0 };
    LIST_EACH (x, at, values) {
        const struct path *here = ITEM(IN(p, "values"), at.i);
        if (str_is(op, "In") && x->i == 0)
            say_invalid_int(c, here, 0, "must not be 0 for the In operator");
        if (met_again(&seen, str_of(words(c, "%lld", (long long)x->i))))
            say_duplicate_val(c, here, x, NULL);
        ordered &= !x->next || x->next->i >= x->i;
    }
    if (!ordered)
        say_invalid_val(c, IN(p, "values"), values, "must be ordered");
}

static void check_conditions(causes c, const struct path *p, const struct val *list)
{
    static const char *const statuses[] = { "False", "True", "Unknown", NULL };
    if (list->n > 20)
        say_too_many(c, p, list->n, 20, "s");
    LIST_EACH (x, at, list) {
        struct str status = json_str(x, "status");
        check_name(c, IN(ITEM(p, at.i), "type"), json_str(x, "type"), G_QUALIFIED);
        if (!status.len)
            say_required(c, IN(ITEM(p, at.i), "status"), "valid values: [\"False\" \"True\" \"Unknown\"]");
        else
            check_choice(c, IN(ITEM(p, at.i), "status"), status, statuses);
    }
}

static void say_of_rule(causes c, const struct path *p, const char *what)
{
    object_cause_add(c, "FieldValueInvalid", path_text(c->arena, p), "Invalid value: %s", what);
}

static void check_failure_policy(causes c, const struct path *p, const struct val *spec)
{
    static const char *const actions[] = { "Count", "FailIndex", "FailJob", "Ignore", NULL };
    struct val *rules = json_path(spec, "podFailurePolicy.rules");
    if (rules && rules->n > 20)
        say_too_many(c, p, rules->n, 20, "s");
    LIST_EACH (r, at, rules) {
        const struct path *here = ITEM(p, at.i);
        struct str action = json_str(r, "action");
        struct val *codes = json_get(r, STR("onExitCodes")), *conditions = json_get(r, STR("onPodConditions"));
        bool some = conditions && conditions->n;
        if (!action.len)
            say_required(c, IN(here, "action"), "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]");
        else if (str_is(action, "FailIndex") && !json_get(spec, STR("backoffLimitPerIndex")))
            say_invalid(c, IN(here, "action"), action, "requires the backoffLimitPerIndex to be set");
        else
            check_choice(c, IN(here, "action"), action, actions);
        if (codes)
            check_exit_codes(c, IN(here, "onExitCodes"), codes, json_path(spec, "template.spec"));
        if (some)
            check_conditions(c, IN(here, "onPodConditions"), conditions);
        if (codes && some)
            say_of_rule(c, here, "specifying both OnExitCodes and OnPodConditions is not supported");
        if (!codes && !some)
            say_of_rule(c, here, "specifying one of OnExitCodes and OnPodConditions is required");
    }
}

/* --- success policy --- */

/* "0-2,5": how many; -1 with words otherwise. */
static int64_t count_indexes(causes c, struct str s, int64_t completions, const char **ret_why)
{
    int64_t n = 0, last = -1, a, b;
    while (s.at) {
        struct str part = str_cut(&s, ','), rest = part, first = str_cut(&rest, '-');
        if (!str_int(first, &a)) {
            *ret_why = words(c, "cannot convert string to integer for index: \"" STR_FMT "\"", STR_ARG(first));
            return -1;
        }
        b = a;
        if (rest.at && !str_int(rest, &b)) {
            *ret_why = words(c, "cannot convert string to integer for index: \"" STR_FMT "\"", STR_ARG(rest));
            return -1;
        }
        if (a >= completions || b >= completions) {
            *ret_why = words(c, "too large index: \"" STR_FMT "\"", STR_ARG(a >= completions ? first : rest));
            return -1;
        }
        if (a <= last || b < a) {
            *ret_why = a <= last ? words(c, "non-increasing order, previous: %lld, current: %lld", (long long)last, (long long)a) :
                                   words(c, "non-increasing order, previous: %lld, current: %lld", (long long)a, (long long)b);
            return -1;
        }
        n += b - a + 1;
        last = b;
    }
    return n;
}

static void check_success_policy(causes c, const struct path *p, const struct val *spec)
{
    struct val *rules = json_path(spec, "successPolicy.rules");
    int64_t completions = json_int(spec, "completions", 0);
    if (!rules || !rules->n)
        say_required(c, p, "at least one rules must be specified when the successPolicy is specified");
    else if (rules->n > 20)
        say_too_many(c, p, rules->n, 20, "s");
    LIST_EACH (r, at, rules) {
        const struct path *here = ITEM(p, at.i);
        struct val *indexes = json_get(r, STR("succeededIndexes")), *count = json_get(r, STR("succeededCount"));
        const char *why = NULL;
        int64_t n = 0;
        if (!indexes && !count)
            say_required(c, here, "at least one of succeededCount or succeededIndexes must be specified");
        if (indexes && val_str(indexes).len && (n = count_indexes(c, val_str(indexes), completions, &why)) < 0) {
            say_invalid(c, IN(here, "succeededIndexes"), val_str(indexes), words(c, "error parsing succeededIndexes: %s", why));
            n = 0;
        }
        if (!count)
            continue;
        check_at_least(c, IN(here, "succeededCount"), count->i, 0);
        if (count->i > completions)
            say_invalid_int(c, IN(here, "succeededCount"), count->i,
                            words(c, "must be less than or equal to %lld (the number of specified completions)", (long long)completions));
        if (indexes && count->i > n)
            say_invalid_int(c, IN(here, "succeededCount"), count->i,
                            words(c, "must be less than or equal to %lld (the number of indexes in the specified succeededIndexes field)", (long long)n));
    }
}

/* --- job specs --- */

#define PARALLEL_MOST 100000
#define SOFT_LIMIT    100000
#define HIGH_LIMIT    10000

static void check_indexed(causes c, const struct path *p, const struct val *spec)
{
    struct val *completions = json_get(spec, STR("completions")), *failed = json_get(spec, STR("maxFailedIndexes"));
    int64_t parallel = json_int(spec, "parallelism", 0);
    if (!completions)
        say_required(c, IN(p, "completions"), "when completion mode is Indexed");
    if (parallel > PARALLEL_MOST)
        say_invalid_int(c, IN(p, "parallelism"), parallel, "must be less than or equal to 100000 when completion mode is Indexed");
    if (completions && failed && failed->i > completions->i)
        say_invalid_int(c, IN(p, "maxFailedIndexes"), failed->i, "must be less than or equal to completions");
    if (failed && failed->i > PARALLEL_MOST)
        say_invalid_int(c, IN(p, "maxFailedIndexes"), failed->i, "must be less than or equal to 100000");
    if (!completions || completions->i <= SOFT_LIMIT || !json_get(spec, STR("backoffLimitPerIndex")))
        return;
    if (!failed)
        say_required(c, IN(p, "maxFailedIndexes"), "must be specified when completions is above 100000");
    if (parallel > HIGH_LIMIT)
        say_invalid_int(c, IN(p, "parallelism"), parallel, "must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index");
    if (failed && failed->i > HIGH_LIMIT)
        say_invalid_int(c, IN(p, "maxFailedIndexes"), failed->i,
                        "must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index");
}

static void check_not_indexed(causes c, const struct path *p, const struct val *spec)
{
    static const char *const members[] = { "backoffLimitPerIndex", "maxFailedIndexes" };
    for (int i = 0; i < 2; i++)
        if (json_get(spec, str_of(members[i])))
            say_invalid_int(c, IN(p, members[i]), json_int(spec, members[i], 0), "requires indexed completion mode");
}

static void check_job_restart(causes c, const struct path *p, const struct val *spec)
{
    static const char *const policies[] = { "OnFailure", "Never", NULL };
    struct str policy = json_str(spec, "template.spec.restartPolicy");
    const struct path *here = IN(IN(IN(p, "template"), "spec"), "restartPolicy");
    if (!policy.len || str_is(policy, "Always"))
        say_required(c, here, "valid values: \"OnFailure\", \"Never\"");
    else if (check_choice(c, here, policy, policies) && json_get(spec, STR("podFailurePolicy")) && !str_is(policy, "Never"))
        say_invalid(c, here, policy, "only \"Never\" is supported when podFailurePolicy is specified");
}

static void check_replacement(causes c, const struct path *p, const struct val *spec)
{
    static const char *const all[] = { "Failed", "TerminatingOrFailed", NULL }, *const with_policy[] = { "Failed", NULL };
    struct val *x = json_get(spec, STR("podReplacementPolicy"));
    if (x)
        check_choice(c, IN(p, "podReplacementPolicy"), val_str(x), json_get(spec, STR("podFailurePolicy")) ? with_policy : all);
}

static void check_job_spec(causes c, const struct path *p, const struct val *spec)
{
    static const char *const numbers[] = { "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
                                           "backoffLimitPerIndex", "maxFailedIndexes" };
    static const char *const modes[] = { "NonIndexed", "Indexed", NULL };
    struct val *by = json_get(spec, STR("managedBy"));
    struct str mode = json_str(spec, "completionMode");
    bool indexed = str_is(mode, "Indexed");
    for (int i = 0; i < 7; i++)
        check_nonnegative(c, p, spec, numbers[i]);
    if (json_get(spec, STR("maxFailedIndexes")) && !json_get(spec, STR("backoffLimitPerIndex")))
        say_required(c, IN(p, "backoffLimitPerIndex"), "when maxFailedIndexes is specified");
    if (by) {
        check_name(c, IN(p, "managedBy"), val_str(by), G_DOMAIN_PREFIXED_PATH);
        if (by->n > 63)
            say_too_long(c, IN(p, "managedBy"), 63, "bytes");
    }
    if (json_get(spec, STR("completionMode")))
        check_choice(c, IN(p, "completionMode"), mode, modes);
    if (indexed)
        check_indexed(c, p, spec);
    else if (!json_get(spec, STR("completionMode")) || str_is(mode, "NonIndexed"))
        check_not_indexed(c, p, spec);
    check_failure_policy(c, IN(IN(p, "podFailurePolicy"), "rules"), spec);
    if (json_get(spec, STR("successPolicy")) && !indexed)
        say_invalid_val(c, IN(p, "successPolicy"), json_get(spec, STR("successPolicy")), "requires indexed completion mode");
    else if (json_get(spec, STR("successPolicy")))
        check_success_policy(c, IN(IN(p, "successPolicy"), "rules"), spec);
    check_replacement(c, p, spec);
    check_template(c, IN(p, "template"), json_get(spec, STR("template")));
    check_job_restart(c, p, spec);
}

/* A job that has not begun may still be placed elsewhere. */
static struct val *placement_free(causes c, const struct val *template, const struct val *now)
{
    static const char *const members[] = { "nodeSelector", "tolerations", "schedulingGates", "affinity" };
    struct val *t = val_copy(c->arena, template), *spec = json_obj(c->arena, t, STR("spec")), *meta = json_get(now, STR("metadata"));
    for (int i = 0; i < 4; i++) {
        struct val *x = json_get(json_get(now, STR("spec")), str_of(members[i]));
        json_del(spec, str_of(members[i]));
        if (x)
            json_set(c->arena, spec, str_of(members[i]), val_copy(c->arena, x));
    }
    json_del(t, STR("metadata"));
    if (meta)
        json_set(c->arena, t, STR("metadata"), val_copy(c->arena, meta));
    return t;
}

static void check_job_kept(causes c, const struct path *p, const struct val *spec, const struct val *old)
{
    static const char *const members[] = { "selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy" };
    const struct val *was = json_get(old, STR("spec"));
    struct val *t = json_get(spec, STR("template")), *old_t = json_get(was, STR("template")), *n = json_get(spec, STR("completions"));
    bool indexed = str_is(json_str(spec, "completionMode"), "Indexed");
    if (!indexed)
        check_immutable(c, p, spec, was, "completions");
    else if (n && !val_equal(n, json_get(was, STR("completions"))) && n->i != json_int(spec, "parallelism", 0))
        say_invalid_int(c, IN(p, "completions"), n->i, "can only be modified in tandem with spec.parallelism");
    if (json_bool(was, "suspend", false) && !json_path(old, "status.startTime"))
        old_t = placement_free(c, old_t, t);
    if (!val_equal(t, old_t))
        say_immutable(c, IN(p, "template"), t);
    for (int i = 0; i < 6; i++)
        check_immutable(c, p, spec, was, members[i]);
}

KIND_RULES(kind_job)
{
    const struct path *p = IN(NULL, "spec");
    struct val *spec = json_get(v, STR("spec")), *selector = json_get(spec, STR("selector")), *labels = json_path(spec, "template.metadata.labels");
    check_job_spec(c, p, spec);
    if (!old && str_is(json_str(spec, "completionMode"), "Indexed") && json_int(spec, "completions", 0) > 0) {
        const char *last = words(c, STR_FMT "-%lld", STR_ARG(json_str(v, "metadata.name")), (long long)json_int(spec, "completions", 0) - 1);
        if (!is_name(str_of(last), G_LABEL))
            say_invalid(c, IN(IN(NULL, "metadata"), "name"), json_str(v, "metadata.name"), words(c, "will not able to create pod with invalid DNS label: %s", last));
    }
    if (!selector)
        say_required(c, IN(p, "selector"), NULL);
    check_selector(c, IN(p, "selector"), selector);
    if (!selects(c, selector, labels))
        say_invalid_val(c, IN(IN(IN(p, "template"), "metadata"), "labels"), labels, "`selector` does not match template `labels`");
    if (old)
        check_job_kept(c, p, spec, old);
}

/* --- schedules --- */

static const struct {
    int64_t least, most;
    const char *names;                  /* of least, least+1 ... */
} cron_rows[] = { { 0, 59, NULL }, { 0, 23, NULL }, { 1, 31, NULL }, { 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec" }, { 0, 6, "sunmontuewedthufrisat" } };

static bool cron_number(struct str s, int field, int64_t *ret)
{
    const char *names = cron_rows[field].names;
    for (int64_t i = 0; names && s.len == 3 && names[i * 3]; i++)
        if (str_eq_nocase(s, str_n(names + i * 3, 3))) {
            *ret = cron_rows[field].least + i;
            return true;
        }
    return str_int(s, ret) && *ret >= 0;
}

static const char *not_number(causes c, struct str s)
{
    return words(c, "failed to parse int from " STR_FMT ": strconv.Atoi: parsing \"" STR_FMT "\": invalid syntax", STR_ARG(s), STR_ARG(s));
}

/* One of a field's comma-separated parts; NULL: good. */
static const char *cron_part(causes c, struct str part, int field)
{
    struct str rest = part, range = str_cut(&rest, '/'), step_text = rest, high = range, low = str_cut(&high, '-');
    int64_t a = cron_rows[field].least, b = cron_rows[field].most, step = 1;
    if (step_text.at && str_find(step_text, '/') >= 0)
        return words(c, "too many slashes: " STR_FMT, STR_ARG(part));
    if (high.at && str_find(high, '-') >= 0)
        return words(c, "too many hyphens: " STR_FMT, STR_ARG(part));
    if (!str_is(low, "*") && !str_is(low, "?")) {
        if (!cron_number(low, field, &a))
            return not_number(c, low);
        b = step_text.at ? b : a;
        if (high.at && !cron_number(high, field, &b))
            return not_number(c, high);
    }
    if (step_text.at && !str_int(step_text, &step))
        return not_number(c, step_text);
    if (a < cron_rows[field].least)
        return words(c, "beginning of range (%lld) below minimum (%lld): " STR_FMT, (long long)a, (long long)cron_rows[field].least, STR_ARG(part));
    if (b > cron_rows[field].most)
        return words(c, "end of range (%lld) above maximum (%lld): " STR_FMT, (long long)b, (long long)cron_rows[field].most, STR_ARG(part));
    if (a > b)
        return words(c, "beginning of range (%lld) beyond end of range (%lld): " STR_FMT, (long long)a, (long long)b, STR_ARG(part));
    return step < 1 ? words(c, "step of range should be a positive number: " STR_FMT, STR_ARG(part)) : NULL;
}

static const char *cron_error(causes c, struct str s)
{
    static const char *const known[] = { "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly" };
    struct str rest = s, fields[6];
    int n = 0;
    if (!s.len)
        return "empty spec string";
    if (str_starts(s, STR("TZ=")) || str_starts(s, STR("CRON_TZ=")))
        str_cut(&rest, ' ');
    if (rest.len && rest.at[0] == '@') {
        for (int i = 0; i < 7; i++)
            if (str_is(rest, known[i]))
                return NULL;
        return str_starts(rest, STR("@every ")) ? NULL : words(c, "unrecognized descriptor: " STR_FMT, STR_ARG(rest));
    }
    while (rest.at) {
        struct str f = str_trim(str_cut(&rest, ' '));
        if (f.len && n++ < 6)
            fields[n - 1] = f;
    }
    if (n != 5) {
        _cleanup_buf_ struct buf b = BUF_INIT(1024);
        for (int i = 0; i < n && i < 6; i++)
            buf_printf(&b, "%s" STR_FMT, i ? " " : "", STR_ARG(fields[i]));
        return words(c, "expected exactly 5 fields, found %d: [%s]", n, b.at ? b.at : "");
    }
    for (int i = 0; i < 5; i++)
        while (fields[i].at) {
            const char *why = cron_part(c, str_cut(&fields[i], ','), i);
            if (why)
                return why;
        }
    return NULL;
}

#define ZONES "/usr/share/zoneinfo/"    /* without it any name will do: whoever runs the CronJob may have it */

static void check_zone(causes c, const struct path *p, const struct val *zone)
{
    struct str s = val_str(zone), rest = s;
    if (!zone)
        return;
    if (!s.len) {
        say_invalid(c, p, s, "timeZone must be nil or non-empty string");
        return;
    }
    while (rest.at) {
        struct str part = str_cut(&rest, '/');
        bool ok = part.len && !str_is(part, ".") && !str_is(part, "..") && part.at[0] != '-';
        for (size_t i = 0; ok && i < part.len; i++) {
            char x = part.at[i];
            ok = (x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') || (x >= '0' && x <= '9') || x == '_' || x == '+' || x == '-' || x == '.';
        }
        if (!ok) {
            say_invalid(c, p, s, words(c, "unknown time zone " STR_FMT, STR_ARG(s)));
            return;
        }
    }
    const char *file = words(c, ZONES STR_FMT, STR_ARG(s));
    if (access(ZONES, R_OK) == 0 && access(file, R_OK) != 0 && !str_eq_nocase(s, STR("local")))
        say_invalid(c, p, s, words(c, "unknown time zone " STR_FMT, STR_ARG(s)));
    if (str_eq_nocase(s, STR("local")))
        say_invalid(c, p, s, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones");
}

KIND_RULES(kind_cron_job)
{
    static const char *const policies[] = { "Allow", "Forbid", "Replace", NULL };
    static const char *const numbers[] = { "startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit" };
    const struct path *p = IN(NULL, "spec"), *t = IN(p, "jobTemplate");
    struct val *spec = json_get(v, STR("spec")), *template = json_get(spec, STR("jobTemplate")), *job = json_get(template, STR("spec"));
    struct str schedule = json_str(spec, "schedule"), policy = json_str(spec, "concurrencyPolicy"), name = json_str(v, "metadata.name");
    const char *why;
    if (!schedule.len)
        say_required(c, IN(p, "schedule"), NULL);
    else if ((why = cron_error(c, schedule)))
        say_invalid(c, IN(p, "schedule"), schedule, why);
    if (memmem(schedule.at ? schedule.at : "", schedule.len, "TZ", 2))
        say_invalid(c, IN(p, "schedule"), schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
    for (int i = 0; i < 3; i++)
        check_nonnegative(c, p, spec, numbers[i]);
    if (check_required_str(c, IN(p, "concurrencyPolicy"), policy))
        check_choice(c, IN(p, "concurrencyPolicy"), policy, policies);
    check_zone(c, IN(p, "timeZone"), json_get(spec, STR("timeZone")));
    check_job_spec(c, IN(t, "spec"), job);
    if (json_get(job, STR("selector")))
        say_invalid_val(c, IN(IN(t, "spec"), "selector"), json_get(job, STR("selector")), "`selector` will be auto-generated");
    if (json_bool(job, "manualSelector", false))
        object_cause_add(c, "FieldValueNotSupported", path_text(c->arena, IN(IN(t, "spec"), "manualSelector")),
                         "Unsupported value: true: supported values: \"nil\", \"false\"");
    if (!old && name.len > 52)
        say_invalid(c, IN(IN(NULL, "metadata"), "name"), name, "must be no more than 52 characters");
}
