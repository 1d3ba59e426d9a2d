/* rules.c - who may what, over a handful of pods. */
#include <criterion/criterion.h>

#include "node.h"

static const char *const pods[] = {
    "{\"metadata\":{\"name\":\"web\",\"namespace\":\"default\"},\"spec\":{\"nodeName\":\"n1\",\"serviceAccountName\":\"robot\",\"imagePullSecrets\":[{\"name\":\"pull\"}],"
    "\"volumes\":[{\"name\":\"a\",\"secret\":{\"secretName\":\"tls\"}},{\"name\":\"b\",\"projected\":{\"sources\":[{\"configMap\":{\"name\":\"ca\"}},{\"secret\":{\"name\":\"key\"}}]}},"
    "{\"name\":\"c\",\"persistentVolumeClaim\":{\"claimName\":\"disk\"}},{\"name\":\"tmp\",\"ephemeral\":{}},{\"name\":\"d\",\"csi\":{\"nodePublishSecretRef\":{\"name\":\"csi\"}}}],"
    "\"containers\":[{\"name\":\"c\",\"env\":[{\"name\":\"X\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"env\"}}}],\"envFrom\":[{\"configMapRef\":{\"name\":\"all\"}}]}],"
    "\"initContainers\":[{\"name\":\"i\",\"envFrom\":[{\"secretRef\":{\"name\":\"init\"}}]}]}}",
    "{\"metadata\":{\"name\":\"other\",\"namespace\":\"default\"},\"spec\":{\"nodeName\":\"n2\",\"volumes\":[{\"name\":\"a\",\"secret\":{\"secretName\":\"theirs\"}}]}}",
    "{\"metadata\":{\"name\":\"loose\",\"namespace\":\"default\"},\"spec\":{\"volumes\":[{\"name\":\"a\",\"secret\":{\"secretName\":\"nobodys\"}}]}}",
};

static int fake_get(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes *ret)
{
    static const struct {
        const char *name, *text;
    } others[] = {
        { "n1", "{\"metadata\":{\"name\":\"n1\",\"uid\":\"u1\"}}" },
        { "pv-disk", "{\"spec\":{\"claimRef\":{\"namespace\":\"default\",\"name\":\"disk\"}}}" },
        { "pv-far", "{\"spec\":{\"claimRef\":{\"namespace\":\"default\",\"name\":\"far\"}}}" },
        { "at-n1", "{\"spec\":{\"nodeName\":\"n1\"}}" },
        { "at-n2", "{\"spec\":{\"nodeName\":\"n2\"}}" },
    };
    char want[80];
    (void)h;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(others[i].name, k->name) == 0) {
            *ret = (struct kl_bytes){ others[i].text, strlen(others[i].text) };
            return 0;
        }
    snprintf(want, sizeof want, "{\"metadata\":{\"name\":\"%s\",", k->name);
    for (int i = 0; i < 3; i++)
        if (strncmp(pods[i], want, strlen(want)) == 0) {
            *ret = (struct kl_bytes){ pods[i], strlen(pods[i]) };
            return 0;
        }
    return kl_fail(c, KL_NOT_FOUND, "pods \"%s\" not found", k->name);
}

static int fake_list(const struct kl_host *h, struct kl_call *c, const struct kl_list_options *o, struct kl_object_list *ret)
{
    struct kl_bytes *at = kl_alloc(c, 4 * sizeof *at);
    char want[80];
    (void)h;
    snprintf(want, sizeof want, "\"nodeName\":\"%s\"", o->field_selector + strlen("spec.nodeName="));
    for (int i = 0; i < 3 && strcmp(o->ns, "default") == 0; i++)
        if (strstr(pods[i], want))
            at[ret->n++] = (struct kl_bytes){ pods[i], strlen(pods[i]) };
    ret->at = at;
    return 0;
}

static const struct kl_host_objects objects = { .size = sizeof objects, .get = fake_get, .list = fake_list };
static const struct authz_node self = { .objects = &objects };

static void *alloc(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

static int may(const char *verb, const char *group, const char *resource, const char *sub, const char *ns, const char *name)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_call c = { .size = sizeof c, .arena = a, .alloc = alloc };
    struct kl_request r = { .size = sizeof r, .verb = verb, .is_resource = 1, .group = group, .version = "v1", .resource = resource,
                            .subresource = sub, .ns = ns, .name = name };
    kl_err_init(&c.err);
    return rules_authorize(&self, &c, "n1", &r);
}

