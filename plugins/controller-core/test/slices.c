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
