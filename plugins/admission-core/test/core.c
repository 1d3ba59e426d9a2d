/* core.c - what classes, storage and owners do to new objects. */
#include <criterion/criterion.h>

#include "core.h"
#include "fake.h"

static struct kl_admission_verdict v;
static const struct core_conf conf = { "zone=a" };

FAKE_SUITE(admission_core);

static int ask(const struct kl_admission *t, const struct fake_ask *q)
{
    void *self;
    cr_assert_eq(t->life.open(&f->host, &conf, &self, &f->call), 0);
    int rc = fake_review(f, t, self, q, &v);
    t->life.close(self);
    return rc;
}

static void wants_patch(const char *want)
{
    cr_assert_str_eq(v.patch.len ? v.patch.at : "", want, "got  %s\nwant %s", v.patch.len ? v.patch.at : "", want);
}

Test(admission_core, default_classes)
{
    static const char claim[] = "{\"spec\":{}}", named[] = "{\"spec\":{\"storageClassName\":\"\"}}";
    cr_assert_eq(ask(&storage_class_admission, &(struct fake_ask){ .resource = "/persistentvolumeclaims", .object = claim }), 0);
    wants_patch("");
    fake_put(f, "storage.k8s.io/storageclasses", "{\"metadata\":{\"name\":\"slow\"}}");
    fake_put(f, "storage.k8s.io/storageclasses", "{\"metadata\":{\"name\":\"old\",\"creationTimestamp\":\"2026-01-01T00:00:00Z\",\"annotations\":{\"storageclass.kubernetes.io/is-default-class\":\"true\"}}}");
    fake_put(f, "storage.k8s.io/storageclasses", "{\"metadata\":{\"name\":\"new\",\"creationTimestamp\":\"2026-02-01T00:00:00Z\",\"annotations\":{\"storageclass.beta.kubernetes.io/is-default-class\":\"true\"}}}");
    cr_assert_eq(ask(&storage_class_admission, &(struct fake_ask){ .resource = "/persistentvolumeclaims", .object = claim }), 0);
    wants_patch("[{\"op\":\"add\",\"path\":\"/spec/storageClassName\",\"value\":\"new\"}]");
    cr_assert_eq(ask(&storage_class_admission, &(struct fake_ask){ .resource = "/persistentvolumeclaims", .object = named }), 0);
    wants_patch("");
    fake_put(f, "networking.k8s.io/ingressclasses", "{\"metadata\":{\"name\":\"in\",\"annotations\":{\"ingressclass.kubernetes.io/is-default-class\":\"true\"}}}");
    cr_assert_eq(ask(&ingress_class_admission, &(struct fake_ask){ .resource = "networking.k8s.io/ingresses", .object = claim }), 0);
    wants_patch("[{\"op\":\"add\",\"path\":\"/spec/ingressClassName\",\"value\":\"in\"}]");
    cr_assert_eq(ask(&ingress_class_admission, &(struct fake_ask){ .resource = "networking.k8s.io/ingresses", .object = "{\"metadata\":{\"annotations\":{\"kubernetes.io/ingress.class\":\"x\"}}}" }), 0);
    wants_patch("");
}

Test(admission_core, storage_in_use)
{
    cr_assert_eq(ask(&storage_in_use_admission, &(struct fake_ask){ .resource = "/persistentvolumeclaims", .object = "{\"metadata\":{}}" }), 0);
    wants_patch("[{\"op\":\"add\",\"path\":\"/metadata/finalizers\",\"value\":[\"kubernetes.io/pvc-protection\"]}]");
    cr_assert_eq(ask(&storage_in_use_admission, &(struct fake_ask){ .resource = "/persistentvolumes", .object = "{\"metadata\":{\"finalizers\":[\"a\"]}}" }), 0);
    wants_patch("[{\"op\":\"add\",\"path\":\"/metadata/finalizers/-\",\"value\":\"kubernetes.io/pv-protection\"}]");
    cr_assert_eq(ask(&storage_in_use_admission, &(struct fake_ask){ .resource = "/persistentvolumes", .object = "{\"metadata\":{\"finalizers\":[\"kubernetes.io/pv-protection\"]}}" }), 0);
    wants_patch("");
}

