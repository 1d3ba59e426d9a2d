/* checks.c - the Pod Security Standards: a row per check and version. */
#include "check.h"

#define LIST(...) (const char *const[]){ __VA_ARGS__, NULL }
#define PROFILES LIST("RuntimeDefault", "Localhost")
#define CAPABILITIES LIST("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT")
#define SELINUX "container_t", "container_init_t", "container_kvm_t"
#define SYSCTLS_0 "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"
#define SYSCTLS_27 SYSCTLS_0, "net.ipv4.ip_local_reserved_ports"
#define SYSCTLS_29 SYSCTLS_27, "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes"
#define VOLUMES LIST("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret")

/* In the order in which upstream reports them. A check holds from its version to the one below the next row of the same name. `instead`: the
 * restricted level does not ask the baseline check of that name as well. */
static const struct check {
    const char *id;
    enum level level;
    int32_t minor;
    void (*run)(struct run *r);
    const char *const *allowed;
    const char *instead;
} checks[] = {
    { "appArmorProfile", BASELINE, 0, check_apparmor, PROFILES, NULL },
    { "capabilities_baseline", BASELINE, 0, check_capabilities, CAPABILITIES, NULL },
    { "hostNamespaces", BASELINE, 0, check_host_namespaces, LIST("hostNetwork", "hostPID", "hostIPC"), NULL },
    { "hostPathVolumes", BASELINE, 0, check_host_path, NULL, NULL },
    { "hostPorts", BASELINE, 0, check_host_ports, NULL, NULL },
    { "hostProbesAndHostLifecycle", BASELINE, 34, check_probe_hosts, NULL, NULL },
    { "privileged", BASELINE, 0, check_privileged, NULL, NULL },
    { "procMount", BASELINE, 0, check_proc_mount, NULL, NULL },
    { "procMount", BASELINE, 35, check_proc_mount_users, NULL, NULL },
    { "seLinuxOptions", BASELINE, 0, check_selinux, LIST(SELINUX), NULL },
    { "seLinuxOptions", BASELINE, 31, check_selinux, LIST(SELINUX, "container_engine_t"), NULL },
    { "seccompProfile_baseline", BASELINE, 0, check_seccomp_annotations, NULL, NULL },
    { "seccompProfile_baseline", BASELINE, 19, check_seccomp, PROFILES, NULL },
    { "sysctls", BASELINE, 0, check_sysctls, LIST(SYSCTLS_0), NULL },
    { "sysctls", BASELINE, 27, check_sysctls, LIST(SYSCTLS_27), NULL },
    { "sysctls", BASELINE, 29, check_sysctls, LIST(SYSCTLS_29), NULL },
    { "sysctls", BASELINE, 32, check_sysctls, LIST(SYSCTLS_29, "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"), NULL },
    { "windowsHostProcess", BASELINE, 0, check_windows, NULL, NULL },
    { "allowPrivilegeEscalation", RESTRICTED, 8, check_escalation, NULL, NULL },
    { "allowPrivilegeEscalation", RESTRICTED, 25, check_escalation_linux, NULL, NULL },
    { "capabilities_restricted", RESTRICTED, 22, check_capabilities_restricted, LIST("NET_BIND_SERVICE"), "capabilities_baseline" },
    { "capabilities_restricted", RESTRICTED, 25, check_capabilities_linux, LIST("NET_BIND_SERVICE"), "capabilities_baseline" },
    { "procMount_restricted", RESTRICTED, 35, check_proc_mount, NULL, "procMount" },
    { "restrictedVolumes", RESTRICTED, 0, check_volumes, VOLUMES, "hostPathVolumes" },
    { "runAsNonRoot", RESTRICTED, 0, check_non_root, NULL, NULL },
    { "runAsNonRoot", RESTRICTED, 35, check_non_root_users, NULL, NULL },
    { "runAsUser", RESTRICTED, 23, check_run_as_user, NULL, NULL },
    { "runAsUser", RESTRICTED, 35, check_run_as_user_users, NULL, NULL },
    { "seccompProfile_restricted", RESTRICTED, 19, check_seccomp_restricted, PROFILES, "seccompProfile_baseline" },
    { "seccompProfile_restricted", RESTRICTED, 25, check_seccomp_linux, PROFILES, "seccompProfile_baseline" },
};
#define N_CHECKS (sizeof checks / sizeof *checks)

/* Is row i in force at that version? */
static bool holds(size_t i, int32_t minor)
{
    return checks[i].minor <= minor && (i + 1 == N_CHECKS || strcmp(checks[i].id, checks[i + 1].id) != 0 || checks[i + 1].minor > minor);
}

static bool replaced(const char *id, struct level_version lv)
{
    for (size_t i = 0; lv.level == RESTRICTED && i < N_CHECKS; i++)
        if (checks[i].instead && strcmp(checks[i].instead, id) == 0 && holds(i, lv.minor))
            return true;
    return false;
}

void check_pod(struct arena *a, struct level_version lv, const struct val *meta, const struct val *spec, struct findings *ret)
{
    ret->n = 0;
    for (size_t i = 0; i < N_CHECKS; i++) {
        if (checks[i].level > lv.level || !holds(i, lv.minor) || replaced(checks[i].id, lv))
            continue;
        struct run r = { .a = a, .meta = meta, .spec = spec, .values = val_new(a, VAL_ARR), .allowed = checks[i].allowed };
        if (!r.values)
            return;
        checks[i].run(&r);
        if (r.reason)
            ret->at[ret->n++] = (struct finding){ r.reason, r.detail };
    }
}

const char *findings_text(struct arena *a, const struct findings *f, bool details)
{
    _cleanup_buf_ struct buf b = BUF_INIT(256 << 10);
    for (unsigned i = 0; i < f->n; i++) {
        buf_printf(&b, "%s%s", i ? ", " : "", f->at[i].reason);
        if (details)
            buf_printf(&b, " (%s)", f->at[i].detail ? f->at[i].detail : "");
    }
    return arena_dup(a, buf_str(&b));
}