static int listed(const char *verb, const char *resource, const char *selector)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_call c = { .size = sizeof c, .arena = a, .alloc = alloc };
    struct kl_request r = { .size = sizeof r, .verb = verb, .is_resource = 1, .group = "", .version = "v1", .resource = resource,
                            .subresource = "", .ns = "", .name = "", .field_selector = selector };
    kl_err_init(&c.err);
    return rules_authorize(&self, &c, "n1", &r);
}

Test(rules, lists_of_its_own_pods)
{
    cr_assert(listed("list", "pods", "spec.nodeName=n1") && listed("watch", "pods", "status.phase!=Failed,spec.nodeName==n1"));
    cr_assert_not(listed("list", "pods", "spec.nodeName=n2"));
    cr_assert_not(listed("list", "pods", "spec.nodeName!=n1"));
    cr_assert_not(listed("list", "pods", "status.phase=spec.nodeName=n1"));
    cr_assert_not(listed("watch", "pods", ""));
    cr_assert_not(listed("list", "secrets", "spec.nodeName=n1"));
    cr_assert_not(may("get", "", "pods", "", "default", "other"));
    cr_assert(may("get", "", "pods", "", "default", "web") && may("list", "", "pods", "", "default", "web"));
    cr_assert_not(may("get", "", "nodes", "", "", "n2") || may("list", "", "nodes", "", "", ""));
}

Test(rules, volumes_of_its_pods)
{
    cr_assert_eq(may("get", "", "persistentvolumes", "", "", "pv-disk"), 1);
    cr_assert_eq(may("get", "", "persistentvolumes", "", "", "pv-far"), 0);
    cr_assert_eq(may("get", "", "persistentvolumes", "", "", "pv-none"), 0);
    cr_assert_eq(may("list", "", "persistentvolumes", "", "", ""), 0);
    cr_assert_eq(may("get", "storage.k8s.io", "volumeattachments", "", "", "at-n1"), 1);
    cr_assert_eq(may("get", "storage.k8s.io", "volumeattachments", "", "", "at-n2"), 0);
    cr_assert_eq(may("patch", "", "persistentvolumeclaims", "status", "default", "disk"), 1);
    cr_assert_eq(may("patch", "", "persistentvolumeclaims", "status", "default", "far"), 0);
    cr_assert_eq(may("patch", "", "persistentvolumeclaims", "", "default", "disk"), 0);
}

Test(rules, what_a_node_needs)
{
    cr_assert(may("get", "", "nodes", "", "", "n1") && may("create", "", "nodes", "", "", "") && may("patch", "", "nodes", "status", "", "n1"));
    cr_assert(listed("watch", "pods", "spec.nodeName=n1") && may("patch", "", "pods", "status", "default", "web"));
    cr_assert(may("delete", "", "pods", "", "default", "web") && may("delete", "", "pods", "", "default", "gone"));
    cr_assert(may("watch", "", "services", "", "", "") && may("list", "discovery.k8s.io", "endpointslices", "", "", ""));
    cr_assert(may("create", "", "events", "", "default", "") && may("patch", "", "events", "", "default", "x"));
    cr_assert(may("patch", "coordination.k8s.io", "leases", "", "kube-node-lease", "n1") && may("create", "coordination.k8s.io", "leases", "", "kube-node-lease", ""));
}

Test(rules, what_its_pods_use)
{
    static const char *const secrets[] = { "tls", "key", "pull", "env", "init", "csi" }, *const maps[] = { "ca", "all" },
                      *const claims[] = { "disk", "web-tmp" };
    for (int i = 0; i < 6; i++)
        cr_assert_eq(may("get", "", "secrets", "", "default", secrets[i]), 1, "%s", secrets[i]);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(may("get", "", "configmaps", "", "default", maps[i]), 1, "%s", maps[i]);
        cr_assert_eq(may("get", "", "persistentvolumeclaims", "", "default", claims[i]), 1, "%s", claims[i]);
    }
    cr_assert_eq(may("create", "", "serviceaccounts", "token", "default", "robot"), 1);
    cr_assert_eq(may("watch", "", "secrets", "", "default", "tls"), 1, "with metadata.name=tls");
}

