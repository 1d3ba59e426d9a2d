#!/bin/sh
# Images from registries: open ones with blobs elsewhere, basic and bearer credentials from imagePullSecrets, an index, digests, what is not what it says, pull policies,
# and where it is installed docker's own registry.
# usage: registry.sh BUILD_DIR. Skips (exit 0, with a reason) without root, crun, conmon, busybox or kubectl.
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/node.sh"
server=
real=
trap 'ended=$?; kill $server $real 2>/dev/null; node_finish' EXIT
# The image that the registry has is not in the node's store.
"$build/keelson" image --dir "$dir/reg/layout" build --busybox --env FROM=registry localhost/made:1 >/dev/null || exit 1
python3 "$here/registry_server.py" 5000 "$dir/reg/layout" >"$dir/reg/digests" &
server=$!
start
for _ in $(seq 100); do [ -s "$dir/reg/digests" ] && break; sleep 0.1; done
read -r _ index _ manifest <"$dir/reg/digests"
R=127.0.0.1:5000

pod() { # NAME IMAGE POLICY SECRETS
    echo "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"$1\"},\"spec\":{\"restartPolicy\":\"Never\",\"imagePullSecrets\":[${4:-}],\"containers\":[{\"name\":\"c\",\"image\":\"$2\",\"imagePullPolicy\":\"$3\",\"command\":[\"sh\",\"-c\",\"echo from-\$FROM\"]}]}}" |
        k apply -f - >/dev/null
}
waits='{.status.containerStatuses[0].state.waiting.reason} {.status.containerStatuses[0].state.waiting.message}'
k create secret docker-registry good --docker-server=http://$R --docker-username=user --docker-password=p:w >/dev/null
k create secret docker-registry wrong --docker-server=$R/basic --docker-username=user --docker-password=no >/dev/null
k create secret docker-registry other --docker-server=registry.example --docker-username=user --docker-password=p:w >/dev/null

pod open $R/open/app:1 IfNotPresent
becomes "open: runs" Succeeded 30 get open '{.status.phase}'
has "open: it is the registry's image" from-registry "$(logs open c)"
has "open: events" "Successfully pulled image \"$R/open/app:1\"" "$(k get events --field-selector involvedObject.name=open)"
has "open: blobs come from elsewhere, without credentials" "5001 /sha256:" "$(cat "$dir/reg/asked")"
hasnt "open: no credentials anywhere" "Basic" "$(cat "$dir/reg/asked")"

pod nologin $R/basic/app:1 IfNotPresent
becomes "basic: no credentials" "authorization failed: no basic auth credentials" 20 get nologin "$waits"
pod otherlogin $R/basic/app:1 IfNotPresent '{"name":"other"}'
becomes "basic: another registry's credentials are not sent" "no basic auth credentials" 20 get otherlogin "$waits"
pod wronglogin $R/basic/app:1 IfNotPresent '{"name":"wrong"}'
becomes "basic: wrong credentials" "pull access denied" 20 get wronglogin "$waits"
pod basic $R/basic/app:1 IfNotPresent '{"name":"wrong"},{"name":"absent"},{"name":"good"}'
becomes "basic: the login that is right is found" Succeeded 30 get basic '{.status.phase}'
has "basic: a secret that is not there" "Unable to retrieve some image pull secrets (absent)" "$(k get events --field-selector involvedObject.name=basic)"
k patch serviceaccount default -p '{"imagePullSecrets":[{"name":"good"}]}' >/dev/null
pod token $R/token/app:1 IfNotPresent
becomes "token: the account's secret, a token, chunks" Succeeded 30 get token '{.status.phase}'
has "token: was asked for" "5000 /token?service=test%20registry&scope=repository%3Atoken%2Fapp%3Apull Basic" "$(cat "$dir/reg/asked")"

