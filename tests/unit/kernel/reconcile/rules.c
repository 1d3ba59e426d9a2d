/* Rules between pods: who may be beside whom, how pods are spread, and that counters follow pods, nodes and namespaces. */
#include "reconcile/rules.h"

#include "reconcile/preempt.h"
#include "world.h"

static struct world w;
static struct {
    struct pod_needs needs;
    unsigned pods;
    char woken[256];
} my;

static void on_woken(void *ctx, void *who)
{
    size_t len = strlen(my.woken);
    (void)ctx;
    snprintf(my.woken + len, sizeof my.woken - len, "%s ", who ? (const char *)who : "all");
}

static void setup(void)
{
    memset(&my, 0, sizeof my);
    w = world_begin(true);
    ledger_listen(w.ledger, on_woken);
}

static void teardown(void)
{
    world_end(&w);
}

TestSuite(rules, .init = setup, .fini = teardown);

/* --- what is there --- */

static void commit(enum store_op_type type, const char *resource, const char *ns, const char *name, const char *metadata, const char *rest)
{
    world_commit(&w, type, resource, ns, name, metadata, arena_printf(w.arena, ",%s", rest));
}

static void node_now(enum store_op_type type, const char *name, const char *labels, const char *spec)
{
    commit(type, "/nodes", "", name, arena_printf(w.arena, ",\"labels\":{\"host\":\"%s\"%s%s}", name, *labels ? "," : "", labels),
           arena_printf(w.arena, "\"spec\":{%s},\"status\":{\"allocatable\":{\"cpu\":\"4\",\"memory\":\"8Gi\",\"pods\":\"100\"},\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}", spec));
}
static void node(const char *name, const char *zone)
{
    node_now(STORE_CREATE, name, *zone ? arena_printf(w.arena, "\"zone\":\"%s\"", zone) : "", "");
}
static void space(enum store_op_type type, const char *name, const char *labels)
{
    commit(type, "/namespaces", "", name, arena_printf(w.arena, ",\"labels\":{%s}", labels), "\"spec\":{}");
}
static void pod_in(enum store_op_type type, const char *ns, const char *name, const char *on, const char *app, const char *spec, const char *metadata)
{
    commit(type, "/pods", ns, name, arena_printf(w.arena, ",\"labels\":{\"app\":\"%s\"}%s", app, metadata),
           arena_printf(w.arena, "\"spec\":{\"nodeName\":\"%s\"%s%s},\"status\":{\"phase\":\"Running\"}", on, *spec ? "," : "", spec));
}
static void pod(const char *name, const char *on, const char *app, const char *spec)
{
    pod_in(STORE_CREATE, "default", name, on, app, spec, "");
}

/* --- what is asked --- */

#define AFFINITY(kind, terms) "\"affinity\":{\"" kind "\":{\"requiredDuringSchedulingIgnoredDuringExecution\":[" terms "]}}"
#define NEAR(terms)  AFFINITY("podAffinity", terms)
#define APART(terms) AFFINITY("podAntiAffinity", terms)
#define APP(name)    "\"labelSelector\":{\"matchLabels\":{\"app\":\"" name "\"}}"
#define TERM(key, name) "{\"topologyKey\":\"" key "\"," APP(name) "}"
#define SPREAD(more) "\"topologySpreadConstraints\":[{\"maxSkew\":1,\"whenUnsatisfiable\":\"DoNotSchedule\"," more "}]"

/* "a c" where it may be; then what the others say, once each: "a c; didn't match pod affinity rules". */
static const char *asks(const char *app, const char *spec)
{
    struct rules r;
    const char *text = "", *why = "";
    const char *json = arena_printf(w.arena, "{\"metadata\":{\"name\":\"p%u\",\"namespace\":\"default\",\"uid\":\"uid-p%u\",\"labels\":{\"app\":\"%s\"}},\"spec\":{%s}}", my.pods, my.pods, app, spec);
    my.pods++;
    struct val *tree = json_parse(w.arena, str_of(json), NULL);
    cr_assert(tree, "%s", json);
    pod_needs_read(tree, &my.needs);
    cr_assert(rules_read(&r, w.ledger, w.arena, &my.needs));
    for (struct ledger_node *n = ledger_next(w.ledger, NULL); n; n = ledger_next(w.ledger, n)) {
        bool hopeless = false;
        const char *no = rules_refuse(&r, n, &hopeless);
        if (!no)
            text = arena_printf(w.arena, "%s%s%s", text, *text ? " " : "", n->name);
        else if (!strstr(why, no + 8))
            why = arena_printf(w.arena, "%s; %s%s", why, no + 8, hopeless ? "!" : "");
    }
    rules_done(&r);
    return arena_printf(w.arena, "%s%s", text, why);
}

