#!/bin/sh
# A vendor's plugins: built outside the tree against the installed SDK, loaded by the installed program from conf.d/, with an effect
# that kubectl sees. usage: out-of-tree.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
source=$(cd "$(dirname "$0")/out-of-tree" && pwd)
command -v kubectl >/dev/null || {
    echo "skipped: no kubectl"
    exit 0
}
. "$(dirname "$0")/lib/installed.sh"
export HOME="$dir"
pid=
trap '[ -n "$pid" ] && kill "$pid" && wait "$pid"; rm -rf "$dir"' EXIT
die() {
    echo "FAILED: $1"
    cat "$2"
    exit 1
}
{
    cmake -S "$source" -B "$dir/acme" -DCMAKE_PREFIX_PATH="$dir/usr" -DCMAKE_C_FLAGS="-Wall -Wextra -Werror" && cmake --build "$dir/acme"
} >"$dir/build.log" 2>&1 || die "building outside the tree" "$dir/build.log"
# What it leans on: its own library and libc; not one symbol of ours.
for so in "$dir/acme/acme-stamp.so" "$dir/acme/acme-favourite.so"; do
    [ "$(nm -D --defined-only "$so" | awk '{ print $3 }')" = kl_plugin ] || {
        echo "FAILED: $so exports more than its descriptor"
        bad=1
    }
    "$dir/usr/bin/keelson" plugin inspect "$so" >"$dir/inspect" 2>&1 || die "plugin inspect $so" "$dir/inspect"
    grep -q '^id *com\.acme\.' "$dir/inspect" || die "inspect does not say what it is" "$dir/inspect"
done

conf=$dir/usr/etc/keelson
mkdir -p "$conf/conf.d"
cat >"$conf/conf.d/50-acme.cfg" <<EOF
chains: { admission = [ "stamp" ]; };
instances = (
  { plugin = "$dir/acme/acme-stamp.so"; settings = { value = "seen"; forbidden = [ "password" ]; }; },
  { plugin = "$dir/acme/acme-favourite.so"; name = "east"; settings = { prefix = "east-"; }; },
  { plugin = "$dir/acme/acme-favourite.so"; name = "west"; settings = { prefix = "west-"; score = 50; }; } );
EOF
keelson() { "$dir/usr/bin/keelson" "$@"; }
keelson check-config --config "$conf/keelson.cfg" >"$dir/check.log" 2>&1 || die "check-config" "$dir/check.log"
# Not by the function: its process would be a shell, and ours would outlive the kill.
"$dir/usr/bin/keelson" server --config "$conf/keelson.cfg" --state-dir "$dir/state" --port 0 --store memory >"$dir/log" 2>&1 &
pid=$!
for _ in $(seq 100); do
    grep -q 'ready on' "$dir/log" && break
    sleep 0.1
done
grep -q 'ready on' "$dir/log" || die "the server did not start" "$dir/log"
k() { timeout 30 kubectl --kubeconfig "$dir/state/admin.kubeconfig" "$@" 2>&1; }
# want TEXT COMMAND...: the output holds the text.
want() {
    text=$1
    shift
    out=$("$@")
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
want READY keelson plugin status --state-dir "$dir/state" --config "$conf/keelson.cfg"
want com.acme.favourite keelson plugin status --state-dir "$dir/state" --config "$conf/keelson.cfg"
want created k create configmap plain --from-literal=a=b
want '{"stamp":"seen"}' k get configmap plain -o 'jsonpath={.metadata.labels}'
want "data may not hold 'password'" k create configmap secret --from-literal=password=x
want "not found" k get configmap secret
for node in east-1 west-1; do
    cat >"$dir/node.json" <<EOF
{"apiVersion":"v1","kind":"Node","metadata":{"name":"$node"},"status":{"conditions":[{"type":"Ready","status":"True"}],
 "allocatable":{"cpu":"4","memory":"8Gi","pods":"110"}}}
EOF
    want created k create -f "$dir/node.json"
    want '"status":"True"' k replace --raw "/api/v1/nodes/$node/status" -f "$dir/node.json"
done
for who in east west; do
    for i in 1 2 3; do
        want created k create -f - <<EOF
{"apiVersion":"v1","kind":"Pod","metadata":{"name":"$who-pod-$i"},"spec":{"schedulerName":"$who","containers":[{"name":"c","image":"x"}]}}
EOF
        k wait --for=condition=PodScheduled --timeout=10s "pod/$who-pod-$i" >/dev/null
        want "$who-1" k get pod "$who-pod-$i" -o 'jsonpath={.spec.nodeName}'
    done
done
[ "$bad" = 0 ] || cat "$dir/log"
exit $bad
