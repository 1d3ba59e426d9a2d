#!/bin/sh
# Who asks: certificates good and bad, static and bootstrap tokens, front proxies, nobody, and who one may become (impersonation, constrained too).
# usage: authn.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/server.sh"
. "$here/lib/certs.sh"
needs kubectl openssl curl

# client CA NAME SUBJECT [PURPOSE [DAYS]]
client() { cert "$1" "$dir/$2" "$3" "extendedKeyUsage=${4:-clientAuth}" "${5:-1}"; }
mkdir "$dir/conf"
cp -r "$here/../../conf/." "$dir/conf"
mkdir -p "$dir/conf/conf.d"
ca "$dir/proxy-ca"
ca "$dir/other-ca"
printf 't0ken-of-ann,ann,1001,"builders,testers"\nt0ken-of-bob,bob,1002\n' >"$dir/tokens.csv"
cat >"$dir/conf/conf.d/authn.cfg" <<EOF
chains: { authn = [ "static", "front-proxy" ]; };
instances = (
  { plugin = "authn-static"; on = "server"; settings = { file = "$dir/tokens.csv"; }; },
  { plugin = "authn-front-proxy"; on = "server"; settings = { ca_file = "$dir/proxy-ca.crt"; allowed_names = [ "front-proxy-client" ]; }; }
);
EOF
server_flags="--config $dir/conf/keelson.cfg"
start_server

# as TOKEN COMMAND...; with CERT CURL_ARGUMENT...
as() {
    token=$1
    shift
    timeout 30 kubectl --kubeconfig=/dev/null --server="$url" --certificate-authority="$dir/state/pki/ca.crt" --token="$token" "$@" 2>&1
}
with() {
    who=$1
    shift
    curl -s --cacert "$dir/state/pki/ca.crt" --cert "$dir/$who.crt" --key "$dir/$who.key" "$@"
}
whoami='{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}'
reviews=$url/apis/authentication.k8s.io/v1/selfsubjectreviews
me() {
    who=$1
    shift
    with "$who" -X POST -H 'content-type: application/json' --data "$whoami" "$@" "$reviews"
}

# --- certificates ---
client "$dir/state/pki/ca" cleo "/O=builders/O=testers/CN=cleo"
holds "a certificate's name" "$(me cleo)" '"username":"cleo"'
holds "its organizations" "$(me cleo)" '"groups":["builders","testers","system:authenticated"]'
# the attribute of a user's uid, which openssl has no name for
printf 'oid_section=oids\n[oids]\nuserUID=1.3.6.1.4.1.57683.2\n[req]\ndistinguished_name=dn\n[dn]\n' >"$dir/uid.cnf"
cert_uid() {
    OPENSSL_CONF="$dir/uid.cnf" client "$dir/state/pki/ca" "$1" "$2"
}
cert_uid cora "/O=builders/CN=cora/userUID=1234-abc"
holds "a certificate's uid" "$(me cora)" '"uid":"1234-abc"'
cert_uid cleft "/O=system:masters/CN=cleft/userUID=a/userUID=b"
credential() { printf '"extra":{"authentication.kubernetes.io/credential-id":["X509SHA256=%s"]}' "$(openssl x509 -in "$dir/$1.crt" -outform DER | sha256sum | cut -d' ' -f1)"; }
for who in cleo cora cleo; do
    holds "the certificate of $who has a name" "$(me $who)" "$(credential $who)"
done
k create serviceaccount jan >/dev/null
token=$(k create token jan)
jti=$(echo "$token" | cut -d. -f2 | tr _- /+ | sed 's/$/==/' | base64 -d 2>/dev/null | sed 's/.*"jti":"//;s/".*//')
holds "so has a token" "$(curl -s --cacert "$dir/state/pki/ca.crt" -H "authorization: Bearer $token" -H 'content-type: application/json' --data "$whoami" "$reviews")" \
    "\"authentication.kubernetes.io/credential-id\":[\"JTI=$jti\"]"
holds "two uids are nobody's" "$(me cleft)" '"code":401'
client "$dir/other-ca" stranger "/O=system:masters/CN=admin"
holds "a certificate of another CA" "$(with stranger "$url/api/v1/namespaces")" '"code":401'
holds "which is no anonymous one either" "$(with stranger "$url/version")" '"code":401'
holds "but a token beside it counts" "$(me stranger -H 'authorization: Bearer t0ken-of-ann')" '"username":"ann"'
client "$dir/state/pki/ca" serving "/O=system:masters/CN=admin" serverAuth
holds "a server's certificate is no client's" "$(with serving "$url/api/v1/namespaces")" '"code":401'
client "$dir/state/pki/ca" late "/O=system:masters/CN=admin" clientAuth 0
sleep 1
holds "a certificate that has ended" "$(with late "$url/api/v1/namespaces")" '"code":401'

