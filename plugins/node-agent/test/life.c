/* life.c - whole lives of pods through sync_pod, over the fake runtime. */
#include "fake.h"

#define POD(spec) "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'d','name':'p','uid':'u1','generation':1},'spec':{'nodeName':'n1'," spec "}}"
#define ONE       "'containers':[{'name':'c','image':'i'}]"

static struct world *w;

static void begin(void)
{
    w = world_new();
}
static void finish(void)
{
    world_free(w);
}
TestSuite(life, .init = begin, .fini = finish);

static const struct val *pod(void)
{
    return world_get(w, "/pods", "d/p");
}
static struct str at(const char *path)
{
    return world_text(w, pod(), path);
}
static const char *trace(void)
{
    return world_trace(w);
}
static struct str condition(const char *type)
{
    return json_str(condition_find(json_path(pod(), "status.conditions"), str_of(type)), "status");
}

Test(life, runs)
{
    world_put(w, "/pods", POD("'restartPolicy':'Always'," ONE));
    cr_assert_eq(world_sync(w, "d/p", NULL), 0);
    cr_assert_str_eq(trace(), "attach \nsandbox p\nstart c-0\n");
    eq_text(at("status.phase"), "Running");
    eq_text(at("status.podIP"), "10.0.0.9");
    eq_text(at("status.hostIP"), "192.0.2.1");
    eq_text(at("status.startTime"), "2026-01-01T00:00:00Z");
    eq_text(at("status.qosClass"), "BestEffort");
    eq_text(at("status.observedGeneration"), "1");
    eq_text(at("status.containerStatuses.0.containerID"), "fake://c-0");
    eq_text(at("status.containerStatuses.0.restartCount"), "0");
    eq_text(at("status.containerStatuses.0.state.running.startedAt"), "2026-01-01T00:00:00Z");
    eq_text(condition("Ready"), "True");
    eq_text(condition("Initialized"), "True");
    eq_text(condition("PodReadyToStartContainers"), "True");
    cr_assert(world_told(w, "Started"));
    int writes = w->writes;
    world_pass(w, 100);
    cr_assert_eq(world_sync(w, "d/p", NULL), 0);
    cr_assert_str_eq(trace(), "");
    cr_assert_eq(w->writes, writes, "an unchanged status is not written");
}

Test(life, crashes_wait_longer_each_time)
{
    static const int waits[] = { 0, 10, 20, 40, 80, 160, 300, 300 };
    int64_t again;
    world_put(w, "/pods", POD("'restartPolicy':'Always'," ONE));
    world_sync(w, "d/p", NULL);
    for (int i = 0; i < 8; i++) {
        world_end(w, "c", 3, "Error");
        world_sync(w, "d/p", &again);
        cr_assert_eq(again, waits[i] * NS_PER_S, "crash %d waits %lld s", i, (long long)(again / NS_PER_S));
        if (waits[i]) {
            eq_text(at("status.containerStatuses.0.state.waiting.reason"), "CrashLoopBackOff");
            eq_text(at("status.containerStatuses.0.lastState.terminated.exitCode"), "3");
            cr_assert_str_eq(trace(), "", "it is not started before");
            world_pass(w, waits[i]);
            world_sync(w, "d/p", NULL);
        }
        eq_text(at("status.containerStatuses.0.restartCount"), arena_printf(w->arena, "%d", i + 1));
        eq_text(at("status.phase"), "Running");
    }
    cr_assert(w->containers->n == 2, "one earlier container is kept, not %u", w->containers->n);
    cr_assert(world_told(w, "BackOff Back-off restarting failed container c in pod p_d(u1)"));
    eq_text(world_text(w, pod(), "status.containerStatuses.0.lastState.terminated.reason"), "Error");
    world_pass(w, 700);                     /* a long life is forgiven */
    world_end(w, "c", 3, "Error");
    world_sync(w, "d/p", &again);
    cr_assert_eq(again, 0);
    cr_assert_str_eq(trace(), "start c-9\ndrop c-7\n");
}

