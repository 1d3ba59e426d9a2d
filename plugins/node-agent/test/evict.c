/* evict.c - thresholds, the order of pods, whole evictions and the removal of images, with a machine that the tests make up. */
#include <fcntl.h>
#include <sys/stat.h>

#include "fake.h"

static struct world *w;

static void begin(void)
{
    w = world_new();
    w->agent.observe = observe_fake;
    w->conf.image_gc_high = 85;
    w->conf.image_gc_low = 80;
    w->conf.image_min_age = 120 * NS_PER_S;
    w->conf.eviction_pressure_transition = 300 * NS_PER_S;
    for (int i = 0; i < SIGNALS; i++)
        w->seen[i] = (struct observed){ 900, 1000 };
    w->seen[SIGNAL_MEMORY] = (struct observed){ 8LL << 30, 10LL << 30 };
}
static void finish(void)
{
    world_free(w);
}
TestSuite(evict, .init = begin, .fini = finish);

static void open_with(const char *hard, const char *soft, const char *grace, const char *reclaim)
{
    struct kl_err err;
    kl_err_init(&err);
    w->conf.eviction_hard = hard;
    w->conf.eviction_soft = soft;
    w->conf.eviction_soft_grace = grace;
    w->conf.eviction_minimum_reclaim = reclaim;
    cr_assert_eq(evict_open(&w->agent, &err), 0, "%s", err.msg);
}

static const char *wrong(const char *hard, const char *soft, const char *grace)
{
    struct kl_err err;
    kl_err_init(&err);
    w->conf.eviction_hard = hard;
    w->conf.eviction_soft = soft;
    w->conf.eviction_soft_grace = grace;
    cr_assert_eq(evict_open(&w->agent, &err), -KL_INVALID);
    cr_assert_null(w->agent.evict);
    return arena_dup(w->arena, str_of(err.msg));
}

static int64_t beat(void)
{
    int64_t again = 0;
    kl_err_init(&w->own.call.err);
    buf_clear(&w->trace);
    evict_sync(&w->agent, &w->own.call, &again);
    return again;
}

static void pod(const char *name, int priority, const char *request)
{
    char text[512];
    snprintf(text, sizeof text, "{'metadata':{'name':'%s','namespace':'d','uid':'u-%s'},'spec':{'nodeName':'n1','priority':%d,'terminationGracePeriodSeconds':30,"
             "'containers':[{'name':'c','image':'i','resources':{'requests':{'memory':'%s'}}}]}}", name, name, priority, request);
    world_put(w, "/pods", text);
    cr_assert_eq(world_sync(w, arena_printf(w->arena, "d/%s", name), NULL), 0, "%s", w->own.call.err.msg);
}

static const struct val *status(const char *name)
{
    return json_get(world_get(w, "/pods", arena_printf(w->arena, "d/%s", name)), STR("status"));
}

Test(evict, mistakes_in_thresholds_are_told)
{
    cr_assert(strstr(wrong("memory.free<1Gi", "", ""), "'memory.free' is no threshold"));
    cr_assert(strstr(wrong("memory.available<many", "", ""), "'memory.available' is no threshold"));
    cr_assert(strstr(wrong("memory.available<120%", "", ""), "'memory.available' is no threshold"));
    cr_assert(strstr(wrong("", "memory.available<1Gi", ""), "grace period must be specified for the soft eviction threshold memory.available"));
    cr_assert(strstr(wrong("", "memory.available<1Gi", "memory.available=soon"), "has no value such as 1m30s"));
}

Test(evict, thresholds_are_met_for_a_while)
{
    open_with("nodefs.available<10%", "memory.available<1Gi", "memory.available=1m30s", "nodefs.available=5%");
    struct evict *e = w->agent.evict;
    struct observed *o = w->seen;
    int64_t t = 1000 * NS_PER_S;
    thresholds_update(e, o, t);
    cr_assert_eq(thresholds_pressure(e, t, 0), 0u);
    o[SIGNAL_MEMORY].available = 512 << 20;
    thresholds_update(e, o, t);
    cr_assert_eq(thresholds_pressure(e, t, 0), 1u << PRESSURE_MEMORY, "a soft threshold shows at once");
    cr_assert_null(thresholds_due(e, t + 89 * NS_PER_S));
    cr_assert_not_null(thresholds_due(e, t + 90 * NS_PER_S));
    o[SIGNAL_MEMORY].available = 2LL << 30;
    thresholds_update(e, o, t + 91 * NS_PER_S);
    cr_assert_null(thresholds_due(e, t + 200 * NS_PER_S));
    cr_assert_eq(thresholds_pressure(e, t + 100 * NS_PER_S, 300 * NS_PER_S), 1u << PRESSURE_MEMORY, "it does not go at once");
    cr_assert_eq(thresholds_pressure(e, t + 400 * NS_PER_S, 300 * NS_PER_S), 0u);
    o[SIGNAL_NODEFS].available = 99;
    thresholds_update(e, o, t);
    cr_assert_eq(thresholds_due(e, t)->signal, SIGNAL_NODEFS, "a hard one counts at once");
    o[SIGNAL_NODEFS].available = 149;
    thresholds_update(e, o, t);
    cr_assert_not_null(thresholds_due(e, t), "the minimum to reclaim is not there yet");
    o[SIGNAL_NODEFS].available = 150;
    thresholds_update(e, o, t);
    cr_assert_null(thresholds_due(e, t));
    o[SIGNAL_NODEFS].available = 149;
    thresholds_update(e, o, t);
    cr_assert_null(thresholds_due(e, t), "and is not asked for beforehand");
}

