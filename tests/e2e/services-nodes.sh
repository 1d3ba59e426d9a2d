#!/bin/sh
# Services over two nodes in two zones: pods of one node reach those of the other, hints keep traffic in a zone or on a node, policy Local with endpoints that end,
# the ports at which load balancers ask a node for its endpoints and its proxy.
# usage: services-nodes.sh BUILD_DIR. Skips (exit 0, with a reason) without root, crun, conmon, busybox or kubectl.
set -u
build=$(cd "$1" && pwd)
. "$(dirname "$0")/lib/pods.sh"
server=
agents=
export KUBECONFIG="$dir/kc"
finish() {
    for p in $agents $server; do kill "$p" 2>/dev/null && wait "$p" 2>/dev/null; done
    ip netns del n1 2>/dev/null
    ip netns del n2 2>/dev/null
    end_containers
}
trap finish EXIT
node_net n1 192.168.77
node_net n2 192.168.78
"$build/keelson" server --state-dir "$dir/state" --address 192.168.77.1 --port 6443 --kubeconfig "$dir/kc" >>"$dir/server.log" 2>&1 &
server=$!
eventually "the server is up" 20 k get --raw /readyz
range_of() { k get node "$1" -o 'jsonpath={.spec.podCIDR}'; }
for n in 1 2; do
    "$build/keelson" image --dir "$dir/n$n/images" build --busybox localhost/busybox:e2e >/dev/null || exit 1
    "$build/keelson" pki node n$n --state-dir "$dir/state" --kubeconfig "$dir/kc" --out "$dir/n$n.kc"
    nsenter --net=/run/netns/n$n "$build/keelson" agent --state-dir "$dir/n$n" --run-dir "$dir/run$n" --log-dir "$dir/log$n" --kubeconfig "$dir/n$n.kc" \
        --node-address 192.168.7$((6 + n)).2 >>"$dir/agent$n.log" 2>&1 &
    agents="$agents $!"
    eventually "node n$n is ready" 30 k wait --for=condition=Ready node/n$n --timeout=1s
    k label node n$n topology.kubernetes.io/zone=z$n >/dev/null
    ip route add "$(range_of n$n)" via 192.168.7$((6 + n)).2 # between the nodes somebody routes
done
echo 1 >/proc/sys/net/ipv4/ip_forward

pod() { # NAME NODE LABELS: it answers with its name, ends slowly, and is ready meanwhile
    cat <<END
---
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {$3}}
spec:
  nodeName: $2
  terminationGracePeriodSeconds: 300
  containers:
  - name: c
    image: localhost/busybox:e2e
    command: [sh, -c, "trap '' TERM; mkdir -p /www; echo $1 >/www/index.html; while :; do httpd -f -p 8080 -h /www; done"]
    readinessProbe: {httpGet: {port: 8080, path: /}, periodSeconds: 1}
END
}
{
    pod a n1 'app: web'
    pod b n2 'app: web'
    pod client1 n1 'app: client'
    pod client2 n2 'app: client'
    echo '---'
    echo '{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: LoadBalancer, clusterIP: 10.96.0.80, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}}'
} | k apply -f - >/dev/null
k wait --for=condition=Ready pod --all --timeout=120s >/dev/null || fail "pods become ready" "$(k get pods -o wide)"
ask_from() { nsenter --net="$dir/run$1/network/ns/$(k get pod "client$1" -o 'jsonpath={.metadata.uid}')" curl -s --max-time 3 "$2"; }
answers() { # NODE URL: who answers a pod of that node, of 16 times
    for _ in $(seq 16); do ask_from "$1" "$2"; done | grep . | sort -u | tr '\n' ' ' | sed 's/ $//'
}
patched() { k patch service web -p "$1" >/dev/null; }
hear() { settles "$1" "$2" 20 answers "$3" "$4"; }
hear "a pod reaches the pods of both nodes" "a b" 1 10.96.0.80
hear "also from the other node" "a b" 2 10.96.0.80

# --- the proxy itself ---
proxy() { nsenter --net=/run/netns/n1 curl -s --max-time 3 "http://localhost:$1"; }
has "load balancers ask for the proxy's health" '"nodeEligible":true,"healthy":true}' "$(proxy 10256/healthz)"
has "also from outside" '"healthy":true}' "$(curl -s --max-time 3 http://192.168.77.2:10256/livez)"
is "the node's own people for its mode" nftables "$(proxy 10249/proxyMode)"
k taint node n1 ToBeDeletedByClusterAutoscaler=1:PreferNoSchedule >/dev/null
settles "of a node that goes nobody wants the proxy" 503 20 nsenter --net=/run/netns/n1 curl -s -o /dev/null -w '%{http_code}' http://localhost:10256/healthz
k taint node n1 ToBeDeletedByClusterAutoscaler- >/dev/null

# --- hints ---
for how in PreferSameZone PreferSameNode; do
    patched "{\"spec\":{\"trafficDistribution\":\"$how\"}}"
    hear "$how: n1's own" a 1 10.96.0.80
    hear "$how: n2's own" b 2 10.96.0.80
    patched '{"spec":{"trafficDistribution":null}}'
    hear "without it both again" "a b" 1 10.96.0.80
done
patched '{"spec":{"trafficDistribution":"PreferSameZone"}}'
hear "hints again" a 1 10.96.0.80
k label node n1 topology.kubernetes.io/zone=z3 --overwrite >/dev/null
hear "a node that moves to a zone without endpoints uses all" "a b" 1 10.96.0.80
patched '{"spec":{"trafficDistribution":null}}'

# --- policy Local ---
patched '{"spec":{"externalTrafficPolicy":"Local"}}'
check=$(k get service web -o 'jsonpath={.spec.healthCheckNodePort}')
health() { curl -s -o /dev/null --max-time 3 -w '%{http_code}' "http://192.168.7$((6 + $1)).2:$check/healthz"; }
outside() { for _ in $(seq 8); do curl -s --max-time 3 "http://192.168.7$((6 + $1)).2:30080/"; done | sort -u | tr '\n' ' ' | sed 's/ $//'; }
settles "n1 has endpoints" 200 20 health 1
settles "n2 too" 200 20 health 2
settles "from outside: those of the node" a 20 outside 1
k delete pod a --wait=false >/dev/null
settles "the last one of a node ends: load balancers hear of it" 503 20 health 1
is "other nodes still have theirs" 200 "$(health 2)"
settles "and what comes all the same is served" a 20 outside 1
hear "policy Cluster has left it" b 1 10.96.0.80
patched '{"spec":{"internalTrafficPolicy":"Local"}}'
hear "inside it serves policy Local as well" a 1 10.96.0.80
patched '{"spec":{"externalTrafficPolicy":"Cluster"}}'
settles "policy Cluster has no port for checks" 000 20 health 2
k delete pods --all --grace-period=0 --force >/dev/null
exit $bad
