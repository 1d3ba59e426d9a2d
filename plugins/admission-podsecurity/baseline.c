/* baseline.c - the checks of the baseline level, in upstream's words. */
#include "check.h"

static bool bad_apparmor(struct run *r, const struct val *c)
{
    const struct val *profile = json_path(c, "securityContext.appArmorProfile");
    struct str type = json_str(profile, "type");
    if (!val_is(profile, VAL_OBJ) || run_in(r->allowed, type))
        return false;
    run_insert(r, type);
    return true;
}

void check_apparmor(struct run *r)
{
    bool pod = bad_apparmor(r, r->spec);
    struct val *names = run_bad(r, bad_apparmor), *types = r->values, *annotations = json_get(r->meta, STR("annotations"));
    r->values = val_new(r->a, VAL_ARR);
    if (val_is(annotations, VAL_OBJ))
        val_each(m, annotations) {
            struct str v = val_str(m);
            if (str_starts(val_key(m), STR("container.apparmor.security.beta.kubernetes.io/")) && v.len && !str_is(v, "runtime/default") &&
                !str_starts(v, STR("localhost/")))
                run_insert(r, str_of(arena_printf(r->a, STR_FMT "=\"" STR_FMT "\"", STR_ARG(val_key(m)), STR_ARG(v))));
        }
    const char *who = run_setters(r, pod, names), *notes = !run_n(r->values) ? NULL : run_some(r->values, "annotation", "annotations");
    if (!who && !notes)
        return;
    for (const struct val *v = r->values ? r->values->first : NULL; v; v = v->next)
        val_push(types, val_of_str(r->a, val_str(v)));
    r->reason = run_some(types, "forbidden AppArmor profile", "forbidden AppArmor profiles");
    r->detail = arena_printf(r->a, "%s%s%s must not set AppArmor profile type to %s", who ? who : "", who && notes ? " and " : "", notes ? notes : "",
                             run_quoted(r, types));
}

bool bad_capability(struct run *r, const struct val *c)
{
    const struct val *list = json_path(c, "securityContext.capabilities.add");
    bool bad = false;
    if (val_is(list, VAL_ARR))
        val_each(v, list)
            if (!run_in(r->allowed, val_str(v))) {
                run_insert(r, val_str(v));
                bad = true;
            }
    return bad;
}

void check_capabilities(struct run *r)
{
    struct val *names = run_bad(r, bad_capability);
    run_say(r, names, "non-default capabilities", arena_printf(r->a, "must not include %s in securityContext.capabilities.add", run_quoted(r, r->values)));
}

void check_host_namespaces(struct run *r)
{
    struct val *list = val_new(r->a, VAL_ARR);
    for (const char *const *m = r->allowed; *m; m++)
        if (json_bool(r->spec, *m, false))
            val_push(list, val_of_str(r->a, str_of(arena_printf(r->a, "%s=true", *m))));
    if (!run_n(list))
        return;
    r->reason = "host namespaces";
    r->detail = run_join(r->a, list, "");
}

void check_host_path(struct run *r)
{
    struct val *volumes = json_get(r->spec, STR("volumes")), *names = val_new(r->a, VAL_ARR);
    if (val_is(volumes, VAL_ARR))
        val_each(v, volumes)
            if (json_get(v, STR("hostPath")))
                val_push(names, val_of_str(r->a, json_str(v, "name")));
    if (!run_n(names))
        return;
    r->reason = "hostPath volumes";
    r->detail = arena_printf(r->a, "%s %s", run_some(names, "volume", "volumes"), run_quoted(r, names));
}

static bool bad_port(struct run *r, const struct val *c)
{
    const struct val *ports = json_get(c, STR("ports"));
    bool bad = false;
    if (val_is(ports, VAL_ARR))
        val_each(p, ports) {
            int64_t n = json_int(p, "hostPort", 0);
            if (n)
                run_insert(r, str_of(arena_printf(r->a, "%lld", (long long)n)));
            bad |= n != 0;
        }
    return bad;
}

void check_host_ports(struct run *r)
{
    struct val *names = run_bad(r, bad_port);
    run_say(r, names, "hostPort", arena_printf(r->a, "%s %s %s", run_some(names, "uses", "use"), run_some(r->values, "hostPort", "hostPorts"), run_join(r->a, r->values, "")));
}

static bool bad_hosts(struct run *r, const struct val *c)
{
    static const char *const where[] = { "livenessProbe",  "readinessProbe",      "startupProbe",
                                         "lifecycle.postStart", "lifecycle.preStop" };
    static const char *const how[] = { "httpGet.host", "tcpSocket.host" };
    bool bad = false;
    for (size_t i = 0; i < sizeof where / sizeof *where; i++)
        for (int k = 0; k < 2; k++) {
            struct str host = json_str(json_path(c, where[i]), how[k]);
            if (host.len)
                run_insert(r, host);
            bad |= host.len != 0;
        }
    return bad;
}

void check_probe_hosts(struct run *r)
{
    struct val *names = run_bad(r, bad_hosts), *hosts = r->values;
    r->values = val_new(r->a, VAL_ARR);         /* here upstream sorts the containers, too */
    for (const struct val *v = names ? names->first : NULL; v; v = v->next)
        run_insert(r, val_str(v));
    run_say(r, r->values, "probe or lifecycle host",
                   arena_printf(r->a, "%s %s %s", run_some(r->values, "uses", "use"), run_some(hosts, "probe or lifecycle host", "probe or lifecycle hosts"), run_quoted(r, hosts)));
}

