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
    char want[80];
    (void)h;
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

Test(rules, what_a_node_needs)
{
    cr_assert(may("get", "", "nodes", "", "", "n1") && may("create", "", "nodes", "", "", "") && may("patch", "", "nodes", "status", "", "n1"));
    cr_assert(may("watch", "", "pods", "", "", "") && may("patch", "", "pods", "status", "default", "web"));
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
    struct kl_call c = { .size = sizeof c };
    struct kl_request r = { .size = sizeof r, .verb = verb, .is_resource = 1, .group = "", .resource = resource, .subresource = sub, .ns = "", .name = "" };
    struct kl_admission_review v = { .size = sizeof v, .request = &r, .object = { object, strlen(object) }, .old_object = { old, old ? strlen(old) : 0 } };
    kl_err_init(&c.err);
    return restrict_review(&c, "n1", &v);
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
    cr_assert_eq(review("create", "pods", "", "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"nodeName\":\"n1\"}}", NULL), -KL_FORBIDDEN);
    cr_assert_eq(review("create", "pods", "", "{\"metadata\":{\"annotations\":{\"kubernetes.io/config.mirror\":\"h\"}},\"spec\":{\"nodeName\":\"n2\"}}", NULL), -KL_FORBIDDEN);
    cr_assert_eq(review("create", "pods", "", "{\"metadata\":{\"annotations\":{\"kubernetes.io/config.mirror\":\"h\"}},\"spec\":{\"nodeName\":\"n1\"}}", NULL), 0);
}
