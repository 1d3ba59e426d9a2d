/* restricted.c - the checks that the restricted level adds, in upstream's words. */
#include "check.h"

static bool may_escalate(struct run *r, const struct val *c)
{
    (void)r;
    return json_bool(c, "securityContext.allowPrivilegeEscalation", true);
}

void check_escalation(struct run *r)
{
    run_say(r, run_bad(r, may_escalate), "allowPrivilegeEscalation != false", "must set securityContext.allowPrivilegeEscalation=false");
}

void check_escalation_linux(struct run *r)
{
    if (!run_windows(r))
        check_escalation(r);
}

static bool keeps_capabilities(struct run *r, const struct val *c)
{
    const struct val *list = json_path(c, "securityContext.capabilities.drop");
    (void)r;
    if (val_is(list, VAL_ARR))
        val_each(v, list)
            if (str_is(val_str(v), "ALL"))
                return false;
    return true;
}

void check_capabilities_restricted(struct run *r)
{
    struct val *keep = run_bad(r, keeps_capabilities), *add = run_bad(r, bad_capability);
    if (!run_n(keep) && !run_n(add))
        return;
    r->reason = "unrestricted capabilities";
    r->detail = arena_printf(r->a, "%s%s%s%s", run_n(keep) ? run_containers(r, keep) : "", run_n(keep) ? " must set securityContext.capabilities.drop=[\"ALL\"]" : "",
                             run_n(keep) && run_n(add) ? "; " : "",
                             !run_n(add) ? "" : arena_printf(r->a, "%s must not include %s in securityContext.capabilities.add", run_containers(r, add), run_quoted(r, r->values)));
}

void check_capabilities_linux(struct run *r)
{
    if (!run_windows(r))
        check_capabilities_restricted(r);
}

void check_volumes(struct run *r)
{
    struct val *list = json_get(r->spec, STR("volumes")), *names = val_new(r->a, VAL_ARR);
    if (val_is(list, VAL_ARR))
        val_each(v, list) {
            struct str type = STR("unknown");
            val_each(m, v)
                if (!str_is(val_key(m), "name") && m->type == VAL_OBJ)
                    type = val_key(m);
            if (run_in(r->allowed, type))
                continue;
            val_push(names, val_of_str(r->a, json_str(v, "name")));
            run_insert(r, type);
        }
    if (!run_n(names))
        return;
    r->reason = "restricted volume types";
    r->detail = arena_printf(r->a, "%s %s %s %s %s", run_some(names, "volume", "volumes"), run_quoted(r, names), run_some(names, "uses", "use"),
                             run_some(r->values, "restricted volume type", "restricted volume types"), run_quoted(r, r->values));
}

/* Where the pod says it for all, a container need not. */
static bool silent_root(struct run *r, const struct val *c)
{
    (void)r;
    return !json_path(c, "securityContext.runAsNonRoot");
}

static bool wants_root(struct run *r, const struct val *c)
{
    (void)r;
    return !json_bool(c, "securityContext.runAsNonRoot", true);
}

void check_non_root(struct run *r)
{
    const char *who = run_setters(r, wants_root(r, r->spec), run_bad(r, wants_root));
    struct val *silent = json_bool(r->spec, "securityContext.runAsNonRoot", false) ? NULL : run_bad(r, silent_root);
    if (!who && !run_n(silent))
        return;
    r->reason = "runAsNonRoot != true";
    r->detail = who ? arena_printf(r->a, "%s must not set securityContext.runAsNonRoot=false", who) :
                      arena_printf(r->a, "pod or %s must set securityContext.runAsNonRoot=true", run_containers(r, silent));
}

void check_non_root_users(struct run *r)
{
    if (!run_user_namespace(r))
        check_non_root(r);
}

static bool is_user_zero(struct run *r, const struct val *c)
{
    (void)r;
    return json_int(c, "securityContext.runAsUser", -1) == 0;
}

void check_run_as_user(struct run *r)
{
    const char *who = run_setters(r, is_user_zero(r, r->spec), run_bad(r, is_user_zero));
    if (!who)
        return;
    r->reason = "runAsUser=0";
    r->detail = arena_printf(r->a, "%s must not set runAsUser=0", who);
}

void check_run_as_user_users(struct run *r)
{
    if (!run_user_namespace(r))
        check_run_as_user(r);
}

static bool silent_seccomp(struct run *r, const struct val *c)
{
    (void)r;
    return !val_is(json_path(c, "securityContext.seccompProfile"), VAL_OBJ);
}

void check_seccomp_restricted(struct run *r)
{
    bool pod = val_is(json_path(r->spec, "securityContext.seccompProfile"), VAL_OBJ);
    check_seccomp(r);
    struct val *silent = r->reason || pod ? NULL : run_bad(r, silent_seccomp);
    if (!run_n(silent))
        return;
    r->reason = "seccompProfile";
    r->detail = arena_printf(r->a, "pod or %s must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"", run_containers(r, silent));
}

void check_seccomp_linux(struct run *r)
{
    if (!run_windows(r))
        check_seccomp_restricted(r);
}
