/* start.c - network, sandbox and containers of one pod, each made once and found again. */
#include "counts.h"
#include "probes.h"

static struct val *host_ports(const struct pod_view *v)
{
    struct arena *ar = v->arena;
    struct val *out = val_new(ar, VAL_ARR);
    for (size_t i = 0; i < v->n; i++) {
        const struct val *ports = json_get(v->ctrs[i].spec, STR("ports"));
        if (!val_is(ports, VAL_ARR))
            continue;
        val_each(p, ports)
        {
            if (json_int(p, "hostPort", 0) <= 0)
                continue;
            struct val *o = val_push(out, val_new(ar, VAL_OBJ));
            set_i(ar, o, "hostPort", json_int(p, "hostPort", 0));
            set_i(ar, o, "containerPort", json_int(p, "containerPort", 0));
            set_s(ar, o, "protocol", json_str(p, "protocol").len ? json_str(p, "protocol") : STR("TCP"));
            set_s(ar, o, "hostIP", json_str(p, "hostIP"));
        }
    }
    return out;
}

static struct val *sysctls(const struct pod_view *v)
{
    struct val *out = val_new(v->arena, VAL_OBJ);
    const struct val *all = json_path(v->spec, "securityContext.sysctls");
    if (val_is(all, VAL_ARR))
        val_each(s, all)
            json_set_str(v->arena, out, view_sysctl(v, s), json_str(s, "value"));
    return out;
}

static int keep_answer(struct kl_call *c, struct pod_view *v, struct kl_bytes got)
{
    struct val *answer = agent_parse(v->arena, c, got), *ips = json_get(answer, STR("ips"));
    if (!answer)
        return kl_err_wrap(&c->err, "network's answer");
    snprintf(v->mem->netns, sizeof v->mem->netns, STR_FMT, STR_ARG(json_str(answer, "netns")));
    v->mem->n_ips = 0;
    if (val_is(ips, VAL_ARR))
        val_each(ip, ips)
            if (v->mem->n_ips < 4)
                snprintf(v->mem->ips[v->mem->n_ips++], sizeof v->mem->ips[0], STR_FMT, STR_ARG(val_str(ip)));
    v->mem->attached = true;
    return 0;
}

int start_attach(struct agent *a, struct kl_call *c, struct pod_view *v)
{
    if (v->mem->attached)
        return 0;
    if (view_host_network(v)) {
        snprintf(v->mem->ips[0], sizeof v->mem->ips[0], "%s", a->ip);
        v->mem->n_ips = 1;
        v->mem->attached = true;
        return 0;
    }
    int rc = agent_network(a, c);
    if (rc < 0)
        return rc;
    struct val *pod = val_new(v->arena, VAL_OBJ);
    struct kl_bytes got = { NULL, 0 };
    set_s(v->arena, pod, "namespace", v->ns);
    set_s(v->arena, pod, "name", v->name);
    set_s(v->arena, pod, "uid", v->uid);
    set_v(v->arena, pod, "hostPorts", host_ports(v));
    set_v(v->arena, pod, "sysctls", sysctls(v));
    struct kl_bytes text = agent_text(v->arena, pod);
    if (!text.at)
        return kl_fail(c, KL_NO_MEMORY, "no memory");
    rc = a->net->attach(a->net_self, c, text, &got);
    return rc < 0 ? kl_err_wrap(&c->err, "network") : keep_answer(c, v, got);
}

static struct val *labels_of(const struct pod_view *v, struct str container)
{
    struct val *o = val_new(v->arena, VAL_OBJ);
    set_s(v->arena, o, "io.kubernetes.pod.name", v->name);
    set_s(v->arena, o, "io.kubernetes.pod.namespace", v->ns);
    set_s(v->arena, o, "io.kubernetes.pod.uid", v->uid);
    if (container.len)
        set_s(v->arena, o, "io.kubernetes.container.name", container);
    return o;
}

static struct val *namespaces(const struct pod_view *v)
{
    struct val *o = val_new(v->arena, VAL_OBJ);
    set_z(v->arena, o, "network", view_host_network(v) ? "NODE" : "POD");
    set_z(v->arena, o, "ipc", json_bool(v->spec, "hostIPC", false) ? "NODE" : "POD");
    set_z(v->arena, o, "pid", json_bool(v->spec, "hostPID", false)                 ? "NODE"
                              : json_bool(v->spec, "shareProcessNamespace", false) ? "POD"
                                                                                   : "CONTAINER");
    return o;
}

