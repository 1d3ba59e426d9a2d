/* EndpointSlices of a Service, against a host in memory. */
#include <criterion/criterion.h>

#include "fake.h"
#include "slices.h"

static struct fake f;

static void setup(void)
{
    fake_init(&f);
    fake_put(&f, SERVICES, "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"web\",\"namespace\":\"d\",\"labels\":{\"app\":\"web\"}},\"spec\":{"
                           "\"clusterIP\":\"10.96.0.9\",\"ipFamilies\":[\"IPv4\"],\"selector\":{\"app\":\"web\"},\"ports\":[{\"name\":\"http\",\"port\":80,"
                           "\"protocol\":\"TCP\",\"targetPort\":\"http\"}]}}");
}

static void teardown(void)
{
    fake_done(&f);
}

TestSuite(slices, .init = setup, .fini = teardown);

static struct val *pod(int i, int port, bool ready)
{
    return fake_put(&f, PODS, arena_printf(f.arena, "{\"metadata\":{\"name\":\"p%d\",\"namespace\":\"d\",\"labels\":{\"app\":\"web\"}},\"spec\":{\"containers\":[{\"ports\":[{"
                                           "\"name\":\"http\",\"protocol\":\"TCP\",\"containerPort\":%d}]}]},\"status\":{\"podIP\":\"10.1.%d.%d\",\"podIPs\":[{\"ip\":\"10.1.%d.%d\"}],"
                                           "\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\"}]}}", i, port, i / 250, i % 250, i / 250, i % 250, ready ? "True" : "False"));
}

static void sync(void)
{
    int rc = fake_reconcile(&f, &endpointslice_controller, "d/web", NULL);
    cr_assert_eq(rc, 0, "%s", f.call.err.msg);
}

static uint32_t endpoints(bool only_ready)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f.n; i++) {
        struct val *list = f.at[i].v && strcmp(f.at[i].resource, SLICES) == 0 ? json_get(f.at[i].v, STR("endpoints")) : NULL;
        if (!list)
            continue;
        cr_expect_leq(list->n, SLICE_MOST);
        val_each(e, list) n += !only_ready || json_bool(e, "conditions.ready", false);
    }
    return n;
}

/* Whatever was done, a second look finds nothing to do. */
static void at_rest(void)
{
    uint32_t writes = f.creates + f.updates + f.removes;
    sync();
    cr_expect_eq(f.creates + f.updates + f.removes, writes, "a second look wrote again");
}

Test(slices, none_is_one_empty_slice)
{
    sync();
    cr_expect_eq(fake_count(&f, SLICES), 1);
    cr_expect_eq(endpoints(false), 0);
    at_rest();
}

Test(slices, at_most_a_hundred_each)
{
    for (int i = 0; i < 250; i++)
        pod(i, 8080, true);
    sync();
    cr_expect_eq(fake_count(&f, SLICES), 3);
    cr_expect_eq(endpoints(true), 250);
    at_rest();
}

Test(slices, one_change_is_one_write)
{
    struct val *p = NULL;
    for (int i = 0; i < 250; i++)
        p = pod(i, 8080, true);
    sync();
    uint32_t updates = f.updates;
    json_set_str(f.arena, json_path(p, "status.conditions")->first, STR("status"), STR("False"));
    sync();
    cr_expect_eq(f.updates, updates + 1);
    cr_expect_eq(endpoints(true), 249);
    cr_expect_eq(endpoints(false), 250);
    pod(250, 8080, true);               /* goes where there is room */
    sync();
    cr_expect_eq(f.updates, updates + 2);
    cr_expect_eq(fake_count(&f, SLICES), 3);
    at_rest();
}

