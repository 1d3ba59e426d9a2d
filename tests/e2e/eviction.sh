#!/bin/sh
# A node whose disk (a small file system in memory) runs full: it says DiskPressure, removes unused images, evicts the pod that holds most, takes
# nobody new, and recovers; and pods that hold more than their own limits. usage: eviction.sh BUILD_DIR. Skips (exit 0, with a reason) where pods cannot run.
set -u
build=$(cd "$1" && pwd)
self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
. "$(dirname "$self")/lib/node.sh"
root=$(cd "$(dirname "$self")/../.." && pwd)
mkdir -p "$dir/state/node" && mount -t tmpfs -o size=64m,nr_inodes=4k tmpfs "$dir/state/node" || exit 1
sed 's|{ plugin = "node-agent"; on = "node"; settings = {|{ plugin = "node-agent"; on = "node"; settings = {\n      eviction_hard = "nodefs.available<25%"; eviction_pressure_transition = "3s"; image_dir = "$(state)/node";|; s|image_dir = "$(state)/images"; log_dir|log_dir|' \
    "$root/conf/keelson.cfg" >"$dir/keelson.cfg"
grep -q 'nodefs.available<25%' "$dir/keelson.cfg" || fail "the configuration has no node agent"
start
condition() { k get node $node -o "jsonpath={.status.conditions[?(@.type=='$1')].$2}"; }
is "no pressure at first" "False KubeletHasNoDiskPressure" "$(condition DiskPressure status) $(condition DiskPressure reason)"
pod() { # NAME MIB
    k apply -f - >/dev/null <<END
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: $image, command: [sh, -c, "dd if=/dev/zero of=/d/x bs=1M count=$2; sleep 1000"], volumeMounts: [{name: d, mountPath: /d}]}]
  volumes: [{name: d, emptyDir: {}}]
END
}
# another image, not another name of the same: what is built in one second is equal
"$build/keelson" image --dir "$dir/state/images" build --busybox --env UNUSED=1 localhost/busybox:unused >/dev/null
pod small 4
k wait --for=condition=Ready pod/small --timeout=60s >/dev/null
pod large 50
becomes "the node says that its disk runs full" True 60 condition DiskPressure status
becomes "the pod that holds most is evicted" "Failed Evicted" 60 k get pod large -o 'jsonpath={.status.phase} {.status.reason}'
has "with the reason" "The node was low on resource: ephemeral-storage. Threshold quantity: 16Mi, available: " "$(k get pod large -o 'jsonpath={.status.message}')"
has "and a condition" TerminationByKubelet "$(k get pod large -o 'jsonpath={.status.conditions[?(@.type=="DisruptionTarget")].reason}')"
has "and an event" "The node was low on resource" "$(k get events --field-selector reason=Evicted -o 'jsonpath={.items[*].message}')"
unused_gone() { ! "$build/keelson" image --dir "$dir/state/images" list | grep -q unused; }
eventually "the image that nobody uses went first" 30 unused_gone
is "the small one runs on" Running "$(k get pod small -o 'jsonpath={.status.phase}')"
becomes "it recovers" False 60 condition DiskPressure status
pod again 4
eventually "and takes pods again" 60 k wait --for=condition=Ready pod/again --timeout=1s
has "by the port that clients know" "kubelet_evictions" "$(k get --raw "/api/v1/nodes/$node:10250/proxy/metrics")"
has "the kubelet's counter" 'kubelet_evictions{eviction_signal="nodefs.available"} 1' "$(k get --raw "/api/v1/nodes/$node/proxy/metrics")"

# --- limits of single pods ---
cat >"$dir/limits.yaml" <<END
apiVersion: v1
kind: Pod
metadata: {name: volume}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: $image, command: [sh, -c, "dd if=/dev/zero of=/d/x bs=1M count=3; sleep 1000"], volumeMounts: [{name: d, mountPath: /d}]}]
  volumes: [{name: d, emptyDir: {sizeLimit: 2Mi}}]
---
apiVersion: v1
kind: Pod
metadata: {name: layer}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: c, image: $image, command: [sh, -c, "dd if=/dev/zero of=/tmp-x bs=1M count=3; sleep 1000"], resources: {limits: {ephemeral-storage: 2Mi}}}
  - {name: other, image: $image, command: [sleep, "1000"]}
END
k apply -f "$dir/limits.yaml" >/dev/null
becomes "an emptyDir over its limit" 'Evicted Usage of EmptyDir volume "d" exceeds the limit "2Mi".' 90 k get pod volume -o 'jsonpath={.status.reason} {.status.message}'
becomes "a container that wrote too much" 'Evicted Container c exceeded its local ephemeral storage limit "2Mi".' 90 k get pod layer -o 'jsonpath={.status.reason} {.status.message}'
k delete pod --all --wait=false >/dev/null
eventually "all pods go" 30 sh -c '[ -z "$(kubectl get pods -o name)" ]'
exit $bad