Test(life, back_off_in_words)
{
    world_put(w, "/pods", POD("'restartPolicy':'Always'," ONE));
    world_sync(w, "d/p", NULL);
    for (int i = 0; i < 5; i++) {
        world_end(w, "c", 1, "Error");
        world_sync(w, "d/p", NULL);
        if (i < 4)
            world_pass(w, 300), world_sync(w, "d/p", NULL);
    }
    eq_text(at("status.containerStatuses.0.state.waiting.message"), "back-off 1m20s restarting failed container=c pod=p_d(u1)");
}

Test(life, ends_for_good)
{
    world_put(w, "/pods", POD("'restartPolicy':'Never'," ONE));
    world_sync(w, "d/p", NULL);
    world_end(w, "c", 0, "Completed");
    world_sync(w, "d/p", NULL);
    eq_text(at("status.phase"), "Succeeded");
    eq_text(at("status.containerStatuses.0.state.terminated.reason"), "Completed");
    eq_text(at("status.podIP"), "10.0.0.9");
    eq_text(condition("Ready"), "False");
    cr_assert(strstr(trace(), "detach u1"));
    world_sync(w, "d/p", NULL);
    eq_text(at("status.podIP"), "10.0.0.9");
    world_restart(w);
    int writes = w->writes;
    world_sync(w, "d/p", NULL);
    cr_assert_eq(w->writes, writes, "a restart of the agent changes nothing");
    cr_assert(!strstr(trace(), "start"));
}

Test(life, on_failure)
{
    world_put(w, "/pods", POD("'restartPolicy':'OnFailure'," ONE));
    world_sync(w, "d/p", NULL);
    world_end(w, "c", 2, "Error");
    world_sync(w, "d/p", NULL);
    cr_assert_str_eq(trace(), "start c-1\n");
    world_end(w, "c", 0, "Completed");
    world_sync(w, "d/p", NULL);
    eq_text(at("status.phase"), "Succeeded");
    eq_text(at("status.containerStatuses.0.restartCount"), "1");
}

Test(life, init_containers_and_sidecars)
{
    world_put(w, "/pods", POD("'restartPolicy':'Never','initContainers':[{'name':'a','image':'i'},{'name':'s','image':'i','restartPolicy':'Always'},"
                              "{'name':'b','image':'i'}],'containers':[{'name':'c','image':'i'}]"));
    world_sync(w, "d/p", NULL);
    cr_assert_str_eq(trace(), "attach \nsandbox p\nstart a-0\n");
    eq_text(at("status.phase"), "Pending");
    eq_text(at("status.containerStatuses.0.state.waiting.reason"), "PodInitializing");
    world_end(w, "a", 0, "Completed");
    world_sync(w, "d/p", NULL);
    cr_assert_str_eq(trace(), "start s-0\n");
    world_sync(w, "d/p", NULL);
    cr_assert_str_eq(trace(), "start b-0\n");
    eq_text(condition("Initialized"), "False");
    world_end(w, "b", 0, "Completed");
    world_sync(w, "d/p", NULL);
    cr_assert_str_eq(trace(), "start c-0\n");
    eq_text(at("status.phase"), "Running");
    eq_text(condition("Initialized"), "True");
    world_end(w, "s", 1, "Error");          /* sidecars come back, whatever the pod's policy */
    world_sync(w, "d/p", NULL);
    cr_assert_str_eq(trace(), "start s-1\n");
    world_end(w, "c", 0, "Completed");
    world_sync(w, "d/p", NULL);
    cr_assert(strstr(trace(), "stop s-1"), "%s", trace());
    world_sync(w, "d/p", NULL);
    eq_text(at("status.phase"), "Succeeded");
}

