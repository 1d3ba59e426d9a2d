#!/bin/sh
# Node ports of Services as the API gives them out: one space of numbers for all protocols, numbers asked for and kept, none wanted, health check ports; and that they come back.
# usage: node-ports.sh BUILD_DIR. Skips (exit 0, with a reason) without kubectl.
set -u
build=$(cd "$1" && pwd)
command -v kubectl >/dev/null || {
    echo "skipped: no kubectl"
    exit 0
}
server_flags="--node-ports 30000-30029"
. "$(dirname "$0")/lib/server.sh"
start_server
# make NAME SPEC; shown NAME JSONPATH; ports NAME: their numbers
make() { printf '{"apiVersion":"v1","kind":"Service","metadata":{"name":"%s"},"spec":%s}' "$1" "$2" | k create -f -; }
shown() { k get service "$1" -o "jsonpath=$2"; }
ports() { shown "$1" '{.spec.ports[*].nodePort}'; }

# --- one space for all protocols ---
make dns '{"type":"NodePort","ports":[{"name":"a","port":53,"protocol":"UDP"},{"name":"b","port":53,"protocol":"TCP"}]}' >/dev/null
[ "$(shown dns '{.spec.ports[0].nodePort}')" = "$(shown dns '{.spec.ports[1].nodePort}')" ] && ok "one port, two protocols: one number" || fail "one port, two protocols: one number" "$(ports dns)"
before=$(ports dns)
printf '{"apiVersion":"v1","kind":"Service","metadata":{"name":"dns"},"spec":{"type":"NodePort","ports":[{"name":"a","port":53,"protocol":"UDP"},{"name":"b","port":53,"protocol":"TCP"}]}}' |
    k replace -f - >/dev/null
is "who leaves it out twice keeps it" "$before" "$(ports dns)"
make udp '{"type":"NodePort","ports":[{"name":"a","port":1,"protocol":"UDP","nodePort":30001}]}' >/dev/null
has "whose number it is" 'Service "tcp" is invalid: spec.ports[1].nodePort: Invalid value: 30001: provided port is already allocated' \
    "$(make tcp '{"type":"NodePort","ports":[{"name":"a","port":1,"nodePort":30002},{"name":"b","port":2,"nodePort":30001}]}')"
make again '{"type":"NodePort","ports":[{"port":1,"nodePort":30002}]}' >/dev/null
is "what a refused one had taken is free" 30002 "$(ports again)"
has "not of the range" "provided port is not in the valid range. The range of valid ports is 30000-30029" "$(make far '{"type":"NodePort","ports":[{"port":1,"nodePort":30030}]}')"
has "a trial takes nothing" "dry run" "$(printf '{"apiVersion":"v1","kind":"Service","metadata":{"name":"dry"},"spec":{"type":"NodePort","ports":[{"port":1,"nodePort":30003}]}}' | k create --dry-run=server -f -)"
make wet '{"type":"NodePort","ports":[{"port":1,"nodePort":30003}]}' >/dev/null
is "so that it is there" 30003 "$(ports wet)"

# --- changes ---
make kept '{"type":"NodePort","ports":[{"name":"a","port":1},{"name":"b","port":2}]}' >/dev/null
before=$(ports kept)
address=$(shown kept '{.spec.clusterIP}')
printf '{"apiVersion":"v1","kind":"Service","metadata":{"name":"kept"},"spec":{"type":"NodePort","ports":[{"name":"b","port":22},{"name":"a","port":11}]}}' | k replace -f - >/dev/null
is "who leaves its address out keeps it" "$address [\"$address\"]" "$(shown kept '{.spec.clusterIP} {.spec.clusterIPs}')"
is "a port keeps its number by its name" "$(echo "$before" | sed 's/\(.*\) \(.*\)/\2 \1/')" "$(ports kept)"
k patch service kept --type=json -p '[{"op":"replace","path":"/spec/ports/0/nodePort","value":30004}]' >/dev/null
is "it gets the one that is asked for" 30004 "$(shown kept '{.spec.ports[0].nodePort}')"
k delete service kept wet >/dev/null
make taken '{"type":"NodePort","ports":[{"name":"a","port":1,"nodePort":30003},{"name":"b","port":2,"nodePort":30004}]}' >/dev/null
is "numbers of what is deleted are free" "30003 30004" "$(ports taken)"

# --- balancers ---
make none '{"type":"LoadBalancer","allocateLoadBalancerNodePorts":false,"ports":[{"name":"a","port":1},{"name":"b","port":2,"nodePort":30005}]}' >/dev/null
is "none wanted: those asked for all the same" 30005 "$(ports none)"
make health '{"type":"LoadBalancer","externalTrafficPolicy":"Local","ports":[{"port":1}]}' >/dev/null
check=$(shown health '{.spec.healthCheckNodePort}')
[ "${check:-0}" -ge 30000 ] && ok "a port for health checks" || fail "a port for health checks" "$(k get service health -o yaml)"
has "it is nobody else's" "provided port is already allocated" "$(make thief "{\"type\":\"NodePort\",\"ports\":[{\"port\":1,\"nodePort\":$check}]}")"
has "nor can that be another's" "Internal error occurred: failed to allocate requested HealthCheck NodePort 30005: provided port is already allocated" \
    "$(make other '{"type":"LoadBalancer","externalTrafficPolicy":"Local","healthCheckNodePort":30005,"ports":[{"port":1}]}')"
printf '{"apiVersion":"v1","kind":"Service","metadata":{"name":"health"},"spec":{"type":"LoadBalancer","externalTrafficPolicy":"Local","ports":[{"port":2}]}}' | k replace -f - >/dev/null
is "it stays" "$check" "$(shown health '{.spec.healthCheckNodePort}')"
has "it cannot be another" "spec.healthCheckNodePort: Forbidden: field is immutable" "$(k patch service health -p '{"spec":{"healthCheckNodePort":30006}}')"
k patch service health -p '{"spec":{"externalTrafficPolicy":"Cluster"}}' >/dev/null
is "policy Cluster has none" "" "$(shown health '{.spec.healthCheckNodePort}')"
make heir "{\"type\":\"NodePort\",\"ports\":[{\"port\":1,\"nodePort\":$check}]}" >/dev/null
is "and gives it back" "$check" "$(ports heir)"
k patch service health -p '{"spec":{"externalTrafficPolicy":"Local","healthCheckNodePort":30006}}' >/dev/null
is "one that is asked for" 30006 "$(shown health '{.spec.healthCheckNodePort}')"

# --- a restart knows them; the range ends ---
kill "$pid"
wait "$pid" 2>/dev/null
start_server
has "a restart knows what is taken" "provided port is already allocated" "$(make late '{"type":"NodePort","ports":[{"port":1,"nodePort":30006}]}')"
many=$(for n in $(seq 40); do printf '{"name":"p%s","port":%s},' "$n" "$n"; done | sed 's/,$//')
has "more than there are" "failed to allocate a nodePort: range is full" "$(make many "{\"type\":\"NodePort\",\"ports\":[$many]}")"
make last '{"type":"NodePort","ports":[{"port":1}]}' >/dev/null
[ -n "$(ports last)" ] && ok "which takes none" || fail "which takes none"
exit $bad