/* --- affinity --- */

Test(rules, apart_from_others)
{
    node("a", "x");
    node("b", "x");
    node("c", "y");
    pod("one", "a", "web", "");
    cr_expect_str_eq(asks("web", APART(TERM("host", "web"))), "b c; didn't match pod anti-affinity rules");
    cr_expect_str_eq(asks("web", APART(TERM("zone", "web"))), "c; didn't match pod anti-affinity rules");
    cr_expect_str_eq(asks("web", APART(TERM("rack", "web"))), "a b c", "no node has that label");
    cr_expect_str_eq(asks("web", APART("{\"topologyKey\":\"host\"}")), "a b c", "no selector means nobody");
    cr_expect_str_eq(asks("web", APART("{\"topologyKey\":\"host\",\"labelSelector\":{}}")), "b c; didn't match pod anti-affinity rules", "an empty one everybody");
    pod_in(STORE_UPDATE, "default", "one", "a", "web", "", ",\"deletionTimestamp\":\"2024-01-01T00:00:00Z\"");
    cr_expect_str_eq(asks("web", APART(TERM("host", "web"))), "b c; didn't match pod anti-affinity rules", "who goes is there");
    pod_in(STORE_UPDATE, "default", "one", "a", "db", "", "");
    cr_expect_str_eq(asks("web", APART(TERM("host", "web"))), "a b c");
}

Test(rules, unwanted_by_others)
{
    node("a", "x");
    node("b", "y");
    pod("one", "a", "db", APART(TERM("zone", "web")));
    cr_expect_str_eq(asks("web", ""), "b; didn't satisfy existing pods anti-affinity rules");
    cr_expect_str_eq(asks("db", ""), "a b");
    commit(STORE_DELETE, "/pods", "default", "one", "", "\"spec\":{\"nodeName\":\"a\"}");
    cr_expect_str_eq(asks("web", ""), "a b");
}

Test(rules, near_others)
{
    node("a", "x");
    node("b", "x");
    node("c", "y");
    node("d", "");
    cr_expect_str_eq(asks("web", NEAR(TERM("zone", "db"))), "; didn't match pod affinity rules!");
    cr_expect_str_eq(asks("web", NEAR(TERM("zone", "web"))), "a b c; didn't match pod affinity rules!", "the first of its kind, but not without the label");
    pod("one", "a", "web", "");
    cr_expect_str_eq(asks("web", NEAR(TERM("zone", "web"))), "a b; didn't match pod affinity rules!");
    cr_expect_str_eq(asks("web", NEAR(TERM("host", "web"))), "a; didn't match pod affinity rules!");
    pod("two", "c", "db", "");
    cr_expect_str_eq(asks("web", NEAR(TERM("zone", "web") "," TERM("zone", "db"))), "; didn't match pod affinity rules!", "one guest must match all of them");
    pod("three", "d", "web", "");
    cr_expect_str_eq(asks("db", NEAR(TERM("zone", "web"))), "a b; didn't match pod affinity rules!", "a guest outside of all zones is near nobody");
}

Test(rules, namespaces)
{
    node("a", "x");
    node("b", "y");
    space(STORE_CREATE, "one", "\"team\":\"red\"");
    pod_in(STORE_CREATE, "one", "guest", "a", "web", "", "");
    cr_expect_str_eq(asks("web", APART(TERM("host", "web"))), "a b", "another namespace");
    cr_expect_str_eq(asks("web", APART("{\"topologyKey\":\"host\"," APP("web") ",\"namespaces\":[\"one\"]}")), "b; didn't match pod anti-affinity rules");
    cr_expect_str_eq(asks("web", APART("{\"topologyKey\":\"host\"," APP("web") ",\"namespaceSelector\":{}}")), "b; didn't match pod anti-affinity rules");
#define RED "{\"topologyKey\":\"host\"," APP("web") ",\"namespaceSelector\":{\"matchLabels\":{\"team\":\"red\"}}}"
    cr_expect_str_eq(asks("web", APART(RED)), "b; didn't match pod anti-affinity rules");
    space(STORE_UPDATE, "one", "\"team\":\"blue\"");
    cr_expect_str_eq(asks("web", APART(RED)), "a b", "the namespace's labels count as they are now");
    cr_expect_str_eq(my.woken, "all all all all ", "two nodes and two namespaces");
    space(STORE_UPDATE, "one", "\"team\":\"red\"");
    cr_expect_str_eq(asks("web", APART(RED)), "b; didn't match pod anti-affinity rules");
    pod_in(STORE_CREATE, "one", "owner", "b", "db", APART("{\"topologyKey\":\"host\"," APP("web") ",\"namespaceSelector\":{\"matchLabels\":{\"team\":\"green\"}}}"), "");
    cr_expect_str_eq(asks("web", ""), "a b");
    space(STORE_CREATE, "default", "\"team\":\"green\"");
    cr_expect_str_eq(asks("web", ""), "a; didn't satisfy existing pods anti-affinity rules");
}

