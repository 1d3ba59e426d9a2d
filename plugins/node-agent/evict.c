/* evict.c - see evict.h. */
#include "evict.h"

#include <stdlib.h>
#include <sys/statvfs.h>

#include "base/quantity.h"
#include "counts.h"
#include "node.h"

#define SOON_NS   (2 * NS_PER_S)            /* after an eviction it is looked again */
#define IMAGES_NS (300 * NS_PER_S)          /* between looks at images */
#define TELL_NS   (60 * NS_PER_S)           /* between events about one signal */

int evict_open(struct agent *a, struct kl_err *err)
{
    struct evict *e = mem_alloc(sizeof *e);
    int rc = e ? thresholds_read(a->conf, e, err) : kl_err_set(err, KL_NO_MEMORY, "no memory");
    if (rc == 0 && a->conf->image_gc_low > a->conf->image_gc_high)
        rc = kl_err_set(err, KL_INVALID, "'image_gc_low' is above 'image_gc_high'");
    if (rc < 0) {
        mem_free(e);
        return rc;
    }
    a->evict = e;
    return 0;
}

void evict_close(struct agent *a)
{
    if (a->evict)
        images_forget(a->evict);
    mem_free(a->evict);
    a->evict = NULL;
}

/* --- observing --- */

static void observe_fs(const char *path, struct observed *bytes, struct observed *inodes)
{
    struct statvfs s;
    if (!path || !path[0] || statvfs(path, &s) != 0)
        return;
    *bytes = (struct observed){ (int64_t)s.f_bavail * (int64_t)s.f_frsize, (int64_t)s.f_blocks * (int64_t)s.f_frsize };
    *inodes = (struct observed){ (int64_t)s.f_favail, (int64_t)s.f_files };
}

void evict_observe(struct agent *a, struct observed ret[SIGNALS])
{
    struct machine m;
    memset(ret, 0, SIGNALS * sizeof *ret);
    if (a->observe) {
        a->observe(a, ret);
        return;
    }
    machine_read(a->conf->state_dir, &m);
    ret[SIGNAL_MEMORY] = (struct observed){ m.memory_free, m.memory };
    ret[SIGNAL_PID] = (struct observed){ m.pids_most - m.pids, m.pids_most };
    observe_fs(a->conf->state_dir, &ret[SIGNAL_NODEFS], &ret[SIGNAL_NODEFS_INODES]);
    observe_fs(a->conf->image_dir && a->conf->image_dir[0] ? a->conf->image_dir : a->conf->state_dir, &ret[SIGNAL_IMAGEFS], &ret[SIGNAL_IMAGEFS_INODES]);
}

/* --- the pod that goes --- */

static int64_t request_of(const struct val *pod, const char *resource)
{
    const struct val *all = json_path(pod, "spec.containers");
    int64_t sum = 0;
    if (val_is(all, VAL_ARR))
        val_each(c, all)
            sum += quantity_text_value(val_str(json_get(json_path(c, "resources.requests"), str_of(resource))), 0);
    return sum;
}

static int64_t disk_of(struct agent *a, struct arena *ar, const struct val *pod, bool inodes)
{
    struct str uid = json_str(pod, "metadata.uid");
    char *dir = pod_path(a, ar, uid, ""), *logs = log_dir_of(a, ar, json_str(pod, "metadata.namespace"), json_str(pod, "metadata.name"), uid);
    int64_t n = 0, more = 0, bytes = dir ? disk_use(dir, &n) : 0;
    bytes += logs ? disk_use(logs, &more) : 0;
    return inodes ? n + more : bytes;
}

static void measure(struct agent *a, struct arena *ar, enum evict_signal signal, struct candidate *k)
{
    const char *resource = evict_signals[signal].resource;
    k->priority = json_int(k->pod, "spec.priority", 0);
    if (signal == SIGNAL_MEMORY) {
        k->usage = k->sampled ? k->sampled->use.working_set : 0;
        k->request = request_of(k->pod, resource);
    } else if (signal == SIGNAL_PID) {
        k->usage = k->sampled ? k->sampled->use.pids : 0;
    } else {
        k->usage = disk_of(a, ar, k->pod, strcmp(resource, "inodes") == 0);
        k->request = request_of(k->pod, resource);
    }
}

static const struct sampled_pod *sampled(const struct sample *s, struct str uid)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_eq(s->pods[i].uid, uid))
            return &s->pods[i];
    return NULL;
}

