#!/bin/sh
# kill -9 of the daemon at random moments while pods come and go: what ran goes on, what was half made is made again, nothing is made twice
# and nothing is left in the end.
# usage: pods-crash.sh BUILD_DIR [ROUNDS]. Skips (exit 0, with a reason) without root, crun, conmon, busybox or kubectl.
set -u
build=$(cd "$1" && pwd)
rounds=${2:-6}
self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
for tool in kubectl crun conmon busybox ip unshare; do
    command -v $tool >/dev/null || {
        echo "skipped: no $tool"
        exit 0
    }
done
[ "$(id -u)" = 0 ] || {
    echo "skipped: needs root"
    exit 0
}
[ "${3:-}" = inside ] || exec unshare -n -m --propagation private "$self" "$build" "$rounds" inside

dir=$(mktemp -d /tmp/keelson-crash.XXXXXX)
export HOME="$dir"
pid=
bad=0
ip link set lo up
if [ -d /sys/fs/cgroup/memory ] && ! [ -f /sys/fs/cgroup/hugetlb/cgroup.procs ]; then
    mkdir -p /sys/fs/cgroup/hugetlb && mount -t cgroup -o hugetlb hugetlb /sys/fs/cgroup/hugetlb 2>/dev/null
fi
k() { timeout 60 kubectl --kubeconfig "$dir/kc" "$@" 2>&1; }
finish() {
    [ -n "$pid" ] && kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    for p in $(pgrep -f "$dir/run"); do kill -9 $(pgrep -P "$p") "$p" 2>/dev/null; done
    sed -n "s|^[^ ]* [^ ]* [^ ]* [^ ]* \($dir/[^ ]*\) .*|\1|p" /proc/self/mountinfo | sort -r | xargs -r umount -l 2>/dev/null
    rm -rf "$dir"
}
trap finish EXIT
start() {
    "$build/keelson" up --state-dir "$dir/state" --run-dir "$dir/run" --log-dir "$dir/log" --port 6443 --node-name crash \
        --node-address 127.0.0.1 --kubeconfig "$dir/kc" >>"$dir/out" 2>&1 &
    pid=$!
    for _ in $(seq 200); do
        [ -s "$dir/kc" ] && k run x --image=x --dry-run=server >/dev/null && return 0
        sleep 0.05
    done
    echo "keelson up did not start:"
    cat "$dir/out"
    exit 1
}
is() { if [ "$2" = "$3" ]; then echo "ok: $1"; else echo "FAILED: $1: wanted '$2', got '$3'" && bad=1; fi; }
count() { ls "$1" 2>/dev/null | wc -l; }
# settles WHAT WANTED COMMAND...: within a minute.
settles() {
    what=$1 wanted=$2
    shift 2
    for _ in $(seq 300); do
        got=$("$@")
        [ "$got" = "$wanted" ] && break
        sleep 0.2
    done
    is "$what" "$wanted" "$got"
}
pod() {
    cat <<EOF
---
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: a, image: "localhost/busybox:crash", command: [sleep, "3600"]}
  - {name: b, image: "localhost/busybox:crash", command: [sleep, "3600"], readinessProbe: {exec: {command: ["true"]}, periodSeconds: 1}}
EOF
}
"$build/keelson" image --dir "$dir/state/images" build --busybox localhost/busybox:crash >/dev/null || exit 1
start
n=0 clients=
for round in $(seq "$rounds"); do
    for _ in 1 2 3 4; do
        n=$((n + 1))
        pod p$n
    done >"$dir/pods.yaml"
    k apply -f "$dir/pods.yaml" >/dev/null &
    clients="$clients $!"
    [ "$round" -gt 1 ] && k delete pod p$((n - 5)) p$((n - 4)) --wait=false >/dev/null &
    clients="$clients $!"
    sleep "0.$(tr -dc 0-9 </dev/urandom | head -c 2)"
    kill -9 "$pid"
    wait "$pid" 2>/dev/null
    start
done
# Nobody may make a pod anew behind the last deletions: kubectl would wait for it to go.
# shellcheck disable=SC2086
wait $clients 2>/dev/null
# Deletions that the server never heard of are said again.
for i in $(seq "$rounds"); do [ "$i" -gt 1 ] && echo "p$((i * 4 - 5)) p$((i * 4 - 4))"; done | xargs timeout 120 kubectl --kubeconfig "$dir/kc" delete pod --ignore-not-found >/dev/null 2>&1
pods() { k get pods --no-headers; }
unready() { pods | grep -cv "2/2 *Running *0 "; }
settles "all pods run, none of them restarted" 0 unready
left=$(pods | wc -l)
[ "$left" -ge 4 ] || { echo "FAILED: only $left pods were created" && bad=1; }
settles "one sandbox a pod" "$left" count "$dir/state/runtime/sandboxes"
settles "two containers a pod" $((2 * left)) count "$dir/state/runtime/containers"
monitors() { pgrep -fc "conmon.*$dir"; }
settles "one monitor a container" $((2 * left)) monitors
settles "one network namespace a pod" "$left" count "$dir/run/network/ns"
settles "one folder a pod" "$left" count "$dir/state/node/pods"
settles "one log folder a pod" "$left" count "$dir/log/pods"
k delete pods --all --wait=true >/dev/null
for what in state/runtime/sandboxes state/runtime/containers run/network/ns state/node/pods log/pods; do
    settles "nothing is left in $what" 0 count "$dir/$what"
done
is "no monitor is left" 0 "$(monitors)"
is "no mount is left" 0 "$(grep -c " $dir/" /proc/self/mountinfo)"
is "no link is left" lo "$(ip -o link | sed 's/^[0-9]*: \([^:]*\):.*/\1/')"
kill "$pid"
wait "$pid"
is "the daemon ends well" 0 $?
pid=
grep -E " E |ERROR|SUMMARY" "$dir/out" | head -20
exit $bad
