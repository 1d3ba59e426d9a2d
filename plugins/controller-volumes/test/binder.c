/* binder.c - claims and volumes find each other. */
#include <criterion/criterion.h>

#include "fake.h"
#include "volumes.h"

FAKE_SUITE(binder);

static void volume(const char *name, const char *size, const char *more)
{
    char text[1024];
    snprintf(text, sizeof text, "{\"apiVersion\":\"v1\",\"kind\":\"PersistentVolume\",\"metadata\":{\"name\":\"%s\",\"labels\":{\"disk\":\"%s\"}},\"spec\":{\"capacity\":{\"storage\":\"%s\"},"
             "\"accessModes\":[\"ReadWriteOnce\"]%s},\"status\":{\"phase\":\"Available\"}}", name, name, size, more);
    fake_put(f, VOLUMES, text);
}

static void add_claim(const char *name, const char *size, const char *more)
{
    char text[1024];
    snprintf(text, sizeof text, "{\"apiVersion\":\"v1\",\"kind\":\"PersistentVolumeClaim\",\"metadata\":{\"name\":\"%s\",\"namespace\":\"n\",\"uid\":\"u-%s\"},\"spec\":{\"accessModes\":"
             "[\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"%s\"}}%s},\"status\":{\"phase\":\"Pending\"}}", name, name, size, more);
    fake_put(f, CLAIMS, text);
}

static void settle(const char *key)
{
    for (int i = 0; i < 3; i++)
        cr_assert_eq(fake_reconcile(f, &binder_controller, key, NULL), 0, "%s: %s", key, f->call.err.msg);
    unsigned writes = f->creates + f->updates + f->removes;
    cr_assert_eq(fake_reconcile(f, &binder_controller, key, NULL), 0);
    cr_assert_eq(f->creates + f->updates + f->removes, writes, "%s: it comes to rest", key);
}

static void check_claim(const char *name, const char *phase, const char *volume_name)
{
    struct val *v = fake_get(f, CLAIMS, "n", name);
    cr_assert(str_is(json_str(v, "status.phase"), phase), "%s is " STR_FMT, name, STR_ARG(json_str(v, "status.phase")));
    cr_assert(str_is(json_str(v, "spec.volumeName"), volume_name), "%s has '" STR_FMT "'", name, STR_ARG(json_str(v, "spec.volumeName")));
}

static void check_volume(const char *name, const char *phase, const char *claim_name)
{
    struct val *v = fake_get(f, VOLUMES, "", name);
    cr_assert(str_is(json_str(v, "status.phase"), phase), "%s is " STR_FMT, name, STR_ARG(json_str(v, "status.phase")));
    cr_assert(str_is(json_str(v, "spec.claimRef.name"), claim_name), "%s is for '" STR_FMT "'", name, STR_ARG(json_str(v, "spec.claimRef.name")));
}

#define NO_CLASS ",\"storageClassName\":\"\""

Test(binder, smallest_that_is_large_enough)
{
    volume("tiny", "1Gi", "");
    volume("huge", "100Gi", "");
    volume("good", "10Gi", "");
    volume("other", "5Gi", ",\"storageClassName\":\"fast\"");
    volume("raw", "5Gi", ",\"volumeMode\":\"Block\"");
    add_claim("c", "5Gi", NO_CLASS);
    settle("n/c");
    check_claim("c", "Bound", "good");
    check_volume("good", "Bound", "c");
    struct val *c = fake_get(f, CLAIMS, "n", "c");
    cr_assert(str_is(json_str(c, "status.capacity.storage"), "10Gi"));
    cr_assert(str_is(meta_annotation(c, BIND_COMPLETED), "yes") && str_is(meta_annotation(c, BOUND_BY_CONTROLLER), "yes"));
    add_claim("d", "50Gi", NO_CLASS ",\"selector\":{\"matchLabels\":{\"disk\":\"none\"}}");
    settle("n/d");
    check_claim("d", "Pending", "");
    cr_assert(strstr(f->last_event, "FailedBinding"), "%s", f->last_event);
    add_claim("e", "50Gi", NO_CLASS ",\"selector\":{\"matchLabels\":{\"disk\":\"huge\"}}");
    settle("n/e");
    check_claim("e", "Bound", "huge");
}

