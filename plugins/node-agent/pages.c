/* pages.c - a sample, and what the agent has counted, as Prometheus reads them: the kubelet's /metrics, /metrics/resource and /metrics/cadvisor. Of the
 * last one what dashboards draw. */
#include <stddef.h>
#include <unistd.h>

#include "base/prom.h"
#include "counts.h"
#include "sample.h"
#include "serve.h"

#define PAGE_MOST  (32u << 20)
#define LINKS_MOST 16
#define LOOP_MOST_NS (120 * NS_PER_S)

struct page {
    struct agent *agent;
    struct sample *s;
    struct prom p;
};

/* Labels must be zero-terminated. */
static const char *z(struct page *g, struct str s)
{
    char *t = arena_dup(g->s->arena, s);
    return t ? t : "";
}

static double seconds(int64_t ns)
{
    return (double)ns / 1e9;
}

/* A number of struct figures, as it is or as seconds. */
struct row {
    const char *name, *help;
    enum prom_type type;
    size_t at;                              /* offsetof(struct figures, ...) */
    bool time;
};
#define F(name, type, member, time, help) { name, help, type, offsetof(struct figures, member), time }

static double value(const struct row *r, const struct figures *f)
{
    int64_t v = *(const int64_t *)(const void *)((const char *)f + r->at);
    return r->time ? seconds(v) : (double)v;
}

/* --- /metrics/resource --- */

static void resource_pods(struct page *g, const struct row *r)
{
    prom_family(&g->p, r->name, r->type, r->help);
    for (size_t i = 0; i < g->s->n; i++) {
        const struct sampled_pod *p = &g->s->pods[i];
        const struct prom_label l[] = { { "namespace", z(g, p->ns) }, { "pod", z(g, p->name) }, { NULL, NULL } };
        prom_number(&g->p, l, value(r, &p->use));
    }
}

static void resource_containers(struct page *g, const struct row *r)
{
    prom_family(&g->p, r->name, r->type, r->help);
    for (size_t i = 0; i < g->s->n; i++) {
        const struct sampled_pod *p = &g->s->pods[i];
        for (size_t k = 0; k < p->n; k++) {
            const struct prom_label l[] = { { "container", z(g, p->ctrs[k].name) }, { "namespace", z(g, p->ns) }, { "pod", z(g, p->name) }, { NULL, NULL } };
            prom_number(&g->p, l, value(r, &p->ctrs[k].use));
        }
    }
}

static void start_times(struct page *g)
{
    prom_family(&g->p, "container_start_time_seconds", PROM_GAUGE, "Start time of the container since unix epoch in seconds");
    for (size_t i = 0; i < g->s->n; i++) {
        const struct sampled_pod *p = &g->s->pods[i];
        for (size_t k = 0; k < p->n; k++) {
            const struct prom_label l[] = { { "container", z(g, p->ctrs[k].name) }, { "namespace", z(g, p->ns) }, { "pod", z(g, p->name) }, { NULL, NULL } };
            prom_number(&g->p, l, seconds(p->ctrs[k].started_ns));
        }
    }
}

static void resource(struct page *g)
{
    static const struct row containers[] = {
        F("container_cpu_usage_seconds_total", PROM_COUNTER, cpu_ns, true, "Cumulative cpu time consumed by the container in core-seconds"),
        F("container_memory_working_set_bytes", PROM_GAUGE, working_set, false, "Current working set of the container in bytes"),
    }, pods[] = {
        F("pod_cpu_usage_seconds_total", PROM_COUNTER, cpu_ns, true, "Cumulative cpu time consumed by the pod in core-seconds"),
        F("pod_memory_working_set_bytes", PROM_GAUGE, working_set, false, "Current working set of the pod in bytes"),
    };
    for (size_t i = 0; i < sizeof containers / sizeof *containers; i++)
        resource_containers(g, &containers[i]);
    start_times(g);
    prom_one(&g->p, "node_cpu_usage_seconds_total", PROM_COUNTER, "Cumulative cpu time consumed by the node in core-seconds", seconds(g->s->node.cpu_ns));
    prom_one(&g->p, "node_memory_working_set_bytes", PROM_GAUGE, "Current working set of the node in bytes", (double)g->s->node.working_set);
    prom_one(&g->p, "node_swap_usage_bytes", PROM_GAUGE, "Current swap usage of the node in bytes. Reported only on non-windows systems",
             (double)(g->s->swap - g->s->swap_free));
    for (size_t i = 0; i < sizeof pods / sizeof *pods; i++)
        resource_pods(g, &pods[i]);
    prom_one(&g->p, "resource_scrape_error", PROM_GAUGE, "1 if there was an error while getting container metrics, 0 otherwise", 0);
}

