#!/bin/sh
# Devices (resource.k8s.io): who may write what of a claim's status. usage: devices.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/server.sh"
needs kubectl
start_server

# --- the status: allocation is the schedulers', devices are their drivers' ---
k create namespace gran >/dev/null
k create role st -n gran --verb=get,update,patch --resource=resourceclaims/status,resourceclaims >/dev/null
k create rolebinding st -n gran --role=st --user=amy >/dev/null
k create clusterrole bind --verb=update,patch --resource=resourceclaims/binding >/dev/null
claim() { # NAME [MORE-OF-THE-REQUEST]
    printf '{"apiVersion":"resource.k8s.io/v1","kind":"ResourceClaim","metadata":{"name":"%s","namespace":"gran"},"spec":{"devices":{"requests":[{"name":"r","exactly":{"deviceClassName":"c"%s}}]}}}' \
        "$1" "${2:-}" >"$dir/claim.json"
}
claim x
want created create -f "$dir/claim.json"
allocation='{"status":{"allocation":{"devices":{"results":[{"request":"r","driver":"d.example.com","pool":"p","device":"d"}]},"nodeSelector":{"nodeSelectorTerms":[{"matchFields":[{"key":"metadata.name","operator":"In","values":["n1"]}]}]}}}}'
device() { printf '{"status":{"devices":[{"driver":"d.example.com","pool":"p","device":"d"%s}]}}' "${1:-}"; }
of_x="patch resourceclaim x -n gran --subresource=status --type=merge"
soon "who may not allocate" 'status.allocation: Forbidden: changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="patch" permission: resourceclaims.resource.k8s.io is forbidden: User "amy" cannot patch resource "resourceclaims/binding" in API group "resource.k8s.io" at the cluster scope' \
    k $of_x -p "$allocation" --as amy
k create clusterrolebinding bind --clusterrole=bind --user=amy >/dev/null
soon "who may" patched k $of_x -p "$allocation" --as amy
want 'status.devices: Forbidden: changing status.devices requires resource="resourceclaims/driver", verb="[arbitrary-node:patch]" permission: resourceclaims.resource.k8s.io "d.example.com" is forbidden: User "amy" cannot arbitrary-node:patch resource "resourceclaims/driver" in API group "resource.k8s.io" in the namespace "gran"' \
    $of_x -p "$(device)" --as amy
k create role drv -n gran --verb=arbitrary-node:patch --resource=resourceclaims/driver --resource-name=d.example.com >/dev/null
k create rolebinding drv -n gran --role=drv --user=amy >/dev/null
soon "a driver's right" patched k $of_x -p "$(device)" --as amy
want 'status.allocation: Invalid value' $of_x -p '{"status":{"allocation":{"devices":{"results":[{"request":"r","driver":"d.example.com","pool":"p","device":"other"}]}}}}'
want 'status.devices[0]: Invalid value: {"Driver":"d.example.com","Pool":"p","Device":"none","ShareID":""}: must be an allocated device in the claim' $of_x -p '{"status":{"devices":[{"driver":"d.example.com","pool":"p","device":"none"}]}}'

# a driver's service account, on the node and off it
k create serviceaccount bob -n gran >/dev/null
k create rolebinding bob -n gran --role=st --serviceaccount=gran:bob >/dev/null
k create role drv2 -n gran --verb=associated-node:patch --resource=resourceclaims/driver --resource-name=d.example.com >/dev/null
k create rolebinding drv2 -n gran --role=drv2 --serviceaccount=gran:bob >/dev/null
bob() { # NODE
    c -X PATCH -H 'content-type: application/merge-patch+json' -H 'Impersonate-User: system:serviceaccount:gran:bob' \
        -H "Impersonate-Extra-authentication.kubernetes.io%2fnode-name: $1" -d "$(device ',"data":{"a":1}')" "$url/apis/resource.k8s.io/v1/namespaces/gran/resourceclaims/x/status"
}
for _ in $(seq 300); do
    out=$(bob n1)
    case "$out" in *'"kind":"ResourceClaim"'*) break ;; esac
    sleep 0.1
done
case "$out" in *'"data":{"a":1}'*) ;; *) fail "a driver on the node" "$out" ;; esac
case "$(bob n2)" in *'"kind":"ResourceClaim"'*) ;; *) fail "nothing changes" ;; esac
want patched $of_x -p "$(device)"
case "$(bob n2)" in *'verb=\"[arbitrary-node:patch]\"'*) ;; *) fail "a driver on another node" "$(bob n2)" ;; esac

# what is given back takes along what its driver said; metadata is nobody's who writes a status
want patched $of_x -p '{"metadata":{"labels":{"a":"b"}},"status":{"allocation":null}}'
want '{}{}' get resourceclaim x -n gran -o 'jsonpath={.status}{.metadata.labels}{"{}"}'

