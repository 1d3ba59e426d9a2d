/* core.h - the providers of admission-core. */
#ifndef ADMISSION_CORE_H
#define ADMISSION_CORE_H

#include <keelson/iface/auth.h>

/* C name, provider's name */
#define CORE_FIRST(X) X(serviceaccount, "serviceaccount")
#define CORE_MORE(X) \
    X(priority, "priority") X(tolerations, "default-toleration-seconds") X(taint_nodes, "taint-nodes-by-condition") X(pod_topology, "pod-topology-labels") \
    X(storage_class, "default-storage-class") X(storage_in_use, "storage-object-in-use-protection") X(claim_resize, "persistent-volume-claim-resize") \
    X(ingress_class, "default-ingress-class") X(runtime_class, "runtime-class") X(owners, "owner-references-permission-enforcement") \
    X(always_pull, "always-pull-images") X(extended_tolerations, "extended-resource-toleration") X(pod_node_selector, "pod-node-selector")
#define CORE_PROVIDERS(X) CORE_FIRST(X) CORE_MORE(X)

#define DECLARE(ID, NAME) extern const struct kl_admission ID##_admission;
CORE_PROVIDERS(DECLARE)

struct core_conf {
    const char *node_selector;          /* of pods in namespaces that name none */
};

#endif
