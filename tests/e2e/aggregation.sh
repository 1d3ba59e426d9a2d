#!/bin/bash
# aggregation.sh BUILD_DIR - a group of another server behind an APIService: routing, who asks, availability, discovery, gone and back. In a network
# namespace of its own, with an address that Endpoints may name.
# takes long
[ -n "$KEELSON_IN_NETNS" ] || exec env KEELSON_IN_NETNS=1 unshare -n -- "$0" "$@"
ip link set lo up
ip addr add 192.0.2.10/32 dev lo
build=$1
here=$(dirname "$0")
. "$here/lib/server.sh"
. "$here/lib/certs.sh"
backend=
trap 'ended=$?; kill $backend 2>/dev/null; server_finish' EXIT

start_backend() {
    python3 "$here/aggregation.py" "$dir/tls.crt" "$dir/tls.key" "$dir/state/pki/front-proxy-ca.crt" 192.0.2.10 "${1:-0}" >"$dir/port" 2>>"$dir/backend" &
    backend=$!
    for _ in $(seq 100); do [ -s "$dir/port" ] && break; sleep 0.1; done
    port=$(cat "$dir/port")
}
# asked EXPRESSION: true of some request that the server saw.
asked() {
    curl -sk https://192.0.2.10:"$port"/asked | python3 -c "import json,sys
sys.exit(0 if any($1 for r in json.load(sys.stdin)) else 1)" || fail "no request was: $1" "$(curl -sk https://192.0.2.10:"$port"/asked)"
}

start_server
# What this server serves itself is registered.
want Local get apiservice v1.apps v1. v2.autoscaling
want True get apiservice v1.apps
want 17800 get apiservice v1.apps -o 'jsonpath={.spec.groupPriorityMinimum}'
want 'kube-aggregator.kubernetes.io/automanaged":"onstart' get apiservice v1. -o 'jsonpath={.metadata.labels}'
for part in front-proxy-client X-Remote-User X-Remote-Group X-Remote-Extra- X-Remote-Uid 'BEGIN CERTIFICATE' client-ca-file requestheader-client-ca-file; do
    want "$part" get configmap extension-apiserver-authentication -n kube-system -o yaml
done
k create -f - >/dev/null <<'END'
{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.shop.example"},"spec":{"group":"shop.example","scope":"Namespaced",
"names":{"plural":"widgets","kind":"Widget"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]}}
END
comes '"automanaged"' k get apiservice v1.shop.example -o 'go-template={{range $k, $v := .metadata.labels}}"automanaged" {{$v}}{{end}}'
k delete crd widgets.shop.example >/dev/null
comes NotFound k get apiservice v1.shop.example

# A server elsewhere: its certificate names the Service.
ca "$dir/ca"
cert "$dir/ca" "$dir/tls" /CN=api.wardle.svc subjectAltName=DNS:api.wardle.svc
start_backend
k create namespace wardle >/dev/null
apiservice() {
    printf '{"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v1.wardle.example.com"},"spec":{"group":"wardle.example.com","version":"v1",
"groupPriorityMinimum":1000,"versionPriority":15,"service":{"namespace":"wardle","name":"api"},%s}}' "$1"
}
apiservice "\"caBundle\":\"$(base64 -w0 "$dir/ca.crt")\"" | k create -f - >/dev/null
comes 'False (ServiceNotFound)' k get apiservice v1.wardle.example.com
want 'service/api in "wardle" is not present' get apiservice v1.wardle.example.com -o 'jsonpath={.status.conditions[0].message}'
want ServiceUnavailable get --raw /apis/wardle.example.com/v1
case "$(c "$url/apis/wardle.example.com/v1")" in 'service unavailable') ;; *) fail 'what is not there is unavailable' ;; esac
k create -f - >/dev/null <<END
{"apiVersion":"v1","kind":"Service","metadata":{"name":"api","namespace":"wardle"},"spec":{"ports":[{"name":"https","port":444}]}}
END
comes 'False (ServicePortError)' k get apiservice v1.wardle.example.com
k patch service api -n wardle --type json -p '[{"op":"replace","path":"/spec/ports/0/port","value":443}]' >/dev/null
comes 'False (EndpointsNotFound)' k get apiservice v1.wardle.example.com
slice() {
    printf '{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"api-1","namespace":"wardle","labels":{"kubernetes.io/service-name":"api"}},
"addressType":"IPv4","ports":[{"name":"https","port":%s}],"endpoints":[{"addresses":["192.0.2.10"],"conditions":{"ready":%s}}]}' "$1" "$2"
}
slice "$port" false | k create -f - >/dev/null
comes 'False (MissingEndpoints)' k get apiservice v1.wardle.example.com
slice "$port" true | k replace -f - >/dev/null
comes 'wardle/api   True' k get apiservice v1.wardle.example.com