Test(rules, nothing_else)
{
    static const char *const not_ours[] = { "theirs", "nobodys", "ca", "all", "web", "robot", "disk", "t", "" };
    for (size_t i = 0; i < sizeof not_ours / sizeof *not_ours; i++)
        cr_assert_eq(may("get", "", "secrets", "", "default", not_ours[i]), 0, "secret '%s'", not_ours[i]);
    cr_assert_eq(may("get", "", "secrets", "", "kube-system", "tls"), 0);
    cr_assert_eq(may("get", "", "configmaps", "", "default", "tls"), 0);
    cr_assert_eq(may("list", "", "secrets", "", "default", ""), 0);
    cr_assert_eq(may("watch", "", "secrets", "", "", ""), 0);
    cr_assert_eq(may("watch", "", "secrets", "", "", "tls"), 0, "of all namespaces");
    cr_assert_eq(may("create", "", "serviceaccounts", "token", "default", "default"), 0);
    cr_assert_eq(may("patch", "", "nodes", "status", "", "n2"), 0);
    cr_assert_eq(may("delete", "", "nodes", "", "", "n1"), 0);
    cr_assert_eq(may("patch", "", "pods", "status", "default", "other"), 0);
    cr_assert_eq(may("delete", "", "pods", "", "default", "loose"), 0);
    cr_assert_eq(may("create", "", "pods", "binding", "default", "web"), 0);
    cr_assert_eq(may("create", "", "pods", "exec", "default", "web"), 0);
    cr_assert_eq(may("get", "", "nodes", "proxy", "", "n1"), 0);
    cr_assert_eq(may("patch", "coordination.k8s.io", "leases", "", "kube-system", "n1"), 0);
    cr_assert_eq(may("patch", "coordination.k8s.io", "leases", "", "kube-node-lease", "n2"), 0);
    cr_assert_eq(may("create", "rbac.authorization.k8s.io", "clusterrolebindings", "", "", ""), 0);
    cr_assert_eq(may("update", "", "services", "", "default", "x"), 0);
}

/* --- admission --- */

static int review(const char *verb, const char *resource, const char *sub, const char *object, const char *old)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_call c = { .size = sizeof c, .arena = a, .alloc = alloc };
    struct kl_request r = { .size = sizeof r, .verb = verb, .is_resource = 1, .group = "", .resource = resource, .subresource = sub, .ns = "", .name = "" };
    struct kl_admission_review v = { .size = sizeof v, .request = &r, .object = { object, strlen(object) }, .old_object = { old, old ? strlen(old) : 0 } };
    kl_err_init(&c.err);
    return restrict_review(&self, &c, "n1", &v);
}

Test(restriction, objects_it_may_write)
{
    static const char mine[] = "{\"metadata\":{\"name\":\"n1\",\"labels\":{\"a\":\"b\"}},\"spec\":{\"taints\":[{\"key\":\"x\"}]}}";
    cr_assert_eq(review("create", "nodes", "", mine, NULL), 0);
    cr_assert_eq(review("create", "nodes", "", "{\"metadata\":{\"name\":\"n2\"}}", NULL), -KL_FORBIDDEN);
    cr_assert_eq(review("create", "nodes", "", "{\"metadata\":{\"name\":\"n1\",\"labels\":{\"node-restriction.kubernetes.io/x\":\"y\"}}}", NULL), -KL_FORBIDDEN);
    cr_assert_eq(review("patch", "nodes", "", mine, mine), 0);
    cr_assert_eq(review("patch", "nodes", "", "{\"metadata\":{\"name\":\"n1\"},\"spec\":{}}", mine), -KL_FORBIDDEN, "it took its taint away");
    cr_assert_eq(review("patch", "nodes", "", mine, "{\"metadata\":{\"name\":\"n1\",\"labels\":{\"node-restriction.kubernetes.io/x\":\"y\"}},"
                                                    "\"spec\":{\"taints\":[{\"key\":\"x\"}]}}"), -KL_FORBIDDEN);
    cr_assert_eq(review("patch", "nodes", "status", mine, mine), 0);
    cr_assert_eq(review("create", "leases", "", "{\"metadata\":{\"name\":\"n1\"}}", NULL), 0);
    cr_assert_eq(review("create", "leases", "", "{\"metadata\":{\"name\":\"n2\"}}", NULL), -KL_FORBIDDEN);
}

#define OWNED(more) "\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"name\":\"n1\"" more "}]"
#define MIRROR(owner, node, spec) \
    "{\"metadata\":{\"annotations\":{\"kubernetes.io/config.mirror\":\"h\"}" owner "},\"spec\":{\"nodeName\":\"" node "\"" spec "}}"
#define OWN "," OWNED(",\"controller\":true,\"uid\":\"u1\"")