Test(life, ephemeral_containers_run_once)
{
    world_put(w, "/pods", POD("'restartPolicy':'Always','initContainers':[{'name':'a','image':'i'}]," ONE));
    world_sync(w, "d/p", NULL);
    struct val *spec = json_get(world_get(w, "/pods", "d/p"), STR("spec"));
    set_v(w->arena, spec, "ephemeralContainers", world_parse(w, "[{'name':'e','image':'i'},{'name':'t','image':'i','targetContainerName':'c'}]"));
    world_sync(w, "d/p", NULL);
    cr_assert_str_eq(trace(), "start e-0\n", "before the init containers are through, but not before their target");
    eq_text(at("status.ephemeralContainerStatuses.1.state.waiting.reason"), "CreateContainerConfigError");
    eq_text(at("status.ephemeralContainerStatuses.1.state.waiting.message"), "unable to find target container c");
    eq_text(at("status.phase"), "Pending");
    world_end(w, "a", 0, "Completed");
    world_sync(w, "d/p", NULL);
    world_pass(w, 20);
    world_sync(w, "d/p", NULL);
    eq_text(json_str(world_container(w, "t"), "linux.securityContext.namespaceOptions.pid"), "TARGET");
    eq_text(json_str(world_container(w, "t"), "linux.securityContext.namespaceOptions.targetId"), "c-0");
    trace();
    world_end(w, "e", 3, "Error");
    world_sync(w, "d/p", NULL);
    eq_text(at("status.ephemeralContainerStatuses.0.state.terminated.exitCode"), "3");
    eq_text(at("status.phase"), "Running");
    eq_text(condition("Ready"), "True");
    world_restart(w);
    val_unlink(w->containers, world_container(w, "e"));
    world_sync(w, "d/p", NULL);
    cr_assert(!strstr(trace(), "start"), "not again, even if the runtime has forgotten it");
    eq_text(at("status.ephemeralContainerStatuses.0.state.terminated.exitCode"), "3");
}

static void wish(const char *resources, int generation)
{
    struct val *v = world_get(w, "/pods", "d/p");
    set_v(w->arena, (struct val *)json_path(v, "spec.containers")->first, "resources", world_parse(w, resources));
    set_i(w->arena, json_get(v, STR("metadata")), "generation", generation);
}

#define RESOURCES(cpu, memory) "{'requests':{'cpu':'" cpu "','memory':'" memory "'},'limits':{'memory':'" memory "'}}"
#define SIZED(more) "'restartPolicy':'OnFailure','containers':[{'name':'c','image':'i','resources':" RESOURCES("100m", "10Mi") more "}]"
#define NODE        "{'metadata':{'name':'n1'},'status':{'allocatable':{'cpu':'1','memory':'100Mi'}}}"

Test(life, resized_in_place)
{
    world_put(w, "/nodes", NODE);
    world_put(w, "/pods", POD(SIZED("")));
    world_sync(w, "d/p", NULL);
    eq_text(at("status.containerStatuses.0.resources.requests.cpu"), "100m");
    wish(RESOURCES("200m", "20Mi"), 2);
    world_sync(w, "d/p", NULL);
    cr_assert_str_eq(trace(), "widen s0 204 20971520\nupdate c-0 204 20971520\nwiden s0 204 20971520\n");
    eq_text(at("status.containerStatuses.0.resources.requests.cpu"), "200m");
    eq_text(at("status.containerStatuses.0.allocatedResources.cpu"), "200m");
    eq_text(condition("PodResizeInProgress"), "");
    cr_assert(world_told(w, "ResizeCompleted Pod resize completed: {\"containers\":[{\"name\":\"c\""));
    wish(RESOURCES("50m", "5Mi"), 3);
    world_sync(w, "d/p", NULL);
    cr_assert_str_eq(trace(), "widen s0 204 20971520\nupdate c-0 51 5242880\nwiden s0 51 5242880\n", "%s", trace());
    world_restart(w);
    world_sync(w, "d/p", NULL);
    cr_assert(!strstr(trace(), "update"), "the runtime's record says what it runs with");
}

