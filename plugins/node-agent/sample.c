/* sample.c - see sample.h: the runtime's figures and /proc put together. */
#include "sample.h"

#include <unistd.h>

#define RATE_WAIT_NS (NS_PER_S + 50 * NS_PER_MS)
#define NAP_US       20000

static void read_figures(const struct val *v, struct figures *f)
{
    f->cpu_ns = json_int(v, "cpuUsageNs", 0);
    f->working_set = json_int(v, "memoryBytes", 0);
    f->usage = json_int(v, "memoryUsageBytes", f->working_set);
    f->rss = json_int(v, "memoryRssBytes", 0);
    f->cache = json_int(v, "memoryCacheBytes", 0);
    f->limit = json_int(v, "memoryLimitBytes", 0);
    f->faults = json_int(v, "pageFaults", 0);
    f->major_faults = json_int(v, "majorPageFaults", 0);
    f->pids = json_int(v, "pids", 0);
    f->periods = json_int(v, "cpuPeriods", 0);
    f->throttled = json_int(v, "cpuThrottledPeriods", 0);
    f->throttled_ns = json_int(v, "cpuThrottledNs", 0);
}

/* Ticks of all but idle and iowait, as ns. */
static int64_t busy_ns(struct arena *ar, int64_t *ret_boot_ns)
{
    struct str text = fs_get(ar, "/proc/stat", 1u << 20), line = str_cut(&text, '\n');
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
    while (text.at) {
        line = str_cut(&text, '\n');
        if (str_is(str_cut(&line, ' '), "btime") && str_int(line, &n))
            *ret_boot_ns = n * NS_PER_S;
    }
    return sum * tick;
}

/* As upstream counts it, whatever the layout of control groups: what is used, less the page cache that nobody has looked at for a while. */
static void read_memory(struct arena *ar, struct sample *s)
{
    int64_t free_bytes = 0, inactive = 0, n;
    const struct {
        const char *name;
        int64_t *to;
    } rows[] = { { "MemTotal", &s->memory }, { "MemFree", &free_bytes }, { "Inactive(file)", &inactive }, { "AnonPages", &s->node.rss },
                 { "Cached", &s->node.cache }, { "SwapTotal", &s->swap }, { "SwapFree", &s->swap_free } };
    for (struct str text = fs_get(ar, "/proc/meminfo", 65536); text.at;) {
        struct str line = str_cut(&text, '\n'), name = str_cut(&line, ':');
        line = str_trim(line);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            if (str_is(name, rows[i].name) && str_int(str_cut(&line, ' '), &n))
                *rows[i].to = n * 1024;
    }
    s->node.usage = s->memory - free_bytes;
    s->node.working_set = s->node.usage > inactive ? s->node.usage - inactive : 0;
    s->memory_free = s->memory - s->node.working_set;
}

/* --- pods --- */

static struct sampled_pod *pod_of(struct sample *s, struct str uid)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_eq(s->pods[i].uid, uid))
            return &s->pods[i];
    return NULL;
}

static void add_pod(struct sample *s, const struct val *sandbox)
{
    struct str uid = json_str(sandbox, "metadata.uid");
    if (!uid.len || !str_is(json_str(sandbox, "state"), "SANDBOX_READY") || pod_of(s, uid))
        return;
    s->pods[s->n++] = (struct sampled_pod){ .ns = json_str(sandbox, "metadata.namespace"), .name = json_str(sandbox, "metadata.name"), .uid = uid,
                                            .started_ns = json_int(sandbox, "createdAt", 0), .host_network = !json_str(sandbox, "netns").len };
}

static struct str uid_of(const struct val *sandboxes, struct str id)
{
    val_each(v, sandboxes)
        if (str_eq(json_str(v, "id"), id))
            return json_str(v, "metadata.uid");
    return STR_NONE;
}

/* Of its only live sandbox; what is left of an earlier one does not run. */
static void add_container(struct sample *s, const struct val *sandboxes, const struct val *record)
{
    struct sampled_pod *p = pod_of(s, uid_of(sandboxes, json_str(record, "podSandboxId")));
    if (!p || !p->ctrs || p->n == p->room || !str_ends(json_str(record, "state"), STR("RUNNING")))
        return;
    p->ctrs[p->n++] = (struct sampled_ctr){ .name = json_str(record, "metadata.name"), .id = json_str(record, "id"),
                                            .image = json_str(record, "image.image"), .started_ns = json_int(record, "startedAt", 0) };
    p->pid = json_int(record, "pid", p->pid);
}

