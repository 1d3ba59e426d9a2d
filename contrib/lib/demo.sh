#!/bin/sh
# demo.sh KUBECONFIG - an application's life on the cluster, with nothing but kubectl; each command is shown before it runs.
set -eu
cd "$(dirname "$0")/../.."
. contrib/lib/packages.sh
kubeconfig=$1
k() { as_root kubectl --kubeconfig "$kubeconfig" "$@"; }
show() {
    echo
    echo "\$ kubectl $*"
    k "$@"
}
# busybox's own time limit (-T) crashes in Debian 12.
ask() {
    timeout 5 busybox wget -qO- "http://$1/" || {
        echo "demo: http://$1/ does not answer" >&2
        return 1
    }
}

echo
echo "--- deploy: three replicas, a ConfigMap, a Service"
show apply -f contrib/lib/demo.yaml
show -n demo rollout status deployment/web --timeout=60s
show -n demo get deployments,pods,services -o wide

echo
echo "--- ask the Service: nine requests, whoever answers"
ip=$(k -n demo get service web -o jsonpath='{.spec.clusterIP}')
answers=$(for _ in 1 2 3 4 5 6 7 8 9; do ask "$ip:80" || exit 1; done)
echo "$answers" | sort | uniq -c
node=$(k get nodes -o jsonpath='{.items[0].status.addresses[0].address}')
port=$(k -n demo get service web -o jsonpath='{.spec.ports[0].nodePort}')
echo "and by the node's port, http://$node:$port/:"
ask "$node:$port"

echo
echo "--- scale"
show -n demo scale deployment/web --replicas=5
show -n demo rollout status deployment/web --timeout=60s

echo
echo "--- a rolling update, and back"
show -n demo set env deployment/web GREETING=Ahoy
show -n demo rollout status deployment/web --timeout=120s
ask "$ip:80"
show -n demo rollout history deployment/web
show -n demo rollout undo deployment/web
show -n demo rollout status deployment/web --timeout=120s
ask "$ip:80"

echo
echo "--- look inside"
# The newest: an older one may be ending still.
pod=$(k -n demo get pods -l app=web --sort-by=.metadata.creationTimestamp -o jsonpath='{.items[-1:].metadata.name}')
show -n demo logs "$pod" --tail=3
show -n demo exec "$pod" -- cat /etc/greeting/line
show -n demo exec "$pod" -- wget -qO- http://web/
