"""Objects in many states, in a namespace of their own: what tables say of each."""
import json

MERGE = {"Content-Type": "application/merge-patch+json"}
JSON = {"Content-Type": "application/json"}
T0, T1 = "2026-01-02T03:04:05Z", "2026-01-02T03:05:09Z"
C = [{"name": "a", "image": "img:1"}, {"name": "b", "image": "img:2"}]


def waiting(reason):
    return {"waiting": {"reason": reason}}


def ended(code, reason="", signal=0):
    return {"terminated": {"exitCode": code, "reason": reason, "signal": signal, "startedAt": T0, "finishedAt": T1}}


RUN = {"running": {"startedAt": T0}}


def cs(name, state, ready=False, restarts=0, last=None, **more):
    return {"name": name, "image": "i", "imageID": "", "ready": ready, "restartCount": restarts, "state": state, **({"lastState": last} if last else {}), **more}


def pods():
    ready, unready = [{"type": "Ready", "status": "True"}], [{"type": "Ready", "status": "False"}]
    yield "pending", {}, {"phase": "Pending"}
    yield "scheduled", {}, {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]}
    yield "gated", {"schedulingGates": [{"name": "g.example.com/x"}]}, {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}
    yield "creating", {}, {"phase": "Pending", "containerStatuses": [cs("a", waiting("ContainerCreating")), cs("b", waiting("ContainerCreating"))]}
    yield "running", {}, {"phase": "Running", "conditions": ready, "podIP": "10.1.1.1", "podIPs": [{"ip": "10.1.1.1"}, {"ip": "fd00::1"}], "containerStatuses": [cs("a", RUN, True), cs("b", RUN, True)]}
    yield "half", {}, {"phase": "Running", "conditions": unready, "containerStatuses": [cs("a", RUN, True, 3, ended(1, "Error")), cs("b", waiting("CrashLoopBackOff"), False, 7, ended(137, "OOMKilled"))]}
    yield "imagepull", {}, {"phase": "Pending", "containerStatuses": [cs("a", waiting("ErrImagePull")), cs("b", waiting("ImagePullBackOff"))]}
    yield "completed", {}, {"phase": "Succeeded", "containerStatuses": [cs("a", ended(0, "Completed")), cs("b", ended(0, "Completed"))]}
    yield "nocause", {}, {"phase": "Failed", "containerStatuses": [cs("a", ended(3)), cs("b", ended(0, "", 9))]}
    yield "failed", {}, {"phase": "Failed", "reason": "Evicted", "message": "no"}
    yield "nodelost", {}, {"phase": "Running", "reason": "NodeLost", "containerStatuses": [cs("a", RUN, True), cs("b", RUN, True)]}
    yield "unknown", {}, {"phase": "Unknown"}
    yield "donerunning", {}, {"phase": "Running", "conditions": ready, "containerStatuses": [cs("a", ended(0, "Completed")), cs("b", RUN, True)]}
    yield "doneunready", {}, {"phase": "Running", "conditions": unready, "containerStatuses": [cs("a", ended(0, "Completed")), cs("b", RUN, True)]}
    init = [{"name": "i1", "image": "i"}, {"name": "i2", "image": "i"}]
    yield "init0", {"initContainers": init}, {"phase": "Pending", "initContainerStatuses": [cs("i1", RUN), cs("i2", waiting("PodInitializing"))]}
    yield "init1", {"initContainers": init}, {"phase": "Pending", "initContainerStatuses": [cs("i1", ended(0, "Completed"), True), cs("i2", waiting("CrashLoopBackOff"), False, 4, ended(1, "Error"))]}
    yield "initfail", {"initContainers": init}, {"phase": "Failed", "initContainerStatuses": [cs("i1", ended(2, "Error")), cs("i2", waiting("PodInitializing"))]}
    yield "initsig", {"initContainers": init}, {"phase": "Pending", "initContainerStatuses": [cs("i1", ended(0, "", 11)), cs("i2", waiting("PodInitializing"))]}
    yield "initcode", {"initContainers": init}, {"phase": "Pending", "initContainerStatuses": [cs("i1", ended(5, "")), cs("i2", waiting("PodInitializing"))]}
    side = [{"name": "s1", "image": "i", "restartPolicy": "Always"}, {"name": "i2", "image": "i"}]
    yield "sidecar", {"initContainers": side}, {"phase": "Running", "conditions": ready, "initContainerStatuses": [cs("s1", RUN, True, 2, ended(1, "Error"), started=True), cs("i2", ended(0, "Completed"), True)],
                                               "containerStatuses": [cs("a", RUN, True), cs("b", RUN, True)]}
    yield "sidestart", {"initContainers": side}, {"phase": "Pending", "initContainerStatuses": [cs("s1", RUN, False, started=False), cs("i2", waiting("PodInitializing"))]}
    yield "sidestop", {"initContainers": side}, {"phase": "Running", "initContainerStatuses": [cs("s1", ended(0, "Completed"), False, started=False), cs("i2", ended(0, "Completed"), True)], "containerStatuses": [cs("a", ended(0, "Completed")), cs("b", ended(0, "Completed"))]}
    gates = {"readinessGates": [{"conditionType": "x.example.com/a"}, {"conditionType": "x.example.com/b"}]}
    yield "gates", gates, {"phase": "Running", "conditions": ready + [{"type": "x.example.com/a", "status": "True"}], "containerStatuses": [cs("a", RUN, True), cs("b", RUN, True)]}
    yield "nominated", {}, {"phase": "Pending", "nominatedNodeName": "one"}
    yield "bound", {"nodeName": "state-ready"}, {"phase": "Running", "containerStatuses": [cs("a", RUN, True), cs("b", RUN, True)]}
    yield "manyrestarts", {}, {"phase": "Running", "conditions": ready, "containerStatuses": [cs("a", RUN, True, 3, ended(1)), cs("b", RUN, True, 12)]}