Test(rules, nodes_move)
{
    node("a", "x");
    node("b", "y");
    pod("one", "a", "web", "");
    cr_expect_str_eq(asks("web", APART(TERM("zone", "web"))), "b; didn't match pod anti-affinity rules");
    node_now(STORE_UPDATE, "b", "\"zone\":\"x\"", "");
    cr_expect_str_eq(asks("web", APART(TERM("zone", "web"))), "; didn't match pod anti-affinity rules");
    node_now(STORE_UPDATE, "a", "\"zone\":\"z\"", "");
    cr_expect_str_eq(asks("web", APART(TERM("zone", "web"))), "b; didn't match pod anti-affinity rules", "its guests go with it");
    commit(STORE_DELETE, "/nodes", "", "a", "", "\"spec\":{}");
    cr_expect_str_eq(asks("web", NEAR(TERM("zone", "web"))), "b", "a guest of a node that is gone is nowhere");
    node("a", "y");
    cr_expect_str_eq(asks("web", NEAR(TERM("zone", "web"))), "a; didn't match pod affinity rules!");
}

/* --- spreading --- */

Test(rules, spread)
{
#define ZONES SPREAD("\"topologyKey\":\"zone\"," APP("web"))
    node("a", "x");
    node("b", "y");
    node("c", "y");
    cr_expect_str_eq(asks("web", ZONES), "a b c");
    pod("one", "a", "web", "");
    cr_expect_str_eq(asks("web", ZONES), "b c; didn't match pod topology spread constraints");
    cr_expect_str_eq(asks("db", ZONES), "a b c", "it is not counted itself");
    pod("two", "c", "web", "");
    cr_expect_str_eq(asks("web", ZONES), "a b c");
    pod("three", "c", "web", "");
    cr_expect_str_eq(asks("web", ZONES), "a; didn't match pod topology spread constraints");
    pod_in(STORE_UPDATE, "default", "three", "c", "web", "", ",\"deletionTimestamp\":\"2024-01-01T00:00:00Z\"");
    cr_expect_str_eq(asks("web", ZONES), "a b c", "who goes is not counted");
    pod_in(STORE_CREATE, "other", "four", "a", "web", "", "");
    cr_expect_str_eq(asks("web", ZONES), "a b c", "nor who is elsewhere");
    cr_expect_str_eq(asks("web", SPREAD("\"topologyKey\":\"zone\",\"minDomains\":3," APP("web"))), "; didn't match pod topology spread constraints", "two zones are less than three: the third is empty");
    cr_expect_str_eq(asks("web", SPREAD("\"topologyKey\":\"host\"," APP("web"))), "b; didn't match pod topology spread constraints");
    cr_expect_str_eq(asks("web", SPREAD("\"topologyKey\":\"zone\",\"labelSelector\":{}")), "a b c", "an empty selector counts nobody");
}

Test(rules, spread_over_nodes_that_count)
{
    node("a", "x");
    node("b", "y");
    node_now(STORE_CREATE, "c", "\"zone\":\"z\"", "\"taints\":[{\"key\":\"k\",\"effect\":\"NoSchedule\"}]");
    node("d", "");
    pod("one", "a", "web", "");
    pod("two", "b", "web", "");
    pod("three", "d", "web", "");
    cr_expect_str_eq(asks("web", ZONES), "c; didn't match pod topology spread constraints; didn't match pod topology spread constraints (missing required label)!", "taints do not matter");
    cr_expect_str_eq(asks("web", SPREAD("\"topologyKey\":\"zone\",\"nodeTaintsPolicy\":\"Honor\"," APP("web"))), "a b c; didn't match pod topology spread constraints (missing required label)!");
    cr_expect_str_eq(asks("web", ZONES ",\"nodeSelector\":{\"zone\":\"x\"}"), "a b c; didn't match pod topology spread constraints (missing required label)!", "only zone x counts");
    cr_expect_str_eq(asks("web", SPREAD("\"topologyKey\":\"zone\",\"nodeAffinityPolicy\":\"Ignore\"," APP("web")) ",\"nodeSelector\":{\"zone\":\"x\"}"),
                     "c; didn't match pod topology spread constraints; didn't match pod topology spread constraints (missing required label)!");
}

