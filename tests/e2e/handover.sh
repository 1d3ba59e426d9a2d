#!/bin/sh
# A server is restarted under load, by `keelson restart`: no client notices. Then what may go wrong: the server that runs goes on.
# usage: handover.sh BUILD_DIR [RESTARTS] [OTHER_BUILD_DIR]
set -u
build=$(cd "$1" && pwd)
restarts=${2:-5} other=${3:-$build}
self=$(cd "$(dirname "$0")" && pwd)
load=$build/tests/handover/handover_load
# shellcheck source=tests/e2e/lib/server.sh
. "$self/lib/server.sh"
export KEELSON_HANDOVER_FAULT="$dir/fault"
start_server
pki=$dir/state/pki
watches=
now() { # the process that serves: it alone has the store
    for p in $(pgrep -f "^[^ ]*keelson server --state-dir $dir/state"); do
        ls -l "/proc/$p/fd" 2>/dev/null | grep -q "$dir/state/store/lock" && echo "$p"
    done
}
end_all() {
    kill $watches 2>/dev/null
    # shellcheck disable=SC2046
    kill $(pgrep -f "^[^ ]*keelson server --state-dir $dir/state") 2>/dev/null
    rm -rf "$dir"
}
trap end_all EXIT
alone() { [ "$(pgrep -fc "^[^ ]*keelson server --state-dir $dir/state")" = 1 ]; }
restart() { "$build/keelson" restart --state-dir "$dir/state" "$@" 2>&1; }
# --- restarts under load ---
rv=$(kubectl get --raw /api/v1/namespaces/default/configmaps | sed -n 's|.*"metadata":{"resourceVersion":"\([0-9]*\)"}.*|\1|p')
"$load" "$url" "$pki" "$rv" >"$dir/load" 2>&1 &
loader=$!
watches=$loader
eventually "the load begins" 60 grep -q running "$dir/load"
kubectl get cm -n load -w -o name >"$dir/names" 2>"$dir/names.err" &
watches="$watches $!"
kubectl get cm -n default -w -o name >"$dir/few" 2>"$dir/few.err" &
few=$!
watches="$watches $few"
# One who may read just what RBAC says, and a kind of one's own: neither is unknown for a moment.
k create sa reader -n default >/dev/null
k create rolebinding reader -n default --role=reader --serviceaccount=default:reader >/dev/null
kubectl apply -f - >/dev/null <<'END'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
END
made_known() { kubectl create role reader -n default --verb=get,list --resource=configmaps,things.example.com; }
eventually "a kind of one's own is known" 60 made_known
token=$(kubectl create token reader -n default)
made() { echo '{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"one"}}' | kubectl create -n default -f -; }
eventually "a kind of one's own" 60 made
asked() {
    curl -s -o /dev/null -w '%{http_code}\n' --cacert "$pki/ca.crt" -H "Authorization: Bearer $token" "$url/apis/example.com/v1/namespaces/default/things/one" \
        "$url/api/v1/namespaces/default/configmaps" -o /dev/null
}
allowed() { [ "$(asked | sort -u)" = 200 ]; }
eventually "the reader may read" 60 allowed
while :; do asked; done >"$dir/statuses" 2>/dev/null &
reader=$!
watches="$watches $reader"
eventually "the reader reads" 60 grep -q 200 "$dir/statuses"
eventually "kubectl watches" 60 grep -q kube-root "$dir/few"
sleep 1
for i in $(seq "$restarts"); do
    before=$(now)
    said=$(restart --binary "$([ $((i % 2)) = 0 ] && echo "$build/keelson" || echo "$other/keelson")") || fail "restart $i" "$said"
    [ "$(now)" != "$before" ] || fail "restart $i: the same process has the store" "$before"
    want "cm-$i created" create cm "cm-$i" -n default
    echo "$said"
    sleep 1
done
for i in $(seq "$restarts"); do
    eventually "kubectl's watch shows cm-$i" 60 grep -q "/cm-$i\$" "$dir/few"
done
[ "$(sort "$dir/few" | uniq -d | wc -l)" = 0 ] || fail "kubectl's watch says something twice" "$(cat "$dir/few")"
kill -0 "$few" 2>/dev/null || fail "kubectl's watch has ended" "$(cat "$dir/few.err")"
kill "$reader"
[ "$(sort -u "$dir/statuses")" = 200 ] || fail "who is allowed some things is always allowed them" "$(grep -nv 200 "$dir/statuses" | head -3) of $(wc -l <"$dir/statuses")"
kill -TERM "$loader"
wait "$loader" || fail "clients have noticed" "$(cat "$dir/load")"
tail -1 "$dir/load"

# --- who is followed ends with the last connection ---
kill $watches 2>/dev/null
eventually "one process is left" 60 alone

# --- what may go wrong: the one that serves goes on, and says why ---
goes_on() { # WHAT TEXT: the restart has failed, said so, and nothing else has happened
    case "$said" in *"$2"*) ;; *) fail "$1" "wanted: $2" "got: $said" ;; esac
    [ "$(now)" = "$serving" ] || fail "$1: another process has the store" "$(now), not $serving"
    want created create cm "after-$n" -n default
    n=$((n + 1))
}
serving=$(now) n=1
said=$(restart --binary "$dir/nothing") && fail "a program that is not there" "status 0"
goes_on "a program that is not there" "No such file"
said=$(restart --binary /bin/true) && fail "a program that does nothing" "status 0"
goes_on "a program that does nothing" "ended with status 0 before it served"
cp /etc/hostname "$dir/text" && chmod +x "$dir/text"
said=$(restart --binary "$dir/text") && fail "a file that is no program" "status 0"
goes_on "a file that is no program" "Exec format error"
kubectl get cm -n default -w -o name >"$dir/names" 2>"$dir/names.err" &
watches=$!
for point in ready events go opened serving; do
    echo $point >"$dir/fault"
    said=$(restart) && fail "killed at '$point'" "status 0"
    goes_on "killed at '$point'" "ended by signal 9"
done
: >"$dir/fault"
said=$(restart) || fail "a restart after those that failed" "$said"
[ "$(now)" != "$serving" ] || fail "a restart after those that failed" "$said"
eventually "the watch shows all of it" 60 grep -q "after-$((n - 1))" "$dir/names"
[ "$(sort "$dir/names" | uniq -d | wc -l)" = 0 ] || fail "the watch shows nothing twice" "$(cat "$dir/names")"

# --- by a signal; and the end of who serves is the end of those whom it followed ---
serving=$(now)
kill -USR2 "$serving"
other_serves() { [ -n "$(now)" ] && [ "$(now)" != "$serving" ]; }
eventually "SIGUSR2 asks for it too" 60 other_serves
want created create cm by-signal -n default
eventually "the watch goes on through two old processes" 60 grep -q by-signal "$dir/names"
[ "$(pgrep -fc "^[^ ]*keelson server --state-dir $dir/state")" -ge 2 ] || fail "a watch keeps the old process" "$(pgrep -fa "keelson server --state-dir $dir/state")"
kill "$(now)"
nobody() { ! pgrep -f "^[^ ]*keelson server --state-dir $dir/state" >/dev/null; }
eventually "all of them end" 60 nobody
start_server
want by-signal get cm by-signal -n default -o name
grep -E "ERROR: |SUMMARY: " "$dir/log" && fail "a sanitizer has complained" "$(grep -A30 -m1 "ERROR: " "$dir/log")"
exit $bad
