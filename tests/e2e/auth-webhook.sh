#!/bin/sh
# Tokens and permissions that a server elsewhere decides about: asked once, remembered, waited for, and what happens when it fails.
# usage: auth-webhook.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/server.sh"
. "$here/lib/certs.sh"
needs kubectl openssl python3 curl
hook_pid=
trap 'ended=$?; kill $hook_pid 2>/dev/null; server_finish' EXIT
d=$dir/hook
mkdir "$d" "$dir/conf"
ca "$d/ca"
cert "$d/ca" "$d/tls" /CN=localhost subjectAltName=IP:127.0.0.1
python3 "$here/webhook_server.py" "$d" &
hook_pid=$!
for _ in $(seq 100); do
    [ -s "$d/port" ] && break
    sleep 0.1
done
cat >"$d/kubeconfig" <<EOF
apiVersion: v1
kind: Config
current-context: hook
contexts: [{name: hook, context: {cluster: hook, user: keelson}}]
clusters: [{name: hook, cluster: {server: "https://127.0.0.1:$(cat "$d/port")/review", certificate-authority: ca.crt}}]
users: [{name: keelson, user: {token: hook-secret}}]
EOF
step() {
    cat <<EOF
- type: Webhook
  name: $1
  webhook: {timeout: 10s, subjectAccessReviewVersion: v1, failurePolicy: $2, authorizedTTL: 10m, unauthorizedTTL: 10m,
    matchConditionSubjectAccessReviewVersion: v1, matchConditions: [
      {expression: "!(has(request.resourceAttributes) && request.resourceAttributes.namespace == 'unasked')"},
      {expression: "!('system:serviceaccounts' in request.groups)"}],
    connectionInfo: {type: KubeConfigFile, kubeConfigFile: $d/kubeconfig}}
EOF
}
authorizers() {
    printf 'apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers:\n- {type: Node, name: node}\n'
    step hook "$1"
    printf -- '- {type: RBAC, name: rbac}\n'
}
authorizers NoOpinion >"$dir/authorization.yaml"
sed 's/authz = \[ "groups", "node", "rbac" \]/authz = [ "groups", "configured" ]/; s/"bootstrap" \];/"bootstrap", "webhook" ];/' "$here/../../conf/keelson.cfg" \
    >"$dir/conf/keelson.cfg"
mkdir -p "$dir/conf/conf.d"
cat >"$dir/conf/conf.d/hook.cfg" <<EOF
instances = (
  { plugin = "auth-webhook"; on = "server"; provider = "webhook"; settings = { kubeconfig = "$d/kubeconfig"; }; },
  { plugin = "auth-webhook"; on = "server"; provider = "configured"; settings = { file = "$dir/authorization.yaml"; }; }
);
EOF
server_flags="--config $dir/conf/keelson.cfg"
start_server
as() {
    bearer=$1
    shift
    timeout 30 kubectl --kubeconfig=/dev/null --server="$url" --certificate-authority="$dir/state/pki/ca.crt" --token="$bearer" "$@" 2>&1
}
asked() { grep -c "$1" "$d/asked" 2>/dev/null; }

# --- tokens ---
out=$(as t-ann auth whoami)
holds "a token that the webhook knows" "$out" "ann"
holds "its groups" "$out" "[builders system:authenticated]"
holds "its extra" "$out" "[1 2]"
as t-ann version >/dev/null
[ "$(asked '"t-ann"')" = 1 ] || fail "a token is asked about once" "$(cat "$d/asked")"
holds "one that it does not know" "$(as t-bob auth whoami)" "Unauthorized"
holds "one for another audience" "$(as t-elsewhere auth whoami)" "Unauthorized"
holds "a service account is known here" "$(as "$(k create serviceaccount x >/dev/null; k create token x)" auth whoami)" "serviceaccount:default:x"

# --- permissions ---
holds "allowed by the webhook" "$(as t-ann get configmaps)" "kube-root-ca.crt"
holds "by its selector" "$(as t-ann get services -l app=x)" "No resources found"
holds "not allowed" "$(as t-ann get services)" 'User "ann" cannot list resource "services"'
want created create clusterrolebinding ann --clusterrole=view --user=ann
holds "what the webhook has no opinion on is RBAC's" "$(as t-ann get pods)" "No resources found"
want created create namespace closed
holds "denied by the webhook, though RBAC would allow" "$(as t-ann get pods -n closed)" "closed to all"
holds "administrators do not mind" "$(k get pods -n closed)" "No resources found"
before=$(wc -l <"$d/asked")
as t-ann get pods >/dev/null
as t-ann get pods -n closed >/dev/null
[ "$(wc -l <"$d/asked")" = "$before" ] || fail "answers are remembered" "$(tail -2 "$d/asked")"
holds "an access review" "$(k auth can-i get configmaps --as=ann)" "yes"

before=$(wc -l <"$d/asked")
holds "not asked where a condition is false" "$(as t-ann get configmaps -n unasked)" "No resources found"
[ "$(wc -l <"$d/asked")" = "$before" ] || fail "not asked where a condition is false" "$(tail -1 "$d/asked")"

# --- many at once wait for one answer; the server answers others meanwhile ---
touch "$d/slow"
waiting=
for i in 1 2 3 4 5 6; do
    curl -s --cacert "$dir/state/pki/ca.crt" -H 'authorization: Bearer t-ann' "$url/api/v1/namespaces/slow/configmaps" >"$dir/answer$i" &
    waiting="$waiting $!"
done
holds "others are served" "$(c "$url/api/v1/namespaces/default")" '"kind":"Namespace"'
# shellcheck disable=SC2086
wait $waiting
for i in 1 2 3 4 5 6; do
    holds "waited for $i" "$(cat "$dir/answer$i")" "ConfigMapList"
done
[ "$(asked '"namespace":"slow"')" = 1 ] || fail "one question for all" "$(grep slow "$d/asked")"
rm "$d/slow"

# --- a webhook that fails ---
touch "$d/broken"
holds "no opinion when it fails" "$(as t-ann get pods -n kube-system)" "No resources found"
holds "told where nobody else allows it" "$(as t-ann get --raw /api/v1/namespaces/default/secrets)" 'has prevented the request from succeeding'
holds "no new tokens meanwhile" "$(as t-new auth whoami)" "Unauthorized"
rm "$d/broken"
authorizers Perhaps >"$dir/authorization.yaml"
reread authorization configured failure
holds "a file that is wrong is told" "$(cat "$dir/log")" "configured: what was configured before stays: "
holds "and changes nothing" "$(as t-ann get configmaps)" "kube-root-ca.crt"
authorizers Deny >"$dir/authorization.yaml"
reread authorization configured success
holds "ann again" "$(as t-ann auth whoami)" "ann"
touch "$d/broken"
holds "refused when it fails" "$(as t-ann get pods -n kube-public)" "authorizer 'hook' cannot be asked"
exit $bad
