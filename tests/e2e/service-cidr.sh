#!/bin/bash
# service-cidr.sh BUILD_DIR - addresses of Services: ServiceCIDRs, IPAddresses, their repair; and the server's identity lease.
build=$1
. "$(dirname "$0")/lib/server.sh"

# wait_for TEXT COMMAND...: until kubectl's output holds the text.
wait_for() {
    for _ in $(seq 300); do
        out=$(k "${@:2}")
        case "$out" in *"$1"*) return 0 ;; esac
        sleep 0.2
    done
    fail "kubectl ${*:2}" "waited for: $1" "got: $out"
}
service() { printf '{"apiVersion":"v1","kind":"Service","metadata":{"name":"%s"},"spec":{%s"ports":[{"port":80}]}}' "$1" "$2"; }
make() { service "$1" "$2" | k create -f -; }
ip_of() { k get service "$1" -o 'jsonpath={.spec.clusterIP}'; }

start_server
wait_for '"reason":"","status":"True","type":"Ready"' get servicecidr kubernetes -o 'jsonpath={.status.conditions[0]}'
want 10.96.0.0/12 get servicecidr
want networking.k8s.io/service-cidr-finalizer get servicecidr kubernetes -o jsonpath='{.metadata.finalizers}'
want services/default/kubernetes get ipaddress 10.96.0.1

# An address comes and goes with its Service.
make one ""
ip=$(ip_of one)
want services/default/one get ipaddress "$ip"
want 'ip-family":"IPv4","ipaddress.kubernetes.io/managed-by":"ipallocator.k8s.io"' get ipaddress "$ip" -o 'jsonpath={.metadata.labels}'
case "$(make two "\"clusterIP\":\"$ip\",")" in
*"spec.clusterIPs: Invalid value: [\"$ip\"]: failed to allocate IP $ip: provided IP is already allocated"*) ;;
*) fail "a taken address" "$(make two "\"clusterIP\":\"$ip\",")" ;;
esac
case "$(make two '"clusterIP":"192.168.7.7",')" in
*"the provided network does not match the current range"*) ;;
*) fail "an address of no range" ;;
esac
k patch service one --type merge -p '{"spec":{"type":"ExternalName","externalName":"far.example","clusterIP":"","clusterIPs":null,"ipFamilies":null,"ipFamilyPolicy":null}}' >/dev/null
want NotFound get ipaddress "$ip"
k patch service one --type merge -p '{"spec":{"type":"ClusterIP","externalName":null}}' >/dev/null
want services/default/one get ipaddress "$(ip_of one)"
k delete service one >/dev/null
want 'NAME' get ipaddress
not default/one get ipaddress
k create service clusterip dry --tcp 80 --dry-run=server >/dev/null
not default/dry get ipaddress

# Of another type: what only the old one has goes by itself, unless the writer changes it.
k create service nodeport types --tcp 80 >/dev/null
got=$(k patch service types --type merge -p '{"spec":{"type":"ClusterIP"}}' -o 'jsonpath={.spec.externalTrafficPolicy}/{.spec.ports[0].nodePort}')
is "no longer NodePort" / "$got"
k patch service types --type merge -p '{"spec":{"type":"NodePort"}}' >/dev/null
want 'may only be set for externally-accessible services' patch service types --type merge -p '{"spec":{"type":"ClusterIP","externalTrafficPolicy":"Local"}}'
want 'may not be set for ExternalName services' patch service types --type merge -p '{"spec":{"type":"ExternalName","externalName":"far.example","ipFamilyPolicy":"PreferDualStack"}}'
got=$(k patch service types --type merge -p '{"spec":{"type":"ExternalName","externalName":"far.example"}}' -o 'jsonpath={.spec}')
for gone in clusterIP ipFamil externalTrafficPolicy nodePort; do hasnt "now ExternalName" "$gone" "$got"; done
k delete service types >/dev/null

