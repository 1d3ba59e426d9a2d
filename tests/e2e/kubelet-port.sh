#!/bin/sh
# A node's own port, as programs ask it that come with a token or a certificate: who gets an answer (authentication by the API, authorization by subresource), and to what. Twice:
# a node in the server's process, and an agent in a network namespace of its own. usage: kubelet-port.sh BUILD_DIR. Skips (exit 0, with a reason) where pods cannot run.
set -u
build=$(cd "$1" && pwd)
node=here
node_ip=192.0.2.10
. "$(dirname "$0")/lib/pods.sh"
ip link add node0 type veth peer name node1 && ip addr add $node_ip/24 dev node0 && ip link set node0 up && ip link set node1 up
ip route add default via 192.0.2.1
rm -r "$dir"
. "$(dirname "$0")/lib/node.sh"
agent=
node_net there 192.168.77
end() {
    ended=$?
    [ -z "$agent" ] || k delete pod --all --grace-period=0 --force >/dev/null 2>&1
    [ -z "$agent" ] || { kill "$agent" && wait "$agent" 2>/dev/null; }
    ip netns del there 2>/dev/null
    node_finish
}
trap end EXIT

# --- a port that somebody has ---
python3 -c 'import socket, time; s = socket.socket(); s.bind(("0.0.0.0", 10250)); s.listen(); print("bound", flush=True); time.sleep(600)' >"$dir/taken" &
holder=$!
eventually "somebody has the port" 10 grep -q bound "$dir/taken"
start
port_of() { k get node "$1" -o 'jsonpath={.status.daemonEndpoints.kubeletEndpoint.Port}'; }
other=$(port_of here)
case "$other" in 10250 | 0 | "") fail "the node takes another one and shows it" "$other" ;; *) ok "the node takes another one and shows it" ;; esac
is "and answers there" 401 "$(curl -sk -o /dev/null -w '%{http_code}' "https://$node_ip:$other/pods")"
kill "$pid" && wait "$pid" 2>/dev/null
kill $holder && wait $holder 2>/dev/null
up_flags="--node-port 10300"
start
eventually "a port that was asked for" 20 sh -c "[ \"\$(kubectl get node here -o 'jsonpath={.status.daemonEndpoints.kubeletEndpoint.Port}')\" = 10300 ]"
kill "$pid" && wait "$pid" 2>/dev/null
up_flags="--node-port 0"
start
eventually "none" 20 sh -c "[ \"\$(kubectl get node here -o 'jsonpath={.status.daemonEndpoints.kubeletEndpoint.Port}')\" = 0 ]"
is "nobody listens" 000 "$(curl -sk -o /dev/null -w '%{http_code}' "https://$node_ip:10250/pods")"
is "the API asks it all the same" ok "$(k get --raw /api/v1/nodes/here/proxy/healthz)"
kill "$pid" && wait "$pid" 2>/dev/null
up_flags=
start
eventually "the usual one" 20 sh -c "[ \"\$(kubectl get node here -o 'jsonpath={.status.daemonEndpoints.kubeletEndpoint.Port}')\" = 10250 ]"

# --- a second node, elsewhere ---
"$build/keelson" image --dir "$dir/node/images" build --busybox $image >/dev/null
"$build/keelson" pki node there --state-dir "$dir/state" --kubeconfig "$dir/kc" --server "https://$node_ip:6443" --out "$dir/there.kc"
nsenter --net=/run/netns/there "$build/keelson" agent --state-dir "$dir/node" --run-dir "$dir/run2" --log-dir "$dir/log2" --kubeconfig "$dir/there.kc" \
    --node-address 192.168.77.2 >>"$dir/agent.log" 2>&1 &
agent=$!
eventually "the other node is ready" 30 k wait --for=condition=Ready node/there --timeout=1s

