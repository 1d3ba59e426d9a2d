/* validate_security.c - security contexts of pods and of containers. */
#include "object/validate.h"

#define ID_MOST 2147483647LL

static void check_id(causes c, const struct path *p, const struct val *id)
{
    if (id)
        check_between(c, p, id->i, 0, ID_MOST);
}

static void check_seccomp(causes c, const struct path *p, const struct val *s)
{
    static const char *const types[] = { "Localhost", "RuntimeDefault", "Unconfined", NULL };
    struct str type = json_str(s, "type");
    struct val *profile = json_get(s, STR("localhostProfile"));
    if (!s)
        return;
    if (!type.len)
        say_required(c, IN(p, "type"), "type is required when seccompProfile is set");
    else
        check_choice(c, IN(p, "type"), type, types);
    if (!str_is(type, "Localhost")) {
        if (profile) {
            struct val *shown = val_new(c->arena, VAL_OBJ);
            json_set_str(c->arena, shown, STR("Type"), type);
            json_set_str(c->arena, shown, STR("LocalhostProfile"), val_str(profile));
            say_invalid_val(c, IN(p, "localhostProfile"), shown, "can only be set when seccomp type is Localhost");
        }
    } else if (!profile) {
        say_required(c, IN(p, "localhostProfile"), "must be set when seccomp type is Localhost");
    } else {
        check_local_path(c, IN(p, "localhostProfile"), val_str(profile), false);
    }
}

static void check_app_armor(causes c, const struct path *p, const struct val *s)
{
    static const char *const types[] = { "Localhost", "RuntimeDefault", "Unconfined", NULL };
    struct str type = json_str(s, "type"), profile = json_str(s, "localhostProfile");
    bool there = json_get(s, STR("localhostProfile")) != NULL;
    const struct path *here = IN(p, "localhostProfile");
    if (!s)
        return;
    if (str_is(type, "Localhost")) {
        if (!there)
            say_required(c, here, "must be set when AppArmor type is Localhost");
        else if (!str_eq(str_trim(profile), profile))
            say_invalid(c, here, profile, "must not be padded with whitespace");
        else if (!profile.len)
            say_required(c, here, "must be set when AppArmor type is Localhost");
        if (profile.len > 4095)
            say_too_long(c, here, 4095, "bytes");
    } else if (str_is(type, "RuntimeDefault") || str_is(type, "Unconfined")) {
        if (there)
            say_invalid(c, here, profile, "can only be set when AppArmor type is Localhost");
    } else if (!type.len) {
        say_required(c, IN(p, "type"), "type is required when appArmorProfile is set");
    } else {
        say_unsupported(c, IN(p, "type"), type, types);
    }
}

/* --- sysctls --- */

/* Segments of [a-z0-9], '-' and '_' inside, between dots or slashes. */
static bool is_sysctl(struct str s)
{
    bool edge = true;
    if (!s.len || s.len > 253)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char ch = s.at[i];
        bool plain = (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9'), sep = ch == '.' || ch == '/';
        char next = i + 1 < s.len ? s.at[i + 1] : '.';
        if (!plain && !sep && ch != '-' && ch != '_')
            return false;
        if (!plain && (edge || next == '.' || next == '/'))
            return false;
        edge = sep;
    }
    return true;
}

static void check_sysctls(causes c, const struct path *p, const struct val *list, const struct val *spec)
{
    static const char *const net[] = { "net.", "net/" }, *const ipc[] = { "kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue." };
    _cleanup_met_ struct met names = { 0 };
    LIST_EACH (s, at, list) {
        const struct path *here = IN(ITEM(p, at.i), "name");
        struct str name = json_str(s, "name");
        bool twice = met_again(&names, name);
        if (!name.len)
            say_required(c, here, NULL);
        else if (!is_sysctl(name))
            say_invalid(c, here, name, "must have at most 253 characters and match regex "
                        "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$");
        else if (twice)
            say_duplicate(c, here, name);
        for (int i = 0; i < 2 && json_bool(spec, "hostNetwork", false); i++)
            if (str_starts(name, str_of(net[i])))
                say_invalid(c, here, name, "may not be specified when 'hostNetwork' is set to true");
        for (int i = 0; i < 4 && json_bool(spec, "hostIPC", false); i++)
            if (str_starts(name, str_of(ipc[i])))
                say_invalid(c, here, name, "may not be specified when 'hostIPC' is set to true");
    }
}

/* --- Windows' own --- */