Test(life, resized_when_there_is_room)
{
    world_put(w, "/nodes", NODE);
    world_put(w, "/pods", POD(SIZED("")));
    world_put(w, "/pods", "{'metadata':{'namespace':'d','name':'q','uid':'u2'},'spec':{'nodeName':'n1','containers':[{'name':'c','resources':{'requests':{'cpu':'800m'}}}]}}");
    world_sync(w, "d/p", NULL);
    wish(RESOURCES("2", "10Mi"), 2);
    int64_t again = 0;
    world_sync(w, "d/p", &again);
    cr_assert_str_eq(trace(), "");
    eq_text(json_str(condition_find(json_path(pod(), "status.conditions"), STR("PodResizePending")), "reason"), "Infeasible");
    eq_text(json_str(condition_find(json_path(pod(), "status.conditions"), STR("PodResizePending")), "message"),
            "Node didn't have enough capacity: cpu, requested: 2000, capacity: 1000");
    eq_text(at("status.containerStatuses.0.allocatedResources.cpu"), "100m");
    wish(RESOURCES("300m", "10Mi"), 3);
    world_sync(w, "d/p", &again);
    cr_assert_eq(again, 10 * NS_PER_S);
    eq_text(json_str(condition_find(json_path(pod(), "status.conditions"), STR("PodResizePending")), "reason"), "Deferred");
    eq_text(json_str(condition_find(json_path(pod(), "status.conditions"), STR("PodResizePending")), "message"),
            "Node didn't have enough resource: cpu, requested: 300, used: 800, capacity: 1000");
    world_end(w, "c", 1, "Error");
    world_sync(w, "d/p", NULL);
    eq_text(at("status.containerStatuses.0.resources.requests.cpu"), "300m");      /* a new life begins with what is wished for */
}

Test(life, resized_by_a_restart)
{
    world_put(w, "/nodes", NODE);
    world_put(w, "/pods", POD(SIZED(",'resizePolicy':[{'resourceName':'memory','restartPolicy':'RestartContainer'}]")));
    world_sync(w, "d/p", NULL);
    wish(RESOURCES("200m", "10Mi"), 2);
    world_sync(w, "d/p", NULL);
    cr_assert(strstr(trace(), "update c-0 204"), "CPU needs none");
    wish(RESOURCES("200m", "20Mi"), 3);
    world_sync(w, "d/p", NULL);
    cr_assert(strstr(trace(), "stop c-0 30"), "%s", trace());
    cr_assert(world_told(w, "Killing Container c resize requires restart"));
    eq_text(at("status.phase"), "Running");
    world_sync(w, "d/p", NULL);
    cr_assert(strstr(trace(), "start c-1"), "it ended well, and is started all the same: %s", trace());
    eq_text(at("status.containerStatuses.0.resources.limits.memory"), "20Mi");
    eq_text(condition("PodResizeInProgress"), "");
}

Test(life, resize_that_does_not_work_yet)
{
    world_put(w, "/nodes", NODE);
    world_put(w, "/pods", POD(SIZED("")));
    world_sync(w, "d/p", NULL);
    w->no_update = true;
    wish(RESOURCES("200m", "5Mi"), 2);
    int64_t again = 0;
    world_sync(w, "d/p", &again);
    eq_text(condition("PodResizeInProgress"), "True");
    eq_text(json_str(condition_find(json_path(pod(), "status.conditions"), STR("PodResizeInProgress")), "reason"), "Error");
    cr_assert_eq(again, 10 * NS_PER_S);
    eq_text(at("status.containerStatuses.0.allocatedResources.memory"), "5Mi");
    eq_text(at("status.containerStatuses.0.resources.limits.memory"), "10Mi");
    w->no_update = false;
    world_sync(w, "d/p", NULL);
    eq_text(condition("PodResizeInProgress"), "");
    eq_text(at("status.containerStatuses.0.resources.limits.memory"), "5Mi");
}