Test(binder, named_by_the_user)
{
    volume("v", "10Gi", "");
    volume("w", "1Gi", ",\"claimRef\":{\"namespace\":\"n\",\"name\":\"d\"}");
    add_claim("c", "5Gi", NO_CLASS ",\"volumeName\":\"v\"");
    add_claim("d", "1Gi", NO_CLASS);
    settle("n/c");
    settle("w");
    check_volume("w", "Available", "d");
    settle("n/d");
    check_claim("c", "Bound", "v");
    check_claim("d", "Bound", "w");
    cr_assert_null(meta_annotation(fake_get(f, VOLUMES, "", "w"), BOUND_BY_CONTROLLER).at, "the user did that");
    add_claim("e", "1Gi", NO_CLASS ",\"volumeName\":\"v\"");
    settle("n/e");
    check_claim("e", "Pending", "v");
    cr_assert(strstr(f->last_event, "already bound to a different claim"), "%s", f->last_event);
    volume("x", "1Gi", "");
    add_claim("f", "5Gi", NO_CLASS ",\"volumeName\":\"x\"");
    settle("n/f");
    cr_assert(strstr(f->last_event, "requested PV is too small"), "%s", f->last_event);
}

Test(binder, what_is_left)
{
    volume("v", "1Gi", ",\"persistentVolumeReclaimPolicy\":\"Retain\"");
    add_claim("c", "1Gi", NO_CLASS);
    settle("n/c");
    check_claim("c", "Bound", "v");
    json_set_str(f->arena, json_get(fake_get(f, VOLUMES, "", "v"), STR("metadata")), STR("name"), STR("gone"));
    settle("n/c");
    check_claim("c", "Lost", "v");
    cr_assert(strstr(f->last_event, "ClaimLost"), "%s", f->last_event);
    json_set_str(f->arena, json_get(fake_get(f, VOLUMES, "", "gone"), STR("metadata")), STR("name"), STR("v"));
    json_set_str(f->arena, json_get(fake_get(f, CLAIMS, "n", "c"), STR("metadata")), STR("uid"), STR("another"));
    settle("v");
    check_volume("v", "Released", "c");
    settle("n/c");
    check_claim("c", "Lost", "v");
}

static void left_behind(const char *source, const char *phase, const char *message)
{
    volume("v", "1Gi", arena_printf(f->arena, ",\"persistentVolumeReclaimPolicy\":\"Delete\",%s,\"claimRef\":{\"namespace\":\"n\",\"name\":\"gone\",\"uid\":\"u-gone\"}", source));
    uint32_t events = f->events;
    settle("v");
    struct val *v = fake_get(f, VOLUMES, "", "v");
    cr_expect(str_is(json_str(v, "status.phase"), phase), "%s: " STR_FMT, source, STR_ARG(json_str(v, "status.phase")));
    cr_expect(str_is(json_str(v, "status.message"), message), "%s: " STR_FMT, source, STR_ARG(json_str(v, "status.message")));
    cr_expect_eq(f->events, events + (*message != '\0'), "%s: told once", source);
    for (uint32_t i = 0; i < f->n; i++)
        f->at[i].v = NULL;
}

Test(binder, what_nobody_can_delete_has_failed)
{
    left_behind("\"hostPath\":{\"path\":\"/nowhere\"}", "Failed", "host_path deleter only supports /tmp/.+ but received provided /nowhere");
    left_behind("\"hostPath\":{\"path\":\"/tmp/\"}", "Failed", "host_path deleter only supports /tmp/.+ but received provided /tmp/");
    left_behind("\"hostPath\":{\"path\":\"/tmp/x\"}", "Released", "");
    left_behind("\"nfs\":{\"server\":\"a\"}", "Failed", "error getting deleter volume plugin for volume \"v\": no deletable volume plugin matched");
    left_behind("\"local\":{\"path\":\"/x\"}", "Failed", "error getting deleter volume plugin for volume \"v\": no volume plugin matched");
    left_behind("\"csi\":{\"driver\":\"x.io\"}", "Released", "");
}

