#!/bin/sh
# A server and two nodes' agents, each a process in a network namespace of its own: credentials, pods, logs, exec and port-forward over the node's own port,
# what a node may not do, kill -9 of either side, a server that is away for a while. No container dies of any of it.
# usage: agent.sh BUILD_DIR. Skips (exit 0, with a reason) without root, crun, conmon, busybox or kubectl.
set -u
build=$(cd "$1" && pwd)
. "$(dirname "$0")/lib/pods.sh"
needs openssl
server=
agent=
agent2=
# The server has this namespace, each node one behind a link.
node_net n1 192.168.77
node_net n2 192.168.78
export KUBECONFIG="$dir/kc"
finish() {
    for p in $agent $agent2 $server; do kill "$p" 2>/dev/null && wait "$p" 2>/dev/null; done
    ip netns del n1 2>/dev/null
    ip netns del n2 2>/dev/null
    end_containers
}
trap finish EXIT
start_server() {
    "$build/keelson" server --state-dir "$dir/state" --address 192.168.77.1 --port 6443 --kubeconfig "$dir/kc" >>"$dir/server.log" 2>&1 &
    server=$!
    for _ in $(seq 100); do
        [ -s "$dir/kc" ] && k get --raw /readyz >/dev/null && return 0
        sleep 0.1
    done
    echo "the server did not start:"
    cat "$dir/server.log"
    exit 1
}
start_agent() {
    nsenter --net=/run/netns/n1 "$build/keelson" agent --state-dir "$dir/node" --run-dir "$dir/run" --log-dir "$dir/log" --kubeconfig "$dir/n1.kc" \
        --node-address 192.168.77.2 >>"$dir/agent.log" 2>&1 &
    agent=$!
}
ready() { [ "$(k get node n1 -o "jsonpath={.status.conditions[?(@.type=='Ready')].status}")" = True ]; }
pod_is() { k get pod "$1" -o "jsonpath=$2" | grep -qF "$3"; }
started_at() { k get pod "$1" -o 'jsonpath={.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}'; }
lines() { wc -l <"$dir/count" 2>/dev/null || echo 0; }

"$build/keelson" image --dir "$dir/node/images" build --busybox localhost/busybox:e2e >/dev/null || exit 1
start_server

# --- credentials ---
"$build/keelson" pki node 'no/name' --state-dir "$dir/state" --kubeconfig "$dir/kc" 2>/dev/null
is "a name that is none is wrong use" 2 $?
"$build/keelson" pki node n1 --state-dir "$dir/state" --kubeconfig "$dir/kc" --out "$dir/n1.kc"
is "pki node" 0 $?
is "only its owner reads it" 600 "$(stat -c %a "$dir/n1.kc")"
"$build/keelson" agent --state-dir "$dir/x" --run-dir "$dir/x" --log-dir "$dir/x" --kubeconfig "$dir/kc" 2>"$dir/err"
is "an administrator is no node" 2 $?
has "and the reason is said" "certificate is no node's" "$(cat "$dir/err")"
start_agent
eventually "the node becomes ready" 20 ready
n() { timeout 20 kubectl --kubeconfig "$dir/n1.kc" "$@" 2>&1; }

# --- pods, through the node's own port ---
cat >"$dir/all.yaml" <<END
apiVersion: v1
kind: Secret
metadata: {name: used}
stringData: {word: swordfish}
---
apiVersion: v1
kind: Secret
metadata: {name: unused}
stringData: {word: herring}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: page}
data: {index.html: "hello from a node"}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - {name: c, image: localhost/busybox:e2e, command: [sh, -c, "echo begun; echo \$WORD; while true; do echo tick >>/shared/count; sleep 0.2; done & exec httpd -f -p 8080 -h /www"],
     env: [{name: WORD, valueFrom: {secretKeyRef: {name: used, key: word}}}],
     volumeMounts: [{name: www, mountPath: /www}, {name: shared, mountPath: /shared}]}
  terminationGracePeriodSeconds: 1
  volumes: [{name: www, configMap: {name: page}}, {name: shared, hostPath: {path: $dir}}]
END
: >"$dir/count"
k apply -f "$dir/all.yaml" >/dev/null
eventually "a pod runs" 30 pod_is web '{.status.conditions[?(@.type=="Ready")].status}' True
logged() { k logs web | grep -q swordfish; }
eventually "logs" 10 logged
has "exec" "hello from a node" "$(k exec web -- cat /www/index.html)"
has "exec takes input" "and out" "$(echo and out | k exec -i web -- cat)"
k exec web -- sh -c 'exit 7' >/dev/null
is "exec tells the exit status" 7 $?
k patch configmap page -p '{"data":{"index.html":"a new page"}}' >/dev/null
eventually "a changed config map reaches the pod" 30 sh -c "kubectl --kubeconfig $dir/kc exec web -- cat /www/index.html | grep -q 'a new page'"
k port-forward pod/web 18080:8080 >"$dir/pf" 2>&1 &
pf=$!
eventually "port-forward" 10 sh -c "curl -s http://127.0.0.1:18080/index.html | grep -q 'a new page'"
kill $pf
wait $pf 2>/dev/null
has "the node's port through the API" '"name":"web"' "$(k get --raw /api/v1/nodes/n1/proxy/pods)"
has "by the port that clients know" '"name":"web"' "$(k get --raw /api/v1/nodes/https:n1:10250/proxy/pods)"
has "figures" usageCoreNanoSeconds "$(k get --raw /api/v1/nodes/n1/proxy/stats/summary)"
held=$(k get --raw /api/v1/nodes/n1/proxy/debug/mirror)
has "what is held" '"state":"watching"' "$held"
has "what its pods use is held by name" '"selector":"metadata.name=page","state":"watching"' "$held"
is "nobody else gets an answer there" 401 "$(curl -sk -o /dev/null -w '%{http_code}' https://192.168.77.2:10250/pods)"
sed -n 's/.*client-certificate-data: //p' "$dir/kc" | base64 -d >"$dir/admin.crt"
sed -n 's/.*client-key-data: //p' "$dir/kc" | base64 -d >"$dir/admin.key"
is "an administrator gets one" 200 "$(curl -sk --cert "$dir/admin.crt" --key "$dir/admin.key" -o /dev/null -w '%{http_code}' https://192.168.77.2:10250/pods)"
has "the node's certificate is that of its name" "DNS:n1" "$(echo | openssl s_client -connect 192.168.77.2:10250 2>/dev/null | openssl x509 -noout -ext subjectAltName)"

