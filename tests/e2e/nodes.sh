#!/bin/sh
# What happens to nodes that fall silent or vanish, and to their pods; pod ranges; old events. No node runs: kubectl plays it.
# usage: nodes.sh BUILD_DIR. Skips (exit 0, with a reason) without a kubectl that can patch a status.
# takes long
set -u
build=$(cd "$1" && pwd)
root=$(cd "$(dirname "$0")/../.." && pwd)
kubectl patch --help 2>/dev/null | grep -q -e --subresource || {
    echo "skipped: no kubectl with patch --subresource"
    exit 0
}
. "$root/tests/e2e/lib/server.sh"
# Everything that takes minutes by default takes seconds here.
sed 's|settings = { ca = "$(ca)";|settings = { node_grace = "12s"; event_ttl = "20s"; ca = "$(ca)";|' "$root/conf/keelson.cfg" >"$dir/keelson.cfg"
grep -q node_grace "$dir/keelson.cfg" || exit 1
server_flags="--config $dir/keelson.cfg --plugins $build/plugins"
start_server
node() {
    printf 'apiVersion: v1\nkind: Node\nmetadata: {name: %s}\n' "$1" | k apply -f - >/dev/null
    k patch node "$1" --subresource=status --type=merge -p '{"status":{"conditions":[{"type":"Ready","status":"True"}],
        "allocatable":{"cpu":"8","memory":"8Gi","pods":"110"},"capacity":{"cpu":"8","memory":"8Gi","pods":"110"}}}' >/dev/null
}
beat() {
    while sleep 0.5; do
        printf 'apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: n1, namespace: kube-node-lease}\nspec: {renewTime: "%s"}\n' \
            "$(date -u +%Y-%m-%dT%H:%M:%S.000000Z)" | k apply -f - >/dev/null
    done
}
node n1
beat &
beat=$!
soon "a range of pod addresses" "10.244.0.0/24" k get node n1 -o 'jsonpath={.spec.podCIDR}'
node n2
soon "and the next for the next" "10.244.1.0/24 [\"10.244.1.0/24\"]" k get node n2 -o 'jsonpath={.spec.podCIDR} {.spec.podCIDRs}'
soon "a silent node is unknown" "Unknown NodeStatusUnknown" k get node n2 -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].reason}'
soon "and tainted" "node.kubernetes.io/unreachable:NoExecute" k get node n2 -o 'jsonpath={range .spec.taints[*]}{.key}:{.effect} {end}'
soon "one that renews its lease is not" "True" k get node n1 -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
none "nor tainted" k get node n1 -o 'jsonpath={.spec.taints}'
cat <<'POD' | k apply -f - >/dev/null
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: p}}
spec:
  containers: [{name: c, image: i}]
  tolerations: [{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 2}]
---
apiVersion: v1
kind: Pod
metadata: {name: q}
spec: {containers: [{name: c, image: i}]}
POD
soon "pods go to the node that lives" "n1" k get pod p -o 'jsonpath={.spec.nodeName}'
k patch pod p q --subresource=status --type=merge -p '{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}' >/dev/null
k get pod p q -o 'jsonpath={.items[*].status.phase}' | grep -q "Running Running" || bad=1
kill $beat
wait $beat 2>/dev/null
soon "it falls silent" "Unknown" k get node n1 -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
soon "its pods serve no more" "False" k get pod q -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
soon "a pod leaves when it bears it no longer" "DeletionByTaintManager" k get pod p -o 'jsonpath={.metadata.deletionTimestamp} {.status.conditions[*].reason}'
none "one that bears it for 300 s stays" k get pod q -o 'jsonpath={.metadata.deletionTimestamp}'
k patch node n1 --subresource=status --type=merge -p '{"status":{"conditions":[{"type":"Ready","status":"False","reason":"KubeletNotReady"}]}}' >/dev/null
k taint node n1 example.org/out=now:NoExecute >/dev/null
soon "a taint by hand sends pods away" "20" k get pod q -o 'jsonpath={.metadata.deletionTimestamp}'
soon "events of nodes are there" "NodeNotReady" k get events
none "and are forgotten" sh -c "kubectl --kubeconfig '$dir/state/admin.kubeconfig' get events -o name | grep -v FailedScheduling | grep n1"
grep -E ' [WE] ' "$dir/log" | grep -v -e 'comes back' && bad=1
exit $bad
