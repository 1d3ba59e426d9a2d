#!/bin/sh
# Role based access control with the real kubectl and users made by the cluster's CA: what is allowed, what is refused and in which words,
# default roles, aggregation, escalation, the listing of rules. usage: rbac.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
. "$(dirname "$0")/lib/server.sh"
needs kubectl openssl
start_server
server=$(sed -n 's|.*server: ||p' "$dir/state/admin.kubeconfig")
# user NAME [GROUP]: a kubeconfig for somebody
user() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$dir/$1.key" 2>/dev/null
    openssl req -new -key "$dir/$1.key" -subj "${2:+/O=$2}/CN=$1" -out "$dir/$1.csr" 2>/dev/null
    printf 'extendedKeyUsage=clientAuth\n' >"$dir/ext"
    openssl x509 -req -in "$dir/$1.csr" -CA "$dir/state/pki/ca.crt" -CAkey "$dir/state/pki/ca.key" -set_serial "$(date +%N | sed 's/^0*//')" -days 1 \
        -extfile "$dir/ext" -out "$dir/$1.crt" 2>/dev/null
}
user ann builders
user bob
as() {
    who=$1
    shift
    if [ "$who" = admin ]; then
        timeout 30 kubectl --kubeconfig "$dir/state/admin.kubeconfig" "$@" 2>&1
    else
        timeout 30 kubectl --kubeconfig /dev/null --server "$server" --certificate-authority "$dir/state/pki/ca.crt" --client-certificate "$dir/$who.crt" \
            --client-key "$dir/$who.key" "$@" 2>&1
    fi
}
# want TEXT WHO COMMAND...: the output holds the text.
want() {
    text=$1
    shift
    out=$(as "$@")
    case "$out" in
    *"$text"*) echo "ok: $*" ;;
    *)
        echo "FAILED: $*"
        echo "  wanted: $text"
        echo "  got:    $out"
        bad=1
        ;;
    esac
}
for _ in $(seq 50); do
    as admin get clusterrole view -o jsonpath='{.rules}' | grep -q pods/log && break
    sleep 0.1
done
want 'cannot list resource "pods" in API group "" in the namespace "default"' ann get pods
want 'User "ann"' ann get pods
want "no" ann auth can-i get pods
want "selfsubjectaccessreviews" ann auth can-i --list
want "v1" ann api-versions

# default roles, aggregated from one another
want "cluster-admin" admin get clusterroles
want "pods/exec" admin get clusterrole edit -o jsonpath='{.rules}'
want "rolebindings" admin get clusterrole admin -o jsonpath='{.rules}'
want "secrets" admin get clusterrole admin -o jsonpath='{.rules}'
case "$(as admin get clusterrole view -o jsonpath='{.rules}')" in *secrets*)
    echo "FAILED: view may read secrets"
    bad=1
    ;;
esac
want "created" admin create rolebinding ann-edits --clusterrole=edit --user=ann -n default
want "yes" ann auth can-i get pods
want "created" ann create configmap mine --from-literal=a=b
want "forbidden" ann create configmap mine --from-literal=a=b -n kube-system
want 'cannot list resource "nodes"' ann get nodes
want "pods/exec" ann auth can-i --list
want "created" admin create clusterrole extra --verb=get,list --resource=nodes
want "labeled" admin label clusterrole extra rbac.authorization.k8s.io/aggregate-to-view=true
for _ in $(seq 50); do
    as admin get clusterrole view -o jsonpath='{.rules}' | grep -q '"nodes"' && break
    sleep 0.1
done
want '"nodes"' admin get clusterrole view -o jsonpath='{.rules}'
want "created" admin create clusterrolebinding builders-view --clusterrole=view --group=builders
want "No resources found" ann get nodes

# names, subresources, everything under a path
want "created" admin create role one --verb=get,patch --resource=configmaps --resource-name=only
want "created" admin create rolebinding one --role=one --user=bob
want "created" admin create configmap only --from-literal=a=b
want "only" bob get configmap only
want 'configmaps "mine" is forbidden' bob get configmap mine
want 'cannot list resource' bob get configmaps
want "patched" bob patch configmap only --type=merge -p '{"data":{"a":"c"}}'
want 'cannot delete resource' bob delete configmap only

