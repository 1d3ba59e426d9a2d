/* Pods that leave tainted devices, and those that bear it. */
#include <criterion/criterion.h>

#include "claims.h"
#include "fake.h"

FAKE_SUITE(device_taints);

#define SLICES_OF_DEVICES "resource.k8s.io/resourceslices"
#define EVICT "{\"key\":\"broken\",\"value\":\"yes\",\"effect\":\"NoExecute\",\"timeAdded\":\"2020-01-01T00:00:00Z\"}"

static void slice(const char *name, int generation, const char *taints)
{
    fake_put(f, SLICES_OF_DEVICES, arena_printf(f->arena, "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"driver\":\"x.io\",\"nodeName\":\"n\",\"pool\":{\"name\":\"n\",\"generation\":%d,"
                                                "\"resourceSliceCount\":1},\"devices\":[{\"name\":\"other\"},{\"name\":\"gpu\",\"taints\":[%s]}]}}", name, generation, taints));
}

static void put_claim(const char *name, const char *user, const char *tolerations)
{
    fake_put(f, CLAIMS, arena_printf(f->arena, "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"d\"},\"spec\":{},\"status\":{\"allocation\":{\"devices\":{\"results\":[{\"request\":\"r\","
                                     "\"driver\":\"x.io\",\"pool\":\"n\",\"device\":\"gpu\",\"tolerations\":[%s]}]}},\"reservedFor\":[{\"resource\":\"pods\",\"name\":\"p\",\"uid\":\"%s\"}]}}",
                                     name, tolerations, user));
}

static void put_pod(const char *spec)
{
    fake_put(f, PODS, arena_printf(f->arena, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"d\",\"uid\":\"u\"},\"spec\":{%s"
                                   "\"resourceClaims\":[{\"name\":\"c\",\"resourceClaimName\":\"c\"}]},\"status\":{\"phase\":\"Running\"}}", spec));
}
#define ON_NODE "\"nodeName\":\"n\","

static bool stays(void)
{
    cr_assert_eq(fake_reconcile(f, &device_taints_controller, "d/p", NULL), 0);
    return fake_get(f, PODS, "d", "p");
}

static struct str uid(void)
{
    return meta_uid(fake_get(f, PODS, "d", "p"));
}

/* The pod's uid is the fake's: claims are for it. */
static void world(const char *spec, const char *taints, const char *tolerations)
{
    put_pod(spec);
    slice("s", 1, taints);
    put_claim("c", arena_printf(f->arena, STR_FMT, STR_ARG(uid())), tolerations);
}

Test(device_taints, a_pod_leaves_a_tainted_device)
{
    world(ON_NODE, EVICT, "");
    cr_expect_not(stays());
    cr_expect_str_eq(f->last_event, "DeviceTaintManagerEviction: Marking for deletion");
    cr_expect_eq(f->updates, 1, "it is told before");
}

Test(device_taints, what_does_not_concern_it)
{
    world(ON_NODE, "{\"key\":\"broken\",\"effect\":\"NoSchedule\",\"timeAdded\":\"2020-01-01T00:00:00Z\"}", "");
    cr_expect(stays(), "another effect");
}

Test(device_taints, no_node_no_eviction)
{
    world("", EVICT, "");
    cr_expect(stays());
}

Test(device_taints, somebody_elses_claim)
{
    put_pod(ON_NODE);
    slice("s", 1, EVICT);
    put_claim("c", "someone", "");
    cr_expect(stays());
}

Test(device_taints, old_slices_do_not_count)
{
    world(ON_NODE, EVICT, "");
    slice("t", 2, "");
    cr_expect(stays());
}

Test(device_taints, tolerated_for_ever)
{
    world(ON_NODE, EVICT, "{\"key\":\"broken\",\"operator\":\"Exists\",\"effect\":\"NoExecute\"}");
    cr_expect(stays());
}

Test(device_taints, a_toleration_of_another_effect_or_value_is_none)
{
    world(ON_NODE, EVICT, "{\"key\":\"broken\",\"operator\":\"Exists\"},{\"key\":\"broken\",\"value\":\"no\",\"effect\":\"NoExecute\"}");
    cr_expect_not(stays());
}

Test(device_taints, tolerated_for_a_while_then_not_and_told_when_it_is_over)
{
    int64_t again = 0;
    char text[CLOCK_TEXT];
    clock_format(f->now_ns, text);
    const char *taint = arena_printf(f->arena, "{\"key\":\"broken\",\"effect\":\"NoExecute\",\"timeAdded\":\"%s\"}", text);
    world(ON_NODE, taint, "{\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":30},{\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":10}");
    cr_assert_eq(fake_reconcile(f, &device_taints_controller, "d/p", &again), 0);
    cr_expect(again > 8 * NS_S && again <= 10 * NS_S, "the shortest counts");
    cr_expect(fake_get(f, PODS, "d", "p"));
    slice("t", 2, "");
    cr_expect(stays());
    cr_expect_str_eq(f->last_event, "DeviceTaintManagerEviction: Cancelling deletion");
    slice("v", 3, taint);
    f->now_ns += 11 * NS_S;
    cr_expect_not(stays());
}