Test(rules, spread_by_labels_that_the_pod_has)
{
    node("a", "x");
    node("b", "y");
    pod("one", "a", "web", "");
    cr_expect_str_eq(asks("web", SPREAD("\"topologyKey\":\"zone\",\"matchLabelKeys\":[\"app\",\"none\"],\"labelSelector\":{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"Exists\"}]}")),
                     "b; didn't match pod topology spread constraints");
    cr_expect_str_eq(asks("db", SPREAD("\"topologyKey\":\"zone\",\"matchLabelKeys\":[\"app\"],\"labelSelector\":{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"Exists\"}]}")), "a b");
}

/* --- who waits --- */

static void waits(struct topology_wait *x, const char *spec, char *who)
{
    struct rules r;
    const char *json = arena_printf(w.arena, "{\"metadata\":{\"name\":\"q\",\"namespace\":\"default\",\"uid\":\"uid-q\",\"labels\":{\"app\":\"web\"}},\"spec\":{%s}}", spec);
    pod_needs_read(json_parse(w.arena, str_of(json), NULL), &my.needs);
    cr_assert(rules_read(&r, w.ledger, w.arena, &my.needs));
    cr_assert_eq(r.n, 1);
    *x = (struct topology_wait){ .term = r.at[0].term, .on = r.at[0].kind == RULE_NEAR ? TOPOLOGY_MORE : r.at[0].kind == RULE_APART ? TOPOLOGY_FEWER : TOPOLOGY_OWNERS, .who = who };
    topology_wait(ledger_topology(w.ledger), x);
    rules_done(&r);
}

Test(rules, woken_by_what_is_waited_for_alone)
{
    struct topology_wait near, apart, unwanted;
    node("a", "x");
    node("b", "y");
    pod("owner", "a", "db", APART(TERM("zone", "web")));
    waits(&unwanted, "", "unwanted");
    commit(STORE_DELETE, "/pods", "default", "owner", "", "\"spec\":{\"nodeName\":\"a\"}");
    waits(&near, NEAR(TERM("zone", "web")), "near");
    waits(&apart, APART(TERM("zone", "web")), "apart");
    cr_expect_str_eq(my.woken, "all all unwanted ");
    pod("one", "a", "db", "");
    cr_expect_str_eq(my.woken, "all all unwanted ", "nobody waits for that one");
    pod("two", "a", "web", "");
    cr_expect_str_eq(my.woken, "all all unwanted near ");
    pod_in(STORE_UPDATE, "default", "two", "a", "web", "", ",\"annotations\":{\"a\":\"b\"}");
    cr_expect_str_eq(my.woken, "all all unwanted near ", "nor for its annotations");
    pod_in(STORE_UPDATE, "default", "two", "a", "db", "", "");
    cr_expect_str_eq(my.woken, "all all unwanted near apart ");
    topology_wait_end(ledger_topology(w.ledger), &near);
    topology_wait_end(ledger_topology(w.ledger), &apart);
    topology_wait_end(ledger_topology(w.ledger), &unwanted);
}

/* --- and preemption --- */

/* "NODE: VICTIM", or why not. */
static const char *preempts(const char *app, const char *spec)
{
    struct rules r;
    const char *json = arena_printf(w.arena, "{\"metadata\":{\"name\":\"p\",\"namespace\":\"default\",\"uid\":\"uid-p\",\"labels\":{\"app\":\"%s\"}},\"spec\":{\"priority\":10,%s}}", app, spec);
    pod_needs_read(json_parse(w.arena, str_of(json), NULL), &my.needs);
    cr_assert(rules_read(&r, w.ledger, w.arena, &my.needs));
    struct preempt p = { .ledger = w.ledger, .store = w.store, .arena = w.arena, .needs = &my.needs, .rules = &r };
    struct preempt_plan plan = preempt_find(&p);
    const char *text = plan.node ? arena_printf(w.arena, "%s:", plan.node->name) : verdict_text(&plan.why, w.arena, ledger_count(w.ledger));
    for (unsigned i = 0; i < plan.n; i++)
        text = arena_printf(w.arena, "%s %s", text, plan.victims[i].guest.name);
    rules_done(&r);
    return text;
}