Test(life, rules_of_a_container_come_before_the_policy)
{
    world_put(w, "/pods", POD("'restartPolicy':'Never','containers':[{'name':'c','image':'i','restartPolicy':'Never','restartPolicyRules':[{'action':'Restart',"
                              "'exitCodes':{'operator':'In','values':[42]}},{'action':'Restart','exitCodes':{'operator':'NotIn','values':[1,42]}}]},"
                              "{'name':'d','image':'i','restartPolicy':'OnFailure'}]"));
    world_sync(w, "d/p", NULL);
    world_end(w, "c", 42, "Error");
    world_end(w, "d", 2, "Error");
    world_sync(w, "d/p", NULL);
    cr_assert_str_eq(trace(), "start c-1\nstart d-1\n");
    world_end(w, "c", 7, "Error");
    world_end(w, "d", 0, "Completed");
    world_pass(w, 20);
    world_sync(w, "d/p", NULL);
    cr_assert_str_eq(trace(), "start c-2\ndrop c-0\n");
    eq_text(at("status.phase"), "Running");
    world_end(w, "c", 1, "Error");
    world_sync(w, "d/p", NULL);
    eq_text(at("status.phase"), "Failed");
}

Test(life, sidecars_end_in_reverse)
{
    world_put(w, "/pods", POD("'restartPolicy':'Never','initContainers':[{'name':'s','image':'i','restartPolicy':'Always'},{'name':'t','image':'i','restartPolicy':'Always'}]," ONE));
    for (int i = 0; i < 3; i++)
        world_sync(w, "d/p", NULL);
    world_end(w, "c", 0, "Completed");
    world_sync(w, "d/p", NULL);
    cr_assert(strstr(trace(), "stop t-0 30\nstop s-0 30\n"), "%s", trace());
}

Test(life, the_pod_as_a_whole)
{
    world_put(w, "/pods", POD("'resources':{'requests':{'cpu':'100m'},'limits':{'memory':'64Mi'}},'overhead':{'cpu':'100m','memory':'1Mi'}," ONE));
    world_sync(w, "d/p", NULL);
    struct pod_view v;
    struct pod_mem *m = mem_get(&w->agent, STR("u1"));
    cr_assert(view_make(&v, w->arena, pod(), NULL, m));
    const struct val *r = resources_of_pod(w->arena, &v, false);
    cr_assert_eq(json_int(r, "cpuShares", 0), 204);
    cr_assert_eq(json_int(r, "cpuQuota", 0), 0);
    cr_assert_eq(json_int(r, "memoryLimitInBytes", 0), 65 << 20);
    mem_put(&w->agent, m);
}

Test(life, a_condition_loses_its_reason)
{
    world_put(w, "/pods", POD("'restartPolicy':'Always','containers':[{'name':'c','image':'i','readinessProbe':{'exec':{'command':['x']}}}]"));
    world_sync(w, "d/p", NULL);
    eq_text(json_str(condition_find(json_path(pod(), "status.conditions"), STR("Ready")), "reason"), "ContainersNotReady");
    struct pod_mem *m = mem_get(&w->agent, STR("u1"));
    mem_ctr(m, STR("c"))->probe[PROBE_READINESS].result = PROBE_OK;
    mem_put(&w->agent, m);
    world_sync(w, "d/p", NULL);
    eq_text(condition("Ready"), "True");
    cr_assert(!json_str(condition_find(json_path(pod(), "status.conditions"), STR("Ready")), "reason").len);
    cr_assert(!json_str(condition_find(json_path(pod(), "status.conditions"), STR("Ready")), "message").len);
}

Test(life, a_failed_init_container_fails_the_pod)
{
    world_put(w, "/pods", POD("'restartPolicy':'Never','initContainers':[{'name':'a','image':'i'}]," ONE));
    world_sync(w, "d/p", NULL);
    world_end(w, "a", 1, "Error");
    world_sync(w, "d/p", NULL);
    eq_text(at("status.phase"), "Failed");
    eq_text(at("status.containerStatuses.0.state.waiting.reason"), "PodInitializing");
}

