#!/bin/sh
# A server and a node's agent, each a process of its own: volumes of the node's disk are made, copied, expanded and removed there, on the server's behalf; claims wait for a
# node that is away; nobody else may call the node's drivers.
# usage: volumes-nodes.sh BUILD_DIR. Skips (exit 0, with a reason) without root, crun, conmon, busybox or kubectl.
set -u
build=$(cd "$1" && pwd)
. "$(dirname "$0")/lib/pods.sh"
server=
agent=
node_net n1 192.168.77
export KUBECONFIG="$dir/kc"
finish() {
    for p in $agent $server; do kill "$p" 2>/dev/null && wait "$p" 2>/dev/null; done
    ip netns del n1 2>/dev/null
    end_containers
}
trap finish EXIT
start_agent() {
    nsenter --net=/run/netns/n1 "$build/keelson" agent --state-dir "$dir/node" --run-dir "$dir/run" --log-dir "$dir/log" --kubeconfig "$dir/n1.kc" \
        --node-address 192.168.77.2 >>"$dir/agent.log" 2>&1 &
    agent=$!
}
ready() { [ "$(k get node n1 -o "jsonpath={.status.conditions[?(@.type=='Ready')].status}")" = True ]; }
field() { k get "$1" "$2" -o "jsonpath=$3"; }
field_is() { [ "$(field "$1" "$2" "$3")" = "$4" ]; }
tells() { k get events | grep -q "$1"; }
"$build/keelson" image --dir "$dir/node/images" build --busybox localhost/busybox:e2e >/dev/null || exit 1
"$build/keelson" server --state-dir "$dir/state" --address 192.168.77.1 --port 6443 --kubeconfig "$dir/kc" >>"$dir/server.log" 2>&1 &
server=$!
eventually "the server is up" 20 k get --raw /readyz
"$build/keelson" pki node n1 --state-dir "$dir/state" --kubeconfig "$dir/kc" --out "$dir/n1.kc"
start_agent
eventually "the node becomes ready" 30 ready
cat >"$dir/x.yaml" <<EOT
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: now}
provisioner: dir.keelson.dev
allowVolumeExpansion: true
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: now}
spec: {storageClassName: now, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: v, persistentVolumeClaim: {claimName: data}}, {name: w, persistentVolumeClaim: {claimName: now}}]
  containers: [{name: c, image: localhost/busybox:e2e, command: [sh, -c, 'echo x >/v/f; sleep 3600'], volumeMounts: [{name: v, mountPath: /v}, {name: w, mountPath: /w}]}]
EOT
out=$(k apply -f "$dir/x.yaml") || fail apply "$out"
eventually "a claim is bound at once" 30 field_is pvc now '{.status.phase}' Bound
eventually "a pod with claims runs on the other node" 60 field_is pod p '{.status.phase}' Running
pv=$(field pvc data '{.spec.volumeName}')
is "its volume is on the node's disk" x "$(cat "$dir/node/volumes/$pv/data/f" 2>/dev/null)"
is "and not on the server's" "" "$(ls "$dir/state/volumes" 2>/dev/null)"
is "the volume says where it is" "n1 n1" "$(field pv "$pv" '{.metadata.annotations.keelson\.dev/node} {.spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values[0]}')"
k patch pvc now -p '{"spec":{"resources":{"requests":{"storage":"3Mi"}}}}' >/dev/null
eventually "it is expanded there" 30 field_is pvc now '{.status.capacity.storage}' 3Mi
is "as its driver remembers" 3145728 "$(cat "$dir/node/volumes/$(field pvc now '{.spec.volumeName}')/bytes")"
code=$(curl -sk -o /dev/null -w '%{http_code}' -X POST --data-binary x https://192.168.77.2:10250/keelson/call)
is "nobody without the server's certificate may ask" 401 "$code"
kill "$agent"
wait "$agent" 2>/dev/null
cat >"$dir/x.yaml" <<EOT
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: later, annotations: {volume.kubernetes.io/selected-node: n1}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
EOT
out=$(k apply -f "$dir/x.yaml") || fail apply "$out"
eventually "a node that is away is told about" 60 tells 'ProvisioningFailed.*node .n1.'
start_agent
eventually "and when it is back the claim is bound" 90 field_is pvc later '{.status.phase}' Bound
k delete pod p >/dev/null
k delete pvc --all >/dev/null
eventually "claims and volumes go" 60 sh -c "[ -z \"\$(kubectl get pv -o name)\" ]"
is "and their folders" "" "$(ls "$dir/node/volumes")"
exit $bad