/* --- /metrics/cadvisor --- */

static const struct row cadvisor_rows[] = {
    F("container_cpu_usage_seconds_total", PROM_COUNTER, cpu_ns, true, "Cumulative cpu time consumed in seconds."),
    F("container_cpu_cfs_periods_total", PROM_COUNTER, periods, false, "Number of elapsed enforcement period intervals."),
    F("container_cpu_cfs_throttled_periods_total", PROM_COUNTER, throttled, false, "Number of throttled period intervals."),
    F("container_cpu_cfs_throttled_seconds_total", PROM_COUNTER, throttled_ns, true, "Total time duration the container has been throttled."),
    F("container_memory_usage_bytes", PROM_GAUGE, usage, false, "Current memory usage in bytes, including all memory regardless of when it was accessed"),
    F("container_memory_working_set_bytes", PROM_GAUGE, working_set, false, "Current working set in bytes."),
    F("container_memory_rss", PROM_GAUGE, rss, false, "Size of RSS in bytes."),
    F("container_memory_cache", PROM_GAUGE, cache, false, "Number of bytes of page cache memory."),
    F("container_spec_memory_limit_bytes", PROM_GAUGE, limit, false, "Memory limit for the container."),
    F("container_processes", PROM_GAUGE, pids, false, "Number of processes running inside the container."),
};

static void cadvisor_row(struct page *g, const struct row *r)
{
    struct arena *ar = g->s->arena;
    prom_family(&g->p, r->name, r->type, r->help);
    prom_number(&g->p, (struct prom_label[]){ { "container", "" }, { "id", "/" }, { "image", "" }, { "name", "" }, { "namespace", "" }, { "pod", "" }, { NULL, NULL } },
                value(r, &g->s->node));
    for (size_t i = 0; i < g->s->n; i++) {
        const struct sampled_pod *p = &g->s->pods[i];
        const char *ns = z(g, p->ns), *pod = z(g, p->name), *id = arena_printf(ar, "/kubepods/pod" STR_FMT, STR_ARG(p->uid));
        prom_number(&g->p, (struct prom_label[]){ { "container", "" }, { "id", id }, { "image", "" }, { "name", "" }, { "namespace", ns }, { "pod", pod }, { NULL, NULL } },
                    value(r, &p->use));
        for (size_t k = 0; k < p->n; k++) {
            const struct sampled_ctr *t = &p->ctrs[k];
            const struct prom_label l[] = { { "container", z(g, t->name) }, { "id", arena_printf(ar, "%s/" STR_FMT, id, STR_ARG(t->id)) },
                                            { "image", z(g, t->image) }, { "name", z(g, t->id) }, { "namespace", ns }, { "pod", pod }, { NULL, NULL } };
            prom_number(&g->p, l, value(r, &t->use));
        }
    }
}

static const struct link_row {
    const char *name, *help;
    size_t at;                              /* offsetof(struct link_use, ...) */
} link_rows[] = {
    { "container_network_receive_bytes_total", "Cumulative count of bytes received", offsetof(struct link_use, rx_bytes) },
    { "container_network_receive_packets_total", "Cumulative count of packets received", offsetof(struct link_use, rx_packets) },
    { "container_network_receive_errors_total", "Cumulative count of errors encountered while receiving", offsetof(struct link_use, rx_errors) },
    { "container_network_receive_packets_dropped_total", "Cumulative count of packets dropped while receiving", offsetof(struct link_use, rx_drops) },
    { "container_network_transmit_bytes_total", "Cumulative count of bytes transmitted", offsetof(struct link_use, tx_bytes) },
    { "container_network_transmit_packets_total", "Cumulative count of packets transmitted", offsetof(struct link_use, tx_packets) },
    { "container_network_transmit_errors_total", "Cumulative count of errors encountered while transmitting", offsetof(struct link_use, tx_errors) },
    { "container_network_transmit_packets_dropped_total", "Cumulative count of packets dropped while transmitting", offsetof(struct link_use, tx_drops) },
};