Test(life, deletion)
{
    world_put(w, "/pods", POD("'restartPolicy':'Always','terminationGracePeriodSeconds':30,'containers':[{'name':'c','image':'i','lifecycle':"
                              "{'preStop':{'exec':{'command':['bye']}}}},{'name':'e','image':'i'}]"));
    world_sync(w, "d/p", NULL);
    struct val *meta = json_get(world_get(w, "/pods", "d/p"), STR("metadata"));
    set_z(w->arena, meta, "deletionTimestamp", "2026-01-01T00:00:20Z");
    set_i(w->arena, meta, "deletionGracePeriodSeconds", 20);
    cr_assert_eq(world_sync(w, "d/p", NULL), 0);
    cr_assert(strstr(trace(), "exec bye\n in c-0\nstop c-0 20\nstop e-0 20\n"), "%s", trace());
    cr_assert(strstr(trace(), "remove s0\ndetach u1\n"), "%s", trace());
    cr_assert_null(pod());
    cr_assert(world_told(w, "Killing Stopping container c"));
    cr_assert_null(mem_get(&w->agent, STR("u1")));
    cr_assert_eq(w->containers->n, 0);
}

/* A pod that a finalizer keeps goes on to show how it ended. */
Test(life, deleted_and_kept)
{
    world_put(w, "/pods", POD("'restartPolicy':'Never'," ONE));
    world_sync(w, "d/p", NULL);
    struct val *kept = val_copy(w->arena, pod()), *meta = json_get(kept, STR("metadata"));
    set_z(w->arena, meta, "deletionTimestamp", "2026-01-01T00:00:20Z");
    set_i(w->arena, meta, "deletionGracePeriodSeconds", 0);
    json_set_str(w->arena, json_get(kept, STR("status")), STR("phase"), STR("Succeeded"));
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    json_write(&b, kept);
    json_set(w->arena, json_get(world_get(w, "/pods", "d/p"), STR("metadata")), STR("deletionTimestamp"), val_of_str(w->arena, STR("2026-01-01T00:00:20Z")));
    cr_assert_eq(world_sync(w, "d/p", NULL), 0);
    cr_assert_null(pod());
    world_put(w, "/pods", arena_dup(w->arena, buf_str(&b)));
    int before = w->writes;
    cr_assert_eq(world_sync(w, "d/p", NULL), 0);
    cr_assert_eq(w->writes, before, "its status was written anew");
}

Test(life, a_recreated_pod_of_that_name_is_another)
{
    world_put(w, "/pods", POD("'restartPolicy':'Always'," ONE));
    world_sync(w, "d/p", NULL);
    world_put(w, "/pods", "{'metadata':{'namespace':'d','name':'p','uid':'u2'},'spec':{'nodeName':'elsewhere'," ONE "}}");
    cr_assert_eq(world_sync(w, "d/p", NULL), 0);
    cr_assert(strstr(trace(), "remove s0\ndetach u1"), "%s", trace());
    cr_assert(!strstr(trace(), "start"));
}

Test(life, a_pod_that_the_api_keeps_back_is_looked_for_among_the_nodes_own)
{
    world_put(w, "/pods", POD("'restartPolicy':'Always'," ONE));
    world_sync(w, "d/p", NULL);
    w->forbidden = true;
    cr_assert_eq(world_sync(w, "d/p", NULL), 0);
    cr_assert(!strstr(trace(), "stop") && !strstr(trace(), "remove"), "%s", trace());
}

Test(life, restart_of_the_agent_adopts)
{
    world_put(w, "/pods", POD("'restartPolicy':'Always','containers':[{'name':'c','image':'i','readinessProbe':{'exec':{'command':['x']}}}]"));
    world_sync(w, "d/p", NULL);
    eq_text(condition("Ready"), "False");
    int64_t again = 0;
    probes_run(&w->agent, &w->own.call, STR("2:c:d/p"), &again);
    world_sync(w, "d/p", NULL);
    eq_text(condition("Ready"), "True");
    int writes = w->writes;
    world_restart(w);
    world_sync(w, "d/p", NULL);
    cr_assert(!strstr(trace(), "start") && !strstr(trace(), "sandbox"), "%s", trace());
    cr_assert_eq(w->writes, writes);
    eq_text(condition("Ready"), "True");
    cr_assert(json_get(w->keys, STR("probe!2:c:d/p")), "its probe goes on");
}

