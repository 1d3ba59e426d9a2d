/* crd_status.c - accepted names and conditions of a definition. Pure but for the look at other definitions. */
#include "crd.h"

#include "base/clock.h"
#include "base/env.h"

struct rivals {
    struct arena *arena;
    const struct val *crd, *names;
    const char *reason, *message;
};

static void clash(struct rivals *r, const char *reason, struct str name)
{
    if (r->reason)
        return;
    r->reason = reason;
    r->message = arena_printf(r->arena, "\"" STR_FMT "\" is already in use", STR_ARG(name));
}

/* Is a resource name (plural, singular, short) taken by those names? */
static bool takes(const struct val *names, struct str name)
{
    return str_eq(json_str(names, "plural"), name) || str_eq(json_str(names, "singular"), name) ||
           json_lists(json_get(names, STR("shortNames")), name);
}

static void look(struct rivals *r, const struct crd_names *other)
{
    static const char *const words[] = { "plural", "singular" };
    if (!str_eq(other->group, json_str(r->crd, "spec.group")) || str_eq(other->definition, json_str(r->crd, "metadata.name")))
        return;
    const struct val *taken = json_parse(r->arena, other->accepted, NULL);
    for (int i = 0; i < 2; i++)
        if (takes(taken, json_str(r->names, words[i])))
            clash(r, i ? "SingularConflict" : "PluralConflict", json_str(r->names, words[i]));
    const struct val *shorts = json_get(r->names, STR("shortNames"));
    if (val_is(shorts, VAL_ARR))
        val_each(s, shorts)
            if (takes(taken, val_str(s)))
                clash(r, "ShortNamesConflict", val_str(s));
    static const char *const kinds[] = { "kind", "listKind" };
    for (int i = 0; i < 2; i++) {
        struct str k = json_str(r->names, kinds[i]);
        if (str_eq(json_str(taken, "kind"), k) || str_eq(json_str(taken, "listKind"), k))
            clash(r, i ? "ListKindConflict" : "KindConflict", k);
    }
}

static void set_condition(struct arena *a, struct val *status, const char *type, bool is, const char *reason, const char *message)
{
    struct val *list = json_arr(a, status, STR("conditions")), *c = NULL;
    char now[CLOCK_TEXT];
    val_each(v, list)
        if (str_is(json_str(v, "type"), type))
            c = v;
    if (!c)
        c = val_push(list, val_new(a, VAL_OBJ));
    struct str state = is ? STR("True") : STR("False");
    if (!str_eq(json_str(c, "status"), state)) {
        clock_format(env_wall_ns(), now);
        json_set_str(a, c, STR("lastTransitionTime"), arena_str(a, str_of(now)));
    }
    json_set_str(a, c, STR("type"), str_of(type));
    json_set_str(a, c, STR("status"), state);
    json_set_str(a, c, STR("reason"), str_of(reason));
    json_set_str(a, c, STR("message"), str_of(message));
}

static bool condition_is(const struct val *status, const char *type)
{
    const struct val *list = json_get(status, STR("conditions"));
    if (val_is(list, VAL_ARR))
        val_each(v, list)
            if (str_is(json_str(v, "type"), type))
                return str_is(json_str(v, "status"), "True");
    return false;
}

struct val *crd_status(const struct list *names, struct arena *a, const struct val *crd, bool *ret_established)
{
    struct rivals r = { .arena = a, .crd = crd, .names = json_path(crd, "spec.names") };
    struct val *was = json_get(crd, STR("status")), *status = was ? val_copy(a, was) : val_new(a, VAL_OBJ);
    list_each(l, names)
        look(&r, list_item(l, struct crd_names, link));
    if (!r.reason)
        json_set(a, status, STR("acceptedNames"), val_copy(a, r.names));
    else
        json_obj(a, status, STR("acceptedNames"));
    set_condition(a, status, "NamesAccepted", !r.reason, r.reason ? r.reason : "NoConflicts", r.reason ? r.message : "no conflicts found");
    if (!r.reason)
        set_condition(a, status, "Established", true, "InitialNamesAccepted", "the initial names have been accepted");
    else if (!condition_is(status, "Established"))
        set_condition(a, status, "Established", false, "NotAccepted", "not all names are accepted");
    if (json_path(crd, "metadata.deletionTimestamp"))
        set_condition(a, status, "Terminating", true, "InstanceDeletionInProgress", "CustomResource deletion is in progress");
    *ret_established = was && condition_is(was, "Established");
    return status;
}
