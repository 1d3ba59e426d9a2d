#!/bin/sh
# Certificate requests with the real kubectl and openssl: approve, deny, what each signer takes, who may approve, nodes that are approved by themselves;
# the certificate works. Bootstrap tokens that end, and that sign cluster-info. usage: certificates.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
. "$(dirname "$0")/lib/server.sh"
needs kubectl openssl base64
start_server
until_has() { # TEXT COMMAND...: kubectl's output comes to hold the text, in a minute at most
    text=$1
    shift
    for _ in $(seq 300); do
        out=$(k "$@")
        case "$out" in *"$text"*) return 0 ;; esac
        sleep 0.2
    done
    fail "kubectl $*" "wanted: $text" "got: $out"
}
csr() { # NAME SUBJECT SIGNER USAGES [KUBECTL ARGUMENT...]
    name=$1 subject=$2 signer=$3 usages=$4
    shift 4
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$dir/$name.key" -subj "$subject" ${san:+-addext "subjectAltName=$san"} -out "$dir/$name.csr" 2>/dev/null
    k create "$@" -f - <<END
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: $name}
spec: {signerName: $signer, usages: [$usages], request: $(base64 -w0 "$dir/$name.csr")}
END
}
san=
client='digital signature, client auth'

# somebody's certificate, and what it is good for
csr ann /CN=ann/O=people kubernetes.io/kube-apiserver-client "$client" >/dev/null
want "Pending" get csr ann
want "kubernetes-admin" get csr ann -o jsonpath='{.spec.username}'
want "approved" certificate approve ann
until_has "Approved,Issued" get csr ann
k get csr ann -o jsonpath='{.status.certificate}' | base64 -d >"$dir/ann.crt"
openssl verify -CAfile "$dir/state/pki/ca.crt" "$dir/ann.crt" >/dev/null || fail "openssl verify" "$(cat "$dir/ann.crt")"
openssl x509 -in "$dir/ann.crt" -noout -subject -ext extendedKeyUsage | grep -q "TLS Web Client Authentication" || fail "the certificate's purpose"
out=$(timeout 30 kubectl --kubeconfig /dev/null --server "$url" --certificate-authority "$dir/state/pki/ca.crt" --client-certificate "$dir/ann.crt" --client-key "$dir/ann.key" auth whoami 2>&1)
case "$out" in *ann*people*) ;; *) fail "who is it" "$out" ;; esac

# refused ones
csr bob /CN=bob kubernetes.io/kube-apiserver-client "$client" >/dev/null
want "denied" certificate deny bob
until_has "Denied" get csr bob
want "" get csr bob -o jsonpath='{.status.certificate}'
out=$(csr root /CN=root/O=system:masters kubernetes.io/kube-apiserver-client "$client")
case "$out" in *'is forbidden: use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed'*) ;; *) fail "a master by request" "$out" ;; esac
csr wrong /CN=x kubernetes.io/kube-apiserver-client "digital signature, server auth" >/dev/null
k certificate approve wrong >/dev/null
until_has "Failed" get csr wrong
want "invalid usage for client certificate: server auth" get csr wrong -o jsonpath='{.status.conditions[?(@.type=="Failed")].message}'

# a server of a node
san=DNS:n1,IP:192.0.2.1
csr serving /CN=system:node:n1/O=system:nodes kubernetes.io/kubelet-serving "digital signature, server auth" >/dev/null
san=
k certificate approve serving >/dev/null
until_has "Approved,Issued" get csr serving
k get csr serving -o jsonpath='{.status.certificate}' | base64 -d | openssl x509 -noout -ext subjectAltName | grep -q "IP Address:192.0.2.1" || fail "the server's names"
# a signer of somebody else
csr other /CN=x example.com/mine "$client" >/dev/null
k certificate approve other >/dev/null
want "" get csr other -o jsonpath='{.status.certificate}'

# who may approve
k create clusterrole approver --verb=get,list,watch,update,patch --resource=certificatesigningrequests.certificates.k8s.io,certificatesigningrequests.certificates.k8s.io/approval >/dev/null
k create clusterrolebinding approver --clusterrole=approver --user=eve >/dev/null
csr third /CN=x example.com/mine "$client" >/dev/null
until_has "yes" auth can-i get csr --as eve
want 'user not permitted to approve requests with signerName "example.com/mine"' certificate approve third --as eve
k create -f - >/dev/null <<END
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: signer}
rules: [{apiGroups: [certificates.k8s.io], resources: [signers], resourceNames: [example.com/*], verbs: [approve]}]
END
k create clusterrolebinding signer --clusterrole=signer --user=eve >/dev/null
until_has "approved" certificate approve third --as eve

# a node's own certificate: approved and signed without anybody
k create clusterrolebinding nodes --clusterrole=system:certificates.k8s.io:certificatesigningrequests:selfnodeclient --group=system:nodes >/dev/null
k create clusterrolebinding makers --clusterrole=system:node-bootstrapper --group=system:nodes >/dev/null
until_has "yes" auth can-i create certificatesigningrequests.certificates.k8s.io/selfnodeclient --as system:node:n1 --as-group system:nodes
csr n1 /CN=system:node:n1/O=system:nodes kubernetes.io/kube-apiserver-client-kubelet "$client" --as system:node:n1 --as-group system:nodes >/dev/null
until_has "Approved,Issued" get csr n1
csr n2 /CN=system:node:n2/O=system:nodes kubernetes.io/kube-apiserver-client-kubelet "$client" --as system:node:n1 --as-group system:nodes >/dev/null
want "Pending" get csr n2

# bootstrap tokens
k create configmap cluster-info -n kube-public --from-literal=kubeconfig=anything >/dev/null
token() { # ID EXPIRATION
    k create secret generic "bootstrap-token-$1" -n kube-system --type=bootstrap.kubernetes.io/token --from-literal=token-id="$1" --from-literal=token-secret=0123456789abcdef \
        --from-literal=usage-bootstrap-signing=true --from-literal=expiration="$2"
}
token aaaaaa 2999-01-01T00:00:00Z >/dev/null
until_has "jws-kubeconfig-aaaaaa" get configmap cluster-info -n kube-public -o jsonpath='{.data}'
b64url() { base64 -w0 | tr '+/' '-_' | tr -d '='; }
head=$(printf '{"alg":"HS256","kid":"aaaaaa"}' | b64url)
mac=$(printf '%s.%s' "$head" "$(printf anything | b64url)" | openssl dgst -sha256 -hmac 0123456789abcdef -binary | b64url)
want "$head..$mac" get configmap cluster-info -n kube-public -o jsonpath='{.data.jws-kubeconfig-aaaaaa}'
token bbbbbb 2001-01-01T00:00:00Z >/dev/null
for _ in $(seq 300); do
    [ -z "$(k get secret bootstrap-token-bbbbbb -n kube-system --ignore-not-found)" ] && break
    sleep 0.2
done
not bootstrap-token-bbbbbb get secrets -n kube-system
k delete secret bootstrap-token-aaaaaa -n kube-system >/dev/null
until_has '{"kubeconfig":"anything"}' get configmap cluster-info -n kube-public -o jsonpath='{.data}'
exit $bad
