/* What a pod's claims say about where it can run, and what is written to have them bound there. */
#include "reconcile/claims.h"

#include "base/json_scan.h"
#include "reconcile/call.h"
#include "world.h"

/* --- a store with objects, a pod, a node; what is asked for is written down --- */

static struct world w;
static struct {
    struct claims claims;
    struct objects objects;
    char asked[4][1024];
    unsigned n_asked;
    int patch_fails;
} my;

static int note_patch(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k, int32_t type, struct kl_bytes patch, struct kl_bytes *ret)
{
    (void)o;
    (void)ret;
    cr_assert_eq(type, KL_PATCH_MERGE);
    cr_assert_lt(my.n_asked, 4u);
    snprintf(my.asked[my.n_asked++], sizeof my.asked[0], "%s %s %s/%s %.*s", who, k->resource, k->ns, k->name, (int)patch.len, patch.at);
    return my.patch_fails ? kl_fail(c, my.patch_fails, "not now") : 0;
}

static const struct objects_ops ops = { .patch = note_patch };

static void setup(void)
{
    memset(&my, 0, sizeof my);
    my.objects = (struct objects){ &ops };
    w = world_begin(false);
}

static void teardown(void)
{
    world_end(&w);
}

TestSuite(claims, .init = setup, .fini = teardown);

/* An object as it would be stored: metadata and rest are members. */
static void put(const char *resource, const char *ns, const char *name, const char *metadata, const char *rest)
{
    world_commit(&w, STORE_CREATE, resource, ns, name, metadata, rest);
}

#define CLASS "gold"
static void late_class(const char *provisioner, const char *more)
{
    put("storage.k8s.io/storageclasses", "", CLASS, "", arena_printf(w.arena, ",\"provisioner\":\"%s\",\"volumeBindingMode\":\"WaitForFirstConsumer\"%s", provisioner, more));
}
static void claim(const char *name, const char *metadata, const char *spec)
{
    put("/persistentvolumeclaims", "default", name, metadata,
        arena_printf(w.arena, ",\"spec\":{\"storageClassName\":\"" CLASS "\",\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"5Gi\"}}%s},\"status\":{\"phase\":\"Pending\"}", spec));
}
static void volume(const char *name, const char *size, const char *more)
{
    put("/persistentvolumes", "", name, ",\"labels\":{\"disk\":\"fast\"}",
        arena_printf(w.arena, ",\"spec\":{\"storageClassName\":\"" CLASS "\",\"accessModes\":[\"ReadWriteOnce\",\"ReadOnlyMany\"],\"capacity\":{\"storage\":\"%s\"}%s},\"status\":{\"phase\":\"Available\"}", size, more));
}
#define ON_NODE(name) ",\"nodeAffinity\":{\"required\":{\"nodeSelectorTerms\":[{\"matchExpressions\":[{\"key\":\"kubernetes.io/hostname\",\"operator\":\"In\",\"values\":[\"" name "\"]}]}]}}"
#define BOUND ",\"annotations\":{\"pv.kubernetes.io/bind-completed\":\"yes\"}"

/* A pod with those claims, named by words with blanks between. */
static const char *reads(const char *claims)
{
    struct buf b = BUF_INIT(4096);
    char name[64];
    for (int n = 0; sscanf(claims, " %63s%n", name, &n) == 1; claims += n)
        buf_printf(&b, "%s{\"name\":\"%s\",\"persistentVolumeClaim\":{\"claimName\":\"%s\"}}", b.len ? "," : "", name, name);
    const char *pod = arena_printf(w.arena, "{\"metadata\":{\"name\":\"p\",\"namespace\":\"default\",\"uid\":\"uid-p\"},\"spec\":{\"volumes\":[" STR_FMT "]}}", STR_ARG(buf_str(&b)));
    buf_free(&b);
    return claims_read(&my.claims, w.store, w.arena, json_parse(w.arena, str_of(pod), NULL));
}

static struct ledger_node *node(const char *name, const char *zone)
{
    struct ledger_node *n = arena_alloc(w.arena, sizeof *n);
    *n = (struct ledger_node){ .present = true, .ready = true };
    snprintf(n->name, sizeof n->name, "%s", name);
    n->tree = json_parse(w.arena, str_of(arena_printf(w.arena, "{\"metadata\":{\"name\":\"%s\",\"labels\":{\"kubernetes.io/hostname\":\"%s\",\"zone\":\"%s\"}}}", name, name, zone)), NULL);
    cr_assert(n->tree);
    n->labels = json_path(n->tree, "metadata.labels");
    return n;
}

static int reserve(const char *on)
{
    struct kl_call c;
    host_call_init(&c, w.arena, NULL);
    int rc = claims_reserve(&my.claims, node(on, "a"), &my.objects, "scheduler", &c);
    return rc;
}

/* --- why a pod fits nowhere --- */