static void network_row(struct page *g, const struct link_row *r, struct link_use (*links)[LINKS_MOST], const size_t *n)
{
    prom_family(&g->p, r->name, PROM_COUNTER, r->help);
    for (size_t i = 0; i < g->s->n; i++)
        for (size_t k = 0; k < n[i]; k++) {
            const struct sampled_pod *p = &g->s->pods[i];
            const char *id = arena_printf(g->s->arena, "/kubepods/pod" STR_FMT, STR_ARG(p->uid));
            const struct prom_label l[] = { { "container", "" }, { "id", id }, { "image", "" }, { "interface", z(g, links[i][k].name) },
                                            { "name", "" }, { "namespace", z(g, p->ns) }, { "pod", z(g, p->name) }, { NULL, NULL } };
            prom_count(&g->p, l, (uint64_t) * (const int64_t *)(const void *)((const char *)&links[i][k] + r->at));
        }
}

static void networks(struct page *g)
{
    struct arena *ar = g->s->arena;
    struct link_use(*links)[LINKS_MOST] = arena_alloc(ar, (g->s->n + 1) * sizeof *links);
    size_t *n = arena_alloc(ar, (g->s->n + 1) * sizeof *n);
    if (!links || !n)
        return;
    for (size_t i = 0; i < g->s->n; i++)
        n[i] = g->s->pods[i].host_network ? 0 : network_use(ar, g->s->pods[i].pid, links[i], LINKS_MOST);
    for (size_t i = 0; i < sizeof link_rows / sizeof *link_rows; i++)
        network_row(g, &link_rows[i], links, n);
}

static void times(struct page *g, const char *name, const char *help, bool start)
{
    prom_family(&g->p, name, PROM_GAUGE, help);
    for (size_t i = 0; i < g->s->n; i++)
        for (size_t k = 0; k < g->s->pods[i].n; k++) {
            const struct sampled_pod *p = &g->s->pods[i];
            const struct sampled_ctr *t = &p->ctrs[k];
            const char *id = arena_printf(g->s->arena, "/kubepods/pod" STR_FMT "/" STR_FMT, STR_ARG(p->uid), STR_ARG(t->id));
            const struct prom_label l[] = { { "container", z(g, t->name) }, { "id", id }, { "image", z(g, t->image) }, { "name", z(g, t->id) },
                                            { "namespace", z(g, p->ns) }, { "pod", z(g, p->name) }, { NULL, NULL } };
            prom_number(&g->p, l, start ? seconds(t->started_ns) : seconds(g->s->wall_ns));
        }
}

static void cadvisor(struct page *g)
{
    for (size_t i = 0; i < sizeof cadvisor_rows / sizeof *cadvisor_rows; i++)
        cadvisor_row(g, &cadvisor_rows[i]);
    networks(g);
    times(g, "container_start_time_seconds", "Start time of the container since unix epoch in seconds.", true);
    times(g, "container_last_seen", "Last time a container was seen by the exporter", false);
    prom_one(&g->p, "container_scrape_error", PROM_GAUGE, "1 if there was an error while getting container metrics, 0 otherwise", 0);
    prom_one(&g->p, "machine_scrape_error", PROM_GAUGE, "1 if there was an error while getting machine metrics, 0 otherwise.", 0);
    prom_one(&g->p, "machine_cpu_cores", PROM_GAUGE, "Number of logical CPU cores.", (double)sysconf(_SC_NPROCESSORS_ONLN));
    prom_one(&g->p, "machine_memory_bytes", PROM_GAUGE, "Amount of memory installed on the machine.", (double)g->s->memory);
}

