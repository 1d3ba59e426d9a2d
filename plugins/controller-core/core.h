/* core.h - what the files of controller-core share. */
#ifndef CORE_H
#define CORE_H

#include "ctl.h"
#include "meta.h"
#include "pods.h"

/* C name, provider's name */
#define CORE_FIRST(X) X(endpointslice, "endpointslice")
#define CORE_MORE(X) \
    X(endpoints, "endpoints") X(endpointslicemirroring, "endpointslicemirroring") \
    X(namespace, "namespace") X(garbage_collector, "garbage-collector") X(serviceaccount, "service-account") X(root_ca, "root-ca-cert-publisher") \
    X(event_ttl, "event-ttl") X(node_lifecycle, "node-lifecycle") X(taint_eviction, "taint-eviction") X(node_ipam, "node-ipam") X(node_ttl, "ttl") X(pod_gc, "pod-gc") X(apiserver, "kubernetes-service") \
    X(service_cidr, "service-cidr") X(service_ip, "service-ip-repair") X(identity, "apiserver-identity") \
    X(claim_protection, "persistentvolumeclaim-protection") X(volume_protection, "persistentvolume-protection") X(vac_protection, "volumeattributesclass-protection") \
    X(resourceclaim, "resourceclaim") X(device_taints, "device-taint-eviction")
#define CORE_CONTROLLERS(X) CORE_FIRST(X) CORE_MORE(X)

struct core_conf {
    const char *ca, *cluster_cidr, *api_address, *api_port;
    int64_t event_ttl, node_grace;      /* ns */
    int64_t node_mask, terminated_pods;
};

#define DECLARE(ID, NAME) extern const struct kl_controller ID##_controller;
CORE_CONTROLLERS(DECLARE)

#define PODS       "/pods"
#define SERVICES   "/services"
#define ENDPOINTS  "/endpoints"
#define SLICES     "discovery.k8s.io/endpointslices"
#define NAMESPACES "/namespaces"
#define NODES      "/nodes"

#endif