/* All that run here and are not on their way out; *ret_leaving: one is. */
static size_t find_candidates(struct agent *a, struct kl_call *c, const struct sample *s, enum evict_signal signal, struct candidate **ret, bool *ret_leaving)
{
    struct arena *ar = s->arena;
    struct kl_object_list got;
    size_t n = 0;
    *ret_leaving = false;
    if (agent_own_pods(a, c, ar, &got) < 0 || !(*ret = arena_alloc(ar, (got.n + 1) * sizeof **ret)))
        return 0;
    for (uint32_t i = 0; i < got.n; i++) {
        struct val *pod = agent_parse(ar, c, got.at[i]);
        struct pod_mem *m = pod && !pod_ended(pod) ? mem_get(a, json_str(pod, "metadata.uid")) : NULL;
        if (!m)
            continue;
        bool leaving = m->fail_reason[0] || json_str(pod, "metadata.deletionTimestamp").len;
        mem_put(a, m);
        *ret_leaving |= leaving;
        if (leaving || rank_critical(pod))
            continue;
        struct candidate *k = &(*ret)[n++];
        *k = (struct candidate){ .pod = pod, .sampled = sampled(s, json_str(pod, "metadata.uid")) };
        measure(a, ar, signal, k);
    }
    return n;
}

void evict_pod(struct agent *a, const struct val *pod, int64_t grace_s, const char *message)
{
    struct pod_mem *m = mem_get(a, json_str(pod, "metadata.uid"));
    if (!m)
        return;
    pthread_mutex_lock(&a->lock);
    bool first = !m->fail_reason[0];
    if (first) {
        snprintf(m->fail_message, sizeof m->fail_message, "%s", message);
        m->kill_grace_s = grace_s;
        m->killed_early = true;
        snprintf(m->fail_reason, sizeof m->fail_reason, "Evicted");
    }
    pthread_mutex_unlock(&a->lock);
    if (first) {
        kl_log(a->host, KL_WARN, "evicting pod '%s': %s", m->key, message);
        _cleanup_arena_ struct arena *ar = arena_new(0);
        struct pod_view v = { .arena = ar, .pod = pod, .ns = json_str(pod, "metadata.namespace"), .name = json_str(pod, "metadata.name"),
                              .uid = json_str(pod, "metadata.uid") };
        if (ar)
            event_pod(a, &v, NULL, "Evicted", "%s", message);
        a->queue->add(a->host, m->key, 0);
    }
    mem_put(a, m);
}

static bool evict_one(struct agent *a, struct kl_call *c, const struct threshold *t, const struct observed *o)
{
    _cleanup_arena_ struct arena *ar = arena_new(AGENT_ARENA_BYTES);
    struct sample s;
    struct candidate *at = NULL;
    bool leaving;
    if (!ar || sample_take(a, c, ar, false, &s) < 0)
        return false;
    size_t n = find_candidates(a, c, &s, t->signal, &at, &leaving);
    if (leaving)
        return true;                        /* what goes already may be enough */
    if (!n) {
        kl_log(a->host, KL_WARN, "short of %s, and no pod can be evicted", evict_signals[t->signal].resource);
        return false;
    }
    rank_sort(at, n);
    char *message = rank_message(ar, t, o, &at[0]);
    int64_t own = json_int(at[0].pod, "spec.terminationGracePeriodSeconds", 30), most = a->conf->eviction_max_pod_grace;
    evict_pod(a, at[0].pod, !t->soft ? 1 : most < own ? most : own, message ? message : "");
    count_eviction(evict_signals[t->signal].name);
    return true;
}

/* --- the beat --- */

static void tell(struct agent *a, enum evict_signal s)
{
    int64_t now = agent_mono(a);
    if (a->evict->told_ns[s] && now - a->evict->told_ns[s] < TELL_NS)
        return;
    a->evict->told_ns[s] = now;
    event_node(a, "EvictionThresholdMet", "Attempting to reclaim %s", evict_signals[s].resource);
}

static void show(struct agent *a)
{
    atomic_store(&a->pressure, thresholds_pressure(a->evict, agent_mono(a), a->conf->eviction_pressure_transition));
}

static void collect_sometimes(struct agent *a, struct kl_call *c)
{
    int64_t now = agent_mono(a);
    if (now < a->evict->images_ns)
        return;
    a->evict->images_ns = now + IMAGES_NS;
    images_collect(a, c, false);
}

void evict_sync(struct agent *a, struct kl_call *c, int64_t *again_ns)
{
    struct evict *e = a->evict;
    struct observed seen[SIGNALS];
    struct kl_call sub = *c;
    kl_err_init(&sub.err);
    if (!e || !a->rt)
        return;
    evict_observe(a, seen);
    thresholds_update(e, seen, agent_mono(a));
    const struct threshold *t = thresholds_due(e, agent_mono(a));
    show(a);
    if (!t) {
        collect_sometimes(a, &sub);
        return;
    }
    tell(a, t->signal);
    if (evict_signals[t->signal].pressure == PRESSURE_DISK) {
        images_collect(a, &sub, true);
        evict_observe(a, seen);
        thresholds_update(e, seen, agent_mono(a));
        t = thresholds_due(e, agent_mono(a));
        if (!t)
            return;
    }
    if (evict_one(a, &sub, t, &seen[t->signal]))
        plan_sooner(again_ns, SOON_NS);
}
