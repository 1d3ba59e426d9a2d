/* validate_event.c - events, as core has them and as events.k8s.io has, which upstream judges by core's names and more strictly. */
#include "object/validate.h"

/* note, regarding and so on as they are called in core. */
struct event {
    struct str ns, about, who, note;
    const char *who_is;                 /* the name of that field */
};

static void check_legacy(causes c, const struct val *v, const struct event *e)
{
    const struct {
        const char *member;
        struct str s;
        size_t most;
        bool needed;
    } rows[] = { { "reportingInstance", json_str(v, "reportingInstance"), 128, true }, { "action", json_str(v, "action"), 128, true },
                 { "reason", json_str(v, "reason"), 128, true }, { "message", e->note, 1024, false } };
    const struct path *about = IN(IN(NULL, "involvedObject"), "namespace");
    if (!json_str(v, "eventTime").len) {
        if (e->about.len ? !str_eq(e->about, e->ns) : e->ns.len && !str_is(e->ns, "default"))
            say_invalid(c, about, e->about, "does not match event.namespace");
        return;
    }
    if (!e->about.len && !str_is(e->ns, "default") && !str_is(e->ns, "kube-system"))
        say_invalid(c, about, e->about, "does not match event.namespace");
    if (!e->who.len)
        say_required(c, IN(NULL, e->who_is), NULL);
    check_name(c, IN(NULL, e->who_is), e->who, G_QUALIFIED);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i].s.len && rows[i].needed)
            say_required(c, IN(NULL, rows[i].member), NULL);
        if (rows[i].s.len > rows[i].most)
            say_invalid(c, IN(NULL, rows[i].member), STR(""), words(c, "can have at most %zu characters", rows[i].most));
    }
}

KIND_RULES(kind_event)
{
    const struct event e = { json_str(v, "metadata.namespace"), json_str(v, "involvedObject.namespace"), json_str(v, "reportingComponent"), json_str(v, "message"),
                             "reportingComponent" };
    (void)old;
    check_legacy(c, v, &e);
}

static bool set(const struct val *v)
{
    return v && v->type != VAL_NULL && !(v->type == VAL_INT && !v->i) && !(v->type >= VAL_STR && !v->n);
}

static void check_series(causes c, const struct val *series)
{
    if (!series)
        return;
    if (json_int(series, "count", 0) < 2)
        say_invalid(c, IN(IN(NULL, "series"), "count"), STR(""), "should be at least 2");
    if (!json_str(series, "lastObservedTime").len)
        say_required(c, IN(IN(NULL, "series"), "lastObservedTime"), NULL);
}

static void check_dated_new(causes c, const struct val *v)
{
    static const char *const unset[][2] = { { "deprecatedFirstTimestamp", "firstTimestamp" }, { "deprecatedLastTimestamp", "lastTimestamp" }, { "deprecatedCount", "count" } };
    struct str type = json_str(v, "type");
    check_series(c, json_get(v, STR("series")));
    if (!json_str(v, "eventTime").len)
        say_required(c, IN(NULL, "eventTime"), NULL);
    if (!str_is(type, "Normal") && !str_is(type, "Warning"))
        say_invalid(c, IN(NULL, "type"), STR(""), words(c, "has invalid value: " STR_FMT, STR_ARG(type)));
    for (int i = 0; i < 3; i++)
        if (set(json_get(v, str_of(unset[i][0]))))
            say_invalid(c, IN(NULL, unset[i][1]), STR(""), "needs to be unset");
    if (json_str(v, "deprecatedSource.component").len || json_str(v, "deprecatedSource.host").len)
        say_invalid(c, IN(NULL, "source"), STR(""), "needs to be unset");
}

static void check_dated_update(causes c, const struct val *v, const struct val *old)
{
    static const struct {
        const char *member, *core, *type;
    } fixed[] = { { "regarding", "involvedObject", "io.k8s.api.core.v1.ObjectReference" }, { "reason", "reason", NULL }, { "note", "message", NULL },
                  { "deprecatedSource", "source", "io.k8s.api.core.v1.EventSource" }, { "deprecatedFirstTimestamp", "firstTimestamp", NULL },
                  { "deprecatedLastTimestamp", "lastTimestamp", NULL }, { "deprecatedCount", "count", NULL }, { "reason", "reason", NULL }, { "type", "type", NULL },
                  { "eventTime", "eventTime", NULL }, { "action", "action", NULL }, { "related", "related", "io.k8s.api.core.v1.ObjectReference" },
                  { "reportingController", "reportingController", NULL }, { "reportingInstance", "reportingInstance", NULL } };
    static const struct val nothing = { .type = VAL_OBJ };
    const struct val *series = json_get(v, STR("series")), *before = json_get(old, STR("series"));
    if (series && !val_equal(series, before))
        check_series(c, series);
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const struct val *now = json_get(v, str_of(fixed[i].member)), *was = json_get(old, str_of(fixed[i].member));
        const struct path *p = IN(NULL, fixed[i].core);
        bool pointer = strcmp(fixed[i].member, "related") == 0;
        if (val_equal(now, was) || (!set(now) && !set(was)))
            continue;
        if (fixed[i].type)
            check_immutable_as(c, p, fixed[i].type, now || pointer ? now : &nothing, was || pointer ? was : &nothing);
        else if (!now || now->type == VAL_STR)
            say_invalid(c, p, val_str(now), "field is immutable");
        else
            say_immutable(c, p, now);
    }
}

KIND_RULES(kind_dated_event)
{
    const struct event e = { json_str(v, "metadata.namespace"), json_str(v, "regarding.namespace"), json_str(v, "reportingController"), json_str(v, "note"),
                             "reportingController" };
    check_legacy(c, v, &e);
    if (old)
        check_dated_update(c, v, old);
    else
        check_dated_new(c, v);
}