static bool is_privileged(struct run *r, const struct val *c)
{
    (void)r;
    return json_bool(c, "securityContext.privileged", false);
}

void check_privileged(struct run *r)
{
    run_say(r, run_bad(r, is_privileged), "privileged", "must not set securityContext.privileged=true");
}

static bool bad_proc(struct run *r, const struct val *c)
{
    struct str mount = json_str(c, "securityContext.procMount");
    if (!mount.at || str_is(mount, "Default"))
        return false;
    run_insert(r, mount);
    return true;
}

void check_proc_mount(struct run *r)
{
    struct val *names = run_bad(r, bad_proc);
    run_say(r, names, "procMount", arena_printf(r->a, "must not set securityContext.procMount to %s", run_quoted(r, r->values)));
}

void check_proc_mount_users(struct run *r)
{
    if (!run_user_namespace(r))
        check_proc_mount(r);
}

static bool bad_selinux(struct run *r, const struct val *c)
{
    const struct val *o = json_path(c, "securityContext.seLinuxOptions");
    struct str type = json_str(o, "type");
    if (!val_is(o, VAL_OBJ))
        return false;
    bool user = json_str(o, "user").len != 0, role = json_str(o, "role").len != 0, bad = type.len && !run_in(r->allowed, type);
    if (bad)
        run_insert(r, type);
    r->flags[0] |= user;
    r->flags[1] |= role;
    return bad || user || role;
}

void check_selinux(struct run *r)
{
    bool pod = bad_selinux(r, r->spec);
    const char *who = run_setters(r, pod, run_bad(r, bad_selinux));
    bool types = run_n(r->values) != 0;
    if (!who)
        return;
    r->reason = "seLinuxOptions";
    r->detail = arena_printf(r->a, "%s set forbidden securityContext.seLinuxOptions: %s%s%s%s%s%s%s", who, types ? run_some(r->values, "type", "types") : "",
                             types ? " " : "", types ? run_quoted(r, r->values) : "", types && r->flags[0] ? "; " : "", r->flags[0] ? "user may not be set" : "",
                             (types || r->flags[0]) && r->flags[1] ? "; " : "", r->flags[1] ? "role may not be set" : "");
}

static bool good_seccomp_annotation(struct str v)
{
    return str_is(v, "runtime/default") || str_is(v, "docker/default") || str_starts(v, STR("localhost/"));
}

static void look_at_annotation(struct run *r, const char *key)
{
    const struct val *v = json_get(json_get(r->meta, STR("annotations")), str_of(key));
    if (v && !good_seccomp_annotation(val_str(v)))
        run_insert(r, str_of(arena_printf(r->a, "%s=\"" STR_FMT "\"", key, STR_ARG(val_str(v)))));
}

static bool seccomp_annotation(struct run *r, const struct val *c)
{
    look_at_annotation(r, arena_printf(r->a, "container.seccomp.security.alpha.kubernetes.io/" STR_FMT, STR_ARG(json_str(c, "name"))));
    return false;
}

void check_seccomp_annotations(struct run *r)
{
    look_at_annotation(r, "seccomp.security.alpha.kubernetes.io/pod");
    run_bad(r, seccomp_annotation);
    if (!run_n(r->values))
        return;
    r->reason = "seccompProfile";
    r->detail = arena_printf(r->a, "forbidden %s %s", run_some(r->values, "annotation", "annotations"), run_join(r->a, r->values, ""));
}

static bool bad_seccomp(struct run *r, const struct val *c)
{
    const struct val *profile = json_path(c, "securityContext.seccompProfile");
    struct str type = json_str(profile, "type");
    if (!val_is(profile, VAL_OBJ) || run_in(r->allowed, type))
        return false;
    run_insert(r, type);
    return true;
}

void check_seccomp(struct run *r)
{
    bool pod = bad_seccomp(r, r->spec);
    const char *who = run_setters(r, pod, run_bad(r, bad_seccomp));
    if (!who)
        return;
    r->reason = "seccompProfile";
    r->detail = arena_printf(r->a, "%s must not set securityContext.seccompProfile.type to %s", who, run_quoted(r, r->values));
}

void check_sysctls(struct run *r)
{
    const struct val *list = json_path(r->spec, "securityContext.sysctls");
    struct val *names = val_new(r->a, VAL_ARR);
    if (val_is(list, VAL_ARR))
        val_each(s, list)
            if (!run_in(r->allowed, json_str(s, "name")))
                val_push(names, val_of_str(r->a, json_str(s, "name")));
    if (!run_n(names))
        return;
    r->reason = "forbidden sysctls";
    r->detail = run_join(r->a, names, "");
}

static bool host_process(struct run *r, const struct val *c)
{
    (void)r;
    return json_bool(c, "securityContext.windowsOptions.hostProcess", false);
}

void check_windows(struct run *r)
{
    const char *who = run_setters(r, host_process(r, r->spec), run_bad(r, host_process));
    if (!who)
        return;
    r->reason = "hostProcess";
    r->detail = arena_printf(r->a, "%s must not set securityContext.windowsOptions.hostProcess=true", who);
}
