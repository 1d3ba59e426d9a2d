/* schedule.c - the scheduler host with scheduler-spread, the API's operations and the store in one process, nothing durable and no HTTP: how many pods a second of CPU get a
 * node, binding and event included, in the cases of upstream's scheduler_perf.
 *
 * usage: perf_schedule CASE [NODES [INIT [PODS]]]        prints NAME PODS/CPU-S BOUND
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "api/api.h"
#include "api/objects.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/json_scan.h"
#include "base/log.h"
#include "base/map.h"
#include "reconcile/schedule.h"

extern const struct kl_plugin kl_plugin_scheduler_spread;

#define TERM(key, selector) "{\"topologyKey\":\"" key "\",\"labelSelector\":{\"matchLabels\":{" selector "}}}"
#define TERM_NS(key, selector) "{\"topologyKey\":\"" key "\",\"labelSelector\":{\"matchLabels\":{" selector "}},\"namespaceSelector\":{\"matchLabels\":{\"team\":\"devops\"}}}"
#define SOFT(term) "{\"weight\":1,\"podAffinityTerm\":" term "}"
#define MUST(kind, term) "\"affinity\":{\"" kind "\":{\"requiredDuringSchedulingIgnoredDuringExecution\":[" term "]}},"
#define WISH(kind, term) "\"affinity\":{\"" kind "\":{\"preferredDuringSchedulingIgnoredDuringExecution\":[" SOFT(term) "]}},"
#define SPREAD(key, skew, how) "\"topologySpreadConstraints\":[{\"maxSkew\":" skew ",\"topologyKey\":\"" key "\",\"whenUnsatisfiable\":\"" how "\",\"labelSelector\":{\"matchLabels\":{\"color\":\"blue\"}}}],"
#define HOST "kubernetes.io/hostname"
#define ZONE "topology.kubernetes.io/zone"
#define BLUE "\"color\":\"blue\""

static const struct scene {
    const char *name, *rules;           /* of the pods; those that are there at first have them too when init_same */
    bool init_same, one_zone, service, spaces;
    unsigned nodes, init, pods;
} scenes[] = {
    { "basic", "", true, false, false, false, 5000, 1000, 10000 },
    { "anti_affinity", MUST("podAntiAffinity", TERM(HOST, BLUE)), true, false, false, false, 5000, 1000, 2000 },
    { "anti_affinity_ns", MUST("podAntiAffinity", TERM_NS(HOST, BLUE)), true, false, false, true, 6000, 1000, 2000 },
    { "anti_affinity_soft_ns", WISH("podAntiAffinity", TERM_NS(HOST, BLUE)), true, false, false, true, 5000, 5000, 5000 },
    { "affinity", MUST("podAffinity", TERM(ZONE, BLUE)), true, true, false, false, 5000, 5000, 5000 },
    { "affinity_ns", MUST("podAffinity", TERM_NS(ZONE, BLUE)), true, true, false, true, 5000, 5000, 5000 },
    { "affinity_soft", WISH("podAffinity", TERM(HOST, BLUE)), true, false, false, false, 5000, 5000, 5000 },
    { "affinity_soft_ns", WISH("podAffinity", TERM_NS(HOST, BLUE)), true, false, false, true, 5000, 5000, 5000 },
    { "anti_affinity_soft", WISH("podAntiAffinity", TERM(HOST, BLUE)), true, false, false, false, 5000, 5000, 5000 },
    { "spread", SPREAD(ZONE, "5", "DoNotSchedule"), false, false, false, false, 5000, 5000, 5000 },
    { "spread_host", SPREAD(HOST, "1", "DoNotSchedule"), true, false, false, false, 5000, 5000, 5000 },
    { "spread_soft", SPREAD(ZONE, "5", "ScheduleAnyway"), false, false, false, false, 5000, 5000, 5000 },
    { "spread_default", "", true, false, true, false, 5000, 5000, 10000 },
    /* Nobody has rules but some hundred pods that have nothing to do with the others. */
    { "beside_others", MUST("podAntiAffinity", TERM(HOST, "\"color\":\"red\"")), false, false, false, false, 5000, 500, 10000 },
};

