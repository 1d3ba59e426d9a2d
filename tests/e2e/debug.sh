#!/bin/sh
# Ephemeral containers: kubectl debug of a pod, of its copy and of the node in real terminals; what may be written to pods/ephemeralcontainers; their
# statuses, logs, exec and ends; a restart of the daemon.
# usage: debug.sh BUILD_DIR. Skips (exit 0, with a reason) without root, crun, conmon, busybox or kubectl.
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/node.sh"
start

cat >"$dir/web.yaml" <<EOT
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: web, image: $image, command: [sh, -c, 'echo of-web >/mark; mkdir /w; echo hello >/w/index.html; exec httpd -f -p 8081 -h /w']}]
---
apiVersion: v1
kind: Pod
metadata: {name: stuck}
spec:
  terminationGracePeriodSeconds: 1
  initContainers: [{name: i, image: $image, command: [sleep, "3600"]}]
  containers: [{name: c, image: $image, command: [sleep, "3600"]}]
EOT
k apply -f "$dir/web.yaml" >/dev/null
k wait --for=condition=Ready pod/web --timeout=60s >/dev/null || fail "the pod runs" "$(k get pods)"

# --- what may be written ---
base="{\"name\":\"e\",\"image\":\"$image\""
part() { k patch pod web --subresource="${2:-ephemeralcontainers}" -p "{\"spec\":{\"ephemeralContainers\":[$1]}}"; }
has "no ports" 'spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container' "$(part "$base,\"ports\":[{\"containerPort\":80}]}")"
has "no probes" 'spec.ephemeralContainers[0].livenessProbe: Forbidden: cannot be set for an Ephemeral Container' "$(part "$base,\"livenessProbe\":{\"exec\":{\"command\":[\"x\"]}}}")"
has "no resources" 'spec.ephemeralContainers[0].resources: Forbidden: cannot be set for an Ephemeral Container' "$(part "$base,\"resources\":{\"limits\":{\"cpu\":\"1\"}}}")"
has "a target that is there" 'spec.ephemeralContainers[0].targetContainerName: Not found: "nobody"' "$(part "$base,\"targetContainerName\":\"nobody\"}")"
has "a name of its own" 'spec.ephemeralContainers[0].name: Duplicate value: "web"' "$(part "{\"name\":\"web\",\"image\":\"$image\"}")"
has "not by a plain update" 'spec: Forbidden: pod updates may not change fields other than' "$(k patch pod web -p "{\"spec\":{\"ephemeralContainers\":[$base}]}}")"
has "not with a new pod" 'spec.ephemeralContainers: Forbidden: cannot be set on create' \
    "$(echo "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}],\"ephemeralContainers\":[$base}]}}" | k create -f -)"

# --- in terminals ---
timeout 120 python3 "$here/debug_tty.py" "$dir/kc" $image $node && ok "kubectl debug -it: a pod, its copy, the node" || fail "kubectl debug -it"
becomes "its end" '5 Error' 20 get web '{.status.ephemeralContainerStatuses[0].state.terminated.exitCode} {.status.ephemeralContainerStatuses[0].state.terminated.reason}'
is "it is not started again, and the pod is as it was" "look 0 false Running True" \
    "$(get web '{.status.ephemeralContainerStatuses[0].name} {.status.ephemeralContainerStatuses[0].restartCount} {.status.ephemeralContainerStatuses[0].ready} {.status.phase} {.status.conditions[?(@.type=="Ready")].status}')"
has "its logs" "sum-23" "$(k logs web -c look)"
is "the node's pod" "true true true" "$(k get pods -o 'jsonpath={.items[?(@.spec.hostPID==true)].spec.hostPID} {.items[?(@.spec.hostPID==true)].spec.hostNetwork} {.items[?(@.spec.hostPID==true)].spec.hostIPC}')"

# --- another one, seen from outside ---
has "added" patched "$(part "$base,\"command\":[\"sh\",\"-c\",\"echo here; exec sleep 3600\"],\"targetContainerName\":\"web\"}")"
becomes "it runs" T 20 get web '{.status.ephemeralContainerStatuses[?(@.name=="e")].state.running.startedAt}'
has "exec in it" "of-web" "$(k exec web -c e -- cat /proc/1/root/mark)"
eventually "kubectl logs" 20 sh -c "kubectl --kubeconfig '$dir/kc' logs web -c e | grep -q here"
has "read back" '"name":"e"' "$(k get --raw /api/v1/namespaces/default/pods/web/ephemeralcontainers)"
has "events name it" "spec.ephemeralContainers{e}" "$(k get events -o 'jsonpath={.items[*].involvedObject.fieldPath}')"
has "none is removed" 'existing ephemeral containers "e" may not be removed' \
    "$(k patch pod web --subresource=ephemeralcontainers --type=json -p '[{"op":"remove","path":"/spec/ephemeralContainers"}]')"
has "none is changed" 'may not be changed' "$(part '{"name":"e","image":"other"}')"
k patch pod web --subresource=ephemeralcontainers -p '{"metadata":{"labels":{"a":"b"}},"spec":{"hostname":"other"}}' >/dev/null
is "nothing else is written" " " "$(get web '{.metadata.labels.a} {.spec.hostname}')"

# --- a pod that does not get on ---
k patch pod stuck --subresource=ephemeralcontainers -p "{\"spec\":{\"ephemeralContainers\":[$base,\"command\":[\"sleep\",\"3600\"]}]}}" >/dev/null
becomes "beside an init container" T 20 get stuck '{.status.ephemeralContainerStatuses[0].state.running.startedAt}'
is "the pod still waits" Pending "$(get stuck '{.status.phase}')"

# --- kill -9 ---
was=$(get web '{.status.ephemeralContainerStatuses}')
kill -9 "$pid"
wait "$pid" 2>/dev/null
start
becomes "the daemon is back" True 20 get web '{.status.conditions[?(@.type=="Ready")].status}'
has "kill -9: exec still works" "of-web" "$(k exec web -c e -- cat /proc/1/root/mark)"
is "kill -9: nothing is started again" "$was" "$(get web '{.status.ephemeralContainerStatuses}')"
kill -9 "$(pid_of "$(id_of web 'ephemeralContainerStatuses[?(@.name=="e")]')")"
becomes "killed: its end" 137 20 get web '{.status.ephemeralContainerStatuses[?(@.name=="e")].state.terminated.exitCode}'
k delete pods --all --wait=true --grace-period=1 >/dev/null
is "all pods are gone" "No resources found in default namespace." "$(k get pods)"
exit $bad
