/* admit.c - may this pod run here at all? Asked once, before anything of it is made; the scheduler has seen to the rest. */
#include "evict.h"

/* Sysctls that are the pod's own and can hurt nobody else. */
static const char *const safe_sysctls[] = {
    "kernel.shm_rmid_forced",      "net.ipv4.ip_local_port_range",     "net.ipv4.tcp_syncookies",    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes",   "net.ipv4.tcp_rmem",          "net.ipv4.tcp_wmem",
};

static bool safe(struct str name)
{
    for (size_t i = 0; i < sizeof safe_sysctls / sizeof *safe_sysctls; i++)
        if (str_is(name, safe_sysctls[i]))
            return true;
    return false;
}

__attribute__((format(printf, 4, 5))) static bool reject(struct agent *a, struct pod_view *v, const char *reason, const char *fmt, ...)
{
    char why[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    snprintf(v->mem->fail_reason, sizeof v->mem->fail_reason, "%s", reason);
    snprintf(v->mem->fail_message, sizeof v->mem->fail_message, "Pod was rejected: %s", why);
    event_pod(a, v, NULL, reason, "%s", why);
    return false;
}

static bool check_sysctls(struct agent *a, struct pod_view *v)
{
    const struct val *all = json_path(v->spec, "securityContext.sysctls");
    if (!val_is(all, VAL_ARR))
        return true;
    val_each(s, all)
    {
        struct str name = view_sysctl(v, s);
        bool shared = view_host_network(v) && str_starts(name, STR("net."));
        if (shared || (json_bool(v->spec, "hostIPC", false) && str_starts(name, STR("kernel.shm"))))
            return reject(a, v, "SysctlForbidden", "forbidden sysctl: \"" STR_FMT "\" not allowed with host %s enabled", STR_ARG(name),
                          shared ? "net" : "ipc");
        if (!safe(name))
            return reject(a, v, "SysctlForbidden", "forbidden sysctl: \"" STR_FMT "\" not allowlisted", STR_ARG(name));
    }
    return true;
}

/* What the node has, and its labels. */
static bool check_node(struct agent *a, struct kl_call *c, struct pod_view *v)
{
    const struct val *want = json_get(v->spec, STR("nodeSelector"));
    const char *name, *why;
    struct kl_object_key k = agent_key("/nodes", "", a->node, NULL);
    struct val *node = NULL;
    struct kl_call sub = *c;
    kl_err_init(&sub.err);
    if (agent_get(a, &sub, v->arena, &k, &node) < 0)
        return true;
    if (!rank_critical(v->pod) && !resize_fits(a, c, v, node, &name, &why))
        return reject(a, v, arena_printf(v->arena, "OutOf%s", name), "%s", why);
    if (!val_is(want, VAL_OBJ))
        return true;
    const struct val *labels = json_path(node, "metadata.labels");
    val_each(w, want)
        if (!str_eq(val_str(w), val_str(json_get(labels, val_key(w)))))
            return reject(a, v, "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector");
    return true;
}

/* As upstream: under disk or PID pressure nobody comes but who is critical, under memory pressure also who asked for memory, or bears it. */
static bool check_pressure(struct agent *a, struct pod_view *v)
{
    static const char *const names[PRESSURES] = { "MemoryPressure", "DiskPressure", "PIDPressure" };
    unsigned bits = atomic_load(&a->pressure);
    const struct val *bears = json_get(v->spec, STR("tolerations"));
    _cleanup_buf_ struct buf b = BUF_INIT(256);
    if (!bits || rank_critical(v->pod))
        return true;
    if (bits == 1u << PRESSURE_MEMORY) {
        if (strcmp(resources_qos(v->pod), "BestEffort") != 0)
            return true;
        for (const struct val *t = val_is(bears, VAL_ARR) ? bears->first : NULL; t; t = t->next)
            if (str_is(json_str(t, "key"), "node.kubernetes.io/memory-pressure") || (!json_str(t, "key").len && str_is(json_str(t, "operator"), "Exists")))
                return true;
    }
    for (int p = 0; p < PRESSURES; p++)
        if (bits >> p & 1)
            buf_printf(&b, "%s%s", b.len ? " " : "", names[p]);
    return reject(a, v, "Evicted", "The node had condition: [%s]. ", b.failed ? "" : buf_str(&b).at);
}

static bool check_ports(struct agent *a, struct pod_view *v)
{
    return hostports_take(a, v->mem, false) ||
           reject(a, v, "NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports");
}

static bool check_os(struct agent *a, struct pod_view *v)
{
    struct str os = json_str(v->spec, "os.name");
    return !os.len || str_is(os, "linux") || reject(a, v, "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS");
}

bool admit(struct agent *a, struct kl_call *c, struct pod_view *v)
{
    struct str phase = json_str(v->pod, "status.phase");
    if (!v->sandbox && !json_str(v->pod, "status.startTime").len && !json_str(v->meta, "deletionTimestamp").len)
        return check_pressure(a, v) && check_sysctls(a, v) && check_node(a, c, v) && check_os(a, v) && check_ports(a, v);
    bool over = str_is(phase, "Failed") || str_is(phase, "Succeeded");
    return over || hostports_take(a, v->mem, true);
}
