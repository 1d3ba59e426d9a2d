#!/bin/sh
# What nodes and pods use: the kubelet's pages through nodes/NAME/proxy, metrics.k8s.io, `kubectl top`, an autoscaler that scales real pods by CPU, and an
# APIService of somebody else that takes the group over and gives it back. usage: top.sh BUILD_DIR. Skips (exit 0, with a reason) where pods cannot run.
set -u
build=$(cd "$1" && pwd)
self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
. "$(dirname "$self")/lib/node.sh"
root=$(cd "$(dirname "$self")/../.." && pwd)
sed 's|{ plugin = "controller-autoscaling"; }|{ plugin = "controller-autoscaling"; settings = { period = "2s"; cpu_start = "0s"; }; }|' \
    "$root/conf/keelson.cfg" >"$dir/keelson.cfg"
grep -q 'period = "2s"' "$dir/keelson.cfg" || fail "the configuration has no autoscaler"
start
has "it is there" "NodeMetrics" "$(k api-resources --api-group=metrics.k8s.io)"

cat >"$dir/all.yaml" <<END
apiVersion: v1
kind: Pod
metadata: {name: busy, labels: {app: busy}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: burn, image: $image, command: [sh, -c, "while :; do :; done"], resources: {limits: {cpu: 200m}}}
  - {name: idle, image: $image, command: [sleep, "1000"]}
---
apiVersion: v1
kind: Pod
metadata: {name: large, labels: {app: large}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: hold, image: $image, command: [sh, -c, "dd if=/dev/zero of=/held/x bs=1M count=48; sleep 1000"], volumeMounts: [{name: held, mountPath: /held}]}]
  volumes: [{name: held, emptyDir: {medium: Memory}}]
END
k apply -f "$dir/all.yaml" >/dev/null
k wait --for=condition=Ready pod/busy pod/large --timeout=60s >/dev/null

# --- kubectl top ---
milli() { k top pod "$@" --no-headers 2>/dev/null | awk '{ sub("m", "", $(NF - 1)); print $(NF - 1) }' | head -1; }
mebi() { k top pod "$@" --no-headers 2>/dev/null | awk '{ sub("Mi", "", $NF); print $NF }' | head -1; }
between() { [ "${3:-x}" -ge "$1" ] 2>/dev/null && [ "$3" -le "$2" ]; }
busy_burns() { between 100 260 "$(milli busy)"; }
large_holds() { between 40 80 "$(mebi large)"; }
eventually "a pod that burns 200m shows it" 60 busy_burns
eventually "a pod that holds 48Mi shows it" 60 large_holds
out=$(k top pod busy --containers --no-headers)
has "each container" "busy   burn" "$out"
has "the idle one too" "busy   idle" "$out"
has "by label" "large" "$(k top pods -l app=large)"
case "$(k top pods -l app=large)" in *busy*) fail "and no other" ;; esac
has "in all namespaces" "default" "$(k top pods -A)"
case "$(k top pods --sort-by=cpu --no-headers | head -1)" in busy*) ok "sorted" ;; *) fail "sorted" "$(k top pods --sort-by=cpu)" ;; esac
out=$(k top nodes)
has "the node" "$node" "$out"
case "$out" in *unknown*) fail "the node's figures" "$out" ;; esac
has "a table" "WINDOW" "$(k get pods.metrics.k8s.io)"
has "one object" '"kind":"PodMetrics"' "$(k get --raw /apis/metrics.k8s.io/v1beta1/namespaces/default/pods/busy)"
has "one that is none" 'podmetrics.metrics.k8s.io "default/none" not found' "$(k get --raw /apis/metrics.k8s.io/v1beta1/namespaces/default/pods/none)"
has "protobuf" "k8s" "$(c -H 'Accept: application/vnd.kubernetes.protobuf' "https://127.0.0.1:6443/apis/metrics.k8s.io/v1beta1/nodes" | head -c 3)"
is "nothing is written" 405 "$(c -o /dev/null -w '%{http_code}' -X DELETE "https://127.0.0.1:6443/apis/metrics.k8s.io/v1beta1/nodes/$node")"
is "nor watched" 405 "$(c -o /dev/null -w '%{http_code}' "https://127.0.0.1:6443/apis/metrics.k8s.io/v1beta1/nodes?watch=1")"
has "who may view may look" yes "$(k auth can-i list pods.metrics.k8s.io --as=u --as-group=g -n default; k create rolebinding v --clusterrole=view --user=u >/dev/null; k auth can-i list pods.metrics.k8s.io --as=u -n default)"

# --- the kubelet's pages ---
page() { k get --raw "/api/v1/nodes/$node/proxy/$1"; }
is "healthz" ok "$(page healthz)"
has "its pods" '"name":"busy"' "$(page pods)"
has "the summary" '"usageNanoCores":' "$(page stats/summary)"
has "its file systems" '"capacityBytes":' "$(page stats/summary)"
has "resource figures" 'container_cpu_usage_seconds_total{container="burn",namespace="default",pod="busy"}' "$(page metrics/resource)"
has "of the node" 'node_memory_working_set_bytes ' "$(page metrics/resource)"
has "cadvisor's" 'container_network_receive_bytes_total{container="",' "$(page metrics/cadvisor)"
has "throttled by its limit" 'container_cpu_cfs_throttled_periods_total{container="burn"' "$(page metrics/cadvisor)"
has "the kubelet's own" 'kubelet_running_pods 2' "$(page metrics)"
has "started containers" 'kubelet_started_containers_total{container_type="container"} 3' "$(page metrics)"
has "logs" "" "$(page containerLogs/default/busy/burn)"
has "nothing else" "404 page not found" "$(page nothing)"

# --- an autoscaler ---
cat >"$dir/web.yaml" <<END
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: $image, command: [sh, -c, "while :; do :; done"], resources: {requests: {cpu: 50m}, limits: {cpu: 100m}}}]
END
k apply -f "$dir/web.yaml" >/dev/null
k autoscale deployment web --min=1 --max=3 --cpu-percent=60 >/dev/null
becomes "it scales by what pods burn" 3 120 k get deployment web -o 'jsonpath={.status.readyReplicas}'
has "and says why" "ValidMetricFound" "$(k get hpa web -o 'jsonpath={.status.conditions[?(@.type=="ScalingActive")].reason}')"
k delete hpa web deployment/web pod/busy pod/large --wait=false >/dev/null

# --- somebody else's server ---
k create -f - >/dev/null <<END
{"apiVersion":"v1","kind":"Service","metadata":{"name":"metrics"},"spec":{"ports":[{"port":443}]}}
END
k create -f - >/dev/null <<END
{"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v1beta1.metrics.k8s.io"},"spec":{"group":"metrics.k8s.io","version":"v1beta1",
"groupPriorityMinimum":100,"versionPriority":100,"service":{"namespace":"default","name":"metrics"},"insecureSkipTLSVerify":true}}
END
becomes "an APIService takes over" "503" 20 c -o /dev/null -w '%{http_code}' "https://127.0.0.1:6443/apis/metrics.k8s.io/v1beta1/nodes"
k delete apiservice v1beta1.metrics.k8s.io >/dev/null
becomes "and when it goes, the nodes are asked again" '"kind":"NodeMetricsList"' 20 k get --raw /apis/metrics.k8s.io/v1beta1/nodes
exit $bad
