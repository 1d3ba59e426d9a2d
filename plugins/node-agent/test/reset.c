/* RestartAllContainers: who is stopped, in which order all begin anew, what is shown meanwhile, and when a rule's exit tells nobody anything any more. */
#include "fake.h"

#define POD(spec)  "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'d','name':'p','uid':'u1','generation':1},'spec':{'nodeName':'n1','restartPolicy':'Never'," spec "}}"
#define RULE(codes) "'restartPolicyRules':[{'action':'RestartAllContainers','exitCodes':{" codes "}}]"
#define THREE(codes) POD("'initContainers':[{'name':'i','image':'i'},{'name':'s','image':'i','restartPolicy':'Always'," RULE(codes) "}]," \
                         "'containers':[{'name':'c','image':'i','lifecycle':{'preStop':{'exec':{'command':['late']}}}},{'name':'d','image':'i'}]")

static struct world *w;
static struct buf seen;                 /* what the runtime was asked for since forget() */

static void begin(void)
{
    w = world_new();
    seen = (struct buf)BUF_INIT(65536);
}
static void finish(void)
{
    world_free(w);
    buf_free(&seen);
}
TestSuite(reset, .init = begin, .fini = finish);

static struct str at(const char *path)
{
    return world_text(w, world_get(w, "/pods", "d/p"), path);
}

static struct str restarting(const char *member)
{
    return json_str(condition_find(json_path(world_get(w, "/pods", "d/p"), "status.conditions"), STR("AllContainersRestarting")), member);
}

static void forget(void)
{
    buf_clear(&seen);
}

static void sync_all(void)
{
    for (int i = 0; i < 4; i++) {
        world_sync(w, "d/p", NULL);
        buf_add_z(&seen, world_trace(w));
    }
}

static const char *calls(void)
{
    return seen.len ? seen.at : "";
}

static void run_three(const char *pod)
{
    world_put(w, "/pods", pod);
    world_sync(w, "d/p", NULL);
    world_end(w, "i", 0, "Completed");
    sync_all();
    eq_text(at("status.phase"), "Running");
    eq_text(restarting("status"), "False");
    world_end(w, "d", 0, "Completed");
    world_pass(w, 20);
    sync_all();
    forget();
}

Test(reset, all_begin_anew_in_their_sandbox)
{
    run_three(THREE("'operator':'In','values':[88]"));
    world_end(w, "s", 88, "Error");
    sync_all();
    cr_assert_str_eq(calls(), "stop c-0 0\nstart i-1\n", "no hook, no time; then the first init container, and nobody else yet: %s", calls());
    eq_text(at("status.phase"), "Running");
    eq_text(at("status.containerStatuses.1.state.waiting.reason"), "RestartingAllContainers");
    eq_text(at("status.containerStatuses.1.restartCount"), "1");
    eq_text(at("status.containerStatuses.1.lastState.terminated.exitCode"), "0");
    eq_text(at("status.containerStatuses.0.lastState.terminated.exitCode"), "137");
    world_pass(w, 1);
    world_end(w, "i", 0, "Completed");
    sync_all();
    world_pass(w, 20);                  /* the one that told waits as whoever fails does */
    sync_all();
    cr_assert(strstr(calls(), "start s-1\n") && strstr(calls(), "start c-1\n") && strstr(calls(), "start d-1\n"), "%s", calls());
    eq_text(at("status.containerStatuses.0.restartCount"), "1");
    eq_text(restarting("status"), "False");
    forget();
    world_pass(w, 20);
    world_end(w, "c", 3, "Error");
    world_end(w, "d", 0, "Completed");
    sync_all();
    eq_text(at("status.phase"), "Failed");
}

/* A container that the agent starts while the one that tells has ended already. */
Test(reset, what_was_made_since_begins_anew_too)
{
    run_three(THREE("'operator':'In','values':[88]"));
    world_end(w, "s", 88, "Error");
    set_i(w->arena, world_container(w, "c"), "createdAt", w->wall_ns + 1);
    world_pass(w, 1);
    sync_all();
    cr_assert_str_eq(calls(), "stop c-0 0\nstart i-1\n", "%s", calls());
}

Test(reset, goes_on_until_all_have_stopped)
{
    run_three(THREE("'operator':'In','values':[88]"));
    w->no_stop = true;
    world_end(w, "s", 88, "Error");
    sync_all();
    eq_text(restarting("status"), "True");
    eq_text(restarting("reason"), "RestartAllContainersStarted");
    eq_text(restarting("message"), "container exited with restart policy rule");
    cr_assert(!strstr(calls(), "start"), "%s", calls());
}

/* A sidecar that is stopped ends by a rule for whatever is not 0, but the pod's work is done. */
Test(reset, not_after_the_end)
{
    run_three(THREE("'operator':'NotIn','values':[0]"));
    world_end(w, "c", 0, "Completed");
    world_pass(w, 1);
    sync_all();
    eq_text(at("status.phase"), "Succeeded");
    cr_assert(!strstr(calls(), "start"), "%s", calls());
    eq_text(restarting("reason"), "PodCompleted");
}

Test(reset, other_codes_restart_nobody_else)
{
    run_three(THREE("'operator':'In','values':[88]"));
    world_end(w, "s", 87, "Error");
    sync_all();
    cr_assert_str_eq(calls(), "start s-1\n");
}
