#!/bin/sh
# Service account tokens: made, used, bound to a pod and dead with it, reviewed by audience; and impersonation.
# usage: tokens.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
. "$(dirname "$0")/lib/server.sh"
needs kubectl
start_server
as() {
    token=$1
    shift
    timeout 30 kubectl --kubeconfig=/dev/null --server="$url" --certificate-authority="$dir/state/pki/ca.crt" --token="$token" "$@" 2>&1
}
want "serviceaccount/x created" create serviceaccount x
for _ in $(seq 50); do                  # made by its controller
    k get serviceaccount default >/dev/null 2>&1 && break
    sleep 0.1
done
t=$(k create token x)
holds "who a token names" "$(as "$t" auth whoami)" "system:serviceaccount:default:x"
holds "its groups" "$(as "$t" auth whoami)" "[system:serviceaccounts system:serviceaccounts:default system:authenticated]"
holds "no rights" "$(as "$t" get pods)" 'User "system:serviceaccount:default:x" cannot list resource "pods"'
want "created" create clusterrolebinding v --clusterrole=view --serviceaccount=default:x
holds "rights" "$(as "$t" get pods)" "No resources found"
holds "another signature" "$(as "${t%?????}AAAAA" get pods)" "Unauthorized"
holds "no token" "$(as nonsense get pods)" "Unauthorized"
want "may not specify a duration less than 10 minutes" create token x --duration=1m
want 'serviceaccounts "nope" not found' create token nope
other=$(k create token x --audience=other)
holds "another audience" "$(as "$other" get pods)" "Unauthorized"
review() {
    printf '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"%s","audiences":[%s]}}' "$1" "$2" |
        k create -f - -o "jsonpath={.status.authenticated} {.status.user.username} {.status.audiences}"
}
holds "review" "$(review "$other" '"other","more"')" 'true system:serviceaccount:default:x ["other"]'
holds "review for others" "[$(review "$other" '"more"')]" "[  ]"      # a false is not written
want "created" run p --image=busybox
want "cannot bind token for serviceaccount" create token x --bound-object-kind=Pod --bound-object-name=p
b=$(k create token default --bound-object-kind=Pod --bound-object-name=p)
holds "a pod's token" "$(as "$b" auth whoami)" "authentication.kubernetes.io/pod-name"
want "deleted" delete pod p
holds "a pod's token without the pod" "$(as "$b" auth whoami)" "Unauthorized"
want "deleted" delete serviceaccount x
holds "a token without its account" "$(as "$t" auth whoami)" "Unauthorized"

# --- tokens in Secrets: as long as the Secret and the account are there ---
legacy() {
    printf '{"apiVersion":"v1","kind":"Secret","type":"kubernetes.io/service-account-token","metadata":{"name":"%s","annotations":{"kubernetes.io/service-account.name":"%s"}}}' "$1" "$2" |
        k create -f - >/dev/null
}
# held MEMBER: what the Secret bot-token has of it, once it has it.
held() {
    for _ in $(seq 300); do
        value=$(k get secret bot-token -o "jsonpath={.data.$1}")
        [ -n "$value" ] && break
        sleep 0.1
    done
    echo "$value" | base64 -d
}
# leaves SECRET: it goes within a while.
leaves() {
    for _ in $(seq 300); do
        [ -z "$(k get secret "$1" --ignore-not-found -o name)" ] && return
        sleep 0.1
    done
    fail "the Secret $1 goes"
}
want "created" create serviceaccount bot
legacy bot-token bot
l=$(held token)
holds "who it names" "$(as "$l" auth whoami)" "system:serviceaccount:default:bot"
holds "the CA beside it" "$(held 'ca\.crt')" "BEGIN CERTIFICATE"
holds "and the namespace" "$(held namespace)" "default"
holds "which account" "$(k get secret bot-token -o 'jsonpath={.metadata.annotations.kubernetes\.io/service-account\.uid}')" \
    "$(k get serviceaccount bot -o 'jsonpath={.metadata.uid}')"
k patch secret bot-token --type=json -p '[{"op":"remove","path":"/data/token"}]' >/dev/null
for _ in $(seq 300); do                 # another one: ES256 never signs twice alike
    [ "$(held token)" != "$l" ] && break
    sleep 0.1
done
holds "what the Secret no longer holds" "$(as "$l" auth whoami)" "Unauthorized"
holds "what it holds now" "$(as "$(held token)" auth whoami)" "system:serviceaccount:default:bot"
l=$(held token)
want "deleted" delete secret bot-token
holds "a token without its Secret" "$(as "$l" auth whoami)" "Unauthorized"
legacy bot-token bot
l=$(held token)
want "deleted" delete serviceaccount bot
leaves bot-token
holds "without its account" "$(as "$l" auth whoami)" "Unauthorized"
legacy ghost nobody
leaves ghost

want "no" auth can-i create pods --as=bob
want "yes" auth can-i create pods --as=bob --as-group=system:masters
holds "may not impersonate" "$(as "$(k create token default)" get pods --as=bob)" 'cannot impersonate-on:user-info:list resource "pods"'
holds "keys for others" "$(c "$url/openid/v1/jwks")" '"kty":"EC"'
exit $bad