Test(rules, who_goes_for_them)
{
    node("a", "x");
    node("b", "y");
    pod("one", "a", "db", "");
    pod("two", "a", "web", "");
    pod("guard", "b", "db", APART(TERM("zone", "web")) ",\"priority\":5");
    cr_expect_str_eq(preempts("web", APART(TERM("host", "db"))), "a: one", "of those on a node only who is in the way");
    cr_expect_str_eq(preempts("web", APART(TERM("host", "db")) ",\"nodeSelector\":{\"zone\":\"y\"}"), "b: guard", "and who does not want it there");
    cr_expect_str_eq(preempts("db", APART(TERM("host", "web")) "," SPREAD("\"topologyKey\":\"zone\"," APP("web"))), "a: two", "b has room, and is not asked");
}

/* --- counters that followed are those that are counted anew --- */

static unsigned dice(unsigned n)
{
    static uint64_t state = 7;
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(state >> 33) % n;
}

static const char *const questions[] = {
    APART(TERM("zone", "a")), APART(TERM("host", "b")), NEAR(TERM("zone", "a")), NEAR(TERM("zone", "a") "," TERM("host", "a")), NEAR(TERM("rack", "b")),
    APART("{\"topologyKey\":\"zone\"," APP("a") ",\"namespaceSelector\":{\"matchLabels\":{\"team\":\"red\"}}}"),
    SPREAD("\"topologyKey\":\"zone\"," APP("a")), SPREAD("\"topologyKey\":\"host\"," APP("b")), SPREAD("\"topologyKey\":\"zone\"," APP("a")) ",\"nodeSelector\":{\"rack\":\"r\"}",
    SPREAD("\"topologyKey\":\"zone\",\"minDomains\":3,\"nodeTaintsPolicy\":\"Honor\"," APP("b")), "",
};
#define QUESTIONS (sizeof questions / sizeof *questions)

static void any_change(unsigned step)
{
    static bool nodes[5];
    static struct {
        const char *node, *spec;        /* of a pod they never change; node NULL: it is not there */
    } pods[12];
    static const char *const spaces[] = { "default", "one" }, *const labels[] = { "", "\"zone\":\"x\"", "\"zone\":\"y\"", "\"zone\":\"z\",\"rack\":\"r\"", "\"zone\":\"x\",\"rack\":\"s\"" };
    unsigned what = dice(20), i = dice(12), n = dice(5);
    const char *name = arena_printf(w.arena, "p%u", i), *host = arena_printf(w.arena, "n%u", n), *ns = spaces[i % 2];
    if (step < 5 || what < 3) {
        n = step < 5 ? step : n;
        host = arena_printf(w.arena, "n%u", n);
        node_now(nodes[n] ? STORE_UPDATE : STORE_CREATE, host, labels[dice(5)], dice(4) ? "" : "\"taints\":[{\"key\":\"k\",\"effect\":\"NoSchedule\"}]");
        nodes[n] = true;
    } else if (what == 3 && nodes[n]) {
        commit(STORE_DELETE, "/nodes", "", host, "", "\"spec\":{}");
        nodes[n] = false;
    } else if (what == 4)
        space(STORE_UPDATE, "one", dice(2) ? "\"team\":\"red\"" : "");
    else if (pods[i].node && what < 10) {
        commit(STORE_DELETE, "/pods", ns, name, "", arena_printf(w.arena, "\"spec\":{\"nodeName\":\"%s\"}", pods[i].node));
        pods[i].node = NULL;
    } else if (pods[i].node)
        pod_in(STORE_UPDATE, ns, name, pods[i].node, dice(2) ? "a" : "b", pods[i].spec, dice(3) ? "" : ",\"deletionTimestamp\":\"2024-01-01T00:00:00Z\"");
    else {
        pods[i].node = host;
        pods[i].spec = questions[dice(QUESTIONS)];
        pod_in(STORE_CREATE, ns, name, host, dice(2) ? "a" : "b", pods[i].spec, "");
    }
}

Test(rules, counters_follow)
{
    const char *followed[2 * QUESTIONS];
    space(STORE_CREATE, "one", "");
    for (unsigned step = 0; step < 400; step++) {
        any_change(step);
        if (step % 4)
            continue;
        for (unsigned q = 0; q < 2 * QUESTIONS; q++)
            followed[q] = asks(q % 2 ? "a" : "b", questions[q / 2]);
        struct ledger *old = w.ledger;
        struct kl_err err;
        kl_err_init(&err);
        cr_assert_eq(ledger_new(w.store, world_ignore, NULL, &w.ledger, &err), 0, "%s", err.msg);
        for (unsigned q = 0; q < 2 * QUESTIONS; q++)
            cr_assert_str_eq(asks(q % 2 ? "a" : "b", questions[q / 2]), followed[q], "step %u: %s", step, questions[q / 2]);
        ledger_free(w.ledger);
        w.ledger = old;
    }
}
