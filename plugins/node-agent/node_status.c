/* node_status.c - the status of the Node object. */
#include <stdlib.h>

#include "claims.h"
#include "evict.h"
#include "node.h"
#include "status.h"

#define IMAGES_MOST  50

struct making {
    struct agent *agent;
    struct arena *ar;
    const struct val *old;                  /* conditions */
    struct val *list;
    struct str now;
    int64_t wall_ns;
};

static void condition(struct making *m, const char *type, bool is, const char *reason, const char *message)
{
    struct val *o = condition_add(m->ar, m->list, m->old, type, is, m->wall_ns);
    set_s(m->ar, o, "lastHeartbeatTime", m->now);
    set_z(m->ar, o, "reason", reason);
    set_z(m->ar, o, "message", message);
}

static void pressure(struct making *m, const char *type, bool is, const char *const words[4])
{
    condition(m, type, is, words[is ? 0 : 1], words[is ? 2 : 3]);
}

static void conditions(struct making *m, const char *trouble)
{
    static const char *const memory[] = { "KubeletHasInsufficientMemory", "KubeletHasSufficientMemory",
                                          "kubelet has insufficient memory available", "kubelet has sufficient memory available" };
    static const char *const disk[] = { "KubeletHasDiskPressure", "KubeletHasNoDiskPressure", "kubelet has disk pressure",
                                        "kubelet has no disk pressure" };
    static const char *const pids[] = { "KubeletHasInsufficientPID", "KubeletHasSufficientPID", "kubelet has insufficient PID available",
                                        "kubelet has sufficient PID available" };
    unsigned bits = atomic_load(&m->agent->pressure);
    pressure(m, "MemoryPressure", bits >> PRESSURE_MEMORY & 1, memory);
    pressure(m, "DiskPressure", bits >> PRESSURE_DISK & 1, disk);
    pressure(m, "PIDPressure", bits >> PRESSURE_PID & 1, pids);
    condition(m, "Ready", !*trouble, *trouble ? "KubeletNotReady" : "KubeletReady", *trouble ? trouble : "kubelet is posting ready status");
}

/* --- images --- */

static int larger_first(const void *x, const void *y)
{
    int64_t a = json_int(*(const struct val *const *)x, "size", 0), b = json_int(*(const struct val *const *)y, "size", 0);
    return a < b ? 1 : a > b ? -1 : 0;
}

static void add_names(struct arena *ar, struct val *to, const struct val *names)
{
    if (val_is(names, VAL_ARR))
        val_each(n, names)
            val_push(to, val_of_str(ar, val_str(n)));
}

static void images(struct agent *a, struct kl_call *c, struct arena *ar, struct val *to)
{
    struct kl_bytes got = { NULL, 0 };
    if (!a->rt || a->rt->image_list(a->rt_self, c, &got) < 0)
        return;
    const struct val *v = agent_parse(ar, c, got), *list = json_get(v, STR("images"));
    const struct val **all = val_is(list, VAL_ARR) ? arena_alloc(ar, (list->n + 1) * sizeof *all) : NULL;
    size_t n = 0;
    if (!all)
        return;
    val_each(i, list)
        all[n++] = i;
    qsort(all, n, sizeof *all, larger_first);
    for (size_t i = 0; i < n && i < IMAGES_MOST; i++) {
        struct val *o = val_push(to, val_new(ar, VAL_OBJ)), *names = json_arr(ar, o, STR("names"));
        add_names(ar, names, json_get(all[i], STR("repoDigests")));
        add_names(ar, names, json_get(all[i], STR("repoTags")));
        set_i(ar, o, "sizeBytes", json_int(all[i], "size", 0));
    }
}

static void addresses(const struct agent *a, struct arena *ar, struct val *list)
{
    const char *const rows[][2] = { { "InternalIP", a->ip }, { "Hostname", a->node } };
    for (size_t i = 0; i < 2; i++) {
        struct val *o = val_push(list, val_new(ar, VAL_OBJ));
        set_z(ar, o, "type", rows[i][0]);
        set_z(ar, o, "address", rows[i][1]);
    }
}

struct val *node_status(struct agent *a, struct kl_call *c, struct arena *ar, const struct val *node, const char *trouble)
{
    struct machine at;
    struct val *o = val_new(ar, VAL_OBJ);
    int64_t wall = agent_wall(a);
    struct making m = { a, ar, json_path(node, "status.conditions"), json_arr(ar, o, STR("conditions")), time_text(ar, wall), wall };
    machine_read(a->conf->state_dir, &at);
    machine_capacity(ar, &at, a->conf->max_pods, json_obj(ar, o, STR("capacity")), json_obj(ar, o, STR("allocatable")));
    conditions(&m, trouble);
    addresses(a, ar, json_arr(ar, o, STR("addresses")));
    set_i(ar, json_obj(ar, json_obj(ar, o, STR("daemonEndpoints")), STR("kubeletEndpoint")), "Port", a->conf->port);
    set_v(ar, o, "nodeInfo", machine_info(a, ar, &at));
    images(a, c, ar, json_arr(ar, o, STR("images")));
    struct val *used = val_new(ar, VAL_ARR);
    claims_in_use(a, ar, used);
    if ((used && used->n) || json_path(node, "status.volumesInUse"))
        set_v(ar, o, "volumesInUse", used);
    return arena_exhausted(ar) ? NULL : o;
}

static struct val *without_beats(struct arena *ar, const struct val *conditions)
{
    struct val *list = conditions ? val_copy(ar, conditions) : NULL;
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            json_del(c, STR("lastHeartbeatTime"));
    return list;
}

bool node_status_same(struct arena *ar, const struct val *fresh, const struct val *old)
{
    val_each(m, fresh)
    {
        const struct val *was = json_get(old, val_key(m));
        if (!str_is(val_key(m), "conditions")) {
            if (!status_same(m, was))
                return false;
            continue;
        }
        struct val *a = without_beats(ar, m), *b = without_beats(ar, was);
        val_each(x, a)
            if (!status_same(x, condition_find(b, json_str(x, "type"))))
                return false;
    }
    return true;
}