# --- tokens in a file ---
out=$(as t0ken-of-ann auth whoami)
holds "a static token" "$out" "ann"
holds "its uid" "$out" "1001"
holds "its groups" "$out" "[builders testers system:authenticated]"
holds "a token without groups" "$(as t0ken-of-bob auth whoami)" "[system:authenticated]"
holds "an unknown token" "$(as t0ken-of-an auth whoami)" "Unauthorized"
holds "no rights" "$(as t0ken-of-ann get pods)" 'User "ann" cannot list resource "pods"'
printf 't0ken-of-ann,annie,1001,builders\nt0ken-of-cid,cid,1003\n' >"$dir/tokens.csv"
reread authentication static success
holds "a file that has changed" "$(as t0ken-of-ann auth whoami)" "annie"
holds "a token that is new" "$(as t0ken-of-cid auth whoami)" "cid"
holds "a token that is gone" "$(as t0ken-of-bob auth whoami)" "Unauthorized"
printf 't0ken-of-dan,dan\n' >"$dir/tokens.csv"
reread authentication static failure
holds "what is wrong leaves what was before" "$(as t0ken-of-cid auth whoami)" "cid"
holds "and says so" "$(cat "$dir/log")" "static: what was configured before stays: file: line 1: token, user name, uid"
printf 't0ken-of-ann,ann,1001,"builders,testers"\nt0ken-of-bob,bob,1002\n' >"$dir/tokens.csv"
reread authentication static success

# --- bootstrap tokens ---
secret() {
    k delete secret bootstrap-token-abcdef -n kube-system --ignore-not-found >/dev/null
    k create secret generic bootstrap-token-abcdef -n kube-system --type bootstrap.kubernetes.io/token --from-literal=token-id=abcdef \
        --from-literal=token-secret=0123456789abcdef --from-literal=usage-bootstrap-authentication="${2:-true}" \
        --from-literal=auth-extra-groups=system:bootstrappers:kubeadm:default-node-token --from-literal=expiration="$1" >/dev/null
}
boot=abcdef.0123456789abcdef
holds "a bootstrap token without a secret" "$(as $boot auth whoami)" "Unauthorized"
secret "$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)"
holds "a bootstrap token" "$(as $boot auth whoami)" "system:bootstrap:abcdef"
holds "its groups" "$(as $boot auth whoami)" "[system:bootstrappers system:bootstrappers:kubeadm:default-node-token system:authenticated]"
holds "a wrong secret" "$(as abcdef.0123456789abcdee auth whoami)" "Unauthorized"
secret "$(date -u -d '-1 hour' +%Y-%m-%dT%H:%M:%SZ)"
holds "an expired bootstrap token" "$(as $boot auth whoami)" "Unauthorized"
secret "$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)" false
holds "a bootstrap token for other uses" "$(as $boot auth whoami)" "Unauthorized"
k delete secret bootstrap-token-abcdef -n kube-system >/dev/null
holds "a deleted bootstrap token" "$(as $boot auth whoami)" "Unauthorized"

# --- front proxies ---
client "$dir/proxy-ca" proxy "/CN=front-proxy-client"
client "$dir/proxy-ca" impostor "/CN=somebody"
client "$dir/proxy-ca" unfit "/CN=front-proxy-client" serverAuth
out=$(me proxy -H 'X-Remote-User: dora' -H 'X-Remote-Group: g1' -H 'X-Remote-Group: g2' -H 'X-Remote-Uid: 77' -H 'X-Remote-Extra-acme.io%2Fteam: blue')
holds "a front proxy's user" "$out" '"username":"dora"'
holds "its groups" "$out" '"groups":["g1","g2","system:authenticated"]'
holds "its uid" "$out" '"uid":"77"'
holds "its extra" "$out" '"acme.io/team":["blue"]'
holds "a proxy that names nobody" "$(me proxy)" '"code":401'
holds "another name of the proxies' CA" "$(me impostor -H 'X-Remote-User: dora')" '"code":401'
holds "a proxy's server certificate" "$(me unfit -H 'X-Remote-User: dora')" '"code":401'
for who in cleo stranger; do
    lacks "headers beside the certificate of $who" "$(me $who -H 'X-Remote-User: dora' -H 'X-Remote-Group: system:masters')" dora
done
lacks "headers beside a token" "$(curl -s --cacert "$dir/state/pki/ca.crt" -X POST -H 'content-type: application/json' -H 'X-Remote-User: dora' \
    -H 'authorization: Bearer t0ken-of-ann' --data "$whoami" "$reviews")" dora
holds "headers alone" "$(curl -s --cacert "$dir/state/pki/ca.crt" -H 'X-Remote-User: dora' -H 'X-Remote-Group: system:masters' \
    "$url/api/v1/namespaces")" 'User \"system:anonymous\"'
holds "a proxy's user has its own rights" "$(with proxy -H 'X-Remote-User: root' -H 'X-Remote-Group: system:masters' "$url/api/v1/namespaces")" NamespaceList