# --- who asks ---
cat >"$dir/all.yaml" <<EOF
$(for u in nobody scraper prober lister looker runner; do printf -- '---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: %s}\n' $u; done)
$(role() { printf -- '---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: "t-%s"}\nrules: [{apiGroups: [""], resources: [%s], verbs: [%s]}]\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: "t-%s"}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "t-%s"}\nsubjects: [{kind: ServiceAccount, name: %s, namespace: default}]\n' "$1" "$2" "$3" "$1" "$1" "$1"; }
role scraper '"nodes/metrics", "nodes/stats"' '"get"'
role prober '"nodes/healthz"' '"get"'
role lister '"nodes/pods", "nodes/configz", "nodes/log"' '"get"'
role looker '"nodes/proxy"' '"get"'
role runner '"nodes/proxy"' '"get", "create"')
$(for n in here there; do printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: on-%s}\nspec:\n  nodeName: %s\n  terminationGracePeriodSeconds: 0\n  containers:\n  - name: c\n    image: %s\n    command: [sh, -c, "echo said; exec httpd -f -p 8080"]\n    livenessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}\n' $n $n $image; done)
EOF
k apply -f "$dir/all.yaml" >"$dir/applied" || cat "$dir/applied"
for u in nobody scraper prober lister looker runner; do k create token $u >"$dir/$u.token"; done
k wait --for=condition=Ready pod/on-here pod/on-there --timeout=60s >/dev/null || fail "pods run" "$(k describe pods | tail -40)"
openssl genrsa 2048 2>/dev/null >"$dir/stranger.key"
openssl req -new -x509 -key "$dir/stranger.key" -subj /O=system:masters/CN=kubernetes-admin -out "$dir/stranger.crt" 2>/dev/null
mkdir -p /var/log/keelson-e2e && echo "a line of the node" >/var/log/keelson-e2e/it.log && ln -sf /etc/passwd /var/log/keelson-e2e/out
for port_node in here:$node_ip there:192.168.77.2; do
    n=${port_node%%:*} at=https://$n:10250 # the certificate of `pki node` names the node
    to="--connect-to $n:10250:${port_node##*:}:10250"
    as() { # USER PATH [CURL OPTION...]
        user=$1 path=$2
        shift 2
        curl -s -m 30 $to --cacert "$dir/state/pki/ca.crt" -H "Authorization: Bearer $(cat "$dir/$user.token")" "$@" "$at$path"
    }
    code() { as "$@" -o /dev/null -w '%{http_code}'; }
    is "$n: nobody without credentials" "Unauthorized 401" "$(curl -s $to --cacert "$dir/state/pki/ca.crt" -w ' %{http_code}' "$at/metrics")"
    is "$n: nor by a made up token" 401 "$(curl -s $to --cacert "$dir/state/pki/ca.crt" -H 'Authorization: Bearer abc' -o /dev/null -w '%{http_code}' "$at/metrics")"
    is "$n: nor by somebody else's certificate" 401 "$(curl -s $to --cacert "$dir/state/pki/ca.crt" --cert "$dir/stranger.crt" --key "$dir/stranger.key" -o /dev/null -w '%{http_code}' "$at/metrics")"
    is "$n: the administrator by certificate" 200 "$(c $to -o /dev/null -w '%{http_code}' "$at/pods")"
    is "$n: a token that may nothing" "Forbidden (user=system:serviceaccount:default:nobody, verb=get, resource=nodes, subresource(s)=[metrics])" "$(as nobody /metrics)"
    # user path code
    while read -r user path want; do is "$n: $user $path" "$want" "$(code "$user" "$path")"; done <<EOF
