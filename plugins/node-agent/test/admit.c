/* admit.c - pods that are not taken in: by their system, their sysctls, the node's labels, ports and room. */
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
TestSuite(admit, .init = begin, .fini = finish);

static struct str at(const char *path)
{
    return world_text(w, world_get(w, "/pods", "d/p"), path);
}

Test(admit, rejected_before_anything_is_made)
{
    world_put(w, "/nodes", "{'metadata':{'name':'n1','labels':{'disk':'hdd'}}}");
    world_put(w, "/pods", POD("'restartPolicy':'Always','securityContext':{'sysctls':[{'name':'net.ipv4.tcp_syncookies','value':'1'},"
                              "{'name':'kernel/shm_rmid_forced','value':'1'},{'name':'kernel/msgmax','value':'1'}]}," ONE));
    world_sync(w, "d/p", NULL);
    cr_assert(!strstr(world_trace(w), "sandbox") && !strstr(world_trace(w), "attach"), "%s", world_trace(w));
    eq_text(at("status.phase"), "Failed");
    eq_text(at("status.reason"), "SysctlForbidden");
    eq_text(at("status.message"), "Pod was rejected: forbidden sysctl: \"kernel.msgmax\" not allowlisted");
    world_put(w, "/pods", "{'metadata':{'namespace':'d','name':'q','uid':'u2'},'spec':{'nodeName':'n1','nodeSelector':{'disk':'ssd'}," ONE "}}");
    world_sync(w, "d/q", NULL);
    eq_text(world_text(w, world_get(w, "/pods", "d/q"), "status.reason"), "NodeAffinity");
    world_put(w, "/pods", "{'metadata':{'namespace':'d','name':'o','uid':'u4'},'spec':{'nodeName':'n1','os':{'name':'windows'}," ONE "}}");
    world_sync(w, "d/o", NULL);
    eq_text(world_text(w, world_get(w, "/pods", "d/o"), "status.reason"), "PodOSNotSupported");
    world_put(w, "/pods", "{'metadata':{'namespace':'d','name':'r','uid':'u3'},'spec':{'nodeName':'n1','nodeSelector':{'disk':'hdd'}," ONE "}}");
    world_sync(w, "d/r", NULL);
    eq_text(world_text(w, world_get(w, "/pods", "d/r"), "status.phase"), "Running");
}

/* The fake runtime shows every pod all sandboxes. */
static void no_runtime(void)
{
    w->sandboxes->first = w->sandboxes->last = NULL, w->sandboxes->n = 0;
    w->containers->first = w->containers->last = NULL, w->containers->n = 0;
}

/* Who names the node, or is bound by hand, has asked no scheduler. */
Test(admit, rejected_without_room)
{
#define SENT(name, uid, cpu) "{'metadata':{'namespace':'d','name':'" name "','uid':'" uid "'},'spec':{'nodeName':'n1','containers':[{'name':'c','image':'i'," \
                             "'resources':{'requests':{'cpu':'" cpu "'}}}]}}"
    world_put(w, "/nodes", "{'metadata':{'name':'n1'},'status':{'allocatable':{'cpu':'1','memory':'1Gi','pods':'2'}}}");
    world_put(w, "/pods", SENT("a", "u1", "600m"));
    world_put(w, "/pods", SENT("b", "u2", "600m"));
    world_sync(w, "d/a", NULL);
    eq_text(world_text(w, world_get(w, "/pods", "d/a"), "status.phase"), "Running");
    no_runtime();
    world_sync(w, "d/b", NULL);
    eq_text(world_text(w, world_get(w, "/pods", "d/b"), "status.reason"), "OutOfcpu");
    eq_text(world_text(w, world_get(w, "/pods", "d/b"), "status.message"),
            "Pod was rejected: Node didn't have enough resource: cpu, requested: 600, used: 600, capacity: 1000");
    world_put(w, "/pods", SENT("a", "u1", "600m"));
    no_runtime();
    world_put(w, "/pods", SENT("f", "u6", "600m"));
    world_sync(w, "d/f", NULL);
    eq_text(world_text(w, world_get(w, "/pods", "d/f"), "status.reason"), "OutOfcpu");       /* taken in counts before the API says so */
    world_sync(w, "d/a", NULL);
    world_put(w, "/pods", SENT("c", "u3", "100m"));
    no_runtime();
    world_sync(w, "d/c", NULL);
    eq_text(world_text(w, world_get(w, "/pods", "d/c"), "status.phase"), "Running");
    world_put(w, "/pods", SENT("e", "u4", "0"));
    no_runtime();
    world_sync(w, "d/e", NULL);
    eq_text(world_text(w, world_get(w, "/pods", "d/e"), "status.reason"), "OutOfpods");
}