/* All containers run as processes of the host, or none, and on its network. */
static void check_host_process(causes c, const struct path *p, const struct val *spec)
{
    static const char *const lists[] = { "initContainers", "containers", "ephemeralContainers" };
    const struct val *pod = json_path(spec, "securityContext.windowsOptions.hostProcess");
    unsigned all = 0, on_host = 0;
    for (int i = 0; i < 3; i++)
        LIST_EACH (x, at, json_get(spec, str_of(lists[i]))) {
            const struct val *own = json_path(x, "securityContext.windowsOptions.hostProcess");
            if (own && pod && !val_equal(own, pod))
                say_invalid_val(c, IN(IN(IN(ITEM(IN(p, lists[i]), at.i), "securityContext"), "windowsOptions"), "hostProcess"), own,
                                words(c, "pod hostProcess value must be identical if both are specified, was %s",
                                      json_bool(spec, "securityContext.windowsOptions.hostProcess", false) ? "true" : "false"));
            all++;
            on_host += own ? json_bool(x, "securityContext.windowsOptions.hostProcess", false) :
                       json_bool(spec, "securityContext.windowsOptions.hostProcess", false);
        }
    if (!on_host)
        return;
    if (on_host != all)
        say_invalid(c, p, STR(""), "If pod contains any hostProcess containers then all containers must be HostProcess containers");
    if (!json_bool(spec, "hostNetwork", false))
        say_invalid_val(c, IN(p, "hostNetwork"), val_of_bool(c->arena, false), "hostNetwork must be true if pod contains any hostProcess containers");
}

/* --- contexts --- */

void check_pod_security(causes c, const struct path *p, const struct val *s, const struct val *spec)
{
    static const char *const change[] = { "Always", "OnRootMismatch", NULL }, *const groups[] = { "Merge", "Strict", NULL };
    static const char *const selinux[] = { "Recursive", NULL };         /* MountOption needs a feature that is off by default */
    check_host_process(c, p->up, spec);
    if (json_bool(spec, "shareProcessNamespace", false) && json_bool(spec, "hostPID", false)) {
        struct val *v = val_of_bool(c->arena, true);
        say_invalid_val(c, IN(p, "shareProcessNamespace"), v, "ShareProcessNamespace and HostPID cannot both be enabled");
    }
    if (!s)
        return;
    check_id(c, IN(p, "fsGroup"), json_get(s, STR("fsGroup")));
    check_id(c, IN(p, "runAsUser"), json_get(s, STR("runAsUser")));
    check_id(c, IN(p, "runAsGroup"), json_get(s, STR("runAsGroup")));
    LIST_EACH (g, at, json_get(s, STR("supplementalGroups")))
        check_id(c, ITEM(IN(p, "supplementalGroups"), at.i), g);
    check_sysctls(c, IN(p, "sysctls"), json_get(s, STR("sysctls")), spec);
    if (json_get(s, STR("fsGroupChangePolicy")))
        check_choice(c, IN(p, "fsGroupChangePolicy"), json_str(s, "fsGroupChangePolicy"), change);
    check_seccomp(c, IN(p, "seccompProfile"), json_get(s, STR("seccompProfile")));
    check_app_armor(c, IN(p, "appArmorProfile"), json_get(s, STR("appArmorProfile")));
    if (json_get(s, STR("supplementalGroupsPolicy")))
        check_choice(c, IN(p, "supplementalGroupsPolicy"), json_str(s, "supplementalGroupsPolicy"), groups);
    if (json_get(s, STR("seLinuxChangePolicy")))
        check_choice(c, IN(p, "seLinuxChangePolicy"), json_str(s, "seLinuxChangePolicy"), selinux);
}

/* What a pod that says which system it is for may not say then: of itself, and of each container's securityContext. */
static const struct system_rule {
    const char *system, *member;        /* a path below the pod's spec, or below a container's context */
    bool container, when_true;          /* when_true: false is as good as nothing */
    const char *why;
} system_rules[] = {
#define WINDOWS "cannot be set for a windows pod"
#define LINUX   "windows options cannot be set for a linux pod"
    { "linux", "securityContext.windowsOptions", false, false, LINUX },
    { "linux", "windowsOptions", true, false, LINUX },
    { "windows", "securityContext.appArmorProfile", false, false, WINDOWS },
    { "windows", "securityContext.seLinuxOptions", false, false, WINDOWS },
    { "windows", "hostUsers", false, false, WINDOWS },
    { "windows", "hostPID", false, true, WINDOWS },
    { "windows", "hostIPC", false, true, WINDOWS },
    { "windows", "securityContext.seccompProfile", false, false, WINDOWS },
    { "windows", "securityContext.fsGroup", false, false, WINDOWS },
    { "windows", "securityContext.fsGroupChangePolicy", false, false, WINDOWS },
    { "windows", "securityContext.sysctls", false, false, WINDOWS },
    { "windows", "shareProcessNamespace", false, false, WINDOWS },
    { "windows", "securityContext.runAsUser", false, false, WINDOWS },
    { "windows", "securityContext.runAsGroup", false, false, WINDOWS },
    { "windows", "securityContext.supplementalGroups", false, false, WINDOWS },
    { "windows", "securityContext.supplementalGroupsPolicy", false, false, WINDOWS },
    { "windows", "securityContext.seLinuxChangePolicy", false, false, WINDOWS },
    { "windows", "appArmorProfile", true, false, WINDOWS },
    { "windows", "seLinuxOptions", true, false, WINDOWS },
    { "windows", "seccompProfile", true, false, WINDOWS },
    { "windows", "capabilities", true, false, WINDOWS },
    { "windows", "readOnlyRootFilesystem", true, false, WINDOWS },
    { "windows", "privileged", true, false, WINDOWS },
    { "windows", "allowPrivilegeEscalation", true, false, WINDOWS },
    { "windows", "procMount", true, false, WINDOWS },
    { "windows", "runAsUser", true, false, WINDOWS },
    { "windows", "runAsGroup", true, false, WINDOWS },
};