Test(claims, nothing_to_say_of_a_pod_without_claims)
{
    cr_expect_null(reads(""));
    cr_expect_not(my.claims.any);
    cr_expect_null(claims_fit(&my.claims, node("n1", "a")));
    cr_expect_eq(reserve("n1"), 1);
}

Test(claims, what_makes_a_claim_useless)
{
    late_class("driver", "");
    claim("going", ",\"deletionTimestamp\":\"2030-01-01T00:00:00Z\"", "");
    claim("no-volume", BOUND, ",\"volumeName\":\"v1\"");
    claim("half", "", ",\"volumeName\":\"v1\"");
    put("/persistentvolumeclaims", "default", "lost", "", ",\"spec\":{\"volumeName\":\"v1\"},\"status\":{\"phase\":\"Lost\"}");
    put("/persistentvolumeclaims", "default", "at-once", "", ",\"spec\":{\"storageClassName\":\"none\"},\"status\":{\"phase\":\"Pending\"}");
    cr_expect_str_eq(reads("nobody"), "persistentvolumeclaim \"nobody\" not found");
    cr_expect_str_eq(reads("going"), "persistentvolumeclaim \"going\" is being deleted");
    cr_expect_str_eq(reads("lost"), "persistentvolumeclaim \"lost\" bound to non-existent persistentvolume \"v1\"");
    cr_expect_str_eq(reads("no-volume"), "persistentvolume \"v1\" not found");
    cr_expect_str_eq(reads("half"), "pod has unbound immediate PersistentVolumeClaims");
    cr_expect_str_eq(reads("at-once"), "pod has unbound immediate PersistentVolumeClaims");
}

Test(claims, of_an_ephemeral_volume_it_must_be_the_pods_own)
{
    const struct val *pod = json_parse(w.arena, STR("{\"metadata\":{\"name\":\"p\",\"namespace\":\"default\",\"uid\":\"uid-p\"},\"spec\":{\"volumes\":[{\"name\":\"e\",\"ephemeral\":{}}]}}"), NULL);
    late_class("driver", "");
    cr_expect_str_eq(claims_read(&my.claims, w.store, w.arena, pod), "waiting for ephemeral volume controller to create the persistentvolumeclaim \"p-e\"");
    claim("p-e", "", "");
    cr_expect_str_eq(claims_read(&my.claims, w.store, w.arena, pod), "PVC p-e was not created for pod p (pod is not owner)");
}

Test(claims, read_write_once_pod_is_for_one_that_runs)
{
    late_class("driver", "");
    put("/persistentvolumeclaims", "default", "mine", "", ",\"spec\":{\"storageClassName\":\"" CLASS "\",\"accessModes\":[\"ReadWriteOncePod\"]},\"status\":{\"phase\":\"Pending\"}");
#define USER(node, phase) ",\"spec\":{" node "\"volumes\":[{\"name\":\"x\",\"persistentVolumeClaim\":{\"claimName\":\"mine\"}}]},\"status\":{\"phase\":\"" phase "\"}"
    put("/pods", "default", "ended", "", USER("\"nodeName\":\"n1\",", "Succeeded"));
    put("/pods", "default", "waits", "", USER("", "Pending"));
    put("/pods", "default", "p", "", USER("\"nodeName\":\"n1\",", "Running"));
    put("/pods", "other", "far", "", USER("\"nodeName\":\"n1\",", "Running"));
    cr_expect_null(reads("mine"), "itself, one that has ended, one without a node, one of another namespace");
    put("/pods", "default", "runs", "", USER("\"nodeName\":\"n1\",", "Running"));
    cr_expect_str_eq(reads("mine"), "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode");
}

/* --- nodes --- */

Test(claims, a_bound_volume_is_where_it_can_be_reached)
{
    claim("data", BOUND, ",\"volumeName\":\"v1\"");
    volume("v1", "5Gi", ON_NODE("n1"));
    cr_assert_null(reads("data"));
    cr_expect(my.claims.any);
    cr_expect_null(claims_fit(&my.claims, node("n1", "a")));
    cr_expect_str_eq(claims_fit(&my.claims, node("n2", "a")), "node(s) didn't match PersistentVolume's node affinity");
    cr_expect_eq(reserve("n1"), 1);
    cr_expect_eq(my.n_asked, 0u);
}

