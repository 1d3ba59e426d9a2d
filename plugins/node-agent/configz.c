/* configz.c - the agent's settings as upstream's kubelet tells its own (KubeletConfiguration): what has a counterpart here, with the value that counts. */
#include "serve.h"

static void duration(struct arena *ar, struct val *o, const char *key, int64_t ns)
{
    int64_t s = ns / NS_PER_S, h = s / 3600, m = s / 60 % 60;
    char *text = h ? arena_printf(ar, "%lldh%lldm%llds", (long long)h, (long long)m, (long long)(s % 60)) :
                 m ? arena_printf(ar, "%lldm%llds", (long long)m, (long long)(s % 60)) : arena_printf(ar, "%llds", (long long)s);
    json_set_str(ar, o, str_of(key), str_of(text ? text : "0s"));
}

/* "memory.available<100Mi,nodefs.available<10%" as an object; nothing when there is nothing. */
static void pairs(struct arena *ar, struct val *o, const char *key, const char *text, char between)
{
    for (struct str rest = str_of(text ? text : ""); rest.at && rest.len;) {
        struct str value = str_cut(&rest, ','), name = str_trim(str_cut(&value, between));
        if (name.len && value.at)
            json_set_str(ar, json_obj(ar, o, str_of(key)), arena_str(ar, name), arena_str(ar, str_trim(value)));
    }
}

static void who_may(struct arena *ar, struct val *o)
{
    struct val *authn = json_obj(ar, o, STR("authentication")), *authz = json_obj(ar, o, STR("authorization"));
    json_obj(ar, authn, STR("x509"));
    struct val *tokens = json_obj(ar, authn, STR("webhook")), *may;
    set_b(ar, tokens, "enabled", true);
    duration(ar, tokens, "cacheTTL", 120 * NS_PER_S);
    set_b(ar, json_obj(ar, authn, STR("anonymous")), "enabled", false);
    set_z(ar, authz, "mode", "Webhook");
    may = json_obj(ar, authz, STR("webhook"));
    duration(ar, may, "cacheAuthorizedTTL", 300 * NS_PER_S);
    duration(ar, may, "cacheUnauthorizedTTL", 30 * NS_PER_S);
}

static void evictions(const struct agent_conf *c, struct arena *ar, struct val *o)
{
    pairs(ar, o, "evictionHard", c->eviction_hard, '<');
    pairs(ar, o, "evictionSoft", c->eviction_soft, '<');
    pairs(ar, o, "evictionSoftGracePeriod", c->eviction_soft_grace, '=');
    pairs(ar, o, "evictionMinimumReclaim", c->eviction_minimum_reclaim, '=');
    duration(ar, o, "evictionPressureTransitionPeriod", c->eviction_pressure_transition);
    set_i(ar, o, "evictionMaxPodGracePeriod", c->eviction_max_pod_grace);
    duration(ar, o, "imageMinimumGCAge", c->image_min_age);
    duration(ar, o, "imageMaximumGCAge", c->image_max_age);
    set_i(ar, o, "imageGCHighThresholdPercent", c->image_gc_high);
    set_i(ar, o, "imageGCLowThresholdPercent", c->image_gc_low);
}

/* 10Mi and the like, where it is one. */
static void bytes(struct arena *ar, struct val *o, const char *key, int64_t n)
{
    static const char *const units[] = { "", "Ki", "Mi", "Gi" };
    size_t u = 0;
    for (; u < 3 && n && n % 1024 == 0; u++)
        n /= 1024;
    char *text = arena_printf(ar, "%lld%s", (long long)n, units[u]);
    json_set_str(ar, o, str_of(key), str_of(text ? text : ""));
}

