#!/bin/sh
# The API listens on 127.0.0.1: pods reach it through the Service `kubernetes` all the same, with their own tokens and the cluster's CA; after a kill -9 too;
# and nothing of that is left. The Node shows a port only where one listens. usage: in-cluster.sh BUILD_DIR. Skips (exit 0, with a reason) where pods cannot run.
set -u
build=$(cd "$1" && pwd)
self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
. "$(dirname "$self")/lib/node.sh"
start
becomes "the Service leads to the API" 10.244.255.254 30 k get endpoints kubernetes -o 'jsonpath={.subsets[0].addresses[0].ip}'
is "the node shows its port" 10250 "$(k get node $node -o 'jsonpath={.status.daemonEndpoints.kubeletEndpoint.Port}')"
k create rolebinding v --clusterrole=view --serviceaccount=default:default >/dev/null
cat >"$dir/pod.yaml" <<END
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: $image, command: [sleep, "1000"]}]}
END
k apply -f "$dir/pod.yaml" >/dev/null
k wait --for=condition=Ready pod/client --timeout=60s >/dev/null
# busybox has no TLS that shows why: curl runs in the pod's network, with what the pod has.
container=$(k get pod client -o 'jsonpath={.status.containerStatuses[0].containerID}' | sed 's|.*//||')
inner=$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$dir/state/runtime/containers/$container/"*.json | head -1)
[ -n "$inner" ] || fail "the container's process"
account=/var/run/secrets/kubernetes.io/serviceaccount
k exec client -- cat $account/ca.crt >"$dir/pod-ca.crt"
token=$(k exec client -- cat $account/token)
host=$(k exec client -- sh -c 'echo $KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT')
is "the pod knows where" "10.96.0.1:443" "$host"
from_pod() { nsenter --net="/proc/$inner/ns/net" curl -s --max-time 10 --cacert "$dir/pod-ca.crt" -H "authorization: Bearer $token" "$@"; }
becomes "a pod reaches the API by the Service's address" '"kind":"PodList"' 30 from_pod "https://$host/api/v1/namespaces/default/pods"
becomes "and by its name" '"kind":"PodList"' 10 from_pod --resolve "kubernetes.default.svc:443:10.96.0.1" https://kubernetes.default.svc/api/v1/namespaces/default/pods
has "with its own rights" '"reason":"Forbidden"' "$(from_pod "https://$host/api/v1/nodes")"
is "and not without" 401 "$(nsenter --net="/proc/$inner/ns/net" curl -s --max-time 10 -o /dev/null -w '%{http_code}' --cacert "$dir/pod-ca.crt" -H 'authorization: Bearer x' "https://$host/api/v1/nodes")"
kill -9 $pid
wait $pid 2>/dev/null
start
becomes "after a kill -9 as well" '"kind":"PodList"' 30 from_pod "https://$host/api/v1/namespaces/default/pods"
k delete pod client --wait=false >/dev/null
eventually "the pod goes" 30 sh -c "! kubectl get pod client"
kill $pid
wait $pid 2>/dev/null
pid=
is "no address is left" "" "$(ip -o addr show dev lo | grep 10.244)"
exit $bad