Test(binder, provisioner_is_asked)
{
    fake_put(f, CLASSES, "{\"metadata\":{\"name\":\"now\"},\"provisioner\":\"x.example\",\"volumeBindingMode\":\"Immediate\"}");
    fake_put(f, CLASSES, "{\"metadata\":{\"name\":\"later\",\"annotations\":{\"storageclass.kubernetes.io/is-default-class\":\"true\"}},\"provisioner\":\"x.example\",\"volumeBindingMode\":\"WaitForFirstConsumer\"}");
    add_claim("c", "1Gi", ",\"storageClassName\":\"now\"");
    add_claim("d", "1Gi", "");
    add_claim("e", "1Gi", ",\"storageClassName\":\"none\"");
    settle("n/c");
    cr_assert(str_is(meta_annotation(fake_get(f, CLAIMS, "n", "c"), PROVISIONER), "x.example"));
    settle("n/d");
    cr_assert(strstr(f->last_event, "WaitForFirstConsumer: waiting for first consumer to be created before binding"), "%s", f->last_event);
    struct val *d = fake_get(f, CLAIMS, "n", "d");
    cr_assert(str_is(json_str(d, "spec.storageClassName"), "later"), "the default class is given later too");
    cr_assert_null(meta_annotation(d, PROVISIONER).at);
    fake_put(f, PODS, "{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"},\"spec\":{\"volumes\":[{\"name\":\"v\",\"persistentVolumeClaim\":{\"claimName\":\"d\"}}]}}");
    settle("n/d");
    cr_assert(strstr(f->last_event, "WaitForPodScheduled: waiting for pod p to be scheduled"), "%s", f->last_event);
    meta_set_annotation(f->arena, d, SELECTED_NODE, STR("node-1"));
    settle("n/d");
    cr_assert(str_is(meta_annotation(fake_get(f, CLAIMS, "n", "d"), PROVISIONER), "x.example"));
    settle("n/e");
    cr_assert(strstr(f->last_event, "storageclass.storage.k8s.io \"none\" not found"), "%s", f->last_event);
}

Test(binder, ephemeral)
{
    fake_put(f, PODS, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"n\",\"uid\":\"pod-1\"},\"spec\":{\"volumes\":[{\"name\":\"v\",\"ephemeral\":{\"volumeClaimTemplate\":{"
                      "\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"]}}}}]}}");
    cr_assert_eq(fake_reconcile(f, &ephemeral_controller, "n/p", NULL), 0);
    cr_assert_eq(fake_reconcile(f, &ephemeral_controller, "n/p", NULL), 0);
    struct val *c = fake_get(f, CLAIMS, "n", "p-v");
    cr_assert(c && f->creates == 1);
    cr_assert(meta_controlled_by(c, STR("pod-1")) && str_is(meta_label(c, "a"), "b"));
}

Test(binder, default_class_is_made_once)
{
    static const struct volumes_conf conf = { .default_class = "local-path", .default_provisioner = "dir.keelson.dev" };
    f->ctl.conf = &conf;
    fake_put(f, NAMESPACES, "{\"metadata\":{\"name\":\"kube-system\"}}");
    cr_assert_eq(fake_reconcile(f, &defaults_controller, "kube-system", NULL), 0);
    cr_assert(str_is(json_str(fake_get(f, CLASSES, "", "local-path"), "provisioner"), "dir.keelson.dev"));
    json_set_str(f->arena, json_get(fake_get(f, CLASSES, "", "local-path"), STR("metadata")), STR("name"), STR("away"));
    cr_assert_eq(fake_reconcile(f, &defaults_controller, "kube-system", NULL), 0);
    cr_assert_null(fake_get(f, CLASSES, "", "local-path"), "who deleted it is rid of it");
}
