#!/bin/bash
# foreign-kubelet.sh BUILD_DIR - a node whose kubelet is not ours (foreign_kubelet.py): what it is asked, and how what it says in plain text is told.
build=$1
here=$(dirname "$0")
. "$here/lib/server.sh"
kubelet=
trap 'ended=$?; kill $kubelet 2>/dev/null; server_finish' EXIT
start_server
openssl req -newkey rsa:2048 -nodes -keyout "$dir/tls.key" -out "$dir/tls.csr" -subj /O=system:nodes/CN=system:node:far 2>/dev/null
openssl x509 -req -in "$dir/tls.csr" -CA "$dir/state/pki/ca.crt" -CAkey "$dir/state/pki/ca.key" -CAcreateserial -out "$dir/tls.crt" -days 2 \
    -extfile <(echo subjectAltName=DNS:far,IP:127.0.0.1) 2>/dev/null
python3 "$here/foreign_kubelet.py" "$dir/tls.crt" "$dir/tls.key" "$dir/asked" >"$dir/port" 2>"$dir/kubelet" &
kubelet=$!
for _ in $(seq 100); do [ -s "$dir/port" ] && break; sleep 0.1; done
k create -f - >/dev/null <<'END'
{"apiVersion":"v1","kind":"Node","metadata":{"name":"far"}}
END
k patch node far --subresource status --type merge -p '{"status":{"addresses":[{"type":"InternalIP","address":"127.0.0.1"}],
"daemonEndpoints":{"kubeletEndpoint":{"Port":'"$(cat "$dir/port")"'}}}}' >/dev/null
for pod in fine waits away broken; do
    k create -f - >/dev/null <<END
{"apiVersion":"v1","kind":"Pod","metadata":{"name":"$pod"},"spec":{"nodeName":"far","containers":[{"name":"main","image":"x"}]}}
END
done

want 'a line' logs fine
want 'Error from server (BadRequest): container "main" in pod "waits" is waiting to start: ContainerCreating' logs waits
want 'Error from server (NotFound): the server could not find the requested resource ( pods/log away)' logs away
want 'Error from server (InternalError): Internal error occurred: it is on fire' logs broken
want 'is waiting to start: ContainerCreating' get --raw /api/v1/namespaces/default/pods/waits/log
out=$(c -H 'Accept: text/plain, application/yaml' "$url/api/v1/namespaces/default/pods/fine/log")
[ "$out" = 'a line' ] || fail "what the client accepts is no matter of the kubelet's" "$out"
k logs fine --tail 5 --timestamps >/dev/null
grep -q '/containerLogs/default/fine/main?timestamps=true&tailLines=5' "$dir/asked" || fail "what is asked for logs" "$(cat "$dir/asked")"
k exec fine -- ls /tmp >/dev/null 2>&1
grep -q '/exec/default/fine/main?output=1&error=1&command=ls&command=%2Ftmp' "$dir/asked" || fail "what is asked to run" "$(cat "$dir/asked")"
echo | k exec -i fine -- cat >/dev/null 2>&1
grep -q '/exec/default/fine/main?input=1&output=1&error=1&command=cat' "$dir/asked" || fail "what is asked to run with input" "$(cat "$dir/asked")"
exit $bad
