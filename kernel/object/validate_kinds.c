/* validate_kinds.c - which rules a kind has. */
#include "object/validate.h"

static const struct {
    const char *group, *kind;
    KIND_RULES((*check));
} rows[] = {
    { "", "Pod", kind_pod },
    { "", "PodTemplate", kind_pod_template },
    { "", "Service", kind_service },
    { "", "Endpoints", kind_endpoints },
    { "", "ConfigMap", kind_config_map },
    { "", "Secret", kind_secret },
    { "", "Namespace", kind_namespace },
    { "", "Node", kind_node },
    { "", "ServiceAccount", kind_service_account },
    { "", "Event", kind_event },
    { "events.k8s.io", "Event", kind_dated_event },
    { "", "ResourceQuota", kind_quota },
    { "", "LimitRange", kind_limit_range },
    { "", "PersistentVolume", kind_volume },
    { "", "PersistentVolumeClaim", kind_claim },
    { "", "ReplicationController", kind_replication_controller },
    { "apps", "Deployment", kind_deployment },
    { "apps", "ReplicaSet", kind_replica_set },
    { "apps", "StatefulSet", kind_stateful_set },
    { "apps", "DaemonSet", kind_daemon_set },
    { "apps", "ControllerRevision", kind_controller_revision },
    { "batch", "Job", kind_job },
    { "batch", "CronJob", kind_cron_job },
    { "networking.k8s.io", "Ingress", kind_ingress },
    { "networking.k8s.io", "IngressClass", kind_ingress_class },
    { "networking.k8s.io", "NetworkPolicy", kind_network_policy },
    { "networking.k8s.io", "IPAddress", kind_ip_address },
    { "apiregistration.k8s.io", "APIService", kind_api_service },
    { "networking.k8s.io", "ServiceCIDR", kind_service_cidr },
    { "discovery.k8s.io", "EndpointSlice", kind_endpoint_slice },
    { "policy", "PodDisruptionBudget", kind_budget },
    { "autoscaling", "HorizontalPodAutoscaler", kind_autoscaler },
    { "rbac.authorization.k8s.io", "Role", kind_role },
    { "rbac.authorization.k8s.io", "RoleBinding", kind_role_binding },
    { "rbac.authorization.k8s.io", "ClusterRole", kind_cluster_role },
    { "rbac.authorization.k8s.io", "ClusterRoleBinding", kind_cluster_role_binding },
    { "scheduling.k8s.io", "PriorityClass", kind_priority_class },
    { "storage.k8s.io", "StorageClass", kind_storage_class },
    { "admissionregistration.k8s.io", "ValidatingAdmissionPolicy", kind_validating_policy },
    { "admissionregistration.k8s.io", "MutatingAdmissionPolicy", kind_mutating_policy },
    { "admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding", kind_validating_binding },
    { "admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding", kind_mutating_binding },
    { "certificates.k8s.io", "CertificateSigningRequest", kind_signing_request },
    { "storage.k8s.io", "CSIDriver", kind_csi_driver },
    { "storage.k8s.io", "CSINode", kind_csi_node },
    { "storage.k8s.io", "CSIStorageCapacity", kind_csi_capacity },
    { "storage.k8s.io", "VolumeAttachment", kind_attachment },
    { "storage.k8s.io", "VolumeAttributesClass", kind_attributes_class },
    { "node.k8s.io", "RuntimeClass", kind_runtime_class },
    { "resource.k8s.io", "DeviceClass", kind_device_class },
    { "resource.k8s.io", "ResourceClaim", kind_device_claim },
    { "resource.k8s.io", "ResourceClaimTemplate", kind_device_claim_template },
    { "resource.k8s.io", "ResourceSlice", kind_device_slice },
    { "coordination.k8s.io", "Lease", kind_lease },
    { "flowcontrol.apiserver.k8s.io", "FlowSchema", kind_flow_schema },
    { "flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", kind_priority_level },
    { "apiextensions.k8s.io", "CustomResourceDefinition", kind_definition },
    { "admissionregistration.k8s.io", "MutatingWebhookConfiguration", kind_webhooks },
    { "admissionregistration.k8s.io", "ValidatingWebhookConfiguration", kind_webhooks },
};

static const struct {
    const char *group, *kind, *subresource;
    KIND_RULES((*check));
} parts[] = {
    { "", "Pod", "ephemeralcontainers", part_ephemeral },
    { "", "Pod", "resize", part_resize },
};

bool validate_part(const struct schema_kind *k, const char *subresource, const struct val *v, const struct val *old, causes c)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(parts[i].subresource, subresource) == 0 && strcmp(parts[i].kind, k->kind) == 0 && strcmp(parts[i].group, k->group) == 0) {
            check_pod(c, v);
            parts[i].check(c, v, old);
            return true;
        }
    return false;
}

bool validate_kind(const struct schema_kind *k, const struct val *v, const struct val *old, causes c)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].kind, k->kind) == 0 && strcmp(rows[i].group, k->group) == 0) {
            rows[i].check(c, v, old);
            return true;
        }
    return false;
}