# access as an administrator: the namespace says
admin='admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace'
as_admin='{"status":{"allocation":{"devices":{"results":[{"request":"r","driver":"d.example.com","pool":"p","device":"d","adminAccess":true}]}}}}'
want "status.allocation.devices.results[0].adminAccess: Forbidden: $admin" $of_x -p "$as_admin"
claim y ',"adminAccess":true'
want "spec.devices.requests[0].adminAccess: Forbidden: $admin" create -f "$dir/claim.json"
sed 's/"kind":"ResourceClaim"/"kind":"ResourceClaimTemplate"/; s/"spec":{"devices"/"spec":{"spec":{"devices"/; s/$/}/' "$dir/claim.json" >"$dir/template.json"
want "spec.devices.requests[0].adminAccess: Forbidden: $admin" create -f "$dir/template.json"
k label namespace gran resource.kubernetes.io/admin-access=true >/dev/null
want created create -f "$dir/claim.json"
want created create -f "$dir/template.json"
want patched $of_x -p "$as_admin"

# --- what a selector may cost ---
printf '{"apiVersion":"resource.k8s.io/v1","kind":"DeviceClass","metadata":{"name":"dear"},"spec":{"selectors":[{"cel":{"expression":"%s"}}]}}' \
    'device.attributes.all(a, device.attributes.all(b, device.attributes.all(c, device.attributes.all(d, a + b == c + d))))' >"$dir/dear.json"
want 'spec.selectors[0].cel.expression: Forbidden: too complex, exceeds cost limit' create -f "$dir/dear.json"

# --- claims of templates: made for pods, told in their status, reserved, given back, deleted ---
k create namespace claims >/dev/null
pod() { # NAME ENTRIES [MORE-OF-THE-SPEC]
    printf '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s","namespace":"claims"},"spec":{"resourceClaims":[%s],"containers":[{"name":"c","image":"x","resources":{"claims":[{"name":"gpu"}]}}]%s}}' \
        "$1" "$2" "${3:-}"
}
from_template='{"name":"gpu","resourceClaimTemplateName":"one"},{"name":"again","resourceClaimTemplateName":"one"}'
pod early "$from_template" | k create -f - >/dev/null
soon "no template" 'PodResourceClaim gpu: resource claim template "one": resourceclaimtemplate.resource.k8s.io "one" not found' k get events -n claims --field-selector reason=FailedResourceClaimCreation
cat <<END | k create -f - >/dev/null
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: { name: one, namespace: claims }
spec:
  metadata: { labels: { made: of-one }, annotations: { a: b } }
  spec: { devices: { requests: [ { name: r, exactly: { deviceClassName: c } } ] } }
END
soon "a template that comes" 'gpu again ' k get pod early -n claims -o 'jsonpath={.status.resourceClaimStatuses[*].name} {.metadata.nothing}'
made=$(k get pod early -n claims -o 'jsonpath={.status.resourceClaimStatuses[0].resourceClaimName}')
case "$made" in early-gpu-?????) ;; *) fail "a claim's name" "$made" ;; esac
want "of-one b gpu v1 Pod early true " get resourceclaim "$made" -n claims \
    -o 'jsonpath={.metadata.labels.made} {.metadata.annotations.a} {.metadata.annotations.resource\.kubernetes\.io/pod-claim-name} {.metadata.ownerReferences[0].apiVersion} {.metadata.ownerReferences[0].kind} {.metadata.ownerReferences[0].name} {.metadata.ownerReferences[0].controller} {.metadata.ownerReferences[0].blockOwnerDeletion}'
# one that somebody took away comes back under another name
k delete resourceclaim "$made" -n claims >/dev/null
for _ in $(seq 300); do
    next=$(k get pod early -n claims -o 'jsonpath={.status.resourceClaimStatuses[0].resourceClaimName}')
    [ "$next" != "$made" ] && break
    sleep 0.1
done
case "$next" in "$made") fail "a claim that was taken away" ;; early-gpu-?????) ;; *) fail "a claim's name" "$next" ;; esac
# a pod that somebody placed has its claims reserved; when it ends, the devices are given back and the claim goes
pod placed '{"name":"gpu","resourceClaimTemplateName":"one"},{"name":"mine","resourceClaimName":"mine"}' ',"nodeName":"nowhere"' | k create -f - >/dev/null
sed 's/gran/claims/; s/"name":"y"/"name":"mine"/; s/,"adminAccess":true//' "$dir/claim.json" | k create -f - >/dev/null
soon "the pod that somebody placed" placed-gpu k get pod placed -n claims -o 'jsonpath={.status.resourceClaimStatuses[0].resourceClaimName}'
made=$(k get pod placed -n claims -o 'jsonpath={.status.resourceClaimStatuses[0].resourceClaimName}')
for claim in "$made" mine; do
    want patched patch resourceclaim "$claim" -n claims --type=merge -p '{"metadata":{"finalizers":["resource.kubernetes.io/delete-protection"]}}'
    want patched patch resourceclaim "$claim" -n claims --subresource=status --type=merge -p "$allocation"
done
k label pod placed -n claims look=again >/dev/null
for claim in "$made" mine; do
    soon "it is reserved" "pods placed" k get resourceclaim "$claim" -n claims -o 'jsonpath={.status.reservedFor[0].resource} {.status.reservedFor[0].name}'
done
want patched patch pod placed -n claims --subresource=status --type=merge -p '{"status":{"phase":"Succeeded"}}'
soon "a claim made for a pod goes" NotFound k get resourceclaim "$made" -n claims
soon "one of its own stays" '{}[]' k get resourceclaim mine -n claims -o 'jsonpath={.status}[{.metadata.finalizers}]'
exit $bad