pod index $R/index/app:1 IfNotPresent
becomes "index: this machine's image" Succeeded 30 get index '{.status.phase}'
pod byindex $R/index/app@"$index" IfNotPresent
becomes "digest of an index" Succeeded 30 get byindex '{.status.phase}'
pod bydigest $R/index/app@"$manifest" IfNotPresent
becomes "digest of a manifest" Succeeded 30 get bydigest '{.status.phase}'
n=$(grep -c "" "$dir/reg/asked")
pod again $R/index/app@"$index" IfNotPresent
becomes "a digest that is there" Succeeded 30 get again '{.status.phase}'
is "is not asked for again" "$n" "$(grep -c "" "$dir/reg/asked")"
pod always $R/open/app:1 Always
becomes "Always" Succeeded 30 get always '{.status.phase}'
is "asks what the name means, and takes no blob twice" "manifests" "$(tail -n +$((n + 1)) "$dir/reg/asked" | cut -d/ -f5)"

# A store that has none of the blobs sees what comes.
for id in $($build/keelson image --dir "$dir/state/images" list 2>/dev/null | grep -o '127.0.0.1:5000[^ ]*'); do "$build/keelson" image --dir "$dir/state/images" remove "$id" >/dev/null 2>&1; done
k delete pods --all --wait=true --grace-period=1 >/dev/null
pod badmanifest $R/bad/manifest@"$manifest" IfNotPresent
becomes "a manifest that is another one" "not what its digest says" 20 get badmanifest "$waits"
pod badblob $R/bad/blob:1 IfNotPresent
becomes "a blob that is another one" "not what its digest says" 20 get badblob "$waits"
pod badsize $R/bad/size:1 IfNotPresent
becomes "a blob that is larger than said" "more than the" 20 get badsize "$waits"
pod badgone $R/bad/gone:1 IfNotPresent
becomes "a blob that is not there" "not found" 20 get badgone "$waits"
pod nothing $R/open/app:2 IfNotPresent
becomes "no such tag" "Back-off pulling image \"$R/open/app:2\": ErrImagePull: failed to pull and unpack image \"$R/open/app:2\": failed to resolve reference \"$R/open/app:2\": $R/open/app:2: not found" 20 get nothing "$waits"
pod nobody 127.0.0.1:5999/x:1 IfNotPresent
becomes "no registry" "dial tcp 127.0.0.1:5999: connect: Connection refused" 20 get nobody "$waits"
pod never $R/open/app:1 Never
becomes "Never" "ErrImageNeverPull Container image \"$R/open/app:1\" is not present with pull policy of Never" 20 get never "$waits"
pod name "UPPER CASE" IfNotPresent
is "nothing is left of what was refused" "" "$(ls "$dir/state/images/tmp")"

if command -v docker-registry >/dev/null; then
    mkdir -p "$dir/real/data"
    cat >"$dir/real/config.yml" <<EOT
version: 0.1
storage: {filesystem: {rootdirectory: $dir/real/data}}
http: {addr: 127.0.0.1:5100}
log: {level: error}
EOT
    docker-registry serve "$dir/real/config.yml" >"$dir/real/log" 2>&1 &
    real=$!
    eventually "docker-registry serves" 20 curl -sf http://127.0.0.1:5100/v2/
    python3 - "$dir/reg/layout" <<'EOT' || fail "pushing to docker-registry"
import json, os, sys, urllib.request
layout, base = sys.argv[1], "http://127.0.0.1:5100/v2/team/app"
def read(digest):
    return open(os.path.join(layout, "blobs", *digest.split(":")), "rb").read()
def ask(method, url, data=None, kind="application/octet-stream"):
    return urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": kind}, method=method))
d = json.load(open(os.path.join(layout, "index.json")))["manifests"][0]
m = json.loads(read(d["digest"]))
for b in [m["config"], *m["layers"]]:
    to = ask("POST", base + "/blobs/uploads/", b"").headers["Location"]
    ask("PUT", to + "&digest=" + b["digest"], read(b["digest"]))
ask("PUT", base + "/manifests/v1", read(d["digest"]), m.get("mediaType", d["mediaType"]))
EOT
    pod real 127.0.0.1:5100/team/app:v1 IfNotPresent
    becomes "docker-registry: runs" Succeeded 30 get real '{.status.phase}'
    has "docker-registry: its image" from-registry "$(logs real c)"
else
    echo "skipped: no docker-registry"
fi
k delete pods --all --wait=true --grace-period=1 >/dev/null
is "all pods are gone" "No resources found in default namespace." "$(k get pods)"
exit $bad
