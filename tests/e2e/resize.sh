#!/bin/sh
# pods/resize on real control groups: up and down without a restart, with one where the policy says so, what is refused, what waits for room and gets it, more
# memory in use than it is to have; the scheduler counts what a pod has and what it wants; kill -9 in between.
# usage: resize.sh BUILD_DIR. Skips (exit 0, with a reason) without root, crun, conmon, busybox or kubectl.
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/node.sh"
start

container() { # NAME REQUESTS LIMITS MORE
    echo "{name: $1, image: $image, command: [sh, -c, 'trap \"exit 0\" TERM; while :; do sleep 0.1; done'], resources: {requests: {$2}, limits: {$3}}${4:+, $4}}"
}
cpus=$(k get node $node -o 'jsonpath={.status.allocatable.cpu}')
case "$cpus" in *m) cpus=${cpus%m} ;; *) cpus=$((cpus * 1000)) ;; esac
cat >"$dir/pods.yaml" <<EOT
apiVersion: v1
kind: Pod
metadata: {name: a}
spec: {terminationGracePeriodSeconds: 1, restartPolicy: Never, containers: [$(container c "cpu: 100m, memory: 16Mi" "cpu: 200m, memory: 32Mi")]}
---
apiVersion: v1
kind: Pod
metadata: {name: r}
spec:
  {terminationGracePeriodSeconds: 2, restartPolicy: OnFailure, containers: [$(container c "cpu: 100m, memory: 16Mi" "memory: 32Mi" "resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}]")]}