def nodes():
    info = {"kubeletVersion": "v1.36.0", "osImage": "Debian", "kernelVersion": "6.1", "containerRuntimeVersion": "crun://1", "machineID": "", "systemUUID": "", "bootID": "", "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": "amd64"}
    yield "ready", {"labels": {"node-role.kubernetes.io/control-plane": "", "node-role.kubernetes.io/worker": "x", "kubernetes.io/role": "old"}}, {}, {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": info, "addresses": [{"type": "Hostname", "address": "h"}, {"type": "InternalIP", "address": "10.0.0.1"}, {"type": "InternalIP", "address": "fd00::2"}, {"type": "ExternalIP", "address": "1.2.3.4"}]}
    yield "notready", {}, {"unschedulable": True}, {"conditions": [{"type": "MemoryPressure", "status": "True"}, {"type": "Ready", "status": "False"}], "nodeInfo": info}
    yield "unknown", {"labels": {"kubernetes.io/role": ""}}, {"taints": [{"key": "a", "effect": "NoSchedule"}], "podCIDR": "10.9.0.0/24", "podCIDRs": ["10.9.0.0/24"], "providerID": "x://y"}, {"conditions": [{"type": "Ready", "status": "Unknown"}]}
    yield "bare", {}, {}, {}


def services():
    port = [{"name": "a", "port": 80}, {"name": "b", "port": 53, "protocol": "UDP"}]
    yield "cluster", {"ports": port, "selector": {"a": "b", "c": "d"}}, {}
    yield "headless", {"clusterIP": "None", "ports": port}, {}
    yield "nodeport", {"type": "NodePort", "ports": [{"port": 80, "nodePort": 31876}]}, {}
    yield "lbpending", {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 31877}]}, {}
    yield "lb", {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 31878}], "externalIPs": ["5.5.5.5"]}, {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "h.example.com"}, {"ip": "1.2.3.5"}]}}
    yield "external", {"type": "ExternalName", "externalName": "x.example.com"}, {}
    yield "externalips", {"ports": port, "externalIPs": ["5.5.5.5", "6.6.6.6"]}, {}