static struct sampled_ctr *container_of(struct sample *s, struct str id)
{
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < s->pods[i].n; k++)
            if (str_eq(s->pods[i].ctrs[k].id, id))
                return &s->pods[i].ctrs[k];
    return NULL;
}

static size_t containers_in(const struct val *containers, const struct val *sandbox)
{
    size_t n = 0;
    val_each(k, containers)
        n += str_eq(json_str(k, "podSandboxId"), json_str(sandbox, "id"));
    return n;
}

static void add_known(struct sample *s, const struct val *list)
{
    const struct val *sandboxes = json_get(list, STR("sandboxes")), *containers = json_get(list, STR("containers"));
    if (!val_is(sandboxes, VAL_ARR) || !val_is(containers, VAL_ARR))
        return;
    s->pods = arena_alloc(s->arena, (sandboxes->n + 1) * sizeof *s->pods);
    if (!s->pods)
        return;
    val_each(v, sandboxes)
    {
        size_t was = s->n, n = containers_in(containers, v);
        add_pod(s, v);
        if (s->n == was)
            continue;
        s->pods[was].room = n;
        s->pods[was].ctrs = arena_alloc(s->arena, (n + 1) * sizeof *s->pods[was].ctrs);
    }
    val_each(k, containers)
        add_container(s, sandboxes, k);
}

static void add_figures(struct sample *s, const struct val *figures)
{
    const struct val *pods = json_get(figures, STR("pods")), *containers = json_get(figures, STR("containers"));
    if (val_is(pods, VAL_ARR))
        val_each(v, pods)
        {
            struct sampled_pod *p = pod_of(s, json_str(v, "uid"));
            if (p)
                read_figures(v, &p->use);
        }
    if (val_is(containers, VAL_ARR))
        val_each(v, containers)
        {
            struct sampled_ctr *k = container_of(s, json_str(v, "id"));
            if (k)
                read_figures(v, &k->use);
        }
}

static int take(struct agent *a, struct kl_call *c, struct arena *ar, struct sample *ret)
{
    struct kl_bytes figures = { NULL, 0 }, list = { NULL, 0 };
    *ret = (struct sample){ .arena = ar };
    int rc = agent_runtime(a, c);
    if (rc == 0)
        rc = a->rt->list(a->rt_self, c, NULL, &list);
    if (rc == 0)
        rc = a->rt->stats(a->rt_self, c, NULL, &figures);
    if (rc < 0)
        return rc;
    ret->wall_ns = agent_wall(a);
    ret->mono_ns = agent_mono(a);
    ret->node.cpu_ns = busy_ns(ar, &ret->boot_ns);
    read_memory(ar, ret);
    const struct val *known = agent_parse(ar, c, list), *use = agent_parse(ar, c, figures);
    if (!known || !use)
        return -c->err.code;
    add_known(ret, known);
    add_figures(ret, use);
    return arena_exhausted(ar) ? kl_fail(c, KL_NO_MEMORY, "no memory for the figures of node '%s'", a->node) : 0;
}

/* Somebody asks for the first time in a while: two moments are needed. */
static void wait_a_second(const struct agent *a, const struct kl_call *c, int64_t from_ns)
{
    for (int i = 0; i < RATE_WAIT_NS / 1000 / NAP_US && agent_mono(a) - from_ns < RATE_WAIT_NS && !a->stopping; i++) {
        if (c->cancelled && c->cancelled(c))
            return;
        usleep(NAP_US);
    }
}

int sample_take(struct agent *a, struct kl_call *c, struct arena *ar, bool rates, struct sample *ret)
{
    int rc = take(a, c, ar, ret);
    if (rc < 0 || !rates)
        return rc;
    if (!rates_set(a, ret)) {
        rates_note(a, ret);
        wait_a_second(a, c, ret->mono_ns);
        rc = take(a, c, ar, ret);
        if (rc == 0)
            rates_set(a, ret);
    }
    if (rc == 0)
        rates_note(a, ret);
    return rc;
}