static struct val *sandbox_config(struct agent *a, struct pod_view *v, const char *logs)
{
    struct arena *ar = v->arena;
    struct val *o = val_new(ar, VAL_OBJ), *meta = json_obj(ar, o, STR("metadata"));
    set_s(ar, meta, "name", v->name);
    set_s(ar, meta, "uid", v->uid);
    set_s(ar, meta, "namespace", v->ns);
    set_i(ar, meta, "attempt", v->sandbox_attempt + 1);
    struct str name = podfiles_hostname(v);
    struct kl_err ignored;
    kl_err_init(&ignored);
    podfiles_nodename(a, v, &name, &ignored);           /* podfiles_write has asked before */
    set_s(ar, o, "hostname", name);
    set_z(ar, o, "logDirectory", logs);
    set_v(ar, o, "dnsConfig", podfiles_dns(a, v));
    set_v(ar, o, "labels", labels_of(v, STR_NONE));
    set_v(ar, o, "annotations", val_new(ar, VAL_OBJ));
    struct val *linux_ = json_obj(ar, o, STR("linux"));
    set_z(ar, linux_, "cgroupParent", resources_cgroup(ar, v));
    set_v(ar, json_obj(ar, linux_, STR("securityContext")), "namespaceOptions", namespaces(v));
    set_v(ar, linux_, "sysctls", sysctls(v));
    set_v(ar, linux_, "resources", resources_of_pod(ar, v, false));
    set_z(ar, o, "netns", view_host_network(v) ? "" : v->mem->netns);
    return o;
}

/* What failed half-way or died is stopped; kept only for the sake of containers whose ends are still told of. */
static int leave_old(struct agent *a, struct kl_call *c, struct pod_view *v)
{
    struct str sandbox = json_str(v->sandbox, "id");
    char *id = arena_dup(v->arena, sandbox);
    bool used = false;
    for (size_t i = 0; i < v->n; i++)
        used |= str_eq(json_str(v->ctrs[i].now, "podSandboxId"), sandbox) || str_eq(json_str(v->ctrs[i].before, "podSandboxId"), sandbox);
    if (!id)
        return kl_fail(c, KL_NO_MEMORY, "no memory");
    return used ? a->rt->sandbox_stop(a->rt_self, c, id) : a->rt->sandbox_remove(a->rt_self, c, id);
}

int start_sandbox(struct agent *a, struct kl_call *c, struct pod_view *v)
{
    if (!json_bool(v->spec, "hostUsers", true))         /* better not at all than as the host's root */
        return kl_fail(c, KL_UNSUPPORTED, "can't set `spec.hostUsers: false`, runtime does not support user namespaces");
    char *logs = log_dir_of(a, v->arena, v->ns, v->name, v->uid);
    if (!logs)
        return kl_fail(c, KL_NO_MEMORY, "no memory");
    int rc = disk_mkdirs(logs, 0755, &c->err);
    if (rc == 0)
        rc = podfiles_write(a, v, &c->err);
    if (rc == 0 && v->sandbox)
        rc = leave_old(a, c, v);
    if (rc < 0)
        return rc;
    struct kl_bytes text = agent_text(v->arena, sandbox_config(a, v, logs));
    const char *id = NULL;
    if (!text.at)
        return kl_fail(c, KL_NO_MEMORY, "no memory");
    return a->rt->sandbox_run(a->rt_self, c, text, &id);
}

/* Keeps a container from being tried again at once, and says why in its status. */
static int hold(struct agent *a, struct kl_call *c, struct ctr *k, const char *reason, bool grows)
{
    struct ctr_mem *m = k->mem;
    m->retry_step_ns = grows ? plan_backoff(m->retry_step_ns, 0) : BACKOFF_FIRST_NS;
    m->retry_ns = agent_mono(a) + m->retry_step_ns;
    snprintf(m->reason, sizeof m->reason, "%s", reason);
    snprintf(m->message, sizeof m->message, "%s", c->err.msg);
    return -c->err.code;
}

static void begin_life(struct agent *a, struct ctr *k, const char *id)
{
    struct ctr_mem *m = k->mem;
    pthread_mutex_lock(&a->lock);
    if (k->state == RUN_EXITED && (!k->stale || k->trigger) && !ctr_again(k))
        m->backoff_ns = plan_backoff(m->backoff_ns, k->started_ns ? k->finished_ns - k->started_ns : 0);
    snprintf(m->id, sizeof m->id, "%s", id);
    memset(m->probe, 0, sizeof m->probe);
    m->retry_ns = m->retry_step_ns = 0;
    m->reason[0] = m->message[0] = m->stop_id[0] = '\0';
    m->hook_done = m->again = false;
    pthread_mutex_unlock(&a->lock);
}