static struct loop *loop;
static struct store *the_store;
static struct store_watch *watch;
static unsigned bound, wanted;
static int64_t cpu_at_end;

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "perf_schedule: %s\n", what);
    exit(1);
}

static void put(const char *resource, const char *ns, const char *name, const char *json)
{
    struct kl_err err;
    kl_err_init(&err);
    struct store_op op = { .type = STORE_CREATE, .resource = str_of(resource), .ns = str_of(ns), .name = str_of(name), .json = str_of(json) };
    if (store_commit(the_store, &op, 1, NULL, NULL, NULL, &err) < 0)
        fail(err.msg);
}

static void put_node(const struct scene *c, unsigned i)
{
    char name[32], json[1024];
    snprintf(name, sizeof name, "node-%05u", i);
    snprintf(json, sizeof json, "{\"metadata\":{\"name\":\"%s\",\"uid\":\"n-%u\",\"resourceVersion\":\"%llu\",\"labels\":{\"" HOST "\":\"%s\",\"" ZONE "\":\"zone%u\"}},\"status\":{\"allocatable\":"
             "{\"cpu\":\"4\",\"memory\":\"32Gi\",\"pods\":\"110\"},\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}",
             name, i, (unsigned long long)store_next_revision(the_store), name, c->one_zone ? 1 : i % 3);
    put("/nodes", "", name, json);
}

static void put_pod(const struct scene *c, unsigned i, bool init)
{
    char name[32], ns[32], json[4096];
    snprintf(name, sizeof name, "pod-%06u", i);
    snprintf(ns, sizeof ns, c->spaces ? "space-%u" : "default", i % 100);
    bool same = !init || c->init_same, rules = strcmp(c->name, "beside_others") == 0 ? init : same;
    snprintf(json, sizeof json, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"%s\",\"namespace\":\"%s\",\"uid\":\"p-%u\",\"resourceVersion\":\"%llu\",\"labels\":{\"color\":\"%s\"}},\"spec\":{"
             "%s%s\"restartPolicy\":\"Always\",\"schedulerName\":\"default-scheduler\",\"priority\":0,\"tolerations\":[{\"key\":\"node.kubernetes.io/not-ready\",\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":300}],"
             "\"containers\":[{\"name\":\"pause\",\"image\":\"registry.k8s.io/pause:3.10.1\",\"resources\":{\"requests\":{\"cpu\":\"%s\",\"memory\":\"%s\"}}}]},\"status\":{\"phase\":\"Pending\"}}",
             name, ns, i, (unsigned long long)store_next_revision(the_store), strcmp(c->name, "beside_others") == 0 && init ? "red" : "blue",
             init ? "\"nodeName\":\"NODE\"," : "", rules ? c->rules : "", "100m", "500Mi");
    char *at = strstr(json, "NODE\"");
    if (at) {                           /* those that are there: one after the other over the nodes */
        char rest[4096];
        snprintf(rest, sizeof rest, "%s", at + 4);
        snprintf(at, sizeof json - (size_t)(at - json), "node-%05u%s", i % c->nodes, rest);
    }
    put("/pods", ns, name, json);
}

static void on_pods(void *ctx)
{
    struct store_event e;
    bool expired = false;
    (void)ctx;
    while (store_watch_next(watch, &e, &expired))
        if (e.type == STORE_MODIFIED && store_object_places(e.object)->node && !store_object_places(e.old)->node && ++bound == wanted) {
            cpu_at_end = cpu_ns();
            loop_stop(loop);
        }
    if (expired)
        fail("the watch was too slow");
}

static const struct kl_scheduler *find(void *ctx, const char *name, void **ret_self)
{
    const struct kl_provider *p = KL_AT(struct kl_provider, kl_plugin_scheduler_spread.providers, 0);
    (void)name;
    *ret_self = ctx;
    return p->table;
}

static void give_up(void *ctx)
{
    (void)ctx;
    fprintf(stderr, "perf_schedule: %u of %u pods have a node after ten minutes\n", bound, wanted);
    exit(1);
}

