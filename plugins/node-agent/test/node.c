/* node.c - the Node and its Lease through node_sync. */
#include "fake.h"

static struct world *w;

static void begin(void)
{
    w = world_new();
}
static void finish(void)
{
    world_free(w);
}
TestSuite(node, .init = begin, .fini = finish);

static int64_t sync_node(void)
{
    int64_t again = 0;
    kl_err_init(&w->own.call.err);
    cr_assert_eq(node_sync(&w->agent, &w->own.call, &again), 0, "%s", w->own.call.err.msg);
    return again;
}
static const struct val *node(void)
{
    return world_get(w, "/nodes", "n1");
}
static struct str condition(const char *type, const char *field)
{
    return json_str(condition_find(json_path(node(), "status.conditions"), str_of(type)), field);
}

Test(node, registers)
{
    cr_assert_eq(sync_node(), 10 * NS_PER_S);
    eq_text(val_str(json_get(json_path(node(), "metadata.labels"), STR("kubernetes.io/hostname"))), "n1");
    eq_text(val_str(json_get(json_path(node(), "metadata.labels"), STR("kubernetes.io/os"))), "linux");
    eq_text(json_str(node(), "spec.podCIDR"), "10.0.3.0/24");
    eq_text(condition("Ready", "status"), "True");
    eq_text(condition("MemoryPressure", "reason"), "KubeletHasSufficientMemory");
    eq_text(world_text(w, node(), "status.addresses.0.address"), "192.0.2.1");
    eq_text(world_text(w, node(), "status.images.0.names.0"), "large");
    eq_text(json_str(node(), "status.capacity.pods"), "110");
    eq_text(json_str(node(), "status.nodeInfo.kubeletVersion"), "v1.36.0");
    const struct val *lease = world_get(w, "coordination.k8s.io/leases", "kube-node-lease/n1");
    eq_text(json_str(lease, "spec.holderIdentity"), "n1");
    eq_text(json_str(lease, "spec.renewTime"), "2026-01-01T00:00:00.000000Z");
    eq_text(world_text(w, lease, "metadata.ownerReferences.0.kind"), "Node");
}

Test(node, writes_no_more_than_it_must)
{
    sync_node();
    int writes = w->writes;
    world_pass(w, 4);
    cr_assert_eq(sync_node(), 6 * NS_PER_S);
    cr_assert_eq(w->writes, writes, "nothing has changed and the lease is fresh");
    world_pass(w, 6);
    sync_node();
    cr_assert_eq(w->writes, writes + 1, "the lease");
    eq_text(json_str(world_get(w, "coordination.k8s.io/leases", "kube-node-lease/n1"), "spec.renewTime"), "2026-01-01T00:00:10.000000Z");
    eq_text(condition("Ready", "lastHeartbeatTime"), "2026-01-01T00:00:00Z");
    world_pass(w, 295);
    sync_node();
    eq_text(condition("Ready", "lastHeartbeatTime"), "2026-01-01T00:05:05Z");
    eq_text(condition("Ready", "lastTransitionTime"), "2026-01-01T00:00:00Z");
}

Test(node, without_network_it_is_not_ready)
{
    const struct kl_network *net = w->agent.net;
    w->agent.net = NULL;
    sync_node();
    eq_text(condition("Ready", "status"), "False");
    cr_assert(strstr(world_text(w, node(), "status").at, "reason:NetworkPluginNotReady message:there is no instance of keelson.network/0"));
    w->agent.net = net;
    world_pass(w, 10);
    sync_node();
    eq_text(condition("Ready", "status"), "True");
    eq_text(condition("Ready", "lastTransitionTime"), "2026-01-01T00:00:10Z");
    cr_assert(world_told(w, "NodeReady Node n1 status is now: NodeReady"));
}

Test(node, whose_runtime_has_gone_it_is_not_ready)
{
    sync_node();
    w->unwell = "crun has gone";
    world_pass(w, 10);
    sync_node();
    eq_text(condition("Ready", "status"), "False");
    eq_text(condition("Ready", "reason"), "KubeletNotReady");
    eq_text(condition("Ready", "message"), "container runtime is down: crun has gone");
    cr_assert(world_told(w, "NodeNotReady Node n1 status is now: NodeNotReady"));
    w->unwell = NULL;
    world_pass(w, 10);
    sync_node();
    eq_text(condition("Ready", "status"), "True");
}

Test(node, repairs_labels_and_keeps_those_of_others)
{
    world_put(w, "/nodes", "{'metadata':{'name':'n1','uid':'x','labels':{'mine':'1','kubernetes.io/os':'plan9'}},'spec':{'podCIDR':'10.9.0.0/24'},"
                           "'status':{'conditions':[{'type':'NetworkUnavailable','status':'False'}]}}");
    sync_node();
    eq_text(json_str(node(), "metadata.labels.mine"), "1");
    eq_text(val_str(json_get(json_path(node(), "metadata.labels"), STR("kubernetes.io/os"))), "linux");
    eq_text(json_str(node(), "spec.podCIDR"), "10.9.0.0/24");
    eq_text(condition("NetworkUnavailable", "status"), "False");
}

Test(node, a_deleted_node_comes_back_with_a_lease_of_its_own)
{
    sync_node();
    json_del(w->objects, STR("/nodes n1"));
    world_pass(w, 1);
    cr_assert_eq(sync_node(), 10 * NS_PER_S);
    cr_assert(node());
    eq_text(json_str(world_get(w, "coordination.k8s.io/leases", "kube-node-lease/n1"), "spec.renewTime"), "2026-01-01T00:00:01.000000Z");
}