scraper /metrics 200
scraper /metrics/cadvisor 200
scraper /metrics/resource 200
scraper /metrics/probes 200
scraper /stats/summary 200
scraper /pods 403
scraper /metrics/%2e%2e/pods 403
scraper /logs/ 403
prober /healthz 200
prober /healthz/ping 200
prober /healthz/syncloop 200
prober /metrics 403
lister /pods 200
lister /runningpods/ 200
lister /configz 200
lister /logs/ 200
lister /logs/keelson-e2e 301
lister /logs/keelson-e2e/it.log 200
lister /logs/keelson-e2e/out 404
lister /logs/%2e%2e/passwd 403
lister /containerLogs/default/on-$n/c 403
looker /pods 200
looker /healthz 200
looker /metrics 403
looker /containerLogs/default/on-$n/c 200
looker /containerLogs/default/on-$n/none 400
looker /containerLogs/default/none/c 404
looker /exec/default/on-$n/c?command=id 403
looker /nothing 404
runner /exec/default/on-$n/c?command=id 400
EOF
    is "$n: a command, by who may" "0" "$(as runner "/run/default/on-$n/c?cmd=id%20-u" -X POST)"
    has "$n: that fails" "exited with 1: ls: /none" "$(as runner "/run/default/on-$n/c?cmd=ls%20/none" -X POST)"
    is "$n: by the pod's uid" "0" "$(as runner "/run/default/on-$n/$(k get pod "on-$n" -o 'jsonpath={.metadata.uid}')/c?cmd=id%20-u" -X POST)"
    is "$n: and no other's" 404 "$(code runner "/run/default/on-$n/other/c?cmd=id" -X POST)"
    is "$n: not by who may only look" 403 "$(code looker "/run/default/on-$n/c?cmd=id" -X POST)"
    is "$n: nor by a WebSocket" 403 "$(code looker "/exec/default/on-$n/c?command=id&output=1" -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
        -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' -H 'Sec-WebSocket-Protocol: v5.channel.k8s.io' --http1.1)"
    is "$n: which gets through for who may" 101 "$(code runner "/exec/default/on-$n/c?command=id&output=1" -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
        -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' -H 'Sec-WebSocket-Protocol: v5.channel.k8s.io' --http1.1 -m 3)"
    is "$n: what is the server's own" 403 "$(c -o /dev/null -w '%{http_code}' -X POST --data-binary x $to "$at/keelson/call")"
    is "$n: nor through the API" 404 "$(c -o /dev/null -w '%{http_code}' -X POST --data-binary x "https://$node_ip:6443/api/v1/nodes/$n/proxy/keelson/call")"
    proxied() { curl -s -o /dev/null -w '%{http_code}' --cacert "$dir/state/pki/ca.crt" -H "Authorization: Bearer $(cat "$dir/$1.token")" "https://$node_ip:6443/api/v1/nodes/$n/proxy$2"; }
    is "$n: through the API too, no command by who may only look" 403 "$(proxied looker "/exec/default/on-$n/c?command=id")"
    is "$n: by who may" 400 "$(proxied runner "/exec/default/on-$n/c?command=id")"

    # --- what it says ---
    has "$n: its log" said "$(as looker "/containerLogs/default/on-$n/c")"
    is "$n: a file of the node" "a line of the node" "$(as lister /logs/keelson-e2e/it.log)"
    has "$n: a list of files" '<a href="it.log">it.log</a>' "$(as lister /logs/keelson-e2e/)"
    has "$n: through the API" '<a href="it.log">it.log</a>' "$(k get --raw "/api/v1/nodes/$n/proxy/logs/keelson-e2e/")"
    has "$n: by its port" '<a href="it.log">it.log</a>' "$(k get --raw "/api/v1/nodes/$n:10250/proxy/logs/keelson-e2e/")"
    has "$n: pods that run" "\"name\":\"on-$n\"" "$(as lister /runningpods/)"
    has "$n: through the API" "\"name\":\"on-$n\"" "$(k get --raw "/api/v1/nodes/$n/proxy/runningpods/")"
    has "$n: its settings" '"kubeletconfig":{' "$(as lister /configz)"
    probed() { as scraper /metrics/probes | grep "^prober_probe_total{container=\"c\",namespace=\"default\",pod=\"on-$n\"" | grep -q 'probe_type="Liveness",result="successful"} [1-9]'; }
    eventually "$n: probes are counted" 30 probed
done
rm -rf /var/log/keelson-e2e

verified() { [ "$(curl -s -o /dev/null -w '%{http_code}' --cacert "$dir/state/pki/ca.crt" "https://$1:10250/pods")" = 401 ]; }
eventually "here: the certificate is for the address" 5 verified $node_ip
eventually "there: so it is, once one is signed" 60 verified 192.168.77.2

# --- who is refused now is let in when the rules say so (an agent keeps a no for half a minute) ---
k create clusterrolebinding late --clusterrole=t-scraper --serviceaccount=default:nobody >/dev/null
late() { [ "$(curl -s --connect-to "$1:10250:$2:10250" -o /dev/null -w '%{http_code}' --cacert "$dir/state/pki/ca.crt" -H "Authorization: Bearer $(cat "$dir/nobody.token")" "https://$1:10250/metrics")" = 200 ]; }
eventually "here: at once" 5 late here $node_ip
eventually "there: when it asks again" 60 late there 192.168.77.2

# --- a process that goes on ---
"$build/keelson" restart --state-dir "$dir/state" >"$dir/restarted" 2>&1 || fail "restart" "$(cat "$dir/restarted")"
pid=$(cat "$dir/run/keelson.pid")
is "the port stays over a restart" 200 "$(curl -s -o /dev/null -w '%{http_code}' --cacert "$dir/state/pki/ca.crt" -H "Authorization: Bearer $(cat "$dir/scraper.token")" "https://$node_ip:10250/metrics")"
is "and its number" 10250 "$(port_of here)"
exit $bad
