#!/bin/sh
# Layers: what instances are asked is traced as text and for a trace viewer, fails and comes late by rule, is recorded, and the recorded calls are made to
# another file. usage: layers.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/tests/e2e/lib/server.sh"
needs kubectl
mkdir -p "$dir/conf/conf.d"
sed 's|{ plugin = "scheduler-binpack"; }|{ plugin = "scheduler-binpack"; isolate = "process"; layers = [ "trace", "record" ]; }|
     s|{ plugin = "authz-rbac"; |&isolate = "process"; layers = [ "trace" ]; |; s|{ plugin = "admission-quota"; |&layers = [ "trace", "fault" ]; |
     s|{ plugin = "store-wal"; |&layers = [ "viewer" ]; |; s|{ plugin = "controller-workloads"; }|{ plugin = "controller-workloads"; layers = [ "viewer" ]; }|' \
    "$root/conf/keelson.cfg" >"$dir/conf/keelson.cfg"
[ "$(grep -c 'layers = ' "$dir/conf/keelson.cfg")" = 5 ] || fail "the configuration is not as this test knows it"
cat >"$dir/conf/conf.d/50.cfg" <<END
instances = (
  { plugin = "layer-trace"; settings = { path = "$dir/trace.txt"; }; },
  { plugin = "layer-trace"; name = "viewer"; settings = { path = "$dir/trace.json"; format = "chrome"; bytes = "40"; }; },
  { plugin = "layer-record"; settings = { path = "$dir/session"; }; },
  { plugin = "layer-fault"; settings = { rules = (
      { instance = "limit-ranger"; call = "wants"; do = "fail"; code = "FORBIDDEN"; message = "told to fail"; times = 1; },
      { instance = "limit-ranger"; call = "wants"; do = "delay"; delay_ms = 50; } ); }; } );
END
config="--config $dir/conf/keelson.cfg --plugins $build/plugins"
# shellcheck disable=SC2086
out=$("$build/keelson" check-config $config 2>&1) || fail "check-config" "$out"
# wrong SED TEXT: the configuration changed like that is refused with that text.
wrong() {
    mkdir -p "$dir/wrong/conf.d"
    sed "$1" "$dir/conf/keelson.cfg" >"$dir/wrong/keelson.cfg"
    cp "$dir/conf/conf.d/50.cfg" "$dir/wrong/conf.d/"
    out=$("$build/keelson" check-config --config "$dir/wrong/keelson.cfg" --plugins "$build/plugins" 2>&1)
    case "$out" in
    *"$2"*) ;;
    *) fail "check-config of $1" "wanted: $2" "got: $out" ;;
    esac
}
wrong 's|"trace", "record"|"trce"|' "did you mean 'trace'"
wrong 's|"trace", "record"|"spread"|' "names what is no instance of keelson.layer/0"
wrong 's|layers = \[ "trace", "record" \]|layers = "trace"|' "'layers' must be"

server_flags="$config"
start_server
status=$("$build/keelson" plugin status --kubeconfig "$KUBECONFIG")
for i in trace viewer record fault binpack rbac limit-ranger resourcequota wal replicaset; do
    echo "$status" | grep -q "^$i .* READY" || fail "'$i' is not READY" "$status"
done
c "$url/debug/plugins" | tr -d ' \n' | grep -q '"layers":\["trace","record"\]' || fail "/debug/plugins does not name the layers"
node() {
    cat >"$dir/$1.json" <<END
{"apiVersion":"v1","kind":"Node","metadata":{"name":"$1"},"status":{"conditions":[{"type":"Ready","status":"True"}],"allocatable":{"cpu":"$2","memory":"8Gi","pods":"110"}}}
END
    want created create -f "$dir/$1.json"
}
node n1 4
node n2 8
pod() {
    cat <<END
{"apiVersion":"v1","kind":"Pod","metadata":{"name":"$1"},"spec":{"schedulerName":"binpack","containers":[{"name":"c","image":"x","resources":{"requests":{"cpu":"1"}}}]}}
END
}
pod p1 >"$dir/pod"
out=$(k create -f "$dir/pod")
case "$out" in
*"told to fail"*) ;;
*) fail "the rule does not fail the first pod" "$out" ;;
esac
for p in p1 p2; do
    pod $p >"$dir/pod"
    want created create -f "$dir/pod"
    for _ in $(seq 240); do
        for n in n1 n2; do k replace --raw "/api/v1/nodes/$n/status" -f "$dir/$n.json" >/dev/null; done
        [ -z "$(k get pod $p -o 'jsonpath={.spec.nodeName}')" ] || break
        sleep 0.25
    done
    want n get pod $p -o 'jsonpath={.spec.nodeName}'