struct val *configz(const struct agent *a, struct arena *ar)
{
    const struct agent_conf *c = a->conf;
    struct val *v = val_new(ar, VAL_OBJ), *o = json_obj(ar, v, STR("kubeletconfig"));
    set_b(ar, o, "enableServer", c->port != 0);
    duration(ar, o, "syncFrequency", 60 * NS_PER_S);
    set_z(ar, o, "address", "0.0.0.0");
    set_i(ar, o, "port", c->port);
    who_may(ar, o);
    set_b(ar, o, "enableDebuggingHandlers", true);
    set_z(ar, o, "clusterDomain", c->cluster_domain);
    for (const char *const *s = c->cluster_dns; s && *s; s++)
        val_push(json_arr(ar, o, STR("clusterDNS")), val_of_str(ar, str_of(*s)));
    duration(ar, o, "nodeStatusUpdateFrequency", 10 * NS_PER_S);
    duration(ar, o, "nodeStatusReportFrequency", 300 * NS_PER_S);
    set_i(ar, o, "nodeLeaseDurationSeconds", 40);
    set_z(ar, o, "cgroupDriver", "cgroupfs");
    set_z(ar, o, "cpuManagerPolicy", "none");
    set_z(ar, o, "memoryManagerPolicy", "None");
    set_z(ar, o, "topologyManagerPolicy", "none");
    set_i(ar, o, "maxPods", c->max_pods);
    set_b(ar, o, "failSwapOn", false);
    set_b(ar, o, "serializeImagePulls", false);
    set_b(ar, o, "enableControllerAttachDetach", true);
    set_b(ar, o, "enableProfilingHandler", false);
    set_b(ar, o, "enableSystemLogHandler", true);
    evictions(c, ar, o);
    bytes(ar, o, "containerLogMaxSize", c->log_max_bytes);
    set_i(ar, o, "containerLogMaxFiles", c->log_files);
    return v;
}

/* --- the pods that run, as the runtime has them: upstream tells no more of them than this --- */

static void add_running(struct arena *ar, struct val *items, const struct val *sandbox, const struct val *containers)
{
    struct val *o = val_new(ar, VAL_OBJ), *meta = json_obj(ar, o, STR("metadata")), *list = json_arr(ar, json_obj(ar, o, STR("spec")), STR("containers"));
    set_s(ar, meta, "name", json_str(sandbox, "metadata.name"));
    set_s(ar, meta, "namespace", json_str(sandbox, "metadata.namespace"));
    set_s(ar, meta, "uid", json_str(sandbox, "metadata.uid"));
    json_set(ar, meta, STR("creationTimestamp"), val_new(ar, VAL_NULL));
    json_obj(ar, o, STR("status"));
    bool any = str_is(json_str(sandbox, "state"), "SANDBOX_READY");
    if (val_is(containers, VAL_ARR))
        val_each(k, containers)
        {
            if (!str_eq(json_str(k, "podSandboxId"), json_str(sandbox, "id")) || !str_ends(json_str(k, "state"), STR("RUNNING")))
                continue;
            struct val *to = val_push(list, val_new(ar, VAL_OBJ));
            set_s(ar, to, "name", json_str(k, "metadata.name"));
            set_s(ar, to, "image", json_str(k, "image.image"));
            json_obj(ar, to, STR("resources"));
            any = true;
        }
    if (any)
        val_push(items, o);
}

int running_pods(struct agent *a, struct kl_call *c, struct arena *ar, struct val **ret)
{
    struct kl_bytes got = { NULL, 0 };
    int rc = agent_runtime(a, c);
    if (rc == 0)
        rc = a->rt->list(a->rt_self, c, NULL, &got);
    const struct val *all = rc == 0 ? agent_parse(ar, c, got) : NULL, *sandboxes = json_get(all, STR("sandboxes"));
    if (!all)
        return rc < 0 ? rc : -c->err.code;
    struct val *v = val_new(ar, VAL_OBJ);
    set_z(ar, v, "kind", "PodList");
    set_z(ar, v, "apiVersion", "v1");
    json_obj(ar, v, STR("metadata"));
    struct val *items = json_arr(ar, v, STR("items"));
    if (val_is(sandboxes, VAL_ARR))
        val_each(s, sandboxes)
            add_running(ar, items, s, json_get(all, STR("containers")));
    *ret = v;
    return 0;
}