Test(evict, the_order_of_pods)
{
    struct candidate k[] = { { .usage = 10, .request = 20, .priority = 0 }, { .usage = 50, .request = 20, .priority = 5 },
                             { .usage = 30, .request = 20, .priority = 0 }, { .usage = 40, .request = 20, .priority = 0 },
                             { .usage = 19, .request = 20, .priority = -1 } };
    int64_t want[] = { 40, 30, 50, 19, 10 };
    rank_sort(k, 5);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(k[i].usage, want[i], "place %d: %lld", i, (long long)k[i].usage);
    cr_assert(rank_critical(world_parse(w, "{'spec':{'priority':2000000000}}")));
    cr_assert(rank_critical(world_parse(w, "{'metadata':{'annotations':{'kubernetes.io/config.mirror':'x'}}}")));
    cr_assert_not(rank_critical(world_parse(w, "{'spec':{'priority':1999999999}}")));
}

Test(evict, the_pod_that_uses_most_beyond_its_request_goes)
{
    open_with("memory.available<100Mi", "", "", "");
    pod("modest", 0, "64Mi");
    pod("greedy", 0, "16Mi");
    pod("important", 2000000000, "1Mi");
    w->figures = world_parse(w, "{'pods':[{'uid':'u-modest','memoryBytes':33554432},{'uid':'u-greedy','memoryBytes':67108864},{'uid':'u-important','memoryBytes':99999999}],"
                                "'containers':[]}");
    cr_assert_eq(beat(), 0);
    cr_assert_eq(atomic_load(&w->agent.pressure), 0u);
    w->seen[SIGNAL_MEMORY].available = 50 << 20;
    cr_assert_eq(beat(), 2 * NS_PER_S);
    cr_assert_eq(atomic_load(&w->agent.pressure), 1u << PRESSURE_MEMORY);
    cr_assert(world_told(w, "EvictionThresholdMet Attempting to reclaim memory"));
    cr_assert(world_told(w, "Evicted The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "));
    beat();
    cr_assert_eq(world_sync(w, "d/greedy", NULL), 0);
    cr_assert(strstr(world_trace(w), "stop c-0 1\n"), "%s", world_trace(w));
    eq_text(json_str(status("greedy"), "phase"), "Failed");
    eq_text(json_str(status("greedy"), "reason"), "Evicted");
    cr_assert(str_starts(json_str(status("greedy"), "message"), STR("The node was low on resource: memory. ")));
    eq_text(json_str(condition_find(json_get(status("greedy"), STR("conditions")), STR("DisruptionTarget")), "reason"), "TerminationByKubelet");
    eq_text(json_str(status("modest"), "phase"), "Running");
    eq_text(json_str(status("important"), "phase"), "Running");
}

Test(evict, under_pressure_not_everybody_comes)
{
    open_with("memory.available<100Mi", "", "", "");
    w->seen[SIGNAL_MEMORY].available = 50 << 20;
    beat();
    world_put(w, "/pods", "{'metadata':{'name':'b','namespace':'d','uid':'u-b'},'spec':{'nodeName':'n1','containers':[{'name':'c','image':'i'}]}}");
    cr_assert_eq(world_sync(w, "d/b", NULL), 0);
    eq_text(json_str(status("b"), "reason"), "Evicted");
    eq_text(json_str(status("b"), "message"), "Pod was rejected: The node had condition: [MemoryPressure]. ");
    pod("asks", 0, "16Mi");
    eq_text(json_str(status("asks"), "phase"), "Running");
}

static void images(void)
{
    w->images = world_parse(w, "{'images':[{'id':'sha256:1','repoTags':['used'],'size':100},{'id':'sha256:2','repoTags':['old:1','old:2'],'size':60},{'id':'sha256:3','size':60}]}");
}

Test(evict, unused_images_go_when_their_disk_is_full)
{
    open_with("", "", "", "");
    images();
    pod("p", 0, "1Mi");
    w->seen[SIGNAL_IMAGEFS].available = 150;
    beat();
    cr_assert_str_eq(world_trace(w), "", "85 %%, but they have just come");
    world_pass(w, 301);
    beat();
    cr_assert_str_eq(world_trace(w), "rmi old:1\nrmi old:2\n", "%s", world_trace(w));
    w->seen[SIGNAL_IMAGEFS].available = 210;
    world_pass(w, 301);
    beat();
    cr_assert_str_eq(world_trace(w), "");
}

