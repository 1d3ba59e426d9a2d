/* options.c - what a request asks for besides its object (ListOptions, CreateOptions, ...), judged as upstream does. */
#include "api-internal.h"
#include "base/duration.h"

static int fail(struct api_rq *rq, const char *kind, const struct object_causes *c)
{
    const struct schema_kind options = { .group = "meta.k8s.io", .kind = kind, .plural = "" };
    return c->n ? api_fail_invalid(&rq->err, rq->arena, &options, STR(""), c) : 0;
}

static void forbid(struct object_causes *c, const char *field, const char *why)
{
    object_cause_add(c, "FieldValueForbidden", field, "Forbidden: %s", why);
}

static void not_supported(struct object_causes *c, const char *field, struct str value, const char *choices)
{
    object_cause_add(c, "FieldValueNotSupported", field, "Unsupported value: \"" STR_FMT "\": supported values: %s", STR_ARG(value), choices);
}

static size_t span(struct str s, bool number)
{
    size_t n = 0;
    while (n < s.len && ((s.at[n] >= '0' && s.at[n] <= '9') || s.at[n] == '.') == number)
        n++;
    return n;
}

/* Go's words for what is no duration. */
static const char *bad_duration(struct arena *a, struct str s)
{
    struct str rest = str_skip(s, s.at[0] == '-' || s.at[0] == '+');
    int64_t ns;
    while (rest.len) {
        size_t digits = span(rest, true);
        struct str unit = str_skip(rest, digits);
        unit.len = span(unit, false);
        if (!digits || !duration_parse(str_of(arena_printf(a, "%.*ss", (int)digits, rest.at)), &ns))
            break;
        if (!unit.len)
            return arena_printf(a, "time: missing unit in duration \"" STR_FMT "\"", STR_ARG(s));
        if (!duration_parse(str_of(arena_printf(a, "1" STR_FMT, STR_ARG(unit))), &ns))
            return arena_printf(a, "time: unknown unit \"" STR_FMT "\" in duration \"" STR_FMT "\"", STR_ARG(unit), STR_ARG(s));
        rest = str_skip(rest, digits + unit.len);
    }
    return arena_printf(a, "time: invalid duration \"" STR_FMT "\"", STR_ARG(s));
}

int api_check_timeout(struct api_rq *rq)
{
    struct str s = rq->info.q.timeout;
    int64_t ns;
    if (!s.len || strcmp(rq->info.tuple.verb, "watch") == 0 || api_is_stream(rq->info.tuple.subresource) || duration_parse(s, &ns))
        return 0;
    return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "invalid timeout specified in the request URL - %s", bad_duration(rq->arena, s));
}

int api_check_list_options(struct api_rq *rq)
{
    const struct api_query *q = &rq->info.q;
    struct object_causes c = { .arena = rq->arena };
    struct str match = q->version_match;
    bool exact = str_is(match, "Exact");
    if (match.len && !q->resource_version.len)
        forbid(&c, "resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided");
    if (match.len && q->continue_token.len)
        forbid(&c, "resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided");
    if (match.len && !exact && !str_is(match, "NotOlderThan"))
        not_supported(&c, "resourceVersionMatch", match, "\"Exact\", \"NotOlderThan\", \"\"");
    if (exact && str_is(q->resource_version, "0"))
        forbid(&c, "resourceVersionMatch", "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
    if (q->send_initial >= 0)
        forbid(&c, "sendInitialEvents", "sendInitialEvents is forbidden for list");
    return fail(rq, "ListOptions", &c);
}

int api_check_watch_options(struct api_rq *rq)
{
    const struct api_query *q = &rq->info.q;
    struct object_causes c = { .arena = rq->arena };
    bool newer = str_is(q->version_match, "NotOlderThan");
    if (q->send_initial >= 0 && !newer)
        forbid(&c, "resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    if (q->version_match.len && q->send_initial < 0)
        forbid(&c, "resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
    if (q->version_match.len && !newer)
        not_supported(&c, "resourceVersionMatch", q->version_match, "\"NotOlderThan\"");
    if (q->version_match.len && q->continue_token.len)
        forbid(&c, "resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided");
    return fail(rq, "ListOptions", &c);
}

static void check_manager(struct object_causes *c, struct str manager)
{
    if (manager.len > 128)
        object_cause_add(c, "FieldValueTooLong", "fieldManager", "Too long: may not be more than 128 bytes");
    for (size_t i = 0; i < manager.len; i++) {
        unsigned code;
        if (!object_unseen(str_skip(manager, i), &code))
            continue;
        _cleanup_buf_ struct buf quoted = BUF_INIT(4096);
        object_write_quoted(&quoted, manager);
        object_cause_add(c, "FieldValueInvalid", "fieldManager", "Invalid value: %s: invalid character U+%04X (at position %zu)", quoted.failed ? "\"...\"" : quoted.at, code, i);
    }
}

static void check_dry_run(struct object_causes *c, struct str value)
{
    if (value.len && !str_is(value, "All"))
        object_cause_add(c, "FieldValueNotSupported", "dryRun", "Unsupported value: [\"" STR_FMT "\"]: supported values: \"All\"", STR_ARG(value));
}

int api_check_write_options(struct api_rq *rq, bool applies)
{
    const struct api_query *q = &rq->info.q;
    struct object_causes c = { .arena = rq->arena };
    const char *verb = rq->info.tuple.verb;
    bool patch = strcmp(verb, "patch") == 0;
    struct str mode = q->field_validation;
    if (patch && applies && !q->field_manager.len)
        object_cause_add(&c, "FieldValueRequired", "fieldManager", "Required value: is required for apply patch");
    if (patch && !applies && q->has_force)
        forbid(&c, "force", "may not be specified for non-apply patch");
    check_manager(&c, q->field_manager);
    check_dry_run(&c, q->dry_run);
    if (mode.len && !str_is(mode, "Warn") && !str_is(mode, "Strict") && !str_is(mode, "Ignore"))
        not_supported(&c, "fieldValidation", mode, "\"\", \"Ignore\", \"Strict\", \"Warn\"");
    return fail(rq, patch ? "PatchOptions" : strcmp(verb, "create") == 0 ? "CreateOptions" : "UpdateOptions", &c);
}

int api_check_delete_options(struct api_rq *rq, struct str propagation, bool orphan_too, struct str dry_run)
{
    struct object_causes c = { .arena = rq->arena };
    if (propagation.len && orphan_too)
        object_cause_add(&c, "FieldValueInvalid", "propagationPolicy",
                         "Invalid value: \"" STR_FMT "\": orphanDependents and deletionPropagation cannot be both set", STR_ARG(propagation));
    if (propagation.len && !str_is(propagation, "Foreground") && !str_is(propagation, "Background") && !str_is(propagation, "Orphan"))
        not_supported(&c, "propagationPolicy", propagation, "\"Foreground\", \"Background\", \"Orphan\", \"nil\"");
    check_dry_run(&c, dry_run);
    return fail(rq, "DeleteOptions", &c);
}