static void settle(void *ctx)
{
    (void)ctx;
    loop_stop(loop);
}

int main(int argc, char **argv)
{
    static const struct api_conf ac = { .version = "perf", .service_cidr = "10.96.0.0/16", .node_port_first = 30000, .node_port_last = 32767, .cluster_dns_domain = "cluster.local" };
    static const struct api_hooks hooks;
    static int64_t no_weight;           /* scheduler-spread's settings: nothing but the profile */
    struct kl_err err;
    struct scene c = scenes[0];
    unsigned i;
    for (i = 0; i < sizeof scenes / sizeof *scenes && (argc < 2 || strcmp(scenes[i].name, argv[1]) != 0); i++)
        if (argc > 1 && strcmp(argv[1], "--list") == 0)
            puts(scenes[i].name);
    if (i == sizeof scenes / sizeof *scenes)
        return argc > 1 && strcmp(argv[1], "--list") == 0 ? 0 : 2;
    c = scenes[i];
    unsigned *sizes[] = { &c.nodes, &c.init, &c.pods };
    for (int k = 2; k < argc && k < 5; k++)
        *sizes[k - 2] = (unsigned)strtoul(argv[k], NULL, 10);
    struct store_conf sc = { .history = 400000, .history_bytes = 4ULL << 30 };
    struct api *api;
    struct objects *objects;
    struct schedule *schedule;
    kl_err_init(&err);
    log_set_level(KL_ERROR);
    loop = loop_new();
    if (store_open(loop, &sc, &the_store, &err) < 0 || api_new(loop, the_store, &ac, &hooks, &api, &err) < 0 || api_objects_new(api, &objects, &err) < 0 || api_bootstrap(api, &err) < 0)
        fail(err.msg);
    for (i = 0; c.spaces && i < 100; i++) {
        char name[32], json[256];
        snprintf(name, sizeof name, "space-%u", i);
        snprintf(json, sizeof json, "{\"metadata\":{\"name\":\"%s\",\"uid\":\"ns-%u\",\"resourceVersion\":\"1\",\"labels\":{\"team\":\"devops\"}},\"status\":{\"phase\":\"Active\"}}", name, i);
        put("/namespaces", "", name, json);
    }
    if (c.service)
        put("/services", "default", "blue", "{\"metadata\":{\"name\":\"blue\",\"namespace\":\"default\",\"uid\":\"s\",\"resourceVersion\":\"1\"},\"spec\":{\"selector\":{\"color\":\"blue\"}}}");
    for (i = 0; i < c.nodes; i++)
        put_node(&c, i);
    for (i = 0; i < c.init; i++)
        put_pod(&c, i, true);
    struct schedule_conf conf = { .loop = loop, .store = the_store, .objects = objects, .find = find, .ctx = &no_weight };
    loop_post(loop, settle, NULL);
    loop_run(loop);
    if (schedule_start(&conf, &schedule, &err) < 0)
        fail(err.msg);
    struct loop_timer timer = { 0 };
    loop_timer_start(loop, &timer, NS_PER_S / 2, settle, NULL);
    loop_run(loop);
    if (store_watch_new(the_store, STR("/pods"), STR_NONE, store_revision(the_store), on_pods, NULL, &watch, &err) < 0)
        fail(err.msg);
    for (wanted = c.pods, i = 0; i < c.pods; i++)
        put_pod(&c, c.init + i, false);
    int64_t began = cpu_ns();
    loop_timer_start(loop, &timer, 600 * NS_PER_S, give_up, NULL);
    loop_run(loop);
    printf("schedule_%s %.0f %u nodes, %u pods there, %u more\n", c.name, (double)c.pods * 1e9 / (double)(cpu_at_end - began), c.nodes, c.init, c.pods);
    loop_timer_stop(&timer);
    store_watch_free(watch);
    schedule_free(schedule);
    store_close(the_store);
    api_objects_free(objects);
    api_free(api);
    loop_free(loop);
    return 0;
}
