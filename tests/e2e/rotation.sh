#!/bin/sh
# A node that comes with a bootstrap token: it asks for its certificates, gets them signed, and asks again in time (they last 20 s here). Meanwhile its pod
# runs on, a log that is followed and an exec are not cut off, and the node stays ready.
# usage: rotation.sh BUILD_DIR. Skips (exit 0, with a reason) where pods cannot run.
# takes long
set -u
build=$(cd "$1" && pwd)
self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
. "$(dirname "$self")/lib/node.sh"
command -v openssl >/dev/null || {
    echo "skipped: no openssl"
    exit 0
}
root=$(cd "$(dirname "$self")/../.." && pwd)
sed 's|approve_serving = true;|approve_serving = true; duration = "20s";|' "$root/conf/keelson.cfg" >"$dir/keelson.cfg"
grep -q 'duration = "20s"' "$dir/keelson.cfg" || fail "the configuration has no signer"
ip addr add 192.0.2.7/32 dev lo
server=
trap 'ended=$?; kill $server 2>/dev/null; node_finish' EXIT
"$build/keelson" server --config "$dir/keelson.cfg" --plugins "$build/plugins" --state-dir "$dir/state" --address 192.0.2.7 --port 6443 --kubeconfig "$dir/kc" \
    >>"$dir/out" 2>&1 &
server=$!
eventually "the server is ready" 60 k get --raw /readyz || exit 1
k create -f - >/dev/null <<END
{"apiVersion":"v1","kind":"Secret","metadata":{"name":"bootstrap-token-abcdef","namespace":"kube-system"},"type":"bootstrap.kubernetes.io/token",
"stringData":{"token-id":"abcdef","token-secret":"0123456789abcdef","usage-bootstrap-authentication":"true","auth-extra-groups":"system:bootstrappers:keelson:default-node-token"}}
END
cat >"$dir/boot.kc" <<END
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://192.0.2.7:6443", certificate-authority: $dir/state/pki/ca.crt}}]
users: [{name: u, user: {token: abcdef.0123456789abcdef}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
END
"$build/keelson" image --dir "$dir/node/images" build --busybox $image >/dev/null || exit 1
start_agent() {
    "$build/keelson" agent --config "$dir/keelson.cfg" --plugins "$build/plugins" --state-dir "$dir/node" --run-dir "$dir/run" --log-dir "$dir/log" \
        --kubeconfig "$dir/boot.kc" --node-name $node --node-address 192.0.2.7 >>"$dir/out" 2>&1 &
    pid=$!
}
start_agent
eventually "a node with a bootstrap token becomes ready" 60 node_is_ready || exit 1
has "its requests are approved and signed" "Approved,Issued" "$(k get csr --no-headers)"
is "only its owner reads the key" 600 "$(stat -c %a "$dir/node/pki/node-client.pem")"
has "the certificate is the node's" "CN = system:node:$node" "$(openssl x509 -in "$dir/node/pki/node-client.pem" -noout -subject)"
k run web --image=$image --restart=Never --command -- sh -c 'while :; do date +tick-%s; sleep 1; done' >/dev/null
k wait --for=condition=Ready pod/web --timeout=60s >/dev/null
serial() { openssl x509 -in "$dir/node/pki/node-$1.pem" -noout -serial 2>/dev/null; }
shown() { echo | openssl s_client -connect 192.0.2.7:10250 2>/dev/null | openssl x509 -noout -serial 2>/dev/null; }
eventually "its own port answers" 60 k exec web -- true
has "with the name of the node" "DNS:$node" "$(echo | openssl s_client -connect 192.0.2.7:10250 2>/dev/null | openssl x509 -noout -ext subjectAltName)"
client=$(serial client) port=$(shown)
id=$(k get pod web -o 'jsonpath={.status.containerStatuses[0].containerID}')
timeout 100 kubectl logs -f web >"$dir/followed" 2>/dev/null &
follower=$!
timeout 100 kubectl exec web -- sh -c 'n=0; while [ $n -lt 45 ]; do echo $n; n=$((n + 1)); sleep 1; done' >"$dir/executed" 2>&1 &
execution=$!
other_client() { [ -n "$(serial client)" ] && [ "$(serial client)" != "$client" ]; }
other_port() { [ -n "$(shown)" ] && [ "$(shown)" != "$port" ]; }
eventually "the client certificate is renewed" 60 other_client
eventually "the port's certificate is renewed" 60 other_port
second=$(serial client)
client=$second
eventually "and again" 60 other_client
wait $execution
is "what was being executed went on to its end" "$(seq 0 44 | tr '\n' ' ')" "$(tr '\n' ' ' <"$dir/executed")"
sleep 2
kill $follower 2>/dev/null
wait $follower 2>/dev/null
lines=$(wc -l <"$dir/followed")
[ "$lines" -ge 40 ] && ok "what was being followed was followed all the time" || fail "what was being followed was followed all the time" "$lines lines"
has "new connections are made with the new ones" "Running" "$(k get pod web -o 'jsonpath={.status.phase}'; k exec web -- true)"
is "the pod is the same" "$id" "$(k get pod web -o 'jsonpath={.status.containerStatuses[0].containerID}')"
eventually "the node is ready" 30 node_is_ready

# A restart uses what is there, also without the token; an expired one is asked for anew.
kill $pid
wait $pid 2>/dev/null
start_agent
eventually "a restarted agent uses its certificate" 60 k exec web -- true
k delete secret -n kube-system bootstrap-token-abcdef >/dev/null
eventually "the node is ready again" 60 node_is_ready
k delete pod web --grace-period=0 --force >/dev/null 2>&1
exit $bad
