/* stats.c - figures of the node, its pods and their containers, with the names of upstream's stats/summary. Sums since the start; who wants a
 * rate asks twice. */
#include "serve.h"

#include <unistd.h>

struct summing {
    struct agent *agent;
    struct arena *arena;
    struct str time;
    const struct val *list;                 /* the runtime's */
    struct val *pods;
};

static void add_use(const struct summing *s, struct val *to, int64_t cpu_ns, int64_t memory)
{
    struct arena *ar = s->arena;
    struct val *cpu = json_obj(ar, to, STR("cpu")), *mem = json_obj(ar, to, STR("memory"));
    int64_t cpu_sum = json_int(cpu, "usageCoreNanoSeconds", 0) + cpu_ns, mem_sum = json_int(mem, "workingSetBytes", 0) + memory;
    set_s(ar, cpu, "time", s->time);
    set_i(ar, cpu, "usageCoreNanoSeconds", cpu_sum);
    set_s(ar, mem, "time", s->time);
    set_i(ar, mem, "workingSetBytes", mem_sum);
}

static const struct val *by_id(const struct val *list, const char *what, struct str id)
{
    const struct val *all = json_get(list, str_of(what));
    if (val_is(all, VAL_ARR))
        val_each(v, all)
            if (str_eq(json_str(v, "id"), id))
                return v;
    return NULL;
}

static struct val *pod_of(struct summing *s, const struct val *record)
{
    struct arena *ar = s->arena;
    const struct val *sandbox = by_id(s->list, "sandboxes", json_str(record, "podSandboxId"));
    struct str uid = json_str(sandbox, "metadata.uid");
    val_each(p, s->pods)
        if (str_eq(json_str(p, "podRef.uid"), uid))
            return p;
    struct val *p = val_push(s->pods, val_new(ar, VAL_OBJ)), *ref = json_obj(ar, p, STR("podRef"));
    set_s(ar, ref, "name", json_str(sandbox, "metadata.name"));
    set_s(ar, ref, "namespace", json_str(sandbox, "metadata.namespace"));
    set_s(ar, ref, "uid", uid);
    set_s(ar, p, "startTime", time_text(ar, json_int(sandbox, "createdAt", 0)));
    json_arr(ar, p, STR("containers"));
    return p;
}

static void add_container(struct summing *s, const struct val *figures)
{
    struct arena *ar = s->arena;
    const struct val *record = by_id(s->list, "containers", json_str(figures, "id"));
    if (!record)
        return;
    struct val *pod = pod_of(s, record), *one = val_push(json_arr(ar, pod, STR("containers")), val_new(ar, VAL_OBJ));
    int64_t cpu = json_int(figures, "cpuUsageNs", 0), memory = json_int(figures, "memoryBytes", 0);
    set_s(ar, one, "name", json_str(record, "metadata.name"));
    set_s(ar, one, "startTime", time_text(ar, json_int(record, "startedAt", 0)));
    add_use(s, one, cpu, memory);
    add_use(s, pod, cpu, memory);
}

/* Ticks of all but idle and iowait, as ns. */
static int64_t busy_ns(struct arena *ar)
{
    struct str text = fs_get(ar, "/proc/stat", 65536), line = str_cut(&text, '\n');
    int64_t sum = 0, n, tick = NS_PER_S / sysconf(_SC_CLK_TCK);
    str_cut(&line, ' ');
    for (int i = 0; line.at && i < 8;) {
        struct str word = str_cut(&line, ' ');
        if (!word.len)
            continue;
        if (str_int(word, &n) && i != 3 && i != 4)
            sum += n;
        i++;
    }
    return sum * tick;
}

static int64_t meminfo(struct arena *ar, const char *key)
{
    int64_t n = 0;
    for (struct str text = fs_get(ar, "/proc/meminfo", 65536); text.at;) {
        struct str line = str_cut(&text, '\n'), name = str_cut(&line, ':');
        line = str_trim(line);
        if (str_is(name, key) && str_int(str_cut(&line, ' '), &n))
            return n * 1024;
    }
    return 0;
}

static void add_node(struct summing *s, struct val *node)
{
    struct arena *ar = s->arena;
    int64_t free_bytes = meminfo(ar, "MemAvailable"), used = meminfo(ar, "MemTotal") - free_bytes;
    set_z(ar, node, "nodeName", s->agent->node);
    add_use(s, node, busy_ns(ar), used > 0 ? used : 0);
    set_i(ar, json_obj(ar, node, STR("memory")), "availableBytes", free_bytes);
}

int node_stats(void *self, struct kl_call *c, struct kl_bytes *ret)
{
    struct agent *a = self;
    _cleanup_arena_ struct arena *ar = arena_new(AGENT_ARENA_BYTES);
    struct kl_bytes figures = { NULL, 0 }, list = { NULL, 0 };
    int rc = ar ? agent_runtime(a, c) : kl_fail(c, KL_NO_MEMORY, "no memory");
    if (rc == 0)
        rc = a->rt->stats(a->rt_self, c, NULL, &figures);
    if (rc == 0)
        rc = a->rt->list(a->rt_self, c, NULL, &list);
    if (rc < 0)
        return rc;
    struct val *v = val_new(ar, VAL_OBJ), *all = json_get(agent_parse(ar, c, figures), STR("containers"));
    struct summing s = { a, ar, time_text(ar, agent_wall(a)), agent_parse(ar, c, list), NULL };
    add_node(&s, json_obj(ar, v, STR("node")));
    s.pods = json_arr(ar, v, STR("pods"));
    if (val_is(all, VAL_ARR))
        val_each(f, all)
            add_container(&s, f);
    struct kl_bytes text = agent_text(ar, v);
    char *out = text.at ? kl_dup(c, text.at, text.len) : NULL;
    *ret = (struct kl_bytes){ out, text.len };
    return out ? 0 : kl_fail(c, KL_NO_MEMORY, "no memory");
}
