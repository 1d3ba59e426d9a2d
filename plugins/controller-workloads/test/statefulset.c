/* StatefulSets against a host in memory: what their pods and claims look like, and what is told. */
#include <criterion/criterion.h>

#include "fake.h"
#include "statefulset.h"

FAKE_SUITE(statefulset);

static struct val *set(const char *more)
{
    return fake_put(f, STATEFULSETS, arena_printf(f->arena, "{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"metadata\":{\"name\":\"s\",\"namespace\":\"d\",\"generation\":1},"
                                                   "\"spec\":{\"replicas\":1,\"selector\":{\"matchLabels\":{\"app\":\"s\"}},\"serviceName\":\"s\","
                                                   "\"template\":{\"metadata\":{\"labels\":{\"app\":\"s\"}},\"spec\":{}}%s}}", more));
}

static void reconcile(void)
{
    cr_assert_eq(fake_reconcile(f, &statefulset_controller, "d/s", NULL), 0, "%s", f->call.err.msg);
}

static struct val *pod(void)
{
    return fake_get(f, PODS, "d", "s-0");
}

static void run_pod(const char *phase)
{
    struct val *st = json_obj(f->arena, pod(), STR("status"));
    json_set_str(f->arena, st, STR("phase"), str_of(phase));
    json_set(f->arena, st, STR("conditions"), json_parse(f->arena, STR("[{\"type\":\"Ready\",\"status\":\"True\"}]"), &f->call.err));
}

#define TEMPLATES "\"volumeClaimTemplates\":[{\"metadata\":{\"name\":\"data\"},\"spec\":{}}]"
#define KEPT(SCALED, DELETED) ",\"persistentVolumeClaimRetentionPolicy\":{\"whenScaled\":\"" SCALED "\",\"whenDeleted\":\"" DELETED "\"}"

Test(statefulset, a_pod_has_its_name_and_where_names_come_from)
{
    set("");
    reconcile();
    cr_assert_not_null(pod());
    cr_expect(str_is(json_str(pod(), "metadata.generateName"), "s-"));
    cr_expect(str_is(meta_label(pod(), "apps.kubernetes.io/pod-index"), "0"));
    cr_expect_str_eq(f->last_event, "SuccessfulCreate: Create Pod s-0 in StatefulSet s successful");
}

Test(statefulset, a_refusal_is_told)
{
    set("");
    f->refuse = "exceeded quota";
    cr_expect_eq(fake_reconcile(f, &statefulset_controller, "d/s", NULL), -KL_FORBIDDEN);
    /* the revision is refused first: nothing to tell of a pod */
    f->refuse = NULL;
    reconcile();
    run_pod("Failed");
    reconcile();
    cr_expect_str_eq(f->last_event, "SuccessfulDelete: Delete Pod s-0 in StatefulSet s successful");
}

Test(statefulset, the_label_with_its_name_is_put_back)
{
    set("");
    reconcile();
    run_pod("Running");
    json_del(json_path(pod(), "metadata.labels"), STR("statefulset.kubernetes.io/pod-name"));
    reconcile();
    cr_expect(str_is(meta_label(pod(), "statefulset.kubernetes.io/pod-name"), "s-0"));
    cr_expect_str_eq(f->last_event, "SuccessfulUpdate: Update Pod s-0 in StatefulSet s successful");
    uint32_t events = f->events;
    reconcile();
    cr_expect_eq(f->events, events);
}

Test(statefulset, the_set_controls_claims_that_go_with_it)
{
    struct val *s = set("," TEMPLATES KEPT("Retain", "Retain"));
    reconcile();
    struct val *c = fake_get(f, "/persistentvolumeclaims", "d", "data-s-0");
    cr_assert_not_null(c);
    cr_expect_null(meta_controller(c));
    run_pod("Running");
    s = fake_get(f, STATEFULSETS, "d", "s");
    json_set_str(f->arena, json_path(s, "spec.persistentVolumeClaimRetentionPolicy"), STR("whenDeleted"), STR("Delete"));
    reconcile();
    c = fake_get(f, "/persistentvolumeclaims", "d", "data-s-0");
    cr_expect(meta_controlled_by(c, meta_uid(s)));
    cr_expect_str_eq(f->last_event, "SuccessfulUpdate: Update Pod s-0 in StatefulSet s successful");
}

Test(statefulset, claims_that_are_going_are_not_used)
{
    set("," TEMPLATES KEPT("Delete", "Retain"));
    fake_put(f, "/persistentvolumeclaims", "{\"metadata\":{\"name\":\"data-s-0\",\"namespace\":\"d\",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"s-0\","
                                            "\"uid\":\"earlier\",\"controller\":true}]}}");
    reconcile();
    cr_expect_null(pod(), "the claim goes with the pod that had it");
}

Test(statefulset, claims_of_somebody_else_are_left_alone)
{
    set("," TEMPLATES KEPT("Retain", "Delete"));
    fake_put(f, "/persistentvolumeclaims", "{\"metadata\":{\"name\":\"data-s-0\",\"namespace\":\"d\",\"ownerReferences\":[{\"apiVersion\":\"x/v1\",\"kind\":\"Other\",\"name\":\"o\","
                                            "\"uid\":\"other\",\"controller\":true}]}}");
    reconcile();
    cr_expect_not_null(pod());
    cr_expect(meta_controlled_by(fake_get(f, "/persistentvolumeclaims", "d", "data-s-0"), STR("other")));
}