static void check_system_rules(causes c, const struct path *p, const struct val *v, struct str system, bool container)
{
    for (size_t i = 0; i < sizeof system_rules / sizeof *system_rules; i++) {
        const struct system_rule *r = &system_rules[i];
        const struct val *is = r->container == container && str_is(system, r->system) ? json_path(v, r->member) : NULL;
        struct str member = str_of(r->member), first = str_cut(&member, '.');
        const struct path here = { p, first, 0 };
        if (is && !(r->when_true && !is->i) && !(is->type == VAL_ARR && !is->n && str_is(member, "sysctls")))
            say_forbidden(c, member.len ? &(struct path){ &here, member, 0 } : &here, r->why);
    }
}

void check_pod_system(causes c, const struct path *p, const struct val *spec, struct str system)
{
    static const char *const lists[] = { "initContainers", "containers", "ephemeralContainers" };
    check_system_rules(c, p, spec, system, false);
    for (int i = 0; i < 3; i++)
        LIST_EACH (x, at, json_get(spec, str_of(lists[i])))
            check_system_rules(c, IN(ITEM(IN(p, lists[i]), at.i), "securityContext"), json_get(x, STR("securityContext")), system, true);
}

/* As upstream shows a context: every member of its own type, in its order. */
static const struct val *shown(causes c, const struct val *s)
{
    static const char *const rows[][2] = { { "Capabilities", "capabilities" }, { "Privileged", "privileged" }, { "SELinuxOptions", "seLinuxOptions" },
        { "WindowsOptions", "windowsOptions" }, { "RunAsUser", "runAsUser" }, { "RunAsGroup", "runAsGroup" }, { "RunAsNonRoot", "runAsNonRoot" },
        { "ReadOnlyRootFilesystem", "readOnlyRootFilesystem" }, { "AllowPrivilegeEscalation", "allowPrivilegeEscalation" }, { "ProcMount", "procMount" },
        { "SeccompProfile", "seccompProfile" }, { "AppArmorProfile", "appArmorProfile" } };
    static const char *const parts[][3] = { { "capabilities", "Add", "add" }, { "capabilities", "Drop", "drop" }, { "seccompProfile", "Type", "type" },
        { "seccompProfile", "LocalhostProfile", "localhostProfile" }, { "appArmorProfile", "Type", "type" },
        { "appArmorProfile", "LocalhostProfile", "localhostProfile" } };
    struct arena *a = c->arena;
    struct val *v = val_new(a, VAL_OBJ);
    for (int i = 0; i < 12; i++) {
        struct val *m = json_get(s, str_of(rows[i][1])), *put = m ? val_copy(a, m) : val_new(a, VAL_NULL);
        if (m && m->type == VAL_OBJ) {
            put = val_new(a, VAL_OBJ);
            for (int k = 0; k < 6; k++)
                if (strcmp(parts[k][0], rows[i][1]) == 0) {
                    struct val *x = json_get(m, str_of(parts[k][2]));
                    json_set(a, put, str_of(parts[k][1]), x ? val_copy(a, x) : val_new(a, VAL_NULL));
                }
        }
        json_set(a, v, str_of(rows[i][0]), put);
    }
    return v;
}

void check_container_security(causes c, const struct path *p, const struct val *s)
{
    static const char *const mounts[] = { "Default", "Unmasked", NULL };
    struct val *proc = json_get(s, STR("procMount"));
    if (!s)
        return;
    check_id(c, IN(p, "runAsUser"), json_get(s, STR("runAsUser")));
    check_id(c, IN(p, "runAsGroup"), json_get(s, STR("runAsGroup")));
    if (proc)
        check_choice(c, IN(p, "procMount"), val_str(proc), mounts);
    check_seccomp(c, IN(p, "seccompProfile"), json_get(s, STR("seccompProfile")));
    if (!json_bool(s, "allowPrivilegeEscalation", true)) {
        if (json_bool(s, "privileged", false))
            say_invalid_val(c, p, shown(c, s), "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
        LIST_EACH (x, at, json_path(s, "capabilities.add"))
            if (str_is(val_str(x), "CAP_SYS_ADMIN"))
                say_invalid_val(c, p, shown(c, s), "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
    }
    check_app_armor(c, IN(p, "appArmorProfile"), json_get(s, STR("appArmorProfile")));
}