# It is one of the cluster's groups now.
rm -rf "$dir/.kube"
want 'flunders' api-resources --api-group wardle.example.com
want 'wardle.example.com/v1' api-versions
want '"preferredVersion":{"groupVersion":"wardle.example.com/v1","version":"v1"}' get --raw /apis/wardle.example.com
k create -f - >/dev/null <<'END'
{"apiVersion":"wardle.example.com/v1","kind":"Flunder","metadata":{"name":"first","namespace":"default"}}
END
want first get flunders
want 'flunder.wardle.example.com/first' get flu first -o name
want 'flunders.wardle.example.com "none" not found' get flunder none
comes 'A Flunder of the aggregated server.' k explain flunder
kubectl get flunders --watch-only -o name >"$dir/watched" 2>&1 &
watcher=$!
for i in $(seq 100); do
    printf '{"apiVersion":"wardle.example.com/v1","kind":"Flunder","metadata":{"name":"w%d","namespace":"default"}}' "$i" | k create -f - >/dev/null
    grep -q flunder.wardle "$dir/watched" && break
    sleep 0.2
done
grep -q flunder.wardle "$dir/watched" || fail "a watch through the aggregator" "$(cat "$dir/watched")"
kill "$watcher"
wait "$watcher" 2>/dev/null
want deleted delete flunder first

# It is told who asks, and only that.
asked "r['user'] == ['kubernetes-admin'] and 'system:masters' in r['groups'] and r['method'] == 'POST'"
k get flunders --as eve --as-group 'system:masters' --as-uid 42 >/dev/null
asked "r['user'] == ['eve'] and 'system:masters' in r['groups'] and 'system:authenticated' in r['groups'] and r['uid'] == '42' and not r['impersonate']"
c -H 'X-Remote-User: mallory' -H 'X-Remote-Group: forged' -H 'X-Remote-Extra-a: b' "$url/apis/wardle.example.com/v1/namespaces/default/flunders?limit=7" >/dev/null
asked "r['user'] == ['kubernetes-admin'] and 'limit=7' in r['path'] and 'forged' not in r['groups'] and list(r['extra']) == ['x-remote-extra-authentication.kubernetes.io%2fcredential-id']"
c -H 'Impersonate-User: eve' -H 'Impersonate-Group: system:masters' -H 'Impersonate-Extra-Reason%2fx: because' "$url/apis/wardle.example.com/v1/namespaces/default/flunders" >/dev/null
asked "r['extra'] == {'x-remote-extra-reason%2fx': 'because'}"
want forbidden get flunders --as nobody
not nobody get --raw /apis/wardle.example.com/v1

# Gone and back, at another port.
kill "$backend"
wait "$backend" 2>/dev/null
: >"$dir/port"
comes 'False (FailedDiscoveryCheck)' k get apiservice v1.wardle.example.com
want ServiceUnavailable get --raw /apis/wardle.example.com/v1/flunders
case "$(c -H 'Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' "$url/apis")" in
*'"resource":"flunders"'*'"freshness":"Stale"'*) ;;
*) fail "discovery keeps what it knew, and says that it is old" ;;
esac
start_backend
slice "$port" true | k replace -f - >/dev/null
comes 'wardle/api   True' k get apiservice v1.wardle.example.com
want FlunderList get --raw /apis/wardle.example.com/v1/flunders

# A restart without a gap has none for others' groups: the process that goes on has asked nobody yet, and waits for what it hears.
while :; do c -o /dev/null -w '%{http_code}\n' "$url/apis/wardle.example.com/v1/flunders"; done >"$dir/codes" &
reader=$!
for _ in 1 2 3; do
    said=$("$build/keelson" restart --state-dir "$dir/state" 2>&1) || fail "a restart" "$said"
    pid=$(echo "$said" | sed -n 's/^process \([0-9]*\) .*/\1/p')
    want FlunderList get --raw /apis/wardle.example.com/v1/flunders
done
kill "$reader"
wait "$reader" 2>/dev/null
[ "$(sort -u "$dir/codes")" = 200 ] || fail "others' groups are there all the time" "$(sort "$dir/codes" | uniq -c)"

# Whose certificate it is counts.
apiservice "\"caBundle\":\"$(base64 -w0 "$dir/state/pki/ca.crt")\"" | k apply -f - >/dev/null
comes 'False (FailedDiscoveryCheck)' k get apiservice v1.wardle.example.com
apiservice '"insecureSkipTLSVerify":true' | k replace -f - >/dev/null
comes 'wardle/api   True' k get apiservice v1.wardle.example.com
k delete apiservice v1.wardle.example.com >/dev/null
comes 'NotFound' k get --raw /apis/wardle.example.com/v1
not wardle api-versions

case "$(apiservice '"insecureSkipTLSVerify":true,"caBundle":"Cg=="' | k create -f -)" in *'may not be true if caBundle is present'*) ;; *) fail "both kinds of trust" ;; esac
exit $bad
