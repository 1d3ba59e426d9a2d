/* figures.c - samples, rates between them, and what is told of them. */
#include "fake.h"
#include "probes.h"
#include "sample.h"
#include "serve.h"

static struct world *w;

static void begin(void)
{
    w = world_new();
}
static void finish(void)
{
    world_free(w);
}
TestSuite(figures, .init = begin, .fini = finish);

static void run_pod(void)
{
    world_put(w, "/pods", "{'metadata':{'name':'p','namespace':'d','uid':'u1'},'spec':{'nodeName':'n1','containers':[{'name':'c','image':'i'}]}}");
    cr_assert_eq(world_sync(w, "d/p", NULL), 0, "%s", w->own.call.err.msg);
}

static struct val *summary(void)
{
    struct kl_bytes text = { NULL, 0 };
    kl_err_init(&w->own.call.err);
    cr_assert_eq(node_stats(&w->agent, &w->own.call, &text), 0, "%s", w->own.call.err.msg);
    struct val *v = json_parse(w->arena, arena_str(w->arena, bytes_str(text)), NULL);
    cr_assert(v);
    return v;
}

static const char *page(const char *path)
{
    struct kl_bytes text = { NULL, 0 };
    kl_err_init(&w->own.call.err);
    cr_assert_eq(node_page(&w->agent, &w->own.call, path, &text), 0, "%s", w->own.call.err.msg);
    return arena_dup(w->arena, bytes_str(text));
}

static const struct val *pod_of(const struct val *v)
{
    const struct val *pods = json_get(v, STR("pods"));
    cr_assert(pods && pods->n == 1);
    return pods->first;
}

static void use(const char *text)
{
    w->figures = world_parse(w, text);
}

Test(figures, a_rate_is_measured_between_two_that_ask)
{
    run_pod();
    use("{'pods':[{'uid':'u1','cpuUsageNs':1000000000,'memoryBytes':4096,'pids':2}],'containers':[{'id':'c-0','podUid':'u1','cpuUsageNs':900000000,'memoryBytes':2048,'memoryUsageBytes':4000}]}");
    summary();
    world_pass(w, 15);
    use("{'pods':[{'uid':'u1','cpuUsageNs':4000000000,'memoryBytes':4096,'pids':2}],'containers':[{'id':'c-0','podUid':'u1','cpuUsageNs':2400000000,'memoryBytes':2048}]}");
    const struct val *v = summary(), *p = pod_of(v), *c = json_get(p, STR("containers"))->first;
    eq_text(json_str(p, "podRef.name"), "p");
    eq_text(json_str(p, "podRef.namespace"), "d");
    cr_assert_eq(json_int(p, "cpu.usageNanoCores", -1), 200000000, "3 s of CPU in 15 s");
    cr_assert_eq(json_int(p, "cpu.windowNanoSeconds", -1), 15 * NS_PER_S);
    cr_assert_eq(json_int(p, "process_stats.process_count", -1), 2);
    eq_text(json_str(c, "name"), "c");
    cr_assert_eq(json_int(c, "cpu.usageNanoCores", -1), 100000000);
    cr_assert_eq(json_int(c, "memory.workingSetBytes", -1), 2048);
    eq_text(json_str(v, "node.nodeName"), "n1");
    cr_assert_gt(json_int(v, "node.memory.workingSetBytes", 0), 0);
    cr_assert_gt(json_int(v, "node.fs.capacityBytes", 0), 0);
}

Test(figures, the_base_is_ten_seconds_old_if_there_is_one)
{
    run_pod();
    for (int i = 0; i <= 20; i += 2) {      /* one CPU for 10 s, then none */
        char text[256];
        snprintf(text, sizeof text, "{'pods':[{'uid':'u1','cpuUsageNs':%lld}],'containers':[]}", (long long)(i < 10 ? i : 10) * 1000000000);
        use(text);
        struct val *v = summary();
        if (i == 20)
            cr_assert_eq(json_int(pod_of(v), "cpu.usageNanoCores", -1), 0);
        else if (i == 14)
            cr_assert_eq(json_int(pod_of(v), "cpu.usageNanoCores", -1), 600000000, "6 s of CPU in 10 s");
        world_pass(w, 2);
    }
}

Test(figures, who_has_begun_since_used_nothing_before)
{
    summary();
    world_pass(w, 20);
    run_pod();
    world_pass(w, 4);
    use("{'pods':[],'containers':[{'id':'c-0','podUid':'u1','cpuUsageNs':2000000000}]}");
    const struct val *c = json_get(pod_of(summary()), STR("containers"))->first;
    cr_assert_eq(json_int(c, "cpu.usageNanoCores", -1), 500000000);
    cr_assert_eq(json_int(c, "cpu.windowNanoSeconds", -1), 4 * NS_PER_S);
}

Test(figures, an_old_moment_is_no_base)
{
    run_pod();
    use("{'pods':[{'uid':'u1','cpuUsageNs':0}],'containers':[]}");
    summary();
    world_pass(w, 3600);
    struct sample s;
    cr_assert_eq(sample_take(&w->agent, &w->own.call, w->arena, false, &s), 0);
    cr_assert_not(rates_set(&w->agent, &s));
    cr_assert_eq(s.pods[0].use.window_ns, 0);
}