# --- nobody ---
holds "nobody may see the version" "$(curl -s --cacert "$dir/state/pki/ca.crt" "$url/version")" gitVersion
holds "and nothing else" "$(curl -s --cacert "$dir/state/pki/ca.crt" "$url/api/v1/pods")" 'User \"system:anonymous\" cannot list resource \"pods\"'

# --- impersonation ---
become() { c -X POST -H 'content-type: application/json' --data "$whoami" "$@" "$reviews"; }
out=$(become -H 'Impersonate-User: eve' -H 'Impersonate-Uid: 99' -H 'Impersonate-Group: g,1' -H 'Impersonate-Group: g2' -H 'Impersonate-Extra-acme.io%2Fa: x' \
    -H 'Impersonate-Extra-acme.io%2Fa: y')
holds "impersonation" "$out" '"username":"eve"'
holds "its uid" "$out" '"uid":"99"'
holds "its groups, one a header" "$out" '"groups":["g,1","g2","system:authenticated"]'
holds "its extra" "$out" '"acme.io/a":["x","y"]'
holds "groups of an account" "$(become -H 'Impersonate-User: system:serviceaccount:ns:x')" '"system:serviceaccounts:ns"'
holds "anonymous" "$(become -H 'Impersonate-User: system:anonymous')" 'User \"system:anonymous\" cannot create'
holds "a group without a user" "$(become -H 'Impersonate-Group: g')" 'Groups:[]string{\"g\"}, Extra:map[string][]string(nil)} without impersonating a user name'
holds "a uid without a user" "$(become -H 'Impersonate-Uid: 1')" '"code":400'
holds "may not impersonate" "$(as t0ken-of-ann get pods --as=eve)" 'User "ann" cannot impersonate'
want created create clusterrole legacy --verb=impersonate --resource=users
want created create clusterrolebinding legacy --clusterrole=legacy --user=bob
want created create clusterrolebinding eve-views --clusterrole=view --user=eve
holds "the verb of old" "$(as t0ken-of-bob get pods --as=eve)" "No resources found"
holds "groups are asked about" "$(as t0ken-of-bob get pods --as=eve --as-group=system:masters)" "cannot impersonate"
holds "uids are asked about" "$(as t0ken-of-bob get pods --as=eve --as-uid=3)" "cannot impersonate"
holds "extras are asked about" "$(curl -s --cacert "$dir/state/pki/ca.crt" -H 'authorization: Bearer t0ken-of-bob' -H 'Impersonate-User: eve' \
    -H 'Impersonate-Extra-scopes: all' "$url/api/v1/namespaces/default/pods")" "cannot impersonate"
k apply -f - >/dev/null <<EOF
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: constrained}
rules:
- {apiGroups: [authentication.k8s.io], resources: [users], resourceNames: [eve], verbs: ["impersonate:user-info"]}
- {apiGroups: [""], resources: [pods], verbs: ["impersonate-on:user-info:list"]}
- {apiGroups: [authentication.k8s.io], resources: [groups], resourceNames: ["system:masters"], verbs: ["impersonate:user-info"]}
- {apiGroups: [authentication.k8s.io], resources: [nodes], resourceNames: ["*"], verbs: ["impersonate:associated-node"]}
- {apiGroups: [""], resources: [nodes], verbs: ["impersonate-on:associated-node:get"]}
EOF
want created create clusterrolebinding constrained --clusterrole=constrained --user=ann --serviceaccount=default:agent
holds "constrained impersonation" "$(as t0ken-of-ann get pods --as=eve)" "No resources found"
holds "of that user only" "$(as t0ken-of-ann get pods --as=bob)" 'cannot impersonate:user-info resource "users"'
holds "for that action only" "$(as t0ken-of-ann get services --as=eve)" 'cannot impersonate-on:user-info:list resource "services"'
holds "never of system:masters" "$(as t0ken-of-ann get pods --as=eve --as-group=system:masters)" "impersonating the system:masters group is not allowed"
holds "never of a node as a user" "$(as t0ken-of-ann get pods --as=system:node:n1)" "cannot impersonate"
for n in n1 n2; do
    k create -f - >/dev/null <<EOF
{"apiVersion":"v1","kind":"Node","metadata":{"name":"$n"}}
EOF
done
want "serviceaccount/agent created" create serviceaccount agent
t=$(k create token agent --bound-object-kind=Node --bound-object-name=n1)
holds "a token of a node" "$(as "$t" auth whoami)" "authentication.kubernetes.io/node-name"
holds "an agent becomes its own node" "$(as "$t" get node n1 --as=system:node:n1)" "n1"
holds "and no other" "$(as "$t" get node n2 --as=system:node:n2)" "cannot impersonate"
holds "an account without a node becomes none" "$(as "$(k create token agent)" get node n1 --as=system:node:n1)" "cannot impersonate"
exit $bad