Test(claims, of_free_volumes_those_that_are_fit_the_smallest_first)
{
    late_class("kubernetes.io/no-provisioner", "");
    claim("data", "", ",\"selector\":{\"matchLabels\":{\"disk\":\"fast\"}}");
    volume("large", "50Gi", "");
    volume("fine", "6Gi", "");
    volume("small", "4Gi", "");
    volume("used", "5Gi", ",\"claimRef\":{\"name\":\"other\"}");
    volume("raw", "5Gi", ",\"volumeMode\":\"Block\"");
    put("/persistentvolumes", "", "slow", "", ",\"spec\":{\"storageClassName\":\"" CLASS "\",\"accessModes\":[\"ReadWriteOnce\"],\"capacity\":{\"storage\":\"5Gi\"}},\"status\":{\"phase\":\"Available\"}");
    put("/persistentvolumes", "", "many", ",\"labels\":{\"disk\":\"fast\"}", ",\"spec\":{\"storageClassName\":\"" CLASS "\",\"accessModes\":[\"ReadOnlyMany\"],\"capacity\":{\"storage\":\"5Gi\"}},\"status\":{\"phase\":\"Available\"}");
    put("/persistentvolumes", "", "released", ",\"labels\":{\"disk\":\"fast\"}", ",\"spec\":{\"storageClassName\":\"" CLASS "\",\"accessModes\":[\"ReadWriteOnce\"],\"capacity\":{\"storage\":\"5Gi\"}},\"status\":{\"phase\":\"Released\"}");
    cr_assert_null(reads("data"));
    cr_assert_eq(my.claims.n, 1u);
    const struct val **fit = my.claims.at[0].fit;
    cr_assert(fit[0] && fit[1]);
    cr_expect(str_is(json_str(fit[0], "metadata.name"), "fine"));
    cr_expect(str_is(json_str(fit[1], "metadata.name"), "large"));
    cr_expect_null(fit[2]);
}

Test(claims, two_claims_do_not_get_one_volume)
{
    late_class("kubernetes.io/no-provisioner", "");
    claim("a", "", "");
    claim("b", "", "");
    volume("v1", "5Gi", ON_NODE("n1"));
    volume("v2", "6Gi", ON_NODE("n1"));
    volume("v3", "7Gi", ON_NODE("n2"));
    cr_assert_null(reads("a b"));
    cr_expect_null(claims_fit(&my.claims, node("n1", "a")));
    cr_expect_str_eq(claims_fit(&my.claims, node("n2", "a")), "node(s) didn't find available persistent volumes to bind");
    cr_expect_eq(reserve("n1"), 0);
    cr_assert_eq(my.n_asked, 2u);
    cr_expect_str_eq(my.asked[0], "scheduler /persistentvolumes /v1 {\"metadata\":{\"resourceVersion\":\"7\",\"annotations\":{\"pv.kubernetes.io/bound-by-controller\":\"yes\"}},"
                                 "\"spec\":{\"claimRef\":{\"kind\":\"PersistentVolumeClaim\",\"apiVersion\":\"v1\",\"namespace\":\"default\",\"name\":\"a\",\"uid\":\"uid-a\",\"resourceVersion\":\"7\"}}}");
    cr_expect(strstr(my.asked[1], "/persistentvolumes /v2 ") && strstr(my.asked[1], "\"name\":\"b\""), "%s", my.asked[1]);
}

Test(claims, a_provisioner_makes_them_where_its_class_allows)
{
    late_class("driver", ",\"allowedTopologies\":[{\"matchLabelExpressions\":[{\"key\":\"zone\",\"values\":[\"b\",\"a\"]}]}]");
    claim("data", "", "");
    cr_assert_null(reads("data"));
    cr_expect_null(claims_fit(&my.claims, node("n1", "a")));
    cr_expect_str_eq(claims_fit(&my.claims, node("n2", "c")), "node(s) didn't find available persistent volumes to bind");
    cr_expect_eq(reserve("n1"), 0);
    cr_assert_eq(my.n_asked, 1u);
    cr_expect_str_eq(my.asked[0], "scheduler /persistentvolumeclaims default/data {\"metadata\":{\"uid\":\"uid-data\",\"annotations\":{\"volume.kubernetes.io/selected-node\":\"n1\"}}}");
}

Test(claims, once_a_node_is_selected_it_is_that_one_until_it_is_taken_back)
{
    late_class("driver", "");
    claim("data", ",\"annotations\":{\"volume.kubernetes.io/selected-node\":\"n1\"}", "");
    cr_assert_null(reads("data"));
    cr_expect_null(claims_fit(&my.claims, node("n1", "a")));
    cr_expect_str_eq(claims_fit(&my.claims, node("n2", "a")), "node(s) were not chosen for a volume that is being provisioned");
    cr_expect_eq(reserve("n1"), 0, "it is waited for");
    cr_expect_eq(my.n_asked, 0u, "and not asked for again");
    struct kl_call c;
    host_call_init(&c, w.arena, NULL);
    claims_unselect(&my.claims, &my.objects, "scheduler", &c);
    cr_assert_eq(my.n_asked, 1u);
    cr_expect_str_eq(my.asked[0], "scheduler /persistentvolumeclaims default/data {\"metadata\":{\"uid\":\"uid-data\",\"annotations\":{\"volume.kubernetes.io/selected-node\":null}}}");
}

Test(claims, a_refused_wish_ends_the_reservation)
{
    late_class("driver", "");
    claim("a", "", "");
    claim("b", "", "");
    cr_assert_null(reads("a b"));
    my.patch_fails = KL_CONFLICT;
    cr_expect_eq(reserve("n1"), -KL_CONFLICT);
    cr_expect_eq(my.n_asked, 1u);
}
