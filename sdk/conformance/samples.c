/* samples.c - a small cluster: the objects that a host under test holds. */
#include "host.h"

#define META(name, ns, uid) "\"metadata\":{\"name\":\"" name "\",\"namespace\":\"" ns "\",\"uid\":\"" uid "\",\"creationTimestamp\":\"2026-01-01T00:00:00Z\""
#define CLUSTER(name, uid) "\"metadata\":{\"name\":\"" name "\",\"uid\":\"" uid "\",\"creationTimestamp\":\"2026-01-01T00:00:00Z\""
#define POD_SPEC "{\"containers\":[{\"name\":\"c\",\"image\":\"busybox\",\"resources\":{\"requests\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"}}}]," \
                 "\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":30,\"dnsPolicy\":\"ClusterFirst\",\"schedulerName\":\"default-scheduler\"}"
#define TEMPLATE "\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\"template\":{\"metadata\":{\"labels\":{\"app\":\"web\"}},\"spec\":" POD_SPEC "}"

const struct sample_object sample_objects[] = {
    { "/namespaces", "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\"," CLUSTER("default", "n-1") "},\"spec\":{\"finalizers\":[\"kubernetes\"]},\"status\":{\"phase\":\"Active\"}}" },
    { "/namespaces", "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\"," CLUSTER("kube-system", "n-2") "},\"spec\":{\"finalizers\":[\"kubernetes\"]},\"status\":{\"phase\":\"Active\"}}" },
    { "/nodes", "{\"apiVersion\":\"v1\",\"kind\":\"Node\"," CLUSTER("n1", "no-1") "},\"spec\":{},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],"
                "\"allocatable\":{\"cpu\":\"4\",\"memory\":\"8Gi\",\"pods\":\"110\"},\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"192.0.2.1\"}]}}" },
    { "apps/deployments", "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\"," META("web", "default", "d-1") ",\"generation\":1},\"spec\":{\"replicas\":1," TEMPLATE
                          ",\"strategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxUnavailable\":\"25%\",\"maxSurge\":\"25%\"}},\"revisionHistoryLimit\":10,\"progressDeadlineSeconds\":600},\"status\":{}}" },
    { "apps/replicasets", "{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\"," META("web-1", "default", "rs-1")
                          ",\"generation\":1,\"labels\":{\"app\":\"web\"}},\"spec\":{\"replicas\":1," TEMPLATE "},\"status\":{\"replicas\":0}}" },
    { "/pods", "{\"apiVersion\":\"v1\",\"kind\":\"Pod\"," META("web", "default", "p-1")
               ",\"labels\":{\"app\":\"web\"},\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":\"web-1\",\"uid\":\"rs-1\",\"controller\":true}]},"
               "\"spec\":" POD_SPEC ",\"status\":{\"phase\":\"Pending\",\"qosClass\":\"Burstable\"}}" },
    { "/services", "{\"apiVersion\":\"v1\",\"kind\":\"Service\"," META("web", "default", "s-1")
                   "},\"spec\":{\"clusterIP\":\"10.96.0.10\",\"clusterIPs\":[\"10.96.0.10\"],\"type\":\"ClusterIP\",\"selector\":{\"app\":\"web\"},"
                   "\"ipFamilies\":[\"IPv4\"],\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":80,\"targetPort\":8080}]},\"status\":{\"loadBalancer\":{}}}" },
    { "discovery.k8s.io/endpointslices", "{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\"," META("web-x", "default", "es-1")
                                         ",\"labels\":{\"kubernetes.io/service-name\":\"web\"}},\"addressType\":\"IPv4\",\"endpoints\":[],\"ports\":[]}" },
    { "/configmaps", "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\"," META("web", "default", "c-1") "},\"data\":{\"a\":\"b\"}}" },
    { "/secrets", "{\"apiVersion\":\"v1\",\"kind\":\"Secret\"," META("web", "default", "se-1") "},\"type\":\"Opaque\",\"data\":{\"a\":\"Yg==\"}}" },
    { "/serviceaccounts", "{\"apiVersion\":\"v1\",\"kind\":\"ServiceAccount\"," META("default", "default", "sa-1") "}}" },
    { "batch/jobs", "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\"," META("web", "default", "j-1")
                    ",\"generation\":1},\"spec\":{\"parallelism\":1,\"completions\":1,\"backoffLimit\":6,\"completionMode\":\"NonIndexed\",\"suspend\":false,"
                    "\"selector\":{\"matchLabels\":{\"job\":\"web\"}},\"template\":{\"metadata\":{\"labels\":{\"job\":\"web\"}},\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"c\",\"image\":\"busybox\"}]}}},\"status\":{}}" },
    { "/persistentvolumeclaims", "{\"apiVersion\":\"v1\",\"kind\":\"PersistentVolumeClaim\"," META("web", "default", "pvc-1")
                                 "},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}},\"status\":{\"phase\":\"Pending\"}}" },
    { NULL, NULL },
};