static int create(struct agent *a, struct kl_call *c, struct pod_view *v, struct ctr *k, const char **ret_id)
{
    const struct val *image = NULL;
    int rc = image_ensure(a, c, v, k, &image);
    if (rc < 0)
        return rc;
    struct val *conf = container_config(a, c, v, k, image, k->attempt + 1);
    struct kl_bytes text = agent_text(v->arena, conf);
    if (!text.at) {
        if (!conf)
            event_pod(a, v, k, "Failed", "Error: %s", c->err.msg);
        else
            kl_fail(c, KL_NO_MEMORY, "no memory");
        return hold(a, c, k, "CreateContainerConfigError", false);
    }
    set_v(v->arena, conf, "labels", labels_of(v, k->name));
    text = agent_text(v->arena, conf);
    char *sandbox = arena_dup(v->arena, json_str(v->sandbox, "id"));
    rc = sandbox && text.at ? a->rt->container_create(a->rt_self, c, sandbox, text, ret_id) : kl_fail(c, KL_NO_MEMORY, "no memory");
    if (rc < 0) {
        count_start(k->kind, "CreateContainerError");
        event_pod(a, v, k, "Failed", "Error: %s", c->err.msg);
        return hold(a, c, k, "CreateContainerError", true);
    }
    event_pod(a, v, k, "Created", "Container created");
    return 0;
}

static int post_start(struct agent *a, struct kl_call *c, struct pod_view *v, struct ctr *k)
{
    const struct val *hook = json_path(k->spec, "lifecycle.postStart");
    if (!hook)
        return 0;
    int rc = view_load(a, c, v);
    struct str name = k->name;
    k = rc == 0 ? view_ctr(v, name) : NULL;
    if (!k)
        return rc;
    struct kl_call sub = call_within(a, c, 120 * NS_PER_S);
    rc = handler_run(a, &sub, v, k, hook, true);
    k->mem->hook_done = rc == 0;
    if (rc == 0)
        return 0;
    event_pod(a, v, k, "FailedPostStartHook", "PostStartHook failed: %s", sub.err.msg);
    job_stop(a, c, v, k, json_int(v->spec, "terminationGracePeriodSeconds", 30));
    return 0;
}

/* The container before the last one, with what it wrote: one earlier life is kept, as users know it. */
static void drop_old(struct agent *a, struct kl_call *c, struct pod_view *v, struct ctr *k)
{
    struct arena *ar = v->arena;
    char *old = k->before ? arena_dup(ar, json_str(k->before, "id")) : NULL, *log = arena_dup(ar, json_str(k->before, "logPath"));
    if (!old)
        return;
    if (a->rt->container_remove(a->rt_self, c, old) < 0)
        kl_log(a->host, KL_WARN, "removing an old container of pod '%s': %s", v->mem->key, c->err.msg);
    if (log && log[0])
        rotate_drop(ar, log);
    char *tail = arena_printf(ar, "/messages/" STR_FMT ".%lld", STR_ARG(k->name), (long long)json_int(k->before, "metadata.attempt", 0));
    char *message = tail ? pod_path(a, ar, v->uid, tail) : NULL;
    if (message)
        unlink(message);
}

int start_container(struct agent *a, struct kl_call *c, struct pod_view *v, struct ctr *k)
{
    const char *id = NULL;
    bool made = k->state == RUN_CREATED && !k->stale;
    int rc = 0;
    if (made)
        id = arena_dup(v->arena, ctr_id(k));
    else
        rc = create(a, c, v, k, &id);
    if (rc < 0 || !id)
        return rc < 0 ? rc : kl_fail(c, KL_NO_MEMORY, "no memory");
    rc = a->rt->container_start(a->rt_self, c, id);
    if (rc < 0) {
        count_start(k->kind, "RunContainerError");
        event_pod(a, v, k, "Failed", "Error: %s", c->err.msg);
        hold(a, c, k, "RunContainerError", true);
        struct kl_call sub = call_within(a, c, 30 * NS_PER_S);
        a->rt->container_remove(a->rt_self, &sub, id);
        return rc;
    }
    event_pod(a, v, k, "Started", "Container started");
    count_start(k->kind, NULL);
    if (!made)
        drop_old(a, c, v, k);
    begin_life(a, k, id);
    return post_start(a, c, v, k);
}
