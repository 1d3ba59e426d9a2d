/* What pods would rather have of the nodes that fit: 0 to 100 for each, by upstream's rules. */
#include "reconcile/prefer.h"

#include "world.h"


static struct world w;
static struct services *services;

static void setup(void)
{
    struct kl_err err;
    kl_err_init(&err);
    w = world_begin(true);
    cr_assert_eq(services_new(w.store, &services, &err), 0, "%s", err.msg);
}

static void teardown(void)
{
    services_free(services);
    world_end(&w);
}

TestSuite(prefer, .init = setup, .fini = teardown);

static void write(enum store_op_type type, const char *resource, const char *ns, const char *name, const char *labels, const char *rest)
{
    world_commit(&w, type, resource, ns, name, arena_printf(w.arena, ",\"labels\":{%s}", labels), arena_printf(w.arena, ",%s", rest));
}

static void put(const char *resource, const char *ns, const char *name, const char *labels, const char *rest)
{
    write(STORE_CREATE, resource, ns, name, labels, rest);
}

static void node(const char *name, const char *zone, const char *spec, const char *status)
{
    put("/nodes", "", name, arena_printf(w.arena, "\"kubernetes.io/hostname\":\"%s\",\"topology.kubernetes.io/zone\":\"%s\"", name, zone),
        arena_printf(w.arena, "\"spec\":{%s},\"status\":{\"allocatable\":{\"cpu\":\"4\",\"memory\":\"8Gi\",\"pods\":\"100\"}%s}", spec, status));
}

static void pod(const char *name, const char *on, const char *app, const char *spec)
{
    put("/pods", "default", name, arena_printf(w.arena, "\"app\":\"%s\"", app), arena_printf(w.arena, "\"spec\":{\"nodeName\":\"%s\"%s%s}", on, *spec ? "," : "", spec));
}

/* "100 50 0", of each node by its name. */
static const char *asks(enum preference which, const char *app, const char *spec)
{
    struct pod_needs needs;
    struct candidate at[8];
    const char *text = "", *json = arena_printf(w.arena, "{\"metadata\":{\"name\":\"p\",\"namespace\":\"default\",\"uid\":\"uid-p\",\"labels\":{\"app\":\"%s\"}},\"spec\":{%s}}", app, spec);
    struct prefer p = { .ledger = w.ledger, .arena = w.arena, .needs = &needs, .services = services, .at = at };
    struct val *tree = json_parse(w.arena, str_of(json), NULL);
    cr_assert(tree, "%s", json);
    pod_needs_read(tree, &needs);
    for (struct ledger_node *n = ledger_next(w.ledger, NULL); n; n = ledger_next(w.ledger, n))
        at[p.n++] = (struct candidate){ .node = n };
    cr_assert(prefer(&p));
    for (unsigned i = 0; i < p.n; i++)
        text = arena_printf(w.arena, "%s%s%u", text, i ? " " : "", at[i].prefers[which]);
    return text;
}

#define SOFT(kind, what) "\"affinity\":{\"" kind "\":{\"preferredDuringSchedulingIgnoredDuringExecution\":[" what "]}}"
#define ZONE "topology.kubernetes.io/zone"
#define TERM(weight, key, app) "{\"weight\":" #weight ",\"podAffinityTerm\":{\"topologyKey\":\"" key "\",\"labelSelector\":{\"matchLabels\":{\"app\":\"" app "\"}}}}"
#define IN_ZONE(weight, zone) "{\"weight\":" #weight ",\"preference\":{\"matchExpressions\":[{\"key\":\"" ZONE "\",\"operator\":\"In\",\"values\":[\"" zone "\"]}]}}"