done
# Roles still count behind a layer: the instances of one file find each other.
k create clusterrole reader --verb=get --resource=pods >/dev/null
k create clusterrolebinding reader --clusterrole=reader --user=ann >/dev/null
for _ in $(seq 240); do
    [ "$(k auth can-i get pods --as=ann)" = yes ] && break
    sleep 0.25
done
want yes auth can-i get pods --as=ann
is "auth can-i delete pods --as=ann" no "$(k auth can-i delete pods --as=ann | tail -1)"
kill "$pid"
wait "$pid" 2>/dev/null

grep -q ' binpack score({.*"name":"n1".*}) = [0-9]* [0-9.]*us$' "$dir/trace.txt" || fail "no score in the trace" "$(grep binpack "$dir/trace.txt" | head -5)"
grep -q " limit-ranger wants(.*= -KL_FORBIDDEN 'told to fail'" "$dir/trace.txt" || fail "no failure in the trace" "$(grep limit-ranger "$dir/trace.txt" | head -5)"
grep ' limit-ranger wants(' "$dir/trace.txt" | sed -n 's/.* = [01] \([0-9]*\)\..*us$/\1/p' | awk '$1 >= 50000 { late = 1 } END { exit !late }' ||
    fail "no call came late" "$(grep ' limit-ranger wants(' "$dir/trace.txt" | head -5)"
grep -q ' rbac authorize({"user":{"name":"ann"' "$dir/trace.txt" || fail "no authorize in the trace"
for i in binpack rbac limit-ranger; do grep -q " $i close({})" "$dir/trace.txt" || fail "'$i' was not closed through its layers"; done
python3 - "$dir/trace.json" <<'END' || bad=1
import json
import sys
events = json.load(open(sys.argv[1]))
calls = {(e["args"]["instance"], e["name"]) for e in events}
for want in (("wal", "append"), ("wal", "close"), ("replicaset", "close")):
    if want not in calls:
        sys.exit(f"FAILED: the viewer's trace lacks {want}: {sorted(calls)[:20]}")
if not all(e["ph"] == "X" and e["dur"] >= 0 and e["ts"] >= 0 and e["cat"].startswith("keelson.") for e in events):
    sys.exit("FAILED: an event of the trace is none")
END
# The same calls to the same file, and to another.
out=$("$build/keelson" plugin replay "$dir/session" "$build/plugins/scheduler-binpack.so" 2>&1) || fail "replay against the same file" "$out"
case "$out" in
*" 0 calls made"* | *"binpack (keelson.scheduler/0): "*" 0 otherwise"*) ;;
*) fail "replay" "$out" ;;
esac
echo "$out" | grep -q ' [1-9][0-9]* calls made' || fail "replay makes no calls" "$out"
out=$("$build/keelson" plugin replay "$dir/session" "$build/plugins/scheduler-spread.so" 2>&1) && fail "another scheduler answers the same" "$out"
echo "$out" | grep -q '^line [0-9]*: score: [0-9]*.*, was [0-9]' || fail "replay does not say what differs" "$out"
"$build/keelson" plugin replay "$dir/session" "$build/plugins/store-memory.so" 2>&1 | grep -q "holds no calls that" || fail "a session for no provider is not refused"
"$build/keelson" plugin replay "$dir/trace.txt" "$build/plugins/scheduler-spread.so" 2>&1 | grep -q "is no session" || fail "what is no session is not refused"
grep -E 'ERROR: AddressSanitizer|runtime error:' "$dir/log" && bad=1
exit $bad
