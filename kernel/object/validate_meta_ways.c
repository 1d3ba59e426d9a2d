/* validate_meta_ways.c - which kinds look at an object's metadata how often. Upstream's registry looks at it in every update, and the rules of most kinds do
 * once or twice more: each time with a complaint of its own, which clients see in details.causes. */
#include "object/validate.h"

/* In the order in which they come: F the whole metadata, U what an update looks at; f and u the same, without the names that finalizers of core kinds have to have. */
static const struct {
    const char *group, *kind, *update, *status;
} rows[] = {
    { "", "Pod", "UF", "U" },
    { "", "ConfigMap", "UF", "" },
    { "", "Secret", "UF", "" },
    { "", "Namespace", "FU", "U" },
    { "", "Node", "FU", "U" },
    { "", "PersistentVolume", "FF", "U" },
    { "", "PersistentVolumeClaim", "UF", "U" },
    { "", "ServiceAccount", "UF", "" },
    { "", "Endpoints", "UF", "" },
    { "", "Event", "", "" },
    { "events.k8s.io", "Event", "U", "" },
    { "", "LimitRange", "F", "" },
    { "apps", "ControllerRevision", "UF", "" },
    { "batch", "Job", "FU", "U" },
    { "batch", "CronJob", "U", "" },
    { "networking.k8s.io", "Ingress", "UF", "U" },
    { "networking.k8s.io", "IngressClass", "UF", "" },
    { "policy", "PodDisruptionBudget", "", "" },
    { "rbac.authorization.k8s.io", "Role", "FU", "" },
    { "rbac.authorization.k8s.io", "ClusterRole", "FU", "" },
    { "rbac.authorization.k8s.io", "RoleBinding", "FU", "" },
    { "rbac.authorization.k8s.io", "ClusterRoleBinding", "FU", "" },
    { "storage.k8s.io", "StorageClass", "FU", "" },
    { "storage.k8s.io", "CSINode", "F", "" },
    { "storage.k8s.io", "CSIStorageCapacity", "FU", "" },
    { "storage.k8s.io", "VolumeAttachment", "F", "F" },
    { "storage.k8s.io", "VolumeAttributesClass", "UF", "" },
    { "coordination.k8s.io", "Lease", "u", "" },
    { "discovery.k8s.io", "EndpointSlice", "F", "" },
    { "node.k8s.io", "RuntimeClass", "fu", "" },
    { "certificates.k8s.io", "CertificateSigningRequest", "FU", "FU" },
    { "flowcontrol.apiserver.k8s.io", "FlowSchema", "F", "U" },
    { "flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", "F", "U" },
    { "admissionregistration.k8s.io", "", "f", "u" },
    { "apiextensions.k8s.io", "", "u", "u" },
    { "apiregistration.k8s.io", "", "u", "u" },
    { "resource.k8s.io", "DeviceClass", "FU", "" },
    { "resource.k8s.io", "ResourceClaim", "FU", "U" },
    { "resource.k8s.io", "ResourceClaimTemplate", "FU", "" },
};

const char *metadata_ways(const struct schema_kind *k, bool status)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].group, k->group) == 0 && (!rows[i].kind[0] || strcmp(rows[i].kind, k->kind) == 0))
            return status ? rows[i].status : rows[i].update;
    return k->flags & K_CUSTOM ? "u" : "U";
}