Test(restriction, mirror_pods_only)
{
    static const char *const bad[] = {
        "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"nodeName\":\"n1\"}}",
        MIRROR(OWN, "n2", ""),
        MIRROR("", "n1", ""),
        MIRROR("," OWNED(""), "n1", ""),
        MIRROR("," OWNED(",\"controller\":true,\"uid\":\"u2\""), "n1", ""),
        MIRROR("," OWNED(",\"controller\":true,\"uid\":\"u1\",\"blockOwnerDeletion\":true"), "n1", ""),
        MIRROR(OWN, "n1", ",\"serviceAccountName\":\"robot\""),
        MIRROR(OWN, "n1", ",\"volumes\":[{\"secret\":{\"secretName\":\"s\"}}]"),
        MIRROR(OWN, "n1", ",\"volumes\":[{\"projected\":{\"sources\":[{\"configMap\":{\"name\":\"s\"}}]}}]"),
        MIRROR(OWN, "n1", ",\"containers\":[{\"env\":[{\"valueFrom\":{\"secretKeyRef\":{\"name\":\"s\"}}}]}]"),
        MIRROR(OWN, "n1", ",\"imagePullSecrets\":[{\"name\":\"s\"}]"),
    };
    cr_assert_eq(review("create", "pods", "", MIRROR(OWN, "n1", ",\"containers\":[{\"name\":\"c\"}],\"imagePullSecrets\":[]"), NULL), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(review("create", "pods", "", bad[i], NULL), -KL_FORBIDDEN, "%s", bad[i]);
}

#define LABELLED(text) "{\"metadata\":{\"name\":\"n1\",\"labels\":{" text "}}}"

Test(restriction, labels_of_a_node)
{
    static const char *const own[] = { "a", "example.com/a", "kubernetes.io/hostname", "topology.kubernetes.io/zone", "node.kubernetes.io/x", "x.kubelet.kubernetes.io/y" };
    static const char *const kept[] = { "node-restriction.kubernetes.io/x", "a.node-restriction.kubernetes.io/x", "node-role.kubernetes.io/control-plane",
                                        "kubernetes.io/x", "a.k8s.io/x", "k8s.io/x", "xnode.kubernetes.io/x" };
    char text[200];
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        snprintf(text, sizeof text, LABELLED("\"%s\":\"v\""), own[i]);
        cr_assert_eq(review("create", "nodes", "", text, NULL), 0, "%s", own[i]);
        cr_assert_eq(review("update", "nodes", "status", text, LABELLED("")), 0, "%s", own[i]);
    }
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        snprintf(text, sizeof text, LABELLED("\"%s\":\"v\""), kept[i]);
        cr_assert_eq(review("create", "nodes", "", text, NULL), -KL_FORBIDDEN, "%s", kept[i]);
        cr_assert_eq(review("update", "nodes", "status", text, LABELLED("")), -KL_FORBIDDEN, "%s", kept[i]);
        cr_assert_eq(review("update", "nodes", "", LABELLED(""), text), -KL_FORBIDDEN, "%s taken away", kept[i]);
        cr_assert_eq(review("update", "nodes", "", text, text), 0, "%s stays", kept[i]);
    }
}

Test(restriction, status_of_pods_and_claims)
{
    static const char pod[] = "{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"nodeName\":\"n1\"}}";
    cr_assert_eq(review("patch", "pods", "status", pod, pod), 0);
    cr_assert_eq(review("patch", "pods", "status", "{\"metadata\":{\"labels\":{\"a\":\"c\"}},\"spec\":{\"nodeName\":\"n1\"}}", pod), -KL_FORBIDDEN);
    cr_assert_eq(review("patch", "pods", "status", "{\"spec\":{\"nodeName\":\"n2\"}}", "{\"spec\":{\"nodeName\":\"n2\"}}"), -KL_FORBIDDEN);
    static const char claim[] = "{\"metadata\":{\"name\":\"d\",\"resourceVersion\":\"1\"},\"status\":{\"phase\":\"Bound\"}}";
    cr_assert_eq(review("patch", "persistentvolumeclaims", "status",
                        "{\"metadata\":{\"name\":\"d\",\"resourceVersion\":\"2\"},\"status\":{\"phase\":\"Bound\",\"capacity\":{\"storage\":\"2Gi\"}}}", claim), 0);
    cr_assert_eq(review("patch", "persistentvolumeclaims", "status", "{\"metadata\":{\"name\":\"d\"},\"status\":{\"phase\":\"Lost\"}}", claim), -KL_FORBIDDEN);
    cr_assert_eq(review("create", "csinodes", "", "{\"metadata\":{\"name\":\"n2\"}}", NULL), -KL_FORBIDDEN);
    cr_assert_eq(review("create", "csinodes", "", "{\"metadata\":{\"name\":\"n1\"}}", NULL), 0);
}