#define CLAIM(size, phase) "{\"spec\":{\"storageClassName\":\"s\",\"resources\":{\"requests\":{\"storage\":\"" size "\"}}},\"status\":{\"phase\":\"" phase "\"}}"

Test(admission_core, claims_grow_where_the_class_says_so)
{
    struct fake_ask grow = { .verb = "update", .resource = "/persistentvolumeclaims", .old_object = CLAIM("1Gi", "Bound"), .object = CLAIM("2Gi", "Bound") };
    cr_assert_eq(ask(&claim_resize_admission, &grow), -KL_FORBIDDEN);
    cr_assert_str_eq(v.refusal, "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize");
    fake_put(f, "storage.k8s.io/storageclasses", "{\"metadata\":{\"name\":\"s\"},\"allowVolumeExpansion\":true}");
    cr_assert_eq(ask(&claim_resize_admission, &grow), 0);
    grow.old_object = CLAIM("1Gi", "Pending");
    cr_assert_eq(ask(&claim_resize_admission, &grow), -KL_FORBIDDEN);
    cr_assert_str_eq(v.refusal, "Only bound persistent volume claims can be expanded");
    grow.old_object = CLAIM("2Gi", "Pending");
    cr_assert_eq(ask(&claim_resize_admission, &grow), 0);
}

