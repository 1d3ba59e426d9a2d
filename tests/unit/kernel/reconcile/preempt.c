/* Who has to go for a pod of higher priority, from which node, and what budgets have to do with it. */
#include "reconcile/preempt.h"

#include "base/json_scan.h"
#include "reconcile/call.h"
#include "world.h"

/* --- nodes of 4 CPUs, pods of some, a pod that wants to be somewhere --- */

static struct world w;
static struct {
    struct objects objects;
    struct pod_needs needs;
    struct preempt preempt;
    char did[1024], outbid[256];
} my;

static void note(const char *text)
{
    size_t len = strlen(my.did);
    snprintf(my.did + len, sizeof my.did - len, "%s%s", len ? "; " : "", text);
}

static int note_patch(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k, int32_t type, struct kl_bytes patch, struct kl_bytes *ret)
{
    (void)o;
    (void)c;
    (void)ret;
    struct str json = { patch.at, patch.len };
    cr_assert_eq(type, KL_PATCH_STRATEGIC);
    cr_assert_str_eq(k->subresource, "status");
    struct str conditions = json_scan_path(json, "status.conditions"), one;
    if (conditions.at && json_scan_item(&conditions, &one)) {
        struct str reason = json_scan_text(json_scan_member(one, STR("reason"))), words = json_scan_text(json_scan_member(one, STR("message")));
        struct str generation = json_scan_member(one, STR("observedGeneration"));
        cr_expect(str_is(json_scan_text(json_scan_member(one, STR("type"))), "DisruptionTarget"));
        note(arena_printf(w.arena, "%s tells %s " STR_FMT " %.20s at " STR_FMT, who, k->name, STR_ARG(reason), words.at, STR_ARG(generation)));
    } else
        note(arena_printf(w.arena, "status of %s " STR_FMT, k->name, STR_ARG(json_scan_path(json, "status.nominatedNodeName"))));
    return 0;
}

static int note_remove(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k, const struct kl_delete_options *opt)
{
    (void)o;
    (void)who;
    (void)c;
    cr_expect_lt(opt->grace_seconds, 0, "with its own grace");
    note(arena_printf(w.arena, "deletes %s", k->name));
    return 0;
}

static void note_event(struct objects *o, const char *who, struct kl_bytes about, const char *type, const char *reason, const char *message)
{
    (void)o;
    (void)who;
    (void)about;
    note(arena_printf(w.arena, "%s %s %s", type, reason, message));
}

static const struct objects_ops ops = { .patch = note_patch, .remove = note_remove, .event = note_event };