# nobody hands out what they do not hold
want "created" admin create role delegate --verb=get,list,create,update,patch,delete --resource=roles,rolebindings
want "created" admin create rolebinding delegate --role=delegate --user=bob
want 'roles.rbac.authorization.k8s.io "grab" is forbidden: user "bob" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:' bob create role grab --verb=get --resource=secrets
want '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}' bob create role grab --verb=get --resource=secrets
want "created" bob create role pass-on --verb=get --resource=configmaps --resource-name=only
want "is attempting to grant RBAC permissions not currently held" bob create rolebinding grab --clusterrole=admin --user=bob
want 'clusterroles.rbac.authorization.k8s.io "nothing" not found' bob create rolebinding grab --clusterrole=nothing --user=bob
has "the answer names the role that is missing" '"reason":"NotFound","details":{"name":"nothing","group":"rbac.authorization.k8s.io","kind":"clusterroles"},"code":404}' \
    "$(c -H 'Impersonate-User: bob' -H 'Content-Type: application/json' "$url/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings" \
        -d '{"metadata":{"name":"grab"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"nothing"}}')"
want "created" admin create role binder --verb=bind --resource=clusterroles --resource-name=view
want "rolebinding.rbac.authorization.k8s.io/binder created" admin create rolebinding binder --role=binder --user=bob
want "created" bob create rolebinding bob-views --clusterrole=view --user=bob

# what is taken away is gone at once
want "deleted" admin delete rolebinding ann-edits
want "forbidden" ann create configmap more --from-literal=a=b
want "deleted" admin delete clusterrolebinding builders-view
want "forbidden" ann get nodes
# reconcile: what is missing is added, twice is once
cat >"$dir/reconcile.yaml" <<EOF
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: rec, namespace: default}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: rec, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: rec}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: ann}]
EOF
want "role.rbac.authorization.k8s.io/rec reconciled" admin auth reconcile -f "$dir/reconcile.yaml"
want "No resources found" ann get configmaps -l no=such
want "patched" admin patch role rec --type=json -p '[{"op":"replace","path":"/rules/0/verbs","value":["watch"]}]'
want "rec reconciled" admin auth reconcile -f "$dir/reconcile.yaml"
want '["watch"]' admin get role rec -o jsonpath='{.rules[0].verbs}'
want '["get"]' admin get role rec -o jsonpath='{.rules[*].verbs}'
want "deleted" admin delete -f "$dir/reconcile.yaml"
want "ann" ann auth whoami
want "builders" ann auth whoami

# reviews: of a namespace, with selectors, of one's extra
review() { printf '{"apiVersion":"authorization.k8s.io/v1","kind":"%s","metadata":{%s},"spec":{%s}}' "$1" "$2" "$3" >"$dir/review.json"; }
review LocalSubjectAccessReview '"namespace":"default"' '"user":"bob","resourceAttributes":{"namespace":"default","verb":"get","resource":"configmaps","name":"only"}'
want "true" admin create -f "$dir/review.json" -o jsonpath='{.status.allowed}'
review LocalSubjectAccessReview '"namespace":"default"' '"user":"bob","resourceAttributes":{"namespace":"kube-system","verb":"get","resource":"configmaps"}'
want "must match metadata.namespace" admin create -f "$dir/review.json"
review LocalSubjectAccessReview '"namespace":"default"' '"user":"bob","nonResourceAttributes":{"path":"/api","verb":"get"}'
want "spec.nonResourceAttributes" admin create -f "$dir/review.json"
at='"user":"bob","resourceAttributes":{"namespace":"default","verb":"get","resource":"configmaps","name":"only","fieldSelector":'
review SubjectAccessReview '' "$at"'{"requirements":[{"key":"metadata.name","operator":"In","values":["only"]}]}}'
want "true" admin create -f "$dir/review.json" -o jsonpath='{.status.allowed} {.status.reason}'
review SubjectAccessReview '' "$at"'{"requirements":[{"key":"a","operator":"Exists"}]}}'
want "fieldSelector ignored due to parse error" admin create -f "$dir/review.json" -o jsonpath='{.status.evaluationError}'
review SubjectAccessReview '' "$at"'{"rawSelector":"a=b","requirements":[{"key":"a","operator":"In","values":["b"]}]}}'
want "may not specified at the same time as requirements" admin create -f "$dir/review.json"
review SubjectAccessReview '' "$at"'{}}'
want "requirements or rawSelector is required" admin create -f "$dir/review.json"
review SubjectAccessReview '' '"resourceAttributes":{"verb":"get","resource":"pods"}'
want "at least one of user or group must be specified" admin create -f "$dir/review.json"

