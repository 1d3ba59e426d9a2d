#!/bin/sh
# More than 50,000 questions who may do what, over random roles and bindings and the default ones, against an oracle that reads the same objects;
# and what a node that was taken over tries. usage: authz-matrix.sh BUILD_DIR [SEED]
set -u
build=$(cd "$1" && pwd)
seed=${2:-1}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/server.sh"
needs kubectl python3 curl
start_server
pki=$dir/state/pki
k create namespace m1 >/dev/null
k create namespace m2 >/dev/null
python3 "$here/authz_oracle.py" objects "$seed" >"$dir/objects.json"
out=$(k create -f "$dir/objects.json")
case "$out" in *rror*) fail "the policy" "$out" ;; esac
# The last sums are there when the roles that they are put together from are in them.
for _ in $(seq 100); do
    [ "$(k get clusterrole sum-a sum-b view edit admin -o jsonpath='{range .items[*]}{.rules[0].verbs[0]} {end}' | wc -w)" -ge 4 ] && break
    sleep 0.1
done
sleep 0.5
k get clusterroles,clusterrolebindings -o json >"$dir/cluster.json"
k get roles,rolebindings -A -o json >"$dir/spaces.json"
python3 -c 'import json, sys; print(json.dumps({"items": sum((json.load(open(f))["items"] for f in sys.argv[1:]), [])}))' "$dir/cluster.json" "$dir/spaces.json" \
    >"$dir/policy.json"
python3 "$here/authz_oracle.py" ask "${url##*:}" "$pki/ca.crt" "$pki/admin.crt" "$pki/admin.key" "$dir/policy.json" "$seed" || bad=1