Test(admission_core, runtime_classes)
{
    fake_put(f, "node.k8s.io/runtimeclasses", "{\"metadata\":{\"name\":\"vm\"},\"handler\":\"kata\",\"overhead\":{\"podFixed\":{\"cpu\":\"1\"}},\"scheduling\":{\"nodeSelector\":{\"vm\":\"yes\"},\"tolerations\":[{\"key\":\"vm\"},{\"key\":\"x\"}]}}");
    cr_assert_eq(ask(&runtime_class_admission, &(struct fake_ask){ .resource = "/pods", .object = "{\"spec\":{\"runtimeClassName\":\"vm\",\"tolerations\":[{\"key\":\"x\"}]}}" }), 0);
    wants_patch("[{\"op\":\"add\",\"path\":\"/spec/overhead\",\"value\":{\"cpu\":\"1\"}},{\"op\":\"add\",\"path\":\"/spec/nodeSelector\",\"value\":{\"vm\":\"yes\"}},"
                "{\"op\":\"add\",\"path\":\"/spec/tolerations\",\"value\":[{\"key\":\"x\"},{\"key\":\"vm\"}]}]");
    static const struct {
        const char *pod, *want;
        uint32_t flags;
    } rows[] = {
        { "{\"spec\":{\"runtimeClassName\":\"none\"}}", "pod rejected: RuntimeClass \"none\" not found", 0 },
        { "{\"spec\":{\"runtimeClassName\":\"vm\",\"overhead\":{\"cpu\":\"2\"}}}", "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead", 0 },
        { "{\"spec\":{\"runtimeClassName\":\"vm\"}}", "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead", KL_CALL_VALIDATING },
        { "{\"spec\":{\"overhead\":{\"cpu\":\"2\"}}}", "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead", 0 },
        { "{\"spec\":{\"runtimeClassName\":\"vm\",\"nodeSelector\":{\"vm\":\"no\"}}}", "pod rejected: conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; pod.spec.nodeSelector[vm] = no", 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        f->call.flags = rows[i].flags;
        cr_assert_eq(ask(&runtime_class_admission, &(struct fake_ask){ .resource = "/pods", .object = rows[i].pod }), -KL_FORBIDDEN, "row %zu", i);
        cr_expect_str_eq(v.refusal, rows[i].want, "row %zu: %s", i, v.refusal);
    }
}

Test(admission_core, nodes_and_pods)
{
    cr_assert_eq(ask(&taint_nodes_admission, &(struct fake_ask){ .resource = "/nodes", .object = "{\"spec\":{}}" }), 0);
    wants_patch("[{\"op\":\"add\",\"path\":\"/spec/taints\",\"value\":[{\"key\":\"node.kubernetes.io/not-ready\",\"effect\":\"NoSchedule\"}]}]");
    cr_assert_eq(ask(&always_pull_admission, &(struct fake_ask){ .resource = "/pods", .object = "{\"spec\":{\"containers\":[{\"name\":\"a\",\"imagePullPolicy\":\"Always\"},{\"name\":\"b\"}]}}" }), 0);
    wants_patch("[{\"op\":\"add\",\"path\":\"/spec/containers/1/imagePullPolicy\",\"value\":\"Always\"}]");
    cr_assert_eq(ask(&extended_tolerations_admission, &(struct fake_ask){ .resource = "/pods", .object = "{\"spec\":{\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"1\",\"nvidia.com/gpu\":\"1\"}}}]}}" }), 0);
    wants_patch("[{\"op\":\"add\",\"path\":\"/spec/tolerations\",\"value\":[{\"key\":\"nvidia.com/gpu\",\"operator\":\"Exists\",\"effect\":\"NoSchedule\"}]}]");
    fake_put(f, "/namespaces", "{\"metadata\":{\"name\":\"other\",\"annotations\":{\"scheduler.alpha.kubernetes.io/node-selector\":\"a=b, c=d\"}}}");
    cr_assert_eq(ask(&pod_node_selector_admission, &(struct fake_ask){ .resource = "/pods", .ns = "other", .object = "{\"spec\":{\"nodeSelector\":{\"a\":\"b\"}}}" }), 0);
    wants_patch("[{\"op\":\"add\",\"path\":\"/spec/nodeSelector\",\"value\":{\"a\":\"b\",\"c\":\"d\"}}]");
    cr_assert_eq(ask(&pod_node_selector_admission, &(struct fake_ask){ .resource = "/pods", .ns = "other", .object = "{\"spec\":{\"nodeSelector\":{\"a\":\"x\"}}}" }), -KL_FORBIDDEN);
    cr_assert_eq(ask(&pod_node_selector_admission, &(struct fake_ask){ .resource = "/pods", .object = "{\"spec\":{}}" }), 0);
    wants_patch("[{\"op\":\"add\",\"path\":\"/spec/nodeSelector\",\"value\":{\"zone\":\"a\"}}]");
}

Test(admission_core, topology)
{
    fake_put(f, "/nodes", "{\"metadata\":{\"name\":\"n\",\"labels\":{\"topology.kubernetes.io/zone\":\"z\",\"other\":\"x\"}}}");
    cr_assert_eq(ask(&pod_topology_admission, &(struct fake_ask){ .resource = "/pods", .subresource = "binding", .object = "{\"metadata\":{},\"target\":{\"name\":\"n\"}}" }), 0);
    wants_patch("[{\"op\":\"add\",\"path\":\"/metadata/labels\",\"value\":{\"topology.kubernetes.io/zone\":\"z\"}}]");
    cr_assert_eq(ask(&pod_topology_admission, &(struct fake_ask){ .resource = "/pods", .object = "{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"nodeName\":\"n\"}}" }), 0);
    wants_patch("[{\"op\":\"add\",\"path\":\"/metadata/labels\",\"value\":{\"a\":\"b\",\"topology.kubernetes.io/zone\":\"z\"}}]");
    cr_assert_eq(ask(&pod_topology_admission, &(struct fake_ask){ .resource = "/pods", .object = "{\"spec\":{\"nodeName\":\"gone\"}}" }), 0);
    wants_patch("");
}

#define OWNED(block) "{\"metadata\":{\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"p\",\"uid\":\"u\",\"blockOwnerDeletion\":" block "}]}}"

Test(admission_core, owners)
{
    struct fake_ask q = { .verb = "update", .resource = "/configmaps", .name = "c", .object = OWNED("true"), .old_object = "{\"metadata\":{}}" };
    f->may = "delete configmaps c|update pods/finalizers p|";
    cr_assert_eq(ask(&owners_admission, &q), 0, "%s", f->call.err.msg);
    f->may = "delete configmaps c|";
    cr_assert_eq(ask(&owners_admission, &q), -KL_FORBIDDEN);
    cr_assert(strstr(v.refusal, "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: "));
    q.object = OWNED("false");
    cr_assert_eq(ask(&owners_admission, &q), 0);
    f->may = "";
    cr_assert_eq(ask(&owners_admission, &q), -KL_FORBIDDEN);
    cr_assert(strstr(v.refusal, "cannot set an ownerRef on a resource you can't delete: "));
    q.old_object = q.object;
    cr_assert_eq(ask(&owners_admission, &q), 0, "they are as they were");
}