---
apiVersion: v1
kind: Pod
metadata: {name: big}
spec: {terminationGracePeriodSeconds: 1, containers: [$(container c "cpu: $((cpus * 6 / 10))m" "memory: 32Mi")]}
---
apiVersion: v1
kind: Pod
metadata: {name: besteffort}
spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: $image, command: [sleep, "3600"]}]}
EOT
k apply -f "$dir/pods.yaml" >/dev/null
k wait --for=condition=Ready pod/a pod/r pod/big pod/besteffort --timeout=60s >/dev/null || fail "pods run" "$(k get pods)"
resize() { k patch pod "$1" --subresource resize -p "{\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":$2}]}}"; }
# group POD memory|quota|shares [pod]: the number in its control group, or in that of the whole pod.
group() {
    uid=$(get "$1" '{.metadata.uid}')
    id=$(id_of "$1" 'containerStatuses[0]')
    [ "${3:-}" = pod ] && id=.
    if [ -d /sys/fs/cgroup/memory ]; then
        case $2 in memory) cgroup_of memory "$uid" "$id" memory.limit_in_bytes ;; quota) cgroup_of cpu "$uid" "$id" cpu.cfs_quota_us ;; *) cgroup_of cpu "$uid" "$id" cpu.shares ;; esac
    else
        case $2 in memory) file=memory.max ;; quota) file=cpu.max ;; *) file=cpu.weight ;; esac
        cat /sys/fs/cgroup/kubepods/*/pod"$uid"/"$id"/$file /sys/fs/cgroup/kubepods/pod"$uid"/"$id"/$file 2>/dev/null | head -1 | cut -d' ' -f1
    fi
}
actual='{.status.containerStatuses[0].resources.requests.cpu} {.status.containerStatuses[0].resources.limits.memory}'

# --- up and down, nothing restarts ---
was=$(get a '{.status.containerStatuses[0].containerID} {.status.containerStatuses[0].state.running.startedAt}')
is "before" "$((32 << 20)) 20000" "$(group a memory) $(group a quota)"
has "resized" patched "$(resize a '{"requests":{"cpu":"200m","memory":"32Mi"},"limits":{"cpu":"400m","memory":"64Mi"}}')"
becomes "up: the status says so" "200m 64Mi" 20 get a "$actual"
is "up: control groups" "$((64 << 20)) 40000 $((64 << 20)) 40000" "$(group a memory) $(group a quota) $(group a memory pod) $(group a quota pod)"
is "up: allocatedResources" "200m 32Mi" "$(get a '{.status.containerStatuses[0].allocatedResources.cpu} {.status.containerStatuses[0].allocatedResources.memory}')"
resize a '{"requests":{"cpu":"50m","memory":"8Mi"},"limits":{"cpu":"100m","memory":"24Mi"}}' >/dev/null
becomes "down: the status says so" "50m 24Mi" 20 get a "$actual"
is "down: control groups" "$((24 << 20)) 10000 $((24 << 20)) 10000" "$(group a memory) $(group a quota) $(group a memory pod) $(group a quota pod)"
is "nothing was restarted" "$was 0" "$(get a '{.status.containerStatuses[0].containerID} {.status.containerStatuses[0].state.running.startedAt} {.status.containerStatuses[0].restartCount}')"
becomes "no condition is left" "." 10 get a '{.status.conditions[?(@.type=="PodResizeInProgress")].status}.'
is "observedGeneration" "$(get a '{.metadata.generation}')" "$(get a '{.status.observedGeneration}')"
has "events" ResizeCompleted "$(k get events --field-selector involvedObject.name=a -o 'jsonpath={.items[*].reason}')"

# --- what is refused ---
has "not by a plain update" "pod updates may not change fields other than" "$(k patch pod a -p '{"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"1m"}}}]}}')"
has "the class of service stays" "Pod QOS Class may not change as a result of resizing" "$(resize a '{"requests":{"cpu":"100m","memory":"24Mi"}}')"
has "a best-effort pod stays one" "Pod QOS Class may not change as a result of resizing" "$(resize besteffort '{"requests":{"cpu":"100m"}}')"
has "nothing is removed" "resource limits cannot be removed" "$(resize a '{"limits":{"cpu":null}}')"
has "only cpu and memory" "only cpu and memory resources are mutable" "$(resize a '{"requests":{"ephemeral-storage":"1Gi"}}')"
has "not more than the limit" "must be less than or equal to cpu limit of 100m" "$(resize a '{"requests":{"cpu":"300m"}}')"
k patch pod a --subresource resize -p '{"metadata":{"labels":{"x":"y"}},"spec":{"containers":[{"name":"c","image":"other"}]}}' >/dev/null
is "nothing else is written" " $image" "$(get a '{.metadata.labels.x} {.spec.containers[0].image}')"

# --- by a restart ---
was=$(id_of r 'containerStatuses[0]')
resize r '{"requests":{"cpu":"150m"}}' >/dev/null
becomes "cpu: in place" 150m 20 get r "$actual"
is "cpu: the same container" "$was" "$(id_of r 'containerStatuses[0]')"
resize r '{"limits":{"memory":"48Mi"}}' >/dev/null
becomes "memory: restarted, though it ended well and the pod restarts only failures" "1 true 48Mi" 30 get r '{.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].ready} {.status.containerStatuses[0].resources.limits.memory}'
is "memory: control group" "$((48 << 20))" "$(group r memory)"
has "memory: says why" "Container c resize requires restart" "$(k get events --field-selector reason=Killing)"

# --- room ---
resize a "{\"requests\":{\"cpu\":\"$((cpus + 1000))m\"},\"limits\":{\"cpu\":\"$((cpus + 1000))m\"}}" >/dev/null
becomes "more than the node is" "Infeasible Node didn't have enough capacity: cpu, requested: $((cpus + 1000)), capacity: $cpus" 20 get a \
    '{.status.conditions[?(@.type=="PodResizePending")].reason} {.status.conditions[?(@.type=="PodResizePending")].message}'
is "it keeps what it had" "50m 24Mi 10000" "$(get a "$actual") $(group a quota)"
half=$((cpus * 6 / 10))
resize a "{\"requests\":{\"cpu\":\"${half}m\"},\"limits\":{\"cpu\":\"${half}m\"}}" >/dev/null
becomes "more than is free" "Deferred Node didn't have enough resource: cpu, requested: $half, used: " 20 get a \
    '{.status.conditions[?(@.type=="PodResizePending")].reason} {.status.conditions[?(@.type=="PodResizePending")].message}'
is "it keeps what it had" "50m 24Mi 10000" "$(get a "$actual") $(group a quota)"
kill -9 "$pid"
wait "$pid" 2>/dev/null
start
is "kill -9: it still has what it had" "50m 24Mi 10000" "$(get a "$actual") $(group a quota)"
becomes "kill -9: and still waits" Deferred 20 get a '{.status.conditions[?(@.type=="PodResizePending")].reason}'
# The scheduler counts what it wants as well: nothing else fits.
k run late --image=$image --overrides="{\"spec\":{\"terminationGracePeriodSeconds\":1,\"containers\":[{\"name\":\"c\",\"image\":\"$image\",\"command\":[\"sleep\",\"3600\"],\"resources\":{\"requests\":{\"cpu\":\"$((cpus * 2 / 10))m\"}}}]}}" >/dev/null
becomes "the scheduler counts what is wished for" "Insufficient cpu" 20 get late '{.status.conditions[?(@.type=="PodScheduled")].message}'
k delete pod big --wait=false >/dev/null
becomes "it gets it as soon as there is room" "${half}m" 30 get a "$actual"
is "control group" "$((half * 100))" "$(group a quota)"
becomes "and so does the other" Running 30 get late '{.status.phase}'

# --- in use ---
k exec a -- sh -c 'head -c 15000000 /dev/zero >/dev/shm/x' >/dev/null
resize a '{"requests":{"memory":"4Mi"},"limits":{"memory":"7Mi"}}' >/dev/null
becomes "less than is in use" "Error attempting to set" 20 get a '{.status.conditions[?(@.type=="PodResizeInProgress")].reason} {.status.conditions[?(@.type=="PodResizeInProgress")].message}'
is "nothing is killed" "0 $((24 << 20))" "$(get a '{.status.containerStatuses[0].restartCount}') $(group a memory)"
resize a '{"requests":{"memory":"8Mi"},"limits":{"memory":"40Mi"}}' >/dev/null
becomes "a better wish is taken" "40Mi" 30 get a "$actual"
k delete pods --all --wait=true --grace-period=1 >/dev/null
is "all pods are gone" "No resources found in default namespace." "$(k get pods)"
exit $bad