/* --- /metrics --- */

static void kubelet(struct page *g)
{
    size_t containers = 0;
    for (size_t i = 0; i < g->s->n; i++)
        containers += g->s->pods[i].n;
    prom_family(&g->p, "kubelet_node_name", PROM_GAUGE, "The node's name. The count is always 1.");
    prom_count(&g->p, (struct prom_label[]){ { "node", g->agent->node }, { NULL, NULL } }, 1);
    prom_one(&g->p, "kubelet_running_pods", PROM_GAUGE, "Number of pods that have a running pod sandbox", (double)g->s->n);
    prom_family(&g->p, "kubelet_running_containers", PROM_GAUGE, "Number of containers currently running");
    prom_count(&g->p, (struct prom_label[]){ { "container_state", "running" }, { NULL, NULL } }, containers);
    counts_tell(&g->p);
    prom_process(&g->p, g->agent->opened_wall_ns);
}

/* --- what needs no sample --- */

static void probes(struct page *g)
{
    counts_tell_probes(&g->p);
    prom_one(&g->p, "process_start_time_seconds", PROM_GAUGE, "Start time of the process since unix epoch in seconds.", seconds(g->agent->opened_wall_ns));
}

static int tell_running(struct agent *a, struct kl_call *c, struct arena *ar, struct buf *b)
{
    struct val *v = NULL;
    int rc = running_pods(a, c, ar, &v);
    if (rc == 0)
        json_write(b, v);
    return rc;
}

static int tell_configz(struct agent *a, struct kl_call *c, struct arena *ar, struct buf *b)
{
    (void)c;
    json_write(b, configz(a, ar));
    return 0;
}

/* The node's key comes round every ten seconds at most, as long as there are workers for it. */
static int tell_health(struct agent *a, struct kl_call *c, struct arena *ar, struct buf *b)
{
    int64_t beat = counts_beat(), now = agent_mono(a);
    (void)ar;
    if (beat && now - beat > LOOP_MOST_NS)
        return kl_fail(c, KL_INTERNAL, "sync Loop took longer than expected");
    buf_add_z(b, "ok");
    return 0;
}

static const struct {
    const char *path;
    bool sample;
    void (*tell)(struct page *g);
    int (*say)(struct agent *a, struct kl_call *c, struct arena *ar, struct buf *b);
} pages[] = {
    { "metrics", true, kubelet, NULL },       { "metrics/resource", true, resource, NULL }, { "metrics/cadvisor", true, cadvisor, NULL },
    { "metrics/probes", false, probes, NULL }, { "runningpods", false, NULL, tell_running }, { "configz", false, NULL, tell_configz },
    { "healthz/syncloop", false, NULL, tell_health },
};

int node_page(void *self, struct kl_call *c, const char *path, struct kl_bytes *ret)
{
    struct sample s = { .n = 0 };
    _cleanup_buf_ struct buf b = BUF_INIT(PAGE_MOST);
    _cleanup_arena_ struct arena *ar = arena_new(AGENT_ARENA_BYTES);
    struct page g = { .agent = self, .s = &s, .p = { .out = &b } };
    size_t i = 0;
    while (i < sizeof pages / sizeof *pages && strcmp(pages[i].path, path) != 0)
        i++;
    if (i == sizeof pages / sizeof *pages)
        return kl_fail(c, KL_NOT_FOUND, "404 page not found");
    int rc = ar ? 0 : kl_fail(c, KL_NO_MEMORY, "no memory");
    if (rc == 0 && pages[i].sample)
        rc = sample_take(self, c, ar, false, &s);
    if (rc == 0 && pages[i].say)
        rc = pages[i].say(self, c, ar, &b);
    if (rc < 0)
        return rc;
    if (pages[i].tell)
        pages[i].tell(&g);
    char *out = b.failed || arena_exhausted(ar) ? NULL : kl_dup(c, b.at, b.len);
    *ret = (struct kl_bytes){ out, b.len };
    return out ? 0 : kl_fail(c, KL_NO_MEMORY, "no memory for the figures of node '%s'", g.agent->node);
}