Test(figures, pages)
{
    run_pod();
    use("{'pods':[{'uid':'u1','cpuUsageNs':1500000000,'memoryBytes':4096}],'containers':[{'id':'c-0','podUid':'u1','cpuUsageNs':500000000,'memoryBytes':2048}]}");
    const char *text = page("metrics/resource");
    cr_assert(strstr(text, "# TYPE container_cpu_usage_seconds_total counter\ncontainer_cpu_usage_seconds_total{container=\"c\",namespace=\"d\",pod=\"p\"} 0.5\n"), "%s", text);
    cr_assert(strstr(text, "\npod_memory_working_set_bytes{namespace=\"d\",pod=\"p\"} 4096\n"), "%s", text);
    cr_assert(strstr(text, "\nnode_cpu_usage_seconds_total "), "%s", text);
    cr_assert(strstr(text, "\nresource_scrape_error 0\n"), "%s", text);
    text = page("metrics/cadvisor");
    cr_assert(strstr(text, "container_cpu_usage_seconds_total{container=\"c\",id=\"/kubepods/podu1/c-0\",image=\"i\",name=\"c-0\",namespace=\"d\",pod=\"p\"} 0.5\n"), "%s", text);
    cr_assert(strstr(text, "container_memory_working_set_bytes{container=\"\",id=\"/kubepods/podu1\",image=\"\",name=\"\",namespace=\"d\",pod=\"p\"} 4096\n"), "%s", text);
    cr_assert(strstr(text, "\nmachine_cpu_cores "), "%s", text);
    text = page("metrics");
    cr_assert(strstr(text, "\nkubelet_running_pods 1\n"), "%s", text);
    cr_assert(strstr(text, "\nkubelet_running_containers{container_state=\"running\"} 1\n"), "%s", text);
    cr_assert(strstr(text, "\nkubelet_node_name{node=\"n1\"} 1\n"), "%s", text);
    cr_assert(strstr(text, "\nkubelet_started_containers_total{container_type=\"container\"} 1\n"), "%s", text);
    text = page("runningpods");
    cr_assert(strstr(text, "\"name\":\"p\"") && strstr(text, "\"uid\":\"u1\"") && strstr(text, "\"containers\":[{\"name\":\"c\",\"image\":\"i\""), "%s", text);
    text = page("configz");
    cr_assert(strstr(text, "{\"kubeletconfig\":{") && strstr(text, "\"anonymous\":{\"enabled\":false}") && strstr(text, "\"maxPods\":110") &&
              strstr(text, "\"containerLogMaxSize\":\"1Ki\""), "%s", text);
    cr_assert_str_eq(page("healthz/syncloop"), "ok");
    struct kl_bytes none = { NULL, 0 };
    kl_err_init(&w->own.call.err);
    cr_assert_eq(node_page(&w->agent, &w->own.call, "metrics/other", &none), -KL_NOT_FOUND);
}

/* Counted once each, however often it is looked at, and not again by a process that finds it so. */
Test(figures, ends_of_containers)
{
    world_put(w, "/pods", "{'metadata':{'name':'p','namespace':'d','uid':'u1'},'spec':{'nodeName':'n1','restartPolicy':'Never','containers':[{'name':'c','image':'i'}]}}");
    world_sync(w, "d/p", NULL);
    const char *what = "\nkubelet_terminated_containers_total{container_type=\"container\",exit_code=\"139\",reason=\"Error\"} 1\n";
    cr_assert(!strstr(page("metrics"), what));
    world_end(w, "c", 139, "Error");
    world_sync(w, "d/p", NULL);
    world_sync(w, "d/p", NULL);
    cr_assert(strstr(page("metrics"), what), "%s", page("metrics"));
    world_restart(w);
    world_sync(w, "d/p", NULL);
    cr_assert(strstr(page("metrics"), what), "%s", page("metrics"));
}

Test(figures, probes)
{
    world_put(w, "/pods", "{'metadata':{'name':'p','namespace':'d','uid':'u1'},'spec':{'nodeName':'n1','containers':[{'name':'c','image':'i',"
              "'livenessProbe':{'exec':{'command':['true']},'periodSeconds':5}}]}}");
    world_sync(w, "d/p", NULL);
    int64_t again = 0;
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(probes_run(&w->agent, &w->own.call, STR("1:c:d/p"), &again), 0);
        world_pass(w, 6);
    }
    const char *text = page("metrics/probes");
    cr_assert(strstr(text, "\nprober_probe_total{container=\"c\",namespace=\"d\",pod=\"p\",pod_uid=\"u1\",probe_type=\"Liveness\",result=\"successful\"} 2\n"), "%s", text);
    cr_assert(strstr(text, "\nprober_probe_duration_seconds_count{container=\"c\",namespace=\"d\",pod=\"p\",probe_type=\"Liveness\"} 2\n"), "%s", text);
    cr_assert(strstr(text, "\nprocess_start_time_seconds "), "%s", text);
    mem_forget(&w->agent, STR("u1"));
    cr_assert(!strstr(page("metrics/probes"), "u1"));
}

Test(figures, links_of_this_process)
{
    struct link_use links[16];
    size_t n = network_use(w->arena, getpid(), links, 16);
    for (size_t i = 0; i < n; i++)
        cr_assert_not(str_is(links[i].name, "lo"));
    cr_assert_eq(network_use(w->arena, 0, links, 16), 0);
}