Test(life, adopts_a_back_off)
{
    int64_t again;
    world_put(w, "/pods", POD("'restartPolicy':'Always'," ONE));
    world_sync(w, "d/p", NULL);
    for (int i = 0; i < 3; i++) {
        world_end(w, "c", 1, "Error");
        world_sync(w, "d/p", NULL);
        if (i < 2)
            world_pass(w, 300), world_sync(w, "d/p", NULL);
    }
    world_restart(w);
    world_sync(w, "d/p", &again);
    cr_assert_eq(again, 20 * NS_PER_S, "%lld", (long long)again);
    cr_assert_str_eq(trace(), "attach \n");
}

Test(life, image_reasons)
{
    int64_t again;
    w->no_image = true;
    world_put(w, "/pods", POD("'restartPolicy':'Always','containers':[{'name':'c','image':'i','imagePullPolicy':'Never'}]"));
    world_sync(w, "d/p", NULL);
    eq_text(at("status.containerStatuses.0.state.waiting.reason"), "ErrImageNeverPull");
    eq_text(at("status.phase"), "Pending");
    world_put(w, "/pods", "{'metadata':{'namespace':'d','name':'q','uid':'u3'},'spec':{'nodeName':'n1','containers':[{'name':'c','image':'i'}]}}");
    world_sync(w, "d/q", NULL);
    const struct val *q = world_get(w, "/pods", "d/q");
    eq_text(world_text(w, q, "status.containerStatuses.0.state.waiting.reason"), "ErrImagePull");
    world_sync(w, "d/q", &again);
    eq_text(world_text(w, q, "status.containerStatuses.0.state.waiting.reason"), "ImagePullBackOff");
    cr_assert(again > 8 * NS_PER_S && again <= 10 * NS_PER_S);
    w->no_image = false;
    world_pass(w, 11);
    world_sync(w, "d/q", NULL);
    eq_text(world_text(w, q, "status.phase"), "Running");
}

Test(life, without_network_it_waits)
{
    w->no_network = true;
    world_put(w, "/pods", POD("'restartPolicy':'Always'," ONE));
    cr_assert_eq(world_sync(w, "d/p", NULL), 0);
    eq_text(at("status.phase"), "Pending");
    eq_text(at("status.containerStatuses.0.state.waiting.reason"), "ContainerCreating");
    cr_assert(world_told(w, "FailedCreatePodSandBox Failed to create pod sandbox: network: no address is free"));
}

Test(life, config_errors_say_what)
{
    world_put(w, "/pods", POD("'restartPolicy':'Always','containers':[{'name':'c','image':'i','env':[{'name':'X','valueFrom':{'secretKeyRef':"
                              "{'name':'s','key':'k'}}}]}]"));
    world_sync(w, "d/p", NULL);
    eq_text(at("status.containerStatuses.0.state.waiting.reason"), "CreateContainerConfigError");
    eq_text(at("status.containerStatuses.0.state.waiting.message"), "secret \"s\" not found");
}

Test(life, a_changed_image_restarts_the_container)
{
    world_put(w, "/pods", POD("'restartPolicy':'Always'," ONE));
    world_sync(w, "d/p", NULL);
    struct val *c = json_path(world_get(w, "/pods", "d/p"), "spec.containers");
    set_z(w->arena, c->first, "image", "j");
    world_sync(w, "d/p", NULL);
    cr_assert_str_eq(trace(), "stop c-0 30\n");
    cr_assert(world_told(w, "Killing Container c definition changed, will be restarted"));
    world_sync(w, "d/p", NULL);
    cr_assert_str_eq(trace(), "start c-1\n");
    eq_text(at("status.containerStatuses.0.image"), "j");
}

Test(life, deadline)
{
    int64_t again;
    world_put(w, "/pods", POD("'restartPolicy':'Always','activeDeadlineSeconds':60," ONE));
    world_sync(w, "d/p", NULL);
    world_pass(w, 50);
    world_sync(w, "d/p", &again);
    cr_assert_eq(again, 10 * NS_PER_S);
    world_pass(w, 10);
    world_sync(w, "d/p", NULL);
    world_sync(w, "d/p", NULL);
    eq_text(at("status.phase"), "Failed");
    eq_text(at("status.reason"), "DeadlineExceeded");
}