# --- a node that was taken over ---
k apply -f - >/dev/null <<EOF
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Node, metadata: {name: n1}}
- {apiVersion: v1, kind: Node, metadata: {name: n2}}
- {apiVersion: v1, kind: ServiceAccount, metadata: {name: mine, namespace: m1}}
- {apiVersion: v1, kind: ServiceAccount, metadata: {name: theirs, namespace: m1}}
- {apiVersion: v1, kind: Secret, metadata: {name: mine, namespace: m1}}
- {apiVersion: v1, kind: Secret, metadata: {name: theirs, namespace: m1}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: theirs, namespace: m1}}
- {apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: n2, namespace: kube-node-lease}}
- {apiVersion: v1, kind: PersistentVolume, metadata: {name: theirs}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /x}}}
EOF
pod() {
    cat <<EOF
{"apiVersion":"v1","kind":"Pod","metadata":{"name":"$1","namespace":"m1"},"spec":{"nodeName":"$2","serviceAccountName":"$1","containers":[{"name":"c","image":"x"}],
"volumes":[{"name":"s","secret":{"secretName":"$1"}}]}}
EOF
}
pod mine n1 | k create -f - >/dev/null
pod theirs n2 | k create -f - >/dev/null
# node METHOD PATH [BODY [TYPE]]: what the API answers to node n1: the status
node() {
    c -o "$dir/answer" -w '%{http_code}' -X "$1" -H 'Impersonate-User: system:node:n1' -H 'Impersonate-Group: system:nodes' ${3:+--data "$3"} \
        -H "content-type: ${4:-application/json}" "$url$2"
}
may() {
    got=$(node "$@")
    case "$got" in 2*) ;; *) fail "a node may: $1 $2" "got $got" "$(cat "$dir/answer")" ;; esac
}
escape=0
mayn() {
    got=$(node "$@")
    escape=$((escape + 1))
    [ "$got" = 403 ] || fail "a node may not: $*" "got $got" "$(cat "$dir/answer")"
}
merge=application/merge-patch+json
m1=/api/v1/namespaces/m1
may GET $m1/pods/mine
may GET "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1"
may GET $m1/secrets/mine
may GET "$m1/secrets?fieldSelector=metadata.name%3Dmine"
may GET /api/v1/nodes/n1
may PATCH $m1/pods/mine/status '{"status":{"phase":"Running"}}' $merge
# others' pods
mayn GET $m1/pods/theirs
mayn GET $m1/pods
mayn GET /api/v1/pods
mayn GET "/api/v1/pods?watch=1"
mayn GET "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2"
mayn GET "/api/v1/pods?fieldSelector=spec.nodeName%21%3Dn1"
mayn PATCH $m1/pods/theirs/status '{"status":{"phase":"Failed"}}' $merge
mayn DELETE $m1/pods/theirs
mayn DELETE $m1/pods
mayn POST $m1/pods/theirs/eviction '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"theirs","namespace":"m1"}}'
mayn POST "$m1/pods/theirs/exec?command=id"
mayn POST "$m1/pods/mine/exec?command=id"
mayn POST $m1/pods/mine/binding '{"target":{"name":"n2"}}'
mayn PATCH $m1/pods/mine '{"metadata":{"labels":{"a":"b"}}}' $merge
mayn PATCH $m1/pods/mine/status '{"metadata":{"labels":{"a":"b"}}}' $merge
mayn PATCH $m1/pods/mine/ephemeralcontainers '{}' $merge
# pods of its own making
mayn POST $m1/pods "$(pod made n1)"
mayn POST $m1/pods '{"metadata":{"name":"m","annotations":{"kubernetes.io/config.mirror":"h"}},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"x"}]}}'
mayn POST $m1/pods '{"metadata":{"name":"m","annotations":{"kubernetes.io/config.mirror":"h"}},"spec":{"nodeName":"n2","containers":[{"name":"c","image":"x"}]}}'
mayn POST /apis/apps/v1/namespaces/m1/daemonsets '{}'
# secrets and what else is others'
mayn GET $m1/secrets/theirs
mayn GET $m1/secrets
mayn GET "$m1/secrets?watch=1"
mayn GET "$m1/secrets?fieldSelector=metadata.name%3Dtheirs"
mayn GET "/api/v1/secrets?fieldSelector=metadata.name%3Dmine"
mayn GET /api/v1/namespaces/m2/secrets/mine
mayn PUT $m1/secrets/mine '{"metadata":{"name":"mine"}}'
mayn GET $m1/configmaps/theirs
mayn GET /api/v1/persistentvolumes/theirs
mayn GET /api/v1/persistentvolumes
mayn GET $m1/serviceaccounts/theirs
mayn GET $m1/serviceaccounts
# tokens
mayn POST $m1/serviceaccounts/theirs/token '{"spec":{"audiences":[]}}'
mayn POST /api/v1/namespaces/kube-system/serviceaccounts/namespace-controller/token '{"spec":{"audiences":[]}}'
uid=$(k get pod theirs -n m1 -o jsonpath='{.metadata.uid}')
own=$(k get pod mine -n m1 -o jsonpath='{.metadata.uid}')
token() { printf '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"audiences":[],"boundObjectRef":%s}}' "$1"; }
may POST $m1/serviceaccounts/mine/token "$(token '{"apiVersion":"v1","kind":"Pod","name":"mine","uid":"'"$own"'"}')"
mayn POST $m1/serviceaccounts/mine/token "$(token null)"
mayn POST $m1/serviceaccounts/mine/token "$(token '{"apiVersion":"v1","kind":"Pod","name":"mine"}')"
mayn POST $m1/serviceaccounts/mine/token "$(token '{"apiVersion":"v1","kind":"Pod","name":"mine","uid":"'"$uid"'"}')"
mayn POST $m1/serviceaccounts/mine/token "$(token '{"apiVersion":"v1","kind":"Pod","name":"theirs","uid":"'"$uid"'"}')"
mayn POST $m1/serviceaccounts/mine/token "$(token '{"apiVersion":"v1","kind":"Secret","name":"mine","uid":"x"}')"
mayn POST $m1/serviceaccounts/mine/token "$(token '{"apiVersion":"v1","kind":"Node","name":"n1","uid":"x"}')"
# nodes and leases
mayn GET /api/v1/nodes/n2
mayn GET /api/v1/nodes
mayn PATCH /api/v1/nodes/n2 '{"metadata":{"labels":{"a":"b"}}}' $merge
mayn PATCH /api/v1/nodes/n2/status '{"status":{}}' $merge
mayn DELETE /api/v1/nodes/n2
mayn DELETE /api/v1/nodes/n1
mayn POST /api/v1/nodes '{"apiVersion":"v1","kind":"Node","metadata":{"name":"n3"}}'
mayn PATCH /api/v1/nodes/n1 '{"metadata":{"labels":{"node-restriction.kubernetes.io/x":"y"}}}' $merge
mayn PATCH /api/v1/nodes/n1 '{"metadata":{"labels":{"node-role.kubernetes.io/control-plane":""}}}' $merge
mayn PATCH /api/v1/nodes/n1/status '{"metadata":{"labels":{"node-role.kubernetes.io/control-plane":""}}}' $merge
mayn PATCH /api/v1/nodes/n1 '{"spec":{"taints":[{"key":"a","effect":"NoSchedule"}]}}' $merge
mayn PATCH /api/v1/nodes/n1 '{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"a","uid":"b"}]}}' $merge
mayn GET /api/v1/nodes/n1/proxy/pods
mayn GET /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n2
mayn PATCH /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n2 '{"spec":{"holderIdentity":"n1"}}' $merge
mayn DELETE /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n2
mayn POST /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases '{"metadata":{"name":"n3"}}'
mayn POST /apis/coordination.k8s.io/v1/namespaces/kube-system/leases '{"metadata":{"name":"n1"}}'
mayn POST /apis/storage.k8s.io/v1/csinodes '{"metadata":{"name":"n2"},"spec":{"drivers":[]}}'
# the cluster
mayn POST /apis/rbac.authorization.k8s.io/v1/clusterrolebindings '{"metadata":{"name":"x"},"roleRef":{"kind":"ClusterRole","name":"cluster-admin"}}'
mayn PUT /apis/certificates.k8s.io/v1/certificatesigningrequests/x/approval '{}'
mayn POST /api/v1/namespaces '{"metadata":{"name":"x"}}'
mayn PATCH /api/v1/namespaces/m1 '{}' $merge
mayn PATCH $m1/services/x '{}' $merge
echo "$escape ways out of a node tried"
exit $bad