Test(evict, images_that_nobody_uses_for_long_go)
{
    open_with("", "", "", "");
    w->conf.image_max_age = 3600 * NS_PER_S;
    images();
    pod("p", 0, "1Mi");
    beat();
    world_pass(w, 3601);
    beat();
    cr_assert_str_eq(world_trace(w), "rmi old:1\nrmi old:2\nrmi sha256:3\n", "%s", world_trace(w));
}

Test(evict, when_the_disk_is_short_images_go_before_pods)
{
    open_with("imagefs.available<15%", "", "", "");
    images();
    pod("p", 0, "1Mi");
    w->seen[SIGNAL_IMAGEFS].available = 100;
    beat();
    cr_assert(strstr(world_trace(w), "rmi old:1\nrmi old:2\nrmi sha256:3\n"), "%s", world_trace(w));
    cr_assert_eq(atomic_load(&w->agent.pressure), 1u << PRESSURE_DISK);
    cr_assert(world_told(w, "Evicted The node was low on resource: ephemeral-storage. Threshold quantity: 150, available: 100. "));
}

Test(evict, what_a_folder_holds)
{
    char path[128];
    int64_t inodes = 0;
    snprintf(path, sizeof path, "%s/a", w->dir);
    cr_assert_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/a/f", w->dir);
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 65536; i++)
        fputc('x', f);
    fclose(f);
    cr_assert_geq(disk_use(w->dir, &inodes), 65536);
    cr_assert_eq(inodes, 2);
    cr_assert_eq(disk_use("/nonexistent/x", &inodes), 0);
    snprintf(path, sizeof path, "%s/a/l", w->dir);
    cr_assert_eq(symlink("/usr", path), 0);
    cr_assert_lt(disk_use(w->dir, NULL), 1 << 20, "no link is followed");
}

static void fill(const char *path, int kib)
{
    char *copy = arena_dup(w->arena, str_of(path));
    struct kl_err err;
    *strrchr(copy, '/') = '\0';
    cr_assert_eq(disk_mkdirs(copy, 0700, &err), 0);
    FILE *f = fopen(path, "w");
    cr_assert(f, "%s", path);
    for (int i = 0; i < kib * 1024; i++)
        fputc('x', f);
    fclose(f);
}

static void limited(const char *name, const char *limits, const char *volumes)
{
    char text[768];
    snprintf(text, sizeof text, "{'metadata':{'name':'%s','namespace':'d','uid':'u-%s'},'spec':{'nodeName':'n1','containers':[{'name':'c','image':'i','resources':{'limits':{%s}}}],"
             "'volumes':[%s]}}", name, name, limits, volumes);
    world_put(w, "/pods", text);
    cr_assert_eq(world_sync(w, arena_printf(w->arena, "d/%s", name), NULL), 0, "%s", w->own.call.err.msg);
}

static const char *evicted(const char *name)
{
    kl_err_init(&w->own.call.err);
    local_check(&w->agent, &w->own.call);
    cr_assert_eq(world_sync(w, arena_printf(w->arena, "d/%s", name), NULL), 0);
    return str_is(json_str(status(name), "reason"), "Evicted") ? arena_dup(w->arena, json_str(status(name), "message")) : "";
}

Test(evict, an_empty_dir_over_its_limit)
{
    limited("p", "", "{'name':'v','emptyDir':{'sizeLimit':'100Ki'}}");
    char *path = pod_path(&w->agent, w->arena, STR("u-p"), "/volumes/v/f");
    fill(path, 64);
    cr_assert_str_eq(evicted("p"), "");
    fill(path, 128);
    cr_assert_str_eq(evicted("p"), "Usage of EmptyDir volume \"v\" exceeds the limit \"100Ki\". ");
}

Test(evict, a_container_over_its_limit)
{
    limited("p", "'ephemeral-storage':'100Ki'", "{'name':'v','emptyDir':{}}");
    w->figures = world_parse(w, "{'pods':[],'containers':[{'id':'c-0','rootfsBytes':90000}]}");
    cr_assert_str_eq(evicted("p"), "");
    fill(pod_path(&w->agent, w->arena, STR("u-p"), "/volumes/v/f"), 32);
    cr_assert_str_eq(evicted("p"), "Pod ephemeral local storage usage exceeds the total limit of containers 100Ki. ");
}

Test(evict, who_has_no_limit_is_not_looked_at)
{
    limited("p", "'memory':'1Gi'", "{'name':'v','emptyDir':{}}");
    struct pod_mem *m = mem_get(&w->agent, STR("u-p"));
    cr_assert_not(m->disk_limited);
    mem_put(&w->agent, m);
    fill(pod_path(&w->agent, w->arena, STR("u-p"), "/volumes/v/f"), 512);
    cr_assert_str_eq(evicted("p"), "");
}
