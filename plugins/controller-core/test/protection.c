/* protection.c - what is in use keeps its finalizer. */
#include <criterion/criterion.h>

#include "core.h"
#include "fake.h"

FAKE_SUITE(protection);

static unsigned finalizers(const char *resource, const char *ns, const char *name)
{
    const struct val *list = json_path(fake_get(f, resource, ns, name), "metadata.finalizers");
    return val_is(list, VAL_ARR) ? list->n : 0;
}

#define CLAIM(more) "{\"metadata\":{\"name\":\"c\",\"namespace\":\"n\"" more "}}"
#define GOING ",\"deletionTimestamp\":\"2027-01-01T00:00:00Z\",\"finalizers\":[\"kubernetes.io/pvc-protection\"]"

Test(protection, claims)
{
    fake_put(f, "/persistentvolumeclaims", CLAIM(""));
    cr_assert_eq(fake_reconcile(f, &claim_protection_controller, "n/c", NULL), 0);
    cr_assert_eq(finalizers("/persistentvolumeclaims", "n", "c"), 1u, "one that has none gets it");
    f->n = 0;
    fake_put(f, "/persistentvolumeclaims", CLAIM(GOING));
    struct val *pod = fake_put(f, PODS, "{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"},\"spec\":{\"nodeName\":\"a\",\"volumes\":[{\"name\":\"v\",\"persistentVolumeClaim\":{\"claimName\":\"c\"}}]},\"status\":{\"phase\":\"Running\"}}");
    cr_assert_eq(fake_reconcile(f, &claim_protection_controller, "n/c", NULL), 0);
    cr_assert_eq(finalizers("/persistentvolumeclaims", "n", "c"), 1u, "a pod uses it");
    json_set_str(f->arena, json_get(pod, STR("status")), STR("phase"), STR("Succeeded"));
    cr_assert_eq(fake_reconcile(f, &claim_protection_controller, "n/c", NULL), 0);
    cr_assert_eq(finalizers("/persistentvolumeclaims", "n", "c"), 0u);
}

Test(protection, volumes)
{
    struct val *v = fake_put(f, "/persistentvolumes", "{\"metadata\":{\"name\":\"v\",\"deletionTimestamp\":\"2027-01-01T00:00:00Z\",\"finalizers\":[\"kubernetes.io/pv-protection\"]},\"status\":{\"phase\":\"Bound\"}}");
    cr_assert_eq(fake_reconcile(f, &volume_protection_controller, "v", NULL), 0);
    cr_assert_eq(finalizers("/persistentvolumes", "", "v"), 1u);
    json_set_str(f->arena, json_get(v, STR("status")), STR("phase"), STR("Released"));
    cr_assert_eq(fake_reconcile(f, &volume_protection_controller, "v", NULL), 0);
    cr_assert_eq(finalizers("/persistentvolumes", "", "v"), 0u);
}

Test(protection, attributes)
{
    const char *class = "{\"metadata\":{\"name\":\"fast\",\"deletionTimestamp\":\"2027-01-01T00:00:00Z\",\"finalizers\":[\"kubernetes.io/vac-protection\"]}}";
    fake_put(f, "storage.k8s.io/volumeattributesclasses", class);
    struct val *claim = fake_put(f, "/persistentvolumeclaims", "{\"metadata\":{\"name\":\"c\",\"namespace\":\"n\"},\"spec\":{\"volumeAttributesClassName\":\"fast\"}}");
    cr_assert_eq(fake_reconcile(f, &vac_protection_controller, "fast", NULL), 0);
    cr_assert_eq(finalizers("storage.k8s.io/volumeattributesclasses", "", "fast"), 1u);
    json_del(json_get(claim, STR("spec")), STR("volumeAttributesClassName"));
    cr_assert_eq(fake_reconcile(f, &vac_protection_controller, "fast", NULL), 0);
    cr_assert_eq(finalizers("storage.k8s.io/volumeattributesclasses", "", "fast"), 0u);
}

Test(protection, keys)
{
    struct kl_bytes keys = { "", 0 };
    const char *pod = "{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"},\"spec\":{\"volumes\":[{\"name\":\"v\",\"persistentVolumeClaim\":{\"claimName\":\"c\"}},{\"name\":\"e\",\"ephemeral\":{}}]},\"status\":{\"phase\":\"Running\"}}";
    struct kl_bytes text = { pod, strlen(pod) };
    cr_assert_eq(claim_protection_controller.map(&f->ctl, &f->call, PODS, (struct kl_bytes){ 0 }, text, &keys), 0);
    cr_assert_eq(keys.len, 0);
    f->call.flags = KL_CALL_DELETED;
    cr_assert_eq(claim_protection_controller.map(&f->ctl, &f->call, PODS, text, text, &keys), 0);
    cr_assert_str_eq(keys.at, "n/c\nn/p-e");
}
