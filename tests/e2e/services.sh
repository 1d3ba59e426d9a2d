#!/bin/sh
# Services over real pods on a one-node cluster: cluster IPs and node ports balance over ready pods, endpoints follow readiness, pods reach each
# other, themselves, the node and the API; affinity, policies, kill -9 of keelson under traffic, manual EndpointSlices.
# usage: services.sh BUILD_DIR. Skips (exit 0, with a reason) without root, crun, conmon, busybox or kubectl.
set -u
build=$(cd "$1" && pwd)
node=n1 node_ip=192.0.2.1 outside_ip=192.0.2.2
. "$(dirname "$0")/lib/node.sh"
# A machine outside: a network of its own with one wire to the node.
touch "$dir/outside"
unshare --net="$dir/outside" true
ip link add wire type veth peer name wire0
nsenter --net="$dir/outside" sleep 600 &
outside_pid=$!
sleep 0.2
ip link set wire0 netns $outside_pid
outside() { nsenter --net="$dir/outside" "$@"; }
outside sh -c "ip link set lo up; ip addr add $outside_ip/24 dev wire0; ip link set wire0 up; ip route add default via $node_ip"
ip addr add $node_ip/24 dev wire
ip link set wire up
ip route add default via $outside_ip
trap 'ended=$?; kill $outside_pid 2>/dev/null; node_finish' EXIT
ask() { curl -s --max-time 3 "http://$1/"; }
# In a pod's network, with the machine's curl: the static busybox of the images cannot look names up, numbers included.
in_pod() {
    ns="$dir/run/network/ns/$(k get pod "$1" -o 'jsonpath={.metadata.uid}')"
    shift
    nsenter --net="$ns" "$@"
}
from_pod() { in_pod "$1" curl -s --max-time 3 "http://$2/"; }
# names N COMMAND...: who answers N times, each once, in order.
names() {
    n=$1
    shift
    for _ in $(seq "$n"); do
        "$@"
        echo
    done | grep . | sort -u | tr '\n' ' ' | sed 's/ $//'
}
answers() { [ "$(names 12 ask "$1")" = "$2" ]; }
refused() {
    curl -s --max-time 3 "http://$1/"
    [ $? = 7 ]
}
start

web() { # NAME: a pod that answers with its name while /tmp/ready is there
    cat <<EOF
---
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: $image
    command: [/bin/busybox, sh, -c, "/bin/busybox mkdir -p /www; echo $1 >/www/index.html; /bin/busybox touch /ready; exec /bin/busybox httpd -f -p 8080 -h /www"]
    readinessProbe: {exec: {command: [/bin/busybox, test, -f, /ready]}, periodSeconds: 1}
EOF
}
{
    web web-1
    web web-2
    web web-3
    cat <<EOF
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {clusterIP: 10.96.0.77, selector: {app: nobody}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: $image, command: [/bin/busybox, sleep, "3600"]}]}
EOF
} | k apply -f - >/dev/null
k wait --for=condition=Ready pod/web-1 pod/web-2 pod/web-3 pod/client --timeout=60s >/dev/null || fail "pods get ready" "$(k get pods -o wide)"
vip=$(k get svc web -o 'jsonpath={.spec.clusterIP}')
eventually "the node reaches the cluster IP, all three pods answer" 10 answers "$vip" "web-1 web-2 web-3"
is "the node's port, from the node" "web-1 web-2 web-3" "$(names 24 ask $node_ip:30080)"
is "the node's port, by 127.0.0.1" "web-1 web-2 web-3" "$(names 24 ask 127.0.0.1:30080)"
is "the node's port, from outside" "web-1 web-2 web-3" "$(names 24 outside curl -s --max-time 3 http://$node_ip:30080/)"
is "the cluster IP, from a pod" "web-1 web-2 web-3" "$(names 18 from_pod client "$vip")"
is "the cluster IP, from a pod that is an endpoint itself" "web-1 web-2 web-3" "$(names 18 from_pod web-1 "$vip")"
is "a pod reaches a pod" web-2 "$(from_pod client "$(k get pod web-2 -o 'jsonpath={.status.podIP}'):8080")"
is "the node reaches a pod" web-2 "$(ask "$(k get pod web-2 -o 'jsonpath={.status.podIP}'):8080")"
refused 10.96.0.77 && ok "no endpoints: refused at once" || fail "no endpoints: refused at once"