def jobs():
    pod = {"spec": {"restartPolicy": "Never", "containers": C}}
    yield "plain", {"template": pod}, {}
    yield "parallel", {"template": pod, "parallelism": 4}, {"active": 3, "ready": 1, "startTime": T0}
    yield "some", {"template": pod, "completions": 5, "parallelism": 2}, {"succeeded": 2, "failed": 1, "active": 2, "startTime": T0}
    yield "none", {"template": pod, "completions": None, "parallelism": 1}, {"active": 1}
    yield "suspended", {"template": pod, "suspend": True}, {"conditions": [{"type": "Suspended", "status": "True", "lastTransitionTime": T0}]}
    yield "done", {"template": pod}, {"succeeded": 1, "startTime": T0, "completionTime": T1, "conditions": [{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True", "lastTransitionTime": T1}]}
    yield "failed", {"template": pod, "backoffLimit": 0}, {"failed": 1, "startTime": T0, "conditions": [{"type": "FailureTarget", "status": "True"}, {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": T1}]}


def cronjobs():
    template = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": C}}}}
    yield "plain", {"schedule": "* * * * *", "jobTemplate": template}, {}
    yield "suspended", {"schedule": "@daily", "timeZone": "Europe/Berlin", "suspend": True, "jobTemplate": template}, {"lastScheduleTime": T0}
    yield "active", {"schedule": "0 0 1 1 *", "jobTemplate": template}, {"active": [{"kind": "Job", "name": "x"}, {"kind": "Job", "name": "y"}], "lastScheduleTime": T0, "lastSuccessfulTime": T1}


def autoscalers():
    ref = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
    res = lambda n, **t: {"type": "Resource", "resource": {"name": n, "target": t}}
    yield "none", {"maxReplicas": 3, "scaleTargetRef": ref}, {}
    yield "cpu", {"maxReplicas": 3, "minReplicas": 2, "scaleTargetRef": ref, "metrics": [res("cpu", type="Utilization", averageUtilization=50)]}, {"currentReplicas": 2, "desiredReplicas": 3, "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 40, "averageValue": "100m"}}}]}
    yield "memory", {"maxReplicas": 3, "scaleTargetRef": ref, "metrics": [res("memory", type="AverageValue", averageValue="100Mi")]}, {"desiredReplicas": 1, "currentMetrics": [{"type": "Resource", "resource": {"name": "memory", "current": {"averageValue": "50Mi"}}}]}
    many = [{"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "10"}}}, {"type": "Object", "object": {"metric": {"name": "m"}, "describedObject": {"kind": "Ingress", "name": "i"}, "target": {"type": "Value", "value": "2k"}}},
            {"type": "External", "external": {"metric": {"name": "q"}, "target": {"type": "AverageValue", "averageValue": "30"}}}, {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c", "target": {"type": "Utilization", "averageUtilization": 60}}}]
    status = [{"type": "Pods", "pods": {"metric": {"name": "m"}, "current": {"averageValue": "7"}}}, {"type": "Object", "object": {"metric": {"name": "m"}, "describedObject": {"kind": "Ingress", "name": "i"}, "current": {"value": "1500"}}},
              {"type": "External", "external": {"metric": {"name": "q"}, "current": {"averageValue": "22", "value": "44"}}}, {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c", "current": {"averageUtilization": 55, "averageValue": "1"}}}]
    for i in range(4):
        yield f"metric{i}", {"maxReplicas": 9, "scaleTargetRef": ref, "metrics": many[i:i + 1]}, {"desiredReplicas": 1, "currentMetrics": status[i:i + 1]}
        yield f"unknown{i}", {"maxReplicas": 9, "scaleTargetRef": ref, "metrics": many[i:i + 1]}, {}
        yield f"rest{i}", {"maxReplicas": 9, "scaleTargetRef": ref, "metrics": many[i:] + many[:i]}, {"desiredReplicas": 1, "currentMetrics": status[i:] + status[:i]}
    yield "averageobject", {"maxReplicas": 9, "scaleTargetRef": ref, "metrics": [{"type": "Object", "object": {"metric": {"name": "m"}, "describedObject": {"kind": "Ingress", "name": "i"}, "target": {"type": "AverageValue", "averageValue": "2k"}}}]}, \
        {"desiredReplicas": 1, "currentMetrics": [{"type": "Object", "object": {"metric": {"name": "m"}, "describedObject": {"kind": "Ingress", "name": "i"}, "current": {"averageValue": "1500"}}}]}


def claims():
    req = {"resources": {"requests": {"storage": "1Gi"}}}
    yield "pending", {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast", **req}, {"phase": "Pending"}
    yield "bound", {"accessModes": ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"][:3], "volumeName": "v", "storageClassName": "", **req}, {"phase": "Bound", "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteMany", "ReadOnlyMany", "ReadWriteOnce"]}
    yield "lost", {"accessModes": ["ReadWriteOncePod"], "volumeMode": "Block", "volumeAttributesClassName": "gold", **req}, {"phase": "Lost"}


def volumes():
    base = {"capacity": {"storage": "5Gi"}, "hostPath": {"path": "/x"}}
    yield "available", {"accessModes": ["ReadWriteOnce"], **base}, {"phase": "Available"}
    yield "bound", {"accessModes": ["ReadWriteMany", "ReadOnlyMany"], "persistentVolumeReclaimPolicy": "Delete", "storageClassName": "fast", "claimRef": {"namespace": "states", "name": "bound"}, **base}, {"phase": "Bound"}
    yield "failed", {"accessModes": ["ReadWriteOncePod"], "volumeMode": "Block", "persistentVolumeReclaimPolicy": "Recycle", **base}, {"phase": "Failed", "reason": "because", "message": "m"}


def slices():
    for name, kind, ends, ports in (("four", "IPv4", [["10.0.0.1"], ["10.0.0.2"], ["10.0.0.3"], ["10.0.0.4"]], [{"name": "a", "port": 80}, {"port": 443, "name": "b"}]), ("none", "IPv6", [], []), ("one", "FQDN", [["x.example.com"]], [{"name": "a"}]),
                                    ("many", "IPv4", [["10.0.0.1"]], [{"name": f"p{i}", "port": 80 + i} for i in range(5)])):
        yield name, {"addressType": kind, "endpoints": [{"addresses": a} for a in ends], "ports": ports}


def requests(csr):
    for name, status in (("pending", {}), ("approved", {"conditions": [{"type": "Approved", "status": "True", "reason": "r"}]}), ("denied", {"conditions": [{"type": "Denied", "status": "True", "reason": "r"}]}),
                         ("issued", {"conditions": [{"type": "Approved", "status": "True", "reason": "r"}], "certificate": None}), ("failed", {"conditions": [{"type": "Approved", "status": "True", "reason": "r"}, {"type": "Failed", "status": "True", "reason": "r"}]})):
        yield name, {**csr, "expirationSeconds": 3600} if name != "denied" else csr, status


def events():
    base = {"involvedObject": {"kind": "Pod", "name": "p", "namespace": "states", "apiVersion": "v1"}, "reason": "R", "message": "text\nof two lines", "type": "Normal"}
    yield "old", {**base, "source": {"component": "kubelet", "host": "n"}, "firstTimestamp": T0, "lastTimestamp": T1, "count": 7}
    yield "once", {**base, "source": {"component": "kubelet"}, "firstTimestamp": T0, "lastTimestamp": T0, "count": 1, "type": "Warning"}
    yield "new", {**base, "eventTime": "2026-01-02T03:04:05.000001Z", "reportingComponent": "c.example.com/x", "reportingInstance": "i", "action": "A"}
    yield "series", {**base, "eventTime": "2026-01-02T03:04:05.000001Z", "reportingComponent": "c", "reportingInstance": "i", "action": "A", "series": {"count": 3, "lastObservedTime": "2026-01-02T03:05:05.000001Z"}}
    yield "bare", {"involvedObject": {"kind": "Node", "name": "n", "namespace": "states", "fieldPath": "spec.containers{a}"}}


def workloads():
    sel = {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": C}}}
    for name, spec, status in (("none", {"replicas": 0}, {}), ("some", {"replicas": 5}, {"replicas": 4, "readyReplicas": 2, "availableReplicas": 1, "updatedReplicas": 3, "currentReplicas": 2, "fullyLabeledReplicas": 4}), ("default", {}, {"replicas": 1})):
        yield "/apis/apps/v1", "deployments", "Deployment", name, {**sel, **spec}, {k: v for k, v in status.items() if k not in ("currentReplicas", "fullyLabeledReplicas")}
        yield "/apis/apps/v1", "replicasets", "ReplicaSet", name, {**sel, **spec}, {k: v for k, v in status.items() if k not in ("currentReplicas", "updatedReplicas")}
        yield "/apis/apps/v1", "statefulsets", "StatefulSet", name, {**sel, **spec, "serviceName": "s"}, {k: v for k, v in status.items() if k != "fullyLabeledReplicas"}
        yield "/api/v1", "replicationcontrollers", "ReplicationController", name, {"selector": {"a": "b"}, "template": sel["template"], **spec}, {k: v for k, v in status.items() if k not in ("currentReplicas", "updatedReplicas")}
    yield "/apis/apps/v1", "daemonsets", "DaemonSet", "some", {"selector": sel["selector"], "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": C, "nodeSelector": {"x": "y", "z": ""}}}}, \
        {"currentNumberScheduled": 3, "desiredNumberScheduled": 4, "numberReady": 2, "numberMisscheduled": 1, "updatedNumberScheduled": 2, "numberAvailable": 1, "observedGeneration": 1}
    yield "/apis/policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", "min", {"minAvailable": "50%", "selector": sel["selector"]}, {"disruptionsAllowed": 2, "currentHealthy": 3, "desiredHealthy": 1, "expectedPods": 4}
    yield "/apis/policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", "max", {"maxUnavailable": 0, "selector": sel["selector"]}, {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
    for name, spec, status in (("rules", {"ingressClassName": "c", "rules": [{"host": h} for h in ("a.example.com", "b.example.com", "c.example.com", "d.example.com")], "tls": [{"hosts": ["a.example.com"]}]}, {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "h"}]}}),
                               ("backend", {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}, {})):
        yield "/apis/networking.k8s.io/v1", "ingresses", "Ingress", name, spec, status
    yield "/apis/networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", "all", {"podSelector": {}}, {}
    yield "/apis/networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", "some", {"podSelector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "k", "operator": "In", "values": ["x", "y"]}, {"key": "e", "operator": "Exists"}, {"key": "n", "operator": "NotIn", "values": ["z"]}, {"key": "d", "operator": "DoesNotExist"}]}}, {}
    yield "/api/v1", "resourcequotas", "ResourceQuota", "some", {"hard": {"pods": "10", "requests.cpu": "1", "limits.cpu": "2", "limits.memory": "1Gi"}}, {"hard": {"pods": "10", "requests.cpu": "1", "limits.cpu": "2", "limits.memory": "1Gi"}, "used": {"pods": "1", "requests.cpu": "500m", "limits.cpu": "0"}}
    yield "/apis/coordination.k8s.io/v1", "leases", "Lease", "held", {"holderIdentity": "me", "leaseDurationSeconds": 5}, {}
    yield "/apis/coordination.k8s.io/v1", "leases", "Lease", "free", {}, {}


PATHS = [f"/{p}" for p in ("api/v1/namespaces/states/pods", "api/v1/nodes", "api/v1/namespaces/states/services", "apis/batch/v1/namespaces/states/jobs", "apis/batch/v1/namespaces/states/cronjobs", "apis/autoscaling/v2/namespaces/states/horizontalpodautoscalers",
                           "apis/autoscaling/v1/namespaces/states/horizontalpodautoscalers", "api/v1/namespaces/states/persistentvolumeclaims", "api/v1/persistentvolumes", "apis/discovery.k8s.io/v1/namespaces/states/endpointslices",
                           "apis/certificates.k8s.io/v1/certificatesigningrequests", "api/v1/namespaces/states/events", "apis/events.k8s.io/v1/namespaces/states/events", "apis/apps/v1/namespaces/states/deployments", "apis/apps/v1/namespaces/states/replicasets",
                           "apis/apps/v1/namespaces/states/statefulsets", "apis/apps/v1/namespaces/states/daemonsets", "api/v1/namespaces/states/replicationcontrollers", "apis/policy/v1/namespaces/states/poddisruptionbudgets",
                           "apis/networking.k8s.io/v1/namespaces/states/ingresses", "apis/networking.k8s.io/v1/namespaces/states/networkpolicies", "api/v1/namespaces/states/resourcequotas", "apis/coordination.k8s.io/v1/namespaces/states/leases",
                           "api/v1/namespaces/states/configmaps", "api/v1/namespaces/states/secrets", "api/v1/namespaces/states/serviceaccounts")]


def fill(both, csr):
    """both(method, path, body, headers) asks both servers. csr: the spec of a valid CertificateSigningRequest."""
    def put(base, plural, kind, name, spec, status=None, ns="states", meta=None, sub="status"):
        path = f"{base}/namespaces/{ns}/{plural}" if ns else f"{base}/{plural}"
        body = {"kind": kind, "apiVersion": base.split("/", 2)[2], "metadata": {"name": name, **(meta or {})}, **spec}
        both("POST", path, body, JSON)
        if status:
            both("PATCH", f"{path}/{name}/{sub}", {"status": status}, MERGE)
    both("POST", "/api/v1/namespaces", {"metadata": {"name": "states"}}, JSON)
    both("POST", "/api/v1/namespaces/states/serviceaccounts", {"metadata": {"name": "default"}}, JSON)
    for name, meta, spec, status in nodes():
        put("/api/v1", "nodes", "Node", "state-" + name, {"spec": spec}, status, None, meta)
    for name, spec, status in pods():
        put("/api/v1", "pods", "Pod", name, {"spec": {"containers": C, **spec}}, status)
    both("DELETE", "/api/v1/namespaces/states/pods/bound", None, JSON)  # of a node: ends gracefully
    for name, spec, status in services():
        put("/api/v1", "services", "Service", name, {"spec": spec}, status)
    for plural, kind, base, all in (("jobs", "Job", "/apis/batch/v1", jobs), ("cronjobs", "CronJob", "/apis/batch/v1", cronjobs), ("horizontalpodautoscalers", "HorizontalPodAutoscaler", "/apis/autoscaling/v2", autoscalers),
                                    ("persistentvolumeclaims", "PersistentVolumeClaim", "/api/v1", claims)):
        for name, spec, status in all():
            put(base, plural, kind, name, {"spec": spec}, status)
    for name, spec, status in volumes():
        put("/api/v1", "persistentvolumes", "PersistentVolume", "state-" + name, {"spec": spec}, status, None)
    for name, spec in slices():
        put("/apis/discovery.k8s.io/v1", "endpointslices", "EndpointSlice", name, spec)
    for name, spec, status in requests(csr):
        put("/apis/certificates.k8s.io/v1", "certificatesigningrequests", "CertificateSigningRequest", "state-" + name, {"spec": spec}, {k: v for k, v in status.items() if v}, None, None, "approval")
    for name, spec in events():
        put("/api/v1", "events", "Event", name, spec)
    for base, plural, kind, name, spec, status in workloads():
        put(base, plural, kind, name, {"spec": spec}, status)
    both("POST", "/api/v1/namespaces/states/secrets", {"metadata": {"name": "s"}, "type": "example.com/x", "data": {"a": "", "b": "eA=="}}, JSON)
    both("POST", "/api/v1/namespaces/states/configmaps", {"metadata": {"name": "c"}, "data": {"a": ""}, "binaryData": {"b": "eA=="}}, JSON)