# the next start repairs what was taken from default roles, and leaves alone what wants to be left
want "patched" admin patch clusterrole system:discovery --type=json -p '[{"op":"remove","path":"/rules"}]'
want "patched" admin patch clusterrole system:heapster --type=json -p '[{"op":"replace","path":"/rules/0/verbs","value":["get","list"]},{"op":"add","path":"/rules/-","value":{"apiGroups":[""],"resources":["x"],"verbs":["get"]}}]'
want "patched" admin patch clusterrole system:node-proxier --type=json -p '[{"op":"remove","path":"/rules/0"},{"op":"remove","path":"/metadata/labels"}]'
want "patched" admin patch clusterrole system:kube-dns --type=json -p '[{"op":"add","path":"/rules/-","value":{"apiGroups":[""],"resources":["x"],"verbs":["get"]}}]'
want "annotated" admin annotate --overwrite clusterrole system:kube-dns rbac.authorization.kubernetes.io/autoupdate=false
want "patched" admin patch clusterrole system:kube-dns --type=json -p '[{"op":"remove","path":"/rules/0"}]'
want "deleted" admin delete clusterrolebinding system:basic-user
want "clusterrole.rbac.authorization.k8s.io" admin delete clusterrole system:monitoring
want "patched" admin patch clusterrolebinding system:public-info-viewer --type=json -p '[{"op":"remove","path":"/subjects/1"}]'
kill "$pid"
wait "$pid"
start_server
server=$url
for _ in $(seq 50); do
    as admin get clusterrolebinding system:basic-user >/dev/null && break
    sleep 0.1
done
want '[{"nonResourceURLs":["/api"],"verbs":["get"]},{"nonResourceURLs":["/api/*"],"verbs":["get"]}' admin get clusterrole system:discovery -o jsonpath='{.rules}'
want '{"apiGroups":[""],"resources":["endpoints"],"verbs":["list"]}' admin get clusterrole system:node-proxier -o jsonpath='{.rules}'
# what is missing comes back piece by piece, what somebody added stays
want '[{"apiGroups":[""],"resources":["events","namespaces","nodes","pods"],"verbs":["get","list"]},{"apiGroups":["extensions"],"resources":["deployments"],"verbs":["get","list","watch"]},{"apiGroups":[""],"resources":["x"],"verbs":["get"]},{"apiGroups":[""],"resources":["events"],"verbs":["watch"]},{"apiGroups":[""],"resources":["namespaces"],"verbs":["watch"]},{"apiGroups":[""],"resources":["nodes"],"verbs":["watch"]},{"apiGroups":[""],"resources":["pods"],"verbs":["watch"]}]' \
    admin get clusterrole system:heapster -o jsonpath='{.rules}'
want 'rbac-defaults' admin get clusterrole system:node-proxier -o jsonpath='{.metadata.labels}'
want '[{"apiGroups":[""],"resources":["x"],"verbs":["get"]}]' admin get clusterrole system:kube-dns -o jsonpath='{.rules}'
want 'system:authenticated' admin get clusterrolebinding system:basic-user -o jsonpath='{.subjects}'
want '/metrics' admin get clusterrole system:monitoring -o jsonpath='{.rules}'
want 'system:unauthenticated' admin get clusterrolebinding system:public-info-viewer -o jsonpath='{.subjects}'
# a server that starts again refuses nobody because it has not read its roles yet: the first answer of each start is the right one
seq 3000 | sed 's|.*|{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"many-&"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"many-&"}]}|' |
    k create -f - >/dev/null
for _ in 1 2 3 4 5; do
    kill "$pid"
    wait "$pid"
    "$build/keelson" server --state-dir "$dir/state" --port "${server##*:}" >>"$dir/log" 2>&1 &
    pid=$!
    first=000
    for _ in $(seq 3000); do
        first=$(c -o /dev/null -w '%{http_code}' -H 'Impersonate-User: many-3000' "$server/api/v1/namespaces/default/pods")
        [ "$first" = 000 ] || break
    done
    is "the first answer after a start" 200 "$first"
done
[ "$bad" = 0 ] || tail -n 20 "$dir/log"
exit $bad