Test(slices, only_what_has_changed_is_read_again)
{
    struct val *p[250];
    for (int i = 0; i < 250; i++)
        p[i] = pod(i, 8080, true);
    sync();
    f.listed = 0;
    json_set_str(f.arena, json_path(p[7], "status.conditions")->first, STR("status"), STR("False"));
    sync();
    cr_expect_eq(endpoints(true), 249);
    json_set_str(f.arena, json_get(p[8], STR("status")), STR("phase"), STR("Failed"));
    json_set_str(f.arena, json_path(p[9], "metadata.labels"), STR("app"), STR("other"));
    pod(251, 8080, true);
    sync();
    cr_expect_eq(endpoints(false), 249);
    pod(252, 9090, true);
    sync();
    cr_expect_eq(endpoints(false), 250);
    cr_expect_eq(fake_count(&f, SLICES), 4);
    cr_expect_lt(f.listed, 20, "%u objects were listed, for the keys of five pods", f.listed);
    at_rest();
}

Test(slices, what_somebody_else_changed_makes_all_doubtful)
{
    for (int i = 0; i < 250; i++)
        pod(i, 8080, true);
    sync();
    for (uint32_t i = 0, n = 0; i < f.n; i++)
        if (strcmp(f.at[i].resource, SLICES) == 0 && ++n == 2) {
            json_del(f.at[i].v, STR("endpoints"));
            json_set_str(f.arena, json_get(f.at[i].v, STR("metadata")), STR("resourceVersion"), STR("99999"));
        } else if (strcmp(f.at[i].resource, SLICES) == 0 && n == 3) {
            f.at[i].v = NULL;
        }
    sync();
    cr_expect_eq(endpoints(true), 250);
    at_rest();
}

static void look_at_endpoints(void)
{
    cr_assert_eq(fake_reconcile(&f, &endpoints_controller, "d/web", NULL), 0, "%s", f.call.err.msg);
}

static uint32_t addresses(const char *list)
{
    struct val *subsets = json_get(fake_get(&f, ENDPOINTS, "d", "web"), STR("subsets"));
    uint32_t n = 0;
    if (subsets)
        val_each(s, subsets) n += json_get(s, str_of(list)) ? json_get(s, str_of(list))->n : 0;
    return n;
}

Test(slices, the_older_form_follows_changes)
{
    struct val *p[250];
    for (int i = 0; i < 250; i++)
        p[i] = pod(i, i % 2 ? 8080 : 9090, true);
    look_at_endpoints();
    cr_expect_eq(addresses("addresses"), 250);
    cr_expect_eq(json_get(fake_get(&f, ENDPOINTS, "d", "web"), STR("subsets"))->n, 2);
    f.listed = 0;
    json_set_str(f.arena, json_path(p[7], "status.conditions")->first, STR("status"), STR("False"));
    look_at_endpoints();
    cr_expect_eq(addresses("addresses"), 249);
    cr_expect_eq(addresses("notReadyAddresses"), 1);
    json_set_str(f.arena, json_get(p[8], STR("status")), STR("phase"), STR("Failed"));
    json_set_str(f.arena, json_path(p[9], "metadata.labels"), STR("app"), STR("other"));
    pod(251, 8080, true);
    look_at_endpoints();
    cr_expect_eq(addresses("addresses"), 248);
    cr_expect_lt(f.listed, 20);
    uint32_t writes = f.updates;
    look_at_endpoints();
    cr_expect_eq(f.updates, writes);
    struct val *e = fake_get(&f, ENDPOINTS, "d", "web");
    json_del(e, STR("subsets"));        /* by somebody else */
    json_set_str(f.arena, json_get(e, STR("metadata")), STR("resourceVersion"), STR("99999"));
    look_at_endpoints();
    cr_expect_eq(addresses("addresses"), 248);
}

Test(slices, the_older_form_has_room_for_a_thousand)
{
    struct val *p[1200];
    for (int i = 0; i < 1200; i++)
        p[i] = pod(i, 8080, i >= 100);
    look_at_endpoints();
    cr_expect_eq(addresses("addresses"), 1000);
    for (int i = 300; i < 500; i++)
        json_set_str(f.arena, json_get(p[i], STR("status")), STR("phase"), STR("Failed"));
    look_at_endpoints();
    cr_expect_eq(addresses("addresses"), 900);
    cr_expect_eq(addresses("notReadyAddresses"), 100);
}

