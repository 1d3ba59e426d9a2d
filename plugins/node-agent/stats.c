/* stats.c - a sample with the names of upstream's stats/summary. What upstream finds by walking through folders (a container's own layer, volumes) is
 * left out. Our own addition: cpu.windowNanoSeconds, over which usageNanoCores was measured. */
#include <sys/statvfs.h>
#include <unistd.h>

#include "sample.h"
#include "serve.h"

#define LINKS_MOST 16

struct telling {
    struct agent *agent;
    struct arena *arena;
    struct str time;
};

static void add_cpu(const struct telling *t, struct val *to, const struct figures *f)
{
    struct arena *ar = t->arena;
    struct val *cpu = json_obj(ar, to, STR("cpu"));
    set_s(ar, cpu, "time", t->time);
    if (f->window_ns) {
        set_i(ar, cpu, "usageNanoCores", f->rate);
        set_i(ar, cpu, "windowNanoSeconds", f->window_ns);
    }
    set_i(ar, cpu, "usageCoreNanoSeconds", f->cpu_ns);
}

static void add_memory(const struct telling *t, struct val *to, const struct figures *f, int64_t available)
{
    struct arena *ar = t->arena;
    struct val *m = json_obj(ar, to, STR("memory"));
    set_s(ar, m, "time", t->time);
    if (available >= 0)
        set_i(ar, m, "availableBytes", available);
    set_i(ar, m, "usageBytes", f->usage);
    set_i(ar, m, "workingSetBytes", f->working_set);
    set_i(ar, m, "rssBytes", f->rss);
    set_i(ar, m, "pageFaults", f->faults);
    set_i(ar, m, "majorPageFaults", f->major_faults);
}

static void add_fs(const struct telling *t, struct val *to, const char *name, const char *path)
{
    struct arena *ar = t->arena;
    struct statvfs s;
    if (statvfs(path, &s) != 0)
        return;
    int64_t unit = (int64_t)s.f_frsize, inodes = (int64_t)s.f_files, free_inodes = (int64_t)s.f_ffree;
    struct val *o = json_obj(ar, to, str_of(name));
    set_s(ar, o, "time", t->time);
    set_i(ar, o, "availableBytes", (int64_t)s.f_bavail * unit);
    set_i(ar, o, "capacityBytes", (int64_t)s.f_blocks * unit);
    set_i(ar, o, "usedBytes", (int64_t)(s.f_blocks - s.f_bfree) * unit);
    set_i(ar, o, "inodesFree", free_inodes);
    set_i(ar, o, "inodes", inodes);
    set_i(ar, o, "inodesUsed", inodes - free_inodes);
}

static void put_link(struct arena *ar, struct val *o, const struct link_use *l)
{
    set_s(ar, o, "name", l->name);
    set_i(ar, o, "rxBytes", l->rx_bytes);
    set_i(ar, o, "rxErrors", l->rx_errors);
    set_i(ar, o, "txBytes", l->tx_bytes);
    set_i(ar, o, "txErrors", l->tx_errors);
}

/* The first interface is told again at the top, as the one that matters. */
static void add_network(const struct telling *t, struct val *to, int64_t pid)
{
    struct arena *ar = t->arena;
    struct link_use links[LINKS_MOST];
    size_t n = network_use(ar, pid, links, LINKS_MOST);
    if (!n)
        return;
    struct val *o = json_obj(ar, to, STR("network"));
    set_s(ar, o, "time", t->time);
    put_link(ar, o, &links[0]);
    for (size_t i = 0; i < n; i++)
        put_link(ar, val_push(json_arr(ar, o, STR("interfaces")), val_new(ar, VAL_OBJ)), &links[i]);
}

static void add_pids(const struct telling *t, struct val *to, int64_t pids)
{
    set_i(t->arena, json_obj(t->arena, to, STR("process_stats")), "process_count", pids);
}

static void add_container(const struct telling *t, struct val *list, const struct sampled_ctr *k)
{
    struct arena *ar = t->arena;
    struct val *o = val_push(list, val_new(ar, VAL_OBJ));
    set_s(ar, o, "name", k->name);
    set_s(ar, o, "startTime", time_text(ar, k->started_ns));
    add_cpu(t, o, &k->use);
    add_memory(t, o, &k->use, k->use.limit > k->use.working_set ? k->use.limit - k->use.working_set : -1);
}

static void add_pod(const struct telling *t, struct val *list, const struct sampled_pod *p)
{
    struct arena *ar = t->arena;
    struct val *o = val_push(list, val_new(ar, VAL_OBJ)), *ref = json_obj(ar, o, STR("podRef"));
    set_s(ar, ref, "name", p->name);
    set_s(ar, ref, "namespace", p->ns);
    set_s(ar, ref, "uid", p->uid);
    set_s(ar, o, "startTime", time_text(ar, p->started_ns));
    struct val *containers = json_arr(ar, o, STR("containers"));
    for (size_t i = 0; i < p->n; i++)
        add_container(t, containers, &p->ctrs[i]);
    add_cpu(t, o, &p->use);
    add_memory(t, o, &p->use, -1);
    if (!p->host_network)
        add_network(t, o, p->pid);
    add_pids(t, o, p->use.pids);
}

static void add_node(const struct telling *t, struct val *v, const struct sample *s)
{
    struct arena *ar = t->arena;
    struct val *node = json_obj(ar, v, STR("node"));
    set_z(ar, node, "nodeName", t->agent->node);
    set_s(ar, node, "startTime", time_text(ar, s->boot_ns));
    add_cpu(t, node, &s->node);
    add_memory(t, node, &s->node, s->memory_free);
    add_network(t, node, getpid());
    add_fs(t, node, "fs", t->agent->conf->state_dir);
    add_fs(t, json_obj(ar, node, STR("runtime")), "imageFs", t->agent->conf->state_dir);
}

int node_stats(void *self, struct kl_call *c, struct kl_bytes *ret)
{
    struct agent *a = self;
    struct sample s;
    _cleanup_arena_ struct arena *ar = arena_new(AGENT_ARENA_BYTES);
    int rc = ar ? sample_take(a, c, ar, true, &s) : kl_fail(c, KL_NO_MEMORY, "no memory");
    if (rc < 0)
        return rc;
    struct telling t = { a, ar, time_text(ar, s.wall_ns) };
    struct val *v = val_new(ar, VAL_OBJ);
    add_node(&t, v, &s);
    struct val *pods = json_arr(ar, v, STR("pods"));
    for (size_t i = 0; i < s.n; i++)
        add_pod(&t, pods, &s.pods[i]);
    struct kl_bytes text = agent_text(ar, v);
    char *out = text.at ? kl_dup(c, text.at, text.len) : NULL;
    *ret = (struct kl_bytes){ out, text.len };
    return out ? 0 : kl_fail(c, KL_NO_MEMORY, "no memory");
}