# --- endpoints follow readiness, deletion, scale ---
k exec web-2 -- /bin/busybox rm /ready >/dev/null
eventually "a pod that is not ready gets nothing" 15 answers "$vip" "web-1 web-3"
k exec web-2 -- /bin/busybox touch /ready >/dev/null
eventually "and again when it is" 15 answers "$vip" "web-1 web-2 web-3"
k delete pod web-3 --wait=false >/dev/null
eventually "nor does one that is gone" 15 answers "$vip" "web-1 web-2"
k label pod web-1 app=other --overwrite >/dev/null
eventually "nor one that the selector leaves out" 15 answers "$vip" web-2
k label pod web-1 app=web --overwrite >/dev/null
eventually "both again" 15 answers "$vip" "web-1 web-2"

# --- affinity, policies ---
k patch svc web -p '{"spec":{"sessionAffinity":"ClientIP"}}' >/dev/null
one_answer() { case "$(names 12 ask "$vip")" in web-1 | web-2) true ;; *) false ;; esac }
eventually "affinity: one client, one pod" 10 one_answer
k patch svc web -p '{"spec":{"sessionAffinity":"None"}}' >/dev/null
eventually "without it both" 10 answers "$vip" "web-1 web-2"
k patch svc web -p '{"spec":{"externalTrafficPolicy":"Local"}}' >/dev/null
sleep 0.5
is "policy Local, from outside: the pods of this node" "web-1 web-2" "$(names 24 outside curl -s --max-time 3 http://$node_ip:30080/)"

# --- the API as pods see it ---
api=$(k exec client -- /bin/busybox sh -c 'echo $KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT')
is "a pod reaches the API by its Service ($api)" ok "$(in_pod client curl -s --cacert "$dir/state/pki/ca.crt" --max-time 3 "https://$api/readyz")"
is "a pod reaches the node" ok "$(in_pod client curl -sk --max-time 3 "https://$node_ip:6443/readyz")"

# --- names, by the pods' own resolv.conf ---
k exec client -- /bin/busybox cat /etc/resolv.conf >"$dir/resolv.conf"
by_name() { # URL: as a pod asks for it, with the machine's curl and resolver
    unshare -m sh -c "mount --bind $dir/resolv.conf /etc/resolv.conf && exec nsenter --net=$dir/run/network/ns/$client curl -s --max-time 5 $1"
}
client=$(k get pod client -o 'jsonpath={.metadata.uid}')
named() { case "$(by_name "$1")" in web-1 | web-2) true ;; *) false ;; esac }
for name in web web.default web.default.svc web.default.svc.cluster.local; do
    eventually "a pod finds http://$name/" 10 named http://$name/
done
cat <<EOF | k apply -f - >/dev/null
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, selector: {app: web}, ports: [{name: http, port: 8080}]}
EOF
eventually "a headless Service leads to its pods" 10 named http://headless.default:8080/
is "the API by its name" ok "$(by_name "--cacert $dir/state/pki/ca.crt https://kubernetes.default.svc/readyz")"
by_name http://nothing.default.svc.cluster.local./ >/dev/null
is "a name of the zone that is not there" 6 $?
is "kube-dns shows the address" 10.96.0.10 "$(k get svc -n kube-system kube-dns -o 'jsonpath={.spec.clusterIP}')"

# --- slices that nobody but their author looks after ---
cat <<EOF | k apply -f - >/dev/null
apiVersion: v1
kind: Service
metadata: {name: manual}
spec: {clusterIP: 10.96.0.88, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: manual-1, labels: {kubernetes.io/service-name: manual}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [$(k get pod web-1 -o 'jsonpath={.status.podIP}')]}]
EOF
eventually "a Service with slices made by hand" 10 answers 10.96.0.88 web-1
k delete endpointslice manual-1 >/dev/null
eventually "refuses without them" 10 refused 10.96.0.88
k delete svc manual >/dev/null

# --- kill -9 under traffic, restart ---
(
    n=0
    while [ ! -f "$dir/stop" ]; do
        [ -n "$(ask "$vip")" ] || echo "connection $n failed"
        n=$((n + 1))
    done >"$dir/traffic"
    echo "$n" >"$dir/count"
) &
traffic=$!
sleep 0.5
kill -9 "$pid"
wait "$pid" 2>/dev/null
is "while keelson is dead Services work" "web-1 web-2" "$(names 24 ask "$vip")"
start
sleep 1
touch "$dir/stop"
wait $traffic
is "no connection failed over kill -9 and restart ($(cat "$dir/count"))" "" "$(cat "$dir/traffic")"
k delete pod web-1 --wait=false >/dev/null
eventually "after the restart endpoints still follow" 15 answers "$vip" web-2
k delete svc web >/dev/null
eventually "a Service that is deleted answers no more" 10 sh -c "! curl -s --max-time 1 http://$vip/"
k delete pod --all --wait=true --timeout=30s >/dev/null
exit $bad