static void on_outbid(void *ctx, struct str ns, struct str name)
{
    (void)ctx;
    snprintf(my.outbid, sizeof my.outbid, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
}

static void setup(void)
{
    memset(&my, 0, sizeof my);
    my.objects = (struct objects){ &ops };
    w = world_begin(true);
    my.preempt = (struct preempt){ .ledger = w.ledger, .store = w.store, .arena = w.arena, .needs = &my.needs, .outbid = on_outbid };
}

static void teardown(void)
{
    world_end(&w);
}

TestSuite(preempt, .init = setup, .fini = teardown);

static void put(const char *resource, const char *ns, const char *name, const char *metadata, const char *rest)
{
    world_commit(&w, STORE_CREATE, resource, ns, name, arena_printf(w.arena, ",\"generation\":3%s", metadata), arena_printf(w.arena, ",%s", rest));
}

static void node(const char *name)
{
    put("/nodes", "", name, "", "\"status\":{\"allocatable\":{\"cpu\":\"4\",\"memory\":\"8Gi\",\"pods\":\"100\"},\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}");
}

#define POD "\"spec\":{\"nodeName\":\"%s\",\"priority\":%d,\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"%d\"}}}]},\"status\":{\"phase\":\"Running\"%s}"
static void pod_more(const char *name, const char *on, int priority, int cpus, const char *metadata, const char *status)
{
    put("/pods", "default", name, metadata, arena_printf(w.arena, POD, on, priority, cpus, status));
}
/* labels app=NAME */
static void pod(const char *name, const char *on, int priority, int cpus)
{
    pod_more(name, on, priority, cpus, arena_printf(w.arena, ",\"labels\":{\"app\":\"%s\"}", name), "");
}
static void budget(const char *name, const char *selector, int allowed, const char *status)
{
    put("policy/poddisruptionbudgets", "default", name, "", arena_printf(w.arena, "\"spec\":{%s},\"status\":{\"disruptionsAllowed\":%d%s}", selector, allowed, status));
}
#define APP(name) "\"selector\":{\"matchLabels\":{\"app\":\"" name "\"}}"

/* "NODE: VICTIM VICTIM" or why not. */
static const char *finds(int priority, int cpus)
{
    const char *text = arena_printf(w.arena, "{\"metadata\":{\"name\":\"p\",\"namespace\":\"default\",\"uid\":\"uid-p\"},\"spec\":{\"priority\":%d,\"containers\":[{\"resources\":"
                                    "{\"requests\":{\"cpu\":\"%d\"}}}]}}", priority, cpus);
    pod_needs_read(json_parse(w.arena, str_of(text), NULL), &my.needs);
    ledger_promises_aside(w.ledger, priority, true);
    struct preempt_plan plan = preempt_find(&my.preempt);
    ledger_promises_aside(w.ledger, priority, false);
    if (!plan.node)
        return verdict_text(&plan.why, w.arena, ledger_count(w.ledger));
    const char *s = arena_printf(w.arena, "%s:", plan.node->name);
    for (unsigned i = 0; i < plan.n; i++)
        s = arena_printf(w.arena, "%s %s", s, plan.victims[i].guest.name);
    return plan.violations ? arena_printf(w.arena, "%s (%u)", s, plan.violations) : s;
}

/* --- whom a node loses --- */

Test(preempt, no_more_than_must_and_the_least_important)
{
    node("n");
    pod("a", "n", 1, 1);
    pod("b", "n", 2, 1);
    pod("c", "n", 3, 2);
    cr_expect_str_eq(finds(10, 1), "n: a");
    cr_expect_str_eq(finds(10, 2), "n: b a");
    cr_expect_str_eq(finds(3, 2), "n: b a", "the same priority is not lower");
    cr_expect_str_eq(finds(3, 3), "0/1 nodes are available: 1 Insufficient cpu.");
    cr_expect_str_eq(finds(1, 1), "0/1 nodes are available: 1 No preemption victims found for incoming pod.");
    cr_expect_str_eq(finds(10, 5), "0/1 nodes are available: 1 Preemption is not helpful for scheduling.");
}

Test(preempt, among_equals_who_began_last)
{
    node("n");
    pod_more("old", "n", 1, 2, "", ",\"startTime\":\"2020-01-01T00:00:00Z\"");
    pod_more("new", "n", 1, 2, "", ",\"startTime\":\"2024-01-01T00:00:00Z\"");
    cr_expect_str_eq(finds(10, 2), "n: new");
}

Test(preempt, who_is_in_a_budget_goes_last)
{
    node("n");
    pod("a", "n", 1, 2);
    pod("b", "n", 2, 2);
    budget("x", APP("a"), 0, "");
    cr_expect_str_eq(finds(10, 2), "n: b", "although it is more important");
    cr_expect_str_eq(finds(10, 4), "n: b a (1)", "but a budget does not hold it up");
}

Test(preempt, a_budget_allows_as_many_as_it_says)
{
    node("n");
    for (int i = 0; i < 4; i++)
        pod_more(arena_printf(w.arena, "a%d", i), "n", 4 - i, 1, ",\"labels\":{\"app\":\"a\"}", "");
    budget("x", APP("a"), 2, "");
    cr_expect_str_eq(finds(10, 4), "n: a0 a1 a2 a3 (2)");
    cr_expect_str_eq(finds(10, 2), "n: a0 a1", "charged from the most important on: the others violate it, and stay");
}

Test(preempt, budgets_that_have_no_say)
{
    node("n");
    pod("a", "n", 1, 2);
    pod("b", "n", 2, 2);
    budget("empty", "\"selector\":{}", 0, "");
    budget("none", "\"minAvailable\":1", 0, "");
    budget("granted", APP("a"), 0, ",\"disruptedPods\":{\"a\":\"2020-01-01T00:00:00Z\"}");
    put("policy/poddisruptionbudgets", "other", "elsewhere", "", "\"spec\":{" APP("a") "},\"status\":{\"disruptionsAllowed\":0}");
    cr_expect_str_eq(finds(10, 2), "n: a");
}

/* --- which node --- */

Test(preempt, the_node_that_violates_the_fewest_budgets)
{
    node("n1");
    node("n2");
    pod("a", "n1", 1, 4);
    pod("b", "n2", 9, 4);
    cr_expect_str_eq(finds(10, 4), "n1: a");
    budget("x", APP("a"), 0, "");
    cr_expect_str_eq(finds(10, 4), "n2: b");
}

Test(preempt, then_the_lowest_sum_then_the_fewest)
{
    node("n1");
    node("n2");
    node("n3");
    pod("a", "n1", 5, 2);
    pod("b", "n1", 5, 2);
    pod("c", "n2", 5, 2);
    pod("d", "n2", 4, 2);
    pod("e", "n3", 6, 4);
    cr_expect_str_eq(finds(10, 4), "n2: c d");
    node("n4");
    pod("f", "n4", 5, 4);
    cr_expect_str_eq(finds(10, 4), "n4: f");
}

Test(preempt, then_whose_most_important_began_the_latest)
{
    node("n1");
    node("n2");
    pod_more("a", "n1", 5, 4, "", ",\"startTime\":\"2020-01-01T00:00:00Z\"");
    pod_more("b", "n2", 5, 4, "", ",\"startTime\":\"2024-01-01T00:00:00Z\"");
    cr_expect_str_eq(finds(10, 4), "n2: b");
}

/* --- and they go --- */

static void go(int cpus)
{
    struct kl_call call;
    host_call_init(&call, w.arena, "test");
    finds(10, cpus);
    struct preempt_plan plan = preempt_find(&my.preempt);
    cr_assert_eq(preempt_do(&my.preempt, &plan, &my.objects, "picky", &call), 0);
}

Test(preempt, a_victim_is_told_deleted_and_reported)
{
    node("n");
    pod("a", "n", 1, 4);
    go(2);
    cr_expect_str_eq(my.did, "picky tells a PreemptionByScheduler picky: preempting to at 3; deletes a; Normal Preempted Preempted by pod uid-p on node n");
    cr_expect_str_eq(ledger_promised(w.ledger, STR("uid-p"))->name, "n");
}

Test(preempt, who_goes_already_is_waited_for)
{
    node("n");
    pod_more("a", "n", 1, 4, ",\"deletionTimestamp\":\"2024-01-01T00:00:00Z\"", "");
    struct ledger_node *n = ledger_next(w.ledger, NULL);
    go(2);
    cr_expect_str_eq(my.did, "");
    cr_expect_not(preempt_waits(&my.preempt, n), "nobody has preempted it");
    pod_more("b", "n", 1, 0, ",\"deletionTimestamp\":\"2024-01-01T00:00:00Z\"",
             ",\"conditions\":[{\"type\":\"DisruptionTarget\",\"status\":\"True\",\"reason\":\"PreemptionByScheduler\"}]");
    cr_expect(preempt_waits(&my.preempt, n));
}

Test(preempt, less_important_nominations_go)
{
    static const char *const text = "{\"metadata\":{\"name\":\"q\",\"namespace\":\"default\",\"uid\":\"uid-q\"},\"spec\":{\"priority\":5,\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"3\"}}}]}}";
    node("n");
    pod("a", "n", 1, 4);
    struct val *q = json_parse(w.arena, str_of(text), NULL);
    ledger_promise(w.ledger, q, ledger_next(w.ledger, NULL));
    cr_expect_str_eq(finds(10, 1), "n: a", "a promise to a less important one takes no room");
    cr_expect_str_eq(finds(5, 2), "0/1 nodes are available: 1 Insufficient cpu.", "to its equal it does");
    go(2);
    cr_expect_eq(strncmp(my.did, "status of q null; picky tells a", 31), 0, "%s", my.did);
    cr_expect_str_eq(my.outbid, "default/q");
    cr_expect_null(ledger_promised(w.ledger, STR("uid-q")));
}

Test(preempt, a_promise_outlives_the_process)
{
    struct kl_err err;
    kl_err_init(&err);
    node("n");
    put("/pods", "default", "q", "", "\"spec\":{\"priority\":5},\"status\":{\"phase\":\"Pending\",\"nominatedNodeName\":\"n\"}");
    put("/pods", "default", "over", "", "\"spec\":{\"priority\":5},\"status\":{\"phase\":\"Failed\",\"nominatedNodeName\":\"n\"}");
    ledger_free(w.ledger);
    cr_assert_eq(ledger_new(w.store, world_ignore, NULL, &w.ledger, &err), 0);
    cr_assert_not_null(ledger_promised(w.ledger, STR("uid-q")));
    cr_expect_null(ledger_promised(w.ledger, STR("uid-over")));
}