Test(prefer, of_the_node_itself)
{
    node("a", "x", "\"taints\":[{\"key\":\"k\",\"effect\":\"PreferNoSchedule\"},{\"key\":\"l\",\"effect\":\"PreferNoSchedule\"}]", "");
    node("b", "y", "\"taints\":[{\"key\":\"k\",\"effect\":\"PreferNoSchedule\"}]", "");
    node("c", "z", "", "");
    cr_expect_str_eq(asks(PREFER_TAINTS, "web", ""), "0 50 100");
    cr_expect_str_eq(asks(PREFER_TAINTS, "web", "\"tolerations\":[{\"key\":\"k\",\"operator\":\"Exists\"}]"), "0 100 100");
    cr_expect_str_eq(asks(PREFER_TAINTS, "web", "\"tolerations\":[{\"operator\":\"Exists\"}]"), "100 100 100");
    cr_expect_str_eq(asks(PREFER_AFFINITY, "web", SOFT("nodeAffinity", IN_ZONE(20, "x") "," IN_ZONE(40, "y"))), "50 100 0");
    cr_expect_str_eq(asks(PREFER_AFFINITY, "web", ""), "0 0 0");
}

Test(prefer, neighbours_of_both_sides)
{
    node("a", "x", "", "");
    node("b", "y", "", "");
    node("c", "z", "", "");
    pod("one", "a", "db", "");
    cr_expect_str_eq(asks(PREFER_NEIGHBOURS, "web", SOFT("podAffinity", TERM(10, ZONE, "db"))), "100 0 0");
    cr_expect_str_eq(asks(PREFER_NEIGHBOURS, "web", SOFT("podAntiAffinity", TERM(10, ZONE, "db"))), "0 100 100");
    pod("two", "b", "cache", SOFT("podAffinity", TERM(30, ZONE, "web")));
    pod("three", "c", "cache", SOFT("podAntiAffinity", TERM(30, ZONE, "web")));
    cr_expect_str_eq(asks(PREFER_NEIGHBOURS, "web", ""), "50 100 0", "what runs wishes it near, or away");
    cr_expect_str_eq(asks(PREFER_NEIGHBOURS, "db", ""), "0 0 0");
}

Test(prefer, to_be_spread)
{
    node("a", "x", "", "");
    node("b", "x", "", "");
    node("c", "y", "", "");
    pod("one", "a", "web", "");
    pod("two", "b", "web", "");
    cr_expect_str_eq(asks(PREFER_SPREAD, "web", "\"topologySpreadConstraints\":[{\"maxSkew\":1,\"topologyKey\":\"" ZONE "\",\"whenUnsatisfiable\":\"ScheduleAnyway\",\"labelSelector\":"
                          "{\"matchLabels\":{\"app\":\"web\"}}}]"), "0 0 100");
    cr_expect_str_eq(asks(PREFER_UNASKED, "web", ""), "0 0 0", "it belongs to nothing");
    put("/services", "default", "web", "", "\"spec\":{\"selector\":{\"app\":\"web\"}}");
    cr_expect_str_eq(asks(PREFER_UNASKED, "web", ""), "60 60 100", "6 = 2 + 4 without pods, 10 with one on the host and two in the zone");
    cr_expect_str_eq(asks(PREFER_UNASKED, "db", ""), "0 0 0");
    cr_expect_str_eq(asks(PREFER_SPREAD, "web", ""), "0 0 0", "and what is not asked is not what is");
}

Test(prefer, images_that_are_there)
{
#define IMAGE ",\"images\":[{\"names\":[\"r/large:1\"],\"sizeBytes\":838860800},{\"names\":[\"r/any:latest\"],\"sizeBytes\":838860800}]"
    node("a", "x", "", IMAGE);
    node("b", "y", "", "");
    cr_expect_str_eq(asks(PREFER_IMAGES, "web", "\"containers\":[{\"image\":\"r/large:1\"}]"), "38 0", "half of 800 MiB, of 23 to 1000");
    cr_expect_str_eq(asks(PREFER_IMAGES, "web", "\"containers\":[{\"image\":\"r/any\"}]"), "38 0", "no tag is the latest");
    cr_expect_str_eq(asks(PREFER_IMAGES, "web", "\"containers\":[{\"image\":\"r/none:1\"}]"), "0 0");
    write(STORE_UPDATE, "/nodes", "", "a", "", "\"spec\":{},\"status\":{\"allocatable\":{\"cpu\":\"4\",\"memory\":\"8Gi\",\"pods\":\"100\"}}");
    cr_expect_str_eq(asks(PREFER_IMAGES, "web", "\"containers\":[{\"image\":\"r/large:1\"}]"), "0 0", "a node that tells of none any more");
}