# --- a second node ---
"$build/keelson" image --dir "$dir/node2/images" build --busybox localhost/busybox:e2e >/dev/null
"$build/keelson" pki node n2 --state-dir "$dir/state" --kubeconfig "$dir/kc" --out "$dir/n2.kc"
nsenter --net=/run/netns/n2 "$build/keelson" agent --state-dir "$dir/node2" --run-dir "$dir/run2" --log-dir "$dir/log2" --kubeconfig "$dir/n2.kc" \
    --node-address 192.168.78.2 >>"$dir/agent2.log" 2>&1 &
agent2=$!
eventually "a second node becomes ready" 20 sh -c "kubectl --kubeconfig $dir/kc wait --for=condition=Ready node/n2 --timeout=1s"
cidrs=$(k get nodes -o 'jsonpath={.items[*].spec.podCIDR}')
is "each has pod addresses of its own" 2 "$(echo "$cidrs" | tr ' ' '\n' | sort -u | grep -c /)"
k run there --image=localhost/busybox:e2e --restart=Never --overrides='{"spec":{"nodeName":"n2"}}' --command -- sh -c 'echo from n2; sleep 1000' >/dev/null
eventually "a pod runs there" 30 pod_is there '{.status.phase}' Running
has "and is reached through its node" "from n2" "$(k logs there)"
timeout 20 kubectl --kubeconfig "$dir/n2.kc" get secret used -o name >"$dir/err" 2>&1
has "a node does not read what another node's pods use" forbidden "$(cat "$dir/err")"
timeout 20 kubectl --kubeconfig "$dir/n2.kc" delete pod web >"$dir/err" 2>&1
has "nor does it delete them" forbidden "$(cat "$dir/err")"
k delete pod there --grace-period=1 >/dev/null
kill $agent2
wait $agent2
agent2=
k delete node n2 >/dev/null     # nothing more is sent there

# --- what a node may and may not do ---
has "a secret that its pod uses" secret/used "$(n get secret used -o name)"
has "no other secret" "forbidden" "$(n get secret unused -o name)"
has "no list of them" "forbidden" "$(n get secrets -o name)"
has "no other node" "is not allowed to modify node" "$(echo '{"apiVersion":"v1","kind":"Node","metadata":{"name":"other"}}' | n create -f -)"
has "no pod of its own making" "can only create mirror pods" "$(n run mine --image=x --overrides='{"spec":{"nodeName":"n1"}}')"
has "no workload" "forbidden" "$(n create deployment x --image=x)"

# --- kill -9 of the server ---
before=$(started_at web)
kill -9 $server
wait $server 2>/dev/null
c1=$(lines)
sleep 3
[ "$(lines)" -gt "$c1" ] && ok "the pod works on without a server" || fail "the pod works on without a server"
start_server
eventually "the agent finds the server again" 40 sh -c "kubectl --kubeconfig $dir/kc get --raw /api/v1/nodes/n1/proxy/debug/mirror | grep -q '\"state\":\"watching\"'"
k run second --image=localhost/busybox:e2e --restart=Never --command -- sh -c 'echo again; sleep 1000' >/dev/null
eventually "and runs what is new" 30 pod_is second '{.status.phase}' Running
is "the pod was not touched" "$before" "$(started_at web)"

# --- kill -9 of the agent ---
kill -9 $agent
wait $agent 2>/dev/null
c1=$(lines)
sleep 1
[ "$(lines)" -gt "$c1" ] && ok "the pod works on without an agent" || fail "the pod works on without an agent"
k delete pod second --grace-period=1 --wait=false >/dev/null
start_agent
eventually "a pod deleted meanwhile goes" 40 sh -c "! kubectl --kubeconfig $dir/kc get pod second"
eventually "logs after the restart" 20 sh -c "kubectl --kubeconfig $dir/kc logs web | grep -q swordfish"
is "the pod was adopted" "$before" "$(started_at web)"

# --- a server that is away, and an agent that starts meanwhile ---
kill $server
wait $server 2>/dev/null
kill $agent
wait $agent 2>/dev/null
c1=$(lines)
start_agent
sleep 4
[ "$(lines)" -gt "$c1" ] && ok "an agent without a server leaves pods alone" || fail "an agent without a server leaves pods alone"
kill -0 $agent 2>/dev/null && ok "and waits for it" || fail "and waits for it" "$(tail -3 "$dir/agent.log")"
start_server
eventually "then it works" 60 sh -c "kubectl --kubeconfig $dir/kc exec web -- true"
is "the pod is the same" "$before" "$(started_at web)"
eventually "the node is ready" 30 ready

k delete pod web --wait=false >/dev/null
eventually "a deleted pod goes" 30 sh -c "! kubectl --kubeconfig $dir/kc get pod web"
kill $agent
wait $agent
is "the agent ends well" 0 $?
agent=
[ $bad = 0 ] || tail -40 "$dir/agent.log"
exit $bad