/* Who names the node has asked no scheduler. */
Test(admit, one_pod_to_a_port)
{
#define PORTED "'containers':[{'name':'c','image':'i','ports':[{'hostPort':21017,'containerPort':1}]}]"
    world_put(w, "/pods", POD("'restartPolicy':'Always'," PORTED));
    world_sync(w, "d/p", NULL);
    eq_text(at("status.phase"), "Running");
    no_runtime();
    world_put(w, "/pods", "{'metadata':{'namespace':'d','name':'q','uid':'u2'},'spec':{'nodeName':'n1'," PORTED "}}");
    world_sync(w, "d/q", NULL);
    eq_text(world_text(w, world_get(w, "/pods", "d/q"), "status.phase"), "Failed");
    eq_text(world_text(w, world_get(w, "/pods", "d/q"), "status.reason"), "NodePorts");
    world_put(w, "/pods", "{'metadata':{'namespace':'d','name':'r','uid':'u3'},'spec':{'nodeName':'n1','containers':[{'name':'c','image':'i',"
                          "'ports':[{'hostPort':21017,'containerPort':1,'protocol':'UDP'}]}]}}");
    world_sync(w, "d/r", NULL);
    eq_text(world_text(w, world_get(w, "/pods", "d/r"), "status.phase"), "Running");
    no_runtime();
    struct val *meta = json_get(world_get(w, "/pods", "d/p"), STR("metadata"));
    set_z(w->arena, meta, "deletionTimestamp", "2026-01-01T00:00:20Z");
    set_i(w->arena, meta, "deletionGracePeriodSeconds", 1);
    world_sync(w, "d/p", NULL);
    world_put(w, "/pods", "{'metadata':{'namespace':'d','name':'s','uid':'u4'},'spec':{'nodeName':'n1'," PORTED "}}");
    world_sync(w, "d/s", NULL);
    eq_text(world_text(w, world_get(w, "/pods", "d/s"), "status.phase"), "Running");
}

Test(admit, a_dead_sandbox_makes_room)
{
    world_put(w, "/pods", POD("'restartPolicy':'Always'," ONE));
    world_sync(w, "d/p", NULL);
    set_z(w->arena, w->sandboxes->first, "state", "SANDBOX_NOTREADY");
    world_end(w, "c", 137, "Error");
    world_sync(w, "d/p", NULL);
    cr_assert_str_eq(world_trace(w), "sandbox p\nstart c-1\n", "its container is still the last state");
    eq_text(at("status.containerStatuses.0.restartCount"), "1");
    eq_text(at("status.containerStatuses.0.lastState.terminated.exitCode"), "137");
    world_put(w, "/pods", "{'metadata':{'namespace':'d','name':'q','uid':'u2'},'spec':{'nodeName':'n1'," ONE "}}");
    w->sandboxes->first->next = NULL, w->sandboxes->last = w->sandboxes->first, w->sandboxes->n = 1;
    w->containers->first = w->containers->last = NULL, w->containers->n = 0;
    world_sync(w, "d/q", NULL);
    cr_assert_str_eq(world_trace(w), "attach \nremove s0\nsandbox q\nstart c-0\n", "%s", world_trace(w));
}