Test(slices, other_ports_are_other_slices)
{
    pod(1, 8080, true);
    struct val *p = pod(2, 9090, true);
    sync();
    cr_expect_eq(fake_count(&f, SLICES), 2);
    json_set_str(f.arena, json_get(p, STR("status")), STR("phase"), STR("Failed"));
    sync();
    cr_expect_eq(fake_count(&f, SLICES), 1);
    cr_expect_eq(endpoints(false), 1);
    at_rest();
}

Test(slices, the_last_endpoint_leaves_a_slice_behind)
{
    struct val *p = pod(1, 8080, true);
    sync();
    json_set_str(f.arena, json_get(p, STR("metadata")), STR("labels"), STR(""));
    sync();
    cr_expect_eq(fake_count(&f, SLICES), 1);
    cr_expect_eq(endpoints(false), 0);
    at_rest();
}

Test(slices, a_pod_that_is_going_serves_but_is_not_ready)
{
    struct val *p = pod(1, 8080, true);
    json_set_str(f.arena, json_get(p, STR("metadata")), STR("deletionTimestamp"), STR("2027-01-01T00:00:00Z"));
    sync();
    cr_expect_eq(endpoints(false), 1);
    cr_expect_eq(endpoints(true), 0);
}

Test(slices, services_without_selector_are_left_alone)
{
    struct val *s = fake_get(&f, SERVICES, "d", "web");
    json_del(json_get(s, STR("spec")), STR("selector"));
    sync();
    cr_expect_eq(fake_count(&f, SLICES), 0);
}

/* --- hints --- */

static void node(const char *name, const char *zone, const char *cpu, bool ready)
{
    fake_put(&f, NODES, arena_printf(f.arena, "{\"metadata\":{\"name\":\"%s\",\"labels\":{\"topology.kubernetes.io/zone\":\"%s\"}},\"status\":{\"allocatable\":{\"cpu\":\"%s\"},"
                                     "\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\"}]}}", name, zone, cpu, ready ? "True" : "False"));
}

static void pods_of(const char *node, int from, int count)
{
    for (int i = from; i < from + count; i++)
        json_set_str(f.arena, json_get(pod(i, 8080, true), STR("spec")), STR("nodeName"), str_of(node));
}

/* How many endpoints have a hint for the zone; NULL: any. */
static uint32_t hinted(const char *zone)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f.n; i++) {
        struct val *list = f.at[i].v && strcmp(f.at[i].resource, SLICES) == 0 ? json_get(f.at[i].v, STR("endpoints")) : NULL;
        if (list)
            val_each(e, list) {
                struct val *names = json_path(e, "hints.forZones");
                n += names && (!zone || json_named(names, str_of(zone)));
            }
    }
    return n;
}

static void ask_for_hints(void)
{
    json_set_str(f.arena, json_obj(f.arena, json_get(fake_get(&f, SERVICES, "d", "web"), STR("metadata")), STR("annotations")), STR("service.kubernetes.io/topology-mode"),
                 STR("Auto"));
}

Test(slices, hints_by_the_cpus_of_zones)
{
    ask_for_hints();
    node("n1", "a", "2", true);
    node("n2", "b", "4", true);
    node("n3", "b", "8", false);        /* is not there */
    pods_of("n1", 0, 3);
    pods_of("n2", 3, 3);
    sync();
    cr_expect_eq(hinted("a"), 2);
    cr_expect_eq(hinted("b"), 4, "a third of the CPUs, a third of the endpoints");
    at_rest();
    cr_expect(f.call.err.code == 0);
    pods_of("n1", 6, 6);
    sync();
    cr_expect_eq(hinted("a"), 4);
    cr_expect_eq(hinted("b"), 8);
    at_rest();
}