# A second range, which holds what is in it until that has gone.
printf '{"apiVersion":"networking.k8s.io/v1","kind":"ServiceCIDR","metadata":{"name":"more"},"spec":{"cidrs":["10.200.0.0/29"]}}' | k create -f - >/dev/null
wait_for True get servicecidr more -o 'jsonpath={.status.conditions[0].status}'
make far '"clusterIP":"10.200.0.3",' >/dev/null
want services/default/far get ipaddress 10.200.0.3
case "$(make edge '"clusterIP":"10.200.0.7",')" in *"is not in the valid range"*) ;; *) fail "the broadcast address" ;; esac
k delete servicecidr more --wait=false >/dev/null
wait_for 'There are still IPAddresses referencing the ServiceCIDR' get servicecidr more -o 'jsonpath={.status.conditions[0].message}'
case "$(make late '"clusterIP":"10.200.0.4",')" in *"does not match the current range"*) ;; *) fail "a range that is going gives no address" ;; esac
k delete service far >/dev/null
wait_for NotFound get servicecidr more

# What somebody breaks is put right, and said.
k create service clusterip kept --tcp 80 >/dev/null
ip=$(ip_of kept)
k delete ipaddress "$ip" >/dev/null
wait_for services/default/kept get ipaddress "$ip"
wait_for "Cluster IP [IPv4]: $ip is not allocated; repairing" get events -o 'jsonpath={.items[*].message}'
printf '{"apiVersion":"networking.k8s.io/v1","kind":"IPAddress","metadata":{"name":"10.96.7.7","labels":{"ipaddress.kubernetes.io/managed-by":"ipallocator.k8s.io"}},"spec":{"parentRef":{"resource":"services","namespace":"default","name":"kept"}}}' | k create -f - >/dev/null
wait_for NotFound get ipaddress 10.96.7.7

# What is no address, no range.
bad() { printf '%s' "$2" | k create -f - | grep -qF "$1" || fail "wanted: $1" "$(printf '%s' "$2" | k create -f -)"; }
bad 'ParseAddr("ten"): unable to parse IP' '{"apiVersion":"networking.k8s.io/v1","kind":"IPAddress","metadata":{"name":"ten"},"spec":{"parentRef":{"resource":"services","name":"a"}}}'
bad 'must be a canonical format IP address' '{"apiVersion":"networking.k8s.io/v1","kind":"IPAddress","metadata":{"name":"fd00:0::1"},"spec":{"parentRef":{"resource":"services","name":"a"}}}'
bad 'spec.parentRef.name: Required value' '{"apiVersion":"networking.k8s.io/v1","kind":"IPAddress","metadata":{"name":"10.1.2.3"},"spec":{"parentRef":{"resource":"services"}}}'
bad 'at least one CIDR required' '{"apiVersion":"networking.k8s.io/v1","kind":"ServiceCIDR","metadata":{"name":"a"},"spec":{}}'
bad 'no more than one IP for each IP family' '{"apiVersion":"networking.k8s.io/v1","kind":"ServiceCIDR","metadata":{"name":"a"},"spec":{"cidrs":["10.1.0.0/16","10.2.0.0/16"]}}'
case "$(k patch servicecidr kubernetes --type merge -p '{"spec":{"cidrs":["10.0.0.0/8"]}}')" in *"field is immutable"*) ;; *) fail "a range that changes" ;; esac

# The server says that it is there.
wait_for apiserver- get lease -n kube-system -l apiserver.kubernetes.io/identity=kube-apiserver -o name
name=$(k get lease -n kube-system -l apiserver.kubernetes.io/identity=kube-apiserver -o 'jsonpath={.items[0].metadata.name}')
want "$name" get lease -n kube-system "$name" -o 'jsonpath={.spec.holderIdentity}'
k delete lease -n kube-system "$name" >/dev/null
wait_for "$name" get lease -n kube-system -o name

# Another start finds the same, also where no address was ever recorded.
kill "$pid"
wait "$pid" 2>/dev/null
start_server
want services/default/kept get ipaddress "$ip"
want services/default/kubernetes get ipaddress 10.96.0.1
exit $bad