Test(slices, no_hints_where_they_would_do_harm)
{
    ask_for_hints();
    node("n1", "a", "2", true);
    pods_of("n1", 0, 4);
    sync();
    cr_expect_eq(hinted(NULL), 0, "one zone");
    node("n2", "b", "2", true);
    sync();
    cr_expect_eq(hinted("a"), 2);
    cr_expect_eq(hinted("b"), 2);
    node("n3", "c", "2", true);
    node("n4", "d", "2", true);
    node("n5", "e", "2", true);
    sync();
    cr_expect_eq(hinted(NULL), 0, "more zones than endpoints");
    pods_of("n1", 4, 1);
    sync();
    cr_expect_eq(hinted(NULL), 5);
    node("n6", "", "2", true);
    sync();
    cr_expect_eq(hinted(NULL), 0, "a node without a zone");
}

Test(slices, no_zone_carries_a_fifth_more_than_its_part)
{
    ask_for_hints();
    node("n1", "a", "10", true);
    node("n2", "b", "11", true);
    pods_of("n1", 0, 3);
    sync();                             /* parts 1.43 and 1.57: at least two each, of three */
    cr_expect_eq(hinted(NULL), 0);
    pods_of("n1", 3, 1);
    sync();
    cr_expect_eq(hinted("a"), 2);
    cr_expect_eq(hinted("b"), 2);
}

Test(slices, a_node_without_a_zone_is_a_hint_all_the_same)
{
    json_set_str(f.arena, json_get(fake_get(&f, SERVICES, "d", "web"), STR("spec")), STR("trafficDistribution"), STR("PreferSameNode"));
    fake_put(&f, NODES, "{\"metadata\":{\"name\":\"n1\"}}");
    pods_of("n1", 0, 1);
    sync();
    for (uint32_t i = 0; i < f.n; i++)
        if (f.at[i].v && strcmp(f.at[i].resource, SLICES) == 0)
            cr_expect(json_named(json_path(json_get(f.at[i].v, STR("endpoints"))->first, "hints.forNodes"), STR("n1")));
    cr_expect_eq(hinted(NULL), 0);
}

/* --- the time of what is new --- */

static struct str trigger(void)
{
    for (uint32_t i = 0; i < f.n; i++)
        if (f.at[i].v && strcmp(f.at[i].resource, SLICES) == 0)
            return meta_annotation(f.at[i].v, TRIGGER_TIME);
    return STR_NONE;
}

static void since(struct val *pod, const char *status, const char *when)
{
    struct val *c = cond_find(json_path(pod, "status.conditions"), "Ready");
    json_set_str(f.arena, c, STR("status"), str_of(status));
    json_set_str(f.arena, c, STR("lastTransitionTime"), str_of(when));
}

Test(slices, the_earliest_change_is_told)
{
    json_set_str(f.arena, json_path(fake_get(&f, SERVICES, "d", "web"), "metadata"), STR("creationTimestamp"), STR("2026-01-01T00:00:00Z"));
    struct val *a = pod(1, 80, true), *b = pod(2, 80, true);
    since(a, "True", "2026-01-02T00:00:00Z");
    since(b, "True", "2026-01-02T00:00:00Z");
    sync();
    cr_expect(str_is(trigger(), "2026-01-01T00:00:00Z"), "nothing was known: as new as the Service");
    since(a, "False", "2026-01-04T00:00:00Z");
    since(b, "False", "2026-01-03T00:00:00Z");
    sync();
    cr_expect(str_is(trigger(), "2026-01-03T00:00:00Z"));
    at_rest();
    cr_expect(str_is(trigger(), "2026-01-03T00:00:00Z"), "what is not written stays");
    json_set_str(f.arena, json_path(b, "metadata.labels"), STR("app"), STR("other"));
    sync();
    cr_expect(!trigger().len, "nobody became ready or not");
}
